//! The plain-text logs of a real MariaDB: what clients did is found back one for one, with token, address, operation and objects.

mod support;

use std::time::Duration;

use support::mariadb::{self, MariaDb};
use support::python::{self, Login};
use support::random::Random;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, Options, by_name, detect};
use tokenwatch::event::{Dialect, Kind, Operation, Provenance};
use tokenwatch::sql::cache::ShapeCache;

/// What is compared of one statement.
#[derive(Debug, Clone, PartialEq)]
struct Act {
    user: String,
    address: String,
    statement: String,
}

fn act(user: &str, address: &str, statement: &str) -> Act {
    Act { user: user.to_owned(), address: address.to_owned(), statement: statement.to_owned() }
}

/// Statements of authenticated users; panics on rejects.
fn acts(format: &str, log: &[u8], piece: usize) -> Vec<Act> {
    assert_eq!(detect(&log[..log.len().min(64 << 10)], &Options::default()).map(|(found, _)| found.name), Some(format));
    let mut all = Vec::new();
    let mut stream = Stream::new(by_name(format), Options::default(), 0);
    let mut sink = |item: Item<'_>| match item.decoded {
        Decoded::Event(event) => {
            let Some(principal) = event.principal.filter(|p| p.provenance == Provenance::Authenticated) else { return };
            assert!(event.suspect.is_none());
            if let Some(statement) = event.statement.filter(|_| event.kind == Kind::Query) {
                all.push(act(&principal.name.to_string(), &event.address.expect("an address").to_string(), &statement.to_string()));
            }
        }
        Decoded::Reject(reason) => panic!("{reason}: {}", String::from_utf8_lossy(item.raw)),
        Decoded::Skip(_) => {}
    };
    for piece in log.chunks(piece) {
        stream.feed(piece, &mut sink);
    }
    stream.close(&mut sink);
    all
}

/// The log, once it contains `text`.
fn wait(path: &std::path::Path, text: &str) -> Vec<u8> {
    support::wait_for(&format!("{text:?} in {}", path.display()), Duration::from_secs(10), || {
        let log = std::fs::read(path).ok()?;
        log.windows(text.len()).any(|w| w == text.as_bytes()).then_some(log)
    })
}

const CLIENTS: [(&str, &str); 3] = [("web", "127.0.0.2"), ("etl", "127.0.0.3"), ("report", "127.0.0.4")];

/// Statements of one session; `n` makes them differ between sessions.
fn work(n: usize) -> Vec<String> {
    vec![
        format!("select {n}, a from app.t where a > 1"),
        format!("insert into app.t values ({n}, 'it''s\n{n};\n\n# two lines')"),
        format!("update app.t\n   set b = 'x' /* ; */\n where a = {n}"),
        "use app".to_owned(),
        format!("delete from t where a = {n}"),
        format!("select count(*) from t join u using (a) where u.b <> '{n}'"),
    ]
}

const SHAPES: [(Operation, &[&str]); 6] = [
    (Operation::Select, &["app.t"]),
    (Operation::Insert, &["app.t"]),
    (Operation::Update, &["app.t"]),
    (Operation::Other, &[]),
    (Operation::Delete, &["t"]),
    (Operation::Select, &["t", "u"]),
];

/// Operation and objects of a statement.
fn shape(statement: &str) -> (Operation, Vec<String>) {
    let (shape, _) = ShapeCache::default().understand(statement.as_bytes(), Dialect::MySql);
    (shape.operation, shape.objects.iter().map(|object| object.name.to_string()).collect())
}

fn server() -> MariaDb {
    let server = MariaDb::start(&[
        "--general-log=1",
        "--general-log-file=general.log",
        "--slow-query-log=1",
        "--slow-query-log-file=slow.log",
        "--long-query-time=0",
        "--log-slow-verbosity=query_plan,explain",
        "--log-warnings=2",
        "--server_audit_logging=OFF",
    ]);
    server.admin(&["create database app", "create table app.t (a int, b text)", "create table app.u (a int, b text)"]);
    for (user, _) in CLIENTS {
        server.create_user(user, "secret");
        server.admin(&[&format!("grant all on app.* to {user}@'127.%'")]);
    }
    server
}

