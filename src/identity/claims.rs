//! What a client says of itself behind a pooler: tags in a comment of its statement, and its application's name.
//!
//! ```text
//! SELECT 1 /*application='billing',route='%2Finvoices'*/        sqlcommenter
//! /*application:Billing,controller:invoices,action:index*/ SELECT 1        Marginalia, Rails' query logs
//! ```
//! <https://google.github.io/sqlcommenter/spec/>, <https://guides.rubyonrails.org/debugging_rails_applications.html#sql-query-comments>
//!
//! All of it is claimed. The inventory may narrow a user by it, and never choose another user's token.

use std::borrow::Cow;

use bstr::{BStr, ByteSlice};

use crate::decoder::peer::peer;
use crate::event::{Address, Dialect};

/// Tags read of one comment.
const TAGS: usize = 32;
/// Longest comment that is read.
const LONGEST: usize = 4096;

/// The tags of a statement.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tags<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Tags<'a> {
    /// Of the last comment if the statement ends with it, else of the first if it begins with that. Text in quotes is no comment.
    pub fn of(statement: &'a [u8], dialect: Dialect) -> Self {
        let (first, last) = comments(statement, dialect);
        let tags = last.map(tags).unwrap_or_default();
        if tags.is_empty() { Tags(first.map(self::tags).unwrap_or_default()) } else { Tags(tags) }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_ref())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }
}

/// The application's name without the client's address that pgbouncer appends (`application_name_add_host`), and that address.
pub fn application(name: &BStr) -> (&BStr, Option<Address<'_>>) {
    let host = name.rsplit_once_str(" - ").and_then(|(name, host)| match peer(host) {
        (address @ Some(Address::Ip(_)), Some(_)) => Some((BStr::new(name), address)),
        _ if host.starts_with(b"unix") => Some((BStr::new(name), Some(Address::Local))),
        _ => None,
    });
    host.unwrap_or((name, None))
}

/// The texts of the comment that a statement begins with, and of the one that it ends with, outside quotes and other comments.
fn comments(statement: &[u8], dialect: Dialect) -> (Option<&[u8]>, Option<&[u8]>) {
    let (mut first, mut last) = (None, None);
    let mut at = 0;
    // Nothing but blanks so far, and since the last comment.
    let mut blank = true;
    while let Some(rest) = statement.get(at..).filter(|rest| !rest.is_empty()) {
        match rest {
            [b'/', b'*', ..] => {
                let Some(len) = block(rest, dialect) else { return (first, None) };
                let text = rest.get(2..len.saturating_sub(2)).unwrap_or_default();
                // Hints and MySQL's executable comments are not for us.
                let tagged = !matches!(text.first(), Some(b'!' | b'+')) && text.len() <= LONGEST;
                last = tagged.then_some(text);
                if blank && first.is_none() {
                    first = last;
                }
                at += len;
                continue;
            }
            [b'-', b'-', ..] => {
                at += memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                continue;
            }
            [b'#', ..] if dialect == Dialect::MySql => {
                at += memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                continue;
            }
            [b';' | b' ' | b'\t' | b'\r' | b'\n', ..] => at += 1,
            _ => {
                (blank, last) = (false, None);
                at += quoted(rest, statement.get(..at).unwrap_or_default(), dialect);
            }
        }
    }
    (first, last)
}

