//! Cloud SQL's and AlloyDB's audit: pgaudit's and the MySQL plugin's records as Data Access logs of Google Cloud.
//!
//! ```text
//! {"@type":"type.googleapis.com/google.cloud.audit.AuditLog","methodName":"cloudsql.instances.query","request":{"@type":"type.googleapis.com/google.cloud.sql.audit.v1.PgAuditEntry","auditClass":"READ","command":"SELECT","database":"app","user":"web","statement":"select 1",...}}
//! ```
//!
//! This is what stands under `protoPayload` in a LogEntry; the envelope around it is opened before (see [`crate::framing::envelope::cloud`])
//! and has the time. A statement that is too long comes in chunks, which are joined. The address of a client of PostgreSQL is not in it.
//! <https://cloud.google.com/sql/docs/postgres/pg-audit>, <https://cloud.google.com/sql/docs/mysql/db-audit>

use std::borrow::Cow;
use std::collections::BTreeMap;

use bstr::BStr;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::lines::Lines;

pub const FORMAT: Format = Format {
    name: "cloudsql-audit",
    about: "audit of Cloud SQL and AlloyDB (pgaudit and MySQL) as Data Access logs",
    forgeable: false,
    sniff,
    open: |_, _| (Box::new(Lines::new()), Box::new(Audit::default())),
    guide: Guide {
        system: "Cloud SQL for PostgreSQL and MySQL, AlloyDB",
        switch_on: "PostgreSQL: the flags `cloudsql.enable_pgaudit=on` (AlloyDB: `alloydb.enable_pgaudit`) and `pgaudit.log=all`, and `CREATE EXTENSION pgaudit`; MySQL: the flag `cloudsql_mysql_audit=ON` and rules; Data Access logs of the Cloud SQL API; a sink that exports them",
        fields: &[
            ("time", "`timestamp` of the LogEntry"),
            ("principal", "`request.user`; the server verified it"),
            ("address", "MySQL: `request.ip`; PostgreSQL: absent"),
            ("database", "`request.database`; MySQL: of the first object"),
            ("session", "`request.databaseSessionId`; MySQL: `request.threadId`, `request.connectionId`"),
            ("statement", "`request.statement`, `request.query`, joined from its chunks"),
            ("operation", "the statement, else `request.command`, `request.cmd`"),
            ("objects", "`request.object`, `request.objects`, else the statement"),
            ("outcome", "PostgreSQL: unknown (a refused statement is not in it); MySQL: `request.errCode`, `request.status`"),
            ("code", "MySQL: `request.errCode`, `request.status`"),
            ("kind", "`request.@type`, `request.cmd`"),
        ],
        forgery: "No record of another: all client text is escaped",
        ignored: "Nothing",
        source: "<https://cloud.google.com/sql/docs/postgres/pg-audit>",
    },
};

const PG: &str = "PgAuditEntry";
const MYSQL: &str = "MysqlAuditEntry";

/// Statements in chunks that are open at a time, and the bytes of one.
const OPEN: usize = 256;
const LONGEST: usize = 1 << 20;

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let first = sample.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let has = |text: &str| memchr::memmem::find(first, text.as_bytes()).is_some();
    // Inside a LogEntry it is not ours yet.
    if !first.starts_with(b"{") || has("\"logName\"") || !has("\"request\"") || !(has(PG) || has(MYSQL)) {
        return Guess::NO;
    }
    Guess::new(95, "the payload of a Data Access log with an entry of pgaudit or of MySQL's audit")
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

/// Numbers come as text where Google's JSON of 64-bit integers is followed.
#[derive(Deserialize, Default, Clone, PartialEq)]
#[serde(untagged)]
enum Number {
    Is(i64),
    Text(String),
    #[default]
    Nothing,
}

impl Number {
    fn get(&self) -> Option<i64> {
        match self {
            Number::Is(number) => Some(*number),
            Number::Text(text) => text.parse().ok(),
            Number::Nothing => None,
        }
    }

    fn says(&self, word: &str) -> bool {
        matches!(self, Number::Text(text) if text.eq_ignore_ascii_case(word))
    }
}

