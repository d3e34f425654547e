//! XML records: `<AUDIT_RECORD ... />` or `<AUDIT_RECORD> ... </AUDIT_RECORD>` or of another name, in a root element that is never closed while
//! the log is open, or in none.
//!
//! Whoever writes XML escapes `<` wherever a client's text stands, so a `<` is always the writer's own and no client can begin or
//! end a record. A second opening tag before the end of the first record therefore means that the first one is torn; it ends there.
//! Nothing else of XML is asked for: servers write references to characters that XML 1.0 does not allow (`&#1;`), on which strict
//! parsers give up.
//! <https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html>

use super::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

/// Reason on what stands between records: the declaration, the root element's tags, comments, white space.
pub const BETWEEN: &str = "between XML records";

/// Longest declaration or comment.
const TAG: usize = 4 << 10;

/// Frames records in XML.
#[derive(Debug)]
pub struct Records {
    tags: Tags,
    /// Leading bytes of the record at the start of the buffer that hold no end of it.
    scanned: usize,
    /// The head of this record was given out already; pass over everything up to the next one.
    passing: bool,
}

/// The tags of records.
#[derive(Debug)]
struct Tags {
    /// What opens a record.
    open: Vec<u8>,
    /// What closes a record that has elements inside.
    close: Vec<u8>,
    /// What opens and closes the root element.
    root: [Vec<u8>; 2],
}

impl Records {
    /// Records that are elements of this name, perhaps in one of the name `root`.
    pub fn new(name: &str, root: &str) -> Self {
        let tag = |text: String| text.into_bytes();
        let root = [tag(format!("<{root}>")), tag(format!("</{root}>"))];
        let tags = Tags { open: tag(format!("<{name}")), close: tag(format!("</{name}>")), root };
        Records { tags, scanned: 0, passing: false }
    }

    fn record(&mut self, len: usize, unterminated: bool) -> Framed {
        self.scanned = 0;
        let truncated = len > MAX_RECORD;
        let kept = if truncated { HEAD } else { len };
        Framed::Record(Frame { skip: 0, len: kept, consumed: len, truncated, unterminated, suspect: None })
    }

    /// The record at the start of `buf`, which begins with its opening tag.
    fn opened(&mut self, buf: &[u8], more: More) -> Framed {
        match self.tags.end(buf, self.scanned) {
            End::At(len) => self.record(len, false),
            End::Torn(len) => self.record(len, true),
            End::Missing(_) if more == More::Closed => self.record(buf.len(), true),
            End::Missing(_) if buf.len() > MAX_RECORD => {
                self.passing = true;
                self.record(buf.len(), false)
            }
            End::Missing(scanned) => {
                self.scanned = scanned;
                Framed::Incomplete
            }
        }
    }

    /// Bytes that begin no record.
    fn outside(&mut self, buf: &[u8], more: More) -> Framed {
        let blank = self.tags.blank(buf);
        if blank > 0 {
            return Framed::Skip { consumed: blank, reason: BETWEEN };
        }
        // Half of a tag or of a comment.
        if more != More::Closed && buf.first() == Some(&b'<') && buf.len() < TAG && !buf.contains(&b'>') {
            return Framed::Incomplete;
        }
        // Something else: its line is a record that the decoder rejects.
        let line = memchr::memchr(b'\n', buf);
        let text = buf.get(..line.map_or(buf.len(), |line| line + 1)).unwrap_or_default();
        match (self.tags.opening(text, 0), line) {
            (Some(start), _) => self.junk(start, start),
            (None, Some(line)) => self.junk(super::lines::without_cr(buf, line), line + 1),
            (None, None) if more == More::Closed || buf.len() > MAX_RECORD => self.junk(buf.len(), buf.len()),
            (None, None) => Framed::Incomplete,
        }
    }

    fn junk(&mut self, len: usize, consumed: usize) -> Framed {
        let truncated = len > MAX_RECORD;
        let len = if truncated { HEAD } else { len };
        Framed::Record(Frame { skip: 0, len, consumed: consumed.max(1), truncated, unterminated: false, suspect: None })
    }
}

impl Framer for Records {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if buf.is_empty() {
            return Framed::Incomplete;
        }
        if self.passing {
            let next = self.tags.opening(buf, 0);
            self.passing = next.is_none();
            let consumed = next.unwrap_or(if more == More::Closed { buf.len() } else { buf.len().saturating_sub(self.tags.open.len()) });
            if consumed > 0 {
                return Framed::Skip { consumed, reason: "rest of an oversized record" };
            }
            if next.is_none() {
                return Framed::Incomplete;
            }
        }
        let tag = buf.get(..buf.len().min(self.tags.open.len() + 1)).unwrap_or_default();
        if self.tags.opening(tag, 0).is_some() {
            return self.opened(buf, more);
        }
        // The name of a tag may go on.
        if self.tags.open.starts_with(tag) && more != More::Closed {
            return Framed::Incomplete;
        }
        self.outside(buf, more)
    }

    fn save(&self) -> Vec<u8> {
        if self.passing { vec![1] } else { Vec::new() }
    }

    fn restore(&mut self, state: &[u8]) {
        self.scanned = 0;
        self.passing = state == [1];
    }
}

enum End {
    /// The record ends before this offset.
    At(usize),
    /// Another record begins here before this one ended.
    Torn(usize),
    /// Not in these bytes; the first so many need not be looked at again.
    Missing(usize),
}

