//! Database Activity Streams of Amazon Aurora and RDS, decrypted, for PostgreSQL, MySQL, Oracle and SQL Server.
//!
//! ```text
//! {"type":"DatabaseActivityMonitoringRecord","databaseActivityEventList":[{"type":"record","logTime":"2019-05-24 00:39:49.940668+00","command":"SELECT",
//!  "dbUserName":"web","remoteHost":"172.31.3.195","remotePort":"34534","commandText":"select * from my_table;","objectName":"public.my_table","class":"READ",...}]}
//! ```
//!
//! The stream is written by the engine outside the reach of its administrators; all but the statement, the client's name and the user of a
//! refused login is the server's word. Of the several records of one statement the main one counts: for MySQL class `MAIN`, for
//! PostgreSQL one for each object.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/DBActivityStreams.AuditFields.html>

use std::sync::LazyLock;

use bstr::BStr;
use bumpalo::Bump;

use crate::decoder::json::pick::{self, Places};
use crate::decoder::mssql::brackets;
use crate::decoder::oracle;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "aurora-activity",
    about: "Database Activity Streams of Amazon Aurora and RDS",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(WRAPPERS)), Box::new(Activity { times: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "Amazon Aurora PostgreSQL and MySQL, RDS for Oracle and SQL Server, with Database Activity Streams",
        switch_on: "`aws rds start-activity-stream --mode async ...`; a consumer of the Kinesis stream decrypts it and writes the JSON to a file or to Kafka",
        fields: &[
            ("time", "`logTime`"),
            ("principal", "`dbUserName`; verified, but for refused logins"),
            ("address", "`remoteHost`; seen by the server"),
            ("port", "`remotePort`"),
            ("database", "`databaseName`"),
            ("client", "`clientApplication`; the client's own word"),
            ("session", "`sessionId`"),
            ("statement", "`commandText`"),
            ("operation", "`command`, else the statement"),
            ("objects", "`objectName`, of SQL Server with its schema, else the statement"),
            ("outcome", "`exitCode` and `errorMessage`; of SQL Server an `exitCode` of 0 is a lack of permission"),
            ("code", "`exitCode`, but of SQL Server"),
            ("rows", "`rowCount`"),
            ("duration", "`startTime` to `endTime`"),
            ("kind", "`command`"),
        ],
        forgery: "Nothing: the engine writes it outside the reach of its clients and administrators, and all text is escaped",
        ignored: "Heartbeats are skipped; MySQL's `AUX` records of the tables of a statement are kept as `other`",
        source: "<https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/DBActivityStreams.AuditFields.html>",
    },
};

const WRAPPERS: &[&str] = &["databaseActivityEventList", "databaseActivityEvents/databaseActivityEventList"];

/// Where the values stand; the number of a slot is its place here.
const POINTERS: [&str; 20] = [
    "/logTime",
    "/startTime",
    "/endTime",
    "/type",
    "/command",
    "/commandText",
    "/objectName",
    "/databaseName",
    "/dbUserName",
    "/remoteHost",
    "/remotePort",
    "/sessionId",
    "/rowCount",
    "/clientApplication",
    "/exitCode",
    "/class",
    "/serverType",
    "/errorMessage",
    "/objectType",
    "/engineNativeAuditFields/schema_name",
];

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let mut places = Places::default();
    for (slot, pointer) in POINTERS.iter().enumerate() {
        places.add(pointer, slot, 0);
    }
    places
});

/// What the stream itself carries.
const ENCRYPTED: &str = "\"databaseActivityEvents\":\"";

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let has = |text: &str| sample.holds(text);
    if has("\"databaseActivityEventList\"") || has("\"dbUserName\"") && has("\"serverType\"") && has("\"commandText\"") {
        return Guess::new(97, "records of Database Activity Streams");
    }
    if has(ENCRYPTED) {
        return Guess::new(97, "records of Database Activity Streams, still encrypted");
    }
    Guess::NO
}

struct Activity {
    times: Timestamps,
}

