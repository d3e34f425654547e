//! Event 33205 as Windows renders it in XML: what `wevtutil`, event subscriptions and agents that keep the XML write.
//!
//! ```text
//! <Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='MSSQLSERVER'/><EventID Qualifiers='16384'>33205</EventID>...</System><EventData><Data>audit_schema_version:1
//! event_time:2026-11-22 02:05:17.6412345
//! ...</Data></EventData></Event>
//! ```
//!
//! <https://learn.microsoft.com/windows/win32/wes/eventschema-schema>. All text is escaped, so a `<` is the renderer's own.

use bumpalo::Bump;

use crate::decoder::xml_text::unescape;
use crate::framing::seek::Seek;

/// An event of Windows.
pub(super) enum Windows<'a> {
    /// One of SQL Server's audit, with its text.
    Audit(&'a [u8]),
    Other,
}

/// Reads an event; `None`: it is none.
pub(super) fn read<'a>(record: &'a [u8], arena: &'a Bump) -> Option<Windows<'a>> {
    let rest = record.strip_prefix(b"<Event")?;
    let id = element(rest, b"<EventID").unwrap_or_default();
    if id != b"33205" {
        return Some(Windows::Other);
    }
    let data = rest.get(rest.seek(b"<EventData")?..)?;
    Some(Windows::Audit(unescape(element(data, b"<Data")?, arena)))
}

/// What stands in the first element of this name, or of it where it is cut.
fn element<'a>(text: &'a [u8], open: &[u8]) -> Option<&'a [u8]> {
    // The name of another element may begin alike.
    let starts = memchr::memmem::find_iter(text, open).map(|at| at + open.len());
    let tag = starts.filter_map(|at| text.get(at..)).find(|rest| matches!(rest.first(), Some(b'>' | b' ')))?;
    let value = tag.get(memchr::memchr(b'>', tag)? + 1..)?;
    value.get(..memchr::memchr(b'<', value).unwrap_or(value.len()))
}
