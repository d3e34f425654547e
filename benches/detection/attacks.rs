//! Attacks, in three strengths: what is to be found.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use crate::Wanted;
use crate::dice::Dice;
use crate::population::{Act, Class, DAY, End, HOUR, MINUTE, START, Token, hosting, internal, residential};
use crate::schema::{self, Template};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    Easy,
    Medium,
    Hard,
}

impl Strength {
    pub fn name(self) -> &'static str {
        match self {
            Strength::Easy => "easy",
            Strength::Medium => "medium",
            Strength::Hard => "hard",
        }
    }
}

/// Name, and beginnings of the detectors that speak of what was done: one of them is to be among the first two that an alert names.
pub const SCENARIOS: &[(&str, &[&str])] = &[
    ("stolen, bulk", PLACE),
    ("stolen, mimicking", PLACE),
    ("stolen, near", NEAR),
    ("same machine, other client", &["new_client"]),
    ("parallel use", PLACE),
    ("insider, other tables", DEED),
    ("slow exfiltration", &["rate"]),
    ("mass copy", DEED),
    ("schema enumeration", DEED),
    ("denied probing", &["denied", "rule.denied", "new_scope", "policy.scope"]),
    ("grants", DEED),
    ("destruction", DEED),
    ("injection", &["new_statement", "errors", "rule.", "new_scope"]),
    ("off hours", &["unusual_hour", "policy.hours"]),
    ("dormant, revived", &["new_network", "new_address", "policy.network", "concurrent_use", "unpopular_network", "dormant"]),
    ("low and slow", PLACE),
    ("drip, then burst", DEED),
    ("sensitive table", DEED),
    ("stuffing, then success", PLACE),
];
/// What only an inventory can tell, and has to tell at the first event.
pub const DEFINITE: &[(&str, &[&str])] = &[(REVOKED, &["policy.revoked"]), ("canary object", &["policy.canary"])];
const REVOKED: &str = "revoked token";
const PLACE: &[&str] =
    &["new_network", "new_address", "policy.network", "concurrent_use", "unpopular_network", "rule.failed", "rule.credential_stuffing"];
/// Careless ones bring their own tools there.
const NEAR: &[&str] = &["new_network", "new_address", "policy.network", "concurrent_use", "unpopular_network", "new_client"];
const DEED: &[&str] = &["new_scope", "new_operation", "sensitive_object", "new_statement", "policy.scope", "rule."];

/// One attack.
#[derive(Debug, Clone)]
pub struct Attack {
    pub scenario: usize,
    pub strength: Strength,
    pub token: usize,
    /// Microseconds of its first and last event.
    pub begin: i64,
    pub end: i64,
    /// Times of its events.
    pub events: Vec<i64>,
    /// The part before the burst, which is to make the burst look usual.
    pub drip: bool,
}

