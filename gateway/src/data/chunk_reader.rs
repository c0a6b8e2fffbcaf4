//! A chunk's bytes back from any k of its shards, every cell checked against the cell table.
//!
//! ```text
//!   first wave    the data shards that hold the range          all came, all agree: done, no maths
//!   second wave   every other shard of those stripes           when one is down, owed, lost, wrong or slow
//!   third wave    shards that the row says are owed            when k others cannot be had, or are slow
//! ```
//!
//! The chunk row is the authority: incarnation, coding, length, debt, and the digest of the cell table.
//! The table itself comes with the first shard whose copy has that digest. A shard that is missing or
//! fails a check counts as lost, and the chunk is marked suspect, once; but that a shard in debt is
//! missing is known, and its repair ordered.

mod gather;
mod waves;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cairn_erasure::{CellTable, RangePlan, StripeDecoder};
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, Sha256};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;
use futures_util::StreamExt;

use self::gather::Gather;
pub(crate) use self::gather::gives_unchecked;
use self::waves::Waves;
use crate::data::layout;
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
    /// As it was when the row was read: it may have been paid since, and grows no more.
    pub(crate) debt: Vec<Owed>,
}

/// A shard that is not where its slot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) shard: u8,
    /// The disk it lies on instead; none where it lies nowhere.
    pub(crate) found: Option<DiskId>,
}

impl ChunkRow {
    /// Reads a row; `None` where this version cannot.
    pub(crate) fn read(row: &wire::Chunk) -> Option<Self> {
        let coding = layout::coding(row.coding)?;
        // What makes no sense of a debt is passed by: it only steers.
        let owed = |debt: &wire::Debt| {
            let shard = u8::try_from(debt.shard).ok();
            let found = debt.found.as_ref().try_into().ok().map(DiskId);
            let shard = shard.filter(|shard| usize::from(*shard) < coding.shards())?;
            Some(Owed { shard, found })
        };
        Some(Self {
            debt: row.debt.iter().filter_map(owed).collect(),
            chunk: ChunkId {
                domain: DomainId(row.domain),
                sha256: Sha256(row.sha256.as_ref().try_into().ok()?),
            },
            incarnation: Incarnation::from_bytes(&row.incarnation)?,
            coding,
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
        /// Some shard is lost or wrong that should not be. Nodes that do not answer are no evidence.
        damaged: bool,
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

    /// Goes on in another session; the one it was in may end.
    pub(crate) fn move_to(&mut self, session: &Entered) {
        self.session = session.clone();
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
        let (mut resolved, mut damage) = (false, false);
        for _ in 0..tuning::READ_ATTEMPTS {
            let plan = RangePlan::new(self.row.coding, self.row.length, range.clone());
            match self.attempt(&view, &plan).await {
                Ok(pieces) => return Ok(pieces),
                Err(Failed::Stale) => view = self.path.views.newer_than(Some(&view)).await?,
                Err(Failed::Lost { missing, damaged }) => {
                    damage = damaged;
                    let first = missing && !std::mem::replace(&mut resolved, true);
                    if !first || !self.resolve().await? {
                        break;
                    }
                    damage = false;
                }
            }
        }
        tracing::error!(chunk = ?self.row.chunk, incarnation = %self.row.incarnation,
            "a chunk cannot be read");
        if damage {
            self.report("unreadable");
        }
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
        let mut waves = Waves::new(&self.path, &self.row, partition, self.decoder.is_none());
        let data = self.row.coding.data();
        let mut gather = Gather::new(plan.clone(), data, self.decoder.take(), waves.owed());
        waves.first(plan);
        let complete = loop {
            waves.go_on(plan, &gather);
            let due = waves.due();
            tokio::select! {
                biased;
                Some(read) = waves.reads.next() => {
                    waves.came(&read);
                    gather.take(read, &self.row);
                }
                () = self.path.clock.sleep(due.unwrap_or_default()), if due.is_some() => {
                    waves.next(plan);
                }
                else => break false,
            }
            if gather.decode() {
                break true;
            }
        };
        drop(waves);
        self.decoder = gather.decoder.take();
        if !complete {
            return Err(match gather.stale {
                true => Failed::Stale,
                false => Failed::Lost {
                    missing: gather.missing,
                    damaged: !gather.damaged.is_empty(),
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

#[cfg(test)]
mod tests;
