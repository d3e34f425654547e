//! Operators control learning, through the program alone: what the inventory has to say is told once, a dismissed alert teaches, a pinned
//! baseline does not learn; beside the running daemon, over kills, and where none runs.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use support::daemon::{Daemon, program};
use support::wait_for;

const INVENTORY: &str = "[[token]]\nname = \"billing\"\nowner = \"team-billing\"\n[[token]]\nname = \"nobodys\"\n";

const RULE: &str = "id = \"mine\"\ntitle = \"reads payroll\"\nseverity = \"low\"\nconfidence = 50\nnovel = true\n\
                    [match]\noperation = [\"select\"]\nobject = [\"hr.payroll\"]\n";

fn line(day: u32, minute: u32, user: &str, address: &str, client: &str, sql: &str) -> String {
    let (hour, minute) = (minute / 60, minute % 60);
    format!(
        "{{\"time\": \"2026-11-{day:02}T{hour:02}:{minute:02}:00Z\", \"user\": \"{user}\", \"address\": \"{address}\", \
         \"application\": \"{client}\", \"database\": \"app\", \"query\": \"{sql}\"}}\n"
    )
}

/// What billing does every day.
fn ordinary(day: u32) -> String {
    (0..48)
        .map(|half| line(day, half * 30 + 5, "billing", "10.1.0.7", "billing-service", "select total from public.invoices where id = 7"))
        .collect()
}

/// The ordinary day, with a stranger at night who reads other tables from elsewhere.
fn theft(day: u32, address: &str, what: &str) -> String {
    let tables = ["customers", "cards", "salaries", "addresses", "logins", "keys"];
    let sql = |table: &str| format!("select {what}, card, name from hr.{what}_{table} order by {what} limit 1000");
    let stolen = (0..12usize).map(|n| line(day, 120 + n as u32, "billing", address, what, &sql(tables[n % 6])));
    let day = ordinary(day);
    let (night, rest) = day.split_at(day.match_indices('\n').nth(3).expect("four lines").0 + 1);
    night.to_owned() + &stolen.collect::<String>() + rest
}

struct Watched {
    daemon: Daemon,
    written: u64,
}

impl Watched {
    fn new() -> Watched {
        let mut daemon = Daemon::new("", &[("tokens.toml", INVENTORY), ("log.jsonl", "")]);
        fs::create_dir(daemon.folder.path().join("rules")).expect("a folder");
        fs::write(daemon.folder.path().join("rules/mine.toml"), RULE).expect("a rule");
        let config = format!(
            "rules = \"rules\"\n[state]\ndir = \"state\"\n[http]\nlisten = \"127.0.0.1:{}\"\n[inventory]\nfile = \"tokens.toml\"\n[detect]\nlearning = \"3d\"\n\
             [[source]]\nname = \"app\"\ntype = \"file\"\nformat = \"json\"\ninclude = [\"log.jsonl\"]\n",
            daemon.http
        );
        fs::write(daemon.config(), config).expect("the configuration");
        daemon.start();
        Watched { daemon, written: 0 }
    }

    /// Appends to the log.
    fn write(&mut self, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.daemon.folder.path().join("log.jsonl")).expect("the log");
        file.write_all(text.as_bytes()).expect("a write");
        self.written += text.len() as u64;
    }

    /// Appends, and waits until the daemon has judged and stored it.
    fn live(&mut self, text: &str) {
        self.write(text);
        wait_for("the daemon to read to the end", Duration::from_secs(30), || {
            let status: Value = serde_json::from_str(&self.said(&["status", "--json"])).ok()?;
            (status["positions"][0]["offset"].as_u64()? == self.written).then_some(())
        });
    }

    fn said(&self, args: &[&str]) -> String {
        let (code, out, err) = self.daemon.command(args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    }

    /// The stored alerts about this token, the oldest first.
    fn alerts(&self, token: &str) -> Vec<Value> {
        let text = self.said(&["alerts", "list", "--json", "--token", token]);
        let mut alerts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        alerts.reverse();
        alerts
    }

    fn reports_of_unknown(&self) -> usize {
        self.alerts("(inventory)").iter().filter(|report| report["detectors"][0] == "inventory.unknown").count()
    }

    fn token(&self, name: &str) -> Value {
        serde_json::from_str(&self.said(&["tokens", "show", "--json", name])).expect("JSON")
    }
}

fn id(alert: &Value) -> &str {
    alert["id"].as_str().expect("an id")
}

