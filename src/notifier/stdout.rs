//! Standard output: one JSON object a line, for containers and for trying things out.

use std::io::Write;

use super::message::json_line;
use super::{Message, Receipt, SendError};

/// The process's standard output.
pub struct Stdout;

impl Stdout {
    pub async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let line = json_line(&message.data());
        // A pipe whose reader has stopped would block; only this channel's worker may wait for it.
        let written = tokio::task::spawn_blocking(move || {
            let mut out = std::io::stdout().lock();
            out.write_all(line.as_bytes()).and_then(|()| out.flush())
        });
        match written.await {
            Ok(Ok(())) => Ok(Receipt::default()),
            Ok(Err(error)) => Err(SendError::retry(format!("standard output: {error}"))),
            Err(error) => Err(SendError::retry(format!("standard output: {error}"))),
        }
    }
}
