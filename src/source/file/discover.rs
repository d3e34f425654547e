//! Which files there are: globs, the directories they can match in, and the rotated siblings beside the files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::identity::Stat;

/// Deepest that `**` descends below the literal part of a glob.
const DEPTH: usize = 16;
/// Most directory entries that one walk looks at; more is taken for a mistake in the glob.
const ENTRIES: usize = 1_000_000;
/// Suffixes of rotated files that are compressed (or being written by a compressor).
const COMPRESSED: [&str; 9] = ["gz", "bz2", "xz", "zst", "lz4", "lzma", "zip", "Z", "tmp"];

/// `include` without `exclude`. `*` does not cross a `/`, `**` does.
#[derive(Debug)]
pub struct Globs {
    include: Vec<Pattern>,
    exclude: Vec<GlobMatcher>,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    /// The directory above the first wildcard.
    base: PathBuf,
    /// Path components below `base`; `None`: any number.
    depth: Option<usize>,
    matcher: GlobMatcher,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Regular files that match, by path; a symbolic link stands for its target.
    pub files: BTreeMap<PathBuf, Stat>,
    /// Directories that were read, each with its device and inode: those to watch for changes.
    pub directories: HashMap<PathBuf, (u64, u64)>,
    /// Names beside the matching ones, by directory.
    pub others: HashMap<PathBuf, Vec<OsString>>,
    /// What could not be looked at.
    pub failures: Vec<(PathBuf, io::Error)>,
    visited: usize,
}

impl Globs {
    /// The patterns that can be used, and a message for each that cannot.
    pub fn new(include: &[String], exclude: &[String]) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut compile = |text: &String| match GlobBuilder::new(text).literal_separator(true).build() {
            Ok(glob) => Some(glob.compile_matcher()),
            Err(error) => {
                problems
                    .push(format!("the pattern {text:?} cannot be used: {}; correct it in the source's include or exclude", error.kind()));
                None
            }
        };
        let include = include
            .iter()
            .filter_map(|text| {
                let (base, depth) = split(text);
                Some(Pattern { text: text.clone(), base, depth, matcher: compile(text)? })
            })
            .collect();
        let exclude = exclude.iter().filter_map(compile).collect();
        (Globs { include, exclude }, problems)
    }

    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.include.iter().map(|pattern| pattern.text.as_str())
    }

    /// Whether one of the paths matches this one of the patterns.
    pub fn any<'p>(&self, text: &str, mut paths: impl Iterator<Item = &'p PathBuf>) -> bool {
        self.include.iter().find(|pattern| pattern.text == text).is_some_and(|pattern| paths.any(|path| pattern.is(path)))
    }

    /// Whether a file of this name would be read.
    pub fn matches(&self, path: &Path) -> bool {
        !compressed(path)
            && self.include.iter().any(|pattern| pattern.is(path))
            && !self.exclude.iter().any(|matcher| matcher.is_match(path))
    }

    /// Looks at every directory in which something can match.
    pub fn walk(&self) -> Walk {
        let mut walk = Walk::default();
        for pattern in &self.include {
            if pattern.depth == Some(0) {
                self.literal(pattern, &mut walk);
            } else {
                self.descend(pattern, &pattern.base, 1, &mut walk);
            }
        }
        walk
    }

    /// A pattern without wildcards.
    fn literal(&self, pattern: &Pattern, walk: &mut Walk) {
        self.look(&pattern.base, walk);
        let directory = pattern.base.parent().unwrap_or(Path::new(""));
        // Its directory is read for the siblings' names only: that this fails does not keep the file from being read.
        if let Ok(entries) = entries(directory, walk) {
            for name in entries {
                let path = directory.join(&name);
                if !walk.files.contains_key(&path) && !self.matches(&path) {
                    walk.others.entry(directory.to_path_buf()).or_default().push(name);
                }
            }
        }
    }

    fn descend(&self, pattern: &Pattern, directory: &Path, depth: usize, walk: &mut Walk) {
        let deepest = pattern.depth.unwrap_or(DEPTH);
        let known = walk.directories.contains_key(directory);
        let names = match entries(directory, walk) {
            Ok(names) => names,
            Err(error) => {
                // A base that does not exist yet is a pattern without a match, no failure.
                if error.kind() != io::ErrorKind::NotFound {
                    walk.failures.push((directory.to_path_buf(), error));
                }
                return;
            }
        };
        for name in names {
            walk.visited = walk.visited.saturating_add(1);
            if walk.visited > ENTRIES {
                walk.failures.push((directory.to_path_buf(), io::Error::other("the pattern looks at more than a million entries")));
                return;
            }
            let path = directory.join(&name);
            if pattern.is(&path) && !compressed(&path) && !self.exclude.iter().any(|matcher| matcher.is_match(&path)) {
                self.look(&path, walk);
            } else if !known {
                walk.others.entry(directory.to_path_buf()).or_default().push(name);
            }
            if depth < deepest && is_directory(&path, pattern.depth.is_some()) {
                self.descend(pattern, &path, depth.saturating_add(1), walk);
            }
        }
    }

    fn look(&self, path: &Path, walk: &mut Walk) {
        match Stat::of_path(path) {
            Ok(stat) if stat.regular => {
                walk.files.insert(path.to_path_buf(), stat);
            }
            Ok(_) => {}
            // Gone since the directory was read, or a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => walk.failures.push((path.to_path_buf(), error)),
        }
    }
}

