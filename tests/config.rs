//! The configuration as a person meets it: what is accepted, what is refused, and the words in which it is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tokenwatch::config::{self, ChannelKind, Checks, Config, MailTls, SourceKind, Start};
use tokenwatch::severity::Severity;

const FORMATS: &[&str] = &["postgres-csv", "postgres-json", "json"];

fn parse(text: &str) -> Result<Config, Vec<String>> {
    config::parse(text, "tokenwatch.toml", Path::new("/etc/tokenwatch"), FORMATS)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn refused(text: &str) -> Vec<String> {
    parse(text).expect_err("this text must be refused")
}

/// Exactly one problem, in these words.
fn refused_with(text: &str, problem: &str) {
    assert_eq!(refused(text), [problem], "for:\n{text}");
}

fn secret_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("soc.key", "k3y\n"), ("slack.url", "https://hooks.example.com/services/T0/B0/x\n"), ("bad.url", "nonsense\n")] {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    dir
}

#[test]
fn the_example_in_deploy_is_accepted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tokenwatch.toml");
    let config = config::load(&path, FORMATS).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(config.sources.len(), 1);
    assert_eq!(config.http.unwrap().port(), 9187);
}

/// Every key that the example only shows must be right as well. (Files that are not there are the one exception.)
#[test]
fn what_the_example_has_commented_out_is_accepted_too() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tokenwatch.toml")).unwrap();
    let is_toml = |line: &str| {
        line.starts_with("[[") || line.split_once(" = ").is_some_and(|(k, _)| k.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let all: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_toml(rest)).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(all.matches("\n[[source]]").count() >= 4 && all.contains("\nmode = \"simulate\""), "{all}");
    for problem in config::parse(&all, "example", Path::new("/nonexistent"), FORMATS).err().unwrap_or_default() {
        assert!(problem.message.contains("cannot read"), "{problem}");
    }
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.state_dir, Path::new("/var/lib/tokenwatch"));
    assert_eq!(config.detect.learning, Duration::from_secs(7 * 86_400));
    assert_eq!(config.detect.group_window, Duration::from_secs(86_400));
    assert_eq!(config.detect.false_alerts_per_1000_token_days, 1.0);
    assert!(config.sources.is_empty() && config.channels.is_empty() && config.responders.is_empty() && config.http.is_none());
}

#[test]
fn the_contract_of_the_product_is_read() {
    let dir = secret_dir();
    let text = r#"
        inventory = "tokens.toml"
        rules = "rules/"
        [state]
        dir = "/var/lib/tokenwatch"
        [detect]
        false_alerts_per_1000_token_days = 1
        learning = "7d"
        [[source]]
        type = "file"
        include = ["/var/log/postgresql/*.csv"]
        format = "auto"
        [[source]]
        type = "kafka"
        brokers = ["k1:9092"]
        topics = ["db-audit"]
        group = "tokenwatch"
        format = "postgres-json"
        [[channel]]
        name = "soc"
        type = "webhook"
        url = "https://soc.example.com/x"
        secret_file = "soc.key"
        min_severity = "medium"
        [[channel]]
        name = "ops"
        type = "slack"
        url_file = "slack.url"
        [[channel]]
        name = "mail"
        type = "email"
        host = "127.0.0.1"
        tls = "none"
        from = "Tokenwatch <tw@example.com>"
        to = ["sec@example.com"]
        [[responder]]
        name = "kill"
        type = "webhook"
        url = "https://kill.example.com/"
        [http]
        listen = "127.0.0.1:9187"
    "#;
    let config = config::parse(text, "tokenwatch.toml", dir.path(), FORMATS).unwrap();
    assert_eq!(config.inventory.unwrap(), dir.path().join("tokens.toml"));
    assert!(config.sources[0].format.is_none());
    assert_eq!(config.sources[0].name, "/var/log/postgresql/*.csv");
    assert!(matches!(&config.sources[0].kind, SourceKind::File { start: Start::Beginning, .. }));
    assert_eq!(config.sources[1].name, "kafka:db-audit");
    assert_eq!(config.sources[1].format.as_deref(), Some("postgres-json"));
    assert_eq!(config.channels[0].min_severity, Severity::Medium);
    assert!(matches!(&config.channels[0].kind, ChannelKind::Webhook { secret: Some(_), .. }));
    assert!(matches!(&config.channels[2].kind, ChannelKind::Email(mail) if mail.port == 25 && mail.tls == MailTls::None));
    let responder = &config.responders[0];
    assert!(!responder.enforce && responder.budget_per_hour == 5 && responder.min_severity == Severity::High);
    assert!(!format!("{:?}", config.channels).contains("hooks.example.com"), "secrets must not show in Debug");
}

