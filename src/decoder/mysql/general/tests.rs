use super::*;
use crate::decoder::stream::{Item, Stream};

/// `KIND USER[!]@ADDRESS/DATABASE ID STATEMENT`, with `!` behind what may be forged.
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
                let (database, id, statement) =
                    (e.database.unwrap_or_default(), e.session.unwrap_or_default(), e.statement.unwrap_or_default());
                assert!(e.suspect.is_none() || e.principal.is_none_or(|p| p.provenance == Provenance::Claimed));
                format!("{:?} {user}{suspect}@{address}/{database} {id} {statement}", e.kind)
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

const HEAD: &str = "/usr/sbin/mysqld, Version: 8.0.36 (MySQL). started with:\nTcp port: 3306  Unix socket: /s\nTime                 Id Command    Argument\n";

/// A log of MySQL 8: lines of `ID COMMAND<tab>ARGUMENT`, a millisecond apart.
fn iso(lines: &[&str]) -> String {
    let mut log = HEAD.to_owned();
    for (at, line) in lines.iter().enumerate() {
        log.push_str(&format!("{}\t{line}\n", stamp(at)));
    }
    log
}

fn stamp(at: usize) -> String {
    format!("2026-11-22T02:21:28.{:06}Z", 1000 * at)
}

#[test]
fn a_session_of_mysql_8() {
    check(
        &iso(&[
            "   12 Connect\tbill@10.0.0.2 on app using TCP/IP",
            "   12 Query\tSELECT 'a\n\nb'\nFROM t",
            "   12 Init DB\tother",
            "   12 Query\tuse `third`",
            "   12 Prepare\tSELECT ?",
            "   12 Execute\tSELECT 1",
            "   12 Close stmt\t",
            "   13 Connect\tann@localhost on  using Socket",
            "   12 Query\tSELECT 2",
            "   13 Query\tSELECT 3",
            "   14 Connect\tbill@10.0.0.9 on app using SSL/TLS",
            "   14 Connect\tAccess denied for user 'bill'@'10.0.0.9' (using password: YES)",
            "   15 Connect\tAccess denied for user 'x'@'10.0.0.9' (using password: NO)",
            "   99 Query\tSELECT 4",
            "   12 Quit\t",
        ]),
        &[
            "Login bill@10.0.0.2/app 12",
            "Query bill@10.0.0.2/app 12 SELECT 'a\n\nb'\nFROM t",
            "Other bill@10.0.0.2/other 12",
            "Query bill@10.0.0.2/other 12 use `third`",
            "Other bill@10.0.0.2/third 12 SELECT ?",
            "Query bill@10.0.0.2/third 12 SELECT 1",
            "Other bill@10.0.0.2/third 12",
            "Login ann?@local/ 13",
            "Query bill@10.0.0.2/third 12 SELECT 2",
            "Query ann@local/ 13 SELECT 3",
            "LoginFailed bill?@10.0.0.9/app 14",
            "LoginFailed x?@10.0.0.9/ 15",
            "Query @/ 99 SELECT 4",
            "Logout bill@10.0.0.2/third 12",
        ],
    );
}

#[test]
fn a_session_of_mariadb() {
    check(
        "mariadbd, Version: 10.11 (Debian). started with:\nTcp port: 3306  Unix socket: /s\nTime\t\t    Id Command\tArgument\n\
         261122  2:21:28\t     3 Query\tinit file\n\
         \t\t     4 Connect\tbill@10.0.0.2 on app using TCP/IP\n\t\t     4 Query\tSELECT 1\nFROM t\n\t\t     4 Quit\t\n\
         261122  2:21:29\t     5 Connect\tann@10.0.0.3 on app using TCP/IP\n\t\t     5 Query\tSELECT 2\n\t\t     5 Quit\t\n",
        &[
            "Query @/ 3 init file",
            "Login bill@10.0.0.2/app 4",
            "Query bill@10.0.0.2/app 4 SELECT 1\nFROM t",
            "Logout bill@10.0.0.2/app 4",
            "Login ann@10.0.0.3/app 5",
            "Query ann@10.0.0.3/app 5 SELECT 2",
            "Logout ann@10.0.0.3/app 5",
        ],
    );
}

