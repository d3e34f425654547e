//! The workers: one a destination, from the durable outbox to a receiver, again and again until it is told or given up.
//!
//! A worker knows no other destination: a dead one holds up nobody. It takes the gravest message first. When a try fails, the
//! message waits by the [`Schedule`], and the whole destination rests for a moment, so that a receiver that is down is not
//! asked once for each message that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::{error, info, warn};

use super::{Delivery, Message, NewDelivery, Receipt, SendError, Sender, delivery_key};
use crate::alert::Severity;
use crate::clock::Clock;
use crate::event::Time;

/// How often the outbox is looked at without being woken: for messages of other processes and those that wait for their time.
const POLL: Duration = Duration::from_secs(1);
/// Longest rest of a destination after failures, unless the receiver asks for more.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// What a stop leaves a message that is on its way.
const GRACE: Duration = Duration::from_secs(3);
/// Messages read at a time. Few, because a graver one may come in.
const BATCH: u32 = 8;

/// What became of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered(Receipt),
    Retry {
        due: Time,
        error: String,
    },
    Dead {
        error: String,
        /// Tell other destinations of it.
        notices: Vec<NewDelivery>,
    },
}

/// The outbox as the workers need it. Calls block.
pub trait Outbox: Send + Sync + 'static {
    /// What `destination` should be sent at `now`, gravest first.
    fn due(&self, destination: &str, now: Time, limit: u32) -> Result<Vec<Delivery>, OutboxError>;
    /// Writes down what became of a message; when this returns, it is on disk.
    fn record(&self, key: &str, outcome: &Outcome, now: Time) -> Result<(), OutboxError>;
}

/// The outbox could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct OutboxError {
    pub message: String,
    /// The same call may be given again later (full disk). Otherwise the process must end.
    pub retryable: bool,
}

/// How long a message waits after each failed try; after the last one it is given up.
#[derive(Debug, Clone)]
pub struct Schedule(pub Vec<Duration>);

impl Default for Schedule {
    /// The schedule of Standard Webhooks (5 s to 24 h, about three days in all) with two quick tries before it.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        let seconds = [1, 5, 30, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Schedule(seconds.map(Duration::from_secs).to_vec())
    }
}

impl Schedule {
    /// The wait after the try that follows `attempts` failed ones; `None`: give up. Up to a tenth longer, differently for
    /// each message, so that messages that failed together do not all come back together.
    fn wait(&self, attempts: u32, key: &str) -> Option<Duration> {
        let wait = self.0.get(usize::try_from(attempts).ok()?)?;
        let spread = blake3::hash(key.as_bytes()).as_bytes().first().map_or(0, |b| u32::from(*b));
        Some(*wait + *wait * spread / 2560)
    }
}

/// What a worker has done since the start; for metrics and `status`.
#[derive(Debug, Default)]
pub struct Tally {
    pub delivered: AtomicU64,
    pub failed_tries: AtomicU64,
    pub dead: AtomicU64,
    /// Failed tries since the last success; 0: the destination works, as far as is known.
    pub failing: AtomicU64,
}

/// The worker of one destination.
pub struct Worker<S> {
    pub destination: String,
    pub sender: S,
    pub outbox: Arc<dyn Outbox>,
    pub clock: Arc<dyn Clock>,
    /// A try that takes longer has failed.
    pub timeout: Duration,
    pub schedule: Schedule,
    /// Rung (`notify_one`) when messages were stored.
    pub wake: Arc<Notify>,
    /// Channels that are told when a message of this destination is given up.
    pub alarm: Vec<String>,
    pub tally: Arc<Tally>,
}

