//! The values of a JSON object, handed out one by one with the key that leads to them; nothing is built.

use std::borrow::Cow;
use std::fmt;

use bumpalo::Bump;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value that is neither an object nor an array.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Null,
}

impl<'a> Value<'a> {
    /// Text, or a whole number or truth value as text.
    pub fn bytes(self, arena: &'a Bump) -> Option<&'a [u8]> {
        match self {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Integer(number) => Some(arena.alloc_str(&number.to_string()).as_bytes()),
            Value::Float(_) | Value::Null => None,
            Value::Bool(yes) => Some(if yes { b"true" } else { b"false" }),
        }
    }

    /// A number that is not negative, or the digits of one.
    pub fn count(self) -> Option<u64> {
        match self {
            Value::Integer(number) => u64::try_from(number).ok(),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A number of any kind.
    pub fn number(self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            Value::Text(text) => text.parse().ok(),
            Value::Bool(_) | Value::Null => None,
        }
    }
}

/// Objects inside objects that are read; deeper ones are passed over.
const DEPTH: usize = 4;

/// Hands out every value of `record`, which must be one JSON object (what stands around the elements of an array may be there too), as
/// `take(key of the object that holds it, its key, value)`; elements of an array have the array's key. What was handed out before an
/// error counts: a record that was cut is no JSON any more.
pub fn read<'a>(record: &'a [u8], arena: &'a Bump, take: &mut dyn FnMut(&str, &str, Value<'a>)) -> Result<(), serde_json::Error> {
    let text = match String::from_utf8_lossy(record) {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => arena.alloc_str(&text),
    };
    let text = text.trim_matches(|c: char| matches!(c, ',' | '[' | ']') || c.is_ascii_whitespace());
    if !text.starts_with('{') {
        return Err(serde_json::Error::custom("not an object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    Node { parent: "", key: "", depth: 0, arena, take }.deserialize(&mut json)?;
    json.end()
}

struct Node<'s, 'a> {
    parent: &'s str,
    key: &'s str,
    depth: usize,
    arena: &'a Bump,
    take: &'s mut dyn FnMut(&str, &str, Value<'a>),
}

impl<'a> Node<'_, 'a> {
    fn give<E>(self, value: Value<'a>) -> Result<(), E> {
        (self.take)(self.parent, self.key, value);
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for Node<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        if self.depth > DEPTH {
            return json.deserialize_ignored_any(serde::de::IgnoredAny).map(drop);
        }
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Node<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.give(Value::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let text = self.arena.alloc_str(text);
        self.give(Value::Text(text))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.give(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.give(Value::Integer(number)),
            Err(_) => self.give(Value::Float(number as f64)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.give(Value::Float(number))
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<(), E> {
        self.give(Value::Bool(yes))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.give(Value::Null)
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { key: parent, depth, arena, take, .. } = self;
        while let Some(key) = map.next_key_seed(Key)? {
            map.next_value_seed(Node { parent, key: &key, depth: depth + 1, arena, take: &mut *take })?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        let Self { parent, key, depth, arena, take } = self;
        while seq.next_element_seed(Node { parent, key, depth: depth + 1, arena, take: &mut *take })?.is_some() {}
        Ok(())
    }
}

/// A key, borrowed unless it has escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &[u8], want: &str) {
        let arena = Bump::new();
        let mut seen = Vec::new();
        let read = read(json, &arena, &mut |parent, key, value| seen.push(format!("{parent}/{key}={value:?}")));
        let ending = if read.is_ok() { "" } else { " error" };
        assert_eq!(format!("{}{ending}", seen.join(" ")), want);
    }

    #[test]
    fn values_with_the_keys_that_lead_to_them() {
        check(br#"{"a":1,"b":{"c":"x\n","d":[{"e":null},true]}},"#, r#"/a=Integer(1) b/c=Text("x\n") d/e=Null b/d=Bool(true)"#);
        check(br#"[{"a":1.5}]"#, "/a=Float(1.5)");
        check(b"{\"a\":\"\xff\"}", "/a=Text(\"\u{fffd}\")");
        check(br#"{"a":"x","b":"hal"#, r#"/a=Text("x") error"#);
        for json in [&b""[..], b"1", b"\"x\"", b"{\"a\":1}{", b"\xff\xff", b"[1]"] {
            assert!(read(json, &Bump::new(), &mut |_, _, _| {}).is_err());
        }
    }
}
