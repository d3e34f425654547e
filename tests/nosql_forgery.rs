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

/// A refused login as each version writes it; the second part of `name` is what a client may send besides.
fn refusal(form: usize, name: &str, more: &str, peer: &str) -> String {
    let address = peer.split(':').next().unwrap_or_default();
    match form {
        0 => format!(
            "SASL SCRAM-SHA-1 authentication failed for {name} on admin from client {peer} ; UserNotFound: Could not find user \"{name}\" for db \"admin\""
        ),
        1 => format!(
            "SASL SCRAM-SHA-256 authentication failed for {name} on admin from client {peer} ; AuthenticationFailed: SCRAM authentication failed, storedKey mismatch"
        ),
        2 => format!(
            "SCRAM-SHA-1 authentication failed for {name} on admin from client {address} ; UserNotFound Could not find user {name}@admin"
        ),
        3 => format!(
            "Failed to authenticate {name}@admin with mechanism MONGODB-CR: AuthenticationFailed UserNotFound Could not find user {name}@admin"
        ),
        4 => format!(
            "Failed to authenticate {name}@$external from client {peer} with mechanism MONGODB-X509: AuthenticationFailed: There is no x.509 client certificate matching the user."
        ),
        5 => format!(
            "Failed to authenticate {name}@admin with mechanism MONGODB-X509: AuthenticationFailed SSL support is required for the MONGODB-X509 mechanism."
        ),
        6 => format!(
            "SASL SCRAM-SHA-1 authentication failed for {name} on admin from client {peer} ; BadValue: Invalid SCRAM-SHA-1 client nonce: r={more}"
        ),
        7 => {
            format!("Failed to authenticate {name}@admin from client {peer} with mechanism {more}: BadValue: Unsupported mechanism {more}")
        }
        _ => {
            let text = format!(
                "SASL SCRAM-SHA-1 authentication failed for {name} on admin from client {peer} ; UserNotFound: Could not find user \"{name}\" for db \"admin\""
            );
            let third = text.len() / 3;
            format!(
                "warning: log line attempted (11kB) over max size (10kB), printing beginning and end ... {} .......... {}",
                &text[..third],
                &text[text.len() - third..]
            )
        }
    }
}

