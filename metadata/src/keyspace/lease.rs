//! `0x52` (domain, SHA-256) -> CAS lease: one reference to a chunk that no object needs yet.
//! `0x53` (end, domain, SHA-256) orders the same leases by when they end.

use cairn_model::ChunkId;

use super::{KeyKind, Present, read_u64};

/// The lease of a chunk: each has at most one, whoever asked for it in its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseKey(pub ChunkId);

/// How long it holds.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LeaseRow {
    /// State-machine time from which on it may be ended.
    #[prost(uint64, tag = "1")]
    pub end_ms: u64,
}

impl KeyKind for LeaseKey {
    const PREFIX: u8 = 0x52;
    type Row = LeaseRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        ChunkId::from_bytes(fields).map(Self)
    }
}

/// A lease where its end puts it. Exactly one such row per [`LeaseKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseEndKey {
    /// Its [`LeaseRow::end_ms`].
    pub end_ms: u64,
    /// The chunk.
    pub chunk: ChunkId,
}

impl KeyKind for LeaseEndKey {
    const PREFIX: u8 = 0x53;
    type Row = Present;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.end_ms.to_be_bytes());
        out.extend_from_slice(&self.chunk.to_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (end_ms, chunk) = read_u64(fields)?;
        Some(Self {
            end_ms,
            chunk: ChunkId::from_bytes(chunk)?,
        })
    }
}
