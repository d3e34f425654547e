use super::*;
use crate::config::JsonMapping;
use crate::decoder::by_name;
use crate::decoder::stream::{Item, Stream};
use crate::event::{Address, Time};

/// What a test looks at, as one line: `kind time user(provenance)@address:port database client | operation objects | statement |
/// outcome code rows us session suspect`.
fn show(decoded: &Decoded<'_>) -> String {
    let e = match decoded {
        Decoded::Event(e) => e,
        Decoded::Reject(reason) => return format!("rejected: {reason}"),
        Decoded::Skip(reason) => return format!("skipped: {reason}"),
    };
    let text = |t: Option<&bstr::BStr>| t.map_or("-".to_owned(), |t| t.to_string());
    let principal = e.principal.map_or("-".to_owned(), |p| match p.provenance {
        Provenance::Authenticated => p.name.to_string(),
        _ => format!("{}?", p.name),
    });
    let address = e.address.as_ref().map_or("-".to_owned(), Address::to_string);
    let port = e.port.map_or(String::new(), |p| format!(":{p}"));
    let objects: Vec<_> = e.objects.iter().map(|o| o.to_string()).collect();
    let operation = e.operation.map_or("-", Operation::name);
    let mut line = format!("{:?} {principal}@{address}{port} {} {}", e.kind, text(e.database), text(e.client));
    line += &format!(" | {operation} {} | {} | {:?} {}", objects.join(" "), text(e.statement), e.outcome, text(e.code));
    if let Some(rows) = e.rows {
        line += &format!(" rows={rows}");
    }
    if let Some(duration) = e.duration_us {
        line += &format!(" us={duration}");
    }
    if e.suspect.is_some() {
        line += " SUSPECT";
    }
    line
}

/// Each record as one broker message.
fn messages(options: Options, records: &[&str]) -> Vec<String> {
    read(Some(&FORMAT), options, records)
}

/// The same of a format that is detected, `None`, or named.
fn read(format: Option<&'static Format>, options: Options, records: &[&str]) -> Vec<String> {
    let mut stream = Stream::new(format, options, 0);
    let mut all = Vec::new();
    for (offset, record) in records.iter().enumerate() {
        let mut sink = |item: Item<'_>| all.push(show(&item.decoded));
        stream.message(offset as u64, record.as_bytes(), &mut sink);
        // A line inside may wait for what continues it.
        stream.pause(&mut sink);
    }
    all
}

fn check(record: &str, wanted: &str) {
    assert_eq!(messages(Options::default(), &[record]), [wanted], "{record}");
}

