//! The plain-text logs of a real MariaDB while a client writes other people's records into them: by way of line ends in statements, and of
//! user names before any login.

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use support::forgery::{actor, read};
use support::mariadb::{self, MariaDb};
use support::python::{self, Login};
use support::random::Random;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, Options, by_name};
use tokenwatch::event::{Kind, Provenance};

/// Hostile statements for each of the two logs, and hostile names.
const STATEMENTS: usize = 1_200;
const NAMES: usize = 1_000;

/// What an attacker knows: everything that the log shows.
struct Known {
    victim: u64,
    /// The attacker's own connection, where he guessed it.
    own: u64,
    /// `261122  2:21:28`.
    time: String,
    epoch: i64,
}

/// A record of the general log that pretends to be somebody else's.
fn record(random: &mut Random, known: &Known) -> String {
    let id = match random.below(8) {
        0 => known.own,
        1 => 9_999,
        2 => known.victim + random.below(40) as u64,
        _ => known.victim,
    };
    let head = match random.below(8) {
        0 => format!("{}\t{id:6} ", known.time),
        1 => format!("2026-11-22T02:21:28.123456Z\t{id:5} "),
        2 => format!("               \t     {id} "),
        _ => format!("\t\t{id:6} "),
    };
    let what = match random.below(10) {
        0 => format!("Connect\tbill@127.0.0.2 on forged using TCP/IP\n\t\t{id:6} Query\tDROP TABLE forged"),
        1 => format!("Quit\t\n\t\t{:6} Connect\tbill@6.6.6.6 on forged using TCP/IP\n\t\t{:6} Query\tDROP TABLE forged", id + 1, id + 1),
        2 => "Init DB\tforged".to_owned(),
        3 => "Execute\tDELETE FROM forged".to_owned(),
        4 => "Connect\tAccess denied for user 'forged'@'6.6.6.6' (using password: YES)".to_owned(),
        _ => "Query\tDROP TABLE forged".to_owned(),
    };
    format!("{head}{what}")
}

/// An entry of the slow log that pretends to be somebody else's, without its last semicolon.
fn entry(random: &mut Random, known: &Known) -> String {
    let user = random.pick(&["bill", "root", "bill", "admin"]);
    let place = random.pick(&["localhost []", " [127.0.0.2]", " [6.6.6.6]"]);
    let time = if random.below(3) == 0 { format!("# Time: {}\n", known.time) } else { String::new() };
    let cost = random.pick(&[
        "# Query_time: 0.000077  Lock_time: 0.000010  Rows_sent: 1  Rows_examined: 1\n# Rows_affected: 0  Bytes_sent: 81\n",
        "# Query_time: 0.000077  Lock_time: 0.000000  Rows_sent: 0  Rows_examined: 0\n# Rows_affected: 0  Bytes_sent: 11\n",
        "# Query_time: 2.5  Lock_time: 0\n",
        "",
    ]);
    let set = match random.below(6) {
        0 => String::new(),
        1 => "SET timestamp=1;\n".to_owned(),
        _ => format!("SET timestamp={};\n", known.epoch),
    };
    let statement = random.pick(&["DROP TABLE forged", "# administrator command: forged", "use forged;\nDROP TABLE forged"]);
    format!("{time}# User@Host: {user}[{user}] @ {place}\n# Thread_id: {}  Schema: app  QC_hit: No\n{cost}{set}{statement}", known.victim)
}

/// Ways to get such text into a statement. Some of these statements the server runs, some are syntax errors.
fn statement(random: &mut Random, forged: &str, end: &str) -> String {
    let begin = random.pick(&[
        "select 1",
        "select 2 from dual where 1=0",
        "set @a = 1",
        "do 1",
        "select abs()",
        "select 'a' collate forged_nowhere",
    ]);
    match random.below(14) {
        0 => format!("{begin}{end}\n{forged}"),
        1 => format!("select '{end}\n{forged}\n'"),
        2 => format!("select 1 /*{end}\n{forged}\n*/"),
        3 => format!("select 1 -- it's{end}\n{forged}"),
        4 => format!("select \"{end}\n{forged}"),
        5 => format!("select '\\'{end}\n{forged}'"),
        6 => format!("select '\\\\'{end}\n{forged}"),
        7 => format!("select `{end}\n{forged}`"),
        8 => format!("begin not atomic {begin};\n{forged}; end"),
        9 => format!("/*!99999 x /* {end}\n{forged}\n*/"),
        10 => format!("# x{end}\n{forged}"),
        11 => format!("{begin}{end}\n{forged}{end}\n{forged}"),
        12 => format!("{begin}{end}\r\n{forged}"),
        _ => format!("selec{end}\n{forged}"),
    }
}

