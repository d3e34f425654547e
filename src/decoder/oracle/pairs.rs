//! `KEY :[7] 'CONNECT'`, the pairs of which records of the traditional audit trail are made.
//!
//! The count is the number of bytes between the quotes, and the only thing that tells where a value ends: statements stand there as they
//! were sent, quotes, line ends and whole forged records included. Where a count does not lead to a closing quote (a copy that was edited or
//! changed its encoding on the way, servers before 11g, which wrote none), the value ends before the first thing that looks like another
//! pair, and is marked as unsound.

/// One pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// The count led to a closing quote.
    pub(super) sound: bool,
}

/// Reads the pairs at the start of a text.
#[derive(Debug, Clone)]
pub(super) struct Pairs<'a> {
    text: &'a [u8],
    /// Behind the closing quote of the last pair that was read.
    pub(super) at: usize,
    /// Nothing will follow the text.
    whole: bool,
    /// Reading stopped because more bytes are needed to tell.
    pub(super) starved: bool,
}

/// Longest key with its count and the opening quote: `DATABASE USER:[1048576] '`.
const LONGEST_KEY: usize = 48;

/// What stands before a value.
struct Head<'a> {
    key: &'a [u8],
    count: Option<usize>,
    quote: u8,
    /// Bytes up to the value.
    len: usize,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(text: &'a [u8], whole: bool) -> Self {
        Pairs { text, at: 0, whole, starved: false }
    }

    /// The unsound end of a value: the offset of its closing quote.
    fn guess(&self, from: usize, quote: u8) -> Option<usize> {
        let rest = self.text.get(from..)?;
        for at in memchr::memchr_iter(quote, rest) {
            let after = rest.get(at + 1..)?;
            let ends = match after {
                [] | [b'\n'] | [b'\r', b'\n'] => self.whole,
                [b'\n', b'\n', ..] | [b'\n', b'\r', b'\n', ..] | [b'\r', b'\n', b'\r', b'\n', ..] => true,
                _ => {
                    let next = separated(after);
                    next.len() < after.len() && (head(next).is_some() || after.first() != Some(&b' ') && dated(next))
                }
            };
            if ends {
                return Some(from + at);
            }
        }
        None
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let after = self.text.get(self.at..)?;
        let rest = if self.at == 0 { after } else { separated(after) };
        let Some(head) = head(rest) else {
            // Perhaps the beginning of a pair; a blank line never is.
            let closed = matches!(after, [b'\n', b'\n', ..] | [b'\r', b'\n', b'\r', ..]);
            self.starved = !self.whole && !closed && rest.len() < LONGEST_KEY && possible(rest);
            return None;
        };
        let from = self.at + (after.len() - rest.len()) + head.len;
        if let Some(count) = head.count.filter(|c| *c <= crate::framing::MAX_RECORD) {
            let end = from + count;
            match self.text.get(end..) {
                Some([quote, behind @ ..]) if *quote == head.quote => {
                    if matches!(behind, [] | [b'\n' | b' ', ..] | [b'\r', b'\n', ..] | [b'\r']) {
                        self.at = end + 1;
                        return Some(Pair { key: head.key, value: self.text.get(from..end)?, sound: true });
                    }
                }
                None | Some([]) if !self.whole => {
                    self.starved = true;
                    return None;
                }
                _ => {}
            }
        }
        let Some(end) = self.guess(from, head.quote) else {
            self.starved = !self.whole;
            if !self.whole {
                return None;
            }
            self.at = self.text.len();
            let value = self.text.get(from..).unwrap_or_default();
            return Some(Pair { key: head.key, value, sound: false });
        };
        self.at = end + 1;
        Some(Pair { key: head.key, value: self.text.get(from..end)?, sound: false })
    }
}

/// The text behind the separator of two pairs, where one stands there.
fn separated(text: &[u8]) -> &[u8] {
    match text {
        [b'\r', b'\n', rest @ ..] | [b'\n' | b' ', rest @ ..] => rest,
        _ => text,
    }
}

