//! auto_explain: `duration: N ms  plan:` and the plan, as text, JSON, XML or YAML, each with the text of the statement.
//!
//! Only the statement is read. A statement can hold what looks like a plan, and then ends early: it stays the statement of its own
//! session.

use std::borrow::Cow;
use std::hash::BuildHasher;

use bstr::ByteSlice;
use bumpalo::Bump;
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Kind, Outcome};
use crate::framing::seek::Seek;

const PLAN: &[u8] = b"plan:";

/// What follows `duration: N ms` where auto_explain wrote the message; the plan behind it. Windows ends its lines with CR and LF.
pub fn plan(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b" ")?;
    let rest = text.strip_prefix(b" ").unwrap_or(text).strip_prefix(PLAN)?;
    rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")
}

/// The text of the statement in a plan.
pub fn statement<'a>(plan: &'a [u8], arena: &'a Bump) -> Option<&'a [u8]> {
    if let Some(text) = plan.strip_prefix(b"Query Text: ") {
        return Some(match text.first() {
            // YAML quotes as JSON does, and its plan begins in the next line.
            Some(b'"') if text.seek(b"\"\nPlan:").is_some() || text.seek(b"\"\nQuery ").is_some() => json(text, arena)?,
            _ => before_plan(text),
        });
    }
    let inner = plan.trim_ascii_start();
    if inner.starts_with(b"{") {
        return json(inner.get(inner.seek(b"\"Query Text\":")? + 13..)?.trim_ascii_start(), arena);
    }
    if inner.starts_with(b"<explain") {
        let text = inner.get(inner.seek(b"<Query-Text>")? + 12..)?;
        return Some(unescaped(text.get(..text.seek(b"</Query-Text>")?)?, arena));
    }
    None
}

/// The lines before the first that has costs, or parameters.
fn before_plan(text: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        if end > 0
            && (line.seek(b"  (cost=").is_some() || line.starts_with(b"Query Parameters: ") || line.starts_with(b"Query Identifier: "))
        {
            break;
        }
        end += line.len();
    }
    text.get(..end).unwrap_or(text).trim_ascii_end()
}

/// The JSON text that `json` begins with.
fn json<'a>(json: &'a [u8], arena: &'a Bump) -> Option<&'a [u8]> {
    let text = std::str::from_utf8(json).map_or_else(|_| Cow::Owned(String::from_utf8_lossy(json).into_owned()), Cow::Borrowed);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<String>();
    Some(arena.alloc_str(&values.next()?.ok()?).as_bytes())
}

fn unescaped<'a>(text: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if !text.contains(&b'&') {
        return text;
    }
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x0d;", "\r"), ("&amp;", "&")];
    arena.alloc_slice_copy(&plain.iter().fold(text.to_vec(), |text, (from, to)| text.replace(from, to)))
}

/// Sessions of which the last statement is remembered; another of the same place takes it over.
const PLACES: usize = 256;

/// The last statement of each session, so that what is logged of it once more is no second act.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recent {
    /// Hashes of session and statement, and whether a plan told of it. Empty until a plan is seen.
    places: Vec<(u64, u64, bool)>,
}

impl Recent {
    pub fn save(&self) -> Vec<u8> {
        if self.places.is_empty() { Vec::new() } else { postcard::to_stdvec(self).unwrap_or_default() }
    }

    pub fn restore(&mut self, state: &[u8]) {
        *self = postcard::from_bytes(state).unwrap_or_default();
    }

    /// A plan of the statement that the session has just logged, and the duration of one whose plan was logged, are no acts of their own.
    pub fn settle(&mut self, event: &mut Event<'_>, message: &[u8]) {
        let (Kind::Query, Some(session), Some(statement)) = (event.kind, event.session, event.statement) else { return };
        let timed = message.starts_with(b"duration: ");
        let plan = timed && message.get(..64.min(message.len())).is_some_and(|head| head.find(PLAN).is_some());
        if self.places.is_empty() {
            if !plan {
                return; // auto_explain is off
            }
            self.places.resize(PLACES, (0, 0, false));
        }
        let (session, statement) = (hash(session), hash(statement.trim_ascii_end()));
        let Some(place) = self.places.get_mut(session as usize % PLACES) else { return };
        let same = place.0 == session && place.1 == statement;
        if same && ((plan && !place.2) || (timed && !plan && place.2)) {
            (event.kind, event.outcome, event.statement) = (Kind::Other, Outcome::Unknown, None);
            // Run once more, it is an act again.
            place.1 = 0;
        } else {
            *place = (session, statement, plan);
        }
    }
}

fn hash(text: &[u8]) -> u64 {
    FixedState::with_seed(0).hash_one(text)
}

#[cfg(test)]
mod tests {
    use bstr::BStr;

    use super::*;
    use crate::event::Time;

    #[test]
    fn statements_of_plans() {
        let arena = Bump::new();
        for (plan, want) in [
            ("Query Text: SELECT *\nFROM t;\nSeq Scan on t  (cost=0.00..1.01 rows=1 width=4)", Some("SELECT *\nFROM t;")),
            ("Query Text: SELECT $1\nQuery Parameters: $1 = 'secret'\nResult  (cost=0.00..0.01 rows=1 width=4)", Some("SELECT $1")),
            ("Query Text: \"SELECT \\\"a\\\"\\nFROM t\"\nPlan: \n  Node Type: \"Result\"", Some("SELECT \"a\"\nFROM t")),
            ("Query Text: \"odd\"\nResult  (cost=0.00..0.01 rows=1 width=4)", Some("\"odd\"")),
            ("{\n  \"Query Text\": \"SELECT \\\"a\\\"\",\n  \"Plan\": {}\n}", Some("SELECT \"a\"")),
            (
                "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query-Text>SELECT 1 &lt; &amp;lt;</Query-Text>",
                Some("SELECT 1 < &lt;"),
            ),
            ("something else", None),
            ("{\"Query Text\": 7}", None),
        ] {
            assert_eq!(statement(plan.as_bytes(), &arena).map(BStr::new), want.map(BStr::new), "{plan}");
        }
    }

    #[test]
    fn one_act_is_counted_once() {
        let mut recent = Recent::default();
        let mut counts = |message: &'static str, statement: &'static str| {
            let mut event = Event::new(Kind::Query, Time(0));
            (event.session, event.statement) = (Some("s".into()), Some(statement.into()));
            recent.settle(&mut event, message.as_bytes());
            event.kind == Kind::Query
        };
        const PLAN: &str = "duration: 1.000 ms  plan:\nQuery Text: a";
        for (message, statement, want) in [
            (PLAN, "a", true),
            ("duration: 1.100 ms  statement: a", "a", false),
            (PLAN, "a", true),
            ("statement: a", "a", true),
            (PLAN, "a", false),
            ("statement: a", "a", true),
            ("statement: a", "a", true),
            (PLAN, "b", true),
            ("duration: 1.100 ms  statement: a", "a", true),
        ] {
            assert_eq!(counts(message, statement), want, "{message}");
        }
    }
}
