//! Clients who write records into the audit logs of MySQL and Percona Server, through statements, names of databases and tables, the names
//! of refused logins and what they say of themselves. No such server runs here, so independent writers of these logs do it, by their
//! grammar. Nobody acts who did not, and what the true sessions did is found back one for one.

mod support;

use serde_json::{Value, json};
use support::forgery::{self, ATTEMPTS, ELSEWHERE, HOME, HONEST, HOSTILE, LAIR, LOGS, VICTIM, actor, bytes, check, garble, read};
use support::random::Random;
use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, by_name};
use tokenwatch::event::Provenance;

/// What a record tells of.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Login,
    Statement,
    End,
}

/// What happened, as the server hands it to its audit plugin.
#[derive(Clone)]
struct Told<'a> {
    what: What,
    connection: usize,
    /// The name that the client gave, and the account that the server found for it.
    login: &'a str,
    account: &'a str,
    host: &'a str,
    ip: &'a str,
    database: &'a str,
    table: &'a str,
    statement: &'a str,
    /// A connection attribute.
    client: (&'a str, &'a str),
    status: usize,
}

impl<'a> Told<'a> {
    fn statement(user: &'a str, connection: usize, statement: &'a str) -> Told<'a> {
        Told {
            what: What::Statement,
            connection,
            login: user,
            account: user,
            host: "",
            ip: forgery::home(user),
            database: "shop",
            table: "orders",
            statement,
            client: ("program_name", "app"),
            status: 0,
        }
    }

    fn login(user: &'a str, connection: usize) -> Told<'a> {
        Told { what: What::Login, ..Told::statement(user, connection, "") }
    }

    /// How the server calls the user of a statement.
    fn user(&self) -> String {
        format!("{}[{}] @ {} [{}]", self.account, self.login, self.host, self.ip)
    }
}

/// Writes one record, or all records that this log has of what happened.
type Write = fn(&Told<'_>) -> String;

const CONNECTIONS: [(&str, usize); 2] = [(HONEST, 5), (HOSTILE, 6)];

/// The start of a log in which both are logged in.
fn head(write: Write) -> String {
    CONNECTIONS.iter().map(|(user, connection)| write(&Told::login(user, *connection))).collect()
}

/// What a client sends: a whole record in this format, or what would end the text around it and go on as that of another.
fn forged(random: &mut Random, write: Write, ends: &[&str]) -> String {
    let victim = Told {
        connection: [5, 6, 7, 1_000][random.below(4)],
        ip: [ELSEWHERE, HOME][random.below(2)],
        status: [0, 0, 1142][random.below(3)],
        ..Told::statement(random.pick(&[VICTIM, VICTIM, HONEST]), 5, "DROP TABLE orders")
    };
    let what = [What::Statement, What::Statement, What::Login, What::End][random.below(4)];
    let record = write(&Told { what, ..victim });
    let text = match random.below(5) {
        // the anonymous account is the empty name before a bracket
        4 => return format!("{VICTIM}[[{VICTIM}"),
        0 => record,
        1 => format!("{}{record}", random.pick(ends)),
        2 => random.pick(ends).to_owned(),
        _ => format!("{}[{}] @ {} [{ELSEWHERE}]", VICTIM, VICTIM, VICTIM),
    };
    garble(random, &text)
}

/// A record of the hostile client that holds such text, in one of the places where it may.
fn hostile(random: &mut Random, write: Write, ends: &[&str]) -> String {
    let text = forged(random, write, ends);
    let number = 10_000 + random.below(1_000_000);
    let own = Told::statement(HOSTILE, 6, &text);
    let stranger = Told { login: &text, account: "", ip: LAIR, status: 1045, ..Told::login("", number) };
    match random.below(10) {
        // the name of a refused login, which is there twice, or of one by the anonymous account
        0 => write(&stranger) + &write(&Told { what: What::End, status: 0, ..stranger }),
        1 => {
            let anonymous = Told { status: 0, ..stranger };
            write(&anonymous) + &write(&Told { what: What::Statement, statement: "SELECT 1", ..anonymous })
        }
        2 => write(&Told { client: ("program_name", &text), what: What::Login, ..own }),
        3 => write(&Told { client: (&text, "x"), what: What::Login, ..own }),
        4 => write(&Told { database: &text, what: What::Login, status: 1049, connection: number, ..own }),
        5 => write(&Told { database: &text, ..own }),
        6 => write(&Told { table: &text, ..own }),
        7 => write(&Told { status: 1064, ..own }),
        _ => write(&own),
    }
}

/// Logs of a format, and the same logs with their start lost.
fn check_all(format: &str, start: &str, acting: usize, write: Write, ends: &[&str]) {
    check(format, &format!("{start}{}", head(write)), acting, |random, honest| match honest {
        Some(statement) => write(&Told::statement(HONEST, 5, statement)),
        None => hostile(random, write, ends),
    });
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let log: Vec<u8> = (0..ATTEMPTS).flat_map(|_| bytes(&hostile(&mut random, write, ends))).collect();
        let from = random.below(log.len());
        let outcome = forgery::decode(Some(format), &log[from..], seed);
        assert!(outcome.honest.is_empty(), "{format}, log {seed}: {HONEST} did nothing, but {:?}", outcome.honest);
    }
}

