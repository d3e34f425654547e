//! HashiCorp Vault's audit log, of a real server in front of a real PostgreSQL: requests are found back one for one in every form that a
//! device can write, nobody writes an act of somebody else, and accounts that Vault generates are their role's token in the database.

mod support;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::daemon::Daemon;
use support::forgery::read;
use support::postgres::{self, Postgres, superuser};
use support::python::Login;
use support::random::Random;
use support::vault::{self, Ask, HOME, Vault};
use tokenwatch::decoder::stream::{Counts, Item, Stream};
use tokenwatch::decoder::{Decoded, Options};
use tokenwatch::event::{Event, Kind, Provenance};

/// Where the people of these tests sit.
const ANN: &str = "127.0.0.61";
const CI: &str = "127.0.0.62";
const DEPLOY: &str = "127.0.0.63";
const ELSEWHERE: &str = "127.0.0.66";
const OPERATOR: &str = "127.0.0.69";

const PASSWORD: &str = "Ann-s-own-password";

/// The audit devices, each with an option that operators set.
const DEVICES: [(&str, &[(&str, &str)]); 6] = [
    ("plain", &[]),
    ("prefixed", &[("prefix", "vault-audit: ")]),
    ("raw", &[("log_raw", "true")]),
    ("accessors", &[("hmac_accessor", "false")]),
    ("elided", &[("elide_list_responses", "true")]),
    ("jsonx", &[("format", "jsonx")]),
];

/// What may be done by everybody here.
const POLICY: &str = r#"
path "database/creds/*" { capabilities = ["read"] }
path "secret/app/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/leases/*" { capabilities = ["update"] }
path "auth/token/create" { capabilities = ["create", "update"] }
"#;

/// Vault in front of PostgreSQL, with its audit files.
struct World {
    vault: Vault,
    postgres: Postgres,
    logs: Vec<(&'static str, PathBuf)>,
    /// The identifiers of an AppRole.
    role: Value,
    /// Whatever must not come out, and what was answered to whom.
    secrets: BTreeSet<String>,
    requests: Vec<String>,
    /// Acts as they must be found, and the ids of the requests that were answered.
    wanted: Vec<String>,
}

impl World {
    fn new() -> World {
        let postgres = Postgres::start(&[("log_destination", "csvlog"), ("log_statement", "all"), ("log_connections", "on")]);
        let vault = Vault::start();
        let logs = DEVICES.iter().map(|(name, options)| (*name, vault.audit(name, options))).collect();
        vault.admin(
            "POST",
            "sys/mounts/database",
            &json!({ "type": "database", "config": { "audit_non_hmac_response_keys": ["username"] } }),
        );
        vault.admin("POST", "sys/mounts/secret", &json!({ "type": "kv" }));
        vault.admin("PUT", "sys/policies/acl/app", &json!({ "policy": POLICY }));
        for method in ["userpass", "approle"] {
            vault.admin("POST", &format!("sys/auth/{method}"), &json!({ "type": method }));
        }
        vault.admin("POST", "auth/userpass/users/ann", &json!({ "password": PASSWORD, "token_policies": ["app"] }));
        vault.admin("POST", "auth/approle/role/ci", &json!({ "token_policies": ["app"] }));
        let admin = superuser("postgres");
        let url = format!("postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable", postgres.port());
        let ours = json!({
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": url,
            "username": admin.user, "password": admin.password,
        });
        let mut renamed = ours.clone();
        renamed["username_template"] = json!("svc_{{ .RoleName }}_{{ random 12 | lowercase }}");
        let create = r#"create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'"#;
        for (name, config) in [("readonly", ours), ("reports", renamed)] {
            vault.admin("POST", &format!("database/config/{name}"), &config);
            let role = json!({ "db_name": name, "creation_statements": [create], "default_ttl": "1h", "max_ttl": "24h" });
            vault.admin("POST", &format!("database/roles/{name}"), &role);
        }
        let id = vault.admin("GET", "auth/approle/role/ci/role-id", &Value::Null);
        let secret = vault.admin("POST", "auth/approle/role/ci/secret-id", &Value::Null);
        let role = json!({ "role_id": id["data"]["role_id"], "secret_id": secret["data"]["secret_id"] });
        let secrets = BTreeSet::from([PASSWORD.to_owned(), vault.root().to_owned(), admin.password.to_owned()]);
        let mut world = World { vault, postgres, logs, role, secrets, requests: Vec::new(), wanted: Vec::new() };
        world.keep(&world.role.clone());
        world
    }

