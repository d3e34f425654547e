//! `tokenwatch demo`: the whole product on a bundled log. Learning, the store, judging and deciding are those of every other
//! command; only the place is special: a folder of its own, and nothing is sent.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::table::{Table, colored, width};
use super::{Failure, alerts, replay, say, tokens};
use crate::alert::{Alert, Source};
use crate::clock::{Clock, System};
use crate::identity::dictionary::Dictionary;
use crate::notifier::sign::{self, Signer};
use crate::notifier::{Message, text};
use crate::response::action::Request;
use crate::response::{ActionState, NewAction};
use crate::runtime::consequences::responses;
use crate::runtime::feedback::is_report;
use crate::runtime::intake::Reading;
use crate::runtime::judge::Judge;
use crate::runtime::replay::{Replayer, Summary};
use crate::runtime::rulebook::Rulebook;
use crate::store::{Epoch, Store};

/// See a token stolen, noticed and (in simulation) revoked.
#[derive(Debug, Args)]
pub struct Demo {
    /// Work in this new folder and keep it: configuration, inventory, logs, store, and the mail as a page
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Written by `samples/demo/generate.py`.
const LOG: &[u8] = include_bytes!("../../samples/demo/postgresql.csv.zst");
const CONFIG: &str = include_str!("../../samples/demo/tokenwatch.toml");
const INVENTORY: &str = include_str!("../../samples/demo/tokens.toml");

/// The configuration ends in its responder; what only the demo knows comes behind it.
const CONFIG_TAIL: &str = "secret_file = \"revoke.key\"\n\n[state]\ndir = \"state\"\n";

/// Made up for the demo, like everything that it protects.
const KEY: &str = "whsec_dG9rZW53YXRjaCBkZW1vIGtleSwgbm90IHNlY3JldA==\n";

/// How the last day begins in the log.
const LAST_DAY: &[u8] = b"\n2026-11-15 ";

const CONFIG_FILE: &str = "tokenwatch.toml";
const BEFORE: &str = "postgresql-2026-11-01.csv";
const LAST: &str = "postgresql-2026-11-15.csv";

/// Widest line of the output, in characters.
const WIDEST: usize = 100;

/// Where the demo works.
enum Place {
    /// Removed when it is dropped.
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Place::Temporary(dir) => dir.path(),
            Place::Kept(dir) => dir,
        }
    }
}

pub fn run(command: Demo) -> Result<(), Failure> {
    let clock = System::default();
    let started = clock.monotonic();
    let mut stdout = std::io::stdout().lock();
    say(&mut stdout, format_args!("All of Tokenwatch on fifteen days of a web shop's database log; on the last, a password is stolen."))?;
    let place = prepare(command.keep)?;
    // Written at once when the folder is gone: a reader that stops early (`| head`) must not leave it behind.
    let mut out = Vec::new();
    let result = show(&mut out, &place);
    drop(place);
    say(&mut stdout, format_args!("{}", String::from_utf8_lossy(&out).trim_end()))?;
    result?;
    eprintln!("\ndone in {:.1} s", (clock.monotonic() - started).as_secs_f64());
    Ok(())
}

/// The demo from the first day to the revocation.
fn show(out: &mut dyn Write, place: &Place) -> Result<(), Failure> {
    let dir = place.path();
    let rulebook = Rulebook::load(Some(&dir.join(CONFIG_FILE))).map_err(Failure::problems)?;
    let mut store = Store::open(&rulebook.config.state_dir).map_err(|error| error.to_string())?;

    heading(out, "1. It learns from the first fourteen days")?;
    learn(out, &rulebook, dir, &mut store)?;

    heading(out, "2. It knows the tokens (`tokenwatch tokens list`)")?;
    let mut replayer = open(&rulebook, dir, LAST)?;
    let dictionary = replayer.dictionary().clone();
    tokens::read_store(&store, replayer.judge_mut(), &dictionary).map_err(|error| error.to_string())?;
    let lines = tokens::inventory(&rulebook, replayer.judge_mut(), &dictionary);
    let table = tokens::table(&lines, replayer.judge_mut(), &dictionary);
    say(out, format_args!("{}", fitting(&table)))?;

    heading(out, "3. It watches the fifteenth day (`tokenwatch alerts list`)")?;
    let (raised, judge) = watch(out, replayer, dir, &mut store)?;

    heading(out, "4. It explains each alert (`tokenwatch alerts show ID`)")?;
    let mut told: Vec<&str> = Vec::new();
    for Raised { alert, .. } in &raised {
        if !told.contains(&&*alert.id) {
            told.push(&alert.id);
            let whole = without_folder(&alerts::whole(&judge, alert), dir);
            say(out, format_args!("{}", alerts::explain(&whole, WIDEST.min(width()))))?;
        }
    }

    heading(out, "5. It would revoke the tokens (mode = \"simulate\": decided and recorded, not sent)")?;
    respond(out, &rulebook, &raised)?;

    heading(out, "Now your own logs, as simply; nothing is stored or sent:")?;
    say(out, format_args!("    tokenwatch replay /var/log/postgresql/*.csv"))?;
    if let Place::Kept(dir) = place {
        keep_mail(dir, &raised)?;
        let config = dir.join(CONFIG_FILE);
        say(out, format_args!("\nKept in {}; try: tokenwatch alerts list --config {}", dir.display(), config.display()))?;
    }
    Ok(())
}

