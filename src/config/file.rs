//! A TOML file as a person wrote it: typed reading with the place of every value, all mistakes collected in one run.
//!
//! A [`Section`] is only ever lent to a closure, and when that returns every key that nobody asked for is reported. So a
//! new key is one line where it is read, and no key can be ignored by accident.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, suggest};
use crate::event::Time;

/// Larger files are refused: nobody wrote them, and each mistake in them costs a line on somebody's terminal.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A value with its byte offset in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot<T> {
    pub value: T,
    pub at: usize,
}

/// The text of a file, or the one problem with it.
pub fn slurp(path: &Path) -> Result<String, Problem> {
    let shown = path.display().to_string();
    let failed = |e: std::io::Error| {
        let advice = match e.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => "let the user that runs tokenwatch read it",
            _ => "",
        };
        Problem::of_file(shown.clone(), format!("cannot be read: {e}"), advice)
    };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(Problem::of_file(shown, "is not a file", "name the file itself"));
    }
    if meta.len() > MAX_BYTES {
        return Err(Problem::of_file(shown, format!("is larger than {} MiB", MAX_BYTES >> 20), "is this the right file?"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(e.as_bytes().get(..good).unwrap_or_default()).into_owned();
        Problem::at(shown, &text, good, "not UTF-8 text", "save the file as UTF-8")
    })
}

/// Parses `text` and hands its top to `build`. `Err` holds every problem, in the order of the file.
///
/// `path` is what problems call the file. After a syntax error nothing else is reported: half a file misleads.
pub fn read<T>(path: &str, text: &str, build: impl FnOnce(&Section<'_>) -> T) -> Result<T, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut problems: Vec<Problem> =
            errors.iter().map(|e| Problem::at(path, text, e.span().map_or(0, |s| s.start), syntax(e.message()), "")).collect();
        problems.sort();
        problems.dedup();
        return Err(problems);
    }
    let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let log = Log { path, text, lines, problems: RefCell::default() };
    let built = Section::lend(root.get_ref(), root.span(), &log, build);
    let mut problems = log.problems.into_inner();
    if problems.is_empty() {
        return Ok(built);
    }
    problems.sort();
    problems.dedup();
    Err(problems)
}

/// The parser's message on one line.
fn syntax(message: &str) -> String {
    message.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(", ")
}

struct Log<'a> {
    path: &'a str,
    text: &'a str,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

/// One table of the file.
pub struct Section<'a> {
    table: &'a DeTable<'a>,
    at: usize,
    log: &'a Log<'a>,
    asked: RefCell<Vec<&'static str>>,
    lenient: Cell<bool>,
}

impl<'a> Section<'a> {
    fn lend<T>(table: &'a DeTable<'a>, span: Range<usize>, log: &'a Log<'a>, build: impl FnOnce(&Section<'a>) -> T) -> T {
        let section = Section { table, at: span.start, log, asked: RefCell::default(), lenient: Cell::new(false) };
        let built = build(&section);
        section.report_unknown();
        built
    }

    fn report_unknown(&self) {
        if self.lenient.get() {
            return;
        }
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !asked.contains(&name) {
                self.problem(key.span().start, format!("unknown key \"{name}\""), suggest(name, asked.iter().copied()));
            }
        }
    }

    /// Unknown keys of this section are not reported: what it should hold is itself unknown.
    pub fn forgive_unknown(&self) {
        self.lenient.set(true);
    }

    /// Where the section begins.
    pub fn at(&self) -> usize {
        self.at
    }

    /// 1-based line of where the section begins.
    pub fn line(&self) -> usize {
        self.log.lines.partition_point(|start| *start <= self.at)
    }

    /// Where the key stands, or the section where it is absent.
    pub fn at_key(&self, key: &str) -> usize {
        self.table.get_key_value(key).map_or(self.at, |(k, _)| k.span().start)
    }

