//! The delivery workers of all channels and responders, over a connection of their own to the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::notifier::delivery::{Schedule, Tally, Worker};
use crate::notifier::{Channel, Delivery, Receipt, SendError, Sender};
use crate::response::responder::Responder;
use crate::response::{HALT_FILE, destination};
use crate::store::{SharedOutbox, Store};
use crate::telemetry::metrics::Metrics;

/// Whoever takes the messages of a destination.
enum Recipient {
    Channel(Channel),
    Responder(Box<Responder>),
}

impl Sender for Recipient {
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        match self {
            Recipient::Channel(channel) => channel.send(delivery).await,
            Recipient::Responder(responder) => responder.send(delivery).await,
        }
    }
}

/// One running worker.
struct Courier {
    tally: Arc<Tally>,
    task: JoinHandle<()>,
}

/// All workers, by destination.
pub struct Couriers {
    outbox: Arc<SharedOutbox>,
    clock: Arc<dyn Clock>,
    /// Rung when rows were added to the outbox; each worker has its own bell.
    bells: Arc<Mutex<Vec<Arc<Notify>>>>,
    running: Arc<Mutex<BTreeMap<String, Courier>>>,
    stop: watch::Sender<bool>,
    /// Set when a worker can no longer trust the store.
    broken: Arc<AtomicBool>,
}

/// Channels and responders, opened but not yet started.
type Opened = Vec<(String, Duration, Recipient)>;

fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Opened, String> {
    let mut opened = Vec::new();
    for channel in &config.channels {
        opened.push((channel.name.clone(), channel.timeout, Recipient::Channel(Channel::open(channel, clock.clone())?)));
    }
    for responder in &config.responders {
        let recipient = Recipient::Responder(Box::new(Responder::open(responder, clock.clone(), config.state_dir.join(HALT_FILE))?));
        opened.push((destination(&responder.name), responder.timeout, recipient));
    }
    Ok(opened)
}

impl Couriers {
    /// Starts a worker for each channel and responder of the configuration. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A channel's configuration cannot be used, or the store cannot be opened.
    pub fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let store = Store::open_shared(&config.state_dir).map_err(|e| e.to_string())?;
        let couriers = Couriers {
            outbox: Arc::new(SharedOutbox::new(store)),
            bells: Arc::default(),
            running: Arc::default(),
            stop: watch::Sender::new(false),
            broken: Arc::default(),
            clock,
        };
        couriers.hire(config, open(config, &couriers.clock)?);
        Ok(couriers)
    }

    /// Replaces all workers by those of a new configuration. What is on its way is given its time; what waits, waits in the outbox.
    ///
    /// # Errors
    /// A channel's configuration cannot be used; the old workers go on.
    pub async fn reload(&mut self, config: &Config) -> Result<(), String> {
        let opened = open(config, &self.clock)?;
        self.dismiss().await;
        self.stop = watch::Sender::new(false);
        self.hire(config, opened);
        Ok(())
    }

    fn hire(&self, config: &Config, opened: Opened) {
        let channels: Vec<String> = config.channels.iter().map(|c| c.name.clone()).collect();
        for (name, timeout, sender) in opened {
            let (wake, tally) = (Arc::new(Notify::new()), Arc::new(Tally::default()));
            let worker = Worker {
                destination: name.clone(),
                sender,
                outbox: self.outbox.clone(),
                clock: self.clock.clone(),
                timeout,
                schedule: Schedule::default(),
                wake: wake.clone(),
                alarm: channels.iter().filter(|channel| **channel != name).cloned().collect(),
                tally: tally.clone(),
            };
            let (stop, broken) = (self.stop.subscribe(), self.broken.clone());
            let task = tokio::spawn(async move {
                if let Err(error) = worker.run(stop).await {
                    tracing::error!(%error, "the outbox failed");
                    broken.store(true, Ordering::SeqCst);
                }
            });
            if let Ok(mut bells) = self.bells.lock() {
                bells.push(wake);
            }
            if let Ok(mut running) = self.running.lock() {
                running.insert(name, Courier { tally, task });
            }
        }
    }

    async fn dismiss(&self) {
        let _ = self.stop.send(true);
        let old = self.running.lock().map(|mut running| std::mem::take(&mut *running)).unwrap_or_default();
        if let Ok(mut bells) = self.bells.lock() {
            bells.clear();
        }
        for (_, courier) in old {
            let _ = courier.task.await;
        }
    }

    /// A worker can no longer read or write the outbox: the process must end.
    pub fn broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Rings every worker's bell.
    pub fn waker(&self) -> Box<dyn Fn() + Send> {
        let bells = self.bells.clone();
        Box::new(move || {
            if let Ok(bells) = bells.lock() {
                bells.iter().for_each(|bell| bell.notify_one());
            }
        })
    }

    /// Brings the metrics of deliveries up to date.
    pub fn counter(&self) -> impl Fn(&Metrics) + Send + Sync + 'static {
        let (outbox, running, clock) = (self.outbox.clone(), self.running.clone(), self.clock.clone());
        let before: Mutex<BTreeMap<String, [u64; 3]>> = Mutex::default();
        move |metrics: &Metrics| {
            if let (Ok(running), Ok(mut before)) = (running.lock(), before.lock()) {
                for (name, courier) in running.iter() {
                    let now =
                        [&courier.tally.delivered, &courier.tally.failed_tries, &courier.tally.dead].map(|n| n.load(Ordering::Relaxed));
                    let last = before.insert(name.clone(), now).unwrap_or_default();
                    for ((result, now), last) in ["sent", "retry", "dead"].into_iter().zip(now).zip(last) {
                        // A new worker counts from nought.
                        let more = if now >= last { now - last } else { now };
                        metrics.deliveries.with_label_values(&[name.as_str(), result]).inc_by(more);
                    }
                }
            }
            for row in outbox.counts().unwrap_or_default() {
                metrics.outbox_pending.with_label_values(&[&row.destination]).set(i64::try_from(row.waiting).unwrap_or(i64::MAX));
                let age = row.oldest.map_or(0.0, |since| clock.now().0.saturating_sub(since.0).max(0) as f64 / 1e6);
                metrics.outbox_oldest_seconds.with_label_values(&[&row.destination]).set(age);
            }
        }
    }

    /// Stops all workers; what is on its way is given three seconds.
    pub async fn stop(self) {
        self.dismiss().await;
    }
}