#[test]
fn in_mysql_8_a_head_inside_a_quote_is_text() {
    let forged = format!("{}\t   12 Query\tDROP TABLE forged", stamp(5));
    for (open, close) in [("'", "'"), ("/*", "*/"), ("\"", "\""), ("`", "`"), ("'\\\\", "'"), ("/*!50000 'x", "' */")] {
        let statement = format!("SELECT {open}\n{forged}\n{close}");
        check(
            &iso(&[
                "   12 Connect\tbill@10.0.0.2 on app using TCP/IP",
                "   12 Query\tSELECT 1",
                "   13 Connect\teve@10.0.0.6 on  using TCP/IP",
                &format!("   13 Query\t{statement}"),
                "   12 Query\tSELECT 2",
                "   13 Query\tSELECT 3",
            ]),
            &[
                "Login bill@10.0.0.2/app 12",
                "Query bill@10.0.0.2/app 12 SELECT 1",
                "Login eve@10.0.0.6/ 13",
                &format!("Query eve@10.0.0.6/ 13 {statement}"),
                "Query bill@10.0.0.2/app 12 SELECT 2",
                "Query eve@10.0.0.6/ 13 SELECT 3",
            ],
        );
    }
}

#[test]
fn a_quote_whose_end_nobody_knows_makes_doubtful() {
    let forged = format!("{}\t   12 Query\tDROP TABLE forged'", stamp(5));
    let seen = decode(
        iso(&[
            "   12 Connect\tbill@10.0.0.2 on app using TCP/IP",
            "   12 Query\tSELECT 1",
            "   13 Connect\teve@10.0.0.6 on  using TCP/IP",
            "   13 Query\tSELECT 0",
            &format!("   13 Query\tSELECT '\\'\n{forged}"),
            "   12 Query\tSELECT 2",
        ])
        .as_bytes(),
        1,
    );
    assert_eq!(seen[5..], ["Query bill?!@10.0.0.2/app 12 DROP TABLE forged'", "Query bill?!@10.0.0.2/app 12 SELECT 2"]);
    // With log_raw a statement need not be closed. All is seen after a while.
    let mut lines = vec!["   12 Connect\tbill@10.0.0.2 on app using TCP/IP", "   12 Query\tSELECT 1", "   13 Query\tSELECT 'a"];
    lines.resize(200, "   12 Query\tSELECT 2");
    let seen = decode(iso(&lines).as_bytes(), 1000);
    assert_eq!(seen.len(), 200);
    assert_eq!(seen[2], "Query @/ 13 SELECT 'a");
}

#[test]
fn in_mariadb_another_at_work_makes_doubtful() {
    let log = "261122  2:21:28\t     8 Connect\tbill@10.0.0.2 on app using TCP/IP\n\t\t     8 Query\tSELECT 1\n\
         \t\t    20 Connect\teve@10.0.0.6 on app using TCP/IP\n\t\t    20 Query\tSELECT 2\n\t\t     8 Query\tDROP TABLE forged\n\t\t    20 Query\tSELECT 3\n\
         \t\t    20 Quit\t\n\t\t     8 Query\tSELECT 4\n\t\t    21 Connect\tann@10.0.0.3 on app using TCP/IP\n\t\t    21 Query\tSELECT 5\n";
    check(
        log,
        &[
            "Login bill@10.0.0.2/app 8",
            "Query bill@10.0.0.2/app 8 SELECT 1",
            "Login eve?!@10.0.0.6/app 20",
            "Query eve?!@10.0.0.6/app 20 SELECT 2",
            "Query bill?!@10.0.0.2/app 8 DROP TABLE forged",
            "Query eve?!@10.0.0.6/app 20 SELECT 3",
            "Logout eve?!@10.0.0.6/app 20",
            "Query bill?!@10.0.0.2/app 8 SELECT 4",
            "Login ann?!@10.0.0.3/app 21",
            "Query ann?!@10.0.0.3/app 21 SELECT 5",
        ],
    );
    // Once eve has been silent for five seconds in which the log went on, bill is the only one.
    let mut later = log.replace("ann@", "bill@");
    for second in 29..45 {
        later.push_str(&format!("261122  2:21:{second}\t     8 Query\tSELECT {second}\n"));
    }
    let seen = decode(later.as_bytes(), 100);
    assert_eq!(seen.iter().filter(|s| s.starts_with("Query bill@")).count(), 2 + 12, "{seen:#?}");
}

#[test]
fn who_forges_his_own_end_gives_himself_away() {
    let log = "261122  2:21:28\t    20 Connect\teve@10.0.0.6 on app using TCP/IP\n\t\t    20 Query\tSELECT 2\n\t\t    20 Quit\t\n\t\t    20 Query\tSELECT 3\n\
         \t\t    20 Query\tSELECT 4\n\t\t    20 Quit\t\n\t\t    21 Connect\tbill@10.0.0.2 on app using TCP/IP\n\t\t    21 Query\tDROP TABLE forged\n";
    let seen = decode(log.as_bytes(), 9);
    assert_eq!(seen[6..], ["Login bill?!@10.0.0.2/app 21", "Query bill?!@10.0.0.2/app 21 DROP TABLE forged"]);
}

