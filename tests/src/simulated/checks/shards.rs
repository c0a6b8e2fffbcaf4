//! Shards: all that a row names lie where the table says, and nothing else lies anywhere.

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::{ChunkId, DiskId, Incarnation};

/// Where a chunk is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// References hold it.
    Live,
    /// None do, and sessions may still read it.
    Condemned,
    /// Its deletion is committed.
    Deleting,
}

/// A chunk's row, with the places that its partition gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its current writing.
    pub incarnation: Incarnation,
    /// Its life.
    pub state: State,
    /// For each shard, by index, the disk where it is now.
    pub disks: Vec<DiskId>,
    /// Disks where a shard may lie besides: those of moves that are over or on their way (ADR 15).
    pub former: BTreeSet<DiskId>,
    /// Shards that are owed.
    pub debt: BTreeSet<u8>,
    /// Whether a read or a scrub failed on it.
    pub suspect: bool,
}

/// A shard on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The chunk its record names.
    pub chunk: ChunkId,
    /// The writing.
    pub incarnation: Incarnation,
    /// Which shard.
    pub shard: u8,
}

/// What lies on every disk.
pub type Inventory = BTreeMap<DiskId, Vec<Found>>;

/// After healing: of every chunk all shards are there, none is owed and none is suspect.
#[must_use]
pub fn not_healed(rows: &[Row], inventory: &Inventory) -> Vec<String> {
    let lying: BTreeMap<&DiskId, BTreeSet<&Found>> = inventory
        .iter()
        .map(|(disk, found)| (disk, found.iter().collect()))
        .collect();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.state == State::Live) {
        let Row {
            chunk, incarnation, ..
        } = row;
        if !row.debt.is_empty() {
            wrong.push(format!("{chunk:?} owes shards {:?}", row.debt));
        }
        if row.suspect {
            wrong.push(format!("{chunk:?} is suspect"));
        }
        if row.disks.iter().collect::<BTreeSet<_>>().len() < row.disks.len() {
            wrong.push(format!(
                "{chunk:?} has two shards on one disk: {:?}",
                row.disks
            ));
        }
        for (shard, disk) in (0..).zip(&row.disks) {
            let wanted = Found {
                chunk: *chunk,
                incarnation: *incarnation,
                shard,
            };
            if !lying.get(disk).is_some_and(|found| found.contains(&wanted)) {
                let of = row.disks.len();
                wrong.push(format!(
                    "shard {shard} of {of} of {chunk:?} is not on {disk:?}"
                ));
            }
        }
    }
    wrong
}

/// After quiet: no row waits for its deletion, and no shard lies where no row puts it.
#[must_use]
pub fn garbage(rows: &[Row], inventory: &Inventory) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known: BTreeMap<(ChunkId, Incarnation), &Row> = BTreeMap::new();
    for row in rows {
        if row.state == State::Live {
            known.insert((row.chunk, row.incarnation), row);
        } else {
            wrong.push(format!("{:?} is still {:?}", row.chunk, row.state));
        }
    }
    for (disk, found) in inventory {
        let mut seen = BTreeSet::new();
        for one in found {
            let Found {
                chunk,
                incarnation,
                shard,
            } = one;
            let place = match known.get(&(*chunk, *incarnation)) {
                None => Err("no row knows it".to_owned()),
                Some(row) => place(row, *shard, disk),
            };
            let twice = !seen.insert(one);
            let place = if twice {
                Err("it lies there twice".to_owned())
            } else {
                place
            };
            if let Err(why) = place {
                wrong.push(format!(
                    "shard {shard} of {chunk:?} {incarnation:?} on {disk:?}: {why}"
                ));
            }
        }
    }
    wrong
}

fn place(row: &Row, shard: u8, disk: &DiskId) -> Result<(), String> {
    match row.disks.get(usize::from(shard)) {
        None => Err(format!("the chunk has {} shards", row.disks.len())),
        Some(home) if home == disk || row.former.contains(disk) => Ok(()),
        Some(home) => Err(format!("its place is {home:?}")),
    }
}

