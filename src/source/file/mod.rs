//! Files: followed through growth, rotation, truncation, replacement and restarts, every byte accounted for.
//!
//! `discover.rs` which files there are · `wake.rs` when to look · `identity.rs` what a file is apart from its name ·
//! `generation.rs` one generation and how it is read · `rotation.rs` what became of a generation · `resume.rs` which generations of
//! the last checkpoint are which files of today · `shelf.rs` bookmarks · `tail.rs` the loop.
//!
//! A generation is what is between two rotations or truncations. It is one partition, read by its descriptor to its end however
//! often it is renamed, and closed when it will not grow any more. A file is recognised by its inode tuple (with birth time), a hash
//! of its head, and the bytes just before the position; each alone has been seen to fail (see `position::FilePosition`).
//!
//! Polling is the truth; change notices only make it fast.

use std::sync::Arc;
use std::time::Duration;

use super::{Bookmarks, Delivery, Source, Stop};
use crate::config::Start;
use crate::position::Checkpoint;

mod discover;
mod generation;
mod identity;
mod resume;
mod rotation;
mod shelf;
mod tail;
mod wake;

/// Bytes that were seen in a file were gone before they could be read: it was truncated in place.
pub const TRUNCATED: &str = "truncated";
/// A file was truncated in place when all that was seen of it had been read; what was written after the last look (at most one
/// poll earlier) and before the truncation, if anything, is lost.
pub const TRUNCATED_AT_END: &str = "truncated-at-end";
/// Bytes that were seen in a file are gone with the file, deleted or replaced while nobody followed it.
pub const DELETED: &str = "deleted";
/// A file is gone that had been read to the end when it was last seen; what was written later, if anything, is lost.
pub const DELETED_AT_END: &str = "deleted-at-end";
/// A part of the file was never written, as after a truncation under a writer that keeps its place.
pub const HOLE: &str = "hole";

/// How the files are followed. The default is right for every real host; tests are more impatient.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// Longest time between two looks at the files; stretched where a look itself takes long.
    pub poll: Duration,
    /// Most bytes in one chunk.
    pub chunk: usize,
    /// Most bytes of one file before it is another file's turn.
    pub quota: usize,
    /// A rotated generation that was read to its end is closed when nothing has come for this long.
    pub grace: Duration,
    /// Above this many open files those that are quiet are closed and opened again when they change.
    pub open_files: usize,
    /// Ask the system for change notices.
    pub hints: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            poll: Duration::from_millis(250),
            chunk: 256 * 1024,
            quota: 1024 * 1024,
            grace: Duration::from_secs(60),
            open_files: 512,
            hints: true,
        }
    }
}

/// The file source; see the module.
pub struct FileSource {
    tail: tail::Tail,
}

impl FileSource {
    /// `include` and `exclude` are globs (`*` does not cross a `/`, `**` does); `resume` the checkpoints of this source, and `start`
    /// says where to begin in the files that are there when there is no checkpoint at all. Later files are read from their beginning.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(
        name: String,
        include: Vec<String>,
        exclude: Vec<String>,
        start: Start,
        resume: Vec<Checkpoint>,
        tuning: Tuning,
    ) -> (Box<dyn Source>, Arc<dyn Bookmarks>) {
        let shelf = Arc::new(shelf::Shelf::default());
        let tail = tail::Tail::new(name, &include, &exclude, start, resume, tuning, shelf.clone());
        (Box::new(FileSource { tail }), shelf)
    }
}

impl Source for FileSource {
    fn run(self: Box<Self>, out: crossbeam_channel::Sender<Delivery>, stop: Stop) {
        self.tail.run(super::Outlet::new(out, stop));
    }
}
