//! Syslog, as it travels, as rsyslog and syslog-ng write it to files, and as `journalctl` prints entries of the journal: see [`header()`].
//!
//! PostgreSQL cuts what it sends at line ends and after 900 bytes, and numbers the pieces (`[SEQ-PIECE] `, or `[PIECE] ` without
//! `syslog_sequence_numbers`); they are joined here by host, program and process. rsyslog writes control characters as `#ooo`, which is
//! undone. Anybody who may log on a host, or reaches a relay, can send what he likes under any name: such records alert and never revoke.
//! <https://github.com/postgres/postgres/blob/master/src/backend/utils/error/elog.c> (`write_syslog`),
//! <https://www.rsyslog.com/doc/configuration/input_directives/rsconf1_escapecontrolcharactersonreceive.html>

use std::collections::BTreeMap;

use bumpalo::Bump;

use super::{Carried, Envelope, Kind, Opened, Part, lane, lane_within};
use crate::config::FormatOptions;
use crate::event::Time;
use crate::framing::indent::printed;
use crate::framing::octets::Messages;
use crate::framing::seek::Seek;

pub mod calendar;
pub mod header;

use calendar::Calendar;
use header::{Header, header};

pub const SYSLOG: Kind = Kind {
    name: "syslog",
    about: "syslog (RFC 5424, RFC 3164, files of rsyslog and syslog-ng, what `journalctl` prints, Heroku)",
    forgeable: true,
    arrays: None,
    framer: |_| Box::new(Messages::in_file()),
    open: |options| Box::new(Syslog::new(options)),
};

/// Processes whose last piece is remembered.
const PROCESSES: usize = 1024;

/// PostgreSQL cuts behind so many bytes at the latest; less by what is left of a character.
const PIECE: usize = 900 - 4;

/// Opens syslog messages.
pub struct Syslog {
    calendar: Calendar,
    pieces: Pieces,
}

/// Recognises the pieces of PostgreSQL's records.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    last: BTreeMap<u64, Last>,
}

/// The last piece of a process.
#[derive(Debug, Clone, Copy)]
struct Last {
    record: u64,
    number: u64,
    len: usize,
}

impl Syslog {
    pub fn new(options: &FormatOptions) -> Self {
        Syslog { calendar: Calendar::new(options.zone.clone(), options.written), pieces: Pieces::default() }
    }
}

impl Pieces {
    /// How a message of this program continues a record of its process `join`, if it is a piece of one, and its text.
    pub(super) fn take<'a>(&mut self, message: &'a [u8], program: &[u8], join: u64) -> (Option<Part>, &'a [u8]) {
        match piece(message, program) {
            Some((piece, text)) => (Some(self.piece(join, piece, text)), text),
            None => (None, message),
        }
    }

    /// How this piece continues the record of its process.
    fn piece(&mut self, join: u64, piece: Piece, text: &[u8]) -> Part {
        let before = self.last.get(&join).copied();
        let record = piece.record.unwrap_or_else(|| {
            // Without a number of the record, each begins with a first piece.
            let before = before.map_or(0, |last| last.record);
            if piece.number == 1 { before.wrapping_add(1) } else { before }
        });
        let before = before.filter(|last| last.record == record && piece.number > 1);
        let missing = piece.number > 1 && before.is_none_or(|last| last.number + 1 != piece.number);
        // A line was cut only where it is too long. What goes on then begins with the blank it was cut at, or in the middle of a word
        // that fills a piece.
        let line = match text.first() {
            _ if before.is_none() => true,
            Some(b'\t') => true,
            Some(b' ') => false,
            _ => before.is_none_or(|last| last.len < PIECE),
        };
        if self.last.len() >= PROCESSES && !self.last.contains_key(&join) {
            self.last.pop_first();
        }
        self.last.insert(join, Last { record, number: piece.number, len: text.len() });
        Part::Chunk { join, first: before.is_none(), line, missing }
    }
}

