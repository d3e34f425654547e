//! PostgreSQL's stderr log under any `log_line_prefix`. One that is neither configured nor in common use is learned from the lines.
//!
//! ```text
//! 2026-11-22 02:05:17.641 UTC [1013] tok_web@appdb ERROR:  permission denied for table secret
//! 2026-11-22 02:05:17.641 UTC [1013] tok_web@appdb STATEMENT:  SELECT *
//! <TAB>FROM secret
//! ```
//!
//! A record is a primary line, its continuations and the secondary lines of the same process. Clients can write lines of their own through the
//! user name of a failed login ([`super::forgery`]), so this format may alert and never revokes; csvlog and jsonlog are safe. See
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-LINE-PREFIX>.

use std::sync::Arc;

use bstr::ByteSlice;
use bumpalo::Bump;

use super::choice::{Choice, Chosen};
use super::csvlog::phase;
use super::forgery::{FORGED, HOSTILE_NAME, NEARBY, Stderr};
use super::message::{self, Fields, Phase, authorized, authorizes};
use super::plan::Recent;
use super::prefix::{Match, Prefix, Word, patroni};
use super::session::{Marks, Session, Sessions};
use super::severity::{Label, Severity};
use super::translated::english;
use crate::decoder::timestamp::{self, Timestamps};
use crate::decoder::{DOUBTED, Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Provenance, Time};
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "postgres-stderr",
    about: "PostgreSQL stderr log under any log_line_prefix, with pgaudit",
    forgeable: true,
    sniff,
    // The framer chooses the prefix itself, so that it sees the same lines whatever pieces the log comes in.
    open: |_, options| {
        let choice = Choice::new(options);
        (Box::new(Stderr::new(choice.clone())), Box::new(StderrLog::new(choice, options)))
    },
    guide: Guide {
        system: "PostgreSQL 8 to 18, RDS and Aurora PostgreSQL, Pgpool-II",
        switch_on: "`log_line_prefix = '%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e '`, `log_connections = on`, `log_disconnections = on`, and `log_statement = all` or pgaudit; csvlog or jsonlog is safer",
        fields: &[
            ("time", "`%m`, `%t` or `%n` of log_line_prefix"),
            (
                "principal",
                "`%u`, else the name in `connection authorized` of the session, or in the message of a refused login; verified once the session is authorised",
            ),
            ("address", "`%r` or `%h`, else the session's `connection received`; seen by the server"),
            ("port", "`%r`, else the session's `connection received`"),
            ("database", "`%d`"),
            ("client", "`%a`; the client's own word"),
            ("session", "`%c`, else the process id"),
            ("statement", "message after `statement:`, `execute` or pgaudit's field; STATEMENT line of errors"),
            ("operation", "pgaudit's COMMAND, else the statement"),
            ("objects", "pgaudit's OBJECT_NAME, else the statement"),
            ("outcome", "severity and SQLSTATE"),
            ("code", "`%e`, SQLSTATE"),
            ("rows", "pgaudit with `pgaudit.log_rows`"),
            ("duration", "message after `duration:`"),
            ("kind", "the message"),
        ],
        forgery: "Whole lines, by a line break in the user or database name, before any login. Such lines are marked and name no token. What stands near them is believed where it goes on with a session that was known before: the same process, user and database and, as far as the prefix has them, the client's port (`%r`), the session's id (`%c`) and the next number (`%l`). Without `%r` or `%l` whoever sees process, user and database of a session (`pg_stat_activity` shows them to all) can write lines as it; with them he must guess",
        ignored: "Messages of background processes and notices: kept as `other`; what Patroni writes between them",
        source: "<https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-LINE-PREFIX>",
    },
};

/// Reason on an act of a session that had not been authorised.
pub const UNAUTHORISED: &str = "the server had not authorised this session";
/// Reason on a record under another user than that of its session.
pub const OTHER_USER: &str = "this session belongs to another user";
/// Reason on a line that reads as two different records.
pub const AMBIGUOUS: &str = "the user name may hold the text of a record";

fn choose(sample: &[u8], options: &Options) -> (Prefix, usize, usize) {
    match &options.log_line_prefix {
        Some(text) => {
            let prefix = Prefix::compile(text);
            let (good, all) = prefix.score(sample);
            (prefix, good, all)
        }
        None => Prefix::detect(sample),
    }
}

