//! Rows of a table that somebody exported: JSON objects, or CSV with a heading. Which of the two, the first byte tells. From databases that
//! write them, rows between tabs, in which a backslash escapes line ends: what is quoted in CSV is plain text there.

use super::csv::Csv;
use super::json::Objects;
use super::lines::Lines;
use super::{Framed, Framer, HEAD, More};

/// Frames exported rows.
pub struct Table {
    wrappers: &'static [&'static str],
    /// A heading between tabs is that of escaped rows.
    escaped: bool,
    of: Option<Of>,
}

enum Of {
    Json(Objects),
    Csv(Csv),
    Lines(Lines),
}

impl Of {
    fn json(wrappers: &'static [&'static str]) -> Self {
        Of::Json(Objects::new(wrappers))
    }

    /// An export is written at once and read from its start, so no row can be told to begin wrongly.
    fn csv() -> Self {
        Of::Csv(Csv::new(|_| true))
    }
}

impl Table {
    /// `wrappers`: keys of an object under which an array holds the rows.
    pub fn new(wrappers: &'static [&'static str]) -> Self {
        Table { wrappers, escaped: false, of: None }
    }

    /// As [`Table::new`], where rows between tabs are escaped: `TabSeparatedWithNames` of ClickHouse, `mysql --batch`. What begins with a quoted number
    /// has no heading: a file of MySQL's storage engine CSV, whose rows are lines.
    pub fn escaped(wrappers: &'static [&'static str]) -> Self {
        Table { escaped: true, ..Table::new(wrappers) }
    }
}

impl Framer for Table {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let wrappers = self.wrappers;
        let of = match &mut self.of {
            Some(of) => of,
            none => {
                let blank = buf.iter().take_while(|b| b.is_ascii_whitespace()).count();
                match buf.get(blank) {
                    None if buf.is_empty() => return Framed::Incomplete,
                    None => return Framed::Skip { consumed: blank, reason: "blank line" },
                    Some(b'{' | b'[') => none.insert(Of::json(wrappers)),
                    Some(b'"') if self.escaped && buf.len() < blank + 2 && more == More::Flowing => return Framed::Incomplete,
                    Some(b'"') if self.escaped && buf.get(blank + 1).is_some_and(u8::is_ascii_digit) => {
                        none.insert(Of::Lines(Lines::new()))
                    }
                    Some(_) if self.escaped => match buf.iter().skip(blank).find(|b| matches!(b, b'\n' | b'\t' | b',')) {
                        Some(b'\t') => none.insert(Of::Lines(Lines::new())),
                        None if more == More::Flowing && buf.len() < HEAD => return Framed::Incomplete,
                        _ => none.insert(Of::csv()),
                    },
                    Some(_) => none.insert(Of::csv()),
                }
            }
        };
        match of {
            Of::Json(json) => json.next(buf, more),
            Of::Csv(csv) => csv.next(buf, more),
            Of::Lines(lines) => lines.next(buf, more),
        }
    }

    fn save(&self) -> Vec<u8> {
        let (kind, inner) = match &self.of {
            None => return Vec::new(),
            Some(Of::Json(json)) => (b'j', json.save()),
            Some(Of::Csv(csv)) => (b'c', csv.save()),
            Some(Of::Lines(lines)) => (b'l', lines.save()),
        };
        let mut state = vec![kind];
        state.extend(inner);
        state
    }

    fn restore(&mut self, state: &[u8]) {
        let Some((kind, inner)) = state.split_first() else { return };
        match kind {
            b'j' => {
                let mut json = Objects::new(self.wrappers);
                json.restore(inner);
                self.of = Some(Of::Json(json));
            }
            b'c' => {
                let mut csv = Csv::new(|_| true);
                csv.restore(inner);
                self.of = Some(Of::Csv(csv));
            }
            b'l' => {
                let mut lines = Lines::new();
                lines.restore(inner);
                self.of = Some(Of::Lines(lines));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::testing::in_pieces;

    #[test]
    fn rows_of_both_forms() {
        for (log, want) in [
            ("a,b\n1,\"x\ny\"\n", &["a,b", "1,\"x\ny\""][..]),
            ("\n[{\"a\":1},\n{\"a\":2}]", &["{\"a\":1}", "{\"a\":2}"]),
            ("{\"rows\":[{\"a\":1}]}", &["{\"a\":1}"]),
        ] {
            for size in 1..9 {
                let records = in_pieces(&mut Table::new(&["rows"]), log.as_bytes(), size);
                let text: Vec<&str> = records.iter().map(|r| std::str::from_utf8(r).unwrap()).collect();
                assert_eq!(text, want, "pieces of {size}");
            }
        }
    }

    #[test]
    fn rows_between_tabs() {
        for size in 1..9 {
            let records = in_pieces(&mut Table::escaped(&[]), b"a\tb\n\"x\ty\n1\t\"\n", size);
            assert_eq!(records, ["a\tb", "\"x\ty", "1\t\""].map(|row| row.as_bytes().to_vec()), "pieces of {size}");
            assert_eq!(in_pieces(&mut Table::escaped(&[]), b"a,b\t\n\"x\ny\"\n", size).len(), 2);
        }
    }

    #[test]
    fn rows_without_a_heading() {
        for size in 1..9 {
            let records = in_pieces(&mut Table::escaped(&[]), b"\"1\",\"\\\"\"\n\"2\",\"\"\n", size);
            assert_eq!(records, ["\"1\",\"\\\"\"", "\"2\",\"\""].map(|row| row.as_bytes().to_vec()), "pieces of {size}");
        }
    }

    #[test]
    fn the_form_survives_a_restart() {
        let mut table = Table::new(&[]);
        assert!(matches!(table.next(b"a,b\n", More::Flowing), Framed::Record(_)));
        let mut next = Table::new(&[]);
        next.restore(&table.save());
        assert!(matches!(next.next(b"{,\"x\ny\"\n", More::Flowing), Framed::Record(frame) if frame.len == 7));
    }
}
