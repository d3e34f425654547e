//! `[[source]]`: where records come from, and what they look like.

use std::collections::{BTreeMap, BTreeSet};

use super::file::Section;
use super::problem::suggest;
use super::resolve::Base;
use super::{FormatOptions, JsonMapping, Kafka, Source, SourceKind, Start, Syslog, Transport, value};

/// The fields of an event that `mapping` may name; the words of `decode --json`.
pub const MAPPING_FIELDS: [&str; 17] = [
    "kind",
    "time",
    "principal",
    "address",
    "port",
    "database",
    "client",
    "session",
    "statement",
    "operation",
    "objects",
    "outcome",
    "code",
    "rows",
    "duration_ms",
    "duration_us",
    "dialect",
];

const STARTS: [(&str, Start); 2] = [("beginning", Start::Beginning), ("end", Start::End)];

#[derive(Clone, Copy)]
enum Type {
    File,
    Kafka,
    Stdin,
    Syslog,
}

/// All sources, with unique names.
pub(super) fn sources(top: &Section<'_>, base: &Base<'_>) -> Vec<Source> {
    let mut names = BTreeSet::new();
    let mut stdin = false;
    top.each("source", |section| {
        let kinds = [("file", Type::File), ("kafka", Type::Kafka), ("stdin", Type::Stdin), ("syslog", Type::Syslog)];
        let Some(kind) = section.require("type", section.one_of("type", &kinds), "\"file\"") else {
            section.forgive_unknown();
            return None;
        };
        let kind = match kind {
            Type::File => file(section, base),
            Type::Kafka => kafka(section, base),
            Type::Syslog => {
                let Some(kind) = syslog(section, base) else {
                    section.forgive_unknown();
                    return None;
                };
                kind
            }
            Type::Stdin => {
                if std::mem::replace(&mut stdin, true) {
                    section.problem(section.at(), "a second source of type \"stdin\"", "there is only one standard input");
                }
                SourceKind::Stdin
            }
        };
        let name = section.text("name");
        let name = match name {
            Some(given) => {
                if given.value.is_empty() {
                    section.problem(given.at, "a source's name must not be empty", "leave it out or name it");
                } else if !names.insert(given.value.to_owned()) {
                    let advice = "positions are stored under the name; give each source its own";
                    section.problem(given.at, format!("a second source is named \"{}\"", given.value), advice);
                }
                given.value.to_owned()
            }
            None => derived_name(&kind, &mut names),
        };
        let mut options = options(section, base);
        // What comes first must not decide how the rest is read.
        options.envelope = matches!(kind, SourceKind::Syslog(_)).then_some("syslog");
        Some(Source { name, format: format(section, "format", base), options, kind })
    })
    .into_iter()
    .flatten()
    .collect()
}

/// Named after what it reads, so that a reordered file keeps its stored positions.
fn derived_name(kind: &SourceKind, names: &mut BTreeSet<String>) -> String {
    let stem = match kind {
        SourceKind::File { include, .. } => include.first().cloned().unwrap_or_else(|| "file".to_owned()),
        SourceKind::Kafka(kafka) => format!("kafka:{}", kafka.topics.join(",")),
        SourceKind::Stdin => "stdin".to_owned(),
        SourceKind::Syslog(syslog) => format!("syslog:{}", syslog.url()),
    };
    let mut name = stem.clone();
    let mut number = 1;
    while !names.insert(name.clone()) {
        number += 1;
        name = format!("{stem}#{number}");
    }
    name
}

fn file(section: &Section<'_>, base: &Base<'_>) -> SourceKind {
    let mut pattern = |text: &str| {
        if text.is_empty() {
            return Err("an empty pattern matches nothing".to_owned());
        }
        globset::Glob::new(text).map_err(|e| format!("\"{text}\" is not a file pattern: {}", e.kind()))?;
        Ok(base.dir.join(text).to_string_lossy().into_owned())
    };
    let include = section.parsed_list("include", &mut pattern);
    if include.is_empty() && section.texts("include").is_empty() {
        section.problem(section.at_key("include"), "a file source needs \"include\"", "add include = [\"/var/log/postgresql/*.csv\"]");
    }
    let exclude = section.parsed_list("exclude", &mut pattern);
    SourceKind::File { include, exclude, start: section.one_of("start", &STARTS).unwrap_or(Start::Beginning) }
}

