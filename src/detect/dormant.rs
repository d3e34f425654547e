//! Use after a silence longer than any before.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::unit::Unit;
use crate::severity::Severity;

pub const DORMANT: Detector = Detector { name: "dormant", about: "used again after a silence longer than usual", level, find };

/// The second longest silence: the longest is today's own, if it is that long.
fn longest(case: &Case<'_>) -> u8 {
    let mut silences = case.baseline.silences;
    silences.sort_unstable();
    let [_, _, second, first] = silences;
    if first <= case.baseline.silence { second } else { first }
}

fn level(case: &Case<'_>, _: &mut Unit) -> u8 {
    match case.baseline.silence.saturating_sub(longest(case).max(1)) {
        12.. => 4,
        8.. => 3,
        5.. => 2,
        3.. => 1,
        _ => 0,
    }
}

fn find(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let fact = Fact::Dormant { days: case.baseline.silence, longest: longest(case) };
    Some(case.finding("dormant", Severity::Low, 40, 0.0, fact).with_attack(&["T1078"]))
}
