//! Webhooks: the alert as JSON, signed by Standard Webhooks where a secret is configured.

use std::sync::Arc;
use std::time::Duration;

use super::post::Endpoint;
use super::sign::Signer;
use super::{Delivery, Message, Receipt, SendError};
use crate::clock::Clock;
use crate::config::secret::Secret;

/// One receiver.
pub struct Webhook {
    endpoint: Endpoint,
}

impl Webhook {
    /// # Errors
    /// The URL or the key cannot be used.
    pub fn new(url: &str, secret: Option<&Secret>, timeout: Duration, clock: Arc<dyn Clock>) -> Result<Webhook, String> {
        let signer = secret.map(Signer::new).transpose()?;
        Ok(Webhook { endpoint: Endpoint::new(&url.into(), signer, timeout, clock)? })
    }

    pub async fn send(&self, delivery: &Delivery, message: &Message) -> Result<Receipt, SendError> {
        let answer = self.endpoint.post(&delivery.key, message.webhook_body(), &[]).await?;
        Ok(Receipt { status: None, detail: format!("answered {}", answer.status) })
    }
}
