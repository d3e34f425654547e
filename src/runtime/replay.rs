//! Old logs through the same stages as the daemon, without a store and without side effects.
//!
//! Files of one log (`x.log.1`, `x.log`; see [`Generation`]) are read one after the other, the oldest first, so that sessions go on from one to
//! the next. Several logs are merged by event time: the observation to go on with is always the earliest at the head of an input, of equals the
//! one of the input named first. Threads only move work about; the order in which observations reach the engine is fixed.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, bounded};

use super::intake::{Intake, Reading, Watch};
use super::judge::Judge;
use super::rulebook::Rulebook;
use crate::alert::Alert;
use crate::clock::{Clock, System};
use crate::decoder::Decoded;
use crate::decoder::stream::Item;
use crate::identity::dictionary::Dictionary;
use crate::observation::Observation;
use crate::position::Partition;
use crate::source::log_name::Generation;
use crate::source::replay::{self, CHUNK, Input};
use crate::source::{Chunk, Delivery};

/// Name of the source that inputs of the command line belong to.
const SOURCE: &str = "replay";

/// What a replay came to. records = events + rejects + skips.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    pub records: u64,
    pub events: u64,
    pub rejects: u64,
    pub skips: u64,
    /// Events that a client may have forged; they name no token.
    pub suspects: u64,
    pub gaps: u64,
    pub tokens: usize,
    pub alerts: u64,
    /// Findings that standing exceptions cover.
    pub suppressed: u64,
    pub seconds: f64,
    /// Inputs that could not be read to their end, in words.
    pub trouble: Vec<String>,
}

/// Counts of one input.
#[derive(Debug, Default)]
struct Tally {
    records: u64,
    events: u64,
    rejects: u64,
    skips: u64,
    suspects: u64,
    gaps: u64,
    trouble: Vec<String>,
    /// Alerts about the log itself, each with the number of observations of the batch that come before it.
    falls: VecDeque<(usize, Alert)>,
}

/// What comes out of decoding in one go.
type Batch = (Vec<Observation>, VecDeque<(usize, Alert)>);

impl Watch for Tally {
    fn fall(&mut self, alert: Alert, before: usize) {
        self.falls.push_back((before, alert));
    }

    fn item(&mut self, _: &Arc<Partition>, item: &Item<'_>, _: bool) {
        self.records += 1;
        match &item.decoded {
            Decoded::Event(event) => {
                self.events += 1;
                self.suspects += u64::from(event.suspect.is_some());
            }
            Decoded::Reject(_) => self.rejects += 1,
            Decoded::Skip(_) => self.skips += 1,
        }
    }
}

/// The files of one log on their way through decoding.
struct Lane {
    partition: Arc<Partition>,
    input: Input,
    /// The files after this one.
    next: VecDeque<(Arc<Partition>, Input)>,
    intake: Intake,
    tally: Tally,
    offset: u64,
    ended: bool,
}

/// The inputs of each log, the oldest first; logs in the order of their first input.
fn logs(inputs: &[String]) -> Vec<Vec<&str>> {
    let mut logs: Vec<Vec<(Generation, &str)>> = Vec::new();
    for path in inputs {
        let generation = Generation::of(path);
        // The same file named twice is read twice, each time by itself.
        let same = |log: &&mut Vec<(Generation, &str)>| {
            log.first().is_some_and(|(first, _)| first.log == generation.log) && log.iter().all(|(_, other)| other != path)
        };
        match logs.iter_mut().find(same) {
            Some(log) => log.push((generation, path)),
            None => logs.push(vec![(generation, path)]),
        }
    }
    for log in &mut logs {
        log.sort_by(|(one, _), (other, _)| one.order(other));
    }
    logs.into_iter().map(|log| log.into_iter().map(|(_, path)| path).collect()).collect()
}

impl Lane {
    fn inputs(&self) -> impl Iterator<Item = &Input> {
        std::iter::once(&self.input).chain(self.next.iter().map(|(_, input)| input))
    }

