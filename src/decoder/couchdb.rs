//! CouchDB's log file, in which every request is a line.
//!
//! ```text
//! [notice] 2026-11-22T02:21:28.484001Z couchdb@10.0.0.5 <0.17607.12> e1fed412f8 db.example.org 10.1.0.7 billing GET /invoices/_all_docs?limit=5 200 ok 12
//! ```
//! host asked for, peer, user (`undefined` without one), method, path, status, how it ended, milliseconds. The journal gets it without level
//! and time, syslog without all that stands before the host. Version 1 had lines of its own, in which no user stands:
//!
//! ```text
//! [Sun, 22 Nov 2026 02:21:28 GMT] [info] [<0.123.0>] 10.1.0.7 - - GET /invoices/_all_docs 200
//! ```
//! <https://docs.couchdb.org/en/stable/config/logging.html>, `chttpd.erl` of <https://github.com/apache/couchdb>
//!
//! Nothing is escaped. The host is the client's own word and may hold blanks, so a line counts as sound only when it has exactly the words that
//! it should have. User names hold no colon, so none can hold a time stamp and begin a line; where lines have none, requests soon after one that
//! breaks off behind its peer are suspect. A database's administrator may log any text from its JavaScript (`log()`); so are requests after that.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "couchdb-log",
    about: "Apache CouchDB log file",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(Log::new(options))),
    guide: Guide {
        system: "CouchDB 1 to 3",
        switch_on: "`[log] writer = file` (or `journald`, `syslog`), `level = notice` (or lower; version 1: `info`) in `local.ini`",
        fields: &[
            ("time", "word 2, UTC; in the journal and in syslog the relay's"),
            ("principal", "the user; verified, absent where nobody logged in, and always in version 1"),
            ("address", "the peer; of clients in private networks what `X-Forwarded-For` says"),
            ("database", "the first part of the path"),
            ("operation", "method and path"),
            ("objects", "the database, or the server's endpoint"),
            ("outcome", "the status: 401 and 403 are denied"),
            ("code", "the status"),
            ("duration", "the last word, milliseconds; absent in version 1"),
            ("kind", "status and path"),
        ],
        forgery: "The host asked for (lines with too many words are marked and name no token); a database's administrator can write whole lines with `log()` in JavaScript: requests in the next 16 MiB after such a line name no token",
        ignored: "Lines that are no requests: kept as `other`; what messages have on further lines",
        source: "<https://docs.couchdb.org/en/stable/config/logging.html>",
    },
};

const LEVELS: [&[u8]; 8] = [b"debug", b"info", b"notice", b"warning", b"error", b"critical", b"alert", b"emergency"];

/// A line's head, and what it says.
struct Line<'a> {
    stamp: Stamp<'a>,
    message: &'a [u8],
}

enum Stamp<'a> {
    Own(&'a [u8]),
    /// `Sun, 22 Nov 2026 02:21:28 GMT` of version 1.
    First(&'a [u8]),
    /// The relay's, of a line that begins with the node, or with the message.
    Node,
    None,
}

/// `[level] time node pid id message`, `node pid id message` or `[date] [level] [pid] message`.
fn line(text: &[u8]) -> Option<Line<'_>> {
    let Some((first, rest)) = text.strip_prefix(b"[").and_then(|rest| rest.part("] ")) else {
        return Some(Line { stamp: Stamp::Node, message: named(text)? });
    };
    if LEVELS.contains(&first) {
        let (time, rest) = rest.part(" ")?;
        return time.contains(&b'T').then_some(Line { stamp: Stamp::Own(time), message: named(rest)? });
    }
    let (level, rest) = rest.strip_prefix(b"[")?.part("] ")?;
    let (pid, message) = rest.strip_prefix(b"[")?.part("] ")?;
    let sound = first.ends_with(b" GMT") && LEVELS.contains(&level) && is_process(pid);
    sound.then_some(Line { stamp: Stamp::First(first), message })
}

