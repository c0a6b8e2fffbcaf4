//! Cells in, checked stripes out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cairn_erasure::{CellTable, DecodeError, RangePlan, ShardCell, ShardSet, StripeDecoder};
use cairn_rpc::ShardError;
use cairn_world::{Bug, planted};

use super::ChunkRow;
use super::waves::Read;

/// Whether a planted bug gives out bytes that no check has seen.
pub(crate) fn gives_unchecked() -> bool {
    planted(Bug::CellsUnchecked) || planted(Bug::ShardsPermuted)
}

/// The planted way to decode: the cells of the wanted shards as they came, where they came.
fn unchecked(cells: &[ShardCell], wanted: Range<u8>) -> Option<Vec<Bytes>> {
    let of = |shard| cells.iter().find(|cell| cell.shard == shard);
    let plain = wanted.map(|shard| of(shard).map(|cell| cell.bytes.clone()));
    let mut plain: Vec<Bytes> = plain.collect::<Option<_>>()?;
    if planted(Bug::ShardsPermuted) {
        plain.reverse();
    }
    Some(plain)
}

/// Cells coming in, and stripes coming out.
pub(super) struct Gather {
    plan: RangePlan,
    /// Data shards of the coding.
    data: usize,
    pub(super) decoder: Option<StripeDecoder>,
    cells: BTreeMap<u64, Vec<ShardCell>>,
    /// The wanted plain cells of stripes that are decoded.
    plain: BTreeMap<u64, Vec<Bytes>>,
    /// Shards that are lost or wrong, to report.
    pub(super) damaged: BTreeMap<u8, &'static str>,
    /// Shards known not to be where they belong: that they are missing is no damage.
    owed: ShardSet,
    /// Shards that gave nothing, or nothing right.
    pub(super) useless: ShardSet,
    /// Something went wrong: the first wave will not do.
    pub(super) troubled: bool,
    pub(super) stale: bool,
    pub(super) missing: bool,
}

impl Gather {
    pub(super) fn new(
        plan: RangePlan,
        data: usize,
        decoder: Option<StripeDecoder>,
        owed: ShardSet,
    ) -> Self {
        Self {
            owed,
            useless: ShardSet::EMPTY,
            plan,
            data,
            decoder,
            cells: BTreeMap::new(),
            plain: BTreeMap::new(),
            damaged: BTreeMap::new(),
            troubled: false,
            stale: false,
            missing: false,
        }
    }

    pub(super) fn take(&mut self, read: Read, row: &ChunkRow) {
        let Read { shard, first, .. } = read;
        match read.outcome {
            Ok(read) => {
                if !self.take_table(read.cell_table, row) {
                    return self.damage(shard, "wrong cell table");
                }
                let mut checksums = read.checksums.unwrap_or_default().into_iter();
                for (stripe, bytes) in (first..).zip(read.cells) {
                    let crc32c = checksums.next();
                    let cells = self.cells.entry(stripe).or_default();
                    if cells.iter().all(|cell| cell.shard != shard) {
                        cells.push(ShardCell {
                            shard,
                            bytes,
                            crc32c,
                        });
                    }
                }
            }
            Err(error) => {
                self.troubled = true;
                self.useless.insert(shard);
                match error {
                    ShardError::StaleEpoch { .. } | ShardError::NotMine => self.stale = true,
                    ShardError::Missing => {
                        self.missing = true;
                        if !self.owed.contains(shard) {
                            self.damage(shard, "missing");
                        }
                    }
                    ShardError::Corrupt(_) => self.damage(shard, "corrupt"),
                    _ => {}
                }
            }
        }
    }

    fn damage(&mut self, shard: u8, what: &'static str) {
        self.troubled = true;
        self.useless.insert(shard);
        self.damaged.insert(shard, what);
    }

    /// Takes the first cell table that has the committed digest. False for one that has not.
    fn take_table(&mut self, entries: Option<Arc<[u32]>>, row: &ChunkRow) -> bool {
        let Some(entries) = entries else {
            return true;
        };
        let ChunkRow { coding, length, .. } = *row;
        let Ok(table) = CellTable::checked(coding, length, entries, &row.table_digest) else {
            return false;
        };
        if self.decoder.is_none() {
            self.decoder = StripeDecoder::new(coding, length, table).ok();
        }
        true
    }

    /// Decodes what can be decoded; true once that is everything.
    pub(super) fn decode(&mut self) -> bool {
        for stripe in self.plan.stripes() {
            if !self.plain.contains_key(&stripe) {
                self.decode_stripe(stripe);
            }
        }
        self.plan
            .stripes()
            .all(|stripe| self.plain.contains_key(&stripe))
    }

    fn decode_stripe(&mut self, stripe: u64) {
        let (Some(decoder), Some(cells)) = (&self.decoder, self.cells.get(&stripe)) else {
            return;
        };
        let wanted = self.plan.shards(stripe);
        if gives_unchecked()
            && let Some(plain) = unchecked(cells, wanted.clone())
        {
            self.plain.insert(stripe, plain);
            return;
        }
        let have = |shard: u8| cells.iter().any(|cell| cell.shard == shard);
        if cells.len() < self.data && !wanted.clone().all(have) {
            return;
        }
        let bad = match decoder.decode(stripe, cells, wanted) {
            Ok(decoded) => {
                self.plain.insert(stripe, decoded.cells);
                decoded.bad
            }
            Err(DecodeError::NeedMore { bad, .. }) => {
                self.troubled = true;
                bad
            }
            Err(DecodeError::Refused(why)) => {
                tracing::error!(why, stripe, "a stripe was refused by the decoder");
                self.troubled = true;
                ShardSet::EMPTY
            }
        };
        for shard in bad.iter() {
            self.damage(shard, "wrong cells");
        }
    }

    pub(super) fn describe(&self) -> String {
        let each = self
            .damaged
            .iter()
            .map(|(shard, what)| format!("shard {shard} {what}"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// The bytes of the range, in order.
    pub(super) fn pieces(&self) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        for (stripe, cells) in &self.plain {
            for (piece, cell) in self.plan.pieces(*stripe).zip(cells) {
                pieces.push(cell.slice(piece.bytes));
            }
        }
        pieces
    }
}
