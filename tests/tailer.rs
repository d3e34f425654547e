//! The file source against a ledger: every byte of every generation of a file is delivered exactly once and in order, or declared as
//! a gap; also over rotations, truncations, deletions and restarts from a bookmark at any point.
// The source runs on its own thread in real time.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tokenwatch::config::Start;
use tokenwatch::position::{Checkpoint, Partition, Position};
use tokenwatch::source::file::{self, FileSource, Tuning};
use tokenwatch::source::{Bookmarks, Delivery, Gap, Stop, Trouble};

/// Nothing here takes this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn impatient() -> Tuning {
    Tuning { poll: Duration::from_millis(4), chunk: 61, quota: 300, grace: Duration::from_millis(150), open_files: 512, hints: false }
}

/// What came of one partition: bytes, and `None` for each byte of a gap.
#[derive(Debug, Clone)]
struct Heard {
    partition: Arc<Partition>,
    begin: u64,
    bytes: Vec<Option<u8>>,
    /// A gap without an end was declared.
    open_gap: bool,
    gaps: Vec<Gap>,
    idles: usize,
    closed: bool,
}

impl Heard {
    fn end(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }

    fn text(&self) -> String {
        self.bytes.iter().map(|byte| byte.map_or('\0', char::from)).collect()
    }
}

/// A running file source and all that came out of it, over restarts.
struct Follower {
    include: Vec<String>,
    tuning: Tuning,
    start: Start,
    heard: BTreeMap<String, Heard>,
    troubles: Vec<Trouble>,
    resumed: Vec<Checkpoint>,
    running: Option<Running>,
}

struct Running {
    deliveries: crossbeam_channel::Receiver<Delivery>,
    bookmarks: Arc<dyn Bookmarks>,
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Follower {
    fn new(include: &Path, tuning: Tuning) -> Self {
        let include = vec![include.to_string_lossy().into_owned()];
        let mut follower = Follower {
            include,
            tuning,
            start: Start::Beginning,
            heard: BTreeMap::new(),
            troubles: Vec::new(),
            resumed: Vec::new(),
            running: None,
        };
        follower.go(Vec::new());
        follower
    }

    fn go(&mut self, resume: Vec<Checkpoint>) {
        self.resumed.clone_from(&resume);
        let (source, bookmarks) =
            FileSource::new("logs".to_owned(), self.include.clone(), Vec::new(), self.start, resume, self.tuning.clone());
        let (out, deliveries) = crossbeam_channel::bounded(4);
        let stop = Stop::default();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || source.run(out, stopped));
        self.running = Some(Running { deliveries, bookmarks, stop, thread });
    }

    /// Stops with a checkpoint of every open partition; `choose` picks each offset between what it is given.
    fn halt(&mut self, mut choose: impl FnMut(u64, u64) -> u64) -> Vec<Checkpoint> {
        let running = self.running.take().expect("is running");
        let mut checkpoints = Vec::new();
        for (key, heard) in self.heard.iter_mut().filter(|(_, heard)| !heard.closed) {
            let offset = choose(heard.begin, heard.end());
            let Some(position) = running.bookmarks.bookmark(&heard.partition, offset) else {
                // The source was stopped before it came to it: the last checkpoint stands.
                let last = self.resumed.iter().find(|checkpoint| checkpoint.key == *key).expect("what was heard can be bookmarked");
                checkpoints.push(last.clone());
                continue;
            };
            let Position::File(at) = &position else { panic!("not a file position") };
            assert_eq!(at.offset, offset, "{key}");
            heard.bytes.truncate((offset - heard.begin) as usize);
            heard.open_gap = false;
            heard.gaps.retain(|gap| gap.from < offset);
            let Partition { source, key, label } = &*heard.partition;
            checkpoints.push(Checkpoint { source: source.clone(), key: key.clone(), label: label.clone(), position, state: Vec::new() });
        }
        running.stop.stop();
        let asked = Instant::now();
        running.thread.join().expect("the source does not panic");
        assert!(asked.elapsed() < PATIENCE, "stopping took {:?}", asked.elapsed());
        checkpoints
    }

