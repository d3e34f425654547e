//! Standing exceptions: which of them covers a finding, and the smallest one that would cover an alert.

use serde::{Deserialize, Serialize};

use super::explain::subject;
use crate::config::Suppression;
use crate::detect::{Fact, Finding};
use crate::event::{Address, Time};
use crate::identity::dictionary::Dictionary;
use crate::observation::{Network, Violations};

/// Days that a proposed exception lasts.
const LASTS: i64 = 90;
/// Longer lists are written one value a line.
const LINE: usize = 80;
/// Objects that a proposed exception names; a statement on more of them is excused on any.
const OBJECTS: usize = 8;

impl Suppression {
    /// The finding is excused.
    pub fn covers(&self, found: &Finding, dictionary: &Dictionary) -> bool {
        let seen = &found.seen;
        seen.time < self.until
            && self.detectors.iter().any(|detector| detector.matches(found.detector.as_bytes()))
            && self.token.matches(subject(found, dictionary).as_bytes())
            && self.networks.as_ref().is_none_or(|networks| {
                seen.network.is_some_and(|network| match network {
                    Network::Ip(ip) => networks.contain(Address::Ip(ip)),
                    Network::Local => networks.contain(Address::Local),
                    Network::Name(word) => networks.contain(Address::Name(dictionary.word(word).as_bytes().into())),
                })
            })
            && (self.objects.is_empty()
                || !seen.scopes.is_empty()
                    && seen.scopes.iter().all(|scope| {
                        let object = dictionary.word(scope.object);
                        self.objects.iter().any(|pattern| pattern.names(&object))
                    }))
    }
}

/// The smallest exception that covers an alert, for the operator to copy once the owner has said that all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub token: String,
    pub detectors: Vec<String>,
    /// Empty: the findings are not bound to one place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Empty: not all of the findings have objects, or they have many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    #[serde(with = "super::rfc3339")]
    pub until: Time,
}

impl Proposal {
    /// Covers these findings, which are about one token.
    pub fn of(findings: &[Finding], dictionary: &Dictionary) -> Option<Self> {
        let first = findings.first()?;
        // Nobody has a reason to touch a canary.
        if findings.iter().any(|found| matches!(found.fact, Fact::Policy(Violations::CANARY))) {
            return None;
        }
        let mut proposal = Proposal {
            token: subject(first, dictionary),
            detectors: Vec::new(),
            networks: Vec::new(),
            objects: Vec::new(),
            until: Time(first.seen.time.0.saturating_add(LASTS * Time::DAY)),
        };
        let everywhere = findings.iter().any(|found| found.seen.network.is_none());
        let anything = findings.iter().any(|found| found.seen.scopes.is_empty());
        for found in findings {
            remember(&mut proposal.detectors, &found.detector);
            if let Some(network) = found.seen.network.filter(|_| !everywhere) {
                let name = match network {
                    Network::Ip(ip) => ip.to_string(),
                    Network::Local => "local".to_owned(),
                    Network::Name(word) => dictionary.word(word).to_string(),
                };
                remember(&mut proposal.networks, &name);
            }
            for scope in found.seen.scopes.iter().filter(|_| !anything) {
                remember(&mut proposal.objects, &dictionary.word(scope.object));
            }
        }
        if proposal.objects.len() > OBJECTS {
            proposal.objects.clear();
        }
        Some(proposal)
    }

    /// Covers what either covers.
    pub fn and(mut self, other: Proposal) -> Self {
        let both = |mine: &mut Vec<String>, others: Vec<String>, bound: bool| {
            if mine.is_empty() || others.is_empty() {
                mine.clear();
            } else {
                others.iter().for_each(|each| remember(mine, each));
            }
            if bound && mine.len() > OBJECTS {
                mine.clear();
            }
        };
        both(&mut self.detectors, other.detectors, false);
        both(&mut self.networks, other.networks, true);
        both(&mut self.objects, other.objects, true);
        self.until = self.until.max(other.until);
        self
    }

