//! Text logs that clients write into, as relays bring them: syslog, the journal, containers, log shippers, clouds. Whatever way a log takes,
//! nobody acts in it who did not, and what truly happened is still seen; where a relay takes lines, nothing is believed that is not in the log itself.

#[path = "envelope/cassandra.rs"]
mod cassandra;
#[path = "envelope/logins.rs"]
mod logins;
mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::forgery::{ELSEWHERE, HOME, HONEST, HOSTILE, LAIR, VICTIM, actor, acts, bytes, garble, read};
use support::random::Random;
use support::relay::{PART, POSTGRES, RELAYS, Relay, Takes, unparted};
use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, by_name};
use tokenwatch::event::{Event, Kind};

/// Logs of each format, each taken by each relay, and hostile records in each.
const LOGS: usize = 7;
const ATTEMPTS: usize = 150;

/// True acts before the first hostile record where names of refused logins reach far: so the logins before them are out of reach.
const QUIET: usize = 140;

/// Bytes of a log by which it is told what it consists of.
const DECIDES: usize = 64 << 10;

/// A kind of log.
struct Log {
    format: &'static str,
    /// No client can end a record of it, so every true act is sure.
    framed: bool,
    /// What a relay that joins lines takes for the start of a record.
    begins: fn(&str) -> bool,
    /// Its server can hand records to a relay, which are more than lines.
    handed: bool,
    /// The number of a connection of [`HONEST`], which no other client learns, with what stands around it.
    secret: [&'static str; 3],
    /// What the server writes before anything else.
    head: fn() -> Vec<String>,
    /// What the server writes, at this step, when [`HONEST`] does the act of this mark, or [`HOSTILE`] does something with this text.
    honest: fn(mark: &str, step: usize) -> String,
    hostile: fn(&mut Random, text: &str, step: usize) -> Vec<String>,
    /// What tells the act of this number, at this step, from all others: a statement, the object that it is on, or its time.
    mark: fn(number: usize, step: usize) -> String,
    /// The mark as an event has it.
    told: fn(&Event<'_>) -> String,
    /// Marks of acts that nobody did.
    others: &'static [&'static str],
}

/// A log of statements.
const STATEMENTS: Log = Log {
    format: "",
    framed: false,
    begins: dated,
    handed: false,
    secret: [""; 3],
    head: Vec::new,
    honest: stderr::honest,
    hostile: stderr::hostile,
    mark: |number, _| format!("SELECT {number} FROM orders"),
    told: |event| event.statement.map(ToString::to_string).unwrap_or_default(),
    others: &["DROP TABLE orders", "SELECT 1", "DROP TABLE orders\n\t-- x\n\ty", "GRANT ALL TO x"],
};

#[rustfmt::skip]
const KINDS: [Log; 9] = [
    Log { format: "postgres-stderr", handed: true, secret: ["[", "77", "]"], head: stderr::head, honest: stderr::honest, hostile: stderr::hostile, ..STATEMENTS },
    Log { format: "postgres-csv", framed: true, handed: true, head: csv::head, honest: csv::honest, hostile: csv::hostile, ..STATEMENTS },
    Log { format: "mariadb-audit", handed: true, head: audit::head, honest: audit::honest, hostile: audit::hostile, ..STATEMENTS },
    Log { format: "mysql-general", head: general::head, honest: general::honest, hostile: general::hostile, ..STATEMENTS },
    Log { format: "mysql-general", begins: timed, head: mariadb::head, honest: mariadb::honest, hostile: mariadb::hostile, ..STATEMENTS },
    Log { format: "mysql-slow", begins: |line| line.starts_with("# Time: "), head: slow::head, honest: slow::honest, hostile: slow::hostile, ..STATEMENTS },
    Log { format: "percona-audit-csv", framed: true, handed: true, begins: |line| line.starts_with('"'), head: percona::head, honest: percona::honest, hostile: percona::hostile, ..STATEMENTS },
    Log { format: "cockroach-log", framed: true, handed: true, begins: |line| line.starts_with("I26"), honest: cockroach::honest, hostile: cockroach::hostile, ..STATEMENTS },
    Log { format: "cassandra-audit", handed: true, begins: |line| line.starts_with("INFO"), secret: ["port:", "5001", "|"], head: cassandra::head, honest: cassandra::honest, hostile: cassandra::hostile, ..STATEMENTS },
];

fn timed(line: &str) -> bool {
    line.starts_with("26") || line.starts_with("\t\t")
}

fn dated(line: &str) -> bool {
    line.starts_with("2026")
}

/// The clock of a step.
fn stamp(step: usize) -> String {
    format!("02:{:02}:{:02}.{:03}", 5 + step / 6_000, step / 100 % 60, step * 10 % 1_000)
}

/// What a client sends: lines that tell what others did, and what would end the record around them. May be that somebody `told` him the secret.
fn forged(random: &mut Random, log: &Log, step: usize, told: bool) -> String {
    let mut record = unparted(&(log.honest)(random.pick(log.others), step + random.below(3)));
    if random.below(2) == 0 {
        record = record.replace(HONEST, VICTIM).replace(HOME, ELSEWHERE);
    }
    let [before, number, after] = log.secret;
    // Who knows it can begin his name with what looks like a record of his own; a plain name is seen through.
    let plain = told && log.format == "postgres-stderr" && random.below(2) == 0;
    if !number.is_empty() && !plain {
        record = record.replace(&log.secret.concat(), &format!("{before}{}{after}", 100 + random.below(60_000)));
    }
    let record = record.trim_end_matches('\n');
    match random.below(if plain { 3 } else { 4 }) {
        0 => format!("{}\n{record}", random.pick(&["x", "", "x;", "x'", "x\"", "x)", "x›", "*/"])),
        1 => format!("x\n{record}\n\tand more"),
        2 => format!("x\n{record}\n{record}\n"),
        _ => garble(random, record),
    }
}

/// The text as if this relay had brought it already.
fn disguised(random: &mut Random, relay: &Relay, text: &str, serial: usize) -> String {
    let wrapped = (relay.wrap)(random, text, serial);
    let bundled = relay.bundle.and_then(|bundle| Some(bundle(&[serde_json::from_slice(&wrapped).ok()?]).to_string().into_bytes()));
    format!("x\n{}", String::from_utf8_lossy(&bundled.unwrap_or(wrapped)))
}

/// What the server writes in one run, and the marks of what [`HONEST`] did. What is hostile may be in the disguise of a relay.
fn write(log: &Log, seed: usize, disguise: Option<&Relay>) -> (Vec<String>, Vec<String>) {
    let mut random = Random::new(seed as u64);
    let (mut records, mut done) = ((log.head)(), Vec::new());
    // By its first bytes it is told what a log consists of: those who fill them decide that.
    let quiet = match disguise {
        Some(_) => 1 + DECIDES / (log.honest)("SELECT 0 FROM orders", 0).len(),
        None if log.format == "postgres-stderr" => QUIET,
        None => 10,
    };
    for number in 0..quiet + ATTEMPTS {
        let step = 10 + 4 * number;
        if number >= quiet {
            let mut text = forged(&mut random, log, step, disguise.is_none());
            if let Some(relay) = disguise {
                text = disguised(&mut random, relay, &text, number);
            }
            records.extend((log.hostile)(&mut random, &text, step));
        }
        let mark = (log.mark)(seed * 1_000 + number, step + 3);
        records.push((log.honest)(&mark, step + 3));
        done.push(mark);
    }
    (records, done)
}

/// An event, in few words.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    kind: Kind,
    actor: Option<String>,
    address: Option<String>,
    text: String,
    doubted: bool,
}

