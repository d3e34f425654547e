//! The observation: an event after understanding, as the engine takes it in. Flat, owned, without text.
//!
//! Text stays behind in the dictionary ([`crate::identity::dictionary`]) under its [`WordId`]; it is looked up again only
//! to explain a finding.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::event::{Kind, Operation, Outcome, Time};
use crate::position::{At, Partition};
use crate::token::{TokenId, WordId};

/// Where a client sits, in a form that is compared and remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    Ip(IpAddr),
    Local,
    Name(WordId),
}

/// One operation on one object. A statement on no object (`BEGIN`, `SELECT 1`) has no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    pub operation: Operation,
    /// The object's full name, as far as the log gives it.
    pub object: WordId,
}

/// Declared limits of the inventory that this event breaks. Policy needs no learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Violations(pub u16);

impl Violations {
    pub const NETWORK: Violations = Violations(1);
    pub const SCOPE: Violations = Violations(2);
    pub const HOURS: Violations = Violations(4);
    pub const EXPIRED: Violations = Violations(8);
    pub const REVOKED: Violations = Violations(16);
    /// The token, or an object it touches, is a canary.
    pub const CANARY: Violations = Violations(32);

    pub fn contains(self, other: Violations) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn insert(&mut self, other: Violations) {
        self.0 |= other.0;
    }

    /// Those of the given bits that are set.
    pub fn only(self, bits: Violations) -> Violations {
        Violations(self.0 & bits.0)
    }

    /// These and the others.
    pub fn with(self, other: Violations) -> Violations {
        Violations(self.0 | other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Where the record of an observation stands; cheap to copy around.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub partition: Arc<Partition>,
    pub offset: u64,
    pub len: u32,
}

impl From<&At> for Evidence {
    fn from(at: &At) -> Self {
        Evidence { partition: at.partition.clone(), offset: at.offset, len: at.len }
    }
}

/// A rule's condition holds on an event. Thresholds, order and novelty are judged by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hit {
    /// Number of the rule in its set.
    pub rule: u16,
    pub step: u8,
    /// It is the condition that takes back what was counted.
    pub back: bool,
}

/// One event of one token.
#[derive(Debug, Clone)]
pub struct Observation {
    pub token: TokenId,
    pub time: Time,
    pub kind: Kind,
    pub operation: Operation,
    pub outcome: Outcome,
    /// The principal was verified by the server. A failed login is never `acting`: somebody acted *against* this token.
    pub acting: bool,
    pub network: Option<Network>,
    /// Client family: the name without version, counters and ids.
    pub client: Option<WordId>,
    pub database: Option<WordId>,
    pub shape: Option<WordId>,
    /// The shape without its names.
    pub skeleton: Option<WordId>,
    /// Every object is part of the system catalogs.
    pub catalog: bool,
    /// An object of this name may hold what people must not see: cards, salaries, health.
    pub sensitive: bool,
    pub scopes: SmallVec<[Scope; 2]>,
    pub violations: Violations,
    /// Declared limits that it keeps: its owner says that this is how the token is used.
    pub kept: Violations,
    /// Conditions of rules that hold on this event; of one rule the later steps first, so that no event is two steps at once.
    pub rules: SmallVec<[Hit; 4]>,
    /// The account name that the log gives, where a rule counts names. Of a failed login it may be anything.
    pub principal: Option<WordId>,
    pub rows: Option<u64>,
    /// The format of the record can be forged by clients: it may alert, never revoke.
    pub forgeable: bool,
    pub at: Evidence,
}

impl Observation {
    /// A successful query of a token, with nothing known beside it.
    pub fn bare(token: TokenId, time: Time, at: Evidence) -> Self {
        Observation {
            token,
            time,
            kind: Kind::Query,
            operation: Operation::Select,
            outcome: Outcome::Success,
            acting: true,
            network: None,
            client: None,
            database: None,
            shape: None,
            skeleton: None,
            catalog: false,
            sensitive: false,
            scopes: SmallVec::new(),
            violations: Violations::default(),
            kept: Violations::default(),
            rules: SmallVec::new(),
            principal: None,
            rows: None,
            forgeable: false,
            at,
        }
    }
}
