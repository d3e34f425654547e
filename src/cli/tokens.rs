//! `tokenwatch tokens`: which tokens exist, who owns them, what they do.

use clap::{Args, Subcommand};
use serde_json::json;

use super::privilege::Report;
use super::table::Table;
use super::{ConfigArg, Failure, count};
use crate::alert::explain::Explainer;
use crate::baseline::network::of_key;
use crate::baseline::{Baseline, scope_object, scope_operation};
use crate::clock::{Clock, System};
use crate::detect::Mode;
use crate::identity::condition::{Condition, Conditions, Moment};
use crate::identity::dictionary::Dictionary;
use crate::runtime::judge::Judge;
use crate::runtime::rulebook::Rulebook;
use crate::store::Store;

/// The inventory of tokens: declared and seen.
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// All tokens: declared, seen, or both
    #[command(after_help = "Example: tokenwatch tokens list --finding unknown")]
    List(List),
    /// What is usual for one token
    #[command(after_help = "Example: tokenwatch tokens show billing")]
    Show(Show),
    /// What tokens may do beside what they do, and what to declare
    #[command(
        after_help = "What runs once a month may not have been seen yet: look at the days before you take a right away.\n\nExample: tokenwatch tokens least-privilege billing"
    )]
    LeastPrivilege(LeastPrivilege),
}

/// Which tokens, and how.
#[derive(Debug, Args)]
pub struct LeastPrivilege {
    #[command(flatten)]
    config: ConfigArg,
    /// Its name; all tokens where absent
    name: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Which tokens.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigArg,
    /// Only tokens with this finding, such as unknown, no_owner or idle
    #[arg(long, value_name = "NAME")]
    finding: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Which token.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    config: ConfigArg,
    /// Its name
    name: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// One line of the inventory.
pub struct Line {
    pub name: String,
    pub declared: bool,
    pub owner: Option<String>,
    pub baseline: Option<Baseline>,
    /// What is wrong with it, as of the last event.
    pub findings: Conditions,
}

impl Line {
    fn findings(&self) -> Vec<&'static str> {
        self.findings.iter().map(Condition::name).collect()
    }
}

pub fn run(command: Tokens) -> Result<(), Failure> {
    match command {
        Tokens::List(command) => {
            let wanted = command.finding.as_deref().map(Condition::parse).transpose()?;
            let (rulebook, judge, dictionary) = load(&command.config)?;
            let mut lines = inventory(&rulebook, &judge, &dictionary);
            lines.retain(|line| wanted.is_none_or(|condition| line.findings.contains(condition)));
            if command.json {
                for line in &lines {
                    super::say(&mut std::io::stdout().lock(), format_args!("{}", as_json(line, &judge, &dictionary)))?;
                }
                return Ok(());
            }
            table(&lines, &judge, &dictionary).print()?;
            Ok(())
        }
        Tokens::Show(command) => {
            let (rulebook, judge, dictionary) = load(&command.config)?;
            let lines = inventory(&rulebook, &judge, &dictionary);
            let line = named(&lines, &command.name)?;
            if command.json {
                println!("{}", as_json(line, &judge, &dictionary));
            } else {
                super::print(&describe(line, &judge, &dictionary))?;
            }
            Ok(())
        }
        Tokens::LeastPrivilege(command) => {
            let (rulebook, judge, dictionary) = load(&command.config)?;
            let lines = inventory(&rulebook, &judge, &dictionary);
            let wanted: Vec<&Line> = match &command.name {
                Some(name) => vec![named(&lines, name)?],
                None => lines.iter().collect(),
            };
            let out = &mut std::io::stdout().lock();
            for line in wanted {
                let entry = rulebook.inventory.by_name(&line.name).and_then(|at| rulebook.inventory.get(at));
                let report = Report::of(&line.name, entry, line.baseline.as_ref(), &dictionary);
                if command.json {
                    super::say(out, format_args!("{}", json!(report)))?;
                } else {
                    super::say(out, format_args!("{}", report.text()))?;
                }
            }
            Ok(())
        }
    }
}

