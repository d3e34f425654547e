//! Elasticsearch's security audit log, its query log, and its index slow logs.
//!
//! ```text
//! {"type":"audit", "timestamp":"2026-11-22T02:21:28,484+0000", "event.type":"transport", "event.action":"access_granted", "authentication.type":"API_KEY", "user.name":"shop", "apikey.id":"VuaCfGcBCdbkQm", "apikey.name":"billing", "origin.type":"rest", "origin.address":"10.1.0.7:53568", "request.id":"qxwx", "action":"indices:data/read/search", "request.name":"SearchRequest", "indices":["invoices"]}
//! [2018-06-19T05:16:15,549] [node-1] [transport] [access_granted]  origin_type=[rest], origin_address=[10.1.0.7], principal=[shop], action=[indices:data/read/search], indices=[invoices], request=[SearchRequest]
//! ```
//! <https://www.elastic.co/docs/reference/elasticsearch/elasticsearch-audit-events>
//!
//! Who acts is the API key or the service token, else the user, and of a user who acts as another the one who logged in.
//! A request is one action and the actions on single shards or nodes that come of it, with a bracket behind their name: only the first is counted.
//!
//! The text form of the versions before 7 escapes nothing: a user name of a refused login and an index name go into it with their line breaks,
//! so whoever reaches the port can write whole lines. Its records are seen and name no token.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::json::pick::{self, Picked, Places};
use super::json::sample;
use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;
use crate::framing::spread::Spread;

pub mod action;
mod querylog;
mod slowlog;
mod text;

pub const FORMAT: Format = Format {
    name: "elasticsearch-audit",
    about: "Elasticsearch security audit log, query log and index slow logs",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Spread::new()), Box::new(Audit::new(options))),
    guide: Guide {
        system: "Elasticsearch 6.5 to 9 (JSON), 5 and 6 (text)",
        switch_on: "`xpack.security.audit.enabled: true` in `elasticsearch.yml`: `logs/NAME_audit.json`",
        fields: &[
            ("time", "`timestamp`, in old versions `@timestamp`, which may lack a zone"),
            (
                "principal",
                "`apikey:NAME/ID` of an API key, `NAMESPACE/SERVICE/TOKEN` of a service token, else `user.run_by.name` or `user.name`; claimed where authentication failed",
            ),
            ("address", "`origin.address`; seen by the server"),
            ("port", "`origin.address`"),
            ("client", "`opaque_id`; the client's own word"),
            ("operation", "`action`"),
            ("objects", "`indices`, else `action`"),
            ("statement", "query log: `elasticsearch.querylog.query` in SQL and ES|QL"),
            ("outcome", "`event.action`: access granted or denied, not how the request went on; query log: `event.outcome`"),
            ("code", "query log: `error.type`"),
            ("rows", "slow logs: `total_hits`; query log: `elasticsearch.querylog.result_count`"),
            ("duration", "slow logs and query log: `took`"),
            ("kind", "`event.action`"),
        ],
        forgery: "JSON: nothing. Text (before 7): whole lines, by a line break in the user name of a refused login or in an index name; no line of it names a token",
        ignored: "Actions on shards and nodes that belong to one already counted, acts of the server itself, granted connections, changes of the security configuration (counted as the action that made them), and the server's own log lines: kept as `other`",
        source: "<https://www.elastic.co/docs/reference/elasticsearch/elasticsearch-audit-events>",
    },
};

const TIME: usize = 0;
const TYPE: usize = 1;
const ACTION: usize = 2;
const USER: usize = 3;
const REALM: usize = 4;
const RUN_BY: usize = 5;
const KEY_ID: usize = 6;
const KEY_NAME: usize = 7;
const TOKEN: usize = 8;
const ORIGIN: usize = 9;
const REQUEST: usize = 10;
const INDICES: usize = 11;
const OPAQUE: usize = 12;
const DATASET: usize = 13;
const LOGGER: usize = 14;
const MESSAGE: usize = 15;
const TOOK: usize = 16;
const HITS: usize = 17;
const NODE: usize = 18;
const REQUEST_ID: usize = 19;
const EVENT: usize = 20;
const QUERY_TYPE: usize = 21;
const QUERY: usize = 22;
const QUERY_TOOK: usize = 23;
const QUERY_ROWS: usize = 24;
const OUTCOME: usize = 25;
const ERROR: usize = 26;
const PARENT: usize = 27;
const SLOTS: usize = 28;

