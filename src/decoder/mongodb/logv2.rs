//! MongoDB's log since 4.4: one JSON object a line.
//!
//! ```text
//! {"t":{"$date":"2026-11-22T02:21:28.356+00:00"},"s":"I",  "c":"NETWORK",  "id":22943,   "ctx":"listener","msg":"Connection accepted","attr":{"remote":"10.0.0.7:40112","uuid":{...},"connectionId":12,"connectionCount":1}}
//! {"t":{"$date":"2026-11-22T02:21:28.401+00:00"},"s":"I",  "c":"COMMAND",  "id":51803,   "ctx":"conn12","msg":"Slow query","attr":{"type":"command","ns":"shop.orders","appName":"web","command":{"find":"orders",...,"$db":"shop"},"nreturned":3,"remote":"10.0.0.7:40112","durationMillis":0}}
//! ```
//! <https://www.mongodb.com/docs/manual/reference/log-messages/>
//!
//! Acts are logged as "slow" operations, without a user: [`session`] joins them with the login on the same connection. All client
//! text is escaped, so no client can write a line of its own. A server that was upgraded goes on in the file of its predecessor; such lines
//! of text are read too, but name nobody (see [`super::text`]).

use bstr::BStr;
use bumpalo::Bump;

use super::act::{self, BESIDE, On, Told};
use super::session::{self, Sessions, account};
use super::text;
use crate::decoder::json::sample;
use crate::decoder::json_text::{Json, Torn};
use crate::decoder::peer::peer;
use crate::decoder::timestamp::Timestamps;
use crate::decoder::{Decoded, Decoder, Format, Guess, Guide, Options, Record};
use crate::event::{Address, Event, Kind, Operation, Outcome, Principal, Provenance, Time};
use crate::framing::seek::Seek;
use crate::framing::spread::Spread;

pub const FORMAT: Format = Format {
    name: "mongodb-log",
    about: "MongoDB server log in JSON (mongod and mongos 4.4 and later, Atlas)",
    forgeable: false,
    sniff,
    open: |_, options| (Box::new(Spread::new()), Box::new(Log::new(options))),
    guide: Guide {
        system: "MongoDB 4.4 to 8, Atlas, Percona Server for MongoDB",
        switch_on: "The log is always on. Operations are logged when slow: `db.setProfilingLevel(0, { slowms: -1 })` (or `operationProfiling.slowOpThresholdMs: -1`) logs all of them; `security.authorization: enabled` is needed for users",
        fields: &[
            ("time", "`t`"),
            (
                "principal",
                "the login on the same connection (`ctx`); `user@database` for accounts of other databases than `admin`; verified, `observed` where several users share the connection, claimed for refused logins",
            ),
            ("address", "`remote` of the record or of its connection; seen by the server"),
            ("port", "`remote`"),
            ("database", "`ns`; for logins the database of the account"),
            ("client", "`appName`, or what the client told at its start; the client's own word"),
            ("session", "`ctx`"),
            ("operation", "the command's name"),
            ("objects", "`ns`, the command's value, and what an aggregation names besides (`$lookup`, `$out`, ...)"),
            ("outcome", "`errCode`"),
            ("code", "`errCode`, `error.code`"),
            ("rows", "`nreturned`, `ninserted`, `nModified` and `nUpserted`, `ndeleted`"),
            ("duration", "`durationMillis`"),
            ("kind", "`id` and `msg`"),
        ],
        forgery: "No record of another: all client text is escaped",
        ignored: "Everything but connections, logins, operations, refusals and dropped collections: kept as `other`, as are the handshakes of drivers",
        source: "<https://www.mongodb.com/docs/manual/reference/log-messages/>",
    },
};

/// Share of the first lines that are of this log, in percent, and how many they are.
pub(super) fn share(sample: &[u8], lines: usize, mut good: impl FnMut(&[u8]) -> bool) -> (usize, usize) {
    let complete = memchr::memrchr(b'\n', sample).and_then(|end| sample.get(..end)).unwrap_or(sample);
    let (mut all, mut read) = (0usize, 0usize);
    for line in complete.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()).take(lines) {
        all += 1;
        read += usize::from(good(line));
    }
    ((100 * read).checked_div(all).unwrap_or(0), all)
}

