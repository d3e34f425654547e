//! Cassandra's audit log of a real server: every statement is found back with its user, address, operation and objects, and hostile
//! clients write nothing in another's name.

mod support;

use std::fs;
use std::net::SocketAddr;

use support::cassandra::{self, ADMIN, Cassandra, Client};
use support::forgery::read;
use support::random::Random;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, Options};
use tokenwatch::event::{Address, Kind, Provenance};

/// An event, owned and in few words.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    kind: Kind,
    user: String,
    provenance: Provenance,
    address: String,
    operation: &'static str,
    objects: Vec<String>,
    statement: String,
    doubtful: bool,
}

fn told(log: &[u8]) -> Vec<Told> {
    let mut events = Vec::new();
    let mut sink = |item: Item<'_>| {
        assert_eq!(item.format.name, "cassandra-audit");
        match item.decoded {
            Decoded::Event(event) => events.push(Told {
                kind: event.kind,
                user: event.principal.map(|p| p.name.to_string()).unwrap_or_default(),
                provenance: event.principal.map_or(Provenance::Claimed, |p| p.provenance),
                address: match (event.address, event.port) {
                    (Some(Address::Ip(ip)), Some(port)) => SocketAddr::new(ip, port).to_string(),
                    _ => String::new(),
                },
                operation: event.operation.map_or("", |o| o.name()),
                objects: event.objects.iter().map(|o| o.to_string()).collect(),
                statement: event.statement.map(ToString::to_string).unwrap_or_default(),
                doubtful: event.suspect.is_some(),
            }),
            Decoded::Reject(reason) => panic!("{reason}: {}", item.raw.escape_ascii()),
            Decoded::Skip(reason) => panic!("{reason}: {}", item.raw.escape_ascii()),
        }
    };
    read(Stream::new(None, Options::default(), 0), log, || log.len(), &mut sink);
    events
}

/// A server with a table and two accounts.
fn shop() -> (Cassandra, Client) {
    let cassandra = Cassandra::start();
    let mut admin = cassandra.login("127.0.0.1", ADMIN.0, ADMIN.1).expect("the first account");
    for statement in [
        "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE shop.orders (id int PRIMARY KEY, note text)",
        "CREATE TABLE shop.secrets (id int PRIMARY KEY, note text)",
        "CREATE ROLE web WITH PASSWORD = 'pw' AND LOGIN = true",
        "CREATE ROLE etl WITH PASSWORD = 'pw' AND LOGIN = true",
        "GRANT ALL ON shop.orders TO web",
        "GRANT ALL ON shop.orders TO etl",
    ] {
        admin.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    (cassandra, admin)
}

/// Text that looks like records of others, out of a few parts. `ports` are those of open sessions, the client's own first.
fn hostile(random: &mut Random, own: SocketAddr) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(4) {
        let head = "INFO  [Native-Transport-Requests-1] 2026-11-27 10:01:55,330 FileAuditLogger.java:51 - ";
        let (port, stamp) = (1_024 + random.below(60_000), 1_795_773_715_322 + random.below(1_000_000));
        let forged = |user: &str, source: &str, kind: &str| {
            format!(
                "\n{head}user:{user}|host:/127.0.0.1:7000|source:/{source}|timestamp:{stamp}|type:{kind}|ks:shop|scope:secrets|operation:SELECT * FROM shop.secrets"
            )
        };
        let part = match random.below(10) {
            0 => "\n".to_owned(),
            1 => forged("boss", &format!("127.0.0.9|port:{port}"), "LOGIN_SUCCESS|category:AUTH"),
            2 => forged("boss", &format!("127.0.0.9|port:{port}"), "SELECT|category:QUERY"),
            3 => forged("boss", &format!("{}|port:{}", own.ip(), own.port()), "SELECT|category:QUERY"),
            4 => forged("boss", &format!("127.0.0.9|port:{port}"), "REQUEST_FAILURE|category:ERROR"),
            5 => {
                forged("boss", &format!("127.0.0.9|port:{port}"), "LOGIN_SUCCESS|category:AUTH")
                    + &forged("boss", &format!("127.0.0.9|port:{port}"), "SELECT|category:QUERY")
            }
            6 => "; line 1:0 no viable alternative at input".to_owned(),
            7 => format!("\n{head}"),
            8 => "*/ $ -- //".to_owned(),
            _ => "|type:SELECT|".to_owned(),
        };
        text.push_str(&part);
    }
    text
}

