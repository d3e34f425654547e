//! MongoDB's log before 4.4: lines of text.
//!
//! ```text
//! 2020-03-12T00:00:35.957+0000 I  ACCESS   [conn46] Successfully authenticated as principal web on admin from client 10.0.0.7:38918
//! 2020-03-12T00:00:36.101+0000 I  COMMAND  [conn46] command shop.orders appName: "web" command: find { find: "orders", filter: {}, $db: "shop" } planSummary: COLLSCAN nreturned:3 reslen:126 protocol:op_msg 123ms
//! Wed Mar  5 17:14:24.639 [conn1] end connection 127.0.0.1:57498 (0 connections now open)
//! ```
//! <https://www.mongodb.com/docs/v4.2/reference/log-messages/>
//!
//! Client text (names in refused logins, what drivers call themselves, values in commands) stands there as it came, line ends
//! included. A line that does not end as its kind must goes on with the lines below it; a line whose time goes back, or that
//! disagrees with what is known of its connection, names nobody; what may stand in the name of a refused login neither ([`refusal`]). A client that knows all this can still write a line: the format
//! alerts and never revokes.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use self::lines::{Line, Lines, millis, verb};
use self::refusal::Refused;
use super::act::{self, On, Told};
use super::ctime;
use super::logv2::{remote, share};
use super::session::{self, Sessions, account};
use crate::decoder::timestamp::{self, Timestamps};
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::joined::Joined;
use crate::framing::seek::Seek;

mod lines;
mod refusal;

pub use self::lines::is_head;

pub const FORMAT: Format = Format {
    name: "mongodb-text",
    about: "MongoDB server log in text (mongod and mongos before 4.4)",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Joined::<Lines>::new()), Box::new(Text::new(options))),
    guide: Guide {
        system: "MongoDB 2.0 to 4.2",
        switch_on: "The log is always on. Operations are logged when slow: `db.setProfilingLevel(0, -1)` logs all of them",
        fields: &[
            (
                "time",
                "the line's start; where it has no year (before 2.6), the year is the relay's, or else the last before 2020 that fits the day of the week",
            ),
            (
                "principal",
                "the login on the same connection (before 3.0 the attempt that did not fail); `user@database` for accounts of other databases than `admin`; claimed for refused logins",
            ),
            ("address", "the line, or that of its connection; seen by the server"),
            ("port", "with the address"),
            ("database", "the namespace; for logins the database of the account"),
            ("client", "`appName`, or what the client told at its start; the client's own word"),
            ("session", "`connN`"),
            ("operation", "the command's name"),
            ("objects", "the namespace, or the command's value"),
            ("outcome", "`errCode`, `exception:`"),
            ("code", "`errCode`, `code:`"),
            ("rows", "`nreturned`, `ninserted`, `nModified`, `ndeleted`"),
            ("duration", "the milliseconds at the end"),
            ("kind", "the message"),
        ],
        forgery: "Whole lines, by a line break in what a driver calls itself, in a refused command or in a value, where the client ends the object itself. Lines that do not end as their kind must are joined with those below, or where these are whole lines marked with them; lines out of time, or at odds with their connection, name nobody, nor do those that may stand in the name of a refused login. Upgrade to 4.4, whose log is JSON",
        ignored: "Everything but connections, logins, operations, refusals and dropped collections: kept as `other`",
        source: "<https://www.mongodb.com/docs/v4.2/reference/log-messages/>",
    },
};

/// Reason on a line of text in a log of JSON.
pub(super) const TEXT: &str = "a line of text, which a client may have written";
const TIME: &str = "time goes back";
const PEER: &str = "another peer than the connection's";
const NUMBER: &str = "connection number out of order";
const LIE: &str = "behind a refused login of another peer than the connection's";

/// How far lines of several threads may be out of order, in microseconds.
const SLACK: i64 = 2 * Time::SECOND;
/// Connections whose number was never seen before that may be open.
const LEAP: u64 = 1_000;

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let (percent, lines) = share(sample, 100, |line| Line::read(line).is_some());
    match percent {
        0..=4 => Guess::NO,
        // Some lines are the rest of another.
        _ => Guess::new((60 + percent * 35 / 100) as u8, format!("{percent} % of {lines} lines are time, component, [thread], message")),
    }
}

