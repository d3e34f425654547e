//! A real Apache Cassandra, one node with a small heap, whose audit log goes to a file by way of logback; and a client that speaks
//! the native protocol from an address of our choice.

use super::process::{Server, Start};
use super::{fetched, free_port, program, wait_for};
use rustix::process::Signal;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The account that exists from the start.
pub const ADMIN: (&str, &str) = ("cassandra", "cassandra");

pub struct Cassandra {
    _server: Server,
    port: u16,
    folder: TempDir,
}

fn jars() -> PathBuf {
    fetched("TOKENWATCH_CASSANDRA_JARS", "cassandra-jars")
}

/// What of Cassandra is missing here.
pub fn missing() -> Option<String> {
    let jars = jars();
    let empty = fs::read_dir(&jars).map_or(true, |mut files| files.next().is_none());
    if empty {
        Some(format!("Apache Cassandra: no jars in {}", jars.display()))
    } else {
        super::process::missing_programs(&["java"], "default-jre-headless")
    }
}

/// What Cassandra's own start script opens to it of Java 17.
const EXPORTS: [&str; 9] = [
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
];
const OPENS: [&str; 18] = [
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/java.util.concurrent",
    "java.base/java.util",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.lang",
    "java.base/java.math",
    "java.base/java.lang.reflect",
    "java.base/java.net",
];

impl Cassandra {
    /// Starts an empty node with accounts and the audit log switched on; panics if its jars are not there.
    pub fn start() -> Cassandra {
        let folder = tempfile::Builder::new().prefix("tokenwatch-cassandra-").tempdir().expect("a temporary folder");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let (port, storage) = (free_port(), free_port());
        let settings = format!(
            "cluster_name: tests\nnum_tokens: 1\npartitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
             data_file_directories: [{}]\ncommitlog_directory: {}\nsaved_caches_directory: {}\nhints_directory: {}\ncdc_raw_directory: {}\n\
             commitlog_sync: periodic\ncommitlog_sync_period: 10000ms\ncommitlog_segment_size: 4MiB\ncommitlog_disk_access_mode: legacy\n\
             seed_provider:\n  - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n    parameters:\n      - seeds: \"127.0.0.1:{storage}\"\n\
             listen_address: 127.0.0.1\nstorage_port: {storage}\nrpc_address: 127.0.0.1\nnative_transport_port: {port}\n\
             endpoint_snitch: SimpleSnitch\nauthenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n\
             role_manager: CassandraRoleManager\nconcurrent_reads: 4\nconcurrent_writes: 4\nmemtable_heap_space: 32MiB\n\
             memtable_offheap_space: 32MiB\nfile_cache_size: 16MiB\nkey_cache_size: 0MiB\n\
             audit_logging_options:\n  enabled: true\n  logger:\n    - class_name: FileAuditLogger\n",
            place("data"),
            place("commitlog"),
            place("saved"),
            place("hints"),
            place("cdc")
        );
        fs::write(folder.path().join("cassandra.yaml"), settings).expect("our own folder");
        // The pattern of Cassandra's own logback.xml.
        let appender = |name: &str| {
            format!(
                "<appender name=\"{name}\" class=\"ch.qos.logback.core.FileAppender\"><file>{}</file><encoder>\
                 <pattern>%-5level [%thread] %date{{ISO8601}} %F:%L - %msg%n</pattern></encoder></appender>",
                place(&format!("{name}.log"))
            )
        };
        let logback = format!(
            "<configuration>{}{}<logger name=\"org.apache.cassandra.audit\" additivity=\"false\" level=\"INFO\"><appender-ref ref=\"audit\"/></logger>\
             <root level=\"INFO\"><appender-ref ref=\"system\"/></root></configuration>",
            appender("system"),
            appender("audit")
        );
        fs::write(folder.path().join("logback.xml"), logback).expect("our own folder");
        let mut args: Vec<String> =
            ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djdk.attach.allowAttachSelf=true"].map(str::to_owned).to_vec();
        args.extend(EXPORTS.iter().flat_map(|name| ["--add-exports".to_owned(), format!("{name}=ALL-UNNAMED")]));
        args.extend(OPENS.iter().flat_map(|name| ["--add-opens".to_owned(), format!("{name}=ALL-UNNAMED")]));
        args.extend([
            format!("-Dcassandra.config=file://{}", place("cassandra.yaml")),
            format!("-Dlogback.configurationFile={}", place("logback.xml")),
            format!("-Dcassandra.storagedir={}", folder.path().display()),
        ]);
        // A lone node waits for nobody.
        args.extend(
            ["superuser_setup_delay_ms=0", "skip_wait_for_gossip_to_settle=0", "ring_delay_ms=1"].map(|o| format!("-Dcassandra.{o}")),
        );
        args.extend(["-Dcassandra-foreground=yes", "-cp"].map(str::to_owned));
        args.push(format!("{}/*", jars().display()));
        args.push("org.apache.cassandra.service.CassandraDaemon".to_owned());
        let output = folder.path().join("output");
        let mut server = Server::start(Start {
            name: "Cassandra",
            program: &program("java").expect("ask cassandra::missing() first"),
            args,
            user: None,
            // It would flush its tables on an orderly stop, and nobody reads them again.
            stop: Signal::KILL,
            output,
        });
        server.wait_ready(|| TcpStream::connect(("127.0.0.1", port)).ok());
        let cassandra = Cassandra { _server: server, port, folder };
        // The first account is made in the background.
        wait_for("Cassandra's first account", Duration::from_secs(30), || cassandra.login("127.0.0.1", ADMIN.0, ADMIN.1).ok());
        cassandra
    }

