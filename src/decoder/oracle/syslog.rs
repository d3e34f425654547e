//! Oracle's audit trails over syslog (`audit_syslog_level`, `UNIFIED_AUDIT_SYSTEMLOG`).
//!
//! ```text
//! Oracle Audit[10512]: LENGTH : '187' ACTION :[7] 'CONNECT' DATABASE USER:[3] 'SYS' PRIVILEGE :[6] 'SYSDBA' ... ACTION NUMBER:[3] '100'
//! Oracle Unified Audit[6061]: LENGTH: '198' TYPE:"4" DBID:"1245233845" SESID:"1602990127" CLIENTID:"" ENTRYID:"1" STMTID:"1" DBUSER:"SCOTT" CURUSER:"SCOTT" ACTION:"3" RETCODE:"0" SCHEMA:"HR" OBJNAME:"EMP" PDB_GUID:"8A1E..."
//! ```
//!
//! <https://docs.oracle.com/en/database/oracle/oracle-database/19/dbseg/administering-the-audit-trail.html>. The record has no time: the
//! relay's is taken. Pairs of the first form have lengths, as in [`aud`](super::aud); those of the second have none, but the server
//! writes each key once and always in the same order, so a value that pretends to be pairs shows itself by keys that come twice.

use bstr::ByteSlice;
use bumpalo::Bump;

use super::Fields;
use super::aud::{UNCOUNTED, length, read};
use super::pairs::Pairs;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "oracle-unified-syslog",
    about: "Oracle audit trails over syslog, traditional and unified",
    forgeable: true,
    sniff,
    open: |_, _| (Box::new(Lines::new()), Box::new(Syslog)),
    guide: Guide {
        system: "Oracle Database 10g to 23ai",
        switch_on: "`UNIFIED_AUDIT_SYSTEMLOG = 'local1.info'`, or for the traditional trail `audit_syslog_level = 'local1.info'` and `audit_trail = OS`",
        fields: &[
            ("time", "the relay's: the record has none"),
            ("principal", "DBUSER, or DATABASE USER or USERID; verified unless the logon failed"),
            ("address", "CLIENT ADDRESS or COMMENT$TEXT of the traditional trail; the unified one has none over syslog"),
            ("port", "with the address"),
            ("database", "DBID, a number"),
            ("session", "SESID or SESSIONID"),
            ("statement", "ACTION of SYS in the traditional trail"),
            ("operation", "ACTION, a number, or ACTION NUMBER"),
            ("objects", "SCHEMA and OBJNAME, or OBJ$CREATOR and OBJ$NAME"),
            ("outcome", "RETCODE, STATUS or RETURNCODE"),
            ("code", "RETCODE, STATUS or RETURNCODE, the ORA number"),
            ("kind", "ACTION"),
        ],
        forgery: "Whoever reaches the relay can send any record. Through the database, a CLIENTID or a failed user name with quotes in it: keys that come twice show it, and the record is marked and names no token",
        ignored: "Nothing",
        source: "<https://docs.oracle.com/en/database/oracle/oracle-database/19/dbseg/administering-the-audit-trail.html>",
    },
};

const TWICE: &str = "a key comes twice or out of its order, so a value may have been written to look like fields";

/// Keys of the unified trail in the order in which the server writes them.
const KEYS: [&[u8]; 13] = [
    b"TYPE",
    b"DBID",
    b"SESID",
    b"CLIENTID",
    b"ENTRYID",
    b"STMTID",
    b"DBUSER",
    b"CURUSER",
    b"ACTION",
    b"RETCODE",
    b"SCHEMA",
    b"OBJNAME",
    b"PDB_GUID",
];

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let lines = sample.split(|b| *b == b'\n').filter(|l| !l.is_empty()).take(50);
    let (mut all, mut good) = (0u32, 0u32);
    for line in lines {
        all += 1;
        good += u32::from(matches!(split(line), Some((_, rest)) if body(rest).next().is_some() || unified(rest).is_some()));
    }
    match good {
        0 => Guess::NO,
        _ if good * 2 >= all => Guess::new(96, format!("{good} of {all} lines have LENGTH and the pairs of Oracle's audit trail")),
        _ => Guess::new(60, format!("{good} of {all} lines have LENGTH and the pairs of Oracle's audit trail")),
    }
}

