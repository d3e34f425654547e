//! One pass over a JSON object that keeps the wanted values and builds nothing for the rest.

use std::collections::HashMap;

use bstr::BStr;
use bumpalo::Bump;
use foldhash::fast::FixedState;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value that was asked for. `null` and empty text count as absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// The texts of an array.
    List(&'a [&'a BStr]),
    /// Whatever stands there, as JSON ([`Places::raw`]).
    Raw(&'a str),
}

/// The wanted places of an object, as a tree of keys.
#[derive(Debug, Default)]
pub struct Places {
    children: HashMap<Box<str>, Places, FixedState>,
    /// Number of the wanted value that may stand here, and its rank: of several places that hold one, the lowest rank wins.
    slot: Option<(usize, usize)>,
    /// The value is wanted as it is written.
    raw: bool,
}

impl Places {
    /// The places of `pointers`, each with the slot of its value; of several places of one slot the first that holds a value wins.
    pub fn new(pointers: &[(&str, usize)]) -> Self {
        let mut places = Places::default();
        for (rank, (pointer, slot)) in pointers.iter().enumerate() {
            places.add(pointer, *slot, rank);
        }
        places
    }

    /// The value at a pointer that was added is wanted as it is written, whatever it is.
    pub fn raw(mut self, pointer: &str) -> Self {
        let mut place = &mut self;
        for key in pointer.split('/').skip(1) {
            place = place.children.entry(key.into()).or_default();
        }
        place.raw = true;
        self
    }

    /// Adds a JSON pointer (RFC 6901). The first value that claims a place keeps it.
    pub fn add(&mut self, pointer: &str, slot: usize, rank: usize) {
        let mut place = self;
        for key in pointer.split('/').skip(1) {
            let key = if key.contains('~') { key.replace("~1", "/").replace("~0", "~").into_boxed_str() } else { key.into() };
            place = place.children.entry(key).or_default();
        }
        place.slot.get_or_insert((slot, rank));
    }
}

/// What was found.
#[derive(Debug)]
pub struct Picked<'a> {
    values: &'a mut [Option<(usize, Value<'a>)>],
    /// A wanted key stood twice in one object: whoever wrote the record did not escape what a client sent.
    pub twice: bool,
}

impl<'a> Picked<'a> {
    /// Values that came from elsewhere, one for each slot.
    pub fn of(values: impl ExactSizeIterator<Item = Option<Value<'a>>>, arena: &'a Bump) -> Self {
        Picked { values: arena.alloc_slice_fill_iter(values.map(|value| value.map(|value| (0, value)))), twice: false }
    }

