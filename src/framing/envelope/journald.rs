//! Entries of systemd's journal: the export format (`journalctl -o export`, systemd-journal-upload), `journalctl -o json` and `-o verbose`.
//! What its other forms print, [`super::syslog`] reads.
//!
//! ```text
//! __REALTIME_TIMESTAMP=1795314089200000
//! _HOSTNAME=db1
//! SYSLOG_IDENTIFIER=postgres
//! MESSAGE
//! <8 bytes: length, little endian><so many bytes>
//!
//! {"__REALTIME_TIMESTAMP":"1795314089200000","_HOSTNAME":"db1","SYSLOG_IDENTIFIER":"postgres","MESSAGE":"..."}
//!
//! Sun 2026-11-22 02:21:29.200000 UTC [s=8f...;i=1;b=5e...;m=2a;t=63...;x=7b]
//!     _HOSTNAME=db1
//!     MESSAGE=...
//! ```
//!
//! Fields with line breaks or binary data are written with their length, so no message can end an entry. In JSON they are arrays of bytes, and
//! null where they are too long; in the verbose form
//! lines of a message stand below its first, further to the right than any field. Anybody who may log on the host has entries of his own, under any name, so they alert and never revoke; what is
//! of one unit is never mixed with what is of another. <https://systemd.io/JOURNAL_EXPORT_FORMATS/>,
//! <https://github.com/systemd/systemd/blob/main/src/shared/logs-show.c> (`output_verbose`)

use std::borrow::Cow;
use std::fmt;

use bstr::BStr;
use bumpalo::Bump;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::syslog::calendar::Calendar;
use super::syslog::{Pieces, left_out};
use super::text::{Loose, utf8};
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::event::Time;
use crate::framing::indent::{Indent, outdented};
use crate::framing::joined::Joined;
use crate::framing::json::Objects;
use crate::framing::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

pub const EXPORT: Kind = Kind {
    name: "journald",
    about: "export format of systemd's journal",
    forgeable: true,
    arrays: None,
    framer: |_| Box::new(Entries::default()),
    open: |_| Box::new(Export(Pieces::default())),
};

pub const JSON: Kind = Kind {
    name: "journald-json",
    about: "systemd's journal as JSON (`journalctl -o json`)",
    forgeable: true,
    // `-o json-pretty` writes an object over several lines, `-o json-seq` a sign before each, `-o json-sse` a word.
    arrays: Some(&[]),
    framer: |_| Box::new(Objects::new(&[])),
    open: |_| Box::new(Json(Pieces::default())),
};

pub const VERBOSE: Kind = Kind {
    name: "journald-verbose",
    about: "systemd's journal as text with all fields (`journalctl -o verbose`)",
    forgeable: true,
    arrays: None,
    framer: |_| Box::new(Joined::<Indent>::new()),
    open: |options| Box::new(Verbose(Calendar::new(options.zone.clone(), None), Pieces::default())),
};

/// Longest field whose length is believed.
const FIELD: u64 = 1 << 30;

/// Reason on what is left of an entry that was too long.
const REST: &str = "rest of an oversized record";

/// Frames entries of the export format.
#[derive(Debug, Default)]
struct Entries {
    /// Where the next field of the entry at the start of the buffer begins.
    at: usize,
    passing: Option<Passing>,
}

/// The head of an entry was given out: where we are in the rest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Passing {
    /// At the start of a field.
    Field,
    /// In a line.
    Line,
    /// So many bytes before the end of a field.
    Bytes(u64),
}

/// What stands at the start of a field.
enum Field {
    /// A blank line: the entry has ended.
    End,
    /// A field that ends before this offset.
    Ends(usize),
    /// A field with its length: its value begins and ends at these offsets.
    Counted(usize, u64),
    /// Nothing that could be a field, up to this line end.
    No(usize),
    More,
}

