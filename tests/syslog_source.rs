//! The syslog listener with real senders: sockets, util-linux' `logger`, rsyslog, and the daemon behind it.
#![allow(clippy::disallowed_methods, reason = "waiting for real senders needs the real clock")]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use support::daemon::Daemon;
use support::rsyslog::{self, Rsyslog};
use support::{free_port, program, wait_for};
use tokenwatch::config::{Syslog, Transport};
use tokenwatch::source::{Delivery, Stop, syslog};

const LONG: Duration = Duration::from_secs(60);

fn settings(transport: Transport, port: u16) -> Syslog {
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    Syslog { transport, listen, from: Vec::new(), certificate_file: None, key_file: None, client_ca_file: None }
}

/// Waits until somebody listens on the port. The kernel's tables tell: a test that binds or connects in order to see is in the listener's way.
fn wait_listening(transport: Transport, port: u16) {
    let (table, state) = if transport == Transport::Udp { ("/proc/net/udp", "07") } else { ("/proc/net/tcp", "0A") };
    wait_for("the listener", LONG, || {
        let sockets = std::fs::read_to_string(table).expect("the kernel's table of sockets");
        let socket = |line: &str| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = fields.next().is_some_and(|address| address.ends_with(&format!(":{port:04X}")));
            local && fields.nth(1) == Some(state)
        };
        sockets.lines().any(socket).then_some(())
    });
}

/// A listener on its thread.
struct Running {
    deliveries: Receiver<Delivery>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    port: u16,
}

impl Running {
    fn start(settings: &Syslog, capacity: usize) -> Running {
        let (source, _) = syslog::new("relay", settings).expect("sound settings");
        let (out, deliveries) = bounded(capacity);
        let stop = Stop::default();
        let its = stop.clone();
        let thread = Some(std::thread::spawn(move || source.run(out, its)));
        let running = Running { deliveries, stop, thread, port: settings.listen.port() };
        wait_listening(settings.transport, running.port);
        running
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).expect("a connection")
    }

    /// The next `count` messages as `sender text`; anything lost or wrong is a failure.
    fn messages(&self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.deliveries.recv_timeout(LONG).unwrap_or_else(|_| panic!("{} of {count} messages within 60 s: {all:?}", all.len())) {
                Delivery::Chunk(chunk) => {
                    assert!(chunk.message);
                    all.push(String::from_utf8_lossy(&chunk.bytes).into_owned());
                }
                Delivery::Idle(_) => {}
                other => panic!("{other:?}"),
            }
        }
        all
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        // A second panic would end the process before it has told the first.
        if let Some(thread) = self.thread.take().filter(|_| !std::thread::panicking()) {
            wait_for("the source's end", LONG, || thread.is_finished().then_some(()));
            thread.join().expect("the source's thread");
        }
    }
}

