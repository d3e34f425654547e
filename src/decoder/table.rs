//! Rows of a table that somebody exported, as JSON objects or as CSV under a heading: the columns that a decoder wants, by name.

use std::sync::Arc;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::json::pick::{self, Places, Value};

/// Wanted columns, each with the names that it goes by. In CSV the case of a name does not matter; in JSON it is as given, all upper or
/// all lower, at the top or below one of `within`.
#[derive(Clone)]
pub(super) struct Columns {
    names: &'static [&'static [&'static str]],
    /// Shared by copies: they take long to make.
    places: Arc<Places>,
    /// The heading of CSV as it stood there, once it has come.
    title: Vec<u8>,
    /// The wanted column in each place of a row.
    heading: Vec<Option<u8>>,
    separator: u8,
    /// Rows between tabs have backslashes instead of quotes.
    escaped: bool,
}

/// What a record is.
pub(super) enum Line<'a> {
    Row(Row<'a>),
    Heading,
    /// A CSV row before any heading.
    Headless,
    /// Neither an object nor a row.
    Broken,
}

/// The wanted values of one row; empty where there is none.
pub(super) struct Row<'a> {
    values: BumpVec<'a, &'a [u8]>,
    /// A column came twice.
    pub(super) twice: bool,
}

impl<'a> Row<'a> {
    /// A row of these values, in the order of the wanted columns.
    pub(super) fn of(values: BumpVec<'a, &'a [u8]>) -> Self {
        Row { values, twice: false }
    }

    pub(super) fn get(&self, column: usize) -> &'a [u8] {
        self.values.get(column).copied().unwrap_or_default()
    }
}

/// Known columns that make a CSV row a heading.
const HEADING: usize = 3;

