//! PgBouncer's log: who came to the pooler, from where.
//!
//! ```text
//! 2026-11-27 11:20:01.355 UTC [812] LOG C-0x55d0c1a2e8f0: appdb/tok_web@10.1.0.7:40112 login attempt: db=appdb user=tok_web tls=no
//! 2026-11-27 11:20:09.101 UTC [812] LOG C-0x55d0c1a2e8f0: appdb/tok_web@10.1.0.7:40112 closing because: client close request (age=8s)
//! 2026-11-27 11:20:01.360 UTC [812] LOG S-0x55d0c1a30b10: appdb/tok_web@10.0.0.2:5432 new connection to server (from 10.0.0.1:51822)
//! ```
//!
//! A login attempt is logged before the password is asked for, so its names are claimed. PgBouncer takes a client's request to close
//! only from one that has logged in: then they are verified. Line ends in names become a line end and a TAB, so no client
//! writes a line of its own; but names are not quoted, and a line that can be read in two ways names no token. PostgreSQL's own log
//! shows the address and port after `from` in place of the client's. See <https://www.pgbouncer.org/config.html#log-settings>.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::message;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::joined::{Grammar, Joined};
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "pgbouncer",
    about: "PgBouncer's log: clients of the pooler and its connections to PostgreSQL",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Joined::<Head>::new()), Box::new(Log { times: Timestamps::new(options.zone.clone()), refused: None })),
    guide: Guide {
        system: "PgBouncer 1.5 to 1.24",
        switch_on: "`log_connections = 1`, `log_disconnections = 1` and `log_pooler_errors = 1`, which are the defaults, with `logfile` or `syslog = 1`",
        fields: &[
            ("time", "head of the line, else the relay's"),
            ("principal", "`db/USER@`; claimed at a login attempt, verified once the client closes an established session"),
            ("address", "`@ADDRESS:port` of client lines, `from ADDRESS:port` of server lines; seen by PgBouncer"),
            ("port", "as the address"),
            ("database", "`DB/user@`, the name in PgBouncer"),
            ("session", "`C-0x...`, `S-0x...`"),
            ("operation", "`connect` of a login attempt"),
            ("outcome", "the message"),
            ("kind", "the message"),
        ],
        forgery: "No line of another: line ends in names are followed by a TAB. A name can hold what looks like an address and a message; such lines are marked and name no token",
        ignored: "Statistics, start and stop, the pooler's own connections, and the second line of a refusal: kept as `other`. PgBouncer logs no statements",
        source: "<https://www.pgbouncer.org/config.html#log-settings>",
    },
};

/// Reason on a line that reads as two different ones.
const AMBIGUOUS: &str = "a name in this line may hold an address and a message";

/// Words that follow process and time.
const LEVELS: [&[u8]; 8] = [b"LOG", b"WARNING", b"ERROR", b"FATAL", b"DEBUG", b"NOISE", b"INFO", b"STATS"];

/// Lines of a sample that are tried.
const TRIED: usize = 200;

fn sniff(sample: &[u8], options: &Options) -> Guess {
    let mut times = Timestamps::new(options.zone.clone());
    let (mut good, mut all, mut own) = (0usize, 0usize, false);
    for line in sample.lines().filter(|l| !l.is_empty() && !l.starts_with(b"\t")).take(TRIED) {
        all += 1;
        let Some((_, text)) = head(line, &mut times) else {
            good += usize::from(peer(line).is_some());
            own |= peer(line).is_some();
            continue;
        };
        good += 1;
        own |= peer(text).is_some()
            || [&b"process up: "[..], b"stats: ", b"listening on ", b"kernel file descriptor limit"].iter().any(|s| text.starts_with(s));
    }
    if !own || good == 0 {
        return Guess::NO;
    }
    Guess::new((96 * good / all.max(1)) as u8, format!("{good} of the first {all} lines have PgBouncer's form"))
}

/// Lines that begin with a TAB go on with the message before.
#[derive(Default, Serialize, Deserialize)]
struct Head;

impl Grammar for Head {
    const LOOK: usize = 1;