#[test]
fn all_problems_are_reported_in_one_run() {
    let found = refused(
        r#"
[stat]
dir = "x"
[detect]
learning = "7 days"
[[source]]
type = "kafak"
anything = 1
[[channel]]
name = "a"
type = "stdout"
[[channel]]
name = "a"
type = "stdout"
min_serverity = "high"
"#,
    );
    assert_eq!(
        found,
        [
            "tokenwatch.toml:2:2: unknown key \"stat\"; did you mean \"state\"?",
            "tokenwatch.toml:5:12: learning: \"7 days\" is not a duration; write for example \"250ms\", \"15m\", \"24h\" or \"7d\"",
            "tokenwatch.toml:7:8: unknown type \"kafak\" (known: file, kafka, stdin, syslog); did you mean \"kafka\"?",
            "tokenwatch.toml:13:8: a second channel is named \"a\"; give each its own name",
            "tokenwatch.toml:15:1: unknown key \"min_serverity\"; did you mean \"min_severity\"?",
        ]
    );
}

#[test]
fn sources_are_refused_in_clear_words() {
    refused_with(
        "[[source]]\ntype = \"file\"\n",
        "tokenwatch.toml:1:1: a file source needs \"include\"; add include = [\"/var/log/postgresql/*.csv\"]",
    );
    refused_with(
        "[[source]]\ntype = \"file\"\ninclude = [\"/x\"]\nformat = \"postgres-cvs\"\n",
        "tokenwatch.toml:4:10: unknown format \"postgres-cvs\" (known: auto, postgres-csv, postgres-json, json); did you mean \"postgres-csv\"?",
    );
    refused_with(
        "[[source]]\ntype = \"file\"\ninclude = [\"/x/[a\"]\n",
        "tokenwatch.toml:3:12: include: \"/x/[a\" is not a file pattern: unclosed character class; missing ']'",
    );
    let sasl = "sasl_mechanism = \"PLAIN\"\nusername = \"u\"\npassword_file = \"p\"\n";
    let found = refused(&format!("[[source]]\ntype = \"kafka\"\nbrokers = [\"k1.example.com\"]\ntopics = [\"a\"]\n{sasl}"));
    assert_eq!(
        found,
        [
            "tokenwatch.toml:5:1: PLAIN without TLS sends the password in the clear; add tls = true, or use SCRAM-SHA-512",
            "tokenwatch.toml:7:17: password_file: cannot read secret /etc/tokenwatch/p: No such file or directory (os error 2); put the secret into it, readable only by the daemon's user (chmod 0600)",
        ]
    );
}

#[test]
fn mapping_names_fields_and_pointers() {
    let source = "[[source]]\ntype = \"stdin\"\nformat = \"json\"\n";
    let config = parse(&format!("{source}mapping = {{ principal = \"/user/name\", time = \"/ts\" }}\nenvelope = \"/message\"\n")).unwrap();
    let mapping = config.sources[0].options.mapping.as_ref().unwrap();
    assert_eq!(mapping.fields["principal"], "/user/name");
    assert_eq!(mapping.envelope.as_deref(), Some("/message"));
    refused_with(
        &format!("{source}mapping = {{ principle = \"/user\" }}\n"),
        "tokenwatch.toml:4:13: unknown field \"principle\"; did you mean \"principal\"?",
    );
    refused_with(
        &format!("{source}mapping = {{ principal = \"user.name\" }}\n"),
        "tokenwatch.toml:4:25: principal: \"user.name\" is not a JSON pointer; write \"/user/name\"",
    );
}

#[test]
fn a_syslog_listener() {
    let source = "[[source]]\ntype = \"syslog\"\n";
    for (listen, url) in [
        ("udp://0.0.0.0:5514", "udp://0.0.0.0:5514"),
        ("udp://10.0.0.1", "udp://10.0.0.1:514"),
        ("tcp://[::]:5514", "tcp://[::]:5514"),
        ("tcp://localhost:5514", "tcp://127.0.0.1:5514"),
    ] {
        let config = parse(&format!("{source}listen = \"{listen}\"\nfrom = [\"10.0.0.0/8\"]\n")).unwrap();
        let SourceKind::Syslog(syslog) = &config.sources[0].kind else { panic!("{listen}") };
        assert_eq!((syslog.url().as_str(), syslog.from.len(), config.sources[0].name.clone()), (url, 1, format!("syslog:{url}")));
        assert_eq!(config.sources[0].options.envelope, Some("syslog"));
    }
    for listen in ["0.0.0.0:514", "http://0.0.0.0:514", "udp://nowhere:514", "udp://0.0.0.0:0", "udp://0.0.0.0:99999"] {
        let found = refused(&format!("{source}listen = \"{listen}\"\nname = \"x\"\n"));
        assert!(found.len() == 1 && found[0].contains("is no address to listen on"), "{found:?}");
    }
    refused_with(source, "tokenwatch.toml:1:1: missing key \"listen\"; add for example: listen = \"udp://0.0.0.0:5514\"");
    refused_with(
        &format!("{source}listen = \"udp://0.0.0.0:5514\"\nfrom = []\n"),
        "tokenwatch.toml:4:1: an empty \"from\" would hear nobody; leave it out to hear everybody",
    );
    let found = refused(&format!("{source}listen = \"tls://0.0.0.0\"\n"));
    assert!(found.len() == 2 && found[1].contains("needs \"key_file\""), "{found:?}");
}

