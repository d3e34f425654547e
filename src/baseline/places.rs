//! What rules remember of the places that events come from: who fails to log in with one name after the other is no token yet, and most of
//! the names that he tries are nobody's.
//!
//! Only events on which the condition of such a rule holds are noted (with the rules that come with the program: refused logins, and the
//! first login of a token from a network). At most [`MOST`] places are remembered; the one that was noted longest ago, in event time, makes room. Which one that is follows from the
//! records alone, so that a restart changes nothing.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::RuleMemory;
use super::network::{key, of_key};
use crate::event::Time;
use crate::observation::Network;
use crate::token::TokenId;

/// Most places that are remembered. A place with one rule's count takes about 200 bytes, and 16 more for each name.
pub const MOST: usize = 65_536;

/// First byte of a stored record; those of baselines are far below.
pub const LAYOUT: u8 = 0x81;

/// An address (IPv4) or what one machine may choose its addresses from (IPv6 /64); or, wide, its network (/24, /48). Host names, loopback
/// addresses and the local socket stand each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    key: u128,
    wide: bool,
}

impl Place {
    pub fn of(network: Network, wide: bool) -> Self {
        let key = key(network);
        let host = match (network, wide) {
            (Network::Ip(ip), _) if ip.is_loopback() => 0,
            (Network::Ip(IpAddr::V4(_)), true) => 8,
            (Network::Ip(IpAddr::V6(_)), true) => 80,
            (Network::Ip(IpAddr::V6(_)), false) => 64,
            _ => 0,
        };
        Place { key: key >> host << host, wide }
    }

    /// Under which it is stored, and alerts about it are grouped.
    pub fn id(self) -> TokenId {
        TokenId::of_place(self.key, self.wide)
    }

    /// Its first address, for display.
    pub fn network(self) -> Network {
        of_key(self.key)
    }

    /// Prefix length in bits, `None` where the place is one address, a name or the local socket.
    pub fn bits(self) -> Option<u8> {
        match (self.network(), self.wide) {
            (Network::Ip(ip), _) if ip.is_loopback() => None,
            (Network::Ip(IpAddr::V4(_)), true) => Some(24),
            (Network::Ip(IpAddr::V6(_)), true) => Some(48),
            (Network::Ip(IpAddr::V6(_)), false) => Some(64),
            _ => None,
        }
    }

    /// A whole network.
    pub fn is_wide(self) -> bool {
        self.wide
    }
}

/// What is remembered of one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Event time of the last note.
    last: Time,
    /// Until then it counts as reported, whatever else is found.
    told_until: Time,
    memories: Vec<RuleMemory>,
}

/// See above.
#[derive(Debug)]
pub struct Places {
    room: usize,
    records: HashMap<Place, Record, foldhash::fast::FixedState>,
    /// All places, those that are forgotten next first.
    order: BTreeSet<(Time, Place)>,
    changed: BTreeSet<Place>,
    forgotten: BTreeSet<Place>,
    forgotten_in_all: u64,
    waiting_until: Time,
}

impl Default for Places {
    fn default() -> Self {
        Places::with_room(MOST)
    }
}

