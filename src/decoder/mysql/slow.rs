//! The slow query log of MySQL, Percona Server and MariaDB. With `long_query_time = 0` it holds every statement, with user, address, rows and
//! duration.
//!
//! ```text
//! # Time: 2026-11-22T02:21:28.698433Z              (MariaDB, MySQL to 5.6: 261122  2:21:28, only where the second has changed)
//! # User@Host: tok_web[tok_web] @  [10.0.0.2]  Id:    12
//! # Query_time: 0.000213  Lock_time: 0.000004 Rows_sent: 1  Rows_examined: 1
//! use app;
//! SET timestamp=1795314088;
//! SELECT * FROM customers WHERE id=1;
//! ```
//! <https://dev.mysql.com/doc/refman/8.4/en/slow-query-log.html>, <https://docs.percona.com/percona-server/8.0/slow-extended.html>,
//! <https://mariadb.com/kb/en/slow-query-log-extended-statistics/>, `MYSQL_QUERY_LOG::write` in `sql/log.cc`.
//!
//! `SET timestamp` is the start of the statement in UTC. A client can set that clock for its session; then the `# Time:` in
//! force counts, less the duration.
//!
//! # What can be proved
//!
//! The statement stands in the log as it came, so that a client can write entries into it: `SELECT 1;⏎# User@Host: root[root] @ ...`. But the
//! server writes an entry *after* it ran the statement, and says above it what that came to:
//!
//! * A statement that took locks, moved rows, was answered with the 11 bytes of OK, has error number 0, or ran for a second **was parsed**. What
//!   was parsed has no semicolon outside quotes and comments, compound statements apart; so [`framer`] finds its end, and
//!   forged entries stay text of the statement.
//! * Any other may be a syntax error, in which everything may stand. Its client is from then on a possible writer of what
//!   follows ([`doubt`](super::doubt)): entries that name others are doubtful, and name no token, until the log has gone on
//!   for five seconds. The same holds for compound statements, and for texts whose end depends on settings of the session.
//!
//! So all entries of a log without errors keep their token; an attacker can make others' entries doubtful, but not speak for them.

use bstr::BStr;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::doubt::{DOUBTFUL, Doubt, keeper};
use super::{banner, head, outcome, some, stamp};
use crate::decoder::timestamp::{Timestamps, epoch};
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;
use crate::token::{WordId, WordIds};

pub mod entry;
pub mod framer;

use entry::{Entry, OLD_USER, TIME, USER};

pub const FORMAT: Format = Format {
    name: "mysql-slow",
    about: "slow query log of MySQL, Percona Server and MariaDB",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(framer::Framer::default()), Box::new(Slow::new(options))),
    guide: Guide {
        system: "MySQL 5.0 to 9, Percona Server, MariaDB 5.1 to 12, RDS and Aurora with log_output=FILE, TiDB",
        switch_on: "`slow_query_log = ON`, `long_query_time = 0`, `log_output = FILE`; `log_slow_extra = ON` from MySQL 8.0.14 on, `log_slow_verbosity = full` in Percona Server",
        fields: &[
            ("time", "SET timestamp, the start of the statement; the # Time line, less the duration, where the client has set that clock"),
            ("principal", "User@Host, in brackets; verified, except in the anonymous account"),
            ("address", "User@Host"),
            ("database", "Schema, or `use` where it has changed; TiDB: DB"),
            ("session", "Id or Thread_id; TiDB: Conn_ID"),
            ("statement", "the text behind SET timestamp"),
            ("operation", "the statement"),
            ("objects", "the statement"),
            ("outcome", "Last_errno or Errno (Percona Server, log_slow_extra); TiDB: Succ"),
            ("code", "Last_errno or Errno (Percona Server, log_slow_extra)"),
            ("rows", "Rows_sent, else Rows_affected; TiDB: Result_rows"),
            ("duration", "Query_time"),
            ("kind", "`# administrator command`, else a query"),
        ],
        forgery: "Whole entries, by a line end in a statement. Where the server says that it parsed the statement its end is known, and such entries stay its text; behind a statement that may be a syntax error entries of other users are marked and name no token",
        ignored: "The head of the file; administrator commands other than Quit are kept as `other`",
        source: "<https://dev.mysql.com/doc/refman/8.4/en/slow-query-log.html>, <https://docs.percona.com/percona-server/8.0/slow-extended.html>, <https://mariadb.com/kb/en/slow-query-log-extended-statistics/>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let (mut users, mut costs, mut foreign) = (0, 0, 0);
    for line in sample.split(|b| *b == b'\n').take(400) {
        users +=
            usize::from(line.starts_with(USER) || line.starts_with(OLD_USER) || (line.starts_with(TIME) && line.holds(" # User@Host: ")));
        costs += usize::from(line.starts_with(b"# Query_time: "));
        foreign += usize::from(users == 0 && !line.is_empty() && !line.starts_with(b"#") && !banner(line) && !head(line));
    }
    match (users, costs) {
        (0, 0) => Guess::NO,
        _ if foreign <= 2 => Guess::new(96, format!("{users} lines \"# User@Host:\" and {costs} lines \"# Query_time:\"")),
        _ => Guess::new(60, format!("{users} lines \"# User@Host:\" behind other text")),
    }
}

