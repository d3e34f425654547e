//! SQL Server's ERRORLOG, in UTF-8 (Linux, shippers) and in UTF-16LE (Windows).
//!
//! ```text
//! 2026-11-22 02:05:17.64 Logon       Login succeeded for user 'web'. Connection made using SQL Server authentication. [CLIENT: 10.1.0.7]
//! 2026-11-22 02:05:18.02 Logon       Error: 18456, Severity: 14, State: 8.
//! 2026-11-22 02:05:18.02 Logon       Login failed for user 'sa'. Reason: Password did not match that for the login provided. [CLIENT: 10.1.0.9]
//! ```
//!
//! <https://learn.microsoft.com/sql/relational-databases/errors-events/mssqlserver-18456-database-engine-error>. It has logins, no statements.
//! The same messages are events 18453 to 18456 of Windows' log: shippers give their text alone, and its time is theirs.
//!
//! A refused login prints the name that the client sent, up to 128 characters with any line ends, so a client without an account can write
//! lines. A login counts only in the words in which an English server writes it, which with their time stamp do not fit into a
//! name; and only where its line ends as the server ends it: a forged line has the end of the true message behind it.

use bstr::ByteSlice;
use bumpalo::Bump;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use super::{client, some};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;
use crate::framing::stamped::{Stamped, Width, like};
use crate::framing::{Framed, Framer, More};

pub const FORMAT: Format = Format {
    name: "mssql-errorlog",
    about: "SQL Server ERRORLOG and its logins in Windows' event log; UTF-8 or UTF-16",
    forgeable: true,
    sniff,
    open: |sample, options| {
        let alone = stand_alone(sample);
        (Box::new(Shapes::new(alone)), Box::new(ErrorLog::new(options, alone)))
    },
    guide: Guide {
        system: "SQL Server 2005 to 2025, Windows and Linux",
        switch_on: "Server properties, Security, Login auditing: `Both failed and successful logins` (or `xp_instance_regwrite` of `AuditLevel` = 3)",
        fields: &[
            (
                "time",
                "the start of the line; local time, by the log's own `UTC adjustment` where no zone is configured; of a Windows event the shipper's",
            ),
            ("principal", "the name in quotes; verified where the login succeeded"),
            ("address", "`[CLIENT: ...]`; seen by the server"),
            ("outcome", "the message"),
            ("code", "`Error: 18456` of the line before"),
            ("kind", "the message"),
        ],
        forgery: "Lines, by line breaks in the name of a refused login, without an account. A successful login does not fit into such a name, and lines that do not end like the server's are marked and name no token. Servers in another language have shorter messages: near a refused login theirs are marked",
        ignored: "All that is no login: kept as `other`; Windows events of other programs are skipped. The log has no statements: use SQL Server audit for them",
        source: "<https://learn.microsoft.com/sql/relational-databases/errors-events/mssqlserver-18456-database-engine-error>",
    },
};

fn begins(line: &[u8], width: Width) -> Option<bool> {
    like(b"0000-00-00 00:00:00.", line, width)
}

/// Whether messages of Windows' log stand there, each in a line of its own.
fn stand_alone(sample: &[u8]) -> bool {
    let lines = || sample.split(|b| *b == b'\n').take(200);
    lines().any(is_message) && !lines().any(|line| begins(line, Width::One) == Some(true))
}

/// Frames an error log, or messages alone.
struct Shapes {
    stamped: Stamped,
    lines: Lines,
    alone: bool,
}

impl Shapes {
    fn new(alone: bool) -> Self {
        Shapes { stamped: Stamped::new(begins), lines: Lines::new(), alone }
    }
}

impl Framer for Shapes {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if self.alone { self.lines.next(buf, more) } else { self.stamped.next(buf, more) }
    }

    fn save(&self) -> Vec<u8> {
        let mut state = vec![u8::from(self.alone)];
        state.extend(if self.alone { self.lines.save() } else { self.stamped.save() });
        state
    }

    fn restore(&mut self, state: &[u8]) {
        let Some((alone, inner)) = state.split_first() else { return };
        self.alone = *alone == 1;
        if self.alone { self.lines.restore(inner) } else { self.stamped.restore(inner) }
    }
}

/// The text of a login's event: in English, or with the client at its end as all languages have it.
pub(super) fn is_message(text: &[u8]) -> bool {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default().trim_end();
    let english = line.starts_with(b"Login failed for user '") || line.starts_with(b"Login succeeded for user '");
    // Nothing but words stands before the name.
    let words = |at: usize| line.get(..at).is_some_and(|text| !text.iter().any(|b| b.is_ascii_digit() || b"<{[:=".contains(b)));
    let client = || line.ends_with(b"]") && line.seek_last(b"[CLIENT: ").is_some_and(|at| at + 80 > line.len());
    english || (client() && line.find_byteset(b"'\"").is_some_and(words))
}

