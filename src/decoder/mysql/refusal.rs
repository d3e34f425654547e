//! `Access denied for user 'NAME'@'HOST' (using password: YES)`: the one line of these logs that anybody can write into who
//! reaches the port. The name is up to 128 letters as the client sent them, line ends among them.

use crate::framing::seek::Seek;

/// What a refused login's text begins with.
pub const START: &[u8] = b"Access denied for user '";

/// Bytes that the text can take up: name, host and frame.
pub const LONGEST: usize = 128 * 4 + 256 + 64;

/// A refused login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// As the client sent it.
    pub user: &'a [u8],
    pub host: &'a [u8],
    /// The database that it was kept from.
    pub database: Option<&'a [u8]>,
    /// The server's number of the error.
    pub code: &'static str,
    /// The name has line ends.
    pub broken: bool,
}

/// Whether `line` ends as the text of a refused login does.
pub fn ends(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.strip_suffix(b" (using password: YES)").or_else(|| line.strip_suffix(b" (using password: NO)")).is_some_and(|l| l.ends_with(b"'"))
}

/// Takes `text` apart, which begins with [`START`]; a name that itself holds `'@'` is read up to the last one.
pub fn parse(text: &[u8]) -> Option<Refusal<'_>> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let body = text.strip_prefix(START)?;
    let password = body.seek_last(b"' (using password: ");
    let end = password.or_else(|| body.seek_last(b"'"))?;
    let (body, rest) = body.split_at_checked(end)?;
    let at = body.seek_last(b"'@'")?;
    let (user, host) = (body.get(..at)?, body.get(at + 3..)?);
    // `... to database 'd'`: the host ends before.
    let (host, database) = match host.seek(b"' to database '") {
        Some(end) => (host.get(..end)?, host.get(end + 15..)),
        None => (host.seek(b"' ").and_then(|end| host.get(..end)).unwrap_or(host), None),
    };
    let code = match password {
        Some(_) => "1045",
        None if database.is_some() => "1044",
        None if rest.seek(b" locked").is_some() => "3118",
        None => "1698",
    };
    Some(Refusal { user, host, database, code, broken: user.contains(&b'\n') || host.contains(&b'\n') })
}

/// Where the text of a refused login ends that begins at the start of `text`: at its first line's end, or at the last line in reach that ends
/// as such a text does, before one that begins something of its own: `begins` is told the line, and whether the text is whole without it.
/// `None`: what follows may still belong to it.
pub fn end(text: &[u8], begins: impl Fn(&[u8], bool) -> bool, all: bool) -> Option<usize> {
    let first = memchr::memchr(b'\n', text).or(all.then_some(text.len()))?;
    let mut stop = first;
    let mut whole = ends(text.get(..first).unwrap_or_default());
    let mut from = first + 1;
    while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty() && from < LONGEST) {
        let len = match memchr::memchr(b'\n', rest) {
            Some(len) => len,
            None if all || rest.len() > LONGEST => rest.len(),
            None => return None,
        };
        let line = rest.get(..len).unwrap_or_default();
        if begins(line, whole) {
            return Some(stop);
        }
        if ends(line) {
            (stop, whole) = (from + len, true);
        }
        from += len + 1;
    }
    (from >= LONGEST || all).then_some(stop)
}

#[cfg(test)]
mod tests {
    use bstr::ByteSlice;

    use super::*;

    #[test]
    fn names() {
        let read =
            |text: &'static str| parse(text.as_bytes()).map(|r| (r.user.to_str_lossy().into(), r.host.to_str_lossy().into(), r.broken));
        let some = |user: &str, host: &str, broken| Some((user.to_owned(), host.to_owned(), broken));
        assert_eq!(read("Access denied for user 'a'@'h' (using password: YES)"), some("a", "h", false));
        assert_eq!(read("Access denied for user ''@'::1' (using password: NO)"), some("", "::1", false));
        assert_eq!(read("Access denied for user 'a'@'b'@'h' (using password: YES)"), some("a'@'b", "h", false));
        assert_eq!(read("Access denied for user 'a\nb'@'h' (using password: YES)"), some("a\nb", "h", true));
        assert_eq!(read("Access denied for user 'a'@'h'"), some("a", "h", false));
        assert_eq!(read("Access denied for user 'a"), None);
        let more = |text: &'static str| parse(text.as_bytes()).map(|r| (r.code, r.host, r.database));
        assert_eq!(more("Access denied for user 'a'@'h' (using password: NO)"), Some(("1045", &b"h"[..], None)));
        assert_eq!(more("Access denied for user 'a'@'h' to database 'd'"), Some(("1044", &b"h"[..], Some(&b"d"[..]))));
        assert_eq!(more("Access denied for user 'a'@'h'. Account is locked."), Some(("3118", &b"h"[..], None)));
        assert_eq!(more("Access denied for user 'a'@'h'"), Some(("1698", &b"h"[..], None)));
    }

    #[test]
    fn ends_with_the_name() {
        let begins = |line: &[u8], _| line.starts_with(b"2026 Access denied");
        let one = b"Access denied for user 'a'@'h' (using password: YES)\n2026 next\n";
        assert_eq!(end(one, begins, true), Some(52));
        let two = b"Access denied for user 'a'@'h' (using password: YES)\n2026 forged'@'h' (using password: YES)\n2026 next\n";
        assert_eq!(end(two, begins, true), Some(two.len() - 11));
        let three = b"Access denied for user 'a'@'h' (using password: YES)\n2026 Access denied for user 'b'@'h' (using password: YES)\n";
        assert_eq!(end(three, begins, false), Some(52));
        // Another login between two refusals, whose name looks like the end of one.
        let four = b"Access denied for user 'a'@'h' (using password: YES)\n2026 honest\n2026 Connect x'@'h' (using password: YES)\n";
        let begins = |line: &[u8], whole: bool| line.starts_with(b"2026 Access denied") || whole && line.starts_with(b"2026 Connect");
        assert_eq!(end(four, begins, true), Some(52));
    }
}