/// Length of the block comment at the start; PostgreSQL's nest. `None` where it is not closed.
fn block(text: &[u8], dialect: Dialect) -> Option<usize> {
    let (mut depth, mut at) = (0usize, 0);
    loop {
        at += text.get(at..)?.iter().position(|b| matches!(b, b'*' | b'/'))?;
        match text.get(at..at + 2)? {
            b"/*" if depth == 0 || dialect == Dialect::Postgres => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

/// Length of what begins the text, if that is quoted, else 1.
fn quoted(text: &[u8], before: &[u8], dialect: Dialect) -> usize {
    let Some(quote) = text.first().copied() else { return 1 };
    match quote {
        b'\'' | b'"' | b'`' => {
            let escape_string = || {
                let word = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                word == 1 && matches!(before.last(), Some(b'e' | b'E'))
            };
            let escapes = quote != b'`' && (dialect == Dialect::MySql || quote == b'\'' && dialect == Dialect::Postgres && escape_string());
            let mut at = 1;
            while let Some(byte) = text.get(at) {
                at += match byte {
                    b'\\' if escapes => 2,
                    // A doubled quote opens the next one at once, which comes to the same.
                    byte if *byte == quote => return at + 1,
                    _ => 1,
                };
            }
            text.len()
        }
        b'$' if dialect == Dialect::Postgres && !before.last().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') => {
            let name = text.iter().skip(1).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80).count();
            let Some(mark) = text.get(..name + 2).filter(|mark| mark.ends_with(b"$")) else { return 1 };
            let body = text.get(mark.len()..).unwrap_or_default();
            body.find(mark).map_or(text.len(), |end| end + 2 * mark.len())
        }
        _ => 1,
    }
}

/// `key='value',...` or `key:value,...`; empty where it is neither.
fn tags(comment: &[u8]) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let mut found = Vec::new();
    let mut rest = comment.trim_ascii();
    while !rest.is_empty() && found.len() < TAGS {
        let key = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'%')).count();
        let (Some(name), Some(after)) = (rest.get(..key).filter(|name| !name.is_empty()), rest.get(key..)) else { break };
        let (value, next) = match after {
            [b'=', b'\'', value @ ..] => {
                let Some(end) = closing(value) else { break };
                (decoded(value.get(..end).unwrap_or_default()), value.get(end + 1..).unwrap_or_default())
            }
            [b':', value @ ..] => {
                let end = memchr::memchr(b',', value).unwrap_or(value.len());
                (String::from_utf8_lossy(value.get(..end).unwrap_or_default().trim_ascii()), value.get(end..).unwrap_or_default())
            }
            _ => break,
        };
        found.push((decoded(name), value));
        rest = next.trim_ascii_start();
        rest = match rest {
            [b',', rest @ ..] => rest.trim_ascii_start(),
            _ => break,
        };
    }
    found
}

/// Where the quoted value ends; `\'` does not end it.
fn closing(value: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match value.get(at)? {
            b'\\' => at += 2,
            b'\'' => return Some(at),
            _ => at += 1,
        }
    }
}

