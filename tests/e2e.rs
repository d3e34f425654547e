//! The whole path on real servers: roles stand for tokens, addresses of 127.0.0.0/8 for networks. A token is learned, then used from
//! elsewhere on a table that it never touched; mail, Slack, webhook and revocation arrive once each, over crashes too.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::daemon::Daemon;
use support::http_receiver::{Answer, Receiver, Request};
use support::kafka::{self, Kafka};
use support::postgres::{self, Postgres};
use support::python::{self, Login};
use support::smtp::SmtpServer;
use support::{prometheus, wait_for};

const SECRET: &str = "whsec_dG9rZW53YXRjaC1lbmQtdG8tZW5kLXNlY3JldC0wMQ==";

fn database(log: &str) -> Postgres {
    let server = Postgres::start(&[
        ("log_destination", log),
        ("log_statement", "all"),
        ("log_connections", "on"),
        ("log_disconnections", "on"),
        ("shared_preload_libraries", "pgaudit"),
        ("pgaudit.log", "read,write"),
    ]);
    server.create_role("billing", "billing-pw");
    server.create_role("web", "web-pw");
    server.admin(&[
        "create table invoices (id int, total numeric)",
        "create table customers (id int, name text, card text)",
        "grant select on invoices, customers to billing, web",
    ]);
    server
}

/// A session of `user` from `from` that runs `sql` once.
fn act(server: &Postgres, user: &str, from: &str, client: &str, sql: &[&str]) {
    let password = format!("{user}-pw");
    let login = Login { user, password: &password, database: "postgres", from, client };
    for result in server.query(&login, sql).expect("a session") {
        result.expect("the statement succeeds");
    }
}

/// What the tokens do every day.
fn ordinary(server: &Postgres) {
    act(server, "billing", "127.0.0.2", "billing-service", &["select total from invoices where id = 17", "select count(*) from invoices"]);
    act(server, "billing", "127.0.0.3", "billing-service", &["select total from invoices where id = 4711"]);
    act(server, "web", "127.0.0.4", "web-app", &["select name from customers where id = 1"]);
}

fn stolen(server: &Postgres) {
    act(server, "billing", "127.0.0.66", "psql", &["select name, card from customers where name = 'Secretive Customer'"]);
}

/// Verified by an implementation of Standard Webhooks that is not ours.
fn verify(request: &Request) -> Value {
    let message = json!({ "secret": SECRET, "headers": request.headers, "body": request.body });
    let verdict = python::run("verify_webhook.py", &[], &message.to_string()).expect("the verifier runs");
    assert_eq!(verdict.trim(), "genuine", "{request:?}");
    serde_json::from_str(&request.body).expect("a JSON body")
}

struct Receivers {
    webhook: Receiver,
    slack: Receiver,
    revoker: Receiver,
    mail: SmtpServer,
}

impl Receivers {
    fn start() -> Receivers {
        let applied = Answer::Status(200, vec![("content-type", "application/json".to_owned())], r#"{"status":"applied"}"#);
        Receivers {
            webhook: Receiver::start([]),
            slack: Receiver::start([]),
            revoker: Receiver::start([]).then_always(applied),
            mail: SmtpServer::start("starttls"),
        }
    }

    fn config(&self, source: &str) -> String {
        let (webhook, revoker, port, ca) =
            (self.webhook.url("/hook"), self.revoker.url("/revoke"), self.mail.port, self.mail.ca_file.display());
        format!(
            r#"
[detect]
learning = "4s"
{source}
[[channel]]
name = "soc"
type = "webhook"
url = "{webhook}"
secret_file = "hook.key"
[[channel]]
name = "ops"
type = "slack"
url_file = "slack.url"
[[channel]]
name = "mail"
type = "email"
host = "localhost"
port = {port}
ca_file = "{ca}"
username = "tokenwatch"
password_file = "mail.pw"
from = "tokenwatch@example.org"
to = ["soc@example.org"]
[[responder]]
name = "kill"
type = "webhook"
url = "{revoker}"
secret_file = "hook.key"
mode = "enforce"
min_severity = "high"
min_confidence = 50
# Roles are made with their passwords, as the stage is set.
[[suppression]]
token = "postgres"
detectors = ["rule.secrets_in_statements"]
until = 2040-01-01T00:00:00Z
author = "this test"
reason = "who sets the stage gives out passwords"
"#
        )
    }

    fn daemon(&self, source: &str) -> Daemon {
        let slack = self.slack.url("/services/T000/B000/XXXX");
        Daemon::new(&self.config(source), &[("hook.key", SECRET), ("slack.url", &slack), ("mail.pw", "correct horse")])
    }

    /// Everything that the theft sets off has arrived, is right, is signed, and tells no literal.
    fn expect_theft(&mut self) {
        // The login opens the alert, the query raises it.
        let alert = wait_for("the alert with both findings", Duration::from_secs(20), || {
            let alerts = self.webhook.requests();
            alerts.iter().map(|hook| verify(hook)["data"].clone()).find(|alert| alert.to_string().contains("new_scope"))
        });
        assert_eq!(alert["token"], "billing");
        assert_eq!(alert["address"], "127.0.0.66");
        let text = alert.to_string();
        assert!(text.contains("customers") && text.contains("new_network") && text.contains("new_scope"), "{text}");

        let revocation = &self.revoker.wait_for(1)[0];
        let request = verify(revocation);
        assert_eq!(request["data"]["token"], "billing");
        assert_eq!(request["data"]["action"], "revoke");
        assert_eq!(request["data"]["alert_id"], alert["id"]);
        assert!(revocation.headers.contains_key("idempotency-key"));

        let slack = wait_for("the Slack message of the raised alert", Duration::from_secs(20), || {
            self.slack.requests().into_iter().map(|request| request.body).find(|body| body.contains("customers"))
        });
        assert!(slack.contains("billing") && slack.contains("127.0.0.66"), "{slack}");
        let mail = self.mail.mail();
        assert!(mail.tls && mail.to == ["soc@example.org"], "{mail:?}");
        assert!(mail.content.contains("billing") && mail.content.contains("127.0.0.66"), "{}", mail.content);
        for body in [&text, &slack, &mail.content, &revocation.body] {
            assert!(!body.contains("Secretive Customer") && !body.contains("4711"), "a literal has left the process: {body}");
        }
    }

    /// Nothing more than what [`Receivers::expect_theft`] saw, counted by alert and revision.
    fn expect_nothing_twice(&self) {
        for receiver in [&self.webhook, &self.slack, &self.revoker] {
            let mut ids: Vec<String> = receiver.requests().iter().filter_map(|r| r.headers.get("webhook-id").cloned()).collect();
            let all = ids.len();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), all, "a message came twice");
        }
        assert_eq!(self.revoker.requests().len(), 1, "one revocation for one alert");
    }
}

