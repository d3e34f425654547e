//! Sessions of one server, by process: what their first records told, for prefixes that do not repeat it in every line.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

/// Sessions remembered; beyond that the oldest is forgotten.
const CAPACITY: usize = 65_536;

/// What is known of one session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub address: Option<Vec<u8>>,
    pub port: Option<u16>,
    pub user: Option<Vec<u8>>,
    pub database: Option<Vec<u8>>,
    pub application: Option<Vec<u8>>,
    /// Its connection was logged.
    pub received: bool,
    /// Its authorisation was logged, or it has acted.
    pub established: bool,
    /// It took statements.
    pub acted: bool,
    /// Its id, and the number of its last line, where the prefix has them.
    pub(super) id: Option<Vec<u8>>,
    pub(super) line: Option<u64>,
    /// Set by [`Sessions::begin`].
    pub(super) number: u64,
}

/// What the prefix of a line tells of its session and other clients do not see.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    pub port: Option<u16>,
    pub id: Option<&'a [u8]>,
    pub line: Option<u64>,
}

impl Session {
    /// Whether a line with these marks may be the next one of this session.
    pub fn goes_on(&self, marks: Marks<'_>) -> bool {
        let port = self.port.zip(marks.port).is_none_or(|(known, told)| known == told);
        let id = self.id.as_deref().zip(marks.id).is_none_or(|(known, told)| known == told);
        port && id && self.line.zip(marks.line).is_none_or(|(last, told)| last.checked_add(1) == Some(told))
    }

    /// A record of this session begins with a line of these marks and has so many lines with a prefix.
    pub fn follow(&mut self, marks: Marks<'_>, lines: u64) {
        if self.id.as_deref() != marks.id {
            self.id = marks.id.map(<[u8]>::to_vec);
        }
        self.line = marks.line.map(|line| line.saturating_add(lines.saturating_sub(1)));
    }
}

/// The sessions of one partition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sessions {
    by_pid: HashMap<u32, Session, RandomState>,
    /// Process and number in the order of arrival; entries of ended sessions are dropped when they come to the front.
    order: VecDeque<(u32, u64)>,
    next: u64,
    /// The server logs authorisations, so a session without one has none.
    pub authorisations: bool,
}

impl Sessions {
    #[inline]
    pub fn get(&self, pid: u32) -> Option<&Session> {
        self.by_pid.get(&pid)
    }

    pub fn get_mut(&mut self, pid: u32) -> Option<&mut Session> {
        self.by_pid.get_mut(&pid)
    }

    /// A new session of this process; an earlier one has ended.
    pub fn begin(&mut self, pid: u32, session: Session) {
        self.next += 1;
        self.by_pid.insert(pid, Session { number: self.next, ..session });
        self.order.push_back((pid, self.next));
        while self.by_pid.len() > CAPACITY || self.order.len() > 2 * CAPACITY {
            let Some((pid, number)) = self.order.pop_front() else { break };
            if self.by_pid.get(&pid).is_some_and(|s| s.number == number) {
                self.by_pid.remove(&pid);
            }
        }
    }

    pub fn end(&mut self, pid: u32) {
        self.by_pid.remove(&pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut sessions = Sessions::default();
        for pid in 0..CAPACITY as u32 + 10 {
            sessions.begin(pid, Session::default());
        }
        assert_eq!(sessions.by_pid.len(), CAPACITY);
        assert!(sessions.get(9).is_none() && sessions.get(10).is_some());
        let kept: Sessions = postcard::from_bytes(&postcard::to_stdvec(&sessions).unwrap()).unwrap();
        assert_eq!(kept.by_pid, sessions.by_pid);
    }
}
