//! Small Python programs in `tests/python`, run in the virtual environment that `tests/run` fills: clients that choose
//! their source address, and receivers that are independent of our own code.

use super::{fetched, process, root};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub fn interpreter() -> PathBuf {
    fetched("TOKENWATCH_PYTHON", "test-python/bin/python")
}

/// `Some(reason)` if the virtual environment is missing.
pub fn missing() -> Option<String> {
    let python = interpreter();
    (!python.is_file()).then(|| format!("the Python test clients are not installed in {}", python.display()))
}

/// Panics with the remedy where the virtual environment is missing: for tests whose judge it is, which must not pass without.
pub fn required() {
    if let Some(reason) = missing() {
        panic!(
            "{reason}; run tests/run once, or: python3 -m venv target/test-python && \
             target/test-python/bin/pip install -r tests/python/requirements.txt"
        );
    }
}

/// A command that runs `tests/python/SCRIPT` and ends with this process; for servers, see [`process::Server`].
pub fn command(script: &str) -> Command {
    let mut command = process::command_as(None, Some(rustix::process::Signal::TERM), &interpreter());
    command.arg("-u").arg(root().join("tests/python").join(script));
    command
}

/// Runs `tests/python/SCRIPT` to its end with `input` on its stdin; its stdout, or an error with its stderr.
pub fn run(script: &str, args: &[&str], input: &str) -> Result<String, String> {
    let mut command = command(script);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{script}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // a script that ends early says why on stderr
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("{script}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{script}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

/// Who opens a database session, from where.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub database: &'a str,
    /// An address of 127.0.0.0/8, which is what the server sees and logs.
    pub from: &'a str,
    /// What the client says of itself; `application_name` or `program_name`.
    pub client: &'a str,
}

/// The values of one statement's rows, as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// Runs the statements in one session, each in its own transaction. The outer error says why there was no session, an
/// inner one why a statement failed.
pub fn query(engine: &str, port: u16, login: &Login<'_>, statements: &[impl Serialize]) -> Result<Vec<Result<Rows, String>>, String> {
    let request = json!({
        "engine": engine, "port": port, "user": login.user, "password": login.password, "database": login.database,
        "from": login.from, "client": login.client, "statements": statements,
    });
    let answer = run("query.py", &[], &request.to_string())?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| format!("query.py answered {answer:?}: {error}"))?;
    if let Some(refused) = answer.get("refused").and_then(Value::as_str) {
        return Err(refused.to_owned());
    }
    let results = answer.get("results").and_then(Value::as_array).ok_or("query.py gave no results")?;
    Ok(results.iter().map(statement_result).collect())
}

fn statement_result(result: &Value) -> Result<Rows, String> {
    match result.get("error").and_then(Value::as_str) {
        Some(error) => Err(error.to_owned()),
        None => serde_json::from_value(result.get("rows").cloned().unwrap_or_default()).map_err(|error| error.to_string()),
    }
}

/// One HTTP request from a chosen address.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub from: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    /// User and password, if it says who it is.
    pub login: Option<(&'a str, &'a str)>,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

/// Sends requests to a port of 127.0.0.1, one after the other; status and body of each answer.
pub fn http(port: u16, requests: &[Request<'_>]) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let requests: Vec<Value> = requests
        .iter()
        .map(|request| {
            let mut headers = serde_json::Map::from_iter([("Content-Type".to_owned(), json!("application/json"))]);
            headers.extend(request.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
            json!({
                "from": request.from, "method": request.method, "path": request.path, "body": request.body,
                "user": request.login.map(|login| login.0), "password": request.login.map(|login| login.1),
                "headers": headers,
            })
        })
        .collect();
    let answer = run("http_request.py", &[], &json!({ "port": port, "requests": requests }).to_string())?;
    let answers: Vec<Value> = serde_json::from_str(&answer).map_err(|error| format!("http_request.py answered {answer:?}: {error}"))?;
    let status = |answer: &Value| answer["status"].as_u64().unwrap_or_default();
    let body = |answer: &Value| STANDARD.decode(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    Ok(answers.iter().map(|answer| (status(answer), body(answer))).collect())
}
