//! Objects, their manifest pages and chunk rows.

use cairn_model::{ChunkId, DomainId, Sha256, limits};
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::object::Place as ObjectPlace;
use cairn_wire::metadata::part_read::Place as PartPlace;
use cairn_wire::metadata::{
    Chunk, ChunkKey as ChunkRef, ChunksAnswer, Content, ExtentList, ExtentRead, ExtentWrite,
    FindObject, FoundAnswer, GetChunks, GetObject, GetPages, Object, ObjectAnswer, Page,
    PagesAnswer, PartRead,
};

use super::{QueryError, Rows};
use crate::apply::ApplyError;
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::manifest::{PageKey, PagePart};
use crate::keyspace::object::{ObjectKey, ObjectRow};

/// Most pages one answer holds.
const PAGES_MAX: u32 = 64;

/// The current version of a key; no object where there is none.
pub(super) fn get(rows: &Rows<'_>, query: &GetObject) -> Result<ObjectAnswer, QueryError> {
    let key = ObjectKey {
        bucket: query.bucket,
        key: query.key.to_vec(),
    };
    Ok(ObjectAnswer {
        object: rows.get(&key)?.map(|row| object(key.key, row)),
    })
}

/// A bucket by name, the current version of a key in it, and the rows of its chunks where they are
/// few: each none where it is not there.
pub(super) fn find(rows: &Rows<'_>, query: FindObject) -> Result<FoundAnswer, QueryError> {
    let mut found = FoundAnswer {
        bucket: super::bucket(rows, query.bucket)?,
        ..FoundAnswer::default()
    };
    let Some(bucket) = &found.bucket else {
        return Ok(found);
    };
    let key = GetObject {
        bucket: bucket.id,
        key: query.key,
    };
    found.object = get(rows, &key)?.object;
    let place = found
        .object
        .as_ref()
        .and_then(|object| object.place.as_ref());
    if let Some(ObjectPlace::Extents(list)) = place
        && list.extents.len() <= usize::try_from(query.chunks).unwrap_or(0)
    {
        let key = |extent: &ExtentRead| ChunkRef {
            domain: bucket.domain,
            sha256: extent.sha256.clone(),
        };
        let asked = GetChunks {
            chunks: list.extents.iter().map(key).collect(),
        };
        found.chunks = chunks(rows, &asked)?.chunks;
    }
    Ok(found)
}

fn object(key: Vec<u8>, row: ObjectRow) -> Object {
    let place = match row.content.and_then(|content| content.place) {
        None => None,
        Some(Place::Inline(bytes)) => Some(ObjectPlace::Inline(bytes)),
        Some(Place::Extents(list)) => Some(ObjectPlace::Extents(extents(list.extents))),
        Some(Place::Pages(pages)) => Some(ObjectPlace::Pages(pages)),
        Some(Place::PartPages(pages)) => Some(ObjectPlace::PartPages(pages)),
    };
    Object {
        key: key.into(),
        version: row.version,
        length: row.length,
        modified_ms: row.modified_ms,
        attributes: row.attributes,
        owner: row.owner,
        place,
    }
}

fn extents(list: Vec<ExtentWrite>) -> ExtentList {
    ExtentList {
        extents: list.into_iter().map(extent).collect(),
    }
}

fn extent(extent: ExtentWrite) -> ExtentRead {
    ExtentRead {
        sha256: extent.sha256,
        incarnation: extent.incarnation,
        chunk_length: extent.chunk_length,
        offset: extent.offset,
        length: extent.length,
        coding: extent.coding,
    }
}

/// Consecutive pages of a manifest; fewer where it ends.
pub(super) fn pages(rows: &Rows<'_>, query: &GetPages) -> Result<PagesAnswer, QueryError> {
    let Ok(manifest) = <[u8; 16]>::try_from(query.manifest.as_ref()) else {
        return Err(QueryError::Malformed("a stamp is 16 bytes"));
    };
    let mut answer = PagesAnswer::default();
    for page in (0..query.count.min(PAGES_MAX)).map_while(|step| query.from.checked_add(step)) {
        let Some(row) = rows.get(&PageKey { manifest, page })? else {
            break;
        };
        answer.pages.push(Page {
            extents: row.extents.into_iter().map(extent).collect(),
            parts: row.parts.into_iter().map(part).collect::<Result<_, _>>()?,
        });
    }
    Ok(answer)
}

fn part(part: PagePart) -> Result<PartRead, ApplyError> {
    let place = match part.content {
        Some(Content {
            place: Some(Place::Inline(bytes)),
        }) => PartPlace::Inline(bytes),
        Some(Content {
            place: Some(Place::Extents(list)),
        }) => PartPlace::Extents(extents(list.extents)),
        Some(Content {
            place: Some(Place::Pages(pages)),
        }) => PartPlace::Pages(pages),
        Some(Content {
            place: Some(Place::PartPages(_)) | None,
        })
        | None => {
            return Err(ApplyError::Inconsistent("a part without content"));
        }
    };
    Ok(PartRead {
        number: part.number,
        length: part.length,
        place: Some(place),
        checksums: part.checksums,
    })
}

/// The rows of the chunks that exist, in the order asked.
pub(super) fn chunks(rows: &Rows<'_>, query: &GetChunks) -> Result<ChunksAnswer, QueryError> {
    if query.chunks.len() > limits::PAGE_EXTENTS_MAX {
        return Err(QueryError::Malformed("too many chunks in one query"));
    }
    let mut answer = ChunksAnswer::default();
    for asked in &query.chunks {
        let Ok(digest) = <[u8; 32]>::try_from(asked.sha256.as_ref()) else {
            return Err(QueryError::Malformed("a SHA-256 is 32 bytes"));
        };
        let id = ChunkId {
            domain: DomainId(asked.domain),
            sha256: Sha256(digest),
        };
        let Some(row) = rows.get(&ChunkKey(id))? else {
            continue;
        };
        answer.chunks.push(chunk(id, row));
    }
    Ok(answer)
}

/// A chunk's row as it is told.
pub(super) fn chunk(id: ChunkId, row: ChunkRow) -> Chunk {
    Chunk {
        live: row.state() == ChunkState::Live,
        sha256: id.sha256.0.to_vec().into(),
        incarnation: row.incarnation,
        coding: row.coding,
        length: row.length,
        crc64nvme: row.crc64nvme,
        table_digest: row.table_digest,
        refs: row.refs,
        suspect: row.suspect,
        debt: row.debt,
        domain: id.domain.0,
        suspicions: row.suspicions,
    }
}
