//! A peer as many logs write it: an address or a host name, perhaps with a port.

use bstr::BStr;

use crate::event::Address;
use crate::framing::seek::{Seek, near, near_end};

/// Reads `10.0.0.1`, `10.0.0.1:5123`, `::1`, `::1:16790`, `[::1]:5123`, `[::1]`, `localhost`, `db.example.org:77`, and Java's
/// `/10.0.0.1:5123`. What reads as an address as a whole is one, so an IPv6 address with a port of fewer than five digits needs brackets.
pub fn peer(text: &[u8]) -> (Option<Address<'_>>, Option<u16>) {
    let text = text.strip_prefix(b"/").unwrap_or(text);
    let text = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
    // With one colon it is no address as a whole.
    let address = match near_end(b':', text).and_then(|last| text.get(..last)).map(|before| near(b':', before)) {
        Some(None) => Some(Address::Name(BStr::new(text))),
        _ => Address::parse(text),
    };
    if !matches!(address, Some(Address::Name(_))) {
        return (address, None);
    }
    let split = text.part_last(":").and_then(|(name, port)| {
        let port = port_number(port)?;
        let name = name.strip_prefix(b"[").and_then(|n| n.strip_suffix(b"]")).unwrap_or(name);
        // A local client has no port; servers write 0.
        Some((Some(Address::parse(name)?), (port != 0).then_some(port)))
    });
    split.unwrap_or((address, None))
}

fn port_number(text: &[u8]) -> Option<u16> {
    let plain =
        || text.iter().try_fold(0u16, |sum, byte| sum.checked_mul(10)?.checked_add(byte.is_ascii_digit().then(|| byte - b'0')?.into()));
    if text.is_empty() { None } else { plain().or_else(|| std::str::from_utf8(text).ok()?.parse().ok()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers() {
        let ip = |text: &str| Some(Address::Ip(text.parse().expect("an address")));
        assert_eq!(peer(b"10.0.0.1"), (ip("10.0.0.1"), None));
        assert_eq!(peer(b"10.0.0.1:5123"), (ip("10.0.0.1"), Some(5123)));
        assert_eq!(peer(b"::1"), (ip("::1"), None));
        assert_eq!(peer(b"::1:16790"), (ip("::1"), Some(16790)));
        assert_eq!(peer(b"[2001:db8::1]:16790"), (ip("2001:db8::1"), Some(16790)));
        assert_eq!(peer(b"[2001:db8::1]"), (ip("2001:db8::1"), None));
        assert_eq!(peer(b"/10.0.0.1:5123"), (ip("10.0.0.1"), Some(5123)));
        assert_eq!(peer(b"/[0:0:0:0:0:0:0:1]:5123"), (ip("::1"), Some(5123)));
        assert_eq!(peer(b"localhost:0"), (Some(Address::Local), None));
        assert_eq!(peer(b"db.example.org:77"), (Some(Address::Name("db.example.org".into())), Some(77)));
        assert_eq!(peer(b""), (None, None));
    }
}
