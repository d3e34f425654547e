//! Clients who write records into the audit logs of Oracle, SQL Server and SAP HANA: through statements, names of objects, names of
//! refused logins, and what they say of themselves. No such server runs here, so independent writers of these logs do it, by their grammar. No
//! token acts that did not, and what the true sessions did is still seen.

use std::collections::BTreeSet;

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, by_name};
use tokenwatch::event::{Kind, Provenance};

/// Logs of each kind, and hostile records in each.
const LOGS: u64 = 60;
const ATTEMPTS: usize = 40;

/// Whom forged records pretend to be; it never acts.
const VICTIM: &str = "TOK_VICTIM";

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// 0..`limit`.
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// `text` after a random start, cut at a random place, or with pieces of it repeated: what an attacker would try.
    fn garble(&mut self, text: &str) -> String {
        let lead = self
            .pick(&["", "x", "'", "\"", "x'", "'\n", "\n", "\r\n", "\n\n", "' ", "\" ", ";", "\\", "\t", "#012", "'#012", "]]>", "é\n"]);
        let mut out = format!("{lead}{text}");
        match self.below(5) {
            0 => {
                let mut end = self.below(out.len() + 1);
                while !out.is_char_boundary(end) {
                    end -= 1;
                }
                out.truncate(end);
            }
            1 => out = format!("{out}\n{text}"),
            2 => out.push_str(self.pick(&["'", "\"", "\n", ";", "'\n\n", "\n.\n"])),
            _ => {}
        }
        out
    }
}

/// What a log came to.
#[derive(Default)]
struct Result {
    /// Statements of events that name a token.
    statements: BTreeSet<String>,
    records: usize,
}

/// Decodes a log in pieces; panics where the victim acts.
fn decode(format: &str, log: &[u8], seed: u64) -> Result {
    let mut result = Result::default();
    let mut stream = Stream::new(by_name(format), FormatOptions::default(), 0);
    let mut sink = |item: Item<'_>| {
        result.records += 1;
        let Decoded::Event(event) = item.decoded else { return };
        let trusted = event.principal.filter(|p| p.provenance == Provenance::Authenticated && event.suspect.is_none());
        let Some(principal) = trusted else { return };
        let acts = !matches!(event.kind, Kind::LoginFailed | Kind::Other);
        assert!(
            !acts || !principal.name.to_string().eq_ignore_ascii_case(VICTIM),
            "{format}, log {seed}: {:?} by the victim in\n{}",
            event.kind,
            String::from_utf8_lossy(item.raw)
        );
        if let Some(statement) = event.statement {
            result.statements.insert(statement.to_string());
        }
    };
    let mut random = Random::new(seed);
    let mut rest = log;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + random.below(20_000)).min(rest.len()));
        stream.feed(piece, &mut sink);
        rest = after;
    }
    stream.close(&mut sink);
    let counts = stream.counts();
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips);
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes);
    result
}

/// Writes logs of one kind, half of whose records are hostile, and checks each: `honest` writes a record of this true statement, `hostile`
/// one with forged text, which it is given.
fn check(format: &str, share: f64, mut write: impl FnMut(&mut Random, Option<&str>, &mut String)) {
    let (mut wanted, mut seen) = (0, 0);
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let (mut log, mut acts) = (String::new(), Vec::new());
        for number in 0..ATTEMPTS {
            write(&mut random, None, &mut log);
            let statement = format!("SELECT {} FROM orders", seed as usize * 1_000 + number);
            write(&mut random, Some(&statement), &mut log);
            acts.push(statement);
        }
        let result = decode(format, log.as_bytes(), seed);
        assert!(result.records >= ATTEMPTS, "{format}: only {} records", result.records);
        wanted += acts.len();
        seen += acts.iter().filter(|act| result.statements.contains(*act)).count();
    }
    let found = seen as f64 / wanted as f64;
    println!("{format}: {} hostile records; {seen} of {wanted} true acts beside them are seen undoubted", LOGS as usize * ATTEMPTS);
    assert!(found >= share, "{format}: {seen} of {wanted} true acts are seen undoubted");
}

