//! `0x04` partition -> where its shards are, and where they were written before.

use bytes::Bytes;

use super::{KeyKind, read_u32};

/// A partition's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionKey(pub u32);

/// One row of the partition table.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PartitionRow {
    /// Rises with every change of the row.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// Disk (16 bytes) per slot.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub current: Vec<Bytes>,
    /// Disk the slot moves to; empty where it does not.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub next: Vec<Bytes>,
    /// Per slot the last session begun before `next` appeared; may be shorter where none moves.
    #[prost(uint64, repeated, tag = "4")]
    pub gates: Vec<u64>,
    /// Where slots were written before, oldest change first.
    #[prost(message, repeated, tag = "5")]
    pub past: Vec<PastPlace>,
    /// The epoch from which on `past` tells everything.
    #[prost(uint64, tag = "6")]
    pub told_from: u64,
}

/// A slot was written on another disk until the row changed.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PastPlace {
    /// The row's epoch from which on it no longer was.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The slot.
    #[prost(uint32, tag = "2")]
    pub slot: u32,
    /// The disk (16 bytes).
    #[prost(bytes = "bytes", tag = "3")]
    pub disk: Bytes,
    /// The last session begun by then, or by the end of the move: it is kept until that one and
    /// those before it have ended.
    #[prost(uint64, tag = "4")]
    pub session: u64,
}

impl PartitionRow {
    /// The disk the slot is moving to.
    #[must_use]
    pub fn next_of(&self, slot: usize) -> Option<&Bytes> {
        self.next.get(slot).filter(|disk| !disk.is_empty())
    }

    /// Where new shards of a slot go.
    #[must_use]
    pub fn write_disk(&self, slot: usize) -> Option<&Bytes> {
        self.next_of(slot).or_else(|| self.current.get(slot))
    }

    /// Where shards of a slot went at an epoch of the row; `None` where that can no longer be told.
    #[must_use]
    pub fn write_disk_at(&self, slot: usize, epoch: u64) -> Option<&Bytes> {
        if !(self.told_from.max(1)..=self.epoch).contains(&epoch) {
            return None;
        }
        let left = self
            .past
            .iter()
            .find(|past| past.epoch > epoch && usize::try_from(past.slot) == Ok(slot));
        left.map(|past| &past.disk)
            .or_else(|| self.write_disk(slot))
    }

    /// The last session begun before the slot's `next` appeared.
    #[must_use]
    pub fn gate(&self, slot: usize) -> u64 {
        self.gates.get(slot).copied().unwrap_or(0)
    }

    /// Every disk the row names.
    pub fn disks(&self) -> impl Iterator<Item = &Bytes> {
        let next = self.next.iter().filter(|disk| !disk.is_empty());
        self.current.iter().chain(next)
    }
}

impl KeyKind for PartitionKey {
    const PREFIX: u8 = 0x04;
    type Row = PartitionRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        read_u32(fields)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(number, _)| Self(number))
    }
}
