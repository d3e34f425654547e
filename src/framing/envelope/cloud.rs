//! What cloud providers put around the records of a managed database.
//!
//! ```text
//! {"logName":"projects/p/logs/cloudsql.googleapis.com%2Fpostgres.log","textPayload":"[77]: [1-1] db=app,user=web LOG:  ...",...}
//! {"message":{"data":"eyJpbnNlcnRJZCI6...","messageId":"7"},"subscription":"projects/p/subscriptions/audit"}
//! {"records":[{"category":"PostgreSQLLogs","time":"...","properties":{"message":"... LOG:  ...","detail":"..."}}]}
//! {"logGroup":"/aws/rds/...","logEvents":[{"id":"3","timestamp":1795314089200,"message":"..."}]}
//! ```
//!
//! Google's LogEntry (Cloud SQL, AlloyDB; each line of a record is an entry of its own), Azure's diagnostic logs, and exports of CloudWatch
//! Logs and what its subscription filters send. All of them escape what they carry. Sources: <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry>,
//! <https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-logging>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>

use std::borrow::Cow;

use base64::Engine;
use bstr::BStr;
use bumpalo::Bump;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::rfc3339::rfc3339;
use super::text::{Few, Fields, Loose, keep, member, read, utf8};
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::event::Time;
use crate::framing::json::Objects;

pub const GOOGLE: Kind = Kind {
    name: "google-cloud",
    about: "LogEntry of Google Cloud (Cloud SQL, AlloyDB)",
    forgeable: false,
    arrays: Some(&["entries"]),
    framer: |_| Box::new(Objects::new(&["entries"])),
    open: |_| Box::new(Google),
};

pub const PUBSUB: Kind = Kind {
    name: "google-pubsub",
    about: "messages of Google Cloud Pub/Sub, as a push or `gcloud pubsub subscriptions pull` has them",
    // Whoever may publish to the topic can send what he likes.
    forgeable: true,
    arrays: Some(&["receivedMessages"]),
    framer: |_| Box::new(Objects::new(&["receivedMessages"])),
    open: |_| Box::new(PubSub),
};

pub const AZURE: Kind = Kind {
    name: "azure",
    about: "diagnostic logs of Azure Database for PostgreSQL and MySQL",
    forgeable: false,
    arrays: Some(&["records"]),
    framer: |_| Box::new(Objects::new(&["records"])),
    open: |_| Box::new(Azure),
};

pub const CLOUDWATCH: Kind = Kind {
    name: "cloudwatch",
    about: "exports and subscriptions of CloudWatch Logs",
    forgeable: false,
    arrays: Some(&["events"]),
    framer: |_| Box::new(Objects::bundles(&["events"])),
    open: |_| Box::new(CloudWatch),
};

struct Google;

#[derive(Deserialize)]
struct LogEntry<'a> {
    #[serde(borrow, rename = "logName")]
    log: Cow<'a, str>,
    #[serde(borrow, default, rename = "textPayload")]
    text: Loose<'a>,
    #[serde(borrow, default, rename = "protoPayload")]
    proto: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "jsonPayload")]
    json: Option<&'a RawValue>,
    /// What a table of BigQuery has instead of `protoPayload`.
    #[serde(borrow, default, rename = "protopayload_auditlog")]
    row: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Loose<'a>,
    #[serde(borrow, default)]
    resource: Resource<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource<'a> {
    #[serde(borrow)]
    labels: Labels<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Labels<'a> {
    #[serde(borrow)]
    database_id: Loose<'a>,
    #[serde(borrow)]
    instance_id: Loose<'a>,
    #[serde(borrow)]
    pod_name: Loose<'a>,
    #[serde(borrow)]
    container_name: Loose<'a>,
}

/// Methods whose records are a database's own audit of its statements, which is a log of its own. Other entries of Google Cloud's audit
/// are read as they are.
pub const QUERIES: [&[u8]; 2] = [b"cloudsql.instances.query", b"alloydb.instances.query"];

/// Whether what stands under `protoPayload` tells of another call than [`QUERIES`].
fn is_call(payload: &[u8]) -> bool {
    let method = member(payload, "methodName").and_then(|method| method.strip_prefix(b"\"")?.strip_suffix(b"\""));
    method.is_some_and(|method| !QUERIES.contains(&method))
}

