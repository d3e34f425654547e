//! Where DISCONNECT rows stand in a buffer to whose end bytes come and from whose start they are taken: every byte is looked at once.

use std::collections::VecDeque;
use std::sync::LazyLock;

use memchr::memmem::Finder;

static WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b",DISCONNECT,"));

#[derive(Debug, Default)]
pub struct Disconnects {
    /// Where the word ends each time, counted as if all before the buffer were still in it.
    ends: VecDeque<usize>,
    gone: usize,
    /// No word that begins before this is left to be found; counted likewise.
    searched: usize,
}

impl Disconnects {
    /// Looks at what has come; whether there was one in it.
    pub fn look(&mut self, buf: &[u8]) -> bool {
        let from = self.searched.saturating_sub(self.gone);
        let Some(fresh) = buf.get(from..) else { return false };
        let (known, word) = (self.ends.len(), WORD.needle().len());
        self.ends.extend(WORD.find_iter(fresh).map(|at| self.gone + from + at + word));
        // One may begin in the last bytes.
        let last = (self.gone + buf.len() + 1).saturating_sub(word);
        self.searched = self.searched.max(last).max(self.ends.back().copied().unwrap_or_default());
        self.ends.len() > known
    }

    /// Where the last one ends; 0 where there is none.
    pub fn last(&self) -> usize {
        self.ends.back().map_or(0, |end| end - self.gone)
    }

    /// Where the word ends each time behind the first `from` bytes of the buffer.
    pub fn behind(&self, from: usize) -> impl Iterator<Item = usize> {
        let first = self.ends.partition_point(|end| *end <= self.gone + from);
        self.ends.range(first..).map(|end| end - self.gone)
    }

    /// So many bytes are taken from the start of the buffer.
    pub fn take(&mut self, bytes: usize) {
        self.gone += bytes;
        while self.ends.front().is_some_and(|end| *end <= self.gone) {
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a search through all of the text finds behind what is gone, however the bytes come and go.
    #[test]
    fn as_a_search_of_the_whole() {
        let text = b"1,DISCONNECT,DISCONNECT,,DISCONNECT,,,DISCON\n2,0,DISCONNECT,,,0\n".repeat(5);
        for (step, taken) in [(1, 0), (1, 1), (2, 1), (5, 5), (7, 2), (40, 11), (400, 90)] {
            let (mut disconnects, mut from, mut to) = (Disconnects::default(), 0, 0);
            while to < text.len() {
                to = (to + step).min(text.len());
                disconnects.look(&text[from..to]);
                let want = WORD.find_iter(&text[..to]).map(|at| at + WORD.needle().len()).filter(|end| *end > from);
                let got = disconnects.behind(0).map(|end| from + end);
                assert_eq!(got.collect::<Vec<_>>(), want.collect::<Vec<_>>(), "{from}..{to} by {step}");
                // What may be the beginning of the word is left there.
                let used = taken.min((to - from).saturating_sub(WORD.needle().len()));
                disconnects.take(used);
                from += used;
            }
        }
    }
}