/// Characters from the closing quote of a refused name on, from which the message is the server's: a name that pretends to hold so much of
/// one has no room for a successful login in English behind it (its 128 characters, less a line end and the 70 of the shortest).
const OWN: usize = 58;

/// Whether a refused login alone in its line ends as only the server ends it.
fn is_whole(line: &[u8]) -> bool {
    let end = line.trim_end();
    let own = end.seek(b"'.").and_then(|at| end.get(at..)).unwrap_or_default();
    end.ends_with(b"]") && own.chars().count() >= OWN && own.find_iter(b"[CLIENT: ").count() == 1
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let (width, text) = Width::of(sample);
    let arena = Bump::new();
    let text = width.plain(text, &arena);
    if stand_alone(text) {
        return Guess::new(90, "logins of SQL Server as Windows' event log has them");
    }
    let (mut all, mut good) = (0u32, 0u32);
    for line in text.split(|b| *b == b'\n').take(200).filter(|l| !l.is_empty()) {
        // Lines without a time stamp belong to the one before.
        if begins(line, Width::One) != Some(true) {
            all += u32::from(all == 0 || !line.starts_with(b"\t"));
            continue;
        }
        all += 1;
        good += u32::from(source(line).is_some());
    }
    match good {
        0 => Guess::NO,
        _ if good * 2 >= all => Guess::new(93, format!("{good} of {all} lines have the time and source of SQL Server's error log")),
        _ => Guess::new(30, format!("only {good} of {all} lines have the time and source of SQL Server's error log")),
    }
}

/// Columns of a source.
const SOURCE: usize = 12;

/// The source of a line and what it says: the source is padded to twelve columns.
fn source(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.get(line.iter().skip(20).position(|b| !b.is_ascii_digit())? + 20..)?.strip_prefix(b" ")?;
    let end = memchr::memchr(b' ', rest)?;
    let (name, rest) = rest.split_at_checked(end)?;
    let blanks = rest.iter().take_while(|b| **b == b' ').count();
    (name.iter().all(u8::is_ascii_alphanumeric) && (end + blanks >= SOURCE || blanks >= 2)).then_some((name, rest.get(blanks..)?))
}

/// Bytes behind a refused login in which a login in other words than the English ones is doubted.
const REACH: u32 = 2_048;

const DOUBTED: &str = "a line that the name of a refused login may have written";
const REPORTED: &str = "a line that a statement in a deadlock report may have written";
const UNFINISHED: &str = "a login message that does not end as the server ends it";

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The number of the error that the last line announced, and the time of that line.
    announced: Option<(Vec<u8>, Vec<u8>)>,
    /// Bytes for which logins in other words than the English ones are doubted.
    doubtful: u32,
    /// Bytes for which all are.
    raw: u32,
    /// Records seen, as far as those in which the server introduces itself: its version, and then its offset.
    seen: u8,
    /// Minutes east of UTC by the log's own word.
    offset: Option<i32>,
    /// Messages come alone: what else comes is of other programs.
    alone: bool,
}

struct ErrorLog {
    configured: bool,
    stamps: Timestamps,
    state: State,
}

impl ErrorLog {
    fn new(options: &Options, alone: bool) -> Self {
        let state = State { alone, ..State::default() };
        ErrorLog { configured: options.zone.is_some(), stamps: Timestamps::new(options.zone.clone()), state }
    }

    /// `UTC adjustment: -8:00`, which is believed in the second record of a log only.
    fn adjustment(&mut self, source: &[u8], text: &[u8]) {
        let second = self.state.seen == 1 && source == b"Server";
        let version = self.state.seen == 0 && source == b"Server" && text.starts_with(b"Microsoft SQL Server ");
        self.state.seen = if version { 1 } else { 2 };
        if !second {
            return;
        }
        let Some(offset) = text.strip_prefix(b"UTC adjustment: ").and_then(|t| std::str::from_utf8(t).ok()) else { return };
        let (negative, digits) = offset.trim().strip_prefix('-').map_or((false, offset.trim()), |d| (true, d));
        let Some((hours, minutes)) = digits.split_once(':') else { return };
        if let (Ok(hours), Ok(minutes)) = (hours.parse::<i32>(), minutes.parse::<i32>())
            && (0..=14).contains(&hours)
            && (0..60).contains(&minutes)
        {
            self.state.offset = Some((hours * 60 + minutes) * if negative { -1 } else { 1 });
            self.zone();
        }
    }

