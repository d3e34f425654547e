//! Redis' list of refusals, as `ACL LOG` gives it: logins that failed, and commands, keys and channels that were not allowed.
//!
//! ```text
//! 1)  1) "count"
//!     2) (integer) 1
//!     3) "reason"
//!     4) "auth"
//!     ...
//! {"count":1,"reason":"key","context":"toplevel","object":"etl:1","username":"web","age-seconds":0.578,"client-info":"id=7 addr=10.0.0.7:46451 ... cmd=set user=web ...","entry-id":4,"timestamp-created":1795315037279,"timestamp-last-updated":1795315037279}
//! ```
//! <https://redis.io/docs/latest/commands/acl-log/>
//!
//! The list is asked for again and again, so what was told before is skipped. Before Redis 7.2 an entry has an age and no time: the
//! answer to `TIME` in front of the list gives it one. Without `--no-raw` redis-cli prints values as they are, line ends included;
//! such entries name nobody.

use std::collections::BTreeMap;

use bstr::BStr;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::command;
use super::quoted;
use crate::decoder::json_text::{Json, Torn};
use crate::decoder::peer::peer;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::joined::{Grammar, Joined};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;
use crate::framing::{Framed, Framer, More};

pub const FORMAT: Format = Format {
    name: "redis-acl-log",
    about: "Redis or Valkey ACL LOG, as redis-cli prints it or as JSON",
    forgeable: false,
    sniff,
    open: |_, _| (Box::new(Lists::default()), Box::new(Acl::default())),
    guide: Guide {
        system: "Redis 6 to 8, Valkey",
        switch_on: "The list is always kept. Write it down: `while sleep 10; do for c in TIME 'ACL LOG 128' 'ACL LOG RESET'; do redis-cli --no-raw $c; done; done >> acl.log`; with `--json` instead of `--no-raw` (Redis 7) as JSON",
        fields: &[
            ("time", "`timestamp-last-updated` (7.2), else the `TIME` in front of the list less `age-seconds`"),
            ("principal", "`username`; verified for refused commands, keys and channels, claimed for refused logins"),
            ("address", "`addr` of `client-info`; seen by the server"),
            ("port", "`addr` of `client-info`"),
            ("database", "`db` of `client-info`"),
            ("client", "`lib-name` or `name` of `client-info`; the client's own word"),
            ("session", "`id` of `client-info`"),
            ("operation", "`object` of a refused command, else `cmd` of `client-info`"),
            ("objects", "`object` of a refused key or channel, without what tells one of a kind from another"),
            ("outcome", "refused"),
            ("code", "WRONGPASS or NOPERM, the words that the client was answered"),
            ("kind", "`reason`"),
        ],
        forgery: "With `--no-raw` or as JSON none: all client text is escaped. Raw output can be forged through the name in a refused login; such entries name no token",
        ignored: "Entries that were told before; an entry counts several refusals within a minute",
        source: "<https://redis.io/docs/latest/commands/acl-log/>",
    },
};

/// Reason on entries that stand there as they came.
const RAW: &str = "redis-cli prints raw values: use --no-raw";

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let has = |words: &[&str]| words.iter().all(|word| sample.holds(word));
    if has(&["\"reason\"", "\"client-info\"", "\"username\"", "\"age-seconds\""]) {
        return Guess::new(93, "entries with reason, username, age-seconds, client-info");
    }
    let raw = has(&["count\n", "\nreason\n", "\nusername\n", "\nclient-info\n"]);
    if raw { Guess::new(85, "lines count, reason, username, client-info with their values below") } else { Guess::NO }
}

/// Text or JSON: each record shows by its first byte which it is.
#[derive(Default)]
struct Lists {
    text: Joined<Printed>,
    json: Option<Objects>,
}

