//! Alerts with their deliveries and actions: written in one transaction, read by the command line.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Store, StoreError, outbox};
use crate::alert::{Alert, Severity};
use crate::event::Time;
use crate::notifier::NewDelivery;
use crate::response::{ActionState, NewAction};

/// Which alerts to read. The default is the latest 100 of any kind.
#[derive(Debug, Clone)]
pub struct AlertFilter {
    /// Event time of the alert's last revision, inclusive.
    pub since: Option<Time>,
    /// Event time of the alert's last revision, exclusive.
    pub until: Option<Time>,
    /// Exact name.
    pub token: Option<String>,
    pub min_severity: Option<Severity>,
    pub limit: u32,
}

impl Default for AlertFilter {
    fn default() -> Self {
        AlertFilter { since: None, until: None, token: None, min_severity: None, limit: 100 }
    }
}

/// One action as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRow {
    pub key: String,
    pub alert_id: String,
    pub responder: String,
    pub token: String,
    pub state: ActionState,
    /// Why it acts, or why not.
    pub reason: String,
    pub request: Option<String>,
    /// What the receiver answered, or why it could not be reached.
    pub answer: Option<String>,
    pub created: Time,
    pub updated: Time,
}

impl Store {
    /// Stores one revision of an alert with everything that it sets off, synced to disk, or nothing of it.
    ///
    /// Answers `false`, and changes nothing, where this revision is stored already: a replay after a crash does nothing twice.
    /// On a full disk the reserve is given up for it.
    ///
    /// # Errors
    /// After [`StoreError::Full`] and [`StoreError::Busy`] the same alert may be given again; after anything else the process must end.
    pub fn commit_alert(
        &mut self,
        alert: &Alert,
        deliveries: &[NewDelivery],
        actions: &[NewAction],
        now: Time,
    ) -> Result<bool, StoreError> {
        let body = serde_json::to_string(alert).map_err(|e| StoreError::Sqlite {
            path: self.path.clone(),
            doing: "writing an alert",
            detail: e.to_string(),
        })?;
        let write = |tx: &Transaction<'_>| -> rusqlite::Result<bool> {
            let new = tx
                .prepare_cached(
                    "INSERT INTO alert (id, revision, time, recorded, token, severity, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![alert.id, alert.revision, alert.time.0, now.0, alert.token, alert.severity as i64, body])?;
            if new == 0 {
                return Ok(false);
            }
            for delivery in deliveries {
                outbox::insert(tx, delivery, now)?;
            }
            for action in actions {
                insert_action(tx, action, now)?;
            }
            Ok(true)
        };
        match self.transact("storing an alert", write) {
            Err(StoreError::Full { .. }) if self.directory.as_ref().is_some_and(|d| d.give_up_reserve()) => {
                self.transact("storing an alert", write)
            }
            result => result,
        }
    }

