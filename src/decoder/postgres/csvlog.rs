//! stub
use crate::decoder::*;

pub const FORMAT: Format =
    Format { name: "postgres-csv", about: "", forgeable: true, sniff: |_, _| Guess::NO, open: |_, _| unreachable!() };
