//! The tokens of a company, and what each does on an ordinary day.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use crate::dice::Dice;
use crate::schema::{self, APPS, Template};

pub const MINUTE: i64 = 60_000_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// Day 0: Thursday, 1 October 2026.
pub const START: i64 = 1_790_812_800 * 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Service,
    Pooled,
    Batch,
    Person,
    Ci,
    Admin,
    Monitoring,
    Rare,
    Backup,
}

impl Class {
    pub const ALL: [Class; 9] = [
        Class::Service,
        Class::Pooled,
        Class::Batch,
        Class::Person,
        Class::Ci,
        Class::Admin,
        Class::Monitoring,
        Class::Rare,
        Class::Backup,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Class::Service => "service",
            Class::Pooled => "pooled",
            Class::Batch => "batch",
            Class::Person => "person",
            Class::Ci => "ci",
            Class::Admin => "admin",
            Class::Monitoring => "monitoring",
            Class::Rare => "rare",
            Class::Backup => "backup",
        }
    }

    /// Is it a program that works at all hours?
    pub fn always_on(self) -> bool {
        matches!(self, Class::Service | Class::Pooled | Class::Monitoring)
    }
}

/// How one event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done,
    Denied,
    /// An error of syntax or of a name.
    Failed,
    Login,
    LoginRefused,
}

/// One event, before it is written down.
#[derive(Debug, Clone)]
pub struct Act {
    pub time: i64,
    pub token: usize,
    pub address: IpAddr,
    pub client: Rc<str>,
    pub statement: Rc<str>,
    pub end: End,
    /// Which attack it is part of.
    pub attack: Option<usize>,
}

/// One token with the state that its days and its changes move on.
#[derive(Debug, Clone)]
pub struct Token {
    pub number: usize,
    pub name: String,
    pub class: Class,
    pub app: usize,
    /// Applications whose tables it works with, in the order in which it began to.
    pub projects: Vec<usize>,
    pub born: i64,
    /// Where it comes from on most days.
    pub addresses: Vec<IpAddr>,
    /// People: at home.
    pub home: Vec<IpAddr>,
    pub clients: Vec<Rc<str>>,
    pub statements: Vec<Template>,
    /// Statements on Sundays, and on the first of a month.
    pub weekly: Vec<Template>,
    pub monthly: Vec<Template>,
    /// Hour (UTC) at which people begin and batches run.
    pub hour: i64,
    /// Statements on an ordinary day.
    pub rate: f64,
    /// Probability of an active day (rarely used tokens and people).
    pub active: f64,
    /// Days without any use.
    pub silent: std::ops::Range<i64>,
    /// Events of ordinary days are multiplied by this today.
    pub load: f64,
    /// Share of statements that nobody sent before (people and their tools).
    pub adhoc: f64,
}

fn v4(a: usize, b: usize, c: usize, d: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a as u8, b as u8, c as u8, d as u8))
}

/// A public address of a private line.
pub fn residential(dice: &mut Dice) -> IpAddr {
    // Of carriers that connect homes: Deutsche Telekom, Orange, Comcast, BT.
    let (first, from, blocks) = *dice.pick(&[(84, 128, 64), (93, 192, 64), (90, 0, 128), (73, 0, 200), (86, 128, 48)]);
    v4(first, from + dice.below(blocks), dice.below(256), 1 + dice.below(254))
}

/// A public address in a data centre.
pub fn hosting(dice: &mut Dice) -> IpAddr {
    // DigitalOcean, Hetzner, OVH, Vultr, Linode, M247, and four that hardly any list knows.
    let (first, second) = *dice.pick(&[
        (134, 209),
        (167, 99),
        (95, 216),
        (159, 69),
        (51, 38),
        (45, 76),
        (172, 104),
        (146, 70),
        (185, 61),
        (193, 29),
        (45, 139),
        (194, 26),
    ]);
    v4(first, second, dice.below(256), 1 + dice.below(254))
}

/// An address of the clouds in which build machines live.
pub fn cloud(dice: &mut Dice) -> IpAddr {
    v4(*dice.pick(&[34, 52, 20]), 10 + dice.below(100), dice.below(256), 1 + dice.below(254))
}

fn privacy(dice: &mut Dice, line: u64) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from((0x2a02_0810_u128 << 96) | u128::from(line & 0xffff) << 64 | u128::from(dice.next() >> 2)))
}

/// A pod or machine of an application: each has a /24 of its own.
pub fn internal(app: usize, pool: usize, dice: &mut Dice) -> IpAddr {
    v4(10, 20 + app, pool % 250, 2 + dice.below(250))
}

