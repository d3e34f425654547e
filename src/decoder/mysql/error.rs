//! The error log of MySQL, Percona Server and MariaDB, for the logins that it refuses.
//!
//! ```text
//! 2026-11-22T02:21:30.123456Z 60 [Note] [MY-010926] [Server] Access denied for user 'nobody'@'10.0.0.9' (using password: YES)
//! 2026-11-22  2:21:30 60 [Warning] Access denied for user 'nobody'@'10.0.0.9' (using password: YES)      (MariaDB; MySQL 5.6)
//! 261122  2:21:30 [Warning] Access denied for user 'nobody'@'10.0.0.9' (using password: YES)             (MySQL 5.5)
//! { "prio" : 3, "err_code" : 10926, "msg" : "Access denied ...", "time" : "2026-11-22T02:21:30.123456Z", "thread" : 60, ... }   (log_sink_json)
//! ```
//! <https://dev.mysql.com/doc/refman/8.4/en/error-log-format.html>, <https://mariadb.com/kb/en/error-log/>
//!
//! The name in a refused login is what the client sent, line ends and all, so that anybody who reaches the port can write
//! lines. [`refusal`] finds where such a name ends. What a name pretends beyond that is at most another refused login, and those name
//! nobody: their user is claimed. All else in this log is [`Kind::Other`].

use std::borrow::Cow;

use bstr::BStr;
use bumpalo::Bump;
use serde::Deserialize;

use super::{banner, head, refusal, some, stamp};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;
use crate::framing::{Frame, Framed, Framer, More};

pub const FORMAT: Format = Format {
    name: "mysql-error",
    about: "error log of MySQL, Percona Server and MariaDB: refused logins",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Errors::default()), Box::new(Log { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "MySQL 5.0 to 9, Percona Server, MariaDB 5.5 to 12",
        switch_on: "`log_error_verbosity = 3` (MySQL from 5.7 on), `log_warnings = 2` (MySQL up to 5.6, MariaDB)",
        fields: &[
            ("time", "the stamp; the server's local time in MariaDB and MySQL up to 5.6"),
            ("principal", "the name in a refused login or aborted connection; claimed"),
            ("address", "the host in a refused login or aborted connection; a name where the server resolves names"),
            ("database", "aborted connections, logins refused for a database"),
            ("session", "the number behind the stamp"),
            ("outcome", "refused logins only"),
            ("code", "of refused logins, by their text: 1045, 1044, 1698, 3118"),
            ("kind", "refused logins, else `other`"),
        ],
        forgery: "Lines, by line ends in the user name of a refused login. Such a name is one record and marked; nothing in this log names a token",
        ignored: "All but refused logins is `other`; lines without a time stamp are skipped",
        source: "<https://dev.mysql.com/doc/refman/8.4/en/error-log-format.html>, <https://mariadb.com/kb/en/error-log/>",
    },
};

/// What a line says behind its stamp, if it is of an error log.
fn said(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, len) = stamp::form(line)?;
    let rest = line.get(len..)?;
    let text = rest.trim_ascii_start();
    (text.len() < rest.len() && text.first().is_some_and(|b| !b.is_ascii_punctuation() || *b == b'[')).then_some((line.get(..len)?, text))
}

/// An entry of MySQL 8's log as JSON.
#[derive(Deserialize)]
struct Sunk<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    msg: Cow<'a, str>,
    #[serde(default)]
    thread: Option<u64>,
    /// Only such entries have one.
    #[allow(dead_code)]
    err_code: u64,
}

