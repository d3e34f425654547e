//! Harmless changes: what makes a detector cry wolf.

use std::rc::Rc;

use crate::dice::Dice;
use crate::population::{Act, Class, DAY, End, HOUR, MINUTE, START, Token, cloud, hosting, internal, residential};
use crate::schema;

/// What may happen to a token on a day, with its probability for the classes that it happens to.
pub const CHANGES: &[(&str, f64, &[Class])] = &[
    ("deploy", 0.06, &[Class::Service, Class::Pooled]),
    ("move", 0.012, &[Class::Service, Class::Pooled, Class::Batch, Class::Monitoring]),
    ("scheduled job", 0.02, &[Class::Service, Class::Batch, Class::Rare]),
    ("load", 0.02, &[Class::Service, Class::Pooled, Class::Ci]),
    ("error storm", 0.02, &[Class::Service, Class::Pooled, Class::Batch]),
    ("missing grant", 0.02, &[Class::Service, Class::Batch]),
    ("new tool", 0.015, &[Class::Person, Class::Admin]),
    ("travel", 0.015, &[Class::Person, Class::Admin]),
    ("leave", 0.012, &[Class::Person, Class::Batch, Class::Rare]),
    ("busy day", 0.06, &[Class::Person, Class::Batch, Class::Admin]),
    ("overtime", 0.03, &[Class::Person, Class::Admin]),
    ("new project", 0.02, &[Class::Person, Class::Service]),
    ("new provider", 0.008, &[Class::Service]),
    ("new pods", 0.05, &[Class::Service]),
    ("grants", 0.05, &[Class::Admin]),
];

/// Lets the day's changes happen to a token; returns how many. Some leave traces that day, all change what it does from then on.
pub fn happen(seed: u64, day: i64, token: &mut Token, acts: &mut Vec<Act>) -> u64 {
    let mut count = 0;
    token.load = 1.0;
    if day <= token.born {
        return 0;
    }
    for (at, (what, probability, classes)) in CHANGES.iter().enumerate() {
        let dice = &mut Dice::of(&[seed, 3, token.number as u64, day as u64, at as u64]);
        if classes.contains(&token.class) && dice.chance(*probability) {
            count += 1;
            change(what, seed, day, token, dice, acts);
        }
    }
    count
}