impl Envelope for Syslog {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        let Some(found) = header(record, &mut self.calendar) else {
            return match idle(record) {
                true => Opened::Skip("a line of the relay itself"),
                false => Opened::Reject("not a syslog message"),
            };
        };
        let (host, program) = (found.note.host.unwrap_or_default(), found.note.program.unwrap_or_default());
        // Heroku's processes are `postgres.77` of the program `app`.
        let kind = found.process.map_or(&b""[..], |process| process.split(|b| *b == b'.').next().unwrap_or_default());
        let lane = lane(&[host, program, kind]);
        let process = found.note.pid.unwrap_or(0).to_le_bytes();
        let join = lane_within(lane, &[&process]);
        // The lines of a message stand below one another.
        let width = record.len() - found.payload.len();
        let in_file = record.first() != Some(&b'<');
        let payload = if in_file { printed(found.payload, width, arena) } else { None }.unwrap_or(found.payload);
        if in_file && left_out(payload) {
            return Opened::Reject("a message that journalctl left out: add --all");
        }
        let found = Header { payload, ..found };
        let piece = piece(found.payload, program);
        let text = unescape(found.payload, piece.is_none(), arena);
        // What says that an object follows (the common event expression of rsyslog and syslog-ng).
        let text = text.strip_prefix(b"@cee:").map_or(text, <[u8]>::trim_ascii_start);
        if text.is_empty() {
            return Opened::Skip("an empty syslog message");
        }
        let piece = if std::ptr::eq(text, found.payload) { piece } else { self::piece(text, program) };
        let (part, payload) = match piece {
            Some((piece, text)) => (self.pieces.piece(join, piece, text), text),
            None => (Part::Line, text),
        };
        Opened::Carried(Carried { payload, lane, part, note: found.note })
    }

    fn written(&mut self, at: Time) {
        self.calendar.set_written(at);
    }
}

/// What `journalctl` writes for a message that it takes for no text (`[1.2K blob data]`).
pub(super) fn left_out(text: &[u8]) -> bool {
    text.len() < 32 && text.first() == Some(&b'[') && text.get(1).is_some_and(u8::is_ascii_digit) && text.ends_with(b" blob data]")
}

/// What journalctl writes above, between and below the entries (`-- Boot 5e2f... --`, catalogs), and syslogd for messages that repeat.
fn idle(line: &[u8]) -> bool {
    line.starts_with("░░".as_bytes())
        || line.starts_with(b"-- ") && line.ends_with(b" --")
        || line.ends_with(b" times") && line.holds(" last message repeated ")
}

/// PostgreSQL's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    record: Option<u64>,
    number: u64,
}

/// `[SEQ-PIECE] ` (behind Heroku's `[COLOR] `), or, of a program that is called like PostgreSQL, `[PIECE] `; and the text behind it.
fn piece<'a>(text: &'a [u8], program: &[u8]) -> Option<(Piece, &'a [u8])> {
    if let Some(rest) = text.strip_prefix(b"[") {
        let letters = rest.iter().take(12).take_while(|b| b.is_ascii_uppercase()).count();
        if letters > 0
            && let Some(rest) = rest.get(letters..).and_then(|rest| rest.strip_prefix(b"] "))
        {
            return numbers(rest).filter(|(piece, _)| piece.record.is_some());
        }
    }
    numbers(text).filter(|(piece, _)| piece.record.is_some() || program.starts_with(b"postgres"))
}

fn numbers(text: &[u8]) -> Option<(Piece, &[u8])> {
    let rest = text.strip_prefix(b"[")?;
    let close = rest.iter().take(32).position(|b| *b == b']')?;
    let (inside, text) = (rest.get(..close)?, rest.get(close + 1..)?);
    let digit = |sum: u64, byte: &u8| sum.checked_mul(10)?.checked_add(u64::from(byte.is_ascii_digit().then(|| byte - b'0')?));
    let number = |text: &[u8]| if text.is_empty() { None } else { text.iter().try_fold(0, digit) };
    let piece = match inside.iter().position(|b| *b == b'-') {
        Some(dash) => Piece { record: Some(number(inside.get(..dash)?)?), number: number(inside.get(dash + 1..)?)? },
        None => Piece { record: None, number: number(inside)? },
    };
    // The blank belongs to the numbers; another one is text.
    Some((piece, text.strip_prefix(b" ")?))
}

