//! One HTTPS POST and what its answer means. No redirects are followed: a signed message goes where the configuration says, or
//! nowhere.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::sign::{self, Signer};
use super::{SendError, text};
use crate::clock::Clock;
use crate::config::secret::Secret;
use crate::event::Time;

/// Bytes of an answer that are read; the rest is not waited for.
const MOST_ANSWER: usize = 16 << 10;
/// Nobody may send us to sleep for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// One URL with the key that signs for it.
pub struct Endpoint {
    client: reqwest::Client,
    url: Secret,
    /// Scheme and host: what may be shown. Chat webhooks carry their secret in the path.
    shown: String,
    signer: Option<Signer>,
    clock: Arc<dyn Clock>,
}

/// A 2xx answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Its first 16 KiB.
    pub body: String,
}

impl Endpoint {
    /// # Errors
    /// The URL is none, or the certificates of this host cannot be read.
    pub fn new(url: &Secret, signer: Option<Signer>, timeout: Duration, clock: Arc<dyn Clock>) -> Result<Endpoint, String> {
        let parsed = reqwest::Url::parse(url.expose_secret()).map_err(|e| format!("the URL cannot be read: {e}"))?;
        let host = parsed.host_str().ok_or("the URL names no host")?;
        let port = parsed.port().map(|p| format!(":{p}")).unwrap_or_default();
        // The program does this first thing; tests and other users of the library may not have. The first one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .user_agent(concat!("tokenwatch/", env!("CARGO_PKG_VERSION")));
        if parsed.scheme() == "http" {
            // No certificates are needed, so a host without any must not matter.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|e| format!("no HTTPS client: {}", reason(&e)))?;
        Ok(Endpoint { client, url: url.clone(), shown: format!("{}://{host}{port}", parsed.scheme()), signer, clock })
    }

    /// Sends a JSON body once, under its key, with further headers.
    pub async fn post(&self, key: &str, body: String, headers: &[(&'static str, &str)]) -> Result<Answer, SendError> {
        let now = self.clock.now();
        let timestamp = sign::seconds(now);
        let mut request = self
            .client
            .post(self.url.expose_secret())
            .header("content-type", "application/json")
            .header(sign::ID, key)
            .header(sign::TIMESTAMP, timestamp.to_string());
        if let Some(signer) = &self.signer {
            request = request.header(sign::SIGNATURE, signer.sign(key, timestamp, body.as_bytes()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.map_err(|e| SendError::retry(format!("{}: {}", self.shown, reason(&e))))?;
        self.answer(response, now).await
    }

    async fn answer(&self, mut response: reqwest::Response, now: Time) -> Result<Answer, SendError> {
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| retry_after(v, now));
        let mut body = Vec::new();
        // The status was the answer; a body that breaks off changes nothing.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MOST_ANSWER.saturating_sub(body.len());
            body.extend(chunk.iter().take(room));
            if room < chunk.len() {
                break;
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        let message = || {
            let said = text::cut(&text::clean(body.trim()), 200);
            let said = if said.is_empty() { said } else { format!(" \"{said}\"") };
            format!("{} answered {status}{said}", self.shown)
        };
        match status {
            200..=299 => Ok(Answer { status, body }),
            300..=399 => Err(SendError::retry(format!(
                "{} answered {status}, a redirect, which is not followed: configure the final URL",
                self.shown
            ))),
            408 | 425 | 429 => Err(SendError::Retry { after, message: message() }),
            410 => Err(SendError::permanent(format!("{}: the receiver wants no more; remove the channel or renew its URL", message()))),
            400..=499 => Err(SendError::permanent(message())),
            _ => Err(SendError::Retry { after, message: message() }),
        }
    }
}

/// Seconds, or an HTTP date.
fn retry_after(value: &str, now: Time) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_microsecond();
            Duration::from_micros(u64::try_from(until.saturating_sub(now.0)).unwrap_or(0))
        }
    };
    Some(wait.min(LONGEST_PAUSE))
}

/// The innermost cause: what a person can act on. Never the URL.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // The outermost text is the one that holds the URL.
    if std::ptr::addr_eq(cause, error) { "the request failed".to_owned() } else { text::cut(&text::clean(&cause.to_string()), 200) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = Time(1_700_000_000 * Time::SECOND);
        assert_eq!(retry_after("30", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Tue, 14 Nov 2023 22:14:20 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Tue, 14 Nov 2000 22:14:20 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", now), Some(LONGEST_PAUSE));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
