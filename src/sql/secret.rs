//! Passwords and keys that stand in a statement in plain text: whether there is one, never which.
//!
//! The shape of a statement cannot tell: `password ?` stands for a password, for a verifier that the client made of it (psql's `\password`),
//! for a parameter, and for what the server put in its place before it wrote the log. So the statement itself is read here, where a rule
//! asks, and the answer is yes or no.

use super::literal::{self, Dollar, Rules};
use crate::event::Dialect;

/// What the words so far say of what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    /// A literal here is a secret.
    Literal,
    /// So is a bare word: Oracle's passwords are written without quotes, and so is a slip of the hand.
    Word,
}

/// Words behind `password` and `identified by` that are no password.
const KEYWORDS: [&[u8]; 19] = [
    b"null",
    b"expire",
    b"history",
    b"reuse",
    b"require",
    b"never",
    b"default",
    b"random",
    b"values",
    b"password",
    b"externally",
    b"globally",
    b"is",
    b"using",
    b"with",
    b"verifier",
    b"disable",
    b"hash",
    b"encrypted",
];

/// Ends of words behind which a secret stands: `master_password = 'x'`.
const NAMES: [&[u8]; 11] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"secret_key",
    b"secret_access_key",
    b"private_key",
    b"account_key",
    b"api_key",
    b"sas_token",
    b"session_token",
];

/// Beginnings of a secret inside a literal: connection strings, and the options of COPY.
const INSIDE: [&[u8]; 8] =
    [b"password", b"passwd", b"pwd", b"secret_access_key", b"secret_key", b"accountkey", b"sharedaccesssignature", b"session_token"];

/// Does a password or key stand in the statement in plain text? Verifiers (hashes), empty ones, parameters, and what servers and tools write
/// in a password's place are none.
pub fn in_plain_text(statement: &[u8], dialect: Dialect) -> bool {
    let rules = Rules::of(dialect);
    let mut due = Due::Nothing;
    let mut words = 0u32;
    // SET PASSWORD, and statements about accounts.
    let (mut first, mut sets, mut account, mut identified, mut keys) = (&[][..], false, false, false, false);
    let mut at = 0;
    while let Some(byte) = statement.get(at).copied() {
        let rest = statement.get(at..).unwrap_or_default();
        let blank = byte <= b' ';
        if let Some(len) = comment(rest, rules) {
            at += len;
            continue;
        }
        if blank {
            at += 1;
            continue;
        }
        let (quote, backslash) = (byte == b'\'' || byte == b'"' || byte == b'`', rules.backslash && byte != b'`');
        if quote {
            let after = rest.get(1..).unwrap_or_default();
            let end = literal::quoted(after, byte, backslash);
            let content = after.get(..end.map_or(after.len(), |end| end.saturating_sub(1))).unwrap_or_default();
            let is_literal = byte == b'\'' || byte == b'"' && (rules.double_quoted_literals || due == Due::Word);
            if is_literal
                && (due != Due::Nothing && is_plain(content) || keys && content.len() >= 16 && is_plain(content) || bears(content))
            {
                return true;
            }
            if is_literal {
                due = Due::Nothing;
            }
            at += 1 + end.unwrap_or(after.len());
            continue;
        }
        if byte == b'$' {
            match literal::dollar(rest, rules.dollar_quotes) {
                Dollar::Literal { len, .. } => {
                    let content = rest.get(..len).unwrap_or_default();
                    let tag = content.iter().skip(1).position(|b| *b == b'$').map_or(0, |tag| tag + 2);
                    let content = content.get(tag..len.saturating_sub(tag)).unwrap_or_default();
                    if due != Due::Nothing && is_plain(content) || bears(content) {
                        return true;
                    }
                    (at, due) = (at + len, Due::Nothing);
                }
                Dollar::Parameter(len) => (at, due) = (at + len, Due::Nothing),
                Dollar::Sign => at += 1,
            }
            continue;
        }
        let len = rest.iter().position(|b| !in_word(*b)).unwrap_or(rest.len());
        if len == 0 {
            match byte {
                b'=' | b':' | b'(' | b'>' => {
                    due = if due != Due::Nothing || sets && byte == b'=' { Due::Literal } else { Due::Nothing };
                }
                b')' => (keys, due) = (false, Due::Nothing),
                b'*' => {}
                _ => due = Due::Nothing,
            }
            at += 1;
            continue;
        }
        at += len;
        // A prefix of a literal: N'', E''.
        if len == 1 && rest.get(1) == Some(&b'\'') {
            continue;
        }
        let word = rest.get(..len).unwrap_or_default().to_ascii_lowercase();
        words += 1;
        match words {
            1 => first = rest.get(..len).unwrap_or_default(),
            2 => {
                sets = first.eq_ignore_ascii_case(b"set") && word == b"password";
                let changes = [&b"create"[..], b"alter"].iter().any(|verb| first.eq_ignore_ascii_case(verb));
                account = changes && matches!(word.as_slice(), b"user" | b"role" | b"group" | b"login");
            }
            _ => {}
        }
        if due == Due::Word && !KEYWORDS.contains(&word.as_slice()) {
            return true;
        }
        identified |= word == b"identified";
        keys |= word == b"create_aws_credentials";
        due = match word.as_slice() {
            b"by" if identified => Due::Word,
            b"by" if due != Due::Nothing => Due::Literal,
            b"to" | b"replace" if sets || identified => Due::Literal,
            b"values" => Due::Nothing,
            b"password" if account => Due::Word,
            _ if NAMES.iter().any(|name| word.ends_with(name)) => Due::Literal,
            _ => Due::Nothing,
        };
    }
    false
}

