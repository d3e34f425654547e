use super::*;
use crate::decoder::stream::Stream;
use crate::decoder::testing::{shown, shown_by};

fn record(event: &str, rest: &str) -> String {
    format!(
        r#"{{"code":"TDB00I","event":"{event}","time":"2026-11-22T02:21:28.395Z","sid":"s1","user":"ann","db_service":"prod","db_name":"app","db_protocol":"postgres","db_user":"app_rw","addr.remote":"[::1]:51022"{rest}}}"#
    )
}

fn check(log: &str, want: &[&str]) {
    assert_eq!(shown(&FORMAT, log.as_bytes()), want, "{log}");
}

#[test]
fn database_sessions() {
    check(&record("db.session.start", r#","success":true"#), &["Login ann@::1:51022/app | connect prod/app_rw | - | Success session=s1"]);
    check(
        &record("db.session.start", r#","success":false,"error":"access to database denied""#),
        &["Denied ann@::1:51022/app | connect prod/app_rw | - | Denied session=s1"],
    );
    check(&record("db.session.query", r#","db_query":"SELECT 1""#), &["Query ann@::1:51022/app | - | SELECT 1 | Success session=s1"]);
    check(
        &record("db.session.query.failed", r#","db_query":"SELECT x","error":"permission denied for table x""#),
        &["Denied ann@::1:51022/app | - | SELECT x | Denied session=s1"],
    );
    check(
        &record("db.session.query", r#","success":false,"db_query":"SELEC","error":"syntax error""#),
        &["Error ann@::1:51022/app | - | SELEC | Error session=s1"],
    );
    check(&record("db.session.end", ""), &["Logout ann@::1:51022/app | - | - | Success session=s1"]);
    check(
        &record("db.session.dynamodb.request", r#","target":"DynamoDB_20120810.Scan""#),
        &["Query ann@::1:51022/app | select postgres:Scan | - | Success session=s1"],
    );
}

#[test]
fn prepared_statements_are_counted_when_they_run() {
    let log = [
        record("db.session.postgres.statements.parse", r#","statement_name":"s","query":"SELECT $1""#),
        record("db.session.postgres.statements.bind", r#","statement_name":"s","portal_name":"p","parameters":["x"]"#),
        record("db.session.postgres.statements.execute", r#","portal_name":"p""#),
        record("db.session.postgres.statements.execute", r#","portal_name":"q""#),
    ];
    let want = [
        "Other ann@::1:51022/app | - | - | Success session=s1",
        "Other ann@::1:51022/app | - | - | Success session=s1",
        "Query ann@::1:51022/app | - | SELECT $1 | Success session=s1",
        "Query ann@::1:51022/app | - | - | Success session=s1",
    ];
    check(&log.join("\n"), &want);
    // The same over a restart between bind and execution.
    let first = log[..2].join("\n") + "\n";
    let mut stream = Stream::new(Some(&FORMAT), Options::default(), 0);
    stream.feed(first.as_bytes(), &mut |_| {});
    stream.pause(&mut |_| {});
    let mut next = Stream::new(Some(&FORMAT), Options::default(), stream.offset());
    next.restore(&stream.save());
    assert_eq!(shown_by(7, next, (log[2..].join("\n") + "\n").as_bytes()), want[2..]);
}

#[test]
fn prepared_statements_are_forgotten_one_for_one() {
    let (mut prepared, arena) = (Prepared::default(), Bump::new());
    for n in 0..5000 {
        prepared.parse(b"s", n.to_string().as_bytes(), b"SELECT 1");
        prepared.bind(b"s", b"", n.to_string().as_bytes());
        assert_eq!(prepared.text(b"s", b"", &arena), Some("SELECT 1".into()));
    }
    assert!(prepared.save().len() < 64 << 10);
    prepared.parse(b"s", b"long", &vec![b'x'; 1 << 20]);
    prepared.bind(b"s", b"", b"long");
    assert_eq!(prepared.text(b"s", b"", &arena), None);
    prepared.forget(b"s");
    assert!(prepared.save().is_empty());
}

#[test]
fn logins_certificates_and_resources() {
    let login = |rest: &str| {
        format!(
            r#"{{"event":"user.login","code":"T1000W","time":"2026-11-22T02:21:28Z","user":"root","method":"local","user_agent":"curl","addr.remote":"192.0.2.7:34204"{rest}}}"#
        )
    };
    check(&login(r#","success":true"#), &["Login root@192.0.2.7:34204 \"curl\" | connect | - | Success"]);
    check(
        &login(r#","success":false,"error":"invalid username, password or second factor""#),
        &["LoginFailed root?@192.0.2.7:34204 \"curl\" | connect | - | Denied"],
    );
    check(
        r#"{"event":"cert.create","code":"TC000I","time":"2026-11-22T02:21:28Z","cert_type":"user","identity":{"user":"ann","client_ip":"192.0.2.7","route_to_database":{"service_name":"prod","username":"app_rw"}}}"#,
        &["Query ann@192.0.2.7/prod | create certificate:prod/app_rw | - | Success"],
    );
    check(
        r#"{"event":"role.created","code":"T9000I","time":"2026-11-22 02:21:28","user":"ann","name":"r"}"#,
        &["Query ann@- | create role | - | Success"],
    );
    check(
        r#"{"event":"session.command","code":"T4000I","time":"2026-11-22 02:21:28","user":"ann","program":"nc"}"#,
        &["Other ann@- | - | - | Success"],
    );
    check(r#"{"event":"user.login","time":"2026-11-22T02:21:000Z"}"#, &["rejected: unreadable time stamp"]);
    check(r#"{"event":"user.login"}"#, &["rejected: no time stamp"]);
    check(r#"{"time":"2026-11-22T02:21:28Z"}"#, &["rejected: no event of Teleport"]);
}
