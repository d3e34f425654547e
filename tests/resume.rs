//! The same log gives the same alerts, byte for byte: for any thread count, and for a daemon that is killed again and again.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::daemon::{Daemon, program};
use support::wait_for;

/// The bundled log of the demo: fifteen days with a theft at the end.
fn demo_log() -> Vec<u8> {
    let packed = fs::read(support::root().join("samples/demo/postgresql.csv.zst")).expect("the demo's log");
    zstd::decode_all(packed.as_slice()).expect("its text")
}

fn replay(log: &Path, threads: &str, config: Option<&Path>) -> String {
    let mut command = Command::new(program());
    command.args(["replay", "--threads", threads]);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let output = command.arg(log).output().expect("replay runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("JSON lines")
}

#[test]
fn replay_does_not_depend_on_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("demo.csv");
    fs::write(&log, demo_log()).expect("the log");
    let one = replay(&log, "1", None);
    assert!(one.lines().count() >= 1, "the theft is found");
    assert_eq!(one, replay(&log, "2", None));
    assert_eq!(one, replay(&log, "7", None));
    // Two inputs are merged by event time, whatever decodes them.
    let half = folder.path().join("half.csv");
    let text = demo_log();
    let cut = text.len() / 2 + text[text.len() / 2..].windows(2).position(|w| w == b"\n2").expect("a record's end") + 1;
    fs::write(&log, &text[..cut]).expect("the first half");
    fs::write(&half, &text[cut..]).expect("the second half");
    let run = |threads: &str| {
        let output = Command::new(program()).args(["replay", "--threads", threads]).arg(&log).arg(&half).output().expect("replay runs");
        String::from_utf8(output.stdout).expect("JSON lines")
    };
    assert_eq!(run("1"), run("3"));
    assert_eq!(run("1").lines().count(), one.lines().count());
}

/// PostgreSQL's own log, of its default form: lists of names that are tried from three addresses, and two passwords that are right.
fn stuffing_log() -> Vec<u8> {
    let mut log = String::new();
    let mut line = |second: u32, pid: u32, text: &str| {
        let (day, hour, minute) = (22 + second / 86_400, second / 3_600 % 24, second / 60 % 60);
        log.push_str(&format!("2026-11-{day} {hour:02}:{minute:02}:{:02}.{:03} UTC [{pid}] {text}\n", second % 60, pid % 1000));
    };
    for n in 0..240u32 {
        let (second, pid) = (n * 420, 10_000 + n);
        let (address, name) = match n % 4 {
            0 => ("198.51.100.7".to_owned(), format!("guess{n}")),
            1 => (format!("203.0.113.{n}"), format!("slow{n}")),
            2 => ("198.51.100.8".to_owned(), format!("guess{}", n % 3)),
            _ => ("10.0.0.9".to_owned(), format!("app{}", n % 20)),
        };
        let works = n % 4 == 3 || n == 60 || n == 176;
        line(second, pid, &format!("[unknown]@[unknown] LOG:  connection received: host={address} port={}", 40_000 + n));
        if works {
            line(second, pid, &format!("{name}@shop LOG:  connection authorized: user={name} database=shop application_name=psql"));
            line(second + 1, pid, &format!("{name}@shop LOG:  statement: SELECT id FROM orders WHERE id = {n}"));
            line(
                second + 2,
                pid,
                &format!(
                    "{name}@shop LOG:  disconnection: session time: 0:00:02.000 user={name} database=shop host={address} port={}",
                    40_000 + n
                ),
            );
        } else {
            line(second, pid, &format!("{name}@shop FATAL:  password authentication failed for user \"{name}\""));
        }
    }
    log.into_bytes()
}

#[test]
fn a_killed_daemon_raises_the_alerts_of_one_replay() {
    killed_again_and_again(&demo_log(), "csv", 1);
}

/// What is known of addresses is stored with the rest.
#[test]
fn a_killed_daemon_counts_on_what_was_tried_from_an_address() {
    killed_again_and_again(&stuffing_log(), "log", 4);
}

/// The alerts are those of one replay, at least so many.
fn killed_again_and_again(text: &[u8], ending: &str, least: usize) {
    let mut daemon = Daemon::new("", &[]);
    let log = daemon.folder.path().join(format!("database.{ending}"));
    let alerts = daemon.folder.path().join("alerts.jsonl");
    daemon.configure(&format!(
        "[[source]]\nname = \"pg\"\ntype = \"file\"\ninclude = [\"{}\"]\n[[channel]]\nname = \"file\"\ntype = \"file\"\npath = \"{}\"\nmin_severity = \"informational\"\n",
        log.display(),
        alerts.display()
    ));
    fs::write(&log, text).expect("the log");
    let expected = replay(&log, "1", None);
    assert!(expected.lines().count() >= least, "{expected}");

    // The log arrives in uneven pieces, mostly not at the end of a record; the daemon is killed after each.
    fs::write(&log, b"").expect("an empty log");
    let mut file = OpenOptions::new().append(true).open(&log).expect("the log");
    let pieces = 12;
    for piece in 0..pieces {
        let range = text.len() * piece / pieces..text.len() * (piece + 1) / pieces;
        file.write_all(&text[range]).expect("a piece");
        daemon.start();
        std::thread::sleep(Duration::from_millis(150 + 331 * (piece as u64 % 5)));
        daemon.kill();
    }
    daemon.start();
    wait_for("the daemon to read to the end", Duration::from_secs(60), || {
        let (_, status, _) = daemon.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).ok()?;
        let read = status["positions"].as_array()?.first()?["offset"].as_u64()?;
        (read == text.len() as u64).then_some(())
    });
    wait_for("an empty outbox", Duration::from_secs(20), || {
        daemon.metric("tokenwatch_outbox_pending{channel=\"file\"}").filter(|n| *n == 0.0)
    });
    daemon.stop();

    // A delivery that was made and not yet marked when the kill came is made again, under the same id.
    let key = |alert: &Value| (alert["id"].to_string(), alert["revision"].as_u64());
    let got: BTreeMap<_, Value> = parse(&fs::read_to_string(&alerts).expect("alerts")).into_iter().map(|a| (key(&a), a)).collect();
    let want: BTreeMap<_, Value> = parse(&expected).into_iter().map(|a| (key(&a), a)).collect();
    assert_eq!(got, want);
}

fn parse(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}
