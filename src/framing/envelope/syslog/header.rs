//! What stands before the text of a syslog message.
//!
//! ```text
//! <134>1 2026-11-22T02:21:28.123456Z db1 postgres 77 - [origin ip="10.0.0.1"] text      RFC 5424
//! <134>Nov 22 02:21:28 db1 postgres[77]: text                                           RFC 3164
//! Nov 22 02:21:28 db1 postgres[77]: text                                                as written to files
//! 2026-11-22T02:21:28.123456+01:00 db1 postgres[77]: text                               the same with a better time
//! 2026-11-22T02:21:28+00:00 app[postgres.77]: text                                      Heroku
//! Sun 2026-11-22 02:21:28 UTC db1 postgresql.service[77]: text                          journalctl -o with-unit, and short-full with the program's name
//! 1795314088.123456 db1 postgres[77]: text                                              journalctl -o short-unix
//! [ 1234.567890] db1 postgres[77]: text                                                 journalctl -o short-monotonic: no date, so the text needs its own
//! ```
//!
//! <https://datatracker.ietf.org/doc/html/rfc5424>, <https://datatracker.ietf.org/doc/html/rfc3164>,
//! <https://github.com/systemd/systemd/blob/main/src/shared/logs-show.c> (`output_short`)

use bstr::BStr;

use super::calendar::Calendar;
use crate::framing::envelope::Note;

/// A message taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    pub note: Note<'a>,
    /// What the tag or PROCID says of the process, if that is more than a number: Heroku's `postgres.77`.
    pub process: Option<&'a BStr>,
    pub payload: &'a [u8],
}

/// Longest program name (journalctl writes units), and longest process name.
const TAG: usize = 128;

/// Takes a message apart; `None` if it is none.
pub fn header<'a>(message: &'a [u8], calendar: &mut Calendar) -> Option<Header<'a>> {
    let (priority, rest) = priority(message);
    if priority && let Some(rest) = rest.strip_prefix(b"1 ") {
        return structured(rest, calendar);
    }
    let (time, rest) = match calendar.stamp(rest) {
        Some((used, time)) => (time, rest.get(used..)?.strip_prefix(b" ")?),
        None if priority => (None, rest),
        None => return None,
    };
    let mut note = Note { time, ..Note::default() };
    if let Some(tag) = tag(rest) {
        return Some(tagged(note, tag, rest));
    }
    let (host, text) = word(rest)?;
    note.host = Some(BStr::new(host));
    match tag(text) {
        Some(tag) => Some(tagged(note, tag, text)),
        // Without a priority and without a tag it may be any line that begins with a time.
        None if priority => Some(Header { note, process: None, payload: text }),
        None => None,
    }
}

/// Whether `<0>` to `<191>` stands at the start, and what follows.
fn priority(message: &[u8]) -> (bool, &[u8]) {
    let none = (false, message);
    let Some(rest) = message.strip_prefix(b"<") else { return none };
    let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let value = rest.iter().take(digits).fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    match rest.get(digits..).and_then(|rest| rest.strip_prefix(b">")) {
        Some(rest) if (1..=3).contains(&digits) && value <= 191 => (true, rest),
        _ => none,
    }
}

/// RFC 5424, behind the version.
fn structured<'a>(text: &'a [u8], calendar: &mut Calendar) -> Option<Header<'a>> {
    let (stamp, text) = word(text)?;
    let time = match stamp {
        b"-" => None,
        stamp => match calendar.stamp(stamp)? {
            (used, time) if used == stamp.len() => time,
            _ => return None,
        },
    };
    let (host, text) = word(text)?;
    let (program, text) = word(text)?;
    let (process, text) = word(text)?;
    // The message id, behind which data must follow; Heroku leaves it out.
    let (_, text) = word(text).unwrap_or((text, b""));
    let some = |text: &'a [u8]| (text != b"-").then(|| BStr::new(text));
    let note = Note { time, host: some(host), program: some(program), pid: pid(process) };
    let text = match data(text) {
        Some(rest) => rest,
        None => text,
    };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // rsyslog passes on the blank that stood behind the tag of a traditional message.
    let payload = text.strip_prefix(b" ").unwrap_or(text);
    Some(Header { note, process: some(process).filter(|_| number(process).is_none()), payload })
}

