//! How a chunk is cut into stripes of cells, and cells into shards. See design §3.
//!
//! ```text
//!            shard 0   shard 1   ..  shard k-1 | shard k .. k+m-1
//!  stripe 0  cell      cell          cell      | parity cells        k * cell data bytes
//!  stripe 1  cell      cell          cell      | parity cells
//!  last      short     short         short     | short               ceil(rest / k), to 64 B
//! ```

use crate::limits;

/// A coding: k data and m parity shards, cells of `cell` bytes, and the version of this layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coding {
    data: u8,
    parity: u8,
    cell: u32,
    layout: u8,
}

/// The coding's numbers are outside what this version can read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodingError(pub &'static str);

impl std::fmt::Display for CodingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "coding refused: {}", self.0)
    }
}

impl std::error::Error for CodingError {}

impl Coding {
    /// The only layout this version knows.
    pub const LAYOUT: u8 = 1;
    /// Short cells of a last stripe are padded to this many bytes.
    pub const CELL_ALIGN: u64 = 64;

    /// k + m with the default cell.
    ///
    /// # Errors
    /// k of 0, or k + m above [`limits::SHARDS_MAX`].
    pub fn new(data: u8, parity: u8) -> Result<Self, CodingError> {
        Self::from_parts(data, parity, limits::CELL_LEN, Self::LAYOUT)
    }

    /// All four numbers, as read from disk or wire.
    ///
    /// # Errors
    /// Numbers this version cannot read.
    pub fn from_parts(data: u8, parity: u8, cell: u32, layout: u8) -> Result<Self, CodingError> {
        if data == 0 {
            return Err(CodingError("no data shards"));
        }
        if u32::from(data) + u32::from(parity) > limits::SHARDS_MAX {
            return Err(CodingError("too many shards"));
        }
        if cell == 0 || !u64::from(cell).is_multiple_of(4096) || cell > limits::CELL_LEN_MAX {
            return Err(CodingError(
                "cell length is not a multiple of 4 KiB within bounds",
            ));
        }
        if layout != Self::LAYOUT {
            return Err(CodingError("unknown layout"));
        }
        Ok(Self {
            data,
            parity,
            cell,
            layout,
        })
    }

    /// The coding of a small chunk of the same class: m + 1 copies (k = 1).
    #[must_use]
    pub fn copies(self) -> Self {
        Self { data: 1, ..self }
    }

    /// Data shards (k).
    #[must_use]
    pub fn data(self) -> usize {
        usize::from(self.data)
    }

    /// Parity shards (m).
    #[must_use]
    pub fn parity(self) -> usize {
        usize::from(self.parity)
    }

    /// k + m.
    #[must_use]
    pub fn shards(self) -> usize {
        self.data() + self.parity()
    }

    /// Bytes in a full cell.
    #[must_use]
    pub fn cell(self) -> u32 {
        self.cell
    }

    /// Layout version.
    #[must_use]
    pub fn layout(self) -> u8 {
        self.layout
    }

    /// The numbers as stored: (k, m, cell, layout).
    #[must_use]
    pub fn parts(self) -> (u8, u8, u32, u8) {
        (self.data, self.parity, self.cell, self.layout)
    }

    /// Data bytes in a full stripe.
    #[must_use]
    pub fn stripe_len(self) -> u64 {
        u64::from(self.data) * u64::from(self.cell)
    }

    /// Stripes of a chunk of `len` bytes, the short last one included.
    #[must_use]
    pub fn stripes(self, len: u64) -> u64 {
        len.div_ceil(self.stripe_len())
    }

    /// Bytes of each cell in stripe `stripe` of a chunk of `len` bytes; 0 past the end.
    #[must_use]
    pub fn cell_len(self, len: u64, stripe: u64) -> u64 {
        let Some(start) = stripe.checked_mul(self.stripe_len()) else {
            return 0;
        };
        let rest = len.saturating_sub(start);
        if rest >= self.stripe_len() {
            return u64::from(self.cell);
        }
        rest.div_ceil(u64::from(self.data))
            .next_multiple_of(Self::CELL_ALIGN)
    }

    /// Bytes of one shard of a chunk of `len` bytes: all its cells.
    #[must_use]
    pub fn shard_len(self, len: u64) -> u64 {
        let full = len / self.stripe_len();
        full * u64::from(self.cell) + self.cell_len(len, full)
    }

    /// Shards that must be durable on distinct failure domains before a write is acknowledged:
    /// k + max(1, ceil(m / 2)); all of them when m = 0 (design §6, the ack rule).
    #[must_use]
    pub fn ack_shards(self) -> usize {
        if self.parity == 0 {
            self.shards()
        } else {
            self.data() + self.parity().div_ceil(2).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shard_len_is_the_sum_of_its_cells(k in 1_u8..=16, m in 0_u8..=4, len in 0_u64..40_000_000) {
            let coding = Coding::new(k, m).unwrap();
            let cells: u64 = (0..coding.stripes(len)).map(|s| coding.cell_len(len, s)).sum();
            prop_assert_eq!(coding.shard_len(len), cells);
            prop_assert!(coding.shard_len(len) * u64::from(k) >= len);
            prop_assert_eq!(coding.cell_len(len, coding.stripes(len)), 0);
            prop_assert!(coding.cell_len(len, 0) <= u64::from(coding.cell()));
        }
    }

    #[test]
    fn the_ack_rule_of_the_design() {
        let ack = |k, m| Coding::new(k, m).unwrap().ack_shards();
        assert_eq!(
            [
                ack(1, 0),
                ack(1, 1),
                ack(2, 1),
                ack(2, 2),
                ack(4, 2),
                ack(8, 4)
            ],
            [1, 2, 3, 3, 5, 10]
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(Coding::new(0, 1).is_err());
        assert!(Coding::new(200, 100).is_err());
        assert!(Coding::from_parts(4, 2, 100, 1).is_err());
        assert!(Coding::from_parts(4, 2, 65_536, 2).is_err());
    }
}
