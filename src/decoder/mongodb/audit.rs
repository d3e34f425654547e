//! MongoDB's audit log as JSON: Enterprise, Atlas, Percona Server, and Amazon DocumentDB.
//!
//! ```text
//! {"atype":"authCheck","ts":{"$date":"2026-11-22T14:15:49.161+01:00"},"uuid":{...},"local":{"ip":"10.0.0.1","port":27017},"remote":{"ip":"10.0.0.7","port":42636},"users":[{"user":"app","db":"admin"}],"roles":[{"role":"read","db":"shop"}],"param":{"command":"insert","ns":"shop.orders","args":{...}},"result":13}
//! {"atype":"authCheck","ts":1795313117355,"timestamp_utc":"...","remote_ip":"10.0.0.7:42636","users":[{"user":"app","db":"admin"}],"param":{"command":"find","ns":"shop.orders","args":{...},"result":0}}
//! ```
//! <https://www.mongodb.com/docs/manual/reference/audit-message/mongo/>,
//! <https://docs.aws.amazon.com/documentdb/latest/developerguide/event-auditing.html>
//!
//! With the OCSF schema (8.0) the same facts stand in `actor.user`, `src_endpoint`, `api`, `status_id`, `status_code` and `unmapped.atype`.

use bstr::BStr;
use bumpalo::Bump;

use super::act::{self, BESIDE, On, Told};
use super::logv2::{date, namespaces, pipeline, remote};
use super::session::account;
use crate::decoder::json_text::{Json, Torn};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "mongodb-audit",
    about: "MongoDB audit log in JSON (Enterprise, Atlas, Percona Server, Amazon DocumentDB)",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Audit { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "MongoDB Enterprise and Atlas 3.6 to 8, Percona Server for MongoDB, Amazon DocumentDB",
        switch_on: "`auditLog: { destination: file, format: JSON, path: ... }` and `setParameter: { auditAuthorizationSuccess: true }`, without which only refused operations are logged; DocumentDB: the cluster parameter `audit_logs = all`",
        fields: &[
            ("time", "`ts`"),
            (
                "principal",
                "`users`, `user`, `param.user` of logins; `user@database` for accounts of other databases than `admin`; verified, `observed` where several users share the connection, claimed for refused logins",
            ),
            ("address", "`remote.ip`, `remote_ip`; seen by the server"),
            ("port", "`remote.port`"),
            ("database", "`param.ns`; for logins the database of the account"),
            ("client", "`param.clientMetadata`; the client's own word"),
            ("operation", "`param.command`, else `atype`"),
            ("objects", "`param.ns`, and what an aggregation names besides"),
            ("outcome", "`result`"),
            ("code", "`result`, MongoDB's error number"),
            ("kind", "`atype`"),
        ],
        forgery: "No record of another: all client text is escaped. `applicationMessage` is an account's own text",
        ignored: "Acts of the server itself and what clients tell of themselves: kept as `other`",
        source: "<https://www.mongodb.com/docs/manual/reference/audit-message/mongo/>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let mut framer = Objects::new(&[]);
    let mut arena = Bump::new();
    let (mut records, mut good) = (0usize, 0usize);
    let mut rest = sample;
    if !matches!(sample.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Guess::NO;
    }
    while records < 50 && !rest.is_empty() {
        use crate::framing::{Framed, Framer, More};
        match framer.next(rest, More::Idle) {
            Framed::Record(frame) => {
                records += 1;
                let record = rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default();
                good += usize::from(Entry::read(record, &arena).is_ok_and(|e| e.ours()));
                arena.reset();
                rest = rest.get(frame.consumed..).unwrap_or_default();
            }
            Framed::Skip { consumed, .. } => rest = rest.get(consumed..).unwrap_or_default(),
            Framed::Incomplete => break,
        }
    }
    match (100 * good).checked_div(records).unwrap_or(0) {
        0 => Guess::NO,
        percent => Guess::new((percent.max(50) * 96 / 100) as u8, format!("{good} of {records} objects have atype, ts, remote")),
    }
}

