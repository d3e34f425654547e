//! Signatures by Standard Webhooks 1.0 (<https://www.standardwebhooks.com>): HMAC-SHA256 over `id.timestamp.body`.
//!
//! The id stays the same over all tries of a message and is what a receiver recognises a repetition by; the time stamp is that of
//! the try, so that a receiver can refuse old copies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::config::secret::Secret;
use crate::event::Time;

/// The three headers of a signed message.
pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// Signs with one key, or with several while a receiver changes from one to the next.
#[derive(Debug, Clone)]
pub struct Signer {
    keys: Vec<SecretSlice<u8>>,
}

impl Signer {
    /// Reads a secret: one key a line; `whsec_` and base64, or any other text, whose bytes are the key.
    ///
    /// # Errors
    /// A line is no base64 after `whsec_`, or a key is shorter than 16 bytes. The message shows nothing of the key.
    pub fn new(secret: &Secret) -> Result<Signer, String> {
        let mut keys = Vec::new();
        for line in secret.expose_secret().lines().map(str::trim).filter(|l| !l.is_empty()) {
            let key = match line.strip_prefix("whsec_") {
                Some(text) => STANDARD.decode(text).map_err(|_| "the signing key is not base64 after \"whsec_\"".to_owned())?,
                None => line.as_bytes().to_vec(),
            };
            if key.len() < 16 {
                return Err("the signing key is shorter than 16 bytes; make one with: printf whsec_; openssl rand -base64 32".to_owned());
            }
            keys.push(SecretSlice::from(key));
        }
        if keys.is_empty() { Err("the signing key is empty".to_owned()) } else { Ok(Signer { keys }) }
    }

    /// The value of [`SIGNATURE`] for a message whose [`ID`] and [`TIMESTAMP`] (see [`seconds`]) are these.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures = self.keys.iter().filter_map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).ok()?;
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// Whole seconds since the epoch, as the time stamp header has them.
pub fn seconds(time: Time) -> i64 {
    time.0.div_euclid(Time::SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    /// The example that the specification's reference libraries test themselves with.
    #[test]
    fn agrees_with_the_vector_of_the_specification() {
        let signer = Signer::new(&KEY.into()).unwrap();
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_keys_give_two_signatures_so_that_a_receiver_can_change_over() {
        let both = Signer::new(&format!("{KEY}\nan older key of plain text\n").into()).unwrap();
        let old = Signer::new(&"an older key of plain text".into()).unwrap();
        let (first, second) = (Signer::new(&KEY.into()).unwrap().sign("a", 1, BODY), old.sign("a", 1, BODY));
        assert_eq!(both.sign("a", 1, BODY), format!("{first} {second}"));
        assert_ne!(old.sign("a", 1, BODY), old.sign("a", 2, BODY));
        assert_ne!(old.sign("a", 1, BODY), old.sign("b", 1, BODY));
    }

    #[test]
    fn bad_keys_are_refused_without_showing_them() {
        for bad in ["whsec_%%%%secret%%%%", "tooshort", "", " \n"] {
            let error = Signer::new(&bad.into()).unwrap_err();
            assert!(!error.contains("secret%") && !error.contains("tooshort"), "{error}");
        }
        assert!(!format!("{:?}", Signer::new(&KEY.into()).unwrap()).contains("MfKQ9r8G"));
    }
}