/// Makes the folder with all that the demo reads.
fn prepare(keep: Option<PathBuf>) -> Result<Place, Failure> {
    let place = match keep {
        None => Place::Temporary(
            tempfile::Builder::new()
                .prefix("tokenwatch-demo.")
                .tempdir()
                .map_err(|error| format!("cannot make a temporary folder: {error}; set TMPDIR to one that is writable"))?,
        ),
        Some(dir) => {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&dir)
                .map_err(|error| format!("cannot make the folder {}: {error}; --keep wants one that is not there yet", dir.display()))?;
            Place::Kept(dir)
        }
    };
    let log = zstd::decode_all(LOG).map_err(|error| format!("the bundled log is damaged: {error}; build the program again"))?;
    let end = memchr::memmem::find(&log, LAST_DAY).map_or(log.len(), |at| at + 1);
    let (before, last) = log.split_at(end);
    let config = format!("{CONFIG}{CONFIG_TAIL}");
    let files = [
        (BEFORE, before),
        (LAST, last),
        ("tokens.toml", INVENTORY.as_bytes()),
        (CONFIG_FILE, config.as_bytes()),
        ("revoke.key", KEY.as_bytes()),
    ];
    for (name, content) in files {
        let path = place.path().join(name);
        let written =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| file.write_all(content));
        written.map_err(|error| format!("cannot write {}: {error}; the demo needs 20 MB", path.display()))?;
    }
    Ok(place)
}

fn heading(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    let tinted = if colored() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() };
    say(out, format_args!("\n{tinted}\n"))
}

fn fitting(table: &Table) -> String {
    table.render(WIDEST.min(width()), colored()).trim_end().to_owned()
}

fn open(rulebook: &Arc<Rulebook>, dir: &Path, log: &str) -> Result<Replayer, Failure> {
    let path = dir.join(log).to_string_lossy().into_owned();
    Ok(Replayer::open(rulebook.clone(), Reading::default(), &[path])?)
}

/// As `tokenwatch learn`: baselines out of the log, into the store.
fn learn(out: &mut dyn Write, rulebook: &Arc<Rulebook>, dir: &Path, store: &mut Store) -> Result<(), Failure> {
    let replayer = open(rulebook, dir, BEFORE)?;
    let dictionary = replayer.dictionary().clone();
    let bar = replay::progress_bar(&replayer);
    // What the inventory has to say is in the table below.
    let mut alerts = 0;
    let (summary, mut judge) =
        replayer.run_keeping(2, &mut |alert| alerts += u64::from(!is_report(alert)), &mut |read| bar.set_position(read));
    bar.finish_and_clear();
    remember(store, &dictionary, &mut judge)?;
    let tokens = summary.tokens;
    say(
        out,
        format_args!(
            "{}: the baselines of {tokens} tokens are in the store; {} raised meanwhile",
            counts(&summary),
            counted(alerts, "alert")
        ),
    )
}

/// One epoch, as the daemon writes one every second.
fn remember(store: &mut Store, dictionary: &Dictionary, judge: &mut Judge) -> Result<(), Failure> {
    let news = dictionary.take_new();
    let epoch = Epoch {
        words: news.words.into_iter().map(|(id, text)| (id, text.to_string())).collect(),
        tokens: news.tokens.into_iter().map(|(id, name)| (id, name.to_string())).collect(),
        baselines: judge.take_dirty(),
        ..Epoch::default()
    };
    store.commit_epoch(&epoch).map_err(|error| Failure::Usage(error.to_string()))
}

fn counts(summary: &Summary) -> String {
    format!("{}, {} unparsed", counted(summary.records, "record"), summary.rejects)
}

