use super::*;
use crate::decoder::stream::Stream;

/// What a test looks at of one decoded record.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    raw: String,
    reject: Option<&'static str>,
    kind: Option<Kind>,
    user: String,
    trusted: bool,
    suspect: Option<&'static str>,
    statement: String,
    objects: Vec<String>,
    address: String,
    outcome: Option<Outcome>,
    time: i64,
}

/// Decodes `log`, shown to the stream in pieces of `piece` bytes.
fn decode(log: &[u8], piece: usize) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut stream = Stream::new(Some(&FORMAT), Options::default(), 0);
    let mut sink = |item: crate::decoder::stream::Item<'_>| {
        let raw = BStr::new(item.raw).to_string();
        let mut seen = Seen {
            raw,
            reject: None,
            kind: None,
            user: String::new(),
            trusted: false,
            suspect: item.frame.suspect,
            statement: String::new(),
            objects: Vec::new(),
            address: String::new(),
            outcome: None,
            time: 0,
        };
        match item.decoded {
            Decoded::Event(e) => {
                seen.kind = Some(e.kind);
                if let Some(p) = e.principal {
                    seen.user = p.name.to_string();
                    seen.trusted = p.provenance == Provenance::Authenticated;
                }
                seen.statement = e.statement.map(|s| s.to_string()).unwrap_or_default();
                seen.objects = e.objects.iter().map(|o| o.to_string()).collect();
                seen.address = e.address.map(|a| a.to_string()).unwrap_or_default();
                seen.outcome = Some(e.outcome);
                seen.time = e.time.0;
            }
            Decoded::Reject(reason) => seen.reject = Some(reason),
            Decoded::Skip(_) => {}
        }
        all.push(seen);
    };
    for piece in log.chunks(piece) {
        stream.feed(piece, &mut sink);
    }
    stream.close(&mut sink);
    let counts = stream.counts();
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes, "every byte is accounted for");
    all
}

fn sample(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/mariadb-audit").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_session() {
    let log = b"20261122 02:21:28,vm,tok_web,127.0.0.2,7,0,CONNECT,app,,0\n\
        20261122 02:21:29,vm,tok_web,127.0.0.2,7,99,READ,app,customers,\n\
        20261122 02:21:29,vm,tok_web,127.0.0.2,7,99,READ,mysql,table_stats,\n\
        20261122 02:21:29,vm,tok_web,127.0.0.2,7,99,QUERY,app,'SELECT \\'a\\nb\\' FROM customers',0\n\
        20261122 02:21:29,vm,tok_web,127.0.0.2,7,100,QUERY,app,'SELECT * FROM secret.s',1142\n\
        20261122 02:21:30,vm,tok_web,127.0.0.2,7,0,DISCONNECT,app,,0\n";
    let all = decode(log, 7);
    let kinds: Vec<_> = all.iter().filter_map(|s| s.kind).collect();
    assert_eq!(kinds, [Kind::Login, Kind::Other, Kind::Other, Kind::Query, Kind::Denied, Kind::Logout]);
    assert!(all.iter().all(|s| s.trusted && s.user == "tok_web" && s.address == "127.0.0.2" && s.suspect.is_none()));
    assert_eq!(all[3].statement, "SELECT 'a\nb' FROM customers");
    assert_eq!(all[3].objects, ["app.customers"]);
    assert_eq!(all[4].outcome, Some(Outcome::Denied));
    assert_eq!(all[0].time, 1_795_314_088_000_000);
}

#[test]
fn time_forms() {
    let zone = Some(jiff::tz::TimeZone::get("Europe/Berlin").expect("zone data"));
    let mut audit = Audit::new(Start::Timed, &Options { zone, ..Options::default() });
    assert_eq!(audit.time(b"20261122 02:21:28"), Some(Time(1_795_310_488_000_000)));
    assert_eq!(audit.time(b"1795314088123456"), Some(Time(1_795_314_088_123_456)));
    assert_eq!(audit.time(b"2026-11-22T02:21:28.5Z"), Some(Time(1_795_314_088_500_000)));
    assert_eq!(audit.time(b"20261322 02:21:28"), None);
}

