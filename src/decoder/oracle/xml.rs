//! Oracle's traditional audit trail as XML (`audit_trail = xml`).
//!
//! ```text
//! <AuditRecord><Audit_Type>1</Audit_Type><Session_Id>4440</Session_Id><Extended_Timestamp>2026-11-22T02:05:17.641000Z</Extended_Timestamp><DB_User>SCOTT</DB_User><Userhost>app-7</Userhost><Object_Schema>HR</Object_Schema><Object_Name>EMP</Object_Name><Action>3</Action><Returncode>0</Returncode><Sql_Text>select * from emp</Sql_Text></AuditRecord>
//! ```
//!
//! <https://docs.oracle.com/cd/E11882_01/network.112/e36292/auditing.htm>. The server writes `<` of a value as `&lt;`, so no client can end
//! an element; one that comes twice shows a server that did not, and makes the record suspect.

use bstr::ByteSlice;
use bumpalo::Bump;

use super::Fields;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::xml_text;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::framing::csv::LOST_START;
use crate::framing::seek::Seek;
use crate::framing::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

pub const FORMAT: Format = Format {
    name: "oracle-xml",
    about: "Oracle traditional audit trail as XML (audit_trail = xml)",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Elements::default()), Box::new(Xml { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "Oracle Database 10g to 19c",
        switch_on: "`ALTER SYSTEM SET audit_trail = XML, EXTENDED SCOPE = SPFILE` and `AUDIT` statements; the files are in `audit_file_dest`",
        fields: &[
            ("time", "Extended_Timestamp, UTC"),
            ("principal", "DB_User; verified unless the logon failed"),
            ("address", "Comment_Text of logons; seen by the server. Userhost is the client's own word and not used"),
            ("port", "Comment_Text of logons"),
            ("database", "DBID, a number"),
            ("session", "Session_Id"),
            ("statement", "Sql_Text, with EXTENDED"),
            ("operation", "Action, a number"),
            ("objects", "Object_Schema and Object_Name, else the statement"),
            ("outcome", "Returncode"),
            ("code", "Returncode, the ORA number"),
            ("kind", "Action"),
        ],
        forgery: "Nothing: values are escaped. An element that comes twice marks the record, which names no token",
        ignored: "The heading and the end of each file",
        source: "<https://docs.oracle.com/cd/E11882_01/network.112/e36292/auditing.htm>",
    },
};

const OPEN: &[u8] = b"<AuditRecord>";
const CLOSE: &[u8] = b"</AuditRecord>";

fn sniff(sample: &[u8], _: &Options) -> Guess {
    match sample.find(OPEN) {
        Some(at) if sample.get(at..).is_some_and(|rest| rest.seek(b"<Session_Id>").is_some() || rest.seek(b"<DB_User>").is_some()) => {
            Guess::new(97, "AuditRecord elements of Oracle's XML audit trail")
        }
        _ => Guess::NO,
    }
}

/// Frames `<AuditRecord>` elements.
#[derive(Debug, Default)]
struct Elements {
    /// Bytes at the start of the buffer that were looked at.
    scanned: usize,
}

impl Framer for Elements {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if buf.is_empty() {
            return Framed::Incomplete;
        }
        if !buf.starts_with(OPEN) {
            return self.between(buf, more);
        }
        // A tag may be split between two chunks.
        let from = self.scanned.saturating_sub(CLOSE.len()).max(OPEN.len());
        let rest = buf.get(from..).unwrap_or_default();
        let next = rest.find(OPEN).map(|at| from + at);
        let end = rest.get(..next.map_or(rest.len(), |n| n - from)).and_then(|r| r.find(CLOSE)).map(|at| from + at + CLOSE.len());
        let (len, unterminated) = match (end, next) {
            (Some(end), _) => (end, false),
            (None, Some(next)) => (next, true),
            (None, None) if more == More::Closed => (buf.len(), true),
            (None, None) if buf.len() > MAX_RECORD => (buf.len(), true),
            (None, None) => {
                self.scanned = buf.len();
                return Framed::Incomplete;
            }
        };
        self.scanned = 0;
        let truncated = len > MAX_RECORD;
        Framed::Record(Frame { skip: 0, len: if truncated { HEAD } else { len }, consumed: len, truncated, unterminated, suspect: None })
    }
}

