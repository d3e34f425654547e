//! Tokenwatch: tails database logs, attributes every query to its token, learns what is usual, and speaks up when it is not.
//!
//! ```text
//! source -> framing -> decoder -> sql + identity -> baseline -> detect (engine) -> alert -> notifier, response
//! bytes     records    events     observations      what is usual   findings       alerts   mail, Slack, webhooks
//! ```
//!
//! Modules stand in the order in which data flows; each uses only what stands above it.
#![forbid(unsafe_code)]

// vocabulary
pub mod clock;
pub mod event;
pub mod observation;
pub mod position;
pub mod severity;
pub mod token;

pub mod config;

// 1 in
pub mod framing;
pub mod source;

// 2 decode
pub mod decoder;

// 3 understand
pub mod identity;
pub mod sql;

// 4 remember
pub mod baseline;

// 5 judge
pub mod detect;
pub mod engine;
pub mod observe;

// 6 decide
pub mod alert;

// 7 act
pub mod notifier;
pub mod response;

// around
pub mod cli;
pub mod http;
pub mod runtime;
pub mod store;
pub mod telemetry;