impl Told {
    /// Without what relays take away or write in another way: blank lines, carriage returns, and control characters, of which rsyslog makes
    /// `#012` and the like, as a client may have written himself; and tabs, of which `journalctl` makes blanks.
    fn folded(&self) -> Told {
        let fold = |c: char| if c.is_ascii_control() { format!("#{:03o}", u32::from(c)) } else { c.to_string() };
        let text: String = self.text.chars().map(fold).collect();
        Told { text: ["#012", "#015", "#011", " "].iter().fold(text, |text, gone| text.replace(gone, "")), ..self.clone() }
    }
}

/// Decodes a log; an error where somebody acts who did not.
fn tell(what: &str, log: &Log, bytes: &[u8], done: &[String], seed: usize) -> Result<Vec<Told>, String> {
    let done: BTreeSet<&str> = done.iter().map(String::as_str).collect();
    let (mut all, mut wrong) = (Vec::new(), None);
    let mut sink = |item: Item<'_>| {
        let Decoded::Event(event) = item.decoded else { return };
        assert_eq!(item.format.name, log.format, "{what}");
        let told = Told {
            kind: event.kind,
            actor: actor(&event).map(|principal| principal.name.to_string()),
            address: event.address.map(|address| address.to_string()),
            text: (log.told)(&event),
            doubted: event.suspect.is_some(),
        };
        let at_home = |home: &str| told.address.as_deref().is_none_or(|address| address == home);
        let sound = match told.actor.as_deref() {
            _ if !acts(event.kind) => true,
            None => true,
            Some(HONEST) => at_home(HOME) && (done.contains(told.text.as_str()) || told.text.is_empty() && event.kind != Kind::Query),
            Some(HOSTILE) => at_home(LAIR),
            Some(_) => false,
        };
        if !sound {
            wrong.get_or_insert_with(|| format!("{what}, log {seed}: {told:?} in\n{}", item.raw.escape_ascii()));
        }
        all.push(told);
    };
    let format = if seed < 2 { None } else { by_name(log.format) };
    // The source of such messages has framed them, and says what they are in.
    let envelope = what.contains("counted").then_some("syslog");
    let options = FormatOptions { envelope, ..FormatOptions::default() };
    let mut random = Random::new(seed as u64);
    let largest = [100, 4_000, 100_000][random.below(3)];
    read(Stream::new(format, options, 0), bytes, || 1 + random.below(largest), &mut sink);
    wrong.map_or(Ok(all), Err)
}

