//! The files in `deploy/` are judged by the programs that will read them.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::process::missing_programs;
use support::prometheus::{self, promtool};

fn deploy(path: &str) -> PathBuf {
    support::root().join("deploy").join(path)
}

/// Runs a program of systemd; what it printed, as an error if it failed.
fn systemd(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(format!("{program}: {}\n{said}", output.status)) }
}

/// A copy of the unit that starts the program built here: systemd refuses one that does not exist.
fn unit_of_this_build(folder: &Path) -> PathBuf {
    let unit = fs::read_to_string(deploy("tokenwatch.service")).expect("the unit");
    let here = unit.replace("/usr/bin/tokenwatch", env!("CARGO_BIN_EXE_tokenwatch"));
    assert_ne!(unit, here, "the unit starts /usr/bin/tokenwatch");
    let copy = folder.join("tokenwatch.service");
    fs::write(&copy, here).expect("the copy of the unit");
    copy
}

#[test]
fn the_unit_is_clean_to_systemd() {
    if support::skip([missing_programs(&["systemd-analyze"], "systemd")]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = unit_of_this_build(folder.path());
    let said = systemd("systemd-analyze", &["verify", &unit.display().to_string()]).expect("verify");
    assert_eq!(said.trim(), "", "systemd-analyze verify");

    // verify does say something where something is wrong
    let text = fs::read_to_string(&unit).expect("the unit");
    fs::write(&unit, text.replace("PrivateTmp=", "PrivateTemp=")).expect("a broken unit");
    let said = systemd("systemd-analyze", &["verify", &unit.display().to_string()]).unwrap_or_else(|error| error);
    assert!(said.contains("PrivateTemp"), "{said}");
}

#[test]
fn the_unit_is_hardened() {
    if support::skip([missing_programs(&["systemd-analyze"], "systemd")]) {
        return;
    }
    let unit = deploy("tokenwatch.service").display().to_string();
    // the exposure in tenths: 20 is 2.0 of 10
    let said = systemd("systemd-analyze", &["security", "--no-pager", "--offline=true", "--threshold=20", &unit]).expect("below 2.0");
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[test]
fn account_and_folders_are_made_for_the_daemon_alone() {
    if support::skip([missing_programs(&["systemd-sysusers", "systemd-tmpfiles"], "systemd")]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    fs::create_dir_all(root.join("etc/tokenwatch/secrets")).expect("etc");
    fs::write(root.join("etc/tokenwatch/secrets/soc.key"), "secret").expect("a secret");
    let in_root = format!("--root={}", root.display());

    systemd("systemd-sysusers", &[&in_root, &deploy("sysusers.d/tokenwatch.conf").display().to_string()]).expect("sysusers");
    let accounts = fs::read_to_string(root.join("etc/passwd")).expect("passwd");
    let account = accounts.lines().find(|line| line.starts_with("tokenwatch:")).expect("the account");
    assert!(account.ends_with(":/var/lib/tokenwatch:/usr/sbin/nologin"), "{account}");

    if !rustix::process::geteuid().is_root() {
        println!("only root can give files to the new account: tmpfiles.d is not tried");
        return;
    }
    let conf = deploy("tmpfiles.d/tokenwatch.conf").display().to_string();
    systemd("systemd-tmpfiles", &["--create", &in_root, &conf]).expect("tmpfiles");
    for (path, mode) in [("etc/tokenwatch", 0o750), ("etc/tokenwatch/secrets", 0o750), ("etc/tokenwatch/secrets/soc.key", 0o640)] {
        let metadata = fs::metadata(root.join(path)).expect(path);
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "mode of {path}");
    }
}

#[test]
fn prometheus_accepts_configuration_and_rules() {
    if support::skip([prometheus::missing()]) {
        return;
    }
    let folder = deploy("prometheus");
    promtool(&["check", "config", "scrape.yml"], &folder, "").expect("scrape.yml");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"], &folder, "").expect("alerts.yml");
    promtool(&["test", "rules", "alerts_test.yml"], &folder, "").expect("alerts_test.yml");

    let rules = fs::read_to_string(folder.join("alerts.yml")).expect("alerts.yml");
    let tests = fs::read_to_string(folder.join("alerts_test.yml")).expect("alerts_test.yml");
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} has no case in alerts_test.yml");
    }
}

/// A rule about a metric that nobody exports never fires.
#[test]
fn every_metric_of_the_rules_is_exported() {
    let list = fs::read_to_string(support::root().join("src/telemetry/metrics.rs")).expect("the list of metrics");
    let rules = fs::read_to_string(deploy("prometheus/alerts.yml")).expect("alerts.yml");
    let words = rules.split(|next: char| !next.is_ascii_alphanumeric() && next != '_');
    let metrics = words.filter(|word| word.starts_with("tokenwatch_"));
    let missing: Vec<&str> = metrics.filter(|name| !list.contains(&format!("\"{}\"", name.trim_end_matches("_bucket")))).collect();
    assert!(missing.is_empty(), "alerts.yml speaks of metrics that src/telemetry/metrics.rs does not have: {missing:?}");
}
