//! Queries per hour and per ten minutes, beside the busiest ones of the last active days.

use half::bf16;
use serde::{Deserialize, Serialize};

use crate::event::Time;

/// Active days that are looked back on.
const DAYS: usize = 20;
/// A day raises the record at most so many times.
const WINSOR: u32 = 4;

/// Counts of one length of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pace {
    slot: i64,
    pub count: u32,
    /// Today's busiest.
    busiest: u32,
    days: [bf16; DAYS],
    next: u8,
}

impl Pace {
    fn note(&mut self, time: Time, length: i64) {
        let slot = time.0.div_euclid(length);
        if slot > self.slot {
            (self.slot, self.count) = (slot, 0);
        }
        self.count = self.count.saturating_add(1);
        self.busiest = self.busiest.max(self.count);
    }

    fn next_day(&mut self) {
        let record = self.record();
        let kept = if record == 0 { self.busiest } else { self.busiest.min(record.saturating_mul(WINSOR)) };
        if let Some(day) = self.days.get_mut(usize::from(self.next)) {
            *day = bf16::from_f32(kept as f32);
        }
        self.next = (self.next + 1) % DAYS as u8;
        self.busiest = 0;
    }

    /// The busiest of the last active days, to two digits; 0 where there were none.
    pub fn record(&self) -> u32 {
        self.days.iter().map(|day| day.to_f32()).fold(0.0, f32::max) as u32
    }

    /// How many times the record has been reached; 0 where there is no record.
    pub fn factor(&self) -> f64 {
        let record = self.record();
        if record == 0 { 0.0 } else { f64::from(self.count) / f64::from(record) }
    }
}

/// Both lengths.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Volume {
    pub hour: Pace,
    pub ten_minutes: Pace,
}

impl Volume {
    /// Counts one query.
    pub fn note(&mut self, time: Time) {
        self.hour.note(time, Time::HOUR);
        self.ten_minutes.note(time, 10 * Time::MINUTE);
    }

    pub fn next_day(&mut self) {
        self.hour.next_day();
        self.ten_minutes.next_day();
    }
}
