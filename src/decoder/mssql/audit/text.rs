//! The text of event 33205: `key:value` lines in a fixed order, nothing escaped.
//!
//! The statement may hold any number of lines that look like fields, and so may the names of objects. Everything that says who acted comes
//! before them: numbers are searched in front of the first name, and the names in their order. The keys behind the statement are searched
//! from the end; what stands there (program, host) is the client's own word in any case.

use bstr::ByteSlice;

use super::{COLUMNS, Values};
use crate::framing::lines::void;
use crate::framing::stamped::{Stamped, Width, like};
use crate::framing::table::Table;
use crate::framing::xml::Records;
use crate::framing::{Framed, Framer, More};

/// Why events of a plain text file name no token.
const UNBOUNDED: &str = "a plain file of event texts: a statement could have written this event";

/// What the text begins with, and what the message of the Windows event has in front of it.
const FIRST: &[u8] = b"audit_schema_version:";
const MESSAGE: &[u8] = b"Audit event: ";

/// Keys that the server fills with its own numbers; all of them come before the first name.
const NUMBERS: [(&str, usize); 10] = [
    ("event_time", 0),
    ("sequence_number", 5),
    ("action_id", 1),
    ("succeeded", 2),
    ("session_id", 3),
    ("duration_milliseconds", 17),
    ("response_rows", 16),
    ("affected_rows", 15),
    ("client_ip", 4),
    ("sequence_group_id", 6),
];
/// Names, in their order, up to the statement.
const NAMES: [(&str, usize); 6] = [
    ("session_server_principal_name", 7),
    ("server_principal_name", 8),
    ("database_principal_name", 18),
    ("database_name", 9),
    ("schema_name", 10),
    ("object_name", 11),
];
/// Keys behind the statement, from the end.
const BEHIND: [(&str, usize); 6] = [
    ("host_name", UNUSED),
    ("data_sensitivity_information", UNUSED),
    ("connection_id", UNUSED),
    ("application_name", 14),
    ("user_defined_information", UNUSED),
    ("additional_information", 13),
];
const UNUSED: usize = COLUMNS.len();

/// The text behind what may stand in front of it; `None` if it is no such text.
pub(super) fn begin(text: &[u8]) -> Option<&[u8]> {
    let rest = text.trim_start();
    let rest = rest.strip_prefix(MESSAGE).unwrap_or(rest).trim_start();
    rest.starts_with(FIRST).then_some(rest)
}

/// Offset of `key:` at the start of a line at or behind `from`, and of its value.
fn key(text: &[u8], key: &str, from: usize, separator: u8) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    memchr::memmem::find_iter(rest, key.as_bytes()).find_map(|at| bounded(text, from + at, key, separator))
}

fn last(text: &[u8], key: &str, to: usize, separator: u8) -> Option<(usize, usize)> {
    let mut end = to;
    loop {
        let at = text.get(..end)?.rfind(key)?;
        if let Some(found) = bounded(text, at, key, separator) {
            return Some(found);
        }
        end = at;
    }
}

fn bounded(text: &[u8], at: usize, key: &str, separator: u8) -> Option<(usize, usize)> {
    let starts = at > 0 && text.get(at - 1) == Some(&separator);
    let value = at + key.len() + 1;
    (starts && text.get(value - 1) == Some(&b':')).then_some((at, value))
}

