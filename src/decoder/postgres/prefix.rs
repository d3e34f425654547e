//! `log_line_prefix`: compiled to a matcher that finds the fields of a line.
//!
//! Every field is matched by its own form; user, database and the like may hold any byte, so they are taken as short as the rest of the prefix
//! allows, and a match counts only if a severity (or the label of a secondary line) follows it. Where a client wrote text
//! like a prefix into its name there is a second, longer match: [`Prefix::find`] can be asked for it.

use super::escapes::{Item, items};
use super::severity::{Label, Severity, ends_with_word};
use crate::decoder::timestamp;
use crate::framing::seek::{Seek, near};

mod known;
mod learn;
mod words;

pub use known::patroni;
use words::{english, last_word, unblanked, word};

/// Steps that one match may take: the fields of a hostile line can be split in very many ways.
const STEPS: u64 = 40_000;

/// Steps after which a line is looked at more closely. Most need fewer.
const FEW: u64 = 32;

/// A line of a sample, and where the last severity in it ends.
type Sampled<'a> = (&'a [u8], Option<usize>);

/// Steps that may still be taken: those of matches, and what is about as much work.
struct Work(u64);

impl Work {
    /// A line that is read: a client must not hide in it by making it long to read.
    fn reading() -> Work {
        Work(u64::MAX)
    }

    /// Takes so many steps; `None`: they are not left, and from now on none is.
    fn take(&mut self, steps: u64) -> Option<()> {
        let left = self.0.checked_sub(steps);
        self.0 = left.unwrap_or(0);
        left.map(|_| ())
    }

    /// What is done with so many steps of these at the most.
    fn part<T>(&mut self, steps: u64, job: impl FnOnce(&mut Work) -> T) -> T {
        let most = steps.min(self.0);
        let mut part = Work(most);
        let done = job(&mut part);
        self.0 -= most - part.0;
        done
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(Vec<u8>),
    Field(Field, Form),
    /// Blanks that pad a field of a given width, but so many that belong to the text behind it.
    Pad(usize),
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Time,
    Pid,
    User,
    Database,
    /// `%r` or `%h`.
    Remote,
    Application,
    Session,
    Line,
    Code,
    Tag,
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Stamp,
    Epoch,
    Digits,
    /// `hex.hex`
    SessionId,
    SqlState,
    /// `host(port)`, `[local]`, or a host or address alone.
    Remote,
    /// Printable ASCII without blanks: a transaction, a query id.
    Word,
    /// `client backend` or another kind of process; an extension's own may have any name.
    Backend,
    /// Any byte.
    Any,
}

/// A compiled `log_line_prefix`.
#[derive(Debug, Clone)]
pub struct Prefix {
    pub text: String,
    /// For background processes: everything before `%q`. Equal to `full` where there is no `%q`.
    background: Vec<Piece>,
    full: Vec<Piece>,
    /// Pieces before the first field that a client fills with any bytes; `None`: there is no such field.
    head: Option<usize>,
    /// Pieces at the start, of both forms, that can be laid over a line in one way only.
    plain: usize,
}

/// Most pieces that are laid over a line once and for all.
const PLAIN: usize = 8;

/// What follows the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Primary(Severity),
    Secondary(Label),
}

/// The fields of one line. All borrow from it; absent ones are `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fields<'a> {
    pub time: Option<&'a [u8]>,
    pub epoch: bool,
    pub pid: Option<u32>,
    pub user: Option<&'a [u8]>,
    pub database: Option<&'a [u8]>,
    pub remote: Option<&'a [u8]>,
    pub application: Option<&'a [u8]>,
    pub session: Option<&'a [u8]>,
    pub line: Option<u64>,
    pub code: Option<&'a [u8]>,
    pub tag: Option<&'a [u8]>,
}

/// A line that the prefix matches.
#[derive(Debug, Clone, Copy)]
pub struct Match<'a> {
    pub fields: Fields<'a>,
    pub word: Word,
    /// Where the severity begins.
    pub at: usize,
    /// Where the message begins.
    pub message: usize,
}

