//! Zeek's `mysql.log`, as JSON or in Zeek's own form ([`tsv`]): what a sensor on the network saw of MySQL's protocol.
//!
//! ```text
//! {"ts":1795314088.437392,"uid":"C5Hol527kLMUw36hj3","id.orig_h":"10.0.0.7","id.orig_p":56162,"id.resp_h":"10.0.0.2","id.resp_p":3306,"cmd":"query","arg":"SELECT count(*) FROM orders","success":true,"rows":1}
//! ```
//!
//! Only the login names a user, as the client sent it; later commands of the connection (`uid`) are given that name. The sensor
//! verifies nobody, so the name stays claimed and never chooses a token.
//! <https://docs.zeek.org/en/master/scripts/base/protocols/mysql/main.zeek.html>

use std::collections::HashMap;

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::entry::some;
use super::object::{self, Value};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

mod tsv;

use tsv::Heading;

pub const FORMAT: Format = Format {
    name: "zeek-mysql",
    about: "Zeek mysql.log (JSON or tab-separated)",
    // A sensor on the network reports any packets that look like MySQL's.
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(Zeek::new(options))),
    guide: Guide {
        system: "Zeek 2.5 to 7",
        switch_on: "The log is written where MySQL is spoken without TLS; `@load policy/tuning/json-logs` makes JSON of it",
        fields: &[
            ("time", "`ts`"),
            ("principal", "`arg` of `cmd: login` in the same connection; claimed by the client"),
            ("address", "`id.orig_h`; seen by the sensor"),
            ("port", "`id.orig_p`"),
            ("database", "`arg` of `cmd: init_db` in the same connection"),
            ("session", "`uid`"),
            ("statement", "`arg` of `cmd: query`"),
            ("operation", "the statement"),
            ("objects", "the statement"),
            ("outcome", "`success`"),
            ("rows", "`rows`"),
            ("kind", "`cmd`"),
        ],
        forgery: "Whoever can send packets past the sensor can act out whole connections; the user is never verified",
        ignored: "Commands that use no right (`ping`, `statistics`): kept as `other`",
        source: "<https://docs.zeek.org/en/master/scripts/base/protocols/mysql/main.zeek.html>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Bytes of a line looked at.
    const HEAD: usize = 600;
    let line = sample.lines().next().unwrap_or_default();
    let head = line.get(..HEAD).unwrap_or(line);
    let keys: [&[u8]; 4] = [b"\"uid\":", b"\"id.orig_h\":", b"\"cmd\":", b"\"ts\":"];
    // Zeek's other logs with commands (ftp, smb) have a user or a path of their own.
    let other: [&[u8]; 3] = [b"\"path\":", b"\"password\":", b"\"command\":"];
    let has = |keys: &[&[u8]]| keys.iter().filter(|key| head.seek(key).is_some()).count();
    if head.starts_with(b"{") && has(&keys) == keys.len() && has(&other) == 0 {
        Guess::new(94, "objects with ts, uid, id.orig_h and a cmd of MySQL's protocol")
    } else if tsv::is(sample) {
        Guess::new(94, "tab-separated values of Zeek's mysql.log")
    } else {
        Guess::NO
    }
}

/// Connections remembered. The oldest state is of no use once there are so many.
const CONNECTIONS: usize = 16_384;
/// Bytes of a name that are remembered.
const NAME: usize = 512;

struct Zeek {
    times: Timestamps,
    /// Name and database of each connection.
    sessions: HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
    heading: Heading,
}

impl Zeek {
    fn new(options: &Options) -> Self {
        Zeek { times: Timestamps::new(options.zone.clone()), sessions: HashMap::new(), heading: Heading::default() }
    }

    fn session(&mut self, uid: &[u8]) -> Option<&mut (Vec<u8>, Vec<u8>)> {
        if uid.is_empty() || uid.len() > NAME {
            return None;
        }
        if !self.sessions.contains_key(uid) {
            if self.sessions.len() >= CONNECTIONS {
                self.sessions.clear();
            }
            self.sessions.insert(uid.to_vec(), Default::default());
        }
        self.sessions.get_mut(uid)
    }
}

#[derive(Default)]
struct Row<'a> {
    time: Option<Value<'a>>,
    uid: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
    command: &'a [u8],
    argument: &'a [u8],
    success: Option<bool>,
    rows: Option<u64>,
    response: &'a [u8],
}

