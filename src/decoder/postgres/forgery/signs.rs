//! What a line tells of names with line ends: refusals, the ends of prefixes, and the names that an entry repeats.

use super::super::message::authorizes;
use super::super::prefix::{Match, Prefix, Word};
use super::super::severity::Severity;
use crate::framing::HEAD;
use crate::framing::seek::Seek;

/// A client was turned away in words that do not repeat its name, so nothing proves which name its lines hold.
pub(super) fn hides_its_user(found: &Match<'_>, message: &[u8]) -> bool {
    if found.word != Word::Primary(Severity::Fatal) || found.fields.code.is_some_and(|c| c.starts_with(b"57P")) {
        return false;
    }
    let starts = [&b"malformed SCRAM"[..], b"canceling authentication", b"expected ", b"invalid ", b"SSL ", b"GSSAPI ", b"certificate "];
    starts.iter().any(|s| message.starts_with(s))
        && !message.starts_with(b"invalid startup packet")
        && !message.starts_with(b"invalid length")
}

/// Whether a record that turns a client away, or greets it, stands somewhere in the line.
pub(super) fn holds_a_refusal(line: &[u8]) -> bool {
    let mut rest = line.get(..HEAD.min(line.len())).unwrap_or(line);
    while let Some((word, at)) = Prefix::word_anywhere(rest) {
        rest = rest.get(at..).unwrap_or_default();
        if word == Word::Primary(Severity::Fatal) || (word == Word::Primary(Severity::Log) && authorizes(rest)) {
            return true;
        }
    }
    false
}

/// Whether a severity stands in the line as it does after a prefix.
pub(super) fn ends_prefix(line: &[u8]) -> bool {
    last_word(line).is_some()
}

/// The first severity or label in the line.
pub(super) fn last_word(line: &[u8]) -> Option<Word> {
    let any = Prefix::word_anywhere(line);
    any.map(|(word, _)| word)
}

/// Names that an entry repeats in its message, with the TABs after their line ends.
pub(super) fn repeated(entry: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let message = Prefix::word_anywhere(entry).and_then(|(_, at)| entry.get(at..)).unwrap_or(entry);
    // Nearly every entry of several lines is a statement, and has none of the words.
    let named = |at: usize| {
        let before = message.get(..at).unwrap_or_default();
        let before = if message.get(at) == Some(&b'"') { before.strip_suffix(b" ").unwrap_or_default() } else { before };
        before.ends_with(b"ser") || before.ends_with(b"ole") || before.ends_with(b"database")
    };
    if !memchr::memchr2_iter(b'"', b'=', message).any(named) {
        return names;
    }
    let places: [(&[u8], &[&[u8]]); 7] = [
        (b"user \"", &[b"\"", b"\", database \""]),
        (b"database \"", &[b"\" does not exist", b"\", ", b"\""]),
        (b"role \"", &[b"\" does not exist"]),
        (b"Role \"", &[b"\" does not exist"]),
        (b"User \"", &[b"\" "]),
        (b"user=", &[b" database="]),
        (b" database=", &[b" application_name=", b" host=", b" SSL enabled (", b""]),
    ];
    for (open, closes) in places {
        let Some(rest) = message.seek(open).and_then(|start| message.get(start + open.len()..)) else { continue };
        // Whatever it ends with, a name holds a line end.
        if memchr::memchr(b'\n', rest).is_none() {
            continue;
        }
        for close in closes {
            let end = if close.is_empty() { Some(rest.len()) } else { rest.seek_last(close) };
            if let Some(name) = end.and_then(|end| rest.get(..end))
                && name.contains(&b'\n')
            {
                names.push(name);
            }
        }
    }
    names
}
