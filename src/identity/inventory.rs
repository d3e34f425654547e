//! The inventory `tokens.toml`: which tokens there should be, who owns them, and what each may do.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use bstr::{BStr, BString};

use super::claims::{Tags, application};
use super::condition::{Condition, Conditions};
use super::hours::Hours;
use super::lease::Template;
use crate::config::file::{self, Section};
use crate::config::glob::{Glob, ObjectGlob};
use crate::config::networks::Networks;
use crate::config::problem::{Problem, suggest};
use crate::config::value;
use crate::event::{Address, Operation, Time};

/// All declared tokens. The default is empty: every token is then known by its user name alone, and nothing is forbidden.
#[derive(Debug, Default)]
pub struct Inventory {
    path: String,
    entries: Vec<Entry>,
    /// User names without wildcards -> their entries, the most specific first.
    exact: HashMap<BString, Vec<usize>, foldhash::fast::FixedState>,
    /// Entries whose user name has wildcards, the most specific first.
    globs: Vec<usize>,
    by_name: HashMap<String, usize, foldhash::fast::FixedState>,
    canary_objects: Vec<ObjectGlob>,
    leases: Vec<Template>,
    /// Some entry looks at tags in comments.
    tagged: bool,
}

/// One declared token.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The identity shown in alerts.
    pub name: String,
    /// Line in the inventory, for messages.
    pub line: usize,
    pub matcher: Matcher,
    pub owner: Option<String>,
    pub contact: Option<String>,
    pub group: Option<String>,
    /// `None`: may be used from anywhere.
    pub networks: Option<Networks>,
    /// `None`: may do anything. Otherwise all that it may do; never empty.
    pub scope: Option<Vec<Grant>>,
    /// `None`: at any time.
    pub hours: Option<Hours>,
    pub expires_at: Option<Time>,
    pub revoked_at: Option<Time>,
    pub rotate_every: Option<Duration>,
    pub rotated_at: Option<Time>,
    /// Index of the token whose baseline this one takes over.
    pub successor_of: Option<usize>,
    /// Nobody should ever use it.
    pub canary: bool,
    /// Its alerts are critical, and it is never revoked automatically.
    pub critical: bool,
    /// Conditions that are as they should be, so that nobody is told.
    pub accept: Conditions,
}

/// Which events are this token's. All given fields must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    pub user: Glob,
    pub database: Option<Glob>,
    /// Claimed by the client, so it only ever narrows within a user.
    pub client: Option<Glob>,
    pub address: Option<Networks>,
    /// As the client, without the address that a pooler appends.
    pub application: Option<Glob>,
    /// Tags of the statement's comment; claimed too.
    pub tags: Vec<(String, Glob)>,
}

/// What of an event tells whose it is: the first is what the server verified or saw, the rest only narrows.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub user: &'a BStr,
    pub database: Option<&'a BStr>,
    pub address: Option<Address<'a>>,
    pub client: Option<&'a BStr>,
    pub tags: Option<&'a Tags<'a>>,
}

impl Matcher {
    fn matches(&self, &Who { user, database, address, client, tags }: &Who<'_>) -> bool {
        let given = |glob: &Option<Glob>, text: Option<&BStr>| glob.as_ref().is_none_or(|glob| text.is_some_and(|text| glob.matches(text)));
        self.user.matches(user)
            && given(&self.database, database)
            && given(&self.client, client)
            && self.address.as_ref().is_none_or(|networks| address.is_some_and(|address| networks.contain(address)))
            && (self.application.is_none() || given(&self.application, client.map(|client| application(client).0)))
            && self.tags.iter().all(|(key, glob)| tags.and_then(|tags| tags.get(key)).is_some_and(|value| glob.matches(value.as_bytes())))
    }

