//! One line of the text forms: `Lyymmdd hh:mm:ss.uuuuuu goid [chan@]file:line marker [tags] counter cont payload`.

use crate::framing::seek::Seek;
use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

/// ‹ and ›, around what comes from clients.
pub const OPEN: &[u8] = "‹".as_bytes();
pub const CLOSE: &[u8] = "›".as_bytes();
/// Stands in the head where the rest of the line has these marks.
const MARKED: &[u8] = "⋮".as_bytes();

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// `yymmdd hh:mm:ss.uuuuuu[±hhmmss]`
    pub stamp: &'a [u8],
    /// What comes from clients is marked.
    pub marked: bool,
    pub tags: &'a [u8],
    /// Length of the head, up to the sign of continuation.
    pub head: usize,
    /// How the line goes on from the one before: ` ` and `=` begin an entry. `None`: a line of crdb-v1, which has no such sign.
    pub cont: Option<u8>,
    pub payload: &'a [u8],
}

/// The first line of a record; `None` where it is no line of the log. Only where a client's name has line breaks, between its marks, does
/// the head run over lines.
pub fn parse(line: &[u8]) -> Option<Line<'_>> {
    let [b'I' | b'W' | b'E' | b'F', rest @ ..] = line else { return None };
    let form = rest.get(..22)?;
    if !form.iter().zip(b"dddddd dd:dd:dd.dddddd").all(|(byte, form)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form }) {
        return None;
    }
    let zone = match rest.get(22) {
        Some(b'+' | b'-') if rest.get(23..29)?.iter().all(u8::is_ascii_digit) => 7,
        _ => 0,
    };
    let (stamp, rest) = rest.split_at_checked(22 + zone)?;
    let rest = rest.strip_prefix(b" ")?;
    // The goroutine's number may be missing in crdb-v1.
    let rest = match word(rest) {
        Some((number, after)) if !number.is_empty() && number.iter().all(u8::is_ascii_digit) => after,
        _ => rest,
    };
    let rest = rest.strip_prefix(b"(gostd) ").unwrap_or(rest);
    let (place, rest) = word(rest)?;
    let (file, number) = place.part_last(":")?;
    if file.is_empty() || number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (marked, rest) = match word(rest) {
        Some((b"", after)) => (false, after),
        Some((marker, after)) if marker == MARKED => (true, after),
        // crdb-v1 of before 20.2 has no room for the mark.
        _ => return Some(Line { stamp, marked: false, tags: b"", head: 0, cont: None, payload: until(rest) }),
    };
    Some(match ends(rest, marked) {
        Some((tags, cont)) => {
            let head = line.len() - rest.len() + cont;
            Line { stamp, marked, tags: rest.get(1..tags)?, head, cont: rest.get(cont).copied(), payload: until(rest.get(cont + 1..)?) }
        }
        None => {
            let tags = rest.strip_prefix(b"[").and_then(|tags| tags.get(..tags.seek(b"] ")?)).unwrap_or_default();
            Line { stamp, marked, tags, head: 0, cont: None, payload: until(rest) }
        }
    })
}

/// Text up to the end of its line.
fn until(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Text up to a blank, and what follows it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = text.find_byte(b' ')?;
    Some((text.get(..blank)?, text.get(blank + 1..)?))
}

/// In `[tags] counter cont...`: where the tags end and where the sign of continuation stands. Brackets of client text do not count.
fn ends(text: &[u8], marked: bool) -> Option<(usize, usize)> {
    if !text.starts_with(b"[") {
        return None;
    }
    let mut at = 1;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if marked && rest.starts_with(OPEN) {
            at += rest.find(CLOSE)? + CLOSE.len();
            continue;
        }
        if let Some(after) = rest.strip_prefix(b"] ") {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if let Some([b' ', b' ' | b'=' | b'+' | b'|' | b'!', ..]) = after.get(digits..) {
                return Some((at, at + 2 + digits + 1));
            }
            return None;
        }
        at += 1;
    }
    None
}

