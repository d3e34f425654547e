//! Reads a JSON value byte by byte, in one pass, and builds nothing.
//!
//! For logs that nest deeply, and of which little is wanted. MongoDB writes client text that need not be UTF-8, nests without limit, and puts 64-bit numbers into objects of their own
//! (`{"$numberLong":"5"}`): here text stays bytes, nesting costs no stack, and such numbers are numbers.

use bumpalo::Bump;

/// The value ends too early or is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn;

/// A place in a JSON text.
pub struct Json<'a> {
    rest: &'a [u8],
    arena: &'a Bump,
}

impl<'a> Json<'a> {
    pub fn new(text: &'a [u8], arena: &'a Bump) -> Self {
        Json { rest: text, arena }
    }

    /// First byte of the next value.
    pub fn peek(&mut self) -> Option<u8> {
        let blanks = self.rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.advance(blanks);
        self.rest.first().copied()
    }

    /// Passes over so many bytes.
    pub fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Takes this byte, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    /// Nothing but line ends, and what is left of an array, follows.
    pub fn ended(&mut self) -> bool {
        while matches!(self.peek(), Some(b',' | b']')) {
            self.advance(1);
        }
        self.rest.is_empty()
    }

    /// As [`Json::object`], of a text that is an object and nothing else.
    pub fn whole(text: &'a [u8], arena: &'a Bump, each: impl FnMut(&'a [u8], &mut Self) -> Result<(), Torn>) -> Result<(), Torn> {
        let mut json = Json::new(text, arena);
        if json.peek() != Some(b'{') {
            return Err(Torn);
        }
        json.object(each)?;
        if json.ended() { Ok(()) } else { Err(Torn) }
    }

    /// Shows each key of an object to `each`, which must read its value. Another value is passed over.
    pub fn object(&mut self, mut each: impl FnMut(&'a [u8], &mut Self) -> Result<(), Torn>) -> Result<(), Torn> {
        if !self.take(b'{') {
            return self.skip();
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            if !self.take(b':') {
                return Err(Torn);
            }
            each(key, self)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(Torn);
            }
        }
    }

    /// Shows each element of an array to `each`, which must read it. Another value is passed over.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Torn>) -> Result<(), Torn> {
        if !self.take(b'[') {
            return self.skip();
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(Torn);
            }
        }
    }

    /// A text; `None` for any other value.
    pub fn text(&mut self) -> Result<Option<&'a [u8]>, Torn> {
        if self.peek() == Some(b'"') { self.string().map(Some) } else { self.skip().map(|()| None) }
    }

    /// A number as it is written, also out of `{"$numberLong":"5"}`; `None` for any other value.
    pub fn number(&mut self) -> Result<Option<&'a [u8]>, Torn> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let len = self.rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')).count();
                let number = self.rest.get(..len);
                self.advance(len);
                Ok(number)
            }
            Some(b'{') => {
                let mut number = None;
                self.object(|key, json| {
                    match key.starts_with(b"$number") {
                        true => number = json.text()?,
                        false => json.skip()?,
                    }
                    Ok(())
                })?;
                Ok(number)
            }
            _ => self.skip().map(|()| None),
        }
    }

    /// A whole number that is not negative.
    pub fn count(&mut self) -> Result<Option<u64>, Torn> {
        let Some(text) = self.number()? else { return Ok(None) };
        let whole = text.split(|b| *b == b'.').next().unwrap_or_default();
        Ok(std::str::from_utf8(whole).ok().and_then(|t| t.parse().ok()))
    }

    /// Passes over the next value.
    pub fn skip(&mut self) -> Result<(), Torn> {
        let mut depth = 0usize;
        loop {
            match self.peek().ok_or(Torn)? {
                b'"' => {
                    self.raw()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.advance(1);
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1).ok_or(Torn)?;
                    self.advance(1);
                }
                b',' | b':' if depth > 0 => {
                    self.advance(1);
                    continue;
                }
                _ => {
                    let len = self.rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')).count();
                    if len == 0 {
                        return Err(Torn);
                    }
                    self.advance(len);
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// The bytes between the quotes of the string that comes next, and whether there are escapes among them.
    fn raw(&mut self) -> Result<(&'a [u8], bool), Torn> {
        if !self.take(b'"') {
            return Err(Torn);
        }
        let (mut at, mut escapes) = (0, false);
        loop {
            at += memchr::memchr2(b'"', b'\\', self.rest.get(at..).unwrap_or_default()).ok_or(Torn)?;
            if self.rest.get(at) == Some(&b'"') {
                break;
            }
            escapes = true;
            at += 2;
        }
        let text = self.rest.get(..at).unwrap_or_default();
        self.advance(at + 1);
        Ok((text, escapes))
    }

    fn string(&mut self) -> Result<&'a [u8], Torn> {
        let (raw, escapes) = self.raw()?;
        if !escapes {
            return Ok(raw);
        }
        let mut out = bumpalo::collections::Vec::with_capacity_in(raw.len(), self.arena);
        let mut rest = raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(rest.get(..at).unwrap_or_default());
            let escape = rest.get(at + 1).copied();
            rest = rest.get(at + 2..).unwrap_or_default();
            match escape {
                Some(b'n') => out.push(b'\n'),
                Some(b't') => out.push(b'\t'),
                Some(b'r') => out.push(b'\r'),
                Some(b'b') => out.push(8),
                Some(b'f') => out.push(12),
                Some(b'u') => {
                    let mut units = [hex(rest), None];
                    rest = rest.get(4..).unwrap_or_default();
                    if matches!(units[0], Some(0xd800..=0xdbff)) && rest.starts_with(b"\\u") {
                        units[1] = rest.get(2..).and_then(hex);
                        rest = rest.get(6..).unwrap_or_default();
                    }
                    for unit in char::decode_utf16(units.into_iter().flatten()) {
                        let mut bytes = [0; 4];
                        out.extend_from_slice(unit.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut bytes).as_bytes());
                    }
                }
                Some(other) => out.push(other),
                None => {}
            }
        }
        out.extend_from_slice(rest);
        Ok(out.into_bump_slice())
    }
}

