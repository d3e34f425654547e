//! Statements that this token never sent, and statements that fail.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::fleet::Thing;
use crate::baseline::unit::{Feature, Unit};
use crate::baseline::{Class, class_of};
use crate::event::{Kind, Outcome};
use crate::severity::Severity;

pub const NEW_STATEMENT: Detector =
    Detector { name: "new_statement", about: "statements that the token never sent", level: new_statement, find: find_statement };

pub const ERRORS: Detector = Detector { name: "errors", about: "new statements that fail", level: errors, find: find_errors };

/// 1: its skeleton is known to the token, or the statement to three tokens; 2: three others send the skeleton; 3: somebody does;
/// 4: nobody does. Many new ones in a day are at least 2, very many 3. A new
/// definition (CREATE, ALTER) is never more than 2.
fn new_statement(case: &Case<'_>, unit: &mut Unit) -> u8 {
    let (Some(shape), Some(skeleton)) = (case.seen.shape, case.seen.skeleton) else { return 0 };
    let ran = matches!(case.seen.kind, Kind::Query | Kind::Error) && case.seen.outcome != Outcome::Denied;
    let day = case.day();
    if !ran || case.baseline.shapes.is_empty() || case.baseline.shapes.known(shape, day) {
        return 0;
    }
    if !case.met(&case.baseline.shapes, shape) {
        unit.new_shapes = unit.new_shapes.saturating_add(1);
    }
    // What a definition is worth, `new_operation` says.
    let most = if matches!(class_of(case.seen), Some(Class::Definition)) { 2 } else { 4 };
    let many = match unit.new_shapes {
        40.. => 3,
        8.. => 2,
        _ => 0,
    };
    let others = case.fleet.users(Thing::Skeleton, skeleton.0);
    let level = if case.fleet.users(Thing::Shape, shape.0) >= 3 || case.baseline.skeletons.known(skeleton, day) {
        1
    } else if others >= 3 {
        2
    } else if others > 0 {
        3
    } else {
        4
    };
    level.max(many).min(most)
}

fn errors(case: &Case<'_>, unit: &mut Unit) -> u8 {
    let new = case.seen.shape.is_some_and(|shape| !case.baseline.shapes.known(shape, case.day()));
    if case.seen.outcome == Outcome::Error && new {
        unit.errors = unit.errors.saturating_add(1);
    }
    match unit.errors {
        12.. => 4,
        6.. => 3,
        3.. => 2,
        1.. => 1,
        0 => 0,
    }
}

fn find_statement(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    let unheard_of = unit.levels.get(Feature::Shape as usize) == Some(&4);
    let fact = Fact::NewStatement { count: unit.new_shapes.max(1), unheard_of };
    let severity = if unheard_of { Severity::Medium } else { Severity::Low };
    Some(case.finding("new_statement", severity, 45, 0.0, fact).with_attack(&["T1213.006"]))
}

fn find_errors(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    Some(case.finding("errors", Severity::Low, 40, 0.0, Fact::Errors { count: unit.errors }).with_attack(&["T1190"]))
}