impl Decoder for Zeek {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        if record.bytes.starts_with(b"#") {
            self.heading.learn(record.bytes);
            return Decoded::Skip("a line about the lines below it");
        }
        if !record.bytes.starts_with(b"{") {
            return match self.heading.row(record.bytes, arena) {
                Some((row, time)) => Decoded::Event(self.event(&row, time, record, arena)),
                None => Decoded::Reject("not a row of zeek's mysql.log"),
            };
        }
        let mut row = Row::default();
        let read = object::read(record.bytes, arena, &mut |parent, key, value| {
            let text = |value: Value<'a>| value.bytes(arena).unwrap_or_default();
            match (parent, key) {
                ("", "ts") => row.time = Some(value),
                ("", "uid") => row.uid = text(value),
                ("", "id.orig_h") | ("id", "orig_h") => row.host = text(value),
                ("", "id.orig_p") | ("id", "orig_p") => row.port = value.count().and_then(|port| u16::try_from(port).ok()),
                ("", "cmd") => row.command = text(value),
                ("", "arg") => row.argument = text(value),
                ("", "success") => row.success = if let Value::Bool(yes) = value { Some(yes) } else { None },
                ("", "rows") => row.rows = value.count(),
                ("", "response") => row.response = text(value),
                _ => {}
            }
        });
        if read.is_err() && !record.truncated || row.command.is_empty() || row.uid.is_empty() {
            return Decoded::Reject("not a json object of zeek's mysql.log");
        }
        let time = match row.time {
            Some(Value::Text(text)) => self.times.parse(text.as_bytes()).ok(),
            // Seconds, or milliseconds.
            Some(value) => {
                value.number().filter(|n| *n > 0.0 && *n < 1e14).map(|n| Time((n * if n > 1e11 { 1e3 } else { 1e6 }).round() as i64))
            }
            None => None,
        };
        let Some(time) = time else { return Decoded::Reject("unreadable time stamp") };
        Decoded::Event(self.event(&row, time, record, arena))
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(&self.sessions, &self.heading)).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((sessions, heading)) = postcard::from_bytes(state) {
            (self.sessions, self.heading) = (sessions, heading);
        }
    }
}

impl Zeek {
    fn event<'a>(&mut self, row: &Row<'a>, time: Time, record: Record<'a>, arena: &'a Bump) -> Event<'a> {
        let mut event = Event::new(Kind::Other, time);
        event.address = Address::parse(row.host);
        event.port = row.port;
        event.session = some(row.uid);
        event.rows = row.rows;
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        event.outcome = match row.success {
            Some(true) => Outcome::Success,
            Some(false) if row.response.to_ascii_lowercase().holds("denied") => Outcome::Denied,
            Some(false) => Outcome::Error,
            None => Outcome::Unknown,
        };
        let failed = row.success == Some(false);
        let command = row.command.to_ascii_lowercase();
        match command.as_slice() {
            b"login" | b"change_user" => {
                event.operation = Some(Operation::Connect);
                event.kind = if failed { Kind::LoginFailed } else { Kind::Login };
                if let Some((user, _)) = self.session(row.uid).filter(|_| row.argument.len() <= NAME && !row.argument.is_empty()) {
                    *user = row.argument.to_vec();
                }
            }
            b"query" | b"execute" => {
                event.kind = match event.outcome {
                    Outcome::Denied => Kind::Denied,
                    Outcome::Error => Kind::Error,
                    _ => Kind::Query,
                };
                event.statement = some(row.argument);
                event.dialect = if row.argument.is_empty() { Dialect::None } else { Dialect::MySql };
            }
            b"init_db" if !failed => {
                if let Some((_, database)) = self.session(row.uid).filter(|_| row.argument.len() <= NAME) {
                    *database = row.argument.to_vec();
                }
            }
            b"binlog_dump" | b"binlog_dump_gtid" => (event.kind, event.operation) = (Kind::Query, Some(Operation::Copy)),
            b"create_db" => (event.kind, event.operation) = (Kind::Query, Some(Operation::Create)),
            b"drop_db" => (event.kind, event.operation) = (Kind::Query, Some(Operation::Drop)),
            b"process_kill" | b"shutdown" => (event.kind, event.operation) = (Kind::Query, Some(Operation::Other)),
            b"quit" => event.kind = Kind::Logout,
            _ if event.outcome == Outcome::Denied => event.kind = Kind::Denied,
            _ => {}
        }
        let keep = |text: &[u8]| -> &'a BStr { BStr::new(arena.alloc_slice_copy(text) as &'a [u8]) };
        if let Some((user, database)) = self.sessions.get(row.uid) {
            let known = |text: &Vec<u8>| (!text.is_empty()).then(|| keep(text));
            event.principal = known(user).map(|name| Principal { name, provenance: Provenance::Claimed });
            event.database = known(database);
        }
        if command == b"quit" {
            self.sessions.remove(row.uid);
        }
        event
    }
}