    /// Remembers what of an answer must never come out.
    fn keep(&mut self, answer: &Value) {
        const SECRET: [&str; 8] =
            ["client_token", "accessor", "token", "password", "secret_id", "role_id", "wrapped_accessor", "secret_id_accessor"];
        for (key, value) in answer.as_object().into_iter().flatten() {
            match value {
                Value::String(text) if SECRET.contains(&key.as_str()) && text.len() > 8 => drop(self.secrets.insert(text.clone())),
                Value::Object(_) => self.keep(value),
                _ => {}
            }
        }
    }

    /// A request, how it is answered, and how it must be found: `KIND WHO OPERATION PATH OUTCOME`.
    fn act(&mut self, ask: Ask<'_>, status: u64, wanted: &str) -> Value {
        let (got, answer) = self.vault.ask(ask);
        assert_eq!(got, status, "{ask:?}: {answer}");
        self.keep(&answer);
        let id = answer["request_id"].as_str().filter(|id| !id.is_empty());
        self.requests.extend(id.map(str::to_owned));
        self.wanted.push(format!("{} {wanted}", ask.from));
        answer
    }

    fn log(&self, device: &str) -> &Path {
        &self.logs.iter().find(|(name, _)| *name == device).expect("a device").1
    }

    /// Ann, a job and a token that root made log in; their tokens.
    fn log_in(&mut self) -> [String; 3] {
        let role = self.role.clone();
        let ann = self.act(
            post(ANN, None, "auth/userpass/login/ann", &json!({ "password": PASSWORD })),
            200,
            "login userpass-ann update auth/userpass/login/ann success",
        );
        let ci = self.act(post(CI, None, "auth/approle/login", &role), 200, "login approle/ci update auth/approle/login success");
        let made = json!({ "policies": ["app"], "display_name": "deploy", "meta": { "role_name": "ci" } });
        let deploy = self.vault.admin("POST", "auth/token/create", &made);
        self.keep(&deploy);
        [ann, ci, deploy].map(|answer| answer["auth"]["client_token"].as_str().expect("a token").to_owned())
    }

    /// Reads credentials of a database role: the lease, the account and its password.
    fn creds(&mut self, from: &str, token: &str, who: &str, role: &str) -> [String; 3] {
        let path = format!("database/creds/{role}");
        let answer = self.act(get(from, token, &path), 200, &format!("query {who} select {path} success"));
        [&answer["lease_id"], &answer["data"]["username"], &answer["data"]["password"]]
            .map(|text| text.as_str().expect("a text").to_owned())
    }
}

fn ask<'a>(method: &'a str, from: &'a str, token: Option<&'a str>, path: &'a str, body: &'a Value) -> Ask<'a> {
    Ask { from, token, method, path, headers: &[], body }
}

fn post<'a>(from: &'a str, token: Option<&'a str>, path: &'a str, body: &'a Value) -> Ask<'a> {
    ask("POST", from, token, path, body)
}

fn get<'a>(from: &'a str, token: &'a str, path: &'a str) -> Ask<'a> {
    ask("GET", from, Some(token), path, &Value::Null)
}

/// An event in few words, and the request that it tells of; `None` for what is no act.
fn act(event: &Event<'_>) -> Option<(String, String)> {
    if event.kind == Kind::Other {
        return None;
    }
    let who = event.principal.map_or("-".to_owned(), |principal| match principal.provenance {
        Provenance::Claimed => format!("claimed {}", principal.name),
        _ => principal.name.to_string(),
    });
    let objects: Vec<String> = event.objects.iter().map(ToString::to_string).collect();
    let from = event.address.map_or("-".to_owned(), |address| address.to_string());
    let operation = event.operation.map_or("-", |operation| operation.name());
    assert!(event.suspect.is_none() && event.port.is_some(), "{event:?}");
    let lower = |word: &dyn Debug| format!("{word:?}").to_lowercase();
    let said = format!("{from} {} {who} {operation} {} {}", lower(&event.kind), objects.join(","), lower(&event.outcome));
    Some((said, event.session.map(ToString::to_string).unwrap_or_default()))
}