impl Columns {
    pub(super) fn new(names: &'static [&'static [&'static str]], within: &[&str]) -> Self {
        let mut places = Places::default();
        for (slot, names) in names.iter().enumerate() {
            let mut rank = 0;
            for within in [""].iter().chain(within) {
                for name in names.iter() {
                    for name in [(*name).to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                        places.add(&format!("{within}/{name}"), slot, rank);
                        rank += 1;
                    }
                }
            }
        }
        let places = Arc::new(places);
        Columns { names, places, title: Vec::new(), heading: Vec::new(), separator: b',', escaped: false }
    }

    /// As [`Columns::new`], for what [`Table::escaped`](crate::framing::table::Table::escaped) frames.
    pub(super) fn escaped(names: &'static [&'static [&'static str]], within: &[&str]) -> Self {
        Columns { escaped: true, ..Columns::new(names, within) }
    }

    /// Whether the heading has this column.
    pub(super) fn knows(&self, column: usize) -> bool {
        self.heading.iter().flatten().any(|slot| usize::from(*slot) == column)
    }

    pub(super) fn read<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Line<'a> {
        let record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
        if record.trim_ascii_start().first() == Some(&b'{') {
            return self.json(record, arena);
        }
        // Files put together repeat their heading. No other one is taken: a row could be made to look like it.
        if self.title == record && !record.is_empty() {
            return Line::Heading;
        }
        if self.heading.is_empty() {
            if self.is_heading(record, arena) {
                return Line::Heading;
            }
            return if record.contains(&b',') || record.contains(&b';') { Line::Headless } else { Line::Broken };
        }
        if self.escaped && self.separator == b'\t' {
            return self.between_tabs(record, arena);
        }
        let mut row = self.row(arena);
        let mut count = 0;
        for (place, value) in Values::new(record, self.separator).enumerate() {
            count += 1;
            let Some(slot) = self.heading.get(place).copied().flatten() else { continue };
            if let Some(value) = value.plain(arena)
                && let Some(here) = row.values.get_mut(usize::from(slot))
            {
                *here = if value == b"NULL" && !record.is_empty() { b"" } else { value };
            }
        }
        // Fewer or more values than columns: a separator or a line end stands in a value without quotes.
        if count == self.heading.len() { Line::Row(row) } else { Line::Broken }
    }

    fn between_tabs<'a>(&self, record: &'a [u8], arena: &'a Bump) -> Line<'a> {
        let mut row = self.row(arena);
        let mut count = 0;
        for (place, value) in record.split(|b| *b == b'\t').enumerate() {
            count += 1;
            if let Some(slot) = self.heading.get(place).copied().flatten()
                && let Some(here) = row.values.get_mut(usize::from(slot))
            {
                *here = if value == b"NULL" { b"" } else { unescaped(value, arena) };
            }
        }
        if count == self.heading.len() { Line::Row(row) } else { Line::Broken }
    }

    fn row<'a>(&self, arena: &'a Bump) -> Row<'a> {
        let mut values = BumpVec::with_capacity_in(self.names.len(), arena);
        values.resize(self.names.len(), &b""[..]);
        Row { values, twice: false }
    }

    fn json<'a>(&self, record: &'a [u8], arena: &'a Bump) -> Line<'a> {
        let Ok(picked) = pick::pick(pick::text(record, arena), &self.places, self.names.len(), arena) else { return Line::Broken };
        let mut row = self.row(arena);
        row.twice = picked.twice;
        for (slot, here) in row.values.iter_mut().enumerate() {
            *here = match picked.get(slot) {
                Some(Value::Text(text)) => text.as_bytes(),
                Some(Value::Integer(number)) => bumpalo::format!(in arena, "{}", number).into_bump_str().as_bytes(),
                Some(Value::Float(number)) => bumpalo::format!(in arena, "{}", number).into_bump_str().as_bytes(),
                Some(Value::Bool(true)) => b"true",
                Some(Value::Bool(false)) => b"false",
                Some(Value::List([first, ..])) => first,
                _ => b"",
            };
        }
        Line::Row(row)
    }

    /// Takes up the heading: a row of names, several of them known.
    fn is_heading(&mut self, record: &[u8], arena: &Bump) -> bool {
        let separator =
            [b',', b';', b'\t', b'|'].into_iter().max_by_key(|s| memchr::memchr_iter(*s, record).take(8).count()).unwrap_or(b',');
        let mut heading = Vec::new();
        for value in Values::new(record, separator).take(512) {
            let Some(name) = value.plain(arena) else { return false };
            let name = name.trim_ascii();
            let slot = self.names.iter().position(|names| names.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name)));
            heading.push(slot.and_then(|s| u8::try_from(s).ok()));
        }
        let known = heading.iter().flatten().count();
        // The first column of all is the time, which no client writes.
        if known < HEADING || !heading.contains(&Some(0)) {
            return false;
        }
        (self.title, self.heading, self.separator) = (record.to_vec(), heading, separator);
        true
    }

    pub(super) fn save(&self) -> Vec<u8> {
        match self.heading.is_empty() {
            true => Vec::new(),
            false => postcard::to_stdvec(&(&self.title, &self.heading, self.separator)).unwrap_or_default(),
        }
    }

    pub(super) fn restore(&mut self, state: &[u8]) {
        if let Ok((title, heading, separator)) = postcard::from_bytes(state) {
            (self.title, self.heading, self.separator) = (title, heading, separator);
        }
    }
}

/// A value between tabs; `\N` is none.
fn unescaped<'a>(value: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if value == b"\\N" {
        return b"";
    }
    if memchr::memchr(b'\\', value).is_none() {
        return value;
    }
    let mut out = BumpVec::with_capacity_in(value.len(), arena);
    let mut rest = value;
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = match (first, after) {
            (b'\\', [code, after @ ..]) => {
                rest = after;
                match code {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    b'0' => 0,
                    other => *other,
                }
            }
            _ => *first,
        };
        out.push(byte);
    }
    out.into_bump_slice()
}

/// One value of a CSV row as it stands there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    text: &'a [u8],
    quoted: bool,
}

impl<'a> Quoted<'a> {
    /// As it stands there, quotes and all.
    pub(super) fn text(self) -> &'a [u8] {
        self.text
    }

    /// Without its quotes; `None` where they are broken.
    pub(super) fn plain(self, arena: &'a Bump) -> Option<&'a [u8]> {
        if !self.quoted {
            return Some(self.text);
        }
        let inner = self.text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if memchr::memchr(b'"', inner).is_none() {
            return Some(inner);
        }
        let mut out = BumpVec::with_capacity_in(inner.len(), arena);
        let mut rest = inner;
        while let Some(quote) = memchr::memchr(b'"', rest) {
            let (before, after) = rest.split_at_checked(quote)?;
            out.extend_from_slice(before);
            rest = after.strip_prefix(b"\"\"")?;
            out.push(b'"');
        }
        out.extend_from_slice(rest);
        Some(out.into_bump_slice())
    }
}

