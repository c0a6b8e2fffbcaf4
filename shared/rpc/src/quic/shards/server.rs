//! The serving side.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::storage::reply::Outcome;
use cairn_wire::storage::request::Call as Asked;
use cairn_wire::storage::{Accepted, Cells, Deleted, Reply, Request, Room, Trailer};
use cairn_world::Clock;
use prost::Message as _;

use super::cells::{CellCutter, raw_frames};
use super::rebuild::{self, Rebuilds};
use super::{convert, failure};
use crate::quic::dispatch::{Abort, Handler, ServerCall};
use crate::quic::error::Refusal;
use crate::quic::identity::Peer;
use crate::quic::roles::Call;
use crate::{
    ShardCells, ShardError, ShardHeader, ShardInventory, ShardRead, ShardRebuild, ShardService,
    ShardUpload,
};

/// Serves the shards of this node to other processes.
#[derive(Debug)]
pub struct ShardHandler {
    shards: Arc<dyn ShardService>,
    inventory: Arc<dyn ShardInventory>,
    rebuilds: Option<Rebuilds>,
}

impl ShardHandler {
    /// Serves these, which are of the same disks.
    #[must_use]
    pub fn new(shards: Arc<dyn ShardService>, inventory: Arc<dyn ShardInventory>) -> Self {
        Self {
            shards,
            inventory,
            rebuilds: None,
        }
    }

    /// Also makes shards anew; `clock` paces the signs of life meanwhile. Without, the call is refused.
    #[must_use]
    pub fn with_rebuild(mut self, rebuild: Arc<dyn ShardRebuild>, clock: Arc<dyn Clock>) -> Self {
        self.rebuilds = Some(Rebuilds { rebuild, clock });
        self
    }

    async fn carry_out(&self, asked: Asked, call: &mut ServerCall) -> Result<(), Abort> {
        match asked {
            Asked::Prepare(prepare) => {
                let header = convert::header_of(&prepare).ok_or_else(malformed)?;
                self.upload(header, call).await
            }
            Asked::Read(read) => {
                let read = convert::read_of(&read).ok_or_else(malformed)?;
                self.read(read, call).await
            }
            Asked::Delete(delete) => {
                let (disk, generation, deletes) =
                    convert::deletes_of(&delete).ok_or_else(malformed)?;
                let done = self.shards.delete(disk, generation, &deletes).await;
                answer(call, done.map(|()| Outcome::Deleted(Deleted {}))).await
            }
            Asked::Space(space) => {
                let disk = convert::disk_of(&space.disk).ok_or_else(malformed)?;
                let room = self.shards.space(disk).await;
                let room = room.map(|(free, total)| Outcome::Room(Room { free, total }));
                answer(call, room).await
            }
            Asked::Inventory(asked) => {
                let (disk, after, limit) = convert::inventory_of(&asked).ok_or_else(malformed)?;
                let found = self.inventory.inventory(disk, after, limit).await;
                let found = found.map(|found| Outcome::Found(convert::found_to(&found)));
                answer(call, found).await
            }
            Asked::Rebuild(asked) => {
                let unserved = Abort::Refuse(Refusal::Unserved);
                let rebuilds = self.rebuilds.as_ref().ok_or(unserved)?;
                let order = rebuild::order_of(&asked).ok_or_else(malformed)?;
                rebuilds.carry_out(order, call).await
            }
        }
    }

    async fn read(&self, read: ShardRead, call: &mut ServerCall) -> Result<(), Abort> {
        let ShardCells {
            cells, cell_table, ..
        } = match self.shards.read(read).await {
            Ok(found) => found,
            Err(error) => return answer(call, Err(error)).await,
        };
        let length = |cell: &Bytes| u32::try_from(cell.len()).unwrap_or(u32::MAX);
        let head = Cells {
            lengths: cells.iter().map(length).collect(),
            has_table: cell_table.is_some(),
            cell_table: cell_table.map_or_else(Vec::new, |table| table.to_vec()),
        };
        answer(call, Ok(Outcome::Cells(head))).await?;
        for frame in raw_frames(&cells) {
            call.send_pieces(frame).await?;
        }
        Ok(())
    }

