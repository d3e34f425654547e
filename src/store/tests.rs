use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::alert::{Alert, Mode, Severity};
use crate::event::Time;
use crate::notifier::{NewDelivery, Receipt, delivery_key};
use crate::position::{Checkpoint, FilePosition, Partition, Position};
use crate::response::{ActionState, NewAction, action_key};
use crate::source::Gap;
use crate::token::{TokenId, WordId};

fn alert(id: &str, revision: u32, severity: Severity) -> Alert {
    Alert {
        id: id.into(),
        update: revision > 0,
        revision,
        time: Time(1_700_000_000_000_000 + i64::from(revision)),
        token: "billing".into(),
        owner: None,
        contact: None,
        severity,
        confidence: 90,
        score: 3.5,
        detectors: vec!["new_network".into()],
        summary: "billing used from an unknown network".into(),
        findings: Vec::new(),
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

fn delivery(alert: &Alert, destination: &str) -> NewDelivery {
    NewDelivery {
        key: delivery_key(&alert.id, alert.revision, destination),
        destination: destination.into(),
        alert_id: alert.id.clone(),
        severity: alert.severity,
        due: Time(0),
        expires: None,
        payload: "{}".into(),
    }
}

fn new_action(alert: &Alert, state: ActionState) -> NewAction {
    let key = action_key(&alert.id, "kill");
    let sent = NewDelivery { key: key.clone(), ..delivery(alert, "responder:kill") };
    NewAction {
        key,
        alert_id: alert.id.clone(),
        responder: "kill".into(),
        token: alert.token.clone(),
        state,
        reason: "because".into(),
        request: None,
        delivery: (state == ActionState::Pending).then_some(sent),
    }
}

fn checkpoint(key: &str, offset: u64) -> Checkpoint {
    let position = Position::File(FilePosition {
        path: "/var/log/postgresql/a.csv".into(),
        device: u64::MAX,
        inode: 7,
        born_ns: Some(-1),
        head_len: 9,
        head_hash: [255; 16],
        anchor_len: 3,
        anchor_hash: [1; 16],
        offset,
        size: 1 << 40,
    });
    Checkpoint { source: "pg".into(), key: key.into(), label: "/var/log/postgresql/a.csv".into(), position, state: vec![0, 1, 255] }
}

fn open(dir: &Path) -> Store {
    Store::open(dir).expect("the store opens")
}

fn state_dir() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("state");
    (temp, dir)
}

#[test]
fn an_order_waits_until_the_baselines_have_taken_it_up() {
    let (_temp, dir) = state_dir();
    let mut store = open(&dir);
    let order = |kind, alert: Option<&str>| NewFeedback {
        kind,
        token: "billing".into(),
        alert_id: alert.map(str::to_owned),
        reason: alert.map(|_| "the new office".into()),
        author: Some("ada".into()),
    };
    let pin = store.add_feedback(&order(FeedbackKind::Pin, None), Time(1)).unwrap();
    // A command beside the daemon has a connection of its own.
    let mut beside = Store::open_shared(&dir).unwrap();
    let dismiss = beside.add_feedback(&order(FeedbackKind::Dismiss, Some("3f9a")), Time(2)).unwrap();
    let waiting = |store: &Store, after| -> Vec<i64> { store.waiting_feedback(after).unwrap().iter().map(|row| row.id).collect() };
    assert_eq!(waiting(&store, 0), [pin, dismiss]);
    assert_eq!(waiting(&store, pin), [dismiss]);
    store.commit_epoch(&Epoch { applied: vec![(dismiss, Time(3))], ..Epoch::default() }).unwrap();
    drop((store, beside));
    let store = open(&dir);
    assert_eq!(waiting(&store, 0), [pin]);
    assert!(store.is_applied(dismiss).unwrap() && !store.is_applied(pin).unwrap());
    let said = store.feedback_of("3f9a").unwrap();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].order.clone(), said[0].applied), (order(FeedbackKind::Dismiss, Some("3f9a")), Some(Time(3))));
}