impl Decoder for Activity {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Ok(picked) = pick::pick(pick::text(record.bytes, arena), &PLACES, POINTERS.len(), arena) else {
            return Decoded::Reject(if record.truncated { "JSON object cut by the size limit" } else { "not a JSON object" });
        };
        let get = |slot: usize| picked.word(slot, arena);
        if get(3).is_some_and(|kind| kind == "heartbeat") {
            return Decoded::Skip("heartbeat");
        }
        let Some(time) = get(0).or(get(1)) else {
            return Decoded::Reject(match record.bytes.holds(ENCRYPTED) {
                true => "still encrypted: have the stream's consumer decrypt it with the key of the cluster",
                false => "no time stamp",
            });
        };
        let Ok(time) = self.times.parse(time) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        event.address = get(9).and_then(|host| if host == "local machine" { Some(Address::Local) } else { Address::parse(host) });
        let number = |text: &BStr| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
        let engine = Engine::of(get(16).map_or(&b""[..], |server| server));
        event.port = get(10).and_then(number).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
        event.database = get(7);
        event.session = get(11);
        event.client = get(13);
        // SQL Server writes 0 for whatever it has not counted.
        event.rows = get(12).and_then(number).filter(|rows| *rows > 0 || engine != Engine::SqlServer);
        let begun = get(1).and_then(|start| self.times.parse(start).ok());
        let ended = get(2).and_then(|end| self.times.parse(end).ok());
        event.duration_us = begun.zip(ended).and_then(|(begun, ended)| u64::try_from(ended.0.saturating_sub(begun.0)).ok());
        let command = get(4).map_or(&b""[..], |text| text);
        let act = act(command);
        (event.outcome, event.code) = engine.outcome(act, get(14), get(17).map_or(&b""[..], |text| text));
        let failed = event.outcome != Outcome::Success;
        let mut claimed = false;
        match act {
            Act::Login | Act::Refused => {
                claimed = failed || act == Act::Refused;
                event.kind = if claimed { Kind::LoginFailed } else { Kind::Login };
                event.outcome = if claimed { Outcome::Denied } else { Outcome::Success };
                event.operation = Some(Operation::Connect);
            }
            Act::Logout => event.kind = Kind::Logout,
            Act::Other if get(15).is_some_and(|class| class == "AUX") => {}
            Act::Batch | Act::Other => {
                event.kind = match event.outcome {
                    Outcome::Denied => Kind::Denied,
                    Outcome::Error => Kind::Error,
                    _ => Kind::Query,
                };
                event.statement = get(5).map(|text| match engine {
                    Engine::SqlServer => BStr::new(brackets(text, arena)),
                    _ => text,
                });
                event.dialect = if event.statement.is_some() { engine.dialect() } else { Dialect::None };
                event.operation = if act == Act::Batch { None } else { operation(command) };
                event.objects = match (engine, get(6), get(19)) {
                    // MySQL's command is only ever QUERY; its statement says more, and so does it about the objects.
                    (Engine::MySql, ..) | (_, None, _) => &[],
                    (Engine::SqlServer, Some(object), Some(schema)) => {
                        let name = bumpalo::format!(in arena, "{}.{}", schema, object).into_bump_str();
                        arena.alloc_slice_copy(&[BStr::new(name)])
                    }
                    (_, Some(object), _) => arena.alloc_slice_copy(&[object]),
                };
            }
        }
        let provenance = if claimed || event.suspect.is_some() { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = get(8).map(|name| Principal { name, provenance });
        Decoded::Event(event)
    }
}

/// What a command is, apart from what it works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Login,
    Refused,
    Logout,
    /// SQL Server's batches and remote calls as a whole, whose text says what they did, and which fail for any reason.
    Batch,
    Other,
}

fn act(command: &[u8]) -> Act {
    match command {
        b"CONNECT"
        | b"AUTH SUCCESS"
        | b"AUTHENTICATION"
        | b"LOGIN"
        | b"LOGON"
        | b"LOGIN SUCCEEDED"
        | b"DATABASE AUTHENTICATION SUCCEEDED" => Act::Login,
        b"AUTH FAILURE" | b"FAILED CONNECT" | b"FAILED_CONNECT" | b"LOGIN FAILED" | b"DATABASE AUTHENTICATION FAILED" => Act::Refused,
        b"DISCONNECT" | b"LOGOUT" | b"QUIT" | b"LOGOFF" | b"LOGOFF BY CLEANUP" | b"DATABASE LOGOUT" => Act::Logout,
        b"BATCH STARTED" | b"BATCH COMPLETED" | b"RPC STARTED" | b"RPC COMPLETED" => Act::Batch,
        _ => Act::Other,
    }
}

