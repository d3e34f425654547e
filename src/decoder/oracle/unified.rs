//! Rows of Oracle's view `UNIFIED_AUDIT_TRAIL`, as JSON objects or as CSV with a heading.
//!
//! ```text
//! {"EVENT_TIMESTAMP_UTC":"2026-11-22T02:05:17.641Z","DBUSERNAME":"SCOTT","AUTHENTICATION_TYPE":"(TYPE=(DATABASE));(CLIENT ADDRESS=((ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=58864))));","ACTION_NAME":"SELECT","OBJECT_SCHEMA":"HR","OBJECT_NAME":"EMP","RETURN_CODE":0,"SQL_TEXT":"select * from emp"}
//! ```
//!
//! The names are those of the view's columns, as connectors, `SELECT` exports and SQLcl (`SET SQLFORMAT json`) write them.
//! <https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/UNIFIED_AUDIT_TRAIL.html>

use bumpalo::Bump;

use super::{Fields, month};
use crate::decoder::table::{Columns, Line};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::Time;
use crate::framing::table::Table;

pub const FORMAT: Format = Format {
    name: "oracle-unified",
    about: "Oracle UNIFIED_AUDIT_TRAIL rows, JSON or CSV with a heading",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Table::new(WRAPPERS)), Box::new(Unified::new(options))),
    guide: Guide {
        system: "Oracle Database 12c to 23ai, Autonomous Database",
        switch_on: "`CREATE AUDIT POLICY ... ACTIONS ALL` and `AUDIT POLICY ...`; export `UNIFIED_AUDIT_TRAIL` with its column names, by a connector, by `SELECT`, or as JSON from SQLcl or SQL Developer",
        fields: &[
            ("time", "EVENT_TIMESTAMP_UTC, else EVENT_TIMESTAMP (local)"),
            ("principal", "DBUSERNAME; verified unless the logon failed"),
            ("address", "AUTHENTICATION_TYPE of logons; seen by the server. USERHOST is the client's own word and not used"),
            ("port", "AUTHENTICATION_TYPE of logons"),
            ("database", "DBID, or the name of the pluggable database where it is exported"),
            ("client", "CLIENT_PROGRAM_NAME; the client's own word"),
            ("session", "SESSIONID"),
            ("statement", "SQL_TEXT"),
            ("operation", "ACTION_NAME"),
            ("objects", "OBJECT_SCHEMA and OBJECT_NAME, else the statement"),
            ("outcome", "RETURN_CODE"),
            ("code", "RETURN_CODE, the ORA number"),
            ("kind", "ACTION_NAME"),
        ],
        forgery: "Nothing: whatever writes the export quotes or escapes the values",
        ignored: "The heading of CSV",
        source: "<https://docs.oracle.com/en/database/oracle/oracle-database/19/refrn/UNIFIED_AUDIT_TRAIL.html>",
    },
};

/// The last is SQLcl's and SQL Developer's: results of several statements, each with the columns' types before its rows.
const WRAPPERS: &[&str] = &["items", "records", "Records", "rows", "results[]/items"];

const COLUMNS: &[&[&str]] = &[
    &["EVENT_TIMESTAMP_UTC", "EVENT_TIMESTAMP"],
    &["DBUSERNAME"],
    &["AUTHENTICATION_TYPE"],
    &["CLIENT_PROGRAM_NAME"],
    &["PDB_NAME", "DBNAME", "DBID"],
    &["SESSIONID"],
    &["SQL_TEXT"],
    &["ACTION_NAME"],
    &["RETURN_CODE"],
    &["OBJECT_SCHEMA"],
    &["OBJECT_NAME"],
];

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let head = sample.get(..sample.len().min(8 << 10)).unwrap_or(sample).to_ascii_uppercase();
    let has = |word: &[u8]| memchr::memmem::find(&head, word).is_some();
    match has(b"EVENT_TIMESTAMP") && has(b"DBUSERNAME") && has(b"ACTION_NAME") {
        true => Guess::new(95, "columns of Oracle's UNIFIED_AUDIT_TRAIL"),
        false => Guess::NO,
    }
}

struct Unified {
    columns: Columns,
    stamps: Timestamps,
}

impl Unified {
    fn new(options: &Options) -> Self {
        Unified { columns: Columns::new(COLUMNS, &["/payload", "/payload/after", "/after"]), stamps: Timestamps::new(options.zone.clone()) }
    }
}

impl Decoder for Unified {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let row = match self.columns.read(record.bytes, arena) {
            Line::Row(row) => row,
            Line::Heading => return Decoded::Skip("heading of a csv file"),
            Line::Headless => return Decoded::Reject("a csv row before the heading with the names of the columns"),
            Line::Broken if record.truncated => return Decoded::Reject("row cut by the size limit"),
            Line::Broken => return Decoded::Reject("neither a json object nor a csv row of unified_audit_trail"),
        };
        let stamp = row.get(0);
        let Some(time) = self.stamps.parse(stamp).ok().or_else(|| nls(stamp, &mut self.stamps)) else {
            return Decoded::Reject(if stamp.is_empty() { "no event_timestamp" } else { "unreadable time stamp" });
        };
        let fields = Fields {
            user: row.get(1),
            peer: row.get(2),
            client: row.get(3),
            database: row.get(4),
            session: row.get(5),
            statement: row.get(6),
            action: row.get(7),
            code: row.get(8),
            schema: row.get(9),
            object: row.get(10),
            truncated: record.truncated,
            suspect: record.suspect.or(row.twice.then_some("a key comes twice in one record")),
        };
        Decoded::Event(fields.event(time, arena))
    }

    fn save(&self) -> Vec<u8> {
        self.columns.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.columns.restore(state);
    }
}