/// The acts of a log, whose format is detected; they are told by everybody but the administrator. Comes in pieces of all sizes.
fn acts(log: &[u8]) -> (Vec<(String, String)>, Counts) {
    let (mut acts, mut random) = (Vec::new(), Random::new(log.len() as u64));
    let mut sink = |item: Item<'_>| {
        assert_eq!(item.format.name, "vault-audit");
        match item.decoded {
            Decoded::Event(event) => acts.extend(act(&event).filter(|(said, _)| !said.starts_with(&format!("{HOME} ")))),
            Decoded::Reject(reason) => assert!(reason.starts_with("JSONx"), "{reason}: {}", item.raw.escape_ascii()),
            Decoded::Skip(_) => {}
        }
    };
    let counts = read(Stream::new(None, Options::default(), 0), log, || 1 + random.below(5000), &mut sink);
    (acts, counts)
}

/// What the program prints of these logs, and everything that it prints.
fn decode(args: &[&str], logs: &[&Path]) -> String {
    let output = Command::new(support::daemon::program()).arg("decode").args(args).args(logs).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn requests_are_found_back_in_every_form() {
    if support::skip([vault::missing(), postgres::missing()]) {
        return;
    }
    let mut world = World::new();
    let [ann, ci, deploy] = world.log_in();
    let role = world.role.clone();

    let [lease, ..] = world.creds(ANN, &ann, "userpass-ann", "readonly");
    world.creds(CI, &ci, "approle/ci", "readonly");
    // its maker's metadata says that it were the job's
    world.creds(DEPLOY, &deploy, "token-deploy[app]", "reports");
    let lease = json!({ "lease_id": lease });
    world.act(post(ANN, Some(&ann), "sys/leases/renew", &lease), 200, "query userpass-ann update sys/leases/renew success");
    world.act(post(ANN, Some(&ann), "sys/leases/revoke", &lease), 204, "query userpass-ann revoke sys/leases/revoke success");
    world.act(get(ANN, &ann, "database/creds/none"), 400, "error userpass-ann select database/creds/none error");

    // logins that are refused name nobody but whom they claim
    let wrong = json!({ "password": "wrong password" });
    let refused = "auth/userpass/login";
    let said = |name: &str, outcome: &str| format!("loginfailed claimed userpass-{name} update {refused}/{name} {outcome}");
    world.act(post(ELSEWHERE, None, &format!("{refused}/ann"), &wrong), 400, &said("ann", "denied"));
    world.act(post(ELSEWHERE, None, &format!("{refused}/bob"), &wrong), 400, &said("bob", "error"));
    let mut other = role.clone();
    other["secret_id"] = json!("wrong secret id");
    world.act(post(ELSEWHERE, None, "auth/approle/login", &other), 400, "loginfailed - update auth/approle/login denied");
    world.act(get(ANN, &ann, "secret/other"), 403, "denied userpass-ann select secret/other denied");
    world.act(get(ELSEWHERE, "hvs.AAAAAAAAAAAAAAAAAAAAAAAA", "secret/app/x"), 403, "denied - select secret/app/x denied");
    world.act(ask("GET", ELSEWHERE, None, "secret/app/x", &Value::Null), 403, "denied - select secret/app/x denied");

    // a store holds keys and paths that its users choose
    let value = json!({ "error": "a secret of the shop", "username": "the shop's user" });
    world.secrets.extend(["a secret of the shop".to_owned(), "the shop's user".to_owned()]);
    let stored = "secret/app/revoke";
    world.act(post(ANN, Some(&ann), stored, &value), 204, &format!("query userpass-ann insert {stored} success"));
    world.act(post(ANN, Some(&ann), stored, &value), 204, &format!("query userpass-ann update {stored} success"));
    world.act(get(ANN, &ann, stored), 200, &format!("query userpass-ann select {stored} success"));
    world.act(ask("LIST", ANN, Some(&ann), "secret/app", &Value::Null), 200, "query userpass-ann show secret/app/ success");
    world.act(ask("DELETE", CI, Some(&ci), stored, &Value::Null), 204, &format!("query approle/ci delete {stored} success"));

    // what a token's maker says of it does not change who made it
    let child = json!({ "display_name": "approle", "meta": { "role_name": "ci", "username": "root" }, "policies": ["app"] });
    let child = world.act(post(ANN, Some(&ann), "auth/token/create", &child), 200, "query userpass-ann update auth/token/create success");
    let child = child["auth"]["client_token"].as_str().expect("a token").to_owned();
    world.act(get(ANN, &child, "auth/token/lookup-self"), 200, "query token-approle[app] select auth/token/lookup-self success");

    // wrapped answers: whoever unwraps is not known, and a second time is a refusal
    let wrap = [("X-Vault-Wrap-TTL", "60s")];
    let wrapped = |answer: &Value| answer["wrap_info"]["token"].as_str().expect("a token").to_owned();
    let unwrap = "update sys/wrapping/unwrap";
    let asked = Ask { headers: &wrap, ..get(CI, &ci, "database/creds/readonly") };
    let answer = world.act(asked, 200, "query approle/ci select database/creds/readonly success");
    world.act(post(CI, Some(&wrapped(&answer)), "sys/wrapping/unwrap", &Value::Null), 200, &format!("query - {unwrap} success"));
    world.act(post(ELSEWHERE, Some(&wrapped(&answer)), "sys/wrapping/unwrap", &Value::Null), 400, &format!("denied - {unwrap} denied"));
    let asked = Ask { headers: &wrap, ..get(CI, &ci, "database/creds/readonly") };
    let answer = world.act(asked, 200, "query approle/ci select database/creds/readonly success");
    let token = json!({ "token": wrapped(&answer) });
    world.act(post(ANN, Some(&ann), "sys/wrapping/unwrap", &token), 200, &format!("query userpass-ann {unwrap} success"));
    let asked = Ask { headers: &wrap, ..post(CI, None, "auth/approle/login", &role) };
    let answer = world.act(asked, 200, "login approle/ci update auth/approle/login success");
    world.act(post(CI, Some(&wrapped(&answer)), "sys/wrapping/unwrap", &Value::Null), 200, &format!("query - {unwrap} success"));

    world.act(post(ANN, Some(&ann), "auth/token/renew-self", &json!({})), 200, "query userpass-ann update auth/token/renew-self success");
    world.act(
        post(ANN, Some(&ann), "auth/token/revoke-self", &Value::Null),
        204,
        "logout userpass-ann revoke auth/token/revoke-self success",
    );
    world.act(get(ANN, &ann, stored), 403, &format!("denied - select {stored} denied"));
    // Only the request is written, whether it is carried out or not.
    let root = world.vault.root().to_owned();
    world.act(ask("PUT", CI, Some(&ci), "sys/seal", &Value::Null), 403, "query approle/ci update sys/seal unknown");
    world.act(ask("PUT", OPERATOR, Some(&root), "sys/seal", &Value::Null), 204, "query root update sys/seal unknown");

    let mut secrets: Vec<&str> = world.secrets.iter().map(String::as_str).collect();
    secrets.push("wrong ");
    for (device, file) in &world.logs {
        let log = fs::read(file).expect("the audit log");
        let (acts, counts) = acts(&log);
        if *device == "jsonx" {
            assert_eq!((acts.len(), counts.events, counts.records > 0), (0, 0, true));
        } else {
            let said: Vec<&str> = acts.iter().map(|(said, _)| said.as_str()).collect();
            assert_eq!(said, world.wanted, "{device}");
            assert_eq!((counts.rejects, counts.records), (0, log.iter().filter(|byte| **byte == b'\n').count() as u64), "{device}");
            let told: BTreeSet<&str> = acts.iter().map(|(_, session)| session.as_str()).collect();
            assert!(acts.len() == told.len() && world.requests.iter().all(|id| told.contains(id.as_str())), "{device}");
        }
        for args in [&["--json"][..], &[]] {
            let printed = decode(args, &[file]);
            assert!(printed.contains(if *device == "jsonx" { "JSONx" } else { "vault-audit" }), "{device}: {printed}");
            for secret in &secrets {
                // what cannot be read is shown to whoever asks for it on his terminal, and only there
                assert!(!printed.contains(secret) || *device == "jsonx" && args.is_empty(), "{device} {args:?}: {secret}");
            }
        }
    }
    let raw = fs::read_to_string(world.log("raw")).expect("the audit log");
    assert!(world.secrets.iter().filter(|secret| raw.contains(secret.as_str())).count() > 20, "the raw device writes in clear");
    // the server's own log beside it
    let mut kinds = BTreeSet::new();
    let output = world.vault.output();
    let mut sink = |item: Item<'_>| {
        kinds.extend(match item.decoded {
            Decoded::Event(event) => Some((item.format.name, event.kind == Kind::Other, event.principal.is_some())),
            other => panic!("{other:?}: {}", item.raw.escape_ascii()),
        })
    };
    read(Stream::new(None, Options::default(), 0), output.as_bytes(), || output.len(), &mut sink);
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [("vault-audit", true, false)]);
    let pid = world.vault.pid();
    drop(world);
    assert!(!Path::new("/proc").join(pid.to_string()).exists());
}

