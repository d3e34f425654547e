//! Time stamps without a year, of MongoDB before 2.6 and with `timeStampFormat: ctime`: `Wed Mar  5 17:14:24.639`.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::event::Time;

/// Years in which servers wrote this form by default. Of those that fit the day of the week, the last is taken.
const YEARS: std::ops::RangeInclusive<i16> = 2009..=2019;

const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

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
    let weekday = DAYS.iter().position(|day| text.starts_with(day))?;
    let month = MONTHS.iter().position(|month| text.get(4..7) == Some(month))?;
    let form = text.get(..19)?;
    let shape = b"www mmm _9 99:99:99";
    let fits = |(byte, wanted): (&u8, &u8)| match wanted {
        b'9' => byte.is_ascii_digit(),
        b'_' => byte.is_ascii_digit() || *byte == b' ',
        b'w' | b'm' => true,
        other => byte == other,
    };
    if !form.iter().zip(shape).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i32> { std::str::from_utf8(text.get(from..to)?).ok()?.trim_start().parse().ok() };
    let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
    let (millis, used) = match text.get(19) {
        Some(b'.') => (number(20, 23).filter(|n| *n >= 0)?, 23),
        _ => (0, 19),
    };
    Some(Stamp { weekday, month: month as i8 + 1, day: small(8)?, clock: (small(11)?, small(14)?, small(17)?, millis * 1_000_000), used })
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
