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
    ("gz_obfuscated.json", "a report of another program about a log"),
    ("redis-debian-1-2-6", "stamps without a year, and no commands"),
    ("redis-debian-1.2.6", "stamps without a year, and no commands"),
    ("hub__syslog-logs", "lines of sshd"),
    ("pg_messages/", "messages alone, without the log record around them"),
    ("pg_prefix_vectors/", "single lines, each under a prefix of its own: see `prefixes_are_read`"),
    ("pgaudit/", "what a client shows of pgaudit's notices, without the log record around them"),
    ("sqlcommenter/", "statements with comments, one a line"),
];

/// Differences that we stand by: a part of the path, the field (or `records`), and why.
pub const ALLOWED: &[(&str, &str, &str)] = &[
    ("aws_s3_honeybucketlogs.AWS_S3_HoneyBucketLogs.csv", "records", "an analyst's own CSV, identities as Python's dictionaries"),
    ("aws-cloudtrail-user-guide__docs-events", "records", "nine of its objects are answers of the API, no events"),
    (
        "panther-analysis__cloudtrail_rules",
        "records",
        "25 test objects are no records as AWS writes them: no time, no name, keys in lower case",
    ),
    ("__server_audit.10.", "records", "outputs of tests, in which words stand for numbers and names"),
    ("mariadb-docs__docs-lines", "records", "lines of the documentation with stand-ins for columns"),
    ("postgresql-11-tempfile", "statement", "a record about a temporary file repeats a statement that is counted already"),
    ("query-steps-slowlog", "statement", "`parse` is no act of its own: the statement is counted at its `execute`"),
    ("beats__postgresql-9.6", "time", "they read EST in July as summer time"),
    ("hub__pgsql-logs", "records", "six lines of servers with three prefixes"),
    ("hub__pgsql-logs", "user", "six lines of servers with three prefixes"),
    ("hub__pgsql-logs", "address", "six lines of servers with three prefixes"),
    ("hub__couchdb-logs", "user", "`undefined` is how CouchDB writes that nobody logged in"),
    ("beats__test-audit.log", "user", "in changes of the security configuration theirs is the user that was changed, not who changed it"),
    ("panther-analysis__snowflake_rules", "records", "two test objects of 34 are queries without any time"),
    ("panther-analysis__gravitational_teleport_rules", "records", "one test object has 000 seconds"),
    ("mysql_general/percona-toolkit__genlog004", "records", TIMELESS),
    ("mysql_slow/go-mysql__slow015", "records", TIMELESS),
    ("mysql_slow/go-mysql__slow018", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow008", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow009", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow012", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow016", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow019", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow030", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow032-rewritten", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow046", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow047", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow052", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow057", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slowlogwriter", "records", TIMELESS),
    ("mysql_slow/percona-toolkit__slow021", "records", "its first entry stands before any time stamp"),
    ("mysql_slow/percona-toolkit__slow041", "records", "its first entry stands before any time stamp"),
    ("mysql_slow/beats__mariadb-10.2.12", "rows", ROWS),
    ("mysql_slow/beats__percona-ubuntu-5.7.19", "rows", ROWS),
    ("mysql_slow/beats__percona-ubuntu-5.7.19", "duration", "153883.481 s read as a float of 32 bits"),
    ("mysql_slow/beats__percona-ubuntu-8.0.15", "statement", "the head of the next log is no part of the statement"),
];

const ROWS: &str = "the rows affected, where none were sent";
const TIMELESS: &str = "no time stamp in the whole file";

/// The rows of the log in the output of a test of the server, which stands for times and hosts by words.
fn rows(output: &[u8]) -> Vec<u8> {
    let lines = output.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"TIME,HOSTNAME,"));
    let numbered = |rest: &[u8]| String::from_utf8_lossy(rest).replace(",ID,ID,", ",1,2,").replace("',ID", "',0");
    lines.flat_map(|rest| format!("20261122 02:21:28,vm,{}\n", numbered(rest)).into_bytes()).collect()
}

pub fn how(path: &str) -> How {
    if let Some((_, reason)) = NOT_LOGS.iter().find(|(part, _)| path.contains(part)) {
        return How::NotALog(reason);
    }
    if path.starts_with("mariadb_server_audit/") && path.ends_with(".result") {
        return How::Extract(rows, FormatOptions::default());
    }
    if path.ends_with("beats__test-access.log") || path.ends_with("beats__test-audit.log") {
        // Its author's server stood there.
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(-2));
        return How::Log(FormatOptions { zone: Some(zone), ..FormatOptions::default() });
    }
    if path.starts_with("secret_server/") {
        return How::Extract(originals, FormatOptions::default());
    }
    How::Log(recent())
}

/// Stamps without a year are not later than this.
pub fn recent() -> FormatOptions {
    FormatOptions { written: Some(tokenwatch::event::Time(1_795_737_600_000_000)), ..FormatOptions::default() }
}

/// The lines that stand in a test's `events[].event.original`.
fn originals(file: &[u8]) -> Vec<u8> {
    let json: serde_json::Value = serde_json::from_slice(file).expect("JSON");
    let lines = json["events"].as_array().into_iter().flatten().filter_map(|event| event["event"]["original"].as_str());
    lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}
