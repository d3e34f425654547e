//! ClickHouse's `system.query_log` (and `system.session_log`) as rows of JSONEachRow, or of CSV or tab-separated text with names.
//!
//! ```text
//! {"type":"QueryFinish","event_time":"2026-11-22 02:21:28","event_time_microseconds":"2026-11-22 02:21:28.123456","query_duration_ms":"3","result_rows":"1","current_database":"shop","query":"SELECT total FROM invoices","query_kind":"Select","tables":["shop.invoices"],"exception_code":0,"exception":"","is_initial_query":1,"user":"billing","query_id":"...","address":"::ffff:10.1.0.7","port":53904,"interface":2,"http_user_agent":"curl/8"}
//! ```
//! <https://clickhouse.com/docs/operations/system-tables/query_log>
//!
//! A query has a row for its start and one for its end, or a single one for an exception before the start. It is counted with its last row;
//! the start is [`Kind::Other`]. `query_id` is chosen by the client, so rows are not joined by it. That a query is a part of a
//! distributed one (`is_initial_query` 0) is the client's word too: it counts, for the user who logged in.

use std::net::{IpAddr, Ipv6Addr};

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::json::fields;
use super::json::pick::{self, Picked, Places, Value};
use super::json::sample;
use super::table::{Columns, Line};
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;
use crate::framing::table::Table;

pub const FORMAT: Format = Format {
    name: "clickhouse-query-log",
    about: "ClickHouse system.query_log and system.session_log as JSON lines (JSONEachRow), CSVWithNames or TSVWithNames",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Table::escaped(WRAPPERS)), Box::new(QueryLog::new(options))),
    guide: Guide {
        system: "ClickHouse 18 to 26",
        switch_on: "`log_queries = 1` (the default) and a `query_log` section in the server's configuration; export new rows, for example with `INSERT INTO FUNCTION file('query_log.jsonl', 'JSONEachRow') SELECT * FROM system.query_log WHERE event_time > ...`; the formats `CSVWithNames` and `TSVWithNames` are read, too",
        fields: &[
            ("time", "`event_time_microseconds`, else `event_time`; the server's local time"),
            ("principal", "`user`; claimed where the login failed"),
            ("address", "`address`; seen by the server. Text or, in old versions, sixteen bytes"),
            ("port", "`port`"),
            ("database", "`current_database`"),
            ("client", "`client_name` or `http_user_agent`; the client's own word"),
            ("statement", "`query`"),
            ("operation", "`query_kind`, else the statement"),
            ("objects", "`tables` of a Select, else the statement"),
            ("outcome", "`type`, `exception_code`, `exception`"),
            ("code", "`exception_code`, else the number in `exception`"),
            ("rows", "`result_rows`, of an insert `written_rows`"),
            ("duration", "`query_duration_ms`"),
            ("kind", "`type`"),
        ],
        forgery: "Nothing: all text is escaped. `query_id`, `initial_user`, `os_user`, `log_comment` and the like are the client's own words and not used",
        ignored: "Rows of the type QueryStart: the query is counted with its last row. The server's text log (`<Debug> executeQuery: (from ...)`) is not read: whoever reaches the server writes whole lines into it, in anybody's name, by a line break in the user name of a refused login or in `query_id`",
        source: "<https://clickhouse.com/docs/operations/system-tables/query_log>",
    },
};

/// The formats `JSON` and `JSONCompact` have their rows here.
const WRAPPERS: &[&str] = &["data"];

const TYPE: usize = 0;
const TIME: usize = 1;
const USER: usize = 2;
const ADDRESS: usize = 3;
const PORT: usize = 4;
const DATABASE: usize = 5;
const CLIENT: usize = 6;
const QUERY: usize = 7;
const QUERY_KIND: usize = 8;
const TABLES: usize = 9;
const CODE: usize = 10;
const EXCEPTION: usize = 11;
const RESULT_ROWS: usize = 12;
const WRITTEN_ROWS: usize = 13;
const DURATION: usize = 14;
const INITIAL: usize = 15;
const AUTH_TYPE: usize = 16;
const SLOTS: usize = 17;

/// Names of the columns with their slots; where two are of one slot, the last that holds something counts. The first one is in all tables.
const NAMES: [(&str, usize); 21] = [
    ("event_time", TIME),
    ("event_time_microseconds", TIME),
    ("type", TYPE),
    ("user", USER),
    ("client_address", ADDRESS),
    ("address", ADDRESS),
    ("client_port", PORT),
    ("port", PORT),
    ("current_database", DATABASE),
    ("http_user_agent", CLIENT),
    ("client_name", CLIENT),
    ("query", QUERY),
    ("query_kind", QUERY_KIND),
    ("tables", TABLES),
    ("exception_code", CODE),
    ("exception", EXCEPTION),
    ("result_rows", RESULT_ROWS),
    ("written_rows", WRITTEN_ROWS),
    ("query_duration_ms", DURATION),
    ("is_initial_query", INITIAL),
    ("auth_type", AUTH_TYPE),
];