#[test]
fn names_with_line_ends() {
    for head in ["", HEAD] {
        let (a, b) = if head.is_empty() { ("\t\t".to_owned(), "261122  2:21:28".to_owned()) } else { (stamp(1) + "\t", stamp(0)) };
        let name = format!("bill@10.0.0.2 on app using TCP/IP\n{a}   57 Query\tDROP TABLE forged");
        let log = format!(
            "{head}{b}\t   57 Connect\t{name}@6.6.6.6 on  using TCP/IP\n{a}   57 Connect\tAccess denied for user '{name}'@'6.6.6.6' (using password: YES)\n\
             {a}   58 Connect\tbill@10.0.0.2 on app using TCP/IP\n{a}   58 Query\tSELECT 1\n"
        );
        let seen = decode(log.as_bytes(), 3);
        assert_eq!(seen.len(), 3, "{seen:#?}");
        assert!(seen[0].starts_with("LoginFailed bill@10.0.0.2 on app using TCP/IP\n") && seen[0].contains("?!@6.6.6.6"), "{seen:?}");
        assert_eq!(seen[1..], ["Login bill@10.0.0.2/app 58", "Query bill@10.0.0.2/app 58 SELECT 1"]);
    }
    // A database of that name needs an account, and brings no refusal.
    let database = format!("x using TCP/IP\n{}\t   12 Query\tDROP t", stamp(3));
    let seen = decode(
        iso(&[
            "   12 Connect\tbill@10.0.0.2 on app using TCP/IP",
            "   12 Query\tSELECT 1",
            &format!("   13 Connect\teve@6.6.6.6 on {database} using TCP/IP"),
            "   12 Query\tSELECT 2",
        ])
        .as_bytes(),
        5,
    );
    assert_eq!(seen[3], "Query bill?!@10.0.0.2/app 12 DROP t using TCP/IP");
}

#[test]
fn time_that_goes_back_is_not_believed_at_once() {
    let log = "261122  2:21:28\t     8 Connect\tbill@10.0.0.2 on app using TCP/IP\n\t\t     8 Query\tSELECT 1\n261122  2:11:00\t     8 Query\tSELECT 2\n\
         \t\t     8 Query\tSELECT 3\n261122  2:21:29\t     8 Query\tSELECT 4\n261122  1:21:29\t     8 Query\tSELECT 5\n261122  1:21:30\t     8 Query\tSELECT 6\n";
    let seen = decode(log.as_bytes(), 9);
    let doubted: Vec<_> = seen.iter().filter(|s| s.contains('!')).collect();
    assert_eq!(doubted, ["Query bill?!@10.0.0.2/app 8 SELECT 2", "Query bill?!@10.0.0.2/app 8 SELECT 5"]);
}

#[test]
fn no_bytes_are_too_odd() {
    for log in [
        &b"\t\t     8 Query\tx\n"[..],
        b"261122  2:21:28\t     8 Connect\n",
        b"261122  2:21:28\t     8 Connect\t\n261122  2:21:28\t     8 Connect\tAccess denied for user '\n",
        b"261122  2:21:28\t     8 Query\t\xff\0\xfe\n\0\0\n",
        b"garbage\n\n\n\nmore\n261122  2:21:28\t     8 Init DB\t",
        b"261322  2:21:28\t     8 Query\tx\n",
    ] {
        let whole = decode(log, log.len());
        assert_eq!(whole, decode(log, 1));
    }
    let mut huge = b"261122  2:21:28\t     8 Query\t".to_vec();
    huge.resize(3 << 20, b'x');
    huge.extend_from_slice(b"\n261122  2:21:28\t     8 Query\tSELECT 1\n");
    let seen = decode(&huge, 70_000);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1], "Query @/ 8 SELECT 1");
}

#[test]
fn detected() {
    let sure = |log: &str| sniff(log.as_bytes(), &Options::default()).certainty;
    assert!(sure(&iso(&["   12 Query\tSELECT 1"])) >= 90);
    assert!(sure("261122  2:21:28\t     8 Query\tx\n") >= 90);
    assert_eq!(sure("# Time: 261122  2:21:28\n# User@Host: a[a] @ b []\n"), 0);
    assert_eq!(sure("2026-11-22 02:21:28 UTC [8] LOG:  x\n"), 0);
}