#[test]
fn everything_of_an_epoch_comes_back_after_a_restart() {
    let (_temp, dir) = state_dir();
    let gap = Gap {
        partition: Arc::new(Partition { source: "pg".into(), key: "file:1".into(), label: "a.csv".into() }),
        from: 5,
        to: None,
        reason: "deleted",
    };
    let epoch = Epoch {
        checkpoints: vec![checkpoint("file:1", u64::MAX), checkpoint("file:2", 3)],
        released: Vec::new(),
        baselines: vec![(TokenId::of(b"a"), vec![1, 2, 3]), (TokenId::of(b"b"), Vec::new())],
        forgotten: Vec::new(),
        words: vec![(WordId(u64::MAX), "public.invoices".into())],
        tokens: vec![(TokenId::of(b"a"), "a\u{1b}[31m".into())],
        gaps: vec![(gap.clone(), Time(7))],
        applied: Vec::new(),
        counters: vec![("records".into(), 12)],
    };
    let mut store = open(&dir);
    store.commit_epoch(&epoch).unwrap();
    // The same again with the gap's end known, one file done with, one baseline changed and one forgotten.
    let second = Epoch {
        released: vec![("pg".into(), "file:2".into())],
        baselines: vec![(TokenId::of(b"a"), vec![9])],
        forgotten: vec![TokenId::of(b"b")],
        gaps: vec![(Gap { to: Some(8), ..gap }, Time(9))],
        words: epoch.words.clone(),
        ..Epoch::default()
    };
    store.commit_epoch(&second).unwrap();
    // An empty record is one to be forgotten.
    for record in [vec![7], Vec::new()] {
        store.commit_epoch(&Epoch { baselines: vec![(TokenId::of(b"c"), record)], ..Epoch::default() }).unwrap();
    }
    drop(store);

    let store = open(&dir);
    assert_eq!(store.load_checkpoints().unwrap(), vec![checkpoint("file:1", u64::MAX)]);
    let mut baselines = Vec::new();
    store.load_baselines(&mut |token, record| baselines.push((token, record.to_vec()))).unwrap();
    assert_eq!(baselines, vec![(TokenId::of(b"a"), vec![9])]);
    assert_eq!(store.baseline(TokenId::of(b"a")).unwrap(), Some(vec![9]));
    assert_eq!(store.baseline(TokenId::of(b"b")).unwrap(), None);
    let mut words = Vec::new();
    store.load_words(&mut |word, text| words.push((word, text.to_owned()))).unwrap();
    assert_eq!(words, epoch.words);
    let mut tokens = Vec::new();
    store.load_tokens(&mut |token, name| tokens.push((token, name.to_owned()))).unwrap();
    assert_eq!(tokens, epoch.tokens);
    assert_eq!(store.load_counters().unwrap(), epoch.counters);
    let gaps = store.gaps(10).unwrap();
    assert_eq!(
        gaps,
        [GapRow { source: "pg".into(), label: "a.csv".into(), from: 5, to: Some(8), reason: "deleted".into(), time: Time(7) }]
    );
}

