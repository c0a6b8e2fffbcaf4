//! Making a shard good on one of this node's disks.
//!
//! ```text
//!   order (from the chunk's row: the authority)
//!     │
//!   on the disk? every cell read and checked ──► Found
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
        mut sources: Sources,
        former: Option<Entry>,
    ) -> Result<(), ShardError> {
        let order = sources.order().clone();
        let stripes = order.coding.stripes(order.chunk_len);
        let step = (REBUILD_WINDOW / order.coding.stripe_len()).max(1);
        let mut upload = None;
        let mut first = 0;
        while first < stripes {
            repair.give_way(self.clock.as_ref()).await;
            let end = (first + step).min(stripes);
            let cells = sources.cells(first..end).await?;
            // No room is taken before something is there to write.
            let mut open = match upload.take() {
                Some(open) => open,
                None => repair.begin().await?,
            };
            open.write(&cells).await?;
            upload = Some(open);
            first = end;
        }
        let (Some(upload), Some(table)) = (upload, sources.table()) else {
            return Err(ShardError::Refused("no chunk is empty"));
        };
        let held = repair.hold(upload, table).await?;
        repair.swap(held, former, self.clock.as_ref()).await
    }
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
        let repair = self.node.repair(&order)?;
        let (former, why) = match repair.look(self.clock.as_ref()).await? {
            Standing::Good => return Ok(Rebuilt::Found),
            Standing::Bad(entry, why) => (Some(*entry), why),
            Standing::Absent => (None, "missing".to_owned()),
        };
        let clock = Arc::clone(&self.clock);
        let sources = Sources::new(order, former.is_some(), &self.node, &self.routes, clock);
        let written = self.write(&repair, sources, former).await;
        match &written {
            Ok(()) => tracing::info!(%disk, %incarnation, shard, why, "shard was made anew"),
            Err(error) => {
                tracing::warn!(%disk, %incarnation, shard, why, %error, "shard is not made anew");
            }
        }
        written.map(|()| Rebuilt::Written)
    }
}

#[cfg(test)]
mod tests;
