//! Declared hours of a token: `Mon-Fri 07:00-19:00 Europe/Berlin`, `Mon,Wed 22:00-02:00; Sat 09:00-12:00 UTC`.

use jiff::tz::TimeZone;

use crate::config::value;
use crate::event::Time;

const DAY: u16 = 24 * 60;
const EVERY_DAY: u8 = 0b111_1111;
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// When a token may be used. Local time of a zone, correct over changes of daylight saving time.
#[derive(Debug, Clone)]
pub struct Hours {
    written: String,
    windows: Vec<Window>,
}

#[derive(Debug, Clone)]
struct Window {
    /// Days on which it begins; bit 0 is Monday.
    days: u8,
    /// Minutes after midnight.
    from: u16,
    /// Exclusive; beyond one day where it runs past midnight.
    to: u16,
    zone: TimeZone,
}

impl Hours {
    /// Reads windows separated by `;` or `,`, each `[days] from-to [zone]`. Days are names (`Mon`, `Mon-Fri`, `Mon,Wed`) and
    /// default to every day; a window whose end is not after its begin runs past midnight. A window without a zone takes
    /// the next one that is named, or else the last, or else UTC.
    pub fn parse(written: &str) -> Result<Self, String> {
        let mut windows: Vec<(u8, u16, u16, Option<TimeZone>)> = Vec::new();
        let mut waiting: u8 = 0;
        for piece in written.split([';', ',']).map(str::trim) {
            let mut days: Option<u8> = None;
            let mut range: Option<(u16, u16)> = None;
            let mut zone: Option<TimeZone> = None;
            for word in piece.split_whitespace() {
                if range.is_none() && word.starts_with(|c: char| c.is_ascii_digit()) {
                    range = Some(minutes(word)?);
                } else if range.is_none() && days.is_none() {
                    days = Some(weekdays(word)?);
                } else if range.is_some() && zone.is_none() {
                    zone = Some(value::zone(word)?);
                } else {
                    return Err(format!("\"{word}\" in \"{piece}\" is not understood; write days, then from-to, then the zone"));
                }
            }
            match (range, days) {
                (Some((from, to)), days) => {
                    let all = days.unwrap_or(0) | std::mem::take(&mut waiting);
                    windows.push((if all == 0 { EVERY_DAY } else { all }, from, to, zone));
                }
                (None, Some(days)) => waiting |= days,
                (None, None) => return Err(format!("an empty part in \"{written}\"; write for example \"Mon-Fri 07:00-19:00\"")),
            }
        }
        if waiting != 0 {
            return Err(format!("\"{written}\" ends with days that have no hours; write for example \"Sat 09:00-12:00\""));
        }
        Ok(Hours { written: written.to_owned(), windows: with_zones(windows) })
    }

    /// The moment lies inside a window.
    pub fn contain(&self, time: Time) -> bool {
        let Ok(stamp) = jiff::Timestamp::from_microsecond(time.0) else { return false };
        self.windows.iter().any(|window| {
            let local = stamp.as_second() + i64::from(window.zone.to_offset(stamp).seconds());
            let days = local.div_euclid(86_400);
            // 1970-01-01 was a Thursday.
            let today = (days + 3).rem_euclid(7);
            let yesterday = (days + 2).rem_euclid(7);
            let minute = (local.rem_euclid(86_400) / 60) as u16;
            let begins = |day: i64| window.days >> day & 1 == 1;
            begins(today) && (window.from..window.to).contains(&minute) || begins(yesterday) && minute + DAY < window.to
        })
    }
}

/// As it was written.
impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

fn with_zones(windows: Vec<(u8, u16, u16, Option<TimeZone>)>) -> Vec<Window> {
    let last = windows.iter().rev().find_map(|(.., zone)| zone.clone()).unwrap_or(TimeZone::UTC);
    let mut next = last;
    let mut resolved: Vec<Window> = windows
        .into_iter()
        .rev()
        .map(|(days, from, to, zone)| {
            next = zone.unwrap_or_else(|| next.clone());
            Window { days, from, to, zone: next.clone() }
        })
        .collect();
    resolved.reverse();
    resolved
}

