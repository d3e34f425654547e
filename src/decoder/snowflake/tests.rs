use super::*;

/// What each record comes to.
fn show(records: &[&str]) -> Vec<String> {
    let (mut decoder, arena) = (Snowflake::new(&Options::default()), Bump::new());
    let one = |record: &&str| match decoder.decode(Record::new(record.as_bytes()), &arena) {
        Decoded::Event(e) => format!(
            "{:?} {} {} {} {:?} {:?} {:?} {:?}",
            e.kind,
            e.time,
            e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
            e.address.map_or("-".to_owned(), |a| a.to_string()),
            e.outcome,
            e.code,
            e.rows,
            e.duration_us
        ),
        Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
    };
    records.iter().map(one).collect()
}

#[test]
fn queries_have_their_logins_address() {
    let rows = show(&[
        r#"{"EVENT_ID":"4","EVENT_TIMESTAMP":"2026-11-22 02:21:20.000 -0800","EVENT_TYPE":"LOGIN","USER_NAME":"B","CLIENT_IP":"10.1.0.7","IS_SUCCESS":"YES"}"#,
        r#"{"SESSION_ID":17,"CREATED_ON":"2026-11-22 02:21:20.100 -0800","USER_NAME":"B","LOGIN_EVENT_ID":"4"}"#,
        r#"{"QUERY_TEXT":"SELECT 1","SESSION_ID":"17","USER_NAME":"B","QUERY_TYPE":"SELECT","EXECUTION_STATUS":"SUCCESS","START_TIME":"2026-11-22T02:21:28.484-08:00","TOTAL_ELAPSED_TIME":"31","ROWS_PRODUCED":7,"ROWS_INSERTED":0}"#,
        r#"{"QUERY_TEXT":"SELECT 1","SESSION_ID":"18","USER_NAME":"B","EXECUTION_STATUS":"FAIL","ERROR_CODE":"003001","START_TIME":"2026-11-22 02:21:28.484 Z"}"#,
    ]);
    assert_eq!(
        rows,
        [
            "Login 2026-11-22T10:21:20Z B Authenticated 10.1.0.7 Success None None None",
            "Other 2026-11-22T10:21:20.1Z B Authenticated - Unknown None None None",
            "Query 2026-11-22T10:21:28.484Z B Authenticated 10.1.0.7 Success None Some(7) Some(31000)",
            "Denied 2026-11-22T02:21:28.484Z B Authenticated - Denied Some(\"003001\") None None",
        ]
    );
}

#[test]
fn csv_rows() {
    let rows = show(&[
        "QUERY_ID,QUERY_TEXT,USER_NAME,EXECUTION_STATUS,START_TIME,ROWS_PRODUCED",
        "01b2,\"SELECT \"\"A\"\",\n'x' FROM t\",B,SUCCESS,2026-11-22 02:21:28.484 +0000,7",
        "01b2,SELECT 1,B",
    ]);
    assert_eq!(
        rows,
        [
            "header of a CSV file",
            "Query 2026-11-22T02:21:28.484Z B Authenticated - Success None Some(7) None",
            "a row with more or fewer columns than the header",
        ]
    );
}

#[test]
fn others() {
    let rows = show(&[
        r#"{"EVENT_TIMESTAMP":"2026-11-22 02:21:20","USER_NAME":"B","CLIENT_IP":"0.0.0.0","IS_SUCCESS":"NO","ERROR_CODE":390156}"#,
        r#"{"EVENT_TIMESTAMP":"2026-11-22 02:21:20","EVENT_TYPE":"LOGOUT","USER_NAME":"B","IS_SUCCESS":"YES"}"#,
        r#"{"REGION":"X","BYTES_TRANSFERRED":1}"#,
        r#"{"QUERY_TEXT":"SELECT 1","USER_NAME":"B"}"#,
        "SELECT",
        "{",
    ]);
    assert_eq!(
        rows,
        [
            "LoginFailed 2026-11-22T02:21:20Z B Claimed - Denied Some(\"390156\") None None",
            "Logout 2026-11-22T02:21:20Z B Authenticated - Success None None None",
            "a row of another view, without a time",
            "no time stamp",
            "neither a JSON object nor a row under a header",
            "not a JSON object",
        ]
    );
}
