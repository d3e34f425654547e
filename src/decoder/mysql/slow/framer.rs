//! Entries of the slow log: each begins with `# Time:` or `# User@Host:`, and its statement runs on up to the next one.
//!
//! Such a line also stands in statements. It begins an entry only if the line before ends with the semicolon that the
//! server puts behind every statement, and if `# User@Host:` and `# Query_time:` follow. Where the server says that
//! it parsed the statement, its quotes and comments must be closed, too; a text that never is closed is broken at the first such
//! line inside it, and the framing says that this may be text.

use serde::{Deserialize, Serialize};

use super::Clock;
use super::entry::{ADMINISTRATOR, COST, Entry, OLD_USER, TIME, USER};
use crate::decoder::mysql::doubt::Doubt;
use crate::decoder::mysql::lex::{Lexed, Lexer};
use crate::decoder::mysql::{banner, head};
use crate::framing::lines::{void, without_cr};
use crate::framing::seek::Seek;
use crate::framing::{Frame, Framed, HEAD, MAX_RECORD, More};

/// Reason on an entry that may be text of the one before, whoever wrote that.
pub const OPEN: &str = "may be text of the entry before it";

/// Entries inside an open text, and bytes from the first of them on, after which the text is taken for broken.
const ENTRIES: usize = 64;
const BROKEN: usize = 64 << 10;
/// Lines within which the cost of the statement follows.
const COST_WITHIN: usize = 10;

/// Frames the slow log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Framer {
    /// Whether an entry may be text of another: then its own quotes are no guide.
    doubt: Doubt,
    clock: Clock,
    passing: bool,
    /// The next entry may be text.
    open: bool,
    #[serde(skip)]
    scan: Scan,
}

impl Default for Framer {
    fn default() -> Self {
        // Only differences of times matter to the framing.
        Framer { doubt: Doubt::default(), clock: Clock::new(None), passing: false, open: false, scan: Scan::default() }
    }
}

/// How far the entry at the start of the buffer has been looked at.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    /// The head has its `# User@Host:`.
    user: bool,
    /// The lines with `#` are over.
    set: bool,
    /// `use` is over.
    used: bool,
    /// `SET timestamp` is over: what follows is the statement, whatever it looks like.
    stamped: bool,
    /// A blank line stood in the head: what follows is the statement.
    blank: bool,
    /// The statement has begun; it was parsed.
    body: Option<bool>,
    lexer: Lexer,
    inside: Option<usize>,
    entries: usize,
}

/// What a line is to the entry before it.
enum Next {
    Begins,
    /// It looks like it, but not all of it is there.
    Perhaps,
    No,
    /// The lines that tell have not come yet.
    Unknown,
}

impl crate::framing::Framer for Framer {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if self.passing {
            return self.pass(buf, more);
        }
        if self.scan.at == 0
            && let Some(skip) = void(buf)
        {
            return skip;
        }
        loop {
            let at = self.scan.at;
            if at > MAX_RECORD {
                return match self.scan.inside {
                    Some(inside) => self.broken(buf, inside),
                    None => self.cut(buf),
                };
            }
            let rest = buf.get(at..).unwrap_or_default();
            let end = match memchr::memchr(b'\n', rest) {
                Some(end) => end,
                None if buf.len() > MAX_RECORD => return self.cut(buf),
                None if rest.is_empty() && more != More::Flowing && at > 0 => return self.last(buf, more),
                None if rest.is_empty() || more != More::Closed => return Framed::Incomplete,
                None => rest.len(),
            };
            let line = rest.get(..end).unwrap_or_default();
            if at == 0 && (banner(line) || head(line)) {
                return self.record(buf, end);
            }
            if at > 0 {
                match self.begins(buf, at, line, more) {
                    Next::Begins => return self.boundary(buf, at),
                    Next::Perhaps => {
                        let inside = *self.scan.inside.get_or_insert(at);
                        self.scan.entries += 1;
                        if self.scan.entries > ENTRIES || at - inside > BROKEN {
                            return self.broken(buf, inside);
                        }
                    }
                    Next::Unknown => return Framed::Incomplete,
                    Next::No => {}
                }
            }
            self.take(buf, at, line);
            self.scan.at = (at + end + 1).min(buf.len());
        }
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(framer) = postcard::from_bytes(state) {
            *self = framer;
        }
    }
}

impl Framer {
    /// A line of the entry at the start of the buffer.
    fn take(&mut self, buf: &[u8], at: usize, line: &[u8]) {
        self.scan.user |= line.starts_with(USER) || (line.starts_with(TIME) && line.seek(USER).is_some());
        if self.scan.body.is_none() {
            if line.starts_with(b"#") && !line.starts_with(ADMINISTRATOR) && !self.scan.set {
                return;
            }
            self.scan.set = true;
            // Heads are lines with `#`, `use` and `SET timestamp`; what does not read as one is the statement.
            let Scan { used, stamped, blank, .. } = &mut self.scan;
            let head = !line.starts_with(ADMINISTRATOR) && !*blank && Entry::goes_on(used, stamped, line);
            if head || (line.is_empty() && !std::mem::replace(&mut self.scan.blank, true)) {
                return;
            }
            // Where others may have written this nobody asks what the server says of it.
            self.scan.body = Some(
                self.doubt.none() && {
                    let entry = Entry::parse(buf.get(..at + line.len()).unwrap_or_default());
                    entry.parsed() && entry.command.is_none()
                },
            );
        }
        // Of a statement that was perhaps not parsed nobody asks how it ends.
        if self.scan.body == Some(true) {
            self.scan.lexer.feed(line);
            self.scan.lexer.feed(b"\n");
        }
    }

