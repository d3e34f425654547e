//! The framer: one record a line, except where a client has put line ends into its user name.
//!
//! The plugin writes the user name of a refused login as it came, up to 512 bytes with commas and line ends, so anybody who
//! reaches the port can write whole rows. What gives such rows away is that the server writes the same name twice, within
//! moments: in the FAILED_CONNECT row and in the DISCONNECT row of the same connection. The longest text that stands before
//! both ends is the user name, and all of it is one record. For that, rows are held back until enough has followed
//! (or nothing follows), and the second half is recognised by the text of the first.
//!
//! Where the second row is missing (an old server, a pause between the two), rows before a refused login
//! are believed only if they continue a known connection: same user, same host, a later statement number.

use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::row::{self, Op, Row, Start};
use crate::framing::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};
use crate::token::WordId;

/// Bytes that one connection row can span: the server's own buffer is 1024.
const WINDOW: usize = 1_200;
/// How far behind a FAILED_CONNECT row its DISCONNECT row is looked for; rows of other connections may stand between.
const AFTER: usize = 8 << 10;
/// Refused logins whose second row is awaited.
const TWINS: usize = 64;
/// Connections remembered. A server allows far fewer at a time.
const CONNECTIONS: usize = 16_384;
/// How far ahead of all seen a statement number may be and still be believed.
const STATEMENT_LEAP: u64 = 10_000;

/// Reason on a record whose user name holds line ends.
pub const NAME: &str = "line end in the user name";
/// Reason on a row that may be part of the name in a refused login behind it.
pub const NEAR: &str = "may be written by the refused login that follows";

const MARK: &[u8] = b",FAILED_CONNECT,";

/// Where [`MARK`] stands first.
fn mark(text: &[u8]) -> Option<usize> {
    static FINDER: LazyLock<memchr::memmem::Finder<'static>> = LazyLock::new(|| memchr::memmem::Finder::new(MARK));
    FINDER.find(text)
}

/// A user name with line ends that the server will write once more, with its DISCONNECT.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Twin {
    text: Vec<u8>,
    /// What follows the name in the second row: `,HOST,CONNECTION,0,DISCONNECT,`.
    tail: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    who: WordId,
    query: u64,
}

/// A FAILED_CONNECT row in the buffer.
struct Refused {
    /// Start and end of its line.
    line: usize,
    end: usize,
    /// Where the user name ends.
    name_end: usize,
    tail: Vec<u8>,
}

/// See the module's text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Guard {
    start: Start,
    /// Inside a line longer than [`MAX_RECORD`].
    passing: bool,
    twins: VecDeque<Twin>,
    connections: HashMap<u64, Seen, RandomState>,
    /// Highest statement number seen.
    top: u64,
    /// Leading bytes of the buffer that hold no start of [`MARK`].
    #[serde(skip)]
    clear: usize,
    /// Bytes before the buffer.
    #[serde(skip)]
    gone: u64,
    /// What was looked for behind refused logins, which are many times in reach: the end of each counted from the start of the log.
    #[serde(skip)]
    seconds: VecDeque<(u64, Seconds)>,
    /// How many twins have gone.
    #[serde(skip)]
    lost: u64,
    /// Refused logins all of whose twins were among the awaited ones when so many had gone.
    #[serde(skip)]
    asked: VecDeque<(u64, u64)>,
}

/// The rows behind a refused login that end as its second row would.
#[derive(Debug, Clone, Default)]
struct Seconds {
    /// Where the name of the last of them ends, counted from the line behind the refused login.
    last: Option<usize>,
    /// By their starts.
    proofs: Vec<Proof>,
}

/// The same name stands behind two heads: one before the refused login's end, one before that of a second row.
#[derive(Debug, Clone, Copy)]
struct Proof {
    /// Where the first row begins, counted from the start of the log.
    start: u64,
    /// Where the second row begins and where its name ends, counted from the line behind the refused login.
    second: (usize, usize),
}

impl Framer for Guard {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let framed = self.look(buf, more);
        let consumed = match &framed {
            Framed::Record(frame) => {
                if frame.suspect.is_none()
                    && !frame.truncated
                    && let Ok(row) = self.start.parse(buf.get(..frame.len).unwrap_or_default())
                {
                    self.remember(&row);
                }
                frame.consumed
            }
            Framed::Skip { consumed, .. } => *consumed,
            Framed::Incomplete => 0,
        };
        self.clear = self.clear.saturating_sub(consumed);
        self.gone += consumed as u64;
        while self.seconds.front().is_some_and(|(end, _)| *end < self.gone) {
            self.seconds.pop_front();
        }
        while self.asked.front().is_some_and(|(end, _)| *end < self.gone) {
            self.asked.pop_front();
        }
        framed
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(guard) = postcard::from_bytes(state) {
            *self = guard;
        }
    }
}

