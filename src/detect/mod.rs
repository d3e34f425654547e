//! Detectors: each looks at one observation beside the baseline of its token and may find something.
//!
//! **Adding a detector = one file here and one line in [`DETECTORS`].** A detector is a pure function; what it needs to remember is
//! part of the baseline and is learned there, after all detectors have judged.
//!
//! A detector gives a level of surprise; [`unusual`] weighs the levels together and decides whether they are worth an alert.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::baseline::aftermath::Growth;
use crate::baseline::fleet::Fleet;
use crate::baseline::network::Prefix;
use crate::baseline::places::Place;
use crate::baseline::unit::{FEATURES, Unit};
use crate::baseline::usual::{Entry, Usual};
use crate::baseline::{Baseline, Class};
use crate::event::{Operation, Time};
use crate::identity::origin::Origins;
use crate::observation::{Network, Observation, Violations};
use crate::severity::Severity;
use crate::token::{TokenId, WordId};

pub mod client;
pub mod concurrent;
pub mod denied;
pub mod dormant;
pub mod escalation;
pub mod excuse;
pub mod hours;
pub mod network;
pub mod policy;
pub mod rate;
pub mod rule;
pub mod rules;
pub mod scope;
pub mod statement;
pub mod unusual;

/// What the detectors know beside the token itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Microseconds of event time that a token learns before its baseline is judged by.
    pub learning: i64,
    /// Microseconds for which one finding of a kind is not repeated; later ones join the open alert.
    pub group_window: i64,
    /// False alerts per 1000 token-days that the operator accepts.
    pub budget: f64,
    /// Thresholds of the rules, by the index that observations carry.
    pub rules: Arc<[RuleLimits]>,
    /// Where addresses come from; empty where the operator gave no files.
    pub origins: Arc<Origins>,
    /// By new token, the one whose baseline it takes over with its first event.
    pub predecessors: Arc<BTreeMap<TokenId, TokenId>>,
}

impl Settings {
    /// Settings without origins and predecessors.
    pub fn new(learning: i64, group_window: i64, budget: f64, rules: Arc<[RuleLimits]>) -> Self {
        Settings { learning, group_window, budget, rules, origins: Arc::default(), predecessors: Arc::default() }
    }
}

/// What the engine needs of a rule; its conditions were judged where the event's text was at hand.
#[derive(Debug, Clone)]
pub struct RuleLimits {
    pub id: String,
    pub word: WordId,
    pub severity: Severity,
    pub confidence: u8,
    pub attack: Vec<String>,
    /// Only where this token never did it before, and from its second active day on.
    pub novel: bool,
    /// Says nothing of a token that did something of these kinds on an earlier day.
    pub unless_used: Vec<Class>,
    /// Says nothing of a token that people use with a tool of theirs ([`client`]).
    pub unless_by_hand: bool,
    /// Speaks of tokens that still learn.
    pub while_learning: bool,
    /// Microseconds for which it is not said again; `None`: the group window.
    pub again: Option<i64>,
    pub per: Per,
    /// What must happen, in this order; never empty.
    pub steps: Vec<StepLimits>,
    /// Microseconds within which a step follows the one before.
    pub follow: i64,
}

/// What the engine needs of one step of a rule.
#[derive(Debug, Clone)]
pub struct StepLimits {
    /// Under which it is remembered.
    pub word: WordId,
    /// Counts only where the token, if the name is one, never used the network before.
    pub strangers: bool,
    /// Does not count where the token created everything that it names.
    pub unless_created: bool,
    pub threshold: Option<Threshold>,
}

/// Whose events a rule counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Per {
    #[default]
    Token,
    /// All that comes from one address (IPv6: /64), whoever it says it is.
    Address,
    /// All that comes from one network: /24, IPv6 /48.
    Network,
}

/// How often a condition must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    pub count: u32,
    pub distinct: Option<Distinct>,
    /// Microseconds.
    pub within: i64,
}

