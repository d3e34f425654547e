//! Records that name their fields `NAME`, `TIMESTAMP`, `COMMAND_CLASS`, `SQLTEXT`: MySQL Enterprise's and Percona's XML, and Percona's JSON
//! and CSV, which have the same names in small letters.

use super::entry::{Class, Entry};
use crate::event::Operation;

/// The fields of one record; empty is absent.
#[derive(Debug, Default)]
pub struct Named<'a> {
    pub name: &'a [u8],
    pub timestamp: &'a [u8],
    entry: Entry<'a>,
    /// Number of fields seen.
    fields: usize,
    /// `NAME` came first and `RECORD_ID` is there: Percona's audit_log_filter, which calls two records of a statement `Query`.
    name_first: bool,
    record_id: bool,
}

impl<'a> Named<'a> {
    /// Takes one field, by its name in letters of either size. Names that are not known are passed over.
    pub fn set(&mut self, name: &[u8], value: &'a [u8]) {
        let mut buffer = [0u8; 24];
        let Some(lower) = buffer.get_mut(..name.len()) else { return };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let entry = &mut self.entry;
        match &*lower {
            b"name" => {
                self.name = value;
                self.name_first = self.fields == 0;
            }
            b"timestamp" => self.timestamp = value,
            b"record_id" => self.record_id = true,
            b"connection_id" => entry.connection = value,
            b"status" => entry.status = value,
            b"user" => entry.user = value,
            b"priv_user" => entry.account = Some(value),
            b"host" => entry.host = value,
            b"ip" => entry.ip = value,
            b"db" => (entry.database, entry.table.0) = (value, value),
            b"table" => entry.table.1 = value,
            b"command_class" => entry.sql_command = value,
            b"sqltext" => entry.statement = value,
            _ => {}
        }
        self.fields += 1;
    }

    /// A connection attribute, as the client sent it.
    pub fn attribute(&mut self, name: &[u8], value: &'a [u8]) {
        if name == b"program_name" || name == b"_client_name" && self.entry.client.is_empty() {
            self.entry.client = value;
        }
    }

    /// The record's meaning.
    pub fn entry(mut self) -> Entry<'a> {
        let filter = self.name_first && self.record_id;
        let entry = &mut self.entry;
        let general = entry.sql_command.eq_ignore_ascii_case(b"general");
        entry.class = match NAMES.iter().find(|(name, _)| self.name.eq_ignore_ascii_case(name)) {
            Some((_, class)) => *class,
            // By its place in the server: `Log` and `Status` of the general class name the user; only some versions give the text.
            None if general && self.name.eq_ignore_ascii_case(b"status") && !entry.statement.is_empty() => Class::Status,
            None if general && (self.name.eq_ignore_ascii_case(b"status") || self.name.eq_ignore_ascii_case(b"log")) => Class::Log,
            None if general || entry.sql_command.eq_ignore_ascii_case(b"stored program") => Class::Other,
            None if filter => Class::Either,
            None => Class::Status,
        };
        match entry.class {
            Class::Either => entry.command = self.name,
            Class::Status if !general => entry.command = self.name,
            // The database is that of the table.
            Class::Table(_) => entry.database = b"",
            _ => {}
        }
        self.entry
    }
}

/// Records that are told by their names. Any other name is a command of the protocol that has ended: `Query`, `Execute`, `Ping`.
const NAMES: [(&[u8], Class); 31] = [
    (b"Connect", Class::Connect),
    (b"Change user", Class::ChangeUser),
    (b"Quit", Class::Disconnect),
    (b"Disconnect", Class::Disconnect),
    (b"TableRead", Class::Table(Operation::Select)),
    (b"TableInsert", Class::Table(Operation::Insert)),
    (b"TableUpdate", Class::Table(Operation::Update)),
    (b"TableDelete", Class::Table(Operation::Delete)),
    (b"Query Status End", Class::QueryEnd),
    (b"Query Start", Class::Other),
    (b"Query Nested Start", Class::Other),
    (b"Query Nested Status End", Class::Other),
    (b"Command Start", Class::Other),
    (b"Command End", Class::Other),
    (b"Preparse", Class::Other),
    (b"Postparse", Class::Other),
    (b"Pre Authenticate", Class::Other),
    (b"Variable Get", Class::Other),
    (b"Variable Set", Class::Other),
    (b"Auth Flush", Class::Other),
    (b"Auth Authid Create", Class::Other),
    (b"Auth Credential Change", Class::Other),
    (b"Auth Authid Rename", Class::Other),
    (b"Auth Authid Drop", Class::Other),
    (b"Internal", Class::Other),
    (b"User", Class::Other),
    (b"Message", Class::Other),
    (b"Audit", Class::Other),
    (b"NoAudit", Class::Other),
    (b"Server Startup", Class::Other),
    (b"Server Shutdown", Class::Other),
];
