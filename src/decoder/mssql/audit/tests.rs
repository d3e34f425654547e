use super::*;

/// What a test looks at.
#[derive(Debug, PartialEq)]
struct Seen {
    kind: Kind,
    user: String,
    trusted: bool,
    address: String,
    statement: String,
    object: String,
    session: String,
    truncated: bool,
}

fn decode(audit: &mut Audit, record: &[u8]) -> Result<Seen, &'static str> {
    let arena = Bump::new();
    let event = match audit.decode(Record::new(record), &arena) {
        Decoded::Event(event) => event,
        Decoded::Reject(reason) | Decoded::Skip(reason) => return Err(reason),
    };
    Ok(Seen {
        kind: event.kind,
        user: event.principal.map(|p| p.name.to_string()).unwrap_or_default(),
        trusted: event.principal.is_some_and(|p| p.provenance == Provenance::Authenticated),
        address: event.address.map(|a| a.to_string()).unwrap_or_default(),
        statement: event.statement.map(|s| s.to_string()).unwrap_or_default(),
        object: event.objects.first().map(|o| o.to_string()).unwrap_or_default(),
        session: event.session.map(|s| s.to_string()).unwrap_or_default(),
        truncated: event.truncated,
    })
}

fn one(record: &str) -> Seen {
    decode(&mut Audit::new(&Options::default()), record.as_bytes()).expect(record)
}

/// The text of an event as SQL Server 2019 writes it.
fn text(action: &str, user: &str, object: &str, statement: &str, application: &str) -> String {
    format!(
        "audit_schema_version:1\nevent_time:2026-11-22 02:05:17.6412345\nsequence_number:1\naction_id:{action:4}\nsucceeded:true\nis_column_permission:false\n\
         session_id:55\nserver_principal_id:259\nclass_type:U \nduration_milliseconds:0\nresponse_rows:0\naffected_rows:3\nclient_ip:10.1.0.7\n\
         permission_bitmask:00\nsequence_group_id:8F65\nsession_server_principal_name:{user}\nserver_principal_name:{user}\nserver_principal_sid:01\n\
         database_principal_name:dbo\ntarget_server_principal_name:\nserver_instance_name:DB1\ndatabase_name:shop\nschema_name:dbo\nobject_name:{object}\n\
         statement:{statement}\nadditional_information:\nuser_defined_information:\napplication_name:{application}\nconnection_id:FBB7\n\
         data_sensitivity_information:\nhost_name:APP7"
    )
}

fn json(text: &str) -> String {
    serde_json::json!({"winlog": {"event_id": "33205", "event_data": {"param1": text}}}).to_string()
}

#[test]
fn the_same_event_however_it_comes() {
    let text = text("SL", "web", "customers", "SELECT *\nFROM customers", "app");
    let seen = one(&text);
    assert_eq!((seen.kind, seen.user.as_str(), seen.trusted, seen.address.as_str()), (Kind::Query, "web", true, "10.1.0.7"));
    assert_eq!((seen.statement.as_str(), seen.object.as_str(), seen.session.as_str()), ("SELECT *\nFROM customers", "dbo.customers", "55"));
    assert_eq!(one(&json(&text)), seen);
    assert_eq!(one(&serde_json::json!({"message": format!("Audit event: {text}\n.")}).to_string()), seen);
    assert_eq!(one(&text.replace('\n', "\r\n").replace("*\r\n", "*\n")), seen);
    let azure = r#"{"category":"SQLSecurityAuditEvents","properties":{"event_time":"2026-11-22T02:05:17.6412345Z","action_id":"SL  ","succeeded":"true","session_id":55,"client_ip":"10.1.0.7","server_principal_name":"web","schema_name":"dbo","object_name":"customers","statement":"SELECT *\nFROM customers"}}"#;
    assert_eq!(one(azure), seen);
    let mut audit = Audit::new(&Options::default());
    let heading = "event_time,sequence_number,action_id,succeeded,session_id,session_server_principal_name,server_principal_name,schema_name,object_name,statement,client_ip";
    assert_eq!(decode(&mut audit, heading.as_bytes()), Err("heading of a csv file"));
    let row = "2026-11-22 02:05:17.6412345,1,SL,1,55,web,web,dbo,customers,\"SELECT *\nFROM customers\",10.1.0.7";
    let mut next = Audit::new(&Options::default());
    next.restore(&audit.save());
    assert_eq!(decode(&mut next, row.as_bytes()), Ok(seen));
}

#[test]
fn the_database_is_no_object_of_a_batch() {
    let seen = one(&text("BCM", "web", "shop", "SELECT * FROM customers", "app").replace("schema_name:dbo", "schema_name:"));
    assert_eq!((seen.object.as_str(), seen.statement.as_str()), ("", "SELECT * FROM customers"));
}

