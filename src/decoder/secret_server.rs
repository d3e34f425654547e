//! Delinea (Thycotic) Secret Server: its events as CEF, in syslog lines or bare.
//!
//! ```text
//! Nov 22 02:21:32 SS01 CEF:0|Thycotic Software|Secret Server|11.3.000001|10004|SECRET - VIEW|2|msg=[[SecretServer]] Event: [Secret] Action: [View] By User: ann Item Name: prod-db suid=2 suser=ann src=10.1.0.7 rt=Nov 22 2026 02:21:23 fname=prod-db fileType=Secret fileId=12 cs3Label=Folder cs3=Databases
//! ```
//! <https://docs.delinea.com/online-help/secret-server/events-and-alerts/secret-server-events-list.htm>; CEF (ArcSight's Common Event Format) separates
//! `key=value` pairs with blanks, and escapes `=` and `\` in values.
//!
//! **The token** is `suser`, who had logged in. Names of secrets and folders stand in the same line. Should one of them bring in a key of its own, that key
//! stands twice, or is not the user whom `msg` names before it comes to the secret, and the record names nobody. Should it bring in a line end, the record
//! is torn (`msg` stands before all other keys), and for as long as a name may be nobody is named by what follows.

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use super::timestamp::Timestamps;
use super::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::lines::Lines;
use crate::framing::seek::Seek;

pub const FORMAT: Format = Format {
    name: "secret-server",
    about: "Delinea (Thycotic) Secret Server events in CEF",
    forgeable: true,
    sniff,
    open: |_, options| (Box::new(Lines::new()), Box::new(Events::new(options))),
    guide: Guide {
        system: "Delinea (Thycotic) Secret Server 10 and later",
        switch_on: "Administration, Configuration: enable Syslog/CEF logging, to a relay that writes a file",
        fields: &[
            ("time", "`rt`, in the source's zone; else the relay's"),
            ("principal", "`suser`; verified by Secret Server, claimed in a refused login"),
            ("address", "`src`; seen by Secret Server"),
            ("operation", "the action of the event's name"),
            ("objects", "the folder `cs3` and the item `fname`"),
            ("outcome", "the event's name"),
            ("code", "the event's number"),
            ("kind", "the event's name"),
        ],
        forgery: "Names of secrets and folders are unescaped in old versions: a record with a key twice names nobody, nor does one whose user is not the one in `msg`, nor do those behind one that a line end has torn. Who can put line ends into names and completes his own record before them can still bring in a record of another",
        ignored: "Events without a user: kept as `other`",
        source: "<https://docs.delinea.com/online-help/secret-server/events-and-alerts/secret-server-events-list.htm>",
    },
};

const PRODUCTS: [&[u8]; 2] = [b"|Thycotic Software|Secret Server|", b"|Delinea|Secret Server|"];

fn sniff(sample: &[u8], _: &Options) -> Guess {
    const LINES: usize = 20;
    let lines: Vec<&[u8]> = sample.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(LINES).collect();
    let good = lines.iter().filter(|line| header(line).is_some()).count();
    match good {
        0 => Guess::NO,
        _ if good * 2 >= lines.len() => Guess::new(96, format!("{good} of the first {} lines are CEF of Secret Server", lines.len())),
        _ => Guess::new(40, format!("only {good} of the first {} lines are CEF of Secret Server", lines.len())),
    }
}

/// Number, name and extension of a CEF record of Secret Server, wherever in the line it begins.
fn header(line: &[u8]) -> Option<(&BStr, &BStr, &[u8])> {
    let (at, product) = PRODUCTS.iter().find_map(|product| Some((line.find(product)?, product)))?;
    // A client's text may hold such a header too; the real one stands first.
    if !line.get(..at)?.ends_with(b"0") {
        return None;
    }
    let mut rest = line.get(at + product.len()..)?.splitn_str(5, "|");
    let (_version, number, name, _severity) = (rest.next()?, rest.next()?, rest.next()?, rest.next()?);
    Some((BStr::new(number), BStr::new(name), rest.next()?))
}