impl Places {
    /// For so many places.
    pub fn with_room(room: usize) -> Self {
        Places {
            room: room.max(1),
            records: HashMap::default(),
            order: BTreeSet::new(),
            changed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            forgotten_in_all: 0,
            waiting_until: Time(i64::MIN),
        }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Places that had to make room since the start.
    pub fn forgotten(&self) -> u64 {
        self.forgotten_in_all
    }

    /// What rules remember of a place, which is noted at this time.
    pub fn note(&mut self, place: Place, time: Time) -> &mut Vec<RuleMemory> {
        &mut self.record(place, time).memories
    }

    /// What rules remember of a place that was noted before.
    pub fn noted(&mut self, place: Place) -> Option<&mut Vec<RuleMemory>> {
        let record = self.records.get_mut(&place)?;
        self.changed.insert(place);
        Some(&mut record.memories)
    }

    /// All is said of this place until then.
    pub fn tell(&mut self, place: Place, time: Time, until: Time) {
        let record = self.record(place, time);
        record.told_until = record.told_until.max(until);
    }

    /// Was all said of it, at this time?
    pub fn told(&self, place: Place, time: Time) -> bool {
        self.records.get(&place).is_some_and(|record| time < record.told_until)
    }

    /// Some place waits for the next step of a sequence until then.
    pub fn wait(&mut self, until: Time) {
        self.waiting_until = self.waiting_until.max(until);
    }

    /// May any place wait for the next step of a sequence? One comparison, as this is asked at ordinary events.
    pub fn waiting(&self, time: Time) -> bool {
        time <= self.waiting_until
    }

    fn record(&mut self, place: Place, time: Time) -> &mut Record {
        let last = match self.records.get(&place) {
            Some(record) => Some(record.last),
            None => {
                self.make_room();
                None
            }
        };
        if last.is_none_or(|last| last < time) {
            if let Some(last) = last {
                self.order.remove(&(last, place));
            }
            self.order.insert((time, place));
        }
        self.forgotten.remove(&place);
        self.changed.insert(place);
        let fresh = || Record { last: time, told_until: Time(i64::MIN), memories: Vec::new() };
        let record = self.records.entry(place).or_insert_with(fresh);
        record.last = record.last.max(time);
        record
    }

    fn make_room(&mut self) {
        while self.records.len() >= self.room {
            let Some((_, place)) = self.order.pop_first() else { return };
            self.records.remove(&place);
            self.changed.remove(&place);
            self.forgotten.insert(place);
            self.forgotten_in_all += 1;
        }
    }

    /// What must be stored since the last call, in a fixed order; an empty record is one to be forgotten.
    pub fn take_changed(&mut self) -> Vec<(TokenId, Vec<u8>)> {
        let mut out: Vec<(TokenId, Vec<u8>)> =
            std::mem::take(&mut self.forgotten).into_iter().map(|place| (place.id(), Vec::new())).collect();
        for place in std::mem::take(&mut self.changed) {
            if let Some(record) = self.records.get(&place)
                && let Ok(stored) = postcard::to_stdvec(&(LAYOUT, place, record))
            {
                out.push((place.id(), stored));
            }
        }
        out
    }

    /// Is this a record of a place? Then [`Places::load`] takes it.
    pub fn is_record(stored: &[u8]) -> bool {
        stored.first() == Some(&LAYOUT)
    }

    /// Puts one stored record back; `false` where it cannot be read.
    pub fn load(&mut self, stored: &[u8]) -> bool {
        let Ok((LAYOUT, place, record)) = postcard::from_bytes::<(u8, Place, Record)>(stored) else { return false };
        if !self.records.contains_key(&place) {
            self.make_room();
        }
        // What is not waited for any more may be among these; that only makes the question above dearer.
        let until = record.memories.iter().map(|memory| memory.window.reached_until).max();
        self.wait(until.unwrap_or(self.waiting_until));
        self.order.insert((record.last, place));
        if let Some(before) = self.records.insert(place, record.clone())
            && before.last != record.last
        {
            self.order.remove(&(before.last, place));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::token::WordId;

    fn place(text: &str, wide: bool) -> Place {
        Place::of(Network::Ip(text.parse().unwrap()), wide)
    }

    #[test]
    fn what_one_client_can_choose_is_one_place() {
        assert_ne!(place("203.0.113.9", false), place("203.0.113.10", false));
        assert_eq!(place("203.0.113.9", true), place("203.0.113.10", true));
        assert_eq!(place("2001:db8::1", false), place("2001:db8::ffff:1", false));
        assert_ne!(place("2001:db8:0:1::1", false), place("2001:db8:0:2::1", false));
        assert_eq!(place("2001:db8:0:1::1", true), place("2001:db8:0:2::1", true));
        assert_ne!(place("127.0.0.1", true), place("127.0.0.2", true));
        assert_ne!(Place::of(Network::Local, false).id(), Place::of(Network::Local, true).id());
        assert_eq!((place("203.0.113.9", true).bits(), place("203.0.113.9", false).bits()), (Some(24), None));
        assert_eq!(place("2001:db8::1", true).network(), Network::Ip("2001:db8::".parse().unwrap()));
    }

    /// One note: which of a few places, at which time.
    fn notes() -> impl Strategy<Value = Vec<(u8, i64)>> {
        prop::collection::vec((0u8..12, 0i64..50), 1..80)
    }

    fn of(number: u8) -> Place {
        place(&format!("10.0.{number}.1"), number.is_multiple_of(2))
    }

    fn play(places: &mut Places, notes: &[(u8, i64)]) {
        for (number, second) in notes {
            let time = Time(second * Time::SECOND);
            if let Some(memory) = RuleMemory::of(places.note(of(*number), time), WordId(7)) {
                memory.window.add(time, 80 * Time::SECOND, Some(WordId(*second as u64)), 4);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        /// Never more than there is room for, and stored and put back at any note it goes on the same.
        #[test]
        fn a_restart_changes_nothing(notes in notes(), cut in 0usize..80, room in 1usize..8) {
            let cut = cut.min(notes.len());
            let mut whole = Places::with_room(room);
            play(&mut whole, &notes);
            prop_assert!(whole.len() <= room && whole.order.len() == whole.len());

            let mut stored: BTreeMap<TokenId, Vec<u8>> = BTreeMap::new();
            let mut store = |places: &mut Places| {
                for (id, record) in places.take_changed() {
                    if record.is_empty() { stored.remove(&id); } else { stored.insert(id, record); }
                }
                stored.clone()
            };
            let mut first = Places::with_room(room);
            play(&mut first, &notes[..cut]);
            let between = store(&mut first);
            prop_assert_eq!(between.len(), first.len());
            let mut second = Places::with_room(room);
            for record in between.values() {
                prop_assert!(Places::is_record(record) && second.load(record));
            }
            play(&mut second, &notes[cut..]);
            prop_assert_eq!(&second.records, &whole.records);
            prop_assert_eq!(&second.order, &whole.order);
            prop_assert_eq!(store(&mut second).len(), whole.len());
        }
    }

    #[test]
    fn a_flood_of_places_is_forgotten_in_the_order_of_time() {
        let mut places = Places::with_room(3);
        play(&mut places, &[(0, 10), (1, 5), (2, 20), (3, 30)]);
        assert!(places.noted(of(1)).is_none() && places.noted(of(0)).is_some());
        assert_eq!((places.len(), places.forgotten()), (3, 1));
    }
}
