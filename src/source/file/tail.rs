//! The loop: look, read in turn, speak.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::discover::{Globs, Walk};
use super::generation::{Backoff, Generation, Step};
use super::identity::{self, FileId, Head, Stat};
use super::rotation::Sibling;
use super::shelf::Shelf;
use super::wake::Wake;
use super::{DELETED, DELETED_AT_END, HOLE, TRUNCATED, TRUNCATED_AT_END, Tuning, resume, rotation};
use crate::clock::{Clock, System};
use crate::config::Start;
use crate::position::{Checkpoint, FilePosition, Partition};
use crate::source::{Chunk, Delivery, Ended, Gap, IDLE_AFTER, Outlet, Trouble};

/// Closed generations that are remembered, so that one which comes back under a glob is not read again.
const REMEMBERED: usize = 4096;
/// Shortest time between two walks, however many names change.
const WALK_SPACING: Duration = Duration::from_millis(10);
/// A start is tried again so often when names change meanwhile.
const STARTS: u32 = 20;
/// Around a rotation new siblings are taken for generations that came and went unseen, for so many walks.
const WALKS_AROUND_ROTATION: u8 = 2;

/// The state of a file source.
pub struct Tail {
    name: String,
    globs: Globs,
    problems: Vec<String>,
    start: Start,
    resume: Vec<Checkpoint>,
    tuning: Tuning,
    shelf: Arc<Shelf>,
    clock: System,
    wake: Wake,
    /// Older generations of a path come before newer ones.
    generations: Vec<Generation>,
    past: Past,
    /// Rotated files outside the globs -> the walk that saw them first.
    siblings: HashMap<FileId, u64>,
    walks: u64,
    /// Live paths that were rotated lately -> walks left.
    rotated: HashMap<PathBuf, u8>,
    /// Files that could not be opened.
    refused: HashMap<PathBuf, Backoff>,
    /// What the last walk could not look at.
    unseen: HashSet<PathBuf>,
    /// Patterns that never matched a file.
    waiting: Vec<String>,
    last_walk: Duration,
    next_walk: Duration,
}

/// Generations that are closed, and keys of those whose file holds another one now.
#[derive(Default)]
struct Past {
    ended: HashMap<FileId, PastOne>,
    order: VecDeque<FileId>,
}

struct PastOne {
    key: String,
    /// `None`: the file holds something else.
    content: Option<(Head, u64, Vec<u8>)>,
}

/// Whether a file is a copy.
enum Copy {
    Yes,
    No,
    /// What it would be a copy of is being replaced right now: ask again.
    Perhaps,
}

