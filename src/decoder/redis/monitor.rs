//! What Redis' MONITOR shows, written to a file by `redis-cli MONITOR`.
//!
//! ```text
//! 1795315035.784814 [0 127.0.0.1:38017] "GET" "app:302"
//! 1795315037.279782 [0 127.0.0.67:54289] "EVAL" "redis.call('SET',KEYS[1],'lua')" "1" "app:1"
//! 1795315037.279840 [0 lua] "SET" "app:1" "lua"
//! id=7 addr=127.0.0.1:38017 user=web
//! ```
//! <https://redis.io/docs/latest/commands/monitor/>
//!
//! No line names a user, and AUTH is shown without one. Who is behind an address, `CLIENT LIST` tells; its lines may stand
//! in the same file (the guide has the command). A line of it counts until the address logs in anew, or until
//! two lists have come without it; after a login the next list may have been made before it, so the one after that counts.
//! What a script does is shown right behind the script's own line, and belongs to the same client.

use std::collections::BTreeMap;

use bstr::BStr;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::command::{self, Keys};
use super::quoted::{self, Arguments};
use crate::decoder::peer::peer;
use crate::decoder::timestamp;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Principal, Provenance, Time};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "redis-monitor",
    about: "Redis or Valkey MONITOR output, with CLIENT LIST lines for the users",
    forgeable: false,
    sniff,
    open: |_, _| (Box::new(Lines::new()), Box::new(Monitor::default())),
    guide: Guide {
        system: "Redis 2.6 to 8, Valkey",
        switch_on: "`redis-cli MONITOR >> monitor.log &` and, for the users (Redis 7 and later), beside it `while sleep 1; do redis-cli CLIENT LIST | sed -un 's/^id=\\([0-9]*\\) addr=\\([^ ]*\\) .* user=\\([^ ]*\\) .*/id=\\1 addr=\\2 user=\\3/p'; done >> monitor.log`",
        fields: &[
            ("time", "the line's start"),
            (
                "principal",
                "`user` of the CLIENT LIST line with the same address; absent until a list has come after the login, and without such lines. Redis before 7 does not show logins, so a user who changes within a connection is noticed with the next list only",
            ),
            ("address", "in the brackets; seen by the server. Of a script's steps: the client that runs it"),
            ("port", "in the brackets"),
            ("database", "in the brackets"),
            ("session", "in the brackets"),
            ("operation", "the command"),
            ("objects", "the command's keys, without what tells one of a kind from another: `user:17` is `user:*`"),
            ("kind", "the command"),
        ],
        forgery: "No line: all client text is escaped, and names hold neither blanks nor line ends",
        ignored: "Logins (their user is hidden) and what drivers send by themselves: kept as `other`. Administrative commands and refused ones are not shown by MONITOR",
        source: "<https://redis.io/docs/latest/commands/monitor/>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Lines looked at.
    const LINES: usize = 100;
    let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..end)).unwrap_or(sample);
    let (mut lines, mut read) = (0usize, 0usize);
    for line in complete.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).take(LINES) {
        lines += 1;
        read += usize::from(Line::read(line.strip_suffix(b"\r").unwrap_or(line)).is_some() || lists(line).is_some());
    }
    match read {
        0 => Guess::NO,
        _ if read * 2 >= lines => Guess::new(97, format!("{read} of {lines} lines are time [database client] \"command\"")),
        _ => Guess::new(45, format!("{read} of {lines} lines are time [database client] \"command\"")),
    }
}

/// A line, taken apart.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    time: Time,
    database: &'a [u8],
    client: &'a [u8],
    arguments: Arguments<'a>,
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        // `+` where the reply was written down as it came over the wire.
        let line = line.strip_prefix(b"+").unwrap_or(line);
        let (stamp, rest) = line.part(" [")?;
        let time = timestamp::epoch(stamp).ok().filter(|_| stamp.contains(&b'.'))?;
        let (place, arguments) = rest.part("] \"")?;
        let (database, client) = place.part(" ")?;
        let digits = !database.is_empty() && database.len() < 10 && database.iter().all(u8::is_ascii_digit);
        let start = line.len() - arguments.len() - 1;
        digits.then_some(Line { time, database, client, arguments: Arguments { rest: line.get(start..)? } })
    }
}

/// Address and user out of a line of CLIENT LIST, and the client's number.
fn lists(line: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (mut id, mut address, mut user) = (None, None, None);
    if !line.starts_with(b"id=") {
        return None;
    }
    for field in line.trim_ascii().split(|b| *b == b' ') {
        match field.part("=")? {
            (b"id", value) => id = std::str::from_utf8(value).ok()?.parse().ok(),
            (b"addr", value) => address = Some(value),
            (b"user", value) => user = Some(value),
            _ => {}
        }
    }
    // Redis before 6 has no users.
    Some((id?, address?, user.unwrap_or_default()))
}