/// The message behind node, process and id.
fn named(text: &[u8]) -> Option<&[u8]> {
    let mut words = text.splitn_str(4, " ");
    let (node, pid, _id) = (words.next()?, words.next()?, words.next()?);
    (node.contains(&b'@') && is_process(pid)).then(|| words.next().unwrap_or_default())
}

/// `<0.88.0>`, or the virtual machine itself, which reports that a process has died.
fn is_process(word: &[u8]) -> bool {
    word.starts_with(b"<") && word.ends_with(b">") || word == b"emulator"
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 50;
    let lines = || sample.split_str("\n").filter(|text| !text.trim().is_empty()).take(LINES);
    let all = lines().count();
    let good = lines().filter(|text| line(text).is_some()).count();
    match good {
        // Without a head, as syslog has them.
        0 => match lines().filter(|text| request(text).is_some_and(|request| request.sound && is_peer(request.peer))).count() {
            bare if bare * 2 > all => Guess::new(80, format!("{bare} of {all} lines are requests as CouchDB writes them")),
            _ => Guess::NO,
        },
        _ if good * 2 >= all => Guess::new(94, format!("{good} of {all} lines are [level] time node <pid> id, as CouchDB writes them")),
        _ => Guess::new(45, format!("only {good} of {all} lines are CouchDB's")),
    }
}

/// A request's words behind the line's head.
struct Request<'a> {
    peer: &'a [u8],
    user: &'a [u8],
    method: &'a [u8],
    path: &'a [u8],
    status: &'a [u8],
    /// Empty in version 1.
    took: &'a [u8],
    /// It has the words that it should have, and no others.
    sound: bool,
}

/// Taken apart from the right, where nothing is the client's own: the path holds no blank.
fn request(message: &[u8]) -> Option<Request<'_>> {
    let mut words = message.rsplitn_str(6, " ");
    let (took, _end, status, path, method, who) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    if !is_number(took) || !sound(method, path, status) {
        return None;
    }
    let (before, user) = who.part_last(" ")?;
    let (host, peer) = before.part_last(" ")?;
    Some(Request { peer, user, method, path, status, took, sound: !host.contains(&b' ') })
}

/// A request of version 1: `10.1.0.7 - - GET /invoices 200`, or, before 1.2, `'GET'`.
fn first_request(message: &[u8]) -> Option<Request<'_>> {
    let mut words = message.rsplitn_str(4, " ");
    let (status, path, method, who) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let method = method.strip_prefix(b"'").and_then(|method| method.strip_suffix(b"'")).unwrap_or(method);
    let peer = who.strip_suffix(b" - -").filter(|peer| is_peer(peer))?;
    sound(method, path, status).then_some(Request { peer, user: b"", method, path, status, took: b"", sound: true })
}

fn sound(method: &[u8], path: &[u8], status: &[u8]) -> bool {
    let path = path.starts_with(b"/") || path == b"*";
    path && status.len() == 3 && is_number(status) && method.iter().all(u8::is_ascii_uppercase)
}

fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

fn is_peer(word: &[u8]) -> bool {
    matches!(Address::parse(word), Some(Address::Ip(_)))
}

/// Bytes after a text of JavaScript in which requests are suspect: the most that one call can have logged.
const DOUBT: u64 = 16 << 20;
/// Bytes after a request that breaks off behind its peer in which requests without a time of their own are.
const NEAR: u64 = 64 << 10;

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// A line was read, so lines that are none go on from it.
    begun: bool,
    /// Lines begin with the node, or with the message; the first line tells. Others that have no time go on from the one before.
    node: bool,
    bare: bool,
    doubt: u64,
    near: u64,
}

struct Log {
    stamps: Timestamps,
    state: State,
}

impl Log {
    fn new(options: &Options) -> Self {
        Log { stamps: Timestamps::new(options.zone.clone()), state: State::default() }
    }

