//! The pure core: observations in, findings out. No clock, no I/O, no text, no panics.
//!
//! The engine owns the baselines of all tokens, and what rules remember of places. The same observations in the same order give the
//! same findings and the same records, bit for bit, wherever they were cut into batches.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use std::sync::Arc;

use hashbrown::HashTable;

use crate::baseline::fleet::Fleet;
use crate::baseline::network::prefix_of;
use crate::baseline::places::Places;
use crate::baseline::unit::Units;
use crate::baseline::{Baseline, day_of};
use crate::detect::{Case, Fact, Finding, Mode, Settings, escalation, policy, rules, unusual};
use crate::event::{Kind, Outcome, Time};
use crate::observation::Observation;
use crate::token::TokenId;

pub mod trial;

/// What a unit whose likelihood ratio is above 5 shows for the first time is reported for two weeks, alerted or not ([`crate::baseline::usual`]).
const QUARANTINE: f32 = 1.6;

/// The baselines and the detectors that judge by them.
pub struct Engine {
    settings: Arc<Settings>,
    fleet: Fleet,
    /// Places in the slab, by [`hash`]; the ids themselves stand there only.
    index: HashTable<u32>,
    slab: Vec<(TokenId, Baseline)>,
    dirty: Vec<bool>,
    dirty_list: Vec<u32>,
    places: Places,
}

impl Engine {
    pub fn new(settings: Arc<Settings>) -> Self {
        Engine {
            settings,
            fleet: Fleet::default(),
            index: HashTable::new(),
            slab: Vec::new(),
            dirty: Vec::new(),
            dirty_list: Vec::new(),
            places: Places::default(),
        }
    }

    /// Swaps the settings; baselines stay as they are.
    pub fn reload(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
    }

    /// Puts a stored baseline back.
    pub fn load(&mut self, token: TokenId, baseline: Baseline) {
        baseline.popularise(&mut self.fleet);
        match self.place(token).and_then(|at| self.slab.get_mut(at as usize)) {
            Some(entry) => entry.1 = baseline,
            None => {
                self.insert(token, baseline);
            }
        }
    }

    /// What is known of all tokens together.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What rules remember of addresses and networks.
    pub fn places(&self) -> &Places {
        &self.places
    }

    pub fn tokens(&self) -> usize {
        self.slab.len()
    }

    /// Tokens that still learn, tokens that are judged by their baselines, and those of them that are pinned, each as of its own last event.
    pub fn census(&self) -> (u64, u64, u64) {
        let learning = self.slab.iter().filter(|(_, b)| !b.mature(b.last_seen, self.settings.learning)).count();
        let pinned = self.slab.iter().filter(|(_, b)| b.pinned().is_some()).count();
        (learning as u64, (self.slab.len() - learning) as u64, pinned as u64)
    }

    /// Every token with its baseline, in the order in which they were first seen.
    pub fn baselines(&self) -> impl Iterator<Item = (TokenId, &Baseline)> {
        self.slab.iter().map(|(token, baseline)| (*token, baseline))
    }

    pub fn get(&self, token: TokenId) -> Option<&Baseline> {
        let at = self.place(token)?;
        self.slab.get(at as usize).map(|(_, baseline)| baseline)
    }

    /// Changes a token's baseline by hand; `false` where there is none. What it does not tell the fleet is counted again at the next start.
    pub fn amend(&mut self, token: TokenId, change: &mut dyn FnMut(&mut Baseline, &mut Fleet)) -> bool {
        let Some(at) = self.place(token) else { return false };
        let Some((_, baseline)) = self.slab.get_mut(at as usize) else { return false };
        change(baseline, &mut self.fleet);
        self.mark(at);
        true
    }

    /// Is the token still learning at `now`?
    pub fn mode(&self, baseline: &Baseline, now: Time) -> Mode {
        if baseline.mature(now, self.settings.learning) { Mode::Enforcing } else { Mode::Learning }
    }

    /// Takes a batch in and appends what was found, in the order of the batch.
    pub fn step(&mut self, batch: &[Observation], out: &mut Vec<Finding>) {
        for seen in batch {
            self.observe(seen, out);
        }
    }

