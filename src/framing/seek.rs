//! Finds short words in short texts.
//!
//! [`memchr::memmem`] prepares itself for every search, which costs more than to look through a line of a log. Here the rarest byte of the
//! word is looked for, and the word around it; where that byte turns out to be frequent, `memmem` goes on.

use bstr::ByteSlice;

/// Places of that byte which are tried before [`memchr::memmem`] takes over.
const TRIES: usize = 16;

/// Bytes in which a byte is looked for one by one, before [`memchr`] is asked: fields are short.
const NEAR: usize = 16;

/// As [`memchr::memchr`], for a byte that mostly stands near.
#[inline]
pub(crate) fn near(byte: u8, text: &[u8]) -> Option<usize> {
    let found = text.iter().take(NEAR).position(|b| *b == byte);
    found.or_else(|| Some(NEAR + memchr::memchr(byte, text.get(NEAR..)?)?))
}

/// As [`memchr::memrchr`], for a byte that mostly stands near the end.
#[inline]
pub(crate) fn near_end(byte: u8, text: &[u8]) -> Option<usize> {
    let far = text.len().saturating_sub(NEAR);
    let found = text.get(far..)?.iter().rposition(|b| *b == byte).map(|at| far + at);
    found.or_else(|| memchr::memrchr(byte, text.get(..far)?))
}

/// Searches in bytes. A word that is empty stands everywhere.
pub(crate) trait Seek {
    /// Where the word stands first.
    fn seek(&self, word: impl AsRef<[u8]>) -> Option<usize>;

    /// Where the word stands last.
    fn seek_last(&self, word: impl AsRef<[u8]>) -> Option<usize>;

    /// What stands before the word, where it stands first, and what behind.
    fn part(&self, word: impl AsRef<[u8]>) -> Option<(&[u8], &[u8])>;

    /// What stands before the word, where it stands last, and what behind.
    fn part_last(&self, word: impl AsRef<[u8]>) -> Option<(&[u8], &[u8])>;

    /// The text without the white space at its start: as bstr's `trim_start`, whose tables are asked only about what is no ASCII.
    fn trimmed_start(&self) -> &[u8];

    /// The text without the white space at its end.
    fn trimmed_end(&self) -> &[u8];

    /// Whether the word stands there.
    fn holds(&self, word: impl AsRef<[u8]>) -> bool {
        self.seek(word).is_some()
    }
}

impl Seek for [u8] {
    #[inline]
    fn seek(&self, word: impl AsRef<[u8]>) -> Option<usize> {
        let word = word.as_ref();
        if let [byte] = word {
            return near(*byte, self);
        }
        let Some((within, byte)) = rarest(word) else { return Some(0) };
        let mut from = within;
        for _ in 0..TRIES {
            let found = from + memchr::memchr(byte, self.get(from..)?)?;
            let at = found - within;
            if self.get(at..)?.starts_with(word) {
                return Some(at);
            }
            from = found + 1;
        }
        let from = from - within;
        Some(from + memchr::memmem::find(self.get(from..)?, word)?)
    }

    #[inline]
    fn seek_last(&self, word: impl AsRef<[u8]>) -> Option<usize> {
        let word = word.as_ref();
        if let [byte] = word {
            return near_end(*byte, self);
        }
        let Some((within, byte)) = rarest(word) else { return Some(self.len()) };
        // The byte stands no later than this in the last word that fits.
        let mut to = (self.len() + within + 1).checked_sub(word.len())?;
        for _ in 0..TRIES {
            let found = memchr::memrchr(byte, self.get(..to)?)?;
            let at = found.checked_sub(within)?;
            if self.get(at..)?.starts_with(word) {
                return Some(at);
            }
            to = found;
        }
        memchr::memmem::rfind(self.get(..(to + word.len()).checked_sub(within + 1)?)?, word)
    }

    fn part(&self, word: impl AsRef<[u8]>) -> Option<(&[u8], &[u8])> {
        let at = self.seek(word.as_ref())?;
        Some((self.get(..at)?, self.get(at + word.as_ref().len()..)?))
    }

    fn trimmed_start(&self) -> &[u8] {
        let rest = self.get(self.iter().take_while(|byte| blank(byte)).count()..).unwrap_or_default();
        if rest.first().is_none_or(u8::is_ascii) { rest } else { rest.trim_start() }
    }

    fn trimmed_end(&self) -> &[u8] {
        let rest = self.get(..self.len() - self.iter().rev().take_while(|byte| blank(byte)).count()).unwrap_or_default();
        if rest.last().is_none_or(u8::is_ascii) { rest } else { rest.trim_end() }
    }

    fn part_last(&self, word: impl AsRef<[u8]>) -> Option<(&[u8], &[u8])> {
        let at = self.seek_last(word.as_ref())?;
        Some((self.get(..at)?, self.get(at + word.as_ref().len()..)?))
    }
}

/// ASCII's part of Unicode's white space.
fn blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The byte of the word that stands in logs most rarely, by its kind, and where it is.
#[inline]
fn rarest(word: &[u8]) -> Option<(usize, u8)> {
    let mut found = None;
    for (at, byte) in word.iter().enumerate() {
        match byte {
            b' ' | b'a'..=b'z' | b'0'..=b'9' if found.is_some() => {}
            b' ' | b'a'..=b'z' | b'0'..=b'9' | b',' | b'.' | b'_' | b'=' | b'"' | b'\'' | b'-' => found = Some((at, *byte)),
            _ => return Some((at, *byte)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_memmem_finds_them() {
        let texts = [
            "",
            "a",
            ":",
            "ab ab: ab",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
            "x:: x: :x",
            "::::::::::::::::::::::::::: b:::",
            "ends with: ",
        ];
        let words = [
            "",
            "a",
            ":",
            ": ",
            "ab",
            "b",
            " :",
            "aab",
            "::",
            ":: ",
            "b:",
            "x",
            "ends with: ",
            "longer than any of the texts, and by far: it is",
        ];
        for text in texts.map(str::as_bytes) {
            for word in words.map(str::as_bytes) {
                assert_eq!(text.seek(word), memchr::memmem::find(text, word), "{text:?} {word:?}");
                assert_eq!(text.seek_last(word), memchr::memmem::rfind(text, word), "{text:?} {word:?}");
                let (part, want) = (text.part(word), memchr::memmem::find(text, word).map(|at| (&text[..at], &text[at + word.len()..])));
                assert_eq!(part, want, "{text:?} {word:?}");
            }
        }
    }

    #[test]
    fn near_and_far_bytes() {
        for len in 0..50 {
            for at in 0..=len {
                let mut text = vec![b'a'; len];
                text.get_mut(at..).into_iter().flatten().step_by(20).for_each(|byte| *byte = b'x');
                assert_eq!(near(b'x', &text), memchr::memchr(b'x', &text));
                assert_eq!(near_end(b'x', &text), memchr::memrchr(b'x', &text));
            }
        }
    }

    #[test]
    fn white_space_of_all_kinds() {
        for text in
            ["", " ", "a", " \t\r\n\u{b}\u{c}a b\u{b} ", "\u{a0}\u{2003}a\u{a0}", " \u{a0} \u{3000}\ta \u{85} ", "\u{e9} \u{e9}", "\0 a \0"]
        {
            assert_eq!(
                (text.as_bytes().trimmed_start(), text.as_bytes().trimmed_end()),
                (text.trim_start().as_bytes(), text.trim_end().as_bytes())
            );
        }
        assert_eq!(b" \xff ".trimmed_start(), b"\xff ");
        assert_eq!(b" \xc2 ".trimmed_end(), b" \xc2");
    }
}