/// `22-NOV-26 02.05.17.641000 AM`, Oracle's way of writing a time stamp where nobody chose another; perhaps with an offset.
fn nls(text: &[u8], stamps: &mut Timestamps) -> Option<Time> {
    let mut words = text.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let (date, clock) = (words.next()?, words.next()?);
    let mut parts = date.split(|b| *b == b'-');
    let (day, name, year) = (parts.next()?, month(parts.next()?)?, parts.next()?);
    let mut clock: Vec<u8> = clock.to_vec();
    for at in [2, 5] {
        *clock.get_mut(at)? = b':';
    }
    let mut next = words.next();
    if let Some(half) = next.filter(|w| matches!(*w, b"AM" | b"PM")) {
        let hour: u8 = std::str::from_utf8(clock.get(..2)?).ok()?.parse().ok()?;
        let hour = hour % 12 + if half == b"PM" { 12 } else { 0 };
        clock.splice(..2, [b'0' + hour / 10, b'0' + hour % 10]);
        next = words.next();
    }
    let century: &[u8] = if year.len() == 2 { b"20" } else { b"" };
    let zone = next.unwrap_or_default();
    stamps.parse(&[century, year, b"-", name, b"-", day, b" ", &clock, zone].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Kind, Operation, Outcome, Provenance};

    fn check(lines: &[&str], look: impl Fn(&Event<'_>)) {
        let mut unified = Unified::new(&Options::default());
        for (at, line) in lines.iter().enumerate() {
            let arena = Bump::new();
            match unified.decode(Record::new(line.as_bytes()), &arena) {
                Decoded::Event(event) => look(&event),
                other => assert!(at == 0 && lines.len() > 1, "{other:?}"),
            }
        }
    }

    #[test]
    fn an_object_and_a_row() {
        let object = r#"{"EVENT_TIMESTAMP_UTC":"2026-11-22T02:05:17.641Z","DBUSERNAME":"SCOTT","AUTHENTICATION_TYPE":"(TYPE=(DATABASE));(CLIENT ADDRESS=((ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=58864))));","ACTION_NAME":"SELECT","OBJECT_SCHEMA":"HR","OBJECT_NAME":"EMP","RETURN_CODE":1031,"SQL_TEXT":"select * from emp","CLIENT_PROGRAM_NAME":"sqlplus"}"#;
        let heading = "EVENT_TIMESTAMP_UTC,DBUSERNAME,AUTHENTICATION_TYPE,ACTION_NAME,OBJECT_SCHEMA,OBJECT_NAME,RETURN_CODE,SQL_TEXT,CLIENT_PROGRAM_NAME";
        let row = "22-NOV-26 02.05.17.641000 AM,SCOTT,(TYPE=(DATABASE));(CLIENT ADDRESS=((ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=58864))));,SELECT,HR,EMP,1031,select * from emp,sqlplus";
        for lines in [&[object][..], &[heading, row]] {
            check(lines, |event| {
                assert_eq!(event.time.to_string(), "2026-11-22T02:05:17.641Z");
                assert_eq!((event.kind, event.outcome, event.operation), (Kind::Denied, Outcome::Denied, Some(Operation::Select)));
                assert_eq!(event.principal.map(|p| (p.name, p.provenance)), Some(("SCOTT".into(), Provenance::Authenticated)));
                assert_eq!((event.address.unwrap().to_string(), event.port), ("10.1.0.7".to_owned(), Some(58864)));
                assert_eq!((event.objects[0], event.client), (bstr::BStr::new("HR.EMP"), Some("sqlplus".into())));
            });
        }
    }

    #[test]
    fn a_refused_logon_is_a_claim() {
        check(&[r#"{"event_timestamp":"2026-11-22 02:05:17","dbusername":"SYS","action_name":"LOGON","return_code":"1017"}"#], |event| {
            assert_eq!(event.kind, Kind::LoginFailed);
            assert_eq!(event.principal.map(|p| p.provenance), Some(Provenance::Claimed));
        });
    }

    #[test]
    fn times() {
        let mut stamps = Timestamps::new(None);
        for (text, want) in [
            ("22-NOV-26 12.05.17.641000 AM", "2026-11-22T00:05:17.641Z"),
            ("22-NOV-26 02.05.17.641000 PM +01:00", "2026-11-22T13:05:17.641Z"),
            ("22-NOV-2026 14:05:17", "2026-11-22T14:05:17Z"),
        ] {
            assert_eq!(nls(text.as_bytes(), &mut stamps).map(|t| t.to_string()).as_deref(), Some(want), "{text}");
        }
        for text in ["", "22-NOV-26", "x y", "22-XXX-26 02.05.17 AM", "22-NOV-26 0 AM", "1-2-3 \u{e9}"] {
            assert_eq!(nls(text.as_bytes(), &mut stamps), None, "{text}");
        }
    }
}