fn sunk(line: &[u8]) -> Option<Sunk<'_>> {
    if !line.starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(line).ok()
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let (mut lines, mut read) = (0, 0);
    if sample.split(|b| *b == b'\n').find(|line| !line.is_empty()).is_some_and(|line| sunk(line).is_some()) {
        return Guess::new(96, "objects with the err_code, msg and time of MySQL's error log");
    }
    for line in sample.split(|b| *b == b'\n').filter(|l| !l.is_empty()).take(200) {
        lines += 1;
        let Some((_, text)) = said(line) else { continue };
        let text = unnumbered(text);
        let words: [&[u8]; 9] = [
            b"[Note]",
            b"[Warning]",
            b"[ERROR]",
            b"[System]",
            b"mysqld_safe ",
            b"mysqld ended",
            b"InnoDB: ",
            b"Access denied for user '",
            b"mysqld started",
        ];
        read += usize::from(words.iter().any(|word| text.starts_with(word)));
    }
    match read {
        0 => Guess::NO,
        _ if read * 3 >= lines => Guess::new(96, format!("{read} of {lines} lines are time, number, [Note], [Warning] or [ERROR]")),
        _ => Guess::new(35, format!("only {read} of {lines} lines are of an error log")),
    }
}

/// What follows the number of a thread.
fn unnumbered(text: &[u8]) -> &[u8] {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.get(digits..).unwrap_or_default().trim_ascii_start()
}

fn refused(line: &[u8]) -> Option<usize> {
    said(line)?;
    line.seek(refusal::START)
}

/// Lines, except for refused logins whose name has line ends.
#[derive(Debug, Default)]
struct Errors {
    lines: Lines,
}

impl Framer for Errors {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let framed = self.lines.next(buf, more);
        let Framed::Record(frame) = framed else { return framed };
        if frame.truncated {
            return framed;
        }
        let line = buf.get(..frame.len).unwrap_or_default();
        let Some(start) = refused(line) else { return framed };
        match refusal::end(buf.get(start..).unwrap_or_default(), |line, _| refused(line).is_some(), more != More::Flowing) {
            Some(end) if start + end > frame.len + 1 => {
                let end = start + end;
                let terminated = end < buf.len();
                let consumed = end + usize::from(terminated);
                Framed::Record(Frame { len: end, consumed, unterminated: !terminated, ..frame })
            }
            Some(_) => framed,
            None => Framed::Incomplete,
        }
    }

    fn save(&self) -> Vec<u8> {
        self.lines.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.lines.restore(state);
    }
}

/// The decoder of one log.
struct Log {
    stamps: Timestamps,
}

impl Decoder for Log {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let text = record.bytes;
        let sunk = sunk(text);
        let found = match &sunk {
            Some(entry) => Some((arena.alloc_str(&entry.time).as_bytes(), arena.alloc_str(&entry.msg).as_bytes())),
            None => said(text),
        };
        let Some((stamp, said)) = found else {
            return Decoded::Skip(if banner(text) || head(text) { "head of a log file" } else { "line without a time stamp" });
        };
        let Some(time) = stamp::read(stamp, &mut self.stamps) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        // MySQL 5.6 and MariaDB write threads in hexadecimal digits for what is no connection.
        let digits = said.iter().take_while(|b| b.is_ascii_digit()).count();
        event.session = match sunk.and_then(|entry| entry.thread) {
            Some(thread) => some(arena.alloc_str(&thread.to_string()).as_bytes()).filter(|id| *id != "0"),
            None => said.get(..digits).filter(|id| *id != b"0" && said.get(digits) == Some(&b' ')).and_then(some),
        };
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        if let Some(refusal) = said.seek(refusal::START).and_then(|at| refusal::parse(said.get(at..)?)) {
            event.kind = Kind::LoginFailed;
            event.operation = Some(Operation::Connect);
            event.outcome = Outcome::Denied;
            event.code = Some(BStr::new(refusal.code));
            event.database = refusal.database.and_then(some);
            event.address = Address::parse(refusal.host);
            event.principal = Some(Principal { name: BStr::new(refusal.user), provenance: Provenance::Claimed });
            if refusal.broken {
                event.suspect = Some("line end in the user name");
            }
        } else {
            // Aborted and killed connections.
            let quoted = |key: &[u8]| {
                let value = said.part(key).and_then(|(_, rest)| rest.part("'")).map(|(value, _)| value);
                // The server's own words for what there is not.
                value.filter(|value| !matches!(*value, b"unconnected" | b"unauthenticated"))
            };
            event.principal = quoted(b"user: '").and_then(some).map(|name| Principal { name, provenance: Provenance::Claimed });
            event.address = quoted(b"' host: '").and_then(Address::parse);
            event.database = quoted(b" to db: '").and_then(some);
        }
        Decoded::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::stream::Stream;

