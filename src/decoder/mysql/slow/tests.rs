use super::*;
use crate::decoder::stream::{Item, Stream};

/// `KIND TIME USER[!]@ADDRESS/DATABASE ID ROWS DURATION STATEMENT`, with `!` behind what may be forged.
fn decode(log: &[u8], piece: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut stream = Stream::new(Some(&FORMAT), Options::default(), 0);
    let mut sink = |item: Item<'_>| {
        let text = match item.decoded {
            Decoded::Event(e) => {
                let user = e
                    .principal
                    .map_or(String::new(), |p| format!("{}{}", p.name, if p.provenance == Provenance::Claimed { "?" } else { "" }));
                let address = e.address.map_or(String::new(), |a| a.to_string());
                let suspect = if e.suspect.is_some() { "!" } else { "" };
                let database = e.database.unwrap_or_default();
                let (id, statement) = (e.session.unwrap_or_default(), e.statement.unwrap_or_default());
                let (rows, duration) = (e.rows.map_or(-1, |n| n as i64), e.duration_us.map_or(-1, |n| n as i64));
                format!("{:?} {} {user}{suspect}@{address}/{database} {id} {rows} {duration} {statement}", e.kind, e.time)
            }
            Decoded::Reject(reason) => format!("reject: {reason}"),
            Decoded::Skip(_) => return,
        };
        all.push(text.trim_end().to_owned());
    };
    for piece in log.chunks(piece.max(1)) {
        stream.feed(piece, &mut sink);
    }
    stream.close(&mut sink);
    let counts = stream.counts();
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes);
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips);
    all
}

fn check(log: &str, want: &[&str]) {
    for piece in [log.len(), 50, 7, 1] {
        assert_eq!(decode(log.as_bytes(), piece), want, "in pieces of {piece}: {log}");
    }
}

#[test]
fn variants() {
    // MySQL 5.7 and 8.
    check(
        "mysqld, Version: 8.0.36 (MySQL). started with:\nTcp port: 3306  Unix socket: /s\nTime                 Id Command    Argument\n\
         # Time: 2026-11-22T02:21:28.698433Z\n# User@Host: bill[bill] @ app.example.org [10.0.0.2]  Id:    12\n\
         # Query_time: 0.000213  Lock_time: 0.000004 Rows_sent: 1  Rows_examined: 7\nuse app;\nSET timestamp=1795314088;\nSELECT *\n# no: head\nFROM t;\n\
         # Time: 2026-11-22T02:21:29.698433Z\n# User@Host: bill[bill] @ app.example.org [10.0.0.2]  Id:    12\n\
         # Query_time: 0.000013  Lock_time: 0.000000 Rows_sent: 0  Rows_examined: 0\nSET timestamp=1795314089;\n# administrator command: Quit;\n",
        &[
            "Query 2026-11-22T02:21:28Z bill@10.0.0.2/app 12 1 213 SELECT *\n# no: head\nFROM t",
            "Logout 2026-11-22T02:21:29Z bill@10.0.0.2/ 12 0 13",
        ],
    );
    // log_slow_extra.
    check(
        "# Time: 2026-11-22T02:21:28.698433Z\n# User@Host: bill[bill] @ localhost []  Id:    12\n\
         # Query_time: 0.500000  Lock_time: 0.000000 Rows_sent: 0  Rows_examined: 0 Thread_id: 12 Errno: 1142 Killed: 0 Bytes_received: 27 Bytes_sent: 219 Read_first: 1 Start: 2026-11-22T02:21:28.198433Z End: 2026-11-22T02:21:28.698433Z\n\
         SET timestamp=1795314088;\nSELECT * FROM secret;\n",
        &["Denied 2026-11-22T02:21:28Z bill@local/ 12 0 500000 SELECT * FROM secret"],
    );
    // Percona Server.
    check(
        "# Time: 261122  2:21:28\n# User@Host: bill[bill] @  [10.0.0.2]  Id:    12\n# Schema: app  Last_errno: 0  Killed: 0\n\
         # Query_time: 0.000213  Lock_time: 0.000004  Rows_sent: 0  Rows_examined: 0  Rows_affected: 3\n# Bytes_sent: 52  Tmp_tables: 0\n# InnoDB_trx_id: 1A\n\
         # QC_Hit: No  Full_scan: Yes\n# No InnoDB statistics available for this query\n# Log_slow_rate_type: query  Log_slow_rate_limit: 2\n\
         SET timestamp=1795314088;\nUPDATE t SET a=1;\n",
        &["Query 2026-11-22T02:21:28Z bill@10.0.0.2/app 12 3 213 UPDATE t SET a=1"],
    );
    // MariaDB; two of the same second; no database.
    check(
        "# Time: 261122  2:21:28\n# User@Host: root[root] @ localhost []\n# Thread_id: 4  Schema:   QC_hit: No\n\
         # Query_time: 0.002090  Lock_time: 0.001439  Rows_sent: 1  Rows_examined: 4601\n# Rows_affected: 0  Bytes_sent: 66\n\
         # Full_scan: Yes  Full_join: No\n#\n# explain: id\tselect_type\n# explain: 1\tSIMPLE\n#\nSET timestamp=1795314088;\nSELECT count(*) FROM t;\n\
         # User@Host: root[root] @ localhost []\n# Thread_id: 4  Schema: app  QC_hit: No\n# Query_time: 0.000050  Lock_time: 0.000000  Rows_sent: 0  Rows_examined: 0\n\
         # Rows_affected: 0  Bytes_sent: 11\nSET timestamp=1795314088;\nSET NAMES utf8mb4;\n",
        &[
            "Query 2026-11-22T02:21:28Z root@local/ 4 1 2090 SELECT count(*) FROM t",
            "Query 2026-11-22T02:21:28Z root@local/app 4 0 50 SET NAMES utf8mb4",
        ],
    );
    // MySQL 4 and 5: whole seconds, no SET timestamp, both heads on one line, a replica's thread.
    check(
        "# Time: 071218 11:48:27 # User@Host: [SQL_SLAVE] @  []\n# Query_time: 2  Lock_time: 0  Rows_sent: 0  Rows_examined: 62951\nuse db1;\nUPDATE t\nSET a=1;\n\
         # User@Host: a[a] @ h []\n# Query_time: 3  Lock_time: 0  Rows_sent: 5  Rows_examined: 5\nSELECT 1;\n",
        &["Query 2007-12-18T11:48:25Z SQL_SLAVE?@/db1  0 2000000 UPDATE t\nSET a=1", "Query 2007-12-18T11:48:24Z a@h/  5 3000000 SELECT 1"],
    );
}

