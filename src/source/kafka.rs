//! Apache Kafka topics: one consumer on one thread, positions kept by our own checkpoints.
//!
//! The group decides who reads which partition and nothing else. Where to start is what the store knows; the offsets committed to
//! the group are for people who watch its lag. An offset that retention has deleted is a [`Gap`], never a silent jump.
//!
//! ```text
//! assign -> start at the checkpoint -> poll -> channel full? pause, keep polling (or the group throws us out) -> resume
//! ```
//!
//! A message without a payload (a tombstone of a compacted topic) holds no record and is passed over; offsets that
//! compaction and transactions leave out are not gaps, for they never held a message for us.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset};
use secrecy::ExposeSecret;

use super::{Chunk, Delivery, Gap, IDLE_AFTER, Opened, Source, Stop, Trouble};
use crate::clock::{Clock, System};
use crate::config::Kafka;
use crate::position::Checkpoint;

mod group;

use group::{Ledger, Member};

/// Longest wait of one poll; also the delay after which a stop is seen.
const POLL: Duration = Duration::from_millis(50);
/// The channel has been full for this long: pause the partitions and poll on. Shorter jams are sat out, for a pause throws
/// away what was fetched ahead.
const JAM: Duration = Duration::from_secs(2);
/// How often offsets are committed to the group, for its lag.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How often a failing cluster is asked whether it is back.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for an answer that the reading thread itself waits for.
const ASK: Duration = Duration::from_millis(150);
/// Pause before a consumer that ended for good is replaced.
const REBUILD_AFTER: Duration = Duration::from_secs(5);

/// Makes the source and the bookmarks that go with it. Nothing is connected before the source runs; an error here is one in the
/// settings.
pub fn new(name: &str, config: &Kafka, resume: Vec<Checkpoint>) -> Result<Opened, String> {
    let ledger = Arc::new(Ledger::new(name, config.start, resume));
    let client = client(config);
    // Creating a consumer checks the settings, the certificate files among them.
    let consumer = consumer(name, &client, &ledger)?;
    let source = KafkaSource {
        name: name.to_owned(),
        topics: config.topics.clone(),
        client,
        ledger: ledger.clone(),
        consumer: Some(consumer),
        pending: VecDeque::new(),
        clock: System::default(),
        failing: None,
    };
    Ok((Box::new(source), ledger))
}

fn client(config: &Kafka) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", config.brokers.join(","))
        .set("group.id", &config.group)
        .set("client.id", "tokenwatch")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "15000")
        .set("max.poll.interval.ms", "300000")
        .set("socket.timeout.ms", "10000")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.wait.max.ms", "100");
    let security = match (config.tls, config.sasl_mechanism.is_some()) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    client.set("security.protocol", security);
    if config.tls {
        // The library brings its own OpenSSL, which has to look for the host's roots.
        client.set("ssl.ca.location", config.ca_file.as_ref().map_or("probe".into(), |file| file.to_string_lossy()));
    }
    for (key, file) in [("ssl.certificate.location", &config.certificate_file), ("ssl.key.location", &config.key_file)] {
        if let Some(file) = file {
            client.set(key, file.to_string_lossy());
        }
    }
    if let Some(mechanism) = &config.sasl_mechanism {
        client.set("sasl.mechanisms", mechanism);
        client.set("sasl.username", config.username.as_deref().unwrap_or_default());
        if let Some(password) = &config.password {
            client.set("sasl.password", password.expose_secret());
        }
    }
    client
}

fn consumer(name: &str, client: &ClientConfig, ledger: &Arc<Ledger>) -> Result<BaseConsumer<Member>, String> {
    client.create_with_context(Member(ledger.clone())).map_err(|error| {
        let cause = match error {
            // The library repeats the value, which may be a password.
            KafkaError::ClientConfig(_, text, key, _) => format!("{key}: {text}"),
            other => other.to_string(),
        };
        format!("source \"{name}\": the Kafka client refuses its settings: {cause}")
    })
}

struct KafkaSource {
    name: String,
    topics: Vec<String>,
    client: ClientConfig,
    ledger: Arc<Ledger>,
    consumer: Option<BaseConsumer<Member>>,
    /// What was taken from the broker and not yet given on.
    pending: VecDeque<Delivery>,
    clock: System,
    /// What is wrong, while something is.
    failing: Option<String>,
}

impl Source for KafkaSource {
    fn run(mut self: Box<Self>, out: Sender<Delivery>, stop: Stop) {
        while !stop.stopped() {
            let consumer = match self.consumer.take().map_or_else(|| consumer(&self.name, &self.client, &self.ledger), Ok) {
                Ok(consumer) => consumer,
                Err(message) => {
                    self.trouble(message);
                    self.wait(REBUILD_AFTER, &out, &stop);
                    continue;
                }
            };
            let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            let fatal = match consumer.subscribe(&topics) {
                Ok(()) => self.read(&consumer, &out, &stop),
                Err(error) => Some(format!("cannot subscribe to {}: {error}", topics.join(", "))),
            };
            leave(consumer, &self.ledger);
            if let Some(message) = fatal {
                self.trouble(format!("{message}; starting the consumer anew"));
                self.wait(REBUILD_AFTER, &out, &stop);
            }
        }
    }
}

