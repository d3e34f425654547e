//! Rules: their conditions were judged with the event's text at hand; novelty and thresholds are judged here, per token.

use std::borrow::Cow;

use super::{Case, Distinct, Fact, Finding, Mode, RuleLimits, Settings};
use crate::baseline::fleet::Fleet;
use crate::baseline::network::key;
use crate::baseline::{Baseline, day_of};
use crate::observation::Observation;
use crate::token::WordId;

/// Judges every rule whose condition holds on this observation, and remembers that it did.
pub fn judge(settings: &Settings, fleet: &Fleet, baseline: &mut Baseline, seen: &Observation, mode: Mode, out: &mut Vec<Finding>) {
    for index in &seen.rules {
        let Some(rule) = settings.rules.get(usize::from(*index)) else { continue };
        if let Some(count) = fires(settings, rule, baseline, seen, mode) {
            let case = Case { settings, fleet, baseline, seen, mode };
            let mut finding =
                case.finding(format!("rule.{}", rule.id), rule.severity, rule.confidence, 0.0, Fact::Rule { index: *index, count });
            finding.attack = rule.attack.iter().map(|id| Cow::Owned(id.clone())).collect();
            out.push(finding);
        }
    }
}

fn fires(settings: &Settings, rule: &RuleLimits, baseline: &mut Baseline, seen: &Observation, mode: Mode) -> Option<u32> {
    let settled = baseline.active_days > 1 || settings.learning <= crate::event::Time::DAY && mode == Mode::Enforcing;
    let day = day_of(seen.time).max(baseline.day).max(1);
    let excused = rule.unless_used.iter().any(|class| baseline.used(*class));
    let memory = baseline.rule_memory(rule.word)?;
    let done_before = memory.last_day != 0;
    memory.last_day = memory.last_day.max(day);
    let mut count = 1;
    if let Some(threshold) = rule.threshold {
        let values = distinct_values(threshold.distinct, seen);
        count = match threshold.distinct {
            None => memory.window.add(seen.time, threshold.within, None),
            Some(_) => values.iter().map(|value| memory.window.add(seen.time, threshold.within, Some(*value))).max().unwrap_or(0),
        };
        if count < threshold.count {
            // Below its threshold the token has not yet done what the rule describes.
            if rule.novel && !done_before {
                memory.last_day = 0;
            }
            return None;
        }
    }
    if excused
        || seen.time < memory.window.quiet_until
        || rule.novel && (done_before || !settled)
        || mode == Mode::Learning && !rule.while_learning
    {
        return None;
    }
    memory.window.quiet_until = crate::event::Time(seen.time.0.saturating_add(settings.group_window));
    Some(count)
}

fn distinct_values(distinct: Option<Distinct>, seen: &Observation) -> Vec<WordId> {
    match distinct {
        None => Vec::new(),
        Some(Distinct::Object) => seen.scopes.iter().map(|s| s.object).collect(),
        Some(Distinct::Database) => seen.database.into_iter().collect(),
        Some(Distinct::Address) => seen.network.map(|n| WordId::of(&key(n).to_le_bytes())).into_iter().collect(),
    }
}
