use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::config::{Checks, Config};
use crate::detect::rule::{Facts, RuleSet};
use crate::event::{Dialect, Kind, Operation, Outcome, Time};
use crate::identity::inventory::Inventory;
use crate::observation::{Hit, Network, Scope, Violations};
use crate::position::Partition;
use crate::token::WordId;

fn seen(day: i64, address: &str, offset: u64) -> Observation {
    let partition = Arc::new(Partition { source: "s".into(), key: "k".into(), label: "l".into() });
    Observation {
        network: Some(Network::Ip(address.parse().unwrap())),
        ..Observation::bare(TokenId::of(b"billing"), Time(day * Time::DAY), Evidence { partition, offset, len: 1 })
    }
}

/// Compiled once.
static RULEBOOK: LazyLock<Arc<Rulebook>> =
    LazyLock::new(|| Arc::new(Rulebook::new(Config::default(), Inventory::default(), RuleSet::builtin(), Default::default())));

fn judge() -> Judge {
    Judge::new(RULEBOOK.clone(), Arc::new(Dictionary::default()))
}

/// Judging in one go, or stored and put back after any of the observations, gives the same alerts and the same records.
#[test]
fn a_stored_record_goes_on_where_it_left_off() {
    let days: Vec<Observation> = (0..20)
        .map(|day| seen(100 + day, "10.0.0.7", day as u64))
        .chain([seen(121, "203.0.113.9", 90), seen(121, "203.0.114.9", 91), seen(125, "198.51.100.4", 92)])
        .collect();
    let mut whole = judge();
    let alerts = whole.step(&days, &mut |_, _| {});
    assert!(!alerts.is_empty());
    let end = whole.take_dirty();
    for cut in 0..days.len() {
        let (before, after) = days.split_at(cut);
        let mut first = judge();
        let mut got = first.step(before, &mut |_, _| {});
        let mut second = judge();
        for (token, record) in first.take_dirty() {
            assert!(second.load(token, &record), "the record written after {cut} observations cannot be read");
        }
        got.extend(second.step(after, &mut |_, _| {}));
        assert_eq!(got, alerts, "cut after {cut} observations");
        assert_eq!(second.take_dirty(), end, "cut after {cut} observations");
    }
}

/// Somebody tries a name from an address, or is in.
fn tried(kind: Kind, name: u8, place: u8, minute: i64, offset: u64) -> Observation {
    let mut seen = seen(100, &format!("203.0.{}.{}", 113 + place / 3, place), offset);
    let name = format!("name{name}");
    (seen.token, seen.principal) = (TokenId::of(name.as_bytes()), Some(WordId::of(name.as_bytes())));
    (seen.time, seen.kind, seen.acting) = (Time(100 * Time::DAY + minute * Time::MINUTE), kind, kind != Kind::LoginFailed);
    seen.rules = RULEBOOK.rules.hits(&Facts {
        kind,
        operation: Operation::Connect,
        scopes: &[],
        outcome: Outcome::Success,
        code: None,
        principal: None,
        database: None,
        client: None,
        shape: None,
        secret: false,
        dialect: Dialect::None,
    });
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same over a restart at any place of logins that fail and succeed, wherever batches end.
    #[test]
    fn what_is_known_of_places_goes_on_where_it_left_off(
        acts in prop::collection::vec((0u8..8, 0u8..9, 0u8..5, 0i64..40), 1..120),
        cut in 0usize..120,
        batch in 1usize..9,
    ) {
        let mut minute = 0;
        let acts: Vec<Observation> = acts.iter().enumerate().map(|(at, (kind, name, place, wait))| {
            minute += wait;
            let kind = match kind { 0 => Kind::Login, 1 => Kind::Query, _ => Kind::LoginFailed };
            tried(kind, *name, *place, minute, at as u64)
        }).collect();
        let cut = cut.min(acts.len());
        let mut whole = judge();
        let alerts: Vec<Alert> = acts.chunks(batch).flat_map(|batch| whole.step(batch, &mut |_, _| {})).collect();
        let (before, after) = acts.split_at(cut);
        let mut first = judge();
        let mut got = first.step(before, &mut |_, _| {});
        let mut stored: BTreeMap<TokenId, Vec<u8>> = first.take_dirty().into_iter().collect();
        let mut second = judge();
        for (token, record) in &stored {
            prop_assert!(second.load(*token, record));
        }
        got.extend(second.step(after, &mut |_, _| {}));
        prop_assert_eq!(got, alerts);
        stored.extend(second.take_dirty());
        let end: BTreeMap<TokenId, Vec<u8>> = whole.take_dirty().into_iter().collect();
        prop_assert_eq!(stored, end);
    }
}

