//! More, all of a sudden, of what an alert reported and nobody has dismissed. A thief who comes a little every day makes what he does usual; the
//! alert of his first day may lie unread when he takes everything.

use super::{Case, Fact, Finding};
use crate::baseline::aftermath::Growth;
use crate::event::{Kind, Outcome};
use crate::severity::Severity;

/// The event is a use of what was reported within the last weeks: from the network, with the client, by the statement or on the object that was new then.
pub fn suspected(case: &Case<'_>) -> bool {
    let (baseline, seen) = (case.baseline, case.seen);
    seen.acting
        && matches!(seen.kind, Kind::Query | Kind::Error)
        && seen.outcome != Outcome::Denied
        && baseline.suspects(seen, crate::baseline::day_of(seen.time).max(baseline.day))
}

/// What is to be said of it.
pub fn find(case: &Case<'_>, growth: Growth) -> Finding {
    case.finding("escalation", Severity::High, 60, 0.0, Fact::Escalation(growth)).with_attack(&["T1078"])
}