impl Envelope for Google {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        let text = utf8(record, arena);
        let Ok(entry) = serde_json::from_str::<LogEntry<'a>>(text) else { return Opened::Reject("not an entry of Google Cloud's log") };
        let labels = entry.resource.labels;
        let of = [labels.database_id.name(), labels.instance_id.name(), labels.pod_name.name(), labels.container_name.name(), &entry.log];
        let lane = lane(&of.map(str::as_bytes));
        let time = entry.timestamp.text().and_then(|time| rfc3339(time.as_bytes()));
        let host = labels.database_id.keep(arena).or(labels.instance_id.keep(arena)).or(labels.pod_name.keep(arena));
        let note = Note { time, host: host.map(BStr::new), ..Note::default() };
        if entry.row.is_some() {
            let lane = super::lane(&[entry.log.as_bytes()]);
            return Opened::Carried(Carried { payload: text.trim_ascii().as_bytes(), lane, part: Part::Record, note });
        }
        // A line of JSON that a container wrote is kept as an object.
        if let Some(object) = entry.proto.or(entry.json.filter(|object| object.get().len() > 2)) {
            let payload = object.get().as_bytes();
            let carried = match entry.proto.is_some() && is_call(payload) {
                true => {
                    Carried { payload: text.trim_ascii().as_bytes(), lane: super::lane(&[entry.log.as_bytes()]), part: Part::Record, note }
                }
                false => Carried { payload, lane, part: Part::Record, note },
            };
            return Opened::Carried(carried);
        }
        match entry.text {
            Loose::Text(text) if !text.is_empty() => {
                let payload = keep(text, arena).trim_end_matches(['\n', '\r']).as_bytes();
                Opened::Carried(Carried { payload, lane, part: Part::Lines, note })
            }
            _ => Opened::Skip("an entry without text"),
        }
    }
}

struct PubSub;

#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow, default, rename = "messageId", alias = "message_id")]
    id: Loose<'a>,
    #[serde(borrow, default, rename = "publishTime", alias = "publish_time")]
    published: Loose<'a>,
}

impl Envelope for PubSub {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not a message of Pub/Sub");
        let Ok(delivery) = serde_json::from_str::<Delivery<'a>>(utf8(record, arena)) else { return OTHER };
        let message = delivery.message;
        let data = base64::engine::general_purpose::STANDARD.decode(message.data.as_bytes());
        let (Ok(data), true) = (data, message.id.is_there() || message.published.is_there()) else { return OTHER };
        let time = message.published.text().and_then(|time| rfc3339(time.as_bytes()));
        let payload = arena.alloc_slice_copy(&data).trim_ascii_end();
        let part = if payload.starts_with(b"{") { Part::Record } else { Part::Lines };
        Opened::Carried(Carried { payload, lane: lane(&[]), part, note: Note { time, ..Note::default() } })
    }
}

struct Azure;

#[derive(Deserialize)]
struct Diagnostic<'a> {
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Loose<'a>,
    #[serde(borrow, default, rename = "resourceId")]
    resource: Loose<'a>,
    #[serde(borrow, default, rename = "LogicalServerName")]
    server: Loose<'a>,
    #[serde(borrow)]
    properties: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Properties<'a> {
    #[serde(borrow)]
    prefix: Loose<'a>,
    #[serde(borrow)]
    message: Loose<'a>,
    #[serde(borrow)]
    detail: Loose<'a>,
    #[serde(borrow, rename = "errorLevel")]
    level: Loose<'a>,
    #[serde(borrow, rename = "sqlerrcode")]
    code: Loose<'a>,
}

impl Envelope for Azure {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not a diagnostic log of Azure");
        let Ok(found) = serde_json::from_str::<Diagnostic<'a>>(utf8(record, arena)) else { return OTHER };
        let properties = found.properties.get();
        if !properties.starts_with('{') {
            return OTHER;
        }
        let lane = lane(&[found.resource.name().as_bytes(), found.server.name().as_bytes(), found.category.as_bytes()]);
        let time = found.time.text().and_then(|time| rfc3339(time.as_bytes()));
        let host = found.server.keep(arena).or(found.resource.keep(arena).and_then(|path| path.rsplit('/').next()));
        let note = Note { time, host: host.map(BStr::new), ..Note::default() };
        let payload = match &*found.category {
            "PostgreSQLLogs" => match serde_json::from_str::<Properties<'_>>(properties).map(|properties| properties.line()) {
                Ok(Some(line)) => arena.alloc_str(&line).as_bytes(),
                Ok(None) => return Opened::Skip("an entry without text"),
                Err(_) => return OTHER,
            },
            "MySqlAuditLogs" | "MySqlSlowLogs" => properties.as_bytes(),
            _ => return Opened::Skip("another category of Azure's logs"),
        };
        Opened::Carried(Carried { payload, lane, part: Part::Record, note })
    }
}

