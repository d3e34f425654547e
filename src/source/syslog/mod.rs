//! A syslog listener: messages over UDP, TCP (LF or counted, RFC 6587) and TLS (RFC 5425).
//!
//! What a network sends cannot be read again: what was received and is not yet in a checkpoint when the process is killed is lost,
//! unless its sender repeats it. So there are no positions to go on from, and what was known of open sessions is not carried
//! over a restart either, for nobody knows what was missed. Everything lost while the listener runs is counted and is a [`Gap`]:
//! where the pipeline is slower than the senders, TCP is not read (the senders wait), and UDP is buffered up to a limit and then dropped.
//!
//! Each address that sends is a partition of its own, so that what one host sends cannot disturb what is known of another's sessions. The number
//! of these is bounded; addresses beyond it share one.
//!
//! Syslog proves nothing about its sender, and over UDP the address can be forged too: the envelope is marked as forgeable, so that such
//! records alert and never revoke. `from` limits who is heard at all.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Bookmarks, Chunk, Delivery, Ended, Gap, IDLE_AFTER, Opened, Outlet, Source, Stop, Trouble};
use crate::clock::{Clock, System};
use crate::config::{Syslog, Transport};
use crate::position::{Partition, Position};

mod tcp;
mod tls;
mod udp;

/// Addresses with a partition of their own.
const PEERS: usize = 256;
/// An address that has sent nothing for so long is forgotten.
const FORGET: Duration = Duration::from_secs(60 * 60);
/// Pause before a listener that could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// Losses and refusals are told at most so often.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How often silence and losses are looked for.
const TICK: Duration = Duration::from_millis(10);

/// Messages came faster than they were taken in.
pub const BUFFER_FULL: &str = "buffer-full";
/// A connection ended, stood still, or went astray in the middle of a message.
pub const TORN: &str = "torn";

/// Makes the source. Nothing is opened before it runs; an error here is one in the settings.
///
/// # Errors
/// A certificate or key cannot be used.
pub fn new(name: &str, config: &Syslog) -> Result<Opened, String> {
    let acceptor = match config.transport {
        Transport::Tls => Some(tls::Acceptor::new(config)?),
        Transport::Udp | Transport::Tcp => None,
    };
    let source = SyslogSource { name: name.to_owned(), config: config.clone(), acceptor };
    Ok((Box::new(source), Arc::new(NoBookmarks)))
}

/// What came over a network cannot be read again: there is nothing to keep.
#[derive(Debug)]
struct NoBookmarks;

impl Bookmarks for NoBookmarks {
    fn bookmark(&self, _: &Partition, _: u64) -> Option<Position> {
        None
    }
}

struct SyslogSource {
    name: String,
    config: Syslog,
    acceptor: Option<tls::Acceptor>,
}

/// Why a listener ended.
enum Failure {
    /// It was stopped.
    Ended,
    /// It cannot listen, for this reason.
    Broken(String),
}

impl From<Ended> for Failure {
    fn from(_: Ended) -> Self {
        Failure::Ended
    }
}

impl Source for SyslogSource {
    fn run(self: Box<Self>, out: crossbeam_channel::Sender<Delivery>, stop: Stop) {
        let SyslogSource { name, config, acceptor } = *self;
        let inlet = Rc::new(RefCell::new(Inlet::new(name, &config, Outlet::new(out, stop.clone()))));
        if config.from.is_empty() {
            tracing::info!(listen = config.url(), "whoever reaches this address is heard; \"from\" limits it");
        }
        loop {
            let ended = match config.transport {
                Transport::Udp => udp::listen(&config, &mut inlet.borrow_mut(), &stop),
                Transport::Tcp | Transport::Tls => tcp::listen(&config, acceptor.clone(), &inlet),
            };
            let Failure::Broken(message) = ended else { return };
            let mut inlet = inlet.borrow_mut();
            if inlet.trouble(message).is_err() || inlet.wait(AGAIN).is_err() {
                return;
            }
        }
    }
}

/// A socket that is bound to the address, for IPv4 too where it is `[::]`.
fn bind(config: &Syslog) -> Result<Socket, String> {
    let (kind, protocol) = match config.transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Tls => (Type::STREAM, Protocol::TCP),
    };
    let open = || -> std::io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(config.listen), kind, Some(protocol))?;
        if config.listen.is_ipv6() {
            socket.set_only_v6(!config.listen.ip().is_unspecified())?;
        }
        if kind == Type::STREAM {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&config.listen.into())?;
        Ok(socket)
    };
    open().map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "; ports below 1024 need the capability CAP_NET_BIND_SERVICE",
            std::io::ErrorKind::AddrInUse => "; another program (rsyslog?) has it",
            _ => "",
        };
        format!("cannot listen on {}: {error}{advice}", config.url())
    })
}

/// Who is heard, asked by every thread of a listener.
struct Gate {
    from: Vec<IpNet>,
    refused: AtomicU64,
    last: Mutex<Option<IpAddr>>,
}

impl Gate {
    /// The sender's address, if it is one of those that are heard.
    fn admit(&self, peer: SocketAddr) -> Option<IpAddr> {
        let ip = peer.ip().to_canonical();
        if self.from.is_empty() || self.from.iter().any(|net| net.contains(&ip)) {
            return Some(ip);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut last) = self.last.lock() {
            *last = Some(ip);
        }
        None
    }
}