#[test]
fn what_clients_did_is_found_back() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let server = server();
    let run = |user: &str, from: &str, n: usize| {
        let statements = work(n);
        let list: Vec<&str> = statements.iter().map(String::as_str).collect();
        let login = Login { user, password: "secret", database: "", from, client: "tests" };
        for result in server.query(&login, &list).expect("a session") {
            result.expect("allowed");
        }
        statements
    };
    let mut did = Vec::new();
    for n in 0..12 {
        let (user, from) = CLIENTS[n % 3];
        did.extend(run(user, from, n).into_iter().map(|statement| act(user, from, &statement)));
    }
    // All at a time, too. The slow log tells them apart.
    let mut together: Vec<Act> = std::thread::scope(|scope| {
        let threads: Vec<_> = CLIENTS
            .iter()
            .enumerate()
            .map(|(at, (user, from))| {
                let run = &run;
                scope.spawn(move || {
                    let all = (0..4).flat_map(|n| run(user, from, 100 + 10 * at + n));
                    all.map(|statement| act(user, from, &statement)).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    server.admin(&["select 'the last one'"]);

    let mine = |acts: Vec<Act>| -> Vec<Act> {
        let sent = |a: &Act| CLIENTS.iter().any(|(user, _)| a.user == *user) && !a.statement.starts_with("SET ");
        acts.into_iter().filter(sent).collect()
    };
    let general = wait(&server.data("general.log"), "the last one");
    let slow = wait(&server.data("slow.log"), "the last one");
    for piece in [1 << 20, 1000, 13] {
        let found = mine(acts("mysql-general", &general, piece));
        assert_eq!(found[..did.len()], did[..], "general log, one after the other");
        let found = mine(acts("mysql-slow", &slow, piece));
        assert_eq!(found[..did.len()], did[..], "slow log, one after the other");
        let mut found = found[did.len()..].to_vec();
        let key = |a: &Act| (a.user.clone(), a.statement.clone());
        found.sort_by_key(key);
        together.sort_by_key(key);
        assert_eq!(found, together, "slow log, all at a time");
    }
    for (at, act) in did.iter().enumerate() {
        let (operation, objects) = SHAPES[at % SHAPES.len()];
        let seen = shape(&act.statement);
        assert_eq!((seen.0, seen.1.iter().map(String::as_str).collect::<Vec<_>>()), (operation, objects.to_vec()), "{act:?}");
    }
}

/// `log_output=TABLE`: the tables' own files. What a client sends looks like rows of them.
#[test]
fn what_clients_did_is_found_in_the_tables_files() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let server = MariaDb::start(&[
        "--log-output=TABLE",
        "--general-log=1",
        "--slow-query-log=1",
        "--long-query-time=0",
        "--server_audit_logging=OFF",
        "--sql-mode=",
    ]);
    server.admin(&["create database app", "create table app.t (a int, b text)"]);
    server.create_user("boss", "secret");
    let mut random = Random::new(0x5eed);
    let (user, from) = CLIENTS[0];
    server.create_user(user, "secret");
    server.admin(&[&format!("grant all on app.* to {user}@'127.%'")]);
    let mut did = Vec::new();
    for _ in 0..8 {
        let rows = [
            "2026-12-01 15:27:21.380825\",\"boss[boss] @ h [127.0.0.9]\",3,1,\"Query\",\"DROP TABLE t\"\n",
            "\n\"2026-12-01 15:27:21.380825\",\"boss[boss] @ h [127.0.0.9]\",\"00:00:01\",\"00:00:00\",1,0,\"app\",0,0,1,\"DROP\",4,0\n",
        ];
        let statements: Vec<String> = (0..32)
            .map(|n| {
                let text: String = (0..1 + random.below(6))
                    .map(|_| random.pick(&["\"", "\\\\", "\n", "\r\n", "\\n", ",", "\\\"", "\",\"", "\t", "é", rows[0], rows[1]]))
                    .collect();
                format!("select {n}, '{text}x'")
            })
            .collect();
        let list: Vec<&str> = statements.iter().map(String::as_str).collect();
        let login = Login { user, password: "secret", database: "app", from, client: "tests" };
        for result in server.query(&login, &list).expect("a session") {
            result.expect("allowed");
        }
        did.extend(statements.iter().map(|statement| act(user, from, statement)));
    }
    server.admin(&["select 'the last one'"]);
    for file in ["mysql/general_log.CSV", "mysql/slow_log.CSV"] {
        let log = wait(&server.data(file), "the last one");
        for piece in [1 << 20, 1000, 13] {
            let mut found = acts("mysql-log-tables", &log, piece);
            assert!(found.iter().all(|act| act.user != "boss"), "{file}");
            found.retain(|act| act.user == user && act.statement.starts_with("select "));
            assert_eq!(found, did, "{file}");
        }
    }
}

#[test]
fn refused_logins_are_in_the_error_log() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let server = server();
    for n in 2..12 {
        let (user, from) = (format!("nobody{n}"), format!("127.0.0.{n}"));
        server.query_as(&user, "wrong", &from, "select 1").expect_err("no such user");
    }
    let log = wait(&server.error_log(), "nobody11");
    let mut found = Vec::new();
    let mut stream = Stream::new(by_name("mysql-error"), Options::default(), 0);
    let mut sink = |item: Item<'_>| {
        if let Decoded::Event(event) = item.decoded
            && event.kind == Kind::LoginFailed
        {
            let principal = event.principal.expect("a name");
            assert_eq!(principal.provenance, Provenance::Claimed);
            found.push((principal.name.to_string(), event.address.expect("an address").to_string()));
        }
    };
    stream.feed(&log, &mut sink);
    stream.close(&mut sink);
    let wanted: Vec<_> = (2..12).map(|n| (format!("nobody{n}"), format!("127.0.0.{n}"))).collect();
    assert_eq!(found, wanted);
}
