//! Statements as logs of before 21.1 tell them, in words instead of events:
//!
//! ```text
//! I200829 18:30:13.261462 10900 sql/exec_log.go:188  [n1,client=10.1.0.7:52979,hostnossl,user=billing] 5 exec "app" {"rides"[55]:READ} "SELECT 1" {} 12.192 13 OK 0
//! I201008 21:16:13.751178 1947 sql/exec_log.go:225 ⋮ [n1,client=‹10.1.0.7:54351›,hostnossl,user=billing] 1 53.832ms ‹exec› ‹"app"› ‹{}› ‹"SELECT 1"› ‹{}› 0 ‹""› 0
//! ```
//! The first form is that of the audit log and, up to 20.1, of `sql.trace.log_statement_execute`; the second that of 20.2.
//! <https://www.cockroachlabs.com/docs/v20.1/experimental-audit#audit-log-file-format>

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::entry::Tags;
use super::unmarked;
use crate::decoder::peer::peer;
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;

/// The event that a line's text tells; `None` where it tells of no statement. Clients can write such lines, so nobody is verified by them.
pub fn event<'a>(payload: &'a [u8], tags: &Tags<'a>, time: Time, arena: &'a Bump) -> Option<Event<'a>> {
    let (_, text) = payload.part("] ")?;
    let mut rest = unmarked(BStr::new(text), arena)?.as_bytes();
    let mut word = || {
        let (word, after) = rest.split_at(rest.find_byte(b' ')?);
        rest = after.get(1..)?;
        Some(word)
    };
    // A number, the time it took, what was done.
    let mut label = word()?;
    let mut took = None;
    if label.iter().all(u8::is_ascii_digit) {
        label = word()?;
    }
    if let Some(ms) = label.strip_suffix(b"ms").and_then(number) {
        (took, label) = (Some(ms), word()?);
    }
    if !matches!(label, b"exec" | b"exec-internal" | b"prepare" | b"prepare-internal") {
        return None;
    }
    let (application, after) = quoted(rest)?;
    let (tables, after) = braced(after.strip_prefix(b" ")?)?;
    let (statement, after) = quoted(after.strip_prefix(b" ")?)?;
    let (_, after) = braced(after.strip_prefix(b" ")?)?;
    let mut ends = after.strip_prefix(b" ")?.splitn_str(3, " ");
    if took.is_none() {
        took = Some(number(ends.next()?)?);
    }
    let rows = ends.next()?;
    let end = ends.next().unwrap_or_default();
    let failed = end.starts_with(b"ERROR") || end.starts_with(b"\"") && !end.starts_with(b"\"\"");

    let mut event = Event::new(if failed { Kind::Error } else { Kind::Query }, time);
    event.outcome = if failed { Outcome::Error } else { Outcome::Success };
    if label != b"exec" {
        // Prepared statements run later; others are the server's own.
        (event.kind, event.outcome) = (Kind::Other, Outcome::Unknown);
    }
    event.statement = plain(statement, arena);
    event.dialect = Dialect::Postgres;
    event.client = plain(application, arena);
    event.rows = std::str::from_utf8(rows).ok().and_then(|rows| rows.parse().ok());
    event.duration_us = took.map(|ms| (ms * 1e3).round() as u64);
    if let Some((table, after)) = quoted(tables) {
        event.objects = arena.alloc_slice_fill_iter(plain(table, arena));
        event.operation = after.ends_with(b":READ").then_some(Operation::Select);
    }
    if let Some(address) = tags.client.and_then(|client| unmarked(client, arena)) {
        (event.address, event.port) = peer(address);
    }
    let user = tags.user.and_then(|user| unmarked(user, arena));
    event.principal = user.map(|name| Principal { name, provenance: Provenance::Claimed });
    Some(event)
}

fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number| (0.0..1e15).contains(number))
}

/// A text in quotes as Go writes it, escapes and all, and what follows.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += text.get(at..)?.find_byteset(b"\"\\")?;
        if text.get(at) == Some(&b'"') {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
        at += 2;
    }
}

/// What stands in braces, texts in quotes passed over, and what follows.
fn braced(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"{")?;
    let mut rest = inside;
    loop {
        let at = rest.find_byteset(b"\"}")?;
        rest = rest.get(at..)?;
        if let Some(after) = rest.strip_prefix(b"}") {
            return Some((inside.get(..inside.len() - rest.len())?, after));
        }
        rest = quoted(rest)?.1;
    }
}

/// The text that Go has quoted; `None` where it is empty. Escapes of bytes that cannot be shown are left as they are.
fn plain<'a>(text: &'a [u8], arena: &'a Bump) -> Option<&'a BStr> {
    let mut out = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [code @ (b'"' | b'\\'), after @ ..]) => (*code, after),
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'r', after @ ..]) => (b'\r', after),
            _ => (*first, after),
        };
        out.push(byte);
        rest = after;
    }
    (!out.is_empty()).then(|| BStr::new(out.into_bump_slice()))
}
