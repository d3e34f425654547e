//! What the names of actions mean, of Elasticsearch and OpenSearch: `indices:data/read/search`, `cluster:admin/settings/update`.

use std::collections::VecDeque;

use bstr::BStr;
use bumpalo::Bump;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::event::Operation;
use crate::framing::envelope::lane;

/// Parts of names and what they mean; the first that a name holds counts.
const MEANINGS: [(&str, Operation); 34] = [
    ("indices:data/read/", Operation::Select),
    ("indices:data/write/delete", Operation::Delete),
    ("indices:data/write/update", Operation::Update),
    ("indices:data/write/", Operation::Insert),
    ("indices:admin/auto_create", Operation::Create),
    ("indices:admin/create", Operation::Create),
    ("indices:admin/delete", Operation::Drop),
    ("indices:admin/get", Operation::Show),
    ("indices:admin/exists", Operation::Show),
    ("indices:admin/resolve", Operation::Show),
    ("indices:monitor/", Operation::Show),
    ("cluster:monitor/", Operation::Show),
    ("/has_privileges", Operation::Show),
    ("/authenticate", Operation::Show),
    ("/privilege/", Operation::Grant),
    ("/role_mapping/delete", Operation::Revoke),
    ("/role/delete", Operation::Revoke),
    ("/api_key/invalidate", Operation::Revoke),
    ("/token/invalidate", Operation::Revoke),
    ("/api_key/create", Operation::Grant),
    ("/api_key/grant", Operation::Grant),
    ("/token/create", Operation::Grant),
    ("/role_mapping/put", Operation::Grant),
    ("/role/put", Operation::Grant),
    ("/user/put", Operation::Grant),
    ("/get", Operation::Show),
    ("/query", Operation::Show),
    ("/delete", Operation::Drop),
    ("/create", Operation::Create),
    ("/restore", Operation::Create),
    ("/execute", Operation::Call),
    ("/put", Operation::Alter),
    ("/update", Operation::Alter),
    ("/change", Operation::Alter),
];

/// Actions that are nothing but a list of others, each of which is told with its own index.
const LISTS: [&[u8]; 5] = [
    b"indices:data/write/bulk",
    b"indices:data/read/mget",
    b"indices:data/read/msearch",
    b"indices:data/read/mtv",
    b"indices:data/read/async_search/submit",
];

/// The operation of an action.
pub fn operation(action: &[u8]) -> Operation {
    // All parts begin with one of these.
    let begins = |rest: &&[u8]| rest.starts_with(b"/") || rest.starts_with(b"indices:") || rest.starts_with(b"cluster:");
    let starts: SmallVec<[&[u8]; 8]> = (0..action.len()).filter_map(|at| action.get(at..).filter(begins)).collect();
    let held = |part: &str| starts.iter().any(|rest| rest.starts_with(part.as_bytes()));
    MEANINGS.iter().find(|(part, _)| held(part)).map_or(Operation::Other, |(_, operation)| *operation)
}

/// Whether an action is an act of its own: not the work of a shard or a node for one that was counted already, and not the mere cover of
/// a list whose parts are counted.
pub fn counts(action: &[u8], has_indices: bool) -> bool {
    match action.iter().position(|byte| *byte == b'[') {
        Some(bracket) => {
            let (name, steps) = action.split_at_checked(bracket).unwrap_or((action, b""));
            // `bulk[s]` and `mget[shard]` are the parts of their lists; `bulk[s][p]` is the work for one.
            matches!(name, b"indices:data/write/bulk" | b"indices:data/read/mget")
                && steps.iter().filter(|byte| **byte == b'[').count() == 1
        }
        // The server's own doing, when a document brings a new field.
        None if action == b"indices:admin/mapping/auto_put" => false,
        None => has_indices || !LISTS.contains(&action),
    }
}

/// The indices, each once and without those that are only taken out of a pattern (`-*`); the action where there are none.
pub fn objects<'a>(indices: &[&'a BStr], action: Option<&'a BStr>, arena: &'a Bump) -> &'a [&'a BStr] {
    /// Names taken of one request.
    const MOST: usize = 256;
    let mut names: bumpalo::collections::Vec<'a, &'a BStr> = bumpalo::collections::Vec::new_in(arena);
    for index in indices {
        if !index.starts_with(b"-") && !index.is_empty() && names.len() < MOST && !names.contains(index) {
            names.push(index);
        }
    }
    if names.is_empty() {
        names.extend(action);
    }
    names.into_bump_slice()
}

/// What was counted a moment ago, so that no request counts twice for the same indices: writing one document is told as that, as a
/// bulk of one, and again for each shard.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recent {
    /// Hashes of request, operation and objects, and of requests alone.
    seen: VecDeque<u64>,
}

impl Recent {
    /// Hashes remembered.
    const MOST: usize = 512;

    /// Whether this is the first action of a request on these objects; it is remembered.
    pub fn first(&mut self, request: &[u8], operation: Operation, objects: &[&BStr]) -> bool {
        let objects = objects.iter().fold(0u64, |sum, name| sum.wrapping_add(lane(&[name])));
        let key = lane(&[request, operation.name().as_bytes(), &objects.to_le_bytes()]);
        let first = !self.seen.contains(&key);
        if first {
            for hash in [key, lane(&[request])] {
                if self.seen.len() >= Self::MOST {
                    self.seen.pop_front();
                }
                self.seen.push_back(hash);
            }
        }
        first
    }

    /// Whether any action of this request was counted.
    pub fn knows(&self, request: &[u8]) -> bool {
        self.seen.contains(&lane(&[request]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_actions_mean() {
        for (action, want) in [
            ("indices:data/read/search", Operation::Select),
            ("indices:data/write/bulk[s]", Operation::Insert),
            ("indices:data/write/update/byquery", Operation::Update),
            ("indices:admin/delete", Operation::Drop),
            ("cluster:admin/xpack/security/api_key/create", Operation::Grant),
            ("cluster:admin/xpack/security/user/has_privileges", Operation::Show),
            ("cluster:admin/settings/update", Operation::Alter),
            ("internal:x", Operation::Other),
        ] {
            assert_eq!(operation(action.as_bytes()), want, "{action}");
        }
    }

    #[test]
    fn the_same_objects_count_once_for_a_request() {
        let (mut recent, a, b) = (Recent::default(), BStr::new("a"), BStr::new("b"));
        assert!(!recent.knows(b"r"));
        assert!(recent.first(b"r", Operation::Insert, &[a, b]));
        assert!(recent.knows(b"r") && !recent.first(b"r", Operation::Insert, &[b, a]));
        assert!(recent.first(b"r", Operation::Insert, &[a]) && recent.first(b"s", Operation::Insert, &[a]));
        for number in 0..600 {
            recent.first(format!("{number}").as_bytes(), Operation::Insert, &[]);
        }
        assert!(recent.first(b"r", Operation::Insert, &[a, b]), "long ago");
    }

    #[test]
    fn a_request_counts_once() {
        for (action, indices, want) in [
            ("indices:data/read/search", true, true),
            ("indices:data/read/search[phase/query]", true, false),
            ("indices:data/write/bulk", false, false),
            ("indices:data/write/bulk[s]", true, true),
            ("indices:data/write/bulk[s][r]", true, false),
            ("indices:data/read/mget[shard]", true, true),
            ("indices:data/read/scroll", false, true),
            ("cluster:monitor/nodes/info[n]", false, false),
            ("indices:admin/mapping/auto_put", true, false),
        ] {
            assert_eq!(counts(action.as_bytes(), indices), want, "{action}");
        }
    }
}
