use super::*;
use crate::framing::testing::frames;
use crate::framing::{Framer, More};

/// The events of a log, in few words.
fn told(log: &str) -> Vec<String> {
    let mut framer: Box<dyn Framer> = Box::new(Joined::<Lines>::new());
    let (records, _) = frames(framer.as_mut(), log.as_bytes(), More::Closed);
    let mut text = Text::new(&Options::default());
    records.iter().map(|record| show(&mut text, record)).collect()
}

fn show(text: &mut Text, record: &[u8]) -> String {
    let arena = Bump::new();
    match text.decode(Record::new(record), &arena) {
        Decoded::Event(e) => {
            let who = e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance));
            let place = e.address.map_or("-".to_owned(), |a| a.to_string());
            let objects: Vec<String> = e.objects.iter().map(|o| o.to_string()).collect();
            let code = e.code.map_or(String::new(), |c| format!(" {c}"));
            let rows = e.rows.map_or(String::new(), |r| format!(" rows={r}"));
            let us = e.duration_us.map_or(String::new(), |d| format!(" us={d}"));
            let doubt = e.suspect.map_or(String::new(), |s| format!(" ({s})"));
            format!(
                "{:?} {who} {place} {} [{}]{code}{rows}{us}{doubt}",
                e.kind,
                e.operation.map_or("-", Operation::name),
                objects.join(" ")
            )
        }
        Decoded::Reject(reason) => format!("reject: {reason}"),
        Decoded::Skip(reason) => format!("skip: {reason}"),
    }
}

const SESSION: &str = r#"2020-03-12T00:00:35.900+0000 I  NETWORK  [listener] connection accepted from 10.0.0.7:38918 #46 (3 connections now open)
2020-03-12T00:00:35.911+0000 I  NETWORK  [conn46] received client metadata from 10.0.0.7:38918 conn46: { driver: { name: "PyMongo", version: "3.8.0" }, application: { name: "web" }, os: { type: "Linux" } }
2020-03-12T00:00:35.957+0000 I  ACCESS   [conn46] Successfully authenticated as principal app on admin from client 10.0.0.7:38918
"#;

#[test]
fn a_session() {
    let log = format!(
        "{SESSION}{}",
        r#"2020-03-12T00:00:36.101+0000 I  COMMAND  [conn46] command shop.orders appName: "web" command: find { find: "orders", filter: { a: 1 }, $db: "shop" } planSummary: COLLSCAN nreturned:3 reslen:126 locks:{ Global: { acquireCount: { r: 1 } } } protocol:op_msg 123ms
2020-03-12T00:00:36.201+0000 I  WRITE    [conn46] update shop.orders command: { q: { _id: 1 }, u: {} } nMatched:1 nModified:1 2ms
2020-03-12T00:00:36.202+0000 I  COMMAND  [conn46] command shop.$cmd command: insert { insert: "x", $db: "shop" } ok:0 errMsg:"no" errName:Unauthorized errCode:13 reslen:126 protocol:op_msg 0ms
2020-03-12T00:00:36.203+0000 I  ACCESS   [conn46] Unauthorized: not authorized on shop to execute command { drop: "orders", $db: "shop" }
2020-03-12T00:00:36.204+0000 I  COMMAND  [conn46] CMD: drop shop.orders
2020-03-12T00:00:36.301+0000 I  NETWORK  [conn46] end connection 10.0.0.7:38918 (2 connections now open)
"#
    );
    assert_eq!(
        told(&log),
        [
            "Other - 10.0.0.7 - []",
            "Other - 10.0.0.7 - []",
            "Login app Authenticated 10.0.0.7 connect []",
            "Query app Authenticated 10.0.0.7 select [shop.orders] rows=3 us=123000",
            "Query app Authenticated 10.0.0.7 update [shop.orders] rows=1 us=2000",
            "Denied app Authenticated 10.0.0.7 insert [shop.x] 13 us=0",
            "Denied app Authenticated 10.0.0.7 drop [shop.orders]",
            "Query app Authenticated 10.0.0.7 drop [shop.orders]",
            "Logout app Authenticated 10.0.0.7 - []",
        ]
    );
}

