//! Notifications: a durable outbox row becomes one message on one channel.
//!
//! **Adding a channel = one file here and one variant of `Channel`.**

pub mod sign;

use crate::alert::Severity;
use crate::event::Time;

/// A message to be stored in the outbox, together with what it reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The same for every try and after every restart; the receiver's idempotency key. See [`delivery_key`].
    pub key: String,
    /// The channel's name, or `responder:NAME`.
    pub destination: String,
    /// The alert behind it; empty for notices of the daemon itself.
    pub alert_id: String,
    /// Decides the order among waiting messages of a destination.
    pub severity: Severity,
    /// Not tried before.
    pub due: Time,
    /// Not tried after; `None`: as long as the schedule runs.
    pub expires: Option<Time>,
    /// What to send, as the sender of this destination understands it.
    pub payload: String,
}

/// A message that waits in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub key: String,
    pub destination: String,
    pub alert_id: String,
    pub severity: Severity,
    pub created: Time,
    pub due: Time,
    pub expires: Option<Time>,
    /// Tries so far; all of them failed.
    pub attempts: u32,
    pub payload: String,
}

/// What a receiver answered to a message that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// For responders: `applied`, `pending` or `refused`.
    pub status: Option<String>,
    /// For people.
    pub detail: String,
}

/// The idempotency key of one revision of an alert on one destination: `msg_` and 32 hex digits.
///
/// Without a full stop: the signature's content is `id.timestamp.body`.
pub fn delivery_key(alert_id: &str, revision: u32, destination: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch delivery v1");
    for part in [alert_id, &revision.to_string(), destination] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("msg_{}", &hasher.finalize().to_hex()[..32])
}