    /// As a section of the configuration.
    pub fn toml(&self) -> String {
        // Names are somebody's to choose: a star in one must not excuse all others.
        let quoted = |text: &str| toml::Value::from(text.replace('*', "?")).to_string();
        let mut out = format!("[[suppression]]\ntoken = {}\n", quoted(&self.token));
        for (key, texts) in [("detectors", &self.detectors), ("networks", &self.networks), ("objects", &self.objects)] {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            match texts.iter().map(|text| text.len() + 2).sum::<usize>() {
                0 => {}
                short if short <= LINE => out.push_str(&format!("{key} = [{}]\n", texts.join(", "))),
                _ => out.push_str(&format!("{key} = [\n    {},\n]\n", texts.join(",\n    "))),
            }
        }
        let until: String = self.until.to_string().chars().take(10).collect();
        out.push_str(&format!("until = {until}T00:00:00Z\nauthor = \"\"\nreason = \"\"\n"));
        out
    }
}

fn remember(list: &mut Vec<String>, text: &str) {
    if !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::detect::Mode;
    use crate::event::Operation;
    use crate::observation::{Evidence, Observation, Scope};
    use crate::position::Partition;
    use crate::token::{TokenId, WordId};

    fn suppression(text: &str) -> Suppression {
        crate::config::parse(text, "tokenwatch.toml", Path::new("."), &[]).unwrap().suppressions.remove(0)
    }

    fn found(dictionary: &Dictionary, detector: &'static str, address: &str, objects: &[&str]) -> Finding {
        let token = TokenId::of(b"billing");
        dictionary.add_token(token, "billing");
        let scope = |object: &&str| {
            let word = WordId::of(object.as_bytes());
            dictionary.add_word(word, object);
            Scope { operation: Operation::Select, object: word }
        };
        let partition = Arc::new(Partition { source: "s".into(), key: "k".into(), label: "l".into() });
        Finding {
            detector: detector.into(),
            severity: crate::severity::Severity::Medium,
            confidence: 50,
            bound: 0.01,
            fact: Fact::Unpopular,
            mode: Mode::Enforcing,
            attack: Default::default(),
            keys: Default::default(),
            active_days: 9,
            first_seen: Time(0),
            weighed: None,
            seen: Observation {
                network: Some(Network::Ip(address.parse().unwrap())),
                scopes: objects.iter().map(scope).collect(),
                ..Observation::bare(token, Time(20_000 * Time::DAY), Evidence { partition, offset: 0, len: 1 })
            },
        }
    }

    const WRITTEN: &str = "[[suppression]]\ntoken = \"bill*\"\ndetectors = [\"new_*\"]\nauthor = \"ann\"\nreason = \"moved\"\n";

    #[test]
    fn an_exception_covers_what_it_names_and_nothing_else() {
        let dictionary = Dictionary::default();
        let narrow = format!("{WRITTEN}networks = [\"203.0.113.0/24\"]\nobjects = [\"hr.*\"]\nuntil = 2030-01-01\n");
        let narrow = suppression(&narrow);
        for (detector, address, objects, covered) in [
            ("new_network", "203.0.113.9", &["hr.pay", "hr.staff"][..], true),
            ("rule.full_export", "203.0.113.9", &["hr.pay"], false),
            ("new_network", "203.0.114.9", &["hr.pay"], false),
            ("new_network", "203.0.113.9", &["hr.pay", "shop.orders"], false),
            ("new_network", "203.0.113.9", &[], false),
        ] {
            let found = found(&dictionary, detector, address, objects);
            assert_eq!(narrow.covers(&found, &dictionary), covered, "{detector} {address} {objects:?}");
        }
        let expired = suppression(&format!("{WRITTEN}until = 2024-10-01\n"));
        assert!(!expired.covers(&found(&dictionary, "new_network", "203.0.113.9", &["hr.pay"]), &dictionary));
    }

    #[test]
    fn the_proposal_covers_its_alert_and_not_the_next_place() {
        let dictionary = Dictionary::default();
        let first = [found(&dictionary, "new_network", "203.0.113.9", &["hr.pay"])];
        let later = [found(&dictionary, "new_scope", "203.0.113.9", &["hr.staff"])];
        let proposal = Proposal::of(&first, &dictionary).unwrap().and(Proposal::of(&later, &dictionary).unwrap());
        let filled = proposal.toml().replace("author = \"\"", "author = \"ann\"").replace("reason = \"\"", "reason = \"moved\"");
        let suppression = suppression(&filled);
        assert!(first.iter().chain(&later).all(|found| suppression.covers(found, &dictionary)), "{filled}");
        let elsewhere = found(&dictionary, "new_network", "203.0.113.10", &["hr.pay"]);
        assert!(!suppression.covers(&elsewhere, &dictionary), "{filled}");
    }
}