fn sniff(sample: &[u8], options: &Options) -> Guess {
    let (prefix, good, all) = choose(sample, options);
    if good == 0 {
        return Guess::NO;
    }
    let most = match () {
        // Nearly anything can be taken for a prefix, also what a relay puts around lines.
        () if options.log_line_prefix.is_none() && !prefix.is_known() => usize::from(DOUBTED),
        () if prefix.tells_time() => 95,
        // Only within an envelope is there a time.
        () => 70,
    };
    Guess::new((most * good / all.max(1)) as u8, format!("{good} of the first {all} lines begin with log_line_prefix '{}'", prefix.text))
}

struct StderrLog {
    choice: Choice,
    /// The choice as it was at this record; final once `settled`.
    prefix: Arc<Prefix>,
    settled: bool,
    times: Timestamps,
    sessions: Sessions,
    recent: Recent,
}

impl StderrLog {
    fn new(choice: Choice, options: &Options) -> Self {
        let (prefix, settled) = (choice.prefix(), choice.settled());
        StderrLog {
            choice,
            prefix,
            settled,
            times: Timestamps::new(options.zone.clone()),
            sessions: Sessions::default(),
            recent: Recent::default(),
        }
    }

    /// Takes over the choice of the framer; without one, each record tells by itself.
    fn follow(&mut self, record: &[u8]) {
        if self.settled {
            return;
        }
        if !self.choice.framed() {
            self.choice.record(record);
        }
        (self.prefix, self.settled) = (self.choice.prefix(), self.choice.settled());
    }
}

/// The parts of a record after its prefix, TABs of continuations taken off.
#[derive(Default)]
struct Parts<'a> {
    message: &'a [u8],
    context: bool,
    detail: Option<&'a [u8]>,
    statement: Option<&'a [u8]>,
}

impl Decoder for StderrLog {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        self.follow(record.bytes);
        let first = record.bytes.get(..memchr::memchr(b'\n', record.bytes).unwrap_or(record.bytes.len())).unwrap_or_default();
        let hostile = record.suspect == Some(HOSTILE_NAME);
        let found = if hostile { hostile_match(&self.prefix, record.bytes) } else { self.prefix.find(first, 0) };
        let Some(found) = found else {
            if record.suspect.is_none() && patroni(first) {
                return Decoded::Skip("a line of patroni");
            }
            return Decoded::Reject(match record.suspect {
                Some(HOSTILE_NAME | FORGED) => "line torn by a forged name",
                _ if first.starts_with(b"\t") => "continuation without its record",
                _ => "line without the prefix",
            });
        };
        let Word::Primary(severity) = found.word else {
            if record.suspect.is_none() {
                self.mark(&found, &record);
            }
            return Decoded::Skip("secondary line without its record");
        };
        let Some(time) = self.time(&found, &record) else {
            return Decoded::Reject(if found.fields.time.is_some() {
                "unreadable time stamp"
            } else {
                "no time stamp, in the record or around it"
            });
        };
        let parts = if hostile {
            Parts { message: detab(record.bytes.get(found.message..).unwrap_or_default(), arena), ..Parts::default() }
        } else if first.len() == record.bytes.len() {
            Parts { message: first.get(found.message..).unwrap_or_default(), ..Parts::default() }
        } else {
            self.parts(record.bytes, found.message, arena)
        };
        Decoded::Event(self.event(&record, first, &found, severity, time, &parts, arena))
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(self.choice.save(), &self.sessions, &self.recent)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((chosen, sessions, recent)) = postcard::from_bytes::<(Chosen, Sessions, Recent)>(state) {
            self.choice.restore(&chosen);
            (self.prefix, self.settled) = (self.choice.prefix(), self.choice.settled());
            (self.sessions, self.recent) = (sessions, recent);
        }
    }
}

impl StderrLog {
    /// Without a time in the prefix the relay's is the only one.
    fn time(&mut self, found: &Match<'_>, record: &Record<'_>) -> Option<Time> {
        let Some(text) = found.fields.time else { return record.note.time };
        if found.fields.epoch { timestamp::epoch(text).ok() } else { self.times.parse(text).ok() }
    }

