//! What we know of each partition, and what the group's decisions do to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics};

use crate::config::Start;
use crate::position::{Checkpoint, Partition, Position};
use crate::source::Bookmarks;

/// One partition of a topic.
struct Entry {
    partition: Arc<Partition>,
    assigned: bool,
    /// Next offset to read; lower ones were taken in already. `None`: nothing known, see [`Start`].
    next: Option<i64>,
    /// Next offset as the pipeline last stored it.
    stored: Option<i64>,
    /// `stored` as it was last committed to the group.
    committed: Option<i64>,
    /// When its last message came, until that pause was reported.
    last: Option<Duration>,
}

/// All partitions of a source, shared between its thread, the group's callbacks and the pipeline.
pub struct Ledger {
    source: String,
    start: Start,
    entries: Mutex<HashMap<(String, i32), Entry>>,
}

impl Ledger {
    pub fn new(source: &str, start: Start, resume: Vec<Checkpoint>) -> Self {
        let ledger = Ledger { source: source.to_owned(), start, entries: Mutex::new(HashMap::new()) };
        for checkpoint in resume {
            if let (Position::Kafka { offset }, Some((topic, number))) = (&checkpoint.position, parse_key(&checkpoint.key)) {
                let mut entry = ledger.entry(topic, number);
                entry.next = Some(*offset);
                entry.stored = Some(*offset);
                ledger.lock().insert((topic.to_owned(), number), entry);
            }
        }
        ledger
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, i32), Entry>> {
        // Every change is a single assignment: a panic elsewhere leaves nothing half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, topic: &str, number: i32) -> Entry {
        let label = format!("{topic}/{number}");
        let partition = Arc::new(Partition { source: self.source.clone(), key: format!("kafka:{label}"), label });
        Entry { partition, assigned: false, next: None, stored: None, committed: None, last: None }
    }

    /// Where to read each of these partitions from; they are ours now.
    fn assign(&self, list: &mut TopicPartitionList) {
        let mut entries = self.lock();
        let given: Vec<_> = list.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect();
        for (topic, number) in given {
            let entry = entries.entry((topic.clone(), number)).or_insert_with(|| self.entry(&topic, number));
            entry.assigned = true;
            let offset = match (entry.next, self.start) {
                (Some(next), _) => Offset::Offset(next),
                (None, Start::Beginning) => Offset::Beginning,
                (None, Start::End) => Offset::End,
            };
            if let Err(error) = list.set_partition_offset(&topic, number, offset) {
                tracing::warn!(source = self.source, topic, number, %error, "no start offset");
            }
        }
    }

    fn revoke(&self, list: &TopicPartitionList) {
        let mut entries = self.lock();
        for element in list.elements() {
            if let Some(entry) = entries.get_mut(&(element.topic().to_owned(), element.partition())) {
                entry.assigned = false;
                entry.last = None;
            }
        }
    }

    /// Notes that this offset is taken in; `None` if it was before.
    pub fn advance(&self, topic: &str, number: i32, offset: i64, now: Duration) -> Option<Arc<Partition>> {
        let mut entries = self.lock();
        let entry = entries.entry((topic.to_owned(), number)).or_insert_with(|| self.entry(topic, number));
        if entry.next.is_some_and(|next| offset < next) {
            return None;
        }
        entry.next = Some(offset + 1);
        entry.last = Some(now);
        Some(entry.partition.clone())
    }

    /// Goes on at `offset`.
    pub fn set(&self, topic: &str, number: i32, offset: i64) {
        if let Some(entry) = self.lock().get_mut(&(topic.to_owned(), number)) {
            entry.next = Some(offset);
        }
    }

    pub fn partition(&self, topic: &str, number: i32) -> Option<Arc<Partition>> {
        self.lock().get(&(topic.to_owned(), number)).map(|entry| entry.partition.clone())
    }

    /// Our partitions with the next offset of each.
    pub fn assigned(&self) -> Vec<(String, i32, Option<i64>)> {
        self.lock().iter().filter(|(_, e)| e.assigned).map(|((topic, number), e)| (topic.clone(), *number, e.next)).collect()
    }

    /// Partitions that have just become idle; each pause is reported once.
    pub fn idle(&self, now: Duration, after: Duration) -> Vec<Arc<Partition>> {
        let mut idle = Vec::new();
        for entry in self.lock().values_mut() {
            if entry.last.is_some_and(|last| now.saturating_sub(last) >= after) {
                entry.last = None;
                idle.push(entry.partition.clone());
            }
        }
        idle
    }

    /// Some partition's pause is not reported yet.
    pub fn awaits_idle(&self) -> bool {
        self.lock().values().any(|entry| entry.last.is_some())
    }

    /// Stored offsets of our partitions (or of those in `only`) that the group does not know yet.
    pub fn to_commit(&self, only: Option<&TopicPartitionList>) -> Option<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for ((topic, number), entry) in self.lock().iter_mut() {
            let wanted = only.map_or(entry.assigned, |only| only.find_partition(topic, *number).is_some());
            if let Some(stored) = entry.stored.filter(|_| wanted && entry.stored != entry.committed) {
                entry.committed = entry.stored;
                // Only a malformed offset is refused.
                let _ = list.add_partition_offset(topic, *number, Offset::Offset(stored));
            }
        }
        (list.count() > 0).then_some(list)
    }
}

impl Bookmarks for Ledger {
    fn bookmark(&self, partition: &Partition, offset: u64) -> Option<Position> {
        let (topic, number) = parse_key(&partition.key)?;
        let offset = i64::try_from(offset).ok()?;
        let mut entries = self.lock();
        let entry = entries.get_mut(&(topic.to_owned(), number))?;
        entry.stored = Some(offset);
        Some(Position::Kafka { offset })
    }
}

/// `kafka:<topic>/<n>`; a topic's name holds no slash.
fn parse_key(key: &str) -> Option<(&str, i32)> {
    let (topic, number) = key.strip_prefix("kafka:")?.rsplit_once('/')?;
    Some((topic, number.parse().ok()?))
}

/// The group's callbacks; they run inside `poll`, on the source's own thread.
pub struct Member(pub Arc<Ledger>);

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What a person must know comes as an error and becomes a trouble; this is for developers.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::info!(source = self.0.source, facility, message, "librdkafka");
            }
            _ => tracing::debug!(source = self.0.source, facility, message, "librdkafka"),
        }
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(source = self.0.source, %error, reason, "librdkafka");
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, change: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let result = if change == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.0.assign(list);
            if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) }
        } else {
            // A lost assignment may belong to somebody else by now; the commit is refused then, which does no harm.
            if let Some(offsets) = self.0.to_commit(Some(list))
                && !consumer.assignment_lost()
                && let Err(error) = consumer.commit(&offsets, CommitMode::Sync)
            {
                tracing::debug!(source = self.0.source, %error, "commit on revoke, for the group's lag only");
            }
            self.0.revoke(list);
            if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = result {
            tracing::warn!(source = self.0.source, %error, "the group's assignment could not be taken over");
        }
    }
}
