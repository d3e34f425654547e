use super::*;

fn show(records: &[&str]) -> Vec<String> {
    let (mut log, arena) = (Log::new(), Bump::new());
    let one = |record: &&str| match log.decode(Record::new(record.as_bytes()), &arena) {
        Decoded::Event(e) => format!(
            "{:?} {} {} {} {:?} {:?} {:?} {:?} {:?} {}",
            e.kind,
            e.time,
            e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
            e.address.map_or("-".to_owned(), |a| format!("{a}")),
            e.statement,
            e.objects,
            e.outcome,
            e.code,
            e.duration_us,
            if e.suspect.is_some() { "suspect" } else { "sound" }
        ),
        Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
    };
    records.iter().map(one).collect()
}

const HEAD: &str = "I261122 02:21:28.484001 611 9@util/log/event_log.go:32 ⋮ [n1,client=‹10.1.0.7:53568›,hostssl,user=‹billing›] 900 ";

#[test]
fn events() {
    let query = r#"={"Timestamp":1795314088483000000,"EventType":"query_execute","Statement":"‹SELECT total FROM \"\".\"\".invoices›","User":"‹billing›","ExecMode":"exec","NumRows":1,"Age":1.583}"#;
    let table = query
        .replace("query_execute", "sensitive_table_access")
        .replace("\"NumRows\"", "\"TableName\":\"‹shop.public.invoices›\",\"AccessMode\":\"r\",\"NumRows\"");
    let failed = r#"={"EventType":"client_authentication_failed","RemoteAddress":"‹[::1]:5›","User":"‹x›"}"#;
    let got = show(&[
        &format!("{HEAD}{query}"),
        &format!("{HEAD}{table}"),
        &format!("{HEAD}{query}"),
        &format!("{HEAD}{failed}"),
        &format!("{HEAD}{}", query.replace("\"exec\"", "\"exec-internal\"")),
        &format!("{HEAD}{}", query.replace("\"Age\"", "\"SQLSTATE\":\"42501\",\"Age\"").replace("total", "x")),
        &format!("{HEAD} hello ‹x›"),
        &format!("{HEAD}+hello"),
        &format!("{HEAD}={{"),
    ]);
    let said = "2026-11-22T02:21:28.483Z billing Authenticated 10.1.0.7 Some(\"SELECT total FROM invoices\")";
    assert_eq!(
        got,
        [
            format!("Query {said} [] Success None Some(1583) sound"),
            format!("Other {said} [\"public.invoices\"] Success None Some(1583) sound"),
            format!("Query {said} [] Success None Some(1583) sound"),
            "LoginFailed 2026-11-22T02:21:28.484001Z x Claimed ::1 None [] Denied None None sound".to_owned(),
            format!("Other {said} [] Unknown None Some(1583) sound"),
            format!("Denied {} [] Denied Some(\"42501\") Some(1583) sound", said.replace("total", "x")),
            "Other 2026-11-22T02:21:28.484001Z - - None [] Unknown None None sound".to_owned(),
            "goes on from an entry before".to_owned(),
            "an event that is not JSON".to_owned(),
        ]
    );
}

