use super::*;
use crate::alert::{Finding, Mode, Severity};

/// What an attacker would like to see in a token's name, each for another reader.
const HOSTILE: &str = "<!channel> <@U1>\r\nBcc: x@evil.example\r\n\r\n<img src=x onerror=alert(1)>\u{1b}[31m\u{9b}2J\u{202e}*b*\u{0}&amp;";

fn hostile() -> Message {
    let finding = Finding {
        detector: HOSTILE.into(),
        severity: Severity::High,
        confidence: 90,
        score: 1.0,
        observed: HOSTILE.into(),
        expected: HOSTILE.into(),
        bound: 0.0,
        evidence: Vec::new(),
        attack: vec![HOSTILE.into()],
        advice: HOSTILE.into(),
        weight: None,
        behaviour: Vec::new(),
    };
    let Message::Test { mut alert } = Message::test(Time(1_700_000_000_000_000)) else { unreachable!() };
    alert.token = HOSTILE.into();
    alert.owner = Some(HOSTILE.into());
    alert.contact = Some(HOSTILE.into());
    alert.address = Some(HOSTILE.into());
    alert.database = Some(HOSTILE.into());
    alert.summary = HOSTILE.into();
    alert.sources = vec![Source::File { file: HOSTILE.into(), offset: 1 }];
    alert.findings = vec![finding.clone(), finding];
    Message::Alert { alert, responses: vec![HOSTILE.into()] }
}

fn billing() -> Message {
    let finding = |detector: &str, observed: &str, expected: &str| Finding {
        detector: detector.into(),
        severity: Severity::High,
        confidence: 95,
        score: 20.03,
        observed: observed.into(),
        expected: expected.into(),
        bound: 0.0,
        evidence: Vec::new(),
        attack: vec!["T1078".into()],
        advice: "ask the owner of the token; if nobody knows, revoke it and read what it did since".into(),
        weight: None,
        behaviour: Vec::new(),
    };
    let findings = vec![
        finding(
            "new_network",
            "first use from 127.0.0.66: select on public.invoices from 127.0.0.66, database app",
            "127.0.0.0/26 (412 times, 2023-11-01 to 2023-11-14) in 12 active days since 2023-11-01",
        ),
        finding("new_client", "first use of the client software \"psql\"", "\"billing-app\" (412 times, 2023-11-01 to 2023-11-14)"),
    ];
    Message::Alert {
        alert: Box::new(Alert {
            id: "5f0c2a9b7d1e4c3386aa0b1c2d3e4f50".into(),
            update: false,
            revision: 0,
            time: Time(1_700_000_000_000_000),
            token: "billing".into(),
            owner: Some("team-billing".into()),
            contact: Some("#billing-oncall".into()),
            severity: Severity::High,
            confidence: 95,
            score: 20.03,
            detectors: vec!["new_network".into(), "new_client".into()],
            summary: "billing: first use from 127.0.0.66: select on public.invoices, database app (and 1 more finding)".into(),
            findings,
            attack: vec!["T1078".into()],
            sources: vec![Source::File { file: "/var/log/postgresql/postgresql.csv".into(), offset: 48_213 }],
            mode: Mode::Enforcing,
            tamper_proof: true,
            authenticated: true,
            address: Some("127.0.0.66".into()),
            database: Some("app".into()),
            resembles: None,
            suppression: None,
        }),
        responses: vec!["would revoke billing: two independent findings".into()],
    }
}

