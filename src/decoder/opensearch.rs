//! OpenSearch's audit log (Open Distro's too), alone or behind the prefix of log4j.
//!
//! ```text
//! {"audit_cluster_name":"c","audit_category":"GRANTED_PRIVILEGES","audit_request_origin":"REST","audit_request_layer":"TRANSPORT","@timestamp":"2026-11-22T02:21:28.484+00:00","audit_request_effective_user":"billing","audit_request_remote_address":"10.1.0.7","audit_request_privilege":"indices:data/read/search","audit_trace_resolved_indices":["invoices"],...}
//! [2026-11-22T02:21:28,484][INFO ][audit                    ] [node-1] {"audit_cluster_name":...}
//! ```
//! <https://docs.opensearch.org/latest/security/audit-logs/field-reference/>
//!
//! Who acts is `audit_request_initiating_user` where it is given (it differs from the effective user when one acts as another).

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::elasticsearch::action;
use super::json::pick::{self, Picked, Places};
use super::json::{fields, sample};
use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::seek::Seek;
use crate::framing::spread::Spread;

pub const FORMAT: Format = Format {
    name: "opensearch-audit",
    about: "OpenSearch security audit log",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Spread::new()), Box::new(Audit::new(options))),
    guide: Guide {
        system: "OpenSearch 1 to 3, Open Distro for Elasticsearch, Amazon OpenSearch Service",
        switch_on: "`plugins.security.audit.type: log4j` in `opensearch.yml`, and take `GRANTED_PRIVILEGES` and `AUTHENTICATED` out of the disabled categories",
        fields: &[
            ("time", "`@timestamp`, else `audit_utc_timestamp`"),
            ("principal", "`audit_request_initiating_user`, else `audit_request_effective_user`; claimed in a failed login"),
            ("address", "`audit_request_remote_address`; a proxy's word where one is trusted"),
            ("port", "`audit_request_remote_address`, where it has one"),
            ("operation", "`audit_request_privilege`, else the method"),
            ("objects", "`audit_trace_resolved_indices`, else `audit_trace_indices`, else the privilege or path"),
            ("outcome", "`audit_category`: access granted or denied, not how the request went on"),
            ("kind", "`audit_category`"),
        ],
        forgery: "Nothing: all text is escaped. Where audit records share a file with the server's messages, those may hold a client's line breaks: no record behind such a message names a token, so give the logger `audit` a file of its own",
        ignored: "Actions on shards that belong to one already counted, what compliance logging tells of the configuration, the server's own messages: kept as `other`",
        source: "<https://docs.opensearch.org/latest/security/audit-logs/field-reference/>",
    },
};

const CATEGORY: usize = 0;
const TIME: usize = 1;
const EFFECTIVE: usize = 2;
const INITIATING: usize = 3;
const ADDRESS: usize = 4;
const PRIVILEGE: usize = 5;
const INDICES: usize = 6;
const METHOD: usize = 7;
const PATH: usize = 8;
const LAYER: usize = 9;
const OPERATION: usize = 10;
const TASK: usize = 11;
const SLOTS: usize = 12;

