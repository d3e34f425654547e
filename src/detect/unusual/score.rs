//! From levels to one number: a likelihood ratio of attacks against a null that contains harmless change.
//!
//! ```text
//! ln e = ln SUM_j w_j exp( SUM_{f in j} ln(A_jf(level_f) / q_f(level_f)) )  -  ln( .95 + SUM_b eps_b(schedule) exp( SUM_{f in b} ln(B_bf(level_f) / q_f(level_f)) ) )
//! ```
//!
//! `q_f` are this token's own probabilities of the levels of detector f, `A` those under an attack, `B` those under a harmless change. The ratio of
//! level 0 is at most 1: a token that comes from somewhere else every day must not look suspicious on the day on which it does not. So the mean of
//! each ratio under `q` is at most 1. If the mean of e under harmless use is at most 1, then e exceeds 1/a with probability at most a (Markov).

use super::archetype::{ATTACKS, Archetype, CHANGES};
use crate::baseline::fleet::Schedule;
use crate::baseline::unit::{FEATURES, Odds};

/// Share of the null that is a day without any change.
const ORDINARY: f64 = 0.95;

/// The natural logarithm of the likelihood ratio.
pub fn ln_e(levels: &[u8; FEATURES], odds: &Odds, schedule: Schedule) -> f64 {
    let total: f64 = ATTACKS.iter().map(|attack| attack.weight).sum();
    let attack: f64 = ATTACKS.iter().map(|attack| attack.weight / total * libm::exp(ln_attack(attack, levels, odds))).sum();
    let harmless: f64 = CHANGES.iter().map(|change| change.weight_among(schedule) * libm::exp(ln_change(change, levels, odds))).sum();
    libm::log(attack.max(1e-300)) - libm::log(ORDINARY + harmless)
}

/// The attack that the levels look like most, and its share among all attacks, 0 to 1.
pub fn likeliest_attack(levels: &[u8; FEATURES], odds: &Odds) -> (&'static str, f64) {
    likeliest(ATTACKS.iter().map(|attack| (attack.name, attack.weight * libm::exp(ln_attack(attack, levels, odds)))))
}

/// The harmless change that the levels look like most, and its share among all of them, 0 to 1.
pub fn likeliest_change(levels: &[u8; FEATURES], odds: &Odds, schedule: Schedule) -> (&'static str, f64) {
    likeliest(CHANGES.iter().map(|change| (change.name, change.weight_among(schedule) * libm::exp(ln_change(change, levels, odds)))))
}

fn likeliest(each: impl Iterator<Item = (&'static str, f64)>) -> (&'static str, f64) {
    let (best, all) = each.fold((("", 0.0), 0.0), |(best, all), (name, weight): (&'static str, f64)| {
        (if weight > best.1 { (name, weight) } else { best }, all + weight)
    });
    (best.0, if all > 0.0 { best.1 / all } else { 0.0 })
}

fn ln_attack(attack: &Archetype, levels: &[u8; FEATURES], odds: &Odds) -> f64 {
    let mut sum = 0.0;
    for (feature, level0, profile) in attack.rows {
        let at = *feature as usize;
        let (Some(level), Some(q)) = (levels.get(at), odds.get(at)) else { continue };
        sum += libm::log(ratio(&Archetype::levels(*level0, profile), q, usize::from(*level)).max(1e-9));
    }
    sum
}

fn ln_change(change: &Archetype, levels: &[u8; FEATURES], odds: &Odds) -> f64 {
    let mut sum = 0.0;
    for (feature, level0, profile) in change.rows {
        let at = *feature as usize;
        let (Some(level), Some(q)) = (levels.get(at).map(|l| usize::from(*l)), odds.get(at)) else { continue };
        let b = Archetype::levels(*level0, profile);
        let (Some(b), Some(q)) = (b.get(level), q.get(level)) else { continue };
        sum += libm::log((b / q.max(1e-9)).max(1e-9));
    }
    sum
}

/// How many times likelier the level is under an attack. A token that shows something new every day is not suspicious on the day on which it does not.
fn ratio(a: &[f64; 5], q: &[f64; 5], level: usize) -> f64 {
    let (Some(a), Some(q)) = (a.get(level), q.get(level)) else { return 1.0 };
    let ratio = a / q.max(1e-9);
    if level == 0 { ratio.min(1.0) } else { ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: [f64; 5] = [0.9, 0.06, 0.02, 0.015, 0.005];

    #[test]
    fn ratios_have_a_mean_of_at_most_one() {
        for a in [[0.1, 0.2, 0.3, 0.3, 0.1], [0.02, 0.4, 0.1, 0.1, 0.38], [0.95, 0.02, 0.01, 0.01, 0.01]] {
            let mean: f64 = Q.iter().enumerate().map(|(level, q)| ratio(&a, &Q, level) * q).sum();
            assert!((0.9..=1.0 + 1e-9).contains(&mean), "{a:?} {mean}");
        }
    }

    #[test]
    fn nothing_unusual_is_no_evidence_and_a_stolen_token_is() {
        let odds = [Q; FEATURES];
        let quiet = ln_e(&[0; FEATURES], &odds, Schedule::AlwaysOn);
        assert!(quiet < 0.0, "{quiet}");
        let mut stolen = [0; FEATURES];
        for feature in [crate::baseline::unit::Feature::Network, crate::baseline::unit::Feature::Scope] {
            stolen[feature as usize] = 4;
        }
        stolen[crate::baseline::unit::Feature::Peer as usize] = 3;
        let alone = ln_e(&stolen, &odds, Schedule::AlwaysOn);
        stolen[crate::baseline::unit::Feature::Shape as usize] = 4;
        let more = ln_e(&stolen, &odds, Schedule::AlwaysOn);
        assert!(alone > 3.0 && more > alone, "{alone} {more}");
    }
}
