//! What an object is made of: extents of chunks (design §4, Manifests).

use crate::{ChunkId, Coding, Incarnation};

/// A run of bytes inside one chunk, and a hint where that chunk was when the extent was written.
/// The chunk row is the authority: on `gone` a reader resolves the hint through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The chunk.
    pub chunk: ChunkId,
    /// First byte of the run inside the chunk.
    pub offset: u32,
    /// Length of the run, at least 1.
    pub length: u32,
    /// Length of the whole chunk.
    pub chunk_length: u32,
    /// Hint: the chunk's incarnation.
    pub incarnation: Incarnation,
    /// Hint: the chunk's coding.
    pub coding: Coding,
}