fn sniff(sample: &[u8], _: &Options) -> Guess {
    let mut arena = Bump::new();
    let mut good = |line: &[u8]| {
        arena.reset();
        Entry::read(line, &arena).is_ok_and(|e| e.stamp.is_some() && e.severity && !e.context.is_empty() && e.component)
    };
    let (percent, lines) = match Spread::over_lines(sample) {
        Some(true) => {
            let objects = sample::objects(sample, &[]);
            let read = objects.iter().filter(|object| good(object)).count();
            ((100 * read).checked_div(objects.len()).unwrap_or(0), objects.len())
        }
        _ => share(sample, 100, good),
    };
    match percent {
        0 => Guess::NO,
        _ => Guess::new((percent.max(50) * 97 / 100) as u8, format!("{percent} % of {lines} lines are JSON objects with t, s, c, id, ctx")),
    }
}

struct Log {
    stamps: Timestamps,
    sessions: Sessions,
    older: text::Text,
}

impl Log {
    fn new(options: &Options) -> Self {
        Log { stamps: Timestamps::new(options.zone.clone()), sessions: Sessions::default(), older: text::Text::new(options) }
    }
}

/// One line, taken apart.
#[derive(Debug, Default)]
struct Entry<'a> {
    stamp: Option<&'a [u8]>,
    severity: bool,
    component: bool,
    id: u64,
    context: &'a [u8],
    message: &'a [u8],
    truncated: bool,
    attr: Attr<'a>,
}

/// What the entries of interest carry. Keys mean the same in all of them.
#[derive(Debug, Default)]
pub(super) struct Attr<'a> {
    pub(super) remote: &'a [u8],
    connection: Option<u64>,
    pub(super) user: &'a [u8],
    /// Where the account is kept.
    pub(super) home: &'a [u8],
    pub(super) kind: &'a [u8],
    pub(super) app: &'a [u8],
    driver: &'a [u8],
    told: Told<'a>,
    /// `$db` of the command.
    database: &'a [u8],
    error: &'a [u8],
    code: Option<&'a [u8]>,
    failed: bool,
    returned: Option<u64>,
    pub(super) written: Option<u64>,
    pub(super) millis: Option<u64>,
}

impl<'a> Entry<'a> {
    fn read(line: &'a [u8], arena: &'a Bump) -> Result<Self, Torn> {
        let mut entry = Entry::default();
        let mut json = Json::new(line, arena);
        if json.peek() != Some(b'{') {
            return Err(Torn);
        }
        let read = json.object(|key, json| {
            match key {
                b"t" => json.object(|_, json| {
                    entry.stamp = match json.peek() {
                        Some(b'"') => json.text()?,
                        _ => json.number()?,
                    };
                    Ok(())
                })?,
                b"s" => entry.severity = json.text()?.is_some(),
                b"c" => entry.component = json.text()?.is_some(),
                b"id" => entry.id = json.count()?.unwrap_or(0),
                b"ctx" => entry.context = json.text()?.unwrap_or_default(),
                b"msg" => entry.message = json.text()?.unwrap_or_default(),
                b"attr" => entry.attr.read(json)?,
                b"truncated" => {
                    entry.truncated = true;
                    json.skip()?;
                }
                _ => json.skip()?,
            }
            Ok(())
        });
        // What stands before a cut is read by then.
        if read.is_err() || !json.ended() {
            entry.truncated = true;
            return if entry.stamp.is_some() && !entry.context.is_empty() && entry.id != 0 { Ok(entry) } else { Err(Torn) };
        }
        Ok(entry)
    }
}

impl<'a> Attr<'a> {
    fn read(&mut self, json: &mut Json<'a>) -> Result<(), Torn> {
        json.object(|key, json| self.field(key, json))
    }

