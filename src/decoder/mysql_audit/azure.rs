//! Audit and slow log of Azure Database for MySQL (and MariaDB), as its diagnostic logs carry them: the `properties` of one entry.
//!
//! ```text
//! {"event_class":"general_log","event_subclass":"LOG","event_time":"2026-11-22T02:21:28Z","connection_id":"42","user":"app[app] @ web1 [10.0.0.7]","ip":"10.0.0.7","host":"web1","sql_text":"SELECT 1","error_code":"0"}
//! {"event_class":"connection_log","event_subclass":"CONNECT","connection_id":42,"user":"app","ip":"10.0.0.7","host":"web1","db":"shop","status_code":0}
//! {"event_class":"slow_log","start_time":"2026-11-22T02:21:28Z","query_time":"10.5","user_host":"app[app] @ web1 [10.0.0.7]","rows_sent":"7","sql_text":"SELECT 1","thread_id":"42"}
//! ```
//!
//! Log Analytics adds the type to each name (`user_s`, `error_code_d`, `event_time_t`).
//! <https://learn.microsoft.com/azure/mysql/flexible-server/concepts-audit-logs>

use bumpalo::Bump;

use super::entry::{Class, Entry, Log};
use super::object;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Operation, Time};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "azure-mysql",
    about: "audit and slow log of Azure Database for MySQL",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(Azure { times: Timestamps::new(options.zone.clone()), log: Log::default() })),
    guide: Guide {
        system: "Azure Database for MySQL (single and flexible server) and for MariaDB",
        switch_on: "`audit_log_enabled = ON`, `audit_log_events = CONNECTION,GENERAL` (and `slow_query_log = ON`), and a diagnostic setting for `MySqlAuditLogs` and `MySqlSlowLogs` to an event hub or a storage account",
        fields: &[
            ("time", "`event_time`, of the slow log `start_time`; else that of the entry, or `TimeGenerated`; UTC"),
            ("principal", "`user`, of the slow log `user_host`, the name in brackets; verified unless a login was refused"),
            ("address", "`ip`, else `host`; seen by the server"),
            ("database", "`db`"),
            ("session", "`connection_id`, else `thread_id`"),
            ("statement", "`sql_text`"),
            ("operation", "the statement"),
            ("objects", "`db` and `table` of a table's access, else the statement"),
            ("outcome", "`status_code`, `error_code`"),
            ("code", "`status_code`, `error_code`, the server's error number"),
            ("rows", "`rows_sent` of the slow log"),
            ("duration", "`query_time` of the slow log, seconds"),
            ("kind", "`event_class` and `event_subclass`"),
        ],
        forgery: "Nothing: all text of clients is escaped",
        ignored: "Tables that a statement opened: their names go with the statement; kept as `other`",
        source: "<https://learn.microsoft.com/azure/mysql/flexible-server/concepts-audit-logs>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Bytes of a line that are looked at.
    const HEAD: usize = 4096;
    let head = sample.get(..HEAD.min(sample.len())).unwrap_or_default().trim_ascii_start();
    let has = |name: &[u8]| head.seek(name).is_some();
    let audit = has(b"\"event_class") && (has(b"\"event_subclass") || has(b"\"sql_text"));
    let slow = has(b"\"user_host") && has(b"\"query_time") && has(b"\"sql_text");
    if head.starts_with(b"{") && (audit || slow) && !has(b"\"properties\"") {
        Guess::new(96, "objects with an event_class or a user_host as Azure Database for MySQL writes them")
    } else {
        Guess::NO
    }
}

struct Azure {
    times: Timestamps,
    log: Log,
}

impl Decoder for Azure {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let mut entry = Entry::default();
        let (mut class, mut subclass, mut stamp, mut written, mut thread) = (&b""[..], &b""[..], None, None, &b""[..]);
        let (mut code, mut table) = (&b""[..], &b""[..]);
        let read = object::read(record.bytes, arena, &mut |parent, key, value| {
            let name = ["_s", "_d", "_t", "_g", "_b"].iter().find_map(|kind| key.strip_suffix(kind)).unwrap_or(key);
            let text = value.bytes(arena).unwrap_or_default();
            match name {
                _ if !parent.is_empty() => {}
                "event_class" => class = text,
                "event_subclass" => subclass = text,
                "event_time" | "start_time" => stamp = Some(text).filter(|text| !text.is_empty()),
                "TimeGenerated" => written = Some(text).filter(|text| !text.is_empty()),
                "connection_id" => entry.connection = text,
                "thread_id" => thread = text,
                "user" | "user_host" => entry.user = text,
                "host" => entry.host = text,
                "ip" => entry.ip = text,
                "db" => entry.database = text,
                "table" => table = text,
                "sql_text" => entry.statement = text,
                "status_code" | "error_code" | "status" => code = text,
                "rows_sent" => entry.rows = value.count(),
                "query_time" => entry.duration_us = seconds(value.number()),
                _ => {}
            }
        });
        if !(read.is_ok() || record.truncated) || (class.is_empty() && entry.duration_us.is_none()) {
            return Decoded::Reject("not an entry of Azure's logs of MySQL");
        }
        let own = stamp.and_then(|stamp| epoch(stamp).or_else(|| self.times.parse(stamp).ok()));
        let Some(time) = own.or(record.note.time).or_else(|| self.times.parse(written?).ok()) else {
            return Decoded::Reject("no time stamp, in the record or around it");
        };
        if entry.connection.is_empty() {
            entry.connection = thread;
        }
        entry.status = code;
        let word = |text: &[u8], word: &[u8]| text.eq_ignore_ascii_case(word);
        entry.class = match class {
            b"connection_log" if word(subclass, b"CONNECT") => Class::Connect,
            b"connection_log" if word(subclass, b"CHANGE USER") || word(subclass, b"CHANGE_USER") => Class::ChangeUser,
            b"connection_log" if word(subclass, b"DISCONNECT") => Class::Disconnect,
            b"table_access_log" => {
                entry.table = (entry.database, table);
                match subclass.to_ascii_lowercase().as_slice() {
                    b"read" => Class::Table(Operation::Select),
                    b"insert" => Class::Table(Operation::Insert),
                    b"update" => Class::Table(Operation::Update),
                    b"delete" => Class::Table(Operation::Delete),
                    _ => Class::Other,
                }
            }
            // `LOG` is written before the statement runs, so its 0 tells of no success; `ERROR` and `RESULT` follow where there are any.
            b"general_log" => {
                if word(subclass, b"LOG") && code == b"0" {
                    entry.status = b"";
                }
                Class::Either
            }
            _ if entry.duration_us.is_some() => Class::Status,
            _ => Class::Other,
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

/// Seconds since 1970, as flexible servers write `event_time`.
fn epoch(text: &[u8]) -> Option<Time> {
    let seconds: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (100_000_000..100_000_000_000).contains(&seconds).then(|| Time(seconds * 1_000_000))
}

/// Microseconds of a number of seconds.
fn seconds(number: Option<f64>) -> Option<u64> {
    number.filter(|seconds| (0.0..1e9).contains(seconds)).map(|seconds| (seconds * 1e6).round() as u64)
}
