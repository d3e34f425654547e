//! What MongoDB's profiler keeps of slow operations: the log of Amazon DocumentDB's, and exports of `system.profile`.
//!
//! ```text
//! {"op":"command","ts":1795313117355,"ns":"shop.orders","command":{"count":"orders","query":{},"$db":"shop"},"millis":302,"client":"10.0.0.7:58804","appName":"web","user":"app"}
//! {"op":"query","ns":"shop.orders","command":{"find":"orders","$db":"shop"},"nreturned":3,"millis":120,"ts":{"$date":"2026-11-22T02:21:28.401Z"},"client":"10.0.0.7","allUsers":[{"user":"app","db":"admin"}],"user":"app@admin"}
//! ```
//! <https://docs.aws.amazon.com/documentdb/latest/developerguide/profiling.html>,
//! <https://www.mongodb.com/docs/manual/reference/database-profiler/>

use bstr::BStr;
use bumpalo::Bump;

use super::logv2::{Attr, date, operation, remote};
use super::session::account;
use crate::decoder::json::pick::{Picked, Places};
use crate::decoder::json::sample;
use crate::decoder::json_text::{Json, Torn};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Principal, Provenance};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "mongodb-profile",
    about: "MongoDB profiler: Amazon DocumentDB's log of it, and exports of system.profile as JSON",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&[])), Box::new(Profile { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "Amazon DocumentDB, MongoDB 3.6 to 8",
        switch_on: "DocumentDB: the cluster parameters `profiler = enabled` and `profiler_threshold_ms`, and the export of the profiler log to CloudWatch; MongoDB: `db.setProfilingLevel(1, { slowms: 100 })` and `mongoexport --collection system.profile` of what is new",
        fields: &[
            ("time", "`ts`"),
            (
                "principal",
                "`allUsers`, else `user`; `user@database` for accounts of other databases than `admin`; verified, `observed` where several users share the connection",
            ),
            ("address", "`client`; seen by the server"),
            ("port", "`client`"),
            ("database", "`$db` of the command, else `ns`"),
            ("client", "`appName`; the client's own word"),
            ("operation", "`op`, else the command"),
            ("objects", "`ns`, and what an aggregation names besides"),
            ("outcome", "`ok`, `errCode`"),
            ("code", "`errCode`, else `errName`"),
            ("rows", "`nreturned`, `ninserted`, `nModified` and `nUpserted`, `ndeleted`"),
            ("duration", "`millis`"),
        ],
        forgery: "Nothing: all client text is escaped",
        ignored: "Operations faster than the threshold: the server does not write them",
        source: "<https://docs.aws.amazon.com/documentdb/latest/developerguide/profiling.html>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let places = || Places::new(&[("/op", 0), ("/ns", 1), ("/millis", 2)]);
    let known = |picked: &Picked<'_>| picked.text(0).is_some() && picked.text(1).is_some() && picked.number(2).is_some();
    sample::guess(sample, &[], places, 3, known, 92, "operations that MongoDB's profiler kept")
}

#[derive(Default)]
struct Entry<'a> {
    stamp: Option<&'a [u8]>,
    attr: Attr<'a>,
    users: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Entry<'a> {
    fn read(text: &'a [u8], arena: &'a Bump) -> Result<Self, Torn> {
        let mut entry = Entry::default();
        Json::whole(text, arena, |key, json| entry.field(key, json))?;
        Ok(entry)
    }

    fn field(&mut self, key: &'a [u8], json: &mut Json<'a>) -> Result<(), Torn> {
        match key {
            b"op" => self.attr.kind = json.text()?.unwrap_or_default(),
            b"ts" => self.stamp = super::audit::stamp(json)?,
            b"millis" => self.attr.millis = json.count()?,
            // DocumentDB's names.
            b"nInserted" | b"nRemoved" => self.attr.written = json.count()?,
            b"allUsers" => super::audit::users(json, &mut self.users)?,
            // Of a cursor's next batch: what opened it is told by itself.
            b"originatingCommand" => json.skip()?,
            _ => self.attr.field(key, json)?,
        }
        Ok(())
    }
}