/// Takes bare words that are passwords out of a shape: `alter user scott identified by tiger`.
pub(super) fn blank_words(shape: &mut Vec<u8>) {
    let begins = |text: &[u8]| shape.starts_with(text);
    if !(begins(b"alter ") || begins(b"create ") || begins(b"grant ")) {
        return;
    }
    let account = [&b"user "[..], b"role ", b"group ", b"login "]
        .iter()
        .any(|kind| shape.splitn(2, |b| *b == b' ').nth(1).is_some_and(|rest| rest.starts_with(kind)));
    let mut marks: &[&[u8]] = &[b" identified by ", b" replace "];
    if account {
        marks = &[b" identified by ", b" replace ", b" password "];
    } else if memchr::memmem::find(shape, b" identified by ").is_none() {
        return;
    }
    let identified = memchr::memmem::find(shape, b" identified by ").is_some();
    for mark in marks.iter().filter(|mark| identified || **mark != b" replace ") {
        let mut from = 0;
        while let Some(found) = memchr::memmem::find(shape.get(from..).unwrap_or_default(), mark) {
            let start = from + found + mark.len();
            let rest = shape.get(start..).unwrap_or_default();
            let quoted = rest.first().filter(|quote| matches!(quote, b'"' | b'`'));
            let len = match quoted {
                Some(quote) => literal::quoted(rest.get(1..).unwrap_or_default(), *quote, false).map_or(rest.len(), |len| 1 + len),
                None => rest.iter().position(|b| !in_word(*b)).unwrap_or(rest.len()),
            };
            let word = rest.get(..len).unwrap_or_default();
            if len > 0 && !KEYWORDS.contains(&word) {
                shape.splice(start..start + len, *b"?");
            }
            // The blank before the next mark may be the one that ends this.
            from = start;
        }
    }
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte == b'#' || byte >= 0x80
}

/// Length of the comment here; of MySQL's executable ones only the marks, for the server runs what they hold.
fn comment(rest: &[u8], rules: Rules) -> Option<usize> {
    match rest {
        [b'/', b'*', ..] if rules.mysql && literal::executable_comment(rest).is_some() => literal::executable_comment(rest),
        [b'/', b'*', ..] => Some(literal::block_comment(rest, rules).unwrap_or(rest.len())),
        [b'*', b'/', ..] => Some(2),
        [b'-', b'-', ..] => Some(literal::line_comment(rest, rules)),
        [b'#', ..] if rules.mysql => Some(literal::line_comment(rest, rules)),
        _ => None,
    }
}

/// Neither empty, nor a stand-in, nor a verifier.
fn is_plain(text: &[u8]) -> bool {
    let hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let begins = |start: &[u8]| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    let stand_in = text.iter().all(|b| matches!(b, b'*' | b'x' | b'X' | b'.' | b'?' | b' '))
        || [(&b"<"[..], &b">"[..]), (b"[", b"]"), (b"{", b"}"), (b"${", b"}"), (b"%(", b")s")]
            .iter()
            .any(|(open, close)| text.starts_with(open) && text.ends_with(close))
        || text.first() == Some(&b':') && text.iter().skip(1).all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        || memchr::memmem::find(&text.to_ascii_lowercase(), b"redacted").is_some();
    let verifier = begins(b"scram-sha-")
        || begins(b"md5") && text.len() == 35 && text.get(3..).is_some_and(hex)
        || text.first() == Some(&b'*') && text.len() == 41 && text.get(1..).is_some_and(hex)
        || text.len() >= 40 && hex(text)
        || begins(b"0x") && text.len() >= 18
        || text.first() == Some(&b'$') && text.iter().filter(|b| **b == b'$').count() >= 3;
    !stand_in && !verifier
}