fn field(buf: &[u8]) -> Field {
    let name = buf.iter().take(65).take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b'_').count();
    match buf.get(name) {
        None if name < 65 => Field::More,
        Some(b'\n') if name == 0 => Field::End,
        Some(b'=') if name > 0 => memchr::memchr(b'\n', buf).map_or(Field::More, |end| Field::Ends(end + 1)),
        Some(b'\n') => match buf.get(name + 1..).and_then(|rest| rest.first_chunk::<8>()) {
            None => Field::More,
            Some(len) => match u64::from_le_bytes(*len) {
                len if len <= FIELD => Field::Counted(name + 9, len),
                _ => Field::No(name + 1),
            },
        },
        _ => memchr::memchr(b'\n', buf).map_or(Field::More, |end| Field::No(end + 1)),
    }
}

impl Entries {
    fn record(&mut self, len: usize, consumed: usize, unterminated: bool) -> Framed {
        self.at = 0;
        let truncated = len > MAX_RECORD;
        let len = if truncated { HEAD } else { len };
        Framed::Record(Frame { skip: 0, len, consumed, truncated, unterminated, suspect: None })
    }

    fn pass(&mut self, passing: Passing, buf: &[u8], more: More) -> Framed {
        let all = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        let (consumed, next) = match passing {
            Passing::Bytes(left) => (left.min(all), if left > all { Some(Passing::Bytes(left - all)) } else { Some(Passing::Field) }),
            Passing::Line => match memchr::memchr(b'\n', buf) {
                Some(end) => (end as u64 + 1, Some(Passing::Field)),
                None => (all, Some(Passing::Line)),
            },
            Passing::Field => match field(buf) {
                Field::End => (1, None),
                Field::Ends(end) => (end as u64, Some(Passing::Field)),
                // Its line end too.
                Field::Counted(begin, len) => (begin as u64, Some(Passing::Bytes(len + 1))),
                Field::No(_) => (0, None),
                Field::More if more == More::Closed || buf.len() > MAX_RECORD => (all, Some(Passing::Line)),
                Field::More => return Framed::Incomplete,
            },
        };
        self.passing = next;
        let consumed = usize::try_from(consumed).unwrap_or(buf.len()).min(buf.len());
        if consumed == 0 { self.next(buf, more) } else { Framed::Skip { consumed, reason: REST } }
    }
}

impl Framer for Entries {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if let Some(passing) = self.passing {
            return self.pass(passing, buf, more);
        }
        if self.at == 0 {
            let blank = buf.iter().take_while(|b| matches!(b, b'\n' | b'\r' | 0)).count();
            if blank > 0 {
                return Framed::Skip { consumed: blank, reason: "blank line" };
            }
        }
        loop {
            let rest = buf.get(self.at..).unwrap_or_default();
            let (step, passing) = match field(rest) {
                Field::End => return self.record(self.at, self.at + 1, false),
                // Something else ends an entry, and is one by itself.
                Field::No(end) if self.at == 0 => return self.record(end - 1, end, false),
                Field::No(_) => return self.record(self.at, self.at, true),
                Field::Ends(end) => (end, Passing::Line),
                Field::Counted(begin, len) => {
                    let end = begin.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).saturating_add(1);
                    (end, Passing::Bytes(end.saturating_sub(rest.len()) as u64))
                }
                Field::More => (usize::MAX, Passing::Line),
            };
            if step <= rest.len() {
                self.at += step;
                continue;
            }
            if buf.len() > MAX_RECORD {
                self.passing = Some(passing);
                self.at = 0;
                return Framed::Record(Frame {
                    skip: 0,
                    len: HEAD,
                    consumed: buf.len(),
                    truncated: true,
                    unterminated: false,
                    suspect: None,
                });
            }
            return if more == More::Closed && !buf.is_empty() { self.record(buf.len(), buf.len(), true) } else { Framed::Incomplete };
        }
    }

    fn save(&self) -> Vec<u8> {
        self.passing.map(|passing| postcard::to_stdvec(&passing).unwrap_or_default()).unwrap_or_default()
    }

    fn mark(&self) -> u64 {
        // Of what is passed over only the start of a field can turn out to be the next record.
        u64::from(self.passing.is_some())
    }

    fn restore(&mut self, state: &[u8]) {
        self.at = 0;
        self.passing = postcard::from_bytes(state).ok();
    }
}

