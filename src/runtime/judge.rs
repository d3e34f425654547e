//! The judge: the engine and the open alerts. There is one: it judges more events a second than a host's logs hold, and what is known of all tokens
//! together has to be in one place.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::feedback::{Order, keys_of};
use super::rulebook::Rulebook;
use super::stocktaking::{Stock, Stocktaking};
use crate::alert::Alert;
use crate::alert::explain::Explainer;
use crate::alert::group::{Grouper, Open};
use crate::baseline::places::Places;
use crate::baseline::{self, Baseline};
use crate::detect::Finding;
use crate::engine::Engine;
use crate::identity::dictionary::Dictionary;
use crate::observation::{Evidence, Observation};
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

// Behind it stands what people have decided ([`crate::baseline::care::Care`]), where they have decided anything.

/// Is this stored record that of a token? Beside them stand what is known of all of them, and of places.
pub fn is_token(token: TokenId, record: &[u8]) -> bool {
    token.is_token() && !record.is_empty() && !Places::is_record(record)
}

/// See above. Not shared: all of its state is changed by one thread.
pub struct Judge {
    engine: Engine,
    grouper: Grouper,
    stocktaking: Stocktaking,
    /// The last record that was judged.
    last: Option<Evidence>,
    rulebook: Arc<Rulebook>,
    dictionary: Arc<Dictionary>,
    findings: Vec<Finding>,
}

impl Judge {
    pub fn new(rulebook: Arc<Rulebook>, dictionary: Arc<Dictionary>) -> Self {
        Judge {
            engine: Engine::new(rulebook.settings.clone()),
            grouper: Grouper::default(),
            stocktaking: Stocktaking::default(),
            last: None,
            rulebook,
            dictionary,
            findings: Vec::new(),
        }
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
        if token == TokenId::INVENTORY {
            self.stocktaking.load(record);
            return true;
        }
        if Places::is_record(record) {
            return self.engine.load_place(record);
        }
        let Ok((mut read, care)) = postcard::take_from_bytes::<Read>(record) else { return false };
        if read.layout != baseline::LAYOUT {
            return false;
        }
        if !care.is_empty() {
            let Ok(care) = postcard::from_bytes(care) else { return false };
            read.baseline.care = Some(care);
        }
        self.engine.load(token, read.baseline);
        if let Some(open) = read.open.and_then(|open| serde_json::from_str::<Open>(&open).ok()) {
            self.grouper.load(token, open);
        }
        true
    }

    /// Changes a token's baseline by hand; `false` where there is none.
    pub fn amend(&mut self, token: TokenId, change: &mut dyn FnMut(&mut Baseline)) -> bool {
        self.engine.amend(token, &mut |baseline, _| change(baseline))
    }

    /// Carries out what a person has ordered; `false` where there is no such token.
    pub fn obey(&mut self, order: &Order) -> bool {
        match order {
            Order::Pin { token } => {
                let token = self.token_named(token);
                self.engine.amend(token, &mut |baseline, _| _ = baseline.pin())
            }
            Order::Unpin { token } => {
                let token = self.token_named(token);
                self.engine.amend(token, &mut |baseline, fleet| _ = baseline.unpin(fleet))
            }
            Order::Dismiss(dismissal) => {
                let token = self.token_named(&dismissal.token);
                let (mut days, mut keys) = (dismissal.days.clone(), dismissal.keys.clone());
                // What has joined the alert since it was last sent is dismissed with it; what comes next is another alert.
                if let Some(open) = self.grouper.close(token, &dismissal.alert) {
                    days = *days.start()..=baseline::day_of(open.last).max(*days.end());
                    keys.extend(keys_of(&open.alert));
                }
                self.engine.amend(token, &mut |baseline, _| baseline.accept(&days, &keys, dismissal.number()))
            }
            Order::AcceptReport(time) => {
                self.stocktaking.accept(*time);
                true
            }
        }
    }

    /// The token of this name. A name that was too long or odd to be shown as it is has an id that the shown one does not tell.
    fn token_named(&self, name: &str) -> TokenId {
        let token = TokenId::of(name.as_bytes());
        let shown = || self.engine.baselines().map(|(token, _)| token).find(|token| &*self.dictionary.token(*token) == name);
        if self.engine.get(token).is_some() { token } else { shown().unwrap_or(token) }
    }

    /// What stocktaking looks at.
    pub fn stock(&self) -> Stock<'_> {
        Stock { engine: &self.engine, rulebook: &self.rulebook, dictionary: &self.dictionary }
    }

    /// Takes observations in, in order; returns the alerts to be sent and tells `found` of every finding about a token, and whether a standing
    /// exception keeps it from being alerted.
    pub fn step(&mut self, batch: &[Observation], found: &mut dyn FnMut(&Finding, bool)) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut rest = batch;
        loop {
            let stock = Stock { engine: &self.engine, rulebook: &self.rulebook, dictionary: &self.dictionary };
            let (now, later) = rest.split_at(self.stocktaking.until(rest, stock));
            alerts.extend(self.judge(now, found));
            let Some(first) = later.first() else { break };
            let stock = Stock { engine: &self.engine, rulebook: &self.rulebook, dictionary: &self.dictionary };
            alerts.extend(self.stocktaking.tick(first, stock));
            rest = later;
        }
        if let Some(last) = batch.last() {
            self.last = Some(last.at.clone());
        }
        alerts
    }

    /// The input has ended: what is still to be said of the inventory.
    pub fn close(&mut self) -> Option<Alert> {
        let stock = Stock { engine: &self.engine, rulebook: &self.rulebook, dictionary: &self.dictionary };
        self.stocktaking.close(self.last.as_ref(), stock)
    }

    /// What was told of the inventory reached nobody: it is to be told again.
    pub fn untell(&mut self) {
        self.stocktaking.forget();
    }

    fn judge(&mut self, batch: &[Observation], found: &mut dyn FnMut(&Finding, bool)) -> Vec<Alert> {
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
            rules: &rulebook.words,
            declared: &declared,
            origins: Some(&rulebook.settings.origins),
        };
        self.grouper.add(&self.findings, &explainer, &|token| rulebook.face(token), rulebook.settings.group_window)
    }

    /// Stored records of all tokens and places that have changed since the last call; an empty one is to be forgotten.
    pub fn take_dirty(&mut self) -> Vec<(TokenId, Vec<u8>)> {
        let mut out: Vec<(TokenId, Vec<u8>)> = self.engine.take_fleet().map(|record| (TokenId::FLEET, record)).into_iter().collect();
        out.extend(self.engine.take_places());
        out.extend(self.stocktaking.take_changed().map(|record| (TokenId::INVENTORY, record)));
        // A token with a changed alert has a changed baseline too: the finding came from an observation of it.
        self.grouper.take_dirty();
        let grouper = &self.grouper;
        self.engine.take_dirty(|token, baseline| {
            let open = grouper.get(token).and_then(|open| serde_json::to_string(open).ok());
            let written = Written { layout: baseline::LAYOUT, baseline, open };
            let record = postcard::to_stdvec(&written).and_then(|record| match &baseline.care {
                Some(care) => postcard::to_extend(care, record),
                None => Ok(record),
            });
            match record {
                Ok(record) => out.push((token, record)),
                Err(error) => tracing::error!(?token, %error, "a baseline cannot be written"),
            }
        });
        out
    }
}

#[cfg(test)]
mod tests;
