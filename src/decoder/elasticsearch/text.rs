//! The text form of the versions before 7: `[time] [node] [layer] [event]` and `key=[value]` pairs. Nothing in it is escaped.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::{Said, said_kind};
use crate::decoder::Guess;
use crate::framing::seek::Seek;

/// One line, taken apart as far as the event's name.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub time: &'a [u8],
    pub what: &'a [u8],
    pub pairs: &'a [u8],
}

const LAYERS: [&[u8]; 3] = [b"rest", b"transport", b"ip_filter"];

/// `None` where this is no beginning of a record.
pub fn line(record: &[u8]) -> Option<Line<'_>> {
    let (time, mut rest) = bracket(record)?;
    if !time.first()?.is_ascii_digit() {
        return None;
    }
    // The node's name and host stand before the layer, or do not.
    for _ in 0..5 {
        let (word, after) = bracket(rest)?;
        rest = after;
        if LAYERS.contains(&word) {
            let (what, pairs) = bracket(rest)?;
            return said_kind(what).map(|_| Line { time, what, pairs: pairs.trimmed_start() });
        }
    }
    None
}

/// `[word]` with blanks before it, and what follows.
fn bracket(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = text.trimmed_start().strip_prefix(b"[")?;
    let end = body.find_byte(b']')?;
    Some((body.get(..end)?, body.get(end + 1..)?))
}

/// The pairs of a line.
pub fn said<'a>(line: &Line<'a>, arena: &'a Bump) -> Said<'a> {
    let mut said = Said { what: line.what, ..Said::default() };
    let mut rest = line.pairs;
    while let Some((key, after)) = rest.part("=[") {
        // A value ends where another key begins, as it may hold brackets itself.
        let (value, next) = ends(after);
        rest = next;
        let text = BStr::new(value);
        let value = Some(text);
        match key.trimmed_start().trimmed_end() {
            b"origin_address" => said.origin = value,
            b"principal" => said.user = value,
            b"realm" => said.realm = value,
            b"run_by_principal" => said.run_by = value,
            b"action" => said.action = value,
            b"opaque_id" => said.opaque = value,
            b"indices" => {
                let names = text.split(|b| *b == b',').map(|name| BStr::new(name.trimmed_start().trimmed_end()));
                said.indices = bumpalo::collections::Vec::from_iter_in(names, arena).into_bump_slice();
            }
            _ => {}
        }
    }
    said
}

/// A value and what follows it: up to `], key=[`, or the last bracket of the line.
fn ends(text: &[u8]) -> (&[u8], &[u8]) {
    for at in memchr::memchr_iter(b']', text).filter(|at| text.get(at + 1..at + 3) == Some(b", ")) {
        let after = text.get(at + 3..).unwrap_or_default();
        let key = after.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count();
        if key > 0 && after.get(key..).is_some_and(|rest| rest.starts_with(b"=[")) {
            return (text.get(..at).unwrap_or_default(), after);
        }
    }
    (text.strip_suffix(b"]").unwrap_or(text), b"")
}

/// How sure lines make us.
pub fn sniff(sample: &[u8]) -> Guess {
    /// Lines looked at.
    const LINES: usize = 50;
    let lines = sample.split_str("\n").filter(|line| !line.trim().is_empty()).take(LINES);
    let (all, good) = lines.fold((0usize, 0usize), |(all, good), text| (all + 1, good + usize::from(line(text).is_some())));
    match good {
        0 => Guess::NO,
        _ if good * 2 >= all => Guess::new(93, format!("{good} of {all} lines are text audit records of Elasticsearch before 7")),
        _ => Guess::new(40, format!("only {good} of {all} lines are text audit records of Elasticsearch")),
    }
}
