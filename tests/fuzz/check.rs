// What must hold for any bytes: shared by the fuzz targets and the test that replays their seeds.

use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::Format;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::framing::csv::LOST_START;

/// An item as text that can be compared.
fn told(item: &Item<'_>) -> (u64, u32, String) {
    (item.offset, item.len, format!("{:?}", item.decoded))
}

/// Decodes `log` in the pieces that end at `cuts`, restarting after the item with the number `restart`.
fn feed(format: Option<&'static Format>, log: &[u8], cuts: &[usize], restart: Option<usize>) -> Vec<(u64, u32, String)> {
    let mut items = Vec::new();
    let mut stream = Stream::new(format, FormatOptions::default(), 0);
    let mut at = 0;
    let mut restart = restart;
    for cut in cuts {
        let cut = (*cut).clamp(at, log.len());
        stream.feed(&log[at..cut], &mut |item| items.push(told(&item)));
        at = cut;
        if restart.is_some_and(|after| items.len() > after) {
            restart = None;
            balanced(&stream);
            let (offset, state) = (stream.offset(), stream.save());
            stream = Stream::new(format, FormatOptions::default(), offset);
            stream.restore(&state);
            at = usize::try_from(offset).expect("small");
        }
    }
    stream.feed(&log[at..], &mut |item| items.push(told(&item)));
    stream.close(&mut |item| items.push(told(&item)));
    balanced(&stream);
    assert_eq!(stream.pending(), 0, "bytes are left");
    // Where bytes in which no record begins are told does depend on how they come.
    items.dedup_by(|next, last| {
        let both = next.2 == last.2 && next.2.contains(LOST_START) && last.0 + u64::from(last.1) == next.0;
        if both {
            last.1 += next.1;
        }
        both
    });
    items
}

fn balanced(stream: &Stream) {
    let counts = stream.counts();
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes + stream.pending() as u64, "{counts:?}");
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips, "{counts:?}");
}

/// One log in one format (or a detected one): every byte and record is counted, and neither pieces nor a restart change what comes
/// out. The last byte chooses where it is cut.
pub fn log(format: Option<&'static Format>, data: &[u8]) {
    let (log, choice) = match data.split_last() {
        Some((choice, log)) => (log, usize::from(*choice)),
        None => (data, 0),
    };
    let whole = feed(format, log, &[], None);
    let step = 1 + choice % 61;
    let cuts: Vec<usize> = (1..=log.len() / step).map(|n| n * step).collect();
    assert_eq!(whole, feed(format, log, &cuts, None), "in pieces of {step}");
    // Detection looks at what has come so far, so that a restart in the middle may see another start.
    if format.is_some() {
        let restart = choice % 7;
        assert_eq!(whole, feed(format, log, &cuts, Some(restart)), "in pieces of {step}, restarted after item {restart}");
    }
    // A broker's messages have passed no framer.
    let mut stream = Stream::new(format, FormatOptions::default(), 0);
    for (offset, message) in log.split(|byte| *byte == b'\n').enumerate() {
        stream.message(offset as u64, message, &mut |item| {
            let _ = told(&item);
        });
    }
    stream.close(&mut |_| {});
    let counts = stream.counts();
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips, "{counts:?}");
}
