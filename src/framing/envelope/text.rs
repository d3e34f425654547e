//! Reading JSON envelopes: text without copies where it has no escapes, and values of which a relay may make one thing or another.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bumpalo::Bump;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The record as text: as it is where it is UTF-8, otherwise with replacement characters.
pub fn utf8<'a>(record: &'a [u8], arena: &'a Bump) -> &'a str {
    // Faster than the lossy reading where nothing is lost.
    std::str::from_utf8(record).unwrap_or_else(|_| arena.alloc_str(&String::from_utf8_lossy(record)))
}

/// Text for as long as the arena lasts.
pub fn keep<'a>(text: Cow<'a, str>, arena: &'a Bump) -> &'a str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => arena.alloc_str(&text),
    }
}

/// A value that is text, an object that has a name, or something else.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Loose<'a> {
    /// Absent or null.
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    /// An object with the name or the path in it.
    Object(Cow<'a, str>),
    Number(i64),
    Other,
}

/// Keys under which an object has its name.
const NAMES: [&str; 6] = ["name", "path", "file", "pod_name", "hostname", "id"];

impl<'a> Loose<'a> {
    pub fn is_there(&self) -> bool {
        *self != Loose::Nothing
    }

    /// Text itself.
    pub fn text(&self) -> Option<&str> {
        match self {
            Loose::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text, or the name of an object; else nothing.
    pub fn name(&self) -> &str {
        match self {
            Loose::Text(text) | Loose::Object(text) => text,
            _ => "",
        }
    }

    /// [`Loose::name`] for as long as the arena lasts, where it is not empty.
    pub fn keep(self, arena: &'a Bump) -> Option<&'a str> {
        match self {
            Loose::Text(text) | Loose::Object(text) => Some(keep(text, arena)).filter(|text| !text.is_empty()),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Loose::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Loose::Other, Loose::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found: Option<(usize, Cow<'de, str>)> = None;
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let Some(rank) = NAMES.iter().position(|name| *name == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Loose::Text(text) | Loose::Object(text) = map.next_value::<Loose<'de>>()?
                && found.as_ref().is_none_or(|(best, _)| rank < *best)
            {
                found = Some((rank, text));
            }
        }
        Ok(found.map_or(Loose::Other, |(_, text)| Loose::Object(text)))
    }
}

/// The elements of an array of at most [`FEW`]: whoever writes envelopes chooses how many there are, and each takes more room here than there.
#[derive(Debug)]
pub struct Few<T>(pub Vec<T>);

/// Records that one envelope may hold. What relays send at once is below it by far.
pub const FEW: usize = 1 << 16;

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array that is not too long")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element()? {
            if all.len() == FEW {
                return Err(S::Error::custom("an array that is too long"));
            }
            all.push(one);
        }
        Ok(Few(all))
    }
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object of which only some fields matter.
pub trait Fields<'a>: Default {
    /// The field under this key, and its number below 64.
    fn field(&mut self, key: &str) -> Option<(u32, &mut Loose<'a>)>;
}

/// Reads such an object; `None` where it is none, or has a field twice.
pub fn read<'a, F: Fields<'a>>(text: &'a str) -> Option<F> {
    let (mut fields, mut json) = (F::default(), serde_json::Deserializer::from_str(text));
    json.deserialize_map(Filled(&mut fields)).ok()?;
    json.end().ok()?;
    Some(fields)
}

/// Fills the fields in where they are: to hand them on would cost more than to read them.
struct Filled<'s, F>(&'s mut F);

impl<'de, F: Fields<'de>> Visitor<'de> for Filled<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut seen = 0u64;
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            match self.0.field(&key) {
                Some((number, _)) if seen >> number & 1 == 1 => return Err(M::Error::custom("a field stands twice")),
                Some((number, field)) => {
                    seen |= 1 << number;
                    *field = map.next_value()?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The value of `key` at the top of a JSON object, as it is written. The object must be sound.
pub fn member<'a>(object: &'a [u8], key: &str) -> Option<&'a [u8]> {
    members(object).find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
}

/// The names and values at the top of a JSON object, as they are written. The object must be sound.
pub fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = object.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
    std::iter::from_fn(move || {
        rest = blank(rest, b",");
        let (name, after) = rest.split_at_checked(string(rest)?)?;
        let value = blank(after, b":");
        let (value, after) = value.split_at_checked(length(value)?)?;
        rest = after;
        Some((name.get(1..name.len() - 1)?, value.trim_ascii_end()))
    })
}

fn blank<'a>(text: &'a [u8], and: &[u8]) -> &'a [u8] {
    let used = text.iter().take_while(|b| b.is_ascii_whitespace() || and.contains(b)).count();
    text.get(used..).unwrap_or_default()
}

/// Length of the string at the start of `text`, with its quotes.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = text.starts_with(b"\"").then_some(1)?;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// Length of the value at the start of `text`.
fn length(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0usize, 0usize);
    loop {
        match text.get(at)? {
            b'"' => at += string(text.get(at..)?)?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => (at, depth) = (at + 1, depth - 1),
            b',' if depth == 0 => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_as_they_are_written() {
        let object = br#" {"a" : {"k":"}\"","z":[1,{}]} ,"b":[1, 2],"c":"x\\","d":-1.5e3 ,"e":null}"#;
        for (key, want) in [("a", r#"{"k":"}\"","z":[1,{}]}"#), ("b", "[1, 2]"), ("c", r#""x\\""#), ("d", "-1.5e3"), ("e", "null")] {
            assert_eq!(member(object, key).map(|v| std::str::from_utf8(v).unwrap()), Some(want), "{key}");
        }
        assert_eq!(member(object, "k"), None);
        for torn in [&b"{"[..], b"{\"a", b"{\"a\":", b"{\"a\":{", b"[]", b"", b"{\"a\":\"x"] {
            assert_eq!(member(torn, "a"), None);
        }
    }

    #[test]
    fn loose_values() {
        let read = |text: &'static str| serde_json::from_str::<Loose<'static>>(text).unwrap();
        assert_eq!(read("\"db1\"").name(), "db1");
        assert_eq!(read(r#"{"ip":["::1"],"name":"db1","id":"x"}"#).name(), "db1");
        assert_eq!(read(r#"{"offset":1,"file":{"path":"/x"}}"#), Loose::Object("/x".into()));
        assert_eq!(read("null"), Loose::Nothing);
        assert_eq!(read("7"), Loose::Number(7));
        assert_eq!(read("[1,[2]]"), Loose::Other);
        assert_eq!(read("{}"), Loose::Other);
    }
}
