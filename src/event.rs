//! The event: one query, login, denial or disconnect as a decoder read it from one record.
//!
//! An [`Event`] borrows from the record (or from the batch's arena, where text had to be unescaped), so decoding allocates
//! nothing per field. Text is bytes: database logs carry whatever encoding their clients used.

use std::net::IpAddr;

use bstr::BStr;
use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC. Event time, never arrival time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time(pub i64);

impl Time {
    pub const SECOND: i64 = 1_000_000;
    pub const MINUTE: i64 = 60 * Self::SECOND;
    pub const HOUR: i64 = 60 * Self::MINUTE;
    pub const DAY: i64 = 24 * Self::HOUR;

    /// Whole UTC days since the epoch (negative before 1970).
    pub fn day(self) -> i32 {
        // Years beyond +-5.8 million do not fit; decoders reject far smaller ones.
        i32::try_from(self.0.div_euclid(Self::DAY)).unwrap_or(i32::MAX)
    }

    /// UTC hour of the day, 0..=23.
    pub fn hour(self) -> u8 {
        (self.0.rem_euclid(Self::DAY) / Self::HOUR) as u8
    }
}

/// RFC 3339 in UTC with as many fractional digits as needed.
impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// What kind of act a record reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A statement was run (or handed over to be run).
    Query,
    /// A session was authenticated and authorised.
    Login,
    /// A login was refused. Its principal is always [`Provenance::Claimed`].
    LoginFailed,
    /// A session ended.
    Logout,
    /// A statement was refused for lack of privilege.
    Denied,
    /// A statement failed for another reason.
    Error,
    /// Understood, but not an act of a token: start-up lines, checkpoints, settings.
    Other,
}

/// How far a field may be believed. The order is the order of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The client sent it: application_name, a SQL comment, the user of a failed login, statement text.
    Claimed,
    /// The server or the kernel saw it: the peer address, the process id.
    Observed,
    /// The server verified it: the user of an authorised session.
    Authenticated,
}

/// How a statement or login ended, as far as the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    Denied,
    Error,
    Unknown,
}

/// The verb of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Operation {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Create,
    Drop,
    Alter,
    Truncate,
    Grant,
    Revoke,
    Call,
    Copy,
    Show,
    Set,
    Begin,
    Commit,
    Rollback,
    Explain,
    Connect,
    Other,
    Unknown,
}

impl Operation {
    /// Every operation with its name in the configuration, the order of the enum.
    pub const ALL: [(Operation, &'static str); 22] = [
        (Operation::Select, "select"),
        (Operation::Insert, "insert"),
        (Operation::Update, "update"),
        (Operation::Delete, "delete"),
        (Operation::Merge, "merge"),
        (Operation::Create, "create"),
        (Operation::Drop, "drop"),
        (Operation::Alter, "alter"),
        (Operation::Truncate, "truncate"),
        (Operation::Grant, "grant"),
        (Operation::Revoke, "revoke"),
        (Operation::Call, "call"),
        (Operation::Copy, "copy"),
        (Operation::Show, "show"),
        (Operation::Set, "set"),
        (Operation::Begin, "begin"),
        (Operation::Commit, "commit"),
        (Operation::Rollback, "rollback"),
        (Operation::Explain, "explain"),
        (Operation::Connect, "connect"),
        (Operation::Other, "other"),
        (Operation::Unknown, "unknown"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.get(self as usize).map_or("unknown", |(_, name)| name)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(op, _)| *op)
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the client sits, as the server saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// A v4-mapped IPv6 address is held as IPv4.
    Ip(IpAddr),
    /// A Unix socket or the like.
    Local,
    /// A host name: the server resolved it, which makes it only as good as the resolver.
    Name(&'a BStr),
}

impl<'a> Address<'a> {
    /// Reads what a server writes for a peer: an address, `[local]`, `localhost`, or a host name; empty is `None`.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        match text {
            b"" | b"[unknown]" | b"-" => None,
            b"[local]" | b"local" | b"localhost" => Some(Address::Local),
            _ => Some(match v4(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok()) {
                Some(ip) => Address::Ip(ip.to_canonical()),
                None => Address::Name(BStr::new(text)),
            }),
        }
    }
}

/// Four decimal numbers, as nearly every address is written; whatever else one may be the library reads.
fn v4(text: &[u8]) -> Option<IpAddr> {
    let (mut octets, mut index, mut digits) = ([0u8; 4], 0, 0);
    for byte in text {
        let octet = octets.get_mut(index)?;
        match byte {
            b'0'..=b'9' if digits == 0 || *octet > 0 => (*octet, digits) = (octet.checked_mul(10)?.checked_add(byte - b'0')?, digits + 1),
            b'.' if digits > 0 => (index, digits) = (index + 1, 0),
            _ => return None,
        }
    }
    (index == 3 && digits > 0).then(|| octets.into())
}

impl std::fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Ip(ip) => write!(f, "{ip}"),
            Address::Local => f.write_str("local"),
            Address::Name(name) => write!(f, "{name}"),
        }
    }
}

