//! Redis' MONITOR and ACL LOG of a real server: every command is found back with its client, user, operation and objects, and hostile
//! clients write nothing in another's name.

mod support;

use std::fs;
use std::net::SocketAddr;

use support::forgery::read;
use support::random::Random;
use support::redis::{self, Client, Redis};
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, Options};
use tokenwatch::event::{Address, Kind, Provenance};

const USERS: [&str; 3] = [
    "web on >pw-web ~app:* &app:* +@all -@admin -@dangerous",
    "etl on >pw-etl ~etl:* ~app:* &* +@all -@admin",
    "boss on >pw-boss ~* &* +@all",
];

/// An event, owned and in few words.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    kind: Kind,
    user: Option<(String, Provenance)>,
    address: String,
    operation: &'static str,
    objects: Vec<String>,
    doubtful: bool,
}

/// The events of a log, its format being detected; panics on a reject.
fn told(log: &[u8], format: &str) -> Vec<Told> {
    let mut events = Vec::new();
    let mut sink = |item: Item<'_>| {
        assert_eq!(item.format.name, format);
        match item.decoded {
            Decoded::Event(event) => events.push(Told {
                kind: event.kind,
                user: event.principal.map(|p| (p.name.to_string(), p.provenance)),
                address: match (event.address, event.port) {
                    (Some(Address::Ip(ip)), Some(port)) => SocketAddr::new(ip, port).to_string(),
                    other => format!("{other:?}"),
                },
                operation: event.operation.expect("an operation").name(),
                objects: event.objects.iter().map(|o| o.to_string()).collect(),
                doubtful: event.suspect.is_some(),
            }),
            Decoded::Reject(reason) => panic!("{reason}: {}", item.raw.escape_ascii()),
            Decoded::Skip(_) => {}
        }
    };
    read(Stream::new(None, Options::default(), 0), log, || log.len(), &mut sink);
    events
}

fn login(redis: &Redis, from: &str, user: &str) -> Client {
    let mut client = redis.connect(from);
    assert_eq!(client.call(&["AUTH", user, &format!("pw-{user}")]), "+OK");
    client
}

