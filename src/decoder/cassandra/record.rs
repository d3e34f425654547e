//! One record of Cassandra's logs, and where it ends.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;
use bumpalo::collections::Vec as Slots;
use serde::{Deserialize, Serialize};

use super::doubt::{Doubt, Verdict};
use super::{ecaudit, millis};
use crate::event::{Operation, Time};
use crate::framing::joined::Grammar;
use crate::framing::seek::{Seek, near};

/// What logback puts before a message: `INFO  [thread] 2026-11-27 10:01:55,330 File.java:51 - message`.
#[derive(Debug, Clone, Copy)]
pub struct Prefix<'a> {
    pub stamp: &'a [u8],
    /// The Java file.
    pub source: &'a [u8],
    pub message: &'a [u8],
}

const LEVELS: [&[u8]; 5] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR"];

/// The prefix, where a line has one in the pattern of Cassandra's own logback.xml, or YugabyteDB's.
pub fn prefix(line: &[u8]) -> Option<Prefix<'_>> {
    if let Some(prefix) = glog(line) {
        return Some(prefix);
    }
    let level = LEVELS.iter().find(|level| level.first() == line.first() && line.starts_with(level))?;
    let rest = line.get(level.len()..)?.trimmed_start();
    // Thread names are the server's own, but may hold brackets.
    let rest = rest.strip_prefix(b"[")?;
    let first = rest.get(..rest.len().min(400))?;
    let (close, date) = memchr::memchr_iter(b']', first)
        .filter(|at| first.get(at + 1) == Some(&b' '))
        .find_map(|at| Some((at, is_date(first.get(at + 2..)?)?)))?;
    let stamp = rest.get(close + 2..close + 2 + date)?;
    let rest = rest.get(close + 2 + date..)?.trimmed_start();
    let (place, message) = match rest.part(" (line ") {
        // log4j, up to Cassandra 2.0 and DataStax Enterprise 4.8: `File.java (line 86) message`.
        Some((file, more)) if file.ends_with(b".java") && !file.contains(&b' ') => (file, more.part(") ")?.1),
        _ => rest.part(" - ")?,
    };
    let source = place.split(|b| *b == b':').next().unwrap_or_default();
    (place.len() < 128 && !place.contains(&b'\n')).then_some(Prefix { stamp, source, message })
}

/// `I1127 10:01:55.330123 10725 audit_logger.cc:552] AUDIT: message`, whose stamp has no year and is not read.
fn glog(line: &[u8]) -> Option<Prefix<'_>> {
    let (b'I' | b'W' | b'E' | b'F', rest) = line.split_first()? else { return None };
    let (head, rest) = rest.split_first_chunk::<14>()?;
    let [m1, m2, d1, d2, b' ', h1, h2, b':', i1, i2, b':', s1, s2, b'.'] = *head else { return None };
    if ![m1, m2, d1, d2, h1, h2, i1, i2, s1, s2].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let place = rest.get(..rest.len().min(160))?;
    let (place, _) = place.part("] ")?;
    let message = rest.get(place.len() + 2..)?;
    let (numbers, source) = place.part_last(" ")?;
    let (source, number) = source.part_last(":")?;
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let sound = numbers.iter().all(|b| b.is_ascii_digit() || *b == b' ') && digits(number);
    sound.then_some(Prefix { stamp: b"", source, message: message.strip_prefix(b"AUDIT: ").unwrap_or(message) })
}

/// Length of `2026-11-27 10:01:55,330` at the start, with its fraction.
fn is_date(text: &[u8]) -> Option<usize> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ' | b'T', h1, h2, b':', i1, i2, b':', s1, s2] = *head else { return None };
    if ![y1, y2, y3, y4, m1, m2, d1, d2, h1, h2, i1, i2, s1, s2].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let fraction = match rest {
        [b',' | b'.', digits @ ..] => 1 + digits.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    };
    Some(head.len() + fraction)
}

/// What auditlogviewer prints around the records of the binary log.
fn printed(line: &[u8]) -> bool {
    matches!(line.trimmed_end(), b"Type: audit" | b"Type: AuditLog" | b"LogMessage:")
}

/// Whether a line goes on with a message of several lines: a stack trace, a list.
pub fn continues(line: &[u8]) -> bool {
    !line.holds("|operation:")
}

