//! Audit logs of Azure Database for MySQL and MariaDB, inside Azure's diagnostic logs or as Log Analytics exports them.
//!
//! ```text
//! {"category":"MySqlAuditLogs","time":"2026-11-22T02:21:28Z","properties":{"event_class":"general_log","event_subclass":"LOG","event_time":1795314088,"error_code":0,"thread_id":7,"ip":"10.0.0.7","user":"web[web] @  [10.0.0.7]","sql_text":"select 1"}}
//! {"Category":"MySqlAuditLogs","TimeGenerated":"2026-11-22T02:21:28Z","event_class_s":"connection_log","event_subclass_s":"CONNECT","connection_id_d":7,"ip_s":"10.0.0.7","user_s":"web","db_s":"shop"}
//! ```
//! <https://learn.microsoft.com/azure/mysql/flexible-server/concepts-audit-logs>

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::entry;
use crate::decoder::json::fields;
use crate::decoder::json::pick::{self, Picked, Places, Value};
use crate::decoder::json::sample;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "azure-mysql-audit",
    about: "audit logs of Azure Database for MySQL and MariaDB",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Audit::new(options))),
    guide: Guide {
        system: "Azure Database for MySQL and MariaDB",
        switch_on: "Server parameters `audit_log_enabled = ON` and `audit_log_events = CONNECTION,GENERAL`, and a diagnostic setting that sends `MySqlAuditLogs` to an event hub or a storage account",
        fields: &[
            ("time", "`event_time`, else the envelope's `time`, `TimeGenerated`"),
            ("principal", "`user`, the account before the bracket; verified, claimed where the login was refused"),
            ("address", "`ip`; seen by the server"),
            ("database", "`db`"),
            ("session", "`connection_id`, `thread_id`"),
            ("statement", "`sql_text`"),
            ("operation", "the statement, `event_subclass` of table accesses"),
            ("objects", "the statement, `db` and `table` of table accesses"),
            ("outcome", "`error_code`, `status`"),
            ("code", "`error_code`, `status`, MySQL's error number"),
            ("kind", "`event_class` and `event_subclass`"),
        ],
        forgery: "Nothing: all text is escaped",
        ignored: "Results and accesses to tables, which belong to a statement that is counted: kept as `other`",
        source: "<https://learn.microsoft.com/azure/mysql/flexible-server/concepts-audit-logs>",
    },
};

const TIME: usize = 0;
const WRITTEN: usize = 1;
const CLASS: usize = 2;
const SUBCLASS: usize = 3;
const USER: usize = 4;
const IP: usize = 5;
const DATABASE: usize = 6;
const CONNECTION: usize = 7;
const SQL: usize = 8;
const CODE: usize = 9;
const TABLE: usize = 10;
const SLOTS: usize = 11;

fn places() -> Places {
    const NAMES: [(&str, usize); 11] = [
        ("event_time", TIME),
        ("event_class", CLASS),
        ("event_subclass", SUBCLASS),
        ("user", USER),
        ("ip", IP),
        ("db", DATABASE),
        ("connection_id", CONNECTION),
        ("thread_id", CONNECTION),
        ("sql_text", SQL),
        ("error_code", CODE),
        ("table", TABLE),
    ];
    let mut places = Places::default();
    // Log Analytics puts the type behind a name.
    for (rank, (name, slot)) in NAMES.into_iter().enumerate() {
        for (more, end) in ["", "_s", "_d", "_t"].into_iter().enumerate() {
            places.add(&format!("/{name}{end}"), slot, 8 * rank + more);
        }
    }
    for (rank, (name, slot)) in
        [("/status", CODE), ("/status_d", CODE), ("/TimeGenerated", WRITTEN), ("/time", WRITTEN)].into_iter().enumerate()
    {
        places.add(name, slot, 100 + rank);
    }
    places
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let known = |picked: &Picked<'_>| picked.get(SUBCLASS).is_some() && picked.text(CLASS).is_some_and(|class| class.ends_with(b"_log"));
    sample::guess(sample, &[], places, SLOTS, known, 93, "audit records of Azure Database for MySQL")
}