/// Kinds of entries that are not commands, in alphabetical order without regard to case where they are not in
/// [`act::command`] under the same name.
#[rustfmt::skip]
const KINDS: &[(&[u8], Operation, On)] = &[
    (b"createCollection", Operation::Create, On::Collection), (b"createDatabase", Operation::Create, On::Database),
    (b"createIndex", Operation::Alter, On::Collection), (b"dropCollection", Operation::Drop, On::Collection),
    (b"dropIndex", Operation::Alter, On::Collection), (b"importCollection", Operation::Create, On::Collection),
    (b"exportCollection", Operation::Copy, On::Collection), (b"refineCollectionShardKey", Operation::Alter, On::Collection),
    (b"addShard", Operation::Alter, On::Database), (b"removeShard", Operation::Alter, On::Database),
    (b"replSetReconfig", Operation::Alter, On::Database), (b"auditConfigure", Operation::Set, On::Database),
    (b"setClusterParameter", Operation::Set, On::Database), (b"getClusterParameter", Operation::Show, On::Database),
    (b"updateCachedClusterServerParameter", Operation::Set, On::Nothing), (b"rotateLog", Operation::Other, On::Nothing),
    (b"startup", Operation::Other, On::Nothing), (b"clientMetadata", Operation::Other, On::Nothing),
    (b"applicationMessage", Operation::Other, On::Database),
];

/// One entry, taken apart.
#[derive(Debug, Default)]
struct Entry<'a> {
    kind: &'a [u8],
    stamp: Option<&'a [u8]>,
    peer: bool,
    /// Amazon DocumentDB's, whose accounts are of no database: beside their names stands the one that they use.
    document_db: bool,
    address: &'a [u8],
    port: Option<u64>,
    system: bool,
    unix: bool,
    users: Vec<(&'a [u8], &'a [u8])>,
    /// Who was logged in before a logout.
    before: Vec<(&'a [u8], &'a [u8])>,
    result: Option<&'a [u8]>,
    told: Told<'a>,
    /// The user and the database that a login, or the change of an account, is about.
    user: &'a [u8],
    home: &'a [u8],
    old: &'a [u8],
    new: &'a [u8],
    operation: &'a [u8],
    client: &'a [u8],
    /// OCSF: the number of the class, and 1 for success, 2 for failure.
    class: Option<u64>,
    activity: Option<u64>,
    status: Option<u64>,
}

/// A date, as text, number or object (`$date`).
pub(super) fn stamp<'a>(json: &mut Json<'a>) -> Result<Option<&'a [u8]>, Torn> {
    let mut stamp = None;
    match json.peek() {
        Some(b'{') => json.object(|_, json| {
            stamp = match json.peek() {
                Some(b'"') => json.text()?,
                _ => json.number()?,
            };
            Ok(())
        })?,
        Some(b'"') => stamp = json.text()?,
        _ => stamp = json.number()?,
    }
    Ok(stamp)
}

/// The accounts of a list.
pub(super) fn users<'a>(json: &mut Json<'a>, list: &mut Vec<(&'a [u8], &'a [u8])>) -> Result<(), Torn> {
    json.array(|json| {
        let (mut user, mut home): (&[u8], &[u8]) = (b"", b"");
        json.object(|key, json| {
            match key {
                b"user" => user = json.text()?.unwrap_or_default(),
                b"db" => home = json.text()?.unwrap_or_default(),
                _ => json.skip()?,
            }
            Ok(())
        })?;
        if !user.is_empty() && list.len() < BESIDE {
            list.push((user, home));
        }
        Ok(())
    })
}

impl<'a> Entry<'a> {
    fn ours(&self) -> bool {
        !self.kind.is_empty() && self.stamp.is_some() && (self.peer || !self.users.is_empty() || self.class.is_some())
    }