/// Refused logins whose names hold the end of a refused login, whole lines of `boss` and of `web`, and the beginning of one.
#[test]
fn refused_logins() {
    let mut random = Random::new(0x5eed);
    let mut log = String::new();
    let filler = "x".repeat(6_000);
    let mut clock = 0u64;
    let mut line = |clock: u64, rest: &str| log.push_str(&format!("{}+0000 I  {rest}\n", stamp(clock)));
    let tries = TRIES;
    line(0, "NETWORK  [listener] connection accepted from 10.0.0.7:5000 #1 (1 connection now open)");
    line(1, "ACCESS   [conn1] Successfully authenticated as principal web on admin from client 10.0.0.7:5000");
    for seed in 0..tries {
        clock += 100;
        let (connection, peer) = (2 + seed, format!("10.0.0.66:{}", 1_024 + seed));
        let time = stamp(clock);
        let own = ["10.0.0.9:1", "10.0.0.66", &peer, &peer, &peer][random.below(5)].to_owned();
        // What the name begins with: an end as a server writes it, or none.
        let begin = match random.below(9) {
            0 => "x".to_owned(),
            8 => "MONGODB-X509: AuthenticationFailed: no".to_owned(),
            1 => "x\" for db \"admin\"".to_owned(),
            form => refusal(form - 2, "x", "y", &own)
                .split_once(" for ")
                .map_or_else(|| format!("x on admin from client {own} ; AuthenticationFailed: no"), |(_, rest)| rest.to_owned()),
        };
        let begin = match begin.split_once("authenticate ") {
            Some((_, rest)) => rest.to_owned(),
            None => begin,
        };
        let mut name = begin.clone();
        for _ in 0..1 + random.below(3) {
            let forged = match random.below(6) {
                0 => format!("ACCESS   [conn{connection}] Successfully authenticated as principal boss on admin from client {peer}"),
                1 => "COMMAND  [conn1] command shop.secrets command: find { find: \"secrets\", $db: \"shop\" } nreturned:1 protocol:op_msg 1ms".to_owned(),
                2 => format!("NETWORK  [listener] connection accepted from 10.0.0.9:1 #{} (3 connections now open)\n{time}+0000 I  ACCESS   [conn{}] Successfully authenticated as principal boss on admin from client 10.0.0.9:1", connection + 1, connection + 1),
                3 => format!("ACCESS   [conn{connection}] {}", refusal(random.below(8), "x", "y", &own)),
                4 => "COMMAND  [conn1] CMD: drop shop.secrets".to_owned(),
                _ => format!("ACCESS   [conn{connection}] Successfully authenticated as principal boss on admin"),
            };
            name.push_str(&format!("\n{time}+0000 I  {forged}"));
        }
        // What it ends with: the beginning of a line.
        let end = match random.below(8) {
            0 => String::new(),
            1 => format!("\n{time}+0000 I  ACCESS   [conn{connection}] SASL SCRAM-SHA-1 authentication failed for x"),
            2 => format!("\n{time}+0000 I  ACCESS   [conn{}] Failed to authenticate x", connection.saturating_sub(1)),
            3 => format!("\n{time}+0000 I  NETWORK  [conn9999] received client metadata from 10.0.0.9:1 conn9999: {{ x: \""),
            4 => format!(
                "\n{time}+0000 I  ACCESS   [conn{connection}] Successfully authenticated as principal boss on admin from client {peer}"
            ),
            5 => "\n".to_owned(),
            6 => format!("\n{time}+0000 I  COMMAND  [conn1] command shop.secrets command: find {{ find: \""),
            _ => format!("\n{time}+0000 I  ACCESS   [conn{connection}] {}", refusal(random.below(8), "x", "y", &own)),
        };
        name.push_str(&end);
        line(clock, &format!("NETWORK  [listener] connection accepted from {peer} #{connection} (2 connections now open)"));
        let form = random.below(9);
        let text = if form == 6 || form == 7 {
            refusal(form, ["x", &name][random.below(2)], &name, &peer)
        } else {
            refusal(form, &name, "", &peer)
        };
        line(clock, &format!("ACCESS   [conn{connection}] {text}"));
        for _ in 0..4 {
            line(
                clock + 5,
                &format!(
                    "COMMAND  [conn1] command shop.other command: find {{ find: \"other\", filter: {{ x: \"{filler}\" }}, $db: \"shop\" }} nreturned:1 protocol:op_msg 1ms"
                ),
            );
        }
        line(
            clock + 5,
            "COMMAND  [conn1] command shop.orders command: find { find: \"orders\", $db: \"shop\" } nreturned:1 protocol:op_msg 1ms",
        );
    }
    let mut secrets = 0;
    let mut sink = |item: Item<'_>| {
        let Decoded::Event(event) = item.decoded else { return };
        secrets += u64::from(actor(&event).is_some() && event.objects.iter().any(|object| *object == "shop.secrets"));
    };
    read(Stream::new(None, Options::default(), 0), log.as_bytes(), || 1 + random.below(9_000), &mut sink);
    assert_eq!(secrets, 0, "acts of web that were none");
    check(&log, "mongodb-text", tries);
}

/// Whoever tries passwords, on one connection or on many, takes nobody's name away: but with a mechanism whose refusals could be the rest
/// of a name.
#[test]
fn guessing_hides_nobody() {
    for (form, hides) in [(0, false), (1, true), (2, false), (3, false), (4, true), (5, true)] {
        for one in [true, false] {
            let mut log = String::new();
            let mut line = |clock: u64, rest: &str| log.push_str(&format!("{}+0000 I  {rest}\n", stamp(clock)));
            line(0, "NETWORK  [listener] connection accepted from 10.0.0.7:5000 #1 (1 connection now open)");
            line(1, "ACCESS   [conn1] Successfully authenticated as principal web on admin from client 10.0.0.7:5000");
            for attempt in 0..1_000u64 {
                let connection = if one { 2 } else { 2 + attempt };
                let peer = format!("10.0.0.66:{}", 1_024 + connection);
                if connection == 2 + attempt {
                    line(
                        2 + attempt,
                        &format!("NETWORK  [listener] connection accepted from {peer} #{connection} (2 connections now open)"),
                    );
                }
                line(2 + attempt, &format!("ACCESS   [conn{connection}] {}", refusal(form, &format!("user{attempt}"), "", &peer)));
                line(
                    2 + attempt,
                    "COMMAND  [conn1] command shop.orders command: find { find: \"orders\", $db: \"shop\" } nreturned:1 protocol:op_msg 1ms",
                );
            }
            let mut seen = 0;
            let mut sink = |item: Item<'_>| {
                let Decoded::Event(event) = item.decoded else { return };
                seen += u64::from(actor(&event).is_some_and(|who| who.name == "web") && event.kind == Kind::Query);
            };
            read(Stream::new(None, Options::default(), 0), log.as_bytes(), || log.len(), &mut sink);
            let wanted = if hides && (one || form == 5) { 1 } else { 1_000 };
            assert_eq!(seen, wanted, "form {form}, on one connection: {one}");
        }
    }
}