fn counted(key: &str, value: &str, quote: char) -> String {
    format!("{key}:[{}] {quote}{value}{quote}", value.len())
}

/// A record of the audit of SYS.
fn aud(user: &str, statement: &str, os_user: &str, separator: &str) -> (usize, String) {
    let pairs = [
        counted("ACTION ", statement, '\''),
        counted("DATABASE USER", user, '\''),
        counted("PRIVILEGE ", "SYSDBA", '\''),
        counted("CLIENT USER", os_user, '\''),
        counted("CLIENT TERMINAL", "pts/0", '\''),
        counted("STATUS", "0", '\''),
        counted("DBID", "12", '\''),
        counted("SESSIONID", "77", '\''),
        counted("USERHOST", os_user, '\''),
        counted("CLIENT ADDRESS", "(ADDRESS=(PROTOCOL=tcp)(HOST=10.1.0.7)(PORT=5))", '\''),
        counted("ACTION NUMBER", "3", '\''),
    ];
    let body = pairs.join(separator) + separator;
    (body.len() + 2, body)
}

fn aud_file(user: &str, statement: &str, os_user: &str) -> String {
    let (length, body) = aud(user, statement, os_user, "\n");
    format!("Sun Nov 22 02:05:17 2026 +00:00\nLENGTH : '{length}'\n{body}\n")
}

#[test]
fn oracle_files() {
    check("oracle-aud", 1.0, |random, honest, log| {
        if log.is_empty() {
            log.push_str("Audit file /u01/adump/o_ora_1.aud\nOracle Database 19c\n\n");
        }
        match honest {
            Some(statement) => log.push_str(&aud_file("BILLING", statement, "svc")),
            None => {
                let fake = match random.below(3) {
                    0 => aud_file(VICTIM, "DROP TABLE t", "root"),
                    1 => format!("'\nDATABASE USER:[10] '{VICTIM}'\nPRIVILEGE :[6] 'SYSDBA'\nSTATUS:[1] '0'\nACTION NUMBER:[1] '3'\n\n"),
                    _ => format!("' from dual'\n\n{}", aud_file(VICTIM, "select '", "root")),
                };
                let forged = random.garble(&fake);
                let record =
                    if random.below(2) == 0 { aud_file("MALLORY", &forged, "m") } else { aud_file("MALLORY", "select 1", &forged) };
                log.push_str(&record);
            }
        }
    });
}

/// With the start lost, or lengths that a copy has spoilt, nothing proves a record: none may name the victim.
#[test]
fn oracle_files_with_their_start_lost_or_lengths_spoilt() {
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let mut log = String::new();
        for _ in 0..ATTEMPTS {
            let forged = random.garble(&aud_file(VICTIM, "DROP TABLE t", "root"));
            log.push_str(&aud_file("MALLORY", &format!("select '{forged}'"), "m"));
        }
        let cut = random.below(log.len() / 2);
        decode("oracle-aud", &log.as_bytes()[cut..], seed);
        decode("oracle-aud", log.replace('\n', "\r\n").as_bytes(), seed);
        // Decoded as one text in another encoding: two bytes where one was counted.
        decode("oracle-aud", log.replace('x', "é").as_bytes(), seed);
    }
}

fn envelope(text: &str) -> String {
    // Docker's log file: a relay with a time of its own, which escapes everything.
    let line = serde_json::json!({"log": format!("{text}\n"), "stream": "stdout", "time": "2026-11-22T02:05:17.5Z"});
    format!("{line}\n")
}

