//! Records that begin with a line of a known form, a time stamp mostly, and go on over the lines behind it that have none; in characters of
//! one byte, or of two as Windows writes logs.

use bumpalo::Bump;

use super::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

/// Bytes of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    One,
    /// UTF-16, low byte first, as Windows writes it.
    Two,
}

/// What stands at the start of a UTF-16 file.
const MARK: &[u8] = b"\xff\xfe";

impl Width {
    /// The width of a text, and the text without its byte order mark.
    pub fn of(text: &[u8]) -> (Width, &[u8]) {
        match text {
            [0xff, 0xfe, rest @ ..] => (Width::Two, rest),
            [first, 0, ..] if *first != 0 => (Width::Two, text),
            _ => (Width::One, text),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Width::One => 1,
            Width::Two => 2,
        }
    }

    /// The text as UTF-8.
    pub fn plain<'a>(self, text: &'a [u8], arena: &'a Bump) -> &'a [u8] {
        if self == Width::One {
            return text;
        }
        let units = text.chunks_exact(2).map(|pair| match pair {
            [low, high] => u16::from_le_bytes([*low, *high]),
            _ => 0,
        });
        let mut out = bumpalo::collections::String::with_capacity_in(text.len() / 2, arena);
        out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        out.into_bump_str().as_bytes()
    }

    /// Offset of the next line end at or behind `from`, which stands at a character.
    fn line_end(self, buf: &[u8], mut from: usize) -> Option<usize> {
        loop {
            let at = from + memchr::memchr(b'\n', buf.get(from..)?)?;
            if self == Width::One || at.is_multiple_of(2) && buf.get(at + 1) == Some(&0) {
                return Some(at);
            }
            if self == Width::Two && at.is_multiple_of(2) && at + 1 == buf.len() {
                return None;
            }
            from = at + 1;
        }
    }
}

/// Whether the text begins like this form, in which `0` stands for any digit; `None`: it may, more bytes are needed.
pub fn like(form: &[u8], buf: &[u8], width: Width) -> Option<bool> {
    for (at, form) in form.iter().enumerate() {
        let character = buf.get(at * width.bytes())?;
        let high = if width == Width::Two { buf.get(at * 2 + 1).copied() } else { Some(0) };
        let fits = if *form == b'0' { character.is_ascii_digit() } else { character == form };
        match high {
            None if fits => return None,
            Some(0) if fits => {}
            _ => return Some(false),
        }
    }
    Some(true)
}

/// Whether a record begins here; `None`: more bytes are needed to tell.
pub type Begins = fn(&[u8], Width) -> Option<bool>;

/// Frames such records.
#[derive(Debug)]
pub struct Stamped {
    begins: Begins,
    suspect: Option<&'static str>,
    width: Option<Width>,
    /// The lines before this offset were looked at; the record at the start of the buffer goes on there.
    scanned: usize,
}

impl Stamped {
    pub fn new(begins: Begins) -> Self {
        Stamped { begins, suspect: None, width: None, scanned: 0 }
    }

    /// Records whose boundaries prove nothing, and why.
    pub fn doubted(begins: Begins, why: &'static str) -> Self {
        Stamped { suspect: Some(why), ..Stamped::new(begins) }
    }
}

