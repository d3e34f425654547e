//! Rules: definite misuse, written down in TOML files that carry their own tests.
//!
//! **Adding a rule = one file in `rules/`, and for the built-in ones one line in [`BUILTIN`].** The condition of a rule looks at
//! one event ([`condition`]); novelty and thresholds are plain data here and judged per token by [`super::rules`].
//!
//! So that ordinary events cost nothing, a caller asks [`RuleSet::may_match_shape`] once per new shape, keeps the answer with
//! the shape, and asks [`RuleSet::holds`] for those rules only.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{RuleLimits, Threshold};
use crate::baseline::Class;
use crate::config::file::slurp;
use crate::config::problem::Problem;
use crate::event::Operation;
use crate::severity::Severity;
use crate::token::WordId;

pub mod condition;
pub mod example;
pub mod parse;
pub mod trial;

pub use condition::{Condition, Facts, Statement};
pub use example::{Example, ExampleEvent};

/// More rules than this are refused; observations carry their numbers.
pub const MAX_RULES: usize = 1_000;

/// The rules that come with the program: file name, text. In the order of their names.
pub const BUILTIN: &[(&str, &str)] = &[
    ("account_administration.toml", include_str!("../../../rules/account_administration.toml")),
    ("audit_disabled.toml", include_str!("../../../rules/audit_disabled.toml")),
    ("catalog_enumeration.toml", include_str!("../../../rules/catalog_enumeration.toml")),
    ("code_execution.toml", include_str!("../../../rules/code_execution.toml")),
    ("credential_store_read.toml", include_str!("../../../rules/credential_store_read.toml")),
    ("denied_burst.toml", include_str!("../../../rules/denied_burst.toml")),
    ("denied_probing.toml", include_str!("../../../rules/denied_probing.toml")),
    ("destructive_statement.toml", include_str!("../../../rules/destructive_statement.toml")),
    ("failed_login_burst.toml", include_str!("../../../rules/failed_login_burst.toml")),
    ("full_export.toml", include_str!("../../../rules/full_export.toml")),
    ("injection_shape.toml", include_str!("../../../rules/injection_shape.toml")),
    ("privilege_escalation.toml", include_str!("../../../rules/privilege_escalation.toml")),
];

/// Whether a rule is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Stable,
    /// In use; its false alarms are not yet known well.
    Experimental,
    /// Read and tested, never fires.
    Disabled,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Also the name of its file; findings are called `rule.<id>`.
    pub id: String,
    /// What the token did, in a few words.
    pub title: String,
    pub description: String,
    pub status: Status,
    pub severity: Severity,
    /// 0..=100.
    pub confidence: u8,
    /// MITRE ATT&CK technique ids.
    pub attack: Vec<String>,
    /// What harmless things it also fires on.
    pub false_positives: Vec<String>,
    pub condition: Condition,
    /// Only where this token never did it before, and from its second active day on.
    pub novel: bool,
    /// Says nothing of a token that did something of these kinds on an earlier day: who reads catalogs or defines tables administers anyway.
    pub unless_used: Vec<Class>,
    /// Speaks of tokens that still learn.
    pub while_learning: bool,
    pub threshold: Option<Threshold>,
    pub examples: Vec<Example>,
}

impl Rule {
    /// What the engine needs of it.
    pub fn limits(&self) -> RuleLimits {
        RuleLimits {
            id: self.id.clone(),
            word: WordId::of(self.id.as_bytes()),
            severity: self.severity,
            confidence: self.confidence,
            attack: self.attack.clone(),
            novel: self.novel,
            unless_used: self.unless_used.clone(),
            while_learning: self.while_learning,
            threshold: self.threshold,
        }
    }

    /// The condition holds on this event.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.status != Status::Disabled && self.condition.holds(facts)
    }
}

/// Numbers of rules in a [`RuleSet`].
pub type Indices = SmallVec<[u16; 4]>;

/// All rules in use, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

impl RuleSet {
    /// The rules that come with the program. The tests see to it that they are free of problems.
    pub fn builtin() -> Self {
        Self::read(BUILTIN.iter().map(|(name, text)| (*name, format!("rules/{name}"), *text))).unwrap_or_default()
    }

    /// Every `*.toml` of a folder; `Err` holds the problems of all files.
    pub fn load_dir(dir: &Path) -> Result<Self, Vec<Problem>> {
        let shown = dir.display().to_string();
        let failed =
            |e: std::io::Error| vec![Problem::of_file(&shown, format!("cannot be read: {e}"), "rules = must name a folder of rule files")];
        let mut texts: BTreeMap<String, (String, String)> = BTreeMap::new();
        let mut problems = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
            if name.starts_with('.') || !name.ends_with(".toml") {
                continue;
            }
            match slurp(&path) {
                Ok(text) => {
                    texts.insert(name, (path.display().to_string(), text));
                }
                Err(problem) => problems.push(problem),
            }
        }
        if texts.is_empty() && problems.is_empty() {
            problems.push(Problem::of_file(shown, "holds no rule file", "leave out rules = to use the built-in rules"));
        }
        let read = Self::read(texts.iter().map(|(name, (path, text))| (name.as_str(), path.clone(), text.as_str())));
        match read {
            Ok(set) if problems.is_empty() => Ok(set),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                problems.sort();
                Err(problems)
            }
        }
    }

    fn read<'a>(files: impl Iterator<Item = (&'a str, String, &'a str)>) -> Result<Self, Vec<Problem>> {
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        for (name, path, text) in files {
            match parse::parse(text, &path, name.strip_suffix(".toml").unwrap_or(name)) {
                Ok(rule) => rules.push(rule),
                Err(more) => problems.extend(more),
            }
            if rules.len() > MAX_RULES {
                problems.push(Problem::of_file(path, format!("more than {MAX_RULES} rules"), "join or remove some"));
                break;
            }
        }
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        if problems.is_empty() { Ok(RuleSet { rules }) } else { Err(problems) }
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn get(&self, index: u16) -> Option<&Rule> {
        self.rules.get(usize::from(index))
    }

    /// What the engine needs of each rule, by the numbers that observations carry.
    pub fn limits(&self) -> Arc<[RuleLimits]> {
        self.rules.iter().map(Rule::limits).collect()
    }

    /// The rules whose condition holds on this event.
    pub fn candidates(&self, facts: &Facts<'_>) -> Indices {
        self.numbers(|rule| rule.holds(facts))
    }

    /// The rules that can hold on some event with this statement; all others never do. Depends on nothing else, so the
    /// answer may be kept as long as the rules stay.
    pub fn may_match_shape(&self, operation: Operation, scopes: &[(Operation, &str)], shape: Option<&str>) -> Indices {
        let statement = Statement { operation, scopes, shape };
        self.numbers(|rule| rule.status != Status::Disabled && rule.condition.may_hold(&statement))
    }

    /// The condition of this rule holds on this event.
    pub fn holds(&self, index: u16, facts: &Facts<'_>) -> bool {
        self.get(index).is_some_and(|rule| rule.holds(facts))
    }

    fn numbers(&self, wanted: impl Fn(&Rule) -> bool) -> Indices {
        (0u16..).zip(&self.rules).filter(|(_, rule)| wanted(rule)).map(|(index, _)| index).collect()
    }
}

#[cfg(test)]
mod tests;