/// A log of a real server with real hostile clients: names with commas, line ends and whole forged rows, before and after
/// authentication.
#[test]
fn real_server_with_hostile_clients() {
    let log = sample("hostile.log");
    for piece in [usize::MAX, 4096, 100, 1] {
        let all = decode(&log, piece.min(log.len()));
        for seen in &all {
            let forged = ["forged3", "forged4", "forged5"].iter().any(|f| seen.raw.contains(f));
            assert!(!(forged && seen.trusted), "{seen:?}");
            assert!(seen.user != "tok_admin" && seen.user != "x", "{seen:?}");
        }
        let refused: Vec<_> = all.iter().filter(|s| s.kind == Some(Kind::LoginFailed)).collect();
        assert_eq!(refused.len(), 7, "{refused:#?}");
        let names: Vec<_> = refused.iter().filter(|s| s.suspect == Some(guard::NAME)).map(|s| s.user.lines().count()).collect();
        assert_eq!(names, [3, 2, 2]);
        assert_eq!(all.iter().filter(|s| s.reject.is_some()).count(), 0, "{all:#?}");
        // The account that really is called "tok\nnl".
        assert_eq!(all.iter().filter(|s| s.user == "tok\nnl" && !s.trusted).count(), 4);
    }
}

#[test]
fn detected() {
    let guess = sniff(&sample("hostile.log"), &Options::default());
    assert!(guess.certainty >= 90, "{guess:?}");
    assert_eq!(sniff(b"2026-11-22 02:21:28.000 UTC [12] LOG:  a, b\n", &Options::default()), Guess::NO);
    assert_eq!(sniff(b"{\"a\":1}\n", &Options::default()), Guess::NO);
}

mod forgery {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// What a hostile client puts into its user name. `VICTIM` stands for a row of somebody else's connection, as true
    /// as an attacker can make it who knows every name, address, and connection number, and can guess statement numbers.
    #[derive(Debug, Clone)]
    enum Piece {
        Junk(String),
        LineEnd,
        Head,
        Victim { offset: i64, kind: u8 },
        OwnRefused,
        OwnEnd,
        OtherRefused,
        OtherEnd,
    }

    fn piece() -> impl Strategy<Value = Piece> {
        prop_oneof![
            2 => "[a-z,']{0,12}".prop_map(Piece::Junk),
            4 => Just(Piece::LineEnd),
            3 => Just(Piece::Head),
            5 => (-3i64..40, 0u8..5).prop_map(|(offset, kind)| Piece::Victim { offset, kind }),
            1 => Just(Piece::OwnRefused),
            1 => Just(Piece::OwnEnd),
            1 => Just(Piece::OtherRefused),
            1 => Just(Piece::OtherEnd),
        ]
    }

    /// The plugin, with three honest sessions.
    struct Server {
        log: Vec<u8>,
        /// Start of each true record -> it is a session's own.
        honest: HashSet<String>,
        query: u64,
        next: u64,
        write_end: bool,
    }

    const TIME: &str = "20261122 02:21:30";
    const VICTIM: &str = "tok_admin,10.0.0.9";
    const VICTIM_ID: u64 = 5;

    impl Server {
        fn new(write_end: bool) -> Self {
            let mut server = Server { log: Vec::new(), honest: HashSet::new(), query: 100, next: 50, write_end };
            server.own(format!("{TIME},vm,{VICTIM},{VICTIM_ID},0,CONNECT,app,,0"));
            server.own(format!("{TIME},vm,tok_web,10.0.0.2,6,0,CONNECT,app,,0"));
            server
        }

        fn own(&mut self, row: String) {
            self.log.extend_from_slice(row.as_bytes());
            self.log.push(b'\n');
            self.honest.insert(row);
        }

        fn work(&mut self, rows: usize) {
            for i in 0..rows {
                self.query += 1;
                let (who, id) = if i % 3 == 0 { (VICTIM, VICTIM_ID) } else { ("tok_web,10.0.0.2", 6) };
                let query = self.query;
                self.own(format!("{TIME},vm,{who},{id},{query},READ,app,t{query},"));
                self.own(format!("{TIME},vm,{who},{id},{query},QUERY,app,'SELECT {query} FROM t{query}',0"));
            }
        }