/// Reason on an entry that has no statement: servers write none, but clients can.
const EMPTY: &str = "entry without a statement";

/// What the log's own time is, and who may have written into it.
#[derive(Debug, Serialize, Deserialize)]
struct Clock {
    #[serde(skip, default = "unzoned")]
    stamps: Timestamps,
    /// The last `# Time:`: entries of the same second lack it.
    now: Option<Time>,
    /// It names its zone.
    zoned: bool,
    /// The time of the last entry, for what has none.
    last: Option<Time>,
    #[serde(skip)]
    words: WordIds,
}

fn unzoned() -> Timestamps {
    Timestamps::new(None)
}

impl Clock {
    fn new(zone: Option<jiff::tz::TimeZone>) -> Self {
        Clock { stamps: Timestamps::new(zone), now: None, zoned: false, last: None, words: WordIds::default() }
    }

    /// When the statement began.
    fn time(&mut self, entry: &Entry<'_>) -> Option<Time> {
        /// Clocks that are read at different moments, and rounded.
        const ABOUT: i64 = 5 * Time::SECOND;
        const QUARTER: i64 = 15 * Time::MINUTE;
        if let Some(text) = entry.stamp
            && let Some(time) = stamp::read(text, &mut self.stamps)
        {
            (self.now, self.zoned) = (Some(time), matches!(stamp::form(text), Some((stamp::Form::Iso, _))));
        }
        let duration = i64::try_from(entry.duration_us.unwrap_or(0)).unwrap_or(0).min(Time::DAY);
        let set = entry.timestamp.and_then(|text| epoch(text).ok());
        let time = match (set, self.now) {
            (Some(set), Some(end)) => {
                // The stamp's zone may be unknown, but is whole quarters of an hour off.
                let off = |time: i64| {
                    let off = time - end.0;
                    if self.zoned { off.abs() } else { (off + QUARTER / 2).rem_euclid(QUARTER).abs_diff(QUARTER / 2) as i64 }
                };
                let fits = off(set.0).min(off(set.0 + duration)) <= ABOUT || (self.zoned && set < end && set.0 + duration > end.0 - ABOUT);
                if fits { set } else { Time(end.0 - duration) }
            }
            (Some(set), None) => set,
            (None, Some(end)) => Time(end.0 - duration),
            (None, None) => return self.last,
        };
        self.last = Some(time);
        Some(time)
    }

    /// Takes note of one entry: of its time, of whether it may be text of another, and of what may follow it.
    fn note(&mut self, doubt: &mut Doubt, entry: &Entry<'_>, text: &[u8], open: bool) -> Noted {
        let time = self.time(entry);
        if let Some(now) = self.now.or(time) {
            doubt.at(now);
        }
        if open {
            doubt.add(WordId::of(b""));
        }
        let account = entry.account.and_then(entry::account);
        let who = self.words.of(account.map_or(b"", |account| account.user));
        let proved = doubt.proved(who, 0);
        let keeps = proved && account.is_some_and(|a| a.account == a.user && keeper(a.user, a.ip.is_empty() && a.host == b"localhost"));
        let body = text.get(entry.body..).unwrap_or_default().trim_ascii_end();
        if !keeps && entry.account.is_some() && !entry::whole(entry, body) {
            doubt.add(who);
        }
        Noted { time, proved }
    }
}

