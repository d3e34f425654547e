//! hoop's audit trail (hoop.dev's sidecar): one JSON object a line.
//!
//! ```text
//! {"kind":"statement","timestamp":"2026-11-22T02:21:28.395Z","session_id":"8f1c","principal":"ann@example.com","protocol":"postgres","connection":"appdb","operation":"select","statement":"SELECT 1","tables":["invoices"],"allowed":true,"direction":"client"}
//! ```
//! Kinds are `session_start`, `statement`, `violation` (a denied statement), `masked`, `error`, `session_end` and `activity`; others are
//! kept as `other`. <https://github.com/hoophq/hoop/blob/main/sidecar/audit/event.go>
//!
//! **The token** is `principal`, the authenticated actor of the session. Where hoop has no identity provider in front of a database, it takes the user name of the
//! client's start-up message, and a statement may be recorded before the database has verified that user; so the format alerts and never revokes.
//! `anonymous` is nobody.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::json::pick::{self, Picked, Places, Value};
use super::json::{fields, sample};
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::spread::Spread;

pub const FORMAT: Format = Format {
    name: "hoop-audit",
    about: "hoop.dev audit events (JSON lines)",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Spread::new()), Box::new(Audit::new(options))),
    guide: Guide {
        system: "hoop.dev sidecar",
        switch_on: "`audit.file` in the sidecar's configuration; leave the redaction of statements off, or only tables and verbs are known",
        fields: &[
            ("time", "`timestamp`"),
            ("principal", "`principal`; verified by hoop or by the database behind it, `anonymous` is nobody"),
            ("database", "`connection`"),
            ("session", "`session_id`"),
            ("statement", "`statement`, unless hoop was told to write fingerprints"),
            ("operation", "`operation`"),
            ("objects", "the statement, else `tables`"),
            ("outcome", "`allowed` and `error`"),
            ("code", "`rule` that denied the statement"),
            ("duration", "`duration_ns` of a session's end"),
            ("kind", "`kind`"),
        ],
        forgery: "No line of its own: all text is escaped. On connections without an identity in front the principal is the user name that the client gave, and a statement may be logged before the database refuses it",
        ignored: "`masked` and `activity` events and kinds that are not known: kept as `other`",
        source: "<https://github.com/hoophq/hoop/blob/main/sidecar/audit/event.go>",
    },
};

const TIME: usize = 0;
const KIND: usize = 1;
const SESSION: usize = 2;
const PRINCIPAL: usize = 3;
const PROTOCOL: usize = 4;
const CONNECTION: usize = 5;
const OPERATION: usize = 6;
const STATEMENT: usize = 7;
const TABLES: usize = 8;
const ALLOWED: usize = 9;
const RULE: usize = 10;
const DURATION: usize = 11;
const SLOTS: usize = 12;

fn places() -> Places {
    Places::new(&[
        ("/timestamp", TIME),
        ("/kind", KIND),
        ("/session_id", SESSION),
        ("/principal", PRINCIPAL),
        ("/protocol", PROTOCOL),
        ("/connection", CONNECTION),
        ("/operation", OPERATION),
        ("/statement", STATEMENT),
        ("/tables", TABLES),
        ("/allowed", ALLOWED),
        ("/rule", RULE),
        ("/duration_ns", DURATION),
    ])
}

const KINDS: [&str; 7] = ["session_start", "statement", "violation", "masked", "error", "session_end", "activity"];

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let known = |picked: &Picked<'_>| {
        picked.text(KIND).is_some_and(|kind| KINDS.iter().any(|known| kind == *known))
            && [TIME, SESSION, ALLOWED].iter().all(|slot| picked.get(*slot).is_some())
    };
    sample::guess(sample, &[], places, SLOTS, known, 95, "hoop's audit events")
}

/// What hoop puts behind a statement that it cut.
const CUT: &[u8] = b"...[truncated]";
/// What hoop writes for the text of a statement that it may not keep.
const FINGERPRINT: &[u8] = b"sha256:";

