//! The durable store: one SQLite file per daemon with everything that must survive a crash.
//!
//! ```text
//! state_dir/tokenwatch.db   positions, baselines, words, gaps, counters, alerts, outbox, actions, feedback  (mode 0600)
//! state_dir/lock            held by the one daemon of this directory; names its process id
//! state_dir/reserve         1 MiB given up on a full disk, so that an alert can still be written
//! ```
//!
//! [`schema`] the tables and their migrations; [`epoch`] the checkpoint transaction and what a start loads; [`alerts`] alerts,
//! their deliveries and actions in one transaction; [`outbox`] what the delivery workers read and mark; [`feedback`] what people order.
//!
//! Invariants:
//! - A position is stored only in the transaction that holds the state which includes it.
//! - Nothing is tried again after a failed sync: the page cache may already have forgotten the data. The store answers
//!   [`StoreError::Broken`] from then on; the process must end, and a restart replays from the last checkpoint.
//! - A full disk is no such failure: the transaction is undone whole and may be given again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

pub mod alerts;
mod directory;
pub mod epoch;
pub mod feedback;
pub mod outbox;
mod schema;

pub use alerts::{ActionRow, AlertFilter};
pub use epoch::{Epoch, GapRow};
pub use feedback::{FeedbackKind, FeedbackRow, NewFeedback};
pub use outbox::{DeliveryRow, DestinationCount, SharedOutbox};

/// The database file inside the state directory.
pub const FILE: &str = "tokenwatch.db";

/// How long a write waits for another process (`notify test`) to finish its own.
const BUSY: Duration = Duration::from_secs(10);

/// A larger database is not checked page by page at every start; [`Store::check`] does it beside the running daemon.
const CHECK_AT_START_BYTES: u64 = 64 << 20;

/// Why the store cannot do what it was asked. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "another tokenwatch (process {pid}) already uses the state directory {dir}; stop it first, or give this one another directory with [state] dir"
    )]
    Locked { dir: PathBuf, pid: String },
    #[error("cannot use the state directory {dir}: {message}")]
    Directory { dir: PathBuf, message: String },
    #[error(
        "there is no state in {dir}: the daemon makes it at its first start (`tokenwatch run`); if it runs already, name its configuration with --config"
    )]
    Missing { dir: PathBuf },
    #[error(
        "the state file {path} is damaged ({detail}); stop the daemon, move {path} and its -wal and -shm files away, and start again: \
         positions and baselines then begin anew from the logs (`tokenwatch learn` refills baselines); \
         `sqlite3 {path} .recover` can save the old alerts"
    )]
    Corrupt { path: PathBuf, detail: String },
    #[error(
        "the state file {path} was written by a newer tokenwatch (schema {found}, this one knows {known}); install that version again or newer"
    )]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[error("{path} is a database, but not one of tokenwatch; set [state] dir to another directory")]
    Foreign { path: PathBuf },
    #[error("no space left for {path}: free space on that file system (`df -h {path}`); nothing is lost, reading goes on by itself then")]
    Full { path: PathBuf },
    #[error("{path} is held by another process for more than 10 s while {doing}; look for a stuck `tokenwatch` or `sqlite3`")]
    Busy { path: PathBuf, doing: &'static str },
    #[error(
        "{path} could not be written safely while {doing} ({detail}); the daemon must restart and replay: look for disk errors in the kernel log"
    )]
    Io { path: PathBuf, doing: &'static str, detail: String },
    #[error("{path} takes nothing more after an earlier write error; the daemon must restart")]
    Broken { path: PathBuf },
    #[error("{path}: {doing}: {detail}")]
    Sqlite { path: PathBuf, doing: &'static str, detail: String },
}

impl StoreError {
    /// Space may come back: stop reading, keep everything, try the same call again.
    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Full { .. })
    }

    /// The call may be given again as it is: nothing of it was stored.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Full { .. } | StoreError::Busy { .. })
    }

    /// A restart alone will not help; a person must act first.
    pub fn needs_a_person(&self) -> bool {
        !matches!(self, StoreError::Full { .. } | StoreError::Busy { .. } | StoreError::Io { .. } | StoreError::Broken { .. })
    }
}

/// One connection to the store. Calls block; see [`Store::open`], [`Store::open_shared`] and [`Store::open_read_only`].
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    /// Set by a failed commit or sync.
    broken: bool,
    /// Only the daemon's own connection holds the directory.
    directory: Option<directory::Directory>,
}

impl Store {
    /// Opens the daemon's store in `dir`, made where missing, and keeps every other daemon out of it until dropped.
    ///
    /// # Errors
    /// Another daemon holds the directory, its permissions let others write into it, or the file is damaged, foreign or too new.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let directory = directory::Directory::take(dir)?;
        let path = dir.join(FILE);
        directory.prepare_file(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let mut store = Store::connect(path, flags, Some(directory))?;
        store.configure_writer()?;
        let size = std::fs::metadata(&store.path).map_or(0, |m| m.len());
        if size <= CHECK_AT_START_BYTES {
            store.check()?;
        }
        schema::migrate(&mut store)?;
        if let Some(directory) = &store.directory {
            directory.fill_reserve();
        }
        Ok(store)
    }

