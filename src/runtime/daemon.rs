//! The daemon: the only file that knows every part. Starts the stages from the store to the sources, and stops them the other way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, bounded};
use tokio::signal::unix::{SignalKind, signal};

use super::consequences::consequences;
use super::couriers::Couriers;
use super::feedback::Inbox;
use super::intake::Intake;
use super::judge::Judge;
use super::keeper::{Keeper, Parcel};
use super::pipeline::{Census, Control, IntakeThread, start_judge};
use super::quarantine::Quarantine;
use super::rulebook::Rulebook;
use super::systemd;
use super::watch::{LastSeen, Meter};
use crate::clock::{Clock, System};
use crate::config::{self, Problem, SourceKind};
use crate::http::{self, Health};
use crate::identity::condition::Condition;
use crate::identity::dictionary::Dictionary;
use crate::position::{Checkpoint, Position};
use crate::source::file::FileSource;
use crate::source::kafka;
use crate::source::stdin::StdinSource;
use crate::source::syslog;
use crate::source::{Bookmarks, Delivery, Opened, Stop};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::Metrics;
use crate::token::TokenId;

/// Chunks (of at most 256 KiB) that wait for the intake.
const DELIVERIES: usize = 32;
/// Batches that wait to be judged.
const BATCHES: usize = 64;
/// Parcels that wait for the keeper.
const PARCELS: usize = 256;
/// A source that gives nothing for this long is named in the log.
const SILENT: Duration = Duration::from_secs(15 * 60);
/// Stages are given this long to end before the process ends without them; nothing is lost, it is read again.
const GRACE: Duration = Duration::from_secs(20);

/// The bookmarks of each source, by its name.
type AllBookmarks = BTreeMap<String, Arc<dyn Bookmarks>>;

/// Sources of one generation of the configuration.
struct Running {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    names: Vec<String>,
}

/// A running daemon.
struct Daemon {
    path: Option<PathBuf>,
    rulebook: Arc<ArcSwap<Rulebook>>,
    clock: Arc<System>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    last_seen: LastSeen,
    deliveries: Sender<Delivery>,
    control: Sender<Control>,
    parcels: Sender<Parcel>,
    stored: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    census: Arc<Census>,
    /// Beaten by the intake at least every 200 ms.
    pulse: Arc<AtomicU64>,
    sources: Running,
    intake: JoinHandle<()>,
    judge: JoinHandle<()>,
    keeper: JoinHandle<Result<(), StoreError>>,
    couriers: Couriers,
    inbox: Inbox,
}

/// Why the daemon ended otherwise than by a signal; in words: what failed, where, what to do.
#[derive(Debug)]
pub enum Ended {
    /// A person must change the configuration; starting again would end the same way.
    Misconfigured(String),
    /// Starting again may help: the service manager should.
    Failed(String),
}

impl From<String> for Ended {
    fn from(message: String) -> Self {
        Ended::Failed(message)
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// See [`Ended`].
pub async fn run(path: Option<PathBuf>) -> Result<(), Ended> {
    let rulebook = load_rulebook(path.as_deref()).map_err(Ended::Misconfigured)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| e.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;

    let listener = match rulebook.config.http {
        Some(listen) => Some(http::bind(listen).await?),
        None => None,
    };
    let mut daemon = Daemon::start(path, rulebook)?;
    let (stop_http, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = listener.map(|listener| {
        let refresh = daemon.refresher();
        let (metrics, health) = (daemon.metrics.clone(), daemon.health.clone());
        tokio::spawn(http::serve(listener, metrics, health, refresh, async {
            let _ = stopped.await;
        }))
    });
    daemon.health.ready.store(true, Ordering::SeqCst);
    daemon.health.alive.store(true, Ordering::SeqCst);
    systemd::ready("watching");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), sources = daemon.sources.names.len(), "ready");

    let mut tick = tokio::time::interval(systemd::watchdog().map_or(Duration::from_secs(5), |every| every / 3).min(Duration::from_secs(5)));
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let mut failed = None;
    let mut pulse = 0;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => daemon.reload().await,
            _ = look.tick() => daemon.take_orders(),
            _ = tick.tick() => {
                daemon.look_for_silence();
                if daemon.keeper.is_finished() || daemon.couriers.broken() {
                    failed = Some("the store failed".to_owned());
                    break;
                }
                if daemon.intake.is_finished() || daemon.judge.is_finished() {
                    failed = Some("a stage of the pipeline has ended; this is a bug, please report it with the log".to_owned());
                    break;
                }
                // A full disk is waited out, and a restart would not help; a stage that stands still for no such reason is not alive.
                let full = daemon.metrics.store_full.get() != 0;
                let beat = daemon.pulse.load(Ordering::Relaxed);
                daemon.health.alive.store(!full, Ordering::SeqCst);
                if full || beat != pulse {
                    systemd::alive();
                }
                pulse = beat;
            }
        }
    }
    systemd::stopping();
    daemon.health.ready.store(false, Ordering::SeqCst);
    tracing::info!("stopping");
    let ended = daemon.stop().await;
    let _ = stop_http.send(());
    if let Some(server) = server {
        let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    }
    match (ended, failed) {
        (Err(error), _) => Err(error.into()),
        (Ok(()), Some(failed)) => Err(failed.into()),
        (Ok(()), None) => Ok(()),
    }
}

