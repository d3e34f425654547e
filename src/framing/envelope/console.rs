//! CSV that the console of CloudWatch Logs writes: the time and the text of each event.
//!
//! ```text
//! timestamp,message
//! 1795314089104,"2026-11-22T02:21:29.104Z ..."
//! @timestamp,@message
//! 2026-11-22 02:21:29.104,"{""a"":1}"
//! ```
//!
//! The first form is that of a log stream, the second that of Logs Insights, whose time is UTC. A row tells by itself what it is, so that reading may go on
//! anywhere. Rows of other columns are none of it. Sources:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_Insights-Exporting.html>, <https://www.rfc-editor.org/rfc/rfc4180>

use bstr::ByteSlice;
use bumpalo::Bump;

use super::rfc3339::rfc3339;
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::event::Time;
use crate::framing::csv::Csv;
use crate::framing::seek::Seek;

pub const CONSOLE: Kind = Kind {
    name: "cloudwatch-csv",
    about: "CSV of the console of CloudWatch Logs",
    // A plain file of two columns looks the same.
    forgeable: true,
    arrays: None,
    framer: |_| Box::new(Csv::new(|buf| HEADINGS.iter().any(|heading| buf.starts_with(heading)) || row(buf).is_some())),
    open: |_| Box::new(Console),
};

const HEADINGS: [&[u8]; 4] = [b"timestamp,message", b"@timestamp,@message", b"\"timestamp\",\"message\"", b"\"@timestamp\",\"@message\""];

/// The time of a row, and what follows its comma.
fn row(buf: &[u8]) -> Option<(Time, &[u8])> {
    let (stamp, rest) = buf.get(..buf.len().min(32)).and_then(|head| head.part(",")).map(|(stamp, _)| (stamp, stamp.len() + 1))?;
    let stamp = stamp.strip_prefix(b"\"").and_then(|stamp| stamp.strip_suffix(b"\"")).unwrap_or(stamp);
    let time = match stamp {
        [day @ .., b' ', _, _, b':', _, _, b':', _, _, b'.', _, _, _] if day.len() == 10 => {
            let mut utc = *b"0000-00-00T00:00:00.000Z";
            utc.get_mut(..stamp.len())?.copy_from_slice(stamp);
            *utc.get_mut(10)? = b'T';
            rfc3339(&utc)?
        }
        millis if millis.len() == 13 && millis.iter().all(u8::is_ascii_digit) => {
            Time(std::str::from_utf8(millis).ok()?.parse::<i64>().ok()?.checked_mul(1_000)?)
        }
        _ => return None,
    };
    Some((time, buf.get(rest..)?))
}

/// The text of the only field that is left.
fn text<'a>(field: &'a [u8], arena: &'a Bump) -> Option<&'a [u8]> {
    let Some(quoted) = field.strip_prefix(b"\"") else {
        return (!field.contains(&b',') && !field.contains(&b'"')).then_some(field);
    };
    let inner = quoted.strip_suffix(b"\"")?;
    if !inner.contains(&b'"') {
        return Some(inner);
    }
    let mut text = bumpalo::collections::Vec::with_capacity_in(inner.len(), arena);
    let mut rest = inner;
    while let Some((before, after)) = rest.part("\"") {
        text.extend_from_slice(before);
        text.push(b'"');
        // A quote that stands alone ended the field.
        rest = after.strip_prefix(b"\"")?;
    }
    text.extend_from_slice(rest);
    Some(text.into_bump_slice())
}

struct Console;

impl Envelope for Console {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        if HEADINGS.contains(&record) {
            return Opened::Skip("the names of the columns");
        }
        let opened = row(record).and_then(|(time, field)| Some((time, text(field, arena)?)));
        let Some((time, text)) = opened else { return Opened::Reject("not a row of the console of CloudWatch Logs") };
        let payload = text.trim_end_with(|c| matches!(c, '\n' | '\r'));
        if payload.is_empty() {
            return Opened::Skip("an entry without text");
        }
        Opened::Carried(Carried { payload, lane: lane(&[]), part: Part::Lines, note: Note { time: Some(time), ..Note::default() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        for (record, want) in [
            (r#"1795314089104,"a ""b"", c""#, Some(r#"a "b", c"#)),
            (r#"2026-11-22 02:21:29.104,plain text"#, Some("plain text")),
            ("\"2026-11-22 02:21:29.104\",\"two\nlines\n\"", Some("two\nlines")),
            (r#"2026-11-22 02:21:29.104,a,b"#, None),
            (r#"2026-11-22 02:21:29.104,"a","b""#, None),
            (r#"2026-11-22 02:21:29.104 UTC,"a""#, None),
            (r#"179531408910,"a""#, None),
            (r#"1795314089104,"a"#, None),
            ("", None),
            (",", None),
        ] {
            let arena = Bump::new();
            match (Console.open(record.as_bytes(), &arena), want) {
                (Opened::Carried(carried), Some(want)) => {
                    assert_eq!(carried.payload.as_bstr(), want, "{record}");
                    assert_eq!(carried.note.time.map(|time| time.to_string()).as_deref(), Some("2026-11-22T02:21:29.104Z"));
                }
                (Opened::Reject(_), None) => {}
                (got, want) => panic!("{record}: {got:?}, not {want:?}"),
            }
        }
        assert!(matches!(Console.open(b"@timestamp,@message", &Bump::new()), Opened::Skip(_)));
    }
}
