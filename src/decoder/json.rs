//! JSON objects, one a line or one a broker message, from applications, proxies and relays.
//!
//! ```text
//! {"time":"2026-11-22T02:21:28Z","user":"billing_svc","client_ip":"10.1.0.7","database":"app","query":"SELECT 1"}
//! {"@timestamp":"...","message":"2026-11-22 02:21:28.123 UTC [77] billing_svc@app LOG:  statement: SELECT 1","log":{"offset":7}}
//! ```
//!
//! Fields are found by the usual names ([`fields`]) or where the source's `mapping` says. A record of another format inside
//! a text field (Filebeat and Vector: `message`, Fluent Bit and Docker: `log`) is handed to that format's decoder; which format it
//! is, the first such record tells, unless the configuration names it.
//!
//! The principal counts as verified: a relay reports what the database verified. The relay itself is not verified by
//! anybody here, so the format is marked as forgeable: it alerts and never revokes.
//! <https://datatracker.ietf.org/doc/html/rfc8259>

use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record, by_name, detect};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance};

pub mod fields;
pub mod pick;
pub mod sample;

use fields::{Field, SLOTS};
use pick::{Picked, Places};

pub const FORMAT: Format = Format {
    name: "json",
    about: "JSON objects with usual or mapped field names; Filebeat, Fluent Bit, Vector and Docker envelopes",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(crate::framing::lines::Lines::new()), Box::new(Json::new(options, 0))),
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

/// Envelopes inside envelopes that are opened.
const DEPTH: u8 = 3;
/// How sure a format must be of a text before that text counts as a record of it.
const SURE: u8 = 50;

fn sniff(sample: &[u8], options: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 20;
    if sample.trim_ascii_start().first() != Some(&b'{') {
        return Guess::NO;
    }
    let places = fields::places(options.mapping.as_ref());
    let arena = Bump::new();
    let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..end)).unwrap_or(sample);
    let (mut lines, mut objects, mut known) = (0usize, 0usize, 0usize);
    for line in complete.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).take(LINES) {
        lines += 1;
        let Ok(picked) = pick::pick(pick::text(line, &arena), &places, SLOTS, &arena) else { continue };
        objects += 1;
        let has = |field: Field| picked.get(field as usize).is_some();
        known += usize::from(has(Field::Time) && (has(Field::Principal) || has(Field::Statement)) || has(Field::Envelope));
    }
    match (objects * 2 >= lines, known) {
        (false, _) => Guess::NO,
        (true, 0) => Guess::new(10, "JSON objects without a field that is known here; name them in the source's mapping"),
        (true, _) => Guess::new(70, format!("{objects} of {lines} lines are JSON objects, {known} with fields known here")),
    }
}

/// The decoder of a record that stands inside another.
struct Inner {
    format: &'static Format,
    decoder: Box<dyn Decoder>,
}

struct Json {
    options: Options,
    places: Places,
    stamps: Timestamps,
    depth: u8,
    inner: Option<Inner>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    inner: String,
    state: Vec<u8>,
}

impl Json {
    fn new(options: &Options, depth: u8) -> Self {
        let mapping = options.mapping.as_ref();
        let stamps = Timestamps::new(options.zone.clone());
        let mut json = Json { options: options.clone(), places: fields::places(mapping), stamps, depth, inner: None };
        let told = mapping.filter(|m| m.envelope.is_some()).and_then(|m| by_name(m.inner.as_deref()?));
        if let Some(format) = told {
            json.open_inner(format, &[]);
        }
        json
    }

    fn open_inner(&mut self, format: &'static Format, sample: &[u8]) {
        // The mapping is about the outer record.
        let options = Options { mapping: None, ..self.options.clone() };
        let decoder: Box<dyn Decoder> =
            if format.name == FORMAT.name { Box::new(Json::new(&options, self.depth + 1)) } else { (format.open)(sample, &options).1 };
        self.inner = Some(Inner { format, decoder });
    }

    /// The record inside, where there is one.
    fn inside<'a>(&mut self, picked: &Picked<'a>) -> Option<&'a str> {
        if self.depth >= DEPTH {
            return None;
        }
        let Some(pick::Value::Text(text)) = picked.get(Field::Envelope as usize) else { return None };
        let text = text.trim_end_matches(['\n', '\r']);
        let demanded = self.options.mapping.as_ref().is_some_and(|m| m.envelope.is_some());
        // Without a mapping, an object that has a statement of its own is the record, whatever its message says.
        if !demanded && picked.get(Field::Statement as usize).is_some() {
            return None;
        }
        if self.inner.is_none() {
            let options = Options { mapping: None, ..self.options.clone() };
            let (format, _) = detect(text.as_bytes(), &options).filter(|(_, guess)| guess.certainty >= SURE)?;
            self.open_inner(format, text.as_bytes());
        }
        Some(text)
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
        if let Some(text) = self.inside(&picked)
            && let Some(inner) = self.inner.as_mut()
        {
            return inner.decoder.decode(Record { bytes: text.as_bytes(), ..record }, arena);
        }
        let get = |field: Field| picked.get(field as usize);
        if self.options.mapping.as_ref().is_some_and(|m| m.envelope.is_some()) && get(Field::Envelope).is_none() {
            return Decoded::Reject("no text at the envelope's pointer");
        }
        let Some(time) = get(Field::Time) else { return Decoded::Reject("no time stamp: name its field in the source's mapping") };
        let Some(time) = fields::time(time, &mut self.stamps) else { return Decoded::Reject("unreadable time stamp") };

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
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        let claimed = event.kind == Kind::LoginFailed || event.suspect.is_some();
        let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = string(Field::Principal).map(|name| Principal { name, provenance });
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        let Some(inner) = &self.inner else { return Vec::new() };
        postcard::to_stdvec(&Saved { inner: inner.format.name.to_owned(), state: inner.decoder.save() }).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        let Ok(saved) = postcard::from_bytes::<Saved>(state) else { return };
        if self.inner.is_none()
            && let Some(format) = by_name(&saved.inner)
        {
            self.open_inner(format, &[]);
        }
        if let Some(inner) = self.inner.as_mut().filter(|inner| inner.format.name == saved.inner) {
            inner.decoder.restore(&saved.state);
        }
    }
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