/// The values of one CSV row.
pub(super) struct Values<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Values<'a> {
    pub(super) fn new(record: &'a [u8], separator: u8) -> Self {
        Values { rest: Some(record), separator }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Quoted<'a>;

    fn next(&mut self) -> Option<Quoted<'a>> {
        let rest = self.rest.take()?;
        let quoted = rest.first() == Some(&b'"');
        let mut end = 0;
        if quoted {
            // Behind the closing quote: a quote that is not followed by another.
            end = 1;
            loop {
                match memchr::memchr(b'"', rest.get(end..)?) {
                    Some(quote) if rest.get(end + quote + 1) == Some(&b'"') => end += quote + 2,
                    Some(quote) => {
                        end += quote + 1;
                        break;
                    }
                    None => {
                        end = rest.len();
                        break;
                    }
                }
            }
        }
        match memchr::memchr(self.separator, rest.get(end..)?) {
            Some(more) => {
                end += more;
                self.rest = rest.get(end + 1..);
            }
            None => end = rest.len(),
        }
        Some(Quoted { text: rest.get(..end)?, quoted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&[&str]] = &[&["event_time"], &["user", "login"], &["statement"]];

    fn read(columns: &mut Columns, record: &str) -> String {
        let arena = Bump::new();
        match columns.read(record.as_bytes(), &arena) {
            Line::Row(row) => (0..3).map(|c| String::from_utf8_lossy(row.get(c)).into_owned()).collect::<Vec<_>>().join("|"),
            Line::Heading => "heading".to_owned(),
            Line::Headless => "headless".to_owned(),
            Line::Broken => "broken".to_owned(),
        }
    }

    #[test]
    fn rows() {
        let mut columns = Columns::new(NAMES, &["/properties"]);
        assert_eq!(read(&mut columns, "1,2,3"), "headless");
        assert_eq!(read(&mut columns, "\u{feff}x;EVENT_TIME;\"Login\";statement"), "heading");
        assert_eq!(read(&mut columns, "0;1;u;\"a;\"\"b\"\"\nc\""), "1|u|a;\"b\"\nc");
        assert_eq!(read(&mut columns, "0;1;NULL;"), "1||");
        assert_eq!(read(&mut columns, "0;1;u;a;b"), "broken");
        assert_eq!(read(&mut columns, "0;1;u;\"a\"b"), "1|u|");
        assert_eq!(read(&mut columns, "\u{feff}x;EVENT_TIME;\"Login\";statement"), "heading");
        assert_eq!(read(&mut columns, "event_time;login;statement;x"), "login|statement|x");
        let mut next = Columns::new(NAMES, &[]);
        next.restore(&columns.save());
        assert_eq!(read(&mut next, "0;1;u;s"), "1|u|s");
    }

    #[test]
    fn rows_between_tabs() {
        let mut columns = Columns::escaped(NAMES, &[]);
        assert_eq!(read(&mut columns, "event_time\tlogin\tstatement\tx"), "heading");
        assert_eq!(read(&mut columns, "1\t\"u\tselect\\t\\'a\\\\\\n\"\t"), "1|\"u|select\t'a\\\n\"");
        assert_eq!(read(&mut columns, "1\tNULL\t\\N\t"), "1||");
        assert_eq!(read(&mut columns, "1\tu\ts"), "broken");
        assert_eq!(read(&mut columns, "event_time\tlogin\tstatement\tx"), "heading");
    }

    #[test]
    fn objects() {
        let mut columns = Columns::new(NAMES, &["/properties"]);
        assert_eq!(read(&mut columns, "{\"event_time\":1,\"properties\":{\"LOGIN\":\"u\",\"statement\":true}}"), "1|u|true");
        assert_eq!(read(&mut columns, "{\"event_time\":1"), "broken");
        assert_eq!(read(&mut columns, "no row"), "broken");
    }
}
