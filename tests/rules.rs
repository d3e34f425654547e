//! Rules on the logs of a real PostgreSQL: somebody tries a list of names, and one password is right; ordinary mistakes beside it; secrets in
//! statements. What was typed as a name or a password is nowhere afterwards.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::daemon::{Daemon, program};
use support::postgres::{self, Postgres};
use support::python::Login;
use support::wait_for;

/// Passwords that stand in statements, and what somebody typed into the field for the name.
const SECRETS: [&str; 4] = ["hunter2-zebra", "hunter3-zebra", "hunter4-zebra", "My-Password-As-Name"];

fn server(destination: &str) -> Postgres {
    let server = Postgres::start(&[
        ("log_destination", destination),
        ("log_statement", "all"),
        ("log_connections", "on"),
        // As Debian has it; without %u a refused login names nobody.
        ("log_line_prefix", "%m [%p] %q%u@%d "),
    ]);
    for name in ["billing", "web", "report", "crm"] {
        server.create_role(name, &format!("{name}-pw"));
    }
    server
}

fn login(server: &Postgres, user: &str, password: &str, from: &str) -> bool {
    let login = Login { user, password, database: "postgres", from, client: "psql" };
    server.query(&login, &["select 1"]).is_ok()
}

fn play(server: &Postgres) {
    for name in ["billing", "report", "crm", "web"] {
        assert!(login(server, name, &format!("{name}-pw"), "127.0.0.2"));
    }
    // An application whose password was rotated; people behind one address, who get in at the second try.
    for _ in 0..12 {
        assert!(!login(server, "billing", "old", "127.0.0.5"));
    }
    for name in ["billing", "report", "crm", "web"] {
        assert!(!login(server, name, "mistyped", "127.0.0.6"));
        assert!(login(server, name, &format!("{name}-pw"), "127.0.0.6"));
    }
    // A list of names; the last password is right.
    for name in ["admin", "root", "billing", "My-Password-As-Name", "oracle", "backup"] {
        assert!(!login(server, name, "123456", "127.0.0.66"));
    }
    assert!(login(server, "web", "web-pw", "127.0.0.66"));
    server.admin(&["alter role crm password 'hunter2-zebra'", "create role app login password $x$hunter3-zebra$x$"]);
    let own = Login { user: "report", password: "report-pw", database: "postgres", from: "127.0.0.2", client: "psql" };
    let tried = server.query(&own, &["create subscription s connection 'host=db user=r password=hunter4-zebra' publication p"]);
    assert!(tried.is_ok_and(|answers| answers.iter().all(Result::is_err)), "it is refused, and logged");
}

fn run(args: &[&str], log: &Path) -> String {
    let output = Command::new(program()).args(args).arg(log).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Token, severity and rules of each alert, in order.
fn told(lines: &str) -> Vec<(String, String, Vec<String>)> {
    let alerts = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    alerts.map(|a| (text(&a["token"]), text(&a["severity"]), a["detectors"].as_array().into_iter().flatten().map(text).collect())).collect()
}

#[test]
fn a_list_of_names_one_password_that_is_right_and_secrets_in_statements() {
    if support::skip([postgres::missing()]) {
        return;
    }
    for (destination, ending) in [("stderr", "log"), ("csvlog", "csv"), ("jsonlog", "json")] {
        let server = server(destination);
        play(&server);
        server.wait_log(ending, "hunter4-zebra");
        let log = server.log_file(ending);
        let alerts = run(&["replay"], &log);
        let alert = |token: &str, severity: &str, rule: &str| (token.to_owned(), severity.to_owned(), vec![format!("rule.{rule}")]);
        let want = [
            alert("(address 127.0.0.66)", "medium", "credential_stuffing"),
            alert("web", "critical", "credential_stuffing_success"),
            alert("postgres", "medium", "secrets_in_statements"),
            alert("report", "medium", "secrets_in_statements"),
        ];
        let mut got = told(&alerts);
        // Roles are made with passwords before all else.
        got.sort_by_key(|(token, ..)| want.iter().position(|(wanted, ..)| wanted == token));
        assert_eq!(got, want, "{destination}: {alerts}");

        // The daemon's store and its alerts hold none of it either.
        let mut daemon = Daemon::new("", &[]);
        let copy = daemon.folder.path().join(format!("database.{ending}"));
        fs::copy(&log, &copy).expect("the log");
        let file = daemon.folder.path().join("alerts.jsonl");
        daemon.configure(&format!(
            "[[source]]\nname = \"pg\"\ntype = \"file\"\ninclude = [\"{}\"]\n[[channel]]\nname = \"file\"\ntype = \"file\"\npath = \"{}\"\nmin_severity = \"informational\"\n",
            copy.display(),
            file.display()
        ));
        daemon.start();
        wait_for("four alerts", Duration::from_secs(30), || fs::read_to_string(&file).ok().filter(|text| text.lines().count() == 4));
        let (_, tokens, _) = daemon.command(&["tokens", "list"]);
        daemon.stop();
        let mut places = vec![alerts, tokens, run(&["decode", "--json"], &log), fs::read_to_string(&file).expect("alerts")];
        for entry in walk(daemon.folder.path()).into_iter().filter(|path| *path != copy) {
            places.push(String::from_utf8_lossy(&fs::read(entry).expect("a file")).into_owned());
        }
        for secret in &SECRETS[..3] {
            assert!(places.iter().all(|text| !text.contains(secret)), "{destination}: {secret} has got out");
        }
        // The name that was tried is shown to who decodes the record himself, and is kept nowhere.
        assert!(places[2].contains(SECRETS[3]));
        places.remove(2);
        assert!(places.iter().all(|text| !text.contains(SECRETS[3])), "{destination}: a name that was tried is kept");
    }
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).filter(|path| path.is_file()).collect()
}
