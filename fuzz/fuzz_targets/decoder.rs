//! Any bytes as a log of one format: `TOKENWATCH_FUZZ_FORMAT`, else the one that the first byte chooses.
//!
//! 2026-12-01, 600 seconds of CPU each (without a sanitizer, from the samples as seeds), nothing found: mysql-general, mysql-slow, pgbouncer, mysql-error. The others
//! have had shorter runs only.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokenwatch::decoder::{FORMATS, Format, by_name};

#[path = "../../tests/fuzz/check.rs"]
mod check;

static NAMED: LazyLock<Option<&'static Format>> = LazyLock::new(|| {
    let name = std::env::var("TOKENWATCH_FUZZ_FORMAT").ok()?;
    Some(by_name(&name).unwrap_or_else(|| panic!("there is no format {name}")))
});

fuzz_target!(|data: &[u8]| {
    match (*NAMED, data.split_first()) {
        (Some(format), _) => check::log(Some(format), data),
        (None, Some((first, rest))) => check::log(FORMATS.get(usize::from(*first) % FORMATS.len()), rest),
        (None, None) => {}
    }
});
