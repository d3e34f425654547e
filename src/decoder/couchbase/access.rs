//! Couchbase's HTTP access log: who asked what of the administration and the query service over HTTP.
//!
//! ```text
//! 10.1.0.7 - billing [22/Nov/2026:02:21:28 +0000] "GET /pools/default/buckets/invoices HTTP/1.1" 200 512 - "curl/8.0"
//! ```
//! What stands before the time is the server's; path, referrer and user agent are the client's, and come after all that is used here
//! but the status.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "couchbase-access",
    about: "Couchbase Server HTTP access log",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(Access { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "Couchbase Server 5 to 8",
        switch_on: "Always on: `/opt/couchbase/var/lib/couchbase/logs/http_access.log`",
        fields: &[
            ("time", "in brackets"),
            ("principal", "word 3; claimed where the status is 401"),
            ("address", "word 1; seen by the server"),
            ("database", "the bucket in the path"),
            ("client", "the user agent; the client's own word"),
            ("operation", "the method"),
            ("objects", "the bucket, else the path"),
            ("outcome", "the status: 401 and 403 are denied"),
            ("code", "the status"),
            ("duration", "`Request took 5ms`, where it is told"),
            ("kind", "the status"),
        ],
        forgery: "The status, by quotes in the path. Lines that have more words before the time than they should are marked and name no token",
        ignored: "Nothing",
        source: "<https://docs.couchbase.com/server/current/manage/manage-logging/manage-logging.html>",
    },
};

struct Line<'a> {
    address: &'a [u8],
    user: &'a [u8],
    time: &'a [u8],
    method: &'a [u8],
    path: &'a [u8],
    status: &'a [u8],
    agent: &'a [u8],
    rest: &'a [u8],
    sound: bool,
}

fn line(text: &[u8]) -> Option<Line<'_>> {
    let (who, rest) = text.part(" [")?;
    let (time, rest) = rest.part("] \"")?;
    let mut words = who.splitn_str(3, " ");
    let (address, _, user) = (words.next()?, words.next()?, words.next()?);
    let (method, rest) = rest.part(" ")?;
    // The request ends at the first quote that a status follows.
    let end = rest.find_iter("\" ").find(|at| rest.get(at + 2..at + 5).is_some_and(|status| status.iter().all(u8::is_ascii_digit)))?;
    let (target, rest) = (rest.get(..end)?, rest.get(end + 2..)?);
    let path = target.part(" HTTP/").map_or(target, |(path, _)| path);
    let (status, rest) = rest.split_at_checked(3)?;
    let (agent, rest) = match rest.part(" \"").and_then(|(_, agent)| agent.part("\"")) {
        Some(found) => found,
        None => (&b""[..], rest),
    };
    Some(Line { address, user, time, method, path, status, agent, rest, sound: !user.contains(&b' ') && !user.is_empty() })
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 50;
    /// What the paths of Couchbase's services begin with, and other servers' do not.
    const PATHS: [&str; 8] =
        ["/pools", "/settings/rbac", "/settings/audit", "/query/service", "/node/controller", "/controller/", "/sampleBuckets", "/_ui/"];
    let lines = sample.split_str("\n").filter(|text| !text.trim().is_empty()).take(LINES);
    let (mut all, mut good, mut own) = (0usize, 0usize, 0usize);
    for text in lines {
        all += 1;
        let Some(line) = line(text).filter(|line| stamp(line.time).is_some()) else { continue };
        good += 1;
        own += usize::from(PATHS.iter().any(|path| line.path.starts_with(path.as_bytes())));
    }
    match own {
        0 => Guess::NO,
        _ if good * 2 >= all => Guess::new(88, format!("{good} of {all} lines are of an HTTP access log, {own} with paths of Couchbase")),
        _ => Guess::new(30, format!("only {good} of {all} lines are of an HTTP access log")),
    }
}

/// `22/Nov/2026:02:21:28 +0000` in the usual order.
fn stamp(text: &[u8]) -> Option<Vec<u8>> {
    const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let (date, time) = text.part(":")?;
    let [d1, d2, b'/', m1, m2, m3, b'/', year @ ..] = date else { return None };
    let month = MONTHS.iter().position(|name| **name == [*m1, *m2, *m3])? + 1;
    let mut stamp = Vec::with_capacity(32);
    stamp.extend_from_slice(year.get(..4)?);
    stamp.extend_from_slice(format!("-{month:02}-").as_bytes());
    stamp.extend_from_slice(&[*d1, *d2, b' ']);
    stamp.extend_from_slice(time);
    Some(stamp)
}

