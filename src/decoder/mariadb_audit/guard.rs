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
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::disconnects::Disconnects;
use super::refused::Refused;
use super::row::{Op, Row, Start};
use crate::framing::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};
use crate::token::WordId;

/// Bytes that one connection row can span: the server's own buffer is 1024.
pub(super) const WINDOW: usize = 1_200;
/// How far behind a FAILED_CONNECT row its DISCONNECT row is looked for; rows of other connections may stand between.
pub(super) const AFTER: usize = 8 << 10;
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

static FIRST: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));

/// Where [`MARK`] stands first.
pub(super) fn mark(text: &[u8]) -> Option<usize> {
    FIRST.find(text)
}

/// A user name with line ends that the server will write once more, with its DISCONNECT.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Twin {
    /// The longest that the name may be.
    text: Vec<u8>,
    /// Its possible lengths, the longest first; all end where `text` does.
    lens: SmallVec<[u16; 8]>,
    /// What follows the name in the second row: `,HOST,CONNECTION,0,DISCONNECT,`.
    tail: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    who: WordId,
    query: u64,
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
    /// Refused logins in the buffer, as far as they were looked for.
    #[serde(skip)]
    refused: VecDeque<Refused>,
    /// Leading bytes of the buffer all of whose refused logins are known.
    #[serde(skip)]
    looked: usize,
    /// How many twins have gone.
    #[serde(skip)]
    lost: u64,
    /// Nothing more is known of the first row before the buffer has so many bytes or another DISCONNECT row.
    #[serde(skip)]
    enough: Option<usize>,
    #[serde(skip)]
    disconnects: Disconnects,
}

impl Framer for Guard {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if more == More::Flowing && self.enough.is_some_and(|enough| buf.len() < enough) && !self.disconnects.look(buf) {
            return Framed::Incomplete;
        }
        self.enough = None;
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
        self.disconnects.take(consumed);
        self.clear = self.clear.saturating_sub(consumed);
        self.looked = self.looked.saturating_sub(consumed);
        while self.refused.front().is_some_and(|one| one.line < consumed) {
            self.refused.pop_front();
        }
        for one in &mut self.refused {
            one.line -= consumed;
            one.end -= consumed;
            one.name_end -= consumed;
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
        if more == More::Flowing && buf.len() < area || !self.find_refused(buf, area, more) {
            return Framed::Incomplete;
        }
        self.disconnects.look(buf);
        let mut refused = std::mem::take(&mut self.refused);
        let framed = self.judge(buf, end, more, &mut refused);
        self.refused = refused;
        framed
    }

    /// Takes up the refused logins that stand in the first `area` bytes; `false` where more bytes will tell.
    fn find_refused(&mut self, buf: &[u8], area: usize, more: More) -> bool {
        self.refused.retain(|one| !one.torn);
        let area_end = area.min(buf.len());
        while let Some(at) = buf.get(self.looked..area_end).and_then(mark) {
            let found = self.looked + at;
            let line_end = memchr::memchr(b'\n', buf.get(found..).unwrap_or_default()).map(|len| found + len);
            if line_end.is_none() && more == More::Flowing && buf.len() < area + AFTER {
                return false;
            }
            // Where there is none, the words stand in a statement.
            self.refused.extend(Refused::read(buf, found, line_end));
            match line_end {
                Some(line_end) => self.looked = line_end,
                None => return true,
            }
        }
        // A mark may begin in the last bytes.
        self.looked = self.looked.max(area_end.saturating_sub(MARK.len()));
        true
    }

