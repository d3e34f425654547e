//! Lines of the log, and which of them belong together.

use bstr::ByteSlice;
use serde::{Deserialize, Serialize};

use super::refusal;
use crate::decoder::mongodb::{act, ctime};
use crate::framing::joined::Grammar;
use crate::framing::seek::Seek;

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

/// With this the server begins a message whose middle it leaves out.
const CUT: &[u8] = b"warning: log line attempted (";
const CUT_END: &str = "printing beginning and end ... ";

/// A line, taken apart. The message is the rest of the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub stamp: &'a [u8],
    pub context: &'a [u8],
    pub message: &'a [u8],
    /// The server has left the middle of the message out.
    pub cut: bool,
}

impl<'a> Line<'a> {
    pub fn read(line: &'a [u8]) -> Option<Self> {
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
        let message = message.strip_prefix(b" ").unwrap_or(message).trimmed_start();
        let whole = message.strip_prefix(CUT).and_then(|rest| rest.part(CUT_END)).map(|(_, rest)| rest);
        Some(Line { stamp, context, message: whole.unwrap_or(message), cut: whole.is_some() })
    }
}

/// Messages that end with the object they show.
const DOCUMENTS: [&[u8]; 4] =
    [b"received client metadata", b"Unauthorized: not authorized on ", b"Unauthorized not authorized on ", b"authenticate db: "];

/// Where records end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Lines {
    kind: u8,
    whole: bool,
}

impl Lines {
    const FREE: u8 = 0;
    const OPERATION: u8 = 1;
    const DOCUMENT: u8 = 2;
    /// Refused logins: those of SASL, others, and those before 2.6.
    const SASL: u8 = 3;
    const REFUSED: u8 = 4;
    const UNKNOWN: u8 = 5;

    fn ends(&mut self, line: &[u8]) {
        self.whole = match self.kind {
            Self::OPERATION => self.whole || millis(line).is_some(),
            Self::DOCUMENT => line.ends_with(b"}"),
            Self::SASL | Self::REFUSED => self.whole || refusal::ends(line, self.kind == Self::SASL),
            Self::UNKNOWN => line.ends_with(b".system.users"),
            _ => true,
        };
    }
}

impl Grammar for Lines {
    const PATIENCE: usize = 16 << 10;
    const HAS_REST: bool = true;
    const AHEAD: usize = refusal::REACH;

    fn head(line: &[u8]) -> bool {
        is_head(line)
    }

    fn begin(&mut self, line: &[u8]) {
        self.kind = match Line::read(line).map(|l| l.message) {
            Some(m) if DOCUMENTS.iter().any(|start| m.starts_with(start)) => Self::DOCUMENT,
            Some(m) if m.starts_with(b"auth: couldn't find user ") => Self::UNKNOWN,
            Some(m) if let Some(sasl) = refusal::begins(m) => {
                if sasl {
                    Self::SASL
                } else {
                    Self::REFUSED
                }
            }
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

    fn looks_ahead(&self) -> bool {
        matches!(self.kind, Self::SASL | Self::REFUSED)
    }

    fn rest(record: &[u8], ahead: &[u8]) -> usize {
        refusal::rest(record, ahead)
    }
}

/// `command shop.orders ...` and its kin: the word and the namespace.
pub(super) fn verb(message: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (verb, rest) = message.part(" ")?;
    if verb != b"command" {
        act::legacy(verb)?;
    }
    let end = rest.find_byte(b' ')?;
    let (namespace, rest) = rest.split_at_checked(end)?;
    (namespace.contains(&b'.') && (rest.contains(&b'{') || millis(rest).is_some())).then_some((verb, namespace, rest))
}

/// The milliseconds at the end of an operation's record; lines that belong to no record may follow.
pub(super) fn millis(record: &[u8]) -> Option<u64> {
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
