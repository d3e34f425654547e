//! From a decision to a stored action: the request as it goes over the wire, and the words for people.

use serde::{Deserialize, Serialize};

use super::guard::{Context, Decision, Guard};
use super::{ActionState, NewAction, action_key, destination};
use crate::alert::{Alert, Severity, rfc3339};
use crate::event::Time;
use crate::notifier::NewDelivery;

/// A request that has not reached the receiver by then is given up: later a person may already have put things right. Microseconds.
const VALID: i64 = Time::HOUR;

/// The body of a request, as Standard Webhooks wants it. The receiver finds the idempotency key in the header of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Always `tokenwatch.revocation.requested`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(with = "rfc3339")]
    pub timestamp: Time,
    pub data: Revocation,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revocation {
    /// Always `revoke`.
    pub action: String,
    /// Always `enforce`: what is only simulated is not sent.
    pub mode: String,
    pub token: String,
    /// The account names by which the database knows the token, where the inventory declares them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    pub alert_id: String,
    pub severity: Severity,
    /// 0..=100.
    pub confidence: u8,
    pub reason: String,
    #[serde(with = "rfc3339")]
    pub requested_at: Time,
    /// The receiver should ignore the request after this.
    #[serde(with = "rfc3339")]
    pub expires_at: Time,
}

/// What one responder does about an alert: the action to store with it, and the line that notifications carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub action: NewAction,
    /// `would revoke billing: ...`; `None` where there is nothing to tell.
    pub words: Option<String>,
}

/// Asks the guard and turns its decision into an action. `principals`: the account names of the token, where the inventory
/// declares them.
pub fn respond(guard: &Guard, alert: &Alert, principals: &[String], context: &Context) -> Response {
    let (token, name) = (&alert.token, &guard.name);
    let decision = guard.decide(alert, context);
    let (state, reason, words) = match decision {
        Decision::Act(grounds) => {
            let words = format!("{name} is asked to revoke {token}: {grounds}");
            (ActionState::Pending, grounds, Some(words))
        }
        Decision::Simulate(grounds) => {
            let words = format!("{name} would revoke {token}, and only simulates: {grounds}");
            (ActionState::Simulated, grounds, Some(words))
        }
        Decision::Refuse(refusal) => {
            let words = (!refusal.is_routine()).then(|| format!("{name} does not revoke {token}: {refusal}"));
            (ActionState::Refused, refusal.to_string(), words)
        }
    };
    let key = action_key(&alert.id, name);
    let request = (state != ActionState::Refused).then(|| request(alert, principals, &reason, context.now));
    let delivery = request.as_ref().filter(|_| state == ActionState::Pending).map(|request| NewDelivery {
        key: key.clone(),
        destination: destination(name),
        alert_id: alert.id.clone(),
        severity: alert.severity,
        due: context.now,
        expires: Some(expiry(context.now)),
        payload: request.clone(),
    });
    let action =
        NewAction { key, alert_id: alert.id.clone(), responder: name.clone(), token: token.clone(), state, reason, request, delivery };
    Response { action, words }
}

fn expiry(now: Time) -> Time {
    Time(now.0.saturating_add(VALID))
}

fn request(alert: &Alert, principals: &[String], reason: &str, now: Time) -> String {
    let request = Request {
        kind: "tokenwatch.revocation.requested".to_owned(),
        timestamp: now,
        data: Revocation {
            action: "revoke".to_owned(),
            mode: "enforce".to_owned(),
            token: alert.token.clone(),
            principals: principals.to_vec(),
            owner: alert.owner.clone(),
            database: alert.database.clone(),
            alert_id: alert.id.clone(),
            severity: alert.severity,
            confidence: alert.confidence,
            reason: reason.to_owned(),
            requested_at: now,
            expires_at: expiry(now),
        },
    };
    // Texts, numbers and lists always have a JSON form.
    serde_json::to_string(&request).unwrap_or_default()
}
