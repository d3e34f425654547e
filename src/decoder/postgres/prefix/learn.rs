//! A `log_line_prefix` that is none of the known ones, learned from the lines that begin with it.
//!
//! ```text
//! < 2026-11-22 02:05:17.641 UTC billing shop 6b024ddd.7: >LOG:  statement: SELECT 1       < %m %u %d %c: >
//! ```
//!
//! What stands before the severity is taken apart. Times, addresses and session ids tell themselves; labels (`user=`, `db:`) name what
//! follows them; and what the server reports of a session (`connection authorized: user=U database=D`) tells which words of the line are its names.
//! Every line so taken apart is a proposal, and the one that most lines agree with is taken.

use std::net::IpAddr;

use super::{Field, Form, Match, Piece, Prefix, Sampled, Work, fixed, word};
use crate::decoder::timestamp;
use crate::framing::seek::Seek;

/// Lines that are taken apart: of those whose message names the session's user and database, and of the others.
const EXAMPLES: usize = 6;
/// Lines without a session that are looked at for the place of `%q`.
const STOPPED: usize = 16;
/// Fields of any length in a prefix. There are seven in all; what has more is a record of another kind, which would be laid out in very many ways.
const MOST_WORDS: usize = 8;
/// Longest start of a line that is taken for a prefix.
const LONGEST: usize = 512;

/// Steps for what one line teaches: matches of the prefix that it proposes, and lines looked through for a text.
const A_LINE: u64 = 200_000;

/// Steps for all of them.
pub(super) const ALL: u64 = 2 * EXAMPLES as u64 * A_LINE;

/// Steps to see whether a line stops at one place: all that stands before it has a form of its own.
const TO_STOP: u64 = 64;

/// What the server writes for a name that it does not know yet.
const UNKNOWN: &[u8] = b"[unknown]";

/// A line: what stands before its severity, and its message.
struct Line<'a> {
    whole: &'a [u8],
    /// Where the last severity in it ends.
    last: Option<usize>,
    head: &'a [u8],
    message: &'a [u8],
}

/// What a message says of its session.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Names<'a> {
    user: Option<&'a [u8]>,
    database: Option<&'a [u8]>,
    application: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    fn under(&self, prefix: &Prefix, work: &mut Work) -> Option<Match<'a>> {
        prefix.counted(self.whole, self.last, work)
    }
}

impl Names<'_> {
    /// User and database can be told apart.
    fn tell(&self) -> bool {
        self.user.is_some() && self.database.is_some() && self.user != self.database
    }
}

