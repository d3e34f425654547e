//! `tokenwatch alerts`: list them, and explain one.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::table::{Table, tint, width};
use super::{ConfigArg, Failure};
use crate::alert::{Alert, Source};
use crate::config::problem::suggest;
use crate::identity::dictionary::Dictionary;
use crate::runtime::judge::Judge;
use crate::runtime::rulebook::Rulebook;
use crate::severity::Severity;
use crate::store::{AlertFilter, Store};
use crate::token::TokenId;

/// List and explain alerts.
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// The latest alerts, newest first
    #[command(after_help = "Example: tokenwatch alerts list --min-severity high")]
    List(List),
    /// Everything about one alert: what was seen, what is usual, where it stands in the log, what to do
    #[command(after_help = "Example: tokenwatch alerts show 3f9a1c")]
    Show(Show),
}

/// Which alerts.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigArg,
    /// Only this token
    #[arg(long)]
    token: Option<String>,
    /// Only alerts at least this severe
    #[arg(long, value_name = "SEVERITY", default_value = "informational")]
    min_severity: String,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Keep printing alerts of this JSON-lines file (a channel of type "file") as they are written
    #[arg(long, value_name = "FILE")]
    follow: Option<PathBuf>,
}

/// Which alert.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    config: ConfigArg,
    /// Its id, or the first characters of it
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The store of a configuration, for reading beside a running daemon.
pub fn open_store(config: &ConfigArg) -> Result<Store, Failure> {
    let rulebook = Rulebook::load(config.config.as_deref()).map_err(Failure::problems)?;
    Store::open_read_only(&rulebook.config.state_dir).map_err(|error| Failure::Usage(error.to_string()))
}

pub fn run(command: Alerts) -> Result<(), Failure> {
    match command {
        Alerts::List(command) => list(&command),
        Alerts::Show(command) => show(&command),
    }
}

fn list(command: &List) -> Result<(), Failure> {
    if let Some(path) = &command.follow {
        return follow(path);
    }
    let min_severity = Severity::from_name(&command.min_severity).ok_or_else(|| {
        let known: Vec<&str> = Severity::ALL.iter().map(|s| s.name()).collect();
        format!("unknown severity \"{}\"; {}", command.min_severity, suggest(&command.min_severity, known))
    })?;
    let filter =
        AlertFilter { token: command.token.clone(), min_severity: Some(min_severity), limit: command.limit, ..AlertFilter::default() };
    let alerts = open_store(&command.config)?.alerts(&filter).map_err(|error| error.to_string())?;
    if command.json {
        for alert in &alerts {
            print_json(alert)?;
        }
        return Ok(());
    }
    if alerts.is_empty() {
        println!("no alerts");
        return Ok(());
    }
    let mut table = Table::new(&["ID", "TIME", "SEVERITY", "TOKEN", "SUMMARY"]);
    for alert in &alerts {
        table.severe(alert.severity, row(alert));
    }
    table.print();
    Ok(())
}

/// An alert as a row of `alerts list`.
pub fn row(alert: &Alert) -> Vec<String> {
    let id = alert.id.get(..8).unwrap_or(&alert.id).to_owned();
    let time = alert.time.to_string().chars().take(19).collect::<String>();
    // The sentence begins with the token's name, which has a column of its own.
    let summary = alert.summary.strip_prefix(&format!("{}: ", alert.token)).unwrap_or(&alert.summary);
    vec![id, time, alert.severity.to_string(), alert.token.clone(), summary.to_owned()]
}

fn print_json(alert: &Alert) -> Result<(), Failure> {
    let line = serde_json::to_string(alert).map_err(|error| error.to_string())?;
    super::say(&mut std::io::stdout().lock(), format_args!("{line}"))
}

/// Follows the daemon's own append-only alert file. It is never rotated under us and ends every line it writes, which is all that
/// `linemux` asks of a file; logs go through [`crate::source::file`].
fn follow(path: &std::path::Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut lines = linemux::MuxedLines::new().map_err(|error| error.to_string())?;
        lines.add_file(path).await.map_err(|error| format!("cannot follow {}: {error}", path.display()))?;
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str::<Alert>(line.line()) {
                Ok(alert) => println!("{}", tint(alert.severity, &row(&alert).join("  "))),
                Err(_) => eprintln!("tokenwatch: {} holds a line that is no alert", path.display()),
            }
        }
        Ok(())
    })
}

