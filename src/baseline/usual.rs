//! A small set of the values that are usual for one token, with when and how often each was seen.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Most values that one set remembers. The value seen longest ago makes room, so a token that touches everything stays bounded.
pub const MOST: usize = 512;

/// Days that a reported value waits before it counts as usual, the day of the report included: two weeks after the alert nobody has objected.
pub const QUARANTINE_DAYS: u16 = 15;

/// Days without use after which a value is new again.
pub const EXPIRY_DAYS: u16 = 90;

/// One value. Days are UTC days since 1970.
///
/// Packed to eight bytes: a key of 128 bits would otherwise waste eight more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C, packed(8))]
pub struct Entry<K: Copy> {
    pub key: K,
    /// Uses, at most 65,535.
    pub count: u16,
    pub first_day: u16,
    pub last_day: u16,
    /// Day on which an alert reported this value as new; 0: never; [`ACCEPTED`].
    pub reported: u16,
}

/// In the place of the day of a report: a person has said that the value is usual.
const ACCEPTED: u16 = u16::MAX;

impl<K: Copy + Eq> Entry<K> {
    /// Is it this value?
    pub fn is(&self, key: K) -> bool {
        let own = self.key;
        own == key
    }

    /// A person has said that it is usual.
    pub fn accepted(&self) -> bool {
        self.reported == ACCEPTED
    }

    /// The day on which an alert named it as new, where one did and nobody has accepted it.
    pub fn reported(&self) -> Option<u16> {
        (self.reported != 0 && !self.accepted()).then_some(self.reported)
    }

    /// Was used before this day, or is accepted, and was used within the last 90 days.
    pub fn known(&self, day: u16) -> bool {
        (self.first_day < day || self.accepted()) && day.saturating_sub(self.last_day) <= EXPIRY_DAYS
    }
}

/// What a value is to a token today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Learned, and used within the last 90 days.
    Usual,
    /// Already reported, and not yet usual: no second alert for it.
    Reported,
    Novel,
}

/// Up to `N` values lie in the record itself; more spill to the heap, [`MOST`] at the most.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Copy + Serialize", deserialize = "K: Copy + Deserialize<'de>"))]
pub struct Usual<K: Copy, const N: usize>(SmallVec<[Entry<K>; N]>);

impl<K: Copy, const N: usize> Default for Usual<K, N> {
    fn default() -> Self {
        Usual(SmallVec::new())
    }
}

impl<K: Copy + Eq, const N: usize> Usual<K, N> {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry<K>> {
        self.0.iter()
    }

    pub fn standing(&self, key: K, day: u16) -> Standing {
        match self.0.iter().find(|e| e.is(key)) {
            None => Standing::Novel,
            Some(e) if day.saturating_sub(e.last_day) > EXPIRY_DAYS => Standing::Novel,
            Some(e) if e.reported().is_some_and(|reported| day.saturating_sub(reported) < QUARANTINE_DAYS) => Standing::Reported,
            Some(_) => Standing::Usual,
        }
    }

    /// Is it one of the known values ([`Entry::known`])?
    pub fn known(&self, key: K, day: u16) -> bool {
        self.0.iter().any(|e| e.is(key) && e.known(day))
    }

    /// The day of the first use, where it is remembered; 0 for what is accepted.
    pub fn first_day(&self, key: K) -> Option<u16> {
        self.0.iter().find(|e| e.is(key)).map(|e| if e.accepted() { 0 } else { e.first_day })
    }

    /// The day of the last use, where it is remembered.
    pub fn last_day(&self, key: K) -> Option<u16> {
        self.0.iter().find(|e| e.is(key)).map(|e| e.last_day)
    }

    /// Makes usual at once what was new, or reported as new, on one of these days; of a baseline that was pinned on the day `pinned` also what was
    /// used then and has been new every day since.
    pub fn accept(&mut self, days: &std::ops::RangeInclusive<u16>, pinned: Option<u16>) {
        for e in self.0.iter_mut() {
            let again = pinned.is_some_and(|pinned| e.first_day >= pinned) && e.first_day <= *days.end() && e.last_day >= *days.start();
            if again || days.contains(&{ e.first_day }) || e.reported().is_some_and(|reported| days.contains(&reported)) {
                e.reported = ACCEPTED;
            }
        }
    }

    /// Forgets what is not known on this day. `forgotten` is told of what had been used on several days.
    pub fn keep_known(&mut self, day: u16, forgotten: &mut dyn FnMut(K)) {
        self.0.retain(|e| {
            let keep = e.first_day < day || e.accepted();
            if !keep && e.last_day > e.first_day {
                forgotten(e.key);
            }
            keep
        });
    }

    /// Was ever used, today included, and is remembered.
    pub fn met(&self, key: K) -> bool {
        self.0.iter().any(|e| e.is(key))
    }