impl Walk {
    /// Whether another walk found the same names for the same files. Directory time stamps would not tell: they tick in milliseconds.
    pub fn same_names(&self, other: &Walk) -> bool {
        let named = |walk: &Walk| walk.files.iter().map(|(path, stat)| (path.clone(), stat.id)).collect::<Vec<_>>();
        self.others == other.others && named(self) == named(other)
    }
}

impl Pattern {
    /// A path without wildcards in the configuration is meant literally, whatever characters it has.
    fn is(&self, path: &Path) -> bool {
        self.matcher.is_match(path) || path == Path::new(&self.text)
    }
}

/// The literal base of a pattern, and how many components may follow.
fn split(text: &str) -> (PathBuf, Option<usize>) {
    let wild = |part: &str| part.contains(['*', '?', '[', '{', '\\']);
    let parts: Vec<&str> = text.split('/').collect();
    let literal = parts.iter().take_while(|part| !wild(part)).count();
    let mut base: PathBuf = parts.iter().take(literal).copied().collect();
    if text.starts_with('/') {
        base = Path::new("/").join(base);
    }
    let below = parts.len().saturating_sub(literal);
    // An alternative can hold separators of its own.
    let any = text.contains("**") || (text.contains('{') && below > 1);
    (base, if any { None } else { Some(below) })
}

fn entries(directory: &Path, walk: &mut Walk) -> io::Result<Vec<OsString>> {
    let stat = Stat::of_path(real(directory))?;
    let names = std::fs::read_dir(real(directory))?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
    walk.directories.insert(directory.to_path_buf(), (stat.id.device, stat.id.inode));
    Ok(names)
}

/// The empty path is the working directory.
pub fn real(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}

/// Linked directories are followed where the depth is bounded by the pattern; `**` could run in circles.
fn is_directory(path: &Path, follow: bool) -> bool {
    if follow { path.is_dir() } else { path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) }
}

/// Rotated and compressed: never tailed.
pub fn compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| COMPRESSED.iter().any(|suffix| extension == *suffix))
}

/// Whether `other` is a name that rotation gives to `name`: `x.log` becomes `x.log.1`, `x.log-20261001`, `x-20261001.log`.
pub fn rotated_name(name: &OsStr, other: &OsStr) -> bool {
    let (name, other) = (name.as_encoded_bytes(), other.as_encoded_bytes());
    if let Some(rest) = other.strip_prefix(name) {
        return rest.first().is_some_and(|byte| !byte.is_ascii_alphanumeric());
    }
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return false;
    };
    let (stem, extension) = name.split_at_checked(dot).unwrap_or((name, &[]));
    other
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(extension))
        .is_some_and(|middle| !middle.is_empty() && middle.iter().all(|byte| byte.is_ascii_digit() || b"-_.:TZ+".contains(byte)))
}

/// Whether two names can be generations of one log: `x.log` and `x.log.1`, or `x.log.1` and `x.log.2`.
pub fn related(one: &OsStr, other: &OsStr) -> bool {
    let base = |name: &OsStr| {
        let bytes = name.as_encoded_bytes();
        let suffix = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit() || b"-_.:TZ+".contains(byte)).count();
        bytes.get(..bytes.len().saturating_sub(suffix)).unwrap_or(bytes).to_vec()
    };
    rotated_name(one, other) || rotated_name(other, one) || (!base(one).is_empty() && base(one) == base(other))
}