fn kafka(section: &Section<'_>, base: &Base<'_>) -> SourceKind {
    let brokers = section.parsed_list("brokers", |text| {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, "9092"));
        match port.parse::<u16>() {
            Ok(port) if port > 0 && !host.is_empty() && !host.contains(['/', ' ', ',']) => Ok(format!("{host}:{port}")),
            _ => Err(format!("\"{text}\" is not host:port; write for example \"k1.example.com:9092\"")),
        }
    });
    if brokers.is_empty() && section.texts("brokers").is_empty() {
        section.problem(section.at_key("brokers"), "a kafka source needs \"brokers\"", "add brokers = [\"k1:9092\"]");
    }
    let topics = section.parsed_list("topics", |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match !text.is_empty() && text.len() <= 249 && text.chars().all(legal) {
            true => Ok(text.to_owned()),
            false => Err(format!("\"{text}\" is not the name of a topic (letters, digits, \".\", \"_\", \"-\"; at most 249)")),
        }
    });
    if topics.is_empty() && section.texts("topics").is_empty() {
        section.problem(section.at_key("topics"), "a kafka source needs \"topics\"", "add topics = [\"db-audit\"]");
    }
    let kafka = Kafka {
        brokers,
        topics,
        group: section.text("group").map_or_else(|| "tokenwatch".to_owned(), |g| g.value.to_owned()),
        start: section.one_of("start", &STARTS).unwrap_or(Start::Beginning),
        tls: section.flag("tls").unwrap_or(false),
        ca_file: base.existing(section, "ca_file"),
        certificate_file: base.existing(section, "certificate_file"),
        key_file: base.existing(section, "key_file"),
        sasl_mechanism: section
            .one_of("sasl_mechanism", &[("PLAIN", "PLAIN"), ("SCRAM-SHA-256", "SCRAM-SHA-256"), ("SCRAM-SHA-512", "SCRAM-SHA-512")])
            .map(str::to_owned),
        username: section.text("username").map(|t| t.value.to_owned()),
        password: base.secret(section, "password_file"),
    };
    check_kafka(section, &kafka);
    SourceKind::Kafka(kafka)
}

/// `None`: without an address there is nothing to name it after, and the problem is reported.
fn syslog(section: &Section<'_>, base: &Base<'_>) -> Option<SourceKind> {
    let listen = section.require("listen", section.parsed("listen", address), "\"udp://0.0.0.0:5514\"");
    let from = section.parsed_list("from", value::network);
    if section.is_empty_list("from") {
        section.problem(section.at_key("from"), "an empty \"from\" would hear nobody", "leave it out to hear everybody");
    }
    let [certificate_file, key_file, client_ca_file] =
        ["certificate_file", "key_file", "client_ca_file"].map(|key| base.existing(section, key));
    let (transport, listen) = listen?;
    let keys = ["certificate_file", "key_file", "client_ca_file"];
    if transport == Transport::Tls {
        for key in keys.into_iter().take(2).filter(|key| !section.has(key)) {
            section.problem(section.at_key("listen"), format!("listening on tls:// needs \"{key}\""), "add the path of a PEM file");
        }
    } else if let Some(key) = keys.into_iter().find(|key| section.has(key)) {
        section.problem(section.at_key(key), format!("\"{key}\" has no effect without TLS"), "write listen = \"tls://...\"");
    }
    Some(SourceKind::Syslog(Syslog { transport, listen, from, certificate_file, key_file, client_ca_file }))
}

/// `udp://0.0.0.0:514`, `tcp://[::]:514`, `tls://10.0.0.1`.
fn address(text: &str) -> Result<(Transport, std::net::SocketAddr), String> {
    let wrong =
        || format!("\"{text}\" is no address to listen on; write for example \"udp://0.0.0.0:514\", \"tcp://...\" or \"tls://[::]:6514\"");
    let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
    let transport = Transport::ALL.into_iter().find(|transport| transport.name() == scheme).ok_or_else(wrong)?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let host =
        if host == "localhost" || host.starts_with("localhost:") { host.replacen("localhost", "127.0.0.1", 1) } else { host.to_owned() };
    if let Ok(address) = host.parse::<std::net::SocketAddr>() {
        return if address.port() == 0 { Err(wrong()) } else { Ok((transport, address)) };
    }
    let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    let ip = ip.parse::<std::net::IpAddr>().map_err(|_| wrong())?;
    Ok((transport, std::net::SocketAddr::new(ip, transport.port())))
}