impl Attack {
    /// Its name, and the detectors that are to speak of it.
    pub fn what(&self) -> (&'static str, &'static [&'static str]) {
        *SCENARIOS.iter().chain(DEFINITE).nth(self.scenario).unwrap_or_else(|| unreachable!("{}", self.scenario))
    }

    /// Its token was revoked the day before.
    pub fn revoked(&self) -> bool {
        self.what().0 == REVOKED
    }
}

/// Draws the attacks of a seed: about every third token (`--attacks`) is attacked once, after the learning period.
pub fn draw(seed: u64, tokens: &[Token], wanted: &Wanted, acts: &mut [Vec<Act>]) -> Vec<Attack> {
    let (learning, days) = (wanted.learning, wanted.days);
    let mut attacks = Vec::new();
    for token in tokens {
        let dice = &mut Dice::of(&[seed, 4, token.number as u64]);
        if !dice.chance(wanted.attacks) || token.born > learning - 7 {
            continue;
        }
        let scenario = dice.below(SCENARIOS.len());
        if !possible(SCENARIOS[scenario].0, token.class) {
            continue;
        }
        let strength = *dice.pick(&[Strength::Easy, Strength::Medium, Strength::Hard]);
        let day = dice.between(learning + 2, days - 4);
        let number = attacks.len();
        let mut found = Vec::new();
        play(SCENARIOS[scenario].0, strength, day, days, token, dice, &mut found);
        found.retain(|act| act.time < START + days * DAY);
        found.sort_by_key(|act| act.time);
        // A drip is preparation: it is the burst that is to be found.
        let drip = SCENARIOS[scenario].0 == "drip, then burst";
        let burst = if drip { found.last().map_or(0, |last| last.time - 6 * HOUR) } else { 0 };
        if !wanted.drip {
            found.retain(|act| act.time >= burst);
        }
        // The log has milliseconds.
        let events: Vec<i64> = found.iter().map(|act| act.time / 1000 * 1000).filter(|time| *time >= burst).collect();
        let (Some(begin), Some(end)) = (events.first().copied(), events.last().copied()) else { continue };
        for mut act in found {
            act.attack = Some(number);
            acts[((act.time - START) / DAY) as usize].push(act);
        }
        attacks.push(Attack { scenario, strength, token: token.number, begin, end, events, drip });
    }
    if wanted.inventory {
        draw_definite(seed, tokens, wanted, acts, &mut attacks);
    }
    attacks
}

/// Those of which an inventory tells, on declared tokens that are not attacked otherwise: as often as any other scenario.
fn draw_definite(seed: u64, tokens: &[Token], wanted: &Wanted, acts: &mut [Vec<Act>], attacks: &mut Vec<Attack>) {
    for token in tokens.iter().filter(|token| token.declared() && token.born <= wanted.learning - 7) {
        let dice = &mut Dice::of(&[seed, 6, token.number as u64]);
        let share = 2.0 * wanted.attacks * DEFINITE.len() as f64 / SCENARIOS.len() as f64;
        if !dice.chance(share) || attacks.iter().any(|attack| attack.token == token.number) {
            continue;
        }
        let at = dice.below(DEFINITE.len());
        let strength = *dice.pick(&[Strength::Easy, Strength::Medium, Strength::Hard]);
        let day = dice.between(wanted.learning + 2, wanted.days - 4);
        let usual = token.addresses.first().or(token.home.first()).copied().unwrap_or_else(|| crate::population::cloud(dice));
        let begin = START + day * DAY + token.moment(dice).min(22 * HOUR);
        let attack =
            Attack { scenario: SCENARIOS.len() + at, strength, token: token.number, begin, end: begin, events: vec![begin], drip: false };
        let text = if attack.revoked() {
            // Its own programs have stopped; somebody else still has it.
            for later in acts.iter_mut().skip(day as usize - 1) {
                later.retain(|act| act.token != token.number);
            }
            dice.skewed(&token.statements).text(dice)
        } else {
            format!("SELECT * FROM {}.{}", schema::APPS[token.app], schema::CANARY)
        };
        let mut act = token.act(begin, usual, &token.clients[0], &text, End::Done);
        act.attack = Some(attacks.len());
        acts[day as usize].push(act);
        attacks.push(Attack { begin: begin / 1000 * 1000, end: begin / 1000 * 1000, events: vec![begin / 1000 * 1000], ..attack });
    }
}

fn possible(scenario: &str, class: Class) -> bool {
    match scenario {
        "off hours" => matches!(class, Class::Person | Class::Batch | Class::Admin | Class::Backup),
        "dormant, revived" => matches!(class, Class::Rare | Class::Person),
        "grants" | "schema enumeration" => class != Class::Admin,
        "mass copy" => class != Class::Backup,
        "slow exfiltration" => class.always_on() || class == Class::Batch,
        _ => class != Class::Ci || scenario.starts_with("insider"),
    }
}

/// An attacker's address: the better he is, the more like the victim's.
fn stranger(strength: Strength, token: &Token, dice: &mut Dice) -> IpAddr {
    match strength {
        Strength::Easy => hosting(dice),
        Strength::Medium => residential(dice),
        Strength::Hard if token.class == Class::Person || token.class == Class::Admin => near(token.home.first().copied(), dice),
        Strength::Hard => internal(token.app + 1, dice.below(200), dice),
    }
}

/// Another network of the same provider.
fn near(home: Option<IpAddr>, dice: &mut Dice) -> IpAddr {
    match home {
        Some(IpAddr::V4(home)) => {
            let [a, b, _, _] = home.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, dice.below(256) as u8, 1 + dice.below(254) as u8))
        }
        _ => residential(dice),
    }
}

