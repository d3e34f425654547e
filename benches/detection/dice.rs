//! Chance with a fixed definition: the same seed gives the same population on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A stream of its own for each list of numbers, so that a change in one place moves nothing elsewhere.
    pub fn of(numbers: &[u64]) -> Self {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for number in numbers {
            dice.0 ^= number.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            dice.next();
        }
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0..`n`; 0 where `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as usize) as i64
    }

    /// 0.0..1.0
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// The first few are taken most often, as statements of a program are.
    pub fn skewed<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = (self.unit() * self.unit() * from.len() as f64) as usize;
        &from[at.min(from.len() - 1)]
    }

    /// Number of events where `mean` are expected: Poisson (Knuth; a normal one for large means).
    pub fn poisson(&mut self, mean: f64) -> usize {
        if mean > 30.0 {
            let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()).round().max(0.0) as usize;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}
