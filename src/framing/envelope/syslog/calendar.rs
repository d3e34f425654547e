//! Time stamps of syslog: RFC 3339, or the traditional form, which has neither year nor zone; and those of `journalctl`.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::event::Time;
use crate::framing::envelope::rfc3339::rfc3339;

const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Clocks of hosts may be ahead of ours by so much.
const AHEAD: i64 = Time::DAY;

/// Years to look back for one in which the day exists (29 February) and is past.
const BACK: i16 = 8;

/// Reads time stamps; remembers the last minute.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    zone: Option<TimeZone>,
    /// The latest that a stamp without a year may be.
    written: Option<Time>,
    /// `Mmm dd hh:mm` and that minute.
    last: Option<([u8; 12], Time)>,
}

impl Calendar {
    /// `zone`: meaning of stamps without one; `None` is UTC.
    pub fn new(zone: Option<TimeZone>, written: Option<Time>) -> Self {
        Calendar { zone, written, last: None }
    }

    /// When the log was written to last.
    pub fn set_written(&mut self, written: Time) {
        // The year that was found holds good for a while.
        if self.written.is_none_or(|old| (written.0 - old.0).abs() > Time::HOUR) {
            self.written = Some(written);
            self.last = None;
        }
    }

    /// A time stamp at the start of `text`: the bytes that it takes, and what it means, if the year can be known.
    pub fn stamp(&mut self, text: &[u8]) -> Option<(usize, Option<Time>)> {
        match text.first()? {
            b'0'..=b'9' => self.iso(text).or_else(|| unix(text)).map(|(used, time)| (used, Some(time))),
            b'[' => monotonic(text).map(|used| (used, None)),
            _ if text.get(8) == Some(&b'-') => self.full(text).map(|(used, time)| (used, Some(time))),
            _ => self.traditional(text),
        }
    }

    /// `2026-11-22T02:21:28[.123456](Z|+01:00|+0100)`, or without a zone.
    fn iso(&mut self, text: &[u8]) -> Option<(usize, Time)> {
        let used = text.iter().position(|b| *b == b' ').unwrap_or(text.len()).min(40);
        let word = text.get(..used).filter(|word| matches!(word.get(10), Some(b'T' | b't')))?;
        if let Some(time) = rfc3339(word) {
            return Some((used, time));
        }
        let naive = std::str::from_utf8(word).ok()?.parse::<DateTime>().ok()?;
        Some((used, Time(self.local(naive)?)))
    }

    /// `Sun 2026-11-22 02:21:28[.123456] UTC`.
    fn full(&mut self, text: &[u8]) -> Option<(usize, Time)> {
        const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
        let mut words = text.splitn(5, |b| *b == b' ');
        let (day, date, clock, zone) = (words.next()?, words.next()?, words.next()?, words.next()?);
        if !DAYS.iter().any(|name| *name == day) || zone.is_empty() || zone.len() > 8 {
            return None;
        }
        let used = day.len() + date.len() + clock.len() + zone.len() + 3;
        let stamp = [date, b"T", clock, b"Z"].concat();
        let utc = rfc3339(&stamp)?;
        if zone == b"UTC" || self.zone.is_none() {
            return Some((used, utc));
        }
        let naive = std::str::from_utf8(stamp.strip_suffix(b"Z")?).ok()?.parse::<DateTime>().ok()?;
        Some((used, Time(self.local(naive)?)))
    }

