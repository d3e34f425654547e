//! How well the detectors keep their promise: false alerts against the budget, and attacks found, over made-up companies.
//!
//! `cargo bench --bench detection -- --seeds 6-10` makes for each seed a population of 200 tokens over 28 days (14 of them learning) with
//! about four harmless changes a token, lets every third token be attacked in one of 19 ways and three strengths, writes it all as
//! PostgreSQL's csvlog, and runs the whole pipeline over it. Options: `--tokens N`, `--days N`, `--budgets 1,3,10`, `--inventory` (the networks
//! and schemas of every second token are declared), `--attacks SHARE` (of the tokens; 0 for none), `--no-drip` (bursts without the drip
//! that was to make them usual), `--svg FILE` (detection against false alerts as a picture), `--log FILE` (the log itself, and in `FILE.truth` each token
//! with the attack on it, a JSON object a line; `simple.py` reads them),
//! `--read DIR` (a company of `benches/company` instead of our own, only for `--scores`), `--explain` (levels and score of each attack's days, on standard error), `--scores FILE` (levels of every token-day and of its strangest unit, odds and score).
//!
//! An attack counts as found where an alert about its token comes at one of its events or at most ten minutes later. Everything else
//! that is alerted is false. Tune on seeds 1 to 5, report others.

mod attacks;
mod changes;
mod dice;
mod elsewhere;
mod log;
mod pipeline;
mod population;
mod report;
mod schema;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

use tokenwatch::baseline::Baseline;
use tokenwatch::baseline::fleet::Fleet;
use tokenwatch::baseline::unit::{FEATURES, Most};
use tokenwatch::detect::DETECTORS;
use tokenwatch::event::Time;
use tokenwatch::identity::inventory::Inventory;
use tokenwatch::runtime::judge::Judge;
use tokenwatch::token::TokenId;

use attacks::Attack;
use pipeline::Pipeline;
use population::{Act, Class, DAY, MINUTE, START, Token};

/// What the command line asks for.
pub struct Wanted {
    seeds: std::ops::RangeInclusive<u64>,
    tokens: usize,
    days: i64,
    learning: i64,
    budgets: Vec<f64>,
    inventory: bool,
    attacks: f64,
    drip: bool,
    svg: Option<String>,
    log: Option<String>,
    explain: bool,
    scores: Option<String>,
    read: Vec<String>,
}

impl Wanted {
    fn read() -> Wanted {
        let mut wanted = Wanted {
            seeds: 6..=7,
            tokens: 200,
            days: 28,
            learning: 14,
            budgets: vec![1.0, 3.0, 10.0],
            inventory: false,
            attacks: 0.35,
            drip: true,
            svg: None,
            log: None,
            explain: false,
            scores: None,
            read: Vec::new(),
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
            match arg.as_str() {
                "--seeds" => {
                    let text = value();
                    let (from, to) = text.split_once('-').unwrap_or((&text, &text));
                    wanted.seeds = from.parse().expect("a seed")..=to.parse().expect("a seed");
                }
                "--tokens" => wanted.tokens = value().parse().expect("a number"),
                "--days" => wanted.days = value().parse().expect("a number"),
                "--budgets" => wanted.budgets = value().split(',').map(|b| b.parse().expect("a budget")).collect(),
                "--inventory" => wanted.inventory = true,
                "--attacks" => wanted.attacks = value().parse().expect("a share"),
                "--no-drip" => wanted.drip = false,
                "--explain" => wanted.explain = true,
                "--log" => wanted.log = Some(value()),
                "--scores" => wanted.scores = Some(value()),
                "--read" => wanted.read.push(value()),
                "--svg" => wanted.svg = Some(value()),
                "--bench" => {}
                other => panic!("unknown option {other}"),
            }
        }
        wanted
    }
}

/// One company with its log and what is hidden in it.
struct Company {
    tokens: Vec<Token>,
    attacks: Vec<Attack>,
    changes: u64,
    events: u64,
    days: Vec<Vec<u8>>,
    inventory: String,
}

/// What an alert said, as far as it is counted.
pub struct Said {
    pub token: usize,
    pub time: i64,
    pub detectors: Vec<String>,
    /// An alert that is sent once more, since it has become more severe. It finds, but is not one more false alert.
    pub update: bool,
}

fn company(seed: u64, wanted: &Wanted) -> Company {
    let mut tokens = population::make(seed, wanted.tokens);
    let first = tokens.clone();
    let mut days: Vec<Vec<Act>> = vec![Vec::new(); wanted.days as usize];
    let mut changes = 0;
    for day in 0..wanted.days {
        let acts = &mut days[day as usize];
        for token in &mut tokens {
            changes += changes::happen(seed, day, token, acts);
            token.day(seed, day, acts);
        }
    }
    let attacks = attacks::draw(seed, &first, wanted, &mut days);
    let (mut line, mut events) = (0, 0);
    let mut texts = Vec::new();
    for (day, acts) in days.iter_mut().enumerate() {
        acts.sort_by_key(|act| (act.time, act.token));
        let mut text = Vec::new();
        for act in acts.iter().filter(|act| (act.time - START) / DAY == day as i64) {
            line += 1;
            events += 1;
            log::write(act, &first[act.token], line, &mut text);
        }
        texts.push(text);
    }
    Company { inventory: inventory(&tokens, &attacks), tokens: first, attacks, changes, events, days: texts }
}

