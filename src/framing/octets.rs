//! Syslog messages in a byte stream (RFC 6587): each ends with LF, or its length in octets stands before it.
//!
//! ```text
//! 46 <134>1 2026-11-22T02:21:28Z db1 postgres 77 - - hello
//! <134>Nov 22 02:21:28 db1 postgres[77]: hello\n
//! ```
//!
//! The first message tells which. Behind a counted message either may follow, for nobody but the sender chooses where it ends. Behind
//! a message that ends with LF no count is believed: a client whose text is passed on with its line breaks could otherwise
//! swallow what follows with a count of its own. In a file, what begins with a blank goes on with the line before, as `journalctl` prints
//! messages of several lines.
//! <https://datatracker.ietf.org/doc/html/rfc6587>

use serde::{Deserialize, Serialize};

use super::indent::Indent;
use super::joined::Joined;
use super::lines::{Lines, void, without_cr};
use super::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

/// Longest message that a count is believed for. A longer one is a number that happens to stand there.
const MOST: usize = 64 << 20;

/// Frames syslog messages.
#[derive(Debug, Default)]
pub struct Messages {
    /// Whether counts stand before messages; `None` before the first.
    counted: Option<bool>,
    /// Bytes left of a counted message whose head was given out already.
    passing: usize,
    lines: Lines,
    /// In a file: its lines.
    indented: Option<Joined<Indent>>,
    /// Something stood where a counted message should begin.
    astray: bool,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    counted: Option<bool>,
    passing: usize,
    lines: Vec<u8>,
}

enum Count {
    /// The message of this length begins at this offset.
    Is(usize, usize),
    No,
    /// Too few bytes to say.
    More,
}

impl Messages {
    pub fn new() -> Self {
        Self::default()
    }

    /// Messages in a file.
    pub fn in_file() -> Self {
        Messages { indented: Some(Joined::new()), ..Self::default() }
    }

    /// In a connection: something stood where a counted message should begin, so nothing that follows can be believed.
    pub fn astray(&self) -> bool {
        self.astray
    }

    fn line(&mut self, buf: &[u8], more: More) -> Framed {
        match &mut self.indented {
            Some(indented) => indented.next(buf, more),
            None => self.lines.next(buf, more),
        }
    }

    fn passing_line(&self) -> bool {
        self.lines.is_passing() || self.indented.as_ref().is_some_and(Joined::is_passing)
    }

    /// A message of `len` bytes behind its count.
    fn message(&mut self, buf: &[u8], begin: usize, len: usize, more: More) -> Framed {
        let end = begin + len;
        if len > MAX_RECORD && buf.len() > begin + MAX_RECORD {
            let consumed = buf.len().min(end);
            self.passing = end - consumed;
            return Framed::Record(Frame { skip: begin, len: HEAD, consumed, truncated: true, unterminated: false, suspect: None });
        }
        let (consumed, unterminated) = match (buf.len() >= end, more) {
            (true, _) => (end, false),
            (false, More::Closed) => (buf.len(), true),
            (false, _) => return Framed::Incomplete,
        };
        let text = buf.get(begin..consumed).unwrap_or_default();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let len = without_cr(text, text.len());
        if len == 0 {
            return Framed::Skip { consumed, reason: "empty message" };
        }
        Framed::Record(Frame { skip: begin, len, consumed, truncated: false, unterminated, suspect: None })
    }
}

