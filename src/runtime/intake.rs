//! The intake: deliveries of sources in, observations out. Owns the stream of every partition and the attribution.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rulebook::Rulebook;
use crate::alert::Alert;
use crate::alert::share::{self, Share};
use crate::config;
use crate::decoder::stream::{Item, Legacy, Stream};
use crate::decoder::{self, Decoded, Options};
use crate::event::{Kind, Time};
use crate::identity::dictionary::Dictionary;
use crate::identity::lease::Bound;
use crate::observation::{Evidence, Observation};
use crate::observe::Attributor;
use crate::position::Partition;
use crate::source::log_name::Generation;
use crate::source::{Chunk, Delivery, Gap, Trouble};

/// How a source's bytes are to be read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    pub format: Option<&'static decoder::Format>,
    pub options: Options,
}

impl Reading {
    /// As the configuration says.
    pub fn of(source: &config::Source) -> Self {
        Reading { format: source.format.as_deref().and_then(decoder::by_name), options: source.options.clone() }
    }
}

/// What the intake tells of its work besides observations. All methods do nothing unless overridden.
pub trait Watch {
    /// A record was decoded.
    fn item(&mut self, _partition: &Arc<Partition>, _item: &Item<'_>, _attributed: bool) {}
    /// The share of a log's statements that name a token has fallen. So many observations of this call come before it.
    fn fall(&mut self, _alert: Alert, _before: usize) {}
    fn gap(&mut self, _gap: &Gap) {}
    fn trouble(&mut self, _trouble: &Trouble) {}
    fn bytes(&mut self, _partition: &Arc<Partition>, _bytes: usize) {}
}

/// Watches nothing.
pub struct Unwatched;
impl Watch for Unwatched {}

/// Closed logs whose sessions are kept for their next file.
const ENDED: usize = 64;

struct Lane {
    partition: Arc<Partition>,
    /// The log of which it is a file.
    log: String,
    stream: Stream,
    /// How much of it names a token.
    share: Share,
    /// It has handed out accounts by name.
    leases: bool,
    /// Read to its end; forgotten once that is checkpointed.
    closed: bool,
    /// Something has come since the last checkpoint.
    moved: bool,
}

/// One partition's part of a checkpoint, before the source adds what only it knows.
pub struct Mark {
    pub partition: Arc<Partition>,
    pub offset: u64,
    pub state: Vec<u8>,
    pub closed: bool,
}

/// What is stored with a partition's position.
#[derive(Serialize, Deserialize)]
struct Kept {
    layout: u8,
    stream: Vec<u8>,
    share: Share,
    /// Of a log that hands out accounts: which, to whom.
    bound: Bound,
}

/// Of [`Kept`]; state of another layout is dropped.
const LAYOUT: u8 = 1;

/// What a log leaves to its next file: open sessions, how much of it names a token, whether it hands out accounts.
type Estate = (Legacy, Share, bool);

impl Kept {
    fn read(state: &[u8]) -> Option<Self> {
        postcard::from_bytes::<Kept>(state).ok().filter(|kept| kept.layout == LAYOUT)
    }
}

impl Lane {
    fn save(&self, attributor: &Attributor) -> Vec<u8> {
        let bound = if self.leases { attributor.bound().clone() } else { Bound::default() };
        let kept = Kept { layout: LAYOUT, stream: self.stream.save(), share: self.share.clone(), bound };
        postcard::to_stdvec(&kept).unwrap_or_default()
    }
}

/// Decodes and attributes what sources deliver.
pub struct Intake {
    lanes: BTreeMap<String, Lane>,
    readings: BTreeMap<String, Reading>,
    attributor: Attributor,
    /// State of partitions at the last checkpoint, until their first delivery.
    stored: BTreeMap<String, (u64, Vec<u8>)>,
    /// Open sessions at the end of logs that are closed, by source and log, for the file that follows after a rotation.
    ended: BTreeMap<(String, String), Estate>,
    /// When what is taken in now was written at the latest.
    written: Option<Time>,
}

impl Intake {
    pub fn new(rulebook: &Rulebook, dictionary: Arc<Dictionary>) -> Self {
        Intake {
            lanes: BTreeMap::new(),
            readings: rulebook.config.sources.iter().map(|s| (s.name.clone(), Reading::of(s))).collect(),
            attributor: Attributor::new(rulebook.inventory.clone(), rulebook.rules.clone(), dictionary),
            stored: BTreeMap::new(),
            ended: BTreeMap::new(),
            written: None,
        }
    }

