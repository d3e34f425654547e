//! stub
use super::*;

pub const FORMAT: Format = Format { name: "json", about: "", forgeable: true, sniff: |_, _| Guess::NO, open: |_, _| unreachable!() };
