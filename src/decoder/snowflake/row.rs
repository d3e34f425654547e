//! One row, whether JSON or CSV, with the columns that are used.

use std::borrow::Cow;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use crate::decoder::Record;
use crate::decoder::json::fields;
use crate::decoder::json::pick::{self, Places, Value};
use crate::framing::csv::Csv;
use crate::framing::json::Objects;
use crate::framing::{Framed, Framer, More};

/// `snow sql --format json` gives an array; the REST API has rows under `data`.
pub const WRAPPERS: &[&str] = &["data"];

/// The columns that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(usize)]
pub enum Column {
    StartTime,
    EventTimestamp,
    CreatedOn,
    Loaded,
    UserName,
    QueryId,
    QueryText,
    QueryType,
    QueryTag,
    Database,
    SessionId,
    ExecutionStatus,
    ErrorCode,
    Elapsed,
    RowsProduced,
    RowsInserted,
    RowsUpdated,
    RowsDeleted,
    ClientGenerated,
    EventId,
    EventType,
    ClientIp,
    ClientType,
    IsSuccess,
    LoginEventId,
}

pub const COLUMNS: usize = Column::LoginEventId as usize + 1;

const NAMES: [(Column, &str); COLUMNS] = [
    (Column::StartTime, "START_TIME"),
    (Column::EventTimestamp, "EVENT_TIMESTAMP"),
    (Column::CreatedOn, "CREATED_ON"),
    // What loads rows elsewhere adds its own column of the row's time.
    (Column::Loaded, "p_event_time"),
    (Column::UserName, "USER_NAME"),
    (Column::QueryId, "QUERY_ID"),
    (Column::QueryText, "QUERY_TEXT"),
    (Column::QueryType, "QUERY_TYPE"),
    (Column::QueryTag, "QUERY_TAG"),
    (Column::Database, "DATABASE_NAME"),
    (Column::SessionId, "SESSION_ID"),
    (Column::ExecutionStatus, "EXECUTION_STATUS"),
    (Column::ErrorCode, "ERROR_CODE"),
    (Column::Elapsed, "TOTAL_ELAPSED_TIME"),
    (Column::RowsProduced, "ROWS_PRODUCED"),
    (Column::RowsInserted, "ROWS_INSERTED"),
    (Column::RowsUpdated, "ROWS_UPDATED"),
    (Column::RowsDeleted, "ROWS_DELETED"),
    (Column::ClientGenerated, "IS_CLIENT_GENERATED_STATEMENT"),
    (Column::EventId, "EVENT_ID"),
    (Column::EventType, "EVENT_TYPE"),
    (Column::ClientIp, "CLIENT_IP"),
    (Column::ClientType, "REPORTED_CLIENT_TYPE"),
    (Column::IsSuccess, "IS_SUCCESS"),
    (Column::LoginEventId, "LOGIN_EVENT_ID"),
];

/// Where JSON has the columns: under their names, in either case.
pub fn places() -> Places {
    let mut places = Places::default();
    for (column, name) in NAMES {
        places.add(&format!("/{name}"), column as usize, 0);
        places.add(&format!("/{}", name.to_ascii_lowercase()), column as usize, 1);
    }
    places
}

/// Whether these columns are those of one of the three views.
pub fn known(has: impl Fn(Column) -> bool) -> bool {
    let query = has(Column::QueryText) && has(Column::UserName) && (has(Column::ExecutionStatus) || has(Column::QueryType));
    let login = has(Column::IsSuccess) && has(Column::EventTimestamp) && has(Column::UserName);
    let session = has(Column::LoginEventId) && has(Column::SessionId);
    query || login || session
}

/// The columns of a CSV header; `None` where the line is none.
pub fn header(line: &[u8]) -> Option<Vec<Option<Column>>> {
    /// Columns of a header that are looked at.
    const MOST: usize = 512;
    // Asked of every row, so most must be told by their first bytes: no name holds a point, a colon or a minus sign.
    if line.len() > 16 << 10 || !line.iter().all(|b| b.is_ascii_alphanumeric() || b"_$\" ,;\t\r".contains(b)) {
        return None;
    }
    let columns: Vec<Option<Column>> = split(line)
        .ok()?
        .into_iter()
        .take(MOST)
        .map(|name| NAMES.iter().find(|(_, known)| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes())).map(|(column, _)| *column))
        .collect();
    known(|column| columns.contains(&Some(column))).then_some(columns)
}

/// The values of one row.
#[derive(Debug)]
pub struct Row<'a> {
    values: [Option<Value<'a>>; COLUMNS],
    arena: &'a Bump,
    /// A column stood twice.
    pub twice: bool,
}

