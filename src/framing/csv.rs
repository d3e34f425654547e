//! CSV records: each ends with an LF outside double quotes, so a record may run over many lines.
//!
//! Where the count of quotes goes wrong (reading began in the middle of a record, a crash tore one), every later boundary would be
//! wrong too. That shows when a record does not begin as records of the format do. Framing then starts anew at the first line
//! that begins like a record and is followed by two more such records; as a client can put whole rows into a quoted statement, what follows
//! stays suspect for as long as one record can be.

use super::lines::{void, without_cr};
use super::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

/// Reason on records framed shortly after the framing had to start anew.
pub const RESYNCHRONISED: &str = "the start of a record was lost shortly before, so this may be quoted text";

/// Reason on bytes that are passed over because no record begins in them. They are told as a reject: somebody wrote them.
pub const LOST_START: &str = "the start of a record is missing; passed over up to the next record that begins well";

/// Consecutive records that must begin well before framing starts anew with the first of them.
const PROOF: usize = 3;

/// Frames CSV records.
pub struct Csv {
    /// Whether these bytes, at least [`Csv::NEEDED`] of them unless the log ends, begin a record of the format.
    begins: fn(&[u8]) -> bool,
    /// Bytes at the start of the buffer that were looked at: they hold no end of the record.
    scanned: usize,
    /// `scanned` ends inside double quotes.
    quoted: bool,
    /// The head of this record was given out already; pass over the rest up to its end.
    passing: bool,
    /// Bytes for which records are still suspect.
    doubtful: usize,
}

impl Csv {
    /// Bytes that `begins` is shown.
    pub const NEEDED: usize = 40;

    pub fn new(begins: fn(&[u8]) -> bool) -> Self {
        Csv { begins, scanned: 0, quoted: false, passing: false, doubtful: 0 }
    }

    /// End (the offset of its LF) of the record that is being scanned.
    fn end(&mut self, buf: &[u8]) -> Option<usize> {
        let found = end_from(buf, self.scanned.min(buf.len()), &mut self.quoted);
        self.scanned = if found.is_some() { 0 } else { buf.len() };
        found
    }

    fn take(&mut self, frame: Frame) -> Framed {
        self.scanned = 0;
        let suspect = (self.doubtful > 0).then_some(RESYNCHRONISED);
        self.doubtful = self.doubtful.saturating_sub(frame.consumed);
        Framed::Record(Frame { suspect, ..frame })
    }

    /// The record at the start of `buf` does not begin like one: pass over everything up to a line from which on records do.
    fn resynchronise(&mut self, buf: &[u8], more: More) -> Framed {
        let mut from = 0;
        while let Some(lf) = memchr::memchr(b'\n', buf.get(from..).unwrap_or_default()) {
            let line = from + lf + 1;
            let rest = buf.get(line..).unwrap_or_default();
            match self.proven(rest, more) {
                Some(true) => {
                    self.doubtful = MAX_RECORD;
                    return Framed::Skip { consumed: line, reason: LOST_START };
                }
                Some(false) => from = line,
                // Not enough bytes to tell.
                None if from > 0 => return Framed::Skip { consumed: from, reason: LOST_START },
                None if buf.len() > MAX_RECORD => from = line,
                None => return Framed::Incomplete,
            }
        }
        // The last, unfinished line stays: the next bytes may complete it. With nothing to follow it is torn.
        match (from, more) {
            (0, More::Closed) => Framed::Skip { consumed: buf.len(), reason: LOST_START },
            (0, _) if buf.len() > MAX_RECORD => Framed::Skip { consumed: buf.len(), reason: LOST_START },
            (0, _) => Framed::Incomplete,
            _ => Framed::Skip { consumed: from, reason: LOST_START },
        }
    }

    /// Whether [`PROOF`] records in a row (or all up to a pause of the log) begin well; `None`: the bytes do not suffice.
    fn proven(&self, mut rest: &[u8], more: More) -> Option<bool> {
        // A server writes a record at once: when the log pauses, all of it is there.
        let all = more != More::Flowing;
        for _ in 0..PROOF {
            if rest.is_empty() && all {
                return Some(true);
            }
            if rest.len() < Self::NEEDED && !all {
                return None;
            }
            if !(self.begins)(rest) {
                return Some(false);
            }
            match end_from(rest, 0, &mut false) {
                Some(end) if end <= MAX_RECORD => rest = rest.get(end + 1..).unwrap_or_default(),
                Some(_) => return Some(false),
                None if more == More::Closed => return Some(false),
                None => return None,
            }
        }
        Some(true)
    }
}

/// The offset of the LF that ends the record of which `buf[..from]` has been looked at.
///
/// Lines are found first and their quotes counted after: both run at the speed of memory, and most records are one line.
fn end_from(buf: &[u8], mut from: usize, quoted: &mut bool) -> Option<usize> {
    loop {
        let rest = buf.get(from..)?;
        let line = match memchr::memchr(b'\n', rest) {
            Some(lf) => rest.get(..lf)?,
            None => rest,
        };
        *quoted ^= memchr::memchr_iter(b'"', line).count() % 2 == 1;
        if line.len() == rest.len() {
            return None;
        }
        if !*quoted {
            return Some(from + line.len());
        }
        from += line.len() + 1;
    }
}

