//! Teleport's audit log: JSON lines of the Auth Service (`/var/lib/teleport/log/events.log`), the event handler and exports.
//!
//! ```text
//! {"addr.remote":"10.1.0.7:51022","cluster_name":"t.example.com","code":"TDB02I","db_name":"app","db_protocol":"postgres","db_query":"SELECT 1","db_service":"prod","db_user":"app_rw","event":"db.session.query","sid":"691e6f70","time":"2026-11-22T02:21:28.395Z","user":"ann"}
//! ```
//! <https://goteleport.com/docs/reference/audit-events/>
//!
//! **The token** is `user`, the person or bot that Teleport verified by certificate. `db_user`, the account that Teleport then uses in the database, may
//! be shared by many: it stands in the scope of a session's start (`connect SERVICE/DB_USER`), so an account that somebody never used before is seen.
//! The database's own log names `db_user` and the agent's address.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::json::pick::{self, Picked, Places, Value};
use super::json::sample;
use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

mod prepared;
mod wire;

use prepared::Prepared;

pub const FORMAT: Format = Format {
    name: "teleport-audit",
    about: "Teleport audit events: database sessions and queries, logins, certificates",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&["events"])), Box::new(Audit::new(options))),
    guide: Guide {
        system: "Teleport 6 and later",
        switch_on: "On by default: `/var/lib/teleport/log/events.log` on the Auth Service, or the event handler (`teleport-event-handler`) where the cluster keeps its events elsewhere",
        fields: &[
            ("time", "`time`"),
            ("principal", "`user` (of a certificate `identity.user`); verified by Teleport, claimed in a refused login"),
            ("address", "`addr.remote`, `identity.client_ip`; seen by Teleport"),
            ("port", "`addr.remote`"),
            ("database", "`db_name`, else `db_service`"),
            ("client", "`user_agent`; the client's own word"),
            ("session", "`sid`"),
            ("statement", "`db_query`; of a prepared statement the `query` of its parse event"),
            ("operation", "the statement, else the name of the event"),
            ("objects", "the statement; of a session's start `db_service/db_user`; else the kind of resource"),
            ("outcome", "`success` and `error`"),
            ("rows", "`affected_records`"),
            ("kind", "`event` and `success`"),
        ],
        forgery: "Nothing: Teleport writes it, and all text is escaped",
        ignored: "SSH, Kubernetes, desktop and application sessions, and the parts of a prepared statement before its execution: kept as `other`",
        source: "<https://goteleport.com/docs/reference/audit-events/>",
    },
};

const TIME: usize = 0;
const EVENT: usize = 1;
const CODE: usize = 2;
const USER: usize = 3;
const ADDRESS: usize = 4;
const AGENT: usize = 5;
const SUCCESS: usize = 6;
const ERROR: usize = 7;
const SID: usize = 8;
const DB_USER: usize = 9;
const DB_NAME: usize = 10;
const SERVICE: usize = 11;
const PROTOCOL: usize = 12;
const QUERY: usize = 13;
const STATEMENT: usize = 14;
const PORTAL: usize = 15;
const ROWS: usize = 16;
const PROCEDURE: usize = 17;
const TARGET: usize = 18;
const CERTIFICATE: usize = 19;
const CLUSTER: usize = 20;
const PARAMETERS: usize = 21;
const CHILDREN: usize = 22;
const METHOD: usize = 23;
const PATH: usize = 24;
const SLOTS: usize = 25;

fn places() -> Places {
    Places::new(&[
        ("/time", TIME),
        ("/event", EVENT),
        ("/code", CODE),
        ("/user", USER),
        ("/identity/user", USER),
        // Of a bot that joins.
        ("/user_name", USER),
        ("/addr.remote", ADDRESS),
        ("/addr_remote", ADDRESS),
        ("/identity/client_ip", ADDRESS),
        ("/user_agent", AGENT),
        ("/success", SUCCESS),
        ("/error", ERROR),
        ("/message", ERROR),
        ("/sid", SID),
        ("/db_user", DB_USER),
        ("/identity/route_to_database/username", DB_USER),
        ("/db_name", DB_NAME),
        ("/identity/route_to_database/database", DB_NAME),
        ("/db_service", SERVICE),
        ("/identity/route_to_database/service_name", SERVICE),
        ("/db_protocol", PROTOCOL),
        ("/db_query", QUERY),
        ("/query", QUERY),
        ("/args/sql", QUERY),
        ("/statement_name", STATEMENT),
        ("/portal_name", PORTAL),
        ("/affected_records", ROWS),
        ("/proc_name", PROCEDURE),
        ("/procedure", PROCEDURE),
        ("/target", TARGET),
        ("/cert_type", CERTIFICATE),
        ("/cluster_name", CLUSTER),
        ("/parameters", PARAMETERS),
        ("/children", CHILDREN),
        ("/method", METHOD),
        ("/path", PATH),
    ])
    .raw("/children")
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let known = |picked: &Picked<'_>| {
        let code =
            picked.text(CODE).is_some_and(|code| code.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'T')) && code.len() >= 5);
        code && picked.get(TIME).is_some() && picked.text(EVENT).is_some_and(|event| event == "auth" || event.contains(&b'.'))
    };
    sample::guess(sample, &["events"], places, SLOTS, known, 95, "Teleport's events")
}

