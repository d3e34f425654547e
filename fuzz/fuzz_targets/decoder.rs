//! Any bytes as a log of one format: `TOKENWATCH_FUZZ_FORMAT`, else the one that the first byte chooses.
//!
//! 2026-12-01, without a sanitizer, from the samples as seeds. 600 seconds of CPU each, nothing found: mongodb-text, mongodb-profile, mysql-general,
//! mysql-slow, pgbouncer, mysql-error. 67 to 183 seconds each, nothing found: most of the others. Not yet: those of Azure and Google for MySQL,
//! ClickHouse, Couchbase, hoop, McAfee, MongoDB's audit and Atlas, Oracle's unified trail, SAP HANA, Secret Server, Snowflake, Teleport, Zeek, BigQuery.
//! In mariadb-audit: what was said of a compressed file was forgotten with a restart.
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
