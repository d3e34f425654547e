//! The judge: the engine and the open alerts. There is one: it judges more events a second than a host's logs hold, and what is known of all tokens
//! together has to be in one place.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rulebook::Rulebook;
use crate::alert::Alert;
use crate::alert::explain::Explainer;
use crate::alert::group::{Grouper, Open};
use crate::baseline::places::Places;
use crate::baseline::{self, Baseline};
use crate::detect::Finding;
use crate::engine::Engine;
use crate::identity::dictionary::Dictionary;
use crate::observation::Observation;
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

/// Is this stored record that of a token? Beside them stand what is known of all of them, and of places.
pub fn is_token(token: TokenId, record: &[u8]) -> bool {
    token != TokenId::FLEET && !record.is_empty() && !Places::is_record(record)
}

/// See above. Not shared: all of its state is changed by one thread.
pub struct Judge {
    engine: Engine,
    grouper: Grouper,
    rulebook: Arc<Rulebook>,
    dictionary: Arc<Dictionary>,
    findings: Vec<Finding>,
}

impl Judge {
    pub fn new(rulebook: Arc<Rulebook>, dictionary: Arc<Dictionary>) -> Self {
        Judge { engine: Engine::new(rulebook.settings.clone()), grouper: Grouper::default(), rulebook, dictionary, findings: Vec::new() }
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
        if Places::is_record(record) {
            return self.engine.load_place(record);
        }
        let Ok(read) = postcard::from_bytes::<Read>(record) else { return false };
        if read.layout != baseline::LAYOUT {
            return false;
        }
        self.engine.load(token, read.baseline);
        if let Some(open) = read.open.and_then(|open| serde_json::from_str::<Open>(&open).ok()) {
            self.grouper.load(token, open);
        }
        true
    }

    /// Changes a token's baseline by hand; `false` where there is none.
    pub fn amend(&mut self, token: TokenId, change: &mut dyn FnMut(&mut Baseline)) -> bool {
        self.engine.amend(token, change)
    }