/// Who wrote the record: the engines mean different things by the same fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Postgres,
    MySql,
    Oracle,
    SqlServer,
    Other,
}

impl Engine {
    /// By the value of `serverType`.
    fn of(server: &[u8]) -> Engine {
        let server = server.to_ascii_lowercase();
        let engines =
            [("postgre", Engine::Postgres), ("mysql", Engine::MySql), ("oracle", Engine::Oracle), ("sqlserver", Engine::SqlServer)];
        engines.iter().find(|(name, _)| server.holds(name)).map_or(Engine::Other, |(_, engine)| *engine)
    }

    fn dialect(self) -> Dialect {
        match self {
            Engine::Postgres => Dialect::Postgres,
            Engine::MySql => Dialect::MySql,
            _ => Dialect::Generic,
        }
    }

    /// What became of it, and the error's number.
    fn outcome<'a>(self, act: Act, code: Option<&'a BStr>, message: &[u8]) -> (Outcome, Option<&'a BStr>) {
        if self == Engine::SqlServer {
            // Here it is its audit's `succeeded`: whether the permissions sufficed.
            let outcome = match code.map(|code| -> &[u8] { code }) {
                Some(b"0") if act == Act::Batch => Outcome::Error,
                Some(b"0") => Outcome::Denied,
                _ => Outcome::Success,
            };
            return (outcome, None);
        }
        let code = code.filter(|code| *code != "0");
        let refused = ["permission denied", "access denied", "authentication failed", "command denied"];
        let lower = message.to_ascii_lowercase();
        let oracle = self == Engine::Oracle && code.is_some_and(|code| oracle::outcome(code) == Outcome::Denied);
        let denied =
            oracle || code.is_some_and(|code| DENIED.iter().any(|denied| code == denied)) || refused.iter().any(|part| lower.holds(part));
        let outcome = match (code, denied) {
            (_, true) => Outcome::Denied,
            (Some(_), false) => Outcome::Error,
            (None, false) if !message.is_empty() => Outcome::Error,
            (None, false) => Outcome::Success,
        };
        (outcome, code)
    }
}

/// Error numbers of MySQL and SQLSTATEs of PostgreSQL that mean refusal.
const DENIED: [&str; 12] = ["42501", "28P01", "28000", "1044", "1045", "1142", "1143", "1227", "1370", "1698", "3118", "1095"];

/// The verb of a command tag; `None` where the statement tells more.
fn operation(command: &[u8]) -> Option<Operation> {
    let word = command.split(|byte| *byte == b' ').next()?;
    let word = word.to_ascii_lowercase();
    Operation::ALL
        .iter()
        .find(|(op, name)| *op != Operation::Other && *op != Operation::Unknown && name.as_bytes() == word)
        .map(|(op, _)| *op)
}

#[cfg(test)]
mod tests {
    use super::FORMAT;
    use crate::decoder::testing::shown;

