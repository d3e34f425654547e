//! Records of several lines: one begins with a line of a known form (its head), and lines of another form belong to it.
//!
//! Where client text may hold line ends, a head alone proves nothing: a client can write one. A [`Grammar`] that can tell from the
//! record so far that it cannot have ended yet (inside a quoted text) keeps such lines where they belong.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lines::{void, without_cr};
use super::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

/// What a format knows of its records' boundaries. It is kept from record to record, and saved.
pub trait Grammar: Default + Send + Serialize + DeserializeOwned {
    /// Bytes of a line that [`Grammar::head`] needs to see, unless the line is shorter.
    const LOOK: usize = 160;
    /// A record that seems not to have ended after so many bytes has been misread: it ends before the next head, as one that may be
    /// forged.
    const PATIENCE: usize = usize::MAX;

    /// Behind a client's text the server always writes the rest of the record: one that seems to end with a line that is a record by itself has been
    /// cut, and what follows the cut are records of their own.
    const HAS_REST: bool = false;

    /// Bytes behind a record that may show that it goes on; they are waited for where [`Grammar::looks_ahead`].
    const AHEAD: usize = 0;

    /// Whether a record can begin with this line.
    fn head(line: &[u8]) -> bool;

    /// A record begins with this line, which is complete unless it is very long. It may be shown again: nothing may be learned of it
    /// that outlasts the record.
    fn begin(&mut self, line: &[u8]);

    /// The record goes on with another line.
    fn more(&mut self, line: &[u8]);

    /// Whether the record may end here.
    fn whole(&self) -> bool;

    /// Whether the record, which is whole, may go on nevertheless.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Bytes behind this record, beginning with those in `ahead`, in which records may be its client's text. There are [`Grammar::AHEAD`] of them to
    /// look at, or fewer where the log ends or rests: a record is written at once.
    fn rest(_record: &[u8], _ahead: &[u8]) -> usize {
        0
    }

    /// The record is this, or begins with this where it is too long: what is to be learned of it is learned now.
    fn end(&mut self, _record: &[u8]) {}
}

/// Reason on a record that does not end as its kind must.
pub const OPEN: &str = "a record that does not end as its kind must";

/// Reason on what follows a record that was cut, or may go on: it may be the rest of it.
pub const AFTER: &str = "behind a record whose end nothing proves";

/// Whether the line may be a record of its own, although it has been taken into another.
fn stands_alone<G: Grammar>(line: &[u8]) -> bool {
    let mut alone = G::default();
    G::HAS_REST && G::head(line) && {
        alone.begin(line);
        alone.whole()
    }
}

/// Frames records of a grammar.
#[derive(Debug, Default)]
pub struct Joined<G> {
    grammar: G,
    /// Start of the line in the buffer that is looked at next; 0: no record has begun.
    at: usize,
    /// Bytes of that line known to hold no line end.
    scanned: usize,
    /// Where the record ends if the grammar was wrong: before the first head that it took in.
    doubtful: Option<usize>,
    /// The record became whole with its last line, which is one by itself.
    ends_in_head: bool,
    /// Bytes from here on in which a record may be the rest of one that was cut.
    doubt: usize,
    /// Inside a record whose head part was given out.
    passing: bool,
}

impl<G: Grammar> Joined<G> {
    pub fn new() -> Self {
        Joined { grammar: G::default(), at: 0, scanned: 0, doubtful: None, ends_in_head: false, doubt: 0, passing: false }
    }

    /// In the middle of an oversized record.
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// The record up to the line that is looked at, which is whole; or where it was cut the part before the first head that it took in.
    fn ended(&mut self, buf: &[u8], more: More) -> Framed {
        if more == More::Flowing && self.grammar.looks_ahead() && buf.len() - self.at.min(buf.len()) < G::AHEAD {
            return Framed::Incomplete;
        }
        match self.doubtful.filter(|_| G::HAS_REST && self.ends_in_head) {
            Some(cut) => {
                self.doubt = self.doubt.max(self.at);
                self.record(buf, cut, false)
            }
            None => self.record(buf, self.at, false),
        }
    }

