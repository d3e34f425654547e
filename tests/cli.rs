//! What a person at the terminal reads: help, results and refusals, word for word as in `tests/golden`, and the exit codes 0 (done),
//! 1 (findings or a failed check) and 2 (wrong usage or configuration).
//!
//! `TOKENWATCH_BLESS=1 cargo test --test cli` writes the files anew; read the difference before you keep it.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use support::daemon::{Daemon, program};
use support::wait_for;

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

fn tokenwatch(folder: &Path, args: &[&str]) -> Outcome {
    let output = Command::new(program())
        .current_dir(folder)
        .args(args)
        .env("USER", "ada")
        .env_remove("SUDO_USER")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outcome = Outcome { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
    assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
    outcome
}

/// One golden file: commands with what they print.
#[derive(Default)]
struct Transcript {
    text: String,
    /// Texts that differ from run to run, with what stands for them.
    stand_ins: Vec<(String, &'static str)>,
}

impl Transcript {
    fn of(folder: &Path) -> Transcript {
        Transcript { text: String::new(), stand_ins: vec![(folder.display().to_string(), "FOLDER")] }
    }

    fn run(&mut self, folder: &Path, args: &[&str]) -> Outcome {
        let outcome = tokenwatch(folder, args);
        let quoted: Vec<String> = args.iter().map(|a| if a.contains(['*', ' ']) { format!("'{a}'") } else { (*a).to_owned() }).collect();
        self.text.push_str(&format!("$ tokenwatch {}\n{}", quoted.join(" "), outcome.out));
        for line in outcome.err.lines() {
            self.text.push_str(&format!("! {}\n", without_speed(line)));
        }
        self.text.push_str(&format!("[exit code {}]\n\n", outcome.code));
        outcome
    }

    fn compare(mut self, name: &str) {
        for (text, stand_in) in &self.stand_ins {
            self.text = self.text.replace(text, stand_in);
        }
        let path = support::root().join("tests/golden").join(format!("{name}.txt"));
        if std::env::var_os("TOKENWATCH_BLESS").is_some() {
            fs::write(&path, &self.text).expect("the golden file");
            return;
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        if golden != self.text {
            let differs = golden.lines().zip(self.text.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let near = |text: &str| text.lines().skip(differs.saturating_sub(3)).take(9).collect::<Vec<_>>().join("\n");
            panic!(
                "{} differs from line {} on.\n--- as it was\n{}\n--- as it is\n{}\n(TOKENWATCH_BLESS=1 takes it as it is)",
                path.display(),
                differs + 1,
                near(&golden),
                near(&self.text)
            );
        }
    }
}

/// The last line of a replay without what depends on the machine.
fn without_speed(line: &str) -> &str {
    line.split_once("  seconds ").map_or(line, |(counts, _)| counts)
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn demo_log() -> Vec<u8> {
    let packed = fs::read(support::root().join("samples/demo/postgresql.csv.zst")).expect("the demo's log");
    zstd::decode_all(packed.as_slice()).expect("its text")
}

/// A folder with the demo's log and inventory, and a state that a daemon made of it.
struct Watched {
    daemon: Daemon,
}

static WATCHED: LazyLock<Watched> = LazyLock::new(|| {
    let inventory = fs::read_to_string(support::root().join("samples/demo/tokens.toml")).expect("the demo's inventory");
    let mut daemon = Daemon::new("", &[("tokens.toml", &inventory)]);
    let folder = daemon.folder.path().to_owned();
    let config = format!(
        "inventory = \"tokens.toml\"\n[state]\ndir = \"state\"\n[http]\nlisten = \"127.0.0.1:{}\"\n\
         [[source]]\nname = \"pg\"\ntype = \"file\"\ninclude = [\"demo.csv\"]\n\
         [[channel]]\nname = \"file\"\ntype = \"file\"\npath = \"alerts.jsonl\"\nmin_severity = \"informational\"\n",
        daemon.http
    );
    write_private(&daemon.config(), &config);
    let text = demo_log();
    fs::write(folder.join("demo.csv"), &text).expect("the log");
    daemon.start();
    wait_for("the daemon to read to the end", Duration::from_secs(60), || {
        let (_, status, _) = daemon.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).ok()?;
        (status["positions"][0]["offset"].as_u64()? == text.len() as u64).then_some(())
    });
    wait_for("an empty outbox", Duration::from_secs(20), || {
        daemon.metric("tokenwatch_outbox_pending{channel=\"file\"}").filter(|n| *n == 0.0)
    });
    daemon.stop();
    Watched { daemon }
});

const CONFIG: [&str; 2] = ["--config", "tokenwatch.toml"];

fn with_config<'a>(args: &[&'a str]) -> Vec<&'a str> {
    args.iter().copied().chain(CONFIG).collect()
}

const COMMANDS: [&[&str]; 23] = [
    &["run"],
    &["demo"],
    &["check"],
    &["decode"],
    &["formats"],
    &["replay"],
    &["backtest"],
    &["learn"],
    &["tokens"],
    &["tokens", "list"],
    &["tokens", "show"],
    &["tokens", "least-privilege"],
    &["baseline"],
    &["baseline", "show"],
    &["baseline", "forget"],
    &["baseline", "pin"],
    &["baseline", "unpin"],
    &["alerts"],
    &["alerts", "list"],
    &["alerts", "show"],
    &["alerts", "dismiss"],
    &["notify"],
    &["status"],
];

#[test]
fn help_shows_an_example_and_fits_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = Transcript::of(folder.path());
    let top = all.run(folder.path(), &["--help"]);
    assert_eq!(top.code, 0);
    // A command that is listed and not tested here is noticed.
    let listed: Vec<&str> = top
        .out
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.split_whitespace().next())
        .filter(|c| *c != "help")
        .collect();
    for command in &listed {
        assert!(COMMANDS.iter().any(|c| c == &[*command]), "`{command} --help` is not tested");
    }
    for command in COMMANDS {
        let mut args = command.to_vec();
        args.push("--help");
        let outcome = if command == ["replay"] || command == ["learn"] {
            // The number of processors is a default of theirs.
            tokenwatch(folder.path(), &args)
        } else {
            all.run(folder.path(), &args)
        };
        assert_eq!(outcome.code, 0, "{command:?}");
        let example = outcome.out.lines().find(|l| l.starts_with("Example: ")).unwrap_or_default();
        assert!(example.contains(&format!("tokenwatch {}", command[0])), "`{} --help` shows no example", command.join(" "));
        assert!(outcome.err.is_empty());
        for line in outcome.out.lines() {
            assert!(line.chars().count() <= 100, "too wide: {line}");
        }
    }
    all.compare("help");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::write(at.join("log.csv"), "").expect("a file");
    fs::create_dir(at.join("logs")).expect("a folder");
    fs::write(at.join("plain"), "").expect("a file");
    write_private(&at.join("nothing.toml"), "[state]\ndir = \"state\"\n");
    write_private(&at.join("wrong.toml"), "[state]\ndir = \"plain\"\n[[source]]\nname = \"a\"\ntype = \"stdin\"\n");
    write_private(&at.join("syntax.toml"), "[[source]\ntype = \"file\"\n");
    fs::write(at.join("binary.toml"), [0xff, 0xfe, 0]).expect("a file");
    let mut all = Transcript::of(at);
    let calls: [&[&str]; 22] = [
        &["replay"],
        &["bogus"],
        &["replay", "none.csv"],
        &["replay", "*.log"],
        &["replay", "logs"],
        &["replay", "--format", "postgres-cvs", "log.csv"],
        &["replay", "--format", "parquet", "log.csv"],
        &["replay", "--alerts", "no/such/file", "log.csv"],
        &["backtest", "log.csv"],
        &["backtest", "--config", "nothing.toml", "-"],
        &["decode", "none.csv"],
        &["check", "--config", "none.toml"],
        &["check", "--config", "logs"],
        &["check", "--config", "syntax.toml"],
        &["check", "--config", "binary.toml"],
        &["run", "--config", "none.toml"],
        &["run", "--config", "nothing.toml"],
        &["status", "--config", "nothing.toml"],
        &["status", "--config", "wrong.toml"],
        &["alerts", "list", "--config", "nothing.toml"],
        &["alerts", "list", "--config", "nothing.toml", "--min-severity", "hihg"],
        &["notify", "test", "--config", "nothing.toml"],
    ];
    for call in calls {
        let outcome = all.run(at, call);
        assert_eq!(outcome.code, 2, "{call:?}: {}{}", outcome.out, outcome.err);
        assert!(!outcome.err.trim().is_empty(), "{call:?} says nothing");
    }
    all.compare("refusals");
}

