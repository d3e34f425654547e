//! Snowflake's QUERY_HISTORY, LOGIN_HISTORY and SESSIONS, exported as JSON lines or as CSV with a header.
//!
//! ```text
//! {"QUERY_ID":"01b2","QUERY_TEXT":"SELECT * FROM invoices","DATABASE_NAME":"SHOP","SCHEMA_NAME":"PUBLIC","QUERY_TYPE":"SELECT","SESSION_ID":"17","USER_NAME":"BILLING","ROLE_NAME":"R","EXECUTION_STATUS":"SUCCESS","ERROR_CODE":null,"START_TIME":"2026-11-22 02:21:28.484 -0800","TOTAL_ELAPSED_TIME":"31","ROWS_PRODUCED":"7"}
//! {"EVENT_ID":"4","EVENT_TIMESTAMP":"2026-11-22 02:21:20.000 -0800","EVENT_TYPE":"LOGIN","USER_NAME":"BILLING","CLIENT_IP":"10.1.0.7","REPORTED_CLIENT_TYPE":"PYTHON_DRIVER","IS_SUCCESS":"YES"}
//! {"SESSION_ID":"17","CREATED_ON":"2026-11-22 02:21:20.100 -0800","USER_NAME":"BILLING","LOGIN_EVENT_ID":"4"}
//! ```
//! <https://docs.snowflake.com/en/sql-reference/account-usage/query_history>
//!
//! A query has no address: it is that of the login (`EVENT_ID`) that began its session, found through SESSIONS, where these rows came before
//! the query's in the same log.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bstr::ByteSlice;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::json::fields;
use super::json::pick::{Places, Value};
use super::json::sample;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use row::{Column, Row, Rows};

mod row;

pub const FORMAT: Format = Format {
    name: "snowflake",
    about: "Snowflake QUERY_HISTORY, LOGIN_HISTORY and SESSIONS rows, as JSON lines or CSV",
    forgeable: false,
    sniff,
    open: |sample, options| (Box::new(Rows::new(sample)), Box::new(Snowflake::new(options))),
    guide: Guide {
        system: "Snowflake (ACCOUNT_USAGE and INFORMATION_SCHEMA views)",
        switch_on: "Unload `SNOWFLAKE.ACCOUNT_USAGE.LOGIN_HISTORY`, `SESSIONS` and `QUERY_HISTORY` in this order to a stage (`COPY INTO @stage FROM (SELECT OBJECT_CONSTRUCT(*) ...) FILE_FORMAT = (TYPE = JSON)`, or CSV with `HEADER = TRUE`). The views lag by up to two hours",
        fields: &[
            ("time", "`START_TIME` of a query, `EVENT_TIMESTAMP` of a login"),
            ("principal", "`USER_NAME`; claimed in a failed login"),
            ("address", "`CLIENT_IP` of a login; of a query that of its session's login, where SESSIONS and LOGIN_HISTORY came before"),
            ("database", "`DATABASE_NAME`"),
            ("client", "`REPORTED_CLIENT_TYPE` or `QUERY_TAG`; the client's own word"),
            ("session", "`SESSION_ID`"),
            ("statement", "`QUERY_TEXT`"),
            ("operation", "the statement, else `QUERY_TYPE`"),
            ("objects", "the statement"),
            ("outcome", "`EXECUTION_STATUS`, `IS_SUCCESS`, `ERROR_CODE`"),
            ("code", "`ERROR_CODE`"),
            ("rows", "`ROWS_PRODUCED`, of DML `ROWS_INSERTED`, `ROWS_UPDATED` or `ROWS_DELETED`"),
            ("duration", "`TOTAL_ELAPSED_TIME`, milliseconds"),
            ("kind", "the columns that there are"),
        ],
        forgery: "Nothing: Snowflake writes it, and all text is quoted",
        ignored: "SESSIONS (they join queries to logins), rows of other views, statements that Snowflake's client software makes for itself: kept as `other` where they have a time, else skipped",
        source: "<https://docs.snowflake.com/en/sql-reference/account-usage/query_history>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    if sample.trim_start().starts_with(b"{") || sample.trim_start().starts_with(b"[") {
        return sample::guess(
            sample,
            row::WRAPPERS,
            places,
            row::COLUMNS,
            |picked| row::known(|column| picked.get(column as usize).is_some()),
            93,
            "rows of Snowflake's histories",
        );
    }
    let first = sample.lines().next().unwrap_or_default();
    match row::header(first) {
        Some(columns) => Guess::new(96, format!("the header names {} columns of Snowflake's histories", columns.iter().flatten().count())),
        None => Guess::NO,
    }
}

fn places() -> Places {
    row::places()
}

/// Logins and sessions that are remembered; Snowflake numbers both upwards, and the lowest go first.
const REMEMBERED: usize = 16_384;

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Columns of the CSV header.
    header: Option<Vec<Option<Column>>>,
    /// Login event -> address.
    logins: BTreeMap<u64, IpAddr>,
    /// Session -> login event.
    sessions: BTreeMap<u64, u64>,
}

struct Snowflake {
    places: Places,
    stamps: Timestamps,
    state: State,
}

impl Snowflake {
    fn new(options: &Options) -> Self {
        Snowflake { places: places(), stamps: Timestamps::new(options.zone.clone()), state: State::default() }
    }
}

impl Decoder for Snowflake {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let row = if record.bytes.starts_with(b"{") {
            match Row::json(record, &self.places, arena) {
                Ok(row) => row,
                Err(reason) => return Decoded::Reject(reason),
            }
        } else {
            // Only the first header counts: a row may hold the names of columns too, where a client chose its values.
            let header = match (&self.state.header, row::header(record.bytes)) {
                (None, None) => return Decoded::Reject("neither a JSON object nor a row under a header"),
                (None, Some(first)) => {
                    self.state.header = Some(first);
                    return Decoded::Skip("header of a CSV file");
                }
                (Some(known), Some(again)) if *known == again => return Decoded::Skip("header of a CSV file"),
                (Some(known), _) => known,
            };
            match Row::csv(record.bytes, header, arena) {
                Ok(row) => row,
                Err(reason) => return Decoded::Reject(reason),
            }
        };
        self.row(&row, record)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.state).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(state) = postcard::from_bytes(state) {
            self.state = state;
        }
    }
}

