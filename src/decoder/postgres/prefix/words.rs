//! The words before a message: `LOG:  `, `ERROR:  ` and the like, in every language that the server speaks.

use super::Word;
use crate::decoder::postgres::severity::{Label, Severity, ends_with_word, label, severity};

/// `LOG:  ` and the like at the start of `text`, in any language, and where the message after it begins.
pub(super) fn word(text: &[u8]) -> Option<(Word, usize)> {
    let frequent = match text {
        [b'L', b'O', b'G', b':', rest @ ..] => Some((Word::Primary(Severity::Log), rest)),
        [b'E', b'R', b'R', b'O', b'R', b':', rest @ ..] => Some((Word::Primary(Severity::Error), rest)),
        [b'F', b'A', b'T', b'A', b'L', b':', rest @ ..] => Some((Word::Primary(Severity::Fatal), rest)),
        [b'D', b'E', b'T', b'A', b'I', b'L', b':', rest @ ..] => Some((Word::Secondary(Label::Detail), rest)),
        [b'S', b'T', b'A', b'T', b'E', b'M', b'E', b'N', b'T', b':', rest @ ..] => Some((Word::Secondary(Label::Statement), rest)),
        _ => None,
    };
    if let Some((word, rest)) = frequent {
        let blanks = usize::from(rest.starts_with(b" ")) + usize::from(rest.starts_with(b"  "));
        return Some((word, text.len() - rest.len() + blanks));
    }
    // No such word begins with a small letter; most of what is asked for does.
    if text.first().is_some_and(|b| !b.is_ascii_uppercase() && b.is_ascii()) {
        return None;
    }
    // The longest word of any language has 33 bytes.
    let colon = text.iter().take(36).position(|b| *b == b':')?;
    let name = text.get(..colon)?;
    let name = unblanked(name);
    let frequent = english(name).filter(|(_, rest)| rest.is_empty()).map(|(word, _)| word);
    // To compare it with every word of every language takes long.
    if frequent.is_none() && !ends_with_word(name) {
        return None;
    }
    let word = frequent.or_else(|| severity(name).map(Word::Primary).or_else(|| label(name).map(Word::Secondary)))?;
    let blanks = text.get(colon + 1..)?.iter().take(2).take_while(|b| **b == b' ').count();
    Some((word, colon + 1 + blanks))
}

/// Without the blank that some languages put before a colon.
pub(super) fn unblanked(name: &[u8]) -> &[u8] {
    name.strip_suffix(b" ").or_else(|| name.strip_suffix("\u{a0}".as_bytes())).unwrap_or(name)
}

/// The frequent English word at the end of the text, and what stands before it.
pub(super) fn english(text: &[u8]) -> Option<(Word, &[u8])> {
    /// None of them ends another word of any language behind what is no letter.
    const FREQUENT: [(&[u8], Word); 6] = [
        (b"LOG", Word::Primary(Severity::Log)),
        (b"STATEMENT", Word::Secondary(Label::Statement)),
        (b"ERROR", Word::Primary(Severity::Error)),
        (b"DETAIL", Word::Secondary(Label::Detail)),
        (b"FATAL", Word::Primary(Severity::Fatal)),
        (b"CONTEXT", Word::Secondary(Label::Context)),
    ];
    let last = text.last()?;
    FREQUENT.iter().filter(|(word, _)| word.last() == Some(last)).find_map(|(word, meaning)| Some((*meaning, text.strip_suffix(*word)?)))
}

/// The colon behind the last place in `text` where [`word`] would find one; at times also where it would not.
pub(super) fn last_word(text: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b':', text).find(|colon| {
        let name = text.get(colon.saturating_sub(36)..*colon).unwrap_or_default();
        let name = unblanked(name);
        english(name).is_some() || ends_with_word(name)
    })
}