#[test]
fn check_names_every_problem_of_every_file_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    write_private(
        &at.join("bad.toml"),
        r#"inventory = "bad-tokens.toml"
rules = "rules"
sate = 1
[detect]
learning = "7 fortnights"
[[source]]
type = "flie"
[[source]]
type = "file"
includes = ["/var/log/x.csv"]
format = "postgres-cvs"
[[channel]]
name = "soc"
type = "webhook"
url = "htps://x"
secret_file = "nokey"
min_severity = "hihg"
[[responder]]
name = "kill"
type = "webhook"
url = "https://x"
mode = "enforced"
min_confidence = 500
[http]
listen = "localhost"
"#,
    );
    fs::write(
        at.join("bad-tokens.toml"),
        r#"[[token]]
name = "billing"
networks = ["10.1.0.0/33", "10.1.2.3.4"]
scope = ["selct public.invoices", "select"]
hours = "Mon-Fry 07:00-19:00"
expires_at = "tomorrow"
ownr = "x"
[[token]]
name = "billing"
"#,
    )
    .expect("an inventory");
    fs::create_dir(at.join("rules")).expect("a folder");
    fs::write(
        at.join("rules/mine.toml"),
        r#"id = "mine"
titel = "Reads salaries"
severity = "hgih"
confidence = 70
[match]
operatoin = ["select"]
"#,
    )
    .expect("a rule");
    let mut all = Transcript::of(at);
    let bad = all.run(at, &["check", "--config", "bad.toml"]);
    assert_eq!(bad.code, 2);
    for file in ["bad.toml:3:1: ", "bad-tokens.toml:3:13: ", "rules/mine.toml:"] {
        assert!(bad.err.contains(file), "{file} is not in\n{}", bad.err);
    }
    all.compare("check-bad");
}

