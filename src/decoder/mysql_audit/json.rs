//! MySQL Enterprise Audit as JSON, and Percona's audit_log_filter, which writes the same objects.
//!
//! ```text
//! [
//! { "timestamp": "2026-11-22 14:21:56", "id": 0, "class": "general", "event": "status", "connection_id": 6, "account": { "user": "app", "host": "localhost" }, "login": { "user": "app", "os": "", "ip": "127.0.0.1", "proxy": "" }, "general_data": { "command": "Query", "sql_command": "select", "query": "SELECT 1", "status": 0 } },
//! ```
//!
//! The file is one array that is closed when the server closes the file. Percona pretty-prints each object. What a filter lets through
//! differs: one statement may be a record (`general`/`status`), six, or only a record for each table; see [`super::entry`].
//! <https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html#audit-log-file-json-format>
//! <https://docs.percona.com/percona-server/8.4/audit-log-filter-json.html>

use bumpalo::Bump;

use super::entry::{Class, Entry, Log};
use super::object::{self, Value};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Operation, Time};
use crate::framing::json::Objects;

pub const FORMAT: Format = Format {
    name: "mysql-enterprise-json",
    about: "MySQL Enterprise Audit and Percona audit_log_filter (JSON)",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Json::new(options))),
    guide: Guide {
        system: "MySQL Enterprise 5.7.21 to 9, Percona Server 8.0.34 to 8.4 with audit_log_filter",
        switch_on: "`audit_log_format = JSON` (Percona: `audit_log_filter.format = JSON`), run the installation script, then `SELECT audit_log_filter_set_filter('log_all', '{\"filter\": {\"log\": true}}')` and `SELECT audit_log_filter_set_user('%', 'log_all')`",
        fields: &[
            ("time", "`timestamp`, UTC (the server's local time in audit_log_filter from 8.4.8), or `time`"),
            ("principal", "`login.user`, else `account.user`; verified unless `status` of a login is not 0 or the account is anonymous"),
            ("address", "`login.ip`, else `account.host`; seen by the server"),
            ("database", "`connection_data.db`, then as followed through the connection"),
            ("client", "`connection_attributes` of a login; the client's own word"),
            ("session", "`connection_id`"),
            ("statement", "`query`"),
            ("operation", "the statement, else `sql_command`"),
            ("objects", "`table_access` records, else the statement"),
            ("outcome", "`status`"),
            ("code", "`status`, the server's error number"),
            ("rows", "`query_statistics.rows_sent`"),
            ("duration", "`query_statistics.query_time`"),
            ("kind", "`class` and `event`"),
        ],
        forgery: "Nothing: all text of clients is escaped",
        ignored: "Server start and stop, messages, variables, and the further records of a statement that was counted already: kept as `other`",
        source: "<https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html>, <https://docs.percona.com/percona-server/8.4/audit-log-filter-json.html>",
    },
};

fn sniff(sample: &[u8], options: &Options) -> Guess {
    use crate::framing::{Framed, Framer, More};
    /// Records looked at.
    const TRIED: usize = 50;
    if !matches!(sample.trim_ascii_start().first(), Some(b'[' | b'{')) {
        return Guess::NO;
    }
    let (mut framer, mut decoder, mut arena) = (Objects::new(&[]), Json::new(options), Bump::new());
    let (mut rest, mut tried, mut good) = (sample, 0usize, 0usize);
    while tried < TRIED && !rest.is_empty() {
        match framer.next(rest, More::Flowing) {
            Framed::Record(frame) => {
                let record = Record::new(rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default());
                tried += 1;
                good += usize::from(matches!(decoder.decode(record, &arena), Decoded::Event(_)));
                rest = rest.get(frame.consumed.max(1)..).unwrap_or_default();
            }
            Framed::Skip { consumed, .. } => rest = rest.get(consumed.max(1)..).unwrap_or_default(),
            Framed::Incomplete => break,
        }
        arena.reset();
    }
    if good > 0 && good * 2 >= tried {
        Guess::new(96, format!("{good} of {tried} objects have a class, a connection and its data as MySQL's audit log has"))
    } else {
        Guess::NO
    }
}

struct Json {
    times: Timestamps,
    log: Log,
}

/// What one object holds beside its [`Entry`].
#[derive(Default)]
struct Head<'a> {
    timestamp: Option<&'a str>,
    time: Option<f64>,
    class: &'a str,
    event: &'a str,
    /// `id`, and one of the objects that only this log has.
    id: bool,
    known: bool,
    account: Option<&'a [u8]>,
}