/// Checks one log by one way; how many true acts are sure.
fn check(
    log: &Log,
    relay: &Relay,
    disguise: bool,
    seed: usize,
    records: &[String],
    done: &[String],
    plain: &[Told],
) -> Result<usize, String> {
    let what = format!("{} through {}", log.format, relay.name);
    let relayed = relay.relay(&mut Random::new(seed as u64), records, log.begins);
    if let Some(folder) = std::env::var_os("TOKENWATCH_KEEP_LOGS") {
        let name = format!("{} {} {seed}.log", log.format, relay.name);
        std::fs::write(std::path::Path::new(&folder).join(name), &relayed).expect("a copy of the log");
    }
    let told = tell(&what, log, &relayed, done, seed)?;
    let of = |told: &Told| done.iter().position(|mark| *mark == told.text);
    let seen: BTreeSet<usize> = told.iter().filter_map(of).collect();
    if seen.len() < done.len() {
        return Err(format!("{what}, log {seed}: only {} of {} true acts are seen", seen.len(), done.len()));
    }
    let sure: Vec<usize> = told.iter().filter(|told| told.actor.as_deref() == Some(HONEST)).filter_map(of).collect();
    if log.framed && !sure.iter().copied().eq(0..done.len()) {
        return Err(format!("{what}, log {seed}: not every true act is sure, once: {sure:?}"));
    }
    if relay.takes == Takes::Lines {
        // Through rsyslog a client's own `#012` is a line break, which makes JSON of its own unreadable; and of blanks that stand as `journalctl`
        // sets its lines, text loses some.
        let all = !(relay.name.starts_with("syslog") || disguise && relay.name.starts_with("journalctl"));
        let acts = |told: &[Told]| -> Vec<Told> {
            // In the log itself what is in disguise may make true acts doubtful, which the relay sees through.
            let true_act = |told: &Told| disguise && of(told).is_some();
            let believed = told.iter().filter(|told| told.actor.as_deref().is_some_and(|name| all || name == HONEST) && !true_act(told));
            believed.map(Told::folded).collect()
        };
        let mut plain = acts(plain);
        for told in acts(&told) {
            let Some(at) = plain.iter().position(|plain| *plain == told) else {
                return Err(format!("{what}, log {seed}: {told:?} is believed, but not in the log itself"));
            };
            plain.swap_remove(at);
        }
    }
    Ok(sure.len())
}

