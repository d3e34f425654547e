//! The outbox: messages that wait, were delivered, or were given up. Each row's key is the idempotency key on the wire.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Store, StoreError};
use crate::alert::Severity;
use crate::event::Time;
use crate::notifier::delivery::{Outbox, OutboxError, Outcome};
use crate::notifier::{Delivery, NewDelivery, Receipt};

/// No schedule waits longer; a row that seems to must wait for a clock that was wrong when it was written.
const LONGEST_WAIT: i64 = 27 * Time::HOUR;

/// One message as `status` and `alerts show` present it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub key: String,
    pub destination: String,
    /// `waiting`, `delivered` or `dead` (given up).
    pub state: String,
    pub attempts: u32,
    pub due: Time,
    /// Why the last try failed, or what the receiver answered.
    pub detail: Option<String>,
    pub finished: Option<Time>,
}

/// What waits and what became of the rest, for one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationCount {
    pub destination: String,
    pub waiting: u64,
    pub delivered: u64,
    pub dead: u64,
    /// When the message that has waited longest was written.
    pub oldest: Option<Time>,
}

impl Store {
    /// Puts messages into the outbox that belong to no alert (`notify test`, notices of the daemon). Known keys are passed over;
    /// the answer is how many were new.
    pub fn enqueue(&mut self, deliveries: &[NewDelivery], now: Time) -> Result<usize, StoreError> {
        self.transact("queueing messages", |tx| {
            let mut new = 0;
            for delivery in deliveries {
                new += insert(tx, delivery, now)?;
            }
            Ok(new)
        })
    }

    /// What this destination should be sent at `now`: the gravest first, of equals the one that was due first.
    pub fn due(&self, destination: &str, now: Time, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.run("reading the outbox", |db| {
            let mut statement = db.prepare_cached(
                "SELECT key, destination, alert_id, severity, created, due, expires, attempts, payload FROM outbox
                 WHERE state = 'waiting' AND destination = ?1 AND (due <= ?2 OR due > ?2 + ?3)
                 ORDER BY severity DESC, due, created, key LIMIT ?4",
            )?;
            let rows = statement.query_map(params![destination, now.0, LONGEST_WAIT, limit], waiting)?;
            rows.collect()
        })
    }

    /// The receiver took the message. An action of this key takes over the receiver's answer.
    pub fn mark_delivered(&mut self, key: &str, receipt: &Receipt, now: Time) -> Result<(), StoreError> {
        self.transact("marking a message as delivered", |tx| {
            tx.prepare_cached(
                "UPDATE outbox SET state = 'delivered', attempts = attempts + 1, error = ?2, finished = ?3, payload = ''
                 WHERE key = ?1 AND state = 'waiting'",
            )?
            .execute(params![key, receipt.detail, now.0])?;
            let state = match receipt.status.as_deref() {
                Some("applied") => "applied",
                Some("refused") => "failed",
                _ => "pending",
            };
            answer(tx, key, state, &receipt.detail, now)
        })
    }

    /// A try failed; the next is at `due`.
    pub fn mark_retry(&mut self, key: &str, due: Time, error: &str, now: Time) -> Result<(), StoreError> {
        self.transact("marking a message for another try", |tx| {
            tx.prepare_cached("UPDATE outbox SET attempts = attempts + 1, due = ?2, error = ?3 WHERE key = ?1 AND state = 'waiting'")?
                .execute(params![key, due.0, error])?;
            answer(tx, key, "pending", error, now)
        })
    }

    /// The message is given up; `notices` tell other destinations of it, in the same transaction.
    pub fn mark_dead(&mut self, key: &str, error: &str, notices: &[NewDelivery], now: Time) -> Result<(), StoreError> {
        self.transact("giving a message up", |tx| {
            tx.prepare_cached(
                "UPDATE outbox SET state = 'dead', attempts = attempts + 1, error = ?2, finished = ?3 WHERE key = ?1 AND state = 'waiting'",
            )?
            .execute(params![key, error, now.0])?;
            for notice in notices {
                insert(tx, notice, now)?;
            }
            answer(tx, key, "failed", error, now)
        })
    }

    /// Gives up what waits for a destination that the configuration no longer names; answers how many messages that were.
    pub fn retire_all_but(&mut self, destinations: &[String], now: Time) -> Result<usize, StoreError> {
        self.transact("giving up messages of removed destinations", |tx| {
            let known = serde_json::to_string(destinations).unwrap_or_default();
            let reason = "its channel or responder is no longer configured";
            tx.execute(
                "UPDATE action SET state = 'failed', answer = ?2, updated = ?3 WHERE state = 'pending' AND key IN
                 (SELECT key FROM outbox WHERE state = 'waiting' AND destination NOT IN (SELECT value FROM json_each(?1)))",
                params![known, reason, now.0],
            )?;
            tx.execute(
                "UPDATE outbox SET state = 'dead', error = ?2, finished = ?3
                 WHERE state = 'waiting' AND destination NOT IN (SELECT value FROM json_each(?1))",
                params![known, reason, now.0],
            )
        })
    }

