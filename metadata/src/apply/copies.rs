//! Copies by reference: two rows, one content.
//!
//! ```text
//!   source row ──┐
//!                ├──> manifest (0x40: 2 rows) ──> extents, pages ──> chunks (counted once)
//!   copy's row ──┘
//! ```

use cairn_model::limits;
use cairn_wire::metadata::{Bucket, CopyObject, Refusal, Reply};

use super::{
    Context, Stop, Transaction, buckets, conditions, malformed, manifests, objects, refuse,
};
use crate::keyspace::bucket::BucketKey;
use crate::keyspace::object::ObjectRow;

/// Makes the copy, if the source's row is the one the gateway saw.
pub(super) fn copy(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: CopyObject,
) -> Result<Reply, Stop> {
    let bucket = buckets::require(txn, command.bucket)?;
    if command.key.is_empty() || command.key.len() > limits::KEY_LEN_MAX {
        return malformed("key length");
    }
    let source = source(txn, &bucket, &command)?;
    let current = objects::current(txn, bucket.id, &command.key)?;
    conditions::check(command.conditions.as_ref(), current.as_ref())?;
    if let Some(content) = &source.content {
        // Before the old row goes: it may be the source itself.
        manifests::share(txn, content)?;
    }
    let row = ObjectRow {
        length: source.length,
        modified_ms: context.now_ms,
        attributes: command.attributes,
        content: source.content,
        owner: bucket.owner.clone(),
        ..ObjectRow::default()
    };
    objects::replace(txn, &bucket, &command.key, current, row)
}

/// The row that is copied. Its bucket being gone is a change like any other: who reads again learns
/// of it.
fn source(txn: &Transaction<'_>, bucket: &Bucket, command: &CopyObject) -> Result<ObjectRow, Stop> {
    let Some(from) = txn.get(&BucketKey(command.source_bucket))? else {
        return refuse(Refusal::SourceChanged);
    };
    if from.domain != bucket.domain {
        return malformed("a copy by reference stays in its domain");
    }
    match objects::current(txn, from.id, &command.source_key)? {
        Some(row) if row.version == command.source_version => Ok(row),
        _ => refuse(Refusal::SourceChanged),
    }
}
