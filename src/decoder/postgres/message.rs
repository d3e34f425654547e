//! What the message of a record says of an act: the grammar that the three forms share.
//!
//! ```text
//! statement: SQL                                    | execute NAME[/PORTAL]: SQL | AUDIT: ...            a query
//! duration: N ms  (statement: | execute NAME: )SQL                                                      a query that has ended
//! duration: N ms  (parse | bind) NAME: SQL          the same query again, before its execute: no act of its own
//! connection authorized: user=U database=D ...      | disconnection: session time: ...
//! ```
//!
//! Any session can write a LOG record of any text (`RAISE LOG 'statement: ...'`). The server's own reports of acts hide statement and context;
//! one that has either was written by a session, and is no act.

use bstr::BStr;
use bumpalo::Bump;

use super::severity::Severity;
use super::{pgaudit, plan, translated};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;

/// Reason on a record of an act that a session wrote by itself.
pub const RAISED: &str = "a session wrote this record itself (RAISE): it is no report of the server";

/// How far the session was when it wrote the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its user is what the client claims.
    Authenticating,
    /// Its user is verified, but it may still be turned away.
    Starting,
    /// It takes statements.
    Running,
    /// The form does not tell.
    Unknown,
}

/// One record, whatever its form. Texts are unescaped.
#[derive(Debug)]
pub struct Fields<'a> {
    pub time: Time,
    pub user: Option<&'a [u8]>,
    pub database: Option<&'a [u8]>,
    pub address: Option<Address<'a>>,
    pub port: Option<u16>,
    pub session: Option<&'a [u8]>,
    pub application: Option<&'a [u8]>,
    pub severity: Severity,
    /// SQLSTATE, empty where unknown.
    pub code: &'a [u8],
    pub message: &'a [u8],
    /// The record has a CONTEXT.
    pub context: bool,
    pub detail: Option<&'a [u8]>,
    /// The statement that the record is about.
    pub query: Option<&'a [u8]>,
    pub phase: Phase,
    pub truncated: bool,
    pub suspect: Option<&'static str>,
}

/// The event that a record is.
pub fn event<'a>(fields: &Fields<'a>, arena: &'a Bump) -> Event<'a> {
    let mut event = Event::new(Kind::Other, fields.time);
    event.database = fields.database.filter(|d| !d.is_empty()).map(BStr::new);
    event.address = fields.address;
    event.port = fields.port;
    event.session = fields.session.map(BStr::new);
    event.client = fields.application.filter(|a| !a.is_empty()).map(BStr::new);
    event.code = (!matches!(fields.code, b"" | b"00000")).then(|| BStr::new(fields.code));
    event.truncated = fields.truncated;
    event.suspect = fields.suspect;
    match fields.severity {
        Severity::Error | Severity::Fatal | Severity::Panic => failure(fields, &mut event),
        _ => report(fields, &mut event, arena),
    }
    if event.statement.is_some() {
        event.dialect = Dialect::Postgres;
    }
    let mut name = fields.user.filter(|u| !u.is_empty());
    if name.is_none() && fields.severity == Severity::Fatal && fields.query.is_none() {
        name = turned_away(fields, &mut event);
    }
    event.principal = name.map(|name| Principal { name: BStr::new(name), provenance: provenance(fields, &event) });
    event
}

/// Whether the server had verified the user when it wrote this record.
fn provenance(fields: &Fields<'_>, event: &Event<'_>) -> Provenance {
    let verified = match event.kind {
        Kind::LoginFailed => false,
        Kind::Login => true,
        Kind::Query | Kind::Denied | Kind::Error | Kind::Logout => fields.phase != Phase::Authenticating,
        // Nothing acts here; a session that dies while it starts must not look verified.
        Kind::Other => fields.phase == Phase::Running && fields.severity < Severity::Fatal,
    };
    if verified && event.suspect.is_none() { Provenance::Authenticated } else { Provenance::Claimed }
}

