//! The Alertmanager channel against a real Alertmanager.

use serde_json::Value;
use tokenwatch::config::ChannelKind;
use tokenwatch::notifier::{Channel, Sender};

use crate::alerts::{alert, channel, clock, delivery, hostile};
use crate::support::process::{Server, Start, missing_programs};
use crate::support::{free_port, http_get, program, skip};

#[tokio::test]
async fn a_real_alertmanager_takes_it() {
    if skip([missing_programs(&["prometheus-alertmanager"], "prometheus-alertmanager")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("alertmanager.yml");
    std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").unwrap();
    let port = free_port();
    let mut server = Server::start(Start {
        name: "Alertmanager",
        program: &program("prometheus-alertmanager").unwrap(),
        args: vec![
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", folder.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ],
        user: None,
        stop: rustix::process::Signal::TERM,
        output: folder.path().join("output"),
    });
    server.wait_ready(|| http_get(port, "/-/ready").filter(|(status, _)| *status == 200));
    // A path at the end of the URL is kept, a slash at its end is not doubled.
    let config = channel("am", ChannelKind::Alertmanager { url: format!("http://127.0.0.1:{port}/") });
    let sender = Channel::open(&config, clock()).unwrap();
    for alert in [alert("0a"), hostile("0b")] {
        sender.send(&delivery(&config, &alert)).await.unwrap();
        let (_, text) = http_get(port, "/api/v2/alerts").unwrap();
        let alerts: Value = serde_json::from_str(&text).unwrap();
        let taken = alerts.as_array().unwrap().iter().find(|a| a["labels"]["alert_id"] == alert.id.as_str());
        let taken = taken.unwrap_or_else(|| panic!("not among {text}"));
        assert_eq!(taken["labels"]["alertname"], "TokenMisuse");
        assert_eq!(taken["labels"]["severity"], alert.severity.name());
        assert!(!taken["annotations"]["summary"].as_str().unwrap().contains('\u{1b}'), "{taken}");
    }
    server.stop();
}
