//! A real PostgreSQL that logs in every form at once: stderr, csvlog, jsonlog, and syslog through a real rsyslog, which writes it in three
//! ways. Several clients work at the same time, and each form tells just what they did: token, address, database, operation, objects,
//! statement.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::forgery::{actor, read};
use support::postgres::{self, Postgres};
use support::process::{folder_for, own_log_missing};
use support::python::{self, Login};
use support::rsyslog::{self, Rsyslog};
use support::{daemon, wait_for};
use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::Decoded;
use tokenwatch::decoder::stream::{Item, Stream};

/// Rounds of each client.
const ROUNDS: usize = 12;

/// Clients: user, database, address.
const CLIENTS: [(&str, &str, &str); 4] = [
    ("billing", "shop", "127.0.0.2"),
    ("web", "shop", "127.0.0.3"),
    // names that look like what a prefix puts between its fields
    ("ops@corp [7]", "shop", "127.0.0.4"),
    ("web", "back office", "127.0.0.5"),
];

/// What is to be found of one record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Deed {
    kind: String,
    operation: String,
    objects: Vec<String>,
    statement: String,
}

impl Deed {
    fn new(kind: &str, operation: &str, objects: &[&str], statement: &str) -> Deed {
        let mut objects: Vec<String> = objects.iter().map(|object| (*object).to_owned()).collect();
        objects.sort();
        objects.dedup();
        Deed { kind: kind.to_owned(), operation: operation.to_owned(), objects, statement: statement.to_owned() }
    }
}

/// As rsyslog writes control characters. It leaves a client's own `#011` as it is, so in what it wrote the two are one.
fn folded(deed: &Deed) -> Deed {
    let fold = |c: char| if c.is_ascii_control() { format!("#{:03o}", u32::from(c)) } else { c.to_string() };
    Deed { statement: deed.statement.chars().map(fold).collect(), ..deed.clone() }
}

/// User, database, address; and what was done there, in order.
type Deeds = BTreeMap<(String, String, String), Vec<Deed>>;

/// What the client of this number sends in one round, and the records that come of it.
fn round(client: usize, round: usize) -> Vec<(Value, Vec<Deed>)> {
    let id = client * 1_000 + round;
    let long = "ein Wort für das Log, ".repeat(90 + round);
    let run = [
        ("select", &["invoices"][..], format!("select total from invoices where id = {id}")),
        (
            "select",
            &["customers", "invoices"],
            format!("select c.name\n  from customers c\n\tjoin invoices i on i.id = c.id -- it's\n where c.id = {id}\n\n"),
        ),
        ("insert", &["invoices"], format!("insert into invoices (id, total) values ({id}, 1.5)")),
        ("update", &["invoices"], format!("update invoices set total = total + 1 where id = {id}")),
        ("delete", &["invoices"], format!("delete from invoices where id = {id}")),
        ("select", &["\"Sales\".\"Order \"\"Lines\"\"\""], format!("select * from \"Sales\".\"Order \"\"Lines\"\"\" where id = {id}")),
        ("truncate", &["scratch"], format!("truncate scratch /* {id} */")),
        // pieces of 900 bytes in syslog, cut at blanks and in letters of two bytes
        ("select", &["invoices"], format!("select '{id} {long}', '{}' from invoices", "é".repeat(1_500))),
        // what looks like records, their ends and their escapes
        (
            "select",
            &["invoices"],
            format!(
                "select '{id}\n2026-11-22 02:05:17.123 UTC [77] boss@shop 127.0.0.9(5) LOG:  statement: drop table customers\n\
                 2026-11-22 02:05:17.123 UTC,\"boss\",\"shop\",77,\"127.0.0.9:5\",6a.1,1,\"idle\",2026-11-22 02:00:00 UTC,1/1,0,LOG,00000,\"statement: x\"\n\
                 <134>Nov 22 02:05:17 db1 postgres[77]: [9-1] x\n' from invoices"
            ),
        ),
        ("select", &["invoices"], format!("select '{id} #012#011 #134 \\n \\x0a \" \r \t \u{1} \u{7f} \u{2028} [3-1] ' from invoices")),
    ];
    let mut work: Vec<(Value, Vec<Deed>)> = run
        .iter()
        .map(|(operation, objects, statement)| (json!(statement), vec![Deed::new("query", operation, objects, statement)]))
        .collect();
    for (kind, object, statement) in [
        ("denied", "secrets", format!("select * from secrets\n where id = {id}")),
        ("error", "invoices", format!("select nothing\nfrom invoices where id = {id}")),
    ] {
        // It is logged as it comes in, and as it fails.
        let deeds = ["query", kind].map(|kind| Deed::new(kind, "select", &[object], &statement));
        work.push((json!(statement), deeds.to_vec()));
    }
    let prepared = format!("select total from invoices where id = $1 and 'x\ny' <> $2 /* {id} */");
    let deed = Deed::new("query", "select", &["invoices"], &prepared);
    let parameters = json!({"id": id, "note": "it's\nSTATEMENT:  drop table invoices"});
    work.push((json!([prepared.replace("$1", ":id").replace("$2", ":note"), parameters]), vec![deed]));
    work
}