/// The tags that are used, marks removed as far as they stand around the whole.
#[derive(Debug, Default)]
pub struct Tags<'a> {
    pub client: Option<&'a BStr>,
    pub user: Option<&'a BStr>,
}

/// `n1,client=‹10.1.0.7:53568›,hostssl,user=‹billing›`. The server's tags come first, and of each only the first counts.
pub fn tags(text: &[u8]) -> Tags<'_> {
    let mut tags = Tags::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, value) = match rest.find_byteset(b",=") {
            Some(at) if rest.get(at) == Some(&b'=') => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
            at => {
                rest = at.and_then(|at| rest.get(at + 1..)).unwrap_or_default();
                continue;
            }
        };
        let end = match value.strip_prefix(OPEN) {
            Some(inner) => inner.find(CLOSE).map_or(value.len(), |end| OPEN.len() + end + CLOSE.len()),
            None => value.find_byte(b',').unwrap_or(value.len()),
        };
        let (value, after) = value.split_at_checked(end).unwrap_or((value, b""));
        rest = after.strip_prefix(b",").unwrap_or(after);
        let slot = match key {
            b"client" => &mut tags.client,
            b"user" => &mut tags.user,
            _ => continue,
        };
        slot.get_or_insert(BStr::new(value));
        if rest.starts_with(b"\n") {
            break; // the rest is the client's
        }
    }
    tags
}

/// The JSON of a structured entry, its lines joined; `None` where the entry is none.
pub fn structured<'a>(record: &'a [u8], line: &Line<'a>, arena: &'a Bump) -> Option<&'a [u8]> {
    match line.cont {
        Some(b'=') => {}
        Some(_) => return None,
        None => return line.payload.part("Structured entry: ").map(|(_, json)| json).filter(|json| json.starts_with(b"{")),
    }
    let tail = record.get(line.head + 1 + line.payload.len()..).unwrap_or_default();
    if tail.is_empty() {
        return Some(line.payload);
    }
    let mut whole = bumpalo::collections::Vec::from_iter_in(line.payload.iter().copied(), arena);
    for next in tail.split(|byte| *byte == b'\n').skip(1) {
        // The framer has joined only lines with this head.
        match next.get(line.head) {
            Some(b'|') => whole.extend_from_slice(next.get(line.head + 1..).unwrap_or_default()),
            Some(b'+') => {
                whole.extend_from_slice(b"\\n");
                whole.extend_from_slice(next.get(line.head + 1..).unwrap_or_default());
            }
            _ => {}
        }
    }
    Some(whole.into_bump_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = "I261122 02:21:28.484001 611 9@util/log/event_log.go:32 ⋮ [n1,client=‹[::1]:5›,user=‹a] 7 =x›] 900 ={}";
        let got = parse(line.as_bytes()).unwrap();
        assert_eq!((got.marked, got.cont, got.payload), (true, Some(b'='), &b"{}"[..]));
        assert_eq!(tags(got.tags).user, Some(BStr::new("‹a] 7 =x›")));
        let got = parse("I261122 02:21:28.484001+010000 1 (gostd) net/http/server.go:3095 ⋮ [-]   file created".as_bytes()).unwrap();
        assert_eq!((got.cont, got.payload, got.tags), (Some(b' '), &b"file created"[..], &b"-"[..]));
        let got = parse(b"I180101 02:21:28.484001 13 server/node.go:3  [n1] hello").unwrap();
        assert_eq!((got.marked, got.cont, got.payload), (false, None, &b"[n1] hello"[..]));
        assert_eq!(parse(b"I180101 02:21:28.484001 13 server/node.go:3 hello").unwrap().payload, b"hello");
        for none in ["", "I", "goroutine 1 [running]:", "I261122 02:21:28.484001 611 x", "X261122 02:21:28.484001 611 a.go:1 ⋮ [-] 1  x"]
        {
            assert_eq!(parse(none.as_bytes()), None, "{none}");
        }
    }
}
