//! Queries per hour and per ten minutes, and rows per hour where the log tells them, beside the busiest ones of the last active days.

use half::bf16;
use serde::{Deserialize, Serialize};

use super::counts;
use crate::event::Time;

/// A day raises the record at most so many times.
const WINSOR: u32 = 4;

/// Counts of one length of time, and the busiest of the last `DAYS` active days.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pace<const DAYS: usize> {
    /// Number of the hour, or of the ten minutes, that is being counted, since 1970.
    slot: u32,
    pub count: u32,
    /// Today's busiest.
    busiest: u32,
    #[serde(with = "serde_big_array::BigArray")]
    days: [bf16; DAYS],
    /// Place of today among the days.
    today: u8,
}

impl<const DAYS: usize> Default for Pace<DAYS> {
    fn default() -> Self {
        Pace { slot: 0, count: 0, busiest: 0, days: [bf16::ZERO; DAYS], today: 0 }
    }
}

impl<const DAYS: usize> Pace<DAYS> {
    fn note(&mut self, time: Time, length: i64, amount: u32) {
        let slot = u32::try_from(time.0.div_euclid(length).max(0)).unwrap_or(u32::MAX);
        if slot > self.slot {
            (self.slot, self.count) = (slot, 0);
        }
        self.count = self.count.saturating_add(amount);
        self.busiest = self.busiest.max(self.count);
    }

    fn next_day(&mut self) {
        let record = self.record();
        let kept = if record == 0 { self.busiest } else { self.busiest.min(record.saturating_mul(WINSOR)) };
        if let Some(day) = self.days.get_mut(usize::from(self.today)) {
            *day = bf16::from_f32(kept as f32);
        }
        self.today = ((usize::from(self.today) + 1) % DAYS) as u8;
        self.busiest = 0;
    }

    /// Goes back to the records of another, and keeps today's count.
    fn recall(&mut self, other: &Self) {
        (self.days, self.today, self.busiest) = (other.days, other.today, 0);
    }

    /// The busiest of the last active days, to two digits; 0 where there were none.
    pub fn record(&self) -> u32 {
        self.days.iter().map(|day| day.to_f32()).fold(0.0, f32::max) as u32
    }

    /// Probability that a day like the last ones has one as busy as the one that is being counted; `None` where there were too few.
    pub fn chance(&self) -> Option<f64> {
        let days: Vec<f64> = self.days.iter().map(|day| f64::from(day.to_f32())).filter(|day| *day > 0.0).collect();
        counts::chance(self.count, &days)
    }

    /// How many times the record has been reached; 0 where there is no record.
    pub fn factor(&self) -> f64 {
        let record = self.record();
        if record == 0 { 0.0 } else { f64::from(self.count) / f64::from(record) }
    }
}

/// All that is counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Volume {
    pub hour: Pace<20>,
    pub ten_minutes: Pace<20>,
    /// Rows that queries returned or changed in an hour. Few logs tell them; a week is remembered.
    pub rows: Pace<8>,
}

impl Volume {
    /// Counts one query, and its rows where they are known.
    pub fn note(&mut self, time: Time, rows: Option<u64>) {
        self.hour.note(time, Time::HOUR, 1);
        self.ten_minutes.note(time, 10 * Time::MINUTE, 1);
        if let Some(rows) = rows {
            self.rows.note(time, Time::HOUR, u32::try_from(rows).unwrap_or(u32::MAX));
        }
    }

    pub fn next_day(&mut self) {
        self.hour.next_day();
        self.ten_minutes.next_day();
        self.rows.next_day();
    }

    /// Goes back to the records of another, and keeps today's counts.
    pub fn recall(&mut self, other: &Volume) {
        self.hour.recall(&other.hour);
        self.ten_minutes.recall(&other.ten_minutes);
        self.rows.recall(&other.rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_day_raises_the_record_fourfold_at_most_and_eight_days_forget_it() {
        let mut volume = Volume::default();
        let mut day = |rows: u64, day: i64| {
            volume.note(Time(day * Time::DAY), Some(rows));
            let factor = volume.rows.factor();
            volume.next_day();
            (factor, volume.rows.record())
        };
        assert_eq!(day(100, 1), (0.0, 100));
        assert_eq!(day(1_000_000, 2), (10_000.0, 400));
        assert_eq!(day(100, 3), (0.25, 400));
        for later in 4..9 {
            day(100, later);
        }
        assert_eq!(day(100, 9).1, 400);
        assert_eq!(day(100, 10).1, 100);
    }

    #[test]
    fn what_comes_late_counts_for_the_open_hour() {
        let mut volume = Volume::default();
        volume.note(Time(2 * Time::HOUR), None);
        volume.note(Time(Time::HOUR), None);
        volume.note(Time(-5), Some(u64::MAX));
        assert_eq!((volume.hour.count, volume.rows.count), (3, u32::MAX));
    }
}