impl Framer for Lists {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let json = self.json.get_or_insert_with(|| Objects::new(&[]));
        let inside = !json.save().is_empty();
        if inside || matches!(buf.first(), Some(b'{' | b'[' | b']' | b',')) { json.next(buf, more) } else { self.text.next(buf, more) }
    }

    fn save(&self) -> Vec<u8> {
        let json = self.json.as_ref().map(Framer::save).unwrap_or_default();
        postcard::to_stdvec(&(self.text.save(), json)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        *self = Self::default();
        if let Ok((text, json)) = postcard::from_bytes::<(Vec<u8>, Vec<u8>)>(state) {
            self.text.restore(&text);
            self.json.get_or_insert_with(|| Objects::new(&[])).restore(&json);
        }
    }
}

/// What redis-cli prints: an entry begins with its word "count", and the answer to TIME with ten digits.
/// Of raw values a name may hold line ends, but behind it comes the client's own line.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Printed {
    named: bool,
}

impl Grammar for Printed {
    const PATIENCE: usize = 16 << 10;

    fn head(line: &[u8]) -> bool {
        let (value, _) = unnumbered(line);
        let json = [&b"[{"[..], b"[\"", b"{\"count\""].iter().any(|start| line.starts_with(start));
        let entry = matches!(value, b"\"count\"" | b"count") || value.starts_with(b"\"count\" => ");
        json || entry || clock(line).is_some() || value.starts_with(b"> ")
    }

    fn begin(&mut self, line: &[u8]) {
        self.named = line.trim_ascii() != b"count";
    }

    fn more(&mut self, line: &[u8]) {
        self.named |= line == b"client-info";
    }

    fn whole(&self) -> bool {
        self.named
    }
}

/// A line without the numbers that redis-cli puts before an element (`1)  1) "count"`, `1) 1# "count" => ...`), and whether there were any.
fn unnumbered(line: &[u8]) -> (&[u8], bool) {
    let mut rest = line.trim_ascii();
    let mut any = false;
    loop {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        match rest.get(digits..) {
            Some([b')' | b'#', b' ', after @ ..]) if digits > 0 => {
                rest = after.trim_ascii_start();
                any = true;
            }
            _ => return (rest, any),
        }
    }
}

/// Seconds since 1970 at the start of the answer to TIME.
fn clock(line: &[u8]) -> Option<i64> {
    let line = line.trim_ascii();
    let value = line.strip_prefix(b"1) ").unwrap_or(line);
    let digits = value.strip_prefix(b"\"").map_or(value, |v| v.split(|b| *b == b'"').next().unwrap_or_default());
    if digits.len() != 10 {
        return None;
    }
    let number: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number > 1_000_000_000).then_some(number)
}

/// One entry.
#[derive(Debug, Default)]
struct Entry<'a> {
    reason: &'a [u8],
    object: &'a [u8],
    user: &'a [u8],
    age: Option<f64>,
    info: &'a [u8],
    id: Option<u64>,
    created: Option<i64>,
    updated: Option<i64>,
    /// A time that whoever wrote the entry down put beside it.
    noted: Option<i64>,
    raw: bool,
    fields: usize,
}

