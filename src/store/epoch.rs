//! The epoch: one transaction that moves the positions forward together with everything that they include; and what a start
//! loads back.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Store, StoreError, signed, unsigned};
use crate::event::Time;
use crate::position::{Checkpoint, Position};
use crate::source::Gap;
use crate::token::{TokenId, WordId};

/// What changed since the last epoch.
#[derive(Debug, Clone, Default)]
pub struct Epoch {
    /// The positions at the barrier, of every partition that moved.
    pub checkpoints: Vec<Checkpoint>,
    /// Partitions (source, key) that will never continue.
    pub released: Vec<(String, String)>,
    /// Baselines that changed, as flat records; an empty one is forgotten.
    pub baselines: Vec<(TokenId, Vec<u8>)>,
    /// Tokens whose baseline is to be forgotten.
    pub forgotten: Vec<TokenId>,
    /// Words that were met for the first time.
    pub words: Vec<(WordId, String)>,
    /// Tokens that were met for the first time.
    pub tokens: Vec<(TokenId, String)>,
    /// Gaps that were met, with the time at which they were noticed.
    pub gaps: Vec<(Gap, Time)>,
    /// Feedback that the baselines of this epoch have taken up, and when.
    pub applied: Vec<(i64, Time)>,
    /// Counters by name with their new totals.
    pub counters: Vec<(String, u64)>,
}

/// One gap as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapRow {
    pub source: String,
    pub label: String,
    pub from: u64,
    /// `None` where it cannot be known.
    pub to: Option<u64>,
    pub reason: String,
    /// When it was noticed.
    pub time: Time,
}

impl Store {
    /// Stores an epoch whole, synced to disk, or not at all.
    ///
    /// # Errors
    /// After [`StoreError::Full`] and [`StoreError::Busy`] the same epoch may be given again; after anything else the process must end.
    pub fn commit_epoch(&mut self, epoch: &Epoch) -> Result<(), StoreError> {
        // Turned into text before the transaction: the write lock is held for writing only.
        let mut positions = Vec::with_capacity(epoch.checkpoints.len());
        for checkpoint in &epoch.checkpoints {
            positions.push(serde_json::to_string(&checkpoint.position).map_err(|e| StoreError::Sqlite {
                path: self.path.clone(),
                doing: "writing a position",
                detail: e.to_string(),
            })?);
        }
        self.transact("storing a checkpoint", |tx| write(tx, epoch, &positions))?;
        if let Some(directory) = &self.directory {
            directory.fill_reserve();
        }
        Ok(())
    }