/// The live name of which `other` is a rotated one.
pub fn live_name<'n>(names: &'n HashSet<OsString>, other: &OsStr) -> Option<&'n OsString> {
    let bytes = other.as_encoded_bytes();
    let whole = (1..bytes.len()).rev().filter_map(|cut| bytes.get(..cut)).map(<[u8]>::to_vec);
    let dot = bytes.iter().rposition(|byte| *byte == b'.').unwrap_or_default();
    let (base, extension) = bytes.split_at_checked(dot).unwrap_or((bytes, &[]));
    let around = (1..base.len()).rev().filter_map(|cut| base.get(..cut)).map(|stem| [stem, extension].concat());
    whole.chain(around).find_map(|name| names.get(&OsString::from_vec(name)).filter(|name| rotated_name(name, other)))
}

/// The files of `directory` and of the directories in it, with their inode numbers: where a file may have been moved to.
pub fn nearby(directory: &Path) -> Vec<(PathBuf, u64)> {
    use std::os::unix::fs::DirEntryExt;
    let list = |directory: &Path| -> Vec<(PathBuf, u64, bool)> {
        let Ok(entries) = std::fs::read_dir(real(directory)) else { return Vec::new() };
        entries
            .take(ENTRIES)
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.path(), entry.ino(), entry.file_type().ok()?.is_dir())))
            .collect()
    };
    let here = list(directory);
    let below = here.iter().filter(|(.., is_directory)| *is_directory).flat_map(|(path, ..)| list(path)).collect::<Vec<_>>();
    here.into_iter().chain(below).filter(|(.., is_directory)| !is_directory).map(|(path, inode, _)| (path, inode)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_split_at_the_first_wildcard() {
        assert_eq!(split("/var/log/pg/*.csv"), (PathBuf::from("/var/log/pg"), Some(1)));
        assert_eq!(split("/var/log/*/pg.csv"), (PathBuf::from("/var/log"), Some(2)));
        assert_eq!(split("/var/log/**/*.csv"), (PathBuf::from("/var/log"), None));
        assert_eq!(split("/var/log/pg.csv"), (PathBuf::from("/var/log/pg.csv"), Some(0)));
        assert_eq!(split("*.csv"), (PathBuf::new(), Some(1)));
    }

    #[test]
    fn rotated_names_are_told_from_other_logs() {
        for (name, other, is) in [
            ("pg.log", "pg.log.1", true),
            ("pg.log", "pg.log-20261001", true),
            ("pg.log", "pg-20261001.log", true),
            ("pg.log", "pg.log", false),
            ("pg.log", "pgbouncer.log", false),
            ("pg.log", "pg.logs", false),
            ("pg", "pg.1", true),
            ("pg", "pgx", false),
        ] {
            assert_eq!(rotated_name(OsStr::new(name), OsStr::new(other)), is, "{name} {other}");
        }
    }

    #[test]
    fn generations_of_one_log_are_related() {
        for (one, other, are) in [
            ("x.log", "x.log.1", true),
            ("x.log.2", "x.log.1", true),
            ("x.log", "y.log", false),
            ("1", "2", false),
            ("x-1.log", "x.log", true),
        ] {
            assert_eq!(related(OsStr::new(one), OsStr::new(other)), are, "{one} {other}");
        }
    }

    #[test]
    fn a_walk_finds_what_matches_and_lists_what_stands_beside() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        for name in ["one.log", "one.log.1", "two.log", "two.log.gz", "a/three.log", "a/b/four.log"] {
            std::fs::write(at(name), name).unwrap();
        }
        let found = |include: &str, exclude: &[String]| -> Vec<String> {
            let (globs, problems) = Globs::new(&[at(include).to_string_lossy().into_owned()], exclude);
            assert!(problems.is_empty(), "{problems:?}");
            let prefix = directory.path().to_path_buf();
            globs.walk().files.keys().map(|path| path.strip_prefix(&prefix).unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(found("*.log", &[]), ["one.log", "two.log"]);
        assert_eq!(found("*", &[]), ["one.log", "one.log.1", "two.log"]);
        assert_eq!(found("*", &[at("two*").to_string_lossy().into_owned()]), ["one.log", "one.log.1"]);
        assert_eq!(found("*/*.log", &[]), ["a/three.log"]);
        assert_eq!(found("**/*.log", &[]), ["a/b/four.log", "a/three.log", "one.log", "two.log"]);
        assert_eq!(found("a/three.log", &[]), ["a/three.log"]);
        let (globs, _) = Globs::new(&[at("*.log").to_string_lossy().into_owned()], &[]);
        let walk = globs.walk();
        assert!(walk.others.get(directory.path()).unwrap().iter().any(|name| name == "one.log.1"));
    }

    #[test]
    fn a_bad_pattern_is_reported() {
        let (globs, problems) = Globs::new(&["/var/log/[".to_owned()], &[]);
        assert_eq!((globs.patterns().count(), problems.len()), (0, 1));
    }
}
