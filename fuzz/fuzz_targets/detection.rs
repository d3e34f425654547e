//! Any bytes as a log of a format that has to be detected, inside envelopes or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/check.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::log(None, data));