fn places() -> Places {
    Places::new(&[
        ("/timestamp", TIME),
        ("/@timestamp", TIME),
        ("/type", TYPE),
        ("/event.action", ACTION),
        // The same in an index, as 6 could write them.
        ("/event_type", ACTION),
        ("/user.name", USER),
        ("/principal", USER),
        ("/user.realm", REALM),
        ("/realm", REALM),
        ("/user.run_by.name", RUN_BY),
        ("/run_by_principal", RUN_BY),
        ("/apikey.id", KEY_ID),
        ("/apikey.name", KEY_NAME),
        ("/authentication.token.name", TOKEN),
        ("/origin.address", ORIGIN),
        ("/origin_address", ORIGIN),
        ("/action", REQUEST),
        ("/indices", INDICES),
        ("/elasticsearch.querylog.indices", INDICES),
        ("/request.id", REQUEST_ID),
        ("/opaque_id", OPAQUE),
        ("/http.request.headers.x_opaque_id", OPAQUE),
        ("/event.dataset", DATASET),
        ("/log.logger", LOGGER),
        ("/component", LOGGER),
        ("/elasticsearch.slowlog.message", MESSAGE),
        ("/message", MESSAGE),
        ("/elasticsearch.slowlog.took", TOOK),
        ("/took", TOOK),
        ("/elasticsearch.slowlog.total_hits", HITS),
        ("/total_hits", HITS),
        ("/node.id", NODE),
        ("/elasticsearch.node.id", NODE),
        ("/elasticsearch.node.name", NODE),
        ("/node.name", NODE),
        ("/node_name", NODE),
        ("/event.type", EVENT),
        ("/elasticsearch.querylog.type", QUERY_TYPE),
        ("/elasticsearch.querylog.query", QUERY),
        ("/elasticsearch.querylog.took", QUERY_TOOK),
        ("/elasticsearch.querylog.result_count", QUERY_ROWS),
        ("/event.outcome", OUTCOME),
        ("/error.type", ERROR),
        ("/elasticsearch.parent.node.id", PARENT),
    ])
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    if sample.trim_start().starts_with(b"[") && Spread::over_lines(sample) != Some(true) {
        return text::sniff(sample);
    }
    // An audit record has an action and what acted or where; a slow log's has the time that it took.
    let known = |picked: &Picked<'_>| {
        let has = |slot: usize| picked.get(slot).is_some();
        has(TIME)
            && match picked.text(ACTION) {
                // Which node writes can be left out of the log.
                Some(action) => {
                    said_kind(action).is_some() && (has(NODE) || picked.text(EVENT).is_some_and(|kind| EVENTS.contains(&kind.as_bytes())))
                }
                None => slowlog::is(picked) || querylog::is(picked),
            }
    };
    sample::guess(sample, &[], places, SLOTS, known, 95, "audit records, queries or slow logs of Elasticsearch")
}

/// The kinds of events.
const EVENTS: [&[u8]; 4] = [b"rest", b"transport", b"ip_filter", b"security_config_change"];

/// Said of all records of a log in text form, and of a line of JSON that stands in one.
const RAW: &str = "the text form escapes nothing: clients can write whole lines of it";

/// What a record says, in either form.
#[derive(Debug, Default)]
struct Said<'a> {
    what: &'a [u8],
    origin: Option<&'a BStr>,
    user: Option<&'a BStr>,
    realm: Option<&'a BStr>,
    run_by: Option<&'a BStr>,
    key_id: Option<&'a BStr>,
    key_name: Option<&'a BStr>,
    token: Option<&'a BStr>,
    action: Option<&'a BStr>,
    indices: &'a [&'a BStr],
    opaque: Option<&'a BStr>,
}

/// What an `event.action` means. `None`: it is no word of the audit log.
fn said_kind(action: &[u8]) -> Option<(Kind, Outcome)> {
    Some(match action {
        b"access_granted" | b"system_access_granted" => (Kind::Query, Outcome::Success),
        b"access_denied" | b"run_as_denied" | b"tampered_request" => (Kind::Denied, Outcome::Denied),
        b"authentication_success" => (Kind::Login, Outcome::Success),
        b"authentication_failed" | b"anonymous_access_denied" | b"connection_denied" => (Kind::LoginFailed, Outcome::Denied),
        b"run_as_granted" | b"connection_granted" => (Kind::Other, Outcome::Success),
        // One for each realm that does not know the user; the login as a whole is told by the two above.
        b"realm_authentication_failed" => (Kind::Other, Outcome::Denied),
        _ if ["put_", "delete_", "change_", "create_", "invalidate_"].iter().any(|start| action.starts_with(start.as_bytes())) => {
            (Kind::Other, Outcome::Success)
        }
        _ => return None,
    })
}