impl Json {
    fn new(options: &Options) -> Self {
        Json { times: Timestamps::new(options.zone.clone()), log: Log::default() }
    }

    fn time(&mut self, head: &Head<'_>) -> Option<Time> {
        match head.time {
            // Seconds, or microseconds.
            Some(time) if time > 1e14 && time < 1e17 => Some(Time(time as i64)),
            Some(time) if time > 0.0 && time < 1e11 => Some(Time((time * 1e6) as i64)),
            _ => self.times.parse(head.timestamp?.as_bytes()).ok(),
        }
    }
}

impl Decoder for Json {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (mut head, mut entry) = (Head::default(), Entry::default());
        let read = object::read(record.bytes, arena, &mut |parent, key, value| set(&mut head, &mut entry, parent, key, value, arena));
        if read.is_err() && !record.truncated {
            return Decoded::Reject("not a json object of mysql's audit log");
        }
        let data = head.known || head.class == "audit";
        if !head.id || head.class.is_empty() || !data {
            return Decoded::Reject("not a json object of mysql's audit log");
        }
        let Some(time) = self.time(&head) else { return Decoded::Reject("unreadable time stamp") };
        entry.class = class(head.class, head.event);
        if entry.user.is_empty() {
            entry.user = head.account.unwrap_or_default();
        }
        entry.account = match head.account {
            // Whoever logs in while the server checks nobody.
            Some(b"skip-grants user") => Some(b""),
            account => account,
        };
        Decoded::Event(self.log.event(&entry, time, record, arena))
    }

    fn save(&self) -> Vec<u8> {
        self.log.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.log.restore(state);
    }
}

fn set<'a>(head: &mut Head<'a>, entry: &mut Entry<'a>, parent: &str, key: &str, value: Value<'a>, arena: &'a Bump) {
    let text = |value: Value<'a>| value.bytes(arena).unwrap_or_default();
    match (parent, key) {
        ("", "timestamp") => head.timestamp = if let Value::Text(text) = value { Some(text) } else { None },
        ("", "time") => head.time = value.number(),
        ("", "id") => head.id = true,
        ("", "class") => head.class = if let Value::Text(text) = value { text } else { "" },
        ("", "event") => head.event = if let Value::Text(text) = value { text } else { "" },
        ("", "connection_id") => entry.connection = text(value),
        ("account", "user") => head.account = Some(text(value)),
        ("account", "host") => entry.host = text(value),
        ("login", "user") => entry.user = text(value),
        ("login", "ip") => entry.ip = text(value),
        ("connection_data", "db") => entry.database = text(value),
        ("connection_attributes", "program_name") => entry.client = text(value),
        ("connection_attributes", "_client_name") if entry.client.is_empty() => entry.client = text(value),
        ("general_data", "command") => entry.command = text(value),
        ("general_data" | "table_access_data" | "query_data", "sql_command") => entry.sql_command = text(value),
        ("general_data" | "table_access_data" | "query_data", "query") => entry.statement = text(value),
        ("general_data" | "connection_data" | "query_data" | "authentication_data", "status") => entry.status = text(value),
        ("table_access_data", "db") => entry.table.0 = text(value),
        ("table_access_data", "table") => entry.table.1 = text(value),
        ("query_statistics", "rows_sent") => entry.rows = value.count(),
        ("query_statistics", "query_time") => {
            entry.duration_us = value.number().filter(|s| *s >= 0.0 && *s < 1e9).map(|s| (s * 1e6) as u64)
        }
        _ => {}
    }
    head.known |= parent.ends_with("_data") || matches!(parent, "account" | "login");
}

fn class(class: &str, event: &str) -> Class {
    match (class, event) {
        ("connection", "connect") => Class::Connect,
        ("connection", "change_user") => Class::ChangeUser,
        ("connection", "disconnect") => Class::Disconnect,
        ("general", "status") => Class::Status,
        ("general", "log") => Class::Log,
        ("query", "query_status_end" | "status_end") => Class::QueryEnd,
        ("table_access", "read") => Class::Table(Operation::Select),
        ("table_access", "insert") => Class::Table(Operation::Insert),
        ("table_access", "update") => Class::Table(Operation::Update),
        ("table_access", "delete") => Class::Table(Operation::Delete),
        _ => Class::Other,
    }
}
