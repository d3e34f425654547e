//! `[[channel]]`: who is told. `[[responder]]`: what may revoke. `[[suppression]]`: what nobody is told.

use std::collections::BTreeSet;
use std::time::Duration;

use lettre::message::Mailbox;
use secrecy::ExposeSecret;

use super::file::Section;
use super::glob::{Glob, ObjectGlob};
use super::networks::Networks;
use super::resolve::Base;
use super::secret::Secret;
use super::{Channel, ChannelKind, Email, MailTls, Responder, Suppression, value};
use crate::severity::Severity;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
enum Type {
    Webhook,
    Slack,
    Email,
    Alertmanager,
    Stdout,
    File,
}

/// All channels; each has a name of its own, for routing, metrics and `notify test`.
pub(super) fn channels(top: &Section<'_>, base: &Base<'_>) -> Vec<Channel> {
    const TYPES: [(&str, Type); 6] = [
        ("alertmanager", Type::Alertmanager),
        ("webhook", Type::Webhook),
        ("slack", Type::Slack),
        ("email", Type::Email),
        ("stdout", Type::Stdout),
        ("file", Type::File),
    ];
    let mut names = BTreeSet::new();
    top.each("channel", |section| {
        let name = unique_name(section, "channel", &mut names);
        let Some(kind) = section.require("type", section.one_of("type", &TYPES), "\"webhook\"") else {
            section.forgive_unknown();
            return None;
        };
        let min_severity = section.parsed("min_severity", value::severity).unwrap_or(Severity::Medium);
        let timeout = timeout(section);
        let kind = match kind {
            Type::Webhook => {
                let (url, secret) = (url(section), base.secret(section, "secret_file"));
                ChannelKind::Webhook { url: url?, secret }
            }
            Type::Slack => ChannelKind::Slack { url: secret_url(section, base)? },
            Type::Email => ChannelKind::Email(email(section, base)),
            Type::Alertmanager => ChannelKind::Alertmanager { url: url(section)? },
            Type::Stdout => ChannelKind::Stdout,
            Type::File => {
                let path = section.text("path").map(|p| base.dir.join(p.value));
                ChannelKind::File { path: section.require("path", path, "\"/var/log/tokenwatch/alerts.jsonl\"")? }
            }
        };
        Some(Channel { name, min_severity, timeout, kind })
    })
    .into_iter()
    .flatten()
    .collect()
}

/// All responders. Without `mode` they only simulate.
pub(super) fn responders(top: &Section<'_>, base: &Base<'_>) -> Vec<Responder> {
    let mut names = BTreeSet::new();
    top.each("responder", |section| {
        let name = unique_name(section, "responder", &mut names);
        if section.require("type", section.one_of("type", &[("webhook", ())]), "\"webhook\"").is_none() {
            section.forgive_unknown();
            return None;
        }
        let url = url(section);
        let secret = base.secret(section, "secret_file");
        let enforce = section.one_of("mode", &[("simulate", false), ("enforce", true)]).unwrap_or(false);
        if enforce && !section.has("secret_file") {
            let advice = "add secret_file = \"revoke.key\"; the receiver could not tell our revocations from anybody else's";
            section.problem(section.at_key("mode"), "a responder in mode \"enforce\" needs \"secret_file\"", advice);
        }
        let responder = Responder {
            name,
            url: url.unwrap_or_default(),
            secret,
            enforce,
            min_severity: section.parsed("min_severity", value::severity).unwrap_or(Severity::High),
            min_confidence: section.integer("min_confidence", 0..=100).and_then(|c| u8::try_from(c).ok()).unwrap_or(80),
            never: section.parsed_list("never", |text| match text.is_empty() {
                true => Err("an empty pattern matches no token".to_owned()),
                false => Ok(text.to_owned()),
            }),
            budget_per_hour: section.integer("budget_per_hour", 0..=100_000).unwrap_or(5),
            timeout: timeout(section),
        };
        Some(responder)
    })
    .into_iter()
    .flatten()
    .collect()
}

/// All standing exceptions.
pub(super) fn suppressions(top: &Section<'_>) -> Vec<Suppression> {
    top.each("suppression", |section| {
        let named = |text: &str| if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) };
        let token = section.require("token", section.parsed("token", named), "\"billing\"");
        let detectors = section.parsed_list("detectors", named);
        if section.is_empty_list("detectors") {
            section.problem(section.at_key("detectors"), "an empty \"detectors\" suppresses nothing", "write [\"*\"] for all of them");
        }
        section.require("detectors", section.has("detectors").then_some(()), "[\"new_network\"], as the alert names them");
        let mut networks = Networks::default();
        section.parsed_list("networks", |text| networks.add(text));
        let objects = section.parsed_list("objects", named);
        let author = section.require("author", section.parsed("author", named), "\"the name of who decided it\"");
        let reason = section.require("reason", section.parsed("reason", named), "\"why it is harmless\"");
        let until = section.require("until", section.moment("until"), "2027-01-31T00:00:00Z");
        let suppression = Suppression {
            token: Glob::new(&token?),
            detectors: detectors.iter().map(|text| Glob::new(text)).collect(),
            networks: section.has("networks").then_some(networks),
            objects: objects.iter().map(|text| ObjectGlob::new(text)).collect(),
            author: author?,
            reason: reason?,
            until: until?,
        };
        Some(suppression)
    })
    .into_iter()
    .flatten()
    .collect()
}