    /// It was used on several days: the fleet counts this token among its users.
    pub fn adopted(&self, key: K) -> bool {
        self.0.iter().any(|e| e.is(key) && e.last_day > e.first_day)
    }

    /// The most used values of the days before this one, for explanations.
    pub fn top_before(&self, day: u16, most: usize) -> Vec<Entry<K>> {
        let mut all = self.top(usize::MAX);
        all.retain(|e| e.first_day < day || e.accepted());
        all.truncate(most);
        all
    }

    /// Counts one use; `true` where this is the second day on which the value is used. `forgotten` is told of a value used on several
    /// days that had to make room. `report`: an alert has just named this value as new.
    pub fn note(&mut self, key: K, day: u16, report: bool, forgotten: &mut dyn FnMut(K)) -> bool {
        let mut second = false;
        if let Some(at) = self.0.iter().position(|e| e.is(key)) {
            if let Some(e) = self.0.get_mut(at) {
                let expired = day.saturating_sub(e.last_day) > EXPIRY_DAYS;
                second = e.first_day == e.last_day && day > e.last_day;
                e.count = e.count.saturating_add(1);
                e.last_day = e.last_day.max(day);
                if report {
                    e.reported = day;
                } else if expired || (e.reported != 0 && day.saturating_sub(e.reported) >= QUARANTINE_DAYS) {
                    e.reported = 0;
                }
            }
            // What is used often is found early.
            if at > 0 && self.0.get(at).map(|e| e.count) > self.0.get(at - 1).map(|e| e.count) {
                self.0.swap(at, at - 1);
            }
            return second;
        }
        if self.0.len() >= MOST {
            let oldest = self.0.iter().enumerate().min_by_key(|(i, e)| (e.last_day, e.count, *i)).map(|(i, _)| i);
            if let Some(oldest) = oldest {
                let gone = self.0.remove(oldest);
                if gone.last_day > gone.first_day {
                    forgotten(gone.key);
                }
            }
        }
        self.0.push(Entry { key, count: 1, first_day: day, last_day: day, reported: if report { day } else { 0 } });
        false
    }

    /// The most used usual values, for explanations.
    pub fn top(&self, most: usize) -> Vec<Entry<K>> {
        let mut all: Vec<Entry<K>> = self.0.iter().filter(|e| e.reported().is_none()).copied().collect();
        all.sort_by_key(|e| std::cmp::Reverse((e.count, e.last_day)));
        all.truncate(most);
        all
    }

    /// Forgets a value; `true` if it was there.
    pub fn forget(&mut self, key: K) -> bool {
        let before = self.0.len();
        self.0.retain(|e| !e.is(key));
        self.0.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_value_becomes_usual_after_two_weeks() {
        let mut set: Usual<u64, 4> = Usual::default();
        assert_eq!(set.standing(7, 100), Standing::Novel);
        set.note(7, 100, true, &mut |_| {});
        assert_eq!(set.standing(7, 101), Standing::Reported);
        assert_eq!(set.standing(7, 114), Standing::Reported);
        assert_eq!(set.standing(7, 115), Standing::Usual);
        set.note(7, 115, false, &mut |_| {});
        assert_eq!(set.standing(7, 116), Standing::Usual);
    }

    #[test]
    fn a_value_unused_for_ninety_days_is_new_again() {
        let mut set: Usual<u64, 4> = Usual::default();
        set.note(1, 10, false, &mut |_| {});
        assert_eq!(set.standing(1, 100), Standing::Usual);
        assert_eq!(set.standing(1, 101), Standing::Novel);
    }

    #[test]
    fn an_accepted_value_is_usual_at_once_and_stays_so_while_it_is_used() {
        let mut set: Usual<u64, 4> = Usual::default();
        set.note(7, 100, true, &mut |_| {});
        set.note(8, 99, false, &mut |_| {});
        assert!(!set.known(7, 100));
        set.accept(&(100..=100), None);
        assert!(set.known(7, 100) && !set.known(8, 99));
        assert_eq!((set.standing(7, 100), set.first_day(7)), (Standing::Usual, Some(0)));
        for day in [100, 104, 190] {
            set.note(7, day, false, &mut |_| {});
            assert!(set.iter().any(|e| e.is(7) && e.accepted()), "day {day}");
        }
        assert!(!set.known(7, 281), "after ninety days without use it is new again");
    }

    #[test]
    fn it_stays_bounded_and_drops_the_value_seen_longest_ago() {
        let mut set: Usual<u64, 4> = Usual::default();
        for i in 0..2 * MOST as u64 {
            set.note(i, 100 + (i / 100) as u16, false, &mut |_| {});
        }
        assert_eq!(set.len(), MOST);
        assert_eq!(set.standing(0, 110), Standing::Novel);
        assert_eq!(set.standing(2 * MOST as u64 - 1, 110), Standing::Usual);
    }
}