    /// The message of an event of Windows' log.
    fn message<'a>(&mut self, line: &'a [u8], record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        if !is_message(line) {
            return match self.state.alone {
                true => Decoded::Skip("an event of another program"),
                false => Decoded::Reject("no time stamp of the error log"),
            };
        }
        let Some(time) = record.note.time else { return Decoded::Reject("no time: the relay gave none") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        let (doubtful, raw) = self.reach(line);
        logon(line, None, doubtful, &mut event, arena);
        match event.kind {
            // Without a time stamp a success in English words fits into a name, too.
            Kind::Login if raw => {
                event.suspect = event.suspect.or(Some(DOUBTED));
                event.principal = event.principal.map(|p| Principal { provenance: Provenance::Claimed, ..p });
            }
            Kind::LoginFailed => {
                self.state.doubtful = REACH;
                if !is_whole(line) {
                    self.state.raw = REACH;
                }
            }
            _ => {}
        }
        Decoded::Event(event)
    }

    /// Whether this line is within reach of what makes logins doubtful: those in other words than the English ones, and all.
    fn reach(&mut self, line: &[u8]) -> (bool, bool) {
        let within = (self.state.doubtful > 0, self.state.raw > 0);
        let len = u32::try_from(line.len()).unwrap_or(u32::MAX);
        self.state.doubtful = self.state.doubtful.saturating_sub(len);
        self.state.raw = self.state.raw.saturating_sub(len);
        within
    }

    fn zone(&mut self) {
        if let Some(offset) = self.state.offset.filter(|_| !self.configured)
            && let Ok(offset) = Offset::from_seconds(offset * 60)
        {
            self.stamps = Timestamps::new(Some(TimeZone::fixed(offset)));
        }
    }
}

impl Decoder for ErrorLog {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (width, bytes) = Width::of(record.bytes);
        let line = width.plain(bytes, arena);
        if begins(line, Width::One) != Some(true) {
            // Somebody's remark; the server writes none.
            if line.starts_with(b"#") {
                return Decoded::Skip("comment");
            }
            return self.message(line, record, arena);
        }
        let stamp = line.get(..line.iter().skip(20).position(|b| !b.is_ascii_digit()).map_or(line.len(), |n| n + 20)).unwrap_or_default();
        let Some((source, text)) = source(line) else {
            return match self.stamps.parse(stamp) {
                Ok(time) => Decoded::Event(Event::new(Kind::Other, time)),
                Err(_) => Decoded::Reject("unreadable time stamp"),
            };
        };
        self.adjustment(source, text);
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        let announced = self.state.announced.take().filter(|(_, at)| at == stamp).map(|(number, _)| number);
        let (doubtful, raw) = self.reach(line);
        if let Some(number) = announcement(text) {
            self.state.announced = Some((number.to_vec(), stamp.to_vec()));
            if number == b"18456" {
                self.state.doubtful = REACH;
            }
            event.code = some(number);
        } else if source == b"Logon" || announced.as_deref().is_some_and(|number| number == b"18456" && !source.starts_with(b"spid")) {
            // Some languages have a word of their own for the source, too.
            event.suspect = event.suspect.or(raw.then_some(REPORTED));
            logon(text, announced.as_deref(), doubtful, &mut event, arena);
            if event.kind == Kind::LoginFailed {
                self.state.doubtful = REACH;
            }
        } else if source.starts_with(b"spid") && text.to_ascii_lowercase().holds("input") {
            // A deadlock report: what clients ran, as it was.
            self.state.raw = u32::from(u16::MAX);
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.state).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(state) = postcard::from_bytes(state) {
            self.state = state;
            self.zone();
        }
    }
}

/// `Error: 18456, Severity: 14, State: 8.`, in any language: a word, a number, and two more of both.
fn announcement(text: &[u8]) -> Option<&[u8]> {
    if text.len() > 120 || text.contains(&b'\'') || text.contains(&b'[') {
        return None;
    }
    let colon = text.find_byte(b':').or_else(|| text.find("：").map(|at| at + 2))?;
    let rest = text.get(colon + 1..)?.trim_start();
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let numbers = rest.split(|b| !b.is_ascii_digit()).filter(|n| !n.is_empty()).count();
    (digits > 0 && numbers == 3).then(|| rest.get(..digits)).flatten()
}

/// Words of successful logins in other languages.
const SUCCEEDED: [&str; 10] =
    ["succeeded", "erfolgreich", "réussi", "correctamente", "correcto", "riuscit", "com êxito", "bem-sucedido", "成功", "успеш"];