/// What LENGTH says and what follows it. Before it a relay may have left the tag (`Oracle Unified Audit[6061]: `), which the envelope takes off
/// only where it has no blanks.
fn split(line: &[u8]) -> Option<(usize, &[u8])> {
    let rest = unnumbered(untagged(line).unwrap_or(line));
    let quote = rest.get(..rest.len().min(16))?.find_byteset(b"'\"")?;
    let end = quote + 1 + rest.get(quote + 1..)?.find_byteset(b"'\"")? + 1;
    Some((length(rest.get(..end)?)?, rest.get(end..)?.trimmed_start()))
}

/// What follows the tag; AIX names before it the host that passed the line on.
fn untagged(line: &[u8]) -> Option<&[u8]> {
    let forwarded = line.strip_prefix(b"Message ").unwrap_or(line).strip_prefix(b"forwarded from ");
    let line = forwarded.and_then(|rest| Some(rest.split_once_str(": ")?.1)).unwrap_or(line);
    let rest = line.strip_prefix(b"Oracle ").unwrap_or(line);
    let rest = rest.strip_prefix(b"Unified ").unwrap_or(rest).strip_prefix(b"Audit[")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    rest.get(digits..)?.strip_prefix(b"]: ")
}

/// The message without the number that Solaris gives it: `[ID 748625 local7.warning] `.
fn unnumbered(text: &[u8]) -> &[u8] {
    let end = text.strip_prefix(b"[ID ").and_then(|rest| rest.get(..48.min(rest.len()))?.find("] "));
    end.and_then(|end| text.get(end + 6..)).unwrap_or(text)
}

fn body(rest: &[u8]) -> Pairs<'_> {
    Pairs::new(rest, true)
}

struct Syslog;

impl Decoder for Syslog {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Some((length, rest)) = split(record.bytes) else { return Decoded::Reject("no LENGTH of an oracle audit record") };
        let (mut fields, suspect) = match unified(rest) {
            Some((fields, sound)) => {
                // A relay that cut the line may have cut the true keys off.
                let cut = rest.len() + 32 < length;
                (Fields { truncated: cut, ..fields }, (!sound || cut).then_some(TWICE))
            }
            None => match traditional(rest, arena) {
                Some((fields, sound)) => (fields, (!sound).then_some(UNCOUNTED)),
                None => return Decoded::Reject("no fields of an oracle audit record"),
            },
        };
        let Some(time) = record.note.time else { return Decoded::Reject("no time: the relay gave none") };
        fields.suspect = record.suspect.or(suspect);
        fields.truncated |= record.truncated;
        Decoded::Event(fields.event(time, arena))
    }
}

