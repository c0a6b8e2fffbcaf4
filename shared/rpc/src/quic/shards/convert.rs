//! The calls of `ShardService` as messages, and back: what is read from a peer is checked here, and is
//! `None` where it breaks a rule.

use std::sync::Arc;

use bytes::Bytes;
use cairn_model::{ChunkId, DiskId, Incarnation, limits};
use cairn_wire::storage as wire;

use crate::{ShardDelete, ShardFound, ShardHeader, ShardRead, ShardReceipt, ShardTrailer};

/// Cells of the plain data of the longest chunk: every cell is at least 4 KiB but the last stripe's.
const TABLE_CELLS_MAX: usize =
    (limits::CHUNK_LEN_MAX / 4_096) as usize + limits::SHARDS_MAX as usize;

const _: () = assert!(TABLE_CELLS_MAX * 4 + 1_024 < limits::WIRE_PAYLOAD_MAX as usize);

pub(super) fn bytes(bytes: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(bytes.as_ref())
}

pub(super) fn disk_to(disk: DiskId) -> Bytes {
    bytes(disk.0)
}

pub(super) fn disk_of(disk: &Bytes) -> Option<DiskId> {
    disk.as_ref().try_into().ok().map(DiskId)
}

pub(super) fn stamp_of(stamp: &Bytes) -> Option<Incarnation> {
    (stamp.len() == Incarnation::LEN).then(|| Incarnation::from_bytes(stamp))?
}

pub(super) fn header_to(header: &ShardHeader) -> wire::Prepare {
    wire::Prepare {
        disk: disk_to(header.disk),
        epoch: header.epoch,
        incarnation: bytes(header.incarnation.to_bytes()),
        shard: u32::from(header.shard),
        coding: Some(header.coding.into()),
        chunk_length: header.chunk_len,
    }
}

/// A shard that can be: of a coding this version reads, a chunk within its bound, an index within
/// the coding.
pub(super) fn header_of(prepare: &wire::Prepare) -> Option<ShardHeader> {
    let coding = prepare.coding?.read()?;
    let shard = u8::try_from(prepare.shard).ok()?;
    let possible =
        usize::from(shard) < coding.shards() && prepare.chunk_length <= limits::CHUNK_LEN_MAX;
    possible.then_some(ShardHeader {
        disk: disk_of(&prepare.disk)?,
        epoch: prepare.epoch,
        incarnation: stamp_of(&prepare.incarnation)?,
        shard,
        coding,
        chunk_len: prepare.chunk_length,
    })
}

pub(super) fn trailer_to(trailer: &ShardTrailer) -> wire::Trailer {
    wire::Trailer {
        chunk: bytes(trailer.chunk.to_bytes()),
        cell_table: trailer.cell_table.to_vec(),
    }
}

pub(super) fn trailer_of(trailer: wire::Trailer) -> Option<ShardTrailer> {
    Some(ShardTrailer {
        chunk: ChunkId::from_bytes(&trailer.chunk)?,
        cell_table: table_of(trailer.cell_table)?,
    })
}

pub(super) fn table_of(table: Vec<u32>) -> Option<Arc<[u32]>> {
    (table.len() <= TABLE_CELLS_MAX).then(|| table.into())
}

pub(super) fn receipt_to(receipt: &ShardReceipt) -> wire::Receipt {
    wire::Receipt {
        disk: disk_to(receipt.disk),
        incarnation: bytes(receipt.incarnation.to_bytes()),
        shard: u32::from(receipt.shard),
    }
}

pub(super) fn receipt_of(receipt: &wire::Receipt) -> Option<ShardReceipt> {
    Some(ShardReceipt {
        disk: disk_of(&receipt.disk)?,
        incarnation: stamp_of(&receipt.incarnation)?,
        shard: u8::try_from(receipt.shard).ok()?,
    })
}

pub(super) fn read_to(read: &ShardRead) -> wire::Read {
    wire::Read {
        disk: disk_to(read.disk),
        epoch: read.epoch,
        chunk: bytes(read.chunk.to_bytes()),
        incarnation: bytes(read.incarnation.to_bytes()),
        shard: u32::from(read.shard),
        first_cell: read.first_cell,
        cells: read.cells,
        with_table: read.with_table,
    }
}

pub(super) fn read_of(read: &wire::Read) -> Option<ShardRead> {
    Some(ShardRead {
        disk: disk_of(&read.disk)?,
        epoch: read.epoch,
        chunk: ChunkId::from_bytes(&read.chunk)?,
        incarnation: stamp_of(&read.incarnation)?,
        shard: u8::try_from(read.shard).ok()?,
        first_cell: read.first_cell,
        cells: read.cells,
        with_table: read.with_table,
    })
}

pub(super) fn deletes_to(disk: DiskId, generation: u16, deletes: &[ShardDelete]) -> wire::Delete {
    let writing = |delete: &ShardDelete| wire::Writing {
        chunk: bytes(delete.chunk.to_bytes()),
        incarnation: bytes(delete.incarnation.to_bytes()),
    };
    wire::Delete {
        disk: disk_to(disk),
        writings: deletes.iter().map(writing).collect(),
        generation: generation.into(),
    }
}

pub(super) fn deletes_of(delete: &wire::Delete) -> Option<(DiskId, u16, Vec<ShardDelete>)> {
    if delete.writings.len() > limits::RPC_DELETES_MAX {
        return None;
    }
    let writing = |writing: &wire::Writing| {
        Some(ShardDelete {
            chunk: ChunkId::from_bytes(&writing.chunk)?,
            incarnation: stamp_of(&writing.incarnation)?,
        })
    };
    let deletes = delete.writings.iter().map(writing).collect::<Option<_>>()?;
    let generation = u16::try_from(delete.generation).ok()?;
    Some((disk_of(&delete.disk)?, generation, deletes))
}

/// Where an inventory goes on.
pub(super) type Place = (Incarnation, u8);

pub(super) fn place_to((incarnation, shard): Place) -> wire::Place {
    wire::Place {
        incarnation: bytes(incarnation.to_bytes()),
        shard: u32::from(shard),
    }
}

/// The disk, where to go on, and how many shards.
pub(super) fn inventory_of(asked: &wire::Inventory) -> Option<(DiskId, Option<Place>, usize)> {
    let limit = usize::try_from(asked.limit).ok()?;
    let after = match &asked.after {
        Some(place) => Some((
            stamp_of(&place.incarnation)?,
            u8::try_from(place.shard).ok()?,
        )),
        None => None,
    };
    (limit <= limits::RPC_INVENTORY_MAX).then_some((disk_of(&asked.disk)?, after, limit))
}

pub(super) fn found_to(found: &[ShardFound]) -> wire::Found {
    let shard = |found: &ShardFound| wire::FoundShard {
        chunk: bytes(found.chunk.to_bytes()),
        incarnation: bytes(found.incarnation.to_bytes()),
        shard: u32::from(found.shard),
    };
    wire::Found {
        shards: found.iter().map(shard).collect(),
    }
}

pub(super) fn found_of(found: &wire::Found) -> Option<Vec<ShardFound>> {
    let shard = |found: &wire::FoundShard| {
        Some(ShardFound {
            chunk: ChunkId::from_bytes(&found.chunk)?,
            incarnation: stamp_of(&found.incarnation)?,
            shard: u8::try_from(found.shard).ok()?,
        })
    };
    found.shards.iter().map(shard).collect()
}

#[cfg(test)]
mod tests;