fn places() -> Places {
    Places::new(&[
        ("/audit_category", CATEGORY),
        ("/@timestamp", TIME),
        ("/audit_utc_timestamp", TIME),
        ("/audit_request_effective_user", EFFECTIVE),
        ("/audit_request_initiating_user", INITIATING),
        ("/audit_request_remote_address", ADDRESS),
        ("/audit_remote_address", ADDRESS),
        ("/audit_request_privilege", PRIVILEGE),
        ("/audit_trace_resolved_indices", INDICES),
        ("/audit_trace_indices", INDICES),
        ("/audit_rest_request_method", METHOD),
        ("/audit_rest_request_path", PATH),
        ("/audit_request_layer", LAYER),
        ("/audit_compliance_operation", OPERATION),
        ("/audit_trace_task_id", TASK),
    ])
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// The object of an audit record, and whether the logger is one for audit records.
    Audit(&'a [u8], bool),
    /// A line of the server's log, and its time.
    Server(&'a [u8]),
    None,
}

/// Takes off log4j's prefix, `[time][level][logger] [node] `, where there is one.
fn line(text: &[u8]) -> Line<'_> {
    let mut rest = text.trim_start();
    if rest.starts_with(b"{") {
        return Line::Audit(rest, true);
    }
    let (mut time, mut audit, mut words) = (&b""[..], false, 0);
    while let Some(word) = rest.strip_prefix(b"[")
        && let Some(end) = word.find_byte(b']')
    {
        let name = word.get(..end).unwrap_or_default();
        match words {
            0 => time = name,
            2 => audit = name.to_ascii_lowercase().holds("audit"),
            _ => {}
        }
        words += 1;
        rest = word.get(end + 1..).unwrap_or_default().trim_start();
    }
    match words {
        0..3 => Line::None,
        _ if rest.starts_with(b"{") && rest.holds("\"audit_category\"") => Line::Audit(rest, audit),
        _ => Line::Server(time),
    }
}

/// Said of audit records in a log that others write to as well.
const MIXED: &str = "the server's own messages, which may hold a client's line breaks, go to the same log";

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 50;
    let known = |picked: &Picked<'_>| picked.text(CATEGORY).is_some() && picked.get(TIME).is_some();
    const WHAT: &str = "audit records of OpenSearch";
    if Spread::over_lines(sample) == Some(true) {
        return sample::guess(sample, &[], places, SLOTS, known, 96, WHAT);
    }
    let lines = sample.split_str("\n").filter(|line| !line.trim().is_empty()).take(LINES);
    let objects: Vec<u8> = lines
        .filter_map(|text| match line(text) {
            Line::Audit(object, _) => Some(object),
            _ => None,
        })
        .flat_map(|object| [object, b"\n"])
        .flatten()
        .copied()
        .collect();
    sample::guess(&objects, &[], places, SLOTS, known, 96, WHAT)
}

/// What a category means: kind, outcome, and whether the user is only claimed.
fn meaning(category: &[u8]) -> (Kind, Outcome, bool) {
    match category {
        b"GRANTED_PRIVILEGES" | b"INDEX_EVENT" | b"COMPLIANCE_DOC_READ" | b"COMPLIANCE_DOC_WRITE" => (Kind::Query, Outcome::Success, false),
        b"AUTHENTICATED" | b"KIBANA_LOGIN" => (Kind::Login, Outcome::Success, false),
        b"KIBANA_LOGOUT" => (Kind::Logout, Outcome::Success, false),
        b"FAILED_LOGIN" | b"BLOCKED_USER" | b"BLOCKED_IP" => (Kind::LoginFailed, Outcome::Denied, true),
        b"SSL_EXCEPTION" => (Kind::LoginFailed, Outcome::Error, true),
        // Headers that only nodes may send: somebody tries to be another.
        b"BAD_HEADERS" => (Kind::Denied, Outcome::Denied, true),
        b"MISSING_PRIVILEGES" => (Kind::Denied, Outcome::Denied, false),
        // `SG_` is Search Guard's, from which all of this comes.
        _ if category.ends_with(b"SECURITY_INDEX_ATTEMPT") || category == b"SG_INDEX_ATTEMPT" => (Kind::Denied, Outcome::Denied, false),
        _ => (Kind::Other, Outcome::Unknown, false),
    }
}