impl KafkaSource {
    /// Reads until the stop (`None`) or until the consumer is beyond repair (why).
    fn read(&mut self, consumer: &BaseConsumer<Member>, out: &Sender<Delivery>, stop: &Stop) -> Option<String> {
        let mut jammed_since: Option<Duration> = None;
        let mut paused = false;
        let mut committed = self.clock.monotonic();
        let mut probed = committed;
        loop {
            if stop.stopped() {
                return None;
            }
            let jammed = !self.give(out, if paused { Duration::ZERO } else { POLL });
            let now = self.clock.monotonic();
            if jammed {
                let since = *jammed_since.get_or_insert(now);
                if !paused && now.saturating_sub(since) < JAM {
                    continue;
                }
                // From here on what is polled is only the group's business; new assignments are paused too.
                paused = pause(consumer, true) || paused;
            } else {
                jammed_since = None;
                if paused {
                    pause(consumer, false);
                    paused = false;
                }
            }
            match consumer.poll(self.patience()) {
                Some(Ok(message)) => self.take(&message, now),
                Some(Err(error)) => {
                    if let Some(fatal) = self.error(consumer, &error) {
                        return Some(fatal);
                    }
                }
                None => {}
            }
            let now = self.clock.monotonic();
            self.pending.extend(self.ledger.idle(now, IDLE_AFTER).into_iter().map(Delivery::Idle));
            if now.saturating_sub(committed) >= COMMIT_EVERY {
                committed = now;
                self.commit(consumer);
            }
            if self.failing.is_some() && now.saturating_sub(probed) >= PROBE_EVERY {
                probed = self.clock.monotonic();
                self.probe(consumer);
            }
        }
    }

    /// How long the next poll may wait: not past the moment at which a partition counts as idle.
    fn patience(&self) -> Duration {
        if self.ledger.awaits_idle() { IDLE_AFTER } else { POLL }
    }

    /// Hands on what is pending; `false` if the channel stayed full.
    fn give(&mut self, out: &Sender<Delivery>, wait: Duration) -> bool {
        while let Some(delivery) = self.pending.pop_front() {
            let refused = match out.try_send(delivery) {
                Ok(()) => continue,
                Err(TrySendError::Full(delivery)) => match out.send_timeout(delivery, wait) {
                    Ok(()) => continue,
                    Err(error) => error.into_inner(),
                },
                // Nobody takes in any more: the pipeline is on its way out and the stop follows.
                Err(TrySendError::Disconnected(delivery)) => {
                    std::thread::sleep(wait);
                    delivery
                }
            };
            self.pending.push_front(refused);
            return false;
        }
        true
    }

    fn take(&mut self, message: &BorrowedMessage<'_>, now: Duration) {
        let Some(partition) = self.ledger.advance(message.topic(), message.partition(), message.offset(), now) else {
            return; // taken in before
        };
        self.recovered();
        let Some(payload) = message.payload() else { return };
        let offset = u64::try_from(message.offset()).unwrap_or(0);
        self.pending.push_back(Delivery::Chunk(Chunk { partition, offset, bytes: payload.to_vec(), message: true }));
    }

