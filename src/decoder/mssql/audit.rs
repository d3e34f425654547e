//! SQL Server Audit: events 33205 of the Windows log as text, JSON or XML, rows of `sys.fn_get_audit_file`, Azure SQL's `SQLSecurityAuditEvents`.
//!
//! ```text
//! {"winlog":{"event_id":"33205","event_data":{"param1":"audit_schema_version:1\nevent_time:2026-11-22 02:05:17.6412345\nsequence_number:1\naction_id:SL  \nsucceeded:true\n...statement:SELECT * FROM dbo.customers\nadditional_information:\n..."}}}
//! event_time,sequence_number,action_id,succeeded,...,statement,...
//! {"category":"SQLSecurityAuditEvents","properties":{"event_time":"2026-11-22T02:05:17.64Z","action_id":"BCM","statement":"SELECT 1",...}}
//! ```
//!
//! <https://learn.microsoft.com/sql/relational-databases/security/auditing/sql-server-audit-records>. Neither the text of the event nor
//! a file of such texts escapes anything; `audit/text.rs` reads it so that a statement cannot set what stands before it.

use bstr::ByteSlice;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::{brackets, client, errorlog, some};
use crate::decoder::table::{Columns, Line};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::HEAD;
use crate::framing::seek::Seek;

mod actions;
mod text;
mod windows;

use actions::{Act, act};
use windows::Windows;

pub const FORMAT: Format = Format {
    name: "mssql-audit",
    about: "SQL Server audit: event 33205, sys.fn_get_audit_file, Azure SQL auditing",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(text::Shapes::new(WRAPPERS)), Box::new(Audit::new(options))),
    guide: Guide {
        system: "SQL Server 2008 to 2025, Azure SQL Database and Managed Instance",
        switch_on: "`CREATE SERVER AUDIT ... TO APPLICATION_LOG` (shipped by Winlogbeat as JSON, or as event XML) or `TO FILE` (exported by `sys.fn_get_audit_file` with its column names), and `CREATE DATABASE AUDIT SPECIFICATION`; in Azure, auditing to Event Hubs or storage",
        fields: &[
            ("time", "event_time, UTC"),
            ("principal", "session_server_principal_name, else server_principal_name; verified unless the login failed"),
            ("address", "client_ip; seen by the server"),
            ("database", "database_name"),
            ("client", "application_name; the client's own word"),
            ("session", "session_id"),
            ("statement", "statement; a statement of more than 4,000 characters is one event a piece, the last one with the whole text"),
            ("operation", "action_id, else the statement"),
            ("objects", "schema_name and object_name, else the statement"),
            ("outcome", "succeeded: whether the permissions sufficed"),
            ("code", "the error of additional_information, of refused logins"),
            ("rows", "affected_rows or response_rows, where not 0"),
            ("duration", "duration_milliseconds, where not 0"),
            ("kind", "action_id"),
        ],
        forgery: "A statement can hold lines that look like fields: those that name the token stand before it and are taken from there. A plain file of event texts has no boundaries that a statement could not write, so its events are marked and name no token; ship them as JSON or event XML",
        ignored: "The heading of CSV; acts of the server itself: kept as `other`",
        source: "<https://learn.microsoft.com/sql/relational-databases/security/auditing/sql-server-audit-records>",
    },
};

const WRAPPERS: &[&str] = &["records", "Records", "events", "value"];

/// Names of the values, in the order of [`Field`]; those of Azure's Log Analytics end in the type.
#[rustfmt::skip]
const COLUMNS: &[&[&str]] = &[
    &["event_time", "event_time_t", "originalEventTimestamp", "originalEventTimestamp_t"],
    &["action_id", "action_id_s"],
    &["succeeded", "succeeded_s", "succeeded_b", "is_succeeded"],
    &["session_id", "session_id_d"],
    &["client_ip", "client_ip_s"],
    &["sequence_number", "sequence_number_d"],
    &["sequence_group_id", "sequence_group_id_g"],
    &["session_server_principal_name", "session_server_principal_name_s"],
    &["server_principal_name", "server_principal_name_s"],
    &["database_name", "database_name_s"],
    &["schema_name", "schema_name_s"],
    &["object_name", "object_name_s"],
    &["statement", "statement_s"],
    &["additional_information", "additional_information_s"],
    &["application_name", "application_name_s"],
    &["affected_rows", "affected_rows_d"],
    &["response_rows", "response_rows_d"],
    &["duration_milliseconds", "duration_milliseconds_d"],
    &["database_principal_name", "database_principal_name_s"],
];

