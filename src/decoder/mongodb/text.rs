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
//! disagrees with what is known of its connection, names nobody. A client that knows all this can still write a line: the format
//! alerts and never revokes.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::act::{self, On, Told};
use super::ctime;
use super::logv2::{remote, share};
use super::session::{self, Sessions, account};
use crate::decoder::timestamp::{self, Timestamps};
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::joined::{Grammar, Joined};
use crate::framing::seek::Seek;

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
        forgery: "Whole lines, by a line break in a name, in what a driver calls itself, or in a value. Lines that do not end as their kind must are joined with those below, or where these are whole lines marked with them; lines out of time, or at odds with their connection, name nobody. Upgrade to 4.4, whose log is JSON",
        ignored: "Everything but connections, logins, operations, refusals and dropped collections: kept as `other`",
        source: "<https://www.mongodb.com/docs/v4.2/reference/log-messages/>",
    },
};

/// Reason on a line of text in a log of JSON.
pub(super) const TEXT: &str = "a line of text, which a client may have written";
const TIME: &str = "time goes back";
const PEER: &str = "another peer than the connection's";
const NUMBER: &str = "connection number out of order";

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

/// Whether a line begins with a time as these logs write it.
pub fn is_head(line: &[u8]) -> bool {
    ctime::stamp(line).is_some() || iso(line)
}

fn iso(line: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2, b'.', f1, f2, f3, ..] = *line else {
        return false;
    };
    [y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, i1, i2, s1, s2, f1, f2, f3].iter().all(u8::is_ascii_digit)
}

/// What is no thread of MongoDB's.
const LEVELS: [&[u8]; 10] = [b"debug", b"info", b"notice", b"note", b"warn", b"warning", b"error", b"critical", b"alert", b"emergency"];

/// A line, taken apart. The message is the rest of the record.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    stamp: &'a [u8],
    context: &'a [u8],
    message: &'a [u8],
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let end = match ctime::stamp(line) {
            Some(stamp) => stamp.used,
            None if iso(line) => line.find_byte(b' ')?,
            None => return None,
        };
        let (stamp, rest) = line.split_at_checked(end)?;
        let rest = rest.trimmed_start();
        // Severity and component stand between, since 3.0.
        let open = rest.find_byte(b'[').filter(|open| *open <= 24)?;
        let between = rest.get(..open)?;
        let close = open + rest.get(open..)?.find_byte(b']')?;
        let word = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'_');
        between.iter().all(word).then_some(())?;
        let (context, message) = (rest.get(open + 1..close)?, rest.get(close + 1..)?);
        // Many other logs have their level in brackets behind the time.
        let level = between.is_empty() && LEVELS.iter().any(|level| context.eq_ignore_ascii_case(level));
        (!level).then_some(())?;
        Some(Line { stamp, context, message: message.strip_prefix(b" ").unwrap_or(message).trimmed_start() })
    }
}

/// Where records end.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Lines {
    kind: u8,
    whole: bool,
}

impl Lines {
    const FREE: u8 = 0;
    const OPERATION: u8 = 1;
    const DOCUMENT: u8 = 2;

    fn ends(&mut self, line: &[u8]) {
        self.whole = match self.kind {
            Self::OPERATION => self.whole || millis(line).is_some(),
            Self::DOCUMENT => line.ends_with(b"}"),
            _ => true,
        };
    }
}

impl Grammar for Lines {
    const PATIENCE: usize = 16 << 10;
    const HAS_REST: bool = true;

    fn head(line: &[u8]) -> bool {
        is_head(line)
    }

    fn begin(&mut self, line: &[u8]) {
        self.kind = match Line::read(line).map(|l| l.message) {
            Some(m) if m.starts_with(b"received client metadata") => Self::DOCUMENT,
            Some(m) if verb(m).is_some() => Self::OPERATION,
            _ => Self::FREE,
        };
        self.whole = false;
        self.ends(line);
    }

    fn more(&mut self, line: &[u8]) {
        self.ends(line);
    }

    fn whole(&self) -> bool {
        self.whole
    }
}

/// `command shop.orders ...` and its kin: the word and the namespace.
fn verb(message: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (verb, rest) = message.part(" ")?;
    if verb != b"command" {
        act::legacy(verb)?;
    }
    let end = rest.find_byte(b' ')?;
    let (namespace, rest) = rest.split_at_checked(end)?;
    (namespace.contains(&b'.') && (rest.contains(&b'{') || millis(rest).is_some())).then_some((verb, namespace, rest))
}

/// The milliseconds at the end of an operation's record; lines that belong to no record may follow.
fn millis(record: &[u8]) -> Option<u64> {
    let took = |line: &[u8]| {
        let line = line.trimmed_end().strip_suffix(b"ms")?;
        let start = line.rfind_byte(b' ')?;
        std::str::from_utf8(line.get(start + 1..)?).ok()?.parse().ok()
    };
    let mut rest = record;
    loop {
        let Some(end) = memchr::memrchr(b'\n', rest) else { return took(rest) };
        if let Some(millis) = took(rest.get(end + 1..)?) {
            return Some(millis);
        }
        rest = rest.get(..end)?;
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
        event.suspect = record.suspect;
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
        } else if let Some(Failed { user, home, peer, error }) = failed(message) {
            login(event, Kind::LoginFailed, user, home, arena);
            event.code = (!error.is_empty()).then(|| BStr::new(error));
            (event.address, event.port) = remote(peer);
            if peer.is_empty() {
                self.place(connection, event, arena);
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
        if !message.starts_with(b"auth: ") && failed(message).is_none() {
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

/// A refused login, taken apart.
#[derive(Debug, Default)]
struct Failed<'a> {
    user: &'a [u8],
    home: &'a [u8],
    peer: &'a [u8],
    /// Name of the error; perhaps empty.
    error: &'a [u8],
}

/// `Failed to authenticate root@admin with mechanism MONGODB-CR: AuthenticationFailed ...`,
/// `SASL SCRAM-SHA-1 authentication failed for root on admin from client 10.0.0.7:5 ; UserNotFound: ...`
fn failed(message: &[u8]) -> Option<Failed<'_>> {
    if let Some(rest) = message.strip_prefix(b"Failed to authenticate ") {
        let (who, error) = rest.part_last(" with mechanism ").unwrap_or((rest, b""));
        let (user, home) = who.part_last("@").unwrap_or((who, b""));
        let (_, error) = error.part(": ").unwrap_or((b"", b""));
        let word = error.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        return Some(Failed { user, home, peer: b"", error: error.get(..word).unwrap_or_default() });
    }
    // Older servers leave `SASL` out.
    let rest = message.strip_prefix(b"SASL ").unwrap_or(message);
    let (mechanism, rest) = rest.part(" authentication failed for ")?;
    if mechanism.contains(&b' ') {
        return None;
    }
    let (who, error) = rest.part_last(" ; ").unwrap_or((rest, b""));
    let (who, peer) = who.part_last(" from client ").unwrap_or((who, b""));
    let (user, home) = who.part_last(" on ").unwrap_or((who, b""));
    let error = error.split(|b| matches!(b, b':' | b' ')).next().unwrap_or_default();
    Some(Failed { user, home, peer, error })
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
