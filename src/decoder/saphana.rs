//! SAP HANA's audit trail (`CSVTEXTFILE`, or over syslog), and its trace files.
//!
//! ```text
//! 2026-11-22 02:05:17;indexserver;hdb1;WLF;37;33703;PRD;10.1.0.7;app-7;8080;57436;reads;INFO;SELECT;WEB;"SALES";"ORDERS";;;;;SUCCESSFUL;;;;;;;SELECT * FROM "SALES"."ORDERS";427423;
//! [12038]{200002}[16/40637291] 2026-11-22 02:05:17.111111 i Authentication   Manager.cpp(00130) : ...
//! ```
//!
//! <https://help.sap.com/docs/SAP_HANA_PLATFORM/b3ee5778bc2e4a089d3299b82ec762a7/35eb4e567d53456088755b8131b7ed1d.html>. Trace files are
//! about the server itself: they are understood, and hold no act of a token.

use bstr::BStr;
use bumpalo::Bump;

use super::table::Values;
use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::seek::Seek;
use crate::framing::stamped::{Stamped, Width, like};

pub const FORMAT: Format = Format {
    name: "saphana-audit",
    about: "SAP HANA audit trail (CSV text or syslog); its trace files are passed over",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Stamped::new(begins)), Box::new(Hana::new(options))),
    guide: Guide {
        system: "SAP HANA 1.0 to 2.0",
        switch_on: "`global_auditing_state = true` with the trail target `CSVTEXTFILE` or `SYSLOGPROTOCOL`, and `CREATE AUDIT POLICY ...` for the actions wanted",
        fields: &[
            ("time", "field 1; the server's time, UTC unless a zone is configured"),
            ("principal", "the session's user, of a refused login the target principal; verified unless CONNECT was unsuccessful"),
            ("address", "the client's address; seen by the server"),
            ("port", "the client's port"),
            ("database", "the tenant database, in trails that have it, else the system's id"),
            ("session", "the session's id"),
            ("statement", "the executed statement"),
            ("operation", "the audit action"),
            ("objects", "target schema and object, else the statement"),
            ("outcome", "the action's status"),
            ("kind", "the audit action and its status"),
        ],
        forgery: "Whoever reaches a syslog relay can send any record. In a file, a statement with line breaks and a whole record in it, where the server writes them as they are. Records that lack an end are marked, and so are those soon behind them",
        ignored: "Trace files (`indexserver_*.trc` and the like): kept as `other`, none of them is an act of a token",
        source: "<https://help.sap.com/docs/SAP_HANA_PLATFORM/b3ee5778bc2e4a089d3299b82ec762a7/35eb4e567d53456088755b8131b7ed1d.html>",
    },
};

/// A record of the audit trail or of a trace file.
fn begins(buf: &[u8], width: Width) -> Option<bool> {
    match like(b"0000-00-00 00:00:00", buf, width) {
        Some(false) => {}
        stamp => return stamp,
    }
    let Some(trace) = buf.strip_prefix(b"[") else { return Some(false) };
    let digits = trace.iter().take_while(|b| b.is_ascii_digit()).count();
    match trace.get(digits..) {
        Some([b']', b'{', ..]) => Some(digits > 0),
        Some([]) | Some([b']']) if digits < 20 => None,
        _ => Some(false),
    }
}

/// Levels of an audit policy; the field that holds one tells which layout a record has.
const LEVELS: [&[u8]; 5] = [b"INFO", b"WARNING", b"ALERT", b"CRITICAL", b"EMERGENCY"];

fn sniff(sample: &[u8], options: &Options) -> Guess {
    let (mut all, mut audit, mut traces) = (0u32, 0u32, 0u32);
    let mut hana = Hana::new(options);
    for line in sample.split(|b| *b == b'\n').filter(|l| !l.is_empty()).take(100) {
        if begins(line, Width::One) != Some(true) {
            continue;
        }
        all += 1;
        audit += u32::from(Layout::of(line).is_some());
        traces += u32::from(hana.trace(line).is_some());
    }
    match audit + traces {
        0 => Guess::NO,
        good if good * 2 >= all && audit > 0 => {
            Guess::new(94, format!("{audit} of {all} records have the fields of SAP HANA's audit trail"))
        }
        good if good * 2 >= all => Guess::new(88, format!("{traces} of {all} records are of a SAP HANA trace file")),
        _ => Guess::NO,
    }
}