/// Addresses remembered.
const CLIENTS: usize = 16_384;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Monitor {
    clients: BTreeMap<Vec<u8>, Client>,
    /// Number of the list that came last, and of the last client in it: a list is in the order of these numbers.
    list: u64,
    last: u64,
    /// Whose script the lines from `lua` belong to.
    script: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Client {
    user: Vec<u8>,
    /// The list that told it.
    told: u64,
    /// Lists before this one may be older than the last login.
    from: u64,
}

impl Decoder for Monitor {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let bytes = record.bytes;
        if bytes.starts_with(b"id=") && !record.truncated {
            return match lists(bytes) {
                Some((id, address, user)) => {
                    self.listed(id, address, user);
                    Decoded::Skip("a client and its user")
                }
                None => Decoded::Reject("torn line of the list of clients"),
            };
        }
        let Some(line) = Line::read(bytes) else {
            return match bytes.trim_ascii() {
                b"OK" | b"+OK" | b"" => Decoded::Skip("the answer to MONITOR"),
                text if text.to_ascii_lowercase().ends_with(b"> monitor") => Decoded::Skip("the call of MONITOR"),
                text if text.starts_with(b"Error:") || text.starts_with(b"Could not connect") => Decoded::Skip("a word of redis-cli"),
                _ => Decoded::Reject("not a line of MONITOR"),
            };
        };
        let mut arguments = line.arguments;
        let Some(name) = arguments.next() else { return Decoded::Reject("not a line of MONITOR") };
        let mut event = Event::new(Kind::Query, line.time);
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        event.database = Some(BStr::new(line.database));
        let (operation, keys) = command::find(quoted::plain(name, arena), arguments.clone().next().unwrap_or_default());
        event.operation = Some(operation);
        event.objects = command::objects(keys, arguments, arena);
        if keys == Keys::Noise {
            event.kind = Kind::Other;
        }
        let client: &'a [u8] = if line.client == b"lua" {
            arena.alloc_slice_copy(&self.script)
        } else {
            self.script.clear();
            if operation == Operation::Call {
                self.script.extend_from_slice(line.client);
            }
            line.client
        };
        if client.is_empty() {
            // Nobody knows whose script it is.
            event.kind = Kind::Other;
            return Decoded::Event(event);
        }
        event.session = Some(BStr::new(client));
        (event.address, event.port) = if client.starts_with(b"unix:") { (Some(Address::Local), None) } else { peer(client) };
        event.principal = self.user(client, arena);
        if line.client != b"lua" {
            self.changes(name, arguments, client);
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok(monitor) = postcard::from_bytes(state) {
            *self = monitor;
        }
    }
}

impl Monitor {
    fn listed(&mut self, id: u64, address: &[u8], user: &[u8]) {
        if id <= self.last || self.list == 0 {
            self.list += 1;
            let list = self.list;
            self.clients.retain(|_, client| client.told + 2 >= list || client.from > list);
        }
        self.last = id;
        // Clients of a Unix socket all have its path for an address.
        if address.starts_with(b"/") || user.is_empty() || user == b"(superuser)" {
            return;
        }
        if self.clients.len() >= CLIENTS && !self.clients.contains_key(address) {
            self.clients.clear();
        }
        let list = self.list;
        let client = self.clients.entry(address.to_vec()).or_insert_with(|| Client { user: Vec::new(), told: 0, from: 0 });
        if list >= client.from {
            *client = Client { user: user.to_vec(), told: list, from: 0 };
        }
    }

