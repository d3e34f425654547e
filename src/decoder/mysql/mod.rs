//! The plain-text logs of MySQL, Percona Server and MariaDB: general, slow, error; the first two also as tables.

use bstr::BStr;

use crate::event::Outcome;
use crate::framing::seek::Seek;

pub mod doubt;
mod engine;
pub mod error;
pub mod general;
pub mod lex;
pub mod refusal;
pub mod rows;
pub mod slow;
pub mod stamp;

/// Error numbers that mean "not allowed": database, login, table, column, privilege, routine, login without a password, and
/// a locked account (MySQL's number and MariaDB's).
const DENIED: [&[u8]; 9] = [b"1044", b"1045", b"1142", b"1143", b"1227", b"1370", b"1698", b"3118", b"4151"];

/// What an error number says.
fn outcome(code: &[u8]) -> Outcome {
    match code {
        b"0" => Outcome::Success,
        b"" => Outcome::Unknown,
        code if DENIED.contains(&code) => Outcome::Denied,
        _ => Outcome::Error,
    }
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

/// The name of a server that a log begins with: `PATH, Version: 8.0.36 (...). started with:`.
fn banner(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.ends_with(b"started with:") && line.seek(b", Version: ").is_some()
}

/// The other lines of a log's head.
fn head(line: &[u8]) -> bool {
    if line.first().is_none_or(u8::is_ascii_digit) || line.trim_ascii_start().first() != Some(&b'T') {
        return false;
    }
    let words = |wanted: &[&[u8]]| {
        let mut words = line.split(|b| b.is_ascii_whitespace()).filter(|w| !w.is_empty());
        wanted.iter().all(|want| words.next() == Some(want)) && words.next().is_none()
    };
    (line.starts_with(b"Tcp port: ") && line.seek(b"Unix socket: ").is_some())
        || (line.starts_with(b"TCP Port: ") && line.seek(b"Named Pipe: ").is_some())
        || words(&[b"Time", b"Id", b"Command", b"Argument"])
}