/// The relays that take a log of this kind. Nothing comes in the disguise of PostgreSQL's own, which take more than text.
fn ways(log: &Log, disguise: bool) -> impl Iterator<Item = &'static Relay> {
    let handed = log.handed;
    let own: &[Relay] = if log.format == "postgres-stderr" && !disguise { &POSTGRES } else { &[] };
    RELAYS.iter().filter(move |relay| handed || relay.takes != Takes::Records).chain(own)
}

#[test]
fn nobody_speaks_for_another_by_any_way() {
    by_any_way(LOGS, false);
}

#[test]
fn envelopes_in_a_statement_are_never_opened() {
    by_any_way(1, true);
}

/// Checks so many logs of each kind by every way. Hostile records may be in the disguise of the relay that will take them.
fn by_any_way(logs: usize, disguise: bool) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                // Logs of logins are tried without the disguise only.
                while let Some(log) =
                    KINDS.iter().chain(logins::KINDS.iter().filter(|_| !disguise)).nth(next.fetch_add(1, Ordering::Relaxed))
                {
                    let (mut sure, mut total) = (vec![0; ways(log, disguise).count()], 0);
                    let failed = |error: String| failures.lock().expect("no panic").push(error);
                    for seed in 0..logs {
                        let written = |relay: Option<&Relay>| {
                            let (records, done) = write(log, seed, relay);
                            let text: String = records.iter().map(|record| unparted(record)).collect();
                            let plain = tell(log.format, log, &bytes(&text), &done, seed).unwrap_or_else(|error| {
                                failed(error);
                                Vec::new()
                            });
                            (records, done, plain)
                        };
                        let mut last = (!disguise).then(|| written(None));
                        for (relay, sure) in ways(log, disguise).zip(&mut sure) {
                            if disguise {
                                last = Some(written(Some(relay)));
                            }
                            let Some((records, done, plain)) = &last else { continue };
                            match check(log, relay, disguise, seed, records, done, plain) {
                                Ok(found) => *sure += found,
                                Err(error) => failed(error),
                            }
                        }
                        total += last.map_or(0, |(_, done, _)| done.len());
                    }
                    let shares = ways(log, disguise).zip(&sure).map(|(relay, sure)| format!("{} {} %", relay.name, 100 * sure / total));
                    let shares: Vec<String> = shares.collect();
                    let hostile = logs * ATTEMPTS;
                    println!("{}: {hostile} hostile records by each way; true acts that are sure: {}", log.format, shares.join(", "));
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(failures.is_empty(), "{} logs:\n{}", failures.len(), failures.join("\n"));
}

/// PostgreSQL's stderr log: a client's text is free of NUL, and the names of a refused login stand in the prefix as they came.
mod stderr {
    use super::*;

    fn line(pid: usize, user: &str, host: &str, step: usize) -> String {
        format!("2026-11-22 {} UTC [{pid}] {user} {host} ", stamp(step))
    }