    fn user<'a>(&self, address: &[u8], arena: &'a Bump) -> Option<Principal<'a>> {
        let client = self.clients.get(address).filter(|c| c.from == 0 && c.told + 1 >= self.list)?;
        Some(Principal { name: BStr::new(arena.alloc_slice_copy(&client.user) as &[u8]), provenance: Provenance::Authenticated })
    }

    /// Commands after which another user may be behind an address.
    fn changes<'a>(&mut self, name: &[u8], mut arguments: impl Iterator<Item = &'a [u8]>, address: &[u8]) {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        let login = is("auth") || is("reset") || is("hello") && arguments.any(|a| a.eq_ignore_ascii_case(b"auth"));
        if is("quit") {
            self.clients.remove(address);
        } else if login {
            if self.clients.len() >= CLIENTS && !self.clients.contains_key(address) {
                self.clients.clear();
            }
            self.clients.insert(address.to_vec(), Client { user: Vec::new(), told: self.list, from: self.list + 2 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str) -> Vec<String> {
        let mut monitor = Monitor::default();
        log.lines().map(|line| show(&mut monitor, line.as_bytes())).collect()
    }

    fn show(monitor: &mut Monitor, line: &[u8]) -> String {
        let arena = Bump::new();
        match monitor.decode(Record::new(line), &arena) {
            Decoded::Event(e) => {
                let who = e.principal.map_or("-".to_owned(), |p| p.name.to_string());
                let place = e.address.map_or("-".to_owned(), |a| format!("{a}:{}", e.port.unwrap_or(0)));
                let objects: Vec<String> = e.objects.iter().map(|o| o.to_string()).collect();
                format!("{:?} {who} {place} {} [{}]", e.kind, e.operation.unwrap(), objects.join(" "))
            }
            Decoded::Reject(reason) => format!("reject: {reason}"),
            Decoded::Skip(_) => "skip".to_owned(),
        }
    }

    #[test]
    fn lines() {
        let log = r#"OK
1795315035.784814 [0 127.0.0.1:38017] "GET" "app:302"
+1795315035.784814 [15 [2001:db8::1]:5] "set" "app:x" "a\n1763777777.000000 [0 127.0.0.9:9999] \"FLUSHALL\"\n"
1795315035.784814 [0 unix:/run/redis.sock] "MULTI"
1795315035.784814 [0 127.0.0.1:38017] "EVAL" "return 1" "1" "app:1"
1795315035.784814 [0 lua] "SET" "app:1" "x"
1795315035.784814 [0 127.0.0.1:38017] "PING"
1795315035.784814 [0 lua] "SET" "app:1" "x"
1795315035.784814 [0 127.0.0.1:38017] 
1795315035 [0 127.0.0.1:38017] "GET" "x"
1795315035.784814 [x 127.0.0.1:38017] "GET" "x"
Error: Server closed the connection"#;
        assert_eq!(
            told(log),
            [
                "skip",
                "Query - 127.0.0.1:38017 select [app:*]",
                "Query - 2001:db8::1:5 update [app:*]",
                "Query - local:0 begin []",
                "Query - 127.0.0.1:38017 call [app:*]",
                "Query - 127.0.0.1:38017 update [app:*]",
                "Other - 127.0.0.1:38017 other []",
                "Other - - update [app:*]",
                "reject: not a line of MONITOR",
                "reject: not a line of MONITOR",
                "reject: not a line of MONITOR",
                "skip",
            ]
        );
    }

    #[test]
    fn users_by_the_list_of_clients() {
        let get = r#"1795315035.784814 [0 10.0.0.7:5] "GET" "a""#;
        let auth = r#"1795315035.784814 [0 10.0.0.7:5] "AUTH" "(redacted)" "(redacted)""#;
        let list = |user: &str| {
            format!(
                "id=3 addr=10.0.0.1:9 laddr=x fd=8 name= user=default redir=-1\nid=7 addr=10.0.0.7:5 laddr=x name= user={user} lib-name="
            )
        };
        let without = "id=3 addr=10.0.0.1:9 user=default";
        let who = |log: &[&str]| -> String {
            let told = told(&log.join("\n"));
            told.iter().filter(|line| line.starts_with("Query")).map(|line| line.split(' ').nth(1).unwrap()).collect::<Vec<_>>().join(" ")
        };
        let (web, etl) = (list("web"), list("etl"));
        assert_eq!(who(&[get, &web, get, &web, get]), "- web web");
        // A list that follows a login may be older than it; the second one is not.
        assert_eq!(who(&[&web, get, auth, get, &web, get, &etl, get]), "web - - etl");
        // A client that is gone is forgotten.
        assert_eq!(who(&[&web, without, without, get, without, get]), "- -");
        assert_eq!(who(&[&web, r#"1795315035.784814 [0 10.0.0.7:5] "QUIT""#, get]), "-");
        assert_eq!(who(&[&web, r#"1795315035.784814 [0 10.0.0.7:5] "HELLO" "3" "AUTH" "(redacted)" "(redacted)""#, get]), "-");
        assert_eq!(who(&[&web, r#"1795315035.784814 [0 10.0.0.7:5] "hello" "3""#, get]), "web");
        assert_eq!(who(&[&web, r#"1795315035.784814 [0 10.0.0.7:5] "RESET""#, get]), "-");
    }

    #[test]
    fn state_survives_a_restart() {
        let mut monitor = Monitor::default();
        show(&mut monitor, b"id=7 addr=10.0.0.7:5 user=web");
        let mut next = Monitor::default();
        next.restore(&monitor.save());
        assert!(show(&mut next, br#"1.5 [0 10.0.0.7:5] "GET" "a""#).contains("web"));
    }
}
