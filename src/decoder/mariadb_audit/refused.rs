//! A refused login, and where the second row with its user name stands.

use super::disconnects::Disconnects;
use super::guard::{AFTER, WINDOW, line_start, mark};
use super::row::{self, Op, Start};

/// A FAILED_CONNECT row in the buffer. It is many times in reach, so what was found of it is kept.
#[derive(Debug)]
pub(super) struct Refused {
    /// Start and end of its line.
    pub(super) line: usize,
    pub(super) end: usize,
    /// Its line end has not come yet.
    pub(super) torn: bool,
    /// Where the user name ends.
    pub(super) name_end: usize,
    /// What follows the name in the second row: `,HOST,CONNECTION,0,DISCONNECT,`.
    pub(super) tail: Vec<u8>,
    seconds: Seconds,
    /// How many twins had gone when all of its own were among the awaited ones.
    pub(super) asked: Option<u64>,
}

/// The rows behind a refused login that end as its second row would, as far as bytes have come.
#[derive(Debug, Default)]
struct Seconds {
    /// Bytes behind the refused login up to the last DISCONNECT row that was looked at.
    searched: usize,
    /// Up to so many bytes before the end of the name, all rows that may begin it are proved.
    known: Option<usize>,
    /// More bytes change nothing.
    settled: bool,
    /// Where the name of the last of them ends, counted from the line behind the refused login.
    last: Option<usize>,
    /// By their starts, the first last.
    proofs: Vec<Proof>,
}

/// The same name stands behind two heads: one before the refused login's end, one before that of a second row.
#[derive(Debug, Clone, Copy)]
struct Proof {
    /// Bytes from where the first row begins to where its name ends.
    first: usize,
    /// Where the second row begins and where its name ends, counted from the line behind the refused login.
    second: (usize, usize),
}

impl Seconds {
    /// In how many bytes behind the refused login the true one is: the client can put a false one into its name, behind which the true one ends at
    /// most one name later.
    fn reach(&self) -> usize {
        self.last.map_or(AFTER, |last| last + WINDOW).min(AFTER)
    }
}

impl Refused {
    /// The row around the mark at `found`, if it is one.
    pub(super) fn read(buf: &[u8], found: usize, line_end: Option<usize>) -> Option<Self> {
        let (line, end) = (line_start(buf, found), line_end.unwrap_or(buf.len()));
        let right = row::tail(buf.get(line..end)?).filter(|tail| tail.op == Op::FailedConnect)?;
        let name_end = line + right.start;
        let mut tail = buf.get(name_end..).and_then(|text| text.get(..mark(text)?)).unwrap_or_default().to_vec();
        tail.extend_from_slice(b",DISCONNECT,");
        Some(Refused { line, end, torn: line_end.is_none(), name_end, tail, seconds: Seconds::default(), asked: None })
    }

    /// Looks for its DISCONNECT row behind it; gives the length of the buffer with which all of its rows are known, if it is not that long yet.
    pub(super) fn settle(&mut self, start: Start, buf: &[u8], disconnects: &Disconnects) -> Option<usize> {
        if self.seconds.settled {
            return None;
        }
        let after = (self.end + 1).min(buf.len());
        let area = buf.get(after..).unwrap_or_default();
        self.look_behind(start, buf, after, area, disconnects);
        let wanted = self.seconds.reach();
        self.seconds.settled = area.len() >= wanted;
        (!self.seconds.settled).then_some(after + wanted)
    }

    /// Looks through what has come behind a FAILED_CONNECT row for what ends as its DISCONNECT row would, with the heads before both behind which
    /// the same name stands.
    fn look_behind(&mut self, start: Start, buf: &[u8], after: usize, area: &[u8], disconnects: &Disconnects) {
        let Refused { line, name_end, tail, seconds, .. } = self;
        if disconnects.last() <= after + seconds.searched {
            return;
        }
        let before = buf.get(..*name_end).unwrap_or_default();
        // Where a row before it begins that the name may reach.
        let reach = line_start(before, before.len().saturating_sub(WINDOW));
        for end in disconnects.behind(after + seconds.searched).map(|end| end - after) {
            let Some(row) = area.get(..end).filter(|_| end <= seconds.reach()) else { break };
            seconds.searched = end;
            let Some(second) = row.strip_suffix(&**tail) else { continue };
            seconds.last = Some(second.len());
            let common = common_end(before, second);
            if seconds.known >= Some(common) {
                continue;
            }
            let mut all = true;
            // From the refused login's own line back to the one in which the two begin to differ.
            let mut next = Some(*line);
            while let Some(first) = next.filter(|first| *first >= reach) {
                next = first.checked_sub(1).filter(|_| first + common > before.len()).map(|at| line_start(buf, at));
                let Some(len) = buf.get(first..*name_end).and_then(|row| Some(row.len() - start.head(row)?)) else { continue };
                let proved = seconds.proofs.iter().any(|proof| proof.first == before.len() - first);
                if len > common || proved {
                    continue;
                }
                let line = line_start(area, second.len() - len);
                if start.head(area.get(line..second.len()).unwrap_or_default()) == Some(second.len() - len - line) {
                    seconds.proofs.push(Proof { first: before.len() - first, second: (line, second.len()) });
                } else {
                    all = false;
                }
            }
            seconds.known = seconds.known.max(Some(common).filter(|_| all));
        }
        seconds.proofs.sort_by_key(|proof| proof.first);
    }

    /// Where its row begins, as far as a second row proves it, and where that begins and its name ends.
    pub(super) fn proof(&mut self) -> Option<(usize, (usize, usize))> {
        let proofs = &mut self.seconds.proofs;
        // What begins before the buffer is no question any more.
        while proofs.pop_if(|proof| proof.first > self.name_end).is_some() {}
        let Proof { first, second: (line, name_end) } = proofs.last()?;
        Some((self.name_end - first, (self.end + 1 + line, self.end + 1 + name_end)))
    }
}

/// Bytes at the ends of two texts that are the same, as far as a name can reach.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let len = a.len().min(b.len()).min(WINDOW);
    let (mut a, mut b) = (a.get(a.len() - len..).unwrap_or_default(), b.get(b.len() - len..).unwrap_or_default());
    while let (Some((a_rest, a_end)), Some((b_rest, b_end))) = (a.split_last_chunk(), b.split_last_chunk()) {
        // The last byte is the highest.
        let differ = u128::from_le_bytes(*a_end) ^ u128::from_le_bytes(*b_end);
        if differ != 0 {
            return len - a.len() + differ.leading_zeros() as usize / 8;
        }
        (a, b) = (a_rest, b_rest);
    }
    len - a.len() + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}