#[test]
fn an_alert_reads_well() {
    let letter = letter(&billing());
    assert_eq!(letter.subject, "[high] billing used from 127.0.0.66 (new network)");
    let expected = "\
billing: first use from 127.0.0.66: select on public.invoices, database app (and 1 more finding)

What happened
  - first use from 127.0.0.66: select on public.invoices from 127.0.0.66, database app
  - first use of the client software \"psql\"

What is usual
  - 127.0.0.0/26 (412 times, 2023-11-01 to 2023-11-14) in 12 active days since 2023-11-01
  - \"billing-app\" (412 times, 2023-11-01 to 2023-11-14)

What to do
  - ask the owner of the token; if nobody knows, revoke it and read what it did since

Response
  - would revoke billing: two independent findings

When:     2023-11-14 22:13:20 UTC
Token:    billing
Owner:    team-billing (#billing-oncall)
From:     127.0.0.66
Database: app
Record:   /var/log/postgresql/postgresql.csv, byte 48213
Severity: high, confidence 95 of 100
ATT&CK:   T1078
Explain:  tokenwatch alerts show 5f0c2a9b7d1e
";
    assert_eq!(letter.plain(), expected);
}

#[test]
fn an_escalation_a_test_and_a_notice_say_so() {
    let Message::Alert { mut alert, .. } = billing() else { unreachable!() };
    alert.revision = 1;
    alert.severity = Severity::Critical;
    alert.address = None;
    let subject = letter(&Message::Alert { alert, responses: Vec::new() }).subject;
    assert_eq!(subject, "[critical] escalated: billing used (new network)");
    let test = letter(&Message::test(Time(0)));
    assert!(test.subject.starts_with("[test] [medium] example used from 203.0.113.7") && test.lead.contains("nothing has happened"));
    let notice = Message::Notice { title: "disk full".into(), text: "free some".into(), severity: Severity::High, time: Time(0) };
    assert_eq!(letter(&notice).subject, "[high] tokenwatch: disk full");
}

#[test]
fn no_character_that_does_something_gets_into_a_letter() {
    let letter = letter(&hostile());
    assert!(!letter.subject.chars().any(is_unsafe), "{:?}", letter.subject);
    assert!(letter.subject.chars().count() <= 200);
    for text in [letter.plain(), letter.html()] {
        assert!(!text.chars().any(|c| is_unsafe(c) && c != '\n'), "{text:?}");
        // The line breaks are ours alone: no header, no second paragraph of the attacker's.
        assert!(text.lines().all(|line| !line.starts_with("Bcc:")));
    }
}

#[test]
fn slack_gets_no_mention_and_html_no_element() {
    let letter = letter(&hostile());
    let slack = letter.slack();
    let mut texts = Vec::new();
    collect(&slack, &mut texts);
    for text in &texts {
        assert!(!text.contains('<') && !text.contains('>'), "{text}");
    }
    assert!(texts.iter().any(|t| t.contains("&lt;!channel&gt;")));
    assert!(slack["blocks"].as_array().unwrap().len() <= 50);
    let html = letter.html();
    assert!(!html.contains("<img") && !html.contains("<!channel") && html.contains("&lt;img"));
}

#[test]
fn slack_keeps_its_limits() {
    let Message::Alert { mut alert, .. } = hostile() else { unreachable!() };
    let long = "<&>".repeat(2000);
    for n in 0..100 {
        let mut finding = alert.findings[0].clone();
        finding.observed = format!("{n}{long}");
        finding.expected = format!("{n}{long}");
        alert.findings.push(finding);
    }
    alert.token = long.clone();
    let slack = letter(&Message::Alert { alert, responses: vec![long] }).slack();
    for block in slack["blocks"].as_array().unwrap() {
        let most = if block["type"] == "header" { 150 } else { 3000 };
        let text = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str()).unwrap();
        assert!((1..=most).contains(&text.chars().count()), "{} of {most}", text.chars().count());
    }
}

#[test]
fn json_lines_are_safe_on_a_terminal_and_still_json() {
    let data = hostile().data();
    let line = super::super::message::json_line(&data);
    assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(is_unsafe), "{line:?}");
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), data);
}

#[test]
fn webhook_bodies_stay_under_20_kb_and_count_what_they_left_out() {
    let Message::Alert { mut alert, .. } = billing() else { unreachable!() };
    let whole: Value = serde_json::from_str(&billing().webhook_body()).unwrap();
    assert_eq!(whole["type"], "tokenwatch.alert.opened");
    assert_eq!(whole["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(whole["data"]["findings"][0]["detector"], "new_network");
    assert_eq!(serde_json::from_value::<Alert>(whole["data"].clone()).unwrap(), *alert);

    alert.revision = 2;
    alert.sources = (0..5000).map(|n| Source::File { file: "x".repeat(50), offset: n }).collect();
    alert.findings[0].observed = "y".repeat(30_000);
    let body = Message::Alert { alert, responses: Vec::new() }.webhook_body();
    assert!(body.len() < 20_000);
    let cut: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(cut["type"], "tokenwatch.alert.escalated");
    assert_eq!(cut["data"]["sources_omitted"], 4992);
    assert_eq!(cut["data"]["sources"].as_array().unwrap().len(), 8);
}

fn collect(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|v| collect(v, out)),
        Value::Object(map) => map.values().for_each(|v| collect(v, out)),
        _ => {}
    }
}
