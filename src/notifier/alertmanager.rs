//! Prometheus Alertmanager: the alert as one of its alerts, so that its routing, silences and on-call tools apply.
//!
//! `POST /api/v2/alerts` of Alertmanager's OpenAPI description. Labels are an alert's identity there, so an escalation, whose severity
//! differs, stands beside the alert it escalates; `alert_id` joins them. It is sent once and not again, so it ends by Alertmanager's own
//! `resolve_timeout` unless `endsAt` says otherwise: [`LASTS`].

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::post::Endpoint;
use super::text::letter;
use super::{Delivery, Message, Receipt, SendError};
use crate::clock::Clock;
use crate::event::Time;

/// How long an alert stands in Alertmanager, in microseconds: as long as later findings join it here.
const LASTS: i64 = Time::DAY;

/// One Alertmanager.
pub struct Alertmanager {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
}

impl Alertmanager {
    /// `url`: where Alertmanager is, without the path of its interface.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn new(url: &str, timeout: Duration, clock: Arc<dyn Clock>) -> Result<Alertmanager, String> {
        let whole = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
        Ok(Alertmanager { endpoint: Endpoint::new(&whole.into(), None, timeout, clock.clone())?, clock })
    }

    pub async fn send(&self, delivery: &Delivery, message: &Message) -> Result<Receipt, SendError> {
        let answer = self.endpoint.post(&delivery.key, body(message, self.clock.now()), &[]).await?;
        Ok(Receipt { status: None, detail: format!("answered {}", answer.status) })
    }
}

fn body(message: &Message, now: Time) -> String {
    let words = letter(message);
    let (name, token, id) = match message {
        Message::Alert { alert, .. } => ("TokenMisuse", alert.token.as_str(), alert.id.as_str()),
        Message::Test { alert } => ("TokenwatchTest", alert.token.as_str(), alert.id.as_str()),
        Message::Notice { .. } => ("TokenwatchNotice", "", ""),
    };
    let mut labels = json!({ "alertname": name, "severity": message.severity().name() });
    if let Some(labels) = labels.as_object_mut() {
        for (label, value) in [("token", token), ("alert_id", id)] {
            if !value.is_empty() {
                labels.insert(label.to_owned(), super::text::clean(value).into());
            }
        }
    }
    let description: Vec<String> = words.sections.iter().map(|(title, lines)| format!("{title}: {}", lines.join("; "))).collect();
    json!([{
        "labels": labels,
        "annotations": { "summary": words.subject, "description": format!("{} {}", words.lead, description.join(" ")).trim() },
        "startsAt": now.to_string(),
        "endsAt": Time(now.0.saturating_add(LASTS)).to_string(),
    }])
    .to_string()
}
