//! What was asked of databases that speak no SQL: operation and objects of a command as Teleport writes it down.
//!
//! ```text
//! OpMsg(Body=[{"find": "orders","$db": "shop"}], Documents=[], Flags=)        MongoDB
//! GET user:17:                                                               Redis
//! ```

use bstr::{BStr, ByteSlice};
use bumpalo::Bump;

use crate::decoder::json_text::Json;
use crate::decoder::mongodb::act::{self, Told};
use crate::decoder::redis::command;
use crate::event::Operation;
use crate::framing::seek::Seek;

/// Operation and objects.
pub(super) type Scope<'a> = (Operation, &'a [&'a BStr]);

/// The command in the first document of a message.
pub(super) fn mongodb<'a>(text: &'a [u8], database: &'a [u8], arena: &'a Bump) -> Option<Scope<'a>> {
    let document = text.get(text.find_byte(b'{')?..)?;
    let mut told = Told { namespace: database, ..Told::default() };
    let mut known = false;
    // What stands behind a document that was read is no matter.
    let read = Json::new(document, arena).object(|key, json| {
        match key {
            b"$db" => told.namespace = json.text()?.unwrap_or(told.namespace),
            _ if !known && (told.command.is_empty() || act::command(key).is_some()) => {
                known = act::command(key).is_some();
                told.command = key;
                told.target = json.text()?.unwrap_or_default();
            }
            b"collection" if told.target.is_empty() => told.target = json.text()?.unwrap_or_default(),
            _ => json.skip()?,
        }
        Ok(())
    });
    (!told.command.is_empty() && (read.is_ok() || !told.target.is_empty())).then(|| {
        let act = told.act(arena);
        (act.operation, act.objects)
    })
}

/// A command and its arguments, with blanks between.
pub(super) fn redis<'a>(text: &'a [u8], arena: &'a Bump) -> Scope<'a> {
    let text = text.trimmed_end();
    let mut words = text.strip_suffix(b":").unwrap_or(text).split(|b| *b == b' ').filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    let (operation, keys) = command::find(name, words.clone().next().unwrap_or_default());
    (operation, command::objects(keys, words, arena))
}

/// What a request over HTTP does to Elasticsearch or OpenSearch.
pub(super) fn search(method: &[u8], path: &[u8]) -> Operation {
    let asks = ["_search", "_msearch", "_count", "_mget", "_sql", "_eql", "_esql", "_field_caps"];
    match method {
        b"GET" | b"HEAD" => Operation::Select,
        b"DELETE" => Operation::Delete,
        _ if path.split_str("/").any(|part| asks.iter().any(|word| part.split_str("?").next() == Some(word.as_bytes()))) => {
            Operation::Select
        }
        b"PUT" | b"POST" | b"PATCH" => Operation::Update,
        _ => Operation::Other,
    }
}

/// What an action of DynamoDB does.
pub(super) fn dynamodb(action: &[u8]) -> Operation {
    const VERBS: [(&str, Operation); 9] = [
        ("BatchGet", Operation::Select),
        ("BatchWrite", Operation::Insert),
        ("Get", Operation::Select),
        ("Query", Operation::Select),
        ("Scan", Operation::Select),
        ("Put", Operation::Insert),
        ("Update", Operation::Update),
        ("Delete", Operation::Delete),
        ("Create", Operation::Create),
    ];
    VERBS.iter().find(|(verb, _)| action.starts_with(verb.as_bytes())).map_or(Operation::Other, |(_, operation)| *operation)
}

/// The statements of a batch, one behind the other.
pub(super) fn batch<'a>(children: &'a [u8], arena: &'a Bump) -> Option<&'a BStr> {
    let mut text = bumpalo::collections::Vec::new_in(arena);
    let read = Json::new(children, arena).array(|json| {
        json.object(|key, json| {
            match key {
                b"query" => {
                    if let Some(query) = json.text()?.filter(|query| !query.is_empty()) {
                        if !text.is_empty() {
                            text.extend_from_slice(b"; ");
                        }
                        text.extend_from_slice(query);
                    }
                }
                _ => json.skip()?,
            }
            Ok(())
        })
    });
    (read.is_ok() && !text.is_empty()).then(|| BStr::new(text.into_bump_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_without_sql() {
        let arena = Bump::new();
        let show = |(operation, objects): Scope<'_>| format!("{operation} {objects:?}");
        let find = br#"OpMsg(Body=[{"find": "orders","filter": {"$db":"x"},"$db": "shop"}], Documents=[], Flags=)"#;
        assert_eq!(mongodb(find, b"app", &arena).map(show).as_deref(), Some(r#"select ["shop.orders"]"#));
        assert_eq!(mongodb(br#"OpMsg(Body=[{"drop":"a"#, b"app", &arena), None);
        assert_eq!(mongodb(b"OpKillCursors", b"app", &arena), None);
        assert_eq!(show(redis(b"get user:17: ", &arena)), r#"select ["user:*"]"#);
        assert_eq!(show(redis(b"", &arena)), "other []");
        assert_eq!(search(b"POST", b"/logs/_search?pretty"), Operation::Select);
        assert_eq!(search(b"POST", b"/logs/_doc"), Operation::Update);
        assert_eq!(dynamodb(b"BatchGetItem"), Operation::Select);
        let children = br#"[{"query":"INSERT INTO a (b) VALUES (1)"},{"id":"x"},{"query":"UPDATE c SET d=2"}]"#;
        assert_eq!(batch(children, &arena), Some(BStr::new("INSERT INTO a (b) VALUES (1); UPDATE c SET d=2")));
        assert_eq!(batch(b"[{", &arena), None);
    }
}
