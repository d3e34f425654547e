//! What a user has to know of a format before relying on it.

/// The user's side of one format. Text is Markdown of a few sentences, without a final line end.
#[derive(Debug, Clone, Copy)]
pub struct Guide {
    /// Product and versions: `PostgreSQL 9.0 to 18`.
    pub system: &'static str,
    /// How to switch the log on in the database: the settings or statements to type.
    pub switch_on: &'static str,
    /// The fields of an event (the words of `decode --json`) that the format carries, each with where the record has it and,
    /// where that is not plain, how far it may be believed: `("address", "column 5; seen by the server")`. Words that are
    /// missing here the format lacks.
    pub fields: &'static [(&'static str, &'static str)],
    /// What somebody who may connect, or merely reach the port, can write into the log, and what becomes of it here.
    pub forgery: &'static str,
    /// Records that are none of our business, and are skipped or kept as `other`.
    pub ignored: &'static str,
    /// Where the grammar is documented: a vendor's page or the source that writes it.
    pub source: &'static str,
}

/// The words that [`Guide::fields`] may use, in the order in which people read them.
pub const FIELDS: [&str; 15] = [
    "time",
    "principal",
    "address",
    "port",
    "database",
    "client",
    "session",
    "statement",
    "operation",
    "objects",
    "outcome",
    "code",
    "rows",
    "duration",
    "kind",
];

impl Guide {
    /// Where the record has this field; `None` where the format lacks it.
    pub fn field(&self, word: &str) -> Option<&'static str> {
        self.fields.iter().find(|(name, _)| *name == word).map(|(_, place)| *place)
    }
}

#[cfg(test)]
mod tests {
    use super::FIELDS;
    use crate::decoder::FORMATS;

    #[test]
    fn every_format_has_a_guide_in_the_same_words() {
        for format in FORMATS {
            let guide = &format.guide;
            for (what, text) in [
                ("system", guide.system),
                ("switch_on", guide.switch_on),
                ("forgery", guide.forgery),
                ("ignored", guide.ignored),
                ("source", guide.source),
            ] {
                assert!(!text.trim().is_empty() && text.trim() == text, "{}: {what}", format.name);
            }
            for (at, (word, place)) in guide.fields.iter().enumerate() {
                assert!(FIELDS.contains(word), "{}: {word} is no field", format.name);
                assert!(!place.is_empty(), "{}: {word}", format.name);
                assert!(guide.fields.iter().skip(at + 1).all(|(other, _)| other != word), "{}: {word} twice", format.name);
            }
            assert!(guide.field("time").is_some(), "{}: events need a time", format.name);
        }
    }
}