/// A part of a head.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part<'a> {
    Text(&'a [u8]),
    /// The letter of its escape.
    Field(u8),
    /// A name, or text of the prefix.
    Word(&'a [u8]),
    Number(&'a [u8]),
}

/// The prefix that most of these lines agree with, and how many do.
pub(super) fn learn(lines: &[Sampled<'_>], work: &mut Work) -> Option<(Prefix, usize)> {
    let lines: Vec<Line<'_>> = lines.iter().filter_map(|(line, last)| line_of(line, *last)).collect();
    let mut examples: Vec<(&Line<'_>, Names<'_>)> = Vec::new();
    for tells in [true, false] {
        let mut left = EXAMPLES;
        for line in &lines {
            let names = names(line.message);
            let known = examples.iter().any(|(other, _)| shape(other.head) == shape(line.head));
            if left > 0 && names.tell() == tells && !known {
                examples.push((line, names));
                left -= 1;
            }
        }
    }
    let mut best: Option<(Prefix, usize, bool)> = None;
    for (line, names) in examples {
        // Each has steps of its own: a hostile one takes nothing from the others.
        let Some((prefix, good)) = work.part(A_LINE, |work| proposal(line, names, &lines, work)) else { continue };
        // Of two that fit as well, the one whose names the server has told.
        if best.as_ref().is_none_or(|(_, most, told)| good * 100 > most * 103 || (good * 100 >= most * 97 && names.tell() && !told)) {
            best = Some((prefix, good, names.tell()));
        }
    }
    best.map(|(prefix, good, _)| (prefix, good))
}

/// The prefix that a line proposes, and how many lines agree with it; `None`: it proposes none within its steps.
fn proposal(line: &Line<'_>, names: Names<'_>, lines: &[Line<'_>], work: &mut Work) -> Option<(Prefix, usize)> {
    let parts = parts(line.head, names, lines, work);
    let prefix = Prefix::compile(&text(&meanings(parts, names, line.head, lines, work)));
    let fields = |of: fn(Form) -> bool| prefix.full.iter().filter(|piece| matches!(piece, Piece::Field(_, form) if of(*form))).count();
    if fields(|_| true) == 0 || fields(|form| matches!(form, Form::Word | Form::Any | Form::Remote)) > MOST_WORDS {
        return None;
    }
    let prefix = stopping(numbered(prefix, lines, work), lines, work);
    let good = lines.iter().filter(|line| line.under(&prefix, work).is_some_and(|found| found.at <= line.head.len())).count();
    (work.0 > 0).then_some((prefix, good))
}

/// The same prefix with `%l` in place of `%p` where a session's first lines say that it counts them, and the next number the process.
fn numbered(prefix: Prefix, lines: &[Line<'_>], work: &mut Work) -> Prefix {
    let mut first = lines.iter().filter(|line| line.message.starts_with(b"connection received: "));
    let mut pid = |line: &Line<'_>| line.under(&prefix, work).and_then(|found| found.fields.pid);
    let counts = first.next().is_some_and(|line| pid(line) == Some(1)) && first.all(|line| pid(line) == Some(1));
    match prefix.text.split_once("%p") {
        Some((before, after)) if counts && after.contains("%x") => Prefix::compile(&format!("{before}%l{}", after.replacen("%x", "%p", 1))),
        _ => prefix,
    }
}

/// A line with a severity in it.
fn line_of(whole: &[u8], last: Option<usize>) -> Option<Line<'_>> {
    let start = whole.get(..LONGEST.min(whole.len()))?;
    // Other programs have levels, too: where the server's two blanks are one, its own reports must tell.
    let squeezed = || Prefix::word_before(start, b" ").filter(|(_, at)| whole.get(*at..).is_some_and(reports));
    let (_, message) = Prefix::word_anywhere(start).or_else(squeezed)?;
    // The word is the longest that ends there.
    let starts =
        (message.saturating_sub(40)..message).filter(|at| whole.get(*at..).and_then(word).is_some_and(|(_, len)| at + len == message));
    let start = starts.min()?;
    Some(Line { whole, last, head: whole.get(..start)?, message: whole.get(message..)? })
}

/// Whether the message is one that only the server writes.
fn reports(message: &[u8]) -> bool {
    [&b"statement: "[..], b"duration: ", b"connection ", b"disconnection: ", b"AUDIT: "].iter().any(|start| message.starts_with(start))
}

/// A head without its letters and digits: lines of one shape teach the same.
fn shape(head: &[u8]) -> Vec<u8> {
    let mut shape: Vec<u8> = head.iter().map(|b| if b.is_ascii_alphanumeric() { b'a' } else { *b }).collect();
    shape.dedup();
    shape
}

/// The text between two others.
fn between<'a>(text: &'a [u8], before: &[u8], after: &[&[u8]]) -> Option<&'a [u8]> {
    let rest = text.get(text.seek(before)? + before.len()..)?;
    let end = after.iter().filter_map(|after| rest.seek(after)).min().unwrap_or(rest.len());
    rest.get(..end).filter(|text| !text.is_empty())
}

fn names(message: &[u8]) -> Names<'_> {
    if message.starts_with(b"connection authorized: ") || message.starts_with(b"disconnection: ") {
        return Names {
            user: between(message, b" user=", &[b" database="]),
            database: between(message, b" database=", &[b" application_name=", b" host=", b" SSL enabled (", b" GSS ("]),
            application: between(message, b" application_name=", &[b" SSL enabled (", b" GSS ("]),
            host: between(message, b" host=", &[b" port="]),
        };
    }
    let quoted = |before: &[u8]| between(message, before, &[b"\""]);
    if message.starts_with(b"no pg_hba.conf entry for ") || message.starts_with(b"pg_hba.conf rejects ") {
        return Names { user: quoted(b" user \""), database: quoted(b" database \""), host: quoted(b" host \""), ..Names::default() };
    }
    Names::default()
}

/// The meaning of a label.
fn label(name: &[u8]) -> Option<u8> {
    Some(match name.to_ascii_lowercase().as_slice() {
        b"u" | b"user" | b"usr" | b"username" | b"user_name" | b"dbuser" | b"login" | b"role" => b'u',
        b"d" | b"db" | b"database" | b"dbname" | b"datname" | b"database_name" => b'd',
        b"a" | b"app" | b"appli" | b"appname" | b"application" | b"application_name" | b"app_name" => b'a',
        b"h" | b"r" | b"host" | b"rhost" | b"client" | b"remote" | b"ip" | b"from" | b"addr" | b"client_addr" | b"client_ip"
        | b"remote_host" | b"connection_source" | b"connection_from" => b'h',
        b"p" | b"pid" | b"proc" | b"process" | b"process_id" => b'p',
        b"l" | b"line" | b"line_num" | b"log_line" | b"session_line" => b'l',
        b"c" | b"s" | b"sid" | b"sess" | b"session" | b"session_id" | b"sessionid" => b'c',
        b"e" | b"state" | b"sqlstate" | b"code" | b"err" | b"error" | b"error_code" | b"sql_error_code" => b'e',
        b"i" | b"cmd" | b"tag" | b"command" | b"command_tag" | b"ps" => b'i',
        b"b" | b"type" | b"backend" | b"backend_type" => b'b',
        b"v" | b"x" | b"tx" | b"tid" | b"txid" | b"xid" | b"trx" | b"trx_id" | b"vtx" | b"vxid" | b"vtid" => b'x',
        b"q" | b"qid" | b"queryid" | b"query_id" => b'Q',
        b"t" | b"ts" | b"time" | b"timestamp" | b"time_ms" | b"start" | b"session_start" | b"proc_start_time" => b't',
        _ => return None,
    })
}

/// Whether at least half of the heads hold this text: it is the prefix's own.
fn common(text: &[u8], lines: &[Line<'_>], work: &mut Work) -> bool {
    work.take(lines.len() as u64).is_some() && lines.iter().filter(|line| line.head.seek(text).is_some()).count() * 2 >= lines.len()
}

/// The meaning of a letter that stands before its value without a sign: `P981`, and where there is such a process `Uweb` and `Dshop`.
fn glued(name: &[u8], parts: &[Part<'_>], lines: &[Line<'_>], work: &mut Work) -> Option<u8> {
    let number = |rest: &[u8]| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit);
    let (first, rest) = name.split_first()?;
    let process = || parts.windows(2).any(|two| matches!(two, [Part::Text(b"P" | b"p"), Part::Field(b'p')]));
    let letter = match first {
        b'P' | b'p' if number(rest) => b'p',
        b'U' | b'u' if process() => b'u',
        b'D' | b'd' if process() => b'd',
        _ => return None,
    };
    work.take(lines.len() as u64)?;
    let alike = |word: &[u8]| word.split_first().is_some_and(|(one, rest)| one == first && (letter != b'p' || number(rest)));
    let many = lines.iter().filter(|line| line.head.split(|b| !is_name(*b)).any(alike)).count();
    (many * 2 >= lines.len() && many > 1).then_some(letter)
}

/// Bytes of names, as far as a prefix does not put them between its fields.
fn is_name(b: u8) -> bool {
    !b.is_ascii_whitespace() && !b"[](){}<>|,;:=/@\"'%#".contains(&b)
}

/// Takes a head apart.
fn parts<'a>(head: &'a [u8], names: Names<'a>, lines: &[Line<'_>], work: &mut Work) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let (mut at, mut told) = (0, [(names.user, b'u'), (names.database, b'd'), (names.application, b'a'), (names.host, b'h')]);
    // Meaning of the label before, and where its value ends if that is a name.
    let mut named: Option<(u8, usize)> = None;
    while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
        let begins = at == 0 || head.get(at - 1).is_some_and(|b| !is_name(*b) || matches!(b, b'-' | b'_'));
        let ends = |len: &usize| rest.get(*len).is_none_or(|b| !is_name(*b) || *b == b'-');
        let value = named.take();
        let (part, len) = if let Some((field, len)) = begins.then(|| form(rest)).flatten() {
            (Part::Field(field), len)
        } else if let Some(one) =
            told.iter_mut().find(|(name, _)| begins && name.is_some_and(|name| rest.starts_with(name) && ends(&name.len())))
        {
            let len = one.0.take().map_or(0, <[u8]>::len);
            (Part::Field(one.1), len.max(1))
        } else if let Some((letter, end)) = value.filter(|(_, end)| *end >= at) {
            // Also where it is empty: the next lines may fill it.
            (Part::Field(letter), end - at)
        } else if begins && rest.starts_with(UNKNOWN) {
            (Part::Word(UNKNOWN), UNKNOWN.len())
        } else if let Some(name) = rest.get(..rest.iter().take_while(|b| is_name(**b)).count()).filter(|name| begins && !name.is_empty()) {
            let sign = sign_len(rest.get(name.len()..).unwrap_or_default());
            let whole = rest.get(..name.len() + sign).unwrap_or_default();
            let labelled = label(name).filter(|_| sign > 0 && common(whole, lines, work));
            let alone = if labelled.is_none() { glued(name, &parts, lines, work) } else { None };
            let whole = if alone.is_some() { rest.get(..1).unwrap_or_default() } else { whole };
            match labelled.or(alone) {
                Some(letter) => {
                    let from = at + whole.len();
                    named =
                        Some((letter, from + value_len(letter, head.get(from..).unwrap_or_default(), whole.ends_with(b"\""), lines, work)));
                    (Part::Text(whole), whole.len())
                }
                None => match rest.iter().take_while(|b| b.is_ascii_digit()).count() {
                    digits if digits > 0 && ends(&digits) => (Part::Number(rest.get(..digits).unwrap_or_default()), digits),
                    _ => {
                        let len = word_len(name);
                        (Part::Word(name.get(..len).unwrap_or_default()), len)
                    }
                },
            }
        } else {
            (Part::Text(rest.get(..1).unwrap_or_default()), 1)
        };
        parts.push(part);
        at += len;
    }
    if let Some((letter, _)) = named {
        parts.push(Part::Field(letter));
    }
    parts
}

