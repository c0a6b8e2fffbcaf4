//! Which cells a byte range of a chunk needs.

use std::ops::Range;

use cairn_model::Coding;

/// Bytes of one data cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellPiece {
    /// The stripe.
    pub stripe: u64,
    /// The data shard.
    pub shard: u8,
    /// The bytes wanted of the plain cell.
    pub bytes: Range<usize>,
}

/// The cells that hold a byte range of a chunk; padding is never among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangePlan {
    coding: Coding,
    chunk_len: u64,
    range: Range<u64>,
}

impl RangePlan {
    /// Plans bytes `range` of a chunk of `chunk_len` bytes; what lies past its end is left out.
    #[must_use]
    pub fn new(coding: Coding, chunk_len: u64, range: Range<u64>) -> Self {
        let end = range.end.min(chunk_len);
        let range = range.start.min(end)..end;
        Self {
            coding,
            chunk_len,
            range,
        }
    }

    /// The stripes that hold some of the range: the cells to read of each shard.
    #[must_use]
    pub fn stripes(&self) -> Range<u64> {
        let first = self.range.start / self.coding.stripe_len();
        if self.range.is_empty() {
            return first..first;
        }
        first..self.coding.stripes(self.range.end)
    }

    /// The data shards of one stripe that hold some of the range.
    #[must_use]
    pub fn shards(&self, stripe: u64) -> Range<u8> {
        let (start, cell, bytes) = self.within(stripe);
        if bytes.is_empty() {
            return 0..0;
        }
        let shard = |at: u64| u8::try_from((at - start) / cell).unwrap_or(u8::MAX);
        shard(bytes.start)..shard(bytes.end - 1) + 1
    }

    /// The stripes for which one data shard is needed; they are consecutive.
    #[must_use]
    pub fn stripes_of(&self, shard: u8) -> Range<u64> {
        let all = self.stripes();
        let needed = |stripe: &u64| self.shards(*stripe).contains(&shard);
        let Some(first) = all.clone().find(needed) else {
            return all.start..all.start;
        };
        let last = all.rev().find(needed).unwrap_or(first);
        first..last + 1
    }

    /// The pieces of one stripe, in the chunk's order.
    pub fn pieces(&self, stripe: u64) -> impl Iterator<Item = CellPiece> {
        let (start, cell, range) = self.within(stripe);
        self.shards(stripe).map(move |shard| {
            let from = start + u64::from(shard) * cell;
            let within = |at: u64| usize::try_from(at.clamp(from, from + cell) - from).unwrap_or(0);
            CellPiece {
                stripe,
                shard,
                bytes: within(range.start)..within(range.end),
            }
        })
    }

    /// Where the stripe starts, how long its cells are, and what the range has of it.
    fn within(&self, stripe: u64) -> (u64, u64, Range<u64>) {
        let cell = self.coding.cell_len(self.chunk_len, stripe);
        if cell == 0 {
            return (0, 0, 0..0);
        }
        let start = stripe * self.coding.stripe_len();
        let end = start + self.coding.stripe_len();
        let clamp = |at: u64| at.clamp(start, end);
        (start, cell, clamp(self.range.start)..clamp(self.range.end))
    }
}
