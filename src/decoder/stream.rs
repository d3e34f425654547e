//! One partition from bytes to decoded records: detects the format, opens envelopes, frames, decodes, and keeps count.
//!
//! The same code serves the daemon, `replay`, `learn` and `decode`, so that what a person sees at the terminal is what runs.

use bumpalo::Bump;

use super::{DOUBTED, Decoded, Decoder, Format, Guess, Options, Record, by_name, detect};
use crate::event::Time;
use crate::framing::csv::LOST_START;
use crate::framing::envelope::shipper::MAPPED;
use crate::framing::envelope::{Note, bundle};
use crate::framing::json::Objects;
use crate::framing::{BUNDLE, Frame, Framed, Framer, More};

mod lanes;
#[cfg(test)]
mod tests;

use lanes::{Lanes, SavedLanes};

/// Bytes wanted before a format is detected, unless the stream pauses or ends earlier.
const SAMPLE: usize = 64 << 10;

/// What some editors and Windows tools put before text. It belongs to no record.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The arena is given back to the allocator once it has grown past this.
const ARENA_LIMIT: usize = 4 << 20;

/// What a record came to, with where it stands in the partition.
pub struct Item<'a> {
    pub offset: u64,
    pub len: u32,
    pub decoded: Decoded<'a>,
    /// The raw bytes, for quarantine and for people; never for output.
    pub raw: &'a [u8],
    pub frame: Frame,
    pub format: &'static Format,
    /// Clients, or whoever reaches the relay, may be able to write such records: they alert, and never revoke.
    pub forgeable: bool,
}

/// Bytes in = bytes in records + bytes skipped + bytes pending; records = events + rejects + skips.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub bytes: u64,
    pub record_bytes: u64,
    pub skipped_bytes: u64,
    pub records: u64,
    pub events: u64,
    pub rejects: u64,
    pub skips: u64,
}

impl Counts {
    fn count(&mut self, decoded: &Decoded<'_>) {
        self.records += 1;
        match decoded {
            Decoded::Event(_) => self.events += 1,
            Decoded::Reject(_) => self.rejects += 1,
            Decoded::Skip(_) => self.skips += 1,
        }
    }
}

/// First bytes of what is no log that can be followed, with the reason that its records are rejected for.
const NO_LOG: [(&[u8], &str); 6] = [
    (b"\xff\xfe", "the file is UTF-16 text: logs are read as UTF-8"),
    (b"\xfe\xff", "the file is UTF-16 text: logs are read as UTF-8"),
    (b"\x1f\x8b", COMPRESSED),
    (b"\x28\xb5\x2f\xfd", COMPRESSED),
    (b"\xfd7zXZ\0", COMPRESSED),
    (b"BZh", COMPRESSED),
];

const COMPRESSED: &str = "the file is compressed: only plain logs are followed; exclude it, `tokenwatch learn` reads old logs";

/// What reads one log.
struct Codec {
    /// Said of every reject instead of the decoder's own reason.
    no_log: Option<&'static str>,
    format: &'static Format,
    framer: Box<dyn Framer>,
    decoder: Box<dyn Decoder>,
    because: String,
    arena: Bump,
}

impl Codec {
    fn open(format: &'static Format, sample: &[u8], options: &Options, because: String) -> Self {
        let (framer, decoder) = (format.open)(sample, options);
        // A format may know better: SQL Server's error log is UTF-16.
        let foreign = NO_LOG.iter().find(|(magic, _)| sample.starts_with(magic)).map(|(_, reason)| *reason);
        let no_log = foreign.filter(|_| (format.sniff)(sample, options).certainty == 0);
        Codec { no_log, format, framer, decoder, because, arena: Bump::new() }
    }