/// The columns where rows come as CSV or between tabs.
const COLUMNS: [&[&str]; NAMES.len()] = {
    let mut columns: [&[&str]; NAMES.len()] = [&[]; NAMES.len()];
    let mut at = 0;
    #[allow(clippy::indexing_slicing)] // computed by the compiler
    while at < columns.len() {
        columns[at] = std::slice::from_ref(&NAMES[at].0);
        at += 1;
    }
    columns
};

fn places() -> Places {
    let mut places = Places::default();
    for (rank, (name, slot)) in NAMES.iter().rev().enumerate() {
        places.add(&format!("/{name}"), *slot, rank);
    }
    places
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let known = |picked: &Picked<'_>| {
        let has = |slot: usize| picked.get(slot).is_some();
        match row_type(picked) {
            Some(Row::Login | Row::LoginFailed | Row::Logout) => has(TIME) && has(AUTH_TYPE),
            Some(_) => has(TIME) && (has(QUERY) || has(QUERY_KIND)) && (has(INITIAL) || has(DURATION)),
            None => false,
        }
    };
    if !matches!(sample.trim_ascii_start().first(), Some(b'{' | b'[')) {
        let heading = sample.lines().next().unwrap_or_default();
        let mut columns = Columns::escaped(&COLUMNS, &[]);
        let known = matches!(columns.read(heading, &Bump::new()), Line::Heading);
        let has =
            |slot: usize| (0..NAMES.len()).any(|column| NAMES.get(column).is_some_and(|name| name.1 == slot) && columns.knows(column));
        let query = has(QUERY) && has(INITIAL) && has(DURATION);
        return match known && has(TYPE) && has(USER) && (query || has(AUTH_TYPE)) {
            true => Guess::new(95, "columns of ClickHouse's query_log"),
            false => Guess::NO,
        };
    }
    sample::guess(sample, WRAPPERS, places, SLOTS, known, 95, "rows of ClickHouse's query_log")
}

#[derive(Clone, Copy, PartialEq)]
enum Row {
    Start,
    Finish,
    Exception,
    Login,
    LoginFailed,
    Logout,
}

/// The type of a row, by its name or (old versions) its number.
fn row_type(picked: &Picked<'_>) -> Option<Row> {
    if let Some(number) = picked.number(TYPE) {
        return match number {
            1 => Some(Row::Start),
            2 => Some(Row::Finish),
            3 | 4 => Some(Row::Exception),
            _ => None,
        };
    }
    Some(match picked.text(TYPE)?.as_bytes() {
        b"QueryStart" => Row::Start,
        b"QueryFinish" => Row::Finish,
        b"ExceptionBeforeStart" | b"ExceptionWhileProcessing" => Row::Exception,
        b"LoginSuccess" => Row::Login,
        b"LoginFailure" => Row::LoginFailed,
        b"Logout" => Row::Logout,
        _ => return None,
    })
}

/// READONLY, DATABASE_ACCESS_DENIED, ACCESS_DENIED, QUERY_IS_PROHIBITED.
const DENIED: [i64; 4] = [164, 291, 497, 392];
/// UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, AUTHENTICATION_FAILED.
const NO_LOGIN: [i64; 5] = [192, 193, 194, 195, 516];

struct QueryLog {
    places: Places,
    columns: Columns,
    stamps: Timestamps,
}

impl QueryLog {
    fn new(options: &Options) -> Self {
        QueryLog { places: places(), columns: Columns::escaped(&COLUMNS, &[]), stamps: Timestamps::new(options.zone.clone()) }
    }

    /// The values of a row that is no JSON; none of the heading.
    fn row<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Result<Option<Picked<'a>>, &'static str> {
        let row = match self.columns.read(record, arena) {
            Line::Row(row) => row,
            Line::Heading => return Ok(None),
            Line::Headless => return Err("a row before the heading with the names of the columns"),
            Line::Broken => return Err("neither a JSON object nor a row that fits the heading"),
        };
        let mut values = [None; SLOTS];
        for (column, (_, slot)) in NAMES.iter().enumerate() {
            let text = pick::text(row.get(column), arena);
            let value = if *slot == TABLES { names(text, arena).map(Value::List) } else { Some(Value::Text(text)) };
            if let Some(here) = values.get_mut(*slot).filter(|_| !text.is_empty()) {
                *here = value;
            }
        }
        Ok(Some(Picked::of(values.into_iter(), arena)))
    }
}

