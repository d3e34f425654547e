use super::*;

const R: &str = "A1b2C3d4E5f6G7h8I9j0";

fn token_of(account: &str) -> Option<String> {
    read(account.into(), &[]).map(|generated| generated.token.to_string())
}

#[test]
fn every_plugins_default_template() {
    let upper = R.to_uppercase();
    let lower = R.to_lowercase();
    for (account, want) in [
        // PostgreSQL, Redshift.
        (format!("v-appro-readonly-{R}-1700000000"), "vault:appro/readonly"),
        (format!("v-token-fo-my-role-{R}-1700000000"), "vault:token-fo/my-role"),
        (format!("v-kubernet-a-b-c-{R}-1700000000"), "vault:kubernet/a-b-c"),
        (format!("v-root-app-{lower}-1700000000"), "vault:root/app"),
        (format!("v--readonly-{R}-1700000000"), "vault:readonly"),
        // SQL Server, MongoDB.
        (format!("v-userpass-ann-smith-reporting-read-only-{R}-1700000000"), "vault:userpass-ann-smith/reporting-read-only"),
        (format!("v-kubernetes-prod-readonly-{R}-1700000000"), "vault:kubernetes-prod/readonly"),
        // Cassandra, InfluxDB, Snowflake, HANA, Couchbase, OpenLDAP.
        (format!("v_token_app_read_{lower}_1700000000"), "vault:token_app/read"),
        (format!("v_APPROLE_READONLY_{upper}_1700000000"), "vault:APPROLE/READONLY"),
        (format!("V_APPROLE_READONLY_{upper}_1700000000"), "vault:APPROLE/READONLY"),
        ("v_token_ops_aB3dE6gH9j_1700000000".to_owned(), "vault:token/ops"),
        // RabbitMQ.
        ("token-deploy-550e8400-e29b-41d4-a716-446655440000".to_owned(), "vault:token-deploy"),
    ] {
        assert_eq!(token_of(&account).as_deref(), Some(want), "{account}");
        assert_eq!(token_of(&account.replace("1700000000", "1800000000").replace('A', "B")), token_of(&account.replace('A', "B")));
    }
}

#[test]
fn names_that_were_cut() {
    let cut = |text: String, to: usize| text[..to].to_owned();
    for (account, want) in [
        // MySQL: every number of characters that is left of random and time.
        (cut(format!("v-approle-ci-readonly-x-{R}-1700000000"), 32), "vault:approle-ci/readonly-x"),
        (cut(format!("v-approle-readonly-{R}-1700000000"), 32), "vault:approle/readonly"),
        (cut(format!("v-root-app-{R}-1700000000"), 32), "vault:root/app"),
        (cut(format!("v-jw-a-{R}-1700000000"), 32), "vault:jw/a"),
        (cut(format!("v-kubernetes-reporting--{R}-1700000000"), 32), "vault:kubernetes/reporting-"),
        // Oracle.
        (cut(format!("V_APPROLE_READONLY_{}_1700000000", R.to_uppercase()), 30), "vault:APPROLE/READONLY"),
        (cut(format!("V_A_B_{}_1700000000", R.to_uppercase()), 30), "vault:A/B"),
        // MySQL before 5.7.
        (cut(format!("v-read-{R}"), 16), "vault:read"),
        (cut(format!("v-ro-{R}"), 16), "vault:ro"),
    ] {
        assert_eq!(token_of(&account).as_deref(), Some(want), "{account}");
    }
}

/// All display names and roles of all lengths, with dashes everywhere: two leases of one role are one token, and the name of the whole is never lost.
#[test]
fn leases_of_one_role_are_one_token() {
    let parts = ["a", "app", "app-x", "token-foo", "approle-ci", "kubernetes-prod-web", "x--y", "-", "1700000000"];
    let random = |seed: usize| -> String { (0..20).map(|at| char::from(b"abcdXYZ0189"[(seed * 7 + at * 5 + at * at) % 11])).collect() };
    for display in parts {
        for role in parts {
            for (width, limit, separator) in [(8, 63, "-"), (10, 32, "-"), (15, 100, "_"), (20, 128, "-"), (64, 255, "_")] {
                let clip = |text: &str| text[..text.len().min(width)].to_owned();
                let name = |seed: usize| {
                    let name =
                        format!("v-{}-{}-{}-{}", clip(display), clip(role), random(seed), 1_700_000_000 + seed).replace('-', separator);
                    name[..name.len().min(limit)].to_owned()
                };
                let first = token_of(&name(1));
                // What is cut in the random may lack a second kind of character; then it is its own.
                assert!(first.is_some() || limit == 32, "{}", name(1));
                for seed in 2..20 {
                    assert_eq!(token_of(&name(seed)), first, "{} and {}", name(1), name(seed));
                }
            }
        }
    }
}

