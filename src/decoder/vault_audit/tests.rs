use super::*;
use crate::decoder::testing::shown;

fn check(log: &str, want: &[&str]) {
    assert_eq!(shown(&FORMAT, log.as_bytes()), want, "{log}");
}

/// A record of a token with this `auth`, this `request`, and this rest.
fn record(half: &str, auth: &str, request: &str, rest: &str) -> String {
    format!(
        r#"{{"time":"2026-11-22T02:21:28.4Z","type":"{half}","auth":{{{auth}}},"request":{{"id":"r1",{request},"remote_address":"10.1.0.7","remote_port":4711}}{rest}}}"#
    )
}

const ANN: &str = r#""client_token":"hmac-sha256:9c","display_name":"oidc-ann","entity_id":"e1","policies":["default","admin"]"#;
const READ: &str = r#""operation":"read","path":"secret/data/app","client_token":"hmac-sha256:9c""#;

#[test]
fn an_act_is_counted_once() {
    let log =
        [record("request", ANN, READ, ""), record("response", ANN, READ, r#","response":{"data":{"data":{"error":"hmac-sha256:1"}}}"#)];
    check(
        &log.join("\n"),
        &[
            "Other oidc-ann@10.1.0.7:4711 | select secret/data/app | - | Unknown session=r1",
            "Query oidc-ann@10.1.0.7:4711 | select secret/data/app | - | Success session=r1",
        ],
    );
    let alone = record("request", ANN, READ, "").replace(r#""id":"r1","#, "");
    check(&alone, &["Query oidc-ann@10.1.0.7:4711 | select secret/data/app | - | Unknown"]);
    check(&format!("vault-audit: {}", log[1]), &["Query oidc-ann@10.1.0.7:4711 | select secret/data/app | - | Success session=r1"]);
}

#[test]
fn what_was_refused() {
    let denied = r#","error":"1 error occurred:\n\t* permission denied\n\n""#;
    check(&record("response", ANN, READ, denied), &["Denied oidc-ann@10.1.0.7:4711 | select secret/data/app | - | Denied session=r1"]);
    // A token that Vault does not know names nobody.
    check(
        &record("response", r#""token_type":"default""#, READ, denied),
        &["Denied -@10.1.0.7:4711 | select secret/data/app | - | Denied session=r1"],
    );
    let hashed = r#","response":{"data":{"error":"hmac-sha256:40"}}"#;
    check(
        &record("response", ANN, r#""operation":"update","mount_type":"pki","path":"pki/issue/web""#, hashed),
        &["Error oidc-ann@10.1.0.7:4711 | update pki/issue/web | - | Error session=r1"],
    );
    check(
        &record("response", ANN, r#""operation":"read","mount_type":"kv","path":"kv/app""#, hashed),
        &["Query oidc-ann@10.1.0.7:4711 | select kv/app | - | Success session=r1"],
    );
}

#[test]
fn logins() {
    let path = r#""operation":"update","path":"auth/userpass/login/ann""#;
    let result = r#","response":{"auth":{"accessor":"hmac-sha256:e","display_name":"userpass-ann","entity_id":"e1","policies":["app"]}}"#;
    check(
        &record("response", "", path, result),
        &["Login userpass-ann@10.1.0.7:4711 | update auth/userpass/login/ann | - | Success session=r1"],
    );
    check(
        &record("response", "", path, r#","response":{"data":{"error":"hmac-sha256:1"}}"#),
        &["LoginFailed userpass-ann?@10.1.0.7:4711 | update auth/userpass/login/ann | - | Error session=r1"],
    );
    check(
        &record("response", "", r#""operation":"update","path":"auth/approle/login""#, r#","error":"invalid credentials""#),
        &["LoginFailed -@10.1.0.7:4711 | update auth/approle/login | - | Denied session=r1"],
    );
    check(
        &record(
            "response",
            "",
            r#""operation":"update","mount_point":"auth/corp/ldap/","path":"auth/corp/ldap/login/bob""#,
            r#","error":"ldap down""#,
        ),
        &["LoginFailed corp-ldap-bob?@10.1.0.7:4711 | update auth/corp/ldap/login/bob | - | Error session=r1"],
    );
    // A role that is called login is none.
    check(
        &record("response", ANN, r#""operation":"read","path":"auth/approle/role/login""#, ""),
        &["Query oidc-ann@10.1.0.7:4711 | select auth/approle/role/login | - | Success session=r1"],
    );
}

#[test]
fn leases() {
    let path = r#""operation":"read","path":"database/creds/readonly""#;
    let issued = |account: &str| {
        format!(r#","response":{{"secret":{{"lease_id":"database/creds/readonly/oS5t"}},"data":{{"username":"{account}"}}}}"#)
    };
    let role = r#""display_name":"approle","entity_id":"e2","metadata":{"role_name":"ci"}"#;
    check(
        &record("response", role, path, &issued("app_1_x")),
        &["Query approle/ci@10.1.0.7:4711 | select database/creds/readonly | - | Success session=r1 lease=app_1_x approle/readonly"],
    );
    check(
        &record("response", role, path, &issued("hmac-sha256:9c")),
        &["Query approle/ci@10.1.0.7:4711 | select database/creds/readonly | - | Success session=r1"],
    );
    let fixed = path.replace("/creds/", "/static-creds/");
    check(
        &record("response", role, &fixed, &issued("billing")),
        &["Query approle/ci@10.1.0.7:4711 | select database/static-creds/readonly | - | Success session=r1"],
    );
}

/// Names that stay the same from one login to the next, and that nobody can choose to be another's.
#[test]
fn names() {
    for (auth, want) in [
        (r#""display_name":"token-375f9cb3-4355-42c7-eab5-029f8a310ca7-runner","policies":["default","b","a"]"#, "token-*-runner[a,b]"),
        (r#""display_name":"token","policies":["default"]"#, "token[]"),
        (r#""display_name":"token-deploy[a]","policies":["b"]"#, "token-deploy[a][b]"),
        (r#""display_name":"root","policies":["root"]"#, "root"),
        (r#""display_name":"approle","entity_id":"e9""#, "approle:e9"),
        (r#""display_name":"app-role","metadata":{"role_name":"ci"}"#, "app-role/ci"),
        (r#""entity_id":"e9""#, "entity:e9"),
        (r#""client_token":"hmac-sha256:9c""#, "-"),
    ] {
        check(
            &record("response", auth, READ, ""),
            &[&format!("Query {want}@10.1.0.7:4711 | select secret/data/app | - | Success session=r1")],
        );
    }
}

#[test]
fn what_is_no_act() {
    check(
        r#"{"@level":"info","@message":"revoked lease","@timestamp":"2026-11-22T06:33:08.867457Z","lease_id":"a/b","time":4959}"#,
        &["Other -@- | - | - | Unknown"],
    );
    check(r#"{"type":"response"}"#, &["rejected: no time stamp"]);
    check(r#"{"time":"2026-11-22T06:33:08Z","type":"else"}"#, &["rejected: neither request nor response"]);
    check(r#"{"time":"soon","type":"response"}"#, &["rejected: unreadable time stamp"]);
    check(r#"{"time":"2026-11-22T06:33:08Z","type":}"#, &["rejected: not a JSON object"]);
    // What was torn off may have been a refusal.
    let torn = record("response", ANN, READ, "");
    let torn = torn.trim_end_matches('}');
    check(torn, &["Query oidc-ann@10.1.0.7:4711 | select secret/data/app | - | Unknown session=r1 CUT"]);
    let twice = record("response", ANN, &format!(r#"{READ},"path":"sys/seal""#), "");
    assert!(shown(&FORMAT, twice.as_bytes())[0].ends_with("SUSPECT"));
}

/// A device with `format=jsonx` escapes nothing: what a client wrote is no record, wherever its lines end.
#[test]
fn nothing_of_jsonx_is_believed() {
    let forged = record("response", r#""display_name":"root","policies":["root"]"#, READ, "");
    let path = format!("secret/{forged}\n{forged}\nvault-audit: {forged}");
    let real =
        format!(r#"<json:object name="auth"></json:object><json:object name="request"><json:string name="path">{path}</json:string>"#);
    let rejected = format!("rejected: {JSONX}");
    let rejected = rejected.as_str();
    check(&real, &[rejected; 3]);
    check(&format!("vault-audit: {real}\n{forged}"), &[rejected; 4]);
    assert!(sniff(real.as_bytes(), &Options::default()).because.contains("JSONx"));

    let mut decoder = Audit::new(&Options::default());
    let mut again = Audit::new(&Options::default());
    let arena = Bump::new();
    let read = |decoder: &mut Audit, bytes: &str| {
        let record = Record::new(bytes.as_bytes());
        matches!(decoder.decode(record, &arena), Decoded::Event(_))
    };
    assert!(!read(&mut decoder, &real));
    again.restore(&decoder.save());
    assert!(!read(&mut again, &forged));
    // Such text inside JSON is text.
    let text = real.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let stored = record("response", ANN, &READ.replace("secret/data/app", &text), "");
    for log in [stored.clone(), format!("vault-audit: {stored}"), stored.replacen('{', "{\n", 1)] {
        let mut fresh = Audit::new(&Options::default());
        assert!(read(&mut fresh, &log) && fresh.save().is_empty(), "{log}");
    }
}