#[derive(Deserialize, Default)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, rename = "@type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    user: Text<'a>,
    #[serde(borrow, default)]
    database: Text<'a>,
    #[serde(borrow, default)]
    statement: Text<'a>,
    #[serde(borrow, default)]
    query: Text<'a>,
    #[serde(borrow, default)]
    command: Text<'a>,
    #[serde(borrow, default)]
    cmd: Text<'a>,
    #[serde(borrow, default)]
    object: Text<'a>,
    #[serde(borrow, default)]
    objects: Vec<Object<'a>>,
    #[serde(borrow, default)]
    ip: Text<'a>,
    #[serde(default, rename = "databaseSessionId")]
    session: Number,
    #[serde(default, rename = "connectionId", alias = "threadId")]
    connection: Number,
    #[serde(default, rename = "statementId")]
    statement_id: Number,
    #[serde(default, rename = "substatementId")]
    substatement_id: Number,
    #[serde(default, rename = "chunkIndex")]
    chunk: Number,
    #[serde(default, rename = "chunkCount")]
    chunks: Number,
    /// A word or a number.
    #[serde(default)]
    status: Number,
    #[serde(default, rename = "errCode")]
    code: Number,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    db: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
}

/// Chunks by server, session, statement and substatement.
type Key = (String, i64, i64, i64);

#[derive(Default, Serialize, Deserialize)]
struct Audit {
    open: BTreeMap<Key, Chunks>,
}

#[derive(Default, Serialize, Deserialize)]
struct Chunks {
    text: String,
    next: i64,
}

impl Audit {
    /// The whole statement if this was its last chunk; and whether one is missing.
    fn join(&mut self, key: Key, index: i64, count: i64, text: &str) -> Option<(String, bool)> {
        if self.open.len() >= OPEN && !self.open.contains_key(&key) {
            self.open.pop_first();
        }
        let chunks = self.open.entry(key.clone()).or_default();
        // The first is 1; an old statement of the same number makes way.
        if index <= 1 {
            *chunks = Chunks { text: String::new(), next: index };
        }
        let missing = chunks.next != index && !(chunks.next == 0 && index == 1) || chunks.text.len() > LONGEST;
        chunks.next = if missing { i64::MIN } else { index + 1 };
        if chunks.text.len() <= LONGEST {
            chunks.text.push_str(text);
        }
        if index < count {
            return None;
        }
        let missing = chunks.next == i64::MIN;
        self.open.remove(&key).map(|chunks| (chunks.text, missing))
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let text: &'a str = match String::from_utf8_lossy(record.bytes) {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => arena.alloc_str(&text),
        };
        let request = match serde_json::from_str::<Payload<'a>>(text) {
            Ok(payload) => payload.request,
            Err(_) if record.truncated => return Decoded::Reject("record cut by the size limit"),
            Err(_) => return Decoded::Reject("not an audit entry of Cloud SQL"),
        };
        let Some(time) = record.note.time else { return Decoded::Reject("no time: the log entry around it is missing") };
        if request.kind.ends_with(PG) {
            self.postgres(request, time, &record, arena)
        } else if request.kind.ends_with(MYSQL) {
            Decoded::Event(mysql(request, time, arena))
        } else {
            Decoded::Event(Event::new(Kind::Other, time))
        }
    }

    fn save(&self) -> Vec<u8> {
        if self.open.is_empty() { Vec::new() } else { postcard::to_stdvec(self).unwrap_or_default() }
    }

    fn restore(&mut self, state: &[u8]) {
        *self = postcard::from_bytes(state).unwrap_or_default();
    }
}

/// Text for as long as the arena lasts; none where it is empty or says that it was not logged.
fn keep<'a>(text: Text<'a>, arena: &'a Bump) -> Option<&'a BStr> {
    let text = match text.0 {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => arena.alloc_str(&text),
    };
    (!matches!(text, "" | "[not logged]" | "<not logged>" | "<previously logged>" | "[unknown]")).then(|| BStr::new(text))
}

fn verified(name: &BStr) -> Principal<'_> {
    Principal { name, provenance: Provenance::Authenticated }
}

fn session<'a>(number: &Number, arena: &'a Bump) -> Option<&'a BStr> {
    number.get().map(|number| BStr::new(arena.alloc_str(&number.to_string())))
}

