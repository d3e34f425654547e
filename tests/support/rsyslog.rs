//! A real rsyslog that takes messages from a socket of its own.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::process::{Server, Start};
use super::program;

/// `Some(reason)` if rsyslog is missing.
pub fn missing() -> Option<String> {
    let module = |name: &str| Path::new("/usr/lib/x86_64-linux-gnu/rsyslog").join(name).is_file();
    match program("rsyslogd") {
        None => Some("rsyslog is not installed".to_owned()),
        Some(_) if !module("lmnsd_ossl.so") && cfg!(target_arch = "x86_64") => Some("rsyslog-openssl is not installed".to_owned()),
        Some(_) => None,
    }
}

pub struct Rsyslog {
    _server: Server,
    /// Where programs would find `/dev/log`.
    pub socket: PathBuf,
}

impl Rsyslog {
    /// Starts one that keeps its files in `folder` and does what `action` says with every message.
    pub fn start(folder: &Path, action: &str) -> Rsyslog {
        let socket = folder.join("log");
        let config = folder.join("rsyslog.conf");
        let text = format!(
            "global(workDirectory=\"{0}\" localHostname=\"db1\" maxMessageSize=\"64k\")\n\
             module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{1}\" RateLimit.Interval=\"0\")\n{action}\n",
            folder.display(),
            socket.display()
        );
        std::fs::write(&config, text).expect("the configuration");
        let mut server = Server::start(Start {
            name: "rsyslog",
            program: &program("rsyslogd").expect("rsyslog: ask rsyslog::missing() first"),
            args: ["-n", "-f", &config.display().to_string(), "-i", &folder.join("pid").display().to_string()].map(String::from).to_vec(),
            user: None,
            stop: Signal::TERM,
            output: folder.join("rsyslog.out"),
        });
        server.wait_ready(|| socket.exists().then_some(()));
        Rsyslog { _server: server, socket }
    }

    pub fn log(&self, text: &str) {
        let socket = UnixDatagram::unbound().expect("a socket");
        let message = format!("<134>Nov 27 10:00:00 postgres[77]: {text}");
        socket.send_to(message.as_bytes(), &self.socket).expect("sent");
    }
}
