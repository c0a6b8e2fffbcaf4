//! Objects: an overwrite takes the place of the row before it, a delete removes it, and the end of a row lets go
//! of what it held, in the same entry.

use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::metadata::{
    Bucket, DeleteItem, DeleteObjects, DeleteOutcome, PutObject, Refusal, Reply,
};
use cairn_world::{Bug, planted};

use super::{Context, Stop, Transaction, buckets, conditions, malformed, manifests};
use crate::keyspace::object::{ObjectKey, ObjectRow};

/// Commits an object.
pub(super) fn put(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: PutObject,
) -> Result<Reply, Stop> {
    let bucket = buckets::require(txn, command.bucket)?;
    if command.key.is_empty() || command.key.len() > limits::KEY_LEN_MAX {
        return malformed("key length");
    }
    let current = current(txn, command.bucket, &command.key)?;
    conditions::check(command.conditions.as_ref(), current.as_ref())?;
    let Some(content) = command.content else {
        return malformed("no content");
    };
    let (content, length) = manifests::attach(txn, context, &bucket, content)?;
    let row = ObjectRow {
        length,
        modified_ms: context.now_ms,
        attributes: command.attributes,
        content: Some(content),
        owner: bucket.owner.clone(),
        ..ObjectRow::default()
    };
    replace(txn, &bucket, &command.key, current, row)
}

/// Writes `row` as the newest version in place of `current`.
pub(super) fn replace(
    txn: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &[u8],
    current: Option<ObjectRow>,
    row: ObjectRow,
) -> Result<Reply, Stop> {
    if let Some(old) = current
        && !planted(Bug::ReferencesLeak)
    {
        let_go(txn, bucket, old)?;
    }
    let version = Bytes::copy_from_slice(&txn.next_version().to_bytes());
    let row = ObjectRow {
        version: version.clone(),
        ..row
    };
    txn.put(&newest(bucket.id, key), &row);
    Ok(Reply {
        version,
        ..Reply::default()
    })
}

/// Deletes keys. Each item has its own outcome; a missing key is deleted already.
pub(super) fn delete(txn: &mut Transaction<'_>, command: &DeleteObjects) -> Result<Reply, Stop> {
    let bucket = buckets::require(txn, command.bucket)?;
    if command.items.len() > limits::DELETE_KEYS_PER_ENTRY {
        return malformed("too many keys for one entry");
    }
    let mut reply = Reply::default();
    for item in &command.items {
        reply.deleted.push(delete_one(txn, &bucket, item)?);
    }
    Ok(reply)
}

fn delete_one(
    txn: &mut Transaction<'_>,
    bucket: &Bucket,
    item: &DeleteItem,
) -> Result<DeleteOutcome, Stop> {
    let current = current(txn, bucket.id, &item.key)?;
    let refused = |refusal: Refusal| DeleteOutcome {
        refusal: refusal.into(),
        existed: false,
    };
    match conditions::check(item.conditions.as_ref(), current.as_ref()) {
        Ok(()) => {}
        Err(Stop::Refused(refusal, _)) => return Ok(refused(refusal)),
        Err(halt) => return Err(halt),
    }
    let existed = current.is_some();
    if let Some(row) = current {
        txn.delete(&newest(bucket.id, &item.key));
        let_go(txn, bucket, row)?;
    }
    Ok(DeleteOutcome {
        refusal: Refusal::None.into(),
        existed,
    })
}

/// What the row held falls with it.
fn let_go(txn: &mut Transaction<'_>, bucket: &Bucket, row: ObjectRow) -> Result<(), Stop> {
    match row.content {
        Some(content) => manifests::release(txn, bucket.domain, &content),
        None => Ok(()),
    }
}

/// The newest version of a key.
pub(super) fn current(
    txn: &Transaction<'_>,
    bucket: u64,
    key: &[u8],
) -> Result<Option<ObjectRow>, Stop> {
    Ok(txn.get(&newest(bucket, key))?)
}

fn newest(bucket: u64, key: &[u8]) -> ObjectKey {
    let key = key.to_vec();
    ObjectKey { bucket, key }
}
