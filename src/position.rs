//! Where we are in a source: partitions, positions, and where one record stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One ordered stream of a source: a file generation (`file:<32 hex>`), a Kafka partition (`kafka:<topic>/<n>`), `stdin`.
///
/// `key` is stable over restarts; `label` is for people (the path as it was when last seen, or the topic and number).
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// Name of the source in the configuration.
    pub source: String,
    pub key: String,
    pub label: String,
}

/// Where one record stands in its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    pub partition: Arc<Partition>,
    /// Byte offset (of the decompressed stream) or Kafka offset.
    pub offset: u64,
    /// Bytes.
    pub len: u32,
}

/// What a source needs to go on where the checkpoint left off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    File(FilePosition),
    /// The next offset to read.
    Kafka {
        offset: i64,
    },
}

/// A place in one generation of a file, with all that recognises that generation again.
///
/// Device and inode alone are not enough: ext4 hands out a freed inode number at once. Birth time tells such files apart,
/// the head hash recognises a copy, and the anchor (the bytes just before the offset) notices a file that was
/// truncated and has grown past the offset again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    pub path: String,
    pub device: u64,
    pub inode: u64,
    /// Birth time in nanoseconds, where the file system tells it.
    pub born_ns: Option<i64>,
    /// Number of leading bytes under `head_hash`; grows until the source's head size is reached.
    pub head_len: u32,
    pub head_hash: [u8; 16],
    /// Number of bytes before `offset` under `anchor_hash`.
    pub anchor_len: u32,
    pub anchor_hash: [u8; 16],
    /// First byte not yet taken in.
    pub offset: u64,
    /// Size of the file as it was last seen, in bytes: if the generation is gone later, `size - offset` bytes are known to be lost.
    pub size: u64,
}

/// What the store keeps for one partition at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub source: String,
    pub key: String,
    pub label: String,
    pub position: Position,
    /// Framing and decoder state at `position` (open sessions, detected format); see `decoder::Stream::save`.
    pub state: Vec<u8>,
}