impl Snowflake {
    fn row<'a>(&mut self, row: &Row<'a>, record: Record<'a>) -> Decoded<'a> {
        let has = |column: Column| row.get(column).is_some();
        let query = has(Column::QueryText) || has(Column::QueryId);
        let login = has(Column::IsSuccess);
        let session = has(Column::LoginEventId) && has(Column::SessionId);
        let stamp = [Column::StartTime, Column::EventTimestamp, Column::CreatedOn, Column::Loaded].into_iter().find_map(|c| row.value(c));
        let Some(stamp) = stamp else {
            return match query || login {
                true => Decoded::Reject("no time stamp"),
                false => Decoded::Skip("a row of another view, without a time"),
            };
        };
        let Some(time) = fields::time(stamp, &mut self.stamps).or_else(|| worded(stamp)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(row.twice.then_some("a field stands twice in the object"));
        event.session = row.get(Column::SessionId);
        event.code = row.get(Column::ErrorCode).filter(|code| *code != "0" && *code != "null");
        let mut provenance = Provenance::Authenticated;
        if session && !query {
            self.session(row);
        } else if login && !query {
            self.login(row, &mut event);
            if event.kind == Kind::LoginFailed {
                provenance = Provenance::Claimed;
            }
        } else if query {
            self.query(row, &mut event);
        }
        event.principal = row.get(Column::UserName).map(|name| Principal { name, provenance });
        Decoded::Event(event)
    }

    fn session(&mut self, row: &Row<'_>) {
        if let (Some(session), Some(login)) = (row.count(Column::SessionId), row.count(Column::LoginEventId)) {
            self.state.sessions.insert(session, login);
            while self.state.sessions.len() > REMEMBERED {
                self.state.sessions.pop_first();
            }
        }
    }

    fn login<'a>(&mut self, row: &Row<'a>, event: &mut Event<'a>) {
        let success =
            row.get(Column::IsSuccess).is_some_and(|word| word.eq_ignore_ascii_case(b"yes") || word.eq_ignore_ascii_case(b"true"));
        let logout = row.get(Column::EventType).is_some_and(|kind| kind.eq_ignore_ascii_case(b"logout"));
        (event.kind, event.outcome) = match (success, logout) {
            (_, true) => (Kind::Logout, Outcome::Success),
            (true, _) => (Kind::Login, Outcome::Success),
            (false, _) => (Kind::LoginFailed, Outcome::Denied),
        };
        event.operation = (!logout).then_some(Operation::Connect);
        event.client = row.get(Column::ClientType);
        // What Snowflake's own services do comes from no address: `0.0.0.0`, `INTERNAL_SNOWFLAKE_IP`.
        event.address = row.get(Column::ClientIp).and_then(|text| Address::parse(text)).filter(|address| match address {
            Address::Ip(ip) => !ip.is_unspecified(),
            Address::Local => true,
            Address::Name(_) => false,
        });
        if let (true, Some(id), Some(Address::Ip(ip))) = (success, row.count(Column::EventId), event.address) {
            self.state.logins.insert(id, ip);
            while self.state.logins.len() > REMEMBERED {
                self.state.logins.pop_first();
            }
        }
    }

