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

fn in_an_hour(case: &Case<'_>) -> u8 {
    let hour = &case.baseline.volume.hour;
    let factor = if hour.count >= LEAST { hour.factor() } else { 0.0 };
    FACTORS.iter().filter(|(by_hour, _)| factor >= *by_hour).count() as u8
}

fn in_ten_minutes(case: &Case<'_>) -> u8 {
    let ten = &case.baseline.volume.ten_minutes;
    let factor = if ten.count >= LEAST { ten.factor() } else { 0.0 };
    FACTORS.iter().filter(|(_, by_ten)| factor >= *by_ten).count() as u8
}

fn by_queries(case: &Case<'_>) -> u8 {
    in_an_hour(case).max(in_ten_minutes(case))
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
        Fact::Rows { rows: volume.rows.count, record: volume.rows.record(), chance: volume.rows.chance() }
    } else if in_ten_minutes(case) > in_an_hour(case) {
        let ten = &volume.ten_minutes;
        Fact::Rate { minutes: 10, count: ten.count, record: ten.record(), chance: ten.chance() }
    } else {
        let hour = &volume.hour;
        Fact::Rate { minutes: 60, count: hour.count, record: hour.record(), chance: hour.chance() }
    };
    Some(case.finding("rate", severity, 50, 0.0, fact).with_attack(&["T1213.006"]))
}