/// Length of what stands between a label and its value: `=`, `:`, `="`, `:(` or ` = "`.
fn sign_len(text: &[u8]) -> usize {
    let blanks = |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|b| **b == b' ').count();
    let quote = |from: usize| from + usize::from(matches!(text.get(from), Some(b'"' | b'(' | b'<' | b'{')));
    let before = blanks(0);
    match text.get(before) {
        Some(b'=') => quote(before + 1 + if before > 0 { blanks(before + 1) } else { 0 }),
        Some(b':') if before == 0 => quote(1),
        _ => 0,
    }
}

/// Length of a word at the start of `name`: a hyphen may stand between it and a field, as in `PG-42P01`.
fn word_len(name: &[u8]) -> usize {
    let hyphens = memchr::memchr_iter(b'-', name);
    hyphens.filter(|at| *at > 0).find(|at| name.get(at + 1..).and_then(form).is_some()).unwrap_or(name.len())
}

/// A field whose form tells what it is, at the start of `text`.
fn form(text: &[u8]) -> Option<(u8, usize)> {
    if let Some(len) = timestamp::form(text) {
        return Some((b't', len));
    }
    let whole = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let after = |len: usize| text.get(len).is_none_or(|b| !is_name(*b) || *b == b'-');
    match fixed(Form::Epoch, text) {
        Some(len) if whole == 10 && len == 14 && after(len) => return Some((b'n', len)),
        _ => {}
    }
    if let Some(len) =
        fixed(Form::SessionId, text).filter(|len| memchr::memchr(b'.', text.get(..*len).unwrap_or_default()) >= Some(7) && after(*len))
    {
        return Some((b'c', len));
    }
    if text.starts_with(UNKNOWN) {
        return None;
    }
    if let Some(len) = fixed(Form::Remote, text) {
        return Some((b'r', len));
    }
    let most = text.iter().take(45).take_while(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':')).count();
    let address =
        |len: &usize| text.get(..*len).and_then(|text| std::str::from_utf8(text).ok()).is_some_and(|text| text.parse::<IpAddr>().is_ok());
    if let Some(len) = (2..=most).rev().filter(|len| after(*len)).find(address) {
        return Some((b'h', len));
    }
    if text.starts_with(b"00000") && after(5) {
        return Some((b'e', 5));
    }
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let second = if text.get(whole) == Some(&b'/') { digits(text.get(whole + 1..)?) } else { 0 };
    (whole > 0 && second > 0 && after(whole + 1 + second)).then_some((b'v', whole + 1 + second))
}

