//! What is known of all tokens together: how popular things are, how often tokens show something new, and where the threshold
//! stands that keeps the operator's budget of false alerts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::unit::FEATURES;

/// Weight of the tables below, in token-days a bin.
const PRIOR_DAYS: f64 = 200.0;
/// Weight of the thresholds below, in token-days.
const PRIOR_THRESHOLD: f64 = 1_500.0;

/// Probability that a token shows a level of at least 1, 2, 3, 4 on an active day, in the order of the features.
const HAZARD: [[f64; 4]; FEATURES] = [
    [0.03, 0.01, 0.005, 0.002],
    [0.02, 0.01, 0.005, 0.001],
    [0.01, 0.006, 0.004, 0.002],
    [0.03, 0.01, 0.005, 0.002],
    [0.01, 0.005, 0.003, 0.002],
    [0.005, 0.005, 0.004, 0.002],
    [0.10, 0.04, 0.015, 0.006],
    [0.05, 0.02, 0.008, 0.003],
    [0.05, 0.02, 0.01, 0.004],
    [0.01, 0.004, 0.002, 0.001],
    [0.01, 0.004, 0.002, 0.001],
    [0.005, 0.003, 0.002, 0.001],
    [0.02, 0.008, 0.004, 0.002],
];

/// First active day of each bin of ages.
const AGES: [u16; 8] = [1, 2, 3, 5, 9, 16, 30, u16::MAX];
/// Ages by schedules.
const BINS: usize = 21;

/// Thresholds (ln c) at budgets of 1, 3 and 10 false alerts per 1000 token-days.
const THRESHOLDS: [(f64, f64); 4] = [(0.3, 5.6), (1.0, 4.5), (3.0, 2.9), (10.0, 1.4)];

/// Closed days whose scores set the threshold.
const DAYS: usize = 21;
/// Scores are counted in bins of a quarter nat from -8 up.
const SCORES: usize = 128;
const LOWEST: f64 = -8.0;
const STEP: f64 = 0.25;

/// How regular a token's working hours are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    AlwaysOn,
    Batch,
    People,
}

/// Whom a token is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kindred {
    pub active_days: u16,
    pub schedule: Schedule,
}

impl Kindred {
    fn bin(self) -> usize {
        let age = AGES.iter().skip(1).take_while(|from| self.active_days >= **from).count().min(BINS / 3 - 1);
        age + self.schedule as usize * (BINS / 3)
    }
}

/// Things whose users are counted.
const MOST: usize = 1 << 21;

/// Things that tokens have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Thing {
    Network,
    Client,
    Scope,
    Shape,
    Skeleton,
    Operation,
}

/// See above.
#[derive(Debug, Default)]
pub struct Fleet {
    popularity: HashMap<(Thing, u64), u32, foldhash::fast::FixedState>,
    tables: Tables,
    changed: bool,
}

/// What is stored of it; popularity is found again in the baselines.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tables {
    /// Token-days and days at each level, by age.
    days: [f64; BINS],
    levels: Vec<[[f64; 4]; FEATURES]>,
    /// Scores of the days of the ring, and of the day that is open.
    scores: Vec<Vec<u32>>,
    day: u16,
    /// Mean excess and so on are worked out once a day.
    fit: Option<Fit>,
}

/// The tail of the daily scores: the 97 % quantile, the mean excess above it, token-days behind it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Fit {
    quantile: f64,
    excess: f64,
    days: f64,
}

impl Fleet {
    /// A token has used something on a second day.
    pub fn adopt(&mut self, thing: Thing, key: u64) {
        if self.popularity.len() < MOST || self.popularity.contains_key(&(thing, key)) {
            *self.popularity.entry((thing, key)).or_default() += 1;
        }
    }

    /// A token has forgotten what it had adopted.
    pub fn abandon(&mut self, thing: Thing, key: u64) {
        if let Some(users) = self.popularity.get_mut(&(thing, key)) {
            *users = users.saturating_sub(1);
        }
    }

    /// Tokens that use it.
    pub fn users(&self, thing: Thing, key: u64) -> u32 {
        self.popularity.get(&(thing, key)).copied().unwrap_or_default()
    }

    /// Pooled probability of levels of at least 1 to 4 of a feature on an active day of a token of this kind.
    pub fn hazard(&self, feature: usize, kind: Kindred) -> [f64; 4] {
        let bin = kind.bin();
        let days = self.tables.days.get(bin).copied().unwrap_or_default();
        let seen = self.tables.levels.get(bin).and_then(|levels| levels.get(feature)).copied().unwrap_or_default();
        let prior = HAZARD.get(feature).copied().unwrap_or([0.01; 4]);
        let mut hazard = [0.0; 4];
        for ((place, seen), prior) in hazard.iter_mut().zip(seen).zip(prior) {
            *place = (seen + PRIOR_DAYS * prior) / (days + PRIOR_DAYS);
        }
        hazard
    }