/// ERROR, FATAL, PANIC.
fn failure<'a>(fields: &Fields<'a>, event: &mut Event<'a>) {
    event.statement = fields.query.map(BStr::new);
    let refused = fields.code == b"42501" || (fields.code.is_empty() && is_denial(fields.message));
    if fields.severity == Severity::Fatal && fields.query.is_none() {
        if fields.user.is_some() && is_login_failure(fields, refused) {
            event.kind = Kind::LoginFailed;
            event.outcome = Outcome::Denied;
        }
        return;
    }
    if fields.user.is_none() && fields.query.is_none() {
        return; // a background process in trouble
    }
    (event.kind, event.outcome) = if refused { (Kind::Denied, Outcome::Denied) } else { (Kind::Error, Outcome::Error) };
}

/// A client that was turned away in a record whose prefix names no user: the message repeats what the client claimed.
fn turned_away<'a>(fields: &Fields<'a>, event: &mut Event<'a>) -> Option<&'a [u8]> {
    let quoted = |before: &[u8]| {
        let rest = fields.message.get(fields.message.seek(before)? + before.len()..)?;
        rest.get(..memchr::memchr(b'"', rest)?).filter(|text| !text.is_empty())
    };
    let user = quoted(b" user \"").or_else(|| quoted(b"role \"").filter(|_| fields.message.starts_with(b"role \"")))?;
    if !is_login_failure(fields, false) {
        return None;
    }
    (event.kind, event.outcome) = (Kind::LoginFailed, Outcome::Denied);
    event.database = event.database.or(quoted(b" database \"").map(BStr::new));
    event.address = event.address.or(quoted(b" host \"").and_then(Address::parse));
    Some(user)
}

/// A FATAL record that turns a client away.
fn is_login_failure(fields: &Fields<'_>, refused: bool) -> bool {
    match fields.phase {
        Phase::Authenticating | Phase::Starting => return true,
        Phase::Running => return false,
        Phase::Unknown => {}
    }
    let turned_away = [
        &b"authentication failed for user"[..],
        b"no pg_hba.conf entry",
        b"pg_hba.conf rejects",
        b"malformed SCRAM message",
        b"canceling authentication",
        b"is not permitted to log in",
        b"too many connections",
        b"remaining connection slots",
        b"sorry, too many clients",
        b"expected SASL response",
        b"expected password response",
    ];
    let missing = fields.message.ends_with(b"does not exist")
        && (fields.message.starts_with(b"role \"") || fields.message.starts_with(b"database \""));
    match fields.code {
        // Class 28 invalid authorization, unknown database, too many connections, protocol violation.
        [b'2', b'8', ..] | b"3D000" | b"53300" | b"08P01" => true,
        _ => refused || missing || turned_away.iter().any(|t| fields.message.holds(t)),
    }
}

/// English texts under which 42501 is reported, for logs that hold no SQLSTATE.
fn is_denial(message: &[u8]) -> bool {
    [&b"permission denied "[..], b"must be owner of ", b"must be superuser", b"must be member of", b"must have "]
        .iter()
        .any(|start| message.starts_with(start))
}

/// LOG and below.
fn report<'a>(fields: &Fields<'a>, event: &mut Event<'a>, arena: &'a Bump) {
    act(fields, event, arena);
    if event.kind != Kind::Other && (fields.query.is_some() || fields.context) {
        // Forged under the session's own user, which the columns still name.
        event.kind = Kind::Other;
        event.outcome = Outcome::Unknown;
        (event.statement, event.operation, event.objects, event.rows, event.duration_us) = (None, None, &[], None, None);
        event.suspect = event.suspect.or(Some(RAISED));
    }
}