impl Tags {
    /// Where the next opening tag of a record stands, from `from` on.
    fn opening(&self, buf: &[u8], from: usize) -> Option<usize> {
        let text = buf.get(from..)?;
        let found = memchr::memmem::find_iter(text, &self.open)
            .find(|at| text.get(at + self.open.len()).is_some_and(|next| matches!(next, b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/')));
        found.map(|at| from + at)
    }

    /// Finds the end of the record at the start of `buf`, of which `scanned` bytes hold none.
    fn end(&self, buf: &[u8], scanned: usize) -> End {
        // The opening tag ends at the first `>`: in values it is escaped, as `<` is.
        let mut from = self.open.len();
        let tag = buf.get(from..).and_then(|rest| memchr::memchr2(b'<', b'>', rest)).map(|at| from + at);
        let Some(tag) = tag else { return End::Missing(0) };
        match buf.get(tag) {
            Some(b'<') => {
                return match self.opening(buf, tag) {
                    Some(next) if next == tag => End::Torn(tag),
                    // Half of a tag's name, or a `<` that was left as it is: the record is over at the next one in either case.
                    Some(next) => End::Torn(next),
                    None => End::Missing(0),
                };
            }
            _ if buf.get(tag - 1) == Some(&b'/') => return End::At(tag + 1),
            _ => from = from.max(tag),
        }
        from = from.max(scanned);
        let text = buf.get(from..).unwrap_or_default();
        let close = memchr::memmem::find(text, &self.close).map(|at| from + at + self.close.len());
        let before = buf.get(..close.unwrap_or(buf.len())).unwrap_or_default();
        match (self.opening(before, from), close) {
            (Some(next), _) => End::Torn(next),
            (None, Some(close)) => End::At(close),
            (None, None) => End::Missing(buf.len().saturating_sub(self.close.len() + 1).max(from)),
        }
    }

    /// Leading bytes of `text` that are white space, tags of the root element, a declaration or a comment.
    fn blank(&self, text: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let rest = rest.get(..TAG).unwrap_or(rest);
            let tag = match rest {
                [b' ' | b'\t' | b'\r' | b'\n' | 0, ..] => 1,
                [b'<', b'?', ..] => memchr::memmem::find(rest, b"?>").map_or(0, |end| end + 2),
                [b'<', b'!', b'-', b'-', ..] => memchr::memmem::find(rest, b"-->").map_or(0, |end| end + 3),
                // A closing tag of a record is what a torn one left behind.
                _ => self.root.iter().chain([&self.close]).find(|tag| rest.starts_with(tag)).map_or(0, Vec::len),
            };
            if tag == 0 {
                return at;
            }
            at += tag;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    fn check(log: &str, want: &[&str]) {
        let (records, _) = frames(&mut Records::new("AUDIT_RECORD", "AUDIT"), log.as_bytes(), More::Closed);
        let text: Vec<&str> = records.iter().map(|r| std::str::from_utf8(r).unwrap().trim_end()).collect();
        assert_eq!(text, want, "{log}");
        for size in [1, 2, 3, 5, 8, 13, 40] {
            let pieces = in_pieces(&mut Records::new("AUDIT_RECORD", "AUDIT"), log.as_bytes(), size);
            let text: Vec<&str> = pieces.iter().map(|r| std::str::from_utf8(r).unwrap().trim_end()).collect();
            assert_eq!(text, want, "{log} in pieces of {size}");
        }
    }

    #[test]
    fn records_of_both_forms() {
        check(
            "<?xml version=\"1.0\"?>\n<AUDIT>\n<AUDIT_RECORD\n A=\"1\"\n B=\"&lt;/AUDIT_RECORD&gt;\"/>\n <AUDIT_RECORD A=\"2\" />\n</AUDIT>\n",
            &["<AUDIT_RECORD\n A=\"1\"\n B=\"&lt;/AUDIT_RECORD&gt;\"/>", "<AUDIT_RECORD A=\"2\" />"],
        );
        check(
            "<AUDIT><AUDIT_RECORD><A>1</A><B/></AUDIT_RECORD>\n<AUDIT_RECORD>\n<A>2</A>\n</AUDIT_RECORD>",
            &["<AUDIT_RECORD><A>1</A><B/></AUDIT_RECORD>", "<AUDIT_RECORD>\n<A>2</A>\n</AUDIT_RECORD>"],
        );
    }

    #[test]
    fn torn_records_end_where_the_next_one_begins() {
        check(
            "<AUDIT_RECORD A=\"x\n<AUDIT_RECORD A=\"2\"/>\n<AUDIT_RECORD>\n<A>3</A>\n<AUDIT_RECORD><A>4</A></AUDIT_RECORD>",
            &["<AUDIT_RECORD A=\"x", "<AUDIT_RECORD A=\"2\"/>", "<AUDIT_RECORD>\n<A>3</A>", "<AUDIT_RECORD><A>4</A></AUDIT_RECORD>"],
        );
        check("text=\"x\"/>\n<AUDIT_RECORD A=\"2\"/>", &["text=\"x\"/>", "<AUDIT_RECORD A=\"2\"/>"]);
        check("<AUDIT_RECORD A=\"1\"", &["<AUDIT_RECORD A=\"1\""]);
        check("no xml\nat all", &["no xml", "at all"]);
    }

    #[test]
    fn an_oversized_record_is_cut_and_its_rest_passed_over() {
        let log = format!("<AUDIT_RECORD A=\"{}\"/>\n<AUDIT_RECORD A=\"2\"/>", "x".repeat(3 * MAX_RECORD));
        let records = in_pieces(&mut Records::new("AUDIT_RECORD", "AUDIT"), log.as_bytes(), 100_000);
        assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [HEAD, 21]);
    }
}
