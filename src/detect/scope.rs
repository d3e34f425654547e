//! An operation on an object that this token never used.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::usual::Standing;
use crate::baseline::{Reported, hazard, scope_key, scope_object};
use crate::event::{Kind, Operation, Outcome};
use crate::severity::Severity;

pub const NEW_SCOPE: Detector =
    Detector { name: "new_scope", about: "an operation on an object that the token never used", judge: new_scope };

fn new_scope(case: &Case<'_>, reported: &mut Reported) -> Option<Finding> {
    if !case.judged() || case.seen.kind != Kind::Query || case.seen.outcome == Outcome::Denied || case.baseline.scopes.is_empty() {
        return None;
    }
    let known = &case.baseline.scopes;
    // The strongest of the new scopes of this statement: a new object before a new operation on a known one.
    let (scope, object_known) = case
        .seen
        .scopes
        .iter()
        .filter(|scope| known.standing(scope_key(**scope), case.day()) == Standing::Novel)
        .map(|scope| (*scope, known.iter().any(|e| scope_object(e.key) == scope.object)))
        .min_by_key(|(_, object_known)| *object_known)?;
    let bound = case.baseline.new_scope.probability(hazard::SCOPE);
    if bound > case.settings.gate {
        return None;
    }
    let (severity, confidence) = match (object_known, scope.operation) {
        (true, Operation::Select) => (Severity::Low, 30),
        (true, _) => (Severity::Medium, 40),
        (false, _) => (Severity::Medium, 55),
    };
    reported.scope = true;
    let fact = Fact::NewScope { operation: scope.operation, object: scope.object, object_known, usual: known.top(3) };
    Some(case.finding("new_scope", severity, confidence, bound, fact).with_attack(&["T1213.006"]))
}
