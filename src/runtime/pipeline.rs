//! The threads of the daemon between sources and store, and the barrier that makes a consistent cut through them.
//!
//! Every second the intake notes where each partition stands and sends a barrier down the same channel as the observations. The judge
//! that meets it hands the dirty baselines to the keeper. All observations before the barrier, and none after it, are in the
//! records that are stored with those positions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::feedback::{Request, is_report};
use super::intake::Intake;
use super::judge::Judge;
use super::keeper::Parcel;
use super::rulebook::Rulebook;
use super::watch::Meter;
use crate::clock::Clock;
use crate::identity::condition::CONDITIONS;
use crate::observation::Observation;
use crate::source::Delivery;
use crate::telemetry::metrics::Metrics;

/// Time between barriers: what is replayed after a crash, at most.
pub const EPOCH: Duration = Duration::from_secs(1);

/// What flows to the judge.
pub enum ToJudge {
    Batch(Vec<Observation>),
    Barrier(u64),
    Reload(Arc<Rulebook>),
    Obey(Vec<Request>),
}

/// What flows to the intake beside deliveries.
pub enum Control {
    Reload(Arc<Rulebook>),
    /// All sources have stopped and will start anew: take in what is queued, write a last barrier, forget the partitions (their state
    /// is kept for the new sources), and answer with the barrier's number.
    Restart(Sender<u64>),
    /// To be carried out by the judge, and stored soon.
    Obey(Vec<Request>),
}

/// Time between counts of the tokens by state.
const CENSUS_EVERY: Duration = Duration::from_secs(10);

/// Tokens by state, for the metrics.
#[derive(Debug, Default)]
pub struct Census {
    pub learning: AtomicU64,
    pub enforcing: AtomicU64,
    pub pinned: AtomicU64,
    /// Tokens in each condition of the inventory.
    pub conditions: [AtomicU64; CONDITIONS],
}

/// Starts the thread that judges.
///
/// # Errors
/// The thread cannot be started.
pub fn start_judge(
    mut judge: Judge,
    inbox: Receiver<ToJudge>,
    keeper: Sender<Parcel>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    census: Arc<Census>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("judge".to_owned()).spawn(move || {
        let count = |judge: &Judge| {
            let (learning, enforcing, pinned) = judge.engine().census();
            census.learning.store(learning, Ordering::Relaxed);
            census.enforcing.store(enforcing, Ordering::Relaxed);
            let places = judge.engine().places();
            metrics.places.set(i64::try_from(places.len()).unwrap_or(i64::MAX));
            metrics.places_forgotten.set(i64::try_from(places.forgotten()).unwrap_or(i64::MAX));
            census.pinned.store(pinned, Ordering::Relaxed);
            for (place, count) in census.conditions.iter().zip(judge.stock().count()) {
                place.store(count, Ordering::Relaxed);
            }
        };
        count(&judge);
        let mut counted = clock.monotonic();
        let mut applied = Vec::new();
        for message in inbox {
            match message {
                ToJudge::Batch(batch) => {
                    let alerts = judge.step(&batch, &mut |finding, suppressed| {
                        let counter = if suppressed { &metrics.suppressed } else { &metrics.findings };
                        counter.with_label_values(&[&finding.detector]).inc();
                    });
                    for alert in alerts {
                        if is_report(&alert) {
                            alert.detectors.iter().for_each(|detector| metrics.findings.with_label_values(&[detector]).inc());
                        }
                        if keeper.send(Parcel::Alert(Box::new(alert))).is_err() {
                            return;
                        }
                    }
                }
                ToJudge::Barrier(epoch) => {
                    // A walk over all tokens is not for every second.
                    if clock.monotonic() - counted > CENSUS_EVERY {
                        count(&judge);
                        counted = clock.monotonic();
                    }
                    let applied = std::mem::take(&mut applied);
                    if keeper.send(Parcel::Dirty { epoch, records: judge.take_dirty(), applied }).is_err() {
                        return;
                    }
                }
                ToJudge::Reload(rulebook) => judge.reload(rulebook),
                ToJudge::Obey(requests) => {
                    for Request { id, order } in requests {
                        let known = order.as_ref().is_some_and(|order| judge.obey(order));
                        tracing::info!(?order, known, "an order is carried out");
                        applied.push(id);
                    }
                    count(&judge);
                }
            }
        }
    })
}

