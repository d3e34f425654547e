//! What became of a generation whose path holds something else now.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::discover::{self, Walk};
use super::generation::Generation;
use super::identity::{self, FileId, Stat};
use crate::position::FilePosition;

/// A directory whose names keep changing is listed so often.
const LISTINGS: usize = 5;

/// A file that is, or may be, a rotated generation of the live file.
#[derive(Debug)]
pub struct Sibling {
    pub path: PathBuf,
    pub live: PathBuf,
    pub stat: Stat,
}

/// The rotated siblings, outside the globs, of all live files that a walk found, and of `more` paths whose file is gone for now.
pub fn siblings<'p>(walk: &'p Walk, more: impl Iterator<Item = &'p Path>) -> Vec<Sibling> {
    let mut names: HashMap<&Path, HashSet<OsString>> = HashMap::new();
    for path in walk.files.keys().map(PathBuf::as_path).chain(more) {
        if let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
            names.entry(directory).or_default().insert(name.to_owned());
        }
    }
    let mut siblings = Vec::new();
    for (directory, names) in names {
        for other in walk.others.get(directory).map(Vec::as_slice).unwrap_or_default() {
            let path = directory.join(other);
            if discover::compressed(&path) {
                continue;
            }
            let Some(live) = discover::live_name(&names, other) else { continue };
            if let Ok(stat) = Stat::of_path(&path)
                && stat.regular
            {
                siblings.push(Sibling { path, live: directory.join(live), stat });
            }
        }
    }
    siblings
}

/// Finds the copy that copytruncate made of a generation, among the rotated names beside its path.
///
/// Of several the longest: an older backup may hold the same beginning. `taken` files are other generations.
pub fn find_copy(path: &Path, position: &FilePosition, taken: impl Fn(&FileId) -> bool) -> Option<(File, Stat)> {
    if position.offset == 0 && position.head_len == 0 {
        return None;
    }
    let name = path.file_name()?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut listed = discover::nearby(directory);
    for _ in 0..LISTINGS {
        let found = listed
            .iter()
            .map(|(other, _)| other)
            .filter(|other| !discover::compressed(other))
            .filter(|other| other.file_name().is_some_and(|other| discover::related(name, other)))
            .filter_map(|other| identity::open(other).ok())
            .filter(|(file, stat)| !taken(&stat.id) && identity::fits(file, stat.size, position).unwrap_or(false))
            .max_by_key(|(_, stat)| (stat.size, stat.id));
        // Not found may mean that names changed between listing and opening.
        let again = discover::nearby(directory);
        if found.is_some() || again == listed {
            return found;
        }
        listed = again;
    }
    None
}

/// Whether the file is, so far, nothing but a copy of the generation's beginning: copytruncate at work, or a backup by hand.
/// Its bytes have been emitted or will be, from the original.
pub fn copies(path: &Path, stat: &Stat, original: &Generation) -> bool {
    let copies = || -> io::Result<bool> {
        let Some(original) = &original.file else { return Ok(false) };
        let (copy, now) = identity::open(path)?;
        let size = now.size;
        if size > Stat::of_file(original)?.size {
            return Ok(false);
        }
        let head = identity::read_at(original, 0, identity::HEAD.min(usize::try_from(size).unwrap_or(identity::HEAD)))?;
        Ok(identity::Head::of_bytes(&head).matches(&copy)? && identity::before(&copy, size)? == identity::before(original, size)?)
    };
    stat.id != original.id && copies().unwrap_or(false)
}