/// `1 alert`, `2 alerts`, `no alerts`.
fn counted(n: u64, what: &str) -> String {
    match n {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// One revision of an alert as it would be sent, and what the responders do about it.
struct Raised {
    alert: Alert,
    actions: Vec<NewAction>,
    /// The same in words, as notifications carry it.
    words: Vec<String>,
}

/// The last day, judged by the baselines of the store.
fn watch(out: &mut dyn Write, replayer: Replayer, dir: &Path, store: &mut Store) -> Result<(Vec<Raised>, Judge), Failure> {
    let rulebook = replayer.rulebook().clone();
    let dictionary = replayer.dictionary().clone();
    let mut raised: Vec<Raised> = Vec::new();
    let mut failed: Option<Failure> = None;
    let mut take = |alert: &Alert| {
        let alert = without_folder(alert, dir);
        // Event time stands for the clock, so that the output is the same on every day on which the demo is run.
        let (actions, words) = responses(&rulebook, store, &alert, alert.time);
        match store.commit_alert(&alert, &[], &actions, alert.time) {
            Ok(_) => raised.push(Raised { alert, actions, words }),
            Err(error) => failed = Some(Failure::Usage(error.to_string())),
        }
    };
    let (summary, mut judge) = replayer.run_keeping(2, &mut take, &mut |_| {});
    if let Some(failed) = failed {
        return Err(failed);
    }
    remember(store, &dictionary, &mut judge)?;
    let mut table = Table::new(&["ID", "TIME", "SEVERITY", "TOKEN", "SUMMARY"]);
    for Raised { alert, .. } in &raised {
        table.severe(alert.severity, alerts::row(alert));
    }
    say(out, format_args!("{}, {}:\n\n{}", counts(&summary), counted(raised.len() as u64, "notification"), fitting(&table)))?;
    if let Some((first, last)) = span(&judge, &raised, dir) {
        let told = format!("\nThe first notification is about the login at {first}.");
        say(out, format_args!("{told}\nThe last finding, the copy of all customers, is of {last}."))?;
    }
    Ok((raised, judge))
}

/// When the first alert was sent, and the time of day of its last piece of evidence, read from the log itself.
fn span(judge: &Judge, raised: &[Raised], dir: &Path) -> Option<(String, String)> {
    let first = &raised.first()?.alert;
    let whole = alerts::whole(judge, first);
    let Some(Source::File { offset, .. }) = whole.findings.last()?.evidence.last() else { return None };
    let log = fs::read(dir.join(LAST)).ok()?;
    let record = log.get(usize::try_from(*offset).ok()?..)?;
    // 2026-11-15 02:14:25.180 UTC,...
    let last = std::str::from_utf8(record.get(11..19)?).ok()?;
    Some((first.time.to_string().get(11..19)?.to_owned(), last.to_owned()))
}

/// What the responders decided, and the first request as it would go over the wire.
fn respond(out: &mut dyn Write, rulebook: &Rulebook, raised: &[Raised]) -> Result<(), Failure> {
    let mut decided: Vec<&str> = Vec::new();
    for Raised { alert, actions, .. } in raised {
        for action in actions {
            // A later revision of an alert asks for nothing new.
            if decided.contains(&&*action.key) {
                continue;
            }
            let first = decided.is_empty();
            // A refusal is not the last word: a later finding may be what it lacked.
            if action.state != ActionState::Refused {
                decided.push(&action.key);
            }
            say(out, format_args!("{}: {} by \"{}\"", action.token, action.state.name(), action.responder))?;
            say(out, format_args!("  time     {}, with the {} notification", alert.time, alert.severity))?;
            say(out, format_args!("  reasons  {}", super::alerts::wrap(&action.reason, 88).join("\n           ")))?;
            if first && action.state == ActionState::Simulated {
                request(out, rulebook, alert, action)?;
            }
        }
    }
    Ok(())
}

fn request(out: &mut dyn Write, rulebook: &Rulebook, alert: &Alert, action: &NewAction) -> Result<(), Failure> {
    let responder = rulebook.config.responders.iter().find(|responder| responder.name == action.responder);
    let (Some(responder), Some(body)) = (responder, &action.request) else { return Ok(()) };
    let seconds = sign::seconds(alert.time);
    say(out, format_args!("  request  (the signature is that of the body without line breaks)\n"))?;
    say(out, format_args!("    POST {}\n    content-type: application/json", responder.url))?;
    say(out, format_args!("    idempotency-key: {0}\n    {1}: {0}\n    {2}: {seconds}", action.key, sign::ID, sign::TIMESTAMP))?;
    if let Some(secret) = &responder.secret {
        let signature = Signer::new(secret)?.sign(&action.key, seconds, body.as_bytes());
        say(out, format_args!("    {}: {signature}", sign::SIGNATURE))?;
    }
    let request: Request = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let pretty = serde_json::to_string_pretty(&request).map_err(|error| error.to_string())?;
    say(out, format_args!("\n    {}\n", pretty.replace('\n', "\n    ")))
}

/// File names without the folder, which has another name at each run.
fn without_folder(alert: &Alert, dir: &Path) -> Alert {
    let mut alert = alert.clone();
    let named = alert.findings.iter_mut().flat_map(|finding| &mut finding.evidence).chain(&mut alert.sources);
    for source in named {
        if let Source::File { file, .. } = source
            && let Ok(name) = Path::new(file.as_str()).strip_prefix(dir)
        {
            *file = name.to_string_lossy().into_owned();
        }
    }
    alert
}

/// The mail about each alert, as a page.
fn keep_mail(dir: &Path, raised: &[Raised]) -> Result<(), Failure> {
    for Raised { alert, words, .. } in raised {
        let message = Message::Alert { alert: Box::new(alert.clone()), responses: words.clone() };
        let path = dir.join(format!("mail-{}-{}.html", alert.token, alert.revision));
        fs::write(&path, text::letter(&message).html()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