    /// A further connection that may write: for the delivery workers beside the writer, and for commands that hand the
    /// running daemon a delivery. It takes no lock and never makes or migrates the file.
    pub fn open_shared(dir: &Path) -> Result<Store, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let mut store = Store::existing(dir, flags)?;
        store.configure_writer()?;
        schema::require_current(&store)?;
        Ok(store)
    }

    /// A connection that only reads, also beside the running daemon: it sees the last committed state.
    pub fn open_read_only(dir: &Path) -> Result<Store, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let store = Store::existing(dir, flags)?;
        schema::require_current(&store)?;
        Ok(store)
    }

    fn existing(dir: &Path, flags: OpenFlags) -> Result<Store, StoreError> {
        let path = dir.join(FILE);
        match std::fs::metadata(&path) {
            Ok(_) => Store::connect(path, flags, None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::Missing { dir: dir.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                Err(StoreError::Directory { dir: dir.into(), message: "it is a file; name a directory with [state] dir".to_owned() })
            }
            Err(error) => Err(StoreError::Directory { dir: dir.into(), message: format!("{error}; run as the daemon's user") }),
        }
    }

    fn connect(path: PathBuf, flags: OpenFlags, directory: Option<directory::Directory>) -> Result<Store, StoreError> {
        let db = Connection::open_with_flags(&path, flags).map_err(|e| describe(&path, "opening", &e))?;
        let store = Store { db, path, broken: false, directory };
        store.run("opening", |db| {
            db.busy_timeout(BUSY)?;
            db.set_prepared_statement_cache_capacity(64);
            db.pragma_update(None, "trusted_schema", false)?;
            // Notices a damaged page when it is read, instead of reading past its cells.
            db.pragma_update(None, "cell_size_check", true)?;
            db.pragma_update(None, "temp_store", "memory")
        })?;
        Ok(store)
    }

    fn configure_writer(&mut self) -> Result<(), StoreError> {
        let mode: String = self.run("switching to write-ahead logging", |db| {
            db.pragma_update(None, "synchronous", "full")?;
            db.pragma_update(None, "journal_size_limit", 64 << 20)?;
            // KiB when negative.
            db.pragma_update(None, "cache_size", -16_384)?;
            db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        })?;
        if mode.eq_ignore_ascii_case("wal") {
            Ok(())
        } else {
            let dir = self.path.parent().unwrap_or(Path::new(".")).to_path_buf();
            let message = format!("its file system cannot do write-ahead logging (SQLite stays in mode {mode}); use a local disk");
            Err(StoreError::Directory { dir, message })
        }
    }

    /// Reads every page and says whether the file is sound. Takes about a second per gigabyte.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first finding.
    pub fn check(&self) -> Result<(), StoreError> {
        let verdict: String = self.run("checking", |db| db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))?;
        if verdict == "ok" { Ok(()) } else { Err(self.corrupt(verdict)) }
    }

    /// Runs reads, naming what was `doing` in an error.
    fn run<T>(&self, doing: &'static str, f: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        f(&self.db).map_err(|e| describe(&self.path, doing, &e))
    }

    /// Runs `f` in one transaction that is either stored and synced, or leaves nothing behind.
    fn transact<T>(&mut self, doing: &'static str, f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        if self.broken {
            return Err(StoreError::Broken { path: self.path.clone() });
        }
        let result = (|| {
            // Immediate: a transaction that starts by reading could find its snapshot outdated when it comes to write.
            let tx = Transaction::new(&mut self.db, TransactionBehavior::Immediate)?;
            let value = f(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        result.map_err(|error: rusqlite::Error| {
            let error = describe(&self.path, doing, &error);
            // Whatever is neither "later" nor a plain refusal of one statement leaves the file's state unknown.
            self.broken = matches!(error, StoreError::Io { .. } | StoreError::Corrupt { .. });
            error
        })
    }

    fn corrupt(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), detail: detail.into() }
    }
}

/// What SQLite says, as what it means for a person.
fn describe(path: &Path, doing: &'static str, error: &rusqlite::Error) -> StoreError {
    let path = path.to_path_buf();
    let detail = error.to_string();
    let Some(failure) = error.sqlite_error() else {
        return match error {
            // A value of a type or range that we never store.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => StoreError::Corrupt { path, detail },
            _ => StoreError::Sqlite { path, doing, detail },
        };
    };
    match failure.code {
        ErrorCode::DiskFull => StoreError::Full { path },
        // The index of the write-ahead log could not grow: the same full disk, met a little earlier.
        _ if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full { path },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy { path, doing },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt { path, detail },
        ErrorCode::SystemIoFailure => StoreError::Io { path, doing, detail },
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            let dir = path.parent().unwrap_or(Path::new(".")).to_path_buf();
            StoreError::Directory { dir, message: format!("{detail}; run as the daemon's user and see that the directory is writable") }
        }
        _ => StoreError::Sqlite { path, doing, detail },
    }
}

/// SQLite holds signed 64-bit integers; an offset beyond them does not exist.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The reverse of [`signed`].
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