    pub(super) fn field(&mut self, key: &'a [u8], json: &mut Json<'a>) -> Result<(), Torn> {
        match key {
            b"remote" => self.remote = json.text()?.unwrap_or_default(),
            // The peer, or the name of the connection.
            b"client" => {
                let text = json.text()?.unwrap_or_default();
                if self.remote.is_empty() && session::number(text).is_none() {
                    self.remote = text;
                }
            }
            b"connectionId" => self.connection = json.count()?,
            b"principalName" | b"user" => self.user = json.text()?.unwrap_or_default(),
            b"authenticationDatabase" => self.home = json.text()?.unwrap_or_default(),
            b"db" => {
                let text = json.text()?.unwrap_or_default();
                if self.home.is_empty() {
                    self.home = text;
                }
            }
            b"type" => self.kind = json.text()?.unwrap_or_default(),
            b"ns" | b"namespace" => self.told.namespace = json.text()?.unwrap_or_default(),
            b"appName" => self.app = json.text()?.unwrap_or_default(),
            b"doc" => json.object(|part, json| {
                let into = match part {
                    b"application" => &mut self.app,
                    b"driver" => &mut self.driver,
                    _ => return json.skip(),
                };
                json.object(|key, json| {
                    if key == b"name" {
                        *into = json.text()?.unwrap_or_default();
                        return Ok(());
                    }
                    json.skip()
                })
            })?,
            b"command" => self.command(json)?,
            b"error" => match json.peek() {
                Some(b'"') => self.error = json.text()?.unwrap_or_default(),
                _ => json.object(|key, json| {
                    match key {
                        b"code" => self.code = json.number()?,
                        b"errmsg" => self.error = json.text()?.unwrap_or_default(),
                        _ => json.skip()?,
                    }
                    Ok(())
                })?,
            },
            b"errCode" | b"result" => self.code = json.number()?,
            b"errName" => {
                let name = json.text()?;
                self.code = self.code.or(name);
            }
            b"ok" => self.failed = json.number()? == Some(b"0"),
            b"nreturned" => self.returned = json.count()?,
            b"ninserted" | b"nModified" | b"nUpserted" | b"ndeleted" => {
                if let Some(rows) = json.count()? {
                    self.written = Some(self.written.unwrap_or(0).saturating_add(rows));
                }
            }
            b"durationMillis" => self.millis = json.count()?,
            _ => json.skip()?,
        }
        Ok(())
    }

    /// The command: its name is its first key, except where a relay has sorted the keys.
    fn command(&mut self, json: &mut Json<'a>) -> Result<(), Torn> {
        if json.peek() == Some(b'"') {
            // Commands that hold secrets, and very long ones, are shown by name.
            self.told.command = json.text()?.unwrap_or_default();
            return Ok(());
        }
        let mut known = false;
        json.object(|key, json| {
            if !known && (self.told.command.is_empty() || act::command(key).is_some()) {
                known = act::command(key).is_some();
                self.told.command = key;
                self.told.target = b"";
                if json.peek() == Some(b'"') {
                    self.told.target = json.text()?.unwrap_or_default();
                    return Ok(());
                }
                return json.skip();
            }
            match key {
                b"$db" => self.database = json.text()?.unwrap_or_default(),
                b"collection" if self.told.target.is_empty() => self.told.target = json.text()?.unwrap_or_default(),
                b"pipeline" => pipeline(json, &mut self.told)?,
                b"nsInfo" => namespaces(json, &mut self.told)?,
                _ => json.skip()?,
            }
            Ok(())
        })
    }
}

/// The collections that the stages of an aggregation name.
pub(super) fn pipeline<'a>(json: &mut Json<'a>, told: &mut Told<'a>) -> Result<(), Torn> {
    json.array(|json| {
        json.object(|stage, json| {
            let key: &[u8] = match stage {
                b"$lookup" | b"$graphLookup" => b"from",
                b"$unionWith" => b"coll",
                b"$out" => b"coll",
                b"$merge" => b"into",
                _ => return json.skip(),
            };
            let (mut database, mut name): (&[u8], &[u8]) = (b"", b"");
            match json.peek() {
                Some(b'"') => name = json.text()?.unwrap_or_default(),
                _ => json.object(|part, json| {
                    match part {
                        b"db" => database = json.text()?.unwrap_or_default(),
                        _ if part == key && json.peek() == Some(b'"') => name = json.text()?.unwrap_or_default(),
                        _ if part == key => json.object(|part, json| {
                            match part {
                                b"db" => database = json.text()?.unwrap_or_default(),
                                b"coll" => name = json.text()?.unwrap_or_default(),
                                _ => json.skip()?,
                            }
                            Ok(())
                        })?,
                        _ => json.skip()?,
                    }
                    Ok(())
                })?,
            }
            let list = if matches!(stage, b"$out" | b"$merge") { &mut told.writes } else { &mut told.reads };
            if !name.is_empty() && list.len() < BESIDE {
                list.push((database, name));
            }
            Ok(())
        })
    })
}

