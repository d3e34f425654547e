//! Conditions of the inventory: what is wrong with a token as such, whatever it does. Pure, by the day of event time.

use std::time::Duration;

use super::inventory::Entry;
use crate::config::Checks;
use crate::config::problem::suggest;
use crate::event::Time;

/// What may be wrong with a token. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Condition {
    /// It is used, and not declared.
    Unknown,
    NoOwner,
    /// Past its end, and not revoked.
    Expired,
    NotRotated,
    Idle,
    /// Used from many addresses.
    Shared,
}

/// Number of [`Condition`]s.
pub const CONDITIONS: usize = 6;

impl Condition {
    /// With the names that people write and read.
    pub const ALL: [(&str, Condition); CONDITIONS] = [
        ("unknown", Condition::Unknown),
        ("no_owner", Condition::NoOwner),
        ("expired", Condition::Expired),
        ("not_rotated", Condition::NotRotated),
        ("idle", Condition::Idle),
        ("shared", Condition::Shared),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, condition)| *condition == self).map_or("", |(name, _)| name)
    }

    /// # Errors
    /// Names the words that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, condition)| *condition);
        found.ok_or_else(|| format!("no finding is called \"{text}\"; {}", suggest(text, Self::ALL.iter().map(|(name, _)| *name))))
    }
}

/// A set of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions(u8);

impl Conditions {
    pub fn contains(self, condition: Condition) -> bool {
        self.0 & (1 << condition as u8) != 0
    }

    pub fn insert(&mut self, condition: Condition) {
        self.0 |= 1 << condition as u8;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Condition> {
        Condition::ALL.into_iter().map(|(_, condition)| condition).filter(move |condition| self.contains(*condition))
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(all: I) -> Self {
        let mut set = Conditions::default();
        all.into_iter().for_each(|condition| set.insert(condition));
        set
    }
}

/// What the logs say of a token.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub first_seen: Time,
    pub last_seen: Time,
    /// Addresses within the last seven days.
    pub addresses: u32,
}

/// The time of a judgement, which is the time of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The first event of all tokens: nothing is known of the time before.
    pub since: Time,
    pub now: Time,
}

impl Moment {
    /// The begin of the day: within a day nothing expires or grows idle, so that it is not told at odd hours.
    fn today(self) -> Time {
        Time(i64::from(self.now.day()).saturating_mul(Time::DAY))
    }

    fn past(self, begin: Time, period: Duration) -> bool {
        let period = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
        self.today().0.saturating_sub(begin.0) >= period
    }
}

/// What is wrong with a token that is declared, used, or both.
pub fn conditions(entry: Option<&Entry>, usage: Option<&Usage>, moment: Moment, checks: &Checks) -> Conditions {
    let mut found = Conditions::default();
    if !checks.kept {
        return found;
    }
    let mut check = |wrong: bool, condition: Condition| {
        if wrong && entry.is_none_or(|entry| !entry.accept.contains(condition)) {
            found.insert(condition);
        }
    };
    check(checks.unknown && entry.is_none() && usage.is_some(), Condition::Unknown);
    let ended = |end: Option<Time>| end.is_some_and(|end| end <= moment.now);
    let revoked = entry.is_some_and(|entry| ended(entry.revoked_at));
    // Of what nobody may use, or what was ended in order, there is nothing to say.
    if revoked || entry.is_some_and(|entry| entry.canary) {
        return found;
    }
    check(checks.no_owner && entry.is_some_and(|entry| entry.owner.is_none()), Condition::NoOwner);
    if entry.is_some_and(|entry| ended(entry.expires_at)) {
        check(checks.expired, Condition::Expired);
        return found;
    }
    let period = entry.and_then(|entry| entry.rotate_every).or(checks.not_rotated);
    let age = period.zip(rotated(entry, usage));
    check(age.is_some_and(|(period, begin)| moment.past(begin, period)), Condition::NotRotated);
    let last_used = usage.map_or(moment.since, |usage| usage.last_seen);
    check(checks.idle.is_some_and(|period| moment.past(last_used, period)), Condition::Idle);
    let addresses = usage.map_or(0, |usage| usage.addresses);
    check(checks.shared.is_some_and(|many| addresses >= many), Condition::Shared);
    found
}

