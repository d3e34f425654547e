//! The audit plugin of McAfee, now Trellix, for MySQL, Percona Server and MariaDB: one JSON object a line.
//!
//! ```text
//! {"msg-type":"activity","date":"1795314088123","thread-id":"5","query-id":"12","user":"app","priv_user":"app","ip":"10.0.0.7","host":"10.0.0.7","rows":"3","status":"0","cmd":"select","objects":[{"db":"shop","name":"orders","obj_type":"TABLE"}],"query":"SELECT * FROM orders"}
//! ```
//!
//! Numbers are texts. What is no statement has the name of its command as `query`. <https://github.com/trellix-enterprise/mysql-audit/wiki>

use bstr::BStr;
use bumpalo::Bump;

use super::entry::{Class, Entry, Log};
use super::object::{self, Value};
use super::tables::{qualified, verb};
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Time};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "mcafee-audit",
    about: "McAfee/Trellix audit plugin for MySQL and MariaDB (JSON lines)",
    forgeable: false,
    sniff,
    open: |_, _| (Box::new(Lines::new()), Box::new(McAfee::default())),
    guide: Guide {
        system: "MySQL, Percona Server 5.1 to 8.0, MariaDB 5.5 to 10.2 with the plugin of McAfee/Trellix",
        switch_on: "`INSTALL PLUGIN AUDIT SONAME 'libaudit_plugin.so'`, `SET GLOBAL audit_json_file = ON`",
        fields: &[
            ("time", "`date`, milliseconds UTC"),
            ("principal", "`user`; verified unless the command is `Failed Login` or the account (`priv_user`) is anonymous"),
            ("address", "`ip`, else `host`; seen by the server"),
            ("port", "`client_port`"),
            ("database", "of `objects`, where all are in one"),
            ("client", "`appname`, else `connect_attrs`; the client's own word"),
            ("session", "`thread-id`"),
            ("statement", "`query`"),
            ("operation", "the statement"),
            ("objects", "`objects`, where the statement does one thing with all of them, else the statement"),
            ("outcome", "`status`"),
            ("code", "`status`, the server's error number"),
            ("rows", "`rows`"),
            ("kind", "`cmd`"),
        ],
        forgery: "Nothing: all text of clients is escaped",
        ignored: "The header that a restart writes, and commands that use no right: kept as `other`",
        source: "<https://github.com/trellix-enterprise/mysql-audit/wiki>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Objects remembered of a line.
    const HEAD: usize = 400;
    let head = sample.get(..HEAD).unwrap_or(sample).trim_ascii_start();
    let kinds: [&[u8]; 2] = [b"\"msg-type\":\"activity\"", b"\"msg-type\":\"header\""];
    if head.starts_with(b"{") && kinds.iter().any(|kind| head.seek(kind).is_some()) {
        Guess::new(96, "objects with \"msg-type\" of the plugin of McAfee/Trellix")
    } else {
        Guess::NO
    }
}

/// Objects of one record that are kept.
const OBJECTS: usize = 64;

#[derive(Default)]
struct McAfee {
    log: Log,
}

impl Decoder for McAfee {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let mut entry = Entry::default();
        let (mut kind, mut date, mut command) = (None, None, &b""[..]);
        let mut objects = bumpalo::collections::Vec::new_in(arena);
        let (mut databases, mut more) = (bumpalo::collections::Vec::new_in(arena), false);
        let read = object::read(record.bytes, arena, &mut |parent, key, value| match (parent, key) {
            ("", "msg-type") => kind = if let Value::Text(text) = value { Some(text) } else { None },
            ("", "date") => date = value.count(),
            ("", "thread-id") => entry.connection = value.bytes(arena).unwrap_or_default(),
            ("", "user") => entry.user = value.bytes(arena).unwrap_or_default(),
            ("", "priv_user") => entry.account = value.bytes(arena),
            ("", "ip") => entry.ip = value.bytes(arena).unwrap_or_default(),
            ("", "host") => entry.host = value.bytes(arena).unwrap_or_default(),
            ("", "client_port") => entry.port = value.count().and_then(|port| u16::try_from(port).ok()),
            ("", "rows") => entry.rows = value.count(),
            ("", "status") => entry.status = value.bytes(arena).unwrap_or_default(),
            ("", "cmd") => command = value.bytes(arena).unwrap_or_default(),
            ("", "query") => entry.statement = value.bytes(arena).unwrap_or_default(),
            ("", "appname") => entry.client = value.bytes(arena).unwrap_or_default(),
            ("connect_attrs", "program_name") if entry.client.is_empty() => entry.client = value.bytes(arena).unwrap_or_default(),
            ("objects", "db") if databases.len() < OBJECTS => databases.push(value.bytes(arena).unwrap_or_default()),
            ("objects", "name") if objects.len() < OBJECTS => {
                let database = databases.last().copied().unwrap_or_default();
                objects.push(qualified(database, value.bytes(arena).unwrap_or_default(), arena));
            }
            ("objects", "name") => more = true,
            _ => {}
        });
        let Some(kind) = kind.filter(|_| read.is_ok() || record.truncated) else {
            return Decoded::Reject("not a json object of the mcafee audit plugin");
        };
        let Some(time) = date.and_then(|date| i64::try_from(date).ok()?.checked_mul(1_000)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        if kind != "activity" {
            return Decoded::Event(Event::new(Kind::Other, Time(time)));
        }
        if let Some((first, rest)) = databases.split_first()
            && rest.iter().all(|other| other == first)
        {
            entry.database = first;
        }
        let plain = entry.statement == command || entry.statement == b"n/a";
        if plain {
            entry.statement = b"";
        }
        entry.class = match command {
            b"Connect" => Class::Connect,
            b"Change user" => Class::ChangeUser,
            b"Quit" => Class::Disconnect,
            b"Failed Login" => Class::Connect,
            _ => Class::Status,
        };
        if command == b"Failed Login" && matches!(entry.status, b"" | b"0") {
            entry.status = b"1045"; // the plugin writes no number
        } else if matches!(entry.class, Class::Connect | Class::ChangeUser) && entry.status.is_empty() {
            entry.status = b"0";
        }
        // Commands of the protocol begin with a capital letter, kinds of statements (`select`) with a small one.
        let own = command.first().is_some_and(u8::is_ascii_uppercase);
        (entry.command, entry.sql_command) = if own { (command, &b""[..]) } else { (&b""[..], command) };
        let mut event = self.log.event(&entry, Time(time), record, arena);
        if event.suspect.is_none() && !more && one_thing(&event, objects.len()) {
            event.objects = objects.into_bump_slice();
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.log.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.log.restore(state);
    }
}

/// Whether the statement does one thing with all of its objects.
fn one_thing(event: &Event<'_>, objects: usize) -> bool {
    let reads = event.statement.is_some_and(|text| {
        let verb: &BStr = BStr::new(verb(text));
        verb.eq_ignore_ascii_case(b"select") || verb.eq_ignore_ascii_case(b"with")
    });
    objects > 0 && (reads || objects == 1) && (event.statement.is_some() || event.operation.is_some_and(|o| o != Operation::Connect))
}