    fn read(text: &'a [u8], arena: &'a Bump) -> Result<Self, Torn> {
        let mut entry = Entry::default();
        Json::whole(text, arena, |key, json| entry.field(key, json))?;
        if entry.document_db {
            entry.users.iter_mut().for_each(|(_, home)| *home = b"");
        }
        if entry.kind.is_empty() {
            entry.kind = match (entry.class, entry.activity) {
                (Some(3002), Some(1)) => b"authenticate",
                (Some(3002), Some(2)) => b"logout",
                (Some(6003), _) if !entry.told.command.is_empty() => b"authCheck",
                _ => b"",
            };
        }
        Ok(entry)
    }

    fn field(&mut self, key: &'a [u8], json: &mut Json<'a>) -> Result<(), Torn> {
        match key {
            b"atype" => self.kind = json.text()?.unwrap_or_default(),
            b"ts" | b"time" => self.stamp = stamp(json)?,
            b"remote" | b"src_endpoint" => {
                self.peer = true;
                json.object(|key, json| {
                    match key {
                        b"ip" | b"host" | b"interface_name" => self.address = json.text()?.unwrap_or(self.address),
                        // The path of a socket, or `anonymous`.
                        b"unix" => {
                            self.unix = true;
                            json.skip()?;
                        }
                        b"interface" => self.unix = json.text()? == Some(b"unix"),
                        b"port" => self.port = json.count()?,
                        b"isSystemUser" => {
                            self.system = true;
                            json.skip()?;
                        }
                        _ => json.skip()?,
                    }
                    Ok(())
                })?;
            }
            b"remote_ip" => {
                (self.peer, self.document_db) = (true, true);
                self.address = json.text()?.unwrap_or_default();
            }
            b"users" => users(json, &mut self.users)?,
            b"param" | b"params" => json.object(|key, json| self.param(key, json))?,
            b"result" => self.result = json.number()?,
            // DocumentDB has one user here, of acts that are no commands.
            b"user" if json.peek() == Some(b'"') => {
                if let Some(user) = json.text()?.filter(|user| !user.is_empty()) {
                    self.users.push((user, b""));
                }
            }
            b"actor" | b"user" => self.account(key == b"actor", json)?,
            b"class_uid" => self.class = json.count()?,
            b"activity_id" => self.activity = json.count()?,
            b"api" => json.object(|key, json| match key {
                b"operation" => {
                    self.told.command = json.text()?.unwrap_or_default();
                    Ok(())
                }
                b"request" => json.object(|key, json| {
                    let name = if key == b"uid" { json.text()? } else { json.skip().map(|()| None)? };
                    if let (Some(name), b"") = (name, self.told.namespace) {
                        self.told.namespace = name;
                    }
                    Ok(())
                }),
                b"response" => json.object(|key, json| {
                    match key {
                        b"code" => self.result = json.number()?,
                        _ => json.skip()?,
                    }
                    Ok(())
                }),
                _ => json.skip(),
            })?,
            b"status_code" => {
                let code = match json.peek() {
                    Some(b'"') => json.text()?,
                    _ => json.number()?,
                };
                self.result = self.result.or(code);
            }
            b"status_id" => self.status = json.count()?,
            b"unmapped" => json.object(|key, json| match key {
                b"atype" => self.field(key, json),
                _ => self.param(key, json),
            })?,
            _ => json.skip()?,
        }
        Ok(())
    }

