//! Client software by family: what a program calls itself, without what changes from run to run.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::token::WordId;

/// Families of programs with which people look around in databases.
const BY_HAND: &[&str] = &[
    "psql",
    "pgadmin",
    "pgcli",
    "dbeaver",
    "datagrip",
    "heidisql",
    "tableplus",
    "navicat",
    "beekeeper studio",
    "dbvisualizer",
    "squirrel sql client",
    "mysql",
    "mariadb",
    "mysqlsh",
    "mysqlworkbench",
    "mysql workbench",
    "mycli",
    "sqlplus",
    "sql developer",
    "sqlcmd",
    "microsoft sql server management studio",
    "microsoft sql server management studio query",
    "azdata",
    "mongosh",
    "mongodb compass",
    "cqlsh",
    "redis cli",
    "jupyter",
];

/// Families of programs that change a schema where a new version is deployed. Flyway calls itself "Flyway by Redgate" (its `BaseDatabaseType`),
/// and its older editions named themselves.
const DEPLOYING: &[&str] = &[
    "flyway",
    "flyway by redgate",
    "flyway community edition",
    "flyway teams edition",
    "liquibase",
    "alembic",
    "dbmate",
    "goose",
    "golang migrate",
    "sqitch",
    "atlas",
    "prisma migrate",
];

/// Longest family name, in bytes.
const LONGEST: usize = 64;

/// `DBeaver 23.1.4 - Main` and `DBeaver 24.0 - SQLEditor <Script-3.sql>` are one family, as are `sidekiq 7.1 app [3 of 50 busy]` and its next line.
///
/// Dropped are bracketed parts, what follows ` - ` behind a name with a version (a window or connection), words that are versions, counters or
/// random (they hold a digit), and the end of a Kubernetes pod's name. What is left is lower case, its blanks folded. A name of nothing else
/// keeps its letters.
pub fn family(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut out = String::new();
    let mut depth = 0usize;
    let mut bare = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '[' | '(' | '{' | '<' => depth += 1,
            ']' | ')' | '}' | '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let volatile = |word: &str| word.chars().any(|c| c.is_ascii_digit());
    let program = bare.split_once(" - ").map(|(program, _)| program).filter(|program| volatile(program)).unwrap_or(&bare);
    let program = match program.rsplit_once('-') {
        Some((name, end)) if !name.is_empty() && is_pod(end) => name,
        _ => program,
    };
    for word in program.split(|c: char| c.is_whitespace() || c == '/' || c == ':' || c == '@' || c == '-' || c == '_') {
        if word.is_empty() || volatile(word) || out.len() + word.len() >= LONGEST {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    if out.is_empty() {
        out = text.chars().filter(|c| c.is_alphabetic()).take(LONGEST / 4).flat_map(char::to_lowercase).collect();
    }
    out
}

/// Is this family one of the tools with which people look around? What it is, it says itself.
pub fn by_hand(family: WordId) -> bool {
    static WORDS: LazyLock<HashSet<WordId>> = LazyLock::new(|| words(BY_HAND));
    WORDS.contains(&family)
}

/// Is it one of the tools that change a schema where a new version is deployed?
pub fn deploys(family: WordId) -> bool {
    static WORDS: LazyLock<HashSet<WordId>> = LazyLock::new(|| words(DEPLOYING));
    WORDS.contains(&family)
}

/// Observations carry a family as its word.
fn words(names: &[&str]) -> HashSet<WordId> {
    names.iter().map(|name| WordId::of(name.as_bytes())).collect()
}

/// The five random letters that end the name of a Kubernetes pod, which has no vowels among them
/// (<https://github.com/kubernetes/apimachinery>, `util/rand`).
fn is_pod(word: &str) -> bool {
    word.len() == 5 && word.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c))
}

#[cfg(test)]
mod tests {
    use super::{by_hand, deploys, family};
    use crate::token::WordId;

    #[test]
    fn tools_are_known_by_what_they_call_themselves() {
        let word = |name: &str| WordId::of(family(name.as_bytes()).as_bytes());
        for tool in ["psql", "DBeaver 24.1.2 - Main", "pgAdmin 4 - CONN:3009712", "DataGrip 2024.2", "mongosh 2.3.1", "SQL Developer"] {
            assert!(by_hand(word(tool)) && !deploys(word(tool)), "{tool}");
        }
        for tool in ["Flyway by Redgate", "Flyway Community Edition 9.22", "liquibase"] {
            assert!(deploys(word(tool)) && !by_hand(word(tool)), "{tool}");
        }
        for program in ["PostgreSQL JDBC Driver", "mariadb-connector-j", "atlas-api", "billing"] {
            assert!(!deploys(word(program)) && !by_hand(word(program)), "{program}");
        }
    }

    #[test]
    fn what_changes_is_dropped() {
        for (name, want) in [
            ("psql", "psql"),
            ("DBeaver 23.1.4 - Main", "dbeaver"),
            ("DBeaver 24.0.2 - SQLEditor <Script-3.sql>", "dbeaver"),
            ("pgAdmin 4 - CONN:3009712", "pgadmin"),
            ("Metabase - loans", "metabase loans"),
            ("PostgreSQL JDBC Driver", "postgresql jdbc driver"),
            ("sidekiq 7.1 app [3 of 50 busy]", "sidekiq app"),
            ("worker-4f9c2a81b7", "worker"),
            ("billing-web-7d9f8b6c5d-lwszb", "billing web"),
            ("billing-worker", "billing worker"),
            ("app/1.2.3", "app"),
            ("12345", ""),
            ("v2", "v"),
            ("(unnamed", "unnamed"),
        ] {
            assert_eq!(family(name.as_bytes()), want, "family of {name:?}");
        }
    }
}