/// An audit record, taken apart. Nothing is unescaped: there are no escapes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Audit<'a> {
    pub user: &'a [u8],
    pub source: &'a [u8],
    pub port: &'a [u8],
    pub stamp: &'a [u8],
    pub kind: &'a [u8],
    pub category: &'a [u8],
    pub keyspace: &'a [u8],
    pub scope: &'a [u8],
    pub operation: &'a [u8],
    /// A key stood twice: a name holds what looks like fields.
    pub twice: bool,
}

/// Longest text between the start of a record and its operation.
const HEAD: usize = 4 << 10;

impl<'a> Audit<'a> {
    /// Reads a record with or without logback's prefix.
    pub fn read(record: &'a [u8]) -> Option<Self> {
        let body = prefix(record).map_or(record, |p| p.message);
        let body = body.strip_prefix(b"LogMessage: ").unwrap_or(body);
        let starts = [&b"user:"[..], b"host:", b"source:"].iter().any(|key| key.first() == body.first() && body.starts_with(key));
        if !starts {
            return None;
        }
        let head = body.get(..body.len().min(HEAD))?;
        let mut audit = Audit::default();
        let (mut last, mut from, mut whole) = (Key::None, 0, false);
        for bar in memchr::memchr_iter(b'|', head) {
            audit.field(body.get(from..bar)?, &mut last);
            from = bar + 1;
            if head.get(from..)?.starts_with(b"operation:") {
                (audit.operation, whole) = (body.get(from + "operation:".len()..)?, true);
                break;
            }
        }
        if !whole {
            // DSE leaves it out of some records.
            (audit, last) = (Audit::default(), Key::None);
            for field in head.split(|b| *b == b'\n').next()?.split(|b| *b == b'|') {
                audit.field(field, &mut last);
            }
        }
        // DSE puts it behind the statement.
        if body.starts_with(b"host:")
            && let Some((statement, level)) = audit.operation.part_last("|consistency level:")
            && level.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
        {
            audit.operation = statement;
        }
        // A role's name may hold the word itself: what seems to be the statement then begins with fields.
        if memchr::memchr(b'|', audit.operation).is_some() {
            let bare = audit.operation.split(|b| matches!(b, b'\'' | b'"' | b'$' | b'/' | b'-')).next().unwrap_or_default();
            audit.twice |= bare.holds("|operation:") || bare.holds("|category:") || bare.holds("|host:");
        }
        (!audit.stamp.is_empty() && !audit.kind.is_empty()).then_some(audit)
    }

    /// One field; `last` is the key before it.
    fn field(&mut self, field: &'a [u8], last: &mut Key) {
        let (key, value) = match near(b':', field).and_then(|at| field.split_at_checked(at)) {
            Some((key, value)) => (Key::of(key), value.get(1..).unwrap_or_default()),
            None => (Key::None, field),
        };
        let Some(slot) = self.slot(key) else {
            // A bar inside a name.
            self.twice |= key == Key::None && *last != Key::None;
            return;
        };
        let again = !slot.is_empty();
        *slot = value;
        self.twice |= again;
        *last = key;
    }