/// The account name that the log gives, with how far it may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    pub name: &'a BStr,
    pub provenance: Provenance,
}

/// The grammar of the statement text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dialect {
    Postgres,
    MySql,
    /// SQL of no known kind.
    Generic,
    /// The statement is not SQL.
    None,
}

/// A database user that a credential broker (Vault, OpenBao) has just made: the account, and for whom it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease<'a> {
    pub account: &'a BStr,
    /// Display name of the broker's token that asked for it.
    pub display: &'a BStr,
    pub role: &'a BStr,
}

/// One record, understood. Absent values are `None`, empty text is `Some("")` only where the log says so.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    pub kind: Kind,
    pub time: Time,
    pub principal: Option<Principal<'a>>,
    pub address: Option<Address<'a>>,
    pub port: Option<u16>,
    pub database: Option<&'a BStr>,
    /// Client software as the client names itself; always claimed.
    pub client: Option<&'a BStr>,
    /// The server's own session key, unique while the session lives.
    pub session: Option<&'a BStr>,
    /// Statement text with its literals. It never leaves the process.
    pub statement: Option<&'a BStr>,
    pub dialect: Dialect,
    /// Operation where the record states it apart from the statement (audit records).
    pub operation: Option<Operation>,
    /// Objects where the record states them apart from the statement; empty: read them from the statement.
    pub objects: &'a [&'a BStr],
    pub outcome: Outcome,
    /// SQLSTATE or the engine's own error number.
    pub code: Option<&'a BStr>,
    pub rows: Option<u64>,
    /// Microseconds.
    pub duration_us: Option<u64>,
    /// The generated database user that the record hands out by name.
    pub lease: Option<&'a Lease<'a>>,
    /// Why this record may be the work of a client that writes into the log; such an event names no token.
    pub suspect: Option<&'static str>,
    /// The statement (or the record) was cut by the server or by our size limit.
    pub truncated: bool,
}

impl<'a> Event<'a> {
    /// An event of `kind` at `time` with everything else absent.
    pub fn new(kind: Kind, time: Time) -> Self {
        Event {
            kind,
            time,
            principal: None,
            address: None,
            port: None,
            database: None,
            client: None,
            session: None,
            statement: None,
            dialect: Dialect::None,
            operation: None,
            objects: &[],
            outcome: Outcome::Unknown,
            code: None,
            rows: None,
            duration_us: None,
            lease: None,
            suspect: None,
            truncated: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_the_library_reads_them() {
        let parts = ["", "0", "00", "7", "10", "99", "100", "255", "256", "300", "1000", "a", "-1", "+1", " 1"];
        for a in parts {
            for b in parts {
                for text in
                    [format!("{a}.{b}.0.1"), format!("1.2.{a}.{b}"), format!("1.{a}.{b}"), format!("1.2.3.{a}.{b}"), format!("1.2.3.{a}.")]
                {
                    assert_eq!(v4(text.as_bytes()), text.parse().ok(), "{text}");
                }
            }
        }
        for (text, want) in [("::ffff:1.2.3.4", "1.2.3.4"), ("::1", "::1"), ("db.example.org", "db.example.org"), ("localhost", "local")] {
            assert_eq!(Address::parse(text.as_bytes()).map(|address| address.to_string()).as_deref(), Some(want));
        }
    }
}
