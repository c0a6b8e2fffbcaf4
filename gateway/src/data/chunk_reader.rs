//! A chunk's bytes back from any k of its shards, every cell checked against the cell table.
//!
//! ```text
//!   first wave    the data shards that hold the range          all came, all agree: done, no maths
//!   second wave   every other shard of those stripes           when one is down, lost, wrong or slow
//! ```
//!
//! The chunk row is the authority: incarnation, coding, length, and the digest of the cell table. The
//! table itself comes with the first shard whose copy has that digest. A shard that is missing or
//! fails a check counts as lost, and the chunk is marked suspect, once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cairn_erasure::{CellTable, DecodeError, RangePlan, ShardCell, ShardSet, StripeDecoder};
use cairn_model::{ChunkId, Coding, DomainId, Incarnation, Sha256};
use cairn_placement::{PartitionRow, Slot};
use cairn_rpc::{ShardCells, ShardError, ShardRead};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::data::layout;
use crate::data::nodes::Failing;
use crate::data::session::Entered;
use crate::data::view::View;
use crate::data::{DataPath, ReadError};
use crate::metadata::{Metadata, QueryError};
use crate::tuning;

/// What a chunk row tells a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    pub(crate) chunk: ChunkId,
    pub(crate) incarnation: Incarnation,
    pub(crate) coding: Coding,
    pub(crate) length: u64,
    pub(crate) crc64nvme: u64,
    pub(crate) table_digest: [u8; CellTable::DIGEST_LEN],
    pub(crate) suspect: bool,
}

impl ChunkRow {
    fn read(row: &wire::Chunk) -> Option<Self> {
        Some(Self {
            chunk: ChunkId {
                domain: DomainId(row.domain),
                sha256: Sha256(row.sha256.as_ref().try_into().ok()?),
            },
            incarnation: Incarnation::from_bytes(&row.incarnation)?,
            coding: layout::coding(row.coding)?,
            length: row.length.into(),
            crc64nvme: row.crc64nvme,
            table_digest: row.table_digest.as_ref().try_into().ok()?,
            suspect: row.suspect,
        })
    }

    /// Reads the rows of chunks, those that exist.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub(crate) async fn fetch(
        metadata: &Metadata,
        chunks: impl IntoIterator<Item = ChunkId>,
    ) -> Result<BTreeMap<ChunkId, Self>, QueryError> {
        let key = |chunk: ChunkId| wire::ChunkKey {
            domain: chunk.domain.0,
            sha256: Bytes::copy_from_slice(&chunk.sha256.0),
        };
        let query = wire::GetChunks {
            chunks: chunks.into_iter().map(key).collect(),
        };
        let answer = metadata.chunks(query).await?;
        let row = |row| {
            let row = Self::read(row).ok_or(QueryError::Protocol("a malformed chunk row"))?;
            Ok((row.chunk, row))
        };
        answer.chunks.iter().map(row).collect()
    }
}

/// Reads one chunk.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    path: Arc<DataPath>,
    session: Entered,
    row: ChunkRow,
    decoder: Option<StripeDecoder>,
    reported: bool,
}

/// Why an attempt gave nothing.
enum Failed {
    /// The partition row in hand is old.
    Stale,
    /// Too few shards are there or right.
    Lost {
        /// Some shard was not where the row says: the row in hand may be old.
        missing: bool,
    },
}

impl ChunkReader {
    pub(crate) fn new(path: &Arc<DataPath>, session: &Entered, row: ChunkRow) -> Self {
        Self {
            path: Arc::clone(path),
            session: session.clone(),
            reported: row.suspect,
            decoder: None,
            row,
        }
    }

    /// The chunk's row.
    pub(crate) fn row(&self) -> &ChunkRow {
        &self.row
    }

    /// The end of the stripe-aligned piece of at most `stripes` stripes that begins at `start`.
    pub(crate) fn piece_end(&self, start: u64, stripes: u64) -> u64 {
        let stripe_len = self.row.coding.stripe_len();
        (start / stripe_len + stripes) * stripe_len
    }

    /// The bytes of `range`, checked. The caller keeps it to a few stripes.
    ///
    /// # Errors
    /// `Lost` where too few shards could be read; metadata errors.
    pub(crate) async fn read(&mut self, range: Range<u64>) -> Result<Vec<Bytes>, ReadError> {
        let mut view = self.path.views.get().await?;
        let mut resolved = false;
        for _ in 0..tuning::READ_ATTEMPTS {
            let plan = RangePlan::new(self.row.coding, self.row.length, range.clone());
            match self.attempt(&view, &plan).await {
                Ok(pieces) => return Ok(pieces),
                Err(Failed::Stale) => view = self.path.views.newer_than(Some(&view)).await?,
                Err(Failed::Lost { missing: true }) if !resolved => {
                    resolved = true;
                    if !self.resolve().await? {
                        break;
                    }
                }
                Err(Failed::Lost { .. }) => break,
            }
        }
        tracing::error!(chunk = ?self.row.chunk, incarnation = %self.row.incarnation,
            "a chunk cannot be read");
        self.report("unreadable");
        Err(ReadError::Lost)
    }

