//! The log tables' own files in the server's data directory, `mysql/general_log.CSV` and `mysql/slow_log.CSV`, as the storage engine CSV
//! writes them: no heading, texts in quotes, and within them a backslash before quotes, backslashes and line ends.
//!
//! ```text
//! "2026-11-22 02:21:28.484001","tok_web[tok_web] @ app1 [10.1.0.7]",12,1,"Query","SELECT \"total\"\nFROM invoices"
//! ```
//! So a row is a line, whatever a client sends. <https://dev.mysql.com/doc/refman/8.4/en/csv-storage-engine.html>

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::rows::{AFFECTED, COMMAND, DATABASE, DURATION, SENT, TEXT, THREAD, TIME, USER};

/// The columns of `mysql.general_log`.
const GENERAL: [Option<usize>; 6] = [Some(TIME), Some(USER), Some(THREAD), None, Some(COMMAND), Some(TEXT)];

/// The columns of `mysql.slow_log`: the last but one since MySQL 5.6, the last in MariaDB.
const SLOW: [Option<usize>; 13] = [
    Some(TIME),
    Some(USER),
    Some(DURATION),
    None,
    Some(SENT),
    None,
    Some(DATABASE),
    None,
    None,
    None,
    Some(TEXT),
    Some(THREAD),
    Some(AFFECTED),
];

/// Whether a file that begins so has such rows, and no heading.
pub fn begins(line: &[u8]) -> bool {
    matches!(line, [b'"', b'0'..=b'9', ..])
}

/// The values of a row, by the columns of exported ones; `None` where it is none.
pub fn row<'a>(record: &'a [u8], arena: &'a Bump) -> Option<BumpVec<'a, &'a [u8]>> {
    begins(record).then_some(())?;
    let mut values = BumpVec::with_capacity_in(SLOW.len(), arena);
    let mut rest = Some(record);
    while let Some(text) = rest {
        let (value, after) = match text.strip_prefix(b"\"") {
            Some(text) => quoted(text, arena)?,
            None => text.split_at(memchr::memchr(b',', text).unwrap_or(text.len())),
        };
        if values.len() == SLOW.len() {
            return None;
        }
        values.push(value);
        rest = match after.split_first() {
            None => None,
            Some((b',', after)) => Some(after),
            Some(_) => return None,
        };
    }
    let columns = match values.len() {
        6 => &GENERAL[..],
        11..=13 => &SLOW[..],
        _ => return None,
    };
    let mut row = BumpVec::with_capacity_in(columns.len(), arena);
    row.resize(DATABASE + 1, &b""[..]);
    for (value, column) in values.iter().zip(columns) {
        if let Some(here) = column.and_then(|column| row.get_mut(column)) {
            *here = value;
        }
    }
    Some(row)
}

/// The text up to its quote, and what follows that.
fn quoted<'a>(text: &'a [u8], arena: &'a Bump) -> Option<(&'a [u8], &'a [u8])> {
    let first = memchr::memchr2(b'"', b'\\', text)?;
    let (plain, mut rest) = text.split_at_checked(first)?;
    if let Some(after) = rest.strip_prefix(b"\"") {
        return Some((plain, after));
    }
    let mut out = BumpVec::with_capacity_in(text.len(), arena);
    out.extend_from_slice(plain);
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some((out.into_bump_slice(), after)),
            [b'\\', code @ (b'n' | b'r' | b'"' | b'\\'), after @ ..] => {
                out.push(match code {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    other => *other,
                });
                after
            }
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::decoder::testing::shown;

    #[test]
    fn rows_of_both_tables() {
        let log = br#""2026-11-22 02:21:27.240336","[web] @ app1 [10.1.0.7]",9,1,"Connect","web@app1 on shop using TCP/IP"
"2026-11-22 02:21:28.356323","web[web] @ app1 [10.1.0.7]",9,1,"Query","SELECT \"a\\\"b\\\\ \n\",\r\n\"2026-11-22 02:21:28\",\"boss[boss] @ h []\",1,1"
"2026-11-22 02:21:28.356323","web[web] @ app1 [10.1.0.7]",9,1,"Query",""more"
"2026-11-22 02:21:28.356323","web[web] @ app1 [10.1.0.7]",9,1,"Query"
"2026-11-22 02:21:29.382043","web[web] @ app1 [10.1.0.7]",9,1,"Quit",""
"2026-11-22 02:21:29.380710","web[web] @ app1 [10.1.0.7]","00:00:01.000032","00:00:00.000000",4,0,"shop",0,0,1,"SELECT 1",9,0
"2026-11-22 02:21:29.380710","web[web] @ app1 [10.1.0.7]","00:00:01.000032","00:00:00.000000",4,0,"shop",0,0,1,"SELECT 1"
"#;
        let want = [
            "Other web?@10.1.0.7/shop | connect | - | Unknown session=9",
            "Query web@10.1.0.7/shop | - | SELECT \"a\\\"b\\\\ \n\",\r\n\"2026-11-22 02:21:28\",\"boss[boss] @ h []\",1,1 | Unknown session=9",
            "rejected: torn row, or of another table",
            "rejected: torn row, or of another table",
            "Logout web@10.1.0.7/shop | - | - | Unknown session=9",
            "Query web@10.1.0.7/shop | - | SELECT 1 | Unknown session=9 rows=4",
            "Query web@10.1.0.7/shop | - | SELECT 1 | Unknown rows=4",
        ];
        assert_eq!(shown(&crate::decoder::mysql::rows::FORMAT, log), want);
    }
}
