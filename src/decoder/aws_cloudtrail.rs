//! AWS CloudTrail: `{"Records":[...]}` files as they lie in the bucket, one event a line, EventBridge's `detail`, `lookup-events` and CloudWatch Logs.
//!
//! ```text
//! {"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann","accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":"ann"},"eventTime":"2026-11-22T02:21:28Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","sourceIPAddress":"192.0.2.7","eventID":"540b0193-0d7f-4682-b665-9e6a6f734b1f","readOnly":true}
//! ```
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
//!
//! **The token** is the credential: a long-lived access key by its id (`AKIA...`); a temporary one (`ASIA...`), which is new every hour, by the role or user
//! behind it. What was called is the scope, `s3:GetObject`. The same event may be delivered more than once and is counted once (`eventID`).

use std::collections::VecDeque;

use bstr::BStr;
use bumpalo::Bump;

use super::json::pick::{self, Picked, Places, Value};
use super::json::sample;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Outcome, Principal, Provenance};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

mod verb;

pub const FORMAT: Format = Format {
    name: "aws-cloudtrail",
    about: "AWS CloudTrail: API calls by access key or role",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(WRAPPERS)), Box::new(Trail::new(options))),
    guide: Guide {
        system: "AWS CloudTrail (RDS, DynamoDB, S3, Secrets Manager and all other services)",
        switch_on: "A trail with management events, and data events for the buckets, tables and secrets of interest; read its files (`.json.gz`), or send its events through EventBridge or Kinesis",
        fields: &[
            ("time", "`eventTime`"),
            (
                "principal",
                "`userIdentity`: `accessKeyId` where it is long-lived (AKIA), else `sessionIssuer.arn`, else `arn` without the name of the session; verified by AWS, claimed in a refused console login",
            ),
            ("address", "`sourceIPAddress`; seen by AWS, the name of the service where that called"),
            ("client", "`userAgent`; the client's own word"),
            ("database", "`requestParameters`: `database`, `databaseName`, `queryExecutionContext.database`"),
            ("statement", "`requestParameters`: `queryString`, `sql`, `statement`, where the service does not leave it out"),
            ("operation", "the first word of `eventName`, else `readOnly`"),
            ("objects", "`eventSource` and `eventName`: `s3:GetObject`"),
            ("outcome", "`errorCode`; `AccessDenied` and `UnauthorizedOperation` are denied. `responseElements.ConsoleLogin`"),
            ("code", "`errorCode`"),
            ("kind", "`eventName` and the outcome"),
        ],
        forgery: "Nothing: AWS writes it, and all text is escaped",
        ignored: "Events of AWS itself without an identity, and repeated deliveries of an event: kept as `other`, or skipped. The CSV of Athena is not read: it has nested values (`{type=IAMUser, arn=...}`) without quotes or escapes, where a client's text could name anybody; give it the objects in S3 instead",
        source: "<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>",
    },
};

const WRAPPERS: &[&str] = &["Records", "Events", "logEvents"];

const TIME: usize = 0;
const SOURCE: usize = 1;
const NAME: usize = 2;
const ADDRESS: usize = 3;
const AGENT: usize = 4;
const CODE: usize = 5;
const EVENT_ID: usize = 6;
const READ_ONLY: usize = 7;
const TYPE: usize = 8;
const ARN: usize = 9;
const KEY: usize = 10;
const ISSUER: usize = 11;
const USER: usize = 12;
const PRINCIPAL_ID: usize = 13;
const ACCOUNT: usize = 14;
const INVOKER: usize = 15;
const LOGIN: usize = 16;
const ERROR: usize = 17;
const BEHALF: usize = 18;
const INSIGHT: usize = 19;
const DIGEST: usize = 20;
const INNER: usize = 21;
const SQL: usize = 22;
const DATABASE: usize = 23;
const SLOTS: usize = 24;

/// In the event, and where EventBridge puts it.
const POINTERS: [(&str, usize); 27] = [
    // Athena; the Data APIs of RDS and Redshift; DynamoDB.
    ("/requestParameters/queryString", SQL),
    ("/requestParameters/sql", SQL),
    ("/requestParameters/statement", SQL),
    ("/requestParameters/queryExecutionContext/database", DATABASE),
    ("/requestParameters/database", DATABASE),
    ("/requestParameters/databaseName", DATABASE),
    ("/eventTime", TIME),
    ("/eventSource", SOURCE),
    ("/eventName", NAME),
    ("/sourceIPAddress", ADDRESS),
    ("/userAgent", AGENT),
    ("/errorCode", CODE),
    ("/eventID", EVENT_ID),
    ("/readOnly", READ_ONLY),
    ("/userIdentity/type", TYPE),
    ("/userIdentity/arn", ARN),
    ("/userIdentity/accessKeyId", KEY),
    ("/userIdentity/sessionContext/sessionIssuer/arn", ISSUER),
    ("/userIdentity/userName", USER),
    ("/userIdentity/principalId", PRINCIPAL_ID),
    ("/userIdentity/accountId", ACCOUNT),
    ("/userIdentity/invokedBy", INVOKER),
    ("/responseElements/ConsoleLogin", LOGIN),
    ("/errorMessage", ERROR),
    ("/userIdentity/onBehalfOf/userId", BEHALF),
    ("/insightDetails/eventName", INSIGHT),
    ("/digestEndTime", DIGEST),
];

