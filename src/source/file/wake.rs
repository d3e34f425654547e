//! When to look: the operating system's change notices, as a hint.
//!
//! Nothing depends on them. They can overflow, be refused (watch limits), or not exist (network file systems); then the next poll
//! sees the change and only the delay is longer.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::discover::real;
use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// More changed paths than this at once are simply "everything".
const PATHS: usize = 4096;

/// What may have changed since the last look.
#[derive(Debug, Default)]
pub struct Hint {
    /// Files that were written to.
    pub written: HashSet<PathBuf>,
    /// Names came, went or changed: walk again.
    pub walk: bool,
    /// Notices were lost: look at everything.
    pub everything: bool,
}

/// Watches directories.
pub struct Wake {
    hint: Arc<Mutex<Hint>>,
    bell: Receiver<()>,
    watcher: Option<RecommendedWatcher>,
    /// Directory -> device and inode as they were when the watch was set.
    watched: HashMap<PathBuf, (u64, u64)>,
}

impl Wake {
    /// `hints: false` leaves everything to polling.
    pub fn new(hints: bool) -> Self {
        let (ring, bell) = bounded(1);
        let hint = Arc::new(Mutex::new(Hint::default()));
        let watcher = hints.then(|| watcher(hint.clone(), ring)).and_then(|watcher| {
            watcher.inspect_err(|error| tracing::info!(%error, "no change notices from the system, files are only polled")).ok()
        });
        Wake { hint, bell, watcher, watched: HashMap::new() }
    }

    /// Watches exactly these directories from now on.
    pub fn watch(&mut self, directories: &HashMap<PathBuf, (u64, u64)>) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|path, id| {
            let keep = directories.get(path) == Some(id);
            if !keep {
                // It fails when the directory is gone, and then the watch is gone too.
                let _ = watcher.unwatch(real(path));
            }
            keep
        });
        for (path, id) in directories {
            if self.watched.contains_key(path) {
                continue;
            }
            if let Err(error) = watcher.watch(real(path), RecursiveMode::NonRecursive) {
                tracing::info!(directory = %path.display(), %error, "no change notices for this directory, it is only polled");
            }
            self.watched.insert(path.clone(), *id);
        }
    }

    /// Waits until something may have changed, at most `longest`.
    pub fn wait(&self, longest: Duration) {
        // A time-out is as good as a ring. Without a watcher nobody can ring.
        if self.watcher.is_none() {
            std::thread::sleep(longest);
        } else {
            let _ = self.bell.recv_timeout(longest);
        }
    }

    /// What may have changed since the last call.
    pub fn take(&self) -> Hint {
        std::mem::take(&mut *self.hint.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn watcher(hint: Arc<Mutex<Hint>>, ring: Sender<()>) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |notice: notify::Result<notify::Event>| {
        let fresh = {
            let mut hint = hint.lock().unwrap_or_else(PoisonError::into_inner);
            match notice {
                Err(_) => note(&mut hint.everything),
                Ok(event) if event.need_rescan() => note(&mut hint.everything),
                Ok(event) => match event.kind {
                    EventKind::Access(_) => return,
                    EventKind::Modify(notify::event::ModifyKind::Data(_)) => {
                        if hint.written.len() > PATHS {
                            hint.everything = true;
                        }
                        event.paths.into_iter().filter(|path| hint.written.insert(path.clone())).count() > 0
                    }
                    _ => note(&mut hint.walk),
                },
            }
        };
        if fresh {
            // Full: it rings already.
            let _ = ring.try_send(());
        } else {
            // The reader has not yet come to the last hint. Let the kernel merge what comes meanwhile.
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

/// Sets the flag; whether it was not set before.
fn note(flag: &mut bool) -> bool {
    !std::mem::replace(flag, true)
}