    /// The next observations in order; `None` at the end.
    fn next(&mut self) -> Option<Batch> {
        let mut out = Vec::new();
        while out.is_empty() && self.tally.falls.is_empty() {
            if self.ended {
                return None;
            }
            let (bytes, error) = read_chunk(&mut self.input);
            if !bytes.is_empty() {
                let len = bytes.len() as u64;
                let chunk = Chunk { partition: self.partition.clone(), offset: self.offset, bytes, message: false };
                if self.offset == 0 {
                    self.intake.set_written(self.input.written());
                }
                self.offset += len;
                self.intake.take(&Delivery::Chunk(chunk), &mut out, &mut self.tally);
            } else if error.is_none() {
                self.ended = true;
            }
            if let Some(error) = error {
                self.tally.gaps += 1;
                self.tally.trouble.push(error.to_string());
                self.ended = true;
            }
            if self.ended {
                self.intake.take(&Delivery::Closed(self.partition.clone()), &mut out, &mut self.tally);
                if let Some((partition, input)) = self.next.pop_front() {
                    (self.partition, self.input, self.offset, self.ended) = (partition, input, 0, false);
                }
            }
        }
        Some((out, std::mem::take(&mut self.tally.falls)))
    }
}

/// The next bytes of an input, a full chunk unless it is a stream or ends; empty at the end; an error comes with what was read before it.
pub fn read_chunk(input: &mut Input) -> (Vec<u8>, Option<std::io::Error>) {
    let mut bytes = vec![0; CHUNK];
    let mut filled = 0;
    // A stream may be somebody's pipe: pass on what comes. Of a file take full chunks.
    let whole = input.progress().total.is_some();
    let error = loop {
        let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) else { break None };
        match input.read(room) {
            Ok(0) => break None,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => break Some(error),
        }
        if !whole {
            break None;
        }
    };
    bytes.truncate(filled);
    (bytes, error)
}

/// An input's observations, wherever they are decoded.
enum Feed {
    Here(Box<Lane>),
    Thread { batches: Receiver<Batch>, end: Receiver<Tally> },
}

impl Feed {
    fn next(&mut self) -> Option<Batch> {
        match self {
            Feed::Here(lane) => lane.next(),
            Feed::Thread { batches, .. } => batches.recv().ok(),
        }
    }

    fn tally(self) -> Tally {
        match self {
            Feed::Here(lane) => lane.tally,
            Feed::Thread { end, .. } => end.recv().unwrap_or_default(),
        }
    }
}

/// Replays inputs through one rulebook.
pub struct Replayer {
    rulebook: Arc<Rulebook>,
    dictionary: Arc<Dictionary>,
    lanes: Vec<Lane>,
    judge: Judge,
    clock: System,
}

impl Replayer {
    /// Opens every input.
    ///
    /// # Errors
    /// Names the input that cannot be opened, and why.
    pub fn open(rulebook: Arc<Rulebook>, reading: Reading, inputs: &[String]) -> Result<Self, String> {
        let dictionary = Arc::new(Dictionary::default());
        let mut lanes = Vec::new();
        for log in logs(inputs) {
            let mut files = VecDeque::new();
            for path in log {
                let path = Path::new(path);
                files.push_back((replay::partition(SOURCE, path), replay::open(path).map_err(|error| error.to_string())?));
            }
            let Some((partition, input)) = files.pop_front() else { continue };
            let mut intake = Intake::new(&rulebook, dictionary.clone());
            intake.set_reading(SOURCE, reading.clone());
            lanes.push(Lane { partition, input, next: files, intake, tally: Tally::default(), offset: 0, ended: false });
        }
        let judge = Judge::new(rulebook.clone(), dictionary.clone());
        Ok(Replayer { rulebook, dictionary, lanes, judge, clock: System::default() })
    }

    /// Bytes of all inputs on disk, where all are known.
    pub fn total_bytes(&self) -> Option<u64> {
        self.lanes.iter().flat_map(Lane::inputs).map(|input| input.progress().total).sum()
    }

    /// The judge, to put stored baselines into before the run.
    pub fn judge_mut(&mut self) -> &mut Judge {
        &mut self.judge
    }

    pub fn dictionary(&self) -> &Arc<Dictionary> {
        &self.dictionary
    }

    pub fn rulebook(&self) -> &Arc<Rulebook> {
        &self.rulebook
    }

    /// Runs to the end of all inputs. `alert` is told of every alert in order, `progress` of the bytes read so far.
    pub fn run(self, threads: usize, alert: &mut dyn FnMut(&Alert), progress: &mut dyn FnMut(u64)) -> Summary {
        self.run_keeping(threads, alert, progress).0
    }

