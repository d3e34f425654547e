//! Objects that hold the records of a log by the hundred: what is pushed to Loki and asked of it, and OpenTelemetry's logs as JSON.
//!
//! ```text
//! {"streams":[{"stream":{"job":"postgres","host":"db1"},"values":[["1795314089200000000","2026-11-22 02:21:29 UTC [77] LOG:  ..."],...]}]}
//! {"status":"success","data":{"resultType":"streams","result":[{"stream":{...},"values":[...]}],"stats":{...}}}
//! {"resourceLogs":[{"resource":{"attributes":[...]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"...","body":{"stringValue":"..."}}]}]}]}
//! ```
//!
//! Each of their inner records is one of its own; all stand at the place of the object that brought them. A stream's labels, and a resource's
//! attributes, tell logs apart. Whoever may push to the relay can send what he likes: such records alert and never revoke. Sources:
//! <https://grafana.com/docs/loki/latest/reference/loki-http-api/>, <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>,
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/logs/v1/logs.proto>

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bstr::BStr;
use bumpalo::Bump;
use foldhash::fast::RandomState;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::text::{FEW, Few, Loose, keep, utf8};
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::event::Time;
use crate::framing::json::Objects;
use crate::framing::{BUNDLE, Framed, Framer, MAX_RECORD, More};

const STREAMS: &[&str] = &["streams", "data/result"];
const RESOURCES: &[&str] = &["resourceLogs"];

pub const LOKI: Kind = Kind {
    name: "loki",
    about: "what is pushed to Grafana Loki, and its answers to queries",
    forgeable: true,
    arrays: Some(STREAMS),
    framer: |_| Box::new(Objects::bundles(STREAMS)),
    open: |_| Box::new(Loki::default()),
};

pub const OTLP: Kind = Kind {
    name: "otlp",
    about: "OpenTelemetry's logs as JSON (OTLP; the Collector's file and Kafka exporters)",
    forgeable: true,
    arrays: Some(RESOURCES),
    framer: |_| Box::new(Objects::bundles(RESOURCES)),
    open: |_| Box::new(Otlp),
};

/// How much of a log must be seen before anything can be said of it, where that is more than `start`: its first object is a bundle that has
/// not ended yet.
pub fn wants(start: &[u8]) -> Option<usize> {
    const KEYS: [&[u8]; 4] = [b"\"streams\"", b"\"status\"", b"\"resourceLogs\"", b"\"logEvents\""];
    let head = start.get(..start.len().min(1 << 10)).unwrap_or(start);
    if start.len() > BUNDLE || head.first() != Some(&b'{') || !KEYS.iter().any(|key| memchr::memmem::find(head, key).is_some()) {
        return None;
    }
    let (mut framer, mut rest) = (Objects::bundles(&["streams", "data/result", "resourceLogs"]), start);
    loop {
        match framer.next(rest, More::Flowing) {
            Framed::Skip { consumed, .. } => rest = rest.get(consumed..).unwrap_or_default(),
            Framed::Record(_) => return None,
            Framed::Incomplete => return Some(2 * start.len()),
        }
    }
}

/// Nanoseconds, as text or as a number.
fn nanoseconds(value: &Loose<'_>) -> Option<Time> {
    let nanos = match value {
        Loose::Text(text) => text.parse().ok()?,
        Loose::Number(number) => *number,
        _ => return None,
    };
    (nanos > 0).then_some(Time(nanos / 1000))
}

/// One line of a log without its line end, or several that were joined.
fn carried<'a>(text: &'a str, lane: u64, note: Note<'a>) -> Opened<'a> {
    match text.trim_end_matches(['\n', '\r']) {
        "" => Opened::Skip("an envelope without text"),
        text => Opened::Carried(Carried { payload: text.as_bytes(), lane, part: Part::Lines, note }),
    }
}

/// The labels of a stream of Loki, of which those that Loki finds in the lines themselves tell no logs apart.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Labels<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, Loose<'a>>);

impl<'a> Labels<'a> {
    /// The lane of the stream.
    pub fn lane(&self) -> u64 {
        const OF_LINES: [&str; 4] = ["detected_level", "level", "severity", "stream_shard"];
        let of_stream = self.0.iter().filter(|(key, _)| !OF_LINES.contains(&key.trim_matches('_')));
        let parts: Vec<&[u8]> = of_stream.flat_map(|(key, value)| [key.as_bytes(), value.name().as_bytes()]).collect();
        lane(&parts)
    }

