//! How surprising each detector finds one event of a token that has done the same for fifteen days.

use std::sync::Arc;

use super::Engine;
use crate::baseline::unit::Feature as F;
use crate::detect::Settings;
use crate::event::{Kind, Operation, Outcome, Time};
use crate::observation::{Evidence, Network, Observation, Scope};
use crate::position::Partition;
use crate::token::{TokenId, WordId};

const TODAY: i64 = 20_015;

fn word(text: &str) -> Option<WordId> {
    Some(WordId::of(text.as_bytes()))
}

fn network(address: &str) -> Option<Network> {
    Some(Network::Ip(address.parse().unwrap()))
}

fn scopes(operation: Operation, objects: &[&str]) -> smallvec::SmallVec<[Scope; 2]> {
    objects.iter().map(|object| Scope { operation, object: WordId::of(object.as_bytes()) }).collect()
}

/// What `billing` does at nine in the morning: a query that returns 1,000 rows.
fn ordinary(day: i64) -> Observation {
    let partition = Arc::new(Partition { source: "s".into(), key: "k".into(), label: "l".into() });
    Observation {
        network: network("10.1.0.5"),
        client: word("app"),
        shape: word("select total from invoices where id = ?"),
        skeleton: word("select _ from _ where _ = ?"),
        scopes: scopes(Operation::Select, &["public.invoices"]),
        rows: Some(1_000),
        ..Observation::bare(TokenId::of(b"billing"), Time(day * Time::DAY + 9 * Time::HOUR), Evidence { partition, offset: 0, len: 1 })
    }
}

/// The levels of today's unit after `events`, those above 0.
fn levels(events: &[Observation]) -> Vec<(F, u8)> {
    let mut engine = Engine::new(Arc::new(Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([]))));
    let history: Vec<Observation> = (TODAY - 15..TODAY).map(ordinary).collect();
    engine.step(&history, &mut Vec::new());
    engine.step(events, &mut Vec::new());
    let baseline = engine.get(TokenId::of(b"billing")).unwrap();
    let levels = baseline.units.most().levels;
    let all = [
        F::Network,
        F::Peer,
        F::Client,
        F::Scope,
        F::Operation,
        F::Sensitive,
        F::Shape,
        F::Volume,
        F::Hour,
        F::Denied,
        F::Errors,
        F::Concurrent,
        F::Dormant,
    ];
    all.into_iter().map(|feature| (feature, levels[feature as usize])).filter(|(_, level)| *level > 0).collect()
}

#[track_caller]
fn check(what: &str, change: impl Fn(&mut Observation), expected: &[(F, u8)]) {
    let mut seen = ordinary(TODAY);
    change(&mut seen);
    assert_eq!(levels(&[seen]), expected, "{what}");
}

#[test]
fn one_event_that_differs() {
    check("nothing new", |_| {}, &[]);
    check("another address of the network", |seen| seen.network = network("10.1.0.77"), &[(F::Network, 1)]);
    check("another internal network", |seen| seen.network = network("10.9.0.5"), &[(F::Network, 1), (F::Peer, 3)]);
    check("from outside", |seen| seen.network = network("203.0.113.9"), &[(F::Network, 4), (F::Peer, 3)]);
    check("another program", |seen| seen.client = word("psql"), &[(F::Client, 4)]);
    check("another table", |seen| seen.scopes = scopes(Operation::Select, &["hr.salaries"]), &[(F::Scope, 2)]);
    check("another operation on its table", |seen| seen.scopes = scopes(Operation::Update, &["public.invoices"]), &[(F::Scope, 1)]);
    check("many tables", |seen| seen.scopes = scopes(Operation::Select, &["hr.a", "hr.b", "hr.c", "hr.d"]), &[(F::Scope, 4)]);
    check("a kind of operation", |seen| (seen.operation, seen.scopes) = (Operation::Drop, Default::default()), &[(F::Operation, 4)]);
    check("a sensitive name that it knows", |seen| seen.sensitive = true, &[]);
    check("another statement of the same form", |seen| seen.shape = word("select name from invoices where id = ?"), &[(F::Shape, 1)]);
    check("a statement of another form", |seen| (seen.shape, seen.skeleton) = (word("select 1"), word("select ?")), &[(F::Shape, 4)]);
    check("at night", |seen| seen.time = Time(TODAY * Time::DAY + 15 * Time::HOUR), &[(F::Hour, 4)]);
    check("twelve times the rows", |seen| seen.rows = Some(12_000), &[(F::Volume, 3)]);
    check("thirty times the rows", |seen| seen.rows = Some(30_000), &[(F::Volume, 4)]);
    check("few rows, if more than ever", |seen| seen.rows = Some(4_000), &[]);
    check("refused", |seen| (seen.kind, seen.outcome) = (Kind::Denied, Outcome::Denied), &[(F::Denied, 1)]);
    check("refused by name", |seen| seen.acting = false, &[]);
}