#[test]
fn an_alert_is_stored_once_with_its_deliveries_and_actions() {
    let (_temp, dir) = state_dir();
    let mut store = open(&dir);
    let first = alert("00ab", 0, Severity::Medium);
    let deliveries = [delivery(&first, "soc"), delivery(&first, "ops")];
    assert!(store.commit_alert(&first, &deliveries, &[new_action(&first, ActionState::Refused)], Time(1)).unwrap());
    assert!(!store.commit_alert(&first, &deliveries, &[new_action(&first, ActionState::Pending)], Time(2)).unwrap());
    assert_eq!(store.due("soc", Time(5), 10).unwrap().len(), 1);
    assert_eq!(store.action("00ab", "kill").unwrap().unwrap().state, ActionState::Refused);

    // It gets worse: now the responder acts, once.
    let second = alert("00ab", 1, Severity::Critical);
    assert!(store.commit_alert(&second, &[delivery(&second, "soc")], &[new_action(&second, ActionState::Pending)], Time(3)).unwrap());
    let third = alert("00ab", 2, Severity::Critical);
    assert!(store.commit_alert(&third, &[], &[new_action(&third, ActionState::Simulated)], Time(4)).unwrap());
    assert_eq!(store.action("00ab", "kill").unwrap().unwrap().state, ActionState::Pending);
    assert_eq!(store.due("responder:kill", Time(5), 10).unwrap().len(), 1);
    assert_eq!(store.actions_since("kill", Time(0)).unwrap(), 1);
    let severities: Vec<_> = store.due("soc", Time(5), 10).unwrap().iter().map(|d| d.severity).collect();
    assert_eq!(severities, [Severity::Critical, Severity::Medium], "the gravest goes first");

    assert_eq!(store.alerts(&AlertFilter::default()).unwrap(), std::slice::from_ref(&third));
    assert_eq!(store.alert("00").unwrap(), [first, second, third]);
    assert_eq!(store.alert("01").unwrap(), []);
    assert_eq!(store.alert("%").unwrap(), []);
    let other = alert("00ac", 0, Severity::Low);
    store.commit_alert(&other, &[], &[], Time(5)).unwrap();
    assert_eq!(store.alert("00a").unwrap(), [], "the short id is ambiguous");
    let grave = AlertFilter { min_severity: Some(Severity::High), ..AlertFilter::default() };
    assert_eq!(store.alerts(&grave).unwrap().len(), 1);
}

#[test]
fn a_message_waits_is_retried_and_leaves_its_mark_on_the_action() {
    let (_temp, dir) = state_dir();
    let mut store = open(&dir);
    let alert = alert("01", 0, Severity::High);
    let action = new_action(&alert, ActionState::Pending);
    store.commit_alert(&alert, &[delivery(&alert, "soc")], std::slice::from_ref(&action), Time(1)).unwrap();

    store.mark_retry(&action.key, Time(50), "connection refused", Time(2)).unwrap();
    assert!(store.due("responder:kill", Time(49), 10).unwrap().is_empty());
    let due = store.due("responder:kill", Time(50), 10).unwrap();
    assert_eq!((due[0].attempts, due[0].created), (1, Time(1)));
    assert_eq!(store.action("01", "kill").unwrap().unwrap().answer.as_deref(), Some("connection refused"));
    // A clock that was a year ahead when it wrote the time of the next try must not silence the message for a year.
    store.mark_retry(&action.key, Time(365 * Time::DAY), "clock", Time(2)).unwrap();
    assert_eq!(store.due("responder:kill", Time(50), 10).unwrap().len(), 1);

    let receipt = Receipt { status: Some("applied".into()), detail: "locked".into() };
    store.mark_delivered(&action.key, &receipt, Time(60)).unwrap();
    store.mark_delivered(&action.key, &Receipt { status: Some("refused".into()), detail: "late".into() }, Time(61)).unwrap();
    let row = store.action("01", "kill").unwrap().unwrap();
    assert_eq!((row.state, row.answer.as_deref(), row.updated), (ActionState::Applied, Some("locked"), Time(60)));

    let key = delivery_key("01", 0, "soc");
    let notice = NewDelivery { key: "msg_notice".into(), ..delivery(&alert, "ops") };
    store.mark_dead(&key, "410 gone", &[notice], Time(70)).unwrap();
    assert!(store.due("soc", Time(80), 10).unwrap().is_empty());
    assert_eq!(store.due("ops", Time(80), 10).unwrap().len(), 1);
    let counts = store.outbox_counts().unwrap();
    let soc = counts.iter().find(|c| c.destination == "soc").unwrap();
    assert_eq!((soc.waiting, soc.delivered, soc.dead, soc.oldest), (0, 0, 1, None));
    assert_eq!(store.delivery(&key).unwrap().unwrap().detail.as_deref(), Some("410 gone"));
    assert_eq!(store.deliveries_of("01").unwrap().len(), 3);

    assert_eq!(store.retire_all_but(&["soc".into()], Time(90)).unwrap(), 1);
    assert!(store.due("ops", Time(100), 10).unwrap().is_empty());
}

