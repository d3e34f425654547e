//! Policy: which declared limits of the inventory an event breaks. Pure, and in force from the first event.

use super::inventory::{Entry, Grant, Inventory};
use crate::event::{Address, Kind, Operation, Time};
use crate::observation::Violations;

/// The limits that an event breaks. `entry` is the event's token where the inventory declares it; canary objects count for
/// every token.
///
/// - A refused login is no use of the token, so it breaks nothing; only a canary is touched by it.
/// - Without an address in the log no network is broken; without objects (`BEGIN`, `SET`, `SELECT 1`) no scope is.
/// - Reads of the system catalogs, which drivers do on their own, break no scope; those that hold credentials do.
pub fn violations(
    entry: Option<&Entry>,
    inventory: &Inventory,
    time: Time,
    address: Option<Address<'_>>,
    kind: Kind,
    scopes: &[(Operation, &str)],
) -> Violations {
    let mut broken = Violations::default();
    if matches!(kind, Kind::Logout | Kind::Other) {
        return broken;
    }
    if entry.is_some_and(|entry| entry.canary) || scopes.iter().any(|(_, object)| inventory.is_canary_object(object)) {
        broken.insert(Violations::CANARY);
    }
    let Some(entry) = entry.filter(|_| kind != Kind::LoginFailed) else { return broken };
    let mut check = |breaks: bool, what: Violations| {
        if breaks {
            broken.insert(what);
        }
    };
    check(entry.networks.as_ref().is_some_and(|nets| address.is_some_and(|address| !nets.contain(address))), Violations::NETWORK);
    check(entry.hours.as_ref().is_some_and(|hours| !hours.contain(time)), Violations::HOURS);
    check(entry.expires_at.is_some_and(|end| time >= end), Violations::EXPIRED);
    check(entry.revoked_at.is_some_and(|end| time >= end), Violations::REVOKED);
    if let Some(grants) = &entry.scope {
        check(scopes.iter().any(|(operation, object)| !granted(grants, *operation, object)), Violations::SCOPE);
    }
    broken
}

/// Of the limits that are declared for this token, those that an event keeps which breaks these.
pub fn kept(entry: &Entry, broken: Violations) -> Violations {
    let mut kept = Violations::default();
    let declared = [
        (entry.networks.is_some(), Violations::NETWORK),
        (entry.scope.is_some(), Violations::SCOPE),
        (entry.hours.is_some(), Violations::HOURS),
    ];
    for (_, limit) in declared.iter().filter(|(declared, limit)| *declared && !broken.contains(*limit)) {
        kept.insert(*limit);
    }
    kept
}

/// The declared limit behind a violation, in words for an alert.
pub fn describe(entry: &Entry, broken: Violations) -> String {
    let shown = |what: Option<String>| what.unwrap_or_else(|| "nothing is declared".to_owned());
    match broken {
        Violations::NETWORK => shown(entry.networks.as_ref().map(|nets| format!("networks {nets}"))),
        Violations::HOURS => shown(entry.hours.as_ref().map(|hours| format!("hours {hours}"))),
        Violations::EXPIRED => shown(entry.expires_at.map(|end| format!("no use after {end}, when it expired"))),
        Violations::REVOKED => shown(entry.revoked_at.map(|end| format!("no use after {end}, when it was revoked"))),
        Violations::SCOPE => shown(entry.scope.as_ref().map(|grants| {
            let mut named: Vec<String> = grants.iter().take(5).map(ToString::to_string).collect();
            if grants.len() > named.len() {
                named.push(format!("and {} more", grants.len() - named.len()));
            }
            format!("scope {}", named.join(", "))
        })),
        _ => "no use at all".to_owned(),
    }
}

/// The declared scope covers this operation on this object, or nobody declares such things.
pub fn granted(grants: &[Grant], operation: Operation, object: &str) -> bool {
    object.is_empty()
        || needs_no_grant(operation, object)
        || grants.iter().any(|grant| {
            let covered = grant.operation.is_none_or(|granted| granted == operation)
                // What these do is not known, or no more than any right to the object allows.
                || matches!(operation, Operation::Unknown | Operation::Explain | Operation::Show);
            covered && grant.object.matches(object)
        })
}

