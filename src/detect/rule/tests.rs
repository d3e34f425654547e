use super::*;
use crate::event::{Dialect, Kind, Operation, Outcome};

fn facts<'a>(kind: Kind, scopes: &'a [(Operation, &'a str)], shape: &'a str) -> Facts<'a> {
    Facts {
        kind,
        operation: scopes.first().map_or(Operation::Unknown, |scope| scope.0),
        scopes,
        outcome: Outcome::Success,
        code: None,
        principal: None,
        database: None,
        client: None,
        shape: Some(shape),
        secret: false,
        dialect: Dialect::Postgres,
    }
}

fn refused(text: &str) -> Vec<String> {
    parse::parse(text, "rules/x.toml", "x").expect_err(text).iter().map(ToString::to_string).collect()
}

#[test]
fn the_built_in_rules_are_all_files_of_the_folder_and_free_of_problems() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let set = RuleSet::load_dir(&dir).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let builtin = RuleSet::builtin();
    let ids = |set: &RuleSet| set.rules().iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&set), ids(&builtin));
    assert_eq!(builtin.rules().len(), BUILTIN.len());
}

#[test]
fn what_is_foreseen_of_a_shape_is_all_that_can_hold_on_it() {
    let set = RuleSet::builtin();
    let ordinary = [(Operation::Select, "public.invoices")];
    let shape = "select * from public.invoices where id = ?";
    let statement = |kind| Statement { kind, operation: Operation::Select, scopes: &ordinary, shape: Some(shape) };
    let foreseen = |kind| -> Vec<(String, u8, Truth)> {
        let found = set.foresee(&statement(kind));
        found.iter().map(|(hit, truth)| (set.get(hit.rule).unwrap().id.clone(), hit.step, *truth)).collect()
    };
    let an_ordinary_query = [("credential_stuffing_success".to_owned(), 1, Truth::Yes), ("full_export".to_owned(), 0, Truth::Unknown)];
    assert_eq!(foreseen(Kind::Query), an_ordinary_query, "one is a step that nothing came before, one asks for the client");
    assert!(foreseen(Kind::Logout).is_empty());
    assert_eq!(set.hits(&facts(Kind::Query, &ordinary, shape)).len(), 1);
    for kind in [Kind::Query, Kind::Denied, Kind::Error, Kind::LoginFailed, Kind::Login] {
        let scopes = [(Operation::Select, "pg_catalog.pg_authid")];
        let shape = "select * from pg_authid union select ?, ?, version()";
        let statement = Statement { kind, operation: Operation::Select, scopes: &scopes, shape: Some(shape) };
        let may = set.foresee(&statement);
        let hits = set.hits(&facts(kind, &scopes, shape));
        for hit in &hits {
            assert!(may.iter().any(|(foreseen, _)| foreseen == hit) && set.holds(*hit, &facts(kind, &scopes, shape)));
        }
        assert!(may.iter().all(|(hit, truth)| *truth != Truth::Yes || hits.contains(hit)));
    }
}

#[test]
fn of_one_rule_the_later_steps_come_first() {
    let text = r#"
id = "x"
title = "t"
severity = "low"
[sequence]
per = "address"
within = "1h"
[[sequence.step]]
match = { kind = ["login"] }
[[sequence.step]]
match = { kind = ["login", "query"] }
"#;
    let rule = parse::parse(text, "rules/x.toml", "x").unwrap();
    let steps: Vec<u8> = rule.hits(0, &facts(Kind::Login, &[], "")).iter().map(|hit| hit.step).collect();
    assert_eq!((rule.per, rule.follow, steps), (Per::Address, 3_600_000_000, vec![1, 0]));
    let words: Vec<WordId> = rule.limits().steps.iter().map(|step| step.word).collect();
    assert_eq!(words, [WordId::of(b"x step 0"), WordId::of(b"x step 1")]);
}

