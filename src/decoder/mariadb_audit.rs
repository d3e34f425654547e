//! stub
use super::*;

pub const FORMAT: Format =
    Format { name: "mariadb-audit", about: "", forgeable: true, sniff: |_, _| Guess::NO, open: |_, _| unreachable!() };
