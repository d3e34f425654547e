//! JSON objects: one a line, elements of an array that may never be closed, elements of an array under a known key
//! (`{"Records":[...]}`), pretty-printed over many lines, or one behind the other.
//!
//! Inside JSON text a raw line break never stands in a string, a `{` in an object always follows a colon, and one in an array a bracket or
//! a comma. Where any of it is broken the record is torn (a crash, a rotation, a lost part): it ends at the line break before, and the next
//! line begins anew. No client can bring that about, as whoever writes JSON escapes its line breaks.
//! <https://datatracker.ietf.org/doc/html/rfc8259>

use serde::{Deserialize, Serialize};

use super::{BUNDLE, Frame, Framed, Framer, HEAD, MAX_RECORD, More};

/// Reason on what stands between records: white space, commas, brackets, the head and tail of a wrapping object.
pub const BETWEEN: &str = "between JSON records";

/// Nesting whose brackets are told apart; deeper ones are only counted.
const TOLD_APART: u32 = 128;

/// Frames JSON objects.
#[derive(Debug)]
pub struct Objects {
    /// Keys of a top-level object, or paths of two keys, under which an array holds the records.
    wrappers: &'static [&'static str],
    /// Longest object that is kept whole.
    limit: usize,
    /// Inside the array of a wrapping object: the number of objects around it.
    wrapped: u32,
    /// Inside an array of one of that array's elements.
    inner: bool,
    /// The head of this record was given out already; pass over the rest up to its end.
    passing: bool,
    /// Behind the array of a wrapping object; pass over the rest of that object.
    closing: bool,
    scan: Scan,
}

/// How far the object at the start of the buffer has been read.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Scan {
    at: usize,
    depth: u32,
    /// One bit a level, the innermost lowest: 1 is an object, 0 an array.
    kinds: u128,
    string: bool,
    escaped: bool,
    /// The last byte that is no white space, outside strings (a string counts as its closing quote).
    last: u8,
    /// Just behind the last line break outside strings.
    line: Option<usize>,
    /// The last string: where its text begins and ends.
    text: (usize, usize),
    /// The last keys at depths 1 and 2.
    keys: [(usize, usize); 2],
}

/// Where the text of a string comes to a quote, an escape or a line end. Most are so short that `memchr` would take longer to begin, so eight
/// bytes at a time are looked at first.
fn ends(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 64;
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // The lowest high bit that is set stands in the first byte that is none; those above may be wrong.
    let none = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let same = |word: u64, byte: u8| none(word ^ (ONES * u64::from(byte)));
    let mut at = 0;
    while let Some((word, _)) = text.get(at..).and_then(|rest| rest.split_first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let found = same(word, b'"') | same(word, b'\\') | same(word, b'\n');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        if at >= SHORT {
            break;
        }
    }
    let rest = text.get(at..)?;
    let short = || rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
    Some(at + if at < SHORT { short()? } else { memchr::memchr3(b'"', b'\\', b'\n', rest)? })
}

enum Found {
    /// The object ends before this offset.
    End(usize),
    /// The object wraps records; they begin at this offset.
    Wrapper(usize),
    /// The record is torn; the next one begins at this offset.
    Torn(usize),
    More,
}

