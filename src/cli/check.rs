//! `tokenwatch check`: configuration, inventory, rules, and every rule's own test cases.

use std::sync::Arc;

use clap::Args;

use super::{ConfigArg, Failure};
use crate::clock::{Clock, System};
use crate::config::ChannelKind;
use crate::engine::trial;
use crate::event::Time;
use crate::notifier::Channel;
use crate::response::HALT_FILE;
use crate::response::guard::Guard;
use crate::response::responder::Responder;
use crate::runtime::rulebook::Rulebook;

/// Check what the daemon would read; nothing is started, nothing is sent.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigArg,
}

pub fn run(command: Check) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    rulebook.settings.origins.verify().map_err(Failure::problems)?;
    let mut failed = Vec::new();
    let mut tests = 0;
    for rule in rulebook.rules.rules() {
        tests += rule.examples.len();
        failed.extend(trial::run(rule, &format!("{}.toml", rule.id)));
    }
    for problem in &failed {
        eprintln!("{problem}");
    }
    for remark in rulebook.inventory.remarks(System::default().now()) {
        eprintln!("note: {remark}");
    }
    let now = System::default().now();
    for remark in rulebook.settings.origins.remarks(now) {
        eprintln!("note: {remark}");
    }
    for old in rulebook.config.suppressions.iter().filter(|suppression| suppression.until <= now) {
        eprintln!("note: the suppression of \"{}\" ({}) ended at {}; take it out", old.token.as_str(), old.reason, old.until);
    }
    if rulebook.config.sources.is_empty() {
        eprintln!("note: nothing to read: `tokenwatch run` needs a [[source]]");
    }
    if rulebook.config.channels.is_empty() {
        eprintln!("note: nobody is told: alerts are only stored, until there is a [[channel]]");
    }
    for channel in &rulebook.config.channels {
        if let ChannelKind::File { path } = &channel.kind
            && let Some(folder) = path.parent().filter(|folder| !folder.is_dir())
        {
            eprintln!(
                "note: channel \"{}\": there is no folder {}; make it, and let the daemon's user write there",
                channel.name,
                folder.display()
            );
        }
    }
    let clock: Arc<dyn Clock> = Arc::new(System::default());
    for channel in &rulebook.config.channels {
        Channel::open(channel, clock.clone())?;
    }
    for responder in &rulebook.config.responders {
        Guard::new(responder)?;
        Responder::open(responder, clock.clone(), rulebook.config.state_dir.join(HALT_FILE))?;
    }
    println!("configuration  {}", command.config.config.as_ref().map_or("defaults".to_owned(), |p| format!("{} is good", p.display())));
    println!("sources        {}", rulebook.config.sources.len());
    println!("channels       {}", rulebook.config.channels.len());
    println!("responders     {}", rulebook.config.responders.len());
    if !rulebook.config.suppressions.is_empty() {
        println!("suppressions   {}", rulebook.config.suppressions.len());
    }
    println!("inventory      {} tokens", rulebook.inventory.entries().len());
    for file in rulebook.settings.origins.files() {
        println!("origins        {} ({}, built {})", file.path.display(), file.kind, date(file.built));
    }
    println!("rules          {}, {} of {} tests passed", rulebook.rules.rules().len(), tests - failed.len(), tests);
    if failed.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

/// `2026-11-01`.
fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}
