//! Far more queries, or rows, in an hour than ever before, or queries in ten minutes.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::unit::{Feature, Unit};
use crate::event::Kind;
use crate::severity::Severity;

pub const RATE: Detector = Detector { name: "rate", about: "far more queries or rows in an hour than ever before", level, find };

/// Factors over the busiest hour, and over the busiest ten minutes, of the last active days, for levels 1 to 4.
const FACTORS: [(f64, f64); 4] = [(1.5, 2.0), (2.2, 3.0), (4.0, 6.0), (9.0, 15.0)];

/// Fewer queries than this in that time are never many.
const LEAST: u32 = 20;

/// Fewer rows than this in an hour are never many.
const LEAST_ROWS: u32 = 5_000;

fn by_queries(case: &Case<'_>) -> u8 {
    let volume = &case.baseline.volume;
    let (hour, ten) = (volume.hour.factor(), volume.ten_minutes.factor());
    let count = |by_hour, by_ten| {
        let hour = volume.hour.count >= LEAST && hour >= by_hour;
        hour || volume.ten_minutes.count >= LEAST && ten >= by_ten
    };
    FACTORS.iter().filter(|(by_hour, by_ten)| count(*by_hour, *by_ten)).count() as u8
}

/// Rows vary more from day to day than queries do: as strange as ten minutes of queries.
fn by_rows(case: &Case<'_>) -> u8 {
    let rows = &case.baseline.volume.rows;
    let factor = if rows.count >= LEAST_ROWS { rows.factor() } else { 0.0 };
    FACTORS.iter().filter(|(_, by_ten)| factor >= *by_ten).count() as u8
}

fn level(case: &Case<'_>, _: &mut Unit) -> u8 {
    if case.seen.kind == Kind::Query { by_queries(case).max(by_rows(case)) } else { 0 }
}

fn find(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    let volume = &case.baseline.volume;
    let severity =
        if unit.levels.get(Feature::Volume as usize).is_some_and(|level| *level >= 3) { Severity::Medium } else { Severity::Low };
    let fact = if by_rows(case) > by_queries(case) {
        Fact::Rows { rows: volume.rows.count, record: volume.rows.record() }
    } else {
        Fact::Rate { count: volume.hour.count, record: volume.hour.record() }
    };
    Some(case.finding("rate", severity, 50, 0.0, fact).with_attack(&["T1213.006"]))
}
