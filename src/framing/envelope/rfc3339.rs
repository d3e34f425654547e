//! Time stamps of RFC 3339, which nearly every envelope has: `2026-11-22T02:21:28[.123456](Z|+01:00)`.
//!
//! The usual form is read here; whatever else such a stamp may be, and whether it is one at all, [`jiff`] says.

use crate::event::Time;

/// A time stamp with its zone, and nothing else.
pub(crate) fn rfc3339(text: &[u8]) -> Option<Time> {
    usual(text).or_else(|| {
        // Much is asked for that is none, and to be told so takes the library long.
        let may_be = matches!(text.first(), Some(b'0'..=b'9' | b'+' | b'-')) && text.iter().any(|b| matches!(b, b'T' | b't' | b' '));
        if !may_be {
            return None;
        }
        let time = std::str::from_utf8(text).ok()?.parse::<jiff::Timestamp>().ok()?;
        Some(Time(time.as_microsecond()))
    })
}

fn usual(text: &[u8]) -> Option<Time> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2] = *head else { return None };
    let (year, month, day) = (two(y1, y2)? * 100 + two(y3, y4)?, two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(i1, i2)?, two(s1, s2)?);
    // Years far from the ends of what jiff can hold, and from the epoch.
    if !(1971..=9000).contains(&year) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, zone) = match rest {
        [b'.', digits @ ..] => fraction(digits)?,
        zone => (0, zone),
    };
    let ahead = match *zone {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 18 || minutes > 59 || (sign == b'-' && hours + minutes == 0) {
                return None;
            }
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let minutes = (days(year, month, day)? * 24 + hour) * 60 + minute - ahead;
    Some(Time(minutes * Time::MINUTE + second * Time::SECOND + micros))
}

/// One to nine digits, those finer than microseconds cut, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let mut micros = 0;
    for at in 0..6 {
        let digit = text.get(at).filter(|_| at < digits).map_or(0, |b| i64::from(b - b'0'));
        micros = micros * 10 + digit;
    }
    Some((micros, text.get(digits..)?))
}

/// Days since the epoch; `None` where there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let index = usize::try_from(month - 1).ok()?;
    let length = LENGTHS.get(index)? + i64::from(leap && month == 2);
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March end with the leap day.
    let (from_march, year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let within = (153 * from_march + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + within - 719_468)
}

fn two(a: u8, b: u8) -> Option<i64> {
    (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i64::from((a - b'0') * 10 + (b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The usual form means what the library says.
    #[test]
    fn as_the_library_reads_it() {
        let mut read = 0;
        for date in
            ["1969-12-31", "1971-01-01", "2000-02-29", "2023-02-29", "2024-02-29", "2026-11-22", "2026-11-31", "2100-03-01", "8999-12-31"]
        {
            for clock in ["T00:00:00", "T23:59:59", "T23:59:60", "T24:00:00", " 02:21:28", "T02:21"] {
                for fraction in ["", ".1", ".123456", ".123456789", ".1234567891", "."] {
                    for zone in ["Z", "z", "+00:00", "-00:00", "+01:00", "-11:30", "+18:59", "+19:00", "+01", "+0100", "", "Zx"] {
                        let text = format!("{date}{clock}{fraction}{zone}");
                        let want = text.parse::<jiff::Timestamp>().ok().map(|time| Time(time.as_microsecond()));
                        assert_eq!(rfc3339(text.as_bytes()), want, "{text}");
                        if let Some(time) = usual(text.as_bytes()) {
                            read += 1;
                            assert_eq!(Some(time), want, "{text}");
                        }
                    }
                }
            }
        }
        assert!(read > 100);
        for text in [
            "",
            "2026-11-22",
            "02:21:28Z",
            "+002026-11-22T02:21:28Z",
            "20261122T022128Z",
            "2026-11-22T02Z",
            " 2026-11-22T02:21:28Z",
            "db.log",
        ] {
            let want = text.parse::<jiff::Timestamp>().ok().map(|time| Time(time.as_microsecond()));
            assert_eq!(rfc3339(text.as_bytes()), want, "{text}");
        }
        for day in 0..200_000 {
            let time = Time(day * Time::DAY * 13 / 10 + 400 * Time::DAY);
            assert_eq!(usual(time.to_string().as_bytes()), Some(time));
        }
    }
}
