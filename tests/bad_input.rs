//! Bad input, as a broken database, a slip of the keyboard, a bored attacker and a full disk give it: each is told in clear words, what
//! is good beside it is read, nothing is lost and nothing panics.
#![allow(clippy::disallowed_methods, reason = "what must not take long is measured with the real clock")]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::daemon::{Daemon, program};
use support::http_receiver::{Answer, Receiver};
use support::random::Random;
use support::smtp::SmtpServer;
use support::wait_for;

const FORMATS: [&str; 5] = ["postgres-csv", "postgres-json", "postgres-stderr", "mariadb-audit", "json"];
/// Good records to stand around bad ones, and the format that they are in.
const CSV: &str = "2026-11-22 02:05:17.355 UTC,\"billing\",\"shop\",1180,\"10.20.9.20:58212\",6ae68101.49c,4,\"idle\",2026-11-22 02:05:01 UTC,15/1851,0,LOG,00000,\"statement: SELECT total FROM invoices WHERE id = 1\",,,,,,,,,\"billing-svc\",\"client backend\",,0\n";
const STDERR: &str = "2026-11-01 00:00:01.000 UTC [123] billing@shop LOG:  statement: SELECT total FROM invoices WHERE id = 1\n";
const AUDIT: &str = "20261101 00:00:01,db1,billing,10.0.0.1,12,34,QUERY,shop,'SELECT total FROM invoices WHERE id = 1',0\n";
const JSON: &str = "{\"time\":\"2026-11-01T00:00:01Z\",\"user\":\"billing\",\"client_ip\":\"10.0.0.1\",\"query\":\"SELECT total FROM invoices WHERE id = 1\"}\n";

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Outcome {
    fn of(output: &std::process::Output) -> Outcome {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let outcome = Outcome { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
        assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
        assert!((0..=2).contains(&outcome.code), "exit code {}: {}", outcome.code, outcome.err);
        outcome
    }

    /// A count of replay's last line.
    fn count(&self, name: &str) -> u64 {
        let last = self.err.lines().last().unwrap_or_default();
        let mut words = last.split_whitespace();
        words.find(|word| *word == name);
        words.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no count of {name} in {:?}", self.err))
    }

    /// Every record was an event, a reject or a skip; nothing vanished.
    fn balanced(&self) {
        let sum = self.count("events") + self.count("unparsed") + self.count("skipped");
        assert_eq!(self.count("records"), sum, "{}", self.err);
    }

    fn says(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {:?}", self.err);
        }
    }
}

fn tokenwatch(folder: &Path, args: &[&str]) -> Outcome {
    Outcome::of(&Command::new(program()).current_dir(folder).args(args).stdin(Stdio::null()).output().expect("the program runs"))
}

/// Runs with `input` on stdin.
fn piped(args: &[&str], input: &[u8]) -> Outcome {
    let mut child = Command::new(program())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let outcome = Outcome::of(&child.wait_with_output().expect("its end"));
    // A program that refuses its input at once closes the pipe.
    let _ = writer.join();
    outcome
}

fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    folder
}

fn demo_log() -> Vec<u8> {
    let packed = fs::read(support::root().join("samples/demo/postgresql.csv.zst")).expect("the demo's log");
    zstd::decode_all(packed.as_slice()).expect("its text")
}

#[test]
fn inputs_that_cannot_be_opened_are_named_with_reason_and_advice() {
    let folder = folder_with(&[("log.csv", CSV.as_bytes())]);
    fs::create_dir(folder.path().join("logs")).expect("a folder");
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.csv")).expect("a link");
    for command in ["replay", "decode"] {
        tokenwatch(folder.path(), &[command, "none.csv"]).says(2, &["cannot read none.csv", "No such file", "check the path"]);
        tokenwatch(folder.path(), &[command, "dangling.csv"]).says(2, &["cannot read dangling.csv", "symbolic link"]);
        tokenwatch(folder.path(), &[command, "*.log"]).says(2, &["cannot read *.log", "no file matches"]);
        tokenwatch(folder.path(), &[command, "logs"]).says(2, &["logs: it is a directory", "logs/*.log"]);
        tokenwatch(folder.path(), &[command, "--format", "postgres-cvs", "log.csv"])
            .says(2, &["unknown format \"postgres-cvs\"; did you mean \"postgres-csv\"?"]);
        tokenwatch(folder.path(), &[command, "--format", "zzzzzzzzz", "log.csv"]).says(2, &["mariadb-audit", "postgres-json"]);
    }
    tokenwatch(folder.path(), &["replay", "--alerts", "no/such/out.jsonl", "log.csv"]).says(2, &["cannot write no/such/out.jsonl"]);
}