    /// Decodes one record, counts it and hands it out.
    #[allow(clippy::too_many_arguments)]
    fn emit(
        &mut self,
        offset: u64,
        len: u32,
        record: &[u8],
        frame: Frame,
        note: Note<'_>,
        forgeable: bool,
        counts: &mut Counts,
        sink: &mut dyn FnMut(Item<'_>),
    ) {
        let view = Record { bytes: record, truncated: frame.truncated || frame.unterminated, suspect: frame.suspect, note };
        let forgeable = forgeable || self.format.forgeable;
        // Put in place at once: an event is large.
        let decoded = self.decoder.decode(view, &self.arena);
        let mut item = Item { offset, len, decoded, raw: record, frame, format: self.format, forgeable };
        if let (Decoded::Reject(reason), Some(no_log)) = (&mut item.decoded, self.no_log) {
            *reason = no_log;
        }
        counts.count(&item.decoded);
        sink(item);
        if self.arena.allocated_bytes() > ARENA_LIMIT {
            self.arena = Bump::new();
        } else {
            self.arena.reset();
        }
    }

    fn save(&self) -> Saved {
        Saved {
            format: self.format.name.to_owned(),
            because: self.because.clone(),
            framer: self.framer.save(),
            decoder: self.decoder.save(),
            no_log: self.no_log.map(ToOwned::to_owned),
        }
    }

    fn restore(saved: Saved, options: &Options) -> Option<Self> {
        let format = by_name(&saved.format)?;
        let mut codec = Codec::open(format, &[], options, saved.because);
        codec.no_log = NO_LOG.iter().map(|(_, reason)| *reason).find(|reason| saved.no_log.as_deref() == Some(reason));
        codec.framer.restore(&saved.framer);
        codec.decoder.restore(&saved.decoder);
        Some(codec)
    }
}

/// The decoders' state at the end of a log: lane (0 where there is no envelope), format, state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Legacy(Vec<(u64, String, Vec<u8>)>);

impl Legacy {
    /// The state for this lane, if it was left by the same format.
    fn of(&self, lane: u64, format: &Format) -> Option<&[u8]> {
        let left = self.0.iter().find(|(key, name, state)| *key == lane && name == format.name && !state.is_empty());
        left.map(|(_, _, state)| state.as_slice())
    }
}

/// How the bytes of the partition are read.
enum Reading {
    Plain(Codec),
    /// In envelopes, which this framer finds.
    Enveloped(Box<dyn Framer>, Box<Lanes>),
}

/// State of one partition between chunks.
pub struct Stream {
    options: Options,
    /// `None`: detect from content.
    wanted: Option<&'static Format>,
    reading: Option<Reading>,
    /// Open sessions of the log before this one, until the format is known.
    legacy: Option<Legacy>,
    /// Bytes not yet consumed; starts at `offset`.
    buf: Vec<u8>,
    /// So many bytes are wanted before the format is detected.
    sample: usize,
    offset: u64,
    counts: Counts,
}

impl Stream {
    /// A stream whose first byte stands at `offset`.
    pub fn new(wanted: Option<&'static Format>, options: Options, offset: u64) -> Self {
        // The configuration says itself where the text of the log inside stands, and what it is.
        let told = options.mapping.as_ref().filter(|mapping| mapping.envelope.is_some());
        let wanted = told.map_or(wanted, |mapping| mapping.inner.as_deref().and_then(by_name));
        let envelope = options.envelope.or(told.map(|_| MAPPED.name));
        let options = Options { envelope, ..options };
        Stream { options, wanted, reading: None, legacy: None, buf: Vec::new(), sample: SAMPLE, offset, counts: Counts::default() }
    }

    /// What comes next was written at this time at the latest: for time stamps without a year.
    pub fn set_written(&mut self, at: Time) {
        self.options.written = Some(at);
        if let Some(Reading::Enveloped(_, lanes)) = &mut self.reading {
            lanes.written(at);
        }
    }

