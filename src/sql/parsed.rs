//! The objects of a query by a real parser.
//!
//! The parser is given the shape, with plain values in the place of `?`. It is asked only about shapes that are short and
//! shallow enough for its time and stack to be bounded, whatever the text; [`super::scan`] reads the others.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlparser::ast::{
    Delete, Expr, FromTable, Ident, ObjectName, ObjectNamePart, Query, Select, Statement, TableFactor, TableObject, TableWithJoins, Visit,
    Visitor,
};
use sqlparser::dialect::{self, Dialect as Grammar};
use sqlparser::parser::Parser;

use super::token::{Spot, Token, token, unquoted};
use super::words::needs_operand;
use crate::event::{Dialect, Operation};

/// Longest statement given to the parser, in bytes.
const MAX_PARSED: usize = 8 << 10;

/// Deepest nesting of brackets given to the parser.
const MAX_DEPTH: usize = 32;

/// The parser's own limit of nesting, which counts more than brackets.
const MAX_RECURSION: usize = 100;

/// Every object of the statement with what is done to it, or `None` if the parser does not take it.
pub(super) fn objects(shape: &str, spots: &[Spot], dialect: Dialect) -> Option<Vec<(Operation, String)>> {
    let sql = parseable(shape, spots, dialect)?;
    let grammar: &dyn Grammar = match dialect {
        Dialect::Postgres => &dialect::PostgreSqlDialect {},
        Dialect::MySql => &dialect::MySqlDialect {},
        Dialect::Generic | Dialect::None => &dialect::GenericDialect {},
    };
    // A bug in the parser must not hide a statement from us.
    let statements = catch_unwind(AssertUnwindSafe(|| {
        Parser::new(grammar).with_recursion_limit(MAX_RECURSION).try_with_sql(&sql).and_then(|mut parser| parser.parse_statements())
    }));
    let statements = statements.ok()?.ok()?;
    let mut collector = Collector::default();
    let _ = statements.visit(&mut collector);
    Some(collector.found)
}

/// The statement as text that the parser takes: literals in the place of `?`. `None` if it is too long or too deep.
fn parseable(shape: &str, spots: &[Spot], dialect: Dialect) -> Option<String> {
    let (first, last) = (spots.first()?, spots.last()?);
    if last.end - first.start > MAX_PARSED || spots.iter().any(|s| s.depth > MAX_DEPTH) {
        return None;
    }
    let mut sql = String::with_capacity(last.end - first.start + 16);
    let mut end = first.start;
    for (at, spot) in spots.iter().enumerate() {
        if spot.start > end {
            sql.push(' ');
        }
        end = spot.end;
        match spot.token {
            // Lengths of types must be numbers, and values may.
            Token::Literal("?+") => sql.push('1'),
            Token::Literal(_) if dialect != Dialect::MySql && is_operator(spots, at) => sql.push_str("||"),
            // `from only t`: the parser would take `only` for the table.
            Token::Word("only") if dialect == Dialect::Postgres && stands_before_table(spots, at) => {}
            // Dates and intervals must be text, and values may.
            Token::Literal(_) => sql.push_str("''"),
            _ => sql.push_str(shape.get(spot.start..spot.end)?),
        }
    }
    Some(sql)
}

/// True if the `?` stands between two operands: PostgreSQL's "has this key".
fn is_operator(spots: &[Spot], at: usize) -> bool {
    let before = match at.checked_sub(1).and_then(|before| token(spots, before)) {
        Some(Token::Word(word)) => {
            !needs_operand(word.as_bytes()) && !matches!(word, "interval" | "date" | "time" | "timestamp" | "timestamptz" | "escape")
        }
        Some(Token::Quoted(_) | Token::Literal(_) | Token::Close) => true,
        _ => false,
    };
    before && matches!(token(spots, at + 1), Some(Token::Literal(_) | Token::Quoted(_) | Token::Open))
}

fn stands_before_table(spots: &[Spot], at: usize) -> bool {
    match at.checked_sub(1).and_then(|before| token(spots, before)) {
        Some(Token::Word(word)) => matches!(word, "from" | "join" | "update" | "into" | "using"),
        Some(Token::Comma) => true,
        _ => false,
    }
}

