//! Syslog over UDP (RFC 5426): a message a datagram. A thread of its own takes them from the kernel into a bounded buffer, so that a moment's
//! delay behind it costs nothing; what does not fit there, and what the kernel dropped before, is counted.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, TrySendError, bounded};

use super::{BUFFER_FULL, Failure, Gate, Inlet, TICK, bind};
use crate::clock::Clock;
use crate::config::Syslog;
use crate::source::{Outlet, Stop};

/// Messages buffered, and their bytes.
const MESSAGES: usize = 1 << 16;
const BYTES: usize = 32 << 20;
/// Asked of the kernel for what arrives between two reads; it grants as much as `net.core.rmem_max` allows.
const KERNEL: usize = 8 << 20;
/// Longest datagram.
const DATAGRAM: usize = 1 << 16;
/// How often the kernel is asked what it dropped.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What the two threads know of each other.
#[derive(Default)]
struct Buffer {
    bytes: AtomicUsize,
    dropped: AtomicU64,
    done: AtomicBool,
}

/// Listens until it is stopped or the socket fails.
pub(super) fn listen(config: &Syslog, inlet: &mut Inlet, stop: &Stop) -> Failure {
    let socket = match bind(config) {
        Ok(socket) => socket,
        Err(message) => return Failure::Broken(message),
    };
    let _ = socket.set_recv_buffer_size(KERNEL);
    let socket = UdpSocket::from(socket);
    let kernel = Kernel::of(&socket);
    let buffer = Arc::new(Buffer::default());
    let (queue_in, queue) = bounded(MESSAGES);
    let receiver = {
        let (buffer, gate, stop) = (buffer.clone(), inlet.gate.clone(), stop.clone());
        std::thread::Builder::new().name("syslog-udp".to_owned()).spawn(move || receive(&socket, &gate, &queue_in, &buffer, &stop))
    };
    let receiver = match receiver {
        Ok(receiver) => receiver,
        Err(error) => return Failure::Broken(format!("cannot start a thread: {error}")),
    };
    let ended = pass_on(&queue, &buffer, kernel, inlet);
    buffer.done.store(true, Ordering::Relaxed);
    // The port is free again when this returns.
    let failed = receiver.join();
    let left = queue.len();
    if left > 0 {
        tracing::warn!(source = inlet.source, messages = left, "messages that were received and not yet taken in are lost");
    }
    match (ended, failed) {
        (Err(failure), _) => failure,
        (Ok(()), Ok(Some(error))) => Failure::Broken(format!("cannot receive on {}: {error}", config.url())),
        (Ok(()), _) => Failure::Broken(format!("the receiver of {} has ended", config.url())),
    }
}

/// Hands on what the receiver has; `Ok` if that has ended.
fn pass_on(
    queue: &crossbeam_channel::Receiver<(IpAddr, Vec<u8>)>,
    buffer: &Buffer,
    mut kernel: Option<Kernel>,
    inlet: &mut Inlet,
) -> Result<(), Failure> {
    inlet.recovered()?;
    let (mut ticked, mut asked) = (inlet.clock.monotonic(), inlet.clock.monotonic());
    loop {
        match queue.recv_timeout(TICK) {
            Ok((ip, bytes)) => {
                buffer.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                inlet.message(ip, bytes)?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let now = inlet.clock.monotonic();
        if now - ticked >= TICK {
            ticked = now;
            let mut dropped = buffer.dropped.swap(0, Ordering::Relaxed);
            if now - asked >= ASK_EVERY {
                asked = now;
                dropped += kernel.as_mut().map_or(0, Kernel::dropped);
            }
            if dropped > 0 {
                inlet.lose(BUFFER_FULL, dropped);
            }
            inlet.tick()?;
        }
    }
}

/// Takes datagrams from the kernel until it is told to end; gives the error that ended it otherwise.
fn receive(socket: &UdpSocket, gate: &Gate, queue: &Sender<(IpAddr, Vec<u8>)>, buffer: &Buffer, stop: &Stop) -> Option<std::io::Error> {
    if let Err(error) = socket.set_read_timeout(Some(Outlet::PATIENCE)) {
        return Some(error);
    }
    let mut datagram = vec![0; DATAGRAM];
    while !stop.stopped() && !buffer.done.load(Ordering::Relaxed) {
        let (len, peer) = match socket.recv_from(&mut datagram) {
            Ok(received) => received,
            // Errors of other sockets come back here too (a port that nobody listens on).
            Err(error) if error.raw_os_error().is_none() || is_passing(&error) => continue,
            Err(error) => return Some(error),
        };
        let Some(ip) = gate.admit(peer) else { continue };
        let text = datagram.get(..len).unwrap_or_default();
        let end = text.iter().rposition(|b| !matches!(b, b'\n' | b'\r' | 0)).map_or(0, |last| last + 1);
        let text = text.get(..end).unwrap_or_default();
        if text.is_empty() {
            continue;
        }
        if buffer.bytes.load(Ordering::Relaxed) > BYTES {
            buffer.dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        buffer.bytes.fetch_add(text.len(), Ordering::Relaxed);
        match queue.try_send((ip, text.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full((_, bytes))) => {
                buffer.bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                buffer.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => return None,
        }
    }
    None
}

fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), ConnectionRefused | Interrupted | TimedOut | WouldBlock)
}

/// The kernel's count of the datagrams that it dropped for a socket.
struct Kernel {
    inode: String,
    told: u64,
}

impl Kernel {
    fn of(socket: &UdpSocket) -> Option<Self> {
        let inode = rustix::fs::fstat(socket).ok()?.st_ino;
        let mut kernel = Kernel { inode: inode.to_string(), told: 0 };
        kernel.told = kernel.count()?;
        Some(kernel)
    }

    /// How many more since the last call.
    fn dropped(&mut self) -> u64 {
        let Some(count) = self.count() else { return 0 };
        let more = count.saturating_sub(self.told);
        self.told = count;
        more
    }

    fn count(&self) -> Option<u64> {
        ["/proc/self/net/udp", "/proc/self/net/udp6"].iter().find_map(|table| {
            let table = std::fs::read_to_string(table).ok()?;
            let line = table.lines().find(|line| line.split_ascii_whitespace().nth(9) == Some(&self.inode))?;
            line.split_ascii_whitespace().next_back()?.parse().ok()
        })
    }
}
