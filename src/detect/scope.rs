//! Operations and objects that this token never used.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::fleet::Thing;
use crate::baseline::unit::{Feature, Unit};
use crate::baseline::usual::Entry;
use crate::baseline::{Class, class_of, scope_key, scope_object, scope_operation, short_scope};
use crate::event::{Kind, Operation, Outcome};
use crate::observation::Violations;
use crate::severity::Severity;

pub const NEW_SCOPE: Detector =
    Detector { name: "new_scope", about: "operations on objects that the token never used", level: new_scope, find: find_scope };

pub const NEW_OPERATION: Detector =
    Detector { name: "new_operation", about: "a kind of operation that the token never used", level: new_operation, find: find_operation };

pub const SENSITIVE: Detector =
    Detector { name: "sensitive_object", about: "a first look at an object that sounds sensitive", level: sensitive, find: find_sensitive };

fn ran(case: &Case<'_>) -> bool {
    case.seen.kind == Kind::Query && case.seen.outcome != Outcome::Denied
}

/// New scopes weigh 1 where three tokens use them, 2 where any does, 3 where nobody does, a third of that on a known object.
fn new_scope(case: &Case<'_>, unit: &mut Unit) -> u8 {
    if !ran(case) {
        return 0;
    }
    let known = &case.baseline.scopes;
    let declared = case.seen.kept.contains(Violations::SCOPE) && !case.seen.catalog;
    for scope in &case.seen.scopes {
        let key = scope_key(*scope);
        if case.met(known, key) {
            continue;
        }
        let weight = match case.fleet.users(Thing::Scope, short_scope(key)) {
            3.. => 1.0,
            1.. => 2.0,
            0 => 3.0,
        };
        let learned = |e: &Entry<u128>| case.baseline.pinned().is_none_or(|pinned| e.known(pinned));
        let object_known = known.iter().any(|e| scope_object(e.key) == scope.object && learned(e));
        unit.new_scopes += match scope.operation {
            // Whatever is created is new to everybody.
            Operation::Create => weight / 4.0,
            // Its owner has said that it may come to this.
            _ if declared => weight / 4.0,
            _ if object_known => weight / 3.0,
            _ => weight,
        };
        unit.scope = key;
    }
    match unit.new_scopes {
        12.0.. => 4,
        6.0.. => 3,
        3.0.. => 2,
        1.0.. => 1,
        _ => 0,
    }
}

fn new_operation(case: &Case<'_>, _: &mut Unit) -> u8 {
    let Some(class) = class_of(case.seen).filter(|_| ran(case)) else { return 0 };
    // On a first day that is judged already, what was used until now is known.
    let first_day = case.baseline.active_days <= 1 && case.baseline.classes.get(class as usize).is_some_and(|day| *day > 0);
    if case.baseline.used(class) || first_day {
        return 0;
    }
    let level = match class {
        Class::Read => 0,
        Class::Change => 1,
        Class::Definition => 2,
        // Who reads catalogs or defines tables administers anyway.
        Class::Privilege if case.baseline.used(Class::Catalog) || case.baseline.used(Class::Definition) => 1,
        Class::Catalog | Class::Privilege => 3,
        Class::Bulk | Class::Removal => 4,
    };
    // What half of those do who do anything is not telling.
    if case.fleet.users(Thing::Operation, class as u64) * 2 >= case.fleet.users(Thing::Operation, Class::Read as u64).max(6) {
        u8::max(level, 1) - 1
    } else {
        level
    }
}

fn sensitive(case: &Case<'_>, _: &mut Unit) -> u8 {
    if !case.seen.sensitive || !ran(case) || !matches!(case.seen.operation, Operation::Select | Operation::Copy) {
        return 0;
    }
    let known = &case.baseline.scopes;
    let new = case.seen.scopes.iter().map(|scope| scope_key(*scope)).find(|key| !known.known(*key, case.day()));
    match new.map(|key| case.fleet.users(Thing::Scope, short_scope(key))) {
        None => 0,
        Some(3..) => 3,
        Some(_) => 4,
    }
}

fn find_scope(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    let known = &case.baseline.scopes;
    let (operation, object) = (scope_operation(unit.scope), scope_object(unit.scope));
    let day = case.day();
    let object_known = known.iter().any(|e| (e.first_day < day || e.accepted()) && scope_object(e.key) == object);
    let (severity, confidence) = match (object_known, operation) {
        (true, Operation::Select) => (Severity::Low, 30),
        (true, _) => (Severity::Medium, 40),
        (false, _) => (Severity::Medium, 55),
    };
    let fact = Fact::NewScope { operation, object, object_known, usual: known.top_before(day, 3) };
    Some(case.finding("new_scope", severity, confidence, 0.0, fact).with_attack(&["T1213.006"]))
}

fn find_operation(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    let high = unit.levels.get(Feature::Operation as usize).is_some_and(|level| *level >= 3);
    // The score may have come above the threshold by a later event than the new operation.
    let now = class_of(case.seen).filter(|class| !case.baseline.used(*class));
    let today = || Class::ALL.iter().rev().map(|(_, class)| *class).find(|class| case.baseline.new_today(*class));
    let fact = Fact::NewOperation { class: now.or_else(today)?, earlier: now.is_none() };
    Some(case.finding("new_operation", if high { Severity::Medium } else { Severity::Low }, 45, 0.0, fact).with_attack(&["T1213.006"]))
}

fn find_sensitive(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let object = case.seen.scopes.first()?.object;
    Some(case.finding("sensitive_object", Severity::Medium, 50, 0.0, Fact::Sensitive { object }).with_attack(&["T1213.006"]))
}