#[test]
fn who_tries_one_name_after_the_other_is_spoken_of_once_and_so_is_every_token_that_he_gets_into() {
    let mut acts: Vec<Observation> = (0..20).map(|n| tried(Kind::LoginFailed, n, 1, i64::from(n), u64::from(n))).collect();
    acts.extend([tried(Kind::Login, 40, 1, 21, 40), tried(Kind::Query, 40, 1, 22, 41), tried(Kind::Query, 41, 1, 23, 42)]);
    let mut judge = judge();
    let alerts = judge.step(&acts, &mut |_, _| {});
    let told: Vec<(&str, &[String], u64)> =
        alerts.iter().map(|a| (a.token.as_str(), &a.detectors[..], a.time.0 as u64 / 60_000_000 % 1440)).collect();
    let stuffing = ["rule.credential_stuffing".to_owned()];
    let success = ["rule.credential_stuffing_success".to_owned()];
    let names = [40, 41].map(|n| format!("#{:?}", TokenId::of(format!("name{n}").as_bytes())));
    assert_eq!(told, [("(address 203.0.113.1)", &stuffing[..], 5), (&names[0], &success[..], 21), (&names[1], &success[..], 23)]);
    assert!(alerts[0].summary.ends_with("6 different names within 6 h"), "{}", alerts[0].summary);
    assert!(!alerts[0].authenticated && alerts[1].authenticated);
}

/// Whoever has a hundred thousand addresses takes no more memory than there is room for.
#[test]
fn a_flood_of_addresses_is_bounded() {
    let mut one = tried(Kind::LoginFailed, 1, 1, 0, 0);
    let mut judge = judge();
    for n in 0..100_000u32 {
        one.network = Some(Network::Ip(std::net::Ipv4Addr::from(0x0b00_0000 + n * 256).into()));
        one.time = Time(one.time.0 + 1);
        judge.step(std::slice::from_ref(&one), &mut |_, _| {});
    }
    let places = judge.engine().places();
    assert_eq!((places.len(), places.forgotten()), (baseline::places::MOST, 200_000 - baseline::places::MOST as u64));
    assert!(judge.take_dirty().iter().all(|(_, record)| record.len() < 250));
}

const INVENTORY: &str = r#"
[[token]]
name = "billing"
owner = "team"
networks = ["10.0.0.0/8", "203.0.113.0/24"]
[[token]]
name = "forgotten"
[[token]]
name = "worn"
owner = "team"
rotate_every = "10d"
"#;

fn judge_with(inventory: &str, checks: Checks) -> Judge {
    let inventory = Inventory::parse(inventory, "tokens.toml").unwrap();
    let config = Config { checks, ..Config::default() };
    Judge::new(Arc::new(Rulebook::new(config, inventory, RuleSet::builtin(), Default::default())), Arc::new(Dictionary::default()))
}

fn kept() -> Checks {
    Checks { kept: true, ..Checks::default() }
}

/// An act of any token at any minute.
fn act(name: &str, day: i64, minute: i64, offset: u64) -> Observation {
    let time = Time(day * Time::DAY + minute * Time::MINUTE);
    Observation { token: TokenId::of(name.as_bytes()), time, ..seen(day, "10.0.0.7", offset) }
}

