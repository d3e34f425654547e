//! Framing of the stderr log, and the finding of lines that clients wrote into it.
//!
//! Before it has authenticated, a client may put any bytes into the user and database that the prefix prints, line ends too. So
//! any physical line may be forged, perfect to the last byte. But the server writes an entry at once, and such a name has at most
//! [`NAME`] bytes. So records are held back until that many bytes have followed, or the log pauses, and are judged together:
//!
//! - A failed login repeats the name in its message, where line ends are followed by TABs. The lines before it that are that name, byte for byte, are
//!   one record with it ([`HOSTILE_NAME`]).
//! - A line that begins like a prefix and lacks its end, and one that ends like a prefix and lacks its beginning, are the two ends of such a
//!   name: all between them is forged ([`FORGED`]).
//! - The server writes the name again before each further line of the entry (DETAIL): as far as the lines behind two torn heads that are alike are
//!   alike too, they are that name.
//! - Whatever else stands within reach of these, or before a failed login that does not repeat its user, may be forged ([`NEARBY`]): the
//!   decoder believes it only for sessions that it knew before.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::choice::{Choice, Chosen, WINDOW};
use super::message::authorizes;
use super::prefix::{Match, Prefix, Word};
use super::severity::Severity;
use crate::framing::lines::void;
use crate::framing::seek::Seek;
use crate::framing::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

mod signs;

use signs::{ends_prefix, hides_its_user, holds_a_refusal, last_word, repeated};

/// The record's own user or database holds line ends.
pub const HOSTILE_NAME: &str = "a client put line ends into its user or database name";
/// The record lies inside the name of another.
pub const FORGED: &str = "a client wrote this line through its user or database name";
/// The record stands so near a torn prefix that it may be part of a name.
pub const NEARBY: &str = "a client may have written this line through its user or database name";

/// Longest start-up packet, and so the longest name.
const NAME: usize = 10_000;

/// Bytes of a name up to PostgreSQL 16 and the byte after them.
const SHORT: usize = 64;

/// Line ends of a name under which it is looked for.
const NAME_LINES: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Begins a record.
    Primary,
    /// Adds to a record.
    Secondary,
    /// Starts with a TAB.
    Continuation,
    /// Begins like a prefix that does not end.
    Torn,
    /// Ends like a prefix that did not begin.
    Tail,
    /// Neither.
    Orphan,
}

/// What a line is, and what it tells.
struct Seen {
    shape: Shape,
    pid: Option<u32>,
    sign: bool,
    weak: bool,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    /// Offsets: first byte, end without line end (a CR before it may be a client's), first byte of what follows. They count from a place
    /// before the buffer, see [`Stderr::gone`].
    start: usize,
    end: usize,
    next: usize,
    shape: Shape,
    pid: Option<u32>,
    suspect: Option<&'static str>,
    /// Evidence of a forged name that nothing has explained yet.
    sign: bool,
    /// The evidence may be a statement's text: it casts doubt and proves nothing.
    weak: bool,
}

/// A name with line ends that a failed login has shown.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Name {
    lines: Vec<Vec<u8>>,
    /// Bytes of the log until it is forgotten.
    left: usize,
}

/// Bytes for which a name is remembered: the lines of one failed login stand closer together.
const MEMORY: usize = 8 * NAME;

/// Names remembered.
const NAMES: usize = 16;

/// Torn heads remembered: as many as fit into a name.
const HEADS: usize = 512;

/// What a restart needs besides the bytes that are not consumed yet.
#[derive(Serialize, Deserialize)]
struct Saved<T> {
    chosen: Chosen,
    ahead: usize,
    doubt: usize,
    passing: bool,
    names: T,
}

/// Frames records under the prefix of the log.
pub struct Stderr {
    choice: Choice,
    /// The choice so far; final once `settled`.
    prefix: Arc<Prefix>,
    settled: bool,
    /// Bytes that were looked at for this choice and are not consumed yet.
    ahead: usize,
    lines: VecDeque<Line>,
    /// Bytes between the place from which the offsets of `lines` count and the buffer: records leave, and nothing else need move.
    gone: usize,
    /// End of the last line looked at.
    scanned: usize,
    /// Names with line ends that failed logins have shown, newest last.
    names: VecDeque<Name>,
    /// Where the last torn heads among `lines` begin, with a hash of each: few are alike.
    torn: VecDeque<(usize, u64)>,
    /// Where the line begins that the next one repeats, if both are of one name.
    twin: Option<usize>,
    /// Bytes for which evidence before the buffer still casts doubt.
    doubt: usize,
    /// Evidence was found since the lines were last judged.
    unjudged: bool,
    passing: bool,
}

