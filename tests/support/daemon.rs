//! The program under test as a service manager would run it: started, asked whether it is ready, reloaded, killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Server, Start};
use super::{free_port, http_get, wait_for};

/// A folder with a configuration, and the daemon that runs on it.
pub struct Daemon {
    pub folder: TempDir,
    pub http: u16,
    server: Option<Server>,
}

/// The built program.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tokenwatch"))
}

impl Daemon {
    /// Writes `config` (with `[state]` and `[http]` put in front) into a new folder. `files` are written beside it, unreadable to others.
    pub fn new(config: &str, files: &[(&str, &str)]) -> Daemon {
        let folder = tempfile::tempdir().expect("a folder");
        let http = free_port();
        for (name, text) in files {
            write_private(&folder.path().join(name), text);
        }
        let daemon = Daemon { folder, http, server: None };
        daemon.configure(config);
        daemon
    }

    /// Replaces the configuration file.
    pub fn configure(&self, config: &str) {
        let text = format!("[state]\ndir = \"state\"\n[http]\nlisten = \"127.0.0.1:{}\"\n{config}", self.http);
        write_private(&self.config(), &text);
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tokenwatch.toml")
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self) {
        let mut server = Server::start(Start {
            name: "tokenwatch",
            program: program(),
            args: vec!["run".into(), "--config".into(), self.config().display().to_string()],
            user: None,
            stop: Signal::TERM,
            output: self.folder.path().join("output"),
        });
        let http = self.http;
        server.wait_ready(|| http_get(http, "/readyz").filter(|(status, _)| *status == 200));
        self.server = Some(server);
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("a running daemon");
        server.signal(Signal::KILL);
        server.stop();
    }

    /// Ends it as systemd would.
    pub fn stop(&mut self) {
        self.server.take().expect("a running daemon").stop();
    }

    pub fn reload(&self) {
        self.server.as_ref().expect("a running daemon").signal(Signal::HUP);
    }

    /// What it wrote to its log since it was started last.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    pub fn metrics(&self) -> String {
        http_get(self.http, "/metrics").expect("the metrics").1
    }

    /// The value of a metric, given with its labels as it is written.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.metrics();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// Waits until a metric has at least this value.
    pub fn wait_metric(&self, name: &str, at_least: f64) {
        wait_for(&format!("{name} >= {at_least}"), Duration::from_secs(60), || self.metric(name).filter(|value| *value >= at_least));
    }

    /// Runs another command of the program on the same configuration; gives exit code, stdout and stderr.
    pub fn command(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(program()).args(args).arg("--config").arg(self.config()).output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }
}

/// Secrets are refused where others can read them.
fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("a file in the folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}