/// `07:00-19:00` as minutes after midnight; the end is later than the begin, beyond one day if need be.
fn minutes(word: &str) -> Result<(u16, u16), String> {
    let bad = || format!("\"{word}\" is not a span of hours; write for example 07:00-19:00");
    let clock = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok().filter(|_| minute.len() == 2)?);
        (minute < 60 && (hour < 24 || hour == 24 && minute == 0)).then_some(hour * 60 + minute)
    };
    let (from, to) = word.split_once('-').ok_or_else(bad)?;
    let (from, to) = (clock(from).ok_or_else(bad)?, clock(to).ok_or_else(bad)?);
    match from.cmp(&to) {
        _ if from == DAY => Err(bad()),
        std::cmp::Ordering::Equal => Err(format!("\"{word}\" is empty; the whole day is 00:00-24:00")),
        std::cmp::Ordering::Less => Ok((from, to)),
        std::cmp::Ordering::Greater => Ok((from, to + DAY)),
    }
}

/// `Mon`, `Mon-Fri`, `Sat-Mon`, `daily` as a set of bits.
fn weekdays(word: &str) -> Result<u8, String> {
    if matches!(word.to_ascii_lowercase().as_str(), "daily" | "*") {
        return Ok(EVERY_DAY);
    }
    let number = |name: &str| {
        let name = name.to_ascii_lowercase();
        DAYS.iter()
            .position(|day| name.len() >= 3 && day.starts_with(&name))
            .ok_or_else(|| format!("\"{word}\" is not a day of the week; write Mon, Tue, Wed, Thu, Fri, Sat, Sun or Mon-Fri"))
    };
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (number(first)?, number(last)?);
    let length = (last + 7 - first) % 7;
    Ok((0..=length).fold(0, |set, step| set | 1 << ((first + step) % 7)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(hours: &str, moment: &str) -> bool {
        Hours::parse(hours).unwrap().contain(value::moment(moment).unwrap())
    }

    #[test]
    fn local_time_over_the_change_of_daylight_saving() {
        let hours = "Mon-Fri 07:00-19:00 Europe/Berlin";
        // Winter, UTC+1.
        assert!(contains(hours, "2026-01-05T06:00:00Z") && !contains(hours, "2026-01-05T05:59:59Z"));
        // Summer, UTC+2.
        assert!(contains(hours, "2026-07-06T05:00:00Z") && !contains(hours, "2026-07-06T17:00:00Z"));
        // Friday before and Monday after the change of 29 March 2026.
        assert!(!contains(hours, "2026-03-27T05:30:00Z") && contains(hours, "2026-03-30T05:30:00Z"));
        // Sunday.
        assert!(!contains(hours, "2026-07-05T10:00:00Z"));
    }

    #[test]
    fn windows_past_midnight_belong_to_the_day_they_begin() {
        let hours = "Fri 22:00-02:00";
        assert!(contains(hours, "2026-01-02T23:00:00Z") && contains(hours, "2026-01-03T01:59:00Z"));
        assert!(!contains(hours, "2026-01-03T02:00:00Z") && !contains(hours, "2026-01-02T01:00:00Z"));
        assert!(contains("Sun 23:00-01:00", "2026-01-05T00:30:00Z"));
    }

    #[test]
    fn several_windows_lists_of_days_and_shared_zones() {
        let hours = "Mon,Wed 08:00-12:00, Sat-Sun 10:00-11:00 Europe/Berlin";
        assert!(contains(hours, "2026-01-07T07:00:00Z") && !contains(hours, "2026-01-06T07:00:00Z"));
        assert!(contains(hours, "2026-01-04T09:30:00Z"));
        assert!(contains("00:00-24:00", "2026-01-04T23:59:59Z"));
        assert!(contains("Mon 09:00-10:00 Asia/Tokyo; Mon 09:00-10:00 UTC", "2026-01-05T00:30:00Z"));
        assert!(contains("Mon 09:00-10:00 Asia/Tokyo; Mon 09:00-10:00 UTC", "2026-01-05T09:30:00Z"));
    }

    #[test]
    fn refuses_in_clear_words() {
        for (text, part) in [
            ("", "empty part"),
            ("Mon-Fri", "no hours"),
            ("Mon-Fri 7-19", "07:00-19:00"),
            ("Mon-Fri 07:00-25:00", "07:00-19:00"),
            ("Montag 07:00-19:00", "not a day"),
            ("07:00-07:00", "00:00-24:00"),
            ("Mon 07:00-19:00 Mars/Base", "IANA"),
            ("Mon 07:00-19:00 UTC extra", "not understood"),
        ] {
            let error = Hours::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
