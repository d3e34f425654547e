//! Words for findings: what was seen, what is usual, how sure, what to do. Names come from the dictionary; no literal ever does.

use crate::alert::{Finding, Source};
use crate::baseline::aftermath::Growth;
use crate::baseline::network::{Prefix, is_internal, of_key};
use crate::baseline::usual::Entry;
use crate::baseline::{Class, scope_object, scope_operation};
use crate::detect::{self, Fact, Mode};
use crate::event::{Kind, Time};
use crate::identity::dictionary::Dictionary;
use crate::identity::origin::Origins;
use crate::observation::{Evidence, Network, Violations};
use crate::token::WordId;

/// A finding that adds less to the score, in nats, is not worth a number.
const LEAST: f64 = 0.05;

const EMPTIED: &str = "look what it reads; a leaked token is emptied at full speed";

/// What a rule says of itself.
#[derive(Debug, Clone, Default)]
pub struct RuleWords {
    pub title: String,
    /// What it counts, after the number: `different names within 6 h`.
    pub counted: Option<String>,
}

/// What explanations draw on.
pub struct Explainer<'a> {
    pub dictionary: &'a Dictionary,
    pub rules: &'a [RuleWords],
    /// What the inventory declares for the token, in words.
    pub declared: &'a dyn Fn(crate::token::TokenId, Violations) -> Option<String>,
    /// Where addresses come from, if that is to be said.
    pub origins: Option<&'a Origins>,
}

