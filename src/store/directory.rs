//! The state directory: who may use it, and the space held back in it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Bytes held back for alerts on a full disk: a few hundred of them with their deliveries.
const RESERVE_BYTES: usize = 1 << 20;

/// The directory, held by this process as long as this value lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The lock ends with this handle, also when the process is killed.
    _lock: File,
}

impl Directory {
    /// Makes the directory (mode 0700) where missing and locks it for this process.
    pub fn take(dir: &Path) -> Result<Directory, StoreError> {
        let fail = |message: String| StoreError::Directory { dir: dir.into(), message };
        if dir.exists() && !dir.is_dir() {
            return Err(fail("it is a file; name a directory with [state] dir".to_owned()));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| fail(e.to_string()))?;
        let meta = std::fs::metadata(dir).map_err(|e| fail(e.to_string()))?;
        // Whoever may write here can put another file in place of ours.
        if meta.mode() & 0o022 != 0 {
            let mode = meta.mode() & 0o777;
            return Err(fail(format!("its mode {mode:04o} lets other users write into it; run `chmod 0700 {}`", dir.display())));
        }
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(dir.join("lock"))
            .map_err(|e| fail(format!("lock: {e}")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Never more than a number; an unreadable one only makes the message poorer.
                let _ = (&mut lock).take(20).read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "unknown".into() } else { pid.trim().into() };
                return Err(StoreError::Locked { dir: dir.into(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(fail(format!("lock: {error}"))),
        }
        // The number is for people only; the lock itself is what counts.
        let _ = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Directory { path: dir.into(), _lock: lock })
    }

    /// Sees that the database file exists with mode 0600 and that its name is on disk. SQLite gives its -wal and -shm files the
    /// same mode.
    pub fn prepare_file(&self, path: &Path) -> Result<(), StoreError> {
        let prepare = || -> std::io::Result<()> {
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
            if file.metadata()?.mode() & 0o077 != 0 {
                file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            }
            file.sync_all()?;
            File::open(&self.path)?.sync_all()
        };
        prepare().map_err(|e| StoreError::Directory { dir: self.path.clone(), message: format!("{}: {e}", path.display()) })
    }

    /// Sets the reserve aside, if it is not. Failing to is no error: it only means that the disk is nearly full already.
    pub fn fill_reserve(&self) {
        let path = self.reserve();
        if std::fs::metadata(&path).is_ok_and(|m| m.len() == RESERVE_BYTES as u64) {
            return;
        }
        let fill = || -> std::io::Result<()> {
            // Written out, not merely sized: a sparse file reserves nothing.
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
            file.write_all(&vec![0; RESERVE_BYTES])?;
            file.sync_all()
        };
        if fill().is_err() {
            let _ = std::fs::remove_file(&path);
        }
    }

    /// Gives the reserve back to the file system; `false` where there was none.
    pub fn give_up_reserve(&self) -> bool {
        std::fs::remove_file(self.reserve()).is_ok()
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }
}
