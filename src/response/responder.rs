//! The webhook responder: sends a stored request and reads what the receiver has done.
//!
//! The receiver answers 2xx with `{"status": "applied" | "pending" | "refused"}`. It recognises a repeated request by the
//! header `idempotency-key` (the same as `webhook-id`).

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Clock;
use crate::config;
use crate::notifier::post::{Answer, Endpoint};
use crate::notifier::sign::Signer;
use crate::notifier::{Delivery, Receipt, SendError, Sender, text};

/// One receiver of revocation requests.
pub struct Responder {
    endpoint: Endpoint,
    enforce: bool,
    halt_file: PathBuf,
}

impl Responder {
    /// `halt_file`: while this file exists nothing is sent; see [`super::HALT_FILE`].
    ///
    /// # Errors
    /// The URL or key cannot be used, or a responder that enforces has no key.
    pub fn open(config: &config::Responder, clock: Arc<dyn Clock>, halt_file: PathBuf) -> Result<Responder, String> {
        let named = |e: String| format!("responder \"{}\": {e}", config.name);
        let signer = config.secret.as_ref().map(Signer::new).transpose().map_err(named)?;
        if config.enforce && signer.is_none() {
            return Err(named("mode \"enforce\" needs secret_file, or the receiver could not tell us from anybody else".to_owned()));
        }
        let endpoint = Endpoint::new(&config.url.as_str().into(), signer, config.timeout, clock).map_err(named)?;
        Ok(Responder { endpoint, enforce: config.enforce, halt_file })
    }
}

impl Sender for Responder {
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        // Both may have changed since the request was decided.
        if !self.enforce {
            return Err(SendError::permanent("not sent: the responder is in mode \"simulate\" now"));
        }
        // In doubt halted: a file that cannot be looked at may be there.
        if tokio::fs::try_exists(&self.halt_file).await.unwrap_or(true) {
            return Err(SendError::permanent(format!("not sent: all responses are stopped by {}", self.halt_file.display())));
        }
        let answer = self.endpoint.post(&delivery.key, delivery.payload.clone(), &[("idempotency-key", &delivery.key)]).await?;
        Ok(receipt(&answer))
    }
}

/// An answer that says nothing we know is taken for "pending": accepted, and not known to be done.
fn receipt(answer: &Answer) -> Receipt {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let said = |key| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let status = said("status");
    if !["applied", "pending", "refused"].contains(&status) {
        return Receipt {
            status: Some("pending".to_owned()),
            detail: format!("answered {} without {{\"status\": \"applied\" | \"pending\" | \"refused\"}}", answer.status),
        };
    }
    let message = text::cut(&text::clean(said("message")), 200);
    let message = if message.is_empty() { message } else { format!(": {message}") };
    Receipt { status: Some(status.to_owned()), detail: format!("the receiver says: {status}{message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_says_so_counts_as_applied() {
        let status = |body: &str| receipt(&Answer { status: 200, body: body.into() }).status.unwrap_or_default();
        assert_eq!(status(r#"{"status": "applied"}"#), "applied");
        assert_eq!(status(r#"{"status": "refused", "message": "unknown\u001b[31m token"}"#), "refused");
        for unclear in ["", "ok", "{}", r#"{"status": "done"}"#, r#"{"status": 1}"#, r#"["applied"]"#] {
            assert_eq!(status(unclear), "pending", "{unclear}");
        }
        let told = receipt(&Answer { status: 200, body: r#"{"status": "refused", "message": "no\u001b[31m"}"#.into() });
        assert!(!told.detail.contains('\u{1b}'));
    }
}
