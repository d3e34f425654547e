//! BigQuery's `INFORMATION_SCHEMA.JOBS` (and `JOBS_BY_PROJECT`, `JOBS_BY_ORGANIZATION`) as rows of JSON.
//!
//! ```text
//! {"creation_time":"2026-11-22 02:21:28.484 UTC","project_id":"shop","user_email":"billing@shop.iam.gserviceaccount.com","job_id":"bq1","job_type":"QUERY","statement_type":"SELECT","start_time":"...","end_time":"...","query":"SELECT total FROM crm.invoices","state":"DONE","referenced_tables":[{"project_id":"shop","dataset_id":"crm","table_id":"invoices"}],"error_result":null}
//! ```
//! <https://cloud.google.com/bigquery/docs/information-schema-jobs>
//!
//! A script is a row of its own beside those of its statements, of which each is counted. The job's number is chosen by the client and joins nothing.

use bstr::ByteSlice;
use bumpalo::Bump;

use super::bigquery::tables;
use crate::decoder::json::pick::{self, Picked, Places};
use crate::decoder::json::{fields, sample};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::json::Objects;

pub const FORMAT: Format = Format {
    name: "bigquery-jobs",
    about: "BigQuery INFORMATION_SCHEMA.JOBS rows as JSON",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Jobs::new(options))),
    guide: Guide {
        system: "BigQuery (INFORMATION_SCHEMA.JOBS)",
        switch_on: "Query new rows, for example `bq query --use_legacy_sql=false --format=json --max_rows=10000 'SELECT * FROM region-eu.INFORMATION_SCHEMA.JOBS WHERE end_time > ...'`, or `EXPORT DATA OPTIONS (format = 'JSON', ...)`. Where you may, prefer the audit log (`gcp-audit`): it has addresses, and comes by itself",
        fields: &[
            ("time", "`creation_time`"),
            ("principal", "`user_email`, else `principal_subject`; verified"),
            ("database", "`project_id`"),
            ("session", "`session_info.session_id`"),
            ("statement", "`query`"),
            ("operation", "`statement_type` of a SELECT, `job_type`, else the statement"),
            ("objects", "`referenced_tables` of a SELECT, else the statement; `destination_table` of a load"),
            ("outcome", "`error_result` and `state`"),
            ("code", "`error_result.reason`"),
            ("duration", "`end_time` less `start_time`"),
            ("kind", "`error_result` and `statement_type`"),
        ],
        forgery: "Nothing: BigQuery keeps it, and all text is escaped",
        ignored: "Scripts, whose statements have rows of their own: kept as `other`",
        source: "<https://cloud.google.com/bigquery/docs/information-schema-jobs>",
    },
};

const TIME: usize = 0;
const EMAIL: usize = 1;
const SUBJECT: usize = 2;
const PROJECT: usize = 3;
const JOB: usize = 4;
const JOB_TYPE: usize = 5;
const STATEMENT_TYPE: usize = 6;
const QUERY: usize = 7;
const STATE: usize = 8;
const REASON: usize = 9;
const BEGIN: usize = 10;
const END: usize = 11;
const REFERENCED: usize = 12;
const DESTINATION: usize = 13;
const SESSION: usize = 14;
const SLOTS: usize = 15;

fn places() -> Places {
    let places = Places::new(&[
        ("/creation_time", TIME),
        ("/user_email", EMAIL),
        ("/principal_subject", SUBJECT),
        ("/project_id", PROJECT),
        ("/job_id", JOB),
        ("/job_type", JOB_TYPE),
        ("/statement_type", STATEMENT_TYPE),
        ("/query", QUERY),
        ("/state", STATE),
        ("/error_result/reason", REASON),
        ("/start_time", BEGIN),
        ("/end_time", END),
        ("/referenced_tables", REFERENCED),
        ("/destination_table", DESTINATION),
        ("/session_info/session_id", SESSION),
    ]);
    places.raw("/referenced_tables").raw("/destination_table")
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let known = |picked: &Picked<'_>| {
        let has = |slot: usize| picked.get(slot).is_some();
        has(TIME) && (has(EMAIL) || has(SUBJECT)) && (has(JOB) || has(JOB_TYPE) || has(STATEMENT_TYPE))
    };
    sample::guess(sample, &[], places, SLOTS, known, 94, "rows of BigQuery's jobs")
}

struct Jobs {
    places: Places,
    stamps: Timestamps,
}

impl Jobs {
    fn new(options: &Options) -> Self {
        Jobs { places: places(), stamps: Timestamps::new(options.zone.clone()) }
    }
}