/// What is known of an entry from those before it.
struct Noted {
    time: Option<Time>,
    /// Nobody but its own user can have written it.
    proved: bool,
}

/// The decoder of one log.
struct Slow {
    clock: Clock,
    doubt: Doubt,
}

impl Slow {
    fn new(options: &Options) -> Self {
        Slow { clock: Clock::new(options.zone.clone()), doubt: Doubt::default() }
    }
}

impl Decoder for Slow {
    fn decode<'a>(&mut self, record: Record<'a>, _: &'a Bump) -> Decoded<'a> {
        let text = record.bytes;
        if !text.starts_with(b"#") {
            if banner(text) || head(text) {
                return Decoded::Skip("head of a log file");
            }
            return Decoded::Reject("text without the head of its entry");
        }
        let entry = Entry::parse(text);
        let noted = self.clock.note(&mut self.doubt, &entry, text, record.suspect.is_some());
        if entry.account.is_none() && entry.duration_us.is_none() && entry.body >= text.len() && entry.command.is_none() {
            return match entry.stamp {
                Some(_) => Decoded::Skip("time without an entry"),
                None => Decoded::Reject("head of an entry without user and duration"),
            };
        }
        let Some(time) = noted.time else { return Decoded::Reject("entry without a time") };
        let mut event = Event::new(Kind::Query, time);
        let account = entry.account.and_then(entry::account);
        if let Some(account) = account {
            let anonymous = account.account.is_empty();
            event.suspect = (!noted.proved).then_some(DOUBTFUL);
            let provenance = if noted.proved && !anonymous { Provenance::Authenticated } else { Provenance::Claimed };
            event.principal = some(account.user).map(|name| Principal { name, provenance });
            event.address = Address::parse(account.ip).or_else(|| Address::parse(account.host));
        }
        event.session = entry.session.and_then(some);
        event.database = entry.schema.or(entry.used).and_then(some);
        event.duration_us = entry.duration_us;
        event.rows = entry.rows_sent.filter(|n| *n > 0).or(entry.rows_affected.filter(|n| *n > 0)).or(entry.rows_sent);
        event.truncated = record.truncated;
        let body = text.get(entry.body..).unwrap_or_default().trim_ascii_end();
        let statement = body.strip_suffix(b";").unwrap_or(body);
        if let Some(command) = entry.command {
            event.kind = if command == b"Quit" { Kind::Logout } else { Kind::Other };
        } else if statement.is_empty() {
            // `use db;` with nothing behind it was the statement.
            match entry.used.filter(|_| entry.timestamp.is_none()) {
                Some(_) => event.operation = Some(Operation::Set),
                None => {
                    event.kind = Kind::Other;
                    event.suspect = event.suspect.or(Some(EMPTY));
                }
            }
        } else {
            event.statement = Some(BStr::new(statement));
            event.dialect = Dialect::MySql;
        }
        if event.suspect.is_some()
            && let Some(principal) = &mut event.principal
        {
            principal.provenance = Provenance::Claimed;
        }
        if let Some(code) = entry.errno {
            event.outcome = outcome(code);
            event.code = some(code);
            if event.kind == Kind::Query {
                event.kind = match event.outcome {
                    Outcome::Denied => Kind::Denied,
                    Outcome::Error => Kind::Error,
                    _ => Kind::Query,
                };
            }
        }
        if let Some(succeeded) = entry.succeeded {
            event.outcome = if succeeded { Outcome::Success } else { Outcome::Error };
            if !succeeded && event.kind == Kind::Query {
                event.kind = Kind::Error;
            }
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(&self.clock, &self.doubt)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((clock, doubt)) = postcard::from_bytes::<(Clock, Doubt)>(state) {
            let stamps = self.clock.stamps.clone();
            (self.clock, self.doubt) = (Clock { stamps, ..clock }, doubt);
        }
    }
}

#[cfg(test)]
mod tests;
