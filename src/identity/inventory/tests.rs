use super::*;

fn refused(text: &str) -> Vec<String> {
    Inventory::parse(text, "tokens.toml").expect_err(text).iter().map(ToString::to_string).collect()
}

fn name(inventory: &Inventory, user: &str, database: &str, client: &str, address: &str) -> Option<String> {
    let given = |text: &'static str| (!text.is_empty()).then(|| BStr::new(text));
    let index = inventory.resolve(&Who {
        user: user.into(),
        database: given(Box::leak(database.to_owned().into_boxed_str())),
        client: given(Box::leak(client.to_owned().into_boxed_str())),
        address: Address::parse(address.as_bytes()),
        tags: None,
    })?;
    Some(inventory.get(index).unwrap().name.clone())
}

#[test]
fn exact_names_come_first_and_the_most_specific_wins() {
    let text = r#"
[[token]]
name = "services"
match = { user = "svc_*" }
[[token]]
name = "billing anywhere"
match = { user = "svc_billing" }
[[token]]
name = "billing on app"
match = { user = "svc_billing", database = "app" }
[[token]]
name = "billing by psql"
match = { user = "svc_billing", database = "app", client = "psql*" }
[[token]]
name = "reports"
match = { user = "svc_rep*" }
[[token]]
name = "from the lab"
match = { user = "svc_*", address = "10.9.0.0/16" }
[[token]]
name = "a*b"
"#;
    let inventory = Inventory::parse(text, "tokens.toml").unwrap();
    for (event, expected) in [
        (("svc_billing", "", "", ""), Some("billing anywhere")),
        (("svc_billing", "app", "", ""), Some("billing on app")),
        (("svc_billing", "app", "psql 15", ""), Some("billing by psql")),
        (("svc_billing", "", "", "10.9.0.1"), Some("billing anywhere")),
        (("svc_x", "app", "", ""), Some("services")),
        (("svc_x", "app", "", "10.9.0.1"), Some("from the lab")),
        (("svc_report", "app", "", ""), Some("reports")),
        (("svc", "app", "", ""), None),
        // A name is not a pattern unless it stands under match.
        (("axb", "", "", ""), None),
        (("a*b", "", "", ""), Some("a*b")),
    ] {
        assert_eq!(name(&inventory, event.0, event.1, event.2, event.3).as_deref(), expected, "{event:?}");
    }
}

#[test]
fn all_mistakes_in_one_run_in_clear_words() {
    let text = r#"
[[token]]
name = "billing"
networks = ["10.1.2.0/16", "10.300.0.0/16"]
scope = ["select", "selct public.x"]
hours = "Mon-Fri 7-19"
[[token]]
name = "billing"
match = { client = "psql" }
expires_at = "soon"
[[token]]
name = "etl"
match = { user = "*", client = "etl" }
successor_of = "biling"
networks = []
[[token]]
nam = "x"
"#;
    assert_eq!(
        refused(text),
        [
            "tokens.toml:4:13: networks: \"10.1.2.0/16\" has host bits set; the network is 10.1.0.0/16, the one host is 10.1.2.0",
            "tokens.toml:4:28: networks: \"10.300.0.0\" in \"10.300.0.0/16\" is not an IP address",
            "tokens.toml:5:10: scope: \"select\" is not an operation and an object; write for example \"select public.invoices\" or \"select *\"",
            "tokens.toml:5:20: scope: unknown operation \"selct\" in \"selct public.x\"; did you mean \"select\"?",
            "tokens.toml:6:9: hours: \"7-19\" is not a span of hours; write for example 07:00-19:00",
            "tokens.toml:8:8: a second token is named \"billing\"; names are identities; give each its own",
            "tokens.toml:9:9: \"match\" names no user; add user = \"...\"; the other fields only narrow it",
            "tokens.toml:10:14: expires_at: \"soon\" is not a date; write for example 2026-12-01T00:00:00Z or 2026-12-01",
            "tokens.toml:13:23: \"client\" cannot select a token by itself; name the user; client is what the client says of itself, so anybody could take this identity",
            "tokens.toml:14:16: successor_of names an unknown token \"biling\"; did you mean \"billing\"?",
            "tokens.toml:15:1: an empty \"networks\" allows no use at all; leave it out, or list the networks",
            "tokens.toml:16:1: missing key \"name\"; add for example: name = \"billing\"",
            "tokens.toml:17:1: unknown key \"nam\"; did you mean \"name\"?",
        ]
    );
}

#[test]
fn circles_and_equal_matchers_are_refused() {
    let found = refused("[[token]]\nname = \"a\"\nsuccessor_of = \"b\"\n[[token]]\nname = \"b\"\nsuccessor_of = \"a\"\n");
    assert_eq!(found.len(), 2, "{found:?}");
    let found = refused("[[token]]\nname = \"a\"\nmatch = { user = \"u\" }\n[[token]]\nname = \"b\"\nmatch = { user = \"u\" }\n");
    assert!(found[0].contains("the same as that of \"a\""), "{found:?}");
    let found = refused("[[canary_object]]\nname = \"*\"\n");
    assert!(found[0].contains("every object"), "{found:?}");
}

#[test]
fn networks_know_sockets_loopback_and_host_names() {
    let text = "[[token]]\nname = \"a\"\nnetworks = [\"localhost\", \"*.internal.example\", \"10.0.0.7\", \"fe80::/10\"]\n";
    let inventory = Inventory::parse(text, "tokens.toml").unwrap();
    let networks = inventory.get(0).unwrap().networks.clone().unwrap();
    for (address, inside) in [
        ("[local]", true),
        ("127.0.0.9", true),
        ("::1", true),
        ("db7.INTERNAL.example", true),
        ("db7.other.example", false),
        ("10.0.0.7", true),
        ("10.0.0.8", false),
        ("fe80::1", true),
    ] {
        assert_eq!(networks.contain(Address::parse(address.as_bytes()).unwrap()), inside, "{address}");
    }
}

#[test]
fn remarks_name_what_is_past_its_end() {
    let text = "[[token]]\nname = \"a\"\nexpires_at = 2026-01-01T00:00:00Z\n\n[[token]]\nname = \"b\"\n";
    let inventory = Inventory::parse(text, "tokens.toml").unwrap();
    let remarks: Vec<String> = inventory.remarks(value::moment("2026-06-01").unwrap()).iter().map(ToString::to_string).collect();
    assert!(remarks[0].starts_with("tokens.toml:1:1: token \"a\" expired at 2026-01-01T00:00:00Z"), "{remarks:?}");
    assert!(remarks[1].starts_with("tokens.toml:5:1: token \"b\" has no owner"), "{remarks:?}");
}

#[test]
fn ten_thousand_tokens_are_read_at_once() {
    let text: String = (0..10_000).map(|n| format!("[[token]]\nname = \"t{n}\"\nowner = \"o\"\nnetworks = [\"10.0.0.0/8\"]\n")).collect();
    let inventory = Inventory::parse(&text, "tokens.toml").unwrap();
    assert_eq!(name(&inventory, "t9999", "", "", "").as_deref(), Some("t9999"));
}