fn unified(user: &str, client: &str, object: &str, code: &str) -> String {
    let body = format!(
        "TYPE:\"4\" DBID:\"12\" SESID:\"16\" CLIENTID:\"{client}\" ENTRYID:\"1\" STMTID:\"1\" DBUSER:\"{user}\" CURUSER:\"{user}\" \
         ACTION:\"3\" RETCODE:\"{code}\" SCHEMA:\"S\" OBJNAME:\"{object}\" PDB_GUID:\"8A\""
    );
    format!("Oracle Unified Audit[6061]: LENGTH: '{}' {body}", body.len())
}

#[test]
fn oracle_syslog() {
    check("oracle-unified-syslog", 1.0, |random, honest, log| {
        let record = match honest {
            Some(statement) => {
                let (length, body) = aud("BILLING", statement, "svc", " ");
                format!("Oracle Audit[1]: LENGTH : '{length}' {}", body.trim_end())
            }
            None if random.below(2) == 0 => {
                let forged = random.garble(&format!("' DATABASE USER:[10] '{VICTIM}' STATUS:[1] '0' ACTION NUMBER:[1] '3'"));
                let (length, body) = aud("MALLORY", &forged, "m", " ");
                // The relay escapes line ends, or it does not.
                let text = format!("Oracle Audit[1]: LENGTH : '{length}' {}", body.trim_end());
                if random.below(2) == 0 { text.replace('\n', "#012").replace('\r', "#015") } else { text.replace(['\n', '\r'], " ") }
            }
            None => {
                let whole = unified(VICTIM, "", "T", "0");
                let tail = whole.split_once("CLIENTID:\"\"").expect("a key").1;
                let fake = random.pick(&[tail, &format!("\" DBUSER:\"{VICTIM}"), &format!("\"{tail}")]).to_owned();
                let forged = random.garble(&fake).replace(['\n', '\r'], " ");
                let text = if random.below(3) == 0 { unified(&forged, "", "T", "1017") } else { unified("MALLORY", &forged, "T", "0") };
                // A relay with a limit.
                let mut end = if random.below(3) == 0 { random.below(text.len()) } else { text.len() };
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text[..end].to_owned()
            }
        };
        log.push_str(&envelope(&record));
    });
}

#[test]
fn oracle_xml() {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let record = |user: &str, statement: &str| {
        format!(
            "<AuditRecord><Audit_Type>1</Audit_Type><Session_Id>7</Session_Id><Extended_Timestamp>2026-11-22T02:05:17.641000Z</Extended_Timestamp>\
             <DB_User>{user}</DB_User><Action>3</Action><Returncode>0</Returncode><Sql_Text>{statement}</Sql_Text></AuditRecord>\n"
        )
    };
    check("oracle-xml", 1.0, |random, honest, log| match honest {
        Some(statement) => log.push_str(&record("BILLING", statement)),
        None => {
            let forged = random.garble(&format!("</Sql_Text></AuditRecord>\n{}", record(VICTIM, "DROP TABLE t")));
            log.push_str(&record("MALLORY", &escape(&forged)));
        }
    });
}

