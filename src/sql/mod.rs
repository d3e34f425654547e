//! Statement -> shape (one lexical pass) -> operation and objects (by a parser, once per new shape).

pub mod inspect;
pub mod normalize;
