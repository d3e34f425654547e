//! Text time stamps -> [`Time`].
//!
//! Servers write `2026-11-22 02:05:17.355 UTC` thousands of times a second, so the minute and the zone of the last stamp
//! are remembered: a stamp of the same minute costs a comparison and a few digits.
//!
//! A zone may be an offset (`+03`, `+0530`, `+05:30`, `Z`), an abbreviation, or absent. An abbreviation that the configured
//! zone uses means that zone (and tells the two sides of a clock change apart); else one that has a single meaning has that
//! meaning; any other (`IST`, `CST`, `EST`, `BST`) and an absent zone mean the configured zone, or UTC where there is none.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::event::Time;
use crate::framing::seek::near;

/// Abbreviations and what they mean, in minutes east of UTC, where the configured zone has none of that name: those that mean one offset wherever they
/// are written, and those of which PostgreSQL's default set of abbreviations takes this one.
const ABBREVIATIONS: &[(&[u8], i32)] = &[
    (b"UTC", 0),
    (b"GMT", 0),
    (b"UCT", 0),
    (b"Z", 0),
    (b"WET", 0),
    (b"WEST", 60),
    (b"CET", 60),
    (b"MET", 60),
    (b"CEST", 120),
    (b"MEST", 120),
    (b"EET", 120),
    (b"SAST", 120),
    (b"EEST", 180),
    (b"MSK", 180),
    (b"PKT", 300),
    (b"WIB", 420),
    (b"HKT", 480),
    (b"AWST", 480),
    (b"JST", 540),
    (b"KST", 540),
    (b"ACST", 570),
    (b"AEST", 600),
    (b"ACDT", 630),
    (b"AEDT", 660),
    (b"NZST", 720),
    (b"NZDT", 780),
    (b"NST", -210),
    (b"NDT", -150),
    (b"BST", 60),
    (b"EST", -300),
    (b"EDT", -240),
    (b"CDT", -300),
    (b"MST", -420),
    (b"MDT", -360),
    (b"PDT", -420),
    (b"PST", -480),
    (b"AKDT", -480),
    (b"AKST", -540),
    (b"HST", -600),
    (b"ADT", -180),
    (b"SGT", 480),
    (b"MYT", 480),
    (b"PHT", 480),
    (b"WITA", 480),
    (b"WIT", 540),
    (b"ICT", 420),
    (b"NPT", 345),
    (b"UZT", 300),
    (b"IRST", 210),
    (b"EAT", 180),
    (b"TRT", 180),
    (b"IDT", 180),
    (b"CAT", 120),
    (b"WAT", 60),
    (b"BRST", -120),
    (b"BRT", -180),
    (b"ART", -180),
    (b"UYT", -180),
    (b"BOT", -240),
    (b"COT", -300),
    (b"PET", -300),
];

/// Longest zone text that is read; an abbreviation in PostgreSQL has at most 10 letters.
const ZONE: usize = 12;

/// Longest text that [`Timestamps::parse_prefix`] can use up: date, time, six digits, blank and zone.
pub const LONGEST: usize = 10 + 1 + 8 + 7 + 1 + ZONE;

/// The text is not a time stamp, or not one that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time stamp of a known form")]
pub struct NotATime;

/// Reads time stamps; one per partition, as it remembers the last date and zone.
#[derive(Debug, Clone)]
pub struct Timestamps {
    zone: Option<TimeZone>,
    /// `YYYY-MM-DD HH:MM` of the last stamp with its zone text, and that minute in microseconds since the epoch.
    last: Option<Last>,
}

#[derive(Debug, Clone)]
struct Last {
    minute: [u8; 16],
    zone: [u8; ZONE],
    zone_len: usize,
    base: i64,
}

impl Timestamps {
    /// `zone`: meaning of stamps that name no zone or an ambiguous one; `None` is UTC.
    pub fn new(zone: Option<TimeZone>) -> Self {
        Timestamps { zone, last: None }
    }