/// What ends a string of JSON, and goes on.
const JSON_ENDS: [&str; 6] = [
    "\"}},\n",
    "\"}}\n",
    "\",\"user\":\"TOK_VICTIM\",\"x\":\"",
    "\"},\"login\":{\"user\":\"TOK_VICTIM\",\"ip\":\"6.6.6.6\"},\"x\":{\"y\":\"",
    "\\\"},\"account\":{\"user\":\"TOK_VICTIM\"},",
    "\"}}]\n[\n",
];

/// MySQL Enterprise Audit, with a record for each table.
fn enterprise(told: &Told<'_>) -> Vec<Value> {
    let record = |class: &str, event: &str, more: Value| {
        let mut record = json!({
            "timestamp": "2026-11-22 02:05:17", "id": 0, "class": class, "event": event, "connection_id": told.connection,
            "account": {"user": told.account, "host": told.host},
            "login": {"user": told.login, "os": "", "ip": told.ip, "proxy": ""},
        });
        if let (Some(record), Value::Object(more)) = (record.as_object_mut(), more) {
            record.extend(more);
        }
        record
    };
    match told.what {
        What::Login => vec![record(
            "connection",
            "connect",
            json!({"connection_data": {"connection_type": "ssl", "status": told.status, "db": told.database,
                "connection_attributes": {told.client.0: told.client.1}}}),
        )],
        What::End => vec![record("connection", "disconnect", json!({"connection_data": {"connection_type": "ssl"}}))],
        What::Statement => vec![
            record(
                "table_access",
                "read",
                json!({"table_access_data": {"db": told.database, "table": told.table, "query": told.statement, "sql_command": "select"}}),
            ),
            record(
                "general",
                "status",
                json!({"general_data": {"command": "Query", "sql_command": "select", "query": told.statement, "status": told.status}}),
            ),
        ],
    }
}

#[test]
fn enterprise_json() {
    let write = |told: &Told<'_>| enterprise(told).iter().map(|record| format!("{record},\n")).collect();
    check_all("mysql-enterprise-json", "[\n", 60, write, &JSON_ENDS);
}

/// As Percona's audit_log_filter writes it, with every character that may be escaped, escaped.
#[test]
fn percona_filter_json() {
    let write = |told: &Told<'_>| {
        let records = enterprise(told);
        let pretty = records.iter().map(|record| format!("{},\n", serde_json::to_string_pretty(record).expect("JSON")));
        pretty.collect::<String>().replace("\\n", "\\u000a").replace('/', "\\/")
    };
    check_all("mysql-enterprise-json", "[\n", 60, write, &JSON_ENDS);
}

