//! What one audit record of MySQL says, in whichever format, and what it comes to beside the records before it.
//!
//! One statement can be several records: of the general class (`log`, `status`), of the query class (`query_start`, `query_status_end`) and
//! one for each table that it opens. It counts once, by the record that tells how it ended; the others are [`Kind::Other`]. Records
//! that name no user have that of their connection.

use std::collections::HashMap;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::tables::{Tables, qualified, verb};
use crate::decoder::Record;
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;
use crate::token::WordId;

/// Connections remembered. A server allows far fewer at a time.
const CONNECTIONS: usize = 16_384;
/// Bytes of a name that are remembered of a connection.
const NAME: usize = 512;

/// What kind of record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Class {
    Connect,
    ChangeUser,
    Disconnect,
    /// A statement (or another command) as it was taken in, before its outcome is known.
    Log,
    /// A statement (or another command) with its outcome.
    Status,
    /// A [`Class::Log`] or a [`Class::Status`]: Percona's audit_log_filter gives both the same name in XML.
    Either,
    /// The end of a statement, told by the query class; it names no user.
    QueryEnd,
    Table(Operation),
    #[default]
    Other,
}

/// One record. Nothing in it is verified here; empty text counts as absent.
#[derive(Debug, Default)]
pub struct Entry<'a> {
    pub class: Class,
    pub connection: &'a [u8],
    /// The name that the client gave, or all of `account[name] @ host [address]`.
    pub user: &'a [u8],
    /// The account that the server found for it; `Some` and empty is the anonymous account.
    pub account: Option<&'a [u8]>,
    pub host: &'a [u8],
    pub ip: &'a [u8],
    pub port: Option<u16>,
    pub database: &'a [u8],
    pub client: &'a [u8],
    /// The command of the protocol: `Query`, `Execute`, `Init DB`.
    pub command: &'a [u8],
    /// The kind of statement: `select`, `create_table`.
    pub sql_command: &'a [u8],
    pub statement: &'a [u8],
    /// Error number; `0` is success.
    pub status: &'a [u8],
    /// The table of a [`Class::Table`], and its database.
    pub table: (&'a [u8], &'a [u8]),
    pub rows: Option<u64>,
    pub duration_us: Option<u64>,
}

/// Which kind of record a statement was counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum By {
    Either,
    QueryEnd,
    Table,
}

/// What is known of a connection.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Session {
    /// It is authenticated, as far as the log tells.
    live: bool,
    user: Vec<u8>,
    anonymous: bool,
    host: Vec<u8>,
    ip: Vec<u8>,
    database: Vec<u8>,
    /// The statement counted last, by a record that another one of the same statement may follow.
    counted: Option<(By, u64)>,
    tables: Tables,
}

/// What is known of a log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Log {
    sessions: HashMap<Vec<u8>, Session>,
    /// It has records of statements, not only of the tables that they open.
    statements: bool,
    /// It has records of the general class, which name the user.
    general: bool,
}