#[test]
fn messages_in_a_stream_are_told_apart() {
    let running = Running::start(&settings(Transport::Tcp, free_port()), 1024);
    let cases: [(&[u8], &[&str]); 6] = [
        (b"<1>one\n<2>two\r\n\n<3>three", &["<1>one", "<2>two", "<3>three"]),
        (b"6 <1>one8 <2>two\nx", &["<1>one", "<2>two\nx"]),
        (b"\0\0<1>one\n<1>a\0b\n", &["<1>one", "<1>a\0b"]),
        (b"no header\n", &["no header"]),
        // A count that a client wrote into a line is no count.
        (b"<1>one\n9999 <1>x\n<2>two\n", &["<1>one", "9999 <1>x", "<2>two"]),
        (b"\xff\xfe<1>\n", &["\u{fffd}\u{fffd}<1>"]),
    ];
    for (bytes, want) in cases {
        // A byte at a time, and all at once.
        for size in [1, bytes.len()] {
            let mut stream = running.connect();
            stream.set_nodelay(true).expect("a socket option");
            for piece in bytes.chunks(size) {
                stream.write_all(piece).expect("sent");
            }
            drop(stream);
            assert_eq!(running.messages(want.len()), want, "{}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn a_torn_message_is_a_loss() {
    let running = Running::start(&settings(Transport::Tcp, free_port()), 1024);
    running.connect().write_all(b"6 <1>one50 <2>two").expect("sent");
    // Something else where a message should begin: nothing that follows can be believed.
    running.connect().write_all(b"6 <1>onejunk\n6 <1>two").expect("sent");
    let mut first = running.messages(2);
    first.extend(running.deliveries.try_iter().filter_map(|d| match d {
        Delivery::Chunk(chunk) => Some(String::from_utf8_lossy(&chunk.bytes).into_owned()),
        _ => None,
    }));
    assert!(first.iter().all(|text| text != "<1>two" && text != "<2>two"), "{first:?}");
    let mut lost = 0;
    wait_for("two losses", LONG, || {
        for delivery in running.deliveries.try_iter() {
            if let Delivery::Gap(gap) = delivery {
                assert_eq!(gap.reason, syslog::TORN);
                lost += gap.to.expect("an end") - gap.from;
            }
        }
        (lost >= 2).then_some(())
    });
}

#[test]
fn a_message_of_ten_megabytes_is_cut() {
    let running = Running::start(&settings(Transport::Tcp, free_port()), 1024);
    let body = "x".repeat((10 << 20) - 3);
    let mut stream = running.connect();
    write!(stream, "{} <1>{body}6 <2>two", 10 << 20).expect("sent");
    let got = running.messages(2);
    // A little more than a record may have, so that it is known to be cut.
    assert_eq!((got[0].len(), got[1].as_str()), ((1 << 20) + 1, "<2>two"));
    let mut stream = running.connect();
    writeln!(stream, "<1>{body}\n<2>two").expect("sent");
    let got = running.messages(2);
    assert_eq!((got[0].len(), got[1].as_str()), ((1 << 20) + 1, "<2>two"));
}

/// Peers that send half a message and stand still hold nobody up.
#[test]
fn a_thousand_connections() {
    let running = Running::start(&settings(Transport::Tcp, free_port()), 4096);
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = running.connect();
            stream.write_all(b"4000 <1>half").expect("sent");
            stream
        })
        .collect();
    // Below the limit of open files that a shell gives, which this process shares with the listener.
    let mut streams: Vec<TcpStream> = Vec::new();
    for batch in 0..4 {
        streams.clear();
        for number in 0..250 {
            let mut stream = running.connect();
            writeln!(stream, "<13>message {}", batch * 250 + number).expect("sent");
            streams.push(stream);
        }
        let mut got = running.messages(250);
        got.sort();
        got.dedup();
        assert_eq!(got.len(), 250);
    }
    drop((streams, idle));
}

/// Where nobody takes messages the sender waits, and nothing is lost.
#[test]
fn tcp_waits() {
    let running = Running::start(&settings(Transport::Tcp, free_port()), 64);
    let port = running.port;
    let count = 40_000;
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        for number in 0..count {
            writeln!(stream, "<13>{number:06} {}", "x".repeat(500)).expect("sent");
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(!sender.is_finished(), "20 MB went into a channel of 64 messages");
    let got = running.messages(count);
    for (number, text) in got.iter().enumerate() {
        assert!(text.starts_with(&format!("<13>{number:06} ")), "{number}: {text}");
    }
    sender.join().expect("the sender");
}

/// Where nobody takes messages UDP loses some, and every one is counted.
#[test]
fn udp_counts_what_it_drops() {
    let running = Running::start(&settings(Transport::Udp, free_port()), 4096);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let count = 70_000_u64;
    for number in 0..count {
        let text = format!("<13>{number} {}\n", "x".repeat(1000));
        socket.send_to(text.as_bytes(), ("127.0.0.1", running.port)).expect("sent");
    }
    let (mut came, mut lost) = (0, 0);
    let began = Instant::now();
    while came + lost < count && began.elapsed() < LONG {
        match running.deliveries.recv_timeout(LONG).expect("a delivery") {
            Delivery::Chunk(_) => came += 1,
            Delivery::Gap(gap) => {
                assert_eq!(gap.reason, syslog::BUFFER_FULL);
                lost += gap.to.expect("an end") - gap.from;
            }
            _ => {}
        }
    }
    assert_eq!(came + lost, count, "{came} came, {lost} were lost");
    assert!(lost > 0, "70 MB fit into a buffer of 32 MiB");
}

#[test]
fn only_those_in_from_are_heard() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut settings = settings(transport, free_port());
        settings.from = vec!["127.0.0.2/32".parse().expect("a network")];
        let running = Running::start(&settings, 64);
        for sender in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            let mut command = Command::new(program("python3").expect("Python"));
            let kind = if transport == Transport::Udp { "SOCK_DGRAM" } else { "SOCK_STREAM" };
            let code = format!(
                "import socket\ns = socket.socket(socket.AF_INET, socket.{kind})\ns.bind(('{sender}', 0))\n\
                 s.connect(('127.0.0.1', {}))\ntry: s.send(b'<1>of {sender}')\nexcept OSError: pass",
                running.port
            );
            assert!(command.args(["-c", &code]).status().expect("Python runs").success());
        }
        assert_eq!(running.messages(1), ["<1>of 127.0.0.2"], "{transport:?}");
        std::thread::sleep(Duration::from_millis(200));
        assert!(!running.deliveries.try_iter().any(|delivery| matches!(delivery, Delivery::Chunk(_))));
    }
}

