//! The condition of a rule, compiled: does it hold on this one event?

use bstr::BStr;
use regex::RegexSet;

use crate::config::glob::{Glob, ObjectGlob};
use crate::event::{Dialect, Kind, Operation, Outcome};

/// What a condition can look at: one event, with its statement already understood. Literals are not part of it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub kind: Kind,
    /// Of the statement as a whole.
    pub operation: Operation,
    pub scopes: &'a [(Operation, &'a str)],
    pub outcome: Outcome,
    pub code: Option<&'a BStr>,
    pub principal: Option<&'a BStr>,
    pub database: Option<&'a BStr>,
    pub client: Option<&'a BStr>,
    /// The normalised statement.
    pub shape: Option<&'a str>,
    /// A password or key stands in the statement in plain text; [`crate::sql::secret`] looks for it where a condition asks.
    pub secret: bool,
    pub dialect: Dialect,
}

/// The part of [`Facts`] that is the same for every event of one kind and one shape.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    pub kind: Kind,
    pub operation: Operation,
    pub scopes: &'a [(Operation, &'a str)],
    pub shape: Option<&'a str>,
}

/// A truth that may still depend on what is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    No,
    Unknown,
    Yes,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Truth::Yes } else { Truth::No }
    }
}

/// A set of the variants of a small enum, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits(u32);

impl Bits {
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        Bits(numbers.into_iter().fold(0, |set, n| set | 1u32.checked_shl(n).unwrap_or(0)))
    }

    fn has(self, number: u32) -> bool {
        self.0.checked_shr(number).unwrap_or(0) & 1 == 1
    }
}

/// A tree of tests. Lists of values hold where one value matches; a field that the event lacks matches nothing.
#[derive(Debug, Clone)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Kind(Bits),
    Outcome(Bits),
    Dialect(Bits),
    Operation(Bits),
    /// One of the event's scopes has an operation of the set (`None`: any) on an object that a pattern matches.
    Scope(Option<Bits>, Vec<ObjectGlob>),
    /// There are objects, and every one of them matches a pattern.
    OnlyObjects(Vec<ObjectGlob>),
    Code(Vec<Glob>),
    Principal(Vec<Glob>),
    Database(Vec<Glob>),
    Client(Vec<Glob>),
    /// Lower-case texts.
    ShapeContains(Vec<String>),
    ShapeRegex(RegexSet),
    /// There is, or there is not, a secret in plain text.
    Secret(bool),
}