struct Audit {
    places: Places,
    stamps: Timestamps,
    prepared: Prepared,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), stamps: Timestamps::new(options.zone.clone()), prepared: Prepared::default() }
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let Some(name) = picked.text(EVENT) else { return Decoded::Reject("no event of Teleport") };
        let Some(stamp) = picked.text(TIME) else { return Decoded::Reject("no time stamp") };
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        (event.address, event.port) = picked.text(ADDRESS).map_or((None, None), |address| peer(address));
        event.client = picked.text(AGENT);
        event.session = picked.text(SID);
        event.database = picked.text(DB_NAME).or(picked.text(SERVICE));
        event.rows = picked.count(ROWS);
        event.outcome = outcome(name, &picked);
        let act = act(name);
        if let Act::Run | Act::Text | Act::Batch | Act::Parse | Act::Bind | Act::Execute = act {
            event.dialect = dialect(picked.text(PROTOCOL));
        }
        event.kind = match act {
            Act::Login if event.outcome == Outcome::Success => Kind::Login,
            Act::Login => Kind::LoginFailed,
            Act::End => Kind::Logout,
            Act::None | Act::Parse | Act::Bind => Kind::Other,
            _ => match event.outcome {
                Outcome::Denied => Kind::Denied,
                Outcome::Error => Kind::Error,
                _ if matches!(act, Act::Start) => Kind::Login,
                _ => Kind::Query,
            },
        };
        let provenance = if event.kind == Kind::LoginFailed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = picked.text(USER).map(|name| Principal { name, provenance });
        let session = event.session.unwrap_or_default();
        let own = |slot: usize| picked.text(slot).unwrap_or_default();
        match act {
            Act::Text => {
                event.statement = picked.text(QUERY);
                let scope = match (picked.text(PROTOCOL).map(|protocol| protocol.as_bytes()), event.statement) {
                    (Some(b"mongodb"), Some(text)) => wire::mongodb(text, own(DB_NAME), arena),
                    (Some(b"redis"), Some(text)) => Some(wire::redis(text, arena)),
                    _ => None,
                };
                if let Some((operation, objects)) = scope {
                    (event.operation, event.objects) = (Some(operation), objects);
                }
            }
            Act::Batch => {
                event.dialect = Dialect::Generic;
                event.statement = match picked.get(CHILDREN) {
                    Some(Value::Raw(children)) => wire::batch(children.as_bytes(), arena),
                    _ => None,
                };
            }
            Act::Parse => self.prepared.parse(session, own(STATEMENT), own(QUERY)),
            Act::Bind => self.prepared.bind(session, own(PORTAL), own(STATEMENT)),
            Act::Execute => event.statement = self.prepared.text(session, own(PORTAL), arena),
            Act::End => self.prepared.forget(session),
            Act::Start => {
                event.operation = Some(Operation::Connect);
                event.objects = one(&[own(SERVICE), "/".into(), own(DB_USER)], arena);
            }
            Act::Login => event.operation = Some(Operation::Connect),
            Act::Certificate => {
                event.operation = Some(Operation::Create);
                event.objects = match picked.text(SERVICE) {
                    Some(service) => one(&["certificate:".into(), service, "/".into(), own(DB_USER)], arena),
                    None => one(&["certificate:".into(), own(CERTIFICATE)], arena),
                };
            }
            // Drivers send parameterised statements through a procedure, whose first argument they are.
            Act::Procedure if own(PROCEDURE).eq_ignore_ascii_case(b"sp_executesql") && picked.get(PARAMETERS).is_some() => {
                event.dialect = Dialect::Generic;
                event.statement = picked.list(PARAMETERS, arena).first().copied();
            }
            Act::Procedure if picked.get(QUERY).is_some() => {
                event.dialect = Dialect::Generic;
                event.statement = picked.text(QUERY);
            }
            Act::Procedure => {
                event.operation = Some(Operation::Call);
                event.objects = one(&[own(PROCEDURE)], arena);
            }
            Act::Target => {
                let (path, method) = (own(PATH), own(METHOD));
                let target = own(TARGET).part_last(".").map_or(own(TARGET), |(_, action)| BStr::new(action));
                let dynamodb = name == "db.session.dynamodb.request";
                event.operation = Some(if dynamodb { wire::dynamodb(target) } else { wire::search(method, path) });
                let target = if target.is_empty() { path } else { target };
                event.objects = one(&[picked.text(PROTOCOL).unwrap_or("dynamodb".into()), ":".into(), target], arena);
            }
            Act::Resource(operation, kind) => {
                event.operation = Some(operation);
                event.objects = one(&[kind], arena);
            }
            Act::Run | Act::None => {}
        }
        // What was torn off may have been the error.
        if end.is_err() && event.outcome == Outcome::Success {
            event.outcome = Outcome::Unknown;
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.prepared.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.prepared = Prepared::restore(state);
    }
}

