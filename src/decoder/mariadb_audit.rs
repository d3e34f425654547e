//! MariaDB's audit plugin `server_audit`, also in RDS for MySQL and MariaDB and (with its own time stamps) in Aurora.
//!
//! ```text
//! 20261122 02:21:28,vm,tok_web,127.0.0.2,7,99,READ,app,customers,
//! 20261122 02:21:28,vm,tok_web,127.0.0.2,7,99,QUERY,app,'SELECT * FROM customers',0
//! ```
//! <https://mariadb.com/kb/en/mariadb-audit-plugin-log-format/>
//!
//! A statement is one `QUERY` row, the only row counted as a query. The rows of the tables that it opened come before it with
//! the same statement number; they are [`Kind::Other`], and their names, which the server verified, are handed on with
//! the QUERY row where its operation is the same for all of them. [`guard`] tells what keeps clients from writing rows.
//!
//! What arrives as broker messages, a line each, has passed no framer: rows that a client wrote by way of its user name look
//! true there. The format is marked as forgeable for this reason too: it alerts and never revokes.

use std::collections::HashMap;

use bstr::BStr;
use bumpalo::Bump;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::mysql_audit::entry::{outcome, some};
use super::mysql_audit::tables::{Tables, qualified};
use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::near;

mod disconnects;
pub mod guard;
mod refused;
pub mod row;

use row::{Op, Row, Start};

pub const FORMAT: Format = Format {
    name: "mariadb-audit",
    about: "MariaDB server_audit plugin log (MariaDB, RDS, Aurora MySQL)",
    forgeable: true,
    sniff,
    open: |sample, options| {
        let start = start(sample);
        (Box::new(guard::Guard::new(start)), Box::new(Audit::new(start, options)))
    },
    guide: Guide {
        system: "MariaDB 5.5 to 12, RDS for MySQL and MariaDB, Aurora MySQL",
        switch_on: "`INSTALL SONAME 'server_audit'`, `SET GLOBAL server_audit_logging = ON`, `server_audit_events = 'CONNECT,QUERY,TABLE'`, and a `server_audit_query_log_limit` of 65536",
        fields: &[
            ("time", "column 1; the server's local time (Aurora: microseconds UTC). Rows in syslog have none: syslog's"),
            ("principal", "column 3; verified once connected"),
            ("address", "column 4; seen by the server, a name where it resolves names"),
            ("port", "column 4 from MariaDB 12.0"),
            ("database", "column 8"),
            ("session", "column 5"),
            ("statement", "column 9 of QUERY"),
            ("operation", "table rows, else the statement"),
            ("objects", "table rows, else the statement"),
            ("outcome", "column 10"),
            ("code", "column 10"),
            ("kind", "column 7"),
        ],
        forgery: "Whole rows, by a line break in the user name, before any login. Such rows are marked and name no token",
        ignored: "Rows of tables: their names go with the QUERY row of the same number",
        source: "<https://mariadb.com/kb/en/mariadb-audit-plugin-log-format/>",
    },
};

/// How the rows of a sample begin: without a time only where none has one.
fn start(sample: &[u8]) -> Start {
    if sample.is_empty() || rows(sample, Start::Timed).0 > 0 || rows(sample, Start::Bare).0 == 0 { Start::Timed } else { Start::Bare }
}

/// Lines of a sample that are rows, and all lines.
fn rows(sample: &[u8], start: Start) -> (usize, usize) {
    /// Rows looked at.
    const ROWS: usize = 100;
    let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..end)).unwrap_or(sample);
    let (mut rows, mut read) = (0usize, 0usize);
    for line in complete.split(|b| *b == b'\n').filter(|l| !l.is_empty()).take(ROWS) {
        rows += 1;
        read += usize::from(start.parse(line.strip_suffix(b"\r").unwrap_or(line)).is_ok());
    }
    (read, rows)
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let start = start(sample);
    let (read, rows) = rows(sample, start);
    match read {
        // Only within syslog is there a time.
        // Names of refused logins may have torn some.
        _ if start == Start::Bare && read * 4 >= rows * 3 => {
            Guess::new(70, format!("{read} of {rows} lines are server,user,host,connection,query,operation,..."))
        }
        _ if start == Start::Bare => Guess::NO,
        0 => Guess::NO,
        _ if read * 2 >= rows => Guess::new(97, format!("{read} of {rows} lines are time,server,user,host,connection,query,operation,...")),
        _ => Guess::new(40, format!("only {read} of {rows} lines are rows of server_audit")),
    }
}

/// Statements (by connection) whose table rows are remembered.
const STATEMENTS: usize = 1_024;
/// Connections remembered as logged in or as refused.
const CONNECTIONS: usize = 16_384;
/// The plugin's default for `server_audit_query_log_limit`, in escaped bytes.
const STATEMENT_LIMIT: usize = 1_024;

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    tables: HashMap<u64, Tables, RandomState>,
    /// Connections that logged in, as far as this log tells.
    live: HashMap<u64, bool, RandomState>,
}

/// The decoder of one log.
struct Audit {
    start: Start,
    stamps: Timestamps,
    state: State,
}

impl Audit {
    fn new(start: Start, options: &Options) -> Self {
        Audit { start, stamps: Timestamps::new(options.zone.clone()), state: State::default() }
    }

