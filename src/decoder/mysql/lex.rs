//! Whether a statement is lexically whole: no quote and no comment open.
//!
//! A server that parsed a statement has read it with one of a few lexers, depending on what the session had set
//! (`NO_BACKSLASH_ESCAPES`, a client character set such as GBK in which a backslash can be half a letter) and on the server's
//! version (what of `/*!50000 ... */` is code). The log does not say which. So all of them run side by side from the first
//! byte that they read differently, and a text is [`Lexed::Whole`] only if it is whole to each.

/// What the text so far is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lexed {
    /// To all lexers.
    Whole,
    /// To none.
    Open,
    /// To some.
    Unsure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Code,
    /// Inside this quote.
    Quoted(u8),
    /// `#` or `-- ` up to the line end.
    Line,
    /// `/* */`, so many deep.
    Block(u8),
}

/// One way to read a statement.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    state: State,
    /// Inside `/*! ... */` that is read as code.
    versioned: bool,
    /// The last thing but blanks is a semicolon.
    ended: bool,
    /// Semicolons outside quotes and comments.
    semicolons: usize,
}

impl Way {
    fn open(&mut self, state: State) {
        self.state = state;
        self.ended = false;
    }
}

/// How `/*!` is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Code,
    Flat,
    Nested,
}

/// All ways: backslash escapes, bytes from 0x80 on take the next byte along, version comments. The first is by far the usual.
const WAYS: [(bool, bool, Version); 12] = [
    (true, false, Version::Code),
    (true, false, Version::Flat),
    (true, false, Version::Nested),
    (true, true, Version::Code),
    (true, true, Version::Flat),
    (true, true, Version::Nested),
    (false, false, Version::Code),
    (false, false, Version::Flat),
    (false, false, Version::Nested),
    (false, true, Version::Code),
    (false, true, Version::Flat),
    (false, true, Version::Nested),
];

/// Reads a statement piece by piece; each piece ends with a line end.
#[derive(Debug, Clone, Default)]
pub struct Lexer {
    ways: [Way; WAYS.len()],
    /// The ways may differ from here on.
    parted: bool,
}

impl Lexer {
    /// Reads on.
    pub fn feed(&mut self, text: &[u8]) {
        let mut from = 0;
        if !self.parted {
            let mut way = self.ways.first().copied().unwrap_or_default();
            let stop = run(&mut way, text, 0, WAYS.first().copied().unwrap_or((true, false, Version::Code)), true);
            self.ways = [way; WAYS.len()];
            if stop == text.len() {
                return;
            }
            self.parted = true;
            from = stop;
        }
        for (way, kind) in self.ways.iter_mut().zip(WAYS) {
            run(way, text, from, kind, false);
        }
    }

    /// What the text fed so far is.
    pub fn lexed(&self) -> Lexed {
        self.count(|way| way.state == State::Code && !way.versioned)
    }

    /// Whether the text fed so far is one statement and the semicolon behind it.
    pub fn statement(&self) -> Lexed {
        self.count(|way| way.state == State::Code && !way.versioned && way.ended && way.semicolons == 1)
    }

    fn count(&self, whole: impl Fn(&Way) -> bool) -> Lexed {
        let ways = if self.parted { self.ways.len() } else { 1 };
        match self.ways.iter().take(ways).filter(|way| whole(way)).count() {
            0 => Lexed::Open,
            count if count == ways => Lexed::Whole,
            _ => Lexed::Unsure,
        }
    }
}

