//! Drives a framer over bytes, for the tests of framers.

use super::{Framed, Framer, More};

/// All records of `log` and the reasons of all skips, the whole log being shown at once.
pub(crate) fn frames<'a>(framer: &mut dyn Framer, log: &'a [u8], more: More) -> (Vec<&'a [u8]>, Vec<&'static str>) {
    let (mut records, mut skipped, mut rest) = (Vec::new(), Vec::new(), log);
    while !rest.is_empty() {
        match framer.next(rest, more) {
            Framed::Record(frame) => {
                assert!(frame.consumed > 0 && frame.skip + frame.len <= frame.consumed, "{frame:?}");
                records.push(&rest[frame.skip..frame.skip + frame.len]);
                rest = &rest[frame.consumed..];
            }
            Framed::Skip { consumed, reason } => {
                assert!(consumed > 0);
                skipped.push(reason);
                rest = &rest[consumed..];
            }
            Framed::Incomplete => break,
        }
    }
    (records, skipped)
}

/// All records of `log`, shown in pieces of `size` bytes, then closed.
pub(crate) fn in_pieces(framer: &mut dyn Framer, log: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (mut records, mut buf) = (Vec::new(), Vec::new());
    let mut pieces = log.chunks(size.max(1)).peekable();
    while let Some(piece) = pieces.next() {
        buf.extend_from_slice(piece);
        let more = if pieces.peek().is_none() { More::Closed } else { More::Flowing };
        while !buf.is_empty() {
            let used = match framer.next(&buf, more) {
                Framed::Record(frame) => {
                    records.push(buf[frame.skip..frame.skip + frame.len].to_vec());
                    frame.consumed
                }
                Framed::Skip { consumed, .. } => consumed,
                Framed::Incomplete => break,
            };
            assert!(used > 0);
            buf.drain(..used);
        }
    }
    records
}
