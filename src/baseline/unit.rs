//! A unit: what one token did on one day from one network with one client. Its levels of surprise only rise.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::network::Prefix;
use crate::token::WordId;

/// What a level of surprise is about; the numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Feature {
    /// A network or address that the token never used.
    Network,
    /// How few others use that network.
    Peer,
    Client,
    Scope,
    Operation,
    Sensitive,
    Shape,
    Volume,
    Hour,
    Denied,
    Errors,
    Concurrent,
    Dormant,
}

/// Number of features.
pub const FEATURES: usize = 13;

/// Probability of each level of each feature for one token today.
pub type Odds = [[f64; 5]; FEATURES];

/// Units of one token and day; what comes after them shares the last one.
pub const UNITS: usize = 4;
/// Distinct denied objects that are told apart.
pub const MOST_DENIED: usize = 8;

/// See above.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Unit {
    /// Which network and client it is, as a hash.
    key: u64,
    pub levels: [u8; FEATURES],
    /// The network itself is new, not only the address.
    pub new_network: bool,
    /// Highest score so far, in nats; `None` where nothing is unusual.
    pub score: Option<f32>,
    /// The score when an alert last spoke of it; 0: none did.
    pub said: f32,
    /// Sum of the weights of new scopes.
    pub new_scopes: f32,
    pub new_shapes: u16,
    pub errors: u16,
    pub denied: SmallVec<[WordId; 2]>,
    /// The newest scope, as a [`super::scope_key`].
    pub scope: u128,
}

/// A network and client as one number.
fn key_of(network: Option<Prefix>, client: Option<WordId>) -> u64 {
    // Two bits tell what is missing from what hashes to nothing.
    let mixed = network.map_or(1, |network| network.short().wrapping_mul(4));
    mixed.rotate_left(29) ^ client.map_or(2, |client| client.0.wrapping_mul(4)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Unit {
    /// It was made for this network and client; others may share it.
    pub fn is_of(&self, network: Prefix, client: Option<WordId>) -> bool {
        self.key == key_of(Some(network), client)
    }
}

/// A token's day as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct Most {
    /// The highest level of each feature.
    pub levels: [u8; FEATURES],
    /// The highest score, in nats; `None` where nothing was unusual.
    pub score: Option<f32>,
    /// An alert speaks of it.
    pub alerted: bool,
}

/// The units of one token's day.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Units(SmallVec<[Unit; 1]>);

impl Units {
    /// The unit of this network and client, made if there is room.
    pub fn of(&mut self, network: Option<Prefix>, client: Option<WordId>) -> Option<&mut Unit> {
        let key = key_of(network, client);
        let found = self.0.iter().position(|unit| unit.key == key);
        let at = match found {
            Some(at) => at,
            None if self.0.len() < UNITS => {
                self.0.push(Unit { key, ..Unit::default() });
                self.0.len() - 1
            }
            // Too many: they share one, so that an attacker cannot hide by changing his address, nor use up memory.
            None => UNITS - 1,
        };
        self.0.get_mut(at)
    }

    /// What is to be said of the whole day.
    pub fn most(&self) -> Most {
        let mut most = Most::default();
        for unit in &self.0 {
            for (most, level) in most.levels.iter_mut().zip(unit.levels) {
                *most = level.max(*most);
            }
            most.score = [most.score, unit.score].into_iter().flatten().reduce(f32::max);
            most.alerted |= unit.said != 0.0;
        }
        most
    }

    /// The unit with the highest score, where one has any.
    pub fn strangest(&self) -> Option<&Unit> {
        self.0.iter().filter(|unit| unit.score.is_some()).max_by(|a, b| a.score.unwrap_or(f32::MIN).total_cmp(&b.score.unwrap_or(f32::MIN)))
    }

    pub fn clear(&mut self) {
        // Not only emptied: most tokens need no room for a second unit tomorrow.
        self.0 = SmallVec::new();
    }
}
