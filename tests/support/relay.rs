//! Relays, written by the documents of their makers: what they put around the records that a server writes.

use serde_json::{Value, json};

use super::forgery::{HALF, NO_TEXT, bytes};
use super::random::Random;

/// What of a log a relay takes for one message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Takes {
    /// Each line of the file.
    Lines,
    /// A line that looks like the start of a record, and all lines up to the next one.
    Joined,
    /// What the server hands over at once.
    Records,
}

/// A relay and how it is set up.
#[derive(Clone, Copy)]
pub struct Relay {
    pub name: &'static str,
    pub takes: Takes,
    /// Messages around one text, which `serial` counts.
    pub wrap: fn(&mut Random, text: &str, serial: usize) -> Vec<u8>,
    /// The relay bundles these messages.
    pub bundle: Option<fn(&[Value]) -> Value>,
}

/// Relays for any log. PostgreSQL itself writes to syslog, and Azure takes its records: see [`SYSLOG_POSTGRES`], [`AZURE`].
#[rustfmt::skip]
pub const RELAYS: [Relay; 41] = [
    Relay { name: "docker", takes: Takes::Lines, wrap: docker, bundle: None },
    Relay { name: "cri", takes: Takes::Lines, wrap: cri, bundle: None },
    Relay { name: "filebeat", takes: Takes::Lines, wrap: filebeat, bundle: None },
    Relay { name: "filebeat, lines joined", takes: Takes::Joined, wrap: filebeat, bundle: None },
    Relay { name: "vector", takes: Takes::Lines, wrap: vector, bundle: None },
    Relay { name: "vector, lines joined", takes: Takes::Joined, wrap: vector, bundle: None },
    Relay { name: "fluent-bit", takes: Takes::Lines, wrap: fluent_bit, bundle: None },
    Relay { name: "fluent-bit, lines joined", takes: Takes::Joined, wrap: fluent_bit, bundle: None },
    Relay { name: "fluentd", takes: Takes::Lines, wrap: fluentd, bundle: None },
    Relay { name: "stamped", takes: Takes::Lines, wrap: stamped, bundle: None },
    Relay { name: "stamped, lines joined", takes: Takes::Joined, wrap: stamped, bundle: None },
    Relay { name: "aws-logs-tail", takes: Takes::Lines, wrap: logs_tail, bundle: None },
    Relay { name: "search-index", takes: Takes::Lines, wrap: indexed, bundle: None },
    Relay { name: "cloudwatch", takes: Takes::Lines, wrap: cloudwatch, bundle: Some(log_events) },
    Relay { name: "cloudwatch, lines joined", takes: Takes::Joined, wrap: cloudwatch, bundle: Some(log_events) },
    Relay { name: "loki", takes: Takes::Lines, wrap: loki, bundle: Some(streams) },
    Relay { name: "loki, lines joined", takes: Takes::Joined, wrap: loki, bundle: Some(streams) },
    Relay { name: "otlp", takes: Takes::Lines, wrap: otlp, bundle: Some(resources) },
    Relay { name: "otlp, lines joined", takes: Takes::Joined, wrap: otlp, bundle: Some(resources) },
    Relay { name: "google-cloud", takes: Takes::Lines, wrap: google, bundle: None },
    Relay { name: "journald", takes: Takes::Lines, wrap: journald, bundle: None },
    Relay { name: "journald, records", takes: Takes::Records, wrap: journald, bundle: None },
    Relay { name: "journald-json", takes: Takes::Lines, wrap: journald_json, bundle: None },
    Relay { name: "journald-json, records", takes: Takes::Records, wrap: journald_json, bundle: None },
    Relay { name: "journalctl short", takes: Takes::Lines, wrap: |_, text, _| printed("Nov 22 02:05:17 db1 dbd[77]: ", text), bundle: None },
    Relay { name: "journalctl short, records", takes: Takes::Records, wrap: |_, text, _| printed("Nov 22 02:05:17 db1 dbd[77]: ", text), bundle: None },
    Relay { name: "journalctl with-unit, records", takes: Takes::Records, wrap: |_, text, _| printed("Sun 2026-11-22 02:05:17 UTC db1 db.service[77]: ", text), bundle: None },
    Relay { name: "journalctl verbose", takes: Takes::Lines, wrap: verbose, bundle: None },
    Relay { name: "journalctl verbose, records", takes: Takes::Records, wrap: verbose, bundle: None },
    Relay { name: "compose", takes: Takes::Lines, wrap: |_, text, _| bytes(&format!("db-1   | {text}\n")), bundle: None },
    Relay { name: "compose, in colours, with times", takes: Takes::Lines, wrap: |_, text, _| bytes(&format!("\u{1b}[36mdb-1   |\u{1b}[0m {TIME} {text}\n")), bundle: None },
    Relay { name: "kubectl", takes: Takes::Lines, wrap: |_, text, _| bytes(&format!("[pod/db-0/db] {text}\n")), bundle: None },
    Relay { name: "stern", takes: Takes::Lines, wrap: |_, text, _| bytes(&format!("db-0 db {text}\n")), bundle: None },
    Relay { name: "podman", takes: Takes::Lines, wrap: |_, text, _| bytes(&format!("3f8f2c0a9d41 {text}\n")), bundle: None },
    Relay { name: "podman, with names and times", takes: Takes::Lines, wrap: |_, text, _| bytes(&format!("db {TIME} {text}\n")), bundle: None },
    Relay { name: "syslog 3164", takes: Takes::Lines, wrap: syslog_3164, bundle: None },
    Relay { name: "syslog 3164, lines joined", takes: Takes::Joined, wrap: syslog_3164, bundle: None },
    Relay { name: "syslog 3164, records", takes: Takes::Records, wrap: syslog_3164, bundle: None },
    Relay { name: "syslog 5424", takes: Takes::Lines, wrap: syslog_5424, bundle: None },
    Relay { name: "syslog 5424, records", takes: Takes::Records, wrap: syslog_5424, bundle: None },
    Relay { name: "syslog 5424 counted, records", takes: Takes::Records, wrap: syslog_counted, bundle: None },
];

