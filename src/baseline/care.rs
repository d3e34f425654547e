//! What people have decided about a baseline: that it is pinned, and which behaviour they have excused.
//!
//! A **pinned** baseline is judged by as it was on the day on which it was pinned. What the token does since is still noted, so that within a
//! day nothing counts twice and a dismissal can accept it later, but it never becomes known: values are compared as of the day of the pin
//! ([`Baseline::pinned`]), and what is not a set of values is put back every day ([`Baseline::recall`]).

use serde::{Deserialize, Serialize};

use super::aftermath::Aftermath;
use super::surprise::History;
use super::volume::Volume;
use super::{Baseline, CLASSES, fleet};
use crate::token::WordId;

/// Excuses of one token; the oldest makes room.
pub const MOST_EXCUSES: usize = 256;

/// See above.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Care {
    pub pin: Option<Pin>,
    pub excuses: Vec<Excuse>,
}

/// One behaviour that is no reason for an alert, because a person has dismissed one for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excuse {
    /// Fingerprint of the behaviour.
    pub key: u64,
    /// The first 64 bits of the dismissed alert's id.
    pub alert: u64,
}

/// What is no set of values, as it was when the baseline was pinned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pin {
    pub day: u16,
    active_days: u16,
    hours: [u8; 24],
    classes: [u16; CLASSES],
    volume: Volume,
    history: History,
    silences: [u8; 4],
    rules: Vec<(WordId, u16)>,
}

impl Baseline {
    /// The day on which it was pinned.
    pub fn pinned(&self) -> Option<u16> {
        self.care.as_ref()?.pin.as_ref().map(|pin| pin.day)
    }

    /// Learns nothing more from now on. `false` where it is pinned already.
    pub fn pin(&mut self) -> bool {
        if self.pinned().is_some() {
            return false;
        }
        let day = self.day;
        self.accept_days(&(day..=u16::MAX));
        let mut volume = self.volume.clone();
        volume.next_day();
        let pin = Pin {
            day,
            active_days: self.active_days,
            hours: self.hours,
            classes: self.classes,
            volume,
            history: self.history.clone(),
            silences: self.silences,
            rules: self.rules.iter().map(|memory| (memory.rule, memory.last_day)).collect(),
        };
        self.care.get_or_insert_default().pin = Some(pin);
        self.recall();
        true
    }

    /// Learns again, from now on: what the token has done since the pin is forgotten. `false` where it is not pinned.
    pub fn unpin(&mut self, fleet: &mut fleet::Fleet) -> bool {
        let Some(day) = self.pinned() else { return false };
        self.recall();
        self.forget_after(day, fleet);
        if let Some(care) = &mut self.care {
            care.pin = None;
            if care.excuses.is_empty() {
                self.care = None;
            }
        }
        true
    }

    /// Puts back what is no set of values as it was when the baseline was pinned.
    pub(super) fn recall(&mut self) {
        let Some(pin) = self.care.as_ref().and_then(|care| care.pin.as_ref()) else { return };
        self.active_days = pin.active_days;
        self.hours = pin.hours;
        self.hours_today = 0;
        self.classes = pin.classes;
        self.new_classes = 0;
        self.volume.recall(&pin.volume);
        self.history = pin.history.clone();
        self.silences = pin.silences;
        for memory in &mut self.rules {
            memory.last_day = pin.rules.iter().find(|(rule, _)| *rule == memory.rule).map_or(0, |(_, last_day)| *last_day);
        }
    }

    /// A person says that what was new on these days is usual, and that these behaviours of the dismissed `alert` are no reason for another.
    pub fn accept(&mut self, days: &std::ops::RangeInclusive<u16>, keys: &[u64], alert: u64) {
        self.accept_days(days);
        self.aftermath = Aftermath::default();
        if !keys.is_empty() {
            let excuses = &mut self.care.get_or_insert_default().excuses;
            for key in keys {
                excuses.retain(|excuse| excuse.key != *key);
                if excuses.len() >= MOST_EXCUSES {
                    excuses.remove(0);
                }
                excuses.push(Excuse { key: *key, alert });
            }
        }
        // What was strange today is judged anew, by what is usual now.
        if days.contains(&self.day) || self.pinned().is_some() {
            self.units.clear();
        }
    }

    fn accept_days(&mut self, days: &std::ops::RangeInclusive<u16>) {
        let pinned = self.pinned();
        self.addresses.accept(days, pinned);
        self.networks.accept(days, pinned);
        self.clients.accept(days, pinned);
        self.scopes.accept(days, pinned);
        self.shapes.accept(days, pinned);
        self.skeletons.accept(days, pinned);
    }

    /// This behaviour is excused.
    pub fn excuses(&self, key: u64) -> bool {
        self.care.as_ref().is_some_and(|care| care.excuses.iter().any(|excuse| excuse.key == key))
    }

    /// Takes the excuses of one alert back; `true` if there were any.
    pub fn take_back(&mut self, alert: u64) -> bool {
        let Some(care) = &mut self.care else { return false };
        let before = care.excuses.len();
        care.excuses.retain(|excuse| excuse.alert != alert);
        let found = care.excuses.len() < before;
        if care.pin.is_none() && care.excuses.is_empty() {
            self.care = None;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excuses_are_bounded_and_can_be_taken_back() {
        let mut baseline = Baseline::new(crate::event::Time(0));
        let keys: Vec<u64> = (0..MOST_EXCUSES as u64 + 10).collect();
        baseline.accept(&(0..=0), &keys, 1);
        assert!(!baseline.excuses(9) && baseline.excuses(10));
        baseline.accept(&(0..=0), &[10], 2);
        assert!(baseline.take_back(1) && !baseline.take_back(1));
        assert!(baseline.excuses(10) && !baseline.excuses(11));
        assert!(baseline.take_back(2) && baseline.care.is_none());
    }
}
