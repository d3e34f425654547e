//! Generated database users: the account that Vault or OpenBao makes for an hour is the same token as yesterday's.
//!
//! `v-approle-readonly-A1b2C3d4E5f6G7h8I9j0-1795314080` is made of the display name of the Vault token that asked, the role, twenty random characters and the
//! time. The random and the time change, so [`token`] is `vault:approle/readonly`. Display names and roles hold dashes of their own, so names are
//! read from the right; each plugin cuts them to its own width, and some cut the whole. <https://developer.hashicorp.com/vault/docs/concepts/username-templating>
//!
//! Only the name of a session that the database has authenticated is read like this (see [`crate::observe`]): who merely says such a name in a refused login
//! stays who he says he is. Who may create accounts could still create one that looks generated; a time in the future gives that away, and creating
//! accounts is an act of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bstr::{BStr, ByteSlice};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use crate::event::Time;

/// Random characters of a generated name that was not cut.
const RANDOM: usize = 20;
/// The same of OpenLDAP's plugin.
const SHORT_RANDOM: usize = 10;
/// Clocks of Vault and of the database may differ by this much.
const SKEW: i64 = 10 * Time::MINUTE;

/// What a generated name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    pub token: Arc<str>,
    /// Unix seconds; absent where the name was cut before it.
    pub made: Option<i64>,
}

impl Generated {
    /// Nobody can have been given at `now` what was made after it.
    pub fn may_exist_at(&self, now: Time) -> bool {
        self.made.is_none_or(|made| made.saturating_mul(Time::SECOND) <= now.0.saturating_add(SKEW))
    }
}

/// Reads an account's name as one of the operator's templates, or as a default one of a plugin.
pub fn read(account: &BStr, templates: &[Template]) -> Option<Generated> {
    templates.iter().find_map(|template| template.read(account)).or_else(|| by_default(account.to_str().ok()?))
}

/// The token of a lease whose account is known word for word.
fn token(display: &str, role: &str) -> String {
    match display {
        "" => format!("vault:{role}"),
        display => format!("vault:{display}/{role}"),
    }
}

/// Widths to which a plugin cuts display name and role.
type Widths = (usize, usize);

/// PostgreSQL and Redshift; MySQL; MongoDB; SQL Server.
const DASHED: [Widths; 4] = [(8, 8), (10, 10), (15, 15), (20, 20)];
/// Cassandra and InfluxDB; HANA; Snowflake; Couchbase.
const UNDERSCORED: [Widths; 4] = [(15, 15), (32, 20), (32, 32), (64, 64)];

/// Plugins that cut the whole name: its length then, how it begins, and the widths of its parts.
const CUT: [(usize, &str, Widths); 2] = [
    // MySQL, MariaDB, Aurora and ClickHouse.
    (32, "v-", (10, 10)),
    // Oracle, in capitals.
    (30, "V_", (8, 8)),
];

/// MySQL before 5.7.8: `v-ROLE-RANDOM`, cut to 16 with a role of at most 4.
const LEGACY: (usize, usize) = (16, 4);

fn by_default(account: &str) -> Option<Generated> {
    let separator = match account.as_bytes() {
        [b'v' | b'V', separator @ (b'-' | b'_'), ..] => char::from(*separator),
        _ => return rabbit(account),
    };
    let body = account.get(2..)?;
    whole(body, separator).or_else(|| cut(account, body, separator)).or_else(|| legacy(account, body))
}

fn whole(body: &str, separator: char) -> Option<Generated> {
    let (rest, made) = body.rsplit_once(separator)?;
    let made = made.parse::<i64>().ok().filter(|_| made.len() == 10 && made.bytes().all(|b| b.is_ascii_digit()))?;
    let (names, random) = rest.rsplit_once(separator)?;
    let lengths = random.len() == RANDOM || random.len() == SHORT_RANDOM && separator == '_';
    if !lengths || !is_random(random) {
        return None;
    }
    let widths = if separator == '-' { &DASHED } else { &UNDERSCORED };
    let (display, role) = widths.iter().find_map(|widths| split(names, separator, *widths))?;
    Some(Generated { token: token(display, role).into(), made: Some(made) })
}

