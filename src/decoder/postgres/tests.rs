//! The stderr form as a stream sees it: whole logs with forged lines, and messages that a broker framed.

use super::{forgery, stderr};
use crate::decoder::stream::{Item, Stream};
use crate::decoder::{Decoded, Options};

fn show(item: &Item<'_>) -> String {
    match &item.decoded {
        Decoded::Event(e) => {
            let name = e.principal.map_or("-".to_owned(), |p| format!("{:?} {}", p.provenance, p.name));
            format!("{:?} {name} {:?} {:?}", e.kind, e.statement, e.suspect)
        }
        other => format!("{other:?}"),
    }
}

fn log(text: &str) -> Vec<String> {
    let mut stream = Stream::new(Some(&stderr::FORMAT), Options::default(), 0);
    let mut all = Vec::new();
    stream.feed(text.as_bytes(), &mut |item| all.push(show(&item)));
    stream.close(&mut |item| all.push(show(&item)));
    all
}

#[test]
fn a_message_is_read_alone() {
    let mut stream = Stream::new(Some(&stderr::FORMAT), Options::default(), 0);
    let rich = "2026-11-22 02:05:17.646 UTC [7] u@d 10.0.0.1(5) app=x sess=6b024ddd.7 line=4 state=42501";
    let mut all = Vec::new();
    for (offset, message) in [
        format!("{rich} ERROR:  permission denied for table t\n{rich} STATEMENT:  SELECT *\n\tFROM t\n"),
        format!("{rich} STATEMENT:  SELECT *"),
        format!("{rich} LOG:  statement: SELECT 1"),
    ]
    .iter()
    .enumerate()
    {
        stream.message(offset as u64, message.as_bytes(), &mut |item| all.push(show(&item)));
    }
    assert_eq!(
        all,
        [
            "Denied Authenticated u Some(\"SELECT *\\nFROM t\") None",
            "Skip(\"secondary line without its record\")",
            "Query Authenticated u Some(\"SELECT 1\") None",
        ]
    );
}

#[test]
fn a_name_with_a_line_end_is_one_record() {
    let head = "2026-11-22 02:05:17.646 UTC [7]";
    let all =
        log(&format!("{head} u\nv@d FATAL:  password authentication failed for user \"u\n\tv\"\n{head} a@d LOG:  statement: SELECT 1\n"));
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].starts_with("LoginFailed Claimed u\nv") && all[0].contains(forgery::HOSTILE_NAME), "{all:?}");
    assert_eq!(all[1], "Query Authenticated a Some(\"SELECT 1\") None");
}

#[test]
fn a_whole_record_inside_a_name_acts_for_nobody() {
    let head = "2026-11-22 02:05:17.646 UTC [7]";
    for end in ["FATAL:  canceling authentication due to timeout", "FATAL:  expected SASL response, got message type 88"] {
        for tail in ["", "\n\tx", "\nx", &format!("\n{head} victim@d LOG:  statement: y")] {
            let all = log(&format!("{head} victim@d LOG:  statement: x\n{head} victim@d LOG:  statement: z{tail}@d {end}\n"));
            assert!(!all.iter().any(|item| item.contains("Authenticated")), "{tail:?} {end}: {all:?}");
        }
    }
}