#[test]
fn older_forms() {
    let log = r#"Wed Jul 13 16:14:35.324 I QUERY [conn39] getmore db.collection query: { a: null } cursorid:47 ntoreturn:0 nreturned:10 reslen:19 220ms
Thu Mar  6 11:21:51.314 [TTLMonitor] query test.system.indexes query: { a: 1 } ntoreturn:0 nreturned:0 reslen:20 0ms
2016-11-20T00:24:00.110+0100 [conn5] Failed to authenticate root@admin with mechanism MONGODB-CR: AuthenticationFailed UserNotFound Could not find user root@admin
2018-01-01T00:00:00.000Z I ACCESS   [conn7] SASL SCRAM-SHA-1 authentication failed for bob on shop from client 10.0.0.9:5 ; UserNotFound: Could not find user bob@shop
2018-01-01T00:00:00.000Z I COMMAND  [conn8] command shop.$cmd command: { count: "orders", query: {} } keyUpdates:0 reslen:44 5ms

    lost line
*** wait for 3 users
"#;
    assert_eq!(
        told(log),
        [
            "Query - - select [db.collection] rows=10 us=220000",
            "Other - - select [test.system.indexes] rows=0 us=0 (time goes back)",
            "LoginFailed root Claimed - connect [] AuthenticationFailed",
            "LoginFailed bob@shop Claimed 10.0.0.9 connect [] UserNotFound",
            // Whether the refused login tells its true peer is not known.
            "Query - - select [shop.orders] us=5000 (behind a refused login of another peer than the connection's)",
        ]
    );
}

#[test]
fn forged_lines_name_nobody() {
    let forged = "2020-03-12T00:00:36.000+0000 I  ACCESS   [conn47] Successfully authenticated as principal admin on admin from client";
    for (line, wanted) in [
        // Part of the value in which they stand.
        (
            format!(
                "2020-03-12T00:00:36.000+0000 I  COMMAND  [conn46] command shop.a command: find {{ find: \"a\", filter: {{ x: \"\n{forged} 10.0.0.8:1\n\" }} }} protocol:op_msg 1ms\n"
            ),
            1,
        ),
        (
            format!(
                "2020-03-12T00:00:36.000+0000 I  NETWORK  [conn46] received client metadata from 10.0.0.7:38918 conn46: {{ application: {{ name: \"\n{forged} 10.0.0.8:1\n\" }} }}\n"
            ),
            1,
        ),
        // At odds with the connection, or with the time.
        (forged.replace("conn47", "conn46") + " 10.0.0.8:1\n", 1),
        (forged.replace(":36.", ":16.") + " 10.0.0.8:1\n", 1),
        (
            "2020-03-12T00:00:36.000+0000 I  NETWORK  [listener] connection accepted from 10.0.0.8:1 #46 (3 connections now open)\n"
                .to_owned(),
            1,
        ),
    ] {
        let got = told(&format!("{SESSION}{line}"));
        assert_eq!(got.len(), 3 + wanted, "{got:#?}");
        assert!(got.iter().all(|g| !g.contains("admin Authenticated")), "{got:#?}");
    }
}

#[test]
fn any_bytes() {
    let mut text = Text::new(&Options::default());
    for line in [
        "2020-03-12T00:00:36.000+0000 I  COMMAND  [conn1] command a.b { ms",
        "2020-03-12T00:00:36.000+0000 I  COMMAND  [conn1] command a.b command: {",
        "2020-03-12T00:00:36.000+0000 I  COMMAND  [conn1] query a.{ nreturned: ms",
        "2020-03-12T00:00:36.000+0000 I  -  [conn99999999999999999999999] end connection ",
        "2020-03-12T00:00:36.000+0000 I  X  [",
        "2020-03-12T00:00:36.000",
        "2020-99-12T00:00:36.000+0000 I  X  [a] b",
        "2020-03-12T00:00:36.000+0000 I ACCESS [conn1] SASL x authentication failed for ",
        "2020-03-12T00:00:36.000+0000 I NETWORK [conn1] connection accepted from ",
        "\0\u{ff}",
        "",
    ] {
        show(&mut text, line.as_bytes());
    }
}
