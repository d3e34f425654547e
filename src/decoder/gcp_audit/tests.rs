use super::*;

fn show(record: &str) -> String {
    let arena = Bump::new();
    match Audit::new(&Options::default()).decode(Record::new(record.as_bytes()), &arena) {
        Decoded::Event(e) => format!(
            "{:?} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            e.kind,
            e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance)),
            e.address.map_or("-".to_owned(), |a| a.to_string()),
            e.operation,
            e.objects,
            e.outcome,
            e.code,
            e.rows,
            e.duration_us,
            e.statement,
        ),
        Decoded::Reject(reason) | Decoded::Skip(reason) => reason.to_owned(),
    }
}

fn entry(service: &str, method: &str, rest: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-11-22T02:21:28.484Z","protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{{"principalEmail":"u@x.y"}},"requestMetadata":{{"callerIp":"10.1.0.7"}},"serviceName":"{service}.googleapis.com","methodName":"{method}","resourceName":"projects/p/datasets/d/tables/t"{rest}}}}}"#
    )
}

#[test]
fn calls() {
    let who = "u@x.y Authenticated 10.1.0.7";
    for (method, rest, want) in [
        ("storage.objects.get", "", format!("Query {who} Some(Select) [\"storage.objects.get\"] Success None None None None")),
        (
            "SetIamPolicy",
            r#","status":{"code":7}"#,
            format!("Denied {who} Some(Grant) [\"SetIamPolicy\"] Denied Some(\"7\") None None None"),
        ),
        (
            "v1.compute.images.insert",
            r#","status":{"code":5}"#,
            format!("Error {who} Some(Create) [\"v1.compute.images.insert\"] Error Some(\"5\") None None None"),
        ),
    ] {
        assert_eq!(show(&entry("storage", method, rest)), want);
    }
    let key = entry("storage", "storage.objects.get", "")
        .replace(r#""u@x.y""#, r#""u@x.y","serviceAccountKeyName":"//iam.googleapis.com/projects/p/serviceAccounts/u@x.y/keys/0a1b""#);
    assert!(show(&key).starts_with("Query u@x.y/keys/0a1b Authenticated"));
    let ended = entry("compute", "v1.compute.images.insert", "").replacen('{', r#"{"operation":{"id":"o","last":true},"#, 1);
    assert!(show(&ended).starts_with("Other"));
}

#[test]
fn without_a_type_and_out_of_a_table() {
    let call = entry("storage", "storage.objects.get", "").replace(r#""@type":"type.googleapis.com/google.cloud.audit.AuditLog","#, "");
    assert_eq!(sniff(call.as_bytes(), &Options::default()).certainty, 94);
    let anybody = r#"{"timestamp":"2026-11-22T02:21:28.484Z","protoPayload":{"serviceName":"x","methodName":"y"}}"#;
    assert_eq!(sniff(anybody.as_bytes(), &Options::default()).certainty, 0);
    let done = r#"{"jobChange":{"after":"DONE","job":{"jobConfig":{"queryConfig":{"query":"SELECT 1","statementType":"SELECT"}}}}}"#;
    let row = call
        .replace("protoPayload", "protopayload_auditlog")
        .replace("storage.googleapis.com", "bigquery.googleapis.com")
        .replace("storage.objects.get", "google.cloud.bigquery.v2.JobService.InsertJob")
        .replace(r#""resourceName""#, &format!(r#""status":null,"servicedata_v1_bigquery":null,"metadataJson":{done:?},"resourceName""#));
    assert_eq!(sniff(row.as_bytes(), &Options::default()).certainty, 94);
    assert_eq!(show(&row), "Query u@x.y Authenticated 10.1.0.7 Some(Select) [] Success None None None Some(\"SELECT 1\")");
}

#[test]
fn bigquery_jobs() {
    let job = r#""job":{"jobConfig":{"type":"QUERY","queryConfig":{"query":"SELECT 1","statementType":"SELECT"}},"jobStatus":{"jobState":"DONE"},"jobStats":{"startTime":"2026-11-22T02:21:27.000Z","endTime":"2026-11-22T02:21:28.5Z","queryStats":{"referencedTables":["projects/p/datasets/d/tables/t","projects/q/datasets/d/tables/u"],"outputRowCount":"7"}}}"#;
    let method = "google.cloud.bigquery.v2.JobService.InsertJob";
    let who = "u@x.y Authenticated 10.1.0.7";
    let tables = r#"["d.t", "q.d.u"]"#;
    for (metadata, want) in [
        (
            format!(r#""jobChange":{{"after":"DONE",{job}}}"#),
            format!("Query {who} Some(Select) {tables} Success None Some(7) Some(1500000) Some(\"SELECT 1\")"),
        ),
        (
            format!(r#""jobChange":{{"after":"DONE",{}}}"#, job.replace(r#""DONE""#, r#""DONE","errorResult":{"code":7}"#)),
            format!("Denied {who} Some(Select) {tables} Denied Some(\"7\") Some(7) Some(1500000) Some(\"SELECT 1\")"),
        ),
        (
            format!(r#""jobInsertion":{{"reason":"JOB_INSERT_REQUEST",{job}}}"#),
            format!("Other {who} Some(Select) {tables} Success None None None Some(\"SELECT 1\")"),
        ),
        (r#""tableDataRead":{"reason":"JOB"}"#.to_owned(), format!("Other {who} Some(Select) [\"d.t\"] Success None None None None")),
        (
            r#""tableDataRead":{"reason":"TABLEDATA_LIST_REQUEST"}"#.to_owned(),
            format!("Query {who} Some(Select) [\"d.t\"] Success None None None None"),
        ),
        (
            r#""jobChange":{"after":"DONE","job":{"jobConfig":{"extractConfig":{"sourceTable":"projects/p/datasets/d/tables/t"}}}}"#
                .to_owned(),
            format!("Query {who} Some(Copy) [\"d.t\"] Success None None None None"),
        ),
    ] {
        let metadata = format!(r#","metadata":{{"@type":"type.googleapis.com/google.cloud.audit.BigQueryAuditMetadata",{metadata}}}"#);
        assert_eq!(show(&entry("bigquery", method, &metadata)), want, "{metadata}");
    }
}

#[test]
fn bigquery_of_before() {
    let data = r#","serviceData":{"jobCompletedEvent":{"eventName":"query_job_completed","job":{"jobConfiguration":{"query":{"query":"SELECT 1","statementType":"SELECT"}},"jobStatus":{"state":"DONE","error":{}},"jobStatistics":{"startTime":"2026-11-22T02:21:27Z","endTime":"2026-11-22T02:21:28Z","referencedTables":[{"projectId":"p","datasetId":"d","tableId":"t"}],"queryOutputRowCount":"3"}}}}"#;
    assert_eq!(
        show(&entry("bigquery", "jobservice.jobcompleted", data)),
        "Query u@x.y Authenticated 10.1.0.7 Some(Select) [\"d.t\"] Success None Some(3) Some(1000000) Some(\"SELECT 1\")"
    );
    assert!(show(&entry("bigquery", "jobservice.insert", r#","serviceData":{"jobInsertRequest":{}}"#)).starts_with("Other"));
    assert!(show(&entry("bigquery", "tableservice.insert", "")).starts_with("Query"));
}

#[test]
fn what_cannot_be_read() {
    for (record, want) in [
        ("x", "not a JSON object"),
        ("{}", "no timestamp"),
        (r#"{"timestamp":"x"}"#, "unreadable time stamp"),
        (r#"{"timestamp":"2026-11-22T02:21:28Z","textPayload":"x"}"#, "Other - - None [] Unknown None None None None"),
        (
            r#"{"timestamp":"2026-11-22T02:21:28Z","protoPayload":{"methodName":"m","status":[],"metadata":7,"authenticationInfo":"x"}}"#,
            "Query - - Some(Other) [\"m\"] Success None None None None",
        ),
    ] {
        assert_eq!(show(record), want, "{record}");
    }
}
