//! Percona's audit_log plugin as JSON and as CSV. (Its XML is read by [`super::xml`].)
//!
//! ```text
//! {"audit_record":{"name":"Query","record":"13149_2026-11-22T15:03:11","timestamp":"2026-11-22T15:07:58 UTC","command_class":"select","connection_id":"2","status":0,"sqltext":"SELECT 1","user":"app[app] @ localhost [127.0.0.1]","host":"localhost","os_user":"","ip":"127.0.0.1","db":"shop"}}
//! "Query","22567_2026-11-22T16:10:09","2026-11-22T16:19:00 UTC","select","2",0,"SELECT 1","app[app] @ localhost []","localhost","","","shop"
//! ```
//!
//! CSV doubles quotes and writes line ends as they are, so only the count of quotes tells where a record ends; where that was lost
//! (see [`crate::framing::csv`]) records are suspect for a while.
//! <https://docs.percona.com/percona-server/8.0/audit-log-plugin.html>

use bumpalo::Bump;

use super::entry::Log;
use super::named::Named;
use super::object;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::framing::csv::Csv;
use crate::framing::json::Objects;

const FIELDS: &[(&str, &str)] = &[
    ("time", "`timestamp`, UTC"),
    ("principal", "`user`, the name in brackets; verified unless `status` of a login is not 0 or the account is anonymous"),
    ("address", "`ip`, else `host`; seen by the server"),
    ("database", "`db`"),
    ("session", "`connection_id`"),
    ("statement", "`sqltext`"),
    ("operation", "the statement, else `command_class`"),
    ("objects", "the statement"),
    ("outcome", "`status`"),
    ("code", "`status`, the server's error number"),
    ("kind", "`name`"),
];

const SOURCE: &str = "<https://docs.percona.com/percona-server/8.0/audit-log-plugin.html>";

pub const JSON: Format = Format {
    name: "percona-audit-json",
    about: "Percona audit_log plugin (audit_log_format = JSON)",
    forgeable: false,
    sniff: |sample, _| {
        let head = sample.get(..200).unwrap_or(sample).trim_ascii_start();
        let inner = head.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
        if inner.is_some_and(|inner| inner.starts_with(b"\"audit_record\"")) {
            Guess::new(97, "objects with an audit_record inside")
        } else {
            Guess::NO
        }
    },
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Percona::new(options, json))),
    guide: Guide {
        system: "Percona Server 5.5 to 8.0",
        switch_on: "`INSTALL PLUGIN audit_log SONAME 'audit_log.so'`, `audit_log_format = JSON`",
        fields: FIELDS,
        forgery: "Nothing: all text of clients is escaped",
        ignored: "Server start and stop (`Audit`, `NoAudit`): kept as `other`",
        source: SOURCE,
    },
};

pub const CSV: Format = Format {
    name: "percona-audit-csv",
    about: "Percona audit_log plugin (audit_log_format = CSV)",
    forgeable: false,
    sniff: |sample, _| {
        if begins(sample) { Guess::new(95, "rows begin with a name, a record number and its start time, all in quotes") } else { Guess::NO }
    },
    open: |_, options| (Box::new(Csv::new(begins)), Box::new(Percona::new(options, csv))),
    guide: Guide {
        system: "Percona Server 5.5 to 8.0",
        switch_on: "`INSTALL PLUGIN audit_log SONAME 'audit_log.so'`, `audit_log_format = CSV`. JSON is the better choice: its records end at line ends",
        fields: FIELDS,
        forgery: "Nothing while the log is read from a record's start. Where the start was lost, rows inside a statement may look like records for up to 1 MiB: these are marked and name no token",
        ignored: "Server start and stop (`Audit`, `NoAudit`): kept as `other`",
        source: SOURCE,
    },
};

/// Takes a record apart; `false` where it is none.
type Read = for<'a> fn(&'a [u8], &mut Named<'a>, &'a Bump) -> bool;

struct Percona {
    read: Read,
    times: Timestamps,
    log: Log,
}

impl Percona {
    fn new(options: &Options, read: Read) -> Self {
        Percona { read, times: Timestamps::new(options.zone.clone()), log: Log::default() }
    }
}

impl Decoder for Percona {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let mut named = Named::default();
        let read = (self.read)(record.bytes, &mut named, arena);
        if named.name.is_empty() || !read && !record.truncated {
            return Decoded::Reject("not a record of percona's audit_log");
        }
        let Ok(time) = self.times.parse(named.timestamp) else { return Decoded::Reject("unreadable time stamp") };
        Decoded::Event(self.log.event(&named.entry(), time, record, arena))
    }

    fn save(&self) -> Vec<u8> {
        self.log.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.log.restore(state);
    }
}

