//! Feedback: what people order of baselines, from the store to the judge.
//!
//! A command writes an order down ([`crate::store::feedback`]). Beside a running daemon that is all it does: the daemon looks once a second, its judge
//! carries the order out between two batches, and the order is marked in the transaction that stores the changed baselines. Where no daemon
//! runs, the command does the same itself ([`carry_out`]).

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use super::judge::Judge;
use super::rulebook::Rulebook;
use crate::alert::{Alert, inventory};
use crate::baseline::day_of;
use crate::event::Time;
use crate::identity::dictionary::Dictionary;
use crate::store::{Epoch, FeedbackKind, FeedbackRow, Store, StoreError};

/// What the judge is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Pin {
        token: String,
    },
    Unpin {
        token: String,
    },
    Dismiss(Dismissal),
    /// A report of the inventory is dismissed.
    AcceptReport(Time),
}

/// What a dismissed alert teaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dismissal {
    pub token: String,
    pub alert: String,
    /// From the alert's first day to its last.
    pub days: RangeInclusive<u16>,
    /// Behaviour that the baseline has no memory of.
    pub keys: Vec<u64>,
}

impl Dismissal {
    fn of(revisions: &[Alert]) -> Option<Dismissal> {
        let (first, last) = (revisions.first()?, revisions.last()?);
        Some(Dismissal {
            token: last.token.clone(),
            alert: last.id.clone(),
            days: day_of(first.time)..=day_of(last.time),
            keys: keys_of(last),
        })
    }

    /// The first 64 bits of the alert's id.
    pub fn number(&self) -> u64 {
        number(&self.alert)
    }
}

/// The first 64 bits of an alert's id.
pub fn number(id: &str) -> u64 {
    id.get(..16).and_then(|head| u64::from_str_radix(head, 16).ok()).unwrap_or_default()
}

/// Fingerprints of all that an alert's findings say was done.
pub fn keys_of(alert: &Alert) -> Vec<u64> {
    let keys = alert.findings.iter().flat_map(|finding| &finding.behaviour);
    keys.filter_map(|key| u64::from_str_radix(key, 16).ok()).collect()
}

/// An order with its number in the store; without an order, where the alert is gone and there is nothing left to do.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: i64,
    pub order: Option<Order>,
}

/// What waits to be carried out, oldest first, above the number `after`.
pub fn requests(store: &Store, after: i64) -> Result<Vec<Request>, StoreError> {
    let rows = store.waiting_feedback(after)?;
    rows.into_iter().map(|row| Ok(Request { id: row.id, order: order(store, row)? })).collect()
}

fn order(store: &Store, row: FeedbackRow) -> Result<Option<Order>, StoreError> {
    let token = row.order.token;
    Ok(match (row.order.kind, row.order.alert_id) {
        (FeedbackKind::Pin, _) => Some(Order::Pin { token }),
        (FeedbackKind::Unpin, _) => Some(Order::Unpin { token }),
        (FeedbackKind::Dismiss, None) => None,
        (FeedbackKind::Dismiss, Some(id)) => {
            let revisions = store.alert(&id)?;
            match revisions.last() {
                Some(report) if is_report(report) => Some(Order::AcceptReport(report.time)),
                _ => Dismissal::of(&revisions).map(Order::Dismiss),
            }
        }
    })
}

/// The alert is a report of the inventory. A token may be called the same; its findings are not.
pub fn is_report(alert: &Alert) -> bool {
    alert.token == inventory::TOKEN && alert.detectors.iter().all(|detector| detector.starts_with("inventory."))
}

/// The daemon's look at what was ordered.
pub struct Inbox {
    store: Store,
    /// The last order that was handed on.
    last: i64,
    failed: bool,
}

impl Inbox {
    /// # Errors
    /// The store cannot be opened.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        Ok(Inbox { store: Store::open_read_only(state_dir)?, last: 0, failed: false })
    }

    /// What was ordered since the last call. `hand_on` answers whether it took the orders; if not they come again.
    pub fn look(&mut self, hand_on: &mut dyn FnMut(Vec<Request>) -> bool) {
        match requests(&self.store, self.last) {
            Ok(requests) => {
                self.failed = false;
                let last = requests.last().map(|request| request.id);
                if let Some(last) = last.filter(|_| hand_on(requests)) {
                    self.last = last;
                }
            }
            Err(error) => {
                if !self.failed {
                    tracing::warn!("what was ordered by `tokenwatch alerts dismiss` and `baseline pin` cannot be read, and waits: {error}");
                }
                self.failed = true;
            }
        }
    }
}

/// Carries out all that waits, in a store that no daemon holds.
///
/// # Errors
/// The store cannot be read or written.
pub fn carry_out(store: &mut Store, rulebook: &Arc<Rulebook>, now: Time) -> Result<(), StoreError> {
    let dictionary = Arc::new(Dictionary::default());
    let mut judge = Judge::new(rulebook.clone(), dictionary.clone());
    super::daemon::load(store, &mut judge, &dictionary)?;
    let requests = requests(store, 0)?;
    for order in requests.iter().filter_map(|request| request.order.as_ref()) {
        judge.obey(order);
    }
    let applied = requests.iter().map(|request| (request.id, now)).collect();
    store.commit_epoch(&Epoch { baselines: judge.take_dirty(), applied, ..Epoch::default() })
}