    fn head(line: &[u8]) -> bool {
        !line.starts_with(b"\t")
    }

    fn begin(&mut self, _line: &[u8]) {}

    fn more(&mut self, _line: &[u8]) {}

    fn whole(&self) -> bool {
        true
    }
}

struct Log {
    times: Timestamps,
    /// Who was refused by the line before, and whether that was why the connection closed: the same is told as what the client was told.
    refused: Option<(Vec<u8>, bool)>,
}

/// One client or server, as its lines begin: `C-0xPOINTER: DB/USER@ADDRESS:PORT `.
#[derive(Debug, Clone, Copy)]
struct Peer<'a> {
    session: &'a [u8],
    server: bool,
    /// `DB/USER`.
    names: &'a [u8],
    address: Option<Address<'a>>,
    port: Option<u16>,
    message: &'a [u8],
    /// The line can be read in another way.
    ambiguous: bool,
}

impl Decoder for Log {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let bytes = if record.bytes.contains(&b'\n') { arena.alloc_slice_copy(&record.bytes.replace("\n\t", "\n")) } else { record.bytes };
        let (time, text) = match head(bytes, &mut self.times) {
            Some((time, text)) => (time, text),
            // Through syslog a line has neither time nor level.
            None => match record.note.time {
                Some(time) => (time, bytes),
                None => return Decoded::Reject("not a line of pgbouncer"),
            },
        };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        let before = self.refused.take();
        if let Some(peer) = peer(text) {
            describe(&peer, &mut event);
            if event.kind == Kind::LoginFailed {
                let whom = text.strip_suffix(peer.message).unwrap_or(text);
                let closing = peer.message.starts_with(CLOSING);
                match before.is_some_and(|(other, closed)| other == whom && closed != closing) {
                    true => event.kind = Kind::Other,
                    false => self.refused = Some((whom.to_vec(), closing)),
                }
            }
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.refused.as_ref().and_then(|refused| postcard::to_stdvec(refused).ok()).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        self.refused = postcard::from_bytes(state).ok();
    }
}

/// What the line says that tells why a connection closed.
const CLOSING: &[u8] = b"closing because: ";

fn describe<'a>(peer: &Peer<'a>, event: &mut Event<'a>) {
    event.session = Some(BStr::new(peer.session));
    let message = peer.message;
    let mut verified = false;
    if peer.server {
        // The client's side of this connection is PgBouncer itself.
        if let Some(from) = message.strip_prefix(b"new connection to server (from ").and_then(|m| m.strip_suffix(b")")) {
            (event.address, event.port) = host_and_port(from).unwrap_or_default();
        }
    } else {
        (event.address, event.port) = (peer.address, peer.port);
        let closing = message.strip_prefix(CLOSING);
        if message.starts_with(b"login attempt: ") {
            event.operation = Some(Operation::Connect);
        } else if closing.is_some_and(|reason| reason.starts_with(b"client close request")) {
            event.kind = Kind::Logout;
            verified = true;
        } else if turned_away(closing.or_else(|| message.strip_prefix(b"pooler error: ")).unwrap_or(message)) {
            event.kind = Kind::LoginFailed;
            event.outcome = Outcome::Denied;
        }
    }
    let attempt = message.strip_prefix(b"login attempt: ").and_then(attempted);
    // An unknown database has no name yet.
    let fits = |(database, user): &(&[u8], &[u8])| {
        let database = if peer.names.starts_with(b"(nodb)/") { b"(nodb)" } else { *database };
        peer.names == [database, *user].join(&b'/')
    };
    let pair = match attempt.filter(fits) {
        Some(pair) => Some(pair),
        None => peer.names.part("/").filter(|(_, user)| !user.contains(&b'/')),
    };
    if peer.ambiguous || (pair.is_none() && !peer.names.is_empty()) {
        event.suspect = event.suspect.or(Some(AMBIGUOUS));
    }
    let Some((database, user)) = pair else { return };
    event.database = Some(database).filter(|d| !d.is_empty() && *d != b"(nodb)").map(BStr::new);
    let provenance = if verified && event.suspect.is_none() { Provenance::Authenticated } else { Provenance::Claimed };
    event.principal = Some(user).filter(|u| !u.is_empty() && *u != b"(nouser)").map(|name| Principal { name: BStr::new(name), provenance });
}

