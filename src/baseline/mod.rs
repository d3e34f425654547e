//! Baselines: what is usual for one token, in one flat record without nested maps.
//!
//! A baseline is changed only by the engine, only by [`Baseline::learn`], and only with event time.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use serde::{Deserialize, Serialize};

use crate::event::{Kind, Operation, Outcome, Time};
use crate::observation::{Network, Observation, Scope};
use crate::token::WordId;

pub mod aftermath;
pub mod care;
pub mod counts;
pub mod fleet;
pub mod network;
pub mod places;
pub mod recent;
pub mod surprise;
pub mod unit;
pub mod usual;
pub mod volume;
pub mod window;

use aftermath::Aftermath;
use care::Care;
use fleet::{Fleet, Kindred, Progress, Schedule, Thing};
use network::{Prefix, prefix_of};
use recent::Recent;
use surprise::History;
use unit::{Odds, Units};
use usual::{Standing, Usual};
use volume::Volume;
use window::Window;

/// Layout of the stored record; a record of another layout is dropped and learned anew.
pub const LAYOUT: u8 = 5;

/// An object and the operation applied to it, as one key: the object in the upper half.
pub fn scope_key(scope: Scope) -> u128 {
    u128::from(scope.object.0) << 64 | scope.operation as u128
}

/// The object of a [`scope_key`].
pub fn scope_object(key: u128) -> WordId {
    WordId((key >> 64) as u64)
}

/// The operation of a [`scope_key`].
pub fn scope_operation(key: u128) -> Operation {
    Operation::ALL.get((key & 0xff) as usize).map_or(Operation::Unknown, |(op, _)| *op)
}

/// A [`scope_key`] in 64 bits, for the fleet's counts.
pub fn short_scope(key: u128) -> u64 {
    (key >> 64) as u64 ^ (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The class of what an observation did; `None` where that is unknown.
pub fn class_of(seen: &Observation) -> Option<Class> {
    Some(match seen.operation {
        Operation::Select if seen.catalog => Class::Catalog,
        Operation::Select | Operation::Explain | Operation::Show => Class::Read,
        Operation::Insert | Operation::Update | Operation::Delete | Operation::Merge | Operation::Call => Class::Change,
        Operation::Create | Operation::Alter => Class::Definition,
        Operation::Grant | Operation::Revoke => Class::Privilege,
        Operation::Copy => Class::Bulk,
        Operation::Drop | Operation::Truncate => Class::Removal,
        _ => return None,
    })
}

/// Days since 1970 as the record keeps them; dates before count as day 0.
pub fn day_of(time: Time) -> u16 {
    u16::try_from(time.day().max(0)).unwrap_or(u16::MAX)
}

/// Kinds of operations that a token does or does not do at all, the more telling the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    Read,
    Change,
    Definition,
    Catalog,
    Privilege,
    Bulk,
    Removal,
}

impl Class {
    /// Names as rules write them.
    pub const ALL: [(&str, Class); CLASSES] = [
        ("read", Class::Read),
        ("change", Class::Change),
        ("definition", Class::Definition),
        ("catalog", Class::Catalog),
        ("privilege", Class::Privilege),
        ("bulk", Class::Bulk),
        ("removal", Class::Removal),
    ];
}

/// Number of [`Class`]es.
pub const CLASSES: usize = 7;

/// What one rule, or one step of it, remembers of one token or one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleMemory {
    /// Identity of the rule, so that an edit of other rules changes nothing.
    pub rule: WordId,
    /// Day on which it was last done what the rule describes.
    pub last_day: u16,
    pub window: Window,
}

impl RuleMemory {
    /// Rules (or steps of them) that are remembered of one token or one place.
    pub const MOST: usize = 64;

    /// The memory of a rule, made on first use. The rule idle for longest makes room.
    pub fn of(memories: &mut Vec<RuleMemory>, rule: WordId) -> Option<&mut RuleMemory> {
        if let Some(at) = memories.iter().position(|m| m.rule == rule) {
            return memories.get_mut(at);
        }
        if memories.len() >= Self::MOST
            && let Some(oldest) = memories.iter().enumerate().min_by_key(|(i, m)| (m.last_day, *i)).map(|(i, _)| i)
        {
            memories.remove(oldest);
        }
        memories.push(RuleMemory { rule, last_day: 0, window: Window::default() });
        memories.last_mut()
    }
}