/// `['shop.invoices','shop.lines']`; nothing where a name holds what is escaped there.
fn names<'a>(list: &'a str, arena: &'a Bump) -> Option<&'a [&'a BStr]> {
    let inner = list.strip_prefix("['")?.strip_suffix("']")?;
    let names = bumpalo::collections::Vec::from_iter_in(inner.split("','").map(BStr::new), arena);
    (!inner.contains('\\')).then(|| names.into_bump_slice() as &[&BStr])
}

impl Decoder for QueryLog {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let picked = if record.bytes.starts_with(b"{") {
            let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
            if end.is_err() && !record.truncated {
                return Decoded::Reject("not a JSON object");
            }
            picked
        } else {
            match self.row(record.bytes, arena) {
                Ok(Some(picked)) => picked,
                Ok(None) => return Decoded::Skip("the heading"),
                Err(reason) => return Decoded::Reject(reason),
            }
        };
        let Some(row) = row_type(&picked) else { return Decoded::Reject("not a row of query_log: no known type") };
        let Some(time) = picked.get(TIME).and_then(|value| fields::time(value, &mut self.stamps)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        let mut event = fill(row, time, &picked, arena);
        event.address = match picked.text(ADDRESS) {
            Some(text) => match Address::parse(text) {
                Some(Address::Name(_)) => binary(record.bytes).map(Address::Ip),
                address => address,
            },
            None => None,
        };
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.columns.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.columns.restore(state);
    }
}