    /// Counts per destination, by name.
    pub fn outbox_counts(&self) -> Result<Vec<DestinationCount>, StoreError> {
        self.run("counting messages", |db| {
            let mut statement = db.prepare_cached(
                "SELECT destination, sum(state = 'waiting'), sum(state = 'delivered'), sum(state = 'dead'),
                        min(CASE WHEN state = 'waiting' THEN created END)
                 FROM outbox GROUP BY destination ORDER BY destination",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(DestinationCount {
                    destination: row.get(0)?,
                    waiting: super::unsigned(row.get(1)?),
                    delivered: super::unsigned(row.get(2)?),
                    dead: super::unsigned(row.get(3)?),
                    oldest: row.get::<_, Option<i64>>(4)?.map(Time),
                })
            })?;
            rows.collect()
        })
    }

    /// What became of the messages of one alert.
    pub fn deliveries_of(&self, alert_id: &str) -> Result<Vec<DeliveryRow>, StoreError> {
        self.run("reading deliveries", |db| {
            let mut statement = db.prepare_cached(
                "SELECT key, destination, state, attempts, due, error, finished FROM outbox WHERE alert_id = ?1 ORDER BY created, key",
            )?;
            let rows = statement.query_map([alert_id], row)?;
            rows.collect()
        })
    }

    /// What became of one message.
    pub fn delivery(&self, key: &str) -> Result<Option<DeliveryRow>, StoreError> {
        self.run("reading a delivery", |db| {
            db.prepare_cached("SELECT key, destination, state, attempts, due, error, finished FROM outbox WHERE key = ?1")?
                .query_row([key], row)
                .optional()
        })
    }
}

/// Puts one message into the outbox, unless its key is there already; answers how many rows that made.
pub(super) fn insert(tx: &Transaction<'_>, delivery: &NewDelivery, now: Time) -> rusqlite::Result<usize> {
    tx.prepare_cached(
        "INSERT INTO outbox (key, destination, alert_id, severity, created, due, expires, attempts, state, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 'waiting', ?8) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        delivery.key,
        delivery.destination,
        delivery.alert_id,
        delivery.severity as i64,
        now.0,
        delivery.due.0,
        delivery.expires.map(|t| t.0),
        delivery.payload
    ])
}

/// Keeps the action of this key, if the message is one, in step with its delivery.
fn answer(tx: &Transaction<'_>, key: &str, state: &str, answer: &str, now: Time) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE action SET state = ?2, answer = ?3, updated = ?4 WHERE key = ?1 AND state = 'pending'")?
        .execute(params![key, state, answer, now.0])
        .map(drop)
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let severity: u8 = row.get(3)?;
    Ok(Delivery {
        key: row.get(0)?,
        destination: row.get(1)?,
        alert_id: row.get(2)?,
        severity: Severity::ALL.get(usize::from(severity)).copied().unwrap_or(Severity::Critical),
        created: Time(row.get(4)?),
        due: Time(row.get(5)?),
        expires: row.get::<_, Option<i64>>(6)?.map(Time),
        attempts: row.get(7)?,
        payload: row.get(8)?,
    })
}

fn row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        key: row.get(0)?,
        destination: row.get(1)?,
        state: row.get(2)?,
        attempts: row.get(3)?,
        due: Time(row.get(4)?),
        detail: row.get(5)?,
        finished: row.get::<_, Option<i64>>(6)?.map(Time),
    })
}

/// The outbox for the delivery workers: a connection of its own ([`Store::open_shared`]), used by one worker at a time.
pub struct SharedOutbox(std::sync::Mutex<Store>);

impl SharedOutbox {
    pub fn new(store: Store) -> Self {
        SharedOutbox(std::sync::Mutex::new(store))
    }

    /// What waits, was delivered and was given up, by destination.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn counts(&self) -> Result<Vec<DestinationCount>, OutboxError> {
        self.with(|store| store.outbox_counts())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Result<T, OutboxError> {
        // A worker that panicked left no transaction open: it was rolled back when it was dropped.
        let mut store = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(&mut store).map_err(|error| OutboxError { message: error.to_string(), retryable: error.is_retryable() })
    }
}

impl Outbox for SharedOutbox {
    fn due(&self, destination: &str, now: Time, limit: u32) -> Result<Vec<Delivery>, OutboxError> {
        self.with(|store| store.due(destination, now, limit))
    }

    fn record(&self, key: &str, outcome: &Outcome, now: Time) -> Result<(), OutboxError> {
        self.with(|store| match outcome {
            Outcome::Delivered(receipt) => store.mark_delivered(key, receipt, now),
            Outcome::Retry { due, error } => store.mark_retry(key, *due, error, now),
            Outcome::Dead { error, notices } => store.mark_dead(key, error, notices, now),
        })
    }
}
