//! The file, checked, as [`Config`]: every default stands here or on the section that it belongs to.

use std::path::Path;
use std::time::Duration;

use super::file::{self, Section};
use super::problem::Problem;
use super::secret::{Places, Secret};
use super::{Checks, Config, Detect, input, inventory, output, value};

/// Reads and checks a configuration file. `known_formats` are the names that `format = ` may have.
pub fn load(path: &Path, known_formats: &[&str]) -> Result<Config, Vec<Problem>> {
    let text = file::slurp(path).map_err(|problem| vec![problem])?;
    let dir = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    parse(&text, &path.display().to_string(), &dir, known_formats)
}

/// The inventory, the rules and the MMDB files that a configuration names which has problems elsewhere, so that those of all files are told in one run.
pub fn named_files(path: &Path) -> Config {
    let table = file::slurp(path).ok().and_then(|text| text.parse::<toml::Table>().ok()).unwrap_or_default();
    let dir = path.parent().and_then(|dir| std::path::absolute(dir).ok()).unwrap_or_default();
    let named = |key: &str| table.get(key).and_then(toml::Value::as_str).map(|name| dir.join(name));
    let files = table.get("detect").and_then(|detect| detect.get("mmdb")).and_then(toml::Value::as_array);
    let mmdb = files.into_iter().flatten().filter_map(toml::Value::as_str).map(|name| dir.join(name)).collect();
    let detect = Detect { mmdb, ..Detect::default() };
    let inside = table.get("inventory").and_then(|section| section.get("file")).and_then(toml::Value::as_str).map(|name| dir.join(name));
    Config { inventory: named("inventory").or(inside), rules: named("rules"), detect, ..Config::default() }
}

/// As [`load`], from text. Problems name `path`; relative paths are taken from `dir`.
pub fn parse(text: &str, path: &str, dir: &Path, known_formats: &[&str]) -> Result<Config, Vec<Problem>> {
    let base = Base { dir, places: Places::beside(dir), known_formats };
    file::read(path, text, |top| {
        let defaults = Config::default();
        let (inventory, checks) = inventory::read(top, dir);
        Config {
            inventory,
            checks,
            rules: top.text("rules").map(|p| dir.join(p.value)),
            state_dir: top.inside("state", |s| s.text("dir").map(|p| dir.join(p.value))).flatten().unwrap_or(defaults.state_dir),
            detect: top.inside("detect", |s| detect(s, dir)).unwrap_or(defaults.detect),
            sources: input::sources(top, &base),
            channels: output::channels(top, &base),
            responders: output::responders(top, &base),
            suppressions: output::suppressions(top),
            http: top.inside("http", |s| s.parsed("listen", value::listen)).flatten(),
        }
    })
    .map_err(|mut problems| {
        problems.iter_mut().for_each(|problem| inventory::advise(problem, text));
        problems
    })
}

/// What the sections need besides themselves.
pub(super) struct Base<'a> {
    pub dir: &'a Path,
    pub places: Places,
    pub known_formats: &'a [&'a str],
}

impl Base<'_> {
    /// The secret that a `*_file` key names.
    pub fn secret(&self, section: &Section<'_>, key: &'static str) -> Option<Secret> {
        section.parsed(key, |name| self.places.read(name))
    }

    /// The path of a file that must be there, such as a certificate.
    pub fn existing(&self, section: &Section<'_>, key: &'static str) -> Option<std::path::PathBuf> {
        section.parsed(key, |name| {
            let path = self.dir.join(name);
            match std::fs::metadata(&path) {
                Ok(meta) if meta.is_file() => Ok(path),
                Ok(_) => Err(format!("{} is not a file", path.display())),
                Err(e) => Err(format!("cannot read {}: {e}", path.display())),
            }
        })
    }
}

/// Without a configuration file: detect with the defaults, send nothing, revoke nothing.
impl Default for Config {
    fn default() -> Self {
        Config {
            inventory: None,
            checks: Checks::default(),
            rules: None,
            state_dir: "/var/lib/tokenwatch".into(),
            detect: Detect::default(),
            sources: Vec::new(),
            channels: Vec::new(),
            responders: Vec::new(),
            suppressions: Vec::new(),
            http: None,
        }
    }
}

/// One false alert per 1000 token-days, seven days of learning, findings of one day in one alert.
impl Default for Detect {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Detect { false_alerts_per_1000_token_days: 1.0, learning: 7 * DAY, group_window: DAY, mmdb: Vec::new() }
    }
}

fn detect(section: &Section<'_>, dir: &Path) -> Detect {
    let mut detect = Detect::default();
    if let Some(budget) = section.number("false_alerts_per_1000_token_days") {
        if budget.value > 0.0 && budget.value <= 1000.0 {
            detect.false_alerts_per_1000_token_days = budget.value;
        } else {
            section.problem(
                budget.at,
                "\"false_alerts_per_1000_token_days\" must be above 0 and at most 1000",
                "1.0 is a good start; a higher budget finds more and errs more often",
            );
        }
    }
    if let Some(learning) = section.parsed("learning", value::duration) {
        detect.learning = learning;
    }
    let window = section.parsed("group_window", |text| match value::duration(text)? {
        Duration::ZERO => Err("must be longer than zero; write for example \"24h\"".to_owned()),
        window => Ok(window),
    });
    detect.group_window = window.unwrap_or(detect.group_window);
    for name in section.texts("mmdb") {
        let path = dir.join(name.value);
        if name.value.is_empty() || detect.mmdb.contains(&path) {
            section.problem(name.at, format!("mmdb: \"{}\" names no further file", name.value), "leave it out");
        } else {
            detect.mmdb.push(path);
        }
    }
    detect
}
