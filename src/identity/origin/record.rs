//! One record of an MMDB file in any of the layouts that are around: MaxMind's (GeoLite2, GeoIP2), DB-IP's, IPinfo's. A field is looked for by
//! its name; a value of the wrong type is passed over, so one odd field spoils nothing else.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Country, Location, Origin};
use crate::identity::dictionary::clean;

/// Characters of an organisation's name that are kept.
const LONGEST_NAME: usize = 64;

/// What a field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    System,
    /// The lower the number, the rather it is taken.
    Organisation(u8),
    Country,
    Latitude,
    Longitude,
    Accuracy,
    /// True or false, as a flag or in words.
    Hosting,
    /// A word for what the address is used for.
    Usage,
    /// Only a table with fields in it.
    Inside,
}

/// Tables inside a record, the fields of which are looked at.
const INSIDE: [&str; 3] = ["country", "location", "traits"];

/// The meaning of a field, by the table that it stands in (empty: the record itself).
fn field(inside: &str, key: &str) -> Option<Field> {
    Some(match (inside, key) {
        ("", "location" | "traits") => Field::Inside,
        ("country", "iso_code") | ("", "country_code" | "country") => Field::Country,
        ("location", "latitude") | ("", "latitude" | "lat") => Field::Latitude,
        ("location", "longitude") | ("", "longitude" | "lng") => Field::Longitude,
        ("location", "accuracy_radius") | ("", "radius") => Field::Accuracy,
        ("" | "traits", "autonomous_system_number") | ("", "asn") => Field::System,
        ("" | "traits", "autonomous_system_organization") | ("", "as_name") => Field::Organisation(0),
        ("" | "traits", "organization" | "isp") | ("", "name") => Field::Organisation(1),
        (
            "" | "traits",
            "is_anonymous" | "is_anonymous_vpn" | "is_hosting_provider" | "is_public_proxy" | "is_residential_proxy" | "is_tor_exit_node",
        )
        | ("", "hosting" | "vpn" | "proxy" | "tor" | "relay" | "is_hosting" | "is_vpn" | "is_proxy" | "is_tor" | "is_relay") => {
            Field::Hosting
        }
        ("" | "traits", "user_type") | ("", "type" | "as_type") => Field::Usage,
        _ => return None,
    })
}

/// A value without parts.
enum Scalar<'a> {
    Text(&'a str),
    Number(f64),
    Flag(bool),
}

/// What one record says.
#[derive(Debug, Default)]
pub struct Record {
    system: Option<u32>,
    organisation: Option<(u8, String)>,
    country: Option<Country>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy: Option<f64>,
    hosting: bool,
    /// There was a field that is known here, whatever its value.
    pub recognised: bool,
}

impl Record {
    fn take(&mut self, field: Field, value: Scalar<'_>) {
        self.recognised |= field != Field::Inside;
        match (field, value) {
            (Field::System, Scalar::Number(number)) if number >= 1.0 && number <= f64::from(u32::MAX) => self.system = Some(number as u32),
            (Field::System, Scalar::Text(text)) => {
                self.system = text.trim_start_matches(['A', 'S', 'a', 's']).parse().ok().filter(|n| *n > 0).or(self.system);
            }
            (Field::Organisation(rank), Scalar::Text(text)) => {
                if let Some(name) = name(text).filter(|_| self.organisation.as_ref().is_none_or(|(known, _)| rank < *known)) {
                    self.organisation = Some((rank, name));
                }
            }
            (Field::Country, Scalar::Text(text)) => self.country = Country::of(text).or(self.country),
            (Field::Latitude, value) => self.latitude = number(&value),
            (Field::Longitude, value) => self.longitude = number(&value),
            (Field::Accuracy, value) => self.accuracy = number(&value),
            (Field::Hosting, Scalar::Flag(flag)) => self.hosting |= flag,
            (Field::Hosting, Scalar::Text(text)) => self.hosting |= text == "true",
            (Field::Usage, Scalar::Text(text)) => self.hosting |= text == "hosting",
            _ => {}
        }
    }

    /// Adds to `origin` what it does not know yet.
    pub fn complete(self, origin: &mut Origin) {
        origin.asn = origin.asn.or(self.system);
        origin.organisation = origin.organisation.take().or(self.organisation.map(|(_, name)| name));
        origin.country = origin.country.or(self.country);
        origin.location = origin.location.or(Location::new(self.latitude, self.longitude, self.accuracy));
        origin.hosting |= self.hosting;
    }
}

/// An organisation's name fit to be shown.
fn name(text: &str) -> Option<String> {
    let short: String = text.chars().take(LONGEST_NAME).collect();
    let cut = if short.len() < text.len() { "…" } else { "" };
    Some(clean(short.trim()) + cut).filter(|name| !name.is_empty())
}

fn number(value: &Scalar<'_>) -> Option<f64> {
    match value {
        Scalar::Number(number) => Some(*number),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Flag(_) => None,
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Record::default();
        Reading { into: &mut record, inside: "", field: Field::Inside }.deserialize(deserializer)?;
        Ok(record)
    }
}

/// Reads one value, a table or a scalar, of a field.
struct Reading<'a> {
    into: &'a mut Record,
    /// The table that this value is, if it is one.
    inside: &'static str,
    field: Field,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of an MMDB file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&str>()? {
            match field(self.inside, key) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(field) => {
                    let inside =
                        INSIDE.into_iter().find(|table| self.inside.is_empty() && *table == key).unwrap_or("a table of no interest");
                    map.next_value_seed(Reading { into: self.into, inside, field })?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.into.take(self.field, Scalar::Text(text));
        Ok(())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.into.take(self.field, Scalar::Flag(flag));
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.into.take(self.field, Scalar::Number(number));
        Ok(())
    }
}
