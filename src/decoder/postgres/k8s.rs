//! PostgreSQL's csvlog as the operator CloudNativePG writes it to standard output: one JSON object a record, with the columns under their names
//! and all values as text; pgaudit's records are taken apart.
//!
//! ```text
//! {"level":"info","ts":1669575482.09,"logger":"postgres","msg":"record","logging_pod":"pg-1","record":{"log_time":"2022-11-27 18:58:02.096 UTC","user_name":"app",...}}
//! {"level":"info","ts":1669575482.10,"logger":"pgaudit","msg":"record","record":{"log_time":"...","audit":{"audit_type":"SESSION","command":"SELECT",...}}}
//! ```
//!
//! Other loggers of the same output (the operator's own, `barman`, `pgbouncer`) are no records of the database. See
//! <https://cloudnative-pg.io/documentation/current/logging/>

use std::sync::LazyLock;

use bumpalo::Bump;

use super::csvlog::{peer_address, phase};
use super::message::{self, Fields};
use super::plan::Recent;
use super::severity::{Severity, severity};
use super::translated::english;
use crate::decoder::json::pick::{self, Picked, Places};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::framing::lines::Lines;

pub const FORMAT: Format = Format {
    name: "postgres-k8s",
    about: "PostgreSQL's log as CloudNativePG writes it",
    forgeable: false,
    sniff,
    open: |_, options| {
        (Box::new(Lines::new()), Box::new(K8sLog { times: Timestamps::new(options.zone.clone()), recent: Recent::default() }))
    },
    guide: Guide {
        system: "PostgreSQL under CloudNativePG 1.x",
        switch_on: "`postgresql.parameters` of the Cluster: `log_connections: \"on\"`, `log_disconnections: \"on\"`, and `log_statement: all` or the `pgaudit.*` parameters; the operator writes JSON by itself",
        fields: &[
            ("time", "`record.log_time`"),
            ("principal", "`record.user_name`; verified once the session is authorised"),
            ("address", "`record.connection_from`; seen by the server"),
            ("port", "`record.connection_from`"),
            ("database", "`record.database_name`"),
            ("client", "`record.application_name`; the client's own word"),
            ("session", "`record.session_id`"),
            ("statement", "`record.message` after `statement:`, `execute`; `record.audit.statement`; `record.query` of errors"),
            ("operation", "`record.audit.command`, else the statement"),
            ("objects", "`record.audit.object_name`, else the statement"),
            ("outcome", "`record.error_severity` and `record.sql_state_code`"),
            ("code", "`record.sql_state_code`, SQLSTATE"),
            ("rows", "`record.audit.rows`, where the operator passes it on"),
            ("duration", "`record.message` after `duration:`"),
            ("kind", "`record.message`"),
        ],
        forgery: "No record of another: all client text is escaped. An account with `RAISE` can log a text that looks like a statement, under its own name",
        ignored: "What other loggers write: skipped. Messages of background processes: kept as `other`",
        source: "<https://cloudnative-pg.io/documentation/current/logging/>",
    },
};

/// Where the values stand; the number of a slot is its place here.
const POINTERS: [&str; 28] = [
    "/logger",
    "/record/log_time",
    "/record/user_name",
    "/record/database_name",
    "/record/connection_from",
    "/record/session_id",
    "/record/command_tag",
    "/record/error_severity",
    "/record/sql_state_code",
    "/record/message",
    "/record/context",
    "/record/query",
    "/record/application_name",
    "/record/backend_type",
    "/record/audit/audit_type",
    "/record/audit/statement_id",
    "/record/audit/substatement_id",
    "/record/audit/class",
    "/record/audit/command",
    "/record/audit/object_type",
    "/record/audit/object_name",
    "/record/audit/statement",
    "/record/audit/parameter",
    "/record/audit/rows",
    "/record/process_id",
    "/msg",
    "/level",
    "/record/detail",
];
const LOGGER: usize = 0;
const AUDIT: std::ops::Range<usize> = 14..24;
const PROCESS: usize = 24;
const MSG: usize = 25;
const LEVEL: usize = 26;
const DETAIL: usize = 27;

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let mut places = Places::default();
    for (slot, pointer) in POINTERS.iter().enumerate() {
        places.add(pointer, slot, 0);
    }
    places
});

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 20;
    let arena = Bump::new();
    let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..end)).unwrap_or(sample);
    let (mut lines, mut operator, mut records) = (0, 0, 0);
    for line in complete.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).take(LINES) {
        lines += 1;
        let Ok(picked) = pick::pick(pick::text(line, &arena), &PLACES, POINTERS.len(), &arena) else { continue };
        operator += u8::from(picked.get(LEVEL).is_some() && picked.get(MSG).is_some());
        records += u8::from(picked.get(1).is_some() && picked.get(PROCESS).is_some());
    }
    match records {
        0 => Guess::NO,
        _ if u32::from(operator) * 2 >= lines => {
            Guess::new(98, format!("{records} of {lines} lines are records of PostgreSQL by CloudNativePG"))
        }
        _ => Guess::NO,
    }
}

struct K8sLog {
    times: Timestamps,
    recent: Recent,
}