    #[test]
    fn records_of_the_stream() {
        let log = br#"{"type":"DatabaseActivityMonitoringRecords","version":"1.1","databaseActivityEvents":{"type":"DatabaseActivityMonitoringRecord","databaseActivityEventList":[{"type":"heartbeat"},{"logTime":"2026-05-24 00:39:49.940668+00","startTime":"2026-05-24 00:39:49.940000+00","endTime":null,"type":"record","command":"SELECT","commandText":"select * from t where a = 'databaseActivityEventList'","objectName":"public.t","objectType":"TABLE","databaseName":"d","dbUserName":"u","remoteHost":"10.0.0.7","remotePort":"34534","sessionId":"5c.47","rowCount":10,"exitCode":null,"class":"READ","serverType":"PostgreSQL","clientApplication":"psql","errorMessage":null}]},"key":"k"}
{"type":"DatabaseActivityMonitoringRecord","databaseActivityEventList":[{"logTime":"2026-05-22 18:07:13.267214+00","type":"record","dbUserName":"x","databaseName":"","remoteHost":"10.0.0.8","remotePort":"11053","command":"CONNECT","commandText":"","exitCode":"1045","sessionId":"725","rowCount":0,"serverType":"MySQL","errorMessage":"","class":"MAIN"},{"logTime":"2026-05-22 18:07:14+00","type":"record","dbUserName":"m","databaseName":"t","remoteHost":"localhost","remotePort":"0","command":"QUERY","commandText":"DROP TABLE a","objectName":"a","exitCode":"1142","sessionId":"726","serverType":"MySQL","class":"MAIN"},{"logTime":"2026-05-22 18:07:14+00","type":"record","dbUserName":"m","command":"READ","commandText":"a","objectName":"a","exitCode":"","sessionId":"726","serverType":"MySQL","class":"AUX"}]}
"#;
        assert_eq!(
            shown(&FORMAT, log),
            [
                "Query u@10.0.0.7:34534/d \"psql\" | select public.t | select * from t where a = 'databaseActivityEventList' | Success session=5c.47 rows=10",
                "LoginFailed x?@10.0.0.8:11053 | connect | - | Denied 1045 session=725 rows=0",
                "Denied m@local/t | - | DROP TABLE a | Denied 1142 session=726",
                "Other m@- | - | - | Success session=726",
            ]
        );
    }

    /// Oracle and SQL Server have words and numbers of their own for the same things.
    #[test]
    fn other_engines() {
        let record = |fields: &str| {
            let rest =
                r#""type":"record","logTime":"2026-05-22 18:07:13+00","dbUserName":"web","remoteHost":"local machine","sessionId":7"#;
            format!("{{\"databaseActivityEventList\":[{{{fields},{rest}}}]}}\n")
        };
        let sql = r#""serverType":"SQLSERVER","databaseName":"shop","rowCount":0,"#;
        let log = [
            record(&format!(
                r#"{sql}"command":"LOGIN FAILED","exitCode":0,"objectType":"LOGIN","commandText":"Login failed for user 'web'.""#
            )),
            record(&format!(r#"{sql}"command":"LOGIN SUCCEEDED","exitCode":1,"objectType":"LOGIN""#)),
            record(&format!(
                r#"{sql}"command":"SELECT","exitCode":1,"objectName":"Orders","commandText":"select * from [shop].[dbo].[Orders]","engineNativeAuditFields":{{"schema_name":"dbo"}}"#
            )),
            record(&format!(r#"{sql}"command":"SELECT","exitCode":0,"objectName":"Salaries","commandText":"select * from Salaries""#)),
            record(&format!(r#"{sql}"command":"BATCH COMPLETED","exitCode":0,"commandText":"delete from x""#)),
            record(r#""serverType":"oracle","command":"LOGON","exitCode":0"#),
            record(r#""serverType":"oracle","command":"LOGON","exitCode":1017"#),
            record(r#""serverType":"oracle","command":"SELECT","exitCode":942,"objectName":"PAY","commandText":"select * from hr.pay""#),
            record(r#""serverType":"oracle","command":"LOGOFF BY CLEANUP","exitCode":0"#),
        ];
        assert_eq!(
            shown(&FORMAT, log.concat().as_bytes()),
            [
                "LoginFailed web?@local/shop | connect | - | Denied session=7",
                "Login web@local/shop | connect | - | Success session=7",
                "Query web@local/shop | select dbo.Orders | select * from \"shop\".\"dbo\".\"Orders\" | Success session=7",
                "Denied web@local/shop | select Salaries | select * from Salaries | Denied session=7",
                "Error web@local/shop | - | delete from x | Error session=7",
                "Login web@local | connect | - | Success session=7",
                "LoginFailed web?@local | connect | - | Denied 1017 session=7",
                "Denied web@local | select PAY | select * from hr.pay | Denied 942 session=7",
                "Logout web@local | - | - | Success session=7",
            ]
        );
    }
}