impl Stderr {
    pub fn new(choice: Choice) -> Self {
        let (prefix, settled) = (choice.prefix(), choice.settled());
        Stderr {
            choice,
            prefix,
            settled,
            ahead: 0,
            lines: VecDeque::new(),
            gone: 0,
            scanned: 0,
            names: VecDeque::new(),
            torn: VecDeque::new(),
            twin: None,
            doubt: 0,
            unjudged: false,
            passing: false,
        }
    }

    /// Lets the bytes at the front of the log have their say on its prefix; false: they must wait for more.
    fn choose(&mut self, buf: &[u8], more: More) -> bool {
        if self.settled || self.ahead > 0 {
            return true;
        }
        if more == More::Flowing && buf.len() < WINDOW {
            return false;
        }
        let window = buf.get(..WINDOW.min(buf.len())).unwrap_or(buf);
        self.choice.frame();
        self.choice.consider(window);
        self.settled = self.choice.settled();
        self.ahead = memchr::memrchr(b'\n', window).map_or(window.len(), |end| end + 1);
        let prefix = self.choice.prefix();
        if prefix.text != self.prefix.text {
            // What was made of these bytes under the other prefix is void.
            self.prefix = prefix;
            (self.scanned, self.unjudged) = (0, false);
            self.lines.clear();
        }
        true
    }

    /// Looks at the complete lines that are new in the buffer.
    fn scan(&mut self, buf: &[u8], more: More) {
        while let Some(rest) = buf.get(self.scanned..).filter(|r| !r.is_empty()) {
            let (end, next) = match memchr::memchr(b'\n', rest) {
                Some(lf) => (self.scanned + lf, self.scanned + lf + 1),
                None if more == More::Closed => (buf.len(), buf.len()),
                None => return,
            };
            let line = buf.get(self.scanned..end).unwrap_or_default();
            // The end of an entry may complete the repetition of a name.
            if !line.starts_with(b"\t") {
                self.learn(buf);
            }
            let Seen { shape, pid, sign, weak } = self.classify(line);
            self.unjudged |= sign || weak;
            if self.lines.is_empty() {
                (self.gone, self.twin) = (0, None);
                self.torn.clear();
            }
            let (start, end, next_line) = (self.scanned + self.gone, end + self.gone, next + self.gone);
            self.lines.push_back(Line { start, end, next: next_line, shape, pid, suspect: None, sign: sign || weak, weak });
            self.scanned = next;
            self.repeat(buf, shape);
            if !self.names.is_empty() {
                self.join(buf, self.lines.len() - 1);
            }
        }
        if more != More::Flowing {
            self.learn(buf);
        }
    }

    /// What the line is, and whether it is evidence of a forged name.
    fn classify(&self, line: &[u8]) -> Seen {
        let hostile = self.prefix.holds_client_text();
        let other = |shape, sign, weak| Seen { shape, pid: None, sign, weak };
        if line.starts_with(b"\t") || line.is_empty() {
            // A name may end in a line that looks like the rest of a message.
            return other(Shape::Continuation, false, hostile && holds_a_refusal(line));
        }
        let line = line.get(..HEAD.min(line.len())).unwrap_or(line);
        match self.prefix.find(line, 0) {
            Some(found) => {
                let shape = if matches!(found.word, Word::Primary(_)) { Shape::Primary } else { Shape::Secondary };
                let sign = hostile && (found.contradicts() || hides_its_user(&found, line.get(found.message..).unwrap_or_default()));
                Seen { shape, pid: found.fields.pid, sign, weak: !sign && self.ends_in_a_refusal(line, &found, false) }
            }
            None if !hostile => other(Shape::Orphan, false, false),
            None if self.prefix.begins(line) => other(Shape::Torn, true, false),
            None if ends_prefix(line) => other(Shape::Tail, true, false),
            None => other(Shape::Orphan, false, false),
        }
    }

    /// Whether the line, read with a longer name, is a client being turned away: the name holds the record that it seems to be. Not where the
    /// refusal repeats just the name of this line, unless `all`. `found` is its first reading.
    fn ends_in_a_refusal(&self, line: &[u8], found: &Match<'_>, all: bool) -> bool {
        let line = line.get(..HEAD.min(line.len())).unwrap_or(line);
        if !self.prefix.holds_client_text() {
            return false;
        }
        let (mut at, mut after) = (found.at, found.message);
        for _ in 0..32 {
            if Prefix::word_anywhere(line.get(after..).unwrap_or_default()).is_none() {
                return false;
            }
            let Some(next) = self.prefix.find(line, at + 1) else { return false };
            let message = line.get(next.message..).unwrap_or_default();
            let head = line.get(..next.at).unwrap_or_default();
            let repeated = message.seek(b"user \"").and_then(|at| message.get(at + 6..)?.strip_suffix(b"\""));
            let repeats = repeated.is_some_and(|name| head.seek(name).is_some());
            if (next.word == Word::Primary(Severity::Fatal) && (all || !repeats)) || authorizes(message) {
                return true;
            }
            (at, after) = (next.at, next.message);
        }
        true
    }