    /// As [`Replayer::run`]; hands back the judge with all that was learned.
    pub fn run_keeping(self, threads: usize, alert: &mut dyn FnMut(&Alert), progress: &mut dyn FnMut(u64)) -> (Summary, Judge) {
        let Replayer { lanes, mut judge, clock, .. } = self;
        let started = clock.monotonic();
        let meters: Vec<_> = lanes.iter().flat_map(Lane::inputs).map(Input::progress).collect();
        let threaded = threads > 1;
        let mut workers = Vec::new();
        let mut feeds = Vec::new();
        for lane in lanes {
            // One decoding thread for each input up to the limit; the judging thread is this one.
            if threaded && workers.len() + 1 < threads.max(2) {
                let (batches_in, batches) = bounded(4);
                let (end_in, end) = bounded(1);
                workers.push(std::thread::spawn(move || {
                    let mut lane = lane;
                    while let Some(batch) = lane.next() {
                        if batches_in.send(batch).is_err() {
                            break;
                        }
                    }
                    drop(batches_in);
                    let _ = end_in.send(lane.tally);
                }));
                feeds.push(Feed::Thread { batches, end });
            } else {
                feeds.push(Feed::Here(Box::new(lane)));
            }
        }
        let (mut alerts, mut suppressed) = (0u64, 0u64);
        let mut take = |batch: &[Observation], fall: Option<Alert>| {
            for found in judge.step(batch, &mut |_, covered| suppressed += u64::from(covered)).iter().chain(&fall) {
                alerts += 1;
                alert(found);
            }
            progress(meters.iter().map(|m| m.read.load(Ordering::Relaxed)).sum());
        };
        merge(&mut feeds, &mut take);
        if let Some(last) = judge.close() {
            alerts += 1;
            alert(&last);
        }
        let mut summary = Summary { alerts, suppressed, tokens: judge.engine().tokens(), ..Summary::default() };
        for feed in feeds {
            let tally = feed.tally();
            summary.records += tally.records;
            summary.events += tally.events;
            summary.rejects += tally.rejects;
            summary.skips += tally.skips;
            summary.suspects += tally.suspects;
            summary.gaps += tally.gaps;
            summary.trouble.extend(tally.trouble);
        }
        for worker in workers {
            if worker.join().is_err() {
                summary.trouble.push("a decoding thread failed; this is a bug, please report it with the log".to_owned());
            }
        }
        summary.seconds = (clock.monotonic() - started).as_secs_f64();
        (summary, judge)
    }
}

/// The batch of one feed that is being taken up.
#[derive(Default)]
struct Head {
    seen: VecDeque<Observation>,
    falls: VecDeque<(usize, Alert)>,
    taken: usize,
}

impl Head {
    /// Goes on to the feed's next batch that holds observations; alerts of those that hold none are told at once.
    fn refill(&mut self, feed: &mut Feed, tell: &mut dyn FnMut(Alert)) {
        while self.seen.is_empty()
            && let Some((seen, falls)) = feed.next()
        {
            (self.seen, self.falls, self.taken) = (seen.into(), falls, 0);
            if self.seen.is_empty() {
                self.falls.drain(..).for_each(|(_, alert)| tell(alert));
            }
        }
    }

    /// The alert that comes before the next observation.
    fn fall(&mut self) -> Option<Alert> {
        self.falls.front().filter(|(before, _)| *before <= self.taken)?;
        self.falls.pop_front().map(|(_, alert)| alert)
    }
}

/// Observations of all feeds in the order of their time, of equals in the order of the feeds.
fn merge(feeds: &mut [Feed], take: &mut dyn FnMut(&[Observation], Option<Alert>)) {
    if let [only] = feeds {
        while let Some((batch, falls)) = only.next() {
            let mut from = 0;
            for (before, alert) in falls {
                take(batch.get(from..before).unwrap_or_default(), Some(alert));
                from = before;
            }
            take(batch.get(from..).unwrap_or_default(), None);
        }
        return;
    }
    let mut heads: Vec<Head> = Vec::new();
    for feed in &mut *feeds {
        let mut head = Head::default();
        head.refill(feed, &mut |alert| take(&[], Some(alert)));
        heads.push(head);
    }
    let mut batch = Vec::new();
    loop {
        let times = heads.iter().enumerate().filter_map(|(at, head)| head.seen.front().map(|o| (o.time, at)));
        let Some((_, at)) = times.min() else { break };
        let (Some(head), Some(feed)) = (heads.get_mut(at), feeds.get_mut(at)) else { break };
        batch.extend(head.seen.pop_front());
        head.taken += 1;
        while let Some(alert) = head.fall() {
            take(&batch, Some(alert));
            batch.clear();
        }
        if head.seen.is_empty() {
            take(&batch, None);
            batch.clear();
            head.refill(feed, &mut |alert| take(&[], Some(alert)));
        }
    }
    take(&batch, None);
}
