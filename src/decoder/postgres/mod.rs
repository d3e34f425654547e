//! PostgreSQL: the three forms of its server log, and pgaudit inside any of them.
//!
//! [`csvlog`], [`jsonlog`] and [`stderr`] only find the fields of a record; what its message says of an act is read in one place,
//! [`message`], so that one act gives one event whatever the form.
//! Grammar: <https://www.postgresql.org/docs/current/runtime-config-logging.html>.

pub mod activity;
pub mod csvlog;
pub mod greenplum;
pub mod jsonlog;
pub mod k8s;
pub mod stderr;

mod choice;
mod escapes;
mod forgery;
mod message;
mod pgaudit;
pub mod pgbouncer;
mod plan;
mod prefix;
mod session;
mod severity;
#[cfg(test)]
mod tests;
mod translated;

use bumpalo::Bump;

/// The body of a quoted CSV field whose opening quote is off already: raw text, whether it holds doubled quotes, and what
/// follows the closing quote (`None`: there is none).
fn quoted(body: &[u8]) -> (&[u8], bool, Option<&[u8]>) {
    let (mut from, mut doubled) = (0, false);
    while let Some(at) = memchr::memchr(b'"', body.get(from..).unwrap_or_default()) {
        let quote = from + at;
        if body.get(quote + 1) == Some(&b'"') {
            doubled = true;
            from = quote + 2;
            continue;
        }
        return (body.get(..quote).unwrap_or_default(), doubled, body.get(quote + 1..));
    }
    (body, doubled, None)
}

/// `raw` with each `""` made one.
fn undouble<'a>(raw: &[u8], arena: &'a Bump) -> &'a [u8] {
    let mut text = bumpalo::collections::Vec::with_capacity_in(raw.len(), arena);
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'"', rest) {
        text.extend_from_slice(rest.get(..=at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    }
    text.extend_from_slice(rest);
    text.into_bump_slice()
}
