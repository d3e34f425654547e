//! The logs inside envelopes: each has a framer and a decoder of its own, and what it holds back for the end of a record is known by
//! the places of the envelopes that brought it.
//!
//! A checkpoint can only stand before the oldest envelope of which something is held back, while other lanes have gone on. So
//! each lane remembers from which envelope on it needs them again ([`SavedLane::from`]), and after a restart lanes pass over what
//! they had already.

use std::collections::BTreeMap;
use std::sync::Arc;

use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::{Codec, Counts, Item, Legacy, Options, SAMPLE, Saved, deliver};
use crate::decoder::{Format, detect};
use crate::event::Time;
use crate::framing::envelope::{self, Carried, Envelope, Kind, Note, Opened, Part};
use crate::framing::{Frame, Framer, MAX_RECORD, More};

mod choice;
mod lane;

use choice::inside;
pub(super) use choice::{Choice, choose};
use lane::{Held, Kept, Lane, Names, Place, Spot, len};

/// Lanes with open state. Whoever writes envelopes chooses their number; the one that was used longest ago is closed.
const LANES: usize = 256;
/// Bytes held back in all lanes together.
const HELD: usize = 64 << 20;
/// How sure a format must be of a lane's first lines.
const SURE: u8 = 50;
/// A lane whose format is not known is looked at again at its 1st to 16th line, and then at every 64th.
const TRIES: u64 = 16;
/// A record in pieces is complete when nothing of it has come for so many bytes (or broker messages) of the log.
const SILENT: u64 = 64 << 10;
/// Added to the number of a record whose envelope began in one before: it follows all others of that.
const JOINED: u32 = 1 << 31;
/// Reason on lines of a log inside that is none of ours.
const FOREIGN: &str = "a line of another program";

/// A record that came in numbered pieces, so far.
struct Pieces {
    lane: u64,
    text: Vec<u8>,
    place: Place,
    note: Kept,
    /// A piece was lost.
    truncated: bool,
}

/// Opens envelopes and reads the logs inside.
pub(super) struct Lanes {
    kinds: Vec<&'static Kind>,
    /// Somebody may be able to write whole envelopes.
    forgeable: bool,
    envelopes: Vec<Box<dyn Envelope>>,
    /// `None`: each lane detects its format.
    wanted: Option<&'static Format>,
    options: Options,
    lanes: BTreeMap<u64, Lane>,
    pieces: BTreeMap<u64, Pieces>,
    /// Unfinished lines of each envelope that holds other envelopes, by depth and lane.
    lines: BTreeMap<(usize, u64), (Vec<u8>, Place)>,
    /// Starts of lanes as the sample had them, for formats that learn from more than a line.
    samples: BTreeMap<u64, Vec<u8>>,
    /// Open sessions of the log before this one.
    legacy: Option<Legacy>,
    /// After a restart, envelopes before this offset are known to every lane that does not say otherwise.
    known: u64,
    /// Where restored records in pieces begin.
    resume: BTreeMap<u64, Spot>,
    /// Where the outermost envelope stands that was opened last, and the number of records that came out of it.
    opened: Spot,
    turn: u64,
    held: usize,
    /// No record in pieces has been without a new piece since before this offset.
    quiet: u64,
    names: Arc<Names>,
    /// Room for the text of the next record in pieces.
    spare: Vec<u8>,
    /// The mark of the last of `framers`.
    mark: Option<u64>,
    /// States of the outer framer (its [`Framer::mark`], and what it saves), each from the envelope at this offset on.
    framers: BTreeMap<u64, (u64, Vec<u8>)>,
    arena: Bump,
}

/// What [`Lanes::save`] keeps.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedLanes {
    kinds: Vec<String>,
    known: u64,
    lanes: Vec<SavedLane>,
    /// Record number and where its first piece stands.
    pieces: Vec<(u64, Spot)>,
}

#[derive(Serialize, Deserialize)]
struct SavedLane {
    key: u64,
    tries: u64,
    from: Spot,
    skip: usize,
    turn: u64,
    codec: Option<Saved>,
}

impl Lanes {
    pub(super) fn new(choice: Choice, wanted: Option<&'static Format>, options: Options, legacy: Option<Legacy>) -> Self {
        Lanes { samples: choice.samples, legacy, ..Lanes::empty(choice.kinds, wanted, options) }
    }

