//! Where literals and comments end, by the rules of each server.
//!
//! Every function takes the bytes from a given point on and answers a length. A wrong answer would either leak a literal into
//! the shape or let a client hide code from us inside what the server does not take for a literal, so each follows the
//! server's own lexer and says so.

use memchr::{memchr, memchr2, memmem};

use crate::event::Dialect;

/// What differs between the lexers of the servers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// MySQL and MariaDB: `#` comments, `-- ` needs its blank, `/*! code */`, identifiers may start with a digit.
    pub mysql: bool,
    /// `"text"` is a literal, not an identifier.
    pub double_quoted_literals: bool,
    /// A backslash escapes in every literal, not only in `E''`.
    pub backslash: bool,
    /// `$tag$ text $tag$` is a literal.
    pub dollar_quotes: bool,
    /// A backtick quotes identifiers.
    pub backtick: bool,
    /// `@name` is a variable or parameter, not an operator before a name.
    pub at_names: bool,
    /// A line comment also ends at a carriage return.
    pub cr_ends_comment: bool,
}

impl Rules {
    /// PostgreSQL with standard_conforming_strings on (its default since 9.1), MySQL without ANSI_QUOTES and
    /// NO_BACKSLASH_ESCAPES. For text that is not SQL whatever looks like a quote is one: better to lose words than to leak.
    pub fn of(dialect: Dialect) -> Self {
        let postgres = Rules {
            mysql: false,
            double_quoted_literals: false,
            backslash: false,
            dollar_quotes: true,
            backtick: false,
            at_names: false,
            cr_ends_comment: true,
        };
        match dialect {
            Dialect::Postgres => postgres,
            Dialect::Generic => Rules { backtick: true, at_names: true, ..postgres },
            Dialect::MySql => Rules {
                mysql: true,
                double_quoted_literals: true,
                backslash: true,
                dollar_quotes: false,
                backtick: true,
                at_names: true,
                cr_ends_comment: false,
            },
            Dialect::None => Rules { double_quoted_literals: true, backslash: true, backtick: true, at_names: true, ..postgres },
        }
    }
}

/// Length of the rest of a quoted text, past its closing quote; `after` starts behind the opening one. `None`: it never closes.
pub(super) fn quoted(after: &[u8], quote: u8, backslash: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = after.get(at..)?;
        let found = if backslash { memchr2(quote, b'\\', rest)? } else { memchr(quote, rest)? };
        match (rest.get(found), rest.get(found + 1)) {
            (Some(b'\\'), _) => at += found + 2,
            (_, Some(next)) if *next == quote => at += found + 2,
            _ => return Some(at + found + 1),
        }
    }
}

/// What a `$` opens.
pub(super) enum Dollar {
    /// A literal of this length; unterminated ones run to the end.
    Literal { len: usize, terminated: bool },
    /// A numbered or named parameter of this length.
    Parameter(usize),
    /// Nothing.
    Sign,
}

/// Reads what starts with the `$` at the start of `rest`.
pub(super) fn dollar(rest: &[u8], quotes: bool) -> Dollar {
    let name = rest.get(1..).unwrap_or_default();
    let digits = name.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits > 0 {
        return Dollar::Parameter(1 + digits);
    }
    let tag = name.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80).count();
    if quotes && name.get(tag) == Some(&b'$') {
        let delimiter = rest.get(..tag + 2).unwrap_or_default();
        let body = rest.get(tag + 2..).unwrap_or_default();
        return match memmem::find(body, delimiter) {
            Some(at) => Dollar::Literal { len: at + 2 * delimiter.len(), terminated: true },
            None => Dollar::Literal { len: rest.len(), terminated: false },
        };
    }
    if tag > 0 { Dollar::Parameter(1 + tag) } else { Dollar::Sign }
}

/// Length of the number at the start of `rest`, which starts with a digit, or a point and a digit. Signs are not part of it.
pub(super) fn number(rest: &[u8]) -> usize {
    let digits =
        |from: usize, is: fn(&u8) -> bool| rest.get(from..).unwrap_or_default().iter().take_while(|b| is(b) || **b == b'_').count();
    if let (Some(b'0'), Some(radix)) = (rest.first(), rest.get(1)) {
        let is: fn(&u8) -> bool = match radix {
            b'x' | b'X' => u8::is_ascii_hexdigit,
            b'o' | b'O' | b'b' | b'B' => u8::is_ascii_digit,
            _ => |_| false,
        };
        if rest.get(2).is_some_and(is) {
            return 2 + digits(2, is);
        }
    }
    let mut len = digits(0, u8::is_ascii_digit);
    if rest.get(len) == Some(&b'.') {
        len += 1;
        // Not `_1` after the point: that is a name.
        if rest.get(len).is_some_and(u8::is_ascii_digit) {
            len += digits(len, u8::is_ascii_digit);
        }
    }
    if matches!(rest.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(len + 1), Some(b'+' | b'-')));
        if rest.get(len + 1 + sign).is_some_and(u8::is_ascii_digit) {
            len += 1 + sign + digits(len + 1 + sign, u8::is_ascii_digit);
        }
    }
    len
}

/// Length of a line comment without its line end.
pub(super) fn line_comment(rest: &[u8], rules: Rules) -> usize {
    let end = if rules.cr_ends_comment { memchr2(b'\n', b'\r', rest) } else { memchr(b'\n', rest) };
    end.unwrap_or(rest.len())
}

/// Length of the block comment that starts with the `/*` at the start of `rest`. Comments nest in PostgreSQL and in the
/// standard, not in MySQL. `None`: it never closes.
pub(super) fn block_comment(rest: &[u8], rules: Rules) -> Option<usize> {
    let mut at = 2;
    if rules.mysql {
        return memmem::find(rest.get(at..)?, b"*/").map(|found| at + found + 2);
    }
    let mut depth = 1usize;
    loop {
        let tail = rest.get(at..)?;
        let found = memchr2(b'*', b'/', tail)?;
        at += found + 1;
        match (tail.get(found), tail.get(found + 1)) {
            (Some(b'*'), Some(b'/')) => {
                at += 1;
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            (Some(b'/'), Some(b'*')) => {
                at += 1;
                depth += 1;
            }
            _ => {}
        }
    }
}

/// Length of the opening of an executable comment (`/*!`, `/*!50110`, MariaDB's `/*M!`), whose contents the server runs.
pub(super) fn executable_comment(rest: &[u8]) -> Option<usize> {
    let mark = match rest {
        [b'/', b'*', b'!', ..] => 3,
        [b'/', b'*', b'M', b'!', ..] => 4,
        _ => return None,
    };
    let digits = rest.get(mark..).unwrap_or_default().iter().take(6).take_while(|b| b.is_ascii_digit()).count();
    Some(mark + if digits >= 5 { digits } else { 0 })
}

/// Length of a `%s`, `%d` or `%(name)s` left in the text by a client that logs before it binds.
pub(super) fn percent_parameter(rest: &[u8]) -> Option<usize> {
    let verb = match rest.get(1)? {
        b'(' => 2 + memchr(b')', rest.get(2..)?.get(..64).or(rest.get(2..))?)? + 1,
        _ => 1,
    };
    let ends = rest.get(verb + 1).is_none_or(|b| !(b.is_ascii_alphanumeric() || *b == b'_'));
    (matches!(rest.get(verb)?, b's' | b'd') && ends).then_some(verb + 1)
}
