//! ScyllaDB's audit, as it sends it to syslog (or prints it).
//!
//! ```text
//! Nov 22 02:21:28 node1 scylla-audit: node="10.0.0.5:0", category="QUERY", cl="ONE", error="false", keyspace="shop", query="SELECT * FROM invoices", client_ip="10.1.0.7:0", table="invoices", username="billing"
//! Nov 22 02:21:28 node1 scylla-audit[4711]: "10.0.0.5:0", "QUERY", "ONE", "invoices", "shop", "SELECT * FROM invoices", "10.1.0.7:0", "billing", "false"
//! ```
//! The second form, of 2024.2 and before, has no names: node, category, consistency, table, keyspace, statement, client, user, error.
//! Of a login the query is empty, and `error` tells whether it was refused. A statement that failed does not say why.
//! <https://docs.scylladb.com/manual/stable/operating-scylla/security/auditing.html>, `audit/audit_syslog_storage_helper.cc` of
//! <https://github.com/scylladb/scylladb>. Versions differ in whether commas stand between the fields, and whether quotes in a statement have
//! backslashes. Both can be read in one way only: names of keyspaces and tables hold no quotes, and of a login, where the name is the client's
//! word, nothing else is.

use bstr::BStr;
use bumpalo::Bump;

use super::peer::peer;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "scylla-audit",
    about: "ScyllaDB audit by syslog or on standard output",
    forgeable: true,
    sniff,
    open: |_, _| (Box::new(Lines::new()), Box::new(Scylla)),
    guide: Guide {
        system: "ScyllaDB Enterprise 2018 to 2024, ScyllaDB 2025 and later",
        switch_on: "`audit: \"syslog\"` and `audit_categories: \"AUTH,DCL,DDL,ADMIN,QUERY,DML\"` with `audit_keyspaces` in scylla.yaml, and a relay that keeps its lines",
        fields: &[
            ("time", "the relay's"),
            ("principal", "`username`; verified by the server, claimed for refused logins"),
            ("address", "`client_ip`; seen by the server"),
            ("database", "`keyspace`"),
            ("statement", "`query`"),
            ("operation", "the statement"),
            ("objects", "`keyspace` and `table`, else the statement"),
            ("outcome", "`error`; of a statement it does not tell a refusal from another error"),
            ("kind", "`category`"),
        ],
        forgery: "Whoever reaches the relay can send any record. Fields behind the statement are read from the end, where no statement can write",
        ignored: "Lines of the relay that are no records",
        source: "<https://docs.scylladb.com/manual/stable/operating-scylla/security/auditing.html>",
    },
};

/// What a record begins with, and what one without names does.
const BEGIN: &[u8] = b"node=\"";
const BARE: &[u8] = b"\"";

/// The categories, as the server writes them.
const CATEGORIES: [&[u8]; 6] = [b"AUTH", b"DCL", b"DDL", b"DML", b"ADMIN", b"QUERY"];

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let lines = || sample.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(50);
    let (all, good) = (lines().count(), lines().filter(|line| Audit::read(line).is_some()).count());
    match good {
        0 => Guess::NO,
        good if good * 2 >= all => Guess::new(95, format!("{good} of {all} lines are records of ScyllaDB's audit")),
        good => Guess::new(40, format!("only {good} of {all} lines are records of ScyllaDB's audit")),
    }
}

struct Audit<'a> {
    category: &'a [u8],
    failed: bool,
    keyspace: &'a [u8],
    query: &'a [u8],
    client: &'a [u8],
    table: &'a [u8],
    user: &'a [u8],
}

