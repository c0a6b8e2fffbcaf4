//! From cells back to plain bytes that have been checked.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use cairn_model::{Coding, limits};

use crate::cell_table::CellTable;
use crate::codec::{Codec, CodecError};
use crate::shard_set::ShardSet;

/// Choices of parity cells tried before more are asked for. One bad cell is always worked round
/// (see [`choices`]), more of them wherever all choices fit.
const CHOICES_MAX: usize = 64;

/// A cell read from a shard, padded as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardCell {
    /// The shard it is said to be of.
    pub shard: u8,
    /// Its bytes.
    pub bytes: Bytes,
    /// Their CRC-32C, where this process has made it.
    pub crc32c: Option<u32>,
}

/// Plain cells of a stripe, all checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedStripe {
    /// The cells asked for, in order, without the padding: cells past the chunk's end are empty.
    pub cells: Vec<Bytes>,
    /// Shards that gave wrong cells: to report and repair.
    pub bad: ShardSet,
}

/// Why nothing was given out, by what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Read this stripe's cells of more shards and call again with them added. If there are none
    /// left, the stripe is lost for now: abort.
    #[error(
        "stripe {stripe} needs {missing} more cells; bad shards {bad}, suspect shards {suspects}"
    )]
    NeedMore {
        /// The stripe.
        stripe: u64,
        /// How many more cells at least.
        missing: usize,
        /// Shards whose cells are surely wrong.
        bad: ShardSet,
        /// Parity shards of which at least one is wrong, where it cannot be told which.
        suspects: ShardSet,
    },
    /// The call makes no sense: a bug of the caller.
    #[error("decode refused: {0}")]
    Refused(&'static str),
}

impl From<CodecError> for DecodeError {
    fn from(_: CodecError) -> Self {
        Self::Refused("codec refused")
    }
}

/// Decodes the stripes of one chunk.
#[derive(Clone, Debug)]
pub struct StripeDecoder {
    coding: Coding,
    codec: Codec,
    chunk_len: u64,
    table: CellTable,
}

/// The cells of one stripe, sorted into good data and parity.
struct Sorted {
    stripe: u64,
    len: usize,
    data: Vec<(u8, Bytes)>,
    parity: Vec<(u8, Bytes)>,
    bad: ShardSet,
}

/// Reconstructed and checked data cells, and the parity shards in doubt.
struct Solved {
    cells: Vec<(u8, Bytes)>,
    failed_before: bool,
}

impl StripeDecoder {
    /// A decoder for a chunk of `chunk_len` bytes with its cell table, which the caller has checked
    /// against the chunk row ([`CellTable::checked`]).
    ///
    /// # Errors
    /// `Refused` if the table is that of another coding or length.
    pub fn new(coding: Coding, chunk_len: u64, table: CellTable) -> Result<Self, DecodeError> {
        if chunk_len == 0 || chunk_len > limits::CHUNK_LEN_MAX {
            return Err(DecodeError::Refused("no chunk has this length"));
        }
        let table = CellTable::new(coding, chunk_len, table.entries().clone())
            .map_err(|_| DecodeError::Refused("not this chunk's cell table"))?;
        let codec = Codec::of(coding)?;
        Ok(Self {
            coding,
            codec,
            chunk_len,
            table,
        })
    }

    /// The cell table.
    #[must_use]
    pub fn table(&self) -> &CellTable {
        &self.table
    }

    /// The plain cells `wanted` of a stripe (data shards), from any of its cells. Every cell given
    /// out agrees with the cell table. Only what is wanted is reconstructed; with more cells than
    /// needed, bad ones are worked round.
    ///
    /// # Errors
    /// `NeedMore` if what was given does not yield what is wanted, naming bad shards; `Refused` for
    /// a stripe or a shard the chunk does not have, or one given twice.
    pub fn decode(
        &self,
        stripe: u64,
        cells: &[ShardCell],
        wanted: Range<u8>,
    ) -> Result<DecodedStripe, DecodeError> {
        if usize::from(wanted.end) > self.codec.data() {
            return Err(DecodeError::Refused("not a data shard"));
        }
        let mut sorted = self.sort(stripe, cells)?;
        let good = self.complete(&mut sorted, wanted.clone())?;
        let plain = wanted
            .map(|shard| self.trim(stripe, shard, &good))
            .collect();
        Ok(DecodedStripe {
            cells: plain,
            bad: sorted.bad,
        })
    }

