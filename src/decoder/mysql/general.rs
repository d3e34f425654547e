//! The general query log of MySQL, Percona Server and MariaDB: every statement of every client, as it came.
//!
//! ```text
//! 2026-11-22T02:21:28.098124Z    12 Connect tok_web@10.0.0.2 on app using TCP/IP        (MySQL from 5.7 on)
//! 2026-11-22T02:21:28.098511Z    12 Query SELECT * FROM customers
//! 261122  2:21:28      5 Connect tok_web@10.0.0.2 on app using TCP/IP                 (MySQL to 5.6, MariaDB)
//!        5 Query SELECT * FROM customers
//! ```
//! <https://dev.mysql.com/doc/refman/8.4/en/query-log.html>, `MYSQL_QUERY_LOG::write` in MariaDB's `sql/log.cc`.
//!
//! Only Connect names user and address; every later record is joined to it by its connection number. A line without a stamp
//! is of the same second as the line before. The log holds neither the outcome nor rows.
//!
//! # What can be proved
//!
//! A statement stands in the log as it came, so that a client can write records by way of a line end in a statement.
//!
//! * **MySQL from 5.7 on** logs what it could parse. A head in such a statement must stand inside a quote or a comment (`T02:21`
//!   is no SQL), and that shows: [`framer`] goes on until the text is closed. Hence forged records stay text, all true ones
//!   keep their token. With `log_raw` on this does not hold: then it is as in MariaDB, and nothing shows it.
//! * **MariaDB and MySQL up to 5.6** log before they parse. `SELECT 1⏎⇥⇥     8 Query⇥DROP TABLE t` is a syntax error to the server and two perfect
//!   records to the reader, if 8 is somebody's live connection. Nothing in the log tells. So a record is believed if it names the only
//!   client that can have written it ([`doubt`](super::doubt)): with one user at work at a time all records keep their token; where users
//!   work at the same time, most are doubtful and name none, though all are seen. `mariadb-audit` tells such users apart.
//! * **Logins** are written before the password is judged. A Connect counts as authenticated once the connection goes on; names that hold
//!   line ends are recognised by the refusal that repeats them.
//!
//! Besides, in all of them: a connection number that never connected names nobody, and a stamp before the one before it is not believed until the
//! log goes on from there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use super::doubt::{DOUBTFUL, Doubt, keeper};
use super::{banner, head, refusal, some, stamp};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;
use crate::token::{WordId, WordIds};

pub mod framer;
pub mod header;

use header::{Act, Header, Peer};

pub const FORMAT: Format = Format {
    name: "mysql-general",
    about: "general query log of MySQL, Percona Server and MariaDB",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(framer::Framer::default()), Box::new(General::new(options))),
    guide: Guide {
        system: "MySQL 5.0 to 9, Percona Server, MariaDB 5.5 to 12",
        switch_on: "`general_log = ON`, `log_output = FILE`; leave `log_raw` off. On MariaDB prefer the audit plugin (`mariadb-audit`), which tells users apart that work at the same time",
        fields: &[
            (
                "time",
                "the stamp; lines without one are of the second of the line before. The server's local time in MariaDB and MySQL up to 5.6",
            ),
            ("principal", "the Connect of the same connection number; verified once the connection goes on"),
            ("address", "the Connect of the same connection number; a name where the server resolves names"),
            ("database", "Connect, Init DB and USE of the connection"),
            ("session", "the connection number"),
            ("statement", "the argument, line ends and all"),
            ("operation", "the statement, or the command"),
            ("objects", "the statement"),
            ("outcome", "refused logins only"),
            ("kind", "the command"),
        ],
        forgery: "Whole records, by a line end in a statement. MySQL from 5.7 on logs what it could parse, which shows such text for what it is (not with log_raw on). In MariaDB and MySQL up to 5.6 it cannot be told from a true record: there a record that another client at work may have written is marked and names no token",
        ignored: "The head of the file; keep-alives and the closing of prepared statements are kept as `other`",
        source: "<https://dev.mysql.com/doc/refman/8.4/en/query-log.html> and the server's `sql/log.cc`",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 400;
    let (mut heads, mut named, mut lines) = (0usize, false, 0usize);
    for line in sample.split(|b| *b == b'\n').take(LINES) {
        lines += 1;
        heads += usize::from(header::parse(line).is_some());
        named |= lines <= 4 && head(line) && line.starts_with(b"Time");
    }
    match heads {
        0 => Guess::NO,
        _ if heads * 2 >= lines => Guess::new(95, format!("{heads} of {lines} lines are time, connection, command")),
        _ if heads * 4 >= lines || (heads > 1 && header::parse(sample).is_some()) => {
            Guess::new(88, format!("{heads} of {lines} lines are time, connection, command"))
        }
        // A slow log has the same head of the file, and may hold such lines as text.
        _ if named && !sample.holds("\n# User@Host: ") => Guess::new(90, format!("the head of a general log, and {heads} records")),
        _ => Guess::new(30, format!("only {heads} of {lines} lines are time, connection, command")),
    }
}

