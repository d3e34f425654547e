//! `[[test]]` of a rule file: events written down in short, and whether the rule fires on them.

use crate::config::file::Section;
use crate::config::value;
use crate::event::{Dialect, Kind, Operation, Outcome, Time};

use super::parse::{DIALECTS, KINDS, OUTCOMES};

/// One test of a rule.
#[derive(Debug, Clone)]
pub struct Example {
    pub name: String,
    /// Line in the rule's file.
    pub line: usize,
    pub fires: bool,
    /// The token has been in use for two weeks before the test, and did nothing that the rule looks for.
    pub settled: bool,
    /// In order of time.
    pub events: Vec<ExampleEvent>,
}

/// One event of a test. `repeat` is already written out.
#[derive(Debug, Clone)]
pub struct ExampleEvent {
    /// Microseconds since the start of the test.
    pub at: i64,
    pub kind: Kind,
    pub token: String,
    pub statement: Option<String>,
    pub dialect: Dialect,
    /// `None`: read from the statement.
    pub operation: Option<Operation>,
    /// Empty: read from the statement.
    pub objects: Vec<String>,
    pub outcome: Outcome,
    pub code: Option<String>,
    pub address: Option<String>,
    pub database: Option<String>,
    pub client: Option<String>,
}

/// Reads one `[[test]]`.
pub(super) fn parse(section: &Section<'_>) -> Example {
    let mut clock = 0;
    let events = section.each("events", |event| events(event, &mut clock));
    let mut events: Vec<ExampleEvent> = events.into_iter().flatten().collect();
    if events.is_empty() && !section.has("events") {
        let advice = "add events = [{ statement = \"select 1\" }]";
        section.problem(section.at(), "a test without events", advice);
    }
    events.sort_by_key(|event| event.at);
    Example {
        name: section.require("name", section.text("name"), "\"a service reads pg_authid\"").map_or("", |name| name.value).to_owned(),
        line: section.line(),
        fires: section.require("fires", section.flag("fires"), "true").unwrap_or(false),
        settled: section.flag("settled").unwrap_or(true),
        events,
    }
}

/// One table of `events`: an event, or `repeat` of them `every` so often, with their number in place of `{n}`.
fn events(section: &Section<'_>, clock: &mut i64) -> Vec<ExampleEvent> {
    let micros = |text: &str| Ok::<i64, String>(i64::try_from(value::duration(text)?.as_micros()).unwrap_or(i64::MAX));
    let text = |key| section.text(key).map(|text| text.value.to_owned());
    let first = section.parsed("at", micros).unwrap_or(*clock);
    let step = section.parsed("every", micros).unwrap_or(Time::SECOND);
    let count = section.integer("repeat", 1..=1000).unwrap_or(1);
    let kind = section.one_of("kind", &KINDS).unwrap_or(Kind::Query);
    let outcome = match kind {
        Kind::LoginFailed | Kind::Denied => Outcome::Denied,
        Kind::Error => Outcome::Error,
        _ => Outcome::Success,
    };
    let event = ExampleEvent {
        at: first,
        kind,
        token: text("token").unwrap_or_else(|| "token".to_owned()),
        statement: text("statement"),
        dialect: section.one_of("dialect", &DIALECTS).unwrap_or(Dialect::Postgres),
        operation: section.one_of("operation", &Operation::ALL.map(|(operation, name)| (name, operation))),
        objects: section.texts("objects").into_iter().map(|object| object.value.to_owned()).collect(),
        outcome: section.one_of("outcome", &OUTCOMES).unwrap_or(outcome),
        code: text("code"),
        address: text("address"),
        database: text("database"),
        client: text("client"),
    };
    let events: Vec<ExampleEvent> = (0..count).map(|n| event.numbered(n, first.saturating_add(step.saturating_mul(n.into())))).collect();
    *clock = events.last().map_or(first, |last| last.at).saturating_add(Time::SECOND);
    events
}

impl ExampleEvent {
    fn numbered(&self, number: u32, at: i64) -> Self {
        let fill = |text: &String| text.replace("{n}", &number.to_string());
        ExampleEvent {
            at,
            token: fill(&self.token),
            statement: self.statement.as_ref().map(fill),
            objects: self.objects.iter().map(fill).collect(),
            address: self.address.as_ref().map(fill),
            database: self.database.as_ref().map(fill),
            client: self.client.as_ref().map(fill),
            code: self.code.clone(),
            ..*self
        }
    }
}
