//! What the intake's work looks like from outside: counts per source, brought into the metrics once per batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::intake::Watch;
use super::quarantine::{MOST_AT_ONCE, Rejected};
use crate::alert::Alert;
use crate::decoder::Decoded;
use crate::decoder::stream::Item;
use crate::event::Kind;
use crate::position::Partition;
use crate::source::{Gap, Trouble};
use crate::telemetry::metrics::Metrics;

/// When each source last gave anything, on the monotonic clock.
pub type LastSeen = Arc<Mutex<BTreeMap<String, Duration>>>;

#[derive(Default)]
struct Tally {
    events: u64,
    rejects: u64,
    skips: u64,
    suspects: u64,
    bytes: u64,
    kinds: [u64; 7],
    reasons: BTreeMap<&'static str, u64>,
    /// Queries, and those of them that name a token, since the start.
    queries: u64,
    attributed: u64,
}

/// Counts into [`Metrics`] and into the log.
pub struct Meter {
    metrics: Arc<Metrics>,
    last_seen: LastSeen,
    tallies: BTreeMap<String, Tally>,
    /// Gaps since the last checkpoint.
    gaps: Vec<Gap>,
    /// Alerts about logs of which less names a token, since the last batch.
    falls: Vec<Alert>,
    /// Rejects since the last checkpoint.
    rejected: Vec<Rejected>,
    rejects_logged: u32,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Query, "query"),
    (Kind::Login, "login"),
    (Kind::LoginFailed, "login_failed"),
    (Kind::Logout, "logout"),
    (Kind::Denied, "denied"),
    (Kind::Error, "error"),
    (Kind::Other, "other"),
];

/// Rejected records named in the log after each start; the rest is in the metric.
const REJECTS_LOGGED: u32 = 10;

impl Meter {
    pub fn new(metrics: Arc<Metrics>, last_seen: LastSeen) -> Self {
        Meter { metrics, last_seen, tallies: BTreeMap::new(), gaps: Vec::new(), falls: Vec::new(), rejected: Vec::new(), rejects_logged: 0 }
    }

    /// Gaps since the last call.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// Alerts about logs of which less names a token, since the last call.
    pub fn take_falls(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.falls)
    }

    /// Rejected records since the last call.
    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// Brings the counts of a batch into the metrics.
    pub fn publish(&mut self, now: Duration) {
        let metrics = &self.metrics;
        for (source, tally) in &mut self.tallies {
            if tally.bytes == 0 && tally.events + tally.rejects + tally.skips == 0 {
                continue;
            }
            for (result, n) in [("event", tally.events), ("reject", tally.rejects), ("skip", tally.skips)] {
                metrics.records.with_label_values(&[source.as_str(), result]).inc_by(n);
            }
            metrics.read_bytes.with_label_values(&[source]).inc_by(tally.bytes);
            metrics.suspects.with_label_values(&[source]).inc_by(tally.suspects);
            for ((_, name), n) in KINDS.iter().zip(tally.kinds) {
                if n > 0 {
                    metrics.events.with_label_values(&[source.as_str(), name]).inc_by(n);
                }
            }
            for (reason, n) in std::mem::take(&mut tally.reasons) {
                metrics.rejects.with_label_values(&[source.as_str(), reason]).inc_by(n);
            }
            if tally.queries > 0 {
                metrics.attributed_ratio.with_label_values(&[source]).set(tally.attributed as f64 / tally.queries as f64);
            }
            let (queries, attributed) = (tally.queries, tally.attributed);
            *tally = Tally { queries, attributed, ..Tally::default() };
            if let Ok(mut seen) = self.last_seen.lock() {
                seen.insert(source.clone(), now);
            }
        }
    }

    fn tally(&mut self, partition: &Partition) -> &mut Tally {
        self.tallies.entry(partition.source.clone()).or_default()
    }
}

impl Watch for Meter {
    fn item(&mut self, partition: &Arc<Partition>, item: &Item<'_>, attributed: bool) {
        if let Decoded::Reject(reason) = item.decoded
            && self.rejected.len() < MOST_AT_ONCE
        {
            self.rejected.push(Rejected {
                source: partition.source.clone(),
                partition: partition.label.clone(),
                offset: item.offset,
                length: item.len,
                format: item.format.name,
                reason,
            });
        }
        if let Decoded::Reject(reason) = item.decoded
            && self.rejects_logged < REJECTS_LOGGED
        {
            self.rejects_logged += 1;
            tracing::warn!(
                source = %partition.source, file = %partition.label, offset = item.offset, length = item.len, format = item.format.name, reason,
                "a record cannot be read; see it with `tokenwatch decode`"
            );
        }
        let tally = self.tally(partition);
        match &item.decoded {
            Decoded::Event(event) => {
                tally.events += 1;
                tally.suspects += u64::from(event.suspect.is_some());
                if let Some(n) = tally.kinds.get_mut(event.kind as usize) {
                    *n += 1;
                }
                if event.kind == Kind::Query {
                    tally.queries += 1;
                    tally.attributed += u64::from(attributed);
                }
            }
            Decoded::Reject(reason) => {
                tally.rejects += 1;
                *tally.reasons.entry(reason).or_default() += 1;
            }
            Decoded::Skip(_) => tally.skips += 1,
        }
    }

    fn fall(&mut self, alert: Alert, _: usize) {
        tracing::warn!("{}", alert.summary);
        self.metrics.findings.with_label_values(&["attribution"]).inc();
        self.falls.push(alert);
    }

    fn gap(&mut self, gap: &Gap) {
        let bytes = gap.to.map(|to| to.saturating_sub(gap.from));
        let (source, file) = (&gap.partition.source, &gap.partition.label);
        if gap.is_certain() {
            tracing::error!(%source, %file, from = gap.from, to = gap.to, reason = gap.reason, "part of the log was lost before it could be read");
        } else {
            tracing::info!(%source, %file, read = gap.from, reason = gap.reason, "the log was cut or removed after it was read to its end");
        }
        self.metrics.gaps.with_label_values(&[gap.partition.source.as_str(), gap.reason]).inc();
        self.metrics.gap_bytes.with_label_values(&[&gap.partition.source]).inc_by(bytes.unwrap_or(0));
        self.gaps.push(gap.clone());
    }

    fn trouble(&mut self, trouble: &Trouble) {
        let label = trouble.label.as_deref().unwrap_or("");
        self.metrics.source_up.with_label_values(&[&trouble.source]).set(i64::from(!trouble.failing));
        if trouble.failing {
            tracing::error!(source = %trouble.source, file = label, "{}", trouble.message);
        } else {
            tracing::info!(source = %trouble.source, file = label, "{}", trouble.message);
        }
    }

    fn bytes(&mut self, partition: &Arc<Partition>, bytes: usize) {
        self.tally(partition).bytes += bytes as u64;
    }
}
