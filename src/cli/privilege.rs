//! What a token may do beside what it does: the report of `tokenwatch tokens least-privilege`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::alert::explain::Explainer;
use crate::baseline::{Baseline, scope_object, scope_operation};
use crate::event::{Operation, Time};
use crate::identity::dictionary::Dictionary;
use crate::identity::inventory::Entry;
use crate::identity::policy::{granted, needs_no_grant};

/// More tables of one schema than this are proposed as `schema.*`.
const MANY: usize = 5;

/// One token.
#[derive(Debug, Serialize)]
pub struct Report {
    pub token: String,
    /// `false`: nobody declared what it may do.
    pub declared: bool,
    /// Days from its first to its last event.
    pub watched_days: i32,
    /// What it does, as far as that needs a right.
    pub used: Vec<Used>,
    /// Declared rights that it never used in these days.
    pub unused: Vec<String>,
    /// Lines for tokens.toml that allow just what was seen.
    pub proposal: String,
}

/// One thing that it does.
#[derive(Debug, Serialize)]
pub struct Used {
    pub scope: String,
    pub count: u16,
    pub last_day: String,
    /// An alert named it when it was new, less than a week of use ago: not to be declared without a look at that alert.
    pub alerted: bool,
    /// `None`: nothing is declared at all.
    pub declared: Option<bool>,
}

/// One entry of the baseline.
struct Scope {
    operation: Operation,
    object: String,
    count: u16,
    last_day: u16,
    alerted: bool,
}

impl Report {
    pub fn of(name: &str, entry: Option<&Entry>, baseline: Option<&Baseline>, dictionary: &Dictionary) -> Report {
        let grants = entry.and_then(|entry| entry.scope.as_deref());
        let mut scopes: Vec<Scope> = baseline
            .into_iter()
            .flat_map(|baseline| baseline.scopes.iter())
            .map(|e| Scope {
                operation: scope_operation(e.key),
                object: dictionary.word(scope_object(e.key)).to_string(),
                count: e.count,
                last_day: e.last_day,
                alerted: e.reported != 0,
            })
            .filter(|scope| !needs_no_grant(scope.operation, &scope.object))
            .collect();
        scopes.sort_by(|a, b| (&a.object, a.operation.name()).cmp(&(&b.object, b.operation.name())));
        let used = scopes.iter().map(|scope| Used {
            scope: format!("{} {}", scope.operation, scope.object),
            count: scope.count,
            last_day: day(scope.last_day),
            alerted: scope.alerted,
            declared: grants.map(|grants| granted(grants, scope.operation, &scope.object)),
        });
        let unused = grants.into_iter().flatten().filter(|grant| {
            let grant = std::slice::from_ref(*grant);
            !scopes.iter().any(|scope| granted(grant, scope.operation, &scope.object))
        });
        Report {
            token: name.to_owned(),
            declared: grants.is_some(),
            watched_days: baseline.map_or(0, |b| b.last_seen.day() - b.first_seen.day() + 1),
            used: used.collect(),
            unused: unused.map(ToString::to_string).collect(),
            proposal: proposal(name, &scopes, baseline, dictionary),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!("{} (watched for {})\n", self.token, super::count(u64::from(self.watched_days.unsigned_abs()), "day"));
        let line = |used: &Used| {
            let alerted = if used.alerted { ", alerted" } else { "" };
            format!("    {:<40}  {:>6} x, last {}{alerted}\n", used.scope, used.count, used.last_day)
        };
        let mut part = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                let _ = writeln!(out, "  {title}");
                lines.iter().for_each(|line| out.push_str(line));
            }
        };
        let which = |wanted: Option<bool>| self.used.iter().filter(|used| used.declared == wanted).map(line).collect::<Vec<_>>();
        part("used beyond what is declared", which(Some(false)));
        part("declared and never used", self.unused.iter().map(|grant| format!("    {grant}\n")).collect());
        part("declared and used", which(Some(true)));
        part("used; nothing is declared", which(None));
        let exact = self.declared && self.unused.is_empty() && self.used.iter().all(|used| used.declared == Some(true));
        if exact {
            out.push_str("  it may do just what it does\n");
        } else if !self.used.is_empty() {
            let but = if self.used.iter().any(|used| used.alerted) { ", without what was alerted" } else { "" };
            let _ = writeln!(out, "  what was seen, for tokens.toml{but}");
            self.proposal.lines().for_each(|line| out.push_str(&format!("    {line}\n")));
        }
        out
    }
}