impl Framer for Csv {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if self.scanned == 0 && !self.passing {
            self.quoted = false;
            if let Some(skip) = void(buf) {
                return skip;
            }
            if buf.len() < Self::NEEDED && more != More::Closed && !buf.contains(&b'\n') {
                return Framed::Incomplete;
            }
            if !(self.begins)(buf) {
                return self.resynchronise(buf, more);
            }
        }
        match self.end(buf) {
            Some(end) if self.passing => {
                self.passing = false;
                self.quoted = false;
                Framed::Skip { consumed: end + 1, reason: "rest of an oversized record" }
            }
            Some(end) => {
                let truncated = end > MAX_RECORD;
                let len = if truncated { HEAD } else { without_cr(buf, end) };
                self.take(Frame { skip: 0, len, consumed: end + 1, truncated, unterminated: false, suspect: None })
            }
            None if buf.is_empty() => Framed::Incomplete,
            None if self.passing => {
                self.scanned = 0;
                Framed::Skip { consumed: buf.len(), reason: "rest of an oversized record" }
            }
            None if buf.len() > MAX_RECORD => {
                let quoted = self.quoted;
                let framed =
                    self.take(Frame { skip: 0, len: HEAD, consumed: buf.len(), truncated: true, unterminated: false, suspect: None });
                (self.passing, self.quoted) = (true, quoted);
                framed
            }
            None if more == More::Closed => {
                let len = without_cr(buf, buf.len());
                self.take(Frame { skip: 0, len, consumed: buf.len(), truncated: false, unterminated: true, suspect: None })
            }
            None => Framed::Incomplete,
        }
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(self.passing, self.quoted, self.doubtful)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        self.scanned = 0;
        if let Ok((passing, quoted, doubtful)) = postcard::from_bytes::<(bool, bool, usize)>(state) {
            (self.passing, self.quoted, self.doubtful) = (passing, passing && quoted, doubtful.min(MAX_RECORD));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    fn csv() -> Csv {
        Csv::new(|b| b.starts_with(b"2026-"))
    }

    const ROW: &str = "2026-11-22 02:05:17.355 UTC,\"a\",\"b\",1\n";

    #[test]
    fn quoted_line_ends_belong_to_the_record() {
        let one = "2026-11-22 02:05:17.355 UTC,\"SELECT \"\"x\n2026-11-22 02:05:17.355 UTC,\"\"b\"\"\n\n\"\n";
        let log = format!("{one}{ROW}");
        let (records, skipped) = frames(&mut csv(), log.as_bytes(), More::Closed);
        assert_eq!(records, [one.trim_end_matches('\n').as_bytes(), ROW.trim_end().as_bytes()]);
        assert!(skipped.is_empty());
        for size in 1..30 {
            assert_eq!(in_pieces(&mut csv(), log.as_bytes(), size), records, "pieces of {size}");
        }
    }

    #[test]
    fn a_start_in_the_middle_of_a_record_is_passed_over_and_doubted() {
        let log = format!("SELECT 1\n2026-11-22 forged,\"\",\n still quoted\",x\n{ROW}{ROW}{ROW}{ROW}");
        let (records, skipped) = frames(&mut csv(), log.as_bytes(), More::Closed);
        assert_eq!(records.len(), 4);
        assert_eq!(skipped, [LOST_START]);
        let mut framer = csv();
        let Framed::Skip { consumed, .. } = framer.next(log.as_bytes(), More::Closed) else { panic!("no skip") };
        let Framed::Record(frame) = framer.next(&log.as_bytes()[consumed..], More::Closed) else { panic!("no record") };
        assert_eq!(frame.suspect, Some(RESYNCHRONISED));
    }

    #[test]
    fn an_oversized_record_keeps_count_of_its_quotes() {
        let mut log = format!("2026-11-22 02:05:17.355 UTC,\"{}\n{ROW}", "x".repeat(2 * MAX_RECORD)).into_bytes();
        log.extend_from_slice(format!("\"\"{ROW}\",1\n{ROW}").as_bytes());
        let records = in_pieces(&mut csv(), &log, 64 << 10);
        assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [HEAD, ROW.len() - 1]);
    }

    #[test]
    fn a_restart_in_the_middle_of_an_oversized_record() {
        let log = format!("2026-11-22 02:05:17.355 UTC,\"{}\",1\n{ROW}", "x\n".repeat(MAX_RECORD));
        let log = log.as_bytes();
        let mut first = csv();
        let cut = MAX_RECORD + 100;
        assert!(matches!(first.next(&log[..cut], More::Flowing), Framed::Record(Frame { truncated: true, .. })));
        let mut second = csv();
        second.restore(&first.save());
        let (records, _) = frames(&mut second, &log[cut..], More::Closed);
        assert_eq!(records, [ROW.trim_end().as_bytes()]);
    }
}