#[test]
fn check_of_what_is_good() {
    let folder = WATCHED.daemon.folder.path();
    let mut all = Transcript::of(folder);
    assert_eq!(all.run(folder, &with_config(&["check"])).code, 0);
    all.compare("check-good");
}

#[test]
fn decode_for_people_and_for_machines() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let text = String::from_utf8(demo_log()).expect("text");
    let from = text.lines().position(|l| l.contains("203.0.113.77")).expect("the thief");
    let lines: Vec<&str> = text.lines().skip(from.saturating_sub(2)).take(6).collect();
    fs::write(at.join("log.csv"), lines.join("\n") + "\n").expect("a log");
    fs::write(
        at.join("bad.jsonl"),
        "{\"time\": \"2026-11-01T00:00:00Z\", \"user\": \"a\", \"query\": \"select 1\"}\n{\"time\": 1}\nnonsense\n",
    )
    .expect("a log");
    let mut all = Transcript::of(at);
    assert_eq!(all.run(at, &["decode", "log.csv"]).code, 0);
    assert_eq!(all.run(at, &["decode", "bad.jsonl"]).code, 0);
    fs::write(at.join("empty.log"), "").expect("a log");
    assert_eq!(all.run(at, &["decode", "empty.log"]).code, 0);
    let json = all.run(at, &["decode", "--json", "log.csv", "bad.jsonl"]);
    assert_eq!(json.code, 0);
    assert_eq!(json.out.lines().filter(|l| serde_json::from_str::<Value>(l).is_ok()).count(), lines.len() + 3);
    all.compare("decode");
}

