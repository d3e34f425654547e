//! PostgreSQL's csvlog: one CSV record an entry, quoted line ends inside.
//!
//! ```text
//! 2026-11-22 02:05:17.641 UTC,"tok_web","appdb",1013,"127.0.0.1:38582",6b024ddd.3f5,5,"idle",2026-11-22 02:05:17 UTC,3/3,0,LOG,00000,"statement: SELECT 1",,,,,,,,,"psql","client backend",,0
//! ```
//!
//! 22 columns before 9.0, 23 to 12, 24 in 13, 26 since 14; see
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG>. All text of clients is
//! quoted, so no client can write a record of its own.

use bumpalo::Bump;

use super::message::{self, Fields, Phase};
use super::plan::Recent;
use super::severity::{Severity, severity};
use super::translated::english;
use super::{quoted, undouble};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Framer, Guess, Guide, Options, Record};
use crate::event::Address;
use crate::framing::csv::Csv;
use crate::framing::seek::Seek;
use crate::framing::{Framed, More};

pub const FORMAT: Format = Format {
    name: "postgres-csv",
    about: "PostgreSQL csvlog (log_destination = csvlog), with pgaudit",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Csv::new(begins)), Box::new(CsvLog::new(options))),
    guide: Guide {
        system: "PostgreSQL 8.3 to 18, and services that let you download its csvlog (RDS, Aurora)",
        switch_on: "`log_destination = csvlog`, `logging_collector = on`, `log_connections = on`, `log_disconnections = on`, and `log_statement = all` or pgaudit",
        fields: &[
            ("time", "column 1"),
            ("principal", "column 2; verified once the session is authorised"),
            ("address", "column 5; seen by the server"),
            ("port", "column 5"),
            ("database", "column 3"),
            ("client", "column 23, application_name; the client's own word"),
            ("session", "column 6"),
            ("statement", "message after `statement:`, `execute` or pgaudit's field; column 20 of errors"),
            ("operation", "pgaudit's COMMAND, else the statement"),
            ("objects", "pgaudit's OBJECT_NAME, else the statement"),
            ("outcome", "severity and SQLSTATE"),
            ("code", "column 13, SQLSTATE"),
            ("rows", "pgaudit with `pgaudit.log_rows`"),
            ("duration", "message after `duration:`"),
            ("kind", "the message"),
        ],
        forgery: "No record of another: all client text is quoted. An account with `RAISE` can log a text that looks like a statement or an audit entry, under its own name",
        ignored: "Messages of background processes and notices: kept as `other`",
        source: "<https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG>",
    },
};

/// Columns of the oldest servers.
const COLUMNS: usize = 22;

/// Records of a sample that are tried.
const TRIED: usize = 200;

fn sniff(sample: &[u8], options: &Options) -> Guess {
    let (good, all) = tried(sample, &mut CsvLog::new(options));
    if good == 0 {
        return Guess::NO;
    }
    Guess::new((99 * good / all) as u8, format!("{good} of the first {all} records have the columns of PostgreSQL's csvlog"))
}

/// Of the first records of a sample, how many the decoder understands, and how many it was shown.
pub(super) fn tried(sample: &[u8], decoder: &mut dyn Decoder) -> (u32, u32) {
    if !begins(sample) && sample.seek(b"\",\"").is_none() {
        return (0, 0);
    }
    let (mut framer, mut arena) = (Csv::new(begins), Bump::new());
    let (mut rest, mut good, mut all) = (sample, 0u32, 0u32);
    while all < TRIED as u32 {
        match framer.next(rest, More::Idle) {
            Framed::Record(frame) => {
                all += 1;
                let bytes = rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default();
                let record = Record::new(bytes);
                good += u32::from(matches!(decoder.decode(record, &arena), Decoded::Event(_)));
                arena.reset();
                rest = rest.get(frame.consumed..).unwrap_or_default();
            }
            Framed::Skip { consumed, .. } => rest = rest.get(consumed..).unwrap_or_default(),
            Framed::Incomplete => break,
        }
    }
    if all == 0 {
        // A single record, its line end cut off.
        let record = Record::new(sample);
        good = u32::from(matches!(decoder.decode(record, &arena), Decoded::Event(_)));
        all = 1;
    }
    (good, all)
}

/// How the names of the columns begin, where somebody exported the log from a table.
const HEADING: &[u8] = b"log_time,";

/// Whether a record begins here: a time stamp, as every first column is.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\"").unwrap_or(bytes);
    if bytes.starts_with(HEADING) {
        return true;
    }
    let Some(head) = bytes.first_chunk::<19>() else { return false };
    head.iter().zip(b"dddd-dd-dd dd:dd:dd").all(|(b, p)| if *p == b'd' { b.is_ascii_digit() } else { b == p })
}

struct CsvLog {
    times: Timestamps,
    recent: Recent,
}