/// Names defined by the `with` of one query. The parser's nodes are told apart by address: they do not move while we look.
#[derive(Debug, Default)]
struct Scope {
    query: usize,
    /// Address of the defining query, and the name.
    defined: Vec<(usize, String)>,
    /// How many of them may be used where we are.
    usable: usize,
}

/// Walks the tree and takes down every table, apart from names of `with` and functions.
#[derive(Debug, Default)]
struct Collector {
    found: Vec<(Operation, String)>,
    scopes: Vec<Scope>,
    /// Names that are changed, not read.
    targets: Vec<(usize, Operation)>,
    /// Names that are called.
    called: Vec<usize>,
}

fn address<T>(node: &T) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Collector {
    fn target(&mut self, factor: &TableFactor, operation: Operation) {
        match factor {
            TableFactor::Table { name, .. } => self.targets.push((address(name), operation)),
            TableFactor::NestedJoin { table_with_joins, .. } => self.target(&table_with_joins.relation, operation),
            _ => {}
        }
    }

    /// `delete from t`, or MySQL's `delete alias from t as alias join u`.
    fn delete(&mut self, delete: &Delete) {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let tables = || from.iter().chain(delete.using.iter().flatten());
        if delete.tables.is_empty() {
            return from.iter().for_each(|t| self.target(&t.relation, Operation::Delete));
        }
        for target in &delete.tables {
            match tables().flat_map(factors).find(|f| is_called(f, target)) {
                Some(factor) => self.target(factor, Operation::Delete),
                None => self.found.push((Operation::Delete, written(target))),
            }
        }
    }
}

fn factors(table: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
}

/// True if `name` stands for this table: its alias, or itself.
fn is_called(factor: &TableFactor, name: &ObjectName) -> bool {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } => written(name) == ident(&alias.name),
        TableFactor::Table { name: table, .. } => table == name,
        _ => false,
    }
}

impl Visitor for Collector {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Insert(insert) => {
                if let TableObject::TableName(name) = &insert.table {
                    self.targets.push((address(name), Operation::Insert));
                }
            }
            Statement::Update(update) => self.target(&update.table.relation, Operation::Update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Merge(merge) => self.target(&merge.table, Operation::Merge),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut scope = Scope { query: address(query), ..Scope::default() };
        if let Some(with) = &query.with {
            scope.defined = with.cte_tables.iter().map(|cte| (address(&*cte.query), ident(&cte.alias.name))).collect();
            scope.usable = if with.recursive { scope.defined.len() } else { 0 };
        }
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.pop_if(|scope| scope.query == address(query));
        if let Some(scope) = self.scopes.last_mut()
            && scope.defined.get(scope.usable).is_some_and(|(definition, _)| *definition == address(query))
        {
            scope.usable += 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for target in select.into.iter().flat_map(|into| &into.targets) {
            match target {
                Expr::Identifier(name) => self.found.push((Operation::Create, ident(name))),
                Expr::CompoundIdentifier(parts) => {
                    self.found.push((Operation::Create, parts.iter().map(ident).collect::<Vec<_>>().join(".")))
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } = factor {
            self.called.push(address(name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let place = address(relation);
        if self.called.last() == Some(&place) {
            return ControlFlow::Continue(());
        }
        let name = written(relation);
        match self.targets.iter().find(|(target, _)| *target == place) {
            Some((_, operation)) => self.found.push((*operation, name)),
            None => {
                let mut usable = self.scopes.iter().flat_map(|scope| scope.defined.iter().take(scope.usable));
                if !usable.any(|(_, defined)| *defined == name) {
                    self.found.push((Operation::Select, name));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The name with quotes only where it needs them.
fn written(name: &ObjectName) -> String {
    let mut text = String::new();
    for part in &name.0 {
        if !text.is_empty() {
            text.push('.');
        }
        match part {
            ObjectNamePart::Identifier(part) => text.push_str(&ident(part)),
            ObjectNamePart::Function(call) => text.push_str(&call.to_string()),
        }
    }
    text
}

fn ident(part: &Ident) -> String {
    match part.quote_style {
        None => part.value.clone(),
        Some(_) => unquoted(&part.to_string()).to_owned(),
    }
}