/// The fields of an entry that matter.
#[derive(Default)]
struct Entry<'a> {
    time: Option<Time>,
    host: &'a [u8],
    unit: &'a [u8],
    transport: &'a [u8],
    identifier: &'a [u8],
    command: &'a [u8],
    pid: Option<u32>,
    message: Option<&'a [u8]>,
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl<'a> Entry<'a> {
    /// Takes a field in.
    fn set(&mut self, name: &[u8], value: &'a [u8]) {
        match name {
            b"__REALTIME_TIMESTAMP" => self.time = number(value).map(Time),
            b"MESSAGE" => self.message = self.message.or(Some(value)),
            b"_HOSTNAME" => self.host = value,
            b"_SYSTEMD_UNIT" => self.unit = value,
            b"_TRANSPORT" => self.transport = value,
            b"SYSLOG_IDENTIFIER" => self.identifier = value,
            b"_COMM" => self.command = value,
            b"_PID" => self.pid = number(value),
            b"SYSLOG_PID" => self.pid = self.pid.or(number(value)),
            _ => {}
        }
    }

    fn open(self, pieces: &mut Pieces) -> Opened<'a> {
        if self.time.is_none() {
            return Opened::Reject("not an entry of the journal");
        }
        let Some(message) = self.message.filter(|message| !message.is_empty()) else { return Opened::Skip("an entry without a message") };
        let program = if self.identifier.is_empty() { self.command } else { self.identifier };
        let some = |text: &'a [u8]| (!text.is_empty()).then(|| BStr::new(text));
        let note = Note { time: self.time, host: some(self.host), program: some(program), pid: self.pid };
        let of = [self.host, self.unit, self.transport, program];
        let pid = self.pid.unwrap_or(0).to_le_bytes();
        let (part, payload) = match pieces.take(message, program, lane(&[self.host, self.unit, program, &pid])) {
            (Some(part), text) => (part, text),
            (None, text) => (Part::Line, text),
        };
        Opened::Carried(Carried { payload, lane: lane(&of), part, note })
    }
}

struct Export(Pieces);

impl Envelope for Export {
    fn open<'a>(&mut self, record: &'a [u8], _: &'a Bump) -> Opened<'a> {
        let mut entry = Entry::default();
        let mut rest = record;
        while !rest.is_empty() {
            let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (name, value, used) = match memchr::memchr(b'=', rest.get(..line).unwrap_or_default()) {
                Some(equals) => (rest.get(..equals), rest.get(equals + 1..line), line + 1),
                None => match field(rest) {
                    Field::Counted(begin, len) => {
                        let end = begin.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
                        (rest.get(..line), rest.get(begin..end.min(rest.len())), end.saturating_add(1))
                    }
                    _ => break,
                },
            };
            let (Some(name), Some(value)) = (name, value) else { break };
            entry.set(name, value);
            rest = rest.get(used..).unwrap_or_default();
        }
        entry.open(&mut self.0)
    }
}

/// What stands before each field of the verbose form.
const MARGIN: &[u8] = b"    ";

struct Verbose(Calendar, Pieces);

impl Envelope for Verbose {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not an entry of the journal");
        let (head, mut rest) = record.split_at(memchr::memchr(b'\n', record).unwrap_or(record.len()));
        if head.starts_with(b"-- ") && head.ends_with(b" --") {
            return Opened::Skip("a line of the relay itself");
        }
        let Some((used, time)) = self.0.stamp(head) else { return OTHER };
        if !head.get(used..).is_some_and(|cursor| cursor.starts_with(b" [s=") && cursor.ends_with(b"]")) {
            return OTHER;
        }
        let mut entry = Entry { time, ..Entry::default() };
        // A field begins with the margin and no further blank.
        while let Some(field) = rest.strip_prefix(b"\n").and_then(|line| line.strip_prefix(MARGIN)) {
            let within = |line: &[u8]| line.starts_with(b"     ");
            let mut end = memchr::memchr(b'\n', field).unwrap_or(field.len());
            while field.get(end + 1..).is_some_and(within) {
                let line = field.get(end + 1..).unwrap_or_default();
                end += 1 + memchr::memchr(b'\n', line).unwrap_or(line.len());
            }
            let (text, behind) = field.split_at(end);
            rest = behind;
            let Some(equals) = memchr::memchr(b'=', text) else { continue };
            let (name, value) = (text.get(..equals).unwrap_or_default(), text.get(equals + 1..).unwrap_or_default());
            if name == b"MESSAGE" && left_out(value) {
                return Opened::Reject("a message that journalctl left out: add --all");
            }
            entry.set(name, outdented(value, MARGIN.len() + name.len() + 1, arena).unwrap_or(value));
        }
        entry.time = time;
        entry.open(&mut self.1)
    }
}