#[test]
fn source_names_are_unique() {
    let config = parse("[[source]]\ntype = \"file\"\ninclude = [\"/x\"]\n[[source]]\ntype = \"file\"\ninclude = [\"/x\"]\n").unwrap();
    assert_eq!(config.sources.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["/x", "/x#2"]);
}

#[test]
fn enforce_needs_a_secret() {
    refused_with(
        "[[responder]]\nname = \"kill\"\ntype = \"webhook\"\nurl = \"https://x.example\"\nmode = \"enforce\"\n",
        "tokenwatch.toml:5:1: a responder in mode \"enforce\" needs \"secret_file\"; add secret_file = \"revoke.key\"; \
         the receiver could not tell our revocations from anybody else's",
    );
}

#[test]
fn the_inventory_is_a_file_or_a_section() {
    let checks = |text: &str| parse(text).unwrap_or_else(|problems| panic!("{problems:?}")).checks;
    let days = |n: u64| Some(Duration::from_secs(n * 86_400));
    assert!(!checks("").kept, "without an inventory nothing of it is reported");
    for text in ["inventory = \"tokens.toml\"", "[inventory]\nfile = \"tokens.toml\"", "inventory = { file = \"tokens.toml\" }"] {
        let config = parse(text).expect(text);
        assert_eq!(config.inventory.as_deref(), Some(Path::new("/etc/tokenwatch/tokens.toml")));
        assert_eq!((config.checks.kept, config.checks.idle, config.checks.repeat), (true, days(90), days(7)));
        assert_eq!((config.checks.not_rotated, config.checks.shared), (None, Some(50)));
        assert_eq!(config.checks.alert, text.contains("file"), "only a section asks to be told: {text}");
    }
    assert!(!checks("[inventory]\nfile = \"tokens.toml\"\nfindings = false\n").kept);
    let given = checks(
        "[inventory]\nunknown = false\nno_owner = false\nexpired = false\nnot_rotated = \"180d\"\nidle = \"off\"\nshared = \"off\"\nrepeat = \"30d\"\n",
    );
    let expected = Checks {
        kept: true,
        alert: true,
        unknown: false,
        no_owner: false,
        expired: false,
        not_rotated: days(180),
        idle: None,
        shared: None,
        repeat: days(30),
    };
    assert_eq!(given, expected);
    assert_eq!(checks("[inventory]\nidle = false\nrepeat = \"off\"\nshared = 9\n").shared, Some(9));
}

#[test]
fn the_inventory_is_refused_in_clear_words() {
    assert_eq!(
        refused("[inventory]\nidle = \"90\"\nnot_rotated = \"1h\"\nrepeat = \"1d\"\nshared = 1\nno_ownr = true\nunknown = \"off\"\n"),
        [
            "tokenwatch.toml:2:8: idle: \"90\" is not a duration; write for example \"250ms\", \"15m\", \"24h\" or \"7d\", or \"off\"",
            "tokenwatch.toml:3:15: not_rotated: \"1h\" is too short; write \"1d\" or longer, or \"off\"",
            "tokenwatch.toml:4:10: repeat: \"1d\" is too short; write \"7d\" or longer, or \"off\"",
            "tokenwatch.toml:5:10: \"shared\" must be from 2 to 512",
            "tokenwatch.toml:6:1: unknown key \"no_ownr\"; did you mean \"no_owner\"?",
            "tokenwatch.toml:7:11: \"unknown\" must be true or false, not text",
        ]
    );
    refused_with(
        "[inventory]\nshared = \"many\"\n",
        "tokenwatch.toml:2:1: \"shared\" is a number of addresses; write for example shared = 50, or shared = \"off\"",
    );
    let both = refused("inventory = \"tokens.toml\"\n[inventory]\nidle = \"30d\"\n");
    assert!(both[0].ends_with("write file = \"tokens.toml\" inside [inventory], in place of inventory = \"tokens.toml\""), "{both:?}");
}

