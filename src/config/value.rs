//! Values that are written as text: durations, networks, addresses, times. Each error says why, and what would be right.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::event::Time;
use crate::severity::Severity;

use super::problem::suggest;

/// Ten years; longer ones are slips of the keyboard.
const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 86_400);

/// `"250ms"`, `"15m"`, `"7d"`, `"1h30m"`: whole numbers with ms, s, m, h, d or w; at most ten years.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 6] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let bad = || format!("\"{text}\" is not a duration; write for example \"250ms\", \"15m\", \"24h\" or \"7d\"");
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, after) = rest.split_at_checked(digits).ok_or_else(bad)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters).ok_or_else(bad)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        total = number.checked_mul(*factor).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        rest = after.trim_start();
    }
    match Duration::from_millis(total) {
        long if long > MAX_DURATION => Err(format!("\"{text}\" is longer than ten years")),
        duration => Ok(duration),
    }
}

/// Microseconds for people, in the largest unit that divides them: `10 min`, `6 h`, `7 d`.
pub fn show_duration(micros: i64) -> String {
    const UNITS: [(&str, i64); 4] = [("d", Time::DAY), ("h", Time::HOUR), ("min", Time::MINUTE), ("s", Time::SECOND)];
    let unit = UNITS.iter().find(|(_, size)| micros >= *size && micros % size == 0);
    unit.map_or_else(|| format!("{} ms", micros / 1_000), |(name, size)| format!("{} {name}", micros / size))
}

/// A network in CIDR notation; a bare address is that one host. Host bits must be zero. v4-mapped IPv6 is IPv4.
pub fn network(text: &str) -> Result<IpNet, String> {
    let trimmed = text.trim();
    if !trimmed.contains('/') {
        let ip: IpAddr = trimmed.parse().map_err(|_| format!("\"{text}\" is not an address or network; write for example 10.1.0.0/16"))?;
        return Ok(IpNet::from(ip.to_canonical()));
    }
    let (address, prefix) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    let ip: IpAddr = address.parse().map_err(|_| format!("\"{address}\" in \"{text}\" is not an IP address"))?;
    let longest: u8 = if ip.is_ipv4() { 32 } else { 128 };
    let bits: u8 = prefix
        .parse()
        .ok()
        .filter(|bits| *bits <= longest)
        .ok_or_else(|| format!("prefix length \"{prefix}\" in \"{text}\" is not a number from 0 to {longest}"))?;
    let (ip, bits) = match (ip, ip.to_canonical()) {
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if bits >= 96 => (v4, bits - 96),
        _ => (ip, bits),
    };
    let net = IpNet::new(ip, bits).map_err(|e| format!("\"{text}\": {e}"))?;
    if net.addr() != net.network() {
        return Err(format!("\"{text}\" has host bits set; the network is {}, the one host is {}", net.trunc(), net.addr()));
    }
    Ok(net)
}

/// An http or https URL with a host.
pub fn url(text: &str) -> Result<String, String> {
    // The text of a bad URL is not shown: chat webhooks keep their secret in it.
    let parsed = reqwest::Url::parse(text.trim()).map_err(|e| format!("not a URL ({e}); write for example https://host/path"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(format!("\"{}\" URLs are not supported; use https:// or http://", parsed.scheme()));
    }
    if !parsed.has_host() {
        return Err("the URL names no host".to_owned());
    }
    Ok(parsed.into())
}

/// An address to listen on, with its port.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().filter(|p| p.parse::<u16>().is_ok()).unwrap_or("9187");
        format!("\"{text}\" is not address:port; write for example \"127.0.0.1:{port}\" or \"[::1]:{port}\"")
    })
}

/// The name of a severity.
pub fn severity(text: &str) -> Result<Severity, String> {
    let names = Severity::ALL.map(Severity::name);
    Severity::from_name(text)
        .ok_or_else(|| format!("unknown severity \"{text}\" (known: {}); {}", names.join(", "), suggest(text, names.iter().copied())))
}

/// An IANA time zone name, or `UTC`.
pub fn zone(text: &str) -> Result<jiff::tz::TimeZone, String> {
    match text {
        "UTC" | "Z" => Ok(jiff::tz::TimeZone::UTC),
        _ => jiff::tz::TimeZone::get(text)
            .map_err(|_| format!("unknown time zone \"{text}\"; use an IANA name such as \"Europe/Berlin\", or \"UTC\"")),
    }
}

/// A moment: RFC 3339; without an offset it is UTC; a bare date is its first moment.
pub fn moment(text: &str) -> Result<Time, String> {
    let utc = |civil: jiff::civil::DateTime| civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    let stamp = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| text.parse::<jiff::civil::DateTime>().and_then(utc))
        .or_else(|_| text.parse::<jiff::civil::Date>().and_then(|date| utc(date.to_datetime(jiff::civil::Time::midnight()))));
    stamp
        .map(|stamp| Time(stamp.as_microsecond()))
        .map_err(|_| format!("\"{text}\" is not a date; write for example 2026-12-01T00:00:00Z or 2026-12-01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!([600_000_000, 21_600_000_000, 5_400_000_000, 1_500_000].map(show_duration), ["10 min", "6 h", "90 min", "1500 ms"]);
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "7", "d", "7 days", "-1s", "1.5h", "99999999999999999999d", "18446744073709551615w", "7dd", "é", "11000d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(network("10.1.0.0/16").unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        assert_eq!(network("::ffff:10.0.0.0/104").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("::ffff:10.0.0.7").unwrap().to_string(), "10.0.0.7/32");
        assert_eq!(network("0.0.0.0/0").unwrap().to_string(), "0.0.0.0/0");
        assert_eq!(
            network("10.1.2.3/16").unwrap_err(),
            "\"10.1.2.3/16\" has host bits set; the network is 10.1.0.0/16, the one host is 10.1.2.3"
        );
        assert!(network("10.1.0.0/33").unwrap_err().contains("0 to 32"));
        assert!(network("10.1.0/16").unwrap_err().contains("not an IP address"));
        assert!(network("example").is_err());
    }

    #[test]
    fn urls_and_addresses() {
        assert_eq!(url("https://example.com/x").unwrap(), "https://example.com/x");
        assert!(url("ftp://example.com").unwrap_err().contains("ftp"));
        let error = url("//secret-part").unwrap_err();
        assert!(!error.contains("secret-part"), "{error}");
        assert_eq!(listen("127.0.0.1:9187").unwrap().port(), 9187);
        assert!(listen(":9200").unwrap_err().contains("127.0.0.1:9200"));
    }

    #[test]
    fn moments_and_zones() {
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(Time(0)));
        assert_eq!(moment("1970-01-02"), Ok(Time(Time::DAY)));
        assert_eq!(moment("1970-01-01 00:00:01"), Ok(Time(Time::SECOND)));
        assert!(moment("tomorrow").is_err());
        assert!(zone("Europe/Berlin").is_ok());
        assert!(zone("Mars/Base").is_err());
        assert!(severity("hihg").unwrap_err().contains("did you mean \"high\""));
    }
}
