//! What log shippers put around each line.
//!
//! ```text
//! {"@timestamp":"2026-11-22T02:21:29.104Z","message":"...","log":{"file":{"path":"/var/log/x.log"},"offset":812},"agent":{"type":"filebeat"}}
//! {"file":"/var/log/x.log","host":"db1","message":"...","source_type":"file","timestamp":"2026-11-22T02:21:29.3Z"}
//! {"date":1795314089.2,"log":"..."}
//! ```
//!
//! Filebeat, Vector, and whatever has its text under `message` or `log`, as Fluent Bit and Fluentd have. The first two say where they read the
//! text; of the others nobody knows who wrote it, so their records alert and never revoke. What a source's `envelope = "/pointer"`
//! names is opened here as well. Sources: <https://www.elastic.co/guide/en/beats/filebeat/current/exported-fields-log.html>,
//! <https://vector.dev/docs/reference/configuration/sources/file/>, <https://docs.fluentbit.io/manual/pipeline/inputs/tail>

use bstr::BStr;
use bumpalo::Bump;

use super::rfc3339::rfc3339;
use super::text::{Fields, Loose, read, utf8};
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::config::FormatOptions;
use crate::framing::json::Objects;

pub const FILEBEAT: Kind = Kind {
    name: "filebeat",
    about: "Filebeat and Elastic Agent",
    forgeable: false,
    framer: |_| Box::new(Objects::new(&[])),
    open: |_| Box::new(Shipper(|s| s.at.is_there() && (s.agent.is_there() || s.beat.is_there() || matches!(s.log, Loose::Object(_))))),
};

pub const VECTOR: Kind = Kind {
    name: "vector",
    about: "Vector",
    forgeable: false,
    framer: |_| Box::new(Objects::new(&[])),
    open: |_| Box::new(Shipper(|s| s.source_type.text().is_some() && s.timestamp.is_there())),
};

pub const RELAY: Kind = Kind {
    name: "relay",
    about: "JSON with the text under `message` or `log`: Fluent Bit, Fluentd and others",
    forgeable: true,
    framer: |_| Box::new(Objects::new(&[])),
    // An object that has a statement of its own is the record, whatever its message says.
    open: |_| Box::new(Shipper(|s| !s.statement.is_there() && !s.query.is_there() && !s.sql.is_there())),
};

pub const MAPPED: Kind = Kind {
    name: "mapped",
    about: "JSON with the text where the source's `envelope` says",
    forgeable: true,
    framer: |_| Box::new(Objects::new(&[])),
    open: |options| Box::new(Mapped::new(options)),
};

/// The fields by which shippers are told apart, and logs.
#[derive(Default)]
struct Shipped<'a> {
    message: Loose<'a>,
    /// Fluent Bit's text; Filebeat's file.
    log: Loose<'a>,
    at: Loose<'a>,
    timestamp: Loose<'a>,
    time: Loose<'a>,
    host: Loose<'a>,
    hostname: Loose<'a>,
    file: Loose<'a>,
    filename: Loose<'a>,
    source: Loose<'a>,
    stream: Loose<'a>,
    kubernetes: Loose<'a>,
    container: Loose<'a>,
    container_name: Loose<'a>,
    agent: Loose<'a>,
    beat: Loose<'a>,
    source_type: Loose<'a>,
    statement: Loose<'a>,
    query: Loose<'a>,
    sql: Loose<'a>,
}

impl<'a> Fields<'a> for Shipped<'a> {
    fn field(&mut self, key: &str) -> Option<(u32, &mut Loose<'a>)> {
        Some(match key {
            "message" => (0, &mut self.message),
            "log" => (1, &mut self.log),
            "@timestamp" => (2, &mut self.at),
            "timestamp" => (3, &mut self.timestamp),
            "time" => (4, &mut self.time),
            "host" => (5, &mut self.host),
            "hostname" => (6, &mut self.hostname),
            "file" => (7, &mut self.file),
            "filename" => (8, &mut self.filename),
            "source" => (9, &mut self.source),
            "stream" => (10, &mut self.stream),
            "kubernetes" => (11, &mut self.kubernetes),
            "container" => (12, &mut self.container),
            "container_name" => (13, &mut self.container_name),
            "agent" => (14, &mut self.agent),
            "beat" => (15, &mut self.beat),
            "source_type" => (16, &mut self.source_type),
            "statement" => (17, &mut self.statement),
            "query" => (18, &mut self.query),
            "sql" => (19, &mut self.sql),
            _ => return None,
        })
    }
}

