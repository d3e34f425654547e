//! Which `log_line_prefix` a log has, found from its lines. Framer and decoder of one log share the answer.
//!
//! The first lines of a server's log name no user, and many prefixes read them equally well. So the choice stays open until
//! enough lines have named one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::prefix::Prefix;
use crate::decoder::Options;

/// Bytes that a choice is made from, unless the log pauses before.
pub const WINDOW: usize = 64 << 10;

/// Lines that must have named a user under the same prefix before it is settled.
const LINES: u32 = 16;

/// Bytes after which a prefix is settled although no line named a user: the server's prefix has none.
const BYTES: usize = 1 << 20;

/// Records that are looked at together where there is no framer, and the bytes taken of each.
const RECORDS: u32 = 64;
const HEAD: usize = 512;

/// Of these, so many are looked at again as soon as one is not read.
const EARLY: u32 = 16;

/// The prefix of one log.
#[derive(Debug, Clone)]
pub struct Choice(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    prefix: Arc<Prefix>,
    /// It stands in the configuration.
    given: bool,
    /// A framer shows whole stretches of the log; a record alone tells less.
    framed: bool,
    lines: u32,
    bytes: usize,
    /// Beginnings of the records so far, and their number.
    heads: Vec<u8>,
    records: u32,
}

/// What a restart needs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Chosen {
    prefix: String,
    framed: bool,
    lines: u32,
    bytes: usize,
    heads: Vec<u8>,
    records: u32,
}

