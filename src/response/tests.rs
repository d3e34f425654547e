use proptest::prelude::*;
use secrecy::SecretString;

use super::action::{Request, respond};
use super::guard::{Context, Decision, FRESH, Guard, Refusal};
use super::*;
use crate::alert::{Alert, Finding, Mode, Severity};
use crate::config;
use crate::event::Time;

const NOW: Time = Time(1_700_000_000_000_000);

fn config(enforce: bool) -> config::Responder {
    config::Responder {
        name: "kill".into(),
        url: "https://revoke.example.com/".into(),
        secret: Some(SecretString::from("a key of sixteen bytes")),
        enforce,
        min_severity: Severity::High,
        min_confidence: 80,
        never: vec!["postgres".into(), "replication_*".into()],
        budget_per_hour: 5,
        timeout: std::time::Duration::from_secs(10),
    }
}

fn finding(detector: &str, bound: f64) -> Finding {
    Finding {
        detector: detector.into(),
        severity: Severity::High,
        confidence: 90,
        score: 1.0,
        observed: String::new(),
        expected: String::new(),
        bound,
        evidence: Vec::new(),
        attack: Vec::new(),
        advice: String::new(),
        weight: None,
        behaviour: Vec::new(),
    }
}

/// An alert that may act.
fn alert(findings: Vec<Finding>) -> Alert {
    Alert {
        id: "0a".into(),
        update: false,
        revision: 0,
        time: NOW,
        token: "billing".into(),
        owner: None,
        contact: None,
        severity: Severity::High,
        confidence: 90,
        score: 1.0,
        detectors: findings.iter().map(|f| f.detector.clone()).collect(),
        summary: String::new(),
        findings,
        attack: Vec::new(),
        sources: Vec::new(),
        mode: Mode::Enforcing,
        tamper_proof: true,
        authenticated: true,
        address: None,
        database: None,
        resembles: None,
        suppression: None,
    }
}

fn two() -> Alert {
    alert(vec![finding("new_network", 0.001), finding("new_scope", 0.001)])
}

fn decide(enforce: bool, alert: &Alert, context: Context) -> Decision {
    Guard::new(&config(enforce)).unwrap().decide(alert, &context)
}

fn refused(alert: &Alert, context: Context) -> Option<Refusal> {
    match decide(true, alert, context) {
        Decision::Refuse(refusal) => Some(refusal),
        _ => None,
    }
}

#[test]
fn it_acts_on_two_independent_detectors_or_one_broken_limit() {
    let now = Context { now: NOW, ..Context::default() };
    assert_eq!(decide(true, &two(), now), Decision::Act("2 independent detectors: new_network, new_scope".into()));
    assert!(matches!(decide(false, &two(), now), Decision::Simulate(_)));
    let canary = alert(vec![finding("policy.canary", 0.0)]);
    assert_eq!(decide(true, &canary, now), Decision::Act("a declared limit was broken: policy.canary".into()));
    let one = alert(vec![finding("new_network", 0.0001)]);
    assert_eq!(refused(&one, now), Some(Refusal::OneWitness));
    // Two detectors that look at the same thing are one witness; a rule's bound of 0 is no proof.
    let same = alert(vec![finding("new_network", 0.001), finding("new_address", 0.001)]);
    assert_eq!(refused(&same, now), Some(Refusal::OneWitness));
    assert_eq!(refused(&alert(vec![finding("rule.dump", 0.0)]), now), Some(Refusal::OneWitness));
    // The client's own word for its software is no second witness.
    let claimed = alert(vec![finding("new_network", 0.001), finding("new_client", 0.001)]);
    assert_eq!(refused(&claimed, now), Some(Refusal::OneWitness));
}

