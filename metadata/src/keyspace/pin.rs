//! Pins: what a slow read holds after it has left the session it was begun in.
//!
//! `54` (target, session) -> that session needs the target: what a deletion looks at.
//! `13` (session, target) -> the same by session: what the end of a session takes away.

use cairn_model::ChunkId;

use super::{KeyKind, Present, read_stamp, read_u64};

/// What is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PinTarget {
    /// Every writing of a chunk.
    Chunk(ChunkId),
    /// The pages of a manifest, and so what they name.
    Manifest([u8; 16]),
}

impl PinTarget {
    const CHUNK: u8 = 1;
    const MANIFEST: u8 = 2;

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Chunk(chunk) => {
                out.push(Self::CHUNK);
                out.extend_from_slice(&chunk.to_bytes());
            }
            Self::Manifest(manifest) => {
                out.push(Self::MANIFEST);
                out.extend_from_slice(manifest);
            }
        }
    }

    fn read(fields: &[u8]) -> Option<(Self, &[u8])> {
        let (kind, rest) = fields.split_first()?;
        match *kind {
            Self::CHUNK => {
                let (chunk, rest) = rest.split_at_checked(ChunkId::LEN)?;
                Some((Self::Chunk(ChunkId::from_bytes(chunk)?), rest))
            }
            Self::MANIFEST => {
                let (manifest, rest) = read_stamp(rest)?;
                Some((Self::Manifest(manifest), rest))
            }
            _ => None,
        }
    }
}

/// A pin by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PinKey {
    /// What is held.
    pub target: PinTarget,
    /// By which session.
    pub session: u64,
}

impl PinKey {
    /// The start of every pin of `target`.
    #[must_use]
    pub fn of(target: &PinTarget) -> Vec<u8> {
        let mut prefix = vec![Self::PREFIX];
        target.write(&mut prefix);
        prefix
    }
}

impl KeyKind for PinKey {
    const PREFIX: u8 = 0x54;
    type Row = Present;

    fn write(&self, out: &mut Vec<u8>) {
        self.target.write(out);
        out.extend_from_slice(&self.session.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (target, rest) = PinTarget::read(fields)?;
        let (session, rest) = read_u64(rest)?;
        rest.is_empty().then_some(Self { target, session })
    }
}

/// The same pin by its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionPinKey {
    /// By which session.
    pub session: u64,
    /// What is held.
    pub target: PinTarget,
}

impl KeyKind for SessionPinKey {
    const PREFIX: u8 = 0x13;
    type Row = Present;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.to_be_bytes());
        self.target.write(out);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (session, rest) = read_u64(fields)?;
        let (target, rest) = PinTarget::read(rest)?;
        rest.is_empty().then_some(Self { session, target })
    }
}
