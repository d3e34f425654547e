//! Records of the general log: each begins with a head, and its text runs on up to the next one.
//!
//! A server that logs only what it could parse (MySQL from 5.6 on; to be told from the others by its time stamps from 5.7 on) gives the
//! end away: a head inside an open quote or comment is text. Such a text goes on until it is closed. Where it is never closed
//! (`log_raw`, a disk that was full), framing starts anew at the first head inside it, and says that this may be text.
//!
//! The names in Connect are the one text that is not SQL. See [`Framer::connect`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::header::{self, Act, Header};
use crate::decoder::mysql::doubt::Doubt;
use crate::decoder::mysql::lex::{Lexed, Lexer};
use crate::decoder::mysql::{banner, head, refusal, stamp};
use crate::decoder::timestamp::Timestamps;
use crate::framing::lines::{void, without_cr};
use crate::framing::seek::Seek;
use crate::framing::{Frame, Framed, HEAD, MAX_RECORD, More};
use crate::token::WordId;

/// Reason on a record that may be text of the one before, whoever wrote that.
pub const OPEN: &str = "may be text of the record before it";
/// Reason on a Connect of which it is not yet known how it ends.
pub const UNCONFIRMED: &str = "the server's verdict on this login is not in the log yet";
/// Reason on a login whose name holds line ends.
pub const NAME: &str = "line end in the user name";

/// Reason on an end of a connection that goes on behind it.
pub const GOES_ON: &str = "the connection goes on after this end";

/// How far behind the end of a connection more of it is looked for.
const AFTERLIFE: usize = 8 << 10;
/// Heads inside an open text, and bytes from the first of them on, after which the text is taken for broken.
const HEADS: usize = 64;
const BROKEN: usize = 64 << 10;
/// Bytes that names in Connect can take up: user, host, database.
const NAMES: usize = 128 * 4 + 256 + 64 * 4;
/// How far behind a Connect the refusal of the same connection is looked for.
const VERDICT: usize = 2 << 10;
/// Letters of a database name.
const DATABASE: usize = 64;

/// Frames the general log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Framer {
    /// Heads have stamps of the new form, as the first one of the log had.
    iso: Option<bool>,
    /// Whether a record may be text of another: then its own quotes are no guide.
    doubt: Doubt,
    #[serde(skip, default = "local")]
    stamps: Timestamps,
    /// The head of this record was given out already.
    passing: bool,
    /// The next record may be text.
    open: bool,
    #[serde(skip)]
    scan: Scan,
    /// Bytes before the buffer.
    #[serde(skip)]
    gone: u64,
    /// The lines behind the last login, one behind the other: they are in reach of the next one, too.
    #[serde(skip)]
    behind: VecDeque<Behind>,
}

/// A line behind a login.
#[derive(Debug, Clone, Copy)]
struct Behind {
    /// Counted from the start of the log.
    start: u64,
    len: usize,
    /// It ends as a login does.
    connected: bool,
    /// It is one.
    login: bool,
}

/// Only differences of times matter to the framing.
fn local() -> Timestamps {
    Timestamps::new(None)
}

impl Default for Framer {
    fn default() -> Self {
        Framer {
            iso: None,
            doubt: Doubt::default(),
            stamps: local(),
            passing: false,
            open: false,
            scan: Scan::default(),
            gone: 0,
            behind: VecDeque::new(),
        }
    }
}

/// How far the record at the start of the buffer has been looked at.
#[derive(Debug, Default)]
struct Scan {
    /// Start of the next line to look at.
    at: usize,
    lexer: Lexer,
    /// The first head inside an open text, and how many there are.
    inside: Option<usize>,
    heads: usize,
}

