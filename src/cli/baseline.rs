//! `tokenwatch baseline`: what is usual for a token, how to have some of it forgotten, and how to pin it.

use clap::{Args, Subcommand};
use serde_json::json;

use super::tokens::{inventory, load, named, read_store};
use super::{ConfigArg, Failure, count, order, say};
use crate::alert::explain::Explainer;
use crate::baseline::network::of_key;
use crate::baseline::usual::{Entry, QUARANTINE_DAYS, Usual};
use crate::baseline::{Baseline, day_of};
use crate::event::Time;
use crate::identity::dictionary::Dictionary;
use crate::runtime::judge::Judge;
use crate::runtime::rulebook::Rulebook;
use crate::store::{Epoch, FeedbackKind, NewFeedback, Store};
use crate::token::TokenId;

/// What is usual for one token.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every value that is remembered, since when, and from when on what was alerted counts as usual
    #[command(after_help = "Example: tokenwatch baseline show billing")]
    Show(Show),
    /// Forget values, or all: they are new when they are seen again. The daemon must not be running
    #[command(after_help = "Example: tokenwatch baseline forget billing 203.0.113.0/24 \"select public.api_keys\"")]
    Forget(Forget),
    /// Go on judging by the baseline as it is now, and learn nothing more
    #[command(
        after_help = "Works beside the running daemon. A dismissed alert still teaches a pinned baseline.\n\nExample: tokenwatch baseline pin billing"
    )]
    Pin(Pin),
    /// Learn again; what the token has done since the pin is new when it is seen again
    #[command(after_help = "Works beside the running daemon.\n\nExample: tokenwatch baseline unpin billing")]
    Unpin(Pin),
}

/// Which token.
#[derive(Debug, Args)]
pub struct Pin {
    #[command(flatten)]
    config: ConfigArg,
    /// Its name
    token: String,
}

/// Which token.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    config: ConfigArg,
    /// Its name
    token: String,
    /// One JSON object a value
    #[arg(long)]
    json: bool,
}

/// What to forget.
#[derive(Debug, Args)]
pub struct Forget {
    #[command(flatten)]
    config: ConfigArg,
    /// The token's name
    token: String,
    /// Networks, addresses, clients, scopes and dismissed alerts as `baseline show` writes them
    #[arg(value_name = "VALUE", required_unless_present = "all")]
    values: Vec<String>,
    /// The whole baseline, with its pin and its dismissals: the token learns anew
    #[arg(long, conflicts_with = "values")]
    all: bool,
}

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(command) => show(&command),
        Command::Forget(command) => forget(&command),
        Command::Pin(command) => pin(&command, FeedbackKind::Pin),
        Command::Unpin(command) => pin(&command, FeedbackKind::Unpin),
    }
}

/// One value that is remembered.
struct Value {
    kind: &'static str,
    text: String,
    count: u16,
    first_day: u16,
    last_day: u16,
    /// The day from which on it counts as usual, where an alert named it.
    from: Option<u16>,
    /// A person has said that it is usual.
    accepted: bool,
    /// First seen since the baseline was pinned, so that it is not judged by.
    since_pin: bool,
}

fn values(baseline: &Baseline, dictionary: &Dictionary) -> Vec<Value> {
    fn all<K: Copy + Eq, const N: usize>(
        out: &mut Vec<Value>,
        kind: &'static str,
        pinned: Option<u16>,
        set: &Usual<K, N>,
        name: impl Fn(K) -> String,
    ) {
        let value = |e: &Entry<K>| Value {
            kind,
            text: name(e.key),
            count: e.count,
            first_day: e.first_day,
            last_day: e.last_day,
            from: e.reported().map(|day| day.saturating_add(QUARANTINE_DAYS)),
            accepted: e.accepted(),
            since_pin: pinned.is_some_and(|pinned| !e.accepted() && e.first_day >= pinned),
        };
        let mut found: Vec<Value> = set.iter().map(value).collect();
        found.sort_by(|a, b| (b.count, &a.text).cmp(&(a.count, &b.text)));
        out.extend(found);
    }
    let explainer = Explainer { dictionary, rules: &[], declared: &|_, _| None, origins: None };
    let pinned = baseline.pinned();
    let mut out = Vec::new();
    all(&mut out, "network", pinned, &baseline.networks, |key| explainer.prefix(key));
    all(&mut out, "address", pinned, &baseline.addresses, |key| explainer.network(of_key(key)));
    all(&mut out, "client", pinned, &baseline.clients, |key| dictionary.word(key).to_string());
    all(&mut out, "scope", pinned, &baseline.scopes, |key| explainer.scope(key));
    out
}

