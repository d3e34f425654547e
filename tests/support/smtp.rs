//! The SMTP server of `smtp_server.py` as a child process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};

use base64::Engine;
use serde_json::Value;

/// A running server; ends with this value.
pub struct SmtpServer {
    pub port: u16,
    /// The authority that signed the server's certificate.
    pub ca_file: PathBuf,
    child: Child,
    out: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

/// One mail as the server took it.
#[derive(Debug)]
pub struct Mail {
    pub to: Vec<String>,
    pub tls: bool,
    /// Headers and body as they came over the wire.
    pub content: String,
}

impl SmtpServer {
    /// `mode` as `smtp_server.py` has it.
    pub fn start(mode: &str) -> SmtpServer {
        let folder = tempfile::tempdir().unwrap();
        super::python::required();
        let mut child = super::python::command("smtp_server.py")
            .args([folder.path().to_str().unwrap(), mode])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the SMTP server starts");
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("the SMTP server said {line:?}; see its error above"));
        SmtpServer { port: port.parse().unwrap(), ca_file: folder.path().join("ca.pem"), child, out, _folder: folder }
    }

    /// Waits for the next mail.
    pub fn mail(&mut self) -> Mail {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let mail: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("no mail came ({e}): {line:?}"));
        let content = base64::engine::general_purpose::STANDARD.decode(mail["content"].as_str().unwrap()).unwrap();
        Mail {
            to: serde_json::from_value(mail["to"].clone()).unwrap(),
            tls: mail["tls"] == true,
            content: String::from_utf8(content).expect("a mail of ours is ASCII on the wire"),
        }
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
