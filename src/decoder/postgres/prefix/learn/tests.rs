//! Prefixes learned from their lines.

use super::super::last_word;
use super::*;

fn learn_of(lines: &[&str]) -> Option<(Prefix, usize)> {
    let lines: Vec<Sampled<'_>> = lines.iter().map(|line| (line.as_bytes(), last_word(line.as_bytes()))).collect();
    learn(&lines, &mut Work(ALL))
}

/// Lines under a prefix: a start, two sessions with different forms of names, and a refused one.
fn learned(lines: &[&str]) -> String {
    let (prefix, good) = learn_of(lines).unwrap();
    assert_eq!(good, lines.len(), "{} on {lines:?}", prefix.text);
    prefix.text
}

#[test]
fn names_that_the_server_tells() {
    let lines = [
        "< 2026-11-22 02:05:17.355 UTC   6b024ddd.3d4: >LOG:  database system is ready to accept connections",
        "< 2026-11-22 02:05:18.355 UTC shop shop 6b024dde.3d5: >LOG:  connection authorized: user=shop database=shop",
        "< 2026-11-22 02:05:19.355 UTC web appdb 6b024ddf.3d6: >LOG:  connection authorized: user=web database=appdb application_name=x",
        "< 2026-11-22 02:05:19.455 UTC web appdb 6b024ddf.3d6: >LOG:  statement: SELECT 1",
    ];
    assert_eq!(learned(&lines), "< %t %u %d %c: >");
}

#[test]
fn the_database_may_come_first() {
    let lines = [
        "[3d4] 2026-11-22 02:05:17 UTC LOG:  database system is ready to accept connections",
        "[3d5] 2026-11-22 02:05:18 UTC appdb|web|10.0.0.1(5001) LOG:  connection authorized: user=web database=appdb",
        "[3d5] 2026-11-22 02:05:18 UTC appdb|web|10.0.0.1(5001) LOG:  statement: SELECT 1",
        "[3d6] 2026-11-22 02:05:18 UTC appdb|etl|2001:db8::7(5002) ERROR:  x",
    ];
    let lines: Vec<String> = lines.iter().map(|line| line.replace("3d", "98")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(learned(&lines), "[%p] %t %q%d|%u|%r ");
}

#[test]
fn labels() {
    let lines = [
        "2026-11-22 02:05:17.355 UTC [980] LOG:  checkpoint starting: time",
        "2026-11-22 02:05:18.355 UTC [981] web@appdb client=10.0.0.1 app=psql 15 tx=0 LOG:  statement: SELECT 1",
        "2026-11-22 02:05:19.355 UTC [982] etl@appdb client=[local] app=[unknown] tx=77 LOG:  statement: SELECT 2",
        "2026-11-22 02:05:19.355 UTC [982] etl@appdb client=[local] app=[unknown] tx=77 ERROR:  x",
    ];
    assert_eq!(learned(&lines), "%t [%p] %q%u@%d client=%h app=%a tx=%x ");
}

#[test]
fn letters_without_a_sign() {
    let lines = [
        "2026-11-22 02:05:17.355 UTC P980 U D LOG:  checkpoint starting: time",
        "2026-11-22 02:05:18.355 UTC P981 Uweb Dappdb LOG:  statement: SELECT 1",
        "2026-11-22 02:05:19.355 UTC P982 Uetl Dshop LOG:  statement: SELECT 2",
        "2026-11-22 02:05:19.355 UTC P982 U[unknown] D[unknown] LOG:  connection received: host=10.0.0.7 port=5",
    ];
    assert_eq!(learned(&lines), "%t P%p U%u D%d ");
    let lines = lines.map(|line| line.replace(" U D ", " "));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(learned(&lines), "%t P%p %qU%u D%d ");
}

#[test]
fn what_holds_no_prefix_teaches_nothing() {
    assert!(learn_of(&["LOG:  x", "ERROR:  y"]).is_none());
    assert!(learn_of(&["nothing at all"]).is_none());
}
