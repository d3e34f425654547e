//! Other projects' log files: every record is understood, and where their parsers say what is in it, ours says the same.
//!
//! The files stand in `TOKENWATCH_CORPUS` (default: `../shared/corpus` beside the project) with an `INDEX.tsv`, and are read there.
//! `TOKENWATCH_CORPUS_REPORT=1` prints a table of all files; `TOKENWATCH_CORPUS_ONLY=text` looks at those whose path contains the text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::Decoded;
use tokenwatch::decoder::stream::{Item, Stream};

#[path = "corpus/expected.rs"]
mod expected;
#[path = "corpus/files.rs"]
mod files;

use expected::{Expected, Field, Place};
use files::{ALLOWED, How, how, recent};

/// Of the records of each file so many must be understood, in percent.
const UNDERSTOOD: f64 = 99.0;
/// Of the records of each file that state a field so many must agree with us, in percent.
const AGREED: f64 = 98.0;

/// The folder of the files, `None` (with a note) where there is none.
fn corpus() -> Option<PathBuf> {
    let folder = match std::env::var_os("TOKENWATCH_CORPUS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
    };
    if !folder.join("INDEX.tsv").is_file() {
        // Nobody has it beside a plain checkout; where the gate runs, its absence is a failure.
        let word = if std::env::var_os("CI").is_some() { "SKIPPED" } else { "NOT HERE" };
        println!("{word}: {} does not exist; set TOKENWATCH_CORPUS", folder.display());
        return None;
    }
    Some(folder)
}

/// An event, owned.
#[derive(Debug, Default)]
struct Seen {
    offset: u64,
    len: u64,
    fields: BTreeMap<Field, String>,
}

#[derive(Debug, Default)]
struct Outcome {
    events: Vec<Seen>,
    rejects: BTreeMap<&'static str, u64>,
    skips: u64,
    formats: BTreeMap<&'static str, u64>,
    records: u64,
}

fn decode(log: &[u8], options: FormatOptions) -> Outcome {
    let mut outcome = Outcome::default();
    let mut stream = Stream::new(None, options, 0);
    let mut sink = |item: Item<'_>| {
        outcome.records += 1;
        match &item.decoded {
            Decoded::Event(event) => {
                *outcome.formats.entry(item.format.name).or_default() += 1;
                outcome.events.push(Seen { offset: item.offset, len: u64::from(item.len), fields: expected::of_event(event) });
            }
            Decoded::Reject(reason) => *outcome.rejects.entry(reason).or_default() += 1,
            Decoded::Skip(_) => outcome.skips += 1,
        }
    };
    stream.feed(log, &mut sink);
    stream.close(&mut sink);
    let counts = stream.counts();
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes + stream.pending() as u64, "{counts:?}");
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips, "{counts:?}");
    assert_eq!(counts.records, outcome.records);
    outcome
}

/// What a file came to.
struct Report {
    path: String,
    line: String,
    failures: Vec<String>,
}

