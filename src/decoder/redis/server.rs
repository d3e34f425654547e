//! Redis' own log: start-up, replication, snapshots. It names no command and no user, so nothing in it is an act of a token.
//!
//! ```text
//! 26571:M 27 Dec 2018 11:19:18.874 * Synchronization with replica 10.114.208.18:6023 succeeded
//! 30 May 10:03:19 - Server started, Redis version 1.2.6
//! 26571:M 2026-11-22T02:21:28.395+00:00 * Ready                                                          Valkey 8.1 and later,
//! pid=26571 role=primary timestamp="2026-11-22T02:21:28.395+00:00" level=notice message="Ready"            as it is told to
//! ```
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/admin/>

use bstr::ByteSlice;
use bumpalo::Bump;

use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Event, Kind, Time};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "redis-log",
    about: "Redis or Valkey server log; it names no command and no user",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(Server { stamps: Timestamps::new(options.zone.clone()) })),
    guide: Guide {
        system: "Redis 1.2 to 8, Valkey to 9",
        switch_on: "The log is always on; it is recognised so that nobody waits for events of it. Use `redis-monitor` and `redis-acl-log`",
        fields: &[("time", "the line's start, in the server's local time; versions before 2.8 write no year")],
        forgery: "Nothing that matters: no line is an act of a token",
        ignored: "Everything: lines with a date are kept as `other`, others are skipped",
        source: "<https://redis.io/docs/latest/operate/oss_and_stack/management/admin/>",
    },
};

const MONTHS: [&[u8]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Where a line has its date, and the level behind it: `27 Dec 2018 11:19:18.874 *`.
struct Line<'a> {
    day: &'a [u8],
    month: usize,
    year: Option<&'a [u8]>,
    clock: &'a [u8],
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let mut words = line.splitn(6, |b| *b == b' ').peekable();
        // `26571:M`, `[2932]`, `[1:C]`: the process and its role.
        let first = words.peek()?;
        let bare = first.strip_prefix(b"[").and_then(|w| w.strip_suffix(b"]")).unwrap_or(first);
        if bare.len() != first.len() || bare.contains(&b':') {
            let (pid, role) = bare.part(":").unwrap_or((bare, b"M"));
            if !digits(pid) || !matches!(role, b"M" | b"S" | b"C" | b"X") {
                return None;
            }
            words.next();
        }
        let day = words.next().filter(|d| d.len() <= 2 && digits(d))?;
        let month = words.next()?;
        let month = MONTHS.iter().position(|m| *m == month)? + 1;
        let year = words.next_if(|w| w.len() == 4 && digits(w));
        let clock = words.next().filter(|c| c.len() >= 8 && c.contains(&b':'))?;
        let level = words.next()?;
        matches!(level.first()?, b'.' | b'-' | b'*' | b'#').then_some(Line { day, month, year, clock })
    }
}

/// The stamp of a line as Valkey writes it where `log-timestamp-format` or `log-format` says so.
fn stamp(line: &[u8]) -> Option<&[u8]> {
    if line.starts_with(b"pid=") && line.holds(" role=") {
        return line.part(" timestamp=\"")?.1.part("\"").map(|(stamp, _)| stamp);
    }
    let mut words = line.splitn(4, |b| *b == b' ');
    let (pid, role) = words.next()?.part(":")?;
    let stamp = words.next()?;
    let millis = stamp.len() == 13 && stamp.iter().all(u8::is_ascii_digit);
    let sound = !pid.is_empty() && pid.iter().all(u8::is_ascii_digit) && matches!(role, b"M" | b"S" | b"C" | b"X");
    let level = matches!(words.next()?, b"." | b"-" | b"*" | b"#");
    (sound && level && (millis || stamp.get(10) == Some(&b'T'))).then_some(stamp)
}

/// Milliseconds since 1970.
fn millis(stamp: &[u8]) -> Option<Time> {
    Some(Time(std::str::from_utf8(stamp).ok()?.parse::<i64>().ok()?.checked_mul(1_000)?))
}