impl Log {
    /// What the record comes to.
    pub fn event<'a>(&mut self, entry: &Entry<'a>, time: Time, record: Record<'a>, arena: &'a Bump) -> Event<'a> {
        let entry = &self.complete(entry, arena);
        let mut event = Event::new(Kind::Other, time);
        event.session = some(entry.connection);
        event.address = address(entry.ip, entry.host);
        event.port = entry.port;
        event.database = some(entry.database);
        event.client = some(entry.client);
        event.code = some(entry.status);
        event.outcome = outcome(entry.status);
        event.rows = entry.rows;
        event.duration_us = entry.duration_us;
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        let sound = record.suspect.is_none();
        let failed = matches!(event.outcome, Outcome::Denied | Outcome::Error);
        let mut verified = !entry.account.is_some_and(<[u8]>::is_empty) && !entry.user.is_empty();
        match entry.class {
            Class::Connect | Class::ChangeUser => {
                event.operation = Some(Operation::Connect);
                event.kind = if failed { Kind::LoginFailed } else { Kind::Login };
                verified &= !failed;
                if sound {
                    let session = Session { live: !failed, ..Session::of(entry) };
                    self.remember(entry.connection, session);
                }
            }
            Class::Disconnect => {
                let session = if sound { self.sessions.remove(entry.connection) } else { None };
                // Without a beginning it may be the end of a refused login, under the name that the client gave.
                match session.filter(|session| session.live) {
                    Some(_) => event.kind = Kind::Logout,
                    None => verified = false,
                }
            }
            Class::Status | Class::Either | Class::QueryEnd => self.act(entry, &mut event, sound, arena),
            Class::Table(operation) => self.table(entry, operation, &mut event, sound, arena),
            Class::Log => {
                self.general |= sound;
                event.outcome = Outcome::Unknown;
                event.code = None;
                event.statement = some(entry.statement);
                event.dialect = Dialect::MySql;
            }
            Class::Other => {}
        }
        let provenance = if verified && sound { Provenance::Authenticated } else { Provenance::Claimed };
        event.principal = some(entry.user).map(|name| Principal { name, provenance });
        event
    }

    /// The entry with the account text taken apart, and with what only its connection knows.
    fn complete<'a>(&mut self, entry: &Entry<'a>, arena: &'a Bump) -> Entry<'a> {
        let mut full = Entry { ..*entry };
        let login = matches!(entry.class, Class::Connect | Class::ChangeUser | Class::Disconnect);
        if !login
            && let Some(account) = Account::read(entry.user)
            // Where the account stands apart and is another, this is what the client calls itself.
            && entry.account.is_none_or(|name| name == entry.user || !name.is_empty() && name == account.name)
            && (entry.host.is_empty() || entry.host == account.host)
        {
            full.user = account.login;
            full.account = Some(account.name);
            full.host = account.host;
            if full.ip.is_empty() {
                full.ip = account.ip;
            }
        }
        let begins = matches!(entry.class, Class::Connect | Class::ChangeUser);
        if begins || entry.connection.is_empty() {
            return full;
        }
        match self.sessions.get(entry.connection) {
            Some(session) => {
                let keep = |text: &[u8]| -> &'a [u8] { arena.alloc_slice_copy(text) };
                if full.user.is_empty() {
                    full.user = keep(&session.user);
                    full.account = session.anonymous.then_some(&b""[..]);
                    (full.host, full.ip) = (keep(&session.host), keep(&session.ip));
                }
                if full.database.is_empty() {
                    full.database = keep(&session.database);
                }
            }
            None if !login && !full.user.is_empty() && matches!(entry.class, Class::Log | Class::Status | Class::Either) => {
                self.remember(entry.connection, Session { live: true, ..Session::of(&full) });
            }
            None => {}
        }
        full
    }

    /// A statement or another command that has ended.
    fn act<'a>(&mut self, entry: &Entry<'a>, event: &mut Event<'a>, sound: bool, arena: &'a Bump) {
        event.statement = some(entry.statement);
        event.dialect = if entry.statement.is_empty() { Dialect::None } else { Dialect::MySql };
        let ended = match event.outcome {
            Outcome::Denied => Kind::Denied,
            Outcome::Error => Kind::Error,
            _ => Kind::Query,
        };
        if entry.statement.is_empty() && event.operation.is_none() {
            event.operation = operation(entry.sql_command);
        }
        let known = COMMANDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(entry.command));
        match known {
            Some((_, Act::Statement)) => {}
            Some((_, Act::Own(own))) => {
                (event.operation, event.statement, event.dialect) = (Some(*own), None, Dialect::None);
            }
            // Pings and the like are no use of a right, unless it was refused.
            None => {
                if ended == Kind::Denied || ended == Kind::Error && !entry.statement.is_empty() {
                    event.kind = ended;
                }
                if entry.command.eq_ignore_ascii_case(b"Init DB") {
                    event.statement = None;
                    event.dialect = Dialect::None;
                }
                if sound {
                    self.database(entry);
                }
                return;
            }
        }
        if !sound {
            event.kind = ended;
            return;
        }
        self.database(entry);
        let hash = WordId::of(entry.statement).0;
        if entry.class == Class::QueryEnd && entry.user.is_empty() && self.general {
            return; // the record of the general class, which names the user, follows
        }
        self.statements = true;
        self.general |= entry.class != Class::QueryEnd;
        let Some(session) = self.session(entry.connection) else {
            event.kind = ended;
            return;
        };
        let before = session.counted.filter(|(_, counted)| *counted == hash).map(|(by, _)| by);
        let (again, now) = match (entry.class, before) {
            (Class::QueryEnd, Some(By::Either)) => (true, Some(By::Either)),
            (Class::QueryEnd, _) => (false, Some(By::QueryEnd)),
            (Class::Either, Some(By::Either | By::QueryEnd)) => (true, None),
            (Class::Either, _) => (false, Some(By::Either)),
            (_, Some(By::QueryEnd | By::Table)) => (true, None),
            (_, _) => (false, None),
        };
        session.counted = now.map(|by| (by, hash));
        if session.tables.statement == hash {
            let tables = if now.is_some() { session.tables.clone() } else { std::mem::take(&mut session.tables) };
            event.objects = tables.of(entry.statement, arena);
        }
        // A statement that was counted as it came in may be told to have failed.
        if !again || before == Some(By::Either) && ended != Kind::Query {
            event.kind = ended;
        }
    }

    /// A table that a statement opened.
    fn table<'a>(&mut self, entry: &Entry<'a>, operation: Operation, event: &mut Event<'a>, sound: bool, arena: &'a Bump) {
        let name = qualified(entry.table.0, entry.table.1, arena);
        let written = operation != Operation::Select;
        let mut counts = !self.statements;
        if sound && let Some(hash) = (!entry.statement.is_empty()).then(|| WordId::of(entry.statement).0) {
            let statements = self.statements;
            if let Some(session) = self.session(entry.connection) {
                let first = session.tables.statement != hash || !statements && session.tables.has(name, written);
                if first {
                    session.tables = Tables::new(hash);
                }
                session.tables.add(name, Some(written));
                counts &= first;
                if counts {
                    session.counted = Some((By::Table, hash));
                }
            }
        }
        if counts {
            // Nothing else in this log tells of the statement.
            event.kind = Kind::Query;
            event.statement = some(entry.statement);
            event.dialect = if entry.statement.is_empty() { Dialect::None } else { Dialect::MySql };
        }
        if event.statement.is_none() {
            event.operation = Some(operation);
            event.objects = arena.alloc_slice_copy(&[name]);
        }
    }

    /// Follows `USE` and the protocol's own command for it.
    fn database(&mut self, entry: &Entry<'_>) {
        if entry.status != b"0" || entry.connection.is_empty() {
            return;
        }
        let database: &[u8] = if entry.command.eq_ignore_ascii_case(b"Init DB") {
            entry.statement
        } else if verb(entry.statement).eq_ignore_ascii_case(b"use") {
            let name = entry.statement.trim().get(3..).unwrap_or_default();
            name.trim_with(|c| c.is_ascii_whitespace() || matches!(c, ';' | '`'))
        } else {
            return;
        };
        if let Some(session) = self.session(entry.connection) {
            session.database = short(database);
        }
    }

    fn session(&mut self, connection: &[u8]) -> Option<&mut Session> {
        if connection.is_empty() || connection.len() > NAME {
            return None;
        }
        if !self.sessions.contains_key(connection) {
            self.remember(connection, Session { live: true, ..Session::default() });
        }
        self.sessions.get_mut(connection)
    }

    fn remember(&mut self, connection: &[u8], session: Session) {
        if connection.is_empty() || connection.len() > NAME {
            return;
        }
        if self.sessions.len() >= CONNECTIONS && !self.sessions.contains_key(connection) {
            // Ends that were never logged; a live connection comes back with its next record.
            self.sessions.clear();
        }
        self.sessions.insert(connection.to_vec(), session);
    }

    /// See [`crate::decoder::Decoder::save`].
    pub fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// See [`crate::decoder::Decoder::restore`].
    pub fn restore(&mut self, state: &[u8]) {
        if let Ok(log) = postcard::from_bytes(state) {
            *self = log;
        }
    }
}

