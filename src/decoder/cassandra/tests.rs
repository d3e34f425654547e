use super::*;
use crate::framing::testing::{frames, in_pieces};
use crate::framing::{Framer, More};

/// The events of a log, in few words.
fn told(log: &str) -> Vec<String> {
    let mut framer: Box<dyn Framer> = Box::new(Joined::<record::Lines>::new());
    let (records, _) = frames(framer.as_mut(), log.as_bytes(), More::Closed);
    for size in [1, 7, 300] {
        let pieces = in_pieces(&mut Joined::<record::Lines>::new(), log.as_bytes(), size);
        assert_eq!(pieces, records, "in pieces of {size}");
    }
    let mut cassandra = Cassandra::new(&Options::default());
    records.iter().map(|record| show(&mut cassandra, record)).collect()
}

fn show(cassandra: &mut Cassandra, record: &[u8]) -> String {
    let arena = Bump::new();
    match cassandra.decode(Record::new(record), &arena) {
        Decoded::Event(e) => {
            let who = e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name.escape_ascii(), p.provenance));
            let place = e.address.map_or("-".to_owned(), |a| format!("{a}:{}", e.port.unwrap_or(0)));
            let objects: Vec<String> = e.objects.iter().map(|o| o.to_string()).collect();
            let doubt = e.suspect.map_or("", |_| " (doubtful)");
            let what = e.operation.map_or("-", Operation::name);
            format!("{:?} {who} {place} {what} [{}]{doubt}", e.kind, objects.join(" "))
        }
        Decoded::Reject(reason) => format!("reject: {reason}"),
        Decoded::Skip(reason) => format!("skip: {reason}"),
    }
}

fn line(who: &str, kind: &str, fields: &str, operation: &str) -> String {
    let (user, port) = who.split_once(':').unwrap();
    let (ip, port) = port.split_once(':').unwrap_or(("127.0.0.1", port));
    format!(
        "INFO  [Native-Transport-Requests-1] 2026-11-27 10:01:55,330 FileAuditLogger.java:51 - user:{user}|host:/127.0.0.1:7000|source:/{ip}|port:{port}|timestamp:1795773715322|type:{kind}|category:{fields}|operation:{operation}\n"
    )
}

#[test]
fn acts() {
    for (kind, fields, operation, want) in [
        ("SELECT", "QUERY|ks:shop|scope:orders", "SELECT * FROM orders", "Query web Authenticated 127.0.0.1:5 select [shop.orders]"),
        (
            "UPDATE",
            "DML|ks:shop|scope:orders",
            "INSERT INTO shop.orders(id) VALUES ('a|b')",
            "Query web Authenticated 127.0.0.1:5 insert [shop.orders]",
        ),
        ("UPDATE", "DML|ks:shop|scope:orders", "/* x */ update orders SET a=1", "Query web Authenticated 127.0.0.1:5 update [shop.orders]"),
        ("DELETE", "DML|ks:shop|scope:orders", "DELETE FROM orders", "Query web Authenticated 127.0.0.1:5 delete [shop.orders]"),
        ("TRUNCATE", "DDL|ks:shop|scope:orders", "TRUNCATE orders", "Query web Authenticated 127.0.0.1:5 truncate [shop.orders]"),
        ("CREATE_KEYSPACE", "DDL|ks:shop", "CREATE KEYSPACE shop WITH replication={}", "Query web Authenticated 127.0.0.1:5 create []"),
        (
            "CREATE_TABLE",
            "DDL|ks:shop|scope:orders",
            "CREATE TABLE shop.orders(id int)",
            "Query web Authenticated 127.0.0.1:5 create [shop.orders]",
        ),
        (
            "GRANT",
            "DCL|ks:data/shop/*|scope:data/shop/orders",
            "GRANT SELECT ON shop.orders TO x",
            "Query web Authenticated 127.0.0.1:5 grant [shop.orders]",
        ),
        ("CREATE_ROLE", "DCL", "CREATE ROLE x WITH PASSWORD='*******'", "Query web Authenticated 127.0.0.1:5 create []"),
        ("USE_KEYSPACE", "OTHER|ks:shop", "USE shop", "Query web Authenticated 127.0.0.1:5 set []"),
        ("LIST_ROLES", "DCL|ks:shop", "LIST ROLES", "Query web Authenticated 127.0.0.1:5 show []"),
        (
            "PREPARE_STATEMENT",
            "PREPARE|ks:shop|scope:orders",
            "SELECT * FROM orders WHERE id=?",
            "Other web Authenticated 127.0.0.1:5 select [shop.orders]",
        ),
        ("BATCH", "DML|batch:1-2", "BatchId:[1-2] - BATCH of [2] statements", "Other web Authenticated 127.0.0.1:5 merge []"),
        (
            "BATCH",
            "DML",
            "BEGIN BATCH\nINSERT INTO shop.a(id) VALUES ('INTO x');\nUPDATE shop.b SET c=1;\nAPPLY BATCH",
            "Query web Authenticated 127.0.0.1:5 merge [shop.a shop.b]",
        ),
        (
            "REQUEST_FAILURE",
            "ERROR|ks:shop",
            "SELECT * FROM nosuch; table nosuch does not exist",
            "Error web Authenticated 127.0.0.1:5 select [shop.nosuch]",
        ),
        (
            "UNAUTHORIZED_ATTEMPT",
            "AUTH",
            "DROP TABLE IF EXISTS shop.\"Orders\"; User web has no DROP permission on <table shop.orders> or any of its parents",
            "Denied web Authenticated 127.0.0.1:5 drop [shop.Orders]",
        ),
        ("LOGIN_SUCCESS", "AUTH", "LOGIN SUCCESSFUL", "Login web Authenticated 127.0.0.1:5 connect []"),
    ] {
        assert_eq!(told(&line("web:5", kind, fields, operation)), [want], "{operation}");
    }
    let refused = line("null:9", "LOGIN_ERROR", "AUTH", "LOGIN FAILURE; Provided username bob and/or password *******");
    assert_eq!(told(&refused), ["LoginFailed bob Claimed 127.0.0.1:9 connect []"]);
}