/// Reason on a record whose stamp is before the one before it.
const BACKWARDS: &str = "its time is before that of the record before it";
/// How far back in time a record may go: threads of one server overtake each other.
const OVERTAKEN: i64 = 2 * Time::SECOND;
/// Connections remembered; the oldest is forgotten first.
const SESSIONS: usize = 16_384;
/// Users remembered who forged their own end.
const LIARS: usize = 1_024;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    user: Vec<u8>,
    host: Vec<u8>,
    local: bool,
    /// `None`: it was changed by a record that may be forged.
    database: Option<Vec<u8>>,
    who: WordId,
    /// The server let it in, for all that the log says.
    sure: bool,
    /// How many sessions had begun before it.
    born: u64,
    ended: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    sessions: BTreeMap<u64, Session>,
    /// Sessions of each user that have not ended.
    live: HashMap<WordId, u32, RandomState>,
    born: u64,
    doubt: Doubt,
    now: Option<Time>,
    /// A stamp before `now`: if the log goes on from there, the clock was set back.
    back: Option<Time>,
    /// The highest connection number.
    top: u64,
    /// The log began with the head of a file, and nobody has connected since: what is logged is the server's own.
    alone: bool,
    records: bool,
    liars: BTreeSet<WordId>,
    /// Who wrote the record before.
    before: WordId,
    /// The last connection of which nothing was known.
    #[serde(skip)]
    nameless: Option<(u64, WordId)>,
    #[serde(skip)]
    words: WordIds,
    /// Heads have stamps of the new form, as the first one of the log had: what is logged was parsed.
    iso: Option<bool>,
}

impl Default for State {
    fn default() -> Self {
        State {
            sessions: BTreeMap::new(),
            live: HashMap::default(),
            born: 0,
            doubt: Doubt::default(),
            now: None,
            back: None,
            top: 0,
            alone: false,
            records: false,
            liars: BTreeSet::new(),
            before: anybody(),
            nameless: None,
            words: WordIds::default(),
            iso: None,
        }
    }
}

/// The decoder of one log.
struct General {
    stamps: Timestamps,
    state: State,
}

impl General {
    fn new(options: &Options) -> Self {
        General { stamps: Timestamps::new(options.zone.clone()), state: State::default() }
    }
}