    fn restart(&mut self) {
        let checkpoints = self.halt(|_, end| end);
        self.go(checkpoints);
    }

    /// Listens for so long.
    fn listen(&mut self, long: Duration) {
        let until = Instant::now() + long;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(running) = &self.running else { return };
            let Ok(delivery) = running.deliveries.recv_timeout(left) else { return };
            self.take(delivery);
        }
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Chunk(chunk) => {
                assert!(!chunk.message && chunk.bytes.len() <= self.tuning.chunk);
                let heard = self.part(&chunk.partition, chunk.offset);
                assert_eq!(chunk.offset, heard.end(), "in order and without holes: {} then {:?}", heard.text(), chunk);
                heard.bytes.extend(chunk.bytes.into_iter().map(Some));
            }
            Delivery::Gap(gap) => {
                let heard = self.part(&gap.partition, gap.from);
                assert_eq!(gap.from, heard.end(), "a gap begins where the bytes end");
                match gap.to {
                    Some(to) => heard.bytes.resize((to - heard.begin) as usize, None),
                    None => heard.open_gap = true,
                }
                heard.gaps.push(gap);
            }
            Delivery::Idle(partition) => self.part(&partition, 0).idles += 1,
            Delivery::Closed(partition) => {
                self.part(&partition, 0).closed = true;
                if let Some(running) = &self.running {
                    running.bookmarks.release(&partition);
                }
            }
            Delivery::Trouble(trouble) => self.troubles.push(trouble),
        }
    }

    fn part(&mut self, partition: &Arc<Partition>, begin: u64) -> &mut Heard {
        let heard = self.heard.entry(partition.key.clone()).or_insert_with(|| Heard {
            partition: partition.clone(),
            begin,
            bytes: Vec::new(),
            open_gap: false,
            gaps: Vec::new(),
            idles: 0,
            closed: false,
        });
        assert!(!heard.closed, "nothing comes after the end of {partition:?}");
        heard
    }

    /// Listens until the condition holds.
    #[track_caller]
    fn until(&mut self, what: &str, condition: impl Fn(&Follower) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}; heard {}", self.dump());
            self.listen(Duration::from_millis(2));
        }
    }

    /// Listens until exactly these texts have come, one per partition, in any order.
    #[track_caller]
    fn until_texts(&mut self, texts: &[&str]) {
        let mut wanted: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        wanted.sort();
        self.until(&format!("{texts:?}"), |follower| follower.texts() == wanted);
        self.listen(Duration::from_millis(40));
        assert_eq!(self.texts(), wanted, "and nothing more");
    }

    fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.heard.values().map(Heard::text).filter(|text| !text.is_empty()).collect();
        texts.sort();
        texts
    }

    fn gaps(&self) -> Vec<(u64, Option<u64>, &'static str)> {
        self.heard.values().flat_map(|heard| &heard.gaps).map(|gap| (gap.from, gap.to, gap.reason)).collect()
    }

    fn dump(&self) -> String {
        let parts = self.heard.values().map(|heard| {
            format!(
                "\n  {} closed={} open_gap={} gaps={:?} {:?}",
                heard.partition.key,
                heard.closed,
                heard.open_gap,
                heard.gaps,
                heard.text()
            )
        });
        format!("{}\n  troubles {:?}", parts.collect::<String>(), self.troubles)
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    PathBuf::from(format!("{}.{number}", path.display()))
}

/// `x.1` becomes `x.2` and so on: room for a new `x.1`.
fn shift(path: &Path) {
    let last = (1..).find(|number| !numbered(path, *number).exists()).unwrap();
    for number in (1..last).rev() {
        fs::rename(numbered(path, number), numbered(path, number + 1)).unwrap();
    }
}

fn rename_away(path: &Path) {
    shift(path);
    fs::rename(path, numbered(path, 1)).unwrap();
}