    /// A time stamp that fills `text`: `YYYY-MM-DD hh:mm[:ss][.f{1,9}][[ ]zone]` with blank or `T`, or `YYYYMMDD hh:mm:ss`.
    pub fn parse(&mut self, text: &[u8]) -> Result<Time, NotATime> {
        let (time, used) = self.parse_prefix(text)?;
        if used == text.len() { Ok(time) } else { Err(NotATime) }
    }

    /// A time stamp at the start of `text`, and how many bytes it uses. A zone is taken where one can be read.
    pub fn parse_prefix(&mut self, text: &[u8]) -> Result<(Time, usize), NotATime> {
        let Some((minute, rest)) = text.split_first_chunk::<16>() else { return Err(NotATime) };
        let compact = minute.get(4).is_some_and(u8::is_ascii_digit);
        if compact {
            return self.compact(text);
        }
        let (micros, mut used) = seconds(rest)?;
        used += 16;
        let after = text.get(used..).unwrap_or_default();
        let (zone, zone_used) = zone_text(after);
        used += zone_used;
        if let Some(last) = &self.last
            && last.minute == *minute
            && last.zone.get(..last.zone_len) == Some(zone)
        {
            return Ok((Time(last.base + micros), used));
        }
        let date = civil_minute(minute)?;
        let base = self.resolve(date, zone)?;
        let mut kept = [0; ZONE];
        if let Some(slot) = kept.get_mut(..zone.len()) {
            slot.copy_from_slice(zone);
            self.last = Some(Last { minute: *minute, zone: kept, zone_len: zone.len(), base });
        }
        Ok((Time(base + micros), used))
    }

    /// `20261122 02:21:28`, as MariaDB's audit plugin writes it; never with a zone.
    fn compact(&mut self, text: &[u8]) -> Result<(Time, usize), NotATime> {
        let Some((stamp, _)) = text.split_first_chunk::<17>() else { return Err(NotATime) };
        let [y1, y2, y3, y4, m1, m2, d1, d2, b' ', h1, h2, b':', i1, i2, b':', s1, s2] = *stamp else { return Err(NotATime) };
        let minute = [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', i1, i2];
        let seconds = two(s1, s2)?;
        let base = match &self.last {
            Some(last) if last.minute == minute && last.zone_len == 0 => last.base,
            _ => {
                let base = self.resolve(civil_minute(&minute)?, b"")?;
                self.last = Some(Last { minute, zone: [0; ZONE], zone_len: 0, base });
                base
            }
        };
        Ok((Time(base + i64::from(seconds) * Time::SECOND), 17))
    }

    /// The minute `at` in `zone`, in microseconds since the epoch.
    fn resolve(&self, at: civil::DateTime, zone: &[u8]) -> Result<i64, NotATime> {
        if zone.is_empty() {
            return self.local(at);
        }
        if matches!(zone.first(), Some(b'+' | b'-')) {
            return fixed(at, offset_minutes(zone).ok_or(NotATime)?);
        }
        if let Some(configured) = &self.zone
            && let Some(base) = by_abbreviation(at, configured, zone)
        {
            return Ok(base);
        }
        match ABBREVIATIONS.iter().find(|(name, _)| zone.eq_ignore_ascii_case(name)) {
            Some((_, minutes)) => fixed(at, *minutes),
            None => self.local(at),
        }
    }

    fn local(&self, at: civil::DateTime) -> Result<i64, NotATime> {
        match &self.zone {
            // A time that occurs twice is the earlier of the two; one that never occurs is moved on, as the clock was.
            Some(zone) => Ok(zone.to_timestamp(at).map_err(|_| NotATime)?.as_microsecond()),
            None => fixed(at, 0),
        }
    }
}

/// Seconds since the epoch with up to nine fraction digits (`%n`: `1795313117.355`); finer than microseconds is cut.
pub fn epoch(text: &[u8]) -> Result<Time, NotATime> {
    let dot = near(b'.', text).unwrap_or(text.len());
    let whole = text.get(..dot).unwrap_or_default();
    if whole.is_empty() || whole.len() > 11 {
        return Err(NotATime);
    }
    let seconds = whole.iter().try_fold(0i64, |n, b| Ok(n * 10 + i64::from(digit(*b)?)))?;
    let micros = match text.get(dot..) {
        None | Some([]) => 0,
        Some(rest) => {
            let (micros, used) = fraction(rest)?;
            if used != rest.len() {
                return Err(NotATime);
            }
            micros
        }
    };
    Ok(Time(seconds * Time::SECOND + micros))
}

/// Length of the time stamp at the start of `text` by its form alone: `YYYY-MM-DD hh:mm:ss[.f][ zone]`. Cheaper than reading it.
#[inline]
pub fn form(text: &[u8]) -> Option<usize> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', i1, i2, b':', s1, s2] = *text.first_chunk::<19>()? else {
        return None;
    };
    if [y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, i1, i2, s1, s2].iter().fold(false, |other, b| other | !b.is_ascii_digit()) {
        return None;
    }
    if (s1, s2) > (b'6', b'0') {
        return None;
    }
    let rest = text.get(19..)?;
    let fraction = match rest {
        [b'.' | b',', digits @ ..] => match digits.iter().take(9).take_while(|b| b.is_ascii_digit()).count() {
            0 => return None,
            digits => 1 + digits,
        },
        _ => 0,
    };
    let (_, zone) = zone_text(rest.get(fraction..)?);
    Some(19 + fraction + zone)
}

