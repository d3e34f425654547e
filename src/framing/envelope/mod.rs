//! Envelopes: what relays put around a record (syslog, Docker, Kubernetes, log shippers).

use bstr::BStr;

use crate::event::Time;

/// What an envelope says about the record inside. All of it is the relay's word: it helps to read a record that lacks a time, and
/// never chooses a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Note<'a> {
    /// When the relay took the record in.
    pub time: Option<Time>,
    /// The host that wrote it.
    pub host: Option<&'a BStr>,
    /// The program that wrote it: syslog's tag, a container's name.
    pub program: Option<&'a BStr>,
    /// Process id of that program.
    pub pid: Option<u32>,
}