/// The collections of a `bulkWrite`: `[{"ns":"shop.orders"}, ...]`.
pub(super) fn namespaces<'a>(json: &mut Json<'a>, told: &mut Told<'a>) -> Result<(), Torn> {
    json.array(|json| {
        json.object(|key, json| {
            if key != b"ns" {
                return json.skip();
            }
            if let Some((database, name)) = json.text()?.and_then(|ns| ns.part("."))
                && told.writes.len() < BESIDE
            {
                told.writes.push((database, name));
            }
            Ok(())
        })
    })
}

/// A peer as MongoDB writes it.
pub(super) fn remote(text: &[u8]) -> (Option<Address<'_>>, Option<u16>) {
    if text.starts_with(b"/") || text.holds("unix") {
        return (Some(Address::Local), None);
    }
    peer(text)
}

fn some(text: &[u8]) -> Option<&BStr> {
    (!text.is_empty()).then(|| BStr::new(text))
}

impl Decoder for Log {
    fn decode<'a>(&mut self, record: Record<'a>, arena: &'a Bump) -> Decoded<'a> {
        let Ok(entry) = Entry::read(record.bytes, arena) else {
            if !text::is_head(record.bytes) {
                return Decoded::Reject(if record.truncated { "torn line" } else { "not a line of mongodb's log" });
            }
            let mut decoded = self.older.decode(record, arena);
            if let Decoded::Event(event) = &mut decoded
                && let Some(principal) = &mut event.principal
            {
                principal.provenance = Provenance::Claimed;
                event.suspect.get_or_insert(text::TEXT);
            }
            return decoded;
        };
        let Some(time) = entry.stamp.and_then(|stamp| self.time(stamp)) else { return Decoded::Reject("unreadable time stamp") };
        let mut event = Event::new(Kind::Other, time);
        event.truncated = record.truncated || entry.truncated;
        event.suspect = record.suspect;
        self.understand(&entry, &mut event, arena);
        Decoded::Event(event)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&(&self.sessions, self.older.save())).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) {
        if let Ok((sessions, older)) = postcard::from_bytes::<(Sessions, Vec<u8>)>(state) {
            self.sessions = sessions;
            self.older.restore(&older);
        }
    }
}

impl Log {
    fn time(&mut self, stamp: &[u8]) -> Option<Time> {
        date(&mut self.stamps, stamp)
    }