/// Active days after which the scores of a token that still learns tell what those of others will be like.
const SETTLED: u16 = 8;

/// Hours in use on an ordinary day, rounded down, from which on it may be people who work.
const BRIEF: u32 = 2;

/// How values are noted.
#[derive(Clone, Copy)]
struct Note {
    day: u16,
    quarantine: bool,
    pinned: bool,
}

impl Note {
    /// In a full set there is no room for what a pinned baseline does not learn anyway.
    fn fits<K: Copy + Eq, const N: usize>(self, set: &Usual<K, N>, key: K) -> bool {
        !self.pinned || set.len() < usual::MOST || set.met(key)
    }
}

/// Notes a value, and tells the fleet when the token has adopted it or had to forget one.
fn adopt<K: Copy + Eq, const N: usize>(set: &mut Usual<K, N>, key: K, note: Note, fleet: &mut Fleet, thing: impl Fn(K) -> (Thing, u64)) {
    if !note.fits(set, key) {
        return;
    }
    let Note { day, quarantine, .. } = note;
    let report = quarantine && !set.known(key, day);
    let second = set.note(key, day, report, &mut |gone| {
        let (thing, key) = thing(gone);
        fleet.abandon(thing, key);
    });
    if second {
        let (thing, key) = thing(key);
        fleet.adopt(thing, key);
    }
}

/// All that is remembered of one token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baseline {
    pub first_seen: Time,
    pub last_seen: Time,
    /// Event-time day that is being filled.
    pub day: u16,
    /// Distinct days with activity, this one included.
    pub active_days: u16,
    pub events: u64,
    pub addresses: Usual<u128, 3>,
    pub networks: Usual<Prefix, 2>,
    pub clients: Usual<WordId, 2>,
    pub scopes: Usual<u128, 6>,
    /// Days on which each UTC hour was used.
    pub hours: [u8; 24],
    /// Hours used today, a bit each.
    pub hours_today: u32,
    pub shapes: Usual<WordId, 6>,
    pub skeletons: Usual<WordId, 2>,
    /// Last day on which each class of operations was used; 0: never.
    pub classes: [u16; CLASSES],
    /// Classes used for the first time today, a bit each.
    pub new_classes: u8,
    pub volume: Volume,
    pub rules: Vec<RuleMemory>,
    pub history: History,
    pub units: Units,
    pub recent: Recent,
    /// The longest silences between active days, in days.
    pub silences: [u8; 4],
    /// Days of silence before today.
    pub silence: u8,
    /// Until when a broken limit of the inventory counts as reported, in the order of the detector's table.
    pub policy_quiet: Option<Box<[Time; 6]>>,
    pub aftermath: Aftermath,
    /// What people have decided about it; stored behind the record, which stays readable without.
    #[serde(skip)]
    pub care: Option<Box<Care>>,
}

impl Baseline {
    /// The baseline of a token that was never seen before `time`.
    pub fn new(time: Time) -> Self {
        Baseline {
            first_seen: time,
            last_seen: time,
            day: day_of(time),
            active_days: 0,
            events: 0,
            addresses: Usual::default(),
            networks: Usual::default(),
            clients: Usual::default(),
            scopes: Usual::default(),
            hours: [0; 24],
            hours_today: 0,
            shapes: Usual::default(),
            skeletons: Usual::default(),
            classes: [0; CLASSES],
            new_classes: 0,
            volume: Volume::default(),
            rules: Vec::new(),
            history: History::default(),
            units: Units::default(),
            recent: Recent::default(),
            silences: [0; 4],
            silence: 0,
            policy_quiet: None,
            aftermath: Aftermath::default(),
            care: None,
        }
    }