/// Places of [`COLUMNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Time,
    Action,
    Succeeded,
    Session,
    Client,
    Sequence,
    Group,
    SessionUser,
    User,
    Database,
    Schema,
    Object,
    Statement,
    Information,
    Application,
    Affected,
    Responded,
    Duration,
    DatabaseUser,
}

/// The values of one record.
struct Values<'a>([&'a [u8]; COLUMNS.len()]);

impl<'a> Values<'a> {
    fn get(&self, field: Field) -> &'a [u8] {
        self.0.get(field as usize).copied().unwrap_or_default()
    }

    fn number(&self, field: Field) -> Option<u64> {
        std::str::from_utf8(self.get(field)).ok()?.trim().parse().ok()
    }
}

/// Places where shippers of Windows events put the text of the event.
const TEXTS: &[&[&str]] = &[&[
    "winlog/event_data/param1",
    "winlog.event_data.param1",
    "event_data/param1",
    "EventData/param1",
    "EventData/Data",
    "Event/EventData/Data",
    "data/win/eventdata/data",
    "win/eventdata/data",
    "StringInserts",
    "RenderedDescription",
    "event/original",
    "message",
    "Message",
    "msg",
]];

/// What shippers make of other events of the Windows log: the message, and when.
const OTHERS: &[&[&str]] =
    &[&["message", "Message", "RenderedDescription"], &["@timestamp", "winlog/time_created", "EventTime", "TimeCreated", "timestamp"]];

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let head = sample.get(..sample.len().min(32 << 10)).unwrap_or(sample);
    let has = |word: &str| memchr::memmem::find(head, word.as_bytes()).is_some();
    if has("audit_schema_version:") && has("action_id:") {
        return Guess::new(97, "the text of SQL Server's event 33205");
    }
    if has("SQLSecurityAuditEvents") {
        return Guess::new(97, "Azure's SQLSecurityAuditEvents");
    }
    let heading = sample.get(..memchr::memchr(b'\n', sample).unwrap_or(sample.len())).unwrap_or_default();
    let json = matches!(sample.trim_start().first(), Some(b'{' | b'['));
    let named = |words: &[u8]| memchr::memmem::find(if json { head } else { heading }, words);
    match [&b"event_time"[..], b"action_id", b"server_principal_name", b"statement"].iter().all(|w| named(w).is_some()) {
        true => Guess::new(95, "columns of sys.fn_get_audit_file"),
        false => Guess::NO,
    }
}

/// Characters of a statement in one record; a longer one goes on in the next.
const PIECE: usize = 4_000;

/// Statements that are in the middle of their pieces.
const OPEN: usize = 64;

/// The pieces of one statement that have come so far.
#[derive(Debug, Serialize, Deserialize)]
struct Pieces {
    group: Vec<u8>,
    sequence: u64,
    text: Vec<u8>,
}

/// Why a record has no values.
enum Unread {
    Heading,
    /// Another event of the Windows log.
    Event,
    Broken(&'static str),
}

/// The decoder of one log.
struct Audit {
    columns: Columns,
    texts: Columns,
    others: Columns,
    stamps: Timestamps,
    /// Oldest first.
    open: Vec<Pieces>,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit {
            columns: Columns::new(COLUMNS, &["/properties"]),
            texts: Columns::new(TEXTS, &[]),
            others: Columns::new(OTHERS, &[]),
            stamps: Timestamps::new(options.zone.clone()),
            open: Vec::new(),
        }
    }