/// Ways in which a record of PostgreSQL's stderr log travels when it never is a line of a file.
#[rustfmt::skip]
pub const POSTGRES: [Relay; 3] = [
    Relay { name: "azure", takes: Takes::Records, wrap: azure, bundle: Some(|records| json!({"records": records})) },
    Relay { name: "syslog 3164 of PostgreSQL", takes: Takes::Records, wrap: |_, text, serial| pieces(text, serial, escaped_3164), bundle: None },
    Relay { name: "syslog 5424 of PostgreSQL", takes: Takes::Records, wrap: |_, text, serial| pieces(text, serial, counted_5424), bundle: None },
];

/// Parts a severity from the record that has it, and the record's first lines from those that follow with a prefix of their own.
pub const PART: char = '\u{e000}';

impl Relay {
    /// The log of these records as it leaves the relay. `begins` is what a relay that joins lines goes by.
    pub fn relay(&self, random: &mut Random, records: &[String], begins: fn(&str) -> bool) -> Vec<u8> {
        let mut texts: Vec<String> = Vec::new();
        let whole: Vec<String> =
            records.iter().map(|record| if self.name == "azure" { record.clone() } else { unparted(record) }).collect();
        match self.takes {
            Takes::Records => texts.extend(whole.iter().map(|record| record.trim_end_matches('\n').to_owned())),
            Takes::Lines => texts.extend(lines(&whole.concat()).map(str::to_owned)),
            Takes::Joined => {
                for line in lines(&whole.concat()) {
                    match texts.last_mut().filter(|_| !begins(line)) {
                        Some(text) => *text = format!("{text}\n{line}"),
                        None => texts.push(line.to_owned()),
                    }
                }
            }
        }
        let mut log = Vec::new();
        let mut bundled = Vec::new();
        for (serial, text) in texts.iter().enumerate() {
            let message = (self.wrap)(random, text, serial);
            let Some(bundle) = self.bundle else {
                log.extend(message);
                continue;
            };
            bundled.push(serde_json::from_slice(&message).expect("JSON"));
            if random.below(20) == 0 || serial + 1 == texts.len() {
                log.extend(format!("{}\n", bundle(&bundled)).into_bytes());
                bundled.clear();
            }
        }
        log
    }
}

/// The text of the server's log file.
pub fn unparted(record: &str) -> String {
    match record.split_once(PART) {
        Some((_, text)) => text.replace(PART, ""),
        None => record.to_owned(),
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n')
}

/// As relays that write JSON repair it.
fn repaired(text: &str) -> String {
    text.replace([NO_TEXT, HALF], "\u{fffd}")
}

fn line(message: &Value) -> Vec<u8> {
    format!("{message}\n").into_bytes()
}

/// `text` cut once, where the random number says so.
fn halves<'a>(random: &mut Random, text: &'a str) -> (&'a str, Option<&'a str>) {
    let mut at = random.below(text.len().max(1));
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    if at > 0 && random.below(5) == 0 { (&text[..at], Some(&text[at..])) } else { (text, None) }
}

