//! MariaDB's audit log, end to end: the theft is found, and since clients can write into this log, nothing is revoked for it.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::daemon::Daemon;
use support::http_receiver::Receiver;
use support::mariadb::{self, MariaDb};
use support::python::{self, Login};
use support::wait_for;

fn act(server: &MariaDb, user: &str, from: &str, sql: &[&str]) {
    let password = format!("{user}-pw");
    let login = Login { user, password: &password, database: "shop", from, client: "tests" };
    for result in server.query(&login, sql).expect("a session") {
        result.expect("the statement succeeds");
    }
}

#[test]
fn a_stolen_token_is_reported_and_not_revoked() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let server = MariaDb::start(&[]);
    server.admin(&[
        "create database shop",
        "create table shop.invoices (id int, total int)",
        "create table shop.customers (id int, name varchar(50))",
    ]);
    server.create_user("billing", "billing-pw");
    server.admin(&["grant select on shop.* to 'billing'@'127.%'"]);
    let revoker = Receiver::start([]);
    let config = format!(
        r#"
[detect]
learning = "4s"
[[source]]
name = "maria"
type = "file"
include = ["{}"]
[[channel]]
name = "file"
type = "file"
path = "alerts.jsonl"
[[responder]]
name = "kill"
type = "webhook"
url = "{}"
secret_file = "hook.key"
mode = "enforce"
min_severity = "medium"
min_confidence = 1
"#,
        server.audit_log().display(),
        revoker.url("/revoke")
    );
    let mut daemon = Daemon::new(&config, &[("hook.key", "whsec_dG9rZW53YXRjaC1lbmQtdG8tZW5kLXNlY3JldC0wMQ==")]);
    daemon.start();
    for _ in 0..4 {
        act(&server, "billing", "127.0.0.2", &["select total from invoices where id = 17"]);
        std::thread::sleep(Duration::from_millis(1500));
    }
    act(&server, "billing", "127.0.0.66", &["select name from customers where id = 4711"]);
    let alerts = daemon.folder.path().join("alerts.jsonl");
    let alert = wait_for("the alert", Duration::from_secs(20), || {
        let lines = std::fs::read_to_string(&alerts).ok()?;
        lines.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).find(|a| a["address"] == "127.0.0.66")
    });
    assert_eq!(alert["token"], "billing");
    assert_eq!(alert["address"], "127.0.0.66");
    assert_eq!(alert["tamper_proof"], false);
    // The login alone is told; what it was used for joins the alert.
    let shown = wait_for("the table in the alert", Duration::from_secs(20), || {
        let (_, shown, _) = daemon.command(&["alerts", "show", alert["id"].as_str().expect("an id")]);
        shown.contains("customers").then_some(shown)
    });
    assert!(shown.contains("refused") && !shown.contains("4711"), "{shown}");
    assert!(revoker.requests().is_empty(), "a log that clients can write into never revokes");
    daemon.stop();
}