/// What was run and what must be found.
type Done = (String, String, &'static str, Vec<String>);

fn run(client: &mut Client, user: &str, done: &mut Vec<Done>, command: &[&str], operation: &'static str, objects: &[&str]) {
    let answer = client.call(command);
    assert!(!answer.starts_with("-NOPERM"), "{command:?}: {answer}");
    done.push((user.to_owned(), client.address.to_string(), operation, objects.iter().map(|o| (*o).to_owned()).collect()));
}

#[test]
fn every_command_is_found_back_with_its_user() {
    if support::skip([redis::missing()]) {
        return;
    }
    let mut redis = Redis::start(&USERS);
    redis.monitor();
    let mut web = [login(&redis, "127.0.0.2", "web"), login(&redis, "127.0.0.3", "web")];
    let mut etl = login(&redis, "127.0.0.4", "etl");
    let mut boss = login(&redis, "127.0.0.5", "boss");
    // The first list may have been made before the logins that stand in front of it, for all that the log tells.
    redis.wait_monitor(&format!("[0 {}]", boss.address));
    redis.list_clients();
    redis.list_clients();

    let mut done = Vec::new();
    for round in 0..50 {
        for client in &mut web {
            run(client, "web", &mut done, &["GET", &format!("app:{round}")], "select", &["app:*"]);
            run(client, "web", &mut done, &["SET", &format!("app:{round}"), "val ue \"q\" \r\n \u{1}"], "update", &["app:*"]);
            run(client, "web", &mut done, &["LPUSH", "app:queue", "a", "b"], "insert", &["app:*"]);
        }
        run(&mut etl, "etl", &mut done, &["MSET", "etl:1", "x", "app:2", "y"], "update", &["etl:*", "app:*"]);
        run(&mut etl, "etl", &mut done, &["RENAME", "etl:1", "etl:2"], "alter", &["etl:*"]);
        run(&mut etl, "etl", &mut done, &["EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", "app:lua"], "call", &["app:*"]);
        done.push(("etl".to_owned(), etl.address.to_string(), "update", vec!["app:*".to_owned()]));
        run(&mut etl, "etl", &mut done, &["ZUNIONSTORE", "etl:z", "2", "etl:a", "app:b"], "update", &["etl:*", "app:*"]);
        run(&mut etl, "etl", &mut done, &["XREAD", "COUNT", "1", "STREAMS", "etl:s", "app:t", "0", "0"], "select", &["etl:*", "app:*"]);
        run(&mut boss, "boss", &mut done, &["KEYS", "*"], "select", &["*"]);
        run(&mut boss, "boss", &mut done, &["DEL", "sessions", "counter1"], "delete", &["sessions", "counter*"]);
        run(&mut boss, "boss", &mut done, &["SELECT", "3"], "other", &[]);
        run(&mut boss, "boss", &mut done, &["FLUSHDB"], "truncate", &["*"]);
    }
    // Another user on the same connection: nobody is named until a list has surely come after.
    assert_eq!(web[0].call(&["AUTH", "etl", "pw-etl"]), "+OK");
    web[0].call(&["GET", "app:switch"]);
    redis.wait_monitor("app:switch");
    redis.list_clients();
    redis.list_clients();
    run(&mut web[0], "etl", &mut done, &["GET", "etl:last"], "select", &["etl:*"]);
    let log = redis.wait_monitor("etl:last");

    let acts: Vec<Told> = told(&log, "redis-monitor").into_iter().filter(|t| t.kind == Kind::Query || t.operation == "other").collect();
    let (unnamed, named): (Vec<Told>, Vec<Told>) = acts.into_iter().partition(|t| t.user.is_none());
    assert_eq!(unnamed.len(), 1, "{unnamed:#?}");
    let found: Vec<Done> = named
        .into_iter()
        .map(|told| {
            let (user, provenance) = told.user.expect("a user");
            assert_eq!(provenance, Provenance::Authenticated);
            (user, told.address, told.operation, told.objects)
        })
        .collect();
    assert_eq!(found.len(), done.len());
    for (number, (found, done)) in found.iter().zip(&done).enumerate() {
        assert_eq!(found, done, "command {number}");
    }
}

/// Text that looks like lines of the log, out of a few parts.
fn hostile(random: &mut Random) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..1 + random.below(5) {
        let part: &[u8] = match random.below(9) {
            0 => b"\n",
            1 => b"\r\n1795315035.784814 [0 127.0.0.5:9] \"FLUSHALL\"\n",
            2 => b"\" \"",
            3 => b"\\\"\\n\\",
            4 => b"\nid=1 addr=127.0.0.5:9 user=boss\n",
            5 => b"\n1)  1) \"count\"\n    2) (integer) 1\n    3) \"reason\"\n    4) \"command\"\n",
            6 => b"count\n1\nreason\ncommand\nusername\nboss\n",
            7 => b"\0\xff\xfe\x1b[2J",
            _ => b"] \"x",
        };
        text.extend_from_slice(part);
    }
    text
}