/// The slip of the keyboard that costs a log.
#[test]
fn an_input_is_never_overwritten() {
    let folder = folder_with(&[("log.csv", CSV.as_bytes()), ("alerts.jsonl", b"kept")]);
    std::os::unix::fs::symlink("log.csv", folder.path().join("link")).expect("a link");
    for out in ["log.csv", "./log.csv", "link"] {
        tokenwatch(folder.path(), &["replay", "--alerts", out, "log.csv"]).says(2, &["log.csv is an input and would be overwritten"]);
    }
    assert_eq!(fs::read_to_string(folder.path().join("log.csv")).expect("the log"), CSV);
    tokenwatch(folder.path(), &["replay", "--alerts", "alerts.jsonl", "none.csv"]).says(2, &["cannot read none.csv"]);
    assert_eq!(fs::read_to_string(folder.path().join("alerts.jsonl")).expect("old alerts"), "kept");
}

#[test]
fn what_is_no_text_is_refused_with_the_command_that_helps() {
    let utf16: Vec<u8> = [0xfeff_u16].into_iter().chain(CSV.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let folder = folder_with(&[
        ("utf16.csv", &utf16),
        ("log.xz", b"\xfd7zXZ\0\0\0\0\0\0\0"),
        ("log.bz2", b"BZh91AY&SY\0\0\0\0"),
        ("log.zip", b"PK\x03\x04\0\0\0\0"),
    ]);
    for (file, advice) in
        [("utf16.csv", "iconv -f UTF-16 -t UTF-8"), ("log.xz", "xz -dc"), ("log.bz2", "bzip2 -dc"), ("log.zip", "unzip -p")]
    {
        tokenwatch(folder.path(), &["replay", file]).says(2, &[&format!("cannot read {file}"), advice]);
    }
    piped(&["decode", "-"], &utf16).says(2, &["UTF-16"]);
}

#[test]
fn empty_inputs_are_empty() {
    let folder = folder_with(&[("empty", b""), ("newlines", b"\n\r\n\n\n"), ("nuls", &[0; 5000])]);
    for file in ["empty", "newlines", "nuls"] {
        let replayed = tokenwatch(folder.path(), &["replay", file]);
        replayed.says(0, &["the input holds no record"]);
        assert_eq!(replayed.count("records"), 0);
        let decoded = tokenwatch(folder.path(), &["decode", "--json", file]);
        assert_eq!((decoded.code, decoded.out.as_str()), (0, ""), "{}", decoded.err);
    }
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    for (good, format) in [(CSV, "postgres-csv"), (STDERR, "postgres-stderr"), (AUDIT, "mariadb-audit"), (JSON, "json")] {
        let plain = good.repeat(20);
        let crlf = plain.replace('\n', "\r\n");
        let marked = format!("\u{feff}{plain}");
        let torn = plain.trim_end().to_owned();
        for text in [&plain, &crlf, &marked, &torn] {
            for args in [vec!["decode", "--json", "-"], vec!["decode", "--json", "--format", format, "-"]] {
                let decoded = piped(&args, text.as_bytes());
                assert_eq!(decoded.code, 0, "{}", decoded.err);
                let records: Vec<Value> = decoded.out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
                assert_eq!(records.len(), 20, "{format}: {}{}", decoded.out, decoded.err);
                for record in records {
                    assert_eq!((record["format"].as_str(), record["token"].as_str()), (Some(format), Some("billing")), "{record}");
                }
            }
        }
    }
}

#[test]
fn broken_utf8_and_nuls_stay_in_their_record() {
    for (good, format) in [(CSV, "postgres-csv"), (STDERR, "postgres-stderr"), (AUDIT, "mariadb-audit"), (JSON, "json")] {
        let ten = good.repeat(10);
        let mut text = ten.clone().into_bytes();
        // In a name, in the statement, and a run of NULs between records, as a crash leaves it.
        text.extend(good.replace("billing", "bill\u{1}").into_bytes().iter().map(|b| if *b == 1 { 0xff } else { *b }));
        text.extend(good.replace("total", "to\u{1}tal").into_bytes().iter().map(|b| if *b == 1 { 0 } else { *b }));
        text.extend(vec![0; 10_000]);
        text.extend(ten.as_bytes());
        let replayed = piped(&["replay", "--format", format, "-"], &text);
        assert_eq!(replayed.code, 0, "{}", replayed.err);
        replayed.balanced();
        // MariaDB's guard takes the record before the NULs and the one behind them for one, and doubts it.
        let expected = if format == "mariadb-audit" { 21 } else { 22 };
        assert_eq!(replayed.count("records"), expected, "{format}: {}", replayed.err);
        assert!(replayed.count("events") >= 20, "{format}: {}", replayed.err);
        let decoded = piped(&["decode", "--format", format, "-"], &text);
        assert!(!decoded.out.contains('\0') && !decoded.out.contains('\u{1b}'), "{format}");
    }
}

/// Feeds stdin and gives the outcome with the most memory (resident, in MiB) that was in use.
fn memory_of(args: &[&str], input: &[u8]) -> (Outcome, u64) {
    let mut child = Command::new(program())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads on");
    std::thread::sleep(Duration::from_millis(300));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it waits for more");
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    drop(stdin);
    (Outcome::of(&child.wait_with_output().expect("its end")), peak.expect("VmHWM") / 1024)
}

#[test]
fn a_record_of_ten_megabytes_is_cut_and_the_next_are_read() {
    let long = "1".repeat(10_000_000);
    for (good, format) in [(CSV, "postgres-csv"), (STDERR, "postgres-stderr"), (AUDIT, "mariadb-audit"), (JSON, "json")] {
        let huge = good.replace("id = 1", &format!("id = {long}"));
        let text = format!("{}{huge}{}", good.repeat(5), good.repeat(5));
        let (replayed, peak) = memory_of(&["replay", "-"], text.as_bytes());
        assert_eq!(replayed.code, 0, "{}", replayed.err);
        replayed.balanced();
        assert_eq!(replayed.count("records"), 11, "{format}: {}", replayed.err);
        assert!(replayed.count("events") >= 10, "{format}: {}", replayed.err);
        assert_eq!(replayed.count("suspect"), 0, "{format}: {}", replayed.err);
        assert!(peak < 80, "{format}: {peak} MiB in use");
        // A line without end, and a quote that is never closed.
        let open = format!("{}\"{long}\n{}", good.repeat(5), good.repeat(5));
        let (replayed, peak) = memory_of(&["replay", "--format", format, "-"], open.as_bytes());
        replayed.balanced();
        assert!(replayed.count("events") >= 10, "{format}: {}", replayed.err);
        assert!(replayed.count("unparsed") >= 1 || replayed.count("records") == 11, "{format}: {}", replayed.err);
        assert!(peak < 80, "{format}: {peak} MiB in use");
    }
}

#[test]
fn random_bytes_are_rejected_in_every_format() {
    let mut random = Random::new(1);
    let noise = random.bytes(1_500_000);
    for format in FORMATS {
        let replayed = piped(&["replay", "--format", format, "-"], &noise);
        assert_eq!(replayed.code, 0, "{}", replayed.err);
        replayed.balanced();
        assert!(replayed.count("unparsed") > 0, "{format} swallows noise in silence: {}", replayed.err);
        assert_eq!(replayed.count("events"), 0, "{format}: {}", replayed.err);
        replayed.says(0, &["nothing could be read", "tokenwatch decode", "--format"]);
        let decoded = piped(&["decode", "--json", "--format", format, "-"], &noise);
        assert_eq!(decoded.code, 0, "{}", decoded.err);
        assert_eq!(decoded.out.lines().count() as u64, replayed.count("records"), "{format}");
        assert!(decoded.out.lines().all(|l| serde_json::from_str::<Value>(l).is_ok_and(|v| v["rejected"].is_string())), "{format}");
    }
    let detected = piped(&["replay", "-"], &noise);
    detected.balanced();
    detected.says(0, &["nothing could be read"]);
}

#[test]
fn a_wrong_format_is_told() {
    let texts = [(CSV, "postgres-csv"), (STDERR, "postgres-stderr"), (AUDIT, "mariadb-audit"), (JSON, "json")];
    for (text, own) in texts {
        for format in FORMATS.iter().filter(|f| **f != own && !(f.ends_with("json") && own == "json")) {
            let replayed = piped(&["replay", "--format", format, "-"], text.repeat(50).as_bytes());
            replayed.balanced();
            assert_eq!(replayed.count("events"), 0, "{own} as {format}: {}", replayed.err);
            replayed.says(0, &["nothing could be read"]);
        }
    }
}

#[test]
fn damaged_records_never_panic_and_are_all_counted() {
    let read = |name: &str| fs::read(support::root().join("samples").join(name)).expect("a sample");
    let mut csv = demo_log();
    csv.truncate(200_000);
    let samples = [
        ("postgres-csv", csv),
        ("mariadb-audit", read("mariadb-audit/hostile.log")),
        ("json", read("json/records.jsonl")),
        ("mariadb-audit", read("relay/envelopes.jsonl")),
        ("postgres-stderr", STDERR.repeat(500).into_bytes()),
    ];
    let mut random = Random::new(7);
    for (format, good) in samples {
        for round in 0..6 {
            let mut bad = good.clone();
            for _ in 0..1 + bad.len() / 200 {
                let at = random.below(bad.len());
                match random.below(6) {
                    0 => bad[at] = (random.number() >> 16) as u8,
                    1 => bad[at] = 0,
                    2 => bad[at] = b'"',
                    3 => bad[at] = b'\n',
                    4 => bad.truncate(at.max(bad.len() - 20)),
                    _ => bad[at] ^= 0x80,
                }
            }
            for args in [vec!["replay", "--format", format, "-"], vec!["replay", "-"]] {
                let replayed = piped(&args, &bad);
                assert_eq!(replayed.code, 0, "{format} {round}: {}", replayed.err);
                replayed.balanced();
            }
        }
    }
}

#[test]
fn compressed_inputs_that_lie_are_told() {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    let text = CSV.repeat(20_000);
    let gz = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    };
    let (gzipped, zipped) = (gz(text.as_bytes()), zstd::encode_all(text.as_bytes(), 3).expect("memory"));
    let bomb = gz(&vec![b'a'; 300 << 20]);
    let mut damaged = gzipped.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let folder = folder_with(&[
        ("whole.gz", &gzipped),
        ("whole.zst", &zipped),
        ("cut.gz", &gzipped[..gzipped.len() / 2]),
        ("cut.zst", &zipped[..zipped.len() / 2]),
        ("damaged.gz", &damaged),
        ("bomb.gz", &bomb),
        ("header.gz", &gzipped[..3]),
    ]);
    for file in ["whole.gz", "whole.zst"] {
        let whole = tokenwatch(folder.path(), &["replay", file]);
        assert_eq!((whole.code, whole.count("events"), whole.count("gaps")), (0, 20_000, 0), "{}", whole.err);
    }
    for (file, message) in [
        ("cut.gz", "cut.gz is cut short"),
        ("cut.zst", "cut.zst is cut short"),
        ("damaged.gz", "the rest is missing"),
        ("bomb.gz", "decompression bomb"),
        ("header.gz", "header.gz is cut short"),
    ] {
        let began = Instant::now();
        let broken = tokenwatch(folder.path(), &["replay", file]);
        broken.says(2, &[message]);
        assert_eq!(broken.count("gaps"), 1, "{}", broken.err);
        broken.balanced();
        assert!(began.elapsed() < Duration::from_secs(20), "{file} took {:?}", began.elapsed());
        tokenwatch(folder.path(), &["decode", "--json", file]).says(2, &[message]);
    }
    // What comes before and beside the damage is judged all the same.
    let beside = tokenwatch(folder.path(), &["replay", "whole.gz", "cut.gz"]);
    assert_eq!(beside.code, 2);
    assert!(beside.count("events") > 20_000, "{}", beside.err);
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let folder = folder_with(&[("demo.csv", &demo_log())]);
    for args in [vec!["decode", "demo.csv"], vec!["decode", "--json", "demo.csv"], vec!["replay", "demo.csv"]] {
        let mut child = Command::new(program())
            .current_dir(folder.path())
            .args(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut first = [0; 64];
        let mut out = child.stdout.take().expect("a pipe");
        out.read_exact(&mut first).expect("some output");
        drop(out);
        let outcome = Outcome::of(&child.wait_with_output().expect("its end"));
        assert_eq!(outcome.code, 0, "{args:?}: {}", outcome.err);
    }
}

/// What the daemon watches in the tests below: everything in `log.csv`, alerts into `alerts.jsonl`.
fn watching(folder: &Path) -> String {
    format!(
        "[[source]]\nname = \"pg\"\ntype = \"file\"\ninclude = [\"{0}/log.csv\"]\n\
         [[channel]]\nname = \"file\"\ntype = \"file\"\npath = \"{0}/alerts.jsonl\"\nmin_severity = \"informational\"\n",
        folder.display()
    )
}

fn alerts_of(lines: &str) -> Vec<Value> {
    let mut alerts: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect();
    alerts.sort_by_key(|a| (a["id"].to_string(), a["revision"].as_u64()));
    alerts.dedup();
    alerts
}

#[test]
fn a_dead_mail_server_and_a_hanging_webhook_hold_up_nobody_else() {
    support::python::required();
    let hanging = Receiver::start([]).then_always(Answer::Hang);
    let mail_port = support::free_port();
    let mut daemon = Daemon::new("", &[]);
    let folder = daemon.folder.path().to_owned();
    daemon.configure(&format!(
        "{}[[channel]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\nmin_severity = \"informational\"\ntimeout = \"3s\"\n\
         [[channel]]\nname = \"mail\"\ntype = \"email\"\nhost = \"localhost\"\nport = {mail_port}\ntls = \"none\"\n\
         from = \"tokenwatch@example.org\"\nto = [\"soc@example.org\"]\nmin_severity = \"informational\"\n",
        watching(&folder),
        hanging.url("/hook")
    ));
    daemon.start();
    fs::write(folder.join("log.csv"), demo_log()).expect("the log");
    wait_for("the alert in the file", Duration::from_secs(60), || {
        fs::read_to_string(folder.join("alerts.jsonl")).ok().filter(|text| text.contains("billing_svc"))
    });
    hanging.wait_for(1);
    // What waits can be seen from outside, with the reason.
    for channel in ["hook", "mail"] {
        daemon.wait_metric(&format!("tokenwatch_outbox_pending{{channel=\"{channel}\"}}"), 1.0);
    }
    let (code, status, _) = daemon.command(&["status", "--json"]);
    assert_eq!(code, 0);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let waiting =
        |name: &str| status["outbox"].as_array().and_then(|all| all.iter().find(|o| o["destination"] == name)?["waiting"].as_u64());
    assert!(waiting("mail") >= Some(1) && waiting("hook") >= Some(1), "{status}");
    let id = status["alerts"][0]["id"].as_str().expect("an alert").to_owned();
    wait_for("the reason in `alerts show`", Duration::from_secs(60), || {
        let (_, shown, _) = daemon.command(&["alerts", "show", &id]);
        (shown.contains("mail ") && shown.contains("waiting after") && shown.contains("refused")).then_some(())
    });
    // The mail server comes up: the mail arrives by itself.
    let mut server = SmtpServer::start("none");
    forward(mail_port, server.port);
    let mail = server.mail();
    assert!(mail.content.contains("billing_svc"), "{}", mail.content);
    // A hanging receiver does not hold up the end.
    daemon.stop();
}

/// Lets a server that chose its own port be reached on `port`.
fn forward(port: u16, to: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port of the mail server");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            for (mut from, mut into) in [(client.try_clone().expect("a handle"), server.try_clone().expect("a handle")), (server, client)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
}

/// A small file system of its own; unmounted with this value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "none"]).arg(folder.path()).output();
        mounted.is_ok_and(|o| o.status.success()).then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a daemon of a failed test may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_stops_reading_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("3m") else {
        println!("SKIPPED: a full disk needs the right to mount a tmpfs (run as root)");
        return;
    };
    let mut daemon = Daemon::new("", &[]);
    let folder = daemon.folder.path().to_owned();
    let log = folder.join("log.csv");
    let config = format!(
        "[state]\ndir = \"{}/state\"\n[http]\nlisten = \"127.0.0.1:{}\"\n{}",
        disk.0.path().display(),
        daemon.http,
        watching(&folder)
    );
    fs::write(daemon.config(), config).expect("the configuration");
    let text = demo_log();
    let half = text.len() / 2;
    fs::write(&log, &text[..half]).expect("the first half");
    daemon.start();
    let read_up_to = |daemon: &Daemon| {
        let (_, status, _) = daemon.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).ok()?;
        status["positions"].as_array()?.first()?["offset"].as_u64()
    };
    wait_for("the first half", Duration::from_secs(30), || read_up_to(&daemon).filter(|at| *at + 2000 > half as u64));

    // Somebody else's file takes all the space there is; the log goes on.
    let filler = disk.0.path().join("filler");
    let mut somebody = fs::OpenOptions::new().create(true).append(true).open(&filler).expect("a file");
    let mut writer = fs::OpenOptions::new().append(true).open(&log).expect("the log");
    while somebody.write_all(&[0; 4096]).is_ok() {}
    let mut rest = text[half..].chunks(text.len() / 40);
    wait_for("a full store", Duration::from_secs(30), || {
        while somebody.write_all(&[0; 512]).is_ok() {}
        if let Some(piece) = rest.next() {
            writer.write_all(piece).expect("the log has its own disk");
        }
        daemon.metric("tokenwatch_store_full").filter(|full| *full == 1.0)
    });
    for piece in rest {
        writer.write_all(piece).expect("the log has its own disk");
    }
    let log_text = daemon.output();
    assert!(log_text.contains("no space left") && log_text.contains("free space on"), "what to do is not said: {log_text}");
    let stuck = read_up_to(&daemon);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(read_up_to(&daemon), stuck, "the position moved on a full disk");
    assert_eq!(daemon.metric("tokenwatch_store_full"), Some(1.0));
    // Said once by each part that writes, not every two seconds.
    assert!(daemon.output().matches("no space left").count() <= 3, "{}", daemon.output());

    // Space again: it goes on by itself.
    drop(somebody);
    fs::remove_file(&filler).expect("our file");
    wait_for("the rest of the log", Duration::from_secs(40), || read_up_to(&daemon).filter(|at| *at == text.len() as u64));
    assert_eq!(daemon.metric("tokenwatch_store_full"), Some(0.0));
    assert!(daemon.output().contains("the store can be written again"), "{}", daemon.output());
    wait_for("an empty outbox", Duration::from_secs(20), || {
        daemon.metric("tokenwatch_outbox_pending{channel=\"file\"}").filter(|n| *n == 0.0)
    });
    daemon.stop();
    let replayed = tokenwatch(&folder, &["replay", log.to_str().expect("a path")]);
    let got = alerts_of(&fs::read_to_string(folder.join("alerts.jsonl")).expect("alerts"));
    assert_eq!(got, alerts_of(&replayed.out));
    assert!(!got.is_empty());
}

