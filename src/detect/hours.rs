//! Use at an hour far from every hour that is usual for this token.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::Baseline;
use crate::baseline::unit::Unit;
use crate::observation::Violations;
use crate::severity::Severity;

pub const UNUSUAL_HOUR: Detector =
    Detector { name: "unusual_hour", about: "used hours away from the usual hours of the token", level, find };

/// A token active in more hours than this has no usual hours.
const MOST_USUAL_HOURS: u32 = 16;

/// Active days before hours mean anything.
const LEAST_DAYS: u16 = 5;

/// Hours of the day on which the token was used before, a bit each.
pub(super) fn usual(baseline: &Baseline) -> u32 {
    // Hours of today are counted already: they are not what was usual before.
    let today = baseline.hours_today;
    let days = |at: usize, days: u8| days.saturating_sub(u8::from(today & (1 << at) != 0));
    baseline.hours.iter().enumerate().filter(|(at, n)| days(*at, **n) > 0).fold(0, |bits, (at, _)| bits | 1 << at)
}

fn level(case: &Case<'_>, _: &mut Unit) -> u8 {
    if case.seen.kept.contains(Violations::HOURS) {
        return 0;
    }
    let usual = usual(case.baseline);
    if case.baseline.active_days < LEAST_DAYS || usual == 0 || usual.count_ones() > MOST_USUAL_HOURS {
        return 0;
    }
    let hour = i32::from(case.seen.time.hour());
    let distance = (0..24).filter(|h| usual & (1 << h) != 0).map(|h| circular(h, hour)).min().unwrap_or(0);
    match distance {
        6.. => 4,
        4.. => 3,
        3 => 2,
        2 => 1,
        _ => 0,
    }
}

fn find(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let fact = Fact::UnusualHour { hour: case.seen.time.hour(), usual: usual(case.baseline) };
    Some(case.finding("unusual_hour", Severity::Low, 35, 0.0, fact).with_attack(&["T1078"]))
}

fn circular(a: i32, b: i32) -> i32 {
    let apart = (a - b).abs();
    apart.min(24 - apart)
}
