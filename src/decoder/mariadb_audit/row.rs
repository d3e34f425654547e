//! The grammar of one row: `TIME,SERVER,USER,HOST,CONNECTION,QUERY,OPERATION,DATABASE,OBJECT,CODE`.
//!
//! Only the statement of a `QUERY` row is quoted and escaped. User, host, database and table stand as they are, so a comma in
//! one of them shifts the columns; a row is therefore read from its right end first, where no client writes, and from the
//! left only where the right end is the statement.

use serde::{Deserialize, Serialize};

use crate::framing::seek::{Seek, near, near_end};

/// What a row reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Connect,
    Disconnect,
    FailedConnect,
    ProxyConnect,
    ChangeUser,
    AuditConfig,
    Query,
    Read,
    Write,
    Create,
    Alter,
    Rename,
    Drop,
}

impl Op {
    fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"CONNECT" => Op::Connect,
            b"DISCONNECT" => Op::Disconnect,
            b"FAILED_CONNECT" => Op::FailedConnect,
            b"PROXY_CONNECT" => Op::ProxyConnect,
            b"CHANGEUSER" => Op::ChangeUser,
            b"AUDIT_CONFIG" => Op::AuditConfig,
            // The filters QUERY_DDL, QUERY_DML and QUERY_DCL choose what is logged; all of it is logged as QUERY.
            b"QUERY" => Op::Query,
            b"READ" => Op::Read,
            b"WRITE" => Op::Write,
            b"CREATE" => Op::Create,
            b"ALTER" => Op::Alter,
            b"RENAME" => Op::Rename,
            b"DROP" => Op::Drop,
            _ => return None,
        })
    }

    /// A row about a table that a statement opened or changed; it carries no result code.
    pub fn is_table(self) -> bool {
        matches!(self, Op::Read | Op::Write | Op::Create | Op::Alter | Op::Rename | Op::Drop)
    }
}

/// One row, taken apart. Nothing is unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    pub time: &'a [u8],
    pub user: &'a [u8],
    pub host: &'a [u8],
    pub connection: &'a [u8],
    /// `connection` as a number.
    pub id: u64,
    /// Number of the statement; 0 for rows about connections.
    pub query: u64,
    pub op: Op,
    pub database: &'a [u8],
    /// Table, TLS version, proxy user, setting; for a QUERY row the statement between its quotes.
    pub object: &'a [u8],
    /// Empty for table rows.
    pub code: &'a [u8],
}

/// How rows begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Start {
    /// `TIME,SERVER,`
    #[default]
    Timed,
    /// `SERVER,`: the time is syslog's.
    Bare,
}

impl Start {
    /// Length of what every row starts with, if `line` starts with it.
    pub fn head(self, line: &[u8]) -> Option<usize> {
        if self == Start::Timed {
            return head(line);
        }
        // Behind a tag of its own the plugin puts what `server_audit_syslog_info` says and a blank.
        let server = memchr::memchr2(b',', b'\n', line).filter(|at| line.get(*at) == Some(&b','))?;
        let server = line.get(..server)?;
        (!server.trim_ascii().is_empty() && !server.contains(&b':')).then_some(server.len() + 1)
    }

    /// Reads a complete row (perhaps over several lines, where a name holds line ends).
    pub fn parse(self, record: &[u8]) -> Result<Row<'_>, &'static str> {
        match self {
            Start::Timed => parse(record),
            Start::Bare => body(b"", self.head(record).and_then(|head| record.get(head..)).unwrap_or_default()),
        }
    }
}

/// Length of the `TIME,SERVER,` that every row starts with, if `line` starts with it.
pub fn head(line: &[u8]) -> Option<usize> {
    start(line).map(|(_, head)| head)
}

/// Lengths of the time, and of the whole head.
fn start(line: &[u8]) -> Option<(usize, usize)> {
    /// Bytes of a server's name in which its end is looked for one by one.
    const NEAR: usize = 24;
    let time = match line.first_chunk() {
        Some(begin) if is_own_time(begin) => begin.len() - 1,
        _ => line.iter().take(40).position(|b| *b == b',').filter(|time| line.get(..*time).is_some_and(is_time))?,
    };
    let rest = line.get(time + 1..)?;
    let server = rest.iter().take(NEAR).position(|b| matches!(b, b',' | b'\n'));
    let server = server.or_else(|| Some(NEAR + memchr::memchr2(b',', b'\n', rest.get(NEAR..)?)?))?;
    (rest.get(server) == Some(&b',')).then_some((time, time + 1 + server + 1))
}