fn digit(b: u8) -> Result<u8, NotATime> {
    let value = b.wrapping_sub(b'0');
    if value < 10 { Ok(value) } else { Err(NotATime) }
}

fn two(a: u8, b: u8) -> Result<i8, NotATime> {
    Ok((digit(a)? * 10 + digit(b)?) as i8)
}

/// `YYYY-MM-DD hh:mm`, with blank or `T` between.
fn civil_minute(text: &[u8; 16]) -> Result<civil::DateTime, NotATime> {
    let [y1, y2, y3, y4, b'-' | b'/', m1, m2, b'-' | b'/', d1, d2, b' ' | b'T' | b't', h1, h2, b':', i1, i2] = *text else {
        return Err(NotATime);
    };
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    civil::DateTime::new(year, two(m1, m2)?, two(d1, d2)?, two(h1, h2)?, two(i1, i2)?, 0, 0).map_err(|_| NotATime)
}

/// What follows the minute: `:ss[.f]` or nothing. Microseconds and bytes used; a leap second counts as the next minute.
fn seconds(text: &[u8]) -> Result<(i64, usize), NotATime> {
    let Some((&[b':', a, b], rest)) = text.split_first_chunk::<3>() else {
        return if text.first() == Some(&b':') { Err(NotATime) } else { Ok((0, 0)) };
    };
    let whole = i64::from(two(a, b)?);
    if whole > 60 {
        return Err(NotATime);
    }
    let (micros, used) = match rest.first() {
        Some(b'.' | b',') => fraction(rest)?,
        _ => (0, 0),
    };
    Ok((whole * Time::SECOND + micros, 3 + used))
}

/// A point and one to nine digits.
fn fraction(text: &[u8]) -> Result<(i64, usize), NotATime> {
    let mut micros = 0i64;
    let mut scale = 100_000i64;
    let mut used = 1;
    for b in text.iter().skip(1).take(9) {
        let Ok(value) = digit(*b) else { break };
        micros += i64::from(value) * scale;
        scale /= 10;
        used += 1;
    }
    if used == 1 { Err(NotATime) } else { Ok((micros, used)) }
}

