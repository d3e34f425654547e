//! What decoding costs: every sample in `samples/`, repeated to some megabytes, through `Stream::feed`, against `wc -l` of the same bytes.
//! Run with `cargo bench --bench decode [-- PART_OF_A_PATH]`; prints a table, asserts nothing, marks what costs more than [`GOAL`] times `wc -l`.
//!
//! CPU time, not elapsed time, so a busy machine matters little; the best of a few rounds. `TOKENWATCH_BENCH_MB` sets the size (default 20).
//!
//! 2026-11-30, two virtual cores, `wc -l` at 8.9 GB/s; the slowest sample of a format. As it is released (link-time optimisation, one unit, overflow checks)
//! none is over the goal: CloudWatch and PostgreSQL's stderr (hostile names; others 24 to 37 x) 50 x, relays 48 x, MariaDB's audit log 45 x, Vector and
//! Filebeat 43 x, Redis MONITOR and MySQL's general log 39 x, Cassandra 37 x, syslog and MySQL's slow log 33 x.
//! Without link-time optimisation at opt-level 2, beside other work and a `wc -l` of 9.3 GB/s: CloudWatch 75 x, PostgreSQL's stderr 71 x, relays 66 x,
//! Vector 65 x, Filebeat 64 x, all others under the goal.
//! 2026-12-01, as it is released, the whole table in one run, `wc -l` at 7.4 GB/s. Over the goal: MariaDB's audit rows in syslog where every row stands
//! near refused logins, 62 to 68 x (171 before the bytes behind a refused login were looked at once); ecs-original 51 to 64 x. All others are under it, up
//! to 59 x: relays, podman, stern, syslog, Loki, PostgreSQL's stderr, MySQL's slow log. MongoDB's text log where every third line is a refused login:
//! 50 and 54 x with connections of their own in every copy, 77 to 94 x where the same come again every two kilobytes, which no server does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::by_name;
use tokenwatch::decoder::stream::{Counts, Stream};
use tokenwatch::event::Time;

/// No decoder should cost more than so many times the CPU of `wc -l`.
const GOAL: f64 = 60.0;
const ROUNDS: usize = 3;
/// `wc` counts a file of so many megabytes, more than any cache holds, so many times in one go: the kernel's account of its CPU has
/// ticks of 10 ms. What stands in the file hardly matters, so all samples are compared with one.
const COUNTED: (usize, usize) = (512, 4);
/// Bytes fed at once, as the sources read.
const CHUNK: usize = 256 << 10;
/// 2026-12-01, for syslog's time stamps, which have no year.
const WRITTEN: Time = Time(1_796_083_200_000_000);

fn main() {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let megabytes: usize = std::env::var("TOKENWATCH_BENCH_MB").ok().and_then(|v| v.parse().ok()).unwrap_or(20);
    let wc = wc();
    println!("wc -l: {:.0} MB/s\n", 1e-6 / wc);
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    println!("{:<50} {:>8} {:>9} {:>9} {:>9}", "sample", "MB/s", "x wc -l", "records", "rejected");
    for path in samples().into_iter().filter(|path| path.to_string_lossy().contains(&only)) {
        let sample = fs::read(&path).expect("a sample");
        let Some(format) = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()) else { continue };
        let log = repeat(&path, &sample, megabytes << 20);
        let (cpu, counts) = (0..ROUNDS).map(|_| decode(&format, &log)).min_by(|a, b| a.0.total_cmp(&b.0)).expect("rounds");
        let times = cpu / (wc * log.len() as f64);
        let name = format!("{format}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        println!(
            "{name:<50} {:>8.0} {times:>9.1} {:>9} {:>9}{}",
            log.len() as f64 / cpu / 1e6,
            counts.records,
            counts.rejects,
            if times > GOAL { "  over the goal" } else { "" }
        );
        let slot = worst.entry(format).or_default();
        *slot = slot.max(times);
    }
    println!("\nslowest sample of each format, x wc -l:");
    let mut worst: Vec<(String, f64)> = worst.into_iter().collect();
    worst.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (format, times) in worst {
        println!("{times:>8.1}  {format}{}", if times > GOAL { "  over the goal" } else { "" });
    }
}

/// Every `samples/*/*.log` and `.jsonl`, in order.
fn samples() -> Vec<PathBuf> {
    let entries = |folder: PathBuf| -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).filter(|p| !p.ends_with("demo")).collect()
    };
    let folders = entries(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples")).into_iter().filter(|path| path.is_dir());
    let logs = |path: &PathBuf| path.extension().is_some_and(|e| e == "log" || e == "jsonl");
    let mut all: Vec<PathBuf> = folders.flat_map(entries).filter(logs).collect();
    all.sort();
    all
}

/// Connections that a server numbers anew each time: what is compared behind a refused login depends on whether they come again.
const ANEW: (&str, [&str; 9]) =
    ("mongodb-text/refused.log", ["conn45]", "conn46]", "conn47]", "#45 ", "#46 ", "#47 ", ":38918", ":40112", ":40113"]);

fn repeat(path: &Path, sample: &[u8], size: usize) -> Vec<u8> {
    let mut log = Vec::with_capacity(size + 2 * sample.len());
    let mut copies = 0;
    while log.len() < size {
        if path.ends_with(ANEW.0) {
            let mut copy = String::from_utf8_lossy(sample).into_owned();
            for (at, connection) in ANEW.1.iter().enumerate() {
                let digits: String = connection.chars().filter(char::is_ascii_digit).collect();
                let number = 1_024 + (3 * copies + at % 3) % 64_000;
                copy = copy.replace(connection, &connection.replace(&digits, &number.to_string()));
            }
            log.extend_from_slice(copy.as_bytes());
        } else {
            log.extend_from_slice(sample);
        }
        copies += 1;
    }
    log
}

/// CPU seconds of decoding, by the kernel's account of this thread.
fn decode(format: &str, log: &[u8]) -> (f64, Counts) {
    let before = thread();
    // What is no format is an envelope, and what it holds is detected.
    let mut stream = Stream::new(by_name(format), FormatOptions::default(), 0);
    stream.set_written(WRITTEN);
    for chunk in log.chunks(CHUNK) {
        stream.feed(chunk, &mut |item| {
            std::hint::black_box(&item.decoded);
        });
    }
    stream.close(&mut |_| {});
    ((thread() - before).max(1e-6), stream.counts())
}

fn thread() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("proc");
    text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// CPU seconds of `wc -l` for a byte of PostgreSQL's csvlog.
fn wc() -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/postgres-csv/durations.log");
    let log = repeat(&path, &fs::read(&path).expect("a sample"), COUNTED.0 << 20);
    fs::write(&file, &log).expect("the log");
    let before = children();
    let status = Command::new("wc").arg("-l").args(std::iter::repeat_n(&file, COUNTED.1)).stdout(Stdio::null()).status();
    assert!(status.expect("wc runs").success());
    (children() - before).max(0.01) / (COUNTED.1 * log.len()) as f64
}

/// CPU seconds of ended children, from proc(5).
fn children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("proc");
    let rest = stat.rsplit(')').next().expect("fields");
    let fields: Vec<f64> = rest.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // After the state letter, cutime and cstime are fields 16 and 17; the first here is field 4.
    (fields[12] + fields[13]) / 100.0
}
