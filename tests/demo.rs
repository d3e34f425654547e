//! `tokenwatch demo` as its reader sees it: the same text every time, nothing left behind, and a log that its script really writes.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tokenwatch::clock::{Clock, System};

fn samples(name: &str) -> PathBuf {
    support::root().join("samples/demo").join(name)
}

/// Runs the program with `tmp` as the folder for temporary files.
fn tokenwatch(args: &[&str], tmp: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tokenwatch")).args(args).env("TMPDIR", tmp).env_remove("COLUMNS").output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).expect("the folder").count()
}

#[test]
fn the_output_is_as_it_was() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let clock = System::default();
    let run = tokenwatch(&["demo"], tmp.path());
    assert!(clock.monotonic() < Duration::from_secs(20), "{:?}", clock.monotonic());
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let said = text(&run.stdout);
    let expected = std::fs::read_to_string(samples("output.txt")).expect("samples/demo/output.txt");
    let differs = said.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(said == expected, "line {differs:?} differs; if that is right: cargo run -- demo > samples/demo/output.txt\n{said}");
    for line in said.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
    assert_eq!(entries(tmp.path()), 0, "the demo leaves files behind");
}

#[test]
fn a_reader_that_stops_early_leaves_nothing_behind() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let script = format!("{} demo | head -n 3", env!("CARGO_BIN_EXE_tokenwatch"));
    let run = Command::new("sh").args(["-c", &script]).env("TMPDIR", tmp.path()).output().expect("sh");
    assert!(text(&run.stdout).lines().count() == 3, "{}", text(&run.stdout));
    assert_eq!(entries(tmp.path()), 0, "the demo leaves files behind");
}

#[test]
fn what_is_kept_serves_the_other_commands() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let dir = tmp.path().join("kept");
    let dir = dir.to_str().expect("UTF-8");
    assert_eq!(tokenwatch(&["demo", "--keep", dir], tmp.path()).status.code(), Some(0));
    let config = format!("{dir}/tokenwatch.toml");
    let alerts = text(&tokenwatch(&["alerts", "list", "--config", &config], tmp.path()).stdout);
    assert!(alerts.contains("billing_svc") && alerts.contains("old_admin"), "{alerts}");
    let id = alerts.lines().find(|line| line.contains("billing_svc")).and_then(|line| line.split(' ').next()).expect("an id");
    let shown = text(&tokenwatch(&["alerts", "show", id, "--config", &config], tmp.path()).stdout);
    assert!(shown.contains("rule.full_export") && shown.contains("simulated"), "{shown}");
    let tokens = text(&tokenwatch(&["tokens", "list", "--config", &config], tmp.path()).stdout);
    assert!(tokens.contains("web_app"), "{tokens}");
    let mail = std::fs::read_to_string(format!("{dir}/mail-billing_svc-1.html")).expect("the mail");
    assert!(mail.contains("203.0.113.77") && mail.contains("vault would revoke billing_svc"), "{mail}");

    let again = tokenwatch(&["demo", "--keep", dir], tmp.path());
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("--keep wants one that is not there yet"), "{}", text(&again.stderr));
}

/// What `alerts show` proposes, filled in and put into the configuration, covers the alert that it was proposed for and leaves the others.
#[test]
fn the_proposed_suppression_covers_its_alert_and_no_other() {
    let tmp = tempfile::tempdir().unwrap();
    let alerts = |config: &Path| -> Vec<serde_json::Value> {
        let out = tmp.path().join("alerts.jsonl");
        let (config, log) = (config.to_str().unwrap(), samples("postgresql.csv.zst"));
        let output = tokenwatch(&["replay", "--config", config, "--alerts", out.to_str().unwrap(), log.to_str().unwrap()], tmp.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        std::fs::read_to_string(&out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let before = alerts(&samples("tokenwatch.toml"));
    let stolen = before.iter().rfind(|alert| !alert["suppression"].is_null()).unwrap();
    let list = |key: &str| stolen["suppression"].get(key).map_or(String::new(), |list| format!("{key} = {list}\n"));
    let suppression = format!(
        "\n[[suppression]]\ntoken = {}\n{}{}{}until = {}\nauthor = \"ann\"\nreason = \"a drill\"\n",
        stolen["suppression"]["token"],
        list("detectors"),
        list("networks"),
        list("objects"),
        stolen["suppression"]["until"]
    );
    std::fs::copy(samples("tokens.toml"), tmp.path().join("tokens.toml")).unwrap();
    let config = tmp.path().join("tokenwatch.toml");
    std::fs::write(&config, std::fs::read_to_string(samples("tokenwatch.toml")).unwrap() + &suppression).unwrap();
    let after = alerts(&config);
    let ids = |alerts: &[serde_json::Value]| alerts.iter().map(|alert| alert["id"].to_string()).collect::<std::collections::BTreeSet<_>>();
    let gone: Vec<_> = ids(&before).difference(&ids(&after)).cloned().collect();
    assert_eq!(gone, [stolen["id"].to_string()]);
}

#[test]
fn the_log_is_what_its_script_writes() {
    if support::skip([support::process::missing_programs(&["python3"], "python3")]) {
        return;
    }
    let packed = std::fs::read(samples("postgresql.csv.zst")).expect("the log");
    assert!(packed.len() <= 400 * 1024, "{} bytes", packed.len());
    let log = zstd::decode_all(&packed[..]).expect("zstd");
    let run = Command::new("python3").arg(samples("generate.py")).args(["--csv", "-"]).output().expect("python3");
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(run.stdout == log, "samples/demo/generate.py and postgresql.csv.zst do not belong together; run the script");
}
