//! CockroachDB's logs: text (`crdb-v2`, and `crdb-v1` of before 21.1) and JSON (`json`, `json-compact`, with or without a Fluent tag).
//!
//! ```text
//! I261122 02:21:28.484001 611 9@util/log/event_log.go:32 ⋮ [n1,client=‹10.1.0.7:53568›,hostssl,user=‹billing›] 900 ={"Timestamp":1795314088483000000,"EventType":"query_execute","Statement":"‹SELECT total FROM \"\".\"\".invoices›","User":"‹billing›","ApplicationName":"‹billing/2.4›","ExecMode":"exec","NumRows":1,"Age":1.58}
//! {"channel":"SQL_EXEC","timestamp":"1795314088.484001000","tags":{"n":"1","client":"10.1.0.7:53568"},"event":{"EventType":"query_execute",...}}
//! ```
//! <https://www.cockroachlabs.com/docs/stable/log-formats>, <https://www.cockroachlabs.com/docs/stable/eventlog>
//!
//! In `crdb-v2` every line of an entry begins with the entry's own head, and what comes from clients stands between ‹ and ›, on each line
//! anew: no client can begin a line. Where a sink writes without these marks (`redactable: false`) that is not so, nor in `crdb-v1`:
//! such records are seen and name no token.
//!
//! One statement may be told by several events (the query, each sensitive table that it touched, the change it made); it counts with the first.

use std::sync::LazyLock;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::json::pick::{self, Places, Value};
use super::timestamp::{Timestamps, epoch};
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Time};
use crate::framing::seek::Seek;

mod entry;
mod exec;
mod framer;
mod happening;

use happening::{Happening, Recent};

pub const FORMAT: Format = Format {
    name: "cockroach-log",
    about: "CockroachDB logs: SQL audit, execution, session and privilege events (text, also of before 21.1, and JSON)",
    forgeable: false,
    sniff,
    open: |_, _| (Box::new(framer::Entries::default()), Box::new(Log::new())),
    guide: Guide {
        system: "CockroachDB 21.1 to 26 (crdb-v2, JSON), before: crdb-v1",
        switch_on: "A sink for the channels `SENSITIVE_ACCESS`, `SESSIONS`, `USER_ADMIN`, `PRIVILEGES`, `SQL_SCHEMA` (and `SQL_EXEC` for all statements) in `--log`, with `server.auth_log.sql_sessions.enabled = true`, and `sql.log.user_audit` or `ALTER TABLE t EXPERIMENTAL_AUDIT SET READ WRITE` or `sql.log.all_statements.enabled`",
        fields: &[
            ("time", "`Timestamp` of the event, else that of the line; UTC"),
            ("principal", "`User` of the event, else the tag `user`; claimed where authentication failed"),
            ("address", "`RemoteAddress`, else the tag `client`; seen by the server"),
            ("port", "where the address is"),
            ("database", "`DatabaseName`, else the first part of `TableName`"),
            ("client", "`ApplicationName`; the client's own word"),
            ("session", "`SessionID`"),
            ("statement", "`Statement`"),
            ("operation", "the statement"),
            ("objects", "`TableName` of a sensitive access, the first table of an old audit log, else the statement"),
            ("outcome", "`SQLSTATE`, `ErrorText`"),
            ("code", "`SQLSTATE`"),
            ("rows", "`NumRows`"),
            ("duration", "`Age`, milliseconds"),
            ("kind", "`EventType`"),
        ],
        forgery: "crdb-v2 and JSON: nothing. crdb-v1, and sinks with `redactable: false`: whole lines; no record of theirs names a token",
        ignored: "Everything that is no statement and no session, statements of the server itself, further events of one statement, connections before their login: kept as `other`",
        source: "<https://www.cockroachlabs.com/docs/stable/log-formats>",
    },
};

const CHANNEL: usize = 0;
const TIME: usize = 1;
const CLIENT: usize = 2;
const USER: usize = 3;
const EVENT: usize = 4;
const SLOTS: usize = 5;

fn places() -> Places {
    Places::new(&[
        ("/channel", CHANNEL),
        ("/channel_numeric", CHANNEL),
        ("/C", CHANNEL),
        ("/c", CHANNEL),
        ("/timestamp", TIME),
        ("/t", TIME),
        ("/tags/client", CLIENT),
        ("/tags/user", USER),
        ("/event", EVENT),
    ])
    .raw("/event")
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 50;
    static PLACES: LazyLock<Places> = LazyLock::new(places);
    let (mut all, mut good, arena) = (0usize, 0usize, Bump::new());
    for line in sample.split_str("\n").filter(|line| !line.trim().is_empty()).take(LINES) {
        all += 1;
        good += usize::from(if line.starts_with(b"{") {
            let (picked, _) = pick::pick_head(pick::text(line, &arena), &PLACES, SLOTS, &arena);
            // Seconds with nine digits behind the point are CockroachDB's own.
            picked.get(CHANNEL).is_some() && picked.text(TIME).is_some_and(|text| text.part_last(".").is_some_and(|(_, f)| f.len() == 9))
        } else {
            entry::parse(line).is_some()
        });
    }
    match good {
        0 => Guess::NO,
        _ if good * 2 >= all => Guess::new(94, format!("{good} of {all} lines are CockroachDB log entries")),
        _ => Guess::new(40, format!("only {good} of {all} lines are CockroachDB log entries")),
    }
}

