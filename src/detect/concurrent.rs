//! Use from two places at once.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::network::{Prefix, is_internal, prefix_of};
use crate::baseline::unit::Unit;
use crate::event::Time;
use crate::severity::Severity;

pub const CONCURRENT_USE: Detector = Detector { name: "concurrent_use", about: "used from two places within ten minutes", level, find };

/// The other known network that was used within ten minutes, the farthest first, with how far it is.
fn other(case: &Case<'_>) -> Option<(Prefix, u8)> {
    let here = prefix_of(case.seen.network?);
    let (known, day) = (&case.baseline.networks, case.day());
    let elsewhere = known.iter().map(|e| e.key).filter(|prefix| {
        *prefix != here && case.baseline.recent.within(*prefix, case.seen.time, 10 * Time::MINUTE) && known.known(*prefix, day)
    });
    elsewhere.map(|prefix| (prefix, far(here, prefix))).max_by_key(|(prefix, far)| (*far, *prefix))
}

/// 1: both inside; 2: both outside and near; 3: both outside; 4: one inside, one outside.
fn far(one: Prefix, other: Prefix) -> u8 {
    match (is_internal(one.network()), is_internal(other.network())) {
        (true, true) => 1,
        (false, false) if one.0 >> 16 == other.0 >> 16 => 2,
        (false, false) => 3,
        _ => 4,
    }
}

fn level(case: &Case<'_>, _: &mut Unit) -> u8 {
    other(case).map_or(0, |(_, far)| far)
}

fn find(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let (other, _) = other(case)?;
    Some(case.finding("concurrent_use", Severity::Medium, 50, 0.0, Fact::Concurrent { other }).with_attack(&["T1078"]))
}
