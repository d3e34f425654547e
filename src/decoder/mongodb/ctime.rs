//! Time stamps without a year, of MongoDB before 2.6 and with `timeStampFormat: ctime`: `Wed Mar  5 17:14:24.639`.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::event::Time;

/// Years in which servers wrote this form by default. Of those that fit the day of the week, the last is taken.
const YEARS: std::ops::RangeInclusive<i16> = 2009..=2019;

const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Fields of a stamp, and the bytes that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    weekday: usize,
    month: i8,
    day: i8,
    clock: (i8, i8, i8, i32),
    pub used: usize,
}

/// The stamp at the start of `text`.
pub fn stamp(text: &[u8]) -> Option<Stamp> {
    let [w1, w2, w3, b' ', m1, m2, m3, b' ', d1, d2, b' ', h1, h2, b':', i1, i2, b':', s1, s2] = *text.first_chunk::<19>()? else {
        return None;
    };
    let weekday = DAYS.iter().position(|day| **day == [w1, w2, w3])?;
    let month = MONTHS.iter().position(|month| **month == [m1, m2, m3])?;
    let two = |tens: u8, ones: u8| (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| ((tens - b'0') * 10 + (ones - b'0')) as i8);
    let day = two(if d1 == b' ' { b'0' } else { d1 }, d2)?;
    let clock = (two(h1, h2)?, two(i1, i2)?, two(s1, s2)?);
    let (millis, used) = match text.get(19) {
        Some(b'.') => (millis(text.get(20..23)?)?, 23),
        _ => (0, 19),
    };
    Some(Stamp { weekday, month: month as i8 + 1, day, clock: (clock.0, clock.1, clock.2, millis * 1_000_000), used })
}

/// Three digits; what else makes a number, as copies of logs may have it, is one too.
fn millis(text: &[u8]) -> Option<i32> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(i32::from(a - b'0') * 100 + i32::from(b - b'0') * 10 + i32::from(c - b'0'))
        }
        _ => std::str::from_utf8(text).ok()?.trim_start().parse().ok().filter(|n| *n >= 0),
    }
}

impl Stamp {
    /// The time, in the year that `known` tells (kept up to date here), or else in the last year that fits. `near`: when a relay took
    /// the record in.
    pub fn time(&self, known: &mut Option<i16>, near: Option<Time>, zone: Option<&TimeZone>) -> Option<Time> {
        let fits = |year: &i16| {
            let date = Date::new(*year, self.month, self.day).ok();
            date.is_some_and(|d| d.weekday().to_monday_zero_offset() as usize == self.weekday % DAYS.len())
        };
        let near = near.and_then(|t| jiff::Timestamp::from_microsecond(t.0).ok()).map(|t| t.to_zoned(TimeZone::UTC).year());
        let year = match (*known, near) {
            (_, Some(near)) => [near, near - 1, near + 1].into_iter().find(fits),
            (Some(year), None) => [year, year + 1, year - 1].into_iter().find(fits),
            (None, None) => None,
        };
        let year = year.or_else(|| YEARS.rev().find(fits))?;
        *known = Some(year);
        let (hour, minute, second, nanos) = self.clock;
        let at = DateTime::new(year, self.month, self.day, hour, minute, second, nanos).ok()?;
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        Some(Time(zone.to_timestamp(at).ok()?.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, near: Option<&str>, want: Option<&str>) {
        let near = near.map(|t| Time(t.parse::<jiff::Timestamp>().unwrap().as_microsecond()));
        let got = stamp(text.as_bytes()).and_then(|s| s.time(&mut None, near, None)).map(|t| t.to_string());
        assert_eq!(got.as_deref(), want, "{text}");
    }

    #[test]
    fn years_by_the_day_of_the_week() {
        check("Wed Jul 13 16:14:35.324 I QUERY", None, Some("2016-07-13T16:14:35.324Z"));
        check("Thu Mar  6 11:21:51.314 [TTLMonitor]", None, Some("2014-03-06T11:21:51.314Z"));
        check("Thu Mar  6 11:21:51 [TTLMonitor]", Some("2025-03-07T00:00:00Z"), Some("2025-03-06T11:21:51Z"));
        check("Thu Feb 30 11:21:51 [x]", None, None);
        check("Thu Mar  6 25:21:51 [x]", None, None);
        check("Thu Mar  6 11:21", None, None);
        check("Xxx Mar  6 11:21:51", None, None);
    }

    #[test]
    fn a_year_goes_on_and_ends() {
        let mut year = None;
        let mut at = |text: &str| stamp(text.as_bytes()).and_then(|s| s.time(&mut year, None, None)).unwrap().to_string();
        assert_eq!(at("Mon Dec 30 11:00:00.000"), "2019-12-30T11:00:00Z");
        assert_eq!(at("Wed Jan  1 11:00:00.000"), "2020-01-01T11:00:00Z");
    }
}
