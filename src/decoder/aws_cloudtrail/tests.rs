use super::*;
use crate::decoder::stream::Stream;
use crate::decoder::testing::{shown, shown_by};
use crate::event::Operation;

fn record(identity: &str, rest: &str) -> String {
    format!(
        r#"{{"userIdentity":{{{identity}}},"eventTime":"2026-11-22T02:21:28Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","sourceIPAddress":"192.0.2.7","userAgent":"boto3","readOnly":true{rest}}}"#
    )
}

fn check(log: &str, want: &[&str]) {
    assert_eq!(shown(&FORMAT, log.as_bytes()), want, "{log}");
}

const KEY: &str = r#""type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann","accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":"ann""#;
const CALL: &str = "Query AKIAIOSFODNN7EXAMPLE@192.0.2.7 \"boto3\" | select s3:GetObject | - | Success";

#[test]
fn who_calls() {
    for (identity, want) in [
        (KEY, "AKIAIOSFODNN7EXAMPLE"),
        (r#""type":"IAMUser","arn":"arn:aws:iam::1:user/ann","accessKeyId":"ASIAIOSFODNN7EXAMPLE""#, "arn:aws:iam::1:user/ann"),
        (
            r#""type":"AssumedRole","principalId":"AROA1:i-0a1b","arn":"arn:aws:sts::1:assumed-role/web/i-0a1b","accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::1:role/web"}}"#,
            "arn:aws:iam::1:role/web",
        ),
        (
            r#""type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/web/AKIA-i-am-admin","accessKeyId":"""#,
            "arn:aws:sts::1:assumed-role/web",
        ),
        (r#""type":"Root","arn":"arn:aws:iam::1:root","accountId":"1""#, "arn:aws:iam::1:root"),
        (r#""type":"IAMUser","accountId":"1","accessKeyId":"","userName":"ann""#, "arn:aws:iam::1:user/ann"),
        (r#""type":"AWSService","invokedBy":"rds.amazonaws.com""#, "rds.amazonaws.com"),
        (r#""type":"AWSAccount","principalId":"AROA1:somebody","accountId":"222""#, "AROA1"),
        (r#""type":"AWSAccount","principalId":"","accountId":"ANONYMOUS_PRINCIPAL""#, "-"),
        (r#""type":"Unknown","userName":"ann""#, "ann?"),
    ] {
        check(&record(identity, ""), &[&format!("Query {want}@192.0.2.7 \"boto3\" | select s3:GetObject | - | Success")]);
    }
}

#[test]
fn what_the_caller_asked_for() {
    let arena = Bump::new();
    for (asked, database, statement) in [
        (r#""queryString":"SELECT 1","queryExecutionContext":{"database":"shop"}"#, Some("shop"), Some("SELECT 1")),
        (r#""queryString":"***OMITTED***","database":"dev""#, Some("dev"), None),
        (r#""sql":"**********","database":"**********","schema":"**********""#, None, None),
        (r#""statement":"HIDDEN_DUE_TO_SECURITY_REASONS""#, None, None),
        (r#""bucketName":"b""#, None, None),
    ] {
        let text = record(KEY, &format!(r#","requestParameters":{{{asked}}}"#));
        let Decoded::Event(event) = Trail::new(&Options::default()).decode(Record::new(text.as_bytes()), &arena) else {
            panic!("{text}");
        };
        assert_eq!((event.database, event.statement), (database.map(BStr::new), statement.map(BStr::new)), "{asked}");
        assert_eq!(event.objects, ["s3:GetObject"]);
    }
}

#[test]
fn however_they_are_wrapped() {
    let (one, two) = (record(KEY, r#","eventID":"a""#), record(KEY, r#","eventID":"b""#));
    check(&format!("{{\"Records\":[{one},{two}]}}"), &[CALL, CALL]);
    check(&format!("{one}\n{two}\n"), &[CALL, CALL]);
    check(
        &format!(r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","time":"2026-11-22T02:25:00Z","detail":{one}}}"#),
        &[CALL],
    );
    let text = serde_json::to_string(&one).unwrap();
    check(&format!(r#"{{"NextToken":"x","Events":[{{"EventId":"a","EventTime":1795314088,"CloudTrailEvent":{text}}}]}}"#), &[CALL]);
    check(&format!(r#"{{"logGroup":"g","logEvents":[{{"id":"1","timestamp":1795314088000,"message":{text}}}]}}"#), &[CALL]);
    for wrapped in [
        format!("{{\"Records\":[{one},{two}]}}"),
        format!(r#"{{"detail":{one}}}"#),
        format!(r#"{{"Events":[{{"CloudTrailEvent":{text}}}]}}"#),
    ] {
        assert_eq!(sniff(wrapped.as_bytes(), &Options::default()).certainty, 95, "{wrapped}");
    }
}

#[test]
fn how_it_ended() {
    let with = |rest: &str| record(KEY, rest);
    let ends = |kind: &str, outcome: &str| format!("{kind} AKIAIOSFODNN7EXAMPLE@192.0.2.7 \"boto3\" | select s3:GetObject | - | {outcome}");
    check(&with(r#","errorCode":"AccessDenied""#), &[&ends("Denied", "Denied AccessDenied")]);
    check(&with(r#","errorCode":"Client.UnauthorizedOperation""#), &[&ends("Denied", "Denied Client.UnauthorizedOperation")]);
    check(&with(r#","errorCode":"NoSuchKey""#), &[&ends("Error", "Error NoSuchKey")]);
    check(&with(r#","errorCode":"Client.DryRunOperation""#), &[&ends("Query", "Success Client.DryRunOperation")]);
}

#[test]
fn console_logins() {
    let login = |result: &str, rest: &str| {
        format!(
            r#"{{"userIdentity":{{"type":"IAMUser","accountId":"1","accessKeyId":"","userName":"ann"}},"eventTime":"2026-11-22T02:21:28Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","sourceIPAddress":"192.0.2.7","responseElements":{{"ConsoleLogin":"{result}"}}{rest}}}"#
        )
    };
    check(&login("Success", ""), &["Login arn:aws:iam::1:user/ann@192.0.2.7 | connect signin:ConsoleLogin | - | Success"]);
    check(
        &login("Failure", r#","errorMessage":"Failed authentication""#),
        &["LoginFailed arn:aws:iam::1:user/ann?@192.0.2.7 | connect signin:ConsoleLogin | - | Denied"],
    );
    let hidden = login("Failure", "").replace("\"ann\"", "\"HIDDEN_DUE_TO_SECURITY_REASONS\"");
    let torn = login("", "").split(r#","responseElements""#).next().unwrap().to_owned();
    check(&torn, &["LoginFailed arn:aws:iam::1:user/ann?@192.0.2.7 | connect signin:ConsoleLogin | - | Unknown CUT"]);
    check(&hidden, &["LoginFailed 1?@192.0.2.7 | connect signin:ConsoleLogin | - | Denied"]);
}

#[test]
fn repeated_deliveries_are_counted_once() {
    let with = |n: u32| record(KEY, &format!(r#","eventID":"540b0193-0d7f-4682-b665-{n:012x}""#)) + "\n";
    let log: String = [1, 2, 1, 2, 3].map(with).concat();
    check(&log, &[CALL, CALL, CALL]);
    // Over a restart.
    let mut stream = Stream::new(Some(&FORMAT), Options::default(), 0);
    stream.feed(with(1).as_bytes(), &mut |_| {});
    stream.pause(&mut |_| {});
    let mut next = Stream::new(Some(&FORMAT), Options::default(), stream.offset());
    next.restore(&stream.save());
    assert_eq!(shown_by(9, next, (with(1) + &with(2)).as_bytes()), [CALL]);
    // Bounded.
    let mut trail = Trail::new(&Options::default());
    for n in 0..3000 {
        trail.decode(Record::new(with(n).trim_end().as_bytes()), &Bump::new());
    }
    assert_eq!((trail.seen.len(), trail.known.len(), trail.save().len()), (REMEMBERED, REMEMBERED, 8 * REMEMBERED));
    // Placeholders are no ids.
    check(&record(KEY, r#","eventID":"<eventId>""#).repeat(2), &[CALL, CALL]);
}

#[test]
fn verbs() {
    for (name, want) in [
        ("GetObject", "select"),
        ("Getaway", "other"),
        ("AssumeRoleWithSAML", "connect"),
        ("DescribeDBInstances", "show"),
        ("AttachUserPolicy", "grant"),
        ("Publish", "other"),
    ] {
        assert_eq!(verb::operation(name.as_bytes(), None).name(), want, "{name}");
    }
    assert_eq!(verb::operation(b"SimulatePolicy", Some(true)), Operation::Select);
}

#[test]
fn what_cannot_be_read() {
    check(r#"{"eventTime":"2026-11-22T02:21:28Z"}"#, &["rejected: no event of CloudTrail"]);
    check(&record(KEY, "").replace("eventTime", "eventtime"), &["rejected: no time stamp"]);
    check(&record(KEY, "").replace("02:21:28Z", "soon"), &["rejected: unreadable time stamp"]);
    check(r#"{"eventTime":}"#, &["rejected: not a JSON object"]);
    check(r#"{"eventTime":7,"eventSource":[],"eventName":{"a":1},"userIdentity":"x"}"#, &["rejected: no event of CloudTrail"]);
    assert!(shown(&FORMAT, record(KEY, r#","eventTime":"2026-11-22T02:21:28Z""#).as_bytes())[0].ends_with("SUSPECT"));
}
