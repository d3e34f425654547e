//! Baselines: what is usual for one token, in one flat record without nested maps.
//!
//! A baseline is changed only by its owner shard, only by [`Baseline::learn`], and only with event time.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::event::{Kind, Operation, Outcome, Time};
use crate::observation::{Network, Observation, Scope};
use crate::token::WordId;

pub mod network;
pub mod surprise;
pub mod usual;
pub mod window;

use network::{Prefix, prefix_of};
use surprise::Innovations;
use usual::Usual;
use window::Window;

/// Layout of the stored record; a record of another layout is dropped and learned anew.
pub const LAYOUT: u8 = 1;

/// Pooled probability that a token shows a new value of a feature on an active day.
pub mod hazard {
    pub const NETWORK: f64 = 0.01;
    pub const ADDRESS: f64 = 0.03;
    pub const CLIENT: f64 = 0.01;
    pub const SCOPE: f64 = 0.03;
    pub const HOUR: f64 = 0.05;
    pub const RATE: f64 = 0.02;
}

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

/// Days since 1970 as the record keeps them; dates before count as day 0.
pub fn day_of(time: Time) -> u16 {
    u16::try_from(time.day().max(0)).unwrap_or(u16::MAX)
}

/// Queries per hour: the running hour and the busiest one so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    hour: i64,
    pub count: u32,
    /// The busiest hour of the past; one hour raises it at most fourfold.
    pub record: u32,
    pub reported: bool,
}

impl Rate {
    fn note(&mut self, time: Time) {
        let hour = time.0.div_euclid(Time::HOUR);
        if hour > self.hour {
            let capped = if self.record == 0 { self.count } else { self.count.min(self.record.saturating_mul(4)) };
            self.record = self.record.max(capped);
            *self = Rate { hour, count: 0, record: self.record, reported: false };
        }
        self.count = self.count.saturating_add(1);
    }
}

/// What one rule remembers of one token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuleMemory {
    /// Identity of the rule, so that an edit of other rules changes nothing.
    pub rule: WordId,
    /// Day on which the token last did what the rule describes.
    pub last_day: u16,
    pub window: Window,
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
    pub addresses: Usual<u128, 4>,
    pub networks: Usual<Prefix, 4>,
    pub clients: Usual<WordId, 3>,
    pub scopes: Usual<u128, 8>,
    /// Days on which each UTC hour was used.
    pub hours: [u16; 24],
    /// Hours used today, a bit each.
    pub hours_today: u32,
    pub rate: Rate,
    pub rules: SmallVec<[RuleMemory; 1]>,
    pub new_network: Innovations,
    pub new_address: Innovations,
    pub new_client: Innovations,
    pub new_scope: Innovations,
    pub new_hour: Innovations,
    pub new_rate: Innovations,
    /// Until when a broken limit of the inventory counts as reported, in the order of the detector's table.
    pub policy_quiet: [Time; 6],
    /// The hour whose unusual use was reported last, as hours since 1970.
    pub hour_reported: i64,
}

/// Which values of an observation an alert has just named as new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    pub network: bool,
    pub address: bool,
    pub client: bool,
    pub scope: bool,
    pub hour: bool,
    pub rate: bool,
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
            rate: Rate::default(),
            rules: SmallVec::new(),
            new_network: Innovations::default(),
            new_address: Innovations::default(),
            new_client: Innovations::default(),
            new_scope: Innovations::default(),
            new_hour: Innovations::default(),
            new_rate: Innovations::default(),
            policy_quiet: [Time(i64::MIN); 6],
            hour_reported: 0,
        }
    }

    /// Old enough to be judged by: `learning` microseconds since it was first seen, and used on two days where the learning
    /// period is longer than a day.
    pub fn mature(&self, now: Time, learning: i64) -> bool {
        let days_wanted = if learning > Time::DAY { 2 } else { 1 };
        now.0.saturating_sub(self.first_seen.0) >= learning && self.active_days >= days_wanted
    }

    /// Moves on to the day of `time`. Late events belong to the day that is open.
    pub fn open_day(&mut self, time: Time) {
        let day = day_of(time);
        if self.active_days == 0 {
            self.active_days = 1;
            self.day = day;
        } else if day > self.day {
            self.day = day;
            self.active_days = self.active_days.saturating_add(1);
            self.hours_today = 0;
            self.new_network.next_day(hazard::NETWORK);
            self.new_address.next_day(hazard::ADDRESS);
            self.new_client.next_day(hazard::CLIENT);
            self.new_scope.next_day(hazard::SCOPE);
            self.new_hour.next_day(hazard::HOUR);
            self.new_rate.next_day(hazard::RATE);
        }
    }

    /// Takes one observation in. Values of the first active day are no innovations: everything is new on it.
    pub fn learn(&mut self, seen: &Observation, reported: Reported) {
        let day = day_of(seen.time).max(self.day);
        self.last_seen = self.last_seen.max(seen.time);
        self.events = self.events.saturating_add(1);
        let settled = self.active_days > 1;
        if let Some(network) = seen.network {
            let address = network::key(network);
            let prefix = prefix_of(network);
            if settled && self.addresses.standing(address, day) == usual::Standing::Novel {
                self.new_address.note();
            }
            if settled && self.networks.standing(prefix, day) == usual::Standing::Novel {
                self.new_network.note();
            }
            self.addresses.note(address, day, reported.address);
            self.networks.note(prefix, day, reported.network);
        }
        if let Some(client) = seen.client {
            if settled && self.clients.standing(client, day) == usual::Standing::Novel {
                self.new_client.note();
            }
            self.clients.note(client, day, reported.client);
        }
        // What was refused is not part of what a token does.
        if seen.kind == Kind::Query && seen.outcome != Outcome::Denied {
            for scope in &seen.scopes {
                let key = scope_key(*scope);
                if settled && self.scopes.standing(key, day) == usual::Standing::Novel {
                    self.new_scope.note();
                }
                self.scopes.note(key, day, reported.scope);
            }
        }
        let bit = 1 << seen.time.hour();
        if self.hours_today & bit == 0 {
            self.hours_today |= bit;
            if let Some(days) = self.hours.get_mut(usize::from(seen.time.hour())) {
                if settled && *days == 0 {
                    self.new_hour.note();
                }
                *days = days.saturating_add(1);
            }
        }
        if reported.hour {
            self.hour_reported = seen.time.0.div_euclid(Time::HOUR);
        }
        if seen.kind == Kind::Query {
            self.rate.note(seen.time);
            self.rate.reported |= reported.rate;
        }
    }

    /// Memory of a rule, made on first use. A token holds at most 64 of them; the rule idle for longest makes room.
    pub fn rule_memory(&mut self, rule: WordId) -> Option<&mut RuleMemory> {
        if let Some(at) = self.rules.iter().position(|m| m.rule == rule) {
            return self.rules.get_mut(at);
        }
        if self.rules.len() >= 64
            && let Some(oldest) = self.rules.iter().enumerate().min_by_key(|(i, m)| (m.last_day, *i)).map(|(i, _)| i)
        {
            self.rules.remove(oldest);
        }
        self.rules.push(RuleMemory { rule, last_day: 0, window: Window::default() });
        self.rules.last_mut()
    }

    /// Is this network one of the token's own (usual, not merely reported)?
    pub fn knows(&self, network: Network) -> bool {
        self.networks.standing(prefix_of(network), self.day) == usual::Standing::Usual
    }
}
