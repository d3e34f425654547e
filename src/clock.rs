//! The one place that asks the operating system for the time.

use crate::event::Time;

/// Wall-clock and monotonic time, so that tests can turn the hands.
pub trait Clock: Send + Sync {
    /// Wall-clock time; may step.
    fn now(&self) -> Time;
    /// Time since an arbitrary start; never steps back.
    fn monotonic(&self) -> std::time::Duration;
}

/// The operating system's clocks.
pub struct System {
    start: std::time::Instant,
}

impl Default for System {
    #[allow(clippy::disallowed_methods)]
    fn default() -> Self {
        System { start: std::time::Instant::now() }
    }
}

impl Clock for System {
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> std::time::Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is set.
pub struct Manual(std::sync::atomic::AtomicI64);

impl Manual {
    pub fn at(time: Time) -> Self {
        Manual(std::sync::atomic::AtomicI64::new(time.0))
    }

    pub fn set(&self, time: Time) {
        self.0.store(time.0, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn now(&self) -> Time {
        Time(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.now().0).unwrap_or(0))
    }
}
