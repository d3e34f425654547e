//! What a shape does: its operation, and each object with the operation applied to it.
//!
//! A pure function of the shape, so the answer depends neither on literals nor on what was seen before. Queries go to the parser
//! ([`super::parsed`]); what it rejects (other grammars, cut text, too long, too deep) is read word by word
//! ([`super::scan`]). Everything else (`GRANT`, `CREATE`, `COPY`, `EXPLAIN`, ...) has a fixed start that is read here, and what
//! query it carries inside is inspected as a statement of its own.
//!
//! Several statements: the objects of all, and the operation that [`strength`] ranks highest, the first of equals.
//! Statements inside a routine's body are read as if they were run.

use foldhash::HashSet;

use super::token::{Spot, Token, name, statements, token, tokens, word};
use super::words::{is_kind, is_reserved};
use super::{parsed, scan};
use crate::event::{Dialect, Operation};

/// What a shape does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    pub operation: Operation,
    /// Tables, views, routines, roles ... as written (`schema.table`; quotes only where they are needed), each with what is
    /// done to it; those of the main operation first, none twice.
    pub objects: Vec<(Operation, String)>,
}

/// How much an operation weighs where one text holds several.
fn strength(operation: Operation) -> u8 {
    use Operation::*;
    match operation {
        Grant | Revoke | Drop | Truncate | Alter | Create => 4,
        Delete | Update | Merge | Insert | Copy | Call => 3,
        Select => 2,
        Unknown => 0,
        _ => 1,
    }
}

/// Reads a shape. Never fails: what cannot be read is [`Operation::Unknown`] without objects.
pub fn inspect(shape: &[u8], dialect: Dialect) -> Inspection {
    if dialect == Dialect::None {
        return Inspection { operation: Operation::Unknown, objects: Vec::new() };
    }
    let text = String::from_utf8_lossy(shape);
    let spots = tokens(&text);
    let mut reader = Reader { text: &text, dialect, objects: Objects::default() };
    let mut operation = Operation::Unknown;
    for statement in statements(&spots) {
        let next = reader.statement(statement, MAX_CARRIED);
        if strength(next) > strength(operation) {
            operation = next;
        }
    }
    let mut objects = reader.objects.list;
    objects.sort_by_key(|(of, _)| *of != operation);
    Inspection { operation, objects }
}

/// Statements carried inside statements (`explain prepare ... as copy (...)`) are followed this far.
const MAX_CARRIED: u8 = 4;

/// Objects in the order in which they are found, none twice.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub list: Vec<(Operation, String)>,
    seen: HashSet<(Operation, String)>,
}

