//! Connections: who logged in on each, and from where.
//!
//! Records of acts name their connection (`conn12`) and no user; the record of the login names both. One connection may log in as
//! several users, one for each database; an act could then be anybody's of them, and counts for the one of the act's
//! database, or else for the last one.

use std::collections::BTreeMap;

use bstr::BStr;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Kind, Principal, Provenance};

/// Connections remembered. Their numbers rise, so the oldest go first.
const CONNECTIONS: usize = 16_384;
/// Users remembered for one connection.
const USERS: usize = 8;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sessions {
    open: BTreeMap<u64, Session>,
}

/// One connection.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Address and port as the server wrote them; empty where the log does not tell.
    pub remote: Vec<u8>,
    /// What the client calls itself.
    pub client: Vec<u8>,
    /// Name and the database that keeps the account, the last login last.
    users: Vec<(Vec<u8>, Vec<u8>)>,
    /// A login of which only the attempt was told: it has succeeded when nothing tells that it failed.
    tried: Option<(Vec<u8>, Vec<u8>)>,
    inferred: bool,
    /// The object of an act that was told ahead of its own record.
    pub told: Vec<u8>,
}

/// In [`Session::told`]: a refusal.
pub const REFUSED: &[u8] = b"refused";

/// Whether an operation has been told of already: refusals and dropped collections have lines of their own, in which they happen.
pub fn was_told(told: &[u8], event: &Event<'_>) -> bool {
    match told {
        b"" => false,
        REFUSED => event.kind == Kind::Denied,
        object => event.objects.first().is_some_and(|o| **o == *object),
    }
}

/// The number in `conn12`.
pub fn number(context: &[u8]) -> Option<u64> {
    std::str::from_utf8(context.strip_prefix(b"conn")?).ok()?.parse().ok()
}

impl Sessions {
    /// The server has started: all earlier connections are gone, and their numbers come again.
    pub fn restarted(&mut self) {
        self.open.clear();
    }

    pub fn get(&self, connection: u64) -> Option<&Session> {
        self.open.get(&connection)
    }

    pub fn get_mut(&mut self, connection: u64) -> Option<&mut Session> {
        self.open.get_mut(&connection)
    }

    /// A new connection of this number.
    pub fn accepted(&mut self, connection: u64, remote: &[u8]) {
        *self.of(connection) = Session { remote: remote.to_vec(), ..Session::default() };
    }

    pub fn ended(&mut self, connection: u64) -> Option<Session> {
        self.open.remove(&connection)
    }

    /// The connection of this number; another peer than before means another connection.
    pub fn at(&mut self, connection: u64, remote: &[u8]) -> &mut Session {
        let session = self.of(connection);
        if !remote.is_empty() && session.remote != remote {
            *session = Session { remote: remote.to_vec(), ..Session::default() };
        }
        session
    }

    /// The place for an act that is told ahead of its own record, on a known connection.
    pub fn told(&mut self, connection: u64) -> Option<&mut Vec<u8>> {
        self.open.get_mut(&connection).map(|session| &mut session.told)
    }

    fn of(&mut self, connection: u64) -> &mut Session {
        if self.open.len() >= CONNECTIONS && !self.open.contains_key(&connection) {
            self.open.pop_first();
        }
        self.open.entry(connection).or_default()
    }
}

impl Session {
    pub fn login(&mut self, user: &[u8], database: &[u8]) {
        self.users.retain(|(_, other)| other != database);
        if self.users.len() >= USERS {
            self.users.remove(0);
        }
        self.users.push((user.to_vec(), database.to_vec()));
    }

    /// Somebody tries to log in; whose acts those of the session are from now on is not known where the name is not (empty).
    pub fn tries(&mut self, user: &[u8], database: &[u8]) {
        self.tried = (!user.is_empty()).then(|| (user.to_vec(), database.to_vec()));
        if user.is_empty() {
            self.users.clear();
        }
    }

    /// Who tried to log in, and failed.
    pub fn failed(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.tried.take()
    }

    /// Something else is told: an attempt has not failed.
    pub fn goes_on(&mut self) {
        if let Some((user, database)) = self.tried.take() {
            self.login(&user, &database);
            self.inferred = true;
        }
    }

    pub fn logout(&mut self, database: &[u8]) {
        self.users.retain(|(_, other)| other != database);
    }

    /// Whose act on `database` it was.
    pub fn principal<'a>(&self, database: &[u8], arena: &'a Bump) -> Option<Principal<'a>> {
        let same = self.users.iter().find(|(_, home)| home == database);
        let (user, home) = same.or(self.users.last())?;
        let provenance = if self.users.len() == 1 && !self.inferred { Provenance::Authenticated } else { Provenance::Observed };
        Some(Principal { name: account(user, home, arena), provenance })
    }
}

/// An account's name. Two databases may each keep an account of the same name: where the database is not one of those that
/// administrators keep, it is part of the name (`app@shop`), so that whoever may create accounts there passes for nobody else.
pub fn account<'a>(user: &[u8], database: &[u8], arena: &'a Bump) -> &'a BStr {
    let mut name = bumpalo::collections::Vec::with_capacity_in(user.len() + 1 + database.len(), arena);
    name.extend_from_slice(user);
    if !matches!(database, b"" | b"admin" | b"$external" | b"local") {
        name.push(b'@');
        name.extend_from_slice(database);
    }
    BStr::new(name.into_bump_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_act() {
        let arena = Bump::new();
        let mut sessions = Sessions::default();
        sessions.accepted(7, b"10.0.0.1:5");
        let show = |sessions: &Sessions, database: &str| {
            sessions.get(7).and_then(|s| s.principal(database.as_bytes(), &arena)).map(|p| (p.name.to_string(), p.provenance))
        };
        assert_eq!(show(&sessions, "shop"), None);
        sessions.at(7, b"10.0.0.1:5").login(b"app", b"admin");
        assert_eq!(show(&sessions, "shop"), Some(("app".into(), Provenance::Authenticated)));
        sessions.at(7, b"").login(b"bob", b"shop");
        assert_eq!(show(&sessions, "shop"), Some(("bob@shop".into(), Provenance::Observed)));
        assert_eq!(show(&sessions, "admin"), Some(("app".into(), Provenance::Observed)));
        assert_eq!(show(&sessions, "else"), Some(("bob@shop".into(), Provenance::Observed)));
        sessions.at(7, b"10.0.0.2:6");
        assert_eq!(show(&sessions, "shop"), None);
    }

    #[test]
    fn as_many_as_are_remembered() {
        let mut sessions = Sessions::default();
        for number in 0..2 * CONNECTIONS as u64 {
            sessions.accepted(number, b"10.0.0.1:5");
        }
        assert_eq!((sessions.open.len(), sessions.get(0), sessions.get(20_000).is_some()), (CONNECTIONS, None, true));
    }
}
