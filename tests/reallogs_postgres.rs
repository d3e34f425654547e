//! Logs of real servers: one run of hostile and ordinary clients, logged in three forms at once, so that each form checks the others.
//!
//! They stand in `TOKENWATCH_REALLOGS` (default: `../shared/reallogs` beside the project).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Counts, Item, Stream};
use tokenwatch::decoder::{Decoded, Format, by_name, detect};
use tokenwatch::event::{Event, Kind, Provenance};

const VARIANTS: [&str; 4] = ["small-all", "small-audit", "small-debian", "small-mindur0"];

/// The folder of the logs, `None` (with a note) where there is none.
fn reallogs() -> Option<PathBuf> {
    let folder = match std::env::var_os("TOKENWATCH_REALLOGS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reallogs"),
    };
    if !folder.is_dir() {
        println!("SKIPPED: {} does not exist; set TOKENWATCH_REALLOGS", folder.display());
        return None;
    }
    Some(folder.join("postgresql"))
}

fn read(folder: &Path, variant: &str, file: &str) -> Vec<u8> {
    let path = folder.join(variant).join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An event, owned.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    kind: Kind,
    /// Every field but the place.
    text: String,
    suspect: Option<&'static str>,
    principal: Option<String>,
    authenticated: bool,
    address: Option<String>,
    statement: Option<String>,
    objects: String,
    session: String,
    time: String,
    micros: i64,
    line: u64,
    offset: u64,
}

fn seen(event: &Event<'_>, item: &Item<'_>) -> Seen {
    let session = event.session.map(|s| s.to_string()).unwrap_or_default();
    Seen {
        kind: event.kind,
        text: format!("{event:?}"),
        suspect: event.suspect,
        principal: event.principal.map(|p| format!("{:?}", p.name)),
        authenticated: event.principal.is_some_and(|p| p.provenance == Provenance::Authenticated),
        address: event.address.map(|a| a.to_string()),
        statement: event.statement.map(|s| format!("{s:?}")),
        objects: format!("{:?}", event.objects),
        line: line_number(item.raw, &session),
        session,
        time: event.time.to_string(),
        micros: event.time.0,
        offset: item.offset,
    }
}

/// Decodes a whole log, fed in pieces of `size` bytes; rejects and skips come as their reason.
fn decode(format: &'static Format, log: &[u8], size: usize) -> (Vec<Result<Seen, &'static str>>, Counts) {
    let mut stream = Stream::new(Some(format), FormatOptions::default(), 0);
    let mut out = Vec::new();
    {
        let mut sink = |item: Item<'_>| match &item.decoded {
            Decoded::Event(event) => out.push(Ok(seen(event, &item))),
            Decoded::Reject(reason) | Decoded::Skip(reason) => out.push(Err(*reason)),
        };
        for piece in log.chunks(size) {
            stream.feed(piece, &mut sink);
        }
        stream.close(&mut sink);
    }
    let counts = stream.counts();
    assert_eq!(counts.bytes, log.len() as u64);
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes);
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips);
    (out, counts)
}

fn format(name: &str) -> &'static Format {
    by_name(name).unwrap()
}

#[test]
fn csv_and_json_of_one_record_give_one_event() {
    let Some(folder) = reallogs() else { return };
    for variant in VARIANTS {
        let (csv, counts) = decode(format("postgres-csv"), &read(&folder, variant, "postgresql.csv"), 64 << 10);
        let (json, _) = decode(format("postgres-json"), &read(&folder, variant, "postgresql.json"), 64 << 10);
        assert!(counts.events > 2000, "{variant}: {counts:?}");
        assert_eq!(counts.rejects + counts.skips, 0, "{variant}");
        // The server writes its logs one after the other, so records of two processes may change places between them, and where
        // these logs were cut a few records stand in one form only.
        let (csv, json) = (by_line(&csv), by_line(&json));
        let mut missing = 0;
        for line in csv.keys().chain(json.keys()).collect::<BTreeSet<_>>() {
            match (csv.get(line), json.get(line)) {
                (Some(a), Some(b)) => assert_eq!(a.text, b.text, "{variant}: line {line:?}"),
                _ => missing += 1,
            }
        }
        assert!(missing <= 4, "{variant}: {missing} records stand in one form only");
    }
}

