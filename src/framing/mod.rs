//! Records out of bytes. A framer finds where each record ends and nothing else; it knows no fields.
//!
//! Adding a framing = one file here. Line framing is [`lines`]; CSV records that run over lines are [`csv`];
//! formats whose records only their own grammar can separate bring a framer of their own.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod csv;
pub mod envelope;
pub mod indent;
pub mod joined;
pub mod json;
pub mod lines;
pub mod octets;
pub(crate) mod seek;
pub mod spread;
pub mod stamped;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod xml;

/// Longest record that is kept whole, in bytes. A longer one is cut: its first [`HEAD`] bytes are decoded, marked as
/// truncated, and the rest is passed over in constant memory.
pub const MAX_RECORD: usize = 1 << 20;

/// Bytes kept of a record longer than [`MAX_RECORD`].
pub const HEAD: usize = 64 << 10;

/// Longest object that is kept whole where it holds records of logs by the hundred ([`envelope::bundle`]).
pub const BUNDLE: usize = 16 << 20;

/// What follows the bytes that the framer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// More bytes are on their way: wait for the end of a record.
    Flowing,
    /// Nothing has come for a while: a record that only waits for a possible continuation is complete; one that lacks
    /// its line end is not.
    Idle,
    /// Nothing will ever follow: what is left is a record, even without its line end.
    Closed,
}

/// One framed record inside the buffer that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes before the record to pass over (blank lines, the tail of an oversized record). Not part of the record.
    pub skip: usize,
    /// Length of the record in bytes, without its final line end.
    pub len: usize,
    /// Bytes used up altogether: `skip + len + line end`.
    pub consumed: usize,
    /// The record was longer than [`MAX_RECORD`]; this is its head.
    pub truncated: bool,
    /// The record has no line end and nothing will follow (torn by a crash or a rotation).
    pub unterminated: bool,
    /// Why the record may be forged, as far as the framing tells.
    pub suspect: Option<&'static str>,
}

/// What a framer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed {
    Record(Frame),
    /// These leading bytes belong to no record (the middle of an oversized record, NULs): pass over and ask again.
    Skip {
        consumed: usize,
        reason: &'static str,
    },
    /// No complete record yet.
    Incomplete,
}

/// Finds records in a growing buffer.
///
/// `buf` always starts at the first byte not yet consumed. After a [`Framed::Record`] or [`Framed::Skip`] the caller drops
/// `consumed` bytes and calls again; after [`Framed::Incomplete`] it appends more bytes and calls again with a buffer that
/// starts with the same bytes, so a framer may remember how far it has scanned. A framer never lets the buffer grow
/// past [`MAX_RECORD`] (of bundles [`BUNDLE`]) by more than one chunk: it answers with a truncated record or a skip instead. `consumed` is never 0.
pub trait Framer: Send {
    fn next(&mut self, buf: &[u8], more: More) -> Framed;

    /// Whether a line that begins so always belongs to the record before it.
    fn continues(&self, _line: &[u8]) -> bool {
        false
    }

    /// What must survive a restart at this point (for example "in the middle of an oversized record"); usually nothing.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Differs wherever [`Framer::save`] would give something else between two records. A framer of envelopes, which is asked before each
    /// of them, knows a cheaper way than to save.
    fn mark(&self) -> u64 {
        envelope::lane(&[&self.save()])
    }

    /// Takes up what [`Framer::save`] gave.
    fn restore(&mut self, _state: &[u8]) {}
}
