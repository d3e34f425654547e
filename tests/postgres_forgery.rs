//! PostgreSQL prints user and database of a client into its stderr log before it has verified them, line ends and all. Here an
//! independent writer of that log, with clients that put forged records into their names: no token acts that did not, and what the true
//! sessions did is still seen.

mod support;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use support::forgery::{actor, read};
use support::random::Random;
use tokenwatch::config::FormatOptions;
use tokenwatch::decoder::stream::{Item, Stream};
use tokenwatch::decoder::{Decoded, by_name};
use tokenwatch::event::Kind;

const CASES: u64 = 1_200;

/// Prefixes of the logs, with whether the reader is told: `None` is found from the log.
const PREFIXES: [(&str, bool); 5] = [
    ("%m [%p] %q%u@%d ", true),
    ("%m [%p] %q%u@%d ", false),
    ("%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e ", true),
    ("%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e ", false),
    ("%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ", true),
];

/// What forged records pretend; no true client does any of it.
const VICTIM: &str = "tok_victim";
const LOOT: &str = "forged_table";

/// Longest name, up to PostgreSQL 16 and after it.
const NAMES: [usize; 2] = [63, 10_000];

/// Bytes around an attempt in which a record may be doubted: the longest name, and the record that it is in.
const REACH: usize = 10_500;

#[test]
fn no_forged_token_acts_and_true_acts_are_seen() {
    let (acts, seen, attempts) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                for seed in std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|seed| *seed < CASES) {
                    let log = Log::write(seed);
                    let trusted = log.trusted(seed);
                    let outside: Vec<_> = log.acts.iter().filter(|(_, at)| log.outside(*at)).collect();
                    acts.fetch_add(outside.len(), Ordering::Relaxed);
                    seen.fetch_add(outside.iter().filter(|(act, _)| trusted.contains(act)).count(), Ordering::Relaxed);
                    attempts.fetch_add(log.attempts.len(), Ordering::Relaxed);
                }
            });
        }
    });
    let (acts, seen, attempts) = (acts.into_inner(), seen.into_inner(), attempts.into_inner());
    let share = seen as f64 / acts as f64;
    println!("{attempts} attempts; {seen} of {acts} true acts out of reach are not doubted ({:.2} %)", share * 100.0);
    assert!(attempts > 2_000 && share >= 0.95, "{attempts} attempts, {seen} of {acts} true acts out of reach are not doubted");
}

/// A session as the prefix prints it.
#[derive(Clone)]
struct Session {
    pid: usize,
    user: String,
    database: String,
    host: String,
    application: &'static str,
    line: usize,
}

impl Session {
    fn new(pid: usize, user: &str, host: &str) -> Session {
        let (user, database) = (user.to_owned(), "appdb".to_owned());
        Session { pid, user, database, host: host.to_owned(), application: "[unknown]", line: 0 }
    }
}

/// One log, and what is true of it.
struct Log {
    prefix: &'static str,
    told: bool,
    text: String,
    /// The statements that true sessions ran, with where their records stand.
    acts: Vec<(String, usize)>,
    /// Where the records of hostile clients stand.
    attempts: Vec<Range<usize>>,
    clock: usize,
}

impl Log {
    fn write(seed: u64) -> Log {
        let random = &mut Random::new(seed);
        let (prefix, told) = PREFIXES[random.below(PREFIXES.len())];
        let limit = NAMES[usize::from(random.below(4) == 0)];
        let mut log = Log { prefix, told, text: String::new(), acts: Vec::new(), attempts: Vec::new(), clock: 0 };
        let mut open: Vec<Session> = Vec::new();
        let hostile: Vec<usize> = (0..1 + random.below(3)).map(|_| random.below(400)).collect();
        for step in 0..400 {
            if hostile.contains(&step) {
                log.attempt(random, limit, &open);
            }
            if open.len() < 5 && random.below(12) == 0 {
                let user = random.pick(&["billing", "etl", "report"]);
                let mut session = Session::new(1_000 + step, user, random.pick(&["10.1.0.7", "10.1.0.8"]));
                log.login(&mut session);
                open.push(session);
            } else if !open.is_empty() {
                let which = random.below(open.len());
                if random.below(40) == 0 {
                    let mut session = open.swap_remove(which);
                    let text = format!("disconnection: session time: 0:00:01.0 user={} database=appdb host=x port=5", session.user);
                    log.entry(&mut session, "LOG", &text, &[]);
                } else {
                    let statement = format!("SELECT {}{} FROM orders", seed * 1_000 + step as u64, random.pick(&["", "\n", "\n  "]));
                    log.act(random, &mut open[which], statement);
                }
            }
        }
        log
    }

