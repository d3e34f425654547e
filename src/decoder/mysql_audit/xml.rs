//! XML audit logs: MySQL Enterprise Audit (`NEW`, its default, and `OLD`), Percona's audit_log plugin (`OLD`, its default, and `NEW`) and
//! Percona's audit_log_filter.
//!
//! ```text
//! <AUDIT_RECORD>
//!  <TIMESTAMP>2026-11-22T14:09:38 UTC</TIMESTAMP> <RECORD_ID>6_2026-11-22T14:06:33</RECORD_ID> <NAME>Query</NAME>
//!  <CONNECTION_ID>5</CONNECTION_ID> <STATUS>0</STATUS> <USER>app[app] @ localhost [127.0.0.1]</USER> <SQLTEXT>DROP TABLE t</SQLTEXT> ...
//! </AUDIT_RECORD>
//! <AUDIT_RECORD NAME="Query" RECORD="3_2026-11-22T11:56:53" TIMESTAMP="2026-11-22T11:57:14 UTC" CONNECTION_ID="3" SQLTEXT="..." ... />
//! ```
//!
//! `NEW` has elements, `OLD` attributes; the names are the same, and so is the meaning. Text is escaped, control characters as
//! references (`&#10;`, and `&#1;`, which XML 1.0 forbids): no client can end a record.
//! <https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html>
//! <https://docs.percona.com/percona-server/8.0/audit-log-plugin.html>

use bumpalo::Bump;

use super::entry::Log;
use super::named::Named;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::xml_text::unescape;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::framing::seek::Seek;
use crate::framing::xml::Records;

pub const FORMAT: Format = Format {
    name: "mysql-audit-xml",
    about: "MySQL Enterprise Audit and Percona audit logs in XML (NEW and OLD)",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Records::new("AUDIT_RECORD", "AUDIT")), Box::new(Xml::new(options))),
    guide: Guide {
        system: "MySQL Enterprise 5.5 to 9, Percona Server 5.5 to 8.4 (audit_log plugin, audit_log_filter)",
        switch_on: "Percona: `INSTALL PLUGIN audit_log SONAME 'audit_log.so'`. Enterprise and audit_log_filter: run the installation script, then `SELECT audit_log_filter_set_filter('log_all', '{\"filter\": {\"log\": true}}')` and `SELECT audit_log_filter_set_user('%', 'log_all')`",
        fields: &[
            ("time", "`TIMESTAMP`; UTC, but the server's local time in audit_log_filter from 8.4.8"),
            ("principal", "`USER`, the name in brackets; verified unless `STATUS` of a login is not 0 or the account is anonymous"),
            ("address", "`IP`, else `HOST`; seen by the server"),
            ("database", "`DB`, else as followed through the connection"),
            ("client", "`CONNECTION_ATTRIBUTES` of a login; the client's own word"),
            ("session", "`CONNECTION_ID`"),
            ("statement", "`SQLTEXT`"),
            ("operation", "the statement, else `COMMAND_CLASS`"),
            ("objects", "records of tables, else the statement"),
            ("outcome", "`STATUS`"),
            ("code", "`STATUS`, the server's error number"),
            ("kind", "`NAME`"),
        ],
        forgery: "Nothing: all text of clients is escaped",
        ignored: "Server start and stop, and the further records of a statement that was counted already: kept as `other`",
        source: "<https://dev.mysql.com/doc/refman/8.4/en/audit-log-file-formats.html>, <https://docs.percona.com/percona-server/8.0/audit-log-plugin.html>",
    },
};

fn sniff(sample: &[u8], _: &Options) -> Guess {
    /// Bytes looked at.
    const HEAD: usize = 8 << 10;
    let head = sample.get(..HEAD).unwrap_or(sample);
    match head.seek(b"<AUDIT_RECORD") {
        None => Guess::NO,
        // Inside a JSON text, say.
        Some(at) if head.get(..at).is_some_and(|before| !before.iter().all(|b| b.is_ascii_whitespace()) && !before.contains(&b'>')) => {
            Guess::NO
        }
        Some(_) => Guess::new(96, "records in <AUDIT_RECORD>"),
    }
}