#[test]
fn another_process_can_hand_over_a_message_and_read_along() {
    let (_temp, dir) = state_dir();
    let store = open(&dir);
    let mut other = Store::open_shared(&dir).unwrap();
    let message = NewDelivery { key: "msg_test".into(), alert_id: String::new(), ..delivery(&alert("02", 0, Severity::Low), "soc") };
    assert_eq!(other.enqueue(&[message.clone(), message.clone()], Time(3)).unwrap(), 1);
    assert_eq!(store.due("soc", Time(3), 10).unwrap().len(), 1);
    let reader = Store::open_read_only(&dir).unwrap();
    assert_eq!(reader.outbox_counts().unwrap()[0].waiting, 1);
    drop((store, other, reader));
    // With no daemon running as well.
    assert_eq!(Store::open_read_only(&dir).unwrap().outbox_counts().unwrap()[0].waiting, 1);
}

#[test]
fn what_is_past_its_retention_goes_and_positions_stay() {
    let (_temp, dir) = state_dir();
    let mut store = open(&dir);
    let old = alert("03", 0, Severity::Low);
    store.commit_epoch(&Epoch { checkpoints: vec![checkpoint("file:1", 1)], ..Epoch::default() }).unwrap();
    store.commit_alert(&old, &[delivery(&old, "soc"), delivery(&old, "ops")], &[], old.time).unwrap();
    store.mark_delivered(&delivery_key("03", 0, "soc"), &Receipt::default(), old.time).unwrap();
    assert_eq!(store.prune(old.time, 10).unwrap(), 0);
    assert_eq!(store.prune(Time(old.time.0 + 1), 10).unwrap(), 2, "the alert and the delivered message");
    assert_eq!(store.due("ops", old.time, 10).unwrap().len(), 1, "what waits is never forgotten");
    assert_eq!(store.load_checkpoints().unwrap().len(), 1);
}

#[test]
fn two_daemons_cannot_share_a_directory() {
    let (_temp, dir) = state_dir();
    let first = open(&dir);
    let error = Store::open(&dir).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Locked { .. }) && error.needs_a_person());
    assert!(text.contains(&std::process::id().to_string()) && text.contains(dir.to_str().unwrap()), "{text}");
    drop(first);
    open(&dir);
}

#[test]
fn files_are_for_the_daemons_eyes_only() {
    let (_temp, dir) = state_dir();
    let mut store = open(&dir);
    store.commit_epoch(&Epoch { checkpoints: vec![checkpoint("file:1", 1)], ..Epoch::default() }).unwrap();
    assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["lock", "reserve", "tokenwatch.db", "tokenwatch.db-shm", "tokenwatch.db-wal"]);
    drop(store);

    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o770)).unwrap();
    let text = Store::open(&dir).unwrap_err().to_string();
    assert!(text.contains("chmod 0700"), "{text}");
}

#[test]
fn foreign_newer_missing_and_damaged_files_are_told_apart() {
    let (_temp, dir) = state_dir();
    assert!(matches!(Store::open_read_only(&dir), Err(StoreError::Missing { .. })));
    drop(open(&dir));
    let file = dir.join(FILE);

    let edit = |sql: &str| rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    edit("PRAGMA user_version = 900");
    assert!(matches!(Store::open(&dir), Err(StoreError::TooNew { found: 900, .. })));
    edit("PRAGMA user_version = 1; PRAGMA application_id = 5");
    assert!(matches!(Store::open(&dir), Err(StoreError::Foreign { .. })));

    std::fs::write(&file, b"this is no database, but it is long enough to look like one at first sight....").unwrap();
    let error = Store::open(&dir).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }) && error.needs_a_person(), "{error}");
    assert!(error.to_string().contains("move"), "{error}");
}

