//! The shape of the source tree, read from its `use` lines: what may know what, what does no I/O, how long a file gets.
//!
//! The order of the modules is the one in `src/lib.rs`. Its groups (the blank lines) are the floors of the house: a module
//! uses those of earlier groups, and of its own group as long as no circle comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Paths between rooms that the order would allow, and that are still wrong.
const NEVER: &[(&str, &str, &str)] = &[
    ("source", "decoder", "a source moves bytes and does not know what they mean"),
    ("detect", "alert", "a detector explains what it saw, not whom to tell"),
    ("engine", "alert", "findings are data; grouping them is a later decision"),
    ("notifier", "baseline", "a channel sends what the alert says and looks nothing up"),
];

/// Exceptions from the order of the modules: from, to, reason. Empty is the aim.
const ALLOWED: &[(&str, &str, &str)] = &[(
    "identity",
    "detect",
    "the rules are matched where a statement is still at hand; only which ones matched travels on in the observation",
)];

/// Rooms that cannot fail, wait, or ask the world: the same input gives the same output.
const PURE: &[&str] = &["engine", "detect", "baseline", "sql", "decoder"];

/// What a pure room does not say.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "crate::clock",
    "crossbeam_channel",
    "println!",
    "eprintln!",
    "dbg!",
];

/// Files of pure rooms that say some of it all the same: path, words, reason. Nothing here runs while events are judged.
const AT_START: &[(&str, &[&str], &str)] =
    &[("src/detect/rule/mod.rs", &["std::fs", "std::io"], "reads the folder of rules once, at start and at reload")];

/// A file of more lines needs a reason here.
const LINES: usize = 600;
const LONG: &[(&str, &str)] = &[
    ("src/sql/normalize.rs", "one pass over the text is one state machine, and its cases stand beside it"),
    ("src/source/file/tail.rs", "one file followed through every kind of rotation: the states belong together"),
    ("src/decoder/mongodb/logv2.rs", "a third of it are the tests of its records"),
    ("src/sql/inspect.rs", "one walk over the syntax tree; a third of it is the table of cases"),
];

/// One file of `src/`, without its comments, the contents of its string literals, and its tests.
struct SourceFile {
    path: String,
    /// `["sql", "normalize"]` for `src/sql/normalize.rs`, `["sql"]` for `src/sql/mod.rs`.
    module: Vec<String>,
    text: String,
    code: String,
}

fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    paths.sort();
    let files = paths.iter().map(|path| {
        let text = fs::read_to_string(path).expect("a source file");
        let path = path.strip_prefix(root).expect("below the root").display().to_string();
        let module = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        let module = module.split('/').map(str::to_owned).collect();
        SourceFile { code: code_of(&text), path, module, text }
    });
    files.collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of src").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            paths.push(path);
        }
    }
}

/// The text up to its `#[cfg(test)] mod tests`, without comments and contents of strings.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            code.push('\n');
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, after)| after);
        } else if let Some((hashes, opened)) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            rest = opened.split_once(&close).map_or("", |(_, after)| after);
            code.push_str("\"\"");
        } else if next == '"' {
            rest = after_string(&rest[1..]);
            code.push_str("\"\"");
        } else if let Some(literal) = ["'\"'", "'\\''", "b'\"'", "'\\\\'"].iter().find(|literal| rest.starts_with(**literal)) {
            rest = &rest[literal.len()..];
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    match code.find("#[cfg(test)]\nmod tests") {
        Some(tests) => code[..tests].to_owned(),
        None => code,
    }
}

/// The number of `#` and the text behind the opening quote, if a raw string begins here.
fn raw_string(text: &str) -> Option<(usize, &str)> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let quote = after.trim_start_matches('#');
    Some((after.len() - quote.len(), quote.strip_prefix('"')?))
}

/// What follows the closing quote of a plain string.
fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, next) in text.char_indices() {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

/// The modules of this crate that the code names: `crate::a::b`, `crate::{a, b::{c, d}}`.
fn names_of_crate(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        // "$crate" and "pub(in crate::x)" are paths of this crate, too; "somecrate::" is not
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(first_names(list)),
            None => names.extend([identifier(rest)]),
        }
    }
    names.remove("");
    names
}

