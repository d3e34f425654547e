//! What goes on after an alert that nobody has dismissed: how often a day the token does again what was reported.

use serde::{Deserialize, Serialize};

use super::usual::QUARANTINE_DAYS;

/// Fewer uses a day than this are never many.
const LEAST: u16 = 8;
/// A day counts as grown from so many times the busiest day before.
const FACTOR: u16 = 3;
/// Days with such uses before one can stand out from them.
const LEAST_DAYS: u8 = 4;

/// See above. Days are UTC days since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aftermath {
    /// Day of the newest alert; 0: none.
    reported: u16,
    /// The day that is being counted.
    day: u16,
    today: u16,
    /// Days before it with such uses.
    days: u8,
    /// The most uses on one of these.
    most: u16,
    told: bool,
}

/// More of what was reported than ever since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Uses today.
    pub today: u16,
    /// The most uses on one day before.
    pub most: u16,
    /// How many days before had any.
    pub days: u8,
}

impl Aftermath {
    /// An alert speaks of the token today.
    pub fn report(&mut self, day: u16) {
        if !self.lasts(day) {
            *self = Aftermath { day, ..Aftermath::default() };
        }
        self.reported = day.max(1);
    }

    /// There was an alert, not so long ago that what it reported would have become usual.
    pub fn lasts(&self, day: u16) -> bool {
        self.reported != 0 && day.saturating_sub(self.reported) < QUARANTINE_DAYS
    }

    /// Counts one use of what was reported; once a day `Some`, where that has grown.
    pub fn note(&mut self, day: u16) -> Option<Growth> {
        if day > self.day {
            if self.today > 0 {
                self.days = self.days.saturating_add(1);
                self.most = self.most.max(self.today);
            }
            (self.day, self.today, self.told) = (day, 0, false);
        }
        self.today = self.today.saturating_add(1);
        let grown = self.days >= LEAST_DAYS && self.today >= self.most.saturating_mul(FACTOR).max(LEAST);
        if self.told || !grown {
            return None;
        }
        self.told = true;
        Some(Growth { today: self.today, most: self.most, days: self.days })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_after_days_of_little_is_told_once() {
        let mut aftermath = Aftermath::default();
        assert!(!aftermath.lasts(100));
        aftermath.report(100);
        let mut told = Vec::new();
        for (day, uses) in [(100, 1), (101, 20), (102, 3), (105, 59), (106, 60), (107, 70)] {
            assert!(aftermath.lasts(day));
            told.extend((0..uses).filter_map(|_| aftermath.note(day)).map(|growth| (day, growth)));
        }
        assert_eq!(told, [], "20, 59 and 60 are not three times what was before");
        let growth: Vec<_> = (0..500).filter_map(|_| aftermath.note(108)).collect();
        assert_eq!(growth, [Growth { today: 210, most: 70, days: 6 }]);
    }

    #[test]
    fn two_weeks_after_the_last_alert_it_is_forgotten() {
        let mut aftermath = Aftermath::default();
        aftermath.report(100);
        aftermath.note(100);
        assert!(aftermath.lasts(114) && !aftermath.lasts(115));
        aftermath.report(120);
        assert_eq!(aftermath, Aftermath { reported: 120, day: 120, ..Aftermath::default() });
    }
}
