//! What is known of all tokens together: how popular things are, how often tokens show something new, and where the threshold
//! stands that keeps the operator's budget of false alerts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::unit::{FEATURES, Most};
use crate::event::Time;

/// First byte of the stored tables. Those before them began with a count of days, whose first byte was 0.
const LAYOUT: u8 = 5;

/// Weight of the tables below, in token-days a bin.
const PRIOR_DAYS: f64 = 200.0;
/// Weight of the thresholds below, in token-days.
const PRIOR_THRESHOLD: f64 = 1_000.0;

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

/// First active day of each bin of ages: few bins, so that each of them is soon filled by a fleet of some hundred tokens.
const AGES: [u16; 3] = [1, 5, u16::MAX];
/// Ages by schedules.
const BINS: usize = 6;

/// Thresholds (ln c) at budgets of 1, 3 and 10 false alerts per 1000 token-days.
const THRESHOLDS: [(f64, f64); 4] = [(0.3, 3.1), (1.0, 2.2), (3.0, 1.3), (10.0, 0.4)];

/// Closed days whose scores set the threshold.
const DAYS: usize = 21;
/// Share of the days that the tail is fitted to. Nearer to the threshold than that, attacks that are not found are much of it.
const TAIL: f64 = 0.05;
/// Shape of the tail: below 0, it ends faster than an exponential. A made-up population without attacks shows -0.1 to -0.3.
const SHAPE: f64 = -0.15;
/// Scale of the tail (its mean excess, in nats, as far as it is seen) in made-up populations, and how many scores that counts for: a small
/// fleet that is under attack shows more attacks than tail.
const EXCESS: f64 = 0.75;
const PRIOR_EXCESSES: f64 = 200.0;
/// Days after which an alert counts as harmless: an attack is over by then, and what goes on for longer at a steady rate is how this company works.
const LAG: usize = 14;
/// Days that this long memory reaches back, as the mean of an exponential.
const MEMORY: f64 = 60.0;
/// Alerts expected in it at which it counts for half where it raises the threshold: companies differ by more than chance does, so little of their own
/// tells more than what made-up ones showed. That nothing strange has happened so far tells less.
const PRIOR_RAISING: f64 = 0.5;
const PRIOR_LOWERING: f64 = 5.0;
/// The most (in nats) that it raises the threshold: a long wave of attacks must not blind.
const RAISES: f64 = 3.0;
/// Token-days above the threshold for each alert: a token that is strange for days has one.
const JOINED: f64 = 1.3;
/// Of a memory of fewer token-days above the threshold than this, the score that this many exceed is taken, and an exponential tail from there: the
/// highest one alone is chance.
const FEW: f64 = 6.0;
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

/// How far the baseline of a token was on a day, and so what its score tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: all is new to it.
    Early,
    /// It still learned, but its scores were like those of others, and none was alerted.
    Learning,
    /// It could have been alerted.
    Judged,
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
    /// The days of the ring, and the one that is open.
    ring: Vec<Scores>,
    day: u16,
    /// The scores of the days before the last [`LAG`], alerted or not, fading.
    past: Vec<f64>,
    /// Worked out once a day.
    fit: Option<Fit>,
}

/// The scores of one day of tokens whose baselines are far enough.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Scores {
    counts: Vec<u32>,
    /// Those of token-days with an alert, which are not among the counts.
    alerted: Vec<u32>,
    /// Those of the counts whose tokens were not judged yet: no alert tells what of it was misuse, so all of it counts as harmless.
    unjudged: Vec<u32>,
    /// The threshold that was in force.
    threshold: f64,
}

/// The tail of the daily scores.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Fit {
    /// Score that a token-day exceeds with the probability asked for.
    threshold: f64,
    /// Token-days behind it.
    days: f64,
    /// The same of the long memory.
    lasting: Memory,
}

/// What scores that are known to the end tell.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Memory {
    /// Score that a token-day exceeds with the probability asked for.
    score: f64,
    /// Alerts expected.
    expected: f64,
}

impl Memory {
    fn of(counts: &[f64], a: f64) -> Memory {
        let known: f64 = counts.iter().sum();
        let wanted = JOINED * a * known;
        let beyond = if wanted > 0.0 { EXCESS * libm::log((FEW / wanted).max(1.0)) } else { 0.0 };
        Memory { score: exceeded(counts, wanted.max(FEW)) + beyond, expected: a * known }
    }