fn act<'a>(fields: &Fields<'a>, event: &mut Event<'a>, arena: &'a Bump) {
    let message = fields.message;
    match message.first() {
        Some(b's') => {
            if let Some(sql) = message.strip_prefix(b"statement: ") {
                query(event, prepared(sql, fields.detail).unwrap_or(sql), Outcome::Unknown);
            }
        }
        Some(b'e') => {
            if let Some(named) = message.strip_prefix(b"execute ") {
                execute(event, named, Outcome::Unknown);
            }
        }
        Some(b'd') => {
            if let Some(rest) = message.strip_prefix(b"duration: ") {
                duration(event, rest, fields, arena);
            } else if message.starts_with(b"disconnection: ") {
                event.kind = Kind::Logout;
            }
        }
        Some(b'D') => {
            if let Some(sql) = of_node(message) {
                query(event, sql, Outcome::Unknown);
            }
        }
        Some(b'A') => {
            if let Some(body) = message.strip_prefix(b"AUDIT: ") {
                audit(event, body, arena);
            }
        }
        Some(b'c' | b'r') => {
            if let Some(rest) = authorized(message) {
                event.kind = Kind::Login;
                event.outcome = Outcome::Success;
                event.operation = Some(Operation::Connect);
                if event.client.is_none() {
                    event.client = application_name(rest, fields.user, fields.database).map(BStr::new);
                }
            }
        }
        Some(b'f') => {
            if let Some(rest) = message.strip_prefix(b"fastpath function call: ") {
                fastpath(event, rest, Outcome::Unknown, arena);
            }
        }
        _ => {}
    }
}

fn query<'a>(event: &mut Event<'a>, sql: &'a [u8], outcome: Outcome) {
    event.kind = Kind::Query;
    event.outcome = outcome;
    event.statement = Some(BStr::new(sql));
}

/// `DB node id: N backend pid: N statement: SQL`, as Pgpool-II says what it hands to which server.
fn of_node(message: &[u8]) -> Option<&[u8]> {
    let rest = message.strip_prefix(b"DB node id: ")?;
    let (head, sql) = (rest.get(..rest.seek(b"statement: ")?)?, rest.get(rest.seek(b"statement: ")? + 11..)?);
    head.iter().all(|b| b.is_ascii_digit() || b" backend pid:".contains(b)).then_some(sql)
}

/// `NAME[/PORTAL]: SQL` or `fetch from NAME[/PORTAL]: SQL`.
fn execute<'a>(event: &mut Event<'a>, named: &'a [u8], outcome: Outcome) {
    if let Some(sql) = after_name(named) {
        query(event, sql, outcome);
    }
}

/// `N.NNN ms` and perhaps two blanks and the statement.
fn duration<'a>(event: &mut Event<'a>, rest: &'a [u8], fields: &Fields<'a>, arena: &'a Bump) {
    let Some((micros, rest)) = milliseconds(rest) else { return };
    event.duration_us = Some(micros);
    if let Some(plan) = plan::plan(rest) {
        // Inside a function a plan has a context, and its statement is a part of the one that is logged.
        if !fields.context
            && let Some(sql) = plan::statement(plan, arena)
        {
            query(event, sql, Outcome::Success);
        }
        return;
    }
    // Two blanks, unless somebody has squeezed them.
    let Some(rest) = rest.strip_prefix(b" ") else { return };
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    if let Some(sql) = rest.strip_prefix(b"statement: ") {
        query(event, prepared(sql, fields.detail).unwrap_or(sql), Outcome::Success);
    } else if let Some(named) = rest.strip_prefix(b"execute ") {
        execute(event, named, Outcome::Success);
    } else if let Some(rest) = rest.strip_prefix(b"fastpath function call: ") {
        fastpath(event, rest, Outcome::Success, arena);
    }
    // parse and bind: their execute follows and is the one that counts.
}

/// What an `EXECUTE name` runs: `prepare: PREPARE name[(types)] AS SQL` in its detail, which the server adds.
fn prepared<'a>(sql: &[u8], detail: Option<&'a [u8]>) -> Option<&'a [u8]> {
    let starts = |text: &[u8], word: &[u8]| text.trim_ascii_start().get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
    let text = detail?.strip_prefix(b"prepare: ").filter(|text| starts(sql, b"EXECUTE") && starts(text, b"PREPARE"))?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|b| b.eq_ignore_ascii_case(&b'a')).map(|at| from + at) {
        let word = text.get(at..)?;
        let before = text.get(..at)?.last()?;
        // The name may be quoted and hold anything.
        let within_name = text.get(..at)?.iter().filter(|b| **b == b'"').count() % 2 == 1;
        if starts(word, b"AS")
            && !within_name
            && !before.is_ascii_alphanumeric()
            && *before != b'_'
            && word.get(2).is_some_and(|b| b.is_ascii_whitespace() || *b == b'(')
        {
            return word.get(2..).map(<[u8]>::trim_ascii);
        }
        from = at + 1;
    }
    None
}