/// The decoder of one log.
pub struct Text {
    stamps: Timestamps,
    zone: Option<TimeZone>,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    sessions: Sessions,
    year: Option<i16>,
    latest: Time,
    /// The highest number of a connection.
    top: u64,
    /// Bytes from here on that may be the text of a refused login whose line does not tell the truth.
    lied: usize,
}

impl Text {
    pub fn new(options: &Options) -> Self {
        Text { stamps: Timestamps::new(options.zone.clone()), zone: options.zone.clone(), state: State::default() }
    }

    fn time(&mut self, stamp: &[u8], near: Option<Time>) -> Result<Time, timestamp::NotATime> {
        match ctime::stamp(stamp) {
            Some(stamp) => stamp.time(&mut self.state.year, near, self.zone.as_ref()).ok_or(timestamp::NotATime),
            None => self.stamps.parse(stamp),
        }
    }
}

impl Decoder for Text {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Some(line) = Line::read(record.bytes) else {
            return match record.bytes.trim_ascii().is_empty() || record.bytes.starts_with(b"#") || record.bytes.starts_with(b"***") {
                true => Decoded::Skip("no entry of the log"),
                false if !is_head(record.bytes) => Decoded::Reject("not a line of mongodb's log"),
                false => match self.time(record.bytes.get(..23).unwrap_or_default(), record.note.time).or_else(|_| {
                    let end = record.bytes.find_byte(b' ').unwrap_or(record.bytes.len());
                    self.time(record.bytes.get(..end).unwrap_or_default(), record.note.time)
                }) {
                    // Old servers write some lines without a thread.
                    Ok(time) => Decoded::Event(Event::new(Kind::Other, time)),
                    Err(_) => Decoded::Reject("unreadable time stamp"),
                },
            };
        };
        let Ok(time) = self.time(line.stamp, record.note.time) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or((self.state.lied > 0).then_some(LIE));
        self.state.lied = self.state.lied.saturating_sub(record.bytes.len() + 1);
        if time.0 < self.state.latest.0 - SLACK {
            event.suspect.get_or_insert(TIME);
        } else {
            self.state.latest = self.state.latest.max(time);
        }
        self.understand(&line, &mut event, arena);
        if event.suspect.is_some()
            && let Some(principal) = &mut event.principal
        {
            principal.provenance = Provenance::Claimed;
        }
        Decoded::Event(event)
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

impl Text {
    fn understand<'a>(&mut self, line: &Line<'a>, event: &mut Event<'a>, arena: &'a Bump) {
        let message = line.message;
        if message.starts_with(b"MongoDB starting :") || message.starts_with(b"MongoS version") {
            self.state.sessions.restarted();
            self.state.top = 0;
            return;
        }
        if let Some(rest) = message.strip_prefix(b"connection accepted from ") {
            return self.accepted(rest, event, arena);
        }
        let Some(connection) = session::number(line.context) else {
            if let Some((verb, namespace, rest)) = verb(message) {
                operation(verb, namespace, rest, event, arena);
                event.kind = Kind::Other;
            }
            return;
        };
        event.session = Some(BStr::new(line.context));
        let sound = event.suspect.is_none();
        if self.attempted(connection, message, event, arena) {
            return;
        }
        if let Some(rest) = message.strip_prefix(b"received client metadata from ") {
            let (peer, rest) = rest.part(" ").unwrap_or((rest, b""));
            (event.address, event.port) = remote(peer);
            let name = quoted(rest, b"application: { name: ").or(quoted(rest, b"driver: { name: "));
            event.client = name.map(BStr::new);
            if sound && self.fits(connection, peer, event) {
                self.state.sessions.at(connection, peer).client = name.unwrap_or_default().to_vec();
            }
        } else if let Some(rest) = message.strip_prefix(b"end connection ") {
            let peer = rest.part(" ").map_or(rest, |(peer, _)| peer);
            (event.address, event.port) = remote(peer);
            if !sound || !self.fits(connection, peer, event) {
                return;
            }
            if let Some(session) = self.state.sessions.ended(connection) {
                event.principal = session.principal(b"", arena);
                event.kind = if event.principal.is_some() { Kind::Logout } else { Kind::Other };
            }
        } else if let Some(rest) = message.strip_prefix(b"Successfully authenticated as principal ") {
            let (rest, peer) = rest.part_last(" from client ").unwrap_or((rest, b""));
            let (user, home) = rest.part_last(" on ").unwrap_or((rest, b""));
            login(event, Kind::Login, user, home, arena);
            (event.address, event.port) = remote(peer);
            if self.fits(connection, peer, event) && sound {
                self.state.sessions.at(connection, peer).login(user, home);
            }
            if peer.is_empty() {
                self.place(connection, event, arena);
            }
        } else if let Some(Refused { user, home, peer, error, .. }) = refusal::read(message) {
            login(event, Kind::LoginFailed, user, home, arena);
            event.code = (!error.is_empty()).then(|| BStr::new(error));
            (event.address, event.port) = remote(peer);
            // The true peer stands behind the name, and is looked for there: one that is not the connection's is the client's word.
            let known = self.state.sessions.get(connection).map_or(&b""[..], |s| &s.remote);
            if peer.is_empty() {
                self.place(connection, event, arena);
            } else if !refusal::is_of(known, peer) {
                self.state.lied = refusal::REACH;
            }
        } else if let Some((verb, namespace, rest)) = verb(message) {
            let on = operation(verb, namespace, rest, event, arena);
            self.who(connection, Told { namespace, ..Told::default() }.database(), event, arena);
            event.client = quoted(rest, b" appName: ").map(BStr::new).or(event.client);
            let told = self.told(connection);
            if on == On::Nothing || session::was_told(&told, event) {
                event.kind = Kind::Other;
            }
        } else if let Some(namespace) = message.strip_prefix(b"CMD: drop ").or(message.strip_prefix(b"dropDatabase ")) {
            let namespace = namespace.split(|b| *b == b' ').next().unwrap_or_default();
            event.kind = Kind::Query;
            event.operation = Some(Operation::Drop);
            event.objects = arena.alloc_slice_copy(&[BStr::new(namespace)]);
            self.who(connection, Told { namespace, ..Told::default() }.database(), event, arena);
            if sound && let Some(told) = self.state.sessions.told(connection) {
                *told = namespace.to_vec();
            }
        } else if let Some(at) = message.seek("not authorized on ").or_else(|| assertion(message)) {
            refused(message.get(at..).unwrap_or_default(), event, arena);
            self.who(connection, event.database.map_or(b"", |d| d), event, arena);
            if sound && let Some(told) = self.state.sessions.told(connection) {
                *told = session::REFUSED.to_vec();
            }
        } else {
            self.who(connection, b"", event, arena);
        }
    }