    fn understand<'a>(&mut self, entry: &Entry<'a>, event: &mut Event<'a>, arena: &'a Bump) {
        let attr = &entry.attr;
        let connection = session::number(entry.context).or(attr.connection.filter(|_| entry.context == b"listener"));
        if entry.id == 4_615_611 {
            self.sessions.restarted();
        }
        (event.address, event.port) = remote(attr.remote);
        let Some(connection) = connection else {
            // What the server does by itself: replication, expiry, checkpoints.
            if entry.id == 51_803 {
                operation(attr, event, arena);
                event.kind = Kind::Other;
            }
            return;
        };
        event.session =
            if entry.context == b"listener" { Some(BStr::new(arena.alloc_str(&format!("conn{connection}")))) } else { some(entry.context) };
        match (entry.id, entry.message) {
            (22_943, _) => self.sessions.accepted(connection, attr.remote),
            (22_944, _) => {
                if let Some(session) = self.sessions.ended(connection) {
                    let principal = session.principal(b"", arena).filter(|_| session.remote == attr.remote);
                    event.kind = if principal.is_some() { Kind::Logout } else { Kind::Other };
                    event.principal = principal;
                }
            }
            (51_800, _) => {
                let client = if attr.app.is_empty() { attr.driver } else { attr.app };
                self.sessions.at(connection, attr.remote).client = client.to_vec();
                event.client = some(client);
            }
            (20_250 | 5_286_306 | 20_429, _) | (_, b"Successfully authenticated" | b"Authentication succeeded") => {
                event.kind = Kind::Login;
                event.operation = Some(Operation::Connect);
                event.outcome = Outcome::Success;
                event.database = some(attr.home);
                event.principal = some(attr.user)
                    .map(|_| Principal { name: account(attr.user, attr.home, arena), provenance: Provenance::Authenticated });
                let session = self.sessions.at(connection, attr.remote);
                if !attr.user.is_empty() {
                    session.login(attr.user, attr.home);
                }
                event.client = client(session, b"", arena);
            }
            (20_249 | 5_286_307 | 20_428, _) | (_, b"Authentication failed" | b"Failed to authenticate") => {
                event.kind = Kind::LoginFailed;
                event.operation = Some(Operation::Connect);
                event.outcome = Outcome::Denied;
                event.database = some(attr.home);
                event.code = attr.code.or(attr.error.part(":").map(|(name, _)| name)).map(BStr::new);
                event.principal =
                    some(attr.user).map(|_| Principal { name: account(attr.user, attr.home, arena), provenance: Provenance::Claimed });
                event.client = client(self.sessions.at(connection, attr.remote), b"", arena);
            }
            (20_436, _) => {
                text::refused(attr.error, event, arena);
                event.code = attr.code.map(BStr::new);
                self.who(connection, event.database.map_or(b"", |d| d), event, arena);
                self.sessions.at(connection, b"").told = session::REFUSED.to_vec();
            }
            (51_803, _) => {
                let on = operation(attr, event, arena);
                let database = if attr.database.is_empty() { attr.told.database() } else { attr.database };
                self.who(connection, database, event, arena);
                let session = self.sessions.at(connection, attr.remote);
                event.client = client(session, attr.app, arena);
                let told = std::mem::take(&mut session.told);
                if on == On::Nothing || session::was_told(&told, event) {
                    event.kind = Kind::Other;
                }
            }
            (518_070 | 20_337 | 51_806, _) => {
                event.kind = Kind::Query;
                event.outcome = Outcome::Unknown;
                event.operation = Some(if entry.id == 51_806 { Operation::Alter } else { Operation::Drop });
                let object = if attr.told.namespace.is_empty() { attr.home } else { attr.told.namespace };
                event.objects = arena.alloc_slice_copy(&[BStr::new(object)]);
                event.database = some(Told { namespace: object, ..Told::default() }.database());
                self.who(connection, event.database.map_or(b"", |d| d), event, arena);
                self.sessions.at(connection, b"").told = object.to_vec();
            }
            _ => self.who(connection, b"", event, arena),
        }
    }

    /// Who acts on a connection, and from where.
    fn who<'a>(&self, connection: u64, database: &[u8], event: &mut Event<'a>, arena: &'a Bump) {
        let Some(session) = self.sessions.get(connection) else { return };
        if event.address.is_none() {
            (event.address, event.port) = remote(arena.alloc_slice_copy(&session.remote));
        } else if !session.remote.is_empty() && remote(&session.remote) != (event.address, event.port) {
            return; // another connection of the same number
        }
        event.principal = session.principal(database, arena);
        event.client = client(session, b"", arena);
    }
}

fn client<'a>(session: &session::Session, app: &'a [u8], arena: &'a Bump) -> Option<&'a BStr> {
    some(if app.is_empty() { arena.alloc_slice_copy(&session.client) } else { app })
}

/// `t.$date`: a text, or milliseconds since 1970.
pub(super) fn date(stamps: &mut Timestamps, stamp: &[u8]) -> Option<Time> {
    if stamp.contains(&b':') {
        return stamps.parse(stamp).ok();
    }
    let millis: i64 = std::str::from_utf8(stamp).ok()?.parse().ok()?;
    Some(Time(millis.checked_mul(1_000)?))
}