#[test]
fn a_full_disk_undoes_the_epoch_and_lets_it_be_given_again() {
    let (_temp, dir) = state_dir();
    let mut store = open(&dir);
    let pages: i64 = store.db.query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
    let limit = |store: &Store, n: i64| store.db.query_row(&format!("PRAGMA max_page_count = {n}"), [], |r| r.get::<_, i64>(0)).unwrap();
    limit(&store, pages + 4);
    let big = Epoch { checkpoints: vec![checkpoint("file:1", 1)], baselines: vec![(TokenId(1), vec![7; 100_000])], ..Epoch::default() };
    let error = store.commit_epoch(&big).unwrap_err();
    assert!(error.is_full() && error.is_retryable() && !error.needs_a_person(), "{error}");
    assert!(store.load_checkpoints().unwrap().is_empty(), "nothing of it is left");
    limit(&store, 1 << 30);
    store.commit_epoch(&big).unwrap();
    assert_eq!(store.load_checkpoints().unwrap().len(), 1);
}

#[test]
fn a_flipped_byte_is_noticed_or_harmless_but_never_believed() {
    let (_temp, dir) = state_dir();
    let baselines: Vec<_> = (0u8..200).map(|n| (TokenId::of(&[n]), vec![n; 900])).collect();
    let mut store = open(&dir);
    store.commit_epoch(&Epoch { checkpoints: vec![checkpoint("file:1", 77)], baselines: baselines.clone(), ..Epoch::default() }).unwrap();
    drop(store);
    let file = dir.join(FILE);
    let good = std::fs::read(&file).unwrap();
    let mut noticed = 0;
    for n in 0..400usize {
        let mut bad = good.clone();
        // A multiplicative walk touches headers, cells and free space alike, the same in every run.
        let place = n * 2_654_435_761 % bad.len();
        bad[place] ^= 1 << (n % 8);
        std::fs::write(&file, &bad).unwrap();
        let outcome = Store::open(&dir).and_then(|store| {
            let mut believed = 0;
            store.load_baselines(&mut |token, record| {
                assert!(baselines.iter().any(|(t, r)| *t == token && r == record), "byte {place}: a wrong baseline was believed");
                believed += 1;
            })?;
            assert_eq!(store.load_checkpoints()?, [checkpoint("file:1", 77)], "byte {place}");
            assert_eq!(believed, baselines.len(), "byte {place}: a baseline went missing");
            Ok(())
        });
        noticed += usize::from(outcome.is_err());
    }
    assert!(noticed > 200, "only {noticed} of 400 noticed");
}