fn copytruncate(path: &Path) {
    shift(path);
    fs::copy(path, numbered(path, 1)).unwrap();
    OpenOptions::new().write(true).truncate(true).open(path).unwrap();
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.log");
    (directory, path)
}

// ---- the model ------------------------------------------------------------------------------------------------------------------

#[derive(Debug, Clone)]
enum Action {
    /// So many bytes, wherever that cuts a line.
    Append(usize),
    Rename {
        recreate: bool,
    },
    CopyTruncate,
    Truncate,
    Delete,
    /// The permille of what was heard at which each partition's bookmark is; then the actions while down.
    Restart(u64, Vec<Action>),
    Pause(u64),
    Settle,
}

fn simple() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (1..200_usize).prop_map(Action::Append),
        1 => (1000..5000_usize).prop_map(Action::Append),
        3 => any::<bool>().prop_map(|recreate| Action::Rename { recreate }),
        2 => Just(Action::CopyTruncate),
        1 => Just(Action::Truncate),
        1 => Just(Action::Delete),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => simple(),
        2 => (0..=1000_u64, proptest::collection::vec(simple(), 0..4)).prop_map(|(at, down)| Action::Restart(at, down)),
        2 => (0..8_u64).prop_map(Action::Pause),
        1 => Just(Action::Settle),
    ]
}

/// The first byte of each line of a generation.
fn name(generation: usize) -> char {
    char::from(b'!' + u8::try_from(generation).expect("so many generations take too long anyway"))
}

/// What was written, generation by generation.
struct Ledger {
    path: PathBuf,
    generations: Vec<Written>,
    live: Option<usize>,
    /// The last generation of the path was destroyed. If its successor is moved away before anybody met it, nobody can know of it.
    orphaned: bool,
}

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    /// By the test itself: without a copy.
    destroyed: bool,
}

impl Ledger {
    fn create(&mut self) -> usize {
        self.generations.push(Written::default());
        let index = self.generations.len() - 1;
        self.live = Some(index);
        index
    }

    fn append(&mut self, len: usize) {
        let index = self.live.unwrap_or_else(|| self.create());
        let written = &mut self.generations[index];
        let start = written.bytes.len();
        let mut line = 0;
        let mut whole = Vec::new();
        while whole.len() < start + len {
            whole.extend(format!("{}:{line:04} {}\n", name(index), "abcdefghijklmnopqrstuvwxyz".repeat(line % 3)).bytes());
            line += 1;
        }
        let more = &whole[start..start + len];
        OpenOptions::new().create(true).append(true).open(&self.path).unwrap().write_all(more).unwrap();
        written.bytes.extend(more);
    }

    fn act(&mut self, action: &Action) {
        match (action, self.live) {
            (Action::Append(len), _) => self.append(*len),
            (Action::Rename { recreate }, Some(_)) => {
                rename_away(&self.path);
                self.live = None;
                if *recreate {
                    File::create(&self.path).unwrap();
                    self.create();
                }
            }
            (Action::CopyTruncate, Some(_)) => {
                copytruncate(&self.path);
                self.create();
            }
            (Action::Truncate, Some(live)) => {
                self.generations[live].destroyed = true;
                self.orphaned = true;
                File::create(&self.path).unwrap();
                self.create();
            }
            (Action::Delete, Some(live)) => {
                self.generations[live].destroyed = true;
                self.orphaned = true;
                fs::remove_file(&self.path).unwrap();
                self.live = None;
            }
            _ => {}
        }
    }

    /// Every generation that still exists and has bytes has been met. What was never met before the source stopped and was then moved
    /// away cannot be known.
    fn met(&self, follower: &Follower) -> bool {
        self.generations
            .iter()
            .enumerate()
            .filter(|(_, written)| !written.destroyed && !written.bytes.is_empty())
            .all(|(number, _)| follower.heard.values().any(|heard| heard.text().starts_with(name(number))))
    }