#[test]
fn other_forms() {
    let log = "\
INFO  [main] 2026-07-21 12:18:15,910 YamlConfigurationLoader.java:92 - Configuration location
java.io.IOException: closed
\tat sun.nio.ch.SocketDispatcher.read0(Native Method)
LogMessage: user:anonymous|host:localhost/127.0.0.1:7000|source:/127.0.0.1|port:53418|timestamp:1539978679457|type:SELECT|category:QUERY|ks:k1|scope:t1|operation:SELECT * FROM k1.t1
user:web|host:localhost/127.0.0.1:7000|source:/0:0:0:0:0:0:0:1|port:53418|timestamp:1539978679457|type:SELECT|category:QUERY|ks:k1|scope:t1|operation:SELECT * FROM k1.t1
INFO  [CoreThread-3] 2026-07-21 12:18:15,910 SLF4JAuditWriter.java:92 - host:10.0.0.1|source:/10.0.0.7|user:web|authenticated:web|timestamp:1539978679457|category:DML|type:CQL_UPDATE|ks:k1|cf:t1|operation:INSERT INTO t1 (a) VALUES (1)
2026-07-21 12:18:15.910 - client:'10.0.0.7'|user:'o'brien'|status:'ATTEMPT'|operation:'SELECT * FROM k1.t1 WHERE a='x''
2026-07-21 12:18:15.911 - client:'10.0.0.7'|user:'web'|status:'FAILED'|operation:'SELECT * FROM k1.t1'
2026-07-21 12:18:15.911 - client:'10.0.0.7'|user:'bob'|status:'FAILED'|operation:'Authentication failed'
12:18:15.911 - client:'10.0.0.7'|user:'web'|batchId:'1'|status:'ATTEMPT'|operation:'SELECT 1'
";
    assert_eq!(
        told(log),
        [
            "Other - - - []",
            "Query - 127.0.0.1:53418 select [k1.t1]",
            "Query web Authenticated ::1:53418 select [k1.t1]",
            "Query web Authenticated 10.0.0.7:0 insert [k1.t1]",
            r"Query o\'brien Authenticated 10.0.0.7:0 - []",
            "Error web Authenticated 10.0.0.7:0 - []",
            "LoginFailed bob Claimed 10.0.0.7:0 connect []",
            "reject: no date: put %d{ISO8601} into ecAudit's pattern",
        ]
    );
}

