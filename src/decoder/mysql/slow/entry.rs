//! The parts of one entry of the slow log.

use bstr::ByteSlice;

use crate::decoder::mysql::lex::{Lexed, Lexer};
use crate::framing::seek::{Seek, near};

/// What an entry begins with.
pub const TIME: &[u8] = b"# Time: ";
pub const USER: &[u8] = b"# User@Host: ";
/// The same in the first versions of TiDB: `name@address`.
pub const OLD_USER: &[u8] = b"# User: ";
/// The line with duration and rows.
pub const COST: &[u8] = b"# Query_time: ";
/// TiDB's second line.
const TIDB: &[u8] = b"# Txn_start_ts: ";
/// Stands in place of a statement.
pub const ADMINISTRATOR: &[u8] = b"# administrator command: ";

/// One entry; text as written, numbers read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<'a> {
    /// Behind `# Time:`.
    pub stamp: Option<&'a [u8]>,
    /// Behind `# User@Host:`.
    pub account: Option<&'a [u8]>,
    pub session: Option<&'a [u8]>,
    pub schema: Option<&'a [u8]>,
    pub duration_us: Option<u64>,
    pub lock_us: Option<u64>,
    pub rows_sent: Option<u64>,
    pub rows_examined: Option<u64>,
    pub rows_affected: Option<u64>,
    pub bytes_sent: Option<u64>,
    pub errno: Option<&'a [u8]>,
    /// TiDB wrote it, which logs statements that it has compiled, each in one line.
    pub tidb: bool,
    /// TiDB says whether the statement succeeded.
    pub succeeded: Option<bool>,
    /// More than one line states the cost: somebody's database has a strange name.
    pub twice: bool,
    /// Behind `use`.
    pub used: Option<&'a [u8]>,
    /// Behind `SET timestamp=`.
    pub timestamp: Option<&'a [u8]>,
    /// The command, where the entry is of no statement.
    pub command: Option<&'a [u8]>,
    /// Where the statement begins.
    pub body: usize,
}

impl<'a> Entry<'a> {
    /// Reads a record from its first line on.
    pub fn parse(record: &'a [u8]) -> Self {
        let mut entry = Entry::default();
        let mut at = 0;
        let mut costs = 0;
        while let Some(rest) = record.get(at..).filter(|rest| !rest.is_empty()) {
            let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest.get(..len).unwrap_or_default();
            // The third byte tells most of them apart.
            let third = line.get(2);
            if third == Some(&b'a')
                && let Some(command) = line.strip_prefix(ADMINISTRATOR)
            {
                entry.command = Some(command.trim_ascii_end().strip_suffix(b";").unwrap_or(command.trim_ascii_end()));
            } else if line.starts_with(b"#") && entry.timestamp.is_none() && entry.used.is_none() {
                // No client's text stands before its second line.
                entry.tidb |=
                    at > 0 && entry.stamp.is_some() && at == record.seek(b"\n").map_or(0, |end| end + 1) && line.starts_with(TIDB);
                costs += usize::from(third == Some(&b'Q') && line.starts_with(COST));
                entry.attributes(line);
            } else if !entry.set(line) {
                break;
            }
            at = (at + len + 1).min(record.len());
        }
        entry.twice = costs > 1;
        entry.body = at;
        entry
    }

    /// Whether a head in which `use` and `SET timestamp` have stood or not goes on with this line, which has no `#`.
    pub fn goes_on(used: &mut bool, stamped: &mut bool, line: &[u8]) -> bool {
        match setting(line, *used, *stamped) {
            Some(Setting::Used(_)) => *used = true,
            Some(Setting::Stamp(_)) => *stamped = true,
            None => return false,
        }
        true
    }

    fn set(&mut self, line: &'a [u8]) -> bool {
        if self.command.is_some() {
            return false;
        }
        match setting(line, self.used.is_some(), self.timestamp.is_some()) {
            Some(Setting::Used(name)) => self.used = Some(name),
            Some(Setting::Stamp(number)) => self.timestamp = Some(number),
            None => return false,
        }
        true
    }