/// The keys that are looked at.
const KEYS: [&str; 7] = ["suser", "src", "rt", "fname", "fileType", "cs3", "cs4"];
const USER: usize = 0;
const ADDRESS: usize = 1;
const TIME: usize = 2;
const ITEM: usize = 3;
const ITEM_TYPE: usize = 4;
const FOLDER: usize = 5;

/// Bytes behind a torn record that may be the text of a name.
const DOUBTED: u32 = 4096;

struct Events {
    stamps: Timestamps,
    /// Bytes of log for which nobody is named.
    doubted: u32,
}

impl Events {
    fn new(options: &Options) -> Self {
        Events { stamps: Timestamps::new(options.zone.clone()), doubted: 0 }
    }

    /// `Nov 22 2026 02:21:23`, milliseconds since 1970, or what else is a time stamp.
    fn time(&mut self, text: &[u8]) -> Option<Time> {
        if let Ok(text) = text.to_str()
            && text.len() == 13
            && let Ok(milliseconds) = text.parse::<i64>()
        {
            return Some(Time(milliseconds * 1000));
        }
        let mut words = text.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let (Some(month), Some(day), Some(year), Some(clock), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return self.stamps.parse(text).ok();
        };
        let month = 1 + MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(month))?;
        let mut plain = smallvec::SmallVec::<[u8; 32]>::new();
        let month = [b'-', b'0' + (month / 10) as u8, b'0' + (month % 10) as u8, b'-'];
        let pad = if day.len() < 2 { &b"0"[..] } else { b"" };
        [year, &month, pad, day, b" ", clock].iter().for_each(|part| plain.extend_from_slice(part));
        self.stamps.parse(&plain).ok()
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Decoder for Events {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let doubted = self.doubted > 0;
        self.doubted = self.doubted.saturating_sub(u32::try_from(record.bytes.len()).unwrap_or(u32::MAX));
        let Some((number, name, extension)) = header(record.bytes) else { return Decoded::Reject("no CEF record of Secret Server") };
        let (values, twice) = values(extension, arena);
        let value = |key: usize| values.get(key).copied().flatten().filter(|value| !value.is_empty());
        let foreign = !is_by(extension, value(USER), arena);
        if value(TIME).is_none() || twice || foreign {
            self.doubted = DOUBTED;
        }
        let time = value(TIME).and_then(|stamp| self.time(stamp)).or(record.note.time);
        let Some(time) = time else { return Decoded::Reject("no time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated;
        event.suspect = record
            .suspect
            .or(twice.then_some("a key stands twice in the record"))
            .or(foreign.then_some("the message names another user than the record"))
            .or(doubted.then_some("a record shortly before was torn, so this may be the name of a secret"));
        event.code = Some(number);
        event.address = value(ADDRESS).and_then(|address| Address::parse(address));
        // `SECRET - VIEW`
        let (item, action) = name.part(" - ").unwrap_or((name, b""));
        let action = action.to_ascii_uppercase();
        let (operation, kind, outcome) = meaning(&action);
        event.operation = Some(operation);
        event.outcome = outcome;
        event.kind = if value(USER).is_some() { kind } else { Kind::Other };
        let provenance = if event.kind == Kind::LoginFailed { Provenance::Claimed } else { Provenance::Authenticated };
        event.principal = value(USER).map(|name| Principal { name, provenance });
        if let Some(named) = value(ITEM) {
            let folder = value(FOLDER).filter(|_| value(ITEM_TYPE).is_none_or(|kind| kind == "Secret"));
            let mut text = bumpalo::collections::Vec::new_in(arena);
            text.extend_from_slice(&item.to_ascii_lowercase());
            text.push(b':');
            if let Some(folder) = folder {
                text.extend_from_slice(folder);
                text.push(b'\\');
            }
            text.extend_from_slice(named);
            event.objects = arena.alloc_slice_copy(&[BStr::new(text.into_bump_slice())]);
        }
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        if self.doubted == 0 { Vec::new() } else { self.doubted.to_le_bytes().to_vec() }
    }

    fn restore(&mut self, state: &[u8]) {
        self.doubted = state.try_into().map_or(0, u32::from_le_bytes);
    }
}

/// What an action means, by a part of its name.
const ACTIONS: [(&str, Operation, Kind, Outcome); 22] = [
    ("LOGINFAIL", Operation::Connect, Kind::LoginFailed, Outcome::Denied),
    ("LOGIN FAIL", Operation::Connect, Kind::LoginFailed, Outcome::Denied),
    ("LOCKOUT", Operation::Connect, Kind::LoginFailed, Outcome::Denied),
    ("LOGIN", Operation::Connect, Kind::Login, Outcome::Success),
    ("LOGOUT", Operation::Other, Kind::Logout, Outcome::Success),
    ("DENIED", Operation::Other, Kind::Denied, Outcome::Denied),
    ("FAIL", Operation::Other, Kind::Error, Outcome::Error),
    ("VIEW", Operation::Select, Kind::Query, Outcome::Success),
    ("DISPLAY", Operation::Select, Kind::Query, Outcome::Success),
    ("COPIED", Operation::Copy, Kind::Query, Outcome::Success),
    ("COPY", Operation::Copy, Kind::Query, Outcome::Success),
    ("EXPORT", Operation::Copy, Kind::Query, Outcome::Success),
    ("LAUNCH", Operation::Call, Kind::Query, Outcome::Success),
    ("CHECKOUT", Operation::Select, Kind::Query, Outcome::Success),
    ("UNDELETE", Operation::Create, Kind::Query, Outcome::Success),
    ("DELETE", Operation::Delete, Kind::Query, Outcome::Success),
    ("CREATE", Operation::Create, Kind::Query, Outcome::Success),
    ("UPDATE", Operation::Update, Kind::Query, Outcome::Success),
    ("EDIT", Operation::Update, Kind::Query, Outcome::Success),
    ("CHANGE", Operation::Update, Kind::Query, Outcome::Success),
    ("ADDED", Operation::Grant, Kind::Query, Outcome::Success),
    ("REMOVED", Operation::Revoke, Kind::Query, Outcome::Success),
];

fn meaning(action: &[u8]) -> (Operation, Kind, Outcome) {
    let found = ACTIONS.iter().find(|(part, ..)| action.holds(part));
    found.map_or((Operation::Other, Kind::Query, Outcome::Success), |(_, operation, kind, outcome)| (*operation, *kind, *outcome))
}

/// Whether the message, where it says who acted, names this user. It does so before it comes to names that others choose.
fn is_by(extension: &[u8], user: Option<&BStr>, arena: &Bump) -> bool {
    let Some((_, said)) = extension.part("By User: ").filter(|(before, _)| before.starts_with(b"msg=") && !before.holds("Item Name:"))
    else {
        return true;
    };
    let said = unescaped(said, arena);
    let rest = user.and_then(|user| said.strip_prefix(user.as_bytes()));
    rest.is_some_and(|rest| rest.is_empty() || [" Item Name:", " (", " suid=", "  "].iter().any(|next| rest.starts_with(next.as_bytes())))
}

/// The values of [`KEYS`], and whether any of them stands twice.
fn values<'a>(extension: &'a [u8], arena: &'a Bump) -> ([Option<&'a BStr>; KEYS.len()], bool) {
    let (mut values, mut twice) = ([None; KEYS.len()], false);
    let mut keys = keys(extension).peekable();
    while let Some((key, from)) = keys.next() {
        let to = keys.peek().map_or(extension.len(), |(next, from)| from.saturating_sub(next.len() + 2));
        if let Some(slot) = KEYS.iter().position(|known| known.as_bytes() == key)
            && let Some(place) = values.get_mut(slot)
        {
            twice |= place.is_some();
            *place = Some(unescaped(extension.get(from..to).unwrap_or_default().trim_ascii(), arena));
        }
    }
    (values, twice)
}