    /// Deals with an error of the consumer; some text: it must be replaced.
    fn error(&mut self, consumer: &BaseConsumer<Member>, error: &KafkaError) -> Option<String> {
        let code = error.rdkafka_error_code();
        match (error, code) {
            (KafkaError::MessageConsumptionFatal(_), _) => return Some(format!("the Kafka consumer failed for good: {error}")),
            (_, Some(Code::OffsetOutOfRange | Code::AutoOffsetReset)) => {
                if let Err(message) = self.find_gaps(consumer) {
                    return Some(message);
                }
            }
            // We held on to a message for too long; polling on joins the group again.
            (_, Some(Code::PollExceeded)) => {
                self.trouble("the pipeline took more than five minutes for what it had; reading goes on".into())
            }
            (_, Some(Code::UnknownTopicOrPartition | Code::UnknownTopic)) => {
                let topics = self.topics.join(", ");
                self.trouble(format!("a topic of {topics} does not exist (yet); create it, or correct \"topics\""));
            }
            (_, Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed)) => {
                self.trouble(format!("the broker denies access: {error}; grant this user Read on the topics and on the group"));
            }
            (_, Some(Code::Authentication | Code::SaslAuthenticationFailed)) => {
                self.trouble(format!("the broker refuses the login: {error}; check \"username\", \"password\" and \"sasl_mechanism\""));
            }
            (_, Some(Code::SSL)) => self.trouble(format!("no TLS connection: {error}; check \"tls\" and \"ca_file\"")),
            (_, Some(Code::AllBrokersDown)) => {
                let brokers = self.client.get("bootstrap.servers").unwrap_or_default().to_owned();
                self.trouble(format!("no broker of {brokers} can be reached; trying on"));
            }
            // One connection of several; all of them down is told apart.
            (_, Some(Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut)) => {
                tracing::debug!(source = self.name, %error, "connection to a broker");
            }
            _ => self.trouble(format!("reading from Kafka: {error}")),
        }
        None
    }

    /// An offset is not there any more (or not yet: the topic was made anew). Says what is lost and goes on where there is something.
    fn find_gaps(&mut self, consumer: &BaseConsumer<Member>) -> Result<(), String> {
        for (topic, number, next) in self.ledger.assigned() {
            let Some(next) = next else { continue };
            let (low, high) = consumer
                .fetch_watermarks(&topic, number, Duration::from_secs(2))
                .map_err(|error| format!("cannot ask {topic}/{number} for its offsets: {error}"))?;
            let (go_on, reason) = match next {
                next if next < low => (low, "retention"),
                // The log ends before what we have read: it was deleted, or lost its end with its leader.
                next if next > high => (low, "recreated"),
                next => (next, ""),
            };
            if let Some(partition) = self.ledger.partition(&topic, number).filter(|_| go_on != next) {
                let from = u64::try_from(next).unwrap_or(0);
                let to = (reason == "retention").then(|| u64::try_from(go_on).unwrap_or(0));
                self.pending.push_back(Delivery::Gap(Gap { partition, from, to, reason }));
                self.ledger.set(&topic, number, go_on);
            }
            consumer
                .seek(&topic, number, Offset::Offset(go_on), Duration::from_secs(2))
                .map_err(|error| format!("cannot go on at offset {go_on} of {topic}/{number}: {error}"))?;
        }
        Ok(())
    }

    fn commit(&self, consumer: &BaseConsumer<Member>) {
        if let Some(offsets) = self.ledger.to_commit(None)
            && let Err(error) = consumer.commit(&offsets, CommitMode::Async)
        {
            tracing::debug!(source = self.name, %error, "commit to the group, for its lag only");
        }
    }

    fn probe(&mut self, consumer: &BaseConsumer<Member>) {
        let Some(topic) = self.topics.first() else { return };
        let there = consumer
            .fetch_metadata(Some(topic), ASK)
            .is_ok_and(|found| found.topics().iter().all(|topic| topic.error().is_none() && !topic.partitions().is_empty()));
        if there {
            self.recovered();
        }
    }

    fn trouble(&mut self, message: String) {
        if self.failing.as_deref() == Some(&message) {
            return;
        }
        self.failing = Some(message.clone());
        self.tell(message, true);
    }

    fn recovered(&mut self) {
        if self.failing.take().is_some() {
            self.tell("reading again".to_owned(), false);
        }
    }

    fn tell(&mut self, message: String, failing: bool) {
        let label = Some(self.topics.join(", "));
        self.pending.push_back(Delivery::Trouble(Trouble { source: self.name.clone(), label, message, failing }));
    }

    /// Sits out a back-off, handing on what is pending.
    fn wait(&mut self, long: Duration, out: &Sender<Delivery>, stop: &Stop) {
        let until = self.clock.monotonic() + long;
        while !stop.stopped() && self.clock.monotonic() < until {
            if self.give(out, POLL) {
                std::thread::sleep(POLL);
            }
        }
    }
}

/// Pauses or resumes all that is assigned; `true` if there was anything.
fn pause(consumer: &BaseConsumer<Member>, pause: bool) -> bool {
    let Ok(all) = consumer.assignment() else { return false };
    let result = if pause { consumer.pause(&all) } else { consumer.resume(&all) };
    if let Err(error) = result {
        tracing::debug!(%error, pause, "pause or resume");
    }
    all.count() > 0
}

/// Commits and leaves the group, for at most [`ASK`] on this thread: a dead broker must not hold up the stop.
fn leave(consumer: BaseConsumer<Member>, ledger: &Arc<Ledger>) {
    let (done, left) = crossbeam_channel::bounded::<()>(1);
    let ledger = ledger.clone();
    let leaving = move || {
        if let Some(offsets) = ledger.to_commit(None) {
            let _ = consumer.commit(&offsets, CommitMode::Sync);
        }
        drop(consumer);
        let _ = done.send(());
    };
    if std::thread::Builder::new().name("kafka-leave".to_owned()).spawn(leaving).is_ok() {
        let _ = left.recv_timeout(ASK);
    }
}