/// `text` with `#ooo` for control characters undone. A piece of a record holds no line breaks: there `#012` is what a client wrote.
fn unescape<'a>(text: &'a [u8], breaks: bool, arena: &'a Bump) -> &'a [u8] {
    let escaped = |at: usize| -> Option<u8> {
        let [a @ b'0'..=b'1', b @ b'0'..=b'7', c @ b'0'..=b'7'] = *text.get(at + 1..)?.first_chunk::<3>()? else { return None };
        let byte = (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0');
        (byte.is_ascii_control() && (breaks || byte != b'\n')).then_some(byte)
    };
    let mut marks = memchr::memchr_iter(b'#', text).filter_map(|at| Some((at, escaped(at)?))).peekable();
    if marks.peek().is_none() {
        return text;
    }
    let mut plain = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    let mut from = 0;
    for (at, byte) in marks {
        plain.extend_from_slice(text.get(from..at).unwrap_or_default());
        plain.push(byte);
        from = at + 4;
    }
    plain.extend_from_slice(text.get(from..).unwrap_or_default());
    plain.into_bump_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts and payloads of some messages of one process.
    fn open(messages: &[&str]) -> Vec<(Part, String)> {
        let mut syslog = Syslog::new(&FormatOptions::default());
        let arena = Bump::new();
        let opened = messages.iter().map(|message| match syslog.open(message.as_bytes(), &arena) {
            Opened::Carried(carried) => (carried.part, String::from_utf8_lossy(carried.payload).into_owned()),
            other => panic!("{message}: {other:?}"),
        });
        opened.collect()
    }

    fn chunks(texts: &[&str]) -> Vec<(bool, bool, bool)> {
        let messages: Vec<String> = texts.iter().map(|text| format!("<134>Nov 22 02:21:28 db1 postgres[77]: {text}")).collect();
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        let parts = open(&messages).into_iter().map(|(part, _)| match part {
            Part::Chunk { first, line, missing, .. } => (first, line, missing),
            other => panic!("{other:?}"),
        });
        parts.collect()
    }

    const FIRST: (bool, bool, bool) = (true, true, false);
    const LINE: (bool, bool, bool) = (false, true, false);
    const ON: (bool, bool, bool) = (false, false, false);

    #[test]
    fn pieces_of_a_record() {
        let long = "x".repeat(900);
        assert_eq!(chunks(&["[1-1] LOG:  a", "[1-2] #011b", "[1-3] DETAIL:  c", "[2-1] LOG:  d"]), [FIRST, LINE, LINE, FIRST]);
        // Cut at a blank; cut in a word that fills a piece.
        assert_eq!(chunks(&["[1-1] LOG:  a", "[1-2]  b", &format!("[1-3]  {long}"), "[1-4] c"]), [FIRST, ON, ON, ON]);
        // A client cannot make its text begin a line: only what the server broke does.
        assert_eq!(chunks(&[&format!("[1-1] {long}"), "[1-2] DETAIL:  x"]), [FIRST, ON]);
        // Lost pieces.
        assert_eq!(chunks(&["[1-1] LOG:  a", "[1-3] #011b", "[2-2] #011c"]), [FIRST, (false, true, true), (true, true, true)]);
        // Without sequence numbers.
        assert_eq!(chunks(&["[1] LOG:  a", "[2] #011b", "[1] LOG:  c", "[2] #011d"]), [FIRST, LINE, FIRST, LINE]);
        assert_eq!(chunks(&["[GREEN] [4-1]  sql_error_code = 00000 LOG:  a"]), [FIRST]);
    }

    #[test]
    fn escapes_are_undone() {
        let line = |text: &str| open(&[&format!("<134>Nov 22 02:21:28 db1 app: {text}")]).remove(0);
        assert_eq!(line("a#011b#134#09#200 #x"), (Part::Line, "a\tb#134#09#200 #x".to_owned()));
        assert_eq!(line("a#012b"), (Part::Line, "a\nb".to_owned()));
        assert_eq!(line("a\nb"), (Part::Line, "a\nb".to_owned()));
        assert_eq!(line("@cee: {\"a\":1}"), (Part::Line, "{\"a\":1}".to_owned()));
        assert_eq!(line("#177#000#"), (Part::Line, "\x7f\0#".to_owned()));
        // In a piece a line break was written by a client.
        let (_, text) = open(&["<134>Nov 22 02:21:28 db1 postgres[77]: [1-1] a#012b#011c"]).remove(0);
        assert_eq!(text, "a#012b\tc");
    }

    #[test]
    fn lines_of_the_relay() {
        let mut syslog = Syslog::new(&FormatOptions::default());
        let arena = Bump::new();
        for line in ["-- Boot 5e2f7a --", "Nov 22 02:21:28 db1 last message repeated 3 times"] {
            assert!(matches!(syslog.open(line.as_bytes(), &arena), Opened::Skip(_)), "{line}");
        }
        assert!(matches!(syslog.open(b"-- x", &arena), Opened::Reject(_)));
    }

    #[test]
    fn what_tells_logs_apart() {
        let mut syslog = Syslog::new(&FormatOptions::default());
        let arena = Bump::new();
        let mut lane = |message: &'static str| match syslog.open(message.as_bytes(), &arena) {
            Opened::Carried(carried) => carried.lane,
            other => panic!("{other:?}"),
        };
        let here = lane("<134>Nov 22 02:21:28 db1 postgres[77]: a");
        assert_eq!(lane("<134>Nov 22 02:21:29 db1 postgres[78]: b"), here);
        assert_ne!(lane("<134>Nov 22 02:21:29 db2 postgres[77]: b"), here);
        assert_ne!(lane("<134>Nov 22 02:21:29 db1 mysqld[77]: b"), here);
        assert_ne!(lane("<134>Nov 22 02:21:29 app[web.1]: b"), lane("<134>Nov 22 02:21:29 app[postgres.1]: b"));
    }
}
