//! Pages of chunk rows for those who repair and move: by endangerment, and by name.

use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;
use cairn_model::{Incarnation, limits};
use cairn_wire::metadata::{ChunkPage, GetChunkRows, GetDebt};

use super::objects::chunk;
use super::{QueryError, Rows, page_size};
use crate::apply::ApplyError;
use crate::keyspace::KeyKind;
use crate::keyspace::chunk::{ChunkKey, ChunkState};
use crate::keyspace::cluster::ClusterKey;
use crate::keyspace::debt::DebtKey;

/// Chunks in debt or suspect, the most endangered first.
pub(super) fn owed(rows: &Rows<'_>, query: &GetDebt) -> Result<ChunkPage, QueryError> {
    let limit = page_size(query.limit, limits::CHUNK_PAGE_MAX);
    let mut page = ChunkPage::default();
    let start = start::<DebtKey>(&query.after)?;
    for row in rows.scan_from::<DebtKey>(Bound::Excluded(&start), &[DebtKey::PREFIX]) {
        let (key, _) = row?;
        let row = rows.get(&ChunkKey(key.chunk))?;
        let row = row.ok_or(ApplyError::Inconsistent("debt of a chunk that is none"))?;
        page.chunks.push(chunk(key.chunk, row));
        if page.chunks.len() >= limit {
            page.next = key.encode().into();
            break;
        }
    }
    Ok(page)
}

/// Chunks that may be read, in the order of their names; a page may be empty and not the last.
pub(super) fn rows(rows: &Rows<'_>, query: &GetChunkRows) -> Result<ChunkPage, QueryError> {
    let limit = page_size(query.limit, limits::CHUNK_PAGE_MAX);
    let bits = rows.get(&ClusterKey)?.map_or(1, |row| row.partition_bits);
    let asked: BTreeSet<u32> = query.partitions.iter().copied().collect();
    let taken = |incarnation: &Bytes| {
        let partition = Incarnation::from_bytes(incarnation).map(|stamp| stamp.partition(bits));
        asked.is_empty() || partition.is_some_and(|partition| asked.contains(&partition))
    };
    let mut page = ChunkPage::default();
    let start = start::<ChunkKey>(&query.after)?;
    let found = rows.scan_from::<ChunkKey>(Bound::Excluded(&start), &[ChunkKey::PREFIX]);
    for (scanned, row) in (1..).zip(found) {
        let (key, row) = row?;
        // A condemned one may still be read by a session that is open.
        if row.state() != ChunkState::Deleting && taken(&row.incarnation) {
            page.chunks.push(chunk(key.0, row));
        }
        if page.chunks.len() >= limit || scanned >= limits::CHUNK_SCAN_MAX {
            page.next = key.encode().into();
            break;
        }
    }
    Ok(page)
}

/// Where a page begins, exclusive: behind the last key of the page before. No key is the prefix
/// alone.
fn start<K: KeyKind>(after: &Bytes) -> Result<Vec<u8>, QueryError> {
    if after.is_empty() {
        return Ok(vec![K::PREFIX]);
    }
    match K::decode(after) {
        Ok(key) => Ok(key.encode()),
        Err(_) => Err(QueryError::Malformed("no page ends there")),
    }
}