    /// It holds no key at all.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The key is there, and it is a list of nothing.
    pub fn is_empty_list(&self, key: &str) -> bool {
        matches!(self.table.get(key).map(Spanned::get_ref), Some(DeValue::Array(list)) if list.is_empty())
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports a problem at a byte offset.
    pub fn problem(&self, at: usize, message: impl Into<String>, advice: impl Into<String>) {
        self.log.problems.borrow_mut().push(Problem::at(self.log.path, self.log.text, at, message, advice));
    }

    /// Reports `key` as missing where it is absent; a present but wrong one was reported when it was read.
    pub fn require<T>(&self, key: &str, value: Option<T>, example: &str) -> Option<T> {
        if value.is_none() && !self.has(key) {
            self.problem(self.at, format!("missing key \"{key}\""), format!("add for example: {key} = {example}"));
        }
        value
    }

    fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table.get(key)
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true/false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(value.span().start, format!("\"{key}\" must be {wanted}, not {found}"), "");
    }

    /// A text value.
    pub fn text(&self, key: &'static str) -> Option<Spot<&'a str>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Spot { value: text.as_ref(), at: value.span().start }),
            _ => {
                self.wrong(key, value, "text in quotes");
                None
            }
        }
    }

    /// A text value that `parse` understands; its `Err` is the message.
    pub fn parsed<T>(&self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        match parse(text.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(text.at, format!("{key}: {message}"), "");
                None
            }
        }
    }

    /// One of a few words; anything else is reported with the list.
    pub fn one_of<T: Copy>(&self, key: &'static str, known: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == text.value) {
            return Some(*value);
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        self.problem(text.at, format!("unknown {key} \"{}\" (known: {})", text.value, names.join(", ")), near(text.value, &names));
        None
    }

    /// The key is there and its value is text.
    pub fn is_text(&self, key: &'static str) -> bool {
        matches!(self.value(key).map(Spanned::get_ref), Some(DeValue::String(_)))
    }

    /// The key is switched off: `"off"`, or false.
    pub fn is_off(&self, key: &'static str) -> bool {
        match self.value(key).map(Spanned::get_ref) {
            Some(DeValue::String(text)) => text == "off",
            Some(DeValue::Boolean(on)) => !on,
            _ => false,
        }
    }

    /// A list of texts; absent is empty.
    pub fn texts(&self, key: &'static str) -> Vec<Spot<&'a str>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(key, value, "a list such as [\"...\", \"...\"]");
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(list.len());
        for item in list.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(Spot { value: text.as_ref(), at: item.span().start }),
                _ => self.wrong(key, item, "a list of texts in quotes"),
            }
        }
        texts
    }

    /// A list of texts that `parse` understands each.
    pub fn parsed_list<T>(&self, key: &'static str, mut parse: impl FnMut(&str) -> Result<T, String>) -> Vec<T> {
        let mut values = Vec::new();
        for text in self.texts(key) {
            match parse(text.value) {
                Ok(value) => values.push(value),
                Err(message) => self.problem(text.at, format!("{key}: {message}"), ""),
            }
        }
        values
    }

    /// A key that was spoken of already, whatever it holds.
    pub fn any(&self, key: &'static str) {
        let _ = self.value(key);
    }

    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong(key, value, "true or false");
                None
            }
        }
    }

    /// A whole number within `range`.
    pub fn integer(&self, key: &'static str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let value = self.value(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong(key, value, "a whole number");
            return None;
        };
        match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                self.problem(value.span().start, format!("\"{key}\" must be from {} to {}", range.start(), range.end()), "");
                None
            }
        }
    }

    /// A finite number.
    pub fn number(&self, key: &'static str) -> Option<Spot<f64>> {
        let value = self.value(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix()).ok().map(|n| n as f64),
            DeValue::Float(n) => n.as_str().parse::<f64>().ok().filter(|n| n.is_finite()),
            _ => None,
        };
        if number.is_none() {
            self.wrong(key, value, "a finite number");
        }
        number.map(|number| Spot { value: number, at: value.span().start })
    }

    /// A moment: a TOML date, or text.
    pub fn moment(&self, key: &'static str) -> Option<Time> {
        let value = self.value(key)?;
        let text = match value.get_ref() {
            DeValue::Datetime(date) => date.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => {
                self.wrong(key, value, "a date such as 2026-12-01T00:00:00Z");
                return None;
            }
        };
        super::value::moment(&text).map_err(|message| self.problem(value.span().start, format!("{key}: {message}"), "")).ok()
    }

    /// The table under `key`.
    pub fn inside<T>(&self, key: &'static str, build: impl FnOnce(&Section<'a>) -> T) -> Option<T> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::lend(table, value.span(), self.log, build)),
            _ => {
                self.wrong(key, value, &format!("a table: [{key}] or {key} = {{ ... }}"));
                None
            }
        }
    }

    /// Every table of the list under `key`, in order: `[[key]]`.
    pub fn each<T>(&self, key: &'static str, mut build: impl FnMut(&Section<'a>) -> T) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let wanted = format!("a list of tables, each beginning with [[{key}]]");
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(key, value, &wanted);
            return Vec::new();
        };
        let mut built = Vec::with_capacity(list.len());
        for item in list.iter() {
            match item.get_ref() {
                DeValue::Table(table) => built.push(Section::lend(table, item.span(), self.log, &mut build)),
                _ => self.wrong(key, item, &wanted),
            }
        }
        built
    }

    /// All keys with their texts, whatever they are called.
    pub fn any_texts(&self) -> Vec<(&'a str, Spot<&'a str>)> {
        let keys: Vec<&str> = self.table.iter().map(|(key, _)| key.get_ref().as_ref()).collect();
        self.free_texts(&keys)
    }

    /// All keys with their texts, for a table whose keys are free; `known` names them for suggestions.
    pub fn free_texts(&self, known: &[&str]) -> Vec<(&'a str, Spot<&'a str>)> {
        self.forgive_unknown();
        let mut entries = Vec::new();
        for (key, value) in self.table.iter() {
            let name: &'a str = key.get_ref();
            if !known.contains(&name) {
                self.problem(key.span().start, format!("unknown field \"{name}\""), suggest(name, known.iter().copied()));
            } else if let DeValue::String(text) = value.get_ref() {
                entries.push((name, Spot { value: text.as_ref(), at: value.span().start }));
            } else {
                self.wrong(name, value, "text in quotes");
            }
        }
        entries
    }
}

