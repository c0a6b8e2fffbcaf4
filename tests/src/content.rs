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

impl Piece {
    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        let mut bytes = Vec::with_capacity(self.length + 8);
        while bytes.len() < self.length {
            bytes.extend_from_slice(&random.next_u64().to_le_bytes());
        }
        bytes.truncate(self.length);
        bytes
    }
}

/// What an object holds: put whole, or completed from parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One PutObject.
    Whole(Piece),
    /// Parts in order.
    Parts(Vec<Piece>),
}

impl Content {
    fn pieces(&self) -> &[Piece] {
        match self {
            Self::Whole(piece) => std::slice::from_ref(piece),
            Self::Parts(pieces) => pieces,
        }
    }

    /// Number of bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.pieces().iter().map(|piece| piece.length).sum()
    }

    /// All the bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.pieces()
            .iter()
            .flat_map(|piece| piece.bytes())
            .collect()
    }

    /// The ETag, with its quotes, that S3 gives such an object.
    #[must_use]
    pub fn etag(&self) -> String {
        match self {
            Self::Whole(piece) => checksums::etag(&piece.bytes()),
            Self::Parts(pieces) => {
                let parts: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.bytes()).collect();
                checksums::multipart_etag(parts.iter().map(Vec::as_slice))
            }
        }
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
    fn parts_are_joined_and_have_a_dashed_etag() {
        let (a, b) = (
            Piece {
                seed: 1,
                length: 10,
            },
            Piece { seed: 2, length: 5 },
        );
        let content = Content::Parts(vec![a, b]);
        assert_eq!(content.length(), 15);
        assert_eq!(content.bytes(), [a.bytes(), b.bytes()].concat());
        assert!(content.etag().ends_with("-2\""));
        assert_eq!(Content::Whole(a).etag(), checksums::etag(&a.bytes()));
    }
}
