//! The stages joined into one process.
//!
//! ```text
//! source threads --chunks--> intake thread --observations--> judge thread --alerts--> keeper thread --rows--> channel workers
//!                               |  barrier (<= 1 s) ------------> |  dirty baselines ----> |  one transaction an epoch
//!                               '------- positions, decoder state -------------------------'
//! ```
//!
//! All channels are bounded and all shutdown is channel closure, stage after stage. The same [`intake::Intake`] and [`judge::Judge`]
//! serve `run`, `replay`, `learn` and `backtest`.

pub mod consequences;
pub mod couriers;
pub mod daemon;
pub mod feedback;
pub mod intake;
pub mod judge;
pub mod keeper;
pub mod pipeline;
pub mod quarantine;
pub mod replay;
pub mod rulebook;
pub mod stocktaking;
pub mod systemd;
pub mod watch;