impl Framer for Stamped {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let width = match self.width {
            Some(width) => width,
            None if buf.len() < 2 && more != More::Closed => return Framed::Incomplete,
            None => *self.width.insert(Width::of(buf).0),
        };
        if width == Width::Two && buf.starts_with(MARK) {
            return Framed::Skip { consumed: MARK.len(), reason: "byte order mark" };
        }
        let size = width.bytes();
        if self.scanned == 0 {
            let blank = match (width, buf) {
                (Width::One, _) => buf.iter().take_while(|b| matches!(b, b'\n' | b'\r' | 0)).count(),
                (Width::Two, _) => buf.chunks_exact(2).take_while(|c| matches!(c, [b'\n' | b'\r' | 0, 0])).count() * 2,
            };
            if blank > 0 {
                return Framed::Skip { consumed: blank, reason: "blank line" };
            }
        }
        let mut at = self.scanned;
        while let Some(lf) = width.line_end(buf, at) {
            let line = lf + size;
            let next = buf.get(line..).unwrap_or_default();
            match (self.begins)(next, width) {
                Some(true) => return self.record(buf, lf, line),
                Some(false) => at = line,
                // When the log pauses, all of a record is there.
                None if more != More::Flowing && (next.is_empty() || more == More::Closed) => return self.record(buf, lf, line),
                None => {
                    self.scanned = at;
                    return self.waiting(buf);
                }
            }
        }
        self.scanned = at;
        match more {
            More::Closed if !buf.is_empty() => self.record(buf, buf.len(), buf.len()),
            _ => self.waiting(buf),
        }
    }

    fn save(&self) -> Vec<u8> {
        match self.width {
            None => Vec::new(),
            Some(width) => vec![width.bytes() as u8],
        }
    }

    fn restore(&mut self, state: &[u8]) {
        self.scanned = 0;
        self.width = match state {
            [1] => Some(Width::One),
            [2] => Some(Width::Two),
            _ => None,
        };
    }
}

impl Stamped {
    fn waiting(&mut self, buf: &[u8]) -> Framed {
        if buf.len() <= MAX_RECORD {
            return Framed::Incomplete;
        }
        // A whole number of characters.
        let end = buf.len() & !1;
        self.record(buf, end, end)
    }

    /// The record up to `end`, its line ends taken off.
    fn record(&mut self, buf: &[u8], end: usize, consumed: usize) -> Framed {
        self.scanned = 0;
        let truncated = end > MAX_RECORD;
        let mut len = if truncated { HEAD } else { end };
        let size = self.width.unwrap_or(Width::One).bytes();
        while !truncated && len > size && matches!(buf.get(len - size), Some(b'\r' | b'\n')) && (size == 1 || buf.get(len - 1) == Some(&0))
        {
            len -= size;
        }
        Framed::Record(Frame { skip: 0, len, consumed, truncated, unterminated: end == consumed, suspect: self.suspect })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    fn stamp(buf: &[u8], width: Width) -> Option<bool> {
        like(b"0000-00-00 00:00:00.", buf, width)
    }

    fn wide(text: &str) -> Vec<u8> {
        let mut out = MARK.to_vec();
        out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        out
    }

    #[test]
    fn lines_of_both_widths() {
        let log = "2026-11-22 02:05:17.64 Server      one\r\n\ttwo\r\n2026-11-22 02:05:17.64 Logon       Ċ ਀\r\n\r\n";
        let want = ["2026-11-22 02:05:17.64 Server      one\r\n\ttwo", "2026-11-22 02:05:17.64 Logon       Ċ ਀"];
        for bytes in [log.as_bytes().to_vec(), wide(log)] {
            let (records, _) = frames(&mut Stamped::new(stamp), &bytes, More::Closed);
            let arena = Bump::new();
            let text: Vec<&str> =
                records.iter().map(|r| std::str::from_utf8(Width::of(r).0.plain(Width::of(r).1, &arena)).unwrap()).collect();
            assert_eq!(text, want);
            for size in 1..50 {
                assert_eq!(in_pieces(&mut Stamped::new(stamp), &bytes, size), records, "pieces of {size}");
            }
        }
    }

    #[test]
    fn a_pause_ends_a_record() {
        let log = b"2026-11-22 02:05:17.64 Server      one\n";
        assert_eq!(frames(&mut Stamped::new(stamp), log, More::Idle).0.len(), 1);
        assert_eq!(frames(&mut Stamped::new(stamp), log, More::Flowing).0.len(), 0);
    }

    #[test]
    fn an_oversized_record_is_cut() {
        let log = format!("2026-11-22 02:05:17.64 Server      {}\n2026-11-22 02:05:17.64 Server      x\n", "y\n".repeat(MAX_RECORD));
        let records = in_pieces(&mut Stamped::new(stamp), log.as_bytes(), 100_000);
        assert_eq!(records.first().map(Vec::len), Some(HEAD));
        assert!(records.last().is_some_and(|r| r.ends_with(b"x")));
    }
}
