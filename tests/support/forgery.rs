//! Logs that hostile clients write into: how they are read, and what may be believed of them.
//!
//! Half of the records of such a log tell what [`HONEST`] did, half what [`HOSTILE`] did, who puts records of [`VICTIM`], and of
//! [`HONEST`] at [`ELSEWHERE`], into whatever a client may choose. [`check`] holds when nobody else acts in it, and [`HONEST`]
//! did just what was written for it.

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Counts, Item, Stream};
use tokenwatch::decoder::{Decoded, by_name};
use tokenwatch::event::{Event, Kind, Principal, Provenance};

use super::random::Random;

/// Logs of each kind, and hostile records in each.
pub const LOGS: u64 = 40;
pub const ATTEMPTS: usize = 40;

/// A token that acts, and where it sits.
pub const HONEST: &str = "BILLING";
pub const HOME: &str = "10.1.0.7";
/// A token whose holder writes into the log.
pub const HOSTILE: &str = "MALLORY";
pub const LAIR: &str = "10.1.0.9";
/// Whom forged records pretend to be, and where: neither ever acts.
pub const VICTIM: &str = "TOK_VICTIM";
pub const ELSEWHERE: &str = "6.6.6.6";

/// Where this account sits.
pub fn home(user: &str) -> &'static str {
    match user {
        HONEST => HOME,
        HOSTILE => LAIR,
        _ => ELSEWHERE,
    }
}

/// Stand in a text for a byte that is no UTF-8, and for the first of two bytes; see [`bytes`].
pub const NO_TEXT: char = '\u{e0ff}';
pub const HALF: char = '\u{e0c3}';

/// The bytes of a text as a client in another encoding sends them.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match character {
            NO_TEXT => bytes.push(0xff),
            HALF => bytes.push(0xc3),
            other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// `text` behind what could end the text around it, cut at a random place, or twice: what an attacker would try.
pub fn garble(random: &mut Random, text: &str) -> String {
    const LEADS: [&str; 30] = [
        "",
        "x",
        "'",
        "\"",
        "x'",
        "'\n",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "' ",
        "\" ",
        ";",
        "\\",
        "\\\"",
        "\\n",
        "\t",
        "\n\t",
        "#012",
        "'#012",
        "]]>",
        "-->",
        "&#10;",
        "\\u000a",
        "é\n",
        "\u{2028}",
        "\u{85}",
        "\0\n",
        "\u{e0ff}\n",
        "\u{e0c3}\"",
    ];
    let mut out = format!("{}{text}", random.pick(&LEADS));
    match random.below(6) {
        0 => cut(&mut out, random),
        1 => out = format!("{out}\n{text}"),
        2 => out.push_str(random.pick(&["'", "\"", "\n", ";", "'\n\n", "\n.\n", "\\", "\u{e0c3}", "\u{1b}[2K\r", ",0", "\",0"])),
        3 => out.insert_str(0, &"z".repeat(random.below(300))),
        _ => {}
    }
    out
}

/// Cuts a text at a random place.
pub fn cut(text: &mut String, random: &mut Random) {
    let mut end = random.below(text.len() + 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// Reads a log that comes in pieces of these sizes. Every byte and every record must be accounted for.
pub fn read(mut stream: Stream, log: &[u8], mut size: impl FnMut() -> usize, sink: &mut dyn FnMut(Item<'_>)) -> Counts {
    let (mut given, mut rest) = (0u64, log);
    let mut counted = |item: Item<'_>| {
        given += 1;
        sink(item);
    };
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size().clamp(1, rest.len()));
        stream.feed(piece, &mut counted);
        rest = after;
    }
    stream.close(&mut counted);
    let counts = stream.counts();
    assert_eq!((counts.bytes, stream.pending()), (log.len() as u64, 0));
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes);
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips);
    assert_eq!(counts.records, given);
    counts
}

