//! The query log: one record for each search, in whatever language it came.

use bstr::{BStr, ByteSlice};

use super::{ERROR, NODE, OUTCOME, PARENT, QUERY, QUERY_ROWS, QUERY_TOOK, QUERY_TYPE};
use crate::decoder::json::pick::Picked;
use crate::event::{Dialect, Event, Kind, Operation, Outcome};
use crate::framing::seek::Seek;

/// Whether an object is the query log's.
pub fn is(picked: &Picked<'_>) -> bool {
    picked.get(QUERY_TYPE).is_some() && picked.get(QUERY).is_some()
}

/// What the query log tells beside the user and the indices.
pub fn fill<'a>(event: &mut Event<'a>, picked: &Picked<'a>) {
    let failed = picked.text(OUTCOME).is_some_and(|outcome| outcome == "failure");
    let error = picked.text(ERROR).filter(|_| failed);
    let refused = error.is_some_and(|error| error.holds("SecurityException"));
    // A search that another query of this node made is a part of it.
    let part = picked.text(PARENT).is_some_and(|parent| Some(parent) == picked.text(NODE));
    (event.kind, event.outcome) = match (failed, refused) {
        (true, true) => (Kind::Denied, Outcome::Denied),
        (true, false) => (Kind::Error, Outcome::Error),
        (false, _) => (if part { Kind::Other } else { Kind::Query }, Outcome::Success),
    };
    event.operation = Some(Operation::Select);
    event.code = error;
    event.rows = picked.number(QUERY_ROWS).and_then(|rows| u64::try_from(rows).ok());
    event.duration_us = picked.number(QUERY_TOOK).and_then(|nanos| u64::try_from(nanos / 1_000).ok());
    // The other languages are JSON objects and conditions, of which no shape can be made.
    if picked.text(QUERY_TYPE).is_some_and(|kind| matches!(kind.as_bytes(), b"sql" | b"esql")) {
        event.statement = picked.text(QUERY).filter(|query| !query.is_empty()).map(BStr::new);
        event.dialect = Dialect::Generic;
    }
}