    /// What a successor takes over: all that is known, and what people have decided, but nothing that is going on.
    pub fn heir(&self) -> Self {
        Baseline { units: Units::default(), policy_quiet: None, aftermath: Aftermath::default(), recent: Recent::default(), ..self.clone() }
    }

    /// Old enough to be judged by, or pinned: `learning` microseconds since it was first seen, and used on two days where the learning
    /// period is longer than a day.
    pub fn mature(&self, now: Time, learning: i64) -> bool {
        let days_wanted = if learning > Time::DAY { 2 } else { 1 };
        self.pinned().is_some() || now.0.saturating_sub(self.first_seen.0) >= learning && self.active_days >= days_wanted
    }

    /// Moves on to the day of `time`. Late events belong to the day that is open. `learning`: as in [`Baseline::mature`].
    pub fn open_day(&mut self, time: Time, learning: i64, fleet: &mut Fleet) {
        let day = day_of(time);
        if self.active_days == 0 {
            self.active_days = 1;
            self.day = day;
        } else if day > self.day {
            let most = self.units.most();
            let kind = self.kind();
            let progress = if self.mature(self.last_seen, learning) || self.active_days > 1 && fleet.settled(learning) {
                Progress::Judged
            } else if self.active_days >= SETTLED {
                Progress::Learning
            } else {
                Progress::Early
            };
            // The days of a token that does not learn say nothing of those that do.
            if self.pinned().is_none() {
                self.history.close(&most.levels, |feature| fleet.hazard(feature, kind));
                fleet.close(kind, &most, progress);
            }
            self.units.clear();
            self.volume.next_day();
            self.silence = u8::try_from(day.saturating_sub(self.day)).unwrap_or(u8::MAX);
            // What was the longest silence until now is what today's is compared with; it counts from tomorrow on.
            if let Some(shortest) = self.silences.iter_mut().min().filter(|shortest| **shortest < self.silence) {
                *shortest = self.silence;
            }
            self.day = day;
            self.active_days = self.active_days.saturating_add(1);
            self.hours_today = 0;
            self.new_classes = 0;
            self.recall();
        }
    }

    /// Probabilities of the levels of each feature for this token today.
    pub fn odds(&self, fleet: &Fleet) -> Odds {
        let kind = self.kind();
        self.history.odds(self.active_days, |feature| fleet.hazard(feature, kind))
    }

    /// Age and working hours: tokens of the same kind are compared with each other.
    pub fn kind(&self) -> Kindred {
        let a_day = self.hours.iter().map(|days| u32::from(*days)).sum::<u32>() / u32::from(self.active_days.max(1));
        let schedule = match self.hours.iter().filter(|days| **days > 0).count() {
            0..=3 => Schedule::Batch,
            // Jobs may run at many an hour, and each is over within the next; people stay.
            4..=16 if a_day < BRIEF => Schedule::Batch,
            4..=16 => Schedule::People,
            _ => Schedule::AlwaysOn,
        };
        Kindred { active_days: self.active_days, schedule }
    }

    /// Was this class used before today?
    pub fn used(&self, class: Class) -> bool {
        !self.new_today(class) && self.classes.get(class as usize).is_some_and(|last| *last > 0)
    }

    /// The token did this for the first time today.
    pub fn new_today(&self, class: Class) -> bool {
        self.new_classes & (1 << class as u8) != 0
    }

