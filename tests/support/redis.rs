//! A real Redis server, its clients from several addresses, and what `redis-cli` writes down of it.

use super::process::{Server, Start, missing_programs};
use super::{free_port, program, wait_for};
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub struct Redis {
    monitor: Option<Server>,
    _server: Server,
    port: u16,
    folder: TempDir,
}

/// `Some(reason)` if Redis is missing.
pub fn missing() -> Option<String> {
    missing_programs(&["redis-server", "redis-cli"], "redis-server")
}

impl Redis {
    /// Starts an empty server; `users` are lines of its configuration without the word `user`.
    pub fn start(users: &[&str]) -> Redis {
        let folder = tempfile::Builder::new().prefix("tokenwatch-redis-").tempdir().expect("a temporary folder");
        let port = free_port();
        let mut settings = format!(
            "port {port}\nbind 127.0.0.1\nprotected-mode no\ndir {}\nsave \"\"\nappendonly no\nacllog-max-len 100000\nlogfile {}\n",
            folder.path().display(),
            folder.path().join("server.log").display()
        );
        for user in users {
            settings.push_str(&format!("user {user}\n"));
        }
        fs::write(folder.path().join("redis.conf"), settings).expect("our own folder");
        let mut server = Server::start(Start {
            name: "Redis",
            program: &program("redis-server").expect("ask redis::missing() first"),
            args: vec![folder.path().join("redis.conf").display().to_string()],
            user: None,
            stop: Signal::TERM,
            output: folder.path().join("output"),
        });
        server.wait_ready(|| TcpStream::connect(("127.0.0.1", port)).ok());
        Redis { monitor: None, _server: server, port, folder }
    }

    /// `redis-cli MONITOR >> monitor.log`; returns when the server shows commands to it.
    pub fn monitor(&mut self) {
        let mut monitor = Server::start(Start {
            name: "redis-cli MONITOR",
            program: &program("sh").expect("a shell"),
            args: vec!["-c".to_owned(), format!("exec redis-cli -p {} MONITOR >> {}", self.port, self.monitor_log().display())],
            user: None,
            stop: Signal::TERM,
            output: self.folder.path().join("monitor.err"),
        });
        let file = self.monitor_log();
        monitor.wait_ready(|| fs::read(&file).ok().filter(|log| log.starts_with(b"OK")));
        self.monitor = Some(monitor);
    }

    /// What MONITOR shows, with the lists of clients.
    pub fn monitor_log(&self) -> PathBuf {
        self.folder.path().join("monitor.log")
    }

    /// The monitor's log once it contains `text`; panics after 10 s.
    pub fn wait_monitor(&self, text: &str) -> Vec<u8> {
        let file = self.monitor_log();
        wait_for(&format!("{text:?} in {}", file.display()), Duration::from_secs(10), || {
            let log = fs::read(&file).ok()?;
            memchr::memmem::find(&log, text.as_bytes()).map(|_| log)
        })
    }

    /// The guide's command for the list of clients, once.
    pub fn list_clients(&self) {
        let sed = r"s/^id=\([0-9]*\) addr=\([^ ]*\) .* user=\([^ ]*\) .*/id=\1 addr=\2 user=\3/p";
        let line = format!("redis-cli -p {} CLIENT LIST | sed -un '{sed}' >> {}", self.port, self.monitor_log().display());
        let status = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).status().expect("a shell");
        assert!(status.success(), "{line}: {status}");
    }

    /// Appends what `redis-cli OPTION COMMAND...` prints to a file.
    pub fn cli(&self, option: &str, command: &[&str], to: &Path) {
        let file = OpenOptions::new().append(true).create(true).open(to).expect("our own folder");
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string(), option]).args(command).stdin(Stdio::null()).stdout(file);
        assert!(cli.status().expect("redis-cli").success(), "{command:?}");
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection from an address of 127.0.0.0/8.
    pub fn connect(&self, from: &str) -> Client {
        let from: IpAddr = from.parse().expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let to: SocketAddr = ([127, 0, 0, 1], self.port).into();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind((from, 0).into()).expect("an address of the loopback network");
            socket.connect(to).await.expect("the server listens").into_std().expect("a socket")
        });
        stream.set_nonblocking(false).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        let address = stream.local_addr().expect("a connected socket");
        Client { answers: BufReader::new(stream.try_clone().expect("a second handle")), stream, address }
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    pub address: SocketAddr,
}

impl Client {
    /// Runs a command; the answer as it came, its first line only where it is an array.
    pub fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> String {
        let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            let argument = argument.as_ref();
            request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            request.extend_from_slice(argument);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("the server reads");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = Vec::new();
        self.answers.read_until(b'\n', &mut line).expect("an answer");
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let count = |text: &str| text.parse::<i64>().expect("a length");
        match line.split_at_checked(1) {
            Some(("$", len)) if count(len) >= 0 => {
                let mut body = vec![0; count(len) as usize + 2];
                self.answers.read_exact(&mut body).expect("the whole answer");
                String::from_utf8_lossy(&body).trim_end().to_owned()
            }
            Some(("*", len)) if count(len) >= 0 => {
                for _ in 0..count(len) {
                    self.answer();
                }
                line
            }
            _ => line,
        }
    }
}