impl Guard {
    pub fn new(start: Start) -> Self {
        Guard { start, ..Guard::default() }
    }

    fn look(&mut self, buf: &[u8], more: More) -> Framed {
        if self.passing {
            let end = memchr::memchr(b'\n', buf);
            self.passing = end.is_none();
            let consumed = end.map_or(buf.len(), |end| end + 1);
            return if consumed == 0 { Framed::Incomplete } else { Framed::Skip { consumed, reason: "oversized record" } };
        }
        let blank = buf.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
        if blank > 0 {
            return Framed::Skip { consumed: blank, reason: "blank line" };
        }
        let end = match memchr::memchr(b'\n', buf) {
            Some(end) => end,
            None if buf.len() > MAX_RECORD => {
                self.passing = true;
                return oversized(buf.len());
            }
            None if more == More::Closed && !buf.is_empty() => buf.len(),
            None => return Framed::Incomplete,
        };
        if end > MAX_RECORD {
            return oversized((end + 1).min(buf.len()));
        }
        match self.second_half(buf) {
            Half::Record(len) => return record(buf, len, Some(NAME)),
            Half::Part if more == More::Flowing => return Framed::Incomplete,
            Half::Part | Half::No => {}
        }
        if end >= WINDOW {
            return record(buf, end, None);
        }
        if more == More::Flowing && buf.len() < WINDOW {
            return Framed::Incomplete;
        }
        if !self.mark_within_reach(buf) {
            return self.join(buf, end, more, None);
        }
        self.before_refused(buf, end, more)
    }

    /// Whether a FAILED_CONNECT stands near enough for the first line to be part of its user name.
    fn mark_within_reach(&mut self, buf: &[u8]) -> bool {
        let reach = WINDOW.min(buf.len());
        if self.clear < reach {
            let from = self.clear.saturating_sub(MARK.len());
            self.clear = match mark(buf.get(from..).unwrap_or_default()) {
                Some(at) => from + at,
                // A mark may begin in the last bytes.
                None => buf.len().saturating_sub(MARK.len()).max(self.clear),
            };
        }
        buf.get(self.clear..).is_some_and(|rest| self.clear < reach && rest.starts_with(MARK))
    }

    fn before_refused(&mut self, buf: &[u8], end: usize, more: More) -> Framed {
        // Twice the window: a mark within reach may itself stand in a name that ends as much later.
        let area = 2 * WINDOW;
        if more == More::Flowing && buf.len() < area {
            return Framed::Incomplete;
        }
        let mut refused = Vec::new();
        let mut from = 0;
        while let Some(at) = buf.get(from..area.min(buf.len())).and_then(mark) {
            let found = from + at;
            let line = line_start(buf, found);
            let stop = match memchr::memchr(b'\n', buf.get(found..).unwrap_or_default()) {
                Some(stop) => found + stop,
                None if more == More::Flowing && buf.len() < area + AFTER => return Framed::Incomplete,
                None => buf.len(),
            };
            from = stop.max(found + 1);
            let Some(tail) = row::tail(buf.get(line..stop).unwrap_or_default()).filter(|t| t.op == Op::FailedConnect) else {
                continue; // the words stand in a statement
            };
            let name_end = line + tail.start;
            let mut second = buf.get(name_end..).and_then(|t| t.get(..mark(t)?)).unwrap_or_default().to_vec();
            second.extend_from_slice(b",DISCONNECT,");
            refused.push(Refused { line, end: stop, name_end, tail: second });
        }

        // Where each refused login begins, as far as its second row proves it.
        let mut proved = if refused.is_empty() { Vec::new() } else { self.awaited(buf) };
        let mut open = Vec::new();
        let mut whole: Option<&Refused> = None;
        for one in &refused {
            match self.first_half(buf, one, more) {
                Search::Found { start, second } => {
                    proved.extend([(start, one.end), second]);
                    if start == 0 && whole.is_none_or(|w| w.end < one.end) {
                        whole = Some(one);
                    }
                }
                Search::Missing => open.push(one),
                Search::Unfinished => return Framed::Incomplete,
            }
        }
        if let Some(one) = whole {
            let several = one.line > 0;
            if several {
                self.await_second(buf, 0, one);
            }
            return record(buf, one.end, several.then_some(NAME));
        }
        // Rows inside a proved name are the client's: they raise no question of their own.
        open.retain(|one| one.line > 0 && one.end <= WINDOW && !proved.iter().any(|(start, stop)| *start <= one.line && one.end <= *stop));
        let Some(nearest) = open.first() else { return self.join(buf, end, more, None) };

        // No proof: every line with a head may be where the name began.
        for one in &open {
            let (key, lost) = (self.gone + one.end as u64, self.lost);
            if self.asked.contains(&(key, lost)) {
                continue;
            }
            for start in line_starts(buf, one.line).filter(|start| *start < one.line) {
                self.await_second(buf, start, one);
            }
            self.asked.retain(|(end, _)| *end != key);
            self.asked.push_back((key, lost));
        }
        let headless = line_starts(buf, nearest.line).skip(1).all(|at| self.start.head(buf.get(at..).unwrap_or_default()).is_none());
        if headless {
            // Only this line can be the head of the refused login's row.
            return record(buf, nearest.end, Some(NAME));
        }
        match self.start.parse(buf.get(..end).unwrap_or_default()) {
            Ok(row) if self.continues(&row) => self.join(buf, end, more, None),
            _ => self.join(buf, end, more, Some(NEAR)),
        }
    }

