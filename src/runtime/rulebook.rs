//! Everything that judging needs and that a reload may change, loaded together so that it fits together.

use std::path::Path;
use std::sync::Arc;

use crate::alert::explain::RuleWords;
use crate::alert::group::Face;
use crate::config::problem::Problem;
use crate::config::{self, Checks, Config};
use crate::decoder::FORMATS;
use crate::detect::Settings;
use crate::detect::rule::RuleSet;
use crate::identity::inventory::{Entry, Inventory};
use crate::identity::origin::Origins;
use crate::identity::policy;
use crate::observation::Violations;
use crate::token::TokenId;

/// Configuration, inventory, rules and origins of addresses of one moment.
pub struct Rulebook {
    pub config: Config,
    pub inventory: Arc<Inventory>,
    pub rules: Arc<RuleSet>,
    pub settings: Arc<Settings>,
    /// What explanations say of each rule, by index.
    pub words: Vec<RuleWords>,
    /// Entry of the inventory by token.
    entries: std::collections::HashMap<TokenId, usize>,
    /// Fingerprint of the inventory and of what is checked in it.
    pub print: u64,
}

impl Rulebook {
    /// Reads the configuration (`None`: defaults) and all that it names.
    ///
    /// # Errors
    /// Every problem of every file, so that one run shows them all.
    pub fn load(path: Option<&Path>) -> Result<Arc<Self>, Vec<Problem>> {
        let formats: Vec<&str> = FORMATS.iter().map(|f| f.name).collect();
        let mut problems = Vec::new();
        let config = match path {
            Some(path) => config::load(path, &formats).unwrap_or_else(|found| {
                problems.extend(found);
                config::named_files(path)
            }),
            None => Config::default(),
        };
        let inventory = match &config.inventory {
            Some(path) => Inventory::load(path).unwrap_or_else(|found| {
                problems.extend(found);
                Inventory::default()
            }),
            None => Inventory::default(),
        };
        let rules = match &config.rules {
            Some(dir) => RuleSet::load_dir(dir),
            None => Ok(RuleSet::builtin()),
        };
        let rules = rules.unwrap_or_else(|found| {
            problems.extend(found);
            RuleSet::default()
        });
        let origins = Origins::load(&config.detect.mmdb).unwrap_or_else(|found| {
            problems.extend(found);
            Origins::default()
        });
        if problems.is_empty() { Ok(Arc::new(Self::new(config, inventory, rules, origins))) } else { Err(problems) }
    }

    /// Joins parts that are known to be sound.
    pub fn new(config: Config, inventory: Inventory, rules: RuleSet, origins: Origins) -> Self {
        let words = rules.rules().iter().map(|rule| RuleWords { title: rule.title.clone(), counted: rule.counted() }).collect();
        let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        let settings = Settings::new(
            micros(config.detect.learning),
            micros(config.detect.group_window),
            config.detect.false_alerts_per_1000_token_days,
            rules.limits(),
        );
        let id = |entry: &Entry| TokenId::of(entry.name.as_bytes());
        let heirs = inventory.entries().iter().filter_map(|entry| Some((id(entry), id(inventory.get(entry.successor_of?)?))));
        let predecessors = Arc::new(heirs.collect());
        let settings = Settings { origins: Arc::new(origins), predecessors, ..settings };
        let entries = inventory.entries().iter().enumerate().map(|(at, entry)| (TokenId::of(entry.name.as_bytes()), at)).collect();
        let print = print_of(&config.checks, &inventory);
        Rulebook { config, inventory: Arc::new(inventory), rules: Arc::new(rules), settings: Arc::new(settings), words, entries, print }
    }

    /// What the inventory declares of a token.
    pub fn entry(&self, token: TokenId) -> Option<&Entry> {
        self.entries.get(&token).and_then(|at| self.inventory.get(*at))
    }

    /// All declared tokens, in the order of the file.
    pub fn declared_tokens(&self) -> impl Iterator<Item = (TokenId, &Entry)> {
        self.inventory.entries().iter().map(|entry| (TokenId::of(entry.name.as_bytes()), entry))
    }

    /// What the inventory says of a token for the face of its alerts.
    pub fn face(&self, token: TokenId) -> Face {
        self.entry(token).map(|e| Face { owner: e.owner.clone(), contact: e.contact.clone() }).unwrap_or_default()
    }

    /// Account names of a declared token that are written out (patterns and roles of leases are not), for those who revoke.
    pub fn principals(&self, token: &str) -> Vec<String> {
        let entry = self.inventory.by_name(token).and_then(|at| self.inventory.get(at));
        entry
            .map(|e| e.matcher.user.as_str().to_owned())
            .filter(|user| !user.contains(['*', '?']) && !user.starts_with("vault:"))
            .into_iter()
            .collect()
    }

    /// The declared limit that was broken, in words.
    pub fn declared(&self, token: TokenId, broken: Violations) -> Option<String> {
        let entry = self.entry(token)?;
        Some(policy::describe(entry, broken))
    }
}

fn print_of(checks: &Checks, inventory: &Inventory) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch inventory print v1");
    hasher.update(format!("{checks:?}").as_bytes());
    for entry in inventory.entries() {
        let Entry { name, owner, expires_at, revoked_at, rotate_every, rotated_at, canary, accept, .. } = entry;
        hasher.update(format!("{name:?}{owner:?}{expires_at:?}{revoked_at:?}{rotate_every:?}{rotated_at:?}{canary}{accept:?}").as_bytes());
    }
    let mut out = [0; 8];
    hasher.finalize_xof().fill(&mut out);
    u64::from_le_bytes(out)
}