/// Senders are partitions of their own, and their pauses are told.
#[test]
fn senders_and_pauses() {
    let running = Running::start(&settings(Transport::Udp, free_port()), 64);
    for sender in ["127.0.0.4", "127.0.0.5"] {
        let socket = UdpSocket::bind((sender, 0)).expect("a socket");
        socket.send_to(b"<1>x\0\n", ("127.0.0.1", running.port)).expect("sent");
        socket.send_to(b"\n", ("127.0.0.1", running.port)).expect("sent");
    }
    let (mut chunks, mut idle) = (BTreeMap::new(), 0);
    while idle < 2 {
        match running.deliveries.recv_timeout(LONG).expect("a delivery") {
            Delivery::Chunk(chunk) => {
                assert_eq!((chunk.bytes.as_slice(), chunk.offset), (&b"<1>x"[..], 0));
                chunks.insert(chunk.partition.key.clone(), chunk.partition.label.clone());
            }
            Delivery::Idle(_) => idle += 1,
            other => panic!("{other:?}"),
        }
    }
    let url = format!("udp://127.0.0.1:{}", running.port);
    let want = ["127.0.0.4", "127.0.0.5"].map(|ip| (format!("syslog:{url}/{ip}"), format!("{ip} at {url}")));
    assert_eq!(chunks, BTreeMap::from(want));
}

/// A port that is taken is tried until it is free.
#[test]
fn a_taken_port() {
    let port = free_port();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port");
    let (source, _) = syslog::new("relay", &settings(Transport::Tcp, port)).expect("sound settings");
    let (out, deliveries) = bounded(64);
    let stop = Stop::default();
    let its = stop.clone();
    let thread = std::thread::spawn(move || source.run(out, its));
    let next = || deliveries.recv_timeout(LONG).expect("a delivery");
    assert!(matches!(next(), Delivery::Trouble(trouble) if trouble.failing && trouble.message.contains("another program")));
    drop(taken);
    assert!(matches!(next(), Delivery::Trouble(trouble) if !trouble.failing));
    TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stop.stop();
    thread.join().expect("the source's thread");
}

#[test]
fn logger_of_util_linux() {
    let Some(logger) = program("logger") else { panic!("logger belongs to every Debian") };
    let send = |port: u16, how: &[&str]| {
        let port = port.to_string();
        let mut command = Command::new(&logger);
        command.args(["--server", "127.0.0.1", "--port", &port, "--tag", "postgres", "--id=77"]).args(how).arg("--").arg("hello there");
        assert!(command.status().expect("logger runs").success());
    };
    let running = Running::start(&settings(Transport::Udp, free_port()), 64);
    send(running.port, &["--udp", "--rfc3164"]);
    send(running.port, &["--udp", "--rfc5424"]);
    let got = running.messages(2);
    assert!(got[0].starts_with("<13>") && got[0].ends_with(" postgres[77]: hello there"), "{got:?}");
    assert!(got[1].starts_with("<13>1 ") && got[1].ends_with("hello there"), "{got:?}");
    let running = Running::start(&settings(Transport::Tcp, free_port()), 64);
    send(running.port, &["--tcp", "--rfc5424", "--octet-count"]);
    send(running.port, &["--tcp", "--rfc3164"]);
    let got = running.messages(2);
    assert!(got[0].starts_with("<13>1 ") && got[0].ends_with("hello there"), "{got:?}");
    assert!(got[1].ends_with(" postgres[77]: hello there"), "{got:?}");
}

