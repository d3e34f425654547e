//! Every log in `samples/FORMAT/CASE.log` (or `.jsonl`) decodes to `CASE.expected.json`, a line for each record, whichever way its bytes come.
//!
//! `TOKENWATCH_BLESS=1` writes the expected files anew; read the difference before you commit it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::random::Random;
use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, FORMATS, Format, by_name};
use tokenwatch::framing::envelope::{self, ENVELOPES};

/// Ways to cut each log into pieces, and of places to restart at.
const TRIES: u64 = 80;

/// Logs up to this size also come a byte at a time.
const SMALL: usize = 12 << 10;

#[test]
fn samples_decode_as_expected() {
    let mut logs = samples();
    logs.sort();
    assert!(logs.len() >= 20, "only {} samples found", logs.len());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(log) = logs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(log);
                }
            });
        }
    });
    for name in FORMATS.iter().map(|format| format.name).chain(ENVELOPES.iter().map(|envelope| envelope.name)) {
        assert!(root().join(name).is_dir(), "samples/{name} is missing");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// Every `samples/*/*.log` and `.jsonl`.
fn samples() -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let listing = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        listing.map(|entry| entry.expect("an entry of a folder").path()).collect()
    };
    let folders = entries(&root()).into_iter().filter(|path| path.is_dir());
    folders.flat_map(|folder| entries(&folder)).filter(|path| path.extension().is_some_and(|e| e == "log" || e == "jsonl")).collect()
}

/// One sample: the program prints what is expected of it, every byte and record is counted, and neither pieces nor restarts change
/// what comes out.
fn check(path: &Path) {
    let printed = decode_json(path);
    let expected = path.with_extension("expected.json");
    if std::env::var_os("TOKENWATCH_BLESS").is_some() {
        fs::write(&expected, &printed).unwrap_or_else(|e| panic!("{}: {e}", expected.display()));
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_else(|e| panic!("{}: {e}; TOKENWATCH_BLESS=1 writes it", expected.display()));
    for (number, (got, want)) in printed.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(got, want, "{}: line {}", expected.display(), number + 1);
    }
    assert_eq!(printed.lines().count(), wanted.lines().count(), "{}: lines", expected.display());

    let log = fs::read(path).expect("the sample");
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("a folder");
    // What is inside an envelope is detected; a format must also be readable when it is named.
    let format = by_name(folder);
    assert!(format.is_some() || envelope::by_name(folder).is_some(), "samples/{folder} is not named like a format or an envelope");
    let whole = feed(format, &log, &[Cut { at: log.len(), pause: false }], &[]);
    let shown = whole.iter().filter(|item| !item.text.starts_with("Skip(")).count();
    assert_eq!(shown, wanted.lines().count(), "{}: the program prints a line for each record", path.display());
    if log.len() <= SMALL {
        let bytes: Vec<Cut> = (1..=log.len()).map(|at| Cut { at, pause: false }).collect();
        same(path, &whole, &feed(format, &log, &bytes, &[]), "byte by byte");
    }
    let mut random = Random::new(0x5eed);
    for round in 0..TRIES {
        let mut cuts = cuts(&mut random, log.len());
        same(path, &whole, &feed(format, &log, &cuts, &[]), &format!("in pieces, round {round}"));
        // Where the log pauses, records come out that would have waited; the same ones whether the program restarts or not.
        let pauses = round % 2 == 1;
        for cut in &mut cuts {
            cut.pause = pauses && random.below(4) == 0;
        }
        let mut restarts: Vec<usize> = (0..1 + random.below(4)).map(|_| random.below(whole.len())).collect();
        restarts.sort_unstable();
        let straight = if pauses { &feed(format, &log, &cuts, &[]) } else { &whole };
        same(path, straight, &feed(format, &log, &cuts, &restarts), &format!("restarted after items {restarts:?}, round {round}"));
    }
}

/// What `tokenwatch decode --json` prints for a sample.
fn decode_json(path: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenwatch"));
    // the name of the file is printed with each record
    command.current_dir(path.parent().expect("a folder")).args(["decode", "--json"]).arg(path.file_name().expect("a name"));
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

/// An item, owned.
#[derive(Debug, PartialEq)]
struct Owned {
    offset: u64,
    text: String,
}

fn same(path: &Path, whole: &[Owned], other: &[Owned], how: &str) {
    for (a, b) in whole.iter().zip(other) {
        assert_eq!(a, b, "{}, {how}", path.display());
    }
    assert_eq!(whole.len(), other.len(), "{}, {how}: items", path.display());
}

/// A place up to which bytes have come at some time, and whether the log paused there.
struct Cut {
    at: usize,
    pause: bool,
}

/// Decodes a log that comes piece by piece, the program ending after the items with the numbers `restarts` and going on from what it
/// had saved with them: with another stream, from the first byte not consumed.
fn feed(format: Option<&'static Format>, log: &[u8], cuts: &[Cut], restarts: &[usize]) -> Vec<Owned> {
    let mut items: Vec<Owned> = Vec::new();
    let mut restarts = restarts.iter().copied().peekable();
    let mut stream = Stream::new(format, FormatOptions::default(), 0);
    let mut at = 0;
    for cut in cuts {
        let mut sink = |item: Item<'_>| items.push(owned(&item));
        stream.feed(&log[at..cut.at], &mut sink);
        if cut.pause {
            stream.pause(&mut sink);
        }
        at = cut.at;
        if restarts.next_if(|stop| items.len() > *stop).is_some() {
            balanced(&stream);
            let offset = stream.offset();
            let state = stream.save();
            stream = Stream::new(format, FormatOptions::default(), offset);
            stream.restore(&state);
            at = usize::try_from(offset).expect("small");
        }
    }
    let mut sink = |item: Item<'_>| items.push(owned(&item));
    stream.feed(&log[at..], &mut sink);
    stream.close(&mut sink);
    balanced(&stream);
    assert_eq!((stream.pending(), stream.offset()), (0, log.len() as u64));
    items
}

/// No byte and no record is lost.
fn balanced(stream: &Stream) {
    let counts = stream.counts();
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes + stream.pending() as u64, "{counts:?}");
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips, "{counts:?}");
}

fn owned(item: &Item<'_>) -> Owned {
    let text = match &item.decoded {
        Decoded::Event(event) => format!("{event:?} of {} bytes", item.len),
        other => format!("{other:?} of {} bytes", item.len),
    };
    Owned { offset: item.offset, text }
}

/// Ends of pieces of random sizes, all small or up to the whole log.
fn cuts(random: &mut Random, len: usize) -> Vec<Cut> {
    let most = if random.below(2) == 0 { 64 } else { len };
    let largest = 1 + random.below(most);
    let (mut cuts, mut at) = (Vec::new(), 0);
    while at < len {
        at = (at + 1 + random.below(largest)).min(len);
        cuts.push(Cut { at, pause: false });
    }
    cuts
}