/// Since when the secret has been the same, as far as is known: since it was declared rotated, or at least since its first use.
pub fn rotated(entry: Option<&Entry>, usage: Option<&Usage>) -> Option<Time> {
    entry.and_then(|entry| entry.rotated_at).or(usage.map(|usage| usage.first_seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::moment;
    use crate::identity::inventory::Inventory;

    const INVENTORY: &str = r#"
[[token]]
name = "fine"
owner = "a"
[[token]]
name = "nobody's"
[[token]]
name = "ended"
owner = "a"
expires_at = 2026-06-01T12:00:00Z
[[token]]
name = "revoked"
expires_at = 2026-01-01
revoked_at = 2026-01-02
[[token]]
name = "bait"
canary = true
[[token]]
name = "old"
owner = "a"
rotate_every = "30d"
[[token]]
name = "rotated"
owner = "a"
rotate_every = "30d"
rotated_at = 2026-05-20
[[token]]
name = "night watch"
owner = "a"
accept = ["idle", "shared"]
"#;

    fn found(name: &str, usage: Option<(&str, &str, u32)>, now: &str, checks: &Checks) -> String {
        let inventory = Inventory::parse(INVENTORY, "tokens.toml").unwrap();
        let entry = inventory.by_name(name).and_then(|at| inventory.get(at));
        let usage =
            usage.map(|(first, last, addresses)| Usage { first_seen: moment(first).unwrap(), last_seen: moment(last).unwrap(), addresses });
        let at = Moment { since: moment("2026-01-01").unwrap(), now: moment(now).unwrap() };
        let names: Vec<&str> = conditions(entry, usage.as_ref(), at, checks).iter().map(Condition::name).collect();
        names.join(" ")
    }

    #[test]
    fn each_condition() {
        let checks = Checks { kept: true, ..Checks::default() };
        let day = Some(("2026-06-01", "2026-06-01", 1));
        for (name, usage, now, expected) in [
            ("fine", day, "2026-06-02", ""),
            ("stranger", day, "2026-06-02", "unknown"),
            ("nobody's", day, "2026-06-02", "no_owner"),
            ("nobody's", None, "2026-02-01", "no_owner"),
            ("ended", day, "2026-06-01T11:00:00Z", ""),
            ("ended", day, "2026-06-01T12:00:00Z", "expired"),
            ("ended", None, "2026-12-01", "expired"),
            ("revoked", day, "2026-06-02", ""),
            ("bait", None, "2026-12-01", ""),
            ("old", Some(("2026-05-01", "2026-06-01", 1)), "2026-05-30", ""),
            ("old", Some(("2026-05-01", "2026-06-01", 1)), "2026-06-01", "not_rotated"),
            ("old", None, "2026-03-01", ""),
            ("rotated", Some(("2026-01-01", "2026-06-01", 1)), "2026-06-01", ""),
            ("rotated", Some(("2026-01-01", "2026-06-01", 1)), "2026-06-20", "not_rotated"),
            ("fine", day, "2026-08-30", "idle"),
            ("fine", day, "2026-08-29T23:59:59Z", ""),
            // Declared and never used: idle since the first event of all.
            ("fine", None, "2026-03-31", ""),
            ("fine", None, "2026-04-01", "idle"),
            ("fine", Some(("2026-06-01", "2026-06-01", 50)), "2026-06-01", "shared"),
            ("night watch", Some(("2026-06-01", "2026-06-01", 90)), "2026-12-01", ""),
            ("stranger", Some(("2026-06-01", "2026-06-01", 90)), "2026-12-01", "unknown idle shared"),
        ] {
            assert_eq!(found(name, usage, now, &checks), expected, "{name} {usage:?} {now}");
        }
    }

    #[test]
    fn each_can_be_switched_off_and_without_an_inventory_all_are() {
        let used = Some(("2026-01-01", "2026-01-01", 90));
        let all = Checks { kept: true, not_rotated: Some(Duration::from_secs(86_400)), ..Checks::default() };
        assert_eq!(found("stranger", used, "2026-12-01", &all), "unknown not_rotated idle shared");
        assert_eq!(found("stranger", used, "2026-12-01", &Checks { unknown: false, ..all.clone() }), "not_rotated idle shared");
        assert_eq!(found("stranger", used, "2026-12-01", &Checks { idle: None, shared: None, ..all.clone() }), "unknown not_rotated");
        assert_eq!(found("nobody's", None, "2026-02-01", &Checks { no_owner: false, ..all.clone() }), "");
        assert_eq!(found("ended", None, "2026-12-01", &Checks { expired: false, ..all.clone() }), "");
        assert_eq!(found("stranger", used, "2026-12-01", &Checks { kept: false, ..all }), "");
    }
}