impl<'a> Entry<'a> {
    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let text = || std::str::from_utf8(value).unwrap_or_default();
        self.fields += 1;
        match key {
            b"reason" => self.reason = value,
            b"object" => self.object = value,
            b"username" => self.user = value,
            b"age-seconds" => self.age = text().parse().ok(),
            b"client-info" => self.info = value,
            b"entry-id" => self.id = text().parse().ok(),
            b"timestamp-created" => self.created = text().parse().ok(),
            b"timestamp-last-updated" => self.updated = text().parse().ok(),
            b"now" | b"time" | b"timestamp" => self.noted = text().parse::<f64>().ok().map(|s| (s * 1e6) as i64),
            _ => self.fields -= 1,
        }
    }

    fn json(text: &'a [u8], arena: &'a Bump) -> Result<Self, Torn> {
        let mut entry = Entry::default();
        let mut json = Json::new(text, arena);
        json.object(|key, json| {
            let value = if json.peek() == Some(b'"') { json.text()? } else { json.number()? };
            entry.set(key, value.unwrap_or_default());
            Ok(())
        })?;
        if json.ended() { Ok(entry) } else { Err(Torn) }
    }

    /// What redis-cli printed.
    fn printed(text: &'a [u8], arena: &'a Bump) -> Self {
        let (_, numbered) = unnumbered(text.split(|b| *b == b'\n').next().unwrap_or_default());
        if numbered { Self::numbered(text, arena) } else { Self::raw(text) }
    }

    /// Keys and values on alternate lines, or `key => value`, each behind its number and text in quotes.
    fn numbered(text: &'a [u8], arena: &'a Bump) -> Self {
        let mut entry = Entry::default();
        let plain = |value: &'a [u8]| match quoted::first(value) {
            Some((inner, _)) => quoted::plain(inner, arena),
            None => value.strip_prefix(b"(integer) ").or(value.strip_prefix(b"(double) ")).unwrap_or(value),
        };
        let mut key = None;
        for (value, _) in text.split(|b| *b == b'\n').map(unnumbered).filter(|(_, numbered)| *numbered) {
            match (value.part(" => "), key.take()) {
                (Some((name, value)), None) => entry.set(plain(name), plain(value)),
                (_, Some(key)) => entry.set(key, plain(value)),
                (None, None) => key = Some(plain(value)),
            }
        }
        entry
    }

    /// Keys and values as they are: a value ends before the line that is the next key.
    fn raw(text: &'a [u8]) -> Self {
        const KEYS: [&str; 10] = [
            "count",
            "reason",
            "context",
            "object",
            "username",
            "age-seconds",
            "client-info",
            "entry-id",
            "timestamp-created",
            "timestamp-last-updated",
        ];
        let mut entry = Entry { raw: true, ..Entry::default() };
        let mut rest = text;
        let mut keys = KEYS.iter().peekable();
        while let Some(key) = keys.next() {
            let Some(after) = rest.strip_prefix(key.as_bytes()).and_then(|r| r.strip_prefix(b"\n").or(r.strip_prefix(b"\r\n"))) else {
                break;
            };
            let is =
                |at: &usize, next: &str| after.get(at + 1..).and_then(|line| line.strip_prefix(next.as_bytes())?.first()) == Some(&b'\n');
            let end = keys.peek().and_then(|next| memchr::memchr_iter(b'\n', after).find(|at| is(at, next)));
            let value = after.get(..end.unwrap_or(after.len())).unwrap_or_default();
            // The last value may have other answers behind it.
            let value = if end.is_none() { value.split(|b| *b == b'\n').next().unwrap_or_default() } else { value };
            entry.set(key.as_bytes(), value.strip_suffix(b"\r").unwrap_or(value));
            rest = end.and_then(|end| after.get(end + 1..)).unwrap_or_default();
        }
        entry
    }

    /// A field of `client-info`.
    fn info(&self, name: &str) -> Option<&'a [u8]> {
        // Where the name stands at the start of a field.
        let begins = |at: &usize| {
            let before = self.info.get(..*at).and_then(|before| before.strip_suffix(name.as_bytes()));
            before.is_some_and(|before| before.last().is_none_or(|b| *b == b' '))
        };
        let rest = self.info.get(memchr::memchr_iter(b'=', self.info).find(begins)? + 1..)?;
        let value = rest.split(|b| *b == b' ').next()?;
        Some(value).filter(|value| !value.is_empty())
    }
}

/// Entries remembered as told. The server keeps 128 unless it is told otherwise.
const TOLD: usize = 1_024;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Acl {
    /// The last answer to TIME, in microseconds.
    now: Option<i64>,
    /// When each entry was last changed, by its number.
    told: BTreeMap<u64, i64>,
}