    /// The cell of one shard, data or parity, padded as stored: to write a lost shard anew. Parity
    /// is worked out from data cells that all agree with the cell table.
    ///
    /// # Errors
    /// As [`StripeDecoder::decode`].
    pub fn rebuild(
        &self,
        stripe: u64,
        cells: &[ShardCell],
        shard: u8,
    ) -> Result<(Bytes, ShardSet), DecodeError> {
        let mut sorted = self.sort(stripe, cells)?;
        let data = self.data_shards();
        if usize::from(shard) >= self.coding.shards() {
            return Err(DecodeError::Refused("no such shard"));
        }
        let wanted = if shard < data {
            shard..shard + 1
        } else {
            0..data
        };
        let good = self.complete(&mut sorted, wanted)?;
        let same = if data == 1 { 0 } else { shard };
        let cell = match good.iter().find(|(given, _)| *given == same) {
            Some((_, cell)) => cell.clone(),
            None => self.parity_of(&good, shard, sorted.len)?,
        };
        Ok((cell, sorted.bad))
    }

    fn data_shards(&self) -> u8 {
        u8::try_from(self.codec.data()).unwrap_or(u8::MAX)
    }

    /// Tells good data cells from bad ones. Copies (k = 1) are all the data cell: every one can be
    /// told, and the first good one stands for all.
    fn sort(&self, stripe: u64, cells: &[ShardCell]) -> Result<Sorted, DecodeError> {
        let len = usize::try_from(self.coding.cell_len(self.chunk_len, stripe)).unwrap_or(0);
        if len == 0 {
            return Err(DecodeError::Refused("no such stripe"));
        }
        let mut seen = ShardSet::EMPTY;
        let mut sorted = Sorted {
            stripe,
            len,
            data: Vec::with_capacity(cells.len()),
            parity: Vec::new(),
            bad: ShardSet::EMPTY,
        };
        for cell in cells {
            let shard = cell.shard;
            if usize::from(shard) >= self.coding.shards() || !seen.insert(shard) {
                return Err(DecodeError::Refused("no such shard, or given twice"));
            }
            let is_copy = self.codec.data() == 1;
            let stands_for = if is_copy { 0 } else { shard };
            let is_data = stands_for < self.data_shards();
            let fits =
                cell.bytes.len() == len && (!is_data || self.agrees(stripe, stands_for, cell));
            if !fits {
                sorted.bad.insert(shard);
            } else if is_data {
                if !sorted.data.iter().any(|(known, _)| *known == stands_for) {
                    sorted.data.push((stands_for, cell.bytes.clone()));
                }
            } else {
                sorted.parity.push((shard, cell.bytes.clone()));
            }
        }
        sorted.data.sort_unstable_by_key(|(shard, _)| *shard);
        sorted.parity.sort_unstable_by_key(|(shard, _)| *shard);
        Ok(sorted)
    }

    fn agrees(&self, stripe: u64, shard: u8, cell: &ShardCell) -> bool {
        match cell.crc32c {
            Some(crc32c) => self.table.agrees_with(stripe, shard, crc32c),
            None => self.table.agrees(stripe, shard, &cell.bytes),
        }
    }

    /// Good data cells that include all of `wanted`. Adds to `bad` what shows itself on the way.
    fn complete(
        &self,
        sorted: &mut Sorted,
        wanted: Range<u8>,
    ) -> Result<Vec<(u8, Bytes)>, DecodeError> {
        let missing_of = |range: Range<u8>, good: &[(u8, Bytes)]| -> Vec<u8> {
            range
                .filter(|shard| !good.iter().any(|(known, _)| known == shard))
                .collect()
        };
        let missing = missing_of(wanted, &sorted.data);
        if missing.is_empty() {
            return Ok(sorted.data.clone());
        }
        let solved = self.solve(sorted, &missing)?;
        let mut good = sorted.data.clone();
        good.extend(solved.cells);
        if solved.failed_before {
            // Some parity cell is wrong. With all data known each can be told.
            let rest = missing_of(0..self.data_shards(), &good);
            let mut all = good.clone();
            if !rest.is_empty() {
                all.extend(self.solve(sorted, &rest)?.cells);
            }
            self.name_bad_parity(sorted, &mut all)?;
        }
        Ok(good)
    }

