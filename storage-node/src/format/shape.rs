//! What a record's header says, and every length and place that follows from it.

use cairn_model::{Coding, Incarnation};

use super::cell::CHECK_LEN;
use super::record::{HEADER_LEN, TRAILER_FIXED};
use crate::tuning::{UNIT, UNIT_U64};

/// The facts known before the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) incarnation: Incarnation,
    pub(crate) shard: u8,
    pub(crate) coding: Coding,
    pub(crate) chunk_len: u64,
}

const CHECK: u64 = CHECK_LEN as u64;
const HEADER: u64 = HEADER_LEN as u64;

impl Shape {
    /// Cells of the shard.
    pub(crate) fn cells(&self) -> u64 {
        self.coding.stripes(self.chunk_len)
    }

    /// Bytes of cell `cell`, padding included; 0 past the end.
    pub(crate) fn cell_len(&self, cell: u64) -> u64 {
        self.coding.cell_len(self.chunk_len, cell)
    }

    /// Where cell `cell` begins, counted from the record's first byte. All cells before the last
    /// are full, so the stride is fixed.
    pub(crate) fn cell_offset(&self, cell: u64) -> u64 {
        HEADER + cell * (u64::from(self.coding.cell()) + CHECK)
    }

    /// Where the trailer begins.
    pub(crate) fn trailer_offset(&self) -> u64 {
        HEADER + self.coding.shard_len(self.chunk_len) + self.cells() * CHECK
    }

    /// Entries of the chunk's cell table: k per stripe.
    pub(crate) fn table_len(&self) -> usize {
        usize::try_from(self.cells())
            .unwrap_or(usize::MAX)
            .saturating_mul(self.coding.data())
    }

    /// Bytes of the trailer.
    pub(crate) fn trailer_len(&self) -> usize {
        TRAILER_FIXED + self.table_len() * 4 + CHECK_LEN
    }

    /// Bytes of the record, without the padding of its last unit.
    pub(crate) fn len(&self) -> u64 {
        self.trailer_offset() + self.trailer_len() as u64
    }

    /// Units the record takes; `None` where no segment could hold it.
    pub(crate) fn units(&self) -> Option<u32> {
        u32::try_from(self.len().div_ceil(UNIT_U64)).ok()
    }

    /// Bytes of the record with its padding.
    pub(crate) fn padded_len(&self) -> usize {
        usize::try_from(self.len())
            .unwrap_or(usize::MAX)
            .next_multiple_of(UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::SessionId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_lie_one_behind_the_other_and_end_at_the_trailer(
            k in 1_u8..=8, len in 0_u64..3_000_000, cell in 1_u32..=16,
        ) {
            let shape = Shape {
                incarnation: Incarnation { group: 0, generation: 0, session: SessionId(1), counter: 1 },
                shard: 0,
                coding: Coding::from_parts(k, 2, cell * 4_096, Coding::LAYOUT).unwrap(),
                chunk_len: len,
            };
            let mut at = HEADER;
            for number in 0..shape.cells() {
                prop_assert_eq!(shape.cell_offset(number), at);
                at += shape.cell_len(number) + CHECK;
            }
            prop_assert_eq!(shape.trailer_offset(), at);
            prop_assert_eq!(shape.len(), at + shape.trailer_len() as u64);
            prop_assert_eq!(shape.padded_len() as u64, u64::from(shape.units().unwrap()) * UNIT_U64);
        }
    }
}