impl Audit {
    fn postgres<'a>(&mut self, request: Request<'a>, time: Time, record: &Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let mut event = Event::new(Kind::Query, time);
        event.truncated = record.truncated;
        event.session = session(&request.session, arena);
        event.dialect = Dialect::Postgres;
        event.statement = match (request.chunk.get(), request.chunks.get()) {
            (Some(index), Some(count)) if count > 1 => {
                let host = record.note.host.map(ToString::to_string).unwrap_or_default();
                let number = |number: &Number| number.get().unwrap_or(0);
                let key = (host, number(&request.session), number(&request.statement_id), number(&request.substatement_id));
                match self.join(key, index, count, &request.statement.0) {
                    None => return Decoded::Skip("a part of a statement, joined with the next"),
                    Some((text, missing)) => {
                        event.truncated |= missing;
                        Some(BStr::new(arena.alloc_str(&text)))
                    }
                }
            }
            _ => keep(request.statement, arena),
        };
        event.principal = keep(request.user, arena).map(verified);
        event.database = keep(request.database, arena);
        if event.statement.is_none() {
            let word = request.command.0.split(' ').next().unwrap_or_default();
            event.operation = Some(Operation::from_name(word).unwrap_or(Operation::Other));
        }
        if let Some(object) = keep(request.object, arena) {
            event.objects = arena.alloc_slice_copy(&[object]);
        }
        Decoded::Event(event)
    }
}

