//! `inventory = "tokens.toml"`, or `[inventory]` with the file and with what is reported of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::Section;
use super::problem::Problem;
use super::{Checks, value};

const DAY: Duration = Duration::from_secs(86_400);
/// Most addresses that a baseline tells apart.
const MOST_ADDRESSES: u32 = 512;

/// Everything is reported that needs no guess: how often tokens are to be rotated, they declare themselves.
impl Default for Checks {
    fn default() -> Self {
        Checks {
            kept: false,
            alert: true,
            unknown: true,
            no_owner: true,
            expired: true,
            not_rotated: None,
            idle: Some(90 * DAY),
            shared: Some(50),
            repeat: Some(7 * DAY),
        }
    }
}

/// Where the inventory is, and what is reported of it.
pub(super) fn read(top: &Section<'_>, dir: &Path) -> (Option<PathBuf>, Checks) {
    if top.is_text("inventory") {
        let file = top.text("inventory").map(|p| dir.join(p.value));
        return (file, Checks { kept: true, alert: false, ..Checks::default() });
    }
    top.inside("inventory", |section| (section.text("file").map(|p| dir.join(p.value)), checks(section))).unwrap_or_default()
}

fn checks(section: &Section<'_>) -> Checks {
    let default = Checks::default();
    Checks {
        kept: section.flag("findings").unwrap_or(true),
        alert: section.flag("alert").unwrap_or(default.alert),
        unknown: section.flag("unknown").unwrap_or(default.unknown),
        no_owner: section.flag("no_owner").unwrap_or(default.no_owner),
        expired: section.flag("expired").unwrap_or(default.expired),
        not_rotated: period(section, "not_rotated", DAY, default.not_rotated),
        idle: period(section, "idle", DAY, default.idle),
        shared: addresses(section, default.shared),
        repeat: period(section, "repeat", 7 * DAY, default.repeat),
    }
}

/// A duration of at least `least`, or `"off"`.
fn period(section: &Section<'_>, key: &'static str, least: Duration, default: Option<Duration>) -> Option<Duration> {
    if section.is_off(key) {
        return None;
    }
    let days = least.as_secs() / DAY.as_secs();
    let given = section.parsed(key, |text| match value::duration(text) {
        Ok(short) if short < least => Err(format!("\"{text}\" is too short; write \"{days}d\" or longer, or \"off\"")),
        Ok(long) => Ok(long),
        Err(message) => Err(format!("{message}, or \"off\"")),
    });
    given.or(default)
}

fn addresses(section: &Section<'_>, default: Option<u32>) -> Option<u32> {
    if section.is_off("shared") {
        return None;
    }
    if section.is_text("shared") {
        let advice = "write for example shared = 50, or shared = \"off\"";
        section.problem(section.at_key("shared"), "\"shared\" is a number of addresses", advice);
        return default;
    }
    section.integer("shared", 2..=MOST_ADDRESSES).or(default)
}

/// The file cannot be named in both ways at once; TOML itself only says that a key is there twice.
pub(super) fn advise(problem: &mut Problem, text: &str) {
    let line = problem.line.checked_sub(1).and_then(|at| text.lines().nth(at)).unwrap_or_default();
    if problem.message.contains("duplicate key") && line.trim_start().starts_with("[inventory]") {
        problem.advice = "write file = \"tokens.toml\" inside [inventory], in place of inventory = \"tokens.toml\"".to_owned();
    }
}