    /// Where every partition goes on.
    pub fn load_checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let rows = self.run("loading positions", |db| {
            let mut statement = db.prepare("SELECT source, key, label, position, state, sum FROM checkpoint ORDER BY source, key")?;
            let rows = statement.query_map([], |row| {
                let texts: (String, String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((texts, row.get::<_, Vec<u8>>(4)?, row.get::<_, i64>(5)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter()
            .map(|((source, key, label, position), state, sum)| {
                if sum != checkpoint_sum(&source, &key, &position, &state) {
                    return Err(self.corrupt(format!("the position of {label} has a wrong checksum")));
                }
                let position: Position =
                    serde_json::from_str(&position).map_err(|e| self.corrupt(format!("the position of {label} cannot be read: {e}")))?;
                Ok(Checkpoint { source, key, label, position, state })
            })
            .collect()
    }

    /// Gives every baseline to `take`.
    pub fn load_baselines(&self, take: &mut dyn FnMut(TokenId, &[u8])) -> Result<(), StoreError> {
        let damaged = self.run("loading baselines", |db| {
            let mut statement = db.prepare("SELECT token, record, sum FROM baseline")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let token: [u8; 16] = row.get(0)?;
                let record = row.get_ref(1)?.as_blob()?;
                if row.get::<_, i64>(2)? != sum(&[&token, record]) {
                    return Ok(Some(token));
                }
                take(TokenId(u128::from_be_bytes(token)), record);
            }
            Ok(None)
        })?;
        match damaged {
            None => Ok(()),
            Some(token) => Err(self.corrupt(format!("the baseline of token {:032x} has a wrong checksum", u128::from_be_bytes(token)))),
        }
    }

    /// Gives every word of the dictionary to `take`.
    pub fn load_words(&self, take: &mut dyn FnMut(WordId, &str)) -> Result<(), StoreError> {
        self.run("loading the dictionary", |db| {
            let mut statement = db.prepare("SELECT id, text FROM word")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(WordId(row.get::<_, i64>(0)?.cast_unsigned()), row.get_ref(1)?.as_str()?);
            }
            Ok(())
        })
    }

    /// Gives every known token's name to `take`.
    pub fn load_tokens(&self, take: &mut dyn FnMut(TokenId, &str)) -> Result<(), StoreError> {
        self.run("loading token names", |db| {
            let mut statement = db.prepare("SELECT id, name FROM token")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(TokenId(u128::from_be_bytes(row.get(0)?)), row.get_ref(1)?.as_str()?);
            }
            Ok(())
        })
    }

    /// Every counter with its total, by name.
    pub fn load_counters(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.run("loading counters", |db| {
            let mut statement = db.prepare("SELECT name, value FROM counter ORDER BY name")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
            rows.collect()
        })
    }

    /// The latest `limit` gaps, newest first.
    pub fn gaps(&self, limit: u32) -> Result<Vec<GapRow>, StoreError> {
        self.run("reading gaps", |db| {
            let mut statement =
                db.prepare("SELECT source, label, first, next, reason, time FROM gap ORDER BY time DESC, first DESC LIMIT ?1")?;
            let rows = statement.query_map([limit], |row| {
                Ok(GapRow {
                    source: row.get(0)?,
                    label: row.get(1)?,
                    from: unsigned(row.get(2)?),
                    to: row.get::<_, Option<i64>>(3)?.map(unsigned),
                    reason: row.get(4)?,
                    time: Time(row.get(5)?),
                })
            })?;
            rows.collect()
        })
    }

    /// The stored baseline of one token, for `baseline show`.
    pub fn baseline(&self, token: TokenId) -> Result<Option<Vec<u8>>, StoreError> {
        let key = token.0.to_be_bytes();
        let row: Option<(Vec<u8>, i64)> = self.run("reading a baseline", |db| {
            db.query_row("SELECT record, sum FROM baseline WHERE token = ?1", [key], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })?;
        match row {
            Some((record, stored)) if stored != sum(&[&key, &record]) => {
                Err(self.corrupt(format!("the baseline of token {token:?} has a wrong checksum")))
            }
            row => Ok(row.map(|(record, _)| record)),
        }
    }
}

fn write(tx: &Transaction<'_>, epoch: &Epoch, positions: &[String]) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO checkpoint (source, key, label, position, state, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (source, key) DO UPDATE SET label = ?3, position = ?4, state = ?5, sum = ?6",
    )?;
    for (c, position) in epoch.checkpoints.iter().zip(positions) {
        let sum = checkpoint_sum(&c.source, &c.key, position, &c.state);
        statement.execute(params![c.source, c.key, c.label, position, c.state, sum])?;
    }
    let mut statement = tx.prepare_cached("DELETE FROM checkpoint WHERE source = ?1 AND key = ?2")?;
    for (source, key) in &epoch.released {
        statement.execute([source, key])?;
    }
    let mut statement = tx.prepare_cached(
        "INSERT INTO baseline (token, record, sum) VALUES (?1, ?2, ?3) ON CONFLICT (token) DO UPDATE SET record = ?2, sum = ?3",
    )?;
    for (token, record) in epoch.baselines.iter().filter(|(_, record)| !record.is_empty()) {
        let key = token.0.to_be_bytes();
        statement.execute(params![key, record, sum(&[&key, record])])?;
    }
    let mut statement = tx.prepare_cached("DELETE FROM baseline WHERE token = ?1")?;
    let empty = epoch.baselines.iter().filter(|(_, record)| record.is_empty()).map(|(token, _)| token);
    for token in epoch.forgotten.iter().chain(empty) {
        statement.execute([token.0.to_be_bytes()])?;
    }
    let mut statement = tx.prepare_cached("INSERT INTO word (id, text) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for (word, text) in &epoch.words {
        statement.execute(params![word.0.cast_signed(), text])?;
    }
    let mut statement = tx.prepare_cached("INSERT INTO token (id, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for (token, name) in &epoch.tokens {
        statement.execute(params![token.0.to_be_bytes(), name])?;
    }
    // A replay after a crash meets the same gap again; its end may be known only then.
    let mut statement = tx.prepare_cached(
        "INSERT INTO gap (source, key, label, first, next, reason, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (source, key, first) DO UPDATE SET next = coalesce(?5, next)",
    )?;
    for (gap, time) in &epoch.gaps {
        let p = &gap.partition;
        statement.execute(params![p.source, p.key, p.label, signed(gap.from), gap.to.map(signed), gap.reason, time.0])?;
    }
    let mut statement = tx.prepare_cached("UPDATE feedback SET applied = ?2 WHERE id = ?1 AND applied IS NULL")?;
    for (id, time) in &epoch.applied {
        statement.execute([*id, time.0])?;
    }
    let mut statement =
        tx.prepare_cached("INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2")?;
    for (name, value) in &epoch.counters {
        statement.execute(params![name, signed(*value)])?;
    }
    Ok(())
}

fn checkpoint_sum(source: &str, key: &str, position: &str, state: &[u8]) -> i64 {
    sum(&[source.as_bytes(), key.as_bytes(), position.as_bytes(), state])
}

/// 64 bits of BLAKE3 over the parts with their lengths. SQLite keeps no checksum of its pages, so a flipped bit in a baseline
/// would otherwise go unnoticed and be judged by.
fn sum(parts: &[&[u8]]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut out = [0; 8];
    hasher.finalize_xof().fill(&mut out);
    i64::from_le_bytes(out)
}
