//! SQL Server: its audit ([`audit`]) and its error log ([`errorlog`]).

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use crate::event::Address;
use crate::framing::seek::Seek;

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

/// The statement with names in double quotes where they stand in brackets (`[dbo].[Order Details]`), which only this dialect has; text in
/// quotes and comments stays as it is.
pub(super) fn brackets<'a>(statement: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if memchr::memchr(b'[', statement).is_none() {
        return statement;
    }
    let mut out = bumpalo::collections::Vec::with_capacity_in(statement.len(), arena);
    let mut rest = statement;
    while let Some(first) = rest.first() {
        // What begins here, up to its end; a doubled quote just begins anew.
        let end = match rest {
            [b'\'' | b'"', inside @ ..] => memchr::memchr(*first, inside).map(|at| at + 2),
            [b'-', b'-', ..] => memchr::memchr(b'\n', rest).map(|at| at + 1),
            [b'/', b'*', inside @ ..] => inside.seek(b"*/").map(|at| at + 4),
            [b'[', inside @ ..] => match memchr::memchr2(b']', b'"', inside) {
                Some(at) if inside.get(at) == Some(&b']') && inside.get(at + 1) != Some(&b']') => {
                    out.push(b'"');
                    out.extend_from_slice(inside.get(..at).unwrap_or_default());
                    out.push(b'"');
                    rest = inside.get(at + 1..).unwrap_or_default();
                    continue;
                }
                // A name with quotes or brackets in it.
                _ => Some(1),
            },
            _ => Some(rest.iter().skip(1).position(|b| b"'\"-/[".contains(b)).map_or(rest.len(), |at| at + 1)),
        };
        let (done, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, b""));
        out.extend_from_slice(done);
        rest = after;
    }
    out.into_bump_slice()
}