/// One sender.
struct Peer {
    partition: Arc<Partition>,
    next: u64,
    /// When its last message came.
    last: Duration,
    /// It is not told yet that nothing has followed.
    waiting: bool,
}

/// What all parts of a listener hand their messages to.
struct Inlet {
    source: String,
    url: String,
    out: Outlet,
    gate: Arc<Gate>,
    clock: System,
    peers: HashMap<IpAddr, Peer>,
    /// Addresses for which there was no room.
    others: Peer,
    /// Losses that belong to no sender.
    whole: Arc<Partition>,
    /// Messages that came or are known to be lost.
    seen: u64,
    lost: Vec<(&'static str, u64)>,
    /// When losses and refusals were told last.
    told: Duration,
    failing: Option<String>,
}

impl Inlet {
    fn new(source: String, config: &Syslog, out: Outlet) -> Self {
        let url = config.url();
        let partition = |key: String, label: String| Arc::new(Partition { source: source.clone(), key, label });
        let whole = partition(format!("syslog:{url}"), url.clone());
        let others = partition(format!("syslog:{url}/others"), format!("others at {url}"));
        Inlet {
            out,
            gate: Arc::new(Gate { from: config.from.clone(), refused: AtomicU64::new(0), last: Mutex::new(None) }),
            clock: System::default(),
            peers: HashMap::new(),
            others: Peer { partition: others, next: 0, last: Duration::ZERO, waiting: false },
            whole,
            seen: 0,
            lost: Vec::new(),
            told: Duration::ZERO,
            failing: None,
            source,
            url,
        }
    }

    /// Hands on one message.
    fn message(&mut self, ip: IpAddr, bytes: Vec<u8>) -> Result<(), Ended> {
        self.seen += 1;
        let now = self.clock.monotonic();
        if self.peers.len() < PEERS && !self.peers.contains_key(&ip) {
            let (key, label) = (format!("syslog:{}/{ip}", self.url), format!("{ip} at {}", self.url));
            let partition = Arc::new(Partition { source: self.source.clone(), key, label });
            self.peers.insert(ip, Peer { partition, next: 0, last: now, waiting: false });
        }
        let peer = self.peers.get_mut(&ip).unwrap_or(&mut self.others);
        let offset = peer.next;
        peer.next += 1;
        peer.last = now;
        peer.waiting = true;
        self.out.send(Delivery::Chunk(Chunk { partition: peer.partition.clone(), offset, bytes, message: true }))
    }

    /// Notes that messages were lost; they are told in a while, all together.
    fn lose(&mut self, reason: &'static str, count: u64) {
        match self.lost.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, lost)) => *lost += count,
            None => self.lost.push((reason, count)),
        }
    }

    /// Looks for silence, and tells what is to be told.
    fn tick(&mut self) -> Result<(), Ended> {
        self.out.go_on()?;
        let now = self.clock.monotonic();
        for peer in self.peers.values_mut().chain(std::iter::once(&mut self.others)) {
            if peer.waiting && now.saturating_sub(peer.last) >= IDLE_AFTER {
                peer.waiting = false;
                self.out.send(Delivery::Idle(peer.partition.clone()))?;
            }
        }
        if now.saturating_sub(self.told) < TELL_EVERY {
            return Ok(());
        }
        self.told = now;
        let silent = |peer: &Peer| now.saturating_sub(peer.last) >= FORGET;
        let forgotten: Vec<IpAddr> = self.peers.iter().filter(|(_, peer)| silent(peer)).map(|(ip, _)| *ip).collect();
        for ip in forgotten {
            if let Some(peer) = self.peers.remove(&ip) {
                self.out.send(Delivery::Closed(peer.partition))?;
            }
        }
        self.tell()
    }

    /// Tells losses and refusals.
    fn tell(&mut self) -> Result<(), Ended> {
        for (reason, count) in std::mem::take(&mut self.lost) {
            let from = self.seen;
            self.seen += count;
            self.out.send(Delivery::Gap(Gap { partition: self.whole.clone(), from, to: Some(self.seen), reason }))?;
        }
        let refused = self.gate.refused.swap(0, Ordering::Relaxed);
        if refused > 0 {
            let last = self.gate.last.lock().ok().and_then(|last| *last).map(|ip| ip.to_string()).unwrap_or_default();
            tracing::warn!(source = self.source, listen = self.url, refused, last, "senders that \"from\" does not name are not heard");
        }
        Ok(())
    }

    /// Tells a person that something is wrong, once.
    fn trouble(&mut self, message: String) -> Result<(), Ended> {
        if self.failing.as_ref() == Some(&message) {
            return Ok(());
        }
        self.failing = Some(message.clone());
        self.send_trouble(message, true)
    }

    /// It is well again.
    fn recovered(&mut self) -> Result<(), Ended> {
        match self.failing.take() {
            Some(_) => self.send_trouble("listening again".to_owned(), false),
            None => Ok(()),
        }
    }

    fn send_trouble(&self, message: String, failing: bool) -> Result<(), Ended> {
        self.out.send(Delivery::Trouble(Trouble { source: self.source.clone(), label: Some(self.url.clone()), message, failing }))
    }

    fn wait(&self, long: Duration) -> Result<(), Ended> {
        let until = self.clock.monotonic() + long;
        while self.clock.monotonic() < until {
            self.out.go_on()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
