//! Google Cloud audit logs (Cloud Audit Logs): API calls of any service, BigQuery's with their statements.
//!
//! ```text
//! {"insertId":"a1","logName":"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access","protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"etl@p.iam.gserviceaccount.com","serviceAccountKeyName":"//iam.googleapis.com/projects/p/serviceAccounts/etl@p.iam.gserviceaccount.com/keys/0a1b"},"methodName":"storage.objects.get","requestMetadata":{"callerIp":"10.1.0.7"},"serviceName":"storage.googleapis.com","status":{}},"timestamp":"2026-11-22T02:21:28.484Z"}
//! ```
//! <https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog>,
//! <https://cloud.google.com/bigquery/docs/reference/auditlogs/rest/Shared.Types/BigQueryAuditMetadata>
//!
//! The credential is the key of a service account where one was used (`EMAIL/keys/ID`), else the principal. The object of a call is its method.
//! A BigQuery job is counted when it ends, and what it reads and writes belongs to it; see [`bigquery`].
//!
//! Query records of Cloud SQL and AlloyDB are a format of their own.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::json::pick::{self, Picked, Places};
use super::json::sample;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::envelope::cloud::QUERIES;
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

mod bigquery;
pub mod jobs;

pub const FORMAT: Format = Format {
    name: "gcp-audit",
    about: "Google Cloud audit logs: BigQuery statements and API calls",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(WRAPPERS)), Box::new(Audit::new(options))),
    guide: Guide {
        system: "Google Cloud (Cloud Audit Logs), BigQuery",
        switch_on: "Admin activity is always on; switch on Data Access audit logs for the services of interest (BigQuery's are always on) and export them with a log sink, or `gcloud logging read --format=json`",
        fields: &[
            ("time", "`timestamp`"),
            (
                "principal",
                "`principalEmail`, with `/keys/ID` of `serviceAccountKeyName` where a key was used, else `principalSubject`; claimed where it was not authenticated",
            ),
            ("address", "`requestMetadata.callerIp`; `private` and `gce-internal-ip` are kept as names"),
            ("database", "BigQuery: the project; Spanner: the database"),
            ("client", "`callerSuppliedUserAgent`; the client's own word"),
            ("statement", "BigQuery: `query`; Spanner: `request.sql`"),
            ("operation", "the statement, else the last word of `methodName`"),
            ("objects", "BigQuery: `referencedTables` of a SELECT; else `methodName`"),
            ("outcome", "`status.code`, BigQuery: the job's error; 7 is denied"),
            ("code", "`status.code`, BigQuery: the code of the job's error"),
            ("rows", "BigQuery: `outputRowCount`"),
            ("duration", "BigQuery: from `startTime` to `endTime`"),
            ("kind", "`methodName` and the outcome"),
        ],
        forgery: "Nothing: Google writes it, and all text is escaped",
        ignored: "The start of BigQuery jobs and what they read and write (counted when the job ends), the second entry of a long-running operation, entries without `protoPayload`: kept as `other`",
        source: "<https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog>",
    },
};

const WRAPPERS: &[&str] = &["entries"];

const TIME: usize = 0;
const KIND: usize = 1;
const SERVICE: usize = 2;
const METHOD: usize = 3;
const EMAIL: usize = 4;
const SUBJECT: usize = 5;
const KEY: usize = 6;
const CALLER: usize = 7;
const AGENT: usize = 8;
const STATUS: usize = 9;
const RESOURCE: usize = 10;
const FIRST: usize = 11;
const LAST: usize = 12;
const SQL: usize = 13;
const METADATA: usize = 14;
const DATA: usize = 15;
const SLOTS: usize = 16;

/// Names of the members that an entry has under `protoPayload`, or in a table of BigQuery under the second name.
const PAYLOADS: [&str; 2] = ["/protoPayload", "/protopayload_auditlog"];

fn places() -> Places {
    let mut places = Places::new(&[("/timestamp", TIME), ("/operation/first", FIRST), ("/operation/last", LAST)]);
    for payload in PAYLOADS {
        for (rank, (name, slot)) in [
            ("/@type", KIND),
            ("/serviceName", SERVICE),
            ("/methodName", METHOD),
            ("/authenticationInfo/principalEmail", EMAIL),
            ("/authenticationInfo/principalSubject", SUBJECT),
            ("/authenticationInfo/serviceAccountKeyName", KEY),
            ("/requestMetadata/callerIp", CALLER),
            ("/requestMetadata/callerSuppliedUserAgent", AGENT),
            ("/status/code", STATUS),
            ("/resourceName", RESOURCE),
            ("/request/sql", SQL),
            ("/metadata", METADATA),
            ("/serviceData", DATA),
            // As the columns of a table have them: the first as text.
            ("/metadataJson", METADATA),
            ("/servicedata_v1_bigquery", DATA),
        ]
        .into_iter()
        .enumerate()
        {
            places.add(&format!("{payload}{name}"), slot, rank);
        }
    }
    let whole = ["/protoPayload/metadata", "/protoPayload/serviceData", "/protopayload_auditlog/servicedata_v1_bigquery"];
    whole.into_iter().fold(places, Places::raw)
}

