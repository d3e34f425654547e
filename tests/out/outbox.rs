//! The whole way: stored with the alert, sent by a worker, marked; with receivers that fail, and over restarts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokenwatch::config::{Channel as Config, ChannelKind};
use tokenwatch::event::Time;
use tokenwatch::notifier::delivery::{Schedule, Tally, Worker};
use tokenwatch::notifier::{Channel, Message, Sender, deliveries, delivery_key};
use tokenwatch::store::{DeliveryRow, SharedOutbox, Store};
use tokio::sync::{Notify, watch};

use crate::alerts::{alert, channel, clock};
use crate::support::http_receiver::{Answer, Receiver};

/// Workers for these channels, as the daemon has them but with a fast schedule, until `stop` is set.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    wake: Vec<Arc<Notify>>,
}

impl Running {
    fn start(dir: &Path, channels: &[Config], schedule: &[u64]) -> Running {
        let names: Vec<String> = channels.iter().map(|c| c.name.clone()).collect();
        let senders = channels.iter().map(|c| (c.name.clone(), Channel::open(c, clock()).unwrap(), c.timeout)).collect();
        Running::with(dir, senders, &names, schedule)
    }

    /// The same for any senders, each with its destination and timeout.
    pub fn with<S: Sender>(dir: &Path, senders: Vec<(String, S, Duration)>, alarm: &[String], schedule: &[u64]) -> Running {
        let outbox = Arc::new(SharedOutbox::new(Store::open_shared(dir).unwrap()));
        let (stop, stopped) = watch::channel(false);
        let mut running = Running { stop, tasks: Vec::new(), wake: Vec::new() };
        for (destination, sender, timeout) in senders {
            let wake = Arc::new(Notify::new());
            running.wake.push(wake.clone());
            let worker = Worker {
                destination,
                sender,
                outbox: outbox.clone(),
                clock: clock(),
                timeout,
                schedule: Schedule(schedule.iter().map(|ms| Duration::from_millis(*ms)).collect()),
                wake,
                alarm: alarm.to_vec(),
                tally: Arc::new(Tally::default()),
            };
            let stopped = stopped.clone();
            running.tasks.push(tokio::spawn(async move { worker.run(stopped).await.unwrap() }));
        }
        running
    }

    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        for task in self.tasks {
            tokio::time::timeout(Duration::from_secs(5), task).await.expect("a worker ends soon after the stop").unwrap();
        }
    }
}

fn webhook(name: &str, receiver: &Receiver) -> Config {
    let mut config = channel(name, ChannelKind::Webhook { url: receiver.url("/"), secret: None });
    config.timeout = Duration::from_millis(400);
    config
}

fn commit(store: &mut Store, id: &str, channels: &[Config]) {
    let alert = alert(id);
    let now = clock().now();
    assert!(store.commit_alert(&alert, &deliveries(&alert, channels, &[], now), &[], now).unwrap());
}

/// Waits until the message has reached this state.
pub async fn reaches(store: &Store, key: &str, state: &str) -> DeliveryRow {
    for _ in 0..1500 {
        let row = store.delivery(key).unwrap().expect("the message is known");
        if row.state == state {
            return row;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{key} never became {state}: {:?}", store.delivery(key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dead_channel_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let hanging = Receiver::start([]).then_always(Answer::Hang);
    let failing = Receiver::start([]).then_always(Answer::status(500));
    let healthy = Receiver::start([]);
    let channels = [webhook("hanging", &hanging), webhook("failing", &failing), webhook("healthy", &healthy)];
    let running = Running::start(dir.path(), &channels, &[100_000]);
    let started = clock();
    for n in 0..50 {
        commit(&mut store, &format!("{n:02x}"), &channels);
    }
    running.wake.iter().for_each(|w| w.notify_one());
    let requests = healthy.wait_for(50);
    println!("50 alerts delivered in {:?} beside two dead channels", started.monotonic());
    assert!(started.monotonic() < Duration::from_secs(5));
    let mut ids: Vec<_> = requests.iter().map(|r| r.headers["webhook-id"].clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    assert!(hanging.requests().len() < 10 && failing.requests().len() < 10, "a receiver that is down is not hammered");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_tried_again_under_the_same_id_until_it_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    // The second: the receiver acted and crashed before it answered.
    let receiver = Receiver::start([Answer::status(500), Answer::Drop, Answer::Hang]);
    let channels = [webhook("soc", &receiver)];
    let running = Running::start(dir.path(), &channels, &[20, 20, 20, 20]);
    commit(&mut store, "0a", &channels);
    let requests = receiver.wait_for(4);
    let key = delivery_key("0a", 0, "soc");
    assert!(requests.iter().all(|r| r.headers["webhook-id"] == key && r.body == requests[0].body));
    let row = reaches(&store, &key, "delivered").await;
    assert_eq!(row.attempts, 4);
    running.stop().await;
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_honoured_by_the_whole_channel() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let receiver = Receiver::start([Answer::Status(429, vec![("retry-after", "2".into())], "")]);
    let channels = [webhook("ops", &receiver)];
    for id in ["0a", "0b"] {
        commit(&mut store, id, &channels);
    }
    let running = Running::start(dir.path(), &channels, &[10, 10]);
    receiver.wait_for(1);
    let asked = clock();
    receiver.wait_for(3);
    assert!(asked.monotonic() > Duration::from_millis(1900), "asked again after {:?}", asked.monotonic());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let receiver = Receiver::start([Answer::status(503)]);
    let channels = [webhook("soc", &receiver)];
    let running = Running::start(dir.path(), &channels, &[1500, 100]);
    commit(&mut store, "0a", &channels);
    receiver.wait_for(1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.stop().await;
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    let row = store.delivery(&delivery_key("0a", 0, "soc")).unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.attempts), ("waiting", 1));
    assert!(row.detail.is_some_and(|d| d.contains("503")));
    let running = Running::start(dir.path(), &channels, &[1500, 100]);
    let requests = receiver.wait_for(2);
    assert_eq!(requests[0].headers["webhook-id"], requests[1].headers["webhook-id"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_given_up_is_told_on_another_channel_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let gone = Receiver::start([]).then_always(Answer::status(410));
    let healthy = Receiver::start([]);
    let mut quiet = webhook("other", &healthy);
    quiet.min_severity = tokenwatch::alert::Severity::Critical;
    let channels = [webhook("gone", &gone), quiet];
    commit(&mut store, "0a", &channels);
    commit(&mut store, "0b", &channels);
    let running = Running::start(dir.path(), &channels, &[10]);
    let notice = healthy.wait_for(1).remove(0);
    assert!(notice.body.contains("tokenwatch.notice") && notice.body.contains("messages to gone do not arrive"), "{}", notice.body);
    reaches(&store, &delivery_key("0a", 0, "gone"), "dead").await;
    reaches(&store, &delivery_key("0b", 0, "gone"), "dead").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(healthy.requests().len(), 1, "once an hour is enough");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_message_of_another_process_is_picked_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let receiver = Receiver::start([]);
    let channels = [webhook("soc", &receiver)];
    let running = Running::start(dir.path(), &channels, &[10]);
    let mut other = Store::open_shared(dir.path()).unwrap();
    let now = clock().now();
    other.enqueue(&[Message::test(now).to("soc", "msg_test", Time(now.0))], now).unwrap();
    receiver.wait_for(1);
    reaches(&store, "msg_test", "delivered").await;
    running.stop().await;
}
