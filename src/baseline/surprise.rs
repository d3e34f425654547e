//! How surprising a new value is for *this* token.
//!
//! Gamma-Poisson frailty over a pooled hazard: a token that shows something new every day (a CI runner) is not suspicious on the
//! day it does so again; one that has not changed for months is. `pi` is the pooled probability that a token shows a new value of
//! a feature on a day; each token has a multiplier with prior Gamma(A0, A0); I of its E expected innovations were observed:
//!
//! `P(new value today) = 1 - (1 + pi / (A0 + E))^-(A0 + I)`
//!
//! A few tokens are of another kind: restless, with something new on most days. How probable it is that this is one, its own days tell.

use half::f16;
use serde::{Deserialize, Serialize};

use super::unit::{FEATURES, Odds};

/// Shape and rate of the prior: tokens differ by an order of magnitude.
pub const A0: f64 = 0.5;

/// Half-life of what was observed, in active days.
const HALF_LIFE: f64 = 45.0;

/// Probability that a token with `observed` of `expected` innovations shows one today, 0..=1.
pub fn probability(pi: f64, a0: f64, observed: f64, expected: f64) -> f64 {
    1.0 - libm::pow(1.0 + pi / (a0 + expected), -(a0 + observed))
}

/// Share of tokens that are restless: a CI runner comes from another address every time, whatever others do. The gamma prior alone would need
/// dozens of days to believe that.
const RESTLESS: f64 = 0.03;

/// Fewer innovations than this say nothing of restlessness.
const LEAST_OBSERVED: f64 = 0.5;

/// The probability of an innovation today where `ordinary` is that of the gamma prior, and the token showed `observed` of `expected` innovations on
/// `chances` days. How often a restless token shows something new is anybody's guess beforehand: uniform.
fn perhaps_restless(ordinary: f64, observed: f64, expected: f64, chances: f64) -> f64 {
    if observed < LEAST_OBSERVED || chances <= 0.0 {
        return ordinary;
    }
    let idle = (chances - observed).max(0.0);
    let restless = (observed + 1.0) / (observed + idle + 2.0);
    // Both likelihoods of the same days, in any order.
    let ln_restless = libm::lgamma(observed + 1.0) + libm::lgamma(idle + 1.0) - libm::lgamma(observed + idle + 2.0);
    let ln_mixed = libm::lgamma(A0 + observed) - libm::lgamma(A0) + A0 * libm::log(A0) - (A0 + observed) * libm::log(A0 + expected);
    let ln_ordinary = ln_mixed + observed * libm::log((expected / chances).max(1e-9));
    let ratio = RESTLESS / (1.0 - RESTLESS) * libm::exp((ln_restless - ln_ordinary).min(50.0));
    let share = ratio / (1.0 + ratio);
    ordinary + share * (restless - ordinary).max(0.0)
}

/// Least probability of a level: nothing is so strange that it never happens.
const FLOOR: f64 = 2e-6;

/// How often a token showed each level of each feature, observed and expected. Half precision (11 bits) is ten times finer than a day's decay.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    observed: [[f16; 4]; FEATURES],
    expected: [[f16; 4]; FEATURES],
}

impl History {
    /// Closes an active day with these levels: what is old weighs less, and one more day could have shown something new.
    pub fn close(&mut self, levels: &[u8; FEATURES], hazard: impl Fn(usize) -> [f64; 4]) {
        let keep = libm::pow(0.5, 1.0 / HALF_LIFE);
        for (feature, ((observed, expected), level)) in self.observed.iter_mut().zip(&mut self.expected).zip(levels).enumerate() {
            for (at, ((observed, expected), pi)) in observed.iter_mut().zip(expected).zip(hazard(feature)).enumerate() {
                *observed = f16::from_f64(f64::from(*observed) * keep + f64::from(u8::from(usize::from(*level) > at)));
                *expected = f16::from_f64(f64::from(*expected) * keep + pi);
            }
        }
    }

    /// The probabilities of the levels 0 to 4 at any moment of today, of a token on its `active_days`th day. Those of levels above 0 may add up to more
    /// than one.
    pub fn odds(&self, active_days: u16, hazard: impl Fn(usize) -> [f64; 4]) -> Odds {
        // Neither the first day, on which nothing is strange, nor today; older days weigh less, as in what was observed.
        let keep = libm::pow(0.5, 1.0 / HALF_LIFE);
        let chances = (1.0 - libm::pow(keep, f64::from(active_days.saturating_sub(2)))) / (1.0 - keep);
        let mut odds = [[0.0; 5]; FEATURES];
        for (feature, ((observed, expected), place)) in self.observed.iter().zip(&self.expected).zip(&mut odds).enumerate() {
            let mut at_least = [1.0; 6];
            for (at, ((observed, expected), pi)) in observed.iter().zip(expected).zip(hazard(feature)).enumerate() {
                let below = at_least.get(at).copied().unwrap_or(1.0);
                if let Some(next) = at_least.get_mut(at + 1) {
                    let (observed, expected) = (f64::from(*observed), f64::from(*expected));
                    let ordinary = probability(pi, A0, observed, expected);
                    *next = perhaps_restless(ordinary, observed, expected, chances).min(below);
                }
            }
            at_least[5] = 0.0;
            // A day that ends at a high level passes the lower ones: these are no rarer than it.
            let mut higher = FLOOR;
            for (level, q) in place.iter_mut().enumerate().rev() {
                let (this, next) = (at_least.get(level).copied().unwrap_or(0.0), at_least.get(level + 1).copied().unwrap_or(0.0));
                *q = (this - next).max(if level == 0 { FLOOR } else { higher });
                higher = *q;
            }
        }
        odds
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
    fn who_comes_from_elsewhere_every_time_is_believed_soon() {
        let hazard = |_| [0.02, 0.01, 0.005, 0.002];
        let odds = |days: &[u8]| {
            let mut history = History::default();
            days.iter().for_each(|level| history.close(&[*level; FEATURES], hazard));
            let odds = history.odds(days.len() as u16 + 1, hazard)[0];
            odds[3] + odds[4]
        };
        // The first day shows nothing, whatever comes then.
        assert!(odds(&[0, 3, 3]) > 0.5, "a build machine on its fourth day");
        assert!(odds(&[0, 0, 0, 3, 0, 0, 0, 0, 0, 0]) < 0.05, "once is not always");
        assert!(odds(&[0; 10]) < 0.01);
    }

    #[test]
    fn on_the_way_to_its_usual_level_a_token_is_not_strange() {
        let hazard = |_| [0.05, 0.02, 0.01, 0.005];
        let mut history = History::default();
        (0..10).for_each(|_| history.close(&[4; FEATURES], hazard));
        let odds = history.odds(11, hazard)[0];
        assert!(odds[4] > 0.5 && odds[1..4].iter().all(|q| *q >= odds[4]), "{odds:?}");
    }

    #[test]
    fn a_noisy_token_surprises_less() {
        let hazard = |_| [0.01, 0.005, 0.002, 0.001];
        let (mut noisy, mut still) = (History::default(), History::default());
        for _ in 0..14 {
            noisy.close(&[2; FEATURES], hazard);
            still.close(&[0; FEATURES], hazard);
        }
        assert!(noisy.odds(15, hazard)[0][2] > 0.1);
        assert!(still.odds(15, hazard)[0][2] < 0.01);
        let sum: f64 = still.odds(15, hazard)[0].iter().sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    }
}
