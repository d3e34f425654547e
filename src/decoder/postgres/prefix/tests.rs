//! Lines under prefixes, harmless and hostile.

use super::*;

fn show(prefix: &str, line: &str) -> String {
    match Prefix::compile(prefix).find(line.as_bytes(), 0) {
        None => "none".to_owned(),
        Some(m) => {
            let t = |t: Option<&[u8]>| t.map_or("-".to_owned(), |t| String::from_utf8_lossy(t).into_owned());
            let f = m.fields;
            let message = String::from_utf8_lossy(&line.as_bytes()[m.message..]).into_owned();
            format!("{} {} {} {} {} | {message}", t(f.user), t(f.database), t(f.remote), t(f.application), f.pid.unwrap_or(0))
        }
    }
}

#[test]
fn lines() {
    for (prefix, line, want) in [
        ("%m [%p] ", "2026-11-22 02:05:17.355 UTC [980] LOG:  x", "- - - - 980 | x"),
        ("%m [%p] %q%u@%d ", "2026-11-22 02:05:17.355 UTC [980] LOG:  x", "- - - - 980 | x"),
        ("%m [%p] %q%u@%d ", "2026-11-22 02:05:17.355 UTC [980] a@b@c LOG:  x", "a b@c - - 980 | x"),
        ("%m [%p] %q%u@%d ", "2026-11-22 02:05:17.355 +03 [980] a@b ОШИБКА:  x", "a b - - 980 | x"),
        ("%t:%r:%u@%d:[%p]:", "2026-11-22 02:05:17 UTC:10.0.0.1(5):u@d:[7]:ERROR:  x", "u d 10.0.0.1(5) - 7 | x"),
        ("%t:%r:%u@%d:[%p]:", "2026-11-22 02:05:17 UTC::@:[7]:LOG:  x", "- - - - 7 | x"),
        ("%t:%r:%u@%d:[%p]:", "2026-11-22 02:05:17 UTC:::1(5):u@d:[7]:LOG:  x", "u d ::1(5) - 7 | x"),
        (
            "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
            "2026-11-22 02:05:17 UTC [7]: [3-1] user=u,db=d,app=x, y,client=z,client=10.1.1.1 LOG:  x",
            "u d 10.1.1.1 x, y,client=z 7 | x",
        ),
        ("%m %-8u|%p ", "2026-11-22 02:05:17.355 UTC u       |7 LOG:  x", "u - - - 7 | x"),
        ("%m [%p] %b %q%u@%d ", "2026-11-22 02:05:17.355 UTC [980] client backend a@b LOG:  x", "a b - - 980 | x"),
        ("%m [%p] %b %q%u@%d ", "2026-11-22 02:05:17.355 UTC [980] checkpointer LOG:  x", "- - - - 980 | x"),
        ("%m [%5p] %-8u %-4d ", "2026-11-22 02:05:17.355 UTC [  980] a        b    LOG:  x", "a b - - 980 | x"),
        ("%m [%5p] %-8u %-4d ", "2026-11-22 02:05:17.355 UTC [  980] longer_name base LOG:  x", "longer_name base - - 980 | x"),
        (
            "%m [%p %l %c] [%C %R %Z %H] [%r %a %u %d] ",
            "2026-11-22 02:05:17.355 EST [980 15 639235e1.3d4] [cloud1 dc1 rack1 n1] [10.0.0.1(5) ysqlsh u d] LOG:  x",
            "u d 10.0.0.1(5) ysqlsh 980 | x",
        ),
        ("%n %p %%", "1795313117.355 7 %LOG:  x", "- - - - 7 | x"),
        ("%m [%p] ", "2026-11-22 02:05:17.355 UTC [980] u@d LOG:  x", "none"),
        ("%m [%p] ", "pg_ctl: LOG:  x", "none"),
    ] {
        assert_eq!(show(prefix, line), want, "{prefix} on {line}");
    }
}

#[test]
fn the_first_word_anywhere() {
    for (text, want) in [
        ("a LOG:  x", Some((Word::Primary(Severity::Log), 8))),
        ("LOG:  x", Some((Word::Primary(Severity::Log), 6))),
        ("xLOG:  x ERROR:  y", Some((Word::Primary(Severity::Error), 17))),
        ("a@b CATALOG:  x]DETAIL :  y", Some((Word::Secondary(Label::Detail), 26))),
        ("a LOG: x", None),
        ("7 致命错误:  x", Some((Word::Primary(Severity::Fatal), 17))),
        ("7 PILE D'APPEL:  x", Some((Word::Secondary(Label::Backtrace), 17))),
    ] {
        assert_eq!(Prefix::word_anywhere(text.as_bytes()), want, "{text}");
    }
}

