//! The command line: one file a command. Exit code 0 = done, 1 = findings or a failed check, 2 = wrong usage or configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::problem::Problem;

// First: its macros stand for those of the standard library in all the others.
#[macro_use]
mod output;

pub mod alerts;
pub mod backtest;
pub mod baseline;
pub mod check;
pub mod decode;
pub mod demo;
pub mod formats;
pub mod learn;
pub mod notify;
pub mod order;
pub mod privilege;
pub mod replay;
pub mod run;
pub mod status;
pub mod table;
pub mod tokens;

use output::{print, say, written};

/// Watches database logs and tells you when a credential is misused.
#[derive(Debug, Parser)]
#[command(
    name = "tokenwatch",
    version,
    arg_required_else_help = true,
    after_help = "Try `tokenwatch demo`, then `tokenwatch replay /var/log/postgresql/*.csv`."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: tail, learn, alert, respond
    #[command(after_help = "Example: tokenwatch run --config /etc/tokenwatch/tokenwatch.toml")]
    Run(run::Run),
    /// See the whole product at work on bundled logs; needs no set-up
    #[command(after_help = "Example: tokenwatch demo")]
    Demo(demo::Demo),
    /// Check configuration, inventory, rules and the rules' own test cases
    #[command(after_help = "Example: tokenwatch check --config /etc/tokenwatch/tokenwatch.toml")]
    Check(check::Check),
    /// Show what each stage makes of log records
    #[command(after_help = "Example: tail -n 1 /var/log/postgresql/postgresql.csv | tokenwatch decode -")]
    Decode(decode::Decode),
    /// The log formats that can be read, and what an attacker can write into them
    #[command(after_help = "Example: tokenwatch formats postgres-csv")]
    Formats(formats::Formats),
    /// Run old logs through detection: alerts as JSON lines, no side effects
    #[command(after_help = "Example: tokenwatch replay /var/log/postgresql/*.csv*")]
    Replay(replay::Replay),
    /// Compare two configurations on old logs: alerts gained, lost and changed
    #[command(
        after_help = "Example: tokenwatch backtest --against /etc/tokenwatch/tokenwatch.toml --config new.toml /var/log/postgresql/*.csv*"
    )]
    Backtest(backtest::Backtest),
    /// Learn baselines from old logs (.gz and .zst too), so that guarding starts at once
    #[command(after_help = "Example: tokenwatch learn --config /etc/tokenwatch/tokenwatch.toml /var/log/postgresql/*.csv.gz")]
    Learn(learn::Learn),
    /// The tokens that were seen or declared
    #[command(subcommand, after_help = "Example: tokenwatch tokens list")]
    Tokens(tokens::Tokens),
    /// What is usual for a token: look at it, have it forgotten, pin it
    #[command(subcommand, after_help = "Example: tokenwatch baseline show billing")]
    Baseline(baseline::Command),
    /// The alerts that were raised, and how to dismiss one
    #[command(subcommand, after_help = "Example: tokenwatch alerts list --min-severity high")]
    Alerts(alerts::Alerts),
    /// Try the notification channels
    #[command(subcommand, after_help = "Example: tokenwatch notify test")]
    Notify(notify::Notify),
    /// How the daemon and its store are doing
    #[command(after_help = "Example: tokenwatch status --config /etc/tokenwatch/tokenwatch.toml")]
    Status(status::Status),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigArg {
    /// Configuration file; without it the defaults apply
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A command ended otherwise than well.
#[derive(Debug)]
pub enum Failure {
    /// Something was found, or a check failed: exit code 1. What was found is printed already.
    Found,
    /// An input could not be read, and that is printed already: exit code 2.
    Told,
    /// The configuration, the inventory or a rule is wrong: exit code 2.
    Problems(Vec<Problem>),
    /// The call or the configuration is wrong: exit code 2.
    Usage(String),
}

impl Failure {
    /// Mistakes in files that a person wrote.
    pub fn problems(problems: Vec<Problem>) -> Self {
        Failure::Problems(problems)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::Usage(message)
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        Failure::Usage(error.to_string())
    }
}

/// Runs one command.
pub fn dispatch(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Run(command) => run::run(command),
        Command::Demo(command) => demo::run(command),
        Command::Check(command) => check::run(command),
        Command::Decode(command) => decode::run(command),
        Command::Formats(command) => formats::run(command),
        Command::Replay(command) => replay::run(command),
        Command::Backtest(command) => backtest::run(command),
        Command::Learn(command) => learn::run(command),
        Command::Tokens(command) => tokens::run(command),
        Command::Baseline(command) => baseline::run(command),
        Command::Alerts(command) => alerts::run(command),
        Command::Notify(command) => notify::run(command),
        Command::Status(command) => status::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Found) => ExitCode::from(1),
        Err(Failure::Problems(problems)) => {
            // Each line begins with its place: editors and people can go there.
            for problem in &problems {
                eprintln!("{problem}");
            }
            if problems.len() > 1 {
                eprintln!("tokenwatch: {} to mend first", count(problems.len() as u64, "problem"));
            }
            ExitCode::from(2)
        }
        Err(Failure::Told) => ExitCode::from(2),
        Err(Failure::Usage(message)) => {
            eprintln!("tokenwatch: {message}");
            ExitCode::from(2)
        }
    }
}

/// A count with its noun: "1 alert", "2 alerts".
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