/// What follows the structured data at the start of `text`; `None` if there is none.
fn data(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    if let Some(nil) = text.strip_prefix(b"-") {
        rest = nil;
    } else {
        if text.first() != Some(&b'[') {
            return None;
        }
        while rest.first() == Some(&b'[') {
            rest = element(rest)?;
        }
    }
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b" ") }
}

/// What follows the element `[id name="value" ...]`. A value escapes `"`, `\` and `]`.
fn element(text: &[u8]) -> Option<&[u8]> {
    let name = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_graphic() && !matches!(b, b'=' | b']' | b'"')).count();
    let mut rest = text.get(1..)?;
    let id = name(rest);
    // PostgreSQL's numbers of a message in pieces are no data.
    let numbers = rest.iter().take(id).all(|b| b.is_ascii_digit() || *b == b'-');
    rest = rest.get(id..)?;
    if id == 0 || numbers && rest.first() == Some(&b']') {
        return None;
    }
    loop {
        match rest.first()? {
            b']' => return rest.get(1..),
            b' ' => rest = rest.get(1..)?,
            _ => return None,
        }
        let len = name(rest);
        rest = rest.get(len..)?.strip_prefix(b"=\"")?;
        loop {
            let step = memchr::memchr2(b'"', b'\\', rest)?;
            match rest.get(step)? {
                b'\\' => rest = rest.get(step + 2..)?,
                _ => {
                    rest = rest.get(step + 1..)?;
                    break;
                }
            }
        }
    }
}

/// The word up to the next blank, and what follows that.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', text).filter(|end| (1..=255).contains(end))?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

/// `program[process]: ` or `program: `: lengths of the program's name, of the process's name, and of the whole.
struct Tag {
    program: usize,
    process: Option<(usize, usize)>,
    used: usize,
}

fn tag(text: &[u8]) -> Option<Tag> {
    let head = text.get(..text.len().min(TAG + 1)).unwrap_or(text);
    let end = memchr::memchr3(b':', b'[', b' ', head).filter(|end| *end > 0)?;
    if !head.iter().take(end).all(u8::is_ascii_graphic) {
        return None;
    }
    match head.get(end)? {
        b':' => Some(Tag { program: end, process: None, used: behind(text, end)? }),
        b'[' => bracket(text, end),
        // `Oracle Audit[77]:`, and nothing else has blanks in its name: a number must follow.
        _ => {
            if !head.starts_with(b"Oracle ") {
                return None;
            }
            let open = head.iter().position(|b| *b == b'[')?;
            let words = head.get(..open)?;
            if !words.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_')) {
                return None;
            }
            bracket(text, open).filter(|tag| {
                let process = tag.process.and_then(|(from, to)| text.get(from..to));
                process.is_some_and(|process| number(process).is_some())
            })
        }
    }
}

/// The tag whose process begins with the bracket at `open`.
fn bracket(text: &[u8], open: usize) -> Option<Tag> {
    let inside = text.get(open + 1..)?;
    let len = inside.iter().take(TAG + 1).position(|b| *b == b']')?;
    if !inside.iter().take(len).all(u8::is_ascii_graphic) {
        return None;
    }
    let close = open + 1 + len;
    let colon = close + 1;
    let process = Some((open + 1, close));
    // Heroku leaves the colon out before the colour.
    if text.get(colon..).is_some_and(|text| text.starts_with(b" [")) {
        return Some(Tag { program: open, process, used: colon + 1 });
    }
    (text.get(colon) == Some(&b':')).then_some(())?;
    Some(Tag { program: open, process, used: behind(text, colon)? })
}

