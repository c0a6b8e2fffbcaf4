//! The cell table of a chunk: the CRC-32C of every plain data cell as it was at ingest.
//!
//! ```text
//!   entries    stripe 0: k values | stripe 1: k values | ..       padding counts as zeros
//!   bytes      each value as a little-endian u32, nothing else
//!   digest     first 16 bytes of SHA-256("cairn cell table 1\0" + bytes)
//! ```
//!
//! Every shard's trailer carries the table; the chunk row carries the digest, so a table read from
//! any one node is checked against what was committed.

use std::sync::Arc;

use cairn_model::Coding;
use sha2::{Digest, Sha256};

const DIGEST_PREFIX: &[u8] = b"cairn cell table 1\0";

/// CRC-32C (Castagnoli) as in iSCSI, RFC 3720.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// A table that is not the chunk's: read it from another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellTableError {
    /// Its length is not that of a chunk of this coding and length.
    #[error("cell table has {found} entries, the chunk has {expected} data cells")]
    Length {
        /// Entries found.
        found: usize,
        /// Data cells of the chunk, padding cells of the last stripe included.
        expected: u64,
    },
    /// Its digest is not the one committed.
    #[error("cell table does not match its committed digest")]
    Digest,
}

/// One CRC-32C per data cell, stripe by stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellTable {
    data: usize,
    entries: Arc<[u32]>,
}

impl CellTable {
    /// Bytes of a digest.
    pub const DIGEST_LEN: usize = 16;

    /// Takes the entries of a chunk of `chunk_len` bytes.
    ///
    /// # Errors
    /// [`CellTableError::Length`].
    pub fn new(
        coding: Coding,
        chunk_len: u64,
        entries: Arc<[u32]>,
    ) -> Result<Self, CellTableError> {
        let data = coding.data();
        let expected = Self::cells(coding, chunk_len);
        if u64::try_from(entries.len()) != Ok(expected) {
            let found = entries.len();
            return Err(CellTableError::Length { found, expected });
        }
        Ok(Self { data, entries })
    }

    /// Takes the entries and checks them against the digest in the chunk row.
    ///
    /// # Errors
    /// Either of [`CellTableError`].
    pub fn checked(
        coding: Coding,
        chunk_len: u64,
        entries: Arc<[u32]>,
        digest: &[u8; Self::DIGEST_LEN],
    ) -> Result<Self, CellTableError> {
        let table = Self::new(coding, chunk_len, entries)?;
        if table.digest() == *digest {
            Ok(table)
        } else {
            Err(CellTableError::Digest)
        }
    }

    /// Reads the byte form.
    ///
    /// # Errors
    /// [`CellTableError::Length`].
    pub fn from_bytes(
        coding: Coding,
        chunk_len: u64,
        bytes: &[u8],
    ) -> Result<Self, CellTableError> {
        let (words, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(CellTableError::Length {
                found: words.len(),
                expected: Self::cells(coding, chunk_len),
            });
        }
        let entries = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        Self::new(coding, chunk_len, entries)
    }

    /// Data cells of a chunk.
    #[must_use]
    pub fn cells(coding: Coding, chunk_len: u64) -> u64 {
        coding
            .stripes(chunk_len)
            .saturating_mul(u64::try_from(coding.data()).unwrap_or(u64::MAX))
    }

    /// The entries, as they travel in a shard's trailer.
    #[must_use]
    pub fn entries(&self) -> &Arc<[u32]> {
        &self.entries
    }

    /// The CRC-32C of one plain data cell; `None` where the chunk has none.
    #[must_use]
    pub fn entry(&self, stripe: u64, shard: u8) -> Option<u32> {
        let (stripe, shard) = (usize::try_from(stripe).ok()?, usize::from(shard));
        if shard >= self.data {
            return None;
        }
        let at = stripe.checked_mul(self.data)?.checked_add(shard)?;
        self.entries.get(at).copied()
    }

    /// Whether `cell`, padding included, is this data cell.
    #[must_use]
    pub fn agrees(&self, stripe: u64, shard: u8, cell: &[u8]) -> bool {
        self.agrees_with(stripe, shard, crc32c(cell))
    }

    /// The same for one whose CRC-32C is known.
    #[must_use]
    pub fn agrees_with(&self, stripe: u64, shard: u8, crc32c: u32) -> bool {
        self.entry(stripe, shard) == Some(crc32c)
    }

    /// The byte form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect()
    }

    /// What the chunk row keeps of the table.
    #[must_use]
    pub fn digest(&self) -> [u8; Self::DIGEST_LEN] {
        let sum = Sha256::new()
            .chain_update(DIGEST_PREFIX)
            .chain_update(self.to_bytes())
            .finalize();
        sum.first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn coding() -> Coding {
        Coding::from_parts(3, 1, 4096, 1).unwrap()
    }

    #[test]
    fn the_crc_is_the_one_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[]), 0);
    }

    #[test]
    fn the_digest_is_part_of_the_format() {
        let table = CellTable::new(coding(), 1, Arc::new([1, 2, 3])).unwrap();
        assert_eq!(table.to_bytes(), [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
        let expected = 0x97a7_e724_40c8_29c2_8532_15a1_2d99_55f7_u128;
        assert_eq!(u128::from_be_bytes(table.digest()), expected);
    }

    proptest! {
        #[test]
        fn bytes_round_trip(len in 1_u64..100_000, seed in any::<u32>()) {
            let cells = u32::try_from(CellTable::cells(coding(), len)).unwrap();
            let entries = (0..cells).map(|i| i.wrapping_mul(seed)).collect();
            let table = CellTable::new(coding(), len, entries).unwrap();
            let read = CellTable::from_bytes(coding(), len, &table.to_bytes()).unwrap();
            prop_assert_eq!(&read, &table);
            let entries = Arc::clone(read.entries());
            prop_assert!(CellTable::checked(coding(), len, entries, &table.digest()).is_ok());
        }

        #[test]
        fn one_changed_entry_is_not_the_committed_table(at in 0_usize..6, bit in 0_u32..32) {
            let entries: Vec<u32> = (0..6).collect();
            let digest = CellTable::new(coding(), 12_289, entries.clone().into()).unwrap().digest();
            let mut changed = entries;
            changed[at] ^= 1_u32 << bit;
            prop_assert_eq!(
                CellTable::checked(coding(), 12_289, changed.into(), &digest),
                Err(CellTableError::Digest)
            );
        }
    }

    #[test]
    fn tables_of_another_length_are_refused() {
        let (found, expected) = (2, 3);
        let length = Err(CellTableError::Length { found, expected });
        assert_eq!(CellTable::new(coding(), 1, Arc::new([1, 2])), length);
        assert_eq!(CellTable::from_bytes(coding(), 1, &[0; 8]), length);
        assert_eq!(CellTable::from_bytes(coding(), 1, &[0; 11]), length);
        let found = 3;
        let odd = CellTable::from_bytes(coding(), 1, &[0; 13]);
        assert_eq!(odd, Err(CellTableError::Length { found, expected }));
        assert!(CellTable::new(coding(), 12_289, Arc::new([0; 3])).is_err());
    }

    #[test]
    fn entries_are_found_by_stripe_and_shard() {
        let table = CellTable::new(coding(), 12_289, Arc::new([0, 1, 2, 3, 4, 5])).unwrap();
        assert_eq!(table.entry(1, 2), Some(5));
        assert_eq!((table.entry(0, 3), table.entry(2, 0)), (None, None));
        assert_eq!(table.entry(u64::MAX, 1), None);
    }
}