struct Audit {
    places: Places,
    stamps: Timestamps,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), stamps: Timestamps::new(options.zone.clone()) }
    }

    /// The server's time, else that of whoever wrote the record down.
    fn time(&mut self, picked: &Picked<'_>, record: Record<'_>) -> Option<Time> {
        let own = picked.get(TIME).filter(|time| !matches!(time, Value::Integer(..=0)));
        own.or(picked.get(WRITTEN)).and_then(|time| fields::time(time, &mut self.stamps)).or(record.note.time)
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let (Some(class), Some(subclass)) = (picked.text(CLASS), picked.text(SUBCLASS)) else {
            return Decoded::Reject("no audit record of azure's mysql");
        };
        let Some(time) = self.time(&picked, record) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated || end.is_err();
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        event.address = picked.text(IP).and_then(|ip| Address::parse(ip));
        event.database = picked.text(DATABASE);
        event.session = picked.word(CONNECTION, arena);
        event.code = picked.word(CODE, arena).filter(|code| *code != "0");
        event.outcome = event.code.map_or(Outcome::Success, |code| entry::outcome(code));
        let statement = picked.text(SQL);
        match (class.as_bytes(), subclass.as_bytes()) {
            (b"connection_log", b"CONNECT" | b"CHANGE USER" | b"CHANGE_USER") => {
                event.operation = Some(Operation::Connect);
                event.kind = if event.code.is_some() { Kind::LoginFailed } else { Kind::Login };
            }
            (b"connection_log", b"DISCONNECT") => event.kind = Kind::Logout,
            (b"general_log", what) => {
                event.kind = match (what, event.outcome) {
                    (b"RESULT" | b"STATUS", _) => Kind::Other,
                    (_, Outcome::Denied) => Kind::Denied,
                    (_, Outcome::Error) => Kind::Error,
                    _ => Kind::Query,
                };
                event.statement = statement;
            }
            (b"table_access_log", what) => {
                event.operation = Some(match what {
                    b"READ" => Operation::Select,
                    b"INSERT" => Operation::Insert,
                    b"UPDATE" => Operation::Update,
                    b"DELETE" => Operation::Delete,
                    _ => Operation::Other,
                });
                event.objects = match (picked.text(DATABASE), picked.text(TABLE)) {
                    (Some(database), Some(table)) => {
                        let name = bumpalo::format!(in arena, "{}.{}", database, table).into_bump_str();
                        arena.alloc_slice_copy(&[BStr::new(name)])
                    }
                    (None, Some(table)) => arena.alloc_slice_copy(&[table]),
                    _ => &[],
                };
                event.statement = statement;
            }
            _ => {}
        }
        if event.statement.is_some() {
            event.dialect = Dialect::MySql;
        }
        let claimed = event.kind == Kind::LoginFailed || event.suspect.is_some();
        let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = picked.text(USER).and_then(account).map(|name| Principal { name, provenance });
        Decoded::Event(event)
    }
}

/// `web`, or `web[web] @  [10.0.0.7]`: what stands before the bracket is the account, what stands in it the client sent.
fn account(user: &BStr) -> Option<&BStr> {
    let name = match user.part_last("] @ ") {
        Some((both, _)) => both.part("[").map_or(both, |(account, _)| account),
        None => user.as_bytes(),
    };
    (!name.is_empty()).then(|| BStr::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::testing::shown;

    #[test]
    fn records() {
        let log = [
            r#"{"event_class":"connection_log","event_subclass":"CONNECT","event_time":1795314088,"connection_id":7,"ip":"10.0.0.7","user":"web","db":"shop"}"#,
            r#"{"event_class":"connection_log","event_subclass":"CONNECT","event_time":1795314088,"connection_id":8,"ip":"10.0.0.8","user":"eve","status":1045}"#,
            r#"{"event_class":"general_log","event_subclass":"LOG","event_time":1795314088,"error_code":0,"thread_id":7,"ip":"10.0.0.7","user":"web[x] @  [10.0.0.7]","sql_text":"select 1"}"#,
            r#"{"event_class_s":"general_log","event_subclass_s":"ERROR","TimeGenerated":"2026-11-22T02:21:28Z","error_code_d":1142,"thread_id_d":7,"ip_s":"10.0.0.7","user_s":"web[web] @  [10.0.0.7]","sql_text_s":"select * from wages"}"#,
            r#"{"event_class":"table_access_log","event_subclass":"READ","event_time":1795314088,"connection_id":7,"db":"shop","table":"orders","sql_text":"select * from orders"}"#,
            r#"{"event_class":"connection_log","event_subclass":"DISCONNECT","event_time":1795314088,"connection_id":7,"ip":"10.0.0.7","user":"web"}"#,
            r#"{"event_class":"general_log"}"#,
            r#"{"event_class":"general_log","event_subclass":"LOG"}"#,
        ];
        let want = [
            "Login web@10.0.0.7/shop | connect | - | Success session=7",
            "LoginFailed eve?@10.0.0.8 | connect | - | Denied 1045 session=8",
            "Query web@10.0.0.7 | - | select 1 | Success session=7",
            "Denied web@10.0.0.7 | - | select * from wages | Denied 1142 session=7",
            "Other -@-/shop | select shop.orders | select * from orders | Success session=7",
            "Logout web@10.0.0.7 | - | - | Success session=7",
            "rejected: no audit record of azure's mysql",
            "rejected: unreadable time stamp",
        ];
        assert_eq!(shown(&FORMAT, format!("{}\n", log.join("\n")).as_bytes()), want);
        assert!(sniff(log[0].as_bytes(), &Options::default()).certainty > 90);
        assert_eq!(sniff(br#"{"event_class":"x","event_subclass":"y"}"#, &Options::default()), Guess::NO);
    }
}