    /// The plugin's local time, or Aurora's microseconds.
    fn time(&mut self, text: &[u8]) -> Option<Time> {
        if text.len() == 16 && text.iter().all(u8::is_ascii_digit) {
            return std::str::from_utf8(text).ok()?.parse().ok().map(Time);
        }
        self.stamps.parse(text).ok()
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let row = match self.start.parse(record.bytes) {
            Ok(row) => row,
            Err(_) if record.truncated && row::head(record.bytes).is_some() => return Decoded::Reject("row cut by the size limit"),
            Err(reason) => return Decoded::Reject(reason),
        };
        let stamp = if self.start == Start::Bare { record.note.time } else { self.time(row.time) };
        let Some(time) = stamp else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        (event.address, event.port) = peer(row.host.trim_ascii());
        event.database = some(row.database);
        event.session = some(row.connection);
        event.truncated = record.truncated;
        event.code = some(row.code);
        let mut provenance = Provenance::Authenticated;
        match row.op {
            Op::Query => self.query(&row, &mut event, record.suspect.is_none(), arena),
            Op::Connect | Op::ChangeUser => {
                event.kind = Kind::Login;
                event.operation = Some(Operation::Connect);
                event.outcome = outcome(row.code);
                if record.suspect.is_none() {
                    self.state.live(row.id, true);
                }
            }
            Op::FailedConnect => {
                event.kind = Kind::LoginFailed;
                event.operation = Some(Operation::Connect);
                event.outcome = outcome(row.code);
                provenance = Provenance::Claimed;
                self.state.live(row.id, false);
            }
            Op::Disconnect => {
                // A refused login ends with this row too, under the name that the client claimed; so might one whose
                // beginning is in the file before this one.
                if self.state.live.remove(&row.id) == Some(true) {
                    event.kind = Kind::Logout;
                } else {
                    provenance = Provenance::Claimed;
                }
                event.outcome = outcome(row.code);
                self.state.tables.remove(&row.id);
            }
            Op::ProxyConnect | Op::AuditConfig => event.outcome = outcome(row.code),
            _ => {
                let object = qualified(row.database, row.object, arena);
                event.operation = Some(match row.op {
                    Op::Read => Operation::Select,
                    Op::Create => Operation::Create,
                    Op::Alter | Op::Rename => Operation::Alter,
                    Op::Drop => Operation::Drop,
                    _ => Operation::Other,
                });
                event.objects = arena.alloc_slice_copy(&[object]);
                if record.suspect.is_none() {
                    self.state.table(&row, object);
                }
            }
        }
        if record.suspect.is_some() {
            provenance = Provenance::Claimed;
        }
        event.suspect = record.suspect;
        event.principal = some(row.user).map(|name| Principal { name, provenance });
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(self.start, &self.state)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(state) = postcard::from_bytes(state) {
            (self.start, self.state) = state;
        }
    }
}

impl Audit {
    fn query<'a>(&mut self, row: &Row<'a>, event: &mut Event<'a>, sound: bool, arena: &'a Bump) {
        let statement = unescape(row.object, arena);
        event.statement = Some(BStr::new(statement));
        event.dialect = Dialect::MySql;
        event.outcome = outcome(row.code);
        event.kind = match event.outcome {
            Outcome::Denied => Kind::Denied,
            Outcome::Error => Kind::Error,
            _ => Kind::Query,
        };
        // The plugin stops before an escape that does not fit, one byte short of its limit.
        event.truncated |= matches!(row.object.len(), len if len == STATEMENT_LIMIT || len + 1 == STATEMENT_LIMIT);
        if sound {
            self.state.live(row.id, true);
            if let Some(tables) = self.state.tables.remove(&row.id).filter(|t| t.statement == row.query) {
                event.objects = tables.of(statement, arena);
            }
        }
    }
}

impl State {
    fn live(&mut self, id: u64, logged_in: bool) {
        if self.live.len() >= CONNECTIONS && !self.live.contains_key(&id) {
            // Ends that were never logged; a live connection comes back with its next statement.
            self.live.clear();
        }
        self.live.insert(id, logged_in);
    }

    fn table(&mut self, row: &Row<'_>, object: &BStr) {
        if self.tables.len() >= STATEMENTS && !self.tables.contains_key(&row.id) {
            // The statements' own text names the tables then.
            self.tables.clear();
        }
        let tables = self.tables.entry(row.id).or_default();
        if tables.statement != row.query {
            *tables = Tables::new(row.query);
        }
        tables.add(
            object,
            match row.op {
                Op::Read => Some(false),
                Op::Write => Some(true),
                _ => None,
            },
        );
    }
}

/// Undoes the plugin's escapes. An escape cut off at the end stays as it is.
fn unescape<'a>(text: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if memchr::memchr(b'\\', text).is_none() {
        return text;
    }
    let mut out = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    let mut rest = text;
    while let Some(at) = near(b'\\', rest) {
        out.extend_from_slice_copy(rest.get(..at).unwrap_or_default());
        match rest.get(at + 1) {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(other @ (b'\\' | b'\'')) => out.push(*other),
            Some(other) => out.extend_from_slice_copy(&[b'\\', *other]),
            None => out.push(b'\\'),
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice_copy(rest);
    out.into_bump_slice()
}

#[cfg(test)]
mod tests;