    /// What is taken in from now on was written at this time at the latest.
    pub fn set_written(&mut self, written: Option<Time>) {
        self.written = written;
    }

    /// How the bytes of a source that is not in the configuration are to be read.
    pub fn set_reading(&mut self, source: &str, reading: Reading) {
        self.readings.insert(source.to_owned(), reading);
    }

    /// Decoder state that was stored for a partition at this offset.
    pub fn restore(&mut self, key: &str, offset: u64, state: Vec<u8>) {
        // Who an account was made for must be known before its log goes on.
        if let Some(kept) = Kept::read(&state) {
            self.attributor.bind(kept.bound);
        }
        self.stored.insert(key.to_owned(), (offset, state));
    }

    pub fn reload(&mut self, rulebook: &Rulebook) {
        self.readings = rulebook.config.sources.iter().map(|s| (s.name.clone(), Reading::of(s))).collect();
        self.attributor.reload(rulebook.inventory.clone(), rulebook.rules.clone());
    }

    /// Forgets all partitions, as a restart of the process would, and keeps their state for sources that start anew.
    pub fn restart(&mut self) {
        for (key, lane) in std::mem::take(&mut self.lanes) {
            let state = lane.save(&self.attributor);
            self.stored.insert(key, (lane.stream.offset(), state));
        }
    }

    /// Takes one delivery in; appends the observations that it completes.
    pub fn take(&mut self, delivery: &Delivery, out: &mut Vec<Observation>, watch: &mut dyn Watch) {
        match delivery {
            Delivery::Chunk(chunk) => self.chunk(chunk, out, watch),
            Delivery::Gap(gap) => watch.gap(gap),
            Delivery::Trouble(trouble) => watch.trouble(trouble),
            Delivery::Idle(partition) => self.flush(partition, false, out, watch),
            Delivery::Closed(partition) => self.flush(partition, true, out, watch),
        }
    }

    fn chunk(&mut self, chunk: &Chunk, out: &mut Vec<Observation>, watch: &mut dyn Watch) {
        let key = &chunk.partition.key;
        if !self.lanes.contains_key(key) {
            let reading = self.readings.get(&chunk.partition.source).cloned().unwrap_or_default();
            let mut stream = Stream::new(reading.format, reading.options, chunk.offset);
            // State belongs to its offset: a source that begins elsewhere begins afresh.
            let (mut share, mut leases) = (Share::default(), false);
            match self.stored.remove(key) {
                Some((offset, state)) if offset == chunk.offset => {
                    if let Some(kept) = Kept::read(&state) {
                        stream.restore(&kept.stream);
                        (share, leases) = (kept.share, !kept.bound.is_empty());
                    }
                }
                // Sessions that were opened in the file before go on in this one.
                _ if chunk.offset == 0 && !chunk.message => {
                    if let Some((sessions, before, hands_out)) = self.estate(&chunk.partition) {
                        stream.inherit(sessions);
                        (share, leases) = (before, hands_out);
                    }
                }
                _ => {}
            }
            let log = Generation::of(&chunk.partition.label).log;
            let lane = Lane { partition: chunk.partition.clone(), log, stream, share, leases, closed: false, moved: true };
            self.lanes.insert(key.clone(), lane);
        }
        let Some(lane) = self.lanes.get_mut(key) else { return };
        lane.moved = true;
        if let Some(written) = self.written {
            lane.stream.set_written(written);
        }
        watch.bytes(&lane.partition, chunk.bytes.len());
        let attributor = &mut self.attributor;
        let mut taking = Taking { partition: &lane.partition, log: &lane.log, share: &mut lane.share, leases: &mut lane.leases };
        let mut sink = |item: Item<'_>| taking.item(attributor, &item, out, watch);
        if chunk.message {
            lane.stream.message(chunk.offset, &chunk.bytes, &mut sink);
        } else {
            lane.stream.feed(&chunk.bytes, &mut sink);
        }
    }