impl Match<'_> {
    /// Session id and process belong to two processes: this line was forged, or a name in it holds the text of a prefix.
    pub fn contradicts(&self) -> bool {
        let (Some(pid), Some(session)) = (self.fields.pid, self.fields.session) else { return false };
        let hex = session.iter().position(|b| *b == b'.').and_then(|point| session.get(point + 1..)).unwrap_or_default();
        let digit = |n: u32, b: &u8| n.checked_mul(16)?.checked_add(char::from(*b).to_digit(16)?);
        hex.iter().try_fold(0, digit) != Some(pid)
    }
}

impl Prefix {
    /// Compiles any prefix; unknown escapes print nothing, as in the server.
    pub fn compile(text: &str) -> Prefix {
        let (mut full, mut stop) = (Vec::new(), None);
        let mut literal = Vec::new();
        for item in items(text.as_bytes()) {
            match item {
                Item::Text(text) => literal.extend_from_slice(text),
                Item::Percent => literal.push(b'%'),
                Item::Stop => {
                    flush(&mut literal, &mut full);
                    stop = Some(full.len());
                }
                Item::Escape { letter, padded } => {
                    let Some((field, form)) = meaning(letter) else { continue };
                    flush(&mut literal, &mut full);
                    let pad = padded.then_some(Piece::Pad(0));
                    full.extend(pad.clone().into_iter().chain([Piece::Field(field, form)]).chain(pad));
                }
            }
        }
        flush(&mut literal, &mut full);
        for at in 1..full.len() {
            if let [Piece::Pad(keep), Piece::Literal(text)] = full.get_mut(at - 1..=at).unwrap_or_default() {
                *keep = blanks(text);
            }
        }
        let background = full.get(..stop.unwrap_or(full.len())).unwrap_or_default().to_vec();
        let head = full.iter().position(|p| matches!(p, Piece::Field(Field::User | Field::Database | Field::Tag, _)));
        let plain = background.iter().take(PLAIN).take_while(|piece| piece.is_plain()).count();
        Prefix { text: text.to_owned(), background, full, head, plain }
    }

    /// Whether clients can put raw bytes into lines under this prefix.
    pub fn holds_client_text(&self) -> bool {
        self.head.is_some()
    }

