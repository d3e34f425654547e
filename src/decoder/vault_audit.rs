//! HashiCorp Vault and OpenBao: the audit device's JSON lines, and the server's own JSON log beside them.
//!
//! ```text
//! {"time":"2026-11-22T02:21:28.4Z","type":"response","auth":{"display_name":"approle","entity_id":"7d2e...","policies":["app"],"metadata":{"role_name":"ci"}},"request":{"id":"cd09","operation":"read","path":"database/creds/readonly","remote_address":"10.1.0.7"},"response":{"secret":{"lease_id":"database/creds/readonly/oS5t"},"data":{"username":"hmac-sha256:9c..."}}}
//! ```
//! <https://developer.hashicorp.com/vault/docs/audit>, <https://openbao.org/docs/audit/>; the audit device's `prefix` may put text before the object.
//!
//! Every act is written twice, as request and as response. The response is the act: it alone says how it ended, who logged in and which lease was
//! issued, and Vault answers nobody before it is written. A request is kept as `other`, but for those that have no response ([`alone`]).
//!
//! **The token** is who Vault verified, in words that stay the same from one login to the next and that nobody can choose for himself; see [`name`].
//! Neither the client's token nor its hash is ever a name. Of what a response hands out (a new token, one that is unwrapped) nothing names who asked:
//! whoever creates a token chooses its metadata.

use std::borrow::Cow;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::json::pick::{self, Picked, Places, Value};
use super::json::sample;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Lease, Operation, Outcome, Principal, Provenance};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

mod name;

pub const FORMAT: Format = Format {
    name: "vault-audit",
    about: "HashiCorp Vault and OpenBao audit devices (JSON), and their server log in JSON",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Audit::new(options))),
    guide: Guide {
        system: "HashiCorp Vault 0.9 and later, OpenBao",
        switch_on: "`vault audit enable file file_path=/var/log/vault/audit.log` (the format must be `json`, which is the default); with `vault secrets tune -audit-non-hmac-response-keys=username database/` the log also names the database users that are issued",
        fields: &[
            ("time", "`time`; `@timestamp` of the server log"),
            (
                "principal",
                "`auth.display_name` with the role where the display name is only that of the auth method, with the policies where another token chose it; verified by Vault. Of a refused login the name in the path, claimed",
            ),
            ("address", "`request.remote_address`; seen by Vault"),
            ("port", "`request.remote_port`"),
            ("session", "`request.id`"),
            ("operation", "`request.operation`: read is select, list is show, create is insert, update and patch are update"),
            ("objects", "`request.path`, with its namespace"),
            ("outcome", "`error`; \"permission denied\" is denied"),
            ("kind", "`type`, `request.path` and the outcome"),
        ],
        forgery: "Nothing: Vault writes it, and all text is escaped. A token's display name may be chosen by whoever creates it; such a token is named together with its policies, which are not",
        ignored: "Requests (their responses are counted; `sys/seal`, `sys/step-down` and refused wrapping tokens have none, so there the request is the act), and the lines of the server log: kept as `other`. Records of a device with `format=jsonx` are rejected: Vault escapes no text in them, so every client could write records of others",
        source: "<https://developer.hashicorp.com/vault/docs/audit>",
    },
};

const TIME: usize = 0;
const TYPE: usize = 1;
const ERROR: usize = 2;
const DISPLAY: usize = 3;
const ENTITY: usize = 4;
const ROLE: usize = 5;
const POLICIES: usize = 6;
const ID: usize = 7;
const OPERATION: usize = 8;
const PATH: usize = 9;
const NAMESPACE: usize = 10;
const ADDRESS: usize = 11;
const PORT: usize = 12;
const MOUNT: usize = 13;
const MOUNT_TYPE: usize = 14;
const LEASE: usize = 15;
const ACCOUNT: usize = 16;
const REFUSED: usize = 17;
const LEVEL: usize = 18;
const MESSAGE: usize = 19;
const LOGGED_IN: usize = 20;
const SERVER_TIME: usize = 21;
/// Of the token that a login hands out: as from [`DISPLAY`] to [`POLICIES`].
const NEW_DISPLAY: usize = 22;
const NEW_ENTITY: usize = 23;
const NEW_ROLE: usize = 24;
const NEW_POLICIES: usize = 25;
const SLOTS: usize = 26;

