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
    Archetype { name: "a stolen token used from outside", weight: 0.0882, among: ANYBODY, rows: &[
        (Network, 0.02, [0.65, 0.84, 2.01, 6.51]),
        (Peer, 0.481, [0.77, 0.59, 6.6, 2.04]),
        (Client, 0.622, [1.1, 1.1, 3.2, 4.61]),
        (Scope, 0.725, [2.33, 2.62, 2.61, 2.44]),
        (Operation, 0.888, [1.64, 1.63, 2.97, 3.77]),
        (Hour, 0.827, [3.05, 3.53, 2.0, 1.41]),
        (Volume, 0.815, [2.33, 3.21, 2.58, 1.89]),
        (Concurrent, 0.427, [1.76, 2.1, 2.78, 3.35]),
        (Shape, 0.844, [0.96, 1.17, 2.15, 5.72]),
        (Sensitive, 0.834, [1.75, 1.75, 1.79, 4.71]),
    ] },
    Archetype { name: "a stolen token used from a network close by", weight: 0.0071, among: ANYBODY, rows: &[
        (Network, 0.06, [2.69, 5.8, 1.01, 0.5]),
        (Peer, 0.638, [0.82, 0.68, 2.71, 5.8]),
        (Client, 0.731, [1.09, 1.09, 2.95, 4.87]),
        (Scope, 0.793, [3.52, 2.75, 2.43, 1.29]),
        (Hour, 0.779, [2.26, 3.25, 2.85, 1.64]),
        (Volume, 0.736, [2.56, 2.75, 2.53, 2.17]),
        (Shape, 0.377, [0.63, 1.15, 3.32, 4.91]),
        (Sensitive, 0.735, [1.63, 1.63, 1.6, 5.15]),
    ] },
    Archetype { name: "a stolen token whose thief imitates its owner", weight: 0.0181, among: ANYBODY, rows: &[
        (Network, 0.025, [2.14, 0.81, 3.17, 3.89]),
        (Peer, 0.229, [0.9, 1.38, 5.58, 2.14]),
        (Concurrent, 0.252, [2.11, 2.15, 3.28, 2.46]),
    ] },
    Archetype { name: "an insider who reads beyond the task", weight: 0.5165, among: ANYBODY, rows: &[
        (Scope, 0.083, [1.82, 2.24, 2.66, 3.27]),
        (Sensitive, 0.724, [1.26, 1.26, 2.25, 5.22]),
        (Shape, 0.478, [0.22, 0.63, 1.77, 7.38]),
        (Client, 0.837, [1.12, 2.14, 5.0, 1.73]),
        (Hour, 0.715, [2.77, 2.25, 2.92, 2.06]),
        (Volume, 0.775, [3.96, 2.85, 2.16, 1.04]),
    ] },
    Archetype { name: "somebody who looks around", weight: 0.0198, among: ANYBODY, rows: &[
        (Operation, 0.103, [0.81, 0.76, 6.21, 2.22]),
        (Shape, 0.125, [0.75, 1.41, 2.2, 5.65]),
        (Scope, 0.312, [1.22, 1.55, 2.72, 4.51]),
        (Client, 0.755, [0.87, 1.76, 6.62, 0.75]),
        (Network, 0.763, [2.88, 1.8, 3.0, 2.32]),
        (Sensitive, 0.769, [1.61, 1.61, 1.66, 5.11]),
    ] },
    Archetype { name: "data taken away in bulk", weight: 0.0154, among: ANYBODY, rows: &[
        (Volume, 0.061, [0.69, 1.87, 4.61, 2.82]),
        (Shape, 0.487, [1.02, 1.92, 3.3, 3.76]),
        (Scope, 0.675, [3.08, 3.48, 2.32, 1.13]),
        (Hour, 0.789, [2.22, 3.02, 2.88, 1.89]),
        (Sensitive, 0.776, [1.64, 1.64, 1.57, 5.15]),
    ] },
    Archetype { name: "a dump of whole tables", weight: 0.0169, among: ANYBODY, rows: &[
        (Operation, 0.121, [0.59, 1.14, 3.31, 4.95]),
        (Shape, 0.286, [1.15, 3.28, 2.19, 3.38]),
        (Scope, 0.73, [3.13, 3.07, 2.4, 1.4]),
        (Volume, 0.724, [2.6, 2.53, 2.47, 2.4]),
        (Sensitive, 0.496, [1.3, 1.3, 2.94, 4.47]),
    ] },
    Archetype { name: "somebody who tries what is allowed", weight: 0.0177, among: ANYBODY, rows: &[
        (Denied, 0.019, [0.57, 2.3, 4.0, 3.13]),
        (Scope, 0.462, [3.34, 3.37, 2.2, 1.09]),
        (Shape, 0.362, [1.06, 2.16, 3.37, 3.41]),
    ] },
    Archetype { name: "use while nobody should be there", weight: 0.0136, among: ANYBODY, rows: &[
        (Hour, 0.02, [1.02, 1.93, 4.52, 2.53]),
        (Volume, 0.792, [2.85, 2.8, 2.83, 1.51]),
        (Shape, 0.514, [1.3, 2.41, 2.5, 3.79]),
    ] },
    Archetype { name: "a forgotten token found by somebody", weight: 0.0072, among: ANYBODY, rows: &[
        (Dormant, 0.021, [1.14, 1.83, 3.47, 3.56]),
        (Network, 0.311, [2.13, 2.51, 3.55, 1.8]),
        (Scope, 0.38, [2.46, 3.68, 2.68, 1.18]),
        (Client, 0.796, [1.01, 2.05, 5.95, 0.98]),
        (Shape, 0.618, [0.77, 1.52, 2.78, 4.93]),
    ] },
    Archetype { name: "a token in a stranger's tool", weight: 0.0219, among: ANYBODY, rows: &[
        (Client, 0.019, [0.29, 0.67, 3.4, 5.64]),
        (Shape, 0.387, [0.64, 1.37, 2.42, 5.57]),
        (Operation, 0.706, [1.17, 1.24, 3.74, 3.85]),
        (Scope, 0.719, [2.93, 3.03, 2.83, 1.21]),
    ] },
    Archetype { name: "SQL injected into a program", weight: 0.0134, among: ANYBODY, rows: &[
        (Shape, 0.02, [0.3, 0.93, 2.51, 6.25]),
        (Errors, 0.441, [1.67, 3.37, 2.29, 2.67]),
        (Scope, 0.721, [3.35, 3.26, 2.21, 1.17]),
        (Operation, 0.725, [1.61, 1.67, 5.26, 1.45]),
    ] },
    Archetype { name: "a program made to say what it never says", weight: 0.0268, among: ANYBODY, rows: &[
        (Shape, 0.016, [0.11, 0.72, 1.47, 7.71]),
    ] },
    Archetype { name: "a strange program with a known password", weight: 0.006, among: ANYBODY, rows: &[
        (Client, 0.019, [0.1, 0.42, 1.88, 7.6]),
    ] },
    Archetype { name: "data taken away by its own program", weight: 0.0072, among: ANYBODY, rows: &[
        (Volume, 0.023, [0.14, 0.51, 6.02, 3.34]),
    ] },
    Archetype { name: "a look at what is kept from most", weight: 0.0126, among: ANYBODY, rows: &[
        (Sensitive, 0.02, [0.32, 0.77, 3.92, 4.99]),
    ] },
    Archetype { name: "one stranger with many tokens", weight: 0.0118, among: ANYBODY, rows: &[
        (Peer, 0.018, [0.009, 0.009, 0.36, 9.62]),
        (Network, 0.051, [0.98, 1.9, 4.01, 3.11]),
    ] },
    Archetype { name: "one token in two places at once", weight: 0.1801, among: ANYBODY, rows: &[
        (Concurrent, 0.053, [0.7, 0.86, 1.19, 7.24]),
        (Peer, 0.558, [0.91, 0.94, 6.93, 1.22]),
    ] },
];