struct Xml {
    times: Timestamps,
    log: Log,
}

impl Xml {
    fn new(options: &Options) -> Self {
        Xml { times: Timestamps::new(options.zone.clone()), log: Log::default() }
    }
}

impl Decoder for Xml {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let text = record.bytes.trim_ascii();
        let Some(body) = text.strip_prefix(b"<AUDIT_RECORD") else { return Decoded::Reject("not an audit record in xml") };
        let mut named = Named::default();
        let tag = memchr::memchr2(b'<', b'>', body);
        match tag {
            Some(tag) if body.get(tag) == Some(&b'>') && tag > 0 && body.get(tag - 1) == Some(&b'/') => {
                attributes(body.get(..tag - 1).unwrap_or_default(), &mut named, arena);
            }
            Some(tag) if body.get(tag) == Some(&b'>') => elements(body.get(tag + 1..).unwrap_or_default(), &mut named, arena),
            _ => attributes(body, &mut named, arena),
        }
        if named.name.is_empty() {
            return Decoded::Reject("an audit record without a name");
        }
        let Ok(time) = self.times.parse(named.timestamp) else { return Decoded::Reject("unreadable time stamp") };
        Decoded::Event(self.log.event(&named.entry(), time, record, arena))
    }

    fn save(&self) -> Vec<u8> {
        self.log.save()
    }

    fn restore(&mut self, state: &[u8]) {
        self.log.restore(state);
    }
}

/// `NAME="value"` one after the other; anything else between them is passed over.
fn attributes<'a>(mut text: &'a [u8], named: &mut Named<'a>, arena: &'a Bump) {
    while let Some(equals) = text.seek(b"=\"") {
        let before = text.get(..equals).unwrap_or_default();
        let start = before.iter().rposition(|b| !b.is_ascii_alphanumeric() && *b != b'_').map_or(0, |at| at + 1);
        let name = before.get(start..).unwrap_or_default();
        let value = text.get(equals + 2..).unwrap_or_default();
        let end = memchr::memchr(b'"', value);
        field(name, value.get(..end.unwrap_or(value.len())).unwrap_or_default(), end.is_some(), named, arena);
        let Some(end) = end else { return };
        text = value.get(end + 1..).unwrap_or_default();
    }
}

/// `<NAME>value</NAME>` and `<NAME/>` one after the other, and connection attributes inside their element.
fn elements<'a>(mut text: &'a [u8], named: &mut Named<'a>, arena: &'a Bump) {
    /// What holds the attributes that the client sent; their own elements are called `NAME` and `VALUE`.
    const ATTRIBUTES: &[u8] = b"CONNECTION_ATTRIBUTES";
    let mut client = false;
    let mut attribute: &[u8] = b"";
    while let Some(open) = memchr::memchr(b'<', text) {
        let tag = text.get(open + 1..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'>', tag) else { return };
        let (tag, rest) = (tag.get(..end).unwrap_or_default(), tag.get(end + 1..).unwrap_or_default());
        text = rest;
        if let Some(closed) = tag.strip_prefix(b"/") {
            client &= closed != ATTRIBUTES;
            continue;
        }
        if tag.ends_with(b"/") {
            continue;
        }
        client |= tag == ATTRIBUTES;
        let stop = memchr::memchr(b'<', rest);
        let value = rest.get(..stop.unwrap_or(rest.len())).unwrap_or_default();
        let closed = stop.and_then(|stop| rest.get(stop..)?.strip_prefix(b"</")).is_some_and(|after| after.starts_with(tag));
        match tag {
            _ if stop.is_some() && !closed => {} // it holds elements
            b"NAME" if client => attribute = unescape(value, arena),
            b"VALUE" if client => named.attribute(attribute, unescape(value, arena)),
            _ if client => {}
            _ => field(tag, value, closed, named, arena),
        }
    }
}

/// Of a value that is cut off, only a statement's head is worth anything.
fn field<'a>(name: &[u8], value: &'a [u8], whole: bool, named: &mut Named<'a>, arena: &'a Bump) {
    if whole || name == b"SQLTEXT" {
        named.set(name, unescape(value, arena));
    }
}
