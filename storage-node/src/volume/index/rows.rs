//! Keys and values of the index. Not a format to keep: an index of another version is rebuilt.

use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DiskId, Incarnation};
use cairn_store::StoreError;

use crate::format::fields::Fields;
use crate::format::{Salt, Shape};
use crate::volume::ledger::Place;

/// Raised whenever a row changes its meaning; an index of another version is rebuilt.
const VERSION: u8 = 1;

pub(super) const STATE_KEY: &[u8] = b"m";
pub(super) const SEGMENT: u8 = b's';
pub(super) const LIVE: u8 = b'r';
pub(super) const DEAD: u8 = b'd';
pub(super) const TOMBSTONE: u8 = b't';

/// A record: where it is and what its header and trailer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) shape: Shape,
    pub(crate) place: Place,
    pub(crate) sequence: u64,
    pub(crate) chunk: ChunkId,
}

/// What the index knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateRow {
    pub(crate) disk: DiskId,
    /// Nothing was changed since this row was persisted.
    pub(crate) clean: bool,
    pub(crate) next_segment: u64,
    /// Above every sequence in a sealed segment.
    pub(crate) next_sequence: u64,
}

/// A sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) salt: Salt,
    pub(crate) units: u32,
    pub(crate) live: u64,
    pub(crate) punched: u64,
    pub(crate) tombstones: u64,
}

/// A tombstone that something still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TombstoneRow {
    pub(crate) incarnation: Incarnation,
    pub(crate) chunk: ChunkId,
    pub(crate) sequence: u64,
    /// Where it lies.
    pub(crate) segment: u64,
}

pub(super) fn writing_prefix(kind: u8, incarnation: Incarnation) -> Vec<u8> {
    [&[kind][..], &incarnation.to_bytes()].concat()
}

pub(super) fn live_key(incarnation: Incarnation, shard: u8) -> Vec<u8> {
    let mut key = writing_prefix(LIVE, incarnation);
    key.push(shard);
    key
}

pub(super) fn dead_key(entry: &Entry) -> Vec<u8> {
    let mut key = writing_prefix(DEAD, entry.shape.incarnation);
    key.push(entry.shape.shard);
    key.extend(entry.place.segment.to_be_bytes());
    key.extend(entry.place.unit.to_be_bytes());
    key
}

pub(super) fn entry_value(entry: &Entry) -> Bytes {
    let (data, parity, cell, layout) = entry.shape.coding.parts();
    let mut value = Vec::with_capacity(76);
    value.extend(entry.place.segment.to_be_bytes());
    value.extend(entry.place.unit.to_be_bytes());
    value.extend(entry.sequence.to_be_bytes());
    value.extend(entry.chunk.to_bytes());
    value.extend([data, parity, layout]);
    value.extend(cell.to_be_bytes());
    value.extend(entry.shape.chunk_len.to_be_bytes());
    value.into()
}

/// Reads a live or dead row.
pub(super) fn entry(key: &[u8], value: &[u8]) -> Result<Entry, StoreError> {
    read_entry(key, value).ok_or_else(|| StoreError("index row cannot be read".to_owned()))
}

fn read_entry(key: &[u8], value: &[u8]) -> Option<Entry> {
    let mut key = Fields(key);
    key.u8()?;
    let incarnation = Incarnation::from_bytes(&key.array::<{ Incarnation::LEN }>()?)?;
    let shard = key.u8()?;
    let mut fields = Fields(value);
    let (segment, unit, sequence) = (fields.u64()?, fields.u32()?, fields.u64()?);
    let chunk = ChunkId::from_bytes(&fields.array::<{ ChunkId::LEN }>()?)?;
    let [data, parity, layout] = fields.array()?;
    let coding = Coding::from_parts(data, parity, fields.u32()?, layout).ok()?;
    let shape = Shape {
        incarnation,
        shard,
        coding,
        chunk_len: fields.u64()?,
    };
    Some(Entry {
        shape,
        place: Place {
            segment,
            unit,
            units: shape.units()?,
        },
        sequence,
        chunk,
    })
}

pub(super) fn segment_key(number: u64) -> Vec<u8> {
    [&[SEGMENT][..], &number.to_be_bytes()].concat()
}

pub(super) fn segment_value(row: &SegmentRow) -> Bytes {
    let mut value = row.salt.0.to_vec();
    value.extend(row.units.to_be_bytes());
    for count in [row.live, row.punched, row.tombstones] {
        value.extend(count.to_be_bytes());
    }
    value.into()
}

pub(super) fn segment(key: &[u8], value: &[u8]) -> Option<(u64, SegmentRow)> {
    let mut key = Fields(key);
    key.u8()?;
    let number = key.u64()?;
    let mut fields = Fields(value);
    Some((
        number,
        SegmentRow {
            salt: Salt(fields.array()?),
            units: fields.u32()?,
            live: fields.u64()?,
            punched: fields.u64()?,
            tombstones: fields.u64()?,
        },
    ))
}

pub(super) fn tombstone_key(incarnation: Incarnation, chunk: ChunkId) -> Vec<u8> {
    let mut key = writing_prefix(TOMBSTONE, incarnation);
    key.extend(chunk.to_bytes());
    key
}

pub(super) fn tombstone_value(row: &TombstoneRow) -> Bytes {
    let mut value = row.sequence.to_be_bytes().to_vec();
    value.extend(row.segment.to_be_bytes());
    value.into()
}

pub(super) fn tombstone(key: &[u8], value: &[u8]) -> Result<TombstoneRow, StoreError> {
    let read = || {
        let mut key = Fields(key);
        key.u8()?;
        let mut value = Fields(value);
        Some(TombstoneRow {
            incarnation: Incarnation::from_bytes(&key.array::<{ Incarnation::LEN }>()?)?,
            chunk: ChunkId::from_bytes(&key.array::<{ ChunkId::LEN }>()?)?,
            sequence: value.u64()?,
            segment: value.u64()?,
        })
    };
    read().ok_or_else(|| StoreError("index tombstone cannot be read".to_owned()))
}

pub(super) fn state_value(row: &StateRow) -> Bytes {
    let mut value = vec![VERSION, u8::from(row.clean)];
    value.extend(row.disk.0);
    value.extend(row.next_segment.to_be_bytes());
    value.extend(row.next_sequence.to_be_bytes());
    value.into()
}

/// `None` for another version: rebuild.
pub(super) fn state(value: &[u8]) -> Option<StateRow> {
    let mut fields = Fields(value);
    fields.expect(&[VERSION])?;
    let clean = fields.u8()? == 1;
    Some(StateRow {
        disk: DiskId(fields.array()?),
        clean,
        next_segment: fields.u64()?,
        next_sequence: fields.u64()?,
    })
}