fn json<'a>(record: &'a [u8], named: &mut Named<'a>, arena: &'a Bump) -> bool {
    let read = object::read(record, arena, &mut |parent, key, value| {
        if parent == "audit_record"
            && let Some(text) = value.bytes(arena)
        {
            named.set(key.as_bytes(), text);
        }
    });
    read.is_ok()
}

/// The columns of a statement, of a connection, and of the server's start.
const STATEMENT: [&str; 12] =
    ["name", "record", "timestamp", "command_class", "connection_id", "status", "sqltext", "user", "host", "os_user", "ip", "db"];
const CONNECTION: [&str; 12] =
    ["name", "record", "timestamp", "connection_id", "status", "user", "priv_user", "os_login", "proxy_user", "host", "ip", "db"];
const SERVER: [&str; 6] = ["name", "record", "timestamp", "mysql_version", "startup_options", "os_version"];

fn csv<'a>(record: &'a [u8], named: &mut Named<'a>, arena: &'a Bump) -> bool {
    let mut columns: [&'a [u8]; 13] = [b""; 13];
    let (mut count, mut rest, mut whole) = (0, record, true);
    for column in &mut columns {
        let Some((value, after, closed)) = value(rest, arena) else { return false };
        (*column, count, whole) = (value, count + 1, closed);
        match after.split_first() {
            None => break,
            Some((b',', after)) => rest = after,
            Some(_) => return false,
        }
    }
    let number = |at: usize| columns.get(at).is_some_and(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit));
    let names: &[&str] = match count {
        6 if !number(3) => &SERVER,
        // Old versions have no database.
        11 | 12 if number(3) && number(4) => &CONNECTION,
        11 | 12 if number(4) && number(5) => &STATEMENT,
        _ if !whole && number(4) && number(5) => &STATEMENT,
        _ => return false,
    };
    for (name, value) in names.iter().zip(columns).take(count) {
        // Of a value that is cut off, only a statement's head is worth anything.
        if whole || *name != names.get(count - 1).copied().unwrap_or_default() || *name == "sqltext" {
            named.set(name.as_bytes(), value);
        }
    }
    whole
}

/// The value at the start of `text`, what follows it, and whether its quotes close.
fn value<'a>(text: &'a [u8], arena: &'a Bump) -> Option<(&'a [u8], &'a [u8], bool)> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr(b',', text).unwrap_or(text.len());
        return Some((text.get(..end)?, text.get(end..)?, true));
    };
    let mut out: Option<bumpalo::collections::Vec<'a, u8>> = None;
    let mut rest = quoted;
    loop {
        let Some(quote) = memchr::memchr(b'"', rest) else {
            return Some((
                out.map_or(rest, |mut out| {
                    out.extend_from_slice(rest);
                    out.into_bump_slice()
                }),
                b"",
                false,
            ));
        };
        let (piece, after) = (rest.get(..quote)?, rest.get(quote + 1..)?);
        let Some(next) = after.strip_prefix(b"\"") else {
            return Some((
                out.map_or(piece, |mut out| {
                    out.extend_from_slice(piece);
                    out.into_bump_slice()
                }),
                after,
                true,
            ));
        };
        let out = out.get_or_insert_with(|| bumpalo::collections::Vec::new_in(arena));
        out.extend_from_slice(piece);
        out.push(b'"');
        rest = next;
    }
}

/// Whether a record begins here: `"NAME","NUMBER_YYYY-`.
fn begins(text: &[u8]) -> bool {
    /// Longest name, and longest number.
    const LONGEST: usize = 24;
    let name = |text: &[u8]| text.iter().take(LONGEST).take_while(|b| b.is_ascii_alphabetic() || **b == b' ').count();
    let digits = |text: &[u8]| text.iter().take(LONGEST).take_while(|b| b.is_ascii_digit()).count();
    let after = |text: &'_ [u8]| -> Option<bool> {
        let text = text.strip_prefix(b"\"")?;
        let (end, shown) = (name(text), text.len());
        let text = text.get(end..)?;
        if end == 0 || !text.starts_with(b"\",\"") {
            return Some(end > 0 && end == shown);
        }
        let text = text.get(3..)?;
        let end = digits(text);
        let text = text.get(end..)?;
        Some(
            end > 0
                && text.starts_with(b"_")
                && matches!(text.get(1..6), Some([a, b, c, d, b'-']) if [a, b, c, d].iter().all(|b| b.is_ascii_digit())),
        )
    };
    after(text).unwrap_or(false)
}
