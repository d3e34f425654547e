//! The two figures that users feel: CPU for a log relative to `wc -l` of the same file, and the time from an appended line to a received
//! webhook. Run with `cargo bench --bench end_to_end`; prints figures, asserts nothing.
//!
//! The log is `small-all/postgresql.csv` of the real logs beside the checkout (`TOKENWATCH_REALLOGS`), repeated with advancing times, or
//! the demo's log where those are absent. `TOKENWATCH_BENCH_MB` sets its size (default 256).
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tokenwatch");
const LINES: usize = 200;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    throughput(folder.path());
    latency(folder.path());
}

fn throughput(folder: &Path) {
    let megabytes: usize = std::env::var("TOKENWATCH_BENCH_MB").ok().and_then(|v| v.parse().ok()).unwrap_or(256);
    let log = folder.join("log.csv");
    repeat(&log, megabytes << 20);
    println!("replay of {megabytes} MiB of csvlog, CPU seconds (user + system), five runs beside wc -l:");
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let wc = cpu(Command::new("wc").arg("-l").arg(&log));
        let one = cpu(Command::new(PROGRAM).args(["replay", "--threads", "1"]).arg(&log));
        let two = cpu(Command::new(PROGRAM).args(["replay", "--threads", "2"]).arg(&log));
        println!("  wc -l {wc:.2}   1 thread {one:.2} = {:.1} x   2 threads {two:.2} = {:.1} x", one / wc, two / wc);
        ratios.push(one / wc);
    }
    ratios.sort_by(f64::total_cmp);
    println!("  median {:.1} x wc -l", ratios[ratios.len() / 2]);
}

/// CPU seconds of a child, from the kernel's account of ended children (a tick is 10 ms).
fn cpu(command: &mut Command) -> f64 {
    let before = children();
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the command runs").success());
    (children() - before).max(0.01)
}

fn children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("proc");
    let rest = stat.rsplit(')').next().expect("fields");
    let fields: Vec<f64> = rest.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // After the state letter, cutime and cstime are fields 16 and 17 of proc(5); the first here is field 4.
    (fields[12] + fields[13]) / 100.0
}

/// The source log again and again, twenty minutes later each time.
fn repeat(path: &Path, size: usize) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let real = std::env::var_os("TOKENWATCH_REALLOGS").map_or_else(|| root.join("../shared/reallogs"), PathBuf::from);
    let mut out = BufWriter::new(File::create(path).expect("the log"));
    let mut written = 0;
    match fs::read(real.join("postgresql/small-all/postgresql.csv")) {
        Ok(text) => {
            let mut minute = 0i64;
            while written < size {
                let stamp = jiff::Timestamp::from_second(1_793_491_200 + minute * 60).expect("a time");
                let day = stamp.strftime("%Y-%m-%d %H:%M:").to_string();
                // Bytes: the real log holds text of several encodings.
                let copy = bstr::ByteSlice::replace(text.as_slice(), "2026-11-22 02:05:", &day);
                out.write_all(&copy).expect("written");
                written += copy.len();
                minute += 20;
            }
        }
        Err(_) => {
            println!("(the real logs are absent: the demo's log is used, with times that repeat)");
            let packed = fs::read(root.join("samples/demo/postgresql.csv.zst")).expect("the demo's log");
            let text = zstd::decode_all(packed.as_slice()).expect("its text");
            while written < size {
                out.write_all(&text).expect("written");
                written += text.len();
            }
        }
    }
    out.flush().expect("written");
}

/// Each appended line is a canary's use a day after the last, so each is an alert of its own.
fn latency(folder: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let log = folder.join("live.csv");
    fs::write(&log, b"").expect("the log");
    fs::write(folder.join("tokens.toml"), "[[token]]\nname = \"canary\"\nowner = \"bench\"\ncanary = true\n").expect("the inventory");
    let config = folder.join("tokenwatch.toml");
    let text = format!(
        "inventory = \"tokens.toml\"\n[state]\ndir = \"state\"\n[[source]]\ntype = \"file\"\ninclude = [\"{}\"]\nformat = \"postgres-csv\"\n\
         [[channel]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"http://{address}/\"\n",
        log.display()
    );
    fs::write(&config, text).expect("the configuration");
    let mut daemon = Command::new(PROGRAM).arg("run").arg("--config").arg(&config).stderr(Stdio::null()).spawn().expect("the daemon");
    std::thread::sleep(Duration::from_secs(2));
    let mut file = OpenOptions::new().append(true).open(&log).expect("the log");
    let mut waits = Vec::new();
    let mut connection = None;
    for n in 0..LINES {
        let stamp = jiff::Timestamp::from_second(1_793_491_200 + n as i64 * 90_000).expect("a time");
        let time = stamp.strftime("%Y-%m-%d %H:%M:%S");
        let line = format!(
            "{time}.000 UTC,\"canary\",\"app\",{n},\"10.0.0.9:4000\",6b02.{n:x},1,\"SELECT\",{time} UTC,3/1,0,LOG,00000,\"statement: select 1 from t\",,,,,,,,,\"psql\",\"client backend\",,0\n"
        );
        let began = Instant::now();
        file.write_all(line.as_bytes()).expect("appended");
        receive(&listener, &mut connection);
        waits.push(began.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.kill().expect("killed");
    let _ = daemon.wait();
    waits.sort();
    println!(
        "line appended -> webhook received, {LINES} lines: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
        millis(waits[LINES / 2]),
        millis(waits[LINES * 9 / 10]),
        millis(waits[LINES * 99 / 100]),
        millis(waits[LINES - 1])
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

type Connection = BufReader<std::net::TcpStream>;

/// Takes one request, on the open connection or on a new one, and answers it.
fn receive(listener: &TcpListener, connection: &mut Option<Connection>) {
    loop {
        let mut reader = connection.take().unwrap_or_else(|| BufReader::new(listener.accept().expect("a connection").0));
        let mut length = 0usize;
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            continue;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("an answer");
        *connection = Some(reader);
        return;
    }
}
