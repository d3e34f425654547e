//! `tokenwatch check`: configuration, inventory, rules, and every rule's own test cases.

use clap::Args;

use super::{ConfigArg, Failure};
use crate::runtime::rulebook::Rulebook;
use crate::runtime::ruletest;

/// Check what the daemon would read; nothing is started, nothing is sent.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigArg,
}

pub fn run(command: Check) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let results = ruletest::run_all(&rulebook);
    let failed: Vec<_> = results.iter().filter(|r| !r.passed).collect();
    for result in &failed {
        eprintln!("rule {}: test \"{}\" failed: {}", result.rule, result.test, result.explanation);
    }
    println!("configuration  {}", command.config.config.as_ref().map_or("defaults".to_owned(), |p| format!("{} is good", p.display())));
    println!("sources        {}", rulebook.config.sources.len());
    println!("channels       {}", rulebook.config.channels.len());
    println!("responders     {}", rulebook.config.responders.len());
    println!("inventory      {} tokens", rulebook.inventory.entries().count());
    println!("rules          {}, {} of {} tests passed", rulebook.titles.len(), results.len() - failed.len(), results.len());
    if failed.is_empty() { Ok(()) } else { Err(Failure::Found) }
}