#[test]
fn rsyslog_over_udp_and_tcp() {
    if support::skip([rsyslog::missing()]) {
        return;
    }
    for (transport, options) in [
        (Transport::Udp, "protocol=\"udp\""),
        (Transport::Tcp, "protocol=\"tcp\""),
        (Transport::Tcp, "protocol=\"tcp\" TCP_Framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\""),
    ] {
        let running = Running::start(&settings(transport, free_port()), 256);
        let folder = tempfile::tempdir().expect("a folder");
        let action = format!("*.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" {options})", running.port);
        let rsyslog = Rsyslog::start(folder.path(), &action);
        for text in ["[1-1] hello", "[1-2] \tthere", "[2-1] with\nbreak"] {
            rsyslog.log(text);
        }
        // rsyslog says for itself that it has started.
        let mut got = running.messages(3);
        got.retain(|text| text.contains("postgres"));
        got.extend(running.messages(3 - got.len()));
        for (text, want) in got.iter().zip(["[1-1] hello", "[1-2] #011there", "[2-1] with#012break"]) {
            assert!(text.ends_with(want) && text.contains("db1"), "{options}: {text}");
        }
    }
}

/// A certificate authority and two certificates, made by openssl.
fn certificates(folder: &Path) {
    let run = |args: &[&str]| {
        let output = Command::new(program("openssl").expect("openssl")).current_dir(folder).args(args).output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let subject = |name: &str| format!("/CN={name}");
    run(&["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", &subject("ca")]);
    for name in ["server", "client"] {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        run(&["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", &subject(name)]);
        std::fs::write(folder.join("names"), format!("subjectAltName=DNS:{name},IP:127.0.0.1\n")).expect("the names");
        run(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-out",
            &certificate,
            "-extfile",
            "names",
        ]);
    }
}

#[test]
fn rsyslog_over_tls() {
    let openssl = program("openssl").is_none().then(|| "openssl is not installed".to_owned());
    if support::skip([rsyslog::missing(), openssl]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let file = |name: &str| Some(folder.path().join(name));
    for client in [false, true] {
        let settings = Syslog {
            certificate_file: file("server.pem"),
            key_file: file("server.key"),
            client_ca_file: if client { file("ca.pem") } else { None },
            ..settings(Transport::Tls, free_port())
        };
        let running = Running::start(&settings, 256);
        let own = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let drivers = format!(
            "global(DefaultNetstreamDriver=\"ossl\" DefaultNetstreamDriverCAFile=\"{}\" DefaultNetstreamDriverCertFile=\"{}\" \
             DefaultNetstreamDriverKeyFile=\"{}\")",
            path("ca.pem"),
            path("client.pem"),
            path("client.key")
        );
        let action = format!(
            "{drivers}\n*.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\" \
             StreamDriver=\"ossl\" StreamDriverMode=\"1\" StreamDriverAuthMode=\"anon\" template=\"RSYSLOG_SyslogProtocol23Format\")",
            running.port
        );
        let rsyslog = Rsyslog::start(own.path(), &action);
        rsyslog.log("[1-1] hello");
        let got = wait_for("the message", LONG, || running.messages(1).pop().filter(|text| text.contains("postgres")));
        assert!(got.ends_with("[1-1] hello"), "{got}");
        if client {
            // Without a certificate nobody is heard.
            let mut stream = running.connect();
            let _ = stream.write_all(b"<13>in the clear\n");
            std::thread::sleep(Duration::from_millis(300));
            assert!(!running.deliveries.try_iter().any(|delivery| matches!(delivery, Delivery::Chunk(_))));
        }
    }
}

/// PostgreSQL's messages over UDP through the daemon: counted, attributed, also those that a relay cut; what comes first decides nothing.
#[test]
fn the_daemon_listens() {
    let port = free_port();
    let mut daemon = Daemon::new(&format!("[[source]]\ntype = \"syslog\"\nname = \"relay\"\nlisten = \"udp://127.0.0.1:{port}\"\n"), &[]);
    daemon.start();
    wait_listening(Transport::Udp, port);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sample = std::fs::read_to_string(support::root().join("samples/syslog/postgres-rfc5424.log")).expect("the sample");
    let send = |text: &str| assert_eq!(socket.send_to(text.as_bytes(), ("127.0.0.1", port)).expect("sent"), text.len());
    send("{\"time\":\"2026-11-22T02:21:28Z\",\"user\":\"mallory\",\"query\":\"select 1\"}");
    send("hello");
    send("<13>Nov 27 10:00:00 db1 sshd[12]: Accepted publickey for root");
    for line in sample.lines() {
        send(line);
    }
    let records = |result: &str| format!("tokenwatch_records_total{{result=\"{result}\",source=\"relay\"}}");
    daemon.wait_metric(&records("event"), 40.0);
    daemon.wait_metric(&records("reject"), 2.0);
    daemon.wait_metric("tokenwatch_events_total{kind=\"query\",source=\"relay\"}", 5.0);
    daemon.stop();
    let output = daemon.output();
    assert!(!output.contains("panicked"), "{output}");
}