impl Framer for Messages {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if buf.is_empty() {
            return Framed::Incomplete;
        }
        if self.passing > 0 {
            let consumed = self.passing.min(buf.len());
            self.passing -= consumed;
            return Framed::Skip { consumed, reason: "rest of an oversized record" };
        }
        if self.counted == Some(false) || self.passing_line() {
            return self.line(buf, more);
        }
        if let Some(skip) = void(buf) {
            return skip;
        }
        match count(buf) {
            Count::Is(len, begin) => {
                self.counted = Some(true);
                self.message(buf, begin, len, more)
            }
            Count::More if more != More::Closed => Framed::Incomplete,
            _ => {
                self.astray |= self.counted == Some(true) && buf.first() != Some(&b'<');
                self.counted.get_or_insert(false);
                self.line(buf, more)
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        if self.counted.is_none() {
            return Vec::new();
        }
        let saved = Saved {
            counted: self.counted,
            passing: self.passing,
            lines: self.indented.as_ref().map_or_else(|| self.lines.save(), Framer::save),
        };
        postcard::to_stdvec(&saved).unwrap_or_default()
    }

    fn mark(&self) -> u64 {
        let counted = self.counted.map_or(0, |counted| 1 + u64::from(counted));
        (self.passing as u64) << 3 | counted << 1 | u64::from(self.passing_line())
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(saved) = postcard::from_bytes::<Saved>(state) {
            (self.counted, self.passing) = (saved.counted, saved.passing);
            match &mut self.indented {
                Some(indented) => indented.restore(&saved.lines),
                None => self.lines.restore(&saved.lines),
            }
        }
    }
}

/// The count at the start of `buf`: digits, a blank, and the `<` that every message begins with.
fn count(buf: &[u8]) -> Count {
    let digits = buf.iter().take(9).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || digits > 8 || buf.first() == Some(&b'0') {
        return Count::No;
    }
    match (buf.get(digits), buf.get(digits + 1)) {
        (None, _) | (Some(b' '), None) => Count::More,
        (Some(b' '), Some(b'<')) => {
            let len = buf.iter().take(digits).fold(0usize, |n, b| n * 10 + usize::from(b - b'0'));
            if (1..=MOST).contains(&len) { Count::Is(len, digits + 1) } else { Count::No }
        }
        _ => Count::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    fn check(stream: &[u8], want: &[&str]) {
        let (records, _) = frames(&mut Messages::new(), stream, More::Closed);
        let text: Vec<_> = records.iter().map(|r| String::from_utf8_lossy(r).into_owned()).collect();
        assert_eq!(text, want, "{}", String::from_utf8_lossy(stream));
        for size in 1..9 {
            let pieces = in_pieces(&mut Messages::new(), stream, size);
            let text: Vec<_> = pieces.iter().map(|r| String::from_utf8_lossy(r).into_owned()).collect();
            assert_eq!(text, want, "in pieces of {size}");
        }
    }

    #[test]
    fn counted_and_not() {
        check(b"5 <1>ab6 <1>abc", &["<1>ab", "<1>abc"]);
        check(b"<1>ab\n<2>cd\r\n<3>e", &["<1>ab", "<2>cd", "<3>e"]);
        // A line break inside a counted message is part of it; one at its end is not.
        check(b"8 <1>a\n<2>7 <1>abc\n", &["<1>a\n<2>", "<1>abc"]);
        // Some send a line break behind counted messages too, or change to lines.
        check(b"5 <1>ab\n5 <1>cd\n<1>ef\n5 <1>gh", &["<1>ab", "<1>cd", "<1>ef", "<1>gh"]);
        // Torn at the end.
        check(b"5 <1>ab50 <1>cd", &["<1>ab", "<1>cd"]);
        // Times begin with digits as well.
        check(b"2026-11-22T02:21:28Z db1 a: b\n2027 x\n", &["2026-11-22T02:21:28Z db1 a: b", "2027 x"]);
        check(b"\0\0\n5 <1>ab", &["<1>ab"]);
    }

    #[test]
    fn indented_lines_in_files() {
        let log = b"Nov 22 02:21:28 db1 a: b\n                     c\n                     \n                     d\nNov 22 02:21:28 db1 a: e\n\nf\n";
        let want = [
            "Nov 22 02:21:28 db1 a: b\n                     c\n                     \n                     d",
            "Nov 22 02:21:28 db1 a: e",
            "f",
        ];
        for size in 1..log.len() {
            let pieces = in_pieces(&mut Messages::in_file(), log, size);
            let text: Vec<_> = pieces.iter().map(|r| String::from_utf8_lossy(r).into_owned()).collect();
            assert_eq!(text, want, "in pieces of {size}");
        }
        let counted = in_pieces(&mut Messages::in_file(), b"5 <1>ab\n5 <1>cd\n<1>ef\n5 <1>gh", 3);
        assert_eq!(counted, [b"<1>ab", b"<1>cd", b"<1>ef", b"<1>gh"]);
    }

    #[test]
    fn no_count_is_believed_behind_a_line() {
        check(b"<1>ab\n999 <1>x\n<1>cd\n", &["<1>ab", "999 <1>x", "<1>cd"]);
        check(b"99999999999 <1>x\n5 <1>cd\n", &["99999999999 <1>x", "5 <1>cd"]);
    }

    #[test]
    fn what_stands_where_a_count_should_is_noticed() {
        let mut messages = Messages::new();
        let (records, _) = frames(&mut messages, b"5 <1>ab<1>cd\n", More::Closed);
        assert_eq!((records.len(), messages.astray()), (2, false));
        let (_, _) = frames(&mut messages, b"x5 <1>ab", More::Closed);
        assert!(messages.astray());
    }

    #[test]
    fn an_oversized_message_is_cut_and_its_rest_passed_over() {
        let mut log = format!("{} <1>{}", 10 << 20, "x".repeat((10 << 20) - 3)).into_bytes();
        log.extend_from_slice(b"5 <1>ab");
        let records = in_pieces(&mut Messages::new(), &log, 100_000);
        assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [HEAD, 5]);
    }

    #[test]
    fn state_survives_a_restart() {
        let log = b"8 <1>a\n<2>7 <1>abc\n<1>e\n";
        let (mut framer, mut rest, mut records) = (Messages::new(), &log[..], Vec::new());
        while !rest.is_empty() {
            let mut next = Messages::new();
            next.restore(&framer.save());
            framer = next;
            match framer.next(rest, More::Closed) {
                Framed::Record(frame) => {
                    records.push(&rest[frame.skip..frame.skip + frame.len]);
                    rest = &rest[frame.consumed..];
                }
                Framed::Skip { consumed, .. } => rest = &rest[consumed..],
                Framed::Incomplete => break,
            }
        }
        assert_eq!(records, [&b"<1>a\n<2>"[..], b"<1>abc", b"<1>e"]);
    }
}