    fn begins(&self, buf: &[u8], at: usize, line: &[u8], more: More) -> Next {
        let time = line.starts_with(TIME);
        if line.starts_with(COST) && self.scan.body.is_some() {
            // Tools cut logs down to entries without a user. Such an entry names nobody.
            let closed = closes(buf, at) && (self.scan.body == Some(false) || self.scan.lexer.statement() != Lexed::Open);
            return if closed { Next::Begins } else { Next::No };
        }
        if !time && !line.starts_with(USER) {
            let start = self.scan.body.is_some() && banner(line) && closes(buf, at);
            return if start { Next::Begins } else { Next::No };
        }
        let Some(parsed) = self.scan.body else {
            // In a head only a second one of its lines begins a new entry.
            return if (time || self.scan.user) && !(self.scan.stamped && self.doubt.none()) { Next::Begins } else { Next::No };
        };
        let mut lines = buf.get(at..).unwrap_or_default().split_inclusive(|b| *b == b'\n').take(COST_WITHIN);
        let (mut user, mut cost, mut seen) = (false, false, 0);
        for line in lines.by_ref() {
            if !line.starts_with(b"#") {
                seen = COST_WITHIN;
                break;
            }
            if !line.ends_with(b"\n") && more != More::Closed {
                break;
            }
            seen += 1;
            user |= line.starts_with(USER) || line.starts_with(OLD_USER) || (line.starts_with(TIME) && line.seek(USER).is_some());
            cost |= line.starts_with(COST);
            if user && cost {
                seen = COST_WITHIN;
                break;
            }
        }
        if seen < COST_WITHIN && more != More::Closed {
            return Next::Unknown;
        }
        let closed = closes(buf, at) && (!parsed || self.scan.lexer.statement() != Lexed::Open);
        match (closed, user && cost) {
            (true, true) => Next::Begins,
            (false, false) => Next::No,
            _ => Next::Perhaps,
        }
    }

    /// An entry ends before `at`.
    fn boundary(&mut self, buf: &[u8], at: usize) -> Framed {
        let unsure = self.scan.body == Some(true) && self.scan.lexer.statement() == Lexed::Unsure;
        let framed = self.record(buf, at - 1);
        self.open = unsure;
        framed
    }

    /// The text is never closed: it ends before the first entry inside it.
    fn broken(&mut self, buf: &[u8], inside: usize) -> Framed {
        let framed = self.record(buf, inside.saturating_sub(1));
        self.open = true;
        framed
    }

    /// Nothing follows, for now or for ever.
    fn last(&mut self, buf: &[u8], more: More) -> Framed {
        if let Some(inside) = self.scan.inside {
            return if more == More::Closed { self.broken(buf, inside) } else { Framed::Incomplete };
        }
        match buf.last() {
            _ if more == More::Closed => self.record(buf, buf.len() - usize::from(buf.ends_with(b"\n"))),
            // A head alone, or a statement of which more is to come.
            Some(b'\n') if self.scan.body.is_some() && closes(buf, buf.len()) => self.record(buf, buf.len() - 1),
            _ => Framed::Incomplete,
        }
    }

    fn record(&mut self, buf: &[u8], end: usize) -> Framed {
        self.scan = Scan::default();
        let suspect = std::mem::take(&mut self.open).then_some(OPEN);
        if let Some(text) = buf.get(..end).filter(|text| text.starts_with(b"#")) {
            self.clock.note(&mut self.doubt, &Entry::parse(text), text, suspect.is_some());
        }
        let terminated = end < buf.len();
        let len = without_cr(buf, end);
        Framed::Record(Frame {
            skip: 0,
            len,
            consumed: end + usize::from(terminated),
            truncated: false,
            unterminated: !terminated,
            suspect,
        })
    }

    fn cut(&mut self, buf: &[u8]) -> Framed {
        self.scan = Scan::default();
        self.passing = true;
        let suspect = std::mem::take(&mut self.open).then_some(OPEN);
        Framed::Record(Frame { skip: 0, len: HEAD, consumed: buf.len(), truncated: true, unterminated: false, suspect })
    }

    /// The rest of an oversized entry: up to a line that begins one, of which nobody knows whether it is text.
    fn pass(&mut self, buf: &[u8], more: More) -> Framed {
        let mut from = 0;
        while let Some(rest) = buf.get(from..).filter(|rest| !rest.is_empty()) {
            if from > 0 && [TIME, USER, COST].iter().any(|start| rest.starts_with(start)) {
                (self.passing, self.open) = (false, true);
                break;
            }
            match memchr::memchr(b'\n', rest) {
                Some(end) => from += end + 1,
                None if more == More::Closed || buf.len() > MAX_RECORD => from = buf.len(),
                None => break,
            }
        }
        if from == 0 { Framed::Incomplete } else { Framed::Skip { consumed: from, reason: "rest of an oversized record" } }
    }
}

/// Whether the line before `at` ends as the server ends a statement.
fn closes(buf: &[u8], at: usize) -> bool {
    buf.get(..at).is_some_and(|text| text.trim_ascii_end().ends_with(b";"))
}
