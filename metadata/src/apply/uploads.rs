//! Multipart uploads. Parts hold their bytes from the moment they are committed; Complete hands
//! them over to the object without touching a chunk counter; what is left over is taken apart in
//! bounded steps.

use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::{
    AbortUpload, Bucket, CompleteUpload, Content, CreateUpload, PartPages, PutPart, Refusal, Reply,
};
use cairn_world::{Bug, planted};
use sha2::{Digest as _, Sha256};

use super::{
    Context, Stop, Transaction, buckets, conditions, malformed, manifests, objects, refuse,
};
use crate::keyspace::KeyKind as _;
use crate::keyspace::manifest::{PageKey, PagePart, PageRow};
use crate::keyspace::object::ObjectRow;
use crate::keyspace::upload::{
    DeadUploadKey, DeadUploadRow, PartKey, PartRow, UploadKey, UploadRow,
};

/// SHA-256 over the chosen parts in order: number u32, length u64 (big-endian), ETag length u8,
/// ETag. What a Complete says it saw.
#[must_use]
pub fn parts_digest<'a>(parts: impl IntoIterator<Item = (u32, u64, &'a str)>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (number, length, etag) in parts {
        hash.update(number.to_be_bytes());
        hash.update(length.to_be_bytes());
        hash.update([u8::try_from(etag.len()).unwrap_or(u8::MAX)]);
        hash.update(etag.as_bytes());
    }
    hash.finalize().into()
}

pub(super) fn create(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: CreateUpload,
) -> Result<Reply, Stop> {
    let bucket = buckets::require(txn, command.bucket)?;
    if command.key.is_empty() || command.key.len() > limits::KEY_LEN_MAX {
        return malformed("key length");
    }
    let upload = manifests::own_stamp(context, &command.upload)?;
    let key = UploadKey {
        bucket: bucket.id,
        key: command.key.to_vec(),
        upload,
    };
    let row = UploadRow {
        initiated_ms: context.now_ms,
        attributes: command.attributes,
        owner: command.owner,
        revision: 0,
        checksum_algorithm: command.checksum_algorithm,
        checksum_composite: command.checksum_composite,
        domain: bucket.domain,
    };
    txn.put(&key, &row);
    Ok(Reply::default())
}

fn require(
    txn: &Transaction<'_>,
    bucket: u64,
    key: &Bytes,
    upload: &Bytes,
) -> Result<(UploadKey, UploadRow), Stop> {
    let Ok(upload) = <[u8; 16]>::try_from(upload.as_ref()) else {
        return refuse(Refusal::NoSuchUpload);
    };
    let key = UploadKey {
        bucket,
        key: key.to_vec(),
        upload,
    };
    match txn.get(&key)? {
        Some(row) => Ok((key, row)),
        None => refuse(Refusal::NoSuchUpload),
    }
}

/// Commits a part; one of the same number is replaced.
pub(super) fn put_part(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: PutPart,
) -> Result<Reply, Stop> {
    let bucket = buckets::require(txn, command.bucket)?;
    let (upload_key, mut upload) = require(txn, command.bucket, &command.key, &command.upload)?;
    if !(1..=limits::PARTS_MAX).contains(&command.number) {
        return malformed("part number");
    }
    let Some(content) = command.content else {
        return malformed("no content");
    };
    let (content, length) = manifests::attach(txn, context, &bucket, content)?;
    let key = PartKey {
        upload: upload_key.upload,
        number: command.number,
    };
    if let Some(old) = txn.get(&key)?.and_then(|part| part.content) {
        manifests::release(txn, bucket.domain, &old)?;
    }
    let part = PartRow {
        length,
        modified_ms: context.now_ms,
        etag: command.etag,
        checksums: command.checksums,
        content: Some(content),
    };
    txn.put(&key, &part);
    upload.revision += 1;
    txn.put(&upload_key, &upload);
    Ok(Reply {
        number: upload.revision,
        ..Reply::default()
    })
}

/// Makes the object of the chosen parts, if the part set is the one the gateway saw.
pub(super) fn complete(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: CompleteUpload,
) -> Result<Reply, Stop> {
    let bucket = buckets::require(txn, command.bucket)?;
    let current = objects::current(txn, bucket.id, &command.key)?;
    let (key, upload) = match require(txn, bucket.id, &command.key, &command.upload) {
        Ok(found) => found,
        Err(stop) => {
            // A repeated Complete of the upload that made the current object is answered again.
            return match current {
                Some(row) if row.upload == command.upload => Ok(Reply {
                    version: row.version,
                    ..Reply::default()
                }),
                _ => Err(stop),
            };
        }
    };
    if upload.revision != command.revision && !planted(Bug::PartSetUnchecked) {
        return refuse(Refusal::PartSetChanged);
    }
    conditions::check(command.conditions.as_ref(), current.as_ref())?;
    let parts = chosen_parts(txn, &key, &command)?;
    let length = parts.iter().map(|(_, part)| part.length).sum();
    if length > limits::OBJECT_LEN_MAX {
        return refuse(Refusal::TooLarge);
    }
    let content = hand_over(txn, &key, parts, length);
    txn.delete(&key);
    leave_rest(txn, &bucket, &key)?;
    let row = ObjectRow {
        length,
        modified_ms: context.now_ms,
        attributes: command.attributes,
        content: Some(content),
        owner: bucket.owner.clone(),
        upload: command.upload,
        ..ObjectRow::default()
    };
    objects::replace(txn, &bucket, &key.key, current, row)
}

