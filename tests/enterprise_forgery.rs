//! Clients who write records into the audit logs of Oracle, SQL Server and SAP HANA: through statements, names of objects, names of
//! refused logins, and what they say of themselves. No such server runs here, so independent writers of these logs do it, by their grammar. No
//! token acts that did not, and what the true sessions did is still seen.

mod support;

use support::forgery::{
    ATTEMPTS, ELSEWHERE, HOME, HONEST, HOSTILE, LAIR, LOGS, VICTIM, actor, bytes, check, cut, decode, garble, home, read,
};
use support::random::Random;
use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, by_name};
use tokenwatch::event::Kind;

fn counted(key: &str, value: &str, quote: char) -> String {
    format!("{key}:[{}] {quote}{value}{quote}", bytes(value).len())
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
        counted("CLIENT ADDRESS", &format!("(ADDRESS=(PROTOCOL=tcp)(HOST={})(PORT=5))", home(user)), '\''),
        counted("ACTION NUMBER", "3", '\''),
    ];
    let body = pairs.join(separator) + separator;
    (bytes(&body).len() + 2, body)
}

fn aud_file(user: &str, statement: &str, os_user: &str) -> String {
    let (length, body) = aud(user, statement, os_user, "\n");
    format!("Sun Nov 22 02:05:17 2026 +00:00\nLENGTH : '{length}'\n{body}\n")
}

#[test]
fn oracle_files() {
    let head = "Audit file /u01/adump/o_ora_1.aud\nOracle Database 19c\n\n";
    check("oracle-aud", head, 100, |random, honest| {
        let Some(statement) = honest else {
            let fake = match random.below(3) {
                0 => aud_file(VICTIM, "DROP TABLE t", "root"),
                1 => format!("'\nDATABASE USER:[10] '{VICTIM}'\nPRIVILEGE :[6] 'SYSDBA'\nSTATUS:[1] '0'\nACTION NUMBER:[1] '3'\n\n"),
                _ => format!("' from dual'\n\n{}", aud_file(VICTIM, "select '", "root")),
            };
            let forged = garble(random, &fake);
            return if random.below(2) == 0 { aud_file(HOSTILE, &forged, "m") } else { aud_file(HOSTILE, "select 1", &forged) };
        };
        aud_file(HONEST, statement, "svc")
    });
}

/// With the start lost, or lengths that a copy has spoilt, nothing proves a record: none may name the victim.
#[test]
fn oracle_files_with_their_start_lost_or_lengths_spoilt() {
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let mut log = String::new();
        for _ in 0..ATTEMPTS {
            let forged = garble(&mut random, &aud_file(VICTIM, "DROP TABLE t", "root"));
            log.push_str(&aud_file(HOSTILE, &format!("select '{forged}'"), "m"));
        }
        let from = random.below(log.len() / 2);
        let spoilt = [
            bytes(&log).split_off(from),
            bytes(&log.replace('\n', "\r\n")),
            // Decoded as one text in another encoding: two bytes where one was counted.
            bytes(&log.replace('x', "é")),
        ];
        for log in &spoilt {
            decode(Some("oracle-aud"), log, seed);
        }
    }
}

fn envelope(text: &str) -> String {
    // Docker's log file: a relay with a time of its own, which escapes everything.
    let line = serde_json::json!({"log": format!("{text}\n"), "stream": "stdout", "time": "2026-11-22T02:05:17.5Z"});
    format!("{line}\n")
}

fn unified(user: &str, client: &str, object: &str, code: &str) -> String {
    let action = if code == "0" { 3 } else { 100 }; // a refused login
    let body = format!(
        "TYPE:\"4\" DBID:\"12\" SESID:\"16\" CLIENTID:\"{client}\" ENTRYID:\"1\" STMTID:\"1\" DBUSER:\"{user}\" CURUSER:\"{user}\" \
         ACTION:\"{action}\" RETCODE:\"{code}\" SCHEMA:\"S\" OBJNAME:\"{object}\" PDB_GUID:\"8A\""
    );
    format!("Oracle Unified Audit[6061]: LENGTH: '{}' {body}", bytes(&body).len())
}