/// Realms of the users that the server is itself.
const INTERNAL: [&[u8]; 2] = [b"__attach", b"__fallback"];

fn event<'a>(said: &Said<'a>, time: Time, arena: &'a Bump) -> Event<'a> {
    let (mut kind, outcome) = said_kind(said.what).unwrap_or((Kind::Other, Outcome::Unknown));
    if let (Kind::Query, Some(action)) = (kind, said.action)
        && (!action::counts(action, !said.indices.is_empty()) || said.realm.is_some_and(|realm| INTERNAL.contains(&realm.as_bytes())))
    {
        kind = Kind::Other;
    }
    let mut event = Event::new(kind, time);
    event.outcome = outcome;
    if let Some(origin) = said.origin {
        (event.address, event.port) = peer(origin);
    }
    event.client = said.opaque;
    event.operation = match (kind, said.action) {
        (Kind::Login | Kind::LoginFailed, _) => Some(Operation::Connect),
        (_, Some(action)) => Some(action::operation(action)),
        _ => None,
    };
    event.objects = action::objects(said.indices, said.action, arena);
    let claimed = kind == Kind::LoginFailed || matches!(said.what, b"tampered_request" | b"realm_authentication_failed");
    let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = principal(said, arena).map(|name| Principal { name, provenance });
    event
}

/// The credential: an API key, a service token, or the user who logged in.
fn principal<'a>(said: &Said<'a>, arena: &'a Bump) -> Option<&'a BStr> {
    let join = |parts: &[&[u8]]| {
        let mut name = bumpalo::collections::Vec::new_in(arena);
        parts.iter().for_each(|part| name.extend_from_slice(part));
        BStr::new(name.into_bump_slice())
    };
    match (said.key_id, said.key_name, said.token) {
        // Names of keys are chosen by whoever makes one; the id behind it is the server's and holds no slash.
        (Some(id), Some(name), _) => Some(join(&[b"apikey:", name, b"/", id])),
        (Some(id), None, _) => Some(join(&[b"apikey:", id])),
        (None, _, Some(token)) => Some(join(&[said.user.unwrap_or_default(), b"/", token])),
        _ => said.run_by.or(said.user),
    }
}

struct Audit {
    places: Places,
    stamps: Timestamps,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The log is in the old text form, where a record may run over lines.
    text: bool,
    recent: action::Recent,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), stamps: Timestamps::new(options.zone.clone()), state: State::default() }
    }

    fn json<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let Some(stamp) = picked.text(TIME) else { return Decoded::Reject("no time stamp") };
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let said = Said {
            what: picked.text(ACTION).map_or(&b""[..], |action| action.as_bytes()),
            origin: picked.text(ORIGIN),
            user: picked.text(USER),
            realm: picked.text(REALM),
            run_by: picked.text(RUN_BY),
            key_id: picked.text(KEY_ID),
            key_name: picked.text(KEY_NAME),
            token: picked.text(TOKEN),
            action: picked.text(REQUEST),
            indices: picked.list(INDICES, arena),
            opaque: picked.text(OPAQUE),
        };
        let mut event = event(&said, time, arena);
        if said.what.is_empty() && slowlog::is(&picked) {
            slowlog::fill(&mut event, &picked, arena);
        } else if said.what.is_empty() && querylog::is(&picked) {
            querylog::fill(&mut event, &picked);
        } else if let (Kind::Query, Some(request)) = (event.kind, picked.text(REQUEST_ID))
            && !self.state.recent.first(request, event.operation.unwrap_or(Operation::Other), event.objects)
        {
            event.kind = Kind::Other;
        }
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        event.suspect = event.suspect.or(self.state.text.then_some(RAW));
        Decoded::Event(event)
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        if record.bytes.trimmed_start().starts_with(b"{") {
            return self.json(record, arena);
        }
        let Some(line) = text::line(record.bytes) else {
            return match self.state.text {
                true => Decoded::Skip("goes on from the line before"),
                false => Decoded::Reject("not a line of the audit log"),
            };
        };
        self.state.text = true;
        let Ok(time) = self.stamps.parse(line.time) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = event(&text::said(&line, arena), time, arena);
        event.truncated = record.truncated;
        event.suspect = Some(RAW);
        if let Some(principal) = &mut event.principal {
            principal.provenance = Provenance::Claimed;
        }
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

#[cfg(test)]
mod tests;