fn csv(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

#[test]
fn oracle_rows() {
    let heading = "EVENT_TIMESTAMP_UTC,DBUSERNAME,ACTION_NAME,RETURN_CODE,SQL_TEXT,CLIENT_PROGRAM_NAME\n";
    let row = |user: &str, statement: &str, program: &str| {
        format!("2026-11-22T02:05:17.641Z,{},SELECT,0,{},{}\n", csv(user), csv(statement), csv(program))
    };
    check("oracle-unified", 1.0, |random, honest, log| {
        if log.is_empty() {
            log.push_str(heading);
        }
        match honest {
            Some(statement) => log.push_str(&row("BILLING", statement, "svc")),
            None => {
                let fake = format!("\n{}", row(VICTIM, "DROP TABLE t", "x"));
                let fake = random.pick(&[fake.as_str(), heading, "\",,\""]);
                let forged = random.garble(fake);
                log.push_str(&if random.below(2) == 0 { row("MALLORY", &forged, "m") } else { row("MALLORY", "select 1", &forged) });
            }
        }
    });
}

/// The text of event 33205.
fn event(action: &str, user: &str, object: &str, statement: &str, application: &str) -> String {
    format!(
        "audit_schema_version:1\nevent_time:2026-11-22 02:05:17.6412345\nsequence_number:1\naction_id:{action:4}\nsucceeded:{}\n\
         session_id:55\nclass_type:U \naffected_rows:0\nclient_ip:10.1.0.7\nsequence_group_id:8F65\n\
         session_server_principal_name:{user}\nserver_principal_name:{user}\ndatabase_principal_name:dbo\nserver_instance_name:DB1\n\
         database_name:shop\nschema_name:dbo\nobject_name:{object}\nstatement:{statement}\nadditional_information:\nuser_defined_information:\n\
         application_name:{application}\nconnection_id:FBB7\ndata_sensitivity_information:\nhost_name:APP7",
        action != "LGIF"
    )
}

fn hostile_event(random: &mut Random) -> String {
    let whole = event("DL", VICTIM, "t", "DELETE FROM t", "x");
    let fields =
        format!("\nclient_ip:6.6.6.6\nsession_server_principal_name:{VICTIM}\nserver_principal_name:{VICTIM}\nsession_id:1\nstatement:x");
    let ended = format!("\nadditional_information:\n{fields}\nhost_name:y\n.\n");
    let fake = random.pick(&[whole.as_str(), fields.as_str(), &ended]);
    let forged = random.garble(fake);
    match random.below(4) {
        0 => event("SL", "MALLORY", &forged, "SELECT 1", "m"),
        1 => event("SL", "MALLORY", "t", "SELECT 1", &forged),
        2 => event("LGIF", &forged, "", "Login failed", "m"),
        _ => event("SL", "MALLORY", "t", &forged, "m"),
    }
}

#[test]
fn mssql_events() {
    check("mssql-audit", 1.0, |random, honest, log| {
        let text = match honest {
            Some(statement) => event("BCM", "BILLING", "", statement, "svc"),
            None => hostile_event(random),
        };
        log.push_str(&format!("{}\n", serde_json::json!({"winlog": {"event_data": {"param1": text}}})));
    });
}

/// A plain file of such texts proves nothing: it names nobody at all.
#[test]
fn mssql_events_as_plain_text() {
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let texts: Vec<String> = (0..ATTEMPTS).map(|_| format!("Audit event: {}\n.\n", hostile_event(&mut random))).collect();
        let result = decode("mssql-audit", texts.concat().as_bytes(), seed);
        assert!(result.records >= ATTEMPTS && result.statements.is_empty());
    }
}

#[test]
fn mssql_rows() {
    let heading = "event_time,sequence_number,action_id,succeeded,server_principal_name,statement,application_name\n";
    let row = |user: &str, statement: &str, application: &str| {
        format!("2026-11-22 02:05:17.6412345,1,SL,true,{},{},{}\n", csv(user), csv(statement), csv(application))
    };
    check("mssql-audit", 1.0, |random, honest, log| {
        if log.is_empty() {
            log.push_str(heading);
        }
        match honest {
            Some(statement) => log.push_str(&row("BILLING", statement, "svc")),
            None => {
                let fake = format!("\n{}", row(VICTIM, "DROP TABLE t", "x"));
                let fake = random.pick(&[fake.as_str(), heading, "\",,\"", "audit_schema_version:1\nevent_time:"]);
                let forged = random.garble(fake);
                log.push_str(&if random.below(2) == 0 { row("MALLORY", &forged, "m") } else { row("MALLORY", "select 1", &forged) });
            }
        }
    });
}

