//! Decoders: a framed record becomes an [`Event`], a counted reject, or a counted skip.
//!
//! **Adding a log format = one file here, one line in [`FORMATS`], one folder in `samples/`.**
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use bumpalo::Bump;

pub use crate::config::FormatOptions as Options;
use crate::event::Event;
use crate::framing::Framer;
use crate::framing::envelope::Note;

pub mod guide;
pub mod peer;
pub mod stream;
pub mod timestamp;

/// One framed record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Without the final line end.
    pub bytes: &'a [u8],
    /// The framing cut the record; `bytes` is its head.
    pub truncated: bool,
    /// Why the framing thinks that the record may be forged.
    pub suspect: Option<&'static str>,
    /// What the envelope says that the record came in, if it came in one; the relay's word, not the server's.
    pub note: Note<'a>,
}

impl<'a> Record<'a> {
    /// A whole record of which nothing else is known.
    pub fn new(bytes: &'a [u8]) -> Self {
        Record { bytes, truncated: false, suspect: None, note: Note::default() }
    }
}

/// What became of one record; records = events + rejects + skips.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // handed on at once, never kept; a box would be an allocation for each record
pub enum Decoded<'a> {
    Event(Event<'a>),
    /// It should have been an event and could not be read. The reason is a short fixed word group, also a metric label.
    Reject(&'static str),
    /// It is none of our business (a file header, a blank line).
    Skip(&'static str),
}

/// Reads the records of one partition, in order. Sessions that records only refer to are remembered here.
pub trait Decoder: Send {
    /// Never panics and never fails: what it cannot read it rejects. Unescaped text goes into `arena`.
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a>;

    /// State that later records need (open sessions), to be stored with the position. Empty where there is none.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes up what [`Decoder::save`] gave; unreadable state is dropped.
    fn restore(&mut self, _state: &[u8]) {}
}

/// One entry of the table of formats.
pub struct Format {
    /// Name in the configuration, in `--format` and in output.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// A client that can log in (or merely connect) may be able to write records of this format. Such formats alert, and
    /// never revoke.
    pub forgeable: bool,
    /// How sure the first bytes of a log (up to 64 KiB, perhaps ending inside a record) make us, 0..=100, with the reason for
    /// people; 0 = not this format.
    pub sniff: fn(sample: &[u8], options: &Options) -> Guess,
    /// Framer and decoder for one partition. The sample is the start of the log, where there is one.
    pub open: fn(sample: &[u8], options: &Options) -> Reader,
    /// What a user has to know of it: `docs/formats.md` and the people's half of `decode` are made of this.
    pub guide: Guide,
}

pub use guide::Guide;

/// What takes one partition apart and understands it.
pub type Reader = (Box<dyn Framer>, Box<dyn Decoder>);

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// As sure as a decoder is that takes nearly anything which looks like its log: an envelope with a log inside goes before.
pub const DOUBTED: u8 = 60;

/// A decoder's opinion of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// 0..=100.
    pub certainty: u8,
    /// Why, for `decode` without `--json`.
    pub because: String,
}

impl Guess {
    pub const NO: Guess = Guess { certainty: 0, because: String::new() };

    pub fn new(certainty: u8, because: impl Into<String>) -> Self {
        Guess { certainty, because: because.into() }
    }
}

pub mod aws_cloudtrail;
pub mod cassandra;
pub mod clickhouse;
pub mod cloudsql_audit;
pub mod cockroach;
pub mod couchbase;
pub mod couchdb;
pub mod csv;
pub mod elasticsearch;
pub mod gcp_audit;
pub mod hoop_audit;
pub mod json;
pub mod json_text;
pub mod mariadb_audit;
pub mod mongodb;
pub mod mssql;
pub mod mysql;
pub mod mysql_audit;
pub mod opensearch;
pub mod oracle;
pub mod postgres;
pub mod redis;
pub mod render;
pub mod saphana;
pub mod scylla;
pub mod secret_server;
pub mod snowflake;
mod table;
pub mod teleport_audit;
#[cfg(test)]
pub(crate) mod testing;
pub mod vault_audit;
pub mod xml_text;

/// All formats. Detection takes the highest certainty; of equals the first.
#[rustfmt::skip]
pub static FORMATS: &[Format] = &[
    postgres::csvlog::FORMAT,
    postgres::greenplum::FORMAT,
    postgres::jsonlog::FORMAT,
    postgres::stderr::FORMAT,
    postgres::k8s::FORMAT,
    postgres::activity::FORMAT,
    postgres::pgbouncer::FORMAT,
    mariadb_audit::FORMAT,
    mysql::general::FORMAT,
    mysql::slow::FORMAT,
    mysql::rows::FORMAT,
    mysql::error::FORMAT,
    mongodb::logv2::FORMAT,
    mongodb::audit::FORMAT,
    mongodb::atlas::FORMAT,
    mongodb::profile::FORMAT,
    mongodb::text::FORMAT,
    vault_audit::FORMAT,
    teleport_audit::FORMAT,
    hoop_audit::FORMAT,
    aws_cloudtrail::FORMAT,
    secret_server::FORMAT,
    mssql::audit::FORMAT,
    mssql::errorlog::FORMAT,
    oracle::aud::FORMAT,
    oracle::syslog::FORMAT,
    oracle::xml::FORMAT,
    oracle::unified::FORMAT,
    saphana::FORMAT,
    scylla::FORMAT,
    elasticsearch::FORMAT,
    opensearch::FORMAT,
    clickhouse::FORMAT,
    cloudsql_audit::FORMAT,
    cockroach::FORMAT,
    couchdb::FORMAT,
    couchbase::AUDIT,
    couchbase::ACCESS,
    snowflake::FORMAT,
    gcp_audit::FORMAT,
    gcp_audit::jobs::FORMAT,
    redis::monitor::FORMAT,
    redis::acl::FORMAT,
    redis::server::FORMAT,
    cassandra::FORMAT,
    mysql_audit::json::FORMAT,
    mysql_audit::xml::FORMAT,
    mysql_audit::percona::JSON,
    mysql_audit::percona::CSV,
    mysql_audit::mcafee::FORMAT,
    mysql_audit::azure::FORMAT,
    mysql_audit::zeek::FORMAT,
    json::FORMAT,
    csv::FORMAT,
];

/// The format of this name.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|f| f.name == name)
}

/// The most certain format for this sample, with its reason.
pub fn detect(sample: &[u8], options: &Options) -> Option<(&'static Format, Guess)> {
    let mut best: Option<(&'static Format, Guess)> = None;
    for format in FORMATS {
        let guess = (format.sniff)(sample, options);
        if guess.certainty > best.as_ref().map_or(0, |(_, g)| g.certainty) {
            best = Some((format, guess));
        }
    }
    best
}
