//! Use at an hour far from every hour that is usual for this token.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::{Reported, hazard};
use crate::event::Time;
use crate::severity::Severity;

pub const UNUSUAL_HOUR: Detector =
    Detector { name: "unusual_hour", about: "used hours away from the usual hours of the token", judge: unusual_hour };

/// A token active in more hours than this has no usual hours.
const MOST_USUAL_HOURS: u32 = 16;

/// Hours between the unusual hour and the nearest usual one.
const FAR: i32 = 3;

/// Active days before hours mean anything.
const LEAST_DAYS: u16 = 5;

fn unusual_hour(case: &Case<'_>, reported: &mut Reported) -> Option<Finding> {
    if !case.judged() || case.baseline.active_days < LEAST_DAYS {
        return None;
    }
    let hour = case.seen.time.hour();
    let used = case.baseline.hours;
    let usual = used.iter().enumerate().filter(|(_, days)| **days > 0).fold(0u32, |bits, (h, _)| bits | 1 << h);
    let this_hour = case.seen.time.0.div_euclid(Time::HOUR);
    if usual == 0 || usual.count_ones() > MOST_USUAL_HOURS || usual & (1 << hour) != 0 || case.baseline.hour_reported == this_hour {
        return None;
    }
    let distance = (0..24).filter(|h| usual & (1 << h) != 0).map(|h| circular(h, i32::from(hour))).min()?;
    let bound = case.baseline.new_hour.probability(hazard::HOUR);
    if distance < FAR || bound > case.settings.gate {
        return None;
    }
    reported.hour = true;
    Some(case.finding("unusual_hour", Severity::Low, 35, bound, Fact::UnusualHour { hour, usual }).with_attack(&["T1078"]))
}

fn circular(a: i32, b: i32) -> i32 {
    let apart = (a - b).abs();
    apart.min(24 - apart)
}
