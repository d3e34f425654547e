//! Lines before which somebody wrote when he took them in.
//!
//! ```text
//! 2026-11-22T02:21:28.484Z 2026-11-22 02:21:28 UTC [77] LOG:  ...                  docker logs -t, kubectl logs --timestamps, exports of CloudWatch Logs
//! 2026-11-22T02:21:28.484000+00:00 db1.0 2026-11-22 02:21:28 UTC [77] LOG:  ...    aws logs tail: the stream's name stands between
//! 2026-11-22T02:21:28+00:00\tdb.log\t{"message":"..."}                              Fluentd's files: the tag stands between, with tabs
//! 2026-11-22 02:21:28.484000000 +0000 db.log: {"message":"..."}                    Fluentd's standard output
//! ```
//!
//! What has no time before it goes on with the lines before. Line breaks stand there as they came, so a client may begin such lines: they
//! alert and never revoke. Sources: <https://docs.docker.com/reference/cli/docker/container/logs/>,
//! <https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html>, <https://docs.fluentd.org/output/file>

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use smallvec::SmallVec;

use super::rfc3339::rfc3339;
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::event::Time;
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;
use crate::framing::stamped::{Stamped, Width, like};

pub const FLUENTD: Kind = Kind {
    name: "fluentd",
    about: "files of Fluentd: time, tag and a JSON object",
    forgeable: true,
    arrays: None,
    framer: |_| Box::new(Lines::new()),
    open: |_| Box::new(Fluentd),
};

pub const STAMPED: Kind = Kind {
    name: "stamped",
    about: "lines with a time before them: `docker logs -t`, `kubectl logs --timestamps`, exports of CloudWatch Logs",
    forgeable: true,
    arrays: None,
    framer: |_| Box::new(Stamped::new(begins)),
    open: |_| Box::new(Line { stream: false }),
};

pub const STREAMED: Kind = Kind {
    name: "aws-logs-tail",
    about: "lines with a time and the name of a stream before them: `aws logs tail`",
    forgeable: true,
    arrays: None,
    framer: |_| Box::new(Stamped::new(begins)),
    open: |_| Box::new(Line { stream: true }),
};

fn begins(buf: &[u8], width: Width) -> Option<bool> {
    like(b"0000-00-00T00:00:00", buf, width)
}

struct Line {
    /// The name of a stream stands behind the time.
    stream: bool,
}

impl Envelope for Line {
    fn open<'a>(&mut self, record: &'a [u8], _: &'a Bump) -> Opened<'a> {
        const OTHER: Opened<'static> = Opened::Reject("no time before the line");
        let Some((stamp, rest)) = record.split_once_str(" ") else { return OTHER };
        // `aws logs tail --format short` leaves the zone out.
        let time = rfc3339(stamp);
        if time.is_none() && !(stamp.len() == 19 && like(b"0000-00-00T00:00:00", stamp, Width::One) == Some(true)) {
            return OTHER;
        }
        let (stream, payload) = match self.stream {
            false => (&b""[..], rest),
            true => match rest.split_once_str(" ") {
                // Kubernetes' own form, where tags follow.
                Some((b"stdout" | b"stderr", _)) | None => return OTHER,
                Some((stream, payload)) => (stream, payload),
            },
        };
        let payload = payload.trim_end_with(|c| matches!(c, '\n' | '\r'));
        let part = if memchr::memchr(b'\n', payload).is_some() { Part::Lines } else { Part::Line };
        let host = (!stream.is_empty()).then(|| BStr::new(stream));
        Opened::Carried(Carried { payload, lane: lane(&[stream]), part, note: Note { time, host, ..Note::default() } })
    }
}

struct Fluentd;