/// An entry of the inventory that allows what was seen.
fn proposal(name: &str, scopes: &[Scope], baseline: Option<&Baseline>, dictionary: &Dictionary) -> String {
    // Operations on each schema, with the objects.
    let mut schemas: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    // What a name with a space or a star would declare is something else.
    let odd = |object: &str| object.contains(|c: char| c.is_whitespace() || c == '*');
    for scope in scopes.iter().filter(|scope| !scope.alerted && !odd(&scope.object)) {
        let schema = scope.object.rsplit_once('.').map_or("", |(schema, _)| schema);
        schemas.entry((schema, scope.operation.name())).or_default().push(&scope.object);
    }
    let mut lines = Vec::new();
    for ((schema, operation), objects) in schemas {
        if objects.len() > MANY && !schema.is_empty() {
            lines.push(format!("{operation} {schema}.*"));
        } else {
            lines.extend(objects.into_iter().map(|object| format!("{operation} {object}")));
        }
    }
    let list = |values: Vec<String>| {
        let quoted: Vec<String> = values.iter().map(|value| toml::Value::from(value.as_str()).to_string()).collect();
        if quoted.iter().map(String::len).sum::<usize>() < 60 {
            format!("[{}]", quoted.join(", "))
        } else {
            format!("[\n    {},\n]", quoted.join(",\n    "))
        }
    };
    let explainer = Explainer { dictionary, rules: &[], declared: &|_, _| None, origins: None };
    let mut networks: Vec<String> = baseline
        .into_iter()
        .flat_map(|b| b.networks.iter())
        .filter(|e| e.reported == 0)
        .map(|e| e.key)
        .filter(|prefix| prefix.bits().is_some())
        .map(|prefix| explainer.prefix(prefix))
        .collect();
    networks.sort();
    let mut out = format!("[[token]]\nname = {}\n", toml::Value::from(name));
    if !networks.is_empty() {
        out.push_str(&format!("networks = {}\n", list(networks)));
    }
    if !lines.is_empty() {
        out.push_str(&format!("scope = {}\n", list(lines)));
    }
    out
}

fn day(day: u16) -> String {
    Time(i64::from(day) * Time::DAY).to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::inventory::Inventory;

    #[test]
    fn a_proposal_is_an_inventory_and_never_wider_than_what_was_seen() {
        let names = ["app.a", "app.b", "app.c", "app.d", "app.e", "app.f", "reporting.x", "odd name", "star.*"];
        let seen =
            |object: &str, alerted| Scope { operation: Operation::Select, object: object.to_owned(), count: 1, last_day: 20_000, alerted };
        let mut scopes: Vec<_> = names.iter().map(|name| seen(name, false)).collect();
        scopes.push(seen("reporting.salaries", true));
        let text = proposal("a \"quoted\" name", &scopes, None, &Dictionary::default());
        assert!(text.contains("\"select app.*\", \"select reporting.x\""), "{text}");
        assert!(!text.contains("odd") && !text.contains("star") && !text.contains("salaries"), "{text}");
        let inventory = Inventory::parse(&text, "tokens.toml").unwrap_or_else(|problems| panic!("{problems:?}"));
        let entry = inventory.get(inventory.by_name("a \"quoted\" name").expect("the entry")).expect("the entry");
        let report = Report::of("a", Some(entry), None, &Dictionary::default());
        assert_eq!(report.unused, ["select app.*", "select reporting.x"]);
    }
}
