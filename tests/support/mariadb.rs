//! A real MariaDB server whose server_audit plugin writes every connection and query to a file.

use super::process::{Server, Start, command_as, folder_for, missing_programs, run_to_end};
use super::python::{self, Login, Rows};
use super::{free_port, program, wait_for};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

const ADMIN: (&str, &str) = ("admin", "made for this test");

pub struct MariaDb {
    server: Server,
    port: u16,
    folder: TempDir,
}

/// `Some(reason)` if MariaDB, its audit plugin or the Python clients are missing.
pub fn missing() -> Option<String> {
    missing_programs(&["mariadbd", "mariadb-install-db"], "mariadb-server").or_else(python::missing)
}

impl MariaDb {
    /// Starts a new, empty server that audits connections and queries. `options` are added to its command line, for
    /// example `--server_audit_events=CONNECT,QUERY,TABLE`.
    pub fn start(options: &[&str]) -> MariaDb {
        let folder = folder_for("mysql");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let mut install = command_as(Some("mysql"), None, &program("mariadb-install-db").expect("ask mariadb::missing() first"));
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        install.arg("--innodb-buffer-pool-size=16M");
        install.arg(format!("--datadir={}", place("data")));
        // One at a time: several at once have failed on a busy machine.
        static INSTALL: Mutex<()> = Mutex::new(());
        {
            let _alone = INSTALL.lock();
            run_to_end("mariadb-install-db", install);
        }

        let (user, password) = ADMIN;
        let first =
            format!("create user {user}@'127.%' identified by '{password}';\ngrant all on *.* to {user}@'127.%' with grant option;\n");
        fs::write(folder.path().join("first.sql"), first).expect("the first statements");

        let port = free_port();
        let mut args = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={}", place("data")),
            format!("--socket={}", place("socket")),
            format!("--pid-file={}", place("pid")),
            format!("--init-file={}", place("first.sql")),
            format!("--port={port}"),
            format!("--server_audit_file_path={}", place("audit.log")),
        ];
        let fixed = [
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            "--plugin-load-add=server_audit",
            "--server_audit_logging=ON",
            "--server_audit_events=CONNECT,QUERY",
            "--server_audit_output_type=file",
        ];
        args.extend(fixed.iter().chain(options).map(|&option| option.to_owned()));
        let mut server = Server::start(Start {
            name: "MariaDB",
            program: &program("mariadbd").expect("ask mariadb::missing() first"),
            args,
            user: Some("mysql"),
            stop: Signal::TERM,
            output: folder.path().join("output"),
        });
        let output = folder.path().join("output");
        server.wait_ready(|| {
            let text = fs::read(&output).ok()?;
            String::from_utf8_lossy(&text).contains("ready for connections").then_some(())
        });
        MariaDb { server, port, folder }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The file of the audit plugin.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// A file in the server's data folder, which is what names in its options are relative to.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// The server's error log.
    pub fn error_log(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// The audit log once it contains `text`; panics after 10 s.
    pub fn wait_audit(&self, text: &str) -> String {
        let file = self.audit_log();
        wait_for(&format!("{text:?} in {}", file.display()), Duration::from_secs(10), || {
            let log = String::from_utf8_lossy(&fs::read(&file).ok()?).into_owned();
            log.contains(text).then_some(log)
        })
    }

    /// Runs statements with all rights from 127.0.0.1; panics if one fails.
    pub fn admin(&self, statements: &[&str]) -> Vec<Rows> {
        let login = Login { user: ADMIN.0, password: ADMIN.1, database: "", from: "127.0.0.1", client: "tests" };
        let results = self.query(&login, statements).expect("a session of the administrator");
        let pairs = statements.iter().zip(results);
        pairs.map(|(statement, result)| result.unwrap_or_else(|error| panic!("{statement}: {error}"))).collect()
    }

    /// Creates an account that may log in from all of 127.0.0.0/8.
    pub fn create_user(&self, user: &str, password: &str) {
        self.admin(&[&format!("create user `{user}`@'127.%' identified by '{password}'")]);
    }

    /// One statement by `user`, from an address of 127.0.0.0/8, with no database chosen.
    pub fn query_as(&self, user: &str, password: &str, from: &str, sql: &str) -> Result<Rows, String> {
        let login = Login { user, password, database: "", from, client: "tests" };
        self.query(&login, &[sql])?.pop().unwrap_or_else(|| Err("no answer".to_owned()))
    }

    /// Several statements in one session.
    pub fn query(&self, login: &Login<'_>, statements: &[&str]) -> Result<Vec<Result<Rows, String>>, String> {
        python::query("mariadb", self.port, login, statements)
    }

    /// Tries to log in as `user`, by the bytes of the protocol, and is refused.
    pub fn refuse(&self, user: &[u8]) {
        const LONG_PASSWORD_41_SECURE_PLUGIN: u32 = 0x1 | 0x200 | 0x8000 | 0x80000;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        packet(&mut stream);
        let mut answer = LONG_PASSWORD_41_SECURE_PLUGIN.to_le_bytes().to_vec();
        answer.extend_from_slice(&(1u32 << 24).to_le_bytes());
        answer.push(45); // utf8mb4
        answer.extend_from_slice(&[0; 23]);
        answer.extend_from_slice(user);
        answer.push(0);
        answer.push(20);
        answer.extend_from_slice(&[7; 20]);
        answer.extend_from_slice(b"mysql_native_password\0");
        let mut framed = (answer.len() as u32).to_le_bytes()[..3].to_vec();
        framed.push(1);
        framed.extend_from_slice(&answer);
        stream.write_all(&framed).expect("the server reads");
        assert_eq!(packet(&mut stream).first(), Some(&0xff), "refused");
    }

    pub fn stop(&mut self) {
        self.server.stop();
    }
}

/// One packet of the protocol.
fn packet(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).expect("a packet's head");
    let mut body = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    stream.read_exact(&mut body).expect("a packet's body");
    body
}
