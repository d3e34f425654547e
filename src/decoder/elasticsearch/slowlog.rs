//! Index slow logs: searches and writes that took long, without the user unless `index.search.slowlog.include.user` is on.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::{DATASET, HITS, LOGGER, MESSAGE, TOOK, TYPE};
use crate::decoder::json::pick::Picked;
use crate::event::{Event, Kind, Operation, Outcome};
use crate::framing::seek::Seek;

/// Whether an object is a slow log's.
pub fn is(picked: &Picked<'_>) -> bool {
    picked.get(TOOK).is_some() && [DATASET, TYPE, LOGGER].into_iter().filter_map(|slot| picked.text(slot)).any(|name| name.holds("slowlog"))
}

/// What a slow log tells. One search writes a line for each shard that was slow, and others for fetching what it found.
pub fn fill<'a>(event: &mut Event<'a>, picked: &Picked<'a>, arena: &'a Bump) {
    let names = [LOGGER, TYPE].map(|slot| picked.text(slot).unwrap_or_default());
    let has = |word: &str| names.iter().any(|name| name.holds(word));
    event.kind = if has("slowlog.fetch") { Kind::Other } else { Kind::Query };
    event.operation = Some(if has("indexing") { Operation::Insert } else { Operation::Select });
    event.outcome = Outcome::Success;
    event.duration_us = picked.text(TOOK).and_then(|took| duration(took));
    event.rows = picked.text(HITS).and_then(|hits| {
        let digits = hits.trim_end_with(|c| !c.is_ascii_digit());
        std::str::from_utf8(digits).ok()?.trim_end_matches('+').parse().ok()
    });
    // `[index][shard]` or `[index/uuid]`
    if let Some(index) = picked.text(MESSAGE).and_then(|text| text.strip_prefix(b"[")) {
        let end = index.find_byteset(b"]/").unwrap_or(index.len());
        let name = BStr::new(index.get(..end).unwrap_or_default());
        event.objects = arena.alloc_slice_copy(&[name]);
    }
}

/// `123.7micros`, `1.1ms`, `4.5s`: a time value in microseconds.
fn duration(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let factor = match unit {
        "nanos" => 1e-3,
        "micros" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        _ => return None,
    };
    let micros = number * factor;
    (0.0..1e18).contains(&micros).then_some(micros as u64)
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        for (text, want) in [
            ("123.7micros", Some(123)),
            ("1.1ms", Some(1_100)),
            ("2s", Some(2_000_000)),
            ("1.5m", Some(90_000_000)),
            ("x", None),
            ("1", None),
            ("-1s", None),
        ] {
            assert_eq!(duration(text.as_bytes()), want, "{text}");
        }
    }
}
