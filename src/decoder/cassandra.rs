//! Cassandra's audit log: `FileAuditLogger` by way of logback (4.0 and later), DataStax Enterprise, YugabyteDB's YCQL, and Ericsson's ecAudit.
//!
//! ```text
//! INFO  [Native-Transport-Requests-7] 2026-11-27 10:01:55,330 FileAuditLogger.java:51 - user:web|host:/127.0.0.1:7000|source:/10.0.0.7|port:54640|timestamp:1795773715322|type:SELECT|category:QUERY|ks:shop|scope:orders|operation:SELECT * FROM shop.orders
//! I1127 10:01:55.330123 10725 audit_logger.cc:552] AUDIT: user:web|host:10.0.0.1:9042|source:10.0.0.7|port:54640|timestamp:1795773715322|type:SELECT|category:QUERY|ks:shop|scope:orders|operation:SELECT * FROM shop.orders
//! 2026-11-27T10:01:55.330Z - client:'10.0.0.7'|user:'web'|status:'ATTEMPT'|operation:'SELECT * FROM shop.orders'
//! ```
//! <https://cassandra.apache.org/doc/latest/cassandra/managing/operating/auditlogging.html>,
//! <https://docs.yugabyte.com/stable/secure/audit-logging/audit-logging-ycql/>,
//! <https://github.com/Ericsson/ecaudit>
//!
//! The statement is the last field and stands there as it came, line ends included. A statement that was understood is lexically
//! whole, so a line end inside one of its literals or comments ends no record, whatever follows looks like ([`record`]). A statement that was
//! not understood may be any text: behind one, records of others count only if they go on with a session that is known
//! ([`doubt`]).

use bstr::BStr;
use bumpalo::Bump;

use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::joined::Joined;
use crate::framing::seek::Seek;

pub mod doubt;
mod ecaudit;
pub mod record;

use doubt::Verdict;
use record::Audit;

pub const FORMAT: Format = Format {
    name: "cassandra-audit",
    about: "Cassandra audit log (FileAuditLogger, DataStax Enterprise, ecAudit) and that of YugabyteDB's YCQL, also inside system.log and yb-tserver.INFO",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Joined::<record::Lines>::new()), Box::new(Cassandra::new(options))),
    guide: Guide {
        system: "Apache Cassandra 4.0 to 5, DataStax Enterprise, ecAudit for Cassandra 3 and later, YugabyteDB (YCQL)",
        switch_on: "`audit_logging_options: { enabled: true, logger: [{ class_name: FileAuditLogger }] }` in cassandra.yaml (or `nodetool enableauditlog --logger FileAuditLogger`), and an appender for `org.apache.cassandra.audit` in logback.xml. Leave `key_value_separator` and `field_separator` as they are: records with others are not read, as a name could hold them. ecAudit needs `%d{ISO8601}` in its appender's pattern: its own has no date. YugabyteDB: `--ycql_enable_audit_log=true` for yb-tserver",
        fields: &[
            ("time", "`timestamp`, milliseconds since 1970; ecAudit: the line's start"),
            ("principal", "`user`; verified by the server, claimed for refused logins"),
            ("address", "`source`, `client`; seen by the server"),
            ("port", "`port`"),
            ("database", "`ks`"),
            ("session", "`source` and `port`"),
            ("statement", "`operation`"),
            ("operation", "`type` and the statement's first word"),
            ("objects", "`ks` and `scope` (DSE: `cf`), else the statement"),
            ("outcome", "`type`, `status`"),
            ("code", "`type` of refusals and failures"),
            ("kind", "`category` and `type`"),
        ],
        forgery: "A statement may hold line ends and whole records. Inside literals and comments of statements that were understood they are recognised for certain, and in the names of refused logins as far as the server masks what follows. Behind a statement that failed, records of other users count only for sessions known before, until one of these shows that the log goes on or a minute has passed; others are marked and name no token",
        ignored: "Other lines of yb-tserver's log. Lines of system.log and preparations of statements: kept as `other`. A batch of prepared statements has a record for each, and its own is `other`",
        source: "<https://cassandra.apache.org/doc/latest/cassandra/managing/operating/auditlogging.html>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..end)).unwrap_or(sample);
    let (mut lines, mut audit, mut system) = (0usize, 0usize, 0usize);
    for line in complete.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).take(200) {
        lines += 1;
        if Audit::read(line).is_some() || ecaudit::Row::read(line).is_some() {
            audit += 1;
        } else if record::prefix(line).is_some_and(|p| p.source.ends_with(b".java")) {
            system += 1;
        }
    }
    match (audit, system) {
        (0, 0) => Guess::NO,
        (0, _) => Guess::new(80, format!("{system} of {lines} lines are level, [thread], date, File.java:line - message")),
        _ => Guess::new(96, format!("{audit} of {lines} lines are audit records (user, source, type, operation)")),
    }
}

