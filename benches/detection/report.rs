//! What came out, as tables and as a picture.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::Said;
use crate::attacks::{Attack, DEFINITE, SCENARIOS, Strength};
use crate::population::{Class, Token};

#[derive(Debug, Clone, Copy, Default)]
struct Share {
    found: u64,
    all: u64,
}

impl Share {
    fn percent(self) -> String {
        if self.all == 0 { "-".to_owned() } else { format!("{:.0}", 100.0 * self.found as f64 / self.all as f64) }
    }
}

/// Sums over all seeds at one budget.
#[derive(Debug, Clone, Default)]
struct Sums {
    found: Share,
    scenarios: BTreeMap<usize, Share>,
    strengths: BTreeMap<Strength, Share>,
    false_alerts: BTreeMap<Class, u64>,
    blamed: BTreeMap<String, u64>,
    /// Attack events up to the alert.
    events: Vec<usize>,
    /// Token-days of nobody's victims above the threshold of the guarantee.
    beyond: u64,
    /// Found attacks of which the alert names what was done among its first two detectors.
    explained: Share,
}

pub struct Report {
    budgets: Vec<f64>,
    sums: Vec<Sums>,
    days: BTreeMap<Class, u64>,
    events: u64,
    changes: u64,
    attacks: u64,
}

impl Report {
    pub fn new(budgets: &[f64]) -> Report {
        let sums = vec![Sums::default(); budgets.len()];
        Report { budgets: budgets.to_vec(), sums, days: BTreeMap::new(), events: 0, changes: 0, attacks: 0 }
    }

    pub fn company(&mut self, tokens: &[Token], events: u64, changes: u64, attacks: usize, days: i64) {
        for token in tokens {
            *self.days.entry(token.class).or_default() += days as u64;
        }
        self.events += events;
        self.changes += changes;
        self.attacks += attacks as u64;
    }

    /// One seed's alerts at one budget. Only what comes after the learning period counts.
    pub fn add(&mut self, at: usize, tokens: &[Token], attacks: &[Attack], said: &[Said], learned: i64, slack: i64) {
        let sums = &mut self.sums[at];
        let mut blamed: Vec<bool> = vec![false; said.len()];
        for attack in attacks {
            let near =
                |said: &Said| said.token == attack.token && attack.events.iter().any(|event| (0..=slack).contains(&(said.time - event)));
            let mut first: Option<&Said> = None;
            for (number, one) in said.iter().enumerate() {
                if near(one) && first.is_none_or(|first| one.time < first.time) {
                    first = Some(one);
                }
                // The preparation of an attack is no false alert either.
                blamed[number] |= one.token == attack.token && one.time <= attack.end + slack && (attack.drip || one.time >= attack.begin);
            }
            for share in
                [&mut sums.found, sums.scenarios.entry(attack.scenario).or_default(), sums.strengths.entry(attack.strength).or_default()]
            {
                share.all += 1;
                share.found += u64::from(first.is_some());
            }
            if let Some(first) = first {
                sums.events.push(attack.events.iter().filter(|event| **event <= first.time).count());
                let telling = attack.what().1;
                let named = first.detectors.iter().take(2).any(|detector| telling.iter().any(|begin| detector.starts_with(begin)));
                sums.explained.all += 1;
                sums.explained.found += u64::from(named);
            }
        }
        for (one, blamed) in said.iter().zip(blamed) {
            // An update that has news is one more message to read.
            if !blamed && one.time >= learned {
                *sums.false_alerts.entry(tokens[one.token].class).or_default() += 1;
                for detector in &one.detectors {
                    *sums.blamed.entry(detector.clone()).or_default() += 1;
                }
            }
        }
    }

    pub fn beyond(&mut self, at: usize, token_days: u64) {
        self.sums[at].beyond += token_days;
    }

    fn token_days(&self) -> u64 {
        self.days.values().sum()
    }