struct Audit {
    places: Places,
    stamps: Timestamps,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The log holds other lines than audit records.
    mixed: bool,
    recent: action::Recent,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), stamps: Timestamps::new(options.zone.clone()), state: State::default() }
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (object, own) = match line(record.bytes) {
            Line::Audit(object, own) => (object, own),
            Line::Server(time) => {
                self.state.mixed = true;
                let Ok(time) = self.stamps.parse(time) else { return Decoded::Reject("unreadable time stamp") };
                return Decoded::Event(Event::new(Kind::Other, time));
            }
            Line::None if self.state.mixed => return Decoded::Skip("goes on from the line before"),
            Line::None => return Decoded::Reject("not a JSON object"),
        };
        let (picked, end) = pick::pick_head(pick::text(object, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let Some(category) = picked.text(CATEGORY) else { return Decoded::Reject("no audit_category") };
        let Some(time) = picked.get(TIME).and_then(|value| fields::time(value, &mut self.stamps)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        let (kind, outcome, claimed) = meaning(category);
        let privilege = picked.text(PRIVILEGE);
        let indices = picked.list(INDICES, arena);
        let mut event = Event::new(kind, time);
        event.outcome = outcome;
        (event.address, event.port) = picked.text(ADDRESS).map_or((None, None), |text| peer(text));
        let method = picked.text(METHOD);
        event.operation = match (kind, privilege, picked.text(OPERATION).or(method)) {
            (Kind::Login | Kind::LoginFailed, ..) => Some(Operation::Connect),
            (_, Some(action), _) => Some(action::operation(action)),
            (_, None, Some(word)) => Some(verb(word)),
            _ if category == "COMPLIANCE_DOC_READ" => Some(Operation::Select),
            _ => None,
        };
        if event.operation != Some(Operation::Connect) {
            event.objects = action::objects(indices, privilege.or(picked.text(PATH)), arena);
        }
        if let (Kind::Query, Some(action)) = (kind, privilege)
            && !self.counts(action, picked.text(TASK), &event)
        {
            event.kind = Kind::Other;
        }
        let name = picked.text(INITIATING).or(picked.text(EFFECTIVE)).filter(|name| *name != "<NONE>");
        let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = name.map(|name| Principal { name, provenance });
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        event.suspect = event.suspect.or((self.state.mixed || !own).then_some(MIXED));
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.state).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(state) = postcard::from_bytes(state) {
            self.state = state;
        }
    }
}

impl Audit {
    /// Whether an action is one of its own that its task has not been counted for.
    fn counts(&mut self, action: &BStr, task: Option<&BStr>, event: &Event<'_>) -> bool {
        // What a bulk consists of is told only by `resolve_bulk_requests`, or when it is the cover of a single write.
        let bulk = *action == "indices:data/write/bulk";
        let has_indices = event.objects.first().is_some_and(|object| *object != action);
        if !bulk && !action::counts(action, has_indices) {
            return false;
        }
        let Some(task) = task else { return true };
        if bulk && !has_indices && self.state.recent.knows(task) {
            return false;
        }
        self.state.recent.first(task, event.operation.unwrap_or(Operation::Other), event.objects)
    }
}

