//! At the start: which file of today is which generation of the last checkpoint.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::discover::{self, Globs, Walk};
use super::generation::Content;
use super::identity::{self, FileId, Head, Stat};
use super::rotation::{self, Sibling};
use crate::position::{Checkpoint, FilePosition, Position};

/// A generation that was found again.
#[derive(Debug)]
pub struct Found {
    pub checkpoint: Checkpoint,
    pub position: FilePosition,
    pub file: File,
    pub stat: Stat,
    pub content: Content,
}

/// What the checkpoints and the files of today have in common.
#[derive(Debug, Default)]
pub struct Reunion {
    pub found: Vec<Found>,
    /// Generations whose bytes after the position are gone.
    pub gone: Vec<(Checkpoint, FilePosition)>,
    /// Generations that the configuration does not include any more.
    pub dropped: Vec<Checkpoint>,
    /// Files that have the inode of a generation but not its content -> that generation's key.
    pub replaced: HashMap<FileId, String>,
    /// Generations that came and went while we were down, oldest first.
    pub between: Vec<Sibling>,
}

/// Finds every generation again: by inode tuple and content wherever it was moved to in or below its directory, else by content alone
/// (a copy, after copytruncate or a restored backup).
pub fn reunite(checkpoints: &[Checkpoint], globs: &Globs, walk: &Walk) -> Reunion {
    let mut reunion = Reunion::default();
    let mut open = Vec::new();
    for checkpoint in checkpoints.iter().cloned() {
        match checkpoint.position.clone() {
            Position::File(position) if globs.matches(Path::new(&position.path)) => open.push((checkpoint, position)),
            Position::File(_) | Position::Kafka { .. } => reunion.dropped.push(checkpoint),
        }
    }
    let mut taken = HashSet::new();
    let mut nearby = Nearby::default();
    let mut lost = Vec::new();
    // Truncated in place and then rotated by name.
    let mut moved = Vec::new();
    for (checkpoint, position) in open {
        match same_inode(&position, walk, &mut nearby) {
            Some((_, file, stat))
                if !taken.contains(&stat.id)
                    && let Some(content) = content(&file, &stat, &position) =>
            {
                taken.insert(stat.id);
                reunion.found.push(Found { checkpoint, position, file, stat, content });
            }
            other => {
                if let Some((path, _, stat)) = other {
                    reunion.replaced.insert(stat.id, checkpoint.key.clone());
                    if !walk.files.contains_key(&path) {
                        moved.push(Sibling { path, live: PathBuf::from(&position.path), stat });
                    }
                }
                lost.push((checkpoint, position));
            }
        }
    }
    for (checkpoint, position) in lost {
        let path = PathBuf::from(&position.path);
        let found = copy(&path, &position, &taken);
        match found.and_then(|(file, stat)| content(&file, &stat, &position).map(|content| (file, stat, content))) {
            Some((file, stat, content)) => {
                taken.insert(stat.id);
                reunion.found.push(Found { checkpoint, position, file, stat, content });
            }
            None => reunion.gone.push((checkpoint, position)),
        }
    }
    // The file that a generation was replaced in can turn out to be another generation.
    reunion.replaced.retain(|id, _| !taken.contains(id));
    reunion.between = between(&reunion, walk, &taken);
    reunion.between.extend(moved.into_iter().filter(|sibling| !taken.contains(&sibling.stat.id)));
    reunion
}

/// What is at the position, if it is that of the checkpoint. It is verified last: what was read before that is of the same generation.
fn content(file: &File, stat: &Stat, position: &FilePosition) -> Option<Content> {
    let tail = identity::before(file, position.offset).ok()?;
    let head = Head::of(file).ok()?;
    fits(file, stat, position).then_some(Content { tail, head })
}

fn fits(file: &File, stat: &Stat, position: &FilePosition) -> bool {
    identity::fits(file, stat.size, position).unwrap_or(false)
}