impl Properties<'_> {
    /// The record as PostgreSQL would have written it. The flexible server has its line in `message`, the single server without the prefix,
    /// and Citus without the level; DETAIL stands apart in all of them. The time before it is the server's; `timestamp` may be minutes later.
    fn line(&self) -> Option<String> {
        let message = self.message.text().filter(|text| !text.is_empty())?;
        let level = format!("{}:  ", self.level.text().filter(|level| !level.is_empty()).unwrap_or("LOG"));
        let (prefix, rest) = match (self.prefix.text().filter(|prefix| !prefix.is_empty()), message.find(&level)) {
            (Some(prefix), _) => (prefix, message),
            (None, Some(at)) => message.split_at_checked(at)?,
            // Behind the brackets around user, database and application.
            (None, None) => message.split_at_checked(message.find("[user=").and_then(|at| behind(message, at)).unwrap_or(0))?,
        };
        let rest = rest.strip_prefix(&level).unwrap_or(rest);
        // As `log_error_verbosity = verbose` writes it.
        let code = self.code.text().filter(|code| code.len() == 5 && !matches!(*code, "00000") && !rest.starts_with(*code));
        let code = code.map(|code| format!("{code}: ")).unwrap_or_default();
        let mut line = format!("{prefix}{level}{code}{}", rest.replace('\n', "\n\t").replace("\n\t\t", "\n\t"));
        if let Some(detail) = self.detail.text().filter(|detail| !detail.is_empty()) {
            line.push_str(&format!("\n{prefix}DETAIL:  {}", detail.replace('\n', "\n\t")));
        }
        Some(line)
    }
}

/// Where `] ` ends behind `at`.
fn behind(text: &str, at: usize) -> Option<usize> {
    text.get(at..)?.find("] ").map(|end| at + end + 2)
}

struct CloudWatch;

#[derive(Default)]
struct LogEvent<'a> {
    message: Loose<'a>,
    /// Milliseconds.
    timestamp: Loose<'a>,
    id: Loose<'a>,
    event_id: Loose<'a>,
    ingested: Loose<'a>,
    stream: Loose<'a>,
}

impl<'a> Fields<'a> for LogEvent<'a> {
    fn field(&mut self, key: &str) -> Option<(u32, &mut Loose<'a>)> {
        Some(match key {
            "message" => (0, &mut self.message),
            "timestamp" => (1, &mut self.timestamp),
            "id" => (2, &mut self.id),
            "eventId" => (3, &mut self.event_id),
            "ingestionTime" => (4, &mut self.ingested),
            "logStreamName" => (5, &mut self.stream),
            _ => return None,
        })
    }
}

impl Envelope for CloudWatch {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("not an event of CloudWatch Logs");
        let text = utf8(record, arena);
        let Some(event) = read::<LogEvent<'a>>(text) else { return OTHER };
        if !event.message.is_there()
            && let Ok(sent) = serde_json::from_str::<Subscription<'a>>(text)
        {
            return sent.open(arena);
        }
        let (Loose::Text(message), Loose::Number(millis)) = (event.message, event.timestamp) else { return OTHER };
        if !event.id.is_there() && !event.event_id.is_there() && !event.ingested.is_there() {
            return OTHER;
        }
        let lane = lane(&[event.stream.name().as_bytes()]);
        let host = event.stream.keep(arena).map(BStr::new);
        logged(keep(message, arena), millis, lane, host)
    }
}

/// What one event has logged.
fn logged<'a>(message: &'a str, millis: i64, lane: u64, host: Option<&'a BStr>) -> Opened<'a> {
    let note = Note { time: millis.checked_mul(1000).map(Time), host, ..Note::default() };
    let payload = message.trim_end_matches(['\n', '\r']).as_bytes();
    if payload.is_empty() {
        return Opened::Skip("an event without text");
    }
    Opened::Carried(Carried { payload, lane, part: Part::Lines, note })
}

/// What a subscription filter sends: events of one stream. Firehose writes one behind the other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription<'a> {
    #[serde(borrow, default)]
    owner: Loose<'a>,
    #[serde(borrow, default)]
    log_group: Loose<'a>,
    #[serde(borrow, default)]
    log_stream: Loose<'a>,
    #[serde(borrow)]
    log_events: Few<Sent<'a>>,
}

#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow, default)]
    message: Loose<'a>,
    #[serde(borrow, default)]
    timestamp: Loose<'a>,
}