    fn empty(kinds: Vec<&'static Kind>, wanted: Option<&'static Format>, options: Options) -> Self {
        Lanes {
            forgeable: kinds.iter().any(|kind| kind.forgeable),
            envelopes: kinds.iter().map(|kind| (kind.open)(&options)).collect(),
            kinds,
            wanted,
            options: inside(&options),
            lanes: BTreeMap::new(),
            pieces: BTreeMap::new(),
            lines: BTreeMap::new(),
            samples: BTreeMap::new(),
            legacy: None,
            known: 0,
            resume: BTreeMap::new(),
            opened: (u64::MAX, 0),
            turn: 0,
            held: 0,
            quiet: 0,
            names: Arc::default(),
            spare: Vec::new(),
            mark: None,
            framers: BTreeMap::new(),
            arena: Bump::new(),
        }
    }

    /// What is opened next was written at this time at the latest.
    pub(super) fn written(&mut self, at: Time) {
        for envelope in &mut self.envelopes {
            envelope.written(at);
        }
    }

    /// Keys of the arrays that hold outermost envelopes.
    pub(super) fn arrays(&self) -> Option<&'static [&'static str]> {
        self.kinds.first().and_then(|kind| kind.arrays)
    }

    /// What finds the outermost envelopes.
    pub(super) fn framer(&self, sample: &[u8]) -> Box<dyn Framer> {
        match self.kinds.first() {
            Some(kind) => (kind.framer)(sample),
            None => Box::new(crate::framing::lines::Lines::new()),
        }
    }

    /// The oldest place of which something is held back.
    pub(super) fn oldest(&self) -> Option<u64> {
        let lanes = self.lanes.values().filter_map(|lane| lane.held.front().map(|held| held.place.offset));
        let pieces = self.pieces.values().map(|pieces| pieces.place.offset);
        let lines = self.lines.values().map(|(_, place)| place.offset);
        lanes.chain(pieces).chain(lines).min()
    }

    /// Keeps what the outer framer says of itself, which has changed, before the envelope at `offset`.
    pub(super) fn remember(&mut self, offset: u64, mark: u64, state: Vec<u8>) {
        let oldest = self.oldest().unwrap_or(offset);
        // The last state before the oldest envelope is its own.
        while self.framers.keys().nth(1).is_some_and(|next| *next <= oldest) {
            self.framers.pop_first();
        }
        self.framers.insert(offset, (mark, state));
        self.mark = Some(mark);
    }

    /// The mark of the state that was remembered last.
    pub(super) fn remembered(&self) -> Option<u64> {
        self.mark
    }

    /// The outer framer's state where a restart would begin to read.
    pub(super) fn framer_state(&self, now: Vec<u8>) -> Vec<u8> {
        let Some(oldest) = self.oldest() else { return now };
        self.framers.range(..=oldest).next_back().map(|(_, (_, state))| state.clone()).unwrap_or_default()
    }

    /// A format that is inside, and the words for it.
    pub(super) fn format(&self) -> Option<(&'static Format, &str)> {
        let mut formats = self.lanes.values().filter_map(|lane| lane.codec.as_ref());
        formats.next().map(|codec| (codec.format, codec.because.as_str()))
    }

    /// Opens one envelope at `offset`, which ends before `end`, and hands out the records that it completes.
    pub(super) fn take(&mut self, record: &[u8], frame: Frame, offset: u64, end: u64, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        self.turn += 1;
        // A message of a broker may have held several.
        if self.opened.0 != offset {
            self.opened = (offset, 0);
        }
        let place = Place { offset, number: 0, end };
        self.silent(offset, counts, sink);
        let mut arena = std::mem::take(&mut self.arena);
        self.open(0, record, frame.truncated, place, Note::default(), 0, &arena, counts, sink);
        arena.reset();
        self.arena = if arena.allocated_bytes() > super::ARENA_LIMIT { Bump::new() } else { arena };
        self.trim(counts, sink);
    }

    /// Closes lanes while there is too much open.
    fn trim(&mut self, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        while self.held > HELD || self.lanes.len() > LANES {
            let Some(oldest) = self.lanes.iter().min_by_key(|(key, lane)| (lane.turn, **key)).map(|(key, _)| *key) else { break };
            self.flush_lane(oldest, More::Closed, counts, sink);
            self.lanes.remove(&oldest);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn open(
        &mut self,
        depth: usize,
        record: &[u8],
        truncated: bool,
        place: Place,
        outer: Note<'_>,
        outer_lane: u64,
        arena: &Bump,
        counts: &mut Counts,
        sink: &mut dyn FnMut(Item<'_>),
    ) {
        let Some(envelope) = self.envelopes.get_mut(depth) else { return };
        let opened = envelope.open(record, arena);
        self.opened(depth, opened, record, truncated, place, outer, outer_lane, arena, counts, sink);
    }

    #[allow(clippy::too_many_arguments)]
    fn opened(
        &mut self,
        depth: usize,
        opened: Opened<'_>,
        record: &[u8],
        truncated: bool,
        place: Place,
        outer: Note<'_>,
        outer_lane: u64,
        arena: &Bump,
        counts: &mut Counts,
        sink: &mut dyn FnMut(Item<'_>),
    ) {
        let carried = match opened {
            Opened::Carried(carried) => carried,
            Opened::Several(parts) => {
                for part in parts {
                    self.opened(depth, *part, record, truncated, place, outer, outer_lane, arena, counts, sink);
                    self.trim(counts, sink);
                }
                return;
            }
            Opened::Skip(reason) => return self.tell(record, place, Err(reason), counts, sink),
            Opened::Reject(_) if truncated => return self.tell(record, place, Ok("envelope cut by the size limit"), counts, sink),
            Opened::Reject(reason) => return self.tell(record, place, Ok(reason), counts, sink),
        };
        let note = carried.note.within(outer);
        let lane = if depth == 0 { carried.lane } else { envelope::lane(&[&outer_lane.to_le_bytes(), &carried.lane.to_le_bytes()]) };
        let carried = Carried { note, lane, ..carried };
        if depth + 1 == self.envelopes.len() {
            let number = self.opened.1;
            self.opened.1 += 1;
            let place = Place { number: if place.offset == self.opened.0 { number } else { JOINED | number }, ..place };
            return self.carry(carried, truncated, place, counts, sink);
        }
        // An envelope in an envelope is opened when its line is complete.
        let key = (depth, lane);
        let begun = self.lines.remove(&key);
        if carried.part == Part::Piece || begun.is_some() {
            let (mut text, first) = begun.unwrap_or((Vec::new(), place));
            text.extend_from_slice(carried.payload);
            let whole = Place { end: place.end, ..first };
            if carried.part == Part::Piece && text.len() <= MAX_RECORD && self.lines.len() < LANES {
                self.lines.insert(key, (text, whole));
            } else {
                self.open(depth + 1, &text, truncated, whole, note, lane, arena, counts, sink);
            }
        } else {
            self.open(depth + 1, carried.payload, truncated, place, note, lane, arena, counts, sink);
        }
    }

    /// Something that reaches no lane: a reject (`Ok`) or a skip (`Err`).
    fn tell(
        &self,
        record: &[u8],
        place: Place,
        said: Result<&'static str, &'static str>,
        counts: &mut Counts,
        sink: &mut dyn FnMut(Item<'_>),
    ) {
        if place.offset < self.known {
            return;
        }
        deliver(counts, super::fallback(), place.offset, len(place), record, said, sink);
    }

    /// Hands a payload to its lane.
    fn carry(&mut self, carried: Carried<'_>, truncated: bool, place: Place, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        if let Part::Chunk { join, first, .. } = carried.part {
            return self.chunk(join, first, &carried, place, counts, sink);
        }
        if carried.part == Part::Record {
            return self.record(carried.lane, carried.payload, truncated, place, carried.note, counts, sink);
        }
        if !self.lane(carried.lane, place, carried.payload, &carried.note) {
            return;
        }
        let forgeable = self.forgeable;
        let Some(lane) = self.lanes.get_mut(&carried.lane) else { return };
        if lane.codec.is_none() {
            return self.tell(carried.payload, place, Err(FOREIGN), counts, sink);
        }
        let before = lane.buf.len();
        let payload = if place.spot() == lane.from { carried.payload.get(lane.skip..).unwrap_or_default() } else { carried.payload };
        lane.buf.extend_from_slice(payload);
        if carried.part == Part::Line {
            lane.hide_breaks(before);
        }
        if carried.part != Part::Piece {
            lane.buf.push(b'\n');
        }
        lane.held.push_back(Held { end: lane.buf.len(), place, note: Kept::of(carried.note, &mut lane.names) });
        self.held += lane.buf.len() - before;
        self.held = self.held.saturating_sub(lane.flush(More::Flowing, forgeable, counts, sink));
    }

    /// Makes a lane ready to take something from the envelope at `place`, opening it if it is new; `false` where it knows this envelope already.
    fn lane(&mut self, key: u64, place: Place, payload: &[u8], note: &Note<'_>) -> bool {
        let lane = self.lanes.entry(key).or_insert_with(|| Lane { from: (self.known, 0), ..Lane::default() });
        if place.spot() < lane.from {
            return false;
        }
        lane.turn = self.turn;
        if lane.codec.is_none() {
            lane.tries += 1;
            if lane.tries <= TRIES || lane.tries.is_multiple_of(64) {
                let codec = self.recognise(key, payload, note);
                if let Some(lane) = self.lanes.get_mut(&key) {
                    lane.codec = codec;
                }
            }
        }
        true
    }

    /// The format of a lane by its first lines.
    fn recognise(&mut self, key: u64, payload: &[u8], note: &Note<'_>) -> Option<Codec> {
        let inside = self.kinds.iter().rev().map(|kind| kind.name).collect::<Vec<_>>().join(" in ");
        let mut line = payload.get(..SAMPLE.min(payload.len())).unwrap_or(payload).to_vec();
        line.push(b'\n');
        // What the log's first bytes hold of it tells more than a line, unless records in parts make it look strange.
        let sample = self.samples.remove(&key);
        let (sample, format, because) = sample.into_iter().chain([line]).find_map(|sample| match self.wanted {
            // Where programs share a log, only lines like those of the format are its own.
            Some(format) if note.program.is_none() || (format.sniff)(&sample, &self.options).certainty >= SURE => {
                Some((sample, format, format!("named in the configuration or on the command line, in {inside}")))
            }
            Some(_) => None,
            None => {
                let (format, guess) = detect(&sample, &self.options).filter(|(_, guess)| guess.certainty >= SURE)?;
                Some((sample, format, format!("in {inside}: {} ({} % sure)", guess.because, guess.certainty)))
            }
        })?;
        let mut codec = Codec::open(format, &sample, &self.options, because);
        if let Some(state) = self.legacy.as_ref().and_then(|legacy| legacy.of(key, format)) {
            codec.decoder.restore(state);
        }
        Some(codec)
    }

    /// The open sessions of every lane.
    pub(super) fn sessions(&self) -> Vec<(u64, String, Vec<u8>)> {
        let known = self.lanes.iter().filter_map(|(key, lane)| Some((key, lane.codec.as_ref()?)));
        known.map(|(key, codec)| (*key, codec.format.name.to_owned(), codec.decoder.save())).collect()
    }

    /// A record that came as a whole.
    #[allow(clippy::too_many_arguments)]
    fn record(
        &mut self,
        key: u64,
        payload: &[u8],
        truncated: bool,
        place: Place,
        note: Note<'_>,
        counts: &mut Counts,
        sink: &mut dyn FnMut(Item<'_>),
    ) {
        if self.lanes.get(&key).is_some_and(|lane| !lane.held.is_empty()) {
            self.flush_lane(key, More::Idle, counts, sink);
        }
        if !self.lane(key, place, payload, &note) {
            return;
        }
        let forgeable = self.forgeable;
        match self.lanes.get_mut(&key).and_then(|lane| lane.codec.as_mut()) {
            None => self.tell(payload, place, Err(FOREIGN), counts, sink),
            Some(codec) => {
                let kept = payload.get(..payload.len().min(MAX_RECORD)).unwrap_or(payload);
                let truncated = truncated || kept.len() < payload.len();
                let frame = Frame { skip: 0, len: kept.len(), consumed: kept.len(), truncated, unterminated: false, suspect: None };
                codec.emit(place.offset, len(place), kept, frame, note, forgeable, counts, sink);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn chunk(&mut self, join: u64, first: bool, carried: &Carried<'_>, place: Place, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        // Known before the restart, unless this record was still open then.
        if place.spot() < self.resume.get(&join).copied().unwrap_or((self.known, 0)) {
            return;
        }
        if first && self.pieces.contains_key(&join) {
            self.complete(join, counts, sink);
        }
        let Part::Chunk { line, missing, .. } = carried.part else { return };
        let pieces = self.pieces.entry(join).or_insert_with(|| Pieces {
            lane: carried.lane,
            text: std::mem::take(&mut self.spare),
            place,
            note: Kept::of(carried.note, self.lanes.get_mut(&carried.lane).map_or(&mut self.names, |lane| &mut lane.names)),
            truncated: !first,
        });
        self.quiet = self.quiet.min(place.end);
        pieces.truncated |= missing;
        if line && !pieces.text.is_empty() {
            pieces.text.push(b'\n');
        }
        if pieces.text.len() <= MAX_RECORD {
            pieces.text.extend_from_slice(carried.payload);
        }
        pieces.place.end = place.end;
        self.held += carried.payload.len();
        while self.pieces.len() > LANES || self.held > HELD {
            let Some(oldest) = self.pieces.iter().min_by_key(|(_, pieces)| pieces.place).map(|(join, _)| *join) else { break };
            self.complete(oldest, counts, sink);
        }
    }

    /// A record in pieces is complete.
    fn complete(&mut self, join: u64, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        self.resume.remove(&join);
        let Some(mut pieces) = self.pieces.remove(&join) else { return };
        self.held = self.held.saturating_sub(pieces.text.len());
        // The lane may have been closed before the restart knew of it: what is open is never known already.
        if let Some(lane) = self.lanes.get_mut(&pieces.lane) {
            lane.from = lane.from.min(pieces.place.spot());
        } else {
            let lane = Lane { from: pieces.place.spot(), ..Lane::default() };
            self.lanes.insert(pieces.lane, lane);
        }
        self.record(pieces.lane, &pieces.text, pieces.truncated, pieces.place, pieces.note.note(), counts, sink);
        if pieces.text.capacity() <= SAMPLE {
            pieces.text.clear();
            self.spare = pieces.text;
        }
    }

    /// Completes records of which nothing more has come for long.
    fn silent(&mut self, offset: u64, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        if self.pieces.is_empty() || self.quiet.saturating_add(SILENT) >= offset {
            return;
        }
        let mut done: Vec<(Place, u64)> =
            self.pieces.iter().filter(|(_, p)| p.place.end + SILENT < offset).map(|(join, p)| (p.place, *join)).collect();
        done.sort_unstable();
        for (_, join) in done {
            self.complete(join, counts, sink);
        }
        self.quiet = self.pieces.values().map(|pieces| pieces.place.end).min().unwrap_or(u64::MAX);
    }

    /// Nothing more has come for a while, or ever will: hands out what only waited.
    pub(super) fn flush(&mut self, more: More, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        let mut open: Vec<(u64, u64)> = self.pieces.iter().map(|(join, pieces)| (pieces.place.offset, *join)).collect();
        open.sort_unstable();
        for (_, join) in open {
            self.complete(join, counts, sink);
        }
        let mut lanes: Vec<(u64, u64)> =
            self.lanes.iter().filter_map(|(key, lane)| Some((lane.held.front()?.place.offset, *key))).collect();
        lanes.sort_unstable();
        for (_, key) in lanes {
            self.flush_lane(key, more, counts, sink);
        }
        if more == More::Closed {
            for ((_, _), (text, place)) in std::mem::take(&mut self.lines) {
                self.tell(&text, place, Ok("the end of this line is missing"), counts, sink);
            }
        }
    }

    /// Frames and decodes what a lane has.
    fn flush_lane(&mut self, key: u64, more: More, counts: &mut Counts, sink: &mut dyn FnMut(Item<'_>)) {
        let forgeable = self.forgeable;
        if let Some(lane) = self.lanes.get_mut(&key) {
            self.held = self.held.saturating_sub(lane.flush(more, forgeable, counts, sink));
        }
    }

    /// What must be stored with `offset` (that of the first byte or message that was not opened).
    pub(super) fn save(&self, offset: u64) -> SavedLanes {
        let lanes = self.lanes.iter().map(|(key, lane)| {
            let (from, skip) = match lane.held.front() {
                // What was passed over in it at an earlier restart still is.
                Some(held) => (held.place.spot(), lane.used - lane.first + if held.place.spot() == lane.from { lane.skip } else { 0 }),
                None => ((offset, 0), 0),
            };
            SavedLane { key: *key, tries: lane.tries, from, skip, turn: lane.turn, codec: lane.codec.as_ref().map(Codec::save) }
        });
        SavedLanes {
            kinds: self.kinds.iter().map(|kind| kind.name.to_owned()).collect(),
            known: offset,
            lanes: lanes.collect(),
            pieces: self.pieces.iter().map(|(join, pieces)| (*join, pieces.place.spot())).collect(),
        }
    }

    /// Takes up what [`Lanes::save`] gave; `None` where an envelope is not known any more.
    pub(super) fn restore(saved: SavedLanes, wanted: Option<&'static Format>, options: Options) -> Option<Self> {
        let kinds = saved.kinds.iter().map(|name| envelope::by_name(name)).collect::<Option<Vec<_>>>()?;
        let mut lanes = Lanes::empty(kinds, wanted, options);
        lanes.known = saved.known;
        lanes.resume = saved.pieces.into_iter().collect();
        for lane in saved.lanes {
            let codec = lane.codec.and_then(|codec| Codec::restore(codec, &lanes.options));
            lanes.turn = lanes.turn.max(lane.turn);
            let open = Lane { codec, tries: lane.tries, from: lane.from, skip: lane.skip, turn: lane.turn, ..Lane::default() };
            lanes.lanes.insert(lane.key, open);
        }
        Some(lanes)
    }
}
