//! Slack incoming webhooks. They know no idempotency key, so a message may appear twice when an answer was lost; and they
//! take about one message per second, which Slack enforces with 429 and Retry-After.

use std::sync::Arc;
use std::time::Duration;

use super::post::Endpoint;
use super::{Delivery, Message, Receipt, SendError, text};
use crate::clock::Clock;
use crate::config::secret::Secret;

/// One incoming webhook, which posts into one Slack channel.
pub struct Slack {
    endpoint: Endpoint,
}

impl Slack {
    /// # Errors
    /// The URL cannot be used.
    pub fn new(url: &Secret, timeout: Duration, clock: Arc<dyn Clock>) -> Result<Slack, String> {
        Ok(Slack { endpoint: Endpoint::new(url, None, timeout, clock)? })
    }

    pub async fn send(&self, delivery: &Delivery, message: &Message) -> Result<Receipt, SendError> {
        let answer = self.endpoint.post(&delivery.key, text::letter(message).slack().to_string(), &[]).await?;
        Ok(Receipt { status: None, detail: format!("answered {}", answer.status) })
    }
}
