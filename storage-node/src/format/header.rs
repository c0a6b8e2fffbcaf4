//! The first unit of a segment.

use cairn_model::{DiskId, format_version};
use cairn_world::AlignedBuf;

use super::checksum::{Salt, crc32c};
use super::fields::Fields;
use crate::tuning::UNIT;

const MAGIC: &[u8; 8] = b"CAIRNSEG";
const SUMMED: usize = UNIT - 4;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The disk it was made on.
    pub(crate) disk: DiskId,
    /// Its number, also its file's name.
    pub(crate) number: u64,
    /// Units it was made with, this one included.
    pub(crate) units: u32,
    /// Its secret.
    pub(crate) salt: Salt,
}

impl SegmentHeader {
    /// The unit's bytes.
    pub(crate) fn encode(&self) -> AlignedBuf {
        let mut bytes = Vec::with_capacity(UNIT);
        bytes.extend(MAGIC);
        bytes.extend(format_version::SEGMENT.to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.units.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.disk.0);
        bytes.extend(self.salt.0);
        bytes.resize(SUMMED, 0);
        bytes.extend(crc32c(&bytes).to_be_bytes());
        let mut unit = AlignedBuf::zeroed(UNIT);
        unit.as_mut_slice().copy_from_slice(&bytes);
        unit
    }

    /// The inverse; `None` where anything is off.
    pub(crate) fn decode(unit: &[u8]) -> Option<Self> {
        let (summed, sum) = unit.get(..UNIT)?.split_at_checked(SUMMED)?;
        if Fields(sum).u32()? != crc32c(summed) {
            return None;
        }
        let mut fields = Fields(summed);
        fields.expect(MAGIC)?;
        if fields.u16()? != format_version::SEGMENT {
            return None;
        }
        fields.expect(&[0; 2])?;
        Some(Self {
            units: fields.u32()?,
            number: fields.u64()?,
            disk: DiskId(fields.array()?),
            salt: Salt(fields.array()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips_and_no_bit_may_flip(
            disk: [u8; 16], number: u64, units: u32, salt: [u8; 16], bit in 0..UNIT * 8,
        ) {
            let header = SegmentHeader { disk: DiskId(disk), number, units, salt: Salt(salt) };
            let mut unit = header.encode().as_slice().to_vec();
            prop_assert_eq!(SegmentHeader::decode(&unit), Some(header));
            unit[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(SegmentHeader::decode(&unit), None);
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        let header = SegmentHeader {
            disk: DiskId([1; 16]),
            number: 1,
            units: 16,
            salt: Salt([2; 16]),
        };
        let mut unit = header.encode().as_slice().to_vec();
        unit[9] += 1;
        let sum = crc32c(&unit[..SUMMED]).to_be_bytes();
        unit[SUMMED..].copy_from_slice(&sum);
        assert_eq!(SegmentHeader::decode(&unit), None);
    }
}