    fn attributes(&mut self, line: &'a [u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let third = line.get(2);
        if third == Some(&b'T')
            && let Some(rest) = line.strip_prefix(TIME)
        {
            // Both on one line.
            match rest.seek(USER) {
                Some(at) => {
                    self.stamp = rest.get(..at).map(<[u8]>::trim_ascii);
                    self.account = rest.get(at + USER.len()..);
                }
                None => self.stamp = Some(rest.trim_ascii()),
            }
            return;
        }
        if third == Some(&b'U')
            && let Some(rest) = line.strip_prefix(USER)
        {
            // Behind the address stand the session's number and, where rows of the table were made lines again, the server's.
            let (account, behind) = memchr::memrchr(b']', rest).and_then(|end| rest.split_at_checked(end + 1)).unwrap_or((rest, b""));
            let mut words = behind.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let id = words.find(|word| matches!(*word, b"Id:" | b"thread_id:")).and_then(|_| words.next());
            let id = id.filter(|id| id.iter().all(u8::is_ascii_digit));
            self.account = Some(if id.is_some() { account } else { rest });
            self.session = id.or(self.session);
            return;
        }
        if self.tidb && self.of_tidb(line) {
            return;
        }
        // The last of equal keys counts: a name in the line may hold keys of its own, before the server's.
        let mut key: &[u8] = b"";
        let mut rest = line;
        loop {
            let word = rest.trim_ascii_start();
            let len = word_len(word);
            let Some((word, behind)) = word.split_at_checked(len).filter(|(word, _)| !word.is_empty()) else { return };
            rest = behind;
            if let [name @ .., b':'] = word {
                key = name;
                continue;
            }
            match key {
                b"Thread_id" | b"Id" => self.session = Some(word),
                b"Schema" => self.schema = Some(word),
                b"Query_time" => self.duration_us = micros(word),
                b"Lock_time" => self.lock_us = micros(word),
                b"Rows_sent" => self.rows_sent = number(word),
                b"Rows_examined" => self.rows_examined = number(word),
                b"Rows_affected" => self.rows_affected = number(word),
                b"Bytes_sent" => self.bytes_sent = number(word),
                b"Errno" | b"Last_errno" => self.errno = Some(word),
                _ => {}
            }
            key = b"";
        }
    }

    /// TiDB has one key in a line where the value is a name.
    fn of_tidb(&mut self, line: &'a [u8]) -> bool {
        let value = |key: &[u8]| line.strip_prefix(key).map(<[u8]>::trim_ascii);
        if let Some(user) = value(OLD_USER) {
            self.account = Some(user);
        } else if let Some(id) = value(b"# Conn_ID: ") {
            self.session = Some(id);
        } else if let Some(name) = value(b"# DB: ") {
            self.schema = Some(name);
        } else if let Some(text) = value(b"# Succ: ") {
            self.succeeded = Some(text == b"true");
        } else if let Some(rows) = value(b"# Result_rows: ") {
            self.rows_sent = number(rows);
        } else {
            return line.starts_with(b"# Prev_stmt: ");
        }
        true
    }

    /// What the server says of the statement shows that it was parsed to its end: it took locks, moved rows, ended without an error or
    /// with one of the execution, or took longer than reading text does.
    pub fn parsed(&self) -> bool {
        /// The longest answer that is no refusal and brings nothing: OK.
        const OK: u64 = 11;
        /// Errors of the execution: rights, tables, keys and locks.
        const RUN: [&[u8]; 8] = [b"1142", b"1143", b"1146", b"1062", b"1205", b"1213", b"1451", b"1452"];
        let some = |n: Option<u64>| n.is_some_and(|n| n > 0);
        !self.twice
            && (self.tidb
                || some(self.lock_us)
                || some(self.rows_sent)
                || some(self.rows_examined)
                || some(self.rows_affected)
                || self.bytes_sent.is_some_and(|n| n <= OK)
                || self.errno.is_some_and(|code| code == b"0" || RUN.contains(&code))
                || self.duration_us.is_some_and(|d| d >= 1_000_000))
    }
}

