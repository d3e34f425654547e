//! Responses: what an alert may do to a token, and the record of what was done.
//!
//! [`guard`] decides, purely; [`action`] turns the decision into a stored request; [`responder`] sends it, out of the same outbox
//! and with the same worker as notifications. **Adding a connector = one file beside `responder.rs`.**
//!
//! Invariants: the default is to simulate; a request leaves only after it is stored; a responder acts at most once on one alert;
//! "applied" is recorded only where the receiver said so.

use serde::{Deserialize, Serialize};

use crate::notifier::NewDelivery;

pub mod action;
pub mod guard;
pub mod responder;

/// While a file of this name lies in the state directory, no responder acts: the switch for a person in a hurry.
pub const HALT_FILE: &str = "response.halt";

/// How far an action has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// A guard said no; the reason is recorded.
    Refused,
    /// Decided and recorded, not sent: the responder's mode is simulate.
    Simulated,
    /// Waits to be sent, or was accepted by the receiver without being done yet.
    Pending,
    /// The receiver says that it is done.
    Applied,
    /// It could not be sent, or the receiver refused.
    Failed,
}

impl ActionState {
    pub const ALL: [ActionState; 5] =
        [ActionState::Refused, ActionState::Simulated, ActionState::Pending, ActionState::Applied, ActionState::Failed];

    pub fn name(self) -> &'static str {
        match self {
            ActionState::Refused => "refused",
            ActionState::Simulated => "simulated",
            ActionState::Pending => "pending",
            ActionState::Applied => "applied",
            ActionState::Failed => "failed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A decided action, to be stored together with the alert that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAction {
    /// The same for every revision of the alert; also the key of its delivery. See [`action_key`].
    pub key: String,
    pub alert_id: String,
    pub responder: String,
    pub token: String,
    /// [`ActionState::Refused`], [`ActionState::Simulated`] or [`ActionState::Pending`].
    pub state: ActionState,
    /// Why it acts, or why not, for people.
    pub reason: String,
    /// The request as it is (or would be) sent.
    pub request: Option<String>,
    /// Present exactly where the state is [`ActionState::Pending`].
    pub delivery: Option<NewDelivery>,
}

/// The idempotency key of what one responder does about one alert: `act_` and 32 hex digits.
pub fn action_key(alert_id: &str, responder: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch action v1");
    for part in [alert_id, responder] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("act_{}", &hasher.finalize().to_hex()[..32])
}

/// The outbox destination of a responder. Channels cannot have this name: theirs stand alone.
pub fn destination(responder: &str) -> String {
    format!("responder:{responder}")
}

#[cfg(test)]
mod tests;