/// Texts of the reports among alerts, each with its day and minute.
fn reports(alerts: &[Alert]) -> Vec<(i64, i64, String)> {
    let reports = alerts.iter().filter(|alert| alert.token == crate::alert::inventory::TOKEN);
    let text = |alert: &Alert| alert.findings.iter().map(|found| found.observed.clone()).collect::<Vec<_>>().join("; ");
    reports.map(|alert| (alert.time.0 / Time::DAY, alert.time.0 % Time::DAY / Time::MINUTE, text(alert))).collect()
}

/// Day 102 is a Monday: 102 + 3 is divisible by 7.
fn fortnight() -> Vec<Observation> {
    let mut acts = vec![act("stranger a", 100, 0, 0)];
    for day in 100..116 {
        for hour in 0..24 {
            acts.push(act("billing", day, hour * 60 + 30, (day * 100 + hour) as u64));
        }
        acts.push(act("worn", day, 1439, (day * 100 + 90) as u64));
    }
    acts.push(act("stranger b", 101, 45, 7));
    acts.push(act("stranger c", 103, 12 * 60, 8));
    acts.sort_by_key(|act| act.time);
    acts
}

#[test]
fn what_is_wrong_with_tokens_is_told_once_and_again_on_a_monday() {
    let mut judge = judge_with(INVENTORY, kept());
    for name in ["stranger a", "stranger b", "stranger c"] {
        judge.dictionary.add_token(TokenId::of(name.as_bytes()), name);
    }
    let alerts = judge.step(&fortnight(), &mut |_, _| {});
    let unknown = |names: &str| {
        let tokens = if names.contains(", ") { "tokens" } else { "token" };
        format!("{} {tokens} in use and not declared in the inventory: {names}", names.matches("first").count())
    };
    let found = reports(&alerts);
    let a = "stranger a (first seen 1970-04-11)";
    let b = "stranger b (first seen 1970-04-12)";
    let c = "stranger c (first seen 1970-04-14)";
    let worn = "1 token due for rotation: worn (the same since 1970-04-11)";
    let owner = "1 token without an owner: forgotten";
    assert_eq!(
        found,
        [
            (100, 30, format!("{}; {owner}", unknown(a))),
            (101, 60 + 30, unknown(b)),
            (103, 12 * 60 + 30, unknown(c)),
            // A Monday, and more than a week since the first three; the third is told again a week later.
            (109, 30, format!("{}; {owner}", unknown(&format!("{a}, {b}")))),
            (111, 30, worn.to_owned()),
        ]
    );
    assert!(judge.close().is_none(), "nothing waits");
    let low = alerts.iter().filter(|alert| alert.token == "(inventory)");
    assert!(low.clone().all(|alert| alert.severity == crate::severity::Severity::Low && !alert.tamper_proof && !alert.authenticated));
    let ids: std::collections::BTreeSet<&str> = low.map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids.len(), found.len());
}

#[test]
fn reports_are_the_same_over_any_restart_and_in_any_batches() {
    let acts: Vec<Observation> = fortnight();
    let mut whole = judge_with(INVENTORY, kept());
    let alerts = whole.step(&acts, &mut |_, _| {});
    assert!(reports(&alerts).len() > 3);
    let end = whole.take_dirty();
    for cut in (0..acts.len()).step_by(7) {
        let (before, after) = acts.split_at(cut);
        let mut first = judge_with(INVENTORY, kept());
        let mut got: Vec<Alert> = before.chunks(5).flat_map(|batch| first.step(batch, &mut |_, _| {})).collect();
        let mut second = judge_with(INVENTORY, kept());
        for (token, record) in first.take_dirty() {
            assert!(second.load(token, &record));
        }
        got.extend(second.step(after, &mut |_, _| {}));
        assert_eq!(got, alerts, "cut after {cut}");
        let mut state: std::collections::BTreeMap<_, _> = first.take_dirty().into_iter().collect();
        state.extend(second.take_dirty());
        for (token, record) in &end {
            assert!(state.get(token).is_none_or(|other| other == record), "cut after {cut}");
        }
    }
}

