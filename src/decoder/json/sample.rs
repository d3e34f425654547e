//! Whether a sample consists of JSON records of one format.

use bumpalo::Bump;

use super::pick::{self, Picked, Places};
use crate::decoder::Guess;
use crate::framing::json::Objects;
use crate::framing::{Framed, Framer, More};

/// Records looked at.
const RECORDS: usize = 50;

/// The first JSON objects of a sample. The last one is left out where the sample ends inside it, unless it is the only one.
pub fn objects<'a>(sample: &'a [u8], wrappers: &'static [&'static str]) -> Vec<&'a [u8]> {
    let (mut framer, mut rest, mut found) = (Objects::new(wrappers), sample, Vec::new());
    while found.len() < RECORDS && !rest.is_empty() {
        let consumed = match framer.next(rest, More::Closed) {
            Framed::Record(frame) => {
                if !frame.unterminated || found.is_empty() {
                    found.extend(rest.get(frame.skip..frame.skip + frame.len));
                }
                frame.consumed
            }
            Framed::Skip { consumed, .. } => consumed,
            Framed::Incomplete => break,
        };
        rest = rest.get(consumed.max(1)..).unwrap_or_default();
    }
    found
}

/// `certainty` where most records are such that `known` says so, less where only some are.
pub fn guess(
    sample: &[u8],
    wrappers: &'static [&'static str],
    places: impl FnOnce() -> Places,
    slots: usize,
    known: impl Fn(&Picked<'_>) -> bool,
    certainty: u8,
    what: &str,
) -> Guess {
    let arena = Bump::new();
    let objects = objects(sample, wrappers);
    if !objects.iter().any(|record| record.starts_with(b"{")) {
        return Guess::NO;
    }
    let places = places();
    let good = objects.iter().filter(|record| known(&pick::pick_head(pick::text(record, &arena), &places, slots, &arena).0)).count();
    match (good, objects.len()) {
        (0, _) => Guess::NO,
        (good, all) if good * 2 >= all => Guess::new(certainty, format!("{good} of the first {all} objects are {what}")),
        (good, all) => Guess::new(40, format!("only {good} of the first {all} objects are {what}")),
    }
}
