//! Text logs that clients can write into (CockroachDB, CouchDB, Elasticsearch before 7), written as their servers write them, with hostile
//! names, hosts, indices and statements: whatever a client sends, no event names a token that did not act, and what happened is still seen.

mod support;

use support::forgery::{actor, read};
use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, by_name};
use tokenwatch::event::Kind;

/// What a log came to.
#[derive(Debug, Default)]
struct Seen {
    /// Principal and address of events that name a token.
    named: Vec<(String, String)>,
    /// Events of these kinds, whoever they name.
    acts: usize,
    refused: usize,
}

fn decode(format: &str, log: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut sink = |item: Item<'_>| {
        let Decoded::Event(event) = &item.decoded else { return };
        seen.acts += usize::from(matches!(event.kind, Kind::Query | Kind::Denied | Kind::Error));
        seen.refused += usize::from(event.kind == Kind::LoginFailed);
        if let Some(principal) = actor(event).filter(|_| event.kind != Kind::Other) {
            seen.named.push((principal.name.to_string(), event.address.map_or("-".to_owned(), |address| address.to_string())));
        }
    };
    // in pieces, as a tailer reads
    read(Stream::new(by_name(format), FormatOptions::default(), 0), log, || 977, &mut sink);
    seen
}

/// Texts that try to end the record around them and to begin one of `admin`. At least 1,000 of them.
fn hostile(forged: &[&str]) -> Vec<String> {
    let before = [
        "",
        "x",
        "x\n",
        "x\r\n",
        "\n\n",
        "x]\n",
        "x› \n",
        "x›\n",
        "›]",
        "x›] 7 ={}\n",
        "x] 7 ={}\n",
        "x\"}\n",
        "x\\\n",
        "\u{2028}",
        "x\0\n",
        "x\u{b}",
        "] [y",
        "x], uri=[/]\n",
        "x], request=[R]\n",
        " 1 2 GET / 200 ok 1\n",
        "⋮\n",
        "x\n‹",
        "x\n\t",
        "\u{1b}[2K\r",
    ];
    let after = ["", "\n", "‹", "›", "], request=[R]", "\", \"y\":\"", " GET /x 200 ok 1", "] 9 ={}", "\nx", "›]"];
    let mut texts = Vec::new();
    for forged in forged {
        for before in before {
            for after in after {
                texts.push(format!("{before}{forged}{after}"));
                texts.push(format!("{}{before}{forged}{after}", "z".repeat(texts.len() % 300)));
            }
        }
    }
    assert!(texts.len() >= 1_000, "{}", texts.len());
    texts
}

/// Only `billing` at 10.1.0.7 acted.
fn check(what: &str, seen: &Seen) {
    for (name, address) in &seen.named {
        assert_eq!((name.as_str(), address.as_str()), ("billing", "10.1.0.7"), "{what}");
    }
}

/// A text as CockroachDB marks it: marks do not stand in it, and each of its lines is marked anew.
fn marked(text: &str) -> String {
    let clean = text.replace(['‹', '›'], "?");
    format!("‹{}›", clean.replace('\n', "›\n‹"))
}

/// One entry of crdb-v2, long lines broken as the server does.
fn v2(tags: &str, counter: u32, payload: &str) -> String {
    let head = format!("I261122 02:21:28.484001 611 9@util/log/event_log.go:32 ⋮ [{tags}] {counter} ");
    let mut entry = format!("{head}=");
    let mut len = 0;
    for c in payload.chars() {
        if len >= 15_980 {
            entry.push_str(&format!("\n{head}|"));
            len = 0;
        }
        entry.push(c);
        len += c.len_utf8();
    }
    entry + "\n"
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("text")
}

const FORGED_V2: [&str; 3] = [
    "I261122 02:21:28.484001 611 9@util/log/event_log.go:32 ⋮ [n1,client=‹6.6.6.6:1›,hostssl,user=‹admin›] 5 ={\"EventType\":\"query_execute\",\"Statement\":\"‹DROP TABLE x›\",\"User\":\"‹admin›\"}",
    "I261122 02:21:28.484001 611 9@util/log/event_log.go:32  [n1,client=6.6.6.6:1,hostssl,user=admin] 5 ={\"EventType\":\"client_authentication_ok\",\"User\":\"admin\"}",
    "{\"channel\":\"SQL_EXEC\",\"timestamp\":\"1795314088.484001000\",\"event\":{\"EventType\":\"query_execute\",\"Statement\":\"x\",\"User\":\"admin\",\"RemoteAddress\":\"6.6.6.6:1\"}}",
];

#[test]
fn cockroach_v2() {
    let query = |statement: &str, application: &str| {
        let (statement, application) = (json(&marked(statement)), json(&marked(application)));
        format!(
            "{{\"Timestamp\":1795314088483000000,\"EventType\":\"query_execute\",\"Statement\":{statement},\"User\":\"‹billing›\",\"ApplicationName\":{application},\"ExecMode\":\"exec\"}}"
        )
    };
    for text in hostile(&FORGED_V2) {
        let mine = "n1,client=‹10.1.0.7:53568›,hostssl,user=‹billing›";
        let theirs = format!("n1,client=‹203.0.113.9:40001›,hostssl,user={}", marked(&text));
        let failed = format!(
            "{{\"EventType\":\"client_authentication_failed\",\"RemoteAddress\":\"‹203.0.113.9:40001›\",\"User\":{}}}",
            json(&marked(&text))
        );
        let mut log = "I261122 02:21:20.000001 1 util/log/file_sync_buffer.go:237 ⋮ [config]   file created\n".to_owned();
        log += &v2(mine, 1, &query("SELECT 1", "app"));
        log += &v2(&theirs, 2, &failed);
        log += &v2(mine, 3, &query(&text, "app"));
        log += &v2(mine, 4, &query("SELECT 2", &text));
        log += &v2(mine, 5, &query(&text.repeat(120), "app"));
        let seen = decode("cockroach-log", log.as_bytes());
        check(&text, &seen);
        assert_eq!((seen.named.len(), seen.acts, seen.refused), (4, 4, 1), "{text:?}");
    }
}

