//! A rule file as a person writes it -> [`Rule`].

use regex::RegexSetBuilder;

use super::condition::{Bits, Condition};
use super::example::{self, Example};
use super::{Rule, Status, Step};
use crate::baseline::Class;
use crate::baseline::window::MOST_DISTINCT;
use crate::config::file::{Section, read};
use crate::config::glob::{Glob, ObjectGlob};
use crate::config::problem::{Problem, suggest};
use crate::config::value;
use crate::detect::{Distinct, Per, Threshold};
use crate::event::{Dialect, Kind, Operation, Outcome, Time};
use crate::severity::Severity;

/// Deeper trees are refused.
const MAX_DEPTH: usize = 16;

/// Most steps of a sequence.
const MAX_STEPS: usize = 8;

const PER: [(&str, Per); 3] = [("token", Per::Token), ("address", Per::Address), ("network", Per::Network)];

const DISTINCT: [(&str, Option<Distinct>); 6] = [
    ("none", None),
    ("object", Some(Distinct::Object)),
    ("address", Some(Distinct::Address)),
    ("database", Some(Distinct::Database)),
    ("token", Some(Distinct::Token)),
    ("principal", Some(Distinct::Principal)),
];

/// Bytes that the automaton of one list of regular expressions may take.
const MAX_REGEX: usize = 1 << 20;

pub(super) const KINDS: [(&str, Kind); 7] = [
    ("query", Kind::Query),
    ("login", Kind::Login),
    ("login_failed", Kind::LoginFailed),
    ("logout", Kind::Logout),
    ("denied", Kind::Denied),
    ("error", Kind::Error),
    ("other", Kind::Other),
];

pub(super) const OUTCOMES: [(&str, Outcome); 4] =
    [("success", Outcome::Success), ("denied", Outcome::Denied), ("error", Outcome::Error), ("unknown", Outcome::Unknown)];

pub(super) const DIALECTS: [(&str, Dialect); 4] =
    [("postgres", Dialect::Postgres), ("mysql", Dialect::MySql), ("generic", Dialect::Generic), ("none", Dialect::None)];

/// Reads one rule file. Problems name `path`; the rule's id must be `stem`, the file's name without its extension.
pub fn parse(text: &str, path: &str, stem: &str) -> Result<Rule, Vec<Problem>> {
    read(path, text, |top| rule(top, stem))
}

fn rule(top: &Section<'_>, stem: &str) -> Rule {
    let id = top.require("id", top.text("id"), &format!("\"{stem}\""));
    if let Some(id) = id {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if id.value.is_empty() || !id.value.chars().all(legal) {
            top.problem(id.at, format!("id \"{}\" must be lower-case letters, digits and _", id.value), "");
        } else if id.value != stem {
            top.problem(id.at, format!("id \"{}\" differs from the file's name", id.value), format!("name the file {}.toml", id.value));
        }
    }
    let text = |key| top.text(key).map(|text| text.value.to_owned());
    let texts = |key| top.texts(key).into_iter().map(|text| text.value.to_owned()).collect();
    let (per, follow, steps) = steps(top);
    let rule = Rule {
        id: stem.to_owned(),
        title: top.require("title", text("title"), "\"Reads stored credentials\"").unwrap_or_default(),
        description: text("description").unwrap_or_default(),
        status: top
            .one_of("status", &[("stable", Status::Stable), ("experimental", Status::Experimental), ("disabled", Status::Disabled)])
            .unwrap_or(Status::Stable),
        severity: top.require("severity", top.parsed("severity", value::severity), "\"high\"").unwrap_or(Severity::Medium),
        confidence: top.integer("confidence", 0..=100).and_then(|c| u8::try_from(c).ok()).unwrap_or(50),
        attack: top.parsed_list("attack", technique),
        false_positives: texts("false_positives"),
        per,
        steps,
        follow,
        novel: top.flag("novel").unwrap_or(false),
        unless_used: top.parsed_list("unless_used", class),
        unless_by_hand: top.flag("unless_by_hand").unwrap_or(false),
        while_learning: top.flag("while_learning").unwrap_or(false),
        again: top.parsed("again", span),
        examples: top.each("test", example::parse),
    };
    for (key, wanted) in [("novel", rule.novel), ("unless_used", !rule.unless_used.is_empty()), ("unless_by_hand", rule.unless_by_hand)] {
        if wanted && rule.per != Per::Token {
            top.problem(
                top.at_key(key),
                format!("\"{key}\" asks what a token did before; this rule counts per address or network"),
                "leave it out",
            );
        }
    }
    check_examples(top, &rule.examples);
    rule
}

