//! The blocks a simulated file holds: ranges of page numbers.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of page numbers, kept as disjoint ranges that do not touch (start -> end).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    ranges: BTreeMap<u64, u64>,
    count: u64,
}

impl Blocks {
    /// Pages in the set.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Pages of `range` in the set.
    pub(super) fn held(&self, range: &Range<u64>) -> u64 {
        self.overlapping(range)
            .map(|(start, end)| end.min(range.end) - start.max(range.start))
            .sum()
    }

    /// Adds a range.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let touching = range.start.saturating_sub(1)..range.end.saturating_add(1);
        let joined: Vec<_> = self.overlapping(&touching).collect();
        let mut merged = range;
        for (start, end) in joined {
            self.take(start);
            merged = merged.start.min(start)..merged.end.max(end);
        }
        self.put(merged.start, merged.end);
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        let cut: Vec<_> = self.overlapping(&range).collect();
        for (start, end) in cut {
            self.take(start);
            self.put(start, range.start);
            self.put(range.end, end);
        }
    }

    fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, u64)> + use<> {
        let first = self
            .ranges
            .range(..=range.start)
            .next_back()
            .map_or(0, |(start, _)| *start);
        let end = if range.is_empty() { first } else { range.end };
        let (from, touches) = (range.start, first..end);
        let found: Vec<_> = self
            .ranges
            .range(touches)
            .map(|(start, end)| (*start, *end))
            .collect();
        found.into_iter().filter(move |(_, end)| *end > from)
    }

    fn put(&mut self, start: u64, end: u64) {
        if start < end {
            self.ranges.insert(start, end);
            self.count += end - start;
        }
    }

    fn take(&mut self, start: u64) {
        if let Some(end) = self.ranges.remove(&start) {
            self.count -= end - start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn neighbours_join_and_holes_split() {
        let mut blocks = Blocks::default();
        blocks.insert(0..4);
        blocks.insert(4..8);
        assert_eq!(blocks.ranges.len(), 1);
        blocks.remove(2..3);
        assert_eq!(blocks.ranges.len(), 2);
        assert_eq!((blocks.count(), blocks.held(&(1..4))), (7, 2));
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0_u64..40, 0_u64..12), 0..40)) {
            let (mut blocks, mut model) = (Blocks::default(), BTreeSet::new());
            for (insert, start, len) in steps {
                let range = start..start + len;
                if insert {
                    blocks.insert(range.clone());
                    model.extend(range);
                } else {
                    blocks.remove(range.clone());
                    model.retain(|page| !range.contains(page));
                }
                prop_assert_eq!(blocks.count(), model.len() as u64);
                for at in 0..50 {
                    let held = model.range(at..at + 7).count() as u64;
                    prop_assert_eq!(blocks.held(&(at..at + 7)), held);
                }
            }
        }
    }
}