    /// The last revision of each alert that passes, newest first.
    pub fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let bodies = self.run("reading alerts", |db| {
            let mut statement = db.prepare_cached(
                "SELECT body FROM alert AS a
                 WHERE revision = (SELECT max(revision) FROM alert WHERE id = a.id)
                   AND (?1 IS NULL OR time >= ?1) AND (?2 IS NULL OR time < ?2) AND (?3 IS NULL OR token = ?3) AND severity >= ?4
                 ORDER BY time DESC, id LIMIT ?5",
            )?;
            let severity = filter.min_severity.map_or(0, |s| s as i64);
            let rows = statement
                .query_map(params![filter.since.map(|t| t.0), filter.until.map(|t| t.0), filter.token, severity, filter.limit], |row| {
                    row.get::<_, String>(0)
                })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        bodies.iter().map(|body| self.read_alert(body)).collect()
    }

    /// Every revision of the alert with this id, oldest first. The id may be cut short, as long as it names one alert only;
    /// otherwise, and for an unknown id, the answer is empty.
    pub fn alert(&self, id: &str) -> Result<Vec<Alert>, StoreError> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        let bodies = self.run("reading an alert", |db| {
            // Ids are lower-case hex, so "g" stands after every continuation.
            let id = id.to_ascii_lowercase();
            let mut statement = db.prepare_cached("SELECT id, body FROM alert WHERE id >= ?1 AND id < ?1 || 'g' ORDER BY id, revision")?;
            let rows = statement.query_map([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        if bodies.windows(2).any(|pair| matches!(pair, [a, b] if a.0 != b.0)) {
            return Ok(Vec::new());
        }
        bodies.iter().map(|(_, body)| self.read_alert(body)).collect()
    }

    fn read_alert(&self, body: &str) -> Result<Alert, StoreError> {
        serde_json::from_str(body).map_err(|e| self.corrupt(format!("an alert cannot be read: {e}")))
    }

    /// Actions, newest first; those of one alert where `alert_id` is given.
    pub fn actions(&self, alert_id: Option<&str>, limit: u32) -> Result<Vec<ActionRow>, StoreError> {
        self.run("reading actions", |db| {
            let mut statement = db.prepare_cached(
                "SELECT key, alert_id, responder, token, state, reason, request, answer, created, updated FROM action
                 WHERE ?1 IS NULL OR alert_id = ?1 ORDER BY created DESC, key LIMIT ?2",
            )?;
            let rows = statement.query_map(params![alert_id, limit], action)?;
            rows.collect()
        })
    }

    /// How many actions of this responder were decided (sent or simulated, not refused) since `since`: what its budget has spent.
    /// Simulated ones count, so that a simulation shows what would really have happened.
    pub fn actions_since(&self, responder: &str, since: Time) -> Result<u32, StoreError> {
        self.run("counting actions", |db| {
            db.prepare_cached("SELECT count(*) FROM action WHERE responder = ?1 AND created >= ?2 AND state <> 'refused'")?
                .query_row(params![responder, since.0], |row| row.get(0))
        })
    }

    /// What this responder has done about this alert so far.
    pub fn action(&self, alert_id: &str, responder: &str) -> Result<Option<ActionRow>, StoreError> {
        self.run("reading an action", |db| {
            db.prepare_cached(
                "SELECT key, alert_id, responder, token, state, reason, request, answer, created, updated FROM action
                 WHERE alert_id = ?1 AND responder = ?2",
            )?
            .query_row([alert_id, responder], action)
            .optional()
        })
    }

    /// Forgets alerts, gaps, actions and finished deliveries from before `before`, at most `limit` rows of each; answers how many
    /// rows went. Positions and baselines stay.
    pub fn prune(&mut self, before: Time, limit: u32) -> Result<usize, StoreError> {
        self.transact("removing what is past its retention", |tx| {
            let mut gone = 0;
            for sql in [
                "DELETE FROM alert WHERE rowid IN (SELECT rowid FROM alert WHERE time < ?1 AND recorded < ?1 LIMIT ?2)",
                "DELETE FROM outbox WHERE rowid IN (SELECT rowid FROM outbox WHERE finished < ?1 LIMIT ?2)",
                "DELETE FROM action WHERE rowid IN (SELECT rowid FROM action WHERE updated < ?1 AND state <> 'pending' LIMIT ?2)",
                "DELETE FROM feedback WHERE id IN (SELECT id FROM feedback WHERE applied < ?1 LIMIT ?2)",
                "DELETE FROM gap WHERE (source, key, first) IN (SELECT source, key, first FROM gap WHERE time < ?1 LIMIT ?2)",
            ] {
                gone += tx.execute(sql, params![before.0, limit])?;
            }
            Ok(gone)
        })
    }
}

/// A guard's earlier no, or a simulation, may give way to more when the alert gets worse; what was once sent stays.
fn insert_action(tx: &Transaction<'_>, action: &NewAction, now: Time) -> rusqlite::Result<()> {
    let changed = tx
        .prepare_cached(
            "INSERT INTO action (key, alert_id, responder, token, state, reason, request, answer, created, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, ?8, ?8)
             ON CONFLICT (alert_id, responder) DO UPDATE SET state = ?5, reason = ?6, request = ?7, created = ?8, updated = ?8
             WHERE (state = 'refused' AND ?5 IN ('simulated', 'pending')) OR (state = 'simulated' AND ?5 = 'pending')",
        )?
        .execute(params![
            action.key,
            action.alert_id,
            action.responder,
            action.token,
            action.state.name(),
            action.reason,
            action.request,
            now.0
        ])?;
    match &action.delivery {
        Some(delivery) if changed > 0 => outbox::insert(tx, delivery, now).map(drop),
        _ => Ok(()),
    }
}

fn action(row: &Row<'_>) -> rusqlite::Result<ActionRow> {
    let state: String = row.get(4)?;
    Ok(ActionRow {
        key: row.get(0)?,
        alert_id: row.get(1)?,
        responder: row.get(2)?,
        token: row.get(3)?,
        state: ActionState::from_name(&state)
            .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(4, rusqlite::types::Type::Text, state.into()))?,
        reason: row.get(5)?,
        request: row.get(6)?,
        answer: row.get(7)?,
        created: Time(row.get(8)?),
        updated: Time(row.get(9)?),
    })
}