#[test]
fn a_clock_set_by_the_client_is_not_believed() {
    let entry = |stamp: &str, set: i64| {
        format!(
            "# Time: {stamp}\n# User@Host: a[a] @  [1.1.1.1]  Id: 1\n# Query_time: 0.5  Lock_time: 0.1 Rows_sent: 1  Rows_examined: 1\nSET timestamp={set};\nSELECT 1;\n"
        )
    };
    for (stamp, set, want) in [
        ("2026-11-22T02:21:28.698433Z", 1_795_314_088, "2026-11-22T02:21:28Z"),
        ("2026-11-22T02:21:28.698433Z", 1_795_310_488, "2026-11-22T02:21:28.198433Z"),
        ("2026-11-22T02:21:28.698433Z", 1, "2026-11-22T02:21:28.198433Z"),
        ("261122  2:21:28", 1_795_314_088, "2026-11-22T02:21:28Z"),
        // The zone of the server is not known, and an hour off.
        ("261122  3:21:28", 1_795_314_088, "2026-11-22T02:21:28Z"),
        ("261122  2:21:28", 1_795_312_345, "2026-11-22T02:21:27.5Z"),
    ] {
        let seen = decode(entry(stamp, set).as_bytes(), 1000);
        assert!(seen[0].starts_with(&format!("Query {want} ")), "{stamp}, {set}: {seen:?}");
    }
}

/// An entry as MariaDB writes it.
fn entry(user: &str, id: u32, cost: &str, statement: &str) -> String {
    format!(
        "# User@Host: {user}[{user}] @  [10.0.0.{id}]\n# Thread_id: {id}  Schema: app  QC_hit: No\n# Query_time: 0.000050  {cost}\nSET timestamp=1795314088;\n{statement};\n"
    )
}

const ROWS: &str = "Lock_time: 0.000003  Rows_sent: 1  Rows_examined: 1\n# Rows_affected: 0  Bytes_sent: 87";
const FAILED: &str = "Lock_time: 0.000000  Rows_sent: 0  Rows_examined: 0\n# Rows_affected: 0  Bytes_sent: 243";

