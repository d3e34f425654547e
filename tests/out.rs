//! The way out of the daemon with real parts: a killed process and its store, HTTP receivers, a mail server, and the reference
//! implementation of Standard Webhooks as the judge of our signatures.

#[path = "out/kill.rs"]
mod kill;
