//! Understanding: event -> token with provenance (`attribute.rs`), the names behind the ids (`dictionary.rs`).

pub mod dictionary;
pub mod hours;
pub mod inventory;
pub mod policy;
