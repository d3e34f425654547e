//! A file of JSON lines: one alert a line, on disk before it counts as delivered. Opened for each line, so it may be rotated.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::message::json_line;
use super::{Message, Receipt, SendError};

/// One file, made with mode 0600 where missing.
pub struct File {
    path: PathBuf,
}

impl File {
    pub fn new(path: &Path) -> File {
        File { path: path.into() }
    }

    pub async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let line = json_line(&message.data());
        let path = self.path.clone();
        let shown = self.path.display();
        match tokio::task::spawn_blocking(move || append(&path, line)).await {
            Ok(Ok(())) => Ok(Receipt::default()),
            Ok(Err(error)) => Err(SendError::retry(format!("{shown}: {error}"))),
            Err(error) => Err(SendError::retry(format!("{shown}: {error}"))),
        }
    }
}

fn append(path: &Path, mut line: String) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
    // A crash, or a full disk, may have left half a line: it must not swallow this one.
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            line.insert(0, '\n');
        }
    }
    file.write_all(line.as_bytes())?;
    file.sync_data()
}
