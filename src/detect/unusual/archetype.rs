//! What attacks, and what harmless changes, look like in levels of surprise.
//!
//! A row is one detector: the probability of level 0, and the relative weights of levels 1 to 4. Detectors that an archetype does not name are as
//! on any day. The numbers are judgements, tuned on made-up populations (`benches/detection`); what they are worth is measured there.

use crate::baseline::fleet::Schedule;
use crate::baseline::unit::Feature::{self, *};

/// One kind of attack or change.
#[derive(Debug)]
pub struct Archetype {
    /// In plain words, as alerts say what a token's use looks like.
    pub name: &'static str,
    /// Of an attack: its share among attacks. Of a change: its probability per token and day.
    pub weight: f64,
    /// How many times more probable it is for programs that are always on, batch jobs, and people.
    pub among: [f64; 3],
    pub rows: &'static [(Feature, f64, [f64; 4])],
}

impl Archetype {
    /// The weight for a token with these working hours.
    pub fn weight_among(&self, schedule: Schedule) -> f64 {
        self.weight * self.among.get(schedule as usize).copied().unwrap_or(1.0)
    }

    /// The probabilities of levels 0 to 4 in a row.
    pub fn levels(level0: f64, profile: &[f64; 4]) -> [f64; 5] {
        let [a, b, c, d] = *profile;
        let share = (1.0 - level0) / (a + b + c + d);
        [level0, a * share, b * share, c * share, d * share]
    }
}

/// Attackers take what they get.
const ANYBODY: [f64; 3] = [1.0; 3];

