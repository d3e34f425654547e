//! Text of XML, as servers write it: also references to characters that XML does not allow (`&#1;`), on which strict parsers give up.

use bumpalo::Bump;

/// Longest reference: `&#x0010FFFF;`.
const LONGEST: usize = 12;

/// Undoes references to characters. What is no such reference stays as it is.
pub fn unescape<'a>(text: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    let Some(mut at) = memchr::memchr(b'&', text) else { return text };
    let mut out = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    let mut rest = text;
    loop {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let end = memchr::memchr(b';', rest.get(..LONGEST).unwrap_or(rest));
        let used = match end.and_then(|end| Some((end, reference(rest.get(1..end)?)?))) {
            Some((end, character)) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                end + 1
            }
            None => {
                out.extend_from_slice(rest.get(..1).unwrap_or_default());
                1
            }
        };
        rest = rest.get(used..).unwrap_or_default();
        match memchr::memchr(b'&', rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    out.into_bump_slice()
}

/// The character of `lt`, `#10`, `#x0a`.
fn reference(name: &[u8]) -> Option<char> {
    Some(match name {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?)?,
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        _ => return None,
    })
}