    /// The values of a record, and whether a key came twice.
    fn values<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Result<(Values<'a>, bool), Unread> {
        if let Some(text) = text::begin(record) {
            return Ok((text::read(text), false));
        }
        match windows::read(record, arena) {
            Some(Windows::Audit(text)) => {
                let text = text::begin(text).ok_or(Unread::Broken("an event 33205 without the text of an audit event"))?;
                return Ok((text::read(text), false));
            }
            Some(Windows::Other) => return Err(Unread::Event),
            None => {}
        }
        if record.trim_start().first() == Some(&b'{')
            && record.seek(b"audit_schema_version:").is_some()
            && let Line::Row(row) = self.texts.read(record, arena)
            && let Some(text) = text::begin(row.get(0))
        {
            return Ok((text::read(text), row.twice));
        }
        match self.columns.read(record, arena) {
            Line::Row(row) => {
                let mut values = Values([b""; COLUMNS.len()]);
                for (slot, value) in values.0.iter_mut().enumerate() {
                    *value = row.get(slot);
                }
                Ok((values, row.twice))
            }
            Line::Heading => Err(Unread::Heading),
            Line::Headless => Err(Unread::Broken("a csv row before the heading with the names of the columns")),
            Line::Broken => Err(Unread::Broken("neither the text of an audit event nor an audit row")),
        }
    }