/// The token of this name, or an error that suggests a near one.
pub fn named<'a>(lines: &'a [Line], name: &str) -> Result<&'a Line, Failure> {
    lines.iter().find(|line| line.name == name).ok_or_else(|| {
        let near = crate::config::problem::suggest(name, lines.iter().map(|line| line.name.as_str()));
        Failure::Usage(format!("no token \"{name}\"; {near}"))
    })
}

/// Baselines and names as the last checkpoint left them. Without a store the declared tokens alone are shown.
pub fn load(config: &ConfigArg) -> Result<(std::sync::Arc<Rulebook>, Judge, std::sync::Arc<Dictionary>), Failure> {
    let rulebook = Rulebook::load(config.config.as_deref()).map_err(Failure::problems)?;
    let dictionary = std::sync::Arc::new(Dictionary::default());
    let mut judge = Judge::new(rulebook.clone(), dictionary.clone());
    match Store::open_read_only(&rulebook.config.state_dir) {
        Ok(store) => read_store(&store, &mut judge, &dictionary).map_err(|error| error.to_string())?,
        Err(crate::store::StoreError::Missing { .. }) if !rulebook.inventory.entries().is_empty() => {}
        Err(error) => return Err(Failure::Usage(error.to_string())),
    }
    Ok((rulebook, judge, dictionary))
}

/// Puts all baselines, words and names of a store back.
pub fn read_store(store: &Store, judge: &mut Judge, dictionary: &Dictionary) -> Result<(), crate::store::StoreError> {
    store.load_words(&mut |id, text| dictionary.load_word(id, text))?;
    store.load_tokens(&mut |id, name| dictionary.load_token(id, name))?;
    store.load_baselines(&mut |token, record| {
        judge.load(token, record);
    })
}

/// Declared tokens joined with those that were seen, by name.
pub fn inventory(rulebook: &Rulebook, judge: &Judge, dictionary: &Dictionary) -> Vec<Line> {
    let stock = judge.stock();
    let now = || System::default().now();
    let moment = stock.moment().unwrap_or_else(|| Moment { since: now(), now: now() });
    let mut lines: Vec<Line> = judge
        .engine()
        .baselines()
        .map(|(id, baseline)| {
            let name = dictionary.token(id).to_string();
            let entry = rulebook.inventory.by_name(&name).and_then(|at| rulebook.inventory.get(at));
            let (declared, owner, findings) = (entry.is_some(), entry.and_then(|e| e.owner.clone()), stock.conditions(id, moment));
            Line { name, declared, owner, baseline: Some(baseline.clone()), findings }
        })
        .collect();
    for (id, entry) in rulebook.declared_tokens() {
        if judge.engine().get(id).is_none() {
            let findings = stock.conditions(id, moment);
            lines.push(Line { name: entry.name.clone(), declared: true, owner: entry.owner.clone(), baseline: None, findings });
        }
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    lines
}

/// The inventory as a table; what is likely to be cut off stands last.
pub fn table(lines: &[Line], judge: &Judge, dictionary: &Dictionary) -> Table {
    let found = lines.iter().any(|line| !line.findings.is_empty());
    let mut head = vec!["TOKEN", "OWNER", "STATE", "LAST USED", "NETWORKS", "USES"];
    if found {
        head.insert(3, "FINDINGS");
    }
    let mut table = Table::new(&head);
    let explainer = explainer(dictionary);
    for line in lines {
        let mut cells = vec![line.name.clone(), line.owner.clone().unwrap_or_else(|| "-".to_owned())];
        match &line.baseline {
            None => cells.extend(["never used", "-", "-", "-"].map(str::to_owned)),
            Some(b) => {
                let networks: Vec<String> = b.networks.top(2).iter().map(|e| explainer.prefix(e.key)).collect();
                let uses: Vec<String> = b.scopes.top(3).iter().map(|e| explainer.scope(e.key)).collect();
                cells.extend([
                    state(judge, b).to_owned(),
                    b.last_seen.to_string().chars().take(10).collect(),
                    more(networks, b.networks.top(usize::MAX).len()),
                    more(uses, b.scopes.top(usize::MAX).len()),
                ]);
            }
        }
        if found {
            cells.insert(3, if line.findings.is_empty() { "-".to_owned() } else { line.findings().join(", ") });
        }
        table.row(cells);
    }
    table
}

fn state(judge: &Judge, baseline: &Baseline) -> &'static str {
    match judge.engine().mode(baseline, baseline.last_seen) {
        _ if baseline.pinned().is_some() => "pinned",
        Mode::Learning => "learning",
        Mode::Enforcing => "watched",
    }
}