    /// OCSF's `{"user":{"name":"admin.app"}}` or `{"name":"admin.app"}`.
    fn account(&mut self, actor: bool, json: &mut Json<'a>) -> Result<(), Torn> {
        let mut name: Option<&'a [u8]> = None;
        json.object(|key, json| {
            match key {
                b"name" => name = json.text()?,
                b"user" => json.object(|key, json| {
                    match key {
                        b"name" => name = json.text()?,
                        _ => json.skip()?,
                    }
                    Ok(())
                })?,
                _ => json.skip()?,
            }
            Ok(())
        })?;
        let Some(name) = name.filter(|n| !n.is_empty()) else { return Ok(()) };
        let (home, user) = name.part(".").unwrap_or((b"", name));
        if actor {
            self.users.push((user, home));
        } else {
            (self.user, self.home) = (user, home);
        }
        Ok(())
    }

    fn param(&mut self, key: &'a [u8], json: &mut Json<'a>) -> Result<(), Torn> {
        match key {
            b"ns" => self.told.namespace = json.text()?.unwrap_or_default(),
            b"command" => self.told.command = json.text()?.unwrap_or_default(),
            b"args" => json.object(|key, json| match key {
                b"pipeline" => pipeline(json, &mut self.told),
                b"nsInfo" => namespaces(json, &mut self.told),
                _ => json.skip(),
            })?,
            b"initialUsers" => users(json, &mut self.before)?,
            b"user" | b"userName" => self.user = json.text()?.unwrap_or_default(),
            b"db" => self.home = json.text()?.unwrap_or_default(),
            b"old" => self.old = json.text()?.unwrap_or_default(),
            b"new" => self.new = json.text()?.unwrap_or_default(),
            b"operation" => self.operation = json.text()?.unwrap_or_default(),
            // DocumentDB keeps the result here.
            b"result" | b"error" => {
                let result = json.number()?;
                self.result = self.result.or(result);
            }
            b"clientMetadata" => json.object(|part, json| {
                if part != b"application" && part != b"driver" {
                    return json.skip();
                }
                json.object(|key, json| {
                    if key != b"name" || part == b"driver" && !self.client.is_empty() {
                        return json.skip();
                    }
                    self.client = json.text()?.unwrap_or_default();
                    Ok(())
                })
            })?,
            _ => json.skip()?,
        }
        Ok(())
    }
}

struct Audit {
    stamps: Timestamps,
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Ok(entry) = Entry::read(record.bytes, arena) else {
            return Decoded::Reject(if record.truncated { "torn object" } else { "not an entry of mongodb's audit log" });
        };
        if entry.kind.is_empty() {
            return Decoded::Reject("not an entry of mongodb's audit log");
        }
        let Some(time) = entry.stamp.and_then(|stamp| date(&mut self.stamps, stamp)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        let mut event = Event::new(Kind::Other, time);
        (event.address, event.port) = remote(entry.address);
        if entry.unix || entry.address.is_empty() && entry.peer && !entry.system {
            event.address = Some(Address::Local);
        }
        event.port = entry.port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0).or(event.port);
        event.suspect = record.suspect;
        event.truncated = record.truncated;
        event.client = some(entry.client);
        understand(&entry, &mut event, arena);
        Decoded::Event(event)
    }
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

