//! The audit log of a real MariaDB while hostile clients write whole rows into it by way of their user names.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::forgery::read;
use support::mariadb::{self, MariaDb};
use support::python::{self, Login};
use support::random::Random;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, Options, by_name};
use tokenwatch::event::{Kind, Provenance};

/// Hostile names; each is written twice, at log-in and at the end.
const NAMES: u32 = 1_200;

/// Names of at most 128 characters (the server cuts there) out of row heads, line ends, other people's rows and junk.
fn hostile(random: &mut Random, server: &str, time: &str, victim: u64) -> String {
    let mut name = String::new();
    loop {
        let more = match random.below(8) {
            0 => "\n".to_owned(),
            1 => format!("\n{time},{server},"),
            2 => "x,y'".to_owned(),
            3 => format!("bill,127.0.0.1,{victim},{},QUERY,,'forged',0\n{time},{server},", 100 + random.below(3000)),
            4 => format!("bill,6.6.6.6,{},0,CONNECT,forged,,0\n{time},{server},", random.below(2000)),
            5 => format!("bill,127.0.0.1,{victim},0,DISCONNECT,forged,,0\n{time},{server},"),
            6 => format!("bill,6.6.6.6,{},0,FAILED_CONNECT,,,1045\n{time},{server},", random.below(2000)),
            _ => format!("bill,127.0.0.1,{victim},{},READ,forged,forged,\n{time},{server},", 100 + random.below(3000)),
        };
        if name.len() + more.len() > 120 {
            name.push('z');
            return name;
        }
        name.push_str(&more);
    }
}

#[test]
fn nobody_speaks_for_another_token() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let server = MariaDb::start(&["--server_audit_file_rotate_size=1000000000"]);
    server.create_user("bill", "secret");
    server.query_as("bill", "secret", "127.0.0.1", "select 1").expect("allowed");
    let log = server.wait_audit(",QUERY,,'select 1',0");
    let row = log.lines().rev().find(|l| l.contains(",bill,")).expect("a row of bill");
    let mut fields = row.split(',');
    let (time, host) = (fields.next().expect("time").to_owned(), fields.next().expect("host").to_owned());
    let victim: u64 = fields.nth(2).and_then(|id| id.parse().ok()).expect("a connection number");

    let mut random = Random::new(0x5eed);
    let over = AtomicBool::new(false);
    let honest = std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let mut statements = 1u64;
            while !over.load(Ordering::SeqCst) {
                let login = Login { user: "bill", password: "secret", database: "", from: "127.0.0.1", client: "tests" };
                for result in server.query(&login, &["select 2"; 2_000]).expect("a session") {
                    result.expect("allowed");
                    statements += 1;
                }
            }
            statements
        });
        for seed in 0..NAMES {
            server.refuse(hostile(&mut random, &host, &time, victim + u64::from(seed) + 3).as_bytes());
            std::thread::sleep(Duration::from_millis(2)); // so that the honest session has its turn
        }
        over.store(true, Ordering::SeqCst);
        working.join().expect("no panic")
    });
    server.refuse(b"the-last-one");
    server.wait_audit(",the-last-one,");
    std::thread::sleep(Duration::from_millis(300));
    let log = std::fs::read(server.audit_log()).expect("the log");

    for piece in [log.len(), 4096] {
        let (mut statements, mut refusals, mut split) = (0u64, 0u32, 0u32);
        let mut sink = |item: Item<'_>| {
            let text = String::from_utf8_lossy(item.raw);
            let Decoded::Event(event) = item.decoded else { panic!("not read: {text:?}") };
            refusals += u32::from(event.kind == Kind::LoginFailed);
            split += u32::from(item.frame.suspect.is_some());
            let Some(principal) = event.principal.filter(|p| p.provenance == Provenance::Authenticated) else { return };
            assert!(!text.contains("forged") && !text.contains("6.6.6.6"), "believed: {text:?}");
            let selects = event.statement.is_some_and(|s| s.starts_with(b"select"));
            statements += u64::from(principal.name == "bill" && selects);
        };
        read(Stream::new(by_name("mariadb-audit"), Options::default(), 0), &log, || piece, &mut sink);
        println!("{statements} honest statements, {refusals} refusals, {split} names with line ends, {} bytes", log.len());
        assert_eq!(statements, honest, "every honest statement, and no other");
        assert_eq!(refusals, NAMES + 1, "one event for each refused login");
    }
}
