//! Entries: a line, and the lines after it that begin with the same head and a sign of continuation.

use crate::framing::lines::Lines;
use crate::framing::{Frame, Framed, Framer, MAX_RECORD, More};

use super::entry;

/// An event that ends well and is shorter than this was not cut into lines: the server cuts at 16,000 bytes.
const WHOLE: usize = 15_000;

/// Frames entries of the text forms, and JSON lines.
#[derive(Debug, Default)]
pub struct Entries {
    lines: Lines,
}

impl Framer for Entries {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        match self.lines.next(buf, more) {
            Framed::Record(frame) if !frame.truncated && !frame.unterminated => join(buf, frame, more),
            other => other,
        }
    }

    fn save(&self) -> Vec<u8> {
        self.lines.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.lines.restore(state);
    }
}

/// The entry that begins with the line of `frame`.
fn join(buf: &[u8], frame: Frame, more: More) -> Framed {
    let first = buf.get(..frame.len).unwrap_or_default();
    let line = match entry::parse(first) {
        Some(line) if matches!(line.cont, Some(b' ' | b'=')) => line,
        Some(line) if line.marked && line.cont.is_none() => return torn_head(buf, frame, more),
        _ => return Framed::Record(frame),
    };
    if line.cont == Some(b'=') && first.len() < WHOLE && first.ends_with(b"}") {
        return Framed::Record(frame);
    }
    let head = first.get(..line.head).unwrap_or_default();
    let mut end = frame.consumed;
    let mut unterminated = false;
    while end <= MAX_RECORD {
        let rest = buf.get(end..).unwrap_or_default();
        if rest.len() <= head.len() {
            if head.starts_with(rest) && more == More::Flowing {
                return Framed::Incomplete;
            }
            break;
        }
        if !rest.starts_with(head) || !matches!(rest.get(head.len()), Some(b'+' | b'|' | b'!')) {
            break;
        }
        match memchr::memchr(b'\n', rest) {
            Some(lf) => end += lf + 1,
            None if more == More::Closed => {
                end = buf.len();
                unterminated = true;
                break;
            }
            None if rest.len() > MAX_RECORD => break,
            None => return Framed::Incomplete,
        }
    }
    let len = if unterminated { end } else { end - 1 };
    Framed::Record(Frame { len, consumed: end, unterminated, ..frame })
}

/// The entry whose head a client's name with line breaks tore: each of its lines begins with the mark of client text.
fn torn_head(buf: &[u8], frame: Frame, more: More) -> Framed {
    /// Lines that are joined at most.
    const LINES: usize = 64;
    let mut end = frame.consumed;
    for _ in 0..LINES {
        let rest = buf.get(end..).unwrap_or_default();
        if !rest.starts_with(entry::OPEN) {
            if entry::OPEN.starts_with(rest) && more == More::Flowing {
                return Framed::Incomplete;
            }
            break;
        }
        let (lf, unterminated) = match memchr::memchr(b'\n', rest) {
            Some(lf) => (lf, false),
            None if more == More::Closed => (rest.len(), true),
            None if rest.len() > MAX_RECORD => break,
            None => return Framed::Incomplete,
        };
        let len = end + lf;
        end = len + usize::from(!unterminated);
        if end > MAX_RECORD {
            break;
        }
        if entry::parse(buf.get(..len).unwrap_or_default()).is_some_and(|line| line.cont.is_some()) {
            return Framed::Record(Frame { len, consumed: end, unterminated, ..frame });
        }
    }
    Framed::Record(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    #[test]
    fn entries_of_many_lines() {
        let head = |n: u32| format!("I261122 02:21:28.484001 611 9@a/b.go:32 ⋮ [n1] {n} ");
        let (a, b) = (head(1), head(2));
        let log = format!("{a}={{\"x\":\"ab\n{a}|cd\"}}\n{b} one\n{b}+two\n{a}+alone\n{{\"t\":1}}\ngoroutine\n{b}={{}}\n");
        let (records, _) = frames(&mut Entries::default(), log.as_bytes(), More::Closed);
        let want = [
            format!("{a}={{\"x\":\"ab\n{a}|cd\"}}"),
            format!("{b} one\n{b}+two"),
            format!("{a}+alone"),
            "{\"t\":1}".to_owned(),
            "goroutine".to_owned(),
            format!("{b}={{}}"),
        ];
        assert_eq!(records, want.iter().map(String::as_bytes).collect::<Vec<_>>());
        for size in 1..9 {
            assert_eq!(in_pieces(&mut Entries::default(), log.as_bytes(), size), records, "pieces of {size}");
        }
    }
}