#[test]
fn channels_are_refused_in_clear_words() {
    refused_with(
        "[[channel]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"ftp://x\"\n",
        "tokenwatch.toml:4:7: url: \"ftp\" URLs are not supported; use https:// or http://",
    );
    refused_with(
        "[[channel]]\nname = \"a\"\ntype = \"slack\"\nurl = \"https://hooks.example.com/T0/secret\"\n",
        "tokenwatch.toml:4:1: the URL of a Slack webhook is a secret; put the URL into a file of mode 0600 and name that: url_file = \"slack.url\"",
    );
    let dir = secret_dir();
    let text = "[[channel]]\nname = \"a\"\ntype = \"slack\"\nurl_file = \"bad.url\"\n";
    let problems = config::parse(text, "t.toml", dir.path(), FORMATS).unwrap_err();
    assert!(!problems[0].to_string().contains("nonsense"), "the content of a secret file must not be shown: {}", problems[0]);
    let mail = "[[channel]]\nname = \"m\"\ntype = \"email\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n";
    refused_with(
        &format!("{mail}host = \"mail.example.com\"\ntls = \"none\"\n"),
        "tokenwatch.toml:7:1: tls = \"none\" is only for a relay on this host, not \"mail.example.com\"; \
         use tls = \"starttls\"; alerts name tokens, tables and addresses",
    );
    refused_with(mail, "tokenwatch.toml:1:1: missing key \"host\"; add for example: host = \"mail.example.com\"");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = config::load(&dir.path().join("none.toml"), FORMATS).unwrap_err();
    assert!(missing[0].to_string().contains("none.toml: cannot be read"), "{}", missing[0]);
    assert!(config::load(dir.path(), FORMATS).unwrap_err()[0].to_string().contains("is not a file"));
    let latin1 = dir.path().join("latin1.toml");
    std::fs::write(&latin1, b"a = 1\nb = \"\xe4\"\n").unwrap();
    assert!(config::load(&latin1, FORMATS).unwrap_err()[0].to_string().contains("latin1.toml:2:6: not UTF-8"));
}

#[test]
fn the_example_inventory_in_deploy_is_accepted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tokens.toml");
    use tokenwatch::identity::inventory::{Inventory, Who};
    let inventory = Inventory::load(&path).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let token = |user: &str, database: &str| {
        let who = Who { user: user.into(), database: Some(database.into()), address: None, client: None, tags: None };
        let index = inventory.resolve(&who)?;
        Some(inventory.get(index)?.name.as_str())
    };
    assert_eq!(token("billing_svc", "app"), Some("billing"));
    assert_eq!(token("billing_svc", "other"), None);
    assert_eq!(token("etl_daily", "app"), Some("etl"));
    assert!(inventory.is_canary_object("public.honey_keys"));
    assert!(inventory.entries().iter().any(|entry| entry.name == "backup_admin" && entry.canary));
}

#[test]
fn a_suppression_needs_an_author_a_reason_and_an_end() {
    let whole = "[[suppression]]\ntoken = \"billing\"\ndetectors = [\"new_network\"]\nnetworks = [\"203.0.113.9\"]\nobjects = [\"hr.*\"]\n\
                 author = \"ann\"\nreason = \"the new office\"\nuntil = 2027-03-01T00:00:00Z\n";
    let suppressions = parse(whole).unwrap().suppressions;
    assert_eq!((suppressions.len(), suppressions[0].author.as_str()), (1, "ann"));
    assert_eq!(
        refused("[[suppression]]\ntoken = \"\"\nnetwork = \"203.0.113.9\"\nobjects = [\"hr.*\"]\n"),
        [
            "tokenwatch.toml:1:1: missing key \"author\"; add for example: author = \"the name of who decided it\"",
            "tokenwatch.toml:1:1: missing key \"detectors\"; add for example: detectors = [\"new_network\"], as the alert names them",
            "tokenwatch.toml:1:1: missing key \"reason\"; add for example: reason = \"why it is harmless\"",
            "tokenwatch.toml:1:1: missing key \"until\"; add for example: until = 2027-01-31T00:00:00Z",
            "tokenwatch.toml:2:9: token: it is empty",
            "tokenwatch.toml:3:1: unknown key \"network\"; did you mean \"networks\"?",
        ]
    );
    refused_with(
        &whole.replace("[\"new_network\"]", "[]"),
        "tokenwatch.toml:3:1: an empty \"detectors\" suppresses nothing; write [\"*\"] for all of them",
    );
}