#[test]
fn without_an_inventory_and_where_it_is_switched_off_nothing_is_told() {
    for judge in [judge(), judge_with(INVENTORY, Checks::default())] {
        let mut judge = judge;
        assert_eq!(reports(&judge.step(&fortnight(), &mut |_, _| {})), []);
        assert!(judge.close().is_none());
    }
    let mut quiet = judge_with(INVENTORY, Checks { unknown: false, no_owner: false, repeat: None, ..kept() });
    assert_eq!(reports(&quiet.step(&fortnight(), &mut |_, _| {})).len(), 1, "the one that is due for rotation, once");
}

#[test]
fn five_hundred_strangers_are_one_report_also_at_the_end_of_the_input() {
    let acts: Vec<Observation> = (0..500).map(|n| act(&format!("s{n}"), 100, 0, n)).collect();
    let mut judge = judge_with(INVENTORY, kept());
    assert_eq!(reports(&judge.step(&acts, &mut |_, _| {})), [], "ten minutes are not over");
    let last = judge.close().unwrap();
    assert!(last.findings[0].observed.starts_with("500 tokens in use"), "{}", last.findings[0].observed);
    assert!(judge.close().is_none(), "told once");
    // A person dismisses it: none of it is told again, what is new is.
    assert!(judge.obey(&Order::AcceptReport(last.time)));
    let more: Vec<Observation> = (100..130).map(|day| act(if day == 125 { "other" } else { "s1" }, day, 30, day as u64)).collect();
    let later = reports(&judge.step(&more, &mut |_, _| {}));
    assert_eq!(later.len(), 1, "{later:?}");
    assert!(later[0].2.starts_with("1 token in use"), "{later:?}");
}

#[test]
fn a_new_inventory_is_looked_at_within_ten_minutes_of_event_time() {
    let mut judge = judge_with(INVENTORY, kept());
    let noon = Time(115 * Time::DAY + 12 * Time::HOUR);
    let acts: Vec<Observation> = fortnight().into_iter().filter(|act| act.time < noon).collect();
    judge.step(&acts, &mut |_, _| {});
    let text = INVENTORY.replace("name = \"billing\"\nowner = \"team\"", "name = \"billing\"");
    let inventory = Inventory::parse(&text, "tokens.toml").unwrap();
    let config = Config { checks: kept(), ..Config::default() };
    judge.reload(Arc::new(Rulebook::new(config, inventory, RuleSet::builtin(), Default::default())));
    let alerts = judge.step(&[act("billing", 115, 12 * 60 + 5, 1)], &mut |_, _| {});
    assert_eq!(reports(&alerts), [(115, 12 * 60 + 5, "1 token without an owner: billing".to_owned())]);
}

/// What a token does from morning to evening.
fn ordinary(days: std::ops::Range<i64>) -> Vec<Observation> {
    let hours = days.flat_map(|day| (8..18).map(move |hour| (day, hour)));
    let one = |(day, hour): (i64, i64)| Observation {
        time: Time(day * Time::DAY + hour * Time::HOUR),
        shape: Some(WordId(1)),
        skeleton: Some(WordId(2)),
        client: Some(WordId(3)),
        scopes: [Scope { operation: Operation::Select, object: WordId(4) }].into_iter().collect(),
        ..seen(day, "10.0.0.7", (day * 24 + hour) as u64)
    };
    hours.map(one).collect()
}