    fn record(head: &str, level: &str, message: &str, more: Option<(&str, &str)>) -> String {
        let tabs = |text: &str| text.replace('\0', "").replace('\n', "\n\t");
        let mut record = format!("{level}{PART}{head}{level}:  {}", tabs(message));
        if let Some((label, text)) = more {
            record += &format!("{PART}\n{head}{label}:  {}", tabs(text));
        }
        record + "\n"
    }

    pub fn head() -> Vec<String> {
        let login = |pid, user: &str, host: &str| {
            let received = format!("connection received: host={host} port=5");
            let authorized = format!("connection authorized: user={user} database=shop application_name=app");
            [
                record(&line(pid, "[unknown]@[unknown]", host, 0), "LOG", &received, None),
                record(&line(pid, &format!("{user}@shop"), host, 1), "LOG", &authorized, None),
            ]
        };
        [login(77, HONEST, HOME), login(78, HOSTILE, LAIR)].concat()
    }

    pub fn honest(statement: &str, step: usize) -> String {
        record(&line(77, &format!("{HONEST}@shop"), HOME, step), "LOG", &format!("statement: {statement}"), None)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        let own = line(78, &format!("{HOSTILE}@shop"), LAIR, step);
        match random.below(6) {
            0 => vec![record(&own, "LOG", &format!("statement: SELECT '{text}'"), None)],
            1 => vec![record(&own, "ERROR", &format!("syntax error at or near \"{text}\""), Some(("STATEMENT", text)))],
            2 => vec![record(&own, "LOG", "execute x: SELECT $1", Some(("DETAIL", &format!("parameters: $1 = '{text}'"))))],
            3 => vec![record(&own, "LOG", &format!("execute {text}: SELECT 1"), None)],
            way => {
                let pid = 1_000 + step;
                let name: String = text.replace('\0', "").chars().take([63, 2_000][random.below(2)]).collect();
                let (user, database) = if way == 4 { (name.as_str(), "shop") } else { ("x", name.as_str()) };
                let head = line(pid, &format!("{user}@{database}"), LAIR, step);
                let received =
                    record(&line(pid, "[unknown]@[unknown]", LAIR, step), "LOG", &format!("connection received: host={LAIR} port=6"), None);
                let detail = "Connection matched pg_hba.conf line 3: \"host all all all scram-sha-256\"";
                vec![
                    received,
                    record(&head, "FATAL", &format!("password authentication failed for user \"{user}\""), Some(("DETAIL", detail))),
                ]
            }
        }
    }
}

/// PostgreSQL's csvlog.
mod csv {
    use super::*;

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\0', "").replace('"', "\"\""))
    }

    fn row(pid: usize, user: &str, host: &str, severity: &str, message: &str, step: usize) -> String {
        format!(
            "2026-11-22 {} UTC,{},\"shop\",{pid},\"{host}:5\",6a0.{pid:x},{step},\"idle\",2026-11-22 02:00:00 UTC,3/7,0,{severity},00000,{},,,,,,,,,\"app\",\"client backend\",,0\n",
            stamp(step),
            quoted(user),
            quoted(message)
        )
    }

    pub fn head() -> Vec<String> {
        [(77, HONEST, HOME), (78, HOSTILE, LAIR)]
            .map(|(pid, user, host)| row(pid, user, host, "LOG", &format!("connection authorized: user={user} database=shop"), 0))
            .to_vec()
    }

    pub fn honest(statement: &str, step: usize) -> String {
        row(77, HONEST, HOME, "LOG", &format!("statement: {statement}"), step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        // A forged row without quotes, which would be one if a relay cut there.
        let text = if random.below(2) == 0 { text.replace('"', "") } else { text.to_owned() };
        vec![match random.below(4) {
            0 => row(1_000 + step, &text, LAIR, "FATAL", &format!("password authentication failed for user \"{text}\""), step),
            1 => row(78, HOSTILE, LAIR, "LOG", &format!("execute {text}: SELECT 1"), step),
            _ => row(78, HOSTILE, LAIR, "LOG", &format!("statement: SELECT '{text}'"), step),
        }]
    }
}

