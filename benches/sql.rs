//! Speed of understanding statements: `cargo bench --bench sql`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokenwatch::event::Dialect;
use tokenwatch::sql::cache::ShapeCache;
use tokenwatch::sql::inspect::inspect;
use tokenwatch::sql::normalize::normalize;

/// What services send: short lookups and updates, an ORM's long column list, a bulk insert, an analyst's join.
fn statements() -> Vec<(&'static str, String)> {
    let columns: Vec<String> = (0..30).map(|i| format!("\"orders\".\"column_{i}\" AS \"t0_c{i}\"")).collect();
    let rows: Vec<String> = (0..200).map(|i| format!("({i}, 'customer number {i}', NULL, 'c{i}@example.org', {i}.5)")).collect();
    vec![
        ("lookup", "SELECT name, email FROM customers WHERE id = $1 AND email <> $2".into()),
        ("update", "UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 4711;".into()),
        (
            "join",
            "SELECT c.oid, n.nspname, c.relname\nFROM pg_catalog.pg_class c\n     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\nWHERE c.relname OPERATOR(pg_catalog.~) '^(customers)$' COLLATE pg_catalog.default\n  AND pg_catalog.pg_table_is_visible(c.oid)\nORDER BY 2, 3;".into(),
        ),
        ("orm", format!("SELECT {} FROM \"orders\" WHERE \"orders\".\"customer_id\" IN (1, 2, 3, 4, 5, 6, 7, 8) LIMIT 21", columns.join(", "))),
        ("bulk", format!("INSERT INTO customers (id, name, note, email, score) VALUES {}", rows.join(", "))),
    ]
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("normalize");
    for (name, statement) in statements() {
        group.throughput(Throughput::Bytes(statement.len() as u64));
        let mut out = Vec::new();
        group.bench_function(name, |b| b.iter(|| normalize(black_box(statement.as_bytes()), Dialect::Postgres, &mut out)));
    }
    group.finish();

    let mut group = c.benchmark_group("understand_known");
    let mut cache = ShapeCache::default();
    for (name, statement) in statements() {
        group.throughput(Throughput::Bytes(statement.len() as u64));
        group.bench_function(name, |b| b.iter(|| cache.understand(black_box(statement.as_bytes()), Dialect::Postgres)));
    }
    group.finish();

    let mut group = c.benchmark_group("inspect_new");
    for (name, statement) in statements() {
        let mut shape = Vec::new();
        normalize(statement.as_bytes(), Dialect::Postgres, &mut shape);
        group.bench_function(name, |b| b.iter(|| inspect(black_box(&shape), Dialect::Postgres)));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