    /// Before 3.0 only attempts to log in are told, and why they failed; true if the line is about one. A connection that works has
    /// succeeded.
    fn attempted<'a>(&mut self, connection: u64, message: &'a [u8], event: &mut Event<'a>, arena: &'a Bump) -> bool {
        let sound = event.suspect.is_none();
        if let Some((user, home)) = attempt(message) {
            login(event, Kind::Other, user, home, arena);
            self.place(connection, event, arena);
            if sound {
                self.state.sessions.at(connection, b"").tries(user, home);
            }
            return true;
        }
        if !sound {
            return false;
        }
        let Some(session) = self.state.sessions.get_mut(connection) else { return false };
        if !message.starts_with(b"auth: ") && refusal::read(message).is_none() {
            // What is refused may be refused because nobody has logged in.
            if message.holds("authorized") {
                session.failed();
            } else if verb(message).is_some() {
                session.goes_on();
            }
            return false;
        }
        let Some((user, home)) = session.failed().filter(|_| message.starts_with(b"auth: ")) else { return false };
        login(event, Kind::LoginFailed, arena.alloc_slice_copy(&user), arena.alloc_slice_copy(&home), arena);
        self.place(connection, event, arena);
        true
    }

    fn told(&mut self, connection: u64) -> Vec<u8> {
        self.state.sessions.told(connection).map(std::mem::take).unwrap_or_default()
    }

    /// `10.0.0.7:53732 #12 (3 connections now open)`
    fn accepted<'a>(&mut self, rest: &'a [u8], event: &mut Event<'a>, arena: &'a Bump) {
        let (peer, rest) = rest.part(" ").unwrap_or((rest, b""));
        (event.address, event.port) = remote(peer);
        let digits = rest.strip_prefix(b"#").map(|r| r.split(|b| !b.is_ascii_digit()).next().unwrap_or_default());
        let Some(number) = digits.and_then(|d| std::str::from_utf8(d).ok()?.parse::<u64>().ok()) else { return };
        event.session = Some(BStr::new(arena.alloc_str(&format!("conn{number}"))));
        let top = self.state.top;
        if top > 0 && (number <= top || number > top + LEAP) {
            event.suspect.get_or_insert(NUMBER);
        }
        if event.suspect.is_none() {
            self.state.top = number;
            self.state.sessions.accepted(number, peer);
        }
    }

    /// Whether the peer is the one that is known of the connection; if not, the event is marked.
    fn fits(&self, connection: u64, peer: &[u8], event: &mut Event<'_>) -> bool {
        let known = self.state.sessions.get(connection).map_or(&b""[..], |s| &s.remote);
        let fits = known.is_empty() || peer.is_empty() || known == peer;
        if !fits {
            event.suspect.get_or_insert(PEER);
        }
        fits
    }

    fn place<'a>(&self, connection: u64, event: &mut Event<'a>, arena: &'a Bump) {
        if let Some(session) = self.state.sessions.get(connection) {
            (event.address, event.port) = remote(arena.alloc_slice_copy(&session.remote));
        }
    }

    fn who<'a>(&self, connection: u64, database: &[u8], event: &mut Event<'a>, arena: &'a Bump) {
        self.place(connection, event, arena);
        if let Some(session) = self.state.sessions.get(connection) {
            event.principal = session.principal(database, arena);
            event.client = (!session.client.is_empty()).then(|| BStr::new(arena.alloc_slice_copy(&session.client) as &[u8]));
        }
    }
}

