//! What a file is, apart from its name: inode tuple, hash of its head, and the bytes just before a position.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::position::FilePosition;

/// Most leading bytes of a file that go into its head hash.
pub const HEAD: usize = 4096;
/// Most bytes before a position that go into its anchor hash.
pub const ANCHOR: usize = 256;

/// The inode tuple. Without a birth time (NFS, some overlays) it is weak: a freed inode number comes back at once on ext4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
    /// Nanoseconds since 1970.
    pub born_ns: Option<i64>,
}

impl FileId {
    pub fn of(position: &FilePosition) -> Self {
        FileId { device: position.device, inode: position.inode, born_ns: position.born_ns }
    }

    /// The key of a generation's partition: the same for the same file however often the daemon is started, another one for what
    /// follows after a truncation in place (`predecessor` is the key of the generation that ended). `salt` is used only where the
    /// tuple is weak.
    pub fn partition_key(&self, source: &str, predecessor: Option<&str>, salt: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new();
        for text in [source, predecessor.unwrap_or_default()] {
            hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&self.device.to_le_bytes());
        hasher.update(&self.inode.to_le_bytes());
        match self.born_ns {
            Some(born) => hasher.update(&born.to_le_bytes()),
            None => hasher.update(salt),
        };
        let hex = hasher.finalize().to_hex();
        format!("file:{}", hex.get(..32).unwrap_or_default())
    }
}

/// What the file system says of a file at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub id: FileId,
    /// Bytes.
    pub size: u64,
    /// Time of the last change of the inode (seconds, nanoseconds): only ever compared for equality, never a measure of time.
    pub changed: (i64, i64),
    /// 0: deleted, and only open descriptors keep it.
    pub links: u64,
    pub regular: bool,
}

impl Stat {
    /// Follows symbolic links.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|meta| Stat::from(&meta))
    }

    pub fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|meta| Stat::from(&meta))
    }
}

impl From<&Metadata> for Stat {
    fn from(meta: &Metadata) -> Self {
        let born_ns = meta
            .created()
            .ok()
            .and_then(|born| born.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_nanos()).ok())
            .filter(|&ns| ns != 0);
        Stat {
            id: FileId { device: meta.dev(), inode: meta.ino(), born_ns },
            size: meta.len(),
            changed: (meta.ctime(), meta.ctime_nsec()),
            links: meta.nlink(),
            regular: meta.is_file(),
        }
    }
}

/// Opens for reading; never waits for the other end of a pipe, and refuses what is not a regular file.
pub fn open(path: &Path) -> io::Result<(File, Stat)> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let stat = Stat::of_file(&file)?;
    if stat.regular { Ok((file, stat)) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")) }
}

/// Up to `len` bytes at `offset`; fewer only at the end of the file.
pub fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What is here already is good; the failure comes again with the next call.
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// 128 bits of BLAKE3.
pub fn hash(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(blake3::hash(bytes).as_bytes()) {
        *to = *from;
    }
    short
}

/// Hash of a file's first bytes. It starts with as many bytes as there are and grows with the file up to [`HEAD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub len: u32,
    pub hash: [u8; 16],
}

impl Head {
    pub fn of(file: &File) -> io::Result<Self> {
        read_at(file, 0, HEAD).map(|bytes| Head::of_bytes(&bytes))
    }

    pub fn of_bytes(bytes: &[u8]) -> Self {
        let bytes = bytes.get(..HEAD).unwrap_or(bytes);
        Head { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), hash: hash(bytes) }
    }

    /// Whether the file still begins so.
    pub fn matches(&self, file: &File) -> io::Result<bool> {
        let bytes = read_at(file, 0, self.len as usize)?;
        Ok(bytes.len() == self.len as usize && hash(&bytes) == self.hash)
    }

    /// The head of the file as it is now, if it continues this one.
    pub fn grown(&self, file: &File) -> io::Result<Option<Self>> {
        let bytes = read_at(file, 0, HEAD)?;
        let same = bytes.get(..self.len as usize).is_some_and(|start| hash(start) == self.hash);
        Ok(same.then(|| Head::of_bytes(&bytes)))
    }
}

/// The bytes before `offset`, at most [`ANCHOR`].
pub fn before(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let len = offset.min(ANCHOR as u64);
    read_at(file, offset.saturating_sub(len), len as usize)
}

/// Whether the file's content is that of the generation which `position` describes, at least up to its offset.
///
/// An empty position (nothing was ever seen of the file) says nothing about content and fits every file.
pub fn fits(file: &File, size: u64, position: &FilePosition) -> io::Result<bool> {
    if size < position.offset {
        return Ok(false);
    }
    let head = Head { len: position.head_len, hash: position.head_hash };
    if !head.matches(file)? {
        return Ok(false);
    }
    let len = u64::from(position.anchor_len);
    let anchor = read_at(file, position.offset.saturating_sub(len), position.anchor_len as usize)?;
    Ok(anchor.len() == position.anchor_len as usize && hash(&anchor) == position.anchor_hash)
}