fn play(scenario: &str, strength: Strength, day: i64, days: i64, token: &Token, dice: &mut Dice, acts: &mut Vec<Act>) {
    let usual = token.addresses.first().or(token.home.first()).copied().unwrap_or_else(|| crate::population::cloud(dice));
    let own: Rc<str> = token.clients[0].clone();
    let foreign: Rc<str> = Rc::from(match strength {
        Strength::Easy => "python-requests",
        Strength::Medium => "psql",
        Strength::Hard => &token.clients[0],
    });
    let tables = schema::tables(token.app);
    let other = schema::tables(token.app + 2 + dice.below(4));
    // In the token's own hours where the attacker is careful.
    let begin = START
        + day * DAY
        + match strength {
            Strength::Easy => dice.between(0, 22 * HOUR),
            _ => token.moment(dice).min(22 * HOUR),
        };
    let size = match strength {
        Strength::Easy => 50,
        Strength::Medium => 16,
        Strength::Hard => 5,
    };
    // He has found what he came for: a few statements again and again are no more distinct ones than a deployment brings.
    let few = |tables: &[String], dice: &mut Dice| -> Vec<Template> {
        let wanted = size / 4 + 1;
        (0..wanted).map(|_| schema::read(&dice.pick(tables).clone(), dice)).collect()
    };
    let mimic = |dice: &mut Dice| dice.skewed(&token.statements).text(dice);
    let spread = |dice: &mut Dice, over: i64| begin + dice.between(0, over);
    let mut say =
        |time: i64, address: IpAddr, client: &Rc<str>, text: &str, end: End| acts.push(token.act(time, address, client, text, end));
    match scenario {
        "stolen, bulk" | "dormant, revived" => {
            let from = stranger(strength, token, dice);
            say(begin, from, &foreign, "", End::Login);
            for _ in 0..size {
                let text = match strength {
                    Strength::Hard => mimic(dice),
                    _ => format!("SELECT * FROM {}", dice.pick(&tables)),
                };
                say(spread(dice, HOUR), from, &foreign, &text, End::Done);
            }
        }
        "stolen, mimicking" | "parallel use" => {
            let from = stranger(strength, token, dice);
            say(begin, from, &own, "", End::Login);
            for _ in 0..size {
                let text = mimic(dice);
                say(spread(dice, 3 * HOUR), from, &own, &text, End::Done);
            }
        }
        "stolen, near" => {
            let from = near(Some(usual), dice);
            let reads = few(&tables[..10], dice);
            say(begin, from, &foreign, "", End::Login);
            for _ in 0..size {
                let text = dice.pick(&reads).text(dice);
                say(spread(dice, 2 * HOUR), from, &foreign, &text, End::Done);
            }
        }
        "same machine, other client" => {
            let client: Rc<str> = Rc::from(*dice.pick(&["psql", "sqlmap", "python3", "perl-dbi", "custom"]));
            let reads = few(&tables, dice);
            say(begin, usual, &client, "", End::Login);
            for _ in 0..size {
                let text = if strength == Strength::Hard { mimic(dice) } else { dice.pick(&reads).text(dice) };
                say(spread(dice, 2 * HOUR), usual, &client, &text, End::Done);
            }
        }
        "insider, other tables" => {
            let reads = few(&other[..10], dice);
            for _ in 0..size {
                let text = dice.pick(&reads).text(dice);
                say(spread(dice, 4 * HOUR), usual, &own, &text, End::Done);
            }
        }
        "sensitive table" => {
            let table = if strength == Strength::Hard { &tables[10] } else { &other[10] };
            for _ in 0..size.min(10) {
                let text = schema::read(table, dice).text(dice);
                say(spread(dice, HOUR), usual, &own, &text, End::Done);
            }
        }
        "slow exfiltration" => {
            let factor = match strength {
                Strength::Easy => 12.0,
                Strength::Medium => 5.0,
                Strength::Hard => 2.5,
            };
            for later in 0..4 {
                for _ in 0..(token.rate * factor) as usize {
                    let time = START + (day + later) * DAY + dice.between(9 * HOUR, 13 * HOUR);
                    let text = mimic(dice);
                    say(time, usual, &own, &text, End::Done);
                }
            }
        }
        "mass copy" => {
            for table in tables.iter().take(size.min(tables.len())) {
                let text = if strength == Strength::Hard { format!("SELECT * FROM {table}") } else { format!("COPY {table} TO stdout") };
                say(spread(dice, HOUR), usual, &own, &text, End::Done);
            }
        }
        "schema enumeration" => {
            for _ in 0..size.min(12) {
                let text = *dice.pick(&schema::ENUMERATION);
                say(spread(dice, 30 * MINUTE), usual, &own, text, End::Done);
            }
        }
        "denied probing" => {
            for n in 0..size.min(12) {
                let text = schema::read(&other[n % other.len()], dice).text(dice);
                say(spread(dice, 2 * HOUR), usual, &own, &text, End::Denied);
            }
        }
        "grants" => {
            let texts = ["CREATE ROLE helper LOGIN SUPERUSER", "ALTER ROLE helper CREATEROLE", "GRANT pg_read_all_data TO helper"];
            for text in texts.iter().take(if strength == Strength::Hard { 1 } else { 3 }) {
                say(spread(dice, 10 * MINUTE), usual, &own, text, End::Done);
            }
        }
        "destruction" => {
            for table in tables.iter().take(if strength == Strength::Hard { 1 } else { 4 }) {
                let text = if strength == Strength::Easy { format!("DROP TABLE {table}") } else { format!("TRUNCATE {table}") };
                say(spread(dice, 10 * MINUTE), usual, &own, &text, End::Done);
            }
        }
        "injection" => {
            for _ in 0..size {
                let Template { before, after } = dice.pick(&token.statements).clone();
                let before = if after.is_some() { before } else { format!("{before} WHERE 1 = ") };
                let tail = match strength {
                    Strength::Easy => "1 UNION SELECT rolname, rolpassword, 3 FROM pg_authid -- ",
                    Strength::Medium => "1 OR 1=1 -- ",
                    Strength::Hard => "1 AND ascii(substr((SELECT current_user), 1, 1)) > 64",
                };
                say(spread(dice, HOUR), usual, &own, &format!("{before}{tail}"), if dice.chance(0.3) { End::Failed } else { End::Done });
            }
        }
        "off hours" => {
            let hour = (token.hour + 14) % 24;
            for _ in 0..size {
                let time = START + day * DAY + hour * HOUR + dice.between(0, HOUR);
                let text = mimic(dice);
                say(time.min(START + days * DAY - 1), usual, &own, &text, End::Done);
            }
        }
        "low and slow" => {
            let from = stranger(strength, token, dice);
            for later in 0..4 {
                for _ in 0..(size / 12).max(1) {
                    let time = START + (day + later) * DAY + token.moment(dice);
                    let text = mimic(dice);
                    say(time, from, &own, &text, End::Done);
                }
            }
        }
        "drip, then burst" => {
            let from = stranger(strength, token, dice);
            let drip = dice.between(8, 10).min(day - 3);
            for earlier in 1..=drip {
                let time = START + (day - earlier) * DAY + token.moment(dice);
                let text = mimic(dice);
                say(time, from, &own, &text, End::Done);
            }
            let at = dice.below(other.len() - 3);
            for _ in 0..size.max(6) {
                let text = format!("SELECT * FROM {}", dice.pick(&other[at..at + 3]));
                say(spread(dice, 2 * HOUR), from, &own, &text, End::Done);
            }
        }
        "stuffing, then success" => {
            let from = stranger(strength, token, dice);
            for _ in 0..size * 2 {
                say(spread(dice, 20 * MINUTE), from, &foreign, "", End::LoginRefused);
            }
            let at = begin + 25 * MINUTE;
            say(at, from, &foreign, "", End::Login);
            for _ in 0..size.min(10) {
                let text = mimic(dice);
                say(at + dice.between(0, 10 * MINUTE), from, &foreign, &text, End::Done);
            }
        }
        _ => unreachable!("{scenario}"),
    }
}