impl Envelope for Fluentd {
    fn open<'a>(&mut self, record: &'a [u8], _: &'a Bump) -> Opened<'a> {
        match file(record).or_else(|| output(record)) {
            Some((time, tag, payload)) if payload.starts_with(b"{") && payload.ends_with(b"}") => {
                let note = Note { time, program: Some(BStr::new(tag)), ..Note::default() };
                Opened::Carried(Carried { payload, lane: lane(&[tag]), part: Part::Line, note })
            }
            _ => Opened::Reject("not a line of Fluentd's"),
        }
    }
}

/// Time, tag and object.
type Parts<'a> = (Option<Time>, &'a [u8], &'a [u8]);

/// `TIME\tTAG\t{...}`
fn file(record: &[u8]) -> Option<Parts<'_>> {
    let (stamp, rest) = record.part("\t")?;
    let (tag, object) = rest.part("\t")?;
    let time = rfc3339(stamp)?;
    (!tag.is_empty() && !tag.contains(&b' ')).then_some((Some(time), tag, object))
}

/// `DATE TIME ZONE TAG: {...}`
fn output(record: &[u8]) -> Option<Parts<'_>> {
    let mut words = record.splitn(5, |b| *b == b' ');
    let (date, clock, zone, tag, object) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let [sign @ (b'+' | b'-'), h1, h2, m1, m2] = *zone else { return None };
    let mut stamp: SmallVec<[u8; 48]> = SmallVec::new();
    for part in [date, b"T", clock, &[sign, h1, h2, b':', m1, m2]] {
        stamp.extend_from_slice(part);
    }
    Some((Some(rfc3339(&stamp)?), tag.strip_suffix(b":")?, object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FormatOptions;

    fn check(kind: &Kind, record: &str, want: Option<(&str, &str)>) {
        let arena = Bump::new();
        let got = match (kind.open)(&FormatOptions::default()).open(record.as_bytes(), &arena) {
            Opened::Carried(carried) => {
                let time = carried.note.time.map_or("-".to_owned(), |time| time.to_string());
                Some((time, std::str::from_utf8(carried.payload).unwrap().to_owned()))
            }
            _ => None,
        };
        assert_eq!(got, want.map(|(time, text)| (time.to_owned(), text.to_owned())), "{}: {record}", kind.name);
    }

    #[test]
    fn lines() {
        let time = "2026-11-22T02:21:28.484Z";
        check(&STAMPED, "2026-11-22T02:21:28.484000000Z a b\n\tc\r\n", Some((time, "a b\n\tc")));
        check(&STAMPED, "2026-11-22T02:21:28 a", Some(("-", "a")));
        check(&STAMPED, "2026-11-22T02:21:28.484Z ", Some((time, "")));
        check(&STREAMED, "2026-11-22T02:21:28.484000+00:00 db1.0 a b", Some((time, "a b")));
        for (kind, record) in [
            (&STAMPED, "2026-11-22T02:21:28.484Z"),
            (&STAMPED, "2026-11-22T02:21:28.484Z\ta"),
            (&STAMPED, "2026-11-22 02:21:28 a"),
            (&STREAMED, "2026-11-22T02:21:28.484Z db1"),
            (&STREAMED, "2026-11-22T02:21:28.484Z stdout F a"),
            (&STREAMED, ""),
        ] {
            check(kind, record, None);
        }
    }

    #[test]
    fn objects_of_fluentd() {
        check(&FLUENTD, "2026-11-22T02:21:28+00:00\tdb.log\t{\"a\":\"\\t\"}", Some(("2026-11-22T02:21:28Z", "{\"a\":\"\\t\"}")));
        check(&FLUENTD, "2026-11-22 02:21:28.484000000 +0100 db.log: {\"a\":1}", Some(("2026-11-22T01:21:28.484Z", "{\"a\":1}")));
        for record in ["2026-11-22T02:21:28+00:00\tdb.log\tx", "2026-11-22T02:21:28+00:00\t   77 Query\t{}", "x\ty\t{}", "", "a b c d: {}"]
        {
            check(&FLUENTD, record, None);
        }
    }
}
