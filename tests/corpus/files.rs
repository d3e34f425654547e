//! How the files of the corpus are read where that is not plain, and where we differ from other parsers on purpose.

use tokenwatch::config::FormatOptions;

/// How a file is read.
pub enum How {
    Log(FormatOptions),
    /// The log lines stand inside something else.
    Extract(fn(&[u8]) -> Vec<u8>, FormatOptions),
    /// It holds no records of a log.
    NotALog(&'static str),
}

/// Files (a part of their path), what they are, and why.
const NOT_LOGS: &[(&str, &str)] = &[
    ("sqli_text/", "statements of attackers, one a line"),
    ("pg_auto_explain/", "plans alone, without the log record around them"),
    ("sqlcommenter/", "statements with comments, one a line"),
];

/// Folders whose formats are being worked on: complaints about them do not fail the test yet.
pub const NOT_YET: &[&str] = &[
    "aws_cloudtrail/",
    "aws_das/",
    "cassandra/",
    "cockroachdb/",
    "couchbase/",
    "couchdb/",
    "elasticsearch_audit/",
    "gcp_audit/",
    "mariadb_server_audit/",
    "mongodb_atlas/",
    "mongodb_audit/",
    "mongodb_log/",
    "mssql_audit/",
    "mssql_errorlog/",
    "mysql_enterprise_audit/",
    "mysql_error/",
    "mysql_general/",
    "mysql_slow/",
    "oracle_audit/",
    "percona_audit/",
    "pg_azure/",
    "pg_cloudsql/",
    "pg_csvlog/",
    "pg_heroku/",
    "pg_k8s_json/",
    "pg_messages/",
    "pg_prefix_vectors/",
    "pg_stderr/",
    "pg_syslog/",
    "pgaudit/",
    "pgbouncer/",
    "redis_acl_log/",
    "redis_log/",
    "redis_monitor/",
    "saphana/",
    "secret_server/",
    "snowflake/",
    "syslog/",
    "teleport/",
    "vault_audit/",
    "zeek_mysql/",
];

/// Differences that we stand by: a part of the path, the field (or `records`), and why.
pub const ALLOWED: &[(&str, &str, &str)] = &[];

pub fn how(path: &str) -> How {
    if let Some((_, reason)) = NOT_LOGS.iter().find(|(part, _)| path.contains(part)) {
        return How::NotALog(reason);
    }
    if path.starts_with("pgaudit/") || path.starts_with("mariadb_server_audit/") && path.ends_with(".result") {
        return How::Extract(|log| log.to_vec(), FormatOptions::default());
    }
    How::Log(FormatOptions::default())
}