struct Cassandra {
    stamps: Timestamps,
    doubt: doubt::Doubt,
}

impl Cassandra {
    fn new(options: &Options) -> Self {
        Cassandra { stamps: Timestamps::new(options.zone.clone()), doubt: doubt::Doubt::default() }
    }
}

impl Decoder for Cassandra {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let bytes = record.bytes;
        let event = if let Some(audit) = Audit::read(bytes) {
            let Some(time) = audit.time() else { return Decoded::Reject("unreadable time stamp") };
            let mut event = Event::new(Kind::Other, time);
            event.suspect = record.suspect.or(audit.twice.then_some("a field stands twice in the record"));
            event.truncated = record.truncated;
            understand(&audit, &mut event, arena);
            let verdict = self.doubt.judge(&audit);
            if let Verdict::Doubtful(reason) = verdict {
                event.suspect.get_or_insert(reason);
            }
            if event.suspect.is_none() {
                self.doubt.learn(&audit, verdict);
            } else if let Some(principal) = &mut event.principal {
                principal.provenance = Provenance::Claimed;
            }
            event
        } else if let Some(row) = ecaudit::Row::read(bytes) {
            let time = self.stamps.parse(row.stamp).ok().or(record.note.time);
            let Some(time) = time else { return Decoded::Reject("no date: put %d{ISO8601} into ecAudit's pattern") };
            let mut event = Event::new(Kind::Other, time);
            event.suspect = record.suspect;
            event.truncated = record.truncated;
            row.understand(&mut event);
            event
        } else if let Some(prefix) = record::prefix(bytes) {
            if prefix.message.starts_with(b"user:") || prefix.message.starts_with(b"LogMessage: ") {
                return Decoded::Reject("torn audit record");
            }
            if prefix.stamp.is_empty() {
                return Decoded::Skip("another line of the server's log");
            }
            let Ok(time) = self.stamps.parse(prefix.stamp) else { return Decoded::Reject("unreadable time stamp") };
            Event { suspect: record.suspect, truncated: record.truncated, ..Event::new(Kind::Other, time) }
        } else {
            return match record::continues(bytes) {
                true => Decoded::Skip("part of a message"),
                false => Decoded::Reject("not a record of cassandra's logs"),
            };
        };
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.doubt).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(doubt) = postcard::from_bytes(state) {
            self.doubt = doubt;
        }
    }
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

/// Names that stand for nobody.
fn nobody(user: &[u8]) -> bool {
    matches!(user, b"" | b"null" | b"anonymous" | b"system")
}

