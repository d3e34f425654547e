//! What judging costs: events per second through `engine.step`, and memory, for 100, 10,000 and 1,000,000 tokens.
//!
//! `cargo bench --bench engine [-- TOKENS...]` prints figures and asserts nothing. Each token works forty times a day on each of several days from three
//! addresses, half of them in two networks, with one client, sends six statements on four objects, and shows something new on one event in ten thousand; events
//! of different tokens follow each other, so that every one finds its token's record cold.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use smallvec::smallvec;
use tokenwatch::baseline::Baseline;
use tokenwatch::baseline::surprise::History;
use tokenwatch::baseline::unit::Units;
use tokenwatch::detect::Settings;
use tokenwatch::engine::Engine;
use tokenwatch::event::{Kind, Operation, Outcome, Time};
use tokenwatch::observation::{Evidence, Network, Observation, Scope, Violations};
use tokenwatch::position::Partition;
use tokenwatch::token::{TokenId, WordId};

/// Events of a token on a day.
const ROUNDS: u64 = 40;
const BATCH: usize = 4_096;

fn main() {
    let wanted: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if wanted.is_empty() { vec![100, 10_000, 1_000_000] } else { wanted };
    println!(
        "a baseline is {} bytes flat, {} of them today's units, {} the history",
        size_of::<Baseline>(),
        size_of::<Units>(),
        size_of::<History>()
    );
    for tokens in sizes {
        let days = (8_000_000 / tokens / ROUNDS).clamp(3, 100) as i64;
        let mut engine = Engine::new(Arc::new(Settings::new(7 * Time::DAY, Time::DAY, 1.0, Arc::from([]))));
        let mut found = Vec::new();
        let before = resident();
        let (mut seconds, mut events) = (0.0, 0u64);
        let partition = Arc::new(Partition { source: "bench".into(), key: "bench".into(), label: "bench".into() });
        let mut batch = Vec::with_capacity(BATCH);
        for day in 0..days {
            for round in 0..ROUNDS {
                for token in 0..tokens {
                    batch.push(observation(token, day, round, &partition));
                    if batch.len() == BATCH || token + 1 == tokens {
                        let started = Instant::now();
                        engine.step(&batch, &mut found);
                        let spent = started.elapsed().as_secs_f64();
                        if day > 0 {
                            seconds += spent;
                            events += batch.len() as u64;
                        }
                        batch.clear();
                        found.clear();
                    }
                }
            }
        }
        let bytes = resident().saturating_sub(before);
        println!(
            "{tokens:>9} tokens: {:>6.0} ns an event, {:.2} million events/s on one thread; {:>5.0} MiB, {:.0} bytes a token",
            1e9 * seconds / events as f64,
            events as f64 / seconds / 1e6,
            bytes as f64 / f64::from(1 << 20),
            bytes as f64 / tokens as f64,
        );
    }
}

fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn observation(token: u64, day: i64, round: u64, partition: &Arc<Partition>) -> Observation {
    let chance = mix(token ^ mix(round ^ mix(day as u64)));
    let own = mix(token);
    let place = (chance % 3) as u8;
    let subnet = if own.is_multiple_of(2) { place / 2 } else { 0 };
    let address = Ipv4Addr::new(10, (own % 200) as u8, subnet, 2 + place);
    let new = chance.is_multiple_of(10_000);
    let object = WordId(if new { chance } else { mix(own % 500 + chance % 4) });
    let shape = WordId(if new { chance } else { mix(own % 500 + 7_000 + chance % 6) });
    let time = Time((20_000 + day) * Time::DAY + 8 * Time::HOUR + (10 * Time::HOUR / ROUNDS as i64) * round as i64 + token as i64 % 1_000);
    Observation {
        token: TokenId((u128::from(own) << 64) | (u128::from(token) + 1)),
        time,
        kind: Kind::Query,
        operation: Operation::Select,
        outcome: Outcome::Success,
        acting: true,
        network: Some(Network::Ip(IpAddr::V4(address))),
        client: Some(WordId(own % 12)),
        database: None,
        shape: Some(shape),
        skeleton: Some(WordId(own % 50 + chance % 2)),
        catalog: false,
        sensitive: false,
        scopes: smallvec![Scope { operation: Operation::Select, object }],
        violations: Violations::default(),
        kept: Violations::default(),
        rules: smallvec![],
        principal: None,
        rows: None,
        forgeable: false,
        at: Evidence { partition: partition.clone(), offset: 0, len: 100 },
    }
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("kB") << 10
}