impl Decoder for General {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let text = record.bytes;
        let first = !std::mem::replace(&mut self.state.records, true);
        let Some(head) = header::parse(text) else { return self.other(text, first) };
        let claimed = match head.stamp {
            Some(stamp) => match stamp::read(stamp, &mut self.stamps) {
                Some(time) => Some(time),
                None => return Decoded::Reject("unreadable time stamp"),
            },
            None => None,
        };
        let Some((time, backwards)) = self.state.at(claimed) else { return Decoded::Reject("no time stamp yet") };
        if record.suspect == Some(framer::OPEN) {
            self.state.doubt.add(self.state.before);
        }
        let head = Header { iso: head.iso && *self.state.iso.get_or_insert(head.iso), ..head };
        self.state.doubt.pass(text.len());
        let argument = text.get(head.argument..).unwrap_or_default();
        let mut event = Event::new(Kind::Other, time);
        event.session = some(head.id_text);
        event.truncated = record.truncated;
        event.suspect = backwards.then_some(BACKWARDS).or(record.suspect.filter(|reason| *reason == framer::GOES_ON));
        match head.act {
            Act::Connect | Act::ChangeUser => self.state.login(&head, argument, record.suspect, &mut event),
            _ => self.state.command(&head, argument, &mut event, arena),
        }
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

impl General {
    /// A record without a head.
    fn other<'a>(&mut self, text: &'a [u8], first: bool) -> Decoded<'a> {
        if banner(text) || head(text) {
            self.state.alone |= first;
            self.state.iso = self.state.iso.filter(|iso| !iso);
            return Decoded::Skip("head of a log file");
        }
        let words = text.strip_prefix(b"MySQL log: ").unwrap_or(text);
        if stamp::form(words).is_some() && (text.ends_with(b"mysqld started") || text.ends_with(b"mysqld ended")) {
            return Decoded::Skip("start or end of the server");
        }
        Decoded::Reject("text without the head of its record")
    }
}

/// A writer who is none of the users.
fn anybody() -> WordId {
    static ANYBODY: LazyLock<WordId> = LazyLock::new(|| WordId::of(b""));
    *ANYBODY
}

/// A session as the records before told of it.
#[derive(Clone, Copy)]
struct Known<'a> {
    user: &'a [u8],
    host: &'a [u8],
    local: bool,
    database: Option<&'a [u8]>,
    who: WordId,
    sure: bool,
    born: u64,
    ended: bool,
}

impl Session {
    fn known<'a>(&self, arena: &'a Bump) -> Known<'a> {
        Known {
            user: arena.alloc_slice_copy(&self.user),
            host: arena.alloc_slice_copy(&self.host),
            local: self.local,
            database: self.database.as_ref().map(|name| &*arena.alloc_slice_copy(name)),
            who: self.who,
            sure: self.sure,
            born: self.born,
            ended: self.ended,
        }
    }
}

impl State {
    /// The time of a record, and whether its stamp goes back.
    fn at(&mut self, claimed: Option<Time>) -> Option<(Time, bool)> {
        let Some(time) = claimed else {
            let now = self.now?;
            return Some((now, false));
        };
        if let Some(now) = self.now.filter(|now| time.0 < now.0 - OVERTAKEN) {
            let goes_on = self.back.is_some_and(|back| time >= back && time.0 - back.0 < Time::HOUR);
            if !goes_on {
                self.back = Some(time);
                return Some((now, true));
            }
        }
        self.back = None;
        self.now = Some(time);
        self.doubt.at(time);
        Some((time, false))
    }

