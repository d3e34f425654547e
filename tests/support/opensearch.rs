//! A real OpenSearch server: one node whose security plugin writes an audit log of everything.

use super::process::{Server, Start, folder_for, missing_programs, run_to_end};
use super::python::{self, Request};
use super::{fetched, free_port, program, wait_for};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Runs it when we are root: OpenSearch refuses to run as root.
const USER: &str = "daemon";

/// The administrator of the plugin's own demonstration configuration.
pub const ADMIN: (&str, &str) = ("admin", "admin");

pub struct OpenSearch {
    server: Server,
    port: u16,
    folder: TempDir,
}

/// `Some(reason)` if something of OpenSearch is missing.
pub fn missing() -> Option<String> {
    let jars = fetched("TOKENWATCH_OPENSEARCH", "opensearch");
    if !jars.join("opensearch-security/plugin-descriptor.properties").is_file() {
        return Some(format!("OpenSearch: no jars in {}", jars.display()));
    }
    missing_programs(&["java"], "default-jre-headless").or_else(|| missing_programs(&["openssl"], "openssl")).or_else(python::missing)
}

impl OpenSearch {
    pub fn start() -> OpenSearch {
        let folder = folder_for(USER);
        let home = folder.path();
        let (port, transport) = (free_port(), free_port());
        let jars = fetched("TOKENWATCH_OPENSEARCH", "opensearch");
        for name in ["config", "plugins", "modules", "logs", "data", "tmp"] {
            fs::create_dir(home.join(name)).expect("our own folder");
        }
        let copy = |from: PathBuf, to: PathBuf| {
            let mut cp = Command::new("cp");
            cp.arg("-r").arg(from).arg(to);
            run_to_end("cp", cp);
        };
        copy(jars.join("lib"), home.join("lib"));
        copy(jars.join("opensearch-security"), home.join("plugins/opensearch-security"));
        copy(jars.join("opensearch-security/config"), home.join("config/opensearch-security"));
        let mut certificate = Command::new("openssl");
        certificate.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=node", "-keyout"]);
        certificate.arg(home.join("config/key.pem")).arg("-out").arg(home.join("config/cert.pem"));
        run_to_end("openssl", certificate);

        let settings = format!(
            "cluster.name: tests\nnode.name: node-1\npath.data: {0}/data\npath.logs: {0}/logs\nnetwork.host: 127.0.0.1\n\
             http.port: {port}\ntransport.port: {transport}\ndiscovery.type: single-node\n\
             cluster.routing.allocation.disk.threshold_enabled: false\n\
             plugins.security.ssl.transport.pemcert_filepath: cert.pem\n\
             plugins.security.ssl.transport.pemkey_filepath: key.pem\n\
             plugins.security.ssl.transport.pemtrustedcas_filepath: cert.pem\n\
             plugins.security.ssl.transport.enforce_hostname_verification: false\n\
             plugins.security.ssl.http.enabled: false\n\
             plugins.security.allow_default_init_securityindex: true\n\
             plugins.security.nodes_dn: [\"CN=node\"]\n\
             plugins.security.restapi.roles_enabled: [\"all_access\"]\n\
             plugins.security.audit.type: log4j\n\
             plugins.security.audit.config.log4j.logger_name: audit\n\
             plugins.security.audit.config.log4j.level: INFO\n",
            home.display()
        );
        let logging = "status = error\n\
             appender.console.type = Console\nappender.console.name = console\n\
             appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n\n\
             appender.audit.type = File\nappender.audit.name = audit\n\
             appender.audit.fileName = ${sys:opensearch.logs.base_path}${sys:file.separator}audit.log\n\
             appender.audit.layout.type = PatternLayout\n\
             appender.audit.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [%node_name]%marker %m%n\n\
             rootLogger.level = info\nrootLogger.appenderRef.console.ref = console\n\
             logger.audit.name = audit\nlogger.audit.level = info\nlogger.audit.additivity = false\n\
             logger.audit.appenderRef.audit.ref = audit\n";
        let audit = "_meta: {type: audit, config_version: 2}\n\
             config:\n  enabled: true\n  audit:\n    enable_rest: true\n    disabled_rest_categories: []\n    enable_transport: true\n    \
             disabled_transport_categories: [AUTHENTICATED]\n    ignore_users: []\n    resolve_indices: true\n    log_request_body: true\n  \
             compliance:\n    enabled: false\n";
        for (name, text) in
            [("opensearch.yml", settings.as_str()), ("log4j2.properties", logging), ("opensearch-security/audit.yml", audit)]
        {
            fs::write(home.join("config").join(name), text).expect("our own folder");
        }
        if rustix::process::geteuid().is_root() {
            let mut chown = Command::new("chown");
            chown.arg("-R").arg(format!("{USER}:{USER}")).arg(home);
            run_to_end("chown", chown);
        }

        let property = |name: &str, value: &str| format!("-D{name}={value}");
        let path = |name: &str| home.join(name).display().to_string();
        let args = vec![
            "-Xms256m".to_owned(),
            "-Xmx512m".to_owned(),
            property("java.security.manager", "allow"),
            property("java.io.tmpdir", &path("tmp")),
            property("jna.tmpdir", &path("tmp")),
            property("log4j2.disable.jmx", "true"),
            property("log4j.shutdownHookEnabled", "false"),
            property("io.netty.noUnsafe", "true"),
            property("opensearch.path.home", &home.display().to_string()),
            property("opensearch.path.conf", &path("config")),
            property("opensearch.distribution.type", "tar"),
            property("opensearch.bundled_jdk", "false"),
            "-cp".to_owned(),
            path("lib/*"),
            "org.opensearch.bootstrap.OpenSearch".to_owned(),
        ];
        let output = home.join("output");
        let java = program("java").expect("ask opensearch::missing() first");
        let mut server = Server::start(Start { name: "OpenSearch", program: &java, args, user: Some(USER), stop: Signal::TERM, output });
        server.wait_ready(|| {
            let request = Request { from: "127.0.0.1", method: "GET", path: "/", login: Some(ADMIN), headers: &[], body: "" };
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
            let answers = python::http(port, &[request]).ok()?;
            answers.first().is_some_and(|(status, _)| *status == 200).then_some(())
        });
        OpenSearch { server, port, folder }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Sends requests one after the other: status and body of each answer.
    pub fn send(&self, requests: &[Request<'_>]) -> Vec<(u64, Vec<u8>)> {
        python::http(self.port, requests).expect("answers")
    }

    /// Requests of the administrator; panics if one fails.
    pub fn admin(&self, requests: &[(&str, &str, &str)]) {
        let requests: Vec<Request<'_>> = requests
            .iter()
            .map(|(method, path, body)| Request { from: "127.0.0.1", method, path, login: Some(ADMIN), headers: &[], body })
            .collect();
        for (request, (status, body)) in requests.iter().zip(self.send(&requests)) {
            assert!((200..300).contains(&status), "{request:?}: {status} {}", String::from_utf8_lossy(&body));
        }
    }

    /// The file of the audit log, each record behind log4j's usual prefix.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join("logs/audit.log")
    }

    /// The audit log once it contains `text`; panics after 20 s.
    pub fn wait_audit(&self, text: &str) -> String {
        wait_for(&format!("{text:?} in the audit log"), Duration::from_secs(20), || {
            let log = String::from_utf8_lossy(&fs::read(self.audit_log()).ok()?).into_owned();
            log.contains(text).then_some(log)
        })
    }
}
