//! A sliding window that counts events, or distinct values among them, in constant memory.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::event::Time;
use crate::token::WordId;

/// Most distinct values that one window tells apart; thresholds of rules stay below.
pub const MOST_DISTINCT: usize = 64;

/// Slices that a window is cut into: the count is exact to one slice.
const SLICES: usize = 8;

/// Counts over the last `within` microseconds, exact to an eighth of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Number of the slice that is being filled.
    slice: i64,
    counts: [u32; SLICES],
    /// Distinct values with the slice in which each was seen last.
    values: SmallVec<[(WordId, i64); 0]>,
    /// The threshold was reached, and until then that counts: the next step may follow, or it is not reported again.
    pub reached_until: Time,
}

impl Window {
    /// Adds one event; returns the events (or, with `value`, the distinct values) within the window, this one included. Of more than `most`
    /// values the one seen longest ago is forgotten.
    pub fn add(&mut self, time: Time, within: i64, value: Option<WordId>, most: usize) -> u32 {
        let width = (within / SLICES as i64).max(1);
        let slice = time.0.div_euclid(width);
        if slice > self.slice {
            let passed = slice - self.slice;
            for i in 1..=passed.min(SLICES as i64) {
                if let Some(count) = self.counts.get_mut((self.slice + i).rem_euclid(SLICES as i64) as usize) {
                    *count = 0;
                }
            }
            self.slice = slice;
        }
        if let Some(count) = self.counts.get_mut(self.slice.rem_euclid(SLICES as i64) as usize) {
            *count = count.saturating_add(1);
        }
        let Some(value) = value else {
            return self.counts.iter().fold(0, |sum, n| sum.saturating_add(*n));
        };
        let oldest = self.slice - SLICES as i64;
        self.values.retain(|(_, seen)| *seen > oldest);
        match self.values.iter_mut().find(|(word, _)| *word == value) {
            Some((_, seen)) => *seen = self.slice,
            None => {
                if self.values.len() >= most.clamp(1, MOST_DISTINCT)
                    && let Some(oldest) = self.values.iter().enumerate().min_by_key(|(at, (_, seen))| (*seen, *at)).map(|(at, _)| at)
                {
                    self.values.remove(oldest);
                }
                self.values.push((value, self.slice));
            }
        }
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    /// Forgets one value; `false` where it was not among those counted.
    pub fn take_back(&mut self, value: WordId) -> bool {
        let before = self.values.len();
        self.values.retain(|(word, _)| *word != value);
        self.values.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_lies_within() {
        let mut window = Window::default();
        let at = |s: i64| Time(s * Time::SECOND);
        let within = 80 * Time::SECOND;
        assert_eq!(window.add(at(1_000), within, None, 64), 1);
        assert_eq!(window.add(at(1_001), within, None, 64), 2);
        assert_eq!(window.add(at(1_060), within, None, 64), 3);
        assert_eq!(window.add(at(1_090), within, None, 64), 2);
        assert_eq!(window.add(at(9_000), within, None, 64), 1);
    }

    #[test]
    fn counts_distinct_values() {
        let mut window = Window::default();
        let within = 80 * Time::SECOND;
        for i in 0..10 {
            let distinct = window.add(Time(i * Time::SECOND), within, Some(WordId((i % 3) as u64)), 64);
            assert_eq!(distinct, (i + 1).min(3) as u32);
        }
        assert!(window.take_back(WordId(1)) && !window.take_back(WordId(1)));
        assert_eq!(window.add(Time(11 * Time::SECOND), within, Some(WordId(0)), 64), 2);
    }

    /// As many values as the threshold wants are enough to know that it is reached.
    #[test]
    fn the_latest_values_are_kept() {
        let mut window = Window::default();
        let within = 80 * Time::SECOND;
        for i in 0..1_000u64 {
            let at = Time(i as i64 * 20 * Time::SECOND);
            assert_eq!(window.add(at, within, Some(WordId(i)), 3), (i + 1).min(3) as u32);
        }
    }
}