impl Past {
    fn insert(&mut self, id: FileId, one: PastOne) {
        if self.ended.insert(id, one).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

impl Tail {
    pub fn new(
        name: String,
        include: &[String],
        exclude: &[String],
        start: Start,
        resume: Vec<Checkpoint>,
        tuning: Tuning,
        shelf: Arc<Shelf>,
    ) -> Self {
        let (globs, problems) = Globs::new(include, exclude);
        let waiting = globs.patterns().map(str::to_owned).collect();
        Tail {
            name,
            globs,
            problems,
            start,
            resume,
            wake: Wake::new(tuning.hints),
            tuning,
            shelf,
            clock: System::default(),
            generations: Vec::new(),
            past: Past::default(),
            siblings: HashMap::new(),
            walks: 0,
            rotated: HashMap::new(),
            refused: HashMap::new(),
            unseen: HashSet::new(),
            waiting,
            last_walk: Duration::ZERO,
            next_walk: Duration::ZERO,
        }
    }

    /// Until it is stopped.
    pub fn run(mut self, out: Outlet) {
        let Err(Ended) = self.follow(&out) else { return };
    }

    fn follow(&mut self, out: &Outlet) -> Result<(), Ended> {
        for message in std::mem::take(&mut self.problems) {
            out.send(self.trouble(None, message, true))?;
        }
        self.first_walk(out)?;
        loop {
            out.go_on()?;
            let hint = self.wake.take();
            let now = self.clock.monotonic();
            if hint.walk || hint.everything {
                self.next_walk = self.next_walk.min(self.last_walk + WALK_SPACING);
            }
            if now >= self.next_walk {
                let walk = self.globs.walk();
                self.look(out, &walk, false)?;
            }
            for generation in &mut self.generations {
                generation.due |= hint.everything || hint.written.contains(&generation.path);
            }
            let more = self.read(out)?;
            self.idle(out)?;
            if !more {
                self.wake.wait(self.pause());
            }
        }
    }

    /// The first walk is different: there are checkpoints to be matched, and what is there may be skipped.
    fn first_walk(&mut self, out: &Outlet) -> Result<(), Ended> {
        let checkpoints = std::mem::take(&mut self.resume);
        let fresh = checkpoints.is_empty();
        let mut walk = self.globs.walk();
        let mut reunion = resume::reunite(&checkpoints, &self.globs, &walk);
        for _ in 0..STARTS {
            out.go_on()?;
            // A rotation right now makes what was found contradict itself. It takes milliseconds.
            let again = self.globs.walk();
            if again.same_names(&walk) {
                break;
            }
            walk = again;
            reunion = resume::reunite(&checkpoints, &self.globs, &walk);
        }
        for checkpoint in reunion.dropped {
            out.send(Delivery::Closed(partition(&checkpoint)))?;
        }
        for (checkpoint, position) in reunion.gone {
            self.lose(out, &partition(&checkpoint), position.offset, position.size, [DELETED, DELETED_AT_END])?;
        }
        for (id, key) in reunion.replaced {
            self.past.insert(id, PastOne { key, content: None });
        }
        reunion.found.sort_by_key(|found| found.stat.id.born_ns);
        for found in reunion.found {
            let path = PathBuf::from(&found.position.path);
            let now = self.clock.monotonic();
            let (partition, offset) = (partition(&found.checkpoint), found.position.offset);
            self.follow_on(out, Generation::resume(partition, path, found.file, found.stat, offset, found.content, now))?;
        }
        self.siblings = rotation::siblings(&walk, std::iter::empty()).into_iter().map(|sibling| (sibling.stat.id, 0)).collect();
        self.walks = u64::from(WALKS_AROUND_ROTATION);
        for Sibling { path, live, stat } in reunion.between {
            self.open(out, &path, stat.id, live, false)?;
        }
        self.look(out, &walk, fresh && self.start == Start::End)?;
        for pattern in &self.waiting {
            let message = format!(
                "the pattern {pattern} matches no file yet; it is looked for again and again. If it should match, check the path and that its directories can be read"
            );
            out.send(self.trouble(Some(pattern.clone()), message, true))?;
        }
        Ok(())
    }

    /// Compares what the walk found with what is followed.
    fn look(&mut self, out: &Outlet, walk: &Walk, skip: bool) -> Result<(), Ended> {
        let now = self.clock.monotonic();
        self.wake.watch(&walk.directories);
        self.failures(out, walk)?;
        self.matched(out, walk)?;
        self.locate(walk, now);
        self.discover(out, walk, skip)?;
        self.retire(out, now)?;
        self.close_quiet_files();
        let done = self.clock.monotonic();
        self.last_walk = done;
        // A walk may take a twentieth of the time at most.
        self.next_walk = done + self.tuning.poll.max(done.saturating_sub(now) * 20);
        Ok(())
    }

    /// Where are the generations now?
    fn locate(&mut self, walk: &Walk, now: Duration) {
        let mut places: HashMap<FileId, (&PathBuf, &Stat)> = HashMap::new();
        for (path, stat) in &walk.files {
            places.entry(stat.id).or_insert((path, stat));
        }
        for generation in &mut self.generations {
            match places.get(&generation.id) {
                Some((path, stat)) => {
                    generation.path.clone_from(path);
                    generation.lost = None;
                    let seen = &generation.seen;
                    generation.due |= generation.recheck || stat.size != seen.size || stat.changed != seen.changed;
                }
                None => {
                    generation.lost.get_or_insert(now);
                    generation.due = true;
                }
            }
            generation.due |= generation.backoff.is_some();
            let before = generation.succeeded;
            generation.succeeded = walk.files.get(&generation.path).is_some_and(|stat| stat.id != generation.id);
            if generation.lost.is_some() && generation.succeeded && !before {
                self.rotated.insert(generation.path.clone(), WALKS_AROUND_ROTATION);
            }
        }
    }

    /// Takes up files that are not followed yet.
    fn discover(&mut self, out: &Outlet, walk: &Walk, skip: bool) -> Result<(), Ended> {
        let now = self.clock.monotonic();
        self.walks = self.walks.saturating_add(1);
        let vacant: HashSet<&Path> =
            self.generations.iter().filter(|one| one.lost.is_some() && !one.succeeded).map(|one| one.path.as_path()).collect();
        let siblings = rotation::siblings(walk, vacant.iter().copied().chain(self.rotated.keys().map(PathBuf::as_path)));
        let mut undecided = Vec::new();
        let mut fresh: Vec<(PathBuf, FileId, PathBuf)> = Vec::new();
        let tracked: HashSet<FileId> = self.generations.iter().map(|generation| generation.id).collect();
        if self.last_walk != Duration::ZERO {
            // A live file that is new may be the last of several since the previous walk.
            for (path, _) in walk.files.iter().filter(|(_, stat)| !tracked.contains(&stat.id)) {
                self.rotated.insert(path.clone(), WALKS_AROUND_ROTATION);
            }
        }
        for Sibling { path, live, stat } in &siblings {
            let since = *self.siblings.entry(stat.id).or_insert(self.walks);
            let unknown = since.saturating_add(u64::from(WALKS_AROUND_ROTATION)) > self.walks && !tracked.contains(&stat.id);
            let around = self.rotated.contains_key(live) || vacant.contains(live.as_path());
            if !unknown || !around || self.is_past(stat) {
                continue;
            }
            match self.copy_of(path, stat, live) {
                Copy::No => fresh.push((path.clone(), stat.id, live.clone())),
                Copy::Yes => {}
                Copy::Perhaps => undecided.push((stat.id, live.clone())),
            }
        }
        for (path, stat) in &walk.files {
            let waits = self.refused.get(path).is_some_and(|backoff| backoff.until > now);
            if !tracked.contains(&stat.id) && !waits && !self.is_past(stat) && self.may_begin(path, stat) {
                fresh.push((path.clone(), stat.id, path.clone()));
            }
        }
        if self.siblings.len() > siblings.len().saturating_add(REMEMBERED) {
            // Not at once: a walk may miss a name that changes meanwhile, and what it held would look new later.
            let there: HashSet<FileId> = siblings.iter().map(|sibling| sibling.stat.id).collect();
            self.siblings.retain(|id, _| there.contains(id));
        }
        self.rotated.retain(|_, walks| {
            *walks = walks.saturating_sub(1);
            *walks > 0
        });
        for (id, live) in undecided {
            self.missed(id, live);
        }
        self.refused.retain(|path, _| walk.files.contains_key(path));
        fresh.sort_by_key(|(_, id, ..)| id.born_ns);
        for (path, id, live) in fresh {
            self.open(out, &path, id, live, skip)?;
        }
        Ok(())
    }

    /// Whether a new file under a rotated name is (so far) a copy of a generation of `live`, made by copytruncate or by hand.
    fn copy_of(&self, path: &Path, stat: &Stat, live: &Path) -> Copy {
        let of_live = || self.generations.iter().filter(|original| original.path == live);
        if of_live().any(|original| rotation::copies(path, stat, original)) {
            Copy::Yes
        } else if of_live().all(Generation::holds) {
            // Only now is it certain that none of them was truncated before it was compared.
            Copy::No
        } else {
            Copy::Perhaps
        }
    }

    /// Not a copy of what is followed already, nor about to become one.
    fn may_begin(&self, path: &Path, stat: &Stat) -> bool {
        let Some(name) = path.file_name() else { return true };
        let related = |original: &&Generation| {
            original.path.parent() == path.parent() && original.path.file_name().is_some_and(|live| super::discover::related(live, name))
        };
        self.generations
            .iter()
            .filter(related)
            .all(|original| stat.size > 0 && matches!(self.copy_of(path, stat, &original.path), Copy::No))
    }

    /// A generation that is closed and has not changed since.
    fn is_past(&self, stat: &Stat) -> bool {
        let past = self.past.ended.get(&stat.id).and_then(|one| one.content.as_ref());
        past.is_some_and(|(_, offset, _)| *offset == stat.size && stat.id.born_ns.is_some())
    }

    /// Begins with a file that is not followed yet, `found` at `path`. `live` is the path that it has, or had before it was rotated.
    fn open(&mut self, out: &Outlet, path: &Path, found: FileId, live: PathBuf, skip: bool) -> Result<(), Ended> {
        let now = self.clock.monotonic();
        let opened = identity::open(path).and_then(|(file, stat)| {
            let salt = if stat.id.born_ns.is_none() { identity::read_at(&file, 0, 64)? } else { Vec::new() };
            Ok((file, stat, salt))
        });
        let (file, stat, salt) = match opened {
            Ok(opened) => opened,
            // Gone again: the next walk knows.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.missed(found, live);
                return Ok(());
            }
            Err(error) => return self.refuse(out, path, &error, now),
        };
        if stat.id != found {
            self.missed(found, live.clone());
        }
        if self.generations.iter().any(|generation| generation.id == stat.id) {
            return Ok(());
        }
        let past = self.past.ended.get(&stat.id);
        let mut offset = if skip { stat.size } else { 0 };
        if let Some((head, read, tail)) = past.and_then(|one| one.content.as_ref())
            && *read <= stat.size
            && head.matches(&file).unwrap_or(false)
            && identity::before(&file, *read).is_ok_and(|before| before == *tail)
        {
            offset = *read;
        }
        let key = stat.id.partition_key(&self.name, past.map(|one| one.key.as_str()), &salt);
        let partition = Arc::new(Partition { source: self.name.clone(), key, label: path.to_string_lossy().into_owned() });
        self.adopt(out, partition, live, (file, stat, offset))?;
        if self.refused.remove(path).is_some() {
            out.send(self.trouble(Some(path.to_string_lossy().into_owned()), format!("{} can be read again", path.display()), false))?;
        }
        Ok(())
    }

    /// A file was moved between the walk that found it and its opening: the next walk looks for it among the siblings.
    fn missed(&mut self, found: FileId, live: PathBuf) {
        self.siblings.insert(found, self.walks.saturating_add(1));
        self.rotated.insert(live, WALKS_AROUND_ROTATION);
    }

    fn adopt(&mut self, out: &Outlet, partition: Arc<Partition>, path: PathBuf, at: (std::fs::File, Stat, u64)) -> Result<(), Ended> {
        let (file, stat, offset) = at;
        let now = self.clock.monotonic();
        match Generation::begin(partition, path.clone(), file, stat, offset, now) {
            Ok(generation) => self.follow_on(out, generation),
            Err(error) => self.refuse(out, &path, &error, now),
        }
    }

    fn follow_on(&mut self, out: &Outlet, mut generation: Generation) -> Result<(), Ended> {
        let older = self.generations.iter().rev().find(|older| older.path == generation.path);
        generation.after = older.map(|older| older.partition.clone());
        self.shelf.put(&generation);
        let (partition, offset) = (generation.partition.clone(), generation.offset);
        self.generations.push(generation);
        // Nothing yet, but now it has a place in the next checkpoint: should the file grow and be rotated while we are down, we know that
        // it was there and where we were.
        out.send(Delivery::Chunk(Chunk { partition, offset, bytes: Vec::new(), message: false }))
    }

    fn refuse(&mut self, out: &Outlet, path: &Path, error: &io::Error, now: Duration) -> Result<(), Ended> {
        let last = self.refused.get(path).copied();
        self.refused.insert(path.to_path_buf(), Backoff::next(last, now));
        if last.is_some() {
            return Ok(());
        }
        out.send(self.trouble(Some(path.to_string_lossy().into_owned()), complaint(path, error), true))
    }

    /// Reads every file that is due, each up to its quota. Whether there is more to read at once.
    fn read(&mut self, out: &Outlet) -> Result<bool, Ended> {
        let mut more = false;
        let mut ended = Vec::new();
        let mut successors = Vec::new();
        for index in 0..self.generations.len() {
            if self.must_wait(index) {
                continue;
            }
            let Some(generation) = self.generations.get_mut(index) else { continue };
            generation.after = None;
            let mut budget = self.tuning.quota;
            while budget > 0 && generation.due {
                match generation.advance(self.tuning.chunk.min(budget)) {
                    Ok(step) => {
                        if generation.backoff.take().is_some() {
                            let message = format!("{} can be read again", generation.path.display());
                            out.send(trouble(&self.name, Some(generation.partition.label.clone()), message, false))?;
                        }
                        match step {
                            Step::Bytes(bytes) => {
                                budget = budget.saturating_sub(bytes.len());
                                let offset = generation.offset.saturating_sub(bytes.len() as u64);
                                self.shelf.put(generation);
                                let partition = generation.partition.clone();
                                out.send(Delivery::Chunk(Chunk { partition, offset, bytes, message: false }))?;
                                generation.last_data = self.clock.monotonic();
                                generation.idle_sent = false;
                            }
                            Step::Hole(from, to) => {
                                self.shelf.put(generation);
                                let partition = generation.partition.clone();
                                out.send(Delivery::Gap(Gap { partition, from, to: Some(to), reason: HOLE }))?;
                            }
                            Step::End => generation.due = false,
                            Step::Truncated => {
                                successors.push(index);
                                generation.due = false;
                            }
                        }
                    }
                    Err(error) => {
                        generation.due = false;
                        // The next walk finds out what became of it.
                        if error.kind() != io::ErrorKind::NotFound {
                            let first = generation.backoff.is_none();
                            generation.backoff = Some(Backoff::next(generation.backoff, self.clock.monotonic()));
                            if first {
                                let message = complaint(&generation.path, &error);
                                out.send(trouble(&self.name, Some(generation.partition.label.clone()), message, true))?;
                            }
                        }
                    }
                }
            }
            more |= generation.due;
        }
        for index in successors {
            if self.truncated(out, index)? {
                ended.push(index);
            }
            more = true;
        }
        let mut index = 0;
        self.generations.retain(|_| {
            let keep = !ended.contains(&index);
            index = index.saturating_add(1);
            keep
        });
        Ok(more)
    }

    /// Not due, backing off, or behind an older generation that is not read to its end.
    fn must_wait(&self, index: usize) -> bool {
        let Some(generation) = self.generations.get(index) else { return true };
        if !generation.due || generation.backoff.is_some_and(|backoff| backoff.until > self.clock.monotonic()) {
            return true;
        }
        let Some(after) = &generation.after else { return false };
        let older = self.generations.iter().find(|older| older.partition == *after);
        older.is_some_and(|older| older.due && older.backoff.is_none())
    }

    /// The content of a followed file is another one now: finish the old generation from its copy if there is one, and begin anew.
    /// Whether the old generation is closed.
    fn truncated(&mut self, out: &Outlet, index: usize) -> Result<bool, Ended> {
        let Some(old) = self.generations.get(index) else { return Ok(false) };
        let (partition, path, id, lost) = (old.partition.clone(), old.path.clone(), old.id, old.lost);
        let (offset, size, file) = (old.offset, old.seen.size, old.file.clone());
        let position = position(old);
        let copy = rotation::find_copy(&path, &position, |other| {
            *other == id || self.past.ended.contains_key(other) || self.generations.iter().any(|generation| generation.id == *other)
        });
        let closed = copy.is_none();
        let now = self.clock.monotonic();
        match copy {
            Some((copy, stat)) => {
                let Some(old) = self.generations.get_mut(index) else { return Ok(false) };
                old.id = stat.id;
                old.file = Some(Arc::new(copy));
                old.seen = stat;
                old.recheck = true;
                old.due = true;
                old.lost = Some(now);
                old.succeeded = true;
                self.shelf.put(old);
            }
            None => self.lose(out, &partition, offset, size, [TRUNCATED, TRUNCATED_AT_END])?,
        }
        self.rotated.insert(path.clone(), WALKS_AROUND_ROTATION);
        self.past.insert(id, PastOne { key: partition.key.clone(), content: None });
        let again = file.as_ref().and_then(|file| file.try_clone().ok()).and_then(|file| Some((Stat::of_file(&file).ok()?, file)));
        // Without a descriptor to spare the next walk finds the file, as one that is not followed.
        let Some((stat, file)) = again else { return Ok(closed) };
        let salt = identity::read_at(&file, 0, 64).unwrap_or_default();
        let key = stat.id.partition_key(&self.name, Some(&partition.key), &salt);
        let next = Arc::new(Partition { source: self.name.clone(), key, label: path.to_string_lossy().into_owned() });
        self.adopt(out, next, path, (file, stat, 0))?;
        if let Some(next) = self.generations.last_mut() {
            next.lost = lost;
            if closed {
                next.after = None;
            }
        }
        Ok(closed)
    }

    /// Declares what is lost of a generation, and closes it.
    fn lose(
        &self,
        out: &Outlet,
        partition: &Arc<Partition>,
        offset: u64,
        size: u64,
        [known, perhaps]: [&'static str; 2],
    ) -> Result<(), Ended> {
        if offset < size {
            out.send(Delivery::Gap(Gap { partition: partition.clone(), from: offset, to: Some(size), reason: known }))?;
        }
        out.send(Delivery::Gap(Gap { partition: partition.clone(), from: size.max(offset), to: None, reason: perhaps }))?;
        out.send(Delivery::Closed(partition.clone()))
    }

    /// Closes rotated generations that will not grow any more.
    fn retire(&mut self, out: &Outlet, now: Duration) -> Result<(), Ended> {
        let mut index = 0;
        while let Some(generation) = self.generations.get_mut(index) {
            let Some(lost) = generation.lost else {
                index = index.saturating_add(1);
                continue;
            };
            let mut gone = false;
            if generation.file.is_none() {
                generation.file = find_moved(generation);
                gone = generation.file.is_none();
            }
            let quiet = now.saturating_sub(lost.max(generation.last_data)) >= self.tuning.grace;
            let stat = generation.file.as_deref().and_then(|file| Stat::of_file(file).ok());
            let unlinked = stat.is_some_and(|stat| stat.links == 0);
            let ended = stat.is_some_and(|stat| stat.size == generation.seen.size && generation.backoff.is_none());
            if gone {
                let (partition, offset, size) = (generation.partition.clone(), generation.offset, generation.seen.size);
                self.lose(out, &partition, offset, size, [DELETED, DELETED_AT_END])?;
            } else if quiet && ended && generation.after.is_none() && (unlinked || generation.succeeded) {
                let (partition, offset, size) = (generation.partition.clone(), generation.offset, generation.seen.size);
                if offset < size {
                    out.send(Delivery::Gap(Gap { partition: partition.clone(), from: offset, to: Some(size), reason: HOLE }))?;
                }
                out.send(Delivery::Closed(partition.clone()))?;
                let content = Some((generation.head, offset, generation.tail.clone()));
                self.past.insert(generation.id, PastOne { key: partition.key.clone(), content });
            } else {
                index = index.saturating_add(1);
                continue;
            }
            self.generations.remove(index);
        }
        Ok(())
    }

    /// Keeps the number of open files within the budget.
    fn close_quiet_files(&mut self) {
        let open = self.generations.iter().filter(|generation| generation.file.is_some()).count();
        let Some(excess) = open.checked_sub(self.tuning.open_files).filter(|excess| *excess > 0) else { return };
        let mut quiet: Vec<&mut Generation> = self
            .generations
            .iter_mut()
            .filter(|generation| generation.file.is_some() && generation.lost.is_none() && !generation.due && generation.at_end())
            .collect();
        quiet.sort_by_key(|generation| generation.last_data);
        for generation in quiet.into_iter().take(excess) {
            generation.file = None;
            self.shelf.put(generation);
        }
    }

    fn idle(&mut self, out: &Outlet) -> Result<(), Ended> {
        let now = self.clock.monotonic();
        for generation in &mut self.generations {
            if !generation.idle_sent && !generation.due && now.saturating_sub(generation.last_data) >= IDLE_AFTER {
                generation.idle_sent = true;
                out.send(Delivery::Idle(generation.partition.clone()))?;
            }
        }
        Ok(())
    }

    /// How long nothing has to be done unless something changes.
    fn pause(&self) -> Duration {
        let now = self.clock.monotonic();
        let idle = self.generations.iter().filter(|generation| !generation.idle_sent).map(|generation| generation.last_data + IDLE_AFTER);
        let next = idle.chain([self.next_walk]).min().unwrap_or(self.next_walk);
        next.saturating_sub(now).clamp(Duration::from_millis(1), Outlet::PATIENCE)
    }

    /// Speaks of what could not be looked at, once when it begins and once when it is over.
    fn failures(&mut self, out: &Outlet, walk: &Walk) -> Result<(), Ended> {
        let failing: HashSet<PathBuf> = walk.failures.iter().map(|(path, _)| path.clone()).collect();
        for (path, error) in &walk.failures {
            if !self.unseen.contains(path) {
                out.send(self.trouble(Some(path.to_string_lossy().into_owned()), complaint(path, error), true))?;
            }
        }
        for path in self.unseen.difference(&failing) {
            let message = format!("{} can be read again", path.display());
            out.send(self.trouble(Some(path.to_string_lossy().into_owned()), message, false))?;
        }
        self.unseen = failing;
        Ok(())
    }

    /// Speaks of patterns that match for the first time, after their absence was spoken of.
    fn matched(&mut self, out: &Outlet, walk: &Walk) -> Result<(), Ended> {
        let first = self.last_walk == Duration::ZERO;
        let (now, waiting): (Vec<String>, Vec<String>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|pattern| self.globs.any(pattern, walk.files.keys()));
        self.waiting = waiting;
        for pattern in now.into_iter().filter(|_| !first) {
            let message = format!("the pattern {pattern} matches a file now");
            out.send(self.trouble(Some(pattern), message, false))?;
        }
        Ok(())
    }

    fn trouble(&self, label: Option<String>, message: String, failing: bool) -> Delivery {
        trouble(&self.name, label, message, failing)
    }
}

fn trouble(source: &str, label: Option<String>, message: String, failing: bool) -> Delivery {
    Delivery::Trouble(Trouble { source: source.to_owned(), label, message, failing })
}

fn partition(checkpoint: &Checkpoint) -> Arc<Partition> {
    Arc::new(Partition { source: checkpoint.source.clone(), key: checkpoint.key.clone(), label: checkpoint.label.clone() })
}

fn position(generation: &Generation) -> FilePosition {
    FilePosition {
        path: generation.path.to_string_lossy().into_owned(),
        device: generation.id.device,
        inode: generation.id.inode,
        born_ns: generation.id.born_ns,
        head_len: generation.head.len,
        head_hash: generation.head.hash,
        anchor_len: u32::try_from(generation.tail.len()).unwrap_or(u32::MAX),
        anchor_hash: identity::hash(&generation.tail),
        offset: generation.offset,
        size: generation.seen.size,
    }
}

/// A generation whose descriptor was closed to save it, and that was then moved away.
fn find_moved(generation: &Generation) -> Option<Arc<std::fs::File>> {
    let directory = generation.path.parent().unwrap_or(Path::new(""));
    super::discover::nearby(directory)
        .into_iter()
        .filter(|(_, inode)| *inode == generation.id.inode)
        .filter_map(|(path, _)| identity::open(&path).ok())
        .find(|(file, stat)| stat.id == generation.id && identity::fits(file, stat.size, &position(generation)).unwrap_or(false))
        .map(|(file, _)| Arc::new(file))
}

/// What is wrong with a file, and what to do.
fn complaint(path: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "let the user that runs tokenwatch read it: add the user tokenwatch to the group of the file (often adm), or setfacl -m u:tokenwatch:r on it and :rx on its directories"
        }
        io::ErrorKind::InvalidInput => "name a regular file, or leave it out with exclude",
        _ if error.raw_os_error() == Some(24) => "raise the limit of open files (LimitNOFILE= in the unit)",
        _ => "check the disk and the mount",
    };
    format!("cannot read {}: {error}; {advice}. It is tried again, other files go on", path.display())
}
