//! What a command does: its operation, and the collections that it touches.

use bstr::BStr;
use bumpalo::Bump;
use bumpalo::collections::Vec as Slots;

use crate::event::Operation;
use crate::framing::seek::Seek;

/// What a command acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// The collection that its value names; where that is no text, the database.
    Collection,
    /// The whole database, or the server.
    Database,
    /// Accounts, which are kept in `system.users`.
    Users,
    /// Roles, which are kept in `system.roles`.
    Roles,
    /// Nothing: drivers send it by themselves, before a login too.
    Nothing,
}

/// The commands, in alphabetical order without regard to case: [`command`] searches by halves.
#[rustfmt::skip]
const COMMANDS: &[(&str, Operation, On)] = {
    use On::{Collection, Database, Nothing, Roles, Users};
    use Operation::*;
    &[
        ("abortTransaction", Rollback, Database), ("aggregate", Select, Collection), ("applyOps", Merge, Database),
        ("authenticate", Connect, Nothing), ("buildInfo", Show, Nothing), ("bulkWrite", Merge, Database),
        ("cloneCollectionAsCapped", Create, Collection), ("collMod", Alter, Collection), ("collStats", Show, Collection),
        ("commitTransaction", Commit, Database), ("compact", Alter, Collection), ("connectionStatus", Show, Nothing),
        ("convertToCapped", Alter, Collection), ("count", Select, Collection), ("create", Create, Collection),
        ("createIndexes", Alter, Collection), ("createRole", Create, Roles), ("createUser", Create, Users),
        ("currentOp", Show, Database), ("dataSize", Show, Database), ("dbHash", Show, Database), ("dbStats", Show, Database),
        ("delete", Delete, Collection), ("deleteIndexes", Alter, Collection), ("distinct", Select, Collection),
        ("drop", Drop, Collection), ("dropAllRolesFromDatabase", Drop, Roles), ("dropAllUsersFromDatabase", Drop, Users),
        ("dropDatabase", Drop, Database), ("dropIndexes", Alter, Collection), ("dropRole", Drop, Roles),
        ("dropUser", Drop, Users), ("enableSharding", Alter, Database), ("endSessions", Other, Nothing),
        ("eval", Call, Database), ("explain", Explain, Database), ("find", Select, Collection),
        ("findAndModify", Update, Collection), ("fsync", Other, Database), ("geoNear", Select, Collection),
        ("geoSearch", Select, Collection), ("getCmdLineOpts", Show, Database), ("getLog", Show, Database),
        ("getMore", Select, Collection), ("getnonce", Connect, Nothing), ("getParameter", Show, Database),
        ("grantPrivilegesToRole", Grant, Roles), ("grantRolesToRole", Grant, Roles), ("grantRolesToUser", Grant, Users),
        ("group", Select, Collection), ("hello", Show, Nothing), ("hostInfo", Show, Database), ("insert", Insert, Collection),
        ("isMaster", Show, Nothing), ("killCursors", Other, Collection), ("killOp", Other, Database),
        ("listCollections", Show, Database), ("listCommands", Show, Nothing), ("listDatabases", Show, Database),
        ("listIndexes", Show, Collection), ("logout", Other, Nothing), ("logRotate", Other, Database),
        ("mapReduce", Select, Collection), ("moveChunk", Other, Database), ("parallelCollectionScan", Select, Collection),
        ("ping", Other, Nothing), ("profile", Set, Database), ("refreshSessions", Other, Nothing),
        ("reIndex", Alter, Collection), ("renameCollection", Alter, Collection), ("replSetGetStatus", Show, Database),
        ("replSetHeartbeat", Other, Nothing), ("replSetUpdatePosition", Other, Nothing), ("revokePrivilegesFromRole", Revoke, Roles),
        ("revokeRolesFromRole", Revoke, Roles), ("revokeRolesFromUser", Revoke, Users), ("rolesInfo", Show, Roles),
        ("saslContinue", Connect, Nothing), ("saslStart", Connect, Nothing), ("serverStatus", Show, Database),
        ("setFeatureCompatibilityVersion", Set, Database), ("setParameter", Set, Database), ("setProfilingLevel", Set, Database),
        ("shardCollection", Alter, Collection), ("shutdown", Other, Database), ("startSession", Other, Nothing),
        ("top", Show, Database), ("update", Update, Collection), ("updateRole", Alter, Roles), ("updateUser", Alter, Users),
        ("usersInfo", Show, Users), ("validate", Show, Collection), ("whatsmyuri", Show, Nothing),
    ]
};

/// What is known of a command. Servers take some names in two spellings (`findandmodify`, `ismaster`).
pub fn command(name: &[u8]) -> Option<(Operation, On)> {
    let lower = |text: &[u8]| text.iter().map(u8::to_ascii_lowercase).collect::<smallvec::SmallVec<[u8; 32]>>();
    let (key, wanted) = (name.strip_prefix(b"$").unwrap_or(name), 32);
    let key = lower(key.get(..wanted).unwrap_or(key));
    let found = COMMANDS.binary_search_by(|(known, _, _)| known.bytes().map(|b| b.to_ascii_lowercase()).cmp(key.iter().copied())).ok()?;
    COMMANDS.get(found).map(|(_, operation, on)| (*operation, *on))
}

/// The operation of an entry that is not a command: the kinds of the older wire protocol.
pub fn legacy(kind: &[u8]) -> Option<Operation> {
    Some(match kind {
        b"query" | b"getmore" => Operation::Select,
        b"insert" => Operation::Insert,
        b"update" => Operation::Update,
        b"remove" | b"delete" => Operation::Delete,
        _ => return None,
    })
}