    fn record(&mut self, buf: &[u8], end: usize, unterminated: bool) -> Framed {
        let body = buf.get(..end).unwrap_or(buf);
        let len = body.strip_suffix(b"\n").map_or(body.len(), |b| without_cr(body, b.len()));
        // Blank lines behind a record are no part of it.
        let len = body.get(..len).map_or(len, |b| b.len() - b.iter().rev().take_while(|c| matches!(c, b'\n' | b'\r')).count());
        let suspect = (self.doubtful.take() == Some(end)).then_some(OPEN).or((self.doubt > 0).then_some(AFTER));
        (self.at, self.scanned, self.ends_in_head, self.doubt) = (0, 0, false, self.doubt.saturating_sub(end));
        let truncated = len > MAX_RECORD;
        let record = buf.get(..len).unwrap_or_default();
        if self.grammar.looks_ahead() {
            let ahead = buf.get(end..).unwrap_or_default();
            self.doubt = self.doubt.max(G::rest(record, ahead.get(..G::AHEAD).unwrap_or(ahead)));
        }
        self.grammar.end(record);
        Framed::Record(Frame { skip: 0, len: if truncated { HEAD } else { len }, consumed: end, truncated, unterminated, suspect })
    }
}

impl<G: Grammar> Framer for Joined<G> {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if self.at == 0
            && self.scanned == 0
            && !self.passing
            && let Some(skip) = void(buf)
        {
            return skip;
        }
        if buf.is_empty() {
            return Framed::Incomplete;
        }
        loop {
            let rest = buf.get(self.at..).unwrap_or_default();
            let begun = self.at > 0 || self.passing;
            let line_end = memchr::memchr(b'\n', rest.get(self.scanned..).unwrap_or_default()).map(|end| self.scanned + end);
            let line = rest.get(..line_end.unwrap_or(rest.len())).unwrap_or_default();
            // Is it another record's? Half a line may not tell yet.
            if begun && (line_end.is_some() || line.len() >= G::LOOK || more == More::Closed) && !line.is_empty() && G::head(line) {
                if self.grammar.whole() {
                    if self.passing {
                        self.passing = false;
                        let consumed = self.at;
                        (self.at, self.scanned) = (0, 0);
                        if consumed > 0 {
                            return Framed::Skip { consumed, reason: "rest of an oversized record" };
                        }
                        continue;
                    }
                    return self.ended(buf, more);
                }
                if !self.passing {
                    self.doubtful.get_or_insert(self.at);
                }
            }
            if let Some(doubtful) = self.doubtful
                && self.at > doubtful.saturating_add(G::PATIENCE)
            {
                if G::HAS_REST {
                    self.doubt = self.doubt.max(self.at);
                }
                return self.record(buf, doubtful, false);
            }
            let Some(line_end) = line_end else {
                self.scanned = rest.len();
                if buf.len() > MAX_RECORD {
                    break;
                }
                match more {
                    More::Closed if self.passing => return Framed::Skip { consumed: buf.len(), reason: "rest of an oversized record" },
                    More::Closed => {
                        if !rest.is_empty() {
                            if begun {
                                self.grammar.more(line)
                            } else {
                                self.grammar.begin(line)
                            }
                            self.ends_in_head = begun && self.grammar.whole() && stands_alone::<G>(line);
                            self.at = buf.len();
                        }
                        let whole = self.grammar.whole();
                        if whole && self.ends_in_head && self.doubtful.is_some() {
                            return self.ended(buf, more);
                        }
                        match self.doubtful.filter(|_| !whole && G::PATIENCE < usize::MAX) {
                            Some(doubtful) => return self.record(buf, doubtful, false),
                            None => self.doubtful = None,
                        }
                        let unterminated = !rest.is_empty() || !whole;
                        return self.record(buf, buf.len(), unterminated);
                    }
                    More::Idle if begun && rest.is_empty() && self.grammar.whole() && !self.passing => {
                        return self.ended(buf, more);
                    }
                    _ if self.passing && self.at > 0 => {
                        let consumed = self.at;
                        (self.at, self.scanned) = (0, 0);
                        return Framed::Skip { consumed, reason: "rest of an oversized record" };
                    }
                    _ => return Framed::Incomplete,
                }
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if begun {
                self.grammar.more(line)
            } else {
                self.grammar.begin(line)
            }
            self.ends_in_head = begun && self.grammar.whole() && stands_alone::<G>(line);
            self.at += line_end + 1;
            self.scanned = 0;
            if buf.len() > MAX_RECORD && self.at > MAX_RECORD {
                break;
            }
        }
        // Longer than a record may be: its head is given out, and the rest passed over.
        let cut = if self.at > 0 { self.at } else { buf.len() };
        if self.at == 0 {
            let line = buf.get(..cut).unwrap_or_default();
            if self.passing { self.grammar.more(line) } else { self.grammar.begin(line) }
        }
        (self.at, self.scanned, self.doubtful, self.ends_in_head) = (0, 0, None, false);
        if std::mem::replace(&mut self.passing, true) {
            return Framed::Skip { consumed: cut, reason: "rest of an oversized record" };
        }
        self.grammar.end(buf.get(..HEAD.min(cut)).unwrap_or_default());
        Framed::Record(Frame { skip: 0, len: HEAD.min(cut), consumed: cut, truncated: true, unterminated: false, suspect: None })
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(self.passing, &self.grammar, self.doubt)).unwrap_or_default()
    }

    fn mark(&self) -> u64 {
        // A grammar that knows nothing saves nothing.
        if size_of::<G>() == 0 && self.doubt == 0 { u64::from(self.passing) } else { super::envelope::lane(&[&self.save()]) }
    }

    fn restore(&mut self, state: &[u8]) {
        *self = Self::new();
        if let Ok((passing, grammar, doubt)) = postcard::from_bytes(state) {
            (self.passing, self.grammar, self.doubt) = (passing, grammar, doubt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::{frames, in_pieces};

    /// Heads begin with `#`; a record goes on while its double quotes are open.
    #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
    struct Quotes(bool);

    impl Grammar for Quotes {
        const PATIENCE: usize = 64;

        fn head(line: &[u8]) -> bool {
            line.starts_with(b"#")
        }

        fn begin(&mut self, line: &[u8]) {
            self.0 = false;
            self.more(line);
        }

        fn more(&mut self, line: &[u8]) {
            self.0 ^= line.iter().filter(|b| **b == b'"').count() % 2 == 1;
        }

        fn whole(&self) -> bool {
            !self.0
        }
    }

    /// The same, where the rest of a record follows what is quoted.
    #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
    struct Followed(Option<u8>);

    impl Grammar for Followed {
        const HAS_REST: bool = true;

        fn head(line: &[u8]) -> bool {
            Quotes::head(line)
        }

        fn begin(&mut self, line: &[u8]) {
            self.0 = None;
            self.more(line);
        }

        fn more(&mut self, line: &[u8]) {
            self.0 = self.0.or(line.last().copied().filter(|last| *last == b'.'));
        }

        fn whole(&self) -> bool {
            self.0.is_some()
        }
    }

    #[test]
    fn what_follows_a_cut_record_is_kept_and_doubted() {
        let told = |log: &str, size: usize| -> Vec<(String, Option<&'static str>)> {
            let mut framer = Joined::<Followed>::new();
            let (mut told, mut buf) = (Vec::new(), Vec::new());
            let mut pieces = log.as_bytes().chunks(size).peekable();
            while let Some(piece) = pieces.next() {
                buf.extend_from_slice(piece);
                let more = if pieces.peek().is_some() { More::Flowing } else { More::Closed };
                while let Framed::Record(frame) = framer.next(&buf, more) {
                    told.push((String::from_utf8_lossy(&buf[..frame.len]).into_owned(), frame.suspect));
                    buf.drain(..frame.consumed);
                    let state = framer.save();
                    framer.restore(&state);
                }
            }
            told
        };
        let check = |log: &str, want: &[(&str, Option<&'static str>)]| {
            for size in 1..=log.len() {
                let got = told(log, size);
                let got: Vec<(&str, Option<&str>)> = got.iter().map(|(text, suspect)| (text.as_str(), *suspect)).collect();
                assert_eq!(got, want, "{log:?} in pieces of {size}");
            }
        };
        check("#a.\n#b x\n#forged.\ny.\n#c.\n", &[("#a.", None), ("#b x\n#forged.\ny.", None), ("#c.", None)]);
        check("#a x\n#true.\n#c.\n", &[("#a x", Some(OPEN)), ("#true.", Some(AFTER)), ("#c.", None)]);
        check(
            "#a x\n#forged\n#true.\n#c.\n#d.",
            &[("#a x", Some(OPEN)), ("#forged", Some(OPEN)), ("#true.", Some(AFTER)), ("#c.", None), ("#d.", None)],
        );
        check("#a x\n#true.", &[("#a x", Some(OPEN)), ("#true.", Some(AFTER))]);
    }

    fn check(log: &str, want: &[&str]) {
        let (records, _) = frames(&mut Joined::<Quotes>::new(), log.as_bytes(), More::Closed);
        let got: Vec<&str> = records.iter().map(|r| std::str::from_utf8(r).unwrap()).collect();
        assert_eq!(got, want, "{log:?}");
        for size in 1..12 {
            let pieces = in_pieces(&mut Joined::<Quotes>::new(), log.as_bytes(), size);
            let got: Vec<&str> = pieces.iter().map(|r| std::str::from_utf8(r).unwrap()).collect();
            assert_eq!(got, want, "{log:?} in pieces of {size}");
        }
    }

    #[test]
    fn heads_and_what_follows_them() {
        check("#a\n#b\r\n more\n\n#c", &["#a", "#b\r\n more", "#c"]);
        check("lost\n#a\n", &["lost", "#a"]);
        check("#a \"x\n#forged\ny\" end\n#b\n", &["#a \"x\n#forged\ny\" end", "#b"]);
    }

    #[test]
    fn what_never_closes_hides_nothing() {
        let true_lines = "#true one\n".repeat(20);
        let log = format!("#a \"x\n{true_lines}");
        let mut want = vec!["#a \"x"];
        want.extend(["#true one"; 20]);
        check(&log, &want);
        check("#a \"x\n#b", &["#a \"x", "#b"]);
    }

    #[test]
    fn oversized_records_are_cut_at_their_true_end() {
        let line = "x".repeat(70_000);
        let body = format!("{line}\n#forged\n").repeat(3 * MAX_RECORD / 70_000);
        let log = format!("#a \"\n{body}\"\n#b\n");
        #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
        struct Patient(Quotes);
        impl Grammar for Patient {
            fn head(line: &[u8]) -> bool {
                Quotes::head(line)
            }
            fn begin(&mut self, line: &[u8]) {
                self.0.begin(line);
            }
            fn more(&mut self, line: &[u8]) {
                self.0.more(line);
            }
            fn whole(&self) -> bool {
                self.0.whole()
            }
        }
        for size in [1_000, 65_536, 2_000_000, 9_000_000] {
            let records = in_pieces(&mut Joined::<Patient>::new(), log.as_bytes(), size);
            assert_eq!(records.iter().map(Vec::len).collect::<Vec<_>>(), [HEAD, 2], "pieces of {size}");
        }
    }
}
