//! Syslog over TCP (RFC 6587) and TLS (RFC 5425): one task a connection on the source's own thread. Where the pipeline is slow this thread
//! waits, nothing is read, and the senders wait too.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::tls::Acceptor;
use super::{Failure, Inlet, TICK, TORN, bind};
use crate::config::Syslog;
use crate::framing::octets::Messages;
use crate::framing::{Framed, Framer, MAX_RECORD, More};
use crate::source::Ended;

/// Connections at a time. More are refused, so that nobody takes all the memory or all the file descriptors.
const CONNECTIONS: usize = 2048;
/// A message must be complete so long after its first byte.
const COMPLETE_IN: Duration = Duration::from_secs(60);
/// A TLS connection must stand after so long.
const HANDSHAKE_IN: Duration = Duration::from_secs(10);
/// Bytes of unfinished messages in all connections together; above that, those with more than [`SMALL`] are closed.
const HELD: usize = 64 << 20;
const SMALL: usize = 64 << 10;
/// Bytes asked for at a time.
const READ: usize = 64 << 10;
/// A dead peer is noticed after about so long.
const KEEPALIVE: Duration = Duration::from_secs(120);
/// Pause after the kernel had no descriptor for a connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// Listens until it is stopped or the socket fails.
pub(super) fn listen(config: &Syslog, acceptor: Option<Acceptor>, inlet: &Rc<RefCell<Inlet>>) -> Failure {
    let opened = bind(config).and_then(|socket| {
        let ready = socket.listen(1024).and_then(|()| socket.set_nonblocking(true));
        ready.map_err(|error| format!("cannot listen on {}: {error}", config.url()))?;
        Ok(StdListener::from(socket))
    });
    let listener = match opened {
        Ok(listener) => listener,
        Err(message) => return Failure::Broken(message),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Broken(format!("cannot start listening: {error}")),
    };
    let local = LocalSet::new();
    local.block_on(&runtime, accept(listener, acceptor, inlet.clone()))
}

async fn accept(listener: StdListener, acceptor: Option<Acceptor>, inlet: Rc<RefCell<Inlet>>) -> Failure {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return Failure::Broken(format!("cannot listen: {error}")),
    };
    if inlet.borrow_mut().recovered().is_err() {
        return Failure::Ended;
    }
    let held = Rc::new(Cell::new(0));
    let mut connections = JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let ended = tokio::select! {
            biased;
            _ = tick.tick() => inlet.borrow_mut().tick(),
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                let told = if connections.len() < CONNECTIONS / 10 * 9 { inlet.borrow_mut().recovered() } else { Ok(()) };
                // A task that failed has said so; the others go on.
                ended.unwrap_or(Ok(())).and(told)
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(ip) = inlet.borrow().gate.admit(peer) else { continue };
                    if connections.len() >= CONNECTIONS {
                        let message = format!("{CONNECTIONS} connections are open: new ones are refused");
                        inlet.borrow_mut().trouble(message)
                    } else {
                        let link = Link { ip, inlet: inlet.clone(), held: held.clone() };
                        connections.spawn_local(open(stream, acceptor.clone(), link));
                        Ok(())
                    }
                }
                Err(error) if matches!(error.raw_os_error(), Some(code) if code == rustix::io::Errno::MFILE.raw_os_error() || code == rustix::io::Errno::NFILE.raw_os_error()) => {
                    let told = inlet.borrow_mut().trouble(format!("no connection can be taken: {error}; raise LimitNOFILE"));
                    tokio::time::sleep(NO_DESCRIPTOR).await;
                    told
                }
                // The peer has gone again before it was taken.
                Err(_) => Ok(()),
            },
        };
        if ended.is_err() {
            return Failure::Ended;
        }
    }
}

/// What a connection shares with the listener.
struct Link {
    ip: IpAddr,
    inlet: Rc<RefCell<Inlet>>,
    held: Rc<Cell<usize>>,
}

