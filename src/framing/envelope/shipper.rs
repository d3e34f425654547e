//! What log shippers put around each line.
//!
//! ```text
//! {"@timestamp":"2026-11-22T02:21:29.104Z","message":"...","log":{"file":{"path":"/var/log/x.log"},"offset":812},"agent":{"type":"filebeat"}}
//! {"file":"/var/log/x.log","host":"db1","message":"...","source_type":"file","timestamp":"2026-11-22T02:21:29.3Z"}
//! {"date":1795314089.2,"log":"..."}
//! {"_index":"logs","_source":{"@timestamp":"2026-11-22T02:21:29.104Z","event":{"original":"..."}}}
//! ```
//!
//! Filebeat, Vector, and whatever has its text under `message` or `log`, as Fluent Bit and Fluentd have, or under another usual name. The first two say where they read the
//! text; of the others nobody knows who wrote it, so their records alert and never revoke. What a source's `envelope = "/pointer"`
//! names is opened here as well. Sources: <https://www.elastic.co/guide/en/beats/filebeat/current/exported-fields-log.html>,
//! <https://vector.dev/docs/reference/configuration/sources/file/>, <https://docs.fluentbit.io/manual/pipeline/inputs/tail>

use std::borrow::Cow;

use bstr::BStr;
use bumpalo::Bump;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bundle::Labels;
use super::rfc3339::rfc3339;
use super::text::{Fields, Loose, keep, member, read, utf8};
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane, lane_within};
use crate::config::FormatOptions;
use crate::framing::json::Objects;

pub const FILEBEAT: Kind = Kind {
    name: "filebeat",
    about: "Filebeat and Elastic Agent",
    forgeable: false,
    arrays: Some(&[]),
    framer: |_| Box::new(Objects::new(&[])),
    open: |_| Box::new(Shipper(|s| s.at.is_there() && (s.agent.is_there() || s.beat.is_there() || matches!(s.log, Loose::Object(_))))),
};

pub const VECTOR: Kind = Kind {
    name: "vector",
    about: "Vector",
    forgeable: false,
    arrays: Some(&[]),
    framer: |_| Box::new(Objects::new(&[])),
    open: |_| Box::new(Shipper(|s| s.source_type.text().is_some() && s.timestamp.is_there())),
};

pub const ORIGINAL: Kind = Kind {
    name: "ecs-original",
    about: "documents of Elastic's pipelines that keep the log's text in `event.original`, and what tests of pipelines begin with",
    // Whoever writes documents into the index can write these.
    forgeable: true,
    arrays: Some(&["events"]),
    framer: |_| Box::new(Objects::new(&["events"])),
    open: |_| Box::new(Originals),
};

pub const INDEXED: Kind = Kind {
    name: "search-index",
    about: "documents out of Elasticsearch or OpenSearch (`_index`, `_source`)",
    forgeable: true,
    arrays: Some(&["hits/hits"]),
    framer: |_| Box::new(Objects::new(&["hits/hits"])),
    open: |_| Box::new(Indexed),
};

pub const RELAY: Kind = Kind {
    name: "relay",
    about: "JSON with the text under `message`, `log` or another usual name: Fluent Bit, Fluentd, GELF, Loki, Splunk, Wazuh and others",
    forgeable: true,
    arrays: Some(&[]),
    framer: |_| Box::new(Objects::new(&[])),
    // An object that has a statement of its own is the record, whatever its message says.
    open: |_| Box::new(Shipper(|s| !s.statement.is_there() && !s.query.is_there() && !s.sql.is_there())),
};

pub const MAPPED: Kind = Kind {
    name: "mapped",
    about: "JSON with the text where the source's `envelope` says",
    forgeable: true,
    arrays: Some(&[]),
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
    /// What the runtime said of a line that Fluent Bit took from Kubernetes: `P` where it goes on.
    logtag: Loose<'a>,
    json: Loose<'a>,
    full_message: Loose<'a>,
    short_message: Loose<'a>,
    insights: Loose<'a>,
    raw: Loose<'a>,
    full_log: Loose<'a>,
    log_message: Loose<'a>,
    line: Loose<'a>,
    labels: Loose<'a>,
    event: Loose<'a>,
    sourcetype: Loose<'a>,
    /// Stern's.
    namespace: Loose<'a>,
    pod_name: Loose<'a>,
    stern_container: Loose<'a>,
}

impl<'a> Shipped<'a> {
    /// The lane within this one where more tells logs apart: the container in a pod, the labels of Loki.
    fn lane_within(&self, lane: u64, whole: &str) -> u64 {
        let within = |object: &str, keys: [&str; 2]| -> Option<[&[u8]; 2]> {
            let object = member(whole.as_bytes(), object)?;
            Some(keys.map(|key| member(object, key).unwrap_or_default()))
        };
        if let Some([namespace, container]) =
            self.kubernetes.is_there().then(|| within("kubernetes", ["namespace_name", "container_name"])).flatten()
            && !(namespace.is_empty() && container.is_empty())
        {
            return lane_within(lane, &[namespace, container]);
        }
        if self.pod_name.is_there() {
            return lane_within(lane, &[self.namespace.name(), self.pod_name.name(), self.stern_container.name()].map(str::as_bytes));
        }
        if self.labels.is_there()
            && self.line.is_there()
            && let Some(labels) = member(whole.as_bytes(), "labels")
            && let Ok(labels) = serde_json::from_slice::<Labels<'_>>(labels)
        {
            return lane_within(lane, &[&labels.lane().to_le_bytes()]);
        }
        lane
    }

