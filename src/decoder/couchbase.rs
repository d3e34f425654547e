//! Couchbase Server: its audit log and its HTTP access log.
//!
//! ```text
//! {"description":"A N1QL SELECT statement was executed","id":28672,"isAdHoc":true,"metrics":{"elapsedTime":"1.2ms","resultCount":7},"name":"SELECT statement","node":"127.0.0.1:8091","real_userid":{"domain":"local","user":"billing"},"remote":{"ip":"10.1.0.7","port":53568},"statement":"SELECT * FROM `invoices`","status":"success","timestamp":"2026-11-22T02:21:28.484Z"}
//! 10.1.0.7 - billing [22/Nov/2026:02:21:28 +0000] "GET /pools/default/buckets/invoices HTTP/1.1" 200 512 - "curl/8.0"
//! ```
//! <https://docs.couchbase.com/server/current/audit-event-reference/audit-event-reference.html>

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::json::pick::{self, Picked, Places};
use super::json::sample;
use super::peer::peer;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::seek::Seek;
use crate::framing::spread::Spread;

mod access;

pub use access::FORMAT as ACCESS;

pub const AUDIT: Format = Format {
    name: "couchbase-audit",
    about: "Couchbase Server audit log",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Spread::new()), Box::new(Audit::new(options))),
    guide: Guide {
        system: "Couchbase Server 5 to 8 (Enterprise), Capella",
        switch_on: "`couchbase-cli setting-audit --set --audit-enabled 1`, and enable the filterable events (statements, document reads and changes)",
        fields: &[
            ("time", "`timestamp`"),
            ("principal", "`real_userid.user`; claimed where the login failed"),
            ("address", "`remote.ip` or `peername`; seen by the server"),
            ("port", "where the address is"),
            ("database", "`bucket` or `bucket_name`"),
            ("client", "`userAgent`; the client's own word"),
            ("session", "`sessionid`"),
            ("statement", "`statement`"),
            ("operation", "the statement, else `name`"),
            ("objects", "the statement, else bucket and collection, else `name`"),
            ("outcome", "`status`, `name`"),
            ("code", "the code of the first error"),
            ("rows", "`metrics.resultCount`, of changes `metrics.mutationCount`"),
            ("duration", "`metrics.elapsedTime`"),
            ("kind", "`name`"),
        ],
        forgery: "Nothing: all text is escaped",
        ignored: "What the server does as its own user (`@...`) and the audit daemon's own events: kept as `other`",
        source: "<https://docs.couchbase.com/server/current/audit-event-reference/audit-event-reference.html>",
    },
};

const TIME: usize = 0;
const ID: usize = 1;
const NAME: usize = 2;
const USER: usize = 3;
const DOMAIN: usize = 4;
const IP: usize = 5;
const PORT: usize = 6;
const PEER: usize = 7;
const STATEMENT: usize = 8;
const STATUS: usize = 9;
const ERROR: usize = 10;
const RESULTS: usize = 11;
const MUTATIONS: usize = 12;
const ELAPSED: usize = 13;
const BUCKET: usize = 14;
const COLLECTION: usize = 15;
const AGENT: usize = 16;
const SESSION: usize = 17;
const DESCRIPTION: usize = 18;
const SLOTS: usize = 19;

fn places() -> Places {
    Places::new(&[
        ("/timestamp", TIME),
        ("/id", ID),
        ("/name", NAME),
        ("/description", DESCRIPTION),
        ("/real_userid/user", USER),
        ("/real_userid/domain", DOMAIN),
        ("/real_userid/source", DOMAIN),
        ("/remote/ip", IP),
        ("/remote/port", PORT),
        ("/peername/ip", IP),
        ("/peername/port", PORT),
        ("/peername", PEER),
        ("/statement", STATEMENT),
        ("/status", STATUS),
        ("/errors/0/code", ERROR),
        ("/metrics/mutationCount", MUTATIONS),
        ("/metrics/resultCount", RESULTS),
        ("/metrics/elapsedTime", ELAPSED),
        ("/bucket", BUCKET),
        ("/bucket_name", BUCKET),
        ("/collection_name", COLLECTION),
        ("/userAgent", AGENT),
        ("/sessionid", SESSION),
    ])
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let known = |picked: &Picked<'_>| {
        let has = |slot: usize| picked.get(slot).is_some();
        // Numbers of Couchbase's audit events are multiples of 4096 and what follows them.
        has(TIME) && has(NAME) && has(DESCRIPTION) && picked.number(ID).is_some_and(|id| (4_096..65_536).contains(&id))
    };
    sample::guess(sample, &[], places, SLOTS, known, 92, "audit events of Couchbase")
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
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let Some(stamp) = picked.text(TIME) else { return Decoded::Reject("no timestamp") };
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let Some(name) = picked.text(NAME) else { return Decoded::Reject("an event without a name") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        fill(&mut event, name, &picked, arena);
        Decoded::Event(event)
    }
}