/// The rulebook, if it is sound and names something to read; else all that is wrong with it, a problem a line.
fn load_rulebook(path: Option<&Path>) -> Result<Arc<Rulebook>, String> {
    let told = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let rulebook = Rulebook::load(path).map_err(told)?;
    rulebook.settings.origins.verify().map_err(told)?;
    if rulebook.config.sources.is_empty() {
        return Err(format!("nothing to read: add a [[source]] to {}", shown(path)));
    }
    for remark in rulebook.settings.origins.remarks(System::default().now()) {
        tracing::warn!("{remark}");
    }
    Ok(rulebook)
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| "a configuration file and name it with --config".to_owned(), |p| p.display().to_string())
}

/// The offset that a checkpoint's decoder state belongs to.
fn offset_of(position: &Position) -> u64 {
    match position {
        Position::File(file) => file.offset,
        Position::Kafka { offset } => u64::try_from(*offset).unwrap_or(0),
    }
}

/// Starts the threads of all sources at their checkpoints.
fn start_sources(
    sources: &[config::Source],
    checkpoints: &[Checkpoint],
    out: &Sender<Delivery>,
) -> Result<(Running, AllBookmarks), String> {
    let stop = Stop::default();
    let (mut threads, mut names, mut bookmarks) = (Vec::new(), Vec::new(), BTreeMap::new());
    for source in sources {
        let resume: Vec<Checkpoint> = checkpoints.iter().filter(|c| c.source == source.name).cloned().collect();
        let (running, marks): Opened = match &source.kind {
            SourceKind::File { include, exclude, start } => FileSource::new(
                source.name.clone(),
                include.clone(),
                exclude.clone(),
                *start,
                resume,
                crate::source::file::Tuning::default(),
            ),
            SourceKind::Kafka(settings) => kafka::new(&source.name, settings, resume)?,
            SourceKind::Stdin => StdinSource::new(source.name.clone()),
            SourceKind::Syslog(settings) => syslog::new(&source.name, settings)?,
        };
        let (out, stop) = (out.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name(format!("source-{}", source.name))
            .spawn(move || running.run(out, stop))
            .map_err(|error| format!("cannot start the source {}: {error}", source.name))?;
        threads.push(thread);
        names.push(source.name.clone());
        bookmarks.insert(source.name.clone(), marks);
    }
    Ok((Running { stop, threads, names }, bookmarks))
}

impl Running {
    fn stop(self) {
        self.stop.stop();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a source has failed; this is a bug, please report it with the log");
            }
        }
    }
}

