//! The Kafka source against a real broker.
#![allow(clippy::disallowed_methods, reason = "waiting for a real server needs the real clock")]

mod support;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use support::kafka::{Kafka, LOGIN};
use tokenwatch::config;
use tokenwatch::position::{Checkpoint, Partition, Position};
use tokenwatch::source::{Bookmarks, Delivery, Stop, kafka};

fn settings(broker: &str, topic: &str) -> config::Kafka {
    config::Kafka {
        brokers: vec![broker.to_owned()],
        topics: vec![topic.to_owned()],
        group: format!("group-of-{topic}"),
        start: config::Start::Beginning,
        tls: false,
        ca_file: None,
        certificate_file: None,
        key_file: None,
        sasl_mechanism: None,
        username: None,
        password: None,
    }
}

/// A source on its thread.
struct Running {
    deliveries: Receiver<Delivery>,
    bookmarks: Arc<dyn Bookmarks>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(settings: &config::Kafka, resume: Vec<Checkpoint>, capacity: usize) -> Running {
        let (source, bookmarks) = kafka::new("audit", settings, resume).expect("sound settings");
        let (out, deliveries) = bounded(capacity);
        let stop = Stop::default();
        let its = stop.clone();
        let thread = Some(std::thread::spawn(move || source.run(out, its)));
        Running { deliveries, bookmarks, stop, thread }
    }

    fn next(&self) -> Delivery {
        self.deliveries.recv_timeout(Duration::from_secs(30)).expect("a delivery within 30 s")
    }

    /// The next `count` messages as `label@offset text`, with gaps among them as `label gap from..to reason`.
    fn messages(&self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next() {
                Delivery::Chunk(chunk) => {
                    assert!(chunk.message);
                    all.push(format!("{}@{} {}", chunk.partition.label, chunk.offset, String::from_utf8_lossy(&chunk.bytes)));
                }
                Delivery::Gap(gap) => all.push(format!("{} gap {}..{:?} {}", gap.partition.label, gap.from, gap.to, gap.reason)),
                Delivery::Idle(_) | Delivery::Trouble(_) => {}
                Delivery::Closed(partition) => panic!("{} closed", partition.label),
            }
        }
        all
    }

    fn checkpoint(&self, topic: &str, number: i32, next: u64) -> Checkpoint {
        let label = format!("{topic}/{number}");
        let partition = Partition { source: "audit".to_owned(), key: format!("kafka:{label}"), label };
        let position = self.bookmarks.bookmark(&partition, next).expect("a known partition");
        assert_eq!(position, Position::Kafka { offset: i64::try_from(next).expect("small") });
        Checkpoint { source: partition.source, key: partition.key, label: partition.label, position, state: Vec::new() }
    }

    /// Ends the source.
    fn end(mut self) {
        self.stop.stop();
        self.thread.take().expect("running").join().expect("no panic");
    }
}

fn texts(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|i| format!("m{i}")).collect()
}

fn produce(kafka: &Kafka, topic: &str, partition: i32, texts: &[String]) {
    kafka.produce(topic, partition, texts.iter().map(|text| Some(text.as_str())));
}

#[test]
fn a_broker_and_all_that_befalls_it() {
    let mut kafka = Kafka::start();
    goes_on_at_the_checkpoint(&kafka);
    retention_is_a_gap(&kafka);
    retention_while_running_is_a_gap(&kafka);
    a_topic_made_anew_is_a_gap(&kafka);
    starts_at_the_end(&kafka);
    a_full_channel_holds_back(&kafka);
    logs_in(&kafka);
    two_members_share(&kafka);
    an_outage_is_reported(&mut kafka);
}