        fn attack(&mut self, pieces: &[Piece], between: usize) {
            let id = self.next;
            self.next += 1;
            let mut name = String::new();
            for piece in pieces {
                let more = match piece {
                    Piece::Junk(text) => text.clone(),
                    Piece::LineEnd => "\n".to_owned(),
                    Piece::Head => format!("\n{TIME},vm,"),
                    Piece::Victim { offset, kind } => {
                        let query = self.query.saturating_add_signed(*offset);
                        let row = match kind {
                            0 => format!("{VICTIM},{VICTIM_ID},{query},QUERY,app,'DROP TABLE forged',0"),
                            1 => format!("{VICTIM},{VICTIM_ID},{query},READ,secret,forged,"),
                            2 => "tok_admin,6.6.6.6,49,0,CONNECT,forged,,0".to_owned(),
                            3 => format!("{VICTIM},{VICTIM_ID},0,DISCONNECT,forged,,0"),
                            _ => "tok_admin,6.6.6.6,4000,9999,QUERY,app,'DROP TABLE forged',0".to_owned(),
                        };
                        format!("{row}\n{TIME},vm,")
                    }
                    Piece::OwnRefused => format!("a,6.6.6.6,{id},0,FAILED_CONNECT,,,1045\n{TIME},vm,"),
                    Piece::OwnEnd => format!("a,6.6.6.6,{id},0,DISCONNECT,,,0\n{TIME},vm,"),
                    Piece::OtherRefused => format!("a,6.6.6.6,{},0,FAILED_CONNECT,,,1045\n{TIME},vm,", id + 1),
                    Piece::OtherEnd => format!("a,6.6.6.6,{},0,DISCONNECT,,,0\n{TIME},vm,", id + 1),
                };
                if name.len() + more.len() > 512 {
                    break;
                }
                name.push_str(&more);
            }
            self.log.extend_from_slice(format!("{TIME},vm,{name},6.6.6.6,{id},0,FAILED_CONNECT,,,1045\n").as_bytes());
            self.work(between);
            if self.write_end {
                self.log.extend_from_slice(format!("20261122 02:21:31,vm,{name},6.6.6.6,{id},0,DISCONNECT,,,0\n").as_bytes());
            }
        }
    }

    /// Every believed event is an honest row; returns how many honest rows were lost.
    fn judge(server: &Server, piece: usize) -> usize {
        let mut found = HashSet::new();
        for seen in decode(&server.log, piece) {
            if seen.trusted {
                assert!(server.honest.contains(&seen.raw), "forged: {seen:?}\n{}", BStr::new(&server.log));
                found.insert(seen.raw);
            }
        }
        server.honest.len() - found.len()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// A server that writes both rows: no forged event, and not one honest row lost.
        #[test]
        fn nothing_forged_nothing_lost(
            attacks in prop::collection::vec((prop::collection::vec(piece(), 0..8), 0usize..4, 0usize..12), 1..4),
            size in 1usize..5000,
        ) {
            let mut server = Server::new(true);
            for (pieces, before, between) in &attacks {
                server.work(*before);
                server.attack(pieces, *between);
            }
            server.work(3);
            prop_assert_eq!(judge(&server, size), 0, "{}", BStr::new(&server.log));
        }

        /// A server that writes no DISCONNECT for refused logins: statements guessed right are all that can pass.
        #[test]
        fn without_the_second_row(pieces in prop::collection::vec(piece(), 0..8), before in 0usize..4, size in 1usize..5000) {
            let pieces: Vec<_> = pieces.into_iter().filter(|p| !matches!(p, Piece::Victim { offset: 1.., kind: 0 | 1 } | Piece::Victim { offset: 0, kind: 1 })).collect();
            let mut server = Server::new(false);
            server.work(before);
            server.attack(&pieces, 3);
            judge(&server, size);
        }
    }
}