    /// The match of this line whose severity begins at `after` or later: the first of them, or the first in which session id and
    /// process agree.
    pub fn find<'a>(&self, line: &'a [u8], after: usize) -> Option<Match<'a>> {
        // Nearly no line holds a second word, and to lay a long line out in all ways takes long.
        let last = if after > 0 { Some(after + last_word(line.get(after..)?)?) } else { None };
        self.find_before(line, after, last, &mut Work::reading())
    }

    /// As [`Prefix::find`], where the severity begins before `last`, if that is known.
    fn find_before<'a>(&self, line: &'a [u8], after: usize, last: Option<usize>, work: &mut Work) -> Option<Match<'a>> {
        work.take(1)?;
        let straight = if after == 0 { self.straight(line) } else { None };
        if straight.as_ref().is_some_and(|first| !first.contradicts()) {
            return straight;
        }
        let first = straight.or_else(|| self.first(line, after, last, work))?;
        if !first.contradicts() {
            return Some(first);
        }
        let (mut next, mut tries) = (first.at + 1, 0);
        let last = last.or_else(|| last_word(line))?;
        while let Some(found) = self.first(line, next, Some(last), work).filter(|_| tries < 8) {
            if !found.contradicts() {
                return Some(found);
            }
            (next, tries) = (found.at + 1, tries + 1);
        }
        Some(first)
    }

    /// The first match, where each field of it ends at the first place that it can: nearly every line is read so, at little cost.
    #[inline]
    fn straight<'a>(&self, line: &'a [u8]) -> Option<Match<'a>> {
        let stop = Some(self.background.len()).filter(|stop| *stop < self.full.len());
        if stop.is_some_and(|stop| stop != self.plain) {
            return None;
        }
        let (mut at, mut fields, mut found) = (0, Fields::default(), None);
        for (index, piece) in self.full.iter().enumerate() {
            let rest = line.get(at..)?;
            if stop == Some(index) {
                found = word(rest);
                if found.is_some() {
                    break;
                }
            }
            let len = match piece.plain(rest) {
                Some(len) => len,
                None if piece.is_plain() => return None,
                None => {
                    let Some(Piece::Literal(literal)) = self.full.get(index + 1) else { return None };
                    let len = find(rest, literal)?;
                    let text = rest.get(..len)?;
                    match piece {
                        Piece::Field(_, Form::Remote) if !text.iter().all(|b| is_host(*b)) => return None,
                        Piece::Field(_, Form::Word) if !text.iter().all(u8::is_ascii_graphic) => return None,
                        _ => len,
                    }
                }
            };
            // Of a field that stands in the prefix twice the last one counts.
            if let Piece::Field(field, form) = piece {
                fields.put(*field, *form, rest.get(..len)?);
            }
            at += len;
        }
        let (word, message) = match found {
            Some(found) => found,
            None => word(line.get(at..)?)?,
        };
        Some(Match { fields, word, at, message: at + message })
    }

    fn first<'a>(&self, line: &'a [u8], after: usize, last: Option<usize>, work: &mut Work) -> Option<Match<'a>> {
        let (plain, background) = self.background.split_at_checked(self.plain)?;
        let full = self.full.get(self.plain..)?;
        let (mut at, mut ends) = (0, [0; PLAIN]);
        for (piece, end) in plain.iter().zip(&mut ends) {
            at += piece.plain(line.get(at..)?)?;
            *end = at;
        }
        let background = Some(background).filter(|background| background.len() != full.len());
        let most = STEPS.min(work.0);
        let (steps, end) = last.map_or((most.min(FEW), line.len()), |last| (most, last));
        let mut search = Search { line, after, last: end, steps, fields: Fields::default(), set: 0 };
        // What a process without a session prints of its own choice (`%b`) would take in the names of one that has a session.
        let greedy = background.is_some_and(|pieces| pieces.iter().any(|piece| !piece.is_plain()));
        let all = |search: &mut Search<'a>| match background {
            Some(pieces) if greedy => search.lay(full, at).or_else(|| search.lay(pieces, at)),
            Some(pieces) => search.lay(pieces, at).or_else(|| search.lay(full, at)),
            None => search.lay(full, at),
        };
        let mut found = all(&mut search);
        if found.is_none() && search.steps == 0 && last.is_none() {
            (search.last, search.steps) = (last_word(line)?, most);
            found = all(&mut search);
        }
        work.take(most - search.steps)?;
        let (word, at, message) = found?;
        for (at, piece) in plain.iter().enumerate().rev() {
            if let Piece::Field(field, form) = piece {
                let from = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
                search.fields.take(*field, *form, line.get(from..*ends.get(at)?)?, &mut search.set);
            }
        }
        Some(Match { fields: search.fields, word, at, message })
    }

    /// Whether the line begins like this prefix: everything before the first field of a client's choice is there.
    pub fn begins(&self, line: &[u8]) -> bool {
        let pieces = match self.head {
            Some(head) => self.full.get(..head).unwrap_or_default(),
            None => &self.full,
        };
        !pieces.is_empty() && walk(pieces, line).is_some()
    }

    /// The first severity or label anywhere in `text`, and where the message after it begins.
    pub fn word_anywhere(text: &[u8]) -> Option<(Word, usize)> {
        Prefix::word_before(text, b"  ")
    }

    /// The same, where these blanks follow its colon: somebody may have squeezed the server's two.
    fn word_before(text: &[u8], blanks: &[u8]) -> Option<(Word, usize)> {
        for colon in memchr::memchr_iter(b':', text).filter(|at| text.get(at + 1..).is_some_and(|rest| rest.starts_with(blanks))) {
            let end = colon + 1 + blanks.len();
            // The word stands between a separator and the colon.
            let from = colon.saturating_sub(35);
            let before = text.get(from..colon)?;
            let name = unblanked(before);
            match english(name) {
                Some((word, rest)) if rest.last().is_some_and(|b| !b.is_ascii_alphabetic()) => return Some((word, end)),
                None if !ends_with_word(name) => continue,
                _ => {}
            }
            let mut starts = before.iter().enumerate().filter(|(_, b)| !b.is_ascii_alphabetic()).map(|(i, _)| from + i + 1);
            let found = starts.find_map(|start| word(text.get(start..)?).filter(|(_, used)| start + used == end).map(|(w, _)| w));
            let found = found.or_else(|| word(text.get(from..)?).filter(|(_, used)| from == 0 && *used == end).map(|(w, _)| w));
            if let Some(found) = found {
                return Some((found, end));
            }
        }
        None
    }
}

