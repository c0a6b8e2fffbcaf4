//! The name of a chunk: (domain, SHA-256). See design §3.

use std::fmt;

/// A deduplication domain: the account that owns a bucket. Chunks of two domains are never shared,
/// so a hash says nothing about another account's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(pub u64);

/// A SHA-256 digest (FIPS 180-4) of a chunk's bytes as the chunk layer sees them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Reads 64 lower- or upper-case hexadecimal digits; anything else is `None`.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The full key of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// Whose chunk it is.
    pub domain: DomainId,
    /// What its bytes are.
    pub sha256: Sha256,
}

impl ChunkId {
    /// Length of the byte form.
    pub const LEN: usize = 40;

    /// Domain big-endian, then the digest: sorts by domain.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (domain, digest) = bytes.split_at_mut(8);
        domain.copy_from_slice(&self.domain.0.to_be_bytes());
        digest.copy_from_slice(&self.sha256.0);
        bytes
    }

    /// The inverse of [`ChunkId::to_bytes`]; `None` for any other length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (domain, digest) = bytes.split_at_checked(8)?;
        Some(Self {
            domain: DomainId(u64::from_be_bytes(domain.try_into().ok()?)),
            sha256: Sha256(digest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_and_hex_round_trip(domain: u64, digest: [u8; 32]) {
            let id = ChunkId { domain: DomainId(domain), sha256: Sha256(digest) };
            prop_assert_eq!(ChunkId::from_bytes(&id.to_bytes()), Some(id));
            prop_assert_eq!(Sha256::from_hex(&id.sha256.to_string()), Some(id.sha256));
            prop_assert_eq!(Sha256::from_hex(&id.sha256.to_string().to_uppercase()), Some(id.sha256));
        }

        #[test]
        fn other_lengths_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(ChunkId::from_bytes(&bytes).is_some(), bytes.len() == ChunkId::LEN);
        }
    }

    #[test]
    fn hex_refuses_what_is_not_hex() {
        assert_eq!(Sha256::from_hex(&"g".repeat(64)), None);
        assert_eq!(Sha256::from_hex(&"a".repeat(63)), None);
        assert_eq!(Sha256::from_hex(&"+1".repeat(32)), None);
    }
}
