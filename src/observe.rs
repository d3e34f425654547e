//! Event -> observation: whose act it is, what it touches, which declared limits and which rules' conditions it meets. The last
//! place that sees the event's text.
//!
//! The token is chosen by what the server verified: the user of an authorised session, and what the inventory says of it. A
//! claimed name (the user of a refused login) never chooses the token; it only says whom somebody tried to be.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use std::collections::HashMap;
use std::sync::Arc;

use bstr::{BStr, ByteSlice};
use smallvec::SmallVec;

use crate::detect::rule::{Facts, RuleSet};
use crate::event::{Address, Event, Kind, Operation, Provenance};
use crate::identity::client::family;
use crate::identity::dictionary::Dictionary;
use crate::identity::inventory::Inventory;
use crate::identity::policy;
use crate::observation::{Evidence, Network, Observation, Scope, Violations};
use crate::sql::cache::{Shape, ShapeCache};
use crate::token::{TokenId, WordId};

/// Entries per cache of names. A full cache is emptied: what it holds can be computed again.
const CACHE: usize = 1 << 16;

type Cache<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Which token an event belongs to.
#[derive(Debug, Clone)]
pub struct Attribution {
    pub token: TokenId,
    /// Entry of the inventory, where it is declared.
    pub entry: Option<usize>,
    pub provenance: Provenance,
}