    /// Connect and Change user, with the refusal that may follow in the same record.
    fn login<'a>(&mut self, head: &Header<'_>, argument: &'a [u8], framed: Option<&'static str>, event: &mut Event<'a>) {
        event.kind = Kind::Login;
        event.operation = Some(Operation::Connect);
        self.before = anybody();
        let peer =
            header::peer(argument.part("\n").map_or(argument, |(line, _)| if framed == Some(framer::NAME) { argument } else { line }));
        let refused = if argument.starts_with(refusal::START) { Some(argument) } else { second(argument, head.id) };
        if let Some(refusal) = refused.and_then(refusal::parse) {
            event.kind = Kind::LoginFailed;
            event.outcome = Outcome::Denied;
            event.code = Some(BStr::new(refusal.code));
            event.address = Address::parse(refusal.host);
            let of_peer = peer.filter(|_| !argument.starts_with(refusal::START)).and_then(|peer| some(peer.database));
            event.database = refusal.database.and_then(some).or(of_peer);
            event.principal = Some(Principal { name: BStr::new(refusal.user), provenance: Provenance::Claimed });
            if refusal.broken {
                event.suspect = event.suspect.or(Some(framer::NAME));
            }
            // A login that seemed to have worked. Somebody else's live session does not end by it.
            if let Some(session) = self.sessions.get(&head.id)
                && self.doubt.proved(session.who, session.born)
                && event.suspect.is_none()
            {
                self.forget(head.id);
            }
            return;
        }
        event.suspect = event.suspect.or(framed.filter(|reason| *reason == framer::NAME));
        let Some(peer) = peer else { return };
        event.outcome = Outcome::Unknown;
        event.address = if peer.local { Some(Address::Local) } else { Address::parse(peer.host) };
        event.database = some(peer.database);
        let who = self.words.of(peer.user);
        let proved = event.suspect.is_none() && self.doubt.proved(who, self.born + 1);
        let confirmed = framed.is_none() && proved;
        let provenance = if confirmed { Provenance::Authenticated } else { Provenance::Claimed };
        event.principal = Some(Principal { name: BStr::new(peer.user), provenance });
        if confirmed {
            event.outcome = Outcome::Success;
        }
        if !proved {
            event.suspect = event.suspect.or(Some(DOUBTFUL));
        }
        if event.suspect == Some(BACKWARDS) || event.suspect == Some(framer::NAME) {
            return;
        }
        // A connection number comes once. A login under one that is in use, or under one that was passed, is believed only with proof.
        let fresh = head.id > self.top && self.sessions.get(&head.id).is_none_or(|s| s.ended);
        if proved || fresh {
            self.begin(head.id, &peer, who, confirmed);
        }
        self.top = self.top.max(head.id);
        self.alone = false;
        let keeps = confirmed && keeper(peer.user, event.address == Some(Address::Local));
        if !head.iso && !keeps {
            self.doubt.add_names(who);
        }
    }

    fn begin(&mut self, id: u64, peer: &Peer<'_>, who: WordId, sure: bool) {
        self.forget(id);
        while self.sessions.len() >= SESSIONS {
            let Some(oldest) = self.sessions.keys().next().copied() else { break };
            self.forget(oldest);
        }
        self.born += 1;
        *self.live.entry(who).or_default() += 1;
        let session = Session {
            user: peer.user.to_vec(),
            host: peer.host.to_vec(),
            local: peer.local || matches!(Address::parse(peer.host), Some(Address::Local)),
            sure,
            database: Some(peer.database.to_vec()),
            who,
            born: self.born,
            ended: false,
        };
        self.sessions.insert(id, session);
    }

    fn forget(&mut self, id: u64) {
        if let Some(session) = self.sessions.remove(&id).filter(|s| !s.ended) {
            self.ended(session.who);
        }
    }

    /// A session of `who` has ended.
    fn ended(&mut self, who: WordId) {
        if let Some(live) = self.live.get_mut(&who) {
            *live = live.saturating_sub(1);
            if *live == 0 {
                self.live.remove(&who);
                if !self.liars.contains(&who) {
                    self.doubt.end(who, self.born);
                }
            }
        }
    }

    /// Every command of a session but its login.
    fn command<'a>(&mut self, head: &Header<'_>, argument: &'a [u8], event: &mut Event<'a>, arena: &'a Bump) {
        let known = self.sessions.get(&head.id).map(|session| session.known(arena));
        let (who, born) = known.map_or_else(|| (self.nameless(head.id), 0), |s| (s.who, s.born));
        let proved = event.suspect.is_none() && self.doubt.proved(who, born);
        self.before = if proved { who } else { anybody() };
        if !proved {
            event.suspect = event.suspect.or(Some(DOUBTFUL));
        }
        if let Some(session) = &known {
            let provenance = if proved { Provenance::Authenticated } else { Provenance::Claimed };
            event.principal = Some(Principal { name: BStr::new(session.user), provenance });
            event.address = if session.local { Some(Address::Local) } else { Address::parse(session.host) };
            event.database = session.database.and_then(some);
            if session.ended && head.act != Act::Quit {
                self.awake(head.id, who);
            }
        }
        match head.act {
            Act::Statement => {
                event.kind = Kind::Query;
                event.statement = Some(BStr::new(argument));
                event.dialect = Dialect::MySql;
            }
            Act::Prepare => {
                event.statement = Some(BStr::new(argument));
                event.dialect = Dialect::MySql;
            }
            Act::Quit => {
                event.kind = Kind::Logout;
                if known.is_none() {
                    event.principal = None;
                }
            }
            Act::InitDb => event.database = some(argument),
            Act::Other(operation) => {
                event.kind = Kind::Query;
                event.operation = Some(operation);
            }
            Act::Connect | Act::ChangeUser | Act::Idle => {}
        }
        let database = match head.act {
            Act::InitDb => Some(argument),
            Act::Statement => used(argument),
            _ => None,
        };
        if event.suspect != Some(BACKWARDS)
            && let Some(session) = self.sessions.get_mut(&head.id)
        {
            if let Some(database) = database {
                session.database = proved.then(|| database.to_vec());
            }
            if head.act == Act::Quit && event.suspect == Some(framer::GOES_ON) {
                self.lies(who);
            } else if head.act == Act::Quit && !session.ended {
                session.ended = true;
                self.ended(who);
            }
        }
        self.top = self.top.max(if proved { head.id } else { 0 });
        let writes = match head.act {
            // What Field List shows is text of the client, in all versions.
            Act::Other(Operation::Show | Operation::Create | Operation::Drop) => !argument.is_empty(),
            _ => !head.iso && !argument.is_empty(),
        };
        let keeps = known.map_or(self.alone, |s| proved && s.sure && keeper(s.user, s.local));
        if writes && !keeps {
            self.doubt.add(who);
        }
    }

    /// A session whose end was logged goes on: its end was forged, by its own user for all we know.
    fn awake(&mut self, id: u64, who: WordId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.ended = false;
        *self.live.entry(who).or_default() += 1;
        self.lies(who);
    }

    /// A writer of whom only the connection is known.
    fn nameless(&mut self, id: u64) -> WordId {
        match self.nameless {
            Some((last, who)) if last == id => who,
            _ => self.nameless.insert((id, WordId::of(format!("\0{id}").as_bytes()))).1,
        }
    }

    fn lies(&mut self, who: WordId) {
        if self.liars.len() < LIARS {
            self.liars.insert(who);
        }
    }
}

/// The text of the refusal that stands behind a login in one record.
fn second(argument: &[u8], id: u64) -> Option<&[u8]> {
    let mut from = 0;
    while let Some(at) = argument.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        from += at + 1;
        let line = argument.get(from..)?;
        if let Some(text) = header::parse(line).filter(|head| head.id == id).and_then(|head| line.get(head.argument..))
            && text.starts_with(refusal::START)
        {
            return Some(text);
        }
    }
    None
}

/// The database that `USE` names.
pub(super) fn used(statement: &[u8]) -> Option<&[u8]> {
    let (verb, name) = statement.trim_ascii().part(" ")?;
    if !verb.eq_ignore_ascii_case(b"use") {
        return None;
    }
    let name = name.trim_ascii().trim_end_with(|c| c == ';').trim_ascii();
    Some(name.strip_prefix(b"`").and_then(|n| n.strip_suffix(b"`")).unwrap_or(name))
}

#[cfg(test)]
mod tests;
