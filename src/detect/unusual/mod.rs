//! Unusual use: how strange is what a token does today, taken together.
//!
//! Each detector gives a *level* of surprise, 0 to 4, that only rises within a unit (token, network and client, day), so that an alert can
//! come at the first query. How improbable a level is for *this* token, its own history and the fleet's tell
//! ([`crate::baseline::surprise`]). The levels of a unit are weighed together against what attacks look like and what harmless changes look like
//! ([`score`]), and where the likelihood ratio passes the threshold that the operator's budget sets ([`crate::baseline::fleet::Fleet::threshold`]), the
//! detectors that carry it speak.

use smallvec::SmallVec;

use super::{Case, DETECTORS, Finding, Weighed, excuse};
use crate::baseline::fleet::Schedule;
use crate::baseline::unit::{FEATURES, Feature, Odds, Unit};

pub mod archetype;

pub mod score;

/// Findings of one alert at most; what carries less than [`CARRIES`] is not named.
const MOST: usize = 4;
/// Share of the score (in nats) that a detector must carry to be named.
const CARRIES: f64 = 0.25;

/// Raises the unit's levels by one observation, and finds what is to be said about it.
pub fn judge(case: &Case<'_>, unit: &mut Unit, out: &mut Vec<Finding>) {
    let settled = case.baseline.active_days > 1 || case.judged();
    let mut risen: SmallVec<[usize; 4]> = SmallVec::new();
    for (at, detector) in DETECTORS.iter().enumerate() {
        // Everything is new on the first day, and nothing is strange, unless that day was learned from already.
        let level = if settled { (detector.level)(case, unit).min(4) } else { 0 };
        let level = if level > 0 && excuse::excused(at, level, case) { 0 } else { level };
        if let Some(known) = unit.levels.get_mut(at)
            && level > *known
        {
            *known = level;
            risen.push(at);
        }
    }
    if risen.is_empty() {
        return;
    }
    let odds = case.baseline.odds(case.fleet);
    let schedule = case.baseline.kind().schedule;
    let score = score::ln_e(&unit.levels, &odds, schedule);
    unit.score = Some(unit.score.map_or(score as f32, |known| known.max(score as f32)));
    if !case.judged() {
        return;
    }
    // Once a unit is alerted, whatever else is new in it belongs to the alert.
    let named: SmallVec<[usize; 4]> = if unit.said != 0.0 {
        risen
    } else if score >= case.fleet.threshold(case.settings.budget) {
        carriers(&unit.levels, &odds, schedule).into_iter().take(MOST).map(|(_, at)| at).collect()
    } else {
        return;
    };
    let before = out.len();
    let (attack, harmless) = (score::likeliest_attack(&unit.levels, &odds), score::likeliest_change(&unit.levels, &odds, schedule));
    for at in named {
        let without = without(&unit.levels, at);
        let weighed = Weighed {
            score,
            threshold: case.fleet.threshold(case.settings.budget),
            without: score::ln_e(&without, &odds, schedule),
            attack,
            harmless,
            opens: unit.said == 0.0,
        };
        if let Some(found) = DETECTORS.get(at).and_then(|detector| (detector.find)(case, unit)) {
            let keys = excuse::keys(at, case, unit);
            out.push(Finding { bound: libm::exp(-score).min(1.0), weighed: Some(weighed), keys, ..found });
        }
    }
    if out.len() > before && unit.said == 0.0 {
        unit.said = score as f32;
    }
}

/// The detectors without which the score would be lower, the most important first.
fn carriers(levels: &[u8; FEATURES], odds: &Odds, schedule: Schedule) -> Vec<(f64, usize)> {
    let score = score::ln_e(levels, odds, schedule);
    let mut carried = Vec::new();
    // How unpopular a new network is, the new network tells.
    for (at, _) in levels.iter().enumerate().filter(|(at, level)| **level > 0 && *at != Feature::Peer as usize) {
        carried.push((score - score::ln_e(&without(levels, at), odds, schedule), at));
    }
    carried.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let most = carried.first().map_or(0.0, |(most, _)| *most);
    carried.retain(|(carries, _)| *carries >= CARRIES.min(most));
    carried
}

/// The levels without what one detector sees: how few others use a network says nothing where the network is not new.
fn without(levels: &[u8; FEATURES], at: usize) -> [u8; FEATURES] {
    let mut rest = *levels;
    for gone in [Some(at), (at == Feature::Network as usize).then_some(Feature::Peer as usize)].into_iter().flatten() {
        if let Some(level) = rest.get_mut(gone) {
            *level = 0;
        }
    }
    rest
}
