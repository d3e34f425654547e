//! `tokenwatch baseline`: what is usual for a token, and how to have some of it forgotten.

use clap::{Args, Subcommand};
use serde_json::json;

use super::tokens::{inventory, load, named, read_store};
use super::{ConfigArg, Failure, count, say};
use crate::alert::explain::Explainer;
use crate::baseline::network::of_key;
use crate::baseline::usual::{Entry, QUARANTINE_DAYS, Usual};
use crate::baseline::{Baseline, day_of};
use crate::event::Time;
use crate::identity::dictionary::Dictionary;
use crate::runtime::judge::Judge;
use crate::runtime::rulebook::Rulebook;
use crate::store::{Epoch, Store};
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
    /// Networks, addresses, clients and scopes as `baseline show` writes them
    #[arg(value_name = "VALUE", required_unless_present = "all")]
    values: Vec<String>,
    /// The whole baseline: the token learns anew
    #[arg(long, conflicts_with = "values")]
    all: bool,
}

pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(command) => show(&command),
        Command::Forget(command) => forget(&command),
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
}

fn values(baseline: &Baseline, dictionary: &Dictionary) -> Vec<Value> {
    fn all<K: Copy + Eq, const N: usize>(out: &mut Vec<Value>, kind: &'static str, set: &Usual<K, N>, name: impl Fn(K) -> String) {
        let value = |e: &Entry<K>| Value {
            kind,
            text: name(e.key),
            count: e.count,
            first_day: e.first_day,
            last_day: e.last_day,
            from: (e.reported != 0).then(|| e.reported.saturating_add(QUARANTINE_DAYS)),
        };
        let mut found: Vec<Value> = set.iter().map(value).collect();
        found.sort_by(|a, b| (b.count, &a.text).cmp(&(a.count, &b.text)));
        out.extend(found);
    }
    let explainer = Explainer { dictionary, rules: &[], declared: &|_, _| None, origins: None };
    let mut out = Vec::new();
    all(&mut out, "network", &baseline.networks, |key| explainer.prefix(key));
    all(&mut out, "address", &baseline.addresses, |key| explainer.network(of_key(key)));
    all(&mut out, "client", &baseline.clients, |key| dictionary.word(key).to_string());
    all(&mut out, "scope", &baseline.scopes, |key| explainer.scope(key));
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
        for Value { kind, text, count, first_day, last_day, from } in values {
            let from = from.map(day);
            let value = json!({ "kind": kind, "value": text, "count": count, "first": day(first_day), "last": day(last_day), "alerted_until": from });
            say(out, format_args!("{value}"))?;
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
        let alerted = value.from.map_or(String::new(), |from| format!(", alerted: usual from {}", day(from)));
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
    say(out, format_args!("  statements\n    {} remembered", baseline.shapes.len()))
}

/// How long it still learns.
fn learning(rulebook: &Rulebook, baseline: &Baseline) -> String {
    let days = count(u64::from(baseline.active_days), "active day");
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
    let explainer = Explainer { dictionary, rules: &[], declared: &|_, _| None, origins: None };
    one(&mut baseline.networks, |key| explainer.prefix(key) == value)
        || one(&mut baseline.addresses, |key| explainer.network(of_key(key)) == value)
        || one(&mut baseline.clients, |key| &*dictionary.word(key) == value)
        || one(&mut baseline.scopes, |key| explainer.scope(key) == value)
}
