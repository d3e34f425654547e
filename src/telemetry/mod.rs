//! How Tokenwatch reports on itself: metrics for Prometheus, a log for journald.

pub mod log;
pub mod metrics;
