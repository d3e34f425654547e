//! What BigQuery tells of its jobs: `BigQueryAuditMetadata`, and `AuditData` of before.
//!
//! A job leaves an entry when it begins (`jobInsertion`, `jobservice.insert`), one when it ends (`jobChange`,
//! `jobservice.jobcompleted`), and one for each table read or written on its behalf. It counts when it ends, or when it was refused.

use std::borrow::Cow;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::Deserialize;

use super::{DATA, METADATA, RESOURCE, number};
use crate::decoder::json::pick::{self, Picked, Places, Value};
use crate::decoder::timestamp::Timestamps;
use crate::event::{Dialect, Event, Operation, Outcome};
use crate::framing::seek::Seek;

const QUERY: usize = 0;
const CUT: usize = 1;
const STATEMENT_TYPE: usize = 2;
const TABLES: usize = 3;
const ROWS: usize = 4;
const BEGIN: usize = 5;
const END: usize = 6;
const ERROR: usize = 7;
const DONE: usize = 8;
const READ_REASON: usize = 9;
const CHANGE_REASON: usize = 10;
const LOADED: usize = 11;
const EXTRACTED: usize = 12;
const COPIED: usize = 13;
const INSERTION: usize = 14;
const DELETED: usize = 15;
const SLOTS: usize = 16;

/// Where the new metadata and the old data have it. The names stand in `job` of one of several parents.
pub fn places() -> Places {
    let mut places = Places::default();
    for (rank, parent) in ["/jobChange/job", "/jobInsertion/job"].iter().enumerate() {
        for (name, slot) in [
            ("/jobConfig/queryConfig/query", QUERY),
            ("/jobConfig/queryConfig/queryTruncated", CUT),
            ("/jobConfig/queryConfig/statementType", STATEMENT_TYPE),
            ("/jobStats/queryStats/referencedTables", TABLES),
            ("/jobStats/queryStats/outputRowCount", ROWS),
            ("/jobStats/startTime", BEGIN),
            ("/jobStats/endTime", END),
            ("/jobStatus/errorResult/code", ERROR),
            ("/jobConfig/loadConfig/destinationTable", LOADED),
            ("/jobConfig/extractConfig/sourceTable", EXTRACTED),
            ("/jobConfig/tableCopyConfig/sourceTables", COPIED),
        ] {
            places.add(&format!("{parent}{name}"), slot, rank);
        }
    }
    for (name, slot) in [
        ("/jobConfiguration/query/query", QUERY),
        ("/jobConfiguration/query/statementType", STATEMENT_TYPE),
        ("/jobStatistics/referencedTables", TABLES),
        ("/jobStatistics/queryOutputRowCount", ROWS),
        ("/jobStatistics/startTime", BEGIN),
        ("/jobStatistics/endTime", END),
        ("/jobStatus/error/code", ERROR),
        ("/jobConfiguration/load/destinationTable", LOADED),
        ("/jobConfiguration/extract/sourceTable", EXTRACTED),
        ("/jobConfiguration/tableCopy/sourceTables", COPIED),
    ] {
        places.add(&format!("/jobCompletedEvent/job{name}"), slot, 2);
    }
    for (pointer, slot) in [
        ("/jobChange/after", DONE),
        ("/jobCompletedEvent/eventName", DONE),
        ("/tableDataRead/reason", READ_REASON),
        ("/tableDataChange/reason", CHANGE_REASON),
        ("/tableDataChange/deletedRowsCount", DELETED),
        ("/jobInsertion/reason", INSERTION),
        ("/jobQueryRequest/query", QUERY),
        ("/jobInsertRequest/resource/jobConfiguration/query/query", QUERY),
    ] {
        places.add(pointer, slot, 3);
    }
    let lists = ["/jobCompletedEvent/job/jobStatistics/referencedTables", "/jobCompletedEvent/job/jobConfiguration/tableCopy/sourceTables"];
    let whole =
        ["/jobCompletedEvent/job/jobConfiguration/load/destinationTable", "/jobCompletedEvent/job/jobConfiguration/extract/sourceTable"];
    lists.into_iter().chain(whole).fold(places, Places::raw)
}

