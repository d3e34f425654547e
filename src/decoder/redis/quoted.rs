//! Text in quotes as Redis prints it: `"a\n\x00\"b"`.

use bumpalo::Bump;

use crate::framing::seek::near;

/// Bytes of a text in which its end is looked for one by one.
const SHORT: usize = 16;

/// The text at the start, between its quotes, and what follows it. Escapes stay.
pub fn first(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        let rest = body.get(at..)?;
        let end = rest.iter().take(SHORT).position(|b| matches!(b, b'"' | b'\\'));
        at += end.or_else(|| Some(SHORT + memchr::memchr2(b'"', b'\\', rest.get(SHORT..)?)?))?;
        if body.get(at) == Some(&b'"') {
            return Some((body.get(..at)?, body.get(at + 1..)?));
        }
        at += 2;
    }
}

/// The arguments of a line, each in quotes with one blank between; ends early where that is not so.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    pub rest: &'a [u8],
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (argument, rest) = first(self.rest)?;
        self.rest = rest.strip_prefix(b" ").unwrap_or(rest);
        Some(argument)
    }
}

/// Undoes the escapes.
pub fn plain<'a>(text: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if near(b'\\', text).is_none() {
        return text;
    }
    let mut out = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let escape = rest.get(at + 1).copied();
        rest = rest.get(at + 2..).unwrap_or_default();
        match escape {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'x') => {
                let digits = rest.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                if let Some(byte) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                    out.push(byte);
                    rest = rest.get(2..).unwrap_or_default();
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.extend_from_slice(rest);
    out.into_bump_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let arena = Bump::new();
        let check = |line: &str, want: &[&[u8]], left: &str| {
            let mut arguments = Arguments { rest: line.as_bytes() };
            let got: Vec<&[u8]> = arguments.by_ref().map(|a| plain(a, &arena)).collect();
            assert_eq!((got.as_slice(), arguments.rest), (want, left.as_bytes()), "{line}");
        };
        check(r#""SET" "a:1" "x\n\"\\\x00\xff""#, &[b"SET", b"a:1", b"x\n\"\\\0\xff"], "");
        check(r#""GET" "\xc3\xa9\a\b\t\r""#, &[b"GET", "\u{e9}\u{7}\u{8}\t\r".as_bytes()], "");
        check(r#""" "" x"#, &[b"", b""], "x");
        check(r#""torn\"#, &[], r#""torn\"#);
        check(r#""\xg" "b"#, &[b"g"], "\"b");
    }
}
