//! From an alert to a revoked token: decided, stored, sent once, answered, recorded.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokenwatch::alert::{Alert, Severity};
use tokenwatch::config::Responder as Config;
use tokenwatch::response::action::respond;
use tokenwatch::response::guard::{Context, Guard};
use tokenwatch::response::responder::Responder;
use tokenwatch::response::{ActionState, HALT_FILE, action_key, destination};
use tokenwatch::store::Store;

use crate::alerts::{alert, clock};
use crate::channels::genuine;
use crate::outbox::{Running, reaches};
use crate::support::http_receiver::{Answer, Receiver};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const APPLIED: &str = r#"{"status": "applied", "message": "role billing_svc locked"}"#;

fn config(receiver: &Receiver, enforce: bool) -> Config {
    Config {
        name: "kill".into(),
        url: receiver.url("/revoke"),
        secret: Some(SECRET.into()),
        enforce,
        min_severity: Severity::High,
        min_confidence: 80,
        never: vec!["postgres".into()],
        budget_per_hour: 5,
        timeout: Duration::from_millis(500),
    }
}

/// An alert that may act, of this moment.
fn certain(id: &str) -> Alert {
    let mut alert = alert(id);
    alert.findings[0].detector = "policy.network".into();
    alert.time = clock().now();
    alert
}

/// Decides on the alert and stores it with the action, as the daemon does.
fn commit(store: &mut Store, alert: &Alert, config: &Config) -> Option<String> {
    let now = clock().now();
    let response = respond(&Guard::new(config).unwrap(), alert, &["billing_svc".into()], &Context { now, ..Context::default() });
    store.commit_alert(alert, &[], &[response.action], now).unwrap();
    response.words
}

fn run(dir: &Path, config: &Config) -> Running {
    let responder = Responder::open(config, clock(), dir.join(HALT_FILE)).unwrap();
    Running::with(dir, vec![(destination(&config.name), responder, config.timeout)], &[], &[20, 20, 20])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_asked_for_once_and_its_answer_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    // The first time the receiver acts and crashes before it answers.
    let receiver = Receiver::start([Answer::Drop, Answer::Status(200, vec![], APPLIED)]);
    let config = config(&receiver, true);
    let running = run(dir.path(), &config);
    let words = commit(&mut store, &certain("0a"), &config);
    assert!(words.unwrap().starts_with("kill is asked to revoke billing"));
    let key = action_key("0a", "kill");
    reaches(&store, &key, "delivered").await;
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert!(genuine(SECRET, request));
        assert_eq!((&request.headers["idempotency-key"], &request.headers["webhook-id"]), (&key, &key));
        assert_eq!(request.body, requests[0].body);
    }
    let body: Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!(body["type"], "tokenwatch.revocation.requested");
    assert_eq!((&body["data"]["token"], &body["data"]["principals"][0]), (&"billing".into(), &"billing_svc".into()));
    let action = store.action("0a", "kill").unwrap().unwrap();
    assert_eq!(action.state, ActionState::Applied);
    assert!(action.answer.unwrap().contains("role billing_svc locked"));

    // The alert gets worse: the responder has done its part.
    let mut worse = certain("0a");
    (worse.revision, worse.severity) = (1, Severity::Critical);
    commit(&mut store, &worse, &config);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.requests().len(), 2);
    assert_eq!(store.action("0a", "kill").unwrap().unwrap().state, ActionState::Applied);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulation_sends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let receiver = Receiver::start([]);
    let config = config(&receiver, false);
    let running = run(dir.path(), &config);
    let words = commit(&mut store, &certain("0a"), &config).unwrap();
    assert!(words.contains("would revoke billing") && words.contains("policy.network"), "{words}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop().await;
    let action = store.action("0a", "kill").unwrap().unwrap();
    assert_eq!(action.state, ActionState::Simulated);
    assert!(action.request.unwrap().contains("billing_svc"), "what would be sent can be read");
    assert!(receiver.requests().is_empty() && store.outbox_counts().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_halt_file_and_a_change_to_simulation_stop_what_waits() {
    for halted in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let receiver = Receiver::start([]);
        commit(&mut store, &certain("0a"), &config(&receiver, true));
        if halted {
            std::fs::write(dir.path().join(HALT_FILE), "").unwrap();
        }
        let running = run(dir.path(), &config(&receiver, halted));
        reaches(&store, &action_key("0a", "kill"), "dead").await;
        running.stop().await;
        let action = store.action("0a", "kill").unwrap().unwrap();
        assert_eq!(action.state, ActionState::Failed);
        assert!(action.answer.unwrap().contains(if halted { HALT_FILE } else { "simulate" }));
        assert!(receiver.requests().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_the_receiver_and_dead_receivers_are_failures() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let refusing = Answer::Status(200, vec![], r#"{"status": "refused", "message": "protected"}"#);
    let receiver = Receiver::start([refusing]).then_always(Answer::Hang);
    let config = config(&receiver, true);
    let running = run(dir.path(), &config);
    commit(&mut store, &certain("0a"), &config);
    reaches(&store, &action_key("0a", "kill"), "delivered").await;
    let action = store.action("0a", "kill").unwrap().unwrap();
    assert_eq!(action.state, ActionState::Failed);
    assert!(action.answer.unwrap().contains("protected"));

    commit(&mut store, &certain("0b"), &config);
    let row = reaches(&store, &action_key("0b", "kill"), "dead").await;
    assert_eq!(row.attempts, 4, "the schedule was used up");
    assert_eq!(store.action("0b", "kill").unwrap().unwrap().state, ActionState::Failed);
    running.stop().await;
}

#[test]
fn enforcing_without_a_key_is_refused_at_start() {
    let receiver = Receiver::start([]);
    let mut config = config(&receiver, true);
    config.secret = None;
    let error = Responder::open(&config, clock(), HALT_FILE.into()).err().unwrap();
    assert!(error.contains("kill") && error.contains("secret_file"), "{error}");
}
