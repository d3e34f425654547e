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
    let (known, day) = (&case.baseline.clients, case.day());
    if known.known(client, day) {
        return 0;
    }
    let machine = case.baseline.kind().schedule != Schedule::People && !known.iter().any(|e| by_hand(e.key));
    let in_a_hand = machine && by_hand(client);
    // A program that begins to give its name is no other program.
    if !in_a_hand && !known.iter().any(|e| e.known(day)) {
        return 0;
    }
    // Who says so may lie, and could as well give the name of the program that is known here.
    if deploys(client) {
        2
    } else if case.fleet.users(Thing::Client, client.0) >= 3 && !in_a_hand {
        3
    } else {
        4
    }
}

/// People use the token with a tool of theirs: for two weeks, or since its first days; one that keeps people's hours, from a place of its own
/// (`at_home`) since yesterday.
pub(super) fn of_people(baseline: &Baseline, day: u16, at_home: bool) -> bool {
    let person = at_home && baseline.kind().schedule == Schedule::People;
    let old = |first: u16| person || first <= day_of(baseline.first_seen).saturating_add(1) || day >= first.saturating_add(QUARANTINE_DAYS);
    baseline.clients.iter().any(|e| by_hand(e.key) && e.known(day) && e.reported().is_none() && (e.accepted() || old(e.first_day)))
}

fn find(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let fact = Fact::NewClient { usual: case.baseline.clients.top_before(case.day(), 3) };
    Some(case.finding("new_client", Severity::Low, 40, 0.0, fact).with_attack(&["T1078"]))
}