fn places() -> Places {
    Places::new(&[
        ("/time", TIME),
        ("/@timestamp", SERVER_TIME),
        ("/type", TYPE),
        ("/error", ERROR),
        ("/auth/display_name", DISPLAY),
        ("/auth/entity_id", ENTITY),
        ("/auth/metadata/role_name", ROLE),
        ("/auth/policies", POLICIES),
        ("/response/auth/display_name", NEW_DISPLAY),
        ("/response/auth/entity_id", NEW_ENTITY),
        ("/response/auth/metadata/role_name", NEW_ROLE),
        ("/response/auth/policies", NEW_POLICIES),
        ("/response/auth/accessor", LOGGED_IN),
        ("/request/id", ID),
        ("/request/operation", OPERATION),
        ("/request/path", PATH),
        ("/request/namespace/path", NAMESPACE),
        ("/request/remote_address", ADDRESS),
        ("/request/remote_port", PORT),
        ("/request/mount_point", MOUNT),
        ("/request/mount_type", MOUNT_TYPE),
        ("/response/secret/lease_id", LEASE),
        ("/response/data/username", ACCOUNT),
        ("/response/data/error", REFUSED),
        ("/@level", LEVEL),
        ("/@message", MESSAGE),
    ])
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let audit = |picked: &Picked<'_>| picked.get(TIME).is_some() && kind(picked).is_some() && picked.get(OPERATION).is_some();
    // What HashiCorp's log library writes; Consul's and Nomad's logs look the same, and are none of our business either.
    let server = |picked: &Picked<'_>| picked.get(SERVER_TIME).is_some() && picked.get(LEVEL).is_some() && picked.get(MESSAGE).is_some();
    if is_jsonx(sample) {
        return Guess::new(60, "Vault's audit as JSONx, which proves nothing");
    }
    // What stands before the objects, other than a device's prefix, may be an envelope, which is to be opened, and trusted, as such.
    let prefix = sample.get(..sample.len() - bare(sample).len()).unwrap_or_default();
    let (bare, sure) = match prefix {
        b"" => (Cow::Borrowed(sample), 95),
        prefix => (Cow::Owned(sample.replace(prefix, "")), 80),
    };
    let found = sample::guess(&bare, &[], places, SLOTS, audit, sure, "requests and responses of Vault's audit");
    match found.certainty {
        0 => sample::guess(&bare, &[], places, SLOTS, server, 80, "lines of Vault's server log"),
        _ => found,
    }
}

/// The record without the audit device's prefix.
fn bare(record: &[u8]) -> &[u8] {
    let object = record.seek(b"{\"").filter(|at| !record.get(..*at).is_some_and(|prefix| prefix.contains(&b'\n')));
    object.and_then(|at| record.get(at..)).unwrap_or(record)
}

#[derive(Clone, Copy, PartialEq)]
enum Half {
    Request,
    Response,
}

fn kind(picked: &Picked<'_>) -> Option<Half> {
    match picked.text(TYPE)?.as_bytes() {
        b"request" => Some(Half::Request),
        b"response" => Some(Half::Response),
        _ => None,
    }
}

/// What a device writes with `format=jsonx` is XML without line ends, in which no text is escaped: whoever chooses a path, or what a token is
/// called, writes whole records. Nothing behind the first of its records in a log is believed, not even what looks like JSON.
const JSONX: &str = "JSONx, in which clients can write any record; the audit device must have format=json";

/// Whether such a record begins here, perhaps behind a prefix. Inside JSON no client brings about these quotes.
fn is_jsonx(record: &[u8]) -> bool {
    let ahead = record.seek(b"{\"").and_then(|at| record.get(..at)).unwrap_or(record);
    ahead.seek(b"<json:object name=\"").is_some()
}