impl Objects {
    /// Objects; those with an array under one of `wrappers` (`Records`, or `outer/Records`, or `outer[]/Records` where each element of an
    /// array has one) are taken apart into its elements. Only paths that no client can write may be named.
    pub fn new(wrappers: &'static [&'static str]) -> Self {
        Objects { wrappers, limit: MAX_RECORD, wrapped: 0, inner: false, passing: false, closing: false, scan: Scan::default() }
    }

    /// Objects that hold many records each.
    pub fn bundles(wrappers: &'static [&'static str]) -> Self {
        Objects { limit: BUNDLE, ..Self::new(wrappers) }
    }

    /// Reads on to the end of the object at the start of `buf`.
    fn find(&mut self, buf: &[u8]) -> Found {
        // A copy, which stays in registers.
        let mut scan = self.scan;
        let mut keys = scan.keys;
        let found = loop {
            let Some(byte) = buf.get(scan.at).copied() else { break Found::More };
            let at = scan.at;
            if scan.string {
                if std::mem::take(&mut scan.escaped) {
                    scan.at += 1;
                    continue;
                }
                let rest = buf.get(at..).unwrap_or_default();
                let Some(step) = ends(rest) else {
                    scan.at = buf.len();
                    break Found::More;
                };
                scan.at = at + step + 1;
                match rest.get(step) {
                    // What follows it ends nothing.
                    Some(b'\\') if scan.at < buf.len() => scan.at += 1,
                    Some(b'\\') => scan.escaped = true,
                    Some(b'\n') => break Found::Torn(scan.at),
                    _ => {
                        scan.string = false;
                        scan.text.1 = at + step;
                        // Most strings are keys or values, and another one follows.
                        if let Some(next @ (b':' | b',')) = buf.get(scan.at).copied() {
                            if next == b':'
                                && let Some(key) = (scan.depth as usize).checked_sub(1).and_then(|at| keys.get_mut(at))
                            {
                                *key = scan.text;
                            }
                            (scan.at, scan.last) = (scan.at + 1, next);
                            if buf.get(scan.at) == Some(&b'"') {
                                (scan.string, scan.text.0) = (true, scan.at + 1);
                                (scan.at, scan.last) = (scan.at + 1, b'"');
                            }
                        }
                    }
                }
                continue;
            }
            scan.at = at + 1;
            match byte {
                b'\n' => {
                    scan.line = Some(at + 1);
                    continue;
                }
                b' ' | b'\t' | b'\r' => continue,
                b'"' => {
                    scan.string = true;
                    scan.text.0 = at + 1;
                }
                b':' => {
                    if let Some(key) = (scan.depth as usize).checked_sub(1).and_then(|at| keys.get_mut(at)) {
                        *key = scan.text;
                    }
                }
                b'{' | b'[' => {
                    let object = scan.kinds & 1 == 1;
                    // Of an array it is an element.
                    let sound = if object { scan.last == b':' } else { matches!(scan.last, b'[' | b',') };
                    if scan.depth > 0
                        && scan.depth <= TOLD_APART
                        && !sound
                        && let Some(line) = scan.line
                    {
                        break Found::Torn(line);
                    }
                    if byte == b'['
                        && scan.depth <= 2
                        && scan.last == b':'
                        && !self.closing
                        && self.wraps(scan.depth, scan.kinds, keys.map(|(from, to)| buf.get(from..to).unwrap_or_default()))
                    {
                        break Found::Wrapper(at + 1);
                    }
                    scan.depth += 1;
                    scan.kinds = scan.kinds << 1 | u128::from(byte == b'{');
                }
                b'}' | b']' => {
                    scan.depth = scan.depth.saturating_sub(1);
                    scan.kinds >>= 1;
                    if scan.depth == 0 {
                        break Found::End(at + 1);
                    }
                }
                b',' => {}
                _ => {
                    // Numbers, and the three words.
                    let plain = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
                    let more = buf.get(scan.at..).unwrap_or_default().iter().take_while(plain).count();
                    scan.at += more;
                    scan.last = b'0';
                    continue;
                }
            }
            scan.last = byte;
        };
        self.scan = Scan { keys, ..scan };
        found
    }

    /// Whether the array that begins at this depth, under these keys, holds the records.
    fn wraps(&self, depth: u32, kinds: u128, [outer, inner]: [&[u8]; 2]) -> bool {
        self.wrappers.iter().any(|wrapper| match wrapper.split_once('/') {
            Some((first, second)) if let Some(first) = first.strip_suffix("[]") => {
                depth == 1 && !self.inner && outer == (if self.wrapped == 0 { first } else { second }).as_bytes()
            }
            _ if self.wrapped > 0 => false,
            Some((first, second)) => depth == 2 && kinds & 3 == 3 && first.as_bytes() == outer && second.as_bytes() == inner,
            None => depth == 1 && wrapper.as_bytes() == outer,
        })
    }

    fn record(&mut self, skip: usize, len: usize, unterminated: bool) -> Framed {
        self.scan = Scan::default();
        let truncated = len > self.limit;
        let kept = if truncated { HEAD } else { len };
        Framed::Record(Frame { skip, len: kept, consumed: skip + len, truncated, unterminated, suspect: None })
    }

    /// What stands between records, together with the object behind it where that is whole.
    fn behind(&mut self, buf: &[u8], blank: usize) -> Framed {
        let rest = buf.get(blank..).unwrap_or_default();
        if rest.first() == Some(&b'{') {
            match self.find(rest) {
                Found::End(end) => return self.record(blank, end, false),
                Found::More => {}
                Found::Wrapper(_) | Found::Torn(_) => self.scan = Scan::default(),
            }
        }
        Framed::Skip { consumed: blank, reason: BETWEEN }
    }

    /// Passes over the rest of an oversized record or of a wrapping object.
    fn pass(&mut self, buf: &[u8]) -> Framed {
        let consumed = match self.find(buf) {
            Found::End(end) | Found::Wrapper(end) | Found::Torn(end) => {
                if std::mem::take(&mut self.closing) && !std::mem::take(&mut self.inner) {
                    self.wrapped = 0;
                }
                self.passing = false;
                self.scan = Scan::default();
                end.max(1)
            }
            Found::More => {
                // What was read is dropped with the bytes; only the state within them goes on.
                self.scan = Scan { at: 0, line: None, text: (0, 0), keys: [(0, 0); 2], ..self.scan };
                buf.len()
            }
        };
        Framed::Skip { consumed, reason: BETWEEN }
    }
}

