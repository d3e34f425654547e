//! The way out of the daemon with real parts: a killed process and its store, HTTP receivers, a mail server, and the reference
//! implementation of Standard Webhooks as the judge of our signatures.

#[path = "out/alertmanager.rs"]
mod alertmanager;
#[path = "out/alerts.rs"]
mod alerts;
#[path = "out/channels.rs"]
mod channels;
#[path = "out/kill.rs"]
mod kill;
#[path = "out/mail.rs"]
mod mail;
#[path = "out/outbox.rs"]
mod outbox;
#[path = "out/revocation.rs"]
mod revocation;

mod support;
