//! stub
use crate::decoder::*;

pub const FORMAT: Format =
    Format { name: "postgres-json", about: "", forgeable: true, sniff: |_, _| Guess::NO, open: |_, _| unreachable!() };
