//! Logs of logins and requests rather than of statements: what tells their acts apart is an object, a database or the time.

use tokenwatch::event::Event;

use super::support::forgery::{HOME, HONEST, HOSTILE, LAIR};
use super::support::random::Random;
use super::{Log, dated, stamp};

/// What forged acts are on.
const OTHERS: &[&str] = &["orders", "shop.salaries", "a b"];

const PLAIN: Log = Log {
    format: "",
    framed: false,
    begins: dated,
    handed: false,
    secret: [""; 3],
    head: Vec::new,
    honest: pgbouncer::honest,
    hostile: pgbouncer::hostile,
    mark: |number, _| format!("o{number}"),
    told: database,
    others: OTHERS,
};

pub const KINDS: [Log; 5] = [
    Log { format: "pgbouncer", head: pgbouncer::head, ..PLAIN },
    Log { format: "mysql-error", head: mysql::head, honest: mysql::honest, hostile: mysql::hostile, ..PLAIN },
    Log {
        format: "mssql-errorlog",
        head: mssql::head,
        honest: mssql::honest,
        hostile: mssql::hostile,
        mark: |_, step| format!("2026-11-22T{}Z", stamp(step).trim_end_matches('0').trim_end_matches('.')),
        told: |event| event.time.to_string(),
        ..PLAIN
    },
    Log {
        format: "couchdb-log",
        begins: |line| line.starts_with('['),
        honest: couchdb::honest,
        hostile: couchdb::hostile,
        told: object,
        ..PLAIN
    },
    Log {
        format: "mongodb-text",
        secret: ["[conn", "1", "]"],
        head: mongodb::head,
        honest: mongodb::honest,
        hostile: mongodb::hostile,
        mark: |number, _| format!("shop.o{number}"),
        told: object,
        ..PLAIN
    },
];

fn database(event: &Event<'_>) -> String {
    event.database.map(ToString::to_string).unwrap_or_default()
}

fn object(event: &Event<'_>) -> String {
    event.objects.first().map(ToString::to_string).unwrap_or_default()
}

/// As much of a text as the server takes for a name.
fn name(text: &str, most: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}

/// PgBouncer's log: names stand there without quotes, their line ends followed by a TAB.
mod pgbouncer {
    use super::*;

    fn line(level: &str, message: &str, step: usize) -> String {
        format!("2026-11-22 {} UTC [812] {level} {}\n", stamp(step), message.replace('\n', "\n\t"))
    }

    pub fn head() -> Vec<String> {
        vec![line("LOG", "process up: PgBouncer 1.22.0, libevent 2.1.12-stable (epoll), adns: c-ares 1.27.0", 0)]
    }

    fn client(database: &str, user: &str, place: &str, message: &str) -> String {
        format!("C-0x55d0c1a2e8f0: {database}/{user}@{place}:40112 {message}")
    }

    pub fn honest(database: &str, step: usize) -> String {
        line("LOG", &client(database, HONEST, HOME, "closing because: client close request (age=1s)"), step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        // Where any database is let through, the name of one is up to the client.
        let (database, user) = match random.below(3) {
            0 => (name(text, 63), HOSTILE.to_owned()),
            1 => (name(text, 63), name(text, 127)),
            _ => ("shop".to_owned(), name(text, 127)),
        };
        let attempt = client(&database, &user, LAIR, &format!("login attempt: db={database} user={user} tls=no"));
        let end = match user == HOSTILE {
            true => line("LOG", &client(&database, &user, LAIR, "closing because: client close request (age=1s)"), step + 1),
            false => line("WARNING", &client(&database, &user, LAIR, "pooler error: password authentication failed"), step + 1),
        };
        vec![line("LOG", &attempt, step), end]
    }
}

/// MySQL's error log: the name of a refused login stands there as it came.
mod mysql {
    use super::*;

    fn line(connection: usize, text: &str, step: usize) -> String {
        format!("2026-11-22T{}000Z {connection} [Note] {text}\n", stamp(step))
    }

    pub fn head() -> Vec<String> {
        vec![line(0, "[MY-010931] [Server] /usr/sbin/mysqld: ready for connections. Version: '8.4.2'  port: 3306", 0)]
    }

    pub fn honest(database: &str, step: usize) -> String {
        let text = format!(
            "[MY-010914] [Server] Aborted connection 77 to db: '{database}' user: '{HONEST}' host: '{HOME}' (Got timeout reading communication packets)."
        );
        line(77, &text, step)
    }

