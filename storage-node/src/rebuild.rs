//! Making a shard good on one of this node's disks.
//!
//! ```text
//!   order (from the chunk's row: the authority)
//!     │
//!   on the disk? every cell read and checked ──► Found     (thorough: parity compared with the data too)
//!     │ no, or not good
//!   a few stripes at a time:
//!     sources, best first ─ cells ─ StripeDecoder (the table with the order's digest) ─ one cell each
//!     ─► room of the repair's, a new place
//!     │
//!   durable ─ read back, checked ─ swapped in ──► Written
//! ```
//!
//! Sources are believed in nothing: a cell table counts with the order's digest only, a data cell if
//! the table agrees, and parity is worked out from data cells that do. So a source can delay a
//! rebuild, and never spoil one. Memory is bounded by a window of the chunk, whatever its length.

mod attempt;
mod sources;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_model::limits;
use cairn_rpc::{Rebuild, Rebuilt, ShardError, ShardRebuild, ShardRoutes, ShardUpload};
use cairn_world::Clock;

use crate::node::{Repair, Standing, StorageNode};
use crate::tuning::REBUILD_WINDOW;
use crate::volume::Entry;
use sources::Sources;

/// Rebuilds shards of one node's disks.
#[derive(Debug)]
pub struct Rebuilder {
    node: Arc<StorageNode>,
    routes: Arc<dyn ShardRoutes>,
    clock: Arc<dyn Clock>,
}

impl Rebuilder {
    /// Rebuilds on the disks of `node`, from disks that `routes` reach.
    #[must_use]
    pub fn new(
        node: Arc<StorageNode>,
        routes: Arc<dyn ShardRoutes>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            node,
            routes,
            clock,
        }
    }

    /// Makes the shard anew beside what is there, and swaps it in.
    async fn write(
        &self,
        repair: &Repair,
        sources: &mut Sources,
        former: Option<Entry>,
    ) -> Result<(), ShardError> {
        let mut upload = None;
        for window in windows(sources.order()) {
            repair.give_way(self.clock.as_ref()).await;
            let cells = sources.cells(window).await?;
            // No room is taken before something is there to write.
            let mut open = match upload.take() {
                Some(open) => open,
                None => repair.begin().await?,
            };
            open.write(&cells).await?;
            upload = Some(open);
        }
        let (Some(upload), Some(table)) = (upload, sources.table()) else {
            return Err(ShardError::Refused("no chunk is empty"));
        };
        let held = repair.hold(upload, table).await?;
        repair.swap(held, former, self.clock.as_ref()).await
    }

    /// Whether the record has what the sources' data gives.
    async fn agrees(
        &self,
        repair: &Repair,
        sources: &mut Sources,
        entry: &Entry,
    ) -> Result<bool, ShardError> {
        for window in windows(sources.order()) {
            repair.give_way(self.clock.as_ref()).await;
            let expected = sources.cells(window.clone()).await?;
            let found = repair.read(entry, window, false).await?;
            // It was good a moment ago: it moved, or was deleted.
            let found = found.map_err(ShardError::Unavailable)?;
            if found.cells != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn carry_out(&self, order: Rebuild) -> Result<Rebuilt, ShardError> {
        let repair = self.node.repair(&order).await?;
        let standing = repair.look(self.clock.as_ref()).await?;
        let thorough = order.thorough && repair.is_parity();
        let (former, why) = match &standing {
            Standing::Good(_) if !thorough => return Ok(Rebuilt::Found),
            Standing::Good(entry) => (Some(**entry), "parity is not what the data gives"),
            Standing::Bad(entry, why) => (Some(**entry), why.as_str()),
            Standing::Absent => (None, "missing"),
        };
        let is_bad = matches!(standing, Standing::Bad(..));
        let clock = Arc::clone(&self.clock);
        let mut sources = Sources::new(order, is_bad, &self.node, &self.routes, clock);
        if let Standing::Good(entry) = &standing
            && self.agrees(&repair, &mut sources, entry).await?
        {
            return Ok(Rebuilt::Found);
        }
        let Rebuild {
            disk,
            incarnation,
            shard,
            ..
        } = *sources.order();
        tracing::info!(%disk, %incarnation, shard, why, "a shard is made anew");
        self.write(&repair, &mut sources, former).await?;
        Ok(Rebuilt::Written)
    }
}

/// The stripes of a chunk, a few at a time.
fn windows(order: &Rebuild) -> impl Iterator<Item = Range<u64>> + Send + use<> {
    let stripes = order.coding.stripes(order.chunk_len);
    let step = (REBUILD_WINDOW / order.coding.stripe_len()).max(1);
    (0..stripes.div_ceil(step)).map(move |number| {
        let first = number * step;
        first..(first + step).min(stripes)
    })
}

/// An order that can be carried out at all.
fn check(order: &Rebuild) -> Result<(), ShardError> {
    let is_shard = |shard: u8| usize::from(shard) < order.coding.shards();
    let refuse = |why| Err(ShardError::Refused(why));
    if !is_shard(order.shard) || !order.sources.iter().all(|(shard, _)| is_shard(*shard)) {
        return refuse("no such shard in this coding");
    }
    if order.chunk_len == 0 || order.chunk_len > limits::CHUNK_LEN_MAX {
        return refuse("no chunk has this length");
    }
    if order.sources.len() > limits::REBUILD_SOURCES_MAX {
        return refuse("too many sources");
    }
    Ok(())
}

#[async_trait]
impl ShardRebuild for Rebuilder {
    async fn rebuild(&self, order: Rebuild) -> Result<Rebuilt, ShardError> {
        check(&order)?;
        let (disk, incarnation, shard) = (order.disk, order.incarnation, order.shard);
        let outcome = self.carry_out(order).await;
        if let Err(error) = &outcome {
            tracing::warn!(%disk, %incarnation, shard, %error, "a shard could not be made good");
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
