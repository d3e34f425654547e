//! More, all of a sudden, of what an alert reported and nobody has dismissed. A thief who comes a little every day makes what he does usual; the
//! alert of his first day may lie unread when he takes everything.

use super::{Case, Fact, Finding};
use crate::baseline::Baseline;
use crate::baseline::aftermath::Growth;
use crate::event::{Kind, Outcome};
use crate::observation::Observation;
use crate::severity::Severity;

/// Counts a use of what was reported within the last weeks: from the network, with the client, by the statement or on the object that was new then.
pub fn note(baseline: &mut Baseline, seen: &Observation, day: u16) -> Option<Growth> {
    let ran = seen.acting && matches!(seen.kind, Kind::Query | Kind::Error) && seen.outcome != Outcome::Denied;
    if !ran || !baseline.aftermath.lasts(day) || !baseline.suspects(seen, day) {
        return None;
    }
    baseline.aftermath.note(day)
}

/// What is to be said of it.
pub fn find(case: &Case<'_>, growth: Growth) -> Finding {
    case.finding("escalation", Severity::High, 60, 0.0, Fact::Escalation(growth)).with_attack(&["T1078"])
}
