//! Messages in the language of `lc_messages`, put back into English.
//!
//! The server translates what it reports of acts as well: `statement: SELECT 1` is `Anweisung: SELECT 1` under German messages, in every
//! form of the log. Only texts that the English grammar does not know are looked up.

use std::sync::LazyLock;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

mod table;

use crate::framing::seek::Seek;
use table::MESSAGES;

/// First words of English messages that are frequent: nothing is looked up for them.
const ENGLISH: [&[u8]; 12] = [
    b"statement: ",
    b"execute ",
    b"duration: ",
    b"connection ",
    b"disconnection: ",
    b"AUDIT: ",
    b"checkpoint ",
    b"automatic ",
    b"replication connection ",
    b"permission denied ",
    b"password ",
    b"temporary file: ",
];

/// One message, cut at its values once and for all.
struct Pattern {
    head: &'static [u8],
    /// What follows each value, here and in English.
    pieces: Vec<(&'static [u8], &'static [u8])>,
    english: &'static [u8],
}

/// The messages by the first byte of their heads, in the order of the table: nearly every message of a log is none of them.
static PATTERNS: LazyLock<Vec<Vec<Pattern>>> = LazyLock::new(|| {
    let mut patterns: Vec<Vec<Pattern>> = (0..=u8::MAX).map(|_| Vec::new()).collect();
    for (foreign, english) in MESSAGES {
        let (mut pieces, mut words) = (foreign.split("%s").map(str::as_bytes), english.split("%s").map(str::as_bytes));
        let (Some(head), Some(english)) = (pieces.next(), words.next()) else { continue };
        let Some(group) = head.first().and_then(|first| patterns.get_mut(usize::from(*first))) else { continue };
        group.push(Pattern { head, pieces: pieces.zip(words).collect(), english });
    }
    patterns
});

fn patterns(message: &[u8]) -> &'static [Pattern] {
    message.first().and_then(|first| PATTERNS.get(usize::from(*first))).map_or(&[], Vec::as_slice)
}

/// The message in English where it is one that matters and is in another language, else as it is.
pub fn english<'a>(message: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if ENGLISH.iter().any(|start| start.first() == message.first() && message.starts_with(start)) {
        return message;
    }
    patterns(message).iter().find_map(|pattern| pattern.translate(message, arena)).unwrap_or(message)
}

/// Whether the message is that a connection was authorised, in another language than English.
pub fn authorises(message: &[u8]) -> bool {
    patterns(message).iter().any(|pattern| pattern.english.ends_with(b"connection authorized: user=") && message.starts_with(pattern.head))
}

impl Pattern {
    fn translate<'a>(&self, message: &[u8], arena: &'a Bump) -> Option<&'a [u8]> {
        let mut rest = message.strip_prefix(self.head)?;
        let mut text = BumpVec::new_in(arena);
        text.extend_from_slice(self.english);
        for (piece, word) in &self.pieces {
            let value = match *piece {
                b"" => std::mem::take(&mut rest),
                piece => {
                    let at = rest.seek(piece)?;
                    let value = rest.get(..at)?;
                    rest = rest.get(at + piece.len()..)?;
                    value
                }
            };
            text.extend_from_slice(value);
            text.extend_from_slice(word);
        }
        // What follows, as the address after a name, is not translated, or not needed.
        text.extend_from_slice(rest);
        Some(text.into_bump_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_into_english() {
        let arena = Bump::new();
        for (message, want) in [
            ("Anweisung: SELECT ': %s'", "statement: SELECT ': %s'"),
            ("Dauer: 0.293 ms  Anweisung: SELECT 1", "duration: 0.293 ms  statement: SELECT 1"),
            ("Dauer: 0.293 ms", "duration: 0.293 ms"),
            ("Dauer: 0.293 ms  Ausführen S_1: SELECT 1", "duration: 0.293 ms  execute S_1: SELECT 1"),
            ("Ausführen Fetch von <unnamed>/c: SELECT 1", "execute fetch from <unnamed>/c: SELECT 1"),
            ("durée : 0.293 ms, instruction : SELECT 1", "duration: 0.293 ms  statement: SELECT 1"),
            ("продолжительность: 0.293 мс, оператор: SELECT 1", "duration: 0.293 ms  statement: SELECT 1"),
            ("期間: 0.293 ミリ秒  文: SELECT 1", "duration: 0.293 ms  statement: SELECT 1"),
            ("执行时间: 0.293 ms 语句: SELECT 1", "duration: 0.293 ms  statement: SELECT 1"),
            (
                "Verbindung autorisiert: Benutzer=u Datenbank=d application_name=psql",
                "connection authorized: user=u database=d application_name=psql",
            ),
            ("принято подключение: узел=10.1.0.7 порт=5", "connection received: host=10.1.0.7 port=5"),
            ("Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen", "password authentication failed for user \"u\""),
            ("la base de données « d » n'existe pas", "database \"d\" does not exist"),
            ("droit refusé pour la table t", "permission denied for table t"),
            ("statement: Anweisung: x", "statement: Anweisung: x"),
            ("nothing known", "nothing known"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(english(message.as_bytes(), &arena)), want, "{message}");
        }
        assert!(authorises("подключение авторизовано: пользователь=u база=d".as_bytes()) && !authorises(b"x"));
    }

    #[test]
    fn every_pattern_gives_what_its_english_says() {
        let arena = Bump::new();
        for (foreign, want) in MESSAGES {
            assert_eq!(foreign.matches("%s").count(), want.matches("%s").count(), "{foreign}");
            let (message, want) = (foreign.replace("%s", "7"), want.replace("%s", "7"));
            let got = String::from_utf8_lossy(english(message.as_bytes(), &arena)).into_owned();
            // A longer pattern may fit what a shorter one says.
            assert!(got == want || got.split(':').next() == want.split(':').next(), "{message}: {got}");
        }
    }
}