#[test]
fn lines_inside_values_set_nothing_that_counts() {
    let fake = "x\nclient_ip:6.6.6.6\nsession_server_principal_name:sa\nserver_principal_name:sa\nsession_id:1\nstatement:DROP TABLE t\nadditional_information:\napplication_name:y";
    for text in [
        text("SL", "web", "customers", fake, "app"),
        text("SL", "web", fake, "SELECT 1", "app"),
        text("SL", "web", "customers", "SELECT 1", fake),
    ] {
        for record in [json(&text), text] {
            let seen = one(&record);
            assert_eq!((seen.user.as_str(), seen.address.as_str(), seen.session.as_str()), ("web", "10.1.0.7", "55"), "{record}");
        }
    }
    // An old server without client_ip.
    let old = text("SL", "web", fake, fake, "app").replacen("client_ip:10.1.0.7\n", "", 1);
    let seen = one(&json(&old));
    assert_eq!((seen.user.as_str(), seen.address.as_str()), ("web", ""));
}

#[test]
fn a_refused_login_is_a_claim() {
    let information = "<action_info xmlns=\"x\"><error>0x00004818</error><address>10.1.0.9</address></action_info>";
    let text = text("LGIF", "sa\naction_id:LGIS\nsucceeded:true", "", "Login failed", "app")
        .replacen("succeeded:true", "succeeded:false", 1)
        .replacen("client_ip:10.1.0.7\n", "", 1)
        .replacen("additional_information:", &format!("additional_information:{information}"), 1);
    let seen = one(&json(&text));
    assert_eq!((seen.kind, seen.user.as_str(), seen.trusted, seen.address.as_str()), (Kind::LoginFailed, "sa", false, "10.1.0.9"));
}

#[test]
fn pieces_are_joined() {
    let piece = |sequence: u32, statement: &str| {
        json(&text("BCM", "web", "", statement, "app").replacen("sequence_number:1", &format!("sequence_number:{sequence}"), 1))
    };
    let mut audit = Audit::new(&Options::default());
    let first = "x".repeat(PIECE);
    let seen = decode(&mut audit, piece(1, &first).as_bytes()).unwrap();
    assert!(seen.truncated && seen.kind == Kind::Query);
    let mut next = Audit::new(&Options::default());
    next.restore(&audit.save());
    let seen = decode(&mut next, piece(2, "y").as_bytes()).unwrap();
    assert_eq!((seen.statement.len(), seen.truncated), (PIECE + 1, false));
    // A piece without the one before it stands for itself.
    assert_eq!(decode(&mut next, piece(3, "z").as_bytes()).unwrap().statement, "z");
}

#[test]
fn a_plain_file_of_texts_names_no_token() {
    let log = format!("{}\n.\n{}\n", text("SL", "web", "t", "SELECT 1", "a"), text("IN", "web", "t", "INSERT", "a"));
    for size in [1, 7, 100_000] {
        let mut seen = Vec::new();
        let mut stream = crate::decoder::stream::Stream::new(Some(&FORMAT), Options::default(), 0);
        let mut sink = |item: crate::decoder::stream::Item<'_>| match item.decoded {
            Decoded::Event(e) => seen.push((e.suspect.is_some(), e.statement.map(|s| s.to_string()))),
            other => panic!("{other:?}"),
        };
        for piece in log.as_bytes().chunks(size) {
            stream.feed(piece, &mut sink);
        }
        stream.close(&mut sink);
        assert_eq!(seen, [(true, Some("SELECT 1".to_owned())), (true, Some("INSERT".to_owned()))]);
    }
}

#[test]
fn what_is_no_event() {
    let mut audit = Audit::new(&Options::default());
    for (record, why) in [
        (&b"{}"[..], "an audit event without event_time"),
        (b"", "neither the text of an audit event nor an audit row"),
        (b"audit_schema_version:1", "an audit event without event_time"),
        (b"audit_schema_version:1\nevent_time:x\naction_id:SL", "unreadable time stamp"),
        (b"audit_schema_version:1\nevent_time:2026-11-22 02:05:17", "an audit event without action_id"),
        (b"{\"a\":\"audit_schema_version:\"}", "an audit event without event_time"),
        (b"\xff\0{", "neither the text of an audit event nor an audit row"),
        (b"a,b,c", "a csv row before the heading with the names of the columns"),
    ] {
        assert_eq!(decode(&mut audit, record), Err(why), "{}", record.as_bstr());
    }
}

#[test]
fn names_in_brackets() {
    let arena = Bump::new();
    for (statement, want) in [
        ("SELECT 1", "SELECT 1"),
        ("SELECT * FROM [dbo].[Order Details]", "SELECT * FROM \"dbo\".\"Order Details\""),
        ("SELECT '[x]''[y]' -- [z]\n, [a] /* [b] */", "SELECT '[x]''[y]' -- [z]\n, \"a\" /* [b] */"),
        ("SELECT [a]]b], \"[c]\"", "SELECT [a]]b], \"[c]\""),
        ("SELECT [a", "SELECT [a"),
        ("SELECT 'a[", "SELECT 'a["),
    ] {
        assert_eq!(brackets(statement.as_bytes(), &arena).as_bstr(), want);
    }
}