fn more(mut shown: Vec<String>, all: usize) -> String {
    if all > shown.len() {
        shown.push(format!("+{}", all - shown.len()));
    }
    if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
}

fn explainer(dictionary: &Dictionary) -> Explainer<'_> {
    Explainer { dictionary, rules: &[], declared: &|_, _| None, origins: None }
}

fn describe(line: &Line, judge: &Judge, dictionary: &Dictionary) -> String {
    let mut out = format!("{}\n  owner     {}\n", line.name, line.owner.as_deref().unwrap_or("nobody; add it to the inventory"));
    out.push_str(&format!("  declared  {}\n", if line.declared { "yes" } else { "no" }));
    if !line.findings.is_empty() {
        out.push_str(&format!("  findings  {}\n", line.findings().join(", ")));
    }
    let Some(b) = &line.baseline else {
        out.push_str("  used      never\n");
        return out;
    };
    let explainer = explainer(dictionary);
    let (events, days) = (count(b.events, "event"), count(u64::from(b.active_days), "active day"));
    out.push_str(&format!("  state     {}, {events} in {days}\n", state(judge, b)));
    out.push_str(&format!("  seen      {} to {}\n", b.first_seen, b.last_seen));
    let mut section = |title: &str, values: Vec<(String, u32)>| {
        out.push_str(&format!("  {title}\n"));
        for (value, count) in values {
            out.push_str(&format!("    {count:>9}  {value}\n"));
        }
    };
    section("networks", b.networks.top(10).iter().map(|e| (explainer.prefix(e.key), u32::from(e.count))).collect());
    section("addresses", b.addresses.top(10).iter().map(|e| (explainer.network(of_key(e.key)), u32::from(e.count))).collect());
    section("clients", b.clients.top(10).iter().map(|e| (dictionary.word(e.key).to_string(), u32::from(e.count))).collect());
    section("scope", b.scopes.top(30).iter().map(|e| (explainer.scope(e.key), u32::from(e.count))).collect());
    let hours: Vec<String> = b.hours.iter().enumerate().filter(|(_, n)| **n > 0).map(|(h, _)| format!("{h:02}")).collect();
    out.push_str(&format!(
        "  hours     {} UTC\n  busiest   {} queries in an hour\n",
        hours.join(" "),
        b.volume.hour.record().max(b.volume.hour.count)
    ));
    out
}

fn as_json(line: &Line, judge: &Judge, dictionary: &Dictionary) -> serde_json::Value {
    let explainer = explainer(dictionary);
    let mut value = json!({ "token": line.name, "declared": line.declared, "owner": line.owner, "findings": line.findings() });
    if let (Some(b), Some(map)) = (&line.baseline, value.as_object_mut()) {
        map.insert("mode".into(), json!(judge.engine().mode(b, b.last_seen)));
        map.insert("pinned".into(), json!(b.pinned().is_some()));
        map.insert("events".into(), json!(b.events));
        map.insert("active_days".into(), json!(b.active_days));
        map.insert("first_seen".into(), json!(b.first_seen.to_string()));
        map.insert("last_seen".into(), json!(b.last_seen.to_string()));
        map.insert("networks".into(), json!(b.networks.top(64).iter().map(|e| explainer.prefix(e.key)).collect::<Vec<_>>()));
        map.insert("clients".into(), json!(b.clients.top(64).iter().map(|e| dictionary.word(e.key).to_string()).collect::<Vec<_>>()));
        let scopes: Vec<_> = b
            .scopes
            .top(usize::MAX)
            .iter()
            .map(|e| json!({ "operation": scope_operation(e.key), "object": &*dictionary.word(scope_object(e.key)), "count": e.count }))
            .collect();
        map.insert("scope".into(), json!(scopes));
    }
    value
}
