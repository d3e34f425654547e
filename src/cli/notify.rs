//! `tokenwatch notify test`: one message through every channel, now.

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{ConfigArg, Failure};
use crate::clock::{Clock, System};
use crate::notifier::{Channel, Delivery, Message, Sender, delivery_key};
use crate::runtime::rulebook::Rulebook;

/// Try the notification channels.
#[derive(Debug, Subcommand)]
pub enum Notify {
    /// Send a test message through every channel, or through the one named
    #[command(after_help = "Example: tokenwatch notify test --config /etc/tokenwatch/tokenwatch.toml soc")]
    Test(Test),
}

/// Which channel.
#[derive(Debug, Args)]
pub struct Test {
    #[command(flatten)]
    config: ConfigArg,
    /// Only this channel
    channel: Option<String>,
}

pub fn run(command: Notify) -> Result<(), Failure> {
    let Notify::Test(command) = command;
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let channels: Vec<_> =
        rulebook.config.channels.iter().filter(|c| command.channel.as_ref().is_none_or(|wanted| *wanted == c.name)).collect();
    if channels.is_empty() {
        return Err(Failure::Usage(match &command.channel {
            Some(name) => {
                let near = crate::config::problem::suggest(name, rulebook.config.channels.iter().map(|c| c.name.as_str()));
                format!("no channel \"{name}\"; {near}")
            }
            None => "no channel to test: add a [[channel]] to the configuration".to_owned(),
        }));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let clock: Arc<dyn Clock> = Arc::new(System::default());
    let mut failed = false;
    for config in channels {
        let now = clock.now();
        let message = Message::test(now);
        // A test is a message of its own each time, so its id holds the time.
        let new = message.to(&config.name, &delivery_key(&format!("test-{}", now.0), 0, &config.name), now);
        let delivery = Delivery {
            key: new.key,
            destination: new.destination,
            alert_id: new.alert_id,
            severity: new.severity,
            created: now,
            due: now,
            expires: None,
            attempts: 0,
            payload: new.payload,
        };
        let result = Channel::open(config, clock.clone()).and_then(|channel| {
            runtime
                .block_on(async { tokio::time::timeout(config.timeout, channel.send(&delivery)).await })
                .map_err(|_| format!("no answer within {:?}", config.timeout))?
                .map_err(|error| error.to_string())
        });
        match result {
            Ok(receipt) => println!("{}: sent ({})", config.name, receipt.detail),
            Err(error) => {
                failed = true;
                eprintln!("{}: failed: {error}", config.name);
            }
        }
    }
    if failed { Err(Failure::Found) } else { Ok(()) }
}
