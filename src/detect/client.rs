//! Client software that this token never used. The client names itself, so this is a hint and never more than that.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::usual::Standing;
use crate::baseline::{Reported, hazard};
use crate::severity::Severity;

pub const NEW_CLIENT: Detector = Detector { name: "new_client", about: "client software that the token never used", judge: new_client };

fn new_client(case: &Case<'_>, reported: &mut Reported) -> Option<Finding> {
    let client = case.seen.client?;
    let known = &case.baseline.clients;
    if !case.judged() || known.is_empty() || known.standing(client, case.day()) != Standing::Novel {
        return None;
    }
    let bound = case.baseline.new_client.probability(hazard::CLIENT);
    if bound > case.settings.gate {
        return None;
    }
    reported.client = true;
    Some(case.finding("new_client", Severity::Low, 40, bound, Fact::NewClient { usual: known.top(3) }).with_attack(&["T1078"]))
}