impl Elements {
    /// The heading of a file, its end, blanks; anything else is told as lost.
    fn between(&mut self, buf: &[u8], more: More) -> Framed {
        let heading = |text: &[u8]| [&b"<?xml"[..], b"<Audit ", b"<Version", b"</Audit>"].iter().any(|word| text.starts_with(word));
        let blank = buf.len() - buf.trim_start().len();
        if blank > 0 {
            return Framed::Skip { consumed: blank, reason: BETWEEN };
        }
        let next = buf.find(OPEN);
        let before = buf.get(..next.unwrap_or(buf.len())).unwrap_or_default();
        let all = more == More::Closed || next.is_some() || buf.len() > MAX_RECORD;
        // A tag at a time, and what is none up to the end of its line, so that pieces do not matter.
        let (reason, end) = match heading(before) {
            true if before.starts_with(b"<Version") => (BETWEEN, before.seek(b"</Version>").map(|at| at + b"</Version>".len())),
            true => (BETWEEN, memchr::memchr(b'>', before).map(|at| at + 1)),
            false => (LOST_START, memchr::memchr(b'\n', before).map(|at| at + 1)),
        };
        match end {
            Some(end) => Framed::Skip { consumed: end, reason },
            None if all => Framed::Skip { consumed: before.len(), reason },
            None => Framed::Incomplete,
        }
    }
}

const BETWEEN: &str = "between XML records";

struct Xml {
    stamps: Timestamps,
}

impl Decoder for Xml {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Some(rest) = record.bytes.trim_start().strip_prefix(OPEN) else { return Decoded::Reject("not an AuditRecord element") };
        let (mut fields, mut twice, mut stamp, mut sys) = (Fields::default(), false, &b""[..], &b""[..]);
        for (name, value) in Children(rest) {
            let place = match name {
                b"Extended_Timestamp" | b"Timestamp" => &mut stamp,
                b"DB_User" => &mut fields.user,
                b"Comment_Text" => &mut fields.peer,
                b"DBID" => &mut fields.database,
                b"Session_Id" => &mut fields.session,
                b"Sql_Text" => &mut fields.statement,
                b"Action" => &mut fields.action,
                b"Returncode" => &mut fields.code,
                b"Object_Schema" => &mut fields.schema,
                b"Object_Name" => &mut fields.object,
                b"Audit_Type" => &mut sys,
                _ => continue,
            };
            twice |= !place.is_empty();
            *place = unescape(value, arena);
        }
        if fields.action.is_empty() && matches!(fields.statement, b"CONNECT" | b"LOGOFF" | b"DISCONNECT") {
            fields.action = fields.statement;
        }
        let Ok(time) = self.stamps.parse(stamp) else {
            return Decoded::Reject(if stamp.is_empty() { "an AuditRecord without a time" } else { "unreadable time stamp" });
        };
        fields.truncated = record.truncated;
        fields.suspect = record.suspect.or(twice.then_some("an element comes twice in one record"));
        Decoded::Event(fields.event(time, arena))
    }
}

/// The child elements, up to the end of the record.
struct Children<'a>(&'a [u8]);

impl<'a> Iterator for Children<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.get(memchr::memchr(b'<', self.0)? + 1..)?;
        let end = memchr::memchr(b'>', rest)?;
        let tag = rest.get(..end)?;
        let value = rest.get(end + 1..)?;
        if tag.starts_with(b"/") {
            return None;
        }
        if let Some(name) = tag.strip_suffix(b"/") {
            self.0 = value;
            return Some((name, b""));
        }
        let name = tag.split(|b| b.is_ascii_whitespace()).next()?;
        let mut from = 0;
        loop {
            let close = from + value.get(from..)?.seek(b"</")?;
            let after = value.get(close + 2..)?;
            if after.strip_prefix(name).is_some_and(|a| a.starts_with(b">")) {
                self.0 = after.get(name.len() + 1..)?;
                return Some((name, value.get(..close)?));
            }
            from = close + 2;
        }
    }
}