struct Profile {
    stamps: Timestamps,
}

impl Decoder for Profile {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Ok(mut entry) = Entry::read(record.bytes, arena) else {
            return Decoded::Reject(if record.truncated { "torn object" } else { "not an entry of mongodb's profiler" });
        };
        let Some(time) = entry.stamp.and_then(|stamp| date(&mut self.stamps, stamp)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        let mut event = Event::new(Kind::Query, time);
        operation(&entry.attr, &mut event, arena);
        (event.address, event.port) = remote(entry.attr.remote);
        event.client = some(entry.attr.app);
        event.suspect = record.suspect;
        event.truncated = record.truncated;
        if entry.users.is_empty() && !entry.attr.user.is_empty() {
            entry.users.push(entry.attr.user.part_last("@").map_or((entry.attr.user, &b""[..]), |(user, home)| (user, home)));
        }
        let same = entry.users.iter().find(|(_, home)| event.database.is_some_and(|database| **database == **home));
        event.principal = same.or(entry.users.last()).map(|(user, home)| Principal {
            name: account(user, home, arena),
            provenance: if entry.users.len() == 1 { Provenance::Authenticated } else { Provenance::Observed },
        });
        Decoded::Event(event)
    }
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::testing::shown;

    #[test]
    fn operations() {
        for (record, want) in [
            (
                r#"{"op":"insert","ts":1795313117355,"ns":"shop.orders","command":{"insert":"orders","ordered":false,"$db":"shop"},"nInserted":1000,"protocol":"op_query","millis":98,"client":"10.0.0.7:58800","user":"app"}"#,
                "Query app@10.0.0.7:58800/shop | insert shop.orders | - | Success rows=1000",
            ),
            (
                r#"{"op":"command","ts":1795313117355,"ns":"shop.orders","command":{"aggregate":"orders","pipeline":[{"$lookup":{"from":"pay"}}],"$db":"shop"},"millis":3,"client":"10.0.0.7:58800","appName":"web","user":"app"}"#,
                "Query app@10.0.0.7:58800/shop \"web\" | select shop.orders shop.pay | - | Success",
            ),
            (
                r#"{"op":"query","ns":"shop.orders","command":{"find":"orders","$db":"shop"},"nreturned":3,"millis":120,"ts":{"$date":"2026-11-22T02:21:28.401Z"},"client":"10.0.0.7","allUsers":[{"user":"app","db":"shop"}],"user":"app@shop"}"#,
                "Query app@shop@10.0.0.7/shop | select shop.orders | - | Success rows=3",
            ),
            (
                r#"{"op":"remove","ns":"shop.orders","command":{"q":{}},"errMsg":"no","errName":"Unauthorized","errCode":13,"millis":1,"ts":{"$date":"2026-11-22T02:21:28.401Z"},"client":"10.0.0.7","user":"app@admin"}"#,
                "Denied app@10.0.0.7/shop | delete shop.orders | - | Denied 13",
            ),
        ] {
            assert_eq!(shown(&FORMAT, record.as_bytes()), [want], "{record}");
            assert_eq!(sniff(record.as_bytes(), &Options::default()).certainty, 92, "{record}");
        }
    }

    #[test]
    fn what_cannot_be_read() {
        let arena = Bump::new();
        for record in ["", "{", "[]", "{}", r#"{"op":"query","ts":"now"}"#, r#"{"op":[1],"ts":{"$date":{}},"allUsers":5,"millis":"x"}"#] {
            let mut profile = Profile { stamps: Timestamps::new(None) };
            assert!(matches!(profile.decode(Record::new(record.as_bytes()), &arena), Decoded::Reject(_)), "{record}");
        }
    }
}
