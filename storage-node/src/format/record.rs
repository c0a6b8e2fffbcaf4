//! The header and the trailer of a shard's record.

use std::sync::Arc;

use cairn_model::{ChunkId, Coding, Incarnation, format_version};

use super::checksum::{Crc32c, Salt, crc32c};
use super::fields::Fields;
use super::shape::Shape;

/// Bytes of a record's header.
pub(crate) const HEADER_LEN: usize = 68;
/// Bytes of a trailer before its cell table.
pub(crate) const TRAILER_FIXED: usize = 92;

const HEADER_MAGIC: &[u8; 8] = b"CAIRNSHD";
const TRAILER_MAGIC: &[u8; 8] = b"CAIRNEND";
const SUMMED: usize = HEADER_LEN - 4;

/// The header of the record that begins at `unit`.
pub(crate) fn encode_header(shape: &Shape, salt: Salt, unit: u32) -> [u8; HEADER_LEN] {
    let (data, parity, cell, layout) = shape.coding.parts();
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    bytes.extend(HEADER_MAGIC);
    bytes.extend(format_version::SEGMENT.to_be_bytes());
    bytes.extend([shape.shard, data, parity, layout]);
    bytes.extend([0; 2]);
    bytes.extend(salt.0);
    bytes.extend(shape.incarnation.to_bytes());
    bytes.extend(shape.chunk_len.to_be_bytes());
    bytes.extend(cell.to_be_bytes());
    bytes.extend(unit.to_be_bytes());
    bytes.extend(crc32c(&bytes).to_be_bytes());
    let mut header = [0; HEADER_LEN];
    header.copy_from_slice(&bytes);
    header
}

/// The inverse; `None` where the bytes are not the header of a record of this segment at `unit`.
pub(crate) fn decode_header(bytes: &[u8], salt: Salt, unit: u32) -> Option<Shape> {
    let mut fields = Fields(bytes.get(..HEADER_LEN)?);
    fields.expect(HEADER_MAGIC)?;
    let (summed, sum) = bytes.get(..HEADER_LEN)?.split_at_checked(SUMMED)?;
    if fields.u16()? != format_version::SEGMENT || Fields(sum).u32()? != crc32c(summed) {
        return None;
    }
    let [shard, data, parity, layout] = fields.array()?;
    fields.expect(&[0; 2])?;
    fields.expect(&salt.0)?;
    let incarnation = Incarnation::from_bytes(&fields.array::<{ Incarnation::LEN }>()?)?;
    let chunk_len = fields.u64()?;
    let coding = Coding::from_parts(data, parity, fields.u32()?, layout).ok()?;
    let fits = fields.u32()? == unit
        && usize::from(shard) < coding.shards()
        && chunk_len <= cairn_model::limits::CHUNK_LEN_MAX;
    fits.then_some(Shape {
        incarnation,
        shard,
        coding,
        chunk_len,
    })
}

/// What is known once the cells have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Rises with every commit on the disk: a tombstone kills what came before it.
    pub(crate) sequence: u64,
    pub(crate) chunk: ChunkId,
    /// CRC-32C over the stored checksums of the shard's cells, in order.
    pub(crate) cells_crc: u32,
    /// CRC-32C of every plain data cell of the chunk at ingest.
    pub(crate) table: Arc<[u32]>,
}

/// The trailer of the record with that header. Its checksum covers the header too.
pub(crate) fn encode_trailer(
    trailer: &Trailer,
    shape: &Shape,
    salt: Salt,
    header: &[u8; HEADER_LEN],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(shape.trailer_len());
    bytes.extend(TRAILER_MAGIC);
    bytes.extend(salt.0);
    bytes.extend(trailer.sequence.to_be_bytes());
    bytes.extend(trailer.chunk.to_bytes());
    bytes.extend(shape.coding.shard_len(shape.chunk_len).to_be_bytes());
    bytes.extend(count(shape.cells()).to_be_bytes());
    bytes.extend(count(shape.table_len() as u64).to_be_bytes());
    bytes.extend(trailer.cells_crc.to_be_bytes());
    for sum in trailer.table.iter() {
        bytes.extend(sum.to_be_bytes());
    }
    bytes.extend(record_sum(header, &bytes).to_be_bytes());
    bytes
}

/// The inverse; `None` where the bytes are not the trailer that belongs to `header`.
pub(crate) fn decode_trailer(
    bytes: &[u8],
    shape: &Shape,
    salt: Salt,
    header: &[u8; HEADER_LEN],
) -> Option<Trailer> {
    let bytes = bytes.get(..shape.trailer_len())?;
    let mut fields = Fields(bytes);
    fields.expect(TRAILER_MAGIC)?;
    fields.expect(&salt.0)?;
    let (summed, sum) = bytes.split_last_chunk::<4>()?;
    if u32::from_be_bytes(*sum) != record_sum(header, summed) {
        return None;
    }
    let sequence = fields.u64()?;
    let chunk = ChunkId::from_bytes(&fields.array::<{ ChunkId::LEN }>()?)?;
    if fields.u64()? != shape.coding.shard_len(shape.chunk_len)
        || fields.u32()? != count(shape.cells())
        || fields.u32()? != count(shape.table_len() as u64)
    {
        return None;
    }
    let cells_crc = fields.u32()?;
    let table = fields.bytes(shape.table_len() * 4)?;
    Some(Trailer {
        sequence,
        chunk,
        cells_crc,
        table: table
            .as_chunks::<4>()
            .0
            .iter()
            .map(|sum| u32::from_be_bytes(*sum))
            .collect(),
    })
}

fn record_sum(header: &[u8], trailer: &[u8]) -> u32 {
    let mut crc = Crc32c::new();
    crc.update(header);
    crc.update(trailer);
    crc.value()
}

/// Counts are bounded by the longest chunk over the smallest cell.
fn count(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