/// What somebody with a stolen token, or an insider, does.
#[rustfmt::skip]
pub static ATTACKS: &[Archetype] = &[
    Archetype { name: "a stolen token used from outside", weight: 0.16, among: ANYBODY, rows: &[
        (Network, 0.02, [1.0, 2.0, 4.0, 6.0]),
        (Peer, 0.3, [1.0, 1.0, 5.0, 2.0]),
        (Client, 0.5, [1.0, 1.0, 4.0, 4.0]),
        (Scope, 0.6, [2.0, 3.0, 2.0, 2.0]),
        (Operation, 0.8, [1.0, 1.0, 2.0, 3.0]),
        (Hour, 0.75, [2.0, 3.0, 3.0, 2.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
        (Concurrent, 0.5, [1.0, 2.0, 3.0, 3.0]),
        (Shape, 0.5, [1.0, 2.0, 3.0, 3.0]),
        (Sensitive, 0.8, [1.0, 1.0, 1.0, 3.0]),
    ] },
    Archetype { name: "a stolen token used from a network close by", weight: 0.1, among: ANYBODY, rows: &[
        (Network, 0.05, [6.0, 4.0, 1.0, 0.5]),
        (Peer, 0.4, [1.0, 1.0, 4.0, 4.0]),
        (Client, 0.7, [1.0, 1.0, 4.0, 4.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Hour, 0.75, [2.0, 3.0, 3.0, 2.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
        (Shape, 0.3, [1.0, 2.0, 4.0, 4.0]),
        (Sensitive, 0.8, [1.0, 1.0, 1.0, 3.0]),
    ] },
    Archetype { name: "a stolen token whose thief imitates its owner", weight: 0.08, among: ANYBODY, rows: &[
        (Network, 0.02, [1.0, 1.0, 4.0, 6.0]),
        (Peer, 0.3, [1.0, 1.0, 5.0, 2.0]),
        (Concurrent, 0.4, [1.0, 2.0, 3.0, 3.0]),
    ] },
    Archetype { name: "an insider who reads beyond the task", weight: 0.12, among: ANYBODY, rows: &[
        (Scope, 0.1, [1.0, 3.0, 4.0, 3.0]),
        (Sensitive, 0.3, [1.0, 1.0, 2.0, 4.0]),
        (Shape, 0.3, [1.0, 2.0, 4.0, 4.0]),
        (Client, 0.8, [1.0, 2.0, 6.0, 1.0]),
        (Hour, 0.75, [2.0, 3.0, 3.0, 2.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
    ] },
    Archetype { name: "somebody who looks around", weight: 0.1, among: ANYBODY, rows: &[
        (Operation, 0.1, [1.0, 1.0, 6.0, 3.0]),
        (Shape, 0.1, [1.0, 2.0, 4.0, 5.0]),
        (Scope, 0.3, [2.0, 3.0, 2.0, 2.0]),
        (Client, 0.8, [1.0, 2.0, 6.0, 1.0]),
        (Network, 0.7, [1.0, 1.0, 1.0, 1.0]),
        (Sensitive, 0.8, [1.0, 1.0, 1.0, 3.0]),
    ] },
    Archetype { name: "data taken away in bulk", weight: 0.1, among: ANYBODY, rows: &[
        (Volume, 0.05, [0.5, 1.5, 3.0, 7.0]),
        (Shape, 0.5, [1.0, 2.0, 3.0, 3.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Hour, 0.75, [2.0, 3.0, 3.0, 2.0]),
        (Sensitive, 0.8, [1.0, 1.0, 1.0, 3.0]),
    ] },
    Archetype { name: "a dump of whole tables", weight: 0.07, among: ANYBODY, rows: &[
        (Operation, 0.1, [0.5, 1.0, 2.0, 6.0]),
        (Shape, 0.2, [1.0, 2.0, 3.0, 4.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
        (Sensitive, 0.6, [1.0, 1.0, 2.0, 3.0]),
    ] },
    Archetype { name: "somebody who tries what is allowed", weight: 0.08, among: ANYBODY, rows: &[
        (Denied, 0.02, [1.0, 3.0, 5.0, 4.0]),
        (Scope, 0.5, [3.0, 3.0, 2.0, 1.0]),
        (Shape, 0.4, [1.0, 2.0, 3.0, 3.0]),
    ] },
    Archetype { name: "use while nobody should be there", weight: 0.05, among: ANYBODY, rows: &[
        (Hour, 0.02, [1.0, 3.0, 5.0, 4.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
        (Shape, 0.6, [1.0, 1.0, 1.0, 1.0]),
    ] },
    Archetype { name: "a forgotten token found by somebody", weight: 0.05, among: ANYBODY, rows: &[
        (Dormant, 0.02, [1.0, 2.0, 4.0, 4.0]),
        (Network, 0.3, [1.0, 2.0, 3.0, 2.0]),
        (Scope, 0.4, [3.0, 3.0, 2.0, 1.0]),
        (Client, 0.8, [1.0, 2.0, 6.0, 1.0]),
        (Shape, 0.5, [1.0, 2.0, 3.0, 3.0]),
    ] },
    Archetype { name: "a token in a stranger's tool", weight: 0.07, among: ANYBODY, rows: &[
        (Client, 0.02, [0.3, 0.7, 4.0, 5.0]),
        (Shape, 0.4, [1.0, 2.0, 3.0, 3.0]),
        (Operation, 0.7, [1.0, 1.0, 3.0, 3.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
    ] },
    Archetype { name: "SQL injected into a program", weight: 0.07, among: ANYBODY, rows: &[
        (Shape, 0.02, [0.3, 1.0, 3.0, 6.0]),
        (Errors, 0.4, [2.0, 2.0, 2.0, 2.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Operation, 0.7, [1.0, 1.0, 3.0, 1.0]),
    ] },
    Archetype { name: "a program made to say what it never says", weight: 0.06, among: ANYBODY, rows: &[
        (Shape, 0.02, [0.1, 0.6, 3.0, 5.0]),
    ] },
    Archetype { name: "a strange program with a known password", weight: 0.04, among: ANYBODY, rows: &[
        (Client, 0.02, [0.1, 0.4, 2.0, 7.0]),
    ] },
    Archetype { name: "data taken away by its own program", weight: 0.05, among: ANYBODY, rows: &[
        (Volume, 0.02, [0.1, 0.4, 2.0, 7.0]),
    ] },
    Archetype { name: "a look at what is kept from most", weight: 0.08, among: ANYBODY, rows: &[
        (Sensitive, 0.02, [0.3, 0.7, 3.0, 6.0]),
    ] },
    Archetype { name: "one stranger with many tokens", weight: 0.05, among: ANYBODY, rows: &[
        (Peer, 0.02, [0.01, 0.01, 0.5, 9.0]),
        (Network, 0.05, [1.0, 2.0, 4.0, 3.0]),
    ] },
];

/// What happens without any harm.
#[rustfmt::skip]
pub static CHANGES: &[Archetype] = &[
    Archetype { name: "a deploy", weight: 0.03, among: [1.0, 0.5, 0.1], rows: &[
        (Shape, 0.05, [5.0, 4.0, 1.0, 0.15]),
        (Scope, 0.4, [3.0, 2.0, 1.0, 0.5]),
        (Operation, 0.7, [3.0, 3.0, 0.2, 0.1]),
        (Client, 0.7, [5.0, 1.0, 1.0, 0.1]),
        (Denied, 0.85, [5.0, 0.5, 0.1, 0.02]),
        (Volume, 0.7, [3.0, 2.0, 1.0, 0.5]),
        (Network, 0.6, [5.0, 1.0, 0.1, 0.001]),
        (Errors, 0.95, [3.0, 1.0, 0.2, 0.001]),
    ] },
    Archetype { name: "a move to other hosts", weight: 0.012, among: [1.0, 1.0, 0.2], rows: &[
        (Network, 0.02, [1.0, 5.0, 2.0, 0.05]),
        (Peer, 0.2, [1.0, 2.0, 4.0, 0.001]),
        (Concurrent, 0.3, [1.0, 4.0, 2.0, 0.02]),
        (Client, 0.9, [3.0, 1.0, 1.0, 0.1]),
    ] },
    Archetype { name: "a job that runs seldom", weight: 0.012, among: [0.5, 2.0, 0.3], rows: &[
        (Hour, 0.4, [3.0, 2.0, 2.0, 1.0]),
        (Scope, 0.3, [3.0, 3.0, 2.0, 1.0]),
        (Shape, 0.1, [3.0, 4.0, 1.0, 0.3]),
        (Volume, 0.4, [3.0, 3.0, 2.0, 1.0]),
        (Operation, 0.6, [2.0, 1.0, 0.1, 4.0]),
        (Dormant, 0.8, [2.0, 1.0, 1.0, 1.0]),
    ] },
    Archetype { name: "a storm of load or errors", weight: 0.015, among: [1.0, 1.0, 0.3], rows: &[
        (Volume, 0.02, [2.0, 4.0, 3.0, 0.7]),
        (Shape, 0.5, [2.0, 2.0, 0.5, 0.1]),
        (Hour, 0.7, [3.0, 1.0, 0.5, 0.2]),
        (Errors, 0.8, [2.0, 2.0, 1.0, 0.5]),
    ] },
    Archetype { name: "a new tool", weight: 0.012, among: [0.1, 0.3, 2.0], rows: &[
        (Client, 0.02, [1.0, 1.0, 5.0, 2.0]),
        (Shape, 0.2, [1.0, 1.0, 2.0, 2.0]),
        (Operation, 0.6, [1.0, 0.5, 3.0, 0.3]),
        (Scope, 0.5, [3.0, 2.0, 1.0, 1.0]),
    ] },
    Archetype { name: "a person on the move", weight: 0.012, among: [0.1, 0.1, 2.0], rows: &[
        (Network, 0.02, [1.0, 2.0, 5.0, 0.1]),
        (Peer, 0.2, [1.0, 1.0, 5.0, 0.1]),
        (Concurrent, 0.8, [1.0, 1.0, 1.0, 0.05]),
        (Denied, 0.8, [4.0, 2.0, 0.5, 0.1]),
    ] },
    Archetype { name: "a return after a pause", weight: 0.018, among: [0.3, 1.0, 1.0], rows: &[
        (Dormant, 0.02, [4.0, 3.0, 2.0, 1.0]),
        (Network, 0.7, [1.0, 1.0, 2.0, 0.05]),
        (Shape, 0.5, [1.0, 1.0, 1.0, 1.0]),
        (Volume, 0.7, [4.0, 2.0, 0.5, 0.1]),
        (Scope, 0.7, [3.0, 2.0, 1.0, 0.5]),
    ] },
    Archetype { name: "a busy day", weight: 0.03, among: [0.3, 1.0, 2.0], rows: &[
        (Volume, 0.3, [5.0, 3.0, 1.0, 0.2]),
        (Shape, 0.4, [2.0, 2.0, 1.5, 0.7]),
        (Errors, 0.3, [3.0, 3.0, 2.0, 2.0]),
        (Denied, 0.4, [3.0, 2.0, 2.0, 1.5]),
        (Scope, 0.5, [3.0, 2.0, 1.0, 0.5]),
        (Hour, 0.8, [3.0, 1.0, 0.5, 0.1]),
    ] },
    Archetype { name: "overtime", weight: 0.018, among: [0.1, 0.3, 2.0], rows: &[
        (Hour, 0.02, [5.0, 3.0, 1.5, 0.5]),
        (Volume, 0.7, [3.0, 1.0, 0.3, 0.1]),
        (Shape, 0.5, [1.0, 1.0, 1.0, 1.0]),
    ] },
    Archetype { name: "a new project", weight: 0.018, among: [0.5, 0.5, 1.5], rows: &[
        (Scope, 0.05, [3.0, 3.0, 2.0, 0.7]),
        (Shape, 0.2, [1.0, 2.0, 3.0, 2.0]),
        (Sensitive, 0.9, [1.0, 1.0, 3.0, 0.5]),
        (Denied, 0.7, [4.0, 2.0, 0.5, 0.1]),
        (Operation, 0.9, [3.0, 0.5, 0.3, 0.3]),
    ] },
];
