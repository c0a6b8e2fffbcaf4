//! `0x50` (domain, SHA-256) -> chunk row: the authority on where a chunk is and who needs it.

use bytes::Bytes;
use cairn_model::ChunkId;
use cairn_wire::metadata::{Coding, Debt};

use super::KeyKind;

/// A chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkKey(pub ChunkId);

/// `Live(refs) -> Condemned(epoch) -> Deleting(token) -> gone` (design §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ChunkState {
    /// References hold it.
    Live = 0,
    /// None do; it goes once every session begun by then has ended.
    Condemned = 1,
    /// Its deletion is committed.
    Deleting = 2,
}

/// A chunk's row.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ChunkRow {
    /// The current writing (16 bytes).
    #[prost(bytes = "bytes", tag = "1")]
    pub incarnation: Bytes,
    /// How it is coded.
    #[prost(message, optional, tag = "2")]
    pub coding: Option<Coding>,
    /// Bytes of the chunk.
    #[prost(uint32, tag = "3")]
    pub length: u32,
    /// CRC-64/NVME of its bytes.
    #[prost(fixed64, tag = "4")]
    pub crc64nvme: u64,
    /// Digest of its cell table (16 bytes).
    #[prost(bytes = "bytes", tag = "5")]
    pub table_digest: Bytes,
    /// Manifests (with multiplicity) that hold it.
    #[prost(uint64, tag = "6")]
    pub refs: u64,
    /// Life.
    #[prost(enumeration = "ChunkState", tag = "7")]
    pub state: i32,
    /// Shards not durable yet.
    #[prost(message, repeated, tag = "8")]
    pub debt: Vec<Debt>,
    /// A read or scrub failed on it: not to be adopted by another commit.
    #[prost(bool, tag = "9")]
    pub suspect: bool,
    /// How often it was marked so: a repair clears only what it has seen.
    #[prost(uint32, tag = "10")]
    pub suspicions: u32,
}

impl KeyKind for ChunkKey {
    const PREFIX: u8 = 0x50;
    type Row = ChunkRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        ChunkId::from_bytes(fields).map(Self)
    }
}
