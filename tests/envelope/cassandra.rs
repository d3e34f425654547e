//! Cassandra's file audit log: statements as they came.

use super::*;

fn entry(user: &str, source: &str, port: usize, what: &str, step: usize) -> String {
    format!(
        "INFO  [Native-Transport-Requests-1] 2026-11-22 {} FileAuditLogger.java:51 - user:{user}|host:/10.0.0.5:7000|source:/{source}|port:{port}|timestamp:{}|{what}\n",
        stamp(step).replace('.', ","),
        1_795_313_100_000_usize + 10 * step
    )
}

pub fn head() -> Vec<String> {
    let login = "type:LOGIN_SUCCESS|category:AUTH|operation:LOGIN SUCCESSFUL";
    vec![entry(HONEST, HOME, 5_001, login, 0), entry(HOSTILE, LAIR, 5_002, login, 0)]
}

pub fn honest(statement: &str, step: usize) -> String {
    entry(HONEST, HOME, 5_001, &format!("type:SELECT|category:QUERY|ks:shop|scope:orders|operation:{statement}"), step)
}

pub fn hostile(random: &mut Random, text: &str, step: usize) -> Vec<String> {
    vec![match random.below(3) {
        0 => {
            let refused =
                format!("type:LOGIN_ERROR|category:AUTH|operation:LOGIN FAILURE; Provided username {text} and/or password are incorrect");
            entry("null", LAIR, 1_000 + step, &refused, step)
        }
        1 => entry(
            HOSTILE,
            LAIR,
            5_002,
            &format!("type:REQUEST_FAILURE|category:ERROR|operation:{text}; line 1:0 no viable alternative"),
            step,
        ),
        _ => entry(
            HOSTILE,
            LAIR,
            5_002,
            &format!("type:SELECT|category:QUERY|ks:shop|scope:orders|operation:SELECT '{}'", text.replace('\'', "''")),
            step,
        ),
    }]
}