#[test]
fn another_prefix_is_learned() {
    let lines = |head: &str, names: &[&str]| -> String {
        let line = |(at, name): (usize, &&str)| format!("{}LOG:  statement: SELECT {at}\n", head.replace("NAME", name));
        (0..20).flat_map(|_| names.iter().enumerate()).map(line).collect()
    };
    for (sample, want) in [
        (lines("2026-11-22 02:05:17 UTC [7]: user=NAME db=d host=10.0.0.1 ", &["a", "b"]), "%t [%p]: user=%u db=%d host=%h "),
        (lines("2026-11-22 02:05:17.355 UTC 6b024ddd.7 u:(NAME) d:(shop) ", &["a", "b"]), "%t %c u:(%u) d:(%d) "),
        // What a known prefix takes for the database is more than that.
        (lines("2026-11-22 02:05:17.355 UTC [7] NAME] 10.0.0.1(5) ", &["a@d [psql", "b@d [etl 2"]), "%t [%p] %u@%d [%a] %r "),
        // Somebody has squeezed the server's blanks.
        (
            lines("2026-11-22 02:05:17 UTC [7]: u=NAME,d=shop,app=psql ", &["a", "b"]).replace("LOG:  ", "LOG: "),
            "%t [%p]: u=%u,d=%d,app=%a ",
        ),
        (lines("user=NAME,db=shop,app=psql ", &["a", "b"]).replace("LOG:  ", "LOG: "), "user=%u,db=%d,app=%a "),
        // One hostile name among many teaches nothing.
        (lines("2026-11-22 02:05:17.355 UTC [7] NAME@d ", &["a", "b", "x client=10.0.0.1"]), "%m [%p] %q%u@%d "),
    ] {
        assert_eq!(Prefix::detect(sample.as_bytes()).0.text, want, "{sample}");
    }
}

/// What a session's first lines tell: names that are not known yet, and which number counts its lines.
#[test]
fn first_lines_of_a_session() {
    let lines = |heads: [&str; 5]| -> String {
        let messages = [
            "checkpoint starting: time",
            "connection received: host=10.1.0.7 port=5",
            "connection authorized: user=web database=shop application_name=psql",
            "statement: SELECT 1",
            "disconnection: session time: 0:00:03.000 user=web database=shop host=10.1.0.7 port=5",
        ];
        let line = |(head, message)| format!("2026-11-22 02:05:17.355 UTC {head}LOG:  {message}\n");
        std::iter::zip(heads, messages).map(line).collect()
    };
    for (heads, want) in [
        (
            [
                "[7] []    ",
                "[8] [[unknown]] [unknown] [unknown] 10.1.0.7 ",
                "[8] [[unknown]] web shop 10.1.0.7 ",
                "[8] [psql] web shop 10.1.0.7 ",
                "[8] [psql] web shop 10.1.0.7 ",
            ],
            "%t [%p] [%a] %u %d %h ",
        ),
        (
            [
                "- 3 - 70 -  - @ ",
                "- 1 - 812 - 10.1.0.7 - [unknown]@[unknown] ",
                "- 2 - 812 - 10.1.0.7 - web@shop ",
                "- 3 - 812 - 10.1.0.7 - web@shop ",
                "- 4 - 812 - 10.1.0.7 - web@shop ",
            ],
            "%t - %l - %p - %h - %u@%d ",
        ),
    ] {
        assert_eq!(Prefix::detect(lines(heads).as_bytes()).0.text, want);
    }
}

#[test]
fn a_hostile_name_has_a_second_match() {
    let line = b"2026-11-22 02:05:17.355 UTC [980] a@b LOG:  statement: x@d FATAL:  no";
    let prefix = Prefix::compile("%m [%p] %q%u@%d ");
    let first = prefix.find(line, 0).unwrap();
    let second = prefix.find(line, first.at + 1).unwrap();
    assert_eq!((second.fields.user, second.fields.database), (Some(&b"a"[..]), Some(&b"b LOG:  statement: x@d"[..])));
}

#[test]
fn a_line_full_of_separators_ends_in_bounded_time() {
    let line = format!("2026-11-22 02:05:17.355 UTC [980] {}", "@ ".repeat(5000));
    assert!(Prefix::compile("%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e ").find(line.as_bytes(), 0).is_none());
}

#[test]
fn without_a_time_a_prefix_must_begin_as_it_says() {
    let within = "[77]: [3-1] db=d,user=u LOG:  x\n[77]: [4-1] db=d,user=u LOG:  y\n";
    assert_eq!(Prefix::detect(within.as_bytes()).0.text, "[%p]: [%l-1] db=%d,user=%u ");
    for other in ["{\"a\":\"b@c\",\"text\":\"db=d,user=u LOG:  x\"}\n", "ERROR: of some program\n"] {
        assert_eq!(Prefix::detect(other.as_bytes()).1, 0, "{other}");
    }
}