struct Audit {
    places: Places,
    stamps: Timestamps,
    jsonx: bool,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), stamps: Timestamps::new(options.zone.clone()), jsonx: false }
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        self.jsonx |= is_jsonx(record.bytes);
        if self.jsonx {
            return Decoded::Reject(JSONX);
        }
        let (picked, end) = pick::pick_head(pick::text(bare(record.bytes), arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let server = picked.get(LEVEL).is_some();
        let Some(stamp) = picked.text(if server { SERVER_TIME } else { TIME }) else { return Decoded::Reject("no time stamp") };
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        let Some(half) = kind(&picked) else {
            return if server { Decoded::Event(event) } else { Decoded::Reject("neither request nor response") };
        };
        fill(&mut event, half, &picked, arena);
        // What was torn off may have been the error.
        if end.is_err() && event.outcome == Outcome::Success {
            event.outcome = Outcome::Unknown;
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        Vec::from_iter(self.jsonx.then_some(1))
    }

    fn restore(&mut self, state: &[u8]) {
        self.jsonx = state == [1];
    }
}

fn fill<'a>(event: &mut Event<'a>, half: Half, picked: &Picked<'a>, arena: &'a Bump) {
    let path = picked.text(PATH).unwrap_or_default();
    event.session = picked.text(ID);
    event.address = picked.text(ADDRESS).and_then(|address| Address::parse(address));
    event.port = picked.number(PORT).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    event.operation = Some(match picked.text(OPERATION).unwrap_or_default() {
        word if word == "update" && path.holds("/revoke") && !is_store(picked) => Operation::Revoke,
        word => operation(word),
    });
    if !path.is_empty() {
        event.objects = arena.alloc_slice_copy(&[within(picked.text(NAMESPACE), path, arena)]);
    }
    event.outcome = outcome(half, picked);
    let named = |display, entity, role, policies| {
        name::of(picked.text(display), picked.text(entity), picked.text(role), picked.list(policies, arena), arena)
    };
    let login = login(path, picked.text(MOUNT));
    // A login's result stands in `response.auth`, and in `auth` as well since 0.10.
    let handed_out = || login.and_then(|_| named(NEW_DISPLAY, NEW_ENTITY, NEW_ROLE, NEW_POLICIES));
    let verified = named(DISPLAY, ENTITY, ROLE, POLICIES).or_else(handed_out);
    let refused = login.is_some() && (event.outcome != Outcome::Success || verified.is_none() && picked.get(LOGGED_IN).is_none());
    event.principal = match (login, verified) {
        (Some(who), _) if refused => {
            who.and_then(|who| claimed(path, who, arena)).map(|name| Principal { name, provenance: Provenance::Claimed })
        }
        (_, verified) => verified.map(|name| Principal { name, provenance: Provenance::Authenticated }),
    };
    if half == Half::Request && !alone(path, picked) {
        return;
    }
    event.kind = match (event.outcome, login) {
        (_, Some(_)) if refused && half == Half::Response => Kind::LoginFailed,
        (Outcome::Success, Some(_)) => Kind::Login,
        (Outcome::Denied, _) => Kind::Denied,
        (Outcome::Error, _) => Kind::Error,
        _ if path == "auth/token/revoke-self" => Kind::Logout,
        _ => Kind::Query,
    };
    if event.kind == Kind::LoginFailed && event.outcome == Outcome::Success {
        event.outcome = Outcome::Denied;
    }
    event.lease = lease(picked, arena);
}

/// Whether no response to this request is ever written: it has no id to be told by, it takes the server out of service, or the token that it
/// wanted to unwrap is none (used up by somebody else, perhaps).
fn alone(path: &BStr, picked: &Picked<'_>) -> bool {
    let refused = picked.get(ERROR).is_some() && path.starts_with(b"sys/wrapping/");
    picked.get(ID).is_none() || refused || matches!(path.as_bytes(), b"sys/seal" | b"sys/step-down")
}

