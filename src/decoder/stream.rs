//! One partition from bytes to decoded records: detects the format, frames, decodes, and keeps count.
//!
//! The same code serves the daemon, `replay`, `learn` and `decode`, so that what a person sees at the terminal is what runs.

use bumpalo::Bump;

use super::{Decoded, Decoder, Format, Guess, Options, Record, by_name, detect};
use crate::framing::csv::LOST_START;
use crate::framing::envelope::Note;
use crate::framing::{Frame, Framed, Framer, More};

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

struct Codec {
    /// Said of every reject instead of the decoder's own reason.
    no_log: Option<&'static str>,
    format: &'static Format,
    framer: Box<dyn Framer>,
    decoder: Box<dyn Decoder>,
    because: String,
}

/// State of one partition between chunks.
pub struct Stream {
    options: Options,
    /// `None`: detect from content.
    wanted: Option<&'static Format>,
    codec: Option<Codec>,
    /// Bytes not yet consumed; starts at `offset`.
    buf: Vec<u8>,
    offset: u64,
    arena: Bump,
    counts: Counts,
}

impl Stream {
    /// A stream whose first byte stands at `offset`.
    pub fn new(wanted: Option<&'static Format>, options: Options, offset: u64) -> Self {
        Stream { options, wanted, codec: None, buf: Vec::new(), offset, arena: Bump::new(), counts: Counts::default() }
    }

    /// Offset of the first byte (or message) not yet consumed: what a checkpoint stores.
    pub fn offset(&self) -> u64 {
        self.offset
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
        self.codec.as_ref().map(|c| (c.format, c.because.as_str()))
    }

    /// Takes in the next bytes of the stream and hands out every record that they complete.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
        self.counts.bytes += bytes.len() as u64;
        if self.codec.is_none() && self.buf.len() + bytes.len() < SAMPLE && self.wanted.is_none() {
            // Too little to be sure; `pause` or `close` decides if no more comes.
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
        if self.buf.is_empty() {
            return;
        }
        let mut buf = std::mem::take(&mut self.buf);
        let used = self.drain(&buf, more, sink);
        buf.drain(..used);
        self.buf = buf;
    }

    /// Takes in one message that a broker framed already. A message may hold several lines of one record, never two records.
    pub fn message(&mut self, offset: u64, bytes: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
        self.counts.bytes += bytes.len() as u64;
        self.offset = offset + 1;
        let record = trim_line_end(bytes);
        self.counts.skipped_bytes += (bytes.len() - record.len()) as u64;
        if self.codec.is_none() {
            self.choose(record);
        }
        let truncated = record.len() > crate::framing::MAX_RECORD;
        let kept = if truncated { record.get(..crate::framing::HEAD).unwrap_or(record) } else { record };
        let frame = Frame { skip: 0, len: kept.len(), consumed: bytes.len(), truncated, unterminated: false, suspect: None };
        self.counts.record_bytes += record.len() as u64;
        self.emit(offset, kept, frame, sink);
        self.tidy();
    }

    fn choose(&mut self, sample: &[u8]) {
        let (format, because) = match self.wanted {
            Some(format) => (format, "named in the configuration or on the command line".to_owned()),
            None => match detect(sample, &self.options) {
                Some((format, Guess { certainty, because })) => (format, format!("{because} ({certainty} % sure)")),
                // Lines nobody knows: the fallback rejects each of them, so that they are counted and seen.
                None => (fallback(), "nothing in the first bytes looks like a known format".to_owned()),
            },
        };
        let (framer, decoder) = (format.open)(sample, &self.options);
        let no_log = NO_LOG.iter().find(|(magic, _)| sample.starts_with(magic)).map(|(_, reason)| *reason);
        self.codec = Some(Codec { no_log, format, framer, decoder, because });
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
        if self.codec.is_none() {
            let buf = buf.get(used..).unwrap_or_default();
            if more == More::Idle && self.wanted.is_none() && !buf.contains(&b'\n') {
                return used; // half a first line tells nothing
            }
            self.choose(buf.get(..SAMPLE.min(buf.len())).unwrap_or(buf));
        }
        while let Some(rest) = buf.get(used..).filter(|r| !r.is_empty()) {
            let Some(codec) = self.codec.as_mut() else { break };
            match codec.framer.next(rest, more) {
                Framed::Record(frame) => {
                    let record = rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default();
                    let at = self.offset + frame.skip as u64;
                    let consumed = frame.consumed.clamp(1, rest.len());
                    self.counts.skipped_bytes += (consumed - frame.len.min(consumed)) as u64;
                    self.counts.record_bytes += frame.len.min(consumed) as u64;
                    self.offset += consumed as u64;
                    used += consumed;
                    self.emit(at, record, frame, sink);
                }
                Framed::Skip { consumed, reason } => {
                    let consumed = consumed.clamp(1, rest.len());
                    let at = self.offset;
                    self.counts.skipped_bytes += consumed as u64;
                    self.offset += consumed as u64;
                    used += consumed;
                    if reason == LOST_START {
                        self.lost(at, rest.get(..consumed).unwrap_or_default(), sink);
                    }
                }
                Framed::Incomplete => break,
            }
            if self.arena.allocated_bytes() > ARENA_LIMIT {
                self.arena = Bump::new();
            }
        }
        self.tidy();
        used
    }

