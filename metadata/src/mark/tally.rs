//! Two sides that must name the same items equally often.
//!
//! First every item goes into one of many sums, by its hash: added where it is held, subtracted where
//! it is recorded. Sums that end at zero agree, but for a chance of 2^-63 where several items of one
//! sum differ: a single one cannot hide, as its odd hash times a difference is never zero. Then the
//! items of the other sums are counted one by one.

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::{ChunkId, DomainId, Incarnation, Sha256, limits};
use sha2::Digest as _;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// A reference: held by a list of extents, a page or a lease; recorded in the chunk's row.
    Chunk(ChunkId),
    /// A writing: held by a chunk's row without references; recorded by the row that condemns it.
    Condemned(ChunkId, Incarnation),
    /// Pages: held by whoever names the manifest; recorded as a run of page rows.
    Pages {
        manifest: [u8; 16],
        first: u32,
        end: u32,
    },
    /// A part: held by its upload; recorded as its row.
    Part { upload: [u8; 16], number: u32 },
}

impl Item {
    /// The first of all.
    const FIRST: Self = Self::Chunk(ChunkId {
        domain: DomainId(0),
        sha256: Sha256([0; 32]),
    });

    /// Its group and its odd hash: of a SHA-256, so that no structure of names cancels out.
    fn hash(&self) -> (u16, u64) {
        let mut hash = sha2::Sha256::new();
        match self {
            Self::Chunk(chunk) => {
                hash.update([1]);
                hash.update(chunk.to_bytes());
            }
            Self::Condemned(chunk, incarnation) => {
                hash.update([2]);
                hash.update(chunk.to_bytes());
                hash.update(incarnation.to_bytes());
            }
            Self::Pages {
                manifest,
                first,
                end,
            } => {
                hash.update([3]);
                hash.update(manifest);
                hash.update(first.to_be_bytes());
                hash.update(end.to_be_bytes());
            }
            Self::Part { upload, number } => {
                hash.update([4]);
                hash.update(upload);
                hash.update(number.to_be_bytes());
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, i, j, ..] = digest;
        let group = u16::from_be_bytes([a, b]) >> (16 - limits::MARK_GROUP_BITS);
        (group, u64::from_be_bytes([c, d, e, f, g, h, i, j]) | 1)
    }
}

/// One of the two ways to compare.
#[derive(Debug)]
pub(super) enum Tally {
    Sums(Sums),
    Items(Items),
}

impl Tally {
    pub(super) fn sums() -> Self {
        Self::Sums(Sums(BTreeMap::new()))
    }

    /// Counts items of `groups`, at most `items_max` different ones.
    pub(super) fn items(groups: BTreeSet<u16>, items_max: usize) -> Self {
        Self::Items(Items {
            groups,
            items_max,
            balances: BTreeMap::new(),
            unnamed: 0,
        })
    }

    /// Something holds the item once more.
    pub(super) fn hold(&mut self, item: Item) {
        let (group, hash) = item.hash();
        match self {
            Self::Sums(sums) => sums.add(group, hash),
            Self::Items(items) => items.count(group, item, |balance| balance.held += 1),
        }
    }

    /// A row says that the item is held so often.
    pub(super) fn record(&mut self, item: Item, times: u64) {
        let (group, hash) = item.hash();
        match self {
            Self::Sums(sums) => sums.add(group, hash.wrapping_mul(times).wrapping_neg()),
            Self::Items(items) => items.count(group, item, |balance| {
                balance.recorded = balance.recorded.saturating_add(times);
            }),
        }
    }
}

/// One sum per group, modulo 2^64; none where it is zero.
#[derive(Debug)]
pub(super) struct Sums(BTreeMap<u16, u64>);

impl Sums {
    fn add(&mut self, group: u16, summand: u64) {
        let sum = self.0.entry(group).or_default();
        *sum = sum.wrapping_add(summand);
        if *sum == 0 {
            self.0.remove(&group);
        }
    }

    /// Groups with an item that is not recorded as often as it is held.
    pub(super) fn differing(&self) -> BTreeSet<u16> {
        self.0.keys().copied().collect()
    }
}

/// How often an item is held, and recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Balance {
    pub(super) held: u64,
    pub(super) recorded: u64,
}

/// Items one by one.
#[derive(Debug)]
pub(super) struct Items {
    /// Those that are counted.
    groups: BTreeSet<u16>,
    items_max: usize,
    balances: BTreeMap<(u16, Item), Balance>,
    unnamed: u64,
}

impl Items {
    fn count(&mut self, group: u16, item: Item, change: impl FnOnce(&mut Balance)) {
        if !self.groups.contains(&group) {
            return;
        }
        change(self.balances.entry((group, item)).or_default());
        // A group that was given up is never begun again: half of it would be worse than nothing.
        while self.balances.len() > self.items_max
            && let Some(((last, _), _)) = self.balances.last_key_value()
        {
            let last = *last;
            self.groups.remove(&last);
            drop(self.balances.split_off(&(last, Item::FIRST)));
            self.unnamed += 1;
        }
    }

    /// Groups that were given up.
    pub(super) fn unnamed(&self) -> u64 {
        self.unnamed
    }

    /// Items that are not recorded as often as they are held.
    pub(super) fn differing(&self) -> impl Iterator<Item = (Item, Balance)> + '_ {
        let all = self.balances.iter();
        all.filter(|(_, balance)| balance.held != balance.recorded)
            .map(|((_, item), balance)| (*item, *balance))
    }
}