struct Json(Pieces);

#[derive(Deserialize)]
struct JsonEntry<'a> {
    #[serde(borrow, rename = "__REALTIME_TIMESTAMP")]
    time: Cow<'a, str>,
    #[serde(borrow, default, rename = "MESSAGE")]
    message: Message<'a>,
    #[serde(borrow, default, rename = "_HOSTNAME")]
    host: Loose<'a>,
    #[serde(borrow, default, rename = "_SYSTEMD_UNIT")]
    unit: Loose<'a>,
    #[serde(borrow, default, rename = "_TRANSPORT")]
    transport: Loose<'a>,
    #[serde(borrow, default, rename = "SYSLOG_IDENTIFIER")]
    identifier: Loose<'a>,
    #[serde(borrow, default, rename = "_COMM")]
    command: Loose<'a>,
    #[serde(borrow, default, rename = "_PID")]
    pid: Loose<'a>,
    #[serde(borrow, default, rename = "SYSLOG_PID")]
    syslog_pid: Loose<'a>,
}

impl Envelope for Json {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        let record = record.strip_prefix(b"data: ").unwrap_or(record);
        let Ok(found) = serde_json::from_str::<JsonEntry<'a>>(utf8(record, arena)) else {
            return Opened::Reject("not an entry of the journal");
        };
        let bytes = |value: Loose<'a>| value.keep(arena).unwrap_or_default().as_bytes();
        let message: Option<&'a [u8]> = match found.message {
            Message::Nothing => None,
            Message::TooLong => return Opened::Reject("a message that journalctl left out: add --all"),
            Message::Is(Cow::Borrowed(text)) => Some(text),
            Message::Is(Cow::Owned(text)) => Some(arena.alloc_slice_copy(&text)),
        };
        let entry = Entry {
            time: number(found.time.as_bytes()).map(Time),
            host: bytes(found.host),
            unit: bytes(found.unit),
            transport: bytes(found.transport),
            identifier: bytes(found.identifier),
            command: bytes(found.command),
            pid: number(bytes(found.pid)).or(number(bytes(found.syslog_pid))),
            message,
        };
        entry.open(&mut self.0)
    }
}

/// Text, an array of bytes, null where it is too long, or several of these, of which the first counts.
#[derive(Default)]
enum Message<'a> {
    #[default]
    Nothing,
    TooLong,
    Is(Cow<'a, [u8]>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(MessageVisitor)
    }
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or bytes")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Message::Is(Cow::Borrowed(text.as_bytes())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Message::Is(Cow::Owned(text.as_bytes().to_vec())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Message::TooLong)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let (mut bytes, mut first) = (Vec::new(), None);
        while let Some(element) = seq.next_element::<Element<'de>>()? {
            match element {
                Element::Byte(byte) => bytes.push(byte),
                Element::Message(message) => first = first.or(Some(message)),
            }
        }
        Ok(first.unwrap_or(Message::Is(Cow::Owned(bytes))))
    }
}

