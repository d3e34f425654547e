//! Understanding: event -> token with provenance (`attribute.rs`), declared tokens and their limits (`inventory.rs`, `policy.rs`), the
//! names behind the ids (`dictionary.rs`).

pub mod attribute;
pub mod client;
pub mod dictionary;
pub mod hours;
pub mod inventory;
pub mod policy;
