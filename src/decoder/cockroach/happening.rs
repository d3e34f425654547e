//! Structured events and what they mean: <https://www.cockroachlabs.com/docs/stable/eventlog>

use std::collections::VecDeque;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::unmarked;
use crate::decoder::json::pick::{Picked, Places, Value};
use crate::decoder::peer::peer;
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::envelope::lane;
use crate::framing::seek::Seek;

const STAMP: usize = 0;
const TYPE: usize = 1;
const STATEMENT: usize = 2;
const USER: usize = 3;
const APPLICATION: usize = 4;
const ROWS: usize = 5;
const CODE: usize = 6;
const ERROR: usize = 7;
const AGE: usize = 8;
const TABLE: usize = 9;
const ACCESS: usize = 10;
const DATABASE: usize = 11;
const REMOTE: usize = 12;
const MODE: usize = 13;
const SESSION: usize = 14;
pub const SLOTS: usize = 15;

pub fn places() -> Places {
    Places::new(&[
        ("/Timestamp", STAMP),
        ("/EventType", TYPE),
        ("/Statement", STATEMENT),
        ("/User", USER),
        ("/ApplicationName", APPLICATION),
        ("/NumRows", ROWS),
        ("/SQLSTATE", CODE),
        ("/ErrorText", ERROR),
        ("/Age", AGE),
        ("/TableName", TABLE),
        ("/AccessMode", ACCESS),
        ("/DatabaseName", DATABASE),
        ("/RemoteAddress", REMOTE),
        ("/ExecMode", MODE),
        ("/SessionID", SESSION),
    ])
}

/// One event with what its entry says besides.
pub struct Happening<'a> {
    pub time: Time,
    pub event: Picked<'a>,
    /// The tags of these names.
    pub client: Option<&'a BStr>,
    pub user: Option<&'a BStr>,
    pub suspect: Option<&'static str>,
}

impl<'a> Happening<'a> {
    pub fn event(&self, recent: &mut Recent, arena: &'a Bump) -> Event<'a> {
        let text = |slot: usize| self.event.text(slot).and_then(|text| unmarked(text, arena));
        let name = self.event.text(TYPE).map_or(&b""[..], |name| name.as_bytes());
        // Nanoseconds.
        let time = self.event.number(STAMP).filter(|ns| *ns > 0).map_or(self.time, |ns| Time(ns / 1_000));
        let statement = text(STATEMENT);
        let (kind, outcome) = match name {
            b"client_authentication_ok" => (Kind::Login, Outcome::Success),
            b"client_authentication_failed" => (Kind::LoginFailed, Outcome::Denied),
            b"client_session_end" => (Kind::Logout, Outcome::Success),
            _ if statement.is_some() => self.ended(),
            _ => (Kind::Other, Outcome::Unknown),
        };
        let mut event = Event::new(kind, time);
        event.outcome = outcome;
        event.suspect = self.suspect.or(self.event.twice.then_some("a field stands twice in the event"));
        if matches!(kind, Kind::Login | Kind::LoginFailed) {
            event.operation = Some(Operation::Connect);
        }
        let address = text(REMOTE).or_else(|| unmarked(self.client?, arena));
        (event.address, event.port) = address.map_or((None, None), |text| peer(text));
        event.client = text(APPLICATION);
        event.session = text(SESSION);
        event.code = self.event.text(CODE).filter(|code| *code != "00000");
        event.rows = self.event.count(ROWS);
        event.duration_us = match self.event.get(AGE) {
            Some(Value::Integer(ms)) => u64::try_from(ms).ok().and_then(|ms| ms.checked_mul(1_000)),
            Some(Value::Float(ms)) if (0.0..1e15).contains(&ms) => Some((ms * 1e3).round() as u64),
            _ => None,
        };
        event.database = text(DATABASE);
        if let Some(statement) = statement {
            event.statement = Some(named(statement, arena));
            event.dialect = Dialect::Postgres;
        }
        if let (b"sensitive_table_access", Some(table)) = (name, text(TABLE)) {
            let (database, table) = match table.part(".") {
                Some((database, table)) if table.contains(&b'.') => (Some(BStr::new(database)), BStr::new(table)),
                _ => (None, table),
            };
            event.database = event.database.or(database);
            event.objects = arena.alloc_slice_copy(&[table]);
            event.operation = self.event.text(ACCESS).filter(|mode| *mode == "r").map(|_| Operation::Select);
        }
        let claimed = kind == Kind::LoginFailed || event.suspect.is_some();
        let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
        let user = text(USER).or_else(|| unmarked(self.user?, arena));
        event.principal = user.map(|name| Principal { name, provenance });
        if let (Some(statement), Kind::Query | Kind::Error | Kind::Denied, None) = (event.statement, kind, event.suspect) {
            let who = lane(&[user.unwrap_or_default(), address.unwrap_or_default(), statement]);
            if !recent.first(who, time, name) {
                event.kind = Kind::Other;
            }
        }
        event
    }

    /// How a statement ended.
    fn ended(&self) -> (Kind, Outcome) {
        // The server runs statements for itself; the mode is its own word, the application's name is not.
        let own = self.event.text(MODE).is_some_and(|mode| *mode == "exec-internal");
        let code = self.event.text(CODE).filter(|code| *code != "00000");
        match code {
            _ if own => (Kind::Other, Outcome::Unknown),
            Some(code) if matches!(code.as_bytes(), b"42501" | b"28000" | b"28P01") => (Kind::Denied, Outcome::Denied),
            Some(_) => (Kind::Error, Outcome::Error),
            None if self.event.text(ERROR).is_some() => (Kind::Error, Outcome::Error),
            None => (Kind::Query, Outcome::Success),
        }
    }
}

/// A statement without the empty database and schema that the server puts before names: `"".""."invoices"`.
fn named<'a>(statement: &'a BStr, arena: &'a Bump) -> &'a BStr {
    if !statement.holds("\"\".") {
        return statement;
    }
    let mut plain = bumpalo::collections::Vec::with_capacity_in(statement.len(), arena);
    for part in statement.split_str("\"\".") {
        plain.extend_from_slice(part);
    }
    BStr::new(plain.into_bump_slice())
}

/// Statements that were counted a moment ago, with the types of the events that told of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recent {
    seen: VecDeque<Seen>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    who: u64,
    time: Time,
    types: Vec<u64>,
}

impl Recent {
    /// Whether an event is the first to tell of its statement. Another type of event about the same statement of the same client at
    /// the same time is not, nor is one more of the same type at the very same time (a table each).
    fn first(&mut self, who: u64, time: Time, name: &[u8]) -> bool {
        /// Statements remembered.
        const STATEMENTS: usize = 64;
        /// The events of one statement differ by the time that it ran before each.
        const CLOSE: i64 = Time::SECOND;
        let kind = lane(&[name]);
        let same = self.seen.iter_mut().rev().find(|seen| {
            seen.who == who
                && (if seen.types.contains(&kind) {
                    seen.time == time && name != b"query_execute"
                } else {
                    (seen.time.0 - time.0).abs() <= CLOSE
                })
        });
        if let Some(seen) = same {
            if !seen.types.contains(&kind) {
                seen.types.push(kind);
            }
            return false;
        }
        if self.seen.len() >= STATEMENTS {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { who, time, types: vec![kind] });
        true
    }
}