/// The whole company.
pub fn make(seed: u64, count: usize) -> Vec<Token> {
    (0..count).map(|number| one(seed, number)).collect()
}

fn one(seed: u64, number: usize) -> Token {
    let dice = &mut Dice::of(&[seed, 1, number as u64]);
    let class = match dice.below(100) {
        0..34 => Class::Service,
        34..42 => Class::Pooled,
        42..55 => Class::Batch,
        55..74 => Class::Person,
        74..80 => Class::Ci,
        80..85 => Class::Admin,
        85..89 => Class::Monitoring,
        89..97 => Class::Rare,
        _ => Class::Backup,
    };
    let app = dice.below(APPS.len());
    let tables = schema::tables(app);
    let own = 2 + dice.below(5);
    let mut statements = Vec::new();
    for _ in 0..own {
        let table = dice.pick(&tables[..10]).clone();
        for _ in 0..2 + dice.below(3) {
            statements.push(schema::read(&table, dice));
        }
        if !matches!(class, Class::Person | Class::Monitoring | Class::Backup) {
            statements.push(schema::write(&table, dice));
        }
    }
    let pool = number % 200;
    let addresses: Vec<IpAddr> = match class {
        // A partner, or a service that somebody else hosts.
        Class::Service if number.is_multiple_of(10) => vec![cloud(dice)],
        Class::Service => (0..2 + dice.below(5)).map(|_| internal(app, pool, dice)).collect(),
        Class::Person => vec![v4(10, 60, dice.below(4), 2 + dice.below(250))],
        Class::Ci => Vec::new(),
        _ => vec![internal(app, pool, dice)],
    };
    let home = if class == Class::Person || class == Class::Admin { vec![residential(dice)] } else { Vec::new() };
    let clients: &[&str] = match class {
        Class::Service => &["node-postgres", "PostgreSQL JDBC Driver", "pgx", "psycopg2"],
        Class::Pooled => &["pgbouncer"],
        Class::Batch | Class::Rare => &["airflow", "psql", "dbt", "python-etl"],
        Class::Person => &["DBeaver 24.1", "pgAdmin 4", "Tableau", "psql"],
        Class::Ci => &["gitlab-runner", "flyway"],
        Class::Admin => &["psql", "pgAdmin 4"],
        Class::Monitoring => &["postgres_exporter", "datadog-agent"],
        Class::Backup => &["pg_dump"],
    };
    let clients = vec![Rc::from(*dice.pick(clients))];
    match class {
        Class::Monitoring => statements = schema::CATALOG[..3].iter().map(|text| schema::fixed(text)).collect(),
        Class::Backup => statements = tables.iter().map(|table| schema::fixed(&format!("COPY {table} TO stdout"))).collect(),
        Class::Admin => statements.extend(schema::CATALOG.iter().map(|text| schema::fixed(text))),
        _ => {}
    }
    let batch = |dice: &mut Dice| -> Vec<Template> {
        let table = dice.pick(&tables[..10]).clone();
        (0..2).map(|_| schema::read(&table, dice)).collect()
    };
    let weekly = if class == Class::Batch && dice.chance(0.6) { batch(dice) } else { Vec::new() };
    let monthly = if matches!(class, Class::Batch | Class::Rare) && dice.chance(0.5) { batch(dice) } else { Vec::new() };
    let (rate, active, adhoc) = match class {
        Class::Service => (60.0 + 200.0 * dice.unit(), 1.0, 0.0),
        Class::Pooled => (200.0 + 200.0 * dice.unit(), 1.0, 0.0),
        Class::Batch => (30.0 + 40.0 * dice.unit(), 0.97, 0.0),
        Class::Person => (10.0 + 30.0 * dice.unit(), 0.75, 0.06),
        Class::Ci => (40.0, 0.9, 0.01),
        Class::Admin => (8.0, 0.5, 0.08),
        Class::Monitoring => (144.0, 1.0, 0.0),
        Class::Rare => (6.0, 0.18, 0.0),
        Class::Backup => (11.0, 0.98, 0.0),
    };
    let born = if dice.chance(0.07) { dice.between(3, 20) } else { 0 };
    let hour = match class {
        Class::Person | Class::Admin => dice.between(6, 9),
        _ => dice.between(0, 5),
    };
    let name = format!("{}_{}_{number}", APPS[app], class.name());
    Token {
        number,
        name,
        class,
        app,
        projects: vec![app],
        born,
        addresses,
        home,
        clients,
        statements,
        weekly,
        monthly,
        hour,
        rate,
        active,
        silent: 0..0,
        load: 1.0,
        adhoc,
    }
}