struct Audit {
    places: Places,
    stamps: Timestamps,
    /// The last denied statement; a `violation` that repeats it is no second act.
    denied: Option<u64>,
}

impl Audit {
    fn new(options: &Options) -> Self {
        Audit { places: places(), stamps: Timestamps::new(options.zone.clone()), denied: None }
    }

    /// The violation was counted with the denied `statement` before it.
    fn repeats(&mut self, kind: &BStr, allowed: bool, picked: &Picked<'_>) -> bool {
        let mut hasher = blake3::Hasher::new();
        for slot in [SESSION, STATEMENT] {
            hasher.update(picked.text(slot).unwrap_or_default());
            hasher.update(&[0]);
        }
        let this = hasher.finalize().as_bytes().first_chunk().map(|head| u64::from_le_bytes(*head));
        let before = self.denied.take();
        if kind == "statement" && !allowed {
            self.denied = this;
        }
        kind == "violation" && before.is_some() && before == this
    }
}

impl Decoder for Audit {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let (picked, end) = pick::pick_head(pick::text(record.bytes, arena), &self.places, SLOTS, arena);
        if end.is_err() && !record.truncated {
            return Decoded::Reject("not a JSON object");
        }
        let Some(kind) = picked.text(KIND) else { return Decoded::Reject("no kind of hoop's") };
        let Some(stamp) = picked.text(TIME) else { return Decoded::Reject("no time stamp") };
        let Ok(time) = self.stamps.parse(stamp) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.suspect = record.suspect.or(picked.twice.then_some("a field stands twice in the object"));
        event.truncated = record.truncated;
        event.session = picked.text(SESSION);
        event.database = picked.text(CONNECTION);
        event.principal = picked
            .text(PRINCIPAL)
            .filter(|name| *name != "anonymous")
            .map(|name| Principal { name, provenance: Provenance::Authenticated });
        event.operation = picked.text(OPERATION).and_then(fields::operation);
        event.duration_us = picked.count(DURATION).map(|nanoseconds| nanoseconds / 1000);
        // A record whose end was cut off does not tell.
        let allowed = !matches!(picked.get(ALLOWED), Some(Value::Bool(false)));
        event.dialect = dialect(picked.text(PROTOCOL));
        if let Some(text) = picked.text(STATEMENT).filter(|text| !text.starts_with(FINGERPRINT)) {
            let whole = text.strip_suffix(CUT);
            event.truncated |= whole.is_some();
            event.statement = Some(BStr::new(whole.unwrap_or(text)));
        }
        let read = event.statement.is_some() && event.dialect != Dialect::None;
        if !read {
            event.objects = picked.list(TABLES, arena);
        }
        (event.kind, event.outcome) = match kind.as_bytes() {
            b"session_start" => (Kind::Login, Outcome::Success),
            b"session_end" => (Kind::Logout, Outcome::Success),
            b"statement" if allowed => (Kind::Query, Outcome::Success),
            b"statement" | b"violation" => (Kind::Denied, Outcome::Denied),
            b"error" => (Kind::Error, Outcome::Error),
            _ => (Kind::Other, Outcome::Unknown),
        };
        if event.kind == Kind::Login {
            event.operation = Some(Operation::Connect);
        }
        if event.outcome == Outcome::Denied {
            event.code = picked.text(RULE);
        }
        if end.is_err() && event.outcome == Outcome::Success {
            event.outcome = Outcome::Unknown;
        }
        if self.repeats(kind, allowed, &picked) {
            event.kind = Kind::Other;
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        self.denied.map(|denied| denied.to_le_bytes().to_vec()).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        self.denied = state.try_into().ok().map(u64::from_le_bytes);
    }
}

