//! Debt: what of Live chunks is not where it belongs. Every key follows from one chunk row and is
//! written in the entry that writes the row.
//!
//! `55` (shards to spare, chunk) -> a row with debt, or suspect: exactly one, the most endangered first.
//! `56` (shard, place, chunk)    -> its debt for one slot: what a cut-over looks at.
//! `57` (disk, chunk)            -> its debt names the disk: what a removal looks at.

use std::collections::BTreeSet;
use std::ops::Bound;

use cairn_model::{ChunkId, Incarnation};

use super::chunk::{ChunkRow, ChunkState};
use super::{KeyKind, Present, read_stamp, read_u32};

/// A chunk that is to be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DebtKey {
    /// Shards that may be lost still; a suspect row counts one as missing that it does not name.
    pub spare: u8,
    /// The chunk.
    pub chunk: ChunkId,
}

/// A shard that is not where its slot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotDebtKey {
    /// The shard, which is the slot.
    pub shard: u8,
    /// The top 32 bits of the writing's placement hash: its partition, whatever their number.
    pub place: u32,
    /// The chunk.
    pub chunk: ChunkId,
}

/// A disk that a chunk's debt names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskDebtKey {
    /// The disk.
    pub disk: [u8; 16],
    /// The chunk.
    pub chunk: ChunkId,
}

/// One key of the three kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DebtMark {
    /// `55`
    Chunk(DebtKey),
    /// `56`
    Slot(SlotDebtKey),
    /// `57`
    Disk(DiskDebtKey),
}

/// The keys that follow from a chunk's row. Only a Live one has any: what nothing needs is not
/// repaired.
#[must_use]
pub fn marks(chunk: ChunkId, row: &ChunkRow) -> BTreeSet<DebtMark> {
    let mut marks = BTreeSet::new();
    if row.state() != ChunkState::Live || (row.debt.is_empty() && !row.suspect) {
        return marks;
    }
    let parity = row.coding.map_or(0, |coding| coding.parity);
    let missing = u32::try_from(row.debt.len()).unwrap_or(u32::MAX);
    let missing = missing.saturating_add(u32::from(row.suspect));
    let spare = u8::try_from(parity.saturating_sub(missing)).unwrap_or(u8::MAX);
    marks.insert(DebtMark::Chunk(DebtKey { spare, chunk }));
    let place = Incarnation::from_bytes(&row.incarnation).map(|stamp| stamp.partition(32));
    for debt in &row.debt {
        if let (Ok(shard), Some(place)) = (u8::try_from(debt.shard), place) {
            marks.insert(DebtMark::Slot(SlotDebtKey {
                shard,
                place,
                chunk,
            }));
        }
        for disk in [&debt.disk, &debt.found] {
            if let Ok(disk) = disk.as_ref().try_into() {
                marks.insert(DebtMark::Disk(DiskDebtKey { disk, chunk }));
            }
        }
    }
    marks
}

impl SlotDebtKey {
    /// The keys of one slot of one partition among `2^bits`.
    #[must_use]
    pub fn of(partition: u32, bits: u32, shard: u8) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let key = |place: u32| {
            let mut key = vec![Self::PREFIX, shard];
            key.extend_from_slice(&place.to_be_bytes());
            key
        };
        let shift = 32 - bits.clamp(1, 32);
        let from = Bound::Included(key(partition << shift));
        let next = (partition + 1).checked_mul(1 << shift);
        let to = match (next, shard.checked_add(1)) {
            (Some(next), _) => Bound::Excluded(key(next)),
            (None, Some(shard)) => Bound::Excluded(vec![Self::PREFIX, shard]),
            (None, None) => Bound::Excluded(vec![Self::PREFIX + 1]),
        };
        (from, to)
    }
}

impl DiskDebtKey {
    /// The start of every key of a disk.
    #[must_use]
    pub fn of(disk: &[u8]) -> Vec<u8> {
        [&[Self::PREFIX], disk].concat()
    }
}

impl KeyKind for DebtKey {
    const PREFIX: u8 = 0x55;
    type Row = Present;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.spare);
        out.extend_from_slice(&self.chunk.to_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (spare, chunk) = fields.split_first()?;
        Some(Self {
            spare: *spare,
            chunk: ChunkId::from_bytes(chunk)?,
        })
    }
}

impl KeyKind for SlotDebtKey {
    const PREFIX: u8 = 0x56;
    type Row = Present;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.shard);
        out.extend_from_slice(&self.place.to_be_bytes());
        out.extend_from_slice(&self.chunk.to_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (shard, rest) = fields.split_first()?;
        let (place, chunk) = read_u32(rest)?;
        Some(Self {
            shard: *shard,
            place,
            chunk: ChunkId::from_bytes(chunk)?,
        })
    }
}

impl KeyKind for DiskDebtKey {
    const PREFIX: u8 = 0x57;
    type Row = Present;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.disk);
        out.extend_from_slice(&self.chunk.to_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (disk, chunk) = read_stamp(fields)?;
        Some(Self {
            disk,
            chunk: ChunkId::from_bytes(chunk)?,
        })
    }
}
