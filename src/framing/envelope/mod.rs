//! Envelopes: what relays put around a record (syslog, Docker, Kubernetes, log shippers).
//!
//! An envelope is opened before anything is decoded, and whatever it holds goes to the decoder of the log inside, as if it had come straight
//! from the database: see `decoder::stream`. What an envelope says for itself is the relay's word ([`Note`]).
//!
//! **Adding an envelope = one file here, one line in [`ENVELOPES`].**

use bstr::BStr;
use bumpalo::Bump;

use super::Framer;
use crate::config::FormatOptions;
use crate::event::Time;

pub mod bundle;
pub mod cloud;
pub mod console;
pub mod container;
pub mod exported;
pub mod journald;
pub mod named;
mod rfc3339;
pub mod shipper;
pub mod stamped;
pub mod syslog;
mod text;

/// All envelopes. Of those that fit a sample equally well the first is taken.
#[rustfmt::skip]
pub static ENVELOPES: &[Kind] = &[
    container::DOCKER,
    container::CRI,
    syslog::SYSLOG,
    journald::EXPORT,
    journald::JSON,
    journald::VERBOSE,
    cloud::GOOGLE,
    cloud::PUBSUB,
    cloud::AZURE,
    cloud::CLOUDWATCH,
    bundle::LOKI,
    bundle::OTLP,
    shipper::FILEBEAT,
    shipper::VECTOR,
    shipper::ORIGINAL,
    shipper::INDEXED,
    shipper::RELAY,
    shipper::MAPPED,
    exported::EXPORTED,
    console::CONSOLE,
    stamped::FLUENTD,
    stamped::STAMPED,
    stamped::STREAMED,
    named::COMPOSE,
    named::KUBECTL,
    // Before what has a name less.
    named::STERN_NAMESPACES,
    named::STERN,
    named::PODMAN,
];

/// The envelope of this name.
pub fn by_name(name: &str) -> Option<&'static Kind> {
    ENVELOPES.iter().find(|kind| kind.name == name)
}

/// One entry of the table of envelopes.
pub struct Kind {
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Somebody who merely reaches a port or may log anything can put whole envelopes of another's record there.
    pub forgeable: bool,
    /// Where they are objects: keys of one under which an array holds envelopes. A message of a broker may be such an object, or an array.
    pub arrays: Option<&'static [&'static str]>,
    /// Finds the envelopes. The sample is the start of the log.
    pub framer: fn(sample: &[u8]) -> Box<dyn Framer>,
    /// What opens them; one for each partition.
    pub open: fn(options: &FormatOptions) -> Box<dyn Envelope>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Opens the envelopes of one partition, in order.
pub trait Envelope: Send {
    /// Must be strict: what it does not reject counts as a reason to believe that the log consists of such envelopes. Unescaped text
    /// goes into `arena`.
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a>;

    /// What is opened next was written at this time at the latest: for time stamps without a year.
    fn written(&mut self, _at: Time) {}
}

/// What was in an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened<'a> {
    Carried(Carried<'a>),
    /// Several records, in order, each of which counts by itself.
    Several(&'a [Opened<'a>]),
    /// It holds nothing, or is none of our business.
    Skip(&'static str),
    /// It is no such envelope. The reason is a short fixed word group.
    Reject(&'static str),
}

impl<'a> Opened<'a> {
    /// What was in it, one by one.
    pub fn parts(&self) -> &[Opened<'a>] {
        match self {
            Opened::Several(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }
}

/// Bytes of a log inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried<'a> {
    pub payload: &'a [u8],
    /// Which of the logs inside: lines of one lane follow one another. A hash of what tells them apart (host, program, container,
    /// standard output or error); see [`lane`].
    pub lane: u64,
    pub part: Part,
    pub note: Note<'a>,
}

/// How a payload continues the log that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One line, without its line end. Line breaks inside were escaped by the envelope: they belong to the text, and begin no record.
    Line,
    /// One line or several, which a shipper has joined because of how they look. That proves nothing, for a client may have begun lines that look
    /// so: they are framed again, as in the file that the shipper read.
    Lines,
    /// The beginning or the middle of a line that the relay cut; the rest comes in the lane's next payload.
    Piece,
    /// A whole record as the server handed it over.
    Record,
    /// One of the numbered pieces into which PostgreSQL cuts a record for syslog. `join` tells the writing processes apart, `first`
    /// begins a record, `line` is whether a line begins here (else the text goes on where the last piece ended), and `missing` whether
    /// a piece before this one was lost.
    Chunk { join: u64, first: bool, line: bool, missing: bool },
}

/// What an envelope says about the record inside. All of it is the relay's word: it helps to read a record that lacks a time, and
/// never chooses a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Note<'a> {
    /// When the relay took the record in.
    pub time: Option<Time>,
    /// The host that wrote it.
    pub host: Option<&'a BStr>,
    /// The program that wrote it: syslog's tag, a container's name.
    pub program: Option<&'a BStr>,
    /// Process id of that program.
    pub pid: Option<u32>,
}

impl<'a> Note<'a> {
    /// This note, with what it lacks taken from the envelope around it.
    #[inline]
    pub fn within(self, outer: Note<'a>) -> Note<'a> {
        Note {
            time: self.time.or(outer.time),
            host: self.host.or(outer.host),
            program: self.program.or(outer.program),
            pid: self.pid.or(outer.pid),
        }
    }
}

/// The number of a lane: a fixed hash (FNV-1a, 64 bits) of what tells it apart. It is stored with positions, so it never changes.
pub fn lane(parts: &[&[u8]]) -> u64 {
    lane_within(0xcbf2_9ce4_8422_2325, parts)
}

/// The number of a lane that more tells apart than the parts of which `hash` was made.
fn lane_within(mut hash: u64, parts: &[&[u8]]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    for part in parts {
        for byte in *part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
        // A separator that no UTF-8 text holds.
        hash = (hash ^ 0xff).wrapping_mul(PRIME);
    }
    hash
}