#[test]
fn nobody_writes_in_anothers_name() {
    if support::skip([redis::missing()]) {
        return;
    }
    let mut redis = Redis::start(&USERS);
    redis.monitor();
    let boss = login(&redis, "127.0.0.5", "boss");
    let mut web = login(&redis, "127.0.0.2", "web");
    let mut stranger = redis.connect("127.0.0.66");
    redis.wait_monitor(&format!("[0 {}]", web.address));
    redis.list_clients();
    redis.list_clients();
    const TRIES: u64 = 1_200;
    let mut random = Random::new(0x5eed);
    for seed in 0..TRIES {
        let text = hostile(&mut random);
        web.call(&[b"SET", [b"app:", text.as_slice()].concat().as_slice(), &text]);
        assert!(web.call(&[b"GET", [b"secret", text.as_slice()].concat().as_slice()]).starts_with("-NOPERM"));
        web.call(&[b"CLIENT".as_slice(), b"SETNAME", &text]);
        stranger.call(&[b"AUTH".as_slice(), &text, b"x"]);
        stranger.call(&[b"HELLO".as_slice(), b"3", b"AUTH", &text, b"x"]);
        if seed % 100 == 0 {
            redis.list_clients();
        }
    }
    web.call(&["GET", "app:last"]);
    let log = redis.wait_monitor("app:last");
    let events = told(&log, "redis-monitor");
    let mut sets = 0;
    for event in &events {
        let by_web = event.address == web.address.to_string();
        let as_web = event.user.as_ref().is_some_and(|(name, _)| name == "web");
        assert!(by_web && (as_web || event.kind != Kind::Query) || !by_web && !as_web, "{event:?}");
        assert!(event.user.as_ref().is_none_or(|(name, _)| name != "boss"), "{event:?}");
        assert!(event.operation != "truncate", "{event:?}");
        sets += u64::from(by_web && event.operation == "update" && event.objects == ["app:*"]);
    }
    assert_eq!(sets, TRIES, "every command that was run is seen");
    drop(boss);

    // The list of refusals, in all three forms.
    for (option, name) in [("--no-raw", "acl.log"), ("--json", "acl.json"), ("--raw", "raw.log")] {
        let file = redis.folder().join(name);
        redis.cli(option, &["TIME"], &file);
        redis.cli(option, &["ACL", "LOG", "100000"], &file);
        let log = fs::read(&file).expect("what redis-cli printed");
        let raw = option == "--raw";
        let mut refused = 0;
        let mut sink = |item: Item<'_>| match item.decoded {
            Decoded::Event(event) => {
                let who = event.principal.map(|p| (p.name.to_vec(), p.provenance));
                assert_eq!(event.suspect.is_some(), raw);
                if event.kind == Kind::Denied && !raw {
                    assert_eq!(who, Some((b"web".to_vec(), Provenance::Authenticated)));
                    assert_eq!(event.port, Some(web.address.port()));
                    refused += 1;
                } else {
                    assert!(who.is_none_or(|(_, provenance)| provenance == Provenance::Claimed));
                }
            }
            Decoded::Reject(reason) => assert!(raw, "{reason}: {}", item.raw.escape_ascii()),
            Decoded::Skip(_) => {}
        };
        read(Stream::new(None, Options::default(), 0), &log, || log.len(), &mut sink);
        assert!(raw || refused > 100, "{refused} refusals in {name}");
    }
}

#[test]
fn refusals_are_found_back() {
    if support::skip([redis::missing()]) {
        return;
    }
    let redis = Redis::start(&USERS);
    let mut web = login(&redis, "127.0.0.2", "web");
    let mut stranger = redis.connect("127.0.0.66");
    for command in [&["FLUSHALL"][..], &["CONFIG", "GET", "*"], &["GET", "etl:1"], &["SET", "etl:2", "x"], &["PUBLISH", "news", "x"]] {
        assert!(web.call(command).starts_with("-NOPERM"), "{command:?}");
    }
    assert!(stranger.call(&["AUTH", "boss", "no"]).starts_with("-WRONGPASS"));
    for (option, name) in [("--no-raw", "acl.log"), ("--json", "acl.json")] {
        let file = redis.folder().join(name);
        redis.cli(option, &["TIME"], &file);
        redis.cli(option, &["ACL", "LOG", "128"], &file);
        let mut events = told(&fs::read(&file).expect("what redis-cli printed"), "redis-acl-log");
        events.reverse(); // the newest comes first
        let web = |operation: &'static str, objects: &[&str]| Told {
            kind: Kind::Denied,
            user: Some(("web".to_owned(), Provenance::Authenticated)),
            address: web.address.to_string(),
            operation,
            objects: objects.iter().map(|o| (*o).to_owned()).collect(),
            doubtful: false,
        };
        let wanted = [
            web("truncate", &[]),
            web("show", &[]),
            web("select", &["etl:*"]),
            web("update", &["etl:*"]),
            web("insert", &["news"]),
            Told {
                kind: Kind::LoginFailed,
                user: Some(("boss".to_owned(), Provenance::Claimed)),
                address: stranger.address.to_string(),
                operation: "connect",
                objects: Vec::new(),
                doubtful: false,
            },
        ];
        assert_eq!(events, wanted, "{name}");
    }
}
