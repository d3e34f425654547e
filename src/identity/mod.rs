//! Identity: declared tokens and their limits (`inventory.rs`, `hours.rs`, `policy.rs`), what is wrong with a token as such (`condition.rs`),
//! generated accounts (`lease.rs`), what clients say of themselves behind a pooler (`claims.rs`), client software by family (`client.rs`), the
//! names behind the ids (`dictionary.rs`), where addresses come from (`origin.rs`).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod claims;
pub mod client;
pub mod condition;
pub mod dictionary;
pub mod hours;
pub mod inventory;
pub mod lease;
pub mod origin;
pub mod policy;