impl<'a> Audit<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let line = line.trim_ascii_end();
        if line.starts_with(BARE) {
            return Self::bare(line);
        }
        let (_, rest) = field(line.starts_with(BEGIN).then_some(line)?, b"node=\"")?;
        let (category, rest) = field(rest, b"category=\"")?;
        let (_, rest) = field(rest, b"cl=\"")?;
        let (error, rest) = field(rest, b"error=\"")?;
        let (keyspace, rest) = field(rest, b"keyspace=\"")?;
        let failed = failed(error)?;
        let rest = rest.strip_suffix(b"\"")?;
        // Of a login all that is left may be the client's name for himself; else that was verified, and the statement is the client's.
        let (query, client, table, user) = match (category, field(rest, b"query=\"")?) {
            (b"AUTH", (b"", rest)) => {
                let (client, rest) = field(rest, b"client_ip=\"")?;
                let (table, rest) = field(rest, b"table=\"")?;
                (&b""[..], client, table, rest.strip_prefix(b"username=\"")?)
            }
            _ => {
                let (rest, user) = last(rest, b" username=\"")?;
                let (rest, table) = last(rest, b" table=\"")?;
                let (rest, client) = last(rest, b" client_ip=\"")?;
                (rest.strip_prefix(b"query=\"")?, client, table, user)
            }
        };
        Some(Audit { category, failed, keyspace, query, client, table, user })
    }

    /// The form without names.
    fn bare(line: &'a [u8]) -> Option<Self> {
        let (_, rest) = field(line, BARE)?;
        let (category, rest) = field(rest, BARE)?;
        let (_, rest) = field(rest, BARE)?;
        let (table, rest) = field(rest, BARE)?;
        let (keyspace, rest) = field(rest, BARE)?;
        let (rest, error) = last(rest.strip_suffix(b"\"")?, b" \"")?;
        let failed = failed(error).filter(|_| CATEGORIES.contains(&category))?;
        let (query, client, user) = match (category, field(rest, BARE)?) {
            // As above: the name of a login is all that is left.
            (b"AUTH", (b"", rest)) => {
                let (client, rest) = field(rest, BARE)?;
                (&b""[..], client, rest.strip_prefix(BARE)?)
            }
            _ => {
                let (rest, user) = last(rest, b" \"")?;
                let (rest, client) = last(rest, b" \"")?;
                (rest.strip_prefix(BARE)?, client, user)
            }
        };
        Some(Audit { category, failed, keyspace, query, client, table, user })
    }
}

fn failed(error: &[u8]) -> Option<bool> {
    match error {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// The value behind `key` at the start of `text`, and what follows.
fn field<'a>(text: &'a [u8], key: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let text = text.strip_prefix(key)?;
    let end = memchr::memchr(b'"', text)?;
    let rest = text.get(end + 1..)?;
    Some((text.get(..end)?, rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start()))
}

/// What stands before the last `key`, and the value behind it.
fn last<'a>(text: &'a [u8], key: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.seek_last(key)?;
    let before = text.get(..at)?;
    Some((before.strip_suffix(b",").unwrap_or(before).strip_suffix(b"\"")?, text.get(at + key.len()..)?))
}

/// A statement without the backslashes before quotes.
fn unescaped<'a>(query: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if memchr::memchr(b'\\', query).is_none() {
        return query;
    }
    let mut out = bumpalo::collections::Vec::with_capacity_in(query.len(), arena);
    let mut rest = query;
    while let [first, after @ ..] = rest {
        let (byte, used) = match (first, after) {
            (b'\\', [quoted @ (b'"' | b'\\'), ..]) => (*quoted, 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            _ => (*first, 1),
        };
        out.push(byte);
        rest = rest.get(used..).unwrap_or_default();
    }
    out.into_bump_slice()
}

struct Scylla;

