//! Refused logins: the lines of these logs that anybody can write into who reaches the port. The name stands there as the client sent
//! it, line ends among it, and in what no server can vouch for it stands twice:
//!
//! ```text
//! SASL SCRAM-SHA-1 authentication failed for NAME on DATABASE from client PEER ; UserNotFound: Could not find user "NAME" for db "DATABASE"
//! Failed to authenticate NAME@DATABASE from client PEER with mechanism MONGODB-X509: AuthenticationFailed: There is no x.509 client certificate ...
//! ```
//!
//! A client may write the end of the line into its name, then whole lines. But the server writes the true end behind them, with the
//! client's address. So what follows a refused login is looked through for such an end:
//!
//! * One that is [`End::Sealed`] is a refused login of its own: the reason repeats the name, which of a name with an end in it would show
//!   two. Whoever tries names writes these, and takes nobody's name away.
//! * One that is [`End::Plain`], of the same address and port, may end the text: the lines before it name nobody. Drivers close a connection
//!   whose login was refused, so there seldom are two on one.
//! * Any other end goes on with the client's words: for [`REACH`] bytes nobody is named.
//!
//! A refused login that itself ends as none does leaves nothing to look for: for [`REACH`] bytes nobody is named either.

use std::sync::LazyLock;

use bstr::ByteSlice;
use memchr::memmem::Finder;

use super::lines::Line;
use crate::framing::seek::Seek;

/// Bytes behind a refused login in which its text can go on. The server cuts what is longer than 10 kB, unless it is told otherwise.
pub const REACH: usize = 16 << 10;

/// Words that are looked for in many lines.
type Word = LazyLock<Finder<'static>>;

static CLIENT: Word = Word::new(|| Finder::new(" from client "));
static WITH: Word = Word::new(|| Finder::new(" with mechanism "));
static REASON: Word = Word::new(|| Finder::new(" ; "));
/// Said of a mechanism whose name is the client's own text: it stands behind the peer, and once more behind this.
static UNSUPPORTED: Word = Word::new(|| Finder::new("Unsupported mechanism"));

/// What the end of a refused login's line proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The line is a record of its own, unless it follows a refused login that is broken.
    Sealed,
    /// The reason is the server's own.
    Plain,
    /// The client's text may go on.
    Open,
}

/// A refused login, taken apart.
#[derive(Debug)]
pub struct Refused<'a> {
    pub user: &'a [u8],
    pub home: &'a [u8],
    /// As the server wrote it: address and port, the address alone (before 3.2), or nothing.
    pub peer: &'a [u8],
    /// Name of the error; perhaps empty.
    pub error: &'a [u8],
    pub end: End,
}

/// What stands behind the words with which a refused login begins, and whether it is one of SASL's.
fn start(message: &[u8]) -> Option<(&[u8], bool)> {
    if let Some(rest) = message.strip_prefix(b"Failed to authenticate ") {
        return Some((rest, false));
    }
    // Older servers leave `SASL` out.
    let (_, rest) = message.strip_prefix(b"SASL ").unwrap_or(message).part(" ")?;
    Some((rest.strip_prefix(b"authentication failed for ")?, true))
}

/// Whether a message is that of a refused login (`Some`), and one of SASL's.
pub fn begins(message: &[u8]) -> Option<bool> {
    start(message).map(|(_, sasl)| sasl)
}

/// Whether this line of a refused login's record holds its end.
pub fn ends(line: &[u8], sasl: bool) -> bool {
    (if sasl { &REASON } else { &WITH }).find(line).is_some()
}

/// Takes the message of a refused login apart.
pub fn read(message: &[u8]) -> Option<Refused<'_>> {
    let (rest, sasl) = start(message)?;
    let (who, reason) = rest.part_last(if sasl { REASON.needle() } else { WITH.needle() }).unwrap_or((rest, b""));
    // The reason follows the mechanism's name.
    let reason = if sasl { reason } else { reason.part(": ").map_or(&b""[..], |(_, reason)| reason) };
    let (who, peer) = who.part_last(CLIENT.needle()).unwrap_or((who, b""));
    let (user, home) = who.part_last(if sasl { " on " } else { "@" }).unwrap_or((who, b""));
    let word = reason.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let error = reason.get(..word).unwrap_or_default();
    let times = |word: &Word| word.find_iter(rest).take(2).count();
    let once = times(&CLIENT) <= 1 && if sasl { times(&REASON) == 1 && times(&WITH) == 0 } else { times(&WITH) == 1 };
    let end = if once && !rest.contains(&b'\n') { end(reason, error, [user, home, peer]) } else { End::Open };
    Some(Refused { user, home, peer, error, end })
}

/// `UserNotFound: Could not find user "web" for db "admin"`, `AuthenticationFailed: SCRAM authentication failed, storedKey mismatch`; the older
/// `AuthenticationFailed UserNotFound Could not find user web@admin`.
fn end(reason: &[u8], error: &[u8], [user, home, peer]: [&[u8]; 3]) -> End {
    let words = |text: &'_ [u8], word: &str| {
        text.strip_prefix(word.as_bytes()).map_or(0, |rest| text.len() - rest.trim_start_with(|c| matches!(c, ':' | ' ')).len())
    };
    let mut inner = reason;
    for word in ["AuthenticationFailed", "UserNotFound"] {
        inner = inner.get(words(inner, word)..).unwrap_or_default();
    }
    if let Some(named) = inner.strip_prefix(b"Could not find user ") {
        let same = named == [user, b"@", home].concat() || named == [b"\"", user, b"\" for db \"", home, b"\""].concat();
        return if same { End::Sealed } else { End::Open };
    }
    match error {
        // Where no peer is told, every refused login would end every other. There has to be an account of such a name.
        b"AuthenticationFailed" if peer.is_empty() && reason.ends_with(b"key mismatch") => End::Sealed,
        b"AuthenticationFailed" | b"AuthenticationAbandoned" | b"OperationFailed" | b"UserNotFound" => End::Plain,
        _ => End::Open,
    }
}