/// `KEY :[7] '`, `KEY:[7] "`, `KEY: "`.
fn head(text: &[u8]) -> Option<Head<'_>> {
    let start = text.get(..LONGEST_KEY.min(text.len()))?;
    let colon = memchr::memchr(b':', start)?;
    let key = start.get(..colon)?;
    let key = key.strip_suffix(b" ").unwrap_or(key);
    if !key.first()?.is_ascii_uppercase() || !key.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b" $_".contains(b)) {
        return None;
    }
    let mut rest = start.get(colon + 1..)?;
    let mut count = None;
    if let Some(counted) = rest.strip_prefix(b"[") {
        let end = memchr::memchr(b']', counted)?;
        count = Some(std::str::from_utf8(counted.get(..end)?).ok()?.parse().ok()?);
        rest = counted.get(end + 1..)?;
    }
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let quote = *rest.first().filter(|b| matches!(b, b'\'' | b'"'))?;
    Some(Head { key, count, quote, len: start.len() - rest.len() + 1 })
}

/// Whether a key may begin here.
fn possible(text: &[u8]) -> bool {
    text.iter().take_while(|b| **b != b':').all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b" $_\r\n".contains(b))
}

/// A line that begins like `Wed Oct  7 12:28:38 2020`.
pub(super) fn dated(text: &[u8]) -> bool {
    const WEEKDAYS: [&[u8]; 7] = [b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun "];
    let clock = |b: &[u8]| matches!(b, [h, _, b':', _, _, b':', _, _, b' ', ..] if h.is_ascii_digit());
    text.get(..4).is_some_and(|day| WEEKDAYS.contains(&day))
        && text.get(4..7).is_some_and(|name| super::month(name).is_some())
        && text.get(11..20).is_some_and(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, whole: bool) -> (Vec<(String, String, bool)>, usize, bool) {
        let mut pairs = Pairs::new(text.as_bytes(), whole);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = pairs.by_ref().map(|p| (text(p.key), text(p.value), p.sound)).collect();
        (all, pairs.at, pairs.starved)
    }

    fn pair(key: &str, value: &str, sound: bool) -> (String, String, bool) {
        (key.to_owned(), value.to_owned(), sound)
    }

    #[test]
    fn counts_decide() {
        let text = "ACTION :[29] 'x'\nDATABASE USER:[3] 'SYS'\n\ny'\nDATABASE USER:[5] 'SCOTT'\nSTATUS:[1] '0'\n\nWed";
        let (all, at, starved) = read(text, false);
        let want =
            [pair("ACTION", "x'\nDATABASE USER:[3] 'SYS'\n\ny", true), pair("DATABASE USER", "SCOTT", true), pair("STATUS", "0", true)];
        assert_eq!(all, want);
        assert_eq!((at, starved), (text.len() - 5, false));
        assert_eq!(read("USERID:[1] \"a\" ACTION:[3] \"100\"", true).0, [pair("USERID", "a", true), pair("ACTION", "100", true)]);
    }

    #[test]
    fn counts_that_lie_and_counts_that_lack() {
        let (all, _, _) = read("ACTION :[999] 'a'b'\nDATABASE USER:[0] 'x'\n", true);
        assert_eq!(all, [pair("ACTION", "a'b", false), pair("DATABASE USER", "x", false)]);
        let (all, _, _) = read("SESSIONID: \"1\" USERID: \"x y\" ACTION: \"100\"", true);
        assert_eq!(all, [pair("SESSIONID", "1", false), pair("USERID", "x y", false), pair("ACTION", "100", false)]);
        let (all, _, _) = read("ACTION :[7] 'a'\nWed Oct  7 12:28:38 2020", true);
        assert_eq!(all, [pair("ACTION", "a", false)]);
        assert_eq!(read("A:[99999999999999999999999] 'a'", true).0, []);
    }

    #[test]
    fn what_needs_more_bytes() {
        for text in ["ACT", "ACTION :[7", "ACTION :[7] 'CONN", "A:[1] 'x'", "A:[1] 'x'\nDATABASE US"] {
            assert!(read(text, false).2, "{text}");
            assert!(!read(text, true).2, "{text}");
        }
        for text in ["A:[1] 'x'\n\nWed", "", "no pair"] {
            assert!(!read(text, false).2 || text.is_empty(), "{text}");
        }
    }
}
