//! The general and the slow log as tables (`log_output = TABLE`, which is RDS's default): rows of `mysql.general_log` and `mysql.slow_log`
//! that somebody exported.
//!
//! ```text
//! event_time  user_host  thread_id  server_id  command_type  argument
//! 2026-11-22 02:21:28.484001  tok_web[tok_web] @ app1 [10.1.0.7]  12  1  Query  SELECT total FROM invoices
//! start_time  user_host  query_time  lock_time  rows_sent  rows_examined  db  ...  sql_text  thread_id
//! ```
//! As CSV, between tabs (`mysql --batch`), as JSON objects, or as the tables' own files in the data directory hold them ([`engine`]). <https://dev.mysql.com/doc/refman/8.4/en/log-destinations.html>
//!
//! A row is one record whatever stands in it, and the server names in each who ran it. So unlike in the logs' files, no statement can be
//! taken for a record; but what exports them may leave out quotes and escapes. A login is written before it is known how it ends.

use std::collections::BTreeMap;

use bstr::BStr;
use bumpalo::Bump;

use super::general::header::{self, Act};
use super::general::used;
use super::slow::entry::{self, Account};
use super::{engine, refusal, some};
use crate::decoder::table::{Columns, Line, Row};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::seek::Seek;
use crate::framing::table::Table;
use crate::framing::{Framed, Framer, More};

pub const FORMAT: Format = Format {
    name: "mysql-log-tables",
    about: "rows of mysql.general_log and mysql.slow_log, exported or in the tables' own files",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Table::escaped(&[])), Box::new(Rows::new(options))),
    guide: Guide {
        system: "MySQL 5.1 to 9, MariaDB 5.1 to 12, RDS and Aurora with log_output=TABLE",
        switch_on: "`general_log = ON` or `slow_query_log = ON`, `log_output = TABLE`; export new rows, for example with `mysql --batch -e 'SELECT * FROM mysql.general_log WHERE event_time > ...'`, or read `mysql/general_log.CSV` and `mysql/slow_log.CSV` in the data directory",
        fields: &[
            (
                "time",
                "event_time, start_time; the time zone of the session that exports, in the tables' own files that of the session that acts",
            ),
            ("principal", "user_host, in brackets; verified, except in the anonymous account and in refused logins"),
            ("address", "user_host"),
            ("database", "db; of the general log that of Connect, Init DB and USE"),
            ("session", "thread_id"),
            ("statement", "argument, sql_text"),
            ("operation", "the statement"),
            ("objects", "the statement"),
            ("outcome", "that of refused logins"),
            ("code", "1045 and the like, of refused logins"),
            ("rows", "rows_sent, else rows_affected"),
            ("duration", "query_time"),
            ("kind", "command_type; Connect alone is an attempt, of which a refusal may follow"),
        ],
        forgery: "As far as what exports the rows leaves out quotes and escapes; `mysql --batch` does not, nor do the tables' own files, in which a client moves the time of its rows by `SET time_zone`",
        ignored: "The heading; commands that do nothing to data are kept as `other`",
        source: "<https://dev.mysql.com/doc/refman/8.4/en/log-destinations.html>",
    },
};

const COLUMNS: &[&[&str]] = &[
    &["event_time", "start_time"],
    &["user_host"],
    &["thread_id"],
    &["command_type"],
    &["argument", "sql_text"],
    &["query_time"],
    &["rows_sent"],
    &["rows_affected"],
    &["db"],
];
pub(super) const TIME: usize = 0;
pub(super) const USER: usize = 1;
pub(super) const THREAD: usize = 2;
pub(super) const COMMAND: usize = 3;
pub(super) const TEXT: usize = 4;
pub(super) const DURATION: usize = 5;
pub(super) const SENT: usize = 6;
pub(super) const AFFECTED: usize = 7;
pub(super) const DATABASE: usize = 8;

fn sniff(sample: &[u8], _: &Options) -> Guess {
    if engine::begins(sample) {
        let (arena, lines) = (Bump::new(), sample.split(|b| *b == b'\n').take(5));
        let is_row = |line| engine::row(line, &arena).is_some_and(|row| is_ours(&Row::of(row)));
        return match lines.into_iter().any(is_row) {
            true => Guess::new(96, "rows as the storage engine CSV keeps mysql.general_log and mysql.slow_log"),
            false => Guess::NO,
        };
    }
    if !sample.holds("user_host") {
        return Guess::NO;
    }
    let (arena, mut columns, mut framer) = (Bump::new(), Columns::escaped(COLUMNS, &[]), Table::escaped(&[]));
    let mut rest = sample;
    for _ in 0..5 {
        let (frame, consumed) = match framer.next(rest, More::Idle) {
            Framed::Record(frame) => (Some(frame), frame.consumed),
            Framed::Skip { consumed, .. } => (None, consumed),
            Framed::Incomplete => break,
        };
        let record = frame.and_then(|frame| rest.get(frame.skip..frame.skip + frame.len)).unwrap_or_default();
        if let Line::Row(row) = columns.read(record, &arena)
            && is_ours(&row)
        {
            return Guess::new(96, "rows with a user_host as mysql.general_log and mysql.slow_log have them");
        }
        rest = rest.get(consumed.max(1)..).unwrap_or_default();
    }
    Guess::NO
}

