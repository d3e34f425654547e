//! One generation of a file: what is between two rotations or truncations, and how it is read.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::identity::{self, ANCHOR, FileId, Head, Stat};
use crate::position::Partition;

/// NULs at the start of a chunk from which on a hole is looked for.
const NULS: usize = 512;

/// One generation of a file; one partition.
#[derive(Debug)]
pub struct Generation {
    pub partition: Arc<Partition>,
    /// Where it was last found by the globs; not where it was rotated to, outside them.
    pub path: PathBuf,
    pub id: FileId,
    pub head: Head,
    /// `None`: closed to save descriptors, opened again when the file changes.
    pub file: Option<Arc<File>>,
    /// First byte not yet emitted.
    pub offset: u64,
    /// The bytes before `offset`, at most [`ANCHOR`].
    pub tail: Vec<u8>,
    /// The file as it was when its content was last known to be this generation's.
    pub seen: Stat,
    /// Look at the content once more although nothing seems changed: the last change may share its time stamp with another.
    pub recheck: bool,
    /// Something may be there to read.
    pub due: bool,
    /// Its path leads to it. If not since when.
    pub lost: Option<Duration>,
    /// Another generation has its path.
    pub succeeded: bool,
    /// Only to be read after this partition was read to its end.
    pub after: Option<Arc<Partition>>,
    /// When bytes last came, and whether [`super::super::Delivery::Idle`] has been sent since.
    pub last_data: Duration,
    pub idle_sent: bool,
    pub backoff: Option<Backoff>,
}

/// What recognises a file at a position.
#[derive(Debug)]
pub struct Content {
    pub tail: Vec<u8>,
    pub head: Head,
}

/// A file that cannot be read for now.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub until: Duration,
    pub step: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    /// Twice as long as last time.
    pub fn next(last: Option<Backoff>, now: Duration) -> Self {
        let step = last.map_or(Backoff::FIRST, |last| (last.step * 2).min(Backoff::LONGEST));
        Backoff { until: now + step, step }
    }
}

/// What one look at a generation gave.
#[derive(Debug)]
pub enum Step {
    /// The bytes at `offset`; `offset` is past them now.
    Bytes(Vec<u8>),
    /// From the first offset to the second nothing was ever written; `offset` is there now.
    Hole(u64, u64),
    /// Nothing more for now.
    End,
    /// The content is another one: this generation has ended.
    Truncated,
}

impl Generation {
    /// Begins with an open file at `offset`, 0 or its size.
    pub fn begin(partition: Arc<Partition>, path: PathBuf, file: File, stat: Stat, offset: u64, now: Duration) -> io::Result<Self> {
        let content = Content { tail: identity::before(&file, offset)?, head: Head::of(&file)? };
        Ok(Generation::resume(partition, path, file, stat, offset, content, now))
    }

    /// Takes over an open file at `offset`, where its content is known.
    pub fn resume(partition: Arc<Partition>, path: PathBuf, file: File, stat: Stat, offset: u64, content: Content, now: Duration) -> Self {
        let Content { tail, head } = content;
        Generation {
            partition,
            path,
            id: stat.id,
            head,
            file: Some(Arc::new(file)),
            offset,
            tail,
            seen: stat,
            recheck: true,
            due: true,
            lost: None,
            succeeded: false,
            after: None,
            last_data: now,
            // Until the first bytes there is nothing that could be half-framed.
            idle_sent: true,
            backoff: None,
        }
    }

    /// Everything that was seen of it has been emitted.
    pub fn at_end(&self) -> bool {
        self.offset >= self.seen.size
    }

    /// Reads the next bytes, at most `limit`.
    ///
    /// The content is verified *after* each read: a truncation cannot be undone, so if the bytes before `offset` are still the old
    /// ones then all that was read before the check belonged to this generation too.
    pub fn advance(&mut self, limit: usize) -> io::Result<Step> {
        let file = self.reopened()?;
        let stat = Stat::of_file(&file)?;
        if stat.size < self.offset {
            return Ok(Step::Truncated);
        }
        let changed = stat.changed != self.seen.changed || stat.size != self.seen.size;
        if stat.size == self.offset && !changed && !self.recheck {
            self.seen = stat;
            return Ok(Step::End);
        }
        let left = usize::try_from(stat.size.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut bytes = identity::read_at(&file, self.offset, left.min(limit))?;
        let hole = self.hole(&file, &bytes, stat.size)?;
        let head = if (self.head.len as usize) < identity::HEAD { self.head.grown(&file)? } else { Some(self.head) };
        let intact = self.intact(&file)?;
        let Some(head) = head.filter(|_| intact) else {
            return Ok(Step::Truncated);
        };
        self.head = head;
        self.seen = stat;
        self.recheck = changed;
        match hole {
            Some(to) if to >= stat.size => Ok(Step::End),
            Some(to) => {
                let from = std::mem::replace(&mut self.offset, to);
                self.tail = identity::before(&file, to)?;
                Ok(Step::Hole(from, to))
            }
            None if bytes.is_empty() => Ok(Step::End),
            None => {
                bytes.shrink_to_fit();
                self.take(&bytes);
                Ok(Step::Bytes(bytes))
            }
        }
    }

    /// Whether the open file still holds this generation. `false` also when that cannot be told.
    pub fn holds(&self) -> bool {
        let Some(file) = &self.file else { return true };
        Stat::of_file(file).is_ok_and(|stat| stat.size >= self.offset) && self.intact(file).unwrap_or(false)
    }

    /// The bytes before `offset` are still those that were emitted.
    fn intact(&self, file: &File) -> io::Result<bool> {
        let before = identity::before(file, self.offset)?;
        if before != self.tail {
            return Ok(false);
        }
        // So little was emitted that it says little: ask the head too.
        if before.len() < ANCHOR { self.head.matches(file) } else { Ok(true) }
    }

    /// Where data begins again if the file has a hole here.
    fn hole(&self, file: &File, bytes: &[u8], size: u64) -> io::Result<Option<u64>> {
        let nuls = bytes.iter().take(NULS).take_while(|byte| **byte == 0).count();
        if nuls < NULS {
            return Ok(None);
        }
        let data = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(self.offset)) {
            Ok(data) => data,
            // No data up to the end: not written yet.
            Err(rustix::io::Errno::NXIO) => return Ok(Some(size)),
            // This file system cannot tell.
            Err(_) => return Ok(None),
        };
        if data <= self.offset {
            return Ok(None);
        }
        // Holes end at a block; the rest up to the first byte that was written is NUL too.
        let block = identity::read_at(file, data, 64 * 1024)?;
        let padding = block.iter().take_while(|byte| **byte == 0).count();
        Ok(Some(data.saturating_add(padding as u64)))
    }

    fn take(&mut self, bytes: &[u8]) {
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        let from = bytes.len().saturating_sub(ANCHOR);
        let last = bytes.get(from..).unwrap_or(bytes);
        let spare = self.tail.len().saturating_add(last.len()).saturating_sub(ANCHOR).min(self.tail.len());
        self.tail.drain(..spare);
        self.tail.extend_from_slice(last);
    }

    fn reopened(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let (file, stat) = identity::open(&self.path)?;
        if stat.id != self.id {
            return Err(io::Error::new(io::ErrorKind::NotFound, "another file has the path now"));
        }
        let file = Arc::new(file);
        self.file = Some(file.clone());
        Ok(file)
    }
}
