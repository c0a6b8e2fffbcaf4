//! Which states were seen: indices of states by their hash, open addressing, no deletion.

use std::hash::{Hash, Hasher as _};

use super::QuickHasher;

const EMPTY: u32 = u32::MAX;

pub(super) fn hash_of<S: Hash>(state: &S) -> u64 {
    let mut hasher = QuickHasher::default();
    state.hash(&mut hasher);
    hasher.finish()
}

#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<u32>,
    filled: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![EMPTY; 1 << 4],
            filled: 0,
        }
    }

    /// Notes `index` under `hash` unless `same` finds it there already; false then. `hash_at` gives
    /// the hash of an index noted before.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        index: u32,
        same: impl Fn(u32) -> bool,
        hash_at: impl Fn(u32) -> u64,
    ) -> bool {
        if self.filled * 4 >= self.slots.len() * 3 {
            self.grow(hash_at);
        }
        let mut at = self.place(hash);
        loop {
            match self.slots.get_mut(at) {
                Some(slot) if *slot == EMPTY => {
                    *slot = index;
                    self.filled += 1;
                    return true;
                }
                Some(slot) if same(*slot) => return false,
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    fn place(&self, hash: u64) -> usize {
        usize::try_from(hash & 0xffff_ffff).unwrap_or(0) & (self.slots.len() - 1)
    }

    fn grow(&mut self, hash_at: impl Fn(u32) -> u64) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![EMPTY; old.len() * 2];
        for index in old.into_iter().filter(|index| *index != EMPTY) {
            let mut at = self.place(hash_at(index));
            while self.slots.get(at).is_some_and(|slot| *slot != EMPTY) {
                at = (at + 1) & (self.slots.len() - 1);
            }
            if let Some(slot) = self.slots.get_mut(at) {
                *slot = index;
            }
        }
    }
}