const REFUSALS: [&str; 3] = ["permission denied", "invalid credentials", "wrapping token is not valid"];

/// What a client stores at paths and under keys that he chooses.
fn is_store(picked: &Picked<'_>) -> bool {
    picked.text(MOUNT_TYPE).is_some_and(|kind| matches!(kind.as_bytes(), b"kv" | b"generic" | b"cubbyhole"))
}

/// A request that was let through has no outcome yet.
fn outcome(half: Half, picked: &Picked<'_>) -> Outcome {
    match picked.text(ERROR) {
        Some(error) if REFUSALS.iter().any(|refusal| error.holds(refusal)) => Outcome::Denied,
        Some(_) => Outcome::Error,
        None if half == Half::Request => Outcome::Unknown,
        // The text of the error is hashed. In a key-value store `error` may be a secret's own field.
        None if picked.get(REFUSED).is_some() && !is_store(picked) => Outcome::Error,
        None => Outcome::Success,
    }
}

fn operation(word: &BStr) -> Operation {
    match word.as_bytes() {
        b"read" => Operation::Select,
        b"list" | b"scan" | b"help" => Operation::Show,
        b"create" => Operation::Insert,
        b"update" | b"patch" => Operation::Update,
        b"delete" => Operation::Delete,
        b"revoke" => Operation::Revoke,
        b"rollback" => Operation::Rollback,
        _ => Operation::Other,
    }
}

/// Whether the path logs somebody in, and the name that follows, where one does.
fn login<'a>(path: &'a BStr, mount: Option<&BStr>) -> Option<Option<&'a BStr>> {
    let rest = match mount.and_then(|mount| path.strip_prefix(mount.as_bytes())) {
        Some(rest) if path.starts_with(b"auth/") => rest,
        _ => path.strip_prefix(b"auth/")?.part("/")?.1,
    };
    match rest {
        b"login" | b"oidc/callback" | b"callback" => Some(None),
        _ => rest.strip_prefix(b"login/").map(|name| Some(BStr::new(name))),
    }
}

/// `auth/userpass/login/ann` is who would have been `userpass-ann`.
fn claimed<'a>(path: &BStr, name: &BStr, arena: &'a Bump) -> Option<&'a BStr> {
    let mount = path.strip_prefix(b"auth/")?.strip_suffix(name.as_bytes())?.strip_suffix(b"/login/")?;
    Some(join(&[&mount.replace("/", "-"), b"-", name], arena))
}

fn within<'a>(namespace: Option<&BStr>, path: &'a BStr, arena: &'a Bump) -> &'a BStr {
    match namespace {
        Some(namespace) => join(&[namespace, path], arena),
        None => path,
    }
}

/// The database user that this response hands out, where its name is not hashed: `database/creds/ROLE/RANDOM` is the lease of a generated one
/// (`static-creds` are no leases).
fn lease<'a>(picked: &Picked<'a>, arena: &'a Bump) -> Option<&'a Lease<'a>> {
    let (path, account) = (picked.text(PATH)?, picked.text(ACCOUNT)?);
    let role = path.part("/creds/")?.1;
    let of_this = picked.text(LEASE)?.starts_with(path.as_bytes());
    if !of_this || account.starts_with(b"hmac-") || matches!(picked.get(ACCOUNT), Some(Value::List(_))) {
        return None;
    }
    let display = picked.text(DISPLAY).unwrap_or_default();
    Some(arena.alloc(Lease { account, display, role: BStr::new(role) }))
}

/// The parts in a row.
fn join<'a>(parts: &[&[u8]], arena: &'a Bump) -> &'a BStr {
    let mut text = bumpalo::collections::Vec::new_in(arena);
    for part in parts {
        text.extend_from_slice(part);
    }
    BStr::new(text.into_bump_slice())
}

#[cfg(test)]
mod tests;
