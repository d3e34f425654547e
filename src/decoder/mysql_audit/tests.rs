use bstr::BStr;

use crate::decoder::stream::{Item, Stream};
use crate::decoder::{Decoded, Format, Options, detect};
use crate::event::{Event, Kind, Provenance};

use super::{json, mcafee, percona, xml, zeek};

/// What a test looks at, in a line: kind, user (`?` where only claimed), address, database, statement or operation, objects, code.
fn show(event: &Event<'_>) -> String {
    let mut line = format!("{:?}", event.kind);
    if let Some(principal) = event.principal {
        let mark = if principal.provenance == Provenance::Authenticated { "" } else { "?" };
        line += &format!(" {}{mark}", principal.name);
    }
    for (name, value) in [
        ("@", event.address.map(|a| a.to_string())),
        ("db=", event.database.map(|d| d.to_string())),
        ("client=", event.client.map(|c| c.to_string())),
        ("op=", event.operation.map(|o| o.to_string())),
        ("sql=", event.statement.map(|s| s.to_string())),
        ("on=", (!event.objects.is_empty()).then(|| event.objects.iter().map(|o| o.to_string()).collect::<Vec<_>>().join("+"))),
        ("code=", event.code.map(|c| c.to_string())),
        ("rows=", event.rows.map(|r| r.to_string())),
        ("us=", event.duration_us.map(|d| d.to_string())),
        ("suspect=", event.suspect.map(str::to_owned)),
        ("cut=", event.truncated.then(String::new)),
    ] {
        if let Some(value) = value {
            line += &format!(" {name}{value}");
        }
    }
    line
}

/// Decodes `log` in pieces of `piece` bytes.
fn decode(format: &'static Format, log: &[u8], piece: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut stream = Stream::new(Some(format), Options::default(), 0);
    let mut sink = |item: Item<'_>| match &item.decoded {
        Decoded::Event(event) => all.push(show(event)),
        Decoded::Reject(reason) => all.push(format!("reject: {reason}: {}", BStr::new(item.raw))),
        Decoded::Skip(reason) => all.push(format!("skip: {reason}")),
    };
    for piece in log.chunks(piece.max(1)) {
        stream.feed(piece, &mut sink);
    }
    stream.close(&mut sink);
    let counts = stream.counts();
    assert_eq!(counts.bytes, counts.record_bytes + counts.skipped_bytes, "every byte is accounted for");
    assert_eq!(counts.records, counts.events + counts.rejects + counts.skips);
    all
}

fn check(format: &'static Format, log: &str, want: &[&str]) {
    for piece in [usize::MAX, 64, 7] {
        let all = decode(format, log.as_bytes(), piece.min(log.len()));
        assert_eq!(all, want, "{log} in pieces of {piece}");
    }
    let found = detect(log.as_bytes(), &Options::default());
    assert_eq!(found.map(|(found, _)| found.name), Some(format.name), "{log}");
}

static JSON: &Format = &json::FORMAT;
static XML: &Format = &xml::FORMAT;
static PERCONA_JSON: &Format = &percona::JSON;
static CSV: &Format = &percona::CSV;
static MCAFEE: &Format = &mcafee::FORMAT;
static ZEEK: &Format = &zeek::FORMAT;

/// One object of Enterprise's JSON.
fn object(class: &str, event: &str, user: &str, data: &str) -> String {
    format!(
        "{{ \"timestamp\": \"2026-11-22 10:00:00\", \"id\": 0, \"class\": \"{class}\", \"event\": \"{event}\", \"connection_id\": 7, \
         \"account\": {{ \"user\": \"{user}\", \"host\": \"localhost\" }}, \
         \"login\": {{ \"user\": \"{user}\", \"os\": \"\", \"ip\": \"10.0.0.7\", \"proxy\": \"\" }}, \"{class}_data\": {{ {data} }} }},\n"
    )
}