fn is_ours(row: &Row<'_>) -> bool {
    entry::account(row.get(USER)).is_some() && (header::act(row.get(COMMAND)).is_some() || duration(row.get(DURATION)).is_some())
}

/// Sessions whose database is remembered.
const SESSIONS: usize = 4_096;

struct Rows {
    columns: Columns,
    stamps: Timestamps,
    /// The database of each session of the general log.
    databases: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Rows {
    fn new(options: &Options) -> Self {
        Rows { columns: Columns::escaped(COLUMNS, &[]), stamps: Timestamps::new(options.zone.clone()), databases: BTreeMap::new() }
    }

    /// The database of a session that now has, or had, this one.
    fn database<'a>(&mut self, thread: &[u8], new: Option<&'a [u8]>, arena: &'a Bump) -> Option<&'a BStr> {
        if let Some(new) = new {
            if self.databases.len() >= SESSIONS && !self.databases.contains_key(thread) {
                self.databases.pop_first();
            }
            self.databases.insert(thread.to_vec(), new.to_vec());
            return some(new);
        }
        self.databases.get(thread).and_then(|database| some(arena.alloc_slice_copy(database)))
    }

    /// What a row of the general log says.
    fn general<'a>(&mut self, act: Act, row: &Row<'a>, account: &Account<'a>, event: &mut Event<'a>, arena: &'a Bump) {
        let text = row.get(TEXT);
        let thread = row.get(THREAD);
        let peer = header::peer(text).filter(|_| matches!(act, Act::Connect | Act::ChangeUser));
        let database = match act {
            Act::InitDb => Some(text),
            Act::Statement => used(text),
            _ => peer.map(|peer| peer.database),
        };
        match act {
            Act::Connect | Act::ChangeUser => {
                event.operation = Some(Operation::Connect);
                if let Some(refusal) = text.starts_with(refusal::START).then(|| refusal::parse(text)).flatten() {
                    (event.kind, event.outcome, event.code) = (Kind::LoginFailed, Outcome::Denied, Some(BStr::new(refusal.code)));
                    event.principal = Some(Principal { name: BStr::new(refusal.user), provenance: Provenance::Claimed });
                    event.address = event.address.or_else(|| Address::parse(refusal.host));
                    event.database = refusal.database.and_then(some);
                    return;
                }
                // An attempt: the row of a refusal may follow. Who came in shows with his first command.
                let name = if account.user.is_empty() { peer.map_or(&b""[..], |peer| peer.user) } else { account.user };
                event.principal = some(name).map(|name| Principal { name, provenance: Provenance::Claimed });
            }
            Act::Statement => event.kind = Kind::Query,
            Act::Quit => event.kind = Kind::Logout,
            Act::Other(operation) => (event.kind, event.operation) = (Kind::Query, Some(operation)),
            Act::Prepare | Act::InitDb | Act::Idle => {}
        }
        if matches!(act, Act::Statement | Act::Prepare) {
            (event.statement, event.dialect) = (some(text), Dialect::MySql);
        }
        event.database = self.database(thread, database, arena);
        if act == Act::Quit {
            self.databases.remove(thread);
        }
    }
}