enum Element<'a> {
    Byte(u8),
    Message(Message<'a>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct ElementVisitor;
        impl<'de> Visitor<'de> for ElementVisitor {
            type Value = Element<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte, or a message")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                u8::try_from(number).map(Element::Byte).map_err(|_| E::custom("not a byte"))
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                MessageVisitor.visit_borrowed_str(text).map(Element::Message)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                MessageVisitor.visit_str(text).map(Element::Message)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Element::Message(Message::TooLong))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element::<u8>()? {
                    bytes.push(byte);
                }
                Ok(Element::Message(Message::Is(Cow::Owned(bytes))))
            }
        }
        json.deserialize_any(ElementVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FormatOptions;
    use crate::framing::testing::{frames, in_pieces};

    fn counted(name: &str, value: &[u8]) -> Vec<u8> {
        [name.as_bytes(), b"\n", &(value.len() as u64).to_le_bytes(), value, b"\n"].concat()
    }

    fn messages(kind: &Kind, log: &[u8]) -> Vec<Result<String, &'static str>> {
        let arena = Bump::new();
        let mut envelope = (kind.open)(&FormatOptions::default());
        let (records, _) = frames((kind.framer)(log).as_mut(), log, More::Closed);
        let opened = records.into_iter().map(|record| match envelope.open(record, &arena) {
            Opened::Carried(carried) => Ok(String::from_utf8_lossy(carried.payload).into_owned()),
            Opened::Skip(reason) | Opened::Reject(reason) => Err(reason),
            Opened::Several(_) => Err("several"),
        });
        opened.collect()
    }

    #[test]
    fn entries_of_the_export_format() {
        let hostile = b"a\n\n__REALTIME_TIMESTAMP=1\nMESSAGE=forged\n\n";
        let log = [
            &b"__CURSOR=s\n__REALTIME_TIMESTAMP=1795314089200000\nMESSAGE=one=1\n_PID=7\n\n"[..],
            b"__REALTIME_TIMESTAMP=1795314089200001\n",
            &counted("MESSAGE", hostile),
            b"_HOSTNAME=db1\n\n__REALTIME_TIMESTAMP=1\n_PID=7\n\nnonsense\n",
            b"__REALTIME_TIMESTAMP=1795314089200002\nMESSAGE=two\n",
        ]
        .concat();
        let want = [
            Ok("one=1".to_owned()),
            Ok(String::from_utf8_lossy(hostile).into_owned()),
            Err("an entry without a message"),
            Err("not an entry of the journal"),
            Ok("two".to_owned()),
        ];
        assert_eq!(messages(&EXPORT, &log), want);
        let whole = in_pieces(&mut Entries::default(), &log, log.len());
        for size in 1..9 {
            assert_eq!(in_pieces(&mut Entries::default(), &log, size), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn an_oversized_entry_is_cut_and_its_rest_passed_over() {
        let mut log = b"__REALTIME_TIMESTAMP=1\n".to_vec();
        log.extend(counted("MESSAGE", &vec![b'\n'; 3 << 20]));
        log.extend(b"_PID=1\n\n__REALTIME_TIMESTAMP=2\nMESSAGE=two\n\n");
        for size in [1000, 100_000, log.len()] {
            let records = in_pieces(&mut Entries::default(), &log, size);
            let lengths: Vec<usize> = records.iter().map(Vec::len).collect();
            assert_eq!(lengths, [HEAD, 35], "in pieces of {size}");
        }
    }

    #[test]
    fn entries_as_json() {
        let entry = |message: &str| format!("{{\"__REALTIME_TIMESTAMP\":\"1795314089200000\",\"_PID\":\"7\",\"MESSAGE\":{message}}}\n");
        for (message, want) in [
            (r#""a \"b\"""#, Ok("a \"b\"".to_owned())),
            ("[97,10,98]", Ok("a\nb".to_owned())),
            (r#"["one","two"]"#, Ok("one".to_owned())),
            ("[[97],[98]]", Ok("a".to_owned())),
            ("null", Err("a message that journalctl left out: add --all")),
            ("[256]", Err("not an entry of the journal")),
            ("7", Err("not an entry of the journal")),
        ] {
            assert_eq!(messages(&JSON, entry(message).as_bytes()), [want], "{message}");
        }
        assert_eq!(messages(&JSON, b"{\"MESSAGE\":\"x\"}\n{\n"), [const { Err("not an entry of the journal") }; 2]);
    }
}