    #[allow(clippy::too_many_arguments)]
    fn event<'a>(
        &mut self,
        record: &Record<'a>,
        first: &'a [u8],
        found: &Match<'a>,
        severity: Severity,
        time: Time,
        parts: &Parts<'a>,
        arena: &'a Bump,
    ) -> Event<'a> {
        let line = &found.fields;
        // Through syslog the process stands before the record.
        let process = process(found, record);
        let known = process.and_then(|pid| self.sessions.get(pid));
        let (code, text) = code_and_message(line.code, parts.message);
        let text = english(text, arena);
        let (remote, port) = line.remote.map_or((None, None), peer);
        let kept = |text: Option<&Vec<u8>>| text.map(|t| &*arena.alloc_slice_copy(t));
        // A name may hold what the prefix puts between its fields (`a@b`): the session knows where it ends.
        let head = first.get(..found.at).unwrap_or_default();
        let (mut user, mut database) = (line.user, line.database);
        if let Some((known_user, known_database)) = known.filter(|s| s.established).and_then(|s| s.user.as_ref().zip(s.database.as_ref()))
            && (user.is_none() || (user != Some(known_user.as_slice()) && stand_in(head, known_user, known_database)))
        {
            (user, database) = (kept(Some(known_user)), kept(Some(known_database)));
        }
        let address = match remote {
            Some(address) => Some(address),
            None => kept(known.and_then(|s| s.address.as_ref())).and_then(Address::parse),
        };
        let mut fields = Fields {
            time,
            user,
            database,
            address,
            port: port.or_else(|| known.and_then(|s| s.port)),
            session: line.session.or_else(|| process.map(|pid| decimal(pid, arena))),
            application: line.application.or_else(|| kept(known.and_then(|s| s.application.as_ref()))),
            severity,
            code,
            message: text,
            context: parts.context,
            detail: parts.detail.map(|detail| english(detail, arena)),
            query: parts.statement,
            phase: match (line.tag, known) {
                (Some(tag), _) => phase(tag, b""),
                (None, Some(s)) if s.acted => Phase::Running,
                // Authorised, but the server may still turn it away: what it says tells.
                (None, Some(s)) if s.established => Phase::Unknown,
                (None, Some(s)) if s.received && self.sessions.authorisations => Phase::Authenticating,
                _ => Phase::Unknown,
            },
            truncated: record.truncated,
            suspect: None,
        };
        let authorisation = (severity == Severity::Log).then(|| authorized(text)).flatten();
        if let Some(rest) = authorisation {
            let (user, database) = authorised_names(rest);
            if line.user.is_none() || user.zip(database).is_some_and(|(u, d)| stand_in(head, u, d)) {
                (fields.user, fields.database) = (user, database);
            }
        }
        let mut event = message::event(&fields, arena);
        event.suspect =
            event.suspect.or_else(|| self.doubt(record, first, found, &event, fields.user, fields.database, authorisation.is_some()));
        if event.suspect.is_some() {
            if let Some(principal) = &mut event.principal {
                principal.provenance = Provenance::Claimed;
            }
            if authorisation.is_some()
                && let Some(session) = process.and_then(|pid| self.sessions.get_mut(pid)).filter(|s| !s.established)
            {
                // Perhaps it is authorised, perhaps not: later records stand for themselves.
                session.received = false;
            }
            return event;
        }
        if let Some(pid) = process {
            self.remember(pid, text, &fields, &event, authorisation);
            self.mark(found, record);
        }
        self.recent.settle(&mut event, text);
        event
    }

    /// Why this record may be the work of a client.
    #[allow(clippy::too_many_arguments)]
    fn doubt(
        &self,
        record: &Record<'_>,
        first: &[u8],
        found: &Match<'_>,
        event: &Event<'_>,
        user: Option<&[u8]>,
        database: Option<&[u8]>,
        authorisation: bool,
    ) -> Option<&'static str> {
        let known = process(found, record).and_then(|pid| self.sessions.get(pid));
        let vouched = known.is_some_and(|s| s.established && s.user.as_deref() == user && s.database.as_deref() == database);
        match record.suspect {
            // Who knows a session by its process and names does not know its port and how many lines it has written.
            Some(NEARBY) if vouched && !authorisation && known.is_some_and(|s| s.goes_on(marks(found))) => {}
            Some(reason) => return Some(reason),
            None => {}
        }
        let acts = matches!(event.kind, Kind::Query | Kind::Denied | Kind::Error | Kind::Logout);
        if acts && let Some(session) = known {
            if !session.established && session.received && self.sessions.authorisations {
                return Some(UNAUTHORISED);
            }
            if session.established && session.user.is_some() && session.user.as_deref() != user {
                return Some(OTHER_USER);
            }
        }
        // A client that was turned away can hold a whole record in its name, without any line end.
        if (acts || event.kind == Kind::Login) && !vouched && self.prefix.holds_client_text() {
            let second = self.prefix.find(first, found.at + 1);
            if second.is_some_and(|m| starts_up(m.word, first.get(m.message..).unwrap_or_default())) {
                return Some(AMBIGUOUS);
            }
            // Under a prefix that is perhaps not the server's the second record may not be seen as one.
            let mut rest = first.get(found.message..).unwrap_or_default();
            while !self.settled
                && let Some((word, at)) = Prefix::word_anywhere(rest)
            {
                rest = rest.get(at..).unwrap_or_default();
                if starts_up(word, rest) {
                    return Some(AMBIGUOUS);
                }
            }
        }
        None
    }

    /// Keeps what the next line of the session must agree with.
    fn mark(&mut self, found: &Match<'_>, record: &Record<'_>) {
        if let Some(session) = process(found, record).and_then(|pid| self.sessions.get_mut(pid)) {
            let ends = memchr::memchr_iter(b'\n', record.bytes);
            let more = ends.filter(|at| record.bytes.get(at + 1).is_some_and(|b| *b != b'\t')).count();
            session.follow(marks(found), more as u64 + 1);
        }
    }

    /// Keeps what later records of the session need.
    fn remember(&mut self, pid: u32, text: &[u8], fields: &Fields<'_>, event: &Event<'_>, authorisation: Option<&[u8]>) {
        let own = |text: Option<&[u8]>| text.map(<[u8]>::to_vec);
        if let Some(rest) = text.strip_prefix(b"connection received: host=") {
            if fields.severity != Severity::Log {
                return;
            }
            let (host, port) = match rest.seek_last(b" port=") {
                Some(at) => (rest.get(..at), rest.get(at + 6..).and_then(message::number).and_then(|p| u16::try_from(p).ok())),
                None => (Some(rest), None),
            };
            self.sessions.begin(pid, Session { address: own(host), port, received: true, ..Session::default() });
        } else if authorisation.is_some() && event.kind == Kind::Login {
            self.sessions.authorisations = true;
            if self.sessions.get(pid).is_none_or(|s| s.established) {
                self.sessions.begin(pid, Session::default());
            }
            if let Some(session) = self.sessions.get_mut(pid) {
                session.user = own(fields.user);
                session.database = own(fields.database);
                session.application = event.client.map(|c| c.to_vec());
                session.established = true;
            }
        } else if event.kind == Kind::Logout {
            self.sessions.end(pid);
        } else if matches!(event.kind, Kind::Query | Kind::Denied | Kind::Error) && fields.user.is_some() {
            match self.sessions.get_mut(pid) {
                None => {
                    let (user, database) = (own(fields.user), own(fields.database));
                    self.sessions.begin(pid, Session { user, database, established: true, acted: true, ..Session::default() });
                }
                Some(session) => {
                    if !session.established {
                        (session.user, session.database) = (own(fields.user), own(fields.database));
                    }
                    (session.established, session.acted) = (true, true);
                }
            }
        }
    }

    /// Message, context and statement of the record whose message begins at `from`.
    fn parts<'a>(&self, bytes: &'a [u8], from: usize, arena: &'a Bump) -> Parts<'a> {
        let mut parts = Parts::default();
        let (mut label, mut start) = (None, from);
        loop {
            let rest = bytes.get(start..).unwrap_or_default();
            let mut end = rest.len();
            for lf in memchr::memchr_iter(b'\n', rest) {
                if rest.get(lf + 1) != Some(&b'\t') {
                    end = lf;
                    break;
                }
            }
            let text = detab(rest.get(..end).unwrap_or_default(), arena);
            match label {
                None => parts.message = text,
                Some(Label::Context) => parts.context = true,
                Some(Label::Detail) => parts.detail = Some(text),
                Some(Label::Statement) => parts.statement = Some(text),
                Some(_) => {}
            }
            let next = start + end + 1;
            let Some(line) = bytes.get(next..).filter(|l| !l.is_empty()) else { return parts };
            let line = line.get(..memchr::memchr(b'\n', line).unwrap_or(line.len())).unwrap_or(line);
            let Some(found) = self.prefix.find(line, 0) else { return parts };
            let Word::Secondary(word) = found.word else { return parts };
            (label, start) = (Some(word), next + found.message);
        }
    }
}