/// `"f" (OID n)`.
fn fastpath<'a>(event: &mut Event<'a>, rest: &'a [u8], outcome: Outcome, arena: &'a Bump) {
    let Some(name) = rest.strip_prefix(b"\"").and_then(|r| r.seek_last(b"\" (OID ").and_then(|end| r.get(..end))) else { return };
    event.kind = Kind::Query;
    event.outcome = outcome;
    event.operation = Some(Operation::Call);
    event.objects = arena.alloc_slice_copy(&[BStr::new(name)]);
}

fn audit<'a>(event: &mut Event<'a>, body: &'a [u8], arena: &'a Bump) {
    let Some(audit) = pgaudit::parse(body, arena) else { return };
    event.kind = Kind::Query;
    // With rows the record was written when the statement had ended, else before it began.
    event.outcome = if audit.rows.is_some() { Outcome::Success } else { Outcome::Unknown };
    event.operation = audit.operation;
    event.statement = audit.statement;
    event.rows = audit.rows;
    if let Some(object) = audit.object {
        event.objects = arena.alloc_slice_copy(&[object]);
    }
}

/// `0.293 ms` at the start of `text`, in microseconds, and what follows.
fn milliseconds(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.seek(b" ms")?;
    let mut parts = text.get(..end)?.splitn(2, |b| *b == b'.');
    let mut micros = number(parts.next()?)?.checked_mul(1000)?;
    if let Some(fraction) = parts.next() {
        let digits = fraction.get(..fraction.len().min(3))?;
        let scale = 10u64.pow(3 - digits.len() as u32);
        micros = micros.checked_add(number(digits)? * scale)?;
    }
    Some((micros, text.get(end + 3..)?))
}

/// A decimal number of at most 15 digits.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(*b - b'0')))
}

/// What follows `connection authorized: ` or its replication form.
pub(super) fn authorized(message: &[u8]) -> Option<&[u8]> {
    message.strip_prefix(b"connection authorized: ").or_else(|| message.strip_prefix(b"replication connection authorized: "))
}

/// Whether the message is [`authorized`] in any language.
pub(super) fn authorizes(message: &[u8]) -> bool {
    authorized(message).is_some() || translated::authorises(message)
}

/// The application name within `user=U database=D application_name=A SSL enabled (...)`.
///
/// Nothing is quoted there, so user and database are stepped over by their known length.
pub(super) fn application_name<'a>(rest: &'a [u8], user: Option<&[u8]>, database: Option<&[u8]>) -> Option<&'a [u8]> {
    let rest = rest.strip_prefix(b"user=")?.strip_prefix(user?)?;
    let rest = match rest.strip_prefix(b" database=") {
        Some(rest) => rest.strip_prefix(database?)?,
        None => rest,
    };
    let name = rest.strip_prefix(b" application_name=")?;
    let end = [&b" SSL enabled ("[..], b" GSS ("].iter().filter_map(|mark| name.seek_last(mark)).min().unwrap_or(name.len());
    name.get(..end).filter(|n| !n.is_empty())
}

/// The statement after `NAME: ` or `NAME/PORTAL: `.
///
/// The client chooses NAME and may put `: ` and SQL into it, to hide the real statement behind a harmless one. Drivers use plain
/// names. So the statement begins after the first `: `, unless a later one outside string literals is followed by a verb: in SQL that does
/// not happen, in such names it does, and then the statement begins after the last of those.
fn after_name(named: &[u8]) -> Option<&[u8]> {
    let first = named.get(named.seek(b": ")? + 2..)?;
    Some(last_statement(first).unwrap_or(first))
}

