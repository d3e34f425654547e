//! The operation of an API call, by the first word of its name.

use crate::event::Operation;

const VERBS: [(&str, Operation); 48] = [
    ("AssumeRole", Operation::Connect),
    ("GetFederationToken", Operation::Connect),
    ("GetSessionToken", Operation::Connect),
    ("ConsoleLogin", Operation::Connect),
    ("SwitchRole", Operation::Connect),
    ("BatchGet", Operation::Select),
    ("BatchWrite", Operation::Insert),
    ("Get", Operation::Select),
    ("Head", Operation::Select),
    ("Select", Operation::Select),
    ("Query", Operation::Select),
    ("Scan", Operation::Select),
    ("Decrypt", Operation::Select),
    ("Describe", Operation::Show),
    ("List", Operation::Show),
    ("Lookup", Operation::Show),
    ("Search", Operation::Select),
    ("Download", Operation::Copy),
    ("Copy", Operation::Copy),
    ("Export", Operation::Copy),
    ("Create", Operation::Create),
    ("Allocate", Operation::Create),
    ("Run", Operation::Create),
    ("Register", Operation::Create),
    ("Generate", Operation::Create),
    ("Restore", Operation::Create),
    ("Put", Operation::Insert),
    ("Upload", Operation::Insert),
    ("Import", Operation::Insert),
    ("Post", Operation::Insert),
    ("Update", Operation::Update),
    ("Modify", Operation::Alter),
    ("Change", Operation::Alter),
    ("Set", Operation::Alter),
    ("Enable", Operation::Alter),
    ("Disable", Operation::Alter),
    ("Reset", Operation::Alter),
    ("Tag", Operation::Alter),
    ("Delete", Operation::Delete),
    ("Remove", Operation::Delete),
    ("Terminate", Operation::Drop),
    ("Attach", Operation::Grant),
    ("Authorize", Operation::Grant),
    ("Add", Operation::Grant),
    ("Detach", Operation::Revoke),
    ("Revoke", Operation::Revoke),
    ("Invoke", Operation::Call),
    ("Execute", Operation::Call),
];

pub(super) fn operation(name: &[u8], read_only: Option<bool>) -> Operation {
    let begins = |verb: &str| name.strip_prefix(verb.as_bytes()).is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_lowercase));
    match VERBS.iter().find(|(verb, _)| begins(verb)) {
        Some((_, operation)) => *operation,
        None if read_only == Some(true) => Operation::Select,
        None => Operation::Other,
    }
}