#[test]
fn replay_and_learn_sum_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::write(at.join("demo.csv"), demo_log()).expect("a log");
    fs::write(at.join("noise"), "nothing\nthat anybody\nknows\n").expect("a file");
    fs::write(at.join("empty"), "").expect("a file");
    write_private(&at.join("learn.toml"), "[state]\ndir = \"state\"\n");
    let mut all = Transcript::of(at);
    let replayed = all.run(at, &["replay", "--alerts", "out.jsonl", "demo.csv"]);
    assert_eq!(replayed.code, 0);
    assert!(fs::read_to_string(at.join("out.jsonl")).expect("alerts").lines().all(|l| serde_json::from_str::<Value>(l).is_ok()));
    for input in ["noise", "empty"] {
        assert_eq!(all.run(at, &["replay", input]).code, 0);
    }
    write_private(&at.join("tokens.toml"), "[[token]]\nname = \"billing_svc\"\nscope = [\"select public.invoices\"]\n");
    write_private(&at.join("new.toml"), "inventory = \"tokens.toml\"\n[detect]\nfalse_alerts_per_1000_token_days = 0.1\n");
    assert_eq!(all.run(at, &["backtest", "--config", "new.toml", "demo.csv"]).code, 1);
    assert_eq!(all.run(at, &["backtest", "--config", "new.toml", "--against", "new.toml", "demo.csv"]).code, 0);
    let compared = tokenwatch(at, &["backtest", "--config", "new.toml", "--json", "demo.csv"]);
    let compared: Value = serde_json::from_str(&compared.out).expect("JSON");
    assert!(compared["gained"].as_array().is_some_and(|gained| !gained.is_empty()), "{compared}");
    assert_eq!(all.run(at, &["learn", "--config", "learn.toml", "demo.csv"]).code, 0);
    assert_eq!(all.run(at, &["status", "--config", "learn.toml"]).code, 0);
    // What is forgotten is gone, and is new again when it is seen.
    let shown = || tokenwatch(at, &["baseline", "show", "--config", "learn.toml", "--json", "billing_svc"]).out;
    assert!(shown().contains("\"203.0.113.0/24\""), "{}", shown());
    assert_eq!(
        all.run(at, &["baseline", "forget", "--config", "learn.toml", "billing_svc", "203.0.113.0/24", "select public.api_keys"]).code,
        0
    );
    assert!(!shown().contains("\"203.0.113.0/24\"") && !shown().contains("public.api_keys"), "{}", shown());
    assert_eq!(all.run(at, &["baseline", "forget", "--config", "learn.toml", "billing_svc", "10.9.9.0/24"]).code, 2);
    assert_eq!(all.run(at, &["baseline", "forget", "--config", "learn.toml", "billing_svc", "--all"]).code, 0);
    assert_eq!(shown(), "");
    all.compare("replay");
}

#[test]
fn the_store_is_shown() {
    let folder = WATCHED.daemon.folder.path();
    let mut all = Transcript::of(folder);
    let listed = tokenwatch(folder, &with_config(&["alerts", "list", "--json"]));
    let first: Value = serde_json::from_str(listed.out.lines().next().expect("an alert")).expect("JSON");
    let id = first["id"].as_str().expect("an id");
    let token = first["token"].as_str().expect("a token");
    let calls: [&[&str]; 13] = [
        &["status"],
        &["tokens", "list"],
        &["tokens", "show", "billing_svc"],
        &["tokens", "show", "monitoring"],
        &["baseline", "show", "billing_svc"],
        &["tokens", "least-privilege"],
        &["tokens", "least-privilege", "billing_svc"],
        &["alerts", "list"],
        &["alerts", "list", "--token", token, "--min-severity", "critical"],
        &["alerts", "list", "--token", "nobody"],
        &["alerts", "show", id],
        &["alerts", "show", "zzzz"],
        &["tokens", "show", "biling_svc"],
    ];
    for call in calls {
        let outcome = all.run(folder, &with_config(call));
        let missing = call.contains(&"zzzz") || call.contains(&"biling_svc");
        assert_eq!(outcome.code, if missing { 2 } else { 0 }, "{call:?}: {}", outcome.err);
        assert!(!outcome.out.contains('\u{1b}'), "colours without a terminal");
    }
    all.compare("store");
}