/// Reads `text` from `at` on; with `careful` only up to what not all ways read alike. Returns where it stopped.
fn run(way: &mut Way, text: &[u8], mut at: usize, kind: (bool, bool, Version), careful: bool) -> usize {
    let (escapes, wide, version) = kind;
    let peek = |at: usize| text.get(at).copied().unwrap_or(b'\n');
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let byte = peek(at);
        if byte >= 0x80 && matches!(peek(at + 1), b'\\' | b'`') {
            if careful {
                return at;
            }
            at += if wide { 2 } else { 1 };
            continue;
        }
        match way.state {
            State::Code if byte.is_ascii_whitespace() => {}
            State::Code if byte == b';' => {
                way.ended = true;
                way.semicolons += 1;
            }
            State::Code => match byte {
                b'\'' | b'"' | b'`' => way.open(State::Quoted(byte)),
                b'#' => way.open(State::Line),
                b'-' if peek(at + 1) == b'-' && (peek(at + 2).is_ascii_whitespace() || peek(at + 2).is_ascii_control()) => {
                    way.open(State::Line);
                    at += 1;
                }
                b'/' if peek(at + 1) == b'*' => {
                    let marked = peek(at + 2) == b'!' || (peek(at + 2) == b'M' && peek(at + 3) == b'!');
                    if marked && careful {
                        return at;
                    }
                    if marked && version == Version::Code {
                        way.open(State::Code);
                        way.versioned = true;
                    } else {
                        way.open(State::Block(1));
                    }
                    at += 1;
                }
                b'*' if way.versioned && peek(at + 1) == b'/' => {
                    way.versioned = false;
                    at += 1;
                }
                _ => {
                    // Plain letters, digits and blanks.
                    at += rest
                        .iter()
                        .position(|b| !matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b',' | b'_'))
                        .unwrap_or(rest.len())
                        .max(1);
                    continue;
                }
            },
            State::Quoted(quote) => match byte {
                b'\\' if quote != b'`' => {
                    if careful {
                        return at;
                    }
                    at += usize::from(escapes);
                }
                // A doubled quote closes and opens again.
                byte if byte == quote => way.state = State::Code,
                _ => {
                    at += rest.iter().position(|b| *b == quote || *b == b'\\' || *b >= 0x80).unwrap_or(rest.len()).max(1);
                    continue;
                }
            },
            State::Line => match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    way.state = State::Code;
                    at += end;
                }
                None => return text.len(),
            },
            State::Block(depth) => match byte {
                b'*' if peek(at + 1) == b'/' => {
                    way.state = if depth > 1 { State::Block(depth - 1) } else { State::Code };
                    at += 1;
                }
                b'/' if peek(at + 1) == b'*' => {
                    if careful {
                        return at;
                    }
                    if version == Version::Nested {
                        way.state = State::Block(depth.saturating_add(1));
                    }
                    at += 1;
                }
                _ => {
                    at += rest.iter().position(|b| matches!(b, b'*' | b'/' | 0x80..)).unwrap_or(rest.len()).max(1);
                    continue;
                }
            },
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &[u8]) -> (Lexed, Lexed) {
        let mut lexer = Lexer::default();
        lexer.feed(text);
        (lexer.lexed(), lexer.statement())
    }

    #[test]
    fn whole_and_open() {
        for (text, want) in [
            (&b"select 1"[..], Lexed::Whole),
            (b"select 'a", Lexed::Open),
            (b"select 'a''b'", Lexed::Whole),
            (b"select 'a''", Lexed::Open),
            (b"select \"it's\"", Lexed::Whole),
            (b"select `a'`", Lexed::Whole),
            (b"select 1 /* it's", Lexed::Open),
            (b"select 1 /* it's */", Lexed::Whole),
            (b"select 1 -- it's\n", Lexed::Whole),
            (b"select 1--'it'\n", Lexed::Whole),
            (b"select 1 # it's\n, 2", Lexed::Whole),
            // An escape, or not one under NO_BACKSLASH_ESCAPES.
            (b"select 'a\\'", Lexed::Unsure),
            (b"select 'a\\\\'", Lexed::Whole),
            (b"select 'a\\n\\t'", Lexed::Whole),
            (b"select 'a\\'b'", Lexed::Unsure),
            // Half a letter in GBK.
            (b"select '\x81\\\\'", Lexed::Unsure),
            (b"select `\x81``", Lexed::Unsure),
            ("select 'é'".as_bytes(), Lexed::Whole),
            (b"/*!40101 SET NAMES utf8 */", Lexed::Whole),
            (b"select 1 /*!99999 /* */", Lexed::Unsure),
            (b"select 1 /*!50000 '*/", Lexed::Unsure),
            (b"select 1 /* /* */", Lexed::Unsure),
            (b"", Lexed::Whole),
        ] {
            assert_eq!(lex(text).0, want, "{}", bstr::BStr::new(text));
        }
        for (text, want) in [
            (&b"select 1;"[..], Lexed::Whole),
            (b"select 1;\n", Lexed::Whole),
            (b"select 1; select 2;\n", Lexed::Open),
            (b"select 1 -- x;\n", Lexed::Open),
            (b"# x;\n", Lexed::Open),
            (b"select ';';\n", Lexed::Whole),
            (b"select 1; # x\n", Lexed::Open),
            (b"select 'a\\'';\n", Lexed::Unsure),
            (b"", Lexed::Open),
        ] {
            assert_eq!(lex(text).1, want, "{}", bstr::BStr::new(text));
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        let text = b"select 'a\\'\n' /*!40101 x */ `\x81`\n` -- '\n\"/*\" /* /* \n */ 'e'\n";
        let mut lexer = Lexer::default();
        for line in text.split_inclusive(|b| *b == b'\n') {
            lexer.feed(line);
        }
        assert_eq!((lexer.lexed(), lexer.statement()), lex(text));
    }
}
