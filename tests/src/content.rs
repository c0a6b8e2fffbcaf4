//! Object contents that are remembered by seed and length, not by their bytes.

use cairn_compat_suite::checksums;

use crate::random::Random;

/// Bytes made from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Seed of the bytes.
    pub seed: u64,
    /// Their number.
    pub length: usize,
}

/// Bytes that repeat but for the number of their block.
const BLOCK: usize = 4_096;

impl Piece {
    /// The bytes: blocks of seeded noise, each beginning with its number, so that none can stand in
    /// for another.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        let noise: Vec<u8> = (0..BLOCK / 8)
            .flat_map(|_| random.next_u64().to_le_bytes())
            .collect();
        let (_, tail) = noise.split_at(8);
        let mut bytes = Vec::with_capacity(self.length + BLOCK);
        for number in 0..self.length.div_ceil(BLOCK) as u64 {
            bytes.extend_from_slice(&(number ^ self.seed).to_le_bytes());
            bytes.extend_from_slice(tail);
        }
        bytes.truncate(self.length);
        bytes
    }
}

/// What an object holds: put whole, or completed from parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pieces: Vec<Piece>,
    etag: String,
}

impl Content {
    /// One PutObject.
    #[must_use]
    pub fn whole(piece: Piece) -> Self {
        Self {
            pieces: vec![piece],
            etag: checksums::etag(&piece.bytes()),
        }
    }

    /// A completed upload of these parts, in order.
    #[must_use]
    pub fn parts(pieces: Vec<Piece>) -> Self {
        let parts: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.bytes()).collect();
        let etag = checksums::multipart_etag(parts.iter().map(Vec::as_slice));
        Self { pieces, etag }
    }

    /// Number of bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.pieces.iter().map(|piece| piece.length).sum()
    }

    /// All the bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self.pieces.as_slice() {
            [piece] => piece.bytes(),
            pieces => pieces
                .iter()
                .map(|piece| piece.bytes())
                .collect::<Vec<_>>()
                .concat(),
        }
    }

    /// The ETag, with its quotes, that S3 gives such an object.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_repeatable_and_differ() {
        let piece = Piece {
            seed: 3,
            length: 21,
        };
        assert_eq!(piece.bytes(), piece.bytes());
        assert_eq!(piece.bytes().len(), 21);
        assert_ne!(
            piece.bytes(),
            Piece {
                seed: 4,
                length: 21
            }
            .bytes()
        );
        assert_eq!(Piece { seed: 3, length: 0 }.bytes(), b"");
    }

    #[test]
    fn no_block_is_like_another() {
        let bytes = Piece {
            seed: 9,
            length: 3 * BLOCK + 5,
        }
        .bytes();
        let blocks: std::collections::BTreeSet<&[u8]> = bytes.chunks(BLOCK).collect();
        assert_eq!(blocks.len(), 4);
    }

    #[test]
    fn parts_are_joined_and_have_a_dashed_etag() {
        let (a, b) = (
            Piece {
                seed: 1,
                length: 10,
            },
            Piece { seed: 2, length: 5 },
        );
        let content = Content::parts(vec![a, b]);
        assert_eq!(content.length(), 15);
        assert_eq!(content.bytes(), [a.bytes(), b.bytes()].concat());
        assert!(content.etag().ends_with("-2\""));
        assert_eq!(Content::whole(a).etag(), checksums::etag(&a.bytes()));
    }
}