impl crate::framing::Framer for Framer {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let framed = self.look(buf, more);
        self.gone += match &framed {
            Framed::Record(frame) => frame.consumed as u64,
            Framed::Skip { consumed, .. } => *consumed as u64,
            Framed::Incomplete => 0,
        };
        framed
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
    fn look(&mut self, buf: &[u8], more: More) -> Framed {
        if self.passing {
            return self.pass(buf);
        }
        if self.scan.at == 0
            && let Some(skip) = void(buf)
        {
            return skip;
        }
        while self.behind.front().is_some_and(|line| line.start < self.gone) {
            self.behind.pop_front();
        }
        let known = self.behind.front().filter(|line| line.start == self.gone).map(|line| line.len);
        let first = match known.or_else(|| memchr::memchr(b'\n', buf)) {
            Some(end) => end,
            None if buf.len() > MAX_RECORD => return self.cut(buf),
            None if more == More::Closed && !buf.is_empty() => buf.len(),
            None => return Framed::Incomplete,
        };
        let line = buf.get(..first).unwrap_or_default();
        if banner(line) || head(line) {
            if self.parsed() {
                // Outside quotes this is no SQL, hence the server's; it may be another one than before.
                self.iso = None;
            }
            let open = self.open;
            let framed = self.record(buf, first, None);
            self.open |= open;
            return framed;
        }
        let Some(head) = header::parse(line) else {
            // It may be the text of the record before as well as what follows.
            let open = self.open;
            let framed = self.statement(buf, first, false, more);
            self.open |= open;
            return framed;
        };
        self.iso.get_or_insert(head.iso);
        if self.scan.at == 0
            && let Some(time) = head.stamp.and_then(|stamp| stamp::read(stamp, &mut self.stamps))
        {
            self.doubt.at(time);
        }
        match head.act {
            Act::Connect | Act::ChangeUser => self.connect(buf, first, &head, more),
            Act::Statement | Act::Prepare => self.statement(buf, first, self.parsed(), more),
            Act::Quit if more == More::Flowing && buf.len() < first + AFTERLIFE => Framed::Incomplete,
            Act::Quit if self.goes_on(buf, first + 1, &head) => self.record(buf, first, Some(GOES_ON)),
            _ => self.statement(buf, first, false, more),
        }
    }

    /// The server logged what it could parse, and this record is its own.
    fn parsed(&self) -> bool {
        self.iso == Some(true) && self.doubt.none()
    }

    /// Whether the record that ends now may be text of the one before.
    fn was_open(&mut self) -> bool {
        if self.open {
            self.doubt.add(WordId(0));
        }
        std::mem::take(&mut self.open)
    }

    fn record(&mut self, buf: &[u8], end: usize, suspect: Option<&'static str>) -> Framed {
        self.scan = Scan::default();
        let suspect = if self.was_open() { Some(OPEN) } else { suspect };
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
        let suspect = self.was_open().then_some(OPEN);
        Framed::Record(Frame { skip: 0, len: HEAD, consumed: buf.len(), truncated: true, unterminated: false, suspect })
    }