/// A thief: elsewhere, at night, with other software, on tables that were never touched, some of which are refused.
fn theft(day: i64, address: &str, tables: u64) -> Vec<Observation> {
    let mut acts = Vec::new();
    for n in 0..20 {
        let mut one = Observation { time: Time(day * Time::DAY + 2 * Time::HOUR + n * Time::MINUTE), ..ordinary(day..day + 1)[0].clone() };
        one.network = Some(Network::Ip(address.parse().unwrap()));
        one.client = Some(WordId(tables + 500));
        one.shape = Some(WordId(tables + n as u64));
        one.skeleton = Some(WordId(tables + 100));
        one.scopes[0].object = WordId(tables + n as u64 / 2);
        one.at.offset += 1_000 * tables + n as u64;
        if n >= 16 {
            (one.kind, one.outcome) = (Kind::Denied, Outcome::Denied);
        }
        acts.push(one);
    }
    acts
}

/// The alert of a stored id, as the command hands it to the judge.
fn dismissal(alert: &Alert) -> Order {
    let day = crate::baseline::day_of(alert.time);
    Order::Dismiss(crate::runtime::feedback::Dismissal {
        token: alert.token.clone(),
        alert: alert.id.clone(),
        days: day..=day,
        keys: keys_of(alert),
    })
}

fn learned() -> Judge {
    let mut judge = judge();
    judge.dictionary.add_token(TokenId::of(b"billing"), "billing");
    assert_eq!(judge.step(&ordinary(100..121), &mut |_, _| {}), []);
    judge
}

/// Over a restart, as every day may begin with one.
fn restarted(mut judge: Judge) -> Judge {
    let mut next = Judge::new(judge.rulebook.clone(), judge.dictionary.clone());
    for (token, record) in judge.take_dirty() {
        assert!(next.load(token, &record));
    }
    next
}

/// The ordinary day, and the strange one in it; the alerts of that day.
fn live(judge: &mut Judge, day: i64, strange: &[Observation]) -> Vec<Alert> {
    let mut acts = ordinary(day..day + 1);
    acts.extend_from_slice(strange);
    acts.sort_by_key(|act| act.time);
    judge.step(&acts, &mut |_, _| {})
}

#[test]
fn a_pinned_baseline_is_judged_by_and_learns_nothing() {
    let billing = || "billing".to_owned();
    let mut judge = learned();
    let alerted = live(&mut judge, 121, &theft(121, "203.0.113.9", 1000));
    assert_eq!(alerted.iter().filter(|alert| !alert.update).count(), 1);
    assert_eq!(live(&mut judge, 123, &theft(123, "203.0.113.9", 1000)), [], "what was alerted once is learned");

    let mut judge = learned();
    assert!(judge.obey(&Order::Pin { token: billing() }));
    assert!(!judge.obey(&Order::Pin { token: "nobody".to_owned() }));
    let before = judge.engine().get(TokenId::of(b"billing")).unwrap().clone();
    for day in (121..140).step_by(2) {
        judge = restarted(judge);
        let alerts = live(&mut judge, day, &theft(day, "203.0.113.9", 1000));
        assert_eq!(alerts.iter().filter(|alert| !alert.update).count(), 1, "day {day}");
        assert_eq!(live(&mut judge, day + 1, &[]), [], "the ordinary is ordinary on day {}", day + 1);
    }
    // Also after more than the ninety days after which values expire.
    assert_eq!(live(&mut judge, 260, &[]), []);
    let after = judge.engine().get(TokenId::of(b"billing")).unwrap().clone();
    assert_eq!((before.active_days, before.history.clone()), (after.active_days, after.history.clone()));

    assert!(judge.obey(&Order::Unpin { token: billing() }));
    let unpinned = judge.engine().get(TokenId::of(b"billing")).unwrap();
    assert_eq!((unpinned.networks.len(), unpinned.scopes.len(), unpinned.shapes.len()), (1, 1, 1), "what came after the pin is forgotten");
    assert!(unpinned.care.is_none());
    let mut judge = restarted(judge);
    assert_eq!(live(&mut judge, 261, &theft(261, "203.0.113.9", 1000)).iter().filter(|alert| !alert.update).count(), 1);
    assert_eq!(live(&mut judge, 263, &theft(263, "203.0.113.9", 1000)), [], "it learns again");
}