/// User names of at most 128 letters, where the server cuts.
fn name(random: &mut Random, known: &Known) -> String {
    let id = known.victim;
    let text = match random.below(6) {
        0 => format!("bill@127.0.0.2 on app using TCP/IP\n\t\t{id:6} Query\tDROP TABLE forged"),
        1 => format!("x\n\t\t{id:6} Query\tDROP TABLE forged"),
        2 => format!("x'@'h' (using password: YES)\n\t\t{id:6} Query\tforged"),
        3 => format!("x\n{}\t{:6} Connect\tbill@6.6.6.6 on forged", known.time, id + 50),
        4 => format!("bill@127.0.0.2 on app using TCP/IP\n\t\t{id:6} Quit\t\n\t\t{:6} Query\tforged", id + 1),
        _ => "bill@127.0.0.2 on forged".to_owned(),
    };
    text.chars().take(127).collect()
}

/// When an honest statement was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum When {
    Before,
    During,
    After,
}

struct Played {
    server: MariaDb,
    /// Honest statements with the time at which they were run.
    honest: HashMap<String, When>,
}

/// Honest clients before, while and after a hostile one works.
fn play(hostile: impl FnOnce(&MariaDb, &Known)) -> Played {
    let server = MariaDb::start(&[
        "--general-log=1",
        "--general-log-file=general.log",
        "--slow-query-log=1",
        "--slow-query-log-file=slow.log",
        "--long-query-time=0",
        "--log-warnings=2",
        "--server_audit_logging=OFF",
    ]);
    for user in ["bill", "eve"] {
        server.create_user(user, "secret");
    }
    let mut honest = HashMap::new();
    let count = AtomicUsize::new(0);
    let work = |statements: usize| -> Vec<String> {
        let texts: Vec<String> =
            (0..statements).map(|_| format!("select 'honest {}', sleep(0.001)", count.fetch_add(1, Ordering::SeqCst))).collect();
        let list: Vec<&str> = texts.iter().map(String::as_str).collect();
        for result in server.query(&bill(), &list).expect("a session") {
            result.expect("allowed");
        }
        texts
    };
    for _ in 0..3 {
        honest.extend(work(20).into_iter().map(|text| (text, When::Before)));
    }
    let over = AtomicBool::new(false);
    let during = std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let mut all = Vec::new();
            while !over.load(Ordering::SeqCst) {
                all.extend(work(400));
            }
            all
        });
        // The number of a connection of bill that lives.
        let log = server.data("general.log");
        let victim = support::wait_for("bill at work", Duration::from_secs(20), || {
            let text = String::from_utf8_lossy(&std::fs::read(&log).ok()?).into_owned();
            let line = text.lines().rev().find(|line| line.contains("Query\tselect 'honest 6"))?;
            line.split_ascii_whitespace().rev().find_map(|_| line.split("Query").next()?.split_ascii_whitespace().last()?.parse().ok())
        });
        let now = jiff::Timestamp::now();
        let zoned = now.to_zoned(jiff::tz::TimeZone::UTC);
        let known = Known { victim, own: victim + 1, time: zoned.strftime("%y%m%d %k:%M:%S").to_string(), epoch: now.as_second() };
        hostile(&server, &known);
        over.store(true, Ordering::SeqCst);
        working.join().expect("no panic")
    });
    honest.extend(during.into_iter().map(|text| (text, When::During)));
    for _ in 0..3 {
        honest.extend(work(20).into_iter().map(|text| (text, When::After)));
    }
    server.admin(&["select 'the last one'"]);
    Played { server, honest }
}

fn bill() -> Login<'static> {
    Login { user: "bill", password: "secret", database: "", from: "127.0.0.2", client: "tests" }
}

fn eve(server: &MariaDb, statements: &[String]) {
    let login = Login { user: "eve", password: "secret", database: "", from: "127.0.0.66", client: "tests" };
    for part in statements.chunks(statements.len().div_ceil(4)) {
        let list: Vec<&str> = part.iter().map(String::as_str).collect();
        server.query(&login, &list).expect("a session");
    }
}