    /// Another event of the Windows log, as JSON: a login is told there, too.
    fn other<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Option<Decoded<'a>> {
        let Line::Row(row) = self.others.read(record.bytes, arena) else { return None };
        let (message, time) = (row.get(0), self.stamps.parse(row.get(1)).ok()?);
        if !errorlog::is_message(message) {
            return (!message.is_empty()).then_some(Decoded::Skip("another event of the Windows log"));
        }
        let mut event = Event::new(Kind::Other, time);
        event.suspect = record.suspect.or(row.twice.then_some("a key comes twice in one record"));
        event.truncated = record.truncated;
        errorlog::logon(message, None, false, &mut event, arena);
        Some(Decoded::Event(event))
    }

    /// The statement with the pieces that came before, and whether more will come.
    fn joined<'a>(&mut self, values: &Values<'a>, arena: &'a Bump) -> (&'a [u8], bool) {
        let piece = values.get(Field::Statement);
        let more = piece.len() >= PIECE && piece.chars().map(char::len_utf16).sum::<usize>() >= PIECE;
        let (group, sequence) = (values.get(Field::Group), values.number(Field::Sequence).unwrap_or(1));
        let known = self.open.iter().position(|p| p.group == group && p.sequence + 1 == sequence);
        let before = known.map(|at| self.open.remove(at));
        if group.is_empty() || (!more && before.is_none()) {
            return (piece, more);
        }
        let mut text = before.map(|p| p.text).unwrap_or_default();
        text.extend_from_slice(piece);
        if text.len() > HEAD {
            // Long enough to know it by; the rest is only counted.
            return (piece, true);
        }
        let whole = arena.alloc_slice_copy(&text) as &[u8];
        if more {
            if self.open.len() >= OPEN {
                self.open.remove(0);
            }
            self.open.push(Pieces { group: group.to_vec(), sequence, text });
        }
        (whole, more)
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (values, twice) = match self.values(record.bytes, arena) {
            Ok(values) => values,
            Err(Unread::Heading) => return Decoded::Skip("heading of a csv file"),
            Err(Unread::Event) => return Decoded::Skip("another event of the Windows log"),
            Err(Unread::Broken(_)) if record.truncated => return Decoded::Reject("record cut by the size limit"),
            Err(Unread::Broken(reason)) => return Decoded::Reject(reason),
        };
        let stamp = values.get(Field::Time);
        if stamp.is_empty()
            && values.get(Field::Action).is_empty()
            && record.bytes.trim_start().first() == Some(&b'{')
            && let Some(other) = self.other(record, arena)
        {
            return other;
        }
        let Ok(time) = self.stamps.parse(stamp.trim()) else {
            return Decoded::Reject(if stamp.is_empty() { "an audit event without event_time" } else { "unreadable time stamp" });
        };
        let action = values.get(Field::Action).trim();
        if action.is_empty() {
            return Decoded::Reject("an audit event without action_id");
        }
        let act = act(action);
        let succeeded = match values.get(Field::Succeeded).trim() {
            b"true" | b"True" | b"TRUE" | b"1" => Some(true),
            b"false" | b"False" | b"FALSE" | b"0" => Some(false),
            _ => None,
        };
        let mut event = Event::new(Kind::Other, time);
        event.suspect = record.suspect.or(twice.then_some("a key comes twice in one record"));
        event.outcome = match (act, succeeded) {
            (Act::Refused, _) => Outcome::Denied,
            (_, Some(true)) => Outcome::Success,
            // Whole batches fail for any reason, single accesses only for lack of permission.
            (Act::Batch, Some(false)) => Outcome::Error,
            (_, Some(false)) => Outcome::Denied,
            _ => Outcome::Unknown,
        };
        (event.kind, event.operation) = match act {
            Act::Login if event.outcome == Outcome::Denied => (Kind::LoginFailed, Some(Operation::Connect)),
            Act::Login => (Kind::Login, Some(Operation::Connect)),
            Act::Refused => (Kind::LoginFailed, Some(Operation::Connect)),
            Act::Logout => (Kind::Logout, None),
            Act::Other => (Kind::Other, None),
            Act::Batch | Act::Does(_) => {
                let kind = match event.outcome {
                    Outcome::Denied => Kind::Denied,
                    Outcome::Error => Kind::Error,
                    _ => Kind::Query,
                };
                (kind, if let Act::Does(operation) = act { Some(operation) } else { None })
            }
        };
        let claimed = event.suspect.is_some() || event.kind == Kind::LoginFailed;
        let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
        let user = [Field::SessionUser, Field::User, Field::DatabaseUser].map(|f| values.get(f).trim());
        event.principal = user.into_iter().find(|u| !u.is_empty()).and_then(some).map(|name| Principal { name, provenance });
        event.address = client(values.get(Field::Client)).or_else(|| login_address(values.get(Field::Information), act));
        event.database = some(values.get(Field::Database));
        event.client = some(values.get(Field::Application));
        event.session = some(values.get(Field::Session));
        event.truncated = record.truncated;
        if matches!(act, Act::Batch | Act::Does(_)) {
            let (statement, more) = self.joined(&values, arena);
            event.statement = some(brackets(statement, arena));
            event.truncated |= more;
            event.dialect = Dialect::Generic;
            let (schema, object) = (values.get(Field::Schema), values.get(Field::Object));
            // Of a batch it is the database, and the statement tells more.
            let database = matches!(act, Act::Batch) && schema.is_empty();
            if !object.is_empty() && !database {
                let mut name = bumpalo::collections::Vec::with_capacity_in(schema.len() + 1 + object.len(), arena);
                name.extend_from_slice(schema);
                if !schema.is_empty() {
                    name.push(b'.');
                }
                name.extend_from_slice(object);
                event.objects = arena.alloc_slice_copy(&[bstr::BStr::new(name.into_bump_slice())]);
            }
            // Servers before 2022 write 0 for whatever they have not counted.
            let rows = |f| values.number(f).filter(|n| *n > 0 && values.number(Field::Sequence).unwrap_or(1) <= 1);
            event.rows = rows(Field::Affected).or_else(|| rows(Field::Responded));
            event.duration_us = values.number(Field::Duration).filter(|n| *n > 0).and_then(|ms| ms.checked_mul(1_000));
        }
        if event.kind == Kind::LoginFailed {
            event.code = Some(error(values.get(Field::Information), arena).unwrap_or("18456".into()));
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        let columns = self.columns.save();
        if columns.is_empty() && self.open.is_empty() {
            return Vec::new();
        }
        postcard::to_stdvec(&(columns, &self.open)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((columns, open)) = postcard::from_bytes::<(Vec<u8>, Vec<Pieces>)>(state) {
            self.columns.restore(&columns);
            self.open = open;
        }
    }
}

/// `<address>10.1.0.7</address>` in the XML that goes with logins. The names in front of it are the client's: only one that stands alone
/// is believed.
fn login_address(information: &[u8], act: Act) -> Option<crate::event::Address<'_>> {
    if !matches!(act, Act::Login | Act::Refused) || !information.starts_with(b"<action_info") {
        return None;
    }
    let mut found = information.find_iter(b"<address>");
    let (first, second) = (found.next()?, found.next());
    let rest = information.get(first + b"<address>".len()..)?;
    if second.is_some() { None } else { client(rest.get(..memchr::memchr(b'<', rest)?)?) }
}

/// `<error>0x00004818</error>` as a number.
fn error<'a>(information: &[u8], arena: &'a Bump) -> Option<&'a bstr::BStr> {
    let rest = information.get(information.seek(b"<error>0x")? + 9..)?;
    let digits = std::str::from_utf8(rest.get(..memchr::memchr(b'<', rest)?)?).ok()?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    Some(bumpalo::format!(in arena, "{}", number).into_bump_str().into())
}

#[cfg(test)]
mod tests;
