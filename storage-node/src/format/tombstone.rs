//! One unit of tombstones: orders to forget writings of chunks, with their place in time.

use cairn_model::{ChunkId, Incarnation, format_version};
use cairn_world::AlignedBuf;

use super::checksum::{Salt, crc32c};
use super::fields::Fields;
use crate::tuning::UNIT;

const MAGIC: &[u8; 8] = b"CAIRNDEL";
const SUMMED: usize = UNIT - 4;
const FIXED: usize = 32;
/// Bytes of one entry.
pub(crate) const ENTRY_LEN: usize = Incarnation::LEN + ChunkId::LEN + 8;
/// Entries of one unit.
pub(crate) const PER_UNIT: usize = (SUMMED - FIXED) / ENTRY_LEN;

/// Every shard of this writing of this chunk with a smaller sequence is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tombstone {
    pub(crate) incarnation: Incarnation,
    pub(crate) chunk: ChunkId,
    pub(crate) sequence: u64,
}

/// The unit at `unit` holding up to [`PER_UNIT`] tombstones; more are a bug of the caller.
pub(crate) fn encode(tombstones: &[Tombstone], salt: Salt, unit: u32) -> AlignedBuf {
    assert!(
        tombstones.len() <= PER_UNIT,
        "tombstones overflow their unit"
    );
    let mut bytes = Vec::with_capacity(UNIT);
    bytes.extend(MAGIC);
    bytes.extend(format_version::SEGMENT.to_be_bytes());
    bytes.extend(u16::try_from(tombstones.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(unit.to_be_bytes());
    bytes.extend(salt.0);
    for tombstone in tombstones {
        bytes.extend(tombstone.incarnation.to_bytes());
        bytes.extend(tombstone.chunk.to_bytes());
        bytes.extend(tombstone.sequence.to_be_bytes());
    }
    bytes.resize(SUMMED, 0);
    bytes.extend(crc32c(&bytes).to_be_bytes());
    let mut block = AlignedBuf::zeroed(UNIT);
    block.as_mut_slice().copy_from_slice(&bytes);
    block
}

/// The inverse; `None` where the bytes are not a tombstone unit of this segment at `unit`.
pub(crate) fn decode(bytes: &[u8], salt: Salt, unit: u32) -> Option<Vec<Tombstone>> {
    let mut fields = Fields(bytes.get(..UNIT)?);
    fields.expect(MAGIC)?;
    let (summed, sum) = bytes.get(..UNIT)?.split_at_checked(SUMMED)?;
    if fields.u16()? != format_version::SEGMENT || Fields(sum).u32()? != crc32c(summed) {
        return None;
    }
    let count = usize::from(fields.u16()?);
    if fields.u32()? != unit || count > PER_UNIT {
        return None;
    }
    fields.expect(&salt.0)?;
    (0..count)
        .map(|_| {
            Some(Tombstone {
                incarnation: Incarnation::from_bytes(&fields.array::<{ Incarnation::LEN }>()?)?,
                chunk: ChunkId::from_bytes(&fields.array::<{ ChunkId::LEN }>()?)?,
                sequence: fields.u64()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{DomainId, SessionId, Sha256};
    use proptest::prelude::*;

    fn any_tombstone() -> impl Strategy<Value = Tombstone> {
        (
            any::<u16>(),
            0..=cairn_model::incarnation::U48_MAX,
            any::<[u8; 32]>(),
            any::<u64>(),
        )
            .prop_map(|(group, counter, digest, sequence)| Tombstone {
                incarnation: Incarnation {
                    group,
                    generation: 3,
                    session: SessionId(9),
                    counter,
                },
                chunk: ChunkId {
                    domain: DomainId(1),
                    sha256: Sha256(digest),
                },
                sequence,
            })
    }

    proptest! {
        #[test]
        fn round_trips_and_no_bit_may_flip(
            tombstones in proptest::collection::vec(any_tombstone(), 0..=PER_UNIT),
            unit: u32, salt: [u8; 16], bit in 0..UNIT * 8,
        ) {
            let salt = Salt(salt);
            let mut block = encode(&tombstones, salt, unit).as_slice().to_vec();
            prop_assert_eq!(decode(&block, salt, unit), Some(tombstones));
            prop_assert_eq!(decode(&block, salt, unit ^ 1), None);
            prop_assert_eq!(decode(&block, Salt(salt.0.map(|byte| !byte)), unit), None);
            block[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(&block, salt, unit), None);
        }
    }
}