impl Framer for Objects {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if buf.is_empty() {
            return Framed::Incomplete;
        }
        if self.passing || self.closing {
            return self.pass(buf);
        }
        if self.scan.at == 0 {
            let between =
                |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | 0 | 0x1e) || byte == b']' && self.wrapped == 0;
            let blank = buf.iter().take_while(|byte| between(**byte)).count();
            if blank > 0 {
                return self.behind(buf, blank);
            }
            match buf.first() {
                Some(b'{') => {}
                Some(b']') => {
                    self.closing = true;
                    // Inside the wrapping object, whose bracket has just closed.
                    let depth = if self.inner { 1 } else { self.wrapped.max(1) };
                    self.scan = Scan { at: 1, depth, kinds: 3, last: b']', ..Scan::default() };
                    return self.pass(buf);
                }
                // No JSON: a line of something else, which the decoder rejects.
                _ => {
                    let line = memchr::memchr(b'\n', buf);
                    return match line {
                        Some(end) => {
                            let len = super::lines::without_cr(buf, end);
                            let truncated = len > MAX_RECORD;
                            let len = if truncated { HEAD } else { len };
                            Framed::Record(Frame { skip: 0, len, consumed: end + 1, truncated, unterminated: false, suspect: None })
                        }
                        None if more == More::Closed || buf.len() > MAX_RECORD => self.record(0, buf.len(), true),
                        None => Framed::Incomplete,
                    };
                }
            }
        }
        match self.find(buf) {
            Found::End(end) => self.record(0, end, false),
            Found::Wrapper(begin) => {
                match self.wrapped {
                    0 => self.wrapped = self.scan.depth.max(1),
                    _ => self.inner = true,
                }
                self.scan = Scan::default();
                Framed::Skip { consumed: begin, reason: BETWEEN }
            }
            Found::Torn(next) => self.record(0, next, true),
            Found::More if buf.len() > self.limit => {
                self.passing = true;
                self.scan = Scan { at: 0, line: None, text: (0, 0), keys: [(0, 0); 2], ..self.scan };
                Framed::Record(Frame { skip: 0, len: HEAD, consumed: buf.len(), truncated: true, unterminated: false, suspect: None })
            }
            Found::More if more == More::Closed => self.record(0, buf.len(), true),
            Found::More => Framed::Incomplete,
        }
    }

    fn save(&self) -> Vec<u8> {
        if self.wrapped == 0 && !self.passing && !self.closing {
            return Vec::new();
        }
        // An object that is only half read is read again from its start.
        let scan = if self.passing || self.closing { self.scan } else { Scan::default() };
        postcard::to_stdvec(&(self.wrapped, self.inner, self.passing, self.closing, scan)).unwrap_or_default()
    }

    fn mark(&self) -> u64 {
        // Passing and closing end before the next record: how far they are makes no difference to it.
        u64::from(self.wrapped) << 3 | u64::from(self.inner) << 2 | u64::from(self.passing) << 1 | u64::from(self.closing)
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((wrapped, inner, passing, closing, scan)) = postcard::from_bytes(state) {
            (self.wrapped, self.inner, self.passing, self.closing, self.scan) = (wrapped, inner, passing, closing, scan);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    const WRAPPERS: &[&str] = &["Records", "records", "outer/list", "results[]/items"];

    /// The records of `log`, whole and in pieces of every small size.
    fn check(log: &str, want: &[&str]) {
        let mut framer = Objects::new(WRAPPERS);
        let (records, _) = frames(&mut framer, log.as_bytes(), More::Closed);
        let text: Vec<&str> = records.iter().map(|r| std::str::from_utf8(r).unwrap().trim_end()).collect();
        assert_eq!(text, want, "{log}");
        for size in 1..9 {
            let pieces = in_pieces(&mut Objects::new(WRAPPERS), log.as_bytes(), size);
            let text: Vec<&str> = pieces.iter().map(|r| std::str::from_utf8(r).unwrap().trim_end()).collect();
            assert_eq!(text, want, "{log} in pieces of {size}");
        }
    }

    #[test]
    fn the_end_of_a_text() {
        for len in 0..200 {
            for end in ['"', '\\', '\n', 'x'] {
                // Neighbours of what is looked for, in their bits.
                for fill in ['x', '\u{b}', '#', '!', ']', '\u{1}', '\u{e9}'] {
                    let text = format!("{}{end}{}\"\n", fill.to_string().repeat(len), "\n\\".repeat(len % 5));
                    let want = text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
                    assert_eq!(ends(text.as_bytes()), want, "{text:?}");
                    assert_eq!(ends(fill.to_string().repeat(len).as_bytes()), None);
                }
            }
        }
    }

    #[test]
    fn objects_however_they_stand() {
        check("{\"a\":1}\n{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"]);
        check("{\"a\":1}{\"a\":\"}\"}", &["{\"a\":1}", "{\"a\":\"}\"}"]);
        check("[\n{\"a\":1},\n{\"a\":[{}]},\n", &["{\"a\":1}", "{\"a\":[{}]}"]);
        check("[{\"a\":1},{\"a\":2},]\n", &["{\"a\":1}", "{\"a\":2}"]);
        check("{\n  \"a\": {\n    \"b\": \"\\\"{\"\n  }\n}\n{}", &["{\n  \"a\": {\n    \"b\": \"\\\"{\"\n  }\n}", "{}"]);
    }

    #[test]
    fn wrapped_records() {
        check(
            "{\"Records\":[{\"a\":1},{\"b\":[1,{\"Records\":[]}]}]}\n{\"x\":1}",
            &["{\"a\":1}", "{\"b\":[1,{\"Records\":[]}]}", "{\"x\":1}"],
        );
        check("{\"v\":{\"k\":[2]},\"records\" : [ {\"a\":1} ], \"z\":[{\"q\":\"]\"}]}{\"x\":1}", &["{\"a\":1}", "{\"x\":1}"]);
        check(
            "{\"results\":[{\"columns\":[{\"name\":\"a\"}],\"items\":\n[\n{\"a\":1}\n,{\"a\":[{\"items\":[{}]}]}]},{\"items\":[]},{\"items\":[{\"a\":3}],\"n\":[{}]}]}\n{\"items\":[{\"x\":1}]}",
            &["{\"a\":1}", "{\"a\":[{\"items\":[{}]}]}", "{\"a\":3}", "{\"items\":[{\"x\":1}]}"],
        );
        check("{\"Records\":[]}{\"x\":\"Records\"}", &["{\"x\":\"Records\"}"]);
        check(
            "{\"t\":1,\"outer\":{\"a\":2,\"list\":[{\"b\":1},{\"b\":2}],\"c\":{}},\"d\":[]}{\"x\":1}",
            &["{\"b\":1}", "{\"b\":2}", "{\"x\":1}"],
        );
        // What a client can write into is no wrapper.
        check("{\"p\":{\"Records\":[{\"a\":1}]}}", &["{\"p\":{\"Records\":[{\"a\":1}]}}"]);
    }

    #[test]
    fn torn_records_end_at_their_line() {
        check("{\"a\":\"half\n{\"a\":2}\n", &["{\"a\":\"half", "{\"a\":2}"]);
        check("{\"a\":{\"b\":1,\n{\"a\":2}\n", &["{\"a\":{\"b\":1,", "{\"a\":2}"]);
        check("{\"a\":[1,{\"b\":2}\n{\"a\":2}\n", &["{\"a\":[1,{\"b\":2}", "{\"a\":2}"]);
        check("{\"a\":[\"x\"\n{\"a\":2}\n", &["{\"a\":[\"x\"", "{\"a\":2}"]);
        check("{\"a\":[\n{\"b\":2},\n{}\n]}\n", &["{\"a\":[\n{\"b\":2},\n{}\n]}"]);
        check("half\"}\n{\"a\":2}\nnoise", &["half\"}", "{\"a\":2}", "noise"]);
        check("{\"a\":1", &["{\"a\":1"]);
    }

    #[test]
    fn an_oversized_object_is_cut_and_its_rest_passed_over() {
        let log = format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}", "x".repeat(3 * MAX_RECORD));
        let records = in_pieces(&mut Objects::new(&[]), log.as_bytes(), 100_000);
        assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [HEAD, 7]);
    }

    #[test]
    fn state_survives_a_restart() {
        let log = b"{\"Records\":[{\"a\":1},{\"a\":2}],\"more\":[1]}{\"b\":1}";
        let mut framer = Objects::new(WRAPPERS);
        let (mut rest, mut records) = (&log[..], Vec::new());
        while !rest.is_empty() {
            let mut next = Objects::new(WRAPPERS);
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
        assert_eq!(records, [&b"{\"a\":1}"[..], b"{\"a\":2}", b"{\"b\":1}"]);
    }
}
