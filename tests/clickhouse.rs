//! ClickHouse's query log, of a real server: what clients did is found back one for one, and statements that look like rows are
//! nothing but statements.

mod support;

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::Decoded;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::event::{Kind, Provenance};

use support::clickhouse::{self, ClickHouse};
use support::python;

const BILLING: (&str, &str) = ("billing", "secret");

/// Kind, principal, address, outcome and statement of every event that is an act.
fn acts(log: &[u8]) -> Vec<String> {
    let mut acts = Vec::new();
    let mut stream = Stream::new(None, FormatOptions::default(), 0);
    let mut sink = |item: Item<'_>| {
        assert_eq!(item.format.name, "clickhouse-query-log");
        match item.decoded {
            Decoded::Event(event) if event.kind != Kind::Other => {
                let principal = event.principal.expect("a user");
                assert_eq!(principal.provenance, Provenance::Authenticated);
                acts.push(format!(
                    "{:?} {} {} {} {}",
                    event.kind,
                    principal.name,
                    event.address.expect("an address"),
                    event.rows.map_or("-".to_owned(), |rows| rows.to_string()),
                    event.statement.expect("a statement")
                ));
            }
            Decoded::Event(_) | Decoded::Skip(_) => {}
            Decoded::Reject(reason) => panic!("{reason}: {}", String::from_utf8_lossy(item.raw)),
        }
    };
    stream.feed(log, &mut sink);
    stream.close(&mut sink);
    let counts = stream.counts();
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips);
    acts
}

#[test]
fn queries_are_found_back() {
    if support::skip([clickhouse::missing(), python::missing()]) {
        return;
    }
    let server = ClickHouse::start();
    server.admin("create database shop");
    server.admin("create table shop.invoices (id Int32, total Int32) engine=Memory");
    for (login, from, sql, status) in [
        (BILLING, "127.0.0.66", "insert into shop.invoices values (1,2),(3,4)", 200),
        (BILLING, "127.0.0.66", "select total from shop.invoices where id = 3", 200),
        (BILLING, "127.0.0.67", "select * from shop.nowhere", 404),
        (("reader", "secret"), "127.0.0.68", "insert into shop.invoices values (5,6)", 500),
        (BILLING, "127.0.0.66", "select 'a\nb\"}'", 200),
    ] {
        let (got, answer) = server.query(login, from, sql);
        assert_eq!(got, status, "{sql}: {}", String::from_utf8_lossy(&answer));
    }
    let log = support::wait_for("the query log", std::time::Duration::from_secs(20), || {
        let log = server.query_log();
        // the start and the end of the last statement
        (memchr::memmem::find_iter(&log, br#"b\"}'"#).count() >= 2).then_some(log)
    });
    let mut got: Vec<String> = acts(&log).into_iter().filter(|act| !act.contains("default 127.0.0.1")).collect();
    got.sort();
    assert_eq!(
        got,
        [
            "Denied reader 127.0.0.68 - insert into shop.invoices values",
            "Error billing 127.0.0.67 - select * from shop.nowhere",
            "Query billing 127.0.0.66 1 select 'a\nb\"}'",
            "Query billing 127.0.0.66 1 select total from shop.invoices where id = 3",
            "Query billing 127.0.0.66 2 insert into shop.invoices values",
        ]
    );
    let pid = server.pid();
    drop(server);
    assert!(!std::path::Path::new("/proc").join(pid.to_string()).exists());
}

/// Why the server's text log is not read: who has no account at all writes lines into it in anybody's name.
#[test]
fn nobody_acts_in_the_text_log() {
    if support::skip([clickhouse::missing(), python::missing()]) {
        return;
    }
    let server = ClickHouse::start();
    let forged = "2026.11.22 02:21:28.123456 [ 21 ] {q} <Debug> executeQuery: (from 10.1.0.7:5, user: billing) DROP TABLE t";
    let status = server.get(&format!("/?user=x%0A{}&query=select+1", forged.replace(' ', "+")));
    assert!(status >= 400, "{status}");
    let log = support::wait_for("the forged line", std::time::Duration::from_secs(60), || {
        let log = std::fs::read(server.folder().join("output")).unwrap_or_default();
        log.split(|b| *b == b'\n').any(|line| line.starts_with(forged.as_bytes())).then_some(log)
    });
    let mut stream = Stream::new(None, FormatOptions::default(), 0);
    let mut sink = |item: Item<'_>| {
        if let Decoded::Event(event) = item.decoded {
            assert!(event.principal.is_none(), "{event:?}");
        }
    };
    stream.feed(&log, &mut sink);
    stream.close(&mut sink);
}
