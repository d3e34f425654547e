//! Orders about baselines: written into the store, and carried out by the running daemon, or here where none runs.

use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::clock::{Clock, System};
use crate::identity::dictionary::clean;
use crate::runtime::feedback::carry_out;
use crate::runtime::rulebook::Rulebook;
use crate::store::{NewFeedback, Store, StoreError};

/// The daemon looks once a second and stores once a second.
const PATIENCE: Duration = Duration::from_secs(6);
const LONGEST_REASON: usize = 500;

/// Gives an order; `true` where it is carried out, `false` where it waits in the store for a daemon that is busy.
///
/// # Errors
/// The store cannot be written.
pub fn give(rulebook: &Arc<Rulebook>, order: &NewFeedback) -> Result<bool, Failure> {
    let clock = System::default();
    let dir = &rulebook.config.state_dir;
    let told = |error: StoreError| Failure::Usage(error.to_string());
    match Store::open(dir) {
        Ok(mut store) => {
            store.add_feedback(order, clock.now()).map_err(told)?;
            carry_out(&mut store, rulebook, clock.now()).map_err(told)?;
            Ok(true)
        }
        Err(StoreError::Locked { .. }) => {
            let mut store = Store::open_shared(dir).map_err(told)?;
            let id = store.add_feedback(order, clock.now()).map_err(told)?;
            let begin = clock.monotonic();
            while clock.monotonic() - begin < PATIENCE {
                std::thread::sleep(Duration::from_millis(100));
                if store.is_applied(id).map_err(told)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Err(error) => Err(told(error)),
    }
}

/// How a command ends whose order waits.
pub const WAITS: &str = "it waits in the store, and is carried out as soon as the running process is free, or by the next one";

/// Who gives the order, as far as the environment tells.
pub fn author() -> Option<String> {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))?;
    Some(clean(&name))
}

/// The reason of an order, fit to be stored and shown.
///
/// # Errors
/// It is too long.
pub fn reason(text: Option<&str>) -> Result<Option<String>, Failure> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(long) if long.len() > LONGEST_REASON => {
            Err(Failure::Usage(format!("the reason has {} bytes; write at most {LONGEST_REASON}", long.len())))
        }
        text => Ok(text.map(clean)),
    }
}