    fn emit(&mut self, offset: u64, record: &[u8], frame: Frame, sink: &mut dyn FnMut(Item<'_>)) {
        let Some(codec) = self.codec.as_mut() else { return };
        let len = u32::try_from(frame.len).unwrap_or(u32::MAX);
        let view =
            Record { bytes: record, truncated: frame.truncated || frame.unterminated, suspect: frame.suspect, note: Note::default() };
        let decoded = match (codec.decoder.decode(view, &self.arena), codec.no_log) {
            (Decoded::Reject(_), Some(reason)) => Decoded::Reject(reason),
            (decoded, _) => decoded,
        };
        self.counts.records += 1;
        match &decoded {
            Decoded::Event(_) => self.counts.events += 1,
            Decoded::Reject(_) => self.counts.rejects += 1,
            Decoded::Skip(_) => self.counts.skips += 1,
        }
        sink(Item { offset, len, decoded, raw: record, frame, format: codec.format });
        self.arena.reset();
    }

    /// Bytes in which no record begins, told as one reject: without it a file in a wrong format would vanish in silence.
    fn lost(&mut self, offset: u64, bytes: &[u8], sink: &mut dyn FnMut(Item<'_>)) {
        let Some(codec) = &self.codec else { return };
        self.counts.records += 1;
        self.counts.rejects += 1;
        let frame =
            Frame { skip: 0, len: bytes.len(), consumed: bytes.len(), truncated: false, unterminated: false, suspect: Some(LOST_START) };
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        sink(Item { offset, len, decoded: Decoded::Reject(LOST_START), raw: bytes, frame, format: codec.format });
    }

    fn tidy(&mut self) {
        if self.arena.allocated_bytes() > ARENA_LIMIT {
            self.arena = Bump::new();
        }
    }

    /// What must be stored with [`Stream::offset`] to go on from there after a restart.
    pub fn save(&self) -> Vec<u8> {
        let Some(codec) = &self.codec else { return Vec::new() };
        let saved =
            Saved { format: codec.format.name, because: &codec.because, framer: codec.framer.save(), decoder: codec.decoder.save() };
        postcard::to_stdvec(&saved).unwrap_or_default()
    }

    /// Takes up what [`Stream::save`] gave. Unreadable state is dropped: the format is detected again.
    pub fn restore(&mut self, state: &[u8]) {
        let Ok(saved) = postcard::from_bytes::<Saved<'_>>(state) else { return };
        let Some(format) = by_name(saved.format) else { return };
        if self.wanted.is_some_and(|wanted| wanted.name != format.name) {
            return;
        }
        let (mut framer, mut decoder) = (format.open)(&[], &self.options);
        framer.restore(&saved.framer);
        decoder.restore(&saved.decoder);
        self.codec = Some(Codec { no_log: None, format, framer, decoder, because: saved.because.to_owned() });
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Saved<'a> {
    format: &'a str,
    because: &'a str,
    framer: Vec<u8>,
    decoder: Vec<u8>,
}

fn fallback() -> &'static Format {
    &super::json::FORMAT
}

fn trim_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