    /// The line that begins there, and where it stands.
    fn line_at(&self, start: usize) -> Option<(usize, Line)> {
        let at = self.lines.partition_point(|line| line.start < start);
        self.lines.get(at).filter(|line| line.start == start).map(|line| (at, *line))
    }

    /// Compares the last line with that of a name which the server wrote before, where both names begin with the same torn head.
    fn repeat(&mut self, buf: &[u8], shape: Shape) {
        let Some(last) = self.lines.back().copied().filter(|_| self.twin.is_some() || shape == Shape::Torn) else { return };
        let text = self.shown(buf, last.start, last.end);
        let twin = self.twin.take().and_then(|start| self.line_at(start));
        if let Some((twin, other)) = twin.filter(|(_, other)| other.start < last.start) {
            let known = self.shown(buf, other.start, other.end);
            let alike = known.iter().zip(text).take_while(|(a, b)| a == b).count();
            // The last line of the name goes on with the rest of the prefix, and another word.
            if alike > 0 || known.len() == text.len() {
                self.twin = (known == text).then_some(other.next);
                for at in [twin, self.lines.len() - 1] {
                    if let Some(line) = self.lines.get_mut(at).filter(|line| line.suspect != Some(HOSTILE_NAME)) {
                        line.suspect = Some(FORGED);
                    }
                }
            }
        }
        if shape == Shape::Torn && self.twin.is_none() {
            let front = self.lines.front().map_or(0, |line| line.start);
            while self.torn.front().is_some_and(|(start, _)| *start < front) {
                self.torn.pop_front();
            }
            let hash = FixedState::default().hash_one(text);
            let mut before = self.torn.iter().rev().filter(|(_, other)| *other == hash).filter_map(|(start, _)| self.line_at(*start));
            self.twin = before.find(|(_, line)| self.shown(buf, line.start, line.end) == text).map(|(_, line)| line.next);
            if self.torn.len() == HEADS {
                self.torn.pop_front();
            }
            self.torn.push_back((last.start, hash));
        }
    }