fn mysql<'a>(request: Request<'a>, time: Time, arena: &'a Bump) -> Event<'a> {
    let status = request.code.get().or(request.status.get());
    let failed = request.status.says("unsuccessful");
    let outcome = match status {
        None if failed => Outcome::Error,
        None if request.status.says("successful") => Outcome::Success,
        Some(0) if failed => Outcome::Error,
        Some(0) => Outcome::Success,
        Some(1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1698 | 3118) => Outcome::Denied,
        Some(_) => Outcome::Error,
        None => Outcome::Unknown,
    };
    let cmd = request.cmd.0.to_ascii_lowercase();
    let kind = match (cmd.as_str(), outcome) {
        ("connect" | "change_user", Outcome::Denied | Outcome::Error) => Kind::LoginFailed,
        ("connect" | "change_user", _) => Kind::Login,
        ("failed login", _) => Kind::LoginFailed,
        ("quit" | "disconnect", _) => Kind::Logout,
        (_, Outcome::Denied) => Kind::Denied,
        (_, Outcome::Error) => Kind::Error,
        _ => Kind::Query,
    };
    let mut event = Event::new(kind, time);
    event.outcome = outcome;
    event.session = session(&request.connection, arena);
    event.code = status.map(|status| BStr::new(arena.alloc_str(&status.to_string())));
    let provenance = if kind == Kind::LoginFailed { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = keep(request.user, arena).map(|name| Principal { name, provenance });
    event.address = keep(request.ip, arena).and_then(|ip| Address::parse(ip));
    if matches!(kind, Kind::Login | Kind::LoginFailed) {
        event.operation = Some(Operation::Connect);
    } else if kind != Kind::Logout {
        event.statement = keep(request.query, arena);
        event.dialect = Dialect::MySql;
        if event.statement.is_none() {
            event.operation = Some(Operation::from_name(cmd.split('_').next().unwrap_or_default()).unwrap_or(Operation::Other));
        }
    }
    let mut objects = bumpalo::collections::Vec::new_in(arena);
    for object in request.objects {
        let db = keep(object.db, arena);
        event.database = event.database.or(db);
        if let Some(name) = keep(object.name, arena) {
            let full = db.map_or_else(|| name.to_string(), |db| format!("{db}.{name}"));
            objects.push(BStr::new(arena.alloc_str(&full)));
        }
    }
    if !matches!(kind, Kind::Login | Kind::LoginFailed | Kind::Logout) {
        event.objects = objects.into_bump_slice();
    }
    event.database = event.database.or(keep(request.database, arena));
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::envelope::Note;

    fn entry(fields: &str) -> String {
        format!(
            r#"{{"@type":"t","methodName":"cloudsql.instances.query","request":{{"@type":"type.googleapis.com/google.cloud.sql.audit.v1.PgAuditEntry","user":"web","database":"app","databaseSessionId":7,{fields}}}}}"#
        )
    }

    fn show(audit: &mut Audit, record: &str) -> String {
        let arena = Bump::new();
        let note = Note { time: Some(Time(1)), ..Note::default() };
        match audit.decode(Record { note, ..Record::new(record.as_bytes()) }, &arena) {
            Decoded::Event(e) => {
                let text = |t: Option<&BStr>| t.map_or("-".to_owned(), ToString::to_string);
                let objects: Vec<String> = e.objects.iter().map(ToString::to_string).collect();
                let name = e.principal.map(|p| format!("{} {:?}", p.name, p.provenance)).unwrap_or_default();
                let code = text(e.code);
                format!("{:?} {name} {} {} {objects:?} {:?} {code} {}", e.kind, text(e.database), text(e.statement), e.outcome, e.truncated)
            }
            Decoded::Reject(reason) => format!("rejected: {reason}"),
            Decoded::Skip(reason) => format!("skipped: {reason}"),
        }
    }

    #[test]
    fn entries_of_pgaudit() {
        let mut audit = Audit::default();
        let got =
            show(&mut audit, &entry(r#""statement":"select \"a\"","object":"public.t","command":"SELECT","chunkIndex":1,"chunkCount":1"#));
        assert_eq!(got, "Query web Authenticated app select \"a\" [\"public.t\"] Unknown - false");
        let got = show(&mut audit, &entry(r#""statement":"[not logged]","command":"DROP TABLE""#));
        assert_eq!(got, "Query web Authenticated app - [] Unknown - false");
        for bad in ["", "{", "[]", "7", r#"{"request":7}"#, r#"{"request":{}}"#] {
            assert_eq!(show(&mut audit, bad), "rejected: not an audit entry of Cloud SQL", "{bad}");
        }
    }

    #[test]
    fn chunks_are_joined() {
        let chunk = |index: i64, text: &str| {
            entry(&format!(r#""statementId":"3","substatementId":1,"chunkIndex":"{index}","chunkCount":3,"statement":"{text}""#))
        };
        let part = "skipped: a part of a statement, joined with the next";
        let mut audit = Audit::default();
        assert_eq!(show(&mut audit, &chunk(1, "select ")), part);
        let mut next = Audit::default();
        next.restore(&audit.save());
        assert_eq!(show(&mut next, &chunk(2, "1, ")), part);
        assert_eq!(show(&mut next, &chunk(3, "2")), "Query web Authenticated app select 1, 2 [] Unknown - false");
        assert!(next.save().is_empty());
        // One is missing.
        assert_eq!(show(&mut next, &chunk(1, "select ")), part);
        assert_eq!(show(&mut next, &chunk(3, "2")), "Query web Authenticated app select 2 [] Unknown - true");
    }

    #[test]
    fn entries_of_mysql() {
        let mysql = |fields: &str| entry(fields).replace(PG, MYSQL);
        let mut audit = Audit::default();
        let got = show(
            &mut audit,
            &mysql(
                r#""cmd":"select","query":"select 1 from t","status":0,"ip":"10.1.0.7","objects":[{"db":"app","name":"t","objType":"TABLE"}]"#,
            ),
        );
        assert_eq!(got, "Query web Authenticated app select 1 from t [\"app.t\"] Success 0 false");
        let got = show(&mut audit, &mysql(r#""cmd":"connect","status":"1045","ip":"10.1.0.7""#));
        assert_eq!(got, "LoginFailed web Claimed app - [] Denied 1045 false");
        let got = show(&mut audit, &mysql(r#""cmd":"connect","status":"unsuccessful","errCode":"1045","threadId":"9""#));
        assert_eq!(got, "LoginFailed web Claimed app - [] Denied 1045 false");
        let got = show(&mut audit, &mysql(r#""cmd":"select","query":"select 1","status":"successful","threadId":"9""#));
        assert_eq!(got, "Query web Authenticated app select 1 [] Success - false");
        let got = show(&mut audit, &mysql(r#""cmd":"select","query":"select x","status":"unsuccessful","errCode":"0""#));
        assert_eq!(got, "Error web Authenticated app select x [] Error 0 false");
    }
}
