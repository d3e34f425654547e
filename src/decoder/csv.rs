//! CSV under a heading of usual names, from applications, proxies and exports of what a database keeps of its statements.
//!
//! ```text
//! time,user,client_ip,database,query,duration_ms,rows
//! 2026-11-22T02:21:28Z,billing_svc,10.1.0.7,app,"SELECT ""a""
//! FROM t",1.5,3
//! ```
//!
//! The names and what their values mean are those of [`super::json`]. Separators are commas, semicolons, tabs or bars, as the heading has them.
//! <https://datatracker.ietf.org/doc/html/rfc4180>

use std::sync::LazyLock;

use bumpalo::Bump;

use super::json::fields::Field;
use super::json::pick::Value;
use super::json::{self, pick};
use super::table::{Columns, Line};
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::framing::table::Table;

pub const FORMAT: Format = Format {
    name: "csv",
    about: "CSV under a heading of usual names",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Table::new(&[])), Box::new(Csv::new(options))),
    guide: Guide {
        system: "Applications, proxies, and exports as CSV",
        switch_on: "Write a heading that names a time and at least two other columns as below",
        fields: &[
            ("time", "`time`, `timestamp` and the like"),
            ("principal", "`user`, `principal`, `username` and the like; believed as far as the program that writes it is"),
            ("address", "`address`, `client_ip`, `remote_addr` and the like"),
            ("port", "`port`, `client_port`, `remote_port`"),
            ("database", "`database`, `db`, `dbname` and the like"),
            ("client", "`application_name`, `client`, `user_agent` and the like"),
            ("session", "`session`, `session_id`, `connection_id` and the like"),
            ("statement", "`statement`, `query`, `sql` and the like"),
            ("operation", "`operation`, `action`, else the statement"),
            ("objects", "`object`, `table`, else the statement"),
            ("outcome", "`outcome`, `status`, `success` and the like"),
            ("code", "`code`, `error_code`, `sqlstate`"),
            ("rows", "`rows`, `row_count` and the like"),
            ("duration", "`duration_ms`, `duration_us` and the like"),
            ("kind", "`kind`, `event_type` and the like"),
        ],
        forgery: "As far as the program that writes it allows: nobody here verifies it. A value without quotes that holds a separator makes a row that does not fit, and is rejected",
        ignored: "Nothing: a row without a time is rejected",
        source: "<https://datatracker.ietf.org/doc/html/rfc4180>",
    },
};

/// Wanted columns with their names. The time stands first: no heading is without it.
#[rustfmt::skip]
const COLUMNS: [(Field, &[&str]); 16] = [
    (Field::Time, &["time", "timestamp", "@timestamp", "event_time", "ts", "datetime", "start_time", "log_time"]),
    (Field::Principal, &["user", "principal", "username", "user_name", "db_user", "dbuser", "account", "login", "usename"]),
    (Field::Address, &["address", "client_ip", "client_addr", "client_address", "remote_host", "remote_addr", "remote_ip", "source_ip", "src_ip", "ip", "host"]),
    (Field::Port, &["port", "client_port", "remote_port", "source_port"]),
    (Field::Database, &["database", "db", "dbname", "database_name", "db_name", "datname"]),
    (Field::Client, &["application_name", "client", "client_name", "application", "app", "program", "user_agent"]),
    (Field::Session, &["session", "session_id", "connection_id", "conn_id", "thread_id"]),
    (Field::Statement, &["statement", "query", "sql", "sql_text", "query_text"]),
    (Field::Operation, &["operation", "op", "action", "verb", "command"]),
    (Field::Objects, &["object", "objects", "table", "tables", "object_name", "table_name"]),
    (Field::Outcome, &["outcome", "status", "result", "success"]),
    (Field::Code, &["code", "error_code", "sqlstate", "errno", "retcode"]),
    (Field::Rows, &["rows", "row_count", "rows_sent", "rows_returned"]),
    (Field::DurationMs, &["duration_ms", "elapsed_ms", "latency_ms", "query_time_ms"]),
    (Field::DurationUs, &["duration_us", "elapsed_us", "latency_us"]),
    (Field::Kind, &["kind", "event_type", "event", "type"]),
];

