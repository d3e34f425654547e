//! Far more queries in one hour than ever before.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::{Reported, hazard};
use crate::event::Kind;
use crate::severity::Severity;

pub const RATE: Detector = Detector { name: "rate", about: "far more queries in an hour than ever before", judge: rate };

/// Factor over the busiest hour so far.
const FACTOR: u32 = 6;

/// Fewer queries in an hour than this are never a flood.
const LEAST: u32 = 200;

fn rate(case: &Case<'_>, reported: &mut Reported) -> Option<Finding> {
    let rate = case.baseline.rate;
    if !case.judged() || case.seen.kind != Kind::Query || rate.reported || rate.record == 0 {
        return None;
    }
    if rate.count < LEAST || rate.count < rate.record.saturating_mul(FACTOR) {
        return None;
    }
    let bound = case.baseline.new_rate.probability(hazard::RATE);
    if bound > case.settings.gate {
        return None;
    }
    reported.rate = true;
    let fact = Fact::Rate { count: rate.count, record: rate.record };
    Some(case.finding("rate", Severity::Medium, 50, bound, fact).with_attack(&["T1213.006"]))
}