/// An act as a record tells it.
#[derive(Debug, Default)]
pub struct Told<'a> {
    /// `db.collection`, or `db.$cmd`.
    pub namespace: &'a [u8],
    pub command: &'a [u8],
    /// The command's value, where it is a text.
    pub target: &'a [u8],
    /// Collections beside it that an aggregation reads.
    pub reads: Vec<(&'a [u8], &'a [u8])>,
    /// Collections that an aggregation writes to: database (empty: the same) and name.
    pub writes: Vec<(&'a [u8], &'a [u8])>,
}

/// An act understood.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    pub operation: Operation,
    pub objects: &'a [&'a BStr],
    pub on: On,
}

/// Namespaces that an aggregation names beside its own, at most.
pub const BESIDE: usize = 16;

impl<'a> Told<'a> {
    pub fn database(&self) -> &'a [u8] {
        self.namespace.part(".").map_or(self.namespace, |(database, _)| database)
    }

    pub fn act(&self, arena: &'a Bump) -> Act<'a> {
        let (mut operation, on) = command(self.command).unwrap_or((Operation::Other, On::Collection));
        let mut objects = Slots::new_in(arena);
        let database = self.database();
        let collection = self.namespace.part(".").map(|(_, c)| c).filter(|c| !c.is_empty() && !c.starts_with(b"$cmd"));
        let target = (!self.target.is_empty()).then_some(self.target);
        match on {
            On::Nothing => {}
            On::Users => objects.push(qualified(database, b"system.users", arena)),
            On::Roles => objects.push(qualified(database, b"system.roles", arena)),
            // A `bulkWrite` is sent to no collection, and lists those that it writes to.
            On::Database if !self.writes.is_empty() => {}
            On::Database => objects.extend((!database.is_empty()).then(|| BStr::new(database))),
            // Some commands give the whole namespace as their value.
            On::Collection => objects.extend(match (collection, target) {
                (_, Some(target)) if whole(self.command) && target.contains(&b'.') => Some(BStr::new(target)),
                (Some(_), _) => Some(BStr::new(self.namespace)),
                (None, Some(target)) => Some(qualified(database, target, arena)),
                (None, None) => (!database.is_empty()).then(|| BStr::new(database)),
            }),
        }
        if !self.writes.is_empty() {
            operation = Operation::Merge;
        }
        for (other, name) in self.reads.iter().chain(&self.writes) {
            let named = qualified(if other.is_empty() { database } else { other }, name, arena);
            if !objects.contains(&named) {
                objects.push(named);
            }
        }
        Act { operation, objects: objects.into_bump_slice(), on }
    }
}

fn whole(command: &[u8]) -> bool {
    [&b"renameCollection"[..], b"shardCollection", b"reshardCollection", b"enableSharding"].contains(&command)
}

/// `database.collection`.
pub fn qualified<'a>(database: &[u8], collection: &'a [u8], arena: &'a Bump) -> &'a BStr {
    if database.is_empty() {
        return BStr::new(collection);
    }
    let mut name = Slots::with_capacity_in(database.len() + 1 + collection.len(), arena);
    name.extend_from_slice(database);
    name.push(b'.');
    name.extend_from_slice(collection);
    BStr::new(name.into_bump_slice())
}

/// Codes that mean "not allowed": UserNotFound, Unauthorized, AuthenticationFailed, and their kin.
const DENIED: [&[u8]; 9] =
    [b"11", b"13", b"18", b"33", b"34", b"UserNotFound", b"Unauthorized", b"AuthenticationFailed", b"AuthenticationRestrictionUnmet"];

pub fn denied(code: &[u8]) -> bool {
    DENIED.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_in_order() {
        assert!(COMMANDS.is_sorted_by_key(|(name, _, _)| name.to_ascii_lowercase()));
        for (name, operation, on) in COMMANDS {
            assert_eq!(command(name.as_bytes()), Some((*operation, *on)), "{name}");
        }
        assert_eq!(command(b"findandmodify").map(|c| c.0), Some(Operation::Update));
        assert_eq!(command(b"ismaster").map(|c| c.1), Some(On::Nothing));
        assert_eq!(command(b"nonesuch"), None);
    }

    fn check(namespace: &str, command: &str, target: &str, want: &str) {
        let arena = Bump::new();
        let told = Told { namespace: namespace.as_bytes(), command: command.as_bytes(), target: target.as_bytes(), ..Told::default() };
        let act = told.act(&arena);
        let objects: Vec<String> = act.objects.iter().map(|o| o.to_string()).collect();
        assert_eq!(format!("{} {}", act.operation, objects.join(" ")).trim_end(), want, "{namespace} {command}");
    }

    #[test]
    fn acts() {
        check("shop.orders", "find", "orders", "select shop.orders");
        check("shop.$cmd", "insert", "orders", "insert shop.orders");
        check("shop.$cmd", "dropDatabase", "", "drop shop");
        check("admin.$cmd", "createUser", "bob", "create admin.system.users");
        check("shop.$cmd.aggregate", "aggregate", "", "select shop");
        check("admin.$cmd", "renameCollection", "shop.a", "alter shop.a");
        check("admin.$cmd", "hello", "", "show");
        check("shop.orders", "someNewCommand", "orders", "other shop.orders");
        check("", "find", "x", "select x");
    }
}