    fn decode(log: &[u8], piece: usize) -> Vec<String> {
        let mut all = Vec::new();
        let mut stream = Stream::new(Some(&FORMAT), Options::default(), 0);
        let mut sink = |item: crate::decoder::stream::Item<'_>| {
            all.push(match item.decoded {
                Decoded::Event(e) => {
                    let address = e.address.map_or(String::new(), |a| a.to_string());
                    let (user, trusted) =
                        e.principal.map_or((String::new(), false), |p| (p.name.to_string(), p.provenance != Provenance::Claimed));
                    assert!(!trusted, "{user}");
                    format!(
                        "{:?} {} {user}@{address} {}{}",
                        e.kind,
                        e.time,
                        e.session.unwrap_or_default(),
                        if e.suspect.is_some() { " suspect" } else { "" }
                    )
                }
                other => format!("{other:?}"),
            });
        };
        for piece in log.chunks(piece.max(1)) {
            stream.feed(piece, &mut sink);
        }
        stream.close(&mut sink);
        let counts = stream.counts();
        assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes);
        all
    }

    #[test]
    fn lines() {
        for (log, want) in [
            (
                "2026-11-22T02:21:30.123456Z 60 [Note] [MY-010926] [Server] Access denied for user 'nobody'@'10.0.0.9' (using password: YES)\n",
                &["LoginFailed 2026-11-22T02:21:30.123456Z nobody@10.0.0.9 60"][..],
            ),
            (
                "2026-11-22  2:21:30 60 [Warning] Access denied for user 'a'@'b'@'localhost' (using password: NO)\n",
                &["LoginFailed 2026-11-22T02:21:30Z a'@'b@local 60"],
            ),
            (
                "261122  2:21:30 [Warning] Access denied for user 'a'@'::1' (using password: NO)\n",
                &["LoginFailed 2026-11-22T02:21:30Z a@::1 "],
            ),
            (
                "2026-11-22  2:21:30 54 [Warning] Aborted connection 54 to db: 'app' user: 'bill' host: '10.0.0.2' (Got timeout)\n",
                &["Other 2026-11-22T02:21:30Z bill@10.0.0.2 54"],
            ),
            ("261122  2:21:30 [ERROR] x\n\nVersion: '5.5'\n", &["Other 2026-11-22T02:21:30Z @ ", "Skip(\"line without a time stamp\")"]),
            ("261322  2:21:30 [ERROR] x\n", &["Reject(\"unreadable time stamp\")"]),
            (
                "2026-11-22  2:21:30 62 [Warning] Access denied for user 'x'@'h' (using password: YES)\n2026-11-22  2:21:30 9 [Note] forged'@'10.0.0.8' (using password: YES)\n2026-11-22  2:21:31 0 [Note] true\n",
                &[
                    "LoginFailed 2026-11-22T02:21:30Z x'@'h' (using password: YES)\n2026-11-22  2:21:30 9 [Note] forged@10.0.0.8 62 suspect",
                    "Other 2026-11-22T02:21:31Z @ ",
                ],
            ),
            (
                "2026-11-22  2:21:30 62 [Warning] Access denied for user 'x\ny'@'10.0.0.8' (using password: YES)\n2026-11-22  2:21:30 63 [Warning] Access denied for user 'z'@'10.0.0.8' (using password: YES)\n",
                &["LoginFailed 2026-11-22T02:21:30Z x\ny@10.0.0.8 62 suspect", "LoginFailed 2026-11-22T02:21:30Z z@10.0.0.8 63"],
            ),
        ] {
            for piece in [log.len(), 7, 1] {
                assert_eq!(decode(log.as_bytes(), piece), want, "{log}");
            }
        }
    }
}
