//! A real ClickHouse server that writes every query to `system.query_log`.

use super::process::{Server, Start, missing_programs};
use super::python::{self, Request};
use super::{free_port, http_get, program};
use rustix::process::Signal;
use std::fs;
use tempfile::TempDir;

pub struct ClickHouse {
    server: Server,
    port: u16,
    folder: TempDir,
}

/// `Some(reason)` if ClickHouse or the Python clients are missing.
pub fn missing() -> Option<String> {
    missing_programs(&["clickhouse-server"], "clickhouse-server").or_else(python::missing)
}

impl ClickHouse {
    /// Starts a new, empty server with the accounts `default` (no password, from 127.0.0.1), `billing` and `reader` (password
    /// `secret`, from all of 127.0.0.0/8); `reader` may change nothing.
    pub fn start() -> ClickHouse {
        let folder = tempfile::Builder::new().prefix("tokenwatch-clickhouse-").tempdir().expect("a temporary folder");
        let (port, tcp) = (free_port(), free_port());
        let place = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "<yandex><logger><level>warning</level><console>1</console></logger>\
             <http_port>{port}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>\
             <path>{}/</path><tmp_path>{}/</tmp_path><users_config>{}</users_config>\
             <mark_cache_size>5368709</mark_cache_size><default_profile>default</default_profile><default_database>default</default_database>\
             <query_log><database>system</database><table>query_log</table>\
             <flush_interval_milliseconds>200</flush_interval_milliseconds></query_log></yandex>",
            place("data"),
            place("tmp"),
            place("users.xml")
        );
        let user = |name: &str, password: &str, net: &str, profile: &str| {
            format!(
                "<{name}><password>{password}</password><networks><ip>{net}</ip></networks><profile>{profile}</profile><quota>default</quota></{name}>"
            )
        };
        let users = format!(
            "<yandex><profiles><default><log_queries>1</log_queries></default>\
             <reader><log_queries>1</log_queries><readonly>1</readonly></reader></profiles>\
             <users>{}{}{}</users><quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors>\
             <result_rows>0</result_rows><read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas></yandex>",
            user("default", "", "127.0.0.1", "default"),
            user("billing", "secret", "127.0.0.0/8", "default"),
            user("reader", "secret", "127.0.0.0/8", "reader"),
        );
        fs::write(folder.path().join("config.xml"), config).expect("our own folder");
        fs::write(folder.path().join("users.xml"), users).expect("our own folder");
        let mut server = Server::start(Start {
            name: "ClickHouse",
            program: &program("clickhouse-server").expect("ask clickhouse::missing() first"),
            args: vec![format!("--config-file={}", place("config.xml"))],
            user: None,
            stop: Signal::TERM,
            output: folder.path().join("output"),
        });
        server.wait_ready(|| http_get(port, "/ping").filter(|(status, _)| *status == 200).map(drop));
        ClickHouse { server, port, folder }
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// One statement over HTTP by `login` from an address of 127.0.0.0/8: status and answer.
    pub fn query(&self, login: (&str, &str), from: &str, sql: &str) -> (u64, Vec<u8>) {
        let request = Request { from, method: "POST", path: "/", login: Some(login), headers: &[], body: sql };
        python::http(self.port, &[request]).expect("an answer").pop().expect("one")
    }

    /// The status of a request without a body.
    pub fn get(&self, path: &str) -> u16 {
        http_get(self.port, path).expect("an answer").0
    }

    /// One statement with all rights; panics if it fails.
    pub fn admin(&self, sql: &str) -> Vec<u8> {
        let (status, answer) = self.query(("default", ""), "127.0.0.1", sql);
        assert_eq!(status, 200, "{sql}: {}", String::from_utf8_lossy(&answer));
        answer
    }

    /// The rows of `system.query_log` as JSON lines, in the order of their times.
    pub fn query_log(&self) -> Vec<u8> {
        self.admin("select * from system.query_log order by event_time, query_start_time, query_id, type format JSONEachRow")
    }

    /// The temporary folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