    /// Offset of the first byte (or message) not yet consumed: what a checkpoint stores.
    pub fn offset(&self) -> u64 {
        match &self.reading {
            Some(Reading::Enveloped(_, lanes)) => lanes.oldest().unwrap_or(self.offset),
            _ => self.offset,
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes held back for the end of a record.
    pub fn pending(&self) -> usize {
        self.buf.len()
    }

    /// The format in use and why, once it is known.
    pub fn format(&self) -> Option<(&'static Format, &str)> {
        match self.reading.as_ref()? {
            Reading::Plain(codec) => Some((codec.format, codec.because.as_str())),
            Reading::Enveloped(_, lanes) => lanes.format(),
        }
    }

    /// Takes in the next bytes of the stream and hands out every record that they complete.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
        self.counts.bytes += bytes.len() as u64;
        if self.reading.is_none() && self.buf.len() + bytes.len() < self.sample {
            // Too little to be sure of the format, or of the envelopes around a named one; `pause` or `close` decides if no more comes.
            self.buf.extend_from_slice(bytes);
            return;
        }
        if self.buf.is_empty() {
            let used = self.drain(bytes, More::Flowing, sink);
            self.buf.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            let mut buf = std::mem::take(&mut self.buf);
            buf.extend_from_slice(bytes);
            let used = self.drain(&buf, More::Flowing, sink);
            buf.drain(..used);
            self.buf = buf;
        }
        if self.buf.is_empty() && self.buf.capacity() > 2 * crate::framing::MAX_RECORD {
            self.buf = Vec::new();
        }
    }

    /// Nothing more has come for a while: records that only wait for a possible continuation are complete.
    pub fn pause(&mut self, sink: &mut dyn FnMut(Item<'_>)) {
        self.flush(More::Idle, sink);
    }

    /// Nothing will ever follow.
    pub fn close(&mut self, sink: &mut dyn FnMut(Item<'_>)) {
        self.flush(More::Closed, sink);
    }

    fn flush(&mut self, more: More, sink: &mut dyn FnMut(Item<'_>)) {
        if !self.buf.is_empty() {
            let mut buf = std::mem::take(&mut self.buf);
            let used = self.drain(&buf, more, sink);
            buf.drain(..used);
            self.buf = buf;
        }
        if let Some(Reading::Enveloped(_, lanes)) = &mut self.reading {
            lanes.flush(more, &mut self.counts, sink);
        }
    }

    /// Takes in one message that a broker framed already. A message may hold several lines of one record, and several records only where they are
    /// in an array.
    pub fn message(&mut self, offset: u64, bytes: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
        self.counts.bytes += bytes.len() as u64;
        self.offset = offset + 1;
        let record = trim_line_end(bytes);
        self.counts.skipped_bytes += (bytes.len() - record.len()) as u64;
        if self.reading.is_none() {
            self.choose(record);
        }
        if self.array(offset, record, sink) {
            self.counts.record_bytes += record.len() as u64;
            return;
        }
        let truncated = record.len() > crate::framing::MAX_RECORD;
        let kept = if truncated { record.get(..crate::framing::HEAD).unwrap_or(record) } else { record };
        let frame = Frame { skip: 0, len: kept.len(), consumed: bytes.len(), truncated, unterminated: false, suspect: None };
        self.counts.record_bytes += record.len() as u64;
        self.emit(offset, offset + 1, kept, frame, sink);
    }

    /// Hands out the envelopes in a message that is an array of them, or has one; `false` where it is neither.
    fn array(&mut self, offset: u64, message: &[u8], sink: &mut dyn FnMut(Item<'_>)) -> bool {
        let Some(Reading::Enveloped(_, lanes)) = &mut self.reading else { return false };
        let Some(arrays) = lanes.arrays() else { return false };
        let may_be = message.first() == Some(&b'[') || message.first() == Some(&b'{') && !arrays.is_empty();
        if !may_be || message.len() > BUNDLE {
            return false;
        }
        let (mut framer, mut rest, mut any) = (Objects::bundles(arrays), message, false);
        loop {
            let consumed = match framer.next(rest, More::Closed) {
                Framed::Record(frame) => {
                    let record = rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default();
                    lanes.take(record, frame, offset, offset + 1, &mut self.counts, sink);
                    any = true;
                    frame.consumed
                }
                Framed::Skip { consumed, .. } => consumed,
                Framed::Incomplete => return any,
            };
            rest = rest.get(consumed.max(1)..).unwrap_or_default();
        }
    }

    fn choose(&mut self, sample: &[u8]) {
        let plain = match self.wanted {
            Some(format) => Some((format, (format.sniff)(sample, &self.options))),
            None => detect(sample, &self.options),
        };
        // A mapping says itself what the records are made of.
        if (self.options.mapping.is_none() || self.options.envelope.is_some())
            && let Some(choice) = lanes::choose(sample, self.wanted, &self.options)
            && (self.options.envelope.is_some()
                || choice.certainty > plain.as_ref().map_or(0, |(_, guess)| guess.certainty)
                || plain.as_ref().is_some_and(|(_, guess)| guess.certainty <= DOUBTED.min(choice.certainty))
                || choice.holds_lines())
        {
            let lanes = Lanes::new(choice, self.wanted, self.options.clone(), self.legacy.take());
            self.reading = Some(Reading::Enveloped(lanes.framer(sample), Box::new(lanes)));
            return;
        }
        let (format, because) = match (self.wanted, plain) {
            (Some(format), _) => (format, "named in the configuration or on the command line".to_owned()),
            (None, Some((format, Guess { certainty, because }))) => (format, format!("{because} ({certainty} % sure)")),
            // Lines nobody knows: the fallback rejects each of them, so that they are counted and seen.
            (None, None) => (fallback(), "nothing in the first bytes looks like a known format".to_owned()),
        };
        let mut codec = Codec::open(format, sample, &self.options, because);
        if let Some(state) = self.legacy.take().as_ref().and_then(|legacy| legacy.of(0, format)) {
            codec.decoder.restore(state);
        }
        self.reading = Some(Reading::Plain(codec));
    }

    /// Frames and decodes as much of `buf` as is complete; returns the bytes used.
    fn drain(&mut self, buf: &[u8], more: More, sink: &mut dyn FnMut(Item<'_>)) -> usize {
        if buf.is_empty() {
            return 0;
        }
        let mut used = 0;
        if self.offset == 0 && buf.starts_with(BYTE_ORDER_MARK) {
            used = BYTE_ORDER_MARK.len();
            self.counts.skipped_bytes += used as u64;
            self.offset += used as u64;
        }
        if self.reading.is_none() {
            let buf = buf.get(used..).unwrap_or_default();
            if more == More::Idle && !buf.contains(&b'\n') {
                return used; // half a first line tells nothing
            }
            let whole = bundle::wants(buf);
            if let Some(wanted) = whole.filter(|_| more == More::Flowing) {
                self.sample = wanted;
                return used;
            }
            // Of a log of bundles the first is in it.
            self.choose(buf.get(..self.sample.min(buf.len())).unwrap_or(buf));
        }
        while let Some(rest) = buf.get(used..).filter(|r| !r.is_empty()) {
            // The state of the framer changes rarely: it is kept where it does.
            let (framed, changed) = match self.reading.as_mut() {
                Some(Reading::Plain(codec)) => (codec.framer.next(rest, more), None),
                Some(Reading::Enveloped(framer, lanes)) => {
                    let mark = framer.mark();
                    let changed = (lanes.remembered() != Some(mark)).then(|| (mark, framer.save()));
                    (framer.next(rest, more), changed)
                }
                None => break,
            };
            match framed {
                Framed::Record(frame) => {
                    let record = rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default();
                    let at = self.offset + frame.skip as u64;
                    let consumed = frame.consumed.clamp(1, rest.len());
                    self.counts.skipped_bytes += (consumed - frame.len.min(consumed)) as u64;
                    self.counts.record_bytes += frame.len.min(consumed) as u64;
                    self.offset += consumed as u64;
                    used += consumed;
                    if let Some((mark, state)) = changed
                        && let Some(Reading::Enveloped(_, lanes)) = &mut self.reading
                    {
                        lanes.remember(at, mark, state);
                    }
                    self.emit(at, self.offset, record, frame, sink);
                }
                Framed::Skip { consumed, reason } => {
                    let consumed = consumed.clamp(1, rest.len());
                    let at = self.offset;
                    self.counts.skipped_bytes += consumed as u64;
                    self.offset += consumed as u64;
                    used += consumed;
                    // Without this a file in a wrong format would vanish in silence.
                    if reason == LOST_START
                        && let Some(Reading::Plain(codec)) = &self.reading
                    {
                        let bytes = rest.get(..consumed).unwrap_or_default();
                        let len = u32::try_from(consumed).unwrap_or(u32::MAX);
                        deliver(&mut self.counts, codec.format, at, len, bytes, Ok(LOST_START), sink);
                    }
                }
                Framed::Incomplete => break,
            }
        }
        used
    }

    /// One record at `offset`, or one envelope which ends before `end`.
    fn emit(&mut self, offset: u64, end: u64, record: &[u8], frame: Frame, sink: &mut dyn FnMut(Item<'_>)) {
        let len = u32::try_from(frame.len).unwrap_or(u32::MAX);
        match self.reading.as_mut() {
            Some(Reading::Plain(codec)) => codec.emit(offset, len, record, frame, Note::default(), false, &mut self.counts, sink),
            Some(Reading::Enveloped(_, lanes)) => lanes.take(record, frame, offset, end, &mut self.counts, sink),
            None => {}
        }
    }

    /// The open sessions, for the stream of the log that follows this one after a rotation.
    pub fn sessions(&self) -> Option<Legacy> {
        match self.reading.as_ref()? {
            Reading::Plain(codec) => Some(Legacy(vec![(0, codec.format.name.to_owned(), codec.decoder.save())])),
            Reading::Enveloped(_, lanes) => Some(Legacy(lanes.sessions())),
        }
    }

    /// Begins with the open sessions of the log before this one. A stream that has decoded something already stays as it is.
    pub fn inherit(&mut self, sessions: Legacy) {
        if self.reading.is_none() {
            self.legacy = Some(sessions);
        }
    }

    /// What must be stored with [`Stream::offset`] to go on from there after a restart.
    pub fn save(&self) -> Vec<u8> {
        let state = match &self.reading {
            None => match &self.legacy {
                None => return Vec::new(),
                Some(legacy) => State::Undecided(legacy.clone()),
            },
            Some(Reading::Plain(codec)) => State::Plain(codec.save()),
            Some(Reading::Enveloped(framer, lanes)) => State::Enveloped(lanes.framer_state(framer.save()), lanes.save(self.offset)),
        };
        postcard::to_stdvec(&state).unwrap_or_default()
    }

    /// Takes up what [`Stream::save`] gave. Unreadable state is dropped: the format is detected again.
    pub fn restore(&mut self, state: &[u8]) {
        self.reading = match postcard::from_bytes::<State>(state) {
            Ok(State::Plain(saved)) if self.wanted.is_none_or(|wanted| wanted.name == saved.format) => {
                Codec::restore(saved, &self.options).map(Reading::Plain)
            }
            Ok(State::Enveloped(outer, saved)) => Lanes::restore(saved, self.wanted, self.options.clone()).map(|lanes| {
                let mut framer = lanes.framer(&[]);
                framer.restore(&outer);
                Reading::Enveloped(framer, Box::new(lanes))
            }),
            Ok(State::Undecided(legacy)) => {
                self.legacy = Some(legacy);
                return;
            }
            _ => return,
        };
    }
}

/// Hands out what no decoder saw: a reject (`Ok`) or a skip (`Err`) with its reason.
fn deliver(
    counts: &mut Counts,
    format: &'static Format,
    offset: u64,
    len: u32,
    raw: &[u8],
    said: Result<&'static str, &'static str>,
    sink: &mut dyn FnMut(Item<'_>),
) {
    let (decoded, suspect) = match said {
        Ok(reason) => (Decoded::Reject(reason), Some(reason).filter(|reason| *reason == LOST_START)),
        Err(reason) => (Decoded::Skip(reason), None),
    };
    counts.count(&decoded);
    let frame = Frame { skip: 0, len: raw.len(), consumed: raw.len(), truncated: false, unterminated: false, suspect };
    sink(Item { offset, len, decoded, raw, frame, format, forgeable: format.forgeable });
}

#[derive(serde::Serialize, serde::Deserialize)]
enum State {
    Plain(Saved),
    /// The outer framer's state, and that of the logs inside.
    Enveloped(Vec<u8>, SavedLanes),
    /// Nothing was decoded yet.
    Undecided(Legacy),
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Saved {
    format: String,
    because: String,
    framer: Vec<u8>,
    decoder: Vec<u8>,
    no_log: Option<String>,
}

fn fallback() -> &'static Format {
    &super::json::FORMAT
}

fn trim_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
