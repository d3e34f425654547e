//! An event as the JSON object that `tokenwatch decode --json` prints. Absent values are left out; literals and statement text never
//! appear.

use bstr::BStr;
use serde_json::{Map, Value, json};

use crate::event::{Event, Operation};
use crate::position::At;

/// What later stages make of an event; all absent where only the decoder ran.
#[derive(Debug, Default)]
pub struct Understood<'a> {
    pub token: Option<&'a str>,
    /// The statement without its literals.
    pub shape: Option<&'a str>,
    /// Operation and objects that the statement shows, for records that do not state them apart.
    pub operation: Option<Operation>,
    pub objects: &'a [String],
}

/// The object of one event.
pub fn to_json(format: &str, event: &Event<'_>, understood: &Understood<'_>, at: &At) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    };
    put("format", Some(json!(format)));
    put("kind", Some(json!(event.kind)));
    put("time", Some(json!(event.time.to_string())));
    put("token", understood.token.map(Value::from));
    put("principal", event.principal.map(|p| text(p.name)));
    put("provenance", event.principal.map(|p| json!(p.provenance)));
    put("address", event.address.map(|a| json!(a.to_string())));
    put("port", event.port.map(Value::from));
    put("database", event.database.map(text));
    put("client", event.client.map(text));
    put("operation", event.operation.or(understood.operation).map(|op| json!(op.name())));
    let stated: Vec<Value> = event.objects.iter().map(|o| text(o)).collect();
    let objects = if stated.is_empty() { understood.objects.iter().map(|o| json!(o)).collect() } else { stated };
    put("objects", (!objects.is_empty()).then_some(Value::Array(objects)));
    put("shape", understood.shape.map(Value::from));
    put("outcome", Some(json!(event.outcome)));
    put("code", event.code.map(text));
    put("rows", event.rows.map(Value::from));
    put("duration_ms", event.duration_us.map(|us| json!(us as f64 / 1000.0)));
    put("session", event.session.map(text));
    put("suspect", event.suspect.map(Value::from));
    put("truncated", event.truncated.then_some(Value::Bool(true)));
    put("at", Some(place(at)));
    Value::Object(out)
}

/// The object of one record that cannot be read.
pub fn rejected(reason: &str, at: &At) -> Value {
    json!({ "rejected": reason, "at": place(at) })
}

fn place(at: &At) -> Value {
    json!({ "file": at.partition.label, "offset": at.offset, "length": at.len })
}

fn text(bytes: &BStr) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}