    fn query<'a>(&self, row: &Row<'a>, event: &mut Event<'a>) {
        /// Insufficient privileges; what is not authorised and what does not exist share 2003, which stays an error.
        const DENIED: [&[u8]; 2] = [b"3001", b"003001"];
        let status = row.get(Column::ExecutionStatus).map_or(&b""[..], |status| status.as_bytes());
        let is = |words: &[&str]| words.iter().any(|word| status.eq_ignore_ascii_case(word.as_bytes()));
        let denied = event.code.is_some_and(|code| DENIED.contains(&code.as_bytes()));
        (event.kind, event.outcome) = match () {
            () if is(&["success"]) => (Kind::Query, Outcome::Success),
            () if denied => (Kind::Denied, Outcome::Denied),
            () if is(&["fail", "incident", "failed_with_error", "failed_with_incident", "aborted"]) => (Kind::Error, Outcome::Error),
            () => (Kind::Query, Outcome::Unknown),
        };
        if row.get(Column::ClientGenerated).is_some_and(|word| word.eq_ignore_ascii_case(b"true")) && event.kind == Kind::Query {
            event.kind = Kind::Other;
        }
        event.database = row.get(Column::Database);
        event.client = row.get(Column::QueryTag);
        event.statement = row.get(Column::QueryText);
        match event.statement {
            Some(_) => event.dialect = Dialect::Generic,
            None => event.operation = row.get(Column::QueryType).map(|kind| operation(kind)),
        }
        let changed = [Column::RowsInserted, Column::RowsUpdated, Column::RowsDeleted].into_iter().filter_map(|column| row.count(column));
        event.rows = match changed.reduce(u64::saturating_add) {
            Some(rows) if rows > 0 => Some(rows),
            _ => row.count(Column::RowsProduced),
        };
        event.duration_us = row.count(Column::Elapsed).and_then(|ms| ms.checked_mul(1_000));
        let login = row.count(Column::SessionId).and_then(|session| self.state.sessions.get(&session));
        event.address = login.and_then(|login| self.state.logins.get(login)).map(|ip| Address::Ip(*ip));
    }
}

/// The operation of a QUERY_TYPE: `SELECT`, `CREATE_USER`, `UNLOAD`.
fn operation(kind: &[u8]) -> Operation {
    let first = kind.split(|byte| *byte == b'_').next().unwrap_or_default();
    let word = std::str::from_utf8(first).unwrap_or_default();
    match word {
        "UNLOAD" | "PUT" | "GET" => Operation::Copy,
        "RENAME" => Operation::Alter,
        _ => Operation::from_name(word).unwrap_or(Operation::Other),
    }
}

/// `Sun, 22 Nov 2026 02:21:28 -0800`: the form of old accounts.
fn worded(stamp: Value<'_>) -> Option<Time> {
    let Value::Text(text) = stamp else { return None };
    Some(Time(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests;
