//! The head of a record: `TIME ID COMMAND`, and what commands there are.

use crate::decoder::mysql::stamp::{self, Form};
use crate::event::Operation;
use crate::framing::seek::Seek;

/// What a command is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The argument is a statement that is run.
    Statement,
    /// The argument is a statement that is made ready.
    Prepare,
    Connect,
    ChangeUser,
    Quit,
    /// The argument is the new database.
    InitDb,
    /// An act other than a statement, with its operation.
    Other(Operation),
    /// Nothing done to data: keep-alives, closing of prepared statements.
    Idle,
}

/// Commands as servers name them, longest first where one begins another.
const COMMANDS: &[(&[u8], Act)] = &[
    (b"Query", Act::Statement),
    (b"Execute", Act::Statement),
    (b"Bulk_execute", Act::Statement),
    (b"Prepare", Act::Prepare),
    (b"Connect Out", Act::Idle),
    (b"Connect", Act::Connect),
    (b"Change user", Act::ChangeUser),
    (b"Quit", Act::Quit),
    (b"Init DB", Act::InitDb),
    (b"Field List", Act::Other(Operation::Show)),
    (b"Create DB", Act::Other(Operation::Create)),
    (b"Drop DB", Act::Other(Operation::Drop)),
    (b"Refresh", Act::Other(Operation::Other)),
    (b"Shutdown", Act::Other(Operation::Other)),
    (b"Kill", Act::Other(Operation::Other)),
    (b"Binlog Dump GTID", Act::Other(Operation::Other)),
    (b"Binlog Dump", Act::Other(Operation::Other)),
    (b"Table Dump", Act::Other(Operation::Other)),
    (b"Register Slave", Act::Other(Operation::Other)),
    (b"Register Replica", Act::Other(Operation::Other)),
    (b"Clone", Act::Other(Operation::Other)),
    (b"Group Replication Data Stream subscription", Act::Idle),
    (b"Subscribe Group Replication Stream", Act::Idle),
    (b"Processlist", Act::Other(Operation::Show)),
    (b"Statistics", Act::Idle),
    (b"Debug", Act::Idle),
    (b"Ping", Act::Idle),
    (b"Sleep", Act::Idle),
    (b"Time", Act::Idle),
    (b"Delayed insert", Act::Idle),
    (b"Long Data", Act::Idle),
    (b"Close stmt", Act::Idle),
    (b"Reset stmt", Act::Idle),
    (b"Reset Connection", Act::Idle),
    (b"Reset connection", Act::Idle),
    (b"Set option", Act::Idle),
    (b"Fetch", Act::Idle),
    (b"Daemon", Act::Idle),
    (b"Error", Act::Idle),
    (b"Unimpl get tid", Act::Idle),
];

/// The command of this name.
pub fn act(command: &[u8]) -> Option<Act> {
    COMMANDS.iter().find(|(name, _)| *name == command).map(|(_, act)| *act)
}

/// A head and what follows it.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Where the line states a time; others are of the same second as the line before.
    pub stamp: Option<&'a [u8]>,
    /// Only servers that log what they could parse write this form.
    pub iso: bool,
    pub id: u64,
    pub id_text: &'a [u8],
    pub act: Act,
    /// From here on the bytes are the argument.
    pub argument: usize,
}

/// Longest head: stamp, blanks, connection and command.
pub const LONGEST: usize = 160;

/// Reads the head at the start of a line. A line whose head is cut off by the end of the bytes has none.
pub fn parse(line: &[u8]) -> Option<Header<'_>> {
    /// What a collector of many logs puts before each line.
    const COLLECTED: &[u8] = b"MySQL log: ";
    if !line.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'\t' | b' ' | b'M')) {
        return None;
    }
    let skipped = if line.first() == Some(&b'M') && line.starts_with(COLLECTED) { COLLECTED.len() } else { 0 };
    let mut rest = line.get(skipped..)?;
    let (mut stamp, mut iso) = (None, false);
    if let Some((form, len)) = stamp::form(rest) {
        stamp = rest.get(..len);
        iso = form == Form::Iso;
        if form == Form::Dated || (iso && len < b"2026-11-22T02:21:28.123456Z".len()) {
            return None;
        }
        rest = rest.get(len..)?;
    }
    // Without a stamp two tabs stand in its place, or in copies as many blanks.
    let (mut blanks, mut tabs) = (0, 0);
    while let Some(blank @ (b' ' | b'\t')) = rest.get(blanks).filter(|_| blanks < 64) {
        (blanks, tabs) = (blanks + 1, tabs + usize::from(*blank == b'\t'));
    }
    if blanks == 0 || (stamp.is_none() && skipped == 0 && tabs < 2 && blanks < 8) {
        return None;
    }
    let rest = rest.get(blanks..)?;
    let (mut digits, mut id) = (0, 0u64);
    while let Some(digit @ b'0'..=b'9') = rest.get(digits).filter(|_| digits < 20) {
        (digits, id) = (digits + 1, id.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?);
    }
    let id_text = rest.get(..digits).filter(|d| !d.is_empty())?;
    let rest = rest.get(digits..)?.strip_prefix(b" ")?;
    let (name, act) = match rest {
        [b'Q', b'u', b'e', b'r', b'y', ..] => (5, Act::Statement),
        _ => COMMANDS
            .iter()
            .find(|(name, _)| name.first() == rest.first() && rest.starts_with(name))
            .map(|(name, act)| (name.len(), *act))?,
    };
    let after = rest.get(name..)?;
    let gap = match after {
        // The tab ends the command; further ones are the argument's.
        [b'\t', ..] => 1,
        [] | [b'\r' | b'\n', ..] => 0,
        _ => after.iter().take(16).take_while(|b| matches!(b, b' ' | b'\t')).count(),
    };
    if gap == 1 && after.first() != Some(&b'\t') || gap == 0 && !matches!(after, [] | [b'\r' | b'\n', ..]) {
        return None;
    }
    Some(Header { stamp, iso, id, id_text, act, argument: line.len() - after.len() + gap })
}