/// Whether this is the plugin's own time and the comma behind it.
fn is_own_time(text: &[u8; 18]) -> bool {
    // No early end: all bytes at once are faster than one by one.
    text.iter()
        .zip(b"00000000 00:00:00,")
        .fold(true, |all, (byte, form)| all & if *form == b'0' { byte.is_ascii_digit() } else { byte == form })
}

/// `20261122 02:21:28`, the 16 digits of microseconds since 1970 (Aurora), or an ISO 8601 form (a configured
/// `server_audit_timestamp_format`).
fn is_time(text: &[u8]) -> bool {
    let digits = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    match text {
        [date @ .., b' ', h1, h2, b':', i1, i2, b':', s1, s2] if date.len() == 8 => digits(date) && digits(&[*h1, *h2, *i1, *i2, *s1, *s2]),
        _ if text.len() == 17 => false,
        _ if text.len() == 16 => digits(text),
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b' ', h1, h2, b':', i1, i2, b':', s1, s2, rest @ ..] => {
            digits(&[*y1, *y2, *y3, *y4, *m1, *m2, *d1, *d2, *h1, *h2, *i1, *i2, *s1, *s2]) && !rest.contains(&b'\n')
        }
        _ => false,
    }
}

/// The right end of a row that is not a statement: `,HOST,CONNECTION,QUERY,OPERATION,DATABASE,OBJECT,CODE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail<'a> {
    /// Where the comma before HOST stands: the user name ends here.
    pub start: usize,
    pub host: &'a [u8],
    pub connection: &'a [u8],
    pub id: u64,
    pub query: u64,
    pub op: Op,
    pub database: &'a [u8],
    pub object: &'a [u8],
    pub code: &'a [u8],
}

/// Reads the right end of a line, whatever stands before it.
pub fn tail(line: &[u8]) -> Option<Tail<'_>> {
    tail_of(line).or_else(|| tail_of(without_connection_type(line)?))
}

/// A line without its eleventh column: RDS adds how the client is connected.
fn without_connection_type(line: &[u8]) -> Option<&[u8]> {
    let (line, column) = line.split_at_checked(near_end(b',', line)?)?;
    let word = column.strip_prefix(b",")?;
    let known = matches!(word, b"SSL/TLS" | b"SSL" | b"TLS" | b"TCP/IP" | b"SOCKET" | b"NAMED_PIPE" | b"SHARED_MEMORY" | b"UNDEFINED");
    (known || matches!(word, [b'0'..=b'5'])).then_some(line)
}

