//! Rules: definite misuse, written down in TOML files that carry their own tests.
//!
//! **Adding a rule = one file in `rules/`, and for the built-in ones one line in [`BUILTIN`].** The condition of a rule looks at
//! one event ([`condition`]); order, novelty and thresholds are plain data here and judged per token, address or network by [`super::rules`].
//!
//! So that ordinary events cost nothing, a caller asks [`RuleSet::foresee`] once per new kind and shape, keeps the answer with
//! the shape, and asks [`RuleSet::holds`] only where that left it open.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Distinct, Per, RuleLimits, StepLimits, Threshold};
use crate::baseline::Class;
use crate::config::file::slurp;
use crate::config::problem::Problem;
use crate::config::value;
use crate::observation::Hit;
use crate::severity::Severity;
use crate::token::WordId;

pub mod condition;
pub mod example;
pub mod parse;

pub use condition::{Condition, Facts, Statement, Truth};
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
    ("credential_stuffing.toml", include_str!("../../../rules/credential_stuffing.toml")),
    ("credential_stuffing_foothold.toml", include_str!("../../../rules/credential_stuffing_foothold.toml")),
    ("credential_stuffing_success.toml", include_str!("../../../rules/credential_stuffing_success.toml")),
    ("denied_burst.toml", include_str!("../../../rules/denied_burst.toml")),
    ("denied_probing.toml", include_str!("../../../rules/denied_probing.toml")),
    ("destructive_statement.toml", include_str!("../../../rules/destructive_statement.toml")),
    ("failed_login_burst.toml", include_str!("../../../rules/failed_login_burst.toml")),
    ("full_export.toml", include_str!("../../../rules/full_export.toml")),
    ("injection_shape.toml", include_str!("../../../rules/injection_shape.toml")),
    ("password_spray.toml", include_str!("../../../rules/password_spray.toml")),
    ("privilege_escalation.toml", include_str!("../../../rules/privilege_escalation.toml")),
    ("reconnaissance_export.toml", include_str!("../../../rules/reconnaissance_export.toml")),
    ("secrets_in_statements.toml", include_str!("../../../rules/secrets_in_statements.toml")),
    ("whole_tables_read.toml", include_str!("../../../rules/whole_tables_read.toml")),
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
    /// Whose events are counted together.
    pub per: Per,
    /// What must happen, in this order; never empty.
    pub steps: Vec<Step>,
    /// Microseconds within which a step follows the one before.
    pub follow: i64,
    /// Only where this token never did it before, and from its second active day on.
    pub novel: bool,
    /// Says nothing of a token that did something of these kinds on an earlier day: who reads catalogs or defines tables administers anyway.
    pub unless_used: Vec<Class>,
    /// Says nothing of a token that people use with a tool of theirs, for two weeks or since its first days ([`crate::identity::client::by_hand`]).
    pub unless_by_hand: bool,
    /// Speaks of tokens that still learn.
    pub while_learning: bool,
    /// Microseconds for which it is not said again; `None`: the group window.
    pub again: Option<i64>,
    pub examples: Vec<Example>,
}

/// One thing that must happen, as often as its threshold says.
#[derive(Debug, Clone)]
pub struct Step {
    pub condition: Condition,
    /// Counts only where the token, if the name is one, never used the network before.
    pub strangers: bool,
    /// Does not count where the token created everything that it names.
    pub unless_created: bool,
    pub threshold: Option<Threshold>,
    /// Some part of its conditions looks for a secret in the statement.
    pub seeks: bool,
    /// Where this holds, the event's own value does not count any more.
    pub unless: Option<Condition>,
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
            unless_by_hand: self.unless_by_hand,
            while_learning: self.while_learning,
            again: self.again,
            per: self.per,
            steps: (0usize..).zip(&self.steps).map(|(at, step)| self.step_limits(at, step)).collect(),
            follow: self.follow,
        }
    }

    fn step_limits(&self, at: usize, step: &Step) -> StepLimits {
        let word = match self.steps.len() {
            1 => WordId::of(self.id.as_bytes()),
            _ => WordId::of(format!("{} step {at}", self.id).as_bytes()),
        };
        StepLimits { word, strangers: step.strangers, unless_created: step.unless_created, threshold: step.threshold }
    }

    /// Every condition of the rule with what it means that it holds; of later steps first.
    fn conditions(&self) -> impl Iterator<Item = (u8, bool, &Condition)> {
        let steps = self.steps.iter().enumerate().rev().filter(|_| self.status != Status::Disabled);
        steps.flat_map(|(at, step)| {
            // At most eight.
            let at = u8::try_from(at).unwrap_or(u8::MAX);
            let back = step.unless.iter().map(move |unless| (at, true, unless));
            back.chain(std::iter::once((at, false, &step.condition)))
        })
    }

    /// What of the rule holds on this event, the rule being the one of this number in its set.
    pub fn hits(&self, number: u16, facts: &Facts<'_>) -> Hits {
        let holding = self.conditions().filter(|(_, _, condition)| condition.holds(facts));
        holding.map(|(step, back, _)| Hit { rule: number, step, back }).collect()
    }

    /// What is counted in the last step, in words: `different names within 6 h`.
    pub fn counted(&self) -> Option<String> {
        let threshold = self.steps.last()?.threshold?;
        let what = match threshold.distinct {
            None => "times",
            Some(Distinct::Object) => "different objects",
            Some(Distinct::Address) => "different addresses",
            Some(Distinct::Database) => "different databases",
            Some(Distinct::Token) => "different tokens",
            Some(Distinct::Principal) => "different names",
        };
        Some(format!("{what} within {}", value::show_duration(threshold.within)))
    }
}

/// Conditions that hold.
pub type Hits = SmallVec<[Hit; 4]>;

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

    /// What holds on this event.
    pub fn hits(&self, facts: &Facts<'_>) -> Hits {
        (0u16..).zip(&self.rules).flat_map(|(number, rule)| rule.hits(number, facts)).collect()
    }

    /// What can hold on some event with this statement, and whether it does on each; all else never does. Depends on nothing else, so the
    /// answer may be kept as long as the rules stay.
    pub fn foresee(&self, statement: &Statement<'_>) -> SmallVec<[(Hit, Truth); 4]> {
        let all = (0u16..).zip(&self.rules).flat_map(|(rule, whole)| {
            whole.conditions().map(move |(step, back, condition)| (Hit { rule, step, back }, condition.foresee(statement)))
        });
        all.filter(|(_, truth)| *truth != Truth::No).collect()
    }

    /// The condition holds on this event.
    pub fn holds(&self, hit: Hit, facts: &Facts<'_>) -> bool {
        self.condition(hit).is_some_and(|condition| condition.holds(facts))
    }

    /// The condition looks for a secret in the statement.
    pub fn looks_for_secrets(&self, hit: Hit) -> bool {
        self.step(hit).is_some_and(|step| step.seeks)
    }

    /// Where it holds, account names are counted.
    pub fn counts_names(&self, hit: Hit) -> bool {
        self.step(hit).and_then(|step| step.threshold).is_some_and(|threshold| threshold.distinct == Some(Distinct::Principal))
    }

    fn step(&self, hit: Hit) -> Option<&Step> {
        self.get(hit.rule)?.steps.get(usize::from(hit.step))
    }

    fn condition(&self, hit: Hit) -> Option<&Condition> {
        let step = self.step(hit)?;
        if hit.back { step.unless.as_ref() } else { Some(&step.condition) }
    }
}

#[cfg(test)]
mod tests;