fn near(word: &str, names: &[&str]) -> String {
    super::problem::closest(word, names.iter().copied()).map(|n| format!("did you mean \"{n}\"?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems<T: std::fmt::Debug>(text: &str, build: impl FnOnce(&Section<'_>) -> T) -> Vec<String> {
        read("f.toml", text, build).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reports_all_problems_in_order_of_the_file() {
        let text = "nme = 1\ncount = 900\nlist = [\"a\", 2]\nflag = \"yes\"\n";
        let found = problems(text, |s| (s.text("name").is_some(), s.integer("count", 1..=9), s.texts("list").len(), s.flag("flag")));
        assert_eq!(
            found,
            [
                "f.toml:1:1: unknown key \"nme\"; did you mean \"name\"?",
                "f.toml:2:9: \"count\" must be from 1 to 9",
                "f.toml:3:14: \"list\" must be a list of texts in quotes, not a number",
                "f.toml:4:8: \"flag\" must be true or false, not text",
            ]
        );
    }

    #[test]
    fn unknown_keys_are_found_at_every_depth() {
        let text = "[a]\nb = { c = 1 }\n[[d]]\ne = \"x\"\nf = 1\n";
        let found = problems(text, |s| {
            s.inside("a", |s| s.inside("b", |s| s.flag("x")));
            s.each("d", |s| s.text("e").map(|t| t.value.to_owned()));
        });
        assert_eq!(found, ["f.toml:2:7: unknown key \"c\"; known here: x", "f.toml:5:1: unknown key \"f\"; known here: e"]);
    }

    #[test]
    fn syntax_errors_are_reported_alone_with_their_place() {
        let found = problems("a = \nb = [1,\n", |_| ());
        assert!(found[0].starts_with("f.toml:1:"), "{found:?}");
        assert!(found.iter().all(|p| !p.contains('\n')), "{found:?}");
    }

    #[test]
    fn deeply_nested_input_is_an_error_not_a_crash() {
        let text = format!("a = {}", "[".repeat(100_000));
        assert!(read("f.toml", &text, |_| ()).is_err());
    }
}