impl Explainer<'_> {
    pub fn network(&self, network: Network) -> String {
        match network {
            Network::Ip(ip) => ip.to_string(),
            Network::Local => "the local socket".to_owned(),
            Network::Name(word) => self.dictionary.word(word).to_string(),
        }
    }

    pub fn prefix(&self, prefix: Prefix) -> String {
        match prefix.bits() {
            Some(bits) => format!("{}/{bits}", self.network(prefix.network())),
            None => self.network(prefix.network()),
        }
    }

    /// `203.0.113.77 (AS64500 Example Hosting, RO)`, for people; without files that know, the address alone.
    fn address(&self, network: Network) -> String {
        self.network(network) + &self.origin(network)
    }

    /// `203.0.113.0/24 (AS64500 Example Hosting, RO)`.
    fn range(&self, prefix: Prefix) -> String {
        self.prefix(prefix) + &self.origin(prefix.network())
    }

    /// ` (AS64500 Example Hosting, RO)`; empty where nothing is known.
    fn origin(&self, network: Network) -> String {
        match (network, self.origins) {
            (Network::Ip(ip), Some(origins)) => Some(origins.origin(ip).to_string()),
            _ => None,
        }
        .filter(|origin| !origin.is_empty())
        .map(|origin| format!(" ({origin})"))
        .unwrap_or_default()
    }

    pub fn scope(&self, key: u128) -> String {
        format!("{} {}", scope_operation(key), self.dictionary.word(scope_object(key)))
    }

    /// `10.1.2.0/24 (412 times, 1 to 14 Nov), ...`
    fn usual<K: Copy>(&self, entries: &[Entry<K>], name: impl Fn(K) -> String) -> String {
        if entries.is_empty() {
            return "nothing yet".to_owned();
        }
        let each = entries.iter().map(|e| format!("{} ({} times, {})", name(e.key), e.count, days(e.first_day, e.last_day)));
        each.collect::<Vec<_>>().join(", ")
    }

    /// The finding as it leaves the process.
    pub fn explain(&self, found: &detect::Finding) -> Finding {
        let (observed, expected, advice) = self.words(found);
        Finding {
            detector: found.detector.to_string(),
            severity: found.severity,
            confidence: found.confidence,
            score: found.score(),
            observed,
            expected,
            bound: (found.bound * 1e6).round() / 1e6,
            evidence: vec![source_of(&found.seen.at)],
            attack: found.attack.iter().map(ToString::to_string).collect(),
            advice,
            weight: found.weighed.filter(|w| w.score - w.without >= LEAST).map(|w| {
                let then = if w.without < w.threshold { "; without it, no alert" } else { "" };
                format!("{:.1} of a score of {:.1}; alerts begin at {:.1}{then}", w.score - w.without, w.score, w.threshold)
            }),
            behaviour: found.keys.iter().map(|key| format!("{key:016x}")).collect(),
        }
    }

    /// The attack that findings of unusual use look like most, beside what would be harmless.
    pub fn resemblance(&self, findings: &[detect::Finding]) -> Option<String> {
        let weighed = findings.iter().find_map(|found| found.weighed)?;
        let ((attack, sure), (harmless, likely)) = (weighed.attack, weighed.harmless);
        let share = |share: f64| format!("{:.0} %", 100.0 * share);
        Some(format!("{attack} ({} among attacks); were it harmless, {harmless} ({})", share(sure), share(likely)))
    }

    /// ` from 10.0.0.9`, ` from 10.0.0.9 on public.users` and the like.
    fn place(&self, found: &detect::Finding) -> String {
        let mut text = String::new();
        if let Some(network) = found.seen.network {
            text.push_str(" from ");
            text.push_str(&self.address(network));
        }
        text.push_str(&self.database(found));
        text
    }

    /// `, database app`
    fn database(&self, found: &detect::Finding) -> String {
        found.seen.database.map(|word| format!(", database {}", self.dictionary.word(word))).unwrap_or_default()
    }

    /// `select on public.users, public.orders`
    fn act(&self, found: &detect::Finding) -> String {
        let objects: Vec<String> = found.seen.scopes.iter().take(4).map(|s| self.dictionary.word(s.object).to_string()).collect();
        match found.seen.kind {
            Kind::Login => "a login".to_owned(),
            Kind::LoginFailed => "a refused login".to_owned(),
            Kind::Logout => "a disconnect".to_owned(),
            _ if objects.is_empty() => found.seen.operation.to_string(),
            _ => format!("{} on {}", found.seen.operation, objects.join(", ")),
        }
    }

    fn words(&self, found: &detect::Finding) -> (String, String, String) {
        let act = self.act(found);
        let place = self.place(found);
        let history = format!(
            "in {} active {} since {}",
            found.active_days,
            if found.active_days == 1 { "day" } else { "days" },
            date(crate::baseline::day_of(found.first_seen))
        );
        let ask = "ask the owner of the token; if nobody knows, revoke it and read what it did since".to_owned();
        match &found.fact {
            Fact::Policy(bit) => {
                let (what, change) = match *bit {
                    Violations::NETWORK => {
                        ("used outside its declared networks", "add the network to `networks` in the inventory if it is right")
                    }
                    Violations::SCOPE => {
                        ("used outside its declared scope", "add the operation and object to `scope` in the inventory if it is right")
                    }
                    Violations::HOURS => ("used outside its declared hours", "widen `hours` in the inventory if it is right"),
                    Violations::EXPIRED => ("used after it expired", "rotate the token and update `expires_at`"),
                    Violations::REVOKED => {
                        ("used after it was revoked", "the revocation did not take effect: find out where the token still works")
                    }
                    _ => ("a canary was touched", "nobody has a reason to use it: treat this as a break-in"),
                };
                let expected = (self.declared)(found.seen.token, *bit).unwrap_or_else(|| "declared in the inventory".to_owned());
                (format!("{what}: {act}{place}"), expected, change.to_owned())
            }
            Fact::NewNetwork { usual, internal, new_country } => {
                let network = found.network().map(|n| self.address(n)).unwrap_or_default();
                let unknown = found.network().is_none_or(|n| self.origin(n).is_empty());
                let from = match (*internal, *new_country) {
                    (false, true) => ", a country that it never came from",
                    (false, false) if unknown => " (outside the internal networks)",
                    _ => "",
                };
                let stays = if !internal && usual.iter().all(|e| is_internal(e.key.network())) { "only internal networks: " } else { "" };
                (
                    format!("first use from {network}{from}: {act}{}", self.database(found)),
                    format!("{stays}{} {history}", self.usual(usual, |p| self.range(p))),
                    ask,
                )
            }
            Fact::NewAddress { usual } => (
                format!("first use of this address{place}: {act}"),
                format!("{} {history}", self.usual(usual, |key| self.address(of_key(key)))),
                ask,
            ),
            Fact::NewClient { usual } => (
                format!("first use of the client software {}: {act}{place}", found.seen.client.map(|c| self.quoted(c)).unwrap_or_default()),
                format!("{} {history}", self.usual(usual, |c| self.quoted(c))),
                ask,
            ),
            Fact::NewScope { operation, object, object_known, usual } => {
                let known = if *object_known { "the object is known, the operation is not" } else { "an object it never touched" };
                (
                    format!("first {operation} on {}{place} ({known})", self.dictionary.word(*object)),
                    format!("{} {history}", self.usual(usual, |key| self.scope(key))),
                    ask,
                )
            }
            Fact::Unpopular => {
                (format!("a network that no other token uses{place}: {act}"), "networks that several tokens share".to_owned(), ask)
            }
            Fact::NewOperation { class, earlier } => {
                let what = match class {
                    Class::Read => "read",
                    Class::Change => "change of data",
                    Class::Definition => "definition of an object",
                    Class::Catalog => "look into the system catalogs",
                    Class::Privilege => "grant or change of an account",
                    Class::Bulk => "copy of a whole table",
                    Class::Removal => "drop or truncate",
                };
                let when = if *earlier { " earlier today, then" } else { "" };
                (format!("first {what} at all{when}{place}: {act}"), format!("never {history}"), ask)
            }
            Fact::Sensitive { object } => {
                (format!("first look at {}, which sounds sensitive{place}", self.dictionary.word(*object)), format!("never {history}"), ask)
            }
            Fact::NewStatement { count, unheard_of } => {
                let what = if *count == 1 {
                    "a statement that it never sent".to_owned()
                } else {
                    format!("{count} statements that it never sent")
                };
                let who = if *unheard_of { ", of a kind that nobody sends" } else { "" };
                (format!("{what}{who}{place}: {act}"), format!("the statements of its programs {history}"), ask)
            }
            Fact::Denied { objects } => {
                let what = if *objects == 1 { "was refused an object".to_owned() } else { format!("was refused {objects} objects") };
                (format!("{what}{place}: {act}"), format!("hardly ever {history}"), ask)
            }
            Fact::Errors { count } => (format!("{count} new statements failed{place}: {act}"), format!("hardly ever {history}"), ask),
            Fact::Concurrent { other, travel: None } => {
                (format!("used{place} within ten minutes of {}: {act}", self.range(*other)), format!("one place at a time {history}"), ask)
            }
            Fact::Concurrent { other, travel: Some(journey) } => (
                format!(
                    "used{place} within {} of {}, {} km away, so at {} km/h: {act}",
                    minutes(journey.minutes),
                    self.range(*other),
                    thousands(journey.km),
                    thousands(journey.km_per_hour)
                ),
                format!("one place at a time {history}"),
                "ask whether the owner used a VPN; if not, somebody else has the token: revoke it".to_owned(),
            ),
            Fact::Escalation(Growth { today, most, days }) => (
                format!("what an alert of the last weeks reported goes on, and grows: {today} uses today{place}: {act}"),
                format!("at most {most} a day on {days} days since that alert"),
                "answer the open alert: dismiss it if its owner says that all is well; if not, revoke the token".to_owned(),
            ),
            Fact::Dormant { days, longest } => {
                (format!("used after {days} days of silence{place}: {act}"), format!("at most {longest} days of silence {history}"), ask)
            }
            Fact::UnusualHour { hour, usual } => {
                let hours: Vec<String> = (0..24).filter(|h| usual & (1 << h) != 0).map(|h: u32| format!("{h:02}")).collect();
                (format!("used at {hour:02} h UTC: {act}{place}"), format!("hours {} UTC {history}", hours.join(" ")), ask)
            }
            Fact::Rate { minutes, count, record, chance } => {
                let (within, busiest) = if *minutes == 60 { ("one hour", "hour") } else { ("ten minutes", "ten minutes") };
                (
                    format!("{count} queries in {within}{place}"),
                    format!("{record} in the busiest {busiest} {history}{}", expected(*chance)),
                    EMPTIED.to_owned(),
                )
            }
            Fact::Rows { rows, record, chance } => (
                format!("{rows} rows in one hour{place}: {act}"),
                format!("{record} in the hour with the most {history}{}", expected(*chance)),
                EMPTIED.to_owned(),
            ),
            Fact::Rule { index, count, .. } => {
                let words = self.rules.get(usize::from(*index)).cloned().unwrap_or_default();
                let title = if words.title.is_empty() { found.detector.to_string() } else { words.title };
                let times = words.counted.filter(|_| *count > 1).map(|what| format!(", {count} {what}")).unwrap_or_default();
                let observed = format!("{title}: {act}{place}{times}");
                match found.about_place() {
                    Some(_) => (
                        observed,
                        "a name or two, of those who work from there".to_owned(),
                        "block the address if it is not yours, and see that none of its logins succeeded".to_owned(),
                    ),
                    None => (observed, "never, for a token like this one".to_owned(), ask),
                }
            }
        }
    }

    fn quoted(&self, word: WordId) -> String {
        format!("\"{}\"", self.dictionary.word(word))
    }

    /// One sentence for an alert: who, what, where, and why it is unusual.
    pub fn summary(&self, token: &str, findings: &[Finding], mode: Mode) -> String {
        let Some(first) = findings.iter().max_by(|a, b| (a.severity, a.confidence).cmp(&(b.severity, b.confidence))) else {
            return token.to_owned();
        };
        let more = match findings.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more finding{})", n - 1, if n > 2 { "s" } else { "" }),
        };
        // A declared limit needs no learning, so that the token learns is beside the point.
        let learning = if mode == Mode::Learning && !first.detector.starts_with("policy.") { "; the token is still learning" } else { "" };
        format!("{token}: {}{more}{learning}", first.observed)
    }
}