    /// Out of reach of every name, so that nobody else can have written what stands there.
    fn outside(&self, at: usize) -> bool {
        self.attempts.iter().all(|attempt| at + REACH < attempt.start || attempt.end + REACH < at)
    }

    fn login(&mut self, session: &mut Session) {
        let mut early = Session { user: "[unknown]".to_owned(), database: "[unknown]".to_owned(), ..session.clone() };
        self.entry(&mut early, "LOG", &format!("connection received: host={} port=5", session.host), &[]);
        session.line = early.line;
        let text = format!("connection authorized: user={} database={} application_name=app", session.user, session.database);
        self.entry(session, "LOG", &text, &[]);
        session.application = "app";
    }

    fn act(&mut self, random: &mut Random, session: &mut Session, statement: String) {
        match random.below(8) {
            0 => self.entry(session, "ERROR", "permission denied for table orders", &[("STATEMENT", &statement)]),
            _ => self.entry(session, "LOG", &format!("statement: {statement}"), &[]),
        }
        self.acts.push((statement, self.text.len()));
    }

    /// A client that is turned away and whose name, cut as the server cuts it, holds what it likes.
    fn attempt(&mut self, random: &mut Random, limit: usize, open: &[Session]) {
        let from = self.text.len();
        self.refused(random, limit, open);
        self.attempts.push(from..self.text.len());
    }

    fn refused(&mut self, random: &mut Random, limit: usize, open: &[Session]) {
        let mut session = Session::new(3_000 + self.attempts.len(), "mallory", "10.9.9.9");
        let mut early = Session { user: "[unknown]".to_owned(), database: "[unknown]".to_owned(), ..session.clone() };
        self.entry(&mut early, "LOG", "connection received: host=10.9.9.9 port=5", &[]);
        session.line = early.line;
        if random.below(4) == 0 {
            // It knows one password: the server greets it, then misses the database.
            session.database = self.name(random, limit, open);
            let database = session.database.clone();
            self.entry(&mut session, "LOG", "connection authenticated: identity=\"mallory\" method=scram-sha-256 (pg_hba.conf:3)", &[]);
            self.entry(&mut session, "LOG", &format!("connection authorized: user=mallory database={database} application_name=x"), &[]);
            self.entry(&mut session, "FATAL", &format!("database \"{database}\" does not exist"), &[]);
            return;
        }
        session.user = self.name(random, limit, open);
        if random.below(3) == 0 {
            session.database = self.name(random, limit, open);
        }
        let (user, database) = (session.user.clone(), session.database.clone());
        let failed = format!("password authentication failed for user \"{user}\"");
        let line = "Connection matched pg_hba.conf line 3: \"host all all all scram-sha-256\"";
        match random.below(6) {
            0 => {
                let text = format!(
                    "pg_hba.conf rejects connection for host \"10.9.9.9\", user \"{user}\", database \"{database}\", no encryption"
                );
                self.entry(&mut session, "FATAL", &text, &[]);
            }
            1 => self.entry(&mut session, "FATAL", "expected SASL response, got message type 88", &[]),
            2 => self.entry(&mut session, "FATAL", "canceling authentication due to timeout", &[]),
            3 => self.entry(&mut session, "FATAL", &failed, &[("DETAIL", line)]),
            _ => {
                let detail = format!("Role \"{user}\" does not exist.\n{line}");
                self.entry(&mut session, "FATAL", &failed, &[("DETAIL", &detail)]);
            }
        }
    }