    fn host(&mut self, arena: &'a Bump) -> Option<&'a BStr> {
        ["host", "hostname", "instance", "pod"].iter().find_map(|key| self.0.remove(*key)?.keep(arena)).map(BStr::new)
    }
}

/// A part of an object, read by itself, so that of a large one never much is taken apart at once.
fn part<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    let text = raw.get();
    if text.len() > MAX_RECORD { None } else { serde_json::from_str(text).ok() }
}

/// Reads labels once for all pushes of a stream.
#[derive(Default)]
struct Loki {
    /// By the labels as they are written.
    known: HashMap<Box<str>, LaneAndHost, RandomState>,
}

type LaneAndHost = (u64, Option<Box<[u8]>>);

impl Loki {
    /// Lane and host of the stream with these labels.
    fn labelled<'a>(&mut self, stream: &'a RawValue, arena: &'a Bump) -> Option<(u64, Option<&'a BStr>)> {
        /// Streams whose labels are remembered, and bytes of such labels: whoever pushes chooses both.
        const STREAMS: usize = 256;
        const BYTES: usize = 4 << 10;
        if let Some((lane, host)) = self.known.get(stream.get()) {
            return Some((*lane, host.as_ref().map(|host| BStr::new(arena.alloc_slice_copy(host)))));
        }
        let mut labels = part::<Labels<'a>>(stream)?;
        let (lane, host) = (labels.lane(), labels.host(arena));
        if stream.get().len() <= BYTES {
            if self.known.len() >= STREAMS {
                self.known.clear();
            }
            self.known.insert(stream.get().into(), (lane, host.map(|host| (**host).into())));
        }
        Some((lane, host))
    }
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow)]
    stream: &'a RawValue,
    #[serde(borrow)]
    values: Few<&'a RawValue>,
}

impl Envelope for Loki {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not a stream of Loki");
        let Ok(Stream { stream, values: Few(values) }) = serde_json::from_str::<Stream<'a>>(utf8(record, arena)) else { return OTHER };
        let Some((lane, host)) = self.labelled(stream, arena) else { return OTHER };
        let (mut first, mut last) = (None, None);
        let opened = arena.alloc_slice_fill_iter(values.into_iter().enumerate().map(|(number, value)| {
            let entry = part::<Entry<'a>>(value);
            let time = entry.as_ref().and_then(|Entry(time, _)| nanoseconds(time));
            (first, last) = (if number == 0 { time } else { first }, time);
            match entry {
                Some(Entry(_, Loose::Text(line))) if time.is_some() => {
                    carried(keep(line, arena), lane, Note { time, host, ..Note::default() })
                }
                _ => Opened::Reject("no line of Loki"),
            }
        }));
        // Queries give the newest first, unless they ask otherwise.
        if first.is_some() && last.is_some() && first > last {
            opened.reverse();
        }
        Opened::Several(opened)
    }
}

/// Time and line of an entry of a stream. Behind them there may be what is known of the line.
struct Entry<'a>(Loose<'a>, Loose<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time and a line")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let (Some(time), Some(line)) = (seq.next_element()?, seq.next_element()?) else { return Err(S::Error::invalid_length(1, &self)) };
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry(time, line))
    }
}

struct Otlp;

#[derive(Deserialize)]
struct ResourceLogs<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, rename = "scopeLogs", alias = "instrumentationLibraryLogs")]
    scopes: Few<ScopeLogs<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
struct ScopeLogs<'a> {
    #[serde(borrow, default, rename = "logRecords", alias = "logs")]
    records: Few<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    #[serde(borrow, default)]
    time_unix_nano: Loose<'a>,
    #[serde(borrow, default)]
    observed_time_unix_nano: Loose<'a>,
    #[serde(borrow, default)]
    body: Any<'a>,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Any<'a>,
}

/// A value of any kind: at most one field is there.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Any<'a> {
    #[serde(borrow)]
    string_value: Loose<'a>,
    int_value: Option<Value>,
    double_value: Option<Value>,
    bool_value: Option<bool>,
    #[serde(borrow)]
    bytes_value: Loose<'a>,
    #[serde(borrow)]
    array_value: Option<Array<'a>>,
    #[serde(borrow)]
    kvlist_value: Option<List<'a>>,
}