/// A copy of what the daemon left, to be changed.
fn copy_of_watched() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let copied = Command::new("cp").arg("-a").arg(format!("{}/.", WATCHED.daemon.folder.path().display())).arg(folder.path()).status();
    assert!(copied.expect("cp runs").success());
    folder
}

#[test]
fn dismissals_and_pins_where_no_daemon_runs() {
    let folder = copy_of_watched();
    let at = folder.path();
    let mut all = Transcript::of(at);
    let listed = tokenwatch(at, &with_config(&["alerts", "list", "--json", "--token", "billing_svc"]));
    let alert: Value = serde_json::from_str(listed.out.lines().next().expect("an alert")).expect("JSON");
    let id = &alert["id"].as_str().expect("an id")[..8];
    let excused = format!("alert {id}");
    all.stand_ins.push((WATCHED.daemon.folder.path().display().to_string(), "WATCHED"));
    let run = |all: &mut Transcript, calls: &[&[&str]]| {
        for call in calls {
            assert_eq!(
                all.run(at, &with_config(call)).code,
                if call.contains(&"nobody") || call.contains(&"zzzz") { 2 } else { 0 },
                "{call:?}"
            );
        }
    };
    run(
        &mut all,
        &[&["alerts", "dismiss", id, "--reason", "the  new\u{1b}office"], &["alerts", "dismiss", id], &["alerts", "dismiss", "zzzz"]],
    );
    let shown = tokenwatch(at, &with_config(&["alerts", "show", "--json", id]));
    let shown: Value = serde_json::from_str(&shown.out).expect("JSON");
    let said = &shown["feedback"][0];
    assert_eq!((said["kind"].as_str(), said["author"].as_str()), (Some("dismiss"), Some("ada")), "{shown}");
    assert!(said["applied"].is_string(), "{shown}");
    let time = said["time"].as_str().expect("a time")[..19].replace('T', " ");
    all.stand_ins.push((time, "TIME"));
    run(
        &mut all,
        &[
            &["alerts", "list"],
            &["alerts", "show", id],
            &["baseline", "pin", "billing_svc"],
            &["baseline", "pin", "billing_svc"],
            &["baseline", "pin", "nobody"],
            &["baseline", "show", "billing_svc"],
            &["tokens", "list", "--finding", "unknown"],
            &["tokens", "list", "--finding", "nobody"],
            &["tokens", "show", "billing_svc"],
            &["baseline", "unpin", "billing_svc"],
            &["baseline", "unpin", "billing_svc"],
            &["baseline", "forget", "billing_svc", &excused],
        ],
    );
    assert!(!tokenwatch(at, &with_config(&["baseline", "show", "billing_svc"])).out.contains(&excused));
    let long = "x".repeat(501);
    let other = tokenwatch(at, &with_config(&["alerts", "list", "--json", "--token", "old_admin"]));
    let other: Value = serde_json::from_str(other.out.lines().next().expect("an alert")).expect("JSON");
    let refused = tokenwatch(at, &with_config(&["alerts", "dismiss", other["id"].as_str().expect("an id"), "--reason", &long]));
    assert!(refused.code == 2 && refused.err.contains("write at most 500"), "{}", refused.err);
    all.compare("operators");
}