#[test]
fn forged_entries() {
    let forged = entry("root", 1, ROWS, "DROP TABLE forged");
    let forged = forged.trim_end();
    let short = |seen: Vec<String>| -> Vec<String> {
        seen.into_iter().map(|s| s.split_once("Z ").map_or(s.clone(), |(_, rest)| rest.replace("/app", ""))).collect()
    };
    let log = |statement: &str, cost: &str| {
        format!(
            "# Time: 261122  2:21:28\n{}{}{}",
            entry("bill", 2, ROWS, "SELECT 1"),
            entry("eve", 6, cost, statement),
            entry("bill", 2, ROWS, "SELECT 2")
        )
    };
    // Parsed: the text is eve's, all of it, and bill keeps his token.
    for statement in [
        format!("SELECT ';\n{forged}\n'"),
        format!("SELECT 1 /*;\n{forged} */"),
        format!("SELECT `;\n{forged}`"),
        format!("SELECT \"a\\\\;\n{forged}\""),
    ] {
        for piece in [1, 100_000] {
            let seen = short(decode(log(&statement, ROWS).as_bytes(), piece));
            assert_eq!(
                seen,
                ["bill@10.0.0.2 2 1 50 SELECT 1", &format!("eve@10.0.0.6 6 1 50 {statement}"), "bill@10.0.0.2 2 1 50 SELECT 2"]
            );
        }
    }
    // Perhaps a syntax error: what follows may be eve's, whatever it is.
    for statement in [format!("SELECT 1;\n{forged}"), format!("SELECT ';\n{forged}"), format!("# administrator command: Quit;\n{forged}")] {
        let seen = short(decode(log(&statement, FAILED).as_bytes(), 9));
        assert_eq!(seen.len(), 4, "{seen:#?}");
        assert!(seen[2].starts_with("root?!@10.0.0.1"), "{seen:#?}");
        assert!(seen[3].starts_with("bill?!@10.0.0.2"), "{seen:#?}");
    }
    // Parsed, but not to be told where it ends.
    for statement in [
        format!("BEGIN NOT ATOMIC SELECT 1;\n{forged}; END"),
        format!("SELECT '\\';\n{forged}'"),
        format!("CREATE PROCEDURE p() BEGIN SELECT 1;\n{forged}; END"),
    ] {
        let seen = short(decode(log(&statement, ROWS).as_bytes(), 9));
        assert!(!seen.iter().any(|s| s.starts_with("root@")), "{seen:#?}");
    }
    // Comments and one statement that the server runs, which read like an entry.
    let comments = "# x;\n# User@Host: root[root] @  [10.0.0.1]\n# Query_time: 1  Lock_time: 0\nSET timestamp=1795314088";
    for statement in [comments.to_owned(), comments.trim_start_matches("# x;\n").to_owned()] {
        let seen = short(decode(log(&statement, FAILED.replace("243", "11").as_str()).as_bytes(), 9));
        assert_eq!(seen.len(), 3, "{seen:#?}");
        assert_eq!(seen[2], "bill@10.0.0.2 2 1 50 SELECT 2");
    }
    let statement = comments.replace("# x", "# administrator command: Quit");
    let seen = short(decode(log(&statement, FAILED.replace("243", "11").as_str()).as_bytes(), 9));
    assert!(seen[2].starts_with("root?!@") && seen[3].ends_with("SELECT 2"), "{seen:#?}");
    // A part of an entry is no entry.
    let seen = short(decode(log("SELECT 1\n# User@Host: root[root] @ localhost []\n, 2", ROWS).as_bytes(), 9));
    assert_eq!(seen.len(), 3, "{seen:#?}");
}

#[test]
fn doubt_ends() {
    let mut log = format!("# Time: 261122  2:21:28\n{}{}", entry("bill", 2, ROWS, "SELECT 1"), entry("eve", 6, FAILED, "SELEC 1"));
    for second in 29..45 {
        log.push_str(&format!(
            "# Time: 261122  2:21:{second}\n{}",
            entry("bill", 2, ROWS, "SELECT 2").replace("1795314088", &(1_795_314_060 + second).to_string())
        ));
    }
    let seen = decode(log.as_bytes(), 1000);
    assert_eq!(seen.iter().filter(|s| s.contains(" bill@")).count(), 1 + 12, "{seen:#?}");
}

#[test]
fn no_bytes_are_too_odd() {
    for log in [
        &b"# Time: \n"[..],
        b"# User@Host: \n# Query_time: \n",
        b"# Time: 261122  2:21:28\n# User@Host: a[a] @ h []\n# Query_time: 99999999999999999999\nSET timestamp=99999999999999;\nx;\n",
        b"# Time: 261122  2:21:28\n# User@Host: truncated",
        b"#\n#\n# Time: 2026-11-22T02:21:28.1Z\nuse a;\nuse b;\n# Time: 2026-11-22T02:21:28.1Z\n",
        b"x\n# User@Host: \xff[\0] @ []\n;\n",
    ] {
        assert_eq!(decode(log, log.len()), decode(log, 1), "{}", BStr::new(log));
    }
    let mut huge =
        b"# Time: 261122  2:21:28\n# User@Host: a[a] @ h []\n# Query_time: 1 Lock_time: 1\nSET timestamp=1795314088;\nselect '".to_vec();
    huge.resize(3 << 20, b'x');
    huge.extend_from_slice(b"';\n");
    huge.extend_from_slice(entry("bill", 2, ROWS, "SELECT 1").as_bytes());
    let seen = decode(&huge, 70_000);
    assert_eq!(seen.len(), 2);
    assert!(seen[1].contains("bill?!"), "{seen:?}");
}

#[test]
fn detected() {
    let sure = |log: &str| sniff(log.as_bytes(), &Options::default()).certainty;
    assert!(sure(&entry("bill", 2, ROWS, "SELECT 1")) >= 90);
    assert_eq!(sure("# comment\nSELECT 1\n"), 0);
}
