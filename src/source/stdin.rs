//! Standard input, or any other stream: one partition that cannot be resumed.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::{Bookmarks, Chunk, Delivery, Ended, Gap, IDLE_AFTER, Outlet, Source, Stop, Trouble};
use crate::position::{Partition, Position};

/// Most bytes in one chunk.
const CHUNK: usize = 256 * 1024;
/// The stream failed: what would have followed is unknown.
pub const BROKEN: &str = "broken";

/// Reads standard input until its end.
pub struct StdinSource {
    name: String,
}

/// A stream cannot be read again: there is nothing to keep.
#[derive(Debug)]
struct NoBookmarks;

impl Bookmarks for NoBookmarks {
    fn bookmark(&self, _partition: &Partition, _offset: u64) -> Option<Position> {
        None
    }
}

impl StdinSource {
    #[allow(clippy::new_ret_no_self)]
    pub fn new(name: String) -> (Box<dyn Source>, Arc<dyn Bookmarks>) {
        (Box::new(StdinSource { name }), Arc::new(NoBookmarks))
    }
}

impl Source for StdinSource {
    fn run(self: Box<Self>, out: crossbeam_channel::Sender<Delivery>, stop: Stop) {
        let out = Outlet::new(out, stop);
        let (Ok(()) | Err(Ended)) = follow(&self.name, std::io::stdin(), &out);
    }
}

/// Reads a stream to its end as the partition `stdin`.
fn follow<R: Read + AsFd>(source: &str, mut stream: R, out: &Outlet) -> Result<(), Ended> {
    let partition = Arc::new(Partition { source: source.to_owned(), key: "stdin".to_owned(), label: "stdin".to_owned() });
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0_u64;
    let mut idle_sent = true;
    loop {
        out.go_on()?;
        if !readable(&stream, if idle_sent { Outlet::PATIENCE } else { IDLE_AFTER }) {
            if !idle_sent {
                idle_sent = true;
                out.send(Delivery::Idle(partition.clone()))?;
            }
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                let bytes = buffer.get(..read).unwrap_or_default().to_vec();
                out.send(Delivery::Chunk(Chunk { partition: partition.clone(), offset, bytes, message: false }))?;
                offset = offset.saturating_add(read as u64);
                idle_sent = false;
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::Interrupted | std::io::ErrorKind::WouldBlock) => {}
            Err(error) => {
                let message = format!("cannot read standard input after {offset} bytes: {error}; it counts as ended");
                out.send(Delivery::Trouble(Trouble {
                    source: source.to_owned(),
                    label: Some("stdin".to_owned()),
                    message,
                    failing: true,
                }))?;
                out.send(Delivery::Gap(Gap { partition: partition.clone(), from: offset, to: None, reason: BROKEN }))?;
                break;
            }
        }
    }
    out.send(Delivery::Closed(partition))
}

/// Whether a read would not block, after waiting for that at most `longest`.
fn readable(stream: &impl AsFd, longest: std::time::Duration) -> bool {
    let nanoseconds = i64::from(longest.subsec_nanos());
    let timeout = Timespec { tv_sec: i64::try_from(longest.as_secs()).unwrap_or(i64::MAX), tv_nsec: nanoseconds };
    let mut waiting = [PollFd::new(stream, PollFlags::IN)];
    // If it cannot be polled, the read itself says why.
    rustix::event::poll(&mut waiting, Some(&timeout)).map_or(true, |ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_stream_is_one_partition_with_pauses_and_an_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let (out, deliveries) = crossbeam_channel::bounded(16);
        let thread = std::thread::spawn(move || follow("s", reader, &Outlet::new(out, Stop::default())));
        let next = || deliveries.recv_timeout(std::time::Duration::from_secs(5)).unwrap();
        for (at, text) in [(0, "one\n"), (4, "two\n")] {
            writer.write_all(text.as_bytes()).unwrap();
            assert!(matches!(next(), Delivery::Chunk(chunk) if chunk.offset == at && chunk.bytes == text.as_bytes()));
            assert!(matches!(next(), Delivery::Idle(_)));
        }
        drop(writer);
        assert!(matches!(next(), Delivery::Closed(partition) if partition.key == "stdin"));
        assert_eq!(thread.join().unwrap(), Ok(()));
    }

    #[test]
    fn it_ends_soon_after_stop() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let (out, _deliveries) = crossbeam_channel::bounded(1);
        let stop = Stop::default();
        let outlet = Outlet::new(out, stop.clone());
        let thread = std::thread::spawn(move || follow("s", reader, &outlet));
        stop.stop();
        assert_eq!(thread.join().unwrap(), Err(Ended));
    }
}