#[test]
fn usual_names() {
    check(
        r#"{"time":"2026-11-22T02:21:28Z","user":"billing","client_ip":"10.1.0.7:51","database":"app","application_name":"psql","query":"SELECT \"a\nb\"","rows":3,"duration_ms":1.5,"session":7}"#,
        "Query billing@10.1.0.7:51 app psql | -  | SELECT \"a\nb\" | Unknown - rows=3 us=1500",
    );
    check(
        r#"{"@timestamp":1795314088.25,"user":{"name":"etl"},"source":{"ip":"::1","port":9},"db":{"statement":"select 1","system":"postgresql"},"event":{"outcome":"failure"},"sqlstate":"42501"}"#,
        "Denied etl@::1:9 - - | -  | select 1 | Denied 42501",
    );
    check(
        r#"{"timestamp":1795314088123,"principal":"svc","operation":"READ","objects":["app.a","app.b",{"x":1}],"status":"ok","remote_host":"localhost"}"#,
        "Query svc@local - - | select app.a app.b | - | Success -",
    );
    check(r#"{"ts":1795314088,"username":"a","event":"login","success":true}"#, "Login a@- - - | -  | - | Success -");
    check(r#"{"ts":1795314088,"username":"a","event":"login","success":false}"#, "LoginFailed a?@- - - | -  | - | Error -");
    check(r#"{"ts":1795314088,"username":"a","operation":"connect","code":1045}"#, "LoginFailed a?@- - - | connect  | - | Denied 1045");
    check(r#"{"ts":1795314088,"username":"a","table":"t","op":"mapreduce"}"#, "Query a@- - - | other t | - | Unknown -");
    check(r#"{"ts":1795314088}"#, "Other -@- - - | -  | - | Unknown -");
}

#[test]
fn what_cannot_be_read() {
    check(r#"{"user":"a","query":"x"}"#, "rejected: no time stamp: name its field in the source's mapping");
    check(r#"{"time":"yesterday","user":"a"}"#, "rejected: unreadable time stamp");
    for record in ["", "[]", "[1,2]", "7", "null", "\"x\"", "{\"time\":1", "{\"time\":1}}", "{'a':1}", "{\"a\":1} {\"a\":2}", "\u{0}"] {
        check(record, "rejected: not a JSON object");
    }
    let deep = format!("{{\"user\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    check(&deep, "rejected: no time stamp: name its field in the source's mapping");
}

/// A relay that builds JSON by hand lets its clients write fields; a doubled one gives it away.
#[test]
fn doubled_fields_name_no_token() {
    check(r#"{"ts":1795314088,"query":"x","user":"admin","query":"y","user":"web"}"#, "Query admin?@- - - | -  | x | Unknown - SUSPECT");
    // Different places of the same field are no contradiction: the better name wins.
    check(r#"{"ts":1795314088,"username":"b","user":"a","query":"x"}"#, "Query a@- - - | -  | x | Unknown -");
}

#[test]
fn times() {
    let wanted = Some(Time(1_795_314_088_250_000));
    let mut stamps = Timestamps::new(Some(jiff::tz::TimeZone::get("Europe/Berlin").expect("zone data")));
    for value in [
        pick::Value::Integer(1_795_314_088_250),
        pick::Value::Integer(1_795_314_088_250_000),
        pick::Value::Integer(1_795_314_088_250_000_000),
        pick::Value::Float(1_795_314_088.25),
        pick::Value::Text("1795314088.25"),
        pick::Value::Text("1795314088250"),
        pick::Value::Text("2026-11-22T02:21:28.25Z"),
        pick::Value::Text("2026-11-22T03:21:28.25+01:00"),
        pick::Value::Text("2026-11-22 03:21:28.25"),
        pick::Value::Text("2026-11-22 02:21:28.25 UTC"),
    ] {
        assert_eq!(fields::time(value, &mut stamps), wanted, "{value:?}");
    }
    assert_eq!(fields::time(pick::Value::Integer(1_795_314_088), &mut stamps), Some(Time(1_795_314_088_000_000)));
    assert_eq!(fields::time(pick::Value::Text("..."), &mut stamps), None);
    assert_eq!(fields::time(pick::Value::Float(f64::NAN), &mut stamps), None);
}

#[test]
fn a_mapping_says_where() {
    let fields = [("principal", "/who/0/na~1me"), ("time", "/w"), ("statement", "/q")];
    let mapping = JsonMapping { fields: fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into(), ..JsonMapping::default() };
    let options = Options { mapping: Some(mapping), ..Options::default() };
    let got =
        messages(options, &[r#"{"w":1795314088,"who":[{"na/me":"svc"},{"na/me":"no"}],"user":"relay","q":"select 1","ip":"10.0.0.1"}"#]);
    assert_eq!(got, ["Query svc@10.0.0.1 - - | -  | select 1 | Unknown -"]);
}

const AUDIT: &str = "20261122 02:21:28,vm,tok_web,127.0.0.2,7,99,QUERY,app,'SELECT 1',0";
const AUDIT_SEEN: &str = "Query tok_web@127.0.0.2 app - | -  | SELECT 1 | Success 0";

#[test]
fn envelopes() {
    for envelope in [
        format!(
            r#"{{"@timestamp":"2026-11-22T02:21:29Z","message":"{AUDIT}","log":{{"file":{{"path":"/x"}},"offset":7}},"host":{{"name":"h"}}}}"#
        ),
        format!(r#"{{"date":1795314088.1,"log":"{AUDIT}"}}"#),
        format!(r#"{{"message":"{AUDIT}","timestamp":"2026-11-22T02:21:29Z","file":"/x","host":"h"}}"#),
        format!(r#"{{"log":"{AUDIT}\n","stream":"stderr","time":"2026-11-22T02:21:29.1Z"}}"#),
        format!(r#"{{"log":"{{\"message\":\"{AUDIT}\"}}\n","stream":"stderr","time":"2026-11-22T02:21:29.1Z"}}"#),
    ] {
        assert_eq!(read(None, Options::default(), &[&envelope]), [AUDIT_SEEN], "{envelope}");
    }
}

#[test]
fn a_demanded_envelope() {
    let mapping =
        JsonMapping { envelope: Some("/payload/line".to_owned()), inner: Some("mariadb-audit".to_owned()), ..JsonMapping::default() };
    let options = Options { mapping: Some(mapping), ..Options::default() };
    let good = format!(r#"{{"payload":{{"line":"{AUDIT}"}},"query":"not this"}}"#);
    let got = messages(options, &[&good, r#"{"payload":{"line":"nonsense"}}"#, r#"{"ts":1795314088,"user":"a"}"#]);
    let wanted = [AUDIT_SEEN, "rejected: no time stamp and server name at the start", "rejected: no text at the envelope's pointer"];
    assert_eq!(got, wanted);
}

/// The records of a PostgreSQL server, wrapped, mean what they mean unwrapped.
#[test]
fn postgres_inside() {
    for name in ["postgres-csv", "postgres-json"] {
        let Some(folder) = reallogs() else { return };
        let file = folder.join("postgresql/small-all").join(if name == "postgres-csv" { "postgresql.csv" } else { "postgresql.json" });
        let log = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let format = by_name(name).expect("a known format");
        let (mut plain, mut records) = (Vec::new(), Vec::new());
        let mut stream = Stream::new(Some(format), Options::default(), 0);
        let mut sink = |item: Item<'_>| {
            // What is not UTF-8 cannot stand in JSON as it is.
            if let Ok(text) = std::str::from_utf8(item.raw) {
                plain.push(show(&item.decoded));
                records.push(serde_json::json!({ "@timestamp": "2026-11-22T02:21:29Z", "message": text }).to_string());
            }
        };
        stream.feed(&log, &mut sink);
        stream.close(&mut sink);
        let refs: Vec<&str> = records.iter().map(String::as_str).collect();
        let wrapped = read(None, Options::default(), &refs);
        assert!(plain.len() > 1000, "{}: {} records", file.display(), plain.len());
        for ((plain, wrapped), record) in plain.iter().zip(&wrapped).zip(&records) {
            assert_eq!(plain, wrapped, "{record}");
        }
    }
}

/// Logs of real servers, where they lie beside the project.
fn reallogs() -> Option<std::path::PathBuf> {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reallogs");
    let folder = std::env::var_os("TOKENWATCH_REALLOGS").map_or(beside, Into::into);
    if !folder.is_dir() {
        println!("SKIPPED: no folder {} (set TOKENWATCH_REALLOGS)", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn detected() {
    let certain = |sample: &str| sniff(sample.as_bytes(), &Options::default()).certainty;
    assert_eq!(certain(r#"{"time":"2026-11-22T02:21:28Z","user":"a","query":"x"}"#), 70);
    assert_eq!(certain("{\"log\":\"x\"}\n{\"log\":\"y\"}\n{\"lo"), 10);
    assert_eq!(certain(r#"{"a":1}"#), 10);
    assert_eq!(certain("[1]\n"), 0);
    assert_eq!(certain("{not json\n"), 0);
}

#[test]
fn samples_are_events() {
    let (name, count) = ("records.jsonl", 5);
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/json").join(name);
    let log = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut stream = Stream::new(None, Options::default(), 0);
    let mut sink = |item: Item<'_>| assert!(matches!(item.decoded, Decoded::Event(_)), "{name}: {}", show(&item.decoded));
    stream.feed(&log, &mut sink);
    stream.close(&mut sink);
    assert_eq!((stream.format().map(|(f, _)| f.name), stream.counts().events), (Some("json"), count), "{name}");
}

proptest::proptest! {
    /// Whatever bytes come, one answer and no panic.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let mut json = Json::new(&Options::default());
        let _ = json.decode(Record::new(&bytes), &Bump::new());
    }
}