impl<'a> Subscription<'a> {
    fn open(self, arena: &'a Bump) -> Opened<'a> {
        let lane = lane(&[self.owner.name(), self.log_group.name(), self.log_stream.name()].map(str::as_bytes));
        let host = self.log_stream.keep(arena).map(BStr::new);
        Opened::Several(arena.alloc_slice_fill_iter(self.log_events.0.into_iter().map(|event| match (event.message, event.timestamp) {
            (Loose::Text(message), Loose::Number(millis)) => logged(keep(message, arena), millis, lane, host),
            _ => Opened::Reject("not an event of CloudWatch Logs"),
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FormatOptions;

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
    fn google() {
        let entry = |payload: &str| {
            format!(r#"{{"logName":"l",{payload},"timestamp":"2026-11-22T02:21:28Z","resource":{{"labels":{{"database_id":"p:i"}}}}}}"#)
        };
        check(&GOOGLE, &entry(r#""textPayload":"\tfrom \"x\"""#), Some("\tfrom \"x\""));
        let call = entry(r#""protoPayload":{"methodName":"storage.objects.get","request":{"methodName":"cloudsql.instances.query"}}"#);
        check(&GOOGLE, &call, Some(&call));
        let query = r#"{"methodName":"cloudsql.instances.query"}"#;
        check(&GOOGLE, &entry(&format!(r#""protoPayload":{query}"#)), Some(query));
        check(&GOOGLE, &entry(r#""protoPayload":{"@type":"t","request":{"a":"}"}}"#), Some(r#"{"@type":"t","request":{"a":"}"}}"#));
        check(&GOOGLE, &entry(r#""jsonPayload":{}"#), None);
        check(&GOOGLE, &entry(r#""jsonPayload":{"t":{"$date":"x"}}"#), Some(r#"{"t":{"$date":"x"}}"#));
        check(&GOOGLE, r#"{"textPayload":"x"}"#, None);
    }

    #[test]
    fn pubsub() {
        let message = r#""message":{"data":"eyJhIjoxfQ==","messageId":"7","publishTime":"2026-11-22T02:21:28Z"}"#;
        check(&PUBSUB, &format!(r#"{{{message},"subscription":"s"}}"#), Some(r#"{"a":1}"#));
        check(&PUBSUB, &format!(r#"{{"ackId":"x",{message}}}"#), Some(r#"{"a":1}"#));
        check(&PUBSUB, r#"{"message":{"data":"a"}}"#, None);
        check(&PUBSUB, r#"{"message":"a"}"#, None);
    }

    #[test]
    fn azure() {
        let entry =
            |properties: &str| format!(r#"{{"category":"PostgreSQLLogs","time":"2026-11-22T02:21:28Z","properties":{{{properties}}}}}"#);
        let flexible = r#""message":"2026-11-22 02:21:28 UTC [7] [user=a,db=b,app=c] LOG:  execute x: select $1","errorLevel":"LOG","detail":"parameters: $1 = '1'""#;
        let want = "2026-11-22 02:21:28 UTC [7] [user=a,db=b,app=c] LOG:  execute x: select $1\n\
                    2026-11-22 02:21:28 UTC [7] [user=a,db=b,app=c] DETAIL:  parameters: $1 = '1'";
        check(&AZURE, &entry(flexible), Some(want));
        let single = r#""prefix":"2026-11-22 02:21:28 UTC-63fd.cf0-","message":"a\nb","errorLevel":"ERROR","detail":"""#;
        check(&AZURE, &entry(single), Some("2026-11-22 02:21:28 UTC-63fd.cf0-ERROR:  a\n\tb"));
        let citus = r#""prefix":"","message":"2026-11-22 02:21:28 UTC [7] [user=a,db=b,app=[unknown]] x y","errorLevel":"LOG""#;
        check(&AZURE, &entry(citus), Some("2026-11-22 02:21:28 UTC [7] [user=a,db=b,app=[unknown]] LOG:  x y"));
        check(&AZURE, &entry(""), None);
        check(&AZURE, r#"{"category":"MySqlAuditLogs","properties":{"a":[1]}}"#, Some(r#"{"a":[1]}"#));
        check(&AZURE, r#"{"category":"AllMetrics","properties":{}}"#, None);
    }

    #[test]
    fn cloudwatch() {
        check(&CLOUDWATCH, r#"{"id":"3","timestamp":1795314089200,"message":"a\n"}"#, Some("a"));
        check(&CLOUDWATCH, r#"{"timestamp":1795314089200,"message":"a"}"#, None);
    }
}
