//! Shards over the simulated network: each step of an upload is a call, in order.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{DiskId, Incarnation};
use cairn_rpc::{
    Rebuild, Rebuilt, ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader, ShardInventory,
    ShardRead, ShardRebuild, ShardReceipt, ShardService, ShardTrailer, ShardUpload,
};
use cairn_storage_node::StorageNode;
use tokio::sync::Mutex;

use super::{Network, Services};
use crate::process::Process;

/// For one step of a shard call, as `cairn` has it.
const PATIENCE: Duration = Duration::from_secs(15);
/// For one rebuild.
const REBUILD_PATIENCE: Duration = Duration::from_secs(60);

/// The disks of another machine.
#[derive(Clone, Debug)]
pub(crate) struct RemoteShards {
    pub(crate) network: Network,
    pub(crate) process: Process,
    pub(crate) to: u64,
}

fn unavailable(why: &str) -> ShardError {
    ShardError::Unavailable(why.to_owned())
}

impl RemoteShards {
    /// Runs `work` on the storage node over there, after the time its disks take.
    async fn there<T, F>(
        &self,
        work: impl FnOnce(Arc<StorageNode>) -> F + Send + 'static,
    ) -> Result<T, ShardError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ShardError>> + Send + 'static,
    {
        let (network, to) = (self.network.clone(), self.to);
        let serve = move |services: Services| async move {
            tokio::time::sleep(network.disk_time(to)).await;
            services.process.running().await;
            match services.storage {
                Some(storage) => work(storage).await,
                None => Err(unavailable("no disks are there")),
            }
        };
        let sent = self.network.call(&self.process, self.to, PATIENCE, serve);
        sent.await.unwrap_or_else(|_| Err(unavailable("no answer")))
    }
}

#[async_trait]
impl ShardService for RemoteShards {
    async fn prepare(&self, header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        let open = async move |storage: Arc<StorageNode>| {
            let upload = storage.prepare(header).await?;
            Ok((upload, Arc::downgrade(&storage)))
        };
        let (upload, node) = self.there(open).await?;
        Ok(Box::new(RemoteUpload {
            line: self.clone(),
            node,
            upload: Arc::new(Mutex::new(Some(upload))),
            is_broken: false,
        }))
    }

    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError> {
        let work = async move |storage: Arc<StorageNode>| storage.read(read).await;
        let mut found = self.there(work).await?;
        // As from another process.
        found.checksums = None;
        Ok(found)
    }

    async fn delete(
        &self,
        disk: DiskId,
        generation: u16,
        deletes: &[ShardDelete],
    ) -> Result<(), ShardError> {
        let deletes = deletes.to_vec();
        if self.network.is_repeated() {
            let (line, deletes) = (self.clone(), deletes.clone());
            tokio::spawn(async move {
                let work = async move |storage: Arc<StorageNode>| {
                    storage.delete(disk, generation, &deletes).await
                };
                line.there(work).await
            });
        }
        let work =
            async move |storage: Arc<StorageNode>| storage.delete(disk, generation, &deletes).await;
        self.there(work).await
    }

    async fn space(&self, disk: DiskId) -> Result<(u64, u64), ShardError> {
        let work = async move |storage: Arc<StorageNode>| storage.space(disk).await;
        self.there(work).await
    }
}

#[async_trait]
impl ShardInventory for RemoteShards {
    async fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        let work = async move |storage: Arc<StorageNode>| storage.inventory(disk, after, limit);
        self.there(work).await
    }
}

#[async_trait]
impl ShardRebuild for RemoteShards {
    async fn rebuild(&self, order: Rebuild) -> Result<Rebuilt, ShardError> {
        let serve = async move |services: Services| match services.rebuild {
            Some(rebuild) => rebuild.rebuild(order).await,
            None => Err(unavailable("nobody rebuilds there")),
        };
        let sent = (self.network).call(&self.process, self.to, REBUILD_PATIENCE, serve);
        sent.await.unwrap_or_else(|_| Err(unavailable("no answer")))
    }
}

/// An upload whose record grows on another machine.
#[derive(Debug)]
struct RemoteUpload {
    line: RemoteShards,
    /// Where it was begun: what comes there after a new start finds nothing of it.
    node: Weak<StorageNode>,
    /// Taken by the call that seals it; gone with this handle where nobody does.
    upload: Arc<Mutex<Option<Box<dyn ShardUpload>>>>,
    /// A step has no answer: what comes after it would be out of order.
    is_broken: bool,
}

fn begun_there(begun: &Weak<StorageNode>, storage: &Arc<StorageNode>) -> Result<(), ShardError> {
    if Weak::ptr_eq(begun, &Arc::downgrade(storage)) {
        return Ok(());
    }
    Err(unavailable("the node has started anew since"))
}

impl RemoteUpload {
    fn check(&self) -> Result<(), ShardError> {
        if self.is_broken {
            return Err(unavailable("a step before has no answer"));
        }
        Ok(())
    }
}

#[async_trait]
impl ShardUpload for RemoteUpload {
    async fn write(&mut self, cells: &[Bytes]) -> Result<(), ShardError> {
        self.check()?;
        let (upload, cells) = (Arc::clone(&self.upload), cells.to_vec());
        let node = self.node.clone();
        let work = async move |storage: Arc<StorageNode>| {
            begun_there(&node, &storage)?;
            match upload.lock().await.as_mut() {
                Some(upload) => upload.write(&cells).await,
                None => Err(ShardError::Refused("it was sealed")),
            }
        };
        // Until the answer is there nobody may go on.
        self.is_broken = true;
        let outcome = self.line.there(work).await;
        self.is_broken = outcome.is_err();
        outcome
    }

    async fn finish(self: Box<Self>, trailer: ShardTrailer) -> Result<ShardReceipt, ShardError> {
        self.check()?;
        let upload = Arc::clone(&self.upload);
        let node = self.node.clone();
        let work = async move |storage: Arc<StorageNode>| {
            begun_there(&node, &storage)?;
            let taken = upload.lock().await.take();
            match taken {
                Some(upload) => upload.finish(trailer).await,
                None => Err(ShardError::Refused("it was sealed")),
            }
        };
        self.line.there(work).await
    }
}