    /// Reconstructs data cells with one choice of parity cells after the other until all agree with
    /// the table.
    fn solve(&self, sorted: &mut Sorted, missing: &[u8]) -> Result<Solved, DecodeError> {
        let need = self.codec.data().saturating_sub(sorted.data.len());
        let have = sorted.parity.len();
        if have < need {
            return Err(sorted.need_more(need - have, ShardSet::EMPTY));
        }
        for (tried, choice) in choices(have, need).take(CHOICES_MAX).enumerate() {
            let parity = choice.iter().filter_map(|at| sorted.parity.get(*at));
            let inputs: Vec<(u8, &[u8])> = (sorted.data.iter().chain(parity))
                .map(|(shard, bytes)| (*shard, &**bytes))
                .collect();
            let cells = self.reconstruct(&inputs, missing, sorted.len)?;
            if (cells.iter()).all(|(shard, cell)| self.table.agrees(sorted.stripe, *shard, cell)) {
                return Ok(Solved {
                    cells,
                    failed_before: tried > 0,
                });
            }
        }
        // Beside good data one parity cell alone was to blame each time; of more it can be any.
        let tried: ShardSet = sorted.parity.iter().map(|(shard, _)| *shard).collect();
        if need == 1 {
            tried.iter().for_each(|shard| {
                sorted.bad.insert(shard);
            });
            return Err(sorted.need_more(1, ShardSet::EMPTY));
        }
        Err(sorted.need_more(1, tried))
    }

    fn name_bad_parity(
        &self,
        sorted: &mut Sorted,
        all: &mut [(u8, Bytes)],
    ) -> Result<(), DecodeError> {
        all.sort_unstable_by_key(|(shard, _)| *shard);
        for (shard, given) in &sorted.parity {
            if self.parity_of(all, *shard, sorted.len)? != *given {
                sorted.bad.insert(*shard);
            }
        }
        Ok(())
    }

    fn parity_of(&self, data: &[(u8, Bytes)], shard: u8, len: usize) -> Result<Bytes, DecodeError> {
        let inputs: Vec<(u8, &[u8])> = data.iter().map(|(shard, cell)| (*shard, &**cell)).collect();
        let mut cells = self.reconstruct(&inputs, &[shard], len)?;
        let (_, cell) = cells.pop().ok_or(DecodeError::Refused("no such shard"))?;
        Ok(cell)
    }

    fn reconstruct(
        &self,
        inputs: &[(u8, &[u8])],
        shards: &[u8],
        len: usize,
    ) -> Result<Vec<(u8, Bytes)>, DecodeError> {
        let mut buffer = BytesMut::zeroed(len * shards.len());
        let mut places: Vec<(u8, &mut [u8])> = (shards.iter().copied())
            .zip(buffer.chunks_exact_mut(len))
            .collect();
        self.codec.reconstruct(inputs, &mut places)?;
        let mut cells = buffer.freeze();
        Ok(shards
            .iter()
            .map(|shard| (*shard, cells.split_to(len)))
            .collect())
    }

    /// A cell without its padding.
    fn trim(&self, stripe: u64, shard: u8, good: &[(u8, Bytes)]) -> Bytes {
        let cell = self.coding.cell_len(self.chunk_len, stripe);
        let start = stripe * self.coding.stripe_len() + u64::from(shard) * cell;
        let plain = self.chunk_len.saturating_sub(start).min(cell);
        let plain = usize::try_from(plain).unwrap_or(0);
        (good.iter().find(|(known, _)| *known == shard))
            .map(|(_, cell)| cell.slice(..plain.min(cell.len())))
            .unwrap_or_default()
    }
}

impl Sorted {
    fn need_more(&self, missing: usize, suspects: ShardSet) -> DecodeError {
        DecodeError::NeedMore {
            stripe: self.stripe,
            missing,
            bad: self.bad,
            suspects,
        }
    }
}

/// Ways to choose `need` of `have` places: first each run of neighbours (places in a ring), so that
/// one bad place is soon avoided, then every choice in lexicographic order.
fn choices(have: usize, need: usize) -> impl Iterator<Item = Vec<usize>> {
    let runs = (0..have).map(move |start| (start..start + need).map(|at| at % have).collect());
    let first: Option<Vec<usize>> = (need <= have).then(|| (0..need).collect());
    runs.chain(std::iter::successors(first, move |last| {
        let mut next = last.clone();
        let can_move = |at: &usize| next.get(*at).is_some_and(|place| *place < have - need + at);
        let moved = (0..need).rev().find(can_move)?;
        let start = next.get(moved)? + 1;
        for (place, value) in next.iter_mut().skip(moved).zip(start..) {
            *place = value;
        }
        Some(next)
    }))
}