    /// The row goes on with a connection that was seen before, in its own order.
    fn continues(&self, row: &Row<'_>) -> bool {
        let Some(seen) = self.connections.get(&row.id) else { return false };
        let later = match row.op {
            Op::Query => row.query > seen.query,
            op if op.is_table() => row.query >= seen.query,
            _ => false,
        };
        later && seen.who == who(row) && row.query <= self.top.saturating_add(STATEMENT_LEAP)
    }

    fn remember(&mut self, row: &Row<'_>) {
        match row.op {
            Op::Disconnect => {
                self.connections.remove(&row.id);
            }
            Op::FailedConnect | Op::ProxyConnect | Op::AuditConfig => {}
            _ => {
                let opens = matches!(row.op, Op::Connect | Op::ChangeUser);
                self.top = self.top.max(row.query);
                match self.connections.get_mut(&row.id) {
                    Some(seen) if !opens => seen.query = seen.query.max(row.query),
                    _ => {
                        if self.connections.len() >= CONNECTIONS {
                            // Connections whose end was never logged; live ones come back with their next row.
                            self.connections.clear();
                        }
                        self.connections.insert(row.id, Seen { who: who(row), query: row.query });
                    }
                }
            }
        }
    }

    /// Remembers that the name from the head at `start` up to the end of `one` will be written once more.
    fn await_second(&mut self, buf: &[u8], start: usize, one: &Refused) {
        let Some(head) = buf.get(start..).and_then(|text| self.start.head(text)) else { return };
        let Some(text) = buf.get(start + head..one.name_end) else { return };
        if self.twins.iter().any(|t| t.tail == one.tail && t.text == text) {
            return;
        }
        if self.twins.len() >= TWINS {
            self.twins.pop_front();
            self.lost += 1;
        }
        self.twins.push_back(Twin { text: text.to_vec(), tail: one.tail.clone() });
    }

    /// Looks behind a FAILED_CONNECT row for its DISCONNECT row and compares backwards what stands before both.
    fn first_half(&mut self, buf: &[u8], one: &Refused, more: More) -> Search {
        let after = (one.end + 1).min(buf.len());
        let area = buf.get(after..(after + AFTER).min(buf.len())).unwrap_or_default();
        let key = self.gone + one.end as u64;
        let known = self.seconds.iter().position(|(end, _)| *end == key);
        let fresh = if known.is_none() { self.seconds_of(buf, one, area) } else { Seconds::default() };
        let all = known.and_then(|at| self.seconds.get(at)).map_or(&fresh, |(_, seconds)| seconds);
        let first = all.proofs.iter().find(|proof| proof.start >= self.gone).map(|proof| Search::Found {
            start: (proof.start - self.gone) as usize,
            second: (after + proof.second.0, after + proof.second.1),
        });
        // The client can put a false second row into its name; the true one then ends at most one name later.
        let wanted = all.last.map_or(AFTER, |last| last + WINDOW);
        if more == More::Flowing && area.len() < wanted.min(AFTER) {
            return Search::Unfinished;
        }
        if known.is_none() && area.len() == AFTER {
            self.seconds.push_back((key, fresh));
        }
        first.unwrap_or(Search::Missing)
    }

    /// What stands behind a FAILED_CONNECT row and ends as its DISCONNECT row would, with the heads before both behind which the same name stands.
    fn seconds_of(&self, buf: &[u8], one: &Refused, area: &[u8]) -> Seconds {
        let before = buf.get(..one.name_end).unwrap_or_default();
        let heads = |text: &[u8], last: usize| -> SmallVec<[(usize, usize); 16]> {
            let head = |start: usize| Some((start, start + self.start.head(text.get(start..)?)?));
            line_starts(text, last).filter_map(head).collect()
        };
        let mut found = Seconds::default();
        let mut firsts = None;
        for at in memchr::memmem::find_iter(area, &one.tail) {
            let text = area.get(..at).unwrap_or_default();
            let common = before.iter().rev().zip(text.iter().rev()).take(WINDOW).take_while(|(a, b)| a == b).count();
            found.last = Some(at);
            let firsts = firsts.get_or_insert_with(|| heads(buf, one.line));
            // The name begins in the common text, so its line begins no more than a head before that.
            let from = line_start(area, at - common);
            for (line, name) in heads(area.get(from..at).unwrap_or_default(), at - from) {
                let (line, name) = (from + line, from + name);
                let Some(len) = at.checked_sub(name).filter(|len| *len <= common) else { continue };
                found.proofs.extend(
                    firsts
                        .iter()
                        .filter(|(_, first)| first + len == one.name_end)
                        .map(|(start, _)| Proof { start: self.gone + *start as u64, second: (line, at) }),
                );
            }
        }
        found.proofs.sort_by_key(|proof| proof.start);
        found
    }