impl Decoder for Scylla {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        if !record.bytes.starts_with(BEGIN) && !record.bytes.starts_with(BARE) {
            return Decoded::Skip("no record of the audit");
        }
        let Some(audit) = Audit::read(record.bytes) else { return Decoded::Reject("a record of ScyllaDB's audit that is not whole") };
        let Some(time) = record.note.time else { return Decoded::Reject("no time: the relay gave none") };
        let login = audit.category == b"AUTH" && audit.query.is_empty();
        let (kind, outcome) = match (login, audit.failed) {
            (true, true) => (Kind::LoginFailed, Outcome::Denied),
            (true, false) => (Kind::Login, Outcome::Success),
            (false, true) => (Kind::Error, Outcome::Error),
            (false, false) => (Kind::Query, Outcome::Success),
        };
        let some = |text: &'a [u8]| (!text.is_empty()).then(|| BStr::new(text));
        let mut event = Event::new(kind, time);
        event.outcome = outcome;
        event.suspect = record.suspect;
        event.truncated = record.truncated;
        let provenance = if kind == Kind::LoginFailed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = some(audit.user).filter(|user| *user != "anonymous").map(|name| Principal { name, provenance });
        (event.address, event.port) = peer(audit.client);
        event.database = some(audit.keyspace);
        if login {
            event.operation = Some(Operation::Connect);
            return Decoded::Event(event);
        }
        event.statement = some(unescaped(audit.query, arena));
        event.dialect = Dialect::Generic;
        if !audit.keyspace.is_empty() && !audit.table.is_empty() {
            let name = arena.alloc_slice_copy(&[audit.keyspace, audit.table].join(&b'.'));
            event.objects = arena.alloc_slice_copy(&[BStr::new(name)]);
        }
        Decoded::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<[String; 4]> {
        let audit = Audit::read(line.as_bytes())?;
        Some([audit.query, audit.client, audit.table, audit.user].map(|part| String::from_utf8_lossy(part).into_owned()))
    }

    #[test]
    fn fields_behind_the_statement() {
        let head = r#"node="10.0.0.5:0", category="QUERY", cl="ONE", error="false", keyspace="shop", "#;
        let forged = r#"SELECT 1 /* ", client_ip="6.6.6.6", table="x", username="root */"#;
        let at_once = r#"", client_ip="6.6.6.6", table="x", username="root"#;
        for query in ["SELECT 1", r#"SELECT \"A\" FROM t"#, forged, at_once, ""] {
            let line = format!(r#"{head}query="{query}", client_ip="10.1.0.7:0", table="t", username="billing""#);
            assert_eq!(read(&line), Some([query, "10.1.0.7:0", "t", "billing"].map(str::to_owned)));
            assert_eq!(read(&line.replace("\", ", "\" ")).map(|parts| parts[3].clone()), Some("billing".to_owned()));
        }
    }

    #[test]
    fn records_without_names() {
        let head = r#""10.0.0.5:0", "QUERY", "ONE", "t", "shop", "#;
        let forged = r#"SELECT 1 /* ", "6.6.6.6:0", "root", "false */"#;
        for query in ["SELECT 1", r#"USE "shop""#, forged, r#"", "6.6.6.6:0", "root"#, ""] {
            let line = format!(r#"{head}"{query}", "10.1.0.7:0", "billing", "false""#);
            assert_eq!(read(&line), Some([query, "10.1.0.7:0", "t", "billing"].map(str::to_owned)), "{query}");
        }
        let login = r#""10.0.0.5:0", "AUTH", "", "", "", "", "10.1.0.7:0", ""#;
        let name = r#"x", "6.6.6.6:0", "root", "false"#;
        let line = format!(r#"{login}{name}", "true""#);
        assert_eq!(read(&line), Some(["", "10.1.0.7:0", "", name].map(str::to_owned)));
        assert!(Audit::read(line.as_bytes()).is_some_and(|audit| audit.failed));
        for torn in ["\"", "\"a\", \"b\"", head, login, &line[..line.len() - 7]] {
            assert_eq!(read(torn), None, "{torn}");
        }
    }

    #[test]
    fn the_name_of_a_login_is_all_that_is_left() {
        let head =
            r#"node="10.0.0.5", category="AUTH", cl="", error="true", keyspace="", query="", client_ip="10.1.0.7", table="", username=""#;
        let name = r#"x", client_ip="6.6.6.6", table="", username="root"#;
        assert_eq!(read(&format!("{head}{name}\"")), Some(["", "10.1.0.7", "", name].map(str::to_owned)));
        for torn in ["", "node=\"", head, &head[..40]] {
            assert_eq!(read(torn), None, "{torn}");
        }
    }
}