impl Daemon {
    fn start(path: Option<PathBuf>, rulebook: Arc<Rulebook>) -> Result<Self, String> {
        let clock = Arc::new(System::default());
        let metrics = Arc::new(Metrics::new().map_err(|e| e.to_string())?);
        let store = Store::open(&rulebook.config.state_dir).map_err(|e| e.to_string())?;
        let dictionary = Arc::new(Dictionary::default());
        let mut judge = Judge::new(rulebook.clone(), dictionary.clone());
        load(&store, &mut judge, &dictionary).map_err(|e| e.to_string())?;
        let checkpoints = store.load_checkpoints().map_err(|e| e.to_string())?;

        let (deliveries, from_sources) = bounded(DELIVERIES);
        let (control, to_intake) = bounded(4);
        let (parcels, to_keeper) = bounded(PARCELS);
        let (running, bookmarks) = start_sources(&rulebook.config.sources, &checkpoints, &deliveries)?;
        for name in &running.names {
            metrics.source_up.with_label_values(&[name]).set(1);
        }
        let rulebook_cell = Arc::new(ArcSwap::from(rulebook.clone()));
        let couriers = Couriers::start(&rulebook.config, clock.clone())?;
        let stored = Arc::new(AtomicU64::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            store,
            dictionary: dictionary.clone(),
            bookmarks,
            consequences: consequences(rulebook_cell.clone(), clock.clone(), metrics.clone()),
            stopping: stopping.clone(),
            quarantine: Quarantine::new(&rulebook.config.state_dir),
            wake: couriers.waker(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            stored: stored.clone(),
        };
        let keeper = spawn("keeper", move || keeper.run(&to_keeper))?;
        let census = Arc::new(Census::default());
        let (inbox, messages) = bounded(BATCHES);
        let judge = start_judge(judge, messages, parcels.clone(), metrics.clone(), clock.clone(), census.clone())
            .map_err(|e| format!("cannot start the judge: {e}"))?;
        let mut intake = Intake::new(&rulebook, dictionary.clone());
        for checkpoint in checkpoints {
            intake.restore(&checkpoint.key, offset_of(&checkpoint.position), checkpoint.state);
        }
        let last_seen: LastSeen = Arc::new(Mutex::new(running.names.iter().map(|name| (name.clone(), clock.monotonic())).collect()));
        let pulse = Arc::new(AtomicU64::new(0));
        let intake = IntakeThread {
            pulse: pulse.clone(),
            owed: false,
            intake,
            deliveries: from_sources,
            control: to_intake,
            judge: inbox,
            keeper: parcels.clone(),
            meter: Meter::new(metrics.clone(), last_seen.clone()),
            metrics: metrics.clone(),
            clock: clock.clone(),
        };
        let intake = intake.start().map_err(|e| format!("cannot start the intake: {e}"))?;
        metrics.reload_success.set(1);
        metrics.reload_success_time.set(clock.now().0 as f64 / 1e6);
        Ok(Daemon {
            path,
            rulebook: rulebook_cell,
            clock,
            metrics,
            health: Arc::default(),
            last_seen,
            deliveries,
            control,
            parcels,
            stored,
            stopping,
            census,
            pulse,
            sources: running,
            intake,
            judge,
            keeper,
            couriers,
            inbox: Inbox::open(&rulebook.config.state_dir).map_err(|e| e.to_string())?,
        })
    }

    /// What people have ordered beside the running daemon goes to the judge.
    fn take_orders(&mut self) {
        let control = &self.control;
        self.inbox.look(&mut |requests| !requests.is_empty() && control.try_send(Control::Obey(requests)).is_ok());
    }

    /// Brings gauges up to date before a scrape.
    fn refresher(&self) -> Arc<dyn Fn() + Send + Sync> {
        let (metrics, last_seen, clock, census) = (self.metrics.clone(), self.last_seen.clone(), self.clock.clone(), self.census.clone());
        let outbox = self.couriers.counter();
        Arc::new(move || {
            let now = clock.monotonic();
            if let Ok(seen) = last_seen.lock() {
                for (source, at) in seen.iter() {
                    metrics.source_silent_seconds.with_label_values(&[source]).set(now.saturating_sub(*at).as_secs_f64());
                }
            }
            let count = |n: &AtomicU64| i64::try_from(n.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            for (state, n) in [("learning", &census.learning), ("enforcing", &census.enforcing)] {
                metrics.tokens.with_label_values(&[state]).set(count(n));
            }
            metrics.tokens_pinned.set(count(&census.pinned));
            for ((condition, _), n) in Condition::ALL.iter().zip(&census.conditions) {
                metrics.inventory_tokens.with_label_values(&[condition]).set(count(n));
            }
            outbox(&metrics);
        })
    }

    /// A source that has fallen silent is named once, and once more when it speaks again.
    fn look_for_silence(&self) {
        let now = self.clock.monotonic();
        let Ok(mut seen) = self.last_seen.lock() else { return };
        for (source, at) in seen.iter_mut() {
            let silent = now.saturating_sub(*at);
            if silent >= SILENT && silent < SILENT + Duration::from_secs(5) {
                tracing::warn!(source = %source, minutes = silent.as_secs() / 60, "the source is silent: is the database still logging, and to the same place?");
            }
        }
    }

    /// Takes the configuration, inventory and rules as they are now. If any is wrong all stay as they were.
    async fn reload(&mut self) {
        systemd::reloading();
        match self.try_reload().await {
            Ok(()) => {
                self.metrics.reload_success.set(1);
                self.metrics.reload_success_time.set(self.clock.now().0 as f64 / 1e6);
                tracing::info!("the configuration is reloaded");
            }
            Err(why) => {
                self.metrics.reload_success.set(0);
                tracing::error!("the new configuration is not taken, the old one stays in force:\n{why}");
            }
        }
        systemd::ready("watching");
    }

    async fn try_reload(&mut self) -> Result<(), String> {
        let new = load_rulebook(self.path.as_deref())?;
        let old = self.rulebook.load_full();
        if new.config.state_dir != old.config.state_dir || new.config.http != old.config.http {
            return Err("[state] dir and [http] listen take effect only after a restart (systemctl restart tokenwatch)".to_owned());
        }
        let sources_changed = format!("{:?}", new.config.sources) != format!("{:?}", old.config.sources);
        self.couriers.reload(&new.config).await?;
        self.rulebook.store(new.clone());
        self.control.send(Control::Reload(new.clone())).map_err(|_| "the intake has ended".to_owned())?;
        if sources_changed { self.restart_sources(&new) } else { Ok(()) }
    }

    /// Stops all sources, waits until what they gave is stored, and starts the new ones where the old ones ended.
    fn restart_sources(&mut self, new: &Rulebook) -> Result<(), String> {
        let ended = "a stage of the pipeline has ended".to_owned();
        let nothing = Running { stop: Stop::default(), threads: Vec::new(), names: Vec::new() };
        std::mem::replace(&mut self.sources, nothing).stop();
        let (done, answer) = bounded(1);
        self.control.send(Control::Restart(done)).map_err(|_| ended.clone())?;
        let epoch = answer.recv_timeout(GRACE).map_err(|_| ended.clone())?;
        let deadline = self.clock.monotonic() + GRACE;
        while self.stored.load(Ordering::SeqCst) < epoch {
            if self.clock.monotonic() > deadline {
                return Err("the last positions could not be stored in time; restart the daemon".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let store = Store::open_read_only(&new.config.state_dir).map_err(|e| e.to_string())?;
        let checkpoints = store.load_checkpoints().map_err(|e| e.to_string())?;
        let (running, bookmarks) = start_sources(&new.config.sources, &checkpoints, &self.deliveries)?;
        self.parcels.send(Parcel::Sources(bookmarks)).map_err(|_| ended)?;
        self.sources = running;
        Ok(())
    }

    /// Closes the channels from the front: each stage ends when the one before it has, and has taken in all that was on its way.
    async fn stop(self) -> Result<(), String> {
        self.stopping.store(true, Ordering::SeqCst);
        let Daemon { sources, deliveries, control, parcels, intake, judge, keeper, couriers, .. } = self;
        let ended = tokio::task::spawn_blocking(move || {
            sources.stop();
            drop((deliveries, control, parcels));
            let _ = intake.join();
            let _ = judge.join();
            keeper
                .join()
                .map_err(|_| "the keeper has failed; this is a bug, please report it with the log".to_owned())?
                .map_err(|e| e.to_string())
        });
        let result = match tokio::time::timeout(GRACE, ended).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the stages did not end in time; what they had not stored is read again at the next start".to_owned()),
        };
        couriers.stop().await;
        result
    }
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, String> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| format!("cannot start the thread {name}: {error}"))
}

/// Puts names and baselines back.
pub fn load(store: &Store, judge: &mut Judge, dictionary: &Dictionary) -> Result<(), StoreError> {
    store.load_words(&mut |id, text| dictionary.load_word(id, text))?;
    store.load_tokens(&mut |id, name| dictionary.load_token(id, name))?;
    let mut unreadable = 0u64;
    store.load_baselines(&mut |token: TokenId, record: &[u8]| {
        unreadable += u64::from(!judge.load(token, record));
    })?;
    if unreadable > 0 {
        tracing::warn!(unreadable, "baselines of another version cannot be read; these tokens learn anew");
    }
    Ok(())
}