/// What an event is about.
#[derive(Clone, Copy)]
enum Act<'a> {
    /// A session with a database begins.
    Start,
    End,
    /// A statement with its text.
    Text,
    /// Several statements.
    Batch,
    /// Something was run whose text the log does not tell.
    Run,
    Parse,
    Bind,
    Execute,
    Procedure,
    Target,
    Login,
    Certificate,
    /// A resource of Teleport itself was changed: its kind.
    Resource(Operation, &'a BStr),
    None,
}

fn act(event: &BStr) -> Act<'_> {
    match event.as_bytes() {
        b"db.session.start" => Act::Start,
        b"db.session.end" => Act::End,
        b"db.session.query" | b"db.session.query.failed" | b"db.session.mysql.statements.prepare" => Act::Text,
        b"db.session.postgres.statements.parse" | b"db.session.cassandra.prepare" => Act::Parse,
        b"db.session.postgres.statements.bind" => Act::Bind,
        b"db.session.postgres.statements.execute" => Act::Execute,
        b"db.session.sqlserver.rpc_request" | b"db.session.spanner.rpc" => Act::Procedure,
        b"db.session.dynamodb.request" | b"db.session.elasticsearch.request" | b"db.session.opensearch.request" => Act::Target,
        b"db.session.postgres.function_call"
        | b"db.session.mysql.statements.execute"
        | b"db.session.mysql.statements.bulk_execute"
        | b"db.session.mysql.create_db"
        | b"db.session.mysql.drop_db"
        | b"db.session.mysql.shut_down"
        | b"db.session.mysql.process_kill"
        | b"db.session.mysql.refresh"
        | b"db.session.cassandra.execute" => Act::Run,
        b"db.session.cassandra.batch" => Act::Batch,
        b"user.login" | b"auth" | b"bot.join" => Act::Login,
        b"cert.create" => Act::Certificate,
        _ if event.starts_with(b"db.session.") || event.starts_with(b"session.") => Act::None,
        other => {
            let Some((kind, verb)) = other.part_last(".") else { return Act::None };
            let operation = match verb {
                b"create" | b"created" => Operation::Create,
                b"update" | b"updated" => Operation::Alter,
                b"delete" | b"deleted" => Operation::Drop,
                _ => return Act::None,
            };
            Act::Resource(operation, BStr::new(kind))
        }
    }
}

fn outcome(event: &BStr, picked: &Picked<'_>) -> Outcome {
    let failed = match picked.get(SUCCESS) {
        Some(Value::Bool(success)) => !success,
        _ if event == "user.login" || event == "auth" => true,
        // Only events of a failure have an error; codes of warnings are those of failures too.
        _ => event.ends_with(b".failed") || event.starts_with(b"db.session.") && picked.get(ERROR).is_some(),
    };
    let refused = || picked.text(ERROR).is_some_and(|error| error.holds("denied"));
    match failed {
        false => Outcome::Success,
        true if refused() || event == "db.session.start" || event == "user.login" || event == "auth" => Outcome::Denied,
        true => Outcome::Error,
    }
}

fn dialect(protocol: Option<&BStr>) -> Dialect {
    match protocol.map(|protocol| protocol.as_bytes()) {
        Some(b"postgres" | b"cockroachdb") => Dialect::Postgres,
        Some(b"mysql") => Dialect::MySql,
        Some(b"mongodb" | b"redis" | b"elasticsearch" | b"opensearch" | b"dynamodb") => Dialect::None,
        _ => Dialect::Generic,
    }
}

/// One object of these parts; none where they are all empty.
fn one<'a>(parts: &[&BStr], arena: &'a Bump) -> &'a [&'a BStr] {
    let mut text = bumpalo::collections::Vec::new_in(arena);
    for part in parts {
        text.extend_from_slice(part);
    }
    if text.iter().all(|byte| *byte == b'/') {
        return &[];
    }
    arena.alloc_slice_copy(&[BStr::new(text.into_bump_slice())])
}

#[cfg(test)]
mod tests;