/// The pairs with lengths. A relay may have written control characters as `#012`, four bytes where one was counted.
fn traditional<'a>(rest: &'a [u8], arena: &'a Bump) -> Option<(Fields<'a>, bool)> {
    let escaped = rest.windows(4).any(|w| matches!(w, [b'#', b'0'..=b'3', b'0'..=b'7', b'0'..=b'7']));
    if escaped {
        let plain = arena.alloc_slice_copy(&unescape(rest)) as &[u8];
        let (fields, sound) = read(&mut body(plain));
        if sound {
            return Some((fields, true));
        }
    }
    let mut pairs = body(rest);
    let (fields, sound) = read(&mut pairs);
    // What looks like an escape and is none cannot be told from a text that was made to look so.
    (pairs.at > 0).then_some((fields, sound && !escaped))
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let [b'#', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] = rest {
            out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = tail;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// The pairs of the unified trail, and whether each key stands where the server writes it, once.
fn unified(rest: &[u8]) -> Option<(Fields<'_>, bool)> {
    let (mut fields, mut sound) = (Fields::default(), true);
    let (mut at, mut order) = (0, 0);
    loop {
        let text = rest.get(at..)?;
        let Some((key, value)) = key(text) else {
            sound &= text.trim().is_empty();
            break;
        };
        let from = at + value;
        // A value ends at the first quote that is followed by a known key or by the end.
        let tail = rest.get(from..)?;
        let end = memchr::memchr_iter(b'"', tail).find(|q| {
            let after = tail.get(q + 1..).unwrap_or_default();
            after.trim().is_empty() || after.strip_prefix(b" ").is_some_and(|next| self::key(next).is_some())
        });
        let value = tail.get(..end.unwrap_or(tail.len()))?;
        match KEYS.iter().skip(order).position(|k| *k == key) {
            Some(skipped) => order += skipped + 1,
            None => sound = false,
        }
        let place = match key {
            b"DBID" => Some(&mut fields.database),
            b"SESID" => Some(&mut fields.session),
            b"DBUSER" => Some(&mut fields.user),
            b"ACTION" => Some(&mut fields.action),
            b"RETCODE" => Some(&mut fields.code),
            b"SCHEMA" => Some(&mut fields.schema),
            b"OBJNAME" => Some(&mut fields.object),
            _ => None,
        };
        if let Some(place) = place.filter(|p| p.is_empty()) {
            *place = value;
        }
        let Some(end) = end else {
            sound = false;
            break;
        };
        at = from + end + 1;
        at += rest.get(at..).map_or(0, |after| after.len() - after.trimmed_start().len());
    }
    (order > 0 && rest.starts_with(b"TYPE")).then_some((fields, sound))
}

/// A key at the start of the text, and where its value begins. Samples of vendors have `ENTRYD` for `ENTRYID`.
fn key(text: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr::memchr(b':', text.get(..text.len().min(16))?)?;
    let name = text.get(..colon)?;
    let known = KEYS.iter().find(|k| **k == name).copied().or((name == b"ENTRYD").then_some(&b"ENTRYID"[..]))?;
    let rest = text.get(colon + 1..)?;
    let blank = usize::from(rest.first() == Some(&b' '));
    (rest.get(blank) == Some(&b'"')).then_some((known, colon + 1 + blank + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Kind, Operation, Outcome, Provenance, Time};
    use crate::framing::envelope::Note;

    fn decode<'a>(text: &'a str, arena: &'a Bump) -> Result<Event<'a>, &'static str> {
        let note = Note { time: Some(Time(5)), ..Note::default() };
        match Syslog.decode(Record { note, ..Record::new(text.as_bytes()) }, arena) {
            Decoded::Event(event) => Ok(event),
            Decoded::Reject(reason) | Decoded::Skip(reason) => Err(reason),
        }
    }

    fn unified(clientid: &str, user: &str, code: &str) -> String {
        let body = format!(
            "TYPE:\"4\" DBID:\"12\" SESID:\"16\" CLIENTID:\"{clientid}\" ENTRYID:\"1\" STMTID:\"1\" DBUSER:\"{user}\" CURUSER:\"{user}\" \
             ACTION:\"3\" RETCODE:\"{code}\" SCHEMA:\"HR\" OBJNAME:\"EMP\" PDB_GUID:\"8A\""
        );
        format!("Oracle Unified Audit[6061]: LENGTH: '{}' {body}", body.len())
    }

    #[test]
    fn unified_records() {
        let arena = Bump::new();
        let text = unified("", "SCOTT", "1031");
        let event = decode(&text, &arena).unwrap();
        assert_eq!((event.kind, event.outcome, event.suspect), (Kind::Denied, Outcome::Denied, None));
        assert_eq!((event.operation, event.objects[0]), (Some(Operation::Select), bstr::BStr::new("HR.EMP")));
        assert_eq!(event.principal.map(|p| (p.name, p.provenance)), Some(("SCOTT".into(), Provenance::Authenticated)));
        assert_eq!((event.session, event.database), (Some("16".into()), Some("12".into())));
    }

    #[test]
    fn values_that_pretend_to_be_fields() {
        let arena = Bump::new();
        for clientid in [
            "x\" ENTRYID:\"1\" STMTID:\"1\" DBUSER:\"SYS\" CURUSER:\"SYS\" ACTION:\"3\" RETCODE:\"0\" SCHEMA:\"\" OBJNAME:\"",
            "\" DBUSER:\"SYS",
            "\" DBUSER:\"SYS\"",
            "\" ENTRYID:\"",
        ] {
            let text = unified(clientid, "SCOTT", "0");
            let event = decode(&text, &arena).unwrap();
            assert_eq!(event.suspect, Some(TWICE), "{text}");
            assert_eq!(event.principal.map(|p| p.provenance), Some(Provenance::Claimed));
        }
        // Cut behind the forged fields.
        let text = unified(&format!("\" DBUSER:\"SYS\" ACTION:\"3\" RETCODE:\"0\" SCHEMA:\"{}", "x".repeat(40)), "SCOTT", "0");
        let cut = &text[..text.find("xxxx").unwrap()];
        assert!(decode(&format!("{cut}\""), &arena).unwrap().suspect.is_some());
        // A lone quote is no pretence.
        let text = unified("say \"hi\" now", "SCOTT", "0");
        assert_eq!(decode(&text, &arena).unwrap().suspect, None);
    }

    #[test]
    fn traditional_records() {
        let arena = Bump::new();
        let text = "Oracle Audit[10512]: LENGTH : '170' ACTION :[20] 'select 'x'#012from dual' DATABASE USER:[3] 'SYS' PRIVILEGE :[6] 'SYSDBA' \
                    CLIENT USER:[6] 'oracle' STATUS:[1] '0' CLIENT ADDRESS:[51] '(ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=58864))' ACTION NUMBER:[1] '3'";
        let event = decode(text, &arena).unwrap();
        assert_eq!((event.suspect, event.statement), (None, Some("select 'x'\nfrom dual".into())));
        assert_eq!(event.address.unwrap().to_string(), "10.1.0.7");
        let text = "LENGTH : '170' ACTION :[4] '#012' DATABASE USER:[3] 'SYS'";
        assert_eq!(decode(text, &arena).unwrap().suspect, Some(UNCOUNTED));
    }

    /// What systems put between the relay's head and the record.
    #[test]
    fn tags() {
        let arena = Bump::new();
        let record = unified("", "SCOTT", "0");
        let bare = record.strip_prefix("Oracle Unified Audit[6061]: ").unwrap();
        for before in [
            "Oracle Unified Audit[6061]: ",
            "Audit[6061]: ",
            "Oracle Unified Audit[6061]: [ID 748625 local7.warning] ",
            "[ID 748625 local7.warning] ",
            "Message forwarded from db-1: Oracle Unified Audit[6061]: ",
            "forwarded from db-1: Oracle Unified Audit[6061]: ",
            "",
        ] {
            assert!(decode(&format!("{before}{bare}"), &arena).is_ok(), "{before}");
        }
        for before in ["x ", "Oracle Unified Audit[6061]: [ID 748625 ", "Message forwarded from db-1: "] {
            assert!(decode(&format!("{before}{bare}"), &arena).is_err() || before.ends_with("db-1: "), "{before}");
        }
    }

    #[test]
    fn what_is_no_record() {
        let arena = Bump::new();
        for text in ["", "LENGTH", "LENGTH: '", "LENGTH: '12'", "LENGTH: '12' x", "x LENGTH: '12' TYPE:\"4\"", "LENGTH: 'x' TYPE:\"4\""] {
            assert!(decode(text, &arena).is_err(), "{text}");
        }
        let untimed = unified("", "SCOTT", "0");
        assert!(matches!(Syslog.decode(Record::new(untimed.as_bytes()), &arena), Decoded::Reject("no time: the relay gave none")));
    }
}