    /// The audit log.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// The rest of what the server logs.
    pub fn system_log(&self) -> PathBuf {
        self.folder.path().join("system.log")
    }

    /// The audit log once it contains `text`; panics after 10 s.
    pub fn wait_audit(&self, text: &str) -> Vec<u8> {
        wait_in(&self.audit_log(), text)
    }

    /// A session from an address of 127.0.0.0/8; what the server says if it refuses.
    pub fn login(&self, from: &str, user: &str, password: &str) -> Result<Client, String> {
        let from: IpAddr = from.parse().expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let to: SocketAddr = ([127, 0, 0, 1], self.port).into();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind((from, 0).into()).expect("an address of the loopback network");
            socket.connect(to).await.expect("the server listens").into_std().expect("a socket")
        });
        stream.set_nonblocking(false).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        let address = stream.local_addr().expect("a connected socket");
        let mut client = Client { stream, address };
        let mut startup = Vec::new();
        startup.extend_from_slice(&1u16.to_be_bytes());
        short(&mut startup, b"CQL_VERSION");
        short(&mut startup, b"3.0.0");
        let (opcode, _) = client.call(STARTUP, &startup).map_err(|error| error.to_string())?;
        assert_eq!(opcode, AUTHENTICATE);
        let token = [&[0], user.as_bytes(), &[0], password.as_bytes()].concat();
        let mut response = (token.len() as u32).to_be_bytes().to_vec();
        response.extend_from_slice(&token);
        match client.call(AUTH_RESPONSE, &response).map_err(|error| error.to_string())? {
            (AUTH_SUCCESS, _) => Ok(client),
            (_, body) => Err(String::from_utf8_lossy(&body).into_owned()),
        }
    }
}

fn wait_in(file: &Path, text: &str) -> Vec<u8> {
    wait_for(&format!("{text:?} in {}", file.display()), Duration::from_secs(10), || {
        let log = fs::read(file).ok()?;
        memchr::memmem::find(&log, text.as_bytes()).map(|_| log)
    })
}

const STARTUP: u8 = 1;
const AUTHENTICATE: u8 = 3;
const QUERY: u8 = 7;
const AUTH_RESPONSE: u8 = 15;
const AUTH_SUCCESS: u8 = 16;

fn short(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

/// One session.
pub struct Client {
    stream: TcpStream,
    pub address: SocketAddr,
}

impl Client {
    /// Sends a frame of version 4 of the protocol; the answer's code and body.
    fn call(&mut self, opcode: u8, body: &[u8]) -> io::Result<(u8, Vec<u8>)> {
        let mut frame = vec![4, 0, 0, 0, opcode];
        frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
        frame.extend_from_slice(body);
        self.stream.write_all(&frame)?;
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let mut answer = vec![0; u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize];
        self.stream.read_exact(&mut answer)?;
        Ok((head[4], answer))
    }

    /// Runs a statement; what the server says if it fails.
    pub fn query(&mut self, statement: &str) -> Result<(), String> {
        let mut body = (statement.len() as u32).to_be_bytes().to_vec();
        body.extend_from_slice(statement.as_bytes());
        // Consistency ONE, no flags.
        body.extend_from_slice(&[0, 1, 0]);
        match self.call(QUERY, &body).expect("an answer") {
            (0, error) => Err(String::from_utf8_lossy(error.get(6..).unwrap_or_default()).into_owned()),
            _ => Ok(()),
        }
    }
}
