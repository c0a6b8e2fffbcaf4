//! The inventory after a bump: what disks hold of the writings that rows name, a window of them at a
//! time. Pure.
//!
//! ```text
//!   rows, all of them ──offer──> the first so many older writings behind `after`, by their stamps
//!   disks, from the first to the last of those ──note──> which shard was found where
//!   rows, read again ──> Subject::missing ──> RecordMissing;  the next window begins behind the last
//! ```
//!
//! Only writings of older generations are looked for: a newer one was acknowledged by disks that had
//! heard of the bump. No row ever names an older writing anew, so what a window has passed stays passed.

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::incarnation::U48_MAX;
use cairn_model::{ChunkId, DiskId, DomainId, Incarnation, SessionId, Sha256};
use cairn_rpc::ShardFound;
use cairn_wire::metadata::Chunk;

/// A writing of a chunk, as inventories sort them.
pub type Writing = (Incarnation, ChunkId);
/// Which shards of a writing were found, and where.
pub type Places = BTreeSet<(u8, DiskId)>;

/// Writings that are looked for in one round over the disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Those up to it were looked for before.
    after: Option<Writing>,
    writings: BTreeMap<Writing, Places>,
    most: usize,
}

impl Window {
    /// An empty window of at most `most` writings behind `after`.
    #[must_use]
    pub fn behind(after: Option<Writing>, most: usize) -> Self {
        Self {
            after,
            writings: BTreeMap::new(),
            most: most.max(1),
        }
    }

    /// Takes of a page of rows what belongs into the window, given the generation now.
    pub fn offer<'r>(&mut self, rows: impl IntoIterator<Item = &'r Chunk>, generation: u32) {
        for writing in rows.into_iter().filter(|row| row.live).filter_map(writing) {
            let older = u32::from(writing.0.generation) < generation;
            if older && Some(writing) > self.after {
                self.writings.insert(writing, Places::new());
            }
            if self.writings.len() > self.most {
                self.writings.pop_last();
            }
        }
    }

    /// Whether there was nothing left to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writings.is_empty()
    }

    /// The last writing in it.
    #[must_use]
    pub fn last(&self) -> Option<Writing> {
        self.writings.last_key_value().map(|(last, _)| *last)
    }

    /// What an inventory is to begin behind, so that it shows the first writing whole.
    #[must_use]
    pub fn start(&self) -> Option<(Incarnation, u8)> {
        let (first, _) = self.writings.first_key_value()?.0;
        let before = u128::from_be_bytes(first.to_bytes()).checked_sub(1)?;
        Some((Incarnation::from_bytes(&before.to_be_bytes())?, u8::MAX))
    }

    /// Notes a page of a disk's inventory; whether later pages may hold more of the window.
    pub fn note(&mut self, disk: DiskId, page: &[ShardFound]) -> bool {
        for shard in page {
            let writing = (shard.incarnation, shard.chunk);
            if let Some(places) = self.writings.get_mut(&writing) {
                places.insert((shard.shard, disk));
            }
        }
        let last = self.last().map(|(incarnation, _)| incarnation);
        page.last()
            .is_some_and(|shard| Some(shard.incarnation) <= last)
    }

    /// The writings and where they were found, in order.
    pub fn found(&self) -> impl Iterator<Item = (&Writing, &Places)> {
        self.writings.iter()
    }
}

/// The writing a row names; `None` where this version cannot read it.
#[must_use]
pub fn writing(row: &Chunk) -> Option<Writing> {
    let chunk = ChunkId {
        domain: DomainId(row.domain),
        sha256: Sha256(row.sha256.as_ref().try_into().ok()?),
    };
    Some((Incarnation::from_bytes(&row.incarnation)?, chunk))
}

/// Behind everything that this history can have written by now: what an inventory shows there was
/// written by another one.
#[must_use]
pub fn end(group: u16, generation: u16, last_session: u64) -> (Incarnation, u8) {
    let incarnation = Incarnation {
        group,
        generation,
        session: SessionId(last_session),
        counter: U48_MAX,
    };
    (incarnation, u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(generation: u16, counter: u64) -> Incarnation {
        Incarnation {
            group: 1,
            generation,
            session: SessionId(7),
            counter,
        }
    }

    fn row(name: u8, incarnation: Incarnation) -> Chunk {
        Chunk {
            domain: 1,
            sha256: vec![name; 32].into(),
            incarnation: incarnation.to_bytes().to_vec().into(),
            live: true,
            ..Chunk::default()
        }
    }

    fn found(name: u8, incarnation: Incarnation, shard: u8) -> ShardFound {
        ShardFound {
            chunk: writing(&row(name, incarnation)).unwrap().1,
            incarnation,
            shard,
        }
    }

    fn names(window: &Window) -> Vec<u64> {
        window
            .found()
            .map(|(writing, _)| writing.0.counter)
            .collect()
    }

    #[test]
    fn windows_follow_each_other_until_every_older_writing_was_in_one() {
        let dead = Chunk {
            live: false,
            ..row(9, stamp(1, 4))
        };
        let rows = [
            row(1, stamp(1, 5)),
            row(2, stamp(2, 1)),
            row(3, stamp(1, 3)),
            row(4, stamp(1, 9)),
            dead,
            // Two chunks under one stamp: a cluster that was restored twice from one backup.
            row(5, stamp(1, 5)),
        ];
        let mut window = Window::behind(None, 2);
        let mut seen = Vec::new();
        loop {
            for row in &rows {
                window.offer(std::slice::from_ref(row), 2);
            }
            if window.is_empty() {
                break;
            }
            seen.extend(names(&window));
            window = Window::behind(window.last(), 2);
        }
        assert_eq!(seen, [3, 5, 5, 9]);
    }

    #[test]
    fn an_inventory_is_read_from_the_first_to_behind_the_last() {
        let mut window = Window::behind(None, 8);
        assert_eq!(window.start(), None);
        window.offer(&[row(1, stamp(1, 5)), row(2, stamp(1, 8))], 2);
        let (before, shard) = window.start().unwrap();
        assert!(before < stamp(1, 5) && before >= stamp(1, 4) && shard == u8::MAX);
        let disk = DiskId([4; 16]);
        let page = [found(1, stamp(1, 5), 0), found(2, stamp(1, 5), 1)];
        assert!(window.note(disk, &page), "there may be more");
        assert!(!window.note(disk, &[found(3, stamp(1, 9), 0)]));
        assert!(!window.note(disk, &[]));
        let places: Vec<usize> = window.found().map(|(_, places)| places.len()).collect();
        assert_eq!(
            places,
            [1, 0],
            "another chunk's record is none of this one's"
        );
    }
}