#[test]
fn oracle_syslog() {
    check("oracle-unified-syslog", "", 40, |random, honest| {
        let record = match honest {
            Some(statement) => {
                let (length, body) = aud(HONEST, statement, "svc", " ");
                format!("Oracle Audit[1]: LENGTH : '{length}' {}", body.trim_end())
            }
            None if random.below(2) == 0 => {
                let forged = garble(random, &format!("' DATABASE USER:[10] '{VICTIM}' STATUS:[1] '0' ACTION NUMBER:[1] '3'"));
                let (length, body) = aud(HOSTILE, &forged, "m", " ");
                // The relay escapes line ends, or it does not.
                let text = format!("Oracle Audit[1]: LENGTH : '{length}' {}", body.trim_end());
                if random.below(2) == 0 { text.replace('\n', "#012").replace('\r', "#015") } else { text.replace(['\n', '\r'], " ") }
            }
            None => {
                let whole = unified(VICTIM, "", "T", "0");
                let tail = whole.split_once("CLIENTID:\"\"").expect("a key").1;
                let fake = random.pick(&[tail, &format!("\" DBUSER:\"{VICTIM}"), &format!("\"{tail}")]).to_owned();
                let forged = garble(random, &fake).replace(['\n', '\r'], " ");
                let mut text = if random.below(3) == 0 { unified(&forged, "", "T", "1017") } else { unified(HOSTILE, &forged, "T", "0") };
                if random.below(3) == 0 {
                    cut(&mut text, random); // a relay with a limit
                }
                text
            }
        };
        envelope(&record)
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
    check("oracle-xml", "", 100, |random, honest| {
        let Some(statement) = honest else {
            let forged = garble(random, &format!("</Sql_Text></AuditRecord>\n{}", record(VICTIM, "DROP TABLE t")));
            return record(HOSTILE, &escape(&forged));
        };
        record(HONEST, statement)
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
    check("oracle-unified", heading, 100, |random, honest| {
        let Some(statement) = honest else {
            let fake = format!("\n{}", row(VICTIM, "DROP TABLE t", "x"));
            let fake = random.pick(&[fake.as_str(), heading, "\",,\""]);
            let forged = garble(random, fake);
            return if random.below(2) == 0 { row(HOSTILE, &forged, "m") } else { row(HOSTILE, "select 1", &forged) };
        };
        row(HONEST, statement, "svc")
    });
}

/// The text of event 33205.
fn event(action: &str, user: &str, object: &str, statement: &str, application: &str) -> String {
    format!(
        "audit_schema_version:1\nevent_time:2026-11-22 02:05:17.6412345\nsequence_number:1\naction_id:{action:4}\nsucceeded:{}\n\
         session_id:55\nclass_type:U \naffected_rows:0\nclient_ip:{}\nsequence_group_id:8F65\n\
         session_server_principal_name:{user}\nserver_principal_name:{user}\ndatabase_principal_name:dbo\nserver_instance_name:DB1\n\
         database_name:shop\nschema_name:dbo\nobject_name:{object}\nstatement:{statement}\nadditional_information:\nuser_defined_information:\n\
         application_name:{application}\nconnection_id:FBB7\ndata_sensitivity_information:\nhost_name:APP7",
        action != "LGIF",
        home(user)
    )
}

fn hostile_event(random: &mut Random) -> String {
    let whole = event("DL", VICTIM, "t", "DELETE FROM t", "x");
    let fields = format!(
        "\nclient_ip:{ELSEWHERE}\nsession_server_principal_name:{VICTIM}\nserver_principal_name:{VICTIM}\nsession_id:1\nstatement:x"
    );
    let ended = format!("\nadditional_information:\n{fields}\nhost_name:y\n.\n");
    let fake = random.pick(&[whole.as_str(), fields.as_str(), &ended]);
    let forged = garble(random, fake);
    match random.below(4) {
        0 => event("SL", HOSTILE, &forged, "SELECT 1", "m"),
        1 => event("SL", HOSTILE, "t", "SELECT 1", &forged),
        2 => event("LGIF", &forged, "", "Login failed", "m"),
        _ => event("SL", HOSTILE, "t", &forged, "m"),
    }
}

#[test]
fn mssql_events() {
    check("mssql-audit", "", 50, |random, honest| {
        let text = honest.map_or_else(|| hostile_event(random), |statement| event("BCM", HONEST, "", statement, "svc"));
        format!("{}\n", serde_json::json!({"winlog": {"event_data": {"param1": text}}}))
    });
}

/// A plain file of such texts proves nothing: it names nobody at all.
#[test]
fn mssql_events_as_plain_text() {
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let texts: Vec<String> = (0..ATTEMPTS).map(|_| format!("Audit event: {}\n.\n", hostile_event(&mut random))).collect();
        let outcome = decode(Some("mssql-audit"), &bytes(&texts.concat()), seed);
        assert!(outcome.records >= ATTEMPTS as u64 && outcome.honest.is_empty() && outcome.hostile == 0);
    }
}

#[test]
fn mssql_rows() {
    let heading = "event_time,sequence_number,action_id,succeeded,server_principal_name,statement,application_name\n";
    let row = |user: &str, statement: &str, application: &str| {
        format!("2026-11-22 02:05:17.6412345,1,SL,true,{},{},{}\n", csv(user), csv(statement), csv(application))
    };
    check("mssql-audit", heading, 100, |random, honest| {
        let Some(statement) = honest else {
            let fake = format!("\n{}", row(VICTIM, "DROP TABLE t", "x"));
            let fake = random.pick(&[fake.as_str(), heading, "\",,\"", "audit_schema_version:1\nevent_time:"]);
            let forged = garble(random, fake);
            return if random.below(2) == 0 { row(HOSTILE, &forged, "m") } else { row(HOSTILE, "select 1", &forged) };
        };
        row(HONEST, statement, "svc")
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
                    "{}Login succeeded for user '{VICTIM}'. Connection made using SQL Server authentication. [CLIENT: {ELSEWHERE}]",
                    stamp(n)
                ),
                format!("{}Login succeeded for user '{VICTIM}'. [CLIENT: {ELSEWHERE}]", stamp(n)),
                format!("{}'{VICTIM}' erfolgreich [CLIENT: {ELSEWHERE}]", stamp(n)),
                format!("{}'{VICTIM}' 成功 [A:{ELSEWHERE}]\n{}", stamp(n), stamp(n)),
                format!("2026-11-22 02:00:00.10 Server      UTC adjustment: 9:00\n{}", stamp(n)),
            ];
            let lead = random.pick(&["x\n", "x'.\n", "x'. [CLIENT: 1.1.1.1]\n", "\n", "x'. Reason: y [CLIENT: 1.1.1.1]\r\n", "\n\n"]);
            let tail = random.pick(&["", "\n", "\n2026-11-22 02:00:00.10 s  ", "'", "\n[CLIENT: 2.2.2.2]\n"]);
            let name: String = format!("{lead}{}{tail}", random.pick(&lines.each_ref().map(String::as_str))).chars().take(128).collect();
            log.push_str(&format!("{}Error: 18456, Severity: 14, State: 5.\n", stamp(n)));
            log.push_str(&format!("{}Login failed for user '{name}'. Reason: Could not find a login. [CLIENT: {LAIR}]\n", stamp(n)));
            log.push_str(&format!(
                "{}Login succeeded for user '{HONEST}'. Connection made using Windows authentication. [CLIENT: {HOME}]\n",
                stamp(n)
            ));
        }
        let mut sink = |item: Item<'_>| {
            let Decoded::Event(event) = item.decoded else { panic!("{:?}", item.decoded) };
            match actor(&event) {
                Some(principal) => {
                    assert_eq!((event.kind, principal.name.to_string().as_str()), (Kind::Login, HONEST), "log {seed}");
                    assert!(event.time.to_string().starts_with("2026-11-22T02:"), "log {seed}: {}", event.time);
                    seen += 1;
                }
                None => assert_ne!((event.kind, event.suspect), (Kind::Login, None)),
            }
        };
        read(Stream::new(by_name("mssql-errorlog"), FormatOptions::default(), 0), log.as_bytes(), || 4_096, &mut sink);
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
            "2026-11-22 02:05:17;indexserver;hdb1;WLF;37;33703;PRD;{};app-7;8080;57436;reads;INFO;SELECT;{user};{};{};;;;;SUCCESSFUL;;;;;;;{statement};427423;;;;;",
            home(user),
            csv(schema),
            csv(object)
        )
    };
    check("saphana-audit", "", 50, |random, honest| {
        let text = match honest {
            Some(statement) => record(HONEST, "S", "ORDERS", statement),
            None => {
                let forged = garble(random, &record(VICTIM, "S", "T", "DROP TABLE T")).replace(['\n', '\r'], " ");
                if random.below(2) == 0 { record(HOSTILE, "S", &forged, "SELECT 1") } else { record(HOSTILE, "S", "T", &forged) }
            }
        };
        text + "\n"
    });
}