    /// How far it moves a threshold.
    fn moves(self, threshold: f64) -> f64 {
        let way = (self.score - threshold).min(RAISES);
        let prior = if way > 0.0 { PRIOR_RAISING } else { PRIOR_LOWERING };
        way * self.expected / (self.expected + prior)
    }
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

    /// A token's day is over. The levels of days with an alert do not count: an attack is not what tokens usually do.
    pub fn close(&mut self, kind: Kindred, day: &Most, progress: Progress) {
        self.changed = true;
        let tables = &mut self.tables;
        if let Some(scores) = tables.ring.last_mut().filter(|_| progress != Progress::Early) {
            scores.note(day, progress == Progress::Judged);
        }
        if day.alerted {
            return;
        }
        let bin = kind.bin();
        if tables.levels.len() < BINS {
            tables.levels.resize(BINS, [[0.0; 4]; FEATURES]);
        }
        if let Some(days) = tables.days.get_mut(bin) {
            *days += 1.0;
        }
        if let Some(pooled) = tables.levels.get_mut(bin) {
            for (pooled, level) in pooled.iter_mut().zip(day.levels) {
                for (at, count) in pooled.iter_mut().enumerate() {
                    *count += f64::from(u8::from(usize::from(level) > at));
                }
            }
        }
    }

    /// The clock of events has reached this day.
    pub fn reach(&mut self, day: u16, budget: f64) {
        if day <= self.tables.day {
            return;
        }
        self.changed = true;
        self.tables.day = day;
        let tables = &mut self.tables;
        if let Some(over) = tables.ring.len().checked_sub(LAG).and_then(|at| tables.ring.get(at)) {
            tables.past.resize(SCORES, 0.0);
            for (at, past) in tables.past.iter_mut().enumerate() {
                let more = [&over.counts, &over.alerted].into_iter().filter_map(|counts| counts.get(at));
                *past = *past * (1.0 - 1.0 / MEMORY) + more.map(|count| f64::from(*count)).sum::<f64>();
            }
        }
        tables.fit = fit(&tables.ring, &tables.known(), per_day(budget));
        let threshold = self.threshold(budget);
        let ring = &mut self.tables.ring;
        if ring.len() >= DAYS {
            ring.remove(0);
        }
        ring.push(Scores { threshold, ..Scores::default() });
    }

    /// The fleet is watched for longer than `learning` (microseconds): what is usual for a new token is known from the others.
    pub fn settled(&self, learning: i64) -> bool {
        let closed = self.tables.ring.len().saturating_sub(1);
        closed + 1 >= DAYS || closed as i64 * Time::DAY >= learning
    }

    /// The score (ln e) above which a unit is alerted, for a budget in false alerts per 1000 token-days: the fleet's own tail, shrunk
    /// towards what made-up populations showed, and never above 1/a, which holds whatever the fleet is like.
    pub fn threshold(&self, budget: f64) -> f64 {
        let mut threshold = shipped(budget);
        if let Some(fit) = self.tables.fit {
            if fit.days >= 200.0 {
                threshold = (PRIOR_THRESHOLD * threshold + fit.days * fit.threshold) / (PRIOR_THRESHOLD + fit.days);
            }
            threshold += fit.lasting.moves(threshold);
        }
        threshold.min(-libm::log(per_day(budget)))
    }

