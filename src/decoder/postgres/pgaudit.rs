//! pgaudit's record inside a log message:
//! `AUDIT: TYPE,STMT_ID,SUBSTMT_ID,CLASS,COMMAND,OBJECT_TYPE,OBJECT_NAME,STATEMENT,PARAMETER[,ROWS]`.
//!
//! A field is quoted only where it needs to be. Logged after the privilege check has passed (so denied statements are absent) and before
//! execution, except with `pgaudit.log_rows`. See <https://github.com/pgaudit/pgaudit>.

use bstr::BStr;
use bumpalo::Bump;

use crate::event::Operation;

/// What one audit record says.
#[derive(Debug)]
pub struct Audit<'a> {
    pub operation: Option<Operation>,
    /// `schema.table`; `None` where pgaudit was not told to log relations.
    pub object: Option<&'a BStr>,
    /// `None` where it was not logged again or not logged at all.
    pub statement: Option<&'a BStr>,
    /// Rows retrieved or changed; only with `pgaudit.log_rows`.
    pub rows: Option<u64>,
}

/// Reads what follows `AUDIT: `. `None`: not written by pgaudit.
pub fn parse<'a>(body: &'a [u8], arena: &'a Bump) -> Option<Audit<'a>> {
    let mut fields = Fields { rest: Some(body), arena };
    let kind = fields.next()?;
    if kind != b"SESSION" && kind != b"OBJECT" {
        return None;
    }
    let (_statement_id, _substatement_id) = (fields.next()?, fields.next()?);
    let class = fields.next()?;
    let command = fields.next()?;
    let _object_type = fields.next()?;
    let object = fields.next()?;
    // A record cut at our size limit may end within the statement.
    let statement = fields.next().unwrap_or_default();
    let _parameter = fields.next();
    let rows = fields.next().and_then(|r| std::str::from_utf8(r).ok()).and_then(|r| r.parse().ok());
    Some(Audit {
        operation: operation(class, command),
        object: (!object.is_empty()).then(|| BStr::new(object)),
        statement: match statement {
            b"" | b"<not logged>" | b"<previously logged>" | b"<none>" => None,
            text => Some(BStr::new(text)),
        },
        rows,
    })
}

/// The verb of a command tag; `None` where the statement itself tells more (`EXPLAIN`, `DO`, `FETCH`).
fn operation(class: &[u8], command: &[u8]) -> Option<Operation> {
    let word = command.split(|b| *b == b' ').next().unwrap_or_default();
    Some(match word {
        b"EXECUTE" if class == b"FUNCTION" => Operation::Call,
        b"START" => Operation::Begin,
        b"RESET" => Operation::Set,
        b"TRUNCATE" => Operation::Truncate,
        b"REASSIGN" | b"COMMENT" => Operation::Alter,
        b"IMPORT" => Operation::Create,
        _ => return std::str::from_utf8(word).ok().and_then(Operation::from_name).filter(|op| !matches!(op, Operation::Other)),
    })
}

/// Comma-separated fields, bare or in double quotes.
struct Fields<'a> {
    rest: Option<&'a [u8]>,
    arena: &'a Bump,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let Some(body) = rest.strip_prefix(b"\"") else {
            let end = memchr::memchr(b',', rest);
            let field = rest.get(..end.unwrap_or(rest.len()))?;
            self.rest = end.and_then(|end| rest.get(end + 1..));
            return Some(field);
        };
        let (raw, doubled, after) = super::quoted(body);
        self.rest = after.and_then(|after| after.strip_prefix(b","));
        Some(if doubled { super::undouble(raw, self.arena) } else { raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let arena = Bump::new();
        let audit = parse(b"SESSION,1,1,READ,SELECT,TABLE,public.t,\"SELECT \"\"a\"\",b\nFROM t\",<none>,42", &arena).unwrap();
        assert_eq!(audit.operation, Some(Operation::Select));
        assert_eq!(audit.object, Some(BStr::new("public.t")));
        assert_eq!(audit.statement, Some(BStr::new("SELECT \"a\",b\nFROM t")));
        assert_eq!(audit.rows, Some(42));

        let audit = parse(b"OBJECT,1,2,FUNCTION,EXECUTE,FUNCTION,public.f,<previously logged>,<previously logged>", &arena).unwrap();
        assert_eq!(audit.operation, Some(Operation::Call));
        assert_eq!(audit.statement, None);
        assert_eq!(audit.rows, None);

        assert!(parse(b"SESSION,1,1,READ", &arena).is_none());
        assert!(parse(b"something else, said by a person", &arena).is_none());
    }
}