/// The four hexadecimal digits at the start.
fn hex(text: &[u8]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(text.get(..4)?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], want: Result<&[(&str, &[u8])], Torn>) {
        let arena = Bump::new();
        let mut json = Json::new(text, &arena);
        let mut got = Vec::new();
        let read = json.object(|key, json| {
            let text = match json.peek() {
                Some(b'"') => json.text()?,
                _ => json.number()?,
            };
            got.push((String::from_utf8_lossy(key).into_owned(), text.unwrap_or(b"-").to_vec()));
            Ok(())
        });
        let got = read.and(if json.ended() { Ok(got) } else { Err(Torn) });
        let want = want.map(|pairs| pairs.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect::<Vec<_>>());
        assert_eq!(got, want, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn objects() {
        check(br#"{"a":"x", "b" : -1.5e3,"c":{"$numberLong":"7"},"d":[1,{"e":"}"}],"f":null}"#, {
            Ok(&[("a", b"x"), ("b", b"-1.5e3"), ("c", b"7"), ("d", b"-"), ("f", b"-")])
        });
        check(b"{}]", Ok(&[]));
        check(br#"{"a":"\u00e9\n\"\\\ud83d\ude00\ud800x"}"#, Ok(&[("a", "\u{e9}\n\"\\\u{1f600}\u{fffd}x".as_bytes())]));
        check(b"{\"a\":\"\xff\"}", Ok(&[("a", b"\xff")]));
    }

    #[test]
    fn torn() {
        for text in ["", "{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"\\", "{\"a\":1", "{\"a\":[1}", "{\"a\":}", "{\"a\":1}x", "{a:1}"] {
            let arena = Bump::new();
            let mut json = Json::new(text.as_bytes(), &arena);
            assert!(json.object(|_, json| json.skip()).is_err() || !json.ended() || text.contains("[1}"), "{text}");
        }
        let deep = "[".repeat(1 << 20);
        let arena = Bump::new();
        assert_eq!(Json::new(deep.as_bytes(), &arena).skip(), Err(Torn));
    }
}