#[derive(Deserialize)]
struct Array<'a> {
    #[serde(borrow, default)]
    values: Vec<Any<'a>>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    values: Vec<KeyValue<'a>>,
}

impl Any<'_> {
    /// As plain JSON.
    fn json(self) -> Value {
        let text = |value: Loose<'_>| value.text().map(|text| Value::String(text.to_owned()));
        let pairs =
            |list: List<'_>| Value::Object(list.values.into_iter().map(|pair| (pair.key.into_owned(), pair.value.json())).collect());
        let list = |array: Array<'_>| Value::Array(array.values.into_iter().map(Any::json).collect());
        let number = |value: Value| value.as_str().and_then(|text| text.parse::<i64>().ok()).map_or(value.clone(), Value::from);
        text(self.string_value)
            .or(self.int_value.map(number))
            .or(self.double_value)
            .or(self.bool_value.map(Value::from))
            .or(self.array_value.map(list))
            .or(self.kvlist_value.map(pairs))
            .or(text(self.bytes_value))
            .unwrap_or_default()
    }
}

/// Attributes of a record that say which log it comes from, not what is in it.
const OF_LOG: [&str; 9] = [
    "log.file.path",
    "log.file.name",
    "log.iostream",
    "host.name",
    "service.name",
    "container.id",
    "container.name",
    "k8s.pod.name",
    "k8s.container.name",
];