/// The steps of the model test.
#[derive(Debug, Clone)]
enum Step {
    Epoch { partition: u8, offset: u64, token: u8, record: Vec<u8> },
    Release(u8),
    Forget(u8),
    Alert { id: u8, revision: u8 },
    Retry { id: u8, revision: u8, due: u8 },
    Delivered { id: u8, revision: u8 },
    Dead { id: u8, revision: u8 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..4, any::<u64>(), 0u8..4, proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(partition, offset, token, record)| Step::Epoch { partition, offset, token, record }),
        (0u8..4).prop_map(Step::Release),
        (0u8..4).prop_map(Step::Forget),
        (0u8..4, 0u8..3).prop_map(|(id, revision)| Step::Alert { id, revision }),
        (0u8..4, 0u8..3, 0u8..100).prop_map(|(id, revision, due)| Step::Retry { id, revision, due }),
        (0u8..4, 0u8..3).prop_map(|(id, revision)| Step::Delivered { id, revision }),
        (0u8..4, 0u8..3).prop_map(|(id, revision)| Step::Dead { id, revision }),
        Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against maps in memory: the store holds what they hold, also after each reopening.
    #[test]
    fn the_store_agrees_with_a_model(steps in proptest::collection::vec(step(), 1..30)) {
        use std::collections::BTreeMap;
        let (_temp, dir) = state_dir();
        let mut store = open(&dir);
        let mut checkpoints: BTreeMap<String, u64> = BTreeMap::new();
        let mut baselines: BTreeMap<TokenId, Vec<u8>> = BTreeMap::new();
        // Key -> (due, attempts) while waiting, None when finished.
        let mut outbox: BTreeMap<String, Option<(i64, u32)>> = BTreeMap::new();
        let key = |id: u8, revision: u8| delivery_key(&format!("{id:02x}"), revision.into(), "soc");
        for step in steps {
            match step {
                Step::Epoch { partition, offset, token, record } => {
                    let (name, token) = (format!("file:{partition}"), TokenId::of(&[token]));
                    store.commit_epoch(&Epoch {
                        checkpoints: vec![checkpoint(&name, offset)],
                        baselines: vec![(token, record.clone())],
                        ..Epoch::default()
                    }).unwrap();
                    checkpoints.insert(name, offset);
                    // An empty record is one to be forgotten.
                    if record.is_empty() {
                        baselines.remove(&token);
                    } else {
                        baselines.insert(token, record);
                    }
                }
                Step::Release(partition) => {
                    let name = format!("file:{partition}");
                    store.commit_epoch(&Epoch { released: vec![("pg".into(), name.clone())], ..Epoch::default() }).unwrap();
                    checkpoints.remove(&name);
                }
                Step::Forget(token) => {
                    let token = TokenId::of(&[token]);
                    store.commit_epoch(&Epoch { forgotten: vec![token], ..Epoch::default() }).unwrap();
                    baselines.remove(&token);
                }
                Step::Alert { id, revision } => {
                    let alert = alert(&format!("{id:02x}"), revision.into(), Severity::High);
                    let new = store.commit_alert(&alert, &[delivery(&alert, "soc")], &[], Time(0)).unwrap();
                    prop_assert_eq!(new, !outbox.contains_key(&key(id, revision)));
                    outbox.entry(key(id, revision)).or_insert(Some((0, 0)));
                }
                Step::Retry { id, revision, due } => {
                    store.mark_retry(&key(id, revision), Time(due.into()), "no", Time(0)).unwrap();
                    if let Some(Some((when, attempts))) = outbox.get_mut(&key(id, revision)) {
                        *when = due.into();
                        *attempts += 1;
                    }
                }
                Step::Delivered { id, revision } => {
                    store.mark_delivered(&key(id, revision), &Receipt::default(), Time(0)).unwrap();
                    if let Some(row) = outbox.get_mut(&key(id, revision)) { *row = None; }
                }
                Step::Dead { id, revision } => {
                    store.mark_dead(&key(id, revision), "gone", &[], Time(0)).unwrap();
                    if let Some(row) = outbox.get_mut(&key(id, revision)) { *row = None; }
                }
                Step::Reopen => {
                    drop(store);
                    store = open(&dir);
                }
            }
            let stored: BTreeMap<String, u64> = store.load_checkpoints().unwrap().into_iter()
                .map(|c| (c.key, match c.position { Position::File(f) => f.offset, Position::Kafka { .. } => unreachable!() })).collect();
            prop_assert_eq!(&stored, &checkpoints);
            let mut stored = BTreeMap::new();
            store.load_baselines(&mut |token, record| { stored.insert(token, record.to_vec()); }).unwrap();
            prop_assert_eq!(&stored, &baselines);
            for now in [0i64, 50, 100] {
                let mut due: Vec<_> = store.due("soc", Time(now), 100).unwrap().into_iter().map(|d| (d.key, d.attempts)).collect();
                due.sort();
                let expected: Vec<_> = outbox.iter().filter_map(|(key, row)| row.filter(|(due, _)| *due <= now).map(|(_, n)| (key.clone(), n))).collect();
                prop_assert_eq!(due, expected);
            }
        }
    }
}
