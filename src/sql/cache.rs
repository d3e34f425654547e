//! Statements understood: each shape is inspected once while it stays in the cache.
//!
//! A hit costs the normalising and one lookup, and allocates nothing. The cache holds two generations: when the young one is full
//! it becomes the old one, and what was in the old one and not used since goes. Whatever is forgotten is understood anew
//! with the same result, since a shape says it all.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::FixedState;

use super::inspect::inspect;
use super::normalize::{Summary, normalize};
use crate::event::{Dialect, Operation};
use crate::token::WordId;

/// What is known of every statement of one shape.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// [`WordId`] of `text`.
    pub id: WordId,
    /// [`WordId`] of the shape without its names.
    pub skeleton: WordId,
    /// The shape; bytes that are not UTF-8 are replaced.
    pub text: Box<str>,
    /// The strongest operation of the statement; see [`super::inspect`].
    pub operation: Operation,
    /// Those of the main operation first.
    pub objects: Box<[ShapeObject]>,
}

/// One object and what a statement does to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeObject {
    pub operation: Operation,
    /// As written: `table`, `schema.table`.
    pub name: Box<str>,
    /// [`WordId`] of `name`.
    pub word: WordId,
}

impl Shape {
    /// Understands the shape itself.
    fn new(shape: &[u8], dialect: Dialect) -> Self {
        let text = String::from_utf8_lossy(shape).into_owned().into_boxed_str();
        let inspection = inspect(shape, dialect);
        let object = |(operation, name): (Operation, String)| ShapeObject {
            operation,
            word: WordId::of(name.as_bytes()),
            name: name.into_boxed_str(),
        };
        Shape {
            id: WordId::of(text.as_bytes()),
            skeleton: WordId::of(super::skeleton::skeleton(&text).as_bytes()),
            text,
            operation: inspection.operation,
            objects: inspection.objects.into_iter().map(object).collect(),
        }
    }

    /// Bytes of memory, about.
    fn cost(&self) -> usize {
        let objects: usize = self.objects.iter().map(|o| size_of::<ShapeObject>() + o.name.len()).sum();
        // The text stands in the key and in the shape.
        size_of::<Shape>() + 2 * self.text.len() + objects + 64
    }
}

/// How much a cache may hold, in both generations together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    pub shapes: usize,
    /// Bytes of memory, about.
    pub bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { shapes: 65_536, bytes: 64 << 20 }
    }
}

type Map = HashMap<Box<[u8]>, Arc<Shape>, FixedState>;

/// One generation. Dialects are kept apart: the same text may do different things.
#[derive(Debug)]
struct Generation {
    maps: [Map; 4],
    shapes: usize,
    bytes: usize,
}

impl Generation {
    fn new() -> Self {
        let map = || Map::with_hasher(FixedState::with_seed(0x546f_6b65_6e77_6174));
        Generation { maps: [map(), map(), map(), map()], shapes: 0, bytes: 0 }
    }

    fn map(&mut self, dialect: Dialect) -> &mut Map {
        let [postgres, mysql, generic, none] = &mut self.maps;
        match dialect {
            Dialect::Postgres => postgres,
            Dialect::MySql => mysql,
            Dialect::Generic => generic,
            Dialect::None => none,
        }
    }
}

/// Understands statements, remembering shapes. One for each worker.
#[derive(Debug)]
pub struct ShapeCache {
    capacity: Capacity,
    young: Generation,
    old: Generation,
    scratch: Vec<u8>,
    /// Shapes inspected so far, for a metric.
    pub inspected: u64,
}

impl Default for ShapeCache {
    fn default() -> Self {
        Self::new(Capacity::default())
    }
}

impl ShapeCache {
    pub fn new(capacity: Capacity) -> Self {
        ShapeCache { capacity, young: Generation::new(), old: Generation::new(), scratch: Vec::new(), inspected: 0 }
    }

    /// The shape of a statement with what it does, and what is true of this statement alone.
    pub fn understand(&mut self, statement: &[u8], dialect: Dialect) -> (Arc<Shape>, Summary) {
        let summary = normalize(statement, dialect, &mut self.scratch);
        let key = self.scratch.as_slice();
        if let Some(shape) = self.young.map(dialect).get(key) {
            return (shape.clone(), summary);
        }
        let (key, shape) = match self.old.map(dialect).remove_entry(key) {
            Some(found) => found,
            None => {
                self.inspected += 1;
                (Box::from(key), Arc::new(Shape::new(key, dialect)))
            }
        };
        self.remember(key, shape.clone(), dialect);
        (shape, summary)
    }

    /// Shapes held now.
    pub fn len(&self) -> usize {
        let held = |generation: &Generation| generation.maps.iter().map(Map::len).sum::<usize>();
        held(&self.young) + held(&self.old)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn remember(&mut self, key: Box<[u8]>, shape: Arc<Shape>, dialect: Dialect) {
        if self.young.shapes >= self.capacity.shapes / 2 || self.young.bytes >= self.capacity.bytes / 2 {
            self.old = std::mem::replace(&mut self.young, Generation::new());
        }
        self.young.shapes += 1;
        self.young.bytes += shape.cost();
        self.young.map(dialect).insert(key, shape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_do_not_make_new_shapes() {
        let mut cache = ShapeCache::default();
        let (first, _) = cache.understand(b"SELECT a FROM public.T WHERE id = 1", Dialect::Postgres);
        let (second, _) = cache.understand(b"select a from public.t where id=2;", Dialect::Postgres);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(cache.inspected, 1);
        assert_eq!(&*first.text, "select a from public.t where id = ?");
        assert_eq!(first.id, WordId::of(first.text.as_bytes()));
        assert_eq!(first.operation, Operation::Select);
        let [object] = &*first.objects else { panic!("one object") };
        assert_eq!((object.operation, &*object.name, object.word), (Operation::Select, "public.t", WordId::of(b"public.t")));
    }

    #[test]
    fn what_belongs_to_a_statement_is_not_cached() {
        let mut cache = ShapeCache::default();
        assert!(cache.understand(b"select 'x", Dialect::Postgres).1.unterminated);
        assert!(!cache.understand(b"select 'x'", Dialect::Postgres).1.unterminated);
        assert_eq!(cache.inspected, 1);
    }

    #[test]
    fn dialects_are_kept_apart() {
        let mut cache = ShapeCache::default();
        let statement = b"select a from t";
        assert_eq!(cache.understand(statement, Dialect::Postgres).0.operation, Operation::Select);
        assert_eq!(cache.understand(statement, Dialect::None).0.operation, Operation::Unknown);
    }

    #[test]
    fn it_stays_within_its_capacity_and_answers_the_same() {
        let capacity = Capacity { shapes: 10, bytes: 1 << 20 };
        let mut small = ShapeCache::new(capacity);
        let mut large = ShapeCache::default();
        for i in 0..500 {
            for statement in [format!("select * from t{}", i % 37), "select * from often".to_owned()] {
                assert_eq!(
                    small.understand(statement.as_bytes(), Dialect::Postgres),
                    large.understand(statement.as_bytes(), Dialect::Postgres)
                );
            }
            assert!(small.len() <= capacity.shapes);
        }
        assert_eq!(large.inspected, 38);
        // What is used between two changes of generation stays.
        assert!(small.inspected < 540, "{}", small.inspected);

        let mut few_bytes = ShapeCache::new(Capacity { shapes: 1000, bytes: 10_000 });
        (0..1000).for_each(|i| drop(few_bytes.understand(format!("select * from t{i}").as_bytes(), Dialect::MySql)));
        assert!(few_bytes.len() < 60, "{}", few_bytes.len());
    }
}
