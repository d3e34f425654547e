//! The networks that a token used last, and when.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::network::Prefix;
use crate::event::Time;

/// Networks that are remembered.
const MOST: usize = 4;

/// Networks by their short form, with the second of their last use (since 1970, up to 2106).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent(SmallVec<[(u64, u32); 2]>);

fn second(time: Time) -> u32 {
    u32::try_from(time.0.div_euclid(Time::SECOND).max(0)).unwrap_or(u32::MAX)
}

impl Recent {
    /// A network is used.
    pub fn note(&mut self, prefix: Prefix, now: Time) {
        let (short, now) = (prefix.short(), second(now));
        if let Some((_, last)) = self.0.iter_mut().find(|(known, _)| *known == short) {
            *last = now.max(*last);
            return;
        }
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().enumerate().min_by_key(|(_, (_, last))| *last).map(|(at, _)| at)
        {
            self.0.remove(oldest);
        }
        self.0.push((short, now));
    }

    /// Seconds between its last use and `now`, before or after; `None` where it is not remembered.
    pub fn apart(&self, prefix: Prefix, now: Time) -> Option<u32> {
        self.0.iter().find(|(known, _)| *known == prefix.short()).map(|(_, last)| last.abs_diff(second(now)))
    }

    /// Was it used within so many microseconds of `now`, before or after?
    pub fn within(&self, prefix: Prefix, now: Time, microseconds: i64) -> bool {
        let apart = u32::try_from(microseconds / Time::SECOND).unwrap_or(u32::MAX);
        self.apart(prefix, now).is_some_and(|seconds| seconds <= apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_the_last_four() {
        let mut recent = Recent::default();
        for n in 0..6 {
            recent.note(Prefix(n << 64), Time(n as i64 * Time::MINUTE));
        }
        assert!(!recent.within(Prefix(1 << 64), Time(5 * Time::MINUTE), 10 * Time::MINUTE), "forgotten");
        assert!(recent.within(Prefix(2 << 64), Time(5 * Time::MINUTE), 10 * Time::MINUTE));
        assert!(!recent.within(Prefix(2 << 64), Time(20 * Time::MINUTE), 10 * Time::MINUTE), "long ago");
    }
}