fn day(day: u16) -> String {
    Time(i64::from(day) * Time::DAY).to_string().chars().take(10).collect()
}

fn show(command: &Show) -> Result<(), Failure> {
    let (rulebook, judge, dictionary) = load(&command.config)?;
    let lines = inventory(&rulebook, &judge, &dictionary);
    let line = named(&lines, &command.token)?;
    let out = &mut std::io::stdout().lock();
    let Some(baseline) = &line.baseline else {
        return say(out, format_args!("{} was never used", line.name));
    };
    let values = values(baseline, &dictionary);
    if command.json {
        for Value { kind, text, count, first_day, last_day, from, accepted, since_pin } in values {
            let value = json!({
                "kind": kind, "value": text, "count": count, "first": day(first_day), "last": day(last_day), "alerted_until": from.map(day),
                "accepted": accepted, "judged_by": !since_pin,
            });
            say(out, format_args!("{value}"))?;
        }
        for (alert, count) in dismissals(baseline) {
            say(out, format_args!("{}", json!({ "kind": "dismissed", "value": alert, "count": count })))?;
        }
        return Ok(());
    }
    say(out, format_args!("{}, {}", line.name, learning(&rulebook, baseline)))?;
    let mut kind = "";
    for value in &values {
        if value.kind != kind {
            kind = value.kind;
            say(out, format_args!("  {kind}"))?;
        }
        let alerted = match (value.from, value.accepted, value.since_pin) {
            (_, true, _) => ", accepted".to_owned(),
            (_, _, true) => ", since the pin: not judged by".to_owned(),
            (Some(from), ..) => format!(", alerted: usual from {}", day(from)),
            _ => String::new(),
        };
        say(
            out,
            format_args!("    {:<36} {:>6} x, {} to {}{alerted}", value.text, value.count, day(value.first_day), day(value.last_day)),
        )?;
    }
    say(out, format_args!("  hours (UTC)\n    {}", hours(baseline)))?;
    let volume = &baseline.volume;
    let (hour, ten) = (volume.hour.record().max(volume.hour.count), volume.ten_minutes.record().max(volume.ten_minutes.count));
    let rows = volume.rows.record().max(volume.rows.count);
    let rows = if rows > 0 { format!(", {rows} rows in an hour") } else { String::new() };
    say(out, format_args!("  busiest\n    {hour} queries in an hour, {ten} in ten minutes{rows}"))?;
    say(out, format_args!("  statements\n    {} remembered", baseline.shapes.len()))?;
    let dismissals = dismissals(baseline);
    if !dismissals.is_empty() {
        say(out, format_args!("  dismissed"))?;
    }
    for (alert, excuses) in dismissals {
        say(out, format_args!("    {alert:<36} {} excused", count(excuses, "act")))?;
    }
    Ok(())
}

/// Dismissed alerts with the number of acts that they excuse, the latest last.
fn dismissals(baseline: &Baseline) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = Vec::new();
    for excuse in baseline.care.iter().flat_map(|care| &care.excuses) {
        let name = dismissed(excuse.alert);
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => found.push((name, 1)),
        }
    }
    found
}

/// `alert 3f9a1c02`
fn dismissed(alert: u64) -> String {
    format!("alert {:08x}", alert >> 32)
}

