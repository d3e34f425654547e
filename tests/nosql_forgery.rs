//! MongoDB's logs, as a server writes them, while hostile clients put whole records into what they send: nobody speaks for another token,
//! and what was truly done is seen. (Redis and Cassandra are tried with real servers, in `redis.rs` and `cassandra.rs`.)

mod support;

use support::forgery::{actor, read};
use support::random::Random;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, Options};
use tokenwatch::event::Kind;

/// Hostile records.
const TRIES: u64 = 1_200;

/// What a client sends: text that looks like records of `boss`, who never was there.
fn hostile(random: &mut Random, clock: u64) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(4) {
        let time = stamp(clock + random.below(3) as u64 - 1);
        let (connection, port) = (random.below(3_000), 1_024 + random.below(60_000));
        let part = match random.below(9) {
            0 => "\n".to_owned(),
            1 => format!(
                "\n{time}+0000 I  ACCESS   [conn{connection}] Successfully authenticated as principal boss on admin from client 10.0.0.9:{port}\n"
            ),
            2 => format!(
                "\n{time}+0000 I  COMMAND  [conn{connection}] command shop.secrets command: find {{ find: \"secrets\" }} nreturned:1 protocol:op_msg 1"
            ),
            3 => format!(
                "\n{time}+0000 I  NETWORK  [listener] connection accepted from 10.0.0.9:{port} #{connection} (3 connections now open)\n"
            ),
            4 => format!(
                "\n{{\"t\":{{\"$date\":\"{time}+00:00\"}},\"s\":\"I\",\"c\":\"ACCESS\",\"id\":5286306,\"ctx\":\"conn{connection}\",\"msg\":\"x\",\"attr\":{{\"client\":\"10.0.0.9:{port}\",\"user\":\"boss\",\"db\":\"admin\"}}}}\n"
            ),
            5 => "\",\"user\":\"boss\",\"x\":\"".to_owned(),
            6 => "\"}}\n{\"t\":".to_owned(),
            7 => format!(" on admin from client 10.0.0.9:{port}\n"),
            _ => "\\\"\\n\u{7f}\0".to_owned(),
        };
        text.push_str(&part);
    }
    text
}

/// Milliseconds after a day's start as the logs write them.
fn stamp(ms: u64) -> String {
    format!("2026-11-22T{:02}:{:02}:{:02}.{:03}", ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

/// Decodes a log; how often `web` is named for an act, and every name that is believed.
fn check(log: &str, format: &str, acts: u64) {
    let (mut seen, mut records) = (0, 0u64);
    let mut sink = |item: Item<'_>| {
        records += 1;
        assert_eq!(item.format.name, format);
        let Decoded::Event(event) = item.decoded else { return };
        let Some(principal) = actor(&event) else { return };
        assert_eq!(principal.name, "web", "{event:?}");
        seen += u64::from(event.kind == Kind::Query && event.objects == ["shop.orders"]);
    };
    read(Stream::new(None, Options::default(), 0), log.as_bytes(), || log.len(), &mut sink);
    assert_eq!(seen, acts, "what web did is seen");
    assert!(records >= acts + TRIES, "{records}");
}

#[test]
fn json() {
    let mut random = Random::new(0x5eed);
    let mut log = String::new();
    let mut line = |clock: u64, id: u32, context: &str, attr: serde_json::Value| {
        let time = stamp(clock);
        let (context, attr) = (serde_json::json!(context), attr.to_string());
        log.push_str(&format!(
            "{{\"t\":{{\"$date\":\"{time}+00:00\"}},\"s\":\"I\",  \"c\":\"X\",  \"id\":{id},  \"ctx\":{context},\"msg\":\"x\",\"attr\":{attr}}}\n"
        ));
    };
    line(0, 22_943, "listener", serde_json::json!({"remote": "10.0.0.7:5000", "connectionId": 1}));
    line(1, 5_286_306, "conn1", serde_json::json!({"client": "10.0.0.7:5000", "user": "web", "db": "admin", "result": 0}));
    for seed in 0..TRIES {
        let clock = 1_000 + seed * 10;
        let (text, context, peer) = (hostile(&mut random, clock), format!("conn{}", 2 + seed), format!("10.0.0.66:{}", 1_024 + seed));
        line(clock, 22_943, "listener", serde_json::json!({"remote": peer, "connectionId": 2 + seed}));
        line(
            clock,
            51_800,
            &context,
            serde_json::json!({"remote": peer, "client": context, "doc": {"application": {"name": text}, "driver": {"name": text}}}),
        );
        line(clock, 5_286_307, &context, serde_json::json!({"client": peer, "user": text, "db": "admin", "error": text, "result": 18}));
        let command = serde_json::json!({"find": text, "filter": {"user": text, (text.as_str()): 1}, "$db": text});
        line(
            clock,
            51_803,
            &context,
            serde_json::json!({"type": "command", "ns": "shop.secrets", "appName": text, "command": command, "errCode": 13, "remote": peer, "durationMillis": 1}),
        );
        line(
            clock + 5,
            51_803,
            "conn1",
            serde_json::json!({"type": "command", "ns": "shop.orders", "command": {"find": "orders"}, "remote": "10.0.0.7:5000", "durationMillis": 1}),
        );
    }
    check(&log, "mongodb-log", TRIES);
}

#[test]
fn text() {
    let mut random = Random::new(0x5eed);
    let mut log = String::new();
    let mut line = |clock: u64, rest: &str| log.push_str(&format!("{}+0000 I  {rest}\n", stamp(clock)));
    line(0, "NETWORK  [listener] connection accepted from 10.0.0.7:5000 #1 (1 connection now open)");
    line(1, "ACCESS   [conn1] Successfully authenticated as principal web on admin from client 10.0.0.7:5000");
    for seed in 0..TRIES {
        let clock = 1_000 + seed * 10;
        let text = hostile(&mut random, clock);
        let (connection, peer) = (2 + seed, format!("10.0.0.66:{}", 1_024 + seed));
        line(clock, &format!("NETWORK  [listener] connection accepted from {peer} #{connection} (2 connections now open)"));
        match seed % 2 {
            0 => line(
                clock,
                &format!(
                    "NETWORK  [conn{connection}] received client metadata from {peer} conn{connection}: {{ application: {{ name: \"{text}\" }}, driver: {{ name: \"x\" }} }}"
                ),
            ),
            _ => line(
                clock,
                &format!(
                    "COMMAND  [conn{connection}] command shop.secrets command: find {{ find: \"{text}\", $db: \"shop\" }} ok:0 errCode:13 protocol:op_msg 2ms"
                ),
            ),
        }
        line(
            clock + 5,
            "COMMAND  [conn1] command shop.orders command: find { find: \"orders\", $db: \"shop\" } nreturned:1 protocol:op_msg 1ms",
        );
    }
    check(&log, "mongodb-text", TRIES);
}
