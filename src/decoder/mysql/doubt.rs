//! Who may have written a record into the log, besides the server.
//!
//! The general and the slow log hold the statements of clients as they came, line ends and all. So a record may be the
//! server's own, or a part of the statement before it. The two cannot be told apart by their bytes: an attacker who knows
//! the number of somebody's connection and the time of day writes exactly what the server would have written. What can be said is *who*
//! may have written it: only a client that had a statement just before, whose end nothing proves. These are the **writers**.
//!
//! * A record that names the only possible writer is believed: at worst somebody forged records of himself.
//! * A record that names another is doubtful, and names no token.
//! * A statement whose end is proved (by its quotes, comments and what the server says of its success) adds no writer.
//!
//! Writers are cleared by what they cannot foresee, or cannot do:
//!
//! * **A name is short.** Who has only logged in has written 192 letters at most.
//! * **The log goes on.** A forged record is written before it happens, so it must claim a time at which, from then until its
//!   true neighbour, the server logs nothing; otherwise time runs backwards behind it. Once the log has gone on for
//!   [`CLEAR`] without a silence longer than [`SILENCE`], what somebody wrote before that is over.
//! * **Their last session has ended**, for sessions that began after it (general log only). Somebody may forge his own end,
//!   but a connection that goes on gives him away, and from then on no end of his is believed.
//!
//! The server's own administrator at the local socket ([`keeper`]) is no writer: he needs no log to act for others.
//!
//! What is left: a client whose first and last hostile act is to forge his own end followed by somebody's login under the very next
//! connection number, and who then breaks off, and a client who foresees five seconds of a server's silence. Both stay possible for logs of this kind; so they
//! alert, and never revoke.

use serde::{Deserialize, Serialize};

use crate::event::Time;
use crate::token::WordId;

/// So long the log must have gone on for a writer to be cleared.
const CLEAR: i64 = 5 * Time::SECOND;
/// The longest silence in which the log still goes on.
const SILENCE: i64 = Time::SECOND;
/// Writers remembered; with more of them everybody is one.
const WRITERS: usize = 64;

/// Reason on a record that another client may have written.
pub const DOUBTFUL: &str = "may be text of another client's statement";

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Writer {
    who: WordId,
    last: Time,
    /// The number of the last session that had begun when the last one of this writer ended.
    ended: Option<u64>,
    /// What he wrote ends before this byte.
    until: u64,
}

/// Accounts that servers and distributions make for their own administration.
const KEEPERS: [&[u8]; 8] =
    [b"root", b"mysql", b"mariadb.sys", b"mysql.sys", b"mysql.session", b"mysql.infoschema", b"debian-sys-maint", b"rdsadmin"];

/// Whether this account, at the local socket, has all rights over the server in any case.
pub fn keeper(user: &[u8], local: bool) -> bool {
    local && KEEPERS.contains(&user)
}

/// Those who may have written the next record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Doubt {
    writers: Vec<Writer>,
    /// There were more than [`WRITERS`], the last one at this time.
    crowd: Option<Time>,
    /// The log goes on since then.
    since: Option<Time>,
    now: Option<Time>,
    /// Bytes of the log so far.
    bytes: u64,
}

/// Bytes behind a login in which its names can go on: user and database have 192 letters.
const NAMES: u64 = 192 * 4;

impl Doubt {
    /// The log goes on with a record of so many bytes.
    pub fn pass(&mut self, bytes: usize) {
        let start = self.bytes;
        self.bytes = start.saturating_add(bytes as u64 + 1);
        self.writers.retain(|writer| start < writer.until);
    }

    /// Nobody but the server can have written what follows.
    pub fn none(&self) -> bool {
        self.crowd.is_none() && self.writers.is_empty()
    }

    /// The log has come to `time`.
    pub fn at(&mut self, time: Time) {
        let quiet = self.now.is_none_or(|now| time.0 < now.0 - SILENCE || time.0 > now.0 + SILENCE);
        if quiet {
            self.since = Some(time);
        }
        self.now = Some(if quiet { time } else { self.now.map_or(time, |now| now.max(time)) });
        if self.writers.is_empty() && self.crowd.is_none() {
            return;
        }
        let since = self.since.unwrap_or(time);
        let over = |last: Time| time.0 - last.max(since).0 >= CLEAR;
        self.writers.retain(|writer| !over(writer.last));
        self.crowd = self.crowd.filter(|last| !over(*last));
    }

    /// Whether nobody but `who` can have written a record of the session that began as number `born`.
    pub fn proved(&self, who: WordId, born: u64) -> bool {
        self.crowd.is_none() && self.writers.iter().all(|writer| writer.who == who || writer.ended.is_some_and(|end| born > end))
    }

    /// `who` had a statement whose end nothing proves.
    pub fn add(&mut self, who: WordId) {
        self.writer(who, u64::MAX);
    }

    /// `who` gave names, of which nothing proves where they end.
    pub fn add_names(&mut self, who: WordId) {
        self.writer(who, self.bytes + NAMES);
    }

    fn writer(&mut self, who: WordId, until: u64) {
        let last = self.now.unwrap_or_default();
        let writer = Writer { who, last, ended: None, until };
        if let Some(known) = self.writers.iter_mut().find(|writer| writer.who == who) {
            *known = Writer { until: until.max(known.until), ..writer };
        } else if self.writers.len() < WRITERS {
            self.writers.push(writer);
        } else {
            self.crowd = Some(last);
        }
    }

    /// The last session of `who` has ended; so many had begun by then.
    pub fn end(&mut self, who: WordId, born: u64) {
        if let Some(writer) = self.writers.iter_mut().find(|writer| writer.who == who) {
            writer.ended = Some(born);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_cleared_by_time_that_goes_on() {
        let (eve, bill) = (WordId(1), WordId(2));
        let at = |seconds: i64| Time(seconds * Time::SECOND);
        let mut doubt = Doubt::default();
        doubt.at(at(100));
        assert!(doubt.proved(bill, 1));
        doubt.add(eve);
        assert!(doubt.proved(eve, 1) && !doubt.proved(bill, 1));
        // One leap is no proof, however far.
        doubt.at(at(4000));
        assert!(!doubt.proved(bill, 1));
        for second in 4001..4005 {
            doubt.at(at(second));
            assert!(!doubt.proved(bill, 1), "{second}");
        }
        doubt.at(at(4005));
        assert!(doubt.proved(bill, 1));
        // Going backwards begins anew.
        doubt.add(eve);
        for second in [4006, 4007, 4008, 4006, 4007, 4008, 4009, 4010, 4006, 4007] {
            doubt.at(at(second));
            assert!(!doubt.proved(bill, 1), "{second}");
        }
    }

    #[test]
    fn an_end_clears_for_later_sessions() {
        let (eve, bill) = (WordId(1), WordId(2));
        let mut doubt = Doubt::default();
        doubt.at(Time(0));
        doubt.add(eve);
        doubt.end(eve, 7);
        assert!(!doubt.proved(bill, 7) && doubt.proved(bill, 8));
        doubt.add(eve);
        assert!(!doubt.proved(bill, 8));
        for who in 10..200 {
            doubt.add(WordId(who));
        }
        assert!(!doubt.proved(eve, 9));
    }
}