/// The file with the inode tuple of the position.
fn same_inode(position: &FilePosition, walk: &Walk, nearby: &mut Nearby) -> Option<(PathBuf, File, Stat)> {
    let id = FileId::of(position);
    let listed = walk.files.iter().find(|(_, stat)| stat.id == id).map(|(path, _)| path.clone());
    let path = listed.or_else(|| {
        let directory = Path::new(&position.path).parent().unwrap_or(Path::new(""));
        nearby.with_inode(directory, position.inode).into_iter().find(|path| Stat::of_path(path).is_ok_and(|stat| stat.id == id))
    })?;
    let (file, stat) = identity::open(&path).ok()?;
    (stat.id == id).then_some((path, file, stat))
}

/// A file with the content of the position: a rotated name beside it, else what has its path.
fn copy(path: &Path, position: &FilePosition, taken: &HashSet<FileId>) -> Option<(File, Stat)> {
    rotation::find_copy(path, position, |id| taken.contains(id)).or_else(|| {
        // Nothing was taken in of it: any file would fit.
        let (file, stat) = (position.offset > 0).then(|| identity::open(path).ok()).flatten()?;
        (!taken.contains(&stat.id) && fits(&file, &stat, position)).then_some((file, stat))
    })
}

/// Rotated siblings that were born after the newest generation we know of each path.
fn between(reunion: &Reunion, walk: &Walk, taken: &HashSet<FileId>) -> Vec<Sibling> {
    let found = &reunion.found;
    // A copy of a generation by hand holds nothing that its original does not.
    let copy = |sibling: &Sibling| {
        identity::open(&sibling.path).is_ok_and(|(file, stat)| {
            found
                .iter()
                .any(|one| one.position.offset > 0 && Path::new(&one.position.path) == sibling.live && fits(&file, &stat, &one.position))
        })
    };
    // Of a generation that is gone its own birth is known, unless it was truncated: then its file is older than its content.
    let replaced: HashSet<&str> = reunion.replaced.values().map(String::as_str).collect();
    let gone = reunion.gone.iter().filter(|(checkpoint, _)| !replaced.contains(checkpoint.key.as_str()));
    let births = found
        .iter()
        .map(|one| (&one.position.path, one.stat.id.device, one.stat.id.born_ns))
        .chain(gone.map(|(_, position)| (&position.path, position.device, position.born_ns)));
    let mut newest: HashMap<&str, (u64, Option<i64>)> = HashMap::new();
    for (path, device, born) in births {
        newest.entry(path).and_modify(|best| *best = (*best).max((device, born))).or_insert((device, born));
    }
    let paths = newest.keys().map(Path::new);
    let mut between: Vec<_> = rotation::siblings(walk, paths)
        .into_iter()
        .filter(|sibling| !taken.contains(&sibling.stat.id))
        .filter(|sibling| {
            let still_there = walk.files.get(&sibling.live).is_some_and(|stat| taken.contains(&stat.id));
            let known = sibling.live.to_str().and_then(|live| newest.get(live));
            !still_there
                && known
                    .is_some_and(|(device, born)| *device == sibling.stat.id.device && born.is_some() && sibling.stat.id.born_ns > *born)
                && !copy(sibling)
        })
        .collect();
    between.sort_by_key(|sibling| sibling.stat.id.born_ns);
    between
}

/// Listings of directories, each read once.
#[derive(Debug, Default)]
struct Nearby(HashMap<PathBuf, HashMap<u64, Vec<PathBuf>>>);

impl Nearby {
    fn with_inode(&mut self, directory: &Path, inode: u64) -> Vec<PathBuf> {
        let listing = self.0.entry(directory.to_path_buf()).or_insert_with(|| {
            let mut listing: HashMap<u64, Vec<PathBuf>> = HashMap::new();
            for (path, inode) in discover::nearby(directory) {
                listing.entry(inode).or_default().push(path);
            }
            listing
        });
        listing.get(&inode).cloned().unwrap_or_default()
    }
}