/// The intake's thread: takes deliveries in until every source is gone.
pub struct IntakeThread {
    pub intake: Intake,
    pub deliveries: Receiver<Delivery>,
    pub control: Receiver<Control>,
    pub judge: Sender<ToJudge>,
    pub keeper: Sender<Parcel>,
    pub meter: Meter,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    /// Beaten once a round, for the watchdog.
    pub pulse: Arc<AtomicU64>,
    /// The next barrier is due also where nothing has moved.
    pub owed: bool,
}

impl IntakeThread {
    /// # Errors
    /// The thread cannot be started.
    pub fn start(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("intake".to_owned()).spawn(move || {
            // A failed send means that the stage behind is gone, and so is the process in a moment.
            if self.run().is_none() {
                tracing::error!("a stage behind the intake has ended; stopping");
            }
        })
    }

    fn run(mut self) -> Option<()> {
        let mut epoch = 0u64;
        let mut last_barrier = self.clock.monotonic();
        let mut out = Vec::new();
        loop {
            let waited = self.clock.monotonic() - last_barrier;
            let ended = match self.deliveries.recv_timeout(EPOCH.saturating_sub(waited).min(Duration::from_millis(200))) {
                Ok(delivery) => {
                    self.intake.set_written(Some(self.clock.now()));
                    self.intake.take(&delivery, &mut out, &mut self.meter);
                    // What has queued up meanwhile goes along in the same batch.
                    for delivery in self.deliveries.try_iter().take(15) {
                        self.intake.take(&delivery, &mut out, &mut self.meter);
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let now = self.clock.monotonic();
            self.measure(&out);
            self.send(&mut out)?;
            self.tell_falls()?;
            self.meter.publish(now);
            self.pulse.fetch_add(1, Ordering::Relaxed);
            for control in self.control.clone().try_iter() {
                match control {
                    Control::Reload(rulebook) => {
                        self.intake.reload(&rulebook);
                        self.judge.send(ToJudge::Reload(rulebook)).ok()?;
                    }
                    Control::Obey(requests) => {
                        self.judge.send(ToJudge::Obey(requests)).ok()?;
                        self.owed = true;
                    }
                    Control::Restart(done) => {
                        for delivery in self.deliveries.clone().try_iter() {
                            self.intake.take(&delivery, &mut out, &mut self.meter);
                        }
                        self.send(&mut out)?;
                        self.tell_falls()?;
                        epoch += 1;
                        self.barrier(epoch, true)?;
                        self.intake.restart();
                        let _ = done.send(epoch);
                    }
                }
            }
            if ended || now - last_barrier >= EPOCH {
                last_barrier = now;
                epoch += 1;
                self.barrier(epoch, false)?;
            }
            if ended {
                return Some(());
            }
        }
    }

    /// From an event's own time to its judgement, which begins now. Events of more than an hour ago are a backlog, not a delay.
    fn measure(&self, batch: &[Observation]) {
        let now = self.clock.now();
        for seen in batch {
            let delay = now.0.saturating_sub(seen.time.0);
            if (0..3_600_000_000).contains(&delay) {
                self.metrics.event_delay_seconds.observe(delay as f64 / 1e6);
            }
        }
    }

    fn send(&self, out: &mut Vec<Observation>) -> Option<()> {
        if out.is_empty() {
            return Some(());
        }
        self.judge.send(ToJudge::Batch(std::mem::take(out))).ok()
    }

    /// An alert is stored before the position that it came of.
    fn tell_falls(&mut self) -> Option<()> {
        self.meter.take_falls().into_iter().try_for_each(|alert| self.keeper.send(Parcel::Alert(Box::new(alert))).ok())
    }

    /// Nothing moved, nothing to store: an idle daemon writes nothing, unless somebody waits for it.
    fn barrier(&mut self, epoch: u64, always: bool) -> Option<()> {
        let marks = self.intake.marks();
        let gaps = self.meter.take_gaps();
        let rejected = self.meter.take_rejected();
        if !always && !std::mem::take(&mut self.owed) && marks.is_empty() && gaps.is_empty() {
            return Some(());
        }
        self.judge.send(ToJudge::Barrier(epoch)).ok()?;
        self.keeper.send(Parcel::Marks { epoch, marks, gaps, rejected }).ok()
    }
}
