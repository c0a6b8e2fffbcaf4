//! Stamps drawn by a gateway before the bytes they name are known. See design §3.
//!
//! ```text
//!  0        2            4                 10                16
//!  | group  | generation | session (u48)   | counter (u48)   |   big-endian
//! ```

use std::fmt;

/// The largest value of the two 48-bit fields.
pub const U48_MAX: u64 = (1 << 48) - 1;

/// A gateway's session: allotted by the metadata, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The stamp of one physical writing of a chunk. Placement follows it; a delete names it, so a late
/// delete never hits a newer copy of the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// The shard group that alone may judge or delete this writing.
    pub group: u16,
    /// Bumped by a restore from backup; nodes fence older ones.
    pub generation: u16,
    /// The session that wrote it (48 bits).
    pub session: SessionId,
    /// The session's own counter (48 bits), failed writes included.
    pub counter: u64,
}

impl Incarnation {
    /// Length of the byte form.
    pub const LEN: usize = 16;

    /// The byte form drawn above. The two 48-bit fields must be in range.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        assert!(
            self.session.0 <= U48_MAX && self.counter <= U48_MAX,
            "48-bit stamp field overflow"
        );
        let head = (u64::from(self.group) << 48)
            | (u64::from(self.generation) << 32)
            | (self.session.0 >> 16);
        let tail = (self.session.0 << 48) | self.counter;
        let mut bytes = [0; Self::LEN];
        let (first, second) = bytes.split_at_mut(8);
        first.copy_from_slice(&head.to_be_bytes());
        second.copy_from_slice(&tail.to_be_bytes());
        bytes
    }

    /// The inverse of [`Incarnation::to_bytes`]; `None` for any other length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_at_checked(8)?;
        let head = u64::from_be_bytes(first.try_into().ok()?);
        let tail = u64::from_be_bytes(second.try_into().ok()?);
        Some(Self {
            group: u16::try_from(head >> 48).ok()?,
            generation: u16::try_from((head >> 32) & 0xffff).ok()?,
            session: SessionId(((head & 0xffff_ffff) << 16) | (tail >> 48)),
            counter: tail & U48_MAX,
        })
    }

    /// The fixed 64-bit hash whose top bits name the partition. Part of the format: two rounds of
    /// the splitmix64 finaliser (Steele, Lea, Flood 2014) over both halves of the byte form.
    #[must_use]
    pub fn placement_hash(self) -> u64 {
        let number = u128::from_be_bytes(self.to_bytes());
        let high = u64::try_from(number >> 64).unwrap_or(0);
        let low = u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
        splitmix(splitmix(high) ^ low)
    }

    /// The partition among `2^bits`.
    #[must_use]
    pub fn partition(self, bits: u32) -> u32 {
        assert!((1..=32).contains(&bits), "partition bits out of range");
        u32::try_from(self.placement_hash() >> (64 - bits)).unwrap_or(u32::MAX)
    }
}

fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}.{}",
            self.group, self.generation, self.session.0, self.counter
        )
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The name of a manifest: a stamp of the same shape and the same rule (drawn by the gateway from
/// its session, never reused), so that pages can be staged before the commit that attaches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestId(pub Incarnation);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_incarnation() -> impl Strategy<Value = Incarnation> {
        (any::<u16>(), any::<u16>(), 0..=U48_MAX, 0..=U48_MAX).prop_map(
            |(group, generation, session, counter)| Incarnation {
                group,
                generation,
                session: SessionId(session),
                counter,
            },
        )
    }

    proptest! {
        #[test]
        fn bytes_round_trip_and_keep_order(a in any_incarnation(), b in any_incarnation()) {
            prop_assert_eq!(Incarnation::from_bytes(&a.to_bytes()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }

        #[test]
        fn doubling_partitions_splits_each_row_in_two(a in any_incarnation(), bits in 1_u32..20) {
            prop_assert_eq!(a.partition(bits + 1) >> 1, a.partition(bits));
        }
    }

    #[test]
    fn the_placement_hash_is_part_of_the_format() {
        let stamp = Incarnation {
            group: 1,
            generation: 2,
            session: SessionId(3),
            counter: 4,
        };
        assert_eq!(
            stamp.to_bytes(),
            [0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 4]
        );
        assert_eq!(
            stamp.placement_hash(),
            0xeccf_44b7_4e54_bb6a,
            "{:#x}",
            stamp.placement_hash()
        );
    }

    #[test]
    fn partitions_are_even() {
        let mut counts = [0_u32; 64];
        for counter in 0..64_000 {
            let stamp = Incarnation {
                group: 1,
                generation: 1,
                session: SessionId(7),
                counter,
            };
            counts[stamp.partition(6) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }
}