#[test]
fn a_token_that_still_learns_is_judged_once_it_is_pinned() {
    let mut judge = judge();
    judge.dictionary.add_token(TokenId::of(b"billing"), "billing");
    judge.step(&ordinary(100..102), &mut |_, _| {});
    assert_eq!(live(&mut judge, 102, &theft(102, "203.0.113.9", 1000)), [], "it learns");
    assert!(judge.obey(&Order::Pin { token: "billing".to_owned() }));
    let alerts = live(&mut judge, 103, &theft(103, "198.51.100.9", 2000));
    assert!(!alerts.is_empty());
    assert!(alerts.iter().all(|alert| alert.mode == crate::detect::Mode::Enforcing));
}

#[test]
fn a_dismissed_alert_teaches_a_pinned_baseline_at_once_or_later() {
    // Days between the alert and its dismissal.
    for late in [0, 1, 5] {
        let mut judge = learned();
        assert!(judge.obey(&Order::Pin { token: "billing".to_owned() }));
        let alerts = live(&mut judge, 121, &theft(121, "203.0.113.9", 1000));
        let (first, last) = (alerts.first().unwrap(), alerts.last().unwrap());
        assert_eq!(first.id, last.id);
        for day in 122..122 + late {
            live(&mut judge, day, &[]);
        }
        // It happened once before; the dismissal may be of either alert.
        let again = live(&mut judge, 127, &theft(127, "203.0.113.9", 1000));
        assert_ne!(again[0].id, first.id);
        assert!(judge.obey(&dismissal(if late == 1 { again.last().unwrap() } else { last })));
        let mut judge = restarted(judge);
        assert_eq!(judge.open_alert(TokenId::of(b"billing")).is_none(), late == 1, "what is dismissed is closed");
        for day in 128..132 {
            assert_eq!(live(&mut judge, day, &theft(day, "203.0.113.9", 1000)), [], "{late} days late, day {day}");
        }
        let other = live(&mut judge, 132, &theft(132, "198.51.100.9", 2000));
        assert!(!other.is_empty(), "another theft is none the less one");
        assert_ne!(other[0].id, first.id);
    }
}

#[test]
fn after_a_dismissal_the_same_is_quiet_and_something_else_is_another_alert_on_the_same_day() {
    let mut judge = learned();
    let day = theft(121, "203.0.113.9", 1000);
    let (before, after) = day.split_at(14);
    let alerts = judge.step(before, &mut |_, _| {});
    assert!(judge.obey(&dismissal(alerts.last().unwrap())));
    let again: Vec<Observation> = before.iter().chain(after).cloned().collect();
    assert_eq!(judge.step(&again[..14], &mut |_, _| {}), []);
    let other = judge.step(&theft(121, "198.51.100.9", 2000), &mut |_, _| {});
    assert!(!other.is_empty() && !other[0].update && other[0].id != alerts[0].id);
}