async fn open(stream: TcpStream, acceptor: Option<Acceptor>, link: Link) -> Result<(), Ended> {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let Some(acceptor) = acceptor else { return Connection::new(link).read(stream).await };
    match timeout(HANDSHAKE_IN, acceptor.current().accept(stream)).await {
        Ok(Ok(stream)) => Connection::new(link).read(stream).await,
        Ok(Err(error)) => {
            tracing::warn!(source = link.inlet.borrow().source, peer = %link.ip, %error, "no TLS connection");
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// One connection.
struct Connection {
    link: Link,
    buf: Vec<u8>,
    messages: Messages,
    /// When the message that is not complete yet began.
    begun: Option<Instant>,
    /// Bytes counted in [`Link::held`].
    counted: usize,
}

/// Why no more is read.
enum Close {
    /// The sender has ended, or goes on with nothing that could be read.
    Quietly,
    /// In the middle of a message.
    Torn,
    Ended,
}

impl From<Ended> for Close {
    fn from(_: Ended) -> Self {
        Close::Ended
    }
}

impl Connection {
    fn new(link: Link) -> Self {
        Connection { link, buf: Vec::new(), messages: Messages::new(), begun: None, counted: 0 }
    }

    async fn read(mut self, mut stream: impl AsyncRead + Unpin) -> Result<(), Ended> {
        let ended = loop {
            self.buf.reserve(READ);
            let read = match self.begun {
                None => stream.read_buf(&mut self.buf).await,
                Some(begun) => match timeout_at(begun + COMPLETE_IN, stream.read_buf(&mut self.buf)).await {
                    Ok(read) => read,
                    Err(_) => break Close::Torn,
                },
            };
            let more = if matches!(read, Ok(n) if n > 0) { More::Flowing } else { More::Closed };
            if let Err(close) = self.take(more) {
                break close;
            }
            if more == More::Closed {
                break Close::Quietly;
            }
            // Others are to have their turn.
            tokio::task::yield_now().await;
        };
        self.link.held.set(self.link.held.get().saturating_sub(self.counted));
        match ended {
            Close::Quietly => Ok(()),
            Close::Torn => {
                self.link.inlet.borrow_mut().lose(TORN, 1);
                Ok(())
            }
            Close::Ended => Err(Ended),
        }
    }

    /// Hands on all messages that are complete.
    fn take(&mut self, more: More) -> Result<(), Close> {
        let mut used = 0;
        while let Some(rest) = self.buf.get(used..).filter(|rest| !rest.is_empty()) {
            match self.messages.next(rest, more) {
                Framed::Record(frame) => {
                    // Of a message that is too long a little more than may be: what follows cuts it and says so.
                    let len = if frame.truncated { frame.consumed.saturating_sub(frame.skip).min(MAX_RECORD + 1) } else { frame.len };
                    if frame.unterminated && frame.skip > 0 {
                        // Its count says that more should have come.
                        return Err(Close::Torn);
                    }
                    let message = rest.get(frame.skip..frame.skip + len).unwrap_or_default().to_vec();
                    self.link.inlet.borrow_mut().message(self.link.ip, message)?;
                    used += frame.consumed.max(1);
                }
                Framed::Skip { consumed, .. } => used += consumed.max(1),
                Framed::Incomplete => break,
            }
            if self.messages.astray() {
                return Err(Close::Torn);
            }
        }
        self.buf.drain(..used.min(self.buf.len()));
        if self.buf.is_empty() {
            self.begun = None;
            if self.buf.capacity() > 2 * READ {
                self.buf = Vec::new();
            }
        } else if used > 0 || self.begun.is_none() {
            self.begun = Some(Instant::now());
        }
        let held = self.link.held.get().saturating_sub(self.counted) + self.buf.len();
        self.counted = self.buf.len();
        self.link.held.set(held);
        if held > HELD && self.buf.len() > SMALL { Err(Close::Torn) } else { Ok(()) }
    }
}