fn places() -> Places {
    let mut places = Places::new(&POINTERS);
    for (pointer, slot) in POINTERS {
        places.add(&format!("/detail{pointer}"), slot, POINTERS.len());
    }
    // A copy in a search index keeps the time there; `lookup-events` and CloudWatch Logs hold the event as text.
    for (rank, (pointer, slot)) in [("/@timestamp", TIME), ("/CloudTrailEvent", INNER), ("/message", INNER)].into_iter().enumerate() {
        places.add(pointer, slot, POINTERS.len() + 1 + rank);
    }
    places
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let event =
        |picked: &Picked<'_>| picked.text(SOURCE).is_some_and(|source| source.holds(".amazonaws.com")) && picked.get(NAME).is_some();
    let known = |picked: &Picked<'_>| {
        event(picked)
            || picked.get(DIGEST).is_some()
            || picked.text(INNER).is_some_and(|text| {
                let arena = Bump::new();
                event(&pick::pick_head(pick::text(text, &arena), &places(), SLOTS, &arena).0)
            })
    };
    sample::guess(sample, WRAPPERS, places, SLOTS, known, 95, "CloudTrail events")
}

/// Events remembered, to know a repeated delivery.
const REMEMBERED: usize = 1024;

struct Trail {
    places: Places,
    stamps: Timestamps,
    seen: VecDeque<u64>,
    /// The same for looking up; never iterated.
    known: std::collections::HashSet<u64, foldhash::fast::FixedState>,
}

impl Trail {
    fn new(options: &Options) -> Self {
        Trail { places: places(), stamps: Timestamps::new(options.zone.clone()), seen: VecDeque::new(), known: Default::default() }
    }

    /// Takes note of an event; `true` if it was delivered before. An id that is no UUID is a placeholder.
    fn repeats(&mut self, picked: &Picked<'_>) -> bool {
        let Some(id) = picked.text(EVENT_ID).filter(|id| id.len() == 36 && id.iter().all(|b| *b == b'-' || b.is_ascii_hexdigit())) else {
            return false;
        };
        let mut hasher = blake3::Hasher::new();
        for part in
            [Some(id), picked.text(TIME), picked.text(SOURCE), picked.text(NAME), picked.text(ADDRESS), picked.text(ARN), picked.text(CODE)]
        {
            hasher.update(part.unwrap_or_default());
            hasher.update(&[0]);
        }
        let Some(head) = hasher.finalize().as_bytes().first_chunk().copied() else { return false };
        let this = u64::from_le_bytes(head);
        let new = self.known.insert(this);
        if new {
            self.seen.push_back(this);
        }
        if self.seen.len() > REMEMBERED
            && let Some(oldest) = self.seen.pop_front()
        {
            self.known.remove(&oldest);
        }
        !new
    }
}