#[test]
fn what_adds_up() {
    let hundred: Vec<Observation> = (0..100).map(|_| ordinary(TODAY)).collect();
    assert_eq!(levels(&hundred), [(F::Volume, 4)]);
    let failing: Vec<Observation> =
        hundred.iter().cloned().map(|seen| Observation { outcome: Outcome::Error, rows: None, ..seen }).collect();
    assert_eq!(levels(&failing), [], "what fails takes nothing away, and its statement is known");
    let probing: Vec<Observation> = (0..7)
        .map(|n| {
            let scopes = scopes(Operation::Select, &[&format!("hr.t{n}")]);
            Observation { kind: Kind::Denied, outcome: Outcome::Denied, scopes, ..ordinary(TODAY) }
        })
        .collect();
    assert_eq!(levels(&probing), [(F::Denied, 4)]);
    assert_eq!(levels(&[ordinary(TODAY + 40)]), [(F::Dormant, 4)]);
}

#[test]
fn a_program_that_begins_to_give_its_name() {
    let level = |client: &str, named: usize| {
        let mut engine = Engine::new(Arc::new(Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([]))));
        let history = (TODAY - 15..TODAY).map(|day| Observation { client: None, ..ordinary(day) });
        engine.step(&history.collect::<Vec<_>>(), &mut Vec::new());
        let today = vec![Observation { client: word(client), ..ordinary(TODAY) }; named];
        engine.step(&today, &mut Vec::new());
        engine.get(TokenId::of(b"billing")).unwrap().units.most().levels[F::Client as usize]
    };
    assert_eq!([level("billing", 1), level("billing", 5)], [0, 0], "it was there before, without a name");
    assert_eq!([level("psql", 1), level("psql", 5)], [4, 4], "it is a tool of people");
}

#[test]
fn two_places_at_once() {
    // Its own network and another, both used within a minute: how far it goes depends on how long it has had the other.
    let level = |days: i64| {
        let mut engine = Engine::new(Arc::new(Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([]))));
        let from = |day: i64, address: &str| Observation { network: network(address), ..ordinary(day) };
        let other =
            (TODAY - days..TODAY).map(|day| Observation { time: Time(day * Time::DAY + 15 * Time::HOUR), ..from(day, "198.51.100.7") });
        let mut history: Vec<Observation> = (TODAY - 30..TODAY).map(ordinary).chain(other).collect();
        history.sort_by_key(|seen| seen.time);
        engine.step(&history, &mut Vec::new());
        engine.step(&[from(TODAY, "10.1.0.5"), from(TODAY, "198.51.100.7")], &mut Vec::new());
        engine.get(TokenId::of(b"billing")).unwrap().units.most().levels[F::Concurrent as usize]
    };
    assert_eq!(level(0), 4, "it is new");
    assert_eq!(level(5), 4, "it was learned last week");
    assert_eq!(level(20), 0, "it works in both places");
    // A session that was left open where it worked before, and ends.
    let end = |of: &[Kind; 2]| {
        let at = |kind, address| Observation { kind, network: network(address), ..ordinary(TODAY) };
        let events = [at(of[0], "10.1.0.5"), at(of[1], "198.51.100.7")];
        levels(&events).into_iter().any(|(feature, _)| feature == F::Concurrent)
    };
    assert!(end(&[Kind::Query, Kind::Query]));
    assert!(!end(&[Kind::Logout, Kind::Query]) && !end(&[Kind::Query, Kind::Logout]), "a disconnect is no use");
}

