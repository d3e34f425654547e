//! `tokenwatch status`: the daemon's work as its store shows it.

use clap::Args;
use serde_json::json;

use super::table::Table;
use super::{ConfigArg, Failure, count};
use crate::position::Position;
use crate::runtime::judge::is_token;
use crate::runtime::rulebook::Rulebook;
use crate::store::{AlertFilter, Store};

/// Positions, tokens, alerts and the outbox.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(command: Status) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let store = Store::open_read_only(&rulebook.config.state_dir).map_err(|error| error.to_string())?;
    show(&store, &rulebook, command.json)
}

fn show(store: &Store, rulebook: &Rulebook, as_json: bool) -> Result<(), Failure> {
    let checkpoints = store.load_checkpoints()?;
    let mut tokens = 0u64;
    store.load_baselines(&mut |token, record| tokens += u64::from(is_token(token, record)))?;
    let alerts = store.alerts(&AlertFilter { limit: 5, ..AlertFilter::default() })?;
    let outbox = store.outbox_counts()?;
    let gaps = store.gaps(5)?;
    if as_json {
        let value = json!({
            "state_dir": rulebook.config.state_dir,
            "tokens": tokens,
            "positions": checkpoints.iter().map(|c| json!({"source": c.source, "partition": c.label, "offset": offset(&c.position)})).collect::<Vec<_>>(),
            "outbox": outbox.iter().map(|o| json!({"destination": o.destination, "waiting": o.waiting, "delivered": o.delivered, "dead": o.dead})).collect::<Vec<_>>(),
            "alerts": alerts.iter().map(|a| json!({"id": a.id, "time": a.time.to_string(), "severity": a.severity, "token": a.token})).collect::<Vec<_>>(),
            "gaps": gaps.iter().map(|g| json!({"source": g.source, "partition": g.label, "from": g.from, "to": g.to, "reason": g.reason})).collect::<Vec<_>>(),
        });
        println!("{value}");
        return Ok(());
    }
    println!("state in {}, {}\n", rulebook.config.state_dir.display(), count(tokens, "token"));
    let mut table = Table::new(&["SOURCE", "READ UP TO", "PARTITION"]);
    for checkpoint in &checkpoints {
        table.row(vec![checkpoint.source.clone(), offset(&checkpoint.position).to_string(), checkpoint.label.clone()]);
    }
    if checkpoints.is_empty() {
        println!("no source was read yet: the daemon does that (`tokenwatch run`)");
    } else {
        table.print()?;
    }
    let mut table = Table::new(&["DESTINATION", "WAITING", "DELIVERED", "GIVEN UP"]);
    for row in &outbox {
        table.row(vec![row.destination.clone(), row.waiting.to_string(), row.delivered.to_string(), row.dead.to_string()]);
    }
    println!();
    if outbox.is_empty() {
        println!("nothing was sent yet, and nothing waits");
    } else {
        table.print()?;
    }
    println!();
    if alerts.is_empty() {
        println!("no alerts");
    } else {
        let mut table = Table::new(&["LATEST ALERTS", "SEVERITY", "SUMMARY"]);
        for alert in &alerts {
            table.severe(
                alert.severity,
                vec![alert.time.to_string().chars().take(19).collect(), alert.severity.to_string(), alert.summary.clone()],
            );
        }
        table.print()?;
    }
    for gap in &gaps {
        let to = gap.to.map_or("an unknown place".to_owned(), |to| to.to_string());
        println!("gap: {} from {} to {to}: {}", gap.label, gap.from, gap.reason);
    }
    Ok(())
}

fn offset(position: &Position) -> i64 {
    match position {
        Position::File(file) => i64::try_from(file.offset).unwrap_or(i64::MAX),
        Position::Kafka { offset } => *offset,
    }
}