fn login<'a>(event: &mut Event<'a>, kind: Kind, user: &'a [u8], home: &'a [u8], arena: &'a Bump) {
    event.kind = kind;
    event.operation = Some(Operation::Connect);
    event.outcome = match kind {
        Kind::Login => Outcome::Success,
        Kind::LoginFailed => Outcome::Denied,
        _ => Outcome::Unknown,
    };
    event.database = (!home.is_empty()).then(|| BStr::new(home));
    let provenance = if kind == Kind::Login { Provenance::Authenticated } else { Provenance::Claimed };
    event.principal = (!user.is_empty()).then(|| Principal { name: account(user, home, arena), provenance });
}

/// Name and database of `authenticate db: shop { authenticate: 1, user: "web", nonce: "xxx", key: "xxx" }`; other fields of this document are
/// the client's own, and could name somebody else.
fn attempt(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = message.strip_prefix(b"authenticate")?;
    let (home, rest) = rest.strip_prefix(b" db: ").unwrap_or(rest).part("{ authenticate: ")?;
    const USER: &[u8] = b", user: ";
    let alone = rest.find_iter(b"user: ").count() == 1 && !home.trim_ascii().contains(&b' ');
    let user = quoted(rest, USER).filter(|_| alone).unwrap_or_default();
    Some((user, home.trim_ascii().strip_suffix(b":").unwrap_or(home.trim_ascii())))
}

/// Where `assertion 16550 not authorized for query on shop.orders ns:shop.orders` of old servers says so.
fn assertion(message: &[u8]) -> Option<usize> {
    message.strip_prefix(b"assertion ")?;
    message.seek("not authorized for ")
}