/// Settings that only make sense together.
fn check_kafka(section: &Section<'_>, kafka: &Kafka) {
    for key in ["ca_file", "certificate_file", "key_file"] {
        if section.has(key) && !kafka.tls {
            section.problem(section.at_key(key), format!("\"{key}\" has no effect without TLS"), "add tls = true");
        }
    }
    for (one, other) in [("certificate_file", "key_file"), ("key_file", "certificate_file")] {
        if section.has(one) && !section.has(other) {
            section.problem(section.at_key(one), format!("\"{one}\" needs \"{other}\""), "");
        }
    }
    if section.has("sasl_mechanism") {
        for key in ["username", "password_file"] {
            if !section.has(key) {
                section.problem(section.at_key("sasl_mechanism"), format!("\"sasl_mechanism\" needs \"{key}\""), "");
            }
        }
    } else if let Some(key) = ["username", "password_file"].into_iter().find(|key| section.has(key)) {
        let advice = "add sasl_mechanism = \"SCRAM-SHA-512\" (or what the brokers ask for)";
        section.problem(section.at_key(key), format!("\"{key}\" has no effect without \"sasl_mechanism\""), advice);
    }
    let near = |broker: &String| ["localhost:", "127.", "[::1]:"].iter().any(|start| broker.starts_with(start));
    if kafka.sasl_mechanism.as_deref() == Some("PLAIN") && !kafka.tls && !kafka.brokers.iter().all(near) {
        let advice = "add tls = true, or use SCRAM-SHA-512";
        section.problem(section.at_key("sasl_mechanism"), "PLAIN without TLS sends the password in the clear", advice);
    }
}

/// A format's name; `None` for "auto" and where it is absent.
fn format(section: &Section<'_>, key: &'static str, base: &Base<'_>) -> Option<String> {
    let name = section.text(key)?;
    if name.value == "auto" {
        return None;
    }
    if !base.known_formats.contains(&name.value) {
        let known = format!("unknown format \"{}\" (known: auto, {})", name.value, base.known_formats.join(", "));
        section.problem(name.at, known, suggest(name.value, base.known_formats.iter().copied()));
    }
    Some(name.value.to_owned())
}

fn options(section: &Section<'_>, base: &Base<'_>) -> FormatOptions {
    let fields = section.inside("mapping", |section| {
        let mut fields = BTreeMap::new();
        for (field, pointer) in section.free_texts(&MAPPING_FIELDS) {
            if let Err(message) = self::pointer(pointer.value) {
                section.problem(pointer.at, format!("{field}: {message}"), "");
            }
            fields.insert(field.to_owned(), pointer.value.to_owned());
        }
        fields
    });
    let envelope = section.parsed("envelope", pointer);
    let inner = format(section, "inner", base);
    if section.has("inner") && !section.has("envelope") {
        let advice = "add envelope = \"/message\", the field that holds the inner record";
        section.problem(section.at_key("inner"), "\"inner\" has no effect without \"envelope\"", advice);
    }
    let mapped = fields.is_some() || envelope.is_some();
    FormatOptions {
        zone: section.parsed("timezone", value::zone),
        log_line_prefix: section.text("log_line_prefix").map(|t| t.value.to_owned()),
        mapping: mapped.then(|| JsonMapping { fields: fields.unwrap_or_default(), envelope, inner }),
        envelope: None,
        written: None,
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("\"{text}\" is not a JSON pointer; write \"/{}\"", text.replace('.', "/")));
    }
    let mut rest = text.split('~');
    rest.next();
    match rest.all(|after| after.starts_with(['0', '1'])) {
        true => Ok(text.to_owned()),
        false => Err(format!("\"{text}\": in a JSON pointer \"~\" is written \"~0\" and \"/\" in a name \"~1\"")),
    }
}