/// What happens without any harm.
#[rustfmt::skip]
pub static CHANGES: &[Archetype] = &[
    Archetype { name: "a deploy", weight: 0.0866, among: [1.0, 0.5, 0.1], rows: &[
        (Shape, 0.045, [5.31, 3.73, 0.83, 0.13]),
        (Scope, 0.419, [3.62, 3.56, 2.16, 0.66]),
        (Operation, 0.733, [4.23, 5.35, 0.27, 0.16]),
        (Client, 0.756, [6.77, 1.55, 1.49, 0.19]),
        (Denied, 0.878, [8.78, 0.98, 0.2, 0.04]),
        (Volume, 0.708, [4.35, 2.68, 1.71, 1.26]),
        (Network, 0.592, [7.34, 2.46, 0.19, 0.002]),
        (Errors, 0.951, [7.15, 2.37, 0.48, 0.002]),
    ] },
    Archetype { name: "a move to other hosts", weight: 0.041, among: [1.6, 1.0, 0.2], rows: &[
        (Network, 0.017, [1.51, 6.41, 2.03, 0.05]),
        (Peer, 0.215, [2.47, 3.31, 4.21, 0.002]),
        (Concurrent, 0.348, [1.85, 4.45, 3.67, 0.03]),
        (Client, 0.885, [5.41, 1.9, 2.5, 0.2]),
    ] },
    Archetype { name: "a job that runs seldom", weight: 0.0131, among: [0.5, 2.0, 0.3], rows: &[
        (Hour, 0.412, [3.37, 2.53, 2.53, 1.57]),
        (Scope, 0.315, [3.71, 3.15, 2.24, 0.91]),
        (Shape, 0.097, [3.88, 4.54, 1.22, 0.36]),
        (Volume, 0.401, [3.16, 3.27, 2.05, 1.52]),
        (Operation, 0.665, [3.1, 1.54, 0.15, 5.21]),
        (Dormant, 0.806, [4.05, 2.03, 1.91, 2.01]),
    ] },
    Archetype { name: "a storm of load or errors", weight: 0.0201, among: [1.0, 1.0, 0.3], rows: &[
        (Volume, 0.021, [1.71, 4.34, 2.73, 1.22]),
        (Shape, 0.488, [4.52, 4.24, 1.04, 0.2]),
        (Hour, 0.68, [5.94, 2.34, 1.22, 0.51]),
        (Errors, 0.811, [3.63, 3.62, 1.83, 0.92]),
    ] },
    Archetype { name: "a new tool", weight: 0.0178, among: [0.1, 0.3, 2.5], rows: &[
        (Client, 0.019, [1.0, 1.0, 6.06, 1.93]),
        (Shape, 0.161, [2.85, 2.39, 3.4, 1.36]),
        (Operation, 0.63, [2.27, 1.06, 6.06, 0.6]),
        (Scope, 0.371, [5.18, 3.39, 0.68, 0.75]),
    ] },
    Archetype { name: "a person on the move", weight: 0.0897, among: [0.1, 0.1, 2.0], rows: &[
        (Network, 0.024, [1.88, 3.05, 4.57, 0.5]),
        (Peer, 0.191, [2.08, 1.98, 5.79, 0.15]),
        (Concurrent, 0.861, [2.33, 3.58, 3.67, 0.42]),
        (Denied, 0.854, [5.9, 3.1, 0.83, 0.17]),
    ] },
    Archetype { name: "a return after a pause", weight: 0.0173, among: [0.3, 1.0, 1.0], rows: &[
        (Dormant, 0.022, [3.7, 2.71, 2.28, 1.31]),
        (Network, 0.64, [1.91, 2.61, 5.35, 0.13]),
        (Shape, 0.417, [2.85, 2.92, 2.62, 1.62]),
        (Volume, 0.753, [6.08, 2.95, 0.8, 0.17]),
        (Scope, 0.691, [4.88, 2.99, 1.45, 0.68]),
    ] },
    Archetype { name: "a busy day", weight: 0.1425, among: [0.3, 1.0, 2.0], rows: &[
        (Volume, 0.511, [5.67, 2.68, 1.24, 0.41]),
        (Shape, 0.233, [2.48, 3.68, 2.13, 1.71]),
        (Errors, 0.269, [4.71, 2.04, 1.72, 1.53]),
        (Denied, 0.569, [3.6, 2.31, 2.31, 1.79]),
        (Scope, 0.585, [5.21, 2.82, 1.34, 0.63]),
        (Hour, 0.858, [5.91, 2.48, 1.33, 0.27]),
    ] },
    Archetype { name: "overtime", weight: 0.0169, among: [0.1, 0.3, 2.5], rows: &[
        (Hour, 0.022, [3.15, 3.82, 2.56, 0.48]),
        (Volume, 0.75, [6.63, 2.18, 0.72, 0.47]),
        (Shape, 0.463, [3.4, 2.33, 2.48, 1.79]),
    ] },
    Archetype { name: "a new project", weight: 0.1033, among: [0.5, 0.5, 1.5], rows: &[
        (Scope, 0.074, [3.8, 4.7, 1.21, 0.29]),
        (Shape, 0.089, [3.35, 1.85, 3.58, 1.22]),
        (Sensitive, 0.892, [1.86, 1.86, 4.87, 1.41]),
        (Denied, 0.82, [5.51, 3.39, 0.92, 0.19]),
        (Operation, 0.828, [7.34, 1.12, 0.85, 0.69]),
    ] },
];