fn understand<'a>(audit: &Audit<'a>, event: &mut Event<'a>, arena: &'a Bump) {
    let source = audit.source.part_last("/").map_or(audit.source, |(name, ip)| if ip.is_empty() { name } else { ip });
    (event.address, event.port) = peer(source);
    if audit.source.starts_with(b"/null") || source == b"null" {
        (event.address, event.port) = (None, None);
    }
    let port = std::str::from_utf8(audit.port).ok().and_then(|p| p.parse::<u16>().ok()).filter(|p| *p != 0);
    event.port = port.or(event.port);
    if !audit.port.is_empty() {
        let v6 = matches!(event.address, Some(Address::Ip(std::net::IpAddr::V6(_))));
        let (open, close) = if v6 { ("[", "]:") } else { ("", ":") };
        let text = |bytes: &'a [u8]| crate::decoder::json::pick::text(bytes, arena).as_bytes();
        let parts = [open.as_bytes(), text(source), close.as_bytes(), text(audit.port)];
        let mut session = bumpalo::collections::Vec::with_capacity_in(parts.iter().map(|part| part.len()).sum(), arena);
        parts.iter().for_each(|part| session.extend_from_slice_copy(part));
        event.session = Some(BStr::new(session.into_bump_slice()));
    }
    // GRANT writes resources: `ks:data/shop/*|scope:data/shop/orders`.
    let keyspace = audit.keyspace.strip_prefix(b"data/").and_then(|k| k.split(|b| *b == b'/').next()).unwrap_or(audit.keyspace);
    let scope = audit.scope.rsplit(|b| *b == b'/').next().unwrap_or_default();
    event.database = some(keyspace);
    event.principal = (!nobody(audit.user)).then(|| Principal { name: BStr::new(audit.user), provenance: Provenance::Authenticated });
    match audit.kind {
        b"LOGIN_SUCCESS" | b"LOGIN" => {
            event.kind = Kind::Login;
            event.operation = Some(Operation::Connect);
            event.outcome = Outcome::Success;
            return;
        }
        b"LOGIN_ERROR" => {
            event.kind = Kind::LoginFailed;
            event.operation = Some(Operation::Connect);
            event.outcome = Outcome::Denied;
            event.code = Some(BStr::new(audit.kind));
            event.principal = some(claimed(audit)).map(|name| Principal { name, provenance: Provenance::Claimed });
            return;
        }
        _ => {}
    }
    let (statement, error) = audit.statement();
    event.statement = some(statement);
    event.dialect = Dialect::Generic;
    let (operation, objects) = record::scope(audit.kind, statement, keyspace, scope, arena);
    event.operation = operation;
    event.objects = objects;
    (event.kind, event.outcome) = match audit.kind {
        b"UNAUTHORIZED_ATTEMPT" => (Kind::Denied, Outcome::Denied),
        b"REQUEST_FAILURE" => (Kind::Error, Outcome::Error),
        // The parts of a batch follow with records of their own.
        b"PREPARE_STATEMENT" | b"CQL_PREPARE_STATEMENT" => (Kind::Other, Outcome::Success),
        b"BATCH" if statement.starts_with(b"BatchId:[") => (Kind::Other, Outcome::Success),
        _ => (Kind::Query, Outcome::Success),
    };
    if matches!(event.outcome, Outcome::Denied | Outcome::Error) {
        event.code = Some(BStr::new(audit.kind));
        // Some versions tell refusals by their message only.
        if error.holds(" permission on <") || error.holds("sufficient privileges") {
            (event.kind, event.outcome) = (Kind::Denied, Outcome::Denied);
        }
    }
}

/// Who somebody tried to be: `LOGIN FAILURE; Provided username NAME and/or password ...`
fn claimed<'a>(audit: &Audit<'a>) -> &'a [u8] {
    let told = audit.operation.part("Provided username ").map(|(_, rest)| rest);
    let name = told.map(|rest| rest.part_last(" and/or password").map_or(rest, |(name, _)| name));
    // YugabyteDB puts it in quotes.
    let name = name.map(|name| name.strip_prefix(b"'").and_then(|name| name.strip_suffix(b"'")).unwrap_or(name));
    name.unwrap_or(if nobody(audit.user) { b"" } else { audit.user })
}

/// Milliseconds since 1970.
fn millis(text: &[u8]) -> Option<Time> {
    let plain = || text.iter().try_fold(0, |sum: i64, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')));
    let ms = if (1..=18).contains(&text.len()) { plain() } else { None };
    let ms = ms.or_else(|| std::str::from_utf8(text).ok()?.parse().ok())?;
    Some(Time(ms.checked_mul(1_000)?))
}

#[cfg(test)]
mod tests;
