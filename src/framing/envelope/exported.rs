//! What further collectors and consoles make of a line: an object that has its text under a name of their own.
//!
//! ```text
//! {"TimeGenerated":"2026-11-22T02:21:29.1Z","ContainerID":"3f8f","LogEntry":"...","LogEntrySource":"stdout"}      Azure Monitor (ContainerLog)
//! {"@timestamp":"2026-11-22 02:21:29.104","@message":{...}}                                                       CloudWatch Logs Insights
//! {"line":"...","timestamp":"1795314089104000000","date":"2026-11-22T02:21:29.104Z","fields":{"app":"db"}}        Grafana, from Loki
//! {"preview":false,"result":{"_raw":"...","_time":"...","host":"db1"}}                                            Splunk, `search/jobs/export`
//! {"event":{...},"sourcetype":"db","host":"db1"}                                                                  Splunk's HTTP Event Collector
//! {"msg":"...","syslogtag":"db:","hostname":"db1","timereported":"..."}                                           rsyslog (`jsonmesg`)
//! {"MESSAGE":"...","PROGRAM":"db","HOST":"db1"}                                                                   syslog-ng (`format-json`)
//! {"Message":"...","SourceModuleName":"in","Hostname":"db1"}                                                      NXLog (`to_json`)
//! {"schema":{"type":"string"},"payload":"..."}                                                                    Kafka Connect
//! {"content":{"message":"...","host":"db1","service":"db","timestamp":"..."}}                                     Datadog, Logs API
//! ```
//!
//! Where the text was itself a JSON object some of them keep it as one. Whoever may log anything there can write any record, so they alert and
//! never revoke. Sources: <https://learn.microsoft.com/azure/azure-monitor/reference/tables/containerlog>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_Insights-Exporting.html>,
//! <https://grafana.com/docs/grafana/latest/explore/logs-integration/>,
//! <https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector>,
//! <https://www.rsyslog.com/doc/configuration/properties.html>, <https://syslog-ng.github.io/admin-guide/110_Template_and_rewrite/000_Customize_message_format/004_Template_functions>,
//! <https://docs.nxlog.co/refman/current/xm/json.html>, <https://docs.confluent.io/platform/current/connect/concepts.html>,
//! <https://docs.datadoghq.com/api/latest/logs/>

use bstr::BStr;
use bumpalo::Bump;
use smallvec::SmallVec;

use super::rfc3339::rfc3339;
use super::text::{keep, member, members, utf8};
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::framing::json::Objects;

pub const EXPORTED: Kind = Kind {
    name: "exported",
    about: "JSON of Azure Monitor, CloudWatch Logs Insights, Grafana, Splunk, rsyslog, syslog-ng, NXLog, Kafka Connect, Datadog",
    forgeable: true,
    arrays: Some(&[]),
    framer: |_| Box::new(Objects::new(&[])),
    open: |_| Box::new(Exported { last: 0 }),
};

/// Where one collector has what. A path is a member of the object, or a member of a member.
struct Form {
    text: &'static [&'static str],
    /// A member without which the text is somebody else's.
    beside: &'static str,
    time: &'static [&'static str],
    host: &'static [&'static str],
    /// What else tells logs apart.
    source: &'static [&'static str],
}

const fn form(
    text: &'static [&'static str],
    beside: &'static str,
    time: &'static [&'static str],
    host: &'static [&'static str],
    source: &'static [&'static str],
) -> Form {
    Form { text, beside, time, host, source }
}

const FORMS: [Form; 10] = [
    form(&["LogEntry"], "LogEntrySource", &["TimeGenerated"], &["Computer"], &["ContainerID"]),
    form(&["@message"], "@timestamp", &[], &["@log"], &["@logStream"]),
    form(&["line"], "fields", &["date"], &[], &["fields"]),
    form(&["result", "_raw"], "result", &["result", "_time"], &["result", "host"], &["result", "source"]),
    form(&["event"], "sourcetype", &[], &["host"], &["source"]),
    form(&["msg"], "syslogtag", &["timereported"], &["hostname"], &["syslogtag"]),
    form(&["MESSAGE"], "PROGRAM", &["ISODATE"], &["HOST"], &["PROGRAM"]),
    form(&["Message"], "SourceModuleName", &[], &["Hostname"], &["SourceModuleName"]),
    form(&["payload"], "schema", &[], &[], &[]),
    form(&["content", "message"], "content", &["content", "timestamp"], &["content", "host"], &["content", "service"]),
];

/// Names and values of an object.
type Members<'a> = SmallVec<[(&'a [u8], &'a [u8]); 16]>;

struct Exported {
    /// The form that fitted last: a log is of one.
    last: usize,
}