impl Decoder for Trail {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (mut picked, mut end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if let Some(text) = picked.text(INNER).filter(|_| picked.get(NAME).is_none() || picked.get(SOURCE).is_none()) {
            (picked, end) = pick::pick_head(pick::text(text, arena), &self.places, SLOTS, arena);
        }
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let (Some(source), Some(name)) = (picked.text(SOURCE), picked.text(NAME)) else {
            return match (picked.text(INSIGHT), picked.text(DIGEST)) {
                (Some(_), _) => Decoded::Skip("what CloudTrail Insights makes of other events"),
                (_, Some(_)) => Decoded::Skip("a list of log files, to prove that none was changed"),
                _ => Decoded::Reject("no event of CloudTrail"),
            };
        };
        let Some(stamp) = picked.text(TIME) else { return Decoded::Reject("no time stamp") };
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        if self.repeats(&picked) {
            return Decoded::Skip("an event that was delivered before");
        }
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        event.address = picked.text(ADDRESS).and_then(|address| Address::parse(address));
        event.client = picked.text(AGENT);
        event.code = picked.text(CODE);
        let read_only = match picked.get(READ_ONLY) {
            Some(Value::Bool(read_only)) => Some(read_only),
            Some(Value::Text(text)) => text.parse().ok(),
            _ => None,
        };
        event.operation = Some(verb::operation(name, read_only));
        event.objects = action(source, name, arena);
        event.outcome = outcome(&picked);
        event.database = told(&picked, DATABASE);
        event.statement = told(&picked, SQL);
        if event.statement.is_some() {
            event.dialect = Dialect::Generic;
        }
        let login = name == "ConsoleLogin";
        event.principal = principal(&picked, arena).map(|name| {
            let claimed = login && event.outcome != Outcome::Success || picked.text(TYPE).is_some_and(|kind| kind == "Unknown");
            Principal { name, provenance: if claimed { Provenance::Claimed } else { Provenance::Authenticated } }
        });
        event.kind = match event.outcome {
            Outcome::Success if login => Kind::Login,
            _ if login => Kind::LoginFailed,
            _ if event.principal.is_none() && picked.get(TYPE).is_none() => Kind::Other,
            Outcome::Denied => Kind::Denied,
            Outcome::Error => Kind::Error,
            _ => Kind::Query,
        };
        // What was torn off may have been the error.
        if end.is_err() && event.outcome == Outcome::Success {
            event.outcome = Outcome::Unknown;
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.seen.iter().flat_map(|hash| hash.to_le_bytes()).collect()
    }

    fn restore(&mut self, state: &[u8]) {
        self.seen = state.as_chunks::<8>().0.iter().map(|hash| u64::from_le_bytes(*hash)).take(REMEMBERED).collect();
        self.known = self.seen.iter().copied().collect();
    }
}

fn outcome(picked: &Picked<'_>) -> Outcome {
    match (picked.text(CODE), picked.text(LOGIN)) {
        (_, Some(login)) if login == "Failure" => Outcome::Denied,
        (None, None) if picked.text(NAME).is_some_and(|name| name == "ConsoleLogin") => match picked.get(ERROR) {
            Some(_) => Outcome::Denied,
            None => Outcome::Unknown,
        },
        (None, _) => Outcome::Success,
        // It would have been allowed.
        (Some(code), _) if code.ends_with(b"DryRunOperation") => Outcome::Success,
        (Some(code), _) if DENIALS.iter().any(|denial| code.holds(denial)) => Outcome::Denied,
        _ => Outcome::Error,
    }
}

/// What the caller asked for, where AWS writes it: most services put stars or words in its place.
fn told<'a>(picked: &Picked<'a>, slot: usize) -> Option<&'a BStr> {
    picked.text(slot).filter(|text| !text.starts_with(b"**") && !text.starts_with(b"HIDDEN_DUE_TO_"))
}

/// Parts of the error codes that mean "you may not".
const DENIALS: [&str; 8] = [
    "AccessDenied",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "NotAuthorized",
    "AuthorizationError",
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
];

/// `s3:GetObject`
fn action<'a>(source: &BStr, name: &BStr, arena: &'a Bump) -> &'a [&'a BStr] {
    let service = source.seek(b".amazonaws.com").and_then(|at| source.get(..at)).unwrap_or(source);
    arena.alloc_slice_copy(&[join(&[service, b":", name], arena)])
}

/// Whose call it is, in words that stay the same while the credential does.
fn principal<'a>(picked: &Picked<'a>, arena: &'a Bump) -> Option<&'a BStr> {
    let key = picked.text(KEY).filter(|key| key.len() >= 16);
    let long_lived = key.filter(|key| key.starts_with(b"AKIA"));
    if long_lived.is_some() {
        return long_lived;
    }
    if let Some(issuer) = picked.text(ISSUER) {
        return Some(issuer);
    }
    if let Some(arn) = picked.text(ARN) {
        return Some(without_session(arn));
    }
    let anonymous = picked.text(ACCOUNT).is_some_and(|account| account == "ANONYMOUS_PRINCIPAL" || account == "anonymous");
    let user = picked.text(USER).filter(|name| *name != "HIDDEN_DUE_TO_SECURITY_REASONS");
    match (user, picked.text(ACCOUNT)) {
        _ if anonymous => None,
        (Some(user), Some(account)) => Some(join(&[b"arn:aws:iam::", account, b":user/", user], arena)),
        (Some(user), None) => Some(user),
        // A person of the IAM Identity Center.
        (None, _) if picked.get(BEHALF).is_some() => picked.text(BEHALF).map(|id| join(&[b"identitystore:user/", id], arena)),
        // The service that acts, then whoever is known by a number only.
        (None, account) => picked.text(INVOKER).or(picked.text(PRINCIPAL_ID).map(|id| without(id, b':'))).or(account),
    }
}

/// The name of a role's session is chosen by whoever takes the role.
fn without_session(arn: &BStr) -> &BStr {
    match arn.holds(":assumed-role/") {
        true => without(arn, b'/'),
        false => arn,
    }
}

/// The text before the last `mark`, or all of it.
fn without(text: &BStr, mark: u8) -> &BStr {
    let at = text.iter().rposition(|byte| *byte == mark);
    at.and_then(|at| text.get(..at)).map_or(text, BStr::new)
}

fn join<'a>(parts: &[&[u8]], arena: &'a Bump) -> &'a BStr {
    let mut text = bumpalo::collections::Vec::new_in(arena);
    for part in parts {
        text.extend_from_slice(part);
    }
    BStr::new(text.into_bump_slice())
}

#[cfg(test)]
mod tests;