    pub fn hostile(_: &mut Random, text: &str, step: usize) -> Vec<String> {
        let user = name(text, 128);
        vec![line(1_000 + step, &format!("[MY-010926] [Server] Access denied for user '{user}'@'{LAIR}' (using password: YES)"), step)]
    }
}

/// SQL Server's ERRORLOG: the name of a refused login stands there as it came, and so does a statement in a deadlock report.
mod mssql {
    use super::*;

    fn line(source: &str, text: &str, step: usize) -> String {
        format!("2026-11-22 {} {source:<11} {text}\n", &stamp(step)[..11])
    }

    pub fn head() -> Vec<String> {
        vec![
            line("Server", "Microsoft SQL Server 2022 (RTM-CU14) - 16.0.4135.4 (X64) \n\tCopyright (C) 2022 Microsoft Corporation", 0),
            line("Server", "UTC adjustment: 0:00", 0),
        ]
    }

    pub fn honest(_: &str, step: usize) -> String {
        let text = format!("Login succeeded for user '{HONEST}'. Connection made using SQL Server authentication. [CLIENT: {HOME}]");
        line("Logon", &text, step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        if step > 550 && random.below(4) == 0 {
            return vec![line("spid20s", &format!("Input Buf: Language Event: {}", text.replace('\0', "")), step)];
        }
        let user = name(text, 128);
        let reason = "Reason: Could not find a login matching the name provided.";
        vec![
            line("Logon", "Error: 18456, Severity: 14, State: 5.", step),
            line("Logon", &format!("Login failed for user '{user}'. {reason} [CLIENT: {LAIR}]"), step),
        ]
    }
}

/// CouchDB's log: the host that a client asks for stands there as it came, and so does what JavaScript of a database logs.
mod couchdb {
    use super::*;

    fn line(level: &str, text: &str, step: usize) -> String {
        format!("[{level}] 2026-11-22T{}001Z couchdb@10.0.0.5 <0.17607.12> {text}\n", stamp(step))
    }

    pub fn honest(database: &str, step: usize) -> String {
        line("notice", &format!("e1fed412f8 db.example.org {HOME} {HONEST} GET /{database}/_all_docs 200 ok 12"), step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        if step > 550 && random.below(4) == 0 {
            return vec![line("info", &format!("-------- OS Process #Port<0.100> Log :: {}", text.replace('\0', "")), step)];
        }
        let path: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '+' }).collect();
        let host = text.replace(['\n', '\r', '\0'], "");
        vec![match random.below(4) {
            0 => line("notice", &format!("e1fed412f8 db.example.org {LAIR} {HOSTILE} GET /invoices/{path} 404 ok 1"), step),
            1 => line("notice", &format!("e1fed412f8 {host} {LAIR} undefined GET /invoices 401 ok 1"), step),
            _ => line("notice", &format!("e1fed412f8 {host} {LAIR} {HOSTILE} GET /invoices 200 ok 1"), step),
        }]
    }
}

/// MongoDB's text log: names, what drivers call themselves and values stand there as they came; an operation ends with its milliseconds.
mod mongodb {
    use super::*;

    fn line(rest: &str, step: usize) -> String {
        format!("2026-11-22T{}+0000 I  {}\n", stamp(step), rest.replace('\0', ""))
    }

    fn client(number: usize, user: &str, address: &str) -> [String; 2] {
        let peer = format!("{address}:500{number}");
        [
            line(&format!("NETWORK  [listener] connection accepted from {peer} #{number} ({number} connections now open)"), 0),
            line(&format!("ACCESS   [conn{number}] Successfully authenticated as principal {user} on admin from client {peer}"), 0),
        ]
    }

    pub fn head() -> Vec<String> {
        [client(1, HONEST, HOME), client(2, HOSTILE, LAIR)].concat()
    }

    pub fn honest(collection: &str, step: usize) -> String {
        let command = format!("command {collection} command: find {{ find: \"{collection}\", $db: \"shop\" }} nreturned:1");
        line(&format!("COMMAND  [conn1] {command} protocol:op_msg 1ms"), step)
    }

    pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
        let told = match random.below(3) {
            0 => format!(
                "NETWORK  [conn2] received client metadata from {LAIR}:5002 conn2: {{ application: {{ name: \"{text}\" }}, driver: {{ name: \"x\" }} }}"
            ),
            1 => format!(
                "ACCESS   [conn2] SASL SCRAM-SHA-256 authentication failed for {text} on admin from client {LAIR}:5002 ; UserNotFound: Could not find user"
            ),
            _ => format!(
                "COMMAND  [conn2] command shop.secrets command: find {{ find: \"{text}\", $db: \"shop\" }} ok:0 errCode:13 protocol:op_msg 2ms"
            ),
        };
        vec![line(&told, step)]
    }
}
