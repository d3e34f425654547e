//! What is told: an alert, a test of the channel, or a notice of the daemon about itself; and its JSON on the wire.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NewDelivery, SendError};
use crate::alert::{Alert, Mode, Severity, Source, rfc3339};
use crate::event::Time;

/// Standard Webhooks asks for bodies under 20 kB.
const MOST_BYTES: usize = 20_000;

/// One message, as it stands in the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    Alert {
        alert: Box<Alert>,
        /// What responders do about it, in words: `would revoke billing: ...`.
        #[serde(default)]
        responses: Vec<String>,
    },
    /// A made-up alert that shows what a real one looks like.
    Test { alert: Box<Alert> },
    /// Something that a person should know of the daemon itself.
    Notice {
        /// One line.
        title: String,
        /// What, where, what to do.
        text: String,
        severity: Severity,
        #[serde(with = "rfc3339")]
        time: Time,
    },
}

impl Message {
    /// The message of `notify test`.
    pub fn test(now: Time) -> Message {
        let finding = crate::alert::Finding {
            detector: "new_network".to_owned(),
            severity: Severity::Medium,
            confidence: 75,
            score: 5.3,
            observed: "first use from 203.0.113.7 (outside the internal networks): select on public.invoices".to_owned(),
            expected: "only internal networks: 10.1.2.0/24 (412 times, 2026-01-02 to 2026-01-30)".to_owned(),
            bound: 0.005,
            evidence: vec![Source::File { file: "/var/log/postgresql/example.csv".to_owned(), offset: 48_213 }],
            attack: vec!["T1078".to_owned()],
            advice: "nothing: this is a test of the channel, sent by `tokenwatch notify test`".to_owned(),
            weight: None,
            behaviour: Vec::new(),
        };
        let alert = Alert {
            id: "0".repeat(32),
            update: false,
            revision: 0,
            time: now,
            token: "example".to_owned(),
            owner: Some("you".to_owned()),
            contact: None,
            severity: finding.severity,
            confidence: finding.confidence,
            score: finding.score,
            detectors: vec![finding.detector.clone()],
            summary: format!("example: {}", finding.observed),
            attack: finding.attack.clone(),
            sources: finding.evidence.clone(),
            findings: vec![finding],
            mode: Mode::Enforcing,
            tamper_proof: true,
            authenticated: true,
            address: Some("203.0.113.7".to_owned()),
            database: Some("app".to_owned()),
            resembles: None,
            suppression: None,
        };
        Message::Test { alert: Box::new(alert) }
    }

    pub fn severity(&self) -> Severity {
        match self {
            Message::Alert { alert, .. } | Message::Test { alert } => alert.severity,
            Message::Notice { severity, .. } => *severity,
        }
    }

    /// Event time of an alert, wall-clock time of a notice.
    pub fn time(&self) -> Time {
        match self {
            Message::Alert { alert, .. } | Message::Test { alert } => alert.time,
            Message::Notice { time, .. } => *time,
        }
    }

    /// The outbox row that sends this message to `destination`, at once.
    pub fn to(&self, destination: &str, key: &str, now: Time) -> NewDelivery {
        NewDelivery {
            key: key.to_owned(),
            destination: destination.to_owned(),
            alert_id: match self {
                Message::Alert { alert, .. } => alert.id.clone(),
                Message::Test { .. } | Message::Notice { .. } => String::new(),
            },
            severity: self.severity(),
            due: now,
            expires: None,
            // Maps of text, numbers and lists always have a JSON form.
            payload: serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// Reads what [`Message::to`] wrote.
    pub fn from_payload(payload: &str) -> Result<Message, SendError> {
        serde_json::from_str(payload)
            .map_err(|e| SendError::permanent(format!("the stored message cannot be read ({e}); was it written by a newer version?")))
    }

    /// The name of the event on the wire.
    pub fn event_type(&self) -> &'static str {
        match self {
            Message::Alert { alert, .. } if alert.revision > 0 => "tokenwatch.alert.escalated",
            Message::Alert { .. } => "tokenwatch.alert.opened",
            Message::Test { .. } => "tokenwatch.test",
            Message::Notice { .. } => "tokenwatch.notice",
        }
    }

    /// The payload of Standard Webhooks: type, time stamp, data; under 20 kB. The same message gives the same bytes.
    pub fn webhook_body(&self) -> String {
        let whole = |data: Value| json!({ "type": self.event_type(), "timestamp": self.time().to_string(), "data": data }).to_string();
        // Each level of shortening keeps fewer list entries and shorter texts.
        for (entries, characters) in [(usize::MAX, usize::MAX), (8, 1000), (3, 300), (1, 100)] {
            let body = whole(shorten(self.data(), entries, characters));
            if body.len() < MOST_BYTES {
                return body;
            }
        }
        whole(json!({ "id": self.id(), "severity": self.severity(), "omitted": "too large" }))
    }

    /// The message's content: the alert as everywhere else, with what responders do beside it.
    pub fn data(&self) -> Value {
        match self {
            Message::Alert { alert, responses } => {
                let mut data = serde_json::to_value(alert).unwrap_or_default();
                if let (Some(object), false) = (data.as_object_mut(), responses.is_empty()) {
                    object.insert("responses".to_owned(), json!(responses));
                }
                data
            }
            Message::Test { alert } => {
                let mut data = serde_json::to_value(alert).unwrap_or_default();
                if let Some(object) = data.as_object_mut() {
                    object.insert("test".to_owned(), json!(true));
                }
                data
            }
            Message::Notice { title, text, severity, time } => {
                json!({ "notice": title, "text": text, "severity": severity, "time": time.to_string() })
            }
        }
    }

    fn id(&self) -> &str {
        match self {
            Message::Alert { alert, .. } | Message::Test { alert } => &alert.id,
            Message::Notice { .. } => "",
        }
    }
}

/// Cuts every list to `entries` and every text to `characters`; what a list lost is counted beside it as `NAME_omitted`.
fn shorten(value: Value, entries: usize, characters: usize) -> Value {
    match value {
        Value::String(text) if text.chars().nth(characters).is_some() => {
            let head: String = text.chars().take(characters).collect();
            Value::String(head + "…")
        }
        Value::Array(list) => Value::Array(list.into_iter().take(entries).map(|v| shorten(v, entries, characters)).collect()),
        Value::Object(map) => {
            let mut out = serde_json::Map::new();
            for (key, value) in map {
                let omitted = value.as_array().map_or(0, |list| list.len().saturating_sub(entries));
                let shorter = shorten(value, entries, characters);
                if omitted > 0 {
                    out.insert(format!("{key}_omitted"), json!(omitted));
                }
                out.insert(key, shorter);
            }
            Value::Object(out)
        }
        value => value,
    }
}

/// One JSON document on one line that is safe to print on a terminal: control and direction characters are escaped.
pub fn json_line(value: &Value) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        // JSON itself leaves DEL, C1 controls and direction marks as they are. All lie in the basic plane.
        if super::text::is_unsafe(c) {
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}