#[test]
fn operators_control_learning() {
    let mut watched = Watched::new();

    // 1. The inventory speaks: 500 unknown tokens are one message, and are told once.
    watched.live(&(1..8).map(ordinary).collect::<String>());
    let strangers: String = (0..500).map(|n| line(8, 7, &format!("s{n:03}"), "10.1.0.9", "x", "select 1 from public.invoices")).collect();
    let day = ordinary(8);
    let (first, rest) = day.split_at(day.find('\n').expect("a line") + 1);
    watched.live(&(first.to_owned() + &strangers + rest));
    let reports = watched.alerts("(inventory)");
    assert_eq!((reports.len(), watched.reports_of_unknown()), (2, 1), "{reports:?}");
    assert_eq!(reports[1]["severity"], "low");
    let text = reports[1]["summary"].as_str().expect("a sentence");
    assert!(
        text.starts_with("(inventory): 500 tokens in use and not declared in the inventory: s000 (first seen 2026-11-08), s001"),
        "{text}"
    );
    assert!(reports[0]["summary"].as_str().expect("a sentence").contains("1 token without an owner: nobodys"), "{reports:?}");
    assert_eq!(watched.said(&["tokens", "list", "--json", "--finding", "unknown"]).lines().count(), 500);
    assert_eq!(watched.token("nobodys")["findings"], serde_json::json!(["no_owner"]));
    watched.daemon.kill();
    watched.daemon.start();
    watched.live(&(9..11).map(ordinary).collect::<String>());
    assert_eq!(watched.reports_of_unknown(), 1, "told already");
    watched.daemon.wait_metric("tokenwatch_inventory_tokens{condition=\"unknown\"}", 500.0);
    assert_eq!(watched.daemon.metric("tokenwatch_inventory_tokens{condition=\"no_owner\"}"), Some(1.0));

    // The same log through `replay` gives the same reports.
    let replayed = std::process::Command::new(program())
        .args(["replay", "--config"])
        .args([watched.daemon.config(), watched.daemon.folder.path().join("log.jsonl")])
        .output()
        .expect("replay runs");
    let replayed = String::from_utf8_lossy(&replayed.stdout).into_owned();
    for report in watched.alerts("(inventory)") {
        assert!(replayed.contains(id(&report)), "{report} is not in\n{replayed}");
    }

    // 2. A dismissal teaches, beside the running daemon.
    watched.live(&theft(11, "203.0.113.7", "loot"));
    let stolen = watched.alerts("billing");
    assert_eq!(stolen.len(), 1, "{stolen:?}");
    let said = watched.said(&["alerts", "dismiss", "--reason", "the auditors", id(&stolen[0])]);
    assert!(said.contains("usual for billing from now on"), "{said}");
    let shown = watched.said(&["alerts", "show", id(&stolen[0])]);
    assert!(shown.contains("\n  dismissed\n") && shown.contains(": the auditors\n"), "{shown}");
    assert!(watched.said(&["alerts", "list"]).contains("dismissed: "));
    assert!(watched.said(&["alerts", "dismiss", id(&stolen[0])]).contains("was dismissed already"));
    assert!(
        watched.said(&["baseline", "show", "billing"]).lines().any(|line| line.contains("203.0.113.0/24") && line.ends_with(", accepted"))
    );
    watched.daemon.kill();
    watched.daemon.start();
    // On the same day and on the next.
    watched.live(&line(11, 1439, "billing", "203.0.113.7", "loot", "select loot, card, name from hr.loot_cards order by loot limit 1000"));
    watched.live(&theft(12, "203.0.113.7", "loot"));
    assert_eq!(watched.alerts("billing").len(), 1, "the same behaviour");
    watched.live(&theft(13, "198.51.100.7", "prey"));
    assert_eq!(watched.alerts("billing").len(), 2, "another one");

    // An edit of a rule never restarts learning.
    let before = watched.token("billing");
    fs::write(watched.daemon.folder.path().join("rules/mine.toml"), RULE.replace("low", "high")).expect("a rule");
    watched.daemon.reload();
    wait_for("the reload", Duration::from_secs(10), || watched.daemon.output().contains("the configuration is reloaded").then_some(()));
    watched.live(&ordinary(14));
    let after = watched.token("billing");
    assert_eq!((&after["mode"], &after["first_seen"]), (&before["mode"], &before["first_seen"]));
    assert_eq!(after["mode"], "enforcing");
    assert!(after["active_days"].as_u64() > before["active_days"].as_u64());

    // 3. A pinned baseline is judged by and does not learn; a dismissal teaches it all the same, also where no daemon runs.
    let said = watched.said(&["baseline", "pin", "billing"]);
    assert!(said.starts_with("billing is pinned"), "{said}");
    assert!(watched.said(&["baseline", "pin", "billing"]).contains("pinned since 2026-11-14; nothing to do"));
    assert!(watched.said(&["tokens", "list"]).lines().any(|line| line.starts_with("billing") && line.contains("pinned")));
    watched.daemon.wait_metric("tokenwatch_tokens_pinned", 1.0);
    for day in [15, 17, 19] {
        watched.live(&theft(day, "192.0.2.7", "swag"));
        watched.live(&ordinary(day + 1));
    }
    let alerts = watched.alerts("billing");
    assert_eq!(alerts.len(), 5, "one for each night");
    let shown = watched.said(&["baseline", "show", "billing"]);
    assert!(shown.starts_with("billing, pinned since 2026-11-14"), "{shown}");
    assert!(shown.lines().any(|line| line.contains("192.0.2.0/24") && line.ends_with("since the pin: not judged by")), "{shown}");
    watched.daemon.stop();
    watched.said(&["alerts", "dismiss", id(&alerts[4])]);
    watched.daemon.start();
    watched.live(&theft(21, "192.0.2.7", "swag"));
    assert_eq!(watched.alerts("billing").len(), 5, "it was dismissed");
    assert_eq!(watched.said(&["baseline", "unpin", "billing"]), "billing learns again\n");
    assert_eq!(watched.token("billing")["pinned"], false);

    // Monday the 16th, the first one a week after the report of Sunday the 8th.
    assert_eq!(watched.reports_of_unknown(), 2, "what still holds is said again");
    watched.daemon.stop();
}
