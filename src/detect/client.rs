//! Client software that this token never used. The client names itself, so this is a hint and never more than that.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::fleet::Thing;
use crate::baseline::unit::Unit;
use crate::severity::Severity;

pub const NEW_CLIENT: Detector = Detector { name: "new_client", about: "client software that the token never used", level, find };

/// 3: used by three other tokens; 4: by fewer.
fn level(case: &Case<'_>, _: &mut Unit) -> u8 {
    let Some(client) = case.seen.client else { return 0 };
    let known = &case.baseline.clients;
    if known.is_empty() || known.known(client, case.day()) {
        return 0;
    }
    if case.fleet.users(Thing::Client, client.0) >= 3 { 3 } else { 4 }
}

fn find(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let fact = Fact::NewClient { usual: case.baseline.clients.top_before(case.day(), 3) };
    Some(case.finding("new_client", Severity::Low, 40, 0.0, fact).with_attack(&["T1078"]))
}
