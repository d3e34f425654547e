//! Statement -> shape (one lexical pass) -> operation and objects (by a parser, once per new shape).
//!
//! ```text
//! statement --normalize--> shape --cache--> Shape { operation, objects }
//!                                    \--inspect (new shapes only)--> parsed | scan
//! ```
//!
//! What a statement does is read from its shape alone, so no literal can change it and two statements of one shape are
//! never understood differently, whatever was cached or evicted before.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod cache;
pub mod inspect;
pub mod normalize;
pub mod secret;

mod layout;
mod literal;
mod parsed;
mod scan;
mod skeleton;
mod token;
mod words;