impl Session {
    fn of(entry: &Entry<'_>) -> Self {
        Session {
            user: short(entry.user),
            anonymous: entry.account.is_some_and(<[u8]>::is_empty),
            host: short(entry.host),
            ip: short(entry.ip),
            database: short(entry.database),
            ..Session::default()
        }
    }
}

/// What a command of the protocol is.
#[derive(Clone, Copy)]
enum Act {
    /// It runs the statement that the record holds.
    Statement,
    /// It has no statement, and is an act all the same.
    Own(Operation),
}

/// The commands of the protocol that use a right. (`Prepare` runs nothing yet: `Execute` follows with the statement.)
const COMMANDS: [(&[u8], Act); 10] = [
    (b"", Act::Statement),
    (b"Query", Act::Statement),
    (b"Execute", Act::Statement),
    (b"Binlog Dump", Act::Own(Operation::Copy)),
    (b"Binlog Dump GTID", Act::Own(Operation::Copy)),
    (b"Clone", Act::Own(Operation::Copy)),
    (b"Create DB", Act::Own(Operation::Create)),
    (b"Drop DB", Act::Own(Operation::Drop)),
    (b"Kill", Act::Own(Operation::Other)),
    (b"Shutdown", Act::Own(Operation::Other)),
];

/// The operation of a `sql_command` such as `create_table`, where the statement's text is not there to tell.
fn operation(sql_command: &[u8]) -> Option<Operation> {
    let first = sql_command.split(|byte| *byte == b'_').next().unwrap_or_default();
    Some(match first {
        b"" => return None,
        b"replace" => Operation::Insert,
        b"load" => Operation::Copy,
        b"call" => Operation::Call,
        first => std::str::from_utf8(first).ok().and_then(Operation::from_name).unwrap_or(Operation::Other),
    })
}