/// What a threshold counts distinct values of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distinct {
    Object,
    Address,
    Database,
    Token,
    /// Account names, those included that nobody has.
    Principal,
}

/// How the token was being watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its baseline is too young to be judged by; policy and rules speak all the same.
    Learning,
    Enforcing,
}

/// What was found, as data; words are found for it where it leaves the engine.
#[derive(Debug, Clone)]
pub enum Fact {
    /// One declared limit is broken.
    Policy(Violations),
    NewNetwork {
        usual: Vec<Entry<Prefix>>,
        internal: bool,
        /// Its country is known, and none of the token's networks is from there.
        new_country: bool,
    },
    /// A new address in a known network of a token whose addresses do not change.
    NewAddress {
        usual: Vec<Entry<u128>>,
    },
    NewClient {
        usual: Vec<Entry<WordId>>,
    },
    NewScope {
        operation: Operation,
        object: WordId,
        /// The object is known, the operation on it is new.
        object_known: bool,
        usual: Vec<Entry<u128>>,
    },
    /// Operations of a kind that the token never used.
    NewOperation {
        class: Class,
        /// It was another event that did it, earlier on the same day.
        earlier: bool,
    },
    /// A first look at what sounds as if not everybody should see it.
    Sensitive {
        object: WordId,
    },
    /// Statements that the token never sent.
    NewStatement {
        count: u16,
        /// Nobody sends statements like this one.
        unheard_of: bool,
    },
    Denied {
        objects: u32,
    },
    Errors {
        count: u16,
    },
    /// Used from two places at once.
    Concurrent {
        other: Prefix,
        /// Nobody gets from there to here in that time.
        travel: Option<Travel>,
    },
    Dormant {
        days: u8,
        longest: u8,
    },
    /// A network that no other token uses.
    Unpopular,
    UnusualHour {
        hour: u8,
        usual: u32,
    },
    Rate {
        /// Minutes in which they came.
        minutes: u8,
        count: u32,
        record: u32,
        /// Probability of so many on a day like the last ones.
        chance: Option<f64>,
    },
    Rows {
        rows: u32,
        record: u32,
        chance: Option<f64>,
    },
    /// More than ever of what an alert has reported.
    Escalation(Growth),
    Rule {
        index: u16,
        /// Events or distinct values, where the rule counts.
        count: u32,
        /// Where it all came from, where the rule counts per address or network.
        place: Option<Place>,
    },
}

/// A journey that would have been needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Travel {
    pub km: u32,
    pub minutes: u32,
    pub km_per_hour: u32,
}

/// What one detector says of one token, triggered by one observation.
#[derive(Debug, Clone)]
pub struct Finding {
    pub detector: Cow<'static, str>,
    pub severity: Severity,
    /// 0..=100.
    pub confidence: u8,
    /// Probability that a token like this one shows this today; 0 where it is forbidden outright.
    pub bound: f64,
    pub fact: Fact,
    pub mode: Mode,
    pub attack: SmallVec<[Cow<'static, str>; 1]>,
    /// How it was weighed; `None` where it is forbidden outright.
    pub weighed: Option<Weighed>,
    /// Fingerprints of the behaviour that the sets of usual values do not hold, for those who dismiss it ([`excuse`]).
    pub keys: SmallVec<[u64; 2]>,
    /// Active days behind the judgement.
    pub active_days: u16,
    pub first_seen: Time,
    pub seen: Observation,
}

/// How a finding of unusual use was weighed together with the others of its unit. In nats.
#[derive(Debug, Clone, Copy)]
pub struct Weighed {
    pub score: f64,
    /// What the score had to reach.
    pub threshold: f64,
    /// What the score would be without this finding.
    pub without: f64,
    /// The attack that it looks like most, and its share among all attacks.
    pub attack: (&'static str, f64),
    /// The harmless change that it looks like most, and its share among all that is harmless.
    pub harmless: (&'static str, f64),
    /// It is the first that is said of this token today from this network with this client.
    pub opens: bool,
}

/// One observation and what is known of its token.
pub struct Case<'a> {
    pub settings: &'a Settings,
    pub fleet: &'a Fleet,
    pub baseline: &'a Baseline,
    pub seen: &'a Observation,
    pub mode: Mode,
}

impl Case<'_> {
    /// A finding of `detector` on this case.
    pub fn finding(&self, detector: impl Into<Cow<'static, str>>, severity: Severity, confidence: u8, bound: f64, fact: Fact) -> Finding {
        Finding {
            detector: detector.into(),
            severity,
            confidence,
            bound,
            fact,
            mode: self.mode,
            attack: SmallVec::new(),
            weighed: None,
            keys: SmallVec::new(),
            active_days: self.baseline.active_days,
            first_seen: self.baseline.first_seen,
            seen: self.seen.clone(),
        }
    }

