//! Which files are generations of one log, and in which order they were written: by the names that rotation gives them.
//!
//! ```text
//! postgresql.log   postgresql.log.1   postgresql.log.2.gz          numbered: the highest is the oldest
//! postgresql-2026-11-26.csv   postgresql-2026-11-27_000000.csv     dated: the earliest is the oldest
//! ```
//!
//! Names that differ by anything else (`replica-1.log`, `replica-2.log`) are different logs: sessions of one server must never be taken for
//! those of another.

use std::cmp::Ordering;

/// Where a file stands among the generations of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The path without what rotation adds: the same for all generations of one log.
    pub log: String,
    age: Age,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Age {
    Dated(String),
    Numbered(u32),
    Live,
}

impl Generation {
    /// By the path of the file.
    pub fn of(path: &str) -> Self {
        let path = [".gz", ".zst", ".xz", ".bz2"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
        if let Some((log, number)) = path.rsplit_once('.')
            && (1..=3).contains(&number.len())
            && let Ok(number) = number.parse()
        {
            return Generation { log: log.to_owned(), age: Age::Numbered(number) };
        }
        let directory = path.rfind('/').map_or(0, |slash| slash + 1);
        let (directory, name) = path.split_at_checked(directory).unwrap_or(("", path));
        match dated(name) {
            Some((log, date)) => Generation { log: format!("{directory}{log}"), age: Age::Dated(date) },
            None => Generation { log: path.to_owned(), age: Age::Live },
        }
    }

    /// Older before newer; of one log only.
    pub fn order(&self, other: &Self) -> Ordering {
        match (&self.age, &other.age) {
            (Age::Numbered(one), Age::Numbered(other)) => other.cmp(one),
            (Age::Dated(one), Age::Dated(other)) => one.cmp(other),
            (Age::Live, Age::Live) => Ordering::Equal,
            (Age::Live, _) | (Age::Numbered(_), Age::Dated(_)) => Ordering::Greater,
            (_, Age::Live) | (Age::Dated(_), Age::Numbered(_)) => Ordering::Less,
        }
    }
}

/// The name without its date (`2026-11-26`, `20261126`, and what of a time follows), and the date.
fn dated(name: &str) -> Option<(String, String)> {
    let bytes = name.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mark = |at: usize| bytes.get(at).is_some_and(|byte| b"-_.:T".contains(byte));
    for at in 0..bytes.len() {
        if at > 0 && digit(at - 1) || !(bytes.get(at..).is_some_and(|rest| rest.starts_with(b"20"))) {
            continue;
        }
        // Digits, each group with at most one mark before it.
        let mut end = at;
        while digit(end) || mark(end) && digit(end + 1) {
            end += 1;
        }
        let date: String = bytes.get(at..end)?.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
        let month = date.get(4..6)?.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month));
        let day = date.get(6..8).and_then(|day| day.parse::<u8>().ok()).is_some_and(|day| (1..=31).contains(&day));
        if month && day {
            let before = name.get(..at)?.trim_end_matches(['-', '_', '.']);
            return Some((format!("{before}{}", name.get(end..)?), date));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_of_one_log() {
        for (oldest_first, log) in [
            (&["/l/pg.log.2.gz", "/l/pg.log.1", "/l/pg.log"][..], "/l/pg.log"),
            (&["pg-2026-11-26.csv", "pg-2026-11-26_120000.csv.gz", "pg-2026-11-27_000000.csv", "pg.csv"], "pg.csv"),
            (&["a/x.log-20261101.zst", "a/x.log-20261102", "a/x.log"], "a/x.log"),
            (&["d.20/x.2026-11-01T10:00:00.log", "d.20/x.log"], "d.20/x.log"),
        ] {
            let all: Vec<Generation> = oldest_first.iter().map(|path| Generation::of(path)).collect();
            for generation in &all {
                assert_eq!(generation.log, log);
            }
            for pair in all.windows(2) {
                assert_eq!(pair[0].order(&pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(pair[1].order(&pair[0]), Ordering::Greater, "{pair:?}");
            }
        }
    }

    #[test]
    fn other_logs() {
        for (one, other) in [
            ("replica-1.log", "replica-2.log"),
            ("a/x.log", "b/x.log"),
            ("x.log", "x.csv"),
            ("host20.log", "host21.log"),
            ("x-20269901.log", "x.log"),
        ] {
            assert_ne!(Generation::of(one).log, Generation::of(other).log, "{one} {other}");
        }
    }
}