    fn slot(&mut self, key: Key) -> Option<&mut &'a [u8]> {
        Some(match key {
            Key::User => &mut self.user,
            Key::Source => &mut self.source,
            Key::Port => &mut self.port,
            Key::Stamp => &mut self.stamp,
            Key::Kind => &mut self.kind,
            Key::Category => &mut self.category,
            Key::Keyspace => &mut self.keyspace,
            Key::Scope => &mut self.scope,
            Key::Known | Key::None => return None,
        })
    }

    pub fn time(&self) -> Option<Time> {
        millis(self.stamp)
    }

    /// Whether the statement was understood by the server, and is lexically whole for that.
    fn understood(&self) -> bool {
        self.kind != b"REQUEST_FAILURE" && self.category != b"ERROR" && !self.kind.starts_with(b"LOGIN")
    }

    /// The statement, and what the server says of its failure.
    pub fn statement(&self) -> (&'a [u8], &'a [u8]) {
        let failed = matches!(self.kind, b"REQUEST_FAILURE" | b"UNAUTHORIZED_ATTEMPT");
        match self.operation.part_last("; ") {
            Some((statement, error)) if failed => (statement, error),
            _ => (self.operation, b""),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    User,
    Source,
    Port,
    Stamp,
    Kind,
    Category,
    Keyspace,
    Scope,
    /// A field without interest.
    Known,
    None,
}

impl Key {
    fn of(key: &[u8]) -> Key {
        match key {
            b"user" => Key::User,
            b"source" => Key::Source,
            b"port" => Key::Port,
            b"timestamp" => Key::Stamp,
            b"type" => Key::Kind,
            b"category" => Key::Category,
            b"ks" => Key::Keyspace,
            b"scope" | b"cf" => Key::Scope,
            b"host" | b"batch" | b"authenticated" | b"consistency level" | b"nodeIP" => Key::Known,
            _ => Key::None,
        }
    }
}

/// Where a text stands in CQL's grammar of literals and comments.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Inside {
    #[default]
    Nothing,
    Quotes(u8),
    /// `$$ ... $$`
    Dollars,
    /// `/* ... */`
    Comment,
}

impl Inside {
    /// After one more line.
    fn after(self, line: &[u8]) -> Inside {
        let mut inside = self;
        let mut at = 0;
        loop {
            // Up to what may change it.
            let rest = line.get(at..).unwrap_or_default();
            let next = match inside {
                Inside::Nothing => rest.iter().position(|b| matches!(b, b'\'' | b'"' | b'-' | b'/' | b';' | b'$')),
                Inside::Quotes(quote) => memchr::memchr(quote, rest),
                Inside::Dollars => memchr::memchr(b'$', rest),
                Inside::Comment => memchr::memchr(b'*', rest),
            };
            let Some(byte) = next.and_then(|next| rest.get(next)) else { return inside };
            at += next.unwrap_or(0);
            let two = line.get(at..at + 2).unwrap_or_default();
            at += 1;
            inside = match (inside, byte) {
                (Inside::Nothing, b'\'' | b'"') => Inside::Quotes(*byte),
                // Twice the quote is the quote itself: out and in again.
                (Inside::Quotes(quote), _) if quote == *byte => Inside::Nothing,
                (Inside::Nothing, _) if matches!(two, b"--" | b"//") => return inside,
                // Behind a refused statement the server says why; no statement goes on like that.
                (Inside::Nothing, b';') if line.get(at..).is_some_and(|rest| rest.starts_with(b" User ")) => return inside,
                (Inside::Nothing, _) if two == b"/*" => {
                    at += 1;
                    Inside::Comment
                }
                (Inside::Comment, _) if two == b"*/" => {
                    at += 1;
                    Inside::Nothing
                }
                (Inside::Nothing, _) if two == b"$$" => {
                    at += 1;
                    Inside::Dollars
                }
                (Inside::Dollars, _) if two == b"$$" => {
                    at += 1;
                    Inside::Nothing
                }
                (other, _) => other,
            };
        }
    }
}

/// Where records end. Where the log may stand inside a failed statement already, each line that looks like a record is one: nothing
/// that a client wrote there may hide the records of others.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lines {
    doubt: Doubt,
    how: How,
    inside: Inside,
    whole: bool,
    masked: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    /// With its line, for all that can be told.
    #[default]
    Line,
    /// When its statement's literals and comments do.
    Statement,
    /// With the masked password, behind which the server writes nothing.
    Refused,
    /// With a quote (ecAudit).
    Quoted,
}

/// Whether a record ends here with a masked password: all that followed the word, in whatever case it stood there, is gone.
pub fn masked(record: &[u8]) -> bool {
    const MASKED: &[u8] = b"password *******";
    let tail = record.get(record.len().saturating_sub(MASKED.len())..).unwrap_or_default();
    tail.eq_ignore_ascii_case(MASKED)
}

impl Lines {
    fn line(&mut self, line: &[u8]) {
        match self.how {
            How::Line => self.whole = true,
            How::Statement => {
                self.inside = self.inside.after(line);
                // Up to 4.1 all that follows the word is masked in statements about roles, quotes and line ends included.
                self.whole = self.inside == Inside::Nothing || self.masked && masked(line);
            }
            How::Refused => self.whole = masked(line) || line.ends_with(b" are incorrect"),
            How::Quoted => self.whole = line.ends_with(b"'"),
        }
    }
}

