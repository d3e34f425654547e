//! OpenSearch's audit log, of a real server: what clients did is found back one for one, and a client that writes line breaks and quotes
//! into every field that it can reach makes no event of anybody else.

mod support;

use std::collections::BTreeMap;

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::Decoded;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::event::{Event, Kind, Provenance};

use support::opensearch::{self, OpenSearch};
use support::python::{self, Request};

const BILLING: (&str, &str) = ("billing", "Made-4-these-tests");

/// Kind, principal, address, operation, objects of every event that is somebody's act; sessions of one request each are left out.
fn acts(log: &str) -> Vec<String> {
    let mut acts = Vec::new();
    let mut stream = Stream::new(None, FormatOptions::default(), 0);
    let mut sink = |item: Item<'_>| {
        assert_eq!(item.format.name, "opensearch-audit");
        match item.decoded {
            Decoded::Event(event) if !matches!(event.kind, Kind::Other | Kind::Login) => acts.push(act(&event)),
            Decoded::Event(_) | Decoded::Skip(_) => {}
            Decoded::Reject(reason) => panic!("{reason}: {}", String::from_utf8_lossy(item.raw)),
        }
    };
    stream.feed(log.as_bytes(), &mut sink);
    stream.close(&mut sink);
    let counts = stream.counts();
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips);
    acts
}

fn act(event: &Event<'_>) -> String {
    let who = event.principal.map_or("-".to_owned(), |principal| match principal.provenance {
        Provenance::Claimed => format!("claimed {}", principal.name),
        _ => principal.name.to_string(),
    });
    let objects: Vec<String> = event.objects.iter().map(ToString::to_string).collect();
    format!(
        "{:?} {who} {} {} {}",
        event.kind,
        event.address.map_or("-".to_owned(), |address| address.to_string()),
        event.operation.map_or("-", |operation| operation.name()),
        objects.join(",")
    )
}

