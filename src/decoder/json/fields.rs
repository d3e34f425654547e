//! Which places of an object hold which field of an event, and what their values mean.

use bstr::BStr;
use bumpalo::Bump;

use super::pick::{Places, Value};
use crate::config::JsonMapping;
use crate::decoder::timestamp::Timestamps;
use crate::event::{Dialect, Kind, Operation, Outcome, Time};

/// A field of an event; the number of its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Field {
    Kind,
    Time,
    Principal,
    Address,
    Port,
    Database,
    Client,
    Session,
    Statement,
    Operation,
    Objects,
    Outcome,
    Code,
    Rows,
    DurationMs,
    DurationUs,
    Dialect,
}

/// Number of slots.
pub const SLOTS: usize = Field::Dialect as usize + 1;

/// Field, its name in the configuration, and where it is looked for when the configuration does not say, best first.
const FIELDS: [(Field, &str, &[&str]); SLOTS] = [
    (Field::Kind, "kind", &["/kind", "/event_type", "/event/type", "/event", "/type"]),
    (Field::Time, "time", &["/time", "/timestamp", "/@timestamp", "/event_time", "/ts", "/datetime", "/event/created"]),
    (
        Field::Principal,
        "principal",
        &["/user", "/principal", "/username", "/user_name", "/db_user", "/dbuser", "/account", "/login", "/user/name", "/user.name"],
    ),
    (
        Field::Address,
        "address",
        &[
            "/address",
            "/client_ip",
            "/client_addr",
            "/client_address",
            "/remote_host",
            "/remote_addr",
            "/remote_ip",
            "/source_ip",
            "/src_ip",
            "/ip",
            "/source/ip",
            "/client/ip",
            "/source/address",
            "/client/address",
            "/source.ip",
            "/client.ip",
            "/client.address",
        ],
    ),
    (
        Field::Port,
        "port",
        &["/port", "/client_port", "/remote_port", "/source_port", "/source/port", "/client/port", "/source.port", "/client.port"],
    ),
    (
        Field::Database,
        "database",
        &["/database", "/db", "/dbname", "/database_name", "/db_name", "/db/name", "/db/namespace", "/db.name", "/db.namespace"],
    ),
    (Field::Client, "client", &["/application_name", "/client", "/client_name", "/application", "/app", "/program", "/user_agent"]),
    (Field::Session, "session", &["/session", "/session_id", "/connection_id", "/conn_id", "/thread_id", "/session/id"]),
    (
        Field::Statement,
        "statement",
        &["/statement", "/query", "/sql", "/sql_text", "/query_text", "/db/statement", "/db/query/text", "/db.statement", "/db.query.text"],
    ),
    (Field::Operation, "operation", &["/operation", "/op", "/action", "/verb", "/db/operation", "/db.operation", "/db.operation.name"]),
    (Field::Objects, "objects", &["/objects", "/object", "/tables", "/table", "/db/collection/name", "/db.collection.name"]),
    (Field::Outcome, "outcome", &["/outcome", "/status", "/result", "/success", "/event/outcome", "/event.outcome"]),
    (Field::Code, "code", &["/code", "/error_code", "/sqlstate", "/errno", "/retcode", "/db.response.status_code"]),
    (Field::Rows, "rows", &["/rows", "/row_count", "/rows_sent", "/rows_returned", "/db.response.returned_rows"]),
    (Field::DurationMs, "duration_ms", &["/duration_ms", "/elapsed_ms", "/latency_ms", "/query_time_ms"]),
    (Field::DurationUs, "duration_us", &["/duration_us", "/elapsed_us", "/latency_us"]),
    (Field::Dialect, "dialect", &["/dialect", "/dbms", "/db/system", "/db.system", "/db.system.name"]),
];

/// The places to look at: what the mapping says, and the usual names of the fields that it does not mention.
pub fn places(mapping: Option<&JsonMapping>) -> Places {
    let mut places = Places::default();
    let told = |name: &str| mapping?.fields.get(name).map(String::as_str);
    for (field, name, _) in &FIELDS {
        if let Some(pointer) = told(name) {
            places.add(pointer, *field as usize, 0);
        }
    }
    for (field, name, usual) in &FIELDS {
        if told(name).is_none() {
            for (rank, pointer) in usual.iter().enumerate() {
                places.add(pointer, *field as usize, rank);
            }
        }
    }
    places
}

/// Text as it is; numbers and truth values spelled out.
pub fn text<'a>(value: Value<'a>, arena: &'a Bump) -> Option<&'a BStr> {
    let text = match value {
        Value::Text(text) => text,
        Value::Integer(number) => arena.alloc_str(&number.to_string()),
        Value::Float(number) => arena.alloc_str(&number.to_string()),
        Value::Bool(value) => {
            if value {
                "true"
            } else {
                "false"
            }
        }
        Value::List(_) | Value::Raw(_) => return None,
    };
    Some(BStr::new(text.as_bytes()))
}