    /// The rest of an oversized record: up to the next head, of which nobody knows whether it is text.
    fn pass(&mut self, buf: &[u8]) -> Framed {
        let mut from = 0;
        while let Some(end) = buf.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let line = buf.get(from..from + end).unwrap_or_default();
            if from > 0 && self.begins(line) {
                (self.passing, self.open) = (false, true);
                break;
            }
            from += end + 1;
        }
        match (from, buf.len() > MAX_RECORD) {
            (0, false) => Framed::Incomplete,
            (0, true) => Framed::Skip { consumed: buf.len(), reason: "rest of an oversized record" },
            _ => Framed::Skip { consumed: from, reason: "rest of an oversized record" },
        }
    }

    /// Whether a line begins a record.
    fn begins(&self, line: &[u8]) -> bool {
        header::parse(line).is_some_and(|head| head.iso || self.iso != Some(true)) || banner(line)
    }

    /// A record whose text runs up to the next head; up to the first that is no text, where the text was `parsed` by the server.
    fn statement(&mut self, buf: &[u8], first: usize, parsed: bool, more: More) -> Framed {
        if self.scan.at == 0 {
            if parsed {
                let start = header::parse(buf.get(..first).unwrap_or_default()).map_or(0, |head| head.argument);
                self.scan.lexer.feed(buf.get(start..(first + 1).min(buf.len())).unwrap_or_default());
            }
            self.scan.at = (first + 1).min(buf.len());
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
                None if rest.is_empty() && more != More::Flowing => return self.last(buf, more),
                None if rest.is_empty() || more != More::Closed => return Framed::Incomplete,
                None => rest.len(),
            };
            let line = rest.get(..end).unwrap_or_default();
            if self.begins(line) {
                match if parsed { self.scan.lexer.lexed() } else { Lexed::Whole } {
                    Lexed::Whole => return self.record(buf, at - 1, None),
                    Lexed::Unsure => {
                        let framed = self.record(buf, at - 1, None);
                        self.open = true;
                        return framed;
                    }
                    Lexed::Open => {
                        let inside = *self.scan.inside.get_or_insert(at);
                        self.scan.heads += 1;
                        if self.scan.heads > HEADS || at - inside > BROKEN {
                            return self.broken(buf, inside);
                        }
                    }
                }
            }
            let next = (at + end + 1).min(buf.len());
            if parsed {
                self.scan.lexer.feed(rest.get(..next - at).unwrap_or_default());
            }
            self.scan.at = next;
        }
    }

    /// The text is never closed: it ends before the first head inside it.
    fn broken(&mut self, buf: &[u8], inside: usize) -> Framed {
        let framed = self.record(buf, inside.saturating_sub(1), None);
        self.open = true;
        framed
    }

    /// Nothing follows, for now or for ever.
    fn last(&mut self, buf: &[u8], more: More) -> Framed {
        if let Some(inside) = self.scan.inside {
            return if more == More::Closed { self.broken(buf, inside) } else { Framed::Incomplete };
        }
        // Without a final line end the text is still being written, or torn.
        match buf.last() {
            Some(b'\n') => self.record(buf, buf.len() - 1, None),
            _ if more == More::Closed => self.record(buf, buf.len(), None),
            _ => Framed::Incomplete,
        }
    }

    /// A login. The server writes the names as the client sent them, *before* it judges the password; a refusal follows as a record of its
    /// own. So somebody without an account writes up to 128 letters into the log, behind which the server writes
    /// `@HOST on DATABASE using PROTOCOL`, and a refusal with the same name. A login is one record with
    ///
    /// * the lines up to the last one in reach that ends so without being a login, if the refusal of the same connection follows;
    /// * that refusal, if it follows at once.
    ///
    /// A user with an account has a database name of 64 letters to write into, and no refusal: then what follows is [`OPEN`].
    fn connect(&mut self, buf: &[u8], first: usize, head: &Header<'_>, more: More) -> Framed {
        let argument = buf.get(head.argument..).unwrap_or_default();
        let begins = |line: &[u8]| header::parse(line).is_some_and(|h| matches!(h.act, Act::Connect | Act::ChangeUser));
        if argument.starts_with(refusal::START) {
            // Behind a whole one, the login of somebody else whose name looks like the end of a refusal.
            let other = |line: &[u8], whole: bool| begins(line) && (whole || line.seek(refusal::START).is_some());
            return match refusal::end(argument, other, more != More::Flowing) {
                Some(end) => {
                    let end = head.argument + end;
                    self.record(buf, end, (end > first).then_some(NAME))
                }
                None => Framed::Incomplete,
            };
        }
        let closed = more == More::Closed;
        let database = buf.get(head.argument..first).and_then(|l| l.seek_last(b" on ")).map_or(first, |on| head.argument + on + 4);
        let (mut names, mut stray, mut from) = (first, false, first + 1);
        while self.behind.front().is_some_and(|line| line.start < self.gone + from as u64) {
            self.behind.pop_front();
        }
        if self.behind.front().is_some_and(|line| line.start != self.gone + from as u64) {
            self.behind.clear();
        }
        let mut index = 0;
        while from < first + NAMES {
            let line = match self.behind.get(index) {
                Some(line) => *line,
                None => {
                    let Some(rest) = buf.get(from..).filter(|rest| !rest.is_empty()) else { break };
                    let end = memchr::memchr(b'\n', rest);
                    let Some(len) = end.or((closed || rest.len() > NAMES).then_some(rest.len())) else { break };
                    let text = rest.get(..len).unwrap_or_default();
                    let connected = header::connected(text);
                    let line = Behind { start: self.gone + from as u64, len, connected, login: connected && begins(text) };
                    if end.is_some() {
                        self.behind.push_back(line);
                    }
                    line
                }
            };
            if line.connected {
                // Other heads are short enough for a name, too; there the user is one who may have written what follows anyhow.
                let short = self.iso == Some(true) && from + line.len <= database + DATABASE + b" using TCP/IP".len();
                if !line.login {
                    names = from + line.len;
                }
                stray |= !line.login || short;
            }
            (from, index) = (from + line.len + 1, index + 1);
        }
        if more == More::Flowing && from < first + NAMES {
            return Framed::Incomplete;
        }
        if names > first {
            match self.refused(buf, names + 1, head.id, VERDICT) {
                Some(_) => {}
                None if !closed && buf.len() < names + VERDICT => return Framed::Incomplete,
                None => names = first,
            }
        }
        let next = (names + 1).min(buf.len());
        let follower = buf.get(next..).and_then(header::parse);
        let refusal = follower.filter(|h| h.id == head.id).map(|h| next + h.argument);
        let (end, refused) = match refusal.filter(|at| buf.get(*at..).is_some_and(|text| text.starts_with(refusal::START))) {
            Some(at) => match refusal::end(buf.get(at..).unwrap_or_default(), |line, _| begins(line), more != More::Flowing) {
                Some(len) => (at + len, true),
                None => return Framed::Incomplete,
            },
            None => (names, false),
        };
        let confirmed = refused || follower.is_some_and(|h| h.id == head.id && !matches!(h.act, Act::Connect));
        let framed = self.record(buf, end, if names > first { Some(NAME) } else { (!confirmed).then_some(UNCONFIRMED) });
        self.open = stray && names == first;
        framed
    }

    /// Whether more of a connection follows within reach; its number may come again only with a login.
    fn goes_on(&self, buf: &[u8], from: usize, head: &Header<'_>) -> bool {
        let area = buf.get(from..(from + AFTERLIFE).min(buf.len())).unwrap_or_default();
        // Blanks stand before a connection's number, and one behind it.
        let alone = |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| area.get(before));
            matches!(before, Some(b' ' | b'\t' | b'0')) && area.get(at + head.id_text.len()) == Some(&b' ')
        };
        for at in memchr::memmem::find_iter(area, head.id_text).filter(alone) {
            let line = area.get(..at).and_then(|before| memchr::memrchr(b'\n', before)).map_or(0, |end| end + 1);
            if let Some(next) = area.get(line..).and_then(header::parse).filter(|next| next.id == head.id && next.iso == head.iso) {
                return !matches!(next.act, Act::Connect | Act::Quit);
            }
        }
        false
    }

    /// Where the text of the refusal of this connection stands, which begins in a line that starts within `reach` from `from` on.
    fn refused(&self, buf: &[u8], from: usize, id: u64, reach: usize) -> Option<usize> {
        let mut at = from;
        while at < from + reach {
            let rest = buf.get(at..).filter(|rest| !rest.is_empty())?;
            if let Some(head) = header::parse(rest)
                && head.id == id
                && rest.get(head.argument..).is_some_and(|text| text.starts_with(refusal::START))
            {
                return Some(at + head.argument);
            }
            at += memchr::memchr(b'\n', rest)? + 1;
        }
        None
    }
}
