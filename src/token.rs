//! Stable identities: tokens and the words (objects, clients, shapes) that baselines remember.

use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

/// The identity of a token in baselines and alerts: 128 bits of BLAKE3 over its name.
///
/// Fixed and unkeyed, so that the same log and configuration give the same ids on every host and after every restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenId(pub u128);

impl TokenId {
    /// No token: under this id the store keeps what is known of all of them together.
    pub const FLEET: TokenId = TokenId(0);

    /// No token: under this id the store keeps what was told of the inventory.
    pub const INVENTORY: TokenId = TokenId(1);

    /// Is it a token's id?
    pub fn is_token(self) -> bool {
        self != Self::FLEET && self != Self::INVENTORY
    }

    pub fn of(name: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tokenwatch token v1");
        hasher.update(name);
        let mut out = [0; 16];
        hasher.finalize_xof().fill(&mut out);
        TokenId(u128::from_le_bytes(out))
    }

    /// Under this id stands what is known of an address or a network. No name of a token leads to it.
    pub fn of_place(key: u128, wide: bool) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tokenwatch place v1");
        hasher.update(&key.to_le_bytes());
        hasher.update(&[u8::from(wide)]);
        let mut out = [0; 16];
        hasher.finalize_xof().fill(&mut out);
        TokenId(u128::from_le_bytes(out))
    }
}

impl std::fmt::Debug for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A remembered word (object, client family, statement shape, network name) as 64 bits of BLAKE3.
/// The text behind it lives in the dictionary, for explanations only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WordId(pub u64);

impl WordId {
    pub fn of(text: &[u8]) -> Self {
        let hash = blake3::hash(text);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        WordId(u64::from_le_bytes(first))
    }
}

/// Ids of the words that came last: many come again and again, and to hash one costs more than to read a record.
#[derive(Debug, Default)]
pub struct WordIds(Vec<(Vec<u8>, WordId)>);

impl WordIds {
    /// As [`WordId::of`].
    pub fn of(&mut self, text: &[u8]) -> WordId {
        /// Words remembered, and the longest of them.
        const WORDS: usize = 64;
        const LONGEST: usize = 64;
        if self.0.is_empty() {
            self.0 = vec![(Vec::new(), WordId::of(b"")); WORDS];
        }
        let place = foldhash::fast::FixedState::default().hash_one(text) as usize % WORDS;
        match self.0.get_mut(place).filter(|_| text.len() <= LONGEST) {
            Some((known, id)) if known == text => *id,
            Some((known, id)) => {
                known.clear();
                known.extend_from_slice(text);
                *id = WordId::of(text);
                *id
            }
            None => WordId::of(text),
        }
    }
}

impl std::fmt::Debug for WordId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_words_have_their_ids() {
        let mut words = WordIds::default();
        for round in 0..3 {
            for text in (0..200).map(|n| "w".repeat(n % 70) + &(n / 3).to_string()).chain([String::new()]) {
                assert_eq!(words.of(text.as_bytes()), WordId::of(text.as_bytes()), "{round} {text}");
            }
        }
    }
}