/// MariaDB's server_audit: statements are escaped, names of refused logins are not, and are written twice.
mod audit {
    use super::*;

    fn row(user: &str, host: &str, connection: usize, rest: &str, step: usize) -> String {
        format!("20261122 {},db1,{user},{host},{connection},{rest}\n", &stamp(step)[..8])
    }

    pub fn head() -> Vec<String> {
        [(5, HONEST, HOME), (6, HOSTILE, LAIR)].map(|(connection, user, host)| row(user, host, connection, "0,CONNECT,shop,,0", 0)).to_vec()
    }

    pub fn honest(statement: &str, step: usize) -> String {
        let escaped = statement.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\t', "\\t");
        row(HONEST, HOME, 5, &format!("{},QUERY,shop,'{escaped}',0", 100 + step), step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        if random.below(2) == 0 {
            let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
            return vec![row(HOSTILE, LAIR, 6, &format!("{},QUERY,shop,'{}',1064", 100 + step, escaped), step)];
        }
        let name: String = text.replace('\0', "").chars().take(128).collect();
        ["FAILED_CONNECT,,,1045", "DISCONNECT,,,0"].map(|rest| row(&name, LAIR, 1_000 + step, &format!("0,{rest}"), step)).to_vec()
    }
}

/// MySQL's general log from 5.7 on: text as it came, of statements that could be parsed.
mod general {
    use super::*;

    fn entry(connection: usize, rest: &str, step: usize) -> String {
        format!("2026-11-22T{}123Z\t{connection:5} {rest}\n", stamp(step))
    }

    pub fn head() -> Vec<String> {
        let banner = "/usr/sbin/mysqld, Version: 8.0.36 (MySQL Community Server - GPL). started with:\n\
                      Tcp port: 3306  Unix socket: /run/mysqld.sock\nTime                 Id Command    Argument\n";
        vec![
            banner.to_owned(),
            entry(5, &format!("Connect\t{HONEST}@{HOME} on shop using TCP/IP"), 0),
            entry(6, &format!("Connect\t{HOSTILE}@{LAIR} on shop using TCP/IP"), 0),
        ]
    }

    pub fn honest(statement: &str, step: usize) -> String {
        entry(5, &format!("Query\t{statement}"), step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        if random.below(3) > 0 {
            let literal = text.replace('\\', "\\\\").replace('\'', "''");
            return vec![entry(6, &format!("Query\tSELECT '{literal}'"), step)];
        }
        let name: String = text.replace('\0', "").chars().take(128).collect();
        let login = entry(1_000 + step, &format!("Connect\t{name}@{LAIR} on  using TCP/IP"), step);
        vec![login, entry(1_000 + step, &format!("Connect\tAccess denied for user '{name}'@'{LAIR}' (using password: YES)"), step)]
    }
}

/// MariaDB's general log: any text as it came, and times only where a second begins.
mod mariadb {
    use super::*;

    fn entry(connection: usize, rest: &str, step: usize) -> String {
        let time = if step.is_multiple_of(100) { format!("261122 {}", &stamp(step)[..8].replacen('0', " ", 1)) } else { "\t".to_owned() };
        format!("{time}\t{connection:6} {rest}\n")
    }

    pub fn head() -> Vec<String> {
        let banner = "/usr/sbin/mariadbd, Version: 10.11.6-MariaDB (Debian). started with:\n\
                      Tcp port: 3306  Unix socket: /run/mysqld.sock\nTime\t\t    Id Command\tArgument\n";
        vec![
            banner.to_owned(),
            entry(5, &format!("Connect\t{HONEST}@{HOME} on shop using TCP/IP"), 0),
            entry(6, &format!("Connect\t{HOSTILE}@{LAIR} on shop using TCP/IP"), 1),
        ]
    }

