//! The log of a company that somebody else made (`benches/company`), for fitting archetypes to more than one maker's companies.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use tokenwatch::baseline::day_of;
use tokenwatch::event::Time;
use tokenwatch::identity::inventory::Inventory;
use tokenwatch::token::TokenId;

use crate::pipeline::Pipeline;

/// A line of its `truth.jsonl`, as far as it is of interest here.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    start: f64,
    #[serde(default)]
    token: serde_json::Value,
    #[serde(default)]
    class: String,
    #[serde(default)]
    scenario: String,
    #[serde(default)]
    strength: String,
    /// Seconds since 1970.
    #[serde(default)]
    events: Vec<f64>,
}

/// Runs over `folder/db.log` and writes what `--scores` does for each token and day.
pub fn score(folder: &Path, learning: i64, out: &mut dyn Write) {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{}/{name}: {e}", folder.display()));
    let truth: Vec<Line> = read("truth.jsonl")
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let start = truth.iter().find(|line| line.kind == "company").map_or(0, |line| line.start as i64 / 86_400);
    let of_kind = |kind: &'static str| truth.iter().filter(move |line| line.kind == kind);
    let attacks: BTreeMap<&str, &Line> = of_kind("attack").filter_map(|line| Some((line.token.as_str()?, line))).collect();

    let mut pipeline = Pipeline::new(learning, 1.0, Inventory::default());
    for bytes in days(&read("db.log")) {
        let (seen, _) = pipeline.take(bytes);
        let Some(today) = seen.iter().map(|seen| day_of(seen.time)).max() else { continue };
        let engine = pipeline.judge.engine();
        for (number, line) in of_kind("token").enumerate() {
            let Some(token) = line.token.as_str() else { continue };
            let Some(baseline) = engine.get(TokenId::of(token.as_bytes())).filter(|baseline| baseline.day == today) else {
                continue;
            };
            let what = attacks.get(token).map_or("-".to_owned(), |attack| {
                let days = || attack.events.iter().map(|time| day_of(Time((*time * 1e6) as i64)));
                match days().any(|day| day == today) {
                    true => format!("{}/{}", attack.scenario.replace(',', ""), attack.strength),
                    false if days().any(|day| day < today) => "after".to_owned(),
                    false => "-".to_owned(),
                }
            });
            super::write_score(i64::from(today) - start, &line.class, &what, number, baseline, engine.fleet(), out);
        }
    }
}

/// The log, a piece for each day; a record that goes on after a line's end stays whole, as only a date begins a new piece.
fn days(log: &[u8]) -> Vec<&[u8]> {
    let mut cuts = vec![0];
    let mut date = log.get(..10).unwrap_or_default();
    for at in memchr::memchr_iter(b'\n', log).map(|at| at + 1) {
        let head = log.get(at..at + 10).unwrap_or_default();
        if head.len() == 10
            && head != date
            && head[4] == b'-'
            && head[7] == b'-'
            && head > date
            && head.iter().all(|b| b.is_ascii_digit() || *b == b'-')
        {
            date = head;
            cuts.push(at);
        }
    }
    cuts.push(log.len());
    cuts.windows(2).map(|pair| &log[pair[0]..pair[1]]).collect()
}
