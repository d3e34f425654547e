//! The prefixes in common use, and which of them a sample has.

use std::sync::LazyLock;

use super::{Field, Match, Piece, Prefix, Sampled, Work, last_word, learn};
use crate::framing::envelope::syslog::calendar::Calendar;
use crate::framing::envelope::syslog::header::header;

/// Prefixes in common use; the first is taken where a sample does not tell.
const KNOWN: &[&str] = &[
    "%m [%p] %q%u@%d ",
    "%m [%p] %q%u@%d %r app=%a sess=%c line=%l state=%e ",
    "%m [%p] %q%u@%d/%a ",
    "%m [%p] %q[user=%u,db=%d,app=%a] ",
    "%m [%p] %q%u@%d %r ",
    "%m [%p] %q%u@%d %h ",
    "%m [%p] %q%a %u@%d ",
    "%m [%p] %u@%d ",
    "%m [%p] user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: [%l-1] %quser=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%m [%p] %quser=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: [%l-1] db=%d,user=%u ",
    "%m [%p] %c %q%u@%d ",
    "%m %u@%d %r [%p] ",
    "%m %u %d %r [%p] %e ",
    "%t:%r:%u@%d:[%p]:",
    "%t:%r:%u@%d:[%p]:%Q:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: [%l-1] user=%u,db=%d,remote=%r ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a ",
    "%t [%p]: [%l-1] user=%u,db=%d ",
    "%t [%p]: user=%u,db=%d ",
    "%t [%p]: db=%d,user=%u,app=%a,client=%h ",
    "%t [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "%m [%p]: db=%d,user=%u,app=%a,client=%h ",
    "%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "%m [%p] db=%d,user=%u,app=%a,client=%h ",
    "%t [%p]: [%l-1] [%x] usr=%u,db=%d,appli=%a ",
    "%m [%p] %h %q%u@%d ",
    "%h %m [%p] %q%u@%d ",
    "%t [%p]: [%l-1] ",
    "%t [%p-%l] %q%u@%d ",
    "%t [%p] %q%u@%d ",
    "%t %u@%d %r [%p] ",
    "%t-%c-",
    // Pgpool-II.
    "%m: %a pid %p: ",
    "%t: pid %p: ",
    "%t ",
    // Within syslog, which has time and process already.
    "db=%d,user=%u,app=%a,client=%h ",
    "user=%u,db=%d,app=%a,client=%h ",
    "user=%u,db=%d,app=%a ",
    "user=%u,db=%d ",
    "db=%d,user=%u ",
    "[%p]: [%l-1] db=%d,user=%u ",
    "[%p]: [%l-1] user=%u,db=%d ",
    " sql_error_code = %e ",
    "",
];

/// Steps that a match may take while a prefix is looked for: a line that needs more is not counted, and may still be read.
const A_MATCH: u64 = 500;

/// Steps for all matches of one sample with the prefixes in common use: also where a tenth of its lines is hostile they suffice.
const A_SAMPLE: u64 = 1_000_000;

/// Steps for a decision. It is made again while a log is undecided.
pub(super) const DECISION: u64 = A_SAMPLE + learn::ALL;

/// The same, compiled.
static COMPILED: LazyLock<Vec<Prefix>> = LazyLock::new(|| KNOWN.iter().map(|text| Prefix::compile(text)).collect());

impl Prefix {
    /// Share of the lines of `sample` that the prefix matches: matching and all lines that are no continuation.
    pub fn score(&self, sample: &[u8]) -> (usize, usize) {
        self.matches(&Prefix::lines(sample), &mut Work(DECISION))
    }