/// The account whose act an event tells without doubt: verified, and nobody else can have written it.
pub fn actor<'a>(event: &Event<'a>) -> Option<Principal<'a>> {
    event.principal.filter(|principal| principal.provenance != Provenance::Claimed && event.suspect.is_none())
}

/// Whether such a record tells that a token did something.
pub fn acts(kind: Kind) -> bool {
    !matches!(kind, Kind::LoginFailed | Kind::Other)
}

/// What a log came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What [`HONEST`] did: statements, or what kind of record it was.
    pub honest: Vec<String>,
    /// Acts of [`HOSTILE`].
    pub hostile: usize,
    pub records: u64,
}

/// Decodes a log of this format (`None`: it is detected) in pieces; panics where somebody acts who did not.
pub fn decode(format: Option<&str>, log: &[u8], seed: u64) -> Outcome {
    let named = format.map(|name| by_name(name).unwrap_or_else(|| panic!("no format {name}")));
    let mut outcome = Outcome::default();
    let mut sink = |item: Item<'_>| {
        let Decoded::Event(event) = item.decoded else { return };
        let Some(principal) = actor(&event).filter(|_| acts(event.kind)) else { return };
        let name = principal.name.to_string().to_ascii_uppercase();
        let told = || format!("{}, log {seed}: {event:?} in\n{}", item.format.name, item.raw.escape_ascii());
        let address = event.address.map(|address| address.to_string());
        let at_home = |home: &str| address.as_deref().is_none_or(|address| address == home);
        match name.as_str() {
            HONEST => {
                assert!(at_home(HOME), "{}", told());
                outcome.honest.push(event.statement.map_or_else(|| format!("{:?}", event.kind), ToString::to_string));
            }
            HOSTILE => {
                assert!(at_home(LAIR), "{}", told());
                outcome.hostile += 1;
            }
            _ => panic!("{}", told()),
        }
    };
    let mut random = Random::new(seed);
    let largest = [60, 1_000, 20_000][random.below(3)];
    let counts = read(Stream::new(named, FormatOptions::default(), 0), log, || 1 + random.below(largest), &mut sink);
    outcome.records = counts.records;
    outcome
}

/// Writes logs that begin with `head`, and checks each: `write` gives a record of this true statement of [`HONEST`], or, without one, a
/// hostile record. Every hostile record is there for itself, and `acting` of a hundred of them at least are acts of [`HOSTILE`].
pub fn check(format: &str, head: &str, acting: usize, mut write: impl FnMut(&mut Random, Option<&str>) -> String) {
    let before = decode(Some(format), head.as_bytes(), 0);
    let (mut hostile, mut seen) = (0, 0);
    for seed in 0..LOGS {
        let mut random = Random::new(seed);
        let (mut log, mut acts) = (bytes(head), before.honest.clone());
        for number in 0..ATTEMPTS {
            log.extend(bytes(&write(&mut random, None)));
            let statement = format!("SELECT {} FROM orders", seed as usize * 1_000 + number);
            log.extend(bytes(&write(&mut random, Some(&statement))));
            acts.push(statement);
        }
        let outcome = decode(Some(format), &log, seed);
        if let Some(folder) = std::env::var_os("TOKENWATCH_KEEP_LOGS").filter(|_| outcome.honest != acts) {
            std::fs::write(std::path::Path::new(&folder).join(format!("{format}-{seed}.log")), &log).expect("a copy of the log");
        }
        assert_eq!(outcome.honest, acts, "{format}, log {seed}: what {HONEST} did");
        assert!(outcome.records >= before.records + 2 * ATTEMPTS as u64, "{format}, log {seed}: only {} records", outcome.records);
        hostile += ATTEMPTS;
        seen += outcome.hostile;
    }
    println!("{format}: {hostile} hostile records, {seen} of them acts of {HOSTILE}; every true act beside them is seen undoubted");
    assert!(seen * 100 >= acting * hostile, "{format}: {seen} of {hostile} hostile records are acts of {HOSTILE}");
}