    /// Reads the chunk row again: whether it names another writing now.
    async fn resolve(&mut self) -> Result<bool, ReadError> {
        let chunk = self.row.chunk;
        let mut rows = ChunkRow::fetch(&self.path.metadata, [chunk]).await?;
        let row = rows.remove(&chunk).ok_or(ReadError::Lost)?;
        let moved = row.incarnation != self.row.incarnation && row.length == self.row.length;
        if moved {
            self.row = row;
            self.decoder = None;
        }
        Ok(moved)
    }

    async fn attempt(&mut self, view: &Arc<View>, plan: &RangePlan) -> Result<Vec<Bytes>, Failed> {
        let partition = view.partition(self.row.incarnation);
        let mut gather = Gather::new(plan.clone(), self.row.coding.data(), self.decoder.take());
        let mut waves = Waves::new(&self.path, &self.row, partition, gather.decoder.is_none());
        waves.first(plan);
        let mut hedge = self.path.clock.sleep(tuning::HEDGE_AFTER);
        let complete = loop {
            tokio::select! {
                biased;
                Some(read) = waves.reads.next() => gather.take(read, &self.row),
                () = &mut hedge, if !waves.second_sent => waves.second(plan),
                else => break false,
            }
            if gather.decode() {
                break true;
            }
            if gather.troubled || waves.reads.is_empty() {
                waves.second(plan);
            }
        };
        drop(waves);
        self.decoder = gather.decoder.take();
        if !complete {
            return Err(match gather.stale {
                true => Failed::Stale,
                false => Failed::Lost {
                    missing: gather.missing,
                },
            });
        }
        if !gather.damaged.is_empty() {
            self.report(&gather.describe());
        }
        Ok(gather.pieces())
    }

    /// Marks the chunk suspect, once, behind the read.
    pub(crate) fn report(&mut self, reason: &str) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        let ChunkRow {
            chunk, incarnation, ..
        } = self.row;
        tracing::warn!(?chunk, %incarnation, reason, "a chunk is suspect");
        let command = Command::MarkSuspect(wire::MarkSuspect {
            domain: chunk.domain.0,
            sha256: Bytes::copy_from_slice(&chunk.sha256.0),
            incarnation: Bytes::copy_from_slice(&incarnation.to_bytes()),
            reason: reason.to_owned(),
        });
        let session = self.session.clone();
        tokio::spawn(async move {
            if let Err(error) = session.propose(command).await {
                tracing::warn!(?chunk, %error, "a suspect chunk could not be marked");
            }
        });
    }
}

/// What one shard call gave: the shard, the first stripe asked for, the outcome.
type Read = (u8, u64, Result<ShardCells, ShardError>);

/// The shard calls of one attempt.
struct Waves<'a> {
    path: &'a DataPath,
    row: &'a ChunkRow,
    epoch: u64,
    slots: Vec<Slot>,
    with_table: bool,
    /// What has been asked of each shard.
    asked: BTreeMap<u8, Range<u64>>,
    reads: FuturesUnordered<BoxFuture<'a, Read>>,
    second_sent: bool,
}

impl<'a> Waves<'a> {
    fn new(
        path: &'a DataPath,
        row: &'a ChunkRow,
        partition: &PartitionRow,
        with_table: bool,
    ) -> Self {
        Self {
            path,
            row,
            epoch: partition.epoch,
            slots: partition
                .slots
                .iter()
                .take(row.coding.shards())
                .copied()
                .collect(),
            with_table,
            asked: BTreeMap::new(),
            reads: FuturesUnordered::new(),
            second_sent: false,
        }
    }

    fn is_up(&self, shard: u8) -> bool {
        let slot = self.slots.get(usize::from(shard));
        slot.is_some_and(|slot| slot.read_disks().any(|disk| self.path.nodes.is_up(disk)))
    }

