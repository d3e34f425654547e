//! Client software that this token never used. The client names itself, so this is a hint and never more than that.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::fleet::{Schedule, Thing};
use crate::baseline::unit::Unit;
use crate::baseline::usual::QUARANTINE_DAYS;
use crate::baseline::{Baseline, day_of};
use crate::identity::client::{by_hand, deploys};
use crate::severity::Severity;

pub const NEW_CLIENT: Detector = Detector { name: "new_client", about: "client software that the token never used", level, find };

/// 2: a tool that deploys; 3: used by three other tokens; 4: by fewer, or a tool of people where only programs were before: a service's password in
/// a person's hand.
fn level(case: &Case<'_>, _: &mut Unit) -> u8 {
    let Some(client) = case.seen.client else { return 0 };
    let known = &case.baseline.clients;
    if known.is_empty() || known.known(client, case.day()) {
        return 0;
    }
    let machine = case.baseline.kind().schedule != Schedule::People && !known.iter().any(|e| by_hand(e.key));
    // Who says so may lie, and could as well give the name of the program that is known here.
    if deploys(client) {
        2
    } else if case.fleet.users(Thing::Client, client.0) >= 3 && !(machine && by_hand(client)) {
        3
    } else {
        4
    }
}

/// People use the token with a tool of theirs: for two weeks, or since its first days.
pub(super) fn of_people(baseline: &Baseline, day: u16) -> bool {
    let old = |first: u16| first <= day_of(baseline.first_seen).saturating_add(1) || day >= first.saturating_add(QUARANTINE_DAYS);
    baseline.clients.iter().any(|e| by_hand(e.key) && e.known(day) && e.reported().is_none() && (e.accepted() || old(e.first_day)))
}

fn find(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let fact = Fact::NewClient { usual: case.baseline.clients.top_before(case.day(), 3) };
    Some(case.finding("new_client", Severity::Low, 40, 0.0, fact).with_attack(&["T1078"]))
}