    /// The bytes between two offsets of lines.
    fn shown<'b>(&self, buf: &'b [u8], start: usize, end: usize) -> &'b [u8] {
        buf.get(start.saturating_sub(self.gone)..end.saturating_sub(self.gone)).unwrap_or_default()
    }

    /// Takes the name out of the last entry, if it is one that repeats a name with line ends.
    fn learn(&mut self, buf: &[u8]) {
        if self.lines.back().is_none_or(|line| line.shape != Shape::Continuation) {
            return;
        }
        let Some(first) = self.lines.iter().rposition(|l| l.shape != Shape::Continuation) else { return };
        let (Some(line), Some(last)) = (self.lines.get(first), self.lines.back()) else { return };
        if first + 1 == self.lines.len() || !matches!(line.shape, Shape::Primary | Shape::Secondary | Shape::Tail) {
            return;
        }
        let (start, end, primary) = (line.start, line.end, line.shape == Shape::Primary);
        let entry = self.shown(buf, start, last.end.min(start + 4 * NAME));
        let mut shown = false;
        let mut found = false;
        for name in repeated(entry) {
            let lines = name.split(|b| *b == b'\n').enumerate();
            let lines = lines.map(|(i, line)| if i > 0 { line.strip_prefix(b"\t").unwrap_or(line) } else { line });
            if memchr::memchr_iter(b'\n', name).count() >= NAME_LINES {
                continue;
            }
            shown = true;
            if let Some(known) = self.names.iter_mut().find(|known| lines.clone().eq(&known.lines)) {
                known.left = MEMORY;
                continue;
            }
            if self.names.len() == NAMES {
                self.names.pop_front();
            }
            self.names.push_back(Name { lines: lines.map(<[u8]>::to_vec).collect(), left: MEMORY });
            found = true;
        }
        if found {
            // Not the lines beyond the reach of a name: whether they are still here depends on how the log came.
            let reach = (self.scanned + self.gone).saturating_sub(NAME);
            let mut at = self.lines.partition_point(|line| line.next <= reach);
            while at < self.lines.len() {
                at = self.join(buf, at) + 1;
            }
        }
        // A refusal shows a name with line ends, and the lines before it are not that name: something else is wrong here.
        if shown
            && primary
            && self.turns_away(self.shown(buf, start, end))
            && let Some(line) = self.lines.iter_mut().rfind(|line| line.start <= start).filter(|line| line.suspect != Some(HOSTILE_NAME))
        {
            line.sign = true;
            self.unjudged = true;
        }
    }

    /// Whether the line is one that can repeat a client's name before its session runs.
    fn turns_away(&self, line: &[u8]) -> bool {
        let Some(found) = self.prefix.find(line, 0) else { return false };
        let message = line.get(found.message..).unwrap_or_default();
        let plainly = found.word == Word::Primary(Severity::Fatal) || (found.word == Word::Primary(Severity::Log) && authorizes(message));
        let head = line.get(..HEAD.min(line.len())).unwrap_or(line);
        plainly || self.prefix.find(head, 0).is_some_and(|found| self.ends_in_a_refusal(line, &found, true))
    }

    /// If the line at `last` ends a known name, makes it one line with those that hold the rest of the name. Returns where it stands then.
    fn join(&mut self, buf: &[u8], last: usize) -> usize {
        for Name { lines: name, .. } in self.names.iter().rev() {
            let Some(first) = last.checked_sub(name.len() - 1) else { continue };
            let text = |i: usize| self.lines.get(i).map(|l| self.shown(buf, l.start, l.end)).unwrap_or_default();
            let (Some(head), Some(tail)) = (name.first(), name.last()) else { continue };
            if !text(last).starts_with(tail) || !text(first).ends_with(head) {
                continue;
            }
            let inner = name.iter().enumerate().skip(1).take(name.len() - 2).all(|(i, part)| text(first + i) == part.as_slice());
            if !inner || !self.prefix.begins(text(first)) {
                continue;
            }
            let whole = self.lines.get(first).zip(self.lines.get(last)).map(|(a, b)| (a.start, b.end, b.next));
            let Some((start, end, next)) = whole else { continue };
            let rest = text(last).get(tail.len()..).unwrap_or_default();
            let secondary = last_word(rest).is_some_and(|w| matches!(w, Word::Secondary(_)));
            let shape = if secondary { Shape::Secondary } else { Shape::Primary };
            let pid = text(first).get(..text(first).len() - head.len()).and_then(|h| self.head_pid(h));
            // A name that holds no record explains the evidence that its lines were; one that does may itself be a part of a longer name.
            let harmless = name.iter().map(Vec::len).sum::<usize>() < SHORT && name.iter().all(|part| last_word(part).is_none());
            let sign = !harmless && self.lines.range(first..=last).any(|line| line.sign);
            let line = Line { start, end, next, shape, pid, suspect: Some(HOSTILE_NAME), sign, weak: false };
            self.lines.drain(first..last);
            // The torn heads among them are none any more.
            let torn = |before: usize| self.torn.partition_point(|(at, _)| *at < before);
            let merged = torn(start)..torn(next);
            self.torn.drain(merged);
            if let Some(slot) = self.lines.get_mut(first) {
                *slot = line;
            }
            return first;
        }
        last
    }

    /// The process in the head of a prefix: any severity put after it makes a line that the background form of the prefix matches.
    fn head_pid(&self, head: &[u8]) -> Option<u32> {
        let mut line = head.to_vec();
        line.extend_from_slice(b"LOG:  ");
        self.prefix.find(&line, 0).and_then(|m| m.fields.pid)
    }

    /// Casts the doubt of all evidence over the lines around it.
    fn judge(&mut self) {
        self.unjudged = false;
        let signs: Vec<(usize, usize, Shape)> =
            self.lines.iter().enumerate().filter(|(_, l)| l.sign).map(|(i, l)| (i, l.start, l.shape)).collect();
        for (i, start, shape) in &signs {
            let (from, to) = (start.saturating_sub(NAME), start + NAME);
            let reach = self.lines.partition_point(|line| line.next <= from)..self.lines.partition_point(|line| line.start < to);
            for line in self.lines.range_mut(reach) {
                line.suspect = line.suspect.or(Some(NEARBY));
            }
            if let Some(line) = self.lines.get_mut(*i)
                && line.suspect != Some(HOSTILE_NAME)
                && !line.weak
            {
                line.suspect = Some(FORGED);
            }
            if *shape == Shape::Torn {
                // Up to the last end of a prefix that the name can reach.
                let end = signs.iter().rev().find(|(j, at, s)| j > i && *s == Shape::Tail && *at < to).map(|(j, ..)| *j);
                for line in self.lines.range_mut(i + 1..end.map_or(i + 1, |end| end + 1)) {
                    line.suspect = line.suspect.filter(|s| *s == HOSTILE_NAME).or(Some(FORGED));
                }
            }
        }
    }

    /// The record at the front: number of lines.
    fn front(&self) -> usize {
        let Some(first) = self.lines.front() else { return 0 };
        let mut count = 1;
        if !matches!(first.shape, Shape::Primary | Shape::Secondary) {
            return count;
        }
        while let Some(line) = self.lines.get(count) {
            let belongs = match line.shape {
                Shape::Continuation => true,
                // Doubt that only the place of a line casts does not part it from its record.
                Shape::Secondary => {
                    let alike =
                        line.suspect == first.suspect || [line.suspect, first.suspect].iter().all(|s| matches!(s, None | Some(NEARBY)));
                    first.shape == Shape::Primary && line.pid == first.pid && alike
                }
                _ => false,
            };
            if !belongs {
                break;
            }
            count += 1;
        }
        count
    }

    /// Forgets what the buffer no longer holds.
    fn release(&mut self, lines: usize, consumed: usize) {
        for _ in 0..lines {
            if self.lines.pop_front().is_some_and(|line| line.sign) {
                self.doubt = self.doubt.max(NAME + consumed);
            }
        }
        self.gone += consumed;
        self.scanned -= consumed.min(self.scanned);
        self.doubt = self.doubt.saturating_sub(consumed);
        self.ahead = self.ahead.saturating_sub(consumed);
        if !self.names.is_empty() {
            for name in &mut self.names {
                name.left = name.left.saturating_sub(consumed);
            }
            self.names.retain(|name| name.left > 0);
        }
    }
}

