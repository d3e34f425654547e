//! Rules: their conditions were judged with the event's text at hand; order, thresholds and novelty are judged here, per token or per place.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Case, Distinct, Fact, Finding, Mode, Per, RuleLimits, Settings, StepLimits, client, excuse};
use crate::baseline::fleet::{Fleet, Thing};
use crate::baseline::network::{key, prefix_of};
use crate::baseline::places::{Place, Places};
use crate::baseline::window::MOST_DISTINCT;
use crate::baseline::{Baseline, RuleMemory, day_of, scope_key, short_scope};
use crate::event::{Kind, Operation, Time};
use crate::observation::{Hit, Observation, Scope};
use crate::token::WordId;

/// Judges every rule per token whose condition holds on this observation, and remembers that it did.
pub fn judge(settings: &Settings, fleet: &Fleet, baseline: &mut Baseline, seen: &Observation, mode: Mode, out: &mut Vec<Finding>) {
    for hit in &seen.rules {
        let Some((rule, step)) = rule_of(settings, *hit).filter(|(rule, _)| rule.per == Per::Token) else { continue };
        if step.strangers && at_home(Some(baseline), seen) || step.unless_created && created(baseline, fleet, seen) {
            continue;
        }
        if let Some(count) = fires(settings, rule, *hit, baseline, seen, mode) {
            let case = Case { settings, fleet, baseline, seen, mode };
            let fact = Fact::Rule { index: hit.rule, count, place: None };
            let mut finding = case.finding(format!("rule.{}", rule.id), rule.severity, rule.confidence, 0.0, fact);
            finding.attack = attack(rule);
            out.push(finding.with_keys([excuse::rule(rule, seen)]));
        }
    }
}

/// Judges every rule per address or network. `baseline`: of the token that the event is about, unless it never did anything; names that are
/// nobody's count as well. Answers whether something was found about the token itself: it was used from such a place.
pub fn judge_places(
    settings: &Settings,
    places: &mut Places,
    mut baseline: Option<&mut Baseline>,
    seen: &Observation,
    out: &mut Vec<Finding>,
) -> bool {
    let mut of_the_token = false;
    for hit in &seen.rules {
        let Some((rule, step)) = rule_of(settings, *hit).filter(|(rule, _)| rule.per != Per::Token) else { continue };
        // Ordinary events are steps that nothing has come before, and take nothing back. What is taken back does not depend on the waiting: that is
        // only known roughly after a restart.
        let nothing_to_do = if hit.back { places.is_empty() } else { hit.step > 0 && !places.waiting(seen.time) };
        if nothing_to_do {
            continue;
        }
        // Who only says who he is does nothing in that name, but try it.
        let Some(network) = seen.network.filter(|_| seen.acting || seen.kind == Kind::LoginFailed) else { continue };
        if step.strangers && !hit.back && at_home(baseline.as_deref(), seen) {
            continue;
        }
        let place = Place::of(network, rule.per == Per::Network);
        let Some(count) = count_at(places, place, rule, *hit, seen) else { continue };
        let until = Time(seen.time.0.saturating_add(rule.again.unwrap_or(settings.group_window)));
        let mut finding = Finding {
            detector: Cow::Owned(format!("rule.{}", rule.id)),
            severity: rule.severity,
            confidence: rule.confidence,
            bound: 0.0,
            fact: Fact::Rule { index: hit.rule, count, place: Some(place) },
            mode: Mode::Enforcing,
            attack: attack(rule),
            keys: SmallVec::new(),
            active_days: 0,
            first_seen: seen.time,
            weighed: None,
            seen: seen.clone(),
        };
        match baseline.as_deref_mut().filter(|_| seen.acting) {
            // Somebody is in: it is about the token, and each one is spoken of.
            Some(baseline) => {
                if !baseline.mature(seen.time, settings.learning) {
                    finding.mode = Mode::Learning;
                }
                let key = excuse::rule(rule, seen);
                finding.keys.push(key);
                let silent = finding.mode == Mode::Learning && !rule.while_learning || baseline.excuses(key);
                if silent || !report(&mut baseline.rules, rule, seen.time, until) {
                    continue;
                }
                (finding.active_days, finding.first_seen) = (baseline.active_days, baseline.first_seen);
                of_the_token = true;
            }
            None => {
                if places.told(place, seen.time) || !report(places.note(place, seen.time), rule, seen.time, until) {
                    continue;
                }
                finding.seen.token = place.id();
                // What was said of an address is not said of its network once more.
                places.tell(Place::of(network, true), seen.time, until);
            }
        }
        out.push(finding);
    }
    of_the_token
}

fn rule_of(settings: &Settings, hit: Hit) -> Option<(&RuleLimits, &StepLimits)> {
    let rule = settings.rules.get(usize::from(hit.rule))?;
    Some((rule, rule.steps.get(usize::from(hit.step))?))
}

fn attack(rule: &RuleLimits) -> SmallVec<[Cow<'static, str>; 1]> {
    rule.attack.iter().map(|id| Cow::Owned(id.clone())).collect()
}

/// The token has used this network before.
fn at_home(baseline: Option<&Baseline>, seen: &Observation) -> bool {
    seen.network.is_some_and(|network| baseline.is_some_and(|baseline| baseline.networks.met(prefix_of(network))))
}

/// Everything that the statement names, the token created itself, today or earlier, and nobody else works with it: CREATE TABLE IF NOT EXISTS
/// makes no table one's own.
fn created(baseline: &Baseline, fleet: &Fleet, seen: &Observation) -> bool {
    let key = |operation, object| scope_key(Scope { operation, object });
    let own = |object| {
        let others = [Operation::Select, Operation::Insert, Operation::Update, Operation::Delete].into_iter().any(|operation| {
            let key = key(operation, object);
            fleet.users(Thing::Scope, short_scope(key)) > u32::from(baseline.scopes.adopted(key))
        });
        baseline.scopes.met(key(Operation::Create, object)) && !others
    };
    !seen.scopes.is_empty() && seen.scopes.iter().all(|scope| own(scope.object))
}

