//! The CSV log of Greenplum, Cloudberry and HAWQ: PostgreSQL's messages under columns of their own.
//!
//! ```text
//! 2026-11-22 02:05:17.641516 UTC,"tok_web","appdb",p1013,th615483520,"10.0.0.7","38582",2026-11-22 02:05:10 UTC,0,con15,cmd23,seg-1,,,,sx1,"LOG","00000","statement: SELECT 1",,,,,,"SELECT 1",0,,"postgres.c",1618,
//! ```
//!
//! The statement stands in nearly every record (column 25), so it does not tell who wrote it; a context (column 24) does. All text of clients is
//! quoted. <https://github.com/greenplum-db/gpdb-archive/blob/main/gpdb-doc/markdown/admin_guide/managing/monitor.html.md>

use bumpalo::Bump;

use super::csvlog::{Columns, begins, tried};
use super::message::{self, Fields, Phase};
use super::plan::Recent;
use super::severity::{Severity, severity};
use super::translated::english;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::Address;
use crate::framing::csv::Csv;

pub const FORMAT: Format = Format {
    name: "greenplum-csv",
    about: "CSV log of Greenplum, Cloudberry and HAWQ",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Csv::new(begins)), Box::new(Greenplum::new(options))),
    guide: Guide {
        system: "Greenplum 4 to 7, Cloudberry, HAWQ",
        switch_on: "on by default (`gp_log_format = csv`); `log_connections = on`, `log_disconnections = on`, `log_statement = all`; the log of the coordinator",
        fields: &[
            ("time", "column 1"),
            ("principal", "column 2; verified once the session is authorised"),
            ("address", "column 6; seen by the server"),
            ("port", "column 7"),
            ("database", "column 3"),
            ("session", "column 10, else the process id"),
            ("statement", "message after `statement:` or `execute`; column 25 of errors"),
            ("operation", "the statement"),
            ("objects", "the statement"),
            ("outcome", "severity and SQLSTATE"),
            ("code", "column 18, SQLSTATE"),
            ("duration", "message after `duration:`"),
            ("kind", "the message"),
        ],
        forgery: "No record of another: all client text is quoted. An account with `RAISE` can log a text that looks like a statement, under its own name",
        ignored: "Messages of background processes and notices: kept as `other`",
        source: "<https://github.com/greenplum-db/gpdb-archive/blob/main/gpdb-doc/markdown/admin_guide/managing/monitor.html.md>",
    },
};

/// Columns up to the statement.
const COLUMNS: usize = 25;

fn sniff(sample: &[u8], options: &Options) -> Guess {
    let (good, all) = tried(sample, &mut Greenplum::new(options));
    if good == 0 {
        return Guess::NO;
    }
    Guess::new((99 * good / all) as u8, format!("{good} of the first {all} records have the columns of Greenplum's log"))
}

struct Greenplum {
    times: Timestamps,
    recent: Recent,
}

impl Greenplum {
    fn new(options: &Options) -> Self {
        Greenplum { times: Timestamps::new(options.zone.clone()), recent: Recent::default() }
    }
}

impl Decoder for Greenplum {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let mut columns = Columns::new(record.bytes);
        let time = columns.next().plain();
        let user = columns.next();
        let database = columns.next();
        let pid = columns.next().plain();
        let thread = columns.next().plain();
        let host = columns.next();
        let port = columns.next().plain();
        columns.pass(2); // session start, transaction
        let session = columns.next().plain();
        columns.pass(6); // command, segment, slice, transactions
        let level = columns.next().plain();
        let code = columns.next().plain();
        let message = columns.next();
        let detail = columns.next();
        columns.pass(3); // hint, internal query, its position
        let context = columns.next();
        let query = columns.next();
        if columns.broken && !record.truncated {
            return Decoded::Reject("broken csv quoting");
        }
        if columns.seen < COLUMNS && !record.truncated {
            return Decoded::Reject("too few csv columns");
        }
        let process = pid.strip_prefix(b"p").filter(|pid| message::number(pid).is_some());
        let (Some(process), true, Some(severity)) = (process, thread.starts_with(b"th"), severity(level)) else {
            return Decoded::Reject("not a record of greenplum's log");
        };
        let Ok(time) = self.times.parse(time) else { return Decoded::Reject("unreadable time stamp") };
        let fields = Fields {
            time,
            user: user.text(arena),
            database: database.text(arena),
            address: host.text(arena).and_then(Address::parse),
            port: message::number(port).and_then(|port| u16::try_from(port).ok()),
            session: Some(if session.is_empty() { process } else { session }),
            application: None,
            severity,
            code,
            message: english(message.text(arena).unwrap_or_default(), arena),
            context: !context.is_null() && !columns.broken,
            detail: detail.text(arena).map(|detail| english(detail, arena)),
            query: if severity >= Severity::Error { query.text(arena) } else { None },
            phase: Phase::Unknown,
            truncated: record.truncated,
            suspect: record.suspect,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, Provenance};

    #[test]
    fn a_report_with_a_context_was_raised_by_a_session() {
        let row = |message: &str, context: &str| {
            format!(
                "2026-11-22 02:05:17.641516 UTC,\"u\",\"d\",p1013,th-5,\"[local]\",,2026-11-22 02:05:10 UTC,0,con15,cmd2,seg-1,,,,sx1,\"LOG\",\"00000\",\"{message}\",,,,,{context},\"DO x\",0,,\"f.c\",1,"
            )
        };
        let arena = Bump::new();
        let mut log = Greenplum::new(&Options::default());
        let text = row("statement: SELECT 1", "");
        let Decoded::Event(event) = log.decode(Record::new(text.as_bytes()), &arena) else { panic!("{text}") };
        assert_eq!((event.kind, event.principal.map(|p| p.provenance)), (Kind::Query, Some(Provenance::Authenticated)));
        let text = row("statement: SELECT 1", "\"PL/pgSQL function inline_code_block line 1 at RAISE\"");
        let Decoded::Event(event) = log.decode(Record::new(text.as_bytes()), &arena) else { panic!("{text}") };
        assert_eq!((event.kind, event.suspect), (Kind::Other, Some(message::RAISED)));
        for bad in ["", "2026-11-22 02:05:17.6 UTC,a", "2026-11-22 02:05:17.6 UTC,,,p7,x,,,,,,,,,,,,\"LOG\",\"00000\",\"m\",,,,,,,,,"] {
            assert!(matches!(log.decode(Record::new(bad.as_bytes()), &arena), Decoded::Reject(_)), "{bad}");
        }
    }
}