const TIME: &str = "2026-11-22T02:05:17.641234567Z";

/// A long line is cut, and its first pieces have no line end.
fn docker(random: &mut Random, text: &str, _: usize) -> Vec<u8> {
    let text = repaired(text);
    let message = |text: &str, end: &str| line(&json!({"log": format!("{text}{end}"), "stream": "stderr", "time": TIME}));
    match halves(random, &text) {
        (text, None) => message(text, "\n"),
        (first, Some(rest)) => [message(first, ""), message(rest, "\n")].concat(),
    }
}

fn cri(random: &mut Random, text: &str, _: usize) -> Vec<u8> {
    match halves(random, text) {
        (text, None) => bytes(&format!("{TIME} stderr F {text}\n")),
        (first, Some(rest)) => bytes(&format!("{TIME} stderr P {first}\n{TIME} stderr F {rest}\n")),
    }
}

fn filebeat(_: &mut Random, text: &str, serial: usize) -> Vec<u8> {
    line(&json!({
        "@timestamp": "2026-11-22T02:05:17.641Z", "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.15.0"}, "host": {"name": "db1"},
        "agent": {"type": "filebeat", "version": "8.15.0"}, "log": {"file": {"path": "/var/log/db.log"}, "offset": serial}, "message": repaired(text),
    }))
}

fn vector(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    line(&json!({"file": "/var/log/db.log", "host": "db1", "message": repaired(text), "source_type": "file", "timestamp": TIME}))
}

fn fluent_bit(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    line(&json!({"date": 1795313117.641234, "log": repaired(text)}))
}

fn fluentd(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    bytes(&format!("2026-11-22T02:05:17+00:00\tdb.log\t{}\n", json!({"message": repaired(text)})))
}

fn stamped(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    bytes(&format!("{TIME} {text}\n"))
}

fn logs_tail(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    bytes(&format!("2026-11-22T02:05:17.641000+00:00 db1.0 {text}\n"))
}

fn indexed(_: &mut Random, text: &str, serial: usize) -> Vec<u8> {
    let document = json!({
        "@timestamp": "2026-11-22T02:05:17.641Z", "agent": {"type": "filebeat"}, "log": {"offset": serial}, "message": repaired(text),
    });
    line(&json!({"_index": "filebeat-8", "_id": serial.to_string(), "_source": document}))
}

fn cloudwatch(_: &mut Random, text: &str, serial: usize) -> Vec<u8> {
    line(&json!({"id": format!("3{serial:020}"), "timestamp": 1_795_313_117_641_u64, "message": repaired(text)}))
}

fn log_events(events: &[Value]) -> Value {
    json!({
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/rds/instance/db1", "logStream": "db1.0", "subscriptionFilters": ["f"],
        "logEvents": events,
    })
}

fn loki(_: &mut Random, text: &str, serial: usize) -> Vec<u8> {
    line(&json!([(1_795_313_117_641_234_567_u64 + serial as u64).to_string(), repaired(text)]))
}

fn streams(values: &[Value]) -> Value {
    json!({"streams": [{"stream": {"job": "db", "host": "db1"}, "values": values}]})
}

fn otlp(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    let attribute = json!({"key": "log.file.name", "value": {"stringValue": "db.log"}});
    line(&json!({"timeUnixNano": "1795313117641234567", "body": {"stringValue": repaired(text)}, "attributes": [attribute]}))
}

fn resources(records: &[Value]) -> Value {
    let attribute = json!({"key": "service.name", "value": {"stringValue": "db"}});
    json!({"resourceLogs": [{"resource": {"attributes": [attribute]}, "scopeLogs": [{"scope": {}, "logRecords": records}]}]})
}

fn google(_: &mut Random, text: &str, serial: usize) -> Vec<u8> {
    line(&json!({
        "insertId": format!("s={serial}"), "logName": "projects/p/logs/cloudsql.googleapis.com%2Fdb.log", "textPayload": repaired(text),
        "resource": {"type": "cloudsql_database", "labels": {"database_id": "p:db1", "project_id": "p"}}, "timestamp": TIME, "severity": "INFO",
    }))
}