    pub fn honest(statement: &str, step: usize) -> String {
        entry(5, &format!("Query\t{statement}"), step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        if random.below(3) > 0 {
            return vec![entry(6, &format!("Query\t{}{text}", random.pick(&["", "SELECT '", "SELECT 1 "])), step)];
        }
        let name: String = text.replace('\0', "").chars().take(128).collect();
        let login = entry(1_000 + step, &format!("Connect\t{name}@{LAIR} on  using TCP/IP"), step);
        vec![login, entry(1_000 + step, &format!("Connect\tAccess denied for user '{name}'@'{LAIR}' (using password: YES)"), step)]
    }
}

/// MySQL's slow log, likewise.
mod slow {
    use super::*;

    fn entry(user: &str, host: &str, connection: usize, statement: &str, step: usize) -> String {
        format!(
            "# Time: 2026-11-22T{}123Z\n# User@Host: {user}[{user}] @  [{host}]  Id: {connection:5}\n# Query_time: 0.000213  Lock_time: 0.000004 Rows_sent: 1  \
             Rows_examined: 1\nSET timestamp={};\n{statement};\n",
            stamp(step),
            1_795_313_100 + step / 100
        )
    }

    pub fn head() -> Vec<String> {
        vec![general::head().remove(0), entry(HOSTILE, LAIR, 6, "SELECT 0", 0)]
    }

    pub fn honest(statement: &str, step: usize) -> String {
        entry(HONEST, HOME, 5, statement, step)
    }

    pub fn hostile(_: &mut Random, text: &str, step: usize) -> Vec<String> {
        vec![entry(HOSTILE, LAIR, 6, text, step)]
    }
}

/// Percona's audit log as CSV.
mod percona {
    use super::*;

    fn row(user: &str, host: &str, connection: usize, statement: &str, step: usize) -> String {
        let quoted = |text: &str| text.replace('"', "\"\"");
        format!(
            "\"Query\",\"{step}_2026-11-22T02:00:00\",\"2026-11-22T{} UTC\",\"select\",\"{connection}\",0,\"{}\",\"{user}[{user}] @  [{host}]\",\"\",\"\",\"{host}\",\"shop\"\n",
            &stamp(step)[..8],
            quoted(statement)
        )
    }

    pub fn head() -> Vec<String> {
        vec!["\"Audit\",\"1_2026-11-22T02:00:00\",\"2026-11-22T02:00:00 UTC\",\"5.7.34\",\"--port=3306\",\"x86_64\"\n".to_owned()]
    }

    pub fn honest(statement: &str, step: usize) -> String {
        row(HONEST, HOME, 5, statement, step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        let text = if random.below(2) == 0 { text.replace('"', "") } else { text.to_owned() };
        vec![row(HOSTILE, LAIR, 6, &text, step)]
    }
}

/// CockroachDB's log: marks around all that clients choose.
mod cockroach {
    use super::*;

    fn entry(user: &str, host: &str, kind: &str, statement: &str, step: usize) -> String {
        let marked = |text: &str| {
            let clean = text.replace(['‹', '›'], "?");
            serde_json::to_string(&format!("‹{}›", clean.replace('\n', "›\n‹"))).expect("text")
        };
        format!(
            "I261122 {}001 611 9@util/log/event_log.go:32 ⋮ [n1,client=‹{host}:53568›,hostssl,user=‹{}›] {} ={{\"EventType\":\"{kind}\",\"Statement\":{},\"User\":{}}}\n",
            stamp(step),
            user.replace(['‹', '›'], "?").replace('\n', "›\n‹"),
            step + 1,
            marked(statement),
            marked(user)
        )
    }

    pub fn honest(statement: &str, step: usize) -> String {
        entry(HONEST, HOME, "query_execute", statement, step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        vec![match random.below(3) {
            0 => entry(text, LAIR, "client_authentication_failed", "", step),
            _ => entry(HOSTILE, LAIR, "query_execute", text, step),
        }]
    }
}
