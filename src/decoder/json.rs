//! JSON objects, one a line or one a broker message, in an array or over several lines, from applications, proxies and relays.
//!
//! ```text
//! {"time":"2026-11-22T02:21:28Z","user":"billing_svc","client_ip":"10.1.0.7","database":"app","query":"SELECT 1"}
//! ```
//!
//! Fields are found by the usual names ([`fields`]) or where the source's `mapping` says. A record of another format inside a text field
//! (Filebeat and Vector: `message`, Fluent Bit: `log`) is opened before: see [`crate::framing::envelope::shipper`].
//!
//! The principal counts as verified: a relay reports what the database verified. The relay itself is not verified by
//! anybody here, so the format is marked as forgeable: it alerts and never revokes.
//! <https://datatracker.ietf.org/doc/html/rfc8259>

use bumpalo::Bump;

use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::json::Objects;

pub mod fields;
pub mod pick;
pub mod sample;

use fields::{Field, SLOTS};
use pick::Places;

pub const FORMAT: Format = Format {
    name: "json",
    about: "JSON objects with usual or mapped field names",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Json::new(options))),
    guide: Guide {
        system: "Applications, proxies and relays that write one JSON object a line",
        switch_on: "Name the fields that are not found by their usual names in the source's `mapping`",
        fields: &[
            ("time", "`time`, `timestamp`, `@timestamp` and the like"),
            ("principal", "`user`, `principal`, `username` and the like; believed as far as the relay is"),
            ("address", "`address`, `client_ip`, `remote_addr` and the like"),
            ("port", "`port`, `client_port`, `remote_port`"),
            ("database", "`database`, `db`, `dbname` and the like"),
            ("client", "`application_name`, `client`, `user_agent` and the like"),
            ("session", "`session`, `session_id`, `connection_id` and the like"),
            ("statement", "`statement`, `query`, `sql` and the like"),
            ("operation", "`operation`, `action`, else the statement"),
            ("objects", "`objects`, `tables`, else the statement"),
            ("outcome", "`outcome`, `status`, `success` and the like"),
            ("code", "`code`, `error_code`, `sqlstate`"),
            ("rows", "`rows`, `row_count` and the like"),
            ("duration", "`duration_ms`, `duration_us` and the like"),
            ("kind", "`kind`, `event_type` and the like"),
        ],
        forgery: "As far as the program that writes it allows: nobody here verifies it",
        ignored: "Nothing: an object without a time is rejected",
        source: "<https://datatracker.ietf.org/doc/html/rfc8259>",
    },
};

fn sniff(sample: &[u8], options: &Options) -> Guess {
    if !matches!(sample.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Guess::NO;
    }
    let places = fields::places(options.mapping.as_ref());
    let arena = Bump::new();
    let records = sample::objects(sample, &[]);
    let (lines, mut objects, mut known) = (records.len(), 0usize, 0usize);
    for record in records {
        let Ok(picked) = pick::pick(pick::text(record, &arena), &places, SLOTS, &arena) else { continue };
        objects += 1;
        let has = |field: Field| picked.get(field as usize).is_some();
        known += usize::from(has(Field::Time) && (has(Field::Principal) || has(Field::Statement)));
    }
    match (objects * 2 >= lines, known) {
        (false, _) => Guess::NO,
        (true, _) if objects == 0 => Guess::NO,
        (true, 0) => Guess::new(10, "JSON objects without a field that is known here; name them in the source's mapping"),
        (true, _) => Guess::new(70, format!("{objects} of {lines} records are JSON objects, {known} with fields known here")),
    }
}

struct Json {
    places: Places,
    stamps: Timestamps,
}

impl Json {
    fn new(options: &Options) -> Self {
        Json { places: fields::places(options.mapping.as_ref()), stamps: Timestamps::new(options.zone.clone()) }
    }
}

