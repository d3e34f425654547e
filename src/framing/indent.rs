//! Records that go on over lines which begin with a blank, as `journalctl` prints messages of several lines, and entries with all their fields.

use bumpalo::Bump;
use serde::{Deserialize, Serialize};

use super::joined::Grammar;

/// A record begins with every line that does not begin with a blank. What a client writes into a message is indented like its own lines, so
/// nothing in it can look like the beginning of a record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Indent;

impl Grammar for Indent {
    const LOOK: usize = 1;

    fn head(line: &[u8]) -> bool {
        line.first() != Some(&b' ')
    }

    fn begin(&mut self, _line: &[u8]) {}

    fn more(&mut self, _line: &[u8]) {}

    fn whole(&self) -> bool {
        true
    }
}

/// The text without up to `width` blanks at the start of every line but the first; `None` where it is one line.
pub fn outdented<'a>(text: &[u8], width: usize, arena: &'a Bump) -> Option<&'a [u8]> {
    memchr::memchr(b'\n', text)?;
    Some(lines(text, width, b"", arena))
}

/// What `journalctl` makes of a tab without `--all`. Records go on over lines that begin with one, so there it is a tab again.
const TAB: &[u8] = b"        ";

/// A message as `journalctl` got it: its lines stand `width` blanks to the right, and tabs have become blanks. `None` where nothing is to be done.
pub fn printed<'a>(text: &[u8], width: usize, arena: &'a Bump) -> Option<&'a [u8]> {
    (text.starts_with(TAB) || memchr::memchr(b'\n', text).is_some()).then(|| lines(text, width, TAB, arena))
}

fn lines<'a>(text: &[u8], width: usize, tab: &[u8], arena: &'a Bump) -> &'a [u8] {
    let mut plain = bumpalo::collections::Vec::with_capacity_in(text.len(), arena);
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        let blanks = if number == 0 { 0 } else { blanks(line, width) };
        if number > 0 {
            plain.push(b'\n');
        }
        let line = line.get(blanks..).unwrap_or_default();
        match line.strip_prefix(tab).filter(|_| !tab.is_empty()) {
            Some(rest) => {
                plain.push(b'\t');
                plain.extend_from_slice(rest);
            }
            None => plain.extend_from_slice(line),
        }
    }
    plain.into_bump_slice()
}

/// How many blanks the line begins with, `width` at the most.
fn blanks(line: &[u8], width: usize) -> usize {
    const BLANKS: &[u8] = &[b' '; 128];
    match (line.get(..width), BLANKS.get(..width)) {
        // Nearly every line has them all.
        (Some(begin), Some(blanks)) if begin == blanks => width,
        _ => line.iter().take(width).take_while(|b| **b == b' ').count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_several_lines() {
        let arena = Bump::new();
        assert_eq!(outdented(b"  a", 2, &arena), None);
        assert_eq!(outdented(b"  a\n  b\n   c\n d\n", 2, &arena), Some(&b"  a\nb\n c\nd\n"[..]));
        assert_eq!(printed(b" a", 2, &arena), None);
        assert_eq!(printed(b"         a\n  b\n          c", 2, &arena), Some(&b"\t a\nb\n\tc"[..]));
    }
}