    /// The more of it is given, the more specific it is: number of fields first, then length of the texts.
    fn rank(&self) -> (usize, usize) {
        let texts = [&self.database, &self.client, &self.application];
        let fields = texts.iter().filter(|glob| glob.is_some()).count() + usize::from(self.address.is_some()) + self.tags.len();
        let given = texts.into_iter().flatten().chain(self.tags.iter().map(|(_, glob)| glob));
        (fields, self.user.weight() + given.map(Glob::weight).sum::<usize>())
    }
}

/// One line of a declared scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `None`: every operation.
    pub operation: Option<Operation>,
    pub object: ObjectGlob,
}

impl Grant {
    /// `select public.invoices`, `* reporting.*`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some(operation), Some(object), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!(
                "\"{text}\" is not an operation and an object; write for example \"select public.invoices\" or \"select *\""
            ));
        };
        let operation = match operation {
            "*" => None,
            name => Some(Operation::from_name(name).ok_or_else(|| {
                let known = Operation::ALL.iter().map(|(_, name)| *name);
                format!("unknown operation \"{name}\" in \"{text}\"; {}", suggest(name, known))
            })?),
        };
        Ok(Grant { operation, object: ObjectGlob::new(object) })
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.operation.map_or("*", Operation::name), self.object.as_str())
    }
}

