//! One log inside envelopes: its bytes so far, what reads them, and the places of the envelopes that brought them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice};
use serde::{Deserialize, Serialize};

use super::super::{Codec, Counts, Item, deliver};
use crate::event::Time;
use crate::framing::envelope::Note;
use crate::framing::{Framed, Framer, MAX_RECORD, More};

/// Used bytes at the start of a lane's buffer that are worth dropping.
const WORTH: usize = 4 << 10;

/// Where a record from an envelope stands in the partition: the offset of the envelope, its number among the records in that, and the offset behind
/// the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) number: u32,
    pub(super) end: u64,
}

impl Place {
    /// What tells it apart from others of its lane; these grow.
    pub(super) fn spot(self) -> Spot {
        (self.offset, self.number)
    }
}

/// An envelope's offset, and the number of a record in it.
pub(super) type Spot = (u64, u32);

/// A payload that a lane holds back.
#[derive(Debug)]
pub(super) struct Held {
    /// Where its bytes end, counted from the start of the lane's buffer.
    pub(super) end: usize,
    pub(super) place: Place,
    pub(super) note: Kept,
}

/// A note that outlives its envelope.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) time: Option<Time>,
    pub(super) pid: Option<u32>,
    pub(super) names: Arc<Names>,
}

/// The names in a note: one envelope mostly has those of the one before, and shares them.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) host: Option<BString>,
    pub(super) program: Option<BString>,
}

impl Names {
    pub(super) fn host(&self) -> Option<&BStr> {
        self.host.as_ref().map(|host| host.as_bstr())
    }

    pub(super) fn program(&self) -> Option<&BStr> {
        self.program.as_ref().map(|program| program.as_bstr())
    }
}

impl Kept {
    /// `before`: the names of the envelope before.
    pub(super) fn of(note: Note<'_>, before: &mut Arc<Names>) -> Self {
        if before.host() != note.host || before.program() != note.program {
            *before = Arc::new(Names { host: note.host.map(BString::from), program: note.program.map(BString::from) });
        }
        Kept { time: note.time, pid: note.pid, names: Arc::clone(before) }
    }

    pub(super) fn note(&self) -> Note<'_> {
        Note { time: self.time, host: self.names.host(), program: self.names.program(), pid: self.pid }
    }
}

/// One log inside.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) codec: Option<Codec>,
    /// Lines seen without knowing a format.
    pub(super) tries: u64,
    pub(super) buf: Vec<u8>,
    /// Bytes at the start of `buf` that were used already: they are dropped many at a time.
    pub(super) used: usize,
    /// Where line breaks stand in `buf` that end no line, each as a blank until its record is framed.
    pub(super) breaks: VecDeque<usize>,
    pub(super) held: VecDeque<Held>,
    /// Where the first payload that is held begins in `buf`.
    pub(super) first: usize,
    pub(super) names: Arc<Names>,
    /// What stands before this is known already.
    pub(super) from: Spot,
    /// Bytes of the payload at `from` to pass over.
    pub(super) skip: usize,
    pub(super) turn: u64,
}

impl Lane {
    /// Keeps the line breaks behind `from` from the framer: they were escaped on the way here, so they end no line.
    pub(super) fn hide_breaks(&mut self, from: usize) {
        let Some(codec) = &self.codec else { return };
        let mut at = from;
        while let Some(found) = self.buf.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let (lf, rest) = (at + found, at + found + 1);
            if !codec.framer.continues(self.buf.get(rest..).unwrap_or_default())
                && let Some(byte) = self.buf.get_mut(lf)
            {
                *byte = b' ';
                self.breaks.push_back(lf);
            }
            at = rest;
        }
    }
}

/// A record with the line breaks that were kept from the framer, written so that they are seen to end no line where the format has a way to say
/// so; `breaks` are offsets from the same place as `begin`.
fn with_breaks<'a>(record: &'a [u8], begin: usize, breaks: &VecDeque<usize>, framer: &dyn Framer) -> Cow<'a, [u8]> {
    let mut inside = breaks.iter().skip_while(|at| **at < begin).take_while(|at| **at < begin + record.len()).peekable();
    if inside.peek().is_none() {
        return Cow::Borrowed(record);
    }
    let line_break: &[u8] = if framer.continues(b"\t") { b"\n\t" } else { b"\n" };
    let (mut whole, mut from) = (Vec::with_capacity(record.len() + 64), 0);
    for at in inside {
        whole.extend_from_slice(record.get(from..at - begin).unwrap_or_default());
        whole.extend_from_slice(line_break);
        from = at - begin + 1;
    }
    whole.extend_from_slice(record.get(from..).unwrap_or_default());
    Cow::Owned(whole)
}

impl Lane {
    /// Frames and decodes what is there; the number of bytes used.
    pub(super) fn flush(&mut self, more: More, forgeable: bool, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) -> usize {
        let Some(codec) = self.codec.as_mut() else { return 0 };
        let before = self.used;
        while let Some(rest) = self.buf.get(self.used..).filter(|rest| !rest.is_empty()) {
            let (frame, consumed, lost) = match codec.framer.next(rest, more) {
                Framed::Record(frame) => (Some(frame), frame.consumed, false),
                Framed::Skip { consumed, reason } => (None, consumed, reason == crate::framing::csv::LOST_START),
                Framed::Incomplete => break,
            };
            let consumed = consumed.clamp(1, rest.len());
            let begin = self.used + frame.map_or(0, |frame| frame.skip);
            self.used += consumed;
            // Nearly always the first.
            let first = self.held.front().filter(|held| held.end > begin).or_else(|| self.held.iter().find(|held| held.end > begin));
            let last = self.held.iter().find(|held| held.end >= self.used).or(self.held.back());
            if let (Some(first), Some(last)) = (first, last) {
                let place = Place { end: last.place.end, ..first.place };
                match frame {
                    Some(frame) => {
                        let record = rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default();
                        let record = with_breaks(record, begin, &self.breaks, &*codec.framer);
                        codec.emit(place.offset, len(place), &record, frame, first.note.note(), forgeable, counts, sink);
                    }
                    None if lost => {
                        let bytes = rest.get(..consumed).unwrap_or_default();
                        deliver(counts, codec.format, place.offset, len(place), bytes, Ok(crate::framing::csv::LOST_START), sink);
                    }
                    None => {}
                }
            }
            drop_used(&mut self.held, &mut self.first, self.used);
        }
        drop_used(&mut self.held, &mut self.first, self.used);
        let used = self.used - before;
        while self.breaks.front().is_some_and(|at| *at < self.used) {
            self.breaks.pop_front();
        }
        if self.used == self.buf.len() {
            self.buf.clear();
            (self.used, self.first) = (0, 0);
        } else if self.used >= WORTH && self.first >= self.buf.len() / 2 {
            self.buf.drain(..self.first);
            for held in &mut self.held {
                held.end -= self.first;
            }
            for at in &mut self.breaks {
                *at -= self.first;
            }
            (self.used, self.first) = (self.used - self.first, 0);
        }
        if self.buf.capacity() > 2 * MAX_RECORD && self.buf.is_empty() {
            self.buf = Vec::new();
        }
        used
    }
}

/// Forgets the envelopes of which everything is used. Part of the first payload may be used up; after a restart it comes again.
fn drop_used(held: &mut VecDeque<Held>, first: &mut usize, used: usize) {
    while let Some(done) = held.front().filter(|held| held.end <= used) {
        *first = done.end;
        held.pop_front();
    }
}

pub(super) fn len(place: Place) -> u32 {
    u32::try_from(place.end.saturating_sub(place.offset)).unwrap_or(u32::MAX)
}