/// Bytes behind this record, before those in `ahead`, in which records may be its client's text.
pub fn rest(record: &[u8], ahead: &[u8]) -> usize {
    let Some(line) = Line::read(record) else { return 0 };
    let Some(refused) = read(line.message) else { return 0 };
    if line.cut || refused.end == End::Open {
        return REACH;
    }
    // Half a line proves nothing, and no text comes so far.
    let ahead = if ahead.len() < REACH { ahead } else { ahead.get(..ahead.rfind_byte(b'\n').unwrap_or_default()).unwrap_or_default() };
    let mut rest = 0;
    for at in ends_of(ahead, refused.peer) {
        let (before, behind) = ahead.split_at(at);
        let begin = before.rfind_byte(b'\n').map_or(0, |end| end + 1);
        let line = ahead.get(begin..at + behind.find_byte(b'\n').unwrap_or(behind.len())).unwrap_or_default();
        match Line::read(line).and_then(|line| read(line.message)).map_or(End::Open, |refused| refused.end) {
            End::Sealed => {}
            End::Plain => rest = rest.max(begin + 1),
            End::Open => return REACH,
        }
    }
    rest
}

/// Where in these lines ends of refused logins of this peer stand; where none is told, of any.
fn ends_of<'a>(lines: &'a [u8], peer: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let with = WITH.find_iter(lines).take_while(|_| peer.is_empty());
    let clients = CLIENT.find_iter(lines).filter(move |at| {
        let rest = lines.get(at + CLIENT.needle().len()..).unwrap_or_default();
        if peer.is_empty() {
            return rest.lines().next().is_some_and(|rest| REASON.find(rest).is_some());
        }
        let word = rest.iter().position(|b| matches!(b, b' ' | b'\n')).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(word);
        is_of(word, peer) && (rest.starts_with(REASON.needle()) || rest.starts_with(WITH.needle()))
    });
    UNSUPPORTED.find_iter(lines).chain(with).chain(clients)
}

/// Whether these are the same peer, of which the second may be an address alone.
pub fn is_of(peer: &[u8], address: &[u8]) -> bool {
    peer.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with(b":") && !address.ends_with(b":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> End {
        read(message.as_bytes()).unwrap().end
    }

    #[test]
    fn what_ends_prove() {
        for (message, end) in [
            (
                r#"SASL SCRAM-SHA-1 authentication failed for x on a from client 10.0.0.7:1 ; UserNotFound: Could not find user "x" for db "a""#,
                End::Sealed,
            ),
            (r#"SCRAM-SHA-1 authentication failed for x on a from client 10.0.0.7 ; UserNotFound Could not find user x@a"#, End::Sealed),
            (
                "Failed to authenticate root@admin with mechanism MONGODB-CR: AuthenticationFailed UserNotFound Could not find user root@admin",
                End::Sealed,
            ),
            ("Failed to authenticate root@admin with mechanism MONGODB-CR: AuthenticationFailed key mismatch", End::Sealed),
            (
                "SASL SCRAM-SHA-1 authentication failed for x on a from client 10.0.0.7:1 ; AuthenticationFailed: SCRAM authentication failed, storedKey mismatch",
                End::Plain,
            ),
            (
                "Failed to authenticate x@a from client 10.0.0.7:1 with mechanism MONGODB-X509: AuthenticationFailed: There is no certificate",
                End::Plain,
            ),
            ("SASL PLAIN authentication failed for x on a from client 10.0.0.7:1 ; OperationFailed: LDAP bind failed", End::Plain),
            // The rest of a text, whose name is another's.
            (
                r#"SASL SCRAM-SHA-1 authentication failed for x on a from client 10.0.0.7:1 ; UserNotFound: Could not find user "y" for db "a""#,
                End::Open,
            ),
            (
                r#"SASL SCRAM-SHA-1 authentication failed for x on a from client 10.0.0.7:1 ; BadValue: Invalid nonce: Could not find user "x" for db "a""#,
                End::Open,
            ),
            ("SASL SCRAM-SHA-1 authentication failed for x on a from client 10.0.0.7:1 ; BadValue: nonce: key mismatch", End::Open),
            ("SASL SCRAM-SHA-1 authentication failed for x", End::Open),
            (
                "SASL x authentication failed for x on a from client 1.1.1.1:1 ; y on a from client 1.1.1.1:1 ; AuthenticationFailed: key mismatch",
                End::Open,
            ),
        ] {
            assert_eq!(of(message), end, "{message}");
        }
    }

    #[test]
    fn peers() {
        assert!(is_of(b"10.0.0.7:5", b"10.0.0.7") && is_of(b"10.0.0.7:5", b"10.0.0.7:5"));
        assert!(!is_of(b"10.0.0.7:55", b"10.0.0.7:5") && !is_of(b"10.0.0.77:5", b"10.0.0.7"));
    }
}