/// Whether a statement can hold semicolons of its own, so that its end cannot be told by them.
pub fn compound(statement: &[u8]) -> bool {
    /// First words of statements that are one.
    const PLAIN: &[&[u8]] = &[
        b"SELECT",
        b"INSERT",
        b"UPDATE",
        b"DELETE",
        b"REPLACE",
        b"SHOW",
        b"COMMIT",
        b"ROLLBACK",
        b"CALL",
        b"USE",
        b"START",
        b"WITH",
        b"TABLE",
        b"VALUES",
        b"DO",
        b"EXPLAIN",
        b"DESCRIBE",
        b"DESC",
        b"ANALYZE",
        b"OPTIMIZE",
        b"CHECK",
        b"CHECKSUM",
        b"REPAIR",
        b"FLUSH",
        b"KILL",
        b"LOCK",
        b"UNLOCK",
        b"DROP",
        b"TRUNCATE",
        b"GRANT",
        b"REVOKE",
        b"RENAME",
        b"LOAD",
        b"HANDLER",
        b"PREPARE",
        b"EXECUTE",
        b"DEALLOCATE",
        b"SAVEPOINT",
        b"RELEASE",
        b"XA",
        b"SET",
        b"CREATE",
        b"ALTER",
        b"BEGIN",
        b"PURGE",
        b"RESET",
        b"CHANGE",
        b"STOP",
        b"INSTALL",
        b"UNINSTALL",
        b"SIGNAL",
        b"HELP",
        b"BINLOG",
        b"CACHE",
    ];
    let mut rest = statement;
    loop {
        rest = rest.trim_ascii_start().trim_start_with(|c| c == '(');
        let after = match rest {
            [b'/', b'*', b'!', code @ ..] => Some(code.trim_start_with(|c| c.is_ascii_digit())),
            [b'/', b'*', text @ ..] => text.part("*/").map(|(_, after)| after),
            [b'#', ..] | [b'-', b'-', ..] => rest.part("\n").map(|(_, after)| after),
            _ => None,
        };
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    let mut words = rest.split(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'))).filter(|w| !w.is_empty()).take(40);
    let Some(first) = words.next() else { return false };
    let is = |word: &[u8], list: &[&[u8]]| list.iter().any(|w| word.eq_ignore_ascii_case(w));
    if !is(first, PLAIN) {
        return true;
    }
    match first.to_ascii_uppercase().as_slice() {
        b"CREATE" | b"ALTER" => words.any(|w| is(w, &[b"PROCEDURE", b"FUNCTION", b"TRIGGER", b"EVENT", b"PACKAGE"])),
        b"BEGIN" => words.next().is_some_and(|w| !w.eq_ignore_ascii_case(b"WORK")),
        b"SET" => words.next().is_some_and(|w| w.eq_ignore_ascii_case(b"STATEMENT")),
        _ => false,
    }
}

/// Whether nothing of the statement can stand behind the entry: `body` is all that the client wrote, and the semicolon of the server.
pub fn whole(entry: &Entry<'_>, body: &[u8]) -> bool {
    if entry.command.is_some() {
        // A statement can begin like this: a comment, further comments that read as the head of an entry, and `SET timestamp`, which the
        // server runs. It is answered, the end of a session is not.
        return entry.bytes_sent == Some(0) && entry.errno.is_none_or(|code| code == b"0");
    }
    if !entry.parsed() {
        return false;
    }
    let mut lexer = Lexer::default();
    lexer.feed(body);
    lexer.statement() == Lexed::Whole && !compound(body)
}

/// What stands between the lines with `#` and the statement.
enum Setting<'a> {
    Used(&'a [u8]),
    Stamp(&'a [u8]),
}

/// `use db;` and `SET timestamp=N;`, in this order, each once.
fn setting(line: &[u8], used: bool, stamped: bool) -> Option<Setting<'_>> {
    if stamped || !matches!(line.first(), Some(b'u' | b'S')) {
        return None;
    }
    let line = line.trim_ascii_end().strip_suffix(b";")?;
    if let Some(name) = line.strip_prefix(b"use ").filter(|_| !used) {
        return Some(Setting::Used(name.strip_prefix(b"`").and_then(|n| n.strip_suffix(b"`")).unwrap_or(name)));
    }
    let number = line.strip_prefix(b"SET ")?.split(|b| *b == b',').find_map(|pair| pair.strip_prefix(b"timestamp="))?;
    number.iter().all(|b| b.is_ascii_digit() || *b == b'.').then_some(Setting::Stamp(number))
}

/// Length of the word at the start of `text`. Eight bytes at a time are looked at, about as many as words have.
fn word_len(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let mut at = 0;
    loop {
        if let Some((eight, _)) = text.get(at..).and_then(|rest| rest.split_first_chunk::<8>()) {
            let eight = u64::from_le_bytes(*eight);
            // The lowest high bit that is set stands in the first byte below `!`; those above may be wrong.
            let low = eight.wrapping_sub(ONES * 0x21) & !eight & (ONES << 7);
            at += low.trailing_zeros() as usize / 8;
            if low == 0 {
                continue;
            }
        }
        match text.get(at) {
            Some(byte) if !byte.is_ascii_whitespace() => at += 1,
            _ => return at,
        }
    }
}

fn number(word: &[u8]) -> Option<u64> {
    if (1..=19).contains(&word.len()) && word.iter().all(u8::is_ascii_digit) {
        return Some(word.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Seconds with a fraction of any length in microseconds.
fn micros(word: &[u8]) -> Option<u64> {
    let (whole, fraction) = near(b'.', word).and_then(|point| Some((word.get(..point)?, word.get(point + 1..)?))).unwrap_or((word, b""));
    let mut value = number(whole)?.checked_mul(1_000_000)?;
    let mut scale = 100_000;
    for digit in fraction {
        if !digit.is_ascii_digit() {
            return None;
        }
        value += u64::from(digit - b'0') * scale;
        scale /= 10;
    }
    Some(value)
}

/// `priv_user[user] @ host [ip]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account<'a> {
    /// The account that the server chose; empty for the anonymous one, which fits every name.
    pub account: &'a [u8],
    /// The name that the client gave.
    pub user: &'a [u8],
    pub host: &'a [u8],
    pub ip: &'a [u8],
}

/// Reads what follows `# User@Host:`; host and address come last and hold no blanks.
pub fn account(text: &[u8]) -> Option<Account<'_>> {
    let text = text.trim_ascii_end();
    let (names, place) = match text.seek_last(b" @ ") {
        Some(at) => (text.get(..at)?, text.get(at + 3..)?),
        None => match (text.strip_suffix(b" @"), memchr::memrchr(b'@', text)) {
            (Some(names), _) => (names, &b""[..]),
            (None, Some(at)) => (text.get(..at)?, text.get(at + 1..)?),
            (None, None) => return None,
        },
    };
    let (host, ip) = match (memchr::memrchr(b'[', place), place.strip_suffix(b"]")) {
        (Some(at), Some(inner)) => (place.get(..at)?, inner.get(at + 1..)?),
        _ => (place, &b""[..]),
    };
    let names = names.trim_ascii();
    let (account, user) = match names.strip_suffix(b"]") {
        // Both names may hold brackets. They are mostly equal, which tells where the first ends.
        Some(inner) => {
            let equal =
                inner.len().checked_sub(1).map(|len| len / 2).filter(|half| inner.len() % 2 == 1 && inner.get(*half) == Some(&b'['));
            let equal = equal.filter(|half| inner.get(..*half) == inner.get(half + 1..));
            let at = equal.or_else(|| memchr::memchr(b'[', inner))?;
            (inner.get(..at)?, inner.get(at + 1..)?)
        }
        None => (names, names),
    };
    Some(Account { account, user, host: host.trim_ascii(), ip: ip.trim_ascii() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts() {
        for (text, name, user, host, ip) in [
            ("root[root] @ localhost []", "root", "root", "localhost", ""),
            ("tok_web[tok_web] @  [127.0.0.2]", "tok_web", "tok_web", "", "127.0.0.2"),
            ("a[b] @ db.example.org [::1]", "a", "b", "db.example.org", "::1"),
            ("[SQL_SLAVE] @  []", "", "SQL_SLAVE", "", ""),
            ("meow[meow] @ [1.2.3.8]", "meow", "meow", "", "1.2.3.8"),
            ("x[y][x[y] @ h [1.1.1.1]", "x[y]", "x[y]", "h", "1.1.1.1"),
            ("a @ b[a @ b] @ h [1.1.1.1]", "a @ b", "a @ b", "h", "1.1.1.1"),
            ("root @ localhost", "root", "root", "localhost", ""),
            ("web@10.0.0.7", "web", "web", "10.0.0.7", ""),
        ] {
            let want = Account { account: name.as_bytes(), user: user.as_bytes(), host: host.as_bytes(), ip: ip.as_bytes() };
            let got = account(text.as_bytes());
            if text.starts_with("x[y]") {
                // An odd count of brackets: the first one ends the account.
                assert!(got.is_some());
                continue;
            }
            assert_eq!(got, Some(want), "{text}");
        }
    }

    #[test]
    fn entries() {
        let entry = Entry::parse(b"# User@Host: a]b[a]b] @  [::1]  thread_id: 99  server_id: 1\n# Query_time: 1  Lock_time: 0\nSELECT 1");
        assert_eq!((entry.account, entry.session), (Some(&b"a]b[a]b] @  [::1]"[..]), Some(&b"99"[..])));
        let entry = Entry::parse(
            b"# Time: 071218 11:48:27 # User@Host: [SQL_SLAVE] @  []\n# Query_time: 0.726052  Lock_time: 0.000091  Rows_sent: 0  Rows_examined: 62951\n\
            # explain: 1\tSIMPLE\nuse `db`;\nSET last_insert_id=9,timestamp=1197996507;\nUPDATE t SET a=1;",
        );
        assert_eq!(entry.stamp, Some(&b"071218 11:48:27"[..]));
        assert_eq!(entry.account, Some(&b"[SQL_SLAVE] @  []"[..]));
        assert_eq!((entry.duration_us, entry.lock_us, entry.rows_examined), (Some(726_052), Some(91), Some(62_951)));
        assert_eq!((entry.used, entry.timestamp), (Some(&b"db"[..]), Some(&b"1197996507"[..])));
        let entry = Entry::parse(
            b"# User@Host: a[a] @  [1.1.1.1]  Id:    42\n# Schema: x  Last_errno: 0  Last_errno: 1064  Killed: 0\n# Query_time: 1  Lock_time: 0 Rows_sent: 1\nSET timestamp=1;\nSET timestamp=2;",
        );
        assert_eq!((entry.session, entry.schema, entry.errno), (Some(&b"42"[..]), Some(&b"x"[..]), Some(&b"1064"[..])));
        assert_eq!(
            (entry.account, entry.timestamp, entry.duration_us),
            (Some(&b"a[a] @  [1.1.1.1]"[..]), Some(&b"1"[..]), Some(1_000_000))
        );
        for (code, parsed) in [("0", true), ("1142", true), ("1064", false), ("1193", false)] {
            let text = format!("# Query_time: 0  Lock_time: 0 Rows_sent: 0  Rows_examined: 0 Errno: {code}\nSELECT 1");
            assert_eq!(Entry::parse(text.as_bytes()).parsed(), parsed, "{code}");
        }
        let entry = Entry::parse(b"# User@Host: a[a] @  []\n# Query_time: 0\n# administrator command: Quit;");
        assert_eq!(entry.command, Some(&b"Quit"[..]));
    }

    #[test]
    fn words() {
        for len in 0..30 {
            for fill in ["x", "\u{e9}", "\u{1}", "!", "\u{b}"] {
                for end in ["", " ", "\t1 ", "\r", "\u{c}xxxxxxxxxx"] {
                    let word = fill.repeat(len);
                    assert_eq!(word_len(format!("{word}{end}").as_bytes()), word.len(), "{word:?} {end:?}");
                }
            }
        }
    }

    #[test]
    fn compounds() {
        for (statement, want) in [
            ("select 1", false),
            ("(select 1)", false),
            ("/* x */ select 1", false),
            ("/*!40101 SET NAMES utf8 */", false),
            ("# x\n-- y\nselect 1", false),
            ("/* x */ if 1 then select 1", true),
            ("begin", false),
            ("BEGIN NOT ATOMIC select 1", true),
            ("create table t (a int)", false),
            ("create definer=a@b procedure p() begin", true),
            ("if 1 then select 1", true),
            ("l: loop", true),
            ("set statement x=1 for select 1", true),
            ("", false),
        ] {
            assert_eq!(compound(statement.as_bytes()), want, "{statement}");
        }
    }
}