/// What the detectors say of a token that a stranger uses so often on each day from [`TODAY`] on. `dismissed`: the first alert is, on its day.
fn told(uses: &[i64], dismissed: bool) -> Vec<(i64, String)> {
    let mut engine = Engine::new(Arc::new(Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([]))));
    engine.step(&(TODAY - 30..TODAY).map(ordinary).collect::<Vec<_>>(), &mut Vec::new());
    let mut told = Vec::new();
    for (day, uses) in (TODAY..).zip(uses) {
        let mut found = Vec::new();
        let stranger = (0..*uses).map(|minute| Observation {
            network: network("203.0.113.9"),
            client: word("psql"),
            time: Time(day * Time::DAY + 10 * Time::HOUR + minute * Time::MINUTE),
            ..ordinary(day)
        });
        engine.step(&std::iter::once(ordinary(day)).chain(stranger).collect::<Vec<_>>(), &mut found);
        told.extend(found.iter().map(|finding| (day - TODAY, finding.detector.to_string())));
        if dismissed && day == TODAY {
            let today = u16::try_from(day).unwrap();
            assert!(engine.amend(TokenId::of(b"billing"), &mut |baseline, _| baseline.accept(&(today..=today), &[], 1)));
        }
    }
    told
}

#[test]
fn whoever_makes_himself_usual_and_then_takes_everything_is_told_twice() {
    let on_days = |uses: &[i64], dismissed, detector: &str| -> Vec<i64> {
        told(uses, dismissed).iter().filter(|(_, by)| by == detector).map(|(day, _)| *day).collect()
    };
    let drip = [2, 1, 3, 0, 2, 2, 1, 3, 2, 15, 15];
    assert_eq!(on_days(&drip, false, "new_network"), [0]);
    assert_eq!(on_days(&drip, false, "escalation"), [9], "at five times what he did before, and not the day after");
    assert_eq!(on_days(&drip, true, "escalation"), [0; 0], "its owner knows him");
    assert_eq!(on_days(&[2, 1, 3, 0, 2, 2, 1, 3, 2, 6], false, "escalation"), [0; 0], "a little more");
    assert_eq!(on_days(&[2, 15, 15, 15, 15, 15, 15], false, "escalation"), [0; 0], "who comes to stay");
}

#[test]
fn a_successor_is_judged_by_what_its_predecessor_did() {
    let id = |name: &str| TokenId::of(name.as_bytes());
    let found = |predecessors: &[(&str, &str)], address: &str| {
        let mut settings = Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([]));
        settings.predecessors = Arc::new(predecessors.iter().map(|(heir, before)| (id(heir), id(before))).collect());
        let mut engine = Engine::new(Arc::new(settings));
        engine.step(&(TODAY - 30..TODAY).map(ordinary).collect::<Vec<_>>(), &mut Vec::new());
        let mut found = Vec::new();
        let heir = |day| Observation { token: id("billing_2"), network: network(address), ..ordinary(day) };
        engine.step(&[heir(TODAY), heir(TODAY + 1)], &mut found);
        let active_days = engine.get(id("billing_2")).unwrap().active_days;
        assert_eq!(engine.get(id("billing")).unwrap().active_days, 30, "the predecessor stays as it is");
        (active_days, found.iter().map(|finding| finding.detector.to_string()).collect::<Vec<_>>())
    };
    let heir = [("billing_2", "billing")];
    assert_eq!(found(&heir, "10.1.0.5"), (32, vec![]), "it does the same");
    assert_eq!(found(&heir, "203.0.113.9"), (32, vec!["new_network".to_owned()]), "a thief has it from its first day");
    assert_eq!(found(&[], "203.0.113.9"), (2, vec![]), "nobody's heir is new");
    assert_eq!(found(&[("billing_2", "unheard_of")], "10.1.0.5"), (2, vec![]));
}