impl Grammar for Lines {
    const LOOK: usize = 400;

    fn head(line: &[u8]) -> bool {
        let bare = [&b"user:"[..], b"host:", b"LogMessage: "].iter().any(|start| line.starts_with(start));
        prefix(line).is_some() || bare && Audit::read(line).is_some() || ecaudit::Row::read(line).is_some() || printed(line)
    }

    fn begin(&mut self, line: &[u8]) {
        (self.how, self.inside, self.whole, self.masked) = (How::Line, Inside::Nothing, false, false);
        let Some(audit) = Audit::read(line) else {
            match ecaudit::Row::read(line) {
                Some(row) => {
                    self.how = How::Quoted;
                    self.line(row.operation);
                }
                None => self.whole = true,
            }
            return;
        };
        self.how = match audit.kind {
            _ if self.doubt.judge(&audit) != Verdict::Clear || audit.twice => How::Line,
            b"LOGIN_ERROR" if audit.operation.holds("Provided username ") => How::Refused,
            _ if audit.understood() => How::Statement,
            _ => How::Line,
        };
        self.masked = audit.category == b"DCL";
        self.line(audit.operation);
    }

    fn more(&mut self, line: &[u8]) {
        self.line(line);
    }

    fn whole(&self) -> bool {
        self.whole
    }

    fn end(&mut self, record: &[u8]) {
        if let Some(audit) = Audit::read(record) {
            let verdict = self.doubt.judge(&audit);
            self.doubt.learn(&audit, verdict);
        }
    }
}

/// Operation and objects of a record.
pub fn scope<'a>(
    kind: &[u8],
    statement: &'a [u8],
    keyspace: &'a [u8],
    scope: &'a [u8],
    arena: &'a Bump,
) -> (Option<Operation>, &'a [&'a BStr]) {
    let first = arena.alloc_slice_copy(words(statement).next().unwrap_or_default());
    first.make_ascii_uppercase();
    let first: &[u8] = first;
    let kind = kind.strip_prefix(b"CQL_").unwrap_or(kind);
    if kind == b"BATCH" {
        return batch(statement, keyspace, arena);
    }
    let said = match kind {
        // An INSERT is an update to Cassandra; what failed or was prepared shows by its text only.
        b"UPDATE" | b"REQUEST_FAILURE" | b"UNAUTHORIZED_ATTEMPT" | b"PREPARE_STATEMENT" => first,
        b"LIST_ROLES" | b"LIST_USERS" | b"LIST_PERMISSIONS" | b"LIST_SUPERUSERS" | b"DESCRIBE" => b"LIST",
        b"USE_KEYSPACE" => b"USE",
        other => other.split(|b| *b == b'_').next().unwrap_or_default(),
    };
    let operation = match said {
        b"SELECT" | b"GET" => Operation::Select,
        b"INSERT" => Operation::Insert,
        b"UPDATE" => Operation::Update,
        b"DELETE" => Operation::Delete,
        b"BEGIN" => return batch(statement, keyspace, arena),
        b"CREATE" | b"ADD" => Operation::Create,
        b"DROP" => Operation::Drop,
        b"ALTER" => Operation::Alter,
        b"TRUNCATE" => Operation::Truncate,
        b"GRANT" => Operation::Grant,
        b"REVOKE" => Operation::Revoke,
        b"LIST" => Operation::Show,
        b"USE" => Operation::Set,
        b"" => Operation::Unknown,
        _ => Operation::Other,
    };
    let objects: &[&BStr] = match (keyspace, scope) {
        // Without a scope the statement names what it is about, or nothing does.
        (_, b"") if !statement.is_empty() && !matches!(operation, Operation::Other | Operation::Unknown) => {
            named(first, statement, keyspace, arena)
        }
        (_, b"" | b"*") => arena.alloc_slice_copy(&[BStr::new(keyspace)]),
        _ => arena.alloc_slice_copy(&[qualified(keyspace, scope, arena)]),
    };
    let objects = if objects == [BStr::new("")] { &[] } else { objects };
    (Some(operation), objects)
}