fn understand<'a>(entry: &Entry<'a>, event: &mut Event<'a>, arena: &'a Bump) {
    event.code = entry.result.filter(|r| *r != b"0").map(BStr::new);
    event.outcome = match (event.code, entry.result.is_some(), entry.status) {
        (Some(code), _, _) if act::denied(code) => Outcome::Denied,
        (Some(_), _, _) | (None, false, Some(2)) => Outcome::Error,
        (None, true, _) | (None, false, Some(1)) => Outcome::Success,
        (None, false, _) => Outcome::Unknown,
    };
    if entry.kind == b"authenticate" {
        let failed = matches!(event.outcome, Outcome::Denied | Outcome::Error);
        event.kind = if failed { Kind::LoginFailed } else { Kind::Login };
        event.operation = Some(Operation::Connect);
        let named = (!entry.user.is_empty()).then_some((entry.user, entry.home));
        let (user, home) = named.or(entry.users.last().copied()).unwrap_or_default();
        event.database = some(home);
        let provenance = if failed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = some(user).map(|_| Principal { name: account(user, home, arena), provenance });
        if failed {
            event.outcome = Outcome::Denied;
        }
        return;
    }
    let mut told = Told { namespace: entry.told.namespace, command: entry.kind, ..Told::default() };
    let mut both: Vec<(&[u8], &[u8])> = Vec::new();
    let (mut operation, on) = match entry.kind {
        b"authCheck" => {
            told.command = entry.told.command;
            (told.reads, told.writes) = (entry.told.reads.clone(), entry.told.writes.clone());
            act::command(told.command).unwrap_or((Operation::Other, On::Collection))
        }
        b"directAuthMutation" => (act::legacy(entry.operation).unwrap_or(Operation::Other), On::Collection),
        b"renameCollection" => {
            both.extend([(&b""[..], entry.old), (b"", entry.new)]);
            (Operation::Alter, On::Collection)
        }
        kind => KINDS
            .iter()
            .find(|(name, _, _)| *name == kind)
            .map(|(_, operation, on)| (*operation, *on))
            .or_else(|| act::command(kind))
            .unwrap_or((Operation::Other, On::Database)),
    };
    if told.namespace.is_empty() {
        told.namespace = entry.home;
    }
    let act = match on {
        On::Collection if both.is_empty() && entry.kind != b"authCheck" => {
            act::Act { operation, objects: some(told.namespace).map_or(&[], |ns| arena.alloc_slice_copy(&[ns])), on }
        }
        On::Collection if !both.is_empty() => {
            let names: Vec<&BStr> = both.iter().filter(|(_, name)| !name.is_empty()).map(|(_, name)| BStr::new(*name)).collect();
            act::Act { operation, objects: arena.alloc_slice_copy(&names), on }
        }
        _ => told.act(arena),
    };
    if entry.kind == b"authCheck" {
        operation = act.operation;
    }
    event.operation = (on != On::Nothing || entry.kind == b"authCheck").then_some(operation);
    event.objects = act.objects;
    event.database = some(told.database()).or(act.objects.first().map(|o| BStr::new(o.part(".").map_or(*o as &[u8], |(d, _)| d))));
    let users = if entry.users.is_empty() && entry.kind == b"logout" { &entry.before } else { &entry.users };
    let same = users.iter().find(|(_, home)| event.database.is_some_and(|d| **d == **home));
    if let Some((user, home)) = same.or(users.last()) {
        let provenance = if users.len() == 1 { Provenance::Authenticated } else { Provenance::Observed };
        event.principal = Some(Principal { name: account(user, home, arena), provenance });
    }
    event.kind = match (entry.kind, event.outcome) {
        (b"logout", _) => {
            event.operation = None;
            if event.principal.is_some() { Kind::Logout } else { Kind::Other }
        }
        _ if entry.system || on == On::Nothing => Kind::Other,
        (_, Outcome::Denied) => Kind::Denied,
        (_, Outcome::Error) => Kind::Error,
        _ => Kind::Query,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: &str) {
        let arena = Bump::new();
        let mut audit = Audit { stamps: Timestamps::new(None) };
        let got = match audit.decode(Record::new(line.as_bytes()), &arena) {
            Decoded::Event(e) => {
                let who = e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance));
                let place = e.address.map_or("-".to_owned(), |a| format!("{a}:{}", e.port.unwrap_or(0)));
                let objects: Vec<String> = e.objects.iter().map(|o| o.to_string()).collect();
                let what = e.operation.map_or("-", Operation::name);
                format!("{} {:?} {who} {place} {what} [{}] {:?}", e.time, e.kind, objects.join(" "), e.outcome)
            }
            Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
        };
        assert_eq!(got, want, "{line}");
    }

    fn entry(kind: &str, param: &str, result: i32) -> String {
        format!(
            r#"{{"atype":"{kind}","ts":{{"$date":"2026-11-22T14:15:49.161+0100"}},"local":{{"ip":"10.0.0.1","port":27017}},"remote":{{"ip":"10.0.0.7","port":42636}},"users":[{{"user":"app","db":"admin"}}],"roles":[{{"role":"read","db":"admin"}}],"param":{{{param}}},"result":{result}}}"#
        )
    }

    #[test]
    fn entries() {
        let at = "2026-11-22T13:15:49.161Z";
        for (kind, param, result, want) in [
            (
                "authCheck",
                r#""command":"insert","ns":"shop.orders","args":{"insert":"orders"}"#,
                13,
                "Denied app Authenticated 10.0.0.7:42636 insert [shop.orders] Denied",
            ),
            (
                "authCheck",
                r#""command":"find","ns":"shop.orders","args":{}"#,
                0,
                "Query app Authenticated 10.0.0.7:42636 select [shop.orders] Success",
            ),
            (
                "authenticate",
                r#""user":"root","db":"admin","mechanism":"SCRAM-SHA-1""#,
                18,
                "LoginFailed root Claimed 10.0.0.7:42636 connect [] Denied",
            ),
            (
                "authenticate",
                r#""user":"bob","db":"shop","mechanism":"SCRAM-SHA-1""#,
                0,
                "Login bob@shop Authenticated 10.0.0.7:42636 connect [] Success",
            ),
            ("createDatabase", r#""ns":"shop""#, 0, "Query app Authenticated 10.0.0.7:42636 create [shop] Success"),
            ("renameCollection", r#""old":"a.b","new":"c.d""#, 0, "Query app Authenticated 10.0.0.7:42636 alter [a.b c.d] Success"),
            ("dropCollection", r#""ns":"shop.orders""#, 0, "Query app Authenticated 10.0.0.7:42636 drop [shop.orders] Success"),
            (
                "createUser",
                r#""user":"x","db":"shop","roles":[]"#,
                0,
                "Query app Authenticated 10.0.0.7:42636 create [shop.system.users] Success",
            ),
            (
                "grantPrivilegesToRole",
                r#""role":"x","db":"shop""#,
                0,
                "Query app Authenticated 10.0.0.7:42636 grant [shop.system.roles] Success",
            ),
            (
                "directAuthMutation",
                r#""document":{"ns":1},"ns":"admin.system.users","operation":"insert""#,
                0,
                "Query app Authenticated 10.0.0.7:42636 insert [admin.system.users] Success",
            ),
            ("clientMetadata", r#""clientMetadata":{"driver":{"name":"go"}}"#, 0, "Other app Authenticated 10.0.0.7:42636 - [] Success"),
            ("logout", r#""reason":"x","initialUsers":[{"user":"z"}]"#, 0, "Logout app Authenticated 10.0.0.7:42636 - [] Success"),
            ("somethingNew", "", 0, "Query app Authenticated 10.0.0.7:42636 other [] Success"),
        ] {
            check(&entry(kind, param, result), &format!("{at} {want}"));
        }
    }

    #[test]
    fn variants() {
        check(
            r#"{"atype":"authCheck","ts":1795313117355,"timestamp_utc":"x","remote_ip":"10.0.0.7:42636","users":[{"user":"app","db":"admin"}],"param":{"command":"aggregate","ns":"shop.a","args":{"batchTimeLimitMillis":18446744073709551615,"pipeline":[{"$lookup":{"from":"b"}}]},"result":0}}"#,
            "2026-11-22T02:05:17.355Z Query app Authenticated 10.0.0.7:42636 select [shop.a shop.b] Success",
        );
        check(
            r#"{"atype":"authenticate","ts":1795313117355,"remote_ip":"10.0.0.7:1","user":"","param":{"user":"app","mechanism":"SCRAM-SHA-1","success":false,"message":"","error":18}}"#,
            "2026-11-22T02:05:17.355Z LoginFailed app Claimed 10.0.0.7:1 connect [] Denied",
        );
        check(
            r#"{"atype":"authCheck","ts":1795313117355,"remote_ip":"10.0.0.7:1","users":[{"user":"app","db":"shop"}],"param":{"command":"find","ns":"shop.a","result":0}}"#,
            "2026-11-22T02:05:17.355Z Query app Authenticated 10.0.0.7:1 select [shop.a] Success",
        );
        check(
            r#"{"atype":"updateUser","ts":1795313117355,"remote_ip":"unix_domain_socket","user":"root","param":{"userName":"app","passwordChanged":true}}"#,
            "2026-11-22T02:05:17.355Z Query root Authenticated local:0 alter [system.users] Unknown",
        );
        check(
            r#"{"activity_id":1,"class_uid":3002,"time":1795313117355,"src_endpoint":{"ip":"10.0.0.7","port":5},"user":{"name":"admin.app"},"status_id":1,"unmapped":{"atype":"authenticate"}}"#,
            "2026-11-22T02:05:17.355Z Login app Authenticated 10.0.0.7:5 connect [] Success",
        );
        check(
            r#"{"atype":"createIndex","ts":{"$date":{"$numberLong":"1795313117355"}},"remote":{"isSystemUser":true},"users":[],"param":{"ns":"shop.a"},"result":0}"#,
            "2026-11-22T02:05:17.355Z Other - - alter [shop.a] Success",
        );
        check(
            r#"{"atype":"authCheck","ts":1795313117355,"remote":{"unix":"/tmp/m.sock"},"users":[{"user":"a","db":"admin"},{"user":"b","db":"shop"}],"param":{"command":"find","ns":"shop.a"},"result":0}"#,
            "2026-11-22T02:05:17.355Z Query b@shop Observed local:0 select [shop.a] Success",
        );
        check(
            r#"{"atype":"logout","ts":1795313117355,"remote":{"unix":"anonymous"},"users":[],"param":{"reason":"x","initialUsers":[{"user":"a","db":"admin"}],"updatedUsers":[]},"result":0}"#,
            "2026-11-22T02:05:17.355Z Logout a Authenticated local:0 - [] Success",
        );
        check(
            r#"{"atype":"authCheck","ts":1795313117355,"remote":{"ip":"10.0.0.7","port":5},"users":[{"user":"a","db":"admin"}],"param":{"command":"bulkWrite","ns":"shop.a","args":{"bulkWrite":1,"nsInfo":[{"ns":"shop.a"},{"ns":"hr.pay.y"}]}},"result":0}"#,
            "2026-11-22T02:05:17.355Z Query a Authenticated 10.0.0.7:5 merge [shop.a hr.pay.y] Success",
        );
        check(
            r#"{"activity_id":2,"class_uid":6003,"time":1795313117355,"src_endpoint":{"interface":"unix","ip":"anonymous"},"actor":{"user":{"name":"admin.a"}},"api":{"operation":"find","request":{"uid":"shop.b"},"response":{"code":13,"error":"Unauthorized"}},"unmapped":{"args":{}},"status_id":2}"#,
            "2026-11-22T02:05:17.355Z Denied a Authenticated local:0 select [shop.b] Denied",
        );
        check(
            r#"{"activity_id":1,"class_uid":3002,"time":1795313117355,"src_endpoint":{"ip":"10.0.0.7","port":5},"user":{"name":"admin.a"},"status_id":2,"status_code":18}"#,
            "2026-11-22T02:05:17.355Z LoginFailed a Claimed 10.0.0.7:5 connect [] Denied",
        );
    }

    #[test]
    fn hostile() {
        for line in [r#"{"atype":"x","ts":"#, "[]", "{}", r#"{"ts":5}"#, r#"{"atype":5,"ts":1}"#] {
            check(line, "not an entry of mongodb's audit log");
        }
        check(r#"{"atype":"x","ts":"y"}"#, "unreadable time stamp");
    }
}