    /// The text under the first of the usual names that has one.
    fn text(self) -> Option<Cow<'a, str>> {
        let loki = if self.labels.is_there() { self.line } else { Loose::Nothing };
        let splunk = if self.sourcetype.is_there() { self.event } else { Loose::Nothing };
        let (message, log) = (self.message, self.log);
        let others = [self.full_message, self.short_message, self.insights, self.raw, self.full_log, self.log_message, loki, splunk];
        [message, log].into_iter().chain(others).find_map(|text| match text {
            Loose::Text(text) => Some(text),
            _ => None,
        })
    }
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
            "logtag" | "_p" => (20, &mut self.logtag),
            "json" => (21, &mut self.json),
            "full_message" => (22, &mut self.full_message),
            "short_message" => (23, &mut self.short_message),
            "@message" => (24, &mut self.insights),
            "_raw" => (25, &mut self.raw),
            "full_log" => (26, &mut self.full_log),
            "LogMessage" => (27, &mut self.log_message),
            "line" => (28, &mut self.line),
            "labels" => (29, &mut self.labels),
            "event" => (30, &mut self.event),
            "sourcetype" => (31, &mut self.sourcetype),
            "namespace" => (32, &mut self.namespace),
            "podName" => (33, &mut self.pod_name),
            "containerName" => (34, &mut self.stern_container),
            _ => return None,
        })
    }
}

struct Shipper(fn(&Shipped<'_>) -> bool);

impl Envelope for Shipper {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not of this log shipper");
        let whole = utf8(record, arena);
        let Some(shipped) = read::<Shipped<'a>>(whole) else { return OTHER };
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
        let lane = shipped.lane_within(lane(&of.map(str::as_bytes)), whole);
        let time = [&shipped.at, &shipped.timestamp, &shipped.time].into_iter().find_map(|time| rfc3339(time.text()?.as_bytes()));
        let host = match (shipped.host.name(), shipped.hostname.name()) {
            ("", host) | (host, _) => Some(host).filter(|host| !host.is_empty()).map(|host| BStr::new(arena.alloc_str(host))),
        };
        let note = Note { time, host, ..Note::default() };
        let goes_on = shipped.logtag.text().is_some_and(|tag| tag == "P" || tag.starts_with("P:"));
        let object = shipped.json.is_there() && shipped.at.is_there();
        let Some(text) = shipped.text() else {
            // Filebeat has read an object already.
            return match member(whole.as_bytes(), "json").filter(|json| object && json.starts_with(b"{")) {
                Some(payload) => Opened::Carried(Carried { payload, lane, part: Part::Record, note }),
                None => OTHER,
            };
        };
        let text = keep(text, arena);
        if goes_on && !text.is_empty() {
            return Opened::Carried(Carried { payload: text.as_bytes(), lane, part: Part::Piece, note });
        }
        carried(text, lane, note)
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

struct Originals;

/// A document: the text in `event.original`, or (as the tests of pipelines have it) nothing but a message or an object.
#[derive(Default)]
struct Document<'a> {
    event: Option<Original<'a>>,
    at: Loose<'a>,
    message: Loose<'a>,
    json: Option<&'a RawValue>,
    /// There are other fields.
    others: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier)]
enum Name {
    #[serde(rename = "event")]
    Event,
    #[serde(rename = "@timestamp")]
    At,
    #[serde(rename = "message")]
    Message,
    #[serde(rename = "json")]
    Json,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut found, mut seen) = (Document::default(), 0u8);
        while let Some(name) = map.next_key::<Name>()? {
            let bit = match name {
                Name::Other => 0,
                known => 1 << known as u8,
            };
            if seen & bit != 0 {
                return Err(M::Error::custom("a field stands twice"));
            }
            seen |= bit;
            match name {
                Name::Event => found.event = map.next_value()?,
                Name::At => found.at = map.next_value()?,
                Name::Message => found.message = map.next_value()?,
                Name::Json => found.json = map.next_value()?,
                Name::Other => {
                    found.others = true;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[derive(Deserialize)]
struct Original<'a> {
    #[serde(borrow, default)]
    original: Loose<'a>,
    #[serde(borrow, default)]
    dataset: Loose<'a>,
}

impl Envelope for Originals {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("no event.original");
        let text = utf8(record, arena);
        let Ok(found) = serde_json::from_str::<Document<'a>>(text) else { return OTHER };
        let note = Note { time: found.at.text().and_then(|time| rfc3339(time.as_bytes())), ..Note::default() };
        let (original, dataset) = found.event.map_or((Loose::Nothing, Loose::Nothing), |event| (event.original, event.dataset));
        let lane = lane(&[dataset.name().as_bytes()]);
        match (original, found.message, found.json.map(|json| json.get().as_bytes())) {
            (Loose::Text(original), ..) => carried(keep(original, arena), lane, note),
            _ if found.others => OTHER,
            (_, Loose::Text(message), _) => carried(keep(message, arena), lane, note),
            (_, _, Some(payload @ [b'{', ..])) => Opened::Carried(Carried { payload, lane, part: Part::Record, note }),
            _ => OTHER,
        }
    }
}

struct Indexed;

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(borrow, rename = "_index")]
    index: Cow<'a, str>,
    #[serde(borrow, rename = "_source")]
    source: &'a RawValue,
}

