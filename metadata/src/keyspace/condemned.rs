//! `0x51` (epoch, chunk, incarnation) -> a writing that nothing needs. Oldest epoch first.

use bytes::Bytes;
use cairn_model::{ChunkId, Incarnation};

use super::{KeyKind, read_u64};

/// One writing of a chunk, condemned when `epoch` was the newest session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CondemnedKey {
    /// The newest session at that time: this one and all before it must have ended.
    pub epoch: u64,
    /// The chunk.
    pub chunk: ChunkId,
    /// The writing.
    pub incarnation: Incarnation,
}

/// How far its end is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CondemnedRow {
    /// Deletion is committed; nodes may be told.
    #[prost(bool, tag = "1")]
    pub deleting: bool,
    /// Sequence of the entry that committed it: the token of `Deleting`.
    #[prost(uint64, tag = "2")]
    pub token: u64,
    /// Disks (16 bytes each) that may hold it besides those its partition names.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub disks: Vec<Bytes>,
}

impl KeyKind for CondemnedKey {
    const PREFIX: u8 = 0x51;
    type Row = CondemnedRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.chunk.to_bytes());
        out.extend_from_slice(&self.incarnation.to_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (epoch, rest) = read_u64(fields)?;
        let (chunk, incarnation) = rest.split_at_checked(ChunkId::LEN)?;
        Some(Self {
            epoch,
            chunk: ChunkId::from_bytes(chunk)?,
            incarnation: Incarnation::from_bytes(incarnation)?,
        })
    }
}
