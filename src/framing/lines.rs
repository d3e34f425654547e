//! Lines: each ends with LF; one CR before it is not part of the record. Blank lines and runs of NULs (left by a crash on some
//! file systems) belong to no record.

use super::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

/// Frames lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// Bytes at the start of the buffer known to hold no LF.
    scanned: usize,
    /// The head of this line was given out already; pass over the rest up to its LF.
    passing: bool,
}

impl Lines {
    pub fn new() -> Self {
        Self::default()
    }

    /// In the middle of an oversized line.
    pub fn is_passing(&self) -> bool {
        self.passing
    }
}

impl Framer for Lines {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if !self.passing
            && self.scanned == 0
            && let Some(skip) = void(buf)
        {
            return skip;
        }
        let from = self.scanned.min(buf.len());
        match memchr::memchr(b'\n', buf.get(from..).unwrap_or_default()) {
            Some(at) => {
                self.scanned = 0;
                let end = from + at;
                if self.passing {
                    self.passing = false;
                    return Framed::Skip { consumed: end + 1, reason: "rest of an oversized record" };
                }
                let truncated = end > MAX_RECORD;
                let len = if truncated { HEAD } else { without_cr(buf, end) };
                Framed::Record(Frame { skip: 0, len, consumed: end + 1, truncated, unterminated: false, suspect: None })
            }
            None if buf.is_empty() => Framed::Incomplete,
            None if self.passing => Framed::Skip { consumed: buf.len(), reason: "rest of an oversized record" },
            None if buf.len() > MAX_RECORD => {
                self.passing = true;
                self.scanned = 0;
                Framed::Record(Frame { skip: 0, len: HEAD, consumed: buf.len(), truncated: true, unterminated: false, suspect: None })
            }
            None if more == More::Closed => {
                self.scanned = 0;
                let len = without_cr(buf, buf.len());
                Framed::Record(Frame { skip: 0, len, consumed: buf.len(), truncated: false, unterminated: true, suspect: None })
            }
            None => {
                self.scanned = buf.len();
                Framed::Incomplete
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        if self.passing { vec![1] } else { Vec::new() }
    }

    fn mark(&self) -> u64 {
        u64::from(self.passing)
    }

    fn restore(&mut self, state: &[u8]) {
        self.scanned = 0;
        self.passing = state == [1];
    }
}

/// Leading bytes that belong to no record.
pub(crate) fn void(buf: &[u8]) -> Option<Framed> {
    let nuls = buf.iter().take_while(|b| **b == 0).count();
    if nuls > 0 {
        return Some(Framed::Skip { consumed: nuls, reason: "nul" });
    }
    let blank = match buf {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    Some(Framed::Skip { consumed: blank, reason: "blank line" })
}

/// `end` moved before a CR that stands just before it.
pub(crate) fn without_cr(buf: &[u8], end: usize) -> usize {
    if end > 0 && buf.get(end - 1) == Some(&b'\r') { end - 1 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    #[test]
    fn lines_and_what_is_no_line() {
        let (records, skipped) = frames(&mut Lines::new(), b"one\r\n\n\0\0\0two\n\r\nthree", More::Closed);
        assert_eq!(records, [&b"one"[..], b"two", b"three"]);
        assert_eq!(skipped, ["blank line", "nul", "blank line"]);
    }

    #[test]
    fn an_open_last_line_waits_until_the_end() {
        assert_eq!(frames(&mut Lines::new(), b"one\ntwo", More::Idle).0, [&b"one"[..]]);
        assert_eq!(frames(&mut Lines::new(), b"one\ntwo", More::Closed).0, [&b"one"[..], b"two"]);
    }

    #[test]
    fn pieces_do_not_matter() {
        let log = b"alpha\nbe\r\n\nta\ngamma\n";
        for size in 1..8 {
            assert_eq!(in_pieces(&mut Lines::new(), log, size), in_pieces(&mut Lines::new(), log, 100), "pieces of {size}");
        }
    }

    #[test]
    fn an_oversized_line_is_cut_and_its_rest_passed_over() {
        let mut log = vec![b'x'; 3 * MAX_RECORD];
        log.extend_from_slice(b"\nnext\n");
        let records = in_pieces(&mut Lines::new(), &log, 100_000);
        assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [HEAD, 4]);
    }
}
