//! Use from a network, or from an address, that this token never used.

use std::sync::Arc;

use super::{Case, Detector, Fact, Finding};
use crate::baseline::day_of;
use crate::baseline::fleet::Thing;
use crate::baseline::network::{Prefix, is_internal, key, prefix_of};
use crate::baseline::unit::{Feature, Unit};
use crate::identity::origin::{Origin, Origins};
use crate::observation::{Network, Violations};
use crate::severity::Severity;

pub const NEW_NETWORK: Detector =
    Detector { name: "new_network", about: "used from a network or address that the token never used", level, find };

pub const UNPOPULAR_NETWORK: Detector =
    Detector { name: "unpopular_network", about: "a new network that hardly any other token uses", level: unpopular, find: find_unpopular };

/// 1: a new address in a known network, or another internal network; 2: a near public one; 3: a far one; 4: from outside, for a token
/// that only ever worked inside, or from a hosting provider's, for one that never came from there.
fn level(case: &Case<'_>, unit: &mut Unit) -> u8 {
    let Some(network) = case.seen.network else { return 0 };
    let (known, day) = (&case.baseline.networks, case.day());
    if known.is_empty() {
        return 0;
    }
    let prefix = prefix_of(network);
    if trusted(case, unit, prefix) {
        return u8::from(!case.baseline.addresses.known(key(network), day));
    }
    let judged_before = std::mem::replace(&mut unit.new_network, true) && unit.is_of(prefix, case.seen.client);
    // Its owner has said that it comes from there.
    if case.seen.kept.contains(Violations::NETWORK) {
        return 1;
    }
    // Another tunnel's end on the database's own machine: those do not move.
    if matches!(network, Network::Ip(ip) if ip.is_loopback()) {
        return 4;
    }
    let before = || known.iter().filter(|e| e.first_day < day && !e.is(prefix)).map(|e| e.key);
    if is_internal(network) {
        return if before().any(|p| is_internal(p.network())) { 1 } else { 2 };
    }
    if before().all(|p| is_internal(p.network())) {
        return 4;
    }
    // Looking up where the token came from before, at every event of a busy day, would cost more than all the rest.
    if judged_before {
        return unit.levels.get(Feature::Network as usize).copied().unwrap_or_default();
    }
    public(case, network, before())
}

/// The level of a public network, for a token that was used from these before. Where the autonomous systems of both are known, they tell
/// what is near; the same country alone is not: a thief may live anywhere.
fn public(case: &Case<'_>, network: Network, before: impl Iterator<Item = Prefix>) -> u8 {
    let (origins, prefix) = (&case.settings.origins, prefix_of(network));
    let here = origin(origins, network);
    let mut rented = false;
    for known in before {
        let there = origin(origins, known.network());
        if here.same_system(&there).unwrap_or_else(|| near(known, prefix)) {
            return 2;
        }
        rented |= there.hosting;
    }
    if here.hosting && !rented { 4 } else { 3 }
}

/// Where a network's address comes from.
pub(super) fn origin(origins: &Origins, network: Network) -> Arc<Origin> {
    match network {
        Network::Ip(ip) => origins.origin(ip),
        Network::Local | Network::Name(_) => Arc::default(),
    }
}

/// Days for which a network that was learned late is new again as soon as it is used for something strange: whoever slips in slowly
/// must not be trusted for it.
const YOUNG: u16 = 14;

/// The token has it for less than two weeks, and not from its beginning.
pub(super) fn young(case: &Case<'_>, prefix: Prefix) -> bool {
    let first = case.baseline.networks.first_day(prefix);
    case.baseline.pinned().is_none()
        && first.is_some_and(|first| case.day() < first.saturating_add(YOUNG) && first > day_of(case.baseline.first_seen) + 1)
}

/// The network is known, and old enough or used as ever.
pub(super) fn trusted(case: &Case<'_>, unit: &Unit, prefix: Prefix) -> bool {
    let level = |feature: Feature| unit.levels.get(feature as usize).copied().unwrap_or_default();
    let strange = level(Feature::Scope) >= 2 || level(Feature::Operation) >= 3 || level(Feature::Shape) >= 2 || level(Feature::Volume) >= 3;
    case.baseline.networks.known(prefix, case.day()) && !(young(case, prefix) && strange)
}

/// The same /16 (IPv4) or /32 (IPv6).
fn near(one: Prefix, other: Prefix) -> bool {
    let bits = |prefix: Prefix| match prefix.network() {
        Network::Ip(std::net::IpAddr::V4(_)) => prefix.0 >> 16,
        _ => prefix.0 >> 96,
    };
    bits(one) == bits(other)
}

fn unpopular(case: &Case<'_>, unit: &mut Unit) -> u8 {
    let Some(network) = case.seen.network else { return 0 };
    let prefix = prefix_of(network);
    if unit.levels.get(Feature::Network as usize).is_none_or(|level| *level == 0) || trusted(case, unit, prefix) {
        return 0;
    }
    let itself = u32::from(case.baseline.networks.adopted(prefix));
    match case.fleet.users(Thing::Network, prefix.short()).saturating_sub(itself) {
        10.. => 0,
        5.. => 1,
        1.. => 2,
        0 => 3,
    }
}

fn find(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    let network = case.seen.network?;
    let day = case.day();
    if !unit.new_network {
        let fact = Fact::NewAddress { usual: case.baseline.addresses.top_before(day, 3) };
        return Some(case.finding("new_address", Severity::Low, 40, 0.0, fact).with_attack(&["T1078"]));
    }
    let (severity, confidence) = match unit.levels.get(Feature::Network as usize) {
        Some(4) => (Severity::High, 85),
        Some(2 | 3) => (Severity::High, 70),
        _ => (Severity::Medium, 60),
    };
    let mut usual = case.baseline.networks.top_before(day, 4);
    usual.retain(|e| !e.is(prefix_of(network)));
    usual.truncate(3);
    let fact = Fact::NewNetwork { usual, internal: is_internal(network), new_country: new_country(case, network) };
    Some(case.finding("new_network", severity, confidence, 0.0, fact).with_attack(&["T1078"]))
}

/// The token's networks of the days before are of known countries, and this one is of another.
fn new_country(case: &Case<'_>, network: Network) -> bool {
    let (origins, day) = (&case.settings.origins, case.day());
    let Some(here) = origin(origins, network).country else { return false };
    let before = case.baseline.networks.iter().filter(|e| e.first_day < day && !e.is(prefix_of(network)));
    let countries: Vec<_> = before.filter_map(|e| origin(origins, { e.key }.network()).country).collect();
    !countries.is_empty() && !countries.contains(&here)
}

fn find_unpopular(case: &Case<'_>, unit: &Unit) -> Option<Finding> {
    // The new network itself says it.
    let told = unit.levels.get(Feature::Network as usize).is_some_and(|level| *level > 0);
    (!told).then(|| case.finding("unpopular_network", Severity::Low, 40, 0.0, Fact::Unpopular).with_attack(&["T1078"]))
}