/// What must happen: `match` with its threshold, or the steps of a `sequence`.
fn steps(top: &Section<'_>) -> (Per, i64, Vec<Step>) {
    let Some(sequence) = top.inside("sequence", sequence) else {
        let (per, step) = step(top, true);
        return (per, 0, step.into_iter().collect());
    };
    for key in ["match", "threshold", "strangers", "unless_created"] {
        if top.has(key) {
            top.problem(
                top.at_key(key),
                format!("a rule with a sequence has its \"{key}\" in the steps"),
                "move it into [[sequence.step]]",
            );
        }
        top.any(key);
    }
    sequence
}

fn sequence(section: &Section<'_>) -> (Per, i64, Vec<Step>) {
    let per = section.one_of("per", &PER).unwrap_or_default();
    let within = section.require("within", section.parsed("within", span), "\"6h\"").unwrap_or(Time::DAY);
    let found = section.each("step", |part| step(part, false).1);
    if !(2..=MAX_STEPS).contains(&found.len()) {
        section.problem(
            section.at(),
            format!("a sequence has 2 to {MAX_STEPS} steps"),
            "write each as [[sequence.step]]; one alone is a [match]",
        );
    }
    (per, within, found.into_iter().flatten().collect())
}

/// A condition with its threshold. `alone`: the threshold says for whom it counts.
fn step(section: &Section<'_>, alone: bool) -> (Per, Option<Step>) {
    let condition_of = |section: &Section<'_>| condition(section, 0);
    let found = section.require("match", section.inside("match", condition_of).flatten(), "{ kind = [\"denied\"] }");
    let strangers = section.flag("strangers").unwrap_or(false);
    let unless_created = section.flag("unless_created").unwrap_or(false);
    let threshold = section.inside("threshold", |section| threshold(section, alone));
    let (per, threshold, unless) = threshold.unwrap_or_default();
    let seeks = found.iter().chain(&unless).any(Condition::looks_for_secrets);
    (per, found.map(|condition| Step { condition, strangers, unless_created, threshold, seeks, unless }))
}

/// From a second to a month.
fn span(text: &str) -> Result<i64, String> {
    match value::duration(text)?.as_micros() {
        micros @ 1_000_000..=2_592_000_000_000 => Ok(i64::try_from(micros).unwrap_or(Time::DAY)),
        _ => Err(format!("\"{text}\" must be from \"1s\" to \"30d\"")),
    }
}

fn class(text: &str) -> Result<Class, String> {
    let found = Class::ALL.iter().find(|(name, _)| *name == text).map(|(_, class)| *class);
    found.ok_or_else(|| format!("\"{text}\" is no kind of operation: {}", Class::ALL.map(|(name, _)| name).join(", ")))
}

fn check_examples(top: &Section<'_>, examples: &[Example]) {
    for (index, example) in examples.iter().enumerate() {
        if examples.iter().take(index).any(|other| other.name == example.name) {
            top.problem(top.at_key("test"), format!("two tests are named \"{}\"", example.name), "");
        }
    }
}

/// A MITRE ATT&CK technique: `T1078`, `T1078.004`.
fn technique(text: &str) -> Result<String, String> {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let legal = text.strip_prefix('T').is_some_and(|rest| match rest.split_once('.') {
        Some((technique, part)) => digits(technique, 4) && digits(part, 3),
        None => digits(rest, 4),
    });
    if legal { Ok(text.to_owned()) } else { Err(format!("\"{text}\" is not an ATT&CK technique such as \"T1078\" or \"T1078.004\"")) }
}

fn threshold(section: &Section<'_>, alone: bool) -> (Per, Option<Threshold>, Option<Condition>) {
    let per = if alone { section.one_of("per", &PER).unwrap_or_default() } else { Per::Token };
    let distinct = section.one_of("distinct", &DISTINCT).flatten();
    if alone && (distinct == Some(Distinct::Token) && per == Per::Token || distinct == Some(Distinct::Address) && per == Per::Address) {
        section.problem(
            section.at_key("distinct"),
            "there is only one of it in what is counted together",
            "name another \"distinct\" or \"per\"",
        );
    }
    // A window forgets distinct values beyond its size, so a higher count would never be reached.
    let most = if distinct.is_some() { u32::try_from(MOST_DISTINCT).unwrap_or(u32::MAX) } else { 1_000_000 };
    let count = section.require("count", section.integer("count", 1..=most), "6");
    let within = section.require("within", section.parsed("within", span), "\"10m\"");
    let unless = section.inside("unless", |part| condition(part, 0)).flatten();
    if unless.is_some() && distinct.is_none() {
        section.problem(
            section.at_key("unless"),
            "\"unless\" takes back one of the values that are counted",
            "say which with \"distinct\"",
        );
    }
    (per, count.zip(within).map(|(count, within)| Threshold { count, distinct, within }), unless)
}

