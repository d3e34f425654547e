//! Oracle Database's audit trails: what their forms have in common.
//!
//! [`aud`] is the traditional trail in files, [`syslog`] the traditional and the unified trail over syslog, [`xml`] the traditional one as
//! XML, [`unified`] the rows of the view `UNIFIED_AUDIT_TRAIL`.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::timestamp::Timestamps;
use crate::event::{Address, Dialect, Event, Kind, Operation, Outcome, Principal, Provenance, Time};

pub mod aud;
mod pairs;
pub mod syslog;
pub mod unified;
pub mod xml;

/// What a record of any form may say; empty text is absent.
#[derive(Debug, Default, Clone, Copy)]
struct Fields<'a> {
    user: &'a [u8],
    /// `(ADDRESS=(PROTOCOL=tcp)(HOST=10.0.0.1)(PORT=58864))`, alone or within other text; or an address.
    peer: &'a [u8],
    client: &'a [u8],
    database: &'a [u8],
    session: &'a [u8],
    statement: &'a [u8],
    /// A number of `AUDIT_ACTIONS`, or a name of it.
    action: &'a [u8],
    code: &'a [u8],
    schema: &'a [u8],
    object: &'a [u8],
    truncated: bool,
    suspect: Option<&'static str>,
}

/// `ORA-` numbers that mean "not allowed": login, password, account, privilege, table or view (which somebody without any right on it
/// is told not to exist).
const DENIED: [&[u8]; 13] =
    [b"1017", b"1005", b"1031", b"1045", b"1918", b"1920", b"942", b"1749", b"28000", b"28001", b"28002", b"28009", b"46952"];

pub(super) fn outcome(code: &[u8]) -> Outcome {
    let digits = code.trim_start_with(|c| c == '0' || c == '-');
    match digits {
        b"" if code.is_empty() => Outcome::Unknown,
        b"" => Outcome::Success,
        digits if DENIED.contains(&digits) => Outcome::Denied,
        _ => Outcome::Error,
    }
}

