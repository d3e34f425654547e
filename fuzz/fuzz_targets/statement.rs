//! Any bytes as a statement: it is understood the same way twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenwatch::event::Dialect;
use tokenwatch::sql::cache::ShapeCache;

fuzz_target!(|data: &[u8]| {
    let mut shapes = ShapeCache::default();
    for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Generic] {
        let (first, _) = shapes.understand(data, dialect);
        let (again, _) = shapes.understand(data, dialect);
        assert_eq!(first.text, again.text);
    }
});
