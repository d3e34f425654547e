//! Zeek's own form of its logs: values with tabs between them, and lines with `#` that say which.
//!
//! ```text
//! #separator \x09
//! #path   mysql
//! #fields ts      uid     id.orig_h       id.orig_p       id.resp_h       id.resp_p       cmd     arg     success rows    response
//! 1795314088.437392       C5Hol5  10.0.0.7        56162   10.0.0.2        3306    query   select 1        T       1       -
//! ```
//! <https://docs.zeek.org/en/master/log-formats.html>
//!
//! Tabs, line ends and whatever cannot be printed are escaped in values (`\x09`).

use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::Row;
use crate::decoder::timestamp;
use crate::event::Time;

/// What a line says of the lines below it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Heading {
    fields: Vec<Vec<u8>>,
    unset: Vec<u8>,
    empty: Vec<u8>,
}

impl Default for Heading {
    /// The order of Zeek's own script.
    fn default() -> Self {
        const FIELDS: [&str; 11] =
            ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "cmd", "arg", "success", "rows", "response"];
        let fields = FIELDS.iter().map(|name| name.as_bytes().to_vec()).collect();
        Heading { fields, unset: b"-".to_vec(), empty: b"(empty)".to_vec() }
    }
}

/// Fields that are remembered of a heading, and bytes of their names.
const FIELDS: usize = 64;
const NAMES: usize = 4 << 10;

impl Heading {
    /// Takes up a line that begins with `#`.
    pub(super) fn learn(&mut self, line: &[u8]) {
        let mut words = line.split(|b| *b == b'\t');
        match words.next() {
            Some(b"#fields") if line.len() <= NAMES => self.fields = words.take(FIELDS).map(<[u8]>::to_vec).collect(),
            Some(b"#unset_field") => self.unset = words.next().unwrap_or_default().iter().take(FIELDS).copied().collect(),
            Some(b"#empty_field") => self.empty = words.next().unwrap_or_default().iter().take(FIELDS).copied().collect(),
            _ => {}
        }
    }

    /// The values of a line and its time; `None` where they do not fit the heading.
    pub(super) fn row<'a>(&self, line: &'a [u8], arena: &'a Bump) -> Option<(Row<'a>, Time)> {
        let (mut row, mut time) = (Row::default(), None);
        let count = line.split(|b| *b == b'\t').count();
        // Old versions have no `response`; whatever else is missing or too much means another log.
        if count != self.fields.len() && !(count + 1 == self.fields.len() && self.fields.last().is_some_and(|last| last == b"response")) {
            return None;
        }
        for (name, value) in self.fields.iter().zip(line.split(|b| *b == b'\t')) {
            if value == self.unset.as_slice() {
                continue;
            }
            let value = if value == self.empty.as_slice() { b"" } else { plain(value, arena) };
            let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
            match name.as_slice() {
                b"ts" => time = timestamp::epoch(value).ok(),
                b"uid" => row.uid = value,
                b"id.orig_h" => row.host = value,
                b"id.orig_p" => row.port = number().and_then(|port| u16::try_from(port).ok()),
                b"cmd" => row.command = value,
                b"arg" => row.argument = value,
                b"success" => row.success = Some(value == b"T"),
                b"rows" => row.rows = number(),
                b"response" => row.response = value,
                _ => {}
            }
        }
        (!row.command.is_empty() && !row.uid.is_empty()).then_some((row, time?))
    }
}

/// A value without its escapes.
fn plain<'a>(value: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if memchr::memchr(b'\\', value).is_none() {
        return value;
    }
    let mut text = bumpalo::collections::Vec::with_capacity_in(value.len(), arena);
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        let code = rest.strip_prefix(b"\\x").and_then(|rest| std::str::from_utf8(rest.get(..2)?).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                text.push(code);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                text.push(*byte);
                rest = after.strip_prefix(b"\\").filter(|_| *byte == b'\\').unwrap_or(after);
            }
        }
    }
    text.into_bump_slice()
}

/// Whether a sample is such a log of MySQL's protocol.
pub(super) fn is(sample: &[u8]) -> bool {
    let mut heading = Heading::default();
    let arena = Bump::new();
    let (mut rows, mut good, mut named) = (0usize, 0usize, false);
    for line in sample.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty()).take(50)
    {
        if line.starts_with(b"#") {
            named |= line == b"#path\tmysql";
            heading.learn(line);
        } else {
            rows += 1;
            good += usize::from(heading.row(line, &arena).is_some_and(|(row, _)| row.port.is_some() && row.uid.starts_with(b"C")));
        }
    }
    named || good > 0 && good * 2 >= rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let arena = Bump::new();
        assert_eq!(plain(br"a\x09b\x0a\\x\", &arena), b"a\tb\n\\x\\");
        let mut heading = Heading::default();
        let line = b"1795314088.4\tC5\t::1\t5\t10.0.0.2\t3306\tquery\tselect\\x09'\xc3\xa9'\tF\t-\t-";
        let (row, time) = heading.row(line, &arena).unwrap();
        assert_eq!(
            (row.argument, row.success, row.rows, time),
            (&b"select\t'\xc3\xa9'"[..], Some(false), None, Time(1_795_314_088_400_000))
        );
        assert!(heading.row(b"1795314088.4\tC5\t::1", &arena).is_none());
        heading.learn(b"#fields\tuid\tts\tcmd");
        heading.learn(b"#unset_field\t?");
        let (row, _) = heading.row(b"-\t1795314088\tquit", &arena).unwrap();
        assert_eq!((row.uid, row.command), (&b"-"[..], &b"quit"[..]));
        assert!(is(b"#separator \\x09\n#path\tmysql\n") && is(line) && !is(b"#path\tconn\n") && !is(b"a\tb\n") && !is(b""));
    }
}