/// The quoted text that follows the first `mark`.
fn quoted<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let (_, rest) = text.part(mark)?;
    rest.strip_prefix(b"\"")?.part("\"").map(|(name, _)| name)
}

/// An operation that took its time.
fn operation<'a>(verb: &[u8], namespace: &'a [u8], rest: &'a [u8], event: &mut Event<'a>, arena: &'a Bump) -> On {
    let mut told = Told { namespace, ..Told::default() };
    let mut on = On::Collection;
    let body = rest.part(" command: ").map(|(_, body)| body);
    if verb == b"command"
        && let Some(body) = body
    {
        (told.command, told.target) = named(body);
        let act = told.act(arena);
        (event.operation, event.objects, on) = (Some(act.operation), act.objects, act.on);
    } else {
        event.operation = Some(act::legacy(verb).unwrap_or(Operation::Other));
        event.objects = arena.alloc_slice_copy(&[BStr::new(namespace)]);
    }
    event.database = Some(BStr::new(told.database()));
    let last = |key: &str| -> Option<&'a [u8]> {
        let (_, value) = rest.part_last(key)?;
        value.split(|b| *b == b' ').next().filter(|v| !v.is_empty())
    };
    let count = |key: &str| last(key).and_then(|v| std::str::from_utf8(v).ok()?.parse::<u64>().ok());
    event.code = last(" errCode:").or(if rest.holds(" exception: ") { last(" code:") } else { None }).map(BStr::new);
    event.outcome = match event.code {
        Some(code) if act::denied(code) => Outcome::Denied,
        Some(_) => Outcome::Error,
        None if rest.holds(" exception: ") => Outcome::Error,
        None => Outcome::Success,
    };
    event.kind = match event.outcome {
        Outcome::Denied => Kind::Denied,
        Outcome::Error => Kind::Error,
        _ => Kind::Query,
    };
    event.rows = [" nreturned:", " ninserted:", " nModified:", " ndeleted:"].into_iter().find_map(count);
    event.duration_us = millis(rest).map(|ms| ms.saturating_mul(1_000));
    on
}

/// The name and the text value of a command: `find { find: "orders", ... }` or `{ count: "orders", ... }`.
fn named(body: &[u8]) -> (&[u8], &[u8]) {
    let inside = body.part("{").map_or(body, |(_, inside)| inside).trimmed_start();
    let (key, value) = inside.part(":").unwrap_or((inside, b""));
    let value = value.trimmed_start().strip_prefix(b"\"").and_then(|v| v.part("\"")).map_or(&b""[..], |(v, _)| v);
    let word = body.split(|b| matches!(b, b' ' | b'{')).next().unwrap_or_default();
    (if word.is_empty() { key.trim_ascii() } else { word }, value)
}

/// `not authorized on shop to execute command { drop: "orders", ... }`, `not authorized for query on shop.orders`
pub(super) fn refused<'a>(error: &'a [u8], event: &mut Event<'a>, arena: &'a Bump) {
    event.kind = Kind::Denied;
    event.outcome = Outcome::Denied;
    if let Some((verb, rest)) = error.strip_prefix(b"not authorized for ").and_then(|rest| rest.part(" on ")) {
        let namespace = rest.split(|b| *b == b' ').next().unwrap_or_default();
        event.operation = act::legacy(verb);
        event.objects = arena.alloc_slice_copy(&[BStr::new(namespace)]);
        event.database = Some(BStr::new(Told { namespace, ..Told::default() }.database()));
        return;
    }
    let Some(rest) = error.strip_prefix(b"not authorized on ") else { return };
    let Some((database, body)) = rest.part(" to execute command ") else { return };
    event.database = Some(BStr::new(database));
    let (command, target) = named(body);
    let act = Told { namespace: database, command, target, ..Told::default() }.act(arena);
    (event.operation, event.objects) = (Some(act.operation), act.objects);
}

#[cfg(test)]
mod tests;