/// `USER@HOST [as PROXIED] on DATABASE [using PROTOCOL]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer<'a> {
    pub user: &'a [u8],
    pub host: &'a [u8],
    pub database: &'a [u8],
    pub local: bool,
}

/// Ways to connect, as the server names them.
const PROTOCOLS: [(&[u8], bool); 7] = [
    (b" using TCP/IP", false),
    (b" using SSL/TLS", false),
    (b" using Socket", true),
    (b" using Shared Memory", true),
    (b" using Shared memory", true),
    (b" using Named Pipe", true),
    (b" using Unknown", false),
];

/// Whether a line ends as the argument of Connect does.
pub fn connected(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !matches!(line.last(), Some(b'P' | b'S' | b't' | b'y' | b'e' | b'n')) {
        return false;
    }
    PROTOCOLS.iter().any(|(end, _)| end.last() == line.last() && line.ends_with(end))
}

/// Reads the argument of Connect. A user name may hold `@` and ` on `; host and database of an honest client do not.
pub fn peer(argument: &[u8]) -> Option<Peer<'_>> {
    let text = argument.strip_suffix(b"\r").unwrap_or(argument);
    let (text, local) = PROTOCOLS.iter().find_map(|(end, local)| Some((text.strip_suffix(*end)?, *local))).unwrap_or((text, false));
    let (account, database) = match (text.trim_ascii_end().strip_suffix(b" on"), text.seek_last(b" on ")) {
        (Some(account), _) => (account, &b""[..]),
        (None, Some(at)) => (text.get(..at)?, text.get(at + 4..)?),
        (None, None) => (text, &b""[..]),
    };
    let at = memchr::memrchr(b'@', account)?;
    let (user, host) = (account.get(..at)?, account.get(at + 1..)?);
    // MySQL 5.5 and later add the account behind a proxied login.
    let host = host.split(|b| *b == b' ').next().unwrap_or_default();
    Some(Peer { user, host, database: database.trim_ascii(), local })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        for (line, want) in [
            ("2016-06-07T19:07:02.558338Z    3 Connect\tphpmyadmin@localhost", Some((true, 3, Act::Connect))),
            ("2018-09-07T18:45:40.098124+08:00\t257426 Quit\t", Some((true, 257426, Act::Quit))),
            ("2018-09-07T18:45:40.098124+08:00\t257426 Quit", Some((true, 257426, Act::Quit))),
            ("261122  2:21:28\t     3 Connect\troot@localhost", Some((true, 3, Act::Connect))),
            ("\t\t     3 Init DB\tx", Some((false, 3, Act::InitDb))),
            ("\t\t3 Query\tx", Some((false, 3, Act::Statement))),
            ("               \t     11 Connect     root@localhost on  ", Some((false, 11, Act::Connect))),
            ("MySQL log: 070823 21:23:08 2 Query       INSERT", Some((true, 2, Act::Statement))),
            ("\t 3 Query\tx", None),
            ("    3 Query\tx", None),
            ("\t\t     3 Queryx", None),
            ("\t\t     3 Query x", None),
            ("\t\t     3  Query\tx", None),
            ("\t\t     x Query\tx", None),
            ("261122  2:21:28", None),
            ("SELECT 1", None),
            ("", None),
        ] {
            let got = parse(line.as_bytes()).map(|h| (h.stamp.is_some(), h.id, h.act));
            assert_eq!(got, want, "{line}");
        }
        assert_eq!(parse(b"\t\t     3 Query\t\tx").map(|h| h.argument), Some(15));
        assert_eq!(parse(b"\t\t     3 Query   x").map(|h| h.argument), Some(17));
    }

    #[test]
    fn peers() {
        for (text, user, host, database, local) in [
            ("root@localhost on  using Socket", "root", "localhost", "", true),
            ("bill@10.0.0.1 on app using TCP/IP", "bill", "10.0.0.1", "app", false),
            ("bill@10.0.0.1 on app using SSL/TLS", "bill", "10.0.0.1", "app", false),
            ("bill@10.0.0.1 on app", "bill", "10.0.0.1", "app", false),
            ("root@localhost on", "root", "localhost", "", false),
            ("root@localhost on ", "root", "localhost", "", false),
            ("nobody@localhost as  on ", "nobody", "localhost", "", false),
            ("a@b@h on x on y using TCP/IP", "a@b", "h", "y", false),
            // The name that a client gives itself does not become another's.
            ("bill@10.0.0.1 on app@6.6.6.6 on  using TCP/IP", "bill@10.0.0.1 on app", "6.6.6.6", "", false),
            ("bill@10.0.0.1 on app@6.6.6.6 on x using TCP/IP", "bill@10.0.0.1 on app", "6.6.6.6", "x", false),
            ("u@::1 on d using TCP/IP", "u", "::1", "d", false),
        ] {
            let want = Peer { user: user.as_bytes(), host: host.as_bytes(), database: database.as_bytes(), local };
            assert_eq!(peer(text.as_bytes()), Some(want), "{text}");
        }
        assert_eq!(peer(b"x"), None);
    }
}
