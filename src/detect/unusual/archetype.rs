//! What attacks, and what harmless changes, look like in levels of surprise.
//!
//! A row is one detector: the probability of level 0, and the relative weights of levels 1 to 4. Detectors that an archetype does not name are as
//! on any day. The numbers are judgements, tuned on made-up populations (`benches/detection`); what they are worth is measured there.

use crate::baseline::fleet::Schedule;
use crate::baseline::unit::Feature::{self, *};

/// One kind of attack or change.
#[derive(Debug)]
pub struct Archetype {
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
    Archetype { name: "stolen external", weight: 0.16, among: ANYBODY, rows: &[
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
    Archetype { name: "stolen near", weight: 0.1, among: ANYBODY, rows: &[
        (Network, 0.05, [6.0, 4.0, 1.0, 0.5]),
        (Peer, 0.4, [1.0, 1.0, 4.0, 4.0]),
        (Client, 0.7, [1.0, 1.0, 4.0, 4.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Hour, 0.75, [2.0, 3.0, 3.0, 2.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
        (Shape, 0.3, [1.0, 2.0, 4.0, 4.0]),
        (Sensitive, 0.8, [1.0, 1.0, 1.0, 3.0]),
    ] },
    Archetype { name: "stolen, mimicking", weight: 0.08, among: ANYBODY, rows: &[
        (Network, 0.02, [1.0, 1.0, 4.0, 6.0]),
        (Peer, 0.3, [1.0, 1.0, 5.0, 2.0]),
        (Concurrent, 0.4, [1.0, 2.0, 3.0, 3.0]),
    ] },
    Archetype { name: "insider", weight: 0.12, among: ANYBODY, rows: &[
        (Scope, 0.1, [1.0, 3.0, 4.0, 3.0]),
        (Sensitive, 0.3, [1.0, 1.0, 2.0, 4.0]),
        (Shape, 0.3, [1.0, 2.0, 4.0, 4.0]),
        (Client, 0.8, [1.0, 2.0, 6.0, 1.0]),
        (Hour, 0.75, [2.0, 3.0, 3.0, 2.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
    ] },
    Archetype { name: "reconnaissance", weight: 0.1, among: ANYBODY, rows: &[
        (Operation, 0.1, [1.0, 1.0, 6.0, 3.0]),
        (Shape, 0.1, [1.0, 2.0, 4.0, 5.0]),
        (Scope, 0.3, [2.0, 3.0, 2.0, 2.0]),
        (Client, 0.8, [1.0, 2.0, 6.0, 1.0]),
        (Network, 0.7, [1.0, 1.0, 1.0, 1.0]),
        (Sensitive, 0.8, [1.0, 1.0, 1.0, 3.0]),
    ] },
    Archetype { name: "exfiltration", weight: 0.1, among: ANYBODY, rows: &[
        (Volume, 0.05, [1.0, 3.0, 4.0, 4.0]),
        (Shape, 0.5, [1.0, 2.0, 3.0, 3.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Hour, 0.75, [2.0, 3.0, 3.0, 2.0]),
        (Sensitive, 0.8, [1.0, 1.0, 1.0, 3.0]),
    ] },
    Archetype { name: "dump", weight: 0.07, among: ANYBODY, rows: &[
        (Operation, 0.1, [0.5, 1.0, 2.0, 6.0]),
        (Shape, 0.2, [1.0, 2.0, 3.0, 4.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
        (Sensitive, 0.6, [1.0, 1.0, 2.0, 3.0]),
    ] },
    Archetype { name: "probe", weight: 0.08, among: ANYBODY, rows: &[
        (Denied, 0.02, [1.0, 3.0, 5.0, 4.0]),
        (Scope, 0.5, [3.0, 3.0, 2.0, 1.0]),
        (Shape, 0.4, [1.0, 2.0, 3.0, 3.0]),
    ] },
    Archetype { name: "off hours", weight: 0.05, among: ANYBODY, rows: &[
        (Hour, 0.02, [1.0, 3.0, 5.0, 4.0]),
        (Volume, 0.75, [2.0, 2.0, 2.0, 2.0]),
        (Shape, 0.6, [1.0, 1.0, 1.0, 1.0]),
    ] },
    Archetype { name: "revived", weight: 0.05, among: ANYBODY, rows: &[
        (Dormant, 0.02, [1.0, 2.0, 4.0, 4.0]),
        (Network, 0.3, [1.0, 2.0, 3.0, 2.0]),
        (Scope, 0.4, [3.0, 3.0, 2.0, 1.0]),
        (Client, 0.8, [1.0, 2.0, 6.0, 1.0]),
        (Shape, 0.5, [1.0, 2.0, 3.0, 3.0]),
    ] },
    Archetype { name: "client", weight: 0.07, among: ANYBODY, rows: &[
        (Client, 0.02, [0.3, 0.7, 4.0, 5.0]),
        (Shape, 0.4, [1.0, 2.0, 3.0, 3.0]),
        (Operation, 0.7, [1.0, 1.0, 3.0, 3.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
    ] },
    Archetype { name: "injection", weight: 0.07, among: ANYBODY, rows: &[
        (Shape, 0.02, [0.3, 1.0, 3.0, 6.0]),
        (Errors, 0.4, [2.0, 2.0, 2.0, 2.0]),
        (Scope, 0.7, [3.0, 3.0, 2.0, 1.0]),
        (Operation, 0.7, [1.0, 1.0, 3.0, 1.0]),
    ] },
    Archetype { name: "foreign statement", weight: 0.06, among: ANYBODY, rows: &[
        (Shape, 0.02, [0.1, 0.6, 3.0, 5.0]),
    ] },
    Archetype { name: "sensitive", weight: 0.08, among: ANYBODY, rows: &[
        (Sensitive, 0.02, [0.3, 0.7, 3.0, 6.0]),
    ] },
    Archetype { name: "spray", weight: 0.05, among: ANYBODY, rows: &[
        (Peer, 0.02, [0.01, 0.01, 0.5, 9.0]),
        (Network, 0.05, [1.0, 2.0, 4.0, 3.0]),
    ] },
];

/// What happens without any harm.
#[rustfmt::skip]
pub static CHANGES: &[Archetype] = &[
    Archetype { name: "deploy", weight: 0.03, among: [1.0, 0.5, 0.1], rows: &[
        (Shape, 0.05, [5.0, 4.0, 1.0, 0.15]),
        (Scope, 0.4, [3.0, 2.0, 1.0, 0.5]),
        (Operation, 0.7, [3.0, 3.0, 0.2, 0.1]),
        (Client, 0.7, [5.0, 1.0, 1.0, 0.1]),
        (Denied, 0.85, [5.0, 0.5, 0.1, 0.02]),
        (Volume, 0.7, [3.0, 2.0, 1.0, 0.5]),
        (Network, 0.6, [5.0, 1.0, 0.1, 0.001]),
        (Errors, 0.95, [3.0, 1.0, 0.2, 0.001]),
    ] },
    Archetype { name: "move", weight: 0.012, among: [1.0, 1.0, 0.2], rows: &[
        (Network, 0.02, [1.0, 5.0, 2.0, 0.05]),
        (Peer, 0.2, [1.0, 2.0, 4.0, 0.001]),
        (Concurrent, 0.3, [1.0, 4.0, 2.0, 0.02]),
        (Client, 0.9, [3.0, 1.0, 1.0, 0.1]),
    ] },
    Archetype { name: "scheduled job", weight: 0.012, among: [0.5, 2.0, 0.3], rows: &[
        (Hour, 0.4, [3.0, 2.0, 2.0, 1.0]),
        (Scope, 0.3, [3.0, 3.0, 2.0, 1.0]),
        (Shape, 0.1, [3.0, 4.0, 1.0, 0.3]),
        (Volume, 0.4, [3.0, 3.0, 2.0, 1.0]),
        (Operation, 0.6, [2.0, 1.0, 0.1, 4.0]),
        (Dormant, 0.8, [2.0, 1.0, 1.0, 1.0]),
    ] },
    Archetype { name: "load or error storm", weight: 0.015, among: [1.0, 1.0, 0.3], rows: &[
        (Volume, 0.02, [2.0, 4.0, 3.0, 2.0]),
        (Shape, 0.5, [2.0, 2.0, 0.5, 0.1]),
        (Hour, 0.7, [3.0, 1.0, 0.5, 0.2]),
        (Errors, 0.8, [2.0, 2.0, 1.0, 0.5]),
    ] },
    Archetype { name: "new tool", weight: 0.012, among: [0.1, 0.3, 2.0], rows: &[
        (Client, 0.02, [1.0, 1.0, 5.0, 2.0]),
        (Shape, 0.2, [1.0, 1.0, 2.0, 2.0]),
        (Operation, 0.6, [1.0, 0.5, 3.0, 0.3]),
        (Scope, 0.5, [3.0, 2.0, 1.0, 1.0]),
    ] },
    Archetype { name: "roaming", weight: 0.012, among: [0.1, 0.1, 2.0], rows: &[
        (Network, 0.02, [1.0, 2.0, 5.0, 0.1]),
        (Peer, 0.2, [1.0, 1.0, 5.0, 0.1]),
        (Concurrent, 0.8, [1.0, 1.0, 1.0, 0.05]),
        (Denied, 0.8, [4.0, 2.0, 0.5, 0.1]),
    ] },
    Archetype { name: "return", weight: 0.018, among: [0.3, 1.0, 1.0], rows: &[
        (Dormant, 0.02, [4.0, 3.0, 2.0, 1.0]),
        (Network, 0.7, [1.0, 1.0, 2.0, 0.05]),
        (Shape, 0.5, [1.0, 1.0, 1.0, 1.0]),
        (Volume, 0.7, [4.0, 2.0, 0.5, 0.1]),
        (Scope, 0.7, [3.0, 2.0, 1.0, 0.5]),
    ] },
    Archetype { name: "busy day", weight: 0.03, among: [0.3, 1.0, 2.0], rows: &[
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
    Archetype { name: "new project", weight: 0.018, among: [0.5, 0.5, 1.5], rows: &[
        (Scope, 0.05, [3.0, 3.0, 2.0, 0.7]),
        (Shape, 0.2, [1.0, 2.0, 3.0, 2.0]),
        (Sensitive, 0.9, [1.0, 1.0, 3.0, 0.5]),
        (Denied, 0.7, [4.0, 2.0, 0.5, 0.1]),
        (Operation, 0.9, [3.0, 0.5, 0.3, 0.3]),
    ] },
];