/// The first name of each item of a list of imports, up to its closing brace.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut begins, mut names) = (0, true, Vec::new());
    for (at, next) in list.char_indices() {
        match next {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if depth == 0 && begins && !next.is_whitespace() => {
                names.push(identifier(&list[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|next| next.is_alphanumeric() || *next == '_').collect()
}

/// Module -> number of its group in `src/lib.rs`.
fn floors() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("src/lib.rs");
    let (mut floor, mut floors) = (0, BTreeMap::new());
    for line in text.lines() {
        match line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            Some(module) => drop(floors.insert(module.to_owned(), floor)),
            None if line.trim().is_empty() => floor += 1,
            None => {}
        }
    }
    floors
}

/// Which module uses which, and the files in which it does.
fn uses(files: &[SourceFile], floors: &BTreeMap<String, usize>) -> BTreeMap<(String, String), Vec<String>> {
    let mut uses: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for file in files {
        let from = &file.module[0];
        for to in names_of_crate(&file.code) {
            // macros and re-exports at the root are nobody's room
            if floors.contains_key(from) && floors.contains_key(&to) && *from != to {
                uses.entry((from.clone(), to)).or_default().push(file.path.clone());
            }
        }
    }
    uses
}

fn report(what: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{what}:\n  {}", problems.join("\n  "));
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let (files, floors) = (source_files(), floors());
    assert!(floors.len() > 15, "src/lib.rs lists its modules one a line: {floors:?}");
    let mut problems = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((from, to), paths) in uses(&files, &floors) {
        if ALLOWED.iter().any(|(user, used, _)| *user == from && *used == to) {
            continue;
        }
        if floors[&to] > floors[&from] {
            problems.push(format!("{from} uses {to}, which stands below it ({})", paths.join(", ")));
        }
        if let Some((_, _, reason)) = NEVER.iter().find(|(user, used, _)| *user == from && *used == to) {
            problems.push(format!("{from} must never use {to}: {reason} ({})", paths.join(", ")));
        }
        edges.entry(from).or_default().insert(to);
    }
    // modules that never run out of uses form a circle
    while let Some(leaf) = edges.iter().find(|(_, to)| to.iter().all(|used| !edges.contains_key(used))).map(|(from, _)| from.clone()) {
        edges.remove(&leaf);
    }
    if !edges.is_empty() {
        problems.push(format!("a circle among, or above: {edges:?}"));
    }
    report("the order of src/lib.rs is broken", &problems);
}

#[test]
fn a_path_out_of_a_module_begins_with_crate() {
    let mut problems = Vec::new();
    for file in source_files() {
        let out = "super::".repeat(file.module.len());
        if file.module[0] != "lib" && file.module[0] != "main" && file.code.contains(&out) {
            problems.push(format!("{} says {out}", file.path));
        }
    }
    report("the order of the modules is read from `crate::` paths", &problems);
}

#[test]
fn the_core_does_no_io_and_knows_no_clock() {
    let mut problems = Vec::new();
    for file in source_files().iter().filter(|file| PURE.contains(&file.module[0].as_str())) {
        if file.module.last().is_some_and(|name| name == "tests") {
            continue;
        }
        for word in IMPURE.iter().filter(|word| file.code.contains(**word)) {
            if AT_START.iter().any(|(path, words, _)| *path == file.path && words.contains(word)) {
                continue;
            }
            problems.push(format!("{} says {word}", file.path));
        }
        // `use std::{fs, time::Instant}` hides the words above
        if file.code.contains("std::{") {
            problems.push(format!("{} says std::{{…}}: one line for each, so that this test can read it", file.path));
        }
    }
    report("engine, detect, baseline, sql and decoder only compute", &problems);
}

#[test]
fn files_are_short_and_begin_with_what_they_are() {
    let mut problems = Vec::new();
    for file in source_files() {
        let lines = file.text.lines().count();
        let excused = LONG.iter().any(|(path, _)| *path == file.path);
        if lines > LINES && !excused {
            problems.push(format!("{} has {lines} lines: a second room, or a reason in the list LONG", file.path));
        }
        let name = file.module.last().map_or("", String::as_str);
        if name != "tests" && !file.text.starts_with("//!") {
            problems.push(format!("{} does not begin with //! and what it is", file.path));
        }
        if ["utils", "util", "common", "types", "helpers", "misc"].contains(&name) {
            problems.push(format!("{}: name it after what is in it", file.path));
        }
    }
    report("house style", &problems);
}

#[test]
fn this_test_reads_paths_as_the_compiler_does() {
    let code = code_of(
        "use crate::{alert, detect::{self, rules}, sql as s};\n// crate::comment\n/* crate::block */ let a = crate::engine::step;\n\
         let b = \"crate::text \\\" crate::more\"; let c = r#\"crate::raw\"#; let d = '\"'; let e = crate::event::Time;\n\
         let f = mycrate::other;\n#[cfg(test)]\nmod tests { use crate::cli; }\n",
    );
    let names: Vec<String> = names_of_crate(&code).into_iter().collect();
    assert_eq!(names, ["alert", "detect", "engine", "event", "sql"]);
}
