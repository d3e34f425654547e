//! The objects of a query read word by word, for what the parser rejects: other grammars, text cut by the server, long shapes.
//!
//! Names stand after `from`, `join`, `into`, `update`, `using` and the commas that follow them. A name that is called is a function, and
//! the names that `with` defines are no tables once they are defined (before that they are: `with t as (select from t)`).

use super::token::{Spot, Token, name, token, word};
use super::words::ends_tables;
use crate::event::Operation;

/// What a query does by its main verb: the one that follows `with`, or that stands first.
pub(super) fn main_operation(spots: &[Spot]) -> Operation {
    let depth = spots.iter().find(|s| s.token != Token::Open).map_or(0, |s| s.depth);
    let verbs = spots.iter().filter(|s| s.depth == depth).filter_map(|s| match s.token {
        Token::Word("select" | "values" | "table") => Some(Operation::Select),
        Token::Word("insert" | "replace") => Some(Operation::Insert),
        Token::Word("update") => Some(Operation::Update),
        Token::Word("delete") => Some(Operation::Delete),
        Token::Word("merge") => Some(Operation::Merge),
        _ => None,
    });
    verbs.into_iter().next().unwrap_or(Operation::Select)
}

/// What is known between two brackets.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// We are in a list of tables, with this done to them.
    tables: Option<Operation>,
    /// A `with` list is open; `true` if it is recursive.
    with: Option<bool>,
    /// The next name is defined by `with`.
    defines: bool,
    /// `from` is an argument's word here: `extract(year from x)`.
    plain_from: bool,
}

#[derive(Debug)]
struct Defined {
    name: String,
    depth: usize,
    usable: bool,
}

/// Every object of the query with what is done to it.
pub(super) fn objects(spots: &[Spot]) -> Vec<(Operation, String)> {
    let mut scan = Scan::default();
    let mut at = 0;
    while at < spots.len() {
        at = scan.step(spots, at).max(at + 1);
    }
    scan.found
}

#[derive(Debug, Default)]
struct Scan {
    level: Level,
    outer: Vec<Level>,
    defined: Vec<Defined>,
    /// A name is due.
    due: Option<Operation>,
    /// The next `from` names what is deleted from.
    deleting: bool,
    found: Vec<(Operation, String)>,
}

impl Scan {
    /// Reads the token at `at`; answers where to go on.
    fn step(&mut self, spots: &[Spot], at: usize) -> usize {
        match token(spots, at) {
            Some(Token::Open) => {
                let calls = at.checked_sub(1).and_then(|before| word(spots, before));
                // `from (a join b)` goes on with the list; `from (select` does not.
                let tables = self.due.filter(|_| !matches!(word(spots, at + 1), Some("select" | "with" | "values" | "table")));
                self.due = tables;
                self.outer.push(self.level);
                self.level = Level {
                    tables,
                    plain_from: matches!(calls, Some("extract" | "substring" | "trim" | "overlay" | "position")),
                    ..Level::default()
                };
            }
            Some(Token::Close) => {
                self.due = None;
                let depth = self.outer.len();
                self.defined.retain(|d| d.depth < depth);
                self.level = self.outer.pop().unwrap_or_default();
                if self.level.with.is_some()
                    && let Some(last) = self.defined.last_mut()
                {
                    last.usable = true;
                }
            }
            Some(Token::Comma) => {
                self.due = self.level.tables;
                self.level.defines = self.level.with.is_some();
            }
            Some(Token::Word(_) | Token::Quoted(_)) if self.level.defines => return self.define(spots, at),
            Some(Token::Word(text)) if at == 0 || token(spots, at - 1) != Some(Token::Point) => return self.word(spots, at, text),
            Some(Token::Quoted(_)) => return self.name(spots, at),
            _ => self.due = None,
        }
        at + 1
    }

    fn define(&mut self, spots: &[Spot], at: usize) -> usize {
        if word(spots, at) == Some("recursive") {
            self.level.with = Some(true);
            return at + 1;
        }
        let Some((name, next)) = name(spots, at) else { return at + 1 };
        self.level.defines = false;
        self.defined.push(Defined { name, depth: self.outer.len(), usable: self.level.with == Some(true) });
        next
    }

    fn word(&mut self, spots: &[Spot], at: usize, text: &str) -> usize {
        let before = at.checked_sub(1).and_then(|before| word(spots, before)).unwrap_or_default();
        let after = word(spots, at + 1).unwrap_or_default();
        let previous = at.checked_sub(1).and_then(|before| token(spots, before));
        match text {
            "with" if matches!(previous, None | Some(Token::Open)) || matches!(before, "as" | "explain") => {
                self.level.with = Some(false);
                self.level.defines = true;
            }
            "from" if self.level.plain_from || before == "distinct" => self.due = None,
            "from" => {
                let operation = if std::mem::take(&mut self.deleting) { Operation::Delete } else { Operation::Select };
                // Only the first is deleted from; a join or a list reads the others.
                self.level.tables = Some(Operation::Select);
                self.due = Some(operation);
            }
            "join" | "straight_join" => {
                self.level.tables = Some(Operation::Select);
                self.due = Some(Operation::Select);
            }
            "using" if token(spots, at + 1) != Some(Token::Open) || word(spots, at + 2) == Some("select") => {
                self.level.tables = Some(Operation::Select);
                self.due = Some(Operation::Select);
            }
            "insert" | "replace" if starts_statement(previous, before) && after != "into" => self.due = Some(Operation::Insert),
            "into" => {
                let verb = spots.get(..at).unwrap_or_default().iter().rev().find_map(|s| match s.token {
                    Token::Word("insert" | "replace") => Some(Operation::Insert),
                    Token::Word("merge") => Some(Operation::Merge),
                    Token::Word("select" | "values" | "returning") => Some(Operation::Create),
                    _ => None,
                });
                self.level.tables = None;
                self.due = verb;
            }
            "merge" if starts_statement(previous, before) && after != "into" => self.due = Some(Operation::Merge),
            "update" if after == "set" || matches!(before, "for" | "key" | "on" | "before" | "after" | "or" | "then" | "do") => {
                self.due = None
            }
            "update" => {
                self.level.tables = Some(Operation::Update);
                self.due = Some(Operation::Update);
            }
            "delete" if starts_statement(previous, before) => self.deleting = true,
            "table" if matches!(previous, None | Some(Token::Open)) || matches!(before, "union" | "all" | "except" | "intersect") => {
                self.due = Some(Operation::Select);
            }
            // Words between a verb and its table.
            "only" | "lateral" | "ignore" | "low_priority" | "high_priority" | "delayed" | "quick" | "temp" | "temporary" | "unlogged"
            | "table"
                if self.due.is_some() => {}
            _ if ends_tables(text) => {
                self.level.tables = None;
                self.level.with = None;
                self.due = None;
            }
            _ if self.due.is_some() => return self.name(spots, at),
            _ => {}
        }
        at + 1
    }

    fn name(&mut self, spots: &[Spot], at: usize) -> usize {
        let Some(operation) = self.due.take() else { return at + 1 };
        let Some((name, next)) = name(spots, at) else { return at + 1 };
        let called = operation == Operation::Select && token(spots, next) == Some(Token::Open);
        let defined = operation == Operation::Select && self.defined.iter().any(|d| d.usable && d.name == name);
        if !called && !defined {
            self.found.push((operation, name));
        }
        next
    }
}

fn starts_statement(previous: Option<Token>, before: &str) -> bool {
    matches!(previous, None | Some(Token::Open | Token::Close)) || matches!(before, "as" | "then" | "explain" | "analyze" | "verbose")
}
