//! The keeper: the one writer of the store. Alerts are committed at once, everything else once an epoch.
//!
//! Order of effects: an alert and its outbox rows, then the state that includes the event, then (in the same transaction) the position.
//! A crash in between replays events whose alerts are stored already, under the same ids, and stores nothing twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::intake::Mark;
use super::quarantine::{Quarantine, Rejected};
use crate::alert::Alert;
use crate::alert::gap::alert_of as gap_alert;
use crate::clock::Clock;
use crate::identity::dictionary::Dictionary;
use crate::notifier::NewDelivery;
use crate::position::Checkpoint;
use crate::response::NewAction;
use crate::source::{Bookmarks, Gap};
use crate::store::{Epoch, Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::token::TokenId;

/// What the other threads hand to the keeper.
pub enum Parcel {
    /// To be stored, and sent, at once.
    Alert(Box<Alert>),
    /// The judge's part of an epoch; `applied`: orders that it has carried out.
    Dirty { epoch: u64, records: Records, applied: Vec<i64> },
    /// The intake's part of an epoch.
    Marks { epoch: u64, marks: Vec<Mark>, gaps: Vec<Gap>, rejected: Vec<Rejected> },
    /// Sources were started anew.
    Sources(BTreeMap<String, Arc<dyn Bookmarks>>),
}

/// What an alert sets off: notifications and actions.
pub type Consequences = Box<dyn Fn(&Store, &Alert) -> (Vec<NewDelivery>, Vec<NewAction>) + Send>;

/// Pause between tries while the disk is full or another process holds the store.
const WAIT_FOR_SPACE: Duration = Duration::from_secs(2);

/// Parcels put aside while alerts go first.
const MOST_BACKLOG: usize = 256;

/// Owner of the store's writing connection.
pub struct Keeper {
    pub store: Store,
    pub dictionary: Arc<Dictionary>,
    pub bookmarks: BTreeMap<String, Arc<dyn Bookmarks>>,
    pub consequences: Consequences,
    /// Called after rows were added to the outbox.
    pub wake: Box<dyn Fn() + Send>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub quarantine: Quarantine,
    /// Set when the process is about to end.
    pub stopping: Arc<AtomicBool>,
    /// The last epoch that was stored.
    pub stored: Arc<AtomicU64>,
}

/// What is remembered of tokens, as it is stored.
type Records = Vec<(TokenId, Vec<u8>)>;

/// An epoch whose parts are still arriving.
#[derive(Default)]
struct Gathering {
    marks: Option<(Vec<Mark>, Vec<Gap>, Vec<Rejected>)>,
    records: Option<Records>,
    /// Orders of operators that the records have taken up.
    applied: Vec<i64>,
}

impl Keeper {
    /// Runs until all senders are gone.
    ///
    /// # Errors
    /// The store failed in a way after which nothing more may be promised: the process must end and replay.
    pub fn run(mut self, parcels: &Receiver<Parcel>) -> Result<(), StoreError> {
        let mut gathering: BTreeMap<u64, Gathering> = BTreeMap::new();
        let mut backlog: VecDeque<Parcel> = VecDeque::new();
        while let Some(parcel) = backlog.pop_front().or_else(|| parcels.recv().ok()) {
            let epoch = match parcel {
                Parcel::Alert(alert) => {
                    self.alert(&alert)?;
                    continue;
                }
                Parcel::Sources(bookmarks) => {
                    self.bookmarks.extend(bookmarks);
                    continue;
                }
                Parcel::Dirty { epoch, records, applied } => {
                    let gathered = gathering.entry(epoch).or_default();
                    (gathered.records, gathered.applied) = (Some(records), applied);
                    epoch
                }
                Parcel::Marks { epoch, marks, gaps, rejected } => {
                    gathering.entry(epoch).or_default().marks = Some((marks, gaps, rejected));
                    epoch
                }
            };
            // Every sender's parcels arrive in order, so epochs complete in order.
            if gathering.get(&epoch).is_some_and(|g| g.records.is_some() && g.marks.is_some())
                && let Some(whole) = gathering.remove(&epoch)
            {
                self.commit(whole, parcels, &mut backlog)?;
                self.stored.store(epoch, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    fn alert(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let (deliveries, actions) = (self.consequences)(&self.store, alert);
        let new = loop {
            match self.store.commit_alert(alert, &deliveries, &actions, self.clock.now()) {
                Err(error) if error.is_retryable() => self.wait(error)?,
                result => break result?,
            }
        };
        if new {
            self.metrics.alerts.with_label_values(&[alert.severity.name()]).inc();
            tracing::info!(id = %alert.id, token = %alert.token, severity = %alert.severity, detectors = %alert.detectors.join(" "), "alert");
            (self.wake)();
        }
        Ok(())
    }

    fn commit(&mut self, whole: Gathering, parcels: &Receiver<Parcel>, backlog: &mut VecDeque<Parcel>) -> Result<(), StoreError> {
        let (marks, gaps, rejected) = whole.marks.unwrap_or_default();
        let (records, applied) = (whole.records.unwrap_or_default(), whole.applied);
        let now = self.clock.now();
        self.quarantine.add(&rejected);
        for gap in gaps.iter().filter(|gap| gap.is_certain()) {
            self.alert(&gap_alert(gap, now))?;
        }
        let news = self.dictionary.take_new();
        let mut epoch = Epoch {
            baselines: records,
            applied: applied.into_iter().map(|id| (id, now)).collect(),
            words: news.words.into_iter().map(|(id, text)| (id, text.to_string())).collect(),
            tokens: news.tokens.into_iter().map(|(id, name)| (id, name.to_string())).collect(),
            gaps: gaps.into_iter().map(|gap| (gap, now)).collect(),
            ..Epoch::default()
        };
        let mut closed = Vec::new();
        for mark in marks {
            let partition = &mark.partition;
            let Some(source) = self.bookmarks.get(&partition.source) else { continue };
            if mark.closed {
                epoch.released.push((partition.source.clone(), partition.key.clone()));
                closed.push((source.clone(), partition.clone()));
                continue;
            }
            match source.bookmark(partition, mark.offset) {
                Some(position) => epoch.checkpoints.push(Checkpoint {
                    source: partition.source.clone(),
                    key: partition.key.clone(),
                    label: partition.label.clone(),
                    position,
                    state: mark.state,
                }),
                None => {
                    tracing::warn!(source = %partition.source, file = %partition.label, "the source has forgotten this partition; its position is not stored")
                }
            }
        }
        let started = self.clock.monotonic();
        loop {
            match self.store.commit_epoch(&epoch) {
                Err(error) if error.is_retryable() => {
                    self.wait(error)?;
                    self.alerts_first(parcels, backlog)?;
                }
                result => break result?,
            }
        }
        self.writable();
        self.metrics.commits.inc();
        self.metrics.commit_seconds.observe((self.clock.monotonic() - started).as_secs_f64());
        // Only now may a source forget what it kept for a restart.
        for (source, partition) in closed {
            source.release(&partition);
        }
        Ok(())
    }

    /// While an epoch waits for room, alerts do not: they are stored into the reserve that the store keeps for them. An alert may
    /// always be stored before the state that it came of.
    fn alerts_first(&mut self, parcels: &Receiver<Parcel>, backlog: &mut VecDeque<Parcel>) -> Result<(), StoreError> {
        // Bounded as the channel is; past that the stages behind wait.
        while backlog.len() < MOST_BACKLOG {
            match parcels.try_recv() {
                Ok(Parcel::Alert(alert)) => self.alert(&alert)?,
                Ok(other) => backlog.push_back(other),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// The store has taken something.
    fn writable(&self) {
        if self.metrics.store_full.get() != 0 {
            tracing::info!("the store can be written again, reading goes on");
        }
        self.metrics.store_full.set(0);
    }

    /// The store cannot write for now. The channels fill up behind this thread, and the sources stop reading: nothing is lost. A stop
    /// ends the waiting with the error: what is not stored is read again at the next start.
    fn wait(&self, error: StoreError) -> Result<(), StoreError> {
        if self.metrics.store_full.get() == 0 {
            tracing::error!("the store cannot be written, reading stops: {error}");
        }
        self.metrics.store_full.set(1);
        for _ in 0..20 {
            if self.stopping.load(Ordering::SeqCst) {
                return Err(error);
            }
            std::thread::sleep(WAIT_FOR_SPACE / 20);
        }
        Ok(())
    }
}
