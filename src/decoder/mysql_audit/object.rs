//! The values of a JSON object, handed out one by one with the key that leads to them; nothing is built.

use bumpalo::Bump;

use crate::decoder::json::pick;
use crate::decoder::json_text::{Json, Torn};

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
pub fn read<'a>(record: &'a [u8], arena: &'a Bump, take: &mut dyn FnMut(&str, &str, Value<'a>)) -> Result<(), Torn> {
    let mut json = Json::new(record, arena);
    while matches!(json.peek(), Some(b',' | b'[' | b']')) {
        json.advance(1);
    }
    if json.peek() != Some(b'{') {
        return Err(Torn);
    }
    walk(&mut json, ["", ""], 0, arena, take)?;
    if json.ended() { Ok(()) } else { Err(Torn) }
}

/// Reads the next value, which stands under these keys.
fn walk<'a>(
    json: &mut Json<'a>,
    [parent, key]: [&str; 2],
    depth: usize,
    arena: &'a Bump,
    take: &mut dyn FnMut(&str, &str, Value<'a>),
) -> Result<(), Torn> {
    let value = match json.peek() {
        Some(b'{' | b'[') if depth > DEPTH => return json.skip(),
        Some(b'{') => return json.object(|name, json| walk(json, [key, pick::text(name, arena)], depth + 1, arena, take)),
        Some(b'[') => return json.array(|json| walk(json, [parent, key], depth + 1, arena, take)),
        Some(b'"') => Value::Text(pick::text(json.text()?.unwrap_or_default(), arena)),
        Some(b'-' | b'0'..=b'9') => {
            let number = std::str::from_utf8(json.number()?.unwrap_or_default()).map_err(|_| Torn)?;
            match number.parse() {
                Ok(whole) => Value::Integer(whole),
                Err(_) => Value::Float(number.parse().map_err(|_| Torn)?),
            }
        }
        word => {
            json.skip()?;
            match word {
                Some(b't') => Value::Bool(true),
                Some(b'f') => Value::Bool(false),
                _ => Value::Null,
            }
        }
    };
    take(parent, key, value);
    Ok(())
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
