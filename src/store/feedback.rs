//! Feedback: what people order of baselines, written down before it is carried out. Commands add rows; whoever holds the baselines (the daemon,
//! or the command itself where none runs) carries them out and marks them in the transaction that stores the changed baselines.

use rusqlite::{Row, params};

use super::{Store, StoreError};
use crate::event::Time;

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedbackKind {
    /// The alert was false: what it reported is usual.
    Dismiss,
    Pin,
    Unpin,
}

impl FeedbackKind {
    const ALL: [(&str, FeedbackKind); 3] = [("dismiss", FeedbackKind::Dismiss), ("pin", FeedbackKind::Pin), ("unpin", FeedbackKind::Unpin)];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFeedback {
    pub kind: FeedbackKind,
    pub token: String,
    /// The alert that is dismissed.
    pub alert_id: Option<String>,
    pub reason: Option<String>,
    /// Who ordered it, as far as the system tells.
    pub author: Option<String>,
}

/// One order as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackRow {
    pub id: i64,
    pub time: Time,
    pub order: NewFeedback,
    /// When it was carried out.
    pub applied: Option<Time>,
}

impl Store {
    /// Writes an order down, synced to disk; answers its number.
    pub fn add_feedback(&mut self, order: &NewFeedback, now: Time) -> Result<i64, StoreError> {
        self.transact("storing feedback", |tx| {
            tx.prepare_cached("INSERT INTO feedback (time, kind, token, alert_id, reason, author) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![now.0, order.kind.name(), order.token, order.alert_id, order.reason, order.author])?;
            Ok(tx.last_insert_rowid())
        })
    }

    /// Orders with a number above `after` that nobody has carried out, oldest first.
    pub fn waiting_feedback(&self, after: i64) -> Result<Vec<FeedbackRow>, StoreError> {
        self.feedback("WHERE applied IS NULL AND id > ?1 ORDER BY id LIMIT 1000", [after])
    }

    /// What was ordered about one alert, oldest first.
    pub fn feedback_of(&self, alert_id: &str) -> Result<Vec<FeedbackRow>, StoreError> {
        self.feedback("WHERE alert_id = ?1 ORDER BY id", [alert_id])
    }

    /// The order of this number was carried out.
    pub fn is_applied(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.feedback("WHERE id = ?1", [id])?.iter().any(|row| row.applied.is_some()))
    }

    fn feedback(&self, condition: &'static str, params: impl rusqlite::Params) -> Result<Vec<FeedbackRow>, StoreError> {
        self.run("reading feedback", |db| {
            let sql = format!("SELECT id, time, kind, token, alert_id, reason, author, applied FROM feedback {condition}");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(params, row)?;
            rows.collect()
        })
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<FeedbackRow> {
    let kind: String = row.get(2)?;
    let known = FeedbackKind::ALL.iter().find(|(name, _)| *name == kind);
    let unknown = || rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, kind.clone().into());
    let (_, kind) = known.ok_or_else(unknown)?;
    Ok(FeedbackRow {
        id: row.get(0)?,
        time: Time(row.get(1)?),
        order: NewFeedback { kind: *kind, token: row.get(3)?, alert_id: row.get(4)?, reason: row.get(5)?, author: row.get(6)? },
        applied: row.get::<_, Option<i64>>(7)?.map(Time),
    })
}
