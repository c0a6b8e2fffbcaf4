//! `0x04` partition -> where its shards are.

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
