//! Alerts: findings about one token, grouped, with a life cycle.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use serde::{Deserialize, Serialize};

pub use crate::detect::Mode;
use crate::event::Time;
pub use crate::severity::Severity;

pub mod explain;
pub mod gap;
pub mod group;
pub mod inventory;
pub mod share;
pub mod suppression;

/// What a detector looks at: those that look at the same thing are one witness, however many speak.
pub fn family(detector: &str) -> &str {
    match detector {
        "new_address" | "unpopular_network" | "concurrent_use" => "new_network",
        "new_operation" | "new_statement" | "sensitive_object" | "errors" => "new_scope",
        "dormant" => "unusual_hour",
        other => other,
    }
}

/// Where a record that proves a finding stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    File { file: String, offset: u64 },
    Kafka { topic: String, partition: i32, offset: u64 },
}

/// What one detector says of one token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Detector or rule id: `new_network`, `policy.scope`, `rule.credential_store_read`.
    pub detector: String,
    pub severity: Severity,
    /// 0..=100.
    pub confidence: u8,
    /// Surprise; comparable across tokens and detectors, higher = more unusual.
    pub score: f64,
    /// What was seen, in plain words and without literals.
    pub observed: String,
    /// What is usual or declared, in plain words.
    pub expected: String,
    /// Upper bound of the probability of this finding for a token that behaves as before; 0 where it is forbidden outright.
    pub bound: f64,
    pub evidence: Vec<Source>,
    /// MITRE ATT&CK technique ids.
    pub attack: Vec<String>,
    /// What the owner should do or change to make it not fire again.
    pub advice: String,
    /// What it adds to the score of findings that were weighed together, and whether they would have alerted without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Fingerprints of what was done, as far as the baseline has no memory of it: a dismissal excuses them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behaviour: Vec<String>,
}

/// One alert as it leaves the process. A later revision has the same `id` and a higher severity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// 32 hex digits; the same input and configuration give the same id.
    pub id: String,
    /// `true` on a revision after the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub update: bool,
    /// 0 for the first, then counting.
    pub revision: u32,
    #[serde(with = "rfc3339")]
    pub time: Time,
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    pub severity: Severity,
    pub confidence: u8,
    pub score: f64,
    pub detectors: Vec<String>,
    pub summary: String,
    pub findings: Vec<Finding>,
    pub attack: Vec<String>,
    pub sources: Vec<Source>,
    pub mode: Mode,
    /// Every record behind it comes from a format that clients cannot write into.
    pub tamper_proof: bool,
    /// Every record behind it is an act of the token itself, as the server verified it. A refused login in its name is not.
    #[serde(default)]
    pub authenticated: bool,
    /// The address of the triggering event, where the log gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The attack that it looks like most, in plain words; absent where a rule or a declared limit speaks for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resembles: Option<String>,
    /// The smallest standing exception that would cover it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppression: Option<suppression::Proposal>,
}

impl Alert {
    /// An alert about a log. It names no token, so nothing is ever revoked for it.
    pub fn about_log(id: String, time: Time, log: String, summary: String, finding: Finding) -> Self {
        Alert {
            id,
            update: false,
            revision: 0,
            time,
            token: log,
            owner: None,
            contact: None,
            severity: finding.severity,
            confidence: finding.confidence,
            score: finding.score,
            detectors: vec![finding.detector.clone()],
            summary,
            attack: finding.attack.clone(),
            sources: finding.evidence.clone(),
            findings: vec![finding],
            mode: Mode::Enforcing,
            tamper_proof: false,
            authenticated: false,
            address: None,
            database: None,
            resembles: None,
            suppression: None,
        }
    }
}

/// [`Time`] as RFC 3339 UTC text.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::event::Time;

    pub fn serialize<S: Serializer>(time: &Time, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Time, D::Error> {
        let text = String::deserialize(d)?;
        let stamp: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Time(stamp.as_microsecond()))
    }
}