impl Condition {
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let statement = Statement { kind: facts.kind, operation: facts.operation, scopes: facts.scopes, shape: facts.shape };
        self.truth(&statement, Some(facts)) == Truth::Yes
    }

    /// What is sure of every event with this statement, whatever the rest of the event is.
    pub fn foresee(&self, statement: &Statement<'_>) -> Truth {
        self.truth(statement, None)
    }

    /// Some part of it looks for a secret.
    pub fn looks_for_secrets(&self) -> bool {
        match self {
            Condition::Secret(_) => true,
            Condition::Not(part) => part.looks_for_secrets(),
            Condition::All(parts) | Condition::Any(parts) => parts.iter().any(Condition::looks_for_secrets),
            _ => false,
        }
    }

    fn truth(&self, statement: &Statement<'_>, facts: Option<&Facts<'_>>) -> Truth {
        let event = |test: &dyn Fn(&Facts<'_>) -> bool| facts.map_or(Truth::Unknown, |facts| Truth::from(test(facts)));
        let text = |globs: &[Glob], field: for<'a> fn(&Facts<'a>) -> Option<&'a BStr>| {
            facts.map_or(Truth::Unknown, |facts| Truth::from(field(facts).is_some_and(|text| globs.iter().any(|g| g.matches(text)))))
        };
        match self {
            Condition::All(conditions) => {
                let mut all = Truth::Yes;
                for condition in conditions {
                    match condition.truth(statement, facts) {
                        Truth::No => return Truth::No,
                        Truth::Unknown => all = Truth::Unknown,
                        Truth::Yes => {}
                    }
                }
                all
            }
            Condition::Any(conditions) => {
                let mut any = Truth::No;
                for condition in conditions {
                    match condition.truth(statement, facts) {
                        Truth::Yes => return Truth::Yes,
                        Truth::Unknown => any = Truth::Unknown,
                        Truth::No => {}
                    }
                }
                any
            }
            Condition::Not(condition) => match condition.truth(statement, facts) {
                Truth::No => Truth::Yes,
                Truth::Unknown => Truth::Unknown,
                Truth::Yes => Truth::No,
            },
            Condition::Kind(set) => Truth::from(set.has(statement.kind as u32)),
            Condition::Outcome(set) => event(&|facts| set.has(facts.outcome as u32)),
            Condition::Dialect(set) => event(&|facts| set.has(facts.dialect as u32)),
            Condition::Operation(set) => {
                let scoped = statement.scopes.iter().any(|(operation, _)| set.has(*operation as u32));
                Truth::from(scoped || set.has(statement.operation as u32))
            }
            Condition::Scope(set, objects) => Truth::from(statement.scopes.iter().any(|(operation, object)| {
                set.is_none_or(|set| set.has(*operation as u32)) && objects.iter().any(|pattern| pattern.names(object))
            })),
            Condition::OnlyObjects(objects) => {
                let listed = |(_, object): &(Operation, &str)| objects.iter().any(|pattern| pattern.names(object));
                Truth::from(!statement.scopes.is_empty() && statement.scopes.iter().all(listed))
            }
            Condition::Code(globs) => text(globs, |facts| facts.code),
            Condition::Principal(globs) => text(globs, |facts| facts.principal),
            Condition::Database(globs) => text(globs, |facts| facts.database),
            Condition::Client(globs) => text(globs, |facts| facts.client),
            Condition::ShapeContains(texts) => Truth::from(
                statement.shape.is_some_and(|shape| texts.iter().any(|text| contains_folded(shape.as_bytes(), text.as_bytes()))),
            ),
            Condition::Secret(wanted) => event(&|facts| facts.secret == *wanted),
            Condition::ShapeRegex(set) => Truth::from(statement.shape.is_some_and(|shape| set.is_match(shape))),
        }
    }

    /// How dear a test is; cheap ones go first and settle most events.
    pub fn cost(&self) -> u8 {
        match self {
            Condition::Kind(_) | Condition::Outcome(_) | Condition::Dialect(_) | Condition::Operation(_) => 0,
            Condition::Code(_) | Condition::Principal(_) | Condition::Database(_) | Condition::Client(_) => 1,
            Condition::Scope(..) | Condition::OnlyObjects(_) => 2,
            Condition::ShapeContains(_) => 3,
            Condition::ShapeRegex(_) => 4,
            Condition::Secret(_) => 5,
            Condition::Not(condition) => condition.cost(),
            Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().map(Condition::cost).max().unwrap_or(0),
        }
    }
}

/// `needle` is lower case; letters of `text` are taken as lower case too.
fn contains_folded(text: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || text.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement<'a>(scopes: &'a [(Operation, &'a str)], shape: &'a str) -> Statement<'a> {
        Statement { kind: Kind::Query, operation: Operation::Select, scopes, shape: Some(shape) }
    }

    #[test]
    fn unknown_is_never_taken_for_no() {
        let outcome = Condition::Outcome(Bits::of([Outcome::Denied as u32]));
        let shape = Condition::ShapeContains(vec!["union".to_owned()]);
        let both = Condition::All(vec![outcome.clone(), shape.clone()]);
        assert_eq!(both.foresee(&statement(&[], "select 1 UNION select 2")), Truth::Unknown);
        assert_eq!(both.foresee(&statement(&[], "select 1")), Truth::No);
        let neither = Condition::Not(Box::new(Condition::Any(vec![outcome, shape])));
        assert_eq!(neither.foresee(&statement(&[], "select 1")), Truth::Unknown);
        assert_eq!(neither.foresee(&statement(&[], "union")), Truth::No);
        let kind = Condition::Kind(Bits::of([Kind::Query as u32]));
        assert_eq!(kind.foresee(&statement(&[], "select 1")), Truth::Yes);
        assert_eq!(Condition::Secret(true).foresee(&statement(&[], "select 1")), Truth::Unknown);
    }

    #[test]
    fn operation_and_object_belong_to_one_scope() {
        let reads = Condition::Scope(Some(Bits::of([Operation::Select as u32])), vec![ObjectGlob::new("pg_authid")]);
        assert_eq!(reads.foresee(&statement(&[(Operation::Insert, "copy"), (Operation::Select, "pg_catalog.pg_authid")], "")), Truth::Yes);
        assert_eq!(reads.foresee(&statement(&[(Operation::Select, "copy"), (Operation::Update, "pg_authid")], "")), Truth::No);
        let only = Condition::OnlyObjects(vec![ObjectGlob::new("information_schema.*")]);
        assert_eq!(only.foresee(&statement(&[(Operation::Select, "information_schema.tables")], "")), Truth::Yes);
        assert_eq!(
            only.foresee(&statement(&[(Operation::Select, "information_schema.tables"), (Operation::Select, "users")], "")),
            Truth::No
        );
        assert_eq!(only.foresee(&statement(&[], "")), Truth::No);
    }
}
