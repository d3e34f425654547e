//! What an alert sets off: the notifications of the channels that want it, and what the responders do about it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::keeper::Consequences;
use super::rulebook::Rulebook;
use crate::alert::Alert;
use crate::clock::Clock;
use crate::event::Time;
use crate::notifier;
use crate::response::action::respond;
use crate::response::guard::{Context, Guard};
use crate::response::{HALT_FILE, NewAction};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

/// Decides under the configuration that is in force at the time.
pub fn consequences(rulebook: Arc<ArcSwap<Rulebook>>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Consequences {
    Box::new(move |store: &Store, alert: &Alert| {
        let rulebook = rulebook.load();
        let now = clock.now();
        let (actions, words) = responses(&rulebook, store, alert, now);
        for action in &actions {
            metrics.actions.with_label_values(&[action.responder.as_str(), action.state.name()]).inc();
        }
        (notifier::deliveries(alert, &rulebook.config.channels, &words, now), actions)
    })
}

/// Asks every responder. Where the store cannot tell what was spent already, the budget counts as spent: in doubt nothing is revoked.
pub fn responses(rulebook: &Rulebook, store: &Store, alert: &Alert, now: Time) -> (Vec<NewAction>, Vec<String>) {
    let mut actions = Vec::new();
    let mut words = Vec::new();
    for responder in &rulebook.config.responders {
        let guard = match Guard::new(responder) {
            Ok(guard) => guard,
            Err(error) => {
                tracing::error!(responder = %responder.name, %error, "the responder cannot be asked");
                continue;
            }
        };
        let context = Context {
            now,
            replayed: false,
            halted: rulebook.config.state_dir.join(HALT_FILE).try_exists().unwrap_or(true),
            spent: store.actions_since(&responder.name, Time(now.0 - Time::HOUR)).unwrap_or(u32::MAX),
        };
        let response = respond(&guard, alert, &rulebook.principals(&alert.token), &context);
        words.extend(response.words);
        actions.push(response.action);
    }
    (actions, words)
}