/// The zone at the start of `text`, with its leading blank among the bytes used. Empty where there is none.
#[inline]
fn zone_text(text: &[u8]) -> (&[u8], usize) {
    // Most logs are in UTC.
    if let [b' ', zone @ .., b' ' | b']'] = text.get(..5).unwrap_or_default()
        && zone == b"UTC"
    {
        return (b"UTC", 4);
    }
    let (blank, body) = match text {
        [b' ', rest @ ..] => (1, rest),
        _ => (0, text),
    };
    let len = match body.first() {
        Some(b'+' | b'-') => {
            let digits = body.iter().skip(1).take(8).take_while(|b| b.is_ascii_digit() || **b == b':').count();
            // `+05:30` ends with a digit: a colon that follows the zone is not part of it.
            let tail = body.get(1..=digits).unwrap_or_default().iter().rev().take_while(|b| **b == b':').count();
            if digits > tail { 1 + digits - tail } else { 0 }
        }
        Some(b) if b.is_ascii_uppercase() || (blank == 0 && *b == b'z') => {
            let letters = body.iter().take(ZONE + 1).take_while(|b| b.is_ascii_alphabetic()).count();
            // An abbreviation has 3 to 10 letters, `Z` stands alone; anything else is the next field.
            if matches!(letters, 1 | 3..=10) && (letters > 1 || matches!(body.first(), Some(b'Z' | b'z'))) { letters } else { 0 }
        }
        _ => 0,
    };
    match body.get(..len) {
        Some(zone) if len > 0 => (zone, blank + len),
        _ => (b"", 0),
    }
}