/// Every second token as its owner would declare it, with the projects that are to come, and what nobody may touch.
fn inventory(tokens: &[Token], attacks: &[attacks::Attack]) -> String {
    let mut text = format!("[[canary_object]]\nname = \"*.{}\"\n", schema::CANARY);
    for token in tokens.iter().filter(|token| token.declared()) {
        text.push_str(&format!("[[token]]\nname = \"{}\"\nowner = \"team-{}\"\n", token.name, token.app));
        if !token.addresses.is_empty() && token.home.is_empty() && token.internal() {
            text.push_str(&format!("networks = [\"10.{}.0.0/16\"]\n", 20 + token.app));
        }
        let scope = scope(token);
        if !scope.is_empty() {
            text.push_str(&format!("scope = {scope:?}\n"));
        }
        if let Some(attack) = attacks.iter().find(|attack| attack.token == token.number && attack.revoked()) {
            text.push_str(&format!("revoked_at = {}\n", Time(attack.begin - DAY)));
        }
    }
    text
}

/// What a token of its class is granted; administrators are not limited. A deploy makes tables of its own.
fn scope(token: &Token) -> Vec<String> {
    let operations: &[&str] = match token.class {
        Class::Service | Class::Pooled => &["select", "insert", "update", "delete", "create"],
        Class::Batch | Class::Rare => &["select", "insert", "update", "delete"],
        Class::Person => &["select"],
        Class::Backup => &["select", "copy"],
        Class::Monitoring => return vec!["select pg_catalog.*".to_owned()],
        Class::Ci | Class::Admin => return Vec::new(),
    };
    let own = operations.iter().map(|operation| format!("{operation} {}.*", schema::APPS[token.app]));
    let others = token.projects.iter().skip(1).map(|app| format!("select {}.*", schema::APPS[*app]));
    own.chain(others).collect()
}

fn run(company: &Company, wanted: &Wanted, budget: f64, mut scores: Option<&mut dyn Write>) -> (Vec<Said>, u64) {
    let inventory = match wanted.inventory {
        true => Inventory::parse(&company.inventory, "tokens.toml").unwrap_or_else(|problems| panic!("{problems:?}")),
        false => Inventory::default(),
    };
    let mut pipeline = Pipeline::new(wanted.learning, budget, inventory);
    let by_name: BTreeMap<&str, usize> = company.tokens.iter().map(|token| (token.name.as_str(), token.number)).collect();
    let (mut said, mut beyond) = (Vec::new(), 0);
    for (number, day) in company.days.iter().enumerate() {
        let (_, alerts) = pipeline.take(day);
        for alert in alerts {
            let Time(time) = alert.time;
            said.push(Said { token: by_name[alert.token.as_str()], time, detectors: alert.detectors, update: alert.update });
        }
        if number as i64 >= wanted.learning {
            beyond += beyond_guarantee(company, number as i64, &pipeline.judge, budget);
        }
        if let Some(scores) = &mut scores {
            write_scores(company, number as i64, &pipeline.judge, scores);
        }
        if wanted.explain {
            eprintln!("day {number}: threshold {:.2}", pipeline.judge.engine().fleet().threshold(budget));
            explain(company, number as i64, &pipeline.judge, &said);
        }
    }
    (said, beyond)
}

/// Tokens that nobody attacks whose score reached on this day what a false alarm reaches with the budget's probability at most, if the likelihood
/// ratio is one (Markov): the threshold that holds whatever the fleet is like.
fn beyond_guarantee(company: &Company, day: i64, judge: &Judge, budget: f64) -> u64 {
    let score = |token: &Token| {
        let baseline =
            judge.engine().get(TokenId::of(token.name.as_bytes())).filter(|baseline| i64::from(baseline.day) == START / DAY + day);
        baseline.and_then(|baseline| baseline.units.most().score)
    };
    let spared = company.tokens.iter().filter(|token| !company.attacks.iter().any(|attack| attack.token == token.number));
    spared.filter(|token| score(token).is_some_and(|score| f64::from(score) >= (1000.0 / budget).ln())).count() as u64
}