    /// What is wrong, if anything.
    fn judge(&self, follower: &Follower) -> Result<(), String> {
        let mut left: Vec<&Heard> = follower.heard.values().collect();
        for (number, written) in self.generations.iter().enumerate() {
            let found = left.iter().position(|heard| heard.text().starts_with(name(number)));
            let Some(heard) = found.map(|index| left.swap_remove(index)) else {
                // Destroyed before it was seen, or empty.
                if written.destroyed || written.bytes.is_empty() {
                    continue;
                }
                return Err(format!("generation {number} was not heard: {:?}", String::from_utf8_lossy(&written.bytes)));
            };
            let same = heard.bytes.iter().zip(&written.bytes).all(|(heard, written)| heard.is_none_or(|heard| heard == *written));
            if !same || heard.bytes.len() > written.bytes.len() {
                return Err(format!("generation {number} differs: {}", heard.text()));
            }
            if !written.destroyed && !heard.gaps.is_empty() {
                return Err(format!("generation {number} has gaps that nobody made: {:?}", heard.gaps));
            }
            if heard.bytes.len() < written.bytes.len() && !heard.open_gap {
                return Err(format!("generation {number}: {} of {} bytes heard", heard.bytes.len(), written.bytes.len()));
            }
        }
        match left.iter().find(|heard| heard.bytes.iter().any(Option::is_some)) {
            Some(heard) => Err(format!("heard what nobody wrote, or twice: {} {:?}", heard.partition.key, heard.text())),
            None => Ok(()),
        }
    }
}

