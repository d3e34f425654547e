//! The share of a log's statements that name a token, and the alert when it falls: a log that no longer says who acts is as good as none,
//! whether its settings were changed, a pooler was put in between, or somebody floods it with what looks forged.
//!
//! Counted in hours of event time, a log at a time, so that the same log gives the same alerts however it is read.

use serde::{Deserialize, Serialize};

use super::{Alert, Finding, Severity, Source};
use crate::event::Time;
use crate::position::Partition;

/// Statements after which a window tells something. A window with fewer goes on into the next hours, up to [`LONGEST`].
const ENOUGH: u64 = 64;
/// Statements that must be known of the time before.
const KNOWN: u64 = 256;
/// Hours that a window may last.
const LONGEST: i64 = 24;
/// A window that is over weighs as much as all since then once this many more are over.
const MEMORY: u64 = 48;
/// The least fall that counts, as a share of all statements.
const CLEARLY: f64 = 0.2;
/// Natural logarithm of the odds against a fall by chance (Hoeffding's bound), one to a thousand million.
const ODDS: f64 = 20.7;
/// Hours after which a low share is taken for the usual one.
const GIVEN_UP: i64 = 7 * 24;

/// What is remembered of one log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The hour in which the window began; 0 where there is none.
    hour: i64,
    queries: u64,
    attributed: u64,
    /// The same of windows that are over, the older the less.
    usual: (u64, u64),
    /// The hour since which the share is low and has been told.
    low_since: Option<i64>,
}

/// The share has fallen.
#[derive(Debug, Clone, PartialEq)]
pub struct Fall {
    pub time: Time,
    /// Of the window so far, and of the time before.
    pub now: f64,
    pub before: f64,
    pub queries: u64,
    /// The hour in which the window began.
    pub hour: i64,
}

impl Share {
    /// Counts one statement, attributed or not.
    pub fn count(&mut self, time: Time, attributed: bool) -> Option<Fall> {
        let hour = time.0.div_euclid(Time::HOUR);
        // What is a little late belongs to the window; a clock that was set back begins a new one.
        if self.hour == 0 || hour < self.hour - LONGEST {
            self.hour = hour;
        } else if hour > self.hour && (self.queries >= ENOUGH || hour - self.hour >= LONGEST) {
            self.close();
            self.hour = hour;
        }
        self.queries += 1;
        self.attributed += u64::from(attributed);
        if self.queries < ENOUGH || !self.queries.is_power_of_two() || self.low_since.is_some() || !self.is_low() {
            return None;
        }
        self.low_since = Some(hour);
        let (now, before) = (self.share(), self.usual_share());
        Some(Fall { time, now, before, queries: self.queries, hour: self.hour })
    }

    fn close(&mut self) {
        // What was told is not learned, unless it lasts.
        let low = self.queries >= ENOUGH && self.is_low();
        let lasting = self.low_since.is_some_and(|since| self.hour - since >= GIVEN_UP);
        if !low || lasting {
            if self.queries >= ENOUGH {
                self.low_since = None;
            }
            if lasting {
                self.usual = (0, 0);
            }
            let (queries, attributed) = self.usual;
            self.usual = (queries - queries / MEMORY + self.queries, attributed - attributed / MEMORY + self.attributed);
        }
        (self.queries, self.attributed) = (0, 0);
    }

    fn share(&self) -> f64 {
        self.attributed as f64 / self.queries.max(1) as f64
    }

    fn usual_share(&self) -> f64 {
        let (queries, attributed) = self.usual;
        attributed.min(queries) as f64 / queries.max(1) as f64
    }

    fn is_low(&self) -> bool {
        let fall = self.usual_share() - self.share();
        self.usual.0 >= KNOWN && fall >= CLEARLY && 2.0 * self.queries as f64 * fall * fall >= ODDS
    }
}

