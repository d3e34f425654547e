//! The events as PostgreSQL's csvlog, so that the whole pipeline is measured.

use jiff::Timestamp;

use crate::population::{Act, End, Token};

/// Appends the record of an event.
pub fn write(act: &Act, token: &Token, line: u64, out: &mut Vec<u8>) {
    use std::io::Write;
    let time = Timestamp::from_microsecond(act.time).expect("a time of these years");
    let time = time.strftime("%Y-%m-%d %H:%M:%S.%3f UTC");
    let (user, address, client) = (&token.name, act.address, &act.client);
    let pid = 1000 + line % 30_000;
    let quoted = |text: &str| text.replace('"', "\"\"");
    let (severity, state, tag, message, query) = match act.end {
        End::Login => (
            "LOG",
            "00000",
            "authentication",
            format!("connection authorized: user={user} database=main application_name={client}"),
            String::new(),
        ),
        End::LoginRefused => {
            ("FATAL", "28P01", "authentication", format!("password authentication failed for user \"{user}\""), String::new())
        }
        End::Done => ("LOG", "00000", "SELECT", format!("statement: {}", act.statement), String::new()),
        End::Denied => ("ERROR", "42501", "SELECT", "permission denied for table".to_owned(), act.statement.to_string()),
        End::Failed => ("ERROR", "42601", "SELECT", "syntax error".to_owned(), act.statement.to_string()),
    };
    let query = if query.is_empty() { String::new() } else { format!("\"{}\"", quoted(&query)) };
    writeln!(
        out,
        "{time},\"{user}\",\"main\",{pid},\"{address}:{}\",6b02{:04x}.{pid:x},{},\"{tag}\",{time},3/{line},0,{severity},{state},\"{}\",,,,,,{query},,,\"{}\",\"client backend\",,0",
        20_000 + line % 40_000,
        line % 0xffff,
        1 + line % 9,
        quoted(&message),
        quoted(client),
    )
    .expect("memory");
}