/// The fields of an audit record, up to the statement.
struct Layout<'a> {
    fields: [&'a [u8]; 29],
    /// 1 in trails that have the tenant database.
    tenant: usize,
    /// The statement and what follows it.
    rest: &'a [u8],
}

impl<'a> Layout<'a> {
    fn of(record: &'a [u8]) -> Option<Self> {
        let mut fields = [&b""[..]; 29];
        let mut count = 0;
        let mut used = 0;
        let mut wanted = usize::MAX;
        let mut tenant = 0;
        for value in Values::new(record, b';') {
            let text = value.text();
            let place = fields.get_mut(count)?;
            *place = text;
            used += text.len() + 1;
            count += 1;
            // The level is field 12 or, with the tenant, field 13.
            if (count == 12 || count == 13) && wanted == usize::MAX && LEVELS.contains(&text) {
                tenant = count - 12;
                wanted = 27 + tenant;
            }
            if count == 13 && wanted == usize::MAX {
                return None;
            }
            if count == wanted {
                return Some(Layout { fields, tenant, rest: record.get(used.min(record.len())..)? });
            }
        }
        None
    }

    /// By the number that the field has in trails without a tenant, from 0.
    fn get(&self, number: usize) -> &'a [u8] {
        let at = if number > 5 { number + self.tenant } else { number };
        let text = self.fields.get(at).copied().unwrap_or_default();
        text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(text)
    }

    /// The statement, which may hold semicolons, and the session's id: the last field of digits alone. Some servers write one field less of a
    /// login, which has no statement: only there the id may be where the statement would begin.
    fn statement(&self, login: bool) -> (&'a [u8], Option<&'a [u8]>) {
        let mut end = self.rest.len();
        // What newer servers write behind the session's id.
        for _ in 0..32 {
            let Some(before) = self.rest.get(..end) else { break };
            let start = memchr::memrchr(b';', before).map_or(0, |at| at + 1);
            let field = before.get(start..).unwrap_or_default();
            if !field.is_empty() && field.iter().all(u8::is_ascii_digit) && (start > 0 || login) {
                return (self.rest.get(..start.saturating_sub(1)).unwrap_or_default(), Some(field));
            }
            if start == 0 {
                break;
            }
            end = start - 1;
        }
        (self.rest, None)
    }
}

const UNFINISHED: &str = "a record without an end was shortly before, so a statement may have written this one";

/// Bytes behind a record without its end in which records are doubted.
const REACH: u32 = 64 << 10;

struct Hana {
    stamps: Timestamps,
    doubtful: u32,
}

impl Hana {
    fn new(options: &Options) -> Self {
        Hana { stamps: Timestamps::new(options.zone.clone()), doubtful: 0 }
    }

    /// `[thread]{connection}[transaction/update] time level component file(line) : text`.
    fn trace<'a>(&mut self, record: &'a [u8]) -> Option<Event<'a>> {
        let rest = record.strip_prefix(b"[")?;
        let (thread, rest) = rest.part("]{")?;
        let (connection, rest) = rest.part("}[")?;
        let (_, rest) = rest.part("] ")?;
        if thread.is_empty() || !thread.iter().all(u8::is_ascii_digit) || connection.len() > 20 {
            return None;
        }
        let (time, used) = self.stamps.parse_prefix(rest.get(..rest.len().min(super::timestamp::LONGEST))?).ok()?;
        rest.get(used..)?.strip_prefix(b" ").filter(|r| r.first().is_some_and(u8::is_ascii_alphabetic)).or(rest.get(used..))?;
        let mut event = Event::new(Kind::Other, time);
        event.session = (connection != b"-1").then(|| BStr::new(connection));
        Some(event)
    }
}