/// Events by session and line number, which together are unique.
fn by_line(events: &[Result<Seen, &'static str>]) -> BTreeMap<(String, u64), Seen> {
    let lines: BTreeMap<_, _> = events.iter().flatten().map(|e| ((e.session.clone(), e.line), e.clone())).collect();
    assert_eq!(lines.len(), events.len());
    lines
}

/// The line number that follows the session id in a record of either form.
fn line_number(raw: &[u8], session: &str) -> u64 {
    let text = String::from_utf8_lossy(raw);
    let after = text.split_once(session).map_or("", |(_, after)| after);
    let after = after.trim_start_matches(|c: char| !c.is_ascii_digit());
    after.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn pieces_do_not_matter() {
    let Some(folder) = reallogs() else { return };
    for (name, file) in [("postgres-csv", "postgresql.csv"), ("postgres-json", "postgresql.json"), ("postgres-stderr", "postgresql.log")] {
        let log = read(&folder, "small-all", file);
        let whole = decode(format(name), &log, log.len());
        // The stderr form finds its prefix in the first bytes.
        for size in if name == "postgres-stderr" { [70_001, 80_000, 100_003] } else { [777, 4096, 100_003] } {
            assert!(decode(format(name), &log, size) == whole, "{file} in pieces of {size}");
        }
    }
}

#[test]
fn formats_are_told_apart() {
    let Some(folder) = reallogs() else { return };
    for variant in VARIANTS {
        for (file, name) in
            [("postgresql.csv", "postgres-csv"), ("postgresql.json", "postgres-json"), ("postgresql.log", "postgres-stderr")]
        {
            let log = read(&folder, variant, file);
            let (found, guess) = detect(&log[..64 << 10], &FormatOptions::default()).unwrap();
            assert_eq!(found.name, name, "{variant}/{file}: {guess:?}");
            assert!(guess.certainty >= 85, "{variant}/{file}: {guess:?}");
        }
    }
}

#[test]
fn no_forged_token_acts_in_csv_and_json() {
    let Some(folder) = reallogs() else { return };
    for variant in VARIANTS {
        for (name, file) in [("postgres-csv", "postgresql.csv"), ("postgres-json", "postgresql.json")] {
            let (events, _) = decode(format(name), &read(&folder, variant, file), 64 << 10);
            let mut acting: BTreeMap<String, u32> = BTreeMap::new();
            for event in events.iter().flatten().filter(|e| e.authenticated && e.suspect.is_none()) {
                *acting.entry(event.principal.clone().unwrap_or_default()).or_default() += 1;
                assert_ne!(event.address.as_deref(), Some("127.0.0.9"), "{variant}: {event:?}");
                let raised = event.statement.as_deref().is_some_and(|s| s.starts_with("\"DROP TABLE forged"));
                assert!(!raised, "{variant}: {event:?}");
            }
            println!("{variant}/{file}: {acting:?}");
        }
    }
}

/// What must agree between the forms: who did what from where. Denials and errors are one where the prefix has no SQLSTATE.
fn deeds(events: &[Result<Seen, &'static str>], windows: &[(i64, i64)]) -> BTreeMap<String, i64> {
    let mut deeds = BTreeMap::new();
    let inside = |e: &&Seen| windows.iter().any(|(from, to)| *from < e.micros && e.micros < *to);
    for e in events.iter().flatten().filter(|e| e.suspect.is_none()).filter(inside) {
        let kind = match e.kind {
            Kind::Query => "query",
            Kind::Denied | Kind::Error => "failed",
            _ => continue,
        };
        let key = format!("{kind} {:?} {:?} {:?} {} {}", e.principal, e.address, e.statement, e.objects, e.time);
        *deeds.entry(key).or_default() += 1;
    }
    deeds
}

/// The logs are pieces of one long run: the spans of time that both forms hold whole.
fn windows(a: &[Result<Seen, &'static str>], b: &[Result<Seen, &'static str>]) -> Vec<(i64, i64)> {
    let spans = |events: &[Result<Seen, &'static str>]| {
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for at in events.iter().flatten().filter(|e| e.suspect.is_none()).map(|e| e.micros) {
            match spans.last_mut() {
                Some((_, to)) if (at - *to).abs() < 100_000 => *to = at.max(*to),
                _ => spans.push((at, at)),
            }
        }
        spans
    };
    let (a, b) = (spans(a), spans(b));
    let both = a.iter().flat_map(|x| b.iter().map(|y| (x.0.max(y.0), x.1.min(y.1))));
    both.filter(|(from, to)| from < to).collect()
}

#[test]
fn stderr_tells_the_same_deeds_as_csv() {
    let Some(folder) = reallogs() else { return };
    let mut strange = Vec::new();
    for variant in VARIANTS {
        let (csv, _) = decode(format("postgres-csv"), &read(&folder, variant, "postgresql.csv"), 64 << 10);
        let (stderr, counts) = decode(format("postgres-stderr"), &read(&folder, variant, "postgresql.log"), 64 << 10);
        let windows = windows(&csv, &stderr);
        let (truth, told) = (deeds(&csv, &windows), deeds(&stderr, &windows));
        let suspects = stderr.iter().flatten().filter(|e| e.suspect.is_some()).count();
        let invented: Vec<_> = told.iter().filter(|(k, n)| truth.get(*k).copied().unwrap_or(0) < **n).collect();
        let missed: i64 = truth.iter().map(|(k, n)| (n - told.get(k).copied().unwrap_or(0)).max(0)).sum();
        println!("{variant}: {counts:?}, {suspects} suspect, {} deeds, {missed} missed, {} invented", truth.len(), invented.len());
        // Each form was cut to records of at most 8 KiB, and the forms differ in length: a few deeds stand in one of them only.
        let known: BTreeSet<_> = csv.iter().flatten().map(|e| (&e.principal, &e.statement)).collect();
        for event in stderr.iter().flatten().filter(|e| e.suspect.is_none() && e.authenticated) {
            assert_ne!(event.address.as_deref(), Some("127.0.0.9"), "{variant}: {event:?}");
            let acts = matches!(event.kind, Kind::Query | Kind::Denied | Kind::Error);
            let true_somewhere = known.contains(&(&event.principal, &event.statement));
            if acts && !true_somewhere {
                strange.push(format!("{variant}: {} {}", event.time, event.text));
            }
        }
        // As measured: at most 3 invented, all `SELECT length($1)`, whose long parameter stands in the record itself in CSV but in a line
        // of its own in stderr; at most 8 missed: the statement of very many lines, each longer by a TAB in stderr, and the records of
        // two milliseconds where a piece of `small-all` ends. One wrong doubt in each round of the clients makes dozens.
        if invented.len() > 4 || missed > 10 {
            strange.push(format!("{variant}: {missed} missed, invented {:?}", &invented[..invented.len().min(5)]));
        }
    }
    assert!(strange.is_empty(), "{} strange: {:#?}", strange.len(), &strange[..strange.len().min(8)]);
}
