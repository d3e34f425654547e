//! Use from a network, or from an address, that this token never used.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::network::{is_internal, key, prefix_of};
use crate::baseline::usual::Standing;
use crate::baseline::{Reported, hazard};
use crate::severity::Severity;

pub const NEW_NETWORK: Detector =
    Detector { name: "new_network", about: "used from a network that the token never used", judge: new_network };

pub const NEW_ADDRESS: Detector = Detector {
    name: "new_address",
    about: "used from a new address in a known network, by a token whose addresses do not change",
    judge: new_address,
};

/// Addresses that a token may have and still count as one whose addresses do not change.
const FEW_ADDRESSES: usize = 8;

fn new_network(case: &Case<'_>, reported: &mut Reported) -> Option<Finding> {
    let network = case.seen.network?;
    if !case.judged()
        || case.baseline.networks.is_empty()
        || case.baseline.networks.standing(prefix_of(network), case.day()) != Standing::Novel
    {
        return None;
    }
    let bound = case.baseline.new_network.probability(hazard::NETWORK);
    if bound > case.settings.gate {
        return None;
    }
    let internal = is_internal(network);
    // Internal machines move; a token that only ever worked inside and now comes from outside is another matter.
    let stays_inside = case.baseline.networks.iter().all(|e| is_internal(e.key.network()));
    let (severity, confidence) = match (internal, stays_inside) {
        (true, _) => (Severity::Medium, 60),
        (false, false) => (Severity::High, 70),
        (false, true) => (Severity::High, 85),
    };
    reported.network = true;
    reported.address = true;
    let fact = Fact::NewNetwork { usual: case.baseline.networks.top(3), internal };
    Some(case.finding("new_network", severity, confidence, bound, fact).with_attack(&["T1078"]))
}

fn new_address(case: &Case<'_>, reported: &mut Reported) -> Option<Finding> {
    let network = case.seen.network?;
    let known = &case.baseline.addresses;
    if !case.judged()
        || known.is_empty()
        || known.len() > FEW_ADDRESSES
        || case.baseline.networks.standing(prefix_of(network), case.day()) != Standing::Usual
        || known.standing(key(network), case.day()) != Standing::Novel
    {
        return None;
    }
    let bound = case.baseline.new_address.probability(hazard::ADDRESS);
    if bound > case.settings.gate {
        return None;
    }
    reported.address = true;
    let fact = Fact::NewAddress { usual: known.top(3) };
    Some(case.finding("new_address", Severity::Low, 40, bound, fact).with_attack(&["T1078"]))
}
