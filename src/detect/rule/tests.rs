use super::*;
use crate::event::{Dialect, Kind, Outcome};

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
fn the_tests_of_the_built_in_rules_pass() {
    let set = RuleSet::builtin();
    let mut problems = Vec::new();
    for rule in set.rules() {
        let count = |fires| rule.examples.iter().filter(|example| example.fires == fires).count();
        assert!(count(true) >= 2 && count(false) >= 2, "{} has too few tests", rule.id);
        problems.extend(trial::run(rule, &format!("rules/{}.toml", rule.id)));
    }
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{shown:#?}");
}

#[test]
fn what_may_match_a_shape_is_all_that_can_hold_on_it() {
    let set = RuleSet::builtin();
    let ordinary = [(Operation::Select, "public.invoices")];
    let shape = "select * from public.invoices where id = ?";
    let may = set.may_match_shape(Operation::Select, &ordinary, Some(shape));
    let ids: Vec<&str> = may.iter().map(|index| set.get(*index).unwrap().id.as_str()).collect();
    assert_eq!(ids, ["denied_burst", "denied_probing", "failed_login_burst", "full_export"], "these depend on the event alone");
    assert!(set.candidates(&facts(Kind::Query, &ordinary, shape)).is_empty());
    for kind in [Kind::Query, Kind::Denied, Kind::Error, Kind::LoginFailed] {
        let scopes = [(Operation::Select, "pg_catalog.pg_authid")];
        let shape = "select * from pg_authid union select ?, ?, version()";
        let may = set.may_match_shape(Operation::Select, &scopes, Some(shape));
        for index in set.candidates(&facts(kind, &scopes, shape)) {
            assert!(may.contains(&index) && set.holds(index, &facts(kind, &scopes, shape)));
        }
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
             database, client, shape_contains, shape_regex, all, any, not",
            "rules/x.toml:11:9: \"count\" must be from 1 to 64",
            "rules/x.toml:13:10: within: \"10y\" is not a duration; write for example \"250ms\", \"15m\", \"24h\" or \"7d\"",
            "rules/x.toml:17:29: unknown key \"statment\"; did you mean \"statement\"?",
        ]
    );
}

#[test]
fn a_failed_test_is_a_problem_with_its_place() {
    let text = "id = \"x\"\ntitle = \"t\"\nseverity = \"low\"\nmatch = { kind = [\"login\"] }\n[[test]]\nname = \"n\"\nfires = false\nevents = [{ kind = \"login\" }]\n";
    let rule = parse::parse(text, "rules/x.toml", "x").unwrap();
    let problems = trial::run(&rule, "rules/x.toml");
    assert_eq!(problems[0].to_string(), "rules/x.toml:5:1: test \"n\" fires and should not; the condition holds on 1 of 1 events");
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
