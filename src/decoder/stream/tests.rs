//! What a log is taken for, and messages of a broker that hold several records.

use super::*;

/// Position and statement of every event that comes of these messages. Before those with the numbers `restarts` the program ends, and goes on
/// from what it had saved.
fn told(messages: &[&str], restarts: &[usize]) -> Vec<(u64, String)> {
    let mut events = Vec::new();
    let mut sink = |item: Item<'_>| match item.decoded {
        Decoded::Event(event) => events.push((item.offset, event.statement.map(ToString::to_string).unwrap_or_default())),
        Decoded::Reject(reason) => events.push((item.offset, reason.to_owned())),
        Decoded::Skip(_) => {}
    };
    let (mut stream, mut next) = (Stream::new(None, Options::default(), 0), 0);
    let mut restarts = restarts.iter().peekable();
    while let Some(message) = messages.get(next) {
        if restarts.next_if(|restart| **restart == next).is_some() {
            let (offset, state) = (stream.offset(), stream.save());
            stream = Stream::new(None, Options::default(), offset);
            stream.restore(&state);
            next = usize::try_from(offset).unwrap();
            continue;
        }
        stream.message(next as u64, message.as_bytes(), &mut sink);
        next += 1;
    }
    stream.close(&mut sink);
    events
}

fn line(second: usize, text: &str) -> String {
    format!("2026-11-22 02:21:{second:02}.123 UTC [77] web@app LOG:  statement: {text}")
}

fn check(messages: &[String], want: &[(u64, &str)]) {
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    for restarts in [&[][..], &[1], &[2], &[1, 2]] {
        // Each lane is done in its own time.
        let mut told = told(&messages, restarts);
        told.sort();
        let told: Vec<(u64, &str)> = told.iter().map(|(offset, text)| (*offset, text.as_str())).collect();
        assert_eq!(told, want, "restarted before {restarts:?}");
    }
}

#[test]
fn several_lanes_and_lines_in_a_message() {
    let stream = |job: &str, lines: &[&str]| {
        let values: Vec<[&str; 2]> = lines.iter().map(|line| ["1795314089200000000", *line]).collect();
        serde_json::json!({"stream": {"job": job}, "values": values})
    };
    let push = |streams: &[serde_json::Value]| serde_json::json!({"streams": streams}).to_string();
    let (a, b, c, d, e) = (line(28, "select a"), line(29, "select b,"), line(30, "select c"), line(31, "select d"), line(32, "select e"));
    let messages = [
        push(&[stream("one", &[&a, &b]), stream("two", &[&c, &d])]),
        push(&[stream("one", &["\tb2"]), stream("one", &["\tb3", &e])]),
        push(&[stream("two", &["\td2", &c])]),
    ];
    check(&messages, &[(0, "select a"), (0, "select b,\nb2\nb3"), (0, "select c"), (0, "select d\nd2"), (1, "select e"), (2, "select c")]);
}

#[test]
fn objects_and_arrays_of_envelopes() {
    let event = |text: &str| serde_json::json!({"id": "3", "timestamp": 1_795_314_089_200_u64, "message": text});
    let events = |lines: &[String]| serde_json::json!({"events": lines.iter().map(|line| event(line)).collect::<Vec<_>>()}).to_string();
    let (a, b, c) = (line(28, "select a"), line(29, "select b"), line(30, "select c"));
    let want = [(0, "select a"), (0, "select b"), (1, "select c"), (2, "select a"), (2, "select b")];
    check(&[events(&[a.clone(), b.clone()]), events(std::slice::from_ref(&c)), events(&[a.clone(), b.clone()])], &want);
    let array = |lines: &[&String]| {
        let objects: Vec<_> = lines.iter().map(|line| serde_json::json!({"date": 1_795_314_089.2, "log": line})).collect();
        serde_json::to_string(&objects).unwrap()
    };
    check(&[array(&[&a, &b]), array(&[&c]), array(&[&a, &b])], &want);
}

#[test]
fn words_before_lines_are_no_containers() {
    for line in ["web-1 app some words\n", "error 2026-11-22T02:21:28Z some words\n", "web-1   | some words\n"] {
        let (mut stream, mut rejected) = (Stream::new(None, Options::default(), 0), 0);
        let mut sink = |item: Item<'_>| rejected += usize::from(matches!(item.decoded, Decoded::Reject(_)));
        stream.feed(line.repeat(20).as_bytes(), &mut sink);
        stream.close(&mut sink);
        assert_eq!(rejected, 20, "{line}");
    }
    // A user and a database.
    let (mut stream, mut users) = (Stream::new(None, Options::default(), 0), std::collections::BTreeSet::new());
    let of = |second: usize| ["web app", "bob crm", "ann app"][second % 3];
    let log: String = (10..50).map(|second| format!("{} {}\n", of(second), line(second, "select 1").replace(" web@app", ""))).collect();
    let mut sink = |item: Item<'_>| match item.decoded {
        Decoded::Event(event) => users.extend(event.principal.map(|principal| principal.name.to_string())),
        _ => panic!("an event"),
    };
    stream.feed(log.as_bytes(), &mut sink);
    stream.close(&mut sink);
    assert_eq!(users.into_iter().collect::<Vec<_>>(), ["ann", "bob", "web"]);
}

#[test]
fn a_message_that_holds_no_envelope_is_rejected() {
    let object = serde_json::json!({"date": 1_795_314_089.2, "log": line(28, "select a")}).to_string();
    let messages = [&format!("[{object}]"), "[1,2]", "[", &object];
    let told = told(&messages, &[]);
    assert_eq!(told.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [1, 2, 0, 3], "{told:?}");
}

#[test]
fn a_compressed_log_is_one_after_a_restart_too() {
    let messages = ["BZh91AY&SY", "x", "y"];
    let want: Vec<(u64, String)> = (0..3).map(|offset| (offset, COMPRESSED.to_owned())).collect();
    for restarts in [&[][..], &[1], &[1, 2]] {
        assert_eq!(told(&messages, restarts), want, "restarted before {restarts:?}");
    }
}
