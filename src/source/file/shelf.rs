//! Bookmarks: turns an offset that the pipeline has taken in into a position that finds the file again.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::generation::Generation;
use super::identity::{self, ANCHOR, FileId, Head};
use super::rotation;
use crate::position::{FilePosition, Partition, Position};
use crate::source::Bookmarks;

/// Every generation that was emitted and is not yet released. The source writes, the pipeline reads.
#[derive(Debug, Default)]
pub struct Shelf {
    books: Mutex<HashMap<String, Book>>,
}

#[derive(Debug, Clone)]
struct Book {
    path: PathBuf,
    id: FileId,
    head: Head,
    file: Option<Arc<File>>,
    emitted: u64,
    tail: Vec<u8>,
    size: u64,
}

impl Shelf {
    /// Must be called before the bytes up to `generation.offset` are sent.
    pub fn put(&self, generation: &Generation) {
        let book = Book {
            path: generation.path.clone(),
            id: generation.id,
            head: generation.head,
            file: generation.file.clone(),
            emitted: generation.offset,
            tail: generation.tail.clone(),
            size: generation.seen.size,
        };
        self.books().insert(generation.partition.key.clone(), book);
    }

    fn books(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        // A panic elsewhere cannot leave a map of whole values half written.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bookmarks for Shelf {
    fn bookmark(&self, partition: &Partition, offset: u64) -> Option<Position> {
        let book = self.books().get(&partition.key).cloned()?;
        let offset = offset.min(book.emitted);
        let (anchor_len, anchor_hash) = book.anchor(offset);
        Some(Position::File(book.position(offset, anchor_len, anchor_hash)))
    }

    fn release(&self, partition: &Partition) {
        self.books().remove(&partition.key);
    }
}

impl Book {
    fn position(&self, offset: u64, anchor_len: u32, anchor_hash: [u8; 16]) -> FilePosition {
        FilePosition {
            path: self.path.to_string_lossy().into_owned(),
            device: self.id.device,
            inode: self.id.inode,
            born_ns: self.id.born_ns,
            head_len: self.head.len,
            head_hash: self.head.hash,
            anchor_len,
            anchor_hash,
            offset,
            size: self.size.max(offset),
        }
    }

    /// Length and hash of the bytes before `offset`.
    ///
    /// The file may have been truncated and written anew since those bytes were emitted. So after they are read, the bytes before the
    /// emitted end are compared with those that are remembered. If they differ, the generation's bytes are gone from this file. Then its
    /// copy is asked; and if there is none, the anchor is one that no content has: after a restart only a gap can be declared, and must be.
    fn anchor(&self, offset: u64) -> (u32, [u8; 16]) {
        let len = offset.min(ANCHOR as u64);
        let remembered_from = self.emitted.saturating_sub(self.tail.len() as u64);
        if offset == self.emitted {
            return (u32::try_from(self.tail.len()).unwrap_or(u32::MAX), identity::hash(&self.tail));
        }
        if let Some(within) = offset.checked_sub(remembered_from).and_then(|within| usize::try_from(within).ok())
            && within.saturating_mul(4) as u64 >= len
            && let Some(bytes) = self.tail.get(..within)
        {
            return (u32::try_from(bytes.len()).unwrap_or(u32::MAX), identity::hash(bytes));
        }
        self.read_back(offset).or_else(|| self.ask_copy(offset)).map_or((u32::try_from(len.max(1)).unwrap_or(u32::MAX), [0; 16]), |bytes| {
            (u32::try_from(bytes.len()).unwrap_or(u32::MAX), identity::hash(&bytes))
        })
    }

    /// The file was truncated a moment ago and the source has not seen it yet.
    fn ask_copy(&self, offset: u64) -> Option<Vec<u8>> {
        let end = self.position(self.emitted, u32::try_from(self.tail.len()).ok()?, identity::hash(&self.tail));
        let (copy, _) = rotation::find_copy(&self.path, &end, |other| *other == self.id)?;
        identity::before(&copy, offset).ok()
    }

    fn read_back(&self, offset: u64) -> Option<Vec<u8>> {
        if offset == 0 {
            return Some(Vec::new());
        }
        let file = match &self.file {
            Some(file) => file.clone(),
            None => Arc::new(identity::open(&self.path).ok().filter(|(_, stat)| stat.id == self.id)?.0),
        };
        let bytes = identity::before(&file, offset).ok()?;
        let whole = bytes.len() as u64 == offset.min(ANCHOR as u64);
        (whole && identity::before(&file, self.emitted).ok()? == self.tail).then_some(bytes)
    }
}