/// A connection string with a password, options with a key, a URL with both, or a key that shows what it is.
fn bears(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let named = INSIDE.iter().any(|name| {
        memchr::memmem::find_iter(&lower, name).any(|found| {
            let after = text.get(found + name.len()..).unwrap_or_default().trim_ascii_start();
            let Some(value) = after.strip_prefix(b"=") else { return false };
            // Quotes are doubled inside a literal.
            let from = value.iter().position(|b| !matches!(b, b' ' | b'\'' | b'"' | b'\\')).unwrap_or(value.len());
            let value = value.get(from..).unwrap_or_default();
            let end = value.iter().position(|b| matches!(b, b' ' | b';' | b'&' | b'\'' | b'"' | b'\\' | b'\n')).unwrap_or(value.len());
            value.get(..end).is_some_and(|value| !value.is_empty() && is_plain(value))
        })
    });
    let in_url = memchr::memmem::find(text, b"://").is_some_and(|found| {
        let rest = text.get(found + 3..).unwrap_or_default();
        let authority = rest.get(..rest.iter().position(|b| matches!(b, b'/' | b'?' | b' ')).unwrap_or(rest.len())).unwrap_or_default();
        let user = authority.iter().rposition(|b| *b == b'@').and_then(|at| authority.get(..at)).unwrap_or_default();
        user.iter().position(|b| *b == b':').and_then(|colon| user.get(colon + 1..)).is_some_and(is_plain)
    });
    let key_id = text.len() == 20
        && (text.starts_with(b"AKIA") || text.starts_with(b"ASIA"))
        && text.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let private_key = text.starts_with(b"-----BEGIN ") && memchr::memmem::find(text, b"PRIVATE KEY").is_some();
    named || in_url || key_id || private_key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::normalize::normalize;

    const SECRET: &str = "hunter2-zebra";

    #[test]
    fn secrets_are_noticed_and_their_words_are_in_no_shape() {
        for (dialect, statement) in [
            (Dialect::Postgres, "create role app login password 'hunter2-zebra' valid until '2030-01-01'"),
            (Dialect::Postgres, "ALTER USER app WITH ENCRYPTED PASSWORD E'hunter2-zebra'"),
            (Dialect::Postgres, "alter user app password $$hunter2-zebra$$"),
            (Dialect::Postgres, "alter user app /* new */ password -- x\n 'hunter2-zebra'"),
            (Dialect::Postgres, "alter role app password 'hunter2-zebra"),
            (Dialect::Postgres, "create subscription s connection 'host=db user=r password=hunter2-zebra' publication p"),
            (Dialect::Postgres, "select * from dblink('host=db password = ''hunter2-zebra''', 'select 1') as t(a int)"),
            (Dialect::Postgres, "select dblink_connect('postgres://app:hunter2-zebra@db/app')"),
            (Dialect::Postgres, "create user mapping for app server s options (user 'app', password 'hunter2-zebra')"),
            (Dialect::Postgres, "copy t from 's3://b/k' credentials 'aws_access_key_id=A;aws_secret_access_key=hunter2-zebra'"),
            (Dialect::Postgres, "unload ('select 1') to 's3://b' access_key_id 'a' secret_access_key 'hunter2-zebra'"),
            (Dialect::Postgres, "select aws_s3.query_export_to_s3('q', aws_commons.create_aws_credentials('', 'hunter2-zebra-zebra', ''))"),
            (Dialect::Postgres, "alter system set primary_conninfo = 'host=db password=hunter2-zebra'"),
            (Dialect::MySql, "create user 'app'@'%' identified by 'hunter2-zebra'"),
            (Dialect::MySql, "alter user app identified with caching_sha2_password by \"hunter2-zebra\""),
            (Dialect::MySql, "grant all on a.* to 'app'@'%' identified by 'hunter2-zebra' with grant option"),
            (Dialect::MySql, "set password = 'hunter2-zebra'"),
            (Dialect::MySql, "set password for 'app'@'%' = password('hunter2-zebra')"),
            (Dialect::MySql, "SET PASSWORD FOR 'app'@'%' TO 'hunter2-zebra'"),
            (Dialect::MySql, "change master to master_host='db', master_user='r', master_password='hunter2-zebra'"),
            (Dialect::MySql, "/*!50110 change replication source to source_password = 'hunter2-zebra' */"),
            (Dialect::MySql, "start replica user='r' password='hunter2-zebra'"),
            (Dialect::Generic, "alter login sa with password = N'hunter2-zebra'"),
            (Dialect::Generic, "create credential c with identity = 'x', secret = 'hunter2-zebra'"),
            (Dialect::Generic, "create user app identified with plaintext_password by 'hunter2-zebra'"),
            (Dialect::Generic, "select * from s3('https://b/k', 'AKIAIOSFODNN7EXAMPLE', 'hunter2-zebra')"),
            (Dialect::Generic, "copy into t from 's3://b' credentials = (aws_key_id='a' aws_secret_key='hunter2-zebra')"),
        ] {
            assert!(in_plain_text(statement.as_bytes(), dialect), "{statement}");
            let mut shape = Vec::new();
            normalize(statement.as_bytes(), dialect, &mut shape);
            assert!(!String::from_utf8_lossy(&shape).contains(SECRET), "{statement}");
        }
    }

    #[test]
    fn passwords_without_quotes_are_noticed_and_blanked() {
        for (dialect, statement, want) in [
            (Dialect::Generic, "ALTER USER scott IDENTIFIED BY Tiger", "alter user scott identified by ?"),
            (Dialect::Generic, "alter user scott identified by \"Tiger\" replace Lion", "alter user scott identified by ? replace ?"),
            (
                Dialect::Generic,
                "create user scott identified by tiger default tablespace users",
                "create user scott identified by ? default tablespace users",
            ),
            (Dialect::Generic, "grant connect to scott identified by tiger", "grant connect to scott identified by ?"),
            (Dialect::Postgres, "alter user scott password tiger", "alter user scott password ?"),
        ] {
            assert!(in_plain_text(statement.as_bytes(), dialect), "{statement}");
            let mut shape = Vec::new();
            normalize(statement.as_bytes(), dialect, &mut shape);
            assert_eq!(String::from_utf8_lossy(&shape), want);
            let mut again = Vec::new();
            normalize(&shape, dialect, &mut again);
            assert_eq!(again, shape);
        }
    }

    #[test]
    fn what_is_no_secret() {
        for (dialect, statement) in [
            (Dialect::Postgres, "create role app login"),
            (Dialect::Postgres, "alter role app password null"),
            (Dialect::Postgres, "alter role app password ''"),
            (Dialect::Postgres, "alter role app password 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy'"),
            (Dialect::Postgres, "alter role app password 'md5aaaabbbbccccddddeeeeffff00001111'"),
            (Dialect::Postgres, "alter role app password <REDACTED>"),
            (Dialect::Postgres, "alter role app password '********'"),
            (Dialect::Postgres, "alter role app valid until '2030-01-01'"),
            (Dialect::Postgres, "create user mapping for app server s options (user 'app')"),
            (Dialect::Postgres, "select dblink('dbname=app', 'select password from users')"),
            (Dialect::Postgres, "copy t to 's3://b/k' iam_role 'arn:aws:iam::1:role/r'"),
            (Dialect::Postgres, "select 1 from users where id = $1"),
            (Dialect::Postgres, "select dblink_connect('postgres://app@db:5432/app')"),
            (Dialect::MySql, "create user app identified by *****"),
            (Dialect::MySql, "create user app identified with 'caching_sha2_password' as '$A$005$salt$hash'"),
            (Dialect::MySql, "create user app identified by password '*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9'"),
            (Dialect::MySql, "alter user app identified by random password"),
            (Dialect::MySql, "alter user app identified with 'x' by '<secret>'"),
            (Dialect::MySql, "alter user app password expire interval 90 day"),
            (Dialect::MySql, "set password for app = ?"),
            (Dialect::MySql, "change master to master_host='db', master_port=3306"),
            (Dialect::Generic, "alter user scott identified by values 'S:0123456789ABCDEF0123456789ABCDEF01234567;T:1'"),
            (Dialect::Generic, "create user scott identified externally"),
            (Dialect::Generic, "alter user scott account unlock"),
            (
                Dialect::Generic,
                "create user app identified with sha256_hash by '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8'",
            ),
        ] {
            assert!(!in_plain_text(statement.as_bytes(), dialect), "{statement}");
        }
    }
}
