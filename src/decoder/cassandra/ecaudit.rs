//! Ericsson's ecAudit: `2026-11-27 10:01:55.330 - client:'10.0.0.7'|user:'web'|status:'ATTEMPT'|operation:'SELECT ...'`.
//!
//! Quotes inside values are not escaped; the operation is the last field and ends with the record.

use bstr::BStr;

use crate::decoder::peer::peer;
use crate::event::{Dialect, Event, Kind, Operation, Outcome, Principal, Provenance};
use crate::framing::seek::Seek;

/// A record, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Date and time, or (in ecAudit's own pattern) the time alone.
    pub stamp: &'a [u8],
    client: &'a [u8],
    user: &'a [u8],
    status: &'a [u8],
    batch: bool,
    /// Without its first quote.
    pub operation: &'a [u8],
}

impl<'a> Row<'a> {
    pub fn read(record: &'a [u8]) -> Option<Self> {
        let head = record.get(..record.len().min(128))?;
        let start = head.seek("client:'")?;
        let before = record.get(..start)?;
        // The node itself, where the pattern says so.
        let before = before.part("coordinator:'").filter(|(_, node)| node.ends_with(b"'|")).map_or(before, |(before, _)| before);
        let stamp = before.trimmed_end().strip_suffix(b"-")?.trimmed_end();
        let clock = stamp.rsplit(|b| matches!(b, b' ' | b'T')).next()?;
        (clock.len() >= 8 && clock.first()?.is_ascii_digit() && clock.contains(&b':')).then_some(())?;
        let (client, rest) = record.get(start + "client:'".len()..)?.part("'|user:'")?;
        // A name may hold what looks like the next field; none of an address can.
        let (fields, operation) = rest.part("'|operation:'")?;
        let (fields, status) = fields.part_last("'|status:'")?;
        let (user, batch) = match fields.part_last("'|batchId:'") {
            Some((user, _)) => (user, true),
            None => (fields, false),
        };
        (client.len() < 64 && !client.contains(&b'\'')).then_some(Row { stamp, client, user, status, batch, operation })
    }

    pub fn understand(&self, event: &mut Event<'a>) {
        (event.address, event.port) = peer(self.client);
        event.principal =
            (!super::nobody(self.user)).then(|| Principal { name: BStr::new(self.user), provenance: Provenance::Authenticated });
        let operation = self.operation.strip_suffix(b"'").unwrap_or(self.operation);
        event.outcome = match self.status {
            b"FAILED" => Outcome::Error,
            b"SUCCEEDED" => Outcome::Success,
            _ => Outcome::Unknown,
        };
        if operation.starts_with(b"Authentication ") {
            // An attempt, and perhaps a failure behind it: who it is, nobody has verified yet.
            event.kind = if self.status == b"FAILED" { Kind::LoginFailed } else { Kind::Other };
            event.operation = Some(Operation::Connect);
            if self.status == b"FAILED" {
                event.outcome = Outcome::Denied;
            }
            if let Some(principal) = &mut event.principal {
                principal.provenance = Provenance::Claimed;
            }
            return;
        }
        event.statement = Some(BStr::new(operation));
        event.dialect = Dialect::Generic;
        event.kind = match self.status {
            // It follows an attempt that was counted.
            b"FAILED" => Kind::Error,
            b"SUCCEEDED" => Kind::Other,
            _ if self.batch && operation.starts_with(b"Batch") => Kind::Other,
            _ => Kind::Query,
        };
    }
}
