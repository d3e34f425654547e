//! HashiCorp Vault and OpenBao: the audit device's JSON lines, and the server's own JSON log beside them.
//!
//! ```text
//! {"time":"2026-11-22T02:21:28.4Z","type":"response","auth":{"display_name":"approle","entity_id":"7d2e...","policies":["app"],"metadata":{"role_name":"ci"}},"request":{"id":"cd09","operation":"read","path":"database/creds/readonly","remote_address":"10.1.0.7"},"response":{"secret":{"lease_id":"database/creds/readonly/oS5t"},"data":{"username":"hmac-sha256:9c..."}}}
//! ```
//! <https://developer.hashicorp.com/vault/docs/audit>, <https://openbao.org/docs/audit/>; the audit device's `prefix` may put text before the object.
//!
//! Every act is written twice, as request and as response. The response is the act: it alone says how it ended, who logged in and which lease was
//! issued, and Vault answers nobody before it is written. A request is kept as `other`.
//!
//! **The token** is who Vault verified, in words that stay the same from one login to the next and that nobody can choose for himself; see [`name`].
//! Neither the client's token nor its hash is ever a name.

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
        switch_on: "`vault audit enable file file_path=/var/log/vault/audit.log`; with `vault secrets tune -audit-non-hmac-response-keys=username database/` the log also names the database users that are issued",
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
        ignored: "Requests (their responses are counted), and the lines of the server log: kept as `other`",
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
const SLOTS: usize = 22;

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
        // A login's own result, where `auth` is still empty.
        ("/response/auth/display_name", DISPLAY),
        ("/response/auth/entity_id", ENTITY),
        ("/response/auth/metadata/role_name", ROLE),
        ("/response/auth/policies", POLICIES),
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
    let bare = bare(sample);
    // What stands before the object may be an envelope, which is to be opened, and trusted, as such.
    let sure = if bare.len() == sample.len() { 95 } else { 80 };
    let found = sample::guess(bare, &[], places, SLOTS, audit, sure, "requests and responses of Vault's audit");
    match found.certainty {
        0 => sample::guess(bare, &[], places, SLOTS, server, 80, "lines of Vault's server log"),
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

struct Audit {
    places: Places,
    stamps: Timestamps,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), stamps: Timestamps::new(options.zone.clone()) }
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
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
}

fn fill<'a>(event: &mut Event<'a>, half: Half, picked: &Picked<'a>, arena: &'a Bump) {
    let path = picked.text(PATH).unwrap_or_default();
    event.session = picked.text(ID);
    event.address = picked.text(ADDRESS).and_then(|address| Address::parse(address));
    event.port = picked.number(PORT).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    event.operation = Some(operation(path, picked.text(OPERATION).unwrap_or_default()));
    if !path.is_empty() {
        event.objects = arena.alloc_slice_copy(&[within(picked.text(NAMESPACE), path, arena)]);
    }
    event.outcome = outcome(half, picked);
    let verified = name::of(picked.text(DISPLAY), picked.text(ENTITY), picked.text(ROLE), picked.list(POLICIES, arena), arena);
    let login = login(path, picked.text(MOUNT));
    // A response without a result of its own may still be a login: of old versions `auth` holds it.
    let refused = login.is_some() && (event.outcome != Outcome::Success || verified.is_none() && picked.get(LOGGED_IN).is_none());
    event.principal = match (login, verified) {
        (Some(who), _) if refused => {
            who.and_then(|who| claimed(path, who, arena)).map(|name| Principal { name, provenance: Provenance::Claimed })
        }
        (_, verified) => verified.map(|name| Principal { name, provenance: Provenance::Authenticated }),
    };
    // A request that has no id has no response that it could be told from.
    if half == Half::Request && picked.get(ID).is_some() {
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

/// A request that was let through has no outcome yet.
fn outcome(half: Half, picked: &Picked<'_>) -> Outcome {
    match picked.text(ERROR) {
        Some(error) if error.holds("permission denied") || error.holds("invalid credentials") => Outcome::Denied,
        Some(_) => Outcome::Error,
        None if half == Half::Request => Outcome::Unknown,
        // The text of the error is hashed. In a key-value store `error` may be a secret's own field.
        None => match picked.text(MOUNT_TYPE).map(|kind| kind.as_bytes()) {
            Some(b"kv" | b"generic" | b"cubbyhole") => Outcome::Success,
            _ if picked.get(REFUSED).is_some() => Outcome::Error,
            _ => Outcome::Success,
        },
    }
}

fn operation(path: &BStr, word: &BStr) -> Operation {
    if path.holds("/revoke") && word == "update" {
        return Operation::Revoke;
    }
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