fn pin(command: &Pin, kind: FeedbackKind) -> Result<(), Failure> {
    let (rulebook, judge, dictionary) = load(&command.config)?;
    let lines = inventory(&rulebook, &judge, &dictionary);
    let line = named(&lines, &command.token)?;
    let Some(baseline) = &line.baseline else {
        return Err(Failure::Usage(format!("{} was never used; there is nothing to pin", line.name)));
    };
    let (wanted, done) = match kind {
        FeedbackKind::Pin => (true, "is pinned: it is judged by its baseline as it is, and learns nothing more"),
        _ => (false, "learns again"),
    };
    let out = &mut std::io::stdout().lock();
    if baseline.pinned().is_some() == wanted {
        let state = baseline.pinned().map_or("not pinned".to_owned(), |since| format!("pinned since {}", day(since)));
        return say(out, format_args!("{} is {state}; nothing to do", line.name));
    }
    let order = NewFeedback { kind, token: line.name.clone(), alert_id: None, reason: None, author: order::author() };
    let carried_out = order::give(&rulebook, &order)?;
    if carried_out { say(out, format_args!("{} {done}", line.name)) } else { say(out, format_args!("{}: {}", line.name, order::WAITS)) }
}

/// How long it still learns.
fn learning(rulebook: &Rulebook, baseline: &Baseline) -> String {
    let days = count(u64::from(baseline.active_days), "active day");
    if let Some(since) = baseline.pinned() {
        return format!("pinned since {}, {days}", day(since));
    }
    if baseline.mature(baseline.last_seen, rulebook.settings.learning) {
        return format!("watched, {days}");
    }
    let end = Time(baseline.first_seen.0.saturating_add(rulebook.settings.learning));
    format!("learning until {}, {days}", day(day_of(end)))
}

/// A bar for each hour of the day, as high as the hour is used often.
fn hours(baseline: &Baseline) -> String {
    const BARS: [char; 9] = ['.', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = baseline.hours.iter().copied().max().unwrap_or(0).max(1);
    let bar = |days: u8| BARS.get((usize::from(days) * 8).div_ceil(usize::from(most))).copied().unwrap_or('█');
    let bars: String = baseline.hours.iter().map(|days| bar(*days)).collect();
    format!("00 {bars} 23")
}

fn forget(command: &Forget) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let mut store = Store::open(&rulebook.config.state_dir).map_err(|error| error.to_string())?;
    let dictionary = std::sync::Arc::new(Dictionary::default());
    let mut judge = Judge::new(rulebook.clone(), dictionary.clone());
    read_store(&store, &mut judge, &dictionary).map_err(|error| error.to_string())?;
    named(&inventory(&rulebook, &judge, &dictionary), &command.token)?;
    let token = TokenId::of(command.token.as_bytes());
    let mut missing = command.values.clone();
    let found = judge.amend(token, &mut |baseline| {
        if command.all {
            *baseline = Baseline::new(baseline.last_seen);
            return;
        }
        missing.retain(|value| !forget_value(baseline, value, &dictionary));
    });
    if !found {
        return Err(Failure::Usage(format!("{} was never used; there is nothing to forget", command.token)));
    }
    if let Some(value) = missing.first() {
        return Err(Failure::Usage(format!(
            "{} has no \"{value}\"; `tokenwatch baseline show {}` lists its values",
            command.token, command.token
        )));
    }
    let epoch = Epoch { baselines: judge.take_dirty(), ..Epoch::default() };
    store.commit_epoch(&epoch).map_err(|error| error.to_string())?;
    let what = if command.all { "its baseline".to_owned() } else { count(command.values.len() as u64, "value") };
    say(&mut std::io::stdout().lock(), format_args!("{}: forgot {what}", command.token))
}

fn forget_value(baseline: &mut Baseline, value: &str, dictionary: &Dictionary) -> bool {
    fn one<K: Copy + Eq, const N: usize>(set: &mut Usual<K, N>, is: impl Fn(K) -> bool) -> bool {
        let key = set.iter().map(|e| e.key).find(|key| is(*key));
        key.is_some_and(|key| set.forget(key))
    }
    let excused = baseline.care.iter().flat_map(|care| &care.excuses).map(|excuse| excuse.alert).find(|alert| dismissed(*alert) == value);
    if let Some(alert) = excused {
        return baseline.take_back(alert);
    }
    let explainer = Explainer { dictionary, rules: &[], declared: &|_, _| None, origins: None };
    one(&mut baseline.networks, |key| explainer.prefix(key) == value)
        || one(&mut baseline.addresses, |key| explainer.network(of_key(key)) == value)
        || one(&mut baseline.clients, |key| &*dictionary.word(key) == value)
        || one(&mut baseline.scopes, |key| explainer.scope(key) == value)
}