fn unique_name(section: &Section<'_>, what: &str, names: &mut BTreeSet<String>) -> String {
    let Some(name) = section.require("name", section.text("name"), "\"soc\"") else { return String::new() };
    if name.value.is_empty() {
        section.problem(name.at, format!("a {what}'s name must not be empty"), "");
    } else if !names.insert(name.value.to_owned()) {
        section.problem(name.at, format!("a second {what} is named \"{}\"", name.value), "give each its own name");
    }
    name.value.to_owned()
}

fn timeout(section: &Section<'_>) -> Duration {
    let parse = |text: &str| match value::duration(text)? {
        t if t < Duration::from_millis(10) || t > Duration::from_secs(300) => Err("must be from \"10ms\" to \"5m\"".to_owned()),
        t => Ok(t),
    };
    section.parsed("timeout", parse).unwrap_or(TIMEOUT)
}

fn url(section: &Section<'_>) -> Option<String> {
    section.require("url", section.parsed("url", value::url), "\"https://host/path\"")
}

/// Chat webhooks: whoever knows the URL can post, so the URL is a secret in a file.
fn secret_url(section: &Section<'_>, base: &Base<'_>) -> Option<Secret> {
    if section.has("url") {
        let advice = "put the URL into a file of mode 0600 and name that: url_file = \"slack.url\"";
        section.forgive_unknown();
        section.problem(section.at_key("url"), "the URL of a Slack webhook is a secret", advice);
        return None;
    }
    let secret = section.parsed("url_file", |name| {
        let secret = base.places.read(name)?;
        value::url(secret.expose_secret()).map(Secret::from).map_err(|e| format!("the content of \"{name}\" is wrong: {e}"))
    });
    section.require("url_file", secret, "\"slack.url\"")
}

fn email(section: &Section<'_>, base: &Base<'_>) -> Email {
    let tls = [("starttls", MailTls::Starttls), ("implicit", MailTls::Implicit), ("none", MailTls::None)];
    let tls = section.one_of("tls", &tls).unwrap_or(MailTls::Starttls);
    let port = match tls {
        MailTls::Starttls => 587,
        MailTls::Implicit => 465,
        MailTls::None => 25,
    };
    let host = section.require("host", section.text("host"), "\"mail.example.com\"").map_or("", |h| h.value);
    if host.is_empty() || host.contains(['/', ':', ' ']) && host.parse::<std::net::IpAddr>().is_err() {
        if section.has("host") {
            section.problem(section.at_key("host"), format!("\"{host}\" is not a host name"), "the port goes into port = 587");
        }
    } else if tls == MailTls::None && !is_this_host(host) {
        let advice = "use tls = \"starttls\"; alerts name tokens, tables and addresses";
        section.problem(section.at_key("tls"), format!("tls = \"none\" is only for a relay on this host, not \"{host}\""), advice);
    }
    let email = Email {
        host: host.to_owned(),
        port: section.integer("port", 1..=65_535).and_then(|p| u16::try_from(p).ok()).unwrap_or(port),
        tls,
        ca_file: base.existing(section, "ca_file"),
        username: section.text("username").map(|u| u.value.to_owned()),
        password: base.secret(section, "password_file"),
        from: section.require("from", section.parsed("from", mailbox), "\"tokenwatch@example.com\"").unwrap_or_default(),
        to: section.parsed_list("to", mailbox),
    };
    if email.to.is_empty() && section.texts("to").is_empty() {
        section.problem(section.at_key("to"), "an email channel needs \"to\"", "add to = [\"security@example.com\"]");
    }
    for (one, other) in [("username", "password_file"), ("password_file", "username")] {
        if section.has(one) && !section.has(other) {
            section.problem(section.at_key(one), format!("\"{one}\" needs \"{other}\""), "");
        }
    }
    email
}

fn is_this_host(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn mailbox(text: &str) -> Result<String, String> {
    match text.parse::<Mailbox>() {
        Ok(_) => Ok(text.to_owned()),
        Err(e) => Err(format!("\"{text}\" is not a mail address: {e}")),
    }
}