fn goes_on_at_the_checkpoint(kafka: &Kafka) {
    kafka.create("resume", 2);
    produce(kafka, "resume", 0, &texts(0, 5));
    kafka.produce("resume", 1, [Some("a"), None, Some("c")]);
    let settings = settings(&kafka.bootstrap, "resume");
    let first = Running::start(&settings, Vec::new(), 1000);
    let mut got = first.messages(7);
    got.sort();
    assert_eq!(got[..5], ["resume/0@0 m0", "resume/0@1 m1", "resume/0@2 m2", "resume/0@3 m3", "resume/0@4 m4"]);
    assert_eq!(got[5..], ["resume/1@0 a", "resume/1@2 c"]);
    let mut idle = 0;
    while idle < 2 {
        idle += usize::from(matches!(first.next(), Delivery::Idle(_)));
    }
    assert!(first.deliveries.recv_timeout(Duration::from_millis(300)).is_err(), "a pause is reported once");
    let stored = vec![first.checkpoint("resume", 0, 3), first.checkpoint("resume", 1, 3)];
    first.end();
    support::wait_for("the group's offset", Duration::from_secs(10), || {
        (kafka.committed(&settings.group, "resume", 0) == Some(3)).then_some(())
    });

    // What was read but not stored comes again; nothing else does.
    produce(kafka, "resume", 0, &texts(5, 6));
    let second = Running::start(&settings, stored, 1000);
    assert_eq!(second.messages(3), ["resume/0@3 m3", "resume/0@4 m4", "resume/0@5 m5"]);
    second.end();
}

fn stored(topic: &str, next: i64) -> Vec<Checkpoint> {
    let (key, label) = (format!("kafka:{topic}/0"), format!("{topic}/0"));
    vec![Checkpoint { source: "audit".to_owned(), key, label, position: Position::Kafka { offset: next }, state: Vec::new() }]
}

fn retention_is_a_gap(kafka: &Kafka) {
    kafka.create("kept", 1);
    produce(kafka, "kept", 0, &texts(0, 10));
    kafka.delete_records("kept", 0, 7);
    let running = Running::start(&settings(&kafka.bootstrap, "kept"), stored("kept", 4), 1000);
    assert_eq!(running.messages(4), ["kept/0 gap 4..Some(7) retention", "kept/0@7 m7", "kept/0@8 m8", "kept/0@9 m9"]);
    running.end();
}

/// The channel is full while retention passes by.
fn retention_while_running_is_a_gap(kafka: &Kafka) {
    kafka.create("slow", 1);
    produce(kafka, "slow", 0, &texts(0, 1));
    let running = Running::start(&settings(&kafka.bootstrap, "slow"), Vec::new(), 1);
    std::thread::sleep(Duration::from_millis(2500));
    // Taken: m0 (in the channel), the pause (waiting). The partitions are paused by now.
    std::thread::sleep(Duration::from_millis(1000));
    produce(kafka, "slow", 0, &texts(1, 10));
    kafka.delete_records("slow", 0, 8);
    assert_eq!(running.messages(4), ["slow/0@0 m0", "slow/0 gap 1..Some(8) retention", "slow/0@8 m8", "slow/0@9 m9"]);
    running.end();
}

fn a_topic_made_anew_is_a_gap(kafka: &Kafka) {
    kafka.create("anew", 1);
    produce(kafka, "anew", 0, &texts(0, 2));
    let running = Running::start(&settings(&kafka.bootstrap, "anew"), stored("anew", 500), 1000);
    assert_eq!(running.messages(3), ["anew/0 gap 500..None recreated", "anew/0@0 m0", "anew/0@1 m1"]);
    running.end();
}

fn starts_at_the_end(kafka: &Kafka) {
    kafka.create("late", 1);
    produce(kafka, "late", 0, &texts(0, 3));
    let mut settings = settings(&kafka.bootstrap, "late");
    settings.start = config::Start::End;
    let running = Running::start(&settings, Vec::new(), 1000);
    // Until the assignment is there, what is produced may lie before the end.
    let seen = support::wait_for("the first message", Duration::from_secs(30), || {
        produce(kafka, "late", 0, &texts(3, 4));
        running.deliveries.recv_timeout(Duration::from_millis(200)).ok()
    });
    assert!(matches!(&seen, Delivery::Chunk(chunk) if chunk.bytes == b"m3"), "{seen:?}");
    running.end();
}

/// Nothing is lost, doubled or disordered while the pipeline takes its time.
fn a_full_channel_holds_back(kafka: &Kafka) {
    kafka.create("full", 1);
    produce(kafka, "full", 0, &texts(0, 20_000));
    let running = Running::start(&settings(&kafka.bootstrap, "full"), Vec::new(), 10);
    let mut got = running.messages(5);
    std::thread::sleep(Duration::from_millis(3500)); // long enough for a pause of the partitions
    got.extend(running.messages(5_000));
    std::thread::sleep(Duration::from_millis(3500));
    got.extend(running.messages(14_995));
    let wanted: Vec<String> = (0..20_000).map(|i| format!("full/0@{i} m{i}")).collect();
    assert!(got == wanted, "first difference: {:?}", got.iter().zip(&wanted).find(|(a, b)| a != b));
    running.end();
}