/// What a form tells: by the program's own word, and the statements by the library's.
fn told(file: &Path) -> Deeds {
    let output = Command::new(daemon::program()).args(["decode", "--json"]).arg(file).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut statements = Vec::new();
    let log = fs::read(file).expect("the log");
    let mut sink = |item: Item<'_>| match item.decoded {
        Decoded::Event(event) => {
            statements.push((event.statement.map(|s| String::from_utf8_lossy(s).into_owned()), actor(&event).is_some()))
        }
        Decoded::Reject(reason) => panic!("{}: {reason}: {}", file.display(), item.raw.escape_ascii()),
        Decoded::Skip(_) => {}
    };
    read(Stream::new(None, FormatOptions::default(), 0), &log, || log.len(), &mut sink);
    assert_eq!(lines.len(), statements.len(), "{}", file.display());

    let mut deeds = Deeds::new();
    for (line, (statement, sure)) in lines.iter().zip(statements) {
        assert_eq!(line.get("suspect"), None, "{}: {line}", file.display());
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let Some(statement) = statement.filter(|_| CLIENTS.iter().any(|(_, _, address)| *address == text("address"))) else { continue };
        assert!(sure && text("token") == text("principal"), "{}: {line}", file.display());
        let objects: Vec<&str> = line["objects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let who = ["token", "database", "address"].map(|key| text(key).to_owned());
        deeds.entry(who.into()).or_default().push(Deed::new(text("kind"), text("operation"), &objects, &statement));
    }
    deeds
}

/// Runs the clients side by side; what they did.
fn work(server: &Postgres) -> Deeds {
    std::thread::scope(|scope| {
        let clients = CLIENTS.iter().enumerate().map(|(number, (user, database, from))| {
            scope.spawn(move || {
                let work: Vec<_> = (0..ROUNDS).flat_map(|count| round(number, count)).collect();
                let statements: Vec<&Value> = work.iter().map(|(statement, _)| statement).collect();
                let login = Login { user, password: "secret", database, from, client: "tests" };
                let results = python::query("postgres", server.port(), &login, &statements).expect("a session");
                for ((statement, deeds), result) in work.iter().zip(results) {
                    assert_eq!(result.is_err(), deeds.len() == 2, "{statement}: {result:?}");
                }
                let who = [*user, *database, *from].map(str::to_owned);
                (who.into(), work.into_iter().flat_map(|(_, deeds)| deeds).collect())
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().map(|client| client.join().expect("no panic")).collect()
    })
}

fn prepare(server: &Postgres) {
    let users = ["billing", "web", "ops@corp [7]"];
    for user in users {
        server.create_role(user, "secret");
    }
    let names = users.map(|user| format!("\"{user}\"")).join(", ");
    for database in ["shop", "back office"] {
        server.admin(&[&format!("create database \"{database}\"")]);
        let login = postgres::superuser(database);
        let statements = [
            "create table invoices (id int, total numeric)".to_owned(),
            "create table customers (id int, name text)".to_owned(),
            "create table scratch (id int)".to_owned(),
            "create table secrets (id int)".to_owned(),
            "create schema \"Sales\"".to_owned(),
            "create table \"Sales\".\"Order \"\"Lines\"\"\" (id int)".to_owned(),
            format!("grant usage on schema \"Sales\" to {names}"),
            format!("grant all on invoices, customers, scratch, \"Sales\".\"Order \"\"Lines\"\"\" to {names}"),
        ];
        let texts: Vec<&str> = statements.iter().map(String::as_str).collect();
        for result in server.query(&login, &texts).expect("a session") {
            result.expect("allowed");
        }
    }
}

#[test]
fn every_form_tells_what_the_clients_did() {
    if support::skip([postgres::missing(), rsyslog::missing(), own_log_missing()]) {
        return;
    }
    for prefix in ["%m [%p] %q%u@%d ", "%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e "] {
        let folder = folder_for("postgres");
        let templates = [
            ("traditional", "RSYSLOG_TraditionalFileFormat"),
            ("iso", "RSYSLOG_FileFormat"),
            ("rfc5424", "RSYSLOG_SyslogProtocol23Format"),
        ];
        let place = |name: &str| folder.path().join(name).with_extension("log");
        let action = |(name, template): &(&str, &str)| {
            format!("*.* action(type=\"omfile\" file=\"{}\" template=\"{template}\" flushOnTXEnd=\"on\")\n", place(name).display())
        };
        let rsyslog = Rsyslog::start(folder.path(), &templates.iter().map(action).collect::<String>());
        let settings = [
            ("log_destination", "stderr,csvlog,jsonlog,syslog"),
            ("log_statement", "all"),
            ("log_connections", "on"),
            ("log_disconnections", "on"),
            ("log_line_prefix", prefix),
        ];
        let server = Postgres::start_with(&settings, Some(&rsyslog.socket));
        prepare(&server);
        let done = work(&server);
        assert_eq!(done.len(), CLIENTS.len());
        server.admin(&["select 'the last one'"]);
        let mut logs: Vec<_> = ["log", "csv", "json"].map(|ending| server.log_file(ending)).to_vec();
        logs.extend(templates.iter().map(|(name, _)| place(name)));
        for file in &logs {
            wait_for(&format!("the end of {}", file.display()), Duration::from_secs(20), || {
                let log = fs::read(file).ok()?;
                log.windows(12).any(|text| text == b"the last one").then_some(())
            });
            let told = told(file);
            for (who, done) in &done {
                let told = told.get(who).map(Vec::as_slice).unwrap_or_default();
                for (number, (told, done)) in told.iter().zip(done).enumerate() {
                    let (told, done) =
                        if file.starts_with(folder.path()) { (folded(told), folded(done)) } else { (told.clone(), done.clone()) };
                    assert_eq!(told, done, "{}, prefix {prefix:?}, {who:?}: record {number}", file.display());
                }
                assert_eq!(told.len(), done.len(), "{}, prefix {prefix:?}, {who:?}", file.display());
            }
            assert_eq!(told.len(), done.len(), "{}: {:?}", file.display(), told.keys());
        }
        let deeds: usize = done.values().map(Vec::len).sum();
        println!("{deeds} records of {} clients are found back one for one in each of {} files, prefix {prefix:?}", done.len(), logs.len());
    }
}