impl<'a> Row<'a> {
    pub fn json(record: Record<'a>, places: &Places, arena: &'a Bump) -> Result<Row<'a>, &'static str> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), places, COLUMNS, arena);
        if end.is_err() && !record.truncated {
            return Err("not a JSON object");
        }
        let values = std::array::from_fn(|column| picked.get(column));
        Ok(Row { values, arena, twice: picked.twice })
    }

    pub fn csv(line: &'a [u8], header: &[Option<Column>], arena: &'a Bump) -> Result<Row<'a>, &'static str> {
        let fields = split(line)?;
        if fields.len() != header.len() {
            return Err("a row with more or fewer columns than the header");
        }
        let mut row = Row { values: [None; COLUMNS], arena, twice: false };
        for (column, field) in header.iter().zip(fields) {
            let Some(slot) = column.and_then(|column| row.values.get_mut(column as usize)) else { continue };
            // NULL is empty or \N.
            if field.is_empty() || *field == *b"\\N" {
                continue;
            }
            row.twice |= slot.is_some();
            let text = match field {
                Cow::Borrowed(bytes) => pick::text(bytes, arena),
                Cow::Owned(bytes) => pick::text(arena.alloc_slice_copy(&bytes), arena),
            };
            *slot = Some(Value::Text(text));
        }
        Ok(row)
    }

    pub fn value(&self, column: Column) -> Option<Value<'a>> {
        self.values.get(column as usize).copied().flatten()
    }

    pub fn get(&self, column: Column) -> Option<&'a BStr> {
        fields::text(self.value(column)?, self.arena)
    }

    pub fn count(&self, column: Column) -> Option<u64> {
        fields::count(self.value(column)?)
    }
}

/// The fields of a CSV record (RFC 4180, or with backslashes before quotes as Snowflake can be told to write).
fn split(line: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, &'static str> {
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        let (field, after) = match rest.strip_prefix(b"\"") {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find_byte(b',').unwrap_or(rest.len());
                let (field, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
                (Cow::Borrowed(field), after)
            }
        };
        fields.push(field);
        rest = match after {
            [] => return Ok(fields),
            [b',', next @ ..] => next,
            _ => return Err("text behind a quoted CSV field"),
        };
    }
}

fn quoted_field(body: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), &'static str> {
    let end = body.find_byte(b'"').ok_or("a CSV field whose quotes are not closed")?;
    let (field, after) = body.split_at_checked(end).unwrap_or((body, b""));
    let mut rest = after.get(1..).unwrap_or_default();
    if !rest.starts_with(b"\"") {
        return Ok((Cow::Borrowed(field), rest));
    }
    let mut whole = field.to_vec();
    while let Some(more) = rest.strip_prefix(b"\"") {
        whole.push(b'"');
        let end = more.find_byte(b'"').ok_or("a CSV field whose quotes are not closed")?;
        whole.extend_from_slice(more.get(..end).unwrap_or_default());
        rest = more.get(end + 1..).unwrap_or_default();
    }
    Ok((Cow::Owned(whole), rest))
}

/// Frames rows: JSON objects, or CSV records.
pub enum Rows {
    Json(Objects),
    Csv(Csv),
}

impl Rows {
    pub fn new(sample: &[u8]) -> Self {
        match sample.trim_start().first() {
            Some(b'{' | b'[') | None => Rows::Json(Objects::new(WRAPPERS)),
            Some(_) => Rows::Csv(Csv::new(|_| true)),
        }
    }
}

impl Framer for Rows {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        match self {
            Rows::Json(framer) => framer.next(buf, more),
            Rows::Csv(framer) => framer.next(buf, more),
        }
    }

    fn save(&self) -> Vec<u8> {
        let (mode, mut state) = match self {
            Rows::Json(framer) => (0, framer.save()),
            Rows::Csv(framer) => (1, framer.save()),
        };
        state.insert(0, mode);
        state
    }

    fn restore(&mut self, state: &[u8]) {
        let Some((mode, state)) = state.split_first() else { return };
        *self = if *mode == 0 { Rows::Json(Objects::new(WRAPPERS)) } else { Rows::Csv(Csv::new(|_| true)) };
        match self {
            Rows::Json(framer) => framer.restore(state),
            Rows::Csv(framer) => framer.restore(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields() {
        let show = |line: &str| split(line.as_bytes()).map(|f| f.iter().map(|f| f.as_bstr().to_string()).collect::<Vec<_>>().join("|"));
        assert_eq!(show("a,\"b,\nc\",,\"d\"\"e\"").as_deref(), Ok("a|b,\nc||d\"e"));
        assert_eq!(show("").as_deref(), Ok(""));
        assert_eq!(show("\"\"\"\"").as_deref(), Ok("\""));
        assert!(show("\"a").is_err() && show("\"a\"b").is_err() && show("\"a\"\"").is_err());
    }

    #[test]
    fn headers() {
        assert!(header(b"QUERY_ID,QUERY_TEXT,USER_NAME,QUERY_TYPE,START_TIME").is_some());
        assert!(header(b"\"event_timestamp\",\"user_name\",\"is_success\"").is_some());
        assert!(header(b"a,b").is_none() && header(b"").is_none());
    }
}
