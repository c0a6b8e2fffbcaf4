//! What lies on the disks, for the planner.

use async_trait::async_trait;
use cairn_model::{DiskId, Incarnation};
use cairn_rpc::{ShardError, ShardFound, ShardInventory};

use super::StorageNode;

#[async_trait]
impl ShardInventory for StorageNode {
    /// A page is one short scan of the index: it is read on the calling thread.
    async fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        let rows = Self::inventory(self, disk, after, limit)?;
        let found = rows.into_iter().map(|row| ShardFound {
            chunk: row.chunk,
            incarnation: row.incarnation,
            shard: row.shard,
        });
        Ok(found.collect())
    }
}
