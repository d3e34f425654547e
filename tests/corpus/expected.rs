//! What other projects' parsers say of a record, in our words.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tokenwatch::event::Event;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Time,
    User,
    Address,
    Port,
    Database,
    Statement,
    Code,
    Rows,
    DurationUs,
    Session,
    Client,
    /// Of an event: an expectation was about it already.
    Used,
}

impl Field {
    pub fn name(self) -> &'static str {
        match self {
            Field::Time => "time",
            Field::User => "user",
            Field::Address => "address",
            Field::Port => "port",
            Field::Database => "database",
            Field::Statement => "statement",
            Field::Code => "code",
            Field::Rows => "rows",
            Field::DurationUs => "duration",
            Field::Session => "session",
            Field::Client => "client",
            Field::Used => "used",
        }
    }
}

/// Which record is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Offset(u64),
    /// The records stand in the order of the expectations.
    Order,
}

#[derive(Debug)]
pub struct Expected {
    pub place: Place,
    /// Each with the values of which one must be ours.
    pub fields: BTreeMap<Field, Vec<String>>,
}

/// An event in the same words.
pub fn of_event(event: &Event<'_>) -> BTreeMap<Field, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = BTreeMap::new();
    let mut put = |field, value: Option<String>| {
        if let Some(value) = value {
            fields.insert(field, value);
        }
    };
    put(Field::Time, Some(event.time.0.to_string()));
    put(Field::User, event.principal.map(|p| text(p.name)));
    put(Field::Address, event.address.map(|a| a.to_string()));
    put(Field::Port, event.port.map(|p| p.to_string()));
    put(Field::Database, event.database.map(|d| text(d)));
    put(Field::Statement, event.statement.map(|s| text(s)));
    put(Field::Code, event.code.map(|c| text(c)));
    put(Field::Rows, event.rows.map(|r| r.to_string()));
    put(Field::DurationUs, event.duration_us.map(|d| d.to_string()));
    put(Field::Session, event.session.map(|s| text(s)));
    put(Field::Client, event.client.map(|c| text(c)));
    fields
}

/// Whether our value is the one that was expected.
pub fn same(field: Field, got: &str, want: &str) -> bool {
    match field {
        Field::Time => {
            let got: i64 = got.parse().expect("microseconds");
            // A parser that took a time without zone for one of its own zone means the same time on the clock.
            let Ok(instant) = want.parse::<jiff::Timestamp>() else { return false };
            let wall = want.get(..want.len().min(23)).unwrap_or(want).trim_end_matches(['Z', '+']);
            let wall = wall.parse::<jiff::civil::DateTime>().ok().and_then(|t| t.to_zoned(jiff::tz::TimeZone::UTC).ok());
            let close = |other: i64| got / 1000 == other / 1000;
            close(instant.as_microsecond()) || wall.is_some_and(|wall| close(wall.timestamp().as_microsecond()))
        }
        // Their durations are floating numbers of milliseconds, in nanoseconds.
        Field::DurationUs => {
            let (Ok(got), Ok(want)) = (got.parse::<i64>(), want.parse::<i64>()) else { return false };
            (got - want / 1000).abs() <= 1
        }
        // A local client is written in both ways.
        Field::Address if got == "local" => matches!(want.trim(), "local" | "localhost"),
        Field::Statement => {
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches(';').to_owned();
            plain(got) == plain(want)
        }
        Field::Address if got == "local" => matches!(want.trim(), "localhost" | "127.0.0.1" | "local" | ""),
        _ => got.eq_ignore_ascii_case(want.trim()),
    }
}

