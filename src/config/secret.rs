//! Secrets read from files or systemd credentials; never shown.

/// A secret's text. Its `Debug` shows nothing.
pub type Secret = secrecy::SecretString;