/// Errors of the query service that mean "not allowed".
const DENIED: [i64; 3] = [13_014, 13_010, 10_000];

/// `{"ip":"10.1.0.7","port":50122}`, which version 7 has as text.
fn named(peer: &[u8]) -> Option<(Option<Address<'_>>, Option<u16>)> {
    let (ip, rest) = peer.strip_prefix(b"{\"ip\":\"")?.part("\"")?;
    let port = rest.strip_prefix(b",\"port\":")?.strip_suffix(b"}")?;
    Some((Address::parse(ip), std::str::from_utf8(port).ok()?.parse().ok()))
}

fn fill<'a>(event: &mut Event<'a>, name: &'a BStr, picked: &Picked<'a>, arena: &'a Bump) {
    // Copies made for support mark what is a user's; no name can hold these signs.
    let user =
        picked.text(USER).map(|user| user.strip_prefix(b"<ud>").and_then(|user| user.strip_suffix(b"</ud>")).map_or(user, BStr::new));
    let (address, port) = picked.text(PEER).map_or((None, None), |text| named(text).unwrap_or_else(|| peer(text)));
    event.address = picked.text(IP).and_then(|text| Address::parse(text)).or(address);
    event.port = picked.count(PORT).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).or(port);
    event.database = picked.text(BUCKET);
    event.client = picked.text(AGENT);
    event.session = picked.text(SESSION);
    event.duration_us = picked.text(ELAPSED).and_then(|text| duration(text));
    event.rows = picked.count(MUTATIONS).filter(|rows| *rows > 0).or_else(|| picked.count(RESULTS));
    let code = picked.number(ERROR);
    event.code = picked.word(ERROR, arena);
    let failed = picked.text(STATUS).is_some_and(|status| !matches!(status.as_bytes(), b"success" | b"completed" | b"running"));
    let lower = name.to_ascii_lowercase();
    let has = |word: &str| lower.holds(word);
    (event.kind, event.outcome) = match () {
        () if has("login success") || has("authentication succeeded") => (Kind::Login, Outcome::Success),
        () if has("login fail") || has("authentication failed") => (Kind::LoginFailed, Outcome::Denied),
        () if has("logout") || has("session terminated") => (Kind::Logout, Outcome::Success),
        () if has("forbidden") || has("unauthorized") || has("access denied") => (Kind::Denied, Outcome::Denied),
        () if failed && code.is_some_and(|code| DENIED.contains(&code)) => (Kind::Denied, Outcome::Denied),
        () if failed => (Kind::Error, Outcome::Error),
        // Events without a user are the server's own: the audit daemon, start and stop.
        () if user.is_none_or(|user| user.starts_with(b"@")) || picked.text(DOMAIN).is_some_and(|domain| *domain == "internal") => {
            (Kind::Other, Outcome::Success)
        }
        () => (Kind::Query, Outcome::Success),
    };
    event.statement = picked.text(STATEMENT);
    if event.statement.is_some() {
        event.dialect = Dialect::Generic;
    } else if matches!(event.kind, Kind::Login | Kind::LoginFailed) {
        event.operation = Some(Operation::Connect);
    } else if event.kind != Kind::Logout {
        event.operation = Some(operation(&lower));
        let object = match (event.database, picked.text(COLLECTION)) {
            (Some(bucket), Some(collection)) => {
                let mut full = bumpalo::collections::Vec::from_iter_in(bucket.iter().copied(), arena);
                full.push(b'.');
                full.extend_from_slice(collection);
                BStr::new(full.into_bump_slice())
            }
            (Some(bucket), None) => bucket,
            (None, _) => name,
        };
        event.objects = arena.alloc_slice_copy(&[object]);
    }
    let claimed = event.kind == Kind::LoginFailed || event.suspect.is_some();
    let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = user.map(|name| Principal { name, provenance });
}

