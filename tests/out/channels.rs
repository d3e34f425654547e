//! Each HTTP and file channel against a real receiver, answering well and badly.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokenwatch::alert::Alert;
use tokenwatch::config::ChannelKind;
use tokenwatch::notifier::{Channel, Message, SendError, Sender};

use crate::alerts::{HOSTILE, alert, channel, clock, delivery, hostile};
use crate::support::http_receiver::{Answer, Receiver, Request};
use crate::support::python;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The judgement of the reference library of Standard Webhooks.
pub fn genuine(secret: &str, request: &Request) -> bool {
    python::required();
    let message = json!({ "secret": secret, "headers": request.headers, "body": request.body });
    // The verdict is the output; an error of any other kind (a missing package) must not pass for a no.
    match python::run("verify_webhook.py", &[], &message.to_string()).unwrap().trim() {
        "genuine" => true,
        "forged" => false,
        other => panic!("verify_webhook.py said {other:?}"),
    }
}

async fn webhook(receiver: &Receiver, alert: &Alert) -> Result<tokenwatch::notifier::Receipt, SendError> {
    let config = channel("soc", ChannelKind::Webhook { url: receiver.url("/hook"), secret: Some(SECRET.into()) });
    Channel::open(&config, clock()).unwrap().send(&delivery(&config, alert)).await
}

#[tokio::test]
async fn a_webhook_is_signed_as_the_reference_library_wants_it() {
    let receiver = Receiver::start([]);
    webhook(&receiver, &alert("0a")).await.unwrap();
    webhook(&receiver, &hostile("0b")).await.unwrap();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert!(genuine(SECRET, request));
        assert_eq!(request.headers["content-type"], "application/json");
        assert!(request.body.len() < 20_000);
        // The judge does judge.
        let mut forged = request.clone();
        forged.body = forged.body.replace("high", "low ");
        assert!(!genuine(SECRET, &forged));
        assert!(!genuine("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", request));
    }
    let body: Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["token"].as_str()), (Some("tokenwatch.alert.opened"), Some("billing")));
    assert_eq!(serde_json::from_value::<Alert>(body["data"].clone()).unwrap(), alert("0a"));
    let body: Value = serde_json::from_str(&requests[1].body).unwrap();
    assert_eq!(body["data"]["token"], HOSTILE, "machines get the name as it is");
}

#[tokio::test]
async fn each_answer_means_what_the_standard_says() {
    let seconds = |n: u64| Some(Duration::from_secs(n));
    for (answer, permanent, after) in [
        (Answer::status(500), false, None),
        (Answer::status(503), false, None),
        (Answer::Status(503, vec![("retry-after", "7".into())], ""), false, seconds(7)),
        (Answer::Status(429, vec![("retry-after", "3".into())], "rate_limited"), false, seconds(3)),
        (Answer::status(408), false, None),
        (Answer::status(425), false, None),
        (Answer::Status(302, vec![("location", "http://169.254.169.254/latest/meta-data".into())], ""), false, None),
        (Answer::Status(400, vec![], "invalid_payload"), true, None),
        (Answer::status(401), true, None),
        (Answer::status(404), true, None),
        (Answer::status(410), true, None),
        (Answer::Drop, false, None),
    ] {
        let receiver = Receiver::start([answer.clone()]);
        match webhook(&receiver, &alert("0a")).await.unwrap_err() {
            SendError::Permanent { message } => assert!(permanent, "{answer:?}: {message}"),
            SendError::Retry { after: asked, message } => assert!(!permanent && asked == after, "{answer:?}: {asked:?} {message}"),
        }
        assert_eq!(receiver.requests().len(), 1, "{answer:?}: one try is one request");
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let trap = Receiver::start([]);
    let receiver = Receiver::start([Answer::Status(307, vec![("location", trap.url("/"))], "")]);
    let error = webhook(&receiver, &alert("0a")).await.unwrap_err().to_string();
    assert!(error.contains("redirect") && error.contains("final URL"), "{error}");
    assert!(trap.requests().is_empty());
}

#[tokio::test]
async fn errors_never_show_the_path_of_a_url() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hanging = Receiver::start([Answer::Hang]);
    let refusing = Receiver::start([Answer::Status(404, vec![], "no_service")]);
    for base in [format!("http://{dead}"), hanging.url(""), refusing.url("")] {
        let mut config = channel("ops", ChannelKind::Slack { url: format!("{base}/services/T000/B000/SECRETPART").into() });
        config.timeout = Duration::from_millis(300);
        let error = Channel::open(&config, clock()).unwrap().send(&delivery(&config, &alert("0a"))).await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1") && !error.contains("SECRETPART") && !error.contains("services"), "{error}");
        println!("{error}");
    }
    let config = channel("ops", ChannelKind::Slack { url: "https://".into() });
    assert!(Channel::open(&config, clock()).is_err_and(|e| e.contains("\"ops\"")));
}

#[tokio::test]
async fn slack_gets_blocks_without_mentions() {
    let receiver = Receiver::start([]);
    let config = channel("ops", ChannelKind::Slack { url: receiver.url("/services/T/B/x").into() });
    let slack = Channel::open(&config, clock()).unwrap();
    slack.send(&delivery(&config, &alert("0a"))).await.unwrap();
    slack.send(&delivery(&config, &hostile("0b"))).await.unwrap();
    let requests = receiver.requests();
    let body: Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!(body["text"], "[high] billing used from 127.0.0.66 (new network)");
    assert_eq!(body["blocks"][0]["type"], "header");
    assert!(!requests[1].body.contains("<!channel>") && !requests[1].body.contains("<@U1>"), "{}", requests[1].body);
    assert!(requests[1].body.contains("&lt;!channel&gt;"));
    assert!(!requests[1].headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn a_file_gets_one_line_an_alert_even_after_a_torn_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.jsonl");
    let config = channel("file", ChannelKind::File { path: path.clone() });
    let file = Channel::open(&config, clock()).unwrap();
    file.send(&delivery(&config, &alert("0a"))).await.unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\":\"torn").unwrap();
    file.send(&delivery(&config, &hostile("0b"))).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(serde_json::from_str::<Alert>(lines[0]).unwrap(), alert("0a"));
    assert_eq!(serde_json::from_str::<Alert>(lines[2]).unwrap(), hostile("0b"));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}') && !text.contains('\u{202e}'));
    let missing = channel("file", ChannelKind::File { path: dir.path().join("no/such/folder") });
    let error = Channel::open(&missing, clock()).unwrap().send(&delivery(&missing, &alert("0a"))).await.unwrap_err();
    assert!(matches!(error, SendError::Retry { .. }) && error.to_string().contains("no/such/folder"), "{error}");
}

#[tokio::test]
async fn a_test_message_and_a_notice_go_through_the_same_door() {
    let receiver = Receiver::start([]);
    let config = channel("soc", ChannelKind::Webhook { url: receiver.url("/"), secret: Some(SECRET.into()) });
    let webhook = Channel::open(&config, clock()).unwrap();
    let now = clock().now();
    let test = crate::alerts::waiting(Message::test(now).to("soc", "msg_test", now));
    webhook.send(&test).await.unwrap();
    let request = receiver.requests().remove(0);
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((body["type"].as_str(), &body["data"]["test"]), (Some("tokenwatch.test"), &json!(true)));
    assert_eq!(request.headers["webhook-id"], "msg_test");
    assert!(genuine(SECRET, &request));
}
