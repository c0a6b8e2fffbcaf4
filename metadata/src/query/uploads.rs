//! Multipart uploads and their parts.

use std::ops::Bound;

use cairn_model::limits;
use cairn_wire::metadata::{
    GetUpload, ListParts, ListUploads, Part, PartsAnswer, Upload, UploadsAnswer,
};

use super::listing::{group_of, past};
use super::{QueryError, Rows, page_size};
use crate::keyspace::KeyKind as _;
use crate::keyspace::upload::{PartKey, UploadKey, UploadRow};

/// One upload, or none.
pub(super) fn get(rows: &Rows<'_>, query: &GetUpload) -> Result<UploadsAnswer, QueryError> {
    let mut answer = UploadsAnswer::default();
    if let Ok(stamp) = <[u8; 16]>::try_from(query.upload.as_ref()) {
        let key = UploadKey {
            bucket: query.bucket,
            key: query.key.to_vec(),
            upload: stamp,
        };
        if let Some(row) = rows.get(&key)? {
            answer.uploads.push(upload(key, row));
        }
    }
    Ok(answer)
}

fn upload(key: UploadKey, row: UploadRow) -> Upload {
    Upload {
        key: key.key.into(),
        upload: key.upload.to_vec().into(),
        initiated_ms: row.initiated_ms,
        attributes: row.attributes,
        owner: row.owner,
        revision: row.revision,
        checksum_algorithm: row.checksum_algorithm,
        checksum_composite: row.checksum_composite,
    }
}

/// One page of a bucket's uploads, by key and age.
pub(super) fn list(rows: &Rows<'_>, query: &ListUploads) -> Result<UploadsAnswer, QueryError> {
    let limit = page_size(query.limit, limits::LIST_KEYS_MAX);
    let within = UploadKey::keys_with(query.bucket, &query.prefix);
    let mut page = UploadsAnswer::default();
    if limit == 0 {
        return Ok(page);
    }
    let mut from = start(query, &within)?;
    loop {
        let start = from.as_ref().map(Vec::as_slice);
        let Some((key, row)) = rows
            .scan_from::<UploadKey>(start, &within)
            .next()
            .transpose()?
        else {
            break;
        };
        if page.uploads.len() + page.common_prefixes.len() == limit {
            page.truncated = true;
            break;
        }
        if let Some(group) = group_of(&key.key, &query.prefix, &query.delimiter) {
            from = past(&UploadKey::keys_with(query.bucket, group));
            page.common_prefixes.push(group.to_vec().into());
        } else {
            from = Bound::Excluded(key.encode());
            page.uploads.push(upload(key, row));
        }
    }
    Ok(page)
}

fn start(query: &ListUploads, within: &[u8]) -> Result<Bound<Vec<u8>>, QueryError> {
    if query.after_key.is_empty() {
        return Ok(Bound::Included(within.to_vec()));
    }
    let is_group = group_of(&query.after_key, &query.prefix, &query.delimiter)
        .is_some_and(|group| group.len() == query.after_key.len());
    let after = if query.after_upload.is_empty() {
        past(&if is_group {
            UploadKey::keys_with(query.bucket, &query.after_key)
        } else {
            UploadKey::uploads_of(query.bucket, &query.after_key)
        })
    } else {
        let Ok(upload) = <[u8; 16]>::try_from(query.after_upload.as_ref()) else {
            return Err(QueryError::Malformed("a stamp is 16 bytes"));
        };
        let key = UploadKey {
            bucket: query.bucket,
            key: query.after_key.to_vec(),
            upload,
        };
        Bound::Excluded(key.encode())
    };
    let before_begin = match &after {
        Bound::Included(key) | Bound::Excluded(key) => key.as_slice() < within,
        Bound::Unbounded => false,
    };
    Ok(if before_begin {
        Bound::Included(within.to_vec())
    } else {
        after
    })
}

/// One page of an upload's parts, by number.
pub(super) fn parts(rows: &Rows<'_>, query: &ListParts) -> Result<PartsAnswer, QueryError> {
    let Ok(upload) = <[u8; 16]>::try_from(query.upload.as_ref()) else {
        return Err(QueryError::Malformed("a stamp is 16 bytes"));
    };
    let limit = page_size(query.limit, limits::LIST_KEYS_MAX);
    let mut prefix = vec![PartKey::PREFIX];
    prefix.extend_from_slice(&upload);
    let after = PartKey {
        upload,
        number: query.after,
    }
    .encode();
    let mut page = PartsAnswer::default();
    for row in rows.scan_from::<PartKey>(Bound::Excluded(after.as_slice()), &prefix) {
        let (key, row) = row?;
        if page.parts.len() == limit {
            page.truncated = true;
            break;
        }
        page.parts.push(Part {
            number: key.number,
            length: row.length,
            etag: row.etag,
            modified_ms: row.modified_ms,
            checksums: row.checksums,
        });
    }
    Ok(page)
}