    fn name(&mut self, random: &mut Random, limit: usize, open: &[Session]) -> String {
        let mut name = random.pick(&["", "x", VICTIM, "a@b", "tok_victim@appdb LOG:  statement: SELECT 1 FROM forged_table"]).to_owned();
        let long = limit > 63;
        for _ in 0..1 + random.below(if long { 40 } else { 3 }) {
            let mut forged = match open.get(random.below(open.len() * 2)) {
                // All that is known of a session, but the number of its last line.
                Some(live) if self.prefix.contains("%l") && random.below(2) == 0 => {
                    Session { line: live.line + 2 + random.below(80), ..live.clone() }
                }
                live => {
                    let pid = live.map_or_else(|| random.below(5_000), |live| live.pid);
                    Session { line: random.below(90), application: "psql", ..Session::new(pid, VICTIM, "10.6.6.6") }
                }
            };
            let head = self.head(&forged);
            let part = match random.below(9) {
                0 => format!("\n{head}LOG:  statement: DELETE FROM {LOOT}"),
                1 => {
                    forged.user = "[unknown]".to_owned();
                    let early = self.head(&forged);
                    format!(
                        "\n{early}LOG:  connection received: host=10.6.6.6 port=6\n{head}LOG:  connection authorized: user={VICTIM} \
                         database=appdb\n{head}LOG:  statement: DELETE FROM {LOOT}\n"
                    )
                }
                2 => format!("\n{}", &head[..random.below(head.len())]),
                3 => format!(" LOG:  statement: SELECT 1 FROM {LOOT}"),
                4 => format!("\n{head}ERROR:  permission denied for table {LOOT}\n{head}STATEMENT:  SELECT * FROM {LOOT}"),
                5 => format!("\n\tFROM {LOOT}"),
                6 => random.pick(&["\n", "\r\n", "\n\n", "@", " FATAL:  no", "\t", "\"", "\" does not exist"]).to_owned(),
                7 => format!("\n{head}LOG:  AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.{LOOT},SELECT * FROM {LOOT},<none>"),
                // Short, so that a whole line fits into 63 bytes.
                _ => format!("\n2026-11-22 02:00:00.000 UTC [7] {VICTIM}@d LOG:  statement: x"),
            };
            name.push_str(&part);
        }
        name.truncate(limit);
        name
    }

    /// The prefix, as it stands before each line of an entry.
    fn head(&self, s: &Session) -> String {
        let (minute, second, ms) = (self.clock / 60_000, self.clock / 1_000 % 60, self.clock % 1_000);
        let stamp = format!("2026-11-22 02:{minute:02}:{second:02}");
        let Session { pid, user, database, host, application, line } = s;
        match self.prefix {
            "%m [%p] %q%u@%d " => format!("{stamp}.{ms:03} UTC [{pid}] {user}@{database} "),
            "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h " => {
                format!("{stamp} UTC [{pid}]: [{line}-1] user={user},db={database},app={application},client={host} ")
            }
            _ => format!(
                "{stamp}.{ms:03} UTC [{pid}] {user}@{database} {host}(5) app={application} sess=6b024ddd.{pid:x} line={line} state=00000 "
            ),
        }
    }

    /// What the server writes at once: a TAB follows the line ends of messages, but not those of the prefix.
    fn entry(&mut self, session: &mut Session, severity: &str, message: &str, more: &[(&str, &str)]) {
        self.clock += 7;
        for (label, text) in std::iter::once(&(severity, message)).chain(more) {
            session.line += 1;
            let line = format!("{}{label}:  {}\n", self.head(session), text.replace('\n', "\n\t"));
            self.text.push_str(&line);
        }
    }

    /// The statements of the acts that the decoder attributes without doubt; panics if one is forged.
    fn trusted(&self, seed: u64) -> BTreeSet<String> {
        let options = FormatOptions { log_line_prefix: self.told.then(|| self.prefix.to_owned()), ..FormatOptions::default() };
        let mut trusted = BTreeSet::new();
        let mut sink = |item: Item<'_>| {
            let Decoded::Event(event) = &item.decoded else { return };
            let Some(principal) = actor(event) else { return };
            let acts = matches!(event.kind, Kind::Query | Kind::Denied | Kind::Error | Kind::Login);
            let statement = event.statement.map(|s| s.to_string()).unwrap_or_default();
            let objects = format!("{:?}", event.objects);
            let forged = principal.name == VICTIM || statement.contains(LOOT) || objects.contains(LOOT);
            if acts && forged {
                let from = usize::try_from(item.offset).expect("small").saturating_sub(1_500);
                let around = self.text.get(from..).unwrap_or_default();
                panic!("case {seed}, {}: {event:?}\nin\n{}", self.prefix, around.chars().take(3_000).collect::<String>());
            }
            trusted.insert(statement);
        };
        read(Stream::new(by_name("postgres-stderr"), options, 0), self.text.as_bytes(), || 8_192, &mut sink);
        trusted
    }
}