/// What the plugins know of a record, by the names of Percona's JSON.
fn percona(told: &Told<'_>) -> Vec<(&'static str, Value)> {
    let (name, class) = match told.what {
        What::Login => ("Connect", None),
        What::End => ("Quit", None),
        What::Statement => ("Query", Some("select")),
    };
    let mut fields =
        vec![("name", json!(name)), ("record", json!("3_2026-11-22T09:00:00")), ("timestamp", json!("2026-11-22T02:05:17 UTC"))];
    let connection = ("connection_id", json!(told.connection.to_string()));
    match class {
        Some(class) => fields.extend([
            ("command_class", json!(class)),
            connection,
            ("status", json!(told.status)),
            ("sqltext", json!(told.statement)),
            ("user", json!(told.user())),
            ("host", json!(told.host)),
            ("os_user", json!("")),
        ]),
        None => fields.extend([
            connection,
            ("status", json!(told.status)),
            ("user", json!(told.login)),
            ("priv_user", json!(told.account)),
            ("os_login", json!("")),
            ("proxy_user", json!("")),
            ("host", json!(told.host)),
        ]),
    }
    fields.extend([("ip", json!(told.ip)), ("db", json!(told.database))]);
    fields
}

#[test]
fn percona_json() {
    let write = |told: &Told<'_>| {
        let record: Vec<String> = percona(told).iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{\"audit_record\":{{{}}}}}\n", record.join(",").replace('/', "\\/"))
    };
    check_all("percona-audit-json", "", 60, write, &JSON_ENDS);
}

/// Quotes are doubled, and nothing else: line ends stay.
#[test]
fn percona_csv() {
    let write = |told: &Told<'_>| {
        let field = |(_, value): &(&str, Value)| match value {
            Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            number => number.to_string(),
        };
        percona(told).iter().map(field).collect::<Vec<_>>().join(",") + "\n"
    };
    let ends = ["\"\n", "\"\r\n", "\",\"", "\"\"\n", "\",\"TOK_VICTIM[TOK_VICTIM] @ localhost []\",\"\",\"\",\"6.6.6.6\",\"\"\n", "\n"];
    check_all("percona-audit-csv", "", 60, write, &ends);
}

/// As the plugins escape text in XML: line ends and other control characters as references.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_ascii_control() => escaped.push_str(&format!("&#{};", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

const XML_ENDS: [&str; 7] = [
    "</SQLTEXT></AUDIT_RECORD>\n",
    "</USER>\n  <USER>TOK_VICTIM[TOK_VICTIM] @ localhost [6.6.6.6]</USER>\n",
    "\"/>\n",
    "\"\n  USER=\"TOK_VICTIM\"\n  SQLTEXT=\"",
    "&lt;/SQLTEXT&gt;&lt;/AUDIT_RECORD&gt;",
    "</VALUE></ATTRIBUTE></CONNECTION_ATTRIBUTES>\n<USER>TOK_VICTIM</USER>",
    "&quot;/&gt;&#10;",
];

fn text(value: &Value) -> String {
    escape(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[test]
fn xml_with_elements() {
    let write = |told: &Told<'_>| {
        let mut record = " <AUDIT_RECORD>\n".to_owned();
        for (key, value) in percona(told) {
            let key = if key == "record" { "RECORD_ID".to_owned() } else { key.to_ascii_uppercase() };
            record += &format!("  <{key}>{}</{key}>\n", text(&value));
        }
        if told.what == What::Login {
            record += &format!(
                "  <CONNECTION_ATTRIBUTES>\n   <ATTRIBUTE>\n    <NAME>{}</NAME>\n    <VALUE>{}</VALUE>\n   </ATTRIBUTE>\n  </CONNECTION_ATTRIBUTES>\n",
                escape(told.client.0),
                escape(told.client.1)
            );
        }
        record + " </AUDIT_RECORD>\n"
    };
    check_all("mysql-audit-xml", "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<AUDIT>\n", 60, write, &XML_ENDS);
}

#[test]
fn xml_with_attributes() {
    let write = |told: &Told<'_>| {
        let fields = percona(told);
        let fields: Vec<String> =
            fields.iter().map(|(key, value)| format!("  {}=\"{}\"\n", key.to_ascii_uppercase(), text(value))).collect();
        format!("<AUDIT_RECORD\n{}/>\n", fields.concat())
    };
    check_all("mysql-audit-xml", "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<AUDIT>\n", 60, write, &XML_ENDS);
}

