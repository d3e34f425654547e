//! kill -9 at any moment: what was acknowledged before the kill is there after it, nothing is there twice, and position and
//! baseline always belong together.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokenwatch::alert::{Alert, Mode, Severity};
use tokenwatch::event::Time;
use tokenwatch::notifier::{NewDelivery, Receipt, delivery_key};
use tokenwatch::position::{Checkpoint, Position};
use tokenwatch::store::{AlertFilter, Epoch, Store};
use tokenwatch::token::TokenId;

const KILLS: u64 = 60;
const CHILD: &str = "TOKENWATCH_KILL_LOOP_DIR";

/// Every third event raises an alert.
fn raises(event: u64) -> bool {
    event.is_multiple_of(3)
}

fn alert(event: u64) -> Alert {
    Alert {
        id: format!("{event:032x}"),
        update: false,
        revision: 0,
        time: Time(event.cast_signed()),
        token: "billing".into(),
        owner: None,
        contact: None,
        severity: Severity::High,
        confidence: 90,
        score: 1.0,
        detectors: Vec::new(),
        summary: String::new(),
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

/// What the baseline must be after all events up to and including `event`: their number and their sum.
fn baseline(event: u64) -> Vec<u8> {
    [event.to_le_bytes(), (event * (event + 1) / 2).to_le_bytes()].concat()
}

fn position(store: &Store) -> u64 {
    match store.load_checkpoints().unwrap().first().map(|c| &c.position) {
        Some(Position::Kafka { offset }) => offset.cast_unsigned(),
        _ => 0,
    }
}

/// Not a test of its own: the process that [`nothing_is_lost_or_doubled_by_kill_9`] kills. It works like the daemon: alerts
/// at once, positions with baselines now and then, and it tells each acknowledgement before it goes on.
#[test]
fn child_of_the_kill_loop() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let dir = Path::new(&dir);
    let mut store = Store::open(dir).unwrap();
    let mut outbox = Store::open_shared(dir).unwrap();
    let mut out = std::io::stdout().lock();
    let mut event = position(&store);
    loop {
        event += 1;
        if raises(event) {
            let alert = alert(event);
            let key = delivery_key(&alert.id, 0, "soc");
            let delivery = NewDelivery {
                key,
                destination: "soc".into(),
                alert_id: alert.id.clone(),
                severity: alert.severity,
                due: Time(0),
                expires: None,
                payload: "{}".into(),
            };
            store.commit_alert(&alert, &[delivery], &[], Time(1)).unwrap();
            writeln!(out, "@alert {event}").unwrap();
        }
        if event.is_multiple_of(5) {
            for due in outbox.due("soc", Time(1), 1).unwrap() {
                outbox.mark_delivered(&due.key, &Receipt::default(), Time(2)).unwrap();
                writeln!(out, "@sent {}", u64::from_str_radix(&due.alert_id, 16).unwrap()).unwrap();
            }
        }
        if event.is_multiple_of(7) {
            store
                .commit_epoch(&Epoch {
                    checkpoints: vec![Checkpoint {
                        source: "db".into(),
                        key: "kafka:db/0".into(),
                        label: "db/0".into(),
                        position: Position::Kafka { offset: event.cast_signed() },
                        state: Vec::new(),
                    }],
                    baselines: vec![(TokenId::of(b"billing"), baseline(event))],
                    ..Epoch::default()
                })
                .unwrap();
            writeln!(out, "@epoch {event}").unwrap();
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_by_kill_9() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("state");
    let (mut acked_epoch, mut acked_alert, mut acked_sent) = (0, 0, Vec::new());
    let mut acknowledgements = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_of_the_kill_loop", "--nocapture"])
            .env(CHILD, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            lines.map_while(Result::ok).filter_map(|l| l.strip_prefix('@').map(str::to_owned)).collect::<Vec<_>>()
        });
        // Spread over start-up and steady work, the same in every run.
        std::thread::sleep(Duration::from_millis(5 + kill * 37 % 180));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            acknowledgements += 1;
            let (what, event) = line.split_once(' ').unwrap();
            // The kill may have cut the last line; a cut number is smaller and so still true.
            let Ok(event) = event.parse::<u64>() else { continue };
            match what {
                "alert" => acked_alert = acked_alert.max(event),
                "epoch" => acked_epoch = acked_epoch.max(event),
                _ if raises(event) => acked_sent.push(event),
                _ => {}
            }
        }
        if !dir.join(tokenwatch::store::FILE).exists() {
            continue;
        }

        let store = Store::open(&dir).unwrap();
        let position = position(&store);
        assert!(position >= acked_epoch, "kill {kill}: position {position} lost, {acked_epoch} was acknowledged");
        let stored = store.baseline(TokenId::of(b"billing")).unwrap();
        assert_eq!(stored, (position > 0).then(|| baseline(position)), "kill {kill}: position and baseline do not belong together");

        let alerts = store.alerts(&AlertFilter { limit: u32::MAX, ..AlertFilter::default() }).unwrap();
        let mut events: Vec<u64> = alerts.iter().map(|a| a.time.0.cast_unsigned()).collect();
        events.reverse();
        let last = events.last().copied().unwrap_or(0);
        assert!(last >= acked_alert, "kill {kill}: alert {acked_alert} lost, {last} is the last");
        assert_eq!(events, (1..=last).filter(|e| raises(*e)).collect::<Vec<_>>(), "kill {kill}: alerts missing or doubled");
        assert!((position / 3) * 3 <= last, "kill {kill}: the position {position} overtook the alerts ({last})");

        let counts = store.outbox_counts().unwrap();
        let messages: u64 = counts.iter().map(|c| c.waiting + c.delivered + c.dead).sum();
        assert_eq!(messages, events.len() as u64, "kill {kill}: one message per alert");
    }
    let store = Store::open(&dir).unwrap();
    for event in &acked_sent {
        let key = delivery_key(&alert(*event).id, 0, "soc");
        assert_eq!(store.delivery(&key).unwrap().unwrap().state, "delivered", "message {event} would be sent again");
    }
    // A loop that kills before anything happens proves nothing.
    assert!(acked_epoch > 100 && acked_sent.len() > 50, "only {acknowledgements} acknowledgements in {KILLS} kills");
    println!("{KILLS} kills, {acknowledgements} acknowledgements, {acked_epoch} events: 0 lost, 0 doubled");
}