/// The operation of an HTTP method or of a compliance record.
fn verb(word: &BStr) -> Operation {
    match word.as_bytes() {
        b"GET" | b"HEAD" => Operation::Select,
        b"CREATE" => Operation::Insert,
        b"PUT" | b"POST" | b"PATCH" | b"UPDATE" => Operation::Update,
        b"DELETE" => Operation::Delete,
        _ => Operation::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(record: &str) -> String {
        let arena = Bump::new();
        match Audit::new(&Options::default()).decode(Record::new(record.as_bytes()), &arena) {
            Decoded::Event(e) => format!(
                "{:?} {} {} {:?} {:?} {:?}",
                e.kind,
                e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
                e.address.map_or("-".to_owned(), |a| a.to_string()),
                e.operation,
                e.objects,
                e.outcome
            ),
            Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
        }
    }

    #[test]
    fn categories() {
        let head = r#""@timestamp":"2026-11-22T02:21:28.484+00:00","audit_request_remote_address":"10.1.0.7","audit_request_effective_user":"shop""#;
        for (rest, want) in [
            (
                r#""audit_category":"GRANTED_PRIVILEGES","audit_request_privilege":"indices:data/read/search","audit_trace_indices":["a*"],"audit_trace_resolved_indices":["a1","a2"]"#,
                r#"Query shop Authenticated 10.1.0.7 Some(Select) ["a1", "a2"] Success"#,
            ),
            (
                r#""audit_category":"MISSING_PRIVILEGES","audit_request_privilege":"indices:admin/delete","audit_request_initiating_user":"real""#,
                r#"Denied real Authenticated 10.1.0.7 Some(Drop) ["indices:admin/delete"] Denied"#,
            ),
            (r#""audit_category":"SG_INDEX_ATTEMPT""#, "Denied shop Authenticated 10.1.0.7 None [] Denied"),
            (r#""audit_category":"KIBANA_LOGOUT""#, "Logout shop Authenticated 10.1.0.7 None [] Success"),
            (r#""audit_category":"BLOCKED_USER""#, "LoginFailed shop Claimed 10.1.0.7 Some(Connect) [] Denied"),
            (r#""audit_category":"FAILED_LOGIN""#, "LoginFailed shop Claimed 10.1.0.7 Some(Connect) [] Denied"),
            (
                r#""audit_category":"AUTHENTICATED","audit_rest_request_path":"/""#,
                "Login shop Authenticated 10.1.0.7 Some(Connect) [] Success",
            ),
            (
                r#""audit_category":"GRANTED_PRIVILEGES","audit_request_privilege":"indices:data/write/bulk[s][r]""#,
                r#"Other shop Authenticated 10.1.0.7 Some(Insert) ["indices:data/write/bulk[s][r]"] Success"#,
            ),
            (
                r#""audit_category":"COMPLIANCE_DOC_READ","audit_trace_resolved_indices":["a"]"#,
                r#"Query shop Authenticated 10.1.0.7 Some(Select) ["a"] Success"#,
            ),
        ] {
            assert_eq!(show(&format!("{{{head},{rest}}}")), want, "{rest}");
            assert_eq!(show(&format!("[2026-11-22T02:21:28,484][INFO ][audit ] [node] {{{head},{rest}}}")), want, "{rest}");
        }
    }

    #[test]
    fn records_among_other_messages_name_nobody() {
        let (mut audit, arena) = (Audit::new(&Options::default()), Bump::new());
        let object = r#"{"audit_category":"AUTHENTICATED","@timestamp":"2026-11-22T02:21:28Z","audit_request_effective_user":"admin"}"#;
        let prefix = |logger: &str| format!("[2026-11-22T02:21:28,484][INFO ][{logger}] [node] ");
        let lines = [
            format!("{}{object}", prefix("audit    ")),
            format!("{}{object}", prefix("o.o.x")),
            format!("{}no such index [x", prefix("o.o.x")),
            object.to_owned(),
            format!("{}{object}", prefix("audit")),
        ];
        let suspects = lines.each_ref().map(|line| match audit.decode(Record::new(line.as_bytes()), &arena) {
            Decoded::Event(event) => event.suspect.is_some(),
            other => panic!("{line}: {other:?}"),
        });
        assert_eq!(suspects, [false, true, false, true, true]);
    }

    #[test]
    fn what_cannot_be_read() {
        for (record, want) in [
            ("", "not a JSON object"),
            ("[x] y", "not a JSON object"),
            ("[2026-11-22T02:21:28,484][INFO ][o.o.n.Node] [node] {}", "Other - - None [] Unknown"),
            ("{}", "no audit_category"),
            (r#"{"audit_category":"X"}"#, "unreadable time stamp"),
            (
                r#"{"audit_category":"FAILED_LOGIN","@timestamp":"2026-11-22T02:21:28Z","audit_request_effective_user":"<NONE>"}"#,
                "LoginFailed - - Some(Connect) [] Denied",
            ),
        ] {
            assert_eq!(show(record), want, "{record}");
        }
    }
}
