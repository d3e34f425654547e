//! `tokenwatch learn`: baselines from old logs, so that guarding starts at once instead of a week from now.

use clap::Args;

use super::replay::{finish, progress_bar, reading};
use super::{ConfigArg, Failure, count};
use crate::runtime::judge::is_token;
use crate::runtime::replay::Replayer;
use crate::runtime::rulebook::Rulebook;
use crate::store::{Epoch, Store};

/// Learn baselines from old logs. The daemon must not be running.
#[derive(Debug, Args)]
pub struct Learn {
    #[command(flatten)]
    config: ConfigArg,
    /// Format of the inputs; detected from their content where absent
    #[arg(short, long, value_name = "NAME")]
    format: Option<String>,
    /// Threads to use; the result does not depend on it
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Log files; - is stdin; .gz and .zst are read
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

/// Baselines written in one transaction.
const BATCH: usize = 10_000;

pub fn run(command: Learn) -> Result<(), Failure> {
    let rulebook = Rulebook::load(command.config.config.as_deref()).map_err(Failure::problems)?;
    let reading = reading(&rulebook, command.format.as_deref())?;
    // Opened first: the store's lock tells at once if the daemon runs, not after an hour of reading.
    let state_dir = rulebook.config.state_dir.clone();
    let mut store = Store::open(&state_dir).map_err(|error| error.to_string())?;
    let mut replayer = Replayer::open(rulebook, reading, &command.inputs)?;
    let dictionary = replayer.dictionary().clone();
    super::tokens::read_store(&store, replayer.judge_mut(), &dictionary).map_err(|error| error.to_string())?;
    let bar = progress_bar(&replayer);
    let mut would_fire = Vec::new();
    let (summary, mut judge) = replayer.run_keeping(
        command.threads,
        &mut |alert| {
            if would_fire.len() < 20 {
                would_fire.push(format!("  {}  {:<8}  {}", alert.time, alert.severity, alert.summary));
            }
        },
        &mut |read| bar.set_position(read),
    );
    bar.finish_and_clear();
    // Nothing of this is sent: the daemon tells it again.
    judge.untell();
    let news = dictionary.take_new();
    let mut records = judge.take_dirty();
    let learned = records.iter().filter(|(token, record)| is_token(*token, record)).count();
    let mut epoch = Epoch {
        words: news.words.into_iter().map(|(id, text)| (id, text.to_string())).collect(),
        tokens: news.tokens.into_iter().map(|(id, name)| (id, name.to_string())).collect(),
        ..Epoch::default()
    };
    loop {
        let rest = records.split_off(records.len().min(BATCH));
        epoch.baselines = std::mem::replace(&mut records, rest);
        store.commit_epoch(&epoch).map_err(|error| error.to_string())?;
        if records.is_empty() {
            break;
        }
        epoch = Epoch::default();
    }
    println!("learned the baselines of {} into {}", count(learned as u64, "token"), state_dir.display());
    if !would_fire.is_empty() {
        let first = if summary.alerts > would_fire.len() as u64 { format!(", first {}", would_fire.len()) } else { String::new() };
        println!("these logs would have raised {}{first} (nothing was sent):", count(summary.alerts, "alert"));
        println!("{}", would_fire.join("\n"));
        println!("look into them before you start the daemon; `tokenwatch replay` on the same files prints them whole");
    }
    finish(&summary)
}