/// The text that an attribute of this name has.
fn attribute<'s>(attributes: &'s [KeyValue<'_>], name: &str) -> Option<&'s str> {
    attributes.iter().find(|pair| pair.key == name)?.value.string_value.text()
}

impl Envelope for Otlp {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not a resource of OpenTelemetry");
        let Ok(found) = serde_json::from_str::<ResourceLogs<'a>>(utf8(record, arena)) else { return OTHER };
        let Some(Resource { attributes }) = found.resource.map_or_else(|| Some(Resource::default()), part) else { return OTHER };
        let of: Vec<&[u8]> = attributes.iter().flat_map(|pair| [pair.key.as_bytes(), pair.value.string_value.name().as_bytes()]).collect();
        let resource = lane(&of).to_le_bytes();
        let name = |name| attribute(&attributes, name).map(|text| BStr::new(arena.alloc_str(text)));
        let host = name("host.name").or_else(|| name("k8s.pod.name"));
        let program = name("service.name").or_else(|| name("k8s.container.name"));
        let records: Vec<&'a RawValue> = found.scopes.0.into_iter().flat_map(|scope| scope.records.0).collect();
        if records.len() > FEW {
            return Opened::Reject("more records than an envelope may hold");
        }
        Opened::Several(arena.alloc_slice_fill_iter(records.into_iter().map(|record| {
            let Some(record) = part::<LogRecord<'a>>(record) else { return Opened::Reject("not a record of OpenTelemetry") };
            let own = OF_LOG.map(|name| attribute(&record.attributes, name).unwrap_or_default().as_bytes());
            let lane = lane(&[&resource[..], &lane(&own).to_le_bytes()]);
            let time = nanoseconds(&record.time_unix_nano).or_else(|| nanoseconds(&record.observed_time_unix_nano));
            let note = Note { time, host, program, pid: None };
            match record.body {
                Any { string_value: Loose::Text(text), .. } => carried(keep(text, arena), lane, note),
                // What was read on the way.
                body @ Any { kvlist_value: Some(_), .. } => {
                    let payload = arena.alloc_str(&body.json().to_string()).as_bytes();
                    Opened::Carried(Carried { payload, lane, part: Part::Record, note })
                }
                _ => Opened::Skip("an envelope without text"),
            }
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FormatOptions;
    use crate::framing::testing::frames;

    /// Time, lane's number in order of appearance, and text of each inner record.
    fn open(kind: &Kind, log: &str) -> Vec<String> {
        let (arena, mut lanes, mut told) = (Bump::new(), Vec::new(), Vec::new());
        let (records, _) = frames((kind.framer)(log.as_bytes()).as_mut(), log.as_bytes(), More::Closed);
        for record in records {
            let opened = (kind.open)(&FormatOptions::default()).open(record, &arena);
            for part in opened.parts() {
                told.push(match part {
                    Opened::Carried(found) => {
                        let at = lanes.iter().position(|lane| *lane == found.lane).unwrap_or_else(|| {
                            lanes.push(found.lane);
                            lanes.len() - 1
                        });
                        let time = found.note.time.map_or("-".to_owned(), |time| time.to_string());
                        format!("{time} {at} {}", String::from_utf8_lossy(found.payload))
                    }
                    Opened::Skip(reason) | Opened::Reject(reason) => (*reason).to_owned(),
                    Opened::Several(_) => "several".to_owned(),
                });
            }
        }
        told
    }

    #[test]
    fn streams_of_loki() {
        let push = r#"{"streams":[{"stream":{"job":"a","level":"info"},"values":[["1795314089200000000","x\n\ty"],["1",2],[],["1795314089200000001","z",{"k":"v"}]]},
            {"values":[["1795314089200000000","b"]],"stream":{"job":"b"}},{"stream":{"detected_level":"error","job":"a"},"values":[["1795314089200000000","w"]]}]}"#;
        let time = "2026-11-22T02:21:29.2Z";
        let other = "no line of Loki";
        let want = [&format!("{time} 0 x\n\ty"), other, other, &format!("{time} 0 z"), &format!("{time} 1 b"), &format!("{time} 0 w")];
        assert_eq!(open(&LOKI, push), want);
        let answer = r#"{"status":"success","data":{"resultType":"streams","result":[{"stream":{"job":"a"},"values":[["1795314089300000000","b"],["1795314089200000000","a"]]}],"stats":{"x":[1]}}}"#;
        assert_eq!(open(&LOKI, answer), [&format!("{time} 0 a"), "2026-11-22T02:21:29.3Z 0 b"]);
        assert_eq!(open(&LOKI, r#"{"streams":[{"stream":"x","values":[]},{"a":1}]}"#), ["not a stream of Loki"; 2]);
    }

    #[test]
    fn records_of_opentelemetry() {
        let record = |body: &str, attributes: &str| {
            format!(r#"{{"timeUnixNano":"1795314089200000000","severityNumber":9,"body":{body},"attributes":[{attributes}]}}"#)
        };
        let file = |name: &str| format!(r#"{{"key":"log.file.name","value":{{"stringValue":"{name}"}}}}"#);
        let resource = |name: &str, records: &[String]| {
            format!(
                r#"{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{name}"}}}}]}},"scopeLogs":[{{"scope":{{}},"logRecords":[{}]}}]}}"#,
                records.join(",")
            )
        };
        let text = |text: &str| format!(r#"{{"stringValue":"{text}"}}"#);
        let list = r#"{"kvlistValue":{"values":[{"key":"a","value":{"intValue":"7"}},{"key":"b","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}}"#;
        let log = format!(
            "{{\"resourceLogs\":[{},{}]}}\n{{\"resourceLogs\":[{}]}}\n",
            resource("a", &[record(&text("x\\\"]"), ""), record(&text("y"), &file("f")), record(list, ""), record("{}", "")]),
            resource("b", &[record(&text("z"), "")]),
            resource("a", &[record(&text("w"), &file("f"))])
        );
        let time = "2026-11-22T02:21:29.2Z";
        let want = [
            format!("{time} 0 x\"]"),
            format!("{time} 1 y"),
            format!(r#"{time} 0 {{"a":7,"b":[true]}}"#),
            "an envelope without text".to_owned(),
            format!("{time} 2 z"),
            format!("{time} 1 w"),
        ];
        assert_eq!(open(&OTLP, &log), want);
    }

    #[test]
    fn more_than_anybody_sends_at_once() {
        let many = vec!["[]"; FEW + 1].join(",");
        assert_eq!(open(&LOKI, &format!(r#"{{"streams":[{{"stream":{{}},"values":[{many}]}}]}}"#)), ["not a stream of Loki"]);
        let half = format!(r#"{{"logRecords":[{}]}}"#, vec!["{}"; FEW].join(","));
        let log = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{half},{half}]}}]}}"#);
        assert_eq!(open(&OTLP, &log), ["more records than an envelope may hold"]);
    }

    #[test]
    fn a_bundle_is_waited_for() {
        let log = format!(r#"{{"streams":[{{"stream":{{}},"values":[["1","{}"]]}}]}}"#, "x".repeat(100_000));
        assert_eq!(wants(&log.as_bytes()[..65_536]), Some(131_072));
        assert_eq!(wants(log.as_bytes()), None);
        assert_eq!(wants(b"{\"a\":"), None);
    }
}