impl Piece {
    /// Whether a line can have this piece in one way only.
    fn is_plain(&self) -> bool {
        !matches!(self, Piece::Field(_, Form::Remote | Form::Word | Form::Backend | Form::Any))
    }

    /// Length of a plain piece at the start of `text`.
    fn plain(&self, text: &[u8]) -> Option<usize> {
        match self {
            Piece::Literal(literal) => {
                // Most have one byte or two.
                let here = match literal.as_slice() {
                    [one] => text.first() == Some(one),
                    [one, two] => text.first_chunk::<2>() == Some(&[*one, *two]),
                    literal => text.first() == literal.first() && text.starts_with(literal),
                };
                here.then_some(literal.len())
            }
            Piece::Pad(keep) => Some(blanks(text).saturating_sub(*keep)),
            Piece::Field(_, form) => fixed(*form, text),
        }
    }
}

fn flush(literal: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

fn meaning(escape: u8) -> Option<(Field, Form)> {
    Some(match escape {
        b't' | b'm' => (Field::Time, Form::Stamp),
        b'n' => (Field::Time, Form::Epoch),
        b's' => (Field::Ignored, Form::Stamp),
        b'p' => (Field::Pid, Form::Digits),
        b'l' => (Field::Line, Form::Digits),
        b'P' | b'x' | b'Q' => (Field::Ignored, Form::Word),
        b'v' | b'L' => (Field::Ignored, Form::Word),
        // YugabyteDB: cloud, region, zone and host.
        b'C' | b'R' | b'Z' | b'H' => (Field::Ignored, Form::Word),
        b'c' => (Field::Session, Form::SessionId),
        b'e' => (Field::Code, Form::SqlState),
        b'r' | b'h' => (Field::Remote, Form::Remote),
        b'u' => (Field::User, Form::Any),
        b'd' => (Field::Database, Form::Any),
        b'a' => (Field::Application, Form::Any),
        b'i' => (Field::Tag, Form::Any),
        b'b' => (Field::Ignored, Form::Backend),
        _ => return None,
    })
}

/// End of the fixed pieces in `line`.
fn walk(pieces: &[Piece], line: &[u8]) -> Option<usize> {
    let mut at = 0;
    for piece in pieces {
        let rest = line.get(at..)?;
        at += match piece {
            Piece::Literal(text) => rest.starts_with(text).then_some(text.len())?,
            Piece::Pad(keep) => blanks(rest).saturating_sub(*keep),
            Piece::Field(_, form) => fixed(*form, rest).or_else(|| rest.iter().position(|b| *b == b' '))?,
        };
    }
    Some(at)
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| **b == b' ').count()
}

/// Length of a field whose form alone tells its end; `None`: not that form, or the form does not tell.
fn fixed(form: Form, text: &[u8]) -> Option<usize> {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let len = match form {
        Form::Stamp => return timestamp::form(text),
        Form::Epoch => {
            let whole = digits(text);
            match text.get(whole) {
                Some(b'.') => whole + 1 + digits(text.get(whole + 1..)?),
                _ => whole,
            }
        }
        Form::Digits => digits(text),
        Form::SessionId => {
            let hex = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
            let start = hex(text);
            let pid = hex(text.get(start + 1..)?);
            if start == 0 || pid == 0 || text.get(start) != Some(&b'.') {
                return None;
            }
            start + 1 + pid
        }
        Form::SqlState => {
            let code = text.get(..5)?;
            return code.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).then_some(5);
        }
        Form::Remote => {
            if text.starts_with(b"[local]") {
                return Some(7);
            }
            let host = text.iter().take_while(|b| is_host(**b)).count();
            let port = digits(text.get(host + 1..)?);
            if host == 0 || port == 0 || text.get(host) != Some(&b'(') || text.get(host + 1 + port) != Some(&b')') {
                return None;
            }
            host + port + 2
        }
        Form::Backend => return BACKENDS.iter().find(|name| text.starts_with(name)).map(|name| name.len()),
        Form::Word | Form::Any => return None,
    };
    (len > 0).then_some(len)
}

/// The kinds of processes whose names have a blank, and `%b` might end at it.
const BACKENDS: [&[u8]; 13] = [
    b"client backend",
    b"dead-end client backend",
    b"standalone backend",
    b"autovacuum launcher",
    b"autovacuum worker",
    b"background writer",
    b"background worker",
    b"parallel worker",
    b"logical replication launcher",
    b"logical replication parallel worker",
    b"logical replication worker",
    b"slotsync worker",
    b"io worker",
];