/// An operation that took its time.
pub(super) fn operation<'a>(attr: &Attr<'a>, event: &mut Event<'a>, arena: &'a Bump) -> On {
    let named = !attr.told.command.is_empty() && act::legacy(attr.kind).is_none();
    let told = &attr.told;
    let mut act = told.act(arena);
    if !named {
        act.operation = act::legacy(attr.kind).unwrap_or(Operation::Other);
        act.on = On::Collection;
        act.objects = some(told.namespace).map_or(&[], |ns| arena.alloc_slice_copy(&[ns]));
    }
    event.operation = Some(act.operation);
    event.objects = act.objects;
    event.database = some(if attr.database.is_empty() { told.database() } else { attr.database });
    event.code = attr.code.map(BStr::new);
    event.outcome = match attr.code {
        Some(code) if act::denied(code) => Outcome::Denied,
        Some(_) => Outcome::Error,
        None if attr.failed => Outcome::Error,
        None => Outcome::Success,
    };
    event.kind = match event.outcome {
        Outcome::Denied => Kind::Denied,
        Outcome::Error => Kind::Error,
        _ => Kind::Query,
    };
    event.rows = attr.returned.or(attr.written);
    event.duration_us = attr.millis.map(|ms| ms.saturating_mul(1_000));
    act.on
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of some lines, in few words.
    fn told(lines: &[&str]) -> Vec<String> {
        let mut log = Log::new(&Options::default());
        lines.iter().map(|line| show(&mut log, line.as_bytes())).collect()
    }

    fn show(log: &mut Log, line: &[u8]) -> String {
        let arena = Bump::new();
        match log.decode(Record::new(line), &arena) {
            Decoded::Event(e) => {
                let who = e.principal.map_or("-".to_owned(), |p| format!("{} {:?}", p.name, p.provenance));
                let place = e.address.map_or("-".to_owned(), |a| format!("{a}"));
                let what = e.operation.map_or("-", Operation::name);
                let objects: Vec<String> = e.objects.iter().map(|o| o.to_string()).collect();
                let code = e.code.map_or(String::new(), |c| format!(" {c}"));
                let rows = e.rows.map_or(String::new(), |r| format!(" rows={r}"));
                let ms = e.duration_us.map_or(String::new(), |d| format!(" us={d}"));
                format!("{:?} {who} {place} {what} [{}]{code}{rows}{ms}", e.kind, objects.join(" "))
            }
            Decoded::Reject(reason) => format!("reject: {reason}"),
            Decoded::Skip(reason) => format!("skip: {reason}"),
        }
    }

    fn line(id: u64, ctx: &str, attr: &str) -> String {
        format!(
            r#"{{"t":{{"$date":"2026-11-22T02:21:28.356+01:00"}},"s":"I",  "c":"X",  "id":{id},   "ctx":"{ctx}","msg":"m","attr":{{{attr}}}}}"#
        )
    }

    #[test]
    fn a_session_from_its_start_to_its_end() {
        let lines = [
            line(22943, "listener", r#""remote":"10.0.0.7:40112","connectionId":12,"connectionCount":1"#),
            line(
                51800,
                "conn12",
                r#""remote":"10.0.0.7:40112","client":"conn12","doc":{"application":{"name":"web"},"driver":{"name":"nodejs"}}"#,
            ),
            line(
                20249,
                "conn12",
                r#""mechanism":"SCRAM-SHA-256","speculative":true,"principalName":"app","authenticationDatabase":"admin","remote":"10.0.0.7:40112","error":"AuthenticationFailed: no""#,
            ),
            line(5286306, "conn12", r#""client":"10.0.0.7:40112","mechanism":"SCRAM-SHA-256","user":"app","db":"admin","result":0"#),
            line(
                51803,
                "conn12",
                r#""type":"command","ns":"shop.orders","command":{"find":"orders","filter":{"insert":1},"$db":"shop"},"nreturned":3,"remote":"10.0.0.7:40112","durationMillis":7"#,
            ),
            line(
                51803,
                "conn12",
                r#""type":"command","ns":"shop.orders","command":{"delete":"orders","$db":"shop"},"ok":0,"errMsg":"not authorized","errName":"Unauthorized","errCode":13,"remote":"10.0.0.7:40112","durationMillis":0"#,
            ),
            line(
                51803,
                "conn12",
                r#""type":"update","ns":"shop.orders","command":{"q":{},"u":{}},"nMatched":2,"nModified":1,"nUpserted":1,"remote":"10.0.0.7:40112","durationMillis":1"#,
            ),
            line(
                20436,
                "conn12",
                r#""error":{"code":13,"codeName":"Unauthorized","errmsg":"not authorized on shop to execute command { drop: \"orders\", $db: \"shop\" }"}"#,
            ),
            line(22944, "conn12", r#""remote":"10.0.0.7:40112","connectionId":12"#),
            line(51803, "conn12", r#""type":"command","ns":"shop.orders","command":{"find":"orders"},"nreturned":0,"durationMillis":0"#),
        ];
        assert_eq!(
            told(&lines.each_ref().map(String::as_str)),
            [
                "Other - 10.0.0.7 - []",
                "Other - 10.0.0.7 - []",
                "LoginFailed app Claimed 10.0.0.7 connect [] AuthenticationFailed",
                "Login app Authenticated 10.0.0.7 connect []",
                "Query app Authenticated 10.0.0.7 select [shop.orders] rows=3 us=7000",
                "Denied app Authenticated 10.0.0.7 delete [shop.orders] 13 us=0",
                "Query app Authenticated 10.0.0.7 update [shop.orders] rows=2 us=1000",
                "Denied app Authenticated 10.0.0.7 drop [shop.orders] 13",
                "Logout app Authenticated 10.0.0.7 - []",
                "Query - - select [shop.orders] rows=0 us=0",
            ]
        );
    }

    #[test]
    fn a_connection_number_that_comes_again_names_nobody() {
        let login = line(
            20250,
            "conn3",
            r#""mechanism":"SCRAM-SHA-1","principalName":"app","authenticationDatabase":"shop","remote":"10.0.0.7:1","extraInfo":{}"#,
        );
        let act = |remote: &str| line(51803, "conn3", &format!(r#""type":"query","ns":"shop.a","remote":"{remote}","durationMillis":1"#));
        let start = line(4615611, "initandlisten", r#""pid":1,"port":27017"#);
        let got = told(&[&login, &act("10.0.0.7:1"), &act("10.0.0.8:1"), &login, &start, &act("10.0.0.7:1")]);
        let named: Vec<bool> = got.iter().map(|g| g.contains("app@shop")).collect();
        assert_eq!(named, [true, true, false, true, false, false], "{got:#?}");
    }

    #[test]
    fn what_an_aggregation_touches() {
        let attr = r#""type":"command","ns":"shop.a","command":{"aggregate":"a","pipeline":[{"$match":{"$out":"no"}},{"$lookup":{"from":"b","as":"x"}},{"$unionWith":"c"},{"$merge":{"into":{"db":"other","coll":"d"}}}],"$db":"shop"},"durationMillis":1"#;
        assert_eq!(told(&[&line(51803, "conn1", attr)]), ["Query - - merge [shop.a shop.b shop.c other.d] us=1000"]);
        let bulk = r#""type":"command","ns":"admin.$cmd","command":{"bulkWrite":1,"ops":[{"insert":0}],"nsInfo":[{"ns":"shop.a"},{"ns":"hr.pay"}],"$db":"admin"},"ninserted":1"#;
        assert_eq!(told(&[&line(51803, "conn1", bulk)]), ["Query - - merge [shop.a hr.pay] rows=1"]);
        let sorted = r#""command":{"$db":"shop","filter":{},"find":"b","lsid":1},"ns":"shop.$cmd","type":"command""#;
        assert_eq!(told(&[&line(51803, "conn1", sorted)]), ["Query - - select [shop.b]"]);
    }

    #[test]
    fn a_drop_is_told_once() {
        let drop = line(518070, "conn1", r#""namespace":"shop.a""#);
        let slow = line(51803, "conn1", r#""type":"command","ns":"shop.$cmd","command":{"drop":"a","$db":"shop"},"durationMillis":1"#);
        assert_eq!(
            told(&[&drop, &slow, &slow]),
            ["Query - - drop [shop.a]", "Other - - drop [shop.a] us=1000", "Query - - drop [shop.a] us=1000"]
        );
    }

    #[test]
    fn hostile_lines() {
        for (text, want) in [
            (r#"{"t":{"$date":"x"},"s":"I","c":"X","id":1,"ctx":"conn1","msg":""}"#, "reject: unreadable time stamp"),
            (r#"{"t":5,"s":1,"id":"x"}"#, "reject: unreadable time stamp"),
            ("{}", "reject: unreadable time stamp"),
            ("[]", "reject: not a line of mongodb's log"),
            (r#"{"t":{"$date":"2026-11-22T02:21:28Z"},"s":"#, "reject: not a line of mongodb's log"),
        ] {
            assert_eq!(told(&[text]), [want], "{text}");
        }
        let attr = r#""remote":"10.0.0.7:1\n{\"id\":20250}","user":["x"],"command":[[{}]],"ns":5,"durationMillis":-1,"errCode":{}"#;
        for id in [22943u64, 22944, 51800, 20250, 20249, 20436, 51803, 518070] {
            let got = told(&[&line(id, "conn1", attr), &line(id, "conn99999999999999999999", attr)]);
            assert!(got.iter().all(|g| !g.contains("reject")), "{got:?}");
        }
    }

    #[test]
    fn state_survives_a_restart() {
        let mut log = Log::new(&Options::default());
        show(&mut log, line(20250, "conn3", r#""principalName":"app","authenticationDatabase":"admin","remote":"10.0.0.7:1""#).as_bytes());
        let mut next = Log::new(&Options::default());
        next.restore(&log.save());
        let act = line(51803, "conn3", r#""type":"query","ns":"shop.a","remote":"10.0.0.7:1""#);
        assert!(show(&mut next, act.as_bytes()).contains("app Authenticated"));
    }
}
