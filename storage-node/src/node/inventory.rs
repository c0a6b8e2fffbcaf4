//! What lies on the disks, for the planner.

use async_trait::async_trait;
use cairn_model::{DiskId, Incarnation};
use cairn_rpc::{ShardError, ShardFound, ShardInventory};

use super::StorageNode;

#[async_trait]
impl ShardInventory for StorageNode {
    async fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        let disk = self.disk(disk)?;
        disk.on_reader(move |volume| volume.inventory(after, limit))
            .await
    }
}
