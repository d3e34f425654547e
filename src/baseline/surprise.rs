//! How surprising a new value is for *this* token.
//!
//! Gamma-Poisson frailty over a pooled hazard: a token that shows something new every day (a CI runner) is not suspicious on the
//! day it does so again; one that has not changed for months is. `pi` is the pooled probability that a token shows a new value of
//! a feature on a day; each token has a multiplier with prior Gamma(A0, A0); I of its E expected innovations were observed:
//!
//! `P(new value today) = 1 - (1 + pi / (A0 + E))^-(A0 + I)`

use serde::{Deserialize, Serialize};

/// Shape and rate of the prior: tokens differ by an order of magnitude.
pub const A0: f64 = 0.5;

/// Half-life of what was observed, in active days.
const HALF_LIFE: f64 = 45.0;

/// Probability that a token with `observed` of `expected` innovations shows one today, 0..=1.
pub fn probability(pi: f64, a0: f64, observed: f64, expected: f64) -> f64 {
    1.0 - libm::pow(1.0 + pi / (a0 + expected), -(a0 + observed))
}

/// Days on which a token showed something new of one feature, observed and expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Innovations {
    observed: f32,
    expected: f32,
    /// Today already counted as an innovation.
    today: bool,
}

impl Innovations {
    /// Closes an active day: what is old weighs less, and one more day could have shown something new.
    pub fn next_day(&mut self, pi: f64) {
        let keep = libm::pow(0.5, 1.0 / HALF_LIFE);
        self.observed = (f64::from(self.observed) * keep) as f32;
        self.expected = (f64::from(self.expected) * keep + pi) as f32;
        self.today = false;
    }

    /// A new value was seen; counts once a day.
    pub fn note(&mut self) {
        if !self.today {
            self.observed += 1.0;
            self.today = true;
        }
    }

    /// Probability that today shows a new value, as known before today.
    pub fn probability(&self, pi: f64) -> f64 {
        let observed = f64::from(self.observed) - if self.today { 1.0 } else { 0.0 };
        probability(pi, A0, observed.max(0.0), f64::from(self.expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values() {
        for (pi, a0, observed, expected, want) in [
            (0.02, 2.0, 0.0, 0.0, 0.019704),
            (0.02, 2.0, 0.0, 1.0, 0.013201),
            (0.02, 2.0, 6.0, 1.0, 0.051768),
            (0.5, 2.0, 10.0, 10.0, 0.387290),
        ] {
            let got = probability(pi, a0, observed, expected);
            assert!((got - want).abs() < 1e-6, "P({pi}, {a0}, {observed}, {expected}) = {got}, want {want}");
        }
    }

    #[test]
    fn a_noisy_token_surprises_less() {
        let (mut noisy, mut still) = (Innovations::default(), Innovations::default());
        for _ in 0..14 {
            noisy.next_day(0.01);
            still.next_day(0.01);
            noisy.note();
        }
        assert!(noisy.probability(0.01) > 0.1);
        assert!(still.probability(0.01) < 0.01);
    }
}