impl Envelope for Exported {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        let object: Members<'a> = members(utf8(record, arena).as_bytes()).collect();
        let order = std::iter::once(self.last).chain((0..FORMS.len()).filter(|form| *form != self.last));
        for (at, form) in order.filter_map(|at| Some((at, FORMS.get(at)?))) {
            if let Some(carried) = form.open(&object, arena) {
                self.last = at;
                return carried;
            }
        }
        Opened::Reject("no text under a name that is known")
    }
}

impl Form {
    fn open<'a>(&self, object: &[(&'a [u8], &'a [u8])], arena: &'a Bump) -> Option<Opened<'a>> {
        let value = at(object, self.text)?;
        at(object, &[self.beside])?;
        let text = |path: &[&str]| at(object, path).and_then(|value| string(value, arena));
        let raw = |path: &[&str]| at(object, path).unwrap_or_default();
        let host = if self.host.is_empty() { None } else { text(self.host).map(BStr::new) };
        let time = if self.time.is_empty() { None } else { text(self.time).and_then(|time| rfc3339(time.as_bytes())) };
        let source = if self.source.is_empty() { &b""[..] } else { raw(self.source) };
        let (payload, part) = match value.first() {
            Some(b'{') => (value, Part::Record),
            // rsyslog keeps the blank behind the tag.
            _ => (string(value, arena)?.trim_start_matches(' ').trim_end_matches(['\n', '\r']).as_bytes(), Part::Lines),
        };
        if payload.is_empty() {
            return Some(Opened::Skip("an entry without text"));
        }
        let lane = lane(&[host.map_or(&b""[..], |host| host), source]);
        Some(Opened::Carried(Carried { payload, lane, part, note: Note { time, host, ..Note::default() } }))
    }
}

/// The value at a path.
fn at<'a>(object: &[(&'a [u8], &'a [u8])], path: &[&str]) -> Option<&'a [u8]> {
    let (first, rest) = path.split_first()?;
    let (_, value) = object.iter().find(|(name, _)| *name == first.as_bytes())?;
    rest.iter().try_fold(*value, |object, key| member(object, key))
}

/// The text of a JSON string.
fn string<'a>(value: &'a [u8], arena: &'a Bump) -> Option<&'a str> {
    if value.first() != Some(&b'"') {
        return None;
    }
    serde_json::from_slice::<Text<'a>>(value).ok().map(|text| keep(text.0, arena))
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, want: Option<&str>) {
        let arena = Bump::new();
        let mut envelope = Exported { last: 3 };
        for _ in 0..2 {
            match (envelope.open(record.as_bytes(), &arena), want) {
                (Opened::Carried(carried), Some(want)) => assert_eq!(BStr::new(carried.payload), want, "{record}"),
                (Opened::Reject(_), None) => {}
                (got, want) => panic!("{record}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn texts_and_objects() {
        for (record, want) in [
            (r#"{"TimeGenerated":"2026-11-22T02:21:29.1Z","LogEntry":"{\"a\":1}","LogEntrySource":"stdout"}"#, Some(r#"{"a":1}"#)),
            (r#"{"@timestamp":"2026-11-22 02:21:29.104","@message":{"a":1}}"#, Some(r#"{"a":1}"#)),
            (r#"{"line":"x","timestamp":"1","fields":{"app":"db"}}"#, Some("x")),
            (r#"{"preview":false,"result":{"_raw":"x\ny\n","_time":"z"}}"#, Some("x\ny")),
            (r#"{"event": {"a": 1}, "sourcetype": "db"}"#, Some(r#"{"a": 1}"#)),
            (r#"{"msg":" x","syslogtag":"db:"}"#, Some("x")),
            (r#"{"PROGRAM":"db","MESSAGE":"x"}"#, Some("x")),
            (r#"{"Message":"x","SourceModuleName":"in"}"#, Some("x")),
            (r#"{"schema":{"type":"string"},"payload":"x"}"#, Some("x")),
            (r#"{"id":"A","content":{"message":"x"}}"#, Some("x")),
            (r#"{"msg":"x"}"#, None),
            (r#"{"payload":[1],"schema":{}}"#, None),
            (r#"{"result":"_raw"}"#, None),
            ("{", None),
            ("[]", None),
        ] {
            check(record, want);
        }
    }

    #[test]
    fn what_the_relay_says() {
        let arena = Bump::new();
        let record = r#"{"msg":"x","syslogtag":"db:","hostname":"db1","timereported":"2026-11-22T02:21:29+01:00"}"#;
        let Opened::Carried(carried) = (Exported { last: 0 }).open(record.as_bytes(), &arena) else { panic!("nothing carried") };
        assert_eq!((carried.note.host, carried.part), (Some("db1".into()), Part::Lines));
        assert_eq!(carried.note.time.map(|time| time.to_string()).as_deref(), Some("2026-11-22T01:21:29Z"));
    }
}