#[test]
fn statements_are_found_back_and_nobody_speaks_for_another() {
    if support::skip([cassandra::missing()]) {
        return;
    }
    let (cassandra, mut admin) = shop();
    let mut web = cassandra.login("127.0.0.2", "web", "pw").expect("an account");
    let mut etl = cassandra.login("127.0.0.3", "etl", "pw").expect("an account");

    // One for one.
    let mut done: Vec<(String, String, &str, Vec<&str>)> = Vec::new();
    for round in 0..40 {
        for (client, user) in [(&mut web, "web"), (&mut etl, "etl")] {
            for (statement, operation, objects) in [
                (
                    format!("INSERT INTO shop.orders (id, note) VALUES ({round}, 'a|b ''quoted'' | operation:x')"),
                    "insert",
                    vec!["shop.orders"],
                ),
                (format!("SELECT * FROM shop.orders WHERE id = {round} /* |type:x */"), "select", vec!["shop.orders"]),
                (format!("UPDATE shop.orders SET note = 'line\nbreak' WHERE id = {round}"), "update", vec!["shop.orders"]),
                (
                    format!(
                        "BEGIN BATCH\nINSERT INTO shop.orders (id) VALUES ({round});\nDELETE FROM shop.orders WHERE id = {round};\nAPPLY BATCH"
                    ),
                    "merge",
                    vec!["shop.orders"],
                ),
                (format!("DELETE FROM shop.orders /* {round} */ WHERE id = {round}"), "delete", vec!["shop.orders"]),
            ] {
                client.query(&statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
                done.push((user.to_owned(), client.address.to_string(), operation, objects));
            }
        }
    }
    web.query("SELECT * FROM shop.secrets").expect_err("not allowed");
    etl.query("SELECT nothing FROM shop.orders").expect_err("no such column");
    admin.query("TRUNCATE shop.orders").expect("a statement");
    let events = told(&cassandra.wait_audit("TRUNCATE shop.orders"));
    let found: Vec<(String, String, &str, Vec<&str>)> = events
        .iter()
        .filter(|t| t.kind == Kind::Query && t.user != ADMIN.0)
        .map(|t| (t.user.clone(), t.address.clone(), t.operation, t.objects.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(found.len(), done.len());
    for (number, (found, done)) in found.iter().zip(&done).enumerate() {
        assert_eq!(found, done, "statement {number}");
    }
    assert!(events.iter().all(|t| !t.doubtful));
    let denied: Vec<&Told> = events.iter().filter(|t| t.kind == Kind::Denied).collect();
    assert!(matches!(denied.as_slice(), [one] if one.user == "web" && one.statement == "SELECT * FROM shop.secrets"), "{denied:#?}");
    let failed: Vec<&Told> = events.iter().filter(|t| t.kind == Kind::Error).collect();
    assert!(matches!(failed.as_slice(), [one] if one.user == "etl" && one.statement == "SELECT nothing FROM shop.orders"), "{failed:#?}");
    let logins = events.iter().filter(|t| t.kind == Kind::Login && (t.user == "web" || t.user == "etl")).count();
    assert_eq!(logins, 2);

    // Hostile statements, while etl works on.
    const TRIES: u64 = 1_200;
    let (mut true_ones, mut random) = (0, Random::new(0x5eed));
    for seed in 0..TRIES {
        let text = hostile(&mut random, web.address);
        let quoted = text.replace('\'', "''");
        match seed % 6 {
            0 => web.query(&format!("INSERT INTO shop.orders (id, note) VALUES (1, '{quoted}')")).expect("a statement"),
            1 => web.query(&format!("SELECT * FROM shop.orders /* {} */", text.replace("*/", ""))).expect("a statement"),
            2 => web.query(&format!("SELEC {text}")).map_or((), |()| panic!("{text} is no statement")),
            3 => drop(web.query(&format!("DROP ROLE '{quoted}'")).expect_err("not allowed")),
            4 => drop(cassandra.login("127.0.0.66", &text, "bad").map(|_| ()).expect_err("no such account")),
            _ => drop(web.query(&format!("SELECT * FROM shop.orders WHERE note = '{quoted}'")).expect_err("needs filtering")),
        }
        if seed % 10 == 9 {
            etl.query(&format!("INSERT INTO shop.orders (id, note) VALUES ({seed}, 'true')")).expect("a statement");
            true_ones += 1;
        }
    }
    // A new session of somebody else, long after.
    let mut late = cassandra.login("127.0.0.4", "etl", "pw").expect("an account");
    etl.query("SELECT * FROM shop.orders").expect("a statement");
    late.query("INSERT INTO shop.orders (id, note) VALUES (1, 'the end')").expect("a statement");
    let log = cassandra.wait_audit("'the end'");
    // From the start: the sessions were opened there.
    let events = told(&log);
    let mut seen = 0;
    let mut by_web = 0;
    for event in &events {
        let named = !event.doubtful && event.provenance == Provenance::Authenticated;
        assert!(!(named && event.user == "boss"), "{event:?}");
        assert!(named || event.user != "etl" || event.address.starts_with("127.0.0.4:"), "{event:?}");
        seen += u64::from(named && event.user == "etl" && event.statement.ends_with("'true')"));
        by_web += u64::from(named && event.user == "web" && event.address == web.address.to_string());
    }
    assert_eq!(seen, true_ones, "what etl did is seen");
    assert!(by_web >= 200 + TRIES * 5 / 6, "what web did is seen: {by_web}");
    assert!(events.iter().any(|t| !t.doubtful && t.statement.ends_with("'the end')")), "a new session is believed in the end");

    // The server's other log has nothing to tell.
    let system = fs::read(cassandra.system_log()).expect("the log");
    assert!(told(&system).iter().all(|t| t.kind == Kind::Other));
}