impl Decoder for Acl {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let bytes = record.bytes;
        let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let entry = if bytes.starts_with(b"{") {
            match Entry::json(bytes, arena) {
                Ok(entry) => entry,
                Err(Torn) => return Decoded::Reject(if record.truncated { "torn object" } else { "not an entry of ACL LOG" }),
            }
        } else if let Some(seconds) = clock(first) {
            // The rest of the second stands behind it.
            let digits = |part: &[u8]| std::str::from_utf8(part).ok().and_then(|t| t.parse::<i64>().ok());
            let micros = bytes.split(|b| !b.is_ascii_digit()).filter(|part| part.len() > 2).nth(1).and_then(digits);
            self.now = seconds.checked_mul(1_000_000).map(|now| now + micros.filter(|m| *m < 1_000_000).unwrap_or(0));
            return Decoded::Skip("the server's clock");
        } else if Printed::head(first) && !first.starts_with(b"> ") {
            Entry::printed(bytes, arena)
        } else {
            return Decoded::Skip("no entry of ACL LOG");
        };
        if entry.reason.is_empty() || entry.fields < 4 {
            return Decoded::Reject(if record.truncated { "torn entry" } else { "not an entry of ACL LOG" });
        }
        let aged = entry.noted.or(self.now).or(record.note.time.map(|t| t.0)).zip(entry.age).map(|(now, age)| now - (age * 1e6) as i64);
        let stated = entry.updated.or(entry.created).and_then(|ms| ms.checked_mul(1_000));
        let Some(time) = stated.or(aged) else {
            return Decoded::Reject("no time: write down TIME before ACL LOG");
        };
        if let Some(id) = entry.id {
            if self.told.get(&id) == Some(&time) {
                return Decoded::Skip("told before");
            }
            if self.told.len() >= TOLD {
                self.told.pop_first();
            }
            self.told.insert(id, time);
        }
        Decoded::Event(event(&entry, Time(time), record, arena))
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(acl) = postcard::from_bytes(state) {
            *self = acl;
        }
    }
}