    pub fn get(&self, slot: usize) -> Option<Value<'a>> {
        self.values.get(slot).copied().flatten().map(|(_, value)| value)
    }

    /// The text in a slot; `None` where there is something else.
    pub fn text(&self, slot: usize) -> Option<&'a BStr> {
        match self.get(slot)? {
            Value::Text(text) => Some(BStr::new(text.as_bytes())),
            _ => None,
        }
    }

    /// The text in a slot, or the word for a number or truth value.
    pub fn word(&self, slot: usize, arena: &'a Bump) -> Option<&'a BStr> {
        super::fields::text(self.get(slot)?, arena)
    }

    /// The texts in a slot: those of an array, or the one that stands there.
    pub fn list(&self, slot: usize, arena: &'a Bump) -> &'a [&'a BStr] {
        match self.get(slot) {
            Some(Value::List(list)) => list,
            Some(Value::Text(text)) => arena.alloc_slice_copy(&[BStr::new(text.as_bytes())]),
            _ => &[],
        }
    }

    /// The whole number in a slot, also where it is written as text.
    pub fn number(&self, slot: usize) -> Option<i64> {
        match self.get(slot)? {
            Value::Integer(number) => Some(number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The count in a slot.
    pub fn count(&self, slot: usize) -> Option<u64> {
        super::fields::count(self.get(slot)?)
    }

    fn put(&mut self, (slot, rank): (usize, usize), value: Value<'a>) {
        let Some(place) = self.values.get_mut(slot) else { return };
        match place {
            Some((old, _)) if *old == rank => self.twice = true,
            Some((old, _)) if *old < rank => {}
            _ => *place = Some((rank, value)),
        }
    }
}

/// Reads `record`, which must be one JSON object and nothing else.
pub fn pick<'a>(record: &'a str, places: &Places, slots: usize, arena: &'a Bump) -> Result<Picked<'a>, serde_json::Error> {
    let (picked, end) = pick_head(record, places, slots, arena);
    end.map(|()| picked)
}

/// As [`pick`], with what stood before the place where `record` is no JSON any more (it was cut).
pub fn pick_head<'a>(record: &'a str, places: &Places, slots: usize, arena: &'a Bump) -> (Picked<'a>, Result<(), serde_json::Error>) {
    let mut picked = Picked { values: arena.alloc_slice_fill_copy(slots, None), twice: false };
    let mut json = serde_json::Deserializer::from_str(record);
    let end = At { place: places, picked: &mut picked, arena, top: true }.deserialize(&mut json).and_then(|()| json.end());
    (picked, end)
}

struct At<'s, 'a> {
    place: &'s Places,
    picked: &'s mut Picked<'a>,
    arena: &'a Bump,
    top: bool,
}

impl<'a> At<'_, 'a> {
    /// Empty text is absent, and nothing but an object may be the whole record.
    fn put<E: Error>(self, value: Value<'a>) -> Result<(), E> {
        if self.top {
            return Err(E::custom("not an object"));
        }
        if let Some(slot) = self.place.slot.filter(|_| value != Value::Text("")) {
            self.picked.put(slot, value);
        }
        Ok(())
    }
}

impl<'a> DeserializeSeed<'a> for At<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        if self.place.raw {
            let value = <&serde_json::value::RawValue>::deserialize(json)?;
            return self.put(Value::Raw(value.get()));
        }
        if self.place.slot.is_none() && self.place.children.is_empty() {
            return json.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for At<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.top { "an object" } else { "a value" })
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.put(Value::Text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let text = self.arena.alloc_str(text);
        self.put(Value::Text(text))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.put(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.put(Value::Integer(number)),
            Err(_) => self.put(Value::Float(number as f64)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.put(Value::Float(number))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.put(Value::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.top { Err(E::custom("not an object")) } else { Ok(()) }
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(place) = map.next_key_seed(Key(self.place))? {
            match place {
                Some(place) => map.next_value_seed(At { place, picked: self.picked, arena: self.arena, top: false })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        if self.top {
            return Err(S::Error::custom("not an object"));
        }
        if self.place.slot.is_none() {
            let mut index = 0usize;
            loop {
                let found = match self.place.children.get(index.to_string().as_str()) {
                    Some(place) => seq.next_element_seed(At { place, picked: self.picked, arena: self.arena, top: false })?.is_some(),
                    None => seq.next_element::<IgnoredAny>()?.is_some(),
                };
                if !found {
                    return Ok(());
                }
                index += 1;
            }
        }
        let mut texts = bumpalo::collections::Vec::new_in(self.arena);
        while let Some(text) = seq.next_element_seed(TextOrNothing(self.arena))? {
            if let Some(text) = text {
                texts.push(BStr::new(text.as_bytes()));
            }
        }
        if texts.is_empty() {
            return Ok(());
        }
        self.put(Value::List(texts.into_bump_slice()))
    }
}

/// Looks a key up without keeping it.
struct Key<'s>(&'s Places);

impl<'de, 's> DeserializeSeed<'de> for Key<'s> {
    type Value = Option<&'s Places>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Key<'s> {
    type Value = Option<&'s Places>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.get(key))
    }
}

/// An element of an array: text is kept, anything else passed over.
struct TextOrNothing<'a>(&'a Bump);

impl<'a> DeserializeSeed<'a> for TextOrNothing<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for TextOrNothing<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(self.0.alloc_str(text)))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// The record as text: as it is where it is UTF-8, otherwise with replacement characters.
pub fn text<'a>(record: &'a [u8], arena: &'a Bump) -> &'a str {
    // Faster than the lossy reading where nothing is lost.
    std::str::from_utf8(record).unwrap_or_else(|_| arena.alloc_str(&String::from_utf8_lossy(record)))
}