struct Shipper(fn(&Shipped<'_>) -> bool);

impl Envelope for Shipper {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not of this log shipper");
        let Some(shipped) = read::<Shipped<'a>>(utf8(record, arena)) else { return OTHER };
        if !(self.0)(&shipped) {
            return OTHER;
        }
        let of = [
            shipped.host.name(),
            shipped.hostname.name(),
            match &shipped.log {
                Loose::Object(path) => path,
                _ => "",
            },
            shipped.file.name(),
            shipped.filename.name(),
            shipped.source.name(),
            shipped.stream.name(),
            shipped.kubernetes.name(),
            shipped.container.name(),
            shipped.container_name.name(),
        ];
        let lane = lane(&of.map(str::as_bytes));
        let time = [&shipped.at, &shipped.timestamp, &shipped.time].into_iter().find_map(|time| rfc3339(time.text()?.as_bytes()));
        let text = match (shipped.message, shipped.log) {
            (text @ Loose::Text(_), _) | (_, text @ Loose::Text(_)) => text.keep(arena),
            _ => return OTHER,
        };
        let host = shipped.host.keep(arena).or(shipped.hostname.keep(arena)).map(BStr::new);
        let note = Note { time, host, ..Note::default() };
        carried(text.unwrap_or_default(), lane, note)
    }
}

/// A line without its line end.
fn carried<'a>(text: &'a str, lane: u64, note: Note<'a>) -> Opened<'a> {
    let payload = text.trim_end_matches(['\n', '\r']).as_bytes();
    if payload.is_empty() {
        return Opened::Skip("an envelope without text");
    }
    Opened::Carried(Carried { payload, lane, part: Part::Lines, note })
}

struct Mapped {
    /// A JSON pointer.
    pointer: Option<String>,
}

impl Mapped {
    fn new(options: &FormatOptions) -> Self {
        Mapped { pointer: options.mapping.as_ref().and_then(|mapping| mapping.envelope.clone()) }
    }
}

impl Envelope for Mapped {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        let Some(pointer) = &self.pointer else { return Opened::Reject("no envelope is configured") };
        let Ok(json) = serde_json::from_str::<serde_json::Value>(utf8(record, arena)) else { return Opened::Reject("not a JSON object") };
        match json.pointer(pointer).and_then(|value| value.as_str()) {
            Some(text) => carried(arena.alloc_str(text), lane(&[]), Note::default()),
            None => Opened::Reject("no text at the envelope's pointer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &Kind, record: &str, want: Option<&str>) {
        let arena = Bump::new();
        let mut envelope = (kind.open)(&FormatOptions::default());
        let got = match envelope.open(record.as_bytes(), &arena) {
            Opened::Carried(carried) => Some(std::str::from_utf8(carried.payload).unwrap().to_owned()),
            _ => None,
        };
        assert_eq!(got.as_deref(), want, "{}: {record}", kind.name);
    }

    #[test]
    fn shippers() {
        let filebeat =
            r#"{"@timestamp":"2026-11-22T02:21:29Z","message":"a \"b\"","log":{"file":{"path":"/x"},"offset":7},"host":{"name":"h"}}"#;
        check(&FILEBEAT, filebeat, Some("a \"b\""));
        check(&VECTOR, filebeat, None);
        check(&FILEBEAT, r#"{"@timestamp":"2026-11-22T02:21:29Z","message":"a","source":"/x","beat":{"name":"h"}}"#, Some("a"));
        check(&FILEBEAT, r#"{"@timestamp":"2026-11-22T02:21:29Z","message":"a"}"#, None);
        check(
            &VECTOR,
            r#"{"file":"/x","host":"h","message":"a\nb","source_type":"file","timestamp":"2026-11-22T02:21:29Z"}"#,
            Some("a\nb"),
        );
        check(&RELAY, r#"{"date":1795314089.2,"log":"a\n"}"#, Some("a"));
        check(&RELAY, r#"{"message":"a","statement":"select 1"}"#, None);
        check(&RELAY, r#"{"message":{"a":1}}"#, None);
        check(&RELAY, r#"{"log":""}"#, None);
        for torn in ["", "{", "[]", "7", r#"{"log":"a"#, r#"{"log":"a"}x"#] {
            check(&RELAY, torn, None);
        }
    }
}