/// A count; negative and absurd ones are absent.
pub fn count(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(number).ok(),
        Value::Float(number) if (0.0..1e18).contains(&number) => Some(number as u64),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A duration in microseconds from a number in units of `unit` microseconds.
pub fn duration(value: Value<'_>, unit: f64) -> Option<u64> {
    let number = match value {
        Value::Integer(number) => number as f64,
        Value::Float(number) => number,
        Value::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let microseconds = number * unit;
    (0.0..1e18).contains(&microseconds).then_some(microseconds as u64)
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970 (told apart by size: between 1973 and 5138 there is no
/// doubt), or text: such a number, or what [`Timestamps`] reads (RFC 3339 among it).
pub fn time(value: Value<'_>, stamps: &mut Timestamps) -> Option<Time> {
    match value {
        Value::Integer(number) => {
            let magnitude = number.unsigned_abs();
            let microseconds = match magnitude {
                0..100_000_000_000 => number.checked_mul(1_000_000)?,
                100_000_000_000..100_000_000_000_000 => number.checked_mul(1_000)?,
                100_000_000_000_000..100_000_000_000_000_000 => number,
                _ => number / 1_000,
            };
            Some(Time(microseconds))
        }
        Value::Float(number) => {
            let magnitude = number.abs();
            let microseconds = match () {
                () if magnitude < 1e11 => number * 1e6,
                () if magnitude < 1e14 => number * 1e3,
                () if magnitude < 1e17 => number,
                () => number / 1e3,
            };
            (microseconds.abs() < 9e18).then(|| Time(microseconds.round() as i64))
        }
        Value::Text(text) => text_time(text.trim(), stamps),
        Value::Bool(_) | Value::List(_) | Value::Raw(_) => None,
    }
}

fn text_time(text: &str, stamps: &mut Timestamps) -> Option<Time> {
    let number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if number && let Ok(integer) = text.parse() {
        return time(Value::Integer(integer), stamps);
    }
    if number && let Ok(float) = text.parse() {
        return time(Value::Float(float), stamps);
    }
    stamps.parse(text.as_bytes()).ok()
}

/// Error numbers and SQLSTATEs that mean "not allowed", of PostgreSQL, MySQL, SQL Server, MongoDB and ClickHouse.
const DENIED: [&str; 20] = [
    "42501",
    "28P01",
    "28000",
    "1044",
    "1045",
    "1142",
    "1143",
    "1227",
    "1370",
    "1698",
    "3118",
    "4151",
    "18456",
    "229",
    "13",
    "18",
    "497",
    "516",
    "access_denied",
    "permission_denied",
];

/// What the fields for outcome and code say together.
pub fn outcome(said: Option<Value<'_>>, code: Option<&BStr>) -> Outcome {
    let said = match said {
        Some(Value::Bool(true)) => Outcome::Success,
        Some(Value::Bool(false)) => Outcome::Error,
        Some(Value::Integer(0 | 200..=299)) => Outcome::Success,
        Some(Value::Integer(401 | 403)) => Outcome::Denied,
        Some(Value::Integer(_)) => Outcome::Error,
        Some(Value::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "success" | "succeeded" | "ok" | "0" | "true" | "allowed" | "granted" | "completed" | "finished" => Outcome::Success,
            "denied" | "forbidden" | "unauthorized" | "refused" | "access_denied" | "access denied" | "permission denied" => {
                Outcome::Denied
            }
            "error" | "failed" | "failure" | "fail" | "false" | "exception" => Outcome::Error,
            _ => Outcome::Unknown,
        },
        _ => Outcome::Unknown,
    };
    let by_code = code.map_or(Outcome::Unknown, |code| match code.to_string().as_str() {
        "0" | "00000" => Outcome::Success,
        text if DENIED.iter().any(|denied| denied.eq_ignore_ascii_case(text)) => Outcome::Denied,
        _ => Outcome::Error,
    });
    match (said, by_code) {
        (Outcome::Unknown, code) => code,
        (Outcome::Error, Outcome::Denied) => Outcome::Denied,
        (said, _) => said,
    }
}

/// The operation that a record states; `None` where the word is not one.
pub fn operation(word: &BStr) -> Option<Operation> {
    let word = std::str::from_utf8(word).ok()?;
    let first = word.split_ascii_whitespace().next()?;
    Operation::from_name(first).filter(|op| *op != Operation::Unknown).or_else(|| match first.to_ascii_lowercase().as_str() {
        "read" | "find" | "get" => Some(Operation::Select),
        "login" | "logon" | "authenticate" => Some(Operation::Connect),
        "execute" | "exec" => Some(Operation::Call),
        "start" => Some(Operation::Begin),
        _ => None,
    })
}

/// The kind that a record states.
pub fn kind(word: &str) -> Option<Kind> {
    Some(match word.to_ascii_lowercase().as_str() {
        "query" | "statement" | "execute" | "sql" => Kind::Query,
        "login" | "logon" | "connect" | "connection" | "authentication" | "auth" => Kind::Login,
        "login_failed" | "failed_login" | "failed_connect" | "authentication_failed" | "auth_failed" => Kind::LoginFailed,
        "logout" | "logoff" | "disconnect" | "disconnection" => Kind::Logout,
        "denied" | "access_denied" => Kind::Denied,
        "error" => Kind::Error,
        "other" => Kind::Other,
        _ => return None,
    })
}

/// The grammar of the statements of a system.
pub fn dialect(system: Option<Value<'_>>) -> Dialect {
    match system {
        Some(Value::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" | "redshift" | "cockroachdb" => Dialect::Postgres,
            "mysql" | "mariadb" | "aurora-mysql" | "percona" => Dialect::MySql,
            "none" | "mongodb" | "redis" => Dialect::None,
            _ => Dialect::Generic,
        },
        _ => Dialect::Generic,
    }
}
