//! Configuration: `file.rs` as written, `resolve.rs` validated with no options left, `problem.rs` what is wrong and where,
//! `secret.rs` secrets from files and systemd credentials, `value.rs` durations, networks and the like, `input.rs`,
//! `output.rs` and `inventory.rs` the sections about sources, about channels and responders, and about the inventory.
//!
//! **Adding a key = one line where its section is read.** Keys that nobody reads are reported by themselves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use glob::{Glob, ObjectGlob};
use networks::Networks;

use crate::event::Time;
use crate::severity::Severity;

/// The configuration, checked. Relative paths are already relative to the configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    pub inventory: Option<PathBuf>,
    pub checks: Checks,
    pub rules: Option<PathBuf>,
    pub state_dir: PathBuf,
    pub detect: Detect,
    pub sources: Vec<Source>,
    pub channels: Vec<Channel>,
    pub responders: Vec<Responder>,
    pub suppressions: Vec<Suppression>,
    pub http: Option<SocketAddr>,
}

#[derive(Debug, Clone)]
pub struct Detect {
    /// Budget: false alerts per 1000 token-days, > 0.
    pub false_alerts_per_1000_token_days: f64,
    /// Age that a token must reach, in event time, before its baseline is judged by; in a fleet watched for that long, a new token is judged from its
    /// second active day on.
    pub learning: Duration,
    /// A token's later findings join its open alert for this long.
    pub group_window: Duration,
    /// MMDB files that say where addresses come from; of two that know, the first is believed.
    pub mmdb: Vec<PathBuf>,
}

/// What is reported of the inventory itself: tokens that nobody declared, owns, uses or rotates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// Somebody keeps an inventory, and wants to hear of it. Otherwise nothing is reported.
    pub kept: bool,
    /// It is told in alerts; listings and metrics have it all the same. Who only names the file of the inventory may have declared a part of the tokens.
    pub alert: bool,
    pub unknown: bool,
    pub no_owner: bool,
    pub expired: bool,
    /// Period of tokens that declare none. `None`: only declared periods count.
    pub not_rotated: Option<Duration>,
    pub idle: Option<Duration>,
    /// Addresses within seven days that are many.
    pub shared: Option<u32>,
    /// What still holds is said again after this long, on a Monday. `None`: never.
    pub repeat: Option<Duration>,
}

#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    /// `None`: detected from content.
    pub format: Option<String>,
    pub options: FormatOptions,
    pub kind: SourceKind,
}

/// What a source's configuration says about its format.
#[derive(Debug, Clone, Default)]
pub struct FormatOptions {
    /// Zone of time stamps that name none (or name an ambiguous abbreviation). `None`: UTC.
    pub zone: Option<jiff::tz::TimeZone>,
    /// PostgreSQL's `log_line_prefix`, where it is not one of those that are detected.
    pub log_line_prefix: Option<String>,
    /// Where the generic JSON decoder finds each field.
    pub mapping: Option<JsonMapping>,
    /// Name of the envelope that every record comes in, where that is known beforehand (a syslog listener). `None`: detected.
    pub envelope: Option<&'static str>,
    /// When the log was written to last, as far as whoever reads it knows: time stamps without a year are not later.
    pub written: Option<crate::event::Time>,
}

/// Field of the event -> JSON pointer (RFC 6901) into the record; `principal = "/user/name"`.
///
/// `envelope` names the pointer of a text field that holds the real record (Filebeat's `/message`, Fluent Bit's `/log`), which
/// is then decoded as `inner` (a format name; `None`: detected).
#[derive(Debug, Clone, Default)]
pub struct JsonMapping {
    pub fields: std::collections::BTreeMap<String, String>,
    pub envelope: Option<String>,
    pub inner: Option<String>,
}

#[derive(Debug, Clone)]
pub enum SourceKind {
    File { include: Vec<String>, exclude: Vec<String>, start: Start },
    Kafka(Kafka),
    Stdin,
    Syslog(Syslog),
}

/// Where to begin in a file or topic that has no stored position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Beginning,
    End,
}

#[derive(Debug, Clone)]
pub struct Kafka {
    pub brokers: Vec<String>,
    pub topics: Vec<String>,
    pub group: String,
    pub start: Start,
    pub tls: bool,
    pub ca_file: Option<PathBuf>,
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// "PLAIN", "SCRAM-SHA-256" or "SCRAM-SHA-512".
    pub sasl_mechanism: Option<String>,
    pub username: Option<String>,
    pub password: Option<secret::Secret>,
}

/// A syslog listener.
#[derive(Debug, Clone)]
pub struct Syslog {
    pub transport: Transport,
    pub listen: SocketAddr,
    /// Who is heard; empty: everybody.
    pub from: Vec<ipnet::IpNet>,
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// Senders must show a certificate of this authority.
    pub client_ca_file: Option<PathBuf>,
}

impl Syslog {
    /// The address as it is written in the configuration.
    pub fn url(&self) -> String {
        format!("{}://{}", self.transport.name(), self.listen)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    pub const ALL: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }

    /// The port that RFC 5426 and RFC 5425 give it, where none is written.
    pub fn port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 514,
            Transport::Tls => 6514,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Channel {
    pub name: String,
    pub min_severity: Severity,
    pub timeout: Duration,
    pub kind: ChannelKind,
}

#[derive(Debug, Clone)]
pub enum ChannelKind {
    Webhook { url: String, secret: Option<secret::Secret> },
    Slack { url: secret::Secret },
    Email(Email),
    Alertmanager { url: String },
    Stdout,
    File { path: PathBuf },
}

#[derive(Debug, Clone)]
pub struct Email {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub ca_file: Option<PathBuf>,
    pub username: Option<String>,
    pub password: Option<secret::Secret>,
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Plain connection, upgraded; refused where the server does not offer it.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// No encryption; only for a relay on this host.
    None,
}

#[derive(Debug, Clone)]
pub struct Responder {
    pub name: String,
    pub url: String,
    pub secret: Option<secret::Secret>,
    pub enforce: bool,
    /// Only alerts of at least this severity are acted on.
    pub min_severity: Severity,
    /// Only alerts of at least this confidence (0..=100) are acted on.
    pub min_confidence: u8,
    /// Tokens (globs) that are never revoked.
    pub never: Vec<String>,
    /// Actions per hour.
    pub budget_per_hour: u32,
    pub timeout: Duration,
}

/// A standing exception: findings that are not alerted, because somebody who knows said so. They are still counted.
#[derive(Debug, Clone)]
pub struct Suppression {
    /// Names of tokens.
    pub token: Glob,
    /// Names of detectors, as alerts give them.
    pub detectors: Vec<Glob>,
    /// Only for use from here; `None`: from anywhere.
    pub networks: Option<Networks>,
    /// Only where every object of the statement is one of these; empty: any.
    pub objects: Vec<ObjectGlob>,
    pub author: String,
    pub reason: String,
    /// In event time. An exception that nobody looks at again becomes a hole.
    pub until: Time,
}

pub mod file;
pub mod glob;
mod input;
mod inventory;
pub mod networks;
mod output;
pub mod problem;
mod resolve;
pub mod secret;
pub mod value;

pub use input::MAPPING_FIELDS;
pub use problem::Problem;
pub use resolve::{load, named_files, parse};