fn missing() -> bool {
    support::skip([postgres::missing(), python::missing()])
}

/// Waits until the daemon has judged everything that the server has logged so far: a marker query of `web` has been read.
fn caught_up(daemon: &Daemon, server: &Postgres) {
    let size = std::fs::metadata(server.log_file("csv")).expect("the log").len() as f64;
    daemon.wait_metric("tokenwatch_read_bytes_total{source=\"pg\"}", size.min(1.0));
    wait_for("the daemon to read on", Duration::from_secs(10), || {
        let (_, status, _) = daemon.command(&["status", "--json"]);
        let status: Value = serde_json::from_str(&status).ok()?;
        let read: f64 = status["positions"].as_array()?.iter().filter_map(|p| p["offset"].as_f64()).sum();
        (read >= size).then_some(())
    });
}

fn file_source(server: &Postgres) -> String {
    format!("[[source]]\nname = \"pg\"\ntype = \"file\"\ninclude = [\"{}/*.csv\"]\n", server.log_dir().display())
}

#[test]
fn a_stolen_token_is_found_through_crashes() {
    if missing() {
        return;
    }
    let server = database("csvlog");
    let mut receivers = Receivers::start();
    let mut daemon = receivers.daemon(&file_source(&server));
    daemon.start();
    for _ in 0..3 {
        ordinary(&server);
        std::thread::sleep(Duration::from_millis(1700));
    }
    caught_up(&daemon, &server);
    assert_eq!(receivers.webhook.requests().len(), 0, "no alert while all is as usual");

    // The theft happens while the daemon lies dead; it is found when it comes back.
    daemon.kill();
    ordinary(&server);
    stolen(&server);
    daemon.start();
    receivers.expect_theft();

    // Killed right after, and once more while it reads: nothing twice.
    daemon.kill();
    daemon.start();
    ordinary(&server);
    caught_up(&daemon, &server);
    daemon.kill();
    daemon.start();
    ordinary(&server);
    caught_up(&daemon, &server);
    std::thread::sleep(Duration::from_secs(2));
    receivers.expect_nothing_twice();

    // What a person sees afterwards.
    let (code, list, error) = daemon.command(&["alerts", "list"]);
    assert!(code == 0 && list.contains("billing") && list.contains("127.0.0.66"), "{list}{error}");
    let (_, tokens, _) = daemon.command(&["tokens", "list"]);
    assert!(tokens.contains("billing") && tokens.contains("web"), "{tokens}");
    daemon.stop();
}

/// Passes on what the server has logged since, a message a record, as a log shipper does.
fn relay(kafka: &Kafka, server: &Postgres, sent: &mut usize) {
    let log = String::from_utf8_lossy(&std::fs::read(server.log_file("json")).expect("the log")).into_owned();
    let whole = log.rfind('\n').map_or(0, |end| end + 1);
    kafka.produce("db-audit", 0, log[*sent..whole].lines().map(Some));
    *sent = whole;
}