impl Token {
    /// The day's events.
    pub fn day(&self, seed: u64, day: i64, acts: &mut Vec<Act>) {
        let dice = &mut Dice::of(&[seed, 2, self.number as u64, day as u64]);
        let weekday = (day + 3).rem_euclid(7);
        let weekend = weekday >= 5;
        if day < self.born || self.silent.contains(&day) {
            return;
        }
        let people = matches!(self.class, Class::Person | Class::Admin);
        if !dice.chance(self.active * if people && weekend { 0.08 } else { 1.0 }) {
            return;
        }
        let mut wanted: Vec<&Template> = Vec::new();
        let count = dice.poisson(self.rate * self.load * if weekend && self.class == Class::Service { 0.6 } else { 1.0 });
        match self.class {
            Class::Backup => wanted.extend(&self.statements),
            _ => wanted.extend((0..count).map(|_| dice.skewed(&self.statements))),
        }
        if weekday == 6 {
            wanted.extend(&self.weekly);
        }
        if day == 0 || day == 31 || (day - 31).rem_euclid(30) == 0 && day > 31 || self.class == Class::Rare && dice.chance(0.1) {
            wanted.extend(&self.monthly);
        }
        let addresses = self.addresses_of(dice, day);
        let client = if self.clients.len() > 1 && dice.chance(0.3) { dice.pick(&self.clients) } else { &self.clients[0] };
        let tables = schema::tables(self.app);
        let begin = START + day * DAY;
        for address in &addresses {
            let at = begin + self.moment(dice);
            acts.push(self.act(at, *address, client, "", End::Login));
        }
        for template in wanted {
            let at = begin + self.moment(dice);
            let address = *dice.pick(&addresses);
            let text = if dice.chance(self.adhoc) {
                let table = dice.skewed(&tables[..10]).clone();
                schema::read(&table, dice).text(dice)
            } else {
                template.text(dice)
            };
            acts.push(self.act(at, address, client, &text, End::Done));
        }
    }

    /// Does the inventory know it?
    pub fn declared(&self) -> bool {
        self.number.is_multiple_of(2)
    }

    /// Does it come from the company's own networks?
    pub fn internal(&self) -> bool {
        self.addresses.iter().all(|address| matches!(address, IpAddr::V4(address) if address.is_private()))
    }

    pub fn act(&self, time: i64, address: IpAddr, client: &Rc<str>, text: &str, end: End) -> Act {
        Act { time, token: self.number, address, client: client.clone(), statement: Rc::from(text), end, attack: None }
    }

    /// Where it comes from today.
    pub fn addresses_of(&self, dice: &mut Dice, day: i64) -> Vec<IpAddr> {
        match self.class {
            Class::Ci => (0..1 + dice.below(3)).map(|_| cloud(dice)).collect(),
            Class::Person | Class::Admin if !self.home.is_empty() && dice.chance(0.3) => {
                if self.number.is_multiple_of(5) {
                    return vec![privacy(dice, self.number as u64)];
                }
                let IpAddr::V4(home) = *dice.pick(&self.home) else { return self.home.clone() };
                let [a, b, c, _] = home.octets();
                // The provider hands out another address every few days, now and then of another block.
                let lease = &mut Dice::of(&[self.number as u64, 77, (day / 4) as u64]);
                let block = if lease.chance(0.2) { lease.below(256) as u8 } else { c };
                vec![IpAddr::V4(Ipv4Addr::new(a, b, block, 1 + lease.below(254) as u8))]
            }
            _ => self.addresses.clone(),
        }
    }

    /// Microseconds after midnight at which it does something.
    pub fn moment(&self, dice: &mut Dice) -> i64 {
        match self.class {
            Class::Service | Class::Pooled | Class::Monitoring => {
                // Busier by day.
                let hour = if dice.chance(0.6) { 7 + dice.below(11) } else { dice.below(24) };
                hour as i64 * HOUR + dice.below(HOUR as usize) as i64
            }
            Class::Person | Class::Admin => (self.hour * HOUR + dice.below(9 * HOUR as usize) as i64).min(DAY - 1),
            Class::Ci => (6 * HOUR + dice.below(15 * HOUR as usize) as i64).min(DAY - 1),
            Class::Rare => (9 * HOUR + dice.below(8 * HOUR as usize) as i64).min(DAY - 1),
            Class::Batch | Class::Backup => self.hour * HOUR + dice.below(40 * MINUTE as usize) as i64,
        }
    }
}