fn event<'a>(entry: &Entry<'a>, time: Time, record: Record<'a>, arena: &'a Bump) -> Event<'a> {
    let login = entry.reason == b"auth";
    let mut event = Event::new(if login { Kind::LoginFailed } else { Kind::Denied }, time);
    event.outcome = Outcome::Denied;
    event.code = Some(BStr::new(if login { "WRONGPASS" } else { "NOPERM" }));
    event.suspect = record.suspect.or(entry.raw.then_some(RAW));
    event.truncated = record.truncated;
    let provenance = if login || event.suspect.is_some() { Provenance::Claimed } else { Provenance::Authenticated };
    event.principal = (!entry.user.is_empty()).then(|| Principal { name: BStr::new(entry.user), provenance });
    if let Some(address) = entry.info("addr") {
        (event.address, event.port) = if address.starts_with(b"/") { (Some(Address::Local), None) } else { peer(address) };
    }
    event.database = entry.info("db").map(BStr::new);
    event.session = entry.info("id").map(BStr::new);
    event.client = entry.info("lib-name").or(entry.info("name")).map(BStr::new);
    let command = if entry.reason == b"command" { entry.object } else { entry.info("cmd").unwrap_or_default() };
    let (name, sub) = command.part("|").unwrap_or((command, b""));
    let (operation, _) = command::find(name, sub);
    event.operation = Some(if login { Operation::Connect } else { operation });
    if matches!(entry.reason, b"key" | b"channel") {
        // The key as it came, which needs no unescaping any more.
        event.objects = command::kinds(entry.object, arena);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::frames;

    fn told(log: &str) -> Vec<String> {
        let mut framer = Lists::default();
        let (records, _) = frames(&mut framer, log.as_bytes(), More::Closed);
        let mut acl = Acl::default();
        let mut show = |record: &[u8]| {
            let arena = Bump::new();
            match acl.decode(Record::new(record), &arena) {
                Decoded::Event(e) => {
                    let who = e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name.escape_ascii(), p.provenance));
                    let place = e.address.map_or("-".to_owned(), |a| format!("{a}:{}", e.port.unwrap_or(0)));
                    let objects: Vec<String> = e.objects.iter().map(|o| o.to_string()).collect();
                    let doubt = if e.suspect.is_some() { " doubtful" } else { "" };
                    format!("{} {:?} {who} {place} {} [{}]{doubt}", e.time, e.kind, e.operation.unwrap(), objects.join(" "))
                }
                Decoded::Reject(reason) => format!("reject: {reason}"),
                Decoded::Skip(reason) => format!("skip: {reason}"),
            }
        };
        records.iter().map(|record| show(record)).collect()
    }

    const INFO: &str = "id=7 addr=10.0.0.7:46451 laddr=10.0.0.1:6379 fd=8 name= age=0 db=0 cmd=set user=web redir=-1 resp=2";

    #[test]
    fn as_json() {
        let entry = |more: &str| {
            format!(
                r#"{{"count":1,"reason":"key","context":"toplevel","object":"etl:1","username":"web","age-seconds":0.5,"client-info":"{INFO}"{more}}}"#
            )
        };
        let dated = entry(r#","entry-id":4,"timestamp-created":1795315037279,"timestamp-last-updated":1795315037279"#);
        let want = "2026-11-22T02:37:17.279Z Denied web Authenticated 10.0.0.7:46451 update [etl:*]";
        assert_eq!(told(&format!("[{dated},{dated}]\n[{dated}]\n")), [want, "skip: told before", "skip: told before"]);
        assert_eq!(told(&entry("")), ["reject: no time: write down TIME before ACL LOG"]);
        let aged = "2026-11-22T02:37:16.779Z Denied web Authenticated 10.0.0.7:46451 update [etl:*]";
        assert_eq!(told(&format!("[\"1795315037\",\"279000\"]\n[{}]\n", entry(""))), ["skip: the server's clock", aged]);
        assert_eq!(told(&entry(r#","now":1795315037.279"#)), [aged]);
    }

    #[test]
    fn as_printed() {
        let hostile = r#"bad\nuser\n1) \"count\""#;
        let log = format!(
            "> ACL LOG\n1) \"1795315037\"\n2) \"279000\"\n1)  1) \"count\"\n    2) (integer) 1\n    3) \"reason\"\n    4) \"auth\"\n    5) \"context\"\n    6) \"toplevel\"\n    7) \"object\"\n    8) \"AUTH\"\n    9) \"username\"\n   10) \"{hostile}\"\n   11) \"age-seconds\"\n   12) \"8.0\"\n   13) \"client-info\"\n   14) \"{INFO}\"\n2)  1) \"count\"\n    2) (integer) 1\n    3) \"reason\"\n    4) \"command\"\n    5) \"context\"\n    6) \"toplevel\"\n    7) \"object\"\n    8) \"config|set\"\n    9) \"username\"\n   10) \"web\"\n   11) \"age-seconds\"\n   12) \"7.0\"\n   13) \"client-info\"\n   14) \"{INFO}\"\nOK\n"
        );
        assert_eq!(
            told(&log),
            [
                "skip: no entry of ACL LOG",
                "skip: the server's clock",
                r#"2026-11-22T02:37:09.279Z LoginFailed bad\nuser\n1) \"count\" Claimed 10.0.0.7:46451 connect []"#,
                "2026-11-22T02:37:10.279Z Denied web Authenticated 10.0.0.7:46451 set []",
            ]
        );
    }

    #[test]
    fn raw_entries_name_nobody() {
        let log = format!(
            "count\n1\nreason\nauth\ncontext\ntoplevel\nobject\nAUTH\nusername\nx\ncount\n1\nreason\ncommand\nobject\nflushall\nusername\nadmin\nage-seconds\n8.0\nclient-info\n{INFO}\nentry-id\n0\ntimestamp-created\n1795315037279\ntimestamp-last-updated\n1795315037279\n"
        );
        let got = told(&log);
        assert!(got.iter().all(|line| line.ends_with("doubtful") || line.starts_with("reject")), "{got:#?}");
        assert!(got.iter().any(|line| line.contains("LoginFailed x")), "{got:#?}");
    }

    #[test]
    fn torn() {
        for text in ["{\"count\":1", "{}", "1) 1) \"count\"\n", "{\"count\":{}}"] {
            let got = told(text);
            assert!(got[0].starts_with("reject"), "{text}: {got:?}");
        }
    }
}
