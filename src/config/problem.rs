//! What is wrong with a file that a person wrote, where, and what to do.

use std::fmt;

/// One mistake in a configuration file. Shown as `tokenwatch.toml:12:5: unknown key "chanel"; did you mean "channel"?`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file as it was named to us.
    pub path: String,
    /// 1-based; 0 where the file as a whole is meant.
    pub line: usize,
    /// 1-based, in characters; 0 where the file as a whole is meant.
    pub column: usize,
    pub message: String,
    /// What to do; empty where the message says it all.
    pub advice: String,
}

impl Problem {
    /// A problem of the whole file: it is missing, unreadable, too large.
    pub fn of_file(path: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Problem { path: path.into(), line: 0, column: 0, message: message.into(), advice: advice.into() }
    }

    /// A problem at a byte offset of the file's text.
    pub fn at(path: impl Into<String>, text: &str, offset: usize, message: impl Into<String>, advice: impl Into<String>) -> Self {
        let (line, column) = place(text, offset);
        Problem { path: path.into(), line, column, message: message.into(), advice: advice.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message)?,
            line => write!(f, "{}:{line}:{}: {}", self.path, self.column, self.message)?,
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// Line and column (1-based, in characters) of a byte offset; the end of the text for offsets behind it.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}

/// The known word that is most like `word`, where one is like it at all.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let allowed = 1 + word.chars().count() / 3;
    let near = |k: &&str| strsim::damerau_levenshtein(&word, &k.to_ascii_lowercase());
    known.into_iter().filter(|k| near(k) <= allowed.min(k.chars().count().saturating_sub(1))).min_by_key(near)
}

/// Advice for an unknown word: the closest known one, or all of them.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match closest(word, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            let all: Vec<&str> = known.into_iter().collect();
            if all.is_empty() { String::new() } else { format!("known here: {}", all.join(", ")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_message_and_advice() {
        let text = "a = 1\n[[chanel]]\n";
        let problem = Problem::at("tokenwatch.toml", text, 8, "unknown key \"chanel\"", suggest("chanel", ["channel", "source"]));
        assert_eq!(problem.to_string(), "tokenwatch.toml:2:3: unknown key \"chanel\"; did you mean \"channel\"?");
        assert_eq!(Problem::of_file("x.toml", "cannot be read", "").to_string(), "x.toml: cannot be read");
    }

    #[test]
    fn columns_count_characters_and_offsets_may_lie_outside() {
        assert_eq!(place("äö = 1", 5), (1, 4));
        assert_eq!(place("äö", 1), (1, 1));
        assert_eq!(place("a\nb", 99), (2, 2));
        assert_eq!(place("", 0), (1, 1));
    }

    #[test]
    fn suggests_only_what_is_alike() {
        assert_eq!(closest("min_serverity", ["min_severity", "name"]), Some("min_severity"));
        assert_eq!(closest("kafak", ["file", "kafka", "stdin"]), Some("kafka"));
        assert_eq!(closest("zzzz", ["file", "kafka"]), None);
        assert_eq!(suggest("zzzz", ["file", "kafka"]), "known here: file, kafka");
    }
}