    /// A token's day is over. Days with an alert do not count: an attack is not what tokens usually do.
    pub fn close(&mut self, kind: Kindred, levels: &[u8; FEATURES], score: f32, alerted: bool) {
        self.changed = true;
        if alerted {
            return;
        }
        let bin = kind.bin();
        let tables = &mut self.tables;
        if tables.levels.len() < BINS {
            tables.levels.resize(BINS, [[0.0; 4]; FEATURES]);
        }
        if let Some(days) = tables.days.get_mut(bin) {
            *days += 1.0;
        }
        if let Some(pooled) = tables.levels.get_mut(bin) {
            for (pooled, level) in pooled.iter_mut().zip(levels) {
                for (at, count) in pooled.iter_mut().enumerate() {
                    *count += f64::from(u8::from(usize::from(*level) > at));
                }
            }
        }
        if kind.active_days > 1 && score > f32::MIN {
            if tables.scores.is_empty() {
                tables.scores.push(vec![0; SCORES]);
            }
            let place = ((f64::from(score) - LOWEST) / STEP).clamp(0.0, (SCORES - 1) as f64) as usize;
            if let Some(count) = tables.scores.last_mut().and_then(|day| day.get_mut(place)) {
                *count += 1;
            }
        }
    }

    /// The clock of events has reached this day.
    pub fn reach(&mut self, day: u16) {
        let tables = &mut self.tables;
        if day <= tables.day {
            return;
        }
        tables.day = day;
        self.changed = true;
        tables.fit = fit(&tables.scores);
        if tables.scores.len() >= DAYS {
            tables.scores.remove(0);
        }
        tables.scores.push(vec![0; SCORES]);
    }

    /// The score (ln e) above which a unit is alerted, for a budget in false alerts per 1000 token-days: the fleet's own tail, shrunk
    /// towards what made-up populations showed, and never above 1/a, which holds whatever the fleet is like.
    pub fn threshold(&self, budget: f64) -> f64 {
        let a = (budget / 1000.0).clamp(1e-6, 0.5);
        let shipped = shipped(budget);
        let own = match self.tables.fit {
            Some(fit) if fit.days >= 200.0 => {
                let own = fit.quantile + 1.2 * fit.excess * libm::log(0.03 / a).max(0.0);
                (PRIOR_THRESHOLD * shipped + fit.days * own) / (PRIOR_THRESHOLD + fit.days)
            }
            _ => shipped,
        };
        own.min(-libm::log(a))
    }

    /// What must be stored, if it has changed since the last call.
    pub fn take_changed(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.changed).then(|| postcard::to_stdvec(&self.tables).unwrap_or_default())
    }

    /// Takes up what was stored.
    pub fn load(&mut self, stored: &[u8]) {
        if let Ok(tables) = postcard::from_bytes(stored) {
            self.tables = tables;
        }
    }
}

fn shipped(budget: f64) -> f64 {
    let line = |(x0, y0): (f64, f64), (x1, y1): (f64, f64)| {
        let (x0, x1, x) = (libm::log(x0), libm::log(x1), libm::log(budget.max(1e-3)));
        y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    };
    let [a, b, c, d] = THRESHOLDS;
    if budget < b.0 {
        line(a, b)
    } else if budget < c.0 {
        line(b, c)
    } else {
        line(c, d)
    }
}

fn fit(days: &[Vec<u32>]) -> Option<Fit> {
    let mut counts = [0u64; SCORES];
    for day in days {
        for (count, more) in counts.iter_mut().zip(day) {
            *count += u64::from(*more);
        }
    }
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let value = |at: usize| LOWEST + (at as f64 + 0.5) * STEP;
    let (mut above, mut excess) = (0u64, 0.0);
    let wanted = (all as f64 * 0.03).ceil() as u64;
    for (at, count) in counts.iter().enumerate().rev() {
        above += count;
        if above >= wanted {
            let quantile = value(at);
            for (higher, count) in counts.iter().enumerate().skip(at) {
                excess += (value(higher) - quantile) * *count as f64;
            }
            return Some(Fit { quantile, excess: (excess / above.max(1) as f64).max(0.2), days: all as f64 });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Kindred = Kindred { active_days: 20, schedule: Schedule::AlwaysOn };

    #[test]
    fn thresholds_follow_the_budget_and_stay_below_the_guarantee() {
        let fleet = Fleet::default();
        assert!((fleet.threshold(1.0) - 4.5).abs() < 1e-9);
        assert!((fleet.threshold(3.0) - 2.9).abs() < 1e-9);
        assert!(fleet.threshold(10.0) < fleet.threshold(3.0) && fleet.threshold(0.3) > 5.0);
        let mut fleet = Fleet::default();
        for day in 1..40 {
            fleet.reach(day);
            for _ in 0..2_000 {
                fleet.close(OLD, &[0; FEATURES], 25.0, false);
            }
        }
        assert!((fleet.threshold(1.0) - libm::log(1000.0)).abs() < 1e-9, "an attacker cannot push it higher");
    }

    #[test]
    fn hazards_are_those_of_the_fleet_in_the_end() {
        let mut fleet = Fleet::default();
        let before = fleet.hazard(0, OLD)[0];
        for n in 0..10_000 {
            let mut levels = [0; FEATURES];
            levels[0] = u8::from(n % 10 == 0);
            fleet.close(OLD, &levels, 0.0, false);
        }
        assert!((before - 0.03).abs() < 1e-9);
        assert!((fleet.hazard(0, OLD)[0] - 0.1).abs() < 0.002);
        assert!((fleet.hazard(0, Kindred { active_days: 2, ..OLD })[0] - 0.03).abs() < 1e-9, "ages are told apart");
    }
}
