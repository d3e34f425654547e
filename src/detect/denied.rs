//! Objects that the token was refused.

use super::{Case, Detector, Fact, Finding, excuse};
use crate::baseline::unit::{MOST_DENIED, Unit};
use crate::event::{Kind, Outcome};
use crate::severity::Severity;

pub const DENIED: Detector = Detector { name: "denied", about: "objects that the token was refused", level, find };

fn level(case: &Case<'_>, unit: &mut Unit) -> u8 {
    if case.seen.kind == Kind::Denied || case.seen.kind == Kind::Query && case.seen.outcome == Outcome::Denied {
        for scope in &case.seen.scopes {
            let excused = case.baseline.excuses(excuse::denied(scope.object));
            if unit.denied.len() < MOST_DENIED && !unit.denied.contains(&scope.object) && !excused {
                unit.denied.push(scope.object);
            }
        }
    }
    match unit.denied.len() {
        7.. => 4,
        4.. => 3,
        2.. => 2,
        1 => 1,
        0 => 0,
    }
}

fn find(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    let objects = u32::try_from(unit.denied.len()).unwrap_or(u32::MAX);
    Some(case.finding("denied", Severity::Medium, 50, 0.0, Fact::Denied { objects }).with_attack(&["T1213.006"]))
}