fn fill<'a>(row: Row, time: Time, picked: &Picked<'a>, arena: &'a Bump) -> Event<'a> {
    let exception = picked.text(EXCEPTION);
    let number = picked.number(CODE).filter(|code| *code != 0).or_else(|| exception.and_then(|text| code(text)));
    let (kind, outcome) = match (row, number) {
        (Row::Start, _) => (Kind::Other, Outcome::Unknown),
        (Row::Finish, _) => (Kind::Query, Outcome::Success),
        (Row::Login, _) => (Kind::Login, Outcome::Success),
        (Row::Logout, _) => (Kind::Logout, Outcome::Success),
        (Row::LoginFailed, _) => (Kind::LoginFailed, Outcome::Denied),
        (Row::Exception, Some(code)) if NO_LOGIN.contains(&code) => (Kind::LoginFailed, Outcome::Denied),
        (Row::Exception, Some(code)) if DENIED.contains(&code) => (Kind::Denied, Outcome::Denied),
        (Row::Exception, _) => (Kind::Error, Outcome::Error),
    };
    let mut event = Event::new(kind, time);
    event.outcome = outcome;
    event.code = number.map(|code| BStr::new(arena.alloc_str(&code.to_string()).as_bytes()));
    event.port = picked.count(PORT).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    event.database = picked.text(DATABASE);
    event.client = picked.text(CLIENT);
    event.statement = picked.text(QUERY);
    if event.statement.is_some() {
        event.dialect = Dialect::Generic;
        event.operation = picked.text(QUERY_KIND).and_then(|kind| operation(kind));
        // What a Select reads, views and what is behind them among it; of other statements the list does not say which is written.
        if event.operation == Some(Operation::Select) {
            event.objects = picked.list(TABLES, arena);
        }
    }
    let inserted = (event.operation == Some(Operation::Insert)).then(|| picked.count(WRITTEN_ROWS)).flatten();
    if row == Row::Finish {
        event.rows = inserted.or_else(|| picked.count(RESULT_ROWS));
    }
    if row != Row::Start {
        event.duration_us = picked.count(DURATION).and_then(|ms| ms.checked_mul(1_000));
    }
    let provenance = if kind == Kind::LoginFailed { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = picked.text(USER).map(|name| Principal { name, provenance });
    event
}

/// The operation of a `query_kind`; `None` where the statement tells more.
fn operation(kind: &[u8]) -> Option<Operation> {
    Some(match kind {
        b"Select" => Operation::Select,
        b"Insert" | b"AsyncInsertFlush" => Operation::Insert,
        b"Create" => Operation::Create,
        b"Drop" | b"Undrop" => Operation::Drop,
        b"Alter" | b"Rename" | b"Optimize" => Operation::Alter,
        b"Delete" => Operation::Delete,
        b"Update" => Operation::Update,
        b"Grant" => Operation::Grant,
        b"Revoke" => Operation::Revoke,
        b"Show" | b"Describe" | b"Exists" => Operation::Show,
        b"Set" | b"Use" => Operation::Set,
        b"Explain" => Operation::Explain,
        b"Begin" => Operation::Begin,
        b"Commit" => Operation::Commit,
        b"Rollback" => Operation::Rollback,
        b"System" | b"KillQuery" | b"Check" | b"Backup" | b"Restore" => Operation::Other,
        _ => return None,
    })
}

/// `Code: 60, e.displayText() = ...`, `Code: 497. DB::Exception: ...`
fn code(exception: &[u8]) -> Option<i64> {
    let digits = exception.strip_prefix(b"Code: ")?;
    let end = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// The sixteen bytes in which old versions write an address. They are no UTF-8, so the record itself is looked at: a quote inside
/// text is escaped, and no text holds the key as it is searched here.
fn binary(record: &[u8]) -> Option<IpAddr> {
    let at = record.seek(b",\"address\":\"")? + b",\"address\":\"".len();
    let mut rest = record.get(at..)?;
    let mut bytes = [0u8; 16];
    for slot in &mut bytes {
        let (byte, used) = match rest {
            [b'\\', b'u', b'0', b'0', high, low, ..] => {
                let hex = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?, 6)
            }
            [b'\\', escaped, ..] => {
                let byte = match escaped {
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'f' => 12,
                    b'r' => b'\r',
                    other => *other,
                };
                (byte, 2)
            }
            [b'"', ..] | [] => return None,
            [byte, ..] => (*byte, 1),
        };
        *slot = byte;
        rest = rest.get(used..)?;
    }
    rest.starts_with(b"\"").then(|| IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(record: &[u8]) -> String {
        let arena = Bump::new();
        match QueryLog::new(&Options::default()).decode(Record::new(record), &arena) {
            Decoded::Event(e) => format!(
                "{:?} {} {} {:?} {:?} {:?} {:?} {:?}",
                e.kind,
                e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
                e.address.map_or("-".to_owned(), |a| a.to_string()),
                e.operation,
                e.objects,
                e.outcome,
                e.code,
                e.rows
            ),
            Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
        }
    }

    fn check(kind: &str, rest: &str, want: &str) {
        let row = format!(
            r#"{{"type":{kind},"event_time":"2026-11-22 02:21:28","query":"SELECT 1","is_initial_query":1,"user":"u","address":"::ffff:10.1.0.7","port":5,"result_rows":"7","written_rows":"3"{rest}}}"#
        );
        assert_eq!(show(row.as_bytes()), want, "{row}");
    }

    #[test]
    fn rows() {
        let who = "u Authenticated 10.1.0.7";
        check("\"QueryStart\"", "", &format!("Other {who} None [] Unknown None None"));
        check("\"QueryFinish\"", "", &format!("Query {who} None [] Success None Some(7)"));
        check(
            "\"QueryFinish\"",
            r#","query_kind":"Select","tables":["shop.a","shop.b"],"exception_code":0"#,
            &format!("Query {who} Some(Select) [\"shop.a\", \"shop.b\"] Success None Some(7)"),
        );
        check(
            "\"QueryFinish\"",
            r#","query_kind":"Insert","tables":["shop.a","shop.b"]"#,
            &format!("Query {who} Some(Insert) [] Success None Some(3)"),
        );
        check("2", r#","is_initial_query2":0"#, &format!("Query {who} None [] Success None Some(7)"));
        check("\"ExceptionBeforeStart\"", r#","exception_code":497"#, &format!("Denied {who} None [] Denied Some(\"497\") None"));
        check("4", r#","exception":"Code: 60, e.displayText() = x""#, &format!("Error {who} None [] Error Some(\"60\") None"));
        check("3", r#","exception_code":516"#, "LoginFailed u Claimed 10.1.0.7 None [] Denied Some(\"516\") None");
        check("9", "", "not a row of query_log: no known type");
        check("\"QueryFinish\"", r#","user":"v""#, &format!("Query {who} None [] Success None Some(7)"));
    }

    #[test]
    fn sessions() {
        let row = br#"{"type":"LoginFailure","event_time_microseconds":"2026-11-22 02:21:28.5","user":"u","auth_type":null,"client_address":"::1","client_port":7}"#;
        assert_eq!(show(row), "LoginFailed u Claimed ::1 None [] Denied None None");
    }

    #[test]
    fn an_address_of_sixteen_bytes() {
        let mut row =
            br#"{"type":2,"event_time":"2026-11-22 02:21:28","query":"SELECT '\",\"address\":\"'","user":"u","address":""#.to_vec();
        row.extend_from_slice(&br"\u0000".repeat(10));
        row.extend_from_slice(b"\xff\xff\xc0\xa8\\n\\\"\",\"port\":5}");
        assert_eq!(show(&row), "Query u Authenticated 192.168.10.34 None [] Success None None");
    }

    #[test]
    fn what_cannot_be_read() {
        for (row, want) in [
            ("", "neither a JSON object nor a row that fits the heading"),
            ("[]", "neither a JSON object nor a row that fits the heading"),
            ("{", "not a JSON object"),
            ("1,2", "a row before the heading with the names of the columns"),
            ("{}", "not a row of query_log: no known type"),
            (r#"{"type":2}"#, "unreadable time stamp"),
            (r#"{"type":2,"event_time":{}}"#, "unreadable time stamp"),
        ] {
            assert_eq!(show(row.as_bytes()), want, "{row}");
        }
    }
}