impl Inventory {
    /// Reads and checks an inventory; `Err` holds every problem of it.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let text = file::slurp(path).map_err(|problem| vec![problem])?;
        Self::parse(&text, &path.display().to_string())
    }

    /// As [`Inventory::load`], from text; problems name `path`.
    pub fn parse(text: &str, path: &str) -> Result<Self, Vec<Problem>> {
        file::read(path, text, |top| {
            let mut names = HashSet::new();
            let parsed = top.each("token", |section| entry(section, &mut names));
            let canary_objects = top.each("canary_object", |section| {
                let name = section.parsed("name", |name| match name.chars().all(|c| matches!(c, '*' | '?' | '.')) {
                    true => Err(format!("\"{name}\" would make every object a canary")),
                    false => Ok(ObjectGlob::new(name)),
                });
                section.require("name", name, "\"public.honey_*\"")
            });
            let mut inventory = Inventory { path: path.to_owned(), ..Inventory::default() };
            inventory.canary_objects = canary_objects.into_iter().flatten().collect();
            let leases = top.each("lease", |section| {
                let template = section.parsed("template", Template::parse);
                section.require("template", template, "\"svc-{role}-{random:8}\"")
            });
            inventory.leases = leases.into_iter().flatten().collect();
            inventory.take_in(top, parsed);
            inventory
        })
    }

    fn take_in(&mut self, top: &Section<'_>, parsed: Vec<Parsed>) {
        for (index, parsed) in parsed.iter().enumerate() {
            self.by_name.entry(parsed.entry.name.clone()).or_insert(index);
        }
        let names: Vec<&str> = parsed.iter().map(|p| p.entry.name.as_str()).collect();
        let mut successors: Vec<Option<usize>> = Vec::with_capacity(parsed.len());
        for (index, parsed) in parsed.iter().enumerate() {
            let Some((at, predecessor)) = &parsed.successor_of else {
                successors.push(None);
                continue;
            };
            let found = self.by_name.get(predecessor).copied();
            if found == Some(index) {
                top.problem(*at, format!("\"{predecessor}\" cannot be its own predecessor"), "");
            } else if found.is_none() {
                let others = names.iter().copied().filter(|name| *name != parsed.entry.name);
                let advice = crate::config::problem::closest(predecessor, others).map_or_else(
                    || "declare it with its own [[token]], also if it is revoked".to_owned(),
                    |near| format!("did you mean \"{near}\"?"),
                );
                top.problem(*at, format!("successor_of names an unknown token \"{predecessor}\""), advice);
            }
            successors.push(found.filter(|found| *found != index));
        }
        for (index, parsed) in parsed.iter().enumerate() {
            let follow = |at: usize| successors.get(at).copied().flatten();
            let steps = std::iter::successors(follow(index), |at| follow(*at)).take(successors.len());
            if let Some((at, _)) = parsed.successor_of.as_ref().filter(|_| steps.into_iter().any(|step| step == index)) {
                top.problem(
                    *at,
                    format!("\"{}\" is, over others, its own predecessor", parsed.entry.name),
                    "break the circle of successor_of",
                );
            }
        }
        self.check_same_matchers(top, &parsed);
        self.entries = parsed.into_iter().zip(successors).map(|(parsed, successor_of)| Entry { successor_of, ..parsed.entry }).collect();
        for (index, entry) in self.entries.iter().enumerate() {
            match entry.matcher.user.is_exact() {
                true => self.exact.entry(BString::from(entry.matcher.user.as_str())).or_default().push(index),
                false => self.globs.push(index),
            }
        }
        self.tagged = self.entries.iter().any(|entry| !entry.matcher.tags.is_empty());
        // Of equals the first in the file; sorts are stable.
        let rank = |index: &usize| std::cmp::Reverse(self.entries.get(*index).map(|entry| entry.matcher.rank()));
        self.globs.sort_by_key(rank);
        for bucket in self.exact.values_mut() {
            bucket.sort_by_key(rank);
        }
    }

    fn check_same_matchers(&self, top: &Section<'_>, parsed: &[Parsed]) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for Parsed { at, entry, .. } in parsed {
            let matcher = &entry.matcher;
            if let Some(first) = seen.insert(format!("{matcher:?}"), &entry.name)
                && first != entry.name
            {
                let message = format!("\"{}\" can never be seen: its match is the same as that of \"{first}\"", entry.name);
                top.problem(*at, message, "give one of them a narrower match, such as a database or an address");
            }
        }
    }

    /// The entry of this event: exact user names first, then patterns, of several the most specific, of equals the first.
    pub fn resolve(&self, who: &Who<'_>) -> Option<usize> {
        let fits = |index: &&usize| self.get(**index).is_some_and(|entry| entry.matcher.matches(who));
        let exact = self.exact.get(who.user).and_then(|bucket| bucket.iter().find(fits));
        exact.or_else(|| self.globs.iter().find(fits)).copied()
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    /// The entry of this name.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Templates of generated accounts.
    pub fn leases(&self) -> &[Template] {
        &self.leases
    }

    /// Whether an entry looks at the tags of comments.
    pub fn reads_tags(&self) -> bool {
        self.tagged
    }

    /// Any honey table is declared.
    pub fn has_canary_objects(&self) -> bool {
        !self.canary_objects.is_empty()
    }

    /// The object is a honey table.
    pub fn is_canary_object(&self, object: &str) -> bool {
        self.canary_objects.iter().any(|canary| canary.names(object))
    }

    /// What is no mistake but worth a look: tokens that are past their end, and tokens that nobody owns.
    pub fn remarks(&self, now: Time) -> Vec<Problem> {
        let mut remarks = Vec::new();
        for entry in &self.entries {
            let mut remark = |message: String, advice: &str| {
                let (path, advice) = (self.path.clone(), advice.to_owned());
                remarks.push(Problem { path, line: entry.line, column: 1, message, advice });
            };
            if let Some(end) = entry.revoked_at.filter(|end| *end <= now) {
                remark(format!("token \"{}\" was revoked at {end}; any use of it is an alert", entry.name), "");
            } else if let Some(end) = entry.expires_at.filter(|end| *end <= now) {
                let advice = "renew it, or set revoked_at once it is revoked in the database";
                remark(format!("token \"{}\" expired at {end}; any use of it is an alert", entry.name), advice);
            } else if entry.owner.is_none() && !entry.canary {
                remark(format!("token \"{}\" has no owner", entry.name), "add owner = \"team\" so that alerts reach somebody");
            }
        }
        remarks
    }
}

struct Parsed {
    at: usize,
    entry: Entry,
    successor_of: Option<(usize, String)>,
}