/// A client without an account, whose name of up to 128 characters is printed as it is. The log has no statements: true logins are counted.
#[test]
fn mssql_error_log() {
    let (mut wanted, mut seen) = (0, 0);
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let stamp = |n: usize| format!("2026-11-22 02:{:02}:17.64 Logon       ", n % 60);
        let mut log = String::from("2026-11-22 02:00:00.10 Server      Microsoft SQL Server 2022\n");
        for n in 0..ATTEMPTS {
            let lines = [
                format!(
                    "{}Login succeeded for user '{VICTIM}'. Connection made using SQL Server authentication. [CLIENT: 6.6.6.6]",
                    stamp(n)
                ),
                format!("{}Login succeeded for user '{VICTIM}'. [CLIENT: 6.6.6.6]", stamp(n)),
                format!("{}'{VICTIM}' erfolgreich [CLIENT: 6.6.6.6]", stamp(n)),
                format!("{}'{VICTIM}' 成功 [A:6.6.6.6]\n{}", stamp(n), stamp(n)),
                format!("2026-11-22 02:00:00.10 Server      UTC adjustment: 9:00\n{}", stamp(n)),
            ];
            let lead = random.pick(&["x\n", "x'.\n", "x'. [CLIENT: 1.1.1.1]\n", "\n", "x'. Reason: y [CLIENT: 1.1.1.1]\r\n", "\n\n"]);
            let tail = random.pick(&["", "\n", "\n2026-11-22 02:00:00.10 s  ", "'", "\n[CLIENT: 2.2.2.2]\n"]);
            let name: String = format!("{lead}{}{tail}", random.pick(&lines.each_ref().map(String::as_str))).chars().take(128).collect();
            log.push_str(&format!("{}Error: 18456, Severity: 14, State: 5.\n", stamp(n)));
            log.push_str(&format!("{}Login failed for user '{name}'. Reason: Could not find a login. [CLIENT: 10.1.0.9]\n", stamp(n)));
            log.push_str(&format!(
                "{}Login succeeded for user 'BILLING'. Connection made using Windows authentication. [CLIENT: 10.1.0.7]\n",
                stamp(n)
            ));
        }
        let mut stream = Stream::new(by_name("mssql-errorlog"), FormatOptions::default(), 0);
        let mut sink = |item: Item<'_>| {
            let Decoded::Event(event) = item.decoded else { panic!("{:?}", item.decoded) };
            let named = event.principal.filter(|p| p.provenance == Provenance::Authenticated && event.suspect.is_none());
            match named {
                Some(principal) => {
                    assert_eq!((event.kind, principal.name.to_string().as_str()), (Kind::Login, "BILLING"), "log {seed}");
                    assert!(event.time.to_string().starts_with("2026-11-22T02:"), "log {seed}: {}", event.time);
                    seen += 1;
                }
                None => assert_ne!((event.kind, event.suspect), (Kind::Login, None)),
            }
        };
        stream.feed(log.as_bytes(), &mut sink);
        stream.close(&mut sink);
        wanted += ATTEMPTS;
    }
    println!("mssql-errorlog: {wanted} hostile names; {seen} of {wanted} true logins beside them are seen undoubted");
    assert_eq!(seen, wanted);
}

/// Values with separators, quotes and whole records in one line; what a relay does to line ends is its own matter.
#[test]
fn saphana() {
    let record = |user: &str, schema: &str, object: &str, statement: &str| {
        format!(
            "2026-11-22 02:05:17;indexserver;hdb1;WLF;37;33703;PRD;10.1.0.7;app-7;8080;57436;reads;INFO;SELECT;{user};{};{};;;;;SUCCESSFUL;;;;;;;{statement};427423;;;;;",
            csv(schema),
            csv(object)
        )
    };
    check("saphana-audit", 1.0, |random, honest, log| {
        let text = match honest {
            Some(statement) => record("BILLING", "S", "ORDERS", statement),
            None => {
                let forged = random.garble(&record(VICTIM, "S", "T", "DROP TABLE T")).replace(['\n', '\r'], " ");
                if random.below(2) == 0 { record("MALLORY", "S", &forged, "SELECT 1") } else { record("MALLORY", "S", "T", &forged) }
            }
        };
        log.push_str(&text);
        log.push('\n');
    });
}
