//! PgBouncer's own log: who comes to the pooler, from where, and who is turned away.
//!
//! ```text
//! 2026-11-22 02:05:17.641 UTC [3394] LOG C-0x562376c014e0: shop/web@10.1.0.7:43866 login attempt: db=shop user=web tls=no
//! 2026-11-22 02:05:17.650 UTC [3394] LOG S-0x562376c063b0: shop/web@10.0.0.5:5432 new connection to server (from 10.0.0.9:44834)
//! 2026-11-22 02:05:19.350 UTC [3394] LOG C-0x562376c014e0: shop/web@10.1.0.7:43866 closing because: client close request (age=2s)
//! ```
//!
//! The attempt is logged before the client has proved anything, and success is not logged at all: every name is a claim, and no line is an act of
//! a token. What the log is good for is refusals, and the addresses behind a pooler. User and database are what the client sent; PgBouncer
//! replaces control characters in what it logs, so a line stays a line. <https://www.pgbouncer.org/config.html#log-settings>

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use crate::decoder::peer::peer;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::lines::Lines;

pub const FORMAT: Format = Format {
    name: "pgbouncer",
    about: "PgBouncer's log of clients that come and go",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(PgBouncer { times: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "PgBouncer 1.5 to 1.24",
        switch_on: "`log_connections = 1`, `log_disconnections = 1`, `log_pooler_errors = 1` in `pgbouncer.ini`",
        fields: &[
            ("time", "start of the line"),
            ("principal", "`user=` or `db/user@`; what the client sent, always claimed"),
            ("address", "after `@`; seen by the pooler"),
            ("port", "after `@`"),
            ("database", "`db=` or before `/`"),
            ("session", "`C-0x...`, the pooler's client"),
            ("outcome", "the reason for closing"),
            ("kind", "the message"),
        ],
        forgery: "A client chooses the names in its own lines; no name of this log is believed",
        ignored: "Start, settings, statistics and the server's side: kept as `other`. Successful logins and queries are not in this log: they are in the database's",
        source: "<https://www.pgbouncer.org/config.html#log-settings>",
    },
};

/// Parts of a reason for closing which say that the login was refused.
const REFUSED: [&str; 14] = [
    "auth failed",
    "authentication failed",
    "password authentication",
    "login failed",
    "no such user",
    "no such database",
    "no such role",
    "not allowed",
    "client_login_timeout",
    "does not exist",
    "SASL authentication",
    "bouncer config error",
    "invalid server parameter",
    "TLS required",
];

struct PgBouncer {
    times: Timestamps,
}

/// One line, taken apart.
struct Line<'a> {
    time: Time,
    /// `C-0x...` or `S-0x...`, with `db/user@address`.
    socket: Option<(&'a [u8], &'a [u8])>,
    text: &'a [u8],
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 50;
    let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..end)).unwrap_or(sample);
    let mut times = Timestamps::new(None);
    let (mut lines, mut read, mut sockets) = (0u32, 0u32, 0u32);
    for line in complete.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).take(LINES) {
        lines += 1;
        if let Some(line) = parse(line, &mut times) {
            read += 1;
            let start = line.text.starts_with(b"process up: ") || line.text.starts_with(b"stats: ");
            sockets += u32::from(
                line.socket.is_some() || start && line.text.contains_str("bouncer") || start && line.text.contains_str("xacts/s"),
            );
        }
    }
    if sockets == 0 || read * 2 < lines {
        return Guess::NO;
    }
    Guess::new(96, format!("{read} of {lines} lines are PgBouncer's, {sockets} of them about clients and servers"))
}

/// `TIME [PID] LEVEL [SOCKET: WHO ]TEXT`; the pid may stand without brackets.
fn parse<'a>(line: &'a [u8], times: &mut Timestamps) -> Option<Line<'a>> {
    let (time, used) = times.parse_prefix(line).ok()?;
    let rest = line.get(used..)?.trim_ascii_start();
    let (pid, rest) = rest.split_once_str(" ")?;
    let digits = pid.strip_prefix(b"[").and_then(|p| p.strip_suffix(b"]")).unwrap_or(pid);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (level, text) = rest.split_once_str(" ")?;
    if !matches!(level, b"LOG" | b"INFO" | b"NOISE" | b"DEBUG" | b"WARNING" | b"ERROR" | b"FATAL") {
        return None;
    }
    let socket = text.split_once_str(": ").filter(|(name, _)| {
        name.strip_prefix(b"C-").or_else(|| name.strip_prefix(b"S-")).is_some_and(|address| address.starts_with(b"0x") && address.len() > 2)
    });
    let Some((name, after)) = socket else { return Some(Line { time, socket: None, text }) };
    // The address holds no blank, the names may: `db/user@address text`, the first blank behind the last `@` before the text ends the address.
    let (who, text) = after.match_at()?;
    Some(Line { time, socket: Some((name, who)), text })
}