#[test]
fn each_rule_refuses_by_itself() {
    let now = Context { now: NOW, ..Context::default() };
    let with = |change: fn(&mut Alert)| {
        let mut alert = two();
        change(&mut alert);
        refused(&alert, now)
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(with(|a| a.severity = Severity::Medium), Some(Refusal::Severity));
    assert_eq!(with(|a| a.confidence = 79), Some(Refusal::Confidence));
    assert_eq!(with(|a| a.token = "Postgres".into()), Some(Refusal::Never));
    assert_eq!(with(|a| a.token = "replication_eu".into()), Some(Refusal::Never));
    assert_eq!(with(|a| a.tamper_proof = false), Some(Refusal::Forgeable));
    assert_eq!(with(|a| a.authenticated = false), Some(Refusal::Unauthenticated));
    assert_eq!(with(|a| a.mode = Mode::Learning), Some(Refusal::Learning));
    assert_eq!(with(|a| a.time = Time(NOW.0 - FRESH - 1)), Some(Refusal::Stale));
    assert_eq!(with(|a| a.time = Time(NOW.0 + FRESH + 1)), Some(Refusal::Future));
    assert_eq!(refused(&two(), Context { replayed: true, ..now }), Some(Refusal::Replayed));
    assert_eq!(refused(&two(), Context { halted: true, ..now }), Some(Refusal::Halted));
    assert_eq!(refused(&two(), Context { spent: 5, ..now }), Some(Refusal::Budget));
    assert_eq!(refused(&two(), Context { spent: 4, ..now }), None);
    let mut learning = alert(vec![finding("policy.network", 0.0)]);
    learning.mode = Mode::Learning;
    assert_eq!(refused(&learning, now), None, "a declared limit needs no learning");
}

#[test]
fn a_pattern_that_cannot_be_read_is_an_error_that_names_it() {
    let mut config = config(true);
    config.never.push("a[".into());
    let error = Guard::new(&config).unwrap_err();
    assert!(error.contains("kill") && error.contains("a["), "{error}");
}

#[test]
fn an_action_says_what_it_asks_for_and_expires() {
    let guard = Guard::new(&config(true)).unwrap();
    let response = respond(&guard, &two(), &["billing_svc".into()], &Context { now: NOW, ..Context::default() });
    assert_eq!(response.words.as_deref(), Some("kill is asked to revoke billing: 2 independent detectors: new_network, new_scope"));
    let delivery = response.action.delivery.unwrap();
    assert_eq!((delivery.destination.as_str(), &delivery.key), ("responder:kill", &response.action.key));
    assert_eq!(delivery.expires, Some(Time(NOW.0 + Time::HOUR)));
    let request: Request = serde_json::from_str(&delivery.payload).unwrap();
    assert_eq!(request.kind, "tokenwatch.revocation.requested");
    assert_eq!((request.data.action.as_str(), request.data.principals), ("revoke", vec!["billing_svc".to_owned()]));
    assert_eq!(request.data.expires_at, Time(NOW.0 + Time::HOUR));

    let guard = Guard::new(&config(false)).unwrap();
    let response = respond(&guard, &two(), &[], &Context { now: NOW, ..Context::default() });
    assert_eq!((response.action.state, &response.action.delivery), (ActionState::Simulated, &None));
    assert!(response.action.request.is_some() && response.words.unwrap().contains("would revoke billing"));

    let response = respond(&guard, &two(), &[], &Context { now: NOW, halted: true, ..Context::default() });
    assert_eq!((response.action.state, response.action.request), (ActionState::Refused, None));
    assert_eq!(response.words.as_deref(), Some("kill does not revoke billing: all responses are stopped by a person"));
}

prop_compose! {
    fn any_alert()(
        detectors in proptest::collection::vec(prop_oneof![
            Just("new_network"), Just("new_address"), Just("new_scope"), Just("rate"), Just("policy.scope"), Just("policy.canary"), Just("rule.x")
        ], 0..4),
        zero in any::<bool>(),
        severity in 0usize..5,
        confidence in 0u8..=100,
        token in prop_oneof![Just("billing"), Just("postgres"), Just("REPLICATION_1"), Just("x\u{0}y")],
        age in prop_oneof![Just(0), Just(FRESH), Just(FRESH + 1), Just(-FRESH - 1), any::<i32>().prop_map(|s| i64::from(s) * Time::SECOND)],
        learning in any::<bool>(),
        tamper_proof in prop_oneof![4 => Just(true), 1 => Just(false)],
        authenticated in prop_oneof![4 => Just(true), 1 => Just(false)],
    ) -> Alert {
        let findings = detectors.into_iter().map(|d| finding(d, if zero { 0.0 } else { 0.01 })).collect();
        Alert {
            severity: Severity::ALL[severity],
            confidence,
            token: token.into(),
            time: Time(NOW.0 - age),
            mode: if learning { Mode::Learning } else { Mode::Enforcing },
            tamper_proof,
            authenticated,
            ..alert(findings)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, nothing is sent that breaks a rule; and simulation decides as enforcement does.
    #[test]
    fn no_action_breaks_a_rule(alert in any_alert(), spent in 0u32..8, replayed in any::<bool>(), halted in any::<bool>()) {
        let context = Context { now: NOW, replayed, halted, spent };
        let acts = matches!(decide(true, &alert, context), Decision::Act(_));
        prop_assert_eq!(acts, matches!(decide(false, &alert, context), Decision::Simulate(_)));
        if acts {
            let policy = alert.findings.iter().any(|f| f.detector.starts_with("policy.") && f.bound == 0.0);
            prop_assert!(!replayed && !halted && spent < 5);
            prop_assert!(alert.severity >= Severity::High && alert.confidence >= 80);
            prop_assert!(alert.tamper_proof && alert.authenticated);
            prop_assert!((NOW.0 - alert.time.0).abs() <= FRESH);
            prop_assert!(!alert.token.eq_ignore_ascii_case("postgres") && !alert.token.to_lowercase().starts_with("replication_"));
            prop_assert!(policy || alert.mode == Mode::Enforcing);
            prop_assert!(policy || alert.findings.iter().map(|f| &f.detector).collect::<std::collections::BTreeSet<_>>().len() >= 2);
        }
    }
}
