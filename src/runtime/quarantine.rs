//! Records that could not be read, kept aside by their place: `state_dir/rejected.jsonl` says where each stands and why it was
//! rejected, so that a person can fetch it (`tokenwatch decode`, or by topic and offset) and feed it again. The record itself is not
//! copied: nobody knows what secret an unreadable record holds.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Bytes after which the file becomes `rejected.jsonl.1` and begins anew.
const MOST: u64 = 8 << 20;

/// Rejects kept between two checkpoints; more are counted in the metric only.
pub const MOST_AT_ONCE: usize = 1_000;

/// Where one rejected record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    pub source: String,
    /// File, or topic and partition.
    pub partition: String,
    /// Byte offset, or Kafka offset.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
    pub format: &'static str,
    pub reason: &'static str,
}

/// The file of rejected records.
#[derive(Debug)]
pub struct Quarantine {
    path: PathBuf,
}

impl Quarantine {
    pub fn new(state_dir: &Path) -> Self {
        Quarantine { path: state_dir.join("rejected.jsonl") }
    }

    /// Appends. A failure is logged and stops nothing: the records are counted in the metric all the same.
    pub fn add(&self, rejected: &[Rejected]) {
        if rejected.is_empty() {
            return;
        }
        if let Err(error) = self.append(rejected) {
            tracing::error!(file = %self.path.display(), %error, lost = rejected.len(), "places of rejected records cannot be written");
        }
    }

    fn append(&self, rejected: &[Rejected]) -> std::io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() > MOST) {
            fs::rename(&self.path, self.path.with_extension("jsonl.1"))?;
        }
        let mut text = Vec::new();
        for record in rejected {
            serde_json::to_writer(&mut text, record)?;
            text.push(b'\n');
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?.write_all(&text)
    }
}