    /// The token is judged by what is usual, and this is an act of its own: from its second active day on where the fleet has learned already what
    /// new tokens do, else when it has learned itself.
    pub fn judged(&self) -> bool {
        let known = self.mode == Mode::Enforcing || self.baseline.active_days > 1 && self.fleet.settled(self.settings.learning);
        known && self.seen.acting
    }

    /// Day of the observation as the baseline counts days: what was first used before it is known; of a pinned baseline the day of the pin. Where a token is judged on its first day already
    /// (a short learning period), all that it has used until now is known.
    pub fn day(&self) -> u16 {
        match self.baseline.pinned() {
            Some(pinned) => pinned,
            None if self.baseline.active_days <= 1 => self.today().saturating_add(1),
            None => self.today(),
        }
    }

    fn today(&self) -> u16 {
        crate::baseline::day_of(self.seen.time).max(self.baseline.day)
    }

    /// Was it ever used, today included? What a pinned baseline does not know has to be new again every day.
    pub fn met<K: Copy + Eq, const N: usize>(&self, set: &Usual<K, N>, key: K) -> bool {
        match self.baseline.pinned() {
            None => set.met(key),
            Some(pinned) => set.known(key, pinned) || set.last_day(key) == Some(self.today()),
        }
    }
}

impl Finding {
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = u64>) -> Self {
        self.keys = keys.into_iter().collect();
        self
    }

    pub fn with_attack(mut self, ids: &[&'static str]) -> Self {
        self.attack = ids.iter().map(|id| Cow::Borrowed(*id)).collect();
        self
    }

    /// Surprise in nats, comparable across detectors; what is forbidden outright scores as the rarest.
    pub fn score(&self) -> f64 {
        let score = -libm::log(self.bound.max(2e-9));
        (score * 100.0).round() / 100.0
    }

    /// The address or network that this is about, where it is about no token: nobody has logged in.
    pub fn about_place(&self) -> Option<Place> {
        match self.fact {
            Fact::Rule { place: Some(place), .. } if self.seen.token == place.id() => Some(place),
            _ => None,
        }
    }

    /// Network of the observation.
    pub fn network(&self) -> Option<Network> {
        self.seen.network
    }
}

/// One entry of the table of detectors.
pub struct Detector {
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// How surprising the observation is, 0 to 4. What adds up over the day is kept in the unit.
    pub level: fn(&Case<'_>, &mut Unit) -> u8,
    /// What is to be said of the unit's level, which is above 0, at this observation.
    pub find: fn(&Case<'_>, &Unit) -> Option<Finding>,
}

/// All detectors of unusual use, in the order of [`crate::baseline::unit::Feature`]. Policy and rules stand beside them.
pub static DETECTORS: [Detector; FEATURES] = [
    network::NEW_NETWORK,
    network::UNPOPULAR_NETWORK,
    client::NEW_CLIENT,
    scope::NEW_SCOPE,
    scope::NEW_OPERATION,
    scope::SENSITIVE,
    statement::NEW_STATEMENT,
    rate::RATE,
    hours::UNUSUAL_HOUR,
    denied::DENIED,
    statement::ERRORS,
    concurrent::CONCURRENT_USE,
    dormant::DORMANT,
];