    /// What must be stored, if it has changed since the last call.
    pub fn take_changed(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.changed).then(|| postcard::to_extend(&self.tables, vec![LAYOUT]).unwrap_or_default())
    }

    /// Takes up what was stored; tables of another layout are learned anew.
    pub fn load(&mut self, stored: &[u8]) {
        if let Some((&LAYOUT, stored)) = stored.split_first()
            && let Ok(tables) = postcard::from_bytes(stored)
        {
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

/// The budget as a probability per token-day.
fn per_day(budget: f64) -> f64 {
    (budget / 1000.0).clamp(1e-6, 0.5)
}

impl Tables {
    /// Scores that are known to the end: those of the long memory, and of later days those of tokens that were not judged.
    fn known(&self) -> Vec<f64> {
        let mut known = self.past.clone();
        known.resize(SCORES, 0.0);
        for day in self.ring.iter().rev().take(LAG) {
            for (known, more) in known.iter_mut().zip(&day.unjudged) {
                *known += f64::from(*more);
            }
        }
        known
    }
}

impl Scores {
    fn note(&mut self, day: &Most, judged: bool) {
        let counts = if day.alerted { &mut self.alerted } else { &mut self.counts };
        for counts in std::iter::once(counts).chain((!judged).then_some(&mut self.unjudged)) {
            Self::count(counts, day);
        }
    }

    fn count(counts: &mut Vec<u32>, day: &Most) {
        counts.resize(SCORES, 0);
        let score = day.score.map_or(LOWEST, f64::from);
        let place = ((score - LOWEST) / STEP).clamp(0.0, (SCORES - 1) as f64) as usize;
        if let Some(count) = counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }
}

/// The score that a harmless token-day exceeds with probability `a`: a generalized Pareto tail above a high quantile (J. Pickands, Statistical
/// inference using extreme order statistics, Annals of Statistics 3, 1975), of fixed shape.
///
/// Days with an alert are attacks, or harmless and above the threshold. As many of them as the budget allows count as harmless, and lie in
/// the tail. Its scale is that of scores which are only known up to the lowest threshold that was in force.
fn fit(ring: &[Scores], known: &[f64], a: f64) -> Option<Fit> {
    let mut counts = [0u64; SCORES];
    for day in ring {
        for (count, more) in counts.iter_mut().zip(&day.counts) {
            *count += u64::from(*more);
        }
    }
    let quiet: u64 = counts.iter().sum();
    if quiet == 0 {
        return None;
    }
    let alerted: u64 = ring.iter().flat_map(|day| &day.alerted).map(|count| u64::from(*count)).sum();
    let harmless = (alerted as f64).min(a * quiet as f64);
    let days = quiet as f64 + harmless;
    let cut = ring.iter().filter(|day| !day.counts.is_empty()).map(|day| day.threshold).reduce(f64::min)?;
    let lower = |at: usize| LOWEST + at as f64 * STEP;
    let (mut above, mut censored, mut seen, mut sum) = (harmless, harmless, 0.0, 0.0);
    for (at, count) in counts.iter().enumerate().rev() {
        let count = *count as f64;
        above += count;
        // Within the last bin in proportion.
        let beyond = above - TAIL * days;
        let share = if beyond >= 0.0 { (1.0 - beyond / count.max(1.0)).max(0.0) } else { 1.0 };
        let middle = lower(at) + STEP * (1.0 - share / 2.0);
        if middle < cut {
            seen += share * count;
            sum += share * count * middle;
        } else {
            censored += share * count;
        }
        if beyond >= 0.0 {
            let quantile = lower(at) + STEP * (1.0 - share);
            let excess = sum - seen * quantile + censored * (cut - quantile).max(STEP);
            let scale = (excess + PRIOR_EXCESSES * EXCESS) / (seen + PRIOR_EXCESSES);
            let threshold = quantile + scale * (libm::pow(TAIL / a, SHAPE) - 1.0) / SHAPE;
            return Some(Fit { threshold, days, lasting: Memory::of(known, a) });
        }
    }
    None
}

/// The score that so many of those counted exceed.
fn exceeded(counts: &[f64], most: f64) -> f64 {
    let mut above = 0.0;
    for (at, count) in counts.iter().enumerate().rev() {
        if above + count >= most && *count > 0.0 {
            return LOWEST + STEP * (at as f64 + 1.0 - (most - above) / count);
        }
        above += count;
    }
    LOWEST
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Kindred = Kindred { active_days: 20, schedule: Schedule::AlwaysOn };

    #[test]
    fn thresholds_follow_the_budget_and_stay_below_the_guarantee() {
        let fleet = Fleet::default();
        assert!((fleet.threshold(1.0) - 2.2).abs() < 1e-9);
        assert!((fleet.threshold(3.0) - 1.3).abs() < 1e-9);
        assert!(fleet.threshold(10.0) < fleet.threshold(3.0) && fleet.threshold(0.3) > 3.0);
        let mut fleet = Fleet::default();
        for day in 1..40 {
            fleet.reach(day, 1.0);
            for _ in 0..2_000 {
                fleet.close(OLD, &Most { score: Some(25.0), ..Most::default() }, Progress::Judged);
            }
        }
        assert!((fleet.threshold(1.0) - libm::log(1000.0)).abs() < 1e-9, "an attacker cannot push it higher");
    }

    /// Closes days whose scores are an exponential of mean 0.85 from `from` up, those above the threshold being alerted, and on each of the last two
    /// weeks so many attacks that are found. Returns the harmless alerts per 1000 token-days in the end, and the threshold.
    fn closed(from: f64, attacks: u32, budget: f64) -> (f64, f64) {
        let (mut fleet, mut alerted, mut days) = (Fleet::default(), 0u32, 0u32);
        for day in 1..200 {
            fleet.reach(day, budget);
            let threshold = fleet.threshold(budget);
            for n in 0..500u32 {
                // A low-discrepancy sequence in place of chance (Kronecker, golden ratio).
                let u = ((f64::from(days + n) + 0.5) * 0.618_033_988_749_894_9).fract();
                let score = from - 0.85 * libm::log(u);
                let over = score >= threshold;
                alerted += u32::from(over && day > 100);
                fleet.close(OLD, &Most { score: Some(score as f32), alerted: over, ..Most::default() }, Progress::Judged);
            }
            for _ in 0..if day > 185 { attacks } else { 0 } {
                fleet.close(OLD, &Most { score: Some(12.0), alerted: true, ..Most::default() }, Progress::Judged);
            }
            days += 500;
        }
        (1000.0 * f64::from(alerted) / JOINED / (500.0 * 99.0), fleet.threshold(budget))
    }

    #[test]
    fn the_fleets_own_tail_keeps_the_budget() {
        for budget in [1.0, 3.0, 10.0] {
            // As the shipped thresholds expect, quieter, and noisier.
            for from in [-3.8, -4.6, -3.0] {
                let (realised, _) = closed(from, 0, budget);
                assert!((0.7..=1.4).contains(&(realised / budget)), "{realised} for {budget} from {from}");
            }
            let moved = closed(-3.8, 10, budget).1 - closed(-3.8, 0, budget).1;
            assert!(moved.abs() < 0.6, "attacks that are found hardly move the threshold: {moved}");
        }
    }

    #[test]
    fn what_goes_on_for_weeks_is_how_this_company_works() {
        // One token in 200 changes its driver every day: the tail below the threshold tells nothing of it.
        let mut fleet = Fleet::default();
        let mut alerted = Vec::new();
        for day in 1..120u16 {
            fleet.reach(day, 1.0);
            let threshold = fleet.threshold(1.0);
            let score = |n: u32| if n.is_multiple_of(200) { 2.5 + f64::from(n % 7) / 10.0 } else { f64::from(n) / 300.0 - 3.4 };
            let over = |n: &u32| score(*n) >= threshold;
            alerted.push((0..1000u32).filter(over).count());
            for n in 0..1000 {
                fleet.close(OLD, &Most { score: Some(score(n) as f32), alerted: over(&n), ..Most::default() }, Progress::Judged);
            }
        }
        let sum = |days: &[usize]| days.iter().sum::<usize>();
        assert_eq!(sum(alerted.get(..LAG).unwrap()), LAG * 5, "at first each is told");
        assert!(sum(alerted.get(60..).unwrap()) <= 60 * 3, "the budget is one, and some of them join: {alerted:?}");
    }

    #[test]
    fn the_learning_period_tells_at_once_of_a_heavy_tail() {
        // 200 tokens for twelve days, of whose days one in a hundred scores 4: ten times the budget.
        let learned = |strange: f32, budget: f64| {
            let mut fleet = Fleet::default();
            for day in 1..14 {
                fleet.reach(day, budget);
                for n in 0..200u32 {
                    let score = if n < 2 { strange } else { -3.0 };
                    fleet.close(OLD, &Most { score: Some(score), ..Most::default() }, Progress::Learning);
                }
            }
            fleet.threshold(budget)
        };
        assert!(learned(4.0, 1.0) > shipped(1.0) + 0.5, "{}", learned(4.0, 1.0));
        // That nothing strange happened is no reason yet to be bold.
        assert!(learned(-3.0, 1.0) > -1.0, "{}", learned(-3.0, 1.0));
    }

    #[test]
    fn hazards_are_those_of_the_fleet_in_the_end() {
        let mut fleet = Fleet::default();
        let before = fleet.hazard(0, OLD)[0];
        for n in 0..10_000 {
            let mut day = Most::default();
            day.levels[0] = u8::from(n % 10 == 0);
            fleet.close(OLD, &day, Progress::Early);
        }
        assert!((before - 0.03).abs() < 1e-9);
        assert!((fleet.hazard(0, OLD)[0] - 0.1).abs() < 0.002);
        assert!((fleet.hazard(0, Kindred { active_days: 2, ..OLD })[0] - 0.03).abs() < 1e-9, "ages are told apart");
    }
}