/// What the prefix says that other clients do not see.
fn marks<'a>(found: &Match<'a>) -> Marks<'a> {
    Marks { port: found.fields.remote.and_then(|remote| peer(remote).1), id: found.fields.session, line: found.fields.line }
}

/// The server's process that wrote a line: also a session id tells it. Without one no record is of the session of another.
fn process(found: &Match<'_>, record: &Record<'_>) -> Option<u32> {
    let of_session = || {
        let hex = found.fields.session?.split(|b| *b == b'.').nth(1)?;
        u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    found.fields.pid.or_else(of_session).or(record.note.pid)
}

/// The number in digits.
fn decimal(number: u32, arena: &Bump) -> &[u8] {
    let (mut digits, mut rest, mut from) = ([0; 10], number, 10);
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        (*digit, rest, from) = (b'0' + (rest % 10) as u8, rest / 10, at);
        if rest == 0 {
            break;
        }
    }
    arena.alloc_slice_copy(digits.get(from..).unwrap_or_default())
}

/// Whether the prefix of a line holds both names.
fn stand_in(head: &[u8], user: &[u8], database: &[u8]) -> bool {
    !user.is_empty() && head.holds(user) && head.holds(database)
}

/// A record that can stand before the session runs.
fn starts_up(word: Word, message: &[u8]) -> bool {
    word != Word::Primary(Severity::Log)
        || authorizes(message)
        || message.starts_with(b"connection authenticated: ")
        || message.starts_with(b"could not ")
}

