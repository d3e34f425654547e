//! The seeds of the fuzz targets in `fuzz/`, on a stable compiler: all samples, what fuzzing has found before (`fuzz/seeds/FORMAT/`),
//! and what comes of both by small changes.

#[path = "fuzz/check.rs"]
mod check;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::random::Random;
use tokenwatch::decoder::{FORMATS, Format, by_name};

/// Changed copies of each seed.
const CHANGES: u64 = 24;
/// Bytes of a seed that are used: enough for many records, little enough for many changes.
const LENGTH: usize = 3_000;

#[test]
fn seeds_and_what_comes_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = files(&root.join("samples"));
    seeds.extend(files(&root.join("fuzz/seeds")));
    seeds.retain(|path| !path.to_string_lossy().ends_with(".expected.json") && path.extension().is_none_or(|e| e != "md" && e != "zst"));
    assert!(seeds.len() >= 20, "only {} seeds", seeds.len());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    replay(seed);
                }
            });
        }
    });
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn replay(path: &Path) {
    let whole = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let format = by_name(folder);
    let seed = whole.get(..LENGTH.min(whole.len())).unwrap_or_default();
    let mut random = Random::new(0x5eed ^ whole.len() as u64);
    let run = |data: &[u8], format: Option<&'static Format>| {
        let name = format.map_or("detected", |f| f.name);
        let outcome = std::panic::catch_unwind(|| check::log(format, data));
        assert!(outcome.is_ok(), "{} as {name}: {:?}", path.display(), bstr::BStr::new(data));
    };
    run(seed, format);
    run(seed, None);
    for _ in 0..CHANGES {
        run(&changed(seed, &mut random), format);
    }
    // Bytes of one format read as another.
    let other = &FORMATS[random.below(FORMATS.len())];
    run(seed, Some(other));
}

/// A copy with some bytes lost, doubled, replaced, or moved.
fn changed(seed: &[u8], random: &mut Random) -> Vec<u8> {
    const HOSTILE: [&[u8]; 12] =
        [b"\n", b"\0", b"\"", b"'", b"\\", b"{", b"]", b"\r\n\t", b"\xff\xfe", b",", b"\x1b[0m", b"9999999999999999999999"];
    let mut data = seed.to_vec();
    for _ in 0..1 + random.below(6) {
        let at = random.below(data.len());
        let len = random.below(40).min(data.len() - at);
        match random.below(5) {
            0 => drop(data.drain(at..at + len)),
            1 => {
                let piece = data[at..at + len].to_vec();
                let to = random.below(data.len());
                data.splice(to..to, piece);
            }
            2 => data.truncate(at.max(1)),
            3 => data[at] = random.below(256) as u8,
            _ => drop(data.splice(at..at, HOSTILE[random.below(HOSTILE.len())].iter().copied())),
        }
        if data.is_empty() {
            data.push(b'\n');
        }
    }
    data
}
