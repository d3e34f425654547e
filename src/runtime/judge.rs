//! The judge: the engine and the open alerts. There is one: it judges more events a second than a host's logs hold, and what is known of all tokens
//! together has to be in one place.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rulebook::Rulebook;
use crate::alert::Alert;
use crate::alert::explain::Explainer;
use crate::alert::group::{Grouper, Open};
use crate::baseline::{self, Baseline};
use crate::detect::Finding;
use crate::engine::Engine;
use crate::identity::dictionary::Dictionary;
use crate::observation::Observation;
use crate::token::TokenId;

/// The stored form of all that is remembered of one token. The open alert is JSON inside: its absent fields are left out, which the
/// compact encoding of the rest cannot express.
#[derive(Serialize)]
struct Written<'a> {
    layout: u8,
    baseline: &'a Baseline,
    open: Option<String>,
}

#[derive(Deserialize)]
struct Read {
    layout: u8,
    baseline: Baseline,
    open: Option<String>,
}

/// See above. Not shared: all of its state is changed by one thread.
pub struct Judge {
    engine: Engine,
    grouper: Grouper,
    rulebook: Arc<Rulebook>,
    dictionary: Arc<Dictionary>,
    findings: Vec<Finding>,
}

impl Judge {
    pub fn new(rulebook: Arc<Rulebook>, dictionary: Arc<Dictionary>) -> Self {
        Judge { engine: Engine::new(rulebook.settings.clone()), grouper: Grouper::default(), rulebook, dictionary, findings: Vec::new() }
    }

    /// Judges by new settings from now on.
    pub fn reload(&mut self, rulebook: Arc<Rulebook>) {
        self.engine.reload(rulebook.settings.clone());
        self.rulebook = rulebook;
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The open alert of a token with all that has joined it, also since it was last sent.
    pub fn open_alert(&self, token: TokenId) -> Option<&Alert> {
        self.grouper.get(token).map(|open| &open.alert)
    }

    /// Puts a stored record back; `false` where it cannot be read (another layout): the token learns anew.
    pub fn load(&mut self, token: TokenId, record: &[u8]) -> bool {
        if token == TokenId::FLEET {
            self.engine.load_fleet(record);
            return true;
        }
        let Ok(read) = postcard::from_bytes::<Read>(record) else { return false };
        if read.layout != baseline::LAYOUT {
            return false;
        }
        self.engine.load(token, read.baseline);
        if let Some(open) = read.open.and_then(|open| serde_json::from_str::<Open>(&open).ok()) {
            self.grouper.load(token, open);
        }
        true
    }

    /// Changes a token's baseline by hand; `false` where there is none.
    pub fn amend(&mut self, token: TokenId, change: &mut dyn FnMut(&mut Baseline)) -> bool {
        self.engine.amend(token, change)
    }

    /// Takes observations in, in order; returns the alerts to be sent and tells `found` of every finding, and whether a standing exception
    /// keeps it from being alerted.
    pub fn step(&mut self, batch: &[Observation], found: &mut dyn FnMut(&Finding, bool)) -> Vec<Alert> {
        self.findings.clear();
        self.engine.step(batch, &mut self.findings);
        if self.findings.is_empty() {
            return Vec::new();
        }
        let rulebook = &self.rulebook;
        self.findings.retain(|finding| {
            let covered = rulebook.config.suppressions.iter().any(|suppression| suppression.covers(finding, &self.dictionary));
            found(finding, covered);
            !covered
        });
        let declared = |token, broken| rulebook.declared(token, broken);
        let explainer = Explainer {
            dictionary: &self.dictionary,
            rules: &rulebook.titles,
            declared: &declared,
            origins: Some(&rulebook.settings.origins),
        };
        self.grouper.add(&self.findings, &explainer, &|token| rulebook.face(token), rulebook.settings.group_window)
    }

    /// Stored records of all tokens that have changed since the last call.
    pub fn take_dirty(&mut self) -> Vec<(TokenId, Vec<u8>)> {
        let mut out: Vec<(TokenId, Vec<u8>)> = self.engine.take_fleet().map(|record| (TokenId::FLEET, record)).into_iter().collect();
        // A token with a changed alert has a changed baseline too: the finding came from an observation of it.
        self.grouper.take_dirty();
        let grouper = &self.grouper;
        self.engine.take_dirty(|token, baseline| {
            let open = grouper.get(token).and_then(|open| serde_json::to_string(open).ok());
            let written = Written { layout: baseline::LAYOUT, baseline, open };
            match postcard::to_stdvec(&written) {
                Ok(record) => out.push((token, record)),
                Err(error) => tracing::error!(?token, %error, "a baseline cannot be written"),
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::detect::rule::RuleSet;
    use crate::event::{Kind, Operation, Outcome, Time};
    use crate::identity::inventory::Inventory;
    use crate::observation::{Evidence, Network, Violations};
    use crate::position::Partition;

    fn seen(day: i64, address: &str, offset: u64) -> Observation {
        let partition = Arc::new(Partition { source: "s".into(), key: "k".into(), label: "l".into() });
        Observation {
            token: TokenId::of(b"billing"),
            time: Time(day * Time::DAY),
            kind: Kind::Query,
            operation: Operation::Select,
            outcome: Outcome::Success,
            acting: true,
            network: Some(Network::Ip(address.parse().unwrap())),
            client: None,
            database: None,
            shape: None,
            skeleton: None,
            catalog: false,
            sensitive: false,
            scopes: Default::default(),
            violations: Violations::default(),
            rules: Default::default(),
            rows: None,
            forgeable: false,
            at: Evidence { partition, offset, len: 1 },
        }
    }

    fn judge() -> Judge {
        let rulebook = Arc::new(Rulebook::new(Config::default(), Inventory::default(), RuleSet::builtin(), Default::default()));
        Judge::new(rulebook, Arc::new(Dictionary::default()))
    }

    /// Judging in one go, or stored and put back after any of the observations, gives the same alerts and the same records.
    #[test]
    fn a_stored_record_goes_on_where_it_left_off() {
        let days: Vec<Observation> = (0..20)
            .map(|day| seen(100 + day, "10.0.0.7", day as u64))
            .chain([seen(121, "203.0.113.9", 90), seen(121, "203.0.114.9", 91), seen(125, "198.51.100.4", 92)])
            .collect();
        let mut whole = judge();
        let alerts = whole.step(&days, &mut |_, _| {});
        assert!(!alerts.is_empty());
        let end = whole.take_dirty();
        for cut in 0..days.len() {
            let (before, after) = days.split_at(cut);
            let mut first = judge();
            let mut got = first.step(before, &mut |_, _| {});
            let mut second = judge();
            for (token, record) in first.take_dirty() {
                assert!(second.load(token, &record), "the record written after {cut} observations cannot be read");
            }
            got.extend(second.step(after, &mut |_, _| {}));
            assert_eq!(got, alerts, "cut after {cut} observations");
            assert_eq!(second.take_dirty(), end, "cut after {cut} observations");
        }
    }
}