/// One table of tests, all of which must hold.
fn condition(section: &Section<'_>, depth: usize) -> Option<Condition> {
    if depth > MAX_DEPTH {
        section.forgive_unknown();
        section.problem(section.at(), format!("conditions are nested deeper than {MAX_DEPTH}"), "");
        return None;
    }
    let mut all: Vec<Condition> = Vec::new();
    all.extend(words(section, "kind", &KINDS, |kind| kind as u32).map(Condition::Kind));
    all.extend(words(section, "outcome", &OUTCOMES, |outcome| outcome as u32).map(Condition::Outcome));
    all.extend(words(section, "dialect", &DIALECTS, |dialect| dialect as u32).map(Condition::Dialect));
    let operations = words(section, "operation", &Operation::ALL.map(|(operation, name)| (name, operation)), |operation| operation as u32);
    match (operations, objects(section, "object")) {
        (operations, Some(objects)) => all.push(Condition::Scope(operations, objects)),
        (Some(operations), None) => all.push(Condition::Operation(operations)),
        (None, None) => {}
    }
    all.extend(objects(section, "only_objects").map(Condition::OnlyObjects));
    all.extend(globs(section, "code").map(Condition::Code));
    all.extend(globs(section, "principal").map(Condition::Principal));
    all.extend(globs(section, "database").map(Condition::Database));
    all.extend(globs(section, "client").map(Condition::Client));
    let contains: Vec<String> = section.texts("shape_contains").iter().map(|text| text.value.to_ascii_lowercase()).collect();
    all.extend(listed(section, "shape_contains", contains).map(Condition::ShapeContains));
    all.extend(regex(section));
    all.extend(section.flag("secret").map(Condition::Secret));
    for (key, make) in [("all", Condition::All as fn(Vec<Condition>) -> Condition), ("any", Condition::Any)] {
        let mut parts: Vec<Condition> = section.each(key, |part| condition(part, depth + 1)).into_iter().flatten().collect();
        parts.sort_by_key(Condition::cost);
        all.extend(listed(section, key, parts).map(make));
    }
    all.extend(section.inside("not", |part| condition(part, depth + 1)).flatten().map(|part| Condition::Not(Box::new(part))));
    all.sort_by_key(Condition::cost);
    match all.len() {
        0 => {
            // A wrong key or value in here was reported already; then this would only confuse.
            if section.is_empty() {
                let advice = "name for example kind, operation, object, outcome, shape_contains";
                section.problem(section.at(), "an empty condition would hold on every event", advice);
            }
            None
        }
        1 => all.pop(),
        _ => Some(Condition::All(all)),
    }
}

/// A list that is present must not be empty: it could never hold.
fn listed<T>(section: &Section<'_>, key: &'static str, list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() && section.is_empty_list(key) {
        section.problem(section.at_key(key), format!("an empty \"{key}\" never holds"), "leave it out, or list values");
    }
    (!list.is_empty()).then_some(list)
}

fn words<T: Copy>(section: &Section<'_>, key: &'static str, known: &[(&str, T)], number: fn(T) -> u32) -> Option<Bits> {
    let numbers = section.parsed_list(key, |text| match known.iter().find(|(name, _)| *name == text) {
        Some((_, word)) => Ok(number(*word)),
        None => {
            let names = known.iter().map(|(name, _)| *name);
            Err(format!("unknown {key} \"{text}\"; {}", suggest(text, names)))
        }
    });
    listed(section, key, numbers).map(Bits::of)
}

fn globs(section: &Section<'_>, key: &'static str) -> Option<Vec<Glob>> {
    let list = section.texts(key).iter().map(|text| Glob::new(text.value)).collect();
    listed(section, key, list)
}

fn objects(section: &Section<'_>, key: &'static str) -> Option<Vec<ObjectGlob>> {
    let list = section.parsed_list(key, |text| match text.is_empty() {
        true => Err("an empty pattern matches nothing".to_owned()),
        false => Ok(ObjectGlob::new(text)),
    });
    listed(section, key, list)
}

/// Regular expressions over the shape; the crate's run in linear time, whatever the pattern.
fn regex(section: &Section<'_>) -> Option<Condition> {
    let compile = |patterns: &[String]| RegexSetBuilder::new(patterns).case_insensitive(true).size_limit(MAX_REGEX).nest_limit(64).build();
    let patterns = section.parsed_list("shape_regex", |text| match compile(&[text.to_owned()]) {
        Ok(_) => Ok(text.to_owned()),
        Err(e) => {
            let why: Vec<String> = e.to_string().lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
            Err(format!("not a usable regular expression: {}", why.last().map_or("", String::as_str)))
        }
    });
    let patterns = listed(section, "shape_regex", patterns)?;
    match compile(&patterns) {
        Ok(set) => Some(Condition::ShapeRegex(set)),
        Err(_) => {
            section.problem(section.at_key("shape_regex"), "these regular expressions together are too large", "use fewer or simpler ones");
            None
        }
    }
}