/// Methods whose records are the format `cloudsql-audit`.
fn elsewhere(method: &[u8]) -> bool {
    QUERIES.contains(&method)
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let known = |picked: &Picked<'_>| {
        // Exports may have lost the type.
        let typed = picked.text(KIND).is_some_and(|kind| kind.ends_with(b"google.cloud.audit.AuditLog"));
        (typed || picked.get(SERVICE).is_some() && [EMAIL, SUBJECT, CALLER].into_iter().any(|slot| picked.get(slot).is_some()))
            && picked.text(METHOD).is_some_and(|method| !elsewhere(method))
            && picked.get(TIME).is_some()
    };
    // Where a sink brings logs of other kinds, too, each is read by itself, out of its envelope.
    let texts = [r#""textPayload":""#, r#""textPayload": ""#];
    let mixed = texts.iter().any(|text| sample.holds(text)) || QUERIES.iter().any(|method| sample.holds(method));
    sample::guess(sample, WRAPPERS, places, SLOTS, known, if mixed { 80 } else { 94 }, "audit log entries of Google Cloud")
}

struct Audit {
    places: Places,
    jobs: Places,
    stamps: Timestamps,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), jobs: bigquery::places(), stamps: Timestamps::new(options.zone.clone()) }
    }
}

/// gRPC's codes for "may not" and "who are you".
const PERMISSION_DENIED: i64 = 7;
const UNAUTHENTICATED: i64 = 16;

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let Some(stamp) = picked.text(TIME) else { return Decoded::Reject("no timestamp") };
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        let Some(method) = picked.text(METHOD) else {
            return Decoded::Event(event);
        };
        let code = picked.number(STATUS).unwrap_or(0);
        event.outcome = match code {
            0 => Outcome::Success,
            PERMISSION_DENIED | UNAUTHENTICATED => Outcome::Denied,
            _ => Outcome::Error,
        };
        if code != 0 {
            event.code = number(code, arena);
        }
        event.address = picked.text(CALLER).and_then(|caller| Address::parse(caller));
        event.client = picked.text(AGENT);
        event.operation = Some(verb(method));
        event.objects = arena.alloc_slice_copy(&[method]);
        let flag = |slot: usize| picked.word(slot, arena).is_some_and(|word| word == "true");
        // A long-running operation is told again when it ends.
        let mut counted = !flag(LAST) || flag(FIRST);
        match picked.text(SERVICE).map_or(&b""[..], |service| service.as_bytes()) {
            b"bigquery.googleapis.com" => counted = bigquery::fill(&mut event, method, &picked, &self.jobs, &mut self.stamps, arena),
            b"spanner.googleapis.com" => {
                event.statement = picked.text(SQL);
                if event.statement.is_some() {
                    (event.dialect, event.operation, event.objects) = (Dialect::Generic, None, &[]);
                }
                // A session of it may stand behind its name.
                let database = picked.text(RESOURCE).and_then(|name| name.part("/databases/")?.1.split_str("/").next());
                event.database = database.map(BStr::new);
            }
            _ => {}
        }
        event.kind = match event.outcome {
            Outcome::Denied => Kind::Denied,
            Outcome::Error if counted => Kind::Error,
            _ if counted => Kind::Query,
            _ => Kind::Other,
        };
        let provenance = if code == UNAUTHENTICATED { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = principal(&picked, arena).map(|name| Principal { name, provenance });
        Decoded::Event(event)
    }
}

/// Who called: the principal, and the key of a service account that was used.
fn principal<'a>(picked: &Picked<'a>, arena: &'a Bump) -> Option<&'a BStr> {
    let name = picked.text(EMAIL).or(picked.text(SUBJECT))?;
    let Some((_, key)) = picked.text(KEY).and_then(|key| key.part_last("/keys/")) else { return Some(name) };
    let mut full = bumpalo::collections::Vec::new_in(arena);
    for part in [name.as_bytes(), b"/keys/", key] {
        full.extend_from_slice(part);
    }
    Some(BStr::new(full.into_bump_slice()))
}

fn number(number: i64, arena: &Bump) -> Option<&BStr> {
    Some(BStr::new(arena.alloc_str(&number.to_string()).as_bytes()))
}

/// First words of the last part of a method's name: `storage.objects.get`, `google.iam.admin.v1.ListServiceAccounts`.
const VERBS: [(&str, Operation); 25] = [
    ("setiampolicy", Operation::Grant),
    ("get", Operation::Select),
    ("list", Operation::Select),
    ("read", Operation::Select),
    ("search", Operation::Select),
    ("query", Operation::Select),
    ("run", Operation::Call),
    ("aggregatedlist", Operation::Select),
    ("batchget", Operation::Select),
    ("lookup", Operation::Select),
    ("execute", Operation::Call),
    ("export", Operation::Copy),
    ("copy", Operation::Copy),
    ("insert", Operation::Create),
    ("create", Operation::Create),
    ("import", Operation::Create),
    ("write", Operation::Insert),
    ("commit", Operation::Insert),
    ("update", Operation::Alter),
    ("patch", Operation::Alter),
    ("set", Operation::Alter),
    ("add", Operation::Alter),
    ("delete", Operation::Delete),
    ("remove", Operation::Delete),
    ("destroy", Operation::Delete),
];

/// The operation of a method by the first word of its last part.
fn verb(method: &[u8]) -> Operation {
    let last = method.rsplit_str(".").next().unwrap_or_default();
    let begins = |word: &str| last.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
    VERBS.iter().find(|(word, _)| begins(word)).map_or(Operation::Other, |(_, operation)| *operation)
}

#[cfg(test)]
mod tests;
