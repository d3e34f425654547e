//! PostgreSQL's jsonlog (15 and later): one object a line.
//!
//! ```text
//! {"timestamp":"2026-11-22 02:05:17.641 UTC","user":"tok_web","dbname":"appdb","pid":1013,"remote_host":"127.0.0.1","remote_port":38582,"session_id":"6b024ddd.3f5","line_num":5,"ps":"idle","error_severity":"LOG","message":"statement: SELECT 1",...}
//! ```
//!
//! NULL keys are left out, control characters escaped, so no client can write a line of its own. Bytes are in the server's encoding and need not
//! be UTF-8; they are taken as they stand, as csvlog does. See
//! <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-JSONLOG>.

use std::fmt;

use bumpalo::Bump;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::csvlog::phase;
use super::message::{self, Fields};
use super::plan::Recent;
use super::severity::{Severity, severity};
use super::translated::english;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::Address;
use crate::framing::lines::Lines;

pub const FORMAT: Format = Format {
    name: "postgres-json",
    about: "PostgreSQL jsonlog (log_destination = jsonlog), with pgaudit",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(JsonLog::new(options))),
    guide: Guide {
        system: "PostgreSQL 15 to 18",
        switch_on: "`log_destination = jsonlog`, `logging_collector = on`, `log_connections = on`, `log_disconnections = on`, and `log_statement = all` or pgaudit",
        fields: &[
            ("time", "`timestamp`"),
            ("principal", "`user`; verified once the session is authorised"),
            ("address", "`remote_host`; seen by the server"),
            ("port", "`remote_port`"),
            ("database", "`dbname`"),
            ("client", "`application_name`; the client's own word"),
            ("session", "`session_id`"),
            ("statement", "`message` after `statement:`, `execute` or pgaudit's field; `statement` of errors"),
            ("operation", "pgaudit's COMMAND, else the statement"),
            ("objects", "pgaudit's OBJECT_NAME, else the statement"),
            ("outcome", "`error_severity` and `state_code`"),
            ("code", "`state_code`, SQLSTATE"),
            ("rows", "pgaudit with `pgaudit.log_rows`"),
            ("duration", "`message` after `duration:`"),
            ("kind", "`message`"),
        ],
        forgery: "No record of another: all client text is escaped. An account with `RAISE` can log a text that looks like a statement or an audit entry, under its own name",
        ignored: "Messages of background processes and notices: kept as `other`",
        source: "<https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-JSONLOG>",
    },
};

/// Lines of a sample that are tried.
const TRIED: usize = 200;

fn sniff(sample: &[u8], options: &Options) -> Guess {
    if !sample.starts_with(b"{") {
        return Guess::NO;
    }
    let (mut decoder, mut arena) = (JsonLog::new(options), Bump::new());
    let mut lines: Vec<&[u8]> = sample.split(|b| *b == b'\n').filter(|l| !l.is_empty()).take(TRIED + 1).collect();
    if lines.len() > 1 {
        lines.pop(); // perhaps cut
    }
    let mut good = 0;
    for line in &lines {
        let record = Record::new(line);
        good += usize::from(matches!(decoder.decode(record, &arena), Decoded::Event(_)));
        arena.reset();
    }
    if good == 0 {
        return Guess::NO;
    }
    let all = lines.len();
    Guess::new((99 * good / all) as u8, format!("{good} of the first {all} lines have the keys of PostgreSQL's jsonlog"))
}

struct JsonLog {
    times: Timestamps,
    recent: Recent,
}

impl JsonLog {
    fn new(options: &Options) -> Self {
        JsonLog { times: Timestamps::new(options.zone.clone()), recent: Recent::default() }
    }
}

/// The keys that are used, unescaped.
#[derive(Debug, Default)]
struct Row<'a> {
    timestamp: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    dbname: Option<&'a [u8]>,
    pid: Option<u64>,
    remote_host: Option<&'a [u8]>,
    remote_port: Option<u64>,
    session_id: Option<&'a [u8]>,
    ps: Option<&'a [u8]>,
    error_severity: Option<&'a [u8]>,
    state_code: Option<&'a [u8]>,
    message: Option<&'a [u8]>,
    context: bool,
    detail: Option<&'a [u8]>,
    statement: Option<&'a [u8]>,
    application_name: Option<&'a [u8]>,
    backend_type: Option<&'a [u8]>,
}

