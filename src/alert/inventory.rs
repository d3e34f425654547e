//! What is wrong with tokens as such, in one alert about all of them.

use std::collections::BTreeMap;

use super::{Alert, Finding, Severity, Source};
use crate::config::Checks;
use crate::event::Time;
use crate::identity::condition::Condition;

/// In the place of a token's name.
pub const TOKEN: &str = "(inventory)";

/// Names that one finding lists; the others are counted.
const MOST_NAMES: usize = 20;

/// The tokens that are in one condition.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    count: u64,
    /// The first names of the alphabet, with what is to be said of each.
    names: BTreeMap<String, String>,
}

impl Tokens {
    pub fn add(&mut self, name: String, detail: String) {
        self.count += 1;
        self.names.insert(name, detail);
        if self.names.len() > MOST_NAMES {
            self.names.pop_last();
        }
    }

    fn list(&self) -> String {
        let named = |(name, detail): (&String, &String)| if detail.is_empty() { name.clone() } else { format!("{name} ({detail})") };
        let mut names: Vec<String> = self.names.iter().map(named).collect();
        let rest = self.count.saturating_sub(names.len() as u64);
        if rest > 0 {
            names.push(format!("and {rest} more"));
        }
        names.join(", ")
    }
}

/// What is reported at one time.
pub type Report = BTreeMap<Condition, Tokens>;

/// The alert of a report; `None` where there is nothing to report. It names no single token, so nothing is ever revoked for it. `noticed`: the
/// record at which it was time to look.
pub fn alert_of(report: &Report, time: Time, noticed: Option<(Source, u64)>, checks: &Checks) -> Option<Alert> {
    let source = noticed.as_ref().map(|(source, _)| source.clone());
    let findings: Vec<Finding> = report.iter().map(|(condition, tokens)| finding(*condition, tokens, source.as_ref(), checks)).collect();
    let first = findings.first()?;
    let more = match findings.len() {
        1 => String::new(),
        n => format!(" (and {} more finding{})", n - 1, if n > 2 { "s" } else { "" }),
    };
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch inventory v1");
    hasher.update(&time.0.to_le_bytes());
    hasher.update(&noticed.map_or(u64::MAX, |(_, offset)| offset).to_le_bytes());
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(32);
    let summary = format!("{TOKEN}: {}{more}", first.observed);
    let first = findings.first()?.clone();
    Some(Alert {
        detectors: findings.iter().map(|finding| finding.detector.clone()).collect(),
        findings,
        ..Alert::about_log(id, time, TOKEN.to_owned(), summary, first)
    })
}

fn finding(condition: Condition, tokens: &Tokens, source: Option<&Source>, checks: &Checks) -> Finding {
    let days = |period: Option<std::time::Duration>| period.map_or(0, |period| period.as_secs() / 86_400);
    let (what, expected, advice) = match condition {
        Condition::Unknown => (
            "in use and not declared in the inventory",
            "every token that is used is declared".to_owned(),
            "find out who uses them, and declare them or take them away",
        ),
        Condition::NoOwner => {
            ("without an owner", "somebody answers for every token".to_owned(), "add owner = \"...\", so that alerts reach somebody")
        }
        Condition::Expired => (
            "past the declared end and not revoked",
            "what has ended is revoked in the database".to_owned(),
            "renew them, or revoke them in the database and set revoked_at",
        ),
        Condition::NotRotated => (
            "due for rotation",
            "a new secret within the declared period".to_owned(),
            "rotate them and set rotated_at, or declare the new token with successor_of",
        ),
        Condition::Idle => (
            "idle",
            format!("used at least once in {} days", days(checks.idle)),
            "what nobody uses is best revoked; what has to wait says accept = [\"idle\"]",
        ),
        Condition::Shared => (
            "used from many addresses within a week",
            format!("fewer than {} addresses in seven days", checks.shared.unwrap_or_default()),
            "give each program a token of its own; where it is one program in many places, say accept = [\"shared\"]",
        ),
    };
    let noun = if tokens.count == 1 { "token" } else { "tokens" };
    Finding {
        detector: format!("inventory.{}", condition.name()),
        severity: Severity::Low,
        confidence: 90,
        score: 0.0,
        observed: format!("{} {noun} {what}: {}", tokens.count, tokens.list()),
        expected,
        bound: 0.0,
        evidence: source.cloned().into_iter().collect(),
        attack: Vec::new(),
        advice: format!("{advice}; `tokenwatch tokens list --finding {}` lists them", condition.name()),
        behaviour: Vec::new(),
        weight: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_hundred_tokens_are_one_message() {
        let mut report = Report::new();
        for n in 0..500 {
            report.entry(Condition::Unknown).or_default().add(format!("svc{n:03}"), "first seen 2026-11-01".to_owned());
        }
        report.entry(Condition::Idle).or_default().add("old".to_owned(), "never used".to_owned());
        let alert = alert_of(&report, Time(0), None, &Checks::default()).unwrap();
        assert_eq!(alert.detectors, ["inventory.unknown", "inventory.idle"]);
        let text = &alert.findings[0].observed;
        assert!(text.starts_with("500 tokens in use and not declared in the inventory: svc000 (first seen 2026-11-01), svc001"), "{text}");
        assert!(text.ends_with("svc019 (first seen 2026-11-01), and 480 more"), "{text}");
        assert_eq!(alert.findings[1].observed, "1 token idle: old (never used)");
        assert!(alert.summary.ends_with("(and 1 more finding)"), "{}", alert.summary);
        assert!(alert_of(&Report::new(), Time(0), None, &Checks::default()).is_none());
    }
}
