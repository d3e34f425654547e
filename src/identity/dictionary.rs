//! The text behind the ids: token names and the words of baselines, for explanations and for people.
//!
//! Read by every stage, written rarely, so a concurrent map serves; no hot per-token state lives here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use std::sync::Mutex;

use crate::token::{TokenId, WordId};

/// Most words that are kept. Names are an attacker's to invent; what is past the limit is judged as before and shown as a hash.
pub const MOST_WORDS: usize = 1 << 20;

/// Longest word kept, in bytes; longer ones are cut at a character.
pub const LONGEST: usize = 512;

type Map<K> = DashMap<K, Arc<str>, foldhash::fast::FixedState>;

/// Names of tokens and words by their ids.
pub struct Dictionary {
    words: Map<WordId>,
    tokens: Map<TokenId>,
    /// What was added since the last checkpoint.
    new: Mutex<News>,
    refused: AtomicU64,
}

/// Words and names to be stored.
#[derive(Debug, Default)]
pub struct News {
    pub words: Vec<(WordId, Arc<str>)>,
    pub tokens: Vec<(TokenId, Arc<str>)>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Dictionary {
            words: Map::with_hasher(foldhash::fast::FixedState::default()),
            tokens: Map::with_hasher(foldhash::fast::FixedState::default()),
            new: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }
}

impl Dictionary {
    /// Remembers the text of a word; the first text of an id stays.
    pub fn add_word(&self, id: WordId, text: &str) {
        if self.words.contains_key(&id) {
            return;
        }
        if self.words.len() >= MOST_WORDS {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let text: Arc<str> = clean(text).into();
        self.words.insert(id, text.clone());
        if let Ok(mut new) = self.new.lock() {
            new.words.push((id, text));
        }
    }

    /// Remembers the name of a token.
    pub fn add_token(&self, id: TokenId, name: &str) {
        if self.tokens.contains_key(&id) {
            return;
        }
        if self.tokens.len() >= MOST_WORDS * 4 {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let name: Arc<str> = clean(name).into();
        self.tokens.insert(id, name.clone());
        if let Ok(mut new) = self.new.lock() {
            new.tokens.push((id, name));
        }
    }

    /// Puts a stored word back.
    pub fn load_word(&self, id: WordId, text: &str) {
        self.words.insert(id, text.into());
    }

    /// Puts a stored name back.
    pub fn load_token(&self, id: TokenId, name: &str) {
        self.tokens.insert(id, name.into());
    }

    pub fn word(&self, id: WordId) -> Arc<str> {
        self.words.get(&id).map_or_else(|| format!("#{id:?}").into(), |text| text.clone())
    }

    pub fn token(&self, id: TokenId) -> Arc<str> {
        self.tokens.get(&id).map_or_else(|| format!("#{id:?}").into(), |name| name.clone())
    }

    /// Takes what was added since the last call.
    pub fn take_new(&self) -> News {
        self.new.lock().map(|mut new| std::mem::take(&mut *new)).unwrap_or_default()
    }

    /// Words that found no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Text fit to be shown: no control characters (they steer terminals and forge lines), no more than [`LONGEST`] bytes.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars() {
        if out.len() + c.len_utf8() > LONGEST {
            out.push('…');
            break;
        }
        let unfit = c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        out.push(if unfit { '\u{fffd}' } else { c });
    }
    out
}
