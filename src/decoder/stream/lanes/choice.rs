//! Which envelopes a log consists of, by its first bytes.

use std::collections::BTreeMap;

use bumpalo::Bump;

use super::{LANES, SURE};
use crate::decoder::stream::{Options, SAMPLE};
use crate::decoder::{Format, detect};
use crate::framing::envelope::cloud::GOOGLE;
use crate::framing::envelope::{self, ENVELOPES, Kind, Opened, Part};
use crate::framing::{Framed, More};

/// Envelopes inside envelopes that are opened.
const DEPTH: usize = 3;

/// What was decided from a sample.
pub(in super::super) struct Choice {
    pub(super) kinds: Vec<&'static Kind>,
    /// How sure, 0..=100.
    pub(in super::super) certainty: u8,
    pub(super) because: String,
    pub(super) samples: BTreeMap<u64, Vec<u8>>,
}

impl Choice {
    /// A known log is in envelopes that hold line breaks as they are: what looks like plain lines of it may be a client's text.
    pub(in super::super) fn holds_lines(&self) -> bool {
        const HOLD: [&str; 3] = [envelope::journald::EXPORT.name, envelope::stamped::STAMPED.name, envelope::stamped::STREAMED.name];
        self.certainty >= SURE && self.kinds.first().is_some_and(|kind| HOLD.contains(&kind.name))
    }
}

/// The envelopes that the sample consists of, if it does and a known format is inside.
pub(in super::super) fn choose(sample: &[u8], wanted: Option<&'static Format>, options: &Options) -> Option<Choice> {
    let found = look(sample, &[], wanted, options);
    let Some(told) = options.envelope.and_then(envelope::by_name) else { return found };
    // Nobody chooses it by sending something else first.
    found.filter(|found| found.kinds.first().is_some_and(|kind| kind.name == told.name)).or_else(|| {
        let because = format!("{}, as the source says", told.about);
        Some(Choice { kinds: vec![told], certainty: 100, because, samples: BTreeMap::new() })
    })
}

/// The options of the logs inside: where the envelope's text stands is no matter of theirs.
pub(super) fn inside(options: &Options) -> Options {
    Options { mapping: options.mapping.clone().filter(|mapping| mapping.envelope.is_none()), ..options.clone() }
}

/// `above`: the envelopes that the sample came in, the outermost first.
fn look(sample: &[u8], above: &[&'static Kind], wanted: Option<&'static Format>, options: &Options) -> Option<Choice> {
    // What this one carries as it is needs no second opening.
    let again = |kind: &Kind| kind.name == GOOGLE.name && above.last().is_some_and(|above| above.name == GOOGLE.name);
    let mut best: Option<Choice> = None;
    let inner_options = inside(options);
    // Containers that share a file do so in no other envelope: there it would be the text of a client of one of them.
    let may_be = |kind: &&Kind| above.len() < DEPTH && (above.is_empty() || !envelope::named::ALL.contains(&kind.name)) && !again(kind);
    for kind in ENVELOPES.iter().filter(may_be) {
        let Some((share, samples)) = open_sample(kind, sample, above.is_empty(), options) else { continue };
        // Of several logs inside, the surest tells.
        let mut found =
            Choice { kinds: vec![kind], certainty: 15, because: format!("{} with no log inside that is known", kind.about), samples };
        let mut inner: Option<Choice> = None;
        let within = [above, &[kind]].concat();
        for text in found.samples.values() {
            if let Some(deeper) = look(text, &within, wanted, options).filter(|deeper| deeper.certainty >= SURE)
                && inner.as_ref().is_none_or(|best| deeper.certainty > best.certainty)
            {
                inner = Some(deeper);
            }
            let guess = match wanted {
                Some(format) => Some((format, (format.sniff)(text, &inner_options))),
                None => detect(text, &inner_options),
            };
            if let Some((format, guess)) = guess.filter(|(_, guess)| guess.certainty >= SURE)
                && inner.as_ref().is_none_or(|best| guess.certainty > best.certainty)
            {
                let because = format!("{} in {}: {}", format.name, kind.name, guess.because);
                inner = Some(Choice { kinds: Vec::new(), certainty: guess.certainty, because, samples: BTreeMap::new() });
            }
        }
        if inner.is_none() && envelope::named::ALL.contains(&kind.name) {
            continue; // two words and a third begin any sentence
        }
        if let Some(inner) = inner {
            found.kinds.extend(&inner.kinds);
            found.certainty = inner.certainty;
            found.because = inner.because;
            if !inner.kinds.is_empty() {
                found.samples = BTreeMap::new();
            }
        }
        found.certainty = (u32::from(found.certainty) * share / 100) as u8;
        if best.as_ref().is_none_or(|best| found.certainty > best.certainty) {
            best = Some(found);
        }
    }
    best
}

/// The percentage of the sample's records that are such envelopes (at least half of them, or nothing), and the lines inside, by lane.
fn open_sample(kind: &Kind, sample: &[u8], outer: bool, options: &Options) -> Option<(u32, BTreeMap<u64, Vec<u8>>)> {
    /// Envelopes looked at.
    const LOOKED_AT: u32 = 200;
    let (mut framer, mut envelope) = ((kind.framer)(sample), (kind.open)(options));
    let (mut all, mut good) = (0u32, 0u32);
    let mut samples: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut rest = sample;
    let mut arena = Bump::new();
    // The last line of a sample may be cut, unless it is the only one.
    let more = if outer && memchr::memchr(b'\n', sample).is_some_and(|at| at + 1 < sample.len()) { More::Flowing } else { More::Closed };
    while all < LOOKED_AT && !rest.is_empty() {
        match framer.next(rest, more) {
            Framed::Record(frame) => {
                let record = rest.get(frame.skip..frame.skip + frame.len).unwrap_or_default();
                all += 1;
                let opened = envelope.open(record, &arena);
                good += u32::from(opened.parts().iter().any(|part| !matches!(part, Opened::Reject(_))));
                for part in opened.parts() {
                    let Opened::Carried(carried) = part else { continue };
                    if samples.len() < LANES || samples.contains_key(&carried.lane) {
                        let text = samples.entry(carried.lane).or_default();
                        if text.len() > SAMPLE {
                            continue;
                        }
                        text.extend_from_slice(carried.payload);
                        if carried.part != Part::Piece {
                            text.push(b'\n');
                        }
                    }
                }
                rest = rest.get(frame.consumed.max(1)..).unwrap_or_default();
            }
            Framed::Skip { consumed, .. } => rest = rest.get(consumed.max(1)..).unwrap_or_default(),
            Framed::Incomplete => break,
        }
        arena.reset();
    }
    (good > 0 && good * 2 >= all).then(|| (good * 100 / all.max(1), samples))
}
