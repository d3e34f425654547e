//! Declared limits of the inventory: they need no learning, and they are outside the budget of false alerts.

use super::{Case, Fact, Finding, excuse};
use crate::event::Time;
use crate::observation::Violations;
use crate::severity::Severity;

/// One declared limit: its bit, the name of its detector, how bad it is, and the ATT&CK technique it points to.
struct Limit {
    bit: Violations,
    detector: &'static str,
    severity: Severity,
    confidence: u8,
    attack: &'static str,
}

const LIMITS: [Limit; 6] = [
    Limit { bit: Violations::CANARY, detector: "policy.canary", severity: Severity::Critical, confidence: 99, attack: "T1078" },
    Limit { bit: Violations::REVOKED, detector: "policy.revoked", severity: Severity::Critical, confidence: 99, attack: "T1078" },
    Limit { bit: Violations::NETWORK, detector: "policy.network", severity: Severity::High, confidence: 95, attack: "T1078" },
    Limit { bit: Violations::EXPIRED, detector: "policy.expired", severity: Severity::High, confidence: 95, attack: "T1078" },
    Limit { bit: Violations::SCOPE, detector: "policy.scope", severity: Severity::High, confidence: 90, attack: "T1213.006" },
    Limit { bit: Violations::HOURS, detector: "policy.hours", severity: Severity::Medium, confidence: 80, attack: "T1078" },
];

/// One finding for each limit that this event breaks and that was not reported within the group window.
pub fn judge(case: &Case<'_>, out: &mut Vec<Finding>) {
    if case.seen.violations.is_empty() || !case.seen.acting {
        return;
    }
    for (limit, quiet) in LIMITS.iter().zip(case.baseline.policy_quiet.as_deref().copied().unwrap_or(NEVER)) {
        if !case.seen.violations.contains(limit.bit) || case.seen.time < quiet {
            continue;
        }
        let key = excuse::policy(limit.detector, limit.bit, case.seen);
        if !case.baseline.excuses(key) {
            let found = case.finding(limit.detector, limit.severity, limit.confidence, 0.0, Fact::Policy(limit.bit));
            out.push(found.with_attack(&[limit.attack]).with_keys([key]));
        }
    }
}

/// Quiet times where nothing was reported yet.
pub const NEVER: [Time; 6] = [Time(i64::MIN); 6];

/// Index of a limit's quiet time.
pub fn index_of(bit: Violations) -> Option<usize> {
    LIMITS.iter().position(|limit| limit.bit == bit)
}
