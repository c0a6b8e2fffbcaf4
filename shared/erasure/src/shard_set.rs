//! A set of shard indices.

use std::fmt;

use cairn_model::limits::SHARDS_MAX;

/// A set of shard indices below [`SHARDS_MAX`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardSet(u32);

const _: () = assert!(SHARDS_MAX <= u32::BITS);

impl ShardSet {
    /// No shard.
    pub const EMPTY: Self = Self(0);

    /// Adds a shard; false if it was there already or is no shard index at all.
    pub fn insert(&mut self, shard: u8) -> bool {
        let new = u32::from(shard) < SHARDS_MAX && !self.contains(shard);
        if new {
            self.0 |= 1 << shard;
        }
        new
    }

    /// Whether `shard` is in the set.
    #[must_use]
    pub fn contains(self, shard: u8) -> bool {
        u32::from(shard) < SHARDS_MAX && self.0 & (1 << shard) != 0
    }

    /// How many shards are in the set.
    #[must_use]
    pub fn len(self) -> usize {
        usize::try_from(self.0.count_ones()).unwrap_or(0)
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The shards in rising order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..u8::try_from(SHARDS_MAX).unwrap_or(u8::MAX)).filter(move |shard| self.contains(*shard))
    }
}

impl FromIterator<u8> for ShardSet {
    fn from_iter<I: IntoIterator<Item = u8>>(shards: I) -> Self {
        let mut set = Self::EMPTY;
        for shard in shards {
            set.insert(shard);
        }
        set
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_set_of_shards() {
        let mut set: ShardSet = [3, 0, 31, 3].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 31]);
        assert_eq!((set.len(), set.is_empty()), (3, false));
        assert!(set.insert(7) && !set.insert(7));
        assert!(!set.insert(32) && !set.insert(255), "no such shards");
        assert!(set.contains(7) && !set.contains(32) && !set.contains(1));
        assert_eq!(set.to_string(), "{0, 3, 7, 31}");
        assert!(ShardSet::EMPTY.is_empty());
    }
}
