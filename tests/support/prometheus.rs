//! A real Prometheus that scrapes one target, and promtool.

use super::process::{Server, Start, missing_programs};
use super::{free_port, http_get, program};
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub struct Prometheus {
    server: Server,
    port: u16,
    _folder: TempDir,
}

/// `Some(reason)` if Prometheus or promtool is missing.
pub fn missing() -> Option<String> {
    missing_programs(&["prometheus", "promtool"], "prometheus")
}

impl Prometheus {
    /// Starts a server that scrapes `http://TARGET/metrics` (`127.0.0.1:9187`) every second.
    pub fn start(target: &str) -> Prometheus {
        let folder = tempfile::Builder::new().prefix("tokenwatch-").tempdir().expect("a temporary folder");
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs:\n  - {{ job_name: tokenwatch, static_configs: [ {{ targets: [\"{target}\"] }} ] }}\n"
        );
        fs::write(&config, text).expect("the configuration of Prometheus");
        let port = free_port();
        let mut server = Server::start(Start {
            name: "Prometheus",
            program: &program("prometheus").expect("ask prometheus::missing() first"),
            args: vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", folder.path().join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ],
            user: None,
            stop: Signal::TERM,
            output: folder.path().join("output"),
        });
        server.wait_ready(|| http_get(port, "/-/ready").filter(|(status, _)| *status == 200));
        Prometheus { server, port, _folder: folder }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The samples of an instant query, as `(labels, value)`; panics if the expression is wrong.
    pub fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let mut path = "/api/v1/query?query=".to_owned();
        for byte in expression.bytes() {
            write!(path, "%{byte:02X}").expect("a String takes all");
        }
        let (status, body) = http_get(self.port, &path).expect("Prometheus answers");
        assert_eq!(status, 200, "{expression}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let samples = answer["data"]["result"].as_array().expect("an instant vector");
        samples.iter().map(|sample| (sample["metric"].clone(), number(&sample["value"][1]))).collect()
    }

    /// The value of an expression that gives one sample; `None` if it gives none.
    pub fn value(&self, expression: &str) -> Option<f64> {
        self.query(expression).first().map(|(_, value)| *value)
    }

    pub fn stop(&mut self) {
        self.server.stop();
    }
}

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("a sample's value is a number in a string")
}

/// What `promtool check metrics` says of an exposition; empty output is a clean bill.
pub fn check_metrics(exposition: &str) -> Result<(), String> {
    promtool(&["check", "metrics"], Path::new("."), exposition).and_then(|said| match said.trim() {
        "" => Ok(()),
        complaint => Err(complaint.to_owned()),
    })
}

/// Runs promtool in `folder` with `input` on its stdin: what it printed, as an error if it failed.
pub fn promtool(args: &[&str], folder: &Path, input: &str) -> Result<String, String> {
    let mut command = Command::new(program("promtool").expect("ask prometheus::missing() first"));
    command.args(args).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(said) }
}
