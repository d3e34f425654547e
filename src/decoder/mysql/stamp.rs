//! The time stamps of MySQL's own logs.

use crate::decoder::timestamp::Timestamps;
use crate::event::Time;

/// How a stamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `2026-11-22T02:21:28.123456Z`, `...+08:00`: MySQL from 5.7 on.
    Iso,
    /// `261122  2:21:28`: MySQL up to 5.6 and MariaDB; local time.
    Short,
    /// `2026-11-22  2:21:28`: error logs of MySQL 5.6 and MariaDB; local time.
    Dated,
}

/// Finds the stamp at the start of `text` by its form alone: how it is written, and its length.
pub fn form(text: &[u8]) -> Option<(Form, usize)> {
    let digit = |byte: u8| byte.wrapping_sub(b'0') < 10;
    let [y1, y2, y3, y4] = *text.first_chunk::<4>()?;
    if !(digit(y1) & digit(y2) & digit(y3) & digit(y4)) {
        return None;
    }
    let Some([_, _, _, _, b'-', m1, m2, b'-', d1, d2, gap, h1, h2, b':', i1, i2, b':', s1, s2]) = text.first_chunk::<19>().copied() else {
        return short(text);
    };
    if !(digit(m1) & digit(m2) & digit(d1) & digit(d2) & digit(h2) & digit(i1) & digit(i2) & digit(s1) & digit(s2)) {
        return short(text);
    }
    if gap == b'T' && h1.is_ascii_digit() {
        let mut len = 19;
        if text.get(len) == Some(&b'.') {
            let fraction = text.get(len + 1..).unwrap_or_default();
            len += 1 + fraction.iter().position(|b| !digit(*b)).unwrap_or(fraction.len());
        }
        len += match text.get(len) {
            Some(b'Z') => 1,
            Some(b'+' | b'-') if text.get(len + 3) == Some(&b':') => 6,
            _ => 0,
        };
        return (len <= text.len()).then_some((Form::Iso, len));
    }
    if gap == b' ' && (h1.is_ascii_digit() || h1 == b' ') {
        return Some((Form::Dated, 19));
    }
    short(text)
}

/// `261122  2:21:28` at the start of `text`.
fn short(text: &[u8]) -> Option<(Form, usize)> {
    if text.get(..6)?.iter().all(u8::is_ascii_digit) {
        // One blank or tab and a padded hour; copies of logs have more of them.
        let gap = text.iter().skip(6).take(8).take_while(|b| matches!(b, b' ' | b'\t')).count();
        let clock = text.get(6 + gap..).unwrap_or_default();
        let digits = clock.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        let rest = clock.get(digits..).unwrap_or_default();
        if gap > 0
            && (1..=2).contains(&digits)
            && matches!(rest, [b':', a, b, b':', c, d, ..] if [a, b, c, d].iter().all(|x| x.is_ascii_digit()))
        {
            return Some((Form::Short, 6 + gap + digits + 6));
        }
    }
    None
}

/// Reads the stamp that fills `text`.
pub fn read(text: &[u8], stamps: &mut Timestamps) -> Option<Time> {
    let (form, len) = form(text)?;
    if len != text.len() {
        return None;
    }
    if form == Form::Iso {
        return stamps.parse(text).ok();
    }
    let mut whole = *b"0000-00-00 00:00:00";
    let (date, clock) = match form {
        Form::Short => {
            let (century, year): (&[u8], _) = (if text.first() >= Some(&b'7') { b"19" } else { b"20" }, text.get(..2)?);
            (&[century, year, b"-", text.get(2..4)?, b"-", text.get(4..6)?].concat()[..], text.get(6..)?.trim_ascii_start())
        }
        _ => (text.get(..10)?, text.get(10..)?.trim_ascii_start()),
    };
    whole.get_mut(..10)?.copy_from_slice(date);
    whole.get_mut(19 - clock.len()..)?.copy_from_slice(clock);
    stamps.parse(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").ok();
        for (text, want) in [
            ("2026-11-22T02:21:28.123456Z", "2026-11-22T02:21:28.123456Z"),
            ("2026-11-22T02:21:28.123456+08:00", "2026-11-21T18:21:28.123456Z"),
            ("2026-11-22T02:21:28Z", "2026-11-22T02:21:28Z"),
            ("261122  2:21:28", "2026-11-22T01:21:28Z"),
            ("261122 12:21:28", "2026-11-22T11:21:28Z"),
            ("051007   21:55:24", "2005-10-07T19:55:24Z"),
            ("990107 1:55:24", "1999-01-07T00:55:24Z"),
            ("2026-11-22  2:21:28", "2026-11-22T01:21:28Z"),
            ("2026-11-22 02:21:28", "2026-11-22T01:21:28Z"),
            ("261322  2:21:28", "none"),
            ("26112  2:21:28", "none"),
            ("261122  2:21:28 ", "none"),
            ("2611222:21:28", "none"),
            ("261122  :21:28", "none"),
            ("", "none"),
        ] {
            let time = read(text.as_bytes(), &mut Timestamps::new(zone.clone()));
            assert_eq!(time.map_or("none".to_owned(), |t| t.to_string()), want, "{text}");
        }
    }
}
