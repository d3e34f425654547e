//! `tokenwatch replay`: logs in, alerts as JSON lines out, no side effects, the same bytes every time.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{ConfigArg, Failure, written};
use crate::alert::Alert;
use crate::decoder::{self, FORMATS};
use crate::runtime::intake::Reading;
use crate::runtime::replay::{Replayer, Summary};
use crate::runtime::rulebook::Rulebook;

/// Feed old logs through detection.
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    config: ConfigArg,
    /// Format of the inputs; detected from their content where absent
    #[arg(short, long, value_name = "NAME")]
    format: Option<String>,
    /// Write the alerts to this file instead of stdout
    #[arg(short, long, value_name = "OUT.jsonl")]
    alerts: Option<PathBuf>,
    /// Threads to use; the result does not depend on it
    #[arg(long, value_name = "N", default_value_t = default_threads())]
    threads: usize,
    /// Log files; - is stdin; .gz and .zst are read
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The format of this name, or an error that lists them.
pub fn format_by_name(name: Option<&str>) -> Result<Option<&'static decoder::Format>, Failure> {
    let Some(name) = name else { return Ok(None) };
    match decoder::by_name(name) {
        Some(format) => Ok(Some(format)),
        None => {
            let known: Vec<&str> = FORMATS.iter().map(|f| f.name).collect();
            let near = crate::config::problem::suggest(name, known.iter().copied());
            Err(Failure::Usage(format!("unknown format \"{name}\"; {near}")))
        }
    }
}

/// How inputs named on the command line are read: the first source's options of the configuration, the format of the call.
pub fn reading(rulebook: &Rulebook, format: Option<&str>) -> Result<Reading, Failure> {
    let mut reading = rulebook.config.sources.first().map(Reading::of).unwrap_or_default();
    if let Some(format) = format_by_name(format)? {
        reading.format = Some(format);
    }
    Ok(reading)
}

pub fn run(command: Replay) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let reading = reading(&rulebook, command.format.as_deref())?;
    let replayer = Replayer::open(rulebook, reading, &command.inputs)?;
    if let Some(input) = command.alerts.as_deref().and_then(|out| command.inputs.iter().find(|input| same_file(out, Path::new(input)))) {
        return Err(Failure::Usage(format!("{input} is an input and would be overwritten; choose another --alerts file")));
    }
    let mut out: Box<dyn Write> = match &command.alerts {
        Some(path) => Box::new(BufWriter::new(
            File::create(path).map_err(|error| format!("cannot write {}: {error}; choose another --alerts file", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    };
    let bar = progress_bar(&replayer);
    let mut failed: Option<Failure> = None;
    let summary = replayer.run(
        command.threads,
        &mut |alert: &Alert| {
            if failed.is_none() {
                failed = write_alert(&mut *out, alert).err();
            }
        },
        &mut |read| bar.set_position(read),
    );
    bar.finish_and_clear();
    if let Some(failed) = failed {
        return Err(failed);
    }
    written(out.flush())?;
    finish(&summary)
}

/// Whether both names lead to one file.
fn same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn write_alert(out: &mut dyn Write, alert: &Alert) -> Result<(), Failure> {
    let line = serde_json::to_string(alert).map_err(|error| format!("an alert cannot be written as JSON: {error}"))?;
    super::say(out, format_args!("{line}"))
}

/// A progress bar on a terminal, by compressed bytes read; hidden elsewhere.
pub fn progress_bar(replayer: &Replayer) -> indicatif::ProgressBar {
    if !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let Some(total) = replayer.total_bytes() else { return indicatif::ProgressBar::new_spinner() };
    let style = "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = indicatif::ProgressBar::new(total);
    match indicatif::ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Tells what could not be read, and sums up in the last line on stderr.
///
/// # Errors
/// [`Failure::Told`] if an input could not be read to its end.
pub fn finish(summary: &Summary) -> Result<(), Failure> {
    for trouble in &summary.trouble {
        eprintln!("tokenwatch: {trouble}");
    }
    if let Some(advice) = advice(summary) {
        eprintln!("{advice}");
    }
    report(summary);
    if summary.trouble.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// What the counts alone do not tell a person.
fn advice(summary: &Summary) -> Option<String> {
    let look = "`tokenwatch decode INPUT` shows each record and why";
    if summary.records == 0 && summary.trouble.is_empty() {
        return Some("the input holds no record".to_owned());
    }
    if summary.rejects > 0 && summary.events == 0 {
        let known: Vec<&str> = FORMATS.iter().map(|f| f.name).collect();
        return Some(format!("nothing could be read: {look}; --format names the format, one of {}", known.join(", ")));
    }
    if summary.suspects > 0 && summary.suspects == summary.events {
        return Some(format!("every record is suspect, so none is judged: {look}"));
    }
    // Now and then a line is torn by a crash; more than one in a hundred has another cause.
    (summary.rejects > summary.records / 100).then(|| format!("some records could not be read: {look}"))
}

fn report(summary: &Summary) {
    let seconds = summary.seconds.max(1e-9);
    eprintln!(
        "records {}  events {}  unparsed {}  skipped {}  suspect {}  gaps {}  tokens {}  alerts {}  seconds {:.2}  records/s {:.0}",
        summary.records,
        summary.events,
        summary.rejects,
        summary.skips,
        summary.suspects,
        summary.gaps,
        summary.tokens,
        summary.alerts,
        summary.seconds,
        summary.records as f64 / seconds
    );
    if summary.suppressed > 0 {
        let (found, were) = if summary.suppressed == 1 { ("finding is", "was") } else { ("findings are", "were") };
        eprintln!("{} {found} covered by [[suppression]] and {were} not alerted", summary.suppressed);
    }
}