fn tail_of(line: &[u8]) -> Option<Tail<'_>> {
    let mut end = line.len();
    let mut field = || {
        let comma = near_end(b',', line.get(..end)?)?;
        let text = line.get(comma + 1..end)?;
        end = comma;
        Some((comma, text))
    };
    let (_, code) = field()?;
    let (_, object) = field()?;
    // The end of a statement: no other row has a quote before a code.
    if object.ends_with(b"'") && !code.is_empty() {
        return None;
    }
    let (_, database) = field()?;
    let (_, op) = field()?;
    let op = Op::from_name(op)?;
    let (_, query) = field()?;
    let query = number(query)?;
    let (_, connection) = field()?;
    let id = number(connection)?;
    let (start, host) = field()?;
    let sound = match op {
        // A statement ends in a quote, and its text is the client's: it must not pass for the end of another row.
        Op::Query => false,
        Op::Connect | Op::Disconnect | Op::FailedConnect | Op::ChangeUser | Op::AuditConfig => {
            !code.is_empty() && number(code).is_some() && !object.contains(&b'\'')
        }
        Op::ProxyConnect => number(code).is_some() && (object.is_empty() || object.ends_with(b"`")),
        Op::Read | Op::Write | Op::Create | Op::Alter | Op::Rename | Op::Drop => code.is_empty() && !object.is_empty(),
    };
    (sound && !host.contains(&b'\n')).then_some(Tail { start, host, connection, id, query, op, database, object, code })
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    if text.len() < 20 {
        return text.iter().all(u8::is_ascii_digit).then(|| text.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0')));
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Reads a complete row (perhaps over several lines, where a name holds line ends).
pub fn parse(record: &[u8]) -> Result<Row<'_>, &'static str> {
    let Some((time, head)) = start(record) else { return Err("no time stamp and server name at the start") };
    body(record.get(..time).unwrap_or_default(), record.get(head..).unwrap_or_default())
}

/// A row behind its head.
fn body<'a>(time: &'a [u8], body: &'a [u8]) -> Result<Row<'a>, &'static str> {
    if let Some(t) = tail(body) {
        let user = body.get(..t.start).unwrap_or_default();
        return Ok(Row {
            time,
            user,
            host: t.host,
            connection: t.connection,
            id: t.id,
            query: t.query,
            op: t.op,
            database: t.database,
            object: t.object,
            code: t.code,
        });
    }
    from_left(time, body).ok_or("torn or unknown row")
}

/// Rows whose object may hold commas: statements, settings, oddly named tables. The first place where
/// `HOST,CONNECTION,QUERY,OPERATION` stand in a row is the true one, for nothing but the user name stands before it.
fn from_left<'a>(time: &'a [u8], body: &'a [u8]) -> Option<Row<'a>> {
    /// Columns that a user name may fill with its own commas.
    const USER_COMMAS: usize = 512;
    let mut user_end = near(b',', body)?;
    for _ in 0..USER_COMMAS {
        if let Some(row) = columns(time, body, user_end) {
            return Some(row);
        }
        user_end += 1 + memchr::memchr(b',', body.get(user_end + 1..)?)?;
    }
    None
}

fn columns<'a>(time: &'a [u8], body: &'a [u8], user_end: usize) -> Option<Row<'a>> {
    let user = body.get(..user_end)?;
    let (host, rest) = cut(body.get(user_end + 1..)?)?;
    let (connection, rest) = cut(rest)?;
    let id = number(connection)?;
    let (query, rest) = cut(rest)?;
    let query = number(query)?;
    let (op, rest) = cut(rest)?;
    let op = Op::from_name(op)?;
    let row = |database, object, code| Row { time, user, host, connection, id, query, op, database, object, code };
    match op {
        Op::Query => {
            let open = rest.seek(b",'")?;
            let close = near_end(b'\'', rest)?;
            let end = rest.get(close + 1..)?;
            // RDS for MySQL has two columns more, which are empty here.
            let more = without_connection_type(end).filter(|code| !code.is_empty()).or(end.strip_suffix(b",,")).or(end.strip_suffix(b","));
            let code = more.unwrap_or(end).strip_prefix(b",")?;
            number(code)?;
            // `''` is an empty statement; a single quote is a torn row.
            Some(row(rest.get(..open)?, rest.get(open + 2..close)?, code))
        }
        Op::AuditConfig => {
            let (database, rest) = cut(rest)?;
            let comma = memchr::memrchr(b',', rest)?;
            number(rest.get(comma + 1..)?)?;
            Some(row(database, rest.get(..comma)?, rest.get(comma + 1..)?))
        }
        _ if op.is_table() => {
            let (database, rest) = cut(rest)?;
            let object = rest.strip_suffix(b",").filter(|o| !o.is_empty())?;
            Some(row(database, object, b""))
        }
        _ => None,
    }
}

/// The text up to the next comma, and what follows it.
fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = near(b',', text)?;
    Some((text.get(..comma)?, text.get(comma + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, user: &str, host: &str, op: Op, object: &str, code: &str) {
        let row = parse(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}"));
        let got = (bstr::BStr::new(row.user), bstr::BStr::new(row.host), row.op, bstr::BStr::new(row.object), bstr::BStr::new(row.code));
        assert_eq!(got, (user.into(), host.into(), op, object.into(), code.into()), "{line}");
    }

    #[test]
    fn every_operation() {
        check("20261122 02:21:28,vm,root,localhost,3,0,CONNECT,,,0", "root", "localhost", Op::Connect, "", "0");
        check("20261122 02:21:28,vm,u,10.0.0.1:5123,3,0,CONNECT,app,TLSv1.3,0", "u", "10.0.0.1:5123", Op::Connect, "TLSv1.3", "0");
        check("20261122 02:21:28,vm,u,10.0.0.1,3,0,CONNECT,app,,0,SSL/TLS", "u", "10.0.0.1", Op::Connect, "", "0");
        check("20261122 02:21:28,vm,u,10.0.0.1,3,0,CONNECT,app,,0,SSL", "u", "10.0.0.1", Op::Connect, "", "0");
        check("20261122 02:21:28,vm,u,10.0.0.1,3,0,FAILED_CONNECT,,,1045,4", "u", "10.0.0.1", Op::FailedConnect, "", "1045");
        check("1795314088123456,vm,u,10.0.0.1,3,7,QUERY,app,'select 1',0", "u", "10.0.0.1", Op::Query, "select 1", "0");
        check("20261122 02:21:28,vm,u,h,3,7,QUERY,app,'select 1',0,SSL/TLS", "u", "h", Op::Query, "select 1", "0");
        check("20261122 02:21:28,vm,u,h,3,7,QUERY,app,'select 1',0,", "u", "h", Op::Query, "select 1", "0");
        check("20261122 02:21:28,vm,u,h,3,7,QUERY,app,'select 1',0,,", "u", "h", Op::Query, "select 1", "0");
        check("20261122 02:21:28,vm,u,h,3,7,QUERY,app,'',1065", "u", "h", Op::Query, "", "1065");
        check("20261122 02:21:28,vm,u,h,3,7,READ,app,customers,", "u", "h", Op::Read, "customers", "");
        check("20261122 02:21:28,vm,u,h,3,7,READ,app,a,b,", "u", "h", Op::Read, "a,b", "");
        check("20261122 02:21:28,vm,u,h,3,7,RENAME,app,a|app.b,", "u", "h", Op::Rename, "a|app.b", "");
        check("20261122 02:21:28,vm,u,h,3,0,PROXY_CONNECT,app,`p`@`%`,0", "u", "h", Op::ProxyConnect, "`p`@`%`", "0");
        let config = "20261122 02:21:28,vm,u,h,3,0,AUDIT_CONFIG,,server_audit_events=CONNECT,QUERY,0";
        check(config, "u", "h", Op::AuditConfig, "server_audit_events=CONNECT,QUERY", "0");
    }

    #[test]
    fn commas_in_user_names_and_rows_inside_statements() {
        check(
            "20261122 02:21:28,vm,tok,comma,127.0.0.67,57,2533,QUERY,app,'SELECT 1',0",
            "tok,comma",
            "127.0.0.67",
            Op::Query,
            "SELECT 1",
            "0",
        );
        check(
            "20261122 02:21:28,vm,u,h,3,7,QUERY,app,'select 1 -- ,h,9,9,QUERY,x,\\'y\\'',0",
            "u",
            "h",
            Op::Query,
            "select 1 -- ,h,9,9,QUERY,x,\\'y\\'",
            "0",
        );
        check(
            "20261122 02:21:28,vm,u,h,3,7,QUERY,app,'select \\'a,h,9,0,CONNECT,x,y\\'',0",
            "u",
            "h",
            Op::Query,
            "select \\'a,h,9,0,CONNECT,x,y\\'",
            "0",
        );
        let hostile = "20261122 02:21:28,vm,adm,1.1.1.1,9,9,QUERY,app,'DROP TABLE t',0,127.0.0.68,63,0,FAILED_CONNECT,,,1045";
        check(hostile, "adm,1.1.1.1,9,9,QUERY,app,'DROP TABLE t',0", "127.0.0.68", Op::FailedConnect, "", "1045");
    }

    #[test]
    fn rows_without_a_time() {
        let row = Start::Bare.parse(b" vm,tok,10.0.0.1,3,7,QUERY,app,'select 1',0").unwrap();
        assert_eq!((row.user, row.host, row.object, row.time), (&b"tok"[..], &b"10.0.0.1"[..], &b"select 1"[..], &b""[..]));
        assert!(Start::Bare.parse(b"no row, of a log").is_err());
        assert!(Start::Bare.parse(b"").is_err());
    }

    #[test]
    fn torn_rows_are_refused() {
        for line in [
            "20261122 02:21:28,vm,tok",
            "20261122 02:21:28,vm,u,h,3,7,QUERY,app,'select",
            "20261122 02:21:28,vm,u,h,3,7,QUERY,app,'",
            "20261122 02:21:28,vm,u,h,3,7,QUERY,app,',0",
            "20261122 02:21:28,vm,u,h,3,7,READ,app,customers",
            "nl,127.0.0.67,59,0,CONNECT,app,,0",
            "",
            "20261122 02:21:28",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