impl Envelope for Indexed {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("no document of a search index");
        let text = utf8(record, arena);
        let Ok(hit) = serde_json::from_str::<Hit<'a>>(text) else { return OTHER };
        let payload = hit.source.get().as_bytes();
        if !payload.starts_with(b"{") {
            return OTHER;
        }
        Opened::Carried(Carried { payload, lane: lane(&[hit.index.as_bytes()]), part: Part::Record, note: Note::default() })
    }
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
    fn what_tells_logs_apart() {
        let arena = Bump::new();
        let lane = |record: &str| match (RELAY.open)(&FormatOptions::default()).open(arena.alloc_str(record).as_bytes(), &arena) {
            Opened::Carried(found) => found.lane,
            other => panic!("{record}: {other:?}"),
        };
        for [one, same, other] in [
            [
                r#"{"log":"a","kubernetes":{"pod_name":"p","namespace_name":"n","container_name":"c"}}"#,
                r#"{"kubernetes":{"container_name":"c","namespace_name":"n","pod_name":"p"},"log":"b"}"#,
                r#"{"log":"a","kubernetes":{"pod_name":"p","namespace_name":"n","container_name":"d"}}"#,
            ],
            [
                r#"{"message":"a","namespace":"n","podName":"p","containerName":"c"}"#,
                r#"{"message":"b","namespace":"n","podName":"p","containerName":"c"}"#,
                r#"{"message":"a","namespace":"n","podName":"p","containerName":"d"}"#,
            ],
            [
                r#"{"labels":{"job":"x","level":"info"},"line":"a","timestamp":"2026-11-22T02:21:29Z"}"#,
                r#"{"labels":{"level":"error","job":"x"},"line":"b","timestamp":"2026-11-22T02:21:29Z"}"#,
                r#"{"labels":{"job":"y","level":"info"},"line":"a","timestamp":"2026-11-22T02:21:29Z"}"#,
            ],
        ] {
            assert_eq!(lane(one), lane(same), "{one}");
            assert_ne!(lane(one), lane(other), "{one}");
        }
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
        check(&RELAY, r#"{"version":"1.1","host":"h","short_message":"a","full_message":"a b","level":6}"#, Some("a b"));
        check(&RELAY, r#"{"labels":{"job":"x"},"line":"a","timestamp":"2026-11-22T02:21:29Z"}"#, Some("a"));
        check(&RELAY, r#"{"message":"a","nodeName":"n","namespace":"d","podName":"db-0","containerName":"postgres"}"#, Some("a"));
        check(&RELAY, r#"{"line":"a"}"#, None);
        check(&RELAY, r#"{"time":1795314089.2,"host":"h","sourcetype":"x","event":"a"}"#, Some("a"));
        check(&RELAY, r#"{"event":"a"}"#, None);
        check(&RELAY, r#"{"log":"a","stream":"stdout","logtag":"P","kubernetes":{"pod_name":"p"}}"#, Some("a"));
        check(&FILEBEAT, r#"{"@timestamp":"2026-11-22T02:21:29Z","agent":{"type":"filebeat"},"json":{"a":1}}"#, Some(r#"{"a":1}"#));
        check(
            &ORIGINAL,
            r#"{"@timestamp":"2026-11-22T02:21:29Z","event":{"dataset":"x","original":"a \"b\""},"message":"b"}"#,
            Some("a \"b\""),
        );
        check(&ORIGINAL, r#"{"event":"x"}"#, None);
        check(&ORIGINAL, r#"{"json":{"a":1}}"#, Some(r#"{"a":1}"#));
        check(&ORIGINAL, r#"{"message":"a"}"#, Some("a"));
        check(&ORIGINAL, r#"{"message":"a","host":"h"}"#, None);
        check(&INDEXED, r#"{"_index":"i","_id":"1","_source":{"a":{"_source":1}}}"#, Some(r#"{"a":{"_source":1}}"#));
        check(&INDEXED, r#"{"_source":{"a":1}}"#, None);
        for torn in ["", "{", "[]", "7", r#"{"log":"a"#, r#"{"log":"a"}x"#] {
            check(&RELAY, torn, None);
        }
    }
}