impl Objects {
    pub fn add(&mut self, operation: Operation, name: String) {
        let object = (operation, name);
        if !self.seen.contains(&object) {
            self.seen.insert(object.clone());
            self.list.push(object);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    dialect: Dialect,
    objects: Objects,
}

impl Reader<'_> {
    fn statement(&mut self, spots: &[Spot], carried: u8) -> Operation {
        let first = spots.iter().find(|s| s.token != Token::Open).map(|s| s.token);
        let Some(Token::Word(first)) = first else { return Operation::Unknown };
        match first {
            _ if opens_query(first) => return self.query(spots),
            _ if token(spots, 0) == Some(Token::Open) => return Operation::Unknown,
            _ => {}
        }
        let last = spots.len();
        match first {
            "show" => self.show(spots),
            // MariaDB: `set statement x = 1 for QUERY` runs the query.
            "set" if word(spots, 1) == Some("statement") => self.run_after(spots, "for", Operation::Set, carried),
            "set" | "reset" => Operation::Set,
            // MariaDB: a block outside a routine.
            "begin" if word(spots, 1) == Some("not") => self.run_after(spots, "atomic", Operation::Begin, carried),
            "begin" => Operation::Begin,
            "start" if word(spots, 1) == Some("transaction") => Operation::Begin,
            "commit" | "end" => Operation::Commit,
            "rollback" | "abort" => Operation::Rollback,
            "do" => Operation::Call,
            "call" | "exec" => self.names(spots, 1, last, Operation::Call),
            "explain" | "describe" | "desc" => self.explain(spots, carried),
            "copy" => self.copy(spots, carried),
            "load" => self.load(spots),
            "grant" => self.grant(spots, Operation::Grant),
            "revoke" => self.grant(spots, Operation::Revoke),
            "create" => self.define(spots, Operation::Create, carried),
            "drop" => self.define(spots, Operation::Drop, carried),
            "alter" => self.define(spots, Operation::Alter, carried),
            "rename" => self.rename(spots),
            "truncate" => self.names(spots, 1, last, Operation::Truncate),
            // Reads a table without a query.
            "handler" => self.names(spots, 1, last, Operation::Select),
            // MariaDB: `analyze QUERY` runs the query.
            "analyze" if word(spots, 1).is_some_and(|w| w != "table" && opens_query(w)) || word(spots, 1) == Some("format") => {
                self.explain(spots, carried)
            }
            "vacuum" | "analyze" | "analyse" | "lock" | "reindex" | "cluster" | "refresh" | "optimize" | "check" | "repair"
            | "checksum" => self.names(spots, 1, last, Operation::Other),
            "comment" => self.after_word(spots, "on", Operation::Other),
            "declare" => self.carried_after(spots, "for", carried),
            "prepare" => self.carried_after(spots, "as", carried),
            "checkpoint" | "close" | "connect" | "deallocate" | "discard" | "execute" | "fetch" | "flush" | "import" | "install"
            | "kill" | "listen" | "move" | "notify" | "purge" | "reassign" | "release" | "savepoint" | "security" | "shutdown"
            | "start" | "stop" | "uninstall" | "unlisten" | "unlock" | "use" | "xa" => Operation::Other,
            // A typing error, or a grammar with blocks of its own (`if ... then select`): what can be seen is better than nothing.
            _ => self.take(scan::objects(spots)).unwrap_or(Operation::Unknown),
        }
    }

    /// Takes objects down; answers the strongest thing done to any.
    fn take(&mut self, found: Vec<(Operation, String)>) -> Option<Operation> {
        let strongest = found.iter().map(|(operation, _)| *operation).max_by_key(|o| strength(*o));
        for (operation, name) in found {
            self.objects.add(operation, name);
        }
        strongest
    }

    /// A query or a change of data: by the parser, else by the scan. A `select` that changes data inside (`with x as (delete ...)`,
    /// `select into`) is what it changes.
    fn query(&mut self, spots: &[Spot]) -> Operation {
        let main = scan::main_operation(spots);
        let found = parsed::objects(self.text, spots, self.dialect).unwrap_or_else(|| scan::objects(spots));
        self.take(found).filter(|_| main == Operation::Select).unwrap_or(main)
    }

    /// A list of names from `at` on, past words that may stand before a name.
    fn names(&mut self, spots: &[Spot], at: usize, end: usize, operation: Operation) -> Operation {
        let spots = spots.get(..end).unwrap_or(spots);
        let mut at = at;
        // Options in brackets: `vacuum (full, analyze) t`.
        if token(spots, at) == Some(Token::Open) {
            at = closing(spots, at) + 1;
        }
        while word(spots, at).is_some_and(may_precede_name)
            && spots.get(at + 1).is_some_and(|s| begins_name(s.token) || matches!(s.token, Token::Word(w) if may_precede_name(w)))
        {
            at += 1;
        }
        while let Some((name, next)) = name(spots, at) {
            self.objects.add(operation, name);
            at = next;
            // Arguments of a routine, columns, an alias or a lock mode.
            while token(spots, at).is_some_and(|t| t != Token::Comma) {
                at = if token(spots, at) == Some(Token::Open) { closing(spots, at) + 1 } else { at + 1 };
            }
            at += 1;
            if word(spots, at) == Some("only") {
                at += 1;
            }
        }
        operation
    }

    fn after_word(&mut self, spots: &[Spot], marker: &str, operation: Operation) -> Operation {
        if let Some(at) = at_top(spots, |w| w == marker)
            && let Some((name, _)) = after_kind(spots, at + 1)
        {
            self.objects.add(operation, name);
        }
        operation
    }

    /// `declare c cursor for QUERY`, `prepare p as STATEMENT`.
    fn carried_after(&mut self, spots: &[Spot], marker: &str, carried: u8) -> Operation {
        if let Some(at) = at_top(spots, |w| w == marker) {
            self.carried(spots.get(at + 1..).unwrap_or_default(), carried);
        }
        Operation::Other
    }

    /// Like [`Self::carried_after`], but the statement is run at once: it is what counts.
    fn run_after(&mut self, spots: &[Spot], marker: &str, operation: Operation, carried: u8) -> Operation {
        let Some(at) = at_top(spots, |w| w == marker) else { return operation };
        match self.carried(spots.get(at + 1..).unwrap_or_default(), carried) {
            Operation::Unknown => operation,
            inner => inner,
        }
    }

    fn carried(&mut self, spots: &[Spot], carried: u8) -> Operation {
        match carried.checked_sub(1) {
            Some(left) => self.statement(spots, left),
            None => Operation::Unknown,
        }
    }

    /// The objects of the statement explained; only `analyze` runs it.
    fn explain(&mut self, spots: &[Spot], carried: u8) -> Operation {
        let mut at = 1;
        let mut run = word(spots, 0) == Some("analyze");
        if token(spots, 1) == Some(Token::Open) && !matches!(word(spots, 2), Some("select" | "with" | "values")) {
            at = closing(spots, 1) + 1;
            run |= spots.get(1..at).unwrap_or_default().iter().any(|s| matches!(s.token, Token::Word("analyze" | "analyse")));
        }
        while word(spots, at).is_some_and(|w| matches!(w, "analyze" | "analyse" | "verbose" | "extended" | "partitions" | "format")) {
            run |= matches!(word(spots, at), Some("analyze" | "analyse"));
            at += if word(spots, at) == Some("format") { 3 } else { 1 };
        }
        let before = self.objects.list.len();
        let inner = spots.get(at..).unwrap_or_default();
        if self.carried(inner, carried) == Operation::Unknown {
            // `describe t`
            if let Some((name, _)) = name(inner, 0) {
                self.objects.add(Operation::Explain, name);
            }
        } else if !run {
            let planned = self.objects.list.split_off(before);
            for (_, name) in planned {
                self.objects.add(Operation::Explain, name);
            }
        }
        Operation::Explain
    }

    fn show(&mut self, spots: &[Spot]) -> Operation {
        let subject = spots.iter().position(|s| matches!(s.token, Token::Word("from" | "in")));
        let about_table = |w: &str| matches!(w, "columns" | "fields" | "index" | "indexes" | "keys");
        let found = match subject {
            Some(at) if spots.get(..at).is_some_and(|s| s.iter().any(|s| matches!(s.token, Token::Word(w) if about_table(w)))) => {
                name(spots, at + 1)
            }
            _ if word(spots, 1) == Some("create") => after_kind(spots, 2),
            _ => None,
        };
        if let Some((name, _)) = found {
            self.objects.add(Operation::Show, name);
        }
        Operation::Show
    }

    fn copy(&mut self, spots: &[Spot], carried: u8) -> Operation {
        if token(spots, 1) == Some(Token::Open) {
            self.carried(spots.get(2..closing(spots, 1)).unwrap_or_default(), carried);
            return Operation::Copy;
        }
        let at = if word(spots, 1) == Some("binary") && spots.get(2).is_some_and(|s| begins_name(s.token)) { 2 } else { 1 };
        if let Some((name, _)) = name(spots, at) {
            self.objects.add(Operation::Copy, name);
        }
        Operation::Copy
    }

    /// `load data infile ? into table t` copies; `load ?` loads a library.
    fn load(&mut self, spots: &[Spot]) -> Operation {
        if !matches!(word(spots, 1), Some("data" | "xml")) {
            return Operation::Other;
        }
        self.after_word(spots, "into", Operation::Copy)
    }

    /// `grant PRIVILEGES on OBJECTS to ROLES`, or `grant ROLES to ROLES`.
    fn grant(&mut self, spots: &[Spot], operation: Operation) -> Operation {
        let end = at_top(spots, |w| matches!(w, "to" | "from")).unwrap_or(spots.len());
        let spots = spots.get(..end).unwrap_or(spots);
        let Some(on) = at_top(spots, |w| w == "on") else {
            let from = at_top(spots, |w| w == "for").map_or(1, |at| at + 1);
            return self.names(spots, from, end, operation);
        };
        // `all tables in schema s`
        if let Some(schema) = at_top(spots, |w| w == "schema").filter(|at| *at > on && word(spots, at - 1) == Some("in")) {
            let mut at = schema + 1;
            while let Some((name, next)) = name(spots, at) {
                self.objects.add(operation, format!("{name}.*"));
                at = next + 1;
            }
            return operation;
        }
        let named = word(spots, on + 1).is_some_and(|w| is_kind(w) || w == "large" || w == "foreign");
        let two = matches!(word(spots, on + 1), Some("foreign" | "large"));
        let at = on + 1 + if two { usize::from(word(spots, on + 2) == Some("data")) + 2 } else { 0 };
        let follows = spots.get(at + 1).is_some_and(|s| begins_name(s.token));
        self.names(spots, at + usize::from(named && !two && follows), end, operation)
    }

    /// `create`, `drop`, `alter`: the thing itself, the table it belongs to, and the query that fills or defines it.
    fn define(&mut self, spots: &[Spot], operation: Operation, carried: u8) -> Operation {
        let Some(at) = at_top(spots, is_kind).filter(|at| *at < 24) else { return operation };
        let kind = word(spots, at).unwrap_or_default();
        let Some((first, mut next)) = after_kind(spots, at) else {
            // `create index on t (a)`
            self.belongs_to(spots, at, operation);
            return operation;
        };
        self.objects.add(operation, first);
        if operation == Operation::Drop {
            while let Some(Token::Comma | Token::Open) = token(spots, next) {
                if token(spots, next) == Some(Token::Open) {
                    next = closing(spots, next) + 1;
                    continue;
                }
                let Some((name, after)) = name(spots, next + 1) else { break };
                self.objects.add(operation, name);
                next = after;
            }
        }
        match kind {
            "index" | "trigger" | "policy" | "rule" => self.belongs_to(spots, next, operation),
            "table" | "view" if operation != Operation::Drop => {
                let body = at_top(spots, |w| matches!(w, "select" | "with" | "values" | "as")).filter(|body| *body >= next);
                let body = body.map(|body| body + usize::from(word(spots, body) == Some("as")));
                if let Some(query) = body.and_then(|body| spots.get(body..)) {
                    let query = without_view_options(query);
                    let opens_query = query.iter().find(|s| s.token != Token::Open).map(|s| s.token);
                    if matches!(opens_query, Some(Token::Word("select" | "with" | "values" | "table"))) {
                        self.carried(query, carried);
                    }
                }
            }
            _ => {}
        }
        operation
    }

    /// `on t`, or `to t` of a rule.
    fn belongs_to(&mut self, spots: &[Spot], from: usize, operation: Operation) {
        let tables = spots.get(from..).unwrap_or_default();
        for marker in ["on", "to"] {
            for (at, spot) in tables.iter().enumerate() {
                if spot.depth == 0
                    && spot.token == Token::Word(marker)
                    && !matches!(word(tables, at + 1), Some("select" | "insert" | "update" | "delete" | "rename"))
                {
                    let only = usize::from(word(tables, at + 1) == Some("only"));
                    if let Some((name, _)) = name(tables, at + 1 + only) {
                        self.objects.add(operation, name);
                        return;
                    }
                }
            }
        }
    }

    /// MySQL: `rename table a to b, c to d`.
    fn rename(&mut self, spots: &[Spot]) -> Operation {
        if matches!(word(spots, 1), Some("table" | "tables")) {
            let mut at = 2;
            while let Some((name, next)) = name(spots, at) {
                self.objects.add(Operation::Alter, name);
                at = next + 1;
            }
        }
        Operation::Alter
    }
}

/// Words that a query or a change of data starts with.
fn opens_query(word: &str) -> bool {
    matches!(word, "select" | "with" | "values" | "table" | "insert" | "replace" | "update" | "delete" | "merge")
}

/// The first word outside all brackets for which `is` holds.
fn at_top(spots: &[Spot], is: impl Fn(&str) -> bool) -> Option<usize> {
    let base = spots.first()?.depth;
    spots.iter().enumerate().position(|(at, spot)| {
        spot.depth == base && matches!(spot.token, Token::Word(w) if is(w)) && (at == 0 || token(spots, at - 1) != Some(Token::Point))
    })
}

/// Where the bracket at `open` closes, or the end.
fn closing(spots: &[Spot], open: usize) -> usize {
    let Some(depth) = spots.get(open).map(|s| s.depth) else { return spots.len() };
    let after = spots.get(open + 1..).unwrap_or_default();
    after.iter().position(|s| s.token == Token::Close && s.depth == depth).map_or(spots.len(), |p| open + 1 + p)
}

fn begins_name(token: Token) -> bool {
    match token {
        Token::Word(word) => !is_reserved(word),
        Token::Quoted(_) => true,
        Token::Operator(text) => text == "*",
        _ => false,
    }
}

/// Words between a verb and the names it acts on.
fn may_precede_name(word: &str) -> bool {
    is_kind(word)
        || matches!(
            word,
            "analyze"
                | "concurrently"
                | "exists"
                | "freeze"
                | "full"
                | "if"
                | "local"
                | "materialized"
                | "no_write_to_binlog"
                | "not"
                | "only"
                | "tables"
                | "verbose"
        )
}

/// The name after the kind at `at`, past `if not exists` and its like.
fn after_kind(spots: &[Spot], at: usize) -> Option<(String, usize)> {
    let mut at = at;
    if word(spots, at).is_some_and(is_kind) {
        let pair = matches!(
            (word(spots, at), word(spots, at + 1)),
            (Some("event"), Some("trigger"))
                | (Some("operator"), Some("class" | "family"))
                | (Some("user"), Some("mapping"))
                | (Some("owned"), Some("by"))
        );
        at += 1 + usize::from(pair);
    }
    while let Some("concurrently" | "if" | "not" | "exists" | "only" | "for") = word(spots, at)
        && at + 1 < spots.len()
    {
        at += 1;
    }
    name(spots, at)
}

/// A view's or table's query without `with [no] data`, `with check option` behind it, which no query has.
fn without_view_options<'s, 'a>(query: &'s [Spot<'a>]) -> &'s [Spot<'a>] {
    let start = query.iter().rposition(|s| s.token == Token::Word("with"));
    match start {
        Some(at) if at > 0 && matches!(word(query, at + 1), Some("data" | "no" | "check" | "local" | "cascaded")) => {
            query.get(..at).unwrap_or(query)
        }
        _ => query,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::normalize::normalize;

    fn render(inspection: &Inspection) -> String {
        let objects: Vec<String> = inspection.objects.iter().map(|(operation, name)| format!("{operation} {name}")).collect();
        format!("{}: {}", inspection.operation, objects.join(", "))
    }

    fn of(statement: &str, dialect: Dialect) -> Inspection {
        let mut shape = Vec::new();
        normalize(statement.as_bytes(), dialect, &mut shape);
        inspect(&shape, dialect)
    }

    #[track_caller]
    fn check(dialect: Dialect, statement: &str, expected: &str) {
        assert_eq!(render(&of(statement, dialect)).trim_end(), expected, "{statement:?} in {dialect:?}");
    }

    #[test]
    fn queries() {
        for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Generic] {
            for (statement, expected) in [
                ("", "unknown:"),
                ("garbage in", "unknown:"),
                ("SELECT 1", "select:"),
                ("SELECT * FROM Customers WHERE id IN (1,2)", "select: select customers"),
                (
                    "select * from public.a x, b as y join c on x.i = c.i left join d using (i)",
                    "select: select public.a, select b, select c, select d",
                ),
                (
                    "select (select max(z) from q) from a where exists (select 1 from b) and c in (select c from r.s)",
                    "select: select q, select a, select b, select r.s",
                ),
                ("select 1 from a union all select 2 from b except (select 3 from c)", "select: select a, select b, select c"),
                ("values (1,2),(3,4)", "select:"),
                ("with x as (select * from a), y as (select * from x) select * from y join b on true", "select: select a, select b"),
                ("with secrets as (select * from secrets) select * from secrets", "select: select secrets"),
                ("with recursive r as (select 1 from a union all select 1 from r) select * from r", "select: select a"),
                ("with s.x as (select 1", "select:"),
                ("insert into a (x, y) values (1, 'a'), (2, 'b')", "insert: insert a"),
                ("INSERT INTO a SELECT x FROM b JOIN c ON b.i = c.i", "insert: insert a, select b, select c"),
                ("update a set x = 1, y = (select max(y) from b) where id = 3", "update: update a, select b"),
                ("delete from a where id in (select id from b)", "delete: delete a, select b"),
                (
                    "merge into t using s on t.i = s.i when matched then update set x = s.x when not matched then insert (x) values (s.x)",
                    "merge: merge t, select s",
                ),
                ("select * from a; drop table b; update c set x = 1", "drop: drop b, select a, update c"),
                ("select * from a where x = 'unterminated from b", "select: select a"),
                ("select * from a join", "select: select a"),
                ("select extract(year from x), substring(y from 2) from a where z is distinct from w", "select: select a"),
                ("select * from (a join b on a.i = b.i), (select 1 from c) d", "select: select a, select b, select c"),
                ("begin", "begin:"),
                ("START TRANSACTION READ ONLY", "begin:"),
                ("commit", "commit:"),
                ("rollback to savepoint x", "rollback:"),
                ("show server_version", "show:"),
                ("set x = 1", "set:"),
                ("use db", "other:"),
                ("begin; select 1 from a; commit", "select: select a"),
                ("set x = 1; set y = 2", "set:"),
                ("call s.p(1, 2)", "call: call s.p"),
                ("create table s.t (a int, b varchar(10) references o (i))", "create: create s.t"),
                ("create table if not exists t as select * from a", "create: create t, select a"),
                ("create or replace view v as select * from a where x = 1 with check option", "create: create v, select a"),
                ("create unique index i on t (a, b)", "create: create i, create t"),
                ("drop table if exists a, s.b cascade", "drop: drop a, drop s.b"),
                ("alter table a add column b int", "alter: alter a"),
                ("truncate table a, b", "truncate: truncate a, truncate b"),
                ("grant select, insert on a, b to c with grant option", "grant: grant a, grant b"),
                ("grant select on table type to x", "grant: grant type"),
                ("revoke all on a from b", "revoke: revoke a"),
                ("grant admin to mallory", "grant: grant admin"),
                ("explain select * from a", "explain: explain a"),
                ("explain analyze delete from a", "explain: delete a"),
                ("select * from a where x in (select", "select: select a"),
            ] {
                check(dialect, statement, expected);
            }
        }
    }

    #[test]
    fn postgres() {
        for (statement, expected) in [
            ("SELECT * FROM \"Mixed Case\".\"plain\", \"order\"", "select: select \"Mixed Case\".plain, select order"),
            ("SELECT * FROM \"we\"\"ird,\ntable\"", "select: select \"we\"\"ird,\ntable\""),
            ("select * from only a, lateral (select * from b) x, generate_series(1, 3) g", "select: select a, select b"),
            ("select * from unnest($1::int[]) u join a on a.i = u.i", "select: select a"),
            ("TABLE secrets", "select: select secrets"),
            ("select * into backup from customers", "create: create backup, select customers"),
            ("with d as (delete from a returning *) insert into b select * from d", "insert: insert b, delete a"),
            ("with d as (delete from a returning *) select * from d", "delete: delete a"),
            ("update a set x = b.x from b where a.i = b.i returning *", "update: update a, select b"),
            ("delete from a using b, c where a.i = b.i", "delete: delete a, select b, select c"),
            (
                "insert into a values (1) on conflict (i) do update set x = excluded.x where a.y = (select 1 from b)",
                "insert: insert a, select b",
            ),
            ("select data ? 'k' and data ?| array['a'] from docs where d @> '{}' and p -> 'x' ->> 'y' = 'z'", "select: select docs"),
            ("select * from a where t > now() - interval '1 day' and d = date '2024-01-01' and b = 'x'::bytea", "select: select a"),
            ("select a::numeric(10,2), cast(b as varchar(20)) from c for update of c skip locked", "select: select c"),
            ("COPY customers (name) FROM STDIN", "copy: copy customers"),
            ("COPY s.customers TO PROGRAM 'id'", "copy: copy s.customers"),
            ("COPY (select * from a join b using (i)) TO STDOUT WITH (FORMAT csv)", "copy: select a, select b"),
            ("DECLARE \"c c\" SCROLL CURSOR WITH HOLD FOR SELECT * FROM customers ORDER BY id", "other: select customers"),
            ("PREPARE p (int) AS UPDATE a SET x = $1", "other: update a"),
            ("EXECUTE p(1)", "other:"),
            ("FETCH FORWARD 10 FROM \"c c\"", "other:"),
            ("EXPLAIN (ANALYZE, BUFFERS) INSERT INTO a SELECT * FROM b", "explain: insert a, select b"),
            ("EXPLAIN (COSTS off) SELECT * FROM a", "explain: explain a"),
            ("DO $$ begin drop table x; end $$", "call:"),
            ("VACUUM (FULL, ANALYZE) a, b", "other: other a, other b"),
            ("vacuum full analyze a", "other: other a"),
            ("LOCK TABLE ONLY a IN ACCESS EXCLUSIVE MODE", "other: other a"),
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "other: other v"),
            ("LISTEN ch", "other:"),
            ("comment on table s.t is 'x'", "other: other s.t"),
            ("GRANT SELECT ON ALL TABLES IN SCHEMA a, b TO c", "grant: grant a.*, grant b.*"),
            ("GRANT USAGE ON FOREIGN DATA WRAPPER w TO c", "grant: grant w"),
            ("GRANT EXECUTE ON FUNCTION s.f(int, text), g(int) TO c", "grant: grant s.f, grant g"),
            ("REVOKE ADMIN OPTION FOR a FROM b", "revoke: revoke a"),
            ("CREATE ROLE newtok LOGIN PASSWORD 'S3cret'; GRANT SELECT ON t TO newtok", "create: create newtok, grant t"),
            ("ALTER ROLE tok_web SUPERUSER", "alter: alter tok_web"),
            ("DROP OWNED BY newtok", "drop: drop newtok"),
            ("CREATE OR REPLACE FUNCTION s.f(x int) RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN x; END $f$", "create: create s.f"),
            ("DROP FUNCTION f(int), g(text, int)", "drop: drop f, drop g"),
            ("CREATE TRIGGER tr BEFORE INSERT OR UPDATE ON s.t FOR EACH ROW EXECUTE FUNCTION f()", "create: create tr, create s.t"),
            ("CREATE INDEX CONCURRENTLY ON t USING gin (a)", "create: create t"),
            ("CREATE POLICY p ON t FOR SELECT USING (true)", "create: create p, create t"),
            ("CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\"", "create: create \"uuid-ossp\""),
            ("CREATE MATERIALIZED VIEW v AS SELECT * FROM a WITH NO DATA", "create: create v, select a"),
            ("CREATE USER MAPPING FOR u SERVER s", "create: create u"),
            ("ALTER SYSTEM SET log_statement = 'none'", "alter:"),
            ("SET SESSION AUTHORIZATION tok_admin", "set:"),
            ("ABORT", "rollback:"),
            ("END", "commit:"),
            ("SELECT 1; SELECT 'x'; UPDATE customers SET note='m' WHERE id=1", "update: update customers"),
            ("select * from s.t tablesample bernoulli (10) -- x\n", "select: select s.t"),
        ] {
            check(Dialect::Postgres, statement, expected);
        }
    }

    #[test]
    fn mysql() {
        for (statement, expected) in [
            ("select * from `db`.`Users` u straight_join b", "select: select db.`Users`, select b"),
            ("REPLACE INTO a VALUES (1)", "insert: insert a"),
            ("insert ignore into a set x = 1 on duplicate key update x = values(x)", "insert: insert a"),
            ("insert low_priority a values (1)", "insert: insert a"),
            ("update a join b on a.i = b.i set a.x = b.x", "update: update a, select b"),
            ("delete x from a as x join b on x.i = b.i", "delete: delete a, select b"),
            ("delete from a order by i limit 3", "delete: delete a"),
            ("select a from t into outfile '/tmp/x'", "select: select t"),
            ("select a into @x from t", "select: select t"),
            ("LOAD DATA LOCAL INFILE '/x' INTO TABLE s.t FIELDS TERMINATED BY ','", "copy: copy s.t"),
            ("show create table s.t", "show: show s.t"),
            ("show full columns from t from db", "show: show t"),
            ("show tables", "show:"),
            ("describe t", "explain: explain t"),
            ("handler t read first", "select: select t"),
            ("grant all privileges on app.* to 'u'@'h' identified by 'x'", "grant: grant app.*"),
            ("grant all on *.* to u", "grant: grant *.*"),
            ("grant execute on procedure db.p to u", "grant: grant db.p"),
            ("create definer=`root`@`localhost` sql security definer view v as select * from a", "create: create v, select a"),
            ("create user 'x'@'h' identified by 'y'", "create:"),
            ("create table t select * from a", "create: create t, select a"),
            ("rename table a to b, c to d", "alter: alter a, alter b, alter c, alter d"),
            ("drop index i on t", "drop: drop i, drop t"),
            ("optimize table a, b", "other: other a, other b"),
            ("lock tables a read, b write", "other: other a, other b"),
            ("select 1 /*!50000 union select password from mysql.user */", "select: select mysql.user"),
            ("kill 3", "other:"),
            ("set statement max_statement_time = 1 for select * from a", "select: select a"),
            ("begin not atomic delete from a; end", "delete: delete a"),
            ("if 1 then select * from a", "select: select a"),
            ("analyze format=json select * from a", "explain: select a"),
            ("analyze table a, b", "other: other a, other b"),
        ] {
            check(Dialect::MySql, statement, expected);
        }
    }

    #[test]
    fn bombs_are_read_in_bounded_time_on_a_small_stack() {
        let bombs = [
            "(",
            "select (",
            "select * from (",
            "case when ",
            "not ",
            "- ",
            "a + ",
            "select 1 union ",
            "x or ",
            "[",
            "a.",
            "explain ",
            "with a as (",
            "select * from a where x in (select * from b where y in (",
            "f(",
            "begin; ",
            "((a), ",
            "prepare p as ",
            "exists (",
            "interval ",
            "cast(",
            "a between ",
            "array[",
            "array(",
            "row(",
            "x::a[",
            "t join (",
            "lateral ",
            "a is not ",
            "any(",
            "select distinct on (",
        ];
        let run = move || {
            for bomb in bombs {
                for prefix in ["", "select ", "select * from a where ", "insert into t values "] {
                    for repeats in [10, 33, 64, 700, 1 << 20] {
                        for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Generic] {
                            let text = format!("{prefix}{}", bomb.repeat(repeats.min((1 << 20) / bomb.len())));
                            of(&text, dialect);
                        }
                    }
                }
            }
        };
        std::thread::Builder::new().stack_size(512 << 10).spawn(run).expect("a thread").join().expect("no panic");
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_inspected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Generic, Dialect::None] {
                inspect(&bytes, dialect);
            }
        }

        #[test]
        fn any_words_can_be_inspected(words in prop::collection::vec(prop::sample::select(&[
            "select", "from", "a", "b.c", "with", "as", "(", ")", ",", "insert", "into", "update", "set", "delete", "merge", "using", "on", "join", "?", "?+",
            "create", "table", "grant", "to", ";", "\"Q\"", ".", "*", "explain", "copy", "values", "where", "=", "recursive", "returning", "drop", "if", "exists",
            "for", "declare", "show", "in", "union", "load", "data", "é", "::", "[", "]",
        ][..]), 0..40)) {
            let text = words.join(" ");
            for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Generic] {
                inspect(text.as_bytes(), dialect);
                of(&text, dialect);
            }
        }
    }
}
