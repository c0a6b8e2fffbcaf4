//! Listing: one step per key or group, never a scan through a group.
//!
//! ```text
//!  after ──seek──> key ──> in a group (prefix .. delimiter)? ── yes ─> common prefix, seek past it
//!                   ^                                        └─ no ──> the key, seek past its versions
//!                   └──────────────────────────────────────────────────────────┘
//! ```

use std::ops::Bound;

use cairn_model::limits;
use cairn_store::prefix_end;
use cairn_wire::metadata::{
    Attributes, BucketsAnswer, ListAnswer, ListBuckets, ListObjects, ListedObject,
};

use super::{QueryError, Rows, page_size};
use crate::apply::ApplyError;
use crate::keyspace::KeyKind as _;
use crate::keyspace::bucket::{BucketKey, BucketNameKey};
use crate::keyspace::object::{ObjectKey, ObjectRow};

/// One page of a bucket's current objects.
pub(super) fn objects(rows: &Rows<'_>, query: &ListObjects) -> Result<ListAnswer, QueryError> {
    let limit = page_size(query.limit, limits::LIST_KEYS_MAX);
    let within = ObjectKey::keys_with(query.bucket, &query.prefix);
    let mut page = ListAnswer::default();
    if limit == 0 {
        return Ok(page);
    }
    let mut from = start(query, &within);
    while let Some((key, row)) = seek(rows, &from, &within)? {
        if page.objects.len() + page.common_prefixes.len() == limit {
            page.truncated = true;
            break;
        }
        if let Some(group) = group_of(&key.key, &query.prefix, &query.delimiter) {
            from = past(&ObjectKey::keys_with(query.bucket, group));
            page.next_after = group.to_vec().into();
            page.common_prefixes.push(page.next_after.clone());
        } else {
            from = past(&ObjectKey::versions_of(query.bucket, &key.key));
            page.next_after = key.key.clone().into();
            page.objects.push(listed(key, row));
        }
    }
    Ok(page)
}

/// Where a page begins: past `after`, or past its whole group where `after` is a common prefix.
fn start(query: &ListObjects, within: &[u8]) -> Bound<Vec<u8>> {
    let begin = Bound::Included(within.to_vec());
    if query.after.is_empty() {
        return begin;
    }
    let is_group = group_of(&query.after, &query.prefix, &query.delimiter)
        .is_some_and(|group| group.len() == query.after.len());
    let after = past(&if is_group {
        ObjectKey::keys_with(query.bucket, &query.after)
    } else {
        ObjectKey::versions_of(query.bucket, &query.after)
    });
    match (&after, &begin) {
        (Bound::Included(after_key), Bound::Included(begin_key)) if after_key < begin_key => begin,
        _ => after,
    }
}

/// The common prefix a key rolls up into, if it does.
pub(super) fn group_of<'a>(key: &'a [u8], prefix: &[u8], delimiter: &[u8]) -> Option<&'a [u8]> {
    let rest = key.strip_prefix(prefix)?;
    if delimiter.is_empty() {
        return None;
    }
    let at = rest
        .windows(delimiter.len())
        .position(|window| window == delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// The first position after everything that starts with `start`.
pub(super) fn past(start: &[u8]) -> Bound<Vec<u8>> {
    match prefix_end(start) {
        // An exclusive end bound is the first key past the prefix: a start, it is inclusive.
        Bound::Excluded(end) => Bound::Included(end),
        other => other,
    }
}

fn seek(
    rows: &Rows<'_>,
    from: &Bound<Vec<u8>>,
    within: &[u8],
) -> Result<Option<(ObjectKey, ObjectRow)>, ApplyError> {
    rows.scan_from::<ObjectKey>(from.as_ref().map(Vec::as_slice), within)
        .next()
        .transpose()
}

fn listed(key: ObjectKey, row: ObjectRow) -> ListedObject {
    let Attributes {
        etag,
        storage_class,
        checksums,
        ..
    } = row.attributes.unwrap_or_default();
    ListedObject {
        key: key.key.into(),
        length: row.length,
        modified_ms: row.modified_ms,
        etag,
        storage_class,
        checksum_composite: checksums.iter().any(|checksum| checksum.composite),
        checksum_algorithms: checksums
            .into_iter()
            .map(|checksum| checksum.algorithm)
            .collect(),
    }
}

/// One page of an owner's buckets, by name.
pub(super) fn buckets(rows: &Rows<'_>, query: &ListBuckets) -> Result<BucketsAnswer, QueryError> {
    let limit = page_size(query.limit, limits::LIST_BUCKETS_MAX);
    let mut page = BucketsAnswer::default();
    let within = BucketNameKey(query.prefix.clone()).encode();
    let after = BucketNameKey(query.after.clone()).encode();
    let from = if query.after.is_empty() || after < within {
        Bound::Included(within.as_slice())
    } else {
        Bound::Excluded(after.as_slice())
    };
    for row in rows.scan_from::<BucketNameKey>(from, &within) {
        let (_, name) = row?;
        let Some(bucket) = rows.get(&BucketKey(name.id))? else {
            return Err(ApplyError::Inconsistent("a bucket name without its bucket").into());
        };
        if bucket.owner != query.owner {
            continue;
        }
        if page.buckets.len() == limit {
            page.truncated = true;
            break;
        }
        page.buckets.push(bucket);
    }
    Ok(page)
}