    /// Whether the buffer starts with the second row of a refused login whose first row was taken.
    fn second_half(&mut self, buf: &[u8]) -> Half {
        if self.twins.is_empty() {
            return Half::No;
        }
        let Some(rest) = self.start.head(buf).and_then(|head| buf.get(head..)) else { return Half::No };
        let mut part = false;
        let mut found = None;
        for twin in &self.twins {
            let shown = rest.len().min(twin.text.len());
            if rest.get(..shown) != twin.text.get(..shown) {
                continue;
            }
            let after = rest.get(shown..).unwrap_or_default();
            if after.starts_with(&twin.tail) {
                let name_end = buf.len() - after.len();
                match memchr::memchr(b'\n', after) {
                    Some(stop) => found = Some((name_end + stop, twin.tail.clone())),
                    None => part = true,
                }
            } else if twin.tail.starts_with(after) {
                part = true;
            }
        }
        match found {
            Some((len, tail)) => {
                self.twins.retain(|t| t.tail != tail);
                self.lost += 1;
                Half::Record(len)
            }
            None if part => Half::Part,
            None => Half::No,
        }
    }

    /// Where second rows stand whose first rows were taken, of those that begin within reach.
    fn awaited(&self, buf: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for twin in &self.twins {
            let reach = buf.get(..buf.len().min(WINDOW + twin.text.len())).unwrap_or_default();
            for at in memchr::memmem::find_iter(reach, &twin.text) {
                let stop = at + twin.text.len();
                if buf.get(stop..).is_some_and(|after| after.starts_with(&twin.tail)) {
                    found.push((line_start(buf, at), stop));
                }
            }
        }
        found
    }

    /// Frames the line that ends at `end`, with the lines without a head that complete it.
    fn join(&self, buf: &[u8], end: usize, more: More, suspect: Option<&'static str>) -> Framed {
        let mut stop = end;
        while let Some(rest) = buf.get(stop + 1..).filter(|rest| !rest.is_empty() && stop < WINDOW) {
            if self.start.head(rest).is_some() {
                break;
            }
            let next = match memchr::memchr(b'\n', rest) {
                Some(len) => stop + 1 + len,
                None if more == More::Flowing && rest.len() < WINDOW => return Framed::Incomplete,
                None if more == More::Closed => buf.len(),
                None => break,
            };
            stop = next;
            if self.start.parse(buf.get(..stop).unwrap_or_default()).is_ok() {
                return record(buf, stop, Some(NAME));
            }
        }
        record(buf, end, suspect)
    }
}

enum Half {
    /// Its length without the line end.
    Record(usize),
    /// Perhaps, if more follows.
    Part,
    No,
}

enum Search {
    /// Where the row of the refused login begins, and where its second row begins and its name there ends.
    Found {
        start: usize,
        second: (usize, usize),
    },
    Missing,
    /// More bytes will tell.
    Unfinished,
}

fn record(buf: &[u8], end: usize, suspect: Option<&'static str>) -> Framed {
    let terminated = end < buf.len();
    let len = match buf.get(..end) {
        Some([.., b'\r']) => end - 1,
        _ => end,
    };
    Framed::Record(Frame { skip: 0, len, consumed: end + usize::from(terminated), truncated: false, unterminated: !terminated, suspect })
}

/// Start of the line that holds the byte at `at`.
fn line_start(buf: &[u8], at: usize) -> usize {
    buf.get(..at).and_then(|before| memchr::memrchr(b'\n', before)).map_or(0, |newline| newline + 1)
}

/// Starts of the lines from the start of the buffer up to and including the one at `last`.
fn line_starts(buf: &[u8], last: usize) -> impl Iterator<Item = usize> + '_ {
    std::iter::once(0).chain(memchr::memchr_iter(b'\n', buf.get(..last).unwrap_or_default()).map(|newline| newline + 1))
}

/// User and host of a row; neither holds a NUL.
fn who(row: &Row<'_>) -> WordId {
    WordId::of(&[row.user, b"\0", row.host].concat())
}

fn oversized(consumed: usize) -> Framed {
    Framed::Record(Frame { skip: 0, len: HEAD, consumed, truncated: true, unterminated: false, suspect: None })
}
