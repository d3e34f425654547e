//! One shard: the engine and the open alerts of the tokens that it owns.

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

/// The stored form of all that is remembered of one token.
#[derive(Serialize)]
struct Written<'a> {
    layout: u8,
    baseline: &'a Baseline,
    open: Option<&'a Open>,
}

#[derive(Deserialize)]
struct Read {
    layout: u8,
    baseline: Baseline,
    open: Option<Open>,
}

/// Owner of some tokens. Not shared: all of its state is changed by one thread.
pub struct Shard {
    engine: Engine,
    grouper: Grouper,
    rulebook: Arc<Rulebook>,
    dictionary: Arc<Dictionary>,
    findings: Vec<Finding>,
}

impl Shard {
    pub fn new(rulebook: Arc<Rulebook>, dictionary: Arc<Dictionary>) -> Self {
        Shard { engine: Engine::new(rulebook.settings.clone()), grouper: Grouper::default(), rulebook, dictionary, findings: Vec::new() }
    }

    /// Judges by new settings from now on.
    pub fn reload(&mut self, rulebook: Arc<Rulebook>) {
        self.engine.reload(rulebook.settings.clone());
        self.rulebook = rulebook;
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Puts a stored record back; `false` where it cannot be read (another layout): the token learns anew.
    pub fn load(&mut self, token: TokenId, record: &[u8]) -> bool {
        let Ok(read) = postcard::from_bytes::<Read>(record) else { return false };
        if read.layout != baseline::LAYOUT {
            return false;
        }
        self.engine.load(token, read.baseline);
        if let Some(open) = read.open {
            self.grouper.load(token, open);
        }
        true
    }

    /// Takes observations in, in order; returns the alerts to be sent and tells `found` of every finding.
    pub fn step(&mut self, batch: &[Observation], found: &mut dyn FnMut(&Finding)) -> Vec<Alert> {
        self.findings.clear();
        self.engine.step(batch, &mut self.findings);
        if self.findings.is_empty() {
            return Vec::new();
        }
        self.findings.iter().for_each(&mut *found);
        let rulebook = &self.rulebook;
        let declared = |token, broken| rulebook.declared(token, broken);
        let explainer = Explainer { dictionary: &self.dictionary, rules: &rulebook.titles, declared: &declared };
        self.grouper.add(&self.findings, &explainer, &|token| rulebook.face(token), rulebook.settings.group_window)
    }

    /// Stored records of all tokens that have changed since the last call.
    pub fn take_dirty(&mut self) -> Vec<(TokenId, Vec<u8>)> {
        let mut out = Vec::new();
        // A token with a changed alert has a changed baseline too: the finding came from an observation of it.
        self.grouper.take_dirty();
        let grouper = &self.grouper;
        self.engine.take_dirty(|token, baseline| {
            let written = Written { layout: baseline::LAYOUT, baseline, open: grouper.get(token) };
            match postcard::to_stdvec(&written) {
                Ok(record) => out.push((token, record)),
                Err(error) => tracing::error!(?token, %error, "a baseline cannot be written"),
            }
        });
        out
    }
}
