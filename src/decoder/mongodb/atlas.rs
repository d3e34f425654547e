//! MongoDB Atlas' list of events of an organisation or a project.
//!
//! ```text
//! {"created":"2026-11-22T11:13:04Z","eventTypeName":"NETWORK_PERMISSION_ENTRY_ADDED","groupId":"...","id":"...","remoteAddress":"203.0.113.7","userId":"...","username":"bob@example.org","whitelistEntry":"0.0.0.0/0"}
//! ```
//! <https://www.mongodb.com/docs/atlas/reference/api-resources-spec/v2/#tag/Events>
//!
//! The acts are those of people and API keys upon Atlas itself: the scope is the event's name (`atlas:API_KEY_CREATED`).

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::logv2::{date, remote, share};
use crate::decoder::json_text::{Json, Torn};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::json::Objects;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "mongodb-atlas",
    about: "MongoDB Atlas events of an organisation or project",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Objects::new(&["results"])), Box::new(Atlas { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "MongoDB Atlas",
        switch_on: "Fetch `/api/atlas/v2/orgs/ORG/events` and `/groups/PROJECT/events` regularly, or push them to a webhook or a bucket",
        fields: &[
            ("time", "`created`"),
            ("principal", "`username`, `publicKey` of an API key; verified by Atlas"),
            ("address", "`remoteAddress`; seen by Atlas"),
            ("operation", "the last word of `eventTypeName`"),
            ("objects", "`atlas:` and `eventTypeName`"),
            ("outcome", "success: Atlas lists what happened"),
            ("kind", "`query` where a user or a key is named"),
        ],
        forgery: "No record of another: all text is escaped",
        ignored: "Events without a user or key (alerts, maintenance): kept as `other`",
        source: "<https://www.mongodb.com/docs/atlas/reference/api-resources-spec/v2/#tag/Events>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let mut arena = Bump::new();
    let (percent, lines) = share(sample, 50, |line| {
        arena.reset();
        Entry::read(line.strip_suffix(b",").unwrap_or(line), &arena).is_ok_and(|e| !e.kind.is_empty() && !e.created.is_empty())
    });
    let whole = sample.starts_with(b"{") && sample.holds("\"eventTypeName\"") && sample.holds("\"results\"");
    match percent {
        0 if whole => Guess::new(85, "an object with results that have eventTypeName"),
        0 => Guess::NO,
        _ => Guess::new((percent.max(50) * 95 / 100) as u8, format!("{percent} % of {lines} lines have eventTypeName and created")),
    }
}

#[derive(Debug, Default)]
struct Entry<'a> {
    kind: &'a [u8],
    created: &'a [u8],
    user: &'a [u8],
    address: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(text: &'a [u8], arena: &'a Bump) -> Result<Self, Torn> {
        let mut entry = Entry::default();
        Json::whole(text, arena, |key, json| {
            // Relays put keys into lower case.
            match key.to_ascii_lowercase().as_slice() {
                b"eventtypename" => entry.kind = json.text()?.unwrap_or_default(),
                b"created" => entry.created = json.text()?.unwrap_or_default(),
                b"username" => entry.user = json.text()?.unwrap_or_default(),
                b"publickey" => {
                    let key = json.text()?.unwrap_or_default();
                    if entry.user.is_empty() {
                        entry.user = key;
                    }
                }
                b"remoteaddress" => entry.address = json.text()?.unwrap_or_default(),
                _ => json.skip()?,
            }
            Ok(())
        })?;
        Ok(entry)
    }
}

struct Atlas {
    stamps: Timestamps,
}

/// What the words of an event's name tell, the last one first.
fn operation(kind: &[u8]) -> Operation {
    for word in kind.rsplit(|b| *b == b'_') {
        return match word {
            b"CREATED" | b"ADDED" | b"INVITED" => Operation::Create,
            b"DELETED" | b"REMOVED" => Operation::Drop,
            b"UPDATED" | b"CHANGED" | b"MODIFIED" | b"ENABLED" | b"DISABLED" | b"RENAMED" | b"OPTIONAL" | b"REQUIRED" => Operation::Alter,
            b"LOGIN" => Operation::Connect,
            b"DOWNLOADED" | b"ACCESSED" | b"VIEWED" => Operation::Select,
            b"AUDIT" => continue,
            _ => Operation::Other,
        };
    }
    Operation::Other
}

impl Decoder for Atlas {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Ok(entry) = Entry::read(record.bytes, arena) else {
            return Decoded::Reject(if record.truncated { "torn object" } else { "not an event of atlas" });
        };
        if entry.kind.is_empty() {
            return Decoded::Reject("not an event of atlas");
        }
        if entry.created.is_empty() && record.note.time.is_none() {
            return Decoded::Skip("an event without a time");
        }
        let Some(time) = record.note.time.filter(|_| entry.created.is_empty()).or_else(|| date(&mut self.stamps, entry.created)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        let mut event = Event::new(Kind::Other, time);
        (event.address, event.port) = remote(entry.address);
        event.suspect = record.suspect;
        event.outcome = Outcome::Success;
        event.operation = Some(operation(entry.kind));
        event.objects = arena.alloc_slice_copy(&[BStr::new(arena.alloc_str(&format!("atlas:{}", entry.kind.as_bstr())))]);
        if !entry.user.is_empty() {
            event.kind = Kind::Query;
            event.principal = Some(Principal { name: BStr::new(entry.user), provenance: Provenance::Authenticated });
        }
        Decoded::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: &str) {
        let arena = Bump::new();
        let got = match (Atlas { stamps: Timestamps::new(None) }).decode(Record::new(line.as_bytes()), &arena) {
            Decoded::Event(e) => {
                let who = e.principal.map_or("-".to_owned(), |p| p.name.to_string());
                let place = e.address.map_or("-".to_owned(), |a| a.to_string());
                format!("{} {:?} {who} {place} {} {}", e.time, e.kind, e.operation.unwrap(), e.objects[0])
            }
            Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
        };
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn events() {
        check(
            r#"{"created":"2026-11-22 16:57:55","eventTypeName":"ORG_TWO_FACTOR_AUTH_OPTIONAL","remoteAddress":"1.2.3.4","username":"u@example.org"}"#,
            "2026-11-22T16:57:55Z Query u@example.org 1.2.3.4 alter atlas:ORG_TWO_FACTOR_AUTH_OPTIONAL",
        );
        check(
            r#"{"created":"2026-11-22T16:57:55Z","eventTypeName":"ALERT_CONFIG_DELETED_AUDIT","publicKey":"abcdefgh"}"#,
            "2026-11-22T16:57:55Z Query abcdefgh - drop atlas:ALERT_CONFIG_DELETED_AUDIT",
        );
        check(
            r#"{"created":"2026-11-22T16:57:55Z","eventTypeName":"CLUSTER_UPDATE_COMPLETED"}"#,
            "2026-11-22T16:57:55Z Other - - other atlas:CLUSTER_UPDATE_COMPLETED",
        );
        check(r#"{"eventTypeName":"X"}"#, "an event without a time");
        for line in ["", "{}", "[]", r#"{"eventTypeName":"#] {
            check(line, "not an event of atlas");
        }
    }
}