impl Decoder for Json {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let text = pick::text(record.bytes, arena);
        let picked = match pick::pick(text, &self.places, SLOTS, arena) {
            Ok(picked) => picked,
            Err(_) if record.truncated => return Decoded::Reject("JSON object cut by the size limit"),
            Err(_) => return Decoded::Reject("not a JSON object"),
        };
        let mut decoded = event(|field| picked.get(field as usize), &mut self.stamps, record, arena);
        if let (Decoded::Event(event), true) = (&mut decoded, picked.twice) {
            event.suspect.get_or_insert("a field stands twice in the object");
            if let Some(principal) = &mut event.principal {
                principal.provenance = Provenance::Claimed;
            }
        }
        decoded
    }
}

/// The event that these fields make.
pub(super) fn event<'a>(
    get: impl Fn(Field) -> Option<pick::Value<'a>>,
    stamps: &mut Timestamps,
    record: Record<'a>,
    arena: &'a Bump,
) -> Decoded<'a> {
    let Some(time) = get(Field::Time) else { return Decoded::Reject("no time stamp: name its field in the source's mapping") };
    let Some(time) = fields::time(time, stamps) else { return Decoded::Reject("unreadable time stamp") };
    let string = |field: Field| get(field).and_then(|value| fields::text(value, arena));
    let mut event = Event::new(Kind::Other, time);
    if let Some(text) = string(Field::Address) {
        (event.address, event.port) = peer(text);
    }
    if let Some(port) = get(Field::Port).and_then(fields::count) {
        event.port = u16::try_from(port).ok().filter(|port| *port != 0).or(event.port);
    }
    event.database = string(Field::Database);
    event.client = string(Field::Client);
    event.session = string(Field::Session);
    event.statement = string(Field::Statement);
    if event.statement.is_some() {
        event.dialect = fields::dialect(get(Field::Dialect));
    }
    let word = string(Field::Operation);
    event.operation = word.and_then(fields::operation);
    if word.is_some() && event.operation.is_none() && event.statement.is_none() {
        event.operation = Some(Operation::Other);
    }
    event.objects = match get(Field::Objects) {
        Some(pick::Value::List(list)) => list,
        Some(value) => fields::text(value, arena).map_or(&[], |text| arena.alloc_slice_copy(&[text])),
        None => &[],
    };
    event.code = string(Field::Code);
    event.outcome = fields::outcome(get(Field::Outcome), event.code);
    event.rows = get(Field::Rows).and_then(fields::count);
    event.duration_us = (get(Field::DurationUs).and_then(|v| fields::duration(v, 1.0)))
        .or_else(|| get(Field::DurationMs).and_then(|v| fields::duration(v, 1_000.0)));
    event.kind = kind(string(Field::Kind), &event);
    event.truncated = record.truncated;
    event.suspect = record.suspect;
    let claimed = event.kind == Kind::LoginFailed || event.suspect.is_some();
    let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = string(Field::Principal).map(|name| Principal { name, provenance });
    Decoded::Event(event)
}

/// What the record says it is, or else what its fields make it.
fn kind(said: Option<&bstr::BStr>, event: &Event<'_>) -> Kind {
    let said = said.and_then(|word| fields::kind(std::str::from_utf8(word).ok()?));
    let login = said == Some(Kind::Login) || said.is_none() && event.operation == Some(Operation::Connect);
    let ran = event.statement.is_some() || event.operation.is_some() || !event.objects.is_empty();
    match (said, event.outcome) {
        (_, Outcome::Denied | Outcome::Error) if login => Kind::LoginFailed,
        _ if login => Kind::Login,
        (Some(Kind::Query) | None, Outcome::Denied) if ran => Kind::Denied,
        (Some(Kind::Query) | None, Outcome::Error) if ran => Kind::Error,
        (Some(kind), _) => kind,
        (None, _) if ran => Kind::Query,
        (None, _) => Kind::Other,
    }
}

#[cfg(test)]
mod tests;
