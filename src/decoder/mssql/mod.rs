//! SQL Server: its audit ([`audit`]) and its error log ([`errorlog`]).

use bstr::{BStr, ByteSlice};

use crate::event::Address;

pub mod audit;
pub mod errorlog;

/// A client as SQL Server writes it: an address (IPv6 perhaps with its interface), `<local machine>`, `local machine`.
fn client(text: &[u8]) -> Option<Address<'_>> {
    match text.trim() {
        b"local machine" | b"<local machine>" => Some(Address::Local),
        b"<named pipe>" | b"named pipe" | b"Unknown" | b"<unknown>" => None,
        text => Address::parse(text.split(|b| *b == b'%').next().unwrap_or_default()),
    }
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}
