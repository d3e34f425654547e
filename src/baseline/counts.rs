//! How surprising a count is: the predictive tail of counts whose rate is known from a few days only.
//!
//! A Poisson count whose rate is gamma distributed is negative binomial (M. Greenwood and G. U. Yule, Journal of the Royal Statistical Society 83,
//! 1920): with mean mu and dispersion k, variance mu + mu^2 / k, `P(N >= n) = I_{mu/(mu+k)}(n, k)`, I being the regularized incomplete beta function.

use statrs::function::beta::checked_beta_reg;

/// Days from which on they tell how days differ.
const LEAST_DAYS: usize = 3;
/// Dispersion of counts that differ no more than Poisson's.
const STEADY: f64 = 1e6;

/// Probability of a count of `n` or more, of mean `mu` and dispersion `k` (both above 0).
pub fn tail(n: u32, mu: f64, k: f64) -> f64 {
    if n == 0 { 1.0 } else { checked_beta_reg(f64::from(n), k, mu / (mu + k)).unwrap_or(1.0) }
}

/// Probability of a count of `n` or more on a day like these; `None` where they are too few.
pub fn chance(n: u32, days: &[f64]) -> Option<f64> {
    let count = days.len() as f64;
    let sum: f64 = days.iter().sum();
    if days.len() < LEAST_DAYS || sum <= 0.0 {
        return None;
    }
    let mu = sum / count;
    let variance = days.iter().map(|day| (day - mu) * (day - mu)).sum::<f64>() / (count - 1.0);
    let between = if variance > mu { mu * mu / (variance - mu) } else { STEADY };
    // The rate itself is known from what was counted only.
    Some(tail(n, mu, 1.0 / (1.0 / between + 1.0 / sum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values() {
        for (n, mu, k, want) in [
            (1, 0.01, 2.0, 9.925_497e-3),
            (10, 2.0, 5.0, 1.096_589e-3),
            (50, 10.0, 3.0, 1.615_448e-4),
            (200, 20.0, 8.0, 2.949_496e-21),
            (5, 0.2, 1.0, 1.286_008e-4),
        ] {
            let got = tail(n, mu, k);
            assert!((got / want - 1.0).abs() < 1e-6, "P(N >= {n}; {mu}, {k}) = {got:e}, want {want:e}");
        }
    }

    #[test]
    fn days_that_differ_make_a_high_count_less_surprising() {
        let (steady, wild) = ([100.0, 102.0, 98.0, 100.0], [20.0, 300.0, 60.0, 20.0]);
        assert!(chance(150, &steady).unwrap() < 1e-3);
        assert!(chance(150, &wild).unwrap() > 0.1);
        assert_eq!(chance(150, &[100.0, 100.0]), None);
        assert!(chance(u32::MAX, &wild).unwrap() >= 0.0);
    }
}