/// Length of a labelled value.
fn value_len(letter: u8, rest: &[u8], quoted: bool, lines: &[Line<'_>], work: &mut Work) -> usize {
    if rest.starts_with(UNKNOWN) {
        return UNKNOWN.len();
    }
    if quoted {
        return memchr::memchr(b'"', rest).unwrap_or(rest.len());
    }
    let close = rest.iter().position(|b| b" ,;|)]}>\"'".contains(b)).unwrap_or(rest.len());
    if letter != b'a' && letter != b'i' && letter != b'b' {
        return close;
    }
    // These hold blanks and brackets: up to the next label, else to the end, less what closes it there.
    let starts = (1..rest.len()).filter(|at| rest.get(at - 1).is_some_and(|b| b" ,;|[(".contains(b)));
    let next = starts.into_iter().find(|at| {
        let name = rest.get(*at..).unwrap_or_default();
        let name = name.get(..name.iter().take_while(|b| is_name(**b)).count() + 1).unwrap_or_default();
        matches!(name.split_last(), Some((b'=' | b':', word)) if label(word).is_some()) && common(name, lines, work)
    });
    let value = rest.get(..next.unwrap_or(rest.len())).unwrap_or_default();
    value.iter().rposition(|b| !b" ,;|)]}>-:".contains(b)).map_or(0, |last| last + 1)
}

/// Gives the words and numbers of a head their meanings.
fn meanings<'a>(mut parts: Vec<Part<'a>>, names: Names<'_>, head: &[u8], lines: &[Line<'_>], work: &mut Work) -> Vec<Part<'a>> {
    times(&mut parts, head);
    let counted = lines.iter().filter(|line| line.head.seek(b"-1]").is_some()).count() * 10 >= lines.len() * 9;
    let hex = parts.contains(&Part::Field(b'c')).then(|| session_pid(head)).flatten();
    let mut out: Vec<Part<'a>> = Vec::with_capacity(parts.len());
    let has = |out: &[Part<'_>], letter: u8| out.contains(&Part::Field(letter)) || parts.contains(&Part::Field(letter));
    for (index, part) in parts.iter().enumerate() {
        let next = |ahead: usize| parts.get(index + ahead).copied();
        let new = match *part {
            Part::Number(text) => {
                let number = super::super::message::number(text);
                if text == b"1" && counted && out.last() == Some(&Part::Text(b"-")) && next(1) == Some(Part::Text(b"]")) {
                    Part::Text(text)
                } else if !has(&out, b'p') && hex.is_none_or(|pid| number == Some(pid)) {
                    Part::Field(b'p')
                } else if !has(&out, b'l') && counted && next(1) == Some(Part::Text(b"-")) {
                    Part::Field(b'l')
                } else {
                    Part::Field(b'x')
                }
            }
            Part::Word(b"client") if next(1) == Some(Part::Text(b" ")) && next(2) == Some(Part::Word(b"backend")) => Part::Field(b'b'),
            Part::Word(b"backend") if out.last() == Some(&Part::Text(b" ")) && out.iter().rev().nth(1) == Some(&Part::Field(b'b')) => {
                out.pop();
                continue;
            }
            Part::Word(word) => match meaning(word, next(1), out.last().copied(), |letter| has(&out, letter), names, lines, work) {
                Some(letter) => Part::Field(letter),
                None => Part::Text(word),
            },
            other => other,
        };
        out.push(new);
    }
    out
}