#[test]
fn a_daemon_survives_bad_bytes_in_its_log() {
    let mut daemon = Daemon::new("", &[]);
    let folder = daemon.folder.path().to_owned();
    daemon.configure(&watching(&folder));
    let log = folder.join("log.csv");
    let mut random = Random::new(99);
    let mut text = CSV.repeat(100).into_bytes();
    fs::write(&log, &text).expect("the log");
    daemon.start();
    wait_for("the first records", Duration::from_secs(20), || {
        daemon.metric("tokenwatch_records_total{result=\"event\",source=\"pg\"}").filter(|n| *n >= 100.0)
    });
    text = random.bytes(300_000);
    text.push(b'\n');
    text.extend(CSV.replace("SELECT total", &"x".repeat(3_000_000)).into_bytes());
    text.extend(CSV.repeat(100).into_bytes());
    fs::OpenOptions::new().append(true).open(&log).and_then(|mut f| f.write_all(&text)).expect("the log");
    wait_for("the records behind the noise", Duration::from_secs(20), || {
        daemon.metric("tokenwatch_records_total{result=\"event\",source=\"pg\"}").filter(|n| *n >= 200.0)
    });
    let mut rejects = String::new();
    for line in daemon.metrics().lines().filter(|l| l.starts_with("tokenwatch_rejects_total{")) {
        let _ = writeln!(rejects, "{line}");
    }
    assert!(!rejects.is_empty(), "the noise is not counted:\n{}", daemon.metrics());
    daemon.stop();
    assert!(!daemon.output().contains("panicked"), "{}", daemon.output());
}

