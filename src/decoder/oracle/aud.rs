//! Oracle's traditional audit trail in files (`audit_trail = os`, and always the acts of SYS): `*.aud` below `audit_file_dest`.
//!
//! ```text
//! Sun Nov 22 02:05:17 2026 +00:00
//! LENGTH : '268'
//! ACTION :[26] 'select * from hr.employees'
//! DATABASE USER:[3] 'SYS'
//! PRIVILEGE :[6] 'SYSDBA'
//! CLIENT USER:[6] 'oracle'
//! CLIENT TERMINAL:[5] 'pts/0'
//! STATUS:[1] '0'
//! DBID:[10] '2824230686'
//! SESSIONID:[10] '4294967295'
//! USERHOST:[5] 'app-7'
//! CLIENT ADDRESS:[53] '(ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=58864))'
//! ACTION NUMBER:[1] '3'
//! ```
//!
//! Other users' records have the columns of `SYS.AUD$` on one line: `SESSIONID:[7] "4993385" ENTRYID:[1] "1" ... USERID:[5] "SCOTT" ...`.
//! <https://docs.oracle.com/en/database/oracle/oracle-database/19/dbseg/introduction-to-auditing.html>; [`pairs`](super::pairs) has the
//! rule that keeps statements from being read as records.

use bumpalo::Bump;

use super::pairs::{Pairs, dated};
use super::{Fields, long_time};
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::framing::csv::{LOST_START, RESYNCHRONISED};
use crate::framing::lines::{void, without_cr};
use crate::framing::{Frame, Framed, Framer, HEAD, MAX_RECORD, More};

pub const FORMAT: Format = Format {
    name: "oracle-aud",
    about: "Oracle traditional audit files (*.aud)",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Files::default()), Box::new(Aud { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "Oracle Database 9i to 23ai, traditional auditing and the audit of SYS",
        switch_on: "`ALTER SYSTEM SET audit_sys_operations = TRUE SCOPE = SPFILE`, `audit_trail = OS`, and `AUDIT` statements; the files are in `audit_file_dest`",
        fields: &[
            ("time", "the line before LENGTH"),
            ("principal", "DATABASE USER or USERID; verified unless the logon failed. `/` is SYS by the operating system's word"),
            ("address", "CLIENT ADDRESS, or COMMENT$TEXT of a logon; seen by the server. USERHOST is the client's own word and not used"),
            ("port", "with the address, where it is written as ADDRESS=(...)"),
            ("database", "DBID, a number"),
            ("session", "SESSIONID; 4294967295 for SYS"),
            ("statement", "ACTION of SYS; other users' records have none"),
            ("operation", "ACTION NUMBER or ACTION"),
            ("objects", "OBJ$CREATOR and OBJ$NAME, else the statement"),
            ("outcome", "STATUS or RETURNCODE"),
            ("code", "STATUS or RETURNCODE, the ORA number"),
            ("kind", "ACTION NUMBER or ACTION"),
        ],
        forgery: "Nothing: every value has its length, and statements are passed over by it. Where lengths do not fit (edited copies, line ends changed on the way, servers before 11g) records are marked and name no token",
        ignored: "The heading of each file",
        source: "<https://docs.oracle.com/en/database/oracle/oracle-database/19/dbseg/introduction-to-auditing.html>",
    },
};

/// Reason on records whose lengths do not fit.
pub(super) const UNCOUNTED: &str = "a value's length does not lead to its end, so its text may be read as fields";

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let mut at = 0;
    // A heading has some 20 lines.
    for _ in 0..64 {
        let rest = sample.get(at..).unwrap_or_default();
        if let Some(Head::Record { body, .. }) = head(rest, true) {
            let sound = Pairs::new(rest.get(body..).unwrap_or_default(), true).next();
            return match sound {
                Some(pair) if pair.sound => Guess::new(97, "a date, LENGTH, and pairs KEY:[length] 'value'"),
                Some(_) => Guess::new(85, "a date, LENGTH, and pairs of keys and values"),
                None => Guess::NO,
            };
        }
        match memchr::memchr(b'\n', rest) {
            Some(lf) => at += lf + 1,
            None => break,
        }
    }
    Guess::NO
}

/// How a record begins.
enum Head {
    /// The pairs begin at `body`; `length` is what the server says of them.
    Record { date: usize, body: usize, length: usize },
    /// More bytes are needed to tell.
    More,
}