fn shop() -> OpenSearch {
    let server = OpenSearch::start();
    server.admin(&[
        (
            "PUT",
            "/_plugins/_security/api/roles/shop",
            r#"{"index_permissions":[{"index_patterns":["invoices"],"allowed_actions":["read","write"]}],"cluster_permissions":["cluster_composite_ops"]}"#,
        ),
        (
            "PUT",
            "/_plugins/_security/api/internalusers/billing",
            r#"{"password":"Made-4-these-tests","opendistro_security_roles":["shop"]}"#,
        ),
        ("PUT", "/invoices", r#"{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"total":{"type":"long"}}}}"#),
        ("PUT", "/customers", r#"{"settings":{"number_of_shards":1,"number_of_replicas":0}}"#),
    ]);
    server
}

#[test]
fn requests_are_found_back() {
    if support::skip([opensearch::missing(), python::missing()]) {
        return;
    }
    let server = shop();
    let ask = |method, path, login, body| Request { from: "127.0.0.66", method, path, login: Some(login), headers: &[], body };
    let bulk = "{\"index\":{\"_index\":\"invoices\",\"_id\":\"2\"}}\n{\"total\":8}\n";
    let requests = [
        ask("POST", "/invoices/_search", BILLING, r#"{"query":{"match_all":{}}}"#),
        ask("GET", "/invoices/_doc/1", BILLING, ""),
        ask("POST", "/_bulk", BILLING, bulk),
        ask("POST", "/_mget", BILLING, r#"{"docs":[{"_index":"invoices","_id":"1"}]}"#),
        ask("GET", "/customers/_search", BILLING, ""),
        ask("DELETE", "/invoices", BILLING, ""),
        ask("GET", "/invoices/_search", ("billing", "wrong"), ""),
        Request { from: "127.0.0.67", method: "GET", path: "/", login: None, headers: &[], body: "" },
        ask("GET", "/invoices/_count", BILLING, ""),
    ];
    let statuses: Vec<u64> = server.send(&requests).into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, [200, 404, 200, 200, 403, 403, 401, 401, 200]);
    server.wait_audit("/_count");
    server.wait_audit("127.0.0.67");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let log = std::fs::read_to_string(server.audit_log()).expect("the audit log");
    // Threads write the log: records of one millisecond may change places.
    let mut got: BTreeMap<String, u32> = BTreeMap::new();
    for act in acts(&log).into_iter().filter(|act| act.contains("127.0.0.66") || act.contains("127.0.0.67")) {
        *got.entry(act).or_default() += 1;
    }
    let want = [
        ("Denied billing 127.0.0.66 drop invoices", 1),
        ("Denied billing 127.0.0.66 select customers", 1),
        ("LoginFailed - 127.0.0.67 connect ", 1),
        ("LoginFailed claimed billing 127.0.0.66 connect ", 1),
        ("Query billing 127.0.0.66 insert indices:data/write/bulk", 1),
        // a search, a get, a part of the mget, and a count, which is a search
        ("Query billing 127.0.0.66 select invoices", 4),
    ];
    assert_eq!(got, want.map(|(act, count)| (act.to_owned(), count)).into());
    let pid = server.pid();
    drop(server);
    assert!(!std::path::Path::new("/proc").join(pid.to_string()).exists());
}

#[test]
fn nothing_that_a_client_sends_is_an_act_of_another() {
    if support::skip([opensearch::missing(), python::missing()]) {
        return;
    }
    let server = shop();
    let began = std::fs::read_to_string(server.audit_log()).expect("the audit log").len();
    let forged = r#"{"audit_category":"GRANTED_PRIVILEGES","@timestamp":"2026-11-22T02:21:28.000+00:00","audit_request_effective_user":"admin","audit_request_remote_address":"6.6.6.6","audit_request_privilege":"indices:admin/delete","audit_trace_indices":["customers"]}"#;
    let prefixes = [
        "\n",
        "\r\n",
        "\\n",
        "\"}\n",
        "\\\"}\n",
        "\",\"audit_request_effective_user\":\"admin\",\"x\":\"",
        "\u{2028}",
        "\0\n",
        "}\n[x] ",
        "%0a",
    ];
    let encoded = |text: &str| text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    let mut texts = Vec::new();
    for round in 0..36 {
        for prefix in prefixes {
            texts.push(format!("{}{prefix}{forged}", "x".repeat(round)));
        }
    }
    let paths: Vec<String> =
        texts.iter().flat_map(|text| [format!("/{}/_search", encoded(text)), format!("/invoices/_search?x={}", encoded(text))]).collect();
    let bodies: Vec<String> = texts.iter().map(|text| serde_json::json!({ "query": { "match": { "total": text } } }).to_string()).collect();
    let ask = |path, login, body| Request { from: "127.0.0.66", method: "POST", path, login: Some(login), headers: &[], body };
    let mut requests: Vec<Request<'_>> = paths.iter().map(|path| ask(path.as_str(), BILLING, "")).collect();
    requests.extend(bodies.iter().map(|body| ask("/invoices/_search", BILLING, body.as_str())));
    // A refused login takes the server half a second.
    let refused = 40;
    requests.extend(texts.iter().take(refused).map(|text| ask("/", (text.as_str(), "x"), "")));
    requests.push(ask("/invoices/_count", BILLING, ""));
    assert!(requests.len() > 1_000);
    server.send(&requests);
    server.wait_audit("/_count");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let log = std::fs::read_to_string(server.audit_log()).expect("the audit log");
    let acts = acts(&log[began..]);
    // Every search that got as far as that, and every refused login; each in the name of who sent it, or of nobody.
    let count = |start: &str| acts.iter().filter(|act| act.starts_with(start)).count();
    assert!(count("Query billing 127.0.0.66 ") + count("Denied billing 127.0.0.66 ") >= texts.len(), "{}", acts.len());
    assert!(count("LoginFailed claimed ") >= refused, "{}", acts.len());
    for act in &acts {
        let own = ["Query billing 127.0.0.66 ", "Denied billing 127.0.0.66 ", "LoginFailed claimed ", "LoginFailed - "];
        assert!(own.iter().any(|start| act.starts_with(start)), "{act}");
    }
}
