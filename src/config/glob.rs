//! Patterns as people write them in the inventory, in rules and in never-revoke lists: `*` is any text, `?` one byte.

/// A compiled pattern. `*` also matches dots and slashes: `reporting.*`, `*_ro`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    written: String,
    plan: Plan,
    fold: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    Any,
    Exact,
    /// Length of the text before the one final `*`.
    Prefix(usize),
    General,
}

impl Glob {
    /// A pattern that tells upper from lower case: user names, databases.
    pub fn new(written: &str) -> Self {
        let plan = match written.find(['*', '?']) {
            None => Plan::Exact,
            Some(_) if written.bytes().all(|b| b == b'*') => Plan::Any,
            Some(at) if at + 1 == written.len() && written.ends_with('*') => Plan::Prefix(at),
            Some(_) => Plan::General,
        };
        Glob { written: written.to_owned(), plan, fold: false }
    }

    /// A pattern that takes ASCII letters of either case as equal: names of tables.
    pub fn folding_case(written: &str) -> Self {
        Glob { fold: true, ..Glob::new(written) }
    }

    /// A name taken as it is, with no wildcards.
    pub fn literal(name: &str) -> Self {
        Glob { written: name.to_owned(), plan: Plan::Exact, fold: false }
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        let pattern = self.written.as_bytes();
        match self.plan {
            Plan::Any => true,
            Plan::Exact => self.equal(pattern, text),
            Plan::Prefix(len) => match (pattern.get(..len), text.get(..len)) {
                (Some(pattern), Some(head)) => self.equal(pattern, head),
                _ => false,
            },
            Plan::General => self.general(pattern, text),
        }
    }

    fn equal(&self, a: &[u8], b: &[u8]) -> bool {
        if self.fold { a.eq_ignore_ascii_case(b) } else { a == b }
    }

    /// Goes back only to the last `*`, so it takes at most pattern length x text length steps.
    fn general(&self, pattern: &[u8], text: &[u8]) -> bool {
        let (mut p, mut t) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while let Some(byte) = text.get(t) {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p + 1, t));
                    p += 1;
                }
                Some(b'?') => {
                    p += 1;
                    t += 1;
                }
                Some(wanted) if wanted == byte || self.fold && wanted.eq_ignore_ascii_case(byte) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((after, from)) = retry else { return false };
                    retry = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
            }
        }
        pattern.iter().skip(p).all(|b| *b == b'*')
    }

    /// It names exactly one thing.
    pub fn is_exact(&self) -> bool {
        self.plan == Plan::Exact
    }

    /// It matches everything.
    pub fn is_any(&self) -> bool {
        self.plan == Plan::Any
    }

    /// How much it demands: the number of bytes that are not wildcards. Of two patterns the higher one is more specific.
    pub fn weight(&self) -> usize {
        self.written.bytes().filter(|b| !matches!(b, b'*' | b'?')).count()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

/// A pattern for object names that knows that logs and people leave out schemas.
///
/// Only the components that both sides give are compared, from the right: the log's `invoices` matches a declared
/// `public.invoices`, and a declared `invoices` matches the log's `public.invoices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectGlob {
    /// The last one, two, ... components of the pattern; the last entry is the whole.
    tails: Vec<Glob>,
}

impl ObjectGlob {
    pub fn new(written: &str) -> Self {
        let mut tails: Vec<Glob> =
            written.rmatch_indices('.').filter_map(|(at, _)| written.get(at + 1..)).map(Glob::folding_case).collect();
        tails.push(Glob::folding_case(written));
        ObjectGlob { tails }
    }

    fn whole(&self) -> Option<&Glob> {
        self.tails.last()
    }

    pub fn matches(&self, name: &str) -> bool {
        self.tail_for(name).is_some()
    }

    /// As [`ObjectGlob::matches`], but a bare name is not taken for a member of `schema.*`.
    pub fn names(&self, name: &str) -> bool {
        self.whole().is_some_and(|whole| whole.matches(name.as_bytes())) || self.tail_for(name).is_some_and(|tail| !tail.is_any())
    }

    fn tail_for(&self, name: &str) -> Option<&Glob> {
        let whole = self.whole()?;
        if whole.matches(name.as_bytes()) {
            return Some(whole);
        }
        let given = name.bytes().filter(|b| *b == b'.').count() + 1;
        let shared = given.min(self.tails.len());
        let tail = self.tails.get(shared - 1)?;
        let start = if shared < given { name.rmatch_indices('.').nth(shared - 1).map_or(0, |(at, _)| at + 1) } else { 0 };
        name.get(start..).filter(|end| tail.matches(end.as_bytes())).map(|_| tail)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.whole().map_or("", Glob::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("billing", "billing", true),
            ("billing", "Billing", false),
            ("bill*", "billing", true),
            ("bill*", "bil", false),
            ("*_ro", "app_ro", true),
            ("*_ro", "app_rw", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("**", "", true),
            ("", "", true),
            ("", "x", false),
            ("ab*ab", "abab", true),
            ("ab*ab", "aba", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text.as_bytes()), expected, "{pattern} on {text}");
        }
        assert!(Glob::folding_case("PUBLIC.*").matches(b"public.x"));
    }

    #[test]
    fn object_globs_compare_what_both_sides_give() {
        for (pattern, name, expected) in [
            ("public.invoices", "public.invoices", true),
            ("public.invoices", "invoices", true),
            ("public.invoices", "PUBLIC.Invoices", true),
            ("public.invoices", "other.invoices", false),
            ("invoices", "public.invoices", true),
            ("app.public.invoices", "public.invoices", true),
            ("public.invoices", "app.public.invoices", true),
            ("reporting.*", "reporting.daily", true),
            ("reporting.*", "public.daily", false),
            ("reporting.*", "daily", true),
            ("*", "a.b.c", true),
            ("*secret*", "vault.app_secrets", true),
        ] {
            assert_eq!(ObjectGlob::new(pattern).matches(name), expected, "{pattern} on {name}");
        }
        assert!(!ObjectGlob::new("honey.*").names("users") && ObjectGlob::new("honey.*").names("honey.users"));
        assert!(ObjectGlob::new("public.honey_*").names("honey_keys"));
    }

    proptest::proptest! {
        #[test]
        fn a_pattern_without_wildcards_matches_itself_only(a in "[a-c.]{0,6}", b in "[a-c.]{0,6}") {
            proptest::prop_assert_eq!(Glob::new(&a).matches(b.as_bytes()), a == b);
        }

        #[test]
        fn general_agrees_with_a_regular_expression(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let regex = format!("^{}$", pattern.replace('*', ".*").replace('?', "."));
            let expected = regex::Regex::new(&regex).unwrap().is_match(&text);
            proptest::prop_assert_eq!(Glob::new(&pattern).matches(text.as_bytes()), expected);
        }
    }
}