/// A name that fills its width to the last character: some of the random and the time are missing.
fn cut(account: &str, body: &str, separator: char) -> Option<Generated> {
    let (_, _, widths) = *CUT.iter().find(|(length, begins, _)| account.len() == *length && account.starts_with(begins))?;
    if separator == '_' && account.bytes().any(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let (rest, last) = body.rsplit_once(separator)?;
    // The whole random, and the first digits of the time or none.
    if last.len() < 10
        && last.bytes().all(|b| b.is_ascii_digit())
        && let Some((names, random)) = rest.rsplit_once(separator)
        && random.len() == RANDOM
        && is_random(random)
    {
        let (display, role) = split(names, separator, widths)?;
        return Some(Generated { token: token(display, role).into(), made: None });
    }
    let random = (8..=RANDOM).contains(&last.len()) && is_random(last) && (separator == '_' || looks_random(last));
    let (display, role) = split(rest, separator, widths).filter(|_| random)?;
    Some(Generated { token: token(display, role).into(), made: None })
}

fn legacy(account: &str, body: &str) -> Option<Generated> {
    let (role, random) = body.rsplit_once('-')?;
    let fits = account.len() == LEGACY.0 && account.starts_with("v-") && (1..=LEGACY.1).contains(&role.len());
    (fits && is_random(random) && looks_random(random)).then(|| Generated { token: token("", role).into(), made: None })
}

/// Auth methods whose display names begin like this; RabbitMQ's plugin writes `DISPLAY-UUID`, and so do others that are no plugins of Vault.
const METHODS: [&str; 14] =
    ["token", "root", "approle", "kubernetes", "ldap", "userpass", "oidc", "jwt", "aws", "azure", "gcp", "github", "okta", "cert"];

fn rabbit(account: &str) -> Option<Generated> {
    let at = account.len().checked_sub(37)?;
    let (display, uuid) = (account.get(..at)?, account.get(at..)?.strip_prefix('-')?);
    let known = METHODS.contains(&display.split('-').next().unwrap_or_default());
    let hyphens = uuid.bytes().enumerate().all(|(at, b)| if matches!(at, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() });
    (known && hyphens).then(|| Generated { token: token("", display).into(), made: None })
}

fn is_random(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Of capitals, small letters and digits at least two kinds; a word that a person chose has mostly one. Of eight random characters one in a thousand
/// fails, and is then a token of its own.
fn looks_random(text: &str) -> bool {
    let kinds = [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit];
    kinds.iter().filter(|kind| text.bytes().any(|b| kind(&b))).count() >= 2
}

/// Display name and role: split where the display name has its full width and was cut, else at the last place that leaves both within their widths.
fn split(names: &str, separator: char, (display, role): Widths) -> Option<(&str, &str)> {
    let fits = |at: &usize| *at <= display && (1..=role).contains(&(names.len() - at - 1));
    let places = || names.match_indices(separator).map(|(at, _)| at).filter(fits);
    let at = places().find(|at| *at == display).or_else(|| places().next_back())?;
    Some((names.get(..at)?, names.get(at + 1..)?))
}

/// An operator's own template: text with `{display}`, `{role}`, `{random}`, `{random:20}`, `{time}` and `{uuid}`.
#[derive(Debug, Clone)]
pub struct Template {
    written: String,
    regex: Regex,
}

impl Template {
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(written: &str) -> Result<Self, String> {
        let (mut pattern, mut rest) = ("(?s-u)^".to_owned(), written);
        let (mut text, mut changes) = (0, false);
        while let Some((before, after)) = rest.split_once('{') {
            let Some((word, after)) = after.split_once('}') else { return Err(format!("a {{ without }} in \"{written}\"")) };
            text += before.len();
            pattern += &regex::escape(before);
            let (word, count) = word.split_once(':').unwrap_or((word, ""));
            let count = match count {
                "" => None,
                count => Some(count.parse::<u8>().map_err(|_| format!("\"{count}\" in \"{written}\" is not a number of characters"))?),
            };
            let times = count.map_or("+".to_owned(), |count| format!("{{{count}}}"));
            pattern += &match word {
                "display" => "(?P<display>.*)".to_owned(),
                "role" => "(?P<role>.+)".to_owned(),
                "random" => format!("[A-Za-z0-9]{times}"),
                "time" => "(?P<time>[0-9]{10})".to_owned(),
                "uuid" => "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}".to_owned(),
                other => {
                    let known = ["display", "role", "random", "time", "uuid"];
                    return Err(format!("unknown part \"{{{other}}}\"; {}", crate::config::problem::suggest(other, known)));
                }
            };
            changes |= matches!(word, "random" | "time" | "uuid");
            rest = after;
        }
        text += rest.len();
        pattern += &regex::escape(rest);
        pattern += "$";
        if text == 0 {
            return Err(format!("\"{written}\" holds no text of its own, so any account may be one of its names"));
        }
        if !changes {
            return Err(format!("\"{written}\" holds nothing that changes; add {{random}}, {{time}} or {{uuid}}"));
        }
        let regex = Regex::new(&pattern).map_err(|_| format!("\"{written}\" names a part twice, or is too long"))?;
        Ok(Template { written: written.to_owned(), regex })
    }

    fn read(&self, account: &BStr) -> Option<Generated> {
        let found = self.regex.captures(account)?;
        let part = |name: &str| found.name(name).and_then(|part| part.as_bytes().to_str().ok()).unwrap_or_default();
        let token = match (part("display"), part("role")) {
            ("", "") => format!("vault:{}", self.written),
            (display, "") => token("", display),
            (display, role) => token(display, role),
        };
        Some(Generated { token: token.into(), made: part("time").parse().ok() })
    }
}

/// Accounts bound word for word, the latest.
const BOUND: usize = 4096;
/// Longest account that is bound; databases allow less.
const LONGEST: usize = 256;

/// Accounts of which Vault's audit log said by name for whom they were made, and that no template reads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Bound {
    tokens: BTreeMap<Vec<u8>, String>,
    order: VecDeque<Vec<u8>>,
}

impl Bound {
    pub fn bind(&mut self, account: &[u8], display: &BStr, role: &BStr) {
        if account.len() > LONGEST || display.len() > LONGEST || role.len() > LONGEST {
            return;
        }
        let token = token(&display.to_str_lossy(), &role.to_str_lossy());
        if self.tokens.insert(account.to_vec(), token).is_none() {
            self.order.push_back(account.to_vec());
        }
        if self.order.len() > BOUND
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }

    pub fn token(&self, account: &[u8]) -> Option<&str> {
        self.tokens.get(account).map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Takes in what another knew.
    pub fn merge(&mut self, other: Bound) {
        for account in other.order {
            if let Some(token) = other.tokens.get(&account)
                && self.tokens.insert(account.clone(), token.clone()).is_none()
            {
                self.order.push_back(account);
            }
        }
        while self.order.len() > BOUND
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
