//! Which records a client may have written by way of a statement that failed.
//!
//! The text of such a statement is anything, so nobody can tell where its record ends: what looks like the records behind it may be
//! its rest. What of that may be believed: a record of the same user, which says only what that user could do anyway, and a
//! record of another user's session that was known before, for it names that session's port, which strangers do not know. Once such
//! a session has spoken the log has gone on; so it has, as far as can be told, a minute later, unless time goes back again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{Audit, masked};
use crate::event::Time;

/// Reason on a record that may be the rest of a failed statement.
pub const BEHIND: &str = "may be written by a statement that failed before it";
/// Reason on a record whose session is another user's.
pub const OTHER: &str = "the session is another user's";

/// Sessions remembered.
const SESSIONS: usize = 16_384;
/// The doubt ends after so long, if the time that a record gives is not beyond what anybody would wait for.
const WHILE: std::ops::Range<i64> = Time::MINUTE..Time::HOUR;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Doubt {
    /// User of each session, by `source` and `port`, with the time of its last record.
    sessions: BTreeMap<Vec<u8>, (Vec<u8>, i64)>,
    open: Option<Failed>,
    latest: i64,
}

/// A statement whose end nobody knows.
#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    /// Empty: somebody who did not log in.
    user: Vec<u8>,
    at: i64,
}

/// What to think of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The log stands here, and nowhere inside a statement.
    Clear,
    /// It may be inside a failed statement, but says nothing of another user.
    Own,
    /// It may be forged.
    Doubtful(&'static str),
}

impl Doubt {
    pub fn judge(&self, audit: &Audit<'_>) -> Verdict {
        let (Some(failed), now) = (&self.open, at(audit)) else { return Verdict::Clear };
        let known = self.sessions.get(&session(audit)).map(|(user, _)| user == audit.user);
        let own = !failed.user.is_empty() && failed.user == audit.user;
        match known {
            Some(true) if !own => Verdict::Clear,
            _ if WHILE.contains(&(now - failed.at)) => Verdict::Clear,
            _ if own || audit.kind == b"LOGIN_ERROR" => Verdict::Own,
            Some(false) => Verdict::Doubtful(OTHER),
            _ => Verdict::Doubtful(BEHIND),
        }
    }

    /// Learns of a record that was judged so.
    pub fn learn(&mut self, audit: &Audit<'_>, verdict: Verdict) {
        let now = at(audit);
        match verdict {
            Verdict::Doubtful(_) => return,
            Verdict::Clear => self.open = None,
            Verdict::Own => {}
        }
        let user = if super::nobody(audit.user) { b"" } else { audit.user };
        if audit.kind != b"LOGIN_ERROR" && !user.is_empty() && !audit.port.is_empty() && !audit.twice {
            let key = session(audit);
            match self.sessions.get_mut(&key) {
                Some((known, last)) if known == user => *last = now,
                Some(known) => *known = (user.to_vec(), now),
                None => {
                    if self.sessions.len() >= SESSIONS {
                        self.forget();
                    }
                    self.sessions.insert(key, (user.to_vec(), now));
                }
            }
        }
        // Either a record has lied about its time, or a request has taken very long.
        let back = now < self.latest - WHILE.start;
        self.latest = self.latest.max(now);
        if unproved(audit) {
            self.open = Some(Failed { user: user.to_vec(), at: now });
        } else if back {
            self.open.get_or_insert(Failed { user: Vec::new(), at: now });
        }
    }

    /// The older half of the sessions goes.
    fn forget(&mut self) {
        let mut times: Vec<i64> = self.sessions.values().map(|(_, time)| *time).collect();
        let half = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(half);
        let middle = *middle;
        self.sessions.retain(|_, (_, time)| *time > middle);
    }
}

fn at(audit: &Audit<'_>) -> i64 {
    audit.time().map_or(0, |time| time.0)
}

fn session(audit: &Audit<'_>) -> Vec<u8> {
    [audit.source, b"|", audit.port].concat()
}

/// Whether nobody can tell where the record ends. Statements that were refused were understood before, and end where their literals do;
/// the text of a refused login ends with the masked password, behind which the server writes nothing.
fn unproved(audit: &Audit<'_>) -> bool {
    match audit.kind {
        b"LOGIN_ERROR" => !masked(audit.operation),
        kind => kind == b"REQUEST_FAILURE" || audit.category == b"ERROR",
    }
}
