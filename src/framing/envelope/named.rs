//! Lines before which somebody wrote whose they are, as several containers share a file.
//!
//! ```text
//! db-1   | 2026-11-22 02:21:28 UTC [77] LOG:  ...                                      docker compose logs
//! shop_db.1.ju6k2o7ab8vd@node1    | 2026-11-22 02:21:28 UTC [77] LOG:  ...             docker service logs; with -t the time stands first
//! [pod/db-0/postgres] 2026-11-22 02:21:28 UTC [77] LOG:  ...                           kubectl logs --prefix
//! db-0 postgres 2026-11-22 02:21:28 UTC [77] LOG:  ...                                 stern; of several namespaces theirs stands first
//! 3f8f2c0a9d41 2026-11-22T02:21:28.484000000Z 2026-11-22 02:21:28 UTC [77] LOG:  ...   podman logs of several containers; with -n their names
//! ```
//!
//! Each of these tools writes its name before every line that a container wrote, so a client's line end begins a line of the same container,
//! and each container is a log of its own. The time that `-t` adds is an envelope within ([`super::stamped`]). A plain log whose beginning a
//! client has filled looks the same, so they alert and never revoke. Of a line that its log holds in pieces podman
//! writes each behind the name, with what another container wrote meanwhile between them. Sources:
//! <https://github.com/docker/compose/blob/main/cmd/formatter/logs.go>, <https://github.com/docker/cli/blob/master/cli/command/service/logs.go>,
//! <https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/logs/logs.go> (`prefixingWriter`),
//! <https://github.com/stern/stern/blob/master/cmd/cmd.go> (the template `default`),
//! <https://github.com/containers/podman/blob/main/libpod/logs/log.go> (`LogLine.String`)

use bstr::BStr;
use bumpalo::Bump;

use super::rfc3339::rfc3339;
use super::{Carried, Envelope, Kind, Note, Opened, Part, lane};
use crate::event::Time;
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

/// A kind of which every line tells its container by itself.
const fn kind(name: &'static str, about: &'static str, open: fn(&crate::config::FormatOptions) -> Box<dyn Envelope>) -> Kind {
    Kind { name, about, forgeable: true, arrays: None, framer: |_| Box::new(Lines::new()), open }
}

pub const COMPOSE: Kind = kind("compose", "lines of `docker compose logs` and `docker service logs`", |_| Box::new(Named(compose)));
pub const KUBECTL: Kind = kind("kubectl", "lines of `kubectl logs --prefix`", |_| Box::new(Named(kubectl)));
pub const PODMAN: Kind = kind("podman", "lines of `podman logs` of several containers", |_| Box::new(Named(podman)));
pub const STERN: Kind = kind("stern", "lines of `stern`", |_| Box::new(Named(|line| stern(line, 2))));
pub const STERN_NAMESPACES: Kind =
    kind("stern-namespaces", "lines of `stern` of several namespaces", |_| Box::new(Named(|line| stern(line, 3))));

/// Their names.
pub const ALL: [&str; 5] = [COMPOSE.name, KUBECTL.name, PODMAN.name, STERN.name, STERN_NAMESPACES.name];

/// Opens lines of one tool.
struct Named(fn(&[u8]) -> Found<'_>);

/// What a line is.
enum Found<'a> {
    /// A container's.
    Of(Whose<'a>),
    /// The tool's own.
    Own,
    /// Another tool's.
    No,
}

struct Whose<'a> {
    time: Option<Time>,
    /// Namespace, pod, container.
    of: [&'a [u8]; 3],
    line: &'a [u8],
}

impl Envelope for Named {
    fn open<'a>(&mut self, record: &'a [u8], _: &'a Bump) -> Opened<'a> {
        match (self.0)(record) {
            Found::Of(Whose { time, of: of @ [.., host, program], line }) => {
                let some = |text: &'a [u8]| (!text.is_empty()).then(|| BStr::new(text));
                let note = Note { time, host: some(host), program: some(program), pid: None };
                Opened::Carried(Carried { payload: line, lane: lane(&of), part: Part::Line, note })
            }
            Found::Own => Opened::Skip("a line of the relay itself"),
            Found::No => Opened::Reject("no name of a container before the line"),
        }
    }
}

/// `NAME PADDING| LINE`, and `TIME NAME PADDING| LINE`.
fn compose(line: &[u8]) -> Found<'_> {
    let whose = || {
        let stamped = if line.first().is_some_and(u8::is_ascii_digit) { line.part(" ") } else { None };
        let (time, rest) = match stamped.and_then(|(stamp, rest)| Some((rfc3339(stamp)?, rest))) {
            Some((time, rest)) => (Some(time), rest),
            None => (None, line),
        };
        let rest = plain(rest);
        let (name, rest) = rest.split_at_checked(rest.iter().take(256).position(|b| !part_of_name(*b))?)?;
        let padding = rest.iter().take_while(|b| **b == b' ').count();
        let rest = plain(plain(rest.get(padding..)?).strip_prefix(b"|")?);
        // A line that holds nothing has lost its last blank in some hands.
        let text = rest.strip_prefix(b" ").or(rest.is_empty().then_some(rest))?;
        // The longest name is padded too; one blank would be anybody's table.
        (!name.is_empty() && padding > 1).then_some(Whose { time, of: [b"", b"", name], line: plain(text) })
    };
    match whose() {
        Some(whose) => Found::Of(whose),
        None if plain(line).starts_with(b"Attaching to ") => Found::Own,
        None if plain(line).part(" ").is_some_and(|(_, said)| said.starts_with(b"exited with code ")) => Found::Own,
        None => Found::No,
    }
}