/// Reasons for which somebody is turned away before the login is complete.
fn turned_away(reason: &[u8]) -> bool {
    let starts: [&[u8]; 14] = [
        b"password authentication failed",
        b"SASL authentication failed",
        b"auth failed",
        b"login failed",
        b"login rejected",
        b"no such user",
        b"no such database",
        b"bouncer config error",
        b"TLS certificate name mismatch",
        b"certificate authentication failed",
        b"unix socket login rejected",
        b"client_login_timeout",
        b"no more connections allowed",
        b"not allowed",
    ];
    starts.iter().any(|start| reason.starts_with(start))
}

/// Database and user of `db=D user=U tls=T`.
fn attempted(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (names, _tls) = rest.strip_prefix(b"db=")?.part_last(" tls=")?;
    names.part(" user=")
}

/// Time and text of `TIME [ZONE] [PID] LEVEL text`, or with a bare process id.
fn head<'a>(line: &'a [u8], times: &mut Timestamps) -> Option<(Time, &'a [u8])> {
    let (time, used) = times.parse_prefix(line).ok()?;
    let (pid, rest) = line.get(used..)?.strip_prefix(b" ")?.part(" ")?;
    let pid = pid.strip_prefix(b"[").and_then(|p| p.strip_suffix(b"]")).unwrap_or(pid);
    message::number(pid)?;
    let (level, text) = rest.part(" ")?;
    LEVELS.contains(&level).then_some((time, text))
}

/// Splits the text of a line about one client or server; `None`: it is about none.
fn peer(text: &[u8]) -> Option<Peer<'_>> {
    let server = match text.get(..4)? {
        b"C-0x" => false,
        b"S-0x" => true,
        _ => return None,
    };
    let (session, rest) = text.part(": ")?;
    if !session.iter().skip(4).all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut found: Option<Peer<'_>> = None;
    for at in memchr::memchr_iter(b'@', rest) {
        let Some((place, message)) = rest.get(at + 1..).and_then(|r| r.part(" ")) else { continue };
        let Some((address, port)) = host_and_port(place) else { continue };
        match &mut found {
            Some(first) => first.ambiguous = true,
            None => {
                let names = rest.get(..at).unwrap_or_default();
                found = Some(Peer { session, server, names, address, port, message, ambiguous: false });
            }
        }
    }
    found
}

