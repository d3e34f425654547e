//! Runs the `[[test]]` blocks of a rule as the engine would: condition, novelty, threshold, learning.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bstr::BStr;
use smallvec::SmallVec;

use super::{Example, ExampleEvent, Facts, Rule};
use crate::baseline::Baseline;
use crate::baseline::fleet::Fleet;
use crate::config::problem::Problem;
use crate::detect::{Mode, Settings, rules};
use crate::event::{Address, Kind, Operation, Outcome, Time};
use crate::observation::{Evidence, Network, Observation, Scope, Violations};
use crate::position::Partition;
use crate::sql::inspect::inspect;
use crate::sql::normalize::normalize;
use crate::token::{TokenId, WordId};

/// Days that a settled token has been in use before its test.
const SETTLED_DAYS: i64 = 14;

/// Runs every test of a rule. Each failed one is a problem that names the test and its line in `path`.
pub fn run(rule: &Rule, path: &str) -> Vec<Problem> {
    let settings = Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([rule.limits()]));
    let failed = rule.examples.iter().filter_map(|example| {
        let seen: Vec<(bool, Observation)> = example.events.iter().map(|event| observe(rule, event)).collect();
        let held = seen.iter().filter(|(held, _)| *held).count();
        let fired = fires(&settings, example, &seen);
        (fired != example.fires).then(|| {
            let wanted = if example.fires { "should fire and does not" } else { "fires and should not" };
            let message = format!("test \"{}\" {wanted}; the condition holds on {held} of {} events", example.name, seen.len());
            Problem { path: path.to_owned(), line: example.line, column: 1, message, advice: String::new() }
        })
    });
    failed.collect()
}

fn fires(settings: &Settings, example: &Example, seen: &[(bool, Observation)]) -> bool {
    let mut baselines: BTreeMap<TokenId, Baseline> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut fleet = Fleet::default();
    for (held, observation) in seen {
        let baseline = match baselines.entry(observation.token) {
            Entry::Occupied(entry) => entry.into_mut(),
            // As in the engine: a name that was only ever tried has no baseline.
            Entry::Vacant(_) if !example.settled && !observation.acting => continue,
            Entry::Vacant(entry) => entry.insert(if example.settled { settled() } else { Baseline::new(observation.time) }),
        };
        if observation.acting {
            baseline.open_day(observation.time, 0, &mut fleet);
        }
        let mode = if baseline.mature(observation.time, settings.learning) { Mode::Enforcing } else { Mode::Learning };
        if *held {
            rules::judge(settings, &fleet, baseline, observation, mode, &mut findings);
        }
        if observation.acting {
            baseline.learn(observation, false, &mut fleet);
        }
    }
    !findings.is_empty()
}

/// A token that was in use daily and did nothing that any rule looks for.
fn settled() -> Baseline {
    let mut baseline = Baseline::new(Time(0));
    for day in 0..SETTLED_DAYS {
        baseline.open_day(Time(day * Time::DAY), 0, &mut Fleet::default());
    }
    baseline
}

/// The event as the engine gets it, and whether the rule's condition holds on it.
fn observe(rule: &Rule, event: &ExampleEvent) -> (bool, Observation) {
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
        dialect: event.dialect,
    };
    let held = rule.holds(&facts);
    let word = |text: &str| WordId::of(text.as_bytes());
    let network = event.address.as_deref().and_then(|address| Address::parse(address.as_bytes())).map(|address| match address {
        Address::Ip(ip) => Network::Ip(ip),
        Address::Local => Network::Local,
        Address::Name(name) => Network::Name(WordId::of(name)),
    });
    let partition = Arc::new(Partition { source: "test".to_owned(), key: "test".to_owned(), label: "test".to_owned() });
    let observation = Observation {
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
        client: event.client.as_deref().map(word),
        database: event.database.as_deref().map(word),
        shape: understood.as_ref().map(|(shape, _)| word(shape)),
        skeleton: None,
        catalog: false,
        sensitive: false,
        scopes: scopes.iter().map(|(operation, object)| Scope { operation: *operation, object: word(object) }).collect::<SmallVec<_>>(),
        violations: Violations::default(),
        rules: SmallVec::from_slice(if held { &[0] } else { &[] }),
        rows: None,
        forgeable: false,
        at: Evidence { partition, offset: 0, len: 0 },
    };
    (held, observation)
}