/// The alert of a fall in the log of `partition`, noticed at the record at `offset`. Its id depends on the log and the hour. It names no token,
/// so nothing is ever revoked for it.
pub fn alert_of(fall: &Fall, partition: &Partition, log: &str, offset: u64) -> Alert {
    let mut hasher = blake3::Hasher::new_derive_key("tokenwatch attributed share v1");
    for part in [partition.source.as_bytes(), log.as_bytes(), &fall.hour.to_le_bytes()] {
        hasher.update(part);
        hasher.update(&[0]);
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(32);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let observed = format!("{} of {} statements in {} name a token", percent(fall.now), fall.queries, partition.label);
    let expected = format!("{} did before", percent(fall.before));
    let place = match partition.label.rsplit_once('/').filter(|_| partition.key.starts_with("kafka:")) {
        Some((topic, number)) => Source::Kafka { topic: topic.to_owned(), partition: number.parse().unwrap_or(0), offset },
        None => Source::File { file: partition.label.clone(), offset },
    };
    let finding = Finding {
        detector: "attribution".to_owned(),
        severity: Severity::Medium,
        confidence: 90,
        score: 0.0,
        observed: observed.clone(),
        expected: expected.clone(),
        bound: 0.0,
        evidence: vec![place.clone()],
        attack: vec!["T1562".to_owned()],
        advice: "see with `tokenwatch decode` why: settings of the log that were changed, a pooler in between, sessions whose start is missing, \
                 or records that may be forged"
            .to_owned(),
        weight: None,
        behaviour: Vec::new(),
    };
    let token = format!("(log of {})", partition.source);
    let summary = format!("{token}: only {observed}; {expected}");
    Alert::about_log(id, fall.time, token, summary, finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours of statements, each with a share in percent that names a token, spread evenly; the hours in which a fall was told.
    fn falls(hours: &[(u64, u64)]) -> Vec<usize> {
        let mut share = Share::default();
        let mut told = Vec::new();
        for (hour, (queries, percent)) in hours.iter().enumerate() {
            for n in 0..*queries {
                // Stored and put back at every statement: nothing changes.
                share = postcard::from_bytes(&postcard::to_stdvec(&share).unwrap()).unwrap();
                let time = Time((1000 + hour as i64) * Time::HOUR + n as i64 * Time::SECOND);
                told.extend(share.count(time, (n * 37 + 13) % 100 < *percent).map(|_| hour));
            }
        }
        told
    }

    #[test]
    fn a_fall_is_told_once_and_again_after_a_recovery() {
        let usual = [(300, 100); 5];
        assert_eq!(falls(&[&usual[..], &[(300, 0); 3], &[(300, 100); 3], &[(300, 30); 2]].concat()), [5, 11]);
        assert_eq!(falls(&[&usual[..], &[(64, 0)]].concat()), [5], "it does not wait for the end of the hour");
        assert_eq!(falls(&[&[(300, 60); 5][..], &[(300, 10)]].concat()), [5]);
    }

    #[test]
    fn what_is_no_fall() {
        assert!(falls(&[(300, 100), (300, 85), (300, 90), (300, 95), (300, 82)]).is_empty());
        assert!(falls(&[(300, 0); 8]).is_empty(), "it was never better");
        assert!(falls(&[&[(300, 0); 3][..], &[(300, 100); 3]].concat()).is_empty(), "it got better");
        assert!(falls(&[(100, 100), (64, 0)]).is_empty(), "too little is known");
        assert!(falls(&[&[(300, 100); 3][..], &[(20, 0)]].concat()).is_empty(), "too few statements");
    }

    #[test]
    fn quiet_logs_are_watched_over_several_hours() {
        assert_eq!(falls(&[&[(10, 100); 100][..], &[(10, 0); 14]].concat()).len(), 1);
    }

    #[test]
    fn what_lasts_becomes_usual() {
        let told = falls(&[&[(300, 100); 5][..], &[(300, 50); 200], &[(300, 5); 2]].concat());
        assert_eq!(told, [5, 205]);
    }

    #[test]
    fn clocks_that_jump() {
        let mut share = Share::default();
        for n in 0..300 {
            assert_eq!(share.count(Time(1000 * Time::HOUR + n), true), None);
        }
        assert_eq!(share.count(Time(i64::MAX), true), None);
        for n in 0..62 {
            assert_eq!(share.count(Time(1001 * Time::HOUR + n), false), None);
        }
        assert!(share.count(Time(i64::MIN), false).is_some());
    }

    #[test]
    fn the_alert_is_the_same_however_often_it_is_made() {
        let fall = Fall { time: Time(Time::DAY), now: 0.1, before: 0.98, queries: 128, hour: 24 };
        let partition = Partition { source: "pg".into(), key: "file:1".into(), label: "/var/log/pg.log".into() };
        let alert = alert_of(&fall, &partition, "/var/log/pg.log", 7);
        assert_eq!(alert.summary, "(log of pg): only 10 % of 128 statements in /var/log/pg.log name a token; 98 % did before");
        assert_eq!(alert.id, alert_of(&fall, &Partition { key: "file:2".into(), ..partition }, "/var/log/pg.log", 7).id);
        assert!(!alert.authenticated && !alert.tamper_proof, "no responder may act on it");
    }
}
