//! Use from two places at once, or so soon one after the other that nobody gets there in between.

use super::network::{origin, trusted, young};
use super::{Case, Detector, Fact, Finding, Travel};
use crate::baseline::network::{Prefix, is_internal, prefix_of};
use crate::baseline::unit::Unit;
use crate::event::{Kind, Time};
use crate::severity::Severity;

pub const CONCURRENT_USE: Detector =
    Detector { name: "concurrent_use", about: "used from two places within ten minutes, or faster than anybody travels", level, find };

/// A twentieth of all uses makes a network one of the token's own places. A build machine that comes from anywhere has none, and two at once are its trade.
const LEAST_SHARE: u32 = 20;

/// The other known network that was used within ten minutes, the farthest first, with how far it is.
fn other(case: &Case<'_>) -> Option<(Prefix, u8)> {
    let here = prefix_of(case.seen.network?);
    let (known, day) = (&case.baseline.networks, case.day());
    // A person works from home and from the office, at times within minutes; it is the newer of two places that may be a thief's.
    if known.known(here, day) && !young(case, here) {
        return None;
    }
    let uses: u32 = known.iter().map(|e| u32::from(e.count)).sum();
    let elsewhere = known.iter().filter(|e| {
        !e.is(here)
            && u32::from(e.count).saturating_mul(LEAST_SHARE) >= uses
            && case.baseline.recent.within(e.key, case.seen.time, 10 * Time::MINUTE)
            && e.known(day)
    });
    elsewhere.map(|e| (e.key, far(here, e.key))).max_by_key(|(prefix, far)| (*far, *prefix))
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

/// Shorter journeys are within the error of the files that say where addresses are.
const LEAST_KM: f64 = 300.0;
/// Faster than this is no airliner, in km/h: level 2, and levels 3 and 4 by how much faster.
const IMPOSSIBLE: f64 = 1000.0;
const TWICE: u32 = 2000;
const FIVEFOLD: u32 = 5000;
/// Seconds in which anybody gets anywhere at that speed.
const LONGEST: u32 = 20_100 * 3600 / 1000;

/// The fastest journey from another known network to this one that would have been needed. From a network that the token is known to use none is:
/// the way out of a VPN or a cloud lies far from whoever uses it, and it stays where it is.
fn travel(case: &Case<'_>, unit: &Unit) -> Option<(Prefix, Travel)> {
    let (network, origins) = (case.seen.network?, &case.settings.origins);
    let prefix = prefix_of(network);
    if origins.is_empty() || is_internal(network) || trusted(case, unit, prefix) {
        return None;
    }
    let (known, day) = (&case.baseline.networks, case.day());
    let before = known.iter().map(|e| e.key).filter(|other| *other != prefix).filter_map(|other| {
        let seconds = case.baseline.recent.apart(other, case.seen.time).filter(|seconds| *seconds <= LONGEST)?;
        known.known(other, day).then_some((other, seconds))
    });
    let mut before = before.peekable();
    before.peek()?;
    let here = origin(origins, network);
    let place = here.location?;
    let journeys = before.filter_map(|(other, seconds)| {
        let there = origin(origins, other.network());
        // Two machines of one provider are no traveller.
        if here.hosting && there.hosting && here.same_system(&there) == Some(true) {
            return None;
        }
        let km = place.apart_km(&there.location?);
        // Clocks differ by seconds.
        let minutes = seconds.div_ceil(60).max(1);
        let speed = km / f64::from(minutes) * 60.0;
        (km > LEAST_KM && speed > IMPOSSIBLE).then_some((other, Travel { km: km as u32, minutes, km_per_hour: speed as u32 }))
    });
    journeys.max_by_key(|(other, travel)| (travel.km_per_hour, *other))
}

fn impossible(travel: Travel) -> u8 {
    match travel.km_per_hour {
        FIVEFOLD.. => 4,
        TWICE.. => 3,
        _ => 2,
    }
}

fn level(case: &Case<'_>, unit: &mut Unit) -> u8 {
    // A session that was left open in the office ends while its owner works at home.
    if case.seen.kind == Kind::Logout {
        return 0;
    }
    let at_once = other(case).map_or(0, |(_, far)| far);
    at_once.max(travel(case, unit).map_or(0, |(_, travel)| impossible(travel)))
}

fn find(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    let (severity, confidence, fact) = match travel(case, unit) {
        Some((other, travel)) => (Severity::High, 70, Fact::Concurrent { other, travel: Some(travel) }),
        None => (Severity::Medium, 50, Fact::Concurrent { other: other(case)?.0, travel: None }),
    };
    Some(case.finding("concurrent_use", severity, confidence, 0.0, fact).with_attack(&["T1078"]))
}