/// Counts an event at a place: `Some` where the rule's last step is reached by it.
fn count_at(places: &mut Places, place: Place, rule: &RuleLimits, hit: Hit, seen: &Observation) -> Option<u32> {
    let first = hit.step == 0 && !hit.back;
    let memories = if first { places.note(place, seen.time) } else { places.noted(place)? };
    let reached = advance(rule, hit, seen, day_of(seen.time).max(1), memories);
    if matches!(reached, Reached::Step) {
        places.wait(Time(seen.time.0.saturating_add(rule.follow)));
    }
    match reached {
        Reached::End(count) => Some(count),
        _ => None,
    }
}

/// Takes note that the rule speaks; `false` where it has spoken already.
fn report(memories: &mut Vec<RuleMemory>, rule: &RuleLimits, now: Time, until: Time) -> bool {
    let Some(memory) = rule.steps.last().and_then(|last| RuleMemory::of(memories, last.word)) else { return false };
    let news = now >= memory.window.reached_until;
    if news {
        memory.window.reached_until = until;
    }
    news
}

fn fires(settings: &Settings, rule: &RuleLimits, hit: Hit, baseline: &mut Baseline, seen: &Observation, mode: Mode) -> Option<u32> {
    let settled = baseline.active_days > 1 || settings.learning <= Time::DAY && mode == Mode::Enforcing;
    let day = day_of(seen.time).max(baseline.day).max(1);
    let excused = |baseline: &Baseline| {
        rule.unless_used.iter().any(|class| baseline.used(*class))
            || rule.unless_by_hand && client::of_people(baseline, day, at_home(Some(baseline), seen))
            || baseline.care.is_some() && baseline.excuses(excuse::rule(rule, seen))
    };
    let last = rule.steps.last()?.word;
    let done_before = baseline.rules.iter().any(|memory| memory.rule == last && memory.last_day != 0);
    let Reached::End(count) = advance(rule, hit, seen, day, &mut baseline.rules) else { return None };
    if rule.novel && (done_before || !settled) || mode == Mode::Learning && !rule.while_learning || excused(baseline) {
        return None;
    }
    let until = Time(seen.time.0.saturating_add(rule.again.unwrap_or(settings.group_window)));
    report(&mut baseline.rules, rule, seen.time, until).then_some(count)
}

/// How far an event brought a rule.
enum Reached {
    Nothing,
    /// A step, and not the last.
    Step,
    /// The last step, with what was counted in it.
    End(u32),
}

/// Counts one event for the step that it is.
fn advance(rule: &RuleLimits, hit: Hit, seen: &Observation, day: u16, memories: &mut Vec<RuleMemory>) -> Reached {
    let at = usize::from(hit.step);
    let Some(step) = rule.steps.get(at) else { return Reached::Nothing };
    let values = step.threshold.map(|threshold| distinct_values(threshold.distinct, seen)).unwrap_or_default();
    if hit.back {
        if let Some(memory) = memories.iter_mut().find(|memory| memory.rule == step.word) {
            for value in &values {
                memory.window.take_back(*value);
            }
        }
        return Reached::Nothing;
    }
    if let Some(before) = at.checked_sub(1).and_then(|before| rule.steps.get(before)) {
        let until = memories.iter().find(|memory| memory.rule == before.word).map(|memory| memory.window.reached_until);
        let waits = until.is_some_and(|until| seen.time <= until && seen.time.0 >= until.0.saturating_sub(rule.follow));
        if !waits {
            return Reached::Nothing;
        }
    }
    let Some(memory) = RuleMemory::of(memories, step.word) else { return Reached::Nothing };
    let mut count = 1;
    let mut wanted = 1;
    if let Some(threshold) = step.threshold {
        wanted = threshold.count;
        // Of a place twice as many values as are wanted: some may be taken back.
        let most = if rule.per == Per::Token { MOST_DISTINCT } else { usize::try_from(wanted).unwrap_or(MOST_DISTINCT).saturating_mul(2) };
        count = match threshold.distinct {
            None => memory.window.add(seen.time, threshold.within, None, most),
            Some(_) => values.iter().map(|value| memory.window.add(seen.time, threshold.within, Some(*value), most)).max().unwrap_or(0),
        };
    }
    // Below its threshold nobody has done yet what the rule describes.
    if count >= wanted || memory.last_day != 0 || !rule.novel {
        memory.last_day = memory.last_day.max(day);
    }
    if count < wanted {
        return Reached::Nothing;
    }
    if at + 1 < rule.steps.len() {
        let until = Time(seen.time.0.saturating_add(rule.follow));
        memory.window.reached_until = memory.window.reached_until.max(until);
        return Reached::Step;
    }
    Reached::End(count)
}

fn distinct_values(distinct: Option<Distinct>, seen: &Observation) -> SmallVec<[WordId; 4]> {
    match distinct {
        None => SmallVec::new(),
        Some(Distinct::Object) => seen.scopes.iter().map(|s| s.object).collect(),
        Some(Distinct::Database) => seen.database.into_iter().collect(),
        Some(Distinct::Address) => seen.network.map(|n| WordId::of(&key(n).to_le_bytes())).into_iter().collect(),
        Some(Distinct::Token) => std::iter::once(WordId(seen.token.0 as u64)).collect(),
        Some(Distinct::Principal) => seen.principal.into_iter().collect(),
    }
}