fn change(what: &str, seed: u64, day: i64, token: &mut Token, dice: &mut Dice, acts: &mut Vec<Act>) {
    let begin = START + day * DAY;
    let tables = schema::tables(token.app);
    match what {
        "deploy" => {
            for _ in 0..2 + dice.below(6) {
                let table =
                    if dice.chance(0.75) { dice.pick(&tables[..10]).clone() } else { format!("{}_v{}", dice.pick(&tables[..10]), day) };
                let new = if dice.chance(0.7) { schema::read(&table, dice) } else { schema::write(&table, dice) };
                let at = dice.below(token.statements.len() + 1);
                token.statements.insert(at, new);
            }
            if dice.chance(0.3) {
                let stem: String = token.clients[0].chars().take_while(|c| !c.is_ascii_digit()).collect();
                token.clients = vec![Rc::from(format!("{} {}.{}", stem.trim(), 2 + day % 7, dice.below(20)))];
            }
            if dice.chance(0.15) {
                let at = begin + dice.between(9 * HOUR, 16 * HOUR);
                let address = token.addresses[0];
                let text = format!("CREATE TABLE {}_new{day} (id bigint)", tables[0]);
                acts.push(token.act(at, address, &token.clients[0], &text, End::Done));
            }
        }
        "move" => {
            // The whole application moves to other machines on the same day; what somebody else hosts stays where it is.
            if !token.internal() {
                return;
            }
            let pool = Dice::of(&[seed, 9, token.app as u64, (day / 3) as u64]).below(50) + 200;
            token.addresses = token.addresses.iter().map(|_| internal(token.app, pool, dice)).collect();
        }
        "new pods" if token.internal() => {
            let pool = token.number % 200;
            let fresh = internal(token.app, pool, dice);
            let at = dice.below(token.addresses.len());
            token.addresses[at] = fresh;
        }
        "new pods" => {}
        "scheduled job" => {
            let table = dice.pick(&tables[..10]).clone();
            let hour = dice.between(0, 23);
            for _ in 0..3 + dice.below(10) {
                let at = begin + hour * HOUR + dice.between(0, 20 * MINUTE);
                let template = schema::read(&table, &mut Dice::of(&[seed, 5, token.number as u64, (day / 7) as u64]));
                acts.push(token.act(at, token.addresses[0], &token.clients[0], &template.text(dice), End::Done));
            }
        }
        "load" => token.load = 2.0 + 4.0 * dice.unit(),
        "error storm" => {
            let begin = begin + dice.between(0, 20) * HOUR;
            let template = dice.pick(&token.statements).clone();
            for _ in 0..20 + dice.below(200) {
                let at = begin + dice.between(0, HOUR);
                acts.push(token.act(at, token.addresses[0], &token.clients[0], &template.text(dice), End::Failed));
            }
        }
        "missing grant" => {
            let reads: Vec<_> =
                (0..1 + dice.below(3)).map(|_| schema::read(&format!("{}_v{day}", dice.pick(&tables[..10])), dice)).collect();
            for _ in 0..3 + dice.below(30) {
                let at = begin + dice.between(9 * HOUR, 11 * HOUR);
                acts.push(token.act(at, token.addresses[0], &token.clients[0], &dice.pick(&reads).text(dice), End::Denied));
            }
        }
        "new tool" => {
            let tool = *dice.pick(&["DataGrip 2024.2", "Metabase", "psql", "Power BI", "DBeaver 24.3", "jupyter"]);
            token.clients.push(Rc::from(tool));
            let client: Rc<str> = Rc::from(tool);
            for text in schema::CATALOG.iter().skip(3).take(1 + dice.below(2)) {
                let at = begin + dice.between(token.hour * HOUR, (token.hour + 8) * HOUR);
                acts.push(token.act(at, token.addresses.first().copied().unwrap_or(token.home[0]), &client, text, End::Done));
            }
        }
        "travel" => token.home.push(if dice.chance(0.2) { hosting(dice) } else { residential(dice) }),
        "leave" => token.silent = day..day + dice.between(6, 14),
        "busy day" => token.load = 1.6 + 1.5 * dice.unit(),
        "overtime" => {
            for _ in 0..3 + dice.below(12) {
                let at = begin + dice.between(19 * HOUR, 23 * HOUR);
                let address = token.home.first().copied().unwrap_or(token.addresses[0]);
                let text = dice.skewed(&token.statements).text(dice);
                acts.push(token.act(at, address, &token.clients[0], &text, End::Done));
            }
        }
        "new project" => {
            let project = (token.app + 1 + dice.below(3)) % schema::APPS.len();
            token.projects.push(project);
            let other = schema::tables(project);
            for _ in 0..1 + dice.below(3) {
                let table = if dice.chance(0.1) { other[10].clone() } else { dice.pick(&other[..10]).clone() };
                token.statements.push(schema::read(&table, dice));
                token.statements.push(schema::read(&table, dice));
            }
        }
        // Only of those that come from outside anyway.
        "new provider" if !token.internal() => {
            token.addresses = vec![if dice.chance(0.5) { cloud(dice) } else { hosting(dice) }];
        }
        "new provider" => {}
        "grants" => {
            let at = begin + dice.between(9 * HOUR, 16 * HOUR);
            let text = format!("GRANT SELECT ON {} TO reporting_{}", dice.pick(&tables[..10]), dice.below(5));
            acts.push(token.act(at, token.addresses[0], &token.clients[0], &text, End::Done));
        }
        _ => unreachable!("{what}"),
    }
}