/// Decodes a log, and returns how many honest statements of each time were seen, and how many of those were bill's for sure.
fn judge(format: &str, log: &[u8], piece: usize, played: &Played) -> HashMap<When, (usize, usize)> {
    let mut shares: HashMap<When, (usize, usize)> = HashMap::new();
    let mut sure = HashSet::new();
    let mut seen = HashSet::new();
    let mut sink = |item: Item<'_>| {
        let Decoded::Event(event) = item.decoded else { return };
        let text = event.statement.map(|s| s.to_string()).unwrap_or_default();
        let honest = played.honest.contains_key(&text);
        if honest {
            seen.insert(text.clone());
        }
        assert!(event.suspect.is_none() || event.principal.is_none_or(|p| p.provenance == Provenance::Claimed));
        let Some(principal) = actor(&event) else { return };
        let raw = String::from_utf8_lossy(item.raw);
        match principal.name.to_string().as_str() {
            // What eve writes is hers, wherever she writes it.
            "eve" => assert!(event.address.is_none_or(|a| a.to_string() == "127.0.0.66"), "{raw}"),
            "bill" => {
                assert_eq!(event.address.expect("an address").to_string(), "127.0.0.2", "{raw}");
                assert!(event.kind != Kind::Query || honest || text.starts_with("SET "), "believed: {raw}");
                assert!(!raw.contains("forged"), "believed: {raw}");
                sure.insert(text);
            }
            "admin" | "root" => assert!(!raw.contains("forged"), "believed: {raw}"),
            other => panic!("{other:?} did nothing: {raw}"),
        }
    };
    read(Stream::new(by_name(format), Options::default(), 0), log, || piece, &mut sink);
    for (text, when) in &played.honest {
        let (all, bills) = shares.entry(*when).or_default();
        assert!(seen.contains(text), "{format}: lost {text}");
        *all += 1;
        *bills += usize::from(sure.contains(text));
    }
    shares
}

fn report(format: &str, log: &[u8], played: &Played) {
    if let Some(folder) = std::env::var_os("TOKENWATCH_KEEP_LOGS") {
        let name = format!("{format}-{}.log", log.len());
        std::fs::write(std::path::Path::new(&folder).join(name), log).expect("a copy of the log");
    }
    for piece in [log.len(), 4096, 97] {
        let shares = judge(format, log, piece, played);
        let share = |when: When| shares.get(&when).map_or(0.0, |(all, sure)| 100.0 * *sure as f64 / *all as f64);
        let (before, during, after) = (share(When::Before), share(When::During), share(When::After));
        println!(
            "{format}, {} bytes in pieces of {piece}: of {} honest statements all are seen; {before:.0} % / {during:.1} % / {after:.0} % name their token \
             before / while / after eve works",
            log.len(),
            played.honest.len()
        );
        assert_eq!(before, 100.0, "{format}: nobody else was at work");
    }
}

fn wait(path: &std::path::Path) -> Vec<u8> {
    support::wait_for(&format!("the end of {}", path.display()), Duration::from_secs(10), || {
        let log = std::fs::read(path).ok()?;
        log.windows(12).any(|w| w == b"the last one").then_some(log)
    })
}

#[test]
fn statements_that_hold_records() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let played = play(|server, known| {
        let mut random = Random::new(0x5eed);
        // The simplest comes first: a perfect record of a connection that lives.
        let mut statements = vec![format!("select 1\n\t\t{:6} Query\tDROP TABLE forged", known.victim)];
        for _ in 1..STATEMENTS {
            let forged = record(&mut random, known);
            statements.push(statement(&mut random, &forged, ""));
        }
        eve(server, &statements);
    });
    report("mysql-general", &wait(&played.server.data("general.log")), &played);
    report("mysql-slow", &wait(&played.server.data("slow.log")), &played);
}

#[test]
fn statements_that_hold_entries() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let played = play(|server, known| {
        let mut random = Random::new(0xfeed);
        let statements: Vec<String> = (0..STATEMENTS)
            .map(|_| {
                let forged = entry(&mut random, known);
                statement(&mut random, &forged, ";")
            })
            .collect();
        eve(server, &statements);
    });
    report("mysql-slow", &wait(&played.server.data("slow.log")), &played);
    report("mysql-general", &wait(&played.server.data("general.log")), &played);
}

#[test]
fn names_that_hold_records() {
    if support::skip([mariadb::missing(), python::missing()]) {
        return;
    }
    let played = play(|server, known| {
        let mut random = Random::new(0xbeef);
        for _ in 0..NAMES {
            server.refuse(name(&mut random, known).as_bytes());
        }
    });
    report("mysql-general", &wait(&played.server.data("general.log")), &played);
    report("mysql-slow", &wait(&played.server.data("slow.log")), &played);
    let log = std::fs::read(played.server.error_log()).expect("the log");
    let mut failed = 0;
    let mut sink = |item: Item<'_>| {
        let Decoded::Event(event) = item.decoded else { return };
        assert!(event.principal.is_none_or(|p| p.provenance == Provenance::Claimed));
        failed += usize::from(event.kind == Kind::LoginFailed);
    };
    read(Stream::new(by_name("mysql-error"), Options::default(), 0), &log, || 4_096, &mut sink);
    println!("mysql-error: {failed} refused logins, none of them a token's");
    assert!(failed >= NAMES);
}