#[test]
fn json_entries() {
    let event = r#""event":{"EventType":"client_session_end","User":"billing","SessionID":"s"}"#;
    let got = show(&[
        &format!(r#"{{"channel":"SESSIONS","timestamp":"1795314088.484001000","tags":{{"client":"10.1.0.7:5"}},{event}}}"#),
        &format!(r#"{{"tag":"cockroach.sessions","c":4,"t":"1795314088.484001000","r":1,{event}}}"#),
        r#"{"c":0,"t":"1795314088.484001000","message":"x"}"#,
        r#"{"c":0,"t":"x"}"#,
        r#"{"t":"1795314088.484001000"}"#,
    ]);
    assert_eq!(
        got,
        [
            "Logout 2026-11-22T02:21:28.484001Z billing Authenticated 10.1.0.7 None [] Success None None sound",
            "Logout 2026-11-22T02:21:28.484001Z billing Authenticated - None [] Success None None sound",
            "Other 2026-11-22T02:21:28.484001Z - - None [] Unknown None None sound",
            "no time stamp",
            "not an entry of CockroachDB's log",
        ]
    );
}

#[test]
fn sinks_without_marks_name_nobody_from_then_on() {
    let event = r#"{"EventType":"query_execute","Statement":"SELECT 1","User":"billing"}"#;
    let bare = "I261122 02:21:28.484001 611 9@a.go:32  [n1,client=10.1.0.7:5] 900 =";
    for first in [format!("{bare}{event}"), format!("I261122 02:21:28.484001 611 a.go:32 [n1] Structured entry: {event}")] {
        let got = show(&[&first, &format!("{HEAD}={event}")]);
        assert!(got.iter().all(|event| event.starts_with("Query") && event.contains("Claimed") && event.ends_with("suspect")), "{got:?}");
    }
}

#[test]
fn a_name_with_line_breaks_tears_only_its_own_head() {
    let event = r#"{"EventType":"client_authentication_failed","User":"‹x›"}"#;
    let torn = format!(
        "I261122 02:21:28.484001 611 4@a.go:32 ⋮ [n1,client=‹10.1.0.7:5›,user=‹x›\n‹I261122 02:21:28.484001 611 4@a.go:32 ⋮ [n1,client=6.6.6.6:1,user=admin] 5 ={{}}›] 6 ={event}"
    );
    let got = show(&[&format!("{HEAD} begin"), &torn, torn.lines().next().unwrap(), &format!("{HEAD}={event}")]);
    let want = "LoginFailed 2026-11-22T02:21:28.484001Z x Claimed 10.1.0.7 None [] Denied None None sound";
    assert_eq!(got[1..], [want, "Other 2026-11-22T02:21:28.484001Z - - None [] Unknown None None suspect", want].map(str::to_owned));
}

#[test]
fn marks_are_taken_off() {
    let arena = Bump::new();
    assert_eq!(unmarked(BStr::new("‹a›‹b€›"), &arena), Some(BStr::new("ab€")));
    assert_eq!(unmarked(BStr::new("‹×›"), &arena), None);
    assert_eq!(unmarked(BStr::new("plain"), &arena), Some(BStr::new("plain")));
}

#[test]
fn statements_in_words() {
    let old = "I200829 18:30:13.261462 10900 sql/exec_log.go:188  [n1,client=10.1.0.7:52979,hostnossl,user=billing] ";
    let new = "I201008 21:16:13.751178 1947 sql/exec_log.go:225 ⋮ [n1,client=‹[::1]:54351›,hostnossl,user=‹billing›] ";
    let got = show(&[
        &format!(r#"{old}5 exec "app" {{"rides"[55]:READ}} "SELECT \"}}\" FROM rides\nWHERE a" {{$1:"x}} y"}} 12.192 13 OK 0"#),
        &format!(r#"{old}exec "psql" {{}} "SELECT x" {{}} 0.795 0 "no column \"x\"" 0"#),
        &format!(r#"{old}6 exec "app" {{"rides"[55]:READWRITE, "users"[5]:READ}} "UPDATE rides SET a = 1" {{}} 1 0 ERROR 0"#),
        &format!(r#"{new}1 53.832ms ‹exec› ‹"$ app"› ‹{{}}› ‹"SELECT 1"› ‹{{}}› 2 ‹""› 0 ‹{{ LATENCY_THRESHOLD }}›"#),
        &format!(r#"{new}1 53.832ms ‹exec-internal› ‹"x"› ‹{{}}› ‹"SELECT 1"› ‹{{}}› 2 ‹""› 0"#),
        &format!(r#"{old}7 exec "app" {{}} "SELECT "#),
        &format!("{old}hello"),
    ]);
    let (old, new) = ("2020-08-29T18:30:13.261462Z", "2020-10-08T21:16:13.751178Z");
    assert_eq!(
        got,
        [
            format!(
                r#"Query {old} billing Claimed 10.1.0.7 Some("SELECT \"}}\" FROM rides\nWHERE a") ["rides"] Success None Some(12192) suspect"#
            ),
            format!(r#"Error {old} billing Claimed 10.1.0.7 Some("SELECT x") [] Error None Some(795) suspect"#),
            format!(r#"Error {old} billing Claimed 10.1.0.7 Some("UPDATE rides SET a = 1") ["rides"] Error None Some(1000) suspect"#),
            format!(r#"Query {new} billing Claimed ::1 Some("SELECT 1") [] Success None Some(53832) suspect"#),
            format!(r#"Other {new} billing Claimed ::1 Some("SELECT 1") [] Unknown None Some(53832) suspect"#),
            format!("Other {old} - - None [] Unknown None None suspect"),
            format!("Other {old} - - None [] Unknown None None suspect"),
        ]
    );
}