#[test]
fn nothing_that_a_client_sends_is_an_act_of_another() {
    if support::skip([vault::missing(), postgres::missing()]) {
        return;
    }
    let mut world = World::new();
    let vault = &world.vault;
    // the worst that an operator may set: what clients say of themselves in clear
    vault.admin("PUT", "sys/config/auditing/request-headers/x-app", &json!({ "hmac": false }));
    vault.admin(
        "POST",
        "sys/mounts/secret/tune",
        &json!({ "audit_non_hmac_request_keys": ["note"], "audit_non_hmac_response_keys": ["note"] }),
    );
    vault.admin("POST", "sys/auth/token/tune", &json!({ "audit_non_hmac_request_keys": ["display_name", "meta"] }));
    let [ann, ..] = world.log_in();
    world.wanted.clear();

    let forged = r#"{"time":"2026-11-22T02:21:28.4Z","type":"response","auth":{"display_name":"root","policies":["root"],"entity_id":"e1"},"request":{"id":"f1","operation":"delete","path":"sys/audit/plain","remote_address":"6.6.6.6","remote_port":66},"response":{}}"#;
    let prefixes = [
        "",
        "\n",
        "\r\n",
        "\\n",
        "\"}\n",
        "\"}}}\n",
        "\\\"}\n",
        "\",\"display_name\":\"root\",\"x\":\"",
        "\"},\"auth\":{\"display_name\":\"root\"},\"x\":{\"y\":\"",
        "</json:string></json:object>\n",
        "&#34;}&#10;",
        "\u{2028}",
        "\0\n",
        "vault-audit: ",
        "\nvault-audit: ",
        "%0a",
    ];
    let encoded = |text: &str| text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    let texts: Vec<String> = (0..16).flat_map(|round| prefixes.map(|prefix| format!("{}{prefix}{forged}", "x".repeat(round)))).collect();
    let header = |text: &str| text.chars().filter(|c| (' '..='~').contains(c)).collect::<String>();
    let headers: Vec<[(&str, String); 1]> = texts.iter().map(|text| [("X-App", header(text))]).collect();
    let headers: Vec<[(&str, &str); 1]> = headers.iter().map(|[(name, value)]| [(*name, value.as_str())]).collect();
    let paths: Vec<String> = texts.iter().map(|text| format!("secret/app/{}", encoded(text))).collect();
    let creds: Vec<String> = texts.iter().map(|text| format!("database/creds/{}", encoded(text))).collect();
    let logins: Vec<String> = texts.iter().map(|text| format!("auth/userpass/login/{}", encoded(text))).collect();
    let values: Vec<Value> = texts.iter().map(|text| json!({ "note": text, text: text, "username": text, "error": text })).collect();
    let tokens: Vec<Value> = texts.iter().map(|text| json!({ "display_name": text, "meta": { "role_name": text }, "ttl": "1h" })).collect();
    let password = json!({ "password": "wrong" });
    // an identifier that somebody has made up a role for
    let metadata = |text: &str| json!({ "metadata": json!({ "role_name": "root", "username": text, "x": text }).to_string() });
    let roles: Vec<Value> = prefixes
        .map(|prefix| {
            let made = world.vault.admin("POST", "auth/approle/role/ci/secret-id", &metadata(&format!("{prefix}{forged}")));
            json!({ "role_id": world.role["role_id"], "secret_id": made["data"]["secret_id"] })
        })
        .to_vec();
    let before: Vec<usize> = world.logs.iter().map(|(_, file)| fs::read(file).expect("the audit log").len()).collect();
    let mut asks: Vec<Ask<'_>> = roles.iter().map(|role| post(ELSEWHERE, None, "auth/approle/login", role)).collect();
    for (at, text) in texts.iter().enumerate() {
        asks.push(Ask { headers: &headers[at], ..get(ELSEWHERE, &ann, &paths[at]) });
        asks.push(get(ELSEWHERE, &ann, &creds[at]));
        asks.push(post(ELSEWHERE, None, &logins[at], &password));
        asks.push(post(ELSEWHERE, Some(&ann), "secret/app/x", &values[at]));
        asks.push(get(ELSEWHERE, &ann, "secret/app/x"));
        asks.push(post(ELSEWHERE, Some(&ann), "auth/token/create", &tokens[at]));
        if !header(text).is_empty() {
            asks.push(Ask { headers: &headers[at], ..get(ELSEWHERE, header(text).leak(), "secret/app/x") });
        }
    }
    assert!(asks.len() > 1_000);
    let answers = world.vault.send(&asks);
    // whoever holds a token whose name he chose
    let entered = answers.iter().filter(|(_, answer)| answer["auth"]["metadata"]["role_name"] == "ci").count();
    assert_eq!(entered, prefixes.len());
    let made: Vec<&str> = answers[entered..].iter().filter_map(|(_, answer)| answer["auth"]["client_token"].as_str()).collect();
    assert_eq!(made.len(), texts.len());
    let used: Vec<Ask<'_>> = made.iter().map(|token| get(ELSEWHERE, token, "auth/token/lookup-self")).collect();
    assert!(world.vault.send(&used).iter().all(|(status, _)| *status == 200));

    for ((device, file), before) in world.logs.iter().zip(before) {
        let log = fs::read(file).expect("the audit log");
        let (acts, counts) = acts(&log);
        if *device == "jsonx" {
            // in there whoever chooses a path writes lines
            assert!(log.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{\"time\"")).count() >= texts.len() / 16);
            assert_eq!((acts.len(), counts.events), (0, 0));
            continue;
        }
        assert_eq!(counts.rejects, 0, "{device}");
        let (mut own, mut claims, mut nobody) = (0, 0, 0);
        for (act, _) in &acts {
            let Some(rest) = act.strip_prefix(ELSEWHERE) else {
                assert!([ANN, CI].iter().any(|from| act.starts_with(from)), "{device}: {act}");
                continue;
            };
            match rest.split(' ').collect::<Vec<_>>().as_slice() {
                ["", "query" | "error" | "denied", "userpass-ann", ..] | ["", "login", "approle/ci", ..] => own += 1,
                // named after what he chose, marked as such, with the policies of its maker
                ["", "query", token, ..] if token.starts_with("token-") && token.ends_with("[app]") => own += 1,
                ["", "loginfailed", "claimed", name, ..] if name.starts_with("userpass-") => claims += 1,
                ["", "loginfailed" | "denied" | "error", "-", ..] => nobody += 1,
                _ => panic!("{device}: {act}"),
            }
        }
        // every request that got as far as the audit log, and no other
        let written = |part: &[u8]| part.windows(18).filter(|at| at == b"\"type\":\"response\",").count();
        assert_eq!(own + claims + nobody, written(&log[before..]), "{device}");
        assert!(own >= 6 * texts.len() - 16 && claims + nobody >= texts.len(), "{device}: {own} {claims} {nobody} of {}", texts.len());
    }
}