#[cfg(test)]
mod tests {
    use cairn_model::{DomainId, SessionId, Sha256};

    use super::*;

    fn chunk(name: u8) -> ChunkId {
        ChunkId {
            domain: DomainId(1),
            sha256: Sha256([name; 32]),
        }
    }

    fn incarnation(counter: u64) -> Incarnation {
        Incarnation {
            group: 0,
            generation: 1,
            session: SessionId(3),
            counter,
        }
    }

    fn disk(name: u8) -> DiskId {
        DiskId([name; 16])
    }

    fn row() -> Row {
        Row {
            chunk: chunk(1),
            incarnation: incarnation(1),
            state: State::Live,
            disks: vec![disk(0), disk(1), disk(2)],
            former: BTreeSet::from([disk(9)]),
            debt: BTreeSet::new(),
            suspect: false,
        }
    }

    fn found(shard: u8) -> Found {
        Found {
            chunk: chunk(1),
            incarnation: incarnation(1),
            shard,
        }
    }

    /// Every shard of the row in its place.
    fn whole() -> Inventory {
        (0..3)
            .map(|shard| (disk(shard), vec![found(shard)]))
            .collect()
    }

    #[test]
    fn a_whole_chunk_is_healed_and_no_garbage() {
        assert_eq!(not_healed(&[row()], &whole()), Vec::<String>::new());
        assert_eq!(garbage(&[row()], &whole()), Vec::<String>::new());
        let mut moved = whole();
        moved.insert(disk(9), vec![found(2)]);
        assert_eq!(garbage(&[row()], &moved), Vec::<String>::new());
        assert!(not_healed(&[], &Inventory::new()).is_empty());
    }

    #[test]
    fn a_shard_that_is_missing_misplaced_or_of_another_writing_is_not_healed() {
        let mut missing = whole();
        missing.remove(&disk(1));
        let mut swapped = whole();
        swapped.insert(disk(0), vec![found(1)]);
        let mut older = whole();
        older.insert(
            disk(2),
            vec![Found {
                incarnation: incarnation(7),
                ..found(2)
            }],
        );
        for inventory in [missing, swapped, older] {
            assert_eq!(not_healed(&[row()], &inventory).len(), 1, "{inventory:?}");
        }
    }

    #[test]
    fn debt_suspicion_and_shared_disks_are_not_healed() {
        let owing = Row {
            debt: BTreeSet::from([2]),
            ..row()
        };
        let suspect = Row {
            suspect: true,
            ..row()
        };
        let doubled = Row {
            disks: vec![disk(0), disk(1), disk(0)],
            ..row()
        };
        let mut inventory = whole();
        inventory.insert(disk(0), vec![found(0), found(2)]);
        assert_eq!(not_healed(&[owing], &whole()).len(), 1);
        assert_eq!(not_healed(&[suspect], &whole()).len(), 1);
        assert_eq!(not_healed(&[doubled], &inventory).len(), 1);
    }

    #[test]
    fn what_no_row_puts_there_is_garbage() {
        let with = |name: u8, one: Found| {
            let mut inventory = whole();
            inventory.entry(disk(name)).or_default().push(one);
            garbage(&[row()], &inventory)
        };
        let other = Found {
            chunk: chunk(2),
            ..found(0)
        };
        let older = Found {
            incarnation: incarnation(7),
            ..found(0)
        };
        assert_eq!(with(0, other).len(), 1);
        assert_eq!(with(0, older).len(), 1);
        assert_eq!(with(1, found(0)).len(), 1);
        assert_eq!(with(0, found(0)).len(), 1);
        assert_eq!(with(0, found(3)).len(), 1);
        for state in [State::Condemned, State::Deleting] {
            let dying = Row { state, ..row() };
            // The row, and its three shards.
            assert_eq!(garbage(&[dying], &whole()).len(), 4);
        }
    }
}
