//! Tables that a server says a statement opened, until the record of the statement itself comes.

use crate::framing::seek::Seek;
use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use serde::{Deserialize, Serialize};

/// Tables remembered for one statement.
const TABLES: usize = 32;
/// Bytes of one name that are remembered; servers allow 64 characters each for the database and the table.
const NAME: usize = 1_024;

/// Tables of one statement.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Tables {
    /// Which statement: its number, or a hash of its text.
    pub statement: u64,
    read: Vec<Vec<u8>>,
    written: Vec<Vec<u8>>,
    /// There were more than [`TABLES`], or records that are neither: the statement itself tells more.
    partial: bool,
}

impl Tables {
    /// No table yet of this statement.
    pub fn new(statement: u64) -> Self {
        Tables { statement, ..Tables::default() }
    }

    /// A table was opened. `written`: for reading or for writing; `None` where it was neither.
    pub fn add(&mut self, name: &[u8], written: Option<bool>) {
        let list = match written {
            Some(false) => &mut self.read,
            Some(true) => &mut self.written,
            None => {
                self.partial = true;
                return;
            }
        };
        if list.iter().any(|known| known == name) {
            return;
        }
        if list.len() >= TABLES || name.len() > NAME {
            self.partial = true;
        } else {
            list.push(name.to_vec());
        }
    }

    /// Whether this table was opened that way before.
    pub fn has(&self, name: &[u8], written: bool) -> bool {
        (if written { &self.written } else { &self.read }).iter().any(|known| known == name)
    }

    /// The tables that the statement's own operation acted on, where that is one operation for all of them; otherwise none, and
    /// the statement's text tells which table was read and which was written.
    pub fn of<'a>(&self, statement: &[u8], arena: &'a Bump) -> &'a [&'a BStr] {
        let list = match verb(statement).to_ascii_lowercase().as_slice() {
            _ if self.partial => return &[],
            b"select" | b"with" | b"table" if self.written.is_empty() => &self.read,
            b"insert" | b"replace" | b"update" | b"delete" | b"load" | b"truncate" if self.read.is_empty() => &self.written,
            _ => return &[],
        };
        // The optimizer's statistics and the grant tables are opened on the server's own account.
        let named = statement.to_ascii_lowercase().holds("mysql");
        let mut objects = bumpalo::collections::Vec::new_in(arena);
        objects.extend(
            list.iter().filter(|name| named || !name.starts_with(b"mysql.")).map(|name| BStr::new(arena.alloc_slice_copy(name) as &[u8])),
        );
        objects.into_bump_slice()
    }
}

/// The first word of a statement.
pub fn verb(statement: &[u8]) -> &[u8] {
    let mut rest = statement;
    loop {
        rest = rest.trim_start_with(|c| c.is_ascii_whitespace() || c == '(');
        match rest.strip_prefix(b"/*").and_then(|comment| Some(comment.part("*/")?.1)) {
            Some(after) => rest = after,
            None => break,
        }
    }
    let end = rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// `database.table`, the form in which statements name tables.
pub fn qualified<'a>(database: &[u8], table: &'a [u8], arena: &'a Bump) -> &'a BStr {
    if database.is_empty() {
        return BStr::new(table);
    }
    let mut name = bumpalo::collections::Vec::with_capacity_in(database.len() + 1 + table.len(), arena);
    name.extend_from_slice(database);
    name.push(b'.');
    name.extend_from_slice(table);
    BStr::new(name.into_bump_slice())
}