/// The meaning of a word; `None`: it is text of the prefix itself.
fn meaning(
    word: &[u8],
    next: Option<Part<'_>>,
    before: Option<Part<'_>>,
    has: impl Fn(u8) -> bool,
    names: Names<'_>,
    lines: &[Line<'_>],
    work: &mut Work,
) -> Option<u8> {
    let at = Part::Text(b"@");
    if next == Some(at) && !has(b'u') {
        return Some(b'u');
    }
    if before == Some(at) && !has(b'd') {
        return Some(b'd');
    }
    const TAGS: [&[u8]; 14] = [
        b"SELECT",
        b"INSERT",
        b"UPDATE",
        b"DELETE",
        b"idle",
        b"authentication",
        b"startup",
        b"BEGIN",
        b"COMMIT",
        b"SET",
        b"SHOW",
        b"PARSE",
        b"BIND",
        b"COPY",
    ];
    if TAGS.contains(&word) && !has(b'i') {
        return Some(b'i');
    }
    if work.take(lines.len() as u64).is_none() || lines.iter().all(|line| line.head.seek(word).is_some()) {
        return None;
    }
    // Where the message names user and database, no other word is one of them.
    let names_all = names.tell();
    [b'u', b'd', b'a'].into_iter().find(|letter| !has(*letter) && (*letter == b'a' || !names_all)).or(Some(b'b'))
}

/// Of two times the later one is that of the line, the other that of the session's start.
fn times(parts: &mut [Part<'_>], head: &[u8]) {
    let mut stamps = Vec::new();
    let mut at = 0;
    while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
        match timestamp::form(rest) {
            Some(len) => {
                stamps.push(rest.get(..19).unwrap_or_default());
                at += len;
            }
            None => at += 1,
        }
    }
    let Some(latest) = stamps.iter().max() else { return };
    let latest = stamps.iter().position(|stamp| stamp == latest);
    let fields = parts.iter_mut().filter(|part| **part == Part::Field(b't'));
    for (index, part) in fields.enumerate() {
        if Some(index) != latest {
            *part = Part::Field(b's');
        }
    }
}

/// The process in the session id of a head.
fn session_pid(head: &[u8]) -> Option<u64> {
    let id = (0..head.len()).find_map(|at| {
        let rest = head.get(at..)?;
        let begins = at == 0 || head.get(at - 1).is_some_and(|b| !b.is_ascii_alphanumeric());
        form(rest).filter(|(letter, _)| begins && *letter == b'c').and_then(|(_, len)| rest.get(..len))
    })?;
    let hex = id.split(|b| *b == b'.').nth(1)?;
    u64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

/// The text of a prefix.
fn text(parts: &[Part<'_>]) -> String {
    let mut text = Vec::new();
    for part in parts {
        match part {
            Part::Field(letter) => text.extend_from_slice(&[b'%', *letter]),
            Part::Text(literal) | Part::Word(literal) | Part::Number(literal) => {
                text.extend(literal.iter().flat_map(|b| if *b == b'%' { vec![b'%', b'%'] } else { vec![*b] }));
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The same prefix with `%q` where processes without a session stop, if some lines tell that they do.
fn stopping(prefix: Prefix, lines: &[Line<'_>], work: &mut Work) -> Prefix {
    let other = lines.iter().filter(|line| line.under(&prefix, work).is_none());
    let other: Vec<&Line<'_>> = other.take(STOPPED).collect();
    if other.is_empty() {
        return prefix;
    }
    let users = |prefix: &Prefix, work: &mut Work| -> Vec<Option<&[u8]>> {
        lines.iter().rev().take(STOPPED).map(|line| line.under(prefix, work)?.fields.user).collect()
    };
    let known = users(&prefix, work);
    let mut best = (0, None);
    for (at, _) in prefix.text.char_indices().filter(|(at, _)| *at == 0 || prefix.text.as_bytes().get(at - 1) != Some(&b'%')) {
        let (before, after) = prefix.text.split_at(at);
        let stopped = Prefix::compile(&format!("{before}%q{after}"));
        // A name there would take in all that follows.
        if stopped.background.last().is_some_and(|last| !last.is_plain()) {
            continue;
        }
        let good = other.iter().filter(|line| work.part(TO_STOP, |work| line.under(&stopped, work)).is_some()).count();
        if good > best.0 && users(&stopped, work) == known {
            best = (good, Some(stopped));
        }
    }
    best.1.unwrap_or(prefix)
}

impl Prefix {
    /// Whether it takes more than a name for the user or the database of most lines that have one: it lacks fields of the server's prefix.
    pub(super) fn takes_too_much(&self, lines: &[Sampled<'_>], work: &mut Work) -> bool {
        let (mut all, mut much) = (0usize, 0usize);
        for (line, last) in lines {
            let Some(Match { fields, .. }) = self.counted(line, *last, work) else { continue };
            if fields.remote == Some(b"client") {
                (all, much) = (all + 1, much + 1); // of `client backend`
                continue;
            }
            let names = [fields.user, fields.database, fields.application];
            if names.iter().any(Option::is_some) {
                all += 1;
                let odd = |name: &[u8]| name.iter().any(|b| b" ,=[]|".contains(b)) && name != b"[unknown]";
                much += usize::from(
                    [fields.user, fields.database].into_iter().flatten().any(odd) || fields.application.is_some_and(holds_label),
                );
            }
        }
        all > 0 && much * 2 > all
    }

    /// Fields that the prefix gives.
    pub(super) fn width(&self) -> usize {
        self.full.iter().filter(|piece| matches!(piece, Piece::Field(field, _) if *field != Field::Ignored)).count()
    }
}

/// Whether an application's name holds a label of a prefix: `psql,host=10.0.0.1`.
fn holds_label(name: &[u8]) -> bool {
    memchr::memchr_iter(b'=', name).any(|at| {
        let before = name.get(..at).unwrap_or_default();
        let from = before.iter().rposition(|b| !is_name(*b)).map_or(0, |last| last + 1);
        from > 0 && before.get(from..).and_then(label).is_some()
    })
}

#[cfg(test)]
mod tests;