impl Framer for Stderr {
    /// The server writes a TAB behind each line end of a message.
    fn continues(&self, line: &[u8]) -> bool {
        line.starts_with(b"\t")
    }

    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if self.passing {
            let end = memchr::memchr(b'\n', buf);
            self.passing = end.is_none();
            return Framed::Skip { consumed: end.map_or(buf.len(), |e| e + 1).max(1), reason: "rest of an oversized record" };
        }
        if self.lines.is_empty()
            && self.scanned == 0
            && let Some(skip) = void(buf)
        {
            return skip;
        }
        if !self.choose(buf, more) {
            return Framed::Incomplete;
        }
        self.scan(buf, more);
        if self.unjudged {
            self.judge();
        }
        let count = self.front();
        let Some((first, last)) = self.lines.front().zip(self.lines.get(count.saturating_sub(1))).map(|(a, b)| (*a, *b)) else {
            if buf.len() > MAX_RECORD {
                self.passing = true;
                self.scanned = 0;
                return Framed::Record(Frame {
                    skip: 0,
                    len: HEAD,
                    consumed: buf.len(),
                    truncated: true,
                    unterminated: false,
                    suspect: None,
                });
            }
            return Framed::Incomplete;
        };
        let (end, next) = (last.end.saturating_sub(self.gone), last.next.saturating_sub(self.gone));
        let whole = count < self.lines.len() || more != More::Flowing;
        // Held back until no name that began in this record can reach beyond what is seen.
        let seen = self.scanned >= next + NAME || more != More::Flowing || !self.prefix.holds_client_text();
        if !(whole && seen) && next <= MAX_RECORD {
            return Framed::Incomplete;
        }
        let truncated = end > MAX_RECORD;
        let near = (self.doubt > 0).then_some(NEARBY);
        let within = || self.lines.iter().take(count).find_map(|line| line.suspect);
        let suspect = if count > 1 { first.suspect.or_else(within) } else { first.suspect }.or(near);
        let frame = Frame {
            skip: 0,
            len: if truncated { HEAD } else { end },
            consumed: next,
            truncated,
            unterminated: next == buf.len() && !buf.ends_with(b"\n"),
            suspect,
        };
        self.release(count, next);
        Framed::Record(frame)
    }

    fn save(&self) -> Vec<u8> {
        let Stderr { ahead, doubt, passing, .. } = *self;
        postcard::to_stdvec(&Saved { chosen: self.choice.save(), ahead, doubt, passing, names: &self.names }).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(saved) = postcard::from_bytes::<Saved<VecDeque<Name>>>(state) {
            self.choice.restore(&saved.chosen);
            let (ahead, doubt) = (saved.ahead.min(WINDOW), saved.doubt.min(NAME));
            *self = Stderr { ahead, doubt, passing: saved.passing, names: saved.names, ..Stderr::new(self.choice.clone()) };
        }
    }
}