impl Decoder for Jobs {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let mut time = |slot: usize| fields::time(picked.get(slot)?, &mut self.stamps);
        let Some(created) = time(TIME) else { return Decoded::Reject("no readable creation_time") };
        let took = time(BEGIN).zip(time(END)).and_then(|(begin, end)| u64::try_from(end.0.checked_sub(begin.0)?).ok());
        let is = |slot: usize, word: &str| picked.text(slot).is_some_and(|text| text == word);
        let mut event = Event::new(Kind::Query, created);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        event.principal =
            picked.text(EMAIL).or_else(|| picked.text(SUBJECT)).map(|name| Principal { name, provenance: Provenance::Authenticated });
        event.database = picked.text(PROJECT);
        event.session = picked.text(SESSION);
        event.duration_us = took;
        event.code = picked.text(REASON);
        (event.kind, event.outcome) = match event.code.map(|reason| reason.as_bytes()) {
            Some(b"accessDenied") => (Kind::Denied, Outcome::Denied),
            Some(_) => (Kind::Error, Outcome::Error),
            None if is(STATE, "DONE") => (Kind::Query, Outcome::Success),
            None => (Kind::Query, Outcome::Unknown),
        };
        if is(STATEMENT_TYPE, "SCRIPT") && event.outcome != Outcome::Denied {
            event.kind = Kind::Other;
        }
        let project = picked.text(PROJECT).map(|project| project.as_bytes());
        event.statement = picked.text(QUERY);
        if event.statement.is_some() {
            event.dialect = Dialect::Generic;
            if is(STATEMENT_TYPE, "SELECT") {
                event.operation = Some(Operation::Select);
                event.objects = tables(picked.get(REFERENCED), project, arena);
            }
        } else if is(JOB_TYPE, "LOAD") {
            event.operation = Some(Operation::Insert);
            event.objects = tables(picked.get(DESTINATION), project, arena);
        } else if is(JOB_TYPE, "EXTRACT") || is(JOB_TYPE, "COPY") {
            event.operation = Some(Operation::Copy);
            event.objects = tables(picked.get(REFERENCED), project, arena);
        }
        Decoded::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::testing::shown;

    fn check(rest: &str, want: &str) {
        let row = format!(
            r#"{{"creation_time":"2026-11-22 02:21:28.484 UTC","project_id":"p","user_email":"a@example.com","job_id":"j","job_type":"QUERY",{rest}}}"#
        );
        assert_eq!(shown(&FORMAT, row.as_bytes()), [want], "{row}");
    }

    #[test]
    fn jobs() {
        let table = |project: &str| format!(r#"{{"project_id":"{project}","dataset_id":"d","table_id":"t"}}"#);
        let select = r#""state":"DONE","statement_type":"SELECT","query":"SELECT 1","referenced_tables""#;
        check(
            &format!(r#"{select}:[{},{}],"error_result":null"#, table("p"), table("q")),
            "Query a@example.com@-/p | select d.t q.d.t | SELECT 1 | Success",
        );
        check(
            r#""state":"DONE","statement_type":"SELECT","query":"SELECT 1 FROM d.t","error_result":{"reason":"accessDenied","message":"x"}"#,
            "Denied a@example.com@-/p | select | SELECT 1 FROM d.t | Denied accessDenied",
        );
        check(
            r#""state":"DONE","query":"SELEC 1","error_result":{"reason":"invalidQuery"},"session_info":{"session_id":"s1"}"#,
            "Error a@example.com@-/p | - | SELEC 1 | Error invalidQuery session=s1",
        );
        check(r#""state":"RUNNING","query":"SELECT 1""#, "Query a@example.com@-/p | - | SELECT 1 | Unknown");
        check(
            r#""state":"DONE","statement_type":"SCRIPT","query":"SELECT 1; SELECT 2""#,
            "Other a@example.com@-/p | - | SELECT 1; SELECT 2 | Success",
        );
        check(r#""user_email":"admin@example.com","state":"DONE""#, "Query a@example.com@-/p | - | - | Success SUSPECT");
        let load =
            format!(r#"{{"creation_time":"2026-11-22 02:21:28","user_email":"a","job_type":"LOAD","destination_table":{}}}"#, table("p"));
        assert_eq!(shown(&FORMAT, load.as_bytes()), ["Query a@- | insert d.t | - | Unknown"]);
        let copy = load.replace("LOAD", "EXTRACT").replace("destination_table", "referenced_tables");
        assert_eq!(shown(&FORMAT, copy.as_bytes()), ["Query a@- | copy d.t | - | Unknown"]);
    }

    #[test]
    fn what_cannot_be_read() {
        assert_eq!(shown(&FORMAT, br#"{"user_email":"a"}"#), ["rejected: no readable creation_time"]);
        assert_eq!(shown(&FORMAT, br#"{"creation_time":"x","user_email":"a"}"#), ["rejected: no readable creation_time"]);
        assert_eq!(shown(&FORMAT, b"x"), ["rejected: not a JSON object"]);
    }
}