/// The match of a record whose name holds line ends: the one whose message repeats the name, else the last.
fn hostile_match<'a>(prefix: &Prefix, bytes: &'a [u8]) -> Option<Match<'a>> {
    let (mut best, mut after) = (None, 0);
    for _ in 0..64 {
        let Some(found) = prefix.find(bytes, after) else { break };
        after = found.at + 1;
        let message = || bytes.get(found.message..).unwrap_or_default().replace("\n\t", "\n");
        let repeats = |name: Option<&[u8]>| name.is_some_and(|n| n.contains(&b'\n') && message().holds(n));
        if matches!(found.word, Word::Primary(_)) {
            if repeats(found.fields.user) || repeats(found.fields.database) {
                return Some(found);
            }
            best = Some(found);
        }
    }
    best
}

/// `user=U database=D ...`, for prefixes that do not name the user.
fn authorised_names(rest: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let Some(rest) = rest.strip_prefix(b"user=") else { return (None, None) };
    let Some(at) = rest.seek(b" database=") else {
        return (rest.get(..rest.seek(b" application_name=").unwrap_or(rest.len())), None);
    };
    let database = rest.get(at + 10..).unwrap_or_default();
    let end = [&b" application_name="[..], b" SSL enabled (", b" GSS ("].iter().filter_map(|m| database.seek(m)).min();
    (rest.get(..at), database.get(..end.unwrap_or(database.len())))
}

/// `host(port)`, `host`, `[local]`.
fn peer(text: &[u8]) -> (Option<Address<'_>>, Option<u16>) {
    let Some(open) = memchr::memrchr(b'(', text) else { return (Address::parse(text), None) };
    let port = text.get(open + 1..text.len() - 1).and_then(message::number).and_then(|p| u16::try_from(p).ok());
    (Address::parse(text.get(..open).unwrap_or_default()), port)
}

/// SQLSTATE from the prefix, or from before the message (`log_error_verbosity = verbose`).
fn code_and_message<'a>(code: Option<&'a [u8]>, message: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    if let Some((state, rest)) = message.split_first_chunk::<5>()
        && let Some(rest) = rest.strip_prefix(b": ")
        && state.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        && state.iter().any(u8::is_ascii_digit)
    {
        return (code.unwrap_or(state), rest);
    }
    (code.unwrap_or_default(), message)
}

/// One TAB after each line end taken off.
fn detab<'a>(text: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if memchr::memchr(b'\n', text).is_none() {
        return text;
    }
    let mut out = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    let mut from = 0;
    for lf in memchr::memchr_iter(b'\n', text) {
        out.extend_from_slice_copy(text.get(from..=lf).unwrap_or_default());
        from = lf + 1 + usize::from(text.get(lf + 1) == Some(&b'\t'));
    }
    out.extend_from_slice_copy(text.get(from..).unwrap_or_default());
    out.into_bump_slice()
}