    /// Frames the row at the start of the buffer, which ends at `end`, by what the refused logins behind it prove.
    fn judge(&mut self, buf: &[u8], end: usize, more: More, refused: &mut VecDeque<Refused>) -> Framed {
        for one in refused.iter_mut() {
            let undecided = one.settle(self.start, buf, &self.disconnects);
            if undecided.is_some() && more == More::Flowing {
                self.enough = undecided;
                return Framed::Incomplete;
            }
        }
        let mut whole: Option<&Refused> = None;
        let mut all = true;
        for one in refused.iter_mut() {
            let proof = one.proof();
            all &= proof.is_some();
            if proof.is_some_and(|(start, _)| start == 0) && whole.is_none_or(|w| w.end < one.end) {
                whole = Some(one);
            }
        }
        if let Some(one) = whole {
            let several = one.line > 0;
            if several {
                self.await_second(buf, std::iter::once(0), one);
            }
            return record(buf, one.end, several.then_some(NAME));
        }
        if all {
            return self.join(buf, end, more, None);
        }
        // Where each refused login begins, as far as its second row proves it.
        let mut proved: SmallVec<[(usize, usize); 16]> = SmallVec::new();
        let mut open: SmallVec<[&mut Refused; 8]> = SmallVec::new();
        for one in refused {
            match one.proof() {
                Some((start, second)) => proved.extend([(start, one.end), second]),
                None => open.push(one),
            }
        }
        open.retain(|one| one.line > 0 && one.end <= WINDOW);
        if !open.is_empty() {
            // Rows inside a proved name are the client's: they raise no question of their own.
            proved.extend(self.awaited(buf));
            open.retain(|one| !proved.iter().any(|(start, stop)| *start <= one.line && one.end <= *stop));
        }
        // No proof: every line with a head may be where the name began.
        for one in &mut open {
            let lost = self.lost;
            if one.asked == Some(lost) {
                continue;
            }
            self.await_second(buf, line_starts(buf, one.line).filter(|start| *start < one.line), one);
            one.asked = Some(lost);
        }
        let Some(nearest) = open.first() else { return self.join(buf, end, more, None) };
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

    /// Remembers that the name of `one`, which begins behind the head at one of `starts`, will be written once more.
    fn await_second(&mut self, buf: &[u8], starts: impl Iterator<Item = usize>, one: &Refused) {
        let len = |start: usize| u16::try_from(one.name_end.checked_sub(start + self.start.head(buf.get(start..)?)?)?).ok();
        let mut lens: SmallVec<[u16; 8]> = starts.filter_map(len).collect();
        lens.sort_unstable_by(|a, b| b.cmp(a));
        let Some(text) = lens.first().and_then(|len| buf.get(one.name_end - usize::from(*len)..one.name_end)) else { return };
        let same = |twin: &&mut Twin| twin.tail == one.tail && (twin.text.ends_with(text) || text.ends_with(&twin.text));
        if let Some(twin) = self.twins.iter_mut().find(same) {
            if twin.text.len() < text.len() {
                twin.text = text.to_vec();
            }
            twin.lens.extend(lens);
            twin.lens.sort_unstable_by(|a, b| b.cmp(a));
            twin.lens.dedup();
            return;
        }
        if self.twins.len() >= TWINS {
            self.twins.pop_front();
            self.lost += 1;
        }
        self.twins.push_back(Twin { text: text.to_vec(), lens, tail: one.tail.clone() });
    }

    /// Whether the buffer starts with the second row of a refused login whose first row was taken.
    fn second_half(&mut self, buf: &[u8]) -> Half {
        if self.twins.is_empty() {
            return Half::No;
        }
        let Some(rest) = self.start.head(buf).and_then(|head| buf.get(head..)) else { return Half::No };
        let mut part = false;
        let mut found = None;
        for (twin, text) in self.twins.iter().flat_map(|twin| twin.texts().map(move |text| (twin, text))) {
            let shown = rest.len().min(text.len());
            if rest.get(..shown) != text.get(..shown) {
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
    fn awaited(&self, buf: &[u8]) -> SmallVec<[(usize, usize); 8]> {
        let mut found = SmallVec::new();
        for row in self.disconnects.behind(0).map_while(|end| buf.get(..end.min(3 * WINDOW)).filter(|row| row.len() == end)) {
            for twin in &self.twins {
                let Some(before) = row.strip_suffix(&*twin.tail) else { continue };
                let begins = twin.texts().filter(|text| before.ends_with(text)).map(|text| before.len() - text.len());
                found.extend(begins.filter(|begin| *begin < WINDOW).map(|begin| (line_start(buf, begin), before.len())));
            }
        }
        found
    }

    /// Frames the line that ends at `end`, with the lines without a head that complete it.
    fn join(&self, buf: &[u8], end: usize, more: More, suspect: Option<&'static str>) -> Framed {
        if self.start.head(buf).is_none() {
            return record(buf, end, suspect); // nothing makes a row of it
        }
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

impl Twin {
    /// What the name may be, the longest first.
    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.lens.iter().map(|len| self.text.get(self.text.len() - usize::from(*len)..).unwrap_or_default())
    }
}

enum Half {
    /// Its length without the line end.
    Record(usize),
    /// Perhaps, if more follows.
    Part,
    No,
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
pub(super) fn line_start(buf: &[u8], at: usize) -> usize {
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
