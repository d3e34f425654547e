//! The log: to journald where systemd started us, else to stderr. Levels say what an operator must do: `error` = data or alerts are at
//! risk, act now; `warn` = something is degraded, look today; `info` = changes of state.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. `TOKENWATCH_LOG` sets the filter (`info`, `debug`, `tokenwatch::source=trace`); default `info`.
///
/// Calling it twice keeps the first.
pub fn start(default_filter: &str) {
    let filter = EnvFilter::try_from_env("TOKENWATCH_LOG").unwrap_or_else(|_| EnvFilter::new(default_filter));
    let registry = tracing_subscriber::registry().with(filter);
    // systemd sets JOURNAL_STREAM to the journal's device and inode when stderr goes there.
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journald) = tracing_journald::layer()
    {
        let _ = registry.with(journald).try_init();
        return;
    }
    let stderr =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false);
    let _ = registry.with(stderr).try_init();
}