/// Which of their keys means which field. The values of all keys of one line are alternatives.
type Keys = &'static [(Field, &'static [&'static str])];

/// Folder, and the keys of the Elastic integrations' expected results.
const ELASTIC: &[(&str, Keys)] = &[
    (
        "pg_",
        &[
            (Field::Time, &["@timestamp"]),
            (Field::User, &["user.name"]),
            (Field::Database, &["postgresql.log.database"]),
            (Field::Address, &["postgresql.log.client_addr"]),
            (Field::Port, &["postgresql.log.client_port"]),
            (Field::DurationUs, &["event.duration"]),
            (Field::Statement, &["postgresql.log.query"]),
            (Field::Session, &["postgresql.log.session_id"]),
            (Field::Client, &["postgresql.log.application_name"]),
        ],
    ),
    (
        "mysql_slow",
        &[
            (Field::Time, &["@timestamp"]),
            (Field::User, &["user.name", "mysql.slowlog.current_user"]),
            (Field::Database, &["mysql.slowlog.schema"]),
            (Field::Address, &["source.ip", "source.domain"]),
            (Field::DurationUs, &["event.duration"]),
            (Field::Statement, &["mysql.slowlog.query"]),
            (Field::Rows, &["mysql.slowlog.rows_sent"]),
            (Field::Session, &["mysql.thread_id"]),
        ],
    ),
    ("mysql_error", &[(Field::Time, &["@timestamp"]), (Field::User, &["user.name"])]),
    (
        "mysql_enterprise",
        &[
            (Field::Time, &["@timestamp"]),
            (Field::User, &["mysqlenterprise.audit.login.user", "server.user.name"]),
            (Field::Address, &["client.ip", "client.domain"]),
            (Field::Statement, &["mysqlenterprise.audit.general_data.query"]),
            (Field::Session, &["mysqlenterprise.audit.connection_id"]),
        ],
    ),
    (
        "aws_cloudtrail",
        &[
            (Field::Time, &["@timestamp"]),
            (Field::Address, &["source.address", "source.ip"]),
            (
                Field::User,
                &[
                    "aws.cloudtrail.user_identity.access_key_id",
                    "aws.cloudtrail.user_identity.arn",
                    "aws.cloudtrail.user_identity.session_context.session_issuer.arn",
                    "user.name",
                ],
            ),
            (Field::Code, &["aws.cloudtrail.error_code"]),
        ],
    ),
    (
        "elasticsearch_audit",
        &[(Field::Time, &["@timestamp"]), (Field::User, &["user.name"]), (Field::Address, &["source.ip"]), (Field::Port, &["source.port"])],
    ),
    (
        "gcp_audit",
        &[
            (Field::Time, &["@timestamp"]),
            (Field::User, &["client.user.email", "user.email", "gcp.audit.authentication_info.principal_email"]),
            (Field::Address, &["source.ip", "gcp.audit.request_metadata.caller_ip"]),
        ],
    ),
    ("mongodb_log", &[(Field::Time, &["@timestamp"])]),
    (
        "mssql_audit",
        &[
            (Field::Time, &["sqlserver.audit.event_time", "@timestamp"]),
            (Field::User, &["sqlserver.audit.server_principal_name", "sqlserver.audit.session_server_principal_name"]),
            (Field::Database, &["sqlserver.audit.database_name"]),
            (Field::Statement, &["sqlserver.audit.statement"]),
            (Field::Client, &["sqlserver.audit.application_name"]),
        ],
    ),
    ("mssql_errorlog", &[(Field::Time, &["@timestamp"])]),
    (
        "oracle_audit",
        &[
            (Field::Time, &["@timestamp"]),
            (Field::User, &["server.user.name", "oracle.database_audit.userid"]),
            (Field::Address, &["client.address", "client.ip"]),
            (Field::Code, &["oracle.database_audit.status", "oracle.database_audit.returncode"]),
        ],
    ),
    ("redis_log", &[(Field::Time, &["@timestamp"])]),
    ("cassandra", &[(Field::Time, &["@timestamp"])]),
    (
        "secret_server",
        &[
            (Field::Time, &["@timestamp", "thycotic_ss.event.time"]),
            (Field::User, &["user.name", "user.full_name", "user.id"]),
            (Field::Address, &["source.ip"]),
        ],
    ),
    ("vault_audit", &[(Field::Time, &["@timestamp"]), (Field::Address, &["source.ip"])]),
    (
        "zeek_mysql",
        &[
            (Field::Time, &["@timestamp"]),
            (Field::Address, &["source.ip"]),
            (Field::Port, &["source.port"]),
            (Field::Statement, &["zeek.mysql.arg"]),
            (Field::Rows, &["zeek.mysql.rows"]),
        ],
    ),
];

/// The keys of CrowdSec's parser assertions.
const ASSERTED: Keys =
    &[(Field::User, &["user", "username", "pgsql_user", "pgsql_target_user"]), (Field::Address, &["source_ip", "remote_addr"])];

/// Levels of PostgreSQL's secondary lines.
const SECONDARY: [&str; 7] = ["DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "STATEMENT", "BACKTRACE"];

/// Values that say that there is none.
const ABSENT: [&str; 3] = ["", "unknown", "[unknown]"];

/// What is expected of the log at `path`; `None` where nobody says.
pub fn read(folder: &Path, path: &str, log: &[u8]) -> Option<Vec<Expected>> {
    let elastic = folder.join(format!("{path}-expected.json"));
    if elastic.is_file() {
        let keys = ELASTIC.iter().find(|(start, _)| path.starts_with(start))?.1;
        let text = std::fs::read_to_string(elastic).expect("text");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let list = value.get("expected").unwrap_or(&value).as_array().expect("a list");
        return Some(list.iter().filter(|record| !record.is_null()).map(|record| of_elastic(record, keys)).collect());
    }
    let asserted = folder.join(path.strip_suffix(".log")?).with_extension("parser.assert");
    if asserted.is_file() {
        let text = std::fs::read_to_string(asserted).expect("text");
        return Some(of_assertions(&text, log));
    }
    None
}

fn of_elastic(record: &Value, keys: Keys) -> Expected {
    let mut flat = BTreeMap::new();
    flatten(record, String::new(), &mut flat);
    let place = flat.get("log.offset").and_then(|offset| offset.parse().ok()).map_or(Place::Order, Place::Offset);
    let mut fields = BTreeMap::new();
    // Lines that belong to the record before them are records of their own there.
    if flat.get("log.level").is_some_and(|level| SECONDARY.contains(&level.as_str())) {
        return Expected { place, fields };
    }
    for (field, names) in keys {
        let values: Vec<String> =
            names.iter().filter_map(|name| flat.get(*name).cloned()).filter(|value| !ABSENT.contains(&value.as_str())).collect();
        if !values.is_empty() {
            fields.insert(*field, values);
        }
    }
    Expected { place, fields }
}

fn flatten(value: &Value, name: String, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(value, name, flat);
            }
        }
        Value::String(text) => {
            flat.insert(name, text.clone());
        }
        Value::Number(number) => {
            flat.insert(name, number.to_string());
        }
        _ => {}
    }
}

/// `results["s01-parse"]["crowdsecurity/mysql-logs"][3].Evt.Parsed["user"] == "root"`: what the stage that parses found in line 4.
fn of_assertions(text: &str, log: &[u8]) -> Vec<Expected> {
    let pattern = regex::Regex::new(r#"^results\["s01-parse"\]\["[^"]*"\]\[(\d+)\]\.Evt\.(?:Parsed|Meta)\["([^"]+)"\] == "(.*)"$"#)
        .expect("a pattern");
    let offsets: Vec<u64> = std::iter::once(0).chain(memchr::memchr_iter(b'\n', log).map(|at| at as u64 + 1)).collect();
    let mut records: BTreeMap<usize, BTreeMap<Field, Vec<String>>> = BTreeMap::new();
    for line in text.lines() {
        let Some(found) = pattern.captures(line) else { continue };
        let number: usize = found[1].parse().expect("a number");
        if let Some((field, _)) = ASSERTED.iter().find(|(_, names)| names.contains(&&found[2])) {
            records.entry(number).or_default().entry(*field).or_default().push(found[3].to_owned());
        }
    }
    let known = records.into_iter().filter_map(|(number, fields)| Some(Expected { place: Place::Offset(*offsets.get(number)?), fields }));
    known.collect()
}