impl<'a> Fields<'a> {
    fn event(&self, time: Time, arena: &'a Bump) -> Event<'a> {
        let mut event = Event::new(Kind::Query, time);
        event.outcome = outcome(self.code);
        event.code = some(self.code);
        let action = Action::read(self.action);
        event.operation = action.operation();
        let mut provenance = Provenance::Authenticated;
        event.kind = match (action, event.outcome) {
            (Action::Logon, Outcome::Success | Outcome::Unknown) => Kind::Login,
            (Action::Logon, _) => {
                provenance = Provenance::Claimed;
                Kind::LoginFailed
            }
            (Action::Logoff, _) => Kind::Logout,
            (Action::Session, _) => Kind::Other,
            (_, Outcome::Denied) => Kind::Denied,
            (_, Outcome::Error) => Kind::Error,
            _ => Kind::Query,
        };
        if self.suspect.is_some() {
            provenance = Provenance::Claimed;
        }
        event.principal = some(self.user).map(|name| Principal { name, provenance });
        (event.address, event.port) = peer(self.peer);
        event.client = some(self.client);
        event.database = some(self.database);
        event.session = some(self.session);
        if !matches!(action, Action::Logon | Action::Logoff) {
            event.statement = some(self.statement);
        }
        if event.statement.is_some() {
            event.dialect = Dialect::Generic;
        }
        if !self.object.is_empty() {
            event.objects = arena.alloc_slice_copy(&[qualified(self.schema, self.object, arena)]);
        }
        event.truncated = self.truncated;
        event.suspect = self.suspect;
        event
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Logon,
    Logoff,
    /// A summary of what a session did to one object (`AUDIT ... BY SESSION`).
    Session,
    Done(Operation),
    Unknown,
}

/// The numbers of `AUDIT_ACTIONS` that are one operation.
const NUMBERS: [(Operation, &[u16]); 16] = [
    (Operation::Select, &[3, 131]),
    (Operation::Insert, &[2]),
    (Operation::Update, &[6]),
    (Operation::Delete, &[7]),
    (Operation::Merge, &[189]),
    (
        Operation::Create,
        &[
            1, 4, 9, 13, 19, 21, 24, 32, 34, 36, 39, 51, 52, 56, 57, 59, 65, 71, 74, 77, 81, 91, 94, 97, 110, 112, 129, 157, 159, 160, 163,
            164,
        ],
    ),
    (Operation::Drop, &[8, 10, 12, 16, 20, 22, 33, 38, 41, 53, 54, 61, 66, 68, 73, 76, 78, 83, 84, 93, 96, 99, 111, 113, 158, 162, 167]),
    (
        Operation::Alter,
        &[5, 11, 14, 15, 25, 28, 29, 35, 37, 40, 42, 43, 49, 60, 67, 70, 72, 75, 79, 80, 82, 92, 95, 98, 118, 119, 120, 121, 128, 130, 161],
    ),
    (Operation::Truncate, &[85, 86]),
    (Operation::Grant, &[17, 108, 114]),
    (Operation::Revoke, &[18, 109, 115]),
    (Operation::Call, &[47, 116, 123, 170]),
    (Operation::Commit, &[44]),
    (Operation::Rollback, &[45]),
    (Operation::Set, &[48, 55, 90]),
    (Operation::Explain, &[50]),
];

impl Action {
    fn read(text: &[u8]) -> Self {
        if text.first().is_some_and(u8::is_ascii_digit) {
            let Some(number) = std::str::from_utf8(text).ok().and_then(|t| t.parse::<u16>().ok()) else { return Action::Unknown };
            return match number {
                100 => Action::Logon,
                101 | 102 => Action::Logoff,
                103 => Action::Session,
                // Those say too little to choose one: the statement tells more.
                0 => Action::Unknown,
                _ => match NUMBERS.iter().find(|(_, numbers)| numbers.contains(&number)) {
                    Some((operation, _)) => Action::Done(*operation),
                    None => Action::Done(Operation::Other),
                },
            };
        }
        let word = text.split(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_lowercase();
        match word.as_slice() {
            b"" => Action::Unknown,
            b"logon" | b"connect" => Action::Logon,
            b"logoff" | b"disconnect" => Action::Logoff,
            b"execute" | b"pl" => Action::Done(Operation::Call),
            b"rename" | b"comment" | b"flashback" => Action::Done(Operation::Alter),
            word => match std::str::from_utf8(word).ok().and_then(Operation::from_name) {
                Some(operation) => Action::Done(operation),
                None => Action::Done(Operation::Other),
            },
        }
    }

    fn operation(self) -> Option<Operation> {
        match self {
            Action::Logon => Some(Operation::Connect),
            Action::Done(operation) => Some(operation),
            _ => None,
        }
    }
}

/// The client as the listener saw it. `(PROTOCOL=beq)` is a client on the server itself.
fn peer(text: &[u8]) -> (Option<Address<'_>>, Option<u16>) {
    let value = |key: &[u8]| {
        // The last one: text before the address is made of names that a client may have chosen.
        let at = text.rfind(key)? + key.len();
        let rest = text.get(at..)?;
        rest.get(..memchr::memchr(b')', rest)?)
    };
    if let Some(host) = value(b"(HOST=") {
        let port = value(b"(PORT=").and_then(|p| std::str::from_utf8(p).ok()?.parse().ok());
        return (Address::parse(host), port.filter(|p| *p != 0));
    }
    match value(b"(PROTOCOL=") {
        Some(protocol) if protocol.eq_ignore_ascii_case(b"beq") || protocol.eq_ignore_ascii_case(b"ipc") => (Some(Address::Local), None),
        Some(_) => (None, None),
        None if text.iter().any(|b| matches!(b, b' ' | b'(' | b';')) => (None, None),
        None => super::peer::peer(text),
    }
}

fn qualified<'a>(schema: &[u8], object: &'a [u8], arena: &'a Bump) -> &'a BStr {
    if schema.is_empty() {
        return BStr::new(object);
    }
    let mut name = bumpalo::collections::Vec::with_capacity_in(schema.len() + 1 + object.len(), arena);
    name.extend_from_slice(schema);
    name.push(b'.');
    name.extend_from_slice(object);
    BStr::new(name.into_bump_slice())
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

/// `Wed Oct  7 12:28:38 2020 -04:00`, in older servers without the offset.
fn long_time(text: &[u8], stamps: &mut Timestamps) -> Option<Time> {
    let mut words = text.split(|b| *b == b' ').filter(|w| !w.is_empty());
    let _weekday = words.next()?;
    let month = month(words.next()?)?;
    let (day, clock, year, zone) = (words.next()?, words.next()?, words.next()?, words.next());
    if words.next().is_some() || !(1..=2).contains(&day.len()) || clock.len() != 8 || year.len() != 4 {
        return None;
    }
    let mut stamp = [0u8; 40];
    let mut to = stamp.as_mut_slice();
    let zero: &[u8] = if day.len() == 1 { b"0" } else { b"" };
    for part in [year, b"-", month, b"-", zero, day, b" ", clock, zone.map_or(&b""[..], |_| b" "), zone.unwrap_or_default()] {
        let (here, rest) = std::mem::take(&mut to).split_at_mut_checked(part.len())?;
        here.copy_from_slice(part);
        to = rest;
    }
    let unused = to.len();
    let used = stamp.len() - unused;
    stamps.parse(stamp.get(..used)?).ok()
}

/// The number of an English month.
fn month(name: &[u8]) -> Option<&'static [u8]> {
    const MONTHS: [(&[u8], &[u8]); 12] = [
        (b"Jan", b"01"),
        (b"Feb", b"02"),
        (b"Mar", b"03"),
        (b"Apr", b"04"),
        (b"May", b"05"),
        (b"Jun", b"06"),
        (b"Jul", b"07"),
        (b"Aug", b"08"),
        (b"Sep", b"09"),
        (b"Oct", b"10"),
        (b"Nov", b"11"),
        (b"Dec", b"12"),
    ];
    MONTHS.iter().find(|(month, _)| month.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers() {
        let shown = |text: &str| {
            let (address, port) = peer(text.as_bytes());
            format!("{} {}", address.map(|a| a.to_string()).unwrap_or_default(), port.unwrap_or_default())
        };
        assert_eq!(shown("(ADDRESS=(PROTOCOL=tcp)(HOST=10.0.0.9)(PORT=58864))"), "10.0.0.9 58864");
        assert_eq!(shown("Authenticated by: DATABASE; Client address: (ADDRESS=(PROTOCOL=tcps)(HOST=fe80::1)(PORT=7))"), "fe80::1 7");
        assert_eq!(shown("(TYPE=(DATABASE));(CLIENT ADDRESS=((ADDRESS=(PROTOCOL=beq))));"), "local 0");
        assert_eq!(shown("(HOST=1.1.1.1)(ADDRESS=(HOST=10.0.0.9)(PORT=1))"), "10.0.0.9 1");
        assert_eq!(shown("10.0.0.9"), "10.0.0.9 0");
        assert_eq!(shown("Authenticated by: OS"), " 0");
        assert_eq!(shown(""), " 0");
    }

    #[test]
    fn actions() {
        for (text, want) in [
            ("3", Some(Operation::Select)),
            ("100", Some(Operation::Connect)),
            ("101", None),
            ("47", Some(Operation::Call)),
            ("189", Some(Operation::Merge)),
            ("51", Some(Operation::Create)),
            ("9999", Some(Operation::Other)),
            ("99999999", None),
            ("", None),
            ("CREATE TABLE", Some(Operation::Create)),
            ("PL/SQL EXECUTE", Some(Operation::Call)),
            ("LOGON", Some(Operation::Connect)),
            ("SYSTEM GRANT", Some(Operation::Other)),
        ] {
            assert_eq!(Action::read(text.as_bytes()).operation(), want, "{text}");
        }
        for (operation, numbers) in NUMBERS {
            for number in numbers {
                let times = NUMBERS.iter().flat_map(|(_, n)| n.iter()).filter(|n| *n == number).count();
                assert_eq!(times, 1, "{operation} {number}");
            }
        }
    }

    #[test]
    fn codes() {
        assert_eq!([outcome(b"0"), outcome(b""), outcome(b"1017"), outcome(b"-1031")].map(|o| o as u8), [0, 3, 1, 1]);
        assert_eq!(outcome(b"933"), Outcome::Error);
    }

    #[test]
    fn long_times() {
        let mut stamps = Timestamps::new(None);
        for (text, want) in [
            ("Wed Oct  7 12:28:38 2020 -04:00", "2020-10-07T16:28:38Z"),
            ("Wed Oct 21 12:28:38 2020", "2020-10-21T12:28:38Z"),
            ("Wed Oct 21 12:28:38 2020 -04:00 x", "none"),
            ("Wed Oct 210 12:28:38 2020", "none"),
            ("Wed Okt 21 12:28:38 2020", "none"),
            ("Wed Oct", "none"),
            ("", "none"),
        ] {
            let got = long_time(text.as_bytes(), &mut stamps).map_or("none".to_owned(), |t| t.to_string());
            assert_eq!(got, want, "{text}");
        }
    }
}