/// Reads the date and the LENGTH line; servers before 11g lack the latter.
fn head(buf: &[u8], whole: bool) -> Option<Head> {
    const LINE: usize = 48;
    if !dated(buf) {
        let short = !whole && buf.len() < 20 && memchr::memchr(b'\n', buf).is_none();
        return short.then_some(Head::More);
    }
    let start = buf.get(..buf.len().min(LINE))?;
    let Some(lf) = memchr::memchr(b'\n', start) else { return (!whole && buf.len() < LINE).then_some(Head::More) };
    let rest = buf.get(lf + 1..)?;
    let line = rest.get(..rest.len().min(LINE))?;
    let end = memchr::memchr(b'\n', line);
    if end.is_none() && !whole && rest.len() < LINE {
        return Some(Head::More);
    }
    let date = without_cr(buf, lf);
    if let Some(end) = end
        && let Some(length) = line.get(..end).and_then(length)
    {
        return Some(Head::Record { date, body: lf + 1 + end + 1, length });
    }
    Pairs::new(rest, true).next().map(|_| Head::Record { date, body: lf + 1, length: 0 })
}

/// `LENGTH : '370'`, `LENGTH: "357"`.
pub(super) fn length(line: &[u8]) -> Option<usize> {
    let rest = line.strip_prefix(b"LENGTH")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest).strip_prefix(b":")?;
    let text = std::str::from_utf8(rest).ok()?.trim();
    let inner = text.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"'])?;
    inner.parse().ok().filter(|n| *n <= MAX_RECORD)
}

/// What the heading of a file begins with.
const HEADING: [&[u8]; 2] = [b"Audit file ", b"Dump file "];

/// Frames the records of one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files {
    /// Bytes for which records are still suspect.
    doubtful: usize,
    /// In the heading of a file: it goes on up to the first record.
    heading: bool,
}

impl Files {
    fn record(&mut self, frame: Frame) -> Framed {
        let suspect = (self.doubtful > 0).then_some(RESYNCHRONISED);
        self.doubtful = self.doubtful.saturating_sub(frame.consumed);
        Framed::Record(Frame { suspect, ..frame })
    }

    /// No record begins here: passes over lines up to one where a record or a heading does.
    fn pass(&mut self, buf: &[u8], more: More) -> Framed {
        let closed = more == More::Closed;
        let begun = |rest: &[u8]| HEADING.iter().any(|words| rest.starts_with(words) || !closed && words.starts_with(rest));
        if begun(buf) && (closed || memchr::memchr(b'\n', buf).is_some()) {
            self.heading = true;
        }
        let mut at = 0;
        while let Some(lf) = buf.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            at += lf + 1;
            let rest = buf.get(at..).unwrap_or_default();
            if head(rest, closed).is_some() || !self.heading && begun(rest) {
                break;
            }
        }
        if at == 0 && (closed || buf.len() > MAX_RECORD) {
            at = buf.len();
        }
        if at == 0 {
            return Framed::Incomplete;
        }
        if !self.heading {
            self.doubtful = MAX_RECORD;
        }
        Framed::Skip { consumed: at, reason: if self.heading { "heading of an audit file" } else { LOST_START } }
    }
}

impl Framer for Files {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        if let Some(skip) = void(buf) {
            return skip;
        }
        let closed = more == More::Closed;
        let (body, length) = match head(buf, closed) {
            Some(Head::Record { body, length, .. }) => (body, length),
            Some(Head::More) => return Framed::Incomplete,
            None => return self.pass(buf, more),
        };
        self.heading = false;
        let mut pairs = Pairs::new(buf.get(body..).unwrap_or_default(), closed);
        let sound = pairs.by_ref().fold(true, |sound, pair| sound & pair.sound) && !converted(buf);
        // When the log pauses, a record that ends with a whole pair is there as a whole.
        if pairs.starved && !(more == More::Idle && sound && pairs.at > 0 && buf.get(body + pairs.at..) == Some(b"\n")) {
            if buf.len() <= MAX_RECORD {
                return Framed::Incomplete;
            }
            let frame = Frame { skip: 0, len: HEAD, consumed: buf.len(), truncated: true, unterminated: false, suspect: None };
            let framed = self.record(frame);
            self.doubtful = MAX_RECORD;
            return framed;
        }
        let len = body + pairs.at;
        let end = match buf.get(len..) {
            Some([b'\r', b'\n', ..]) => len + 2,
            Some([b'\n', ..]) => len + 1,
            _ => len,
        };
        let frame = Frame { skip: 0, len, consumed: end, truncated: false, unterminated: end == len, suspect: None };
        let framed = self.record(frame);
        if !sound {
            // Its true end is no further away than this, however its encoding or line ends were changed on the way.
            let reach = if length == 0 { MAX_RECORD } else { 3 * length };
            self.doubtful = self.doubtful.max(reach.saturating_sub(end));
        }
        framed
    }

    fn save(&self) -> Vec<u8> {
        if *self == Files::default() { Vec::new() } else { postcard::to_stdvec(&(self.doubtful, self.heading)).unwrap_or_default() }
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((doubtful, heading)) = postcard::from_bytes::<(usize, bool)>(state) {
            (self.doubtful, self.heading) = (doubtful.min(MAX_RECORD), heading);
        }
    }
}