    async fn upload(&self, header: ShardHeader, call: &mut ServerCall) -> Result<(), Abort> {
        let mut upload = match self.shards.prepare(header).await {
            Ok(upload) => upload,
            Err(error) => return answer(call, Err(error)).await,
        };
        answer(call, Ok(Outcome::Accepted(Accepted {}))).await?;
        if let Err(error) = take_cells(&header, upload.as_mut(), call).await? {
            return answer(call, Err(error)).await;
        }
        let trailer = call.next().await?.ok_or(Abort::Gone)?;
        let trailer = Trailer::decode(trailer)
            .ok()
            .and_then(convert::trailer_of)
            .ok_or_else(malformed)?;
        let sealed = upload.finish(trailer).await;
        let receipt = sealed.map(|receipt| Outcome::Receipt(convert::receipt_to(&receipt)));
        answer(call, receipt).await
    }
}

/// Hands the shard's cells to the store as they come, and says how far it is. There is no time limit
/// between frames: the caller's own client may be slow, and a caller that has died is seen by the
/// connection.
async fn take_cells(
    header: &ShardHeader,
    upload: &mut dyn ShardUpload,
    call: &mut ServerCall,
) -> Result<Result<(), ShardError>, Abort> {
    let (coding, len) = (header.coding, header.chunk_len);
    let lengths = (0..coding.stripes(len)).map(|stripe| coding.cell_len(len, stripe));
    let mut cutter = CellCutter::new(lengths);
    let total = cutter.missing();
    while cutter.missing() > 0 {
        // An end before the trailer: the caller gave the shard up.
        let frame = call.next_frame().await?.ok_or(Abort::Gone)?;
        let most = usize::try_from(limits::DATA_FRAME_LEN).unwrap_or(usize::MAX);
        if frame.payload.is_empty() || frame.payload.len() > most {
            return Err(malformed());
        }
        let cells = cutter
            .take(frame.payload.clone())
            .map_err(|_| malformed())?;
        if !cells.is_empty()
            && let Err(error) = upload.write(&cells).await
        {
            return Ok(Err(error));
        }
        answer(call, Ok(Outcome::Taken(total - cutter.missing()))).await?;
    }
    Ok(Ok(()))
}

fn malformed() -> Abort {
    Abort::Refuse(Refusal::Malformed)
}

pub(super) async fn answer(
    call: &mut ServerCall,
    outcome: Result<Outcome, ShardError>,
) -> Result<(), Abort> {
    let outcome = outcome.unwrap_or_else(|error| Outcome::Failure(failure::to_wire(error)));
    let outcome = Some(outcome);
    call.send(Reply { outcome }.encode_to_vec().into()).await
}

fn call_of(asked: &Asked) -> Call {
    match asked {
        Asked::Prepare(_) => Call::Prepare,
        Asked::Read(_) => Call::Read,
        Asked::Delete(_) => Call::Delete,
        Asked::Space(_) => Call::Space,
        Asked::Inventory(_) => Call::Inventory,
        Asked::Rebuild(_) => Call::Rebuild,
    }
}

#[async_trait]
impl Handler for ShardHandler {
    async fn handle(&self, peer: &Peer, call: &mut ServerCall) -> Result<(), Abort> {
        let request = call.next().await?.ok_or_else(malformed)?;
        let request = Request::decode(request).map_err(|_| malformed())?;
        let asked = request.call.ok_or_else(malformed)?;
        if !call_of(&asked).allows(peer.roles) {
            return Err(Abort::Refuse(Refusal::Role));
        }
        self.carry_out(asked, call).await
    }
}
