//! What there is to be queried: applications with their tables, and the statements that programs send.

use crate::dice::Dice;

pub const APPS: [&str; 8] = ["shop", "billing", "crm", "stock", "hr", "ledger", "search", "support"];
const NOUNS: [&str; 14] = [
    "orders",
    "items",
    "customers",
    "invoices",
    "payments",
    "events",
    "sessions",
    "products",
    "prices",
    "addresses",
    "tickets",
    "notes",
    "shipments",
    "contacts",
];
const COLUMNS: [&str; 16] = [
    "id",
    "status",
    "created_at",
    "updated_at",
    "amount",
    "name",
    "email",
    "kind",
    "owner_id",
    "total",
    "currency",
    "country",
    "label",
    "position",
    "parent_id",
    "region",
];

/// A table that nobody has a reason to read.
pub const CANARY: &str = "master_keys";

/// A statement, most with a hole for a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub before: String,
    /// What follows the literal; `None` where there is none.
    pub after: Option<String>,
}

impl Template {
    fn with_hole(before: String, after: &str) -> Template {
        Template { before, after: Some(after.to_owned()) }
    }

    pub fn text(&self, dice: &mut Dice) -> String {
        match &self.after {
            Some(after) => format!("{}{}{after}", self.before, dice.below(1_000_000)),
            None => self.before.clone(),
        }
    }
}

/// The tables of an application, the sensitive one last.
pub fn tables(app: usize) -> Vec<String> {
    let name = APPS[app % APPS.len()];
    let mut tables: Vec<String> = (0..10).map(|n| format!("{name}.{}", NOUNS[(app * 3 + n) % NOUNS.len()])).collect();
    tables.push(format!("{name}.{}", ["cards", "bank_accounts", "health_notes", "salaries"][app % 4]));
    tables
}

fn columns(dice: &mut Dice, count: usize) -> String {
    let first = dice.below(COLUMNS.len());
    let step = 1 + 2 * dice.below(4);
    (0..count).map(|n| COLUMNS[(first + n * step) % COLUMNS.len()]).collect::<Vec<_>>().join(", ")
}

/// A query such as programs send for one table. `variety` tells apart those of the same table.
pub fn read(table: &str, dice: &mut Dice) -> Template {
    let count = 2 + dice.below(5);
    let list = columns(dice, count);
    let by = COLUMNS[dice.below(COLUMNS.len())];
    match dice.below(4) {
        0 => Template::with_hole(format!("SELECT {list} FROM {table} WHERE {by} = "), ""),
        1 => Template::with_hole(format!("SELECT {list} FROM {table} WHERE {by} > "), " ORDER BY id LIMIT 50"),
        2 => Template::with_hole(format!("SELECT count(*) FROM {table} WHERE {by} = "), ""),
        _ => Template::with_hole(format!("SELECT {list} FROM {table} WHERE owner_id = "), &format!(" AND {by} IS NOT NULL")),
    }
}

/// A change such as programs make.
pub fn write(table: &str, dice: &mut Dice) -> Template {
    let by = COLUMNS[1 + dice.below(COLUMNS.len() - 1)];
    match dice.below(3) {
        0 => Template::with_hole(format!("UPDATE {table} SET {by} = "), " WHERE id = 7"),
        1 => Template::with_hole(format!("INSERT INTO {table} ({by}, status) VALUES ("), ", 1)"),
        _ => Template::with_hole(format!("DELETE FROM {table} WHERE {by} = 3 AND id = "), ""),
    }
}

pub fn fixed(text: &str) -> Template {
    Template { before: text.to_owned(), after: None }
}

/// What monitoring agents and graphical clients read.
pub const CATALOG: [&str; 6] = [
    "SELECT datname, numbackends FROM pg_catalog.pg_stat_database",
    "SELECT state, count(*) FROM pg_catalog.pg_stat_activity GROUP BY state",
    "SELECT relname, n_live_tup FROM pg_catalog.pg_stat_user_tables",
    "SELECT table_schema, table_name FROM information_schema.tables",
    "SELECT column_name, data_type FROM information_schema.columns",
    "SELECT rolname, rolsuper FROM pg_catalog.pg_roles",
];

/// What somebody reads who wants to know what there is.
pub const ENUMERATION: [&str; 9] = [
    "SELECT table_schema, table_name FROM information_schema.tables",
    "SELECT column_name, data_type FROM information_schema.columns",
    "SELECT rolname, rolsuper FROM pg_catalog.pg_roles",
    "SELECT relname, relkind FROM pg_catalog.pg_class",
    "SELECT nspname FROM pg_catalog.pg_namespace",
    "SELECT datname FROM pg_catalog.pg_database",
    "SELECT proname, prosrc FROM pg_catalog.pg_proc",
    "SELECT grantee, privilege_type FROM information_schema.role_table_grants",
    "SELECT extname, extversion FROM pg_catalog.pg_extension",
];