fn chosen_parts(
    txn: &Transaction<'_>,
    key: &UploadKey,
    command: &CompleteUpload,
) -> Result<Vec<(u32, PartRow)>, Stop> {
    if command.numbers.is_empty() || !command.numbers.is_sorted_by(|a, b| a < b) {
        return malformed("part numbers rise");
    }
    let mut parts = Vec::with_capacity(command.numbers.len());
    for number in &command.numbers {
        match txn.get(&PartKey {
            upload: key.upload,
            number: *number,
        })? {
            Some(part) => parts.push((*number, part)),
            None => return refuse(Refusal::InvalidPart),
        }
    }
    let all_but_last = parts.len() - 1;
    if parts
        .iter()
        .take(all_but_last)
        .any(|(_, part)| part.length < limits::PART_LEN_MIN)
    {
        return refuse(Refusal::PartTooSmall);
    }
    let seen = parts
        .iter()
        .map(|(number, part)| (*number, part.length, part.etag.as_str()));
    let same = parts_digest(seen).as_slice() == command.parts_digest.as_ref();
    if !same && !planted(Bug::PartSetUnchecked) {
        return refuse(Refusal::PartSetChanged);
    }
    Ok(parts)
}

/// Moves the parts' contents into pages of a part list named by the upload's own stamp.
fn hand_over(
    txn: &mut Transaction<'_>,
    key: &UploadKey,
    parts: Vec<(u32, PartRow)>,
    length: u64,
) -> Content {
    let manifest = key.upload;
    let mut pages = 0;
    for page in parts.chunks(limits::PAGE_PARTS_MAX) {
        let row = PageRow {
            extents: Vec::new(),
            parts: page.iter().map(page_part).collect(),
        };
        txn.put(
            &PageKey {
                manifest,
                page: pages,
            },
            &row,
        );
        pages += 1;
    }
    for (number, _) in &parts {
        txn.delete(&PartKey {
            upload: key.upload,
            number: *number,
        });
    }
    let manifest = Bytes::copy_from_slice(&manifest);
    Content {
        place: Some(Place::PartPages(PartPages {
            manifest,
            pages,
            length,
        })),
    }
}

fn page_part((number, part): &(u32, PartRow)) -> PagePart {
    PagePart {
        number: *number,
        length: part.length,
        content: part.content.clone(),
        checksums: part.checksums.clone(),
    }
}

/// Parts that are left are taken apart in the background.
fn leave_rest(txn: &mut Transaction<'_>, bucket: &Bucket, key: &UploadKey) -> Result<(), Stop> {
    if !txn
        .scan::<PartKey>(&parts_prefix(key.upload), 1)?
        .is_empty()
    {
        txn.put(
            &DeadUploadKey(key.upload),
            &DeadUploadRow {
                domain: bucket.domain,
            },
        );
    }
    Ok(())
}

/// Aborts an upload: it is gone at once, its parts go `ABORT_PARTS_PER_ENTRY` at a time. `number`
/// in the reply is 1 while parts are left. Sent again for an upload being taken apart, goes on.
pub(super) fn abort(txn: &mut Transaction<'_>, command: &AbortUpload) -> Result<Reply, Stop> {
    let Ok(upload) = <[u8; 16]>::try_from(command.upload.as_ref()) else {
        return refuse(Refusal::NoSuchUpload);
    };
    let dead = DeadUploadKey(upload);
    let domain = match txn.get(&dead)? {
        Some(row) => row.domain,
        None => {
            let (key, row) = require(txn, command.bucket, &command.key, &command.upload)?;
            txn.delete(&key);
            row.domain
        }
    };
    let parts = txn.scan::<PartKey>(&parts_prefix(upload), limits::ABORT_PARTS_PER_ENTRY + 1)?;
    let more = parts.len() > limits::ABORT_PARTS_PER_ENTRY;
    for (key, part) in parts.into_iter().take(limits::ABORT_PARTS_PER_ENTRY) {
        if let Some(content) = part.content {
            manifests::release(txn, domain, &content)?;
        }
        txn.delete(&key);
    }
    if more {
        txn.put(&dead, &DeadUploadRow { domain });
    } else {
        txn.delete(&dead);
    }
    Ok(Reply {
        number: u64::from(more),
        ..Reply::default()
    })
}

fn parts_prefix(upload: [u8; 16]) -> Vec<u8> {
    let mut prefix = vec![PartKey::PREFIX];
    prefix.extend_from_slice(&upload);
    prefix
}
