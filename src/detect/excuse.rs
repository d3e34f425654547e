//! Excuses: fingerprints of behaviour that a person has dismissed an alert for. Networks, clients, scopes and statements are not among them:
//! those become usual values of the baseline. What a baseline has no memory of (a broken limit, a rule, an hour, denied objects) is remembered
//! as an excuse ([`crate::baseline::care`]), and is no reason for an alert any more.

use smallvec::SmallVec;

use super::{Case, DETECTORS, RuleLimits, hours};
use crate::baseline::class_of;
use crate::baseline::network::prefix_of;
use crate::baseline::unit::{Feature, Unit};
use crate::observation::{Observation, Violations};
use crate::token::WordId;

/// 64 bits of BLAKE3, the same on every host.
fn key(about: &str, what: &[u64]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch excuse v1");
    hasher.update(about.as_bytes());
    for part in what {
        hasher.update(&part.to_le_bytes());
    }
    let mut out = [0; 8];
    hasher.finalize_xof().fill(&mut out);
    u64::from_le_bytes(out)
}

fn place(seen: &Observation) -> u64 {
    seen.network.map_or(0, |network| prefix_of(network).short())
}

/// What was done: the statement, or the operations and objects where there is none.
fn act(seen: &Observation) -> impl Iterator<Item = u64> {
    let scopes = seen.scopes.iter().filter(|_| seen.shape.is_none()).flat_map(|scope| [scope.operation as u64, scope.object.0]);
    seen.shape.map(|shape| shape.0).into_iter().chain(scopes)
}

/// A declared limit, broken in the same way: from the same network, at the same hour, by the same statement.
pub fn policy(detector: &str, limit: Violations, seen: &Observation) -> u64 {
    let mut what: SmallVec<[u64; 8]> = SmallVec::from_slice(&[place(seen)]);
    match limit {
        Violations::HOURS => what.push(u64::from(seen.time.hour())),
        Violations::SCOPE | Violations::CANARY => what.extend(act(seen)),
        _ => {}
    }
    key(detector, &what)
}

/// A rule, met in the same way: from the same network, and by the same statement where the rule looks at one and does not count.
pub fn rule(rule: &RuleLimits, seen: &Observation) -> u64 {
    let counts = rule.steps.len() > 1 || rule.steps.iter().any(|step| step.threshold.is_some());
    let what: SmallVec<[u64; 8]> = std::iter::once(place(seen)).chain(act(seen).filter(|_| !counts)).collect();
    key(&rule.id, &what)
}

/// A refused object.
pub fn denied(object: WordId) -> u64 {
    key("denied", &[object.0])
}

/// Features of which a level is excused as such, and the lower ones with it.
fn by_level(at: usize) -> bool {
    [Feature::Volume, Feature::Errors, Feature::Dormant].iter().any(|feature| *feature as usize == at)
}

/// What the detector at this place of the table would find again; `None` where a set of usual values knows.
fn behaviour(at: usize, case: &Case<'_>) -> Option<u64> {
    let is = |feature: Feature| at == feature as usize;
    if is(Feature::Hour) {
        Some(u64::from(case.seen.time.hour()))
    } else if is(Feature::Operation) {
        class_of(case.seen).map(|class| class as u64)
    } else if is(Feature::Concurrent) {
        Some(place(case.seen))
    } else if is(Feature::Shape) {
        case.seen.shape.map(|shape| shape.0)
    } else {
        None
    }
}

fn name(at: usize) -> &'static str {
    DETECTORS.get(at).map_or("", |detector| detector.name)
}

/// A level above 0 of the detector at this place that counts as 0.
pub fn excused(at: usize, level: u8, case: &Case<'_>) -> bool {
    if case.baseline.care.is_none() {
        return false;
    }
    if by_level(at) {
        return (level..=4).any(|level| case.baseline.excuses(key(name(at), &[u64::from(level)])));
    }
    behaviour(at, case).is_some_and(|what| case.baseline.excuses(key(name(at), &[what])))
}

/// The keys of a finding of the detector at this place. Of a unit that was strange for long before it was alerted, what was seen until now counts too.
pub fn keys(at: usize, case: &Case<'_>, unit: &Unit) -> SmallVec<[u64; 2]> {
    if at == Feature::Denied as usize {
        return unit.denied.iter().map(|object| denied(*object)).collect();
    }
    if by_level(at) {
        return unit.levels.get(at).map(|level| key(name(at), &[u64::from(*level)])).into_iter().collect();
    }
    let mut what: SmallVec<[u64; 4]> = behaviour(at, case).into_iter().collect();
    if at == Feature::Hour as usize {
        let unusual = case.baseline.hours_today & !hours::usual(case.baseline);
        what.extend((0..24).filter(|hour| unusual & (1 << hour) != 0));
    } else if at == Feature::Operation as usize {
        what.extend((0..8).filter(|class| case.baseline.new_classes & (1 << class) != 0));
    }
    what.sort_unstable();
    what.dedup();
    what.into_iter().map(|what| key(name(at), &[what])).collect()
}