/// Every `key=` at the start or behind a blank, with where its value begins.
fn keys(extension: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    memchr::memchr_iter(b'=', extension).filter_map(|at| {
        let head = extension.get(..at)?;
        let from = head.iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |before| before + 1);
        let key = head.get(from..).filter(|key| !key.is_empty())?;
        (from == 0 || head.get(from - 1) == Some(&b' ')).then_some((key, at + 1))
    })
}

/// `\=` and `\\` as what they stand for; a backslash before anything else stands for itself. The server writes domains without the second
/// one: `CORP\nina` holds no line break.
fn unescaped<'a>(value: &'a [u8], arena: &'a Bump) -> &'a BStr {
    if memchr::memchr(b'\\', value).is_none() {
        return BStr::new(value);
    }
    let mut text = bumpalo::collections::Vec::with_capacity_in(value.len(), arena);
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = match (byte, bytes.peek()) {
            (b'\\', Some(next @ (b'=' | b'\\'))) => Some(*next),
            _ => None,
        };
        text.push(escaped.unwrap_or(byte));
        if escaped.is_some() {
            bytes.next();
        }
    }
    BStr::new(text.into_bump_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::testing::shown;

    fn record(name: &str, extension: &str) -> String {
        format!("Nov 22 02:21:32 SS01 CEF:0|Thycotic Software|Secret Server|11.3.000001|10004|{name}|2|{extension}")
    }

    fn check(line: &str, want: &str) {
        assert_eq!(shown(&FORMAT, line.as_bytes()), [want], "{line}");
    }

    const ANN: &str = "suid=2 suser=ann.b src=10.1.0.7 rt=Nov 22 2026 02:21:23";

    #[test]
    fn events() {
        check(
            &record(
                "SECRET - VIEW",
                &format!("msg=By User: ann.b Item Name: a b  {ANN} fname=a\\\\b \\= c fileType=Secret cs3Label=Folder cs3=Data bases"),
            ),
            "Query ann.b@10.1.0.7 | select secret:Data bases\\a\\b = c | - | Success 10004",
        );
        check(&record("USER - LOGIN", ANN), "Login ann.b@10.1.0.7 | connect | - | Success 10004");
        check(&record("USER - LOGINFAILURE", ANN), "LoginFailed ann.b?@10.1.0.7 | connect | - | Denied 10004");
        check(&record("SECRET - SOMETHING", ANN), "Query ann.b@10.1.0.7 | other | - | Success 10004");
        check(&record("SYSTEM - CHECK", "rt=1795314083000"), "Other -@- | other | - | Success 10004");
        check(&record("USER - LOGIN", ANN).replace("Thycotic Software", "Delinea"), "Login ann.b@10.1.0.7 | connect | - | Success 10004");
    }

    #[test]
    fn domains_with_one_backslash_or_two() {
        for backslash in ["\\", "\\\\"] {
            let user = format!("CORP{backslash}nina");
            check(
                &record(
                    "USER - LOGIN",
                    &format!(
                        "msg=Event: [User] Action: [Login] By User: {user} Item Name: {user} (Item Id: 7)  suid=7 suser={user} src=10.1.0.7 rt=Nov 22 2026 02:21:23"
                    ),
                ),
                "Login CORP\\nina@10.1.0.7 | connect | - | Success 10004",
            );
        }
    }

    /// A secret's name that brings in keys or a header of its own.
    #[test]
    fn forged_keys_name_nobody() {
        check(
            &record("SECRET - VIEW", &format!("msg=Item Name: x suser=admin {ANN} fname=x")),
            "Query ann.b@10.1.0.7 | select secret:x | - | Success 10004 SUSPECT",
        );
        check(
            &record("SECRET - VIEW", &format!("{ANN} fname=x suser=admin src=192.0.2.1")),
            "Query admin@192.0.2.1 | select secret:x | - | Success 10004 SUSPECT",
        );
        check(
            &record("SECRET - VIEW", &format!("msg=CEF:0|Thycotic Software|Secret Server|1|1|USER - LOGIN|1| {ANN}")),
            "Query ann.b@10.1.0.7 | select | - | Success 10004",
        );
    }

    /// Names of secrets made of all that could pass for a record, as an old version would write them: nobody else is ever named, and the viewing of the
    /// secret by who viewed it is seen (or, where a line end tore it, is a record that names nobody).
    #[test]
    fn two_thousand_hostile_names() {
        let pieces = [
            "suser=admin",
            " ",
            "src=10.9.9.9",
            "rt=Nov 22 2026 02:21:23",
            "\n",
            "|",
            "fname=",
            "cs3=",
            "x",
            "=",
            "\\",
            "fileType=User",
            "Nov 22 02:21:32 SS01 CEF:0|Thycotic Software|Secret Server|11.3|10004|USER - LOGIN|2|suser=admin src=10.9.9.9 rt=Nov 22 2026 02:21:23",
            "CEF:0|Delinea|Secret Server|12|1|SECRET - VIEW|2|rt=Nov 22 2026 02:21:23 suser=admin",
        ];
        let mut state = 11u64;
        let mut torn = 0;
        for _ in 0..2000 {
            let mut name = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                name.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let before = record("USER - LOGIN", "suser=carol rt=Nov 22 2026 02:20:00");
            let view = record(
                "SECRET - VIEW",
                &format!(
                    "msg=By User: bob Item Name: {name} (Item Id: 1) suser=bob src=10.1.0.8 rt=Nov 22 2026 02:21:23 fname={name} fileId=1"
                ),
            );
            let seen = shown(&FORMAT, format!("{before}\n{view}\n").as_bytes());
            let named = |who: &str| seen.iter().filter(|line| line.contains(&format!(" {who}@")) && !line.ends_with("SUSPECT")).count();
            assert_eq!((named("admin"), named("carol")), (0, 1), "{name:?}: {seen:#?}");
            assert!(seen.len() >= 2, "{name:?}");
            torn += usize::from(name.contains('\n'));
            if !name.contains(['\n', '=']) {
                assert_eq!(named("bob"), 1, "{name:?}: {seen:#?}");
            }
        }
        assert!(torn > 500);
    }

    #[test]
    fn doubt_ends_and_survives_a_restart() {
        let torn = record("SECRET - VIEW", "msg=Item Name: x");
        let mut events = Events::new(&Options::default());
        let mut suspect = |line: &str| match events.decode(Record::new(line.as_bytes()), &Bump::new()) {
            Decoded::Event(event) => Some(event.suspect.is_some()),
            _ => None,
        };
        assert_eq!(suspect(&torn), None);
        let login = record("USER - LOGIN", ANN);
        let doubted = (0..100).take_while(|_| suspect(&login) == Some(true)).count();
        assert_eq!(doubted, 4096_usize.div_ceil(login.len()));
        events.decode(Record::new(torn.as_bytes()), &Bump::new());
        let mut next = Events::new(&Options::default());
        next.restore(&events.save());
        assert_eq!(next.doubted, DOUBTED);
    }

    #[test]
    fn what_cannot_be_read() {
        check("Nov 22 02:21:32 SS01 CEF:0|Other|Thing|1|2|3|4|suser=a", "rejected: no CEF record of Secret Server");
        check("CEF:0|Thycotic Software|Secret Server|11", "rejected: no CEF record of Secret Server");
        check(&record("USER - LOGIN", "suser=ann rt=soon"), "rejected: no time stamp");
        check(&record("USER - LOGIN", "suser=ann rt=Nov 22 2026 99:99:99"), "rejected: no time stamp");
        check(&record("USER - LOGIN", "====== = =a= \\="), "rejected: no time stamp");
    }
}