    /// Takes one observation in. `quarantine`: what it shows for the first time today is not to be learned soon.
    pub fn learn(&mut self, seen: &Observation, quarantine: bool, fleet: &mut Fleet) {
        let day = day_of(seen.time).max(self.day);
        let note = Note { day, quarantine, pinned: self.pinned().is_some() };
        self.last_seen = self.last_seen.max(seen.time);
        self.events = self.events.saturating_add(1);
        if let Some(network) = seen.network {
            let address = network::key(network);
            let prefix = prefix_of(network);
            if note.fits(&self.addresses, address) {
                self.addresses.note(address, day, quarantine && !self.addresses.known(address, day), &mut |_| {});
            }
            adopt(&mut self.networks, prefix, note, fleet, |prefix| (Thing::Network, prefix.short()));
            // Where a session ends, nobody need be any more.
            if seen.kind != Kind::Logout {
                self.recent.note(prefix, seen.time);
            }
        }
        if let Some(client) = seen.client {
            adopt(&mut self.clients, client, note, fleet, |client| (Thing::Client, client.0));
        }
        // What was refused is not part of what a token does.
        if seen.kind == Kind::Query && seen.outcome != Outcome::Denied {
            for scope in &seen.scopes {
                adopt(&mut self.scopes, scope_key(*scope), note, fleet, |key| (Thing::Scope, short_scope(key)));
            }
            if let Some(shape) = seen.shape {
                adopt(&mut self.shapes, shape, note, fleet, |shape| (Thing::Shape, shape.0));
            }
            if let Some(skeleton) = seen.skeleton {
                adopt(&mut self.skeletons, skeleton, note, fleet, |skeleton| (Thing::Skeleton, skeleton.0));
            }
            if let Some(class) = class_of(seen)
                && let Some(last) = self.classes.get_mut(class as usize)
            {
                if *last == 0 {
                    self.new_classes |= 1 << class as u8;
                    fleet.adopt(Thing::Operation, class as u64);
                }
                *last = day.max(1);
            }
        }
        let bit = 1 << seen.time.hour();
        if self.hours_today & bit == 0 {
            self.hours_today |= bit;
            if let Some(days) = self.hours.get_mut(usize::from(seen.time.hour())) {
                *days = days.saturating_add(1);
            }
        }
    }

    /// Tells the fleet of what this token has adopted, after it was put back.
    pub fn popularise(&self, fleet: &mut Fleet) {
        let mut tell = |thing, key, first, last| {
            if last > first {
                fleet.adopt(thing, key);
            }
        };
        self.networks.iter().for_each(|e| tell(Thing::Network, e.key.short(), e.first_day, e.last_day));
        self.clients.iter().for_each(|e| tell(Thing::Client, e.key.0, e.first_day, e.last_day));
        self.scopes.iter().for_each(|e| tell(Thing::Scope, short_scope(e.key), e.first_day, e.last_day));
        self.shapes.iter().for_each(|e| tell(Thing::Shape, e.key.0, e.first_day, e.last_day));
        self.skeletons.iter().for_each(|e| tell(Thing::Skeleton, e.key.0, e.first_day, e.last_day));
        for (class, day) in self.classes.iter().enumerate() {
            if *day > 0 {
                fleet.adopt(Thing::Operation, class as u64);
            }
        }
    }

    /// Forgets the values that were not known on this day.
    fn forget_after(&mut self, day: u16, fleet: &mut Fleet) {
        self.addresses.keep_known(day, &mut |_| {});
        self.networks.keep_known(day, &mut |prefix| fleet.abandon(Thing::Network, prefix.short()));
        self.clients.keep_known(day, &mut |client| fleet.abandon(Thing::Client, client.0));
        self.scopes.keep_known(day, &mut |key| fleet.abandon(Thing::Scope, short_scope(key)));
        self.shapes.keep_known(day, &mut |shape| fleet.abandon(Thing::Shape, shape.0));
        self.skeletons.keep_known(day, &mut |skeleton| fleet.abandon(Thing::Skeleton, skeleton.0));
    }

    /// Is anything of it among what was reported as new, and has not become usual since?
    pub fn suspects(&self, seen: &Observation, day: u16) -> bool {
        seen.network.is_some_and(|network| self.networks.standing(prefix_of(network), day) == Standing::Reported)
            || seen.client.is_some_and(|client| self.clients.standing(client, day) == Standing::Reported)
            || seen.shape.is_some_and(|shape| self.shapes.standing(shape, day) == Standing::Reported)
            || seen.scopes.iter().any(|scope| self.scopes.standing(scope_key(*scope), day) == Standing::Reported)
    }

    /// Is this network one of the token's own (usual, not merely reported)?
    pub fn knows(&self, network: Network) -> bool {
        self.networks.standing(prefix_of(network), self.day) == Standing::Usual
    }
}