    /// Asks the shards that hold the range; of copies, one that is up. Where one is down the others
    /// are asked at once.
    fn first(&mut self, plan: &RangePlan) {
        let shards = 0..u8::try_from(self.slots.len()).unwrap_or(u8::MAX);
        if self.row.coding.data() == 1 {
            let shard = shards.clone().find(|shard| self.is_up(*shard)).unwrap_or(0);
            return self.ask(shard, plan.stripes());
        }
        let mut all_up = true;
        for shard in shards {
            let stripes = plan.stripes_of(shard);
            if !stripes.is_empty() {
                all_up &= self.is_up(shard);
                self.ask(shard, stripes);
            }
        }
        if !all_up {
            self.second(plan);
        }
    }

    /// Asks every shard for what it has not been asked for yet, once.
    fn second(&mut self, plan: &RangePlan) {
        if std::mem::replace(&mut self.second_sent, true) {
            return;
        }
        for shard in 0..u8::try_from(self.slots.len()).unwrap_or(u8::MAX) {
            if self.asked.get(&shard) != Some(&plan.stripes()) {
                self.ask(shard, plan.stripes());
            }
        }
    }

    fn ask(&mut self, shard: u8, stripes: Range<u64>) {
        let Some(slot) = self.slots.get(usize::from(shard)).copied() else {
            return;
        };
        let (path, row) = (self.path, self.row);
        let read = ShardRead {
            disk: slot.current,
            epoch: self.epoch,
            chunk: row.chunk,
            incarnation: row.incarnation,
            shard,
            first_cell: stripes.start,
            cells: u32::try_from(stripes.end - stripes.start).unwrap_or(u32::MAX),
            with_table: self.with_table,
        };
        self.asked.insert(shard, stripes);
        self.reads.push(Box::pin(async move {
            (shard, read.first_cell, read_shard(path, slot, read).await)
        }));
    }
}

/// Reads a shard where it is, or where it is moving. It is missing only where no disk has it.
async fn read_shard(
    path: &DataPath,
    slot: Slot,
    read: ShardRead,
) -> Result<ShardCells, ShardError> {
    let mut error = ShardError::Missing;
    for disk in slot.read_disks() {
        let Some(service) = path.nodes.service(disk) else {
            error = ShardError::Unavailable("no node serves the disk".to_owned());
            continue;
        };
        let call = service.read(ShardRead { disk, ..read });
        match path.within(tuning::SHARD_READ_PATIENCE, call).await {
            Ok(cells) => {
                path.nodes.served_read(disk);
                return Ok(cells);
            }
            Err(failed) => {
                if matches!(failed, ShardError::Failed(_) | ShardError::Unavailable(_)) {
                    path.nodes.failed(disk, Failing::Everything);
                }
                if failed != ShardError::Missing {
                    error = failed;
                }
            }
        }
    }
    Err(error)
}

/// Cells coming in, and stripes coming out.
struct Gather {
    plan: RangePlan,
    /// Data shards of the coding.
    data: usize,
    decoder: Option<StripeDecoder>,
    cells: BTreeMap<u64, Vec<ShardCell>>,
    /// The wanted plain cells of stripes that are decoded.
    plain: BTreeMap<u64, Vec<Bytes>>,
    /// Shards that are lost or wrong, to report.
    damaged: BTreeMap<u8, &'static str>,
    /// Something went wrong: the first wave will not do.
    troubled: bool,
    stale: bool,
    missing: bool,
}

impl Gather {
    fn new(plan: RangePlan, data: usize, decoder: Option<StripeDecoder>) -> Self {
        Self {
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

    fn take(&mut self, (shard, first, outcome): Read, row: &ChunkRow) {
        match outcome {
            Ok(read) => {
                if !self.take_table(read.cell_table, row) {
                    return self.damage(shard, "wrong cell table");
                }
                for (stripe, bytes) in (first..).zip(read.cells) {
                    let cells = self.cells.entry(stripe).or_default();
                    if cells.iter().all(|cell| cell.shard != shard) {
                        cells.push(ShardCell { shard, bytes });
                    }
                }
            }
            Err(error) => {
                self.troubled = true;
                match error {
                    ShardError::StaleEpoch { .. } | ShardError::NotMine => self.stale = true,
                    ShardError::Missing => {
                        self.missing = true;
                        self.damage(shard, "missing");
                    }
                    ShardError::Corrupt(_) => self.damage(shard, "corrupt"),
                    _ => {}
                }
            }
        }
    }

    fn damage(&mut self, shard: u8, what: &'static str) {
        self.troubled = true;
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
    fn decode(&mut self) -> bool {
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

    fn describe(&self) -> String {
        let each = self
            .damaged
            .iter()
            .map(|(shard, what)| format!("shard {shard} {what}"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// The bytes of the range, in order.
    fn pieces(&self) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        for (stripe, cells) in &self.plain {
            for (piece, cell) in self.plan.pieces(*stripe).zip(cells) {
                pieces.push(cell.slice(piece.bytes));
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests;