    /// `Nov 22 02:21:28`, `Nov  2 02:21:28.123`, `Nov 22 2026 02:21:28`.
    fn traditional(&mut self, text: &[u8]) -> Option<(usize, Option<Time>)> {
        let (minute, rest) = text.split_first_chunk::<12>()?;
        let [m1, m2, m3, b' ', d1, d2, b' ', clock @ ..] = *minute else { return None };
        let month = MONTHS.iter().position(|name| **name == [m1, m2, m3])?;
        let month = i8::try_from(month + 1).ok()?;
        let day = if d1 == b' ' { digit(d2)? } else { two(d1, d2)? };
        let [h1, h2, b':', i1, i2] = clock else {
            return self.with_year(text, month, day);
        };
        let (micros, used) = seconds(rest)?;
        if let Some((last, time)) = &self.last
            && last == minute
        {
            return Some((12 + used, Some(Time(time.0 + micros))));
        }
        let (hour, minutes) = (two(h1, h2)?, two(i1, i2)?);
        // Any leap year tells whether such a minute can be.
        DateTime::new(2024, month, day, hour, minutes, 0, 0).ok()?;
        let found = self.year(month, day, hour, minutes);
        if let Some(time) = found {
            self.last = Some((*minute, time));
        }
        Some((12 + used, found.map(|time| Time(time.0 + micros))))
    }

    /// `Nov 22 2026 02:21:28`, as some appliances write.
    fn with_year(&mut self, text: &[u8], month: i8, day: i8) -> Option<(usize, Option<Time>)> {
        let [y1, y2, y3, y4, b' ', h1, h2, b':', i1, i2] = *text.get(7..)?.first_chunk::<10>()? else { return None };
        let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
        let (micros, used) = seconds(text.get(17..)?)?;
        let at = DateTime::new(year, month, day, two(h1, h2)?, two(i1, i2)?, 0, 0).ok()?;
        Some((17 + used, Some(Time(self.local(at)? + micros))))
    }

    /// The latest year in which this minute had come when the log was written.
    fn year(&self, month: i8, day: i8, hour: i8, minute: i8) -> Option<Time> {
        let written = self.written?;
        let latest = jiff::Timestamp::from_microsecond(written.0).ok()?.to_zoned(TimeZone::UTC).year() + 1;
        (0..=BACK).find_map(|back| {
            let date = Date::new(latest - back, month, day).ok()?;
            let time = self.local(date.at(hour, minute, 0, 0))?;
            (time <= written.0 + AHEAD).then_some(Time(time))
        })
    }

    fn local(&self, at: DateTime) -> Option<i64> {
        let timestamp = match &self.zone {
            Some(zone) => zone.to_timestamp(at).ok()?,
            None => Offset::UTC.to_timestamp(at).ok()?,
        };
        Some(timestamp.as_microsecond())
    }
}

/// `1795314088.123456`.
fn unix(text: &[u8]) -> Option<(usize, Time)> {
    let (stamp, _) = text.split_first_chunk::<17>()?;
    let whole = stamp.iter().enumerate().all(|(at, b)| if at == 10 { *b == b'.' } else { b.is_ascii_digit() });
    if !whole || text.get(17) != Some(&b' ') {
        return None;
    }
    let digits = stamp.iter().filter(|b| **b != b'.');
    Some((17, Time(digits.fold(0, |sum, b| sum * 10 + i64::from(b - b'0')))))
}

