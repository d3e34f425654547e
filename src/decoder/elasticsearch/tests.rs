use super::*;

fn show(record: &str) -> String {
    let arena = Bump::new();
    match Audit::new(&Options::default()).decode(Record::new(record.as_bytes()), &arena) {
        Decoded::Event(e) => format!(
            "{:?} {} {:?} {:?} {:?} {:?} {:?}",
            e.kind,
            e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
            e.address.map(|a| a.to_string()),
            e.operation,
            e.objects,
            e.outcome,
            e.suspect.is_some()
        ),
        Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
    }
}

fn check(rest: &str, want: &str) {
    let head = r#"{"type":"audit", "timestamp":"2026-11-22T02:21:28,484+0000", "node.id":"n", "origin.address":"10.1.0.7:5", "#;
    assert_eq!(show(&format!("{head}{rest}}}")), want, "{rest}");
}

#[test]
fn who_acts() {
    let search = r#""event.action":"access_granted", "action":"indices:data/read/search", "indices":["a","a","-*"]"#;
    let end = r#"Some("10.1.0.7") Some(Select) ["a"] Success false"#;
    for (who, name) in [
        (r#""user.name":"shop", "user.realm":"native1""#, "shop"),
        (r#""user.name":"shop", "apikey.id":"ID", "apikey.name":"billing""#, "apikey:billing/ID"),
        (r#""user.name":"shop", "apikey.id":"ID""#, "apikey:ID"),
        (r#""user.name":"elastic/fleet-server", "authentication.token.name":"token1""#, "elastic/fleet-server/token1"),
        (r#""user.name":"victim", "user.run_by.name":"shop""#, "shop"),
    ] {
        check(&format!("{search}, {who}"), &format!("Query {name} Authenticated {end}"));
    }
}

#[test]
fn what_happened() {
    let from = r#"Some("10.1.0.7")"#;
    check(
        r#""event.action":"authentication_failed", "user.name":"x", "url.path":"/""#,
        &format!("LoginFailed x Claimed {from} Some(Connect) [] Denied false"),
    );
    check(r#""event.action":"anonymous_access_denied""#, &format!("LoginFailed - {from} Some(Connect) [] Denied false"));
    check(
        r#""event.action":"access_denied", "user.name":"x", "action":"cluster:admin/settings/update""#,
        &format!("Denied x Authenticated {from} Some(Alter) [\"cluster:admin/settings/update\"] Denied false"),
    );
    check(
        r#""event.action":"access_granted", "user.name":"_xpack_security", "user.realm":"__attach", "action":"indices:admin/create", "indices":["a"]"#,
        &format!("Other _xpack_security Authenticated {from} Some(Create) [\"a\"] Success false"),
    );
    check(r#""event.action":"put_user", "put":{"user":{"name":"u"}}"#, &format!("Other - {from} None [] Success false"));
}

#[test]
fn slow_logs() {
    let line = r#"{"type": "index_search_slowlog", "timestamp": "2026-11-22T02:21:28,484Z", "component": "i.s.s.query", "message": "[shop][0]", "took": "34ms", "total_hits": "7 hits", "source": "{}"}"#;
    assert_eq!(show(line), r#"Query - None Some(Select) ["shop"] Success false"#);
}

#[test]
fn the_query_log() {
    let query = |rest: &str| {
        show(&format!(
            r#"{{"@timestamp":"2026-11-22T02:21:28.484Z", "elasticsearch.querylog.type":"dsl", "elasticsearch.querylog.query":"{{}}", "elasticsearch.querylog.indices":["shop"], "user.name":"billing", "elasticsearch.node.id":"n", {rest}}}"#
        ))
    };
    let end = r#"billing Authenticated None Some(Select) ["shop"]"#;
    assert_eq!(query(r#""event.outcome":"success""#), format!("Query {end} Success false"));
    assert_eq!(query(r#""event.outcome":"success", "elasticsearch.parent.node.id":"n""#), format!("Other {end} Success false"));
    assert_eq!(query(r#""event.outcome":"success", "elasticsearch.parent.node.id":"m""#), format!("Query {end} Success false"));
    assert_eq!(query(r#""event.outcome":"failure", "error.type":"x.ParsingException""#), format!("Error {end} Error false"));
    let denied = r#""event.outcome":"failure", "error.type":"org.elasticsearch.ElasticsearchSecurityException""#;
    assert_eq!(query(denied), format!("Denied {end} Denied false"));
}

#[test]
fn text_names_nobody() {
    let line = "[2018-06-19T05:00:15,778] [node] [transport] [access_granted]\torigin_type=[rest], origin_address=[10.1.0.7], principal=[a], action=[indices:data/read/search[free_context]], indices=[b,c], request=[R]";
    assert_eq!(show(line), r#"Other a Claimed Some("10.1.0.7") Some(Select) ["b", "c"] Success true"#);
    let line = "[2018-06-19T05:00:15,778] [rest] [authentication_failed]        origin_address=[10.1.0.7], principal=[x], uri=[/], principal=[y]], realm=[z], request_body=[b]";
    assert_eq!(show(line), r#"LoginFailed y] Claimed Some("10.1.0.7") Some(Connect) [] Denied true"#);
}

#[test]
fn what_cannot_be_read() {
    for (record, want) in [
        ("{", "not a JSON object"),
        ("{}", "no time stamp"),
        (r#"{"timestamp":"now"}"#, "unreadable time stamp"),
        (r#"{"timestamp":7}"#, "no time stamp"),
        ("[2018-06-19T05:00:15,778][INFO ][o.e.n.Node] started", "not a line of the audit log"),
        ("\0", "not a line of the audit log"),
    ] {
        assert_eq!(show(record), want, "{record}");
    }
    let torn = format!(
        r#"{{"timestamp":"2026-11-22T02:21:28,484Z", "event.action":"access_granted", "user.name":"u", "request.body":"{}"#,
        "x".repeat(70_000)
    );
    let arena = Bump::new();
    let record = Record { truncated: true, ..Record::new(torn.as_bytes()) };
    assert!(matches!(Audit::new(&Options::default()).decode(record, &arena), Decoded::Event(e) if e.principal.is_some() && e.truncated));
}