/// A message about a login: the name in quotes, at the end the client in brackets.
pub(super) fn logon<'a>(text: &'a [u8], announced: Option<&[u8]>, doubtful: bool, event: &mut Event<'a>, arena: &'a Bump) {
    let text = text.trim_end();
    let begun = text.starts_with(b"Login failed for user '") || text.starts_with(b"Login succeeded for user '");
    let ended = (|| {
        let open = memchr::memrchr(b'[', text)?;
        let inner = text.get(open + 1..)?.strip_suffix(b"]")?;
        let colon = inner.find_byte(b':').filter(|c| *c < 40)?;
        Some((text.get(..open)?, inner.get(colon + 1..)?))
    })();
    let Some((said, address)) = ended else {
        // The name of a client goes on in what looks like the next record.
        if begun || announced == Some(b"18456") {
            refused(text, announced, event, arena);
            event.address = text.seek_last(b"[CLIENT:").and_then(|at| client(text.get(at + 8..)?.split(|b| *b == b']').next()?));
            event.suspect = event.suspect.or(Some(UNFINISHED));
        }
        return;
    };
    // Of a domain that is not trusted, the server does not learn who came.
    let unnamed = announced == Some(b"18452") || said.starts_with(b"Login failed. ");
    if !unnamed && !said.contains(&b'\'') && !said.contains(&b'"') {
        return;
    }
    event.address = client(address);
    let english = said.strip_prefix(b"Login succeeded for user '").and_then(|rest| {
        let end = rest.seek(b"'. Connection made using ")?;
        rest.get(end..)?.trim_end().ends_with(b" authentication.").then(|| rest.get(..end)).flatten()
    });
    let (before, after) = around(said);
    let refusal = announced.is_some() || said.starts_with(b"Login failed ");
    let succeeded = !refusal && (english.is_some() || SUCCEEDED.iter().any(|word| before.holds(word) || after.holds(word)));
    let whole = !said.contains(&b'\n') && said.find_iter(b"[CLIENT:").next().is_none();
    if !succeeded {
        refused(said, announced, event, arena);
        if !whole {
            event.suspect = event.suspect.or(Some(UNFINISHED));
        }
        return;
    }
    event.kind = Kind::Login;
    event.operation = Some(Operation::Connect);
    event.outcome = Outcome::Success;
    let name = english.or_else(|| quoted(said)).unwrap_or_default();
    if !whole {
        event.suspect = event.suspect.or(Some(UNFINISHED));
    } else if english.is_none() && doubtful {
        event.suspect = event.suspect.or(Some(DOUBTED));
    }
    let provenance = if event.suspect.is_some() { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = some(name).map(|name| Principal { name, provenance });
}

fn refused<'a>(said: &'a [u8], announced: Option<&[u8]>, event: &mut Event<'a>, arena: &'a Bump) {
    event.kind = Kind::LoginFailed;
    event.operation = Some(Operation::Connect);
    event.outcome = Outcome::Denied;
    event.code = some(arena.alloc_slice_copy(announced.unwrap_or(b"18456")));
    let name = said.strip_prefix(b"Login failed for user '").and_then(|rest| {
        let end = rest.seek(b"'. Reason:").or_else(|| rest.seek_last(b"'."))?;
        rest.get(..end)
    });
    event.principal = name.or_else(|| quoted(said)).and_then(some).map(|name| Principal { name, provenance: Provenance::Claimed });
}

/// Where the first text in quotes begins; an apostrophe inside a word opens none.
fn opening(text: &[u8]) -> Option<usize> {
    let opens =
        |at: &usize| matches!(text.get(*at), Some(b'\'' | b'"')) && !text.get(at.wrapping_sub(1)).is_some_and(u8::is_ascii_alphabetic);
    (0..text.len()).find(opens)
}

/// What stands before the first text in quotes and behind the last one. A name may have quotes of its own, and reaches no farther.
fn around(text: &[u8]) -> (&[u8], &[u8]) {
    let closes = |at: &usize| matches!(text.get(*at), Some(b'\'' | b'"')) && !text.get(at + 1).is_some_and(u8::is_ascii_alphabetic);
    let open = opening(text).unwrap_or(text.len());
    let close = (0..text.len()).rfind(closes).map_or(text.len(), |at| at + 1).max(open);
    (text.get(..open).unwrap_or_default(), text.get(close..).unwrap_or_default())
}

/// The first text in quotes.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let open = opening(text)?;
    let quote = *text.get(open)?;
    let rest = text.get(open + 1..)?;
    rest.get(..memchr::memchr(quote, rest)?)
}

#[cfg(test)]
mod tests;
