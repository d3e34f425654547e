//! `tokenwatch run`: the daemon.

use std::time::Duration;

use clap::Args;

use super::{ConfigArg, Failure};
use crate::runtime::daemon::{self, Ended};

/// Tail, learn, alert, respond, until SIGTERM. SIGHUP reloads the configuration.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    config: ConfigArg,
}

pub fn run(command: Run) -> Result<(), Failure> {
    crate::telemetry::log::start("info");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let result = runtime.block_on(daemon::run(command.config.config));
    // A stage that cannot end (a full disk) must not keep the process; what it had not stored is read again.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result.map_err(|ended| match ended {
        Ended::Misconfigured(message) => Failure::Usage(message),
        Ended::Failed(message) => {
            tracing::error!("{message}");
            Failure::Found
        }
    })
}