/// Things that every session does: its own temporary tables, and reads of the catalogs.
pub fn needs_no_grant(operation: Operation, object: &str) -> bool {
    use Operation::{Begin, Commit, Connect, Explain, Rollback, Select, Set, Show, Unknown};
    if matches!(operation, Connect | Begin | Commit | Rollback | Set) || starts_with(object, "pg_temp") {
        return true;
    }
    if !matches!(operation, Select | Show | Explain | Unknown) {
        return false;
    }
    if starts_with(object, "information_schema.") {
        return true;
    }
    let name = if starts_with(object, "pg_catalog.") { object.get("pg_catalog.".len()..).unwrap_or(object) } else { object };
    let catalog = name.len() < object.len() || starts_with(name, "pg_") && !name.contains('.');
    catalog && !HOLDS_SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Catalogs with password hashes, passwords of foreign servers, or samples of other people's rows.
const HOLDS_SECRETS: [&str; 9] = [
    "pg_authid",
    "pg_shadow",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_statistic",
    "pg_largeobject",
    "pg_hba_file_rules",
    "pg_file_settings",
    "pg_subscription",
];

fn starts_with(text: &str, head: &str) -> bool {
    text.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::moment;

    const INVENTORY: &str = r#"
[[token]]
name = "billing"
owner = "team-billing"
match = { user = "billing_svc" }
networks = ["10.1.0.0/16", "2001:db8::/48", "local"]
scope = ["select public.invoices", "insert public.invoices", "select reporting.*"]
hours = "Mon-Fri 07:00-19:00 Europe/Berlin"
expires_at = 2026-12-01T00:00:00Z
revoked_at = "2026-12-02"

[[token]]
name = "honey"
canary = true

[[canary_object]]
name = "public.honey_*"
"#;

    fn judge(kind: Kind, time: &str, address: &str, scopes: &[(Operation, &str)]) -> Violations {
        let inventory = Inventory::parse(INVENTORY, "tokens.toml").unwrap();
        let entry = inventory.get(inventory.by_name("billing").unwrap());
        violations(entry, &inventory, moment(time).unwrap(), Address::parse(address.as_bytes()), kind, scopes)
    }

    /// A Tuesday morning.
    const NOON: &str = "2026-11-10T10:00:00Z";

    #[test]
    fn what_is_declared_breaks_nothing() {
        let fine = [(Operation::Select, "public.invoices"), (Operation::Select, "reporting.daily")];
        for address in ["10.1.2.3", "2001:db8::7", "::ffff:10.1.0.1", "[local]", ""] {
            assert!(judge(Kind::Query, NOON, address, &fine).is_empty(), "{address}");
        }
    }

    #[test]
    fn each_limit() {
        assert_eq!(judge(Kind::Query, NOON, "10.2.0.1", &[]), Violations::NETWORK);
        assert_eq!(judge(Kind::Login, NOON, "host.example.com", &[]), Violations::NETWORK);
        assert_eq!(judge(Kind::Query, NOON, "10.1.0.1", &[(Operation::Delete, "public.invoices")]), Violations::SCOPE);
        assert_eq!(judge(Kind::Denied, NOON, "10.1.0.1", &[(Operation::Select, "hr.salaries")]), Violations::SCOPE);
        assert_eq!(judge(Kind::Query, "2026-11-10T20:00:00Z", "10.1.0.1", &[]), Violations::HOURS);
        assert_eq!(judge(Kind::Query, "2026-12-01T10:00:00Z", "10.1.0.1", &[]), Violations::EXPIRED);
        let late = judge(Kind::Query, "2026-12-02T10:00:00Z", "10.1.0.1", &[]);
        assert!(late.contains(Violations::REVOKED) && late.contains(Violations::EXPIRED));
        let mut honey = Violations::CANARY;
        honey.insert(Violations::SCOPE);
        assert_eq!(judge(Kind::Query, NOON, "10.1.0.1", &[(Operation::Select, "public.honey_keys")]), honey);
    }

    #[test]
    fn a_refused_login_is_not_use() {
        assert!(judge(Kind::LoginFailed, "2027-01-03T23:00:00Z", "203.0.113.9", &[]).is_empty());
        let inventory = Inventory::parse(INVENTORY, "tokens.toml").unwrap();
        let honey = inventory.get(inventory.by_name("honey").unwrap());
        assert_eq!(violations(honey, &inventory, Time(0), None, Kind::LoginFailed, &[]), Violations::CANARY);
        assert!(violations(honey, &inventory, Time(0), None, Kind::Logout, &[]).is_empty());
    }

    #[test]
    fn canary_objects_count_for_undeclared_tokens() {
        let inventory = Inventory::parse(INVENTORY, "tokens.toml").unwrap();
        let touch = [(Operation::Select, "honey_keys")];
        assert_eq!(violations(None, &inventory, Time(0), None, Kind::Query, &touch), Violations::CANARY);
        assert!(violations(None, &inventory, Time(0), None, Kind::Query, &[(Operation::Select, "public.keys")]).is_empty());
    }

    #[test]
    fn unqualified_names_and_catalogs() {
        use Operation::{Copy, Explain, Select, Set, Unknown, Update};
        for (scope, breaks) in [
            ((Select, "invoices"), false),
            ((Update, "invoices"), true),
            ((Unknown, "invoices"), false),
            ((Unknown, "hr.salaries"), true),
            ((Explain, "public.invoices"), false),
            ((Copy, "public.invoices"), true),
            ((Select, "pg_catalog.pg_class"), false),
            ((Select, "pg_type"), false),
            ((Select, "INFORMATION_SCHEMA.COLUMNS"), false),
            ((Select, "pg_catalog.pg_authid"), true),
            ((Update, "pg_catalog.pg_class"), true),
            ((Select, "pg_temp_3.work"), false),
            ((Set, "search_path"), false),
            ((Select, "mysql.user"), true),
        ] {
            // "reporting.*" would cover every bare name, so it is left out here.
            let grants = [Grant::parse("select public.invoices").unwrap(), Grant::parse("insert public.invoices").unwrap()];
            assert_eq!(!granted(&grants, scope.0, scope.1), breaks, "{scope:?}");
        }
    }
}
