//! What container runtimes put around each line of a program's output.
//!
//! ```text
//! {"log":"2026-11-22 02:21:28.123 UTC [77] web@app LOG:  statement: SELECT 1\n","stream":"stderr","time":"2026-11-22T02:21:28.123456789Z"}
//! 2026-11-22T02:21:28.123456789Z stderr F 2026-11-22 02:21:28.123 UTC [77] web@app LOG:  statement: SELECT 1
//! ```
//!
//! The first is Docker's `json-file` driver (a line without `\n` goes on in the next), the second the Container Runtime Interface of
//! Kubernetes (`P`: goes on, `F`: ends). Sources: <https://docs.docker.com/engine/logging/drivers/json-file/>,
//! <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>

use std::borrow::Cow;

use bumpalo::Bump;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rfc3339::rfc3339;
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::framing::lines::Lines;

pub const DOCKER: Kind = Kind {
    name: "docker",
    about: "Docker's json-file log driver",
    forgeable: false,
    arrays: None,
    framer: |_| Box::new(Lines::new()),
    open: |_| Box::new(Docker),
};

pub const CRI: Kind = Kind {
    name: "cri",
    about: "container logs of Kubernetes",
    forgeable: false,
    arrays: None,
    framer: |_| Box::new(Lines::new()),
    open: |_| Box::new(Cri),
};

struct Docker;

/// With any other key it is a shipper's object, which has its line ends cut off.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(default, rename = "attrs")]
    _attributes: Option<IgnoredAny>,
}

impl Envelope for Docker {
    fn open<'a>(&mut self, record: &'a [u8], arena: &'a Bump) -> Opened<'a> {
        let Ok(text) = std::str::from_utf8(record) else { return Opened::Reject("a Docker log line that is not UTF-8") };
        let Ok(line) = serde_json::from_str::<DockerLine<'a>>(text) else { return Opened::Reject("not a line of Docker's json-file") };
        let Some(time) = rfc3339(line.time.as_bytes()) else { return Opened::Reject("a Docker log line without its time") };
        let log: &'a str = match line.log {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => arena.alloc_str(&text),
        };
        let (payload, part) = match log.strip_suffix('\n') {
            Some(line) => (line.strip_suffix('\r').unwrap_or(line), Part::Line),
            None => (log, Part::Piece),
        };
        let lane = lane(&[line.stream.as_bytes()]);
        Opened::Carried(Carried { payload: payload.as_bytes(), lane, part, note: Note { time: Some(time), ..Note::default() } })
    }
}

struct Cri;

impl Envelope for Cri {
    fn open<'a>(&mut self, record: &'a [u8], _: &'a Bump) -> Opened<'a> {
        let mut words = record.splitn(4, |byte| *byte == b' ');
        let (Some(time), Some(stream @ (b"stdout" | b"stderr")), Some(tags)) = (words.next(), words.next(), words.next()) else {
            return Opened::Reject("not a line of a Kubernetes container log");
        };
        let Some(time) = rfc3339(time) else { return Opened::Reject("not a line of a Kubernetes container log") };
        // Tags are separated by colons; the first says whether the line is whole.
        let part = match tags.split(|byte| *byte == b':').next() {
            Some(b"F") => Part::Line,
            Some(b"P") => Part::Piece,
            _ => return Opened::Reject("not a line of a Kubernetes container log"),
        };
        let payload = words.next().unwrap_or_default();
        let lane = lane(&[stream]);
        Opened::Carried(Carried { payload, lane, part, note: Note { time: Some(time), ..Note::default() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut envelope: impl Envelope, record: &str, want: Result<(&str, Part), &str>) {
        let arena = Bump::new();
        match (envelope.open(record.as_bytes(), &arena), want) {
            (Opened::Carried(carried), Ok((payload, part))) => {
                assert_eq!((std::str::from_utf8(carried.payload).unwrap(), carried.part), (payload, part), "{record}");
                assert!(carried.note.time.is_some());
            }
            (Opened::Reject(reason), Err(wanted)) => assert_eq!(reason, wanted, "{record}"),
            (got, _) => panic!("{record}: {got:?}"),
        }
    }

    #[test]
    fn docker() {
        check(Docker, r#"{"log":"a \"b\"\n","stream":"stdout","time":"2026-11-22T02:21:28.1Z"}"#, Ok(("a \"b\"", Part::Line)));
        check(Docker, r#"{"log":"half","stream":"stdout","attrs":{"x":"y"},"time":"2026-11-22T02:21:28Z"}"#, Ok(("half", Part::Piece)));
        check(Docker, r#"{"log":"a","time":"2026-11-22T02:21:28Z"}"#, Err("not a line of Docker's json-file"));
        check(Docker, r#"{"log":"a","stream":"stdout","time":"now"}"#, Err("a Docker log line without its time"));
    }

    #[test]
    fn cri() {
        let other = "not a line of a Kubernetes container log";
        check(Cri, "2026-11-22T02:21:28.123456789Z stderr F a  b", Ok(("a  b", Part::Line)));
        check(Cri, "2026-11-22T02:21:28+01:00 stdout P half", Ok(("half", Part::Piece)));
        check(Cri, "2026-11-22T02:21:28Z stdout F", Ok(("", Part::Line)));
        check(Cri, "2026-11-22T02:21:28Z stdin F x", Err(other));
        check(Cri, "2026-11-22 02:21:28 stdout F x", Err(other));
        check(Cri, "2026-11-22T02:21:28Z stdout X x", Err(other));
    }
}
