//! The version of a stored row: the state machine's own strictly rising counter (design §3).

/// (generation, sequence, ordinal): not the Raft index. Ordinals tell apart rows of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowVersion {
    /// Bumped by a restore from backup.
    pub generation: u16,
    /// Rises with every applied entry that writes rows.
    pub sequence: u64,
    /// Position within one entry.
    pub ordinal: u16,
}

impl RowVersion {
    /// Length of the byte form.
    pub const LEN: usize = 12;

    /// Big-endian fields in order.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..2].copy_from_slice(&self.generation.to_be_bytes());
        bytes[2..10].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[10..].copy_from_slice(&self.ordinal.to_be_bytes());
        bytes
    }

    /// The inverse of [`RowVersion::to_bytes`]; `None` for any other length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (generation, rest) = bytes.split_at_checked(2)?;
        let (sequence, ordinal) = rest.split_at_checked(8)?;
        Some(Self {
            generation: u16::from_be_bytes(generation.try_into().ok()?),
            sequence: u64::from_be_bytes(sequence.try_into().ok()?),
            ordinal: u16::from_be_bytes(ordinal.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_round_trip_and_sort(a: (u16, u64, u16), b: (u16, u64, u16)) {
            let [a, b] = [a, b].map(|(generation, sequence, ordinal)| RowVersion { generation, sequence, ordinal });
            prop_assert_eq!(RowVersion::from_bytes(&a.to_bytes()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }
    }
}