#[test]
fn enterprise_json() {
    let connected = r#""connection_type": "ssl", "status": 0, "db": "shop", "connection_attributes": { "program_name": "mysql", "_client_name": "libmysql" }"#;
    let statement = r#""command": "Query", "sql_command": "select", "query": "SELECT * FROM orders\n", "status": 0"#;
    let log = [
        "[\n".to_owned(),
        object("connection", "connect", "app", connected),
        object(
            "table_access",
            "read",
            "app",
            r#""db": "shop", "table": "orders", "query": "SELECT * FROM orders\n", "sql_command": "select""#,
        ),
        object("general", "status", "app", statement),
        object("general", "status", "app", statement),
        object(
            "general",
            "status",
            "app",
            r#""command": "Query", "sql_command": "select", "query": "SELECT * FROM secret", "status": 1142"#,
        ),
        object("general", "status", "app", r#""command": "Init DB", "sql_command": "error", "status": 0"#),
        object("general", "status", "app", r#""command": "Query", "sql_command": "select", "query": "SELECT 2", "status": 1064"#),
        object("general", "status", "app", r#""command": "Binlog Dump", "sql_command": "error", "status": 0"#),
        object("connection", "disconnect", "app", r#""connection_type": "ssl""#),
        object("connection", "connect", "root", r#""connection_type": "ssl", "status": 1045, "db": """#),
        object("message", "user", "app", r#""component": "x", "message": "class general""#),
    ];
    check(
        JSON,
        &log.concat(),
        &[
            "Login app @10.0.0.7 db=shop client=mysql op=connect code=0",
            // the first table is told before anything says that statements are told too
            "Query app @10.0.0.7 db=shop sql=SELECT * FROM orders\n",
            "Other app @10.0.0.7 db=shop sql=SELECT * FROM orders\n on=shop.orders code=0",
            "Query app @10.0.0.7 db=shop sql=SELECT * FROM orders\n code=0",
            "Denied app @10.0.0.7 db=shop sql=SELECT * FROM secret code=1142",
            "Other app @10.0.0.7 db=shop op=other code=0",
            "Error app @10.0.0.7 sql=SELECT 2 code=1064",
            "Query app @10.0.0.7 op=copy code=0",
            "Logout app @10.0.0.7",
            "LoginFailed root? @10.0.0.7 op=connect code=1045",
            "Other app @10.0.0.7",
        ],
    );
}

#[test]
fn a_statement_of_many_records_counts_once() {
    let query = |event: &str, nested: &str| {
        format!(
            "  {{\n    \"timestamp\": \"2026-11-22 10:00:00\",\n    \"time\": 1795341600000001,\n    \"id\": 3,\n    \"class\": \"query\",\n    \"event\": \"{event}\",\n    \
             \"connection_id\": 7,\n    \"query_data\": {{\n      \"query\": \"{nested}\",\n      \"status\": 0,\n      \"sql_command\": \"select\"}}\n  }},\n"
        )
    };
    let user = "app[app] @ localhost [10.0.0.7]";
    let general = |event: &str, code: u16| {
        object("general", event, user, &format!(r#""command": "Query", "sql_command": "select", "query": "SELECT 1", "status": {code}"#))
    };
    let one = [general("log", 0), query("query_start", "SELECT 1"), query("query_status_end", "SELECT 1"), general("status", 0)].concat();
    check(
        JSON,
        &format!("[\n{one}{one}"),
        &[
            "Other app @10.0.0.7 sql=SELECT 1",
            "Other app @10.0.0.7 code=0",
            "Query app @10.0.0.7 sql=SELECT 1 code=0",
            "Other app @10.0.0.7 sql=SELECT 1 code=0",
            "Other app @10.0.0.7 sql=SELECT 1",
            "Other app @10.0.0.7 code=0",
            "Query app @10.0.0.7 sql=SELECT 1 code=0",
            "Other app @10.0.0.7 sql=SELECT 1 code=0",
        ],
    );
    // Only what a filter lets through.
    let ends = [query("query_status_end", "SELECT 1"), query("query_nested_status_end", "SELECT 9"), query("query_status_end", "SELECT 1")];
    check(JSON, &ends.concat(), &["Query sql=SELECT 1 code=0", "Other code=0", "Query sql=SELECT 1 code=0"]);
    let table = |name: &str| {
        object("table_access", "insert", "app", &format!(r#""db": "d", "table": "{name}", "query": "INSERT 1", "sql_command": "insert""#))
    };
    check(
        JSON,
        &[table("a"), table("b"), table("a")].concat(),
        &["Query app @10.0.0.7 sql=INSERT 1", "Other app @10.0.0.7 op=insert on=d.b", "Query app @10.0.0.7 sql=INSERT 1"],
    );
}

#[test]
fn accounts_that_verify_nobody() {
    let anonymous = object("connection", "connect", "bob", r#""status": 0"#)
        .replace("\"account\": { \"user\": \"bob\"", "\"account\": { \"user\": \"\"");
    let later = object("general", "status", "", r#""command": "Query", "query": "SELECT 1", "status": 0"#);
    check(JSON, &[anonymous, later].concat(), &["Login bob? @10.0.0.7 op=connect code=0", "Query bob? @10.0.0.7 sql=SELECT 1 code=0"]);
}

const NEW: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<AUDIT>\n";

/// A record of elements, in Enterprise's order.
fn new(fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("  <{name}>{value}</{name}>\n")).collect();
    format!(
        " <AUDIT_RECORD>\n  <TIMESTAMP>2026-11-22T10:00:00 UTC</TIMESTAMP>\n  <RECORD_ID>1_2026-11-22T09:00:00</RECORD_ID>\n{fields} </AUDIT_RECORD>\n"
    )
}

/// A record of attributes, in the order of Percona's plugin.
fn old(fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("  {name}=\"{value}\"\n")).collect();
    format!("<AUDIT_RECORD\n{fields}  RECORD=\"1_2026-11-22T09:00:00\"\n  TIMESTAMP=\"2026-11-22T10:00:00Z\"\n/>\n")
}

#[test]
fn xml_of_both_forms() {
    let attributes =
        "<ATTRIBUTE><NAME>_pid</NAME><VALUE>5</VALUE></ATTRIBUTE><ATTRIBUTE><NAME>program_name</NAME><VALUE>my&amp;sql</VALUE></ATTRIBUTE>";
    let log = [
        new(&[("NAME", "Audit"), ("SERVER_ID", "1")]),
        new(&[
            ("NAME", "Connect"),
            ("CONNECTION_ID", "5"),
            ("STATUS", "0"),
            ("USER", "app"),
            ("OS_LOGIN", ""),
            ("IP", "10.0.0.7"),
            ("CONNECTION_ATTRIBUTES", attributes),
            ("PRIV_USER", "app"),
            ("DB", "shop"),
        ]),
        new(&[
            ("NAME", "TableInsert"),
            ("CONNECTION_ID", "5"),
            ("USER", "app[app] @ localhost [10.0.0.7]"),
            ("SQLTEXT", "INSERT INTO t VALUES(1)"),
            ("DB", "shop"),
            ("TABLE", "t"),
        ]),
        new(&[
            ("NAME", "Query"),
            ("CONNECTION_ID", "5"),
            ("STATUS", "0"),
            ("USER", "app[app] @ localhost [10.0.0.7]"),
            ("HOST", "localhost"),
            ("IP", "10.0.0.7"),
            ("COMMAND_CLASS", "insert"),
            ("SQLTEXT", "INSERT INTO t VALUES(1)"),
        ]),
        new(&[
            ("NAME", "Query"),
            ("CONNECTION_ID", "5"),
            ("STATUS", "1142"),
            ("USER", "app[app] @ localhost [10.0.0.7]"),
            ("SQLTEXT", "SELECT &apos;&lt;&amp;lt;&#10;&#1;&#x41;&quot;&bad; &apos; FROM u"),
        ]),
        new(&[("NAME", "Ping"), ("CONNECTION_ID", "5"), ("STATUS", "0"), ("USER", "app[app] @ localhost [10.0.0.7]")]),
        new(&[("NAME", "Quit"), ("CONNECTION_ID", "5"), ("STATUS", "0"), ("USER", "app"), ("IP", "10.0.0.7")]),
    ];
    check(
        XML,
        &format!("{NEW}{}", log.concat()),
        &[
            "Other",
            "Login app @10.0.0.7 db=shop client=my&sql op=connect code=0",
            "Query app @10.0.0.7 db=shop sql=INSERT INTO t VALUES(1)",
            "Other app @10.0.0.7 db=shop sql=INSERT INTO t VALUES(1) on=shop.t code=0",
            "Denied app @10.0.0.7 db=shop sql=SELECT '<&lt;\n\u{1}A\"&bad; ' FROM u code=1142",
            "Other app @10.0.0.7 db=shop code=0",
            "Logout app @10.0.0.7 db=shop",
        ]
        .map(|line| if line.starts_with("Logout") { "Logout app @10.0.0.7 db=shop code=0" } else { line }),
    );
    let log = [
        old(&[
            ("NAME", "Connect"),
            ("CONNECTION_ID", "6"),
            ("STATUS", "1045"),
            ("USER", "root&#10;&lt;/AUDIT_RECORD&gt;"),
            ("PRIV_USER", ""),
            ("HOST", "localhost"),
            ("IP", ""),
            ("DB", ""),
        ]),
        old(&[
            ("NAME", "Query"),
            ("COMMAND_CLASS", "select"),
            ("CONNECTION_ID", "7"),
            ("STATUS", "0"),
            ("SQLTEXT", "SELECT 1"),
            ("USER", "app[bob] @ web [10.0.0.9]"),
            ("HOST", "web"),
            ("OS_USER", ""),
            ("IP", "10.0.0.9"),
            ("DB", "d"),
        ]),
        old(&[
            ("NAME", "Quit"),
            ("CONNECTION_ID", "7"),
            ("STATUS", "0"),
            ("USER", "bob"),
            ("HOST", "web"),
            ("IP", "10.0.0.9"),
            ("DB", "d"),
        ]),
        "<AUDIT_RECORD\n NAME=\"Query\"\n CONNECTION_ID=\"8\" TIMESTAMP=\"2026-11-22T10:00:00\" SQLTEXT=\"SELECT half\n".to_owned(),
        old(&[("STATUS", "0")]),
    ];
    check(
        XML,
        &format!("{NEW}{}", log.concat()),
        &[
            "LoginFailed root\n</AUDIT_RECORD>? @local op=connect code=1045",
            "Query bob @10.0.0.9 db=d sql=SELECT 1 code=0",
            "Logout bob @10.0.0.9 db=d code=0",
            "Query sql=SELECT half cut=",
            "reject: an audit record without a name: <AUDIT_RECORD\n  STATUS=\"0\"\n  RECORD=\"1_2026-11-22T09:00:00\"\n  TIMESTAMP=\"2026-11-22T10:00:00Z\"\n/>",
        ],
    );
}

#[test]
fn doubled_statements_of_audit_log_filter_in_xml() {
    let record = |name: &str, fields: &str| {
        format!(
            "  <AUDIT_RECORD>\n    <NAME>{name}</NAME>\n    <RECORD_ID>2_2026-11-22T10:00:00</RECORD_ID>\n    <TIMESTAMP>2026-11-22T10:00:00</TIMESTAMP>\n    <CONNECTION_ID>11</CONNECTION_ID>\n{fields}  </AUDIT_RECORD>\n"
        )
    };
    let query = |code: u16| {
        record(
            "Query",
            &format!(
                "<COMMAND_CLASS>drop_table</COMMAND_CLASS><HOST>localhost</HOST><IP></IP><USER>app[app] @ localhost []</USER><SQLTEXT>DROP TABLE t</SQLTEXT><STATUS>{code}</STATUS>"
            ),
        )
    };
    let inner = "<STATUS>0</STATUS><COMMAND_CLASS>drop_table</COMMAND_CLASS><SQLTEXT>DROP TABLE t</SQLTEXT>";
    let log = [
        record("Command Start", "<STATUS>0</STATUS><COMMAND_CLASS>query</COMMAND_CLASS>"),
        query(0),
        record("Query Start", inner),
        record("Query Status End", inner),
        query(0),
        query(0),
        query(1142),
    ];
    check(
        XML,
        &format!("{NEW}{}</AUDIT>\n", log.concat()),
        &[
            "Other code=0",
            "Query app @local sql=DROP TABLE t code=0",
            "Other app @local code=0",
            "Other app @local sql=DROP TABLE t code=0",
            "Other app @local sql=DROP TABLE t code=0",
            "Query app @local sql=DROP TABLE t code=0",
            "Denied app @local sql=DROP TABLE t code=1142",
        ],
    );
}

#[test]
fn percona_json_and_csv() {
    check(
        PERCONA_JSON,
        "{\"audit_record\":{\"name\":\"Audit\",\"record\":\"1_2026-11-22T09:00:00\",\"timestamp\":\"2026-11-22T09:00:00 UTC\",\"mysql_version\":\"8.0.30\",\"startup_optionsi\":\"--port=1\",\"os_version\":\"x86_64\"}}\n\
         {\"audit_record\":{\"name\":\"Connect\",\"record\":\"2_2026-11-22T09:00:00\",\"timestamp\":\"2026-11-22T10:00:00 UTC\",\"connection_id\":\"5\",\"status\":1045,\"user\":\"a\\nb\",\"priv_user\":\"\",\"os_login\":\"\",\"proxy_user\":\"\",\"host\":\"web\",\"ip\":\"10.0.0.7\",\"db\":\"\"}}\n\
         {\"audit_record\":{\"name\":\"Query\",\"record\":\"3_2026-11-22T09:00:00\",\"timestamp\":\"2026-11-22T10:00:00Z\",\"command_class\":\"select\",\"connection_id\":\"6\",\"status\":0,\"sqltext\":\"SELECT 1\\/2\",\"user\":\"app[app] @ localhost []\",\"host\":\"localhost\",\"os_user\":\"\",\"ip\":\"\"}}\n\
         {\"audit_record\":{\"name\":\"Qu\n",
        &[
            "Other",
            "LoginFailed a\nb? @10.0.0.7 op=connect code=1045",
            "Query app @local sql=SELECT 1/2 code=0",
            "reject: not a record of percona's audit_log: {\"audit_record\":{\"name\":\"Qu\n",
        ],
    );
    let forged = "\"Query\"\",\"\"9_2026-11-22T09:00:00";
    check(
        CSV,
        &format!(
            "\"Audit\",\"1_2026-11-22T09:00:00\",\"2026-11-22T09:00:00 UTC\",\"5.7.34\",\"--port=1\",\"linux\"\n\
             \"Connect\",\"2_2026-11-22T09:00:00\",\"2026-11-22T10:00:00 UTC\",\"5\",0,\"app\",\"app\",\"\",\"\",\"localhost\",\"\",\"shop\"\n\
             \"Query\",\"3_2026-11-22T09:00:00\",\"2026-11-22T10:00:00 UTC\",\"select\",\"5\",0,\"SELECT \"\"a\n\"{forged}\"\"\n\"\"\",\"app[app] @ localhost []\",\"localhost\",\"\",\"\",\"shop\"\n\
             \"Query\",\"4_2026-11-22T09:00:00\",\"2026-11-22T10:00:00 UTC\",\"select\",\"5\",0,\"SELECT 2\",\"app[app] @ localhost []\",\"localhost\",\"\",\"\"\n\
             \"Query\",\"5_2026-11-22T09:00:00\",\"2026-11-22T10:00:00 UTC\",\"select\",\"5\",0,\"SELECT half"
        ),
        &[
            "Other",
            "Login app @local db=shop op=connect code=0",
            "Query app @local db=shop sql=SELECT \"a\n\"Query\",\"9_2026-11-22T09:00:00\"\n\" code=0",
            "Query app @local db=shop sql=SELECT 2 code=0",
            "Query app @local db=shop sql=SELECT half code=0 cut=",
        ],
    );
}

#[test]
fn mcafee_plugin() {
    let record = |fields: &str| {
        format!(
            "{{\"msg-type\":\"activity\",\"date\":\"1795341600123\",\"thread-id\":\"5\",\"query-id\":\"9\",\"user\":\"app\",\"priv_user\":\"app\",\"ip\":\"10.0.0.7\",\"host\":\"web\",\"client_port\":\"4711\",{fields}}}\n"
        )
    };
    let log = [
        "{\"msg-type\":\"header\",\"date\":\"1795341600000\",\"audit-version\":\"1.1.7\",\"hostname\":\"db\"}\n".to_owned(),
        record(r#""connect_attrs":{"program_name":"mysql"},"cmd":"Connect","query":"Connect""#),
        record(
            r#""rows":"3","status":"0","cmd":"select","objects":[{"db":"shop","name":"a","obj_type":"TABLE"},{"db":"shop","name":"b","obj_type":"VIEW"}],"query":"SELECT * FROM a, b""#,
        ),
        record(
            r#""status":"1142","cmd":"insert_select","objects":[{"db":"shop","name":"a","obj_type":"TABLE"},{"db":"x","name":"b","obj_type":"TABLE"}],"query":"INSERT INTO a SELECT * FROM x.b""#,
        ),
        record(r#""cmd":"Init DB","objects":[{"db":"shop","obj_type":"DATABASE"}],"query":"Init DB""#),
        record(r#""cmd":"Quit","query":"Quit""#),
        record(r#""cmd":"Failed Login","query":"Failed Login""#),
    ];
    check(
        MCAFEE,
        &log.concat(),
        &[
            "Other",
            "Login app @10.0.0.7 client=mysql op=connect code=0",
            "Query app @10.0.0.7 db=shop sql=SELECT * FROM a, b on=shop.a+shop.b code=0 rows=3",
            "Denied app @10.0.0.7 sql=INSERT INTO a SELECT * FROM x.b code=1142",
            "Other app @10.0.0.7 db=shop",
            "Logout app @10.0.0.7",
            "LoginFailed app? @10.0.0.7 op=connect code=1045",
        ],
    );
}

#[test]
fn zeek_never_verifies() {
    let row = |fields: &str| {
        format!(
            "{{\"ts\":1795341600.123456,\"uid\":\"C1\",\"id.orig_h\":\"10.0.0.7\",\"id.orig_p\":4711,\"id.resp_h\":\"10.0.0.2\",\"id.resp_p\":3306,{fields}}}\n"
        )
    };
    let log = [
        row(r#""cmd":"login","arg":"app","success":true,"rows":0"#),
        row(r#""cmd":"init_db","arg":"shop","success":true"#),
        row(r#""cmd":"query","arg":"SELECT 1","success":true,"rows":1"#),
        row(r#""cmd":"query","arg":"SELECT 2","success":false,"response":"SELECT command denied to user"#).replace("user}", "user\"}"),
        row(r#""cmd":"ping","arg":"","success":true"#),
        row(r#""cmd":"quit","arg":"""#),
        row(r#""cmd":"query","arg":"SELECT 3","success":false,"response":"syntax""#),
    ];
    check(
        ZEEK,
        &log.concat(),
        &[
            "Login app? @10.0.0.7 op=connect rows=0",
            "Other app? @10.0.0.7 db=shop",
            "Query app? @10.0.0.7 db=shop sql=SELECT 1 rows=1",
            "Denied app? @10.0.0.7 db=shop sql=SELECT 2",
            "Other app? @10.0.0.7 db=shop",
            "Logout app? @10.0.0.7 db=shop",
            "Error @10.0.0.7 sql=SELECT 3",
        ],
    );
}

#[test]
fn anything_at_all_is_read_or_rejected() {
    let hostile: [&[u8]; 12] = [
        b"",
        b"\0\0\0",
        b"{",
        b"{}",
        b"[[[[[[[[[[[[[[[[",
        b"{\"audit_record\":7}",
        b"{\"class\":{},\"id\":[],\"timestamp\":1,\"account\":\"x\"}",
        b"<AUDIT_RECORD",
        b"<AUDIT_RECORD><A><B><C></AUDIT_RECORD>",
        b"<AUDIT_RECORD NAME=\"\" TIMESTAMP=\"&#xffffffff;&;&#;\"/>",
        b"\"Query\",\"1_2026-\"\",,,,,,,,,,,,,,,,,,",
        b"\xff\xfe\x00{\"msg-type\":\"activity\",\"date\":\"99999999999999999999\"}",
    ];
    for format in [JSON, XML, PERCONA_JSON, CSV, MCAFEE, ZEEK] {
        for log in hostile {
            for line in decode(format, log, 3) {
                assert!(line.starts_with("reject") || line.starts_with("skip"), "{}: {line}", format.name);
            }
        }
    }
}

#[test]
fn kinds_are_told_from_one_another() {
    let arena = bumpalo::Bump::new();
    let row = object("general", "status", "app", r#""command": "Query", "query": "SELECT 1", "status": 0"#);
    let mut reader = (JSON.open)(b"", &Options::default()).1;
    let Decoded::Event(event) = reader.decode(crate::decoder::Record::new(row.as_bytes()), &arena) else { panic!("not read: {row}") };
    assert_eq!((event.kind, event.time.to_string().as_str()), (Kind::Query, "2026-11-22T10:00:00Z"));
}
