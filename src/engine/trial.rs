//! Runs the `[[test]]` blocks of a rule through the engine.

use std::sync::Arc;

use bstr::BStr;
use smallvec::SmallVec;

use super::Engine;
use crate::baseline::Baseline;
use crate::baseline::fleet::Fleet;
use crate::config::problem::Problem;
use crate::detect::Settings;
use crate::detect::rule::{Example, ExampleEvent, Facts, Rule};
use crate::event::{Address, Kind, Operation, Outcome, Time};
use crate::identity::client::family;
use crate::observation::{Evidence, Network, Observation, Scope, Violations};
use crate::position::Partition;
use crate::sql::inspect::inspect;
use crate::sql::normalize::normalize;
use crate::sql::secret;
use crate::token::{TokenId, WordId};

/// Days that a settled token has been in use before its test.
const SETTLED_DAYS: i64 = 14;

/// Runs every test of a rule. Each failed one is a problem that names the test and its line in `path`.
pub fn run(rule: &Rule, path: &str) -> Vec<Problem> {
    let settings = Arc::new(Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([rule.limits()])));
    let failed = rule.examples.iter().filter_map(|example| {
        let seen: Vec<Observation> = example.events.iter().map(|event| observe(rule, event)).collect();
        let held = seen.iter().filter(|seen| seen.rules.iter().any(|hit| !hit.back)).count();
        let fired = fires(&settings, rule, example, &seen);
        (fired != example.fires).then(|| {
            let wanted = if example.fires { "should fire and does not" } else { "fires and should not" };
            let message = format!("test \"{}\" {wanted}; the condition holds on {held} of {} events", example.name, seen.len());
            Problem { path: path.to_owned(), line: example.line, column: 1, message, advice: String::new() }
        })
    });
    failed.collect()
}

fn fires(settings: &Arc<Settings>, rule: &Rule, example: &Example, seen: &[Observation]) -> bool {
    let mut engine = Engine::new(settings.clone());
    for observation in seen.iter().filter(|_| example.settled) {
        engine.load(observation.token, settled());
    }
    let mut findings = Vec::new();
    engine.step(seen, &mut findings);
    let detector = format!("rule.{}", rule.id);
    findings.iter().any(|finding| finding.detector == detector)
}

/// A token that was in use daily and did nothing that any rule looks for.
fn settled() -> Baseline {
    let mut baseline = Baseline::new(Time(0));
    for day in 0..SETTLED_DAYS {
        baseline.open_day(Time(day * Time::DAY), 0, &mut Fleet::default());
    }
    baseline
}

/// The event as the engine gets it, the rule being its only one.
fn observe(rule: &Rule, event: &ExampleEvent) -> Observation {
    let mut shape = Vec::new();
    let understood = event.statement.as_deref().map(|statement| {
        normalize(statement.as_bytes(), event.dialect, &mut shape);
        (String::from_utf8_lossy(&shape).into_owned(), inspect(&shape, event.dialect))
    });
    let read = understood.as_ref().map(|(_, inspection)| inspection);
    let nothing =
        if matches!(event.kind, Kind::Login | Kind::LoginFailed | Kind::Logout) { Operation::Connect } else { Operation::Unknown };
    let operation = event.operation.or(read.map(|read| read.operation)).unwrap_or(nothing);
    let scopes: Vec<(Operation, &str)> = match read {
        Some(read) if event.objects.is_empty() => read.objects.iter().map(|(op, object)| (*op, object.as_str())).collect(),
        _ => event.objects.iter().map(|object| (operation, object.as_str())).collect(),
    };
    let facts = Facts {
        kind: event.kind,
        operation,
        scopes: &scopes,
        outcome: event.outcome,
        code: event.code.as_deref().map(BStr::new),
        principal: Some(BStr::new(&event.token)),
        database: event.database.as_deref().map(BStr::new),
        client: event.client.as_deref().map(BStr::new),
        shape: understood.as_ref().map(|(shape, _)| shape.as_str()),
        secret: event.statement.as_deref().is_some_and(|statement| secret::in_plain_text(statement.as_bytes(), event.dialect)),
        dialect: event.dialect,
    };
    let word = |text: &str| WordId::of(text.as_bytes());
    let network = event.address.as_deref().and_then(|address| Address::parse(address.as_bytes())).map(|address| match address {
        Address::Ip(ip) => Network::Ip(ip),
        Address::Local => Network::Local,
        Address::Name(name) => Network::Name(WordId::of(name)),
    });
    let partition = Arc::new(Partition { source: "test".to_owned(), key: "test".to_owned(), label: "test".to_owned() });
    Observation {
        token: TokenId::of(event.token.as_bytes()),
        time: Time((SETTLED_DAYS * Time::DAY).saturating_add(event.at)),
        kind: event.kind,
        operation,
        outcome: match event.kind {
            Kind::Denied | Kind::LoginFailed => Outcome::Denied,
            _ => event.outcome,
        },
        acting: event.kind != Kind::LoginFailed,
        network,
        client: event.client.as_deref().map(|client| word(&family(client.as_bytes()))),
        database: event.database.as_deref().map(word),
        shape: understood.as_ref().map(|(shape, _)| word(shape)),
        skeleton: None,
        catalog: false,
        sensitive: false,
        scopes: scopes.iter().map(|(operation, object)| Scope { operation: *operation, object: word(object) }).collect::<SmallVec<_>>(),
        violations: Violations::default(),
        kept: Violations::default(),
        rules: rule.hits(0, &facts),
        principal: Some(word(&event.token)),
        rows: None,
        forgeable: false,
        at: Evidence { partition, offset: 0, len: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::rule::{RuleSet, parse};

    #[test]
    fn the_tests_of_the_built_in_rules_pass() {
        let set = RuleSet::builtin();
        let mut problems = Vec::new();
        for rule in set.rules() {
            let count = |fires| rule.examples.iter().filter(|example| example.fires == fires).count();
            assert!(count(true) >= 2 && count(false) >= 2, "{} has too few tests", rule.id);
            problems.extend(run(rule, &format!("rules/{}.toml", rule.id)));
        }
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(shown.is_empty(), "{shown:#?}");
    }

    #[test]
    fn a_failed_test_is_a_problem_with_its_place() {
        let text = "id = \"x\"\ntitle = \"t\"\nseverity = \"low\"\nmatch = { kind = [\"login\"] }\n[[test]]\nname = \"n\"\nfires = false\nevents = [{ kind = \"login\" }]\n";
        let rule = parse::parse(text, "rules/x.toml", "x").unwrap();
        let problems = run(&rule, "rules/x.toml");
        assert_eq!(problems[0].to_string(), "rules/x.toml:5:1: test \"n\" fires and should not; the condition holds on 1 of 1 events");
    }
}
