//! The tokens of a shape. A shape holds no comments and no literals but `?`, so its grammar is tiny.

use super::words::is_reserved;

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    /// An identifier with its quotes.
    Quoted(&'a str),
    /// `?` or `?+`.
    Literal(&'a str),
    Open,
    Close,
    Comma,
    Semicolon,
    Point,
    Operator(&'a str),
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    pub token: Token<'a>,
    pub start: usize,
    pub end: usize,
    /// Brackets open around it; a bracket itself stands outside.
    pub depth: usize,
}

/// Cuts a shape into tokens.
pub(super) fn tokens(shape: &str) -> Vec<Spot<'_>> {
    let bytes = shape.as_bytes();
    let mut spots = Vec::with_capacity(shape.len() / 5 + 1);
    let mut depth = 0usize;
    let mut start = 0;
    while let Some(byte) = bytes.get(start).copied() {
        let rest = bytes.get(start..).unwrap_or_default();
        let sigil = if rest.starts_with(b"@@") { 2 } else { 0 };
        let word = match rest.get(sigil..).unwrap_or_default().iter().take_while(|b| in_word(**b)).count() {
            0 => 0,
            letters => sigil + letters,
        };
        let len = match byte {
            b' ' => {
                start += 1;
                continue;
            }
            b'U' if rest.starts_with(b"U&\"") => 2 + quoted(rest.get(2..).unwrap_or_default()),
            b'u' if rest.starts_with(b"u&\"") => 2 + quoted(rest.get(2..).unwrap_or_default()),
            b'"' | b'`' => quoted(rest),
            b'?' if rest.get(1) == Some(&b'+') && matches!(rest.get(2), Some(b',' | b')' | b']')) => 2,
            b'?' if matches!(rest.get(1), Some(b'|' | b'&')) => 2,
            _ if word > 0 => word,
            b'?' | b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' => 1,
            b':' if rest.get(1) == Some(&b':') => 2,
            _ => rest.iter().take_while(|b| is_operator(**b)).count().max(1),
        };
        let end = start + len;
        // A token always ends before an ASCII byte or at the end; if not, the rest is no shape of ours.
        let Some(text) = shape.get(start..end) else { break };
        let token = match byte {
            b'U' | b'u' if text.ends_with('"') => Token::Quoted(text),
            b'"' | b'`' => Token::Quoted(text),
            b'?' if text == "?" || text == "?+" => Token::Literal(text),
            _ if word > 0 => Token::Word(text),
            b'(' | b'[' => Token::Open,
            b')' | b']' => Token::Close,
            b',' => Token::Comma,
            b';' => Token::Semicolon,
            b'.' => Token::Point,
            _ => Token::Operator(text),
        };
        if token == Token::Close {
            depth = depth.saturating_sub(1);
        }
        spots.push(Spot { token, start, end, depth });
        if token == Token::Open {
            depth += 1;
        }
        start = end;
    }
    spots
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn is_operator(byte: u8) -> bool {
    byte.is_ascii_punctuation() && !in_word(byte) && !matches!(byte, b'"' | b'`' | b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' | b'?')
}

/// Length of a quoted identifier; one that never closes runs to the end.
fn quoted(rest: &[u8]) -> usize {
    let quote = rest.first().copied().unwrap_or_default();
    super::literal::quoted(rest.get(1..).unwrap_or_default(), quote, false).map_or(rest.len(), |len| 1 + len)
}

/// The statements of a shape: the runs between semicolons outside all brackets.
pub(super) fn statements<'s, 'a>(spots: &'s [Spot<'a>]) -> impl Iterator<Item = &'s [Spot<'a>]> {
    spots.split(|s| s.token == Token::Semicolon && s.depth == 0).filter(|s| !s.is_empty())
}

/// The word at `at`, if it is an unquoted one.
pub(super) fn word<'a>(spots: &[Spot<'a>], at: usize) -> Option<&'a str> {
    match spots.get(at)?.token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

/// The token at `at`.
pub(super) fn token<'a>(spots: &[Spot<'a>], at: usize) -> Option<Token<'a>> {
    spots.get(at).map(|s| s.token)
}

/// The object name at `at` (`table`, `schema.table`, `db.*`) and where it ends. Reserved words are no names, except after a point.
pub(super) fn name(spots: &[Spot], at: usize) -> Option<(String, usize)> {
    let mut name = match token(spots, at)? {
        Token::Word(word) if is_reserved(word) => return None,
        part => part_of_name(part)?.to_owned(),
    };
    let mut end = at + 1;
    while token(spots, end) == Some(Token::Point)
        && let Some(part) = token(spots, end + 1).and_then(part_of_name)
    {
        name.push('.');
        name.push_str(part);
        end += 2;
    }
    Some((name, end))
}

fn part_of_name(token: Token<'_>) -> Option<&str> {
    match token {
        Token::Word(word) => Some(word),
        Token::Quoted(text) => Some(unquoted(text)),
        Token::Operator("*") => Some("*"),
        _ => None,
    }
}

/// A quoted identifier without its quotes where it means the same without them.
pub(super) fn unquoted(text: &str) -> &str {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    let plain = inner.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'$'))
        && !inner.starts_with(|c: char| c.is_ascii_digit() || c == '$');
    if plain && !inner.is_empty() && text.starts_with(['"', '`']) { inner } else { text }
}