#[test]
fn what_a_rule_over_places_and_steps_cannot_say() {
    let head = "id = \"x\"\ntitle = \"t\"\nseverity = \"low\"\n";
    for (text, want) in [
        (
            "novel = true\nmatch = { kind = [\"login\"] }\nthreshold = { per = \"address\", count = 2, within = \"1m\" }\n",
            "4:1: \"novel\" asks what a token did before; this rule counts per address or network; leave it out",
        ),
        (
            "match = { kind = [\"login\"] }\nthreshold = { per = \"address\", distinct = \"address\", count = 2, within = \"1m\" }\n",
            "5:32: there is only one of it in what is counted together; name another \"distinct\" or \"per\"",
        ),
        (
            "match = { kind = [\"login\"] }\nthreshold = { count = 2, within = \"1m\", unless = { kind = [\"login\"] } }\n",
            "5:41: \"unless\" takes back one of the values that are counted; say which with \"distinct\"",
        ),
        (
            "match = { kind = [\"login\"] }\n[sequence]\nwithin = \"1h\"\n[[sequence.step]]\nmatch = { kind = [\"login\"] }\n",
            "4:1: a rule with a sequence has its \"match\" in the steps; move it into [[sequence.step]]",
        ),
        (
            "[sequence]\nwithin = \"1h\"\n[[sequence.step]]\nmatch = { kind = [\"login\"] }\n",
            "4:1: a sequence has 2 to 8 steps; write each as [[sequence.step]]; one alone is a [match]",
        ),
        ("again = \"1ms\"\nmatch = { kind = [\"login\"] }\n", "4:9: again: \"1ms\" must be from \"1s\" to \"30d\""),
    ] {
        assert!(
            refused(&format!("{head}{text}")).contains(&format!("rules/x.toml:{want}")),
            "{text}: {:#?}",
            refused(&format!("{head}{text}"))
        );
    }
}

#[test]
fn all_mistakes_of_a_rule_in_one_run() {
    let text = r#"
id = "y"
title = "t"
severity = "hgh"
attack = ["1078"]
[match]
kind = ["qury"]
any = [{ object = [] }, { shape_regex = ["(a"] }, {}]
colour = "red"
[threshold]
count = 100
distinct = "object"
within = "10y"
[[test]]
name = "n"
fires = true
events = [{ kind = "query", statment = "x" }]
"#;
    assert_eq!(
        refused(text),
        [
            "rules/x.toml:2:6: id \"y\" differs from the file's name; name the file y.toml",
            "rules/x.toml:4:12: severity: unknown severity \"hgh\" (known: informational, low, medium, high, critical); did you mean \"high\"?",
            "rules/x.toml:5:11: attack: \"1078\" is not an ATT&CK technique such as \"T1078\" or \"T1078.004\"",
            "rules/x.toml:7:9: kind: unknown kind \"qury\"; did you mean \"query\"?",
            "rules/x.toml:8:10: an empty \"object\" never holds; leave it out, or list values",
            "rules/x.toml:8:42: shape_regex: not a usable regular expression: error: unclosed group",
            "rules/x.toml:8:51: an empty condition would hold on every event; name for example kind, operation, object, outcome, shape_contains",
            "rules/x.toml:9:1: unknown key \"colour\"; known here: kind, outcome, dialect, operation, object, only_objects, code, principal, \
             database, client, shape_contains, shape_regex, secret, all, any, not",
            "rules/x.toml:11:9: \"count\" must be from 1 to 64",
            "rules/x.toml:13:10: within: \"10y\" is not a duration; write for example \"250ms\", \"15m\", \"24h\" or \"7d\"",
            "rules/x.toml:17:29: unknown key \"statment\"; did you mean \"statement\"?",
        ]
    );
}

#[test]
fn an_ordinary_regular_expression_cannot_be_made_slow_or_huge() {
    let huge = "id = \"x\"\ntitle = \"t\"\nseverity = \"low\"\nmatch = { shape_regex = ['(a{1000}){1000}'] }\n";
    assert!(refused(huge)[0].contains("not a usable regular expression"));
    let deep = format!(
        "id = \"x\"\ntitle = \"t\"\nseverity = \"low\"\nmatch = {}kind = [\"query\"]{}\n",
        "{ not = ".repeat(20) + "{ ",
        " }".repeat(21)
    );
    assert!(refused(&deep)[0].contains("nested deeper"));
}

#[test]
fn the_page_on_rules_lists_them_all_as_they_are() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md")).unwrap();
    let row = |rule: &Rule| format!("| `{}` | {} | {} |", rule.id, rule.severity, rule.title);
    let rows: Vec<String> = RuleSet::builtin().rules().iter().map(row).collect();
    let found: Vec<&str> =
        page.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(found, rows);
}
