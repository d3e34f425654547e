//! Notifications: a durable outbox row becomes one message on one channel.
//!
//! **Adding a channel = one file here and one variant of [`Channel`].**
//!
//! [`message`] what is told, and its JSON; [`text`] the one place that finds words for people; [`webhook`], [`slack`],
//! [`email`], [`stdout`], [`mod@file`] the channels; [`post`] and [`sign`] what the HTTP ones share; [`delivery`] the workers that
//! try until it is told.
//!
//! The promise is "at least once, always under the same key". A receiver that acted and then could not answer is sent the
//! message again; it recognises the key (`webhook-id`, `Message-ID`). Slack and plain files have no such thing: there a rare message
//! appears twice.

use std::sync::Arc;
use std::time::Duration;

use crate::alert::{Alert, Severity};
use crate::clock::Clock;
use crate::config;
use crate::event::Time;

pub mod alertmanager;
pub mod delivery;
pub mod email;
pub mod file;
pub mod message;
pub mod post;
pub mod sign;
pub mod slack;
pub mod stdout;
pub mod text;
pub mod webhook;

pub use message::Message;

/// A message to be stored in the outbox, together with what it reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The same for every try and after every restart; the receiver's idempotency key. See [`delivery_key`].
    pub key: String,
    /// The channel's name, or `responder:NAME`.
    pub destination: String,
    /// The alert behind it; empty for notices of the daemon itself.
    pub alert_id: String,
    /// Decides the order among waiting messages of a destination.
    pub severity: Severity,
    /// Not tried before.
    pub due: Time,
    /// Not tried after; `None`: as long as the schedule runs.
    pub expires: Option<Time>,
    /// What to send, as the sender of this destination understands it.
    pub payload: String,
}

/// A message that waits in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub key: String,
    pub destination: String,
    pub alert_id: String,
    pub severity: Severity,
    pub created: Time,
    pub due: Time,
    pub expires: Option<Time>,
    /// Tries so far; all of them failed.
    pub attempts: u32,
    pub payload: String,
}

/// What a receiver answered to a message that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// For responders: `applied`, `pending` or `refused`.
    pub status: Option<String>,
    /// For people.
    pub detail: String,
}

/// Why a message was not taken. The messages name the destination without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may be taken later; not before `after`, where the receiver said so.
    #[error("{message}")]
    Retry { after: Option<Duration>, message: String },
    /// It will never be taken as it is.
    #[error("{message}")]
    Permanent { message: String },
}

impl SendError {
    pub fn retry(message: impl Into<String>) -> Self {
        SendError::Retry { after: None, message: message.into() }
    }

    pub fn permanent(message: impl Into<String>) -> Self {
        SendError::Permanent { message: message.into() }
    }
}

/// Something that takes messages of one destination: a [`Channel`], or a responder.
pub trait Sender: Send + Sync + 'static {
    /// Tries once. The caller limits the time.
    fn send(&self, delivery: &Delivery) -> impl Future<Output = Result<Receipt, SendError>> + Send;
}

/// A configured channel, ready to send.
pub enum Channel {
    Webhook(webhook::Webhook),
    Slack(slack::Slack),
    Email(Box<email::Email>),
    Alertmanager(alertmanager::Alertmanager),
    Stdout(stdout::Stdout),
    File(file::File),
}

impl Channel {
    /// Makes a channel of its configuration. Nothing is connected yet.
    ///
    /// # Errors
    /// A key, address or certificate of the configuration cannot be used; the text says which and why.
    pub fn open(config: &config::Channel, clock: Arc<dyn Clock>) -> Result<Channel, String> {
        use config::ChannelKind as Kind;
        let opened = match &config.kind {
            Kind::Webhook { url, secret } => webhook::Webhook::new(url, secret.as_ref(), config.timeout, clock).map(Channel::Webhook),
            Kind::Slack { url } => slack::Slack::new(url, config.timeout, clock).map(Channel::Slack),
            Kind::Email(mail) => email::Email::new(mail, config.timeout).map(|m| Channel::Email(Box::new(m))),
            Kind::Alertmanager { url } => alertmanager::Alertmanager::new(url, config.timeout, clock).map(Channel::Alertmanager),
            Kind::Stdout => Ok(Channel::Stdout(stdout::Stdout)),
            Kind::File { path } => Ok(Channel::File(file::File::new(path))),
        };
        opened.map_err(|e| format!("channel \"{}\": {e}", config.name))
    }
}

impl Sender for Channel {
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        let message = Message::from_payload(&delivery.payload)?;
        match self {
            Channel::Webhook(channel) => channel.send(delivery, &message).await,
            Channel::Slack(channel) => channel.send(delivery, &message).await,
            Channel::Email(channel) => channel.send(delivery, &message).await,
            Channel::Alertmanager(channel) => channel.send(delivery, &message).await,
            Channel::Stdout(channel) => channel.send(&message).await,
            Channel::File(channel) => channel.send(&message).await,
        }
    }
}

/// The deliveries of one revision of an alert: one for each channel that wants alerts of this severity. `responses` says in words
/// what responders do about it.
pub fn deliveries(alert: &Alert, channels: &[config::Channel], responses: &[String], now: Time) -> Vec<NewDelivery> {
    let message = Message::Alert { alert: Box::new(alert.clone()), responses: responses.to_vec() };
    let wanted = channels.iter().filter(|channel| alert.severity >= channel.min_severity);
    wanted.map(|channel| message.to(&channel.name, &delivery_key(&alert.id, alert.revision, &channel.name), now)).collect()
}

/// The idempotency key of one revision of an alert on one destination: `msg_` and 32 hex digits.
///
/// Without a full stop: the signature's content is `id.timestamp.body`.
pub fn delivery_key(alert_id: &str, revision: u32, destination: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch delivery v1");
    for part in [alert_id, &revision.to_string(), destination] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("msg_{}", &hasher.finalize().to_hex()[..32])
}