    /// What the log of which this partition is the next file leaves to it.
    fn estate(&mut self, partition: &Partition) -> Option<Estate> {
        let log = Generation::of(&partition.label).log;
        let open = self.lanes.values().rev().find(|lane| lane.partition.source == partition.source && lane.log == log);
        let ended = self.ended.remove(&(partition.source.clone(), log));
        open.and_then(|lane| Some((lane.stream.sessions()?, lane.share.clone(), lane.leases))).or(ended)
    }

    fn flush(&mut self, partition: &Arc<Partition>, closed: bool, out: &mut Vec<Observation>, watch: &mut dyn Watch) {
        let Some(lane) = self.lanes.get_mut(&partition.key) else { return };
        lane.moved = true;
        lane.closed |= closed;
        let attributor = &mut self.attributor;
        let mut taking = Taking { partition: &lane.partition, log: &lane.log, share: &mut lane.share, leases: &mut lane.leases };
        let mut sink = |item: Item<'_>| taking.item(attributor, &item, out, watch);
        if closed {
            lane.stream.close(&mut sink);
            if let Some(sessions) = lane.stream.sessions() {
                // Closed logs that nobody follows are forgotten, one for one.
                if self.ended.len() >= ENDED {
                    self.ended.pop_first();
                }
                self.ended.insert((lane.partition.source.clone(), lane.log.clone()), (sessions, lane.share.clone(), lane.leases));
            }
        } else {
            lane.stream.pause(&mut sink);
        }
    }

    /// Where every partition stands that has moved since the last call. Closed partitions are handed out once more and forgotten.
    pub fn marks(&mut self) -> Vec<Mark> {
        let mut marks = Vec::new();
        for lane in self.lanes.values_mut().filter(|lane| lane.moved) {
            lane.moved = false;
            let state = if lane.closed { Vec::new() } else { lane.save(&self.attributor) };
            marks.push(Mark { partition: lane.partition.clone(), offset: lane.stream.offset(), state, closed: lane.closed });
        }
        self.lanes.retain(|_, lane| !lane.closed);
        marks
    }
}

/// Where the records of a lane go.
struct Taking<'a> {
    partition: &'a Arc<Partition>,
    log: &'a str,
    share: &'a mut Share,
    leases: &'a mut bool,
}

