//! Client software that this token never used. The client names itself, so this is a hint and never more than that.

use super::{Case, Detector, Fact, Finding};
use crate::baseline::fleet::{Schedule, Thing};
use crate::baseline::unit::Unit;
use crate::severity::Severity;
use crate::token::WordId;

pub const NEW_CLIENT: Detector = Detector { name: "new_client", about: "client software that the token never used", level, find };

/// Families of programs with which people look around in databases ([`crate::identity::client::family`]).
const BY_HAND: &[&[u8]] = &[
    b"psql",
    b"pgadmin",
    b"pgcli",
    b"dbeaver",
    b"datagrip",
    b"heidisql",
    b"tableplus",
    b"navicat",
    b"beekeeper studio",
    b"dbvisualizer",
    b"squirrel sql client",
    b"mysql",
    b"mariadb",
    b"mysqlsh",
    b"mysqlworkbench",
    b"mysql workbench",
    b"mycli",
    b"sqlplus",
    b"sql developer",
    b"sqlcmd",
    b"microsoft sql server management studio",
    b"microsoft sql server management studio query",
    b"azdata",
    b"mongosh",
    b"mongodb compass",
    b"cqlsh",
    b"redis cli",
    b"jupyter",
];

fn by_hand(client: WordId) -> bool {
    BY_HAND.iter().any(|family| WordId::of(family) == client)
}

/// 3: used by three other tokens; 4: by fewer, or a tool of people where only programs were before: a service's password in a person's hand.
fn level(case: &Case<'_>, _: &mut Unit) -> u8 {
    let Some(client) = case.seen.client else { return 0 };
    let known = &case.baseline.clients;
    if known.is_empty() || known.known(client, case.day()) {
        return 0;
    }
    let machine = case.baseline.kind().schedule != Schedule::People && !known.iter().any(|e| by_hand(e.key));
    if case.fleet.users(Thing::Client, client.0) >= 3 && !(machine && by_hand(client)) { 3 } else { 4 }
}

fn find(case: &Case<'_>, _: &Unit) -> Option<Finding> {
    let fact = Fact::NewClient { usual: case.baseline.clients.top_before(case.day(), 3) };
    Some(case.finding("new_client", Severity::Low, 40, 0.0, fact).with_attack(&["T1078"]))
}
