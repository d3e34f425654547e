//! An HTTP receiver for tests: records every request and answers as told, also badly.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// One request as it arrived. Header names are in lower case.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What to do with a request after recording it.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16, Vec<(&'static str, String)>, &'static str),
    /// Keep the connection open and say nothing.
    Hang,
    /// Close the connection without an answer, as a receiver that acted and then crashed.
    Drop,
}

impl Answer {
    pub fn ok() -> Answer {
        Answer::Status(200, Vec::new(), "ok")
    }

    pub fn status(status: u16) -> Answer {
        Answer::Status(status, Vec::new(), "")
    }
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Answer>>,
    after: Mutex<Option<Answer>>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
}

/// The receiver; lives until the test process ends.
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl Receiver {
    /// Answers with `script` in turn, and with 200 from then on.
    pub fn start(script: impl IntoIterator<Item = Answer>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { script: Mutex::new(script.into_iter().collect()), ..State::default() });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Receiver { address, state }
    }

    /// What to answer once the script is used up.
    pub fn then_always(self, answer: Answer) -> Receiver {
        *self.state.after.lock().unwrap() = Some(answer);
        self
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Waits until `n` requests have arrived.
    pub fn wait_for(&self, n: usize) -> Vec<Request> {
        let requests = self.state.requests.lock().unwrap();
        let (requests, timeout) =
            self.state.arrived.wait_timeout_while(requests, Duration::from_secs(15), |requests| requests.len() < n).unwrap();
        assert!(!timeout.timed_out(), "only {} of {n} requests arrived within 15 s: {requests:#?}", requests.len());
        requests.clone()
    }
}

fn serve(stream: TcpStream, state: &State) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        state.requests.lock().unwrap().push(request);
        state.arrived.notify_all();
        let scripted = state.script.lock().unwrap().pop_front();
        let answer = scripted.or_else(|| state.after.lock().unwrap().clone()).unwrap_or_else(Answer::ok);
        match answer {
            Answer::Status(status, headers, body) => {
                let mut text = format!("HTTP/1.1 {status} Test\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    text.push_str(&format!("{name}: {value}\r\n"));
                }
                text.push_str("\r\n");
                text.push_str(body);
                if writer.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            Answer::Hang => std::thread::sleep(Duration::from_secs(3600)),
            Answer::Drop => return,
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body: String::from_utf8(body).ok()? })
}