/// The line without the end that a relay or the server left on it.
fn trimmed(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

pub(super) fn read(text: &[u8]) -> Values<'_> {
    let mut values = Values([b""; COLUMNS.len()]);
    // Some relays write the lines one behind the other.
    let separator = if memchr::memchr(b'\n', text).is_some() { b'\n' } else { b' ' };
    let line = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        let end = match separator {
            b'\n' => memchr::memchr(b'\n', rest),
            // Up to the next key.
            _ => memchr::memchr_iter(b' ', rest).find(|at| is_key(rest.get(at + 1..).unwrap_or_default())),
        };
        trimmed(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default())
    };
    let mut put = |slot: usize, value| {
        if let Some(place) = values.0.get_mut(slot) {
            *place = value;
        }
    };
    let statement = key(text, "statement", 0, separator);
    let head = text.get(..statement.map_or(text.len(), |(start, _)| start)).unwrap_or_default();
    let first_name = NAMES.iter().find_map(|(name, _)| key(head, name, 0, separator)).map_or(head.len(), |(start, _)| start);
    let numbers = head.get(..first_name).unwrap_or_default();
    for (name, slot) in NUMBERS {
        if let Some((_, value)) = key(numbers, name, 0, separator) {
            put(slot, line(value));
        }
    }
    let mut at = first_name.saturating_sub(1);
    for (name, slot) in NAMES {
        if let Some((_, value)) = key(head, name, at, separator) {
            put(slot, line(value));
            at = value;
        }
    }
    let Some((_, begin)) = statement else { return values };
    let mut end = text.len();
    for (name, slot) in BEHIND {
        if let Some((start, value)) = last(text, name, end, separator).filter(|(start, _)| *start > begin) {
            put(slot, trimmed(text.get(value..end).unwrap_or_default()).trim());
            end = start;
        }
    }
    put(12, trimmed(text.get(begin..end).unwrap_or_default()));
    values
}

/// `word:` at the start.
fn is_key(text: &[u8]) -> bool {
    let word = text.iter().take_while(|b| b.is_ascii_lowercase() || **b == b'_').count();
    word > 2 && text.get(word) == Some(&b':')
}

/// Frames what an audit may come as: JSON or CSV, a plain file of texts, or event XML.
pub(super) struct Shapes {
    table: Table,
    plain: Stamped,
    xml: Records,
    shape: Option<Shape>,
}

/// As it is saved.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Table = 0,
    Plain = 1,
    Xml = 2,
}

impl Shapes {
    pub(super) fn new(wrappers: &'static [&'static str]) -> Self {
        Shapes {
            table: Table::new(wrappers),
            plain: Stamped::doubted(begins, UNBOUNDED),
            xml: Records::new("Event", "Events"),
            shape: None,
        }
    }
}

fn begins(buf: &[u8], width: Width) -> Option<bool> {
    match like(MESSAGE, buf, width) {
        Some(false) => like(FIRST, buf, width),
        // What stands behind it decides nothing: no other message begins so.
        begun => begun,
    }
}

impl Shapes {
    fn framer(&mut self, shape: Shape) -> &mut dyn Framer {
        match shape {
            Shape::Table => &mut self.table,
            Shape::Plain => &mut self.plain,
            Shape::Xml => &mut self.xml,
        }
    }
}

impl Framer for Shapes {
    fn next(&mut self, buf: &[u8], more: More) -> Framed {
        let shape = match self.shape {
            Some(shape) => shape,
            None => {
                if let Some(skip) = void(buf) {
                    return skip;
                }
                *self.shape.insert(match begins(buf, Width::One) {
                    None if more != More::Closed => return Framed::Incomplete,
                    Some(true) => Shape::Plain,
                    _ if buf.starts_with(b"<") => Shape::Xml,
                    _ => Shape::Table,
                })
            }
        };
        self.framer(shape).next(buf, more)
    }

    fn save(&self) -> Vec<u8> {
        let Some(shape) = self.shape else { return Vec::new() };
        let mut state = vec![shape as u8];
        state.extend(match shape {
            Shape::Table => self.table.save(),
            Shape::Plain => self.plain.save(),
            Shape::Xml => self.xml.save(),
        });
        state
    }

    fn restore(&mut self, state: &[u8]) {
        let Some((shape, inner)) = state.split_first() else { return };
        let shape = [Shape::Table, Shape::Plain, Shape::Xml].into_iter().find(|known| *known as u8 == *shape);
        self.shape = shape;
        if let Some(shape) = shape {
            self.framer(shape).restore(inner);
        }
    }
}