const NAMES: [&[&str]; COLUMNS.len()] = {
    let mut names: [&[&str]; COLUMNS.len()] = [&[]; COLUMNS.len()];
    let mut at = 0;
    #[allow(clippy::indexing_slicing)] // computed by the compiler
    while at < names.len() {
        names[at] = COLUMNS[at].1;
        at += 1;
    }
    names
};

/// Before any heading.
static HEADLESS: LazyLock<Columns> = LazyLock::new(|| Columns::new(&NAMES, &[]));

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Rows looked at.
    const ROWS: usize = 20;
    let arena = Bump::new();
    let mut columns = HEADLESS.clone();
    let (mut framer, mut rest, mut heading, mut rows, mut good) = (Table::new(&[]), sample, false, 0usize, 0usize);
    if matches!(sample.trim_ascii_start().first(), Some(b'{' | b'[') | None) {
        return Guess::NO;
    }
    while rows < ROWS {
        use crate::framing::{Framed, Framer, More};
        let consumed = match framer.next(rest, More::Idle) {
            Framed::Record(frame) => {
                match columns.read(rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default(), &arena) {
                    Line::Heading => heading = true,
                    Line::Row(row) if heading => {
                        rows += 1;
                        good += usize::from(!row.get(0).is_empty());
                    }
                    // What a heading is above of, or nothing.
                    _ if !heading => return Guess::NO,
                    _ => rows += 1,
                }
                frame.consumed
            }
            Framed::Skip { consumed, .. } => consumed,
            Framed::Incomplete => break,
        };
        rest = rest.get(consumed.max(1)..).unwrap_or_default();
    }
    let who = columns.knows(1) || columns.knows(7);
    match (heading && who, good * 2 >= rows) {
        (true, true) => Guess::new(60, format!("a heading of usual names above {good} of {rows} rows with a time")),
        _ => Guess::NO,
    }
}

struct Csv {
    columns: Columns,
    stamps: Timestamps,
}

impl Csv {
    fn new(options: &Options) -> Self {
        Csv { columns: HEADLESS.clone(), stamps: Timestamps::new(options.zone.clone()) }
    }
}

impl Decoder for Csv {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let row = match self.columns.read(record.bytes, arena) {
            Line::Row(row) => row,
            Line::Heading => return Decoded::Skip("the heading"),
            Line::Headless => return Decoded::Reject("a row before any heading"),
            Line::Broken => return Decoded::Reject("a row that does not fit its heading"),
        };
        let get = |field: Field| {
            let at = COLUMNS.iter().position(|(known, _)| *known == field)?;
            let value = pick::text(row.get(at), arena);
            (!value.is_empty()).then_some(Value::Text(value))
        };
        json::event(get, &mut self.stamps, record, arena)
    }

    fn save(&self) -> Vec<u8> {
        self.columns.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.columns.restore(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::testing::shown;

    #[test]
    fn rows() {
        let log = "Timestamp;User;Client_IP;Query;rows;error_code\n2026-11-22T02:21:28Z;ann;10.0.0.1:5;\"select \"\"a;b\"\"\nfrom t\";3;\n1795314089;bob;::1;select 1;;42501\nx\n";
        let want = [
            "Query ann@10.0.0.1:5 | - | select \"a;b\"\nfrom t | Unknown rows=3",
            "Denied bob@::1 | - | select 1 | Denied 42501",
            "rejected: a row that does not fit its heading",
        ];
        assert_eq!(shown(&FORMAT, log.as_bytes()), want);
        assert!(sniff(log.as_bytes(), &Options::default()).certainty > 50);
        for other in ["a,b,c\n1,2,3\n", "{\"time\":1}\n", "", "time,x,y\n1,2,3\n", "time,rows,code\n1,2,3\n"] {
            assert_eq!(sniff(other.as_bytes(), &Options::default()), Guess::NO, "{other}");
        }
    }
}
