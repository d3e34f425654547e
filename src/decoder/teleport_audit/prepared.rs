//! Prepared statements: the text stands in the parse event, the execution names only a portal.

use std::collections::{BTreeMap, VecDeque};

use bstr::BStr;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

/// Statements and portals remembered, the latest.
const KEPT: usize = 1024;
/// Longest text kept of each; a longer one is executed without its text.
const LONGEST: usize = 16 << 10;

/// Session and name.
type Key = (Vec<u8>, Vec<u8>);

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Prepared {
    texts: Bounded,
    /// Portal -> statement.
    portals: Bounded,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Bounded {
    values: BTreeMap<Key, Vec<u8>>,
    order: VecDeque<Key>,
}

impl Bounded {
    fn put(&mut self, session: &[u8], name: &[u8], value: &[u8]) {
        let key = (session.to_vec(), name.to_vec());
        if session.len() + name.len() + value.len() > LONGEST {
            self.values.remove(&key);
            return;
        }
        if self.values.insert(key.clone(), value.to_vec()).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    fn get(&self, session: &[u8], name: &[u8]) -> Option<&[u8]> {
        self.values.get(&(session.to_vec(), name.to_vec())).map(Vec::as_slice)
    }

    fn forget(&mut self, session: &[u8]) {
        self.values.retain(|(of, _), _| of != session);
        self.order.retain(|(of, _)| of != session);
    }
}

impl Prepared {
    pub fn parse(&mut self, session: &[u8], statement: &[u8], text: &[u8]) {
        self.texts.put(session, statement, text);
    }

    pub fn bind(&mut self, session: &[u8], portal: &[u8], statement: &[u8]) {
        self.portals.put(session, portal, statement);
    }

    /// The text that a portal runs.
    pub fn text<'a>(&self, session: &[u8], portal: &[u8], arena: &'a Bump) -> Option<&'a BStr> {
        let text = self.texts.get(session, self.portals.get(session, portal)?)?;
        Some(BStr::new(arena.alloc_slice_copy(text)))
    }

    pub fn forget(&mut self, session: &[u8]) {
        self.texts.forget(session);
        self.portals.forget(session);
    }

    pub fn save(&self) -> Vec<u8> {
        match self.texts.values.is_empty() && self.portals.values.is_empty() {
            true => Vec::new(),
            false => postcard::to_stdvec(self).unwrap_or_default(),
        }
    }

    pub fn restore(state: &[u8]) -> Self {
        postcard::from_bytes(state).unwrap_or_default()
    }
}