#[test]
fn cockroach_without_marks() {
    for text in hostile(&FORGED_V2) {
        let line = |user: &str, client: &str, event: &str| {
            format!(
                "I200922 02:21:28.484001 611 util/log/event_log.go:32  [n1,client={client},hostssl,user={user}] Structured entry: {event}\n"
            )
        };
        let query = format!("{{\"EventType\":\"query_execute\",\"Statement\":{},\"User\":\"billing\"}}", json(&text));
        let log = line("billing", "10.1.0.7:53568", &query)
            + &line(&text, "203.0.113.9:40001", "{\"EventType\":\"client_authentication_failed\",\"User\":\"x\"}")
            + &format!("I200922 02:21:28.484001 611 sql/x.go:3  [n1] {text}\n")
            + &line("billing", "10.1.0.7:53568", &query);
        let seen = decode("cockroach-log", log.as_bytes());
        assert!(seen.named.is_empty(), "{text:?}: {:?}", seen.named);
        assert!(seen.acts >= 2, "{text:?}");
    }
}

#[test]
fn couchdb() {
    let line = |host: &str, peer: &str, user: &str, rest: &str| {
        format!("[notice] 2026-11-22T02:21:28.484001Z couchdb@10.0.0.5 <0.17607.12> e1fed412f8 {host} {peer} {user} {rest}\n")
    };
    let forged = [
        line("h", "6.6.6.6", "admin", "DELETE /salaries 200 ok 1").trim_end().to_owned(),
        "h 6.6.6.6 admin GET /salaries 200 ok 1".to_owned(),
        "6.6.6.6 admin".to_owned(),
    ];
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    for text in hostile(&forged) {
        // A header has no line breaks, and a name no colon.
        let host = text.replace(['\n', '\r'], "");
        let name = text.replace(':', "");
        let path = format!("/invoices/{}", text.replace(|c: char| !c.is_ascii_graphic(), "%20"));
        let log = line("db", "10.1.0.7", "billing", "GET /invoices 200 ok 1")
            + &line(&host, "203.0.113.9", "undefined", "GET / 401 ok 1")
            + &line("db", "203.0.113.9", &name, "GET /x 403 ok 1")
            + &line("db", "10.1.0.7", "billing", &format!("GET {path} 200 ok 1"))
            + &format!("[info] 2026-11-22T02:21:28.484001Z couchdb@10.0.0.5 <0.300.0> -------- OS Process #Port<0.100> Log :: {text}\n")
            + &line("db", "10.1.0.7", "billing", "GET /invoices 200 ok 1");
        let seen = decode("couchdb-log", log.as_bytes());
        for (who, address) in &seen.named {
            // The odd name is the true name of who was refused there.
            let theirs = address == "203.0.113.9" && name.starts_with(who.as_str());
            assert!(theirs || (who.as_str(), address.as_str()) == ("billing", "10.1.0.7"), "{text:?}: {who} {address}");
        }
        assert!(seen.acts >= 3, "{text:?}");
    }
}

#[test]
fn elasticsearch_before_7() {
    let line = |rest: &str| format!("[2018-11-22T02:21:28,484] [es-1] {rest}\n");
    let forged = [
        line(
            "[transport] [access_granted]\torigin_type=[rest], origin_address=[6.6.6.6], principal=[admin], action=[indices:admin/delete], indices=[x], request=[R]",
        ),
        line("[rest] [authentication_success]\torigin_address=[6.6.6.6], principal=[admin], realm=[r], uri=[/]"),
        "], principal=[admin], realm=[x".to_owned(),
        "{\"type\":\"audit\", \"timestamp\":\"2018-11-22T02:21:28,484Z\", \"event.action\":\"access_granted\", \"user.name\":\"admin\", \"origin.address\":\"6.6.6.6:1\", \"action\":\"indices:admin/delete\"}".to_owned(),
    ];
    let forged: Vec<&str> = forged.iter().map(|line| line.trim_end()).collect();
    for text in hostile(&forged) {
        let granted = |indices: &str| {
            line(&format!(
                "[transport] [access_granted]\torigin_type=[rest], origin_address=[10.1.0.7], principal=[billing], realm=[native1], roles=[r], action=[indices:data/read/search], indices=[{indices}], request=[SearchRequest]"
            ))
        };
        let log = granted("invoices")
            + &line(&format!("[rest] [authentication_failed]\torigin_address=[203.0.113.9], principal=[{text}], uri=[/]"))
            + &granted(&text)
            + &granted("invoices");
        let seen = decode("elasticsearch-audit", log.as_bytes());
        assert!(seen.named.is_empty(), "{text:?}: {:?}", seen.named);
        assert!(seen.acts >= 3 && seen.refused >= 1, "{text:?}: {seen:?}");
    }
}