fn last_statement(text: &[u8]) -> Option<&[u8]> {
    // A colon before a blank is rare in SQL: nearly every statement leaves here.
    let mut from = text.seek(b": ")?;
    let mut best = None;
    loop {
        let at = from + 2;
        let rest = text.get(at..)?;
        // Within a string literal: an odd number of single quotes stands before it.
        let literal = memchr::memchr_iter(b'\'', text.get(..from)?).count() % 2 == 1;
        if !literal && begins_with_verb(rest) {
            best = Some(rest);
        }
        match rest.seek(b": ") {
            Some(next) => from = at + next,
            None => return best,
        }
    }
}

fn begins_with_verb(text: &[u8]) -> bool {
    let word = text.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    if !matches!(text.get(word), Some(b' ' | b'\n' | b'\t' | b'(' | b'/' | b'-' | b';' | b'"') | None) {
        return false;
    }
    let verbs: [&[u8]; 21] = [
        b"SELECT",
        b"INSERT",
        b"UPDATE",
        b"DELETE",
        b"MERGE",
        b"WITH",
        b"TABLE",
        b"VALUES",
        b"CREATE",
        b"DROP",
        b"ALTER",
        b"TRUNCATE",
        b"GRANT",
        b"REVOKE",
        b"CALL",
        b"COPY",
        b"DO",
        b"SET",
        b"EXECUTE",
        b"EXPLAIN",
        b"LOCK",
    ];
    text.get(..word).is_some_and(|word| verbs.iter().any(|verb| verb.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;

    fn fields(severity: Severity, message: &str) -> Fields<'_> {
        Fields {
            time: Time(0),
            user: Some(b"u"),
            database: Some(b"d"),
            address: None,
            port: None,
            session: None,
            application: None,
            severity,
            code: b"",
            message: message.as_bytes(),
            context: false,
            detail: None,
            query: None,
            phase: Phase::Unknown,
            truncated: false,
            suspect: None,
        }
    }

    fn show(fields: &Fields<'_>) -> String {
        let arena = Bump::new();
        let event = event(fields, &arena);
        let provenance = event.principal.map(|p| p.provenance);
        format!("{:?} {provenance:?} {:?} {:?}", event.kind, event.statement.map(BStr::to_string), event.duration_us)
    }

    #[test]
    fn reports() {
        for (message, want) in [
            ("statement: SELECT 1", "Query Some(Authenticated) Some(\"SELECT 1\") None"),
            ("DB node id: 0 backend pid: 22 statement: SELECT 1", "Query Some(Authenticated) Some(\"SELECT 1\") None"),
            ("execute <unnamed>: SELECT $1", "Query Some(Authenticated) Some(\"SELECT $1\") None"),
            ("execute fetch from s/c: SELECT 2", "Query Some(Authenticated) Some(\"SELECT 2\") None"),
            ("execute x: DROP TABLE t: SELECT 1", "Query Some(Authenticated) Some(\"SELECT 1\") None"),
            ("execute x: SELECT 1 -- : DROP TABLE t", "Query Some(Authenticated) Some(\"DROP TABLE t\") None"),
            ("execute x: SELECT 'a: select b'", "Query Some(Authenticated) Some(\"SELECT 'a: select b'\") None"),
            ("duration: 0.293 ms", "Other Some(Claimed) None Some(293)"),
            ("duration: 12.5 ms statement: SELECT 1", "Query Some(Authenticated) Some(\"SELECT 1\") Some(12500)"),
            ("duration: 12.5 ms  statement: SELECT 1", "Query Some(Authenticated) Some(\"SELECT 1\") Some(12500)"),
            ("duration: 1.000 ms  execute S_1: SELECT 1", "Query Some(Authenticated) Some(\"SELECT 1\") Some(1000)"),
            ("duration: 1.000 ms  parse S_1: SELECT 1", "Other Some(Claimed) None Some(1000)"),
            ("duration: 1.000 ms  bind S_1: SELECT 1", "Other Some(Claimed) None Some(1000)"),
            ("duration: 1.000 ms  plan:\nQuery Text: SELECT 1", "Query Some(Authenticated) Some(\"SELECT 1\") Some(1000)"),
            ("duration: 1.000 ms  plan:\nsomething", "Other Some(Claimed) None Some(1000)"),
            ("connection authenticated: identity=\"u\" method=md5 (pg_hba.conf:1)", "Other Some(Claimed) None None"),
            ("connection ready: setup total=3.1 ms, fork=0.5 ms, authentication=1.2 ms", "Other Some(Claimed) None None"),
            ("duration: 99999999999999999999 ms", "Other Some(Claimed) None None"),
            ("AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<none>", "Query Some(Authenticated) Some(\"SELECT 1\") None"),
            ("AUDIT: nonsense", "Other Some(Claimed) None None"),
            ("connection received: host=::1 port=1", "Other Some(Claimed) None None"),
            ("connection authorized: user=u database=d", "Login Some(Authenticated) None None"),
            ("disconnection: session time: 0:00:00.008 user=u database=d host=1 port=2", "Logout Some(Authenticated) None None"),
            ("fastpath function call: \"f\" (OID 1)", "Query Some(Authenticated) None None"),
        ] {
            assert_eq!(show(&fields(Severity::Log, message)), want, "{message}");
        }
    }

    #[test]
    fn failures() {
        for (severity, code, query, message, want) in [
            (
                Severity::Error,
                "42501",
                Some("SELECT 1"),
                "permission denied for table t",
                "Denied Some(Authenticated) Some(\"SELECT 1\") None",
            ),
            (Severity::Error, "", Some("SELECT 1"), "must be owner of table t", "Denied Some(Authenticated) Some(\"SELECT 1\") None"),
            (Severity::Error, "42601", Some("SELEC"), "syntax error", "Error Some(Authenticated) Some(\"SELEC\") None"),
            (Severity::Fatal, "28P01", None, "password authentication failed for user \"u\"", "LoginFailed Some(Claimed) None None"),
            (Severity::Fatal, "", None, "role \"u\" does not exist", "LoginFailed Some(Claimed) None None"),
            (Severity::Fatal, "57P01", None, "terminating connection due to administrator command", "Other Some(Claimed) None None"),
            (Severity::Fatal, "57P01", Some("SELECT 1"), "terminating connection", "Error Some(Authenticated) Some(\"SELECT 1\") None"),
        ] {
            let mut fields = fields(severity, message);
            (fields.code, fields.query) = (code.as_bytes(), query.map(str::as_bytes));
            assert_eq!(show(&fields), want, "{message}");
        }
    }

    #[test]
    fn what_execute_runs() {
        for (sql, detail, want) in [
            ("EXECUTE x(1);", "prepare: PREPARE x AS SELECT $1;", Some("SELECT $1;")),
            ("execute \"as x\"", "prepare: prepare \"as x\" (int) as\nTABLE t", Some("TABLE t")),
            ("EXECUTE x(1);", "parameters: $1 = 'AS secret'", None),
            ("SELECT 1", "prepare: PREPARE x AS SELECT $1;", None),
        ] {
            assert_eq!(prepared(sql.as_bytes(), Some(detail.as_bytes())), want.map(str::as_bytes), "{detail}");
        }
    }

    #[test]
    fn a_report_raised_by_a_session_is_no_act() {
        let mut fields = fields(Severity::Log, "statement: DROP TABLE t");
        fields.query = Some(b"DO $$ BEGIN RAISE LOG 'statement: DROP TABLE t'; END $$");
        let arena = Bump::new();
        let event = event(&fields, &arena);
        assert_eq!((event.kind, event.statement, event.suspect), (Kind::Other, None, Some(RAISED)));
    }

    #[test]
    fn application_names() {
        let name = |rest: &'static str| application_name(rest.as_bytes(), Some(b"u"), Some(b"d")).map(|n| n.to_str_lossy().into_owned());
        assert_eq!(name("user=u database=d application_name=psql SSL enabled (protocol=TLSv1.3, bits=256)").as_deref(), Some("psql"));
        assert_eq!(name("user=u database=d application_name=a b").as_deref(), Some("a b"));
        assert_eq!(name("user=u application_name=walreceiver").as_deref(), Some("walreceiver"));
        assert_eq!(name("user=u database=d"), None);
        assert_eq!(name("user=x database=d application_name=a"), None);
    }
}
