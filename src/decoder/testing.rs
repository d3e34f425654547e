//! One line of text for each record that a format decodes, for tests.

use super::stream::{Item, Stream};
use super::{Decoded, Format, Options};
use crate::event::{Event, Provenance};

/// What `log` decodes to: a line for each record, skips left out.
pub fn shown(format: &'static Format, log: &[u8]) -> Vec<String> {
    shown_by(log.len().max(1), Stream::new(Some(format), Options::default(), 0), log)
}

/// As [`shown`], in pieces, by a stream that may have decoded something already.
pub fn shown_by(piece: usize, mut stream: Stream, log: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let mut sink = |item: Item<'_>| match &item.decoded {
        Decoded::Event(event) => out.push(line(event)),
        Decoded::Reject(reason) => out.push(format!("rejected: {reason}")),
        Decoded::Skip(_) => {}
    };
    for bytes in log.chunks(piece) {
        stream.feed(bytes, &mut sink);
    }
    // A last line without its end counts as cut.
    if !log.ends_with(b"\n") {
        stream.feed(b"\n", &mut sink);
    }
    stream.close(&mut sink);
    out
}

/// `KIND who@address:port/database "client" | operation objects | statement | outcome code session=s`; `?` marks a claimed name, `-` what is absent.
fn line(event: &Event<'_>) -> String {
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let who = event.principal.map(|p| format!("{}{}", p.name, if p.provenance == Provenance::Claimed { "?" } else { "" }));
    let port = event.port.map(|port| format!(":{port}")).unwrap_or_default();
    let database = event.database.map(|d| format!("/{d}")).unwrap_or_default();
    let client = event.client.map(|c| format!(" \"{c}\"")).unwrap_or_default();
    let mut what = vec![or(event.operation.map(|op| op.to_string()))];
    what.extend(event.objects.iter().map(ToString::to_string));
    let mut end = vec![format!("{:?}", event.outcome)];
    end.extend(event.code.map(|c| c.to_string()));
    end.extend(event.session.map(|s| format!("session={s}")));
    end.extend(event.rows.map(|r| format!("rows={r}")));
    end.extend(event.lease.map(|l| format!("lease={} {}/{}", l.account, l.display, l.role)));
    end.extend(event.truncated.then(|| "CUT".to_owned()));
    end.extend(event.suspect.map(|_| "SUSPECT".to_owned()));
    format!(
        "{:?} {}@{}{port}{database}{client} | {} | {} | {}",
        event.kind,
        or(who),
        or(event.address.map(|a| a.to_string())),
        what.join(" "),
        or(event.statement.map(|s| s.to_string())),
        end.join(" ")
    )
}