impl Decoder for Rows {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        // Rows under a heading are in its order.
        let raw = if self.columns.knows(TIME) { None } else { engine::row(record.bytes, arena) };
        let row = match raw.map_or_else(|| self.columns.read(record.bytes, arena), |row| Line::Row(Row::of(row))) {
            Line::Row(row) => row,
            Line::Heading => return Decoded::Skip("the heading"),
            Line::Headless if engine::begins(record.bytes) => return Decoded::Reject("torn row, or of another table"),
            Line::Headless => return Decoded::Reject("a row before the heading with the names of the columns"),
            Line::Broken => return Decoded::Reject("a row that does not fit its heading"),
        };
        let Ok(time) = self.stamps.parse(row.get(TIME).trim_ascii()) else { return Decoded::Reject("unreadable time stamp") };
        let Some(account) = entry::account(row.get(USER)) else { return Decoded::Reject("no user_host") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(row.twice.then_some("a key comes twice in one record"));
        event.session = some(row.get(THREAD));
        event.address = Address::parse(account.ip).or_else(|| Address::parse(account.host));
        let anonymous = account.account.is_empty();
        let provenance = if anonymous { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = some(account.user).map(|name| Principal { name, provenance });
        let command = row.get(COMMAND);
        if !command.is_empty() {
            self.general(header::act(command).unwrap_or(Act::Idle), &row, &account, &mut event, arena);
        } else {
            event.database = some(row.get(DATABASE));
            event.duration_us = duration(row.get(DURATION));
            let number = |column: usize| std::str::from_utf8(row.get(column)).ok()?.parse().ok();
            event.rows = number(SENT).filter(|rows: &u64| *rows > 0).or_else(|| number(AFFECTED)).or_else(|| number(SENT));
            // Without a statement, the name of the command stands there.
            match header::act(row.get(TEXT)) {
                Some(Act::Quit) => event.kind = Kind::Logout,
                Some(_) => {}
                None => (event.kind, event.statement, event.dialect) = (Kind::Query, some(row.get(TEXT)), Dialect::MySql),
            }
        }
        if event.suspect.is_some()
            && let Some(principal) = &mut event.principal
        {
            principal.provenance = Provenance::Claimed;
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(self.columns.save(), &self.databases)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((columns, databases)) = postcard::from_bytes::<(Vec<u8>, _)>(state) {
            self.columns.restore(&columns);
            self.databases = databases;
        }
    }
}

/// `00:00:11.000123` in microseconds.
fn duration(text: &[u8]) -> Option<u64> {
    let mut parts = std::str::from_utf8(text).ok()?.splitn(3, ':');
    let (hours, minutes) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let seconds = parts.next()?.parse::<f64>().ok().filter(|seconds| (0.0..60.0).contains(seconds))?;
    Some(hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60_000_000)? + (seconds * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::testing::shown;

    #[test]
    fn general() {
        let log = "event_time,user_host,thread_id,server_id,command_type,argument\n\
            2026-11-22 02:21:27,[web] @ app1 [10.1.0.7],9,1,Connect,web@app1 on shop using TCP/IP\n\
            2026-11-22 02:21:28,web[web] @ app1 [10.1.0.7],9,1,Query,\"SELECT \"\"a\"\"\nFROM t\"\n\
            2026-11-22 02:21:28,web[web] @ app1 [10.1.0.7],9,1,Init DB,crm\n\
            2026-11-22 02:21:28,web[web] @ app1 [10.1.0.7],9,1,Field List,t\n\
            2026-11-22 02:21:29,web[web] @ app1 [10.1.0.7],9,1,Quit,\n\
            2026-11-22 02:21:30,[root] @ app1 [10.1.0.7],10,1,Connect,Access denied for user 'root'@'app1' (using password: YES)\n\
            2026-11-22 02:21:30,x,10,1,Query,SELECT 1\n";
        let want = [
            "Other web?@10.1.0.7/shop | connect | - | Unknown session=9",
            "Query web@10.1.0.7/shop | - | SELECT \"a\"\nFROM t | Unknown session=9",
            "Other web@10.1.0.7/crm | - | - | Unknown session=9",
            "Query web@10.1.0.7/crm | show | - | Unknown session=9",
            "Logout web@10.1.0.7/crm | - | - | Unknown session=9",
            "LoginFailed root?@10.1.0.7 | connect | - | Denied 1045 session=10",
            "rejected: no user_host",
        ];
        assert_eq!(shown(&FORMAT, log.as_bytes()), want);
        assert!(sniff(log.as_bytes(), &Options::default()).certainty > 90);
    }

    #[test]
    fn slow() {
        let log = "start_time\tuser_host\tquery_time\trows_sent\trows_affected\tdb\tsql_text\tthread_id\n\
            2026-11-22 02:21:28.5\tweb[web] @  [::1]\t00:01:02.000500\t0\t3\tshop\tUPDATE t SET a = '\\n'\t9\n\
            2026-11-22 02:21:29\tweb[web] @  [::1]\t00:00:00\t0\t0\tshop\tQuit\t9\n";
        let want = [
            "Query web@::1/shop | - | UPDATE t SET a = '\n' | Unknown session=9 rows=3",
            "Logout web@::1/shop | - | - | Unknown session=9 rows=0",
        ];
        assert_eq!(shown(&FORMAT, log.as_bytes()), want);
        assert!(sniff(log.as_bytes(), &Options::default()).certainty > 90);
        assert_eq!(duration(b"00:01:02.000500"), Some(62_000_500));
        assert_eq!([duration(b""), duration(b"1:2"), duration(b"0:0:-1")], [None; 3]);
    }
}