impl Decoder for Hana {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        if let Some(event) = self.trace(record.bytes) {
            return Decoded::Event(event);
        }
        let doubtful = self.doubtful > 0;
        self.doubtful = self.doubtful.saturating_sub(u32::try_from(record.bytes.len()).unwrap_or(u32::MAX));
        let Some(layout) = Layout::of(record.bytes) else {
            self.doubtful = REACH;
            return Decoded::Reject(if record.truncated {
                "record cut by the size limit"
            } else {
                "not a record of sap hana's audit trail"
            });
        };
        let Ok(time) = self.stamps.parse(layout.get(0)) else { return Decoded::Reject("unreadable time stamp") };
        let action = layout.get(12);
        let word = action.split(|b| *b == b' ').next().unwrap_or_default();
        let (statement, session) = layout.statement(word == b"CONNECT");
        let mut event = Event::new(Kind::Query, time);
        event.suspect = record.suspect.or(doubtful.then_some(UNFINISHED));
        event.truncated = record.truncated;
        if session.is_none() {
            event.suspect = event.suspect.or(Some(UNFINISHED));
            self.doubtful = REACH;
        }
        event.outcome = match layout.get(20) {
            b"SUCCESSFUL" => Outcome::Success,
            b"UNSUCCESSFUL" => Outcome::Denied,
            _ => Outcome::Unknown,
        };
        let refused = event.outcome == Outcome::Denied;
        (event.kind, event.operation) = match word {
            b"CONNECT" if refused => (Kind::LoginFailed, Some(Operation::Connect)),
            b"CONNECT" => (Kind::Login, Some(Operation::Connect)),
            b"DISCONNECT" => (Kind::Logout, None),
            _ => {
                let operation = match word {
                    b"EXECUTE" => Some(Operation::Call),
                    b"UPSERT" | b"REPLACE" => Some(Operation::Merge),
                    b"SYSTEM" | b"ENABLE" | b"DISABLE" | b"RENAME" | b"SET" => Some(Operation::Alter),
                    word => std::str::from_utf8(word).ok().and_then(Operation::from_name),
                };
                (if refused { Kind::Denied } else { Kind::Query }, operation)
            }
        };
        let claimed = event.suspect.is_some() || event.kind == Kind::LoginFailed;
        let provenance = if claimed { Provenance::Claimed } else { Provenance::Authenticated };
        // Nobody has the session of a refused login: its name is the one that the action is about.
        let tried = some(layout.get(19)).filter(|_| event.kind == Kind::LoginFailed);
        event.principal = some(layout.get(13)).or(tried).map(|name| Principal { name, provenance });
        event.address = Address::parse(layout.get(6));
        event.port = std::str::from_utf8(layout.get(9)).ok().and_then(|t| t.parse().ok()).filter(|p| *p != 0);
        event.database = if layout.tenant == 1 { layout.fields.get(6).and_then(|f| some(f)) } else { some(layout.get(3)) };
        event.session = session.map(BStr::new);
        event.statement = some(statement).filter(|_| !matches!(event.kind, Kind::Login | Kind::LoginFailed | Kind::Logout));
        if event.statement.is_some() {
            event.dialect = Dialect::Generic;
        }
        let (schema, object) = (layout.get(14), layout.get(15));
        if !object.is_empty() {
            let mut name = bumpalo::collections::Vec::with_capacity_in(schema.len() + 1 + object.len(), arena);
            name.extend_from_slice(schema);
            if !schema.is_empty() {
                name.push(b'.');
            }
            name.extend_from_slice(object);
            event.objects = arena.alloc_slice_copy(&[BStr::new(name.into_bump_slice())]);
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        if self.doubtful == 0 { Vec::new() } else { postcard::to_stdvec(&self.doubtful).unwrap_or_default() }
    }

