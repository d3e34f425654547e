//! From levels to one number: a likelihood ratio of attacks against a null that contains harmless change.
//!
//! ```text
//! ln e = ln SUM_j w_j exp( SUM_{f in j} ln PAV(A_jf / q_f)[level_f] )  -  ln( .95 + SUM_b eps_b(schedule) exp( SUM_{f in b} ln(B_bf(level_f) / q_f(level_f)) ) )
//! ```
//!
//! `q_f` are this token's own probabilities of the levels of detector f, `A` those under an attack, `B` those under a harmless change. PAV (pool
//! adjacent violators) makes the ratio of each detector non-decreasing in its level with mean 1 under `q`: a token that comes from somewhere else
//! every day must not look suspicious on the day on which it does not. If the mean of e under harmless use is at most 1, then e exceeds
//! 1/a with probability at most a (Markov).

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
        let ratio = monotone(&Archetype::levels(*level0, profile), q);
        sum += libm::log(ratio.get(usize::from(*level)).copied().unwrap_or(1.0).max(1e-9));
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

/// The ratios a/q of the levels, made non-decreasing by pooling, so that SUM q r = SUM a = 1.
pub fn monotone(a: &[f64; 5], q: &[f64; 5]) -> [f64; 5] {
    // Blocks of levels with the sums of both; a block that is not above the one before it joins it.
    let mut blocks: [(f64, f64, usize); 5] = [(0.0, 0.0, 0); 5];
    let mut count = 0_usize;
    for (a, q) in a.iter().zip(q) {
        let mut block = (*a, q.max(1e-12), 1);
        while let Some(last) = count.checked_sub(1).and_then(|at| blocks.get(at)).filter(|last| last.0 / last.1 > block.0 / block.1) {
            block = (last.0 + block.0, last.1 + block.1, last.2 + block.2);
            count -= 1;
        }
        if let Some(place) = blocks.get_mut(count) {
            *place = block;
            count += 1;
        }
    }
    let mut ratios = [0.0; 5];
    let pooled = blocks.iter().take(count).flat_map(|(a, q, levels)| std::iter::repeat_n(a / q, *levels));
    for (place, ratio) in ratios.iter_mut().zip(pooled) {
        *place = ratio;
    }
    ratios
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: [f64; 5] = [0.9, 0.06, 0.02, 0.015, 0.005];

    #[test]
    fn ratios_rise_and_have_mean_one() {
        for a in [[0.1, 0.2, 0.3, 0.3, 0.1], [0.02, 0.4, 0.1, 0.1, 0.38], [0.9, 0.06, 0.02, 0.015, 0.005]] {
            let ratios = monotone(&a, &Q);
            assert!(ratios.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "{ratios:?}");
            let mean: f64 = ratios.iter().zip(&Q).map(|(r, q)| r * q).sum();
            assert!((mean - 1.0).abs() < 1e-9, "{ratios:?} {mean}");
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