/// Words of events' names, in small letters; the first that a name holds counts.
const WORDS: [(&str, Operation); 20] = [
    ("document read", Operation::Select),
    ("document locked", Operation::Select),
    ("document modify", Operation::Update),
    ("document delete", Operation::Delete),
    ("opened dcp", Operation::Select),
    ("select bucket", Operation::Set),
    ("flush", Operation::Truncate),
    ("grant", Operation::Grant),
    ("revoke", Operation::Revoke),
    ("set user", Operation::Grant),
    ("user group", Operation::Grant),
    ("delete", Operation::Drop),
    ("remove", Operation::Drop),
    ("create", Operation::Create),
    ("add", Operation::Create),
    ("modify", Operation::Alter),
    ("change", Operation::Alter),
    ("set", Operation::Alter),
    ("get", Operation::Show),
    ("read", Operation::Show),
];

fn operation(name: &[u8]) -> Operation {
    WORDS.iter().find(|(word, _)| name.holds(word)).map_or(Operation::Other, |(_, operation)| *operation)
}

/// A duration as Go writes it, in microseconds: `51.2µs`, `1.2ms`, `1m2.5s`.
fn duration(text: &[u8]) -> Option<u64> {
    let mut rest = std::str::from_utf8(text).ok()?;
    let mut micros = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(end)?;
        let factor = match unit {
            "ns" => 1e-3,
            "us" | "µs" | "μs" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "m" => 60e6,
            "h" => 3_600e6,
            _ => return None,
        };
        micros += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    (micros < 1e18).then_some(micros.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(record: &str) -> String {
        let arena = Bump::new();
        match Audit::new(&Options::default()).decode(Record::new(record.as_bytes()), &arena) {
            Decoded::Event(e) => format!(
                "{:?} {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
                e.kind,
                e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
                e.address.map_or("-".to_owned(), |a| a.to_string()),
                e.statement,
                e.operation,
                e.objects,
                e.code,
                e.rows,
                e.duration_us
            ),
            Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
        }
    }

    fn check(name: &str, rest: &str, want: &str) {
        let record = format!(
            r#"{{"name":"{name}","id":28672,"description":"d","real_userid":{{"domain":"local","user":"u"}},"remote":{{"ip":"10.1.0.7","port":5}},"timestamp":"2026-11-22T02:21:28.484Z"{rest}}}"#
        );
        assert_eq!(show(&record), want, "{record}");
    }

    #[test]
    fn events() {
        check(
            "SELECT statement",
            r#","statement":"SELECT 1","status":"success","metrics":{"elapsedTime":"1.5ms","resultCount":7}"#,
            "Query u Authenticated 10.1.0.7 Some(\"SELECT 1\") None [] None Some(7) Some(1500)",
        );
        check(
            "SELECT statement",
            r#","statement":"SELECT 1","status":"errors","errors":[{"code":13014,"msg":"x"}]"#,
            "Denied u Authenticated 10.1.0.7 Some(\"SELECT 1\") None [] Some(\"13014\") None None",
        );
        check("login success", "", "Login u Authenticated 10.1.0.7 None Some(Connect) [] None None None");
        check("login failure", "", "LoginFailed u Claimed 10.1.0.7 None Some(Connect) [] None None None");
        check(
            "document read",
            r#","bucket":"b","collection_name":"s.c","key":"k""#,
            "Query u Authenticated 10.1.0.7 None Some(Select) [\"b.s.c\"] None None None",
        );
        check("create bucket", r#","bucket_name":"b""#, "Query u Authenticated 10.1.0.7 None Some(Create) [\"b\"] None None None");
        check("set user", "", "Query u Authenticated 10.1.0.7 None Some(Grant) [\"set user\"] None None None");
    }

    #[test]
    fn what_cannot_be_read() {
        for (record, want) in [
            ("x", "not a JSON object"),
            ("{}", "no timestamp"),
            (r#"{"timestamp":"x"}"#, "unreadable time stamp"),
            (r#"{"timestamp":"2026-11-22T02:21:28Z"}"#, "an event without a name"),
        ] {
            assert_eq!(show(record), want);
        }
        assert_eq!(duration("1m2.5s".as_bytes()), Some(62_500_000));
        assert_eq!(duration("51.2µs".as_bytes()), Some(51));
        assert_eq!((duration(b"x"), duration(b"1"), duration(b"1x")), (None, None, None));
    }
}