impl Taking<'_> {
    fn item(&mut self, attributor: &mut Attributor, item: &Item<'_>, out: &mut Vec<Observation>, watch: &mut dyn Watch) {
        let mut attributed = false;
        if let Decoded::Event(event) = &item.decoded
            && event.kind != Kind::Other
        {
            *self.leases |= event.lease.is_some();
            let at = Evidence { partition: self.partition.clone(), offset: item.offset, len: item.len };
            if let Some(observation) = attributor.observe(event, at, item.forgeable) {
                attributed = observation.acting;
                out.push(observation);
            }
            if event.kind == Kind::Query
                && let Some(fall) = self.share.count(event.time, attributed)
            {
                watch.fall(share::alert_of(&fall, self.partition, self.log, item.offset), out.len());
            }
        }
        watch.item(self.partition, item, attributed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Network;

    /// A session whose address only its first line tells.
    const LOG: [&str; 4] = [
        "2026-11-22 02:05:17.641 UTC [1013] [unknown]@[unknown] LOG:  connection received: host=10.1.0.7 port=48478\n",
        "2026-11-22 02:05:17.642 UTC [1013] web@app LOG:  connection authorized: user=web database=app\n",
        "2026-11-22 02:05:18.000 UTC [1013] web@app LOG:  statement: select 1 from a\n",
        "2026-11-22 02:05:19.000 UTC [1013] web@app LOG:  statement: select 1 from b\n",
    ];

    /// The addresses of the observations of a log that was rotated before these lines, read under these names.
    fn addresses(cut: usize, old: &str, new: &str) -> Vec<Option<Network>> {
        let rulebook = Rulebook::new(config::Config::default(), Default::default(), Default::default(), Default::default());
        let mut intake = Intake::new(&rulebook, Arc::new(Dictionary::default()));
        let mut out = Vec::new();
        for (label, lines) in [(old, &LOG[..cut]), (new, &LOG[cut..])] {
            let partition = Arc::new(Partition { source: "s".into(), key: format!("file:{label}:{cut}"), label: label.into() });
            let chunk = Chunk { partition: partition.clone(), offset: 0, bytes: lines.concat().into_bytes(), message: false };
            intake.take(&Delivery::Chunk(chunk), &mut out, &mut Unwatched);
            intake.take(&Delivery::Closed(partition), &mut out, &mut Unwatched);
        }
        out.iter().map(|seen| seen.network).collect()
    }

    #[test]
    fn sessions_go_on_after_a_rotation() {
        let here = Some(Network::Ip("10.1.0.7".parse().unwrap()));
        for cut in 1..LOG.len() {
            assert_eq!(addresses(cut, "pg.log.1", "pg.log"), [here; 3], "rotated before line {cut}");
            assert_eq!(addresses(cut, "pg-2026-11-22.log", "pg-2026-11-23.log"), [here; 3]);
        }
        assert_eq!(addresses(2, "other.log", "pg.log"), [here, None, None], "another log's sessions");
    }

    /// Alerts about the log itself.
    #[derive(Default)]
    struct Falls(Vec<Alert>);

    impl Watch for Falls {
        fn fall(&mut self, alert: Alert, _: usize) {
            self.0.push(alert);
        }
    }

    /// Hours of statements with a user, then some without.
    fn fading() -> Vec<u8> {
        let mut log = String::new();
        for n in 0..700 {
            let who = if n < 500 { r#","user":"web""# } else { "" };
            log += &format!("{{\"time\":\"2026-11-22T{:02}:{:02}:00Z\"{who},\"query\":\"select 1 from a\"}}\n", n / 60, n % 60);
        }
        log.into_bytes()
    }

    #[test]
    fn a_log_that_stops_naming_its_users_is_an_alert_however_it_is_read() {
        let rulebook = Rulebook::new(config::Config::default(), Default::default(), Default::default(), Default::default());
        let read = |cut: usize, rotated: bool| {
            let (log, mut falls, mut out) = (fading(), Falls::default(), Vec::new());
            let mut intake = Intake::new(&rulebook, Arc::new(Dictionary::default()));
            let part = |key: &str, label: &str| Arc::new(Partition { source: "pg".into(), key: key.into(), label: label.into() });
            let chunk = |partition: Arc<Partition>, offset: usize, bytes: &[u8]| {
                Delivery::Chunk(Chunk { partition, offset: offset as u64, bytes: bytes.to_vec(), message: false })
            };
            let first = part("file:1", if rotated { "pg.log.1" } else { "pg.log" });
            intake.take(&chunk(first.clone(), 0, &log[..cut]), &mut out, &mut falls);
            let (next, from) = match rotated {
                true => {
                    intake.take(&Delivery::Closed(first), &mut out, &mut falls);
                    (part("file:2", "pg.log"), 0)
                }
                // A restart from what is stored with the position.
                false => {
                    let marks = intake.marks();
                    intake = Intake::new(&rulebook, Arc::new(Dictionary::default()));
                    let from = marks.first().map_or(0, |mark| mark.offset);
                    marks.into_iter().for_each(|mark| intake.restore(&mark.partition.key, mark.offset, mark.state));
                    (first, from)
                }
            };
            let rest = if rotated { cut } else { from as usize };
            intake.take(&chunk(next.clone(), from as usize, &log[rest..]), &mut out, &mut falls);
            intake.take(&Delivery::Closed(next), &mut out, &mut falls);
            falls.0
        };
        let whole = read(fading().len(), false);
        let [alert] = whole.as_slice() else { panic!("{whole:?}") };
        assert!(alert.summary.contains("name a token") && alert.token == "(log of pg)", "{}", alert.summary);
        let line = fading().iter().position(|b| *b == b'\n').unwrap() + 1;
        for lines in [100, 300, 499, 520, 560] {
            let cut = fading().iter().enumerate().filter(|(_, b)| **b == b'\n').nth(lines - 1).unwrap().0 + 1;
            assert_eq!(read(cut, false), whole, "restarted after {lines} lines");
            assert_eq!(read(cut - line / 2, false), whole, "restarted inside line {lines}");
            let rotated = read(cut, true);
            assert_eq!(rotated.iter().map(|a| &a.id).collect::<Vec<_>>(), [&alert.id], "rotated after {lines} lines");
        }
    }

    /// A Vault log names an account, is rotated, and the daemon is started anew: the account is still its role's, before that log goes on.
    #[test]
    fn who_an_account_was_made_for_is_known_after_a_restart() {
        let rulebook = Rulebook::new(config::Config::default(), Default::default(), Default::default(), Default::default());
        let issued = r#"{"time":"2026-11-22T02:21:28Z","type":"response","auth":{"display_name":"approle-ci"},"request":{"id":"1","operation":"read","path":"db/creds/ro","remote_address":"10.1.0.7"},"response":{"secret":{"lease_id":"db/creds/ro/x"},"data":{"username":"custom_17"}}}"#;
        let later = r#"{"time":"2026-11-22T02:22:28Z","type":"request","request":{"id":"2","operation":"read","path":"db/x"}}"#;
        let used = r#"{"time":"2026-11-22T02:23:28Z","user":"custom_17","query":"select 1 from a"}"#;
        let part = |key: &str, label: &str| Arc::new(Partition { source: "s".into(), key: key.into(), label: label.into() });
        let line = |partition: &Arc<Partition>, line: &str| {
            Delivery::Chunk(Chunk { partition: partition.clone(), offset: 0, bytes: format!("{line}\n").into_bytes(), message: false })
        };
        let (old, new, db) = (part("file:1", "audit.log.1"), part("file:2", "audit.log"), part("file:3", "app.jsonl"));
        let mut intake = Intake::new(&rulebook, Arc::new(Dictionary::default()));
        for delivery in [line(&old, issued), Delivery::Closed(old.clone()), line(&new, later), Delivery::Idle(new.clone())] {
            intake.take(&delivery, &mut Vec::new(), &mut Unwatched);
        }
        let marks = intake.marks();
        let mut intake = Intake::new(&rulebook, Arc::new(Dictionary::default()));
        for mark in marks.into_iter().filter(|mark| !mark.closed) {
            intake.restore(&mark.partition.key, mark.offset, mark.state);
        }
        let mut out = Vec::new();
        intake.take(&line(&db, used), &mut out, &mut Unwatched);
        intake.take(&Delivery::Closed(db), &mut out, &mut Unwatched);
        assert_eq!(out.iter().map(|seen| seen.token).collect::<Vec<_>>(), [crate::token::TokenId::of(b"vault:approle-ci/ro")]);
    }
}