#[test]
fn names_that_people_choose_stay() {
    for account in [
        "v",
        "v-",
        "v_",
        "vault",
        "v-app",
        "v-app-readonly",
        "v-team-alpha-readonlyserviceacct",
        "v_app_readonly_service_account_x",
        "v-app-readonly-A1b2C3d4E5f6G7h8I9j-1700000000",
        "v-app-readonly-A1b2C3d4E5f6G7h8I9j0-170000000",
        "v-A1b2C3d4E5f6G7h8I9j0-1700000000",
        "x-app-readonly-A1b2C3d4E5f6G7h8I9j0-1700000000",
        "tenant-550e8400-e29b-41d4-a716-446655440000",
        "v-app-readonlyacc",
        "v-read-onlyusers",
        "v-app-readonly-A1b2C3d4E5f6G7h8I9j!-1700000000",
        "v-é-readonly-A1b2C3d4E5f6G7h8I9jé-1700000000",
        "",
    ] {
        assert_eq!(token_of(account), None, "{account}");
    }
    for length in 0..200 {
        let dashes = format!("v{}", "-".repeat(length));
        assert_eq!(token_of(&dashes), None, "{dashes}");
        token_of(&dashes.replace("--", "-A1b2C3d4E5f6G7h8I9j0"));
    }
}

#[test]
fn what_is_made_in_the_future_was_never_given_out() {
    let made = read(format!("v-a-b-{R}-1700000000").as_bytes().into(), &[]).unwrap();
    assert!(made.may_exist_at(Time(1_700_000_000 * Time::SECOND)) && made.may_exist_at(Time(1_699_999_700 * Time::SECOND)));
    assert!(!made.may_exist_at(Time(1_699_990_000 * Time::SECOND)));
}

#[test]
fn templates_of_operators() {
    let read = |template: &str, account: &str| {
        read(account.into(), &[Template::parse(template).unwrap()]).map(|generated| generated.token.to_string())
    };
    for (template, account, want) in [
        ("svc-{role}-{random:8}", "svc-report-daily-aB3dE6gH", Some("vault:report-daily")),
        ("svc-{role}-{random:8}", "svc-report-aB3dE6g", None),
        ("{display}.{role}.{time}", "web.prod.ro.1700000000", Some("vault:web.prod/ro")),
        ("job-{uuid}", "job-550e8400-e29b-41d4-a716-446655440000", Some("vault:job-{uuid}")),
        ("job_{random}", "job_x", Some("vault:job_{random}")),
        ("a+b-{random}", "aab-x", None),
    ] {
        assert_eq!(read(template, account).as_deref(), want, "{template} {account}");
    }
    for (template, wrong) in [
        ("{random}", "no text of its own"),
        ("svc-{role}", "nothing that changes"),
        ("svc-{rol}-{random}", "did you mean \"role\"?"),
        ("svc-{random", "without }"),
        ("svc-{random:x}", "not a number"),
        ("s-{role}-{role}-{random}", "twice"),
    ] {
        let said = Template::parse(template).unwrap_err();
        assert!(said.contains(wrong), "{template}: {said}");
    }
}

#[test]
fn bindings_are_bounded_and_survive() {
    let mut bound = Bound::default();
    for n in 0..6000 {
        bound.bind(format!("u{n}").as_bytes(), "approle".into(), "ro".into());
    }
    assert_eq!((bound.tokens.len(), bound.order.len()), (BOUND, BOUND));
    assert_eq!((bound.token(b"u0"), bound.token(b"u5999")), (None, Some("vault:approle/ro")));
    let stored: Bound = postcard::from_bytes(&postcard::to_stdvec(&bound).unwrap()).unwrap();
    let mut other = Bound::default();
    other.bind(b"x", "a".into(), "b".into());
    other.merge(stored);
    assert_eq!((other.token(b"u5999"), other.order.len()), (Some("vault:approle/ro"), BOUND));
}
