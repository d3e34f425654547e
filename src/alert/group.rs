//! Grouping: one token has at most one open alert; its findings within the window join it.
//!
//! An alert is emitted when it opens, and again (a revision with the same id) when its severity rises or when it has news: another rule or
//! limit of its severity, or unusual use from another network or client, for the first may have been harmless and the second not. The state
//! lives beside the token's baseline and is checkpointed with it, so a replay after a crash emits the same alerts under the same ids.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::explain::{Explainer, source_of, subject};
use super::suppression::Proposal;
use super::{Alert, Finding, Severity, family};
use crate::detect;
use crate::event::Time;
use crate::token::TokenId;

/// Findings kept in one alert; the rest is counted.
const MOST_FINDINGS: usize = 16;

/// Whoever was told so short a time ago looks anyway (microseconds): more unusual use is no news yet.
const LOOKING: i64 = 10 * 60 * 1_000_000;

/// Fingerprints kept in one finding.
const MOST_BEHAVIOUR: usize = 32;

/// An alert that later findings of the token still join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open {
    pub alert: Alert,
    pub opened: Time,
    /// When a finding last joined it.
    #[serde(default)]
    pub last: Time,
    /// Findings that found no room.
    pub dropped: u32,
}

/// What the inventory says of a token, for the alert's face.
#[derive(Debug, Clone, Default)]
pub struct Face {
    pub owner: Option<String>,
    pub contact: Option<String>,
}

/// The open alerts.
#[derive(Debug, Default)]
pub struct Grouper {
    open: BTreeMap<TokenId, Open>,
    dirty: BTreeMap<TokenId, ()>,
}

impl Grouper {
    /// Puts a stored open alert back.
    pub fn load(&mut self, token: TokenId, open: Open) {
        self.open.insert(token, open);
    }

    /// Closes the open alert of this id; what comes next opens another.
    pub fn close(&mut self, token: TokenId, id: &str) -> Option<Open> {
        if self.get(token)?.alert.id != id {
            return None;
        }
        self.dirty.insert(token, ());
        self.open.remove(&token)
    }

    pub fn get(&self, token: TokenId) -> Option<&Open> {
        self.open.get(&token)
    }

    /// Tokens whose open alert has changed since the last call.
    pub fn take_dirty(&mut self) -> Vec<TokenId> {
        std::mem::take(&mut self.dirty).into_keys().collect()
    }

    /// Takes in the findings of one batch, in order, and returns the alerts to be sent.
    pub fn add(
        &mut self,
        findings: &[detect::Finding],
        explainer: &Explainer<'_>,
        face: &dyn Fn(TokenId) -> Face,
        window: i64,
    ) -> Vec<Alert> {
        let mut out = Vec::new();
        let mut rest = findings;
        while let Some(first) = rest.first() {
            // Findings of one observation stand together and are one step of the alert.
            let together = rest.iter().take_while(|f| f.seen.token == first.seen.token && same_record(f, first)).count();
            let (now, later) = rest.split_at(together);
            out.extend(self.step(now, explainer, face, window));
            rest = later;
        }
        out
    }

    fn step(
        &mut self,
        findings: &[detect::Finding],
        explainer: &Explainer<'_>,
        face: &dyn Fn(TokenId) -> Face,
        window: i64,
    ) -> Option<Alert> {
        let first = findings.first()?;
        let token = first.seen.token;
        let time = first.seen.time;
        if first.about_place().is_some() {
            // It is told once, and no token's alert.
            let explained = findings.iter().map(|f| explainer.explain(f)).collect();
            return Some(open_alert(first, findings, explained, explainer, Face::default()));
        }
        self.dirty.insert(token, ());
        let expired = self.open.get(&token).is_some_and(|open| time.0.saturating_sub(open.opened.0) >= window);
        if expired {
            self.open.remove(&token);
        }
        let explained: Vec<Finding> = findings.iter().map(|f| explainer.explain(f)).collect();
        match self.open.get_mut(&token) {
            None => {
                let alert = open_alert(first, findings, explained, explainer, face(token));
                self.open.insert(token, Open { alert: alert.clone(), opened: time, last: time, dropped: 0 });
                Some(alert)
            }
            Some(open) => {
                let before = open.alert.severity;
                open.last = open.last.max(time);
                let news = open.alert.findings.len() < MOST_FINDINGS && findings.iter().any(|f| is_news(&open.alert, f));
                for finding in explained {
                    join(open, finding);
                }
                let alert = &mut open.alert;
                alert.tamper_proof &= findings.iter().all(|f| !f.seen.forgeable);
                alert.authenticated &= findings.iter().all(|f| f.seen.acting);
                alert.resembles = explainer.resemblance(findings).or(alert.resembles.take());
                alert.suppression =
                    alert.suppression.take().zip(Proposal::of(findings, explainer.dictionary)).map(|(mine, other)| mine.and(other));
                refresh(alert, explainer);
                if alert.severity <= before && !news {
                    return None;
                }
                alert.update = true;
                alert.revision += 1;
                alert.time = time;
                Some(alert.clone())
            }
        }
    }
}

