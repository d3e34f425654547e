//! The tables. A change of the schema = one more entry in [`MIGRATIONS`]; entries that were released never change.

use rusqlite::Connection;

use super::{Store, StoreError};

/// Marks the file as ours ("TWCH"), so that a foreign database is never migrated.
const APPLICATION_ID: i64 = 0x5457_4348;

/// The n-th entry leads from schema n to schema n+1. Times are microseconds since the epoch, severities 0 (informational)
/// to 4 (critical), `sum` a checksum over the row that [`super::epoch`] defines.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE checkpoint (
        source TEXT NOT NULL, key TEXT NOT NULL, label TEXT NOT NULL,
        position TEXT NOT NULL, state BLOB NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (source, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE baseline (token BLOB NOT NULL PRIMARY KEY, record BLOB NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE token (id BLOB NOT NULL PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE word (id INTEGER NOT NULL PRIMARY KEY, text TEXT NOT NULL) STRICT;
    CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

    CREATE TABLE gap (
        source TEXT NOT NULL, key TEXT NOT NULL, label TEXT NOT NULL,
        first INTEGER NOT NULL, next INTEGER, reason TEXT NOT NULL, time INTEGER NOT NULL,
        PRIMARY KEY (source, key, first)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE alert (
        id TEXT NOT NULL, revision INTEGER NOT NULL, time INTEGER NOT NULL, recorded INTEGER NOT NULL,
        token TEXT NOT NULL, severity INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (id, revision)
    ) STRICT;
    CREATE INDEX alert_by_time ON alert (time);

    CREATE TABLE outbox (
        key TEXT NOT NULL PRIMARY KEY, destination TEXT NOT NULL, alert_id TEXT NOT NULL, severity INTEGER NOT NULL,
        created INTEGER NOT NULL, due INTEGER NOT NULL, expires INTEGER, attempts INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
        error TEXT, finished INTEGER, payload TEXT NOT NULL
    ) STRICT;
    CREATE INDEX outbox_waiting ON outbox (destination, due) WHERE state = 'waiting';
    CREATE INDEX outbox_finished ON outbox (finished) WHERE finished IS NOT NULL;
    CREATE INDEX outbox_by_alert ON outbox (alert_id);

    CREATE TABLE action (
        key TEXT NOT NULL PRIMARY KEY, alert_id TEXT NOT NULL, responder TEXT NOT NULL, token TEXT NOT NULL,
        state TEXT NOT NULL, reason TEXT NOT NULL, request TEXT, answer TEXT,
        created INTEGER NOT NULL, updated INTEGER NOT NULL,
        UNIQUE (alert_id, responder)
    ) STRICT;
    CREATE INDEX action_by_time ON action (responder, created);
",
    "
    CREATE TABLE feedback (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('dismiss', 'pin', 'unpin')),
        token TEXT NOT NULL, alert_id TEXT, reason TEXT, author TEXT, applied INTEGER
    ) STRICT;
    CREATE INDEX feedback_waiting ON feedback (id) WHERE applied IS NULL;
    CREATE INDEX feedback_by_alert ON feedback (alert_id) WHERE alert_id IS NOT NULL;
",
];

/// The schema that this version writes.
fn known() -> i64 {
    MIGRATIONS.len() as i64
}

/// Brings the file to the current schema, each step in its own transaction.
pub fn migrate(store: &mut Store) -> Result<(), StoreError> {
    let found = recognise(store)?;
    for (version, sql) in (0i64..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
        store.transact("migrating the schema", |tx| {
            tx.execute_batch(sql)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", version + 1)
        })?;
    }
    Ok(())
}

/// For connections that may not migrate.
pub fn require_current(store: &Store) -> Result<(), StoreError> {
    let found = recognise(store)?;
    if found == known() {
        return Ok(());
    }
    let dir = store.path.parent().unwrap_or(&store.path).to_path_buf();
    if found == 0 {
        return Err(StoreError::Missing { dir });
    }
    let message = format!("its state has the older schema {found}; start the daemon once, it brings it up to date");
    Err(StoreError::Directory { dir, message })
}

/// The file's schema version; 0 for an empty file.
fn recognise(store: &Store) -> Result<i64, StoreError> {
    let (application, version, tables) = store.run("reading the schema version", |db| {
        Ok((
            pragma(db, "application_id")?,
            pragma(db, "user_version")?,
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0))?,
        ))
    })?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(StoreError::Foreign { path: store.path.clone() });
    }
    if version > known() {
        return Err(StoreError::TooNew { path: store.path.clone(), found: version, known: known() });
    }
    if version < 0 {
        return Err(store.corrupt(format!("schema version {version}")));
    }
    Ok(version)
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, name, |row| row.get(0))
}