/// `account[name] @ host [address]`, as the server names the user of a statement.
struct Account<'a> {
    name: &'a [u8],
    login: &'a [u8],
    host: &'a [u8],
    ip: &'a [u8],
}

impl<'a> Account<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let (front, ip) = text.strip_suffix(b"]")?.part_last(" [")?;
        let (names, host) = front.part_last("] @ ")?;
        // Either name may have brackets of its own; mostly both are the same.
        let half = names.len() / 2;
        let (name, login) = match (names.get(..half), names.get(half), names.get(half + 1..)) {
            // The anonymous account: any name that the client gave.
            _ if names.starts_with(b"[") => names.split_once_str("[")?,
            (Some(name), Some(b'['), Some(login)) if name == login => (name, login),
            _ => names.part("[")?,
        };
        Some(Account { name, login, host: host.trim(), ip })
    }
}

/// Where the client is: the address where there is one, else what the server calls its host.
fn address<'a>(ip: &'a [u8], host: &'a [u8]) -> Option<Address<'a>> {
    Address::parse(ip).or_else(|| Address::parse(host))
}

fn short(text: &[u8]) -> Vec<u8> {
    if text.len() > NAME { Vec::new() } else { text.to_vec() }
}

/// Text that is there.
pub fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

/// Error numbers that mean "not allowed": host, database, login, table, column, privilege, routine, login without a password, a locked
/// account (MySQL's number and MariaDB's), login over an insecure transport, too many failed logins.
const DENIED: [&[u8]; 13] =
    [b"1044", b"1045", b"1129", b"1130", b"1142", b"1143", b"1227", b"1370", b"1698", b"3118", b"3159", b"3955", b"4151"];

/// How a record with this error number ended.
pub fn outcome(code: &[u8]) -> Outcome {
    match code {
        b"0" => Outcome::Success,
        b"" => Outcome::Unknown,
        code if DENIED.contains(&code) => Outcome::Denied,
        _ => Outcome::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        let check = |text: &str, want: Option<[&str; 4]>| {
            let got = Account::read(text.as_bytes()).map(|a| [a.name, a.login, a.host, a.ip].map(|t| t.to_str_lossy().into_owned()));
            assert_eq!(got, want.map(|w| w.map(str::to_owned)), "{text}");
        };
        check("root[root] @ localhost []", Some(["root", "root", "localhost", ""]));
        check("app[bob] @ db1.example.org [10.0.0.9]", Some(["app", "bob", "db1.example.org", "10.0.0.9"]));
        check("[bob] @  [::1]", Some(["", "bob", "", "::1"]));
        check("a[b] @ c [d][a[b] @ c [d]] @ h [1.2.3.4]", Some(["a[b] @ c [d]", "a[b] @ c [d]", "h", "1.2.3.4"]));
        check("[[x[[x] @ h [1.2.3.4]", Some(["", "[x[[x", "h", "1.2.3.4"]));
        check("root", None);
        check("", None);
    }

    #[test]
    fn operations_of_commands() {
        assert_eq!(operation(b"select"), Some(Operation::Select));
        assert_eq!(operation(b"create_table"), Some(Operation::Create));
        assert_eq!(operation(b"call_procedure"), Some(Operation::Call));
        assert_eq!(operation(b"xa_start"), Some(Operation::Other));
        assert_eq!(operation(b""), None);
    }
}