fn check(folder: &Path, path: &str) -> Option<Report> {
    let log = std::fs::read(folder.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let (log, options) = match how(path) {
        How::NotALog(reason) => {
            return Some(Report { path: path.to_owned(), line: format!("no log: {reason}"), failures: Vec::new() });
        }
        How::Log(options) => (log, options),
        How::Extract(extract, options) => (extract(&log), options),
    };
    let mut outcome = decode(&log, options);
    let mut failures = Vec::new();
    let rejects: u64 = outcome.rejects.values().sum();
    let understood = 100.0 - 100.0 * rejects as f64 / outcome.records.max(1) as f64;
    let allowed = |what: &str| ALLOWED.iter().find(|(file, field, _)| path.contains(file) && *field == what).map(|(_, _, reason)| *reason);
    if (understood < UNDERSTOOD || outcome.events.is_empty()) && allowed("records").is_none() {
        let events = outcome.events.len();
        failures.push(format!("understood {understood:.1} % of {} records, {events} events: {:?}", outcome.records, outcome.rejects));
    }
    let mut agreed: BTreeMap<Field, (u64, u64)> = BTreeMap::new();
    let mut examples: BTreeMap<Field, String> = BTreeMap::new();
    if let Some(wanted) = expected::read(folder, path, &log) {
        for (at, want) in wanted.iter().enumerate() {
            let seen = find(&mut outcome.events, want, at, wanted.len());
            for (field, values) in &want.fields {
                let (good, all) = agreed.entry(*field).or_default();
                *all += 1;
                let got = seen.and_then(|seen| seen.fields.get(field));
                if got.is_some_and(|got| values.iter().any(|value| expected::same(*field, got, value))) {
                    *good += 1;
                } else {
                    examples.entry(*field).or_insert_with(|| format!("{:?}: {values:?} expected, {got:?} found", want.place));
                }
            }
        }
    }
    for (field, (good, all)) in &agreed {
        let name = field.name();
        if (100 * good) as f64 / (*all as f64) < AGREED && allowed(name).is_none() {
            failures.push(format!("{name}: {good} of {all} agree; {}", examples.get(field).map_or("", String::as_str)));
        }
    }
    let fields: Vec<String> = agreed.iter().map(|(field, (good, all))| format!("{} {good}/{all}", field.name())).collect();
    let formats: Vec<&str> = outcome.formats.keys().copied().collect();
    let line = format!(
        "{} records, {} events, {} skips, {rejects} rejects; {}; {}",
        outcome.records,
        outcome.events.len(),
        outcome.skips,
        formats.join("+"),
        fields.join(", ")
    );
    Some(Report { path: path.to_owned(), line, failures })
}

/// The event that an expectation is about: by place, or by order and time.
fn find<'e>(events: &'e mut [Seen], want: &Expected, at: usize, wanted: usize) -> Option<&'e Seen> {
    match want.place {
        Place::Offset(offset) => events.iter().find(|seen| seen.offset <= offset && offset < seen.offset + seen.len),
        Place::Order if events.len() == wanted => events.get(at),
        Place::Order => {
            let time = want.fields.get(&Field::Time)?;
            let found = events.iter().position(|seen| {
                seen.fields.get(&Field::Time).is_some_and(|got| time.iter().any(|value| expected::same(Field::Time, got, value)))
                    && !seen.fields.contains_key(&Field::Used)
            })?;
            events.get_mut(found)?.fields.insert(Field::Used, String::new());
            events.get(found)
        }
    }
}

#[test]
fn other_projects_logs_are_understood() {
    let Some(folder) = corpus() else { return };
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).expect("INDEX.tsv");
    let only = std::env::var("TOKENWATCH_CORPUS_ONLY").unwrap_or_default();
    let paths: Vec<&str> = index
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            (columns.get(7) != Some(&"is-expected")).then(|| columns[0])
        })
        .filter(|path| path.contains(&only))
        .collect();
    let mut reports: Vec<Report> = std::thread::scope(|scope| {
        let half = paths.len().div_ceil(2).max(1);
        let folder = &folder;
        let work = |paths: Vec<&str>| paths.iter().filter_map(|path| check(folder, path)).collect::<Vec<_>>();
        let threads: Vec<_> = paths.chunks(half).map(|part| scope.spawn(move || work(part.to_vec()))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    reports.sort_by(|a, b| a.path.cmp(&b.path));
    if std::env::var_os("TOKENWATCH_CORPUS_REPORT").is_some() {
        for report in &reports {
            println!("{}\t{}", report.path, report.line);
        }
    }
    let failures: Vec<String> =
        reports.iter().flat_map(|report| report.failures.iter().map(|failure| format!("{}: {failure}", report.path))).collect();
    println!("{} files, {} complaints", reports.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Lines of PostgreSQL's log, each with the `log_line_prefix` that it was written under, and what stands in it.
#[test]
fn prefixes_are_read() {
    let Some(folder) = corpus() else { return };
    let vectors = std::fs::read_to_string(folder.join("pg_prefix_vectors/collector__parse_vectors.part1.jsonl")).expect("the vectors");
    let mut lines = 0;
    for vector in vectors.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")) {
        let text = |value: &serde_json::Value| value.as_str().filter(|text| !text.is_empty() && *text != "[unknown]").map(str::to_owned);
        let (line, prefix) = (text(&vector["line"]).expect("a line"), text(&vector["log_line_prefix"]));
        if vector["ok"] != true {
            continue;
        }
        lines += 1;
        let outcome = decode(format!("{line}\n").as_bytes(), FormatOptions { log_line_prefix: prefix.clone(), ..recent() });
        // A prefix without a time makes no event: only what brings such lines knows when they were written.
        if prefix.as_deref().is_some_and(|prefix| !prefix.contains("%m") && !prefix.contains("%t")) {
            continue;
        }
        let [seen] = outcome.events.as_slice() else { panic!("{prefix:?} {line}: {outcome:?}") };
        for (field, key) in [(Field::User, "Username"), (Field::Database, "Database"), (Field::Client, "Application")] {
            if let Some(want) = text(&vector["expected"][key]) {
                assert_eq!(seen.fields.get(&field), Some(&want), "{prefix:?} {line}");
            }
        }
    }
    assert!(lines >= 10, "{lines} lines");
}
