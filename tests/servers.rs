//! Each server of the tests really starts, logs what a client with another address does, and is gone afterwards.

mod support;

use std::path::Path;
use support::mariadb::{self, MariaDb};
use support::postgres::{self, Postgres};
use support::prometheus::{self, Prometheus};

fn is_gone(pid: u32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn postgres_logs_csv_json_and_audit_records_with_the_clients_address() {
    if support::skip([postgres::missing()]) {
        return;
    }
    let server = Postgres::start(&[
        ("log_destination", "stderr,csvlog,jsonlog"),
        ("log_connections", "on"),
        ("log_statement", "all"),
        ("shared_preload_libraries", "pgaudit"),
        ("pgaudit.log", "read"),
    ]);
    server.admin(&["create extension pgaudit", "create table invoices (id int)"]);
    server.create_role("billing", "secret");
    server.admin(&["grant select on invoices to billing"]);

    let rows = server.query_as("billing", "secret", "127.0.0.66", "select count(*) from invoices").expect("allowed");
    assert_eq!(rows, [[Some("0".to_owned())]]);
    let refused = server.query_as("billing", "wrong", "127.0.0.67", "select 1").expect_err("wrong password");
    assert!(refused.contains("28P01"), "{refused}");
    let denied = server.query_as("billing", "secret", "127.0.0.66", "delete from invoices").expect_err("no such right");
    assert!(denied.contains("42501"), "{denied}");

    let csv = server.wait_log("csv", "permission denied");
    assert!(csv.contains(r#""billing","postgres","#) && csv.contains("127.0.0.66:"), "{csv}");
    assert!(csv.contains("AUDIT: SESSION,1,1,READ,SELECT"), "{csv}");
    assert!(server.wait_log("json", "permission denied").contains(r#""remote_host":"127.0.0.67""#));
    server.wait_log("log", "permission denied");

    let pid = server.pid();
    drop(server);
    assert!(is_gone(pid));
}

#[test]
fn mariadb_audits_queries_with_the_clients_address() {
    if support::skip([mariadb::missing()]) {
        return;
    }
    let server = MariaDb::start(&[]);
    server.create_user("billing", "secret");
    let rows = server.query_as("billing", "secret", "127.0.0.66", "select 40 + 2 as answer").expect("allowed");
    assert_eq!(rows, [[Some("42".to_owned())]]);
    let refused = server.query_as("billing", "wrong", "127.0.0.67", "select 1").expect_err("wrong password");
    assert!(refused.contains("1045"), "{refused}");

    let audit = server.wait_audit("FAILED_CONNECT");
    let query = audit.lines().find(|line| line.contains("40 + 2")).expect("the query");
    assert!(query.contains(",billing,127.0.0.66,"), "{query}");

    let pid = server.pid();
    drop(server);
    assert!(is_gone(pid));
}

#[test]
fn prometheus_scrapes_its_target() {
    if support::skip([prometheus::missing()]) {
        return;
    }
    // a Prometheus that nobody listens to is scraped by the one under test
    let target = Prometheus::start("127.0.0.1:1");
    let server = Prometheus::start(&format!("127.0.0.1:{}", target.port()));
    let up = support::wait_for("a scrape", std::time::Duration::from_secs(20), || server.value("up{job=\"tokenwatch\"}"));
    assert!((up - 1.0).abs() < f64::EPSILON, "up is {up}");

    let (_, exposition) = support::http_get(target.port(), "/metrics").expect("an answer");
    assert!(exposition.contains("process_cpu_seconds_total"));
    assert!(prometheus::check_metrics("# TYPE right_total counter\n# HELP right_total What it counts.\nright_total 1\n").is_ok());
    assert!(prometheus::check_metrics("# TYPE wrong counter\nwrong 1\n").is_err(), "a counter without _total and help");

    let pid = server.pid();
    drop(server);
    assert!(is_gone(pid));
}
