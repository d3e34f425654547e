//! Mail against a real SMTP server: STARTTLS, implicit TLS, AUTH, and what goes wrong with them.

use std::time::Duration;

use tokenwatch::config::{Channel as Config, ChannelKind, Email, MailTls};
use tokenwatch::notifier::{Channel, SendError, Sender, delivery_key};

use crate::alerts::{alert, channel, clock, delivery, hostile};
use crate::support::smtp::SmtpServer;

fn config(server: &SmtpServer, tls: MailTls, password: &str) -> Config {
    channel(
        "mail",
        ChannelKind::Email(Email {
            host: "localhost".into(),
            port: server.port,
            tls,
            ca_file: Some(server.ca_file.clone()),
            username: Some("tokenwatch".into()),
            password: Some(password.into()),
            from: "Tokenwatch <tokenwatch@example.com>".into(),
            to: vec!["security@example.com".into(), "Ops <ops@example.com>".into()],
        }),
    )
}

fn headers(content: &str) -> &str {
    content.split("\r\n\r\n").next().unwrap()
}

#[tokio::test]
async fn an_alert_arrives_over_starttls_and_implicit_tls() {
    for (mode, tls) in [("starttls", MailTls::Starttls), ("implicit", MailTls::Implicit)] {
        let mut server = SmtpServer::start(mode);
        let config = config(&server, tls, "correct horse");
        let receipt = Channel::open(&config, clock()).unwrap().send(&delivery(&config, &alert("0a"))).await.unwrap();
        assert!(receipt.detail.contains("queued as 42"), "{receipt:?}");
        let mail = server.mail();
        assert!(mail.tls, "{mode}");
        assert_eq!(mail.to, ["security@example.com", "ops@example.com"]);
        let headers = headers(&mail.content);
        assert!(headers.contains("Subject: [high] billing used from 127.0.0.66 (new network)\r\n"), "{headers}");
        assert!(headers.contains(&format!("Message-ID: <{}@example.com>", delivery_key("0a", 0, "mail"))), "{headers}");
        assert!(headers.contains("Content-Type: multipart/alternative"), "{headers}");
        assert!(mail.content.contains("What is usual\r\n") && mail.content.contains("<h1"), "{}", mail.content);
    }
}

#[tokio::test]
async fn an_escalation_continues_the_thread_and_a_retry_keeps_its_id() {
    let mut server = SmtpServer::start("starttls");
    let config = config(&server, MailTls::Starttls, "correct horse");
    let channel = Channel::open(&config, clock()).unwrap();
    let mut worse = alert("0a");
    worse.revision = 1;
    let sent = delivery(&config, &worse);
    channel.send(&sent).await.unwrap();
    channel.send(&sent).await.unwrap();
    let (first, second) = (server.mail(), server.mail());
    let id = |content: &str| headers(content).lines().find(|l| l.starts_with("Message-ID:")).unwrap().to_owned();
    assert_eq!(id(&first.content), id(&second.content));
    assert!(headers(&first.content).contains(&format!("In-Reply-To: <{}@example.com>", delivery_key("0a", 0, "mail"))));
}

#[tokio::test]
async fn a_hostile_name_adds_no_header_and_no_recipient() {
    let mut server = SmtpServer::start("starttls");
    let config = config(&server, MailTls::Starttls, "correct horse");
    Channel::open(&config, clock()).unwrap().send(&delivery(&config, &hostile("0a"))).await.unwrap();
    let mail = server.mail();
    assert_eq!(mail.to.len(), 2, "{:?}", mail.to);
    assert!(!headers(&mail.content).to_ascii_lowercase().contains("\r\nbcc:"), "{}", mail.content);
    let (_, html) = mail.content.split_once("<!doctype html>").unwrap();
    assert!(!mail.content.contains('\u{1b}') && !html.contains("<img") && html.contains("&lt;img"), "{}", mail.content);
}

#[tokio::test]
async fn what_the_relay_refuses_is_told_apart_from_what_can_be_mended() {
    let server = SmtpServer::start("starttls");
    let wrong = config(&server, MailTls::Starttls, "wrong password");
    let error = Channel::open(&wrong, clock()).unwrap().send(&delivery(&wrong, &alert("0a"))).await.unwrap_err();
    assert!(matches!(error, SendError::Retry { .. }), "{error}");
    assert!(error.to_string().contains("535") && !error.to_string().contains("wrong password"), "{error}");

    // A certificate of an authority that nobody named.
    let mut unknown = config(&server, MailTls::Starttls, "correct horse");
    if let ChannelKind::Email(mail) = &mut unknown.kind {
        mail.ca_file = None;
    }
    let error = Channel::open(&unknown, clock()).unwrap().send(&delivery(&unknown, &alert("0a"))).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");

    let mut rejecting = SmtpServer::start("reject");
    let mut config = config(&rejecting, MailTls::None, "correct horse");
    if let ChannelKind::Email(mail) = &mut config.kind {
        (mail.username, mail.password) = (None, None);
    }
    // Authentication is asked for and we have none: the relay says so with 530.
    let error = Channel::open(&config, clock()).unwrap().send(&delivery(&config, &alert("0a"))).await.unwrap_err();
    assert!(matches!(error, SendError::Retry { .. }), "{error}");
    rejecting = SmtpServer::start("reject-open");
    if let ChannelKind::Email(mail) = &mut config.kind {
        mail.port = rejecting.port;
    }
    let error = Channel::open(&config, clock()).unwrap().send(&delivery(&config, &alert("0a"))).await.unwrap_err();
    assert!(matches!(error, SendError::Permanent { .. }) && error.to_string().contains("no such user"), "{error}");
}

#[tokio::test]
async fn a_relay_that_lacks_starttls_gets_no_mail_in_the_clear() {
    let server = SmtpServer::start("none");
    let config = config(&server, MailTls::Starttls, "correct horse");
    let error = Channel::open(&config, clock()).unwrap().send(&delivery(&config, &alert("0a"))).await.unwrap_err();
    assert!(error.to_string().contains("STARTTLS"), "{error}");
}

#[tokio::test]
async fn a_dead_or_silent_relay_is_tried_again_later() {
    let server = SmtpServer::start("hang");
    let mut config = config(&server, MailTls::Starttls, "correct horse");
    config.timeout = Duration::from_millis(300);
    let channel = Channel::open(&config, clock()).unwrap();
    // The worker's own limit, which holds whatever the library does.
    let sent = delivery(&config, &alert("0a"));
    assert!(!matches!(tokio::time::timeout(Duration::from_secs(3), channel.send(&sent)).await, Ok(Ok(_))));
    drop(server);
    let error = channel.send(&sent).await.unwrap_err();
    assert!(matches!(error, SendError::Retry { .. }) && error.to_string().contains("localhost"), "{error}");
}