    /// Takes observations in, in order; returns the alerts to be sent and tells `found` of every finding, and whether a standing exception
    /// keeps it from being alerted.
    pub fn step(&mut self, batch: &[Observation], found: &mut dyn FnMut(&Finding, bool)) -> Vec<Alert> {
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
        // A token with a changed alert has a changed baseline too: the finding came from an observation of it.
        self.grouper.take_dirty();
        let grouper = &self.grouper;
        self.engine.take_dirty(|token, baseline| {
            let open = grouper.get(token).and_then(|open| serde_json::to_string(open).ok());
            let written = Written { layout: baseline::LAYOUT, baseline, open };
            match postcard::to_stdvec(&written) {
                Ok(record) => out.push((token, record)),
                Err(error) => tracing::error!(?token, %error, "a baseline cannot be written"),
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;
    use crate::detect::rule::{Facts, RuleSet};
    use crate::event::{Dialect, Kind, Operation, Outcome, Time};
    use crate::identity::inventory::Inventory;
    use crate::observation::{Evidence, Network, Violations};
    use crate::position::Partition;
    use crate::token::WordId;

    fn seen(day: i64, address: &str, offset: u64) -> Observation {
        let partition = Arc::new(Partition { source: "s".into(), key: "k".into(), label: "l".into() });
        Observation {
            token: TokenId::of(b"billing"),
            time: Time(day * Time::DAY),
            kind: Kind::Query,
            operation: Operation::Select,
            outcome: Outcome::Success,
            acting: true,
            network: Some(Network::Ip(address.parse().unwrap())),
            client: None,
            database: None,
            shape: None,
            skeleton: None,
            catalog: false,
            sensitive: false,
            scopes: Default::default(),
            violations: Violations::default(),
            rules: Default::default(),
            principal: None,
            rows: None,
            forgeable: false,
            at: Evidence { partition, offset, len: 1 },
        }
    }

    /// Compiled once.
    static RULEBOOK: LazyLock<Arc<Rulebook>> =
        LazyLock::new(|| Arc::new(Rulebook::new(Config::default(), Inventory::default(), RuleSet::builtin(), Default::default())));

    fn judge() -> Judge {
        Judge::new(RULEBOOK.clone(), Arc::new(Dictionary::default()))
    }

    /// Judging in one go, or stored and put back after any of the observations, gives the same alerts and the same records.
    #[test]
    fn a_stored_record_goes_on_where_it_left_off() {
        let days: Vec<Observation> = (0..20)
            .map(|day| seen(100 + day, "10.0.0.7", day as u64))
            .chain([seen(121, "203.0.113.9", 90), seen(121, "203.0.114.9", 91), seen(125, "198.51.100.4", 92)])
            .collect();
        let mut whole = judge();
        let alerts = whole.step(&days, &mut |_, _| {});
        assert!(!alerts.is_empty());
        let end = whole.take_dirty();
        for cut in 0..days.len() {
            let (before, after) = days.split_at(cut);
            let mut first = judge();
            let mut got = first.step(before, &mut |_, _| {});
            let mut second = judge();
            for (token, record) in first.take_dirty() {
                assert!(second.load(token, &record), "the record written after {cut} observations cannot be read");
            }
            got.extend(second.step(after, &mut |_, _| {}));
            assert_eq!(got, alerts, "cut after {cut} observations");
            assert_eq!(second.take_dirty(), end, "cut after {cut} observations");
        }
    }

    /// Somebody tries a name from an address, or is in.
    fn tried(kind: Kind, name: u8, place: u8, minute: i64, offset: u64) -> Observation {
        let mut seen = seen(100, &format!("203.0.{}.{}", 113 + place / 3, place), offset);
        let name = format!("name{name}");
        (seen.token, seen.principal) = (TokenId::of(name.as_bytes()), Some(WordId::of(name.as_bytes())));
        (seen.time, seen.kind, seen.acting) = (Time(100 * Time::DAY + minute * Time::MINUTE), kind, kind != Kind::LoginFailed);
        seen.rules = RULEBOOK.rules.hits(&Facts {
            kind,
            operation: Operation::Connect,
            scopes: &[],
            outcome: Outcome::Success,
            code: None,
            principal: None,
            database: None,
            client: None,
            shape: None,
            secret: false,
            dialect: Dialect::None,
        });
        seen
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        /// The same over a restart at any place of logins that fail and succeed, wherever batches end.
        #[test]
        fn what_is_known_of_places_goes_on_where_it_left_off(
            acts in prop::collection::vec((0u8..8, 0u8..9, 0u8..5, 0i64..40), 1..120),
            cut in 0usize..120,
            batch in 1usize..9,
        ) {
            let mut minute = 0;
            let acts: Vec<Observation> = acts.iter().enumerate().map(|(at, (kind, name, place, wait))| {
                minute += wait;
                let kind = match kind { 0 => Kind::Login, 1 => Kind::Query, _ => Kind::LoginFailed };
                tried(kind, *name, *place, minute, at as u64)
            }).collect();
            let cut = cut.min(acts.len());
            let mut whole = judge();
            let alerts: Vec<Alert> = acts.chunks(batch).flat_map(|batch| whole.step(batch, &mut |_, _| {})).collect();
            let (before, after) = acts.split_at(cut);
            let mut first = judge();
            let mut got = first.step(before, &mut |_, _| {});
            let mut stored: BTreeMap<TokenId, Vec<u8>> = first.take_dirty().into_iter().collect();
            let mut second = judge();
            for (token, record) in &stored {
                prop_assert!(second.load(*token, record));
            }
            got.extend(second.step(after, &mut |_, _| {}));
            prop_assert_eq!(got, alerts);
            stored.extend(second.take_dirty());
            let end: BTreeMap<TokenId, Vec<u8>> = whole.take_dirty().into_iter().collect();
            prop_assert_eq!(stored, end);
        }
    }

    #[test]
    fn who_tries_one_name_after_the_other_is_spoken_of_once_and_so_is_every_token_that_he_gets_into() {
        let mut acts: Vec<Observation> = (0..20).map(|n| tried(Kind::LoginFailed, n, 1, i64::from(n), u64::from(n))).collect();
        acts.extend([tried(Kind::Login, 40, 1, 21, 40), tried(Kind::Query, 40, 1, 22, 41), tried(Kind::Query, 41, 1, 23, 42)]);
        let mut judge = judge();
        let alerts = judge.step(&acts, &mut |_, _| {});
        let told: Vec<(&str, &[String], u64)> =
            alerts.iter().map(|a| (a.token.as_str(), &a.detectors[..], a.time.0 as u64 / 60_000_000 % 1440)).collect();
        let stuffing = ["rule.credential_stuffing".to_owned()];
        let success = ["rule.credential_stuffing_success".to_owned()];
        let names = [40, 41].map(|n| format!("#{:?}", TokenId::of(format!("name{n}").as_bytes())));
        assert_eq!(told, [("(address 203.0.113.1)", &stuffing[..], 5), (&names[0], &success[..], 21), (&names[1], &success[..], 23)]);
        assert!(alerts[0].summary.ends_with("6 different names within 6 h"), "{}", alerts[0].summary);
        assert!(!alerts[0].authenticated && alerts[1].authenticated);
    }

    /// Whoever has a hundred thousand addresses takes no more memory than there is room for.
    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let mut one = tried(Kind::LoginFailed, 1, 1, 0, 0);
        let mut judge = judge();
        for n in 0..100_000u32 {
            one.network = Some(Network::Ip(std::net::Ipv4Addr::from(0x0b00_0000 + n * 256).into()));
            one.time = Time(one.time.0 + 1);
            judge.step(std::slice::from_ref(&one), &mut |_, _| {});
        }
        let places = judge.engine().places();
        assert_eq!((places.len(), places.forgotten()), (baseline::places::MOST, 200_000 - baseline::places::MOST as u64));
        assert!(judge.take_dirty().iter().all(|(_, record)| record.len() < 250));
    }
}