/// Without percent escapes, `+` for blanks, and backslashes before quotes.
fn decoded(text: &[u8]) -> Cow<'_, str> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+' | b'\\')) {
        return String::from_utf8_lossy(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = || after.get(..2).and_then(|hex| u8::from_str_radix(hex.to_str().ok()?, 16).ok());
        let (byte, used) = match (*first, hex()) {
            (b'%', Some(byte)) => (byte, 3),
            (b'+', _) => (b' ', 1),
            (b'\\', _) if after.first() == Some(&b'\'') => (b'\'', 2),
            (byte, _) => (byte, 1),
        };
        out.push(byte);
        rest = rest.get(used..).unwrap_or_default();
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, statement: &str, want: &[(&str, &str)]) {
        let tags = Tags::of(statement.as_bytes(), dialect);
        assert_eq!(tags.iter().collect::<Vec<_>>(), want, "{statement}");
    }

    #[test]
    fn sqlcommenter() {
        let check = |statement: &str, want: &[(&str, &str)]| check(Dialect::Postgres, statement, want);
        check("SELECT 1 /*application='app-1',route='%2Fa%20b'*/;", &[("application", "app-1"), ("route", "/a b")]);
        check("SELECT 1/*action='any+action',db_driver='x'*/", &[("action", "any action"), ("db_driver", "x")]);
        check("SELECT 1 /* a */ /*key='it\\'s',k2='foo%3BDROP+TABLE'*/ ; ", &[("key", "it's"), ("k2", "foo;DROP TABLE")]);
        check("SELECT 1 /*x='1',*/", &[("x", "1")]);
        check("SELECT 1 /*just a remark*/", &[]);
        check("SELECT 1 /*a='b'*/ -- /*a='c'*/\n", &[("a", "b")]);
        check("SELECT 1 /*a='b'", &[]);
        check("SELECT 1 /*a='b'*/ FROM t", &[]);
        check("SELECT 1 /*a='%zz%4'*/", &[("a", "%zz%4")]);
        check("", &[]);
    }

    #[test]
    fn marginalia() {
        let check = |statement: &str, want: &[(&str, &str)]| check(Dialect::MySql, statement, want);
        check(
            "SELECT 1 /*application:Shop,controller:carts,action:show*/",
            &[("application", "Shop"), ("controller", "carts"), ("action", "show")],
        );
        check("/*application:Shop,line:/app/a.rb:12:in `x'*/ SELECT 1", &[("application", "Shop"), ("line", "/app/a.rb:12:in `x'")]);
        check("/*application:A*/ SELECT 1 /*application:B*/", &[("application", "B")]);
        check("/*application:A*/ SELECT 1 /* no tags */", &[("application", "A")]);
        check("/*!40101 SET x */ SELECT 1 /*+ hint:a */", &[]);
        check("SELECT 1 # /*a:b*/", &[]);
    }

    /// Literals may hold comments, and comments may hold comments.
    #[test]
    fn text_in_quotes_is_no_comment() {
        for (dialect, statement) in [
            (Dialect::Postgres, "SELECT '/*a=''x''*/'"),
            (Dialect::Postgres, "SELECT 'x' || ' /*a:b*/'"),
            (Dialect::Postgres, "SELECT E'\\' /*a:b*/'"),
            (Dialect::Postgres, "SELECT $$ /*a:b*/ $$"),
            (Dialect::Postgres, "SELECT $x$ $$ /*a:b*/ $x$"),
            (Dialect::Postgres, "SELECT \"/*a:b*/\""),
            (Dialect::Postgres, "SELECT /* x /*a:b*/ */ 1"),
            (Dialect::MySql, "SELECT '\\' /*a:b*/'"),
            (Dialect::MySql, "SELECT `/*a:b*/`"),
            (Dialect::MySql, "SELECT \"\\\" /*a:b*/\""),
            (Dialect::Generic, "SELECT '/*a:b*/"),
            (Dialect::Generic, "SELECT 1 -- /*a:b*/"),
        ] {
            check(dialect, statement, &[]);
        }
        check(Dialect::Postgres, "SELECT '\\' /*a:b*/", &[("a", "b")]);
        check(Dialect::Postgres, "SELECT name'x' /*a:b*/", &[("a", "b")]);
        check(Dialect::Postgres, "SELECT $1 /*a:b*/", &[("a", "b")]);
        check(Dialect::Postgres, "SELECT 1 /* /*x*/ a:b */", &[]);
    }

    #[test]
    fn nothing_makes_it_stumble() {
        let pieces = ["/*", "*/", "'", "\\", "$", "$a$", "\"", "`", "--", "\n", "#", "a='b'", "a:b", ",", "%", "é", ";", "e"];
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Generic, Dialect::None] {
                Tags::of(text.as_bytes(), dialect);
            }
        }
    }

    #[test]
    fn applications_behind_pgbouncer() {
        for (name, want, host) in [
            ("billing", "billing", "-"),
            ("billing - 10.0.0.7:5123", "billing", "10.0.0.7"),
            ("a - b - ::1:51234", "a - b", "::1"),
            ("DBeaver 23 - Main", "DBeaver 23 - Main", "-"),
            ("billing - unix(77):6432", "billing", "local"),
        ] {
            let (application, address) = application(name.into());
            assert_eq!((application, address.map_or("-".to_owned(), |a| a.to_string()).as_str()), (BStr::new(want), host), "{name}");
        }
    }
}