/// Undoes references to characters, and CDATA.
fn unescape<'a>(text: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    match text.strip_prefix(b"<![CDATA[").and_then(|t| t.strip_suffix(b"]]>")) {
        Some(inner) => inner,
        None => xml_text::unescape(text, arena),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Kind, Operation, Provenance};
    use crate::framing::testing::{frames, in_pieces};

    const HEADING: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  <Audit xmlns=\"http://xmlns.oracle.com/x\"\n   xmlns:xsi=\"y\">\n   <Version>11.2</Version>\n";

    fn record(middle: &str) -> String {
        format!(
            "<AuditRecord><Audit_Type>1</Audit_Type><Session_Id>4440</Session_Id><Extended_Timestamp>2026-11-22T02:05:17.641000Z</Extended_Timestamp><DB_User>SCOTT</DB_User>{middle}</AuditRecord>\n"
        )
    }

    fn decode<'a>(text: &'a str, arena: &'a Bump) -> Result<Event<'a>, &'static str> {
        match (Xml { stamps: Timestamps::new(None) }).decode(Record::new(text.as_bytes()), arena) {
            Decoded::Event(event) => Ok(event),
            Decoded::Reject(reason) | Decoded::Skip(reason) => Err(reason),
        }
    }

    #[test]
    fn a_file() {
        let (one, two) = (record("<Action>100</Action><Returncode>1017</Returncode>"), record("<Sql_Text>x\n\ny</Sql_Text>"));
        let log = format!("{HEADING}{one}{two}</Audit>\n");
        let (records, _) = frames(&mut Elements::default(), log.as_bytes(), More::Closed);
        assert_eq!(records, [one.trim_end().as_bytes(), two.trim_end().as_bytes()]);
        for size in 1..60 {
            assert_eq!(in_pieces(&mut Elements::default(), log.as_bytes(), size), records, "pieces of {size}");
        }
        let torn = format!("{}{two}", &one[..60]);
        let (records, _) = frames(&mut Elements::default(), torn.as_bytes(), More::Closed);
        assert_eq!(records.len(), 2);
        let noise = format!("noise\n{two}");
        let (records, skipped) = frames(&mut Elements::default(), noise.as_bytes(), More::Closed);
        assert_eq!((records.len(), skipped.first()), (1, Some(&LOST_START)));
    }

    #[test]
    fn records() {
        let arena = Bump::new();
        let text = record(
            "<Action>100</Action><Returncode>1017</Returncode><Comment_Text>Authenticated by: DATABASE; Client address: (ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=5))</Comment_Text>",
        );
        let event = decode(&text, &arena).unwrap();
        assert_eq!((event.kind, event.address.unwrap().to_string()), (Kind::LoginFailed, "10.1.0.7".to_owned()));
        assert_eq!(event.principal.map(|p| p.provenance), Some(Provenance::Claimed));
        let text = record(
            "<Object_Schema>HR</Object_Schema><Object_Name>E&amp;P</Object_Name><Action>3</Action><Returncode>0</Returncode><Sql_Text>select &apos;&lt;/Sql_Text&gt;&#10;&bad; &#x41;&apos;</Sql_Text>",
        );
        let event = decode(&text, &arena).unwrap();
        assert_eq!((event.kind, event.operation, event.suspect), (Kind::Query, Some(Operation::Select), None));
        assert_eq!(event.statement, Some("select '</Sql_Text>\n&bad; A'".into()));
        assert_eq!(event.objects, [bstr::BStr::new("HR.E&P")]);
        let text = record("<Sql_Text>x</Sql_Text><DB_User>SYS</DB_User>");
        assert!(decode(&text, &arena).unwrap().suspect.is_some());
    }

    #[test]
    fn what_is_no_record() {
        let arena = Bump::new();
        for text in
            ["", "<AuditRecord>", "<AuditRecord></AuditRecord>", "<AuditRecord><DB_User>x", "<AuditRecord><a/><b></AuditRecord>", "<Other>"]
        {
            assert!(decode(text, &arena).is_err(), "{text}");
        }
    }
}
