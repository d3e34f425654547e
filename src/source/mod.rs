//! Sources: bytes (files, stdin) or whole messages (Kafka) with their positions, in order per partition.
//!
//! What a source owes:
//! - It emits [`Delivery`] values into the bounded channel it was given, and blocks when that is full. It never drops.
//! - Bytes of one partition come in order and without holes; where bytes are known to be lost it says so with a [`Gap`].
//! - It never closes the channel, never retries silently (each failure is one [`Delivery::Trouble`], then back-off), and
//!   ends soon (<= 200 ms) after `stop` is set.
//! - It starts at the positions of the last checkpoint that it was given and never stores a position itself;
//!   [`Bookmarks`] turns an offset that the pipeline has taken in into a [`Position`] for the store.
//! - It knows nothing of records or formats.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use std::sync::Arc;

use crate::position::{Partition, Position};

pub mod file;
pub mod kafka;
pub mod log_name;
pub mod replay;
pub mod stdin;
pub mod syslog;

/// What comes out of a source.
#[derive(Debug)]
pub enum Delivery {
    /// A chunk without bytes announces a partition: it has nothing yet, but from now on it belongs in every checkpoint.
    Chunk(Chunk),
    Gap(Gap),
    /// Nothing has come on this partition since the last chunk for at least [`IDLE_AFTER`]: half-framed records that only wait
    /// for a possible continuation may be taken as complete. Sent once per pause.
    Idle(Arc<Partition>),
    /// This partition will never continue (rotated away and read to its end, end of input).
    Closed(Arc<Partition>),
    /// The source cannot go on with a partition, or at all, for now. One per change of state.
    Trouble(Trouble),
}

/// How long a partition must be silent before [`Delivery::Idle`].
pub const IDLE_AFTER: std::time::Duration = std::time::Duration::from_millis(30);

/// Consecutive bytes of one partition.
#[derive(Debug)]
pub struct Chunk {
    pub partition: Arc<Partition>,
    /// Offset of the first byte; for a message its Kafka offset.
    pub offset: u64,
    pub bytes: Vec<u8>,
    /// `bytes` is exactly one message of a broker, framed already.
    pub message: bool,
}

/// Bytes or messages known to be unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub partition: Arc<Partition>,
    /// First offset not seen.
    pub from: u64,
    /// First offset seen again; `None` where it cannot be known.
    pub to: Option<u64>,
    /// For people and as a metric label: "truncated", "deleted", "retention", ...
    pub reason: &'static str,
}

impl Gap {
    /// Something is known to be unseen. Otherwise the log was cut or removed after it was read to its end as far as anybody could
    /// see: every nightly `copytruncate` does that, and only what was written in the moment between may be missing.
    pub fn is_certain(&self) -> bool {
        self.to.is_some() || !matches!(self.reason, file::TRUNCATED_AT_END | file::DELETED_AT_END)
    }
}

/// A failure that a person should know of.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub source: String,
    /// The file or topic, where it is one.
    pub label: Option<String>,
    /// What, where, what to do.
    pub message: String,
    /// `false`: it is over.
    pub failing: bool,
}

/// Turns an offset that was taken in into what the store must keep to go on from there.
pub trait Bookmarks: Send + Sync {
    /// `None`: the partition is unknown (closed long ago).
    fn bookmark(&self, partition: &Partition, offset: u64) -> Option<Position>;

    /// The partition is taken in to its end and its checkpoint is stored: it may be forgotten.
    fn release(&self, _partition: &Partition) {}
}

/// A source that is ready to run, and what turns its offsets into positions.
pub type Opened = (Box<dyn Source>, Arc<dyn Bookmarks>);

/// Set when the daemon stops; sources look at it at least every 200 ms.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<std::sync::atomic::AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    pub fn stopped(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// The way out of a source: blocks while the channel is full, but never after `stop` is set.
#[derive(Debug, Clone)]
pub struct Outlet {
    out: crossbeam_channel::Sender<Delivery>,
    stop: Stop,
}

/// The source has to end: it was stopped, or nobody listens any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended;

impl Outlet {
    /// Longest that a source may go without a look at `stop`.
    pub const PATIENCE: std::time::Duration = std::time::Duration::from_millis(100);

    pub fn new(out: crossbeam_channel::Sender<Delivery>, stop: Stop) -> Self {
        Outlet { out, stop }
    }

    pub fn send(&self, delivery: Delivery) -> Result<(), Ended> {
        let mut delivery = delivery;
        loop {
            self.go_on()?;
            match self.out.send_timeout(delivery, Outlet::PATIENCE) {
                Ok(()) => return Ok(()),
                Err(crossbeam_channel::SendTimeoutError::Timeout(back)) => delivery = back,
                Err(crossbeam_channel::SendTimeoutError::Disconnected(_)) => return Err(Ended),
            }
        }
    }

    pub fn go_on(&self) -> Result<(), Ended> {
        if self.stop.stopped() { Err(Ended) } else { Ok(()) }
    }
}

/// A source on its own thread.
pub trait Source: Send {
    /// Runs until `stop`, sending into `out`.
    fn run(self: Box<Self>, out: crossbeam_channel::Sender<Delivery>, stop: Stop);
}