fn show(command: &Show) -> Result<(), Failure> {
    let store = open_store(&command.config)?;
    let revisions = store.alert(&command.id).map_err(|error| error.to_string())?;
    let Some(alert) = revisions.last() else {
        return Err(Failure::Usage(format!("no alert {}; see `tokenwatch alerts list`", command.id)));
    };
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let dictionary = Arc::new(Dictionary::default());
    let mut judge = Judge::new(rulebook, dictionary.clone());
    super::tokens::read_store(&store, &mut judge, &dictionary).map_err(|error| error.to_string())?;
    let alert = &whole(&judge, alert);
    if command.json {
        return print_json(alert);
    }
    print!("{}", explain(alert, width().min(120)));
    let deliveries = store.deliveries_of(&alert.id).map_err(|error| error.to_string())?;
    if !deliveries.is_empty() {
        println!("\n  sent to");
    }
    for delivery in deliveries {
        let state = if delivery.state == "dead" { "given up" } else { &delivery.state };
        let why = delivery.detail.filter(|_| delivery.state != "delivered").map(|why| format!(": {why}")).unwrap_or_default();
        println!("    {:<20}  {state} after {}{why}", delivery.destination, tries(delivery.attempts));
    }
    let actions = store.actions(Some(&alert.id), 20).map_err(|error| error.to_string())?;
    if !actions.is_empty() {
        println!("\n  response");
    }
    for action in actions {
        println!("    {:<20}  {}: {}", action.responder, action.state.name(), action.reason);
    }
    Ok(())
}

/// The alert with what has joined it since it was sent; findings that do not raise the severity do so quietly.
pub fn whole(judge: &Judge, alert: &Alert) -> Alert {
    let open = judge.open_alert(TokenId::of(alert.token.as_bytes())).filter(|open| open.id == alert.id);
    open.unwrap_or(alert).clone()
}

fn tries(attempts: u32) -> String {
    if attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") }
}

/// The whole alert for a person at a terminal.
pub fn explain(alert: &Alert, width: usize) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let severity = alert.severity.name().to_uppercase();
    for (n, part) in wrap(&alert.summary, width.saturating_sub(severity.len() + 2)).into_iter().enumerate() {
        let head = if n == 0 { &*severity } else { "" };
        line(tint(alert.severity, &format!("{head:<wide$}  {part}", wide = severity.len())));
    }
    let mut facts = vec![("token", alert.token.clone()), ("time", alert.time.to_string())];
    facts.extend(alert.owner.clone().map(|owner| ("owner", owner)));
    facts.extend(alert.contact.clone().map(|contact| ("contact", contact)));
    facts.extend(alert.address.clone().map(|address| ("address", address)));
    facts.extend(alert.database.clone().map(|database| ("database", database)));
    facts.extend(alert.resembles.clone().map(|attack| ("looks like", attack)));
    facts.push(("confidence", format!("{} of 100, score {:.1}", alert.confidence, alert.score)));
    facts.push(("state", format!("{:?}, id {}", alert.mode, alert.id).to_lowercase()));
    if !alert.attack.is_empty() {
        facts.push(("ATT&CK", alert.attack.join(", ")));
    }
    if !alert.tamper_proof {
        facts.push(("evidence", "from a log that clients can write into; check it before you act".to_owned()));
    }
    for (name, value) in facts {
        for (n, part) in wrap(&value, width.saturating_sub(14)).into_iter().enumerate() {
            line(format!("  {:<10}  {part}", if n == 0 { name } else { "" }));
        }
    }
    let mut said: Vec<&str> = Vec::new();
    for finding in &alert.findings {
        line(format!("\n  {} ({}, {} of 100)", finding.detector, finding.severity, finding.confidence));
        for (name, text) in [("seen", &finding.observed), ("usual", &finding.expected), ("do", &finding.advice)] {
            // Findings of one kind have the same history and advice; once is enough to read.
            if said.contains(&text.as_str()) {
                continue;
            }
            said.push(text);
            for (n, part) in wrap(text, width.saturating_sub(14)).into_iter().enumerate() {
                line(format!("    {:<6}  {part}", if n == 0 { name } else { "" }));
            }
        }
        if finding.bound > 0.0 {
            let share = match finding.bound * 100.0 {
                least if least < 0.01 => "less than 0.01".to_owned(),
                share => format!("at most {share:.2}"),
            };
            let chance = format!("{share} % of the days of a token like this one bring such a thing");
            for (n, part) in wrap(&chance, width.saturating_sub(14)).into_iter().enumerate() {
                line(format!("    {:<6}  {part}", if n == 0 { "chance" } else { "" }));
            }
        }
        if let Some(weight) = &finding.weight {
            line(format!("    {:<6}  {weight}", "weight"));
        }
        for source in finding.evidence.iter().take(3) {
            line(format!("    {:<6}  {}", "where", place(source)));
        }
    }
    if let Some(proposal) = &alert.suppression {
        line("\n  if its owner says that all is well, this in the configuration covers it and no more:\n".to_owned());
        proposal.toml().lines().for_each(|text| line(format!("    {text}")));
    }
    out
}

fn place(source: &Source) -> String {
    match source {
        Source::File { file, offset } => format!("{file} at byte {offset}"),
        Source::Kafka { topic, partition, offset } => format!("topic {topic}, partition {partition}, offset {offset}"),
    }
}

/// Words in lines of at most `width` characters.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
