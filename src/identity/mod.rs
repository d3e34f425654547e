//! Identity: declared tokens and their limits (`inventory.rs`, `hours.rs`, `policy.rs`), client software by family (`client.rs`), the
//! names behind the ids (`dictionary.rs`).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod client;
pub mod dictionary;
pub mod hours;
pub mod inventory;
pub mod policy;