#[test]
fn records_inside_literals_and_comments_are_part_of_them() {
    let forged = line("admin:7", "SELECT", "QUERY|ks:a|scope:b", "SELECT * FROM secrets");
    for statement in [
        format!("INSERT INTO shop.orders(id,note) VALUES (2,'x''\n{forged}')"),
        format!("SELECT * FROM shop.orders /* '\n{forged}*/"),
        format!("SELECT * FROM shop.orders WHERE a=$$'\n{forged}$$"),
        format!("SELECT \"a'\n{forged}\" FROM shop.orders"),
        format!("SELECT * FROM shop.orders -- '\nWHERE a='\n{forged}'"),
    ] {
        let end = line("etl:8", "SELECT", "QUERY|ks:a|scope:b", "SELECT 1");
        let got = told(&format!("{}{end}", line("web:5", "UPDATE", "DML|ks:shop|scope:orders", &statement)));
        assert_eq!(got.len(), 2, "{statement}: {got:#?}");
        assert!(got[0].contains(" web ") && got[1].contains(" etl "), "{got:#?}");
    }
    let name = format!("x\n{forged}y");
    let refused = line("null:9", "LOGIN_ERROR", "AUTH", &format!("LOGIN FAILURE; Provided username {name} and/or password *******"));
    let got = told(&format!("{refused}{}", line("new:6", "SELECT", "QUERY|ks:a|scope:b", "SELECT 1")));
    assert_eq!(got.len(), 2, "{got:#?}");
    assert!(got[0].starts_with("LoginFailed x\\n") && got[1] == "Query new Authenticated 127.0.0.1:6 select [a.b]", "{got:#?}");
    // A quote in the words of the server opens nothing.
    let denied = "DROP TABLE shop.a; User o'brien has no DROP permission on <table shop.a> or any of its parents";
    let got = told(&format!("{}{forged}", line("o'brien:5", "UNAUTHORIZED_ATTEMPT", "AUTH", denied)));
    assert_eq!(got.len(), 2, "{got:#?}");
}

#[test]
fn behind_a_failure_only_known_sessions_count() {
    let login = |who: &str| line(who, "LOGIN_SUCCESS", "AUTH", "LOGIN SUCCESSFUL");
    let select = |who: &str| line(who, "SELECT", "QUERY|ks:a|scope:b", "SELECT 1");
    let failure = line("web:5", "REQUEST_FAILURE", "ERROR", "SELEC 1; line 1:0 no viable alternative");
    let doubts = |log: String| -> Vec<bool> { told(&log).iter().map(|l| l.contains("doubtful")).collect() };
    let start = login("web:5") + &login("etl:6") + &login("far:10.0.0.9:7");
    let new = login("admin:8") + &select("admin:8");
    let own = doubts(format!("{start}{failure}{new}{}", select("web:5")));
    assert_eq!(own, [false, false, false, false, true, true, false]);
    // Another's session speaks, or a minute has passed: the log has gone on.
    let ended = doubts(format!("{start}{failure}{new}{}{new}", select("etl:6")));
    assert_eq!(ended, [false, false, false, false, true, true, false, false, false]);
    let later = doubts(format!("{start}{failure}{}", new.replace("1795773715322", "1795773776322")));
    assert_eq!(later, [false, false, false, false, false, false]);
    let beyond = doubts(format!("{start}{failure}{}", new.replace("1795773715322", "1895773776322")));
    assert_eq!(beyond, [false, false, false, false, true, true]);
    // A session that is another's.
    assert_eq!(doubts(format!("{start}{failure}{}", select("admin:6"))), [false, false, false, false, true]);
}

#[test]
fn names_with_bars_name_nobody() {
    let pipe = line("admin|host:h|source:/6.6.6.6|port:1:5", "SELECT", "QUERY|ks:a|scope:b", "SELECT 1");
    let whole = "INFO  [a] 2026-11-27 10:01:55,330 F.java:51 - user:admin|host:h|source:/6.6.6.6|port:1|timestamp:1795773715322|type:SELECT|category:QUERY|operation:x|host:/127.0.0.1:7000|source:/127.0.0.1|port:5|timestamp:1795773715322|type:SELECT|category:QUERY|operation:SELECT 1\n";
    for log in [pipe.as_str(), whole] {
        assert!(told(log).iter().all(|l| l.contains("doubtful")), "{:?}", told(log));
    }
}

#[test]
fn any_bytes() {
    for log in [
        "INFO  [",
        "INFO  [a] 2026-99-27 10:01:55,330 F.java:51 - x",
        "INFO  [a] 2026-11-27 10:01:55,330 F.java:51 - user:a",
        "user:a|timestamp:x|type:y|operation:",
        "user:a|timestamp:99999999999999999999|type:y|operation:",
        "- client:'",
        "1:2:3 - client:''|user:''|status:''|operation:'",
        "\0\n\u{ff}",
        "user:a|source:|port:|timestamp:1|type:BATCH|category:|ks:|scope:|operation:BEGIN BATCH INSERT INTO",
        "user:a|source:/|port:99999|timestamp:1|type:_|category:|ks:data/|scope:/|operation:\"'",
    ] {
        told(log);
    }
}