impl Decoder for K8sLog {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let text = pick::text(record.bytes, arena);
        let Ok(picked) = pick::pick(text, &PLACES, POINTERS.len(), arena) else {
            return Decoded::Reject(if record.truncated { "JSON object cut by the size limit" } else { "not a JSON object" });
        };
        let get = |slot: usize| picked.text(slot).map(|text| -> &'a [u8] { text });
        match get(LOGGER) {
            Some(b"postgres" | b"pgaudit") if picked.text(PROCESS).is_some() => {}
            Some(_) => return Decoded::Skip("another program's line"),
            None if picked.get(MSG).is_some() && picked.get(LEVEL).is_some() => return Decoded::Skip("another program's line"),
            None => return Decoded::Reject("not a record of CloudNativePG"),
        }
        let Some(time) = get(1) else { return Decoded::Reject("no time stamp") };
        let Ok(time) = self.times.parse(time) else { return Decoded::Reject("unreadable time stamp") };
        let code = get(8).unwrap_or_default();
        let level = get(7).unwrap_or_default();
        let (address, port) = get(4).map_or((None, None), peer_address);
        let fields = Fields {
            time,
            user: get(2),
            database: get(3),
            address,
            port,
            session: get(5),
            application: get(12),
            severity: severity(level).unwrap_or(if matches!(code, b"" | b"00000") { Severity::Log } else { Severity::Error }),
            code,
            message: get(9).map(|text| english(text, arena)).or_else(|| audit(&picked, arena)).unwrap_or_default(),
            context: picked.get(10).is_some(),
            detail: get(DETAIL).map(|text| english(text, arena)),
            query: get(11),
            phase: phase(get(6).unwrap_or_default(), get(13).unwrap_or_default()),
            truncated: record.truncated,
            suspect: record.suspect.or(picked.twice.then_some("a field stands twice in the object")),
        };
        let mut event = message::event(&fields, arena);
        self.recent.settle(&mut event, fields.message);
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.recent.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.recent.restore(state);
    }
}

/// pgaudit's record as the message that the operator has taken apart.
fn audit<'a>(picked: &Picked<'a>, arena: &'a Bump) -> Option<&'a [u8]> {
    picked.get(AUDIT.start)?;
    let mut message = bumpalo::collections::Vec::new_in(arena);
    message.extend_from_slice(b"AUDIT: ");
    for slot in AUDIT {
        if slot > AUDIT.start {
            message.push(b',');
        }
        let field = picked.word(slot, arena).map_or(&b""[..], |text| text);
        if memchr::memchr3(b',', b'"', b'\n', field).is_some() || field.contains(&b'\r') {
            message.push(b'"');
            for byte in field {
                if *byte == b'"' {
                    message.push(b'"');
                }
                message.push(*byte);
            }
            message.push(b'"');
        } else {
            message.extend_from_slice(field);
        }
    }
    Some(message.into_bump_slice())
}

#[cfg(test)]
mod tests {
    use super::FORMAT;
    use crate::decoder::testing::shown;

    #[test]
    fn records_of_the_operator() {
        for (line, want) in [
            (
                r#"{"level":"info","ts":1.5,"logger":"postgres","msg":"record","record":{"log_time":"2026-11-22 02:05:17.641 UTC","user_name":"u","database_name":"d","process_id":"600","connection_from":"10.0.0.7:5123","session_id":"6.2","command_tag":"SELECT","error_severity":"LOG","sql_state_code":"00000","message":"statement: select 1","application_name":"psql","backend_type":"client backend"}}"#,
                "Query u@10.0.0.7:5123/d \"psql\" | - | select 1 | Unknown session=6.2",
            ),
            (
                r#"{"level":"info","ts":1.5,"logger":"pgaudit","msg":"record","record":{"log_time":"2026-11-22 02:05:17.641 UTC","user_name":"u","database_name":"d","process_id":"600","connection_from":"[local]","session_id":"6.2","command_tag":"SELECT","error_severity":"LOG","sql_state_code":"00000","backend_type":"client backend","audit":{"audit_type":"SESSION","statement_id":"1","substatement_id":"1","class":"READ","command":"SELECT","object_type":"TABLE","object_name":"public.t","statement":"select a, \"b\" from t","parameter":"<none>"}}}"#,
                "Query u@local/d | select public.t | select a, \"b\" from t | Unknown session=6.2",
            ),
            (
                r#"{"level":"info","ts":1.5,"logger":"postgres","msg":"record","record":{"log_time":"2026-11-22 02:05:17.641 UTC","user_name":"u","database_name":"d","process_id":"600","connection_from":"10.0.0.7:5123","session_id":"6.2","command_tag":"authentication","error_severity":"FATAL","sql_state_code":"28P01","message":"password authentication failed for user \"u\""}}"#,
                "LoginFailed u?@10.0.0.7:5123/d | - | - | Denied 28P01 session=6.2",
            ),
            (r#"{"level":"info","ts":1.5,"logger":"postgres","msg":"record","record":{"process_id":"6"}}"#, "rejected: no time stamp"),
            (r#"{"level":"info""#, "rejected: not a JSON object"),
        ] {
            let got = shown(&FORMAT, line.as_bytes());
            assert_eq!(got, [want], "{line}");
        }
        assert!(shown(&FORMAT, br#"{"level":"info","logger":"barman","msg":"x"}"#).is_empty());
    }
}