/// Whom a finding is about: a token's name, or `(address 203.0.113.9)`, `(network 203.0.113.0/24)` where it is about no token.
pub fn subject(found: &detect::Finding, dictionary: &Dictionary) -> String {
    let Some(place) = found.about_place() else { return dictionary.token(found.seen.token).to_string() };
    let kind = if place.is_wide() { "network" } else { "address" };
    let bits = place.bits().map(|bits| format!("/{bits}")).unwrap_or_default();
    let explainer = Explainer { dictionary, rules: &[], declared: &|_, _| None, origins: None };
    format!("({kind} {}{bits})", explainer.network(place.network()))
}

/// Where the record stands, as alerts say it.
pub fn source_of(at: &Evidence) -> Source {
    match at.partition.key.strip_prefix("kafka:") {
        Some(_) => {
            let (topic, number) = at.partition.label.rsplit_once('/').unwrap_or((at.partition.label.as_str(), "0"));
            Source::Kafka { topic: topic.to_owned(), partition: number.parse().unwrap_or(0), offset: at.offset }
        }
        None => Source::File { file: at.partition.label.clone(), offset: at.offset },
    }
}

/// `1 minute`, `1 h 12 min`.
fn minutes(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (0, 1) => "1 minute".to_owned(),
        (0, minutes) => format!("{minutes} minutes"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// How often so much is expected, where that is known.
fn expected(chance: Option<f64>) -> String {
    match chance.map(|chance| 1.0 / chance.max(1e-9)) {
        None => String::new(),
        Some(days) if days < 10.0 => "; so many are nothing rare".to_owned(),
        Some(days) if days >= 1e6 => "; so many are expected on less than one day in a million".to_owned(),
        // One digit is all that so few days tell.
        Some(days) => {
            let unit = 10f64.powi(days.log10().floor() as i32);
            format!("; so many are expected on one day in {}", thousands(((days / unit).round() * unit) as u32))
        }
    }
}

/// `1,234`.
fn thousands(number: u32) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (more, rest) => format!("{},{rest:03}", thousands(more)),
    }
}

fn date(day: u16) -> String {
    Time(i64::from(day) * Time::DAY).to_string().chars().take(10).collect()
}

fn days(first: u16, last: u16) -> String {
    if first == last { format!("on {}", date(first)) } else { format!("{} to {}", date(first), date(last)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_so_much_is_expected() {
        for (chance, want) in [
            (None, ""),
            (Some(0.4), "; so many are nothing rare"),
            (Some(1.0 / 4_321.0), "; so many are expected on one day in 4,000"),
            (Some(0.0), "; so many are expected on less than one day in a million"),
        ] {
            assert_eq!(expected(chance), want);
        }
    }
}