/// Where the text begins behind the colon at `colon`: a blank stands between, unless nothing follows or a control character was.
fn behind(text: &[u8], colon: usize) -> Option<usize> {
    match text.get(colon + 1) {
        None => Some(colon + 1),
        Some(b' ') => Some(colon + 2),
        // Those who write objects leave the blank out.
        Some(b'\t' | b'#' | b'{') => Some(colon + 1),
        Some(_) => None,
    }
}

fn tagged<'a>(note: Note<'a>, tag: Tag, text: &'a [u8]) -> Header<'a> {
    let process = tag.process.and_then(|(from, to)| text.get(from..to)).unwrap_or_default();
    let program = text.get(..tag.program).unwrap_or_default();
    let note = Note { program: Some(BStr::new(program)), pid: pid(process), ..note };
    let named = !process.is_empty() && number(process).is_none();
    Header { note, process: named.then(|| BStr::new(process)), payload: text.get(tag.used..).unwrap_or_default() }
}

/// The number of a process: all of its name, or what follows the last point.
fn pid(process: &[u8]) -> Option<u32> {
    let number_of = process.rsplit(|b| *b == b'.').next()?;
    number(number_of)
}

fn number(text: &[u8]) -> Option<u32> {
    text.first()?;
    text.iter().try_fold(0u32, |sum, byte| sum.checked_mul(10)?.checked_add(u32::from(byte.is_ascii_digit().then(|| byte - b'0')?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Time;

    /// Time, host, program, process (or its number), text.
    type Parts<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, Option<&'a str>, &'a str);

    fn check(message: &str, want: Option<Parts<'_>>) {
        let written = Time("2026-11-27T10:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond());
        let mut calendar = Calendar::new(None, Some(written));
        let got = header(message.as_bytes(), &mut calendar).map(|h| {
            let text = |t: Option<&BStr>| t.map(ToString::to_string);
            let process = text(h.process).or_else(|| h.note.pid.map(|pid| pid.to_string()));
            let payload = String::from_utf8_lossy(h.payload).into_owned();
            (h.note.time.map(|t| t.to_string()), text(h.note.host), text(h.note.program), process, payload)
        });
        let own = |t: Option<&str>| t.map(str::to_owned);
        assert_eq!(got, want.map(|(a, b, c, d, e)| (own(a), own(b), own(c), own(d), e.to_owned())), "{message}");
    }

    #[test]
    fn rfc_5424() {
        let time = Some("2026-11-22T02:21:28.123456Z");
        let stamp = "2026-11-22T02:21:28.123456Z";
        for (data, text, payload) in [
            ("-", " hello", "hello"),
            ("-", " \u{feff}hello", "hello"),
            ("-", "", ""),
            ("-", "  hello", "hello"),
            ("[a@1 b=\"c\"][d e=\"f\" g=\"\"]", " hello", "hello"),
            (r#"[a b="q\"u\]o\\te"]"#, " hello", "hello"),
            ("[timeQuality]", " hello", "hello"),
            // Not data at all: it belongs to the text.
            ("[1-1]", " hello", "[1-1] hello"),
            ("[a b=\"c]", " hello", "[a b=\"c] hello"),
        ] {
            let message = format!("<134>1 {stamp} db1 postgres 77 - {data}{text}");
            check(&message, Some((time, Some("db1"), Some("postgres"), Some("77"), payload)));
        }
        check("<13>1 - - - - - -", Some((None, None, None, None, "")));
        check("<13>1 - - - - - - x", Some((None, None, None, None, "x")));
        check(
            "<40>1 2026-11-22T02:21:28+00:00 host app postgres.77 - [GREEN] [9-1]  x",
            Some((Some("2026-11-22T02:21:28Z"), Some("host"), Some("app"), Some("postgres.77"), "[9-1]  x")),
        );
        check("<13>1 yesterday db1 a - - - x", None);
        check("<13>1 2026-11-22T02:21:28Z db1", None);
    }

    #[test]
    fn rfc_3164() {
        let time = Some("2026-11-22T02:21:28Z");
        check("<134>Nov 22 02:21:28 db1 postgres[77]: hello", Some((time, Some("db1"), Some("postgres"), Some("77"), "hello")));
        check("Nov 22 02:21:28 db1 postgres[77]: hello", Some((time, Some("db1"), Some("postgres"), Some("77"), "hello")));
        check("2026-11-22T03:21:28+01:00 db1 postgres[77]: a: b", Some((time, Some("db1"), Some("postgres"), Some("77"), "a: b")));
        check("<13>Nov 22 02:21:28 mysqld: hello", Some((time, None, Some("mysqld"), None, "hello")));
        check("<13>mysqld: hello", Some((None, None, Some("mysqld"), None, "hello")));
        check("<13>Nov 22 02:21:28 db1 no tag here", Some((time, Some("db1"), None, None, "no tag here")));
        check("Nov 22 02:21:28 fe80::1 postgres[77]: hello", Some((time, Some("fe80::1"), Some("postgres"), Some("77"), "hello")));
        check("2026-11-22T02:21:28+00:00 app[postgres.77]: hello", Some((time, None, Some("app"), Some("postgres.77"), "hello")));
        check(
            "2026-11-22T02:21:28+00:00 d.af28 app[postgres.77] [AQUA] [9-1]  x",
            Some((time, Some("d.af28"), Some("app"), Some("postgres.77"), "[AQUA] [9-1]  x")),
        );
        check(
            "Nov 22 02:21:28 db1 Oracle Audit[77]: LENGTH : '1'",
            Some((time, Some("db1"), Some("Oracle Audit"), Some("77"), "LENGTH : '1'")),
        );
        check("<13>Nov 22 02:21:28 db1 app[77]:{\"a\":1}", Some((time, Some("db1"), Some("app"), Some("77"), "{\"a\":1}")));
        check("Nov 22 02:21:28 db1 postgres[77]: ", Some((time, Some("db1"), Some("postgres"), Some("77"), "")));
        check("Nov 22 02:21:28 db1 postgres[77]:", Some((time, Some("db1"), Some("postgres"), Some("77"), "")));
        let full = "Sun 2026-11-22 02:21:28 UTC db1 postgresql@15-main.service[77]: a";
        check(full, Some((time, Some("db1"), Some("postgresql@15-main.service"), Some("77"), "a")));
        check("1795314088.000000 db1 postgres[77]: a", Some((time, Some("db1"), Some("postgres"), Some("77"), "a")));
        check("[ 1234.567890] db1 postgres[77]: a", Some((None, Some("db1"), Some("postgres"), Some("77"), "a")));
        check("[ 1234.567890 <    0.000012 >] db1 postgres[77]: a", Some((None, Some("db1"), Some("postgres"), Some("77"), "a")));
        for bad in [
            "1795314088.123456 [0 127.0.0.1:6379] \"GET\" \"a\"",
            "1795314088.123456 [0 lua] \"GET\" \"a: b\"",
            "[77] db1 postgres[77]: a",
            "Sun 2026-11-22 02:21:28 UTC",
            "",
            "<",
            "<999>x",
            "<1234>Nov 22 02:21:28 db1 a: b",
            "Nov 22 02:21:28",
            "Nov 22 02:21:28 db1 no tag here",
            "2026-11-22T02:21:28.123456Z 77 [Note] [MY-010926] [Server] Access denied",
            "2026-11-22T02:21:28.123456Z\t   77 Query\tselect 1",
            "2026-11-22 02:21:28.123 UTC [77] LOG:  x",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn hostile_messages() {
        let mut calendar = Calendar::default();
        for message in
            [&b"<13>1 - - - - - [a b=\"\\"[..], b"<13>1 - - - - - [a ", b"<13>\0\0\0", b"<13>1 ", b"<13>1 - - - - - [] x", b"\xff\xfe<"]
        {
            let _ = header(message, &mut calendar);
        }
        let long = [b"<13>Nov 22 02:21:28 db1 ".as_slice(), &vec![b'a'; 100_000]].concat();
        assert!(header(&long, &mut calendar).is_some());
    }
}