    fn observe(&mut self, seen: &Observation, out: &mut Vec<Finding>) {
        let known = match self.place(seen.token) {
            None if seen.acting => Some(self.newcomer(seen)),
            known => known,
        };
        let settings = &*self.settings;
        let mut quarantine = false;
        if !seen.rules.is_empty() {
            let baseline = known.and_then(|at| self.slab.get_mut(at as usize)).map(|(_, baseline)| baseline);
            quarantine = rules::judge_places(settings, &mut self.places, baseline, seen, out);
        }
        // Somebody tried a name that never did anything: nothing to protect yet, and names are the attacker's to invent.
        let Some(at) = known else { return };
        let fleet = &mut self.fleet;
        let Some((_, baseline)) = self.slab.get_mut(at as usize) else { return };
        let mode = if baseline.mature(seen.time, settings.learning) { Mode::Enforcing } else { Mode::Learning };
        let mut units = Units::default();
        if seen.acting {
            fleet.reach(day_of(seen.time), settings.budget);
            baseline.open_day(seen.time, settings.learning, fleet);
            // What fails carries nothing away, and programs that fail try again and again.
            if seen.kind == Kind::Query && matches!(seen.outcome, Outcome::Success | Outcome::Unknown) {
                baseline.volume.note(seen.time, seen.rows);
            }
            units = std::mem::take(&mut baseline.units);
        }
        let before = out.len();
        {
            let case = Case { settings, fleet, baseline, seen, mode };
            policy::judge(&case, out);
            if seen.acting
                && let Some(unit) = units.of(seen.network.map(prefix_of), seen.client)
            {
                unusual::judge(&case, unit, out);
                quarantine |= unit.said != 0.0 || unit.score.is_some_and(|score| score >= QUARANTINE);
            }
        }
        if !seen.rules.is_empty() {
            rules::judge(settings, fleet, baseline, seen, mode, out);
        }
        let day = day_of(seen.time).max(baseline.day);
        if let Some(growth) = escalation::note(baseline, seen, day) {
            out.push(escalation::find(&Case { settings, fleet, baseline, seen, mode }, growth));
        }
        if out.len() > before && seen.acting {
            baseline.aftermath.report(day);
            quarantine = true;
        }
        for finding in out.get(before..).unwrap_or_default() {
            if let Fact::Policy(bit) = finding.fact
                && let Some(quiet) =
                    policy::index_of(bit).and_then(|i| baseline.policy_quiet.get_or_insert_with(|| Box::new(policy::NEVER)).get_mut(i))
            {
                *quiet = Time(seen.time.0.saturating_add(settings.group_window));
            }
        }
        if seen.acting {
            baseline.units = units;
            baseline.learn(seen, quarantine, fleet);
        }
        self.mark(at);
    }

    /// A token's first event: it knows nothing yet, or what its predecessor knew.
    fn newcomer(&mut self, seen: &Observation) -> u32 {
        let predecessor = self.settings.predecessors.get(&seen.token).and_then(|predecessor| self.get(*predecessor));
        let baseline = predecessor.map_or_else(|| Baseline::new(seen.time), Baseline::heir);
        baseline.popularise(&mut self.fleet);
        self.insert(seen.token, baseline)
    }

    /// Where the token stands in the slab.
    fn place(&self, token: TokenId) -> Option<u32> {
        self.index.find(hash(token), |at| self.slab.get(*at as usize).is_some_and(|(own, _)| *own == token)).copied()
    }

    fn mark(&mut self, at: u32) {
        if let Some(dirty) = self.dirty.get_mut(at as usize)
            && !*dirty
        {
            *dirty = true;
            self.dirty_list.push(at);
        }
    }

    fn insert(&mut self, token: TokenId, baseline: Baseline) -> u32 {
        // 2^32 baselines would be terabytes; memory ends long before the index does.
        let at = u32::try_from(self.slab.len()).unwrap_or(u32::MAX);
        self.slab.push((token, baseline));
        let slab = &self.slab;
        self.index.insert_unique(hash(token), at, |at| slab.get(*at as usize).map_or(0, |(token, _)| hash(*token)));
        self.dirty.push(false);
        at
    }

    /// What is known of all tokens together, for storing; `None` where it has not changed since the last call.
    pub fn take_fleet(&mut self) -> Option<Vec<u8>> {
        self.fleet.take_changed()
    }

    /// Puts back what [`Engine::take_fleet`] gave.
    pub fn load_fleet(&mut self, stored: &[u8]) {
        self.fleet.load(stored);
    }

    /// What is remembered of places and has changed since the last call, for storing; an empty record is one to be forgotten.
    pub fn take_places(&mut self) -> Vec<(TokenId, Vec<u8>)> {
        self.places.take_changed()
    }

    /// Puts one record of [`Engine::take_places`] back.
    pub fn load_place(&mut self, stored: &[u8]) -> bool {
        self.places.load(stored)
    }

    /// Hands out every baseline that has changed since the last call, in a fixed order, and marks it clean.
    pub fn take_dirty(&mut self, mut each: impl FnMut(TokenId, &Baseline)) {
        for at in std::mem::take(&mut self.dirty_list) {
            if let Some(dirty) = self.dirty.get_mut(at as usize) {
                *dirty = false;
            }
            if let Some((token, baseline)) = self.slab.get(at as usize) {
                each(*token, baseline);
            }
        }
    }
}

/// Ids are hashes already.
fn hash(token: TokenId) -> u64 {
    token.0 as u64
}

#[cfg(test)]
mod tests;
