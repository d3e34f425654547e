//! Stocktaking: which tokens nobody declared, owns, rotates or uses, told once, and what still holds once a week.
//!
//! Event time decides, so a replay tells the same as the daemon did: the stock is taken at the first act of a day, and at the first act of ten
//! minutes in which a new token appeared. There is at most one report a day, whatever it holds: five hundred unknown tokens are one message.
//! What was told is stored with the baselines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rulebook::Rulebook;
use crate::alert::Alert;
use crate::alert::explain::source_of;
use crate::alert::inventory::{Report, alert_of};
use crate::baseline::{Baseline, day_of};
use crate::engine::Engine;
use crate::event::Time;
use crate::identity::condition::{CONDITIONS, Condition, Conditions, Moment, Usage, conditions, rotated};
use crate::identity::dictionary::Dictionary;
use crate::identity::inventory::Entry;
use crate::observation::{Evidence, Observation};
use crate::token::TokenId;

/// Time between looks whether there is reason to take stock.
const TICK: i64 = 10 * Time::MINUTE;
/// Least time between two reports.
const PAUSE: i64 = Time::DAY;
/// Addresses of so many days count.
const WEEK: u16 = 7;
/// Tokens that are remembered as told. Of more than these, new ones wait for the weekly report.
const MOST_TOLD: usize = 1 << 17;
/// In the place of a day: a person has said that it is as it should be.
const ACCEPTED: u16 = u16::MAX;

/// What was told, and when the stock was taken last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Book {
    /// Inventory and checks that it was taken by.
    print: u64,
    day: u16,
    tokens: u64,
    /// Monday of the last weekly report, as a number of weeks.
    week: Option<u16>,
    reported: Option<Time>,
    /// Something waits for the pause to end.
    owed: bool,
    /// The day on which each condition of a token was told; 0: never.
    told: BTreeMap<TokenId, [u16; CONDITIONS]>,
}

/// Takes a token, what is declared of it, what is known of its use, and what is wrong with it.
type Take<'a> = &'a mut dyn FnMut(TokenId, Option<&Entry>, Option<&Usage>, Conditions);

/// See above.
#[derive(Debug, Default)]
pub struct Stocktaking {
    book: Book,
    /// The next tick; found from the baselines after a start.
    next: Option<Time>,
    changed: bool,
}

/// What a stocktaking looks at.
#[derive(Clone, Copy)]
pub struct Stock<'a> {
    pub engine: &'a Engine,
    pub rulebook: &'a Rulebook,
    pub dictionary: &'a Dictionary,
}

fn tick_after(time: Time) -> Time {
    Time(time.0.div_euclid(TICK).saturating_add(1).saturating_mul(TICK))
}

/// Weeks that begin on Monday; the first of January 1970 was a Thursday.
fn week_of(day: u16) -> u16 {
    day.saturating_add(3) / 7
}

fn date(time: Time) -> String {
    time.to_string().chars().take(10).collect()
}

/// What the logs say of a token.
fn usage(baseline: &Baseline, now: Time) -> Usage {
    let today = day_of(now);
    let addresses = baseline.addresses.iter().filter(|e| today.saturating_sub(e.last_day) < WEEK).count();
    Usage { first_seen: baseline.first_seen, last_seen: baseline.last_seen, addresses: u32::try_from(addresses).unwrap_or(u32::MAX) }
}

impl Stock<'_> {
    /// As of the last event; `None` before the first.
    pub fn moment(&self) -> Option<Moment> {
        let first = self.engine.baselines().map(|(_, baseline)| baseline.first_seen).min()?;
        let last = self.engine.baselines().map(|(_, baseline)| baseline.last_seen).max()?;
        Some(Moment { since: first, now: last })
    }

    /// What is wrong with one token.
    pub fn conditions(&self, token: TokenId, moment: Moment) -> Conditions {
        let usage = self.engine.get(token).map(|baseline| usage(baseline, moment.now));
        conditions(self.rulebook.entry(token), usage.as_ref(), moment, &self.rulebook.config.checks)
    }

    /// All tokens, seen and declared, with what is wrong with each.
    fn each(&self, moment: Moment, take: Take<'_>) {
        let checks = &self.rulebook.config.checks;
        for (token, baseline) in self.engine.baselines() {
            let (entry, usage) = (self.rulebook.entry(token), usage(baseline, moment.now));
            take(token, entry, Some(&usage), conditions(entry, Some(&usage), moment, checks));
        }
        for (token, entry) in self.rulebook.declared_tokens() {
            if self.engine.get(token).is_none() {
                take(token, Some(entry), None, conditions(Some(entry), None, moment, checks));
            }
        }
    }

    /// Tokens in each condition as of the last event.
    pub fn count(&self) -> [u64; CONDITIONS] {
        let mut counts = [0; CONDITIONS];
        if let Some(moment) = self.moment().filter(|_| self.rulebook.config.checks.kept) {
            self.each(moment, &mut |_, _, _, found| {
                for condition in found.iter() {
                    if let Some(count) = counts.get_mut(condition as usize) {
                        *count += 1;
                    }
                }
            });
        }
        counts
    }

    /// A token's name, with what is to be said of its condition.
    fn named(&self, token: TokenId, condition: Condition, entry: Option<&Entry>, usage: Option<&Usage>) -> (String, String) {
        let name = entry.map_or_else(|| self.dictionary.token(token).to_string(), |entry| entry.name.clone());
        let detail = match condition {
            Condition::Unknown => usage.map(|usage| format!("first seen {}", date(usage.first_seen))),
            Condition::NoOwner => None,
            Condition::Expired => entry.and_then(|entry| entry.expires_at).map(|end| format!("ended {}", date(end))),
            Condition::NotRotated => rotated(entry, usage).map(|begin| format!("the same since {}", date(begin))),
            Condition::Idle => Some(usage.map_or_else(|| "never used".to_owned(), |usage| format!("last used {}", date(usage.last_seen)))),
            Condition::Shared => usage.map(|usage| format!("{} addresses", usage.addresses)),
        };
        (name, detail.unwrap_or_default())
    }
}