struct Access {
    stamps: Timestamps,
}

impl Decoder for Access {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Some(line) = line(record.bytes) else { return Decoded::Reject("not a line of an access log") };
        let Some(Ok(time)) = stamp(line.time).map(|text| self.stamps.parse(&text)) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Query, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or((!line.sound).then_some("more words before the time than a line has"));
        (event.kind, event.outcome) = match line.status {
            b"401" => (Kind::LoginFailed, Outcome::Denied),
            b"403" => (Kind::Denied, Outcome::Denied),
            [b'4' | b'5', ..] => (Kind::Error, Outcome::Error),
            _ => (Kind::Query, Outcome::Success),
        };
        event.code = (event.outcome != Outcome::Success).then_some(BStr::new(line.status));
        event.address = Address::parse(line.address);
        event.client = Some(BStr::new(line.agent)).filter(|agent| !agent.is_empty() && *agent != "-");
        event.operation = Some(match (event.kind, line.method) {
            (Kind::LoginFailed, _) => Operation::Connect,
            (_, b"GET" | b"HEAD" | b"OPTIONS") => Operation::Select,
            (_, b"POST") => Operation::Insert,
            (_, b"PUT" | b"PATCH") => Operation::Update,
            (_, b"DELETE") => Operation::Delete,
            _ => Operation::Other,
        });
        let path = line.path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let bucket = path.part("/buckets/").and_then(|(_, rest)| rest.split_str("/").next()).filter(|name| !name.is_empty());
        event.database = bucket.map(BStr::new);
        if event.kind != Kind::LoginFailed {
            event.objects = arena.alloc_slice_copy(&[BStr::new(bucket.unwrap_or(path))]);
        }
        let took = line.rest.part("Request took ").and_then(|(_, took)| took.strip_suffix(b"ms"));
        event.duration_us = took.and_then(|ms| std::str::from_utf8(ms).ok()?.parse::<u64>().ok()?.checked_mul(1_000));
        let claimed = event.kind == Kind::LoginFailed || event.suspect.is_some();
        let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = Some(BStr::new(line.user)).filter(|user| *user != "-").map(|name| Principal { name, provenance });
        Decoded::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(record: &str) -> String {
        let arena = Bump::new();
        let mut access = Access { stamps: Timestamps::new(None) };
        match access.decode(Record::new(record.as_bytes()), &arena) {
            Decoded::Event(e) => format!(
                "{:?} {} {} {} {:?} {:?} {:?} {:?} {:?} {}",
                e.kind,
                e.time,
                e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
                e.address.map_or("-".to_owned(), |a| a.to_string()),
                e.operation,
                e.objects,
                e.code,
                e.client,
                e.duration_us,
                e.suspect.is_some()
            ),
            Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
        }
    }

    #[test]
    fn lines() {
        let time = "[22/Nov/2026:02:21:28 +0100]";
        for (line, want) in [
            (
                format!("10.1.0.7 - u {time} \"GET /pools/default/buckets/b/docs?x=1 HTTP/1.1\" 200 512 - \"curl/8\" Request took 5ms"),
                r#"Query 2026-11-22T01:21:28Z u Authenticated 10.1.0.7 Some(Select) ["b"] None Some("curl/8") Some(5000) false"#,
            ),
            (
                format!("10.1.0.7 - u {time} \"POST /pools HTTP/1.1\" 401 0 - -"),
                r#"LoginFailed 2026-11-22T01:21:28Z u Claimed 10.1.0.7 Some(Connect) [] Some("401") None None false"#,
            ),
            (
                format!("10.1.0.7 - - {time} \"GET /a\" b HTTP/1.1\" 403 0 - \"x\\\" y\""),
                r#"Denied 2026-11-22T01:21:28Z - 10.1.0.7 Some(Select) ["/a\" b"] Some("403") Some("x\\") None false"#,
            ),
            (
                format!("10.1.0.7 - u v {time} \"GET / HTTP/1.1\" 200 0 - -"),
                r#"Query 2026-11-22T01:21:28Z u v Claimed 10.1.0.7 Some(Select) ["/"] None None None true"#,
            ),
            ("x".to_owned(), "not a line of an access log"),
            ("a b c [x] \"GET / HTTP/1.1\" 200 0".to_owned(), "unreadable time stamp"),
        ] {
            assert_eq!(show(&line), want, "{line}");
        }
    }
}