impl Decoder for JsonLog {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let mut row = Row::default();
        let mut json = serde_json::Deserializer::from_slice(record.bytes);
        let read = RowSeed { row: &mut row, arena }.deserialize(&mut json).and_then(|()| json.end());
        // A record that was cut is no JSON any more, but the keys before the cut are read by then.
        if read.is_err() && !record.truncated {
            return Decoded::Reject("not a json object of postgres");
        }
        let (Some(stamp), Some(level), Some(_pid)) = (row.timestamp, row.error_severity, row.pid) else {
            return Decoded::Reject("not a json object of postgres");
        };
        let Ok(time) = self.times.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let code = row.state_code.unwrap_or_default();
        let fields = Fields {
            time,
            user: row.user,
            database: row.dbname,
            address: row.remote_host.and_then(Address::parse),
            port: row.remote_port.and_then(|p| u16::try_from(p).ok()),
            session: row.session_id,
            application: row.application_name,
            severity: severity(level).unwrap_or(if code.is_empty() { Severity::Log } else { Severity::Error }),
            code,
            message: english(row.message.unwrap_or_default(), arena),
            context: row.context,
            detail: row.detail.map(|detail| english(detail, arena)),
            query: row.statement,
            phase: phase(row.ps.unwrap_or_default(), row.backend_type.unwrap_or_default()),
            truncated: record.truncated,
            suspect: record.suspect,
        };
        let mut event = message::event(&fields, arena);
        self.recent.settle(&mut event, fields.message);
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.recent.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.recent.restore(state);
    }
}

/// Reads an object into a [`Row`]; keys read before an error stay.
struct RowSeed<'r, 'a> {
    row: &'r mut Row<'a>,
    arena: &'a Bump,
}

impl<'a> DeserializeSeed<'a> for RowSeed<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for RowSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of postgres' jsonlog")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { row, arena } = self;
        let text = Text(arena);
        while let Some(key) = map.next_key_seed(Text(arena))? {
            match key.unwrap_or_default() {
                b"timestamp" => row.timestamp = map.next_value_seed(text)?,
                b"user" => row.user = map.next_value_seed(text)?,
                b"dbname" => row.dbname = map.next_value_seed(text)?,
                b"pid" => row.pid = map.next_value()?,
                b"remote_host" => row.remote_host = map.next_value_seed(text)?,
                b"remote_port" => row.remote_port = map.next_value()?,
                b"session_id" => row.session_id = map.next_value_seed(text)?,
                b"ps" => row.ps = map.next_value_seed(text)?,
                b"error_severity" => row.error_severity = map.next_value_seed(text)?,
                b"state_code" => row.state_code = map.next_value_seed(text)?,
                b"message" => row.message = map.next_value_seed(text)?,
                b"detail" => row.detail = map.next_value_seed(text)?,
                b"statement" => row.statement = map.next_value_seed(text)?,
                b"application_name" => row.application_name = map.next_value_seed(text)?,
                b"backend_type" => row.backend_type = map.next_value_seed(text)?,
                b"context" => {
                    map.next_value::<IgnoredAny>()?;
                    row.context = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Text as bytes: borrowed from the line, or from the arena where it had escapes. `null` is `None`.
#[derive(Clone, Copy)]
struct Text<'a>(&'a Bump);

impl<'a> DeserializeSeed<'a> for Text<'a> {
    type Value = Option<&'a [u8]>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'a> Visitor<'a> for Text<'a> {
    type Value = Option<&'a [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_bytes<E>(self, text: &'a [u8]) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_bytes<E>(self, text: &[u8]) -> Result<Self::Value, E> {
        Ok(Some(self.0.alloc_slice_copy(text)))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(text.as_bytes()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(self.0.alloc_slice_copy(text.as_bytes())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Kind};

    fn event<'a>(text: &'a [u8], truncated: bool, arena: &'a Bump) -> Result<Event<'a>, &'static str> {
        match JsonLog::new(&Options::default()).decode(Record { truncated, ..Record::new(text) }, arena) {
            Decoded::Event(event) => Ok(event),
            Decoded::Reject(reason) | Decoded::Skip(reason) => Err(reason),
        }
    }

    const LINE: &[u8] = br#"{"timestamp":"2026-11-22 02:05:17.641 UTC","user":"u","pid":1,"remote_host":"::1","remote_port":5,"ps":"idle","error_severity":"LOG","message":"statement: SELECT \"x\"\n","query_id":0,"later":{"a":[1]}}"#;

    #[test]
    fn a_line() {
        let arena = Bump::new();
        let event = event(LINE, false, &arena).unwrap();
        assert_eq!((event.kind, event.statement), (Kind::Query, Some("SELECT \"x\"\n".into())));
        assert_eq!(event.port, Some(5));
    }

    #[test]
    fn bytes_that_are_not_utf8_stay_as_they_are() {
        let arena = Bump::new();
        let line = LINE.iter().map(|b| if *b == b'x' { 0xff } else { *b }).collect::<Vec<_>>();
        let event = event(&line, false, &arena).unwrap();
        assert_eq!(event.statement, Some(bstr::BStr::new(b"SELECT \"\xff\"\n")));
    }

    #[test]
    fn a_cut_line_keeps_what_stands_before_the_cut() {
        let arena = Bump::new();
        let cut = &LINE[..LINE.len() - 30];
        assert_eq!(event(cut, true, &arena).map(|e| (e.kind, e.truncated)), Ok((Kind::Query, true)));
        assert_eq!(event(cut, false, &arena).map(|_| ()), Err("not a json object of postgres"));
        assert!(event(b"{}", false, &arena).is_err());
        assert!(event(b"[1]", false, &arena).is_err());
    }
}