/// One line for each token that was active on the day, for whoever fits archetypes or thresholds.
fn write_scores(company: &Company, day: i64, judge: &Judge, out: &mut dyn Write) {
    for token in &company.tokens {
        let Some(baseline) = judge.engine().get(TokenId::of(token.name.as_bytes())) else { continue };
        if i64::from(baseline.day) != START / DAY + day {
            continue;
        }
        let attack = company.attacks.iter().find(|attack| attack.token == token.number);
        let what = match attack {
            Some(attack) if attack.events.iter().any(|time| (time - START) / DAY == day) => {
                format!("{}/{}", attack.what().0.replace(',', ""), attack.strength.name())
            }
            Some(attack) if attack.drip || (attack.begin - START) / DAY <= day => "after".to_owned(),
            _ => "-".to_owned(),
        };
        write_score(day, token.class.name(), &what, token.number, baseline, judge.engine().fleet(), out);
    }
}

fn write_score(day: i64, class: &str, what: &str, number: usize, baseline: &Baseline, fleet: &Fleet, out: &mut dyn Write) {
    let Most { levels, score, alerted } = baseline.units.most();
    let odds: Vec<f32> = baseline.odds(fleet).iter().flatten().map(|q| *q as f32).collect();
    let (score, hours) = (score.unwrap_or(-9.0), baseline.hours.iter().filter(|days| **days > 0).count());
    let active = baseline.active_days;
    let strangest = baseline.units.strangest().map_or([0; FEATURES], |unit| unit.levels);
    let line = format!("{day},{class},{what},{score:.3},{alerted},{number},{active},{levels:?};{strangest:?};{hours};{odds:?}");
    writeln!(out, "{line}").unwrap_or_else(|e| panic!("--scores: {e}"));
}

/// Each token with its class, the attack on it, and when the preparation of that began, when it ended and when its acts were, in microseconds.
fn truth(company: &Company) -> String {
    let mut text = String::new();
    for token in &company.tokens {
        let attack = company.attacks.iter().find(|attack| attack.token == token.number).map(|attack| {
            let (scenario, strength) = (attack.what().0, attack.strength.name());
            let begin = if attack.drip { 0 } else { attack.begin };
            serde_json::json!({"scenario": scenario, "strength": strength, "begin": begin, "end": attack.end, "events": attack.events})
        });
        let line = serde_json::json!({"token": token.name, "class": token.class.name(), "attack": attack});
        text.push_str(&format!("{line}\n"));
    }
    text
}

/// What the day's attacks looked like to the detectors.
fn explain(company: &Company, day: i64, judge: &Judge, said: &[Said]) {
    let on_day = |time: i64| (time - START) / DAY == day;
    for attack in company.attacks.iter().filter(|attack| attack.events.iter().any(|time| on_day(*time))) {
        let token = &company.tokens[attack.token];
        let Some(baseline) = judge.engine().get(TokenId::of(token.name.as_bytes())) else { continue };
        let Most { levels, score, .. } = baseline.units.most();
        let odds = baseline.odds(judge.engine().fleet());
        let levels: Vec<String> = DETECTORS
            .iter()
            .zip(levels)
            .zip(odds)
            .filter(|((_, level), _)| *level > 0)
            .map(|((detector, level), odds)| format!("{} {level} ({:.1} %)", detector.name, 100.0 * odds[usize::from(level)]))
            .collect();
        let found = said.iter().find(|said| said.token == attack.token && on_day(said.time));
        let found = found.map_or("missed".to_owned(), |said| said.detectors.join("+"));
        let (scenario, strength) = (attack.what().0, attack.strength.name());
        eprintln!("{scenario}, {strength} | {} | {:.1} | {} | {found}", token.name, score.unwrap_or(f32::NAN), levels.join(", "));
    }
}

fn main() {
    let wanted = Wanted::read();
    let mut report = report::Report::new(&wanted.budgets);
    let mut scores = wanted.scores.as_ref().map(|path| File::create(path).map(BufWriter::new).unwrap_or_else(|e| panic!("{path}: {e}")));
    if !wanted.read.is_empty() {
        let out = scores.as_mut().expect("--read needs --scores");
        wanted.read.iter().for_each(|folder| elsewhere::score(folder.as_ref(), wanted.learning, out));
        return;
    }
    for seed in wanted.seeds.clone() {
        let company = company(seed, &wanted);
        if let Some(path) = &wanted.log {
            std::fs::write(path, company.days.concat()).unwrap_or_else(|e| panic!("{path}: {e}"));
            std::fs::write(format!("{path}.truth"), truth(&company)).unwrap_or_else(|e| panic!("{path}.truth: {e}"));
        }
        report.company(&company.tokens, company.events, company.changes, company.attacks.len(), wanted.days - wanted.learning);
        for (at, budget) in wanted.budgets.iter().enumerate() {
            let scores = scores.as_mut().map(|file| file as &mut dyn Write);
            let (said, beyond) = run(&company, &wanted, *budget, scores);
            report.add(at, &company.tokens, &company.attacks, &said, START + wanted.learning * DAY, 10 * MINUTE);
            report.beyond(at, beyond);
        }
        eprintln!("seed {seed}: {} events, {} changes, {} attacks", company.events, company.changes, company.attacks.len());
    }
    print!("{}", report.text());
    if let Some(path) = &wanted.svg {
        std::fs::write(path, report.svg()).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
}
