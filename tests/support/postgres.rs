//! A real PostgreSQL server with its own data directory, and clients that come from any address of 127.0.0.0/8.

use super::process::{Server, Start, command_as, folder_for, run_to_end};
use super::python::{self, Login, Rows};
use super::{free_port, wait_for};
use rustix::process::Signal;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The superuser of the test server, and its password.
const ADMIN: (&str, &str) = ("postgres", "made for this test");

pub struct Postgres {
    server: Server,
    port: u16,
    folder: TempDir,
}

/// `Some(reason)` if PostgreSQL, pgaudit or the Python clients are missing.
pub fn missing() -> Option<String> {
    let Some(bin) = bin() else { return Some("PostgreSQL is not installed in /usr/lib/postgresql".to_owned()) };
    let pgaudit = bin.with_file_name("lib").join("pgaudit.so");
    if !pgaudit.is_file() {
        return Some(format!("pgaudit is not installed ({} is missing)", pgaudit.display()));
    }
    python::missing()
}

/// The `bin` folder of the newest server that is installed.
fn bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let bins = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let bin = version.path().join("bin");
        bin.join("postgres").is_file().then_some((number, bin))
    });
    bins.max().map(|(_, bin)| bin)
}

impl Postgres {
    /// Starts a new, empty server. It logs into [`Self::log_file`]; `conf` adds settings or overrides the ones here, for
    /// example `("log_destination", "csvlog")`, `("log_statement", "all")`, `("shared_preload_libraries", "pgaudit")`.
    pub fn start(conf: &[(&str, &str)]) -> Postgres {
        Postgres::start_with(conf, None)
    }

    /// The same with a socket that takes what the server sends to syslog; ask [`super::process::own_log_missing`] first.
    pub fn start_with(conf: &[(&str, &str)], syslog: Option<&Path>) -> Postgres {
        let bin = bin().expect("PostgreSQL: ask postgres::missing() first");
        let folder = folder_for("postgres");
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        fs::write(&password, ADMIN.1).expect("the password file");

        let mut initdb = command_as(Some("postgres"), None, &bin.join("initdb"));
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--username", ADMIN.0]);
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data);
        run_to_end("initdb", initdb);

        let port = free_port();
        let log = folder.path().join("log");
        fs::write(data.join("postgresql.auto.conf"), settings(port, &log, conf)).expect("the settings");
        fs::write(data.join("pg_hba.conf"), "host all all 127.0.0.0/8 scram-sha-256\n").expect("the access rules");

        let start = Start {
            name: "PostgreSQL",
            program: &bin.join("postgres"),
            args: vec!["-D".to_owned(), data.display().to_string()],
            user: Some("postgres"),
            stop: Signal::INT, // "fast": ends the sessions and shuts down cleanly
            output: folder.path().join("output"),
        };
        let mut server = match syslog {
            Some(socket) => Server::start_with_log(start, socket),
            None => Server::start(start),
        };
        // the eighth line of the pid file says what a connection would, without leaving a line in the log
        let pid_file = data.join("postmaster.pid");
        server.wait_ready(|| {
            let text = fs::read_to_string(&pid_file).ok()?;
            (text.lines().nth(7)?.trim() == "ready").then_some(())
        });
        Postgres { server, port, folder }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The folder of the log files: `postgresql.log`, and beside it `.csv` or `.json` as `log_destination` asks.
    pub fn log_dir(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The log file with this ending: `log`, `csv` or `json`.
    pub fn log_file(&self, ending: &str) -> PathBuf {
        self.log_dir().join("postgresql").with_extension(ending)
    }

    /// The log with this ending, once it contains `text`; panics after 10 s.
    pub fn wait_log(&self, ending: &str, text: &str) -> String {
        let file = self.log_file(ending);
        wait_for(&format!("{text:?} in {}", file.display()), Duration::from_secs(10), || {
            let log = String::from_utf8_lossy(&fs::read(&file).ok()?).into_owned();
            log.contains(text).then_some(log)
        })
    }

    /// Runs statements as the superuser from 127.0.0.1; panics if one fails.
    pub fn admin(&self, statements: &[&str]) -> Vec<Rows> {
        let results = self.query(&superuser("postgres"), statements).expect("a session of the superuser");
        let pairs = statements.iter().zip(results);
        pairs.map(|(statement, result)| result.unwrap_or_else(|error| panic!("{statement}: {error}"))).collect()
    }

    /// Creates a role that may log in.
    pub fn create_role(&self, user: &str, password: &str) {
        self.admin(&[&format!("create role \"{user}\" login password '{password}'")]);
    }

    /// One statement by `user`, from an address of 127.0.0.0/8, in the database `postgres`.
    pub fn query_as(&self, user: &str, password: &str, from: &str, sql: &str) -> Result<Rows, String> {
        let login = Login { user, password, database: "postgres", from, client: "tests" };
        self.query(&login, &[sql])?.pop().unwrap_or_else(|| Err("no answer".to_owned()))
    }

    /// Several statements in one session.
    pub fn query(&self, login: &Login<'_>, statements: &[&str]) -> Result<Vec<Result<Rows, String>>, String> {
        python::query("postgres", self.port, login, statements)
    }

    /// Makes the server close its log files and open new ones, as `logrotate` does after moving them away.
    pub fn rotate_log(&self) {
        self.admin(&["select pg_rotate_logfile()"]);
    }

    pub fn stop(&mut self) {
        self.server.stop();
    }
}

/// A session of the superuser in this database.
pub fn superuser(database: &str) -> Login<'_> {
    Login { user: ADMIN.0, password: ADMIN.1, database, from: "127.0.0.1", client: "tests" }
}

fn settings(port: u16, log: &Path, conf: &[(&str, &str)]) -> String {
    let (port, log) = (port.to_string(), log.display().to_string());
    let base: [(&str, &str); 14] = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        ("unix_socket_directories", ""),
        ("max_connections", "50"),
        ("shared_buffers", "16MB"),
        ("fsync", "off"),
        ("logging_collector", "on"),
        ("log_destination", "stderr"),
        ("log_directory", &log),
        ("log_filename", "postgresql.log"),
        ("log_file_mode", "0644"),
        ("log_timezone", "UTC"),
        ("timezone", "UTC"),
        ("lc_messages", "C.UTF-8"),
    ];
    let mut text = String::new();
    // of a setting that stands twice the server takes the last
    for (key, value) in base.iter().chain(conf) {
        writeln!(text, "{key} = '{}'", value.replace('\'', "''")).expect("a String takes all");
    }
    text
}