/// The alert does not say this yet, and it would be one by itself.
fn is_news(alert: &Alert, finding: &detect::Finding) -> bool {
    match &finding.weighed {
        Some(weighed) => weighed.opens && finding.seen.time.0.saturating_sub(alert.time.0) >= LOOKING,
        None => finding.severity >= alert.severity && !alert.detectors.iter().any(|known| *known == finding.detector),
    }
}

fn same_record(a: &detect::Finding, b: &detect::Finding) -> bool {
    a.seen.at.offset == b.seen.at.offset && a.seen.at.partition == b.seen.at.partition
}

fn open_alert(
    first: &detect::Finding,
    findings: &[detect::Finding],
    explained: Vec<Finding>,
    explainer: &Explainer<'_>,
    face: Face,
) -> Alert {
    let seen = &first.seen;
    let token = subject(first, explainer.dictionary);
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch alert v1");
    hasher.update(&seen.token.0.to_le_bytes());
    hasher.update(&seen.time.0.to_le_bytes());
    // Not the partition: the same log gives the same id wherever it lies and whoever reads it.
    hasher.update(&seen.at.offset.to_le_bytes());
    let mut id: String = hasher.finalize().to_hex().as_str().to_owned();
    id.truncate(32);
    let mut alert = Alert {
        id,
        update: false,
        revision: 0,
        time: seen.time,
        token,
        owner: face.owner,
        contact: face.contact,
        severity: Severity::Informational,
        confidence: 0,
        score: 0.0,
        detectors: Vec::new(),
        summary: String::new(),
        findings: explained,
        attack: Vec::new(),
        sources: vec![source_of(&seen.at)],
        mode: first.mode,
        tamper_proof: findings.iter().all(|f| !f.seen.forgeable),
        authenticated: findings.iter().all(|f| f.seen.acting),
        address: seen.network.map(|n| explainer.network(n)),
        database: seen.database.map(|d| explainer.dictionary.word(d).to_string()),
        resembles: explainer.resemblance(findings),
        suppression: Proposal::of(findings, explainer.dictionary),
    };
    refresh(&mut alert, explainer);
    alert
}

/// Adds a finding to an open alert. One that repeats a detector replaces nothing: first evidence is the best evidence.
fn join(open: &mut Open, finding: Finding) {
    let alert = &mut open.alert;
    if let Some(known) = alert.findings.iter_mut().find(|f| f.detector == finding.detector && f.observed == finding.observed) {
        if known.evidence.len() < 8 {
            known.evidence.extend(finding.evidence);
        }
        let more = finding.behaviour.into_iter().filter(|key| !known.behaviour.contains(key));
        let room = MOST_BEHAVIOUR.saturating_sub(known.behaviour.len());
        known.behaviour.extend(more.take(room).collect::<Vec<_>>());
    } else if alert.findings.len() < MOST_FINDINGS {
        alert.findings.push(finding);
    } else {
        open.dropped = open.dropped.saturating_add(1);
    }
}

/// Derives what an alert says as a whole from its findings.
fn refresh(alert: &mut Alert, explainer: &Explainer<'_>) {
    let worst = alert.findings.iter().map(|f| f.severity).max().unwrap_or(Severity::Informational);
    let mut detectors: Vec<String> = Vec::new();
    let mut attack: Vec<String> = Vec::new();
    let mut sources = Vec::new();
    for finding in &alert.findings {
        if !detectors.contains(&finding.detector) {
            detectors.push(finding.detector.clone());
        }
        attack.extend(finding.attack.iter().filter(|a| !attack.contains(a)).cloned().collect::<Vec<_>>());
        for source in &finding.evidence {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
    }
    // A new network and a new scope together are worse than either: that is what a stolen token looks like.
    let elsewhere = detectors.iter().any(|d| d == "new_network" || d == "policy.network");
    let beyond = detectors.iter().any(|d| d == "new_scope" || d == "policy.scope" || d.starts_with("rule."));
    let raised = if elsewhere && beyond { next(worst) } else { worst };
    alert.severity = alert.severity.max(raised);
    let mut families: BTreeMap<&str, u8> = BTreeMap::new();
    for finding in &alert.findings {
        let surest = families.entry(family(&finding.detector)).or_default();
        *surest = finding.confidence.max(*surest);
    }
    alert.confidence = combined(families.into_values());
    let score: f64 = alert.findings.iter().map(|f| f.score).fold(0.0, f64::max);
    alert.score = (score * 100.0).round() / 100.0;
    alert.detectors = detectors;
    alert.attack = attack;
    alert.sources = sources;
    alert.summary = explainer.summary(&alert.token, &alert.findings, alert.mode);
}

fn next(severity: Severity) -> Severity {
    match severity {
        Severity::Informational => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium => Severity::High,
        Severity::High | Severity::Critical => Severity::Critical,
    }
}

/// Confidence of several findings: one minus the product of the doubts, at most 99. They are not independent, so this is a rank
/// and not a probability.
fn combined(each: impl Iterator<Item = u8>) -> u8 {
    let doubt = each.fold(1.0, |doubt, confidence| doubt * (1.0 - f64::from(confidence.min(100)) / 100.0));
    (((1.0 - doubt) * 100.0).round() as u8).min(99)
}