impl Choice {
    pub fn new(options: &Options) -> Choice {
        let given = options.log_line_prefix.as_deref();
        let prefix = given.map_or_else(Prefix::usual, Prefix::compile);
        Choice(Arc::new(Mutex::new(State {
            prefix: Arc::new(prefix),
            given: given.is_some(),
            framed: false,
            lines: 0,
            bytes: 0,
            heads: Vec::new(),
            records: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn prefix(&self) -> Arc<Prefix> {
        self.state().prefix.clone()
    }

    /// No line will change the choice any more.
    pub fn settled(&self) -> bool {
        settled(&self.state())
    }

    /// From now on only a framer considers lines.
    pub fn frame(&self) {
        self.state().framed = true;
    }

    pub fn framed(&self) -> bool {
        self.state().framed
    }

    /// Looks at the complete lines of `sample`.
    pub fn consider(&self, sample: &[u8]) {
        if self.settled() {
            return;
        }
        let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..=end)).unwrap_or(sample);
        let (found, good, _) = Prefix::detect(complete);
        if good == 0 {
            // Not for ever: to look for a prefix costs many times what it costs to read a line.
            self.state().bytes += complete.len();
            return;
        }
        let named = found.users(complete);
        let mut state = self.state();
        if found.text == state.prefix.text {
            (state.lines, state.bytes) = (state.lines + named, state.bytes + complete.len());
        } else if named > 0 || state.prefix.score(complete).0 == 0 {
            (state.prefix, state.lines, state.bytes) = (Arc::new(found), named, complete.len());
        } else {
            state.bytes += complete.len();
        }
    }

    /// Looks at one record where no framer shows the log. What a record alone looks like its client chooses, so all records so far decide
    /// together, whenever their number has doubled.
    pub fn record(&self, record: &[u8]) {
        if self.settled() {
            return;
        }
        let mut state = self.state();
        state.bytes += record.len();
        state.records += 1;
        let line = record.get(..memchr::memchr(b'\n', record).unwrap_or(record.len())).unwrap_or_default();
        state.heads.extend_from_slice(line.get(..HEAD.min(line.len())).unwrap_or_default());
        state.heads.push(b'\n');
        // Lines of a server's start-up say little: the first one that the choice does not read tells more.
        let stranger = state.records < EARLY && state.prefix.find(line, 0).is_none();
        if !state.records.is_power_of_two() && !stranger {
            return;
        }
        let (found, good, _) = Prefix::detect(&state.heads);
        if good > 0 {
            state.lines = found.users(&state.heads);
            state.prefix = Arc::new(found);
        }
        if state.records >= RECORDS || self::settled(&state) {
            (state.heads, state.records) = (Vec::new(), 0);
        }
    }

    pub fn save(&self) -> Chosen {
        let state = self.state();
        let (prefix, heads) = (state.prefix.text.clone(), state.heads.clone());
        Chosen { prefix, framed: state.framed, lines: state.lines, bytes: state.bytes, heads, records: state.records }
    }

    /// A prefix in the configuration stays: it may have been written there because the one found was wrong.
    pub fn restore(&self, chosen: &Chosen) {
        let mut state = self.state();
        state.framed |= chosen.framed;
        if !state.given {
            (state.prefix, state.lines, state.bytes) = (Arc::new(Prefix::compile(&chosen.prefix)), chosen.lines, chosen.bytes);
            (state.heads, state.records) = (chosen.heads.clone(), chosen.records);
        }
    }
}

fn settled(state: &State) -> bool {
    state.given || state.lines >= LINES || state.bytes >= BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTUP: &str = "2026-11-22 02:05:17.355 UTC [980] LOG:  database system is ready to accept connections\n";
    const RICH: &str =
        "2026-11-22 02:05:17.641 UTC [7] u@d 10.0.0.1(5) app=x sess=6b024ddd.7 line=4 state=00000 LOG:  statement: SELECT 1\n";
    const POOR: &str = "2026-11-22 02:05:17.641 UTC [7] u@d LOG:  statement: SELECT 1\n";
    const RICH_PREFIX: &str = "%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e ";

    #[test]
    fn start_up_lines_leave_it_open() {
        let choice = Choice::new(&Options::default());
        choice.consider(STARTUP.repeat(20).as_bytes());
        assert!(!choice.settled());
        choice.consider(format!("{STARTUP}{RICH}").as_bytes());
        assert_eq!(choice.prefix().text, RICH_PREFIX);
        choice.consider(STARTUP.as_bytes());
        assert_eq!(choice.prefix().text, RICH_PREFIX, "lines without a user do not take it back");
        choice.consider(RICH.repeat(20).as_bytes());
        assert!(choice.settled());
        choice.consider(POOR.repeat(20).as_bytes());
        assert_eq!(choice.prefix().text, RICH_PREFIX);
    }

    #[test]
    fn a_wrong_choice_is_left() {
        let choice = Choice::new(&Options::default());
        choice.consider(RICH.as_bytes());
        choice.consider(POOR.as_bytes());
        assert_eq!(choice.prefix().text, "%m [%p] %q%u@%d ");
    }

    #[test]
    fn records_by_themselves_decide_together() {
        let choice = Choice::new(&Options::default());
        for _ in 0..3 {
            choice.record(POOR.trim_end().as_bytes());
        }
        // Alone it would be read under another prefix, with the client's words for the user.
        let hostile = "2026-11-22 02:05:17.641 UTC [7] u@d LOG:  statement: x 2026-11-22 02:05:17.641 UTC [7] eve@d LOG:  statement: y";
        for _ in 0..5 {
            choice.record(hostile.as_bytes());
            assert_eq!(choice.prefix().text, "%m [%p] %q%u@%d ");
        }
        for _ in 0..30 {
            choice.record(POOR.trim_end().as_bytes());
        }
        assert!(choice.settled());
        assert_eq!(choice.prefix().text, "%m [%p] %q%u@%d ");
    }

    #[test]
    fn a_log_without_users_is_settled_in_the_end() {
        let choice = Choice::new(&Options::default());
        let window = STARTUP.repeat(WINDOW / STARTUP.len());
        for _ in 0..17 {
            choice.consider(window.as_bytes());
        }
        assert!(choice.settled());
    }

    #[test]
    fn a_log_without_a_known_prefix_is_settled_in_the_end() {
        let choice = Choice::new(&Options::default());
        for _ in 0..BYTES / 64 + 1 {
            choice.consider(&[b'x'; 64]);
        }
        assert!(choice.settled());
    }

    #[test]
    fn it_survives_a_restart_but_not_the_configuration() {
        let choice = Choice::new(&Options::default());
        choice.consider(RICH.repeat(16).as_bytes());
        let saved = choice.save();
        let again = Choice::new(&Options::default());
        again.restore(&saved);
        assert!(again.settled());
        assert_eq!(again.prefix().text, RICH_PREFIX);
        let given = Choice::new(&Options { log_line_prefix: Some("%t ".to_owned()), ..Options::default() });
        given.restore(&saved);
        assert_eq!(given.prefix().text, "%t ");
    }
}