impl CsvLog {
    fn new(options: &Options) -> Self {
        CsvLog { times: Timestamps::new(options.zone.clone()), recent: Recent::default() }
    }
}

/// One column: `None` is NULL (nothing between the commas), which differs from the empty text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column<'a> {
    Null,
    Plain(&'a [u8]),
    /// Holds doubled quotes.
    Doubled(&'a [u8]),
}

impl<'a> Column<'a> {
    pub(super) fn text(self, arena: &'a Bump) -> Option<&'a [u8]> {
        match self {
            Column::Null => None,
            Column::Plain(text) => Some(text),
            Column::Doubled(raw) => Some(undouble(raw, arena)),
        }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self, Column::Null)
    }

    /// The text of a column that holds no quotes.
    pub(super) fn plain(self) -> &'a [u8] {
        match self {
            Column::Plain(text) => text,
            _ => b"",
        }
    }
}

/// Walks the columns of one record.
pub(super) struct Columns<'a> {
    /// `None`: the record is used up.
    rest: Option<&'a [u8]>,
    pub(super) seen: usize,
    /// A quoted column does not end, or something follows its closing quote.
    pub(super) broken: bool,
}

impl<'a> Columns<'a> {
    pub(super) fn new(record: &'a [u8]) -> Self {
        Columns { rest: Some(record), seen: 0, broken: false }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Column<'a> {
        let Some(rest) = self.rest else { return Column::Null };
        self.seen += 1;
        match rest {
            [] => {
                self.rest = None;
                Column::Null
            }
            [b',', after @ ..] => {
                self.rest = Some(after);
                Column::Null
            }
            [b'"', body @ ..] => {
                let (raw, doubled, after) = quoted(body);
                self.rest = match after {
                    Some([b',', rest @ ..]) => Some(rest),
                    Some([]) => None,
                    Some(_) | None => {
                        self.broken = true;
                        None
                    }
                };
                if doubled { Column::Doubled(raw) } else { Column::Plain(raw) }
            }
            _ => {
                // Bare columns are short: a plain loop beats a call.
                let end = rest.iter().position(|b| *b == b',');
                let text = end.map_or(rest, |end| rest.get(..end).unwrap_or_default());
                self.rest = end.and_then(|end| rest.get(end + 1..));
                Column::Plain(text)
            }
        }
    }

    pub(super) fn pass(&mut self, columns: usize) {
        for _ in 0..columns {
            self.next();
        }
    }
}