    /// The line, if it is one by itself and does not go on from the one before.
    fn line<'a>(&self, record: Record<'a>) -> Option<Line<'a>> {
        let State { begun, node, bare, .. } = self.state;
        let timed = record.note.time.is_some();
        match line(record.bytes) {
            Some(line) if matches!(line.stamp, Stamp::Node) => (timed && (node || !begun)).then_some(line),
            Some(line) => Some(line),
            None => (timed && (bare || !begun)).then_some(Line { stamp: Stamp::None, message: record.bytes }),
        }
    }
}

impl Decoder for Log {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let len = record.bytes.len() as u64 + 1;
        self.state.doubt = self.state.doubt.saturating_sub(len);
        self.state.near = self.state.near.saturating_sub(len);
        let Some(line) = self.line(record) else {
            return match self.state.begun {
                true => Decoded::Skip("goes on from the line before"),
                false => Decoded::Reject("not a line of CouchDB's log"),
            };
        };
        let (time, request) = match line.stamp {
            Stamp::Own(stamp) => (self.stamps.parse(stamp).ok(), request(line.message)),
            Stamp::First(stamp) => (date(stamp), first_request(line.message)),
            Stamp::Node | Stamp::None => (record.note.time, request(line.message)),
        };
        let Some(time) = time else { return Decoded::Reject("unreadable time stamp") };
        if !self.state.begun {
            self.state.node = matches!(line.stamp, Stamp::Node);
            self.state.bare = matches!(line.stamp, Stamp::None);
        }
        self.state.begun = true;
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        if line.message.starts_with(b"OS Process ") && line.message.holds(" Log :: ") {
            self.state.doubt = DOUBT;
        } else if let Some(request) = request {
            if !request.sound {
                event.suspect = event.suspect.or(Some("more words than a request has: the host that the client asked for holds blanks"));
            }
            if self.state.doubt > 0 {
                event.suspect = event.suspect.or(Some("text that JavaScript logged came shortly before"));
            }
            if self.state.near > 0 && matches!(line.stamp, Stamp::Node | Stamp::None) {
                event.suspect = event.suspect.or(Some("a request broke off shortly before: the user's name may hold a line end"));
            }
            fill(&mut event, &request, arena);
        } else if line.message.split(|b| *b == b' ').any(is_peer) {
            self.state.near = NEAR;
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

/// `Sun, 22 Nov 2026 02:21:28 GMT`.
fn date(stamp: &[u8]) -> Option<Time> {
    let zoned = jiff::fmt::rfc2822::parse(stamp.to_str().ok()?).ok()?;
    Some(Time(zoned.timestamp().as_microsecond()))
}

fn fill<'a>(event: &mut Event<'a>, request: &Request<'a>, arena: &'a Bump) {
    let user = Some(request.user).filter(|user| !matches!(*user, b"undefined" | b"null" | b""));
    let path = request.path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let mut parts = path.split_str("/").skip(1).filter(|part| !part.is_empty());
    let (first, second) = (parts.next(), parts.next());
    let operation = operation(request.method, first, second, parts.next().is_some_and(|part| part == b"_view") || path.holds("/_view/"));
    let login = operation == Operation::Connect;
    event.operation = Some(operation);
    (event.kind, event.outcome) = match (request.status.first(), request.status) {
        (_, b"401") if user.is_none() || login => (Kind::LoginFailed, Outcome::Denied),
        (_, b"401" | b"403") => (Kind::Denied, Outcome::Denied),
        (Some(b'4' | b'5'), _) => (Kind::Error, Outcome::Error),
        _ if login => (Kind::Login, Outcome::Success),
        _ => (Kind::Query, Outcome::Success),
    };
    event.code = (event.outcome != Outcome::Success).then_some(BStr::new(request.status));
    if !login {
        event.objects = arena.alloc_slice_copy(&[BStr::new(first.unwrap_or(b"/"))]);
        event.database = first.filter(|name| !name.starts_with(b"_") || matches!(*name, b"_users" | b"_replicator")).map(BStr::new);
    }
    if request.sound {
        event.address = Address::parse(request.peer).filter(|address| !matches!(address, Address::Name(_)));
    }
    let took = std::str::from_utf8(request.took).ok().and_then(|text| text.parse::<u64>().ok());
    event.duration_us = took.and_then(|ms| ms.checked_mul(1_000));
    let claimed = event.kind == Kind::LoginFailed || event.suspect.is_some();
    let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = user.map(|name| Principal { name: BStr::new(name), provenance });
}

/// What a request does, by its method and the first two parts of its path.
fn operation(method: &[u8], first: Option<&[u8]>, second: Option<&[u8]>, view: bool) -> Operation {
    let server = first.is_none_or(|name| name.starts_with(b"_") && name != b"_users" && name != b"_replicator");
    match (method, first, second) {
        (b"POST", Some(b"_session"), _) => Operation::Connect,
        (b"GET" | b"HEAD" | b"OPTIONS", ..) if server => Operation::Show,
        (b"GET" | b"HEAD", ..) => Operation::Select,
        (b"POST", Some(b"_replicate"), _) => Operation::Copy,
        (b"POST", _, Some(b"_find" | b"_all_docs" | b"_bulk_get" | b"_changes" | b"_explain" | b"_search" | b"_design_docs")) => {
            Operation::Select
        }
        (b"POST", ..) if view => Operation::Select,
        (b"PUT", _, Some(b"_security")) => Operation::Grant,
        (b"PUT" | b"POST", ..) if server => Operation::Alter,
        (b"PUT", _, None) => Operation::Create,
        (b"POST", _, None) => Operation::Insert,
        (b"POST", _, Some(b"_bulk_docs")) | (b"PUT", ..) => Operation::Update,
        (b"COPY", ..) => Operation::Insert,
        (b"DELETE", _, None) if !server => Operation::Drop,
        (b"DELETE", ..) => Operation::Delete,
        _ => Operation::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[notice] 2026-11-22T02:21:28.484001Z couchdb@10.0.0.5 <0.17607.12> e1fed412f8 ";

    fn show(records: &[&str]) -> Vec<String> {
        let (mut log, arena) = (Log::new(&Options::default()), Bump::new());
        let one = |record: &&str| match log.decode(Record::new(record.as_bytes()), &arena) {
            Decoded::Event(e) => format!(
                "{:?} {} {} {:?} {:?} {:?} {:?} {}",
                e.kind,
                e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
                e.address.map_or("-".to_owned(), |a| format!("{a}")),
                e.operation,
                e.objects,
                e.code,
                e.duration_us,
                if e.suspect.is_some() { "suspect" } else { "sound" }
            ),
            Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
        };
        records.iter().map(one).collect()
    }

    fn check(rest: &str, want: &str) {
        assert_eq!(show(&[&format!("{HEAD}{rest}")]), [want], "{rest}");
    }

    #[test]
    fn requests() {
        check(
            "h 10.1.0.7 billing GET /invoices/a?x=1 200 ok 12",
            "Query billing Authenticated 10.1.0.7 Some(Select) [\"invoices\"] None Some(12000) sound",
        );
        check(
            "h 10.1.0.7 undefined GET /_all_dbs 401 ok 1",
            "LoginFailed - 10.1.0.7 Some(Show) [\"_all_dbs\"] Some(\"401\") Some(1000) sound",
        );
        check(
            "h 10.1.0.7 billing DELETE /invoices 403 ok 1",
            "Denied billing Authenticated 10.1.0.7 Some(Drop) [\"invoices\"] Some(\"403\") Some(1000) sound",
        );
        check("h 10.1.0.7 undefined POST /_session 200 ok 1", "Login - 10.1.0.7 Some(Connect) [] None Some(1000) sound");
        check("h 10.1.0.7 billing PUT /new 201 ok 1", "Query billing Authenticated 10.1.0.7 Some(Create) [\"new\"] None Some(1000) sound");
        check(
            "h 10.1.0.7 billing POST /i/_find 500 ok 1",
            "Error billing Authenticated 10.1.0.7 Some(Select) [\"i\"] Some(\"500\") Some(1000) sound",
        );
        check("chttpd_auth_cache changes listener died", "Other - - None [] None None sound");
        assert!(line(b"[error] 2026-11-22T02:21:28.484Z a@b emulator -------- Error in process <0.17.0>").is_some());
    }

    #[test]
    fn the_first_version() {
        let head = "[Sun, 22 Nov 2026 02:21:28 GMT] [info] [<0.123.0>] ";
        for (rest, want) in [
            ("10.1.0.7 - - GET /invoices/a?x=1 200", "Query - 10.1.0.7 Some(Select) [\"invoices\"] None None sound"),
            ("10.1.0.7 - - 'PUT' /invoices 401", "LoginFailed - 10.1.0.7 Some(Create) [\"invoices\"] Some(\"401\") None sound"),
            ("checkpointing view update", "Other - - None [] None None sound"),
        ] {
            assert_eq!(show(&[&format!("{head}{rest}")]), [want], "{rest}");
        }
        let time = date(b"Sun, 22 Nov 2026 02:21:28 GMT").map(|time| time.to_string());
        assert_eq!(time.as_deref(), Some("2026-11-22T02:21:28Z"));
    }

    /// The journal keeps level and time for itself, syslog all that stands before the host.
    #[test]
    fn without_a_head() {
        let relayed = |texts: &[&str]| -> Vec<String> {
            let (mut log, arena) = (Log::new(&Options::default()), Bump::new());
            let one = |text: &&str| {
                let mut record = Record::new(text.as_bytes());
                record.note.time = Some(Time(0));
                match log.decode(record, &arena) {
                    Decoded::Event(event) => format!("{:?} {}", event.kind, if event.suspect.is_some() { "suspect" } else { "sound" }),
                    other => format!("{other:?}"),
                }
            };
            texts.iter().map(one).collect()
        };
        let request = "h 10.1.0.7 billing GET /invoices 200 ok 1";
        let node = format!("couchdb@10.0.0.5 <0.17607.12> e1fed412f8 {request}");
        let timed = format!("{HEAD}{request}");
        let broken = "couchdb@10.0.0.5 <0.17607.12> e1fed412f8 h 10.1.0.9 x";
        let goes_on = "Skip(\"goes on from the line before\")";
        assert_eq!(relayed(&[request, "more", request]), ["Query sound", "Other sound", "Query sound"]);
        assert_eq!(relayed(&["h 10.1.0.9 x", request]), ["Other sound", "Query suspect"]);
        assert_eq!(relayed(&[&node, request, &node]), ["Query sound", goes_on, "Query sound"]);
        assert_eq!(relayed(&[broken, &node]), ["Other sound", "Query suspect"]);
        assert_eq!(relayed(&[&timed, request, &node, &timed]), ["Query sound", goes_on, goes_on, "Query sound"]);
        let guess = |text: &str| sniff(text.as_bytes(), &Options::default()).certainty;
        assert_eq!((guess(request), guess(&node), guess("h h billing GET /invoices 200 ok 1")), (80, 94, 0));
    }

    #[test]
    fn hosts_with_blanks_name_nobody() {
        for host in ["x 6.6.6.6 admin GET /secret 200 ok 1", "a b", " ", "h 6.6.6.6 admin"] {
            let rest = format!("{host} 10.1.0.7 billing GET /i 200 ok 1");
            check(&rest, "Query billing Claimed - Some(Select) [\"i\"] None Some(1000) suspect");
        }
    }

    #[test]
    fn what_javascript_logs_is_doubted() {
        let js = "[info] 2026-11-22T02:21:28.484001Z couchdb@10.0.0.5 <0.17607.12> -------- OS Process #Port<0.10> Log :: x";
        let forged = format!("{HEAD}h 6.6.6.6 admin GET /i 200 ok 1");
        let got = show(&[js, "more", &forged]);
        assert_eq!(got[1], "goes on from the line before");
        assert!(got[2].ends_with("suspect") && got[2].contains("admin Claimed"), "{got:?}");
        assert_eq!(show(&["x"]), ["not a line of CouchDB's log"]);
        assert_eq!(show(&["[notice] 2026-T n@h <0> x y"]), ["unreadable time stamp"]);
    }
}