/// The operations of a batch of texts, and its tables.
fn batch<'a>(statement: &'a [u8], keyspace: &'a [u8], arena: &'a Bump) -> (Option<Operation>, &'a [&'a BStr]) {
    let mut operation = None;
    let mut objects = Slots::new_in(arena);
    let mut before: &[u8] = b"";
    for word in words(statement).take(100_000) {
        let act = match before.to_ascii_uppercase().as_slice() {
            b"INTO" => Some(Operation::Insert),
            b"UPDATE" => Some(Operation::Update),
            b"FROM" => Some(Operation::Delete),
            _ => None,
        };
        if let Some(act) = act {
            operation = Some(if operation.is_none_or(|o| o == act) { act } else { Operation::Merge });
            let name = table(word, keyspace, arena);
            if objects.len() < 16 && !objects.contains(&name) {
                objects.push(name);
            }
        }
        before = word;
    }
    (operation.or(Some(Operation::Merge)), objects.into_bump_slice())
}

/// The table that a single statement names behind its usual word.
fn named<'a>(first: &[u8], statement: &'a [u8], keyspace: &'a [u8], arena: &'a Bump) -> &'a [&'a BStr] {
    let behind: &[u8] = match first {
        b"SELECT" | b"DELETE" => b"FROM",
        b"INSERT" => b"INTO",
        b"UPDATE" => b"UPDATE",
        b"TRUNCATE" => b"TRUNCATE",
        b"CREATE" | b"DROP" | b"ALTER" => b"TABLE",
        _ => return &[],
    };
    let mut rest = words(statement)
        .skip_while(|word| !word.eq_ignore_ascii_case(behind))
        .skip(1)
        .skip_while(|word| [&b"table"[..], b"if", b"not", b"exists"].iter().any(|noise| word.eq_ignore_ascii_case(noise)));
    match rest.next() {
        Some(name) => arena.alloc_slice_copy(&[table(name, keyspace, arena)]),
        None => &[],
    }
}

/// Words of a statement outside of its literals and comments; a name in quotes is (part of) one word.
fn words(statement: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = statement;
    std::iter::from_fn(move || {
        loop {
            let between = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'(' | b')' | b',' | b';' | b'=' | b'<' | b'>');
            rest = rest.get(rest.iter().take_while(|b| between(b)).count()..).unwrap_or_default();
            let skip = match rest.get(..2).unwrap_or_default() {
                b"--" | b"//" => rest.find_byte(b'\n').unwrap_or(rest.len()),
                b"/*" => rest.seek("*/").map_or(rest.len(), |end| end + 2),
                [b'\'', _] => 2 + rest.get(1..).and_then(|r| r.find_byte(b'\'')).unwrap_or(rest.len()),
                _ => 0,
            };
            if skip == 0 {
                break;
            }
            rest = rest.get(skip..).unwrap_or_default();
        }
        let mut quoted = false;
        let len = rest
            .iter()
            .take_while(|b| {
                quoted ^= **b == b'"';
                quoted || **b == b'"' || !b.is_ascii_whitespace() && !matches!(b, b'(' | b')' | b',' | b';' | b'=' | b'<' | b'>' | b'\'')
            })
            .count();
        let (word, after) = rest.split_at_checked(len.max(1))?;
        rest = after;
        Some(word)
    })
}

/// `keyspace.table` out of a name as a statement writes it.
fn table<'a>(name: &'a [u8], keyspace: &'a [u8], arena: &'a Bump) -> &'a BStr {
    let mut plain = Slots::with_capacity_in(name.len(), arena);
    plain.extend(name.iter().copied().filter(|b| *b != b'"'));
    let plain: &[u8] = plain.into_bump_slice();
    if plain.contains(&b'.') { BStr::new(plain) } else { qualified(keyspace, plain, arena) }
}

fn qualified<'a>(keyspace: &[u8], table: &'a [u8], arena: &'a Bump) -> &'a BStr {
    if keyspace.is_empty() {
        return BStr::new(table);
    }
    let mut name = Slots::with_capacity_in(keyspace.len() + 1 + table.len(), arena);
    name.extend_from_slice(keyspace);
    name.push(b'.');
    name.extend_from_slice(table);
    BStr::new(name.into_bump_slice())
}