impl Decoder for CsvLog {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        if record.bytes.starts_with(HEADING) {
            return Decoded::Skip("heading of the columns");
        }
        let mut columns = Columns::new(record.bytes);
        let time = columns.next().plain();
        let user = columns.next();
        let database = columns.next();
        let pid = columns.next().plain();
        let peer = columns.next();
        let session = columns.next().plain();
        columns.pass(1); // line number
        let tag = columns.next();
        columns.pass(3); // session start, virtual transaction, transaction
        let level = columns.next().plain();
        let code = columns.next().plain();
        let message = columns.next();
        let whole = !columns.broken;
        let detail = columns.next();
        columns.pass(3); // hint, internal query, its position
        let context = columns.next();
        let query = columns.next();
        columns.pass(2); // query position, location
        let last = columns.seen;
        let application = columns.next();
        let backend = columns.next();
        if columns.broken && !record.truncated {
            return Decoded::Reject("broken csv quoting");
        }
        // A record that was cut still has its head; the column that was cut last is kept as far as it goes.
        if last < COLUMNS && (!record.truncated || message.is_null()) {
            return Decoded::Reject("too few csv columns");
        }
        // Other tables have a time first, too; none has an SQLSTATE there.
        let state = code.len() == 5 && code.iter().all(u8::is_ascii_alphanumeric);
        if message::number(pid).is_none() || session.is_empty() || !(state || severity(level).is_some()) {
            return Decoded::Reject("not a postgres csv record");
        }
        let Ok(time) = self.times.parse(time) else { return Decoded::Reject("unreadable time stamp") };
        let severity = severity(level).unwrap_or(match code {
            // An unknown language: the SQLSTATE tells failures from reports.
            [b'0', b'0' | b'1' | b'2', ..] => Severity::Log,
            _ => Severity::Error,
        });
        let (address, port) = peer_address(peer.text(arena).unwrap_or_default());
        let fields = Fields {
            time,
            user: user.text(arena),
            database: database.text(arena),
            address,
            port,
            session: Some(session),
            application: application.text(arena),
            severity,
            code,
            message: english(message.text(arena).unwrap_or_default(), arena),
            context: !context.is_null() && whole,
            detail: detail.text(arena).map(|detail| english(detail, arena)),
            query: query.text(arena),
            phase: phase(tag.plain(), backend.plain()),
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

/// How far a session was, by its command tag and backend type. The server sets both; no client can.
pub(super) fn phase(tag: &[u8], backend: &[u8]) -> Phase {
    match (tag, backend) {
        (b"authentication", _) | (_, b"not initialized") => Phase::Authenticating,
        (b"startup" | b"initializing", _) => Phase::Starting,
        // Also what a server with update_process_title = off writes throughout.
        (b"", _) => Phase::Unknown,
        _ => Phase::Running,
    }
}

/// `127.0.0.1:38582`, `::1:16790`, `[local]`.
pub(super) fn peer_address(text: &[u8]) -> (Option<Address<'_>>, Option<u16>) {
    if text.starts_with(b"[local]") {
        return (Some(Address::Local), None);
    }
    let Some(colon) = memchr::memrchr(b':', text) else { return (Address::parse(text), None) };
    let port = text.get(colon + 1..).and_then(message::number).and_then(|p| u16::try_from(p).ok());
    match port {
        Some(port) => (Address::parse(text.get(..colon).unwrap_or_default()), Some(port)),
        None => (Address::parse(text), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Kind, Provenance};

    fn decode<'a>(text: &'a str, arena: &'a Bump) -> Decoded<'a> {
        CsvLog::new(&Options::default()).decode(Record::new(text.as_bytes()), arena)
    }

    fn event<'a>(text: &'a str, arena: &'a Bump) -> Event<'a> {
        match decode(text, arena) {
            Decoded::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    const HEAD: &str =
        "2026-11-22 02:05:17.641 UTC,\"u\",\"d\",1013,\"::1:16790\",6b.3f5,5,\"idle\",2026-11-22 02:05:17 UTC,3/3,0,LOG,00000,";

    #[test]
    fn rows_of_other_tables() {
        let arena = Bump::new();
        let row = format!("2026-11-22 02:05:17.6412345,1,SL,1,0x01,0,55{}", ",1".repeat(30));
        assert!(matches!(decode(&row, &arena), Decoded::Reject("not a postgres csv record")));
        assert_eq!(sniff(format!("event_time,n,action_id\n{row}\n").as_bytes(), &Options::default()), Guess::NO);
    }

    #[test]
    fn every_number_of_columns_since_8_0() {
        for tail in
            ["", ",\"app\"", ",\"app\",\"client backend\"", ",\"app\",\"client backend\",0", ",\"app\",\"client backend\",,0", ",,,,,"]
        {
            let arena = Bump::new();
            let text = format!("{HEAD}\"statement: SELECT \"\"x\"\"\",,,,,,,,{tail}");
            let event = event(&text, &arena);
            assert_eq!(event.kind, Kind::Query, "{tail}");
            assert_eq!(event.statement, Some("SELECT \"x\"".into()));
            assert_eq!(event.address.map(|a| a.to_string()).as_deref(), Some("::1"));
            assert_eq!(event.port, Some(16790));
            assert_eq!(event.client.is_some(), tail.contains("app"), "{tail}");
        }
    }

    #[test]
    fn quoted_times_and_local_peers() {
        let arena = Bump::new();
        let text = "\"2026-11-22 02:05:17.641 UTC\",\"u\",\"d\",1,\"[local]\",6b.3f5,5,\"\",,,,LOG,00000,\"x\",,,,,,,,,\"\"";
        let event = event(text, &arena);
        assert_eq!(event.address, Some(Address::Local));
        assert_eq!((event.port, event.client, event.code), (None, None, None));
        assert_eq!(event.principal.map(|p| p.provenance), Some(Provenance::Claimed));
    }

    #[test]
    fn what_is_no_record_is_rejected() {
        let arena = Bump::new();
        for (text, why) in [
            ("pg_ctl: server started", "too few csv columns"),
            (",,,,,,,,,,,,,,,,,,,,,", "not a postgres csv record"),
            ("2026-11-22 02:05:17.641 UTC,\"u", "broken csv quoting"),
            ("2026-11-22 02:05:17.641 UTC,\"u\"x,", "broken csv quoting"),
            ("2026-11-42 02:05:17.641 UTC,,,1,,6b.3f5,5,,,,,LOG,00000,,,,,,,,,", "unreadable time stamp"),
        ] {
            match decode(text, &arena) {
                Decoded::Reject(reason) => assert_eq!(reason, why, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_cut_record_keeps_its_head() {
        let arena = Bump::new();
        let text = format!("{HEAD}\"statement: INSERT INTO t VALUES ('{}", "x".repeat(100));
        let record = Record { truncated: true, ..Record::new(text.as_bytes()) };
        match CsvLog::new(&Options::default()).decode(record, &arena) {
            Decoded::Event(event) => assert!(event.kind == Kind::Query && event.truncated),
            other => panic!("{other:?}"),
        };
    }
}