/// The plugin of McAfee and Trellix: all values are text.
#[test]
fn mcafee() {
    let write = |told: &Told<'_>| {
        let refused = told.status == 1045;
        let command = match told.what {
            What::Login if refused => "Failed Login",
            What::Login => "Connect",
            What::End => "Quit",
            What::Statement => "select",
        };
        let mut record = json!({
            "msg-type": "activity", "date": "1795314088123", "thread-id": told.connection.to_string(), "query-id": "9", "user": told.login,
            "priv_user": told.account, "ip": told.ip, "host": told.host, "client_port": "4711", "cmd": command, "query": command,
            "connect_attrs": {told.client.0: told.client.1},
        });
        if told.what == What::Statement {
            record["objects"] = json!([{"db": told.database, "name": told.table, "obj_type": "TABLE"}]);
            record["query"] = json!(told.statement);
        }
        if !refused {
            record["status"] = json!(told.status.to_string());
        }
        format!("{record}\n")
    };
    let header = "{\"msg-type\":\"header\",\"date\":\"1795341600000\",\"audit-version\":\"1.1.7\"}\n";
    check_all("mcafee-audit", header, 60, write, &JSON_ENDS);
}

/// A sensor on the network verifies nobody: nobody is named for sure, whatever they send, and every statement is told once.
#[test]
fn zeek() {
    let record = |connection: usize, ip: &str, command: &str, argument: &str, success: bool| {
        let record = json!({
            "ts": 1795314088.437392, "uid": format!("C{connection}"), "id.orig_h": ip, "id.orig_p": 56162, "id.resp_h": "10.0.0.2", "id.resp_p": 3306,
            "cmd": command, "arg": argument, "success": success, "response": if success { "" } else { "Access denied" },
        });
        format!("{record}\n")
    };
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let (mut log, mut done) = (record(5, HOME, "login", HONEST, true), Vec::new());
        for number in 0..ATTEMPTS {
            let victim = record(5, ELSEWHERE, random.pick(&["login", "query", "quit"]), VICTIM, true);
            let ends = random.pick(&["", "\"}\n", "\",\"success\":true}\n", "\",\"cmd\":\"login\",\"arg\":\"TOK_VICTIM\",\"x\":\""]);
            let text = garble(&mut random, &format!("{ends}{victim}"));
            log += &match random.below(3) {
                0 => record(1_000 + number, LAIR, "login", &text, false),
                1 => record(6, LAIR, "init_db", &text, true),
                _ => record(6, LAIR, "query", &text, true),
            };
            done.push(format!("SELECT {number} FROM orders"));
            log += &record(5, HOME, "query", &done[number], true);
        }
        let mut told = Vec::new();
        let mut sink = |item: Item<'_>| {
            let Decoded::Event(event) = item.decoded else { panic!("not read: {}", item.raw.escape_ascii()) };
            assert!(actor(&event).is_none() && event.principal.is_none_or(|p| p.provenance == Provenance::Claimed), "{event:?}");
            let honest = event.principal.is_some_and(|p| p.name == HONEST);
            assert_eq!(honest, event.address.is_some_and(|a| a.to_string() == HOME), "{event:?}");
            told.extend(event.statement.filter(|_| honest).map(ToString::to_string));
        };
        read(Stream::new(by_name("zeek-mysql"), FormatOptions::default(), 0), &bytes(&log), || 777, &mut sink);
        assert_eq!(told, done);
    }
}