#[test]
fn a_stolen_token_is_found_through_kafka() {
    if support::skip([postgres::missing(), python::missing(), kafka::missing()]) {
        return;
    }
    let broker = Kafka::start();
    broker.create("db-audit", 1);
    let server = database("jsonlog");
    let mut sent = 0;
    let mut receivers = Receivers::start();
    let source = format!(
        "[[source]]\nname = \"topic\"\ntype = \"kafka\"\nbrokers = [\"{}\"]\ntopics = [\"db-audit\"]\ngroup = \"tokenwatch\"\nformat = \"postgres-json\"\n",
        broker.bootstrap
    );
    let mut daemon = receivers.daemon(&source);
    daemon.start();
    for _ in 0..3 {
        ordinary(&server);
        std::thread::sleep(Duration::from_millis(1700));
        relay(&broker, &server, &mut sent);
    }
    daemon.wait_metric("tokenwatch_events_total{kind=\"query\",source=\"topic\"}", 8.0);
    // A message that nobody can read is counted, and stops nothing.
    broker.produce("db-audit", 0, [Some("{\"timestamp\": poison"), None]);
    daemon.wait_metric("tokenwatch_records_total{result=\"reject\",source=\"topic\"}", 1.0);
    wait_for("a checkpoint", Duration::from_secs(10), || daemon.metric("tokenwatch_commits_total").filter(|n| *n >= 2.0));
    let aside = daemon.folder.path().join("state/rejected.jsonl");
    let kept =
        wait_for("the rejected record's place", Duration::from_secs(10), || std::fs::read_to_string(&aside).ok().filter(|t| !t.is_empty()));
    assert!(kept.contains("db-audit/0") && !kept.contains("poison"), "{kept}");
    daemon.kill();
    stolen(&server);
    relay(&broker, &server, &mut sent);
    daemon.start();
    receivers.expect_theft();
    daemon.kill();
    daemon.start();
    ordinary(&server);
    relay(&broker, &server, &mut sent);
    daemon.wait_metric("tokenwatch_events_total{kind=\"query\",source=\"topic\"}", 1.0);
    std::thread::sleep(Duration::from_secs(2));
    receivers.expect_nothing_twice();
    daemon.stop();
}

#[test]
fn metrics_health_and_reload() {
    if support::skip([postgres::missing(), python::missing(), prometheus::missing()]) {
        return;
    }
    let server = database("csvlog");
    let config = format!("{}[[channel]]\nname = \"file\"\ntype = \"file\"\npath = \"alerts.jsonl\"\n", file_source(&server));
    let mut daemon = Daemon::new(&config, &[]);
    daemon.start();
    ordinary(&server);
    caught_up(&daemon, &server);
    prometheus::check_metrics(&daemon.metrics()).expect("promtool finds nothing to object to");
    assert_eq!(support::http_get(daemon.http, "/healthz").map(|(status, _)| status), Some(200));
    let mut scraper = prometheus::Prometheus::start(&format!("127.0.0.1:{}", daemon.http));
    let records = wait_for("Prometheus to scrape", Duration::from_secs(20), || {
        scraper.value("tokenwatch_records_total{result=\"event\"}").filter(|n| *n > 0.0)
    });
    assert!(records > 5.0);
    scraper.stop();

    // A bad configuration keeps the old one and says why.
    daemon.configure(&format!("{config}[[chanel]]\nname = \"x\"\n"));
    daemon.reload();
    wait_for("the failed reload", Duration::from_secs(10), || {
        daemon.metric("tokenwatch_config_reload_success").filter(|value| *value == 0.0)
    });
    let said = daemon.output();
    assert!(said.contains("chanel") && said.contains("channel"), "{said}");
    // A good one is taken without losing what was learned: another learning period, another source beside the first.
    let extra = daemon.folder.path().join("none-yet.csv");
    daemon.configure(&format!("{config}[[source]]\nname = \"more\"\ntype = \"file\"\ninclude = [\"{}\"]\n", extra.display()));
    daemon.reload();
    wait_for("the reload", Duration::from_secs(10), || daemon.metric("tokenwatch_config_reload_success").filter(|value| *value == 1.0));
    std::fs::copy(server.log_file("csv"), &extra).expect("a second log");
    daemon.wait_metric("tokenwatch_records_total{result=\"event\",source=\"more\"}", 5.0);
    let before = daemon.metric("tokenwatch_records_total{result=\"event\",source=\"pg\"}");
    ordinary(&server);
    caught_up_more(&daemon, before.unwrap_or(0.0));
    daemon.stop();
}

fn caught_up_more(daemon: &Daemon, before: f64) {
    daemon.wait_metric("tokenwatch_records_total{result=\"event\",source=\"pg\"}", before + 5.0);
    assert_eq!(daemon.metric("tokenwatch_gaps_total{reason=\"truncated\",source=\"pg\"}"), None, "no gap");
}
