//! `tokenwatch alerts`: list them, explain one, dismiss one.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::table::{Table, tint, width};
use super::{ConfigArg, Failure, order};
use crate::alert::{Alert, Source};
use crate::config::problem::suggest;
use crate::identity::dictionary::Dictionary;
use crate::runtime::feedback::is_report;
use crate::runtime::judge::Judge;
use crate::runtime::rulebook::Rulebook;
use crate::severity::Severity;
use crate::store::{AlertFilter, FeedbackKind, FeedbackRow, NewFeedback, Store};
use crate::token::TokenId;

/// List, explain and dismiss alerts.
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// The latest alerts, newest first
    #[command(after_help = "Example: tokenwatch alerts list --min-severity high")]
    List(List),
    /// Everything about one alert: what was seen, what is usual, where it stands in the log, what to do
    #[command(after_help = "Example: tokenwatch alerts show 3f9a1c")]
    Show(Show),
    /// Say that an alert was false: what it reported is usual for its token from now on
    #[command(
        after_help = "Works beside the running daemon. `tokenwatch baseline show` lists what was accepted, `baseline forget` takes it back.\n\nExample: tokenwatch alerts dismiss 3f9a1c --reason \"the new office\""
    )]
    Dismiss(Dismiss),
}

/// Which alert, and why.
#[derive(Debug, Args)]
pub struct Dismiss {
    #[command(flatten)]
    config: ConfigArg,
    /// Its id, or the first characters of it
    id: String,
    /// Why it was false, for those who read it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
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
        Alerts::Dismiss(command) => dismiss(&command),
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
    let store = open_store(&command.config)?;
    let alerts = store.alerts(&filter).map_err(|error| error.to_string())?;
    if command.json {
        for alert in &alerts {
            print_json(alert, &feedback(&store, alert)?)?;
        }
        return Ok(());
    }
    if alerts.is_empty() {
        println!("no alerts");
        return Ok(());
    }
    let mut table = Table::new(&["ID", "TIME", "SEVERITY", "TOKEN", "SUMMARY"]);
    for alert in &alerts {
        let mut row = row(alert);
        if let (false, Some(summary)) = (feedback(&store, alert)?.is_empty(), row.last_mut()) {
            summary.insert_str(0, "dismissed: ");
        }
        table.severe(alert.severity, row);
    }
    table.print()?;
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

/// What people have said of an alert.
fn feedback(store: &Store, alert: &Alert) -> Result<Vec<FeedbackRow>, Failure> {
    store.feedback_of(&alert.id).map_err(|error| Failure::Usage(error.to_string()))
}

fn print_json(alert: &Alert, feedback: &[FeedbackRow]) -> Result<(), Failure> {
    let mut line = serde_json::to_value(alert).map_err(|error| error.to_string())?;
    let said = |row: &FeedbackRow| {
        json!({ "kind": row.order.kind.name(), "time": row.time.to_string(), "author": row.order.author, "reason": row.order.reason,
            "applied": row.applied.map(|time| time.to_string()) })
    };
    if let (Some(map), false) = (line.as_object_mut(), feedback.is_empty()) {
        map.insert("feedback".to_owned(), feedback.iter().map(said).collect());
    }
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
                Ok(alert) => super::print(&format!("{}\n", tint(alert.severity, &row(&alert).join("  "))))?,
                Err(_) => eprintln!("tokenwatch: {} holds a line that is no alert", path.display()),
            }
        }
        Ok(())
    })
}

fn show(command: &Show) -> Result<(), Failure> {
    let store = open_store(&command.config)?;
    let alert = &named(&store, &command.id)?;
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let dictionary = Arc::new(Dictionary::default());
    let mut judge = Judge::new(rulebook, dictionary.clone());
    super::tokens::read_store(&store, &mut judge, &dictionary).map_err(|error| error.to_string())?;
    let alert = &whole(&judge, alert);
    if command.json {
        return print_json(alert, &feedback(&store, alert)?);
    }
    super::print(&explain(alert, width().min(120)))?;
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
    for row in feedback(&store, alert)? {
        println!("\n  dismissed\n    {}", said(&row));
    }
    Ok(())
}

/// The last revision of the alert with this id.
fn named(store: &Store, id: &str) -> Result<Alert, Failure> {
    let mut revisions = store.alert(id).map_err(|error| error.to_string())?;
    revisions.pop().ok_or_else(|| Failure::Usage(format!("no alert {id}; see `tokenwatch alerts list`")))
}

/// `2026-11-30 09:15:02 by ada: the new office; not yet carried out`
fn said(row: &FeedbackRow) -> String {
    let time: String = row.time.to_string().chars().take(19).collect();
    let author = row.order.author.as_ref().map(|author| format!(" by {author}")).unwrap_or_default();
    let reason = row.order.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{author}{reason}{}", time.replace('T', " "), if row.applied.is_none() { "; not yet carried out" } else { "" })
}

fn dismiss(command: &Dismiss) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let store = open_store(&command.config)?;
    let alert = named(&store, &command.id)?;
    let out = &mut std::io::stdout().lock();
    let id = alert.id.get(..8).unwrap_or(&alert.id);
    if let Some(before) = feedback(&store, &alert)?.first() {
        return super::say(out, format_args!("{id} was dismissed already: {}", said(before)));
    }
    drop(store);
    let order = NewFeedback {
        kind: FeedbackKind::Dismiss,
        token: alert.token.clone(),
        alert_id: Some(alert.id.clone()),
        reason: order::reason(command.reason.as_deref())?,
        author: order::author(),
    };
    let text = match (order::give(&rulebook, &order)?, is_report(&alert), alert.token.starts_with('(')) {
        (false, ..) => order::WAITS.to_owned(),
        (true, true, _) => "what it lists is not reported again".to_owned(),
        (true, _, true) => "it is about no token, so there is nothing to learn from it".to_owned(),
        (true, ..) => format!("what it reported is usual for {} from now on", alert.token),
    };
    super::say(out, format_args!("{id}: dismissed; {text}"))
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
    if !alert.tamper_proof && !is_report(alert) {
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
