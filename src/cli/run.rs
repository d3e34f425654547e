//! `tokenwatch run`: the daemon.

use clap::Args;

use super::{ConfigArg, Failure};
use crate::runtime::daemon;

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
    runtime.block_on(daemon::run(command.config.config)).map_err(Failure::Usage)
}
