//! A published recording of an attack, spliced into weeks of harmless use: the credentials of a web server's role, stolen through its proxy, empty
//! a bucket (`ec2_proxy_s3_exfiltration` of OTRF's Security-Datasets). The recording stands in `TOKENWATCH_CORPUS`, as in `tests/corpus.rs`.

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const RECORDING: &str = "aws_cloudtrail/Security-Datasets__ec2_proxy_s3_exfiltration.ec2_proxy_s3_exfiltration_2020-09-14011940.json";
const ROLE: &str = "arn:aws:iam::123456789123:role/MordorNginxStack-BankingWAFRole-9S3E0UAE1MM0";
const PERSON: &str = "arn:aws:iam::123456789123:user/pedro";

/// What the console asks for as one looks at instances.
const CONSOLE: &[&str] = &[
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeInstanceTypes",
    "DescribeInstanceAttribute",
    "DescribeInstanceCreditSpecifications",
    "DescribeVolumes",
    "DescribeVolumeStatus",
    "DescribeAddresses",
    "DescribeTags",
    "DescribeAccountAttributes",
    "DescribeAvailabilityZones",
    "DescribeHosts",
    "DescribeSnapshots",
    "DescribeKeyPairs",
    "DescribeSecurityGroups",
];

fn recording() -> Option<PathBuf> {
    let folder = std::env::var_os("TOKENWATCH_CORPUS").map_or_else(|| support::root().join("../shared/corpus"), PathBuf::from);
    let file = folder.join(RECORDING);
    if file.is_file() {
        return Some(file);
    }
    // Nobody has it beside a plain checkout; where the gate runs, its absence is a failure.
    let word = if std::env::var_os("CI").is_some() { "SKIPPED" } else { "NOT HERE" };
    println!("{word}: {} does not exist; set TOKENWATCH_CORPUS", file.display());
    None
}

/// Three weeks before the recording: the server writes its logs into a bucket from where it stands, and the person looks at the console.
fn harmless() -> String {
    let server = json!({
        "type": "AssumedRole",
        "arn": "arn:aws:sts::123456789123:assumed-role/MordorNginxStack-BankingWAFRole-9S3E0UAE1MM0/i-0317f6c6b66ae9c40",
        "accountId": "123456789123",
        "sessionContext": { "sessionIssuer": { "type": "Role", "arn": ROLE, "accountId": "123456789123" } },
    });
    let person = json!({ "type": "IAMUser", "arn": PERSON, "accountId": "123456789123", "userName": "pedro" });
    let mut log = String::new();
    let mut number = 0;
    let mut event = |day: u32, minute: u32, who: &Value, from: &str, agent: &str, source: &str, name: &str, bucket: Option<&str>| {
        number += 1;
        let line = json!({
            "eventVersion": "1.07", "userIdentity": who, "eventTime": format!("2020-08-{:02}T{:02}:{:02}:00Z", day, minute / 60, minute % 60),
            "eventSource": source, "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": from, "userAgent": agent,
            "requestParameters": bucket.map(|bucket| json!({ "bucketName": bucket, "key": format!("{number}.log") })),
            "responseElements": null, "eventID": format!("00000000-0000-4000-8000-{number:012}"), "eventType": "AwsApiCall",
            "recipientAccountId": "123456789123",
        });
        let _ = writeln!(log, "{line}");
    };
    for day in 24..32 {
        for hour in 0..24 {
            event(day, hour * 60, &server, "203.0.113.20", "aws-sdk-go/1.34.2", "s3.amazonaws.com", "PutObject", Some("nginx-logs"));
        }
        for name in CONSOLE {
            event(day, 50, &person, "1.2.3.4", "console.ec2.amazonaws.com", "ec2.amazonaws.com", name, None);
        }
    }
    // September, up to the day before.
    log.clone()
        + &(1..14).fold(String::new(), |mut all, day| {
            for line in log.lines().filter(|line| line.contains("2020-08-24")) {
                let _ = writeln!(all, "{}", line.replace("2020-08-24", &format!("2020-09-{day:02}")));
            }
            all
        })
}

#[test]
fn the_stolen_role_is_found_at_its_first_calls_and_next_to_nobody_else_is_accused() {
    let Some(recording) = recording() else { return };
    let tmp = tempfile::tempdir().unwrap();
    let before = tmp.path().join("before.jsonl");
    std::fs::write(&before, harmless()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tokenwatch"))
        .args(["replay", "--format", "aws-cloudtrail", before.to_str().unwrap(), recording.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let alerts: Vec<Value> = String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<String> = alerts.iter().map(|alert| format!("{} {} {}", alert["time"], alert["token"], alert["summary"])).collect();
    let stolen = alerts.iter().find(|alert| alert["token"] == ROLE);
    let first = stolen.unwrap_or_else(|| panic!("nothing was found: {said:#?} {}", String::from_utf8_lossy(&output.stderr)));
    // It lists all buckets, lists one, and fetches what is in it.
    let times = stolen_calls(&recording);
    let calls = times.iter().filter(|time| time.as_str() <= first["time"].as_str().unwrap()).count();
    assert!((1..=2).contains(&calls), "found at call {calls} of {}: {said:#?}", times.len());
    // The administrator's console, from whose address the role is used, asks for load balancers for the first time: that may be told, once.
    let others: Vec<_> = alerts.iter().filter(|alert| alert["token"] != ROLE).collect();
    assert!(others.len() <= 1 && others.iter().all(|alert| alert["address"] == "1.2.3.4"), "{said:#?}");
}

/// Times at which the stolen role was used, in the form of alerts.
fn stolen_calls(recording: &Path) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_tokenwatch"))
        .args(["decode", "--json", "--format", "aws-cloudtrail", recording.to_str().unwrap()])
        .output()
        .unwrap();
    let events = String::from_utf8(output.stdout).unwrap();
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|event| event["token"] == ROLE);
    let mut times: Vec<String> = events.map(|event| event["time"].as_str().unwrap().to_owned()).collect();
    times.sort();
    times
}