/// `+03`, `-0530`, `+05:30`, `+05:30:00` in minutes; `None` where `zone` is no offset.
fn offset_minutes(zone: &[u8]) -> Option<i32> {
    let (sign, body) = match zone {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let mut digits = body.iter().filter(|b| **b != b':').map(|b| i32::from(*b - b'0'));
    let mut pair = || Some(digits.next()? * 10 + digits.next()?);
    let hours = pair()?;
    let minutes = pair().unwrap_or(0);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn fixed(at: civil::DateTime, minutes: i32) -> Result<i64, NotATime> {
    let offset = Offset::from_seconds(minutes * 60).map_err(|_| NotATime)?;
    Ok(offset.to_timestamp(at).map_err(|_| NotATime)?.as_microsecond())
}

/// The minute in the configured zone under that of its offsets which bears this abbreviation.
fn by_abbreviation(at: civil::DateTime, zone: &TimeZone, name: &[u8]) -> Option<i64> {
    let candidates = match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
        AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => [Some(before), Some(after)],
    };
    candidates.into_iter().flatten().find_map(|offset| {
        let instant = offset.to_timestamp(at).ok()?;
        let info = zone.to_offset_info(instant);
        info.abbreviation().as_bytes().eq_ignore_ascii_case(name).then(|| instant.as_microsecond())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(zone: Option<&str>, text: &str) -> String {
        let zone = zone.map(|z| TimeZone::get(z).unwrap());
        match Timestamps::new(zone).parse(text.as_bytes()) {
            Ok(time) => time.to_string(),
            Err(_) => "error".to_owned(),
        }
    }

    #[test]
    fn forms() {
        for (zone, text, want) in [
            (None, "2026-11-22 02:05:17.355 UTC", "2026-11-22T02:05:17.355Z"),
            (None, "2026-11-22 02:05:17 UTC", "2026-11-22T02:05:17Z"),
            (None, "2026-11-22 02:05:17.355123 +03", "2026-11-21T23:05:17.355123Z"),
            (None, "2026-11-22 02:05:17 +0530", "2026-11-21T20:35:17Z"),
            (None, "2026-11-22 02:05:17-03:30", "2026-11-22T05:35:17Z"),
            (None, "2026-11-22T02:05:17.1Z", "2026-11-22T02:05:17.1Z"),
            (None, "2026-11-22T02:05:17.123456789Z", "2026-11-22T02:05:17.123456Z"),
            (None, "2026-11-22 02:05:17", "2026-11-22T02:05:17Z"),
            (None, "2026-11-22 02:05", "2026-11-22T02:05:00Z"),
            (None, "2026-07-22 02:05:17 CEST", "2026-07-22T00:05:17Z"),
            (Some("Europe/Berlin"), "2026-07-22 02:05:17", "2026-07-22T00:05:17Z"),
            // Ambiguous: the configured zone, else UTC.
            (Some("Asia/Kolkata"), "2026-07-22 02:05:17 IST", "2026-07-21T20:35:17Z"),
            (Some("Asia/Jerusalem"), "2026-01-22 02:05:17 IST", "2026-01-22T00:05:17Z"),
            (None, "2026-07-22 02:05:17 IST", "2026-07-22T02:05:17Z"),
            // The abbreviation tells the two sides of a fold apart.
            (Some("Europe/Berlin"), "2026-10-25 02:30:00 CEST", "2026-10-25T00:30:00Z"),
            (Some("Europe/Berlin"), "2026-10-25 02:30:00 CET", "2026-10-25T01:30:00Z"),
            (Some("Europe/Berlin"), "2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
            (None, "20261122 02:21:28", "2026-11-22T02:21:28Z"),
            (None, "2026-13-22 02:05:17 UTC", "error"),
            (None, "2026-11-31 02:05:17 UTC", "error"),
            (None, "2026-11-22 25:05:17 UTC", "error"),
            (None, "2026-11-22 02:05:77 UTC", "error"),
            (None, "2026-11-22 02:05:17. UTC", "error"),
            (None, "2026-11-22 02:05:17 +99", "error"),
            (None, "", "error"),
            (None, "999999999999999999999", "error"),
        ] {
            assert_eq!(show(zone, text), want, "{text} in {zone:?}");
        }
    }

    #[test]
    fn the_form_of_a_stamp_ends_where_the_stamp_does() {
        for text in [
            "2026-11-22 02:05:17.355 UTC [980] LOG",
            "2026-11-22 02:05:17 UTC:10.0.0.1(5)",
            "2026-11-22 02:05:17,1234567891 x",
            "2026-11-22 02:05:60 +05:30 [980]",
            "2026-11-22 02:05:61 UTC",
            "2026-11-22 02:05:99",
            "2026-11-22 02:05:17. UTC",
            "2026-11-22 02:05:17",
            "2026-11-22 02:05",
        ] {
            let seconds = text.len() >= 19;
            let want = Timestamps::new(None).parse_prefix(text.as_bytes()).ok().filter(|_| seconds).map(|(_, used)| used);
            assert_eq!(form(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_stamp_ends_where_the_next_field_begins() {
        let mut stamps = Timestamps::new(None);
        for (text, used) in [
            ("2026-11-22 02:05:17.355 UTC [980] LOG", 27),
            ("2026-11-22 02:05:17 UTC:10.0.0.1(5)", 23),
            ("2026-11-22 02:05:17 [980]", 19),
            ("2026-11-22 02:05:17 +03:[980]", 23),
            ("2026-11-22 02:05:17.355 +05:30 [980]", 30),
        ] {
            assert_eq!(stamps.parse_prefix(text.as_bytes()).map(|(_, n)| n), Ok(used), "{text}");
        }
    }

    #[test]
    fn remembered_minutes_give_the_same_answers() {
        let mut warm = Timestamps::new(None);
        for text in [
            "2026-11-22 02:05:17.355 UTC",
            "2026-11-22 02:05:18 CET",
            "2026-11-22 02:05:19",
            "20261122 02:05:20",
            "2026-11-22 02:05:21 UTC",
        ] {
            assert_eq!(warm.parse(text.as_bytes()), Timestamps::new(None).parse(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn epochs() {
        assert_eq!(epoch(b"1795313117.355"), Ok(Time(1_795_313_117_355_000)));
        assert_eq!(epoch(b"1795313117"), Ok(Time(1_795_313_117_000_000)));
        for bad in [&b""[..], b".5", b"1.", b"-1", b"99999999999999", b"1.5x"] {
            assert_eq!(epoch(bad), Err(NotATime), "{bad:?}");
        }
    }
}