/// Fills in what the entry tells of a job or a table. Whether it counts as an act of its own.
pub fn fill<'a>(
    event: &mut Event<'a>,
    method: &[u8],
    picked: &Picked<'a>,
    places: &Places,
    stamps: &mut Timestamps,
    arena: &'a Bump,
) -> bool {
    let project = picked.text(RESOURCE).and_then(|name| part(name, "projects/"));
    event.database = project.map(BStr::new);
    let Some(Value::Raw(data) | Value::Text(data)) = picked.get(METADATA).or(picked.get(DATA)) else { return !is_job(method) };
    let (job, _) = pick::pick_head(data, places, SLOTS, arena);
    if let Some(code) = job.number(ERROR).filter(|code| *code != 0) {
        let denied = matches!(code, 7 | 16);
        event.outcome = if denied { Outcome::Denied } else { Outcome::Error };
        event.code = number(code, arena);
    }
    let done = job.text(DONE);
    let began = job.text(INSERTION).is_some() || done.is_none() && is_job(method);
    if let Some(query) = job.text(QUERY) {
        event.statement = Some(query);
        event.dialect = Dialect::Generic;
        event.truncated |= job.word(CUT, arena).is_some_and(|word| word == "true");
        (event.operation, event.objects) = (None, &[]);
        if job.text(STATEMENT_TYPE).is_some_and(|kind| kind == "SELECT") {
            event.objects = tables(job.get(TABLES), project, arena);
            event.operation = Some(Operation::Select);
        }
    } else if let Some((operation, slot)) = [(Operation::Insert, LOADED), (Operation::Copy, EXTRACTED), (Operation::Copy, COPIED)]
        .into_iter()
        .find(|(_, slot)| job.get(*slot).is_some())
    {
        event.operation = Some(operation);
        event.objects = tables(job.get(slot), project, arena);
    } else if let Some((operation, reason)) = [(Operation::Select, READ_REASON), (Operation::Insert, CHANGE_REASON)]
        .into_iter()
        .find_map(|(operation, slot)| Some((operation, job.text(slot)?)))
    {
        let deleted = operation == Operation::Insert && job.count(DELETED).is_some_and(|rows| rows > 0);
        event.operation = Some(if deleted { Operation::Delete } else { operation });
        event.objects =
            picked.text(RESOURCE).and_then(|name| table(name, project, arena)).map_or(&[], |name| arena.alloc_slice_copy(&[name]));
        // On behalf of a job, which is counted by itself.
        return !matches!(reason.as_bytes(), b"JOB" | b"QUERY" | b"QUERY_REQUEST" | b"GET_QUERY_RESULTS_REQUEST");
    }
    if done.is_some() {
        event.rows = job.count(ROWS);
        let mut time = |slot: usize| stamps.parse(job.text(slot)?).ok();
        if let (Some(begin), Some(end)) = (time(BEGIN), time(END)) {
            event.duration_us = u64::try_from(end.0 - begin.0).ok();
        }
    }
    // `after` is also RUNNING.
    let ended = done.is_some_and(|state| state == "DONE" || state.ends_with(b"_completed"));
    ended || event.outcome != Outcome::Success || done.is_none() && !began
}

/// Whether a method runs or asks for a job: the job is counted when it ends.
fn is_job(method: &[u8]) -> bool {
    let last = method.rsplit_str(".").next().unwrap_or_default();
    matches!(last, b"InsertJob" | b"Query" | b"GetQueryResults" | b"insert" | b"query" | b"getQueryResults" | b"getqueryresults")
        && (method.holds("JobService") || method.holds("jobservice"))
}

/// The part of a resource's name behind a word: `projects/p/datasets/d/tables/t`.
fn part<'a>(name: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (_, rest) = name.part(word)?;
    rest.split_str("/").next().filter(|part| !part.is_empty())
}

/// `dataset.table`, with the project before it where it is another than the job's.
fn table<'a>(name: &'a [u8], project: Option<&[u8]>, arena: &'a Bump) -> Option<&'a BStr> {
    let (own, dataset, table) = (part(name, "projects/"), part(name, "/datasets/")?, part(name, "/tables/")?);
    Some(join(own, dataset, table, project, arena))
}

fn join<'a>(own: Option<&[u8]>, dataset: &[u8], table: &[u8], project: Option<&[u8]>, arena: &'a Bump) -> &'a BStr {
    let mut full = bumpalo::collections::Vec::new_in(arena);
    if let Some(own) = own.filter(|own| project.is_some_and(|project| project != *own)) {
        full.extend_from_slice(own);
        full.push(b'.');
    }
    full.extend_from_slice(dataset);
    full.push(b'.');
    full.extend_from_slice(table);
    BStr::new(full.into_bump_slice())
}

/// A table as the old data has it, and rows of jobs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table<'a> {
    #[serde(borrow, alias = "project_id")]
    project_id: Cow<'a, str>,
    #[serde(borrow, alias = "dataset_id")]
    dataset_id: Cow<'a, str>,
    #[serde(borrow, alias = "table_id")]
    table_id: Cow<'a, str>,
}

/// The tables of a value: names of resources, or objects.
pub fn tables<'a>(value: Option<Value<'a>>, project: Option<&[u8]>, arena: &'a Bump) -> &'a [&'a BStr] {
    let mut names = bumpalo::collections::Vec::new_in(arena);
    match value {
        Some(Value::List(list)) => names.extend(list.iter().filter_map(|name| table(name, project, arena))),
        Some(Value::Text(name)) => names.extend(table(name.as_bytes(), project, arena)),
        Some(Value::Raw(json)) => {
            let list =
                serde_json::from_str::<Vec<Table<'a>>>(json).or_else(|_| serde_json::from_str::<Table<'a>>(json).map(|one| vec![one]));
            for table in list.unwrap_or_default() {
                let own = Some(table.project_id.as_bytes());
                names.push(join(own, table.dataset_id.as_bytes(), table.table_id.as_bytes(), project, arena));
            }
        }
        _ => {}
    }
    names.into_bump_slice()
}