/// What an event does, apart from who does it.
pub struct Meaning<'e> {
    pub operation: Operation,
    pub scopes: SmallVec<[(Operation, WordId, Name<'e>); 2]>,
    pub shape: Option<Arc<Shape>>,
}

/// An object's name: in the record itself, or in the shape.
#[derive(Debug, Clone, Copy)]
pub enum Name<'e> {
    Record(&'e BStr),
    /// Index into the shape's objects.
    Shape(usize),
}

/// Turns events into observations; one per decoding thread.
pub struct Attributor {
    inventory: Arc<Inventory>,
    rules: Arc<RuleSet>,
    dictionary: Arc<Dictionary>,
    shapes: ShapeCache,
    tokens: Cache<Box<[u8]>, TokenId>,
    words: Cache<Box<[u8]>, WordId>,
    clients: Cache<Box<[u8]>, WordId>,
    candidates: Cache<RuleKey, SmallVec<[u16; 4]>>,
    verdicts: Cache<(Option<usize>, bool, Scope), Violations>,
}

/// All of an event that the cacheable part of a rule looks at.
#[derive(PartialEq, Eq, Hash)]
struct RuleKey {
    kind: Kind,
    operation: Operation,
    shape: Option<WordId>,
    scopes: SmallVec<[Scope; 2]>,
}

impl Attributor {
    pub fn new(inventory: Arc<Inventory>, rules: Arc<RuleSet>, dictionary: Arc<Dictionary>) -> Self {
        Attributor {
            inventory,
            rules,
            dictionary,
            shapes: ShapeCache::default(),
            tokens: Cache::default(),
            words: Cache::default(),
            clients: Cache::default(),
            candidates: Cache::default(),
            verdicts: Cache::default(),
        }
    }

    /// Takes a new inventory and new rules; what was cached under the old ones is dropped.
    pub fn reload(&mut self, inventory: Arc<Inventory>, rules: Arc<RuleSet>) {
        self.inventory = inventory;
        self.rules = rules;
        self.candidates.clear();
        self.verdicts.clear();
    }

    /// The token of an event; `None` where the event names no principal, or may be forged.
    pub fn attribute(&mut self, event: &Event<'_>) -> Option<Attribution> {
        let principal = event.principal?;
        if event.suspect.is_some() || principal.name.is_empty() {
            return None;
        }
        let entry = self.inventory.resolve(principal.name, event.database, event.client, event.address);
        let token = match entry.and_then(|at| self.inventory.get(at)) {
            Some(declared) => {
                let name = declared.name.clone();
                self.token_of(name.as_bytes())
            }
            None => self.token_of(principal.name),
        };
        Some(Attribution { token, entry, provenance: principal.provenance })
    }

    fn token_of(&mut self, name: &[u8]) -> TokenId {
        if let Some(token) = self.tokens.get(name) {
            return *token;
        }
        let token = TokenId::of(name);
        self.dictionary.add_token(token, &name.to_str_lossy());
        make_room(&mut self.tokens);
        self.tokens.insert(name.into(), token);
        token
    }

    fn word_of(&mut self, text: &[u8]) -> WordId {
        if let Some(word) = self.words.get(text) {
            return *word;
        }
        let word = WordId::of(text);
        self.dictionary.add_word(word, &text.to_str_lossy());
        make_room(&mut self.words);
        self.words.insert(text.into(), word);
        word
    }

    fn client_of(&mut self, name: &[u8]) -> WordId {
        if let Some(word) = self.clients.get(name) {
            return *word;
        }
        let family = family(name);
        let word = WordId::of(family.as_bytes());
        self.dictionary.add_word(word, &family);
        make_room(&mut self.clients);
        self.clients.insert(name.into(), word);
        word
    }

    /// What the event does: the record's own word before what its statement says.
    pub fn meaning<'e>(&mut self, event: &Event<'e>) -> Meaning<'e> {
        let shape = event.statement.map(|statement| self.shapes.understand(statement, event.dialect).0);
        let operation = event.operation.or_else(|| shape.as_ref().map(|s| s.operation)).unwrap_or(match event.kind {
            Kind::Login | Kind::LoginFailed => Operation::Connect,
            _ => Operation::Unknown,
        });
        let mut scopes = SmallVec::new();
        if !event.objects.is_empty() {
            for name in event.objects {
                scopes.push((operation, self.word_of(name), Name::Record(name)));
            }
        } else if let Some(shape) = &shape {
            for (at, object) in shape.objects.iter().enumerate() {
                scopes.push((object.operation, object.word, Name::Shape(at)));
            }
        }
        Meaning { operation, scopes, shape }
    }

    /// The observation of an event; `None` for what no token did.
    pub fn observe(&mut self, event: &Event<'_>, at: Evidence, forgeable: bool) -> Option<Observation> {
        if event.kind == Kind::Other {
            return None;
        }
        let who = self.attribute(event)?;
        let acting = who.provenance != Provenance::Claimed && event.kind != Kind::LoginFailed;
        let meaning = self.meaning(event);
        let network = match event.address {
            None => None,
            Some(Address::Ip(ip)) => Some(Network::Ip(ip)),
            Some(Address::Local) => Some(Network::Local),
            Some(Address::Name(name)) => Some(Network::Name(self.word_of(name))),
        };
        let scopes: SmallVec<[Scope; 2]> =
            meaning.scopes.iter().map(|(operation, object, _)| Scope { operation: *operation, object: *object }).collect();
        let violations = self.violations(who.entry, event, acting, &meaning, &scopes);
        let rules = self.rules_of(event, &meaning, &scopes);
        Some(Observation {
            token: who.token,
            time: event.time,
            kind: event.kind,
            operation: meaning.operation,
            outcome: event.outcome,
            acting,
            network,
            client: event.client.filter(|c| !c.is_empty()).map(|client| self.client_of(client)),
            database: event.database.filter(|d| !d.is_empty()).map(|database| self.word_of(database)),
            shape: meaning.shape.as_ref().map(|s| s.id),
            scopes,
            violations,
            rules,
            rows: event.rows,
            forgeable,
            at,
        })
    }

    /// What the policy says; the verdict on each (token, scope) is remembered.
    fn violations(&mut self, entry: Option<usize>, event: &Event<'_>, acting: bool, meaning: &Meaning<'_>, scopes: &[Scope]) -> Violations {
        let declared = entry.and_then(|at| self.inventory.get(at));
        if !acting || declared.is_none() && !self.inventory.has_canary_objects() {
            return Violations::default();
        }
        let mut broken = policy::violations(declared, &self.inventory, event.time, event.address, event.kind, &[]);
        for ((operation, _, name), scope) in meaning.scopes.iter().zip(scopes) {
            let key = (entry, event.kind == Kind::Query, *scope);
            let verdict = match self.verdicts.get(&key) {
                Some(verdict) => *verdict,
                None => {
                    let on = [(*operation, name.text(meaning.shape.as_deref()))];
                    let whole = policy::violations(declared, &self.inventory, event.time, None, event.kind, &on);
                    // Only what the object decides may be remembered.
                    let verdict = whole.only(Violations::SCOPE).with(whole.only(Violations::CANARY));
                    make_room(&mut self.verdicts);
                    self.verdicts.insert(key, verdict);
                    verdict
                }
            };
            broken.insert(verdict);
        }
        broken
    }

    /// Rules whose conditions hold. What depends on the statement alone is cached, so that an ordinary event costs one look-up.
    fn rules_of(&mut self, event: &Event<'_>, meaning: &Meaning<'_>, scopes: &[Scope]) -> SmallVec<[u16; 4]> {
        let shape = meaning.shape.as_deref();
        let key = RuleKey { kind: event.kind, operation: meaning.operation, shape: shape.map(|s| s.id), scopes: scopes.into() };
        if self.candidates.get(&key).is_some_and(|found| found.is_empty()) {
            return SmallVec::new();
        }
        let names: SmallVec<[(Operation, &str); 4]> = meaning.scopes.iter().map(|(op, _, name)| (*op, name.text(shape))).collect();
        let text = shape.map(|s| &*s.text);
        let may = match self.candidates.get(&key) {
            Some(may) => may.clone(),
            None => {
                // First sight of this statement on these objects: their names must be found again when something is explained.
                for ((_, text), scope) in names.iter().zip(scopes) {
                    self.dictionary.add_word(scope.object, text);
                }
                let may = self.rules.may_match_shape(meaning.operation, &names, text);
                make_room(&mut self.candidates);
                self.candidates.insert(key, may.clone());
                may
            }
        };
        if may.is_empty() {
            return may;
        }
        let facts = Facts {
            kind: event.kind,
            operation: meaning.operation,
            scopes: &names,
            outcome: event.outcome,
            code: event.code,
            principal: event.principal.map(|p| p.name),
            database: event.database,
            client: event.client,
            shape: text,
            dialect: event.dialect,
        };
        may.into_iter().filter(|rule| self.rules.holds(*rule, &facts)).collect()
    }
}

impl<'e> Name<'e> {
    /// The name as text; bytes that are not UTF-8 in a record's name make it match nothing.
    pub fn text<'s>(self, shape: Option<&'s Shape>) -> &'s str
    where
        'e: 's,
    {
        match self {
            Name::Record(name) => std::str::from_utf8(name).unwrap_or("\u{fffd}"),
            Name::Shape(at) => shape.and_then(|s| s.objects.get(at)).map_or("", |o| &*o.name),
        }
    }
}

fn make_room<K, V>(cache: &mut Cache<K, V>) {
    if cache.len() >= CACHE {
        cache.clear();
    }
}
