//! Objects of JSON one a line, which is how servers write them; or over several lines, as somebody has printed them for people to read.
//!
//! Which of the two, the first line tells: it holds nothing but the bracket.

use super::json::Objects;
use super::lines::Lines;
use super::{Framed, Framer, MAX_RECORD, More};

/// Frames such objects.
#[derive(Debug, Default)]
pub struct Spread {
    of: Option<Of>,
}

#[derive(Debug)]
enum Of {
    Lines(Lines),
    Objects(Objects),
}

impl Spread {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a log that begins so has its objects over several lines; `None`: its first line has not ended yet.
    pub fn over_lines(log: &[u8]) -> Option<bool> {
        let log = log.strip_prefix(b"\xef\xbb\xbf").unwrap_or(log).trim_ascii_start();
        match log.split_first() {
            None => None,
            Some((b'{' | b'[', rest)) => {
                let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
                rest.get(blank).map(|byte| *byte == b'\n')
            }
            Some(_) => Some(false),
        }
    }
}

impl Framer for Spread {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let of = match &mut self.of {
            Some(of) => of,
            none => match Self::over_lines(buf) {
                Some(true) => none.insert(Of::Objects(Objects::new(&[]))),
                Some(false) => none.insert(Of::Lines(Lines::new())),
                None if more == More::Closed || buf.len() > MAX_RECORD => none.insert(Of::Lines(Lines::new())),
                None => return Framed::Incomplete,
            },
        };
        match of {
            Of::Lines(lines) => lines.next(buf, more),
            Of::Objects(objects) => objects.next(buf, more),
        }
    }

    fn save(&self) -> Vec<u8> {
        let (kind, inner) = match &self.of {
            None => return Vec::new(),
            Some(Of::Lines(lines)) => (b'l', lines.save()),
            Some(Of::Objects(objects)) => (b'o', objects.save()),
        };
        let mut state = vec![kind];
        state.extend(inner);
        state
    }

    fn restore(&mut self, state: &[u8]) {
        self.of = match state.split_first() {
            Some((b'o', inner)) => {
                let mut objects = Objects::new(&[]);
                objects.restore(inner);
                Some(Of::Objects(objects))
            }
            Some((_, inner)) => {
                let mut lines = Lines::new();
                lines.restore(inner);
                Some(Of::Lines(lines))
            }
            None => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::in_pieces;

    #[test]
    fn objects_of_both_kinds() {
        for (log, want) in [
            ("{\"a\":1}\n[x] y\n{\"a\":2}\n", &["{\"a\":1}", "[x] y", "{\"a\":2}"][..]),
            ("{\n  \"a\": 1\n}\n{ \n  \"a\": 2\n}\n", &["{\n  \"a\": 1\n}", "{ \n  \"a\": 2\n}"]),
            ("[\r\n{\"a\": 1},\n{\"a\": 2}\n]\n", &["{\"a\": 1}", "{\"a\": 2}"]),
            ("\n[2026-11-22] x\n{\n", &["[2026-11-22] x", "{"]),
            ("{", &["{"]),
        ] {
            for size in 1..9 {
                let records = in_pieces(&mut Spread::new(), log.as_bytes(), size);
                let text: Vec<&str> = records.iter().map(|r| std::str::from_utf8(r).unwrap()).collect();
                assert_eq!(text, want, "pieces of {size}");
            }
        }
    }

    #[test]
    fn the_kind_survives_a_restart() {
        let mut spread = Spread::new();
        assert!(matches!(spread.next(b"{\n}\n", More::Flowing), Framed::Record(frame) if frame.len == 3));
        let mut next = Spread::new();
        next.restore(&spread.save());
        assert!(matches!(next.next(b"{\"a\":\n1}", More::Flowing), Framed::Record(frame) if frame.len == 8));
    }
}
