//! `tokenwatch replay`: logs in, alerts as JSON lines out, no side effects, the same bytes every time.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use super::{ConfigArg, Failure};
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
            Err(Failure::Usage(format!("unknown format \"{name}\"{near}; known formats: {}", known.join(", "))))
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
    let mut out: Box<dyn Write> = match &command.alerts {
        Some(path) => Box::new(BufWriter::new(
            File::create(path).map_err(|error| format!("cannot write {}: {error}; choose another --alerts file", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    };
    let replayer = Replayer::open(rulebook, reading, &command.inputs)?;
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
    out.flush().map_err(|error| format!("cannot write the alerts: {error}"))?;
    report(&summary);
    if summary.trouble.is_empty() { Ok(()) } else { Err(Failure::Usage(summary.trouble.join("\n"))) }
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

/// The last line on stderr.
pub fn report(summary: &Summary) {
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
}