/// Accounts of one role are one token from one day to the next, by their names or by what the audit log says of them.
#[test]
fn a_generated_account_is_its_roles_token() {
    if support::skip([vault::missing(), postgres::missing()]) {
        return;
    }
    let mut world = World::new();
    let [ann, ci, _] = world.log_in();
    let mut accounts = Vec::new();
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    let mut began = 0;
    for day in 0..2u32 {
        for (from, token, who, role, wanted) in [
            (ANN, &ann, "userpass-ann", "readonly", "vault:userpass/readonly"),
            (CI, &ci, "approle/ci", "readonly", "vault:approle/readonly"),
            (CI, &ci, "approle/ci", "reports", "vault:approle/reports"),
        ] {
            let [lease, user, password] = world.creds(from, token, who, role);
            let login = Login { user: &user, password: &password, database: "postgres", from, client: "app" };
            world.postgres.query(&login, &["select count(*) from pg_class"]).expect("a session").remove(0).expect("an answer");
            world.act(
                post(from, Some(token), "sys/leases/revoke", &json!({ "lease_id": lease })),
                204,
                &format!("query {who} revoke sys/leases/revoke success"),
            );
            assert!(world.postgres.query(&login, &["select 1"]).is_err(), "{user} was revoked");
            accounts.push((user, wanted));
        }
        // Each day its own file; the second is told as if it were the day after.
        let log = world.postgres.wait_log("csv", &format!("{}\"\" does not exist", accounts.last().expect("an account").0));
        let (today, tomorrow) = dates(&log);
        let part = if day == 0 { log[began..].to_owned() } else { log[began..].replace(&today, &tomorrow) };
        began = log.len();
        files.push(folder.path().join(format!("postgresql-{day}.csv")));
        fs::write(&files[day as usize], part).expect("our own folder");
    }
    let users: BTreeSet<&str> = accounts.iter().map(|(user, _)| user.as_str()).collect();
    assert_eq!(users.len(), 6, "{users:?}");
    assert!(users.iter().all(|user| user.starts_with("v-") || user.starts_with("svc_reports_")), "{users:?}");

    let audit = world.log("plain").to_path_buf();
    let printed = decode(&["--json"], &[&audit, &files[0], &files[1]]);
    let events: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (user, wanted) in &accounts {
        let of: Vec<&Value> = events.iter().filter(|event| event["principal"] == json!(user)).collect();
        let tokens = |kinds: &[&str]| -> BTreeSet<&str> {
            let such = of.iter().filter(|event| kinds.iter().any(|kind| event["kind"] == json!(kind)));
            such.map(|event| event["token"].as_str().unwrap_or("none")).collect()
        };
        assert_eq!(tokens(&["login", "query"]), BTreeSet::from([*wanted]), "{user}");
        // after it was revoked it is only who somebody says he is
        assert_eq!(tokens(&["login_failed"]), BTreeSet::from(["none"]), "{user}");
    }

    // What is learned and listed, and what is kept: tokens of roles and no accounts, no password.
    // Names that an operator's own template makes are declared: `learn` reads each log for itself.
    let declared = "[[lease]]\ntemplate = \"svc_{role}_{random:12}\"\n";
    let daemon = Daemon::new("[inventory]\nfile = \"tokens.toml\"\nfindings = false\n", &[("tokens.toml", declared)]);
    let inputs: Vec<&str> = [&audit, &files[0], &files[1]].iter().map(|file| file.to_str().expect("UTF-8")).collect();
    let (code, said, trouble) = daemon.command(&[&["learn"], &inputs[..]].concat());
    assert_eq!(code, 0, "{said}{trouble}");
    let (_, listed, _) = daemon.command(&["tokens", "list"]);
    let mut kept = said + &trouble + &listed;
    for entry in fs::read_dir(daemon.folder.path().join("state")).expect("the state") {
        kept += &String::from_utf8_lossy(&fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    for wanted in ["vault:userpass/readonly", "vault:approle/readonly", "vault:reports", "approle/ci", "userpass-ann"] {
        assert_eq!(listed.lines().filter(|line| line.split(' ').any(|word| word == wanted)).count(), 1, "{wanted}: {listed}");
    }
    assert!(!users.iter().any(|user| listed.contains(user)), "{listed}");
    for secret in &world.secrets {
        assert!(!kept.contains(secret), "{secret}");
    }
}

/// The date of the last line of a log, and the day after.
fn dates(log: &str) -> (String, String) {
    let last = log.lines().rfind(|line| line.starts_with("20")).expect("a line");
    let today: jiff::civil::Date = last[..10].parse().expect("a date");
    (today.to_string(), today.tomorrow().expect("a date").to_string())
}