impl Stocktaking {
    /// How many of these observations come before the next tick.
    pub fn until(&mut self, batch: &[Observation], stock: Stock<'_>) -> usize {
        let checks = &stock.rulebook.config.checks;
        if !checks.kept || !checks.alert {
            self.next = None;
            return batch.len();
        }
        let next = match self.next {
            Some(next) => next,
            None => {
                let clock = stock.moment().map(|moment| moment.now);
                let Some(clock) = clock.or_else(|| batch.iter().find(|seen| seen.acting).map(|seen| seen.time)) else { return batch.len() };
                *self.next.insert(tick_after(clock))
            }
        };
        // Only acts move the clock: they are what a restart finds in the baselines.
        batch.iter().position(|seen| seen.acting && seen.time >= next).unwrap_or(batch.len())
    }

    /// A tick is reached: takes stock where there is a reason, before this observation is judged.
    pub fn tick(&mut self, seen: &Observation, stock: Stock<'_>) -> Option<Alert> {
        self.next = Some(tick_after(seen.time));
        let book = &self.book;
        let may_report = book.reported.is_none_or(|last| seen.time.0.saturating_sub(last.0) >= PAUSE);
        let changed = book.day != day_of(seen.time) || book.tokens != stock.engine.tokens() as u64 || book.print != stock.rulebook.print;
        let due = if book.owed { may_report } else { changed };
        due.then(|| self.take(seen.time, Some(&seen.at), stock, may_report)).flatten()
    }

    /// The input has ended: what waits is told now.
    pub fn close(&mut self, at: Option<&Evidence>, stock: Stock<'_>) -> Option<Alert> {
        let moment = stock.moment().filter(|_| stock.rulebook.config.checks.kept && stock.rulebook.config.checks.alert)?;
        self.take(moment.now, at, stock, true)
    }

    fn take(&mut self, now: Time, at: Option<&Evidence>, stock: Stock<'_>, may_report: bool) -> Option<Alert> {
        self.changed = true;
        let since = stock.moment().map_or(now, |moment| moment.since);
        let (today, checks) = (day_of(now).max(1), &stock.rulebook.config.checks);
        let book = &mut self.book;
        let weekly = *book.week.get_or_insert(week_of(today)) < week_of(today);
        let again = checks.repeat.map(|period| u16::try_from(period.as_secs() / 86_400).unwrap_or(u16::MAX)).filter(|_| weekly);
        let mut report = Report::new();
        let mut told = BTreeMap::new();
        let mut news = Vec::new();
        stock.each(Moment { since, now }, &mut |token, entry, usage, found| {
            let known = book.told.get(&token);
            if found.is_empty() || known.is_none() && told.len() >= MOST_TOLD && !weekly {
                return;
            }
            let mut marks = [0; CONDITIONS];
            for condition in found.iter() {
                let before = known.and_then(|known| known.get(condition as usize)).copied().unwrap_or_default();
                if let Some(mark) = marks.get_mut(condition as usize) {
                    *mark = before;
                }
                let repeated = again.is_some_and(|days| before != ACCEPTED && today.saturating_sub(before) >= days);
                if before == 0 || repeated {
                    let (name, detail) = stock.named(token, condition, entry, usage);
                    report.entry(condition).or_default().add(name, detail);
                    news.push((token, condition));
                }
            }
            told.insert(token, marks);
        });
        // What has ended is forgotten, and told again should it come back.
        book.told = told;
        (book.day, book.tokens, book.print) = (today, stock.engine.tokens() as u64, stock.rulebook.print);
        book.owed = !may_report && !report.is_empty();
        if book.owed {
            return None;
        }
        book.week = Some(week_of(today));
        for (token, condition) in news {
            if let Some(mark) = book.told.get_mut(&token).and_then(|marks| marks.get_mut(condition as usize)) {
                *mark = today;
            }
        }
        let alert = alert_of(&report, now, at.map(|at| (source_of(at), at.offset)), checks)?;
        book.reported = Some(now);
        Some(alert)
    }

    /// A person has dismissed the report of this time: what it told is as it should be.
    pub fn accept(&mut self, time: Time) {
        let day = day_of(time).max(1);
        self.changed = true;
        self.book.told.values_mut().flatten().filter(|mark| **mark == day).for_each(|mark| *mark = ACCEPTED);
    }

    /// What was told was told to nobody: it is told again.
    pub fn forget(&mut self) {
        self.book = Book::default();
        self.changed = true;
    }

    /// What must be stored, if it has changed since the last call.
    pub fn take_changed(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.changed).then(|| postcard::to_stdvec(&self.book).unwrap_or_default())
    }

    /// Puts back what [`Stocktaking::take_changed`] gave.
    pub fn load(&mut self, stored: &[u8]) {
        if let Ok(book) = postcard::from_bytes(stored) {
            self.book = book;
        }
    }
}