/// Line ends were changed on the way, and with them what the lengths count.
fn converted(record: &[u8]) -> bool {
    memchr::memchr(b'\n', record).is_some_and(|lf| without_cr(record, lf) != lf)
}

struct Aud {
    stamps: Timestamps,
}

impl Decoder for Aud {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Some(Head::Record { date, body, .. }) = head(record.bytes, true) else {
            return Decoded::Reject("no date and length of an oracle audit record");
        };
        let Some(time) = record.bytes.get(..date).and_then(|text| long_time(text, &mut self.stamps)) else {
            return Decoded::Reject("unreadable time stamp");
        };
        let mut pairs = Pairs::new(record.bytes.get(body..).unwrap_or_default(), true);
        let (mut fields, sound) = read(&mut pairs);
        if pairs.at == 0 {
            return Decoded::Reject("an oracle audit record without fields");
        }
        fields.suspect = record.suspect.or((!sound || converted(record.bytes)).then_some(UNCOUNTED));
        fields.truncated = record.truncated && !record.bytes.ends_with(b"'") && !record.bytes.ends_with(b"\"");
        Decoded::Event(fields.event(time, arena))
    }
}

/// The fields of a record of the traditional trail, and whether all lengths fit.
pub(super) fn read<'a>(pairs: &mut Pairs<'a>) -> (Fields<'a>, bool) {
    let (mut fields, mut sound) = (Fields::default(), true);
    let mut text: &[u8] = b"";
    for pair in pairs {
        sound &= pair.sound;
        let value = pair.value;
        let place = match pair.key {
            b"ACTION" => {
                text = value;
                continue;
            }
            b"DATABASE USER" | b"USERID" => &mut fields.user,
            b"CLIENT ADDRESS" | b"COMMENT$TEXT" => &mut fields.peer,
            b"STATUS" | b"RETURNCODE" => &mut fields.code,
            b"DBID" => &mut fields.database,
            b"SESSIONID" => &mut fields.session,
            b"ACTION NUMBER" => &mut fields.action,
            b"OBJ$CREATOR" => &mut fields.schema,
            b"OBJ$NAME" => &mut fields.object,
            b"SQL$TEXT" | b"SQLTEXT" => &mut fields.statement,
            _ => continue,
        };
        // Should a field come twice, the second one is not the server's.
        if place.is_empty() {
            *place = value;
        } else {
            sound = false;
        }
    }
    if !text.is_empty() && text.iter().all(u8::is_ascii_digit) {
        fields.action = text;
    } else {
        let logon = matches!(text, b"CONNECT" | b"LOGON" | b"LOGOFF" | b"DISCONNECT");
        if fields.action.is_empty() && logon {
            fields.action = text;
        } else if !logon {
            fields.statement = text;
        }
    }
    (fields, sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, Operation, Outcome, Provenance};
    use crate::framing::testing::{frames, in_pieces};

    fn counted(key: &str, value: &str) -> String {
        format!("{key}:[{}] '{value}'\n", value.len())
    }

    fn sys(action: &str, number: &str, status: &str) -> String {
        let body = [
            counted("ACTION ", action),
            counted("DATABASE USER", "SYS"),
            counted("PRIVILEGE ", "SYSDBA"),
            counted("CLIENT USER", "oracle"),
            counted("CLIENT TERMINAL", "pts/0"),
            counted("STATUS", status),
            counted("DBID", "2824230686"),
            counted("SESSIONID", "77"),
            counted("USERHOST", "app-7"),
            counted("CLIENT ADDRESS", "(ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=58864))"),
            counted("ACTION NUMBER", number),
        ]
        .concat();
        format!("Sun Nov 22 02:05:17 2026 +00:00\nLENGTH : '{}'\n{body}\n", body.len() + 2)
    }

    const HEADING: &str = "Audit file /u01/adump/o_ora_1.aud\nOracle Database 19c Enterprise Edition\nVersion 19.3.0.0.0\n\n";

    fn decode<'a>(record: &'a [u8], arena: &'a Bump) -> crate::event::Event<'a> {
        match (Aud { stamps: Timestamps::new(None) }).decode(Record::new(record), arena) {
            Decoded::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file() {
        let forged = sys("drop user forged", "53", "0");
        let log = [HEADING, &sys("CONNECT", "100", "0"), &sys(&format!("select '{forged}' from dual"), "3", "0")].concat();
        let (records, skipped) = frames(&mut Files::default(), log.as_bytes(), More::Closed);
        assert_eq!(records.len(), 2);
        assert_eq!(skipped.first(), Some(&"heading of an audit file"));
        for size in 1..40 {
            assert_eq!(in_pieces(&mut Files::default(), log.as_bytes(), size), records, "pieces of {size}");
        }
        let arena = Bump::new();
        let login = decode(records[0], &arena);
        assert_eq!((login.kind, login.statement, login.suspect), (Kind::Login, None, None));
        assert_eq!((login.address.unwrap().to_string(), login.port), ("10.1.0.7".to_owned(), Some(58864)));
        let query = decode(records[1], &arena);
        assert_eq!((query.kind, query.operation, query.suspect), (Kind::Query, Some(Operation::Select), None));
        assert_eq!(query.principal.map(|p| p.provenance), Some(Provenance::Authenticated));
        assert!(query.statement.unwrap().contains(&b'\n'));
    }

    #[test]
    fn a_start_in_the_middle_is_told_and_doubted() {
        let log = ["rest of a statement\n", &sys("drop user forged", "53", "0"), "'\n"].concat();
        let (records, skipped) = frames(&mut Files::default(), log.as_bytes(), More::Closed);
        assert_eq!(records.len(), 1);
        assert_eq!(skipped.first(), Some(&LOST_START));
        let mut files = Files::default();
        let Framed::Skip { consumed, .. } = files.next(log.as_bytes(), More::Flowing) else { panic!("no skip") };
        let Framed::Record(frame) = files.next(&log.as_bytes()[consumed..], More::Closed) else { panic!("no record") };
        assert_eq!(frame.suspect, Some(RESYNCHRONISED));
    }

    #[test]
    fn lengths_that_do_not_fit_make_suspect() {
        let log = sys("select 1 from dual", "3", "0").replace("[18]", "[17]") + &sys("CONNECT", "100", "1017");
        let arena = Bump::new();
        let mut files = Files::default();
        let Framed::Record(first) = files.next(log.as_bytes(), More::Closed) else { panic!("no record") };
        let event = decode(&log.as_bytes()[..first.len], &arena);
        assert_eq!((event.suspect, event.statement), (Some(UNCOUNTED), Some("select 1 from dual".into())));
        let rest = &log.as_bytes()[first.consumed + 1..];
        let Framed::Record(second) = files.next(rest, More::Closed) else { panic!("no record") };
        assert_eq!(second.suspect, Some(RESYNCHRONISED));
        let event = decode(&rest[..second.len], &arena);
        assert_eq!((event.kind, event.outcome), (Kind::LoginFailed, Outcome::Denied));
        assert_eq!(event.principal.map(|p| p.provenance), Some(Provenance::Claimed));
        let converted = sys("CONNECT", "100", "0").replace('\n', "\r\n");
        assert_eq!(decode(converted.trim_end().as_bytes(), &arena).suspect, Some(UNCOUNTED));
    }

    #[test]
    fn other_users_have_columns() {
        let text = "Sun Nov 22 02:05:17 2026 +00:00\nLENGTH: \"213\"\nSESSIONID:[7] \"4993385\" ENTRYID:[1] \"1\" STATEMENT:[1] \"1\" \
            USERID:[5] \"SCOTT\" USERHOST:[5] \"app-7\" ACTION:[3] \"103\" RETURNCODE:[1] \"0\" OBJ$CREATOR:[2] \"HR\" OBJ$NAME:[3] \"EMP\"";
        let arena = Bump::new();
        let event = decode(text.as_bytes(), &arena);
        assert_eq!((event.kind, event.suspect, event.statement), (Kind::Other, None, None));
        assert_eq!((event.objects, event.session), (&[bstr::BStr::new("HR.EMP")][..], Some("4993385".into())));
    }

    #[test]
    fn what_is_no_record() {
        let arena = Bump::new();
        for text in
            ["", "Sun", "Sun Nov 22 02:05:17 2026 +00:00", "Sun Nov 22 02:05:17 2026 +00:00\nLENGTH : '9'\nx", "\0\u{ff}", "LENGTH : '1'"]
        {
            let decoded = (Aud { stamps: Timestamps::new(None) }).decode(Record::new(text.as_bytes()), &arena);
            assert!(matches!(decoded, Decoded::Reject(_)), "{text}");
        }
    }

    #[test]
    fn an_oversized_record_is_cut() {
        let log = format!("Sun Nov 22 02:05:17 2026 +00:00\nLENGTH : '9'\nACTION :[999999999] '{}", "x\n".repeat(MAX_RECORD));
        let records = in_pieces(&mut Files::default(), log.as_bytes(), 100_000);
        assert_eq!(records.first().map(Vec::len), Some(HEAD));
    }
}