fn dialect(protocol: Option<&BStr>) -> Dialect {
    match protocol.map(|protocol| protocol.as_bytes()) {
        Some(b"postgres" | b"postgresql" | b"pgwire") => Dialect::Postgres,
        Some(b"mysql") => Dialect::MySql,
        Some(b"mssql" | b"oracle" | b"clickhouse" | b"spanner" | b"cassandra") => Dialect::Generic,
        _ => Dialect::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::testing::shown;

    fn record(kind: &str, rest: &str) -> String {
        format!(
            r#"{{"kind":"{kind}","timestamp":"2026-11-22T02:21:28.395Z","session_id":"s1","principal":"ann@example.com","protocol":"postgres","connection":"appdb"{rest}}}"#
        )
    }

    fn check(log: &str, want: &[&str]) {
        assert_eq!(shown(&FORMAT, log.as_bytes()), want, "{log}");
    }

    #[test]
    fn every_kind() {
        let act = r#","operation":"select","statement":"SELECT 1 FROM a","tables":["a"]"#;
        for (kind, rest, want) in [
            ("session_start", r#","allowed":false"#, "Login ann@example.com@-/appdb | connect | - | Success session=s1"),
            (
                "statement",
                &format!(r#"{act},"allowed":true"#),
                "Query ann@example.com@-/appdb | select | SELECT 1 FROM a | Success session=s1",
            ),
            (
                "violation",
                &format!(r#"{act},"allowed":false,"rule":"no-reads""#),
                "Denied ann@example.com@-/appdb | select | SELECT 1 FROM a | Denied no-reads session=s1",
            ),
            (
                "masked",
                r#","allowed":false,"masked_entities":["email"],"masked_count":3"#,
                "Other ann@example.com@-/appdb | - | - | Unknown session=s1",
            ),
            ("error", r#","allowed":false,"error":"upstream closed""#, "Error ann@example.com@-/appdb | - | - | Error session=s1"),
            (
                "session_end",
                r#","allowed":false,"duration_ns":5000000,"statement_count":3"#,
                "Logout ann@example.com@-/appdb | - | - | Success session=s1",
            ),
            (
                "activity",
                r#","allowed":false,"metadata":{"activity":"forward_open"}"#,
                "Other ann@example.com@-/appdb | - | - | Unknown session=s1",
            ),
            ("later", r#","allowed":false"#, "Other ann@example.com@-/appdb | - | - | Unknown session=s1"),
            (
                "statement",
                r#","operation":"select","statement":"sha256:0011223344556677","tables":["a","b"],"allowed":true"#,
                "Query ann@example.com@-/appdb | select a b | - | Success session=s1",
            ),
            (
                "statement",
                r#","operation":"select","statement":"SELECT 'x...[truncated]","allowed":true"#,
                "Query ann@example.com@-/appdb | select | SELECT 'x | Success session=s1 CUT",
            ),
        ] {
            check(&record(kind, rest), &[want]);
        }
        check(
            &record("session_start", "").replace("ann@example.com", "anonymous"),
            &["Login -@-/appdb | connect | - | Success session=s1"],
        );
    }

    #[test]
    fn a_denied_statement_and_its_violation_are_one_act() {
        let denied = r#","statement":"DROP TABLE a","allowed":false,"rule":"r""#;
        let log = [record("statement", denied), record("violation", denied), record("violation", denied)];
        check(
            &log.join("\n"),
            &[
                "Denied ann@example.com@-/appdb | - | DROP TABLE a | Denied r session=s1",
                "Other ann@example.com@-/appdb | - | DROP TABLE a | Denied r session=s1",
                "Denied ann@example.com@-/appdb | - | DROP TABLE a | Denied r session=s1",
            ],
        );
    }

    #[test]
    fn what_cannot_be_read() {
        check(r#"{"timestamp":"2026-11-22T02:21:28Z"}"#, &["rejected: no kind of hoop's"]);
        check(r#"{"kind":"statement"}"#, &["rejected: no time stamp"]);
        check(r#"{"kind":"statement","timestamp":"x"}"#, &["rejected: unreadable time stamp"]);
        check(r#"{"kind":"statement","timestamp""#, &["rejected: not a JSON object"]);
        check(r#"{"kind":"statement","timestamp":7,"principal":{"a":1}}"#, &["rejected: no time stamp"]);
        assert!(shown(&FORMAT, record("statement", r#","principal":"admin""#).as_bytes())[0].ends_with("SUSPECT"));
    }
}