impl<S: Sender> Worker<S> {
    /// Sends until `stop` turns true. What is on its way then is given three seconds; what waits stays in the outbox.
    ///
    /// # Errors
    /// The outbox failed for good: the process must end and restart.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), OutboxError> {
        while !*stop.borrow() {
            let batch = self.due().await?;
            if batch.is_empty() {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    _ = stop.changed() => {}
                }
                continue;
            }
            for delivery in batch {
                if *stop.borrow() {
                    return Ok(());
                }
                let Some(result) = self.attempt(&delivery, &mut stop).await else { return Ok(()) };
                let (outcome, rest) = self.judge(&delivery, result);
                self.record(&delivery.key, outcome, &mut stop).await?;
                if let Some(rest) = rest {
                    tokio::select! {
                        () = tokio::time::sleep(rest) => {}
                        _ = stop.changed() => {}
                    }
                    // Something graver may have come in meanwhile.
                    break;
                }
            }
        }
        Ok(())
    }

    /// One try; `None` if a stop cut it off.
    async fn attempt(&self, delivery: &Delivery, stop: &mut watch::Receiver<bool>) -> Option<Result<Receipt, SendError>> {
        if delivery.expires.is_some_and(|expires| expires <= self.clock.now()) {
            return Some(Err(SendError::permanent("it expired before it could be delivered")));
        }
        // All of the sender's work is under the timeout, whatever its library limits by itself.
        let send = tokio::time::timeout(self.timeout, self.sender.send(delivery));
        tokio::pin!(send);
        let result = tokio::select! {
            result = &mut send => result,
            () = stopped(stop) => tokio::time::timeout(GRACE, send).await.ok()?,
        };
        Some(result.unwrap_or_else(|_| Err(SendError::retry(format!("no answer within {:?}", self.timeout)))))
    }

    /// What follows from a try: what to write down, and how long the destination rests.
    fn judge(&self, delivery: &Delivery, result: Result<Receipt, SendError>) -> (Outcome, Option<Duration>) {
        let now = self.clock.now();
        let destination = self.destination.as_str();
        let (message, after, permanent) = match result {
            Ok(receipt) => {
                self.tally.delivered.fetch_add(1, Ordering::Relaxed);
                if self.tally.failing.swap(0, Ordering::Relaxed) > 0 {
                    info!(destination, "works again");
                }
                return (Outcome::Delivered(receipt), None);
            }
            Err(SendError::Retry { after, message }) => (message, after, false),
            Err(SendError::Permanent { message }) => (message, None, true),
        };
        self.tally.failed_tries.fetch_add(1, Ordering::Relaxed);
        let failing = self.tally.failing.fetch_add(1, Ordering::Relaxed);
        let wait = if permanent { None } else { self.schedule.wait(delivery.attempts, &delivery.key) };
        let Some(wait) = wait else {
            self.tally.dead.fetch_add(1, Ordering::Relaxed);
            error!(destination, key = delivery.key, error = message, "a message is given up");
            return (Outcome::Dead { notices: self.notices(delivery, &message, now), error: message }, None);
        };
        let wait = after.map_or(wait, |after| after.max(wait));
        warn!(destination, key = delivery.key, error = message, retry_in = ?wait, "a message could not be delivered");
        // 1 s, 2 s, 4 s ... while failures go on; never shorter than the receiver asks for.
        let doubling = Duration::from_millis(1000 << failing.min(6)).min(LONGEST_REST).min(wait);
        let rest = after.map_or(doubling, |after| after.max(doubling));
        let due = Time(now.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)));
        (Outcome::Retry { due, error: message }, Some(rest))
    }

    /// Tells the other channels, at most once an hour for one dead destination. A notice that dies itself is not told again, or two
    /// dead channels would complain of each other for ever.
    fn notices(&self, delivery: &Delivery, reason: &str, now: Time) -> Vec<NewDelivery> {
        if delivery.alert_id.is_empty() {
            return Vec::new();
        }
        let notice = Message::Notice {
            title: format!("messages to {} do not arrive", self.destination),
            text: format!(
                "The message about alert {} was given up: {reason}. Mend the destination; `tokenwatch alerts show {}` has the alert itself.",
                delivery.alert_id, delivery.alert_id
            ),
            severity: delivery.severity.max(Severity::High),
            time: now,
        };
        let hour = u32::try_from(now.0.div_euclid(Time::HOUR)).unwrap_or(0);
        let others = self.alarm.iter().filter(|channel| **channel != self.destination);
        others.map(|channel| notice.to(channel, &delivery_key(&format!("dead {}", self.destination), hour, channel), now)).collect()
    }

    async fn due(&self) -> Result<Vec<Delivery>, OutboxError> {
        let (outbox, destination, now) = (self.outbox.clone(), self.destination.clone(), self.clock.now());
        match blocking(move || outbox.due(&destination, now, BATCH)).await {
            Err(error) if error.retryable => {
                warn!(destination = self.destination, %error, "the outbox cannot be read for now");
                Ok(Vec::new())
            }
            result => result,
        }
    }

    /// Writes an outcome down before anything else is sent: a message that was delivered and not marked would be sent again.
    async fn record(&self, key: &str, outcome: Outcome, stop: &mut watch::Receiver<bool>) -> Result<(), OutboxError> {
        let mut told = false;
        loop {
            let (outbox, owned, copy, now) = (self.outbox.clone(), key.to_owned(), outcome.clone(), self.clock.now());
            match blocking(move || outbox.record(&owned, &copy, now)).await {
                Err(error) if error.retryable => {
                    if !std::mem::replace(&mut told, true) {
                        warn!(destination = self.destination, key, "what became of a message cannot be stored for now: {error}");
                    }
                    if *stop.borrow() {
                        // It is sent again after the restart, under the same key.
                        return Ok(());
                    }
                    tokio::select! {
                        () = tokio::time::sleep(POLL) => {}
                        _ = stop.changed() => {}
                    }
                }
                result => return result,
            }
        }
    }
}

/// Returns once `stop` is true, or its owner is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can ever stop us in an orderly way: stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T, OutboxError> + Send + 'static) -> Result<T, OutboxError> {
    match tokio::task::spawn_blocking(f).await {
        Ok(result) => result,
        Err(error) => Err(OutboxError { message: format!("the outbox: {error}"), retryable: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_runs_for_three_days_and_then_gives_up() {
        let schedule = Schedule::default();
        let waits: Vec<Duration> = (0..).map_while(|n| schedule.wait(n, "msg_a")).collect();
        assert_eq!(waits.len(), 11);
        let total: Duration = waits.iter().sum();
        assert!((72..=84).contains(&(total.as_secs() / 3600)), "{total:?}");
        assert!(waits.first().is_some_and(|w| (1000..=1100).contains(&w.as_millis())));
        assert_ne!(schedule.wait(5, "msg_a"), schedule.wait(5, "msg_b"));
    }
}
