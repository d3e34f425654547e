//! A gap in a log as an alert: who removes or outruns a log hides what a token did meanwhile.

use super::{Alert, Finding, Severity, Source};
use crate::event::Time;
use crate::source::Gap;

/// The alert of a gap that was noticed at `now`. Its id depends on the place alone, so a gap noticed again after a crash is the same alert.
/// It names no token, so nothing is ever revoked for it.
pub fn alert_of(gap: &Gap, now: Time) -> Alert {
    let partition = &gap.partition;
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch gap v1");
    hasher.update(partition.key.as_bytes());
    hasher.update(&gap.from.to_le_bytes());
    hasher.update(gap.reason.as_bytes());
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(32);
    let kafka = partition.key.starts_with("kafka:");
    let unit = if kafka || partition.key.starts_with("syslog:") { "messages" } else { "bytes" };
    let size = match gap.to.map(|to| to.saturating_sub(gap.from)) {
        Some(n) => format!("{n} {unit}"),
        None => format!("an unknown number of {unit}"),
    };
    let observed = format!("{size} of {} were lost before they could be read, from {} on ({})", partition.label, gap.from, gap.reason);
    let place = if kafka {
        let (topic, number) = partition.label.rsplit_once('/').unwrap_or((&partition.label, "0"));
        Source::Kafka { topic: topic.to_owned(), partition: number.parse().unwrap_or(0), offset: gap.from }
    } else {
        Source::File { file: partition.label.clone(), offset: gap.from }
    };
    let advice = "find out who or what removed it (rotation without a kept copy, a full disk, retention, a person); what tokens did in \
                  it is unknown to Tokenwatch: look in the database itself";
    let finding = Finding {
        detector: "gap".to_owned(),
        severity: Severity::Medium,
        confidence: 90,
        score: 0.0,
        observed: observed.clone(),
        expected: "every record is read".to_owned(),
        bound: 0.0,
        evidence: vec![place.clone()],
        attack: vec!["T1070.002".to_owned()],
        advice: advice.to_owned(),
        weight: None,
        behaviour: Vec::new(),
    };
    let token = format!("(log of {})", partition.source);
    let summary = format!("{token}: {observed}");
    Alert::about_log(id, now, token, summary, finding)
}