#[test]
fn the_prefix_of_a_sample() {
    for (sample, want) in [
        ("2026-11-22 02:05:17.355 UTC [980] LOG:  x\n2026-11-22 02:05:17.355 UTC [980] a@b LOG:  x\n", "%m [%p] %q%u@%d "),
        ("2026-11-22 02:05:17 UTC:10.0.0.1(5):u@d:[7]:ERROR:  x\n2026-11-22 02:05:17 UTC::@:[7]:LOG:  x\n", "%t:%r:%u@%d:[%p]:"),
    ] {
        assert_eq!(Prefix::detect(sample.as_bytes()).0.text, want);
    }
}

/// Lines up to 64 KiB.
fn sample(line: impl Fn(usize) -> String) -> Vec<u8> {
    let mut sample = Vec::new();
    for line in (0..).map(line) {
        if sample.len() + line.len() >= 64 << 10 {
            break;
        }
        sample.extend_from_slice(line.as_bytes());
        sample.push(b'\n');
    }
    sample
}

/// Lines that can be laid out in very many ways.
fn hostile(kind: usize, i: usize) -> String {
    const TIME: &str = "2026-11-22 02:05:17.355 UTC";
    let signs = ["=", "|", "/", "-", ":", ","];
    match kind {
        0 => format!("{TIME} {} [9] {i} LOG:  x", " ".repeat(150 + i % 20)),
        1 => format!("{TIME} [9] {}{i} LOG:  x", "a@b ".repeat(100)),
        2 => format!("{TIME} {} LOG:  {}", format!("{}u{}d ", signs[i % 6], signs[i / 6 % 6]).repeat(i % 100 + 1), "ERROR:  ".repeat(50)),
        3 => format!("{TIME} 6b024ddf.3d6 {i} u{i} d{} LOG:  {}LOG:  y", i + 1, "a b c d LOG:  f g ".repeat(40)),
        4 => format!("{TIME} [9] {}LOG:  x", format!("app{}x ", ["=", ":"][i % 2]).repeat(70)),
        5 => format!("{TIME} u{i} d{i} a{i} b{i} c{i} LOG:  {} LOG:  y", "a b c d e ".repeat(3_000)),
        _ => format!(
            "{TIME} {}LOG:  x",
            ["app= ", "cmd=", "user=u,", "app=x(", "db="].iter().cycle().skip(i).take(90).copied().collect::<String>()
        ),
    }
}

#[test]
fn a_decision_about_hostile_lines_takes_few_steps() {
    for kind in 0..7 {
        let mut work = Work(u64::MAX);
        Prefix::decide(&sample(|i| hostile(kind, i)), &mut work);
        let steps = u64::MAX - work.0;
        assert!(steps < 1_000_000, "{steps} steps for lines of kind {kind}");
    }
}

#[test]
fn hostile_lines_do_not_hinder_the_decision() {
    for kind in 0..7 {
        let lines = sample(|i| match i % 20 {
            _ if i > 240 => "end".repeat(30_000),
            7 => hostile(kind, i).chars().take(1_000).collect(),
            n if n < 3 => format!("< 2026-11-22 02:05:17.355 UTC   6b024ddd.3d4: >LOG:  checkpoint {i}"),
            n => format!(
                "< 2026-11-22 02:05:18.355 UTC u{n} db{} 6b024dde.3d5: >LOG:  connection authorized: user=u{n} database=db{}",
                i % 3,
                i % 3
            ),
        });
        let mut work = Work(known::DECISION);
        let (prefix, good, all) = Prefix::decide(&lines, &mut work);
        assert_eq!(prefix.text, "< %t %u %d %c: >", "{good} of {all} beside lines of kind {kind}");
    }
}

#[test]
fn the_program_is_no_user_of_pgpool_and_patroni_no_server() {
    let pgpool = "2026-11-22 02:05:17.355: psql pid 980: LOG:  statement: SELECT 1\n2026-11-22 02:05:17.356: etl pid 981: LOG:  statement: SELECT 2\n";
    assert_eq!(Prefix::detect(pgpool.repeat(9).as_bytes()).0.text, "%m: %a pid %p: ");
    let quiet = "2026-11-22 02:05:17,355 INFO: no action. I am (db-0), the leader with the lock\n";
    let log = format!("{}2026-11-22 02:05:17.355 UTC [980] a@b LOG:  statement: SELECT 1\n", quiet.repeat(30));
    let (prefix, good, all) = Prefix::detect(log.as_bytes());
    assert_eq!((prefix.text.as_str(), good, all), ("%m [%p] %q%u@%d ", 1, 1));
    assert!(!patroni(b"2026-11-22 02:05:17.355 INFO: x") && !patroni(b"2026-11-22"));
}

#[test]
fn what_syslog_writes_is_no_prefix() {
    let line = "Nov 22 02:05:17 db1 postgres[77]: [3-1] user:u1 LOG:  duration: 1.000 ms  statement: SELECT 1\n";
    let (prefix, good, _) = Prefix::detect(line.repeat(20).as_bytes());
    assert_eq!(good, 0, "{}", prefix.text);
}
