//! The caller's side.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{DiskId, Incarnation, limits};
use cairn_wire::frame::FrameType;
use cairn_wire::storage::reply::Outcome;
use cairn_wire::storage::request::Call as Asked;
use cairn_wire::storage::{Cells, Inventory, Reply, Request, Space};
use prost::Message as _;

use super::cells::CellCutter;
use super::convert;
use super::failure::{from_wire, of_call, unexpected};
use super::upload::Upload;
use crate::quic::peer::{ClientCall, RemotePeer};
use crate::{
    ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader, ShardInventory, ShardRead,
    ShardService, ShardUpload,
};

/// The shards of a node in another process.
#[derive(Debug)]
pub struct ShardClient {
    pub(super) peer: Arc<RemotePeer>,
    pub(super) within: Duration,
}

impl ShardClient {
    /// Calls the node at `peer`. A call ends `within`; of an upload each step does, and a rebuild
    /// may be silent for no longer.
    #[must_use]
    pub fn new(peer: Arc<RemotePeer>, within: Duration) -> Self {
        Self { peer, within }
    }

    /// Sends a request; its answer is still to come.
    pub(super) async fn ask(&self, asked: Asked) -> Result<ClientCall, ShardError> {
        let call = Some(asked);
        let request: Bytes = Request { call }.encode_to_vec().into();
        let opened = self.peer.begin(FrameType::Storage, self.within).await;
        let mut call = opened.map_err(of_call)?;
        call.send(request).await.map_err(of_call)?;
        Ok(call)
    }

    /// One frame each way.
    async fn exchange(&self, asked: Asked) -> Result<Outcome, ShardError> {
        let mut call = self.ask(asked).await?;
        call.finish();
        outcome(&mut call).await
    }
}

/// The next answer that is not raw. A failure is an error.
pub(super) async fn outcome(call: &mut ClientCall) -> Result<Outcome, ShardError> {
    let reply = call.expect().await.map_err(of_call)?;
    match Reply::decode(reply).ok().and_then(|reply| reply.outcome) {
        Some(Outcome::Failure(failure)) => Err(from_wire(failure)),
        Some(outcome) => Ok(outcome),
        None => Err(unexpected()),
    }
}

/// Cells that `read` may be answered with, else `None`: so a peer cannot make us hold more.
fn cutter_of(read: &ShardRead, head: &Cells) -> Option<CellCutter> {
    let fits = |len: &u32| (1..=limits::CELL_LEN_MAX).contains(len);
    let count = u32::try_from(head.lengths.len()).ok()?;
    let cutter = CellCutter::new(head.lengths.iter().map(|len| u64::from(*len)));
    // The padding of a last stripe is less than a cell.
    let most = limits::CHUNK_LEN_MAX + u64::from(limits::CELL_LEN_MAX);
    let fair = count <= read.cells
        && head.lengths.iter().all(fits)
        && cutter.missing() <= most
        && head.has_table == read.with_table;
    fair.then_some(cutter)
}

#[async_trait]
impl ShardService for ShardClient {
    async fn prepare(&self, header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        let mut call = self
            .ask(Asked::Prepare(convert::header_to(&header)))
            .await?;
        match outcome(&mut call).await? {
            Outcome::Accepted(_) => Ok(Box::new(Upload::new(
                Arc::clone(&self.peer),
                self.within,
                call,
                header,
            ))),
            _ => Err(unexpected()),
        }
    }

    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError> {
        let mut call = self.ask(Asked::Read(convert::read_to(&read))).await?;
        call.finish();
        let Outcome::Cells(head) = outcome(&mut call).await? else {
            return Err(unexpected());
        };
        let mut cutter = cutter_of(&read, &head).ok_or_else(unexpected)?;
        let cell_table = match head.has_table {
            true => Some(convert::table_of(head.cell_table).ok_or_else(unexpected)?),
            false => None,
        };
        let mut cells = Vec::new();
        while cutter.missing() > 0 {
            let frame = call.expect().await.map_err(of_call)?;
            if frame.is_empty() {
                return Err(unexpected());
            }
            cells.extend(cutter.take(frame).map_err(|_| unexpected())?);
        }
        Ok(ShardCells {
            cells,
            checksums: None,
            cell_table,
        })
    }

    async fn delete(
        &self,
        disk: DiskId,
        generation: u16,
        deletes: &[ShardDelete],
    ) -> Result<(), ShardError> {
        for page in deletes.chunks(limits::RPC_DELETES_MAX) {
            match self
                .exchange(Asked::Delete(convert::deletes_to(disk, generation, page)))
                .await?
            {
                Outcome::Deleted(_) => {}
                _ => return Err(unexpected()),
            }
        }
        Ok(())
    }

    async fn space(&self, disk: DiskId) -> Result<(u64, u64), ShardError> {
        let disk = convert::disk_to(disk);
        match self.exchange(Asked::Space(Space { disk })).await? {
            Outcome::Room(room) => Ok((room.free, room.total)),
            _ => Err(unexpected()),
        }
    }
}

#[async_trait]
impl ShardInventory for ShardClient {
    async fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        let mut all: Vec<ShardFound> = Vec::new();
        while all.len() < limit {
            let page = (limit - all.len()).min(limits::RPC_INVENTORY_MAX);
            let last = all.last().map(|found| (found.incarnation, found.shard));
            let asked = Asked::Inventory(Inventory {
                disk: convert::disk_to(disk),
                after: last.or(after).map(convert::place_to),
                limit: u32::try_from(page).unwrap_or(u32::MAX),
            });
            let Outcome::Found(found) = self.exchange(asked).await? else {
                return Err(unexpected());
            };
            let found = convert::found_of(&found)
                .filter(|found| found.len() <= page)
                .ok_or_else(unexpected)?;
            let is_last = found.len() < page;
            all.extend(found);
            if is_last {
                break;
            }
        }
        Ok(all)
    }
}
