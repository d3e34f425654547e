//! The real servers and clients that integration tests use. A test file says `mod support;` and starts what it needs;
//! every server listens on loopback on a free port, keeps its files in a temporary folder and ends with its value.
//!
//! `tests/run` installs the parts. A test first asks [`skip`] whether all of its parts are there.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(clippy::disallowed_methods, reason = "waiting for a real server needs the real clock")]

pub mod cassandra;
pub mod clickhouse;
pub mod daemon;
pub mod forgery;
pub mod http_receiver;
pub mod kafka;
pub mod mariadb;
pub mod opensearch;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod python;
pub mod random;
pub mod redis;
pub mod relay;
pub mod rsyslog;
pub mod smtp;
pub mod vault;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// True if a part is missing, having printed `SKIPPED: …` for each; the test then returns. `tests/run` collects these
/// lines and fails when CI=true.
///
/// ```ignore
/// if support::skip([postgres::missing(), python::missing()]) { return; }
/// ```
pub fn skip(parts: impl IntoIterator<Item = Option<String>>) -> bool {
    let missing: Vec<String> = parts.into_iter().flatten().collect();
    for part in &missing {
        println!("SKIPPED: {part} (tests/run installs it)");
    }
    !missing.is_empty()
}

/// A TCP port of 127.0.0.1 that is free now and is not handed out twice by this process. It lies below the range from
/// which the kernel takes the ports of outgoing connections, so that none of those can take it before the server does.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // test binaries that run side by side start at different places
    let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from((start + step) % u32::from(COUNT)).expect("below 12,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT);
}

/// Asks `ready` every 20 ms until it gives a value; panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(began.elapsed() < limit, "waited {} s in vain for {what}", limit.as_secs());
        sleep(Duration::from_millis(20));
    }
}

/// Status and body of `GET path` from `127.0.0.1:port`; `None` if nobody answers there.
pub fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    // version 1.0: the answer ends with the connection, in one piece
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The folder of the package: where `tests/`, `deploy/` and `samples/` stand.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A part that `tests/run` fetched: the path in the environment variable, else the same place below `target/`.
pub fn fetched(variable: &str, below_target: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| root().join("target").join(below_target), PathBuf::from)
}

/// The program `name` in PATH or in the folders of system administration, which PATH of a plain user leaves out.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(administration).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
