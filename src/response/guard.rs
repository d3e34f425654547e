//! The guard: may this alert revoke its token? A pure function of the alert and what is known at this moment.
//!
//! Most of these rules cannot be configured away, because each closes a way to turn us against our users: whoever can make a token
//! look strange must not thereby be able to switch it off.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::alert::{Alert, Mode, Severity, family};
use crate::config;
use crate::event::Time;

/// An event must be this fresh to act on; also the most by which the clock of a log may run ahead. Microseconds.
pub const FRESH: i64 = 5 * Time::MINUTE;

/// The rules of one responder.
#[derive(Debug, Clone)]
pub struct Guard {
    pub name: String,
    pub enforce: bool,
    min_severity: Severity,
    min_confidence: u8,
    never: GlobSet,
    budget_per_hour: u32,
}

/// What is known at the moment of the decision, beside the alert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Context {
    pub now: Time,
    /// The alert comes of old logs, not of what happens now.
    pub replayed: bool,
    /// A person has stopped all responses.
    pub halted: bool,
    /// Actions that this responder has decided within the last hour.
    pub spent: u32,
}

/// What the guard says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send the request. The text says on what grounds.
    Act(String),
    /// All rules are kept, but the responder only simulates. The text says on what grounds.
    Simulate(String),
    Refuse(Refusal),
}

/// Why nothing is done. The text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("its severity is below the responder's min_severity")]
    Severity,
    #[error("its confidence is below the responder's min_confidence")]
    Confidence,
    #[error("the token is on the responder's never list")]
    Never,
    #[error("all responses are stopped by a person")]
    Halted,
    #[error("it comes of a replay of old logs")]
    Replayed,
    #[error("the event is older than 5 minutes")]
    Stale,
    #[error("the event lies more than 5 minutes in the future; compare the clocks of the log's host and of this one")]
    Future,
    #[error("the format of the log can be forged by clients; use csvlog, jsonlog or an audit log to allow revocation")]
    Forgeable,
    #[error("it rests on records in which the server did not verify the token, such as refused logins")]
    Unauthenticated,
    #[error("the token is still learning and none of its declared limits was broken")]
    Learning,
    #[error("only one detector speaks of it; a revocation needs two independent ones, or a broken limit")]
    OneWitness,
    #[error("the responder's budget for this hour is spent; revoke by hand if it is right")]
    Budget,
}

impl Refusal {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Refusal::Severity => "severity",
            Refusal::Confidence => "confidence",
            Refusal::Never => "never",
            Refusal::Halted => "halted",
            Refusal::Replayed => "replayed",
            Refusal::Stale => "stale",
            Refusal::Future => "future",
            Refusal::Forgeable => "forgeable",
            Refusal::Unauthenticated => "unauthenticated",
            Refusal::Learning => "learning",
            Refusal::OneWitness => "one_witness",
            Refusal::Budget => "budget",
        }
    }

    /// It was never a question: not worth a word in a notification.
    pub fn is_routine(self) -> bool {
        matches!(self, Refusal::Severity | Refusal::Confidence | Refusal::Replayed)
    }
}

impl Guard {
    /// # Errors
    /// A pattern of the never list cannot be read; the text names it.
    pub fn new(config: &config::Responder) -> Result<Guard, String> {
        let mut never = GlobSetBuilder::new();
        for pattern in &config.never {
            // In doubt protected: the case of a name does not matter.
            let glob = GlobBuilder::new(pattern).case_insensitive(true).build();
            never.add(glob.map_err(|e| format!("responder \"{}\": never: {e}", config.name))?);
        }
        Ok(Guard {
            name: config.name.clone(),
            enforce: config.enforce,
            min_severity: config.min_severity,
            min_confidence: config.min_confidence,
            never: never.build().map_err(|e| format!("responder \"{}\": never: {e}", config.name))?,
            budget_per_hour: config.budget_per_hour,
        })
    }

    /// Decides. Nothing is done here.
    pub fn decide(&self, alert: &Alert, context: &Context) -> Decision {
        match self.refusal(alert, context) {
            Some(refusal) => Decision::Refuse(refusal),
            None if self.enforce => Decision::Act(grounds(alert)),
            None => Decision::Simulate(grounds(alert)),
        }
    }

    fn refusal(&self, alert: &Alert, context: &Context) -> Option<Refusal> {
        let age = context.now.0.saturating_sub(alert.time.0);
        let rules = [
            (alert.severity < self.min_severity, Refusal::Severity),
            (alert.confidence < self.min_confidence, Refusal::Confidence),
            (context.replayed, Refusal::Replayed),
            (self.never.is_match(&alert.token), Refusal::Never),
            (context.halted, Refusal::Halted),
            (age > FRESH, Refusal::Stale),
            (age < -FRESH, Refusal::Future),
            (!alert.tamper_proof, Refusal::Forgeable),
            (!alert.authenticated, Refusal::Unauthenticated),
            (alert.mode == Mode::Learning && broken_limits(alert).is_empty(), Refusal::Learning),
            (broken_limits(alert).is_empty() && witnesses(alert).len() < 2, Refusal::OneWitness),
            (context.spent >= self.budget_per_hour, Refusal::Budget),
        ];
        rules.into_iter().find_map(|(broken, refusal)| broken.then_some(refusal))
    }
}

/// Detectors that prove misuse by themselves: declared limits of the inventory, without any statistics.
fn broken_limits(alert: &Alert) -> BTreeSet<&str> {
    let findings = alert.findings.iter().filter(|f| f.detector.starts_with("policy.") && f.bound == 0.0);
    findings.map(|f| f.detector.as_str()).collect()
}

/// Detectors that speak of it, those that look at the same thing as one. What the client says of itself is no witness: who wants
/// somebody else's token revoked could say it.
fn witnesses(alert: &Alert) -> BTreeSet<&str> {
    alert.findings.iter().map(|f| family(f.detector.as_str())).filter(|witness| *witness != "new_client").collect()
}

/// On what an action rests, in words.
fn grounds(alert: &Alert) -> String {
    let limits = broken_limits(alert);
    if limits.is_empty() {
        let witnesses = witnesses(alert);
        format!("{} independent detectors: {}", witnesses.len(), witnesses.into_iter().collect::<Vec<_>>().join(", "))
    } else {
        format!("a declared limit was broken: {}", limits.into_iter().collect::<Vec<_>>().join(", "))
    }
}