fn play(actions: &[Action], wide: bool, hints: bool) -> Result<(), TestCaseError> {
    let (directory, path) = directory();
    let include = directory.path().join(if wide { "x.log*" } else { "*.log" });
    let mut follower = Follower::new(&include, Tuning { hints, ..impatient() });
    let mut ledger = Ledger { path, generations: Vec::new(), live: None, orphaned: false };
    let settle = |ledger: &Ledger, follower: &mut Follower| {
        let begun = Instant::now();
        loop {
            follower.listen(Duration::from_millis(5));
            match ledger.judge(follower) {
                Ok(()) => return Ok(()),
                Err(_) if begun.elapsed() < PATIENCE => {}
                Err(wrong) => return Err(TestCaseError::fail(format!("{wrong}{}", follower.dump()))),
            }
        }
    };
    // Files that were rotated before the source first saw any are not its business.
    ledger.append(1);
    follower.until("the first generation", |follower| ledger.met(follower));
    for action in actions {
        match action {
            Action::Pause(ms) => follower.listen(Duration::from_millis(*ms)),
            Action::Settle => settle(&ledger, &mut follower)?,
            Action::Restart(permille, down) => {
                if ledger.live.is_some_and(|live| ledger.generations[live].bytes.is_empty()) {
                    ledger.append(1);
                }
                follower.until("every generation to be met", |follower| ledger.met(follower));
                let checkpoints = follower.halt(|begin, end| begin + (end - begin) * permille / 1000);
                let orphaned = ledger.orphaned;
                let mut truncated = false;
                for action in down {
                    truncated |= matches!(action, Action::Truncate);
                    let unknowable = match action {
                        Action::Rename { .. } => orphaned,
                        Action::CopyTruncate => orphaned || truncated,
                        _ => false,
                    };
                    if !unknowable {
                        ledger.act(action);
                    }
                }
                follower.go(checkpoints);
            }
            action => {
                let behind = ledger.orphaned && matches!(action, Action::Rename { .. }) || matches!(action, Action::CopyTruncate);
                if ledger.live.is_some() && behind {
                    // A file in which nothing was ever seen cannot be told from its truncated self.
                    ledger.append(1);
                    follower.until("the successor to be met", |follower| ledger.met(follower));
                    ledger.orphaned = false;
                }
                ledger.act(action);
            }
        }
    }
    settle(&ledger, &mut follower)?;
    // Whatever comes late is a fault too.
    follower.listen(Duration::from_millis(20));
    settle(&ledger, &mut follower)?;
    follower.halt(|_, end| end);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_comes_once_or_is_declared(actions in proptest::collection::vec(action(), 1..20), hints in any::<bool>()) {
        play(&actions, false, hints)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The globs match the rotated names too: copies must not be taken for new files.
    #[test]
    fn rotated_names_under_the_globs_are_not_read_twice(actions in proptest::collection::vec(action(), 1..20), hints in any::<bool>()) {
        play(&actions, true, hints)?;
    }
}

// ---- single cases ---------------------------------------------------------------------------------------------------------------

#[test]
fn a_file_that_appears_later_is_read_from_its_beginning_and_told_of() {
    let (_directory, path) = directory();
    let mut follower = Follower::new(&path, impatient());
    follower.until("the trouble", |follower| follower.troubles.len() == 1);
    assert!(follower.troubles[0].failing && follower.troubles[0].message.contains("matches no file yet"));
    append(&path, "one\n");
    follower.until_texts(&["one\n"]);
    assert!(follower.troubles.len() == 2 && !follower.troubles[1].failing, "{:?}", follower.troubles);
}

#[test]
fn a_pause_is_told_once() {
    let (_directory, path) = directory();
    append(&path, "one\n");
    let mut follower = Follower::new(&path, impatient());
    follower.until("idle", |follower| follower.heard.values().any(|heard| heard.idles == 1));
    follower.listen(Duration::from_millis(150));
    append(&path, "two\n");
    follower.until("idle again", |follower| follower.heard.values().any(|heard| heard.idles == 2 && heard.text() == "one\ntwo\n"));
}

#[test]
fn start_at_the_end_holds_for_the_first_start_and_its_files_only() {
    let (directory, path) = directory();
    append(&path, "old\n");
    let mut follower = Follower::new(&directory.path().join("*.log"), impatient());
    follower.halt(|begin, _| begin);
    follower.heard.clear();
    follower.start = Start::End;
    follower.go(Vec::new());
    follower.until("the file to be met", |follower| follower.heard.len() == 1);
    append(&path, "new\n");
    let later = directory.path().join("later.log");
    append(&later, "later\n");
    follower.until_texts(&["new\n", "later\n"]);
    let checkpoints = follower.halt(|_, end| end);
    append(&path, "while down\n");
    follower.go(checkpoints);
    follower.until_texts(&["new\nwhile down\n", "later\n"]);
}

#[test]
fn a_reused_inode_is_another_file() {
    let (_directory, path) = directory();
    for round in 0..20 {
        fs::remove_file(&path).ok();
        append(&path, "header\nfirst\n");
        let mut follower = Follower::new(&path, impatient());
        follower.until_texts(&["header\nfirst\n"]);
        let checkpoints = follower.halt(|_, end| end);
        fs::remove_file(&path).unwrap();
        // The same size and, on many file systems, the same inode.
        append(&path, "header\nother\n");
        follower.go(checkpoints);
        follower.until_texts(&["header\nfirst\n", "header\nother\n"]);
        assert_eq!(follower.gaps(), [(13, None, file::DELETED_AT_END)], "round {round}");
    }
}

#[test]
fn files_with_the_same_head_are_two_files() {
    let (directory, path) = directory();
    let head = "Time Id Command Argument\n".repeat(200);
    let other = directory.path().join("y.log");
    for path in [&path, &other] {
        append(path, &head);
    }
    let mut follower = Follower::new(&directory.path().join("*.log"), impatient());
    follower.until_texts(&[&head, &head]);
    follower.restart();
    append(&path, "x\n");
    append(&other, "y\n");
    let (x, y) = (head.clone() + "x\n", head + "y\n");
    follower.until_texts(&[&x, &y]);
    assert!(follower.gaps().is_empty());
}

#[test]
fn truncated_and_grown_again_around_the_offset() {
    let old = "0123456789\n".repeat(40);
    for (down, grown) in [(false, 439), (false, 440), (false, 441), (true, 439), (true, 440), (true, 441)] {
        let (_directory, path) = directory();
        append(&path, &old);
        let mut follower = Follower::new(&path, impatient());
        follower.until_texts(&[&old]);
        let checkpoints = if down { Some(follower.halt(|_, end| end)) } else { None };
        let new: String = "abcdefghij\n".repeat(41)[..grown].to_owned();
        fs::write(&path, &new).unwrap();
        if let Some(checkpoints) = checkpoints {
            follower.go(checkpoints);
        }
        follower.until_texts(&[&old, &new]);
        let reason = if down { file::DELETED_AT_END } else { file::TRUNCATED_AT_END };
        assert_eq!(follower.gaps(), [(440, None, reason)], "{down} {grown}");
    }
}

#[test]
fn renamed_out_of_the_globs_and_into_a_directory() {
    let (directory, path) = directory();
    append(&path, "one\n");
    let mut follower = Follower::new(&path, impatient());
    follower.until_texts(&["one\n"]);
    fs::create_dir(directory.path().join("archive")).unwrap();
    let archived = directory.path().join("archive/old");
    fs::rename(&path, &archived).unwrap();
    append(&archived, "two\n");
    follower.until_texts(&["one\ntwo\n"]);
    let checkpoints = follower.halt(|begin, _| begin + 4);
    append(&path, "three\n");
    follower.go(checkpoints);
    follower.until_texts(&["one\ntwo\n", "three\n"]);
    assert!(follower.gaps().is_empty());
    follower.until("the end of the archived file", |follower| follower.heard.values().any(|heard| heard.closed));
    append(&path, "four\n");
    follower.until_texts(&["one\ntwo\n", "three\nfour\n"]);
}

#[test]
fn many_rotations_within_one_poll_and_while_down() {
    for down in [false, true] {
        let (_directory, path) = directory();
        append(&path, "generation 0\n");
        let mut follower = Follower::new(&path, Tuning { poll: Duration::from_millis(300), ..impatient() });
        follower.until("the first", |follower| follower.texts() == ["generation 0\n"]);
        let checkpoints = if down { Some(follower.halt(|_, end| end)) } else { None };
        let texts: Vec<String> = (0..=5).map(|number| format!("generation {number}\n")).collect();
        for text in &texts[1..] {
            rename_away(&path);
            append(&path, text);
            // Birth times tick in milliseconds.
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(checkpoints) = checkpoints {
            follower.go(checkpoints);
        }
        follower.until_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(follower.gaps().is_empty());
    }
}

#[test]
fn unlinked_while_it_is_read() {
    let (_directory, path) = directory();
    let text = "a line that is there\n".repeat(5000);
    append(&path, &text);
    let mut follower = Follower::new(&path, impatient());
    follower.until("some of it", |follower| !follower.texts().is_empty());
    fs::remove_file(&path).unwrap();
    follower.until_texts(&[&text]);
    follower.until("its end", |follower| follower.heard.values().all(|heard| heard.closed));
    assert!(follower.gaps().is_empty());
}

#[test]
fn deleted_while_down_is_a_gap_with_its_size() {
    let (_directory, path) = directory();
    append(&path, "one\ntwo\n");
    let mut follower = Follower::new(&path, impatient());
    follower.until_texts(&["one\ntwo\n"]);
    let checkpoints = follower.halt(|_, _| 4);
    fs::remove_file(&path).unwrap();
    follower.go(checkpoints);
    follower.until("the gap", |follower| follower.heard.values().all(|heard| heard.closed));
    assert_eq!(follower.gaps(), [(4, Some(8), file::DELETED), (8, None, file::DELETED_AT_END)]);
}

#[test]
fn a_link_that_is_swapped() {
    let (directory, path) = directory();
    let target = |number: usize| directory.path().join(format!("target-{number}"));
    let mut texts = Vec::new();
    append(&target(0), "target 0\n");
    texts.push("target 0\n".to_owned());
    std::os::unix::fs::symlink(target(0), &path).unwrap();
    let mut follower = Follower::new(&path, impatient());
    for number in 1..6 {
        follower.until_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        append(&target(number), &format!("target {number}\n"));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(target(number), &link).unwrap();
        fs::rename(&link, &path).unwrap();
        append(&target(number - 1), "late\n");
        texts[number - 1].push_str("late\n");
        texts.push(format!("target {number}\n"));
    }
    follower.until_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(follower.gaps().is_empty());
}

#[test]
fn tiny_files_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let files = [0, 1, 63, 1023].map(|len| (directory.path().join(format!("{len}.log")), len));
    for (path, len) in &files {
        append(path, &"x".repeat(*len));
    }
    let mut follower = Follower::new(&directory.path().join("*.log"), impatient());
    follower.until("all of them", |follower| {
        follower.heard.len() == 4 && follower.heard.values().map(|heard| heard.bytes.len()).sum::<usize>() == 1087
    });
    follower.restart();
    for (path, len) in &files {
        append(path, &format!("{len}\n"));
    }
    let texts = files.each_ref().map(|(_, len)| format!("{}{len}\n", "x".repeat(*len)));
    follower.until_texts(&texts.each_ref().map(String::as_str));
    assert!(follower.gaps().is_empty());
}

#[test]
fn a_hole_is_jumped_and_declared() {
    let (_directory, path) = directory();
    // A writer that keeps its place after the file was truncated under it.
    let file = File::create(&path).unwrap();
    let far = 8_u64 << 30;
    file.write_at(b"after the hole\n", far + 100).unwrap();
    let mut follower = Follower::new(&path, Tuning { chunk: 4096, quota: 4096, ..impatient() });
    let begun = Instant::now();
    let mut heard = None;
    while heard.is_none() {
        assert!(begun.elapsed() < PATIENCE);
        let Some(running) = &follower.running else { panic!() };
        match running.deliveries.recv_timeout(PATIENCE).unwrap() {
            Delivery::Gap(gap) => assert_eq!((gap.from, gap.to, gap.reason), (0, Some(far + 100), file::HOLE)),
            Delivery::Chunk(chunk) if !chunk.bytes.is_empty() => heard = Some((chunk.offset, chunk.bytes)),
            _ => {}
        }
    }
    assert_eq!(heard, Some((far + 100, b"after the hole\n".to_vec())));
    follower.heard.clear();
    follower.halt(|_, end| end);
}

#[test]
fn what_cannot_be_read_is_told_and_the_others_go_on() {
    // The superuser can read everything, so something that nobody can read as a file stands in for a missing permission: a link to itself.
    let (directory, path) = directory();
    let bad = directory.path().join("bad.log");
    std::os::unix::fs::symlink(&bad, &bad).unwrap();
    append(&path, "one\n");
    let mut follower = Follower::new(&directory.path().join("*.log"), impatient());
    follower.until_texts(&["one\n"]);
    follower.until("the trouble", |follower| follower.troubles.len() == 1);
    assert!(follower.troubles[0].failing && follower.troubles[0].message.contains("bad.log"), "{:?}", follower.troubles);
    fs::remove_file(&bad).unwrap();
    append(&bad, "good\n");
    follower.until_texts(&["one\n", "good\n"]);
    assert!(follower.troubles.len() == 2 && !follower.troubles[1].failing, "{:?}", follower.troubles);
}

#[test]
fn more_files_than_may_be_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = |number: usize| directory.path().join(format!("{number:03}.log"));
    let mut texts: Vec<String> = (0..60).map(|number| format!("file {number:03}\n")).collect();
    for (number, text) in texts.iter().enumerate() {
        append(&path(number), text);
    }
    let mut follower = Follower::new(&directory.path().join("*.log"), Tuning { open_files: 8, ..impatient() });
    for round in 0..3 {
        follower.until_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        // Those with lower numbers are moved away.
        for (number, text) in texts.iter_mut().enumerate().skip(round) {
            let more = format!("round {round}\n");
            append(&path(number), &more);
            text.push_str(&more);
        }
        // One is moved away while it is closed.
        fs::rename(path(round), directory.path().join(format!("{round:03}.log.1"))).unwrap();
    }
    follower.until_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    follower.restart();
    follower.until_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(follower.gaps().is_empty(), "{:?}", follower.gaps());
}