#[test]
fn json_is_json() {
    let folder = WATCHED.daemon.folder.path();
    let calls: [&[&str]; 5] = [
        &["status", "--json"],
        &["tokens", "list", "--json"],
        &["tokens", "show", "billing_svc", "--json"],
        &["alerts", "list", "--json"],
        &["alerts", "list", "--token", "nobody", "--json"],
    ];
    for call in calls {
        let outcome = tokenwatch(folder, &with_config(call));
        assert_eq!(outcome.code, 0, "{call:?}: {}", outcome.err);
        for line in outcome.out.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok_and(|v| v.is_object()), "{call:?}: {line}");
        }
        assert!(outcome.err.is_empty(), "{call:?}: {}", outcome.err);
    }
}

#[test]
fn a_second_daemon_is_sent_away() {
    let mut daemon = Daemon::new("[[source]]\nname = \"pg\"\ntype = \"file\"\ninclude = [\"none/*.csv\"]\n", &[("log.csv", "")]);
    daemon.start();
    let folder = daemon.folder.path();
    // The port is taken, and with a port of its own the state is.
    let same = tokenwatch(folder, &with_config(&["run"]));
    assert_eq!(same.code, 1, "{}", same.err);
    assert!(same.err.contains("cannot listen on 127.0.0.1:") && same.err.contains("[http] listen"), "{}", same.err);
    let config = fs::read_to_string(daemon.config()).expect("the configuration");
    let other = config.replace(&daemon.http.to_string(), &support::free_port().to_string());
    write_private(&folder.join("other.toml"), &other);
    // The daemon ends with 1, so that the service manager tries again later.
    for (code, call) in [(1, vec!["run", "--config", "other.toml"]), (2, vec!["learn", "--config", "other.toml", "log.csv"])] {
        let refused = tokenwatch(folder, &call);
        assert_eq!(refused.code, code, "{}", refused.err);
        assert!(refused.err.contains("already uses the state directory") && refused.err.contains("stop it first"), "{}", refused.err);
        assert_eq!(refused.err.matches("already uses").count(), 1, "said twice: {}", refused.err);
    }
    // Reading beside it is allowed.
    assert_eq!(tokenwatch(folder, &with_config(&["status"])).code, 0);
    daemon.stop();
}

#[test]
fn a_damaged_state_says_how_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    write_private(&at.join("tokenwatch.toml"), "[state]\ndir = \"state\"\n[[source]]\nname = \"a\"\ntype = \"stdin\"\n");
    fs::create_dir(at.join("state")).expect("a folder");
    write_private(&at.join("state/tokenwatch.db"), &"not a database ".repeat(1000));
    for (code, call) in [(2, &["status"][..]), (1, &["run"]), (2, &["alerts", "list"]), (2, &["tokens", "list"])] {
        let refused = tokenwatch(at, &with_config(call));
        assert_eq!(refused.code, code, "{call:?}: {}", refused.err);
        assert!(refused.err.contains("state/tokenwatch.db is damaged") && refused.err.contains("move "), "{call:?}: {}", refused.err);
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let log = samples.join("postgres-stderr/rich.log");
    let log = log.to_str().expect("a path");
    let missing = "no/such.log";
    for call in [&["decode", log][..], &["replay", log], &["replay", missing], &["check", "--config", missing], &["formats", "pgbouncer"]] {
        let mut child = Command::new(program());
        let mut child =
            child.args(call).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        drop((child.stdout.take(), child.stderr.take()));
        let wanted = if call.contains(&missing) { 2 } else { 0 };
        assert_eq!(child.wait().expect("it ends").code(), Some(wanted), "{call:?} without a reader of stderr either");
    }
    for call in [&["decode", log][..], &["decode", "--json", log], &["replay", log], &["formats", "--markdown"], &["formats"]] {
        let mut child = Command::new(program());
        let mut child =
            child.args(call).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !err.contains("panicked") && !err.contains("cannot write"), "{call:?}: {err}");
    }
}