/// `[ 1234.567890]`, `[ 1234.567890 <    0.000012 >]`: seconds since the system started, of which nobody knows when it was. Its bytes.
fn monotonic(text: &[u8]) -> Option<usize> {
    let end = text.iter().take(64).position(|b| *b == b']')?;
    let inside = text.get(1..end)?;
    let point = inside.iter().position(|b| *b == b'.')?;
    let micros = inside.get(point + 1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let others = |b: &u8| b.is_ascii_digit() || matches!(b, b' ' | b'.' | b'<' | b'>' | b'*');
    (micros == 6 && inside.iter().all(others)).then_some(end + 1)
}

fn digit(b: u8) -> Option<i8> {
    b.is_ascii_digit().then(|| i8::try_from(b - b'0').unwrap_or(0))
}

fn two(a: u8, b: u8) -> Option<i8> {
    Some(digit(a)? * 10 + digit(b)?)
}

/// `:ss[.fraction]`: microseconds and bytes.
fn seconds(text: &[u8]) -> Option<(i64, usize)> {
    let (&[b':', a, b], rest) = text.split_first_chunk::<3>()? else { return None };
    let whole = i64::from(two(a, b)?);
    if whole > 60 {
        return None;
    }
    let (mut micros, mut used) = (0, 0);
    if rest.first() == Some(&b'.') {
        let mut scale = 100_000;
        used = 1;
        for digit in rest.iter().skip(1).take(9).take_while(|b| b.is_ascii_digit()) {
            micros += i64::from(digit - b'0') * scale;
            scale /= 10;
            used += 1;
        }
    }
    Some((whole * Time::SECOND + micros, 3 + used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: Option<&str>, text: &str, want: Option<&str>) {
        let written = written.map(|w| Time(w.parse::<jiff::Timestamp>().unwrap().as_microsecond()));
        let mut calendar = Calendar::new(None, written);
        // Twice: remembered minutes give the same answers.
        for _ in 0..2 {
            let got = calendar.stamp(text.as_bytes());
            assert_eq!(got.and_then(|(_, time)| time).map(|t| t.to_string()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn forms() {
        let then = Some("2026-11-27T10:00:00Z");
        check(then, "Nov 22 02:21:28 db1", Some("2026-11-22T02:21:28Z"));
        check(then, "Nov  2 02:21:28.123456 db1", Some("2026-11-02T02:21:28.123456Z"));
        check(then, "Nov 28 09:00:00 db1", Some("2026-11-28T09:00:00Z"));
        check(then, "Nov 29 10:00:00 db1", Some("2025-11-29T10:00:00Z"));
        check(then, "Feb 29 10:00:00 db1", Some("2024-02-29T10:00:00Z"));
        check(None, "Nov 22 2026 02:21:28 db1", Some("2026-11-22T02:21:28Z"));
        check(None, "2026-11-22T02:21:28.5+01:00 db1", Some("2026-11-22T01:21:28.5Z"));
        check(None, "2026-11-22T02:21:28+0100 db1", Some("2026-11-22T01:21:28Z"));
        check(None, "2026-11-22T02:21:28 db1", Some("2026-11-22T02:21:28Z"));
        check(None, "Nov 22 02:21:28 db1", None);
        check(None, "Sun 2026-11-22 02:21:28 UTC db1", Some("2026-11-22T02:21:28Z"));
        check(None, "Sun 2026-11-22 02:21:28.123456 UTC [s=1", Some("2026-11-22T02:21:28.123456Z"));
        check(None, "1795314088.123456 db1", Some("2026-11-22T02:21:28.123456Z"));
        check(None, "[ 1234.567890] db1", None);
        for bad in
            ["Nov 32 02:21:28", "Nov 22 24:21:28", "nov 22 02:21:28", "Nov 22 02:21", "2026-11-22 02:21:28", "2026", "", "Nov 31 02:21:28"]
        {
            check(then, bad, None);
        }
    }

    #[test]
    fn years_end() {
        check(Some("2027-01-01T00:10:00Z"), "Dec 31 23:59:59", Some("2026-12-31T23:59:59Z"));
        check(Some("2026-12-31T23:59:00Z"), "Jan  1 00:00:05", Some("2027-01-01T00:00:05Z"));
        let mut calendar = Calendar::new(None, None);
        calendar.set_written(Time(1_798_761_000_000_000)); // 2026-12-31T23:50:00Z
        let at = |calendar: &mut Calendar, text: &[u8]| calendar.stamp(text).unwrap().1.unwrap().to_string();
        assert_eq!(at(&mut calendar, b"Dec 31 23:50:00 "), "2026-12-31T23:50:00Z");
        calendar.set_written(Time(1_830_297_000_000_000)); // a year later
        assert_eq!(at(&mut calendar, b"Dec 31 23:50:00 "), "2027-12-31T23:50:00Z");
    }

    #[test]
    fn a_configured_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut calendar = Calendar::new(Some(zone), Some(Time(1_795_773_600_000_000)));
        for stamp in ["Nov 22 02:21:28 x", "Sun 2026-11-22 02:21:28 CET x", "Sun 2026-11-22 01:21:28 UTC x"] {
            assert_eq!(calendar.stamp(stamp.as_bytes()).unwrap().1.unwrap().to_string(), "2026-11-22T01:21:28Z");
        }
    }
}