fn logs_in(kafka: &Kafka) {
    kafka.create("login", 1);
    produce(kafka, "login", 0, &texts(0, 1));
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let mut settings = settings(&kafka.sasl_bootstrap, "login");
        settings.group = format!("login-{mechanism}");
        settings.sasl_mechanism = Some(mechanism.to_owned());
        settings.username = Some(LOGIN.0.to_owned());
        settings.password = Some(LOGIN.1.to_owned().into());
        let running = Running::start(&settings, Vec::new(), 1000);
        assert_eq!(running.messages(1), ["login/0@0 m0"], "{mechanism}");
        running.end();

        settings.password = Some("wrong-password".to_owned().into());
        let running = Running::start(&settings, Vec::new(), 1000);
        let trouble = running.next();
        let Delivery::Trouble(trouble) = &trouble else { panic!("{mechanism}: {trouble:?}") };
        assert!(trouble.failing && trouble.message.contains("refuses the login"), "{mechanism}: {}", trouble.message);
        assert!(!trouble.message.contains("wrong-password"), "{}", trouble.message);
        running.end();
    }
}

/// A second member takes over a part, and all of it when the first leaves.
fn two_members_share(kafka: &Kafka) {
    kafka.create("shared", 2);
    let settings = settings(&kafka.bootstrap, "shared");
    let first = Running::start(&settings, Vec::new(), 1000);
    produce(kafka, "shared", 0, &texts(0, 1));
    produce(kafka, "shared", 1, &texts(0, 1));
    assert_eq!(first.messages(2).len(), 2);
    let both = vec![first.checkpoint("shared", 0, 1), first.checkpoint("shared", 1, 1)];
    let second = Running::start(&settings, both, 1000);
    let mut next = 1;
    support::wait_for("a message at the second member", Duration::from_secs(60), || {
        produce(kafka, "shared", 0, &texts(next, next + 1));
        produce(kafka, "shared", 1, &texts(next, next + 1));
        next += 1;
        std::thread::sleep(Duration::from_millis(200));
        second.deliveries.try_iter().any(|d| matches!(d, Delivery::Chunk(_))).then_some(())
    });
    first.end();
    support::wait_for("both partitions at the second member", Duration::from_secs(60), || {
        produce(kafka, "shared", 0, &texts(next, next + 1));
        produce(kafka, "shared", 1, &texts(next, next + 1));
        next += 1;
        std::thread::sleep(Duration::from_millis(200));
        let last = format!("m{}", next - 1);
        let chunks: Vec<_> = second.deliveries.try_iter().filter_map(|d| if let Delivery::Chunk(c) = d { Some(c) } else { None }).collect();
        let has = |label: &str| chunks.iter().any(|c| c.partition.label == label && c.bytes == last.as_bytes());
        (has("shared/0") && has("shared/1")).then_some(())
    });
    second.end();
}

fn an_outage_is_reported(kafka: &mut Kafka) {
    kafka.create("outage", 1);
    produce(kafka, "outage", 0, &texts(0, 1));
    let running = Running::start(&settings(&kafka.bootstrap, "outage"), Vec::new(), 1000);
    assert_eq!(running.messages(1), ["outage/0@0 m0"]);
    kafka.halt();
    let trouble = || loop {
        if let Delivery::Trouble(trouble) = running.next() {
            break trouble;
        }
    };
    let down = trouble();
    assert!(down.failing && down.message.contains("can be reached"), "{}", down.message);
    std::thread::sleep(Duration::from_secs(3));
    assert!(!running.deliveries.try_iter().any(|d| matches!(d, Delivery::Trouble(_))), "one change of state, one trouble");
    kafka.resume();
    let up = trouble();
    assert!(!up.failing, "{}", up.message);
    produce(kafka, "outage", 0, &texts(1, 2));
    assert_eq!(running.messages(1), ["outage/0@1 m1"]);
    kafka.halt();
    trouble();
    // With the broker dead the stop is as quick.
    running.end();
}