/// What the server tells of a record: the severity, then the lines of the record, without DETAIL and the like.
fn azure(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    let mut parts = text.split(PART);
    let (level, message) = (parts.next().unwrap_or_default(), parts.next().expect("the record's parts"));
    line(&json!({
        "time": TIME, "category": "PostgreSQLLogs", "operationName": "LogEvent", "LogicalServerName": "db1", "resourceId": "/SUBSCRIPTIONS/S/SERVERS/DB1",
        "properties": {"timestamp": "2026-11-22 02:05:17.641 UTC", "processId": 77, "errorLevel": level, "message": repaired(message), "prefix": ""},
    }))
}

const JOURNAL: [(&str, &str); 6] = [
    ("__REALTIME_TIMESTAMP", "1795313117641234"),
    ("_HOSTNAME", "db1"),
    ("_SYSTEMD_UNIT", "db.service"),
    ("_TRANSPORT", "stdout"),
    ("SYSLOG_IDENTIFIER", "dbd"),
    ("_PID", "77"),
];

/// With its length goes what has control characters or is no text.
fn binary(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_control() && c != '\t' || c == NO_TEXT || c == HALF)
}

fn journald(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    let mut entry: Vec<u8> = JOURNAL.iter().flat_map(|(key, value)| format!("{key}={value}\n").into_bytes()).collect();
    let message = bytes(text);
    if binary(text) {
        entry.extend(b"MESSAGE\n");
        entry.extend((message.len() as u64).to_le_bytes());
    } else {
        entry.extend(b"MESSAGE=");
    }
    entry.extend(message);
    entry.extend(b"\n\n");
    entry
}

fn journald_json(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    let mut entry = json!({"MESSAGE": if binary(&text.replace('\n', "")) { json!(bytes(text)) } else { json!(text) }});
    for (key, value) in JOURNAL {
        entry[key] = json!(value);
    }
    line(&entry)
}

/// As `journalctl --all` prints an entry: all lines of its message below one another.
fn printed(head: &str, text: &str) -> Vec<u8> {
    let below = format!("\n{}", " ".repeat(head.len()));
    bytes(&format!("{head}{}\n", text.replace('\n', &below)))
}

fn verbose(_: &mut Random, text: &str, serial: usize) -> Vec<u8> {
    let mut entry = bytes(&format!("Sun 2026-11-22 02:05:17.641234 UTC [s=8f;i={serial:x};b=5e;m=2a;t=63;x=7b]\n"));
    for (key, value) in &JOURNAL[1..] {
        entry.extend(printed(&format!("    {key}="), value));
    }
    entry.extend(printed("    MESSAGE=", text));
    entry
}

/// As rsyslog escapes control characters.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_control() => out.push_str(&format!("#{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn syslog_3164(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    escaped_3164("dbd", "77", text)
}

fn escaped_3164(program: &str, pid: &str, text: &str) -> Vec<u8> {
    bytes(&format!("Nov 22 02:05:17 db1 {program}[{pid}]: {}\n", escaped(text)))
}

fn syslog_5424(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    bytes(&format!("<134>1 2026-11-22T02:05:17.641234+00:00 db1 dbd 77 - - {}\n", escaped(text)))
}

/// As a relay sends it that counts, and so need not escape.
fn syslog_counted(_: &mut Random, text: &str, _: usize) -> Vec<u8> {
    counted_5424("dbd", "77", text)
}

fn counted_5424(program: &str, pid: &str, text: &str) -> Vec<u8> {
    let message = bytes(&format!("<134>1 2026-11-22T02:05:17.641234+00:00 db1 {program} {pid} - - {text}"));
    [format!("{} ", message.len()).into_bytes(), message].concat()
}

/// As PostgreSQL cuts a record for syslog (`write_syslog` of its elog.c): at line ends, and at the last blank of 900 bytes.
fn pieces(record: &str, serial: usize, message: fn(&str, &str, &str) -> Vec<u8>) -> Vec<u8> {
    const LIMIT: usize = 900;
    let blank = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    let pid = record.split(['[', ']']).nth(1).expect("a prefix with the process");
    let (mut messages, mut rest, mut piece) = (Vec::new(), record, 0);
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix('\n') {
            rest = next;
            continue;
        }
        let mut end = rest.find('\n').unwrap_or(rest.len()).min(LIMIT);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        if rest[end..].starts_with(|c| !blank(c))
            && let Some(at) = rest[..end].rfind(blank).filter(|at| *at > 0)
        {
            end = at;
        }
        piece += 1;
        messages.extend(message("postgres", pid, &format!("[{}-{piece}] {}", serial + 1, &rest[..end])));
        rest = &rest[end..];
    }
    messages
}