/// Said of records that a client may have written.
const RAW: &str = "the sink marks no client text: clients can write whole lines";

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The first line of a text log was one of crdb-v2 with client text marked.
    marked: bool,
    /// Not so, or a line without the mark was seen: all lines of the log may be a client's.
    raw: bool,
    recent: Recent,
}

struct Log {
    outer: Places,
    inner: Places,
    stamps: Timestamps,
    state: State,
}

impl Log {
    fn new() -> Self {
        Log { outer: places(), inner: happening::places(), stamps: Timestamps::new(None), state: State::default() }
    }

    fn json<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.outer, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let Some(Ok(time)) = picked.text(TIME).map(|text| epoch(text)) else { return Decoded::Reject("no time stamp") };
        if picked.get(CHANNEL).is_none() {
            return Decoded::Reject("not an entry of CockroachDB's log");
        }
        let Some(Value::Raw(text)) = picked.get(EVENT) else { return Decoded::Event(Event::new(Kind::Other, time)) };
        let (event, _) = pick::pick_head(text, &self.inner, happening::SLOTS, arena);
        // A log is JSON or text from its beginning to its end.
        let suspect = (self.state.marked || self.state.raw).then_some("a JSON line in a text log");
        let happening = Happening { time, event, client: picked.text(CLIENT), user: picked.text(USER), suspect };
        self.event(&happening, record, arena)
    }

    fn event<'a>(&mut self, happening: &Happening<'a>, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let mut event = happening.event(&mut self.state.recent, arena);
        event.truncated |= record.truncated;
        event.suspect = record.suspect.or(event.suspect);
        Decoded::Event(event)
    }

    /// The time of a line's head.
    fn time(&mut self, line: &entry::Line<'_>) -> Option<Time> {
        let (date, time) = line.stamp.split_at_checked(6)?;
        let [y1, y2, m1, m2, d1, d2] = *date else { return None };
        let mut stamp = Vec::with_capacity(40);
        stamp.extend_from_slice(&[b'2', b'0', y1, y2, b'-', m1, m2, b'-', d1, d2]);
        // `hh:mm:ss.uuuuuu`, in a zone of its own with `±hhmmss`; offsets are whole minutes nowadays.
        stamp.extend_from_slice(time.get(..16)?);
        stamp.extend_from_slice(time.get(16..).unwrap_or_default().get(..5).unwrap_or_default());
        self.stamps.parse(&stamp).ok()
    }
}

impl Decoder for Log {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        if record.bytes.starts_with(b"{") {
            return self.json(record, arena);
        }
        let Some(line) = entry::parse(record.bytes) else { return Decoded::Reject("not a line of CockroachDB's log") };
        let Some(time) = self.time(&line) else { return Decoded::Reject("unreadable time stamp") };
        self.state.marked |= !self.state.raw && line.marked && line.cont.is_some();
        self.state.raw |= !line.marked || !self.state.marked;
        let torn = line.cont.is_none().then_some("the head of an entry without its end");
        let suspect = self.state.raw.then_some(RAW).or(torn);
        if let Some(b'+' | b'|' | b'!') = line.cont {
            return Decoded::Skip("goes on from an entry before");
        }
        let Some(payload) = entry::structured(record.bytes, &line, arena) else {
            let told = if line.cont.is_none() { exec::event(line.payload, &entry::tags(line.tags), time, arena) } else { None };
            let mut event = told.unwrap_or_else(|| Event::new(Kind::Other, time));
            event.truncated = record.truncated;
            event.suspect = suspect;
            return Decoded::Event(event);
        };
        let (event, end) = pick::pick_head(pick::text(payload, arena), &self.inner, happening::SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("an event that is not JSON");
        }
        let tags = entry::tags(line.tags);
        let happening = Happening { time, event, client: tags.client, user: tags.user, suspect };
        self.event(&happening, record, arena)
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

/// Client text without the marks ‹ and ›; `None` where it was redacted (×) or is empty.
fn unmarked<'a>(text: &'a BStr, arena: &'a Bump) -> Option<&'a BStr> {
    let text = if text.contains(&0xe2) {
        let mut plain = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
        let mut rest = text.as_bytes();
        while let Some(at) = rest.find_byte(0xe2) {
            plain.extend_from_slice(rest.get(..at).unwrap_or_default());
            rest = rest.get(at..).unwrap_or_default();
            let mark = rest.starts_with(entry::OPEN) || rest.starts_with(entry::CLOSE);
            if !mark {
                plain.push(0xe2);
            }
            rest = rest.get(if mark { 3 } else { 1 }..).unwrap_or_default();
        }
        plain.extend_from_slice(rest);
        BStr::new(plain.into_bump_slice())
    } else {
        text
    };
    (!text.is_empty() && *text != "×").then_some(text)
}

#[cfg(test)]
mod tests;