    fn restore(&mut self, state: &[u8]) {
        self.doubtful = postcard::from_bytes::<u32>(state).unwrap_or_default().min(REACH);
    }
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<'a>(hana: &mut Hana, text: &'a str, arena: &'a Bump) -> Result<Event<'a>, &'static str> {
        match hana.decode(Record::new(text.as_bytes()), arena) {
            Decoded::Event(event) => Ok(event),
            Decoded::Reject(reason) | Decoded::Skip(reason) => Err(reason),
        }
    }

    fn record(tenant: &str, action: &str, status: &str, statement: &str, tail: &str) -> String {
        format!(
            "2026-11-22 02:05:17;indexserver;hdb1;WLF;37;33703;{tenant}10.1.0.7;app-7;8080;57436;reads;INFO;{action};WEB;\"SA;LES\";\"ORDERS\";;;;;{status};;;;;;;{statement};427423;{tail}"
        )
    }

    #[test]
    fn audit_records() {
        let arena = Bump::new();
        for (tenant, database) in [("", "WLF"), ("PRD;", "PRD")] {
            for tail in ["", "APPUSER;;;;;;;"] {
                let text = record(tenant, "SELECT", "SUCCESSFUL", "SELECT ';1;' FROM \"ORDERS\"", tail);
                let event = decode(&mut Hana::new(&Options::default()), &text, &arena).unwrap();
                assert_eq!((event.kind, event.operation, event.suspect), (Kind::Query, Some(Operation::Select), None));
                assert_eq!(event.principal.map(|p| (p.name, p.provenance)), Some(("WEB".into(), Provenance::Authenticated)));
                assert_eq!((event.address.unwrap().to_string(), event.port), ("10.1.0.7".to_owned(), Some(57436)));
                assert_eq!((event.database, event.session), (Some(database.into()), Some("427423".into())));
                assert_eq!(event.statement, Some("SELECT ';1;' FROM \"ORDERS\"".into()));
                assert_eq!(event.objects, [BStr::new("SA;LES.ORDERS")]);
            }
        }
        let text = record("", "CONNECT", "UNSUCCESSFUL", "", "");
        let event = decode(&mut Hana::new(&Options::default()), &text, &arena).unwrap();
        assert_eq!((event.kind, event.statement), (Kind::LoginFailed, None));
        assert_eq!(event.principal.map(|p| p.provenance), Some(Provenance::Claimed));
    }

    #[test]
    fn a_refused_login_names_whom_it_was_for() {
        let arena = Bump::new();
        let tail = ";".repeat(24);
        let text = format!(
            "2026-11-22 02:05:17;indexserver;hdb1;WLF;37;33703;10.1.0.7;app-7;8080;57436;logins;INFO;CONNECT;;;;;;;WEB;UNSUCCESSFUL;;;;;authentication failed;;200131;APPUSER{tail}"
        );
        let event = decode(&mut Hana::new(&Options::default()), &text, &arena).unwrap();
        assert_eq!(event.principal.map(|p| (p.name, p.provenance)), Some(("WEB".into(), Provenance::Claimed)));
        assert_eq!((event.session, event.suspect), (Some("200131".into()), None));
    }

    #[test]
    fn records_behind_one_without_an_end_are_doubted() {
        let arena = Bump::new();
        let digits = record("", "SELECT", "SUCCESSFUL", "1", "").replace("1;427423;", "1");
        assert!(decode(&mut Hana::new(&Options::default()), &digits, &arena).unwrap().suspect.is_some());
        let whole = record("", "SELECT", "SUCCESSFUL", "SELECT 1", "");
        let torn = whole.trim_end_matches(";427423;");
        let mut hana = Hana::new(&Options::default());
        assert!(decode(&mut hana, torn, &arena).unwrap().suspect.is_some());
        let mut next = Hana::new(&Options::default());
        next.restore(&hana.save());
        assert!(decode(&mut next, &whole, &arena).unwrap().suspect.is_some());
    }

    #[test]
    fn trace_files() {
        let arena = Bump::new();
        let text = "[12035]{200001}[15/40637290] 2026-11-22 02:05:17.654321 w backup           Manager.cpp(00245) : slow\n more";
        let event = decode(&mut Hana::new(&Options::default()), text, &arena).unwrap();
        assert_eq!((event.kind, event.session), (Kind::Other, Some("200001".into())));
        assert_eq!(event.time.to_string(), "2026-11-22T02:05:17.654321Z");
    }

    #[test]
    fn what_is_no_record() {
        let arena = Bump::new();
        for text in [
            "",
            "[",
            "[1]{",
            "[1]{2}[",
            "[x]{1}[2] 2026-11-22 02:05:17 i",
            "2026-11-22 02:05:17;a;b",
            "2026-11-22 02:05:17;;;;;;;;;;;x;y;;;;;;;;;;;;;;;;;;;;;;;;",
        ] {
            assert!(decode(&mut Hana::new(&Options::default()), text, &arena).is_err(), "{text}");
        }
    }
}