    /// The lines of a sample that a prefix must match, but those that are cut; each with where the last severity in it ends.
    fn lines(sample: &[u8]) -> Vec<Sampled<'_>> {
        let lines = sample.split(|b| *b == b'\n').filter(|l| !l.is_empty() && !l.starts_with(b"\t") && !patroni(l));
        let mut lines: Vec<_> = lines.take(401).map(|line| (line, last_word(line))).collect();
        if lines.len() > 1 && !sample.ends_with(b"\n") {
            lines.pop(); // perhaps cut
        }
        lines
    }

    fn matches(&self, lines: &[Sampled<'_>], work: &mut Work) -> (usize, usize) {
        let (mut good, mut bare, mut headed) = (0, 0, false);
        for (line, last) in lines {
            let Some(found) = self.counted(line, *last, work) else { continue };
            // Where the prefix is next to nothing, at least the blanks must be those of the server, unless lines that have more lack them, too.
            let own = self.tells_time() || line.get(..found.message).is_some_and(|head| head.ends_with(b":  "));
            let more = !own && found.at > 0 && self.width() > 1;
            good += usize::from(own || more);
            bare += usize::from(!own && found.at == 0);
            headed |= more;
        }
        (if headed { good + bare } else { good }, lines.len())
    }

    pub fn tells_time(&self) -> bool {
        self.full.iter().any(|p| matches!(p, Piece::Field(Field::Time, _)))
    }

    /// The known prefix that matches most lines of the sample, with its score: of those that match about as many, the one that tells most,
    /// for a poor prefix takes what it does not know for a part of the database's name.
    pub fn detect(sample: &[u8]) -> (Prefix, usize, usize) {
        Prefix::decide(sample, &mut Work(DECISION))
    }

    /// As [`Prefix::detect`], in so many steps.
    pub(super) fn decide(sample: &[u8], work: &mut Work) -> (Prefix, usize, usize) {
        let lines = Prefix::lines(sample);
        let best = work.part(A_SAMPLE, |work| Prefix::best(&lines, work));
        Prefix::learned(&lines, &best, work).unwrap_or(best)
    }

    fn best(lines: &[Sampled<'_>], work: &mut Work) -> (Prefix, usize, usize) {
        let mut best = (Prefix::usual(), 0, 0);
        let mut told = 0;
        for prefix in COMPILED.iter() {
            if !prefix.tells_time() && best.1 > 0 {
                break; // all after it are like it, and would take a part of a longer prefix for a name
            }
            let (good, all) = prefix.matches(lines, work);
            let tells = if good > 0 && prefix.users_of(lines, work).next().is_some() { prefix.full.len() } else { 0 };
            let about = good * 100 >= best.1 * 97;
            if good > 0 && (good * 97 > best.1 * 100 || (about && (tells, good) > (told, best.1))) {
                (best, told) = ((prefix.clone(), good, all), tells);
            }
        }
        best
    }

    /// A prefix that is none of the known ones, where these fit but some lines, or take for a name what is more than that.
    fn learned(lines: &[Sampled<'_>], (known, good, _): &(Prefix, usize, usize), work: &mut Work) -> Option<(Prefix, usize, usize)> {
        let all = lines.len();
        // Every line of the server has a severity, and lines that are none of its teach nothing.
        let own: Vec<Sampled<'_>> = lines.iter().filter(|(_, last)| last.is_some()).copied().collect();
        let few = good * 10 < all * 9;
        if own.len() * 2 < all || own.is_empty() || !(few || known.takes_too_much(&own, work)) {
            return None;
        }
        let (prefix, _) = learn::learn(&own, work)?;
        let (found, _) = prefix.matches(lines, work);
        let better = if few {
            found * 10 >= all * 9
        } else {
            found >= *good && prefix.width() >= known.width() && !prefix.takes_too_much(&own, work)
        };
        // Without a time it must be all that there is: a relay's JSON has braces, and a loose prefix would take hostile lines for its own.
        let (told, inside) = (known.tells_time() && *good > 0, prefix.text.starts_with('{') || relayed(&own));
        let timeless = !told && !inside && prefix.width() > 1;
        let own = prefix.tells_time() || timeless;
        (better && own).then_some((prefix, found, all))
    }

    /// Whether it is one of the prefixes in common use.
    pub fn is_known(&self) -> bool {
        KNOWN.contains(&self.text.as_str())
    }

    /// The prefix to begin with where nothing is known.
    pub fn usual() -> Prefix {
        COMPILED.first().cloned().unwrap_or_else(|| Prefix::compile(""))
    }

    /// Lines of the sample that name a user under this prefix.
    pub fn users(&self, sample: &[u8]) -> u32 {
        let mut work = Work(DECISION);
        self.users_of(&Prefix::lines(sample), &mut work).map(|_| 1).sum()
    }

    fn users_of<'a>(&self, lines: &[Sampled<'a>], work: &mut Work) -> impl Iterator<Item = &'a [u8]> {
        lines.iter().filter_map(|(line, last)| self.counted(line, *last, work)?.fields.user)
    }

    /// The match of this line, if it takes no more than [`A_MATCH`] steps.
    pub(super) fn counted<'a>(&self, line: &'a [u8], last: Option<usize>, work: &mut Work) -> Option<Match<'a>> {
        work.part(A_MATCH, |work| self.find_before(line, 0, Some(last?), work))
    }
}

/// Whether most of these lines are syslog's: the prefix stands behind what that puts before it.
fn relayed(lines: &[Sampled<'_>]) -> bool {
    const LOOKED_AT: usize = 16;
    let mut calendar = Calendar::new(None, None);
    let relayed = lines.iter().take(LOOKED_AT).filter(|(line, _)| header(line, &mut calendar).is_some()).count();
    relayed * 2 > lines.len().min(LOOKED_AT)
}

/// Whether Patroni wrote this line, which shares the output of its container with the server: its times have a comma.
pub fn patroni(line: &[u8]) -> bool {
    const FORM: &[u8; 24] = b"0000-00-00 00:00:00,000 ";
    let Some((time, rest)) = line.split_first_chunk::<24>() else { return false };
    let level = || [&b"DEBUG: "[..], b"INFO: ", b"WARNING: ", b"ERROR: ", b"CRITICAL: "].iter().any(|level| rest.starts_with(level));
    time.iter().zip(FORM).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form }) && level()
}