    fn realised(&self, at: usize) -> f64 {
        let alerts: u64 = self.sums[at].false_alerts.values().sum();
        1000.0 * alerts as f64 / self.token_days().max(1) as f64
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        let days = self.token_days();
        let _ = writeln!(
            out,
            "{} events, {days} token-days judged, {} harmless changes, {} attacks\n",
            self.events, self.changes, self.attacks
        );
        let budgets: Vec<String> = self.budgets.iter().map(|budget| format!("at {budget}")).collect();
        let mut table = vec![[vec!["".to_owned()], budgets].concat()];
        let mut row = |name: &str, cells: Vec<String>| table.push([vec![name.to_owned()], cells].concat());
        let each = |cell: &dyn Fn(usize) -> String| (0..self.budgets.len()).map(cell).collect::<Vec<_>>();
        row("attacks found, %", each(&|at| self.sums[at].found.percent()));
        row("false alerts / 1000 token-days", each(&|at| format!("{:.2}", self.realised(at))));
        row(
            "  95 % interval",
            each(&|at| {
                let alerts: u64 = self.sums[at].false_alerts.values().sum();
                let (low, high) = interval(alerts);
                format!("{:.2}-{:.2}", 1000.0 * low / days.max(1) as f64, 1000.0 * high / days.max(1) as f64)
            }),
        );
        row("realised / budget", each(&|at| format!("{:.2}", self.realised(at) / self.budgets[at])));
        let beyond = |at: usize| 1000.0 * self.sums[at].beyond as f64 / days.max(1) as f64 / self.budgets[at];
        row("the same at the guarantee's threshold", each(&|at| format!("{:.2}", beyond(at))));
        row("attack events up to the alert, median", each(&|at| median(&self.sums[at].events)));
        row("explained: what was done is among the first two, %", each(&|at| self.sums[at].explained.percent()));
        for strength in [Strength::Easy, Strength::Medium, Strength::Hard] {
            let share = |at: usize| self.sums[at].strengths.get(&strength).copied().unwrap_or_default().percent();
            row(&format!("found: {}", strength.name()), each(&share));
        }
        for (number, (scenario, _)) in SCENARIOS.iter().chain(DEFINITE).enumerate() {
            row(&format!("found: {scenario}"), each(&|at| self.sums[at].scenarios.get(&number).copied().unwrap_or_default().percent()));
        }
        for class in Class::ALL {
            let days = self.days.get(&class).copied().unwrap_or_default();
            let rate = |at: usize| 1000.0 * self.sums[at].false_alerts.get(&class).copied().unwrap_or_default() as f64 / days.max(1) as f64;
            row(&format!("false alerts: {} ({days} days)", class.name()), each(&|at| format!("{:.2}", rate(at))));
        }
        let mut detectors: Vec<&String> = self.sums.iter().flat_map(|sums| sums.blamed.keys()).collect();
        detectors.sort();
        detectors.dedup();
        for detector in detectors {
            row(
                &format!("false alerts by {detector}"),
                each(&|at| self.sums[at].blamed.get(detector).copied().unwrap_or_default().to_string()),
            );
        }
        let widths: Vec<usize> = (0..table[0].len()).map(|c| table.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
        for row in &table {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(at, (cell, wide))| if at == 0 { format!("{cell:<wide$}") } else { format!("{cell:>wide$}") })
                .collect();
            let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        }
        out
    }

    /// Attacks found against false alerts, a point a budget.
    pub fn svg(&self) -> String {
        let (wide, high, left, bottom) = (640.0, 400.0, 60.0, 50.0);
        let x = |realised: f64| left + (realised.max(0.1).log10() + 1.0) / 4.0 * (wide - left - 20.0);
        let y = |share: f64| high - bottom - share * (high - bottom - 20.0);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for (value, text) in [(0.1, "0.1"), (1.0, "1"), (10.0, "10"), (100.0, "100"), (1000.0, "1000")] {
            let _ = writeln!(out, "<line x1=\"{0:.0}\" x2=\"{0:.0}\" y1=\"20\" y2=\"{1:.0}\" stroke=\"#ddd\"/>", x(value), high - bottom);
            let _ = writeln!(out, "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{text}</text>", x(value), high - bottom + 18.0);
        }
        for percent in [0, 25, 50, 75, 100] {
            let at = y(f64::from(percent) / 100.0);
            let _ = writeln!(out, "<line x1=\"{left}\" x2=\"{:.0}\" y1=\"{at:.0}\" y2=\"{at:.0}\" stroke=\"#ddd\"/>", wide - 20.0);
            let _ = writeln!(out, "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{percent} %</text>", left - 8.0, at + 4.0);
        }
        let points: Vec<(f64, f64, f64)> = (0..self.budgets.len())
            .map(|at| {
                let found = self.sums[at].found;
                (x(self.realised(at)), y(found.found as f64 / found.all.max(1) as f64), self.budgets[at])
            })
            .collect();
        let line: Vec<String> = points.iter().map(|(x, y, _)| format!("{x:.0},{y:.0}")).collect();
        let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"#2563eb\" stroke-width=\"2\"/>", line.join(" "));
        for (x, y, budget) in points {
            let _ = writeln!(out, "<circle cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"4\" fill=\"#2563eb\"/>");
            let _ = writeln!(out, "<text x=\"{:.0}\" y=\"{:.0}\">budget {budget}</text>", x + 8.0, y - 8.0);
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">false alerts per 1000 token-days</text>",
            wide / 2.0,
            high - 12.0
        );
        let _ = writeln!(out, "<text x=\"{left}\" y=\"14\">attacks found</text>\n</svg>");
        out
    }
}

fn median(events: &[usize]) -> String {
    let mut sorted = events.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map_or("-".to_owned(), ToString::to_string)
}

/// The exact 95 % interval of a Poisson mean (Garwood 1936), by the chi-square quantiles in the approximation of Wilson and Hilferty.
fn interval(count: u64) -> (f64, f64) {
    let quantile = |k: f64, z: f64| k * (1.0 - 1.0 / (9.0 * k) + z / (3.0 * k.sqrt())).powi(3);
    let n = count as f64;
    let low = if count == 0 { 0.0 } else { quantile(n, -1.96) };
    (low, quantile(n + 1.0, 1.96))
}