/// `10.1.0.7:40112`, `[::1]:40112`, `unix:6432`, `unix(812):6432`; nothing else.
fn host_and_port(place: &[u8]) -> Option<(Option<Address<'_>>, Option<u16>)> {
    let (host, port) = place.part_last(":")?;
    let port = message::number(port).and_then(|p| u16::try_from(p).ok())?;
    if host == b"unix" || (host.starts_with(b"unix(") && host.ends_with(b")")) {
        return Some((Some(Address::Local), None));
    }
    let host = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]")).unwrap_or(host);
    match Address::parse(host) {
        Some(address @ Address::Ip(_)) => Some((Some(address), Some(port))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::detect;
    use crate::decoder::testing::shown;

    const HEAD: &str = "2026-11-27 11:20:01.355 UTC [812] ";

    #[test]
    fn lines() {
        for (line, want) in [
            (
                "LOG C-0x55d0: appdb/u@10.1.0.7:40112 login attempt: db=appdb user=u tls=no",
                "Other u?@10.1.0.7:40112/appdb | connect | - | Unknown session=C-0x55d0",
            ),
            (
                "LOG C-0x55d0: appdb/u@[::1]:40112 closing because: client close request (age=8s)",
                "Logout u@::1:40112/appdb | - | - | Unknown session=C-0x55d0",
            ),
            (
                "LOG C-0x55d0: appdb/u@unix(77):6432 closing because: client unexpected eof (age=8s)",
                "Other u?@local/appdb | - | - | Unknown session=C-0x55d0",
            ),
            (
                "WARNING C-0x55d0: appdb/u@10.1.0.7:40112 pooler error: password authentication failed",
                "LoginFailed u?@10.1.0.7:40112/appdb | - | - | Denied session=C-0x55d0",
            ),
            (
                "LOG C-0x55d0: (nodb)/(nouser)@10.1.0.7:40112 closing because: client_login_timeout (age=60s)",
                "LoginFailed -@10.1.0.7:40112 | - | - | Denied session=C-0x55d0",
            ),
            (
                "LOG S-0x55d1: appdb/u@10.0.0.2:5432 new connection to server (from 10.0.0.1:51822)",
                "Other u?@10.0.0.1:51822/appdb | - | - | Unknown session=S-0x55d1",
            ),
            (
                "LOG C-0x1: d/x@10.9.9.9:1 closing because: client close request (age=1s)@10.1.0.7:5 login attempt: db=d user=x tls=no",
                "Logout x?@10.9.9.9:1/d | - | - | Unknown session=C-0x1 SUSPECT",
            ),
            (
                "LOG C-0x1: a/b/c@10.1.0.7:5 closing because: client close request (age=1s)",
                "Logout -@10.1.0.7:5 | - | - | Unknown session=C-0x1 SUSPECT",
            ),
            (
                "LOG C-0x1: a/b/c@10.1.0.7:5 login attempt: db=a/b user=c tls=no",
                "Other c?@10.1.0.7:5/a/b | connect | - | Unknown session=C-0x1",
            ),
            (
                "LOG C-0x1: (nodb)/no\n\tbody@10.1.0.7:5 login attempt: db=d\n\tb user=no\n\tbody tls=no",
                "Other no\nbody?@10.1.0.7:5/d\nb | connect | - | Unknown session=C-0x1",
            ),
            ("LOG process up: PgBouncer 1.18.0, libevent 2.1.12-stable (epoll)", "Other -@- | - | - | Unknown"),
            ("SOMETHING else", "rejected: not a line of pgbouncer"),
        ] {
            assert_eq!(shown(&FORMAT, format!("{HEAD}{line}\n").as_bytes()), [want], "{line}");
        }
    }

    #[test]
    fn older_heads_and_lines_without_one() {
        let line = "2026-11-27 11:20:01.355 812 LOG C-0x5: a/u@10.1.0.7:5 closing because: client close request (age=8s)\n";
        assert_eq!(shown(&FORMAT, line.as_bytes()), ["Logout u@10.1.0.7:5/a | - | - | Unknown session=C-0x5"]);
        assert_eq!(detect(line.as_bytes(), &Options::default()).map(|(f, _)| f.name), Some("pgbouncer"));
        assert_eq!(shown(&FORMAT, b"C-0x5: a/u@10.1.0.7:5 login attempt: db=a user=u tls=no\n"), ["rejected: not a line of pgbouncer"]);
    }

    #[test]
    fn forged_names_never_name_a_token() {
        // Names built of all that a line is made of: whatever they are, only a client that closes names a token, and then the right one.
        let parts =
            ["x", "/", "@10.9.9.9:1", " ", "closing because: client close request (age=1s)", "\u{1}", "login attempt: db=d user=x tls=no"];
        let mut seed = 7u32;
        for _ in 0..5_000 {
            let mut name = |most: u32| {
                (0..=most)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        parts[(seed >> 8) as usize % parts.len()]
                    })
                    .collect::<String>()
            };
            let (database, user) = (name(3), name(5));
            let line = format!("{HEAD}LOG C-0x5: {database}/{user}@10.1.0.7:5 closing because: client close request (age=8s)\n");
            let [shown] = <[String; 1]>::try_from(shown(&FORMAT, line.as_bytes())).expect("one record");
            let honest = format!("Logout {user}@10.1.0.7:5/{database} | - | - | Unknown session=C-0x5");
            assert!(shown == honest || shown.contains("SUSPECT") || shown.contains("-@"), "{line}{shown}");
        }
    }
}