/// Words of a signal handler's line: `5092:signal-handler (1496141844) Received SIGINT scheduling shutdown...`.
fn signal(line: &[u8]) -> Option<Time> {
    let (_, rest) = line.part(":signal-handler (")?;
    crate::decoder::timestamp::epoch(rest.split(|b| *b == b')').next()?).ok()
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let (mut lines, mut read) = (0usize, 0usize);
    for line in sample.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).take(100) {
        lines += 1;
        read += usize::from(Line::read(line).is_some() || stamp(line).is_some() || signal(line).is_some());
    }
    match (100 * read).checked_div(lines).unwrap_or(0) {
        0 => Guess::NO,
        percent if percent >= 20 => Guess::new(94, format!("{read} of {lines} lines are pid:role, date, level, text")),
        percent => Guess::new(40, format!("{percent} % of {lines} lines are pid:role, date, level, text")),
    }
}

struct Server {
    stamps: Timestamps,
}

impl Server {
    fn civil(&mut self, line: &Line<'_>) -> Option<Time> {
        let (day, month) = (std::str::from_utf8(line.day).ok()?, line.month);
        let text = format!("{}-{month:02}-{day:0>2} {}", line.year?.as_bstr(), line.clock.as_bstr());
        self.stamps.parse(text.as_bytes()).ok()
    }
}

impl Decoder for Server {
    fn decode<'a>(&mut self, record: Record<'a>, _: &'a Bump) -> Decoded<'a> {
        let time = match Line::read(record.bytes) {
            Some(Line { year: None, .. }) => match record.note.time {
                Some(time) => Some(time),
                None => return Decoded::Skip("a line without a year"),
            },
            Some(line) => self.civil(&line),
            None => match (stamp(record.bytes), signal(record.bytes)) {
                (Some(stamp), _) if stamp.len() == 13 => millis(stamp),
                // The old form is the default in the new lines, too.
                (Some(stamp), _) => match Line::read(&[stamp, b" *"].concat()) {
                    Some(line) => self.civil(&line),
                    None => self.stamps.parse(stamp).ok(),
                },
                (None, Some(time)) => Some(time),
                // The banner of a start, a table of a module's options, a crash report.
                (None, None) => return Decoded::Skip("a line without a date"),
            },
        };
        let Some(time) = time else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record.suspect;
        Decoded::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let arena = Bump::new();
        for (line, want) in [
            ("26571:M 27 Dec 2018 11:19:18.874 * Synchronization succeeded", "2018-12-27T11:19:18.874Z"),
            ("[1:C] 18 Jul 2025 19:08:05.257 * Starting", "2025-07-18T19:08:05.257Z"),
            ("1:S 03 Jan 2020 19:08:05.257 # x", "2020-01-03T19:08:05.257Z"),
            ("30 May 10:03:19 - Server started", "a line without a year"),
            ("[2932] 31 May 04:32:08 * The server", "a line without a year"),
            ("5092:signal-handler (1496141844) Received SIGINT", "2017-05-30T10:57:24Z"),
            ("26571:M 2026-11-22T02:21:28.395+01:00 * Ready", "2026-11-22T01:21:28.395Z"),
            ("26571:S 1795314089200 # x", "2026-11-22T02:21:29.2Z"),
            (r#"pid=7 role=primary timestamp="2026-11-22T02:21:28.395Z" level=notice message="x""#, "2026-11-22T02:21:28.395Z"),
            (r#"pid=7 role=primary timestamp="05 Nov 2026 02:21:28.395" level=notice message="x""#, "2026-11-05T02:21:28.395Z"),
            ("      _.-``__ ''-._", "a line without a date"),
            ("1:M 99 Dec 2018 11:19:18.874 * x", "unreadable time stamp"),
        ] {
            let got = match (Server { stamps: Timestamps::new(None) }).decode(Record::new(line.as_bytes()), &arena) {
                Decoded::Event(event) => event.time.to_string(),
                Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
            };
            assert_eq!(got, want, "{line}");
        }
    }
}