/// Bytes of addresses and host names.
fn is_host(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'_' | b'%')
}

/// [`memchr::memmem::find`], without the cost of its preparation where the literal is one byte, as it mostly is.
fn find(text: &[u8], literal: &[u8]) -> Option<usize> {
    match literal {
        // Names are short.
        [byte] => near(*byte, text),
        _ => text.seek(literal),
    }
}

/// What [`Search::lay`] looks for, and what it has found.
struct Search<'a> {
    line: &'a [u8],
    /// The severity begins here or later.
    after: usize,
    /// It begins before this offset.
    last: usize,
    /// Steps left.
    steps: u64,
    fields: Fields<'a>,
    /// A bit for each field that is filled in.
    set: u16,
}

impl<'a> Search<'a> {
    fn step(&mut self) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        Some(())
    }

    /// The first way to lay `pieces` over the line from `at` such that a severity follows: the severity, where it begins, and where the message
    /// does. Fields are filled in once it is found, from the last to the first.
    fn lay(&mut self, pieces: &[Piece], at: usize) -> Option<(Word, usize, usize)> {
        self.step()?;
        let rest = self.line.get(at..).filter(|_| at <= self.last)?;
        let Some((piece, next)) = pieces.split_first() else {
            let (word, message) = (at >= self.after).then(|| word(rest)).flatten()?;
            return Some((word, at, at + message));
        };
        match piece {
            Piece::Literal(text) => {
                if rest.first() != text.first() || !rest.starts_with(text) {
                    return None;
                }
                self.lay(next, at + text.len())
            }
            Piece::Pad(keep) => self.lay(next, at + blanks(rest).saturating_sub(*keep)),
            Piece::Field(field, form) => {
                if let Some(len) = fixed(*form, rest) {
                    let found = self.lay(next, at + len)?;
                    self.fields.take(*field, *form, rest.get(..len)?, &mut self.set);
                    return Some(found);
                }
                if !matches!(form, Form::Remote | Form::Word | Form::Backend | Form::Any) {
                    return None;
                }
                // As short as possible first; where a literal follows only its places are tried.
                let literal = match next.first() {
                    Some(Piece::Literal(text)) => Some(text.as_slice()),
                    _ => None,
                };
                let rest = rest.get(..rest.len().min(self.last - at))?;
                let limit = match form {
                    Form::Remote => rest.iter().position(|b| !is_host(*b)).unwrap_or(rest.len()),
                    Form::Word => rest.iter().position(|b| !b.is_ascii_graphic()).unwrap_or(rest.len()),
                    _ => rest.len(),
                };
                let mut len = 0;
                while len <= limit {
                    if let Some(literal) = literal {
                        len += find(rest.get(len..)?, literal)?;
                        if len > limit {
                            return None;
                        }
                    }
                    if let Some(found) = self.lay(next, at + len) {
                        self.fields.take(*field, *form, rest.get(..len)?, &mut self.set);
                        return Some(found);
                    }
                    self.step()?;
                    len += 1;
                }
                None
            }
        }
    }
}

impl<'a> Fields<'a> {
    /// Fills in one field, unless it stands in the prefix once more, after this one.
    fn take(&mut self, field: Field, form: Form, text: &'a [u8], set: &mut u16) {
        let bit = 1 << field as u16;
        if *set & bit == 0 {
            *set |= bit;
            self.put(field, form, text);
        }
    }

    fn put(&mut self, field: Field, form: Form, text: &'a [u8]) {
        let some = || Some(text).filter(|t| !t.is_empty() && *t != b"[unknown]");
        match field {
            Field::Time => (self.time, self.epoch) = (Some(text), form == Form::Epoch),
            Field::Pid => self.pid = super::message::number(text).and_then(|n| u32::try_from(n).ok()),
            Field::User => self.user = some(),
            Field::Database => self.database = some(),
            Field::Remote => self.remote = some(),
            Field::Application => self.application = some(),
            Field::Session => self.session = Some(text),
            Field::Line => self.line = super::message::number(text),
            Field::Code => self.code = Some(text),
            Field::Tag => self.tag = Some(text),
            Field::Ignored => {}
        }
    }
}

#[cfg(test)]
mod tests;