/// Of which names of containers, services and nodes consist.
fn part_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@')
}

/// `[pod/POD/CONTAINER] LINE`.
fn kubectl(line: &[u8]) -> Found<'_> {
    let whose = || {
        let (names, line) = line.strip_prefix(b"[pod/")?.part("] ")?;
        let (pod, container) = names.part("/")?;
        (dns(pod) && dns(container)).then_some(Whose { time: None, of: [b"", pod, container], line })
    };
    whose().map_or(Found::No, Found::Of)
}

/// So many names, in colours or without, and the line.
fn stern(line: &[u8], names: usize) -> Found<'_> {
    let whose = || {
        let (mut of, mut rest) = ([&b""[..]; 3], line);
        for name in of.iter_mut().skip(3 - names) {
            let (word, behind) = name_before(plain(rest))?;
            (*name, rest) = (word, plain(behind).strip_prefix(b" ")?);
        }
        let [_, pod, _] = of;
        if !numbered(pod) {
            return None;
        }
        Some(Whose { time: None, of, line: rest })
    };
    // `+ POD › CONTAINER` where it begins to listen to a container, and `-` where it ends.
    let own = || matches!(plain(line).first(), Some(b'+' | b'-')) && line.holds(" › ");
    match whose() {
        Some(whose) => Found::Of(whose),
        None if own() => Found::Own,
        None => Found::No,
    }
}

/// `ID LINE`, `ID TIME LINE`, `NAME TIME LINE`.
fn podman(line: &[u8]) -> Found<'_> {
    let whose = || {
        let (name, rest) = plain(line).part(" ")?;
        if name.is_empty() || name.len() > 256 || !name.iter().all(|b| part_of_name(*b)) {
            return None;
        }
        // In colours all of the line is, with the reset at its end.
        let rest = if line.first() == Some(&ESCAPE) { rest.strip_suffix(b"\x1b[0m").unwrap_or(rest) } else { rest };
        // The time may be the log's own as well as podman's, and is left to what opens the line.
        let timed = || rest.part(" ").is_some_and(|(stamp, _)| rfc3339(stamp).is_some());
        let id = name.len() == 12 && name.iter().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        (id || timed()).then_some(Whose { time: None, of: [b"", b"", name], line: rest })
    };
    whose().map_or(Found::No, Found::Of)
}

/// The name in Kubernetes that stands first, of those that begin with a letter (a number would be somebody's time), and what follows it.
fn name_before(text: &[u8]) -> Option<(&[u8], &[u8])> {
    const LONGEST: usize = 253;
    let inside = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let end = text.iter().take(LONGEST + 1).position(|b| !inside(b)).unwrap_or(text.len());
    text.first().is_some_and(u8::is_ascii_lowercase).then_some(())?;
    text.split_at_checked(end).filter(|(name, _)| name.len() <= LONGEST)
}

/// Whether this is such a name.
fn dns(name: &[u8]) -> bool {
    name_before(name).is_some_and(|(_, behind)| behind.is_empty())
}

/// Whether the name of a pod ends as those do that a controller chose: a number, or five letters of its alphabet. Two words before a line may be
/// many things, such as a user and a database.
fn numbered(pod: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let Some((_, last)) = pod.part_last("-") else { return false };
    !last.is_empty() && last.iter().all(u8::is_ascii_digit) || last.len() == 5 && last.iter().all(|b| ALPHABET.contains(b))
}

const ESCAPE: u8 = 0x1b;

/// The text behind what sets its colour (`ESC [ 1 ; 36 m`).
#[inline]
fn plain(text: &[u8]) -> &[u8] {
    if text.first() == Some(&ESCAPE) { uncoloured(text) } else { text }
}