/// Limits of the inventory and rules have no memory: they speak every day, until a person says otherwise.
#[test]
fn a_dismissed_limit_or_rule_is_excused_for_the_same_behaviour_only() {
    let index = |id: &str| RuleSet::builtin().rules().iter().position(|rule| rule.id == id).unwrap() as u16;
    let usual = |day: i64| ordinary(day..day + 1)[0].clone();
    let broken = |limit: Violations| move |day: i64| Observation { violations: limit, ..usual(day) };
    let ruled = |id: &str| {
        let hit = Hit { rule: index(id), step: 0, back: false };
        move |day: i64| Observation { rules: [hit].into_iter().collect(), ..usual(day) }
    };
    type OnDay = Box<dyn Fn(i64) -> Observation>;
    let cases: Vec<(&str, OnDay)> = vec![
        ("policy.network", Box::new(broken(Violations::NETWORK))),
        ("policy.scope", Box::new(broken(Violations::SCOPE))),
        ("policy.hours", Box::new(broken(Violations::HOURS))),
        ("policy.expired", Box::new(broken(Violations::EXPIRED))),
        ("policy.canary", Box::new(broken(Violations::CANARY))),
        ("rule.audit_disabled", Box::new(ruled("audit_disabled"))),
    ];
    for (detector, act) in cases {
        let mut judge = learned();
        let alerts = live(&mut judge, 121, &[act(121)]);
        assert_eq!(alerts[0].detectors, [detector]);
        assert_eq!(live(&mut judge, 123, &[act(123)]).len(), 1, "{detector} speaks again");
        assert!(judge.obey(&dismissal(&alerts[0])));
        let mut judge = restarted(judge);
        for day in 125..128 {
            assert_eq!(live(&mut judge, day, &[act(day)]), [], "{detector} on day {day}");
        }
        let mut elsewhere = act(128);
        elsewhere.network = Some(Network::Ip("10.9.0.7".parse().unwrap()));
        assert_eq!(live(&mut judge, 128, &[elsewhere])[0].detectors[0], detector, "from elsewhere");
    }
}

/// A rule is remembered by its id: edited, it goes on; and no edit of any rule touches what was learned.
#[test]
fn an_edit_of_a_rule_never_restarts_learning() {
    let rule = |id: &str, severity: &str, count: u32| {
        format!(
            "id = \"{id}\"\ntitle = \"reads\"\ndescription = \"Reads.\"\nseverity = \"{severity}\"\nconfidence = 50\nnovel = true\n\
             [match]\nkind = [\"query\"]\n[threshold]\ncount = {count}\nwithin = \"1h\"\n\
             [[test]]\nname = \"a login\"\nevents = [{{ kind = \"login\" }}]\nfires = false\n"
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let book = |rules: &[String]| {
        for file in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        for rule in rules {
            std::fs::write(folder.path().join("mine.toml"), rule).unwrap();
        }
        std::fs::write(folder.path().join("other.toml"), rule("other", "low", 1)).unwrap();
        Arc::new(Rulebook::new(Config::default(), Inventory::default(), RuleSet::load_dir(folder.path()).unwrap(), Default::default()))
    };
    let mut judge = Judge::new(book(&[rule("mine", "low", 1)]), Arc::new(Dictionary::default()));
    let acts: Vec<Observation> = ordinary(100..121)
        .into_iter()
        .map(|act| Observation { rules: [Hit { rule: 0, step: 0, back: false }].into_iter().collect(), ..act })
        .collect();
    judge.step(&acts, &mut |_, _| {});
    let token = TokenId::of(b"billing");
    let record = |judge: &Judge| postcard::to_stdvec(judge.engine().get(token).unwrap()).unwrap();
    let before = record(&judge);
    for rules in [vec![rule("mine", "high", 1)], vec![rule("mine", "high", 3)], Vec::new(), vec![rule("mine", "low", 1)]] {
        judge.reload(book(&rules));
        assert_eq!(record(&judge), before, "a reload changes no baseline");
        let stored = judge.take_dirty();
        let mut next = Judge::new(book(&rules), judge.dictionary.clone());
        for (token, record) in &stored {
            assert!(next.load(*token, record));
        }
        if !stored.is_empty() {
            assert_eq!(record(&next), before, "nor does a restart");
            let baseline = next.engine().get(token).unwrap();
            assert_eq!(next.engine().mode(baseline, baseline.last_seen), crate::detect::Mode::Enforcing);
        }
    }
    // What it did before, it did before: the edited rule is not new to it.
    judge.reload(book(&[rule("mine", "critical", 1)]));
    let more: Vec<Observation> = ordinary(121..123)
        .into_iter()
        .map(|act| Observation { rules: [Hit { rule: 0, step: 0, back: false }].into_iter().collect(), ..act })
        .collect();
    assert_eq!(judge.step(&more, &mut |_, _| {}), []);
}
