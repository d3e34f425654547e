//! `tokenwatch backtest`: the same logs under two configurations, and which alerts that gains, loses and changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::replay::{finish, progress_bar, reading};
use super::table::{Table, colored, width};
use super::{Failure, count, say};
use crate::alert::Alert;
use crate::runtime::replay::Replayer;
use crate::runtime::rulebook::Rulebook;

/// Compare two configurations on old logs.
#[derive(Debug, Args)]
pub struct Backtest {
    /// The configuration to try; without it the defaults
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The configuration to compare it with, the one in use say; without it the defaults
    #[arg(short, long, value_name = "FILE", required_unless_present = "config")]
    against: Option<PathBuf>,
    /// Format of the inputs; detected from their content where absent
    #[arg(short, long, value_name = "NAME")]
    format: Option<String>,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Log files; .gz and .zst are read. They are read twice, so - is not possible
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

/// The alerts of one configuration in their last revision, in the order in which they opened.
fn alerts_of(config: Option<&Path>, command: &Backtest) -> Result<(Vec<Alert>, i64), Failure> {
    let rulebook = Rulebook::load(config).map_err(Failure::problems)?;
    let window = rulebook.settings.group_window;
    let reading = reading(&rulebook, command.format.as_deref())?;
    let replayer = Replayer::open(rulebook, reading, &command.inputs)?;
    let bar = progress_bar(&replayer);
    let mut alerts: Vec<Alert> = Vec::new();
    let summary = replayer.run(
        2,
        &mut |alert: &Alert| match alerts.iter_mut().rev().find(|known| known.id == alert.id) {
            // It opened when it opened; what it says is what it said last.
            Some(known) => *known = Alert { time: known.time, ..alert.clone() },
            None => alerts.push(alert.clone()),
        },
        &mut |read| bar.set_position(read),
    );
    bar.finish_and_clear();
    eprint!("{}: ", name(config));
    finish(&summary)?;
    Ok((alerts, window))
}

fn name(config: Option<&Path>) -> String {
    config.map_or("defaults".to_owned(), |path| path.display().to_string())
}

pub fn run(command: Backtest) -> Result<(), Failure> {
    if command.inputs.iter().any(|input| input == "-") {
        return Err(Failure::Usage("the inputs are read twice, so standard input is not possible; write it to a file first".to_owned()));
    }
    let (before, one) = alerts_of(command.against.as_deref(), &command)?;
    let (after, other) = alerts_of(command.config.as_deref(), &command)?;
    let difference = compare(before, after, one.max(other));
    let names = (name(command.against.as_deref()), name(command.config.as_deref()));
    let out = &mut std::io::stdout().lock();
    if command.json {
        let json = serde_json::to_string(&difference).map_err(|error| format!("the result cannot be written as JSON: {error}"))?;
        say(out, format_args!("{json}"))?;
    } else {
        print(out, &difference, &names)?;
    }
    if difference.is_none() { Ok(()) } else { Err(Failure::Found) }
}

/// What the second configuration does otherwise than the first.
#[derive(Debug, Default, Serialize)]
struct Difference {
    /// Alerts that both raise and that say the same.
    same: u64,
    gained: Vec<Alert>,
    lost: Vec<Alert>,
    changed: Vec<Changed>,
    /// Alerts that a detector or rule is part of: before, after.
    detectors: BTreeMap<String, [u64; 2]>,
    tokens: BTreeMap<String, [u64; 2]>,
}

#[derive(Debug, Serialize)]
struct Changed {
    before: Alert,
    after: Alert,
}

impl Difference {
    fn is_none(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty() && self.changed.is_empty()
    }
}

/// Two alerts are the same one where their ids are, or else where they are about one token within the time in which one token has one alert.
fn compare(before: Vec<Alert>, after: Vec<Alert>, window: i64) -> Difference {
    let mut difference = Difference::default();
    for (at, alerts) in [&before, &after].into_iter().enumerate() {
        for alert in alerts {
            let detectors: BTreeSet<&String> = alert.detectors.iter().collect();
            for detector in detectors {
                bump(&mut difference.detectors, detector, at);
            }
            bump(&mut difference.tokens, &alert.token, at);
        }
    }
    let ids: BTreeSet<String> = before.iter().map(|alert| alert.id.clone()).collect();
    let mut left = before;
    for after in after {
        let near = |one: &Alert| {
            one.id == after.id
                || !ids.contains(&after.id) && one.token == after.token && one.time.0.abs_diff(after.time.0) < window.unsigned_abs()
        };
        let Some(before) = left.iter().position(near).map(|at| left.remove(at)) else {
            difference.gained.push(after);
            continue;
        };
        let detectors = |alert: &Alert| alert.detectors.iter().cloned().collect::<BTreeSet<_>>();
        if before.severity == after.severity && before.time == after.time && detectors(&before) == detectors(&after) {
            difference.same += 1;
        } else {
            difference.changed.push(Changed { before, after });
        }
    }
    difference.lost = left;
    difference
}

fn bump(counts: &mut BTreeMap<String, [u64; 2]>, name: &str, at: usize) {
    if let Some(count) = counts.entry(name.to_owned()).or_default().get_mut(at) {
        *count += 1;
    }
}

fn print(out: &mut dyn Write, difference: &Difference, (before, after): &(String, String)) -> Result<(), Failure> {
    let Difference { same, gained, lost, changed, .. } = difference;
    say(out, format_args!("{before} -> {after}"))?;
    let (gained_count, lost_count) = (gained.len(), lost.len());
    say(
        out,
        format_args!("{} gained, {lost_count} lost, {} changed, {same} the same\n", count(gained_count as u64, "alert"), changed.len()),
    )?;
    for (title, alerts) in [("gained", gained), ("lost", lost)] {
        if alerts.is_empty() {
            continue;
        }
        let mut table = Table::new(&[title, "token", "severity", "what"]);
        for alert in alerts {
            table.severe(
                alert.severity,
                vec![alert.time.to_string(), alert.token.clone(), alert.severity.to_string(), alert.detectors.join(", ")],
            );
        }
        say(out, format_args!("{}", table.render(width(), colored())))?;
    }
    if !changed.is_empty() {
        let mut table = Table::new(&["changed", "token", "from", "to"]);
        for Changed { before, after } in changed {
            let told = |alert: &Alert| format!("{} {}", alert.severity, alert.detectors.join(", "));
            let moved = if before.time == after.time { String::new() } else { format!(" at {}", after.time) };
            table.severe(after.severity, vec![before.time.to_string(), after.token.clone(), told(before), told(after) + &moved]);
        }
        say(out, format_args!("{}", table.render(width(), colored())))?;
    }
    for (title, counts) in [("detector or rule", &difference.detectors), ("token", &difference.tokens)] {
        let moved: Vec<_> = counts.iter().filter(|(_, [before, after])| before != after).collect();
        if moved.is_empty() {
            continue;
        }
        let mut table = Table::new(&[title, "before", "after"]);
        for (name, [before, after]) in moved {
            table.row(vec![name.clone(), before.to_string(), after.to_string()]);
        }
        say(out, format_args!("{}", table.render(width(), colored())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::Time;
    use crate::severity::Severity;

    #[test]
    fn alerts_are_matched_by_id_and_else_by_token_and_time() {
        let at = |id: &str, token: &str, hour: i64, severity: Severity| -> Alert {
            let alert = json!({
                "id": id, "revision": 0, "time": Time(hour * Time::HOUR).to_string(), "token": token, "severity": severity, "confidence": 50,
                "score": 1.0, "detectors": ["new_network"], "summary": "", "findings": [], "attack": [], "sources": [], "mode": "enforcing",
                "tamper_proof": true,
            });
            serde_json::from_value(alert).expect("an alert")
        };
        let before = vec![
            at("1", "a", 0, Severity::High),
            at("2", "b", 1, Severity::High),
            at("3", "c", 2, Severity::Low),
            at("4", "d", 3, Severity::Low),
        ];
        let after = vec![
            at("1", "a", 0, Severity::High),
            at("2", "b", 1, Severity::Critical),
            at("5", "c", 9, Severity::Low),
            at("6", "d", 99, Severity::Low),
        ];
        let difference = compare(before, after, 24 * Time::HOUR);
        assert_eq!(difference.same, 1);
        let ids = |alerts: &[Alert]| alerts.iter().map(|alert| alert.id.clone()).collect::<Vec<_>>();
        assert_eq!(difference.changed.iter().map(|changed| changed.after.id.as_str()).collect::<Vec<_>>(), ["2", "5"]);
        assert_eq!((ids(&difference.gained), ids(&difference.lost)), (vec!["6".to_owned()], vec!["4".to_owned()]));
        assert_eq!(difference.tokens["a"], [1, 1]);
    }
}