fn uncoloured(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(b"\x1b[") {
        let digits = rest.iter().take(16).take_while(|b| b.is_ascii_digit() || **b == b';').count();
        match rest.get(digits..).and_then(|rest| rest.strip_prefix(b"m")) {
            Some(rest) => text = rest,
            None => break,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FormatOptions;

    /// The container (with pod and namespace) and the line; or nothing.
    fn open(kind: &Kind, record: &str) -> Option<(String, String)> {
        let arena = Bump::new();
        let text = |t: Option<&BStr>| t.map(ToString::to_string).unwrap_or_default();
        match (kind.open)(&FormatOptions::default()).open(record.as_bytes(), &arena) {
            Opened::Carried(found) => {
                let time = found.note.time.map(|time| format!("{time} ")).unwrap_or_default();
                let whose = format!("{time}{}/{}", text(found.note.host), text(found.note.program));
                Some((whose, String::from_utf8_lossy(found.payload).into_owned()))
            }
            Opened::Skip(reason) => Some(("-".to_owned(), reason.to_owned())),
            _ => None,
        }
    }

    fn check(kind: &Kind, records: &[(&str, &str, &str)], others: &[&str]) {
        for (record, whose, line) in records {
            assert_eq!(open(kind, record), Some(((*whose).to_owned(), (*line).to_owned())), "{}: {record}", kind.name);
        }
        for record in others {
            assert_eq!(open(kind, record), None, "{}: {record}", kind.name);
        }
    }

    #[test]
    fn containers_of_compose() {
        let own = "a line of the relay itself";
        let records = [
            ("db-1   | a | b", "/db-1", "a | b"),
            ("db-1  | ", "/db-1", ""),
            ("db-1  |", "/db-1", ""),
            ("db_1   |  \ta", "/db_1", " \ta"),
            ("\u{1b}[36mdb-1   |\u{1b}[0m a", "/db-1", "a"),
            ("\u{1b}[36;1mdb-1   | \u{1b}[0ma", "/db-1", "a"),
            ("shop_db.1.ju6k@n1    | a", "/shop_db.1.ju6k@n1", "a"),
            ("2026-11-22T02:21:28.484000000Z shop_db.1.ju6k@n1    | a", "2026-11-22T02:21:28.484Z /shop_db.1.ju6k@n1", "a"),
            ("Attaching to db-1, web-1", "-", own),
            ("db-1 exited with code 0", "-", own),
        ];
        check(
            &COMPOSE,
            &records,
            &["", "| a", "db-1| a", "db-1 | a", "db-1 a | b", "db-1   |a", "\tdb-1 | a", "2026-11-22 02:21:28 UTC | a"],
        );
    }

    #[test]
    fn pods_of_kubernetes() {
        let records = [("[pod/db-0/postgres] a] b", "db-0/postgres", "a] b"), ("[pod/db-0/postgres] ", "db-0/postgres", "")];
        check(&KUBECTL, &records, &["[pod/db-0/postgres]", "[pod/db-0] a", "[pod//x] a", "[pod/db 0/x] a", "pod/db-0/x a", " [pod/a/b] c"]);
        let records = [
            ("db-0 postgres a b", "db-0/postgres", "a b"),
            ("db-0 postgres ", "db-0/postgres", ""),
            ("\u{1b}[92mdb-0\u{1b}[0m \u{1b}[32mpostgres\u{1b}[0m \u{1b}[1ma", "db-0/postgres", "\u{1b}[1ma"),
            ("+ db-0 › postgres", "-", "a line of the relay itself"),
        ];
        check(
            &STERN,
            &records,
            &[
                "db-0 postgres",
                "Db-0 postgres a",
                "db postgres a",
                "db-main postgres a",
                "2026-11-22 postgres a",
                "db-0 Postgres a",
                " db-0 postgres a",
            ],
        );
        check(&STERN_NAMESPACES, &[("shop db-0 postgres a", "db-0/postgres", "a")], &["db-0 postgres 2026-11-22 a", "db-0 postgres a"]);
    }

    #[test]
    fn containers_of_podman() {
        let timed = "2026-11-22T02:21:28.484000000+01:00 a";
        let records = [
            ("3f8f2c0a9d41 a b", "/3f8f2c0a9d41", "a b"),
            (&format!("3f8f2c0a9d41 {timed}"), "/3f8f2c0a9d41", timed),
            (&format!("db {timed}"), "/db", timed),
            (&format!("\u{1b}[31mdb {timed}\u{1b}[0m"), "/db", timed),
        ];
        check(&PODMAN, &records, &["db a b", "3f8f2c0a9d4 a", "3F8F2C0A9D41 a", "2026-11-22 02:21:28 a", ""]);
    }
}