trait MatchAt {
    fn match_at(&self) -> Option<(&[u8], &[u8])>;
}

impl MatchAt for [u8] {
    /// Splits after `db/user@address`.
    fn match_at(&self) -> Option<(&[u8], &[u8])> {
        let mut from = 0;
        while let Some(at) = self.get(from..)?.find_byte(b'@') {
            let address = self.get(from + at + 1..)?;
            let end = address.find_byte(b' ').unwrap_or(address.len());
            let candidate = address.get(..end)?;
            if peer(candidate).1.is_some() || candidate.starts_with(b"unix") {
                let split = from + at + 1 + end;
                return Some((self.get(..split)?, self.get(split..)?.trim_ascii_start()));
            }
            from += at + 1;
        }
        None
    }
}

impl Decoder for PgBouncer {
    fn decode<'a>(&mut self, record: Record<'a>, _: &'a Bump) -> Decoded<'a> {
        let Some(line) = parse(record.bytes, &mut self.times) else { return Decoded::Reject("not a line of PgBouncer") };
        let mut event = Event::new(Kind::Other, line.time);
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        let Some((socket, who)) = line.socket else { return Decoded::Event(event) };
        event.session = Some(BStr::new(socket));
        let (names, address) = who.rsplit_once_str("@").unwrap_or((who, b""));
        // Names end at the first `/`: databases rarely hold one, and the line's own `db=` says it again.
        let (database, user) = names.split_once_str("/").unwrap_or((b"", names));
        event.database = named(database);
        if socket.starts_with(b"S-") {
            return Decoded::Event(event);
        }
        (event.address, event.port) = if address.starts_with(b"unix") { (Some(crate::event::Address::Local), None) } else { peer(address) };
        event.principal = named(user).map(|name| Principal { name, provenance: Provenance::Claimed });
        let reason = line.text.strip_prefix(b"closing because: ").or_else(|| line.text.strip_prefix(b"pooler error: "));
        if reason.is_some_and(|reason| REFUSED.iter().any(|refused| reason.contains_str(refused))) {
            event.kind = Kind::LoginFailed;
            event.operation = Some(Operation::Connect);
            event.outcome = Outcome::Denied;
        }
        Decoded::Event(event)
    }
}

/// `(nodb)` and `(nouser)` stand for what is not known yet.
fn named(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty() && !matches!(text, b"(nodb)" | b"(nouser)")).then(|| BStr::new(text))
}

#[cfg(test)]
mod tests {
    use super::FORMAT;
    use crate::decoder::testing::shown;

    #[test]
    fn lines_of_the_pooler() {
        for (line, want) in [
            (
                "2018-09-12 16:09:05.313 3394 LOG C-0x562376c014e0: shop/web@127.0.0.1:43866 login attempt: db=shop user=web tls=no",
                "Other web?@127.0.0.1:43866/shop | - | - | Unknown session=C-0x562376c014e0",
            ),
            (
                "2026-11-22 02:05:17.641 UTC [7] LOG C-0x55: shop/web@[2001:db8::7]:43866 closing because: password authentication failed (age=0s)",
                "LoginFailed web?@2001:db8::7:43866/shop | connect | - | Denied session=C-0x55",
            ),
            (
                "2026-11-22 02:05:17.641 UTC [7] WARNING C-0x55: (nodb)/(nouser)@10.1.1.1:43866 pooler error: no such user: x@y",
                "LoginFailed -@10.1.1.1:43866 | connect | - | Denied session=C-0x55",
            ),
            (
                "2026-11-22 02:05:17.641 UTC [7] LOG C-0x55: shop/a@b c@10.1.1.1:43866 closing because: client close request (age=3s)",
                "Other a@b c?@10.1.1.1:43866/shop | - | - | Unknown session=C-0x55",
            ),
            (
                "2026-11-22 02:05:17.641 UTC [7] LOG S-0x55: shop/web@10.0.0.5:5432 new connection to server (from 10.0.0.9:44834)",
                "Other -@-/shop | - | - | Unknown session=S-0x55",
            ),
            ("2026-11-22 02:05:17.641 UTC [7] LOG stats: 2 xacts/s, 3 queries/s", "Other -@- | - | - | Unknown"),
            ("nonsense", "rejected: not a line of PgBouncer"),
            ("2026-11-22 02:05:17.641 UTC [7] LOG C-0x55: no address", "rejected: not a line of PgBouncer"),
        ] {
            assert_eq!(shown(&FORMAT, line.as_bytes()), [want], "{line}");
        }
    }
}