fn entry(section: &Section<'_>, names: &mut HashSet<String>) -> Parsed {
    let name = section.require("name", section.text("name"), "\"billing\"");
    if let Some(name) = name {
        if name.value.is_empty() {
            section.problem(name.at, "a token's name must not be empty", "");
        } else if !names.insert(name.value.to_owned()) {
            section.problem(name.at, format!("a second token is named \"{}\"", name.value), "names are identities; give each its own");
        }
    }
    let name = name.map_or("", |name| name.value).to_owned();
    let text = |key| section.text(key).map(|text| text.value.to_owned());
    let entry = Entry {
        line: section.line(),
        matcher: section.inside("match", matcher).flatten().unwrap_or_else(|| by_user(&name)),
        owner: text("owner"),
        contact: text("contact"),
        group: text("group"),
        networks: networks(section, "networks"),
        scope: scope(section),
        hours: section.parsed("hours", Hours::parse),
        expires_at: section.moment("expires_at"),
        revoked_at: section.moment("revoked_at"),
        rotate_every: section.parsed("rotate_every", value::duration),
        rotated_at: section.moment("rotated_at"),
        successor_of: None,
        canary: section.flag("canary").unwrap_or(false),
        critical: section.flag("critical").unwrap_or(false),
        accept: section.parsed_list("accept", Condition::parse).into_iter().collect(),
        name,
    };
    let successor_of = section.text("successor_of").map(|text| (text.at, text.value.to_owned()));
    Parsed { at: section.at(), entry, successor_of }
}

/// Without `match` a token is the user of its name, taken literally.
fn by_user(name: &str) -> Matcher {
    Matcher { user: Glob::literal(name), database: None, client: None, address: None, application: None, tags: Vec::new() }
}

fn matcher(section: &Section<'_>) -> Option<Matcher> {
    let glob = |key| section.text(key).map(|text| Glob::new(text.value));
    let (user, database, client, application) = (glob("user"), glob("database"), glob("client"), glob("application"));
    let tags = section.inside("comment", |tags| tags.any_texts()).unwrap_or_default();
    let tags: Vec<(String, Glob)> = tags.into_iter().map(|(key, text)| (key.to_owned(), Glob::new(text.value))).collect();
    let mut address = Networks::default();
    let address = section.parsed("address", |text| address.add(text).map(|()| address));
    let Some(user) = user else {
        if !section.has("user") {
            let advice = "add user = \"...\"; the other fields only narrow it";
            section.problem(section.at(), "\"match\" names no user", advice);
        }
        return None;
    };
    if client.is_some() && user.is_any() {
        let advice = "name the user; client is what the client says of itself, so anybody could take this identity";
        section.problem(section.at_key("client"), "\"client\" cannot select a token by itself", advice);
    }
    for (key, given) in [("application", application.is_some()), ("comment", !tags.is_empty())] {
        if given && !user.is_exact() {
            let advice = "write the user out: with a pattern, one account could take the identity of another by what it says of itself";
            section.problem(section.at_key(key), format!("\"{key}\" may only narrow one user"), advice);
        }
    }
    Some(Matcher { user, database, client, address, application, tags })
}

fn networks(section: &Section<'_>, key: &'static str) -> Option<Networks> {
    let mut networks = Networks::default();
    section.parsed_list(key, |text| networks.add(text));
    if section.has(key) && section.texts(key).is_empty() {
        section.problem(section.at_key(key), format!("an empty \"{key}\" allows no use at all"), "leave it out, or list the networks");
    }
    section.has(key).then_some(networks)
}

fn scope(section: &Section<'_>) -> Option<Vec<Grant>> {
    let grants = section.parsed_list("scope", Grant::parse);
    if section.has("scope") && section.texts("scope").is_empty() {
        section.problem(section.at_key("scope"), "an empty \"scope\" allows nothing", "leave it out, or list operations and objects");
    }
    section.has("scope").then_some(grants)
}

#[cfg(test)]
mod tests;
