//! `tokenwatch check`: configuration, inventory, rules, and every rule's own test cases.

use clap::Args;

use super::{ConfigArg, Failure};
use crate::clock::{Clock, System};
use crate::detect::rule::trial;
use crate::runtime::rulebook::Rulebook;

/// Check what the daemon would read; nothing is started, nothing is sent.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigArg,
}

pub fn run(command: Check) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
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
    println!("configuration  {}", command.config.config.as_ref().map_or("defaults".to_owned(), |p| format!("{} is good", p.display())));
    println!("sources        {}", rulebook.config.sources.len());
    println!("channels       {}", rulebook.config.channels.len());
    println!("responders     {}", rulebook.config.responders.len());
    println!("inventory      {} tokens", rulebook.inventory.entries().len());
    println!("rules          {}, {} of {} tests passed", rulebook.titles.len(), tests - failed.len(), tests);
    if failed.is_empty() { Ok(()) } else { Err(Failure::Found) }
}