#[test]
fn a_daemon_says_that_a_followed_file_is_no_plain_log() {
    let mut daemon = Daemon::new("", &[]);
    let folder = daemon.folder.path().to_owned();
    daemon.configure(&format!(
        "[[source]]\nname = \"all\"\ntype = \"file\"\ninclude = [\"{0}/logs/*\"]\n\
         [[source]]\nname = \"none\"\ntype = \"file\"\ninclude = [\"{0}/none/*.csv\"]\n\
         [[channel]]\nname = \"lost\"\ntype = \"file\"\npath = \"{0}/missing/alerts.jsonl\"\n",
        folder.display()
    ));
    let logs = folder.join("logs");
    fs::create_dir(&logs).expect("a folder");
    let utf16: Vec<u8> = [0xfeff_u16].into_iter().chain(CSV.repeat(3).encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(logs.join("good.csv"), CSV.repeat(50)).expect("a log");
    fs::write(logs.join("compressed.log"), zstd::encode_all(demo_log().as_slice(), 1).expect("memory")).expect("a log");
    fs::write(logs.join("utf16.csv"), utf16).expect("a log");
    let (code, _, notes) = daemon.command(&["check"]);
    assert_eq!(code, 0);
    assert!(notes.contains("channel \"lost\": there is no folder") && notes.contains("/missing"), "{notes}");
    daemon.start();
    wait_for("the good records", Duration::from_secs(20), || {
        daemon.metric("tokenwatch_records_total{result=\"event\",source=\"all\"}").filter(|n| *n >= 50.0)
    });
    for reason in ["the file is compressed", "the file is UTF-16 text"] {
        wait_for(reason, Duration::from_secs(20), || daemon.metrics().contains(&format!("reason=\"{reason}")).then_some(()));
    }
    // The log names the first rejects only; metrics count all.
    assert!(daemon.output().contains("reason=\"the file is "), "{}", daemon.output());
    assert!(daemon.output().contains("none/*.csv matches no file yet"), "{}", daemon.output());
    assert_eq!(daemon.metric("tokenwatch_source_up{source=\"none\"}"), Some(0.0));
    daemon.stop();
}
