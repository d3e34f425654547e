//! A real HashiCorp Vault: the server of `tests/vault`, unsealed, with its data in memory.

use super::process::{Server, Start};
use super::python::{self, Request};
use super::{fetched, free_port};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The administrator's address.
pub const HOME: &str = "127.0.0.1";

pub struct Vault {
    server: Server,
    port: u16,
    root: String,
    folder: TempDir,
}

/// One request of the HTTP API.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub from: &'a str,
    pub token: Option<&'a str>,
    pub method: &'a str,
    /// Behind `/v1/`.
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a Value,
}

/// `Some(reason)` if the server was not built, or the Python clients are missing.
pub fn missing() -> Option<String> {
    let program = program();
    if !program.is_file() {
        return Some(format!("Vault is not built in {}", program.display()));
    }
    python::missing()
}

fn program() -> PathBuf {
    fetched("TOKENWATCH_VAULT", "vault").join("vault")
}

impl Vault {
    pub fn start() -> Vault {
        let folder = tempfile::Builder::new().prefix("tokenwatch-").tempdir().expect("a temporary folder");
        let port = free_port();
        let root = folder.path().join("root-token");
        let args = vec![format!("127.0.0.1:{port}"), root.display().to_string()];
        let output = folder.path().join("output");
        let mut server = Server::start(Start { name: "Vault", program: &program(), args, user: None, stop: Signal::TERM, output });
        let root = server.wait_ready(|| fs::read_to_string(&root).ok().filter(|token| !token.is_empty()));
        Vault { server, port, root, folder }
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The root token.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What the server wrote of itself, as JSON lines.
    pub fn output(&self) -> String {
        self.server.output()
    }

    /// Enables an audit device `file`; where it writes to.
    pub fn audit(&self, name: &str, options: &[(&str, &str)]) -> PathBuf {
        let file = self.folder.path().join(name);
        let mut all = json!({ "file_path": file });
        for (key, value) in options {
            all[key] = json!(value);
        }
        self.admin("PUT", &format!("sys/audit/{name}"), &json!({ "type": "file", "options": all }));
        file
    }

    /// A request with the root token; panics if it is refused.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(Ask { from: HOME, token: Some(&self.root), method, path, headers: &[], body });
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub fn ask(&self, ask: Ask<'_>) -> (u64, Value) {
        self.send(&[ask]).pop().expect("an answer")
    }

    /// Sends requests one after the other: status and body of each answer.
    pub fn send(&self, asks: &[Ask<'_>]) -> Vec<(u64, Value)> {
        let written: Vec<_> = asks
            .iter()
            .map(|ask| {
                let mut headers = ask.headers.to_vec();
                headers.extend(ask.token.map(|token| ("X-Vault-Token", token)));
                let body = if ask.body.is_null() { String::new() } else { ask.body.to_string() };
                (format!("/v1/{}", ask.path), headers, body)
            })
            .collect();
        let requests: Vec<Request<'_>> = asks
            .iter()
            .zip(&written)
            .map(|(ask, (path, headers, body))| Request { from: ask.from, method: ask.method, path, login: None, headers, body })
            .collect();
        let answers = python::http(self.port, &requests).expect("answers");
        answers.into_iter().map(|(status, body)| (status, serde_json::from_slice(&body).unwrap_or_default())).collect()
    }
}
